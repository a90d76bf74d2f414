"""What lies between a Keras file and a `.bin`: layers as in docs/format.md, with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network.layer_types import LayerType, Option, Shape, Value, layer_type

Array = NDArray[np.float32]

MAX_LAYERS = 256
MAX_MATRIX = 2**31  # numbers in one matrix

NETWORK_INPUT = -1  # as an entry of Layer.inputs

# The tensors that a file of bf16 or int8 rounds; all others are always F32.
MATRICES = frozenset({"embeddings", "kernel", "recurrent_kernel"})


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer: `type`, `options` and `arrays` as in section 4 of docs/format.md.

    `inputs` holds the index of each layer that feeds this one, or NETWORK_INPUT; None stands for
    the layer before.
    """

    type: str
    name: str
    options: dict[str, Option]
    arrays: dict[str, Array]
    inputs: tuple[int, ...] | None = None

    @property
    def row(self) -> LayerType:
        """What the table of layer types says of it. Raises `ModelFormatError` for an unknown type."""
        return layer_type(self.type)

    def tensors(self, size: int) -> dict[str, Shape]:
        """Name and Keras shape of each tensor, in file order, if the first input has `size` numbers
        a step.
        """
        return self.row.tensors(size, self.options)


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in an order in which each comes after those that feed it; the last gives the output.

    `window` is the number of time steps that the model was saved with, 0 if it was not fixed.
    `input_size` is the number of numbers per step, or of ids if an embedding reads them. `elements`
    holds what the file, or one beside it, says of the elements: "vocab", the elements themselves;
    "beside", paths of vocabularies with whether the name says that they belong to the file; "kind",
    "tokenizer", "stop", "start"; "blank", if a text starts from padding.
    """

    layers: tuple[Layer, ...]
    window: int
    input_size: int
    keras_version: str
    assumed: tuple[str, ...] = field(default=())  # what the file did not say
    elements: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, i: int) -> tuple[int, ...]:
        """Indices of the layers that feed layer `i`; NETWORK_INPUT for the network's own input."""
        inputs = self.layers[i].inputs
        return (i - 1,) if inputs is None else inputs  # -1 is NETWORK_INPUT

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """What each layer puts out. Raises `ModelFormatError` if the layers do not fit together."""
        values: list[Value] = []
        for i, layer in enumerate(self.layers):
            given = [Value(self.input_size, 0) if j == NETWORK_INPUT else values[j] for j in self.inputs(i)]
            try:
                values.append(layer.row.value(given, layer.options, self.window))
            except ModelFormatError as error:
                raise ModelFormatError(f"layer {layer.name}: {error}") from None
        return tuple(values)

    def size_into(self, i: int) -> int:
        """Numbers per step that the first input of layer `i` brings."""
        source = self.inputs(i)[0]
        return self.input_size if source == NETWORK_INPUT else self.values[source].size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Size of the input, then of each layer's output."""
        return (self.input_size, *(value.size for value in self.values))

    @property
    def outputs(self) -> int:
        """Numbers per step that come out of the last layer."""
        return self.values[-1].size

    @property
    def takes_ids(self) -> bool:
        """Whether the input is ids of an embedding rather than numbers."""
        return any(layer.type == "embedding" for layer in self.layers)

    @property
    def returns_sequences(self) -> bool:
        """Whether there is an output at each step rather than only after the last one."""
        return self.values[-1].steps is not None

    @property
    def whole(self) -> bool:
        """Whether the network must see all steps of its input before it can give an output."""
        return any(layer.row.whole for layer in self.layers)

    @property
    def fixed_steps(self) -> bool:
        """Whether the network takes exactly `window` steps."""
        for i, layer in enumerate(self.layers):
            steps = {0 if j == NETWORK_INPUT else self.values[j].steps for j in self.inputs(i)}
            if 0 in steps and (layer.row.fixes_steps or len(steps) > 1):
                return True
        return False
