"""`lstmgen info`."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from typing import Any

import lstmgen
from lstmgen.cli import advice
from lstmgen.cli.keras_options import add_element_arguments, add_model_arguments, export_options
from lstmgen.cli.streams import MODEL_HELP, file_name, model_source
from lstmgen.cli.terminal import print_json, short
from lstmgen.errors import option
from lstmgen.escaping import printable

_WIDTH = 76  # characters in a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP)
    parser.add_argument("--json", action="store_true", help="print one object in JSON, for programs")
    keras = parser.add_argument_group("for a model saved by Keras, as for export")
    add_model_arguments(keras)
    add_element_arguments(keras)


def _facts(model: lstmgen.Model) -> dict[str, Any]:
    return {
        "is": f"a {advice.kind(model)}",
        **model.metadata,
        "encoding": model.encoding,
        "input_values": model.input_values,
        "input_shape": model.input_shape,
        "output_shape": model.output_shape,
        "labels": list(model.labels),
        "dtype": model.dtype,
        "isa": model.isa,
        "isa_reason": model.isa_reason,
        "nbytes": model.nbytes,
        "vocabulary": model.vocabulary.elements if model.vocabulary else None,
        "vocabulary_kind": model.vocabulary.kind if model.vocabulary else None,
        "prime": model.prime.tolist(),
        "padding": "zeros" if model.zero_padding else model.padding,
        "layers": [
            {
                key: getattr(layer, key)
                for key in (
                    *("type", "name", "input_size", "outputs", "activation"),
                    *("recurrent_activation", "return_sequences", "sources"),
                )
            }
            for layer in model.layers
        ],
    }


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.model import is_keras_file

    source = model_source(args.model)
    if is_keras_file(source):
        return _keras_info(args, source)
    if given := export_options(args):
        raise ValueError(f"{args.model}: only a file of Keras takes {', '.join(map(option, sorted(given)))}")
    model = lstmgen.Model(source)
    facts = _facts(model)
    if args.json:
        assumed, following = list(model.assumed), advice.commands(model, args.model)
        print_json({**facts, "assumed": assumed, "next": following})
        return
    facts["isa"] = f"{model.isa}: {facts.pop('isa_reason')}"
    layers = facts.pop("layers")
    vocabulary, prime = facts.pop("vocabulary"), facts.pop("prime")
    card = facts.pop("card")
    told = card if isinstance(card, dict) else {"card": card}
    facts |= {k: v for k, v in told.items() if k not in facts and k != "assumed"}  # a card may say anything
    if model.input_values:
        facts["input_values"] = short(map("{:g}".format, model.input_values), "")
    if model.heads:
        facts["heads"] = ", ".join(f"{head} from {head.size} {head.kind}" for head in model.heads)
    facts["labels"] = ", ".join(facts["labels"])
    facts["vocabulary"] = short(vocabulary, f"{len(vocabulary)} elements: ") if vocabulary else ""
    if model.vocabulary and prime:
        facts["prime"] = short(model.vocabulary.decode(prime), f"{len(prime)} elements: ")
    _print({**facts, "assumed": model.assumed, "next": advice.commands(model, args.model)})
    print(f"{'layers':22}")
    for layer in layers:
        activations = filter(None, (layer["activation"], layer["recurrent_activation"]))
        print(
            f"  {layer['name']:20} {layer['type']:14} {layer['input_size']:>6} -> "
            f"{layer['outputs']:<6} {', '.join(activations)}".rstrip()
        )


def _print(facts: dict[str, Any]) -> None:
    """Print facts in lines that fit a terminal. A command or an assumption stays in one line."""
    for key, value in facts.items():
        several = isinstance(value, list | tuple) and key in ("assumed", "next")
        for line in value if several else [value]:
            if line not in (None, "", {}):
                text = printable(str(line))
                lines = [text] if several else textwrap.wrap(text, _WIDTH, break_on_hyphens=False)
                print(f"{printable(key.replace('_', ' ')):22} {f'{chr(10):24}'.join(lines)}")


def _keras_info(args: argparse.Namespace, source: str | bytes) -> None:
    """Print what is in a file of Keras."""
    from lstmgen import exporting, keras_file

    options = export_options(args)
    report = keras_file.describe(
        source, config=args.config, output=args.output, heads=args.heads, window=args.window, trusted=args.trusted
    )
    network, problem = report.network, report.problem
    facts: dict[str, Any] = {"kind": report.kind, "keras_version": report.keras_version}
    after: dict[str, Any] = {}
    if network is not None:
        try:
            exported = exporting.build(source, options, network)
        except lstmgen.ModelFormatError as error:
            problem = str(error)
        else:
            model = lstmgen.Model(exported.data)
            facts["is"] = f"a {advice.kind(model)}{': ' * bool(exported.why)}{exported.why}"
            facts["encoding"] = model.encoding
            after["assumed"] = list(exported.assumed)
            command, out = advice.export_command(args.model, _flags(options))
            if exported.nameless:
                after["first"] = (
                    "find the text that it learnt from, or its list of elements. Without --vocab-from TEXT or --vocab "
                    "FILE at the export, elements are numbers"
                )
            after["next"] = [command, *advice.commands(model, out)]
            settled = exported.nameless or model.generates or model.labels or model.heads
            if not settled and model.outputs > 1:
                after["also"] = "--labels A,B,C at the export names the outputs, for classify"
        window, outputs = network.window or None, network.outputs
        facts["input_shape"] = (None, window) if network.takes_ids else (None, window, network.input_size)
        steps = network.values[-1].steps
        facts["output_shape"] = (None, outputs) if steps is None else (None, steps or window, outputs)
        facts["numbers"] = sum(array.size for layer in network.layers for array in layer.arrays.values())
    facts["refused"] = problem
    facts |= after
    if args.json:
        layers = [dataclasses.asdict(layer) for layer in report.layers]
        print_json({**facts, "layers": layers})
        return
    _print(facts)
    print("layers")
    for layer in report.layers:
        mark = f"   REFUSED: {layer.problem}" if layer.problem else ""
        shape = "" if layer.output_shape is None else str(layer.output_shape)
        print(printable(f"  {layer.name:24} {layer.class_name:20} {shape:18} {layer.details}{mark}").rstrip())


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an export as the command line has them."""
    return {
        option(name): ",".join(map(str, value)) if isinstance(value, list) else value for name, value in options.items()
    }
