"""The command line: `lstmgen` and `python -m lstmgen`.

Text goes to stdout as it is drawn, everything else to stderr. Exit status 0, 1 (it failed, one-line
reason), 2 (usage), 130 (Ctrl-C).
"""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import lstmgen
from lstmgen.errors import NO_VALUE, spelled


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        args = _parser(words).parse_args(words)
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
            with spelled(flag):
                args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough, as in `lstmgen sample latex | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, TypeError, ImportError, MemoryError, RecursionError) as error:
        with spelled(flag):
            print(f"lstmgen: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def reason(error: BaseException) -> str:
    """Return what went wrong, on one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in (errno.EBADF, errno.ENOSPC, errno.EIO):
        return f"the output cannot be written: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def flag(name: str, value: object = NO_VALUE) -> str:
    """Return an option of the library as the command line spells it.

    It is `--top-k`, or `--on-unknown skip` with a value.
    """
    if (name, value) == ("refresh", None):
        return "--carry"
    if name == "prime" and isinstance(value, list):
        return f"--prime-ids {','.join(map(str, value))}"
    if value is False:
        return f"--no-{name.replace('_', '-')}"
    spelled = _OTHER_FLAGS.get(name) or "--" + name.rstrip("_").replace("_", "-")
    return spelled if value is NO_VALUE or value is ... or value is True else f"{spelled} {shlex.quote(str(value))}"


_OTHER_FLAGS = {"output": "--output-layer"}


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of the command that `argv` names.

    The modules of the other commands are not imported.
    """
    parser = argparse.ArgumentParser(prog="lstmgen", description="Sample from recurrent networks that Keras trained.")
    parser.add_argument("--version", action="version", version=f"lstmgen {lstmgen.__version__}")
    for option, (_, what) in _DEVELOPMENT.items():
        parser.add_argument(
            option, nargs=0, action=_PrintPath, help=f"print where {what} of the C and C++ library lies"
        )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((word for word in argv if not word.startswith("-")), None)
    for name, about in _COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about)
        if name == named:
            module = import_module(f"lstmgen.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


# Each is a module beside this one, with `add_arguments` and `run`.
_COMMANDS = {
    "sample": "draw a sequence from a model",
    "classify": "say which label sequences have",
    "predict": "print what the network puts out for numbers or ids",
    "export": "turn a Keras model into a .bin",
    "info": "say what is inside a model",
    "train": "train a model with Keras (needs pip install '.[train]')",
    "verify": "compare a .bin with the Keras model that it came from",
    "bench": "measure how fast a model samples here",
}

# What the wheel has for C and C++ programs, beside the native module.
_DEVELOPMENT = {
    "--cmake-dir": ("lib/cmake/lstmgen", "the CMake package"),
    "--include-dir": ("include", "the folder of the headers"),
    "--library": ("lib/liblstmgen.a", "the static library"),
}


class _PrintPath(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        (option,) = self.option_strings
        paths = [Path(folder, _DEVELOPMENT[option][0]) for folder in lstmgen.__path__]
        for path in filter(Path.exists, paths):
            print(path)
            parser.exit()
        parser.exit(1, f"lstmgen: {option}: not in this checkout: it comes with an installed wheel, 'pip install .'\n")
