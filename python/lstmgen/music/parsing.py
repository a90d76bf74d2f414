"""One music file in, its elements out. With `scores`, the only place for music21."""

from __future__ import annotations

import importlib.metadata
import re
import warnings
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from lstmgen import inputs
from lstmgen.escaping import printable
from lstmgen.music import abc_notation, abc_reading, midi
from lstmgen.music.elements import check_keep, encode, encode_rows
from lstmgen.music.formats import MAX_FILE, READABLE, suffix_of
from lstmgen.music.notes import BEATS, TRACKS, UNITS, Meter, Note, Tempo
from lstmgen.music.scores import music21

Result = list[list[str]] | str  # the elements of each piece of a file, or the reason why there are none

_KEY = re.compile(rb"^K:", re.MULTILINE)
_KEYLESS = "there are no notes after a key, K:, with which the notes of a tune in ABC notation begin"
_DRUMS = 10  # MIDI channel, counted from 1
_DRUMS_ONLY = "there are only drums in it (percussion, in MIDI channel 10), which have no pitch"


def parse(path: Path, notation: str, keep: str = "") -> Result:
    """Return the elements of each piece of a file, or a sentence why there are none.

    path: a file with a suffix of `formats.READABLE`.
    notation: "events" or "lesson".
    keep: what "events" keeps, as in `elements.check_keep`.

    Raises `MemoryError` where there is not enough.

    >>> parse(Path("missing.mid"), "events")
    'music21 cannot read it: No such file or directory'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if READABLE[suffix_of(path)] == "abc":
                if notation != "events":
                    raise abc_reading.AbcError(f"ABC notation is read as events, not as {notation!r}")
                data = path.read_bytes()
                return tune_elements(data, keep) or (without_notes(False) if _KEY.search(data) else _KEYLESS)
            elements, has_drums = _lesson(path) if notation == "lesson" else _events(path, keep)
    except MemoryError:
        raise
    except SystemError as error:  # what Python makes of a failed allocation that was not told
        raise MemoryError from error
    except Exception as error:  # music21 raises errors of any kind
        ours = isinstance(error, midi.MidiError | abc_reading.AbcError)
        return f"{'' if ours else 'music21 cannot read it: '}{reason(error)}"
    return [elements] if elements else without_notes(has_drums)


def tune_elements(data: bytes | str, keep: str = "") -> list[list[str]]:
    """Return the elements, as events, of each tune of a file in ABC notation that has notes.

    keep: what is kept beside pitches and times, as in `elements.check_keep`.

    Raises `AbcError`, as `abc_notation.read_abc` does.

    >>> tune_elements("X:1\\nL:1/4\\nK:C\\nCD")
    [['d24', 'n60', 't24', 'n62']]
    """
    asked = check_keep(keep)
    tunes = (
        encode_rows(tune.rows(), asked, tempos=tune.tempos, meters=tune.meters)
        for tune in abc_notation.readers_of(data)
    )
    return [elements for elements in tunes if elements]


class Bound(NamedTuple):
    """What reading a file may take, beside 16 MiB and 2 s of the processor.

    memory: bytes for each byte of the file.
    seconds: for each MiB of the file.
    size: the highest number of its bytes.

    >>> Bound(64, 4.0, MAX_FILE).memory
    64
    """

    memory: int
    seconds: float
    size: int


# music21 makes a dozen objects of a note, which has 4 bytes in Humdrum and MIDI, 100 in MusicXML.
_BOUNDS = {
    "musicxml": Bound(64, 4.0, MAX_FILE),
    "humdrum": Bound(1_200, 200.0, 2**18),
    "midi": Bound(1_200, 200.0, 2**18),
}
_IN_ZIPS = tuple(suffix for suffix, kind in READABLE.items() if kind == "musicxml")  # of a score in a zip
_PACKED = 64  # the highest ratio of a `.mxl`. Scores have up to 30


def bound(path: Path, notation: str) -> tuple[float, int] | None:
    """Return the seconds and the bytes that reading a file may take.

    None is returned for a file that needs neither music21 nor a bound: time and memory for it grow
    with its size alone. A `.mxl` counts as unpacked. Raises `ValueError` for a file that is too
    large, and `OSError`.

    >>> bound(Path("a.mid"), "events") is None
    True
    """
    kind = READABLE[suffix_of(path)]
    if kind == "abc" and (size := path.stat().st_size) > abc_notation.MAX_ABC:
        raise ValueError(f"expected at most {abc_notation.MAX_ABC:,} bytes of ABC notation, found {size:,}")
    if not needs_music21(path, notation):
        return None
    allowed, size = _BOUNDS[kind], path.stat().st_size
    if kind == "musicxml":
        size = _unpacked(path, size)
    if size > allowed.size:
        raise ValueError(f"expected at most {allowed.size:,} bytes for music21, found {size:,}")
    return 2 + allowed.seconds * size / 2**20, 2**24 + allowed.memory * size


def _unpacked(path: Path, size: int) -> int:
    """Return the bytes of the files in a `.mxl`, or those of the file if it is none."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return size
    try:
        with zipfile.ZipFile(path) as archive:
            names, found = archive.namelist(), sum(info.file_size for info in archive.infolist())
    except inputs.zip_errors() as error:
        raise ValueError(f"a damaged zip: {error}") from None
    if not any(name.endswith(_IN_ZIPS) and "META-INF" not in name for name in names):
        raise ValueError(f"expected a zip with a score in it, {' or '.join(_IN_ZIPS)}, found {len(names)} other files")
    if found > _PACKED * size:
        raise ValueError(f"expected a zip of at most {_PACKED} times its {size:,} bytes, found {found:,} unpacked")
    return found


