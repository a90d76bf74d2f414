"""Tunes in ABC notation, in and out, without music21: a thousand tunes in a second.

Source of the format: "The ABC music standard 2.1", abcnotation.com/wiki/abc:standard:v2.1.

What is read: notes, chords, rests, ties, broken rhythms, tuplets, accidentals until the end of a
bar, voices (`V:` and `&`), and `M:`, `L:`, `K:` and `Q:` wherever they stand. Repeats and endings
are read once, as they are written. Grace notes, ornaments, names of chords, words and all else that
has no duration are skipped. Clefs do not change the octave.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from lstmgen import charsets
from lstmgen.errors import OptionTypeError, option
from lstmgen.music.abc_reading import (
    FIELD,
    IN_MUSIC,
    STEPS,
    TIMED,
    TOKEN,
    UNIT,
    AbcError,
    TuneReader,
    fraction,
    meter_of,
    signs_of,
)
from lstmgen.music.notes import BPM, GRID, GridNote, Meter, Note, Tempo, grid_points, tidy

MAX_ABC = 2**24  # bytes of a file

_TUNE = re.compile(r"^X:", re.MULTILINE)


class Tune(NamedTuple):
    """A tune of a file.

    title: its first title, as written; "" if it has none.
    notes: the notes of all voices, in order of start and then pitch. There may be none. A voice is
        a track.
    tempos, meters: its tempos and time signatures, in order of start.

    >>> Tune("Scale", [Note(0, 1, 60)], [], []).title
    'Scale'
    """

    title: str
    notes: list[Note]
    tempos: list[Tempo]
    meters: list[Meter]


def read_abc(data: bytes | str) -> Iterator[Tune]:
    """Yield the tunes of a file, in order.

    data: the file, whose bytes are UTF-8 or else Latin-1. Time and memory grow with its size alone.
        A tune begins with `X:` and ends before the next one, or at an empty line after its key,
        `K:`. A file without `X:` is one tune if it has a key.

    Raises `AbcError` for a file without a tune, and for a tune of more than 100,000 quarters,
    40,000 notes or 16,384 voices.

    >>> list(read_abc("X:1\\nT:Two notes\\nL:1/8\\nK:G\\nG2 F>|"))[0].notes[1]
    Note(start=1.0, duration=0.75, pitch=66)
    """
    try:
        yield from read_file(data)
    except AbcError as error:
        raise AbcError(f"{option('data')}: {error}") from None


def read_file(data: bytes | str) -> Iterator[Tune]:
    """Yield what `read_abc` does. Errors leave it to the caller to name the file.

    >>> next(read_file("X:1\\nT:One note\\nK:G\\nG|")).title
    'One note'
    """
    for reader in readers_of(data):
        yield Tune(reader.title, reader.notes(), reader.tempos, reader.meters)


def readers_of(data: bytes | str) -> Iterator[TuneReader]:
    """Yield the tunes of a file as their readers have them. Raises what `read_file` raises.

    >>> next(readers_of("X:1\\nT:One note\\nK:G\\nG|")).title
    'One note'
    """
    return map(TuneReader, _each_tune(data))


def tunes_of(data: bytes | str) -> list[str]:
    """Return the text of each tune of a file, without comments.

    data: as in `read_abc`.

    Raises `AbcError` for a file without a tune.

    >>> tunes_of("% mine\\nX:1\\nK:C\\nC|\\n\\nX:2\\nK:C\\nD|")
    ['X:1\\nK:C\\nC|', 'X:2\\nK:C\\nD|']
    """
    return list(_each_tune(data))


def _each_tune(data: bytes | str) -> Iterator[str]:
    """Yield what `tunes_of` returns."""
    if isinstance(data, bytes):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            if (likely := charsets.likely_charset(data)) in ("utf-16", "utf-32"):  # by its first bytes
                raise AbcError(f"not UTF-8: save it as UTF-8: it may be {likely}") from None
            text = data.decode("latin-1")
    elif isinstance(data, str):
        text = data
    else:
        raise OptionTypeError("data", "bytes or text", data)
    lines = text.removeprefix("\ufeff").splitlines()
    if "%" in text:
        lines = [line.partition("%")[0] for line in lines if not line.startswith("%")]
    text = "\n".join(map(str.rstrip, lines))
    start = -1
    for match in _TUNE.finditer(text):
        if start >= 0:
            yield text[start : match.start()].strip()
        start = match.start()
    if start < 0 and re.search(r"^K:", text, re.MULTILINE):
        start = 0
    if start < 0:
        raise AbcError("expected a tune in ABC notation, which begins with X: and has a key, K:")
    yield text[start:].strip()


def plain(tune: str) -> str:
    """Return a tune as a network can learn it: all that sounds, and the names of chords.

    tune: as `tunes_of` gives it.

    The tune has a number, a meter, the unit 1/8 and a key, and then its music. Titles, sources,
    parts and words are left out, and so are blanks beside bars. A meter or a key that changes
    stands in brackets. Returns "" for a tune without music.

    >>> print(plain("X:7\\nT:Tune\\nM:3/4\\nL:1/4\\nK:D\\nP:A\\nd/2 e3/2 d | \\\\\\n[1 d3 :|\\n"))
    X:1
    M:3/4
    L:1/8
    K:D
    d e3 d2|[1 d6:|
    """
    head, music, unit, in_header = {"M": "4/4", "K": "C"}, "", Fraction(0), True
    for line in tune.split("\n"):
        field = FIELD.match(line)
        if field and (in_header or field[1] in IN_MUSIC):
            name, value = field[1], field[2].strip()
            if name == "L" and (found := UNIT.match(value)):
                unit = Fraction(int(found[1]) or 1, int(found[2]) or 1)
            elif name in head and not music:
                head[name] = value
            elif name in "KMV" and not in_header:
                music += f"[{name}:{value}]"
            if name == "K" and in_header:
                meter, in_header = meter_of(head["M"]) or (4, 4), False
                unit = unit or Fraction(1, 16 if 4 * meter[0] < 3 * meter[1] else 8)
        elif not in_header:
            if not line:
                break
            music += _in_eighths(line, unit)
    music = re.sub(r"[ \t]*([:|]+)[ \t]*", r"\1", music.replace("\\\n", "")).strip()
    return f"X:1\nM:{head['M']}\nL:1/8\nK:{head['K']}\n{music}" if music else ""


def _in_eighths(line: str, unit: Fraction) -> str:
    """Return a line of music, written with the unit 1/8."""

    def scaled(found: re.Match[str]) -> str:
        return found[1] + _eighths(found[2], unit.numerator, unit.denominator)

    def timed(found: re.Match[str]) -> str:
        return TIMED.sub(scaled, found[0]) if found.lastgroup in ("notes", "signed", "rest") else found[0]

    return TOKEN.sub(timed, " ".join(line.split())) + "\n"


@functools.lru_cache(1024)
def _eighths(length: str, numerator: int, denominator: int) -> str:
    """Return a length in a unit, as one in eighths."""
    eighths = Fraction(*fraction(length)) * Fraction(8 * numerator, denominator)
    return _length(eighths.numerator, eighths.denominator)


# -- out -------------------------------------------------------------------------------------------

_EIGHTH = GRID // 2  # points: the unit of length, L:1/8
_BARS = 4  # in a line
_MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_NAMES = {fifths: name for fifths, name in enumerate(_MAJOR, -7)}


def abc_file(notes: Iterable[Note], tempos: Sequence[Tempo] = (), meters: Sequence[Meter] = ()) -> bytes:
    """Return a file of one tune in ABC notation.

    notes: in any order. Times are rounded to the grid of 24 points to a quarter. Of notes on one
        pitch of a track at once the longest is kept. Velocities are left out.
    tempos: in order; the first one is kept. Without any it is 100.
    meters: in order. Before the first one it is 4/4. A bar ends where another meter begins.

    The key is the major one, or its relative minor, that has most of the notes. Each track has its
    own voices. So have notes that overlap, but do not begin and end together.

    >>> print(abc_file([Note(0, 1, 67), Note(1, 0.5, 66), Note(1.5, 2.5, 67)]).decode())
    X:1
    T:Untitled
    M:4/4
    L:1/8
    Q:1/4=100
    K:G
    G2 FG4-G|
    <BLANKLINE>
    """
    grid = tidy(map(GridNote.of, notes))
    fifths = _key_of(grid)
    bpm = round(tempos[0].bpm if tempos else BPM)
    end = max((note.start + note.duration for note in grid), default=0)
    bars = _bars_of(meters, end)
    meter = bars[0].sign or "4/4"
    lines = ["X:1", "T:Untitled", f"M:{meter}", "L:1/8", f"Q:1/4={bpm}", f"K:{_key_name(fifths, grid)}"]
    tracks = sorted({note.track for note in grid})
    voices = [voice for track in tracks for voice in _voices([note for note in grid if note.track == track])]
    for number, voice in enumerate(voices, 1):
        lines += [f"V:{number}"] if len(voices) > 1 else []
        written = list(_written(voice, fifths, bars))
        lines += ["|".join(written[i : i + _BARS]) + "|" for i in range(0, len(written), _BARS)]
    return ("\n".join(lines) + "\n").encode()


def _key_of(notes: Sequence[GridNote]) -> int:
    """Return how many fifths above C the major key is that has most of the notes, by duration."""
    weights = [0] * 12
    for note in notes:
        weights[note.pitch % 12] += note.duration

    def inside(fifths: int) -> int:
        signs = signs_of(fifths)
        return sum(weights[(step + signs.get(letter, 0)) % 12] for letter, step in STEPS.items())

    return max(range(-6, 7), key=lambda fifths: (inside(fifths), -abs(fifths), fifths))


def _key_name(fifths: int, notes: Sequence[GridNote]) -> str:
    """Return the name of a key. It is the minor one if the last and lowest note is its tonic."""
    last = max(notes, key=lambda note: (note.start + note.duration, -note.pitch), default=None)
    minor = last is not None and (last.pitch - 7 * fifths) % 12 == 9
    return f"{_NAMES[fifths + 3]}m" if minor and fifths + 3 in _NAMES else _NAMES[fifths]


class _Chord(NamedTuple):
    """Notes that begin and end together, or silence. Times are points of the grid."""

    start: int
    duration: int
    pitches: list[int]
    tied: bool = False


def _voices(notes: Sequence[GridNote]) -> list[list[_Chord]]:
    """Return notes as chords, in voices without overlaps. The first one is the highest."""
    chords: dict[tuple[int, int], list[int]] = {}
    for start, duration, pitch, *_ in notes:
        chords.setdefault((start, duration), []).append(pitch)
    voices: list[list[_Chord]] = []
    for (start, duration), pitches in sorted(chords.items(), key=lambda item: (item[0][0], -max(item[1]))):
        voice = next((v for v in voices if v[-1].start + v[-1].duration <= start), None)
        if voice is None:
            voices.append(voice := [])
        voice.append(_Chord(start, duration, pitches))
    return voices


class _Bar(NamedTuple):
    """A bar, whose times are points of the grid.

    sign: the time signature, if it begins there. beat: points between the groups of its notes.
    """

    start: int
    end: int
    sign: str
    beat: int


def _bars_of(meters: Sequence[Meter], end: int) -> list[_Bar]:
    """Return the bars of a piece that ends at a point, at least one."""
    changes = {grid_points(meter.start): meter for meter in meters}
    starts = sorted(changes)
    bars: list[_Bar] = []
    at, now = 0, Meter(0, 4, 4)
    while at < end or not bars:
        i = bisect.bisect_right(starts, at)
        now = changes.get(at, now)
        length = now.beats * 4 * GRID // now.unit
        last = min([at + length, *starts[i : i + 1]])
        sign = f"{now.beats}/{now.unit}" if at in changes else ""
        bars.append(_Bar(at, last, sign, 3 * _EIGHTH if now.unit == 8 and now.beats % 3 == 0 else GRID))
        at = last
    return bars


def _written(voice: Sequence[_Chord], fifths: int, bars: Sequence[_Bar]) -> Iterator[str]:
    """Yield the bars of a voice, without the lines between them."""
    parts: list[_Chord] = []
    now = 0
    for start, duration, pitches, _ in voice:
        parts += (_Chord(*part, []) for part in _split(now, start, bars))
        now = start + duration
        parts += (_Chord(*part, pitches, tied=sum(part) < now) for part in _split(start, now, bars))
    spelling, number, in_tuplet, text = _Spelling(fifths), 0, 0, ""
    for i, (start, duration, pitches, tied) in enumerate(parts):
        bar = bars[number]
        if start == bar.end:
            yield text
            number += 1
            bar = bars[number]
            text = f"[M:{bar.sign}]" if bar.sign else ""
            spelling.altered.clear()
        elif text and (start - bar.start) % bar.beat == 0:
            text += " "
        unit = _EIGHTH
        if duration % 3:  # of a triplet: half as long again, in two thirds of the time
            if not in_tuplet:
                in_tuplet = _tuplet(parts, i, bar.end)
                text += "(3" if in_tuplet == 3 else f"(3:2:{in_tuplet}"
            duration, unit, in_tuplet = 3 * duration, 2 * _EIGHTH, in_tuplet - 1
        names = [spelling.of(pitch) for pitch in pitches]
        sound = "z" if not names else names[0] if len(names) == 1 else f"[{''.join(names)}]"
        text += f"{sound}{_length(duration, unit)}{'-' if tied else ''}"
    yield text


def _tuplet(parts: Sequence[_Chord], first: int, end: int) -> int:
    """Return how many parts from one on are in a tuplet: those of triplets in the bar, 3 or 1 to
    9.
    """
    count = 0
    while count < 9 and first + count < len(parts):
        part = parts[first + count]
        if part.duration % 3 == 0 or part.start >= end:
            break
        count += 1
    return 3 if count % 3 == 0 else count


def _split(start: int, end: int, bars: Sequence[_Bar]) -> Iterator[tuple[int, int]]:
    """Yield the start and the duration of the parts of a time that a single note can show."""
    while start < end:
        bar = bars[bisect.bisect_right(bars, start, key=lambda one: one.start) - 1]
        left = min(end, bar.end) - start
        unit = 3 if left % 3 == 0 else 1  # 1: of a triplet, which has no dots
        plain = 1 << (left // unit).bit_length() - 1
        dotted = plain + plain // 2
        duration = unit * (dotted if unit == 3 and dotted <= left // unit else plain)
        yield start, duration
        start += duration


_MARKS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}


class _Spelling:
    """What pitches are called in a bar."""

    def __init__(self, fifths: int) -> None:
        self._signs = signs_of(fifths)
        scale = {
            (step + self._signs.get(letter, 0)) % 12: (letter, self._signs.get(letter, 0))
            for letter, step in STEPS.items()
        }
        self._called = dict(scale)
        for above in (1, 3, 6, 8, 10):  # semitones above the tonic: the third and the seventh are lowered
            pitch, change = (7 * fifths + above) % 12, -1 if above in (3, 10) else 1
            letter, sign = scale[(pitch - change) % 12]
            self._called[pitch] = letter, sign + change
        self.altered: set[str] = set()

    def of(self, pitch: int) -> str:
        """Return the name of a pitch, with a sign if its letter had another one in the bar."""
        letter, sign = self._called[pitch % 12]
        usual = sign == self._signs.get(letter, 0)
        if not usual:
            self.altered.add(letter)
        mark = _MARKS[sign] if letter in self.altered else ""
        octave = (pitch - sign - STEPS[letter]) // 12
        return mark + (letter + "," * (5 - octave) if octave <= 5 else letter.lower() + "'" * (octave - 6))


def _length(points: int, unit: int) -> str:
    """Return what stands after a note.

    >>> _length(12, 12), _length(24, 12), _length(3, 12), _length(18, 12)
    ('', '2', '/4', '3/2')
    """
    part = Fraction(points, unit)
    numerator = "" if part.numerator == 1 else str(part.numerator)
    return numerator + (f"/{part.denominator}" if part.denominator > 1 else "")
