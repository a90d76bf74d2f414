"""What may go to a terminal."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from lstmgen.escaping import shown


def colours(stream: TextIO) -> bool:
    """Whether a stream takes colours: a terminal, and no NO_COLOR in the environment.

    FORCE_COLOR asks for them anywhere. See no-color.org.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def short(what: str | Iterable[str], start: str) -> str:
    """Return `start`, and the first 60 characters of a text or of elements, on one line."""
    text = what if isinstance(what, str) else " ".join(what)
    text = repr(text[:61])[1:-1]
    return start + (text if len(text) <= 60 else text[:60] + "...")


def say(line: object) -> None:
    """Print a line to stderr. Escapes stand for what a file's name, say, may command a terminal."""
    print(shown(str(line)), file=sys.stderr)


def print_json(value: object) -> None:
    """Print JSON in ASCII, which every terminal shows and no terminal takes for a command."""
    print(json.dumps(value, indent=2))


@contextmanager
def json_list() -> Iterator[Callable[[object], None]]:
    """Print a list as `print_json` does, of values that come one after the other."""
    begin = "["

    def tell(value: object) -> None:
        nonlocal begin
        print(begin, textwrap.indent(json.dumps(value, indent=2), "  "), sep="\n", end="")
        begin = ","

    yield tell
    print("\n]" if begin == "," else "[]")
