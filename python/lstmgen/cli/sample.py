"""`lstmgen sample`."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import secrets
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lstmgen
from lstmgen.arguments import Flag, Integer, Number, in_short
from lstmgen.cli.advice import is_abc
from lstmgen.cli.keras_options import add_entering_arguments, add_model_arguments, add_vocabulary_arguments
from lstmgen.cli.main import flag
from lstmgen.cli.streams import DASH, MODEL_HELP, as_path, check_one_stdin, file_name, model_source, read_text
from lstmgen.cli.terminal import colours, say
from lstmgen.errors import Note
from lstmgen.escaping import printable, shown
from lstmgen.files import check_not_read
from lstmgen.inputs import naming
from lstmgen.music.formats import SOUND, SYNTHS, WRITABLE
from lstmgen.options import TABLE, Option, default, recommended, worded
from lstmgen.progress import counted
from lstmgen.shades import ansi, legend

if TYPE_CHECKING:
    from lstmgen.music import Music

# Options for a model saved by Keras.
_EXPORT = (
    *("vocab_from", "vocab", "charset", "lower", "config", "window", "encoding", "input_values", "padding"),
    *("heads", "trusted"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP)
    parser.add_argument(
        *("-o", "--output"),
        type=as_path,
        action="append",
        default=[],
        help=f"file to write to instead of stdout; the suffix says what music is written as: {', '.join(WRITABLE)}; - "
        "is stdout; may be repeated",
    )
    parser.add_argument(
        "--many",
        type=_parsed(_count, "an integer >= 1"),
        metavar="N",
        help="draw N samples side by side, and write them as the rows of a table: as JSON Lines to stdout or with -o "
        "FILE.jsonl, as Parquet with -o FILE.parquet. Row i has the seed + i. The same command continues a run that "
        "was interrupted.",
    )
    parser.add_argument("--scores", action="store_true", help="with --many: write the log-probability of each row, too")
    add_options(parser, [name for name, option in TABLE.items() if option.flag])
    parser.add_argument(
        "--escape",
        action="store_true",
        help=r"\n, \t, \\, \xNN and \uNNNN in --prime and --stop stand for characters. "
        r"Without it, bash and zsh do the same for --prime $'one\ntwo'.",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="shade each element on a terminal by how surprising it was (not with NO_COLOR in the environment)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads that share the windows (default: 1)"
    )
    parser.add_argument(
        "--synth",
        choices=SYNTHS,
        help="what plays sound (default: fluidsynth if it and a soundfont are installed, else builtin)",
    )
    parser.add_argument(
        "--bpm",
        type=float,
        metavar="X",
        help="tempo of music in quarters a minute, 4 to 1000 (default: that of the piece, or 100)",
    )
    keras = parser.add_argument_group("for a model saved by Keras, which has no vocabulary")
    add_vocabulary_arguments(keras)
    add_entering_arguments(keras)
    add_model_arguments(keras, output=False)  # -o has another meaning here


def add_options(parser: argparse.ArgumentParser, names: Iterable[str], **otherwise: str) -> None:
    """Add flags for options of sampling to a parser, with flags such as `--carry` beside them.

    otherwise: the default of an option in words, if it is not that of the library.
    """
    groups: dict[str, Any] = {}
    for name in names:
        option = TABLE[name]
        group: Any = parser
        if option.one_of:
            group = groups.get(option.one_of) or parser.add_mutually_exclusive_group()
            groups[option.one_of] = group
        add_option(group, name, option, otherwise.get(name))
        if name == "grammar":
            group.add_argument("--no-grammar", action="store_true", help="use no grammar, not even that of the model")
        elif name == "prime":
            group.add_argument(
                "--prime-file", type=as_path, metavar="FILE", help="file with the prime, in UTF-8; - is stdin"
            )
            group.add_argument("--prime-ids", type=_ids, metavar="1,2,3", help="the prime as ids")
        elif name == "refresh":
            group.add_argument("--carry", action="store_true", help=_sentence(option.none))


def add_option(group: Any, name: str, option: Option, otherwise: str | None = None) -> None:
    """Add the flag for an option of sampling to a parser or a group. Its default is None.

    otherwise: the default in words, if it is not that of the library.
    """
    kind = option.values
    flags = (*option.flags, flag(name))
    if isinstance(kind, Flag):
        if option.default is True:
            without = option.meaning.partition("Without, ")[2]
            no = f"--no-{flag(name)[2:]}"
            group.add_argument(no, dest=name, action="store_false", default=None, help=_sentence(without.rstrip(".")))
        else:
            group.add_argument(*flags, action="store_true", default=None, help=worded(option.meaning, flag))
        return
    several = getattr(kind, "several", False)
    otherwise = default(name) if otherwise is None else otherwise
    values = f"{in_short(kind)}; " if isinstance(kind, Number | Integer) else ""
    group.add_argument(
        *flags,
        type=_parsed(kind.parse, str(kind)),
        action="append" if several else "store",
        metavar=kind.metavar,
        help=f"{worded(option.meaning, flag)}{' May be repeated.' if several else ''} ({values}default: {otherwise})",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_one_stdin(args.model, args.prime, args.prime_file)
    read = (args.model, args.prime_file, args.vocab_from, args.vocab, args.config, args.grammar)
    check_not_read([output for output in args.output if output != _STDOUT], read)
    options = _options(args)
    model = _loaded(args, options)
    if args.scores and args.many is None:
        raise ValueError("--scores: expected --many N, too, since only rows have scores")
    if args.many is not None:
        return _sample_rows(args, model, options)
    if model.heads:
        return _sample_notes(args, model, options)
    if args.prime_file is not None and "prime" not in options:
        options["prime"] = read_text(args.prime_file)  # an error says why it is not text
    generator = lstmgen.Generator(model, threads=args.threads)
    vocabulary = generator.model.vocabulary
    joined = vocabulary is not None and vocabulary.kind != "tokens"
    if vocabulary is None:
        options = _with_ids(options)
    files = [output for output in args.output if output != _STDOUT]
    notation = _notation(args, generator.model, files, joined) if files else None
    _check_folders(files)
    follow_card(args, generator.model, options)
    seed = _seed(options)
    if args.live and (files or "best_of" in options or "beam" in options):
        raise ValueError("--live: expected no -o FILE, --best-of or --beam, as it shows elements while they are drawn")
    searched = "best_of" in options or "beam" in options
    stream: Iterable[str | int]
    running: lstmgen.Stream | None = None
    if searched:
        stream = generator.sample(**options)
    else:
        stream = running = generator.stream(**options)
        if files or not sys.stdout.isatty():
            stream = counted(stream, options.get("length", 1000), "elements")
    if vocabulary is None:
        say("no vocabulary: the elements are ids; --vocab-from or --vocab gives them names")
    say(seed)
    if not args.output and vocabulary is not None and not joined and _is_music(vocabulary.elements):
        say("these elements are music; -o out.mid -o out.wav writes files to listen to")
    if not files:
        shaded = args.live and running is not None and colours(sys.stdout)
        if shaded:
            print(legend(), file=sys.stderr)
        _print(stream, joined, running if shaded else None)
        return
    drawn = [str(element) for element in stream]
    before = []
    if notation == "abc" and isinstance(options.get("prime"), str) and not options.get("include_prime"):
        before = [options["prime"]]  # the file has the whole tune
    _write(args, [*before, *drawn], joined, files, notation)
    if _STDOUT in args.output:
        _print(drawn, joined)


def _notation(args: argparse.Namespace, model: lstmgen.Model, files: Sequence[Path], joined: bool) -> str | None:
    """Return the notation of music that the files need, and print what it assumes."""
    from lstmgen import music

    elements = model.vocabulary.elements if model.vocabulary else None
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _assumed(message)
        abc = joined and is_abc(model)
        return music.check_outputs(files, elements, joined=joined, abc=abc, bpm=args.bpm)


def follow_card(args: argparse.Namespace, model: lstmgen.Model, options: dict[str, Any]) -> None:
    """Add the options that the model recommends to `options`, and say so on stderr."""
    for name, value in recommended(model.metadata["card"], options).items():
        say(f"{_said(name, value)}, as the model's card recommends; {flag(name)} changes it")
        options[name] = value
    if model.grammar and "grammar" not in options and not args.no_grammar:
        say("grammar own: the model's own grammar; --no-grammar samples without it")
        options["grammar"] = "own"


def _sample_rows(args: argparse.Namespace, model: lstmgen.Model, options: dict[str, Any]) -> None:
    """Draw many samples as the rows of a table."""
    from lstmgen import rows

    for name in ("live", "best_of", "beam"):
        if getattr(args, name):
            raise ValueError(f"{flag(name)}: expected no --many, which draws each row once")
    if len(args.output) > 1:
        raise ValueError(f"--many: expected one -o, found {len(args.output)}")
    output = next((path for path in args.output if path != _STDOUT), None)
    if model.heads:
        if args.prime_file is not None:
            options["prime"] = os.fspath(args.prime_file)
        if others := sorted(options.keys() - _OF_NOTES - {"prime"} | options.keys() & {"include_prime"}):
            raise ValueError(f"{flag(others[0])}: {args.model} draws notes, which have no such option with --many")
    else:
        if args.prime_file is not None and "prime" not in options:
            options["prime"] = read_text(args.prime_file)
        if model.vocabulary is None:
            options = _with_ids(options)
        follow_card(args, model, options)
    done = 0
    if output is not None:
        _check_folders([output])
        parts = rows.parts_of(output)
        done = parts.done(args.many)
        if parts.seed is not None:
            options.setdefault("seed", parts.seed)
    say(_seed(options))
    if output is None:
        rows.write_lines(
            rows.Rows(model, threads=args.threads, scores=args.scores, **options), args.many, sys.stdout.buffer
        )
        return
    if done:
        say(f"{parts.folder}: {done} of {args.many} rows exist")
    try:
        rows.write_rows(model, args.many, output, threads=args.threads, scores=args.scores, **options)
    except KeyboardInterrupt:
        found = parts.done(args.many)
        say(f"{parts.folder}: has {found} of {args.many} rows; the same command continues")
        raise


# The options of sampling that a model of notes takes.
_OF_NOTES = {"length", "temp", "temperature", "inverse_temp", "seed", "include_prime"}


def _sample_notes(args: argparse.Namespace, model: lstmgen.Model, options: dict[str, Any]) -> None:
    """Draw notes from a model whose outputs form one note."""
    from lstmgen import music
    from lstmgen.files import write

    if args.live:
        raise ValueError(f"--live: {args.model} draws notes, and only text can be shaded")
    check_options_of_notes(args.model, options.keys() - ({"prime"} if args.prime_file else set()), carry=args.carry)
    files = [path for path in args.output if path != _STDOUT]
    music.check_music_outputs(files, bpm=args.bpm)
    _check_folders(files)
    generator = music.NoteGenerator(model)
    prime = generator.default_prime if args.prime_file is None else music.read_timed_notes(args.prime_file)
    seed = _seed(options)
    drawn = generator.stream(
        options.get("length", 1000),
        options.get("temp", options.get("temperature")),
        prime=prime,
        seed=options["seed"],
        inverse_temp=options.get("inverse_temp"),
    )
    say(seed)
    notes = [
        *(prime if options.get("include_prime") else ()),
        *counted(drawn, options.get("length", 1000), "notes"),
    ]
    lines = "".join(" ".join(f"{getattr(note, head.part):g}" for head in model.heads) + "\n" for note in notes)
    if not files or _STDOUT in args.output:
        sys.stdout.write(lines)
    if loop := music.stuck([note.pitch for note in notes]):
        say(f"warning: {loop}")
    for path in files:
        if path.suffix.lower() in WRITABLE:
            _write_music(args, music.of_timed_notes(notes, bpm=100 if args.bpm is None else args.bpm), path)
        else:
            write(path, lines.encode())


def check_options_of_notes(model: str, given: Iterable[str], *, carry: bool = False) -> None:
    """Raise `ValueError` for an option that a model of notes does not have."""
    if others := sorted(set(given) - _OF_NOTES):
        name = "--carry" if carry else flag(others[0])
        hint = "; --prime-file names a MIDI file" if others[0] == "prime" else ""
        raise ValueError(f"{name}: {model} draws notes, which have no such option{hint}")


def _check_folders(outputs: Sequence[Path]) -> None:
    """Raise `OSError` if a file cannot be written. This is checked before the work."""
    for output in outputs:
        with naming(output):  # the current folder may be gone
            folder = os.path.dirname(os.path.realpath(output))
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise OSError(f"{output}: cannot write into the folder {folder}")


_STDOUT = Path(DASH)

# -- the arguments -------------------------------------------------------------------------------


def _loaded(args: argparse.Namespace, options: dict[str, Any]) -> lstmgen.Model:
    """Return the model of a command line, and print what it assumes."""
    from lstmgen.model import is_keras_file

    told: Any = {name: value for name in _EXPORT if (value := getattr(args, name)) is not None}
    prime = options.get("prime") if options.get("on_unknown", "error") == "error" else None
    source = model_source(args.model)
    if prime and is_keras_file(source):
        told["prime"] = prime  # so that the likeliest encoding is taken
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the model says all of them
        warnings.simplefilter("always", Note)
        try:
            model = lstmgen.Model(source, **told)
        except ValueError:
            if told.pop("prime", None) is None:
                raise
            model = lstmgen.Model(source, **told)  # reading the prime raises its error later
    if model.assumed and not is_keras_file(source) and args.model != DASH:  # the export said all of them
        command = f"lstmgen info {shlex.quote(printable(args.model))}"
        say(f"assumed at the export: {len(model.assumed)}; {command} lists them")
        return model
    for sentence in model.assumed:
        _assumed(sentence)
    return model


def _assumed(message: Warning | str) -> None:
    say(f"assumed: {printable(str(message))}")


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of sampling that the command line gives."""
    options = {
        name: value for name, entry in TABLE.items() if entry.flag and (value := getattr(args, name)) is not None
    }
    if args.carry:
        options["refresh"] = None
    if "grammar" in options:
        options["grammar"] = grammar_text(options["grammar"])
    if "logit_bias" in options:
        options["logit_bias"] = dict(options["logit_bias"])
    if args.escape:
        options |= {name: _unescaped(options[name]) for name in ("prime", "stop") if name in options}
    if args.prime_ids is not None:
        options["prime"] = args.prime_ids
    elif args.prime == DASH or args.prime_file == _STDOUT:
        options["prime"] = read_text(DASH)
    elif args.prime_file is not None:
        with contextlib.suppress(ValueError):  # the prime of a model of notes is a MIDI file
            options["prime"] = read_text(args.prime_file)
    return options


