"""`lstmgen models`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import lstmgen
from lstmgen.arguments import near
from lstmgen.bundled import bundled, card_path
from lstmgen.cli import advice
from lstmgen.cli.terminal import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="model whose card to print (default: list all models)")
    parser.add_argument("--json", action="store_true", help="for programs: a list, or the one that is named")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    paths = bundled()
    if args.name is not None and args.name not in paths:
        raise ValueError(f"{args.name}: no bundled model{near(args.name, paths)} (bundled: {', '.join(paths)})")
    if args.name is not None and not args.json:
        print(Path(card_path(args.name)).read_text(encoding="utf-8"), end="")
        return
    facts = [_facts(name, paths[name]) for name in ([args.name] if args.name else paths)]
    if args.json:
        print_json(facts[0] if args.name else facts)
        return
    for fact in facts:
        print(f"{fact['name']:8} {fact['description']}")
        print(f"{'':8} {fact['bytes'] / 1e6:.1f} MB, {fact['dtype']}, licence {fact['license']}; card: {fact['card']}")
        for command in fact["next"]:
            print(f"{'':8} {command}")


def _facts(name: str, path: str) -> dict[str, Any]:
    model = lstmgen.Model(path)
    known = ("description", "author", "license", "source_url")
    return {
        "name": name,
        **{key: model.metadata[key] for key in known},
        "dtype": model.dtype,
        "bytes": os.path.getsize(path),
        "path": path,
        "card": card_path(name),
        "next": [*advice.commands(model, name), f"lstmgen models {name}"],
    }
