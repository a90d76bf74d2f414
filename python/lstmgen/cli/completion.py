"""`lstmgen completion`: scripts that let a shell complete commands, options and models."""

from __future__ import annotations

import argparse
import os

from lstmgen.bundled import bundled

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "shell",
        nargs="?",
        choices=SHELLS,
        help="whose script to print (default: that of $SHELL)",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    try:
        import shtab
    except ImportError:
        raise ImportError("completion needs shtab: pip install 'lstmgen[completion]'") from None
    shell = args.shell or os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SHELLS:
        raise ValueError(f"shell: expected one of {', '.join(SHELLS)}, found {shell!r}")
    from lstmgen.cli.main import parser

    whole = parser(None)
    _tell_what_it_names(whole, shtab.FILE)
    print(shtab.complete(whole, shell=shell, preamble=_PREAMBLE))


# Arguments that name a file, by the names that argparse has for them.
_FILES = frozenset(
    (
        *("keras_model", "out", "output", "input", "file", "prime_file", "corpus", "music", "csv", "text", "card"),
        *("config", "vocab", "vocab_from", "setting_from_", "grammar"),
    )
)
_NAMES = " ".join(bundled())
_MODEL = {
    "bash": "_lstmgen_models",
    "zsh": "_lstmgen_models",
    "fish": f"{_NAMES} (__fish_complete_path (commandline -ct))",
}
_PREAMBLE = {
    "bash": f"""
_lstmgen_models() {{
  compgen -W '{_NAMES}' -- "$1"
  compgen -f -- "$1"
}}
""",
    "zsh": f"""
_lstmgen_models() {{
  _alternative 'models:bundled model:({_NAMES})' 'files:file:_files'
}}
""",
}


def _tell_what_it_names(parser: argparse.ArgumentParser, files: object) -> None:
    """Tell shtab which arguments of a parser, and of those below it, name a model or a file."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _tell_what_it_names(below, files)
        elif action.dest == "model" or (action.dest == "name" and not action.option_strings):
            action.complete = _MODEL  # type: ignore[attr-defined]
        elif action.dest in _FILES and action.nargs != 0:
            action.complete = files  # type: ignore[attr-defined]