def grammar_text(given: str, argument: str = "--grammar") -> str:
    """Return the grammar that `argument` names: a file, one of `lstmgen.grammars`, or "own"."""
    from lstmgen import grammars

    if given == "own":
        return given
    if given in grammars.__all__ and not os.path.exists(given):
        text: str = getattr(grammars, given)()
        return text
    try:
        return read_text(given)
    except FileNotFoundError:
        names = ", ".join(grammars.__all__)
        raise ValueError(f"{argument}: expected a file, own, or one of {names}; found no file {given}") from None


def _seed(options: dict[str, Any]) -> str:
    """Choose a seed if none is given. Returns a line that tells the seed."""
    if "seed" in options:
        return f"seed {options['seed']}"
    options["seed"] = secrets.randbits(32)
    return f"seed {options['seed']}: --seed {options['seed']} draws the same again"


def _with_ids(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for a model without a vocabulary. Texts of ids become ids."""
    from lstmgen.vocabulary import plain_ids

    def ids(text: Any) -> Any:
        return (plain_ids(text) or text) if isinstance(text, str) else text

    ways: dict[str, Callable[[Any], Any]] = {
        "prime": ids,
        "stop": lambda texts: [ids(text) for text in texts],
        "logit_bias": lambda biases: {int(key) if plain_ids(key) else key: bias for key, bias in biases.items()},
    }
    return {name: ways[name](value) if name in ways else value for name, value in options.items()}


def _parsed(parse: Callable[[str], object], expected: str) -> Callable[[str], object]:
    def parsed(text: str) -> object:
        try:
            return parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}") from None

    return parsed


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


def _ids(text: str) -> list[int]:
    try:
        return [int(number) for number in text.replace(",", " ").split()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected ids such as 1,2,3, found {text!r}") from None


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


def _unescaped(what: Any) -> Any:
    r"""Return a text, or texts, with characters for \n and the like."""
    if not isinstance(what, str):
        return [_unescaped(text) for text in what]

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise ValueError(rf"--escape: expected one of \n \t \r \0 \\ \xNN \uNNNN, found \{code}")
        return _ESCAPES[code]

    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.|$)", character, what, flags=re.DOTALL)


def _said(name: str, value: Any) -> str:
    if name == "refresh" and value is None:
        return flag(name, value)
    values = [f"{key}={x}" for key, x in value.items()] if isinstance(value, dict) else value
    values = values if isinstance(values, list) else [values]
    return f"{name.replace('_', '-')} {' '.join(_quoted(str(one)) for one in values)}"


def _quoted(text: str) -> str:
    """Return a text as a shell takes it, on one line."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + text.encode("unicode_escape").decode().replace("'", "\\'") + "'"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# -- the output ----------------------------------------------------------------------------------


def _print(elements: Iterable[str | int], joined: bool, stream: lstmgen.Stream | None = None) -> None:
    """Print elements as they are drawn. They are shaded by their probability in `stream`."""
    pieces = (f"{e}" if joined or i == 0 else f" {e}" for i, e in enumerate(elements))
    out = sys.stdout.buffer
    live = sys.stdout.isatty()
    for piece in pieces:
        text = shown(piece) if live else piece
        if stream is not None and stream.logprob is not None:
            text = ansi(text, math.exp(stream.logprob))
        out.write(text.encode())
        if live:
            out.flush()
    if live or not joined:
        out.write(b"\n")
    out.flush()


def _is_music(elements: Sequence[str]) -> bool:
    """Return whether these elements can be written as music."""
    from lstmgen.music.elements import recognise_vocabulary

    return recognise_vocabulary(elements) is not None


def _write(
    args: argparse.Namespace, elements: Sequence[str], joined: bool, outputs: Sequence[Path], notation: str | None
) -> None:
    """Write a sample to files: as music if the name of a file says so, else as text."""
    from lstmgen import music
    from lstmgen.files import write

    if any(music.is_music(path, notation) for path in outputs):
        try:
            piece = music.decode(elements, notation=notation)
        except music.AbcError as error:
            raise ValueError(f"{outputs[0]}: the sample is not a tune: {error}") from None
        if loop := music.stuck(piece if notation == "abc" else elements):
            say(f"warning: {loop}")
    for path in outputs:
        if music.is_music(path, notation):
            _write_music(args, piece, path)
        else:
            write(path, ("".join(elements) if joined else " ".join(elements) + "\n").encode())


def _write_music(args: argparse.Namespace, piece: Music, path: Path) -> None:
    """Write a piece, and say which synthesiser was found for its sound."""
    if path.suffix.lower() in SOUND and args.synth is None:
        from lstmgen.music import audio

        if font := audio.soundfont_at_hand():
            say(f"{path}: played by fluidsynth with {font}; --synth builtin plays another piano")
    piece.write(path, bpm=args.bpm, synth=args.synth)
