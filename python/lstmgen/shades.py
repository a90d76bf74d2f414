"""How surprising an element was, as a colour: the same in terminals and in notebooks."""

from __future__ import annotations

import bisect
import math
from typing import NamedTuple


class Shade(NamedTuple):
    """A background for black text. code: of the 256 colours of terminals. css: as "#rrggbb".

    >>> Shade(229, "#ffffaf").css
    '#ffffaf'
    """

    code: int
    css: str


# The surprise in bits above which each shade begins. What is less surprising has no shade.
BITS = (0.5, 1.0, 2.0, 4.0, 6.0)
SHADES = (
    Shade(230, "#ffffd7"),
    Shade(222, "#ffd787"),
    Shade(215, "#ffaf5f"),
    Shade(209, "#ff875f"),
    Shade(203, "#ff5f5f"),
)


def shade(probability: float) -> Shade | None:
    """The shade of an element that was drawn with this probability; None for a likely one.

    >>> shade(0.9), shade(0.4).css, shade(0.0).css
    (None, '#ffd787', '#ff5f5f')
    """
    bits = -math.log2(probability) if probability > 0 else math.inf
    at = bisect.bisect_right(BITS, bits)
    return SHADES[at - 1] if at else None


def ansi(text: str, probability: float | None) -> str:
    r"""A text with the codes that shade it on a terminal. Line ends stay unshaded.

    probability: None for a text that was not drawn.

    >>> ansi("a", 0.9), ansi("b\n", 0.001)
    ('a', '\x1b[38;5;16;48;5;203mb\x1b[0m\n')
    """
    found = None if probability is None else shade(probability)
    if found is None:
        return text
    on, off = f"\x1b[38;5;16;48;5;{found.code}m", "\x1b[0m"
    return "\n".join(f"{on}{line}{off}" if line else "" for line in text.split("\n"))


def legend() -> str:
    """Return what the shades mean, as a text for a terminal.

    >>> legend().startswith("surprise in bits")
    True
    """
    shown = [f"\x1b[38;5;16;48;5;{one.code}m {bits:g} \x1b[0m" for bits, one in zip(BITS, SHADES, strict=True)]
    return f"surprise in bits, above: {''.join(shown)}"
