"""Music as elements: the names that a network reads and draws.

Three notations turn notes into a list of names. All times are in quarters.

"events" is the default. It keeps pitches, durations and rests, rounded to a grid of 24 points to
a quarter:

    t6          6 grid points (a sixteenth) pass since the last onset; several add up
    d12         notes last 12 grid points (an eighth) from here on; several in a row add up
    n60         a note of this MIDI pitch begins; 60 is middle C

It keeps more where it is asked to, by the names in `KEPT`:

    velocity    v20         notes have the velocity 80, 4 times the number, at most 127
    pedal       p1, p0      the sustain pedal goes down, or up
    tempo       b120        120 quarters a minute
    meter       m3/4        the time signature
    tracks      k2          the notes that follow are on track 2
    ends        begin, end  the piece begins, or ends

docs/events.md is the grammar, which a program in any language can decode by. "d" and "v" hold for
the track on which they are written. Before the first "d", notes last a quarter; before the first
"v", they have the velocity 80. At each onset the lowest note comes first. All but "t" and "n" come
only where something changes. Notes and gaps longer than 16 quarters are shortened to that.

"lesson" is the notation of the lesson and of the article that it cites. A note is a name such as
"C4" or "B-3" (B flat). A chord is its pitch classes, such as "4.7.11". Octaves of chords,
durations and rests are lost. Chords of names, such as "E4.G4", are decoded, too. An element
follows half a quarter after the one before, and sounds for a quarter.

"melody" is the notation of `melodygenerator.py`, from Valerio Velardo's course "Generating melodies
with RNN-LSTM" (github.com/musikalkemist/generating-melodies-with-rnn-lstm). It is only decoded.
Each symbol lasts a sixteenth, a quarter of a quarter:

    60          a note of this MIDI pitch begins
    r           a rest begins
    _           the note or rest goes on
    /           the melody ends; takes no time

Measured on 122 movements of solo piano music, and on the 36 of them by Beethoven:

| notation | vocabulary, all | Beethoven | elements a piece, all | Beethoven | elements a note |
|---|---|---|---|---|---|
| events, notes only | 135 | 125 | 3,399 | 4,380 | 1.89 |
| lesson | 486 | 311 | 1,373 | 1,821 | |

The vocabulary of "events" has at most 390 elements, 184 of them for notes alone. The grid holds
thirty-seconds, and triplets of eighths and sixteenths. In that music 95.4 % of the onsets and
97.4 % of the durations lie on it. The mean error of an onset is 0.0006 quarters, the greatest error
of anything 1/48. Grace notes and sixty-fourths are what is rounded. With 12 points to a quarter,
91.4 % of the onsets lie on the grid. With one element for a note and its duration there would be
1.56 elements a note, but 2,070 different ones, and 948 of these would come fewer than five times.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from lstmgen.arguments import Integer, choice, items, texts
from lstmgen.errors import OptionError
from lstmgen.escaping import brief
from lstmgen.music.notes import (
    GRID,
    MIDDLE_C,
    PIANO,
    VELOCITY,
    GridNote,
    Meter,
    Note,
    Pedal,
    Tempo,
    check_meters,
    check_notes,
    check_pedals,
    check_tempos,
    grid_points,
    tidied,
    tidy,
)

NOTATIONS = ("events", "lesson")  # of files that are read
DECODED = (*NOTATIONS, "melody")
STEPS = (96, 72, 48, 36, *range(24, 0, -1))  # the numbers after "t" and "d", in grid points
LONGEST = 16 * GRID  # points: of a note, and from one onset to the next, in "events"
V = TypeVar("V")
Row = tuple[int, int, int, int, int]  # start, pitch, track, duration and velocity of a note, in points
KEYS = range(-5, 7)  # semitones up that give all twelve keys, each once

KEPT = ("velocity", "pedal", "tempo", "meter", "tracks", "ends")  # what "events" keeps where it is asked to
LOUDEST = 32  # the greatest number after "v"
_LEVELS = [min(max((velocity + 2) // 4, 1), LOUDEST) for velocity in range(128)]
# Quarters a minute after "b": the marks of a metronome after Maelzel, and slower and faster ones.
TEMPOS = (
    *(20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 63, 66, 69, 72, 76, 80, 84),
    *(88, 92, 96, 100, 104, 108, 112, 116, 120, 126, 132, 138, 144, 152, 160, 168, 176, 184, 192, 200, 208, 216, 224),
    *(232, 240, 252, 264, 276, 288, 304, 320),
)
_BETWEEN = [math.sqrt(slower * faster) for slower, faster in itertools.pairwise(TEMPOS)]

_EVENT = re.compile(
    r"([td])([1-9]\d{0,3})|n(\d{1,3})|v([1-9]|[12]\d|3[0-2])|k([1-9]|1[0-5])|p([01])|b([1-9]\d{0,3})"
    r"|m([1-9]|1[0-6])/(1|2|4|8|16|32)|begin|end",
    re.ASCII,
)
_FIRST = dict.fromkeys("tdn") | {"v": "velocity", "p": "pedal", "b": "tempo", "m": "meter", "k": "tracks"}
_NUMBER = re.compile(r"\d{1,3}", re.ASCII)
_NAME = re.compile(r"([A-G])([#\-~`]*)(\d{0,2})(\([+-]\d+c\))?", re.ASCII)
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LESSON_STEP = grid_points(0.5)  # the offset that the lesson adds for each element
_LESSON_DURATION = grid_points(1.0)  # of a note that music21 makes
_HOLD, _REST, _END = "_", "r", "/"
_MELODY_STEP = grid_points(0.25)  # the default `step_duration` of melodygenerator.py
_ENDS = ("begin", "end")
_PLACEHOLDER = re.compile(r"|<.*>|\[.*\]")  # such as <unk>, in a vocabulary


class Recognised(NamedTuple):
    """A notation that elements were recognised as.

    notation: one of `DECODED`.
    assumed: a sentence on what the elements do not say themselves; "" if there is nothing.

    >>> recognise(["n60"])
    Recognised(notation='events', assumed='')
    """

    notation: str
    assumed: str


class Score(NamedTuple):
    """What elements say. Times are points of the grid from the first note.

    notes: in order, without overlaps on one pitch of a track.
    pedals: start and end of each time that the pedal is down. tempos: start and quarters a minute.
    meters: start, beats and unit. All are in order.

    >>> Score([GridNote(0, 24, 60)], tempos=[(0, 120)]).pedals
    []
    """

    notes: list[GridNote]
    pedals: list[tuple[int, int]] = []  # noqa: RUF012
    tempos: list[tuple[int, int]] = []  # noqa: RUF012
    meters: list[tuple[int, int, int]] = []  # noqa: RUF012


def check_keep(keep: str | Iterable[str]) -> tuple[str, ...]:
    """Return what "events" is asked to keep, in the order of `KEPT`.

    keep: names in `KEPT`, or a text of them with commas between; "all", or "none".

    Raises `OptionError` for any other name.

    >>> check_keep("tempo,velocity"), check_keep("none")
    (('velocity', 'tempo'), ())
    """
    names = [one.strip() for one in keep.split(",")] if isinstance(keep, str) else texts("keep", items("keep", keep))
    if names in (["all"], ["none"], [""]):
        return KEPT if names == ["all"] else ()
    for name in names:
        if name not in KEPT:
            raise OptionError("keep", f"all, none, or some of {', '.join(KEPT)} with commas between", name)
    return tuple(name for name in KEPT if name in names)


def kept(elements: Iterable[str]) -> tuple[str, ...]:
    """Return what elements of "events", or a vocabulary of them, keep: names in `KEPT`.

    >>> kept(["n60", "t6", "v20", "begin"])
    ('velocity', 'ends')
    """
    found = {"ends" if element in _ENDS else _FIRST.get(element[:1]) for element in set(elements) if is_event(element)}
    return tuple(name for name in KEPT if name in found)


def encode(
    notes: Iterable[Note],
    *,
    keep: str | Iterable[str] = (),
    pedals: Iterable[Pedal] = (),
    tempos: Iterable[Tempo] = (),
    meters: Iterable[Meter] = (),
) -> list[str]:
    """Return the elements of the notation "events" for these notes.

    notes: in any order. Silence before the first one is left out.
    keep: what is kept beside pitches and times, as in `read_pieces`. Without "tracks", all notes
        are on one.
    pedals, tempos, meters: what else the piece says, if it is to be kept.

    >>> encode([Note(0, 0.5, 60), Note(0.5, 0.5, 64), Note(2, 1, 67)])
    ['d12', 'n60', 't12', 'n64', 't36', 'd24', 'n67']
    >>> " ".join(encode([Note(0, 1, 60, 99)], keep="velocity,tempo,ends", tempos=[Tempo(0, 119)]))
    'begin b120 d24 v25 n60 end'
    """
    asked = check_keep(keep)
    rows = [
        (grid_points(start), pitch, track, max(grid_points(duration), 1), velocity)
        for start, duration, pitch, velocity, track in check_notes(notes)
    ]
    if not rows:
        return []
    return encode_rows(
        rows,
        asked,
        pedals=check_pedals(pedals) if "pedal" in asked else (),
        tempos=check_tempos(tempos) if "tempo" in asked else (),
        meters=check_meters(meters) if "meter" in asked else (),
    )


def encode_rows(
    rows: Iterable[Row],
    asked: Sequence[str],
    *,
    pedals: Iterable[Pedal] = (),
    tempos: Iterable[Tempo] = (),
    meters: Iterable[Meter] = (),
) -> list[str]:
    """Return what `encode` does, of notes that need no check.

    rows: start, pitch, track, duration and velocity of each note, in any order. Times are points.
    asked: what `check_keep` returned. The others are in order.

    >>> encode_rows([(0, 60, 1, 12, 80)], ())
    ['d12', 'n60']
    """
    loud, by_track = "velocity" in asked, "tracks" in asked
    grid = tidied(
        [
            (
                start,
                pitch,
                track if by_track else 1,
                duration if duration < LONGEST else LONGEST,
                velocity if loud else VELOCITY,
            )
            for start, pitch, track, duration, velocity in rows
        ]
    )
    if not grid:
        return []
    changes: list[tuple[int, int, str]] = []  # the place, the rank among those of one place, the element
    if any((pedals, tempos, meters)):
        place = _places(grid)
        if "tempo" in asked:
            marks = {place(grid_points(at)): _tempo_mark(bpm) for at, bpm in tempos}
            changes += [(at, 0, f"b{mark}") for at, mark in _changing(marks)]
        if "meter" in asked:
            signs = {place(grid_points(at)): f"m{beats}/{unit}" for at, beats, unit in meters}
            changes += [(at, 1, sign) for at, sign in _changing(signs)]
        if "pedal" in asked:
            for start, end in pedals:
                begin, over = place(grid_points(start)), place(grid_points(end))
                if begin < over:
                    changes += [(begin, 3, "p1"), (over, 2, "p0")]
    several = by_track and len({row[2] for row in grid}) > 1
    elements = _written(_by_track(grid) if several else grid, sorted(changes))
    return ["begin", *elements, "end"] if "ends" in asked else elements


def _written(grid: Iterable[Row], changes: list[tuple[int, int, str]]) -> list[str]:
    """Return the elements of notes, and of the changes between them."""
    elements: list[str] = []
    now, on = 0, 1
    at, onset = 0, -1  # the place of the last note, and where it starts: no gap is longer than `LONGEST`
    lasting: dict[int, int] = {}  # the duration of each track
    loud: dict[int, int] = {}
    waiting = changes[::-1]
    add = elements.append
    for start, pitch, track, duration, velocity in grid:
        if start != onset:
            gap = start - onset if onset >= 0 else 0
            at += gap if gap < LONGEST else LONGEST
            onset = start
            while waiting and waiting[-1][0] <= at:
                place, _, element = waiting.pop()
                elements += _steps("t", place - now)
                now = place
                add(element)
            elements += _steps("t", at - now)
            now = at
        if track != on:
            add(f"k{track}")
            on = track
        if duration != lasting.get(on):
            elements += _steps("d", duration)
            lasting[on] = duration
        level = _LEVELS[velocity]
        if level != loud.get(on, VELOCITY // 4):
            add(f"v{level}")
            loud[on] = level
        add(_PITCHES[pitch])
    for place, _, element in reversed(waiting):
        elements += _steps("t", place - now)
        now = place
        add(element)
    return elements


def _by_track(grid: Iterable[Row]) -> Iterator[Row]:
    """Yield the notes of each onset by track, those of the track that is on first."""
    on = 1
    for _, chord in itertools.groupby(grid, operator.itemgetter(0)):
        rows = list(chord)
        if len(rows) > 1:
            rows.sort(key=lambda row: (row[2] != on, row[2], row[1]))
        yield from rows
        on = rows[-1][2]


def _places(grid: Iterable[Row]) -> Callable[[int], int]:
    """Return a function from points of the grid to points of the piece as it is written.

    The piece begins with its first note, and no gap between two onsets, or after the last, is
    longer than `LONGEST`.
    """
    onsets: list[int] = [start for start, _ in itertools.groupby(grid, operator.itemgetter(0))]
    places = [0]
    for before, after in itertools.pairwise(onsets):
        places.append(places[-1] + min(after - before, LONGEST))

    def place(at: int) -> int:
        i = max(bisect.bisect_right(onsets, at) - 1, 0)
        return places[i] + min(max(at - onsets[i], 0), LONGEST)

    return place


def _changing(values: Mapping[int, V]) -> list[tuple[int, V]]:
    """Return the places in order, without those that repeat the value before."""
    found: list[tuple[int, V]] = []
    for at in sorted(values):
        if not found or found[-1][1] != values[at]:
            found.append((at, values[at]))
    return found


def _tempo_mark(bpm: float) -> int:
    """Return the mark that is nearest on a scale of logarithms."""
    return TEMPOS[bisect.bisect(_BETWEEN, bpm)]


def decode_notes(elements: Sequence[str], notation: str) -> list[Note]:
    """Return the notes of elements in whatever order a network has drawn them.

    elements: names of one notation.
    notation: "events", "lesson" or "melody".

    Raises `ValueError` for another notation, and for an element that is not of the notation.

    >>> decode_notes(["60", "_", "r", "_", "62", "_", "_", "_"], "melody")
    [Note(start=0.0, duration=0.5, pitch=60), Note(start=1.0, duration=1.0, pitch=62)]
    """
    return [note.note for note in decode_score(elements, notation).notes]


def decode_score(elements: Sequence[str], notation: str) -> Score:
    """Return all that elements say, with times in points of the grid.

    elements, notation: as in `decode_notes`, which says what is raised, too.

    >>> decode_score(["C4", "0.7"], "lesson").notes[0]
    GridNote(start=0, duration=12, pitch=60)
    >>> decode_score(["b90", "p1", "n60", "t24", "p0"], "events")[1:]
    ([(0, 24)], [(0, 90)], [])
    """
    check_notation(notation, DECODED)
    if notation == "events":
        return _event_score(elements)
    readers = {"lesson": _lesson_notes, "melody": _melody_notes}
    return Score(tidy(readers[notation](elements)))


def check_notation(notation: str, known: Sequence[str] = NOTATIONS) -> None:
    """Raise `ValueError` if a notation is not among those known.

    >>> check_notation("morse")
    Traceback (most recent call last):
    lstmgen.errors.OptionError: notation: expected one of events, lesson, found 'morse'
    """
    choice("notation", notation, known)


def recognise(elements: Sequence[str]) -> Recognised:
    """Return the notation of a sequence, which its first telling element decides.

    elements: as a network has drawn them. Plain numbers alone do not tell. They are pitches of a
        melody if one of them is above 11, else chords of the lesson. An empty sequence is "events".

    Raises `ValueError` that names the first element if none of them is of any notation.

    >>> [recognise(piece).notation for piece in (["d12", "n60"], ["4", "C4"], ["60", "_"])]
    ['events', 'lesson', 'melody']
    """
    if not elements:
        return Recognised("events", "")
    fitting = [found for element in elements if (found := _fitting(element))]
    if not fitting:
        raise _unexpected(elements[0], 0, "one of music: 't6', 'd12', 'n60'; 'C4', '4.7'; or '60', '_', 'r'")
    (notation,) = next((found for found in fitting if len(found) == 1), (_notation_of_numbers(elements),))
    return Recognised(notation, _assumed(notation, elements))


def recognise_vocabulary(vocabulary: Iterable[str]) -> Recognised | None:
    """Return the notation that every element of a vocabulary fits; None if there is none.

    vocabulary: its order does not matter. Empty elements and placeholders such as "<unk>" or
        "[UNK]" are passed over.

    >>> recognise_vocabulary(["/", "60", "62", "_", "r"]).notation
    'melody'
    >>> recognise_vocabulary(["the", "C4"])
    """
    elements = [element for element in vocabulary if not _PLACEHOLDER.fullmatch(element)]
    fitting = set(DECODED).intersection(*map(_fitting, elements)) if elements else set()
    if len(fitting) > 1:
        fitting = {_notation_of_numbers(elements)}
    return next((Recognised(notation, _assumed(notation, elements)) for notation in fitting), None)


def is_event(element: str) -> bool:
    """Return whether an element is of the notation "events".

    >>> is_event("n60"), is_event("60")
    (True, False)
    """
    return _event(element) is not None


def transposed(elements: Sequence[str], semitones: int) -> list[str]:
    """Return a piece of the notation "events" in another key.

    semitones: how far up; negative is down. A note that would leave the keys of the piano moves by
        an octave to stay on them.

    >>> transposed(["d24", "n60", "n108"], 2)
    ['d24', 'n62', 'n98']
    """

    elements = texts("elements", elements)
    semitones = Integer(-127, most=127).check("semitones", semitones)

    def moved(element: str) -> str:
        if not element.startswith("n") or not is_event(element):
            return element
        pitch = int(element[1:])
        up = pitch + semitones
        if pitch in PIANO and up not in PIANO:
            up += 12 if up < PIANO.start else -12
        return f"n{min(max(up, 0), 127)}"

    return [moved(element) for element in elements] if semitones else list(elements)


# -- recognising a notation -----------------------------------------------------------------------


def _fitting(element: str) -> tuple[str, ...]:
    """Return the notations that an element may be of."""
    if _NUMBER.fullmatch(element):
        return ("lesson", "melody") if int(element) <= 127 else ()
    if is_event(element):
        return ("events",)
    if element in (_HOLD, _REST, _END):
        return ("melody",)
    return ("lesson",) if all(0 <= _lesson_pitch(part) <= 127 for part in element.split(".")) else ()


def _notation_of_numbers(elements: Iterable[str]) -> str:
    """Return the notation of plain numbers. Chords of the lesson are pitch classes, 0 to 11."""
    numbers = [int(element) for element in elements if _NUMBER.fullmatch(element)]
    return "melody" if max(numbers, default=0) > 11 else "lesson"


def _assumed(notation: str, elements: Iterable[str]) -> str:
    if notation != "melody":
        return ""
    said = "the elements are a melody as melodygenerator.py has it: each symbol lasts a sixteenth (0.25 quarters)"
    if {_HOLD, _REST, _END}.intersection(elements):
        return said
    return f"{said}, and the numbers are MIDI pitches"


# -- from elements to notes ------------------------------------------------------------------------


def _event(element: str) -> tuple[str, int, int] | None:
    """Return the kind of an event, its number and a second one; None for what is none.

    The kind is the letter before the number, or the whole element.
    """
    found = _EVENT.fullmatch(element)
    if not found:
        return None
    numbers = [int(number) for number in found.groups()[1:] if number]
    if not numbers:
        return element, 0, 0
    kind = element[0]
    if (kind == "n" and numbers[0] > 127) or (kind == "b" and not 4 <= numbers[0] <= 1000):
        return None
    return kind, numbers[0], numbers[-1]


def _event_score(elements: Sequence[str]) -> Score:
    """Return what elements of "events" say. docs/events.md has this, step by step."""
    now, gap, track = 0, 0, 1
    started, down, last = False, -1, ""
    lasting: dict[int, int] = {}
    loud: dict[int, int] = {}
    notes: list[GridNote] = []
    pedals: list[tuple[int, int]] = []
    tempos: dict[int, int] = {}
    meters: dict[int, tuple[int, int]] = {}
    for position, element in enumerate(elements):
        found = _event(element)
        if not found:
            raise _unexpected(element, position, "one such as 't6', 'd12' or 'n60' (n0 to n127)")
        kind, number, second = found
        at = now + (gap if started else 0)
        if kind == "t":
            gap = min(gap + number, LONGEST)
        elif kind == "d":
            lasting[track] = min(number + (lasting[track] if last == "d" else 0), LONGEST)
        elif kind == "n":
            now, gap, started = at, 0, True
            notes.append(GridNote(now, lasting.get(track, GRID), number, loud.get(track, VELOCITY), track))
        elif kind == "v":
            loud[track] = min(4 * number, 127)
        elif kind == "k":
            track = number
        elif kind == "p" and number:
            down = at if down < 0 else down
        elif kind == "p":
            pedals += [(down, at)] if 0 <= down < at else []
            down = -1
        elif kind == "b":
            tempos[at] = number
        elif kind == "m":
            meters[at] = number, second
        elif kind == "end":
            break
        last = kind
    notes = tidy(notes)
    end = max((note.start + note.duration for note in notes), default=0)
    if 0 <= down < end:
        pedals.append((down, end))
    signs = [(at, beats, unit) for at, (beats, unit) in _changing(meters)]
    return Score(notes, pedals, _changing(tempos), signs)


def _lesson_notes(elements: Sequence[str]) -> Iterator[GridNote]:
    for position, element in enumerate(elements):
        for pitch in _lesson_pitches(element, position):
            yield GridNote(position * _LESSON_STEP, _LESSON_DURATION, pitch)


def _lesson_pitches(element: str, position: int) -> list[int]:
    """Return the MIDI pitches of a note, or of the parts of a chord.

    A name such as "C4" has the pitch that `music21.note.Note` gives it. So has a number: 0 to 11
    are pitch classes from middle C upwards, larger ones MIDI pitches.
    """
    pitches = [_lesson_pitch(part) for part in element.split(".")]
    if not all(0 <= pitch <= 127 for pitch in pitches):
        raise _unexpected(element, position, "a note such as 'C4' or a chord such as '4.7'")
    return pitches


def _lesson_pitch(part: str) -> int:
    """Return the MIDI pitch of a name or a number, or -1 for anything else."""
    if _NUMBER.fullmatch(part):
        return int(part) if int(part) > 11 else MIDDLE_C + int(part)
    if name := _NAME.fullmatch(part):
        signs = name[2].count("#") - name[2].count("-")
        return 12 * (int(name[3] or 4) + 1) + _PITCH_CLASSES[name[1]] + signs
    return -1


def _melody_notes(elements: Sequence[str]) -> Iterator[GridNote]:
    """Yield notes, each with the symbols "_" that follow it.

    `save_melody` in melodygenerator.py leaves out the last note, or the last "_". Nothing is left
    out here. Melodies after a "/" follow each other without a gap. A "_" without a note before it
    is silence, since nothing goes on there.
    """
    now, start, pitch = 0, 0, None
    for position, element in enumerate([*elements, _END]):
        number = int(element) if _NUMBER.fullmatch(element) else None
        if (number is None and element not in (_HOLD, _REST, _END)) or (number is not None and number > 127):
            raise _unexpected(element, position, "a MIDI pitch, 0 to 127, '_', 'r' or '/'")
        if element != _HOLD:
            if pitch is not None:
                yield GridNote(start, now - start, pitch)
            start, pitch = now, number
        if element != _END:
            now += _MELODY_STEP


def _unexpected(element: str, position: int, expected: str) -> ValueError:
    return ValueError(f"element {brief(element)} at position {position}: expected {expected}")


@functools.lru_cache(1024)
def _steps(kind: str, points: int) -> tuple[str, ...]:
    """Return the fewest elements that add up to a number of points, the largest first."""
    elements = []
    for step in STEPS:
        while points >= step:
            elements.append(f"{kind}{step}")
            points -= step
    return tuple(elements)


_PITCHES = [f"n{pitch}" for pitch in range(128)]
