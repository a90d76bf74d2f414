"""A piano roll made of characters: pitches over time, two pitches in a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lstmgen.music.notes import GRID, GridNote, Note

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_COLUMN = GRID // 4  # points of the grid in a column: a sixteenth
_MARGIN = 4  # characters before the roll, for names of notes
# Of the 256 colours of terminals, one for each pitch class; a fifth is a step in hue.
_COLOURS = (196, 39, 214, 129, 226, 201, 46, 208, 63, 118, 165, 51)


class Cell(NamedTuple):
    """A character of the roll, and its colours of the 256 of terminals.

    None stands for the colour that the terminal has.

    >>> Cell(" ").colour is None
    True
    """

    text: str
    colour: int | None = None
    background: int | None = None


def roll(notes: Sequence[Note], width: int, height: int) -> list[list[Cell]]:
    """Return the lines of the roll, the highest pitch first. The music ends at the right.

    notes: in any order. width, height: of the roll, in characters; a column is a sixteenth.

    There are fewer lines where the notes need fewer. A range of pitches that is too wide for the
    height is cut off at the bottom.

    >>> lines = roll([Note(0, 1, 60), Note(1, 1, 64)], 14, 5)
    >>> print("\\n".join("".join(cell.text for cell in line).rstrip() for line in lines))
    E4      ▀▀▀▀
    D4
    C4  ▀▀▀▀
    """
    if not notes or width <= _MARGIN or height < 1:
        return []
    grid = [GridNote.of(note) for note in notes]
    columns = width - _MARGIN
    end = -(-max(note.start + note.duration for note in grid) // _COLUMN)
    first = max(0, end - columns)
    shown = [note for note in grid if note.start + note.duration > first * _COLUMN]
    high = max(note.pitch for note in shown)
    low = max(min(note.pitch for note in shown), high - 2 * height + 1)
    sounding: set[tuple[int, int]] = set()  # pitch and column
    for note in shown:
        begin = note.start // _COLUMN
        for column in range(max(begin, first), max(begin + 1, (note.start + note.duration) // _COLUMN)):
            sounding.add((note.pitch, column))
    lines = []
    for upper in range(high, low - 1, -2):
        line = [Cell(f"{pitch_name(upper):{_MARGIN}}")]
        for column in range(first, first + columns):
            pair = [(upper, column) in sounding, (upper - 1, column) in sounding and upper - 1 >= low]
            line.append(_cell(upper, *pair))
        lines.append(line)
    return lines


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch.

    >>> pitch_name(60), pitch_name(70)
    ('C4', 'Bb4')
    """
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _cell(upper: int, above: bool, below: bool) -> Cell:
    over, under = _COLOURS[upper % 12], _COLOURS[(upper - 1) % 12]
    if above:
        return Cell("▀", over, under if below else None)
    return Cell("▄", under) if below else Cell(" ")
