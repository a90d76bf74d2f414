"""The command line: `lstmgen` and `python -m lstmgen`.

Text goes to stdout as it is drawn, everything else to stderr. Exit status 0, 1 (it failed, one-line reason), 2 (usage),
130 (Ctrl-C).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import secrets
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lstmgen


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough, as in `lstmgen sample latex | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, TypeError, ImportError, MemoryError, RecursionError) as error:
        print(f"lstmgen: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return _on_the_command_line(" ".join(str(error).split())) or type(error).__name__


# How the library's messages name options, and how the command line does.
_SPELLINGS = {
    "give window": "give --window",
    "give prime=": "give --prime",
    "as config,": "as --config,",
    "with the option output:": "with --output-layer:",
    "on_unknown='skip'": "--on-unknown skip",
}


def _on_the_command_line(message: str) -> str:
    for said, spelled in _SPELLINGS.items():
        message = message.replace(said, spelled)
    options = "vocab_from|vocab_encoding|vocabulary_kind|source_url|top_k|top_p|min_p|repeat_penalty|on_unknown"
    return re.sub(rf"\b({options})\b=?", lambda match: "--" + match[1].replace("_", "-"), message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lstmgen", description="Sample from recurrent networks that Keras trained.")
    parser.add_argument("--version", action="version", version=f"lstmgen {lstmgen.__version__}")
    for option, (_, what) in _DEVELOPMENT.items():
        parser.add_argument(
            option, nargs=0, action=_PrintPath, help=f"print where {what} of the C and C++ library lies"
        )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_sample, _add_classify, _add_export, _add_info, _add_train, _add_verify, _add_bench):
        add(commands)
    return parser


# What the wheel has for C and C++ programs, beside the native module.
_DEVELOPMENT = {
    "--cmake-dir": ("lib/cmake/lstmgen", "the CMake package"),
    "--include-dir": ("include", "the folder of the headers"),
    "--library": ("lib/liblstmgen.a", "the static library"),
}


class _PrintPath(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        (option,) = self.option_strings
        paths = [Path(folder, _DEVELOPMENT[option][0]) for folder in lstmgen.__path__]
        for path in filter(Path.exists, paths):
            print(path)
            parser.exit()
        parser.exit(1, f"lstmgen: {option}: not in this checkout: it comes with an installed wheel, 'pip install .'\n")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], about: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run)
    return parser


# -- sample ----------------------------------------------------------------------------------------


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", _sample, "draw a sequence from a model")
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")
    parser.add_argument("--length", type=int, default=1000, help="elements to draw (1000)")
    parser.add_argument("--seed", type=int, help="the same seed draws the same sequence")
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        action="append",
        default=[],
        help="write there instead of to stdout; .mid, .wav, .png and their like are for music; may be repeated",
    )
    temperature = parser.add_mutually_exclusive_group()
    temperature.add_argument("--temp", type=float, help="temperature tau; 0: most likely (1)")
    temperature.add_argument("--inverse-temp", type=float, help="1 / tau")
    prime = parser.add_mutually_exclusive_group()
    prime.add_argument("--prime", help="text before the first element (the model's own)")
    prime.add_argument("--prime-file", type=Path, help="file that holds it, UTF-8")
    parser.add_argument("--include-prime", action="store_true", help="print the prime, too")
    parser.add_argument("--on-unknown", default="error", help="'skip', or an element to put for unknown ones")
    window = parser.add_mutually_exclusive_group()
    window.add_argument("--refresh", type=int, default=1, help="keep a window for N elements (1)")
    window.add_argument("--carry", action="store_true", help="carry the state on: fastest")
    parser.add_argument("--top-k", type=int, help="only the K most likely elements")
    parser.add_argument("--top-p", type=float, help="only the most likely that reach P together")
    parser.add_argument("--min-p", type=float, help="only those at least P times the most likely")
    parser.add_argument("--repeat-penalty", type=float, help="above 1: repeat less")
    parser.add_argument("--stop", action="append", help="end after this text; may be repeated")
    parser.add_argument("--threads", type=int, default=1, help="share the windows among N threads")
    parser.add_argument("--bpm", type=float, default=100, help="quarters a minute, of music (100)")
    keras = parser.add_argument_group("of a model saved by Keras, which has no vocabulary")
    keras.add_argument("--vocab-from", help="corpus: its characters are the vocabulary")
    keras.add_argument("--vocab", metavar="FILE", help="JSON with the elements")
    keras.add_argument("--lower", action="store_true", default=None, help="lower-case the corpus before")
    keras.add_argument("--config", metavar="JSON", help="architecture of a file of weights")
    keras.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")


def _sample(args: argparse.Namespace) -> None:
    names = ("vocab_from", "vocab", "lower", "config", "window")
    options: Any = {name: value for name in names if (value := getattr(args, name)) is not None}
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"assumed: {message}", file=sys.stderr)
        generator = lstmgen.Generator(args.model, threads=args.threads, **options)
        vocabulary = generator.model.vocabulary
        joined = vocabulary is not None and vocabulary.kind == "text"
        encoding = _check_outputs(args, vocabulary.elements if vocabulary else None, joined)
    for output in args.output:  # before the work, not after it
        folder = output.resolve().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"{output}: cannot write into the folder {folder}")
    prime = args.prime
    if args.prime_file:
        try:
            prime = args.prime_file.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{args.prime_file}: not UTF-8: {error}") from None
    seed = secrets.randbits(32) if args.seed is None else args.seed
    elements = generator.stream(
        args.length,
        args.temp,
        prime=prime,
        include_prime=args.include_prime,
        seed=seed,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repeat_penalty=args.repeat_penalty,
        stop=args.stop,
        refresh=None if args.carry else args.refresh,
        on_unknown=args.on_unknown,
        inverse_temp=args.inverse_temp,
    )
    print(f"seed {seed}", file=sys.stderr)
    if args.output:
        _write_sample([str(element) for element in elements], joined, args.output, encoding, args.bpm)
    else:
        pieces = (f"{e}" if joined or i == 0 else f" {e}" for i, e in enumerate(elements))
        out = sys.stdout.buffer
        live = sys.stdout.isatty()
        for piece in pieces:
            out.write(piece.encode())
            if live:
                out.flush()
        if live or not joined:
            out.write(b"\n")
        out.flush()


def _check_outputs(args: argparse.Namespace, vocabulary: Sequence[str] | None, joined: bool) -> str | None:
    """The encoding of music that the model draws, if it draws music and files are written."""
    if not args.output:
        return None
    from lstmgen import music

    return music.check_outputs(args.output, vocabulary, joined=joined, bpm=args.bpm)


# -- classify --------------------------------------------------------------------------------------


def _add_classify(commands: Any) -> None:
    parser = _command(commands, "classify", _classify, "say which label sequences have")
    parser.add_argument("model", help="a .bin with labels, or a model saved by Keras, with --labels")
    # "+", since "*" would be over before an option that comes first; --file may replace them.
    sequences = parser.add_argument(
        "sequences", nargs="+", default=[], metavar="SEQUENCE", help="text, or numbers such as '0.5 1 -2'"
    )
    sequences.required = False
    parser.add_argument("--file", type=Path, help="a .csv of sequence,label or of sequence alone; else one a line")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--on-unknown", default="error", help="'skip', or an element to put for unknown ones")
    keras = parser.add_argument_group("of a model saved by Keras")
    keras.add_argument("--labels", type=lambda text: text.split(","), metavar="A,B,C", help="of each output")
    keras.add_argument("--vocab", metavar="FILE", help="JSON with the elements that enter")


def _classify(args: argparse.Namespace) -> None:
    from lstmgen.classifier import Row, classify, read_sequences

    if bool(args.sequences) == (args.file is not None):
        raise ValueError("give sequences, or --file, and not both")
    options: Any = {name: value for name in ("labels", "vocab") if (value := getattr(args, name)) is not None}
    model = lstmgen.Model(args.model, **options)
    if args.file:
        rows = read_sequences(args.file)
        names = [f"{args.file}: line {row.line}" for row in rows]
    else:
        rows = [Row(i, sequence, None) for i, sequence in enumerate(args.sequences)]
        names = [f"{sequence!r:.60}" for sequence in args.sequences]
    found = classify(model, [row.sequence for row in rows], args.on_unknown, names)
    if args.json:
        facts = [{"sequence": row.sequence, **one._asdict()} for row, one in zip(rows, found, strict=True)]
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for row, one in zip(rows, found, strict=True):
            likely = sorted(one.probabilities.items(), key=lambda item: -item[1])
            shares = ", ".join(f"{label} {share:.4f}" for label, share in likely)
            print(_printable(f"{_short(row.sequence, '')}: {one.label} ({shares})"))
    known = [(row.label, one.label) for row, one in zip(rows, found, strict=True) if row.label]
    if known:
        right = sum(label == guess for label, guess in known)
        print(f"accuracy {right / len(known):.1%} ({right} of {len(known)})", file=sys.stderr)


def _write_sample(
    elements: Sequence[str], joined: bool, outputs: Sequence[Path], encoding: str | None, bpm: float
) -> None:
    """Write a sample as text, or as music of an encoding where the name of the file asks for it."""
    from lstmgen import music
    from lstmgen.container import write

    if any(music.is_music(path, encoding) for path in outputs) and (loop := music.stuck(elements)):
        print(f"warning: {loop}", file=sys.stderr)
    for path in outputs:
        if music.is_music(path, encoding):
            music.decode(elements, encoding=encoding).write(path, bpm=bpm)
        else:
            write(path, ("".join(elements) if joined else " ".join(elements) + "\n").encode())


# -- export ----------------------------------------------------------------------------------------


def _add_export(commands: Any) -> None:
    from lstmgen import exporting

    parser = _command(commands, "export", exporting.run, "turn a Keras model into a .bin")
    exporting.add_arguments(parser)


# -- info ------------------------------------------------------------------------------------------


def _add_info(commands: Any) -> None:
    from lstmgen import exporting

    parser = _command(commands, "info", _info, "say what is inside a model")
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")
    parser.add_argument("--json", action="store_true", help="for programs")
    exporting.add_model_arguments(parser)


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


def _info(args: argparse.Namespace) -> None:
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
    facts["vocabulary"] = _short(vocabulary, f"{len(vocabulary)} elements: ") if vocabulary else ""
    if model.vocabulary and prime:
        facts["prime"] = _short(model.vocabulary.decode(prime), f"{len(prime)} elements: ")
    for key, value in facts.items():
        if value not in (None, "", {}):
            print(f"{_printable(key.replace('_', ' ')):22} {_printable(str(value))}")
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
                print(f"{key.replace('_', ' '):22} {_printable(str(line))}")
    print("layers")
    for layer in report.layers:
        mark = f"   REFUSED: {layer.problem}" if layer.problem else ""
        shape = "" if layer.output_shape is None else str(layer.output_shape)
        print(_printable(f"  {layer.name:24} {layer.class_name:20} {shape:18} {layer.details}{mark}").rstrip())


def _printable(text: str) -> str:
    """`text` without what could command the terminal, whatever a file holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _short(what: Any, start: str) -> str:
    text = what if isinstance(what, str) else " ".join(what)
    text = repr(text[:61])[1:-1]
    return start + (text if len(text) <= 60 else text[:60] + "...")


# -- train -----------------------------------------------------------------------------------------


def _add_train(commands: Any) -> None:
    from lstmgen.training import cli

    parser = commands.add_parser("train", help="train a model with Keras (needs pip install '.[train]')")
    cli.add_arguments(parser)


# -- verify ----------------------------------------------------------------------------------------


def _add_verify(commands: Any) -> None:
    parser = _command(commands, "verify", _verify, "compare a .bin with the Keras model that it came from")
    parser.add_argument("model", help="a .bin, or a bundled model's name")
    parser.add_argument("keras_model", help="the model saved by Keras")
    parser.add_argument("--windows", type=int, default=40, help="windows to compare (40)")


def _verify(args: argparse.Namespace) -> None:
    from lstmgen.verify import verify

    report = verify(args.model, args.keras_model, args.windows)
    print(report.text)
    if not report.passed:
        raise ValueError(f"{args.model} differs from {args.keras_model}")


# -- bench -----------------------------------------------------------------------------------------


def _add_bench(commands: Any) -> None:
    parser = _command(commands, "bench", _bench, "measure how fast a model samples here")
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")


def _bench(args: argparse.Namespace) -> None:
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
