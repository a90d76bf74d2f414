"""What lies between a Keras file and a `.bin`: layers as in docs/format.md, with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import ModelFormatError

Array = NDArray[np.float32]
Shape = tuple[int, ...]
Option = int | str | bool | float

MAX_LAYERS = 256
MAX_INPUTS = 64  # of one layer
MAX_SIZE = 1_048_576  # units, input_size, input_dim, vocabulary
MAX_MATRIX = 2**31  # numbers in one matrix
MAX_STEPS = 65_536  # window, prime, steps of a layer
NO_MAXIMUM = float(np.finfo(np.float32).max)  # max_value of a rectifier without one

NETWORK_INPUT = -1  # as an entry of Layer.inputs

# The tensors that a file of bf16 or int8 rounds; all others are always F32.
MATRICES = frozenset({"embeddings", "kernel", "recurrent_kernel"})

# Keys of each layer type, in the order of the file.
LAYER_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "embedding": {"input_dim": int, "units": int},
    "lstm": {"units": int, "activation": str, "recurrent_activation": str, "return_sequences": bool},
    "gru": {
        "units": int,
        "activation": str,
        "recurrent_activation": str,
        "return_sequences": bool,
        "reset_after": bool,
    },
    "simple_rnn": {"units": int, "activation": str, "return_sequences": bool},
    "dense": {"units": int, "activation": str},
    "affine": {},
    "layer_norm": {"epsilon": float},
    "activation": {"activation": str},
    "prelu": {},
    "rectifier": {"negative_slope": float, "threshold": float, "max_value": float},
    "mask": {"value": float},
    "concatenate": {},
    "add": {},
    "subtract": {},
    "multiply": {},
    "average": {},
    "maximum": {},
    "minimum": {},
    "attention_pool": {"epsilon": float},
    "average_pool": {},
    "max_pool": {},
    "reverse": {},
    "reshape": {"steps": int, "units": int},
    "repeat": {"steps": int},
    "transpose": {},
}

RECURRENT = frozenset({"lstm", "gru", "simple_rnn"})
POOLING = frozenset({"attention_pool", "average_pool", "max_pool"})
MERGING = frozenset({"concatenate", "add", "subtract", "multiply", "average", "maximum", "minimum"})
WHOLE = frozenset({"reverse", "reshape", "repeat", "transpose"})  # need all time steps at once
MASKABLE = RECURRENT | {"attention_pool", "average_pool"}  # take a mask as second input


class Value(NamedTuple):
    """What a layer puts out: `size` numbers, once (`steps` None), at each time step of the network's
    input (0), or at a fixed number of steps.
    """

    size: int
    steps: int | None


def tensor_shapes(layer_type: str, size: int, options: Mapping[str, Option]) -> dict[str, Shape]:
    """Name and Keras shape of each tensor of a layer that is fed `size` numbers, in file order."""
    units = int(options.get("units", 0))
    if layer_type == "embedding":
        return {"embeddings": (int(options["input_dim"]), units)}
    gates = {"lstm": 4, "gru": 3, "simple_rnn": 1}.get(layer_type)
    if gates:
        shapes: dict[str, Shape] = {
            "kernel": (size, gates * units),
            "recurrent_kernel": (units, gates * units),
            "bias": (gates * units,),
        }
        return shapes | ({"recurrent_bias": (gates * units,)} if options.get("reset_after") else {})
    if layer_type == "dense":
        return {"kernel": (size, units), "bias": (units,)}
    if layer_type in ("affine", "layer_norm"):
        return {"scale": (size,), "offset": (size,)}
    if layer_type == "prelu":
        return {"alpha": (size,)}
    if layer_type == "attention_pool":
        return {"weights": (size,)}
    return {}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer: `type`, `options` and `arrays` as in section 4 of docs/format.md.

    `inputs` holds the index of each layer that feeds this one, or NETWORK_INPUT; None stands for the
    layer before.
    """

    type: str
    name: str
    options: dict[str, Option]
    arrays: dict[str, Array]
    inputs: tuple[int, ...] | None = None

    @property
    def recurrent(self) -> bool:
        """Whether the layer carries state from step to step."""
        return self.type in RECURRENT or self.type in POOLING


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in an order in which each comes after those that feed it; the last gives the output.

    `window` is the number of time steps that the model was saved with, 0 if it was not fixed.
    `input_size` is the number of numbers per step, or of ids if an embedding reads them.
    `elements` holds what the file, or one beside it, says of the elements: "vocab", the elements themselves; "beside",
    paths of vocabularies with whether the name says that they belong to the file; "kind", "tokenizer", "stop";
    "blank", if a text starts from padding; "heads", what the values that the last layer joins are, if they are a note,
    and "heads_told", whether an option says so.
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
                values.append(output_value(layer, given, self.window))
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
        return any(layer.type in WHOLE for layer in self.layers)

    @property
    def fixed_steps(self) -> bool:
        """Whether the network takes exactly `window` steps."""
        for i, layer in enumerate(self.layers):
            steps = {0 if j == NETWORK_INPUT else self.values[j].steps for j in self.inputs(i)}
            if 0 in steps and (layer.type in ("reshape", "transpose") or len(steps) > 1):
                return True
        return False


