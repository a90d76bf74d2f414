"""What lies between a Keras file and a `.bin`: layers as in docs/format.md, with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, ...]
Option = int | str | bool

MAX_LAYERS = 256
MAX_SIZE = 1_048_576  # units, input_size, input_dim, vocabulary
MAX_MATRIX = 2**31  # numbers in one matrix
MAX_STEPS = 65_536  # window, prime

# The tensors that `general.file_type` 32 stores as BF16; all others are always F32.
MATRICES = frozenset({"embeddings", "kernel", "recurrent_kernel"})

# Keys of each layer type, in the order of the file.
LAYER_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "embedding": {"input_dim": int, "units": int},
    "lstm": {
        "units": int,
        "activation": str,
        "recurrent_activation": str,
        "return_sequences": bool,
    },
    "dense": {"units": int, "activation": str},
    "affine": {},
    "activation": {"activation": str},
}


def tensor_shapes(layer_type: str, size: int, options: Mapping[str, Option]) -> dict[str, Shape]:
    """Name and Keras shape of each tensor of a layer that is fed `size` numbers, in file order."""
    units = int(options.get("units", 0))
    if layer_type == "embedding":
        return {"embeddings": (int(options["input_dim"]), units)}
    if layer_type == "lstm":
        return {
            "kernel": (size, 4 * units),
            "recurrent_kernel": (units, 4 * units),
            "bias": (4 * units,),
        }
    if layer_type == "dense":
        return {"kernel": (size, units), "bias": (units,)}
    if layer_type == "affine":
        return {"scale": (size,), "offset": (size,)}
    return {}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer: `type`, `options` and `arrays` as in section 4 of docs/format.md."""

    type: str
    name: str
    options: dict[str, Option]
    arrays: dict[str, Array]

    def output_size(self, size: int) -> int:
        """Numbers per step that the layer gives when fed `size` numbers per step."""
        return int(self.options.get("units", size))

    @property
    def recurrent(self) -> bool:
        """Whether the layer carries state from step to step."""
        return self.type == "lstm"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A chain of layers.

    `window` is the number of time steps that the model was saved with, 0 if it was not fixed.
    `input_size` is the number of numbers per step, or of ids if the first layer is an embedding.
    """

    layers: tuple[Layer, ...]
    window: int
    input_size: int
    keras_version: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Input size of each layer, then the size of the output: one number more than layers."""
        sizes = [self.input_size]
        for layer in self.layers:
            sizes.append(layer.output_size(sizes[-1]))
        return tuple(sizes)

    @property
    def outputs(self) -> int:
        """Numbers per step that come out of the last layer."""
        return self.sizes[-1]

    @property
    def takes_ids(self) -> bool:
        """Whether the input is ids of an embedding rather than numbers."""
        return bool(self.layers) and self.layers[0].type == "embedding"

    @property
    def returns_sequences(self) -> bool:
        """Whether there is an output at each step rather than only after the last one."""
        return all(layer.options.get("return_sequences", True) for layer in self.layers)
