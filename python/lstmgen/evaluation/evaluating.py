"""The comparison of a model with data."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen.arguments import Integer
from lstmgen.bundled import Source
from lstmgen.errors import option
from lstmgen.evaluation.evaluation import Evaluation, Row, Shares, mean, shares
from lstmgen.generator import Generator
from lstmgen.model import Model
from lstmgen.options import ManyOptions
from lstmgen.progress import bar, busy, counted
from lstmgen.signatures import with_keywords
from lstmgen.training.tasks import corpus as corpora
from lstmgen.vocabulary import Ids, Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from lstmgen.evaluation.text import Corpus

SAMPLES = {"text": 10, "music": 20}  # default numbers of samples
LENGTH = {"text": 10_000, "music": 1000}  # default numbers of elements of a sample
_SHARED = frozenset("tdnk")  # the kinds of events that all models of music have
_FEW = 3  # files whose names are shown


class _Found(NamedTuple):
    """The measures of the samples."""

    rows: list[Row]
    distributions: dict[str, tuple[Shares, Shares]]
    notes: list[str]


@with_keywords(ManyOptions, defaults=None)
def evaluate(
    model: Source | Model,
    data: corpora.Sources,
    *,
    corpus: corpora.Sources | None = None,
    samples: int | None = None,
    length: int | None = None,
    temp: float | None = None,
    charset: str | None = None,
    lower: bool | None = None,
    name: str | None = None,
    **options: Unpack[ManyOptions],
) -> Evaluation:
    """Compare a model with data: the bits of the data, and samples beside the data.

    model: a model of text or music: a `Model`, or what `Model` takes.
    data: text files for a model of text, music files for one of music, or folders of them.
    corpus: what the model learnt from. Copies and known words are counted in it. None: `data`.
    samples: how many samples to draw, at least 0. None: 10 of text, 20 of music.
    length: how many elements each sample has, at least 1. None: 10,000 of text, 1,000 of music.
    temp: the temperature, at least 0. The default is 1.
    charset, lower: how text is read, as in `lstmgen.training.TextSettings`. None: as the model's
        card says, or as UTF-8 with its case.
    name: the name of the model in the table. None: its path, or the name in its card.
    options: those of `Generator.sample_many`. The default of `seed` is 1. `refresh` holds for the
        bits, too.

    Returns a table with a row for each measure. The first element of a text or a piece is not
    predicted. Elements that the model does not know are left out, and counted. The measures of the
    samples are means.

    Raises `ValueError` for a model that draws neither text nor music, `OSError` or `ValueError`
    that names the file for data that cannot be read, and what `Generator.sample_many` raises.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.tex").write_text("Let $X$ be a topological space. " * 4)
    ...     found = evaluate("latex", f"{folder}/a.tex", samples=1, length=200, refresh=None)
    >>> found["bits/char"].data < 2, found["characters"].drawn
    (True, 200)
    """
    from lstmgen.music.elements import recognise_vocabulary

    if name is None and isinstance(model, str | os.PathLike):
        name = os.fspath(model)
    model = model if isinstance(model, Model) else Model(model)
    if not model.generates or model.vocabulary is None:
        what = "gives labels" if model.labels else "draws notes" if model.heads else "has no elements"
        raise ValueError(f"expected a model that draws the elements of a text or of music, found one that {what}")
    recognised = recognise_vocabulary(model.vocabulary.elements)
    kind = "text" if recognised is None else "music"
    options.setdefault("seed", 1)
    count = Integer(0).check("samples", SAMPLES[kind] if samples is None else samples)
    size = Integer(1).check("length", LENGTH[kind] if length is None else length)
    generator = Generator(model, threads=os.cpu_count() or 1)
    refresh = options.get("refresh", 1)

    def draw() -> list[Any]:
        """Draw the samples."""
        with busy(f"drawing {count} samples"):
            return generator.sample_many(count, size, temp, **options) if count else []

    if recognised is None:
        bits, found = _of_text(generator, data, corpus, charset, lower, refresh, draw)
    else:
        for one, value in {"charset": charset, "lower": lower}.items():
            if value is not None:
                raise ValueError(f"{option(one)}: only for text; the model draws music")
        bits, found = _of_music(generator, recognised.notation, data, corpus, refresh, draw)
    return Evaluation(
        model=name or model.metadata["name"] or "model",
        data=_shown(corpora.paths(data)),
        rows=(*bits, *found.rows),
        distributions=found.distributions,
        notes=tuple(found.notes),
    )


def _of_text(
    generator: Generator,
    data: corpora.Sources,
    corpus: corpora.Sources | None,
    charset: str | None,
    lower: bool | None,
    refresh: int | None,
    draw: Callable[[], list[Any]],
) -> tuple[list[Row], _Found]:
    from lstmgen.evaluation import text

    model, vocabulary = generator.model, _vocabulary(generator)
    recipe = _recipe(model)
    how: dict[str, Any] = {
        "charset": recipe.get("charset", "utf-8") if charset is None else charset,
        "lower": recipe.get("lower", False) if lower is None else lower,
        "abc": recipe.get("abc") is True,  # it learnt tunes in ABC notation
    }
    read = corpora.read(corpora.paths(data), **how).text
    ids = vocabulary.encode(read, "skip")
    characters = sum(map(len, vocabulary.texts(ids.tolist())))
    bits, _ = _bits(generator, [ids], refresh)
    found = [
        Row("characters", len(read)),
        *_bit_rows(bits, len(ids)),
    ]
    if vocabulary.kind != "tokens":
        found[1:1] = [Row("characters that the model does not know", max(len(read) - characters, 0))]
        found.append(Row("bits/char", bits / characters))
    notes = _notes(model, hashlib.sha256(read.encode()).hexdigest())
    drawn = [one if isinstance(one, str) else " ".join(map(str, one)) for one in draw()]
    if not any(drawn):
        return found, _Found([], {}, notes)
    learnt = text.Corpus(read if corpus is None else corpora.read(corpora.paths(corpus), **how).text)
    characters, measured = _drawn_text(drawn, read, learnt, abc=how["abc"])
    found[0] = found[0]._replace(drawn=characters)
    return found, measured._replace(notes=notes + measured.notes)


def _drawn_text(drawn: Sequence[str], read: str, learnt: Corpus, *, abc: bool) -> tuple[int, _Found]:
    """Return the number of drawn characters, and the measures of the samples.

    drawn: the samples. read: the data. learnt: the corpus. abc: whether texts are tunes.
    """
    from lstmgen.evaluation import text

    measured = [text.measure(one, learnt) for one in counted(filter(None, drawn), len(drawn), "samples", "measuring")]
    notes = []
    rows = [
        Row("samples", None, len(drawn)),
        Row("known words %", None, _percent(one.known_words for one in measured)),
        Row(f"distinct {text.GRAM}-grams %", None, _percent(one.distinct for one in measured)),
        Row("longest copy, characters", None, max(len(one.longest_copy) for one in measured)),
        Row(f"in copies of {text.COPY} or more %", None, _percent(one.copied for one in measured)),
    ]
    if learnt.commands:
        rows.insert(2, Row("known commands %", None, _percent(one.known_commands for one in measured)))
    unknown = text.unknown_words(" ".join(drawn), learnt)
    if unknown:
        notes.append(f"words that the corpus does not have: {', '.join(f'{w} ({n})' for w, n in unknown.items())}")
    both = text.frequencies([read]), text.frequencies(drawn)
    distributions = {"character": (shares(both[0]), shares(both[1]))}
    if abc:
        from lstmgen.evaluation import pieces

        with busy("measuring the tunes"):
            tunes = pieces.Pieces.of_tunes([learnt.text]), pieces.Pieces.of_tunes(drawn, whole=False)
        if tunes[1].music:
            rows += pieces.rows(*tunes)
            distributions |= pieces.distributions(*tunes)
        else:
            notes.append("no sample has a whole tune: draw longer samples")
    return sum(one.characters for one in measured), _Found(rows, distributions, notes)


def _of_music(
    generator: Generator,
    notation: str,
    data: corpora.Sources,
    corpus: corpora.Sources | None,
    refresh: int | None,
    draw: Callable[[], list[Any]],
) -> tuple[list[Row], _Found]:
    from lstmgen import music
    from lstmgen.evaluation import pieces
    from lstmgen.music.elements import kept

    vocabulary = _vocabulary(generator)
    keep = kept(vocabulary.elements) if notation == "events" else ()
    read = music.read_pieces(corpora.paths(data), notation=notation, keep=keep).pieces
    known = [vocabulary.encode(piece, "skip") for piece in read]
    elements = sum(map(len, read))
    bits, of_each = _bits(generator, known, refresh)
    found = [
        Row("elements", elements),
        Row("elements that the model does not know", elements - sum(map(len, known))),
        *_bit_rows(bits, sum(max(len(piece) - 1, 0) for piece in known) + 1),
    ]
    if notation == "events":
        kinds = [element[:1] for element in vocabulary.elements]
        count = sum(kinds[i] == "n" for piece in known for i in piece[1:].tolist())
        found += [Row("bits/note", bits / count)] if count else []
        if keep and count:
            shared = float(sum(cost for kind, cost in zip(kinds, of_each.tolist(), strict=False) if kind in _SHARED))
            found.append(Row("bits/note of pitches, times and tracks", shared / count))
    notes = _notes(generator.model, None)
    drawn = [_split(one) for one in draw()]
    if not any(drawn):
        return found, _Found([], {}, notes)
    found[0] = found[0]._replace(drawn=sum(map(len, drawn)))
    learnt = read if corpus is None else music.read_pieces(corpora.paths(corpus), notation=notation, keep=keep).pieces
    with busy("measuring"):
        both = pieces.Pieces.of(learnt, notation), pieces.Pieces.of(drawn, notation)
        return found, _Found(pieces.rows(*both), pieces.distributions(*both), notes)


def _bits(generator: Generator, texts: Sequence[Ids], refresh: int | None) -> tuple[float, NDArray[np.float64]]:
    """Return the bits of all elements but the first of each text, and those of each element of the
    vocabulary, (elements,).
    """
    texts = [ids for ids in texts if len(ids) > 1]
    if not texts:
        raise ValueError("data: expected a text of at least 2 elements that the model knows, found none")
    total, of_each = 0.0, np.zeros(len(_vocabulary(generator)))
    with bar(sum(map(len, texts)), "elements", "scoring") as shown:
        for ids in texts:
            logs = generator.log_probabilities(ids.tolist(), refresh=refresh)
            total -= float(logs.sum()) / math.log(2)
            np.add.at(of_each, ids[1:].astype(np.intp), -logs / math.log(2))
            shown.update(len(ids))
    return total, of_each


def _bit_rows(bits: float, elements: int) -> list[Row]:
    each = bits / (elements - 1)
    return [Row("bits/element", each), Row("perplexity", 2.0**each if each < 1024 else math.inf)]


def _notes(model: Model, digest: str | None) -> list[str]:
    """Return a note if the card says that the model learnt from these data."""
    card = _card(model)
    if digest is None or card.get("corpus_sha256") != digest:
        return []
    held_out = card.get("held_out_bits_per_char")
    figures = held_out.items() if isinstance(held_out, dict) else ()
    told = ", ".join(f"{value:.3f} ({way})" for way, value in figures if isinstance(value, float))
    more = f". Its card has the bits/char of held-out text: {told}" if told else ""
    return [f"the model learnt from this text, so it may know other texts less well than these bits say{more}"]


def _shown(paths: Sequence[Path]) -> str:
    """Return the names of a few files, or how many there are."""
    return ", ".join(path.name for path in paths) if len(paths) <= _FEW else f"{len(paths)} files"


def _card(model: Model) -> dict[str, Any]:
    card = model.metadata["card"]
    return card if isinstance(card, dict) else {}


def _recipe(model: Model) -> dict[str, Any]:
    recipe = _card(model).get("recipe")
    return recipe if isinstance(recipe, dict) else {}


def _vocabulary(generator: Generator) -> Vocabulary:
    vocabulary = generator.model.vocabulary
    assert vocabulary is not None  # `evaluate` has refused a model without
    return vocabulary


def _split(drawn: Any) -> list[str]:
    """Return the elements of a sample of music."""
    return drawn.split() if isinstance(drawn, str) else [str(element) for element in drawn]


def _percent(values: Iterable[float | None]) -> float | None:
    """Return the mean of shares, in percent."""
    return mean([100 * value for value in values if value is not None])
