"""Classifying: which label a sequence has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstmgen.arguments import is_scalar
from lstmgen.errors import OptionError, OptionTypeError, option
from lstmgen.escaping import brief
from lstmgen.progress import bar
from lstmgen.sequence_files import LARGEST, parse_numbers
from lstmgen.vocabulary import Vocabulary

Classified = str | Iterable[str | int] | ArrayLike

_BATCH = 4096  # sequences of one length that run together
_TOGETHER = 4 * _BATCH  # sequences of all lengths that are in memory with their labels


class _Classifier(Protocol):
    """What is needed of a `Model`, which imports this file."""

    vocabulary: Vocabulary | None

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def encoding(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int | None, ...]: ...
    @property
    def window(self) -> int: ...
    @property
    def padding(self) -> int | None: ...
    @property
    def zero_padding(self) -> bool: ...
    def predict(self, x: ArrayLike) -> NDArray[np.float32]: ...


class Classification(NamedTuple):
    """The label of a sequence, and the output for each label.

    label: the label with the largest output.
    probabilities: the output for each label. For a softmax it is a probability.

    >>> Classification("cat", {"cat": 0.75, "dog": 0.25}).label
    'cat'
    """

    label: str
    probabilities: dict[str, float]


def classify(model: _Classifier, sequences: Iterable[Classified], on_unknown: str = "error") -> list[Classification]:
    """Return the classification of each sequence, as `Model.classify` does.

    model, sequences, on_unknown: see `classified`.

    Raises `ValueError` or `TypeError` that names the first sequence that cannot be classified.

    >>> import lstmgen
    >>> classify(lstmgen.Model("latex"), ["a"])
    Traceback (most recent call last):
    ValueError: no classifier: the model has no labels; export it with labels=...
    """
    found = []
    for i, one in enumerate(classified(model, sequences, on_unknown)):
        if isinstance(one, Exception):
            raise type(one)(f"sequence {i}: {one}") from None
        found.append(one)
    return found


def classified(
    model: _Classifier, sequences: Iterable[Classified], on_unknown: str = "error"
) -> Iterator[Classification | ValueError | TypeError]:
    """Yield the classification of each sequence, or the error that says why it has none.

    Only some thousands of labels are in memory at a time.

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
    >>> right, wrong = classified(lstmgen.Model(data), [[[9, 0]], []])
    >>> right.label, wrong
    ('cat', ValueError('it is empty; expected at least one number'))
    """
    if (labels := getattr(model, "labels", None)) is None:
        raise OptionTypeError("model", "a Model", model)
    if not labels:
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
    model: _Classifier, sequences: Sequence[Classified], on_unknown: str, shown: Any
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


def _ids_of(model: _Classifier, sequence: Any, on_unknown: str) -> NDArray[np.uint32]:
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


def _zero_padded(model: _Classifier, sequence: Any, on_unknown: str) -> NDArray[np.float32]:
    """Return one-hot vectors of the elements. Vectors of zeros before them fill the window."""
    ids = _ids_of(model, sequence, on_unknown)
    size = model.input_shape[-1] or 1
    if not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise ValueError(f"expected ids from 0 to {size - 1}, found {ids.min()} to {ids.max()}")
    rows = np.zeros((model.window, size), np.float32)
    rows[np.arange(model.window - len(ids), model.window), ids] = 1
    return rows


def _numbers_of(model: _Classifier, sequence: Any, on_unknown: str) -> NDArray[np.float32]:
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
