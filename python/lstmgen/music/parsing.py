"""One music file in, its elements out. With `scores`, the only place for music21."""

from __future__ import annotations

import bisect
import importlib.metadata
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from lstmgen.music.elements import encode
from lstmgen.music.formats import READABLE, suffix_of
from lstmgen.music.notes import Note
from lstmgen.music.scores import music21

Result = list[str] | str  # the elements of a file, or the reason why there are none

_MAX_QUARTERS = 100_000  # of a MIDI file: a day of music
_MICROSECONDS = 500_000  # a quarter, in a file that does not say
_DRUMS = 10  # MIDI channel, counted from 1
_DRUMS_ONLY = "there are only drums in it (percussion, in MIDI channel 10), which have no pitch"


def parse(path: Path, notation: str) -> Result:
    """Return the elements of a file, or a sentence why there are none.

    path: a file with a suffix of `formats.READABLE`.
    notation: "events" or "lesson".

    >>> parse(Path("missing.mid"), "events")
    'music21 cannot read it: No such file or directory'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            elements, has_drums = _lesson(path) if notation == "lesson" else _events(path)
    except Exception as error:  # music21 raises errors of any kind
        return f"music21 cannot read it: {reason(error)}"
    return elements or without_notes(has_drums)


def without_notes(has_drums: bool) -> str:
    """Return why a file has no elements.

    >>> without_notes(False)
    'there are no notes in it'
    """
    return _DRUMS_ONLY if has_drums else "there are no notes in it"


def reason(error: BaseException) -> str:
    """Return an error as one line of at most 300 characters.

    >>> reason(ValueError("two\\nlines")), reason(KeyError("C4"))
    ('two lines', "KeyError: 'C4'")
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split())
    kind = "" if isinstance(error, OSError | ValueError) and text else f"{type(error).__name__}: "
    return f"{kind}{text}"[:300]


def music21_version() -> str:
    """Return the version of music21, without importing it.

    Raises `ImportError` if it is not installed.

    >>> music21_version().count(".")
    2
    """
    try:
        return importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError("music needs music21: pip install 'lstmgen[music]'") from None


# -- the notation "events" -------------------------------------------------------------------------


def _events(path: Path) -> tuple[list[str], bool]:
    """Return the elements, and whether the file has drums."""
    if READABLE[suffix_of(path)] == "midi":
        file = _midi(path.read_bytes())
        return encode(_midi_notes(file)), _has_drums(file)
    stream = _stream(path)
    has_drums = _remove_drums(stream)
    return encode(_score_notes(stream)), has_drums


def _midi(data: bytes) -> Any:
    """Return a `music21.midi.MidiFile`."""
    file = music21("music21.midi").MidiFile()
    file.readstr(data)
    if file.ticksPerQuarterNote <= 0:
        raise ValueError(f"expected at least one tick to a quarter, found {file.ticksPerQuarterNote}")
    return file


def _midi_notes(file: Any) -> list[Note]:
    """Return the notes of all tracks, exactly as they are in the file, without drums."""
    ticks = file.ticksPerQuarterNote
    return [
        Note(start / ticks, (end - start) / ticks, pitch)
        for track in file.tracks
        for start, end, pitch, _ in _sounds(track.events, ticks)
    ]


