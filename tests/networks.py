"""Small random networks, made without Keras."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lstmgen import container
from lstmgen.network import Layer, Network, Option, tensor_shapes

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
    arrays: Mapping[str, ArrayLike] | None = None,
) -> Network:
    """A network of `layers`, weights uniform in -scale .. scale.

    A layer is ("lstm", units[, activation, recurrent_activation]), ("dense", units, activation),
    ("embedding", units), ("affine",) or ("activation", name); it is called `<type>_<index>`.
    `sequences`: the last LSTM gives an output at each step. `arrays` replaces tensors by their
    names in the file, such as "dense_2.bias".
    """
    rng = np.random.default_rng(seed)
    last = max((i for i, spec in enumerate(layers) if spec[0] == "lstm"), default=0)
    made = []
    size = inputs
    for i, (kind, *rest) in enumerate(layers):
        options = _options(kind, rest, inputs, i < last or sequences)
        name = f"{kind}_{i}"
        weights = {}
        for tensor, shape in tensor_shapes(kind, size, options).items():
            drawn: ArrayLike = rng.uniform(-scale, scale, shape)
            given = (arrays or {}).get(f"{name}.{tensor}", drawn)
            weights[tensor] = np.asarray(given, np.float32)
        made.append(Layer(kind, name, options, weights))
        size = made[-1].output_size(size)
    return Network(tuple(made), window, inputs, "3.15.1")


def _options(kind: str, rest: list[Any], inputs: int, sequences: bool) -> dict[str, Option]:
    if kind == "lstm":
        activation, recurrent = rest[1:] or ("tanh", "sigmoid")
        return {
            "units": rest[0],
            "activation": activation,
            "recurrent_activation": recurrent,
            "return_sequences": sequences,
        }
    if kind == "dense":
        return {"units": rest[0], "activation": rest[1]}
    if kind == "embedding":
        return {"input_dim": inputs, "units": rest[0]}
    return {"activation": rest[0]} if kind == "activation" else {}


def packed(of: Network | None = None, *, encoding: str = "onehot", **options: Any) -> bytes:
    """The bytes of a `.bin`: by default with the vocabulary "abc..." and a prime of one window.

    `vocabulary=None` and `prime=None` leave these out.
    """
    of = of or network()
    generates = encoding != "features"
    letters = string.ascii_letters[: of.outputs]
    vocabulary = list(letters) if generates and len(letters) == of.outputs else None
    prime = [i * 7 % of.outputs for i in range(of.window or 12)] if generates else None
    options = {"vocabulary": vocabulary, "prime": prime} | options
    if options["vocabulary"] is not None:
        options.setdefault("vocabulary_kind", "text")
    return container.pack(of, encoding=encoding, **options)
