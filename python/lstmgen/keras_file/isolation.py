"""A separate process reads files of Keras.

libhdf5 is a parser in C. A damaged file can crash it, or make it take memory and time without end.
So a child process, `child.py`, reads the file within limits. `transfer.py` hands what it found to
this process, as plain data.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Unpack

from lstmgen import limits
from lstmgen.errors import OptionTypeError, ReaderDied, option, spelled_as_in_python
from lstmgen.keras_file import reader, transfer
from lstmgen.keras_file.reader import Description, ReadOptions, Source
from lstmgen.network import Network

# The limits of the child, beyond what it takes to start.
_MEMORY_RATIO, _MEMORY = 64, 2**24  # bytes for each byte of the file, and bytes for any file
_SECONDS, _SECONDS_PER_MIB = 2, 0.1  # of processor time

_EXPECTED = {
    "config": "a config as to_json gives it",
    "output": "the name of a layer",
    "heads": "the names of outputs",
    "window": "an integer",
}

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lstmgen.keras_file.child import main; main()"


def read(source: Source, **options: Unpack[ReadOptions]) -> Network:
    """Return the network in a file that Keras saved.

    source: the path of the file, or its bytes. Keras 1, 2 and 3 are read: whole models and weights,
        as HDF5, as zip (`.keras`), as a checkpoint of TensorFlow and as a SavedModel.
    options: see `ReadOptions`.

    A separate process reads the file. It may take 64 times the bytes of the file and 16 MiB of
    memory, and 2 s of processor time and 0.1 s for each MiB of the file. Windows and macOS have
    only the limits that they can set. With `trusted=True`, or with the environment variable
    LSTMGEN_TRUST=1, this process reads the file, without limits and 0.2 s faster.

    Raises `OSError` for a file that cannot be opened, `ModelFormatError` for one that is damaged or
    not supported, `ReaderDied` for one that crashed the reader or reached a limit, and `ValueError`
    for an option that does not fit. Each message names the file or the option.

    >>> import io, h5py
    >>> file = io.BytesIO()
    >>> with h5py.File(file, "w") as root:
    ...     root.attrs["layer_names"] = [b"dense"]
    ...     root.create_group("dense").attrs["weight_names"] = [b"kernel"]
    ...     root["dense/kernel"] = [[1.0], [2.0]]
    >>> network = read(file.getvalue(), config="Dense(1, use_bias=False, input_shape=[None, 2])")
    >>> network.layers[0].arrays["kernel"].tolist()
    [[1.0], [2.0]]
    """
    found = _asked("read", source, options)
    assert isinstance(found, Network)
    return found


def describe(source: Source, **options: Unpack[ReadOptions]) -> Description:
    """Return what is in a file that Keras saved.

    source, options, errors, limits: see `read`.

    A model that cannot be exported has `network` None and a `problem`.

    >>> import io, h5py
    >>> file = io.BytesIO()
    >>> with h5py.File(file, "w") as root:
    ...     root.attrs["layer_names"] = [b"dense"]
    ...     root.create_group("dense").attrs["weight_names"] = [b"kernel"]
    ...     root["dense/kernel"] = [[1.0], [2.0]]
    >>> found = describe(file.getvalue(), config="Dense(1, use_bias=False, input_shape=[None, 2])")
    >>> found.kind, found.layers[0].class_name, found.problem
    ('weights only (HDF5)', 'Dense', None)
    """
    found = _asked("describe", source, options)
    assert isinstance(found, Description)
    return found


def _asked(wanted: str, source: Source, options: ReadOptions) -> Any:
    """Return what the function `wanted` of `reader` returns."""
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    trusted = given.pop("trusted", None)
    if trusted is None:
        trusted = os.environ.get("LSTMGEN_TRUST") == "1"
    if "config" in given:
        given["config"] = reader.architecture(given["config"])  # any mapping, as a dict
    given = {name: _plain(name, value) for name, value in given.items()}
    if trusted:
        return getattr(reader, wanted)(source, **given)
    return _Reader(wanted, source).ask(given)


def _plain(name: str, value: Any) -> Any:
    """Return the value of an option as JSON has it: numpy has integers, texts and lists of its own.

    Raises `OptionTypeError` for a value that JSON does not have.
    """
    try:
        return json.loads(json.dumps(value, default=lambda other: other.tolist()))
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise OptionTypeError(name, _EXPECTED[name], value) from None


class _Reader:
    """A process that reads one file."""

    def __init__(self, wanted: str, source: Source) -> None:
        self._wanted = wanted
        self._bytes = source if isinstance(source, bytes) else b""
        self._path = None if isinstance(source, bytes) else _path_for_others(os.fspath(source))
        self._name = self._path or "<bytes>"
        size = len(self._bytes) if self._path is None else _size(self._path)
        self._memory = _MEMORY_RATIO * size + _MEMORY
        self._seconds = _SECONDS + _SECONDS_PER_MIB * size / 2**20

    def ask(self, options: Mapping[str, Any]) -> Any:
        """Return the answer of the process, or raise the exception that it answers with."""
        request = {
            "wanted": self._wanted,
            "path": self._path,
            "options": options,
            "seconds": self._seconds,
            "memory": self._memory,
            "command_line": not spelled_as_in_python(),
        }
        with tempfile.TemporaryFile() as answer:
            ran = self._run(json.dumps(request).encode() + b"\n", answer)
            if ran.status == 0:
                with suppress(EOFError):
                    return transfer.read(answer)
        last = ran.errors.decode("utf-8", "replace").strip().splitlines()[-1:]
        why = last or [f"it ended with the status {ran.status}"]
        raise self._died(f"the process that read it failed: {why[0][:200]}")

    def _run(self, request: bytes, answer: IO[bytes]) -> limits.Ran:
        """Run the process. Raises `ReaderDied` if it cannot start, reaches a limit or crashes."""
        patience = limits.PATIENCE + 2 * self._seconds
        try:
            ran = limits.run(_START, request, self._bytes, answer=answer, patience=patience)
        except OSError as error:
            raise ReaderDied(f"{self._name}: no process to read it could be started ({error}). {_trust()}") from None
        if ran.status is None:
            raise self._died(f"reading it took longer than {patience:.0f} s")
        if ran.out_of_memory:
            raise self._died(f"reading it takes more memory than {self._memory / 2**20:,.0f} MiB")
        if ran.status < 0:
            raise self._died(limits.reason(ran.status, self._seconds))
        return ran

    def _died(self, what: str) -> ReaderDied:
        return ReaderDied(f"{self._name}: {what}. The file is damaged or made to do harm. {_trust()}")


def _trust() -> str:
    return f"If you trust it, {option('trusted', True)} reads it without this protection"


def _path_for_others(path: str) -> str:
    """Return a path of the same file for another process, which has a `/dev/stdin` of its own."""
    own = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    return os.path.realpath(path) if own else path


def _size(path: str) -> int:
    """Return the bytes of a file, or of all files of a checkpoint's folder."""
    from lstmgen.keras_file import tf_checkpoint

    prefix = tf_checkpoint.prefix_of(path)
    if prefix is None:
        return os.stat(path).st_size
    folder, name = os.path.split(prefix)
    with os.scandir(folder or ".") as entries:
        files = [entry for entry in entries if entry.name.startswith((f"{name}.index", f"{name}.data-"))]
        return sum(entry.stat().st_size for entry in files)