def _sounds(events: Sequence[Any], ticks: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield start and end in ticks, pitch and velocity of each note of a track, by their ends."""
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}  # channel and pitch: starts and velocities
    now = 0
    for event in events:
        if event.isDeltaTime():
            now += event.time
            if now > _MAX_QUARTERS * ticks:
                raise ValueError(f"expected at most {_MAX_QUARTERS} quarters, found {now / ticks:.0f}")
        elif event.channel != _DRUMS and event.isNoteOn():
            sounding.setdefault((event.channel, event.pitch), []).append((now, event.velocity))
        elif event.isNoteOff() and sounding.get((event.channel, event.pitch)):
            start, velocity = sounding[event.channel, event.pitch].pop(0)
            if now > start:
                yield start, now, event.pitch, velocity


class Sound(NamedTuple):
    """A note of a MIDI file whose times are seconds from the beginning.

    >>> Sound(start=0.5, duration=0.25, pitch=60, velocity=80).pitch
    60
    """

    start: float
    duration: float
    pitch: int
    velocity: int


def midi_seconds(data: bytes) -> tuple[list[Sound], bool]:
    """Return the notes of all tracks of a MIDI file by their ends, and whether it has drums.

    data: the bytes of the file. Changes of tempo count, wherever they are.

    Raises what music21 raises for a file that it cannot read, and `ImportError` without music21.

    >>> from lstmgen.music.midi import midi_file
    >>> midi_seconds(midi_file([Note(1, 2, 60)], 120))
    ([Sound(start=0.5, duration=1.0, pitch=60, velocity=80)], False)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = _midi(data)
    ticks = file.ticksPerQuarterNote
    seconds = _clock(file)
    found = [
        (end, Sound(seconds(start), seconds(end) - seconds(start), pitch, velocity))
        for track in file.tracks
        for start, end, pitch, velocity in _sounds(track.events, ticks)
    ]
    found.sort(key=lambda ended: ended[0])
    return [sound for _, sound in found], _has_drums(file)


def _clock(file: Any) -> Callable[[int], float]:
    """Return what gives the seconds at a tick."""
    changes = {0: _MICROSECONDS}  # of a quarter
    for track in file.tracks:
        now = 0
        for event in track.events:
            if event.isDeltaTime():
                now += event.time
            elif event.type is not None and event.type.name == "SET_TEMPO" and len(event.data) == 3:
                changes[now] = int.from_bytes(event.data, "big")
    at = sorted(changes)
    times = [0.0]
    for before, after in itertools.pairwise(at):
        times.append(times[-1] + (after - before) * changes[before] / 1e6 / file.ticksPerQuarterNote)

    def seconds(tick: int) -> float:
        i = bisect.bisect_right(at, tick) - 1
        return times[i] + (tick - at[i]) * changes[at[i]] / 1e6 / float(file.ticksPerQuarterNote)

    return seconds


def _drum_strokes(file: Any) -> Iterator[Any]:
    for track in file.tracks:
        for event in track.events:
            if not event.isDeltaTime() and event.channel == _DRUMS and event.isNoteOn():
                yield event


def _has_drums(file: Any) -> bool:
    return any(True for _ in _drum_strokes(file))


def _remove_drums(stream: Any) -> bool:
    """Take the parts for drums out of a score, and say whether it had any.

    A drum that is notated as a pitch must not be read as one. Notes without a pitch may stay.
    """
    unpitched = any({"Unpitched", "PercussionChord"}.intersection(note.classes) for note in stream.recurse().notes)
    drums = [part for part in stream.getElementsByClass("Part") if _is_for_drums(part)]
    for part in drums:
        stream.remove(part)
    return unpitched or bool(drums)


def _is_for_drums(part: Any) -> bool:
    """Return whether all instruments of a part are drums, or all its clefs those of drums."""
    instruments = [set(found.classes) for found in part.recurse().getElementsByClass("Instrument")]
    if instruments and all("UnpitchedPercussion" in classes for classes in instruments):
        return True
    clefs = list(part.recurse().getElementsByClass("PercussionClef"))
    other_clefs = len(part.recurse().getElementsByClass("Clef")) - len(clefs)
    return bool(clefs) and not other_clefs and not any("PitchedPercussion" in classes for classes in instruments)


def _stream(path: Path) -> Any:
    """Return what music21 makes of a file, without the pickles that it keeps otherwise."""
    reader = music21("music21.converter").Converter()
    reader.parseFileNoPickle(path, format=READABLE[suffix_of(path)])
    return reader.stream


def _score_notes(stream: Any) -> list[Note]:
    """Return the notes of all parts as they sound. Notes that are tied are one."""
    stream.toSoundingPitch(inPlace=True)
    notes: list[Note] = []
    ends: dict[tuple[int, Fraction], int] = {}  # pitch and end of a note: its place in `notes`
    for element in stream.flatten().notes:
        if "Harmony" in element.classes:  # the name of a chord, not its sound
            continue
        start, duration = Fraction(element.offset), Fraction(element.quarterLength)
        for single in element.notes if element.isChord else [element]:
            if not duration or not hasattr(single, "pitch"):
                continue
            pitch = int(single.pitch.midi)
            at = ends.pop((pitch, start), None) if single.tie and single.tie.type in ("stop", "continue") else None
            if at is None:
                at = len(notes)
                notes.append(Note(float(start), float(duration), pitch))
            else:
                notes[at] = notes[at]._replace(duration=float(start + duration) - notes[at].start)
            ends[pitch, start + duration] = at
    return notes


# -- the notation "lesson" -------------------------------------------------------------------------


def _lesson(path: Path) -> tuple[list[str], bool]:
    """Return the elements that the lesson's code finds, and whether the file has drums.

    The lesson takes `partitionByInstrument(midi).parts[0]`, or all notes of the file where that
    fails. Two things differ here. The first part may be empty: music21 makes one for each name of
    a track and one for the instrument that then plays. So the first part with pitches counts. And
    `partitionByInstrument` fails for a file that names no instrument only before music21 8. The
    lesson, which is older, merges all parts of such a file, so this does too.
    """
    if READABLE[suffix_of(path)] == "midi":
        file = _midi(path.read_bytes())
        _midi_notes(file)  # a broken or endless file is an error here, and soon
        has_drums = _has_drums(file)
        for stroke in _drum_strokes(file):  # one that sounds with a note would make both a chord of drums
            stroke.velocity = 0  # ends a note that has not begun
        stream = music21("music21.midi.translate").midiFileToStream(file)
    else:
        stream = _stream(path)
        has_drums = _remove_drums(stream)
    for notes in _lesson_parts(stream):
        if elements := _names(notes):
            return elements, has_drums
    return [], has_drums


def _lesson_parts(stream: Any) -> Iterator[Any]:
    """Yield the notes of each part, in the order of music21's partition by instruments."""
    instrument = music21("music21.instrument")
    if not list(stream.recurse().getElementsByClass(instrument.Instrument)):
        yield stream.flatten().notes
        return
    try:
        parts = [part.recurse() for part in instrument.partitionByInstrument(stream).parts]
    except Exception:  # as in the lesson, whatever it is
        parts = [stream.flatten().notes]
    yield from parts


def _names(found: Any) -> list[str]:
    note, chord = music21("music21.note"), music21("music21.chord")
    names = []
    for element in found:
        if isinstance(element, note.Note):
            names.append(str(element.pitch))
        elif isinstance(element, chord.Chord):
            names.append(".".join(str(n) for n in element.normalOrder))
    return [name for name in names if name]
