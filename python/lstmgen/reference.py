"""A plain numpy forward pass: what the engine is measured against, and the source of self-tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network import Array, Layer, Network

Floats = NDArray[Any]  # float32 or float64

SELF_TEST_STEPS = 8


def _sigmoid(x: Floats) -> Floats:
    e: Floats = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _softmax(x: Floats) -> Floats:
    e: Floats = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def _log_softmax(x: Floats) -> Floats:
    z: Floats = x - x.max(axis=-1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return z


def _sparsemax(x: Floats) -> Floats:
    """The projection onto probabilities; Keras up to 3.15 subtracts a wrong tau, mended since."""
    ordered = -np.sort(-x, axis=-1)
    total = np.cumsum(ordered, axis=-1)
    rank = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    support = ordered - (total - 1) / rank > 0
    count = support.sum(axis=-1, keepdims=True).astype(x.dtype)
    tau = (np.where(support, ordered, 0).sum(axis=-1, keepdims=True) - 1) / count
    y: Floats = np.maximum(x - tau, 0)
    return y


def _softplus(x: Floats) -> Floats:
    y: Floats = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y


def _gelu(x: Floats) -> Floats:
    erf = np.vectorize(math.erf, otypes=[x.dtype])  # numpy has no erf
    y: Floats = 0.5 * x * (1 + erf(x / math.sqrt(2)))
    return y


def _hard_sigmoid(x: Floats) -> Floats:
    y: Floats = np.clip(x + 3, 0, 6) / 6
    return y


def _soft_shrink(x: Floats) -> Floats:
    return np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0))


def _sparse_plus(x: Floats) -> Floats:
    return np.where(x <= -1, 0, np.where(x < 1, 0.25 * (x + 1) ** 2, x))


def _elu(x: Floats) -> Floats:
    return np.maximum(x, 0) + np.expm1(np.minimum(x, 0))


def _selu(x: Floats) -> Floats:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * (np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))


def _gelu_tanh(x: Floats) -> Floats:
    y: Floats = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return y


# Meaning and default parameters are those of keras.activations in Keras 3.
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": _elu,
    "selu": _selu,
    "celu": _elu,  # equal for Keras's default alpha of 1
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "silu": lambda x: x * _sigmoid(x),
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "log_sigmoid": lambda x: -_softplus(-x),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink": _soft_shrink,
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda x: np.clip(0.5 * (x + 1), 0, 1),
    "sparsemax": _sparsemax,
}


def _matmul(x: Floats, matrix: Array) -> Floats:
    """`x @ matrix` in the dtype of `x`, by pieces that fit the cache: no float64 copy of it."""
    rows = max(1, 2**17 // matrix.shape[1])
    out: Floats = np.zeros((*x.shape[:-1], matrix.shape[1]), x.dtype)
    for k in range(0, len(matrix), rows):
        out += x[..., k : k + rows] @ matrix[k : k + rows].astype(x.dtype, copy=False)
    return out


def _lstm(layer: Layer, x: Floats) -> Floats:
    """All outputs (batch, T, units) of an LSTM fed `x` (batch, T, in), from a zero state."""
    activation = ACTIVATIONS[str(layer.options["activation"])]
    gate = ACTIVATIONS[str(layer.options["recurrent_activation"])]
    z = _matmul(x, layer.arrays["kernel"]) + layer.arrays["bias"].astype(x.dtype)
    h = c = np.zeros((x.shape[0], int(layer.options["units"])), x.dtype)
    out: Floats = np.empty((*x.shape[:2], h.shape[1]), x.dtype)
    for t in range(x.shape[1]):
        i, f, g, o = np.split(z[:, t] + _matmul(h, layer.arrays["recurrent_kernel"]), 4, axis=-1)
        c = gate(f) * c + gate(i) * activation(g)
        h = gate(o) * activation(c)
        out[:, t] = h
    return out


def _apply(layer: Layer, x: Floats, dtype: DTypeLike) -> Floats:
    arrays = layer.arrays
    if layer.type == "embedding":
        return arrays["embeddings"][x.astype(np.intp)].astype(dtype)
    if layer.type == "lstm":
        out = _lstm(layer, x)
        return out if layer.options["return_sequences"] else out[:, -1]
    if layer.type == "dense":
        z = _matmul(x, arrays["kernel"]) + arrays["bias"].astype(dtype)
        return ACTIVATIONS[str(layer.options["activation"])](z)
    if layer.type == "affine":
        y: Floats = arrays["scale"].astype(dtype) * x + arrays["offset"].astype(dtype)
        return y
    return ACTIVATIONS[str(layer.options["activation"])](x)


def forward(network: Network, x: ArrayLike, dtype: DTypeLike = np.float64) -> Floats:
    """Keras's output for `x`, computed in `dtype` from a zero state.

    `x` holds ids (T,) or (batch, T) if the first layer is an embedding, else numbers
    (batch, T, input_size). Returns (batch, outputs), or (batch, T, outputs) for a network with an
    output at each step; without the batch axis if `x` has none.
    """
    values: Floats = np.asarray(x, dtype)
    batched = values.ndim == (2 if network.takes_ids else 3)
    if not batched:
        values = values[None]
    # Overflow is an answer here, as it is in Keras: inf or NaN, not a warning.
    with np.errstate(all="ignore"):
        for layer in network.layers:
            values = _apply(layer, values, dtype)
    return values if batched else values[0]


def encode(network: Network, encoding: str, ids: Sequence[int]) -> NDArray[Any]:
    """Network input (T,) or (T, input_size) of the elements `ids`: section 3 of docs/format.md."""
    if encoding == "index":
        return np.asarray(ids)
    if encoding == "onehot":
        out = np.zeros((len(ids), network.input_size), np.float32)
        out[np.arange(len(ids)), ids] = 1
        return out
    return (np.asarray(ids, np.float64) / network.outputs).astype(np.float32)[:, None]


def self_test(network: Network, encoding: str) -> tuple[NDArray[Any], NDArray[np.float64], float]:
    """Input (ids; for `features`, all steps' numbers), last output in float64, and tolerance."""
    count = SELF_TEST_STEPS
    if encoding == "features":
        # Exact fractions of a fixed pattern between -1 and 1: the same on every machine.
        pattern = np.arange(count * network.input_size) * 61 % 129 - 64
        given: NDArray[Any] = (pattern / 64).astype(np.float32)
        x: NDArray[Any] = given.reshape(count, network.input_size)
    else:
        given = np.arange(count) * (network.outputs - 1) // (count - 1)
        x = encode(network, encoding, given.tolist())
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
