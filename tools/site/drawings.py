"""Draw how the engine works: python tools/site/drawings.py docs/images

Writes window.svg, lanes.svg, packed.svg, file.svg and speed.svg. The numbers in file.svg are those
of the bundled model, those in speed.svg stand in benchmarks/results.md. A test draws them again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INK, PAPER = "#1f2937", "#ffffff"
TEAL, AMBER, PINK, BLUE, LIME, GREY, PALE = "#99e2d8", "#fcd48a", "#f5b5cf", "#a9cdf7", "#cfe8a5", "#cbd5e1", "#eef2f7"
FONT = "font-family='ui-sans-serif, system-ui, sans-serif'"


class Drawing:
    """An SVG picture with a white ground, so that it can be read on a dark page."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' {FONT}>"
            f"<title>{escape(title)}</title><rect width='{width}' height='{height}' rx='8' fill='{PAPER}'/>"
            "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
            f"<path d='M0 0 8 4 0 8z' fill='{INK}'/></marker></defs>"
        )
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: str, label: str = "", size: int = 14) -> None:
        """A rectangle with a label in its middle."""
        self.parts.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='3' fill='{fill}' stroke='{INK}' "
            "stroke-width='1'/>"
        )
        if label:
            self.text(x + width / 2, y + height / 2 + size * 0.36, label, size, "middle")

    def text(self, x: float, y: float, label: str, size: int = 14, anchor: str = "start", colour: str = INK) -> None:
        """One line of text, whose base line is at y."""
        self.parts.append(
            f"<text x='{x:g}' y='{y:g}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' "
            f"xml:space='preserve'>{escape(label)}</text>"
        )

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A line that ends in an arrow's tip."""
        self.parts.append(
            f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{INK}' stroke-width='1.4' "
            "marker-end='url(#tip)'/>"
        )

    def svg(self) -> str:
        """The whole picture."""
        return "\n".join([self.head, *self.parts, "</svg>", ""])


def window() -> str:
    """How the context counts: a window of four letters, and a carried state."""
    drawing = Drawing(760, 330, "A window of the last T elements, and a state that is carried")
    text = "the ring is"
    drawing.text(20, 34, "Window, T = 4 (refresh=1): the last 4 elements, read from an empty state each time", 15)
    for k in range(2):
        y = 56 + 46 * k
        for i, letter in enumerate(text[: 9 + k]):
            drawing.box(20 + 34 * i, y, 30, 30, TEAL if 5 + k <= i else GREY, letter)
        x = 20 + 34 * (9 + k)
        drawing.arrow(x, y + 15, x + 26, y + 15)
        drawing.box(x + 30, y, 30, 30, AMBER, text[9 + k])
        drawing.text(x + 74, y + 20, f"step {k + 1}: 4 letters are read, 1 is drawn", 13)
    drawing.text(20, 190, "Carried (refresh=None): one state has read all that came before", 15)
    for k in range(2):
        y = 212 + 46 * k
        for i, letter in enumerate(text[: 9 + k]):
            drawing.box(20 + 34 * i, y, 30, 30, TEAL, letter)
        x = 20 + 34 * (9 + k)
        drawing.arrow(x, y + 15, x + 26, y + 15)
        drawing.box(x + 30, y, 30, 30, AMBER, text[9 + k])
        drawing.text(x + 74, y + 20, f"step {k + 1}: 1 letter is read, 1 is drawn", 13)
    return drawing.svg()


def lanes() -> str:
    """The lanes of a window of four elements over eight steps."""
    drawing = Drawing(760, 344, "Lanes: each has a state, and has read a window when it is asked")
    letters, steps, lane_count = "abcdefgh", 8, 4
    x0, y0, width, height = 150, 76, 68, 44
    drawing.text(20, 34, "Four lanes serve a window of four. Each step advances all of them by one element.", 15)
    for step in range(steps):
        drawing.text(x0 + step * width + width / 2, y0 - 12, f"reads {letters[step]}", 12, "middle", "#4b5563")
    for lane in range(lane_count):
        y = y0 + lane * height
        drawing.text(20, y + 26, f"lane {lane}", 14)
        for step in range(lane, steps):
            age = (step - lane) % lane_count
            read = letters[step - age : step + 1]
            drawing.box(x0 + step * width, y, width - 4, height - 6, AMBER if age == lane_count - 1 else TEAL, read)
    y = y0 + lane_count * height + 28
    drawing.box(20, y - 13, 18, 16, AMBER)
    drawing.text(46, y, "This lane has read exactly the last 4 elements. Its output is the next distribution.", 13)
    drawing.text(46, y + 20, "Then its state becomes zero, and it starts a new window.", 13)
    drawing.text(
        20,
        y + 48,
        "One product of a matrix with all lanes reads each weight once: that is where the speed comes from.",
        13,
    )
    return drawing.svg()


