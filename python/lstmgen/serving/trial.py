"""A separate process tries an uploaded model before the server loads it.

The process has limits. It turns a file of Keras into a `.bin`, loads the `.bin` with its self-test,
and draws an element for several sequences side by side, as the server does. A file that takes too
much memory or time then fails there, and not in the server.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable

from lstmgen import limits
from lstmgen.binfile.sniffing import is_bin
from lstmgen.keras_file import transfer
from lstmgen.serving.failures import Failure
from lstmgen.serving.limits import MIB, Limits

# The limits of the process, beyond what it takes to start.
_MEMORY_RATIO, _MEMORY = 64, 128 * MIB  # bytes for each byte of the file, and bytes for any file
_SECONDS, _SECONDS_PER_MIB = 5, 0.5  # of processor time
_SEQUENCES = 16  # each draws one element

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lstmgen.serving.child import main; main()"


def tried(data: bytes, name: str, of: Limits, ended: Callable[[], bool] = lambda: False) -> bytes:
    """Try a model, and return it as a `.bin`.

    data: the bytes of a `.bin`, or of a model that Keras saved.
    name: the name of the file, for errors.
    of: the limits of the server.
    ended: returns whether the server stops.

    Raises `Failure` with status 400 for a file that is damaged, is not supported, crashes the
    process or reaches a limit. Raises it with status 503 if no process can be started, if the
    disk is full, and if the server stops.

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
    request = json.dumps([sequences, seconds, memory]).encode() + b"\n"
    with tempfile.TemporaryFile() as answer:
        try:
            ran = limits.run(_START, request, data, answer=answer, patience=of.seconds, ended=ended)
        except OSError as error:
            raise Failure(503, f"uploads: no file can be tried now: {error.strerror or error}", "file") from None
        if ran.status is None and ended():
            raise Failure(503, "the server stops", code="ending")
        if ran.status is None:
            raise Failure(400, f"{name}: reading it took longer than {of.seconds:g} s", "file")
        if ran.out_of_memory:
            raise Failure(400, f"{name}: it takes more memory than {memory / MIB:,.0f} MiB", "file")
        if ran.status != 0:
            why = limits.reason(ran.status, seconds)
            raise Failure(400, f"{name}: {why}: the file is damaged or made to do harm", "file")
        try:
            transfer.read(answer)
            return data if is_bin(data) else answer.read()
        except EOFError:
            raise Failure(400, f"{name}: the process that read it ended without an answer", "file") from None
        except Exception as error:  # the process met it, and sent it
            text = str(error).replace("<bytes>", name) or type(error).__name__
            raise Failure(400, text if text.startswith(name) else f"{name}: {text}", "file") from None
