"""`lstmgen export`."""

from __future__ import annotations

import argparse
import contextlib
import json
from typing import Any

import lstmgen
from lstmgen import exporting, files
from lstmgen.binfile import rounding
from lstmgen.bundled import resolved
from lstmgen.cli import advice
from lstmgen.cli.keras_options import add_element_arguments, add_model_arguments, export_options
from lstmgen.cli.sample import add_option, grammar_text
from lstmgen.cli.streams import DASH, check_stdout, file_name, model_source, write_stdout
from lstmgen.cli.terminal import say
from lstmgen.options import RECOMMENDED, TABLE, checked
from lstmgen.vocabulary import reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model",
        type=file_name,
        help="a file that Keras saved: .h5, .keras, or weights only; or a .bin, for another --dtype, "
        "--grammar or --card; - is stdin",
    )
    parser.add_argument("out", type=file_name, help="the .bin to write; - is stdout")
    add_model_arguments(parser)
    add_element_arguments(parser)
    parser.add_argument(
        "--prime",
        metavar="TEXT",
        help="text that a sample continues if no prime is given (default: the first window of the corpus)",
    )
    parser.add_argument(
        "--dtype", choices=rounding.DTYPES, help="type of the matrices (default: f32, or that of a .bin)"
    )
    parser.add_argument(
        "--grammar",
        type=file_name,
        metavar="FILE",
        help="grammar in GBNF that `lstmgen sample` keeps to (default: none)",
    )
    for fact in ("name", "description", "author"):
        parser.add_argument(f"--{fact}", help=f"{fact} of the model, for people")
    parser.add_argument("--license", help="SPDX identifier of the licence of the weights")
    parser.add_argument("--source-url", metavar="URL", help="where the training data came from")
    parser.add_argument("--card", type=file_name, metavar="JSON", help="file with more facts for people")
    recommended = parser.add_argument_group(
        "recommended for sampling: `lstmgen sample` uses these options where it is given no others"
    )
    for name in RECOMMENDED:
        add_option(recommended, name, TABLE[name], "none")


def with_sample(card: str, sample: dict[str, Any]) -> str:
    """Return the card, the text of a JSON object, with the options that are recommended for
    sampling.
    """
    facts = json.loads(exporting.card_text(card, {}) or "{}")
    return json.dumps({**facts, "sample": sample}, ensure_ascii=False)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    options = export_options(args)
    if args.card is not None:
        options["card"] = reading.read_text(args.card)
    given = {name: value for name in RECOMMENDED if (value := getattr(args, name)) is not None}
    if sample := checked("export", given, RECOMMENDED):
        options["card"] = with_sample(options.get("card", "{}"), sample)
    if args.grammar is not None:
        options["grammar"] = grammar_text(args.grammar)
    source = resolved(model_source(args.model))
    if args.out == DASH:
        check_stdout("a .bin")
    else:
        exporting.check_other_file(source, args.out)
    exported = exporting.build(source, options)
    commands: list[str] = []
    if args.out != DASH:
        with contextlib.suppress(ImportError):  # an export needs no native module, but a model does
            commands = advice.commands(lstmgen.Model(exported.data), args.out)  # before anything is written
    if args.out == DASH:
        write_stdout(exported.data)
    else:
        files.write(args.out, exported.data)
    for sentence in exported.assumed:
        say(f"assumed: {sentence}")
    if exported.nameless:
        say("no vocabulary: sample gives ids; --vocab-from or --vocab gives them names")
    name = "stdout" if args.out == DASH else args.out
    say(f"{name}: {len(exported.data):,} bytes")
    for command in commands:
        say(f"next: {command}")
