"""`lstmgen bench`."""

from __future__ import annotations

import argparse

import lstmgen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.bench import advise, measure

    model = lstmgen.Model(args.model)
    print(f"{model!r}, 1 thread")
    for mode in measure(model):
        print(
            f"{mode.name:24} {mode.elements_per_second:12,.0f} elements/s   {mode.share:4.0%} of the {mode.limit} limit"
        )
    print("what would change it, in times as fast (--dtype: of an export):")
    for option, *gains in advise(model):
        told = (f"{gain:6.2f} {name}" for gain, name in zip(gains, ("window", "carried"), strict=True) if gain)
        print(f"  {option:22} {', '.join(told)}")
