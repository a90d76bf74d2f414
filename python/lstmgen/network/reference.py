"""A forward pass in plain numpy.

The engine is compared with it, and self-tests come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network import NETWORK_INPUT, Array, Layer, Network
from lstmgen.network.activations import ACTIVATIONS

Floats = NDArray[Any]  # float32 or float64

SELF_TEST_STEPS = 8

# What is called after each step of a recurrent layer.
_watching: ContextVar[Callable[[], None] | None] = ContextVar("watching", default=None)


def _matmul(x: Floats, matrix: Array) -> Floats:
    """Return `x @ matrix` in the dtype of `x`.

    The matrix is converted in pieces that fit the cache, so that there is no float64 copy of it.
    """
    rows = max(1, 2**17 // matrix.shape[1])
    out: Floats = np.zeros((*x.shape[:-1], matrix.shape[1]), x.dtype)
    for k in range(0, len(matrix), rows):
        out += x[..., k : k + rows] @ matrix[k : k + rows].astype(x.dtype, copy=False)
    return out


def _steps(x: Floats) -> Iterator[int]:
    """Yield the steps of an input (batch, T, in), and tell whoever watches."""
    watching = _watching.get()
    for t in range(x.shape[1]):
        yield t
        if watching is not None:
            watching()


def _masked(mask: Floats | None, t: int, new: Floats, old: Floats) -> Floats:
    """Return `new`, but `old` in the rows whose mask is 0 at step `t`."""
    return new if mask is None else np.where(mask[:, t] != 0, new, old)


def _lstm(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """Return all outputs (batch, T, units) of an LSTM fed `x` (batch, T, in), from a zero state."""
    activation, gate = _activation(layer), _activation(layer, "recurrent_activation")
    z = _dense(layer, x)
    h = c = np.zeros((x.shape[0], int(layer.options["units"])), x.dtype)
    out: Floats = np.empty((*x.shape[:2], h.shape[1]), x.dtype)
    for t in _steps(x):
        i, f, g, o = np.split(z[:, t] + _matmul(h, layer.arrays["recurrent_kernel"]), 4, axis=-1)
        new = gate(f) * c + gate(i) * activation(g)
        h = _masked(mask, t, gate(o) * activation(new), h)
        c = _masked(mask, t, new, c)
        out[:, t] = h
    return out


def _gru(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """Return all outputs (batch, T, units) of a GRU fed `x` (batch, T, in), from a zero state."""
    activation, gate = _activation(layer), _activation(layer, "recurrent_activation")
    units, recurrent = int(layer.options["units"]), layer.arrays["recurrent_kernel"]
    x_z, x_r, x_h = np.split(_dense(layer, x), 3, axis=-1)
    h = np.zeros((x.shape[0], units), x.dtype)
    out: Floats = np.empty((*x.shape[:2], units), x.dtype)
    for t in _steps(x):
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
    """Return all outputs (batch, T, units) of a SimpleRNN fed `x` (batch, T, in)."""
    activation, z = _activation(layer), _dense(layer, x)
    h = np.zeros((x.shape[0], int(layer.options["units"])), x.dtype)
    out: Floats = np.empty_like(z)
    for t in _steps(x):
        h = _masked(mask, t, activation(z[:, t] + _matmul(h, layer.arrays["recurrent_kernel"])), h)
        out[:, t] = h
    return out


def _attention_pool(layer: Layer, x: Floats, mask: Floats | None) -> Floats:
    """Return the mean of the steps (batch, in), weighted by a softmax over the steps."""
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
    numbers = x[..., None] if x.ndim == 2 else x  # ids are one number per step
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
    """Return Keras's output for an input, computed from a zero state.

    x: ids (T,) or (batch, T) if the network has an embedding, else numbers (T, input_size) or
        (batch, T, input_size).
    dtype: float64 or float32; the arithmetic is in it, too.

    Returns (batch, outputs), or (batch, T, outputs) for a network with an output at each step. The
    batch axis is missing if `x` has none. An overflow gives inf or NaN, as in Keras.

    >>> from lstmgen.network import Layer, Network
    >>> arrays = {"kernel": np.array([[1.0], [2.0]]), "bias": np.array([0.5])}
    >>> layer = Layer("dense", "output", {"units": 1, "activation": "linear"}, arrays)
    >>> network = Network((layer,), window=0, input_size=2, keras_version="")
    >>> forward(network, [[1, 1], [0, 3]]).tolist()
    [[3.5], [6.5]]
    """
    source: Floats = np.asarray(x, dtype)
    batched = source.ndim == (2 if network.takes_ids else 3)
    if not batched:
        source = source[None]
    values: list[Floats] = []
    # An overflow is not a warning here. As in Keras it gives inf or NaN.
    with np.errstate(all="ignore"):
        for i, layer in enumerate(network.layers):
            given = [source if j == NETWORK_INPUT else values[j] for j in network.inputs(i)]
            values.append(FORMULAS[layer.type](layer, given))
    return values[-1] if batched else values[-1][0]


@contextmanager
def watched(done: Callable[[int], None] | None) -> Iterator[None]:
    """Call `done` with the steps of recurrent layers so far, after each step in this block.

    `recurrent_steps` tells how many there are in a call of `forward`. None watches nothing.

    >>> with watched(print):
    ...     pass
    """
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        assert done is not None
        done(count)

    before = _watching.set(None if done is None else step)
    try:
        yield
    finally:
        _watching.reset(before)


def recurrent_steps(network: Network, steps: int) -> int:
    """Return how many steps of recurrent layers `forward` computes for an input of `steps` steps.

    >>> from lstmgen.network import Layer, Network
    >>> layer = Layer("simple_rnn", "rnn", {"units": 2, "return_sequences": False}, {})
    >>> recurrent_steps(Network((layer,), 0, 3, ""), 7)
    7
    """
    sources = [network.inputs(i)[0] for i, layer in enumerate(network.layers) if layer.row.recurrent]
    return sum(steps if source == NETWORK_INPUT else network.values[source].steps or steps for source in sources)


def self_test_steps(network: Network) -> int:
    """Return how many steps the input of a self-test has.

    >>> from lstmgen.network import Network
    >>> self_test_steps(Network((), 0, 3, ""))
    8
    """
    return network.window if network.fixed_steps else SELF_TEST_STEPS


def encode(
    network: Network, encoding: str, ids: Sequence[int], input_values: Sequence[float] | Array | None = None
) -> NDArray[Any]:
    """Return the input of a network for elements, as in section 3 of docs/format.md.

    encoding: "index", "onehot", "raw" or "scaled".
    ids: of the elements, below the number of outputs.
    input_values: with the encoding "raw", the number of each element; None stands for its id.

    Returns (T,) for "index", (T, input_size) otherwise.

    >>> from lstmgen.network import Layer, Network
    >>> arrays = {"kernel": np.ones((3, 3)), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "softmax"}, arrays)
    >>> encode(Network((layer,), 0, 3, ""), "onehot", [2, 0]).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
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
    """Return an input, the last output for it in float64, and the tolerance of the comparison.

    encoding: as of `encode`, or "features".
    elements: the ids are below this number. None stands for the number of outputs.
    input_values: as of `encode`.

    The input is ids, or the numbers of all steps for "features". Raises `ModelFormatError` for a
    network whose output is not finite in float32.

    >>> from lstmgen.network import Layer, Network
    >>> arrays = {"kernel": np.eye(3), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "linear"}, arrays)
    >>> ids, output, tolerance = self_test(Network((layer,), 0, 3, ""), "onehot")
    >>> ids.tolist(), output.tolist(), tolerance
    ([0, 0, 0, 0, 1, 1, 1, 2], [0.0, 0.0, 1.0], 1e-05)
    """
    count = self_test_steps(network)
    if encoding == "features":
        # A fixed pattern of exact fractions from -1 to 1 is the same on every machine.
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
    # A badly conditioned network may differ by more than the rounding of its output.
    tolerance = max(1e-5 * float(np.abs(y64).max()), 32 * difference, 1e-7)
    return given, y64.astype(np.float64), tolerance
