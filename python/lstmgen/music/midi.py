"""MIDI files out, byte by byte, without music21: exact, and a thousand times faster.

Source of the format: "Standard MIDI Files 1.0", MIDI Manufacturers Association.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from lstmgen.music.notes import GRID, GridNote, Note

VELOCITY = 80  # of every note, 1 to 127
_TICKS = 20  # to a point of the grid: 480 to a quarter


def midi_file(notes: Iterable[Note], bpm: float) -> bytes:
    """Return a MIDI file of one track, for a grand piano.

    notes: in any order; times are rounded to the grid of 24 points to a quarter.
    bpm: quarters a minute, 4 to 1000.

    >>> midi_file([Note(0, 1, 60)], 100)[:14].hex()
    '4d546864000000060000000101e0'
    """
    messages = []
    for start, duration, pitch in map(GridNote.of, notes):
        messages.append((start, 1, bytes([0x90, pitch, VELOCITY])))
        messages.append((start + duration, 0, bytes([0x80, pitch, 0])))
    track = b"\0\xff\x51\x03" + round(60e6 / bpm).to_bytes(3, "big")  # tempo, microseconds a quarter
    track += b"\0\xc0\0"  # program 0, a grand piano
    now = 0
    for time, _order, message in sorted(messages):  # what ends at a time comes before what begins
        track += _variable_length((time - now) * _TICKS) + message
        now = time
    track += b"\0\xff\x2f\0"  # end of the track
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, GRID * _TICKS)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _variable_length(number: int) -> bytes:
    """Return a number in groups of seven bits. All bytes but the last have the highest bit set."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))
