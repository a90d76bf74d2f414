"""`lstmgen sample`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lstmgen
from lstmgen.cli.keras_options import add_entering_arguments, add_heads_argument
from lstmgen.cli.recommended import take_recommended
from lstmgen.music.formats import WRITABLE

# Options of a file of Keras.
_EXPORT = (
    *("vocab_from", "vocab", "vocab_encoding", "lower", "config", "window", "encoding", "input_values", "padding"),
    "heads",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a .bin, a model saved by Keras, or a bundled model's name")
    parser.add_argument("--length", type=int, default=1000, help="elements to draw (1000)")
    parser.add_argument("--seed", type=int, help="the same seed draws the same sequence")
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        action="append",
        default=[],
        help=f"write there instead of to stdout; music as {', '.join(WRITABLE)}; may be repeated",
    )
    temperature = parser.add_mutually_exclusive_group()
    temperature.add_argument("--temp", type=float, help="temperature tau; 0: most likely (1)")
    temperature.add_argument("--inverse-temp", type=float, help="1 / tau")
    prime = parser.add_mutually_exclusive_group()
    prime.add_argument("--prime", help="text before the first element (the model's own)")
    prime.add_argument("--prime-ids", type=_ids, metavar="1,2,3", help="the prime as ids")
    prime.add_argument("--prime-file", type=Path, help="file that holds it, UTF-8; MIDI for a model of notes")
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
    keras.add_argument("--vocab", metavar="FILE", help="JSON, pickle, .npy or .txt with the elements")
    keras.add_argument("--vocab-encoding", metavar="NAME", help="of the corpus (utf-8), or 'bytes'")
    keras.add_argument("--lower", action="store_true", default=None, help="lower-case the corpus before")
    add_entering_arguments(keras)
    keras.add_argument("--config", metavar="JSON", help="architecture of a file of weights")
    add_heads_argument(keras)
    keras.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")


def loaded(args: argparse.Namespace) -> lstmgen.Model:
    """The model of a command line; what it assumes is printed."""
    from lstmgen.model import is_keras_file

    options: Any = {name: value for name in _EXPORT if (value := getattr(args, name)) is not None}
    prime = args.prime_ids or (args.prime if args.on_unknown == "error" else None)
    if prime and is_keras_file(args.model):
        options["prime"] = prime  # the likeliest way for it to enter is taken
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the model says all of them
        model = lstmgen.Model(args.model, **options)
    for sentence in model.assumed:
        print(f"assumed: {sentence}", file=sys.stderr)
    return model


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    model = loaded(args)
    take_recommended(args, model)
    if model.heads:
        return _sample_notes(args, model)
    generator = lstmgen.Generator(model, threads=args.threads)
    vocabulary = generator.model.vocabulary
    joined = vocabulary is not None and vocabulary.kind != "tokens"
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"assumed: {message}", file=sys.stderr)
        encoding = _check_outputs(args, vocabulary.elements if vocabulary else None, joined)
    _check_folders(args.output)
    prime = args.prime if args.prime_ids is None else args.prime_ids
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


# Options of sequences of elements, which notes are not.
_OF_ELEMENTS = ("prime", "prime_ids", "carry", "top_k", "top_p", "min_p", "repeat_penalty", "stop")


def _sample_notes(args: argparse.Namespace, model: lstmgen.Model) -> None:
    """Draw notes from a model whose outputs together are a note."""
    from lstmgen import music
    from lstmgen.files import write

    for name in _OF_ELEMENTS:
        if getattr(args, name):
            raise ValueError(f"--{name.replace('_', '-')}: {args.model} draws notes, which have no such option")
    if args.refresh != 1:
        raise ValueError(f"--refresh: {args.model} draws notes, each from a window of its own: expected 1")
    music.check_music_outputs(args.output, bpm=args.bpm)
    _check_folders(args.output)
    generator = music.NoteGenerator(model)
    prime = generator.default_prime if args.prime_file is None else music.read_timed_notes(args.prime_file)
    seed = secrets.randbits(32) if args.seed is None else args.seed
    drawn = generator.stream(args.length, args.temp, prime=prime, seed=seed, inverse_temp=args.inverse_temp)
    print(f"seed {seed}", file=sys.stderr)
    notes = [*(prime if args.include_prime else ()), *drawn]
    lines = "".join(" ".join(f"{getattr(note, head.part):g}" for head in model.heads) + "\n" for note in notes)
    if not args.output:
        sys.stdout.write(lines)
    if loop := music.stuck([note.pitch for note in notes]):
        print(f"warning: {loop}", file=sys.stderr)
    for path in args.output:
        if path.suffix.lower() in WRITABLE:
            music.of_timed_notes(notes, bpm=args.bpm).write(path, bpm=args.bpm)
        else:
            write(path, lines.encode())


def _check_folders(outputs: Sequence[Path]) -> None:
    """Raise `OSError` if a file cannot be written: before the work, not after it."""
    for output in outputs:
        folder = output.resolve().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"{output}: cannot write into the folder {folder}")


def _ids(text: str) -> list[int]:
    return [int(piece) for piece in text.split(",")]


def _check_outputs(args: argparse.Namespace, vocabulary: Sequence[str] | None, joined: bool) -> str | None:
    """The encoding of music that the model draws, if it draws music and files are written."""
    if not args.output:
        return None
    from lstmgen import music

    return music.check_outputs(args.output, vocabulary, joined=joined, bpm=args.bpm)


def _write_sample(
    elements: Sequence[str], joined: bool, outputs: Sequence[Path], encoding: str | None, bpm: float
) -> None:
    """Write a sample as text, or as music of an encoding where the name of the file asks for it."""
    from lstmgen import music
    from lstmgen.files import write

    if any(music.is_music(path, encoding) for path in outputs) and (loop := music.stuck(elements)):
        print(f"warning: {loop}", file=sys.stderr)
    for path in outputs:
        if music.is_music(path, encoding):
            music.decode(elements, encoding=encoding).write(path, bpm=bpm)
        else:
            write(path, ("".join(elements) if joined else " ".join(elements) + "\n").encode())
