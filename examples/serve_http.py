"""Streams samples over HTTP to many clients at a time. A client that leaves stops its sample.

pip install starlette uvicorn
python examples/serve_http.py latex 8000
curl -N 'http://127.0.0.1:8000/?length=500&temp=0.67&seed=1'
"""

import logging
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import lstmgen

log = logging.getLogger("uvicorn.error")
generator = lstmgen.Generator(sys.argv[1] if len(sys.argv) > 1 else "latex")
vocabulary = generator.model.vocabulary
separator = "" if vocabulary and vocabulary.kind == "text" else " "

OPTIONS: dict[str, Callable[[str], Any]] = {
    "length": int,
    "temp": float,
    "seed": int,
    "prime": str,
    "stop": str,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "refresh": lambda text: None if text == "none" else int(text),
}
LONGEST = 1_000_000


async def sample(request: Request) -> Response:
    """Answer with a sample as it is drawn."""
    try:
        options = {name: OPTIONS[name](text) for name, text in request.query_params.items()}
        if options.setdefault("length", 1000) > LONGEST:
            raise ValueError(f"length: expected at most {LONGEST}, found {options['length']}")
        elements = generator.astream(**options)
    except KeyError as error:
        return PlainTextResponse(f"expected options {', '.join(OPTIONS)}, found {error}\n", 400)
    except (ValueError, TypeError) as error:
        return PlainTextResponse(f"{error}\n", 400)
    return StreamingResponse(text(elements, request), media_type="text/plain; charset=utf-8")


async def text(elements: AsyncIterator[str | int], request: Request) -> AsyncIterator[str]:
    """Yield the text, and log how much of it the client has had."""
    count = 0
    try:
        async for element in elements:
            yield f"{element}{separator}"
            count += 1
    finally:  # also when the client is gone: then the server cancels this
        log.info("%s %s: %d elements", request.client, request.url.query, count)


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    uvicorn.run(Starlette(routes=[Route("/", sample)]), port=port)
