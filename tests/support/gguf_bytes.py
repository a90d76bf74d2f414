"""A `.bin`, taken apart and put together again with whatever is to be wrong in it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

U32, F32, BOOL, STRING, ARRAY, F64 = 4, 6, 7, 8, 9, 12
SIZES = {U32: 4, F32: 4, BOOL: 1, F64: 8}
CHECKSUM = "lstmgen.checksum"


# -- a file, taken apart ---------------------------------------------------------------------------


@dataclass
class Tensor:
    name: bytes
    dims: list[int]
    type: int
    offset: int
    n_dims: int | None = None


@dataclass
class File:
    """The parts of a file; a count that is None is the true one."""

    keys: list[tuple[bytes, bytes]]
    tensors: list[Tensor]
    data: bytearray
    magic: bytes = b"GGUF"
    version: bytes = struct.pack("<I", 3)
    n_keys: int | None = None
    n_tensors: int | None = None
    padding: int = 0
    seal: bool = True  # put the right checksum in
    tail: bytes = b""

    def set(self, key: str, value: bytes) -> None:
        self.keys = [(k, value if k == key.encode() else v) for k, v in self.keys]

    def get(self, key: str) -> bytes:
        return dict(self.keys)[key.encode()]

    def drop(self, key: str) -> None:
        self.keys = [(k, v) for k, v in self.keys if k != key.encode()]

    def add(self, key: str | bytes, value: bytes) -> None:
        self.keys.insert(0, (key.encode() if isinstance(key, str) else key, value))

    def to_bytes(self) -> bytes:
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_keys = len(self.keys) if self.n_keys is None else self.n_keys
        head = bytearray(self.magic + self.version + struct.pack("<QQ", n_tensors, n_keys))
        checksum_at = None
        for key, value in self.keys:
            head += text(key) + value
            if key == CHECKSUM.encode() and len(value) == 8:
                checksum_at = len(head) - 4
        for t in self.tensors:
            n_dims = len(t.dims) if t.n_dims is None else t.n_dims
            head += text(t.name) + struct.pack("<I", n_dims)
            head += struct.pack(f"<{len(t.dims)}QIQ", *t.dims, t.type, t.offset)
        head += bytes([self.padding]) * (-len(head) % 64)
        out = bytearray(head + self.data + self.tail)
        if checksum_at is not None and self.seal:
            out[checksum_at : checksum_at + 4] = bytes(4)
            struct.pack_into("<I", out, checksum_at, zlib.crc32(out))
        return bytes(out)


def text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def string(value: str) -> bytes:
    return struct.pack("<I", STRING) + text(value.encode())


def u32(value: int) -> bytes:
    return struct.pack("<II", U32, value)


def boolean(value: bool) -> bytes:
    return struct.pack("<IB", BOOL, value)


def f64(value: float) -> bytes:
    return struct.pack("<Id", F64, value)


def array(kind: int, count: int, elements: bytes = b"") -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, count) + elements


def strings(elements: list[str]) -> bytes:
    return array(STRING, len(elements), b"".join(text(e.encode()) for e in elements))


def take_apart(data: bytes) -> File:
    at = 24

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return int(value)

    def take_text() -> bytes:
        nonlocal at
        size = take("Q")
        at += size
        return data[at - size : at]

    def skip(kind: int) -> None:
        nonlocal at
        if kind == STRING:
            take_text()
        elif kind == ARRAY:
            element, count = take("I"), take("Q")
            for _ in range(count):
                skip(element)
        else:
            at += SIZES[kind]

    n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
    keys = []
    for _ in range(n_keys):
        key, begin = take_text(), at
        skip(take("I"))
        keys.append((key, data[begin:at]))
    tensors = []
    for _ in range(n_tensors):
        name, n_dims = take_text(), take("I")
        tensors.append(Tensor(name, [take("Q") for _ in range(n_dims)], take("I"), take("Q")))
    at += -at % 64
    return File(keys, tensors, bytearray(data[at:]))
