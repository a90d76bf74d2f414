"""`lstmgen bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import lstmgen
from lstmgen.cli.streams import MODEL_HELP, check_one_stdin, file_name, model_source, read_text
from lstmgen.cli.terminal import print_json
from lstmgen.errors import option
from lstmgen.escaping import printable

if TYPE_CHECKING:
    from lstmgen.bench import Advice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP)
    parser.add_argument(
        "--text", type=file_name, metavar="FILE", help="UTF-8 text to score; - is stdin (default: what the model draws)"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one object, with rates in elements a second")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.bench import advise, measure

    check_one_stdin(args.model, args.text)
    model = lstmgen.Model(model_source(args.model))
    text = None if args.text is None else read_text(args.text)
    scored = "elements drawn from it" if text is None else args.text
    if not args.json:
        print(f"{model!r}, 1 thread")
        print(f"{model.isa}: {model.isa_reason}")
    modes = measure(model)
    if not args.json:
        for mode in modes:
            rate = f"{mode.elements_per_second:12,.0f} elements/s"
            print(f"{mode.name:24} {rate}   {mode.share:4.0%} of the {mode.limit} limit", flush=True)
    advice = advise(model, text=text)
    best = [one.option for one in advice if one.recommended]
    if args.json:
        print_json(
            {
                "model": repr(model),
                "isa": model.isa,
                "isa_reason": model.isa_reason,
                "dtype": model.dtype,
                "threads": 1,
                "modes": [mode._asdict() for mode in modes],
                "scored": scored,
                "options": [{**one._asdict(), "recommended": one.recommended} for one in advice],
                "recommended": best,
            }
        )
        return
    if advice:
        hint = " (or of a text: --text FILE)" if text is None else ""
        print(f"other options: how many times as fast, and the bits of an element of {printable(scored)}{hint}:")
        _print(advice)
    carry = next((one for one in advice if one.option == option("refresh", None)), None)
    if carry and not carry.recommended and model.needs_windows:
        print(f"{carry.option} is another model: {model.needs_windows}")
    print(f"recommended: {', '.join(best)}" if best else "recommended: as it is")


def _print(advice: Sequence[Advice]) -> None:
    """Print a line for the model as it is, and one for each option."""
    if advice:
        print(f"  {'as it is':22} {'':31} {advice[0].before:7.3f} bits/element")
    for one in advice:
        gains = zip((one.window, one.carried), ("window", "carried"), strict=True)
        told = ", ".join(f"{gain:6.2f} {name}" for gain, name in gains if gain)
        print(
            f"  {one.option:22} {told:31} {one.bits:7.3f} bits/element{'' if one.recommended else '   not recommended'}"
        )
