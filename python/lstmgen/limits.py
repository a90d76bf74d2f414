"""A process that reads what anyone gave, and what it may take. It sets its limits on itself."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import IO

# One thread of each library, and no plug-ins of HDF5 from elsewhere.
_QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
PATIENCE = 120  # seconds by the clock beyond those of the processor: a machine is busy, or a disk slow


def limit(seconds: float, memory: int, *, again: bool = False) -> None:
    """Allow this process so much more than it has taken so far. It is killed or fails beyond.

    seconds: of the processor. The process dies of SIGXCPU after them, or up to 2 s later.
    memory: bytes. An allocation beyond raises `MemoryError`, and so large a file cannot be written.
    again: whether the process may later set other limits, for its next file.

    A system keeps the limits that it has: Windows none, macOS none on memory.

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


def run(start: str, asked: IO[bytes], answer: IO[bytes], said: IO[bytes], patience: float) -> int | None:
    """Run a process, and return its exit status; None if it took longer than it may.

    start: its program. It finds this process's `sys.path` as JSON in `sys.argv[1]`.
    asked, answer, said: its standard input, output and error: files, for which a limit holds, and
        for which the process cannot wait.
    patience: seconds by the clock.

    Raises `OSError` if no process can be started.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     run("raise SystemExit(3)", file, file, file, 60)
    3
    """
    import json
    import subprocess
    import sys

    if not sys.executable:
        raise OSError("this program has no Python to start")
    command = [sys.executable, "-I", "-c", start, json.dumps(sys.path)]
    process = subprocess.Popen(command, stdin=asked, stdout=answer, stderr=said, env={**os.environ, **_QUIET})
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also after Ctrl-C
        process.kill()
        process.wait()


def reason(status: int, seconds: float) -> str:
    """Return why a process with limits ended.

    status: its exit status as `subprocess` gives it.
    seconds: the seconds of the processor that it had.

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
    """The bytes of address space that this process has taken."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError):
        return 2**32  # macOS does not tell
