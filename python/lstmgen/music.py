"""Music as elements that a network reads and draws: files in, files out.

Two encodings turn a piece into a list of element names. "lesson" is that of the lesson and of the article behind it: a
name such as "C4" or "B-3" for a note, pitch classes such as "4.7.11" for a chord, in the order of their onsets; octaves
of chords, durations and rests are lost. "events", the default, loses nothing but what lies between the points of a grid
of `GRID` to a quarter:

    t6          6 grid points pass since the last onset (a sixteenth); several add up
    d12         notes last 12 grid points from here on (an eighth); several in a row add up
    n60         a note of this MIDI pitch begins, middle C

Before the first "d", notes last a quarter. At each onset the lowest note comes first, and "d" comes only where the
duration changes. Longer notes and longer gaps than 16 quarters are shortened to that. The tempo is not kept: all time
is in quarters.

Measured on 122 movements of solo piano music, and on the 36 of them by Beethoven:

| encoding | vocabulary, all | Beethoven | elements a piece, all | Beethoven | elements a note |
|---|---|---|---|---|---|
| events | 135 | 125 | 3,399 | 4,380 | 1.89 |
| lesson | 486 | 311 | 1,373 | 1,821 | |

The vocabulary of "events" cannot exceed 184 elements, 144 of them of a piano. The grid holds thirty-seconds, and
triplets of eighths and sixteenths: there, 95.4 % of the onsets and 97.4 % of the durations lie on it, the mean error of
an onset is 0.0006 quarters, and the greatest error of anything 1/48. The rest are grace notes and sixty-fourths. (With
12 points to a quarter, 91.4 % of the onsets do.) A note and its duration as one element would give 1.56 elements a
note, but 2,070 different ones, 948 of them rarer than five times.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import itertools
import json
import math
import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

File = str | os.PathLike[str]
Result = list[str] | str  # the elements of a file, or the reason why there are none

ENCODINGS = ("events", "lesson")
GRID = 24  # points to a quarter
STEPS = (96, 72, 48, 36, *range(24, 0, -1))  # the numbers after "t" and "d", in grid points
LONGEST = 16 * GRID  # of a note, and from one onset to the next
KEYS = range(-5, 7)  # semitones up for all twelve keys, each once
PIANO = range(21, 109)  # MIDI pitches of its keys

_VERSION = 1  # of what the cache holds: one more with each change of an encoding or of the reading
_FORMATS = {
    ".mid": "midi",
    ".midi": "midi",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "musicxml",
    ".krn": "humdrum",
}
_MAX_FILE = 2**26  # bytes
_MAX_QUARTERS = 100_000  # of a MIDI file: a day of music
_DRUMS = 10  # MIDI channel, counted from 1
_VELOCITY = 80  # of all notes that are written
_TICKS = 20  # of a MIDI file that is written, to a point of the grid: 480 a quarter
_EVENT = re.compile(r"([td])([1-9]\d{0,3})|n(\d{1,3})")
_CHORD = re.compile(r"\d{1,3}(\.\d{1,3})*")
_NAME = re.compile(r"([A-G])([#\-~`]*)(\d{0,2})(\([+-]\d+c\))?")
_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LESSON_STEP, _LESSON_LENGTH = 0.5, 1.0  # quarters: the lesson's offset, and music21's duration of a new note
_WORKER = "import json,sys; sys.path[:] = json.loads(sys.stdin.readline()); from lstmgen import music; music._serve()"


class Note(NamedTuple):
    """A sound: `start` and `duration` in quarters, `pitch` as in MIDI (60 is middle C)."""

    start: float
    duration: float
    pitch: int


class Pieces(NamedTuple):
    """What `read_pieces` found.

    pieces: the elements of each piece.
    sources: the file of each piece; with `transpose`, twelve pieces in a row are of one file.
    skipped: each file that could not be read, and why.
    """

    pieces: list[list[str]]
    sources: list[Path]
    skipped: list[tuple[Path, str]]


# -- files in --------------------------------------------------------------------------------------


def read_pieces(
    paths: File | Iterable[File],
    *,
    encoding: str = "events",
    transpose: bool = False,
    cache: bool | File = True,
    jobs: int | None = None,
) -> Pieces:
    """Read music files, and those in folders and the folders in these, as pieces of elements.

    paths: MIDI (.mid, .midi), MusicXML (.xml, .musicxml, .mxl) or Humdrum (.krn) files, or folders.
    encoding: "events" or "lesson", see the module. "events" has the notes of all parts in the order of time, without
        percussion; ornaments without a duration of their own are left out, repeats are as written. "lesson" has those
        of the first instrument only, as music21 partitions a file, quantised as music21 does.
    transpose: each piece in all twelve keys, 5 semitones down to 6 up ("events" only).
    cache: what was read is kept in a folder: the user's own, another, or none (False).
    jobs: processes that read; by default one for each processor.

    A file that cannot be read is skipped with a warning that names it. Raises `OSError` for a path that does not exist,
    `ValueError` if nothing is left, and `ImportError` without music21.
    """
    _check_encoding(encoding)
    if transpose and encoding != "events":
        raise ValueError("transpose: only with encoding 'events': the lesson's chords have no pitches")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: expected at least 1, found {jobs}")
    files = _files([paths] if isinstance(paths, str | os.PathLike) else list(paths))
    version = _music21_version()
    found: dict[Path, list[str]] = {}
    skipped: list[tuple[Path, str]] = []
    for path, result in _read_all(files, encoding, _Cache.at(cache, f"{_VERSION} {encoding} {version}"), jobs):
        if isinstance(result, str):
            skipped.append((path, result))
            warnings.warn(f"{path}: skipped: {result}", stacklevel=2)
        else:
            found[path] = result
    if not found:
        raise ValueError(f"no file could be read; the first of {len(skipped)}: {skipped[0][0]}: {skipped[0][1]}")
    keys = KEYS if transpose else range(1)
    pieces = [transposed(elements, key) for elements in found.values() for key in keys]
    return Pieces(pieces, [path for path in found for _ in keys], skipped)


def transposed(elements: Sequence[str], semitones: int) -> list[str]:
    """A piece in the encoding "events", so many semitones up.

    A note that would leave the piano's keys moves by an octave to stay on them.
    """

    def moved(element: str) -> str:
        if not element.startswith("n"):
            return element
        pitch = int(element[1:])
        up = pitch + semitones
        if pitch in PIANO and up not in PIANO:
            up += 12 if up < PIANO.start else -12
        return f"n{min(max(up, 0), 127)}"

    return [moved(element) for element in elements] if semitones else list(elements)


def _check_encoding(encoding: str) -> None:
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding: expected one of {', '.join(ENCODINGS)}, found {encoding!r}")


def _files(paths: Sequence[File]) -> list[Path]:
    """The music files among `paths` and in the folders among them, each once."""
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        inside = sorted(_music_in(path)) if path.is_dir() else [path]
        if path.is_dir() and not inside:
            raise ValueError(f"{path}: no music in this folder: expected files {', '.join(_FORMATS)}")
        for file in inside:
            files.setdefault(file.resolve(strict=True), file)
    if not files:
        raise ValueError("paths: expected at least one file or folder, found none")
    return list(files.values())


def _music_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in _FORMATS and not path.name.startswith(".") and path.is_file():
            yield path


class _Cache(NamedTuple):
    """Elements under the hash of the bytes they were read from; what is damaged or cannot be written does not count."""

    folder: Path | None
    version: str

    @classmethod
    def at(cls, where: bool | File, version: str) -> _Cache:
        if isinstance(where, bool):
            return cls(_cache_folder() if where else None, version)
        return cls(Path(where), version)

    def name(self, path: Path, data: bytes) -> Path | None:
        key = hashlib.sha256(f"{self.version} {_FORMATS[path.suffix.lower()]}\n".encode() + data)
        return self.folder / f"{key.hexdigest()}.json" if self.folder else None

    @staticmethod
    def read(name: Path | None) -> list[str] | None:
        if name is None:
            return None
        try:
            stored = json.loads(name.read_bytes())
            elements = stored["elements"]
            if stored["crc32"] == zlib.crc32(" ".join(elements).encode()):
                return list(elements)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
        return None

    @staticmethod
    def write(name: Path | None, elements: list[str]) -> None:
        if name is None:
            return
        stored = {"crc32": zlib.crc32(" ".join(elements).encode()), "elements": elements}
        with suppress(OSError):
            name.parent.mkdir(parents=True, exist_ok=True)
            _write(name, json.dumps(stored).encode())


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(root) / "lstmgen" / "music"


def _write(path: File, data: bytes) -> None:
    from lstmgen.files import write

    write(path, data)


def _read_all(files: Sequence[Path], encoding: str, cache: _Cache, jobs: int | None) -> list[tuple[Path, Result]]:
    """For each file its elements, or the reason why there are none."""
    results: dict[Path, Result] = {}
    names: dict[Path, Path | None] = {}
    for path in files:
        try:
            data = _bytes(path)
        except (OSError, ValueError) as error:
            results[path] = _reason(error)
            continue
        names[path] = cache.name(path, data)
        stored = cache.read(names[path])
        if stored is not None:
            results[path] = stored
    new = [path for path in files if path not in results]
    for path, result in _parse_all(new, encoding, min(jobs or os.cpu_count() or 1, len(new))):
        results[path] = result
        if not isinstance(result, str):
            cache.write(names[path], result)
    return [(path, results[path]) for path in files]


def _bytes(path: Path) -> bytes:
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"not a kind of music file: expected {', '.join(_FORMATS)}")
    size = path.stat().st_size
    if not 0 < size <= _MAX_FILE:
        raise ValueError(f"expected 1 to {_MAX_FILE} bytes, found {size}" if size else "the file is empty")
    return path.read_bytes()


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split())
    kind = "" if isinstance(error, OSError | ValueError) and text else f"{type(error).__name__}: "
    return f"{kind}{text}"[:300]


# -- processes that read ---------------------------------------------------------------------------
# Not a pool of `multiprocessing`: its processes run the caller's script again, or inherit TensorFlow's threads.


def _parse_all(files: Sequence[Path], encoding: str, jobs: int) -> Iterator[tuple[Path, Result]]:
    if jobs <= 1 or not sys.executable:
        yield from ((path, _parsed(path, encoding)) for path in files)
        return
    with _Workers(jobs, encoding) as workers, ThreadPoolExecutor(jobs) as threads:
        try:
            yield from zip(files, threads.map(workers.parse, files), strict=True)
        finally:  # if interrupted, do not wait for the files that are left
            threads.shutdown(wait=False, cancel_futures=True)


class _Workers:
    """Processes that read one file after the other; one that dies costs the file it was at."""

    def __init__(self, count: int, encoding: str) -> None:
        self._encoding = encoding
        self._free: SimpleQueue[subprocess.Popen[str] | None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def parse(self, path: Path) -> Result:
        process = self._free.get() or self._started()
        try:
            answer = self._ask(process, [str(path), self._encoding])
            if answer:
                result: Result = json.loads(answer)
                self._free.put(process)
                return result
            self._end(process)
            self._free.put(None)
            return f"the process that read it ended with status {process.returncode}"
        except BaseException:
            process.kill()
            self._end(process)
            self._free.put(None)
            raise

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Empty):
            while True:
                process = self._free.get_nowait()
                if process:
                    self._end(process)

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self._ask(process, [str(folder) for folder in sys.path])
        return process

    @staticmethod
    def _ask(process: subprocess.Popen[str], question: list[str]) -> str:
        """The answer, a line; empty if the process has ended."""
        assert process.stdin and process.stdout
        with suppress(OSError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        return process.stdout.readline()

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        with suppress(OSError), process:  # closes the pipes, and waits
            pass


def _serve() -> None:
    """Answer the questions of `_Workers`, on what was the standard output: others may print there."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            path, encoding = json.loads(line)
            print(json.dumps(_parsed(Path(path), encoding)), file=answers, flush=True)


