"""Checkpoints of TensorFlow, byte by byte: messages of protocol buffers in a table of LevelDB."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Entries = Sequence[tuple[bytes, bytes]]

GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"


def varint(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(key: bytes, value: bytes, shared: int = 0) -> bytes:
    """Return an entry whose key begins with `shared` bytes of the key before it."""
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(entries: Entries) -> bytes:
    return b"".join(entry(key, value) for key, value in entries) + struct.pack("<II", 0, 1)


def table(data: bytes, times: int = 1, compressed: int = 0) -> bytes:
    """Return a table whose only block is named `times` times."""
    handles = block([(b"z%d" % i, varint(0) + varint(len(data))) for i in range(times)])
    at = len(data) + 5
    footer = varint(0) + varint(0) + varint(at) + varint(len(handles))
    return (
        data
        + bytes([compressed])
        + bytes(4)
        + handles
        + bytes(5)
        + footer.ljust(40, b"\0")
        + struct.pack("<Q", 0xDB4775248B80FB57)
    )


def index(entries: Entries, times: int = 1, compressed: int = 0) -> bytes:
    return table(block(entries), times, compressed)


HEADER = (b"", field(1, 1))


def child(at: int, name: str) -> bytes:
    return field(1, field(1, at) + field(2, name.encode()))


def variable(key: str, name: str = "") -> bytes:
    return field(2, field(1, b"VARIABLE_VALUE") + field(2, name.encode()) + field(3, key.encode()))


def graph(*nodes: bytes) -> bytes:
    """Return the graph of objects as a checkpoint holds it: after its length and a checksum."""
    return framed(b"".join(field(1, node) for node in nodes))


def framed(data: bytes) -> bytes:
    return varint(len(data)) + bytes(4) + data


def tensor(shape: Sequence[int], offset: int, size: int, dtype: int = 1) -> bytes:
    sizes = b"".join(field(2, field(1, n)) for n in shape)
    return field(1, dtype) + field(2, sizes) + field(4, offset) + field(5, size)


DENSE = (child(1, "dense"), child(2, "kernel") + child(3, "bias"), variable("k"), variable("b"))
