"""`lstmgen serve`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lstmgen.cli.streams import file_name
from lstmgen.escaping import printable

if TYPE_CHECKING:
    from lstmgen.serving.limits import Limits

# By name: the type of the number, its default, what it counts, and what it is.
_NUMBERS: dict[str, tuple[type[int] | type[float], int, str, str]] = {
    "port": (int, 8000, "N", "port to listen at; 0 is a free one"),
    "parallel": (int, 64, "N", "sequences that a model draws at a time"),
    "queue": (int, 256, "N", "sequences of a model that may wait besides"),
    "threads": (int, 1, "N", "threads that share the sequences of a model"),
    "max-length": (int, 100_000, "N", "most elements of a sequence"),
    "timeout": (float, 300, "S", "seconds that a request may take"),
    "max-body": (float, 8, "MIB", "greatest size of a request"),
    "max-upload": (float, 64, "MIB", "greatest size of an uploaded model"),
    "uploads": (int, 8, "N", "uploaded models that are kept"),
    "patience": (float, 30, "S", "seconds that a client may be silent"),
    "grace": (float, 10, "S", "seconds that running samples have to end when the server is stopped"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "models",
        nargs="+",
        type=file_name,
        metavar="MODEL",
        help="a .bin, a model saved by Keras, or a bundled model",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 is all (default: 127.0.0.1)")
    for name, (kind, default, metavar, about) in _NUMBERS.items():
        parser.add_argument(
            f"--{name}", type=kind, default=default, metavar=metavar, help=f"{about} (default: {default})"
        )
    parser.add_argument("--no-uploads", action="store_true", help="take no uploaded models")


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
        print(f"serving {names} at {address} to anyone who reaches it: it asks for no password", file=sys.stderr)
        print("Ctrl-C ends it", file=sys.stderr, flush=True)

    serve(models, limits, args.host, args.port, ready)


def _limits(args: argparse.Namespace) -> Limits:
    from lstmgen.arguments import Integer, Number
    from lstmgen.serving.limits import MIB, Limits

    Integer(0, most=65535).check("port", args.port)
    Integer(1).check("threads", args.threads)
    return Limits(
        parallel=Integer(1, most=4096).check("parallel", args.parallel),
        queue=Integer(0, most=100_000).check("queue", args.queue),
        length=Integer(1).check("max_length", args.max_length),
        seconds=Number(0, without_least=True).check("timeout", args.timeout),
        body=round(Number(0, 1024, without_least=True).check("max_body", args.max_body) * MIB),
        upload=0 if args.no_uploads else round(Number(0, 4096).check("max_upload", args.max_upload) * MIB),
        uploads=Integer(1).check("uploads", args.uploads),
        patience=Number(0, 3600, without_least=True).check("patience", args.patience),
        grace=Number(0, 3600).check("grace", args.grace),
    )
