"""Activations in plain numpy, under the names of docs/format.md.

Formulas and default parameters are those of `keras.activations` in Keras 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def _sigmoid(x: Floats) -> Floats:
    e: Floats = np.exp(-np.abs(x))  # the exponent is never positive, so that nothing overflows
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
    """Return the projection of `x` onto the probabilities.

    Keras up to 3.15 computes it wrongly (keras-team/keras issue 23425).
    """
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


ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": _elu,
    "selu": _selu,
    "celu": _elu,  # celu equals elu for Keras's default alpha of 1
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
