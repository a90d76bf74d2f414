"""The options that tell about a file of Keras, shared by the commands that read one."""

from __future__ import annotations

import argparse
from typing import Any

from lstmgen import elements
from lstmgen.binfile import writer
from lstmgen.cli.streams import file_name
from lstmgen.exporting import ExportOptions


def add_element_arguments(parser: Any) -> None:
    """Add what may be told about the elements of a file of Keras to a parser or a group."""
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument(
        "--vocab-from", type=file_name, metavar="CORPUS", help="text: its characters, sorted, are the vocabulary"
    )
    vocabulary.add_argument(
        "--vocab",
        type=file_name,
        metavar="FILE",
        help="elements: JSON, pickle, .npy or .txt; a list, an object from or to indices, a Keras tokenizer, notes",
    )
    parser.add_argument(
        "--labels",
        type=lambda text: text.split(","),
        metavar="A,B,C",
        help="names of the outputs: the model classifies",
    )
    parser.add_argument("--lower", action="store_true", default=None, help="read the corpus in lower case")
    parser.add_argument(
        "--charset",
        metavar="NAME",
        help="character set of the corpus (utf-8), or 'bytes': its bytes are the elements",
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
    parser.add_argument(
        "--output-layer", dest="output", metavar="NAME", help="the output to take, of a model with several"
    )
    add_heads_argument(parser)
    parser.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")
    add_trusted_argument(parser)


def add_trusted_argument(parser: Any) -> None:
    """Add the option that reads a file of Keras without protection to a parser or a group."""
    parser.add_argument(
        "--trusted",
        action="store_true",
        default=None,
        help="read the file in this process (default: in a separate one, within limits on memory and time)",
    )


def add_heads_argument(parser: Any) -> None:
    """Add the option that names the outputs which together are a note to a parser or a group."""
    parser.add_argument(
        "--heads",
        metavar="LIST",
        help="outputs that together are a note, as their values enter: pitch/128,step,duration (told from their "
        "names); pitch+21/88=NAME: +LOWEST pitch, /DIVISOR of what enters, =NAME of the output",
    )


def export_options(args: argparse.Namespace) -> Any:
    """Return the options of `lstmgen.export` that the command line gives."""
    given = {key: value for key, value in vars(args).items() if value is not None}
    return {key: value for key, value in given.items() if key in ExportOptions.__annotations__}
