"""Sequences with a label: words, or numbers such as the points of a curve."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen import inputs
from lstmgen.errors import option
from lstmgen.exporting import FACTS, ExportOptions
from lstmgen.network import MAX_STEPS
from lstmgen.sequence_files import Row, is_numeric, parse_numbers, pieces, read_csv
from lstmgen.signatures import with_keywords
from lstmgen.training.backend import import_keras
from lstmgen.training.loop import Batches, Job, TrainingReport, run
from lstmgen.training.progress import Outline, announce
from lstmgen.training.settings import Settings, asked_for, batch_setting, changed, described, lr_setting, setting
from lstmgen.training.start import Elements, begin

_UNIT = "bits/label"
KINDS = ("auto", "letters", "numbers")
HEADERS = ("auto", "yes", "no")
LEAST_TO_HOLD_OUT = 100  # rows; a share of fewer is too small to measure on
LEAST_STEPS = 20  # of an epoch
FITTED = 0.05  # nats of loss below which a training without held-out rows ends
PADDING = float(np.float32(-1e29))  # of sequences of numbers: `parse_numbers` never returns it


@described
@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(Settings):
    """The settings of the training of a classifier, beside those of `Settings`.

    An epoch has at least 20 steps, which may be several passes over the rows. With fewer than 100
    rows nothing is held out, and the training ends when the network fits all rows.

    >>> ClassifierSettings(units=16).holdout
    0.2
    """

    epochs: int = changed(Settings, "epochs", 60)
    patience: int = changed(Settings, "patience", 10)
    holdout: float = changed(Settings, "holdout", 0.2)
    units: int = changed(Settings, "units", 64)
    batch: int = batch_setting(32)
    lr: float = lr_setting(2e-3)
    kind: str = setting(
        "auto", "what the sequences hold. auto: what most of them hold", choices=KINDS, architecture=True
    )
    header: str = setting("auto", "whether the first row names the columns. auto: its words decide", choices=HEADERS)
    embedding: int = setting(16, "size of the vector that stands for a letter", least=1, most=65_536, architecture=True)


class Examples(NamedTuple):
    """Sequences with labels.

    texts: the sequences as in the file.
    sequences: the sequences as the network reads them: ids, or numbers.
    targets: the index of the label of each sequence.
    labels: the labels.
    letters: the letters for the ids from 1 on; None for numbers.
    """

    texts: list[str]
    sequences: list[NDArray[Any]]
    targets: NDArray[np.int64]
    labels: list[str]
    letters: list[str] | None


@with_keywords(ExportOptions, only=FACTS)
def train_classifier(
    csv: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: ClassifierSettings | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **facts: str | None,
) -> TrainingReport:
    """Train a classifier, and export it.

    csv: the path of a CSV in UTF-8 with the columns sequence and label.
    settings: see `ClassifierSettings`. None: the defaults.
    out, callbacks, facts: as in `train_text`.

    Returns and raises the same as `train_text`. An error about the CSV names the file and the line.
    """
    path = Path(csv)
    asked = asked_for("train_classifier", ClassifierSettings, settings, facts, FACTS)
    start = begin(Path(out), asked, [path])
    settings = start.settings
    examples = read_examples(path, settings.kind, settings.header)
    training, held_out = split(examples.targets, settings.holdout, settings.seed)
    measured = held_out if len(held_out) else training
    about = _about(path, examples, len(held_out), settings)
    start.check_data(about, _UNIT)
    data = _batches(examples, training, settings)
    counts = ", ".join(f"{n} {label}" for label, n in _counts(examples).items())
    lines = [f"{len(examples.texts)} sequences of {about['kind']}: {counts}"]
    if not len(held_out) and settings.holdout:
        lines.append(f"fewer than {LEAST_TO_HOLD_OUT} rows, or no label with enough: nothing is held out")
    batch = min(settings.batch, len(training))
    announce(lines, _described(settings, examples), data.steps, batch, settings.epochs)
    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    make = _network(keras, settings, examples)
    model = make()
    model.compile(
        keras.optimizers.Adam(settings.lr, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    job = Job(
        start=start,
        model=model,
        saved=make,
        data=data,
        validation=padded(examples, held_out) if len(held_out) else None,
        unit=_UNIT,
        scale=1 / math.log(2),
        options={"labels": examples.labels, "window": _steps(examples) or None, **_elements(examples), **facts},
        elements=Elements(["", *examples.letters] if examples.letters else [], examples.labels),
        facts=about,
        measure=lambda data: _accuracy(data, examples, measured, bool(len(held_out))),
        callbacks=[*_own_callbacks(keras, settings, bool(len(held_out))), *callbacks],
    )
    return run(job)


# -- data ----------------------------------------------------------------------------------------


def _about(path: Path, examples: Examples, held_out: int, settings: ClassifierSettings) -> dict[str, Any]:
    """Return the facts on the data, for the card."""
    return {
        "corpus": path.name,
        "corpus_sha256": hashlib.sha256(inputs.read(path, inputs.MAX_CORPUS, pipe=False)).hexdigest(),
        "kind": "numbers" if examples.letters is None else "letters",
        "rows": _counts(examples),
        "held_out": held_out,
        "recipe": settings.facts(),
    }


def read_examples(path: Path, kind: str = "auto", header: str = "auto") -> Examples:
    """Return the sequences and labels of a CSV.

    kind, header: as in `ClassifierSettings`.

    Raises `OSError`, or `ValueError` that names the file and the line.
    """
    rows = read_csv(path, header)
    if not rows:
        raise ValueError(f"{path}: it is empty: expected rows of sequence,label")
    for row in rows:
        if not row.label:
            other = next((f": the separator is a comma, not {sep!r}" for sep in ";\t" if sep in row.sequence), "")
            raise ValueError(f"{path}: line {row.line}: expected sequence,label, found a row without label{other}")
        if not row.sequence.strip():
            raise ValueError(f"{path}: line {row.line}: the sequence is empty")
    labels = list(dict.fromkeys(row.label for row in rows if row.label))
    if len(labels) < 2:
        raise ValueError(
            f"{path}: line {rows[-1].line}: expected at least two different labels, found only {labels[0]!r}"
        )
    texts = [row.sequence for row in rows]
    if len(labels) == len(rows) > len(set(texts)):
        swapped = "each label is in one row only, and sequences are in several: are the columns sequence,label?"
        warnings.warn(f"{path}: {swapped}", UserWarning, stacklevel=2)
    numbers = kind == "numbers" or (kind == "auto" and _mostly_numbers(texts))
    letters = None if numbers else sorted(set("".join(texts)))
    ids = {letter: i for i, letter in enumerate(letters or [], 1)}
    sequences = []
    for row in rows:
        try:
            sequences.append(_parsed(row, ids, kind) if letters is not None else _parsed_numbers(row, kind))
        except ValueError as error:
            raise ValueError(f"{path}: line {row.line}: {error}") from None
    targets = np.array([labels.index(row.label or "") for row in rows])
    return Examples(texts, sequences, targets, labels, letters)


def _mostly_numbers(texts: Sequence[str]) -> bool:
    """Return whether most sequences have only numbers, and one has several."""
    numeric = [text for text in texts if is_numeric(text)]
    return 2 * len(numeric) > len(texts) and any(len(pieces(text)) > 1 for text in numeric)


def _parsed(row: Row, ids: dict[str, int], kind: str) -> NDArray[np.int32]:
    _check_length(len(row.sequence))
    if "\0" in row.sequence:
        raise ValueError("expected a sequence without U+0000, found one with it")
    return np.array([ids[letter] for letter in row.sequence], np.int32)


def _parsed_numbers(row: Row, kind: str) -> NDArray[np.float32]:
    try:
        values = parse_numbers(row.sequence)
    except ValueError as error:
        hint = "" if kind == "numbers" else f"; most sequences are numbers; {option('kind', 'letters')} reads letters"
        raise ValueError(f"{error}{hint}") from None
    _check_length(len(values))
    return np.array(values, np.float32)


def _check_length(length: int) -> None:
    if length > MAX_STEPS:
        raise ValueError(f"expected at most {MAX_STEPS} elements, found {length}")


def split(targets: NDArray[np.int64], holdout: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on, and the rows to measure on.

    targets: the index of the label of each row.
    holdout: the share of each label's rows to measure on, 0 to 0.5.
    seed: the seed of the draw.

    Of fewer than 100 rows, all are to train on.
    """
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(targets), bool)
    if len(targets) >= LEAST_TO_HOLD_OUT:
        for label in np.unique(targets):
            rows = rng.permutation(np.flatnonzero(targets == label))
            held_out[rows[: int(len(rows) * holdout + 0.5)]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def padded(examples: Examples, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sequences and the targets of `rows`. Padding on the right makes the sequences as
    long as the longest of all examples.
    """
    longest = max(map(len, examples.sequences))
    if examples.letters is None:
        x: NDArray[Any] = np.full((len(rows), longest, 1), PADDING, np.float32)
        for i, row in enumerate(rows):
            x[i, : len(examples.sequences[row]), 0] = examples.sequences[row]
    else:
        x = np.zeros((len(rows), longest), np.int32)
        for i, row in enumerate(rows):
            x[i, : len(examples.sequences[row])] = examples.sequences[row]
    return x, examples.targets[rows]


def _batches(examples: Examples, rows: NDArray[np.int64], settings: ClassifierSettings) -> Batches:
    """Return batches of `rows`. Each pass over them has another order."""
    batch = min(settings.batch, len(rows))
    a_pass = math.ceil(len(rows) / batch)
    passes = math.ceil(LEAST_STEPS / a_pass)

    def epoch(number: int) -> Callable[[int], tuple[Any, Any]]:
        rng = np.random.default_rng((settings.seed, number))
        orders = [rng.permutation(rows) for _ in range(passes)]

        def made(step: int) -> tuple[Any, Any]:
            first = step % a_pass * batch
            return padded(examples, orders[step // a_pass][first : first + batch])

        return made

    return Batches(passes * a_pass, epoch)


def _counts(examples: Examples) -> dict[str, int]:
    """Return how many rows each label has."""
    counts = Counter(examples.targets.tolist())
    return {label: counts[i] for i, label in enumerate(examples.labels)}


# -- network -------------------------------------------------------------------------------------


def _steps(examples: Examples) -> int:
    """Return the common length of all sequences of numbers. 0 if they differ, and for letters."""
    lengths = set(map(len, examples.sequences))
    return lengths.pop() if examples.letters is None and len(lengths) == 1 else 0


def _described(settings: ClassifierSettings, examples: Examples) -> Outline:
    """Return in words the network to train. It needs no Keras."""
    if examples.letters is None:
        network = Outline("numbers", 1).standardize()
    else:
        network = Outline("ids", len(examples.letters) + 1).embedding(settings.embedding)
    for _ in range(settings.layers):
        network.lstm(settings.units)
    return network.dense(len(examples.labels))


def _network(keras: Any, settings: ClassifierSettings, examples: Examples) -> Callable[[], Any]:
    """Return a function that makes the network.

    Its layers are an Embedding for letters, or a Masking and a standardisation for numbers, then
    LSTMs and a Dense.
    """
    layers = keras.layers
    steps = _steps(examples)
    numbers = examples.letters is None
    joined = np.concatenate(examples.sequences).astype(np.float64)
    mean, variance = joined.mean(), joined.var()

    def first() -> list[Any]:
        if examples.letters is not None:
            n = len(examples.letters) + 1
            return [
                keras.Input((None,)),
                layers.Embedding(n, settings.embedding, mask_zero=True, name="embedding"),
            ]
        # The network standardizes its input itself, with the mean and variance of the data.
        standardize = layers.BatchNormalization(
            center=False, scale=False, epsilon=1e-12, trainable=False, name="standardize"
        )
        masking = [] if steps else [layers.Masking(PADDING, name="masking")]
        return [keras.Input((steps or None, 1)), *masking, standardize]

    def network() -> Any:
        stack = first()
        for i in range(settings.layers):
            last = i == settings.layers - 1
            stack.append(layers.LSTM(settings.units, return_sequences=not last, name=f"lstm_{i + 1}"))
            stack.append(layers.Dropout(settings.dropout, name=f"dropout_{i + 1}"))
        stack.append(layers.Dense(len(examples.labels), activation="softmax", name="dense"))
        model = keras.Sequential(stack)
        if numbers:
            model.get_layer("standardize").set_weights(
                [np.array([mean], np.float32), np.array([variance or 1.0], np.float32)]
            )
        return model

    return network


def _elements(examples: Examples) -> dict[str, Any]:
    """Return the options of the export that describe the input."""
    if examples.letters is None:
        return {"encoding": "features"}
    ids = {letter: i for i, letter in enumerate(examples.letters, 1)}
    return {"encoding": "index", "vocab": {"word_index": ids}, "vocabulary_kind": "text"}


def _own_callbacks(keras: Any, settings: ClassifierSettings, held_out: bool) -> list[Any]:
    slower = keras.callbacks.ReduceLROnPlateau(
        "val_loss" if held_out else "loss", factor=0.5, patience=4, min_lr=settings.lr / 64
    )
    return [slower] if held_out else [slower, _until_it_fits(keras)]


def _until_it_fits(keras: Any) -> Any:
    class UntilItFits(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs and logs["accuracy"] == 1 and logs["loss"] < FITTED:
                self.model.stop_training = True

    return UntilItFits()


def _accuracy(data: bytes, examples: Examples, rows: NDArray[np.int64], held_out: bool) -> dict[str, Any]:
    """Return the share of the rows that the exported network classifies right."""
    from lstmgen.model import Model

    given: list[Any] = (
        [examples.sequences[i] for i in rows] if examples.letters is None else [examples.texts[i] for i in rows]
    )
    found = Model(data).classify(given)
    right = sum(one.label == examples.labels[examples.targets[i]] for one, i in zip(found, rows, strict=True))
    return {"held_out_accuracy" if held_out else "training_accuracy": round(right / len(rows), 4)}
