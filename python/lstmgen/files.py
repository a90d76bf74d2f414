"""Writing files so that nothing is lost."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that it holds either all of the data or what it held before.

    path: the file. A link stays a link, and the file that it points to is replaced.
    data: the bytes of the file.

    Raises `OSError` that names `path`. No temporary file is left then.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.txt", b"text")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to write, which has its name only once all of it is written.

    path: as in `write`, for data that need not be in memory at once.

    Raises what `write` raises. An exception inside the `with` leaves the file as it was.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with writing(f"{folder}/a.txt") as file:
    ...         written = file.write(b"text"), os.path.exists(f"{folder}/a.txt")
    ...     written, os.path.exists(f"{folder}/a.txt")
    ((4, False), True)
    """
    target = os.path.realpath(path)  # replace the file that a link points to, not the link
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        raise OSError(f"{os.fspath(path)}: not a regular file, so it is not replaced")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None:
            message = f"cannot write: {error.strerror}"
            raise OSError(error.errno, message, os.fspath(path)) from error
        raise
