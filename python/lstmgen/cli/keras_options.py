"""The flags for a file of Keras, which several commands share."""

from __future__ import annotations

import argparse
from typing import Any

from lstmgen import elements
from lstmgen.binfile import writer
from lstmgen.cli.streams import file_name
from lstmgen.exporting import ExportOptions


def add_vocabulary_arguments(parser: Any) -> None:
    """Add the flags that give the vocabulary to a parser or a group."""
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument(
        "--vocab-from", type=file_name, metavar="CORPUS", help="text whose characters, sorted, are the vocabulary"
    )
    add_vocab_argument(vocabulary)
    parser.add_argument("--lower", action="store_true", default=None, help="read the corpus in lower case")
    parser.add_argument(
        "--charset",
        metavar="NAME",
        help="character set of the corpus; with 'bytes' its bytes are the elements (default: utf-8)",
    )


def add_vocab_argument(parser: Any) -> None:
    """Add the flag that names a file with the vocabulary to a parser or a group."""
    parser.add_argument(
        "--vocab",
        type=file_name,
        metavar="FILE",
        help="JSON, pickle, .npy or .txt with the elements: a list, an object from or to indices, a Keras tokenizer, "
        "or notes (docs/vocabularies.md)",
    )


def add_labels_argument(parser: Any) -> None:
    """Add the flag that names the outputs of a classifier to a parser or a group."""
    parser.add_argument(
        "--labels",
        type=lambda text: text.split(","),
        metavar="A,B,C",
        help="names of the outputs, for a model that classifies",
    )


def add_element_arguments(parser: Any) -> None:
    """Add all flags about the elements of a network to a parser or a group."""
    add_vocabulary_arguments(parser)
    add_labels_argument(parser)
    parser.add_argument(
        "--vocabulary-kind",
        choices=writer.VOCABULARY_KINDS,
        help="kind of the elements: text if the joined elements are the text, tokens, or bytes (default: text if each "
        "is one character, else tokens)",
    )
    add_entering_arguments(parser)


def add_entering_arguments(parser: Any) -> None:
    """Add the flags that tell how elements enter to a parser or a group."""
    parser.add_argument(
        "--encoding", choices=writer.ENCODINGS, help="how an element enters the network (default: inferred or measured)"
    )
    parser.add_argument(
        "--input-values",
        type=_input_values,
        metavar="RULE",
        help=f"number that enters for an element: one of {', '.join(elements.RULES)}; or a list of numbers, one for "
        "each element, with commas between",
    )
    parser.add_argument(
        "--padding",
        metavar="ELEMENT|zeros|none",
        help="what fills the window before a short prime: an element or its id, zero vectors, or nothing (default: "
        "inferred)",
    )


def _input_values(text: str) -> str | list[float]:
    return [float(number) for number in text.split(",")] if "," in text else text


def add_model_arguments(parser: Any, *, output: bool = True) -> None:
    """Add the flags about the network to a parser or a group. output: also `--output-layer`."""
    parser.add_argument(
        "--config",
        metavar="JSON",
        help="architecture, for a file of weights alone: a to_json file, or 'LSTM(128), Dense(52)'",
    )
    if output:
        parser.add_argument(
            "--output-layer",
            dest="output",
            metavar="NAME",
            help="layer whose output to take, for a model with several outputs",
        )
    parser.add_argument(
        "--heads",
        metavar="LIST",
        help="outputs that form one note, in the order in which their values enter, such as pitch/128,step,duration. "
        "In pitch+LOWEST/DIVISOR=NAME, LOWEST is the pitch of output 0, DIVISOR divides a pitch when it enters, and "
        "NAME is the output. (default: told from the names of the outputs)",
    )
    parser.add_argument(
        "--window", type=int, metavar="N", help="time steps of a model that has no fixed number of them"
    )
    parser.add_argument(
        "--trusted",
        action="store_true",
        default=None,
        help="read the file in this process (default: in a separate one, with limits on memory and time)",
    )


def export_options(args: argparse.Namespace) -> Any:
    """Return the options of `lstmgen.export` that the command line gives."""
    given = {key: value for key, value in vars(args).items() if value is not None}
    return {key: value for key, value in given.items() if key in ExportOptions.__annotations__}
