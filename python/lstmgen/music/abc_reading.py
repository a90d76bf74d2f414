"""Tunes in ABC notation: from their text to notes. `abc_notation` says what is read.

A file may have a note for each byte. So notes in a row that no tie, chord or broken rhythm changes
are read together, by functions that Python has in C. Times are ticks, and notes are numbers in
lists, until all of a tune is read.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from lstmgen.escaping import brief
from lstmgen.music.notes import BEATS, GRID, TRACKS, UNITS, VELOCITY, Meter, Note, Tempo, grid_points

T = TypeVar("T", Tempo, Meter)

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones from C

_TICKS = 20_160  # of a quarter: its 64ths, fifths, sevenths and ninths are whole numbers of ticks
_MAX_QUARTERS = 100_000  # of a tune: a day of music
_MAX_NOTES = 40_000  # of a tune, before ties join them: a note may be one byte, and takes 430 as elements
_MAX_VOICES = 2**14  # of a tune
_SIGNS = {"=": 0, "^": 1, "^^": 2, "_": -1, "__": -2}
_SHARPS = "FCGDAEB"  # in the order in which keys have them; flats come in the other order
# Fifths up from the major key on a tonic, by the first letters of the mode.
_MODES = {"m": -3, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # notes: in the time of how many; the meter says it of others
_WHOLE = 1_000_000  # parts in which tuplets and broken rhythms change a time

FIELD = re.compile(r"\s{0,8}([A-Za-z]):(.*)")
IN_MUSIC = frozenset("IKLMNPQRTUVWmrsw")  # fields between lines of music; "A:|" is a note and a bar
UNIT = re.compile(r"(\d{1,3})\s?/\s?(\d{1,4})")
_KEY = re.compile(r"([A-G])([#b]?)\s{0,8}([A-Za-z]*)")
_CHANGE = re.compile(r"(?<![A-Za-z=^_])(\^\^?|__?|=)([A-Ga-g])(?![A-Za-z])")
_METER = re.compile(r"\(?(\d{1,3}(?:\s?\+\s?\d{1,3}){0,15})\)?\s?/\s?(\d{1,3})")
_TEMPO = re.compile(r"((?:\d{1,3}/\d{1,3}\s?){1,4})=\s?(\d{1,4})")
_LENGTH = r"\d{0,4}/{0,4}\d{0,4}"
_NOTE = rf"[A-Ga-g][,']*{_LENGTH}"
_NOTES = re.compile(_NOTE)
_BROKEN = re.compile(r"(<+|>+)")
_NOTES_AND_BROKEN = re.compile(rf"{_NOTE}|<+|>+")
_PARTS = re.compile(rf"(\^\^?|__?|=)?(([A-Ga-g])([,']*))({_LENGTH})")  # sign; name: letter, octave; length
TIMED = re.compile(rf"([A-Ga-gxz][,']*)({_LENGTH})")  # a note or rest, within what TOKEN finds
TOKEN = re.compile(
    # Notes in a row, with broken rhythms and what begins no token between them.
    rf"""(?P<notes>[A-Ga-g][^]xzXZ"{{!+^_=([:|&-]*)
    |(?P<bar>\[?[:|]+\]?|\[(?=["1-9]))
    |(?P<signed>(?:\^\^?|__?|=){_NOTE})
    |(?P<tie>-)
    |(?P<broken><+|>+)  # not after a note
    |(?P<rest>[xz](?P<rest_length>{_LENGTH}))
    |(?P<skip>"[^"]*"|\{{[^{{}}]*\}}|![^!]*!|\+[^+|]*\+)
    |(?P<tuplet>\((?P<p>[2-9])(?::(?P<q>\d?))?(?::(?P<r>\d?))?)
    |(?P<field>\[(?P<name>[A-Za-z]):(?P<value>[^\[\]]*)\])
    |(?P<open>\[)
    |(?P<close>\](?P<chord_length>{_LENGTH}))
    |(?P<overlay>&)
    |(?P<bars>[XZ](?P<count>\d{{0,4}}))""",
    re.VERBOSE,
)
_EVEN = (1, 1)
_FEW = 3  # notes in a row that are soonest read one by one


class AbcError(ValueError):
    """A file without a tune, or a tune that is too long or has too many notes.

    >>> issubclass(AbcError, ValueError)
    True
    """


class _Pitches(dict[str, int]):
    """The MIDI pitches of notes without a sign, each found when it is first asked for."""

    def __init__(self, key: Mapping[str, int], altered: Mapping[str, int]) -> None:
        self.key, self._altered = key, altered

    def __missing__(self, note: str) -> int:
        _, letter, natural = _named(note)
        signs = self._altered if letter in self._altered else self.key
        self[note] = pitch = _midi(natural + signs.get(letter, 0))
        return pitch


class _Ticks(dict[str, int]):
    """How long notes last, each found when it is first asked for."""

    def __init__(self, unit: int) -> None:
        self._unit = unit

    def __missing__(self, note: str) -> int:
        parts = _PARTS.match(note)
        assert parts is not None
        self[note] = ticks = _scaled(self._unit, *fraction(parts[5]))
        return ticks


class _Voice:
    """A voice, and how far it was read. Times are ticks. A note is its place in three lists."""

    __slots__ = (
        *("altered", "bar", "broken", "durations", "end", "last", "lasted", "now", "pitches", "starts", "table"),
        *("tied", "tuplet"),
    )

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.durations: list[int] = []
        self.pitches: list[int] = []
        self.now = self.bar = self.end = 0  # the time now, of the bar, and at the end of its overlays
        self.altered: dict[str, int] = {}  # the letters that have an accidental in this bar
        self.table: _Pitches | None = None  # what the key and these make of notes
        self.last: dict[str, int] = {}  # the notes of the last chord, by what was written or by their names
        self.tied: dict[str, int] = {}  # those of them that the next chord goes on with, by their names
        self.lasted = 0  # of the last chord or rest
        self.broken = _EVEN  # the factor of the next one, after a broken rhythm
        self.tuplet = (0, 1, 1)  # how many more are in a tuplet, and its factor

    def reset(self) -> None:
        """Forget the accidentals of a bar."""
        if self.altered:
            self.altered, self.table = {}, None

    def alter(self, letter: str, sign: int) -> None:
        """Give a letter an accidental until the end of the bar."""
        if self.altered.get(letter) != sign:
            self.altered[letter], self.table = sign, None

    def pitches_in(self, key: Mapping[str, int]) -> _Pitches:
        """Return the pitches of notes without a sign in a key, but for ties."""
        if self.table is None or self.table.key is not key:
            self.table = _Pitches(key, self.altered)
        return self.table

    def pitch_of(self, note: str) -> int:
        """Return the pitch of a note without a sign, which a tie may have from another bar."""
        name, letter, _ = _named(note)
        if letter not in self.altered and name in self.tied:
            return self.pitches[self.tied[name]]
        assert self.table is not None
        return self.table[note]

    def add(self, note: str, pitch: int, ticks: int) -> int:
        """Add a note, or make the one longer that is tied to it. Return its place."""
        if self.tied:
            before = self.tied.get(_named(note)[0], -1)
            goes_on = before >= 0 and self.starts[before] + self.durations[before] == self.now
            if goes_on and self.pitches[before] == pitch:
                self.durations[before] += ticks
                return before
        self.starts.append(self.now)
        self.durations.append(ticks)
        self.pitches.append(pitch)
        return len(self.starts) - 1

    def by_name(self) -> dict[str, int]:
        """Return the notes of the last chord by their names, which none of them shares."""
        return {_named(note)[0]: at for note, at in self.last.items()}

    def lasting(self, ticks: int) -> int:
        """Return how long the next chord or rest lasts, within tuplets and broken rhythms."""
        left, q, p = self.tuplet
        if left:
            ticks = _scaled(ticks, q, p)
            self.tuplet = (left - 1, q, p)
        if self.broken is not _EVEN:
            ticks = _scaled(ticks, *self.broken)
            self.broken = _EVEN
        return ticks

    def go_on(self, ticks: int, last: dict[str, int]) -> None:
        """Go on by a chord or a rest."""
        self.last, self.lasted = last, ticks
        self.now += ticks
        if self.now > _MAX_QUARTERS * _TICKS:
            raise _too_long(self.now)

    def add_plain(self, note: str, pitch: int, ticks: int) -> None:
        """Add a note that is no chord and that no tie changes, and go on by it."""
        if self.tuplet[0]:
            ticks = _scaled(ticks, self.lasting(_WHOLE), _WHOLE)
        elif self.broken is not _EVEN:
            ticks = _shifted(ticks, self.broken)
            self.broken = _EVEN
        ticks = ticks or 1
        self.last, self.lasted = {note: len(self.starts)}, ticks
        self.starts.append(self.now)
        self.durations.append(ticks)
        self.pitches.append(pitch)
        self.now += ticks
        if self.now > _MAX_QUARTERS * _TICKS:
            raise _too_long(self.now)

    def add_broken(self, found: Iterable[str], pitches: Mapping[str, int], ticks: Mapping[str, int]) -> None:
        """Do as `add_plain` and `shift` do one by one. The first is a note."""
        starts, durations, midi = self.starts, self.durations, self.pitches
        now, lasted, broken, note = self.now, self.lasted, self.broken, ""
        left, q, p = self.tuplet
        for token in found:
            if token[0] in "<>":
                if broken is _EVEN:
                    mine, broken = _broken(token[:3])
                    before, lasted = lasted, _scaled(lasted, *mine)
                    durations[-1] = max(1, lasted)
                    now += lasted - before
                continue
            note, lasted = token, ticks[token]
            if left:
                part = _scaled(_scaled(_WHOLE, q, p), *broken)
                lasted, broken, left = _scaled(lasted, part, _WHOLE), _EVEN, left - 1
            elif broken is not _EVEN:
                lasted, broken = _shifted(lasted, broken), _EVEN
            lasted = lasted or 1
            starts.append(now)
            durations.append(lasted)
            midi.append(pitches[note])
            now += lasted
            if now > _MAX_QUARTERS * _TICKS:
                raise _too_long(now)
        self.now, self.lasted, self.broken, self.tuplet = now, lasted, broken, (left, q, p)
        self.last = {note: len(starts) - 1}

    def add_in_a_row(self, notes: Sequence[str], pitches: Iterable[int], ticks: list[int]) -> None:
        """Add notes, one after the other, that neither a tie nor a broken rhythm changes."""
        left, q, p = self.tuplet
        if left:
            factor = _scaled(_WHOLE, q, p)
            ticks = [_scaled(one, factor, _WHOLE) for one in ticks]
            self.tuplet = (left - len(notes), q, p)
        if min(ticks) < 1:
            ticks = [max(1, one) for one in ticks]
        times = list(itertools.accumulate(ticks, initial=self.now))
        if times[-1] > _MAX_QUARTERS * _TICKS:
            raise _too_long(next(time for time in times if time > _MAX_QUARTERS * _TICKS))
        self.now, self.lasted = times.pop(), ticks[-1]
        self.starts += times
        self.durations += ticks
        self.pitches += pitches
        self.last = {notes[-1]: len(self.starts) - 1}

    def shift(self, signs: str) -> None:
        """Make the last chord longer and the next one shorter, or the other way round."""
        if self.broken is not _EVEN:  # it is already
            return
        mine, self.broken = _broken(signs[:3])
        lasted = _scaled(self.lasted, *mine)
        change = lasted - self.lasted
        for at in self.last.values() if len(self.last) == 1 else self.by_name().values():
            duration = self.durations[at] + change
            self.durations[at] = duration if duration > 0 else 1
        self.now += change
        self.lasted = lasted


class TuneReader:
    """A tune: what was read of it.

    title: its first title. tempos, meters: in order of start.

    >>> reader = TuneReader("L:1/4\\nK:C\\ncd")
    >>> reader.notes()[1]
    Note(start=1.0, duration=1.0, pitch=74)
    """

    def __init__(self, text: str) -> None:
        self.title = ""
        self.tempos: list[Tempo] = []
        self.meters: list[Meter] = []
        self._voices = {"": _Voice()}
        self._voice = self._voices[""]
        self._key: Mapping[str, int] = {}
        self._meter = (4, 4)
        self._unit = 0  # ticks; 0 is what the meter says
        self._ticks = _Ticks(0)
        self._chord: list[tuple[str, int, int]] | None = None  # within brackets: note, pitch, ticks
        self._bound: set[str] = set()  # the names of those that are tied within it
        self._left = _MAX_NOTES
        self._read(text)

    def __repr__(self) -> str:
        return f"<lstmgen.music.abc_reading.TuneReader {brief(self.title)}, {len(self._voices)} voices>"

    def notes(self) -> list[Note]:
        """Return the notes of all voices, in order.

        >>> TuneReader("K:C\\nV:1\\ne\\nV:2\\nc").notes()[0]
        Note(start=0.0, duration=0.5, pitch=72, track=2)
        """
        found: list[Note] = []
        for track, voice in self._tracks():
            quarters = {ticks: ticks / _TICKS for ticks in set(voice.durations)}  # few durations, many notes
            starts = [start / _TICKS for start in voice.starts]
            durations = map(quarters.__getitem__, voice.durations)
            columns = (starts, durations, voice.pitches, itertools.repeat(VELOCITY), itertools.repeat(track))
            found += map(Note._make, zip(*columns, strict=False))
        found.sort()
        return found

    def rows(self) -> list[tuple[int, int, int, int, int]]:
        """Return the notes of all voices as rows of start, pitch, track, duration and velocity.

        Times are points of the grid.

        >>> TuneReader("K:C\\ncd").rows()
        [(0, 72, 1, 12, 80), (12, 74, 1, 12, 80)]
        """
        found: list[tuple[int, int, int, int, int]] = []
        for track, voice in self._tracks():
            found += [
                (math.floor(start / _TICKS * GRID + 0.5), pitch, track, _points(ticks), VELOCITY)
                for start, ticks, pitch in zip(voice.starts, voice.durations, voice.pitches, strict=True)
            ]
        return found

    def _tracks(self) -> Iterator[tuple[int, _Voice]]:
        """Yield the voices that have notes, and their tracks."""
        voices = [voice for voice in self._voices.values() if voice.starts]
        for track, voice in enumerate(voices, 1):
            yield min(track, TRACKS), voice

    def _read(self, text: str) -> None:
        in_header = True
        for line in text.split("\n"):
            field = FIELD.match(line) if ":" in line else None
            if field and (in_header or field[1] in IN_MUSIC):
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
            key = _signature(value)
            self._key = self._key if key is None else key
            self._last_for(self._unit or self._unit_of_meter())
        elif name == "M":
            meter = meter_of(value)
            self._meter = meter or (4, 4)
            if meter and meter[0] <= BEATS and meter[1] in UNITS:
                _put(self.meters, Meter(self._voice.now / _TICKS, *meter))
        elif name == "Q" and (found := _TEMPO.search(value)):
            parts = (part.split("/") for part in found[1].split())
            bpm = 4 * sum(int(a) / max(int(b), 1) for a, b in parts) * int(found[2])
            if 4 <= bpm <= 1000:
                _put(self.tempos, Tempo(self._voice.now / _TICKS, bpm))
        elif name == "L" and (found := UNIT.match(value)):
            self._last_for(max(1, round(4 * _TICKS * int(found[1]) / max(int(found[2]), 1))))
        elif name == "V" and value:
            voice = value.split()[0]
            if voice not in self._voices:
                if len(self._voices) > _MAX_VOICES:
                    raise AbcError(f"expected a tune of at most {_MAX_VOICES:,} voices, found more")
                self._voices[voice] = _Voice()
            self._voice = self._voices[voice]

    def _last_for(self, unit: int) -> None:
        """Let notes last for a unit from here on."""
        if unit != self._unit:
            self._unit, self._ticks = unit, _Ticks(unit)

    def _unit_of_meter(self) -> int:
        return _TICKS // 4 if 4 * self._meter[0] < 3 * self._meter[1] else _TICKS // 2

    def _line(self, line: str) -> None:
        for found in TOKEN.finditer(line):
            kind = found.lastgroup
            if kind == "notes":
                text = found[0]
                if "<" in text or ">" in text:
                    self._notes_and_broken(text)
                else:
                    self._notes(text)
            elif kind == "bar":
                voice = self._voice
                voice.bar = voice.now = voice.end = max(voice.now, voice.end)
                voice.reset()
            elif kind == "signed":
                self._signed(found[0])
            elif kind == "tie":
                if self._chord:
                    self._bound.add(_named(self._chord[-1][0])[0])
                else:
                    self._voice.tied = self._voice.by_name()
            elif kind == "broken":
                self._voice.shift(found[0])
            elif kind == "rest":
                voice = self._voice
                voice.tied = {}
                voice.go_on(voice.lasting(_scaled(self._unit, *fraction(found["rest_length"]))), {})
            elif kind == "tuplet":
                p, q, r = int(found["p"]), int(found["q"] or 0), int(found["r"] or 0)
                compound = self._meter[0] % 3 == 0 and self._meter[0] > 3
                self._voice.tuplet = (r or p, q or _TUPLETS.get(p, 3 if compound else 2), p)
            elif kind == "field":
                self._field(found["name"], found["value"].strip())
            elif kind == "open":
                self._chord = []
            elif kind == "close":
                self._close(fraction(found["chord_length"]))
            elif kind == "overlay":
                voice = self._voice
                voice.end, voice.now = max(voice.now, voice.end), voice.bar
                voice.tied, voice.last, voice.lasted = {}, {}, 0
                voice.reset()
            elif kind == "bars":
                whole = _scaled(4 * _TICKS, self._meter[0] * int(found["count"] or 1), self._meter[1])
                self._voice.tied = {}
                self._voice.go_on(whole, {})
        self._close(_EVEN)

    def _notes_and_broken(self, text: str) -> None:
        """Add notes in a row with broken rhythms between them."""
        voice, found = self._voice, _NOTES_AND_BROKEN.findall(text)
        count = sum(1 for token in found if token[0] not in "<>")
        if self._chord is None and not voice.tied and count <= self._left:
            self._left -= count
            voice.add_broken(found, voice.pitches_in(self._key), self._ticks)
            return
        for part in _BROKEN.split(text):
            if part[:1] in ("<", ">"):
                voice.shift(part)
            elif _NOTES.search(part):
                self._notes(part)

    def _notes(self, text: str) -> None:
        """Add notes in a row, or notes of the chord that is open."""
        notes = _NOTES.findall(text) if len(text) > 1 else [text]
        self._left -= len(notes)
        if self._left < 0:
            del notes[self._left :]
        voice, at, ticks = self._voice, 0, self._ticks
        pitches = voice.pitches_in(self._key)
        if self._chord is not None:
            pitch_of = voice.pitch_of if voice.tied else pitches.__getitem__
            self._chord += [(note, pitch_of(note), ticks[note]) for note in notes]
            at = len(notes)
        while at < len(notes):
            note = notes[at]
            if voice.tied:
                self._single(note, voice.pitch_of(note))
                at += 1
            elif at > len(notes) - _FEW or voice.broken is not _EVEN:
                voice.add_plain(note, pitches[note], ticks[note])
                at += 1
            else:
                row = notes[at : at + voice.tuplet[0]] if voice.tuplet[0] else notes[at:]
                voice.add_in_a_row(row, map(pitches.__getitem__, row), list(map(ticks.__getitem__, row)))
                at += len(row)
        if self._left < 0:
            raise _too_many()

    def _signed(self, note: str) -> None:
        """Add a note that has an accidental."""
        self._left -= 1
        if self._left < 0:
            raise _too_many()
        _, letter, natural = _named(note)
        sign = _SIGNS[note[: 2 if note[1] in "^_" else 1]]
        self._voice.alter(letter, sign)
        if self._chord is not None:
            self._chord.append((note, _midi(natural + sign), self._ticks[note]))
        else:
            self._single(note, _midi(natural + sign))

    def _single(self, note: str, pitch: int) -> None:
        voice, ticks = self._voice, self._ticks[note]
        if voice.tuplet[0] or voice.broken is not _EVEN:
            ticks = _scaled(ticks, voice.lasting(_WHOLE), _WHOLE)
        ticks = ticks or 1
        last = {note: voice.add(note, pitch, ticks)}
        if voice.tied:
            voice.tied = {}
        voice.go_on(ticks, last)

    def _close(self, factor: tuple[int, int]) -> None:
        """End a chord, if one is open. The first of its notes says how long it lasts."""
        chord, self._chord = self._chord, None
        if not chord:
            return
        voice, last, lasted = self._voice, {}, 0
        part = voice.lasting(_WHOLE) if voice.tuplet[0] or voice.broken is not _EVEN else _WHOLE
        for note, pitch, ticks in chord:
            if factor != _EVEN or part != _WHOLE:
                ticks = _scaled(_scaled(ticks, *factor), part, _WHOLE)
            ticks = ticks or 1
            if ticks > _MAX_QUARTERS * _TICKS:  # it need not be the first
                raise _too_long(voice.now + ticks)
            last[_named(note)[0]] = voice.add(note, pitch, ticks)
            lasted = lasted or ticks
        voice.go_on(lasted, last)
        voice.tied = {}
        if self._bound:
            voice.tied = {name: last[name] for name in self._bound if name in last}
            self._bound.clear()


def _too_many() -> AbcError:
    return AbcError(f"expected a tune of at most {_MAX_NOTES:,} notes, found more")


def _too_long(ticks: int) -> AbcError:
    return AbcError(f"expected a tune of at most {_MAX_QUARTERS} quarters, found {ticks / _TICKS:.0f}")


@functools.lru_cache(1024)
def _points(ticks: int) -> int:
    return max(grid_points(ticks / _TICKS), 1)


def _midi(pitch: int) -> int:
    return min(max(pitch, 0), 127)


@functools.lru_cache(1024)
def _named(note: str) -> tuple[str, str, int]:
    """Return the name of a note, its letter, and its pitch without signs.

    The name is what is written without the accidental and the length.

    >>> _named("^c'3/2")
    ("c'", 'C', 84)
    """
    parts = _PARTS.match(note)
    assert parts is not None
    of = parts[3].upper()
    octaves = (6 if parts[3].islower() else 5) + parts[4].count("'") - parts[4].count(",")
    return parts[2], of, 12 * octaves + STEPS[of]


@functools.lru_cache(1024)
def _scaled(ticks: int, numerator: int, denominator: int) -> int:
    """Return a part of a time, to the nearest tick."""
    return (2 * ticks * numerator + denominator) // (2 * denominator)


@functools.lru_cache(1024)
def _shifted(ticks: int, factor: tuple[int, int]) -> int:
    """Return how long a note lasts after a broken rhythm."""
    return _scaled(ticks, _scaled(_WHOLE, *factor), _WHOLE)


@functools.lru_cache
def _broken(signs: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the factors of the notes before and after a broken rhythm.

    >>> _broken("<<")
    ((1, 4), (7, 4))
    """
    parts = 2 ** len(signs)
    long, short = (2 * parts - 1, parts), (1, parts)
    return (long, short) if signs[0] == ">" else (short, long)


@functools.lru_cache(1024)
def fraction(length: str) -> tuple[int, int]:
    """Return what stands after a note.

    >>> fraction(""), fraction("3/2"), fraction("//"), fraction("/3")
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


def meter_of(value: str) -> tuple[int, int] | None:
    """Return a time signature; None for free meter.

    >>> meter_of("C|"), meter_of("3+2/8"), meter_of("none")
    ((2, 2), (5, 8), None)
    """
    if value.startswith("C"):
        return (2, 2) if value.startswith("C|") else (4, 4)
    found = _METER.match(value)
    if not found:
        return None
    return sum(map(int, found[1].split("+"))) or 1, int(found[2]) or 1


@functools.lru_cache(256)
def _signature(value: str) -> Mapping[str, int] | None:
    """Return the sharps, 1, and flats, -1, of a key by their letters.

    None is what names no key, but a clef.

    >>> _signature("F#m"), _signature("D mix ^g")
    ({'F': 1, 'C': 1, 'G': 1}, {'F': 1, 'G': 1})
    """
    found = _KEY.match(value)
    changes = _CHANGE.findall(value)
    signs: dict[str, int] = {}
    if value.startswith("Hp"):
        signs = {"F": 1, "C": 1}
    elif found:
        mode = "" if found[3] == "M" else found[3].lower()
        signs = signs_of(fifths_of(found[1]) + {"#": 7, "b": -7}.get(found[2], 0) + _MODES.get(mode[:3], 0))
    elif not changes and not value.lower().startswith(("hp", "none", "exp")):
        return None
    return signs | {letter.upper(): _SIGNS[sign] for sign, letter in changes}


def fifths_of(letter: str) -> int:
    """Return how many fifths above C a major key is, by its letter.

    >>> fifths_of("D")
    2
    """
    return _SHARPS.index(letter) - 1


def signs_of(fifths: int) -> dict[str, int]:
    """Return the signs of the key that is a number of fifths above C major.

    >>> signs_of(-2)
    {'B': -1, 'E': -1}
    """
    order, sign = (_SHARPS, 1) if fifths > 0 else (_SHARPS[::-1], -1)
    signs: dict[str, int] = {}
    for i in range(abs(fifths)):
        signs[order[i % 7]] = signs.get(order[i % 7], 0) + sign
    return signs
