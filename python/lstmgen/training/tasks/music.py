"""Music: MIDI, MusicXML, Humdrum and ABC files."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen import music
from lstmgen.errors import option
from lstmgen.exporting import FACTS, ExportOptions
from lstmgen.music.elements import check_keep
from lstmgen.signatures import with_keywords
from lstmgen.training.backend import import_keras
from lstmgen.training.loop import Job, TrainingReport, run
from lstmgen.training.progress import Outline, announce
from lstmgen.training.settings import (
    Settings,
    asked_for,
    batch_setting,
    changed,
    check_holdout,
    described,
    lr_setting,
    setting,
)
from lstmgen.training.start import Elements, begin
from lstmgen.training.tasks import batches, corpus, text
from lstmgen.vocabulary import Vocabulary

Ids = NDArray[np.int32]

_UNIT = "bits/element"
_CHUNK = 1024  # elements of a held-out sequence
_LESSON_BATCH = 128
_SAMPLE = 240  # elements of the sample after each epoch


@described
@dataclass(frozen=True, kw_only=True)
class MusicSettings(Settings):
    """The settings of a training on music, beside those of `Settings`.

    >>> MusicSettings(units=128, transpose=True).notation
    'events'
    """

    notation: str = setting(
        "events",
        "events: exact pitches, durations and rests, with a target at each step. lesson: names of notes and chords, "
        "which enter as index / n_vocab; windows, each with the element after it as target, batches of "
        f"{_LESSON_BATCH}, RMSprop with the rate 1e-3",
        choices=music.NOTATIONS,
        architecture=True,
    )
    keep: str = setting(
        ",".join(music.KEPT),
        "what elements tell beside pitches and times (events): some of velocity, pedal, tempo, meter, tracks and ends "
        "(where pieces begin and end), with commas between; or all, or none",
        shown="all",
    )
    holdout: float = changed(Settings, "holdout", 0.05, most=1)
    holdout_from: str = setting(
        "", "file or folder of pieces. Only these are held out; with holdout 1, all of them", shown="all pieces"
    )
    transpose: bool = setting(False, "learn each piece in all twelve keys (events)", shown="")
    batch: int = batch_setting(32)
    lr: float = lr_setting(4e-3)
    dropout: float = changed(Settings, "dropout", 0.3)
    window: int = setting(160, "elements of a window, from which the next one is drawn", least=1, most=65_536)
    length: int = setting(256, "elements in a training sequence (events)", least=2, most=65_536)
    weight_decay: float = setting(1e-2, "weight decay of Adam (events)", least=0, most=1)

    def check(self) -> None:
        """Raise `ValueError` for a wrong setting, `TypeError` for a wrong type.

        >>> MusicSettings(transpose=True).check()
        """
        super().check()
        check_keep(self.keep)
        check_holdout(self.holdout, self.holdout_from, "pieces", "a folder")
        if self.transpose and self.notation != "events":
            raise ValueError(
                f"{option('transpose')}: only with {option('notation', 'events')}: the lesson's chords have no pitches"
            )

    def unused(self) -> tuple[str, ...]:
        """Return the names of the settings that have no effect with the others.

        >>> MusicSettings(notation="lesson").unused()
        ('keep', 'batch', 'lr', 'length', 'weight_decay')
        """
        names = [] if self.holdout else ["holdout_from"]
        if self.notation == "lesson":
            names += ["keep", "batch", "lr", "length", "weight_decay"]
        return tuple(names)

    @property
    def kept(self) -> tuple[str, ...]:
        """What elements tell beside pitches and times.

        >>> MusicSettings(keep="tempo,velocity").kept
        ('velocity', 'tempo')
        """
        return check_keep(self.keep) if self.notation == "events" else ()


@with_keywords(ExportOptions, only=FACTS)
def train_music(
    paths: corpus.Sources,
    out: str | os.PathLike[str],
    settings: MusicSettings | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **facts: str | None,
) -> TrainingReport:
    """Train a generator of music, and export it.

    paths: the path of a file or folder of music, or a list of paths. A file that cannot be read is
        skipped with a warning.
    settings: see `MusicSettings`. None: the defaults. Whole pieces are held out.
    out, callbacks, facts: as in `train_text`.

    A sample follows each epoch, with a warning if it only repeats a note. Returns and raises the
    same as `train_text`.
    """
    sources = corpus.paths(paths)
    start = begin(Path(out), asked_for("train_music", MusicSettings, settings, facts, FACTS), sources)
    settings = start.settings
    pieces = music.read_pieces(sources, notation=settings.notation, keep=settings.kept)
    vocabulary = _vocabulary(pieces.pieces, settings)
    ids = [vocabulary.encode(piece).astype(np.int32) for piece in pieces.pieces]
    held = _held_out(pieces.sources, ids, settings)
    training = [piece for i, piece in enumerate(ids) if i not in held]
    held_out = [ids[i] for i in held]
    short = _check_size(training, vocabulary, settings)
    about = _about(pieces, held, settings)
    start.check_data(about, _UNIT)
    _announce(settings, about, vocabulary, training, held_out, short)
    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    make = _events if settings.notation == "events" else _lesson
    model, saved, data, validation = make(keras, settings, vocabulary, training, held_out)
    elements, events = vocabulary.elements, settings.notation == "events"
    job = Job(
        start=start,
        model=model,
        saved=saved,
        data=data,
        validation=validation,
        unit=_UNIT,
        scale=1 / math.log(2),
        options={
            "vocab": list(elements),
            "vocabulary_kind": "tokens",
            "encoding": "onehot" if events else "scaled",
            "padding": "none",
            "prime": ["begin"] if "ends" in settings.kept else training[0][: settings.window].tolist(),
            "window": settings.window,
            **facts,
        },
        elements=Elements(elements if events else (), elements, scaled=not events),
        facts={**about, "sample": {"stop": ["end"]}} if "ends" in settings.kept else about,
        sample=_tried,
        callbacks=callbacks,
    )
    return run(job)


def _about(pieces: music.Pieces, held: Sequence[int], settings: MusicSettings) -> dict[str, Any]:
    """Return the facts on the data, for the card."""
    return {
        "notation": " with ".join([settings.notation, *filter(None, [", ".join(settings.kept)])]),
        "pieces": len(pieces.pieces),
        "pieces_held_out": [pieces.sources[i].name for i in held],
        "elements": sum(map(len, pieces.pieces)),
        "corpus_sha256": hashlib.sha256("\n".join(" ".join(piece) for piece in pieces.pieces).encode()).hexdigest(),
        "recipe": settings.facts(),
    }


def _announce(
    settings: MusicSettings,
    about: Mapping[str, Any],
    vocabulary: Vocabulary,
    training: list[Ids],
    held_out: list[Ids],
    short: int,
) -> None:
    """Print what the training will do."""
    line = (
        f"{about['pieces']} pieces of {about['elements']:,} elements, {len(vocabulary):,} different; "
        f"{len(held_out)} held out"
    )
    if short:
        line += f"; {short} too short: a smaller length or window includes them"
    events = settings.notation == "events"
    network = Outline("one-hot", len(vocabulary)) if events else Outline("scaled", 1)
    for _ in range(settings.layers):
        network.lstm(settings.units)
    network.dense(len(vocabulary))
    if events:
        steps, batch = batches.data_steps(_as_text(settings), training), settings.batch
    else:
        steps, batch = batches.window_steps(_long(training, settings), settings.window, _LESSON_BATCH), _LESSON_BATCH
    announce([line], network, steps, batch, settings.epochs)


def _vocabulary(pieces: Sequence[Sequence[str]], settings: MusicSettings) -> Vocabulary:
    keys = music.KEYS if settings.transpose else (0,)
    elements = {element for piece in pieces for key in keys for element in music.transposed(sorted(set(piece)), key)}
    return Vocabulary(sorted(elements), "tokens")


def _check_size(ids: Sequence[Ids], vocabulary: Vocabulary, settings: MusicSettings) -> int:
    """Return how many pieces are too short. Raises `ValueError` if all are."""
    if len(vocabulary) < 2:
        raise ValueError(f"the music: expected at least two different elements, found only {vocabulary.elements[0]!r}")
    least = 1 + (settings.length if settings.notation == "events" else settings.window)
    longest = max(map(len, ids))
    if longest < least:
        raise ValueError(
            f"the longest piece: expected at least {least} elements, found {longest}: give longer music, or a smaller "
            "window and length"
        )
    return sum(len(piece) < least for piece in ids)


def _held_out(sources: Sequence[Path], ids: Sequence[Ids], settings: MusicSettings) -> list[int]:
    """Return the indices of the pieces that are held out.

    They have about the share `holdout` of the elements in all pieces, or in those of
    `holdout_from`. Without `holdout_from`, none of fewer than 8 pieces is held out.
    """
    named = settings.holdout_from
    if settings.holdout == 0 or (len(ids) < 8 and not named):
        return []
    among = [i for i, source in enumerate(sources) if not named or _is_in(source, Path(named))]
    if not among or (settings.holdout == 1 and len(among) == len(ids)):
        raise ValueError(
            f"{option('holdout_from')}: expected a file or folder with some of the {len(ids)} pieces, found "
            f"{os.fspath(named)!r} with {len(among)} of them"
        )
    order = np.random.default_rng(settings.seed).permutation(len(among))
    wanted, chosen = settings.holdout * sum(len(ids[i]) for i in among), []
    for i in (among[place] for place in order.tolist()):
        if len(ids[i]) > settings.window + 1 and wanted > 0:
            chosen.append(i)
            wanted -= len(ids[i])
    return sorted(chosen)


def _is_in(source: Path, place: Path) -> bool:
    """Return whether a file is `place`, or lies in it."""
    return Path(os.path.realpath(source)).is_relative_to(os.path.realpath(place))


def _tried(data: bytes) -> tuple[str, str | None]:
    """Return in words what a sample of a model has, and a warning if it repeats itself."""
    from lstmgen.generator import Generator
    from lstmgen.model import Model

    elements = [str(e) for e in Generator(Model(data)).sample(_SAMPLE, temp=1.0, seed=1, refresh=None)]
    piece = music.decode(elements)
    pitches = {note.pitch for note in piece.notes}
    text = (
        f"a sample of {_SAMPLE} elements: {len(piece.notes)} notes, {len(pitches)} pitches, {piece.length:.0f} quarters"
    )
    return text, music.stuck(elements)


# -- recipes -------------------------------------------------------------------------------------


def _events(
    keras: Any, settings: MusicSettings, vocabulary: Vocabulary, training: list[Ids], held_out: list[Ids]
) -> Any:
    n = len(vocabulary)
    keys = _keys(vocabulary) if settings.transpose else None
    size = max(_CHUNK, 2 * settings.window)
    chunks = [piece[i : i + size] for piece in held_out for i in range(0, len(piece) - size + 1, size)]
    return text.per_step(keras, _as_text(settings), n, training, chunks or held_out, keys, ends="ends" in settings.kept)


def _as_text(settings: MusicSettings) -> text.TextSettings:
    """Return the settings with which a text is learnt in the same way."""
    return text.TextSettings(
        epochs=settings.epochs,
        batch=settings.batch,
        lr=settings.lr,
        seed=settings.seed,
        units=settings.units,
        layers=settings.layers,
        dropout=settings.dropout,
        window=settings.window,
        length=settings.length,
        weight_decay=settings.weight_decay,
    )


def _long(training: list[Ids], settings: MusicSettings) -> list[Ids]:
    """Return the pieces that have more elements than a window."""
    return [piece for piece in training if len(piece) > settings.window]


def _keys(vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Return the id of each element in each key, (12, n). An unknown element keeps its id."""
    names, ids = vocabulary.elements, vocabulary.ids
    moved = [music.transposed(names, key) for key in music.KEYS]
    return np.array([[ids.get(new, ids[old]) for old, new in zip(names, row, strict=True)] for row in moved], np.int32)


def _lesson(
    keras: Any, settings: MusicSettings, vocabulary: Vocabulary, training: list[Ids], held_out: list[Ids]
) -> Any:
    layers, n = keras.layers, len(vocabulary)

    def network() -> Any:
        stack: list[Any] = [keras.Input((settings.window, 1))]
        for i in range(settings.layers):
            stack.append(layers.LSTM(settings.units, return_sequences=i < settings.layers - 1))
            stack.append(layers.Dropout(settings.dropout))
        return keras.Sequential([*stack, layers.Dense(n, activation="softmax")])

    model = network()
    model.compile(keras.optimizers.RMSprop(learning_rate=1e-3), keras.losses.SparseCategoricalCrossentropy())

    def scaled(ids: NDArray[Any]) -> NDArray[np.float32]:
        return (ids.astype(np.float64) / n).astype(np.float32)[..., None]

    data = batches.windows(_long(training, settings), settings.window, _LESSON_BATCH, scaled, seed=settings.seed)
    validation = batches.windows(held_out, settings.window, 256, scaled).dataset(keras) if held_out else None
    return model, network, data, validation
