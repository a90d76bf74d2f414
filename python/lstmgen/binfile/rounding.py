"""The rounding of a file's matrices: to bf16, or to int8 with scales."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import ModelFormatError
from lstmgen.network import MATRICES, Array, Network

NUMBER_BYTES = {"f32": 4, "bf16": 2, "int8": 1}  # the size of a number in a matrix
DTYPES = tuple(NUMBER_BYTES)
# How far an output may lie from that of the weights as stored, as a share of the greatest output.
# The numbers that the matrices are multiplied with are rounded, too.
ROUNDING_TOLERANCE = {"bf16": 2e-2, "int8": 1e-2}


@contextlib.contextmanager
def to_nearest() -> Iterator[None]:
    """Within, this thread rounds floats to nearest, whatever the program around Python has set.

    >>> with to_nearest():
    ...     print(1 + 2**-53)
    1.0
    """
    import ctypes

    try:
        c = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
        before, _ = c.fegetround(), c.fesetround(0)  # FE_TONEAREST is 0 on all processors
    except (OSError, AttributeError):  # a system whose mode cannot be set from here
        yield
        return
    try:
        yield
    finally:
        c.fesetround(before)


def to_bf16(values: Array) -> NDArray[np.uint16]:
    """Return the upper 16 bits of each number, rounded to nearest, ties to even.

    values: finite numbers of any shape.

    >>> to_bf16(np.array([1.0, 1.001], np.float32)).tolist()
    [16256, 16256]
    """
    bits = values.view(np.uint32)
    found = np.empty(bits.shape, np.uint16)
    for piece in _pieces(bits):
        work = bits[piece] >> 16
        work &= 1
        work += 0x7FFF
        work += bits[piece]
        work >>= 16
        found[piece] = work
    return found


def from_bf16(bits: NDArray[np.uint16]) -> Array:
    """Return the numbers that BF16 `bits` stand for, in the same shape.

    >>> from_bf16(np.array([16256], np.uint16)).tolist()
    [1.0]
    """
    wide = np.empty(bits.shape, np.uint32)
    for piece in _pieces(bits):
        wide[piece] = bits[piece]
        wide[piece] <<= 16
    return wide.view(np.float32)


def to_int8(values: Array) -> tuple[NDArray[np.int8], Array]:
    """Return integers and scales whose products are near the numbers.

    values: finite numbers of the shape (rows, columns).

    Returns integers from -127 to 127 of the shape (rows, columns), and a scale for each column.

    >>> steps, scales = to_int8(np.array([[2.0], [-1.0]], np.float32))
    >>> steps.tolist(), float(scales[0] * 127)
    ([[127], [-64]], 2.0)
    """
    greatest = np.zeros(values.shape[1:], values.dtype)
    for piece in _pieces(values):
        np.maximum(greatest, np.abs(values[piece]).max(axis=0), out=greatest)
    scales = (greatest / np.float32(127)).astype(np.float32)
    found = np.empty(values.shape, np.int8)
    for piece in _pieces(values):
        part = values[piece]
        steps = np.divide(part, scales, out=np.zeros_like(part, np.float32), where=scales > 0)
        found[piece] = np.clip(np.rint(steps, out=steps), -127, 127, out=steps)
    return found, scales


def from_int8(steps: NDArray[np.int8], scales: Array) -> Array:
    """Return the numbers that integers (rows, columns) and scales (columns) stand for.

    >>> from_int8(np.array([[2], [3]], np.int8), np.array([0.5], np.float32)).tolist()
    [[1.0], [1.5]]
    """
    found = np.empty(steps.shape, np.float32)
    for piece in _pieces(steps):
        np.multiply(steps[piece], scales, out=found[piece])
    return found


def _pieces(values: NDArray[Any]) -> Iterator[Any]:
    """Yield indices of parts that take about a millisecond each, so that Ctrl-C need not wait."""
    if values.ndim == 0:
        yield ...
        return
    rows = max(1, 2**18 * len(values) // max(values.size, 1))
    for first in range(0, len(values), rows):
        yield slice(first, first + rows)


def rounded(network: Network, dtype: str) -> Network:
    """Return `network` with the matrices that a file of this dtype holds.

    Raises `ModelFormatError` for a number that is too large for the dtype.

    >>> rounded(Network((), 0, 3, ""), "bf16").input_size
    3
    """
    if dtype == "f32":
        return network
    layers = []
    for layer in network.layers:
        arrays = dict(layer.arrays)
        for name in MATRICES & arrays.keys():
            values = np.asarray(arrays[name], np.float32)
            arrays[name] = from_bf16(to_bf16(values)) if dtype == "bf16" else from_int8(*to_int8(values))
            if not np.isfinite(arrays[name]).all():
                raise ModelFormatError(
                    f"layer {layer.name}: {name}: expected numbers in the range of {dtype}, found larger ones"
                )
        layers.append(replace(layer, arrays=arrays))
    return replace(network, layers=tuple(layers))


def unrounded(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Return the numbers that the tensors of a file stand for.

    tensors: what `stored` returns.

    >>> unrounded({"out.kernel": np.array([16256], np.uint16)})["out.kernel"].tolist()
    [1.0]
    """
    found = {}
    for name, values in tensors.items():
        if values.dtype == np.uint16:
            found[name] = from_bf16(values)
        elif values.dtype == np.int8:
            found[name] = from_int8(values, tensors[f"{name}_scale"])
        else:
            found[name] = values
    return found


def stored(network: Network, dtype: str) -> dict[str, NDArray[Any]]:
    """Return each tensor of a file of this dtype under its name, in the order of the file.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.ones((3, 2), np.float32), "bias": np.zeros(2, np.float32)}
    >>> layer = Layer("dense", "out", {"units": 2, "activation": "linear"}, arrays)
    >>> tensors = stored(Network((layer,), 0, 3, ""), "int8")
    >>> [(name, str(tensor.dtype)) for name, tensor in tensors.items()]
    [('out.kernel', 'int8'), ('out.kernel_scale', 'float32'), ('out.bias', 'float32')]
    """
    tensors: dict[str, NDArray[Any]] = {}
    for i, layer in enumerate(network.layers):
        for name in layer.tensors(network.size_into(i)):
            full = f"{layer.name}.{name}"
            values: NDArray[Any] = np.asarray(layer.arrays[name], "<f4", "C")
            if dtype == "bf16" and name in MATRICES:
                tensors[full] = to_bf16(values).astype("<u2", copy=False)
            elif dtype == "int8" and name in MATRICES:
                tensors[full], scales = to_int8(values)
                tensors[f"{full}_scale"] = scales.astype("<f4", copy=False)
            else:
                tensors[full] = values
    return tensors
