"""Scores out: streams of music21, and MusicXML. With `parsing`, the only place for music21."""

from __future__ import annotations

import importlib
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from lstmgen.music.notes import GRID, MIDDLE_C, Meter, Note, Tempo, grid_points


def music21(module: str = "music21") -> Any:
    """Import a module of music21 when it is needed.

    module: its full name, such as "music21.stream".

    Raises `ImportError` that says what to install.

    >>> music21("music21.pitch").Pitch("C4").midi
    60
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"music needs music21: pip install 'lstmgen[music]' ({error})") from None


def to_stream(
    notes: Sequence[Note], tempos: Sequence[Tempo] = (), meters: Sequence[Meter] = (), *, staves: int = 1
) -> Any:
    """Return a `music21.stream.Score` for a piano. Notes that start and end together are a chord.

    tempos, meters: in order.
    staves: 1, or 2 that part at the tracks where there are two, and else at middle C.

    Raises `ImportError` without music21.

    >>> len(to_stream([Note(0, 1, 60), Note(0, 1, 48)], staves=2).parts)
    2
    """
    stream, instrument = music21("music21.stream"), music21("music21.instrument")
    score = stream.Score()
    parts = [notes]
    tracks = sorted({n.track for n in notes})
    if staves == 2 and len(tracks) == 2:
        parts = [[n for n in notes if n.track == track] for track in tracks]
    elif staves == 2:
        parts = [[n for n in notes if n.pitch >= MIDDLE_C], [n for n in notes if n.pitch < MIDDLE_C]]
    for part_notes in filter(None, parts):
        part = stream.Part()
        part.insert(0, instrument.Piano())
        for at, beats, unit in meters:
            part.insert(at, music21("music21.meter").TimeSignature(f"{beats}/{unit}"))
        for at, bpm in [] if score.parts else tempos:
            part.insert(at, music21("music21.tempo").MetronomeMark(number=bpm))
        for start, sound in _sounds(part_notes):
            part.insert(start, sound)
        score.insert(0, part)
    return score


def musicxml_file(notes: Sequence[Note], tempos: Sequence[Tempo] = (), meters: Sequence[Meter] = ()) -> bytes:
    """Return a MusicXML file on two staves, rounded to what can be notated.

    notes: starts and ends are rounded to sixteenths, triplets of eighths, or halves of these,
        whichever fits best in each quarter.
    tempos, meters: in order.

    Raises `ImportError` without music21.

    >>> b"<score-partwise" in musicxml_file([Note(0, 1, 60)])
    True
    """
    exporter = music21("music21.musicxml.m21ToXml").GeneralObjectExporter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for divisors, signs in (((4, 6, 8), meters), ((4,), meters), ((4,), ())):
            try:
                stream = to_stream(_notated(notes, divisors), tempos, signs, staves=2)
                data: bytes = exporter(stream).parse()
                break
            except Exception:  # a duration, or a bar, that music21 has no notation for
                if not signs and divisors == (4,):
                    raise
    return data


def _sounds(notes: Iterable[Note]) -> Iterator[tuple[Fraction, Any]]:
    """Yield the start and the music21 note or chord of each group that starts and ends together."""
    note, chord = music21("music21.note"), music21("music21.chord")
    for (start, duration), together in itertools.groupby(sorted(notes), lambda n: (n.start, n.duration)):
        group = list(together)
        pitches = [n.pitch for n in group]
        sound = note.Note(pitches[0]) if len(pitches) == 1 else chord.Chord(pitches)
        sound.volume.velocity = max(n.velocity for n in group)
        sound.quarterLength = Fraction(grid_points(duration), GRID)
        yield Fraction(grid_points(start), GRID), sound


def _notated(notes: Sequence[Note], divisors: Sequence[int]) -> list[Note]:
    """Return the notes in order, with the starts and ends in each quarter rounded to a fraction of
    it.

    Each quarter has the divisor with the smallest error; of equals, the first.
    """
    times = {time for n in notes for time in (n.start, n.start + n.duration)}
    beats: dict[int, list[float]] = {}
    for time in times:
        beats.setdefault(math.floor(time), []).append(time)
    rounded: dict[float, Fraction] = {}
    for inside in beats.values():
        best = min(divisors, key=lambda d: sum(abs(time * d - round(time * d)) / d for time in inside))
        rounded |= {time: Fraction(round(time * best), best) for time in inside}
    notated = []
    for n in notes:
        start, end = rounded[n.start], rounded[n.start + n.duration]
        notated.append(n._replace(start=float(start), duration=float(end - start or Fraction(1, divisors[-1]))))
    return sorted(notated, key=lambda n: (n.start, n.pitch))
