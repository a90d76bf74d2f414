"""Writing files so that nothing is lost."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    Raises `OSError` that names `path`; nothing is left beside it then.
    """
    target = os.path.realpath(path)  # a link stays a link, to a new file
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        raise OSError(f"{os.fspath(path)}: not a regular file, so it is not replaced")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
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
