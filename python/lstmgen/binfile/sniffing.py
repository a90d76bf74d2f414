"""Whether something is a `.bin`: its first bytes say so, and its name never does."""

from __future__ import annotations

import os

from lstmgen.errors import ModelFormatError

MAGIC = b"GGUF"
MAX_FILE = 2**32


def is_bin(source: str | os.PathLike[str] | bytes) -> bool:
    """Whether `source`, the path of a file or its bytes, is a `.bin`.

    Everything else is for `lstmgen.keras_file`: files of Keras, checkpoints and folders of
    TensorFlow, and what is no model at all, of which that package says what it is.

    >>> is_bin(b"GGUF..."), is_bin(b"PK..."), is_bin("no such file.bin")
    (True, False, False)
    """
    if isinstance(source, bytes):
        return source.startswith(MAGIC)
    if not os.path.isfile(source):  # reading a pipe might never end
        return False
    with open(source, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_bin(source: str | os.PathLike[str] | bytes) -> bytes:
    """The bytes of a `.bin`. Raises `ModelFormatError` for a file that is longer than one can be."""
    if isinstance(source, bytes):
        return source
    with open(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > MAX_FILE else file.read(MAX_FILE + 1)
    if size > MAX_FILE or len(data) > MAX_FILE:  # it may grow while it is read
        raise ModelFormatError(f"{os.fspath(source)}: expected at most 4 GiB, found {max(size, len(data))} bytes")
    return data
