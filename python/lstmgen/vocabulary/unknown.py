"""What an error says of an element that is not in a vocabulary: where it stands, and what comes closest."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

from lstmgen.errors import option

_AROUND = 16  # characters shown on each side
_OTHERS = 8  # more unknown elements that are named
_LOOKED_AT = 100_000  # elements of a vocabulary that are compared

# Signs that are typed one way and printed another.
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


def skipping() -> str:
    """How a message ends: the option that all who encode a text have."""
    return f"; {option('on_unknown', 'skip')} leaves such out"


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
    """Why `piece` has no id.

    elements: those that a text may hold, of `count` in all.
    position: its index, or in a text of characters its offset.
    text: the text that it stands in, at the offset `at`; None for a list of elements.
    others: what else is unknown there.
    skippable: whether the caller has the option `on_unknown`.
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
    """The element that is spelled as `piece` but for case, typographic signs or accents; None if there is none."""
    for spelled in _spellings(piece):
        if spelled != piece and spelled in elements:
            return spelled
    if len(elements) > _LOOKED_AT:
        return None
    plain = bare(piece)
    return next((element for element in elements if element and element != piece and bare(element) == plain), None)


def _spellings(piece: str) -> list[str]:
    """Other spellings of `piece`, the likeliest first."""
    typed = piece.translate(_PLAIN)
    cased = [text for one in (piece, typed) for text in (one, one.lower(), one.upper(), one.capitalize())]
    composed = [unicodedata.normalize(form, piece) for form in ("NFC", "NFKC")]
    return [*composed, *cased, *map(_without_accents, cased)]


def bare(text: str) -> str:
    """A text without case, accents and typographic signs: equal for what a reader takes for the same."""
    return _without_accents(text.translate(_PLAIN)).casefold()


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c)) or text


def _shown(text: str) -> str:
    return repr(text)[1:-1]
