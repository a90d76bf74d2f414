"""Processes that read files from strangers: how one runs, and the limits that it sets on itself."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, NamedTuple

# One thread of each library, and no plug-ins of HDF5 from elsewhere.
_QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
PATIENCE = 120  # seconds by the clock beyond those of the processor, for a busy machine or a slow disk
_TICK = 0.2  # seconds after which a process is known to be in vain
OUT_OF_MEMORY = 3  # the exit status of a process that reached its limit of memory


def limit(seconds: float, memory: int, *, again: bool = False) -> None:
    """Limit the processor time and the memory that this process may take from now on.

    seconds: of processor time. After them, or up to 2 s later, SIGXCPU ends the process.
    memory: bytes. A larger allocation raises `MemoryError`, and no larger file can be written.
    again: whether the process may later set other limits, for its next file.

    Windows has no such limits, and macOS has none on memory.

    >>> limit(10**6, 2**40, again=True)
    """
    try:
        import resource
    except ImportError:  # on Windows
        return
    limits = {
        resource.RLIMIT_CPU: int(time.process_time() + seconds) + 1,
        resource.RLIMIT_AS: _address_space() + memory,
        resource.RLIMIT_FSIZE: memory,
        resource.RLIMIT_CORE: 0,
    }
    for which, wanted in limits.items():
        with suppress(OSError, ValueError):  # a system may have stricter ones
            most = resource.getrlimit(which)[1]
            wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.setrlimit(which, (wanted, most if again else wanted))


class Ran(NamedTuple):
    """How a process ended.

    status: its exit status, as `subprocess` gives it. None if it was killed before its end.
    errors: the first 4096 bytes of its standard error.

    >>> Ran(-11, b"").out_of_memory
    False
    """

    status: int | None
    errors: bytes

    @property
    def out_of_memory(self) -> bool:
        """Whether it needed more memory than its limit."""
        return self.status == OUT_OF_MEMORY or b"MemoryError" in self.errors


def run(
    start: str, *request: bytes, answer: IO[bytes], patience: float, ended: Callable[[], bool] = lambda: False
) -> Ran:
    """Run a process to its end.

    start: its program. It finds `search_path()` as JSON in `sys.argv[1]`.
    request: its standard input, in pieces.
    answer: its standard output, an empty file, which is rewound in the end.
    patience: seconds by the clock.
    ended: returns whether nobody waits for the answer any more. The process is then killed.

    Raises `OSError` if no process can be started.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     run("print('done')", answer=file, patience=60).status, file.read().split()
    (0, [b'done'])
    """
    import subprocess
    import sys
    import tempfile

    if not sys.executable:
        raise OSError("this program has no Python to start")
    command = [sys.executable, "-I", "-c", start, json.dumps(search_path())]
    # Files, not pipes: the process cannot wait for this one, and a limit holds for their size.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as errors:
        asked.writelines(request)
        asked.seek(0)
        environment = {**os.environ, **_QUIET}
        end = time.monotonic() + patience
        process = subprocess.Popen(command, stdin=asked, stdout=answer, stderr=errors, env=environment)
        status = None
        try:
            while status is None and (left := end - time.monotonic()) > 0 and not ended():
                with suppress(subprocess.TimeoutExpired):
                    status = process.wait(min(left, _TICK))
        finally:  # also after Ctrl-C
            process.kill()
            process.wait()
        answer.seek(0)
        errors.seek(0)
        return Ran(status, errors.read(4096))


def search_path() -> list[str]:
    """Return where such a process finds modules: `sys.path`, with the folder of work at its end.

    Python puts that folder first in a notebook. It may be the one with the files from strangers.

    >>> "" in search_path()[:-1]
    False
    """
    import sys

    return sorted(map(str, sys.path), key="".__eq__)


def reason(status: int, seconds: float) -> str:
    """Return why a process with limits ended.

    status: its exit status, as `subprocess` gives it.
    seconds: of processor time, its limit.

    >>> reason(1, 2)
    'the process that read it ended with status 1'
    """
    cpu = getattr(signal, "SIGXCPU", None)
    if cpu is not None and -status in (cpu, signal.SIGKILL):
        return f"reading it took more than {seconds:.0f} s of processor time, or was stopped"
    if status < 0:
        return f"the process that read it died of {signal.Signals(-status).name}"
    return f"the process that read it ended with status {status}"


def _address_space() -> int:
    """Return the bytes of address space that this process has taken."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError):
        return 2**32  # macOS does not tell
