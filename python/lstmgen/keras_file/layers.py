"""The translation of each layer of Keras into docs/format.md.

A registry has one function for each class of Keras. A function is registered with the `Role`s,
which are the arrays that Keras keeps for the layer. Their number and order depend on the config and
on the version of Keras. `recurrent.py` has LSTM, GRU and SimpleRNN, and `models.py` has models
within models.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lstmgen.errors import option
from lstmgen.keras_file.assembly import Assembly, Tensor
from lstmgen.keras_file.spec import OPERATION, Spec
from lstmgen.keras_file.weights import Numbers, Part, Role, Source
from lstmgen.network import MAX_STEPS, NO_MAXIMUM, Array, Shape


@dataclass(frozen=True, slots=True)
class Item:
    """A call of a layer: its spec, its weights, and the tensors that it is fed."""

    spec: Spec
    source: Source
    tensors: Sequence[Tensor]
    assembly: Assembly
    constants: Sequence[Any] = ()  # the arguments of an operation that are not tensors

    @property
    def where(self) -> str:
        """How errors name the layer."""
        return self.spec.where

    @property
    def tensor(self) -> Tensor:
        """The one tensor that the layer is fed."""
        if len(self.tensors) != 1:
            raise self.spec.error(f"expected one input, found {len(self.tensors)}")
        return self.tensors[0]

    @property
    def numbers(self) -> Tensor:
        """The one tensor that the layer is fed, which must not be ids."""
        if self.tensor.ids:
            raise self.spec.error("expected an input (batch, T, features), found ids or numbers (batch, T)")
        if self.tensor.steps_only:
            raise self.spec.error("fed by an operation on tensors, which is not supported, only layers")
        return self.tensor

    @property
    def sequence(self) -> Tensor:
        """The one tensor that the layer is fed, which must have a time axis."""
        if self.numbers.value.steps is None:
            raise self.spec.error("the layers before it give no sequence: return_sequences is false there")
        return self.tensor

    def stored(self) -> dict[str, Numbers]:
        """Return the layer's arrays in the file, by role."""
        return self.source.take(self.where, roles(self.spec))

    def arrays(self, **shapes: Shape) -> dict[str, Array]:
        """Return the layer's arrays, which must have these shapes."""
        stored = self.stored()
        return {name: stored[name].load(shape) for name, shape in shapes.items()}

    def inner(self, spec: Spec, source: Source, *tensors: Tensor) -> Item:
        """Return the call of a layer within this one."""
        return Item(spec, source, tensors, self.assembly)

    def emit(self, kind: str, *reads: Tensor, arrays: dict[str, Array] | None = None, **options: object) -> Tensor:
        """Add a layer of docs/format.md under this layer's name."""
        return self.assembly.emit(kind, self.spec.name, reads, arrays, **options)  # type: ignore[arg-type]


Build = Callable[[Item], Sequence[Tensor]]
Roles = Callable[[Spec], Sequence[Role]]


class Kind(NamedTuple):
    """What is known of a class of Keras."""

    roles: Roles
    build: Build


KINDS: dict[str, Kind] = {}


def roles(spec: Spec) -> Sequence[Role]:
    """Return the arrays that Keras keeps for a layer, including those of the layers within it."""
    found = kind_of(spec).roles(spec)
    return [Role(role.name, False) for role in found] if not spec.flag("trainable", True) else found


def build(item: Item) -> Sequence[Tensor]:
    """Return the outputs of a layer that is called."""
    item.assembly.count_build()
    outputs = kind_of(item.spec).build(item)
    item.assembly.outputs.setdefault(item.spec.name, outputs[0].value)
    return outputs


def kind_of(spec: Spec) -> Kind:
    """Return the entry of the registry.

    Raises `ModelFormatError` for a class that has none.
    """
    if spec.class_name not in KINDS:
        raise spec.error(refusal(spec.class_name))
    return KINDS[spec.class_name]


def refusal(class_name: str) -> str:
    """Return why a class that is not in the registry is refused."""
    if class_name == "Lambda":
        return "a Lambda layer holds Python code, which is never run"
    if class_name.startswith(OPERATION):
        return f"the operation {class_name.removeprefix(OPERATION):.60} on tensors is not supported, only layers"
    return f"{class_name:.60} is not supported (docs/keras-files.md lists what is)"


