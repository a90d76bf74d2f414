"""The layer types of docs/format.md, a row each.

A row says everything about a type except its formula. `reference.py` has the formula under the same
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstmgen.errors import ModelFormatError

Shape = tuple[int, ...]
OptionValue = int | str | bool | float
Options = Mapping[str, OptionValue]

MAX_INPUTS = 64  # of one layer
MAX_SIZE = 1_048_576  # units, input_size, input_dim, vocabulary
MAX_STEPS = 65_536  # window, prime, steps of a layer
NO_MAXIMUM = float(np.finfo(np.float32).max)  # max_value of a rectifier without one


class Value(NamedTuple):
    """What a layer puts out.

    size: how many numbers come out at a time.
    steps: how often they come out. None means once, after the last step. 0 means at each time step
        of the network's input. Any other number is a fixed number of steps.

    >>> Value(128, None).size
    128
    """

    size: int
    steps: int | None


class Key(NamedTuple):
    """A key of a layer.

    kind: the type of its value. A text names an activation.
    least, most: the range of an integer.

    >>> layer_type("dense").keys["units"].least
    1
    """

    kind: type
    least: int = 0
    most: int = 0


class Inputs(NamedTuple):
    """The inputs of a layer.

    values: the outputs of the layers that feed it, the first input first.
    window: the number of time steps of the network. 0 if it is not fixed.

    >>> Inputs([Value(3, 0), Value(1, 0)], window=5).size
    3
    """

    values: Sequence[Value]
    window: int

    @property
    def size(self) -> int:
        """How many numbers the first input has at each step."""
        return self.values[0].size

    @property
    def steps(self) -> int | None:
        """How many steps the first input has, as in `Value`."""
        return self.values[0].steps

    def fixed_steps(self) -> int:
        """Return the steps of the first input as a number.

        Raises `ModelFormatError` if they depend on the text.

        >>> Inputs([Value(3, 0)], window=5).fixed_steps()
        5
        """
        if not self.steps and not self.window:
            raise ModelFormatError("expected a network with a fixed number of steps (window)")
        return self.steps or self.window

    def check_steps(self, others: Sequence[Value]) -> None:
        """Raise `ModelFormatError` unless all of `others` have the same number of steps.

        >>> Inputs([Value(3, 0)], window=5).check_steps([Value(3, 0), Value(1, 5)])
        """
        steps = {self.window if value.steps == 0 and self.window else value.steps for value in others}
        if len(steps) > 1:
            raise ModelFormatError(f"expected inputs with the same number of steps, found {list(others)}")


class LayerType(NamedTuple):
    """One layer type.

    keys: the keys of its options, in the order of the file.
    tensors: makes the name and Keras shape of each tensor, in file order, from the numbers per step
        of the first input and the options.
    output: makes what the layer puts out from its inputs and options.
    least_inputs, most_inputs: how many inputs it reads.
    gates: of a recurrent layer, how many matrices of `units` columns it has side by side.
    pools: makes one output of all steps.
    reads_ids: may read the ids of a network that begins with an embedding.
    takes_mask: may read a mask, one number a step, as a second input.
    needs_steps: its first input must have steps.
    whole: needs all time steps at once.
    fixes_steps: works for one number of steps only.

    >>> LAYER_TYPES["lstm"].gates, LAYER_TYPES["lstm"].recurrent
    (4, True)
    """

    keys: Mapping[str, Key] = {}
    tensors: Callable[[int, Options], dict[str, Shape]] = lambda size, options: {}
    output: Callable[[Inputs, Options], Value] = lambda given, options: Value(
        int(options.get("units", given.size)), given.steps
    )
    least_inputs: int = 1
    most_inputs: int = 1
    gates: int = 0
    pools: bool = False
    reads_ids: bool = False
    takes_mask: bool = False
    needs_steps: bool = False
    whole: bool = False
    fixes_steps: bool = False

    @property
    def recurrent(self) -> bool:
        """Whether it has recurrent weights."""
        return self.gates > 0

    def value(self, values: Sequence[Value], options: Options, window: int) -> Value:
        """Return what a layer with these options puts out when it is fed `values`.

        window: the number of time steps of the network. 0 if it is not fixed.

        Raises `ModelFormatError` if the layer cannot read the values.

        >>> layer_type("lstm").value([Value(3, 0)], {"units": 8, "return_sequences": False}, 5)
        Value(size=8, steps=None)
        """
        least, most = self.least_inputs, self.most_inputs + self.takes_mask
        if not least <= len(values) <= most:
            several = f"{least} to {most} inputs" if least < most else "1 input" if most == 1 else f"{most} inputs"
            raise ModelFormatError(f"expected {several}, found {len(values)}")
        given = Inputs(values, window)
        if self.takes_mask and len(values) == 2:
            if values[1].size != 1:
                raise ModelFormatError(f"expected a mask of one number a step, found {values[1].size}")
            given.check_steps(values)
        if self.needs_steps and given.steps is None:
            raise ModelFormatError("expected an output at each step before it, found one after the last")
        return self.output(given, options)


# -- keys ----------------------------------------------------------------------------------------

_SIZE = Key(int, 1, MAX_SIZE)
_STEPS = Key(int, 1, MAX_STEPS)
_STEPS_OR_NONE = Key(int, 0, MAX_STEPS)  # 0: one output after the last step
_ACTIVATION = Key(str)
_YES_OR_NO = Key(bool)
_NUMBER = Key(float)
_UNITS = {"units": _SIZE, "activation": _ACTIVATION}
_GATED = {**_UNITS, "recurrent_activation": _ACTIVATION, "return_sequences": _YES_OR_NO}

# -- tensors -------------------------------------------------------------------------------------


def _vectors(*names: str) -> Callable[[int, Options], dict[str, Shape]]:
    return lambda size, options: {name: (size,) for name in names}


def _recurrent_tensors(gates: int) -> Callable[[int, Options], dict[str, Shape]]:
    def tensors(size: int, options: Options) -> dict[str, Shape]:
        units = int(options["units"])
        columns = gates * units
        shapes: dict[str, Shape] = {
            "kernel": (size, columns),
            "recurrent_kernel": (units, columns),
            "bias": (columns,),
        }
        return shapes | ({"recurrent_bias": (columns,)} if options.get("reset_after") else {})

    return tensors


def _dense_tensors(size: int, options: Options) -> dict[str, Shape]:
    units = int(options["units"])
    return {"kernel": (size, units), "bias": (units,)}


def _embedding_tensors(size: int, options: Options) -> dict[str, Shape]:
    return {"embeddings": (int(options["input_dim"]), int(options["units"]))}


# -- outputs -------------------------------------------------------------------------------------


def _recurrent_output(given: Inputs, options: Options) -> Value:
    return Value(int(options["units"]), given.steps if options["return_sequences"] else None)


def _joined_output(given: Inputs, options: Options) -> Value:
    given.check_steps(given.values)
    return Value(sum(value.size for value in given.values), given.steps)


def _elementwise_output(given: Inputs, options: Options) -> Value:
    given.check_steps(given.values)
    size = max(value.size for value in given.values)
    if any(value.size not in (1, size) for value in given.values):
        raise ModelFormatError(f"expected inputs of the same size, found {list(given.values)}")
    return Value(size, given.steps)


def _reshaped_output(given: Inputs, options: Options) -> Value:
    count = given.size * (1 if given.steps is None else given.fixed_steps())
    new = Value(int(options["units"]), int(options["steps"]) or None)
    if count != new.size * (new.steps or 1):
        raise ModelFormatError(f"expected {count} numbers in the new shape, found {new}")
    return new


def _repeated_output(given: Inputs, options: Options) -> Value:
    if given.steps is not None:
        raise ModelFormatError("expected one output before it, found one at each step")
    return Value(given.size, int(options["steps"]))


def _transposed_output(given: Inputs, options: Options) -> Value:
    if given.size > MAX_STEPS:
        raise ModelFormatError(f"expected at most {MAX_STEPS} numbers, which become steps, found {given.size}")
    return Value(given.fixed_steps(), given.size)


# -- the table -----------------------------------------------------------------------------------


def _recurrent(gates: int, keys: Mapping[str, Key]) -> LayerType:
    return LayerType(keys, _recurrent_tensors(gates), _recurrent_output, gates=gates, takes_mask=True, needs_steps=True)


def _pooling(
    keys: Mapping[str, Key] | None = None,
    vectors: Sequence[str] = (),
    takes_mask: bool = True,
) -> LayerType:
    return LayerType(
        keys or {},
        _vectors(*vectors),
        lambda given, options: Value(given.size, None),
        pools=True,
        takes_mask=takes_mask,
        needs_steps=True,
    )


def _merging(least: int = 1, most: int = MAX_INPUTS) -> LayerType:
    return LayerType(output=_elementwise_output, least_inputs=least, most_inputs=most)


LAYER_TYPES: Mapping[str, LayerType] = {
    "embedding": LayerType({"input_dim": _SIZE, "units": _SIZE}, _embedding_tensors, reads_ids=True, needs_steps=True),
    "lstm": _recurrent(4, _GATED),
    "gru": _recurrent(3, {**_GATED, "reset_after": _YES_OR_NO}),
    "simple_rnn": _recurrent(1, {**_UNITS, "return_sequences": _YES_OR_NO}),
    "dense": LayerType(_UNITS, _dense_tensors),
    "affine": LayerType(tensors=_vectors("scale", "offset")),
    "layer_norm": LayerType({"epsilon": _NUMBER}, _vectors("scale", "offset")),
    "activation": LayerType({"activation": _ACTIVATION}),
    "prelu": LayerType(tensors=_vectors("alpha")),
    "rectifier": LayerType({"negative_slope": _NUMBER, "threshold": _NUMBER, "max_value": _NUMBER}),
    "mask": LayerType(
        {"value": _NUMBER}, output=lambda given, options: Value(1, given.steps), reads_ids=True, needs_steps=True
    ),
    "concatenate": LayerType(output=_joined_output, most_inputs=MAX_INPUTS),
    "add": _merging(),
    "subtract": _merging(2, 2),
    "multiply": _merging(),
    "average": _merging(),
    "maximum": _merging(),
    "minimum": _merging(),
    "attention_pool": _pooling({"epsilon": _NUMBER}, ["weights"]),
    "average_pool": _pooling(),
    "max_pool": _pooling(takes_mask=False),
    "reverse": LayerType(needs_steps=True, whole=True),
    "reshape": LayerType(
        {"steps": _STEPS_OR_NONE, "units": _SIZE}, output=_reshaped_output, whole=True, fixes_steps=True
    ),
    "repeat": LayerType({"steps": _STEPS}, output=_repeated_output, whole=True),
    "transpose": LayerType(output=_transposed_output, needs_steps=True, whole=True, fixes_steps=True),
}


def layer_type(name: str) -> LayerType:
    """Return the row of a type. Raises `ModelFormatError` for a name that is not in the table.

    >>> layer_type("max_pool").pools
    True
    """
    if name not in LAYER_TYPES:
        raise ModelFormatError(f"unknown type {name!r}")
    return LAYER_TYPES[name]
