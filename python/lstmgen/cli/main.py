"""The command line: `lstmgen` and `python -m lstmgen`.

Text goes to stdout as it is drawn, and everything else to stderr. The exit status is 0, 1 for an
error with a reason in one line, 2 for a wrong command line, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import lstmgen
from lstmgen.errors import NO_VALUE, Note, spelled
from lstmgen.escaping import printable, shown


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    if not words:
        parser(words).print_help(sys.stderr)
        return 2
    try:
        args = parser(words).parse_args(words)
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _tell
            with spelled(flag):
                args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe, as in `lstmgen sample latex | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, TypeError, ImportError, MemoryError, RecursionError) as error:
        with spelled(flag):
            print(f"lstmgen: {printable(reason(error))}", file=sys.stderr)
        return 1
    return 0


def _tell(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning, or a note."""
    print(f"{'note' if issubclass(category, Note) else 'warning'}: {shown(str(message))}", file=sys.stderr)


def reason(error: BaseException) -> str:
    """Return what went wrong, in one line."""
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


def parser(argv: Sequence[str] | None) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of the command that `argv` names.

    argv: the command line. The modules of other commands are not imported. None: the parser has the
        arguments of all commands.
    """
    parser = Parser(
        prog="lstmgen",
        description="Sample from recurrent networks that Keras trained.",
        epilog=_examples("lstmgen sample latex --temp 0.67", "lstmgen info model.h5", "lstmgen sample --help"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lstmgen {lstmgen.__version__}")
    for option, (_, what) in _DEVELOPMENT.items():
        parser.add_argument(
            option, nargs=0, action=_PrintPath, help=f"print where {what} of the C and C++ library lies"
        )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = None if argv is None else next((word for word in argv if not word.startswith("-")), None)
    for name, known in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=known.about,
            description=known.about,
            epilog=_examples(*known.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if argv is None or name == named:
            module = import_module(f"lstmgen.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the most similar flag or command."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments, or end the program and name what an unknown flag may mean."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            from lstmgen.arguments import near

            flag = next((word for word in unknown if word.startswith("--")), "").partition("=")[0]
            named = _named(self, found)
            hint = near(flag, named._option_string_actions)
            named.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help or the version. argparse drops the `OSError` if they cannot be written."""
        if file is not sys.stdout:
            super()._print_message(message, file)
        elif message:
            file.write(message)
            file.flush()

    def error(self, message: str) -> NoReturn:
        """End the program with a message, and name the most similar choice."""
        if wrong := re.match(r"argument \w+: invalid choice: '([^']*)'", message):
            from lstmgen.arguments import near

            choices = next((a.choices for a in self._actions if isinstance(a, argparse._SubParsersAction)), {})
            message += near(wrong[1], choices or ())
        super().error(printable(message))


def _named(parser: argparse.ArgumentParser, found: argparse.Namespace) -> argparse.ArgumentParser:
    """Return the parser of the command that was found, such as that of `train text`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            command = action.choices.get(getattr(found, action.dest, ""))
            return parser if command is None else _named(command, found)
    return parser


def _examples(*lines: str) -> str:
    return "\n  ".join(["examples:", *lines])


class Command(NamedTuple):
    """The help of a command: what it does, and examples for a shell."""

    about: str
    examples: tuple[str, ...]


# Each command is a module beside this one, with the functions `add_arguments` and `run`.
COMMANDS = {
    "sample": Command(
        "draw a sequence from a model",
        (
            "lstmgen sample latex --temp 0.67 --length 10000 -o out.tex",
            "lstmgen sample latex --prime '\\begin{lemma}' --include-prime --seed 19",
            "lstmgen sample music --length 500 -o out.mid -o out.wav",
            "lstmgen sample latex --many 10000 -o out.parquet",
        ),
    ),
    "play": Command(
        "write with a model in turns, each character shaded by its probability (needs the extra play)",
        ("lstmgen play latex", "lstmgen play latex --temp 0.9 --prime '\\begin{lemma}'", "lstmgen play music"),
    ),
    "serve": Command(
        "serve models over HTTP, with a page, to clients of OpenAI's completions API (needs the extra serve)",
        (
            "lstmgen serve latex",
            "lstmgen serve latex music my.bin --port 8080",
            "lstmgen serve latex --parallel 16 --queue 64 --no-uploads",
        ),
    ),
    "models": Command(
        "list the bundled models, or print the card of one",
        ("lstmgen models", "lstmgen models latex", "lstmgen models --json"),
    ),
    "grammar": Command(
        "check a grammar in GBNF, whether a model can spell it, and whether a text is one of it",
        (
            "lstmgen grammar sums.gbnf",
            "lstmgen grammar sums.gbnf --text sums.txt",
            "lstmgen grammar own --model latex",
            "lstmgen grammar json --model my.bin --json",
        ),
    ),
    "classify": Command(
        "say which label sequences have",
        (
            "lstmgen classify c.bin 'the worst' 'the best'",
            "lstmgen classify c.bin --file words.csv --json",
            "lstmgen classify c.bin --file - < lines.txt",
        ),
    ),
    "predict": Command(
        "print the outputs of the network for numbers or ids",
        ("lstmgen predict model.bin --example", "lstmgen predict model.bin x.npy -o y.npy"),
    ),
    "export": Command(
        "turn a Keras model into a .bin",
        (
            "lstmgen export model.h5 my.bin --vocab-from corpus.txt",
            "lstmgen export my.bin small.bin --dtype int8",
            "lstmgen export model.h5 - --vocab-from corpus.txt > my.bin",
        ),
    ),
    "info": Command(
        "show what a model is, and which command comes next",
        ("lstmgen info latex", "lstmgen info model.h5 --json"),
    ),
    "train": Command(
        "train a model with Keras (needs the extra train, 2.4 GB)",
        (
            "lstmgen train text corpus.txt -o my.bin",
            "lstmgen train music FOLDER_OF_MIDI -o music.bin",
            "lstmgen train classifier words.csv -o c.bin",
            "KERAS_BACKEND=jax lstmgen train text corpus.txt -o my.bin",
            "lstmgen train text --help",
        ),
    ),
    "eval": Command(
        "compare a model with data: bits, and samples beside the data",
        (
            "lstmgen eval latex topology.tex",
            "lstmgen eval my.bin held-out.txt --corpus corpus.txt --temp 0.67 --json",
            "lstmgen eval music FOLDER_OF_MIDI --plot music.png",
        ),
    ),
    "verify": Command(
        "compare a .bin with the Keras model that it came from (needs the extra train)",
        ("lstmgen verify my.bin model.h5", "lstmgen verify my.bin model.h5 --as-saved --json"),
    ),
    "completion": Command(
        "print a script that lets the shell complete commands, options and models (needs the extra completion)",
        (
            'eval "$(lstmgen completion bash)"',
            "lstmgen completion bash > ~/.local/share/bash-completion/completions/lstmgen",
            "lstmgen completion zsh > ~/.zfunc/_lstmgen                      # a folder of $fpath",
            "lstmgen completion fish > ~/.config/fish/completions/lstmgen.fish",
        ),
    ),
    "bench": Command(
        "measure how fast a model samples here",
        ("lstmgen bench latex", "lstmgen bench my.bin --text corpus.txt --json"),
    ),
}

# Paths in the wheel for C and C++ programs.
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
            print(path, flush=True)
            parser.exit()
        parser.exit(1, f"lstmgen: {option}: not in this checkout: it comes with an installed wheel, 'pip install .'\n")
