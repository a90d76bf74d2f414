"""Small random networks, made without Keras."""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lstmgen.binfile import writer
from lstmgen.network import LAYER_TYPES, NETWORK_INPUT, Layer, Network, OptionValue

Spec = tuple[Any, ...]

TEXT = [("lstm", 20), ("lstm", 17), ("dense", 11, "softmax")]


def network(
    layers: Sequence[Spec] = TEXT,
    inputs: int = 11,
    window: int = 12,
    *,
    seed: int = 7,
    scale: float = 1.0,
    sequences: bool = False,
    vectors: Collection[int] = (),
    reads: Mapping[int, tuple[int, ...]] | None = None,
    arrays: Mapping[str, ArrayLike] | None = None,
) -> Network:
    """Return a network of random weights, uniform in -scale to scale.

    layers: each is a tuple of its type and its options, in the order of docs/format.md. These are
        short forms: ("lstm", units[, activation, recurrent_activation]), ("gru", units[,
        activation, recurrent_activation, reset_after]), ("simple_rnn", units[, activation]),
        ("embedding", units). A layer is called `<type>_<index>`.
    sequences: whether the last recurrent layer gives an output at each step.
    vectors: indices of recurrent layers that give only their last output.
    reads: what the layers of these indices read, if that is not the layer before.
    arrays: tensors by their names in the file, such as "dense_2.bias".
    """
    rng = np.random.default_rng(seed)
    last = max((i for i, spec in enumerate(layers) if LAYER_TYPES[spec[0]].recurrent), default=0)
    made: list[Layer] = []
    for i, (kind, *rest) in enumerate(layers):
        options = _options(kind, rest, inputs, i not in vectors and (i < last or sequences))
        made.append(Layer(kind, f"{kind}_{i}", options, {}, (reads or {}).get(i)))
    bare = Network(tuple(made), window, inputs, "3.15.1")
    for i, layer in enumerate(made):
        for tensor, shape in layer.tensors(bare.size_into(i)).items():
            drawn: ArrayLike = rng.uniform(-scale, scale, shape)
            given = (arrays or {}).get(f"{layer.name}.{tensor}", drawn)
            layer.arrays[tensor] = np.asarray(given, np.float32)
    return bare


_DEFAULTS: Mapping[str, list[Any]] = {
    "lstm": ["tanh", "sigmoid"],
    "gru": ["tanh", "sigmoid", True],
    "simple_rnn": ["tanh"],
}


def _options(kind: str, rest: list[Any], inputs: int, sequences: bool) -> dict[str, OptionValue]:
    if kind == "embedding":
        return {"input_dim": inputs, "units": rest[0]}
    if LAYER_TYPES[kind].recurrent:
        rest = [*rest, *_DEFAULTS[kind][len(rest) - 1 :]]
        rest.insert(2 if kind == "simple_rnn" else 3, sequences)
    return dict(zip(LAYER_TYPES[kind].keys, rest, strict=True))


def packed(of: Network | None = None, *, encoding: str = "onehot", **options: Any) -> bytes:
    """Return the bytes of a `.bin`.

    By default it has the vocabulary "abc..." and a prime of one window. `vocabulary=None` and
    `prime=None` leave these out.
    """
    of = of or network()
    generates = encoding != "features"
    letters = string.ascii_letters[: of.outputs]
    vocabulary = list(letters) if generates and len(letters) == of.outputs else None
    prime = [i * 7 % of.outputs for i in range(of.window or 12)] if generates else None
    options = {"vocabulary": vocabulary, "prime": prime} | options
    if options["vocabulary"] is not None:
        options.setdefault("vocabulary_kind", "text")
    return writer.pack(of, encoding=encoding, **options)


def _of_letters(layers: list[Any], reads: dict[int, tuple[int, ...]] | None = None, *, inputs: int = 11) -> Network:
    return network([*layers, ("dense", 11, "softmax")], inputs, 6, reads=reads)


# Networks whose sequences may run side by side, and their encodings.
SIDE_BY_SIDE: dict[str, tuple[Network, str]] = {
    "two lstm": (network(), "onehot"),
    "embedding": (_of_letters([("embedding", 7), ("lstm", 9), ("gru", 8)]), "index"),
    "masked embedding": (
        _of_letters(
            [("embedding", 7), ("mask", 3.0), ("lstm", 9), ("gru", 8)], {1: (NETWORK_INPUT,), 2: (0, 1), 3: (2, 1)}
        ),
        "index",
    ),
    "numbers": (_of_letters([("lstm", 9), ("simple_rnn", 8)], inputs=1), "scaled"),
    "dense before": (
        _of_letters([("dense", 7, "relu"), ("lstm", 9), ("concatenate",), ("gru", 8)], {2: (0, 1)}),
        "onehot",
    ),
    "sum with what is shared": (
        _of_letters([("dense", 9, "tanh"), ("lstm", 9), ("add",), ("lstm", 8)], {2: (0, 1)}),
        "onehot",
    ),
    "other activations": (_of_letters([("lstm", 9, "softsign"), ("gru", 8, "elu", "sigmoid", False)]), "onehot"),
    "reset before": (_of_letters([("embedding", 5), ("gru", 70, "tanh", "sigmoid", False)]), "index"),
    "whole windows": (_of_letters([("reverse",), ("lstm", 9)], inputs=1), "scaled"),
}


def classifier() -> bytes:
    """Return a `.bin` that classifies texts of "a", "b" and "c" as "cat" or "dog"."""
    return writer.pack(
        network([("embedding", 4), ("lstm", 5), ("dense", 2, "softmax")], inputs=4, window=6),
        encoding="index",
        labels=["cat", "dog"],
        vocabulary=["", "a", "b", "c"],
        vocabulary_kind="text",
        padding=0,
    )