def packed() -> str:
    """A matrix of 4 rows and 32 columns in the order of Keras, and as the kernels read it."""
    drawing = Drawing(760, 470, "A matrix as Keras stores it, and packed into panels of 16 columns")
    fills = (TEAL, AMBER, PINK, BLUE)

    def row(x: float, y: float, cells: list[tuple[int, int]]) -> None:
        for i, (r, c) in enumerate(cells):
            drawing.box(x + 44 * i, y, 42, 24, fills[r], f"{r},{c}", 11)
        drawing.text(x + 44 * len(cells) + 4, y + 17, "…", 14)

    drawing.text(20, 30, "In the file, as in Keras: row after row of 32 columns", 15)
    for r in range(4):
        row(20, 42 + 26 * r, [(r, c) for c in range(6)])
        row(320, 42 + 26 * r, [(r, c) for c in range(16, 22)])
        drawing.text(604, 59 + 26 * r, f"row {r}", 12, colour="#4b5563")
    drawing.text(20, 186, "Packed, float32: panels of 16 columns, so that a kernel reads straight ahead", 15)
    for panel in range(2):
        x = 20 + 300 * panel
        drawing.text(x, 206, f"panel {panel}", 12, colour="#4b5563")
        for r in range(4):
            row(x, 212 + 26 * r, [(r, 16 * panel + c) for c in range(6)])
    drawing.text(20, 348, "Packed, bf16: two rows interleaved. An instruction adds both products at once", 15)
    for pair in range(2):
        row(20, 358 + 26 * pair, [(2 * pair + i % 2, i // 2) for i in range(8)])
    drawing.text(20, 432, "Packed, int8 with VNNI: four rows interleaved. An instruction adds four products", 15)
    row(20, 440, [(i % 4, i // 4) for i in range(8)])
    return drawing.svg()


def file() -> str:
    """The parts of the bundled model's file, with their real sizes. Needs the package gguf."""
    from gguf import GGUFReader

    from lstmgen.bundled import bundled

    path = Path(bundled()["latex"])
    reader = GGUFReader(path)
    before, last = 24, max(field.offset + sum(part.nbytes for part in field.parts) for field in _keys(reader))
    counts = f"GGUF, version 3, {len(reader.tensors)} tensors, {len(_keys(reader))} keys"
    parts: list[tuple[str, str, int, list[str]]] = [
        ("magic, version, counts", GREY, before, [counts]),
        ("keys", TEAL, last - before, _KEYS),
        ("records of tensors", AMBER, reader.data_offset - last, ["name, shape, type and offset of each"]),
        *(
            (
                tensor.name,
                PINK,
                tensor.n_bytes,
                [f"{' x '.join(map(str, tensor.shape[::-1]))}, {tensor.tensor_type.name}"],
            )
            for tensor in reader.tensors
        ),
    ]
    size = path.stat().st_size
    drawing = Drawing(760, 76 + sum(26 + 20 * len(lines) for *_, lines in parts), "The parts of a .bin")
    drawing.text(20, 34, f"latex.bin, {size:,} bytes. Any program that knows GGUF can list it.", 15)
    y = 54
    for name, fill, count, lines in parts:
        height = 22 + 20 * len(lines)
        drawing.box(20, y, 220, height, fill, name, 13)
        for i, line in enumerate(lines):
            drawing.text(256, y + 26 + 20 * i, line, 13)
        drawing.text(742, y + 26, f"{count:,} bytes", 13, "end", "#4b5563")
        y += height + 4
    return drawing.svg()


_KEYS = [
    "vocabulary, encoding, window, prime, layers, licence, card,",
    "a self-test: ids, and the output that float64 gives for them,",
    "a checksum (CRC-32) of the whole file",
]


def speed() -> str:
    """The first table of benchmarks/results.md, for one model, as bars."""
    lines = (ROOT / "benchmarks/results.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| model "))
    rows = []
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] != "latex256":
            break
        window, carried = (float(cells[i].split()[0].replace(",", "")) for i in (2, 4))
        rows.append((cells[1], window, carried / 1000))
    drawing = Drawing(760, 118 + 34 * len(rows), "Milliseconds a letter: lstmgen beside other engines")
    drawing.text(20, 34, "Milliseconds a letter. Shorter is better. The scale is logarithmic.", 15)
    drawing.text(20, 56, "one-hot 92 > LSTM 256 > Dense 92, window 100", 12, colour="#4b5563")
    left, width, least = 180, 520, 0.003
    decades = math.log10(100 / least)

    def at(ms: float) -> float:
        return left + width * math.log10(ms / least) / decades

    bottom = 72 + 34 * len(rows)
    for mark in (0.01, 0.1, 1, 10, 100):
        drawing.parts.append(
            f"<line x1='{at(mark):g}' y1='70' x2='{at(mark):g}' y2='{bottom:g}' stroke='#d1d5db' stroke-width='1'/>"
        )
        drawing.text(at(mark), bottom + 16, f"{mark:g}", 11, "middle", "#4b5563")
    for i, (engine, window, carried) in enumerate(rows):
        y = 76 + 34 * i
        ours = engine.startswith("lstmgen")
        drawing.text(left - 10, y + 17, engine, 13, "end")
        for offset, ms, fill in ((0, window, TEAL if ours else GREY), (12, carried, AMBER if ours else PALE)):
            drawing.box(left, y + offset, at(ms) - left, 11, fill)
            drawing.text(at(ms) + 6, y + offset + 10, f"{ms:.2g}", 11)
    drawing.box(20, bottom + 26, 14, 12, GREY)
    drawing.box(38, bottom + 26, 14, 12, TEAL)
    drawing.text(60, bottom + 36, "each letter from a window of 100", 12)
    drawing.box(330, bottom + 26, 14, 12, PALE)
    drawing.box(348, bottom + 26, 14, 12, AMBER)
    drawing.text(370, bottom + 36, "the state is carried", 12)
    return drawing.svg()


def _keys(reader: Any) -> list[Any]:
    """The keys that are in the file: the reader adds three."""
    return [field for name, field in reader.fields.items() if not name.startswith("GGUF.")]


DRAWINGS: dict[str, Callable[[], str]] = {draw.__name__: draw for draw in (window, lanes, packed, file, speed)}

if __name__ == "__main__":
    for drawn, draw in DRAWINGS.items():
        (Path(sys.argv[1]) / f"{drawn}.svg").write_text(draw())
