"""The JSON of answers. That of a long one is made in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

PIECE = 2**16  # letters that are sent at once


def encoded(value: Any) -> str:
    r"""Return a value as JSON. A half of a character becomes a question mark.

    >>> encoded({"text": "a\ud800"})
    '{"text":"a?"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.encode(errors="replace").decode()


def array(parts: Iterable[list[Any]]) -> Iterable[str]:
    """Yield the JSON of one list, whose elements are in parts.

    >>> "".join(array([[1, 2], [], [3]]))
    '[1,2,3]'
    """
    begun = False
    yield "["
    for part in filter(None, parts):
        yield ("," if begun else "") + encoded(part)[1:-1]
        begun = True
    yield "]"


def sliced(text: str) -> Iterator[str]:
    """Yield a text in pieces.

    >>> list(sliced("abc"))
    ['abc']
    """
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]
