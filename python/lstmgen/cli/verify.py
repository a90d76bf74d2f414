"""`lstmgen verify`."""

from __future__ import annotations

import argparse

from lstmgen.cli.keras_options import add_model_arguments
from lstmgen.cli.streams import file_name, model_source
from lstmgen.cli.terminal import print_json
from lstmgen.progress import busy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help="a .bin, or a bundled model's name; - is stdin")
    parser.add_argument("keras_model", type=file_name, help="the model saved by Keras")
    parser.add_argument("--json", action="store_true", help="for programs: one object, with the verdict")
    add_model_arguments(parser)
    parser.add_argument(
        "--windows", type=int, default=40, metavar="N", help="windows to compare, at least 2 (default: 40)"
    )
    parser.add_argument(
        "--as-saved",
        action="store_true",
        help="compare with lstmgen's own float64 reading of the file if the installed Keras cannot load it, or "
        "reads it differently from the Keras that saved it",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.keras_file import ReadOptions
    from lstmgen.model import Model
    from lstmgen.verify import verify

    told: ReadOptions = {
        "config": args.config,
        "output": args.output,
        "heads": args.heads,
        "window": args.window,
        "trusted": args.trusted,
    }
    model = Model(model_source(args.model))
    with busy(f"comparing {args.windows} windows"):
        verdict = verify(model, args.keras_model, args.windows, as_saved=args.as_saved, **told)
    if args.json:
        print_json({"model": args.model, "keras_model": args.keras_model, **verdict.facts})
    else:
        print(verdict.text)
    if not verdict.passed:
        raise ValueError(f"{args.model} differs from {args.keras_model}")
