"""Draw three pieces of each bundled model of music, as sound and piano rolls, for docs/results.md.

Usage: python tools/site/music_pieces.py docs

The seeds are 1, 2 and 3, not chosen by ear. A piece is heard up to its end, or for a minute.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lstmgen
from lstmgen.music import Music, audio, decode, mastering, read_abc

SEEDS = (1, 2, 3)
TEMP = 1.0
LENGTH = 2000  # elements at most
MIN_P = {"music": 0.02, "folk": 0.05}  # which the models recommend
SECONDS = 60.0
RATE = 22_050  # samples a second, so that a minute takes 200 kB
ENCODER = ("oggenc", "--quiet", "--serial", "1", "-q", "0", "--downmix", "-o", "-", "-")


def piano_piece(seed: int) -> Music:
    """Return a piece of the model `music`."""
    found = lstmgen.Generator("music").sample(LENGTH, TEMP, seed=seed, refresh=None, min_p=MIN_P["music"], stop=["end"])
    return decode([str(element) for element in found])


def tune(seed: int) -> Music:
    """Return a tune of the model `folk`."""
    text = lstmgen.Generator("folk").sample(LENGTH, TEMP, seed=seed, refresh=None, min_p=MIN_P["folk"], stop=["\n\n"])
    found = next(read_abc(str(text)))
    return Music(found.notes, tempos=found.tempos, meters=found.meters)


def first_minute(piece: Music) -> Music:
    """Return what of a piece begins before a minute is over."""
    notes = [note for note in piece.notes if piece.seconds(note.start) < SECONDS]
    end = max(note.start + note.duration for note in notes)
    pedals = [pedal for pedal in piece.pedals if pedal.end <= end]
    return Music(notes, pedals=pedals, tempos=piece.tempos, meters=piece.meters)


def main(folder: Path) -> None:
    """Write the files."""
    (folder / "audio").mkdir(exist_ok=True)
    for draw, model in ((piano_piece, "music"), (tune, "folk")):
        for seed in SEEDS:
            piece = first_minute(draw(seed))
            piece.write(folder / "images" / f"{model}-{seed}.png")
            sound = audio.wav(mastering.mastered(audio.render(piece.sounds(), RATE), RATE), RATE)
            encoded = subprocess.run(ENCODER, input=sound, capture_output=True, check=True).stdout
            (folder / "audio" / f"{model}-{seed}.ogg").write_bytes(encoded)
            seconds = piece.seconds(piece.length)
            print(f"{model} {seed}: {len(piece.notes)} notes, {seconds:.0f} s, {len(encoded):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
