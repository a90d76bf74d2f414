"""Careful reading of HDF5 from anywhere, and writing into memory. Only this module uses h5py.

No link leads out of the file. The size of an array is compared with the size that is wanted before
the array is read. h5py raises exceptions of many classes for a damaged file; they become one error.
"""

from __future__ import annotations

import contextlib
import io
import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from lstmgen.errors import ModelFormatError
from lstmgen.network import MAX_MATRIX, Array, Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_NAMES = 2**16  # bytes of an attribute that holds names. Keras writes at most 64,512
MAX_DEPTH = 32  # groups around an array. Keras writes about 8
MAX_RATIO = 100  # the highest compression. Trained weights hardly reach 1.2


MAX_TEXTS = 2**26  # bytes that the texts of one attribute may take in memory


class Budget:
    """What may still be taken from a file.

    There is a limit on the bytes of all arrays together, and one on the longest text in an
    attribute. `size` has the bytes of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._left = self.size = file.seek(0, io.SEEK_END)
        _check_length(file, self.size)
        self.longest_text = _check_heaps(file)

    def spend(self, nbytes: int, where: str) -> None:
        """Count `nbytes` of the file as read."""
        self._left -= nbytes
        if self._left < 0:
            raise ModelFormatError(f"{where}: declares more numbers than the file can hold")


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[Any]:
    """Open the h5py.File in an open file.

    h5py neither opens the path again nor writes a lock file.
    """
    import h5py

    with damage():
        root = h5py.File(file, "r")
    try:
        yield root
    finally:
        with contextlib.suppress(Exception):  # libhdf5 may fail to close what it read of a damaged file
            root.close()


def written(write: Callable[[Any], object], name: str) -> bytes:
    """Return a file of HDF5 that a function writes. It is called with the open h5py.File.

    The text of the file is its name, as Keras wants it. The file is in memory: where a disk is
    full, HDF5 would end the process.
    """
    import h5py

    class File(h5py.File):  # type: ignore[misc]
        def __str__(self) -> str:
            return name

    with File(name, "w", driver="core", backing_store=False) as file:
        write(file)
        file.flush()
        return file.id.get_file_image()  # type: ignore[no-any-return]


def _check_length(file: BinaryIO, size: int) -> None:
    """Raise `ModelFormatError` for a file that is shorter than its superblock says it is."""
    file.seek(0)
    head = file.read(48)
    if len(head) < 48 or not head.startswith(SIGNATURE):
        return  # libhdf5 says what is wrong
    version, wide = head[8], head[13 if head[8] < 2 else 9] == 8  # 8 bytes an address, as everybody has
    at = {0: 40, 1: 44, 2: 28, 3: 28}.get(version)
    if not wide or at is None:
        return
    end = int.from_bytes((head + file.read(8))[at : at + 8], "little")
    if size < end < 2**63:
        raise ModelFormatError(f"{size:,} of its {end:,} bytes are here: a copy or download that did not finish")


_HEAP = b"GCOL\x01\0\0\0"  # begins a global heap, where texts of variable length lie
_MAX_HEAP = 2**32
_PIECE = 2**16  # bytes searched at a time
_PART = 2**22  # bytes of an array that are read at a time


def _check_heaps(file: BinaryIO) -> int:
    """Return the bytes of the longest text of variable length.

    Raises `ModelFormatError` for a heap without room, in which libhdf5 would search for ever.
    """
    file.seek(0)
    begin, tail, longest, end = 0, b"", 0, 0
    while piece := file.read(_PIECE):
        data = tail + piece
        at = data.find(_HEAP)
        while at >= 0:
            place = begin - len(tail) + at
            if place < end:
                raise ModelFormatError(f"damaged HDF5 file: the heap at byte {place} lies in another")
            size, length = _check_heap(file, place)
            end, longest = place + size, max(longest, length)
            at = data.find(_HEAP, at + 1)
        begin += len(piece)
        file.seek(begin)
        tail = data[-len(_HEAP) + 1 :]
    file.seek(0)
    return longest


def _check_heap(file: BinaryIO, at: int) -> tuple[int, int]:
    """Return the bytes of a heap, and of the longest text in it."""
    file.seek(at + len(_HEAP))
    size = int.from_bytes(file.read(8), "little")
    if size > _MAX_HEAP:
        raise ModelFormatError(f"damaged HDF5 file: the heap at byte {at} has {size} bytes")
    position, longest = 16, 0
    while size - position >= 16:  # a record has an index, references, 4 unused bytes and a size
        file.seek(at + position)
        record = file.read(16)
        index, nbytes = int.from_bytes(record[:2], "little"), int.from_bytes(record[8:], "little")
        needed = nbytes if index == 0 else 16 + (nbytes + 7) // 8 * 8  # a free record counts its own header
        if len(record) < 16 or not 16 <= needed <= size - position:
            raise ModelFormatError(
                f"damaged HDF5 file: the heap at byte {at}: expected a record of 16 to {size - position} bytes at byte "
                f"{at + position}, found {needed}"
            )
        position += needed
        longest = max(longest, nbytes if index else 0)
    return size, longest


@contextlib.contextmanager
def damage() -> Iterator[None]:
    """Turn any exception of h5py into a `ModelFormatError`, but a `MemoryError`."""
    try:
        yield
    except (ModelFormatError, MemoryError):
        raise
    except Exception as error:
        reason = reprlib.repr(" ".join(str(error).split()))
        raise ModelFormatError(f"damaged HDF5 file: {reason}") from None


def text(node: Any, name: str, limit: int = MAX_NAMES) -> str | None:
    """Return the text in an attribute, or None without the attribute."""
    texts = strings(node, name, None, limit)
    return None if texts is None else "".join(texts)


def strings(node: Any, name: str, budget: Budget | None, limit: int = MAX_NAMES) -> list[str] | None:
    """Return the texts in an attribute, or None without the attribute.

    Without a budget there must be exactly one text. Keras cuts a list that is too long for one
    attribute into `name0`, `name1` and further ones.
    """
    with damage():
        if name in node.attrs:
            return _texts(node, name, budget, limit)
        texts: list[str] = []
        count = 0
        while f"{name}{count}" in node.attrs:
            texts += _texts(node, f"{name}{count}", budget, limit)
            count += 1
        return texts if count else None


def _texts(node: Any, name: str, budget: Budget | None, limit: int) -> list[str]:
    import h5py

    attribute = node.attrs.get_id(name)
    kind, count = attribute.get_type(), attribute.get_space().get_simple_extent_npoints()
    if count == 0:  # Keras stores an empty list of names as an empty array of float64
        return []
    if not isinstance(kind, h5py.h5t.TypeStringID):
        raise ModelFormatError(f"attribute {name}: expected text, found {kind.dtype}")
    size = count * kind.get_size()
    if size > limit:
        raise ModelFormatError(f"attribute {name}: expected at most {limit} bytes, found {size}")
    if budget is None and count > 1:
        raise ModelFormatError(f"attribute {name}: expected one text, found {count}")
    # All texts of variable length may be one text in the file. In memory they are copies.
    if budget is not None and kind.is_variable_str() and count * budget.longest_text > MAX_TEXTS:
        raise ModelFormatError(f"attribute {name}: {count} texts of up to {budget.longest_text} bytes are too long")
    value = node.attrs[name]
    # h5py gives str, bytes, or an array of either, depending on the version that wrote the file.
    values = [value] if isinstance(value, str | bytes) else np.asarray(value).ravel().tolist()
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def child(group: Any, name: str) -> Any:
    """Return the member `name` of a group, if it lies in this file.

    The kind of the link is checked first, since reading an external link would open another file.
    """
    import h5py

    shown = reprlib.repr(name)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ModelFormatError(f"{shown} is no name of a weight: it leads out of its layer")
    with damage():
        if not isinstance(group, h5py.Group):
            raise ModelFormatError(f"{shown}: expected a group around it, found an array")
        if not has(group, name):
            raise ModelFormatError(f"{shown} is not in the file")
        kind = group.id.links.get_info(name.encode()).type
        if kind != h5py.h5l.TYPE_HARD:
            known = {h5py.h5l.TYPE_SOFT: "a soft", h5py.h5l.TYPE_EXTERNAL: "an external"}
            article = known.get(kind, "a user-defined")
            raise ModelFormatError(f"{shown} is {article} link, which is not followed")
        return group[name]


def has_attribute(node: Any, *names: str) -> bool:
    """Return whether a group or an array has an attribute of one of these names."""
    with damage():
        return any(name in node.attrs for name in names)


def has(group: Any, name: str) -> bool:
    """Return whether a group has a member of this name."""
    with damage():
        return bool(group.id.links.exists(name.encode()))


def is_group(node: Any) -> bool:
    """Return whether `node` is a group rather than an array."""
    import h5py

    return isinstance(node, h5py.Group)


def members(group: Any) -> list[str]:
    """Return the names of the members of a group.

    Raises `ModelFormatError` for more members than a model may have.
    """
    with damage():
        if len(group) > MAX_NAMES:
            raise ModelFormatError(f"expected at most {MAX_NAMES} members of a group, found {len(group)}")
        return [name.decode() for name in group.id]


def descend(node: Any, path: Sequence[str], where: str) -> Any:
    """Return the member that `path` leads to."""
    if len(path) > MAX_DEPTH:
        raise ModelFormatError(f"{where}: {reprlib.repr('/'.join(path))} is nested too deeply")
    try:
        for part in path:
            node = child(node, part)
    except ModelFormatError as error:
        raise ModelFormatError(f"{where}: {error}") from None
    return node


class Stored:
    """An array in the file that has been checked, but not read.

    Raises `ModelFormatError` if its numbers are not in this file or need a plug-in of HDF5.
    """

    def __init__(self, node: Any, budget: Budget, where: str) -> None:
        import h5py

        self._node, self._budget, self.where = node, budget, where
        self._array: Array | None = None
        with damage():
            if not isinstance(node, h5py.Dataset):
                kind = type(node).__name__.lower()  # a group or a datatype
                raise ModelFormatError(f"{where}: expected an array, found a {kind}")
            plan = node.id.get_create_plist()
            # First, since even the shape of a virtual dataset may depend on other files.
            if plan.get_layout() == h5py.h5d.VIRTUAL:
                raise ModelFormatError(
                    f"{where}: a virtual dataset, which is not followed; expected the numbers in this file"
                )
            if plan.get_external_count():
                raise ModelFormatError(
                    f"{where}: its numbers are in another file (external); expected them in this file"
                )
            filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
            z = h5py.h5z
            unknown = filters - {*(z.FILTER_DEFLATE, z.FILTER_LZF, z.FILTER_SHUFFLE, z.FILTER_FLETCHER32)}
            if unknown:
                raise ModelFormatError(f"{where}: expected gzip, lzf or no compression, found filter {min(unknown)}")
            self._compressed = bool(filters & {z.FILTER_DEFLATE, z.FILTER_LZF})
            self.shape: Shape | None = node.shape  # None for an empty dataset

    def load(self, shape: Shape) -> Array:
        """Return the numbers as float32.

        Raises `ModelFormatError` unless the array has this shape and all numbers are finite.
        """
        if self.shape != shape:
            found = "nothing" if self.shape is None else self.shape
            raise ModelFormatError(f"{self.where}: expected {shape}, found {found}")
        if self._array is None:
            self._array = self._read(shape)
        return self._array

    def _read(self, shape: Shape) -> Array:
        where = self.where
        if math.prod(shape) > MAX_MATRIX:
            raise ModelFormatError(f"{where}: expected at most {MAX_MATRIX} numbers, found the shape {shape}")
        with damage():
            dtype = self._node.dtype
            bfloat16 = dtype.kind == "V" and dtype.itemsize == 2 and not dtype.names
            if not bfloat16 and (dtype.kind != "f" or dtype.itemsize not in (2, 4, 8)):
                raise ModelFormatError(f"{where}: expected float16, bfloat16, float32 or float64, found {dtype}")
            self._check_size(math.prod(shape) * dtype.itemsize)
            values = self._numbers()
        if bfloat16:  # a bfloat16 is the upper half of a float32. h5py gives it as two opaque bytes
            values = (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # an overflow gives infinity, which is refused below
            array: Array = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(array).all():
            raise ModelFormatError(f"{where}: holds NaN or infinite numbers")
        return array

    def _numbers(self) -> Any:
        """Return the numbers as they are stored. Ctrl-C is heard after every few MiB."""
        node = self._node
        values = np.empty(node.shape, node.dtype)
        rows = _PART // max(values.nbytes // max(len(values), 1), 1) if values.ndim else 0
        rows -= rows % node.chunks[0] if node.chunks else 0  # no chunk is unpacked twice
        if rows < 1:
            return node[()]
        for at in range(0, len(values), rows):
            values[at : at + rows] = node[at : at + rows]
        return values

    def _check_size(self, nbytes: int) -> None:
        """Raise `ModelFormatError` before memory is allocated for more than the file can hold."""
        node = self._node
        stored = node.id.get_storage_size()
        if stored == 0 or (stored < nbytes and not self._compressed):
            raise ModelFormatError(f"{self.where}: declared, but never written: the file holds no numbers for it")
        chunks = node.chunks or ()  # HDF5 unpacks whole chunks
        if any(chunk > size for chunk, size in zip(chunks, node.shape, strict=False)):
            raise ModelFormatError(f"{self.where}: its chunks {chunks} are larger than itself")
        self._budget.spend(nbytes // MAX_RATIO if self._compressed else nbytes, self.where)
        if chunks:
            self._check_chunks(chunks)

    def _check_chunks(self, chunks: Shape) -> None:
        """Raise `ModelFormatError` for a chunk that HDF5 does not find, and gives zeros for.

        Each is looked up as HDF5 does to read it. A list of all chunks may name others.
        """
        counts = [-(-size // chunk) for chunk, size in zip(chunks, self._node.shape, strict=True)]
        if math.prod(counts) > self._budget.size:
            raise ModelFormatError(f"{self.where}: more chunks than the file can hold")
        for i in range(math.prod(counts)):
            at = tuple(int(n) * size for n, size in zip(np.unravel_index(i, counts), chunks, strict=True))
            try:
                self._node.id.read_direct_chunk(at)
            except (OSError, ValueError, RuntimeError, KeyError):
                raise ModelFormatError(f"{self.where}: the file holds no numbers for the chunk at {at}") from None