def named(*names: str, trained: bool = True) -> list[Role]:
    """Return roles of these names."""
    return [Role(name, trained) for name in names]


def no_roles(spec: Spec) -> Sequence[Role]:
    """Return the roles of a layer without arrays, which has none."""
    return ()


def layer(*class_names: str, roles: Roles = no_roles) -> Callable[[Build], Build]:
    """Register the function that builds layers of these classes, and their roles."""

    def register(build: Build) -> Build:
        KINDS.update(dict.fromkeys(class_names, Kind(roles, build)))
        return build

    return register


# -- without arrays --------------------------------------------------------------------------------


@layer(
    *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
)
def _identity(item: Item) -> Sequence[Tensor]:
    """Return the input. These layers do nothing at inference."""
    return [item.tensor]


@layer("Masking")
def _masking(item: Item) -> Sequence[Tensor]:
    x, name = item.sequence, item.spec.name
    value = item.spec.number("mask_value", 0.0)
    mask = item.assembly.emit("mask", f"{name}_mask", [x], value=float(np.float32(value)))
    return [replace(item.emit("multiply", x, mask), mask=mask)]


@layer("Flatten")
def _flatten(item: Item) -> Sequence[Tensor]:
    x = item.numbers
    if x.value.steps is None:
        return [x]
    return [_reshaped(item, x, 0, x.value.size * _steps(item, x))]


