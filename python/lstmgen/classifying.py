"""Classifying: which label a sequence has, and files of sequences."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstmgen.errors import OptionError, instance, option
from lstmgen.escaping import brief
from lstmgen.inputs import MAX_CORPUS
from lstmgen.options import is_scalar
from lstmgen.progress import bar
from lstmgen.vocabulary import reading

if TYPE_CHECKING:
    from lstmgen.model import Model

Classified = str | Iterable[str | int] | ArrayLike

LARGEST = 1e15  # the largest number that a sequence may hold
LABEL_NAMES = ("label", "labels", "class", "target", "category", "sentiment")  # names of the second column
SEQUENCE_NAMES = ("sequence", "sequences", "text", "word", "words", "numbers")  # names of the first column
_BATCH = 4096  # sequences of one length that run together
_TOGETHER = 4 * _BATCH  # sequences of all lengths that are in memory with their labels


class Classification(NamedTuple):
    """The label of a sequence, and the output for each label.

    label: the label with the largest output.
    probabilities: the output for each label. For a softmax it is a probability.

    >>> Classification("cat", {"cat": 0.75, "dog": 0.25}).label
    'cat'
    """

    label: str
    probabilities: dict[str, float]


def classify(model: Model, sequences: Iterable[Classified], on_unknown: str = "error") -> list[Classification]:
    """Return the classification of each sequence, as `Model.classify` does.

    model: a `Model` with labels.
    sequences, on_unknown: see `Model.classify`.

    Raises `ValueError` or `TypeError` that names the first sequence that cannot be classified.

    >>> import lstmgen
    >>> from lstmgen.binfile import writer
    >>> from lstmgen.network import Layer, Network
    >>> zeros = {"recurrent_kernel": np.zeros((2, 2), "f4"), "bias": np.zeros(2, "f4")}
    >>> arrays = {"kernel": np.eye(2, dtype="f4"), **zeros}
    >>> options = {"units": 2, "activation": "tanh", "return_sequences": False}
    >>> network = Network((Layer("simple_rnn", "rnn", options, arrays),), 0, 2, "")
    >>> data = writer.pack(network, encoding="features", labels=["cat", "dog"])
    >>> model = lstmgen.Model(data)
    >>> [one.label for one in classify(model, [[[9, 0]], [[0, 9], [0, 9]]])]
    ['cat', 'dog']
    """
    found = classify_each(model, sequences, on_unknown)
    for i, one in enumerate(found):
        if isinstance(one, Exception):
            raise type(one)(f"sequence {i}: {one}") from None
    return [one for one in found if isinstance(one, Classification)]


def classify_each(
    model: Model, sequences: Iterable[Classified], on_unknown: str = "error"
) -> list[Classification | ValueError | TypeError]:
    """Return the classification of each sequence, or the error that says why it has none.

    model: a `Model` with labels.
    sequences, on_unknown: see `Model.classify`.

    Raises `ValueError` or `TypeError` for what is wrong with all sequences.

    >>> import lstmgen
    >>> from lstmgen.binfile import writer
    >>> from lstmgen.network import Layer, Network
    >>> zeros = {"recurrent_kernel": np.zeros((2, 2), "f4"), "bias": np.zeros(2, "f4")}
    >>> arrays = {"kernel": np.eye(2, dtype="f4"), **zeros}
    >>> options = {"units": 2, "activation": "tanh", "return_sequences": False}
    >>> network = Network((Layer("simple_rnn", "rnn", options, arrays),), 0, 2, "")
    >>> data = writer.pack(network, encoding="features", labels=["cat", "dog"])
    >>> model = lstmgen.Model(data)
    >>> right, wrong = classify_each(model, [[[9, 0]], []])
    >>> right.label, wrong
    ('cat', ValueError('it is empty; expected at least one number'))
    """
    return list(classified(model, sequences, on_unknown))


def classified(
    model: Model, sequences: Iterable[Classified], on_unknown: str = "error"
) -> Iterator[Classification | ValueError | TypeError]:
    """Yield what `classify_each` returns. Only some thousands of labels are in memory at a time.

    model, sequences, on_unknown, errors: see `classify_each`.

    >>> import lstmgen
    >>> next(classified(lstmgen.Model("latex"), ["a"]))
    Traceback (most recent call last):
    ValueError: no classifier: the model has no labels; export it with labels=...
    """
    from lstmgen.model import Model as AnyModel

    if not instance("model", model, AnyModel).labels:
        raise ValueError(f"no classifier: the model has no labels; export it with {option('labels', ...)}")
    if isinstance(sequences, str | bytes) or not isinstance(sequences, Iterable) or is_scalar(sequences):
        raise TypeError(f"sequences: expected a list of sequences, found {brief(sequences)}")
    if model.vocabulary is not None:
        model.vocabulary.encode([], on_unknown)  # a wrong option is one error, not one for each sequence
    left = iter(sequences)
    with bar(len(sequences) if isinstance(sequences, Sequence) else None, "sequences") as shown:
        while some := list(islice(left, _TOGETHER)):
            yield from _labels(model, some, on_unknown, shown)


def _labels(
    model: Model, sequences: Sequence[Classified], on_unknown: str, shown: Any
) -> list[Classification | ValueError | TypeError]:
    encode = _numbers_of if model.encoding == "features" else _zero_padded if model.zero_padding else _ids_of
    encoded: list[NDArray[Any]] = []
    places: list[int] = []
    found: list[Classification | ValueError | TypeError] = []
    for i, sequence in enumerate(sequences):
        try:
            encoded.append(encode(model, sequence, on_unknown))
        except OptionError:  # it is wrong for all sequences
            raise
        except (ValueError, TypeError) as error:
            found.append(error)
            shown.update()
        else:
            places.append(i)
            found.append(Classification("", {}))  # replaced below
    for rows in _of_equal_length(encoded):
        shown.update(len(rows))
        try:
            outputs = model.predict(np.stack([encoded[i] for i in rows]))
        except ValueError as error:  # their length is wrong
            for row in rows:
                found[places[row]] = error
            continue
        for row, y in zip(rows, outputs, strict=True):
            shares = dict(zip(model.labels, map(float, y), strict=True))
            found[places[row]] = Classification(model.labels[int(y.argmax())], shares)
    return found


def _of_equal_length(encoded: Sequence[NDArray[Any]]) -> Iterator[list[int]]:
    lengths: dict[int, list[int]] = {}
    for i, sequence in enumerate(encoded):
        lengths.setdefault(len(sequence), []).append(i)
    for rows in lengths.values():
        for first in range(0, len(rows), _BATCH):
            yield rows[first : first + _BATCH]


def _ids_of(model: Model, sequence: Any, on_unknown: str) -> NDArray[np.uint32]:
    if model.vocabulary is not None:
        ids = model.vocabulary.encode(sequence, on_unknown)
    elif isinstance(sequence, str | bytes):
        raise TypeError(f"expected ids, since the model has no vocabulary, found {brief(sequence)}")
    else:
        ids = np.asarray(sequence)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise TypeError(f"expected ids, found {ids.dtype} of shape {ids.shape}")
    if not len(ids):
        raise ValueError("it is empty; expected at least one element")
    if (model.padding is not None or model.zero_padding) and model.window and len(ids) > model.window:
        raise ValueError(f"expected at most {model.window} elements, found {len(ids)}")
    if model.padding is not None and model.window:
        ids = np.concatenate([np.full(model.window - len(ids), model.padding, ids.dtype), ids])
    return ids


def _zero_padded(model: Model, sequence: Any, on_unknown: str) -> NDArray[np.float32]:
    """Return one-hot vectors of the elements. Vectors of zeros before them fill the window."""
    ids = _ids_of(model, sequence, on_unknown)
    size = model.input_shape[-1] or 1
    if not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise ValueError(f"expected ids from 0 to {size - 1}, found {ids.min()} to {ids.max()}")
    rows = np.zeros((model.window, size), np.float32)
    rows[np.arange(model.window - len(ids), model.window), ids] = 1
    return rows


def _numbers_of(model: Model, sequence: Any, on_unknown: str) -> NDArray[np.float32]:
    size = model.input_shape[-1] or 1
    try:
        values = np.asarray(parse_numbers(sequence) if isinstance(sequence, str) else sequence, np.float64)
    except TypeError:
        raise TypeError(f"expected numbers, found {brief(sequence)}") from None
    except OverflowError:
        raise ValueError(f"expected numbers between -{LARGEST:g} and {LARGEST:g}, found {brief(sequence)}") from None
    if not values.size:
        raise ValueError("it is empty; expected at least one number")
    if values.ndim == 1 and size == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != size:
        raise ValueError(f"expected {size} numbers a step, found an array of shape {values.shape}")
    if not (np.abs(values) <= LARGEST).all():
        raise ValueError(f"expected numbers between -{LARGEST:g} and {LARGEST:g}, found others")
    return values.astype(np.float32)


def parse_numbers(text: str) -> list[float]:
    """Return the numbers of a text, separated by spaces, by commas or by semicolons.

    Raises `ValueError` for any other text.

    >>> parse_numbers("0.5 1 -2"), parse_numbers("1,2"), parse_numbers("")
    ([0.5, 1.0, -2.0], [1.0, 2.0], [])
    """
    if "," in text and ";" in text:
        raise ValueError("both , and ; between numbers; expected one separator, and a point before decimals")
    separated = "," in text or ";" in text
    found = re.split(r"\s*[,;]\s*|\s+", text.strip()) if separated else text.split()
    values = []
    for piece in found:
        value = number(piece)
        if value is None:
            raise ValueError(f"expected a number, found {piece!r:.60}" if piece else "a number is missing")
        values.append(value)
    return values


def number(piece: str) -> float | None:
    """Return the finite number that a text is, from -1e15 to 1e15, or None.

    >>> number("0.5"), number("x"), number("1e16")
    (0.5, None, None)
    """
    try:
        value = math.nan if "_" in piece else float(piece)  # float() accepts 1_000
    except ValueError:
        return None
    return value if abs(value) <= LARGEST else None


# -- files -----------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One row of a CSV file.

    line: where it begins, from 1.
    sequence: its first field.
    label: its second field, or None without one.

    >>> Row(1, "abc", None).sequence
    'abc'
    """

    line: int
    sequence: str
    label: str | None


