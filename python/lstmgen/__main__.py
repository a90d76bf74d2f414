"""`python -m lstmgen`, and the command `lstmgen`.

What is imported here is there since Python started: a Ctrl-C finds a `main` to end in as soon as
possible.
"""

import os
import sys


def main() -> int:
    """Run the command line; return its exit status."""
    try:
        _open_closed_streams()
        _escape_what_cannot_be_shown()
        from lstmgen.cli.main import main as run

        status = run()
    except KeyboardInterrupt:  # while Python reads the modules
        status = 130
    except SystemExit:  # argparse, after a help or an error
        _leave_unwritten()
        raise
    if status == 130:
        _exit(status)
    _leave_unwritten()
    return status


def _open_closed_streams() -> None:
    """Give the process the standard streams that it was started without, as by `>&-` in a shell.

    Without them Python has None there, and prints what is for stderr to stdout. Reading and writing
    are errors, so that what is lost is said.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 3:
        pass
    os.close(descriptor)
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        if getattr(sys, name) is None:
            if name == "stderr":  # there is nowhere to tell an error
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _escape_what_cannot_be_shown() -> None:
    """Let stdout and stderr escape characters that the terminal does not have, as in latin-1."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _leave_unwritten() -> None:
    """Forget what stdout could not write: it was told as an error, and Python would tell it again."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit(status: int) -> None:
    """End the process at once.

    An orderly end waits for the threads of other libraries. It also kills the process by SIGINT where the Ctrl-C came
    while some library ran generated code, although it was caught.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    finally:
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
