"""`lstmgen classify`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import lstmgen
from lstmgen.cli.terminal import printable, short


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin with labels, or a model saved by Keras, with --labels")
    # "+", since "*" would be over before an option that comes first; --file may replace them.
    sequences = parser.add_argument(
        "sequences", nargs="+", default=[], metavar="SEQUENCE", help="text, or numbers such as '0.5 1 -2'"
    )
    sequences.required = False
    parser.add_argument("--file", type=Path, help="a .csv of sequence,label or of sequence alone; else one a line")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--on-unknown", default="error", help="'skip', or an element to put for unknown ones")
    keras = parser.add_argument_group("of a model saved by Keras")
    keras.add_argument("--labels", type=lambda text: text.split(","), metavar="A,B,C", help="of each output")
    keras.add_argument("--vocab", metavar="FILE", help="JSON with the elements that enter")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.classifying import Row, classify, read_sequences

    if bool(args.sequences) == (args.file is not None):
        raise ValueError("give sequences, or --file, and not both")
    options: Any = {name: value for name in ("labels", "vocab") if (value := getattr(args, name)) is not None}
    model = lstmgen.Model(args.model, **options)
    if args.file:
        rows = read_sequences(args.file)
        names = [f"{args.file}: line {row.line}" for row in rows]
    else:
        rows = [Row(i, sequence, None) for i, sequence in enumerate(args.sequences)]
        names = [f"{sequence!r:.60}" for sequence in args.sequences]
    found = classify(model, [row.sequence for row in rows], args.on_unknown, names)
    if args.json:
        facts = [{"sequence": row.sequence, **one._asdict()} for row, one in zip(rows, found, strict=True)]
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for row, one in zip(rows, found, strict=True):
            likely = sorted(one.probabilities.items(), key=lambda item: -item[1])
            shares = ", ".join(f"{label} {share:.4f}" for label, share in likely)
            print(printable(f"{short(row.sequence, '')}: {one.label} ({shares})"))
    known = [(row.label, one.label) for row, one in zip(rows, found, strict=True) if row.label]
    if known:
        right = sum(label == guess for label, guess in known)
        print(f"accuracy {right / len(known):.1%} ({right} of {len(known)})", file=sys.stderr)
