"""Batches of texts: slices with a target at each step, streams, and windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstmgen.training.loop import Batches

T = TypeVar("T")
Ids = NDArray[np.int32]

LESSON_BATCH = 50
LEAST_SEQUENCES = 512  # of an epoch, which makes several passes over a short text


class _Settings(Protocol):
    """The settings of `TextSettings` that batches depend on."""

    @property
    def recipe(self) -> str: ...
    @property
    def batch(self) -> int | None: ...
    @property
    def length(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def carry(self) -> bool: ...
    @property
    def seed(self) -> int: ...


def known(value: T | None) -> T:
    """Return a setting that `TextSettings.paced` has filled in."""
    if value is None:
        raise TypeError("batch: TextSettings.paced fills it in")
    return value


def encoded(ids: NDArray[Any], onehot: int | None) -> NDArray[Any]:
    """Return ids, or their one-hot vectors of the length `onehot`."""
    return ids if onehot is None else np.eye(onehot, dtype=np.float32)[ids]


def data_steps(settings: _Settings, texts: list[Ids]) -> int:
    """Return the steps of an epoch: one pass, or `LEAST_SEQUENCES` sequences if that is more."""
    if settings.recipe == "lesson":
        return window_steps(texts, settings.window, LESSON_BATCH)
    if settings.carry:
        return max(1, sum(map(len, texts)) // (known(settings.batch) * settings.length))
    sequences = sum((len(text) - 1) // settings.length for text in texts)
    return max(1, max(LEAST_SEQUENCES, sequences) // known(settings.batch))


def slices(
    texts: list[Ids], settings: _Settings, onehot: int | None, keys: NDArray[np.int32] | None, ends: bool
) -> Batches:
    """Return slices of the texts with a target at each step.

    Each epoch cuts the texts at other places, and shuffles the slices.

    keys: as in `text.per_step`.
    ends: whether each epoch also has the first and the last slice of each text.
    """
    length, batch = settings.length, known(settings.batch)

    def epoch(number: int) -> Callable[[int], tuple[Any, Any]]:
        rng = np.random.default_rng((settings.seed, number))
        rows = []
        for text in texts:
            first = int(rng.integers(0, length))
            rows += [text[i : i + length + 1] for i in range(first, len(text) - length, length)]
            if ends and len(text) > length:
                rows += [text[: length + 1], text[-length - 1 :]]
        if not rows:  # a short text is cut at its start
            rows = [text[: length + 1] for text in texts if len(text) > length]
        rng.shuffle(rows)
        if keys is not None:
            rows = [keys[rng.integers(len(keys))][row] for row in rows]

        def made(step: int) -> tuple[Any, Any]:
            block = np.stack([rows[(step * batch + k) % len(rows)] for k in range(batch)])
            return encoded(block[:, :-1], onehot), block[:, 1:]

        return made

    return Batches(data_steps(settings, texts), epoch)


def streams(texts: list[Ids], settings: _Settings, onehot: int | None) -> Batches:
    """Return sequences of the joined texts, in as many streams as a batch has rows.

    Row k of a batch continues row k of the batch before. Each epoch starts at another place.
    """
    length, batch = settings.length, known(settings.batch)
    joined = np.concatenate(texts)

    def epoch(number: int) -> Callable[[int], tuple[Any, Any]]:
        first = np.random.default_rng((settings.seed, number)).integers(len(joined))
        starts = first + np.arange(batch)[:, None] * len(joined) // batch

        def made(step: int) -> tuple[Any, Any]:
            block = joined[(starts + step * length + np.arange(length + 1)) % len(joined)]
            return encoded(block[:, :-1], onehot), block[:, 1:]

        return made

    return Batches(data_steps(settings, texts), epoch)


def rows(whole: tuple[NDArray[Any], ...], batch: int) -> Batches:
    """Return what `whole` returns as batches of `batch` rows. Rows that fill the last weigh 0."""
    inputs, targets, weights = whole
    empty = -len(inputs) % batch
    weights = weights * ((len(inputs) + empty) / len(inputs))
    filled = [np.pad(array, [(0, empty)] + [(0, 0)] * (array.ndim - 1)) for array in (inputs, targets, weights)]
    split = [np.split(array, len(array) // batch) for array in filled]
    return Batches(len(split[0]), lambda epoch: lambda step: tuple(parts[step] for parts in split))


def shared_out(texts: list[Ids], rows: int, window: int) -> list[Ids]:
    """Cut held-out texts into at most `rows` parts, so that the rows of a batch are used.

    A part begins with the `window` elements before it, which warm up the state. It has at least
    four times as many elements of its own.
    """
    shared = []
    for text in texts:
        measured = len(text) - window
        parts = max(1, min(rows // len(texts), measured // (4 * window)))
        size = measured // parts
        shared += [text[i * size : window + (i + 1) * size] for i in range(parts)]
    return shared


def whole(texts: list[Ids], window: int, onehot: int | None) -> Any:
    """Return (inputs, targets, weights) of held-out texts, which are read with a carried state.

    The first `window` elements of each text only warm up the state, and weigh 0. Returns None
    without texts.
    """
    if not texts:
        return None
    n = min(map(len, texts))
    block = np.stack([text[:n] for text in texts])
    weights = np.zeros((len(block), n - 1), np.float32)
    weights[:, window - 1 :] = (n - 1) / (n - window)  # Keras divides the sum by n - 1
    return encoded(block[:, :-1], onehot), block[:, 1:], weights


def windows(
    texts: list[Ids],
    window: int,
    batch: int,
    encode: Callable[[NDArray[Any]], NDArray[Any]],
    seed: int | None = None,
) -> Batches:
    """Return batches of windows, each with the element after it as its target.

    encode: turns a batch of windows into the input of the network.
    seed: the seed of the order of the windows. None leaves them in order.

    The lesson reads 10,000 windows at a time, since not all of them fit into memory. The batches
    are the same.
    """
    starts = np.concatenate([np.arange(len(text) - window) + offset for text, offset in _offsets(texts)])
    joined = np.concatenate(texts)
    size = len(starts) // batch * batch or len(starts)
    if seed is not None:
        np.random.default_rng(seed).shuffle(starts)

    def made(step: int) -> tuple[Any, Any]:
        first = starts[step * batch : min((step + 1) * batch, size)]
        block = joined[first[:, None] + np.arange(window + 1)]
        return encode(block[:, :-1]), block[:, -1]

    return Batches(window_steps(texts, window, batch), lambda epoch: made)


def window_steps(texts: list[Ids], window: int, batch: int) -> int:
    """Return the number of batches of windows, at least 1."""
    return max(1, sum(max(0, len(text) - window) for text in texts) // batch)


def _offsets(texts: list[Ids]) -> list[tuple[Ids, int]]:
    offset, pairs = 0, []
    for text in texts:
        pairs.append((text, offset))
        offset += len(text)
    return pairs