def output_value(layer: Layer, given: Sequence[Value], window: int) -> Value:
    """What a layer puts out when it is fed the values `given`."""
    kind, options = layer.type, layer.options
    least, most = (1, MAX_INPUTS) if kind in MERGING else (1, 2 if kind in MASKABLE else 1)
    if kind == "subtract":
        least = most = 2
    if not least <= len(given) <= most:
        raise ModelFormatError(f"expected {least} to {most} inputs, found {len(given)}")
    size, steps = given[0]
    if kind in MERGING:
        return _merged(kind, given, window)
    if kind in MASKABLE and len(given) == 2:
        if given[1].size != 1:
            raise ModelFormatError(f"expected a mask of one number a step, found {given[1].size}")
        _merged("add", [Value(1, steps), given[1]], window)  # raises, if the steps differ
    if kind in RECURRENT or kind in POOLING or kind in ("embedding", "mask", "reverse", "transpose"):
        if steps is None:
            raise ModelFormatError("expected an output at each step before it, found one after the last")
        if kind in POOLING:
            return Value(size, None)
        if kind == "mask":
            return Value(1, steps)
        if kind == "transpose":
            if size > MAX_STEPS:
                raise ModelFormatError(f"expected at most {MAX_STEPS} numbers, which become steps, found {size}")
            return Value(_fixed(steps, window), size)
    if kind in RECURRENT and not options["return_sequences"]:
        return Value(int(options["units"]), None)
    if kind == "reshape":
        count = size * (1 if steps is None else _fixed(steps, window))
        new = Value(int(options["units"]), int(options["steps"]) or None)
        if count != new.size * (new.steps or 1):
            raise ModelFormatError(f"expected {count} numbers in the new shape, found {new}")
        return new
    if kind == "repeat":
        if steps is not None:
            raise ModelFormatError("expected one output before it, found one at each step")
        return Value(size, int(options["steps"]))
    return Value(int(options.get("units", size)), steps)


def _merged(kind: str, given: Sequence[Value], window: int) -> Value:
    steps = {window if value.steps == 0 and window else value.steps for value in given}
    if len(steps) > 1:
        raise ModelFormatError(f"expected inputs with the same number of steps, found {list(given)}")
    if kind == "concatenate":
        return Value(sum(value.size for value in given), given[0].steps)
    size = max(value.size for value in given)
    if any(value.size not in (1, size) for value in given):
        raise ModelFormatError(f"expected inputs of the same size, found {list(given)}")
    return Value(size, given[0].steps)


def _fixed(steps: int, window: int) -> int:
    if not steps and not window:
        raise ModelFormatError("expected a network with a fixed number of steps (window)")
    return steps or window
