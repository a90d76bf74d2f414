"""The layers of docs/format.md with their weights, and a network of such layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network.layer_types import LayerType, OptionValue, Shape, Value, layer_type

Array = NDArray[np.float32]

MAX_LAYERS = 256
MAX_MATRIX = 2**31  # numbers in one matrix

NETWORK_INPUT = -1  # the entry of `Layer.inputs` for the network's own input

# A file of bf16 or int8 rounds these tensors. All others are always F32.
MATRICES = frozenset({"embeddings", "kernel", "recurrent_kernel"})


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer, as in section 4 of docs/format.md. Arrays keep the shapes of Keras.

    type: the layer type of docs/format.md, such as "lstm".
    name: unique in the network, 1 to 40 of the characters A-Z, a-z, 0-9, _ and -.
    options: the keys of the type with their values.
    arrays: the tensors of the type, float32.
    inputs: the index of each layer that feeds this one, or NETWORK_INPUT. None stands for the layer
        before.

    >>> kernel, bias = np.ones((2, 3), np.float32), np.zeros(3, np.float32)
    >>> options = {"units": 3, "activation": "softmax"}
    >>> Layer("dense", "output", options, {"kernel": kernel, "bias": bias}).type
    'dense'
    """

    type: str
    name: str
    options: dict[str, OptionValue]
    arrays: dict[str, Array]
    inputs: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"<lstmgen.network.Layer {self.name!r}: {self.type} {self.options}; {shapes or 'no arrays'}>"

    @property
    def row(self) -> LayerType:
        """The row of its type in the table of layer types.

        Raises `ModelFormatError` for an unknown type.
        """
        return layer_type(self.type)

    def tensors(self, size: int) -> dict[str, Shape]:
        """Return name and Keras shape of each tensor, in file order.

        size: how many numbers the first input has at each step.

        >>> Layer("dense", "output", {"units": 3, "activation": "softmax"}, {}).tensors(2)
        {'kernel': (2, 3), 'bias': (3,)}
        """
        return self.row.tensors(size, self.options)


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in an order in which each comes after those that feed it. The last gives the output.

    layers: 1 to 256.
    window: the number of time steps that the model was saved with, 1 to 65,536; 0 if it was not
        fixed.
    input_size: the numbers per step; the number of ids if an embedding reads them.
    keras_version: of the file; empty if it does not say.
    assumed: what the file did not say, one clause each.
    elements: what the file, or one beside it, says of the elements. Every key may be missing:

    | key | value |
    |---|---|
    | "vocab" | the elements |
    | "beside" | paths of vocabularies, and whether the name of each shows that it fits |
    | "kind", "tokenizer", "stop", "start" | as `lstmgen.export` takes them |
    | "blank" | whether a text starts from padding |
    | "heads" | what the values that the last layer joins are, if they are a note |
    | "heads_told" | whether an option says so |

    >>> kernel, bias = np.ones((2, 3), np.float32), np.zeros(3, np.float32)
    >>> options = {"units": 3, "activation": "softmax"}
    >>> output = Layer("dense", "output", options, {"kernel": kernel, "bias": bias})
    >>> network = Network((output,), window=0, input_size=2, keras_version="3.0.0")
    >>> network.outputs, network.returns_sequences
    (3, True)
    """

    layers: tuple[Layer, ...]
    window: int
    input_size: int
    keras_version: str
    assumed: tuple[str, ...] = field(default=())
    elements: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, i: int) -> tuple[int, ...]:
        """Return the indices of the layers that feed layer `i`. -1 is the network's own input.

        >>> layers = Layer("reverse", "first", {}, {}), Layer("reverse", "second", {}, {})
        >>> network = Network(layers, window=3, input_size=2, keras_version="")
        >>> network.inputs(0), network.inputs(1)
        ((-1,), (0,))
        """
        inputs = self.layers[i].inputs
        return (i - 1,) if inputs is None else inputs  # -1 is NETWORK_INPUT

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The value that each layer puts out.

        Raises `ModelFormatError` if the layers do not fit together.
        """
        values: list[Value] = []
        for i, layer in enumerate(self.layers):
            given = [Value(self.input_size, 0) if j == NETWORK_INPUT else values[j] for j in self.inputs(i)]
            try:
                values.append(layer.row.value(given, layer.options, self.window))
            except ModelFormatError as error:
                raise ModelFormatError(f"layer {layer.name}: {error}") from None
        return tuple(values)

    def size_into(self, i: int) -> int:
        """Return how many numbers the first input of layer `i` has at each step.

        >>> network = Network((Layer("reverse", "only", {}, {}),), 3, 2, "")
        >>> network.size_into(0)
        2
        """
        source = self.inputs(i)[0]
        return self.input_size if source == NETWORK_INPUT else self.values[source].size

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of the input, then the size of each layer's output."""
        return (self.input_size, *(value.size for value in self.values))

    @property
    def outputs(self) -> int:
        """How many numbers come out of the last layer at each step."""
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
