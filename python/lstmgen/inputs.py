"""Input from strangers: the bytes of files, pipes and stdin, up to a limit."""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from lstmgen.escaping import brief, printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_TEXT = 2**26  # bytes of a prime, a grammar, a card or another text that is read whole
MAX_VOCABULARY = 2**27  # bytes of a file with a vocabulary
MAX_CORPUS = 2**30  # bytes of a text to learn from, or of sequences
_PIECE = 2**16
_NAME = 4096  # characters of a path that a system can have
_SHOWN = 200  # characters of an error of numpy, which shows all of a header


def read(path: str | os.PathLike[str], most: int, *, pipe: bool = True) -> bytes:
    """Return the bytes of a file or a pipe.

    path: the path of the file or pipe. A pipe without a writer is empty.
    most: the highest number of bytes.
    pipe: whether a pipe is allowed. It cannot be read twice.

    Raises `OSError` for a file that cannot be read. Raises `ValueError` that names the file for
    more bytes, for a device, and for a pipe that is not allowed.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     _ = file.write(b"text"), file.flush()
    ...     read(file.name, 4)
    b'text'
    """
    name = os.fspath(path)
    if is_text(path):
        raise ValueError(f"expected the path of a file, found the text {brief(name)}")
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (pipe and stat.S_ISFIFO(mode))):
        raise ValueError(f"{name}: not a regular file; expected a file whose end is known")
    opener = _opened if stat.S_ISFIFO(mode) else None
    with naming(path), open(path, "rb", buffering=0, opener=opener) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise _too_large(name, most, size)
        return read_from(name, file, most)


def files_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files in a folder, and in those within it, in order.

    Names that begin with a dot are left out, and so is what cannot be read. Links to folders are
    not followed, since they may lead back.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.txt", ".hidden", "a.txt"):
    ...         pathlib.Path(folder, name).touch()
    ...     [file.name for file in files_in(folder)]
    ['a.txt', 'b.txt']
    """
    from pathlib import Path  # here, as few need it

    found, folders = [], [os.fspath(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif os.path.isfile(entry):
                    found.append(Path(entry.path))
    return sorted(found)


def is_text(path: object) -> bool:
    r"""Return whether a path is no name of a file, but a text that was meant to be in one.

    >>> is_text("a line\n"), is_text("corpus.txt")
    (True, False)
    """
    if not isinstance(path, str) or ("\n" not in path and len(path) <= _NAME):
        return False
    return not os.path.exists(path)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an `OSError` in this block name a file. The error of a disk that fails does not.

    >>> try:
    ...     with naming("a.txt"):
    ...         raise OSError(5, "Input/output error")
    ... except OSError as error:
    ...     print(error)
    [Errno 5] Input/output error: 'a.txt'
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def zip_errors() -> tuple[type[Exception], ...]:
    """Return what `zipfile` raises for a damaged zip, or for one of a kind that it does not know.

    >>> EOFError in zip_errors()
    True
    """
    import lzma  # these here, since few need them
    import zipfile
    import zlib

    return (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError)


def read_from(name: str, file: BinaryIO, most: int) -> bytes:
    """Return the bytes that an open file still has.

    name: what an error calls the file.
    most: the highest number of bytes. It holds as they arrive, also if the file never ends.

    Raises `ValueError` for more bytes, and `OSError`.

    >>> import io
    >>> read_from("stdin", io.BytesIO(b"text"), 4)
    b'text'
    """
    data = bytearray()
    while piece := file.read(min(_PIECE, most + 1 - len(data))):
        data += piece
        if len(data) > most:
            raise _too_large(name, most, None)
    return bytes(data)


NPY = b"\x93NUMPY"  # what a `.npy` begins with


def npy_array(data: bytes) -> NDArray[Any] | int:
    """Return the array of numbers or text in a `.npy`, which shares its memory.

    data: the bytes of the file.

    An array of objects is a pickle, which is not opened: its place in `data` is returned. Raises
    `ValueError` for a broken file, and for one that announces another size than it has.

    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> np.save(file, [1, 2])
    >>> npy_array(file.getvalue())
    array([1, 2])
    """
    import numpy as np

    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(file)
    except Exception as error:  # numpy parses the header as Python, which raises many classes
        told = str(error).partition(": <ast.")[0]  # then comes the address of an object
        raise ValueError(f"a broken .npy file: {printable(told[:_SHOWN])}") from None
    if not all(type(n) is int for n in shape):  # numpy accepts True for 1, and then fails
        raise ValueError(f"expected a shape of integers, found {brief(shape)}")
    if dtype.hasobject:
        return file.tell()
    size, count = len(data) - file.tell(), math.prod(shape)
    if not dtype.itemsize or min(shape, default=0) < 0 or count * dtype.itemsize != size:
        raise ValueError(f"expected {count} elements of {dtype.itemsize} bytes, found {size} bytes")
    if max(shape, default=0) > len(data):  # beside a 0
        raise ValueError(f"expected an array with elements, found the shape {shape}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if fortran_order else "C")


def _opened(path: str, flags: int) -> int:
    """Open a pipe without waiting for somebody who writes to it."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def _too_large(name: str, most: int, size: int | None) -> ValueError:
    found = "more" if size is None else f"{size:,}"
    return ValueError(f"{name}: expected at most {most:,} bytes, found {found}")