@layer("Reshape")
def _reshape(item: Item) -> Sequence[Tensor]:
    x, shape = item.numbers, item.spec.config.get("target_shape")
    count = x.value.size * (1 if x.value.steps is None else _steps(item, x))
    if not isinstance(shape, list) or len(shape) not in (1, 2):
        raise item.spec.error(f"target_shape: expected one or two numbers, found {reprlib.repr(shape)}")
    if any(type(n) is not int or not (n == -1 or 1 <= n <= count) for n in shape) or shape.count(-1) > 1:
        raise item.spec.error(f"target_shape: expected sizes and at most one -1, found {reprlib.repr(shape)}")
    known = -math.prod(shape) if -1 in shape else math.prod(shape)
    sizes = [count // known if n == -1 else n for n in shape]
    if math.prod(sizes) != count:
        raise item.spec.error(f"target_shape: expected {count} numbers, found {reprlib.repr(shape)}")
    return [_reshaped(item, x, sizes[0] if len(sizes) == 2 else 0, sizes[-1])]


def _reshaped(item: Item, x: Tensor, steps: int, units: int) -> Tensor:
    """Return the same numbers in another shape, without a mask."""
    return replace(item.emit("reshape", x, steps=steps, units=units), mask=None)


def _steps(item: Item, x: Tensor) -> int:
    steps = x.value.steps or item.assembly.window
    if not steps:
        raise item.spec.error(f"expected a fixed number of time steps, found none: give {option('window', ...)}")
    return steps


@layer("RepeatVector")
def _repeat_vector(item: Item) -> Sequence[Tensor]:
    if item.numbers.value.steps is not None:
        raise item.spec.error("expected one output before it, found one at each step")
    return [item.emit("repeat", item.numbers, steps=item.spec.whole_number("n", MAX_STEPS))]


@layer("Permute")
def _permute(item: Item) -> Sequence[Tensor]:
    dims = item.spec.config.get("dims")
    if dims == [1, 2] or (dims == [1] and item.tensor.rank == 2):
        return [replace(item.tensor, mask=None)]
    if dims != [2, 1]:
        raise item.spec.error(f"dims: expected [2, 1], found {reprlib.repr(dims)}")
    return [replace(item.emit("transpose", item.sequence), mask=None)]


@layer("GlobalAveragePooling1D", "GlobalAvgPool1D")
def _average_pool(item: Item) -> Sequence[Tensor]:
    x = _pooled(item)
    reads = (x,) if x.mask is None else (x, x.mask)
    return [replace(item.emit("average_pool", *reads), mask=None)]


@layer("GlobalMaxPooling1D", "GlobalMaxPool1D")
def _max_pool(item: Item) -> Sequence[Tensor]:
    return [replace(item.emit("max_pool", _pooled(item)), mask=None)]


def _pooled(item: Item) -> Tensor:
    item.spec.refuse("keepdims")
    order = item.spec.config.get("data_format", "channels_last")
    if order not in (None, "channels_last"):
        raise item.spec.error(f"data_format: expected channels_last, found {reprlib.repr(order)}")
    return item.sequence


# -- merges --------------------------------------------------------------------------------------

_MERGES = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"}
_MERGE_MODES = {"concat": "concatenate", "sum": "add", "mul": "multiply", "ave": "average", "max": "maximum"}


@layer(*(f"{OPERATION}{name}" for name in _MERGES - {"Average"}))
def _merging_operation(item: Item) -> Sequence[Tensor]:
    """Build `x + y` and similar operations.

    They work as the layers do, but Keras loses the mask.
    """
    kind = item.spec.class_name.removeprefix(OPERATION).lower()
    return [replace(_merged(item, kind, item.tensors), mask=None)]


@layer(*_MERGES)
def _merge(item: Item) -> Sequence[Tensor]:
    return [_merged(item, item.spec.class_name.lower(), item.tensors)]


@layer("Concatenate")
def _concatenate(item: Item) -> Sequence[Tensor]:
    item.spec.check_axis(item.tensors[0].rank if item.tensors else 3)
    return [_merged(item, "concatenate", item.tensors)]


@layer("Merge")
def _keras1_merge(item: Item) -> Sequence[Tensor]:
    mode = item.spec.config.get("mode", "sum")
    if not isinstance(mode, str) or mode not in _MERGE_MODES:
        raise item.spec.error(f"mode: expected one of {', '.join(_MERGE_MODES)}, found {reprlib.repr(mode)}")
    axis = item.spec.with_config(axis=item.spec.config.get("concat_axis", -1))
    if mode == "concat" and item.tensors:
        axis.check_axis(item.tensors[0].rank)
    return [_merged(item, _MERGE_MODES[mode], item.tensors)]


def _merged(item: Item, kind: str, tensors: Sequence[Tensor]) -> Tensor:
    tensors = [replace(item, tensors=[tensor]).numbers for tensor in tensors]
    if not tensors:
        raise item.spec.error("expected inputs, found none")
    if not any(t.mask for t in tensors):
        return item.emit(kind, *tensors)
    return replace(item.emit(kind, *tensors), mask=_merged_mask(item, [t.mask for t in tensors]))


def _merged_mask(item: Item, masks: Sequence[Tensor | None]) -> Tensor | None:
    """Return the mask of a merge.

    Keras 3 leaves out the steps that all masks leave out, and has no mask if one is missing.
    Keras 2 leaves out the steps that any mask leaves out.
    """
    old = item.spec.version < (3, 0)
    if not old and None in masks:
        return None
    different = list({mask.index: mask for mask in masks if mask is not None}.values())
    if len(different) == 1:
        return different[0]
    return item.assembly.emit("multiply" if old else "maximum", f"{item.spec.name}_mask", different)


# -- activations ---------------------------------------------------------------------------------


def activated(item: Item, x: Tensor, key: str = "activation") -> Tensor:
    """Return `x` through the activation under a key of the config.

    The activation may be a layer, such as a LeakyReLU.
    """
    value = item.spec.config.get(key)
    kind = value.get("class_name") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in _ACTIVATION_LAYERS:
        inner = Spec.of(f"{item.where}: {key}", value, item.spec.version)
        return build(item.inner(replace(inner, name=item.spec.name), item.source, x))[0]
    activation = item.spec.activation(key)
    return x if activation == "linear" else item.emit("activation", x, activation=activation)


@layer("Activation")
def _activation(item: Item) -> Sequence[Tensor]:
    return [activated(item, item.numbers)]


@layer("Softmax")
def _softmax(item: Item) -> Sequence[Tensor]:
    item.spec.check_axis(item.numbers.rank)
    return [item.emit("activation", item.numbers, activation="softmax")]


@layer("ReLU")
def _relu(item: Item) -> Sequence[Tensor]:
    spec, x = item.spec, item.numbers
    slope, threshold = spec.number("negative_slope", 0), spec.number("threshold", 0)
    most = NO_MAXIMUM if spec.config.get("max_value") is None else spec.number("max_value", 0)
    if slope == threshold == 0 and most in (NO_MAXIMUM, 6):
        return [item.emit("activation", x, activation="relu" if most == NO_MAXIMUM else "relu6")]
    return [item.emit("rectifier", x, negative_slope=slope, threshold=threshold, max_value=most)]


@layer("ThresholdedReLU")
def _thresholded_relu(item: Item) -> Sequence[Tensor]:
    theta = item.spec.number("theta", 1)
    return [item.emit("rectifier", item.numbers, negative_slope=0.0, threshold=theta, max_value=NO_MAXIMUM)]


@layer("LeakyReLU")
def _leaky_relu(item: Item) -> Sequence[Tensor]:
    key = "alpha" if "alpha" in item.spec.config else "negative_slope"  # Keras 2 says alpha, Keras 3 negative_slope
    return [_sloped(item, item.numbers, item.spec.number(key, 0.3))]


@layer("ELU")
def _elu(item: Item) -> Sequence[Tensor]:
    alpha = item.spec.number("alpha", 1)
    x = item.emit("activation", item.numbers, activation="elu")
    return [x if alpha == 1 else _sloped(item, x, alpha)]  # elu keeps the sign of its input


def _sloped(item: Item, x: Tensor, slope: float) -> Tensor:
    """Return `x`, times `slope` where it is negative."""
    return item.emit("prelu", x, arrays={"alpha": item.assembly.constant(x.value.size, slope)})


_ACTIVATION_LAYERS = {"Softmax", "ReLU", "ThresholdedReLU", "LeakyReLU", "ELU"}


@layer("PReLU", roles=lambda spec: named("alpha"))
def _prelu(item: Item) -> Sequence[Tensor]:
    x, stored = item.numbers, item.stored()["alpha"]
    shape = stored.shape
    units = x.value.size
    if x.value.steps is None or (shape and shape[0] == 1):  # all steps have the same slopes
        axes = 1 if x.value.steps is None else 2
        if shape is None or len(shape) != axes or shape[-1] not in (1, units):
            raise item.spec.error(f"alpha: expected slopes for {units} units, found {shape}")
        alpha = item.assembly.constant(units, 0) + stored.load(shape).reshape(-1)
        return [item.emit("prelu", x, arrays={"alpha": alpha})]
    steps = _steps(item, x)
    wanted = (steps, 1) if shape == (steps, 1) else (steps, units)
    alpha = (item.assembly.constant(steps * units, 0).reshape(steps, units) + stored.load(wanted)).reshape(-1)
    flat = item.emit("reshape", x, steps=0, units=steps * units)
    sloped = item.emit("prelu", flat, arrays={"alpha": alpha})
    return [replace(item.emit("reshape", sloped, steps=steps, units=units), mask=x.mask)]


# -- with arrays ---------------------------------------------------------------------------------


@layer("Embedding", roles=lambda spec: named("embeddings"))
def _embedding(item: Item) -> Sequence[Tensor]:
    spec, ids = item.spec, item.tensor
    if not ids.ids:
        raise spec.error("an Embedding can only come first, on ids (batch, T)")
    count, units = spec.whole_number("input_dim"), spec.whole_number("output_dim")
    item.assembly.take_ids(count)
    arrays = item.arrays(embeddings=(count, units))
    mask = None
    if spec.flag("mask_zero"):
        mask = item.assembly.emit("mask", f"{spec.name}_mask", [ids], value=0.0)
    return [replace(item.emit("embedding", ids, arrays=arrays, input_dim=count, units=units), mask=mask)]


def _dense_roles(spec: Spec) -> Sequence[Role]:
    return named("kernel", "bias") if spec.use_bias else named("kernel")


@layer("Dense", "TimeDistributedDense", roles=_dense_roles)
def _dense(item: Item) -> Sequence[Tensor]:
    units, x = item.spec.units, item.numbers
    shapes: dict[str, Shape] = {"kernel": (x.value.size, units)}
    arrays = item.arrays(**shapes, bias=(units,)) if item.spec.use_bias else item.arrays(**shapes)
    if "bias" not in arrays:
        arrays["bias"] = item.assembly.constant(units, 0)
    if isinstance(item.spec.config.get("activation"), dict):  # it may be a layer
        return [activated(item, item.emit("dense", x, arrays=arrays, units=units, activation="linear"))]
    return [item.emit("dense", x, arrays=arrays, units=units, activation=item.spec.activation())]


def _batch_roles(spec: Spec) -> Sequence[Role]:
    names = ["gamma"] * spec.flag("scale", True) + ["beta"] * spec.flag("center", True)
    return [*named(*names), *named("mean", "variance", trained=False)]


@layer("BatchNormalization", "SyncBatchNormalization", roles=_batch_roles)
def _batch_normalization(item: Item) -> Sequence[Tensor]:
    spec, x = item.spec, item.numbers
    spec.check_axis(x.rank)
    if spec.config.get("mode", 0) != 0:
        raise spec.error(f"mode: expected 0, found {reprlib.repr(spec.config['mode'])}")  # only Keras 1 has it
    shape = (x.value.size,)
    values = {name: array.astype(np.float64) for name, array in _all(item, shape).items()}
    spread = values["variance"] + spec.number("epsilon", 1e-3)
    if not (spread > 0).all():
        raise spec.error("variance: expected all above -epsilon, found one below")
    scale = values.get("gamma", np.ones(shape)) / np.sqrt(spread)
    offset = values.get("beta", np.zeros(shape)) - values["mean"] * scale
    with np.errstate(over="ignore"):  # the writer of the file refuses an infinite number
        folded = {"scale": scale.astype(np.float32), "offset": offset.astype(np.float32)}
    return [item.emit("affine", x, arrays=folded)]


def _normalization_roles(spec: Spec) -> Sequence[Role]:
    return named(*["gamma"] * spec.flag("scale", True), *["beta"] * spec.flag("center", True))


@layer("LayerNormalization", roles=_normalization_roles)
def _layer_normalization(item: Item) -> Sequence[Tensor]:
    item.spec.refuse("rms_scaling")
    item.spec.check_axis(item.numbers.rank)
    shape = (item.numbers.value.size,)
    values = _all(item, shape)
    arrays = {
        "scale": values["gamma"] if "gamma" in values else item.assembly.constant(*shape, 1),
        "offset": values["beta"] if "beta" in values else item.assembly.constant(*shape, 0),
    }
    return [item.emit("layer_norm", item.numbers, arrays=arrays, epsilon=item.spec.number("epsilon", 1e-3))]


def _all(item: Item, shape: Shape) -> dict[str, Array]:
    return {name: stored.load(shape) for name, stored in item.stored().items()}


@layer("AttentionWeightedAverage", roles=lambda spec: named("weights"))
def _attention_weighted_average(item: Item) -> Sequence[Tensor]:
    """Build the layer of textgenrnn and DeepMoji.

    It computes the mean of the steps, weighted by a softmax over them.
    """
    item.spec.refuse("return_attention")
    x = item.sequence
    weights = item.arrays(weights=(x.value.size, 1))["weights"].reshape(-1)
    reads = (x,) if x.mask is None else (x, x.mask)
    return [replace(item.emit("attention_pool", *reads, arrays={"weights": weights}, epsilon=1e-7), mask=None)]


# -- wrappers ------------------------------------------------------------------------------------


def inner_part(path: str, spec: Spec) -> Part:
    """Return the layer `spec` as a part of the one around it."""
    return Part(path, roles(spec))


@layer("TimeDistributed", roles=lambda spec: roles(spec.inner("layer")))
def _time_distributed(item: Item) -> Sequence[Tensor]:
    inner = item.spec.inner("layer")
    x = item.sequence
    if inner.class_name not in _STEPWISE:
        raise item.spec.error(
            f"expected a TimeDistributed of one of {', '.join(sorted(_STEPWISE))}, "
            f"found one of {reprlib.repr(inner.class_name)}"
        )
    (source,) = item.source.parts(item.where, [inner_part("layer", inner)])
    # These layers work on each step anyway, so they need no wrapper. An axis of 1 is then the last.
    inner = replace(inner, name=item.spec.name)
    if "axis" in inner.config and inner.config["axis"] in (1, [1]):
        inner = inner.with_config(axis=-1)
    return build(item.inner(inner, source, x))


_STEPWISE = {
    *("Dense", "Activation", "BatchNormalization", "LayerNormalization", "Dropout", "Softmax", "ReLU"),
    *("LeakyReLU", "ELU", "ThresholdedReLU", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
}
