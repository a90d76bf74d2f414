"""Notes, and the grid of time on which elements and files place them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from lstmgen.errors import OptionTypeError
from lstmgen.options import Integer, Number, items

GRID = 24  # points to a quarter
PIANO = range(21, 109)  # MIDI pitches of a piano's keys
MIDDLE_C = 60  # MIDI pitch


class Note(NamedTuple):
    """A sound of one pitch.

    start: quarters from the beginning of the piece, at least 0.
    duration: quarters, more than 0.
    pitch: MIDI pitch, 0 to 127; 60 is middle C.

    >>> Note(start=0.5, duration=1.0, pitch=60)
    Note(start=0.5, duration=1.0, pitch=60)
    """

    start: float
    duration: float
    pitch: int


def check_notes(notes: object) -> list[Note]:
    """Return notes as a list. Raises `OptionError` for what is no note, or no note that can sound.

    >>> check_notes([(0, 1, 60)])
    [Note(start=0, duration=1, pitch=60)]
    """
    found = []
    for i, note in enumerate(items("notes", notes)):
        if not isinstance(note, tuple) or len(note) != 3:
            raise OptionTypeError("notes", "a Note of start, duration and pitch", note)
        for part, value in zip(Note._fields[:2], note[:2], strict=True):
            _TIME.check(f"notes: note {i}: {part}", value)
        Integer(0, most=127).check(f"notes: note {i}: pitch", note[2])
        found.append(Note(*note))
    return found


_TIME = Number(0, 1e6)  # quarters; a week at 100 a minute


class GridNote(NamedTuple):
    """A note whose times are points of the grid: `start` at least 0, `duration` at least 1.

    >>> GridNote.of(Note(0.5, 1.0, 60))
    GridNote(start=12, duration=24, pitch=60)
    >>> GridNote(12, 24, 60).note
    Note(start=0.5, duration=1.0, pitch=60)
    """

    start: int
    duration: int
    pitch: int

    @classmethod
    def of(cls, note: Note) -> GridNote:
        """Return a note rounded to the grid. It is at least one point long.

        >>> GridNote.of(Note(0.5, 0.001, 60))
        GridNote(start=12, duration=1, pitch=60)
        """
        return cls(grid_points(note.start), max(grid_points(note.duration), 1), note.pitch)

    @property
    def note(self) -> Note:
        """The same note in quarters."""
        return Note(self.start / GRID, self.duration / GRID, self.pitch)


def grid_points(quarters: float) -> int:
    """Return the nearest point of the grid, and the later one of two that are equally near.

    quarters: a time or a duration, at least 0.

    >>> grid_points(0.5), grid_points(1 / 3), grid_points(0.01)
    (12, 8, 0)
    """
    return math.floor(quarters * GRID + 0.5)


def tidy(notes: Iterable[GridNote]) -> list[GridNote]:
    """Return the notes in order of start and then pitch, without overlaps on one pitch.

    Of notes that start together on one pitch the longest is kept. A note ends where its pitch
    begins again.

    >>> tidy([GridNote(12, 24, 60), GridNote(0, 24, 60), GridNote(0, 6, 60)])
    [GridNote(start=0, duration=12, pitch=60), GridNote(start=12, duration=24, pitch=60)]
    """
    longest: dict[tuple[int, int], int] = {}
    for start, duration, pitch in notes:
        longest[start, pitch] = max(duration, longest.get((start, pitch), 0))
    found = []
    next_start: dict[int, int] = {}  # where each pitch begins again
    for (start, pitch), duration in sorted(longest.items(), reverse=True):
        found.append(GridNote(start, min(duration, next_start.get(pitch, start + duration) - start), pitch))
        next_start[pitch] = start
    return found[::-1]
