"""`lstmgen bench`."""

from __future__ import annotations

import argparse

import lstmgen
from lstmgen.errors import option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")
    parser.add_argument("--text", metavar="FILE", help="UTF-8 text to score (elements drawn from the model)")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.bench import advise, measure
    from lstmgen.vocabulary.reading import read_text

    model = lstmgen.Model(args.model)
    print(f"{model!r}, 1 thread")
    for mode in measure(model):
        print(
            f"{mode.name:24} {mode.elements_per_second:12,.0f} elements/s   {mode.share:4.0%} of the {mode.limit} limit"
        )
    text = None if args.text is None else read_text(args.text)
    advice = advise(model, text=text)
    scored = "elements drawn from it (--text FILE: of a text)" if text is None else args.text
    print(f"what would change it, in times as fast (--dtype: of an export), and bits an element of {scored}:")
    if advice:
        print(f"  {'as it is':22} {'':31} {advice[0].before:7.3f} bits")
    for one in advice:
        gains = zip((one.window, one.carried), ("window", "carried"), strict=True)
        told = ", ".join(f"{gain:6.2f} {name}" for gain, name in gains if gain)
        print(f"  {one.option:22} {told:31} {one.bits:7.3f} bits{'' if one.recommended else '   not recommended'}")
    carry = next((one for one in advice if one.option == option("refresh", None)), None)
    if carry and not carry.recommended and model.needs_windows:
        print(f"{carry.option} is another model: {model.needs_windows}")
    best = [one.option for one in advice if one.recommended]
    print(f"recommended: {', '.join(best)}" if best else "recommended: as it is")