# -- one file --------------------------------------------------------------------------------------


def _music21(module: str = "music21") -> Any:
    """A module of music21, which is imported here only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"music needs music21: pip install 'lstmgen[music]' ({error})") from None


def _music21_version() -> str:
    try:
        return importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError("music needs music21: pip install 'lstmgen[music]'") from None


def _parsed(path: Path, encoding: str) -> Result:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            elements = _lesson_elements(path) if encoding == "lesson" else encode(_notes(path))
    except Exception as error:  # music21 raises errors of any kind
        return f"music21 cannot read it: {_reason(error)}"
    return elements or "there are no notes in it"


def _notes(path: Path) -> list[Note]:
    if _FORMATS[path.suffix.lower()] == "midi":
        return _midi_notes(path)
    return _score_notes(_stream(path))


def _stream(path: Path) -> Any:
    """What music21 makes of a file, without the pickles that it keeps otherwise."""
    reader = _music21("music21.converter").Converter()
    reader.parseFileNoPickle(path, format=_FORMATS[path.suffix.lower()])
    return reader.stream


def _lesson_elements(path: Path) -> list[str]:
    """The lesson's own way: the first instrument's notes, or if there are no instruments, all."""
    if _FORMATS[path.suffix.lower()] == "midi":
        _midi_notes(path)  # a broken or endless file is an error here, and soon
    note, chord, stream = _music21("music21.note"), _music21("music21.chord"), _stream(path)
    try:
        found = _music21("music21.instrument").partitionByInstrument(stream).parts[0].recurse()
    except Exception:  # as the lesson has it: whatever it is
        found = stream.flatten().notes
    elements = []
    for element in found:
        if isinstance(element, note.Note):
            elements.append(str(element.pitch))
        elif isinstance(element, chord.Chord):
            elements.append(".".join(str(n) for n in element.normalOrder))
    return [element for element in elements if element]


def _midi_notes(path: Path) -> list[Note]:
    """The notes of all tracks, exactly as they are in the file."""
    file = _music21("music21.midi").MidiFile()
    file.readstr(path.read_bytes())
    ticks = file.ticksPerQuarterNote
    if ticks <= 0:
        raise ValueError(f"expected at least one tick to a quarter, found {ticks}")
    return [note for track in file.tracks for note in _track_notes(track.events, ticks)]


def _track_notes(events: Sequence[Any], ticks: int) -> Iterator[Note]:
    sounding: dict[tuple[int, int], list[int]] = {}
    now = 0
    for event in events:
        if event.isDeltaTime():
            now += event.time
            if now > _MAX_QUARTERS * ticks:
                raise ValueError(f"expected at most {_MAX_QUARTERS} quarters, found {now / ticks:.0f}")
        elif event.channel != _DRUMS and event.isNoteOn():
            sounding.setdefault((event.channel, event.pitch), []).append(now)
        elif event.isNoteOff() and sounding.get((event.channel, event.pitch)):
            start = sounding[event.channel, event.pitch].pop(0)
            if now > start:
                yield Note(start / ticks, (now - start) / ticks, event.pitch)


def _score_notes(stream: Any) -> list[Note]:
    """The notes of all parts as they sound; those that are tied are one."""
    stream.toSoundingPitch(inPlace=True)
    notes: list[Note] = []
    ends: dict[tuple[int, Fraction], int] = {}  # pitch and end of a note: where it is
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


# -- notes and elements ----------------------------------------------------------------------------


def encode(notes: Iterable[Note]) -> list[str]:
    """The elements of the encoding "events" of these notes, in any order; silence before the first is left out."""
    elements: list[str] = []
    now: int | None = None
    lasting = 0
    grid = [(_points(n.start), min(max(_points(n.duration), 1), LONGEST), n.pitch) for n in notes]
    for start, duration, pitch in _tidy(grid):
        elements += _steps("t", min(start - now, LONGEST)) if now is not None else []
        if duration != lasting:
            elements += _steps("d", duration)
        elements.append(f"n{pitch}")
        now, lasting = start, duration
    return elements


def decode(elements: str | Sequence[str], *, encoding: str | None = None) -> Music:
    """The music of any elements of one encoding, in whatever order a network has drawn them.

    elements: a list, or text with white space between them.
    encoding: "events" or "lesson"; None: what the elements look like. In "lesson" there is a note or chord every half
        quarter, each of them a quarter long, chords from middle C on, as the lesson writes them.

    Raises `ValueError` for an element that is not of the encoding.
    """
    if isinstance(elements, str):
        elements = elements.split()
    if encoding is None:
        encoding = "events" if not elements or _EVENT.fullmatch(elements[0]) else "lesson"
    _check_encoding(encoding)
    notes = _event_notes(elements) if encoding == "events" else _lesson_notes(elements)
    return Music([Note(start / GRID, duration / GRID, pitch) for start, duration, pitch in _tidy(notes)])


def _event_notes(elements: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    now, gap, lasting = 0, 0, GRID
    started, last = False, ""
    for position, element in enumerate(elements):
        found = _EVENT.fullmatch(element)
        if not found or int(found[3] or 0) > 127:
            raise ValueError(
                f"element {element!r} at position {position}: expected one such as 't6', 'd12' or 'n60' (n0 to n127)"
            )
        kind = element[0]
        if kind == "t":
            gap = min(gap + int(found[2]), LONGEST)
        elif kind == "d":
            lasting = min(int(found[2]) + (lasting if last == "d" else 0), LONGEST)
        else:
            now, gap, started = now + (gap if started else 0), 0, True
            yield now, lasting, int(found[3])
        last = kind


def _lesson_notes(elements: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    step, duration = _points(_LESSON_STEP), _points(_LESSON_LENGTH)
    for position, element in enumerate(elements):
        for pitch in _lesson_pitches(element, position):
            yield position * step, duration, pitch


def _lesson_pitches(element: str, position: int) -> list[int]:
    """MIDI pitches of a note's name or a chord's classes, as `music21.note.Note` has them: classes from middle C on."""
    if _CHORD.fullmatch(element):
        pitches = [n if n > 11 else 60 + n for n in map(int, element.split("."))]
    elif name := _NAME.fullmatch(element):
        signs = name[2].count("#") - name[2].count("-")
        pitches = [12 * (int(name[3] or 4) + 1) + _CLASSES[name[1]] + signs]
    else:
        pitches = [-1]
    if not all(0 <= pitch <= 127 for pitch in pitches):
        expected = "a note such as 'C4' or a chord such as '4.7'"
        raise ValueError(f"element {element!r} at position {position}: expected {expected}")
    return pitches


def _points(quarters: float) -> int:
    """The nearest point of the grid."""
    return math.floor(quarters * GRID + 0.5)


def _steps(kind: str, points: int) -> list[str]:
    """As few elements as add up to so many points, largest first."""
    elements = []
    for step in STEPS:
        while points >= step:
            elements.append(f"{kind}{step}")
            points -= step
    return elements


def _tidy(notes: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """In the order of start and pitch, the longest of those that start together on a pitch.

    A note ends where its pitch begins again.
    """
    longest: dict[tuple[int, int], int] = {}
    for start, duration, pitch in notes:
        longest[start, pitch] = max(duration, longest.get((start, pitch), 0))
    tidy = []
    following: dict[int, int] = {}
    for (start, pitch), duration in sorted(longest.items(), reverse=True):
        tidy.append((start, min(duration, following.get(pitch, start + duration) - start), pitch))
        following[pitch] = start
    return tidy[::-1]


# -- music out -------------------------------------------------------------------------------------


class Music:
    """Notes, in the order of their starts and pitches, that can be written in many forms."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self.notes = sorted(notes, key=lambda n: (n.start, n.pitch))

    @property
    def length(self) -> float:
        """Quarters from 0 to the end of the last note."""
        return max((note.start + note.duration for note in self.notes), default=0.0)

    def to_stream(self, *, bpm: float = 100, staves: int = 1) -> Any:
        """A `music21.stream.Score` of a piano, with chords; two staves part at middle C. `bpm`: quarters a minute."""
        stream, instrument = _music21("music21.stream"), _music21("music21.instrument")
        score = stream.Score()
        parts = [self.notes]
        if staves == 2:
            parts = [[n for n in self.notes if n.pitch >= 60], [n for n in self.notes if n.pitch < 60]]
        for notes in filter(None, parts):
            part = stream.Part()
            part.insert(0, instrument.Piano())
            if not score.parts:
                part.insert(0, _music21("music21.tempo").MetronomeMark(number=bpm))
            for start, sound in _sounds(notes):
                part.insert(start, sound)
            score.insert(0, part)
        return score

    def write(self, path: File, *, bpm: float = 100, synth: str | None = None) -> None:
        """Write a file of the kind that its name says, whole or not at all.

        `.mid`, `.midi`; `.musicxml`, with music21, rounded to sixteenths, triplets and their halves; `.wav`; `.mp3` and
        `.ogg`, with a program that encodes them; `.png`: a picture, with matplotlib.

        bpm: quarters a minute, 4 to 1000.
        synth: what plays: "builtin", the default, or "fluidsynth", a program that needs a soundfont.

        Raises `ValueError` for another kind of file, for no notes and for more than an hour of sound, `OSError` for
        what cannot be written or run, and `ImportError` for a package that is missing.
        """
        kind = Path(path).suffix.lower()
        if kind not in _WRITERS:
            raise ValueError(f"{os.fspath(path)}: expected a name with {', '.join(_WRITERS)}, found {kind or 'none'!r}")
        if not self.notes:
            raise ValueError(f"{os.fspath(path)}: there are no notes to write")
        if not 4 <= bpm <= 1000:  # MIDI has no slower tempo
            raise ValueError(f"bpm: expected 4 to 1000 quarters a minute, found {bpm}")
        if synth not in (None, "builtin", "fluidsynth"):
            raise ValueError(f"synth: expected 'builtin' or 'fluidsynth', found {synth!r}")
        _write(path, _WRITERS[kind](self, bpm, synth or "builtin"))

    def __repr__(self) -> str:
        return f"<lstmgen.music.Music of {len(self.notes)} notes, {self.length:g} quarters>"


