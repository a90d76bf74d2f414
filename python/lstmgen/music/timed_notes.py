"""Notes in seconds, as networks with an output for each part of a note read and draw them.

In TensorFlow's tutorial "Generate music with an RNN" a note is a pitch, a step and a duration. The
step is the time since the note before began.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from lstmgen import arguments, inputs
from lstmgen.errors import OptionTypeError
from lstmgen.music.formats import MAX_FILE, READABLE, suffix_of
from lstmgen.music.notes import VELOCITY, GridNote, Note, Tempo, tidy
from lstmgen.music.parsing import midi_seconds, without_notes
from lstmgen.music.piece import Music, check_bpm

LONGEST = 60.0  # seconds, of a step or a duration that is written


class TimedNote(NamedTuple):
    """A note whose times are seconds.

    pitch: MIDI pitch; above 127 it is silence.
    step: seconds since the note before began, at least 0.
    duration: seconds, at least 0.
    velocity: how hard the key is struck, 0 to 127 in a MIDI file.

    >>> TimedNote(60, 0.5, 0.25)
    TimedNote(pitch=60, step=0.5, duration=0.25, velocity=80.0)
    """

    pitch: int
    step: float
    duration: float
    velocity: float = float(VELOCITY)


def of_timed_notes(notes: Iterable[TimedNote], *, bpm: float = 100) -> Music:
    """Return notes as `Music` whose tempo is `bpm`.

    bpm: quarters a minute. It decides how seconds become quarters, and so how fine times are: they
        are rounded to 1/24 of a quarter, which is 25 ms at 100.

    A step or duration of over a minute is shortened to that. A velocity is rounded, to 1 at least
    and 127 at most. A note ends where its pitch begins again.

    >>> of_timed_notes([TimedNote(60, 0, 0.6), TimedNote(64, 0.6, 0.3)]).notes
    [Note(start=0.0, duration=1.0, pitch=60), Note(start=1.0, duration=0.5, pitch=64)]
    """
    check_bpm(bpm)
    now, found = 0.0, []
    for i, note in enumerate(arguments.items("notes", notes)):
        if not isinstance(note, TimedNote):
            raise OptionTypeError("notes", "a TimedNote", note)
        for part, value in zip(TimedNote._fields[1:], note[1:], strict=True):
            arguments.Number(0).check(f"notes: note {i}: {part}", value)
        arguments.Integer(0).check(f"notes: note {i}: pitch", note.pitch)
        now += min(note.step, LONGEST)
        if 0 <= note.pitch <= 127:
            quarters = bpm / 60
            loud = round(min(max(note.velocity, 1), 127))
            found.append(GridNote.of(Note(now * quarters, min(note.duration, LONGEST) * quarters, note.pitch, loud)))
    return Music((note.note for note in tidy(found)), tempos=[Tempo(0, bpm)])


def read_timed_notes(path: str | os.PathLike[str]) -> list[TimedNote]:
    """Read the notes of a MIDI file as the tutorial does, in order of time.

    path: a name with `.mid` or `.midi`. All tracks count; drums, which have no pitch, are left out.

    The first step is 0. Of notes that begin together, the one that ends first comes first. Raises
    `OSError` for a file that cannot be read, and `ValueError` for one that is no MIDI file or has
    no notes.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Music([Note(0, 1, 60), Note(1, 0.5, 64)]).write(f"{folder}/a.mid", bpm=120)
    ...     [tuple(note) for note in read_timed_notes(f"{folder}/a.mid")]
    [(60, 0.0, 0.5, 80.0), (64, 0.5, 0.25, 80.0)]
    """
    arguments.path("path", path)
    name = os.fspath(path)
    suffixes = [suffix for suffix, kind in READABLE.items() if kind == "midi"]
    if suffix_of(path) not in suffixes:
        raise ValueError(f"{name}: expected a MIDI file ({', '.join(suffixes)}), which has its notes in seconds")
    data = inputs.read(path, MAX_FILE)
    try:
        sounds, has_drums = midi_seconds(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not sounds:
        raise ValueError(f"{name}: {without_notes(has_drums)}")
    sounds.sort(key=lambda sound: sound.start)  # stable: of those that begin together the first to end stays first
    starts = [sounds[0].start, *(sound.start for sound in sounds)]
    return [
        TimedNote(sound.pitch, sound.start - before, sound.duration, float(sound.velocity))
        for sound, before in zip(sounds, starts, strict=False)
    ]
