"""Music: files in, elements that a network reads and draws, files out.

>>> from lstmgen import music
>>> tune = music.decode("d12 n60 t12 n64 t12 n67")
>>> len(tune.notes), tune.length
(3, 1.5)

The arrows point one way, from the right to the left:

    notes  <-  abc_reading  <-  abc_notation
    notes  <-  elements, midi, abc_notation, scores, audio, piano_roll  <-  piece
    piece  <-  statistics, outputs
    formats, elements, scores  <-  parsing  <-  reading, timed_notes  <-  note_generator
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstmgen.music.abc_notation import Tune, read_abc
    from lstmgen.music.abc_reading import AbcError
    from lstmgen.music.elements import DECODED, KEPT, KEYS, LONGEST, NOTATIONS, STEPS, encode, transposed
    from lstmgen.music.formats import READABLE, WRITABLE
    from lstmgen.music.note_generator import NoteGenerator, NoteStream
    from lstmgen.music.notes import GRID, PIANO, Meter, Note, Pedal, Tempo
    from lstmgen.music.outputs import check_music_outputs, check_outputs, is_music
    from lstmgen.music.piece import Music, decode
    from lstmgen.music.reading import Pieces, read_pieces
    from lstmgen.music.statistics import (
        Repeat,
        duration_histogram,
        longest_repeat,
        mean_polyphony,
        pitch_class_histogram,
        repeated_note_runs,
        share_of_copies,
        stuck,
    )
    from lstmgen.music.timed_notes import TimedNote, of_timed_notes, read_timed_notes

_HOMES = {
    "abc_notation": ("Tune", "read_abc"),
    "abc_reading": ("AbcError",),
    "elements": ("DECODED", "KEPT", "NOTATIONS", "KEYS", "LONGEST", "STEPS", "encode", "transposed"),
    "formats": ("READABLE", "WRITABLE"),
    "note_generator": ("NoteGenerator", "NoteStream"),
    "notes": ("GRID", "PIANO", "Meter", "Note", "Pedal", "Tempo"),
    "outputs": ("check_music_outputs", "check_outputs", "is_music"),
    "piece": ("Music", "decode"),
    "reading": ("Pieces", "read_pieces"),
    "statistics": (
        *("Repeat", "duration_histogram", "longest_repeat", "mean_polyphony", "pitch_class_histogram"),
        *("repeated_note_runs", "share_of_copies", "stuck"),
    ),
    "timed_notes": ("TimedNote", "of_timed_notes", "read_timed_notes"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DECODED",
    "GRID",
    "KEPT",
    "KEYS",
    "LONGEST",
    "NOTATIONS",
    "PIANO",
    "READABLE",
    "STEPS",
    "WRITABLE",
    "AbcError",
    "Meter",
    "Music",
    "Note",
    "NoteGenerator",
    "NoteStream",
    "Pedal",
    "Pieces",
    "Repeat",
    "Tempo",
    "TimedNote",
    "Tune",
    "check_music_outputs",
    "check_outputs",
    "decode",
    "duration_histogram",
    "encode",
    "is_music",
    "longest_repeat",
    "mean_polyphony",
    "of_timed_notes",
    "pitch_class_histogram",
    "read_abc",
    "read_pieces",
    "read_timed_notes",
    "repeated_note_runs",
    "share_of_copies",
    "stuck",
    "transposed",
]


def __getattr__(name: str) -> object:
    # Imported at first use: who writes MIDI needs neither the readers nor numpy.
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lstmgen.music' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"lstmgen.music.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
