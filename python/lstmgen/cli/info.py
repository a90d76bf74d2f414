"""`lstmgen info`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

import lstmgen
from lstmgen.cli.export import add_model_arguments
from lstmgen.cli.terminal import printable, short


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_model_arguments(parser)


def _facts(model: lstmgen.Model) -> dict[str, Any]:
    return {
        **model.metadata,
        "encoding": model.encoding,
        "input_shape": model.input_shape,
        "output_shape": model.output_shape,
        "labels": list(model.labels),
        "dtype": model.dtype,
        "isa": model.isa,
        "nbytes": model.nbytes,
        "vocabulary": model.vocabulary.elements if model.vocabulary else None,
        "vocabulary_kind": model.vocabulary.kind if model.vocabulary else None,
        "prime": model.prime.tolist(),
        "padding": model.padding,
        "layers": [
            {
                key: getattr(layer, key)
                for key in (
                    *("type", "name", "inputs", "outputs", "activation"),
                    *("recurrent_activation", "return_sequences", "sources"),
                )
            }
            for layer in model.layers
        ],
    }


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.model import is_keras_file

    if is_keras_file(args.model):
        return _keras_info(args)
    for option in ("config", "output", "window"):
        if getattr(args, option) is not None:
            raise ValueError(f"{args.model}: a .bin has its own {option}")
    model = lstmgen.Model(args.model)
    facts = _facts(model)
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    layers = facts.pop("layers")
    vocabulary, prime = facts.pop("vocabulary"), facts.pop("prime")
    card = facts.pop("card")
    facts |= card if isinstance(card, dict) else {"card": card}
    facts["labels"] = ", ".join(facts["labels"])
    facts["vocabulary"] = short(vocabulary, f"{len(vocabulary)} elements: ") if vocabulary else ""
    if model.vocabulary and prime:
        facts["prime"] = short(model.vocabulary.decode(prime), f"{len(prime)} elements: ")
    for key, value in facts.items():
        if value not in (None, "", {}):
            print(f"{printable(key.replace('_', ' ')):22} {printable(str(value))}")
    print(f"{'layers':22}")
    for layer in layers:
        activations = filter(None, (layer["activation"], layer["recurrent_activation"]))
        print(
            f"  {layer['name']:20} {layer['type']:14} {layer['inputs']:>6} -> "
            f"{layer['outputs']:<6} {', '.join(activations)}".rstrip()
        )


def _keras_info(args: argparse.Namespace) -> None:
    """Explain a file of Keras without converting it."""
    from lstmgen import keras_file

    report = keras_file.describe(args.model, config=args.config, output=args.output, window=args.window)
    network = report.network
    facts: dict[str, Any] = {"kind": report.kind, "keras_version": report.keras_version}
    if network is not None:
        window, outputs = network.window or None, network.outputs
        facts["input_shape"] = (None, window) if network.takes_ids else (None, window, network.input_size)
        steps = network.values[-1].steps
        facts["output_shape"] = (None, outputs) if steps is None else (None, steps or window, outputs)
        facts["numbers"] = sum(array.size for layer in network.layers for array in layer.arrays.values())
        facts["assumed"] = list(network.assumed)
    facts["refused"] = report.problem
    if args.json:
        layers = [dataclasses.asdict(layer) for layer in report.layers]
        print(json.dumps({**facts, "layers": layers}, indent=2))
        return
    for key, value in facts.items():
        for line in value if isinstance(value, list) else [value]:
            if line not in (None, ""):
                print(f"{key.replace('_', ' '):22} {printable(str(line))}")
    print("layers")
    for layer in report.layers:
        mark = f"   REFUSED: {layer.problem}" if layer.problem else ""
        shape = "" if layer.output_shape is None else str(layer.output_shape)
        print(printable(f"  {layer.name:24} {layer.class_name:20} {shape:18} {layer.details}{mark}").rstrip())
