"""Music as elements: the names that a network reads and draws.

Three notations turn notes into a list of names. All times are in quarters, and the tempo is not
kept.

"events" is the default. It keeps pitches, durations and rests, rounded to a grid of 24 points to
a quarter:

    t6          6 grid points (a sixteenth) pass since the last onset; several add up
    d12         notes last 12 grid points (an eighth) from here on; several in a row add up
    n60         a note of this MIDI pitch begins; 60 is middle C

Before the first "d", notes last a quarter. At each onset the lowest note comes first. "d" comes
only where the duration changes. Notes and gaps longer than 16 quarters are shortened to that.

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
| events | 135 | 125 | 3,399 | 4,380 | 1.89 |
| lesson | 486 | 311 | 1,373 | 1,821 | |

The vocabulary of "events" has at most 184 elements, 144 of them for a piano. The grid holds
thirty-seconds, and triplets of eighths and sixteenths. In that music 95.4 % of the onsets and
97.4 % of the durations lie on it. The mean error of an onset is 0.0006 quarters, the greatest error
of anything 1/48. Grace notes and sixty-fourths are what is rounded. With 12 points to a quarter,
91.4 % of the onsets lie on the grid. With one element for a note and its duration there would be
1.56 elements a note, but 2,070 different ones, and 948 of these would come fewer than five times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lstmgen.escaping import brief
from lstmgen.music.notes import GRID, MIDDLE_C, PIANO, GridNote, Note, check_notes, grid_points, tidy
from lstmgen.options import Integer, choice, texts

NOTATIONS = ("events", "lesson")  # of files that are read
DECODED = (*NOTATIONS, "melody")
STEPS = (96, 72, 48, 36, *range(24, 0, -1))  # the numbers after "t" and "d", in grid points
LONGEST = 16 * GRID  # points: of a note, and from one onset to the next, in "events"
KEYS = range(-5, 7)  # semitones up that give all twelve keys, each once

_EVENT = re.compile(r"([td])([1-9]\d{0,3})|n(\d{1,3})", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}", re.ASCII)
_NAME = re.compile(r"([A-G])([#\-~`]*)(\d{0,2})(\([+-]\d+c\))?", re.ASCII)
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LESSON_STEP = grid_points(0.5)  # the offset that the lesson adds for each element
_LESSON_DURATION = grid_points(1.0)  # of a note that music21 makes
_HOLD, _REST, _END = "_", "r", "/"
_MELODY_STEP = grid_points(0.25)  # the default `step_duration` of melodygenerator.py
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


def encode(notes: Iterable[Note]) -> list[str]:
    """Return the elements of the notation "events" for these notes.

    notes: in any order. Silence before the first one is left out.

    >>> encode([Note(0, 0.5, 60), Note(0.5, 0.5, 64), Note(2, 1, 67)])
    ['d12', 'n60', 't12', 'n64', 't36', 'd24', 'n67']
    """
    elements: list[str] = []
    notes = check_notes(notes)
    now: int | None = None
    lasting = 0
    grid = [GridNote.of(note) for note in notes]
    for start, duration, pitch in tidy(n._replace(duration=min(n.duration, LONGEST)) for n in grid):
        elements += _steps("t", min(start - now, LONGEST)) if now is not None else []
        if duration != lasting:
            elements += _steps("d", duration)
        elements.append(f"n{pitch}")
        now, lasting = start, duration
    return elements


def decode_notes(elements: Sequence[str], notation: str) -> list[Note]:
    """Return the notes of elements in whatever order a network has drawn them.

    elements: names of one notation.
    notation: "events", "lesson" or "melody".

    Raises `ValueError` for another notation, and for an element that is not of the notation.

    >>> decode_notes(["60", "_", "r", "_", "62", "_", "_", "_"], "melody")
    [Note(start=0.0, duration=0.5, pitch=60), Note(start=1.0, duration=1.0, pitch=62)]
    """
    return [note.note for note in decode_grid(elements, notation)]


def decode_grid(elements: Sequence[str], notation: str) -> list[GridNote]:
    """Return what `decode_notes` does, with times in points of the grid.

    >>> decode_grid(["C4", "0.7"], "lesson")[0]
    GridNote(start=0, duration=12, pitch=60)
    """
    check_notation(notation, DECODED)
    readers = {"events": _event_notes, "lesson": _lesson_notes, "melody": _melody_notes}
    return tidy(readers[notation](elements))


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
    found = _EVENT.fullmatch(element)
    return found is not None and int(found[3] or 0) <= 127


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


def _event_notes(elements: Sequence[str]) -> Iterator[GridNote]:
    now, gap, lasting = 0, 0, GRID
    started, last = False, ""
    for position, element in enumerate(elements):
        found = _EVENT.fullmatch(element)
        if not found or not is_event(element):
            raise _unexpected(element, position, "one such as 't6', 'd12' or 'n60' (n0 to n127)")
        kind = element[0]
        if kind == "t":
            gap = min(gap + int(found[2]), LONGEST)
        elif kind == "d":
            lasting = min(int(found[2]) + (lasting if last == "d" else 0), LONGEST)
        else:
            now, gap, started = now + (gap if started else 0), 0, True
            yield GridNote(now, lasting, int(found[3]))
        last = kind


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


def _steps(kind: str, points: int) -> list[str]:
    """Return the fewest elements that add up to a number of points, the largest first."""
    elements = []
    for step in STEPS:
        while points >= step:
            elements.append(f"{kind}{step}")
            points -= step
    return elements
