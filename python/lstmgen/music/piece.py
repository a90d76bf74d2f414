"""A piece of music, which is made of elements or notes and written as files of many kinds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from lstmgen.arguments import Integer, Number, as_float, choice, texts
from lstmgen.arguments import path as checked_path
from lstmgen.errors import OptionError, OptionTypeError
from lstmgen.files import write
from lstmgen.music import elements as _elements
from lstmgen.music.abc_notation import abc_file, read_file
from lstmgen.music.abc_reading import AbcError
from lstmgen.music.formats import SYNTHS, WRITABLE, suffix_of
from lstmgen.music.midi import midi_file
from lstmgen.music.notes import (
    BPM,
    GRID,
    LATEST,
    Meter,
    Note,
    Pedal,
    Tempo,
    check_meters,
    check_notes,
    check_pedals,
    check_tempos,
    clock,
    sounding,
)


class Music:
    """Notes that can be written as files, and what else a piece says.

    notes: `Note`s in any order; the attribute `notes` has them in order of start and then pitch.
    pedals: `Pedal`s, when the sustain pedal is down. Those that overlap become one.
    tempos: `Tempo`s. Before the first one it is 100 quarters a minute.
    meters: `Meter`s, time signatures.

    >>> tune = Music([Note(1, 0.5, 64), Note(0, 1, 60)], tempos=[Tempo(0, 90)])
    >>> tune
    <lstmgen.music.Music of 2 notes, 1.5 quarters>
    >>> tune.notes[0].pitch, tune.seconds(1.5)
    (60, 1.0)
    """

    def __init__(
        self,
        notes: Iterable[Note],
        *,
        pedals: Iterable[Pedal] = (),
        tempos: Iterable[Tempo] = (),
        meters: Iterable[Meter] = (),
    ) -> None:
        self.notes = sorted(check_notes(notes), key=lambda n: (n.start, n.pitch, n.track))
        self.pedals = check_pedals(pedals)
        self.tempos = check_tempos(tempos)
        self.meters = check_meters(meters)

    @property
    def length(self) -> float:
        """Quarters from 0 to the end of the last note; 0 without notes.

        >>> Music([Note(3, 0.5, 60)]).length
        3.5
        """
        return max((note.start + note.duration for note in self.notes), default=0.0)

    def seconds(self, quarters: float, bpm: float | None = None) -> float:
        """Return the seconds from the beginning to a time in quarters.

        quarters: from the beginning on, 0 or more.
        bpm: quarters a minute all the time, 4 to 1000; None: those of the piece.

        >>> Music([Note(0, 1, 60)]).seconds(1, bpm=120)
        0.5
        """
        return self._clock(bpm)(Number(0, 1e12).check("quarters", quarters))

    def sounds(self, bpm: float | None = None) -> list[tuple[float, float, int, int]]:
        """Return what sounds: start and duration in seconds, pitch and velocity.

        bpm: as in `seconds`.

        The pedal lengthens a note until it rises, or the note comes again.

        >>> Music([Note(0, 1, 60)], pedals=[Pedal(0, 4)]).sounds(bpm=60)
        [(0.0, 4.0, 60, 80)]
        """
        time = self._clock(bpm)
        return [
            (time(n.start), time(n.start + n.duration) - time(n.start), n.pitch, n.velocity)
            for n in sounding(self.notes, self.pedals)
        ]

    def elements(self, keep: str | Iterable[str] = ()) -> list[str]:
        """Return the elements of the notation "events".

        keep: what is kept beside pitches and times, as in `lstmgen.music.encode`.

        >>> Music([Note(0, 1, 60)], meters=[Meter(0, 3, 4)]).elements(keep="meter")
        ['m3/4', 'd24', 'n60']
        """
        return _elements.encode(self.notes, keep=keep, pedals=self.pedals, tempos=self.tempos, meters=self.meters)

    def _clock(self, bpm: float | None) -> Callable[[float], float]:
        """Return what turns quarters into seconds."""
        if bpm is not None:
            check_bpm(bpm)
        return clock(self.tempos if bpm is None else [Tempo(0, bpm)])

    def to_stream(self, *, bpm: float | None = None, staves: int = 1) -> Any:
        """Return a `music21.stream.Score` for a piano.

        Notes that start and end together are a chord.

        bpm: quarters a minute all the time; None: those of the piece.
        staves: 1, or 2 that part at middle C, or at the tracks where there are two.

        Raises `ImportError` without music21.

        >>> len(Music([Note(0, 1, 60), Note(0, 1, 64)]).to_stream().flatten().notes)
        1
        """
        from lstmgen.music import scores

        if bpm is not None:
            check_bpm(bpm)
        staves = Integer(1, most=2).check("staves", staves)
        return scores.to_stream(self.notes, self._tempos(bpm), self.meters, staves=staves)

    def _tempos(self, bpm: float | None) -> list[Tempo]:
        """Return the tempos that hold, the first one from the beginning."""
        if bpm is not None:
            return [Tempo(0, bpm)]
        return self.tempos if self.tempos and not self.tempos[0].start else [Tempo(0, BPM), *self.tempos]

    def write(self, path: str | os.PathLike[str], *, bpm: float | None = None, synth: str | None = None) -> None:
        """Write a file of the kind that its suffix names, whole or not at all.

        path: a name with a suffix of `WRITABLE`. MusicXML needs music21, and is rounded to
            sixteenths, triplets and halves of these. ABC has the first tempo, and keeps no
            velocities. Sound in any form but `.wav` needs a program that encodes it. `.png` is a
            piano roll, and needs matplotlib.
        bpm: quarters a minute all the time, 4 to 1000; None: those of the piece, or 100.
        synth: what plays the sound: "builtin", a small piano, or "fluidsynth", a program that needs
            a soundfont. None is fluidsynth where both are installed, and the piano elsewhere.
            Sound has the loudness -18 LUFS, or less where its peaks would be too loud.

        Raises `ValueError` for another suffix, for options out of range, without notes and for more
        than an hour of sound, `OSError` for what cannot be written or run, and `ImportError` for a
        package that is missing.

        >>> from tempfile import TemporaryDirectory
        >>> from pathlib import Path
        >>> with TemporaryDirectory() as folder:
        ...     Music([Note(0, 1, 60)]).write(f"{folder}/a.mid", bpm=60)
        ...     Path(folder, "a.mid").read_bytes()[:4]
        b'MThd'
        """
        kind = suffix_of(checked_path("path", path))
        if kind not in WRITABLE:
            raise ValueError(f"{os.fspath(path)}: expected a name with {', '.join(WRITABLE)}, found {kind or 'none'!r}")
        if not self.notes:
            raise ValueError(f"{os.fspath(path)}: there are no notes to write")
        if bpm is not None:
            check_bpm(bpm)
        if synth is not None:
            choice("synth", synth, SYNTHS)
        write(path, WRITERS[WRITABLE[kind]](self, bpm, synth))

    def _repr_html_(self) -> str:
        from lstmgen.music.player import player

        return player(self.notes, self.sounds() if self.notes else [])

    def __repr__(self) -> str:
        return f"<lstmgen.music.Music of {len(self.notes)} notes, {self.length:g} quarters>"


def decode(elements: str | Sequence[str], *, notation: str | None = None) -> Music:
    """Return the music of elements, in whatever order a network has drawn them.

    elements: a list, or text with white space between them.
    notation: "events", "lesson" or "melody", see `lstmgen.music.elements`; None is the one that
        the elements are recognised as. "melody" does not say how long a symbol lasts, so a
        `UserWarning` says what is assumed if it is recognised. "abc" is a text in ABC notation, or
        the parts of one, and its tunes come one after the other.

    Raises `ValueError` for another notation, for an element that is not of the notation, and for a
    text without a tune.

    >>> decode("d12 n60 t12 n64").notes
    [Note(start=0.0, duration=0.5, pitch=60), Note(start=0.5, duration=0.5, pitch=64)]
    >>> decode("X:1\\nL:1/4\\nK:C\\ncd", notation="abc").length
    2.0
    >>> decode("60 _ _ _ r _ 64 _", notation="melody").notes
    [Note(start=0.0, duration=1.0, pitch=60), Note(start=1.5, duration=0.5, pitch=64)]
    """
    if isinstance(notation, str) and notation == "abc":
        return _tunes(elements if isinstance(elements, str) else "".join(texts("elements", elements)))
    elements = elements.split() if isinstance(elements, str) else texts("elements", elements)
    if notation is None:
        notation, assumed = _elements.recognise(elements)
        if assumed:
            warnings.warn(assumed, stacklevel=2)
    score = _elements.decode_score(elements, notation)
    return Music(
        [note.note for note in score.notes],
        pedals=[Pedal(start / GRID, end / GRID) for start, end in score.pedals],
        tempos=[Tempo(at / GRID, bpm) for at, bpm in score.tempos],
        meters=[Meter(at / GRID, beats, unit) for at, beats, unit in score.meters],
    )


def _tunes(text: str) -> Music:
    """Return the tunes of a text in ABC notation, one after the other."""
    notes: list[Note] = []
    tempos: list[Tempo] = []
    meters: list[Meter] = []
    end = 0.0
    for tune in read_file(text):
        notes += (one._replace(start=one.start + end) for one in tune.notes)
        tempos += (one._replace(start=one.start + end) for one in tune.tempos)
        meters += (one._replace(start=one.start + end) for one in tune.meters)
        end = max((note.start + note.duration for note in notes[-len(tune.notes) or len(notes) :]), default=end)
        if end > LATEST:
            raise AbcError(f"expected tunes of at most {LATEST:,.0f} quarters together, found more")
    return Music(notes, tempos=tempos, meters=meters)


def check_bpm(bpm: object) -> None:
    """Raise `ValueError` for a tempo that files cannot hold.

    MIDI holds none below 4 quarters a minute.

    >>> check_bpm(1)
    Traceback (most recent call last):
    lstmgen.errors.OptionError: bpm: expected 4 to 1000 quarters a minute, found 1
    """
    if isinstance(bpm, bool) or not isinstance(bpm, Real):
        raise OptionTypeError("bpm", "a number", bpm)
    if not 4 <= as_float(bpm) <= 1000:
        raise OptionError("bpm", "4 to 1000 quarters a minute", bpm)


def check_installed(kind: str) -> None:
    """Raise if a program or package that writes a kind of file is not installed.

    kind: a key of `WRITERS`.

    Raises `OSError` that names the programs, or `ImportError` that names the package.

    >>> check_installed("midi")
    """
    if kind == "musicxml":
        from lstmgen.music import scores

        scores.music21()
    elif kind == "png":
        from lstmgen.music import piano_roll

        piano_roll.matplotlib()
    elif kind in ("mp3", "ogg", "flac"):
        from lstmgen.music import audio

        audio.encoder(kind)


# -- one writer for each kind of file --------------------------------------------------------------


def _midi(music: Music, bpm: float | None, _synth: str | None) -> bytes:
    return midi_file(music.notes, bpm, pedals=music.pedals, tempos=music.tempos, meters=music.meters)


def _musicxml(music: Music, bpm: float | None, _synth: str | None) -> bytes:
    from lstmgen.music import scores

    return scores.musicxml_file(music.notes, music._tempos(bpm), music.meters)


def _abc(music: Music, bpm: float | None, _synth: str | None) -> bytes:
    return abc_file(music.notes, music._tempos(bpm), music.meters)


def _wav(music: Music, bpm: float | None, synth: str | None) -> bytes:
    from lstmgen.music import audio, mastering

    audio.check_seconds(music.seconds(music.length, bpm))
    if synth == "fluidsynth" or (synth is None and audio.soundfont_at_hand()):  # which adds its own room
        sound, rate = audio.samples_of(audio.fluidsynth(_midi(music, bpm, None)))
        return audio.wav(mastering.levelled(sound, rate), rate)
    return audio.wav(mastering.mastered(audio.render(music.sounds(bpm)), audio.RATE))


def _mp3(music: Music, bpm: float | None, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(music, bpm, synth), "mp3")


def _ogg(music: Music, bpm: float | None, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(music, bpm, synth), "ogg")


def _flac(music: Music, bpm: float | None, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(music, bpm, synth), "flac")


def _png(music: Music, _bpm: float | None, _synth: str | None) -> bytes:
    from lstmgen.music import piano_roll

    return piano_roll.png(music.notes, music.pedals)


# A piece, quarters a minute and the synthesiser in; the bytes of a file out.
WRITERS: Mapping[str, Callable[[Music, float | None, str | None], bytes]] = {
    "midi": _midi,
    "musicxml": _musicxml,
    "abc": _abc,
    "wav": _wav,
    "mp3": _mp3,
    "ogg": _ogg,
    "flac": _flac,
    "png": _png,
}