def read_sequences(path: str | os.PathLike[str]) -> list[Row]:
    """Return the rows of a `.csv`, or the lines of any other UTF-8 file.

    path: the file. Each line of a file that is no CSV is a sequence; empty lines are skipped.

    Raises what `read_csv` raises, and `ValueError` for a file without sequences.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "a.txt").write_text("abc\\n\\nde\\n") and read_sequences(f"{folder}/a.txt")
    [Row(line=1, sequence='abc', label=None), Row(line=3, sequence='de', label=None)]
    """
    name = os.fspath(path)
    if not name.lower().endswith(".csv"):
        return lines_of(name, reading.read_text(path, MAX_CORPUS))
    return _some(name, read_csv(path))


def lines_of(name: str, text: str) -> list[Row]:
    """Return the lines of a text, each a sequence. Empty lines are skipped.

    name: what an error calls the text.

    Raises `ValueError` for a text without sequences.

    >>> lines_of("stdin", "abc\\n\\nde")
    [Row(line=1, sequence='abc', label=None), Row(line=3, sequence='de', label=None)]
    """
    lines = text.removeprefix("\ufeff").splitlines()
    return _some(name, [Row(i, line, None) for i, line in enumerate(lines, 1) if line])


def _some(name: str, rows: list[Row]) -> list[Row]:
    if not rows:
        raise ValueError(f"{name}: it is empty; expected one sequence a line, or a CSV of sequence,label")
    return rows


