"""Keras, imported without the noise of its backend."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from lstmgen.errors import spelled_as_in_python
from lstmgen.training.progress import say

# What TensorFlow and the libraries below it write to the descriptor 2 when they start.
# TF_CPP_MIN_LOG_LEVEL does not reach these lines, since they come before the logging of C++ is set
# up.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|(?:[IW]\d{4,8} +[\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: [IW] )[\w./]+:\d+\]"
    # About GPUs where there is none:
    rb"|(?:E\d{4,8} |\d{4}-\d\d-\d\d [\d:.]+: E ).*(?:cuda|cuInit|cuDNN|cuBLAS|cuFFT|computation_placer)"
    rb"|To enable the following instructions: ",
    re.IGNORECASE,
)


def import_keras(what: str = "training") -> Any:
    """Return Keras, on the backend that KERAS_BACKEND or Keras's own configuration names.

    If neither names one, and TensorFlow is not installed, it is jax or torch, whichever is, and a
    line says so. Raises `ImportError` that says what needs Keras, and what to install.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _choose_backend()
    logging.getLogger("absl").addFilter(_is_news)
    try:
        if "keras" in sys.modules:
            return importlib.import_module("keras")
        with _ctrl_c_ends_the_command(), without_noise():
            keras = importlib.import_module("keras")
            keras.ops.zeros(1)  # the backend looks for devices now
        if keras.config.backend() != "tensorflow":
            say(f"Keras {keras.__version__} on {keras.config.backend()}")
        return keras
    except ImportError as error:
        raise ImportError(
            f"{what} needs Keras with a backend: pip install 'lstmgen[train]' ({error}; the backend is chosen by "
            "KERAS_BACKEND: tensorflow, jax or torch)"
        ) from None


def _choose_backend() -> None:
    """Let Keras have a backend that is installed, if the user has chosen none."""
    configured = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    chosen = os.environ.get("KERAS_BACKEND") or configured.exists()
    if "keras" in sys.modules or chosen or find_spec("tensorflow"):
        return
    if found := next((name for name in ("jax", "torch") if find_spec(name)), None):
        os.environ["KERAS_BACKEND"] = found
        say(f"Keras runs on {found}, since TensorFlow is not installed; KERAS_BACKEND={found} says so, too")


def _is_news(record: logging.LogRecord) -> bool:
    return "as an HDF5 file" not in record.getMessage()  # which is what is wanted


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Keep what C++ code writes to the descriptor 2 in this block, and write it at the end but for
    the noise.

    All of it is written where the block raises an error, since some of it may say why.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no such descriptor
        yield
        return
    sys.stderr.flush()
    failed = True
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if failed or not _NOISE.match(line):
                    os.write(2, line)


@contextlib.contextmanager
def _ctrl_c_ends_the_command() -> Iterator[None]:
    """Let Ctrl-C end the process with the status 130 in this block, if it is the command line's.

    The import of TensorFlow turns a `KeyboardInterrupt` into other errors, or passes over it.
    Nothing is being written there that could be lost.
    """
    usual = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not (not spelled_as_in_python() and main and usual is signal.default_int_handler):
        yield
        return

    def end(number: int, frame: Any) -> NoReturn:
        os._exit(130)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
