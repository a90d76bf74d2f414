"""`lstmgen serve`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lstmgen.cli.streams import file_name
from lstmgen.escaping import printable

if TYPE_CHECKING:
    from lstmgen.serving.limits import Limits


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
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port to listen at; 0 is a free one (default: 8000)"
    )
    parser.add_argument(
        "--parallel", type=int, default=64, metavar="N", help="sequences that a model draws at a time (default: 64)"
    )
    parser.add_argument(
        "--queue", type=int, default=256, metavar="N", help="sequences of a model that may wait besides (default: 256)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads that share the sequences of a model (default: 1)"
    )
    parser.add_argument(
        "--max-length", type=int, default=100_000, metavar="N", help="most elements of a sequence (default: 100000)"
    )
    parser.add_argument(
        "--timeout", type=float, default=300, metavar="S", help="seconds that a request may take (default: 300)"
    )
    parser.add_argument(
        "--max-body", type=float, default=8, metavar="MIB", help="greatest size of a request (default: 8)"
    )
    parser.add_argument(
        "--max-upload", type=float, default=64, metavar="MIB", help="greatest size of an uploaded model (default: 64)"
    )
    parser.add_argument(
        "--uploads", type=int, default=8, metavar="N", help="uploaded models that are kept (default: 8)"
    )
    parser.add_argument("--no-uploads", action="store_true", help="take no uploaded models")
    parser.add_argument(
        "--patience", type=float, default=30, metavar="S", help="seconds that a client may be silent (default: 30)"
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=10,
        metavar="S",
        help="seconds that running samples have to end when the server is stopped (default: 10)",
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
