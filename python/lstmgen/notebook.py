"""What a notebook shows: models as cards, text shaded by probability, music to hear and to see.

All of it is HTML without scripts that needs no network.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from lstmgen.errors import OptionError, instance, named
from lstmgen.escaping import shown
from lstmgen.music.notes import Note, check_notes
from lstmgen.shades import BITS, SHADES, shade

if TYPE_CHECKING:
    from lstmgen.generator import Generator
    from lstmgen.model import Model
    from lstmgen.music.piece import Music

_HEARD = 180.0  # seconds of music in a page: 8 MB
_RATE = 22_050  # samples a second of it


class Shaded(NamedTuple):
    """A text whose elements a notebook shades by how surprising they were.

    elements: their texts. probabilities: of each; None for one that nothing came before.

    >>> Shaded(["a", "<"], [None, 0.001])._repr_html_().count("&lt;")
    1
    """

    elements: Sequence[str]
    probabilities: Sequence[float | None]

    def __str__(self) -> str:
        return "".join(self.elements)

    def _repr_html_(self) -> str:
        parts = []
        for text, probability in zip(self.elements, self.probabilities, strict=True):
            found = None if probability is None else shade(probability)
            title = "" if probability is None else f' title="{probability:.2g}"'
            style = f' style="background:{found.css};color:#000"' if found else ""
            parts.append(f"<span{title}{style}>{escape(shown(text))}</span>" if title else escape(shown(text)))
        legend = "".join(
            f'<span style="background:{one.css};color:#000;padding:0 .5em">&gt; {bits:g}</span>'
            for bits, one in zip(BITS, SHADES, strict=True)
        )
        return (
            f'<pre style="white-space:pre-wrap">{"".join(parts)}</pre>'
            f'<div style="font-size:small">surprise in bits: {legend}</div>'
        )


def shaded(generator: Generator, text: str) -> Shaded:
    r"""Return a text shaded by the probability of each element after those before it.

    generator: of the model that judges. text: at least two elements.

    Raises `ValueError` for an element that the model does not have.

    >>> import lstmgen
    >>> found = shaded(lstmgen.Generator("latex"), "\\begin{lemma}")
    >>> str(found), len(found.probabilities)
    ('\\begin{lemma}', 13)
    """
    from lstmgen.generator import Generator

    vocabulary = instance("generator", generator, Generator).model.vocabulary
    if vocabulary is None:
        raise ValueError("the model has no vocabulary: there is no text to shade")
    with named("text"):
        ids = vocabulary.encode(text)
    logs = generator.log_probabilities(ids.tolist())
    elements = list(vocabulary.texts(ids.tolist()))
    if vocabulary.kind == "tokens":
        elements = [element if i == 0 else f" {element}" for i, element in enumerate(elements)]
    probabilities = [None, *map(math.exp, logs)]
    return Shaded(elements, probabilities[: len(elements)] + [None] * (len(elements) - len(probabilities)))


def model_card(model: Model) -> str:
    """Return a model as a table in HTML.

    >>> import lstmgen
    >>> "latex" in model_card(lstmgen.Model("latex"))
    True
    """
    from lstmgen.model import Model

    facts = instance("model", model, Model).metadata
    vocabulary = model.vocabulary
    rows: dict[str, object] = {
        "name": facts["name"],
        "description": facts["description"],
        "licence": facts["license"],
        "reads": f"{model.input_size} {model.encoding}, {model.window or 'any number of'} steps",
        "gives": ", ".join(model.labels) or f"{model.outputs} numbers",
        "vocabulary": "" if vocabulary is None else f"{len(vocabulary)} elements, kind {vocabulary.kind}",
        "weights": f"{model.nbytes / 1e6:.1f} MB in memory, {model.dtype}, kernels {model.isa}",
        "assumed": "; ".join(model.assumed),
    }
    columns = ("name", "type", "input_size", "outputs", "activation")
    layers = [{name: getattr(layer, name) for name in columns} for layer in model.layers]
    return f"<b>lstmgen.Model</b>{_table(rows)}{_columns(layers)}"


def generator_card(generator: Generator) -> str:
    """Return a generator as a table in HTML, with its model.

    >>> import lstmgen
    >>> "threads" in generator_card(lstmgen.Generator("latex"))
    True
    """
    from lstmgen.generator import Generator

    model = instance("generator", generator, Generator).model
    rows = {"threads": generator.threads}
    return f"<b>lstmgen.Generator</b>{_table(rows)}{model_card(model)}"


def music_player(music: Music) -> str:
    """Return an audio player with its sound, and the piano roll, in HTML.

    The sound is that of the built-in piano at the tempo of the piece, of the first three minutes.

    >>> import lstmgen
    >>> "<audio" in music_player(lstmgen.music.decode("n60"))
    True
    """
    from lstmgen.music import Music, audio

    if not instance("music", music, Music).notes:
        return "<i>no notes</i>"
    timed = music.sounds()
    heard = [(start, min(duration, _HEARD - start), n, v) for start, duration, n, v in timed if start < _HEARD]
    sound = audio.wav(audio.render(heard, _RATE).mean(1, keepdims=True), _RATE)
    cut = "" if len(heard) == len(timed) else f" <small>(the first {_HEARD / 60:g} minutes)</small>"
    data = base64.b64encode(sound).decode()
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>{cut}<br>{roll_svg(music.notes)}'


def roll_svg(notes: Sequence[Note]) -> str:
    """Return a piano roll as SVG, 12 pixels a quarter or more: at least 640 wide.

    notes: at least one.

    >>> roll_svg([Note(0, 1, 60)]).count("<rect")
    1
    """
    notes = check_notes(notes)
    if not notes:
        raise OptionError("notes", "at least one note", notes)
    end = max(note.start + note.duration for note in notes)
    low, high = min(note.pitch for note in notes), max(note.pitch for note in notes)
    alike = len({note.velocity for note in notes}) == 1

    def shade(note: Note) -> str:
        return "" if alike else f' opacity="{0.3 + 0.7 * note.velocity / 127:.2f}"'

    bars = "".join(
        f'<rect x="{note.start:.3f}" y="{high - note.pitch}" width="{note.duration:.3f}" height="0.9" '
        f'fill="hsl({note.pitch * 7 % 12 * 30},70%,45%)"{shade(note)}/>'
        for note in notes
    )
    lines = "".join(
        f'<line x1="0" x2="{end:.3f}" y1="{high - c + 0.45}" y2="{high - c + 0.45}" stroke="#8884" stroke-width="0.1"/>'
        for c in range(12 * (-(-low // 12)), high + 1, 12)
    )
    height = high - low + 1
    return (
        f'<div style="overflow-x:auto"><svg width="{max(640, round(12 * end))}" height="{6 * height}" '
        f'viewBox="0 0 {end:.3f} {height}" preserveAspectRatio="none" role="img" aria-label="piano roll">'
        f"{lines}{bars}</svg></div>"
    )


def _table(rows: Mapping[str, object]) -> str:
    left = 'style="text-align:left"'
    cells = "".join(
        f"<tr><th {left}>{escape(key)}</th><td {left}>{escape(shown(str(value)))}</td></tr>"
        for key, value in rows.items()
        if value not in (None, "")
    )
    return f"<table>{cells}</table>"


def _columns(rows: Sequence[Mapping[str, object]]) -> str:
    head = "".join(f"<th>{escape(key)}</th>" for key in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(str(value)))}</td>' for value in row.values())}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