def read_csv(path: str | os.PathLike[str], header: str = "auto") -> list[Row]:
    """Return the rows of a UTF-8 CSV of `sequence,label`, or of `sequence` alone.

    path: the file. Empty lines are skipped.
    header: "yes" or "no" for whether the first row names the columns. "auto" means that it does if
        it has common names, or words where all other rows have numbers.

    Raises `OSError`, or `ValueError` that names file and line.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "a").write_text("text,label\\nabc,x\\n") and read_csv(f"{folder}/a")
    [Row(line=2, sequence='abc', label='x')]
    """
    name = os.fspath(path)
    text = reading.read_text(path, MAX_CORPUS).removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) > 2:
                    raise ValueError(
                        f"{name}: line {line}: expected sequence,label, found {len(fields)} fields; a sequence with "
                        'commas needs quotes, as in "0,1,4",label'
                    )
                rows.append(Row(line, fields[0], fields[1].strip() if len(fields) == 2 else None))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}: line {line}: not CSV: {error}") from None
    if header == "yes" or (header == "auto" and _names_columns(name, rows)):
        del rows[:1]
    return rows


def _names_columns(name: str, rows: Sequence[Row]) -> bool:
    if not rows:
        return False
    first, label = rows[0].sequence.strip().lower(), (rows[0].label or "").lower()
    if first in LABEL_NAMES and label in SEQUENCE_NAMES:
        raise ValueError(f"{name}: line {rows[0].line}: expected the columns sequence,label, found {first},{label}")
    if label in LABEL_NAMES or (rows[0].label is None and first in SEQUENCE_NAMES):
        return True
    others = [row.sequence for row in rows[1:]]
    return bool(others) and all(number(piece) is None for piece in pieces(first)) and all(map(is_numeric, others))


def is_numeric(sequence: str) -> bool:
    """Return whether a sequence is made of numbers only.

    >>> is_numeric("1, 2"), is_numeric("1 a"), is_numeric("")
    (True, False, False)
    """
    found = pieces(sequence)
    return bool(found) and all(number(piece) is not None for piece in found)


def pieces(sequence: str) -> list[str]:
    """Return the pieces of a text between spaces, commas and semicolons.

    >>> pieces("1, 2;x")
    ['1', '2', 'x']
    """
    return re.split(r"[,;\s]+", sequence.strip()) if sequence.strip() else []
