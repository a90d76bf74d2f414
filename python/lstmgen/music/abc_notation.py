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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

from lstmgen.errors import OptionTypeError, option
from lstmgen.music.notes import (
    BEATS,
    BPM,
    GRID,
    TRACKS,
    UNITS,
    VELOCITY,
    GridNote,
    Meter,
    Note,
    Tempo,
    grid_points,
    tidy,
)

MAX_ABC = 2**24  # bytes of a file

T = TypeVar("T", Tempo, Meter)

_TICKS = 20_160  # of a quarter: its 64ths, fifths, sevenths and ninths are whole numbers of ticks
_MAX_QUARTERS = 100_000  # of a tune: a day of music
_MAX_NOTES = 40_000  # of a tune, before ties join them: a note may be one byte, and takes 430 as elements
_MAX_VOICES = 2**14  # of a tune
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"=": 0, "^": 1, "^^": 2, "_": -1, "__": -2}
_SHARPS = "FCGDAEB"  # in the order in which keys have them; flats come in the other order
# Fifths up from the major key on a tonic, by the first letters of the mode.
_MODES = {"m": -3, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # notes: in the time of how many; the meter says it of others

_TUNE = re.compile(r"^X:", re.MULTILINE)
_FIELD = re.compile(r"\s{0,8}([A-Za-z]):(.*)")
_IN_MUSIC = frozenset("IKLMNPQRTUVWmrsw")  # fields between lines of music; "A:|" is a note and a bar
_KEY = re.compile(r"([A-G])([#b]?)\s{0,8}([A-Za-z]*)")
_CHANGE = re.compile(r"(?<![A-Za-z=^_])(\^\^?|__?|=)([A-Ga-g])(?![A-Za-z])")
_METER = re.compile(r"\(?(\d{1,3}(?:\s?\+\s?\d{1,3}){0,15})\)?\s?/\s?(\d{1,3})")
_TEMPO = re.compile(r"((?:\d{1,3}/\d{1,3}\s?){1,4})=\s?(\d{1,4})")
_UNIT = re.compile(r"(\d{1,3})\s?/\s?(\d{1,4})")
_LENGTH = r"\d{0,4}/{0,4}\d{0,4}"
_TOKEN = re.compile(
    rf"""(?P<skip>"[^"]*"|\{{[^{{}}]*\}}|![^!]*!|\+[^+|]*\+)
    |(?P<note>(?P<sign>\^\^?|__?|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{_LENGTH}))
    |(?P<rest>[xz](?P<rest_length>{_LENGTH}))
    |(?P<bars>[XZ](?P<count>\d{{0,4}}))
    |(?P<tuplet>\((?P<p>[2-9])(?::(?P<q>\d?))?(?::(?P<r>\d?))?)
    |(?P<field>\[(?P<name>[A-Za-z]):(?P<value>[^\[\]]*)\])
    |(?P<bar>\[?[:|]+\]?|\[(?=["1-9]))
    |(?P<open>\[)
    |(?P<close>\](?P<chord_length>{_LENGTH}))
    |(?P<tie>-)
    |(?P<broken><+|>+)
    |(?P<overlay>&)""",
    re.VERBOSE,
)


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


class AbcError(ValueError):
    """A file without a tune, or a tune that is too long or has too many notes.

    >>> issubclass(AbcError, ValueError)
    True
    """


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
    for text in _each_tune(data):
        reader = _Reader()
        reader.read(text)
        yield Tune(reader.title, reader.notes(), reader.tempos, reader.meters)


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
            text = data.decode("latin-1")
    elif isinstance(data, str):
        text = data
    else:
        raise OptionTypeError("data", "bytes or text", data)
    lines = text.removeprefix("\ufeff").splitlines()
    text = "\n".join(line.partition("%")[0].rstrip() for line in lines if not line.startswith("%"))
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
        field = _FIELD.match(line)
        if field and (in_header or field[1] in _IN_MUSIC):
            name, value = field[1], field[2].strip()
            if name == "L" and (found := _UNIT.match(value)):
                unit = Fraction(int(found[1]) or 1, int(found[2]) or 1)
            elif name in head and not music:
                head[name] = value
            elif name in "KMV" and not in_header:
                music += f"[{name}:{value}]"
            if name == "K" and in_header:
                meter, in_header = _meter(head["M"]) or (4, 4), False
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
        group = {"note": "length", "rest": "rest_length"}.get(found.lastgroup or "", "")
        if not group:
            return found[0]
        length = Fraction(*_fraction(found[group])) * unit * 8
        return found[0].removesuffix(found[group]) + _length(length.numerator, length.denominator)

    return _TOKEN.sub(scaled, " ".join(line.split())) + "\n"


# -- in --------------------------------------------------------------------------------------------


_EVEN = (1, 1)


class _Sound:
    """A note whose times are ticks. A tie makes it longer."""

    __slots__ = ("duration", "pitch", "start")

    def __init__(self, start: int, duration: int, pitch: int) -> None:
        self.start, self.duration, self.pitch = start, duration, pitch


class _Voice:
    """A voice, and how far it was read. Times are ticks."""

    __slots__ = ("altered", "bar", "broken", "end", "last", "lasted", "now", "sounds", "tied", "tuplet")

    def __init__(self) -> None:
        self.sounds: list[_Sound] = []
        self.now = self.bar = self.end = 0  # the time now, of the bar, and at the end of its overlays
        self.altered: dict[str, int] = {}  # the letters that have an accidental in this bar
        self.last: dict[tuple[str, str], _Sound] = {}  # the notes of the last chord, by letter and octave
        self.tied: dict[tuple[str, str], _Sound] = {}  # those of them that the next chord goes on with
        self.lasted = 0  # of the last chord or rest
        self.broken = _EVEN  # the factor of the next one, after a broken rhythm
        self.tuplet = (0, 1, 1)  # how many more are in a tuplet, and its factor


class _Reader:
    """The state of a tune that is read."""

    def __init__(self) -> None:
        self.title = ""
        self.tempos: list[Tempo] = []
        self.meters: list[Meter] = []
        self._voices = {"": _Voice()}
        self._voice = self._voices[""]
        self._key: Mapping[str, int] = {}
        self._meter = (4, 4)
        self._unit = 0  # ticks; 0 is what the meter says
        self._chord: list[tuple[tuple[str, str], int, int]] | None = None  # within brackets: name, pitch, ticks
        self._bound: set[tuple[str, str]] = set()  # the names of those that are tied within it
        self._left = _MAX_NOTES

    def notes(self) -> list[Note]:
        """Return the notes of all voices, in order."""
        voices = [voice.sounds for voice in self._voices.values() if voice.sounds]
        quarters: dict[int, float] = {}  # few durations, many notes

        def lasting(ticks: int) -> float:
            return quarters.setdefault(ticks, ticks / _TICKS)

        notes = [
            Note._make((one.start / _TICKS, lasting(one.duration), one.pitch, VELOCITY, min(track, TRACKS)))
            for track, sounds in enumerate(voices, 1)
            for one in sounds
        ]
        notes.sort()
        return notes

    def read(self, text: str) -> None:
        """Read a tune."""
        in_header = True
        for line in text.split("\n"):
            field = _FIELD.match(line)
            if field and (in_header or field[1] in _IN_MUSIC):
                name, value = field[1], field[2].strip()
                if name == "T":
                    self.title = self.title or value
                elif not in_header or name != "V":  # in the header it describes a voice
                    self._field(name, value)
                in_header = in_header and name != "K"
            elif not in_header:
                if not line:
                    return
                self._line(line)

    def _field(self, name: str, value: str) -> None:
        if name == "K":
            self._key = _signature(value, self._key)
            self._unit = self._unit or self._unit_of_meter()
        elif name == "M":
            meter = _meter(value)
            self._meter = meter or (4, 4)
            if meter and meter[0] <= BEATS and meter[1] in UNITS:
                _put(self.meters, Meter(self._voice.now / _TICKS, *meter))
        elif name == "Q" and (found := _TEMPO.search(value)):
            parts = (part.split("/") for part in found[1].split())
            bpm = 4 * sum(int(a) / max(int(b), 1) for a, b in parts) * int(found[2])
            if 4 <= bpm <= 1000:
                _put(self.tempos, Tempo(self._voice.now / _TICKS, bpm))
        elif name == "L" and (found := _UNIT.match(value)):
            self._unit = max(1, round(4 * _TICKS * int(found[1]) / max(int(found[2]), 1)))
        elif name == "V" and value:
            voice = value.split()[0]
            if voice not in self._voices:
                if len(self._voices) > _MAX_VOICES:
                    raise AbcError(f"expected a tune of at most {_MAX_VOICES:,} voices, found more")
                self._voices[voice] = _Voice()
            self._voice = self._voices[voice]

    def _unit_of_meter(self) -> int:
        return _TICKS // 4 if 4 * self._meter[0] < 3 * self._meter[1] else _TICKS // 2

    def _line(self, line: str) -> None:
        for found in _TOKEN.finditer(line):
            kind, voice = found.lastgroup, self._voice
            if kind == "note":
                self._note(*found.group("sign", "letter", "octave", "length"))
            elif kind == "bar":
                voice.bar = voice.now = voice.end = max(voice.now, voice.end)
                voice.altered = {}
            elif kind == "rest":
                voice.tied = {}
                self._last(self._lasting(_scaled(self._unit, *_fraction(found["rest_length"]))), {})
            elif kind == "tie":
                if self._chord:
                    self._bound.add(self._chord[-1][0])
                else:
                    voice.tied = dict(voice.last)
            elif kind == "open":
                self._chord = []
            elif kind == "close":
                self._close(_fraction(found["chord_length"]))
            elif kind == "broken":
                self._break(found["broken"])
            elif kind == "tuplet":
                p, q, r = int(found["p"]), int(found["q"] or 0), int(found["r"] or 0)
                compound = self._meter[0] % 3 == 0 and self._meter[0] > 3
                voice.tuplet = (r or p, q or _TUPLETS.get(p, 3 if compound else 2), p)
            elif kind == "field":
                self._field(found["name"], found["value"].strip())
            elif kind == "bars":
                whole = _scaled(4 * _TICKS, self._meter[0] * int(found["count"] or 1), self._meter[1])
                voice.tied = {}
                self._last(whole, {})
            elif kind == "overlay":
                voice.end, voice.now = max(voice.now, voice.end), voice.bar
                voice.altered, voice.tied, voice.last, voice.lasted = {}, {}, {}, 0
        self._close((1, 1))

    def _note(self, sign: str | None, letter: str, octave: str, length: str) -> None:
        """Add a note, or a note of the chord that is open."""
        self._left -= 1
        if self._left < 0:
            raise AbcError(f"expected a tune of at most {_MAX_NOTES:,} notes, found more")
        voice = self._voice
        name, pitch = self._named(sign, letter, octave)
        ticks = _scaled(self._unit, *_fraction(length)) if length else self._unit
        if self._chord is not None:
            self._chord.append((name, pitch, ticks))
        elif voice.tied or voice.tuplet[0] or voice.broken is not _EVEN:
            self._sound([(name, pitch, ticks)])
        else:  # most are plain
            sound = _Sound(voice.now, max(1, ticks), pitch)
            voice.sounds.append(sound)
            self._last(sound.duration, {name: sound})

    def _named(self, sign: str | None, letter: str, octave: str) -> tuple[tuple[str, str], int]:
        """Return what a note is called, and its pitch."""
        name, of, pitch = _natural(letter, octave)
        altered = self._voice.altered
        if sign:
            altered[of] = _SIGNS[sign]
        elif of not in altered and name in self._voice.tied:
            return name, self._voice.tied[name].pitch  # a tie over a bar keeps the accidental
        pitch += altered[of] if of in altered else self._key.get(of, 0)
        return name, min(max(pitch, 0), 127)

    def _close(self, factor: tuple[int, int]) -> None:
        """End a chord, if one is open."""
        chord, self._chord = self._chord, None
        if chord:
            self._sound([(name, pitch, _scaled(ticks, *factor)) for name, pitch, ticks in chord])
            self._voice.tied = {name: self._voice.last[name] for name in self._bound}
            self._bound.clear()

    def _sound(self, chord: Sequence[tuple[tuple[str, str], int, int]]) -> None:
        """Add the notes of a chord. The first of them says how long it lasts."""
        voice, last = self._voice, {}
        factor = self._lasting(1_000_000)
        for name, pitch, ticks in chord:
            duration = max(1, _scaled(ticks, factor, 1_000_000))
            before = voice.tied.get(name)
            if before is not None and before.pitch == pitch and before.start + before.duration == voice.now:
                before.duration += duration
                last[name] = before
            else:
                last[name] = _Sound(voice.now, duration, pitch)
                voice.sounds.append(last[name])
        voice.tied = {}
        self._last(max(1, _scaled(chord[0][2], factor, 1_000_000)), last)

    def _lasting(self, ticks: int) -> int:
        """Return how long the next chord or rest lasts, within tuplets and broken rhythms."""
        voice = self._voice
        left, q, p = voice.tuplet
        if left:
            ticks = _scaled(ticks, q, p)
            voice.tuplet = (left - 1, q, p)
        ticks = _scaled(ticks, *voice.broken)
        voice.broken = _EVEN
        return ticks

    def _last(self, ticks: int, last: dict[tuple[str, str], _Sound]) -> None:
        """Go on by a chord or a rest."""
        voice = self._voice
        voice.last, voice.lasted = last, ticks
        voice.now += ticks
        if voice.now > _MAX_QUARTERS * _TICKS:
            raise AbcError(f"expected a tune of at most {_MAX_QUARTERS} quarters, found {voice.now / _TICKS:.0f}")

    def _break(self, signs: str) -> None:
        """Make the last chord longer and the next one shorter, or the other way round."""
        voice, parts = self._voice, 2 ** min(len(signs), 3)
        if voice.broken != _EVEN:  # it is already
            return
        long, short = (2 * parts - 1, parts), (1, parts)
        mine, voice.broken = (long, short) if signs[0] == ">" else (short, long)
        change = _scaled(voice.lasted, *mine) - voice.lasted
        for sound in voice.last.values():
            sound.duration = max(1, sound.duration + change)
        voice.now += change
        voice.lasted += change


@functools.lru_cache(256)
def _natural(letter: str, octave: str) -> tuple[tuple[str, str], str, int]:
    """Return what a note is called, its letter, and its pitch without signs."""
    of = letter.upper()
    octaves = (6 if letter.islower() else 5) + octave.count("'") - octave.count(",")
    return (letter, octave), of, 12 * octaves + _STEPS[of]


def _scaled(ticks: int, numerator: int, denominator: int) -> int:
    """Return a part of a time, to the nearest tick."""
    return (2 * ticks * numerator + denominator) // (2 * denominator)


@functools.lru_cache(256)
def _fraction(length: str) -> tuple[int, int]:
    """Return what stands after a note.

    >>> _fraction(""), _fraction("3/2"), _fraction("//"), _fraction("/3")
    ((1, 1), (3, 2), (1, 4), (1, 3))
    """
    if not length:
        return 1, 1
    numerator, slash, rest = length.partition("/")
    slashes, divisor = 1 + rest.count("/"), rest.strip("/")
    denominator = (int(divisor) if divisor else 2**slashes) if slash else 1
    return int(numerator or 1) or 1, denominator or 1


def _put(list_of: list[T], new: T) -> None:
    """Put a tempo or a time signature into a list in order, in place of one at its time."""
    at = bisect.bisect_left(list_of, new[0], key=lambda one: one[0])
    if at == len(list_of) or list_of[at][0] != new[0]:
        list_of.insert(at, new)
    else:
        list_of[at] = new


def _meter(value: str) -> tuple[int, int] | None:
    """Return a time signature; None for free meter."""
    if value.startswith("C"):
        return (2, 2) if value.startswith("C|") else (4, 4)
    found = _METER.match(value)
    if not found:
        return None
    return sum(map(int, found[1].split("+"))) or 1, int(found[2]) or 1


def _signature(value: str, before: Mapping[str, int]) -> Mapping[str, int]:
    """Return the sharps, 1, and flats, -1, of a key by their letters.

    before: what holds if the value names no key, but a clef.

    >>> _signature("F#m", {}), _signature("D mix ^g", {})
    ({'F': 1, 'C': 1, 'G': 1}, {'F': 1, 'G': 1})
    """
    found = _KEY.match(value)
    changes = _CHANGE.findall(value)
    signs: dict[str, int] = {}
    if value.startswith("Hp"):
        signs = {"F": 1, "C": 1}
    elif found:
        mode = "" if found[3] == "M" else found[3].lower()
        signs = _signs_of(_fifths(found[1]) + {"#": 7, "b": -7}.get(found[2], 0) + _MODES.get(mode[:3], 0))
    elif not changes and not value.lower().startswith(("hp", "none", "exp")):
        return before
    return signs | {letter.upper(): _SIGNS[sign] for sign, letter in changes}


def _fifths(letter: str) -> int:
    return _SHARPS.index(letter) - 1


def _signs_of(fifths: int) -> dict[str, int]:
    """Return the signs of the key that is a number of fifths above C major."""
    order, sign = (_SHARPS, 1) if fifths > 0 else (_SHARPS[::-1], -1)
    signs: dict[str, int] = {}
    for i in range(abs(fifths)):
        signs[order[i % 7]] = signs.get(order[i % 7], 0) + sign
    return signs


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
        signs = _signs_of(fifths)
        return sum(weights[(step + signs.get(letter, 0)) % 12] for letter, step in _STEPS.items())

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
        self._signs = _signs_of(fifths)
        scale = {
            (step + self._signs.get(letter, 0)) % 12: (letter, self._signs.get(letter, 0))
            for letter, step in _STEPS.items()
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
        octave = (pitch - sign - _STEPS[letter]) // 12
        return mark + (letter + "," * (5 - octave) if octave <= 5 else letter.lower() + "'" * (octave - 6))


def _length(points: int, unit: int) -> str:
    """Return what stands after a note.

    >>> _length(12, 12), _length(24, 12), _length(3, 12), _length(18, 12)
    ('', '2', '/4', '3/2')
    """
    part = Fraction(points, unit)
    numerator = "" if part.numerator == 1 else str(part.numerator)
    return numerator + (f"/{part.denominator}" if part.denominator > 1 else "")