def _sounds(notes: Iterable[Note]) -> Iterator[tuple[Fraction, Any]]:
    """Notes of music21, and chords of those that start and end together."""
    note, chord = _music21("music21.note"), _music21("music21.chord")
    for (start, duration), group in itertools.groupby(sorted(notes), lambda n: (n.start, n.duration)):
        pitches = [n.pitch for n in group]
        sound = note.Note(pitches[0]) if len(pitches) == 1 else chord.Chord(pitches)
        sound.quarterLength = Fraction(_points(duration), GRID)
        yield Fraction(_points(start), GRID), sound


def _midi(music: Music, bpm: float, _: str = "") -> bytes:
    """A MIDI file of one track, without the help of music21: exact, and a thousand times faster."""
    messages = []
    for note in music.notes:
        start = _points(note.start)
        end = start + max(_points(note.duration), 1)
        messages += [(start, 1, bytes([0x90, note.pitch, _VELOCITY])), (end, 0, bytes([0x80, note.pitch, 0]))]
    track = b"\0\xff\x51\x03" + round(60e6 / bpm).to_bytes(3, "big") + b"\0\xc0\0"  # tempo; a grand piano
    now = 0
    for time, _order, message in sorted(messages):  # what ends at a time comes before what begins
        track += _variable((time - now) * _TICKS) + message
        now = time
    track += b"\0\xff\x2f\0"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, GRID * _TICKS)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _variable(number: int) -> bytes:
    """A number as MIDI has it: seven bits a byte, the highest bit set in all but the last."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def _musicxml(music: Music, bpm: float, _: str) -> bytes:
    exporter = _music21("music21.musicxml.m21ToXml").GeneralObjectExporter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data: bytes = exporter(Music(_notated(music.notes)).to_stream(bpm=bpm, staves=2)).parse()
        except Exception:  # a duration that music21 has no notation for
            data = exporter(Music(_notated(music.notes, (4,))).to_stream(bpm=bpm, staves=2)).parse()
    return data


def _notated(notes: Sequence[Note], divisors: Sequence[int] = (4, 6, 8)) -> list[Note]:
    """The notes, with the starts and ends in each quarter rounded to what divides it best; of equals, the first."""
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
        notated.append(Note(float(start), float(end - start or Fraction(1, divisors[-1])), n.pitch))
    return notated


def _wav(music: Music, bpm: float, synth: str) -> bytes:
    from lstmgen import audio

    if synth == "fluidsynth":
        return audio.fluidsynth(_midi(music, bpm))
    second = 60 / bpm
    return audio.wav(audio.render([(n.start * second, n.duration * second, n.pitch) for n in music.notes]))


def _mp3(music: Music, bpm: float, synth: str) -> bytes:
    from lstmgen import audio

    return audio.compressed(lambda: _wav(music, bpm, synth), "mp3")


def _ogg(music: Music, bpm: float, synth: str) -> bytes:
    from lstmgen import audio

    return audio.compressed(lambda: _wav(music, bpm, synth), "ogg")


def _png(music: Music, _bpm: float, _synth: str) -> bytes:
    from lstmgen import piano_roll

    return piano_roll.png(music.notes)


_WRITERS: Mapping[str, Callable[[Music, float, str], bytes]] = {
    ".mid": _midi,
    ".midi": _midi,
    ".musicxml": _musicxml,
    ".wav": _wav,
    ".mp3": _mp3,
    ".ogg": _ogg,
    ".png": _png,
}


# -- loops -----------------------------------------------------------------------------------------


class Repeat(NamedTuple):
    """A pattern that comes again and again: `length` elements from `start` on, the last time perhaps not whole."""

    pattern: tuple[Hashable, ...]
    start: int
    length: int


def longest_repeat(items: Sequence[Hashable] | Music, longest: int = 4) -> Repeat:
    """The longest run of one element, or of a pattern of up to `longest` elements that comes at least twice.

    Of elements, or of the pitches of `Music`. Without any repetition: the first element alone, if there is one.
    """
    items = _items(items)
    runs = [Repeat(tuple(items[:1]), 0, len(items[:1]))]
    runs += [run for period in range(1, longest + 1) for run in _runs(items, period, 2)]
    return max(runs, key=lambda run: (run.length, -len(run.pattern), -run.start))


def stuck(items: Sequence[Hashable] | Music, longest: int = 4) -> str | None:
    """A sentence for people if more than half of a sample of 40 elements or more is one element or pattern repeated.

    A pattern has up to `longest` elements and counts where it comes at least three times in a row. None if all is well.
    """
    items = _items(items)
    if len(items) < 40:
        return None
    covered: Counter[tuple[Hashable, ...]] = Counter()
    for period in range(1, longest + 1):
        for run in _runs(items, period, 3):
            covered[_first_rotation(run.pattern)] += run.length
    pattern, count = covered.most_common(1)[0] if covered else ((), 0)
    if 2 * count <= len(items):
        return None
    what = " ".join(map(str, pattern))
    return (
        f"{count} of {len(items)} elements are {what!r} again and again: the network is caught in a loop; "
        "try a higher temperature, another prime or seed, or a longer training"
    )


def _items(items: Sequence[Hashable] | Music) -> Sequence[Hashable]:
    return [note.pitch for note in items.notes] if isinstance(items, Music) else items


def _runs(items: Sequence[Hashable], period: int, times: int) -> Iterator[Repeat]:
    """The stretches of at least `times` periods that repeat themselves after `period` items, and not before."""
    start = 0
    for i in range(period, len(items) + 1):
        if i < len(items) and items[i] == items[i - period]:
            continue
        pattern = tuple(items[start : start + period])
        if i - start >= times * period and not _has_shorter_period(pattern):
            yield Repeat(pattern, start, i - start)
        start = i - period + 1


def _has_shorter_period(pattern: tuple[Hashable, ...]) -> bool:
    size = len(pattern)
    return any(size % p == 0 and pattern == pattern[:p] * (size // p) for p in range(1, size))


def _first_rotation(pattern: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """The same for each place in its round that a pattern may start at."""
    return min((pattern[i:] + pattern[:i] for i in range(len(pattern))), key=repr)


# -- statistics ------------------------------------------------------------------------------------


def pitch_class_histogram(music: Music) -> NDArray[np.float64]:
    """Share of the notes on each of C, C sharp ... B; all zero without notes."""
    counts = np.bincount([note.pitch % 12 for note in music.notes], minlength=12)
    return counts / max(len(music.notes), 1)


def duration_histogram(music: Music) -> dict[float, float]:
    """Share of the notes of each duration in quarters, the shortest first."""
    counts = Counter(note.duration for note in music.notes)
    return {duration: counts[duration] / len(music.notes) for duration in sorted(counts)}


def repeated_note_runs(music: Music) -> dict[int, int]:
    """How many runs of so many notes on one pitch, one after the other, there are; a note alone is a run of 1."""
    runs = Counter(len(list(group)) for _, group in itertools.groupby(note.pitch for note in music.notes))
    return dict(sorted(runs.items()))


def mean_polyphony(music: Music) -> float:
    """Notes that sound together on average, while any does; 0 without notes."""
    end = sounding = 0.0
    for note in music.notes:
        sounding += max(note.start + note.duration - max(note.start, end), 0)
        end = max(end, note.start + note.duration)
    return sum(note.duration for note in music.notes) / sounding if sounding else 0.0


def share_of_copies(piece: Sequence[str], corpus: Iterable[Sequence[str]], n: int = 8) -> float:
    """Share of the windows of `n` notes of a piece that are in the corpus note for note; 0 if it is shorter.

    Piece and corpus are elements. A note of the encoding "events" is its pitch, its duration and the time since the one
    before.
    """
    windows = list(_windows(piece, n))
    wanted = set(windows)
    found = {window for other in corpus for window in _windows(other, n) if window in wanted}
    return sum(window in found for window in windows) / max(len(windows), 1)


def _windows(elements: Sequence[str], n: int) -> Iterator[tuple[Hashable, ...]]:
    notes: list[tuple[Hashable, ...]] = [(element,) for element in elements]
    if elements and _EVENT.fullmatch(elements[0]):
        grid = _tidy(_event_notes(elements))
        gaps = np.diff([start for start, _, _ in grid], prepend=grid[0][0] if grid else 0).tolist()
        notes = [(pitch, duration, gap) for (_, duration, pitch), gap in zip(grid, gaps, strict=True)]
    for i in range(len(notes) - n + 1):  # the time before the first note of a window is no part of it
        yield notes[i][:2], *notes[i + 1 : i + n]
