"""`lstmgen eval`."""

from __future__ import annotations

import argparse

import lstmgen
from lstmgen.arguments import Integer, Number
from lstmgen.cli.sample import add_options, follow_card, grammar_text
from lstmgen.cli.streams import DASH, MODEL_HELP, as_path, file_name, model_source
from lstmgen.cli.terminal import print_json
from lstmgen.escaping import shown
from lstmgen.files import check_not_read
from lstmgen.options import MANY, TABLE

# Those that change how likely an element is; no stops and primes, which change what is measured.
_OPTIONS = [
    name
    for name, option in TABLE.items()
    if option.flag and name in MANY and name != "length"
    if name == "grammar" or isinstance(option.values, Number | Integer)
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP)
    parser.add_argument(
        "data",
        nargs="+",
        type=file_name,
        help="text or music, as the model draws: files, or folders of them",
    )
    parser.add_argument(
        "--corpus",
        action="append",
        type=file_name,
        metavar="FILE",
        help="what the model learnt from, if it is not the data. Copies and known words are counted against it. May be "
        "repeated.",
    )
    parser.add_argument(
        "--samples", type=int, metavar="N", help="samples to draw; 0: none (default: 10 of text, 20 of music)"
    )
    parser.add_argument(
        "--length", type=int, metavar="N", help="elements of each sample (default: 10000 of text, 1000 of music)"
    )
    parser.add_argument(
        "--charset", metavar="NAME", help="character set of the text (default: what the card says, or utf-8)"
    )
    parser.add_argument("--lower", action="store_true", default=None, help="read the text in lower case")
    parser.add_argument("--json", action="store_true", help="for programs: one object, with the distributions")
    parser.add_argument(
        "--plot", type=as_path, metavar="FILE", help="write the distributions as a picture: .png, .svg or .pdf"
    )
    add_options(parser, _OPTIONS, seed="1")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.evaluation import evaluate

    if DASH in args.data:
        raise ValueError("-: data are read from files, not from stdin")
    if args.plot is not None:
        check_not_read([args.plot], [args.model, *args.data, *(args.corpus or ())])
    options = {name: value for name in _OPTIONS if (value := getattr(args, name)) is not None}
    if args.carry:
        options["refresh"] = None
    if "grammar" in options:
        options["grammar"] = grammar_text(options["grammar"])
    model = lstmgen.Model(model_source(args.model))
    follow_card(args, model, options)
    found = evaluate(
        model,
        args.data,
        corpus=args.corpus,
        samples=args.samples,
        length=args.length,
        charset=args.charset,
        lower=args.lower,
        name=args.model,
        **options,
    )
    if args.json:
        print_json(found.facts())
    else:
        print(shown(found.markdown()), end="")
    if args.plot is not None:  # last, so that a disk that is full costs no table
        found.plot(args.plot)
