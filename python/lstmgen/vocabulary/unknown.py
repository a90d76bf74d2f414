"""Messages on elements that are not in a vocabulary: the place of each, and the closest element."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

from lstmgen.errors import option

_AROUND = 16  # the number of characters shown on each side
_OTHERS = 8  # the highest number of further unknown elements in a message
_LOOKED_AT = 100_000  # the largest vocabulary whose elements are all compared

# Printed signs, and how they are typed.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),  # noqa: RUF001
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),  # noqa: RUF001
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000\t", " "),
        "…": "...",
        "\r": "\n",
    }
)


def message(
    elements: Collection[str],
    count: int,
    piece: str,
    position: int,
    text: str | None = None,
    at: int = 0,
    others: Sequence[str] = (),
    *,
    skippable: bool = True,
) -> str:
    """Return why a piece has no id.

    elements: those that a text may hold.
    count: number of elements of the vocabulary.
    piece: what is not among them.
    position: its index, or in a text of characters its offset.
    text: the text that it stands in, or None for a list of elements.
    at: its offset in the text.
    others: what else is unknown there.
    skippable: whether the caller has the option `on_unknown`.

    >>> message(["a", "b"], 2, "c", 1, None, 0, [])[:62]
    "character 'c' (U+0063) at position 1 is not in the vocabulary "
    """
    thing = "character" if len(piece) == 1 else "element"
    code = f" (U+{ord(piece):04X})" if len(piece) == 1 else ""
    said = f"{thing} {piece!r:.80}{code} at position {position} is not in the vocabulary of {count}"
    if text is not None:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        before = ("..." if at > _AROUND else "") + text[max(0, at - _AROUND) : at]
        rest = text[at + len(piece) :]
        after = rest[:_AROUND] + ("..." if len(rest) > _AROUND else "")
        said += f": line {line}, column {column}: {_shown(before)}[{_shown(text[at : at + len(piece)])}]{_shown(after)}"
    if (found := closest(elements, piece)) is not None:
        said += f"; the closest in it is {found!r:.80}"
    if others:
        said += f"; unknown besides: {' '.join(repr(other)[:40] for other in others[:_OTHERS])}"
        said += " ..." if len(others) > _OTHERS else ""
    return f"{said}; {option('on_unknown', 'skip')} leaves such out" if skippable else said


def closest(elements: Collection[str], piece: str) -> str | None:
    """Return an element that differs only in case, typographic signs or accents, or None.

    >>> closest(["cafe", "tea"], "Caf\u00e9")
    'cafe'
    """
    for spelled in _spellings(piece):
        if spelled != piece and spelled in elements:
            return spelled
    if len(elements) > _LOOKED_AT:
        return None
    plain = bare(piece)
    return next((element for element in elements if element and element != piece and bare(element) == plain), None)


def _spellings(piece: str) -> list[str]:
    """Return other spellings of `piece`, the likeliest first."""
    typed = piece.translate(_PLAIN)
    cased = [text for one in (piece, typed) for text in (one, one.lower(), one.upper(), one.capitalize())]
    composed = [unicodedata.normalize(form, piece) for form in ("NFC", "NFKC")]
    return [*composed, *cased, *map(_without_accents, cased)]


def bare(text: str) -> str:
    """Return a text without case, accents and typographic signs.

    Two texts that a reader takes for the same are then equal.

    >>> bare("\u201cCaf\u00e9\u201d")
    '"cafe"'
    """
    return _without_accents(text.translate(_PLAIN)).casefold()


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c)) or text


def _shown(text: str) -> str:
    return repr(text)[1:-1]
