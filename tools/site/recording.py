"""Record a terminal as an animated SVG: python tools/site/recording.py docs/images/terminal.svg

The commands are run, and what they print is what the picture shows, only slower. It needs no fonts
and no scripts. Where animations are off, it shows the last moment.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

COMMANDS = [
    "lstmgen sample latex --temp 0.67 --seed 19 --length 560",
    "lstmgen sample music --seed 5 --length 120 -o tune.mid -o roll.png",
]
WIDTH, LINE, CHARACTER, LEFT, TOP = 88, 19, 8.05, 18, 52  # columns; then pixels
TYPING, DRAWING, PAUSE = 22.0, 150.0, 0.7  # characters a second, twice, and seconds
END = 3.0  # seconds for which the last moment stands


def run(command: str, folder: str) -> str:
    """What a command prints to a terminal."""
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)
    return done.stderr + done.stdout


def wrapped(text: str) -> list[str]:
    """Lines that fit the terminal, as a terminal cuts them."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        lines += [line[i : i + WIDTH] for i in range(0, len(line), WIDTH)] or [""]
    return lines


def svg(recorded: list[tuple[str, list[str]]]) -> str:
    """The picture of commands and their lines."""
    shown: list[tuple[str, str, float, float]] = []  # a line, its colour, when it begins, how long it takes
    now = 0.0
    for command, lines in recorded:
        typed = len(command) / TYPING if shown else 0.0  # the first moment shows a command, not a blank
        shown.append((f"$ {command}", "#7dd3fc", now, typed))
        now += typed + PAUSE
        for line in lines:
            shown.append((line, "#e5e7eb", now, len(line) / DRAWING))
            now += len(line) / DRAWING + 0.02
        now += PAUSE
    total = now + END
    width, height = round(2 * LEFT + WIDTH * CHARACTER), TOP + LINE * len(shown) + 14
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img'>",
        f"<title>A terminal: {escape('; '.join(command for command, _ in recorded))}</title>",
        "<style>text{font:13.4px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}"
        f"rect.l{{animation:{total:.2f}s linear infinite both}}"
        "@media(prefers-reduced-motion:reduce){rect.l{animation:none!important}}",
    ]
    rows = []
    for i, (line, colour, begin, takes) in enumerate(shown):
        y = TOP + LINE * i
        if begin == 0:  # it stands there from the start
            rows.append(_text(line, colour, y))
            continue
        start, stop = 100 * begin / total, 100 * (begin + max(takes, 0.01)) / total
        far = len(line) * CHARACTER + 12
        # A cover of the colour of the terminal slides off the line, character by character.
        parts.append(
            f"@keyframes k{i}{{0%,{start:.3f}%{{transform:none;animation-timing-function:steps({max(len(line), 1)})}}"
            f"{stop:.3f}%,100%{{transform:translateX({far:.0f}px) scaleX(0)}}}}"
        )
        rows.append(
            f"{_text(line, colour, y)}"
            f"<rect class='l' x='{LEFT - 2}' y='{y - 14}' width='{far:.0f}' height='{LINE}' fill='#111827' "
            f"style='animation-name:k{i};transform-origin:{LEFT - 2}px 0;transform:scaleX(0)'/>"
            if line
            else ""
        )
    parts.append("</style>")
    parts.append(f"<rect width='{width}' height='{height}' rx='8' fill='#111827'/>")
    parts += [f"<circle cx='{20 + 18 * i}' cy='18' r='5.5' fill='{c}'/>" for i, c in enumerate(_DOTS)]
    return "\n".join([*parts, *filter(None, rows), "</svg>", ""])


def _text(line: str, colour: str, y: int) -> str:
    return (
        f"<text x='{LEFT}' y='{y}' fill='{colour}' textLength='{len(line) * CHARACTER:.1f}' "
        f"xml:space='preserve'>{escape(line)}</text>"
    )


_DOTS = ("#f87171", "#fbbf24", "#34d399")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record = [(command, wrapped(run(command, folder))) for command in COMMANDS]
    Path(sys.argv[1]).write_text(svg(record))
