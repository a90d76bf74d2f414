"""A piece of music, which is made of elements or notes and written as files of many kinds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from lstmgen.errors import OptionError, OptionTypeError
from lstmgen.files import write
from lstmgen.music import elements as _elements
from lstmgen.music.formats import SYNTHS, WRITABLE, suffix_of
from lstmgen.music.midi import midi_file
from lstmgen.music.notes import Note, check_notes
from lstmgen.options import Integer, as_float, choice, texts
from lstmgen.options import path as checked_path


class Music:
    """Notes that can be written as files.

    notes: `Note`s in any order; the attribute `notes` has them in order of start and then pitch.

    >>> tune = Music([Note(1, 0.5, 64), Note(0, 1, 60)])
    >>> tune
    <lstmgen.music.Music of 2 notes, 1.5 quarters>
    >>> tune.notes[0].pitch
    60
    """

    def __init__(self, notes: Iterable[Note]) -> None:
        self.notes = sorted(check_notes(notes), key=lambda n: (n.start, n.pitch))

    @property
    def length(self) -> float:
        """Quarters from 0 to the end of the last note; 0 without notes.

        >>> Music([Note(3, 0.5, 60)]).length
        3.5
        """
        return max((note.start + note.duration for note in self.notes), default=0.0)

    def to_stream(self, *, bpm: float = 100, staves: int = 1) -> Any:
        """Return a `music21.stream.Score` for a piano.

        Notes that start and end together are a chord.

        bpm: quarters a minute.
        staves: 1, or 2 that part at middle C.

        Raises `ImportError` without music21.

        >>> len(Music([Note(0, 1, 60), Note(0, 1, 64)]).to_stream().flatten().notes)
        1
        """
        from lstmgen.music import scores

        check_bpm(bpm)
        staves = Integer(1, most=2).check("staves", staves)
        return scores.to_stream(self.notes, bpm=bpm, staves=staves)

    def write(self, path: str | os.PathLike[str], *, bpm: float = 100, synth: str | None = None) -> None:
        """Write a file of the kind that its suffix names, whole or not at all.

        path: a name with a suffix of `WRITABLE`. MusicXML needs music21, and is rounded to
            sixteenths, triplets and halves of these. Sound in any form but `.wav` needs a program
            that encodes it. `.png` is a piano roll, and needs matplotlib.
        bpm: quarters a minute, 4 to 1000.
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
        check_bpm(bpm)
        if synth is not None:
            choice("synth", synth, SYNTHS)
        write(path, WRITERS[WRITABLE[kind]](self.notes, bpm, synth))

    def _repr_html_(self) -> str:
        from lstmgen.notebook import music_player

        return music_player(self.notes)

    def __repr__(self) -> str:
        return f"<lstmgen.music.Music of {len(self.notes)} notes, {self.length:g} quarters>"


def decode(elements: str | Sequence[str], *, notation: str | None = None) -> Music:
    """Return the music of elements, in whatever order a network has drawn them.

    elements: a list, or text with white space between them.
    notation: "events", "lesson" or "melody", see `lstmgen.music.elements`; None is the one that
        the elements are recognised as. "melody" does not say how long a symbol lasts, so a
        `UserWarning` says what is assumed if it is recognised.

    Raises `ValueError` for another notation, and for an element that is not of the notation.

    >>> decode("d12 n60 t12 n64").notes
    [Note(start=0.0, duration=0.5, pitch=60), Note(start=0.5, duration=0.5, pitch=64)]
    >>> decode("60 _ _ _ r _ 64 _", notation="melody").notes
    [Note(start=0.0, duration=1.0, pitch=60), Note(start=1.5, duration=0.5, pitch=64)]
    """
    elements = elements.split() if isinstance(elements, str) else texts("elements", elements)
    if notation is None:
        notation, assumed = _elements.recognise(elements)
        if assumed:
            warnings.warn(assumed, stacklevel=2)
    return Music(_elements.decode_notes(elements, notation))


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


def _midi(notes: Sequence[Note], bpm: float, _synth: str | None) -> bytes:
    return midi_file(notes, bpm)


def _musicxml(notes: Sequence[Note], bpm: float, _synth: str | None) -> bytes:
    from lstmgen.music import scores

    return scores.musicxml_file(notes, bpm)


def _wav(notes: Sequence[Note], bpm: float, synth: str | None) -> bytes:
    from lstmgen.music import audio, mastering

    audio.check_seconds(max(n.start + n.duration for n in notes) * 60 / bpm)
    if synth == "fluidsynth" or (synth is None and audio.soundfont_at_hand()):  # which has a room of its own
        sound, rate = audio.samples_of(audio.fluidsynth(midi_file(notes, bpm)))
        return audio.wav(mastering.levelled(sound, rate), rate)
    second = 60 / bpm
    sound = audio.render([(n.start * second, n.duration * second, n.pitch) for n in notes])
    return audio.wav(mastering.mastered(sound, audio.RATE))


def _mp3(notes: Sequence[Note], bpm: float, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(notes, bpm, synth), "mp3")


def _ogg(notes: Sequence[Note], bpm: float, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(notes, bpm, synth), "ogg")


def _flac(notes: Sequence[Note], bpm: float, synth: str | None) -> bytes:
    from lstmgen.music import audio

    return audio.compressed(lambda: _wav(notes, bpm, synth), "flac")


def _png(notes: Sequence[Note], _bpm: float, _synth: str | None) -> bytes:
    from lstmgen.music import piano_roll

    return piano_roll.png(notes)


# Notes, quarters a minute and the synthesiser in; the bytes of a file out.
WRITERS: Mapping[str, Callable[[Sequence[Note], float, str | None], bytes]] = {
    "midi": _midi,
    "musicxml": _musicxml,
    "wav": _wav,
    "mp3": _mp3,
    "ogg": _ogg,
    "flac": _flac,
    "png": _png,
}
