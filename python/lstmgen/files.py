"""Writing files so that nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

_STALE = 3600  # seconds since a temporary file was written to


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


def check_not_read(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[object]) -> None:
    """Raise `ValueError` if a file would be replaced from which the same work reads.

    outputs: the files to write.
    inputs: what is read. Anything that is no path of a file that exists counts for nothing.

    >>> check_not_read(["no such file.txt"], ["another.txt", None])
    """
    read = [path for path in inputs if isinstance(path, str | os.PathLike) and os.path.exists(path)]
    for output in outputs:
        if os.path.exists(output) and any(os.path.samefile(output, path) for path in read):
            raise ValueError(f"{os.fspath(output)}: what is read would be replaced: give another name")


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
    try:
        target = os.path.realpath(path)  # replace the file that a link points to, not the link
    except OSError as error:  # the current folder is gone
        raise OSError(error.errno, f"cannot write: {error.strerror}", os.fspath(path)) from None
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    old = os.stat(target) if os.path.exists(target) else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OSError(f"{os.fspath(path)}: not a regular file, so it is not replaced")
    folder, name = os.path.split(target)
    start = f".{name[:100]}."
    _collect(folder or ".", start)
    temporary = os.path.join(folder, f"{start}{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if old is not None:
                _keep(old, temporary)
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


def _keep(old: os.stat_result, temporary: str) -> None:
    """Give a file the permissions of the one that it replaces, and its owner if the system does."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(temporary, old.st_uid, old.st_gid)
    os.chmod(temporary, stat.S_IMODE(old.st_mode))


def _collect(folder: str, start: str) -> None:
    """Delete temporary files with this start that killed processes left over an hour ago."""
    left = re.compile(re.escape(start) + r"[0-9a-f]{16}\.tmp")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if left.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
