"""What a notebook shows of music: a player with its sound, and its piano roll.

Both are HTML without scripts that needs no network.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from lstmgen.errors import OptionError
from lstmgen.music.notes import Note, check_notes

_HEARD = 180.0  # seconds of music in a page: 8 MB
_RATE = 22_050  # samples a second of it


def player(notes: Sequence[Note], sounds: Sequence[tuple[float, float, int, int]]) -> str:
    """Return an audio player, and the piano roll, in HTML.

    notes: what is drawn; there may be none.
    sounds: what is heard: start and duration in seconds, pitch, and velocity of each. It is played
        by the built-in piano, the first three minutes of it.

    >>> "<audio" in player([Note(0, 1, 60)], [(0.0, 0.5, 60, 64)])
    True
    """
    from lstmgen.music import audio  # needs numpy

    if not notes:
        return "<i>no notes</i>"
    heard = [(start, min(duration, _HEARD - start), n, v) for start, duration, n, v in sounds if start < _HEARD]
    sound = audio.wav(audio.render(heard, _RATE).mean(1, keepdims=True), _RATE)
    cut = "" if len(heard) == len(sounds) else f" <small>(the first {_HEARD / 60:g} minutes)</small>"
    data = base64.b64encode(sound).decode()
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>{cut}<br>{roll_svg(notes)}'


def roll_svg(notes: Sequence[Note]) -> str:
    """Return a piano roll as SVG, 12 pixels a quarter or more: at least 640 wide.

    notes: at least one.

    >>> roll_svg([Note(0, 1, 60)]).count("<rect")
    1
    """
    notes = check_notes(notes)
    if not notes:
        raise OptionError("notes", "at least one note", notes)
    end = max(note.start + note.duration for note in notes)
    low, high = min(note.pitch for note in notes), max(note.pitch for note in notes)
    alike = len({note.velocity for note in notes}) == 1

    def shade(note: Note) -> str:
        return "" if alike else f' opacity="{0.3 + 0.7 * note.velocity / 127:.2f}"'

    bars = "".join(
        f'<rect x="{note.start:.3f}" y="{high - note.pitch}" width="{note.duration:.3f}" height="0.9" '
        f'fill="hsl({note.pitch * 7 % 12 * 30},70%,45%)"{shade(note)}/>'
        for note in notes
    )
    lines = "".join(
        f'<line x1="0" x2="{end:.3f}" y1="{high - c + 0.45}" y2="{high - c + 0.45}" stroke="#8884" stroke-width="0.1"/>'
        for c in range(12 * (-(-low // 12)), high + 1, 12)
    )
    height = high - low + 1
    return (
        f'<div style="overflow-x:auto"><svg width="{max(640, round(12 * end))}" height="{6 * height}" '
        f'viewBox="0 0 {end:.3f} {height}" preserveAspectRatio="none" role="img" aria-label="piano roll">'
        f"{lines}{bars}</svg></div>"
    )
