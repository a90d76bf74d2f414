"""A model that anyone sent is tried in a separate process, before a server loads it.

The process has limits. It makes a `.bin` of a file of Keras, loads the `.bin` with its self-test,
and draws an element for several sequences side by side, as the server does. So a file that takes
too much memory or time takes it there.
"""

from __future__ import annotations

import json
import tempfile
from typing import Any

from lstmgen import limits
from lstmgen.binfile.sniffing import is_bin
from lstmgen.keras_file import transfer
from lstmgen.serving.failures import Failure
from lstmgen.serving.limits import MIB, Limits

# What the process may take above what it takes to start.
_MEMORY_RATIO, _MEMORY = 64, 128 * MIB  # times the bytes of the file; and bytes more
_SECONDS, _SECONDS_PER_MIB = 5, 0.5  # of the processor
_SEQUENCES = 16  # that draw an element

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lstmgen.serving.child import main; main()"


def tried(data: bytes, name: str, of: Limits) -> bytes:
    """Return a file as a `.bin` that a server may load.

    data: the bytes of a `.bin`, or of a model saved by Keras.
    name: of the file, for errors.
    of: the limits of the server.

    Raises `Failure` with status 400 for a file that is damaged, does not fit, or crashed the
    process or reached a limit, and with status 503 if no process could be started.

    >>> import lstmgen
    >>> data = b"GGUF" + bytes(20)
    >>> try:
    ...     tried(data, "mine.bin", Limits())
    ... except Failure as failure:
    ...     print(failure.status, failure.message)
    400 mine.bin: GGUF version: expected 3, little-endian, found 0
    """
    sequences = min(_SEQUENCES, of.parallel)
    seconds = _SECONDS + _SECONDS_PER_MIB * len(data) / MIB
    memory = _MEMORY_RATIO * len(data) + _MEMORY
    # Files, not pipes: the process cannot wait for this one, and a limit holds for their size.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
        asked.write(json.dumps([sequences, seconds, memory]).encode() + b"\n" + data)
        asked.seek(0)
        status = _run(asked, answer, said, of.seconds)
        said.seek(0)
        if status != 0:
            raise Failure(400, f"{name}: {_why(status, said.read(4096), seconds, memory, of)}", "file")
        answer.seek(0)
        try:
            transfer.read(answer)
            return data if is_bin(data) else answer.read()
        except EOFError:
            raise Failure(400, f"{name}: the process that read it ended without an answer", "file") from None
        except Exception as error:  # the one that the process met
            text = str(error).replace("<bytes>", name) or type(error).__name__
            raise Failure(400, text if text.startswith(name) else f"{name}: {text}", "file") from None


def _run(asked: Any, answer: Any, said: Any, patience: float) -> int | None:
    """Return the exit status of the process; None: it took too long."""
    try:
        return limits.run(_START, asked, answer, said, patience)
    except OSError as error:
        raise Failure(503, f"uploads: no process that tries the file could be started ({error})", "file") from None


def _why(status: int | None, said: bytes, seconds: float, memory: int, of: Limits) -> str:
    if status is None:
        return f"reading it took longer than {of.seconds:g} s"
    if status == transfer.OUT_OF_MEMORY or b"MemoryError" in said:
        return f"it takes more memory than {memory / MIB:,.0f} MiB"
    return f"{limits.reason(status, seconds)}: the file is damaged or made to do harm"
