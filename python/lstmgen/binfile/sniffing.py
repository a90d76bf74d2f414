"""What may be read of a `.bin` without the engine: whether it is one, its bytes, and its card.

The first bytes of a file decide whether it is one. Its name does not matter.
"""

from __future__ import annotations

import os

from lstmgen.errors import ModelFormatError
from lstmgen.inputs import naming

MAGIC = b"GGUF"
MAX_FILE = 2**32


def is_bin(source: str | os.PathLike[str] | bytes) -> bool:
    """Return whether `source`, the path of a file or its bytes, is a `.bin`.

    `lstmgen.keras_file` reads everything else: files of Keras, checkpoints and folders of
    TensorFlow. It also says what a file is that is no model.

    >>> is_bin(b"GGUF..."), is_bin(b"PK..."), is_bin("no such file.bin")
    (True, False, False)
    """
    if isinstance(source, bytes):
        return source.startswith(MAGIC)
    if not os.path.isfile(source):  # reading a pipe might never end
        return False
    with naming(source), open(source, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_bin(source: str | os.PathLike[str] | bytes) -> bytes:
    """Return the bytes of a `.bin`.

    source: its path or its bytes.

    Raises `OSError` for a file that cannot be read, and `ModelFormatError` for more than 4 GiB.

    >>> read_bin(b"GGUF...")
    b'GGUF...'
    """
    if isinstance(source, bytes):
        return source
    with naming(source), open(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > MAX_FILE else file.read(size + 1)  # of a file that grows, no more
    if size > MAX_FILE:
        raise ModelFormatError(f"{os.fspath(source)}: expected at most 4 GiB, found {size} bytes")
    if len(data) > size:
        raise ModelFormatError(f"{os.fspath(source)}: it grew while it was read: {size} bytes became more")
    return data


def read_card(text: str) -> object:
    """Return the card of a `.bin`: what its JSON is, or the text itself if it is none.

    text: as the file holds it, empty without a card. The engine does not check it.

    >>> read_card('{"data": "mine"}'), read_card(""), read_card("{")
    ({'data': 'mine'}, {}, '{')
    """
    import json  # here, as few need it: imports are half of what starting costs

    try:
        found: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return found
