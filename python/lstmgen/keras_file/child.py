"""The process that reads one file of Keras for another process: see `isolation`.

It reads a request from its standard input, limits itself, reads the file, and writes what it
found to its standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import h5py  # noqa: F401 - before the limits: loading it takes more address space than most files

from lstmgen import errors
from lstmgen.keras_file import reader, transfer
from lstmgen.limits import OUT_OF_MEMORY, limit


def main() -> None:
    """Serve one request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no part of the answer
        request = json.loads(sys.stdin.buffer.readline())
        with _as_the_user(request["command_line"]):
            transfer.write(out, _answer(request))


def _answer(request: dict[str, Any]) -> object:
    """Return what is read, or the exception that tells why nothing is."""
    source: str | bytes = sys.stdin.buffer.read() if request["path"] is None else request["path"]
    limit(request["seconds"], request["memory"])
    try:
        return getattr(reader, request["wanted"])(source, **request["options"])
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:
        return error


def _as_the_user(command_line: bool) -> AbstractContextManager[None]:
    """Let messages spell options as the process that asked does."""
    return errors.spelled(importlib.import_module("lstmgen.cli.main").flag) if command_line else nullcontext()
