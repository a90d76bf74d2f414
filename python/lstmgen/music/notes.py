"""Notes, what else a piece says, and the grid of time on which elements and files place them."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lstmgen.arguments import Integer, Number, items
from lstmgen.errors import OptionError, OptionTypeError

GRID = 24  # points to a quarter
PIANO = range(21, 109)  # MIDI pitches of a piano's keys
MIDDLE_C = 60  # MIDI pitch
VELOCITY = 80  # 1 to 127, of a note that does not say it
TRACKS = 15  # as many as MIDI has channels, without that of drums
LATEST = 1e6  # quarters: a week at 100 a minute
BPM = 100.0  # quarters a minute of music that does not say
UNITS = (1, 2, 4, 8, 16, 32)  # the lower numbers of time signatures
BEATS = 16  # the greatest upper number


class Note(NamedTuple):
    """A sound of one pitch.

    start: quarters from the beginning of the piece, at least 0.
    duration: quarters, more than 0.
    pitch: MIDI pitch, 0 to 127; 60 is middle C.
    velocity: how hard the key is struck, 1 to 127.
    track: the number of the hand, voice or instrument that plays it, 1 to 15.

    >>> Note(start=0.5, duration=1.0, pitch=60)
    Note(start=0.5, duration=1.0, pitch=60)
    >>> Note(0, 1, 60, velocity=100).track
    1
    """

    start: float
    duration: float
    pitch: int
    velocity: int = VELOCITY
    track: int = 1

    def __repr__(self) -> str:
        return _repr(self, 3)


class Pedal(NamedTuple):
    """A time in which the sustain pedal is down.

    start, end: quarters from the beginning of the piece, at least 0.

    >>> Pedal(0, 4).end
    4
    """

    start: float
    end: float


class Tempo(NamedTuple):
    """A change of the tempo.

    start: quarters from the beginning of the piece, at least 0.
    bpm: quarters a minute, 4 to 1000.

    >>> Tempo(0, 120).bpm
    120
    """

    start: float
    bpm: float


class Meter(NamedTuple):
    """A change of the time signature to `beats`/`unit`.

    start: quarters from the beginning of the piece, at least 0.
    beats: beats of a bar, 1 to 16.
    unit: the part of a whole note that is a beat: 1, 2, 4, 8, 16 or 32.

    >>> Meter(0, 6, 8)
    Meter(start=0, beats=6, unit=8)
    """

    start: float
    beats: int
    unit: int


def _repr(note: tuple[float, ...], always: int) -> str:
    """Return a note as Python writes it, without the last fields where they have their defaults."""
    names, defaults = Note._fields, Note._field_defaults
    shown = [f"{n}={v!r}" for i, (n, v) in enumerate(zip(names, note, strict=True)) if i < always or v != defaults[n]]
    return f"{type(note).__name__}({', '.join(shown)})"


def check_notes(notes: object) -> list[Note]:
    """Return notes as a list. Raises `OptionError` for what is no note, or no note that can sound.

    >>> check_notes([(0, 1, 60)])
    [Note(start=0, duration=1, pitch=60)]
    """
    found = []
    for i, note in enumerate(items("notes", notes)):
        if type(note) is Note and _plain(note):  # most are, and the checks with their words take a while
            found.append(note)
            continue
        if not isinstance(note, tuple) or not 3 <= len(note) <= len(Note._fields):
            raise OptionTypeError("notes", "a Note of start, duration and pitch", note)
        for part, value in zip(Note._fields[:2], note[:2], strict=True):
            _TIME.check(f"notes: note {i}: {part}", value)
        for part, value, whole in zip(Note._fields[2:], note[2:], _WHOLE, strict=False):
            whole.check(f"notes: note {i}: {part}", value)
        found.append(Note(*note))
    return found


def _plain(note: Note) -> bool:
    """Return whether the parts of a note are plain numbers, in their ranges."""
    start, duration, pitch, velocity, track = note
    return (
        type(start) in (int, float)
        and type(duration) in (int, float)
        and type(pitch) is type(velocity) is type(track) is int
        and 0 <= start <= _TIME.most
        and 0 <= duration <= _TIME.most
        and 0 <= pitch <= 127
        and 1 <= velocity <= 127
        and 1 <= track <= TRACKS
    )


def check_pedals(pedals: object) -> list[Pedal]:
    """Return the times of the pedal in order, those that overlap as one.

    Raises `OptionError` for what is no `Pedal`, or one that ends before it starts.

    >>> check_pedals([(2, 5), (0, 3), (5, 6)])
    [Pedal(start=0, end=5), Pedal(start=5, end=6)]
    """
    found: list[Pedal] = []
    for start, end in sorted(_checked("pedals", pedals, Pedal)):
        if end < start:
            raise OptionError("pedals", f"an end that is at least the start, {start}", end)
        if found and start < found[-1].end:
            found[-1] = Pedal(found[-1].start, max(end, found[-1].end))
        elif end > start:
            found.append(Pedal(start, end))
    return found


def check_tempos(tempos: object) -> list[Tempo]:
    """Return tempos in order. Raises `OptionError` for what is none, or is not 4 to 1000.

    >>> check_tempos([(4, 90), (0, 120)])
    [Tempo(start=0, bpm=120), Tempo(start=4, bpm=90)]
    """
    found = sorted(Tempo(*one) for one in _checked("tempos", tempos, Tempo))
    for one in found:
        Number(4, 1000).check("tempos: bpm", one.bpm)
    return found


def check_meters(meters: object) -> list[Meter]:
    """Return time signatures in order. Raises `OptionError` for what is none that can be kept.

    >>> check_meters([(0, 3, 4)])
    [Meter(start=0, beats=3, unit=4)]
    """
    found = sorted(Meter(*one) for one in _checked("meters", meters, Meter))
    for one in found:
        Integer(1, most=BEATS).check("meters: beats", one.beats)
        if one.unit not in UNITS:
            raise OptionError("meters: unit", f"one of {', '.join(map(str, UNITS))}", one.unit)
    return found


def _checked(name: str, given: object, kind: type[Pedal] | type[Tempo] | type[Meter]) -> list[tuple[Any, ...]]:
    found = []
    for i, one in enumerate(items(name, given)):
        if not isinstance(one, tuple) or len(one) != len(kind._fields):
            raise OptionTypeError(name, f"a {kind.__name__} of {', '.join(kind._fields)}", one)
        if not all(type(value) in (int, float) and 0 <= value <= _TIME.most for value in one):
            for part, value in zip(kind._fields, one, strict=True):
                _TIME.check(f"{name}: {i}: {part}", value)
        found.append(one)
    return found


_TIME = Number(0, LATEST)
_WHOLE = (Integer(0, most=127), Integer(1, most=127), Integer(1, most=TRACKS))  # pitch, velocity, track


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
    velocity: int = VELOCITY
    track: int = 1

    @classmethod
    def of(cls, note: Note) -> GridNote:
        """Return a note rounded to the grid. It is at least one point long.

        >>> GridNote.of(Note(0.5, 0.001, 60))
        GridNote(start=12, duration=1, pitch=60)
        """
        return cls(grid_points(note.start), max(grid_points(note.duration), 1), *note[2:])

    @property
    def note(self) -> Note:
        """The same note in quarters."""
        return Note(self.start / GRID, self.duration / GRID, *self[2:])

    def __repr__(self) -> str:
        return _repr(self, 3)


def grid_points(quarters: float) -> int:
    """Return the nearest point of the grid, and the later one of two that are equally near.

    quarters: a time or a duration, at least 0.

    >>> grid_points(0.5), grid_points(1 / 3), grid_points(0.01)
    (12, 8, 0)
    """
    return math.floor(quarters * GRID + 0.5)


def tidy(notes: Iterable[tuple[int, int, int, int, int]]) -> list[GridNote]:
    """Return the notes in order of start, pitch and track, without overlaps on a pitch of a track.

    Of notes that start together on one pitch of a track the longest is kept, and of equally long
    ones the loudest. A note ends where its pitch begins again on its track.

    >>> tidy([GridNote(12, 24, 60), GridNote(0, 24, 60), GridNote(0, 6, 60)])
    [GridNote(start=0, duration=12, pitch=60), GridNote(start=12, duration=24, pitch=60)]
    """
    rows = [(start, pitch, track, duration, velocity) for start, duration, pitch, velocity, track in notes]
    return [GridNote(start, length, pitch, velocity, track) for start, pitch, track, length, velocity in tidied(rows)]


def tidied(rows: list[tuple[int, int, int, int, int]]) -> list[tuple[int, int, int, int, int]]:
    """Return what `tidy` does, as rows of start, pitch, track, duration and velocity.

    rows: the same, in any order. None is left in it.

    >>> tidied([(12, 60, 1, 24, 80), (0, 60, 1, 24, 80)])
    [(0, 60, 1, 12, 80), (12, 60, 1, 24, 80)]
    """
    rows.sort()
    found: list[tuple[int, int, int, int, int]] = []
    next_start: dict[tuple[int, int], int] = {}  # where each pitch begins again
    while rows:  # from the end, each taken off as its note is made
        row = rows.pop()
        start, pitch, track, duration, velocity = row
        key = pitch, track
        limit = next_start.get(key, start + duration) - start
        if limit:  # not the same stroke
            found.append(row if duration <= limit else (start, pitch, track, limit, velocity))
            next_start[key] = start
    found.reverse()
    return found


def sounding(notes: Iterable[Note], pedals: Iterable[Pedal]) -> list[Note]:
    """Return notes as long as they sound: to the end of the pedal that is down where a key rises.

    pedals: in order, without overlaps. A string that is struck again ends there.

    >>> sounding([Note(0, 1, 60), Note(1, 1, 64)], [Pedal(0, 4)])
    [Note(start=0, duration=4, pitch=60), Note(start=1, duration=3, pitch=64)]
    """
    down = list(pedals)
    starts = [pedal.start for pedal in down]
    found: list[Note] = []
    strokes: dict[int, tuple[float, float]] = {}  # of each pitch: the next stroke, and the one after it
    for note in sorted(notes, key=lambda n: n.start, reverse=True):
        end = note.start + note.duration
        first, second = strokes.get(note.pitch, (math.inf, math.inf))
        if first > note.start:  # not the same stroke on another track
            first, second = strokes[note.pitch] = note.start, first
        i = bisect.bisect_left(starts, end) - 1  # a pedal that goes down as the key rises is too late
        if i >= 0 and end < down[i].end:
            end = max(end, min(down[i].end, second))
        if end != note.start + note.duration:
            note = note._replace(duration=end - note.start)
        found.append(note)
    return found[::-1]


def clock(tempos: Sequence[Tempo]) -> Callable[[float], float]:
    """Return a function that gives the seconds at a time in quarters.

    tempos: in order. Before the first one, and without any, it is that of `BPM`.

    >>> seconds = clock([Tempo(0, 60), Tempo(4, 120)])
    >>> seconds(4), seconds(6)
    (4.0, 5.0)
    """
    steps = [Tempo(0, BPM), *tempos]
    times = [0.0]
    for before, after in itertools.pairwise(steps):
        times.append(times[-1] + (after.start - before.start) * 60 / before.bpm)
    starts = [one.start for one in steps]

    def seconds(quarters: float) -> float:
        i = max(bisect.bisect_right(starts, quarters) - 1, 0)
        return times[i] + (quarters - starts[i]) * 60 / steps[i].bpm

    return seconds
