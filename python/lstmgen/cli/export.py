"""`lstmgen export`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from lstmgen import elements, exporting, files
from lstmgen.binfile import writer
from lstmgen.exporting import ExportOptions
from lstmgen.vocabulary import reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model", help="a file that Keras saved: .h5, .keras, or weights only; or a .bin, for another --dtype"
    )
    parser.add_argument("out", help="the .bin to write")
    add_model_arguments(parser)
    add_element_arguments(parser)
    parser.add_argument("--prime", metavar="TEXT", help="the default prime (the first window of the corpus)")
    parser.add_argument("--dtype", choices=writer.DTYPES, default="f32", help="of the matrices (f32)")
    for fact in ("name", "description", "author"):
        parser.add_argument(f"--{fact}", help=f"{fact} of the model, for people")
    parser.add_argument("--license", help="SPDX identifier of the licence of the weights")
    parser.add_argument("--source-url", metavar="URL", help="where the training data came from")
    parser.add_argument("--card", metavar="JSON", help="file with more facts for people")


def add_element_arguments(parser: Any) -> None:
    """Add what may be told about the elements of a file of Keras to a parser or a group."""
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument("--vocab-from", metavar="CORPUS", help="text: its characters, sorted, are the vocabulary")
    vocabulary.add_argument(
        "--vocab",
        metavar="FILE",
        help="elements: JSON, pickle, .npy or .txt; a list, an object from or to indices, a Keras tokenizer, notes",
    )
    parser.add_argument(
        "--labels", type=lambda text: text.split(","), metavar="A,B,C", help="of each output: the model classifies"
    )
    parser.add_argument("--lower", action="store_true", default=None, help="lower-case the corpus before")
    parser.add_argument(
        "--vocab-encoding", metavar="NAME", help="of the corpus (utf-8), or 'bytes': its bytes are the elements"
    )
    parser.add_argument(
        "--vocabulary-kind",
        choices=writer.VOCABULARY_KINDS,
        help="whether the elements, joined, are the text (if all are single characters)",
    )
    add_entering_arguments(parser)


def add_entering_arguments(parser: Any) -> None:
    """Add what may be told about how elements enter to a parser or a group."""
    parser.add_argument("--encoding", choices=writer.ENCODINGS, help="how an element enters (inferred or measured)")
    parser.add_argument(
        "--input-values",
        type=_input_values,
        metavar="RULE",
        help=f"the number that enters for an element: {', '.join(elements.RULES)}; or one for each, with commas",
    )
    parser.add_argument(
        "--padding",
        metavar="ELEMENT|zeros|none",
        help="what fills the window before a short prime: an element or its id, zero vectors, or nothing (inferred)",
    )


def _input_values(text: str) -> str | list[float]:
    return [float(number) for number in text.split(",")] if "," in text else text


def add_model_arguments(parser: Any) -> None:
    """Add what may be told about the network of a file of Keras to a parser or a group."""
    parser.add_argument(
        "--config", metavar="JSON", help="architecture of a file of weights: a to_json file, or 'LSTM(128), Dense(52)'"
    )
    parser.add_argument("--output-layer", dest="output", metavar="NAME", help="of a model with several outputs")
    parser.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")


def export_options(args: argparse.Namespace) -> Any:
    """The options of `lstmgen.export` that the command line gives."""
    given = {key: value for key, value in vars(args).items() if value is not None}
    return {key: value for key, value in given.items() if key in ExportOptions.__annotations__}


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    options = export_options(args)
    if args.card is not None:
        options["card"] = reading.read_text(args.card)
    exporting.check_other_file(args.model, args.out)
    exported = exporting.build(args.model, options)
    files.write(args.out, exported.data)
    for sentence in exported.assumed:
        print(f"assumed: {sentence}", file=sys.stderr)
    if exported.nameless:
        print("no vocabulary: sample gives ids; --vocab-from or --vocab gives them names", file=sys.stderr)
    print(f"{args.out}: {os.path.getsize(args.out):,} bytes", file=sys.stderr)
