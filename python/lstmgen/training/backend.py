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

# Lines that TensorFlow and its libraries write to the descriptor 2 when they start. They come
# before the logging of C++ is set up, so TF_CPP_MIN_LOG_LEVEL does not hold them back.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|(?:[IW]\d{4,8} +[\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: [IW] )[\w./]+:\d+\]"
    # Errors about GPUs on a machine without one:
    rb"|(?:E\d{4,8} |\d{4}-\d\d-\d\d [\d:.]+: E ).*(?:cuda|cuInit|cuDNN|cuBLAS|cuFFT|computation_placer)"
    rb"|To enable the following instructions: ",
    re.IGNORECASE,
)


def import_keras(what: str = "training") -> Any:
    """Return the module Keras, on the backend that KERAS_BACKEND or Keras's configuration names.

    what: what needs Keras, for the error.

    If neither names a backend, and TensorFlow is not installed, the backend is jax or torch, and a
    line on stderr says so. Raises `ImportError` that says what to install.
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
            f"{what} needs Keras with a backend: pip install 'lstmgen[train]' ({error}; KERAS_BACKEND chooses "
            "the backend: tensorflow, jax or torch)"
        ) from None


def _choose_backend() -> None:
    """Set KERAS_BACKEND to an installed backend, if the user has chosen none."""
    configured = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    chosen = os.environ.get("KERAS_BACKEND") or configured.exists()
    if "keras" in sys.modules or chosen or find_spec("tensorflow"):
        return
    if found := next((name for name in ("jax", "torch") if find_spec(name)), None):
        os.environ["KERAS_BACKEND"] = found
        say(f"Keras runs on {found}, since TensorFlow is not installed; set KERAS_BACKEND={found} to hide this line")


def _is_news(record: logging.LogRecord) -> bool:
    return "as an HDF5 file" not in record.getMessage()  # the warning that .h5 is an old format


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Hold back what C++ code writes to the descriptor 2 in this block.

    At its end, the lines are written without the noise. If the block raises an error, the noise is
    written, too, since it may say why.
    """
    try:
        kept = os.dup(2)
    except OSError:  # the process has no such descriptor
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
    """On the command line, let Ctrl-C end the process with the status 130 in this block.

    The import of TensorFlow turns a `KeyboardInterrupt` into other errors, or ignores it. No file
    is open for writing then, so nothing is lost.
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
