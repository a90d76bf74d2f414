"""Text of anyone, as it may be shown.

A name in a file, or an element of its vocabulary, can hold characters that command a terminal, or
turn the direction of the text around them.
"""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # within words of Persian and Hindi, and within emoji


def printable(text: str) -> str:
    r"""Return a text in which an escape such as \x1b stands for each character that is not shown.

    >>> printable("name\x1b[2J\n")
    'name\\x1b[2J\\n'
    """
    return "".join(c if c.isprintable() or _is_shown(c) else repr(c)[1:-1] for c in text)


def shown(text: str) -> str:
    r"""Return the same for a text of several lines: line ends and tabs stay.

    >>> shown("one\n\x1b[2Jtwo")
    'one\n\\x1b[2Jtwo'
    """
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def brief(value: object) -> str:
    """Return the first 60 characters of how Python shows a value. It never fails.

    >>> brief([1, 2]), brief(10**5000)
    ('[1, 2]', 'an int that is too long to show')
    """
    try:
        return printable(f"{value!r:.60}")
    except Exception:  # Python shows no integer of more than 4,300 digits; a class may have any __repr__
        return f"{_article(type(value).__name__)} that is too long to show"


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {printable(name)}"


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) == "Zs"
