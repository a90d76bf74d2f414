"""The bytes of a `.bin`: the framing, the keys and the tensors of GGUF (docs/format.md, section 1).

This module does not know what the keys and the tensors mean.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.binfile.sniffing import MAGIC, MAX_FILE
from lstmgen.errors import ModelFormatError

VERSION = 3
ALIGNMENT = 64  # bytes; each tensor starts at a multiple of it
CHECKSUM = "lstmgen.checksum"

# The types of values.
U32, F32, _BOOL, _STRING, _ARRAY, F64 = 4, 6, 7, 8, 9, 12
_SCALARS = {U32: "<I", F32: "<f", _BOOL: "<?", F64: "<d"}
_NUMBERS = {U32: "<u4", F32: "<f4", F64: "<f8"}  # the types of arrays
# The types of tensors, F32, BF16 and I8, with the numbers that hold them.
_TENSORS: Mapping[int, np.dtype[Any]] = {0: np.dtype("<f4"), 30: np.dtype("<u2"), 24: np.dtype("i1")}
_TENSOR_CODES = {dtype.itemsize: code for code, dtype in _TENSORS.items()}

# -- values ----------------------------------------------------------------------------------------


def u32(value: int) -> bytes:
    """Return the bytes of a value of type u32.

    >>> u32(7).hex()
    '0400000007000000'
    """
    return struct.pack("<II", U32, value)


def f64(value: float) -> bytes:
    """Return the bytes of a value of type f64.

    >>> f64(0.5).hex()
    '0c000000000000000000e03f'
    """
    return struct.pack("<Id", F64, value)


def boolean(value: bool) -> bytes:
    """Return the bytes of a value of type bool.

    >>> boolean(True).hex()
    '0700000001'
    """
    return struct.pack("<IB", _BOOL, value)


def string(text: str) -> bytes:
    """Return the bytes of a value of type string.

    >>> string("a").hex()
    '08000000010000000000000061'
    """
    return struct.pack("<I", _STRING) + _text(text)


def strings(texts: Sequence[str]) -> bytes:
    """Return the bytes of an array of strings.

    >>> strings([]).hex()
    '09000000080000000000000000000000'
    """
    return struct.pack("<IIQ", _ARRAY, _STRING, len(texts)) + b"".join(map(_text, texts))


def numbers(code: int, values: Sequence[float] | NDArray[Any]) -> bytes:
    """Return the bytes of an array of numbers of the type `code`: U32, F32 or F64.

    >>> numbers(U32, [7]).hex()
    '0900000004000000010000000000000007000000'
    """
    return struct.pack("<IIQ", _ARRAY, code, len(values)) + np.asarray(values, _NUMBERS[code]).tobytes()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


# -- the file --------------------------------------------------------------------------------------


def assemble(keys: Mapping[str, bytes], tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of a file with these values and tensors. The last key is the checksum.

    keys: the bytes of each value, which the functions above return.
    tensors: arrays of float32 (F32), uint16 (BF16) or int8 (I8), in the order of the file.

    Raises `ModelFormatError` for a file of more than 4 GiB.

    >>> data = assemble({"a": u32(7)}, {"b": np.zeros(3, np.float32)})
    >>> keys, tensors = parse(data)
    >>> keys["a"], tensors["b"].tolist()
    (7, [0.0, 0.0, 0.0])
    """
    prefix = bytearray(struct.pack("<4sIQQ", MAGIC, VERSION, len(tensors), len(keys) + 1))
    for key, value in keys.items():
        prefix += _text(key) + value
    prefix += _text(CHECKSUM) + u32(0)
    checksum_at = len(prefix) - 4
    offset = 0
    for name, tensor in tensors.items():
        offset += len(_padding(offset))
        dimensions = tensor.shape[::-1]
        prefix += _text(name) + struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *dimensions)
        prefix += struct.pack("<IQ", _TENSOR_CODES[tensor.itemsize], offset)
        offset += tensor.nbytes
    prefix += _padding(len(prefix))
    if len(prefix) + offset > MAX_FILE:
        raise ModelFormatError(f"the file would have {len(prefix) + offset} bytes, over 4 GiB")

    data: list[bytes | memoryview] = []
    for i, tensor in enumerate(tensors.values()):
        data.append(tensor.data.cast("B"))
        if i < len(tensors) - 1:
            data.append(_padding(tensor.nbytes))
    checksum = zlib.crc32(prefix)
    for part in data:
        checksum = zlib.crc32(part, checksum)
    struct.pack_into("<I", prefix, checksum_at, checksum)
    return b"".join([prefix, *data])


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGNMENT)


def parse(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the values and the tensors of a file that the engine has already checked.

    data: the bytes of the file. The tensors share its memory.

    The tensors are arrays of float32 (F32), uint16 (BF16) or int8 (I8).

    >>> list(parse(assemble({}, {}))[0])
    ['lstmgen.checksum']
    """
    reader = _Reader(data)
    tensor_count, key_count = reader.numbers("<4sIQQ")[2:]
    keys = {reader.string(): reader.value() for _ in range(key_count)}
    return keys, reader.tensors(tensor_count)


def with_key(data: bytes, name: str, value: bytes | None) -> bytes:
    """Return a sound file with another value of a key, or without the key for None.

    >>> import lstmgen
    >>> data = with_key(lstmgen.Model("latex").to_bytes(), "general.name", string("mine"))
    >>> lstmgen.Model(data).metadata["name"]
    'mine'
    """
    reader = _Reader(data)
    tensor_count, key_count = reader.numbers("<4sIQQ")[2:]
    keys = {}
    for _ in range(key_count):
        key, begin = reader.string(), reader.at
        reader.value()
        keys[key] = data[begin : reader.at]
    del keys[CHECKSUM]
    if value is None:
        keys.pop(name, None)
    else:
        keys[name] = value
    return assemble(keys, reader.tensors(tensor_count))


class _Reader:
    """A place in the bytes of a sound file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def string(self) -> str:
        (size,) = self.numbers("<Q")
        self.at += size
        return self.data[self.at - size : self.at].decode()

    def array(self, dtype: str | np.dtype[Any], count: int) -> NDArray[Any]:
        found: NDArray[Any] = np.frombuffer(self.data, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def value(self) -> Any:
        (code,) = self.numbers("<I")
        if code == _STRING:
            return self.string()
        if code != _ARRAY:
            return self.numbers(_SCALARS[code])[0]
        code, count = self.numbers("<IQ")
        return [self.string() for _ in range(count)] if code == _STRING else self.array(_NUMBERS[code], count)

    def tensors(self, count: int) -> dict[str, NDArray[Any]]:
        """Return the tensors, which are the rest of the file."""
        records = []
        for _ in range(count):
            name = self.string()
            (dimensions,) = self.numbers("<I")
            shape = self.numbers(f"<{dimensions}Q")[::-1]
            code, _ = self.numbers("<IQ")
            records.append((name, shape, _TENSORS[code]))
        tensors = {}
        for name, shape, dtype in records:
            self.at += len(_padding(self.at))
            tensors[name] = self.array(dtype, int(np.prod(shape))).reshape(shape)
        return tensors
