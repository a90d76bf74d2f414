"""`lstmgen verify`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin, or a bundled model's name")
    parser.add_argument("keras_model", help="the model saved by Keras")
    parser.add_argument("--windows", type=int, default=40, help="windows to compare (40)")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.verify import verify

    report = verify(args.model, args.keras_model, args.windows)
    print(report.text)
    if not report.passed:
        raise ValueError(f"{args.model} differs from {args.keras_model}")