def prepare(path: Path, notation: str) -> None:
    """Import what `parse` needs, which takes more memory and time than most files.

    Raises `ImportError` without music21.

    >>> prepare(Path("a.mid"), "events")
    """
    kind = READABLE[suffix_of(path)]
    if kind in ("midi", "abc"):
        modules = ["midi.translate", "instrument"] if needs_music21(path, notation) else []
    else:
        modules = ["converter", "instrument", "musicxml.xmlToM21" if kind == "musicxml" else "humdrum.spineParser"]
    for name in modules:
        music21(f"music21.{name}")


def without_notes(has_drums: bool) -> str:
    """Return why a file has no elements.

    >>> without_notes(False)
    'there are no notes in it'
    """
    return _DRUMS_ONLY if has_drums else "there are no notes in it"


def reason(error: BaseException) -> str:
    """Return an error as one line of at most 300 characters, which a terminal may show.

    >>> reason(ValueError("two\\nlines")), reason(KeyError("C4"))
    ('two lines', "KeyError: 'C4'")
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split())
    kind = "" if isinstance(error, OSError | ValueError) and text else f"{type(error).__name__}: "
    return printable(f"{kind}{text}"[:300])[:300]


def needs_music21(path: Path, notation: str) -> bool:
    """Return whether a file, of whatever suffix, is read by music21.

    >>> needs_music21(Path("a.mid"), "events"), needs_music21(Path("a.krn"), "events")
    (False, True)
    """
    kind = READABLE.get(suffix_of(path), "abc")
    return kind != "abc" and (kind != "midi" or notation != "events")


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


def _events(path: Path, keep: str) -> tuple[list[str], bool]:
    """Return the elements, and whether the file has drums."""
    if READABLE[suffix_of(path)] == "midi":
        found = midi.read_midi(path.read_bytes())
        piece, has_drums = midi.piece_of(found), found.has_drums
    else:
        stream = _stream(path)
        has_drums = _remove_drums(stream)
        piece = _score_piece(stream)
    return encode(keep=keep, **piece._asdict()), has_drums


def _midi(data: bytes) -> Any:
    """Return a `music21.midi.MidiFile`."""
    file = music21("music21.midi").MidiFile()
    file.readstr(data)
    return file


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

    Raises what `midi.read_midi` raises.

    >>> from lstmgen.music.midi import midi_file
    >>> midi_seconds(midi_file([Note(1, 2, 60)], 120))
    ([Sound(start=0.5, duration=1.0, pitch=60, velocity=80)], False)
    """
    file = midi.read_midi(data)
    seconds = midi.clock(file)
    strokes = sorted((stroke for track in file.strokes for stroke in track), key=lambda stroke: stroke.end)
    found = [Sound(seconds(one.start), seconds(one.end) - seconds(one.start), *one[2:4]) for one in strokes]
    return found, file.has_drums


def _drum_strokes(file: Any) -> Iterator[Any]:
    for track in file.tracks:
        for event in track.events:
            if not event.isDeltaTime() and event.channel == _DRUMS and event.isNoteOn():
                yield event


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


def _score_piece(stream: Any) -> midi.Piece:
    """Return a score: its parts are the tracks. It says neither velocities nor pedal."""
    stream.toSoundingPitch(inPlace=True)
    flat = stream.flatten()
    tempos, meters = [], []
    for mark in flat.getElementsByClass("MetronomeMark"):
        pace = mark.getQuarterBPM() if mark.number else None
        if pace and 4 <= pace <= 1000:
            tempos.append(Tempo(float(mark.offset), float(pace)))
    for sign in flat.getElementsByClass("TimeSignature"):
        if 1 <= sign.numerator <= BEATS and sign.denominator in UNITS:
            meters.append(Meter(float(sign.offset), sign.numerator, sign.denominator))
    return midi.Piece(_score_notes(stream, flat), [], tempos, meters)


def _score_notes(stream: Any, flat: Any) -> list[Note]:
    """Return the notes of all parts as they sound. Notes that are tied are one."""
    parts = [part for part in stream.recurse().getElementsByClass("Part") if part.recurse().notes]
    tracks = {
        id(element): min(number, TRACKS) for number, part in enumerate(parts, 1) for element in part.recurse().notes
    }
    notes: list[Note] = []
    ends: dict[tuple[int, int, Fraction], int] = {}  # track, pitch and end of a note: its place in `notes`
    for element in flat.notes:
        if "Harmony" in element.classes:  # the name of a chord, not its sound
            continue
        start, duration = Fraction(element.offset), Fraction(element.quarterLength)
        track = tracks.get(id(element), 1)
        for single in element.notes if element.isChord else [element]:
            if not duration or not hasattr(single, "pitch"):
                continue
            pitch = int(single.pitch.midi)
            at = (
                ends.pop((track, pitch, start), None)
                if single.tie and single.tie.type in ("stop", "continue")
                else None
            )
            if at is None:
                at = len(notes)
                notes.append(Note(float(start), float(duration), pitch, track=track))
            else:
                notes[at] = notes[at]._replace(duration=float(start + duration) - notes[at].start)
            ends[track, pitch, start + duration] = at
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
        data = path.read_bytes()
        has_drums = midi.read_midi(data).has_drums  # a broken or endless file is an error here, and soon
        file = _midi(data)
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
