"""`lstmgen serve`."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from lstmgen.arguments import Integer, Number, in_short
from lstmgen.cli.streams import file_name
from lstmgen.cli.terminal import say
from lstmgen.escaping import printable
from lstmgen.options import MOST_SEQUENCES
from lstmgen.serving.limits import MIB, Limits


class _Flag(NamedTuple):
    """A flag that takes a number. unit: `Limits` has the number times this."""

    name: str
    values: Integer | Number
    meaning: str
    metavar: str = "N"
    unit: int = 1


_PORT = _Flag("port", Integer(0, most=65535), "port to listen at; 0: any free one")
_THREADS = _Flag("threads", Integer(1), "threads that share the sequences of a model")
# By the name of the limit in `Limits`, which has the defaults.
_LIMITS = {
    "parallel": _Flag("parallel", Integer(1, most=MOST_SEQUENCES), "most sequences that a model draws side by side"),
    "queue": _Flag("queue", Integer(0, most=100_000), "most sequences that wait for a model"),
    "length": _Flag("max_length", Integer(1), "most elements of a sequence"),
    "seconds": _Flag("timeout", Number(0, without_least=True), "seconds that a request may take", "S"),
    "body": _Flag("max_body", Number(0, 1024, without_least=True), "greatest size of a request", "MIB", MIB),
    "upload": _Flag("max_upload", Number(0, 4096), "greatest size of an uploaded model", "MIB", MIB),
    "uploads": _Flag("uploads", Integer(1), "uploaded models that are kept"),
    "patience": _Flag("patience", Number(0, 3600, without_least=True), "seconds that a client may be silent", "S"),
    "grace": _Flag("grace", Number(0, 3600), "seconds that running samples have to end when the server stops", "S"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "models",
        nargs="+",
        type=file_name,
        metavar="MODEL",
        help="a .bin, a model saved by Keras, or a bundled model's name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0: all (default: 127.0.0.1)")
    _add_flag(parser, _PORT, 8000)
    _add_flag(parser, _THREADS, 1)
    for name, flag in _LIMITS.items():
        _add_flag(parser, flag, Limits._field_defaults[name] / flag.unit)
    parser.add_argument("--no-uploads", action="store_true", help="take no uploaded models")


def _add_flag(parser: argparse.ArgumentParser, flag: _Flag, default: float) -> None:
    parser.add_argument(
        f"--{flag.name.replace('_', '-')}",
        type=flag.values.parse,
        default=int(default),
        metavar=flag.metavar,
        help=f"{flag.meaning} ({in_short(flag.values)}; default: {default:.0f})",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ImportError("serve needs starlette and uvicorn: pip install 'lstmgen[serve]'") from None
    limits = _limits(args)
    from lstmgen.serving.models import Models
    from lstmgen.serving.server import serve

    models = Models(args.models, limits, args.threads)
    names = ", ".join(printable(served.id) for served in models)

    def ready(address: str) -> None:
        say(f"serving {names} at {address} to anyone who reaches it: it asks for no password")
        say("Ctrl-C ends it")

    serve(models, limits, args.host, args.port, ready)


def _limits(args: argparse.Namespace) -> Limits:
    for flag in (_PORT, _THREADS):
        flag.values.check(flag.name, getattr(args, flag.name))
    numbers = {name: flag.values.check(flag.name, getattr(args, flag.name)) for name, flag in _LIMITS.items()}
    found: Any = {name: round(n * _LIMITS[name].unit) if _LIMITS[name].unit > 1 else n for name, n in numbers.items()}
    return Limits(**{**found, "upload": 0} if args.no_uploads else found)
