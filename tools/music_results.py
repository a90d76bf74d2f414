"""Compare pieces that a model draws with the music that it learnt from, for docs/results.md.

    python tools/music_results.py music.bin FOLDER_OF_MIDI --pieces 20 --length 1200 --temp 0.9

It prints tables in Markdown: pitch classes, durations, repeated notes, polyphony, and the share of
windows of 8 notes that the corpus has, too. It needs music21.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lstmgen
from lstmgen import music

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def drawn(model: str, pieces: int, length: int, temp: float, carry: bool) -> list[list[str]]:
    """The elements of each piece, from the seeds 1, 2 ..."""
    generator = lstmgen.Generator(model)
    samples = (generator.sample(length, temp, seed=seed, refresh=None if carry else 1) for seed in range(1, pieces + 1))
    return [[str(element) for element in sample] for sample in samples]


def rows(label: str, pieces: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]] | None) -> dict[str, str]:
    """The figures of a set of pieces."""
    scores = [music.decode(piece) for piece in pieces]
    notes = sum(len(score.notes) for score in scores)
    runs: dict[int, int] = {}
    for score in scores:
        for run, count in music.repeated_note_runs(score).items():
            runs[run] = runs.get(run, 0) + count
    figures = {
        "": label,
        "pieces": str(len(pieces)),
        "notes": f"{notes:,}",
        "notes a quarter": f"{notes / sum(score.length for score in scores):.2f}",
        "mean polyphony": f"{np.mean([music.mean_polyphony(score) for score in scores]):.2f}",
        "longest run of one pitch": str(max(runs, default=0)),
        "notes in runs of 5 or more %": f"{100 * sum(k * n for k, n in runs.items() if k >= 5) / notes:.1f}",
        "pieces that are stuck": str(sum(music.stuck(piece) is not None for piece in pieces)),
    }
    if corpus is not None:
        copies = [100 * music.share_of_copies(piece, corpus) for piece in pieces]
        figures["windows of 8 notes that are copies %"] = (
            f"{np.mean(copies):.1f} ({min(copies):.1f} to {max(copies):.1f})"
        )
    return figures


def pitch_classes(pieces: Sequence[Sequence[str]]) -> list[float]:
    """Share of each pitch class, in percent."""
    total = np.zeros(12)
    for piece in pieces:
        score = music.decode(piece)
        total += music.pitch_class_histogram(score) * len(score.notes)
    return [float(share) for share in 100 * total / total.sum()]


def durations(pieces: Sequence[Sequence[str]]) -> dict[float, float]:
    """Share of each duration in quarters, in percent."""
    total: dict[float, float] = {}
    for piece in pieces:
        score = music.decode(piece)
        for duration, share in music.duration_histogram(score).items():
            total[duration] = total.get(duration, 0.0) + share * len(score.notes)
    every = sum(total.values())
    return {duration: 100 * count / every for duration, count in total.items()}


def table(columns: Sequence[dict[str, str]]) -> list[str]:
    """Markdown with a column for each set of pieces."""
    keys = list(columns[-1])
    lines = [f"| | {' | '.join(column[''] for column in columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {key} | {' | '.join(column.get(key, '') for column in columns)} |" for key in keys if key]


def report(args: argparse.Namespace) -> None:
    """Print the tables."""
    corpus = music.read_pieces(args.corpus).pieces
    pieces = drawn(args.model, args.pieces, args.length, args.temp, args.carry)
    print("\n".join(table([rows("corpus", corpus, None), rows("drawn", pieces, corpus)])))
    both = [pitch_classes(corpus), pitch_classes(pieces)]
    print(f"\n| pitch class | {' | '.join(NAMES)} |\n{'|---' * 13}|")
    for label, shares in zip(("corpus %", "drawn %"), both, strict=True):
        print(f"| {label} | {' | '.join(f'{share:.1f}' for share in shares)} |")
    known, found = durations(corpus), durations(pieces)
    common = sorted(sorted(known, key=lambda d: -known[d])[:10])
    print(f"\n| quarters | {' | '.join(f'{d:.3g}' for d in common)} |\n{'|---' * (len(common) + 1)}|")
    for label, of in (("corpus %", known), ("drawn %", found)):
        print(f"| {label} | {' | '.join(f'{of.get(d, 0.0):.1f}' for d in common)} |")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a .bin, or a bundled model's name")
    parser.add_argument("corpus", type=Path, nargs="+", help="music files, or folders of them")
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--length", type=int, default=1200, help="elements a piece")
    parser.add_argument("--temp", type=float, default=0.9)
    parser.add_argument("--carry", action="store_true", help="carry the state on")
    args = parser.parse_args()
    try:
        report(args)
    except (OSError, ValueError, ImportError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
