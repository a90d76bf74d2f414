"""`python -m lstmgen`, and the command `lstmgen`.

It imports only modules that Python has loaded already, so that `main` handles a Ctrl-C as early as
possible.
"""

import os
import sys


def main() -> int:
    """Run the command line. Returns its exit status."""
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

    Without them Python has None there, and prints errors to stdout. Reading and writing through the
    new streams fail, so that no output is lost in silence.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 3:
        pass
    os.close(descriptor)
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        if getattr(sys, name) is None:
            if name == "stderr":  # no stream is left to report an error
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _escape_what_cannot_be_shown() -> None:
    """Let stdout and stderr escape characters that the terminal cannot show, as with latin-1."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _leave_unwritten() -> None:
    """Drop what stdout could not write. It was reported, and Python would report it again."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit(status: int) -> None:
    """End the process at once.

    An orderly end waits for the threads of other libraries. It also kills the process by SIGINT if
    the Ctrl-C came while a library ran generated code, although it was caught.
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
