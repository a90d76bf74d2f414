"""A picture of music: pitches over time. The only place for matplotlib in this package."""

from __future__ import annotations

import hashlib
import importlib
import io
import math
from collections.abc import Sequence
from typing import Any

from lstmgen.music.notes import GridNote, Note, Pedal

_NAMES = ("C", "C#", "D", "E♭", "E", "F", "F#", "G", "A♭", "A", "B♭", "B")
_BLACK = (1, 3, 6, 8, 10)
_ROW = 64  # quarters in a row at most, unless there would be more than _ROWS rows
_ROWS = 8


def png(notes: Sequence[Note], pedals: Sequence[Pedal] = ()) -> bytes:
    """Return a PNG file of notes, coloured by pitch class.

    notes: at least one. They fill rows of equal length: as few rows as hold them at 64 quarters
        each, but 8 at most. Softer notes are paler, where the velocities differ.
    pedals: when the pedal is down, as lines below the notes.

    The text "Notes" in the metadata of the file is `digest(notes)`, so that a picture can be told
    from one of other notes, whatever version of matplotlib drew it.

    Raises `ImportError` without matplotlib.

    >>> png([Note(0, 1, 60)])[:4]
    b'\\x89PNG'
    """
    figure_module = matplotlib("matplotlib.figure")
    end = max(note.start + note.duration for note in notes)
    rows = min(max(math.ceil(end / _ROW), 1), _ROWS)
    quarters = max(math.ceil(end / rows / 4) * 4, 4)
    low, high = min(note.pitch for note in notes) - 2, max(note.pitch for note in notes) + 2
    height = min(max((high - low) * 0.07, 1.8), 5)
    figure = figure_module.Figure(figsize=(12, rows * height + 0.8), dpi=120, layout="constrained")
    for row, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
        _draw(axes, notes, pedals, row * quarters, quarters, (low, high))
    figure.supxlabel("beats (quarters)")
    figure.supylabel("pitch")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Notes": digest(notes)})  # a Figure without pyplot draws with Agg
    return buffer.getvalue()


def digest(notes: Sequence[Note]) -> str:
    """Return the SHA-256 of notes on the grid, 64 hexadecimal digits.

    >>> digest([Note(0, 1, 60)])[:8]
    '5ba8ca34'
    """
    lines = "".join(" ".join(map(str, _told(GridNote.of(note)))) + "\n" for note in notes)
    return hashlib.sha256(lines.encode()).hexdigest()


def _told(note: GridNote) -> Sequence[int]:
    """Return the parts of a note, without velocity and track where they have their defaults."""
    return note[: 3 if note == note[:3] + GridNote(*note[:3])[3:] else 5]


def matplotlib(module: str = "matplotlib") -> Any:
    """Import a module of matplotlib when it is needed.

    module: its full name, such as "matplotlib.figure".

    Raises `ImportError` that says what to install.

    >>> matplotlib().colormaps["hsv"].name
    'hsv'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"a picture needs matplotlib: pip install 'lstmgen[plot]' ({error})") from None


def _draw(
    axes: Any, notes: Sequence[Note], pedals: Sequence[Pedal], start: int, quarters: int, pitches: tuple[int, int]
) -> None:
    low, high = pitches
    colours = matplotlib("matplotlib").colormaps["hsv"]
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="0.95", linewidth=0, zorder=0)
    seen = [note for note in notes if note.start < start + quarters and note.start + note.duration > start]
    corners = [
        [(x, note.pitch - 0.4), (x, note.pitch + 0.4), (end, note.pitch + 0.4), (end, note.pitch - 0.4)]
        for note in seen
        for x, end in [(note.start, note.start + note.duration)]
    ]
    alike = len({note.velocity for note in notes}) == 1
    hues = [  # a fifth is a step in hue
        colours(note.pitch * 7 % 12 / 12, alpha=1.0 if alike else 0.3 + 0.7 * note.velocity / 127) for note in seen
    ]
    for pedal in pedals:
        axes.plot([pedal.start, pedal.end], [low - 0.2] * 2, color="0.3", linewidth=1.5, solid_capstyle="butt")
    bars = matplotlib("matplotlib.collections").PolyCollection
    axes.add_collection(bars(corners, facecolors=hues, edgecolors="0.2", linewidths=0.3, zorder=2))
    axes.set_xlim(start, start + quarters)
    axes.set_ylim(low - 0.5, high + 0.5)
    step = 2 ** max(0, math.ceil(math.log2(quarters / 16)))
    axes.set_xticks(range(start, start + quarters + 1, step))
    labelled = [pitch for pitch in range(low, high + 1) if pitch % 12 in ((0,) if high - low > 30 else (0, 4, 7))]
    axes.set_yticks(labelled, [f"{_NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in labelled])
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
