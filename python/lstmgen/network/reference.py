"""A plain numpy forward pass: what the engine is measured against, and the source of self-tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network import NETWORK_INPUT, Array, Layer, Network
from lstmgen.network.activations import ACTIVATIONS

Floats = NDArray[Any]  # float32 or float64

SELF_TEST_STEPS = 8


def _matmul(x: Floats, matrix: Array) -> Floats:
    """`x @ matrix` in the dtype of `x`, by pieces that fit the cache: no float64 copy of it."""
    rows = max(1, 2**17 // matrix.shape[1])
    out: Floats = np.zeros((*x.shape[:-1], matrix.shape[1]), x.dtype)
    for k in range(0, len(matrix), rows):
        out += x[..., k : k + rows] @ matrix[k : k + rows].astype(x.dtype, copy=False)
    return out


def _masked(mask: Floats | None, t: int, new: Floats, old: Floats) -> Floats:
    """`new`, or `old` in the rows whose mask is 0 at step `t`."""
    return new if mask is None else np.where(mask[:, t] != 0, new, old)


def _lstm(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """All outputs (batch, T, units) of an LSTM fed `x` (batch, T, in), from a zero state."""
    activation, gate = _activation(layer), _activation(layer, "recurrent_activation")
    z = _dense(layer, x)
    h = c = np.zeros((x.shape[0], int(layer.options["units"])), x.dtype)
    out: Floats = np.empty((*x.shape[:2], h.shape[1]), x.dtype)
    for t in range(x.shape[1]):
        i, f, g, o = np.split(z[:, t] + _matmul(h, layer.arrays["recurrent_kernel"]), 4, axis=-1)
        new = gate(f) * c + gate(i) * activation(g)
        h = _masked(mask, t, gate(o) * activation(new), h)
        c = _masked(mask, t, new, c)
        out[:, t] = h
    return out


def _gru(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """All outputs (batch, T, units) of a GRU fed `x` (batch, T, in), from a zero state."""
    activation, gate = _activation(layer), _activation(layer, "recurrent_activation")
    units, recurrent = int(layer.options["units"]), layer.arrays["recurrent_kernel"]
    x_z, x_r, x_h = np.split(_dense(layer, x), 3, axis=-1)
    h = np.zeros((x.shape[0], units), x.dtype)
    out: Floats = np.empty((*x.shape[:2], units), x.dtype)
    for t in range(x.shape[1]):
        if layer.options["reset_after"]:
            hu = _matmul(h, recurrent) + layer.arrays["recurrent_bias"].astype(x.dtype)
            z, r = gate(x_z[:, t] + hu[:, :units]), gate(x_r[:, t] + hu[:, units : 2 * units])
            new = activation(x_h[:, t] + r * hu[:, 2 * units :])
        else:
            hu = _matmul(h, recurrent[:, : 2 * units])
            z, r = gate(x_z[:, t] + hu[:, :units]), gate(x_r[:, t] + hu[:, units:])
            new = activation(x_h[:, t] + _matmul(r * h, recurrent[:, 2 * units :]))
        h = _masked(mask, t, z * h + (1 - z) * new, h)
        out[:, t] = h
    return out


def _simple_rnn(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """All outputs (batch, T, units) of a SimpleRNN fed `x` (batch, T, in), from a zero state."""
    activation, z = _activation(layer), _dense(layer, x)
    h = np.zeros((x.shape[0], int(layer.options["units"])), x.dtype)
    out: Floats = np.empty_like(z)
    for t in range(x.shape[1]):
        h = _masked(mask, t, activation(z[:, t] + _matmul(h, layer.arrays["recurrent_kernel"])), h)
        out[:, t] = h
    return out


def _attention_pool(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """Mean of the steps (batch, in), weighted by a softmax over the steps."""
    e = x @ layer.arrays["weights"].astype(x.dtype)
    if mask is not None:
        e = np.where(mask[..., 0] != 0, e, -np.inf)
    top = e.max(axis=1, keepdims=True)
    a = np.exp(e - np.where(np.isfinite(top), top, 0))
    a /= a.sum(axis=1, keepdims=True) + x.dtype.type(layer.options["epsilon"])
    y: Floats = np.einsum("bt,bti->bi", a, np.where(a[..., None] > 0, x, 0))
    return y


def _average_pool(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    if mask is None:
        return np.asarray(x.mean(axis=1))
    present = mask != 0
    return np.asarray(np.where(present, x, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def _dense(layer: Layer, x: Floats) -> Floats:
    z: Floats = _matmul(x, layer.arrays["kernel"]) + layer.arrays["bias"].astype(x.dtype)
    return z


def _layer_norm(layer: Layer, x: Floats) -> Floats:
    scale, offset = (layer.arrays[name].astype(x.dtype) for name in ("scale", "offset"))
    spread = np.sqrt(x.var(axis=-1, keepdims=True) + x.dtype.type(layer.options["epsilon"]))
    return np.asarray(scale * ((x - x.mean(axis=-1, keepdims=True)) / spread) + offset)


def _rectifier(layer: Layer, x: Floats) -> Floats:
    slope, threshold, most = (x.dtype.type(layer.options[k]) for k in ("negative_slope", "threshold", "max_value"))
    y: Floats = np.where(x >= threshold, np.minimum(x, most), slope * (x - threshold))
    return y


def _reshape(layer: Layer, x: Floats) -> Floats:
    steps, units = int(layer.options["steps"]), int(layer.options["units"])
    y: Floats = x.reshape((len(x), steps, units) if steps else (len(x), units))
    return y


def _activation(layer: Layer, key: str = "activation") -> Callable[[Floats], Floats]:
    return ACTIVATIONS[str(layer.options[key])]


def _mask(layer: Layer, x: Floats) -> Floats:
    numbers = x[..., None] if x.ndim == 2 else x  # ids have one number a step
    y: Floats = (numbers != layer.options["value"]).any(axis=-1, keepdims=True).astype(x.dtype)
    return y


# The inputs of a layer, each (batch, size) or (batch, T, size), to its output.
Formula = Callable[[Layer, Sequence[Floats]], Floats]


def _of_one(formula: Callable[[Layer, Floats], Floats]) -> Formula:
    return lambda layer, given: formula(layer, given[0])


def _of_all(formula: Callable[[Sequence[Floats]], Floats]) -> Formula:
    return lambda layer, given: formula(given)


def _with_mask(formula: Callable[[Layer, Floats, Floats | None], Floats]) -> Formula:
    return lambda layer, given: formula(layer, given[0], given[1] if len(given) > 1 else None)


def _recurrent(formula: Callable[[Layer, Floats, Floats | None], Floats]) -> Formula:
    every = _with_mask(formula)

    def run(layer: Layer, given: Sequence[Floats]) -> Floats:
        out = every(layer, given)
        return out if layer.options["return_sequences"] else out[:, -1]

    return run


# The formula of each row of `LAYER_TYPES`.
FORMULAS: Mapping[str, Formula] = {
    "embedding": _of_one(lambda layer, x: layer.arrays["embeddings"][x.astype(np.intp)].astype(x.dtype)),
    "lstm": _recurrent(_lstm),
    "gru": _recurrent(_gru),
    "simple_rnn": _recurrent(_simple_rnn),
    "dense": _of_one(lambda layer, x: _activation(layer)(_dense(layer, x))),
    "affine": _of_one(
        lambda layer, x: layer.arrays["scale"].astype(x.dtype) * x + layer.arrays["offset"].astype(x.dtype)
    ),
    "layer_norm": _of_one(_layer_norm),
    "activation": _of_one(lambda layer, x: _activation(layer)(x)),
    "prelu": _of_one(lambda layer, x: np.where(x > 0, x, layer.arrays["alpha"].astype(x.dtype) * x)),
    "rectifier": _of_one(_rectifier),
    "mask": _of_one(_mask),
    "concatenate": _of_all(lambda given: np.concatenate(given, axis=-1)),
    "add": _of_all(lambda given: reduce(np.add, given)),
    "subtract": _of_all(lambda given: reduce(np.subtract, given)),
    "multiply": _of_all(lambda given: reduce(np.multiply, given)),
    "average": _of_all(lambda given: reduce(np.add, given) / len(given)),
    "maximum": _of_all(lambda given: reduce(np.maximum, given)),
    "minimum": _of_all(lambda given: reduce(np.minimum, given)),
    "attention_pool": _with_mask(_attention_pool),
    "average_pool": _with_mask(_average_pool),
    "max_pool": _of_one(lambda layer, x: x.max(axis=1)),
    "reverse": _of_one(lambda layer, x: x[:, ::-1]),
    "reshape": _of_one(_reshape),
    "repeat": _of_one(lambda layer, x: np.repeat(x[:, None], int(layer.options["steps"]), axis=1)),
    "transpose": _of_one(lambda layer, x: x.swapaxes(1, 2)),
}


def forward(network: Network, x: ArrayLike, dtype: DTypeLike = np.float64) -> Floats:
    """Keras's output for `x`, computed in `dtype` from a zero state.

    `x` holds ids (T,) or (batch, T) if the first layer is an embedding, else numbers
    (batch, T, input_size). Returns (batch, outputs), or (batch, T, outputs) for a network with an
    output at each step; without the batch axis if `x` has none.
    """
    source: Floats = np.asarray(x, dtype)
    batched = source.ndim == (2 if network.takes_ids else 3)
    if not batched:
        source = source[None]
    values: list[Floats] = []
    # Overflow is an answer here, as it is in Keras: inf or NaN, not a warning.
    with np.errstate(all="ignore"):
        for i, layer in enumerate(network.layers):
            given = [source if j == NETWORK_INPUT else values[j] for j in network.inputs(i)]
            values.append(FORMULAS[layer.type](layer, given))
    return values[-1] if batched else values[-1][0]


def encode(
    network: Network, encoding: str, ids: Sequence[int], input_values: Sequence[float] | Array | None = None
) -> NDArray[Any]:
    """Network input (T,) or (T, input_size) of the elements `ids`: section 3 of docs/format.md.

    `input_values`: with the encoding "raw", the number of each element, if that is not its id.
    """
    if encoding == "index":
        return np.asarray(ids)
    if encoding == "onehot":
        out = np.zeros((len(ids), network.input_size), np.float32)
        out[np.arange(len(ids)), ids] = 1
        return out
    if encoding == "raw":
        values = np.asarray(ids) if input_values is None else np.asarray(input_values)[np.asarray(ids, np.intp)]
        return values.astype(np.float32)[:, None]
    return (np.asarray(ids, np.float64) / network.outputs).astype(np.float32)[:, None]


def self_test(
    network: Network,
    encoding: str,
    elements: int | None = None,
    input_values: Sequence[float] | Array | None = None,
) -> tuple[NDArray[Any], NDArray[np.float64], float]:
    """Input (ids; for `features`, all steps' numbers), last output in float64, and tolerance.

    The ids are of `elements`: by default as many as there are outputs. `input_values` as in
    `encode`.
    """
    count = network.window if network.fixed_steps else SELF_TEST_STEPS
    if encoding == "features":
        # Exact fractions of a fixed pattern between -1 and 1: the same on every machine.
        pattern = np.arange(count * network.input_size) * 61 % 129 - 64
        given: NDArray[Any] = (pattern / 64).astype(np.float32)
        x: NDArray[Any] = given.reshape(count, network.input_size)
    else:
        given = np.arange(count) * ((elements or network.outputs) - 1) // max(count - 1, 1)
        x = encode(network, encoding, given.tolist(), input_values)
    y64 = forward(network, x, np.float64)
    y32 = forward(network, x, np.float32)
    if network.returns_sequences:
        y64, y32 = y64[-1], y32[-1]
    if not (np.isfinite(y64).all() and np.isfinite(y32).all()):
        raise ModelFormatError("the network overflows float32: its output is not finite")
    difference = float(np.abs(y64 - y32).max())
    # A badly conditioned network may differ by more than rounding the output does.
    tolerance = max(1e-5 * float(np.abs(y64).max()), 32 * difference, 1e-7)
    return given, y64.astype(np.float64), tolerance
