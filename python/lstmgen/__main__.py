"""`python -m lstmgen`, and the command `lstmgen`."""

import contextlib
import os
import sys


def main() -> int:
    """Run the command line; return its exit status."""
    try:
        from lstmgen.cli.main import main as run

        status = run()
    except KeyboardInterrupt:  # while Python reads the modules
        status = 130
    if status == 130:
        _exit(status)
    return status


def _exit(status: int) -> None:
    """End the process at once.

    An orderly end waits for the threads of other libraries. It also kills the process by SIGINT where the Ctrl-C came
    while some library ran generated code, although it was caught.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
