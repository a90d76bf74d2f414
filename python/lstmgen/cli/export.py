"""`lstmgen export`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from lstmgen import exporting, files
from lstmgen.binfile import writer
from lstmgen.cli.sample import add_option
from lstmgen.exporting import ExportOptions
from lstmgen.options import RECOMMENDED, TABLE, checked
from lstmgen.vocabulary import reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model", help="a file that Keras saved: .h5, .keras, or weights only; or a .bin, for another --dtype"
    )
    parser.add_argument("out", help="the .bin to write")
    add_model_arguments(parser)
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument("--vocab-from", metavar="CORPUS", help="text: its characters, sorted, are the vocabulary")
    vocabulary.add_argument(
        "--vocab", metavar="FILE", help="JSON: list of elements, object from or to indices, Keras tokenizer, notes"
    )
    parser.add_argument(
        "--labels", type=lambda text: text.split(","), metavar="A,B,C", help="of each output: the model classifies"
    )
    parser.add_argument("--lower", action="store_true", help="lower-case the corpus before")
    parser.add_argument("--vocab-encoding", metavar="NAME", help="of the corpus (utf-8)")
    parser.add_argument(
        "--vocabulary-kind",
        choices=writer.VOCABULARY_KINDS,
        help="whether the elements, joined, are the text (if all are single characters)",
    )
    parser.add_argument("--encoding", choices=writer.ENCODINGS, help="how an element is fed in (inferred)")
    parser.add_argument("--dtype", choices=writer.DTYPES, default="f32", help="of the matrices (f32)")
    parser.add_argument("--prime", metavar="TEXT", help="the default prime (the first window of the corpus)")
    for fact in ("name", "description", "author"):
        parser.add_argument(f"--{fact}", help=f"{fact} of the model, for people")
    parser.add_argument("--license", help="SPDX identifier of the licence of the weights")
    parser.add_argument("--source-url", metavar="URL", help="where the training data came from")
    parser.add_argument("--card", metavar="JSON", help="file with more facts for people")
    recommended = parser.add_argument_group("recommended for sampling: `lstmgen sample` uses it unless told otherwise")
    for name in RECOMMENDED:
        add_option(recommended, name, TABLE[name], "none")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what may be told about a file of Keras to a command line."""
    parser.add_argument(
        "--config", metavar="JSON", help="architecture of a file of weights: a to_json file, or 'LSTM(128), Dense(52)'"
    )
    parser.add_argument("--output-layer", dest="output", metavar="NAME", help="of a model with several outputs")
    parser.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")


def with_sample(card: str, sample: dict[str, Any]) -> str:
    """The card, the text of a JSON object, with the options that are recommended for sampling."""
    facts = json.loads(exporting.card_text(card) or "{}")
    return json.dumps({**facts, "sample": sample}, ensure_ascii=False)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    given = {key: value for key, value in vars(args).items() if value is not None}
    options: Any = {k: v for k, v in given.items() if k in ExportOptions.__annotations__}
    if args.card is not None:
        options["card"] = reading.read_text(args.card)
    if sample := checked("export", {name: given[name] for name in RECOMMENDED if name in given}, RECOMMENDED):
        options["card"] = with_sample(options.get("card", "{}"), sample)
    exporting.check_other_file(args.model, args.out)
    exported = exporting.build(args.model, options)
    files.write(args.out, exported.data)
    for sentence in exported.assumed:
        print(f"assumed: {sentence}", file=sys.stderr)
    if exported.nameless:
        print("no vocabulary: sample gives ids; --vocab-from or --vocab gives them names", file=sys.stderr)
    print(f"{args.out}: {os.path.getsize(args.out):,} bytes", file=sys.stderr)
