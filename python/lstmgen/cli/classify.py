"""`lstmgen classify`."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import lstmgen
from lstmgen.cli.keras_options import add_labels_argument, add_vocab_argument
from lstmgen.cli.main import reason
from lstmgen.cli.sample import add_option
from lstmgen.cli.streams import DASH, as_path, check_one_stdin, file_name, model_source, read_text
from lstmgen.cli.terminal import json_list, say, short
from lstmgen.escaping import printable
from lstmgen.inputs import MAX_CORPUS
from lstmgen.options import TABLE

if TYPE_CHECKING:
    from lstmgen.classifying import Classification


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model",
        type=file_name,
        help="a .bin with labels, or a model saved by Keras, with --labels; - is stdin",
    )
    # Not "*": argparse would then take no sequences after an option. With --file there are none.
    sequences = parser.add_argument(
        "sequences", nargs="+", default=[], metavar="SEQUENCE", help="text, or numbers such as '0.5 1 -2'"
    )
    sequences.required = False
    parser.add_argument(
        "--file",
        type=as_path,
        help="a .csv of sequence,label or of sequence alone; in any other file, each line is a sequence; - is stdin",
    )
    parser.add_argument("--json", action="store_true", help="print a list in JSON, for programs")
    add_option(parser, "on_unknown", TABLE["on_unknown"])
    keras = parser.add_argument_group("for a model saved by Keras")
    add_labels_argument(keras)
    add_vocab_argument(keras)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.classifying import Classification, classified
    from lstmgen.sequence_files import Row, lines_of, read_sequences

    if bool(args.sequences) == (args.file is not None):
        raise ValueError("give sequences or --file, one of the two")
    check_one_stdin(args.model, args.file)
    options: Any = {name: value for name in ("labels", "vocab") if (value := getattr(args, name)) is not None}
    model = lstmgen.Model(model_source(args.model), **options)
    if args.file:
        name = "stdin" if str(args.file) == DASH else str(args.file)
        rows = lines_of(name, read_text(DASH, MAX_CORPUS)) if name == "stdin" else read_sequences(args.file)
    else:
        rows = [Row(i, sequence, None) for i, sequence in enumerate(args.sequences)]
    right = known = 0
    failed: list[str] = []
    found = classified(model, [row.sequence for row in rows], args.on_unknown or "error")
    with json_list() if args.json else nullcontext(print) as tell:
        for row, one in zip(rows, found, strict=True):
            sequence = row.sequence
            if not isinstance(one, Classification):
                where = f"{name}: line {row.line}" if args.file else f"{sequence!r:.60}"
                failed.append(f"{where}: {reason(one)}")
                if args.json:
                    tell({"sequence": sequence, "error": reason(one)})
                continue
            if row.label:
                known += 1
                right += row.label == one.label
            tell({"sequence": sequence, **one._asdict()} if args.json else _line(sequence, one))
    if known:
        say(f"accuracy {right / known:.1%} ({right} of {known})")
    if failed:
        sys.stdout.flush()
        for line in failed[:-1] if len(failed) > 1 else []:
            say(printable(line))
        share = f" ({len(failed)} of {len(rows)} sequences have no label)" if len(rows) > 1 else ""
        raise ValueError(printable(failed[-1]) + share)


def _line(sequence: str, found: Classification) -> str:
    likely = sorted(found.probabilities.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{label} {share:.4f}" for label, share in likely)
    return printable(f"{short(sequence, '')}: {found.label} ({shares})")
