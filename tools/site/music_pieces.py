"""Draw three pieces of the bundled model `music`, as sound and as piano rolls, for docs/results.md.

Usage: python tools/site/music_pieces.py docs

The seeds are 1, 2 and 3, not chosen by ear. A piece is heard up to its end, or for a minute.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lstmgen
from lstmgen.music import Music, audio, decode, mastering

SEEDS = (1, 2, 3)
TEMP = 1.0
LENGTH = 2000  # elements at most
SECONDS = 60.0
RATE = 22_050  # samples a second, so that a minute takes 200 kB
ENCODER = ("oggenc", "--quiet", "-q", "0", "--downmix", "-o", "-", "-")


def drawn(seed: int) -> Music:
    """Return a piece, cut off after a minute."""
    generator = lstmgen.Generator("music")
    found = generator.sample(LENGTH, TEMP, seed=seed, refresh=None, stop=["end"])
    piece = decode([str(element) for element in found])
    notes = [note for note in piece.notes if piece.seconds(note.start) < SECONDS]
    end = max(note.start + note.duration for note in notes)
    pedals = [pedal for pedal in piece.pedals if pedal.end <= end]
    return Music(notes, pedals=pedals, tempos=piece.tempos, meters=piece.meters)


def main(folder: Path) -> None:
    """Write the files."""
    (folder / "audio").mkdir(exist_ok=True)
    for seed in SEEDS:
        piece = drawn(seed)
        piece.write(folder / "images" / f"music-{seed}.png")
        sound = audio.wav(mastering.mastered(audio.render(piece.sounds(), RATE), RATE), RATE)
        encoded = subprocess.run(ENCODER, input=sound, capture_output=True, check=True).stdout
        (folder / "audio" / f"music-{seed}.ogg").write_bytes(encoded)
        print(f"seed {seed}: {len(piece.notes)} notes, {piece.seconds(piece.length):.0f} s, {len(encoded):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
