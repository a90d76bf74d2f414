"""What may go to a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable


def printable(text: str) -> str:
    """Return `text` without characters that control a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(what: str | Iterable[str], start: str) -> str:
    """Return `start`, and the first 60 characters of a text or of elements, on one line."""
    text = what if isinstance(what, str) else " ".join(what)
    text = repr(text[:61])[1:-1]
    return start + (text if len(text) <= 60 else text[:60] + "...")


def print_json(value: object) -> None:
    """Print JSON in ASCII, which every terminal shows and no terminal takes for a command."""
    print(json.dumps(value, indent=2))
