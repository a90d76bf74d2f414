"""The endpoints of the server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import mimetypes
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lstmgen.escaping import printable
from lstmgen.serving.answers import PIECE, encoded, sliced
from lstmgen.serving.completions import Completion
from lstmgen.serving.engine import Busy, Job
from lstmgen.serving.failures import Failure
from lstmgen.serving.limits import Limits
from lstmgen.serving.metrics import Metrics
from lstmgen.serving.models import Models, Served
from lstmgen.serving.requests import Asked, asked, parsed

_UPLOADS_AT_ONCE = 2
_BODIES_AT_ONCE = 8  # of the greatest size, beside uploads
_SMALL = 2**16  # bytes; a body of no more is always read
_SHORT = 2048  # bytes; a shorter request is checked so fast that it needs no thread
_HEADERS = {
    b"content-security-policy": b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ADDRESSES = {
    "/v1/completions": ("POST",),
    "/v1/uploads": ("POST",),
    "/v1/models": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
}


class Service:
    """The endpoints of a server.

    models: the models that it serves.
    limits: the limits of the server.
    loopback: whether only this machine can reach the server. It then refuses requests for any other
        host name, so that a page of another site cannot read from it (DNS rebinding).
    """

    def __init__(self, models: Models, limits: Limits, *, loopback: bool) -> None:
        self.models, self.limits = models, limits
        self.metrics = Metrics()
        self.draining = False
        self._loopback = loopback
        self._running: set[Completion] = set()
        self._uploading = 0
        self._bodies = 0  # bytes of bodies that are being read or checked
        self._page = _page()

    def app(self) -> ASGIApp:
        """Return the ASGI application."""
        routes = [
            Route("/v1/models", self._answering(self.list_models)),
            Route("/v1/models/{name:path}", self._answering(self.one_model)),
            Route("/v1/completions", self._answering(self.complete), methods=["POST"]),
            Route("/v1/uploads", self._answering(self.upload), methods=["POST"]),
            Route("/health", self._answering(self.health)),
            Route("/metrics", self._answering(self.count)),
            Route("/{path:path}", self._answering(self.page), methods=_METHODS),
        ]
        return _Headers(Starlette(routes=routes, exception_handlers={HTTPException: self._no_route}))

    async def _no_route(self, request: Request, error: Exception) -> Response:
        """Answer a method that no route has, or an address such as one with a line end."""
        found: Response = await self._answering(self.page)(request)
        return found

    def drain(self) -> None:
        """Refuse new requests, and end those that wait now, the others after the time of grace."""
        self.draining = True
        loop = asyncio.get_running_loop()
        for completion in self._running:
            if not any(job.begun for job in completion.jobs):
                completion.cut()
        loop.call_later(self.limits.grace, self._cut_all)

    def _cut_all(self) -> None:
        self.models.ended.set()
        for completion in list(self._running):
            completion.cut()

    def _answering(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                self._check_origin(request)
                response = await endpoint(request)
            except Exception as error:
                if isinstance(error, ClientDisconnect):
                    self.metrics.left += 1
                    return Response(status_code=499)
                failure = error if isinstance(error, Failure) else _unexpected(request, error)
                response = _json([encoded(failure.body())])
                response.status_code = failure.status
                if failure.status in (429, 503):
                    response.headers["Retry-After"] = "1"
                if failure.status in (408, 413):  # the rest of the body is not read
                    response.headers["Connection"] = "close"
            self.metrics.answered(response.status_code)
            return response

        return answer

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if self._loopback and not is_loopback(_split(f"//{host}")[0] or ""):
            raise Failure(403, "host: expected localhost, 127.0.0.1 or ::1", code="host")
        origin = request.headers.get("origin")
        if request.method == "POST" and origin is not None and _split(origin)[1] != host:
            raise Failure(403, "origin: a page of another site may not use this server", code="origin")

    # -- answers -----------------------------------------------------------------------------------

    async def list_models(self, request: Request) -> Response:
        """Return the facts about all models."""
        return _json(self._facts())

    def _facts(self) -> Iterator[str]:
        yield '{"object":"list","data":['
        for i, served in enumerate(self.models):
            yield "," if i else ""
            yield from sliced(served.facts)
        yield "]}"

    async def one_model(self, request: Request) -> Response:
        """Return the facts about one model."""
        return _json(sliced(self.models.find(request.path_params["name"]).facts))

    async def health(self, request: Request) -> Response:
        """Return whether the server takes requests."""
        if self.draining:
            raise Failure(503, "the server stops", code="ending")
        return _json([encoded({"status": "ok"})])

    async def count(self, request: Request) -> Response:
        """Return the counts for Prometheus."""
        running, waiting = self.models.load()
        now = {"lstmgen_running": running, "lstmgen_waiting": waiting, "lstmgen_requests_open": len(self._running)}
        return PlainTextResponse(self.metrics.text(now), media_type="text/plain; version=0.0.4")

    async def page(self, request: Request) -> Response:
        """Return a file of the page."""
        path = request.scope["path"].removeprefix("/") or "index.html"
        if (taken := _ADDRESSES.get(f"/{path}")) is not None or path in self._page:
            taken = taken or ("GET", "HEAD")
            if request.method not in taken:
                message = f"/{path[:60]}: expected {taken[0]}, found {request.method}"
                raise Failure(405, message, code="method_not_allowed")
        if path not in self._page:
            hint = ""
            if path.removeprefix("v1/") == "chat/completions":
                hint = ": no model here holds a chat: POST a prompt to /v1/completions, which it continues"
            raise Failure(404, f"no such address: /{path[:60]}{hint}", code="not_found")
        data, kind, tag = self._page[path]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)

    async def upload(self, request: Request) -> Response:
        """Read an uploaded model, and return the facts about it."""
        if not self.limits.upload:
            raise Failure(403, "uploads: this server takes none", code="no_uploads")
        if self._uploading >= _UPLOADS_AT_ONCE:
            raise Failure(429, "uploads: the server reads others just now: try again", code="busy")
        self._uploading += 1
        try:
            name = request.query_params.get("name", "model")
            async with self._body(request, self.limits.upload) as data:
                served = await asyncio.to_thread(self.models.upload, name, data)
        finally:
            self._uploading -= 1
        return _json(sliced(served.facts))

    async def complete(self, request: Request) -> Response:
        """Draw completions, and return them at once or as a stream."""
        start = time.monotonic()
        served, what = await self._asked(request)
        engine = served.engine_for(what.prompts[0][0])
        jobs = [[Job(prepared, engine, streams=what.stream) for prepared in group] for group in what.prompts]
        completion = Completion(served.id, served.model, what, jobs)
        try:
            engine.submit(completion.jobs)
        except Busy:
            raise Failure(429, "the queue is full: try again later", code="queue_full") from None
        self.metrics.primes += sum(len(job.prepared.prime) for job in completion.jobs)
        self._running.add(completion)
        clock = asyncio.get_running_loop().call_later(self.limits.seconds, completion.cut)
        first = asyncio.create_task(self._time_first(completion, start))

        def done() -> None:
            clock.cancel()
            first.cancel()
            completion.cut()
            self._running.discard(completion)
            self.metrics.elements += completion.drawn
            self.metrics.request.add(time.monotonic() - start)

        if what.stream:
            return _Stream(completion, done, self)
        try:
            return _json(await self._unless_gone(request, completion.whole()))
        finally:
            done()

    async def _asked(self, request: Request) -> tuple[Served, Asked]:
        """Return the model that a request asks for, and the checked request."""
        async with self._body(request, self.limits.body) as data:
            body = parsed(data)
            if self.draining:
                raise Failure(503, "the server stops", code="ending")
            served = self.models.find(body.get("model"))
            quick = len(data) < _SHORT and "grammar" not in body and not isinstance(body.get("prompt"), list)
            if quick and not served.uploaded:
                return served, asked(body, served.engine.batch, self.limits)
            return served, await asyncio.to_thread(asked, body, served.engine.batch, self.limits)  # it may take long

    async def _time_first(self, completion: Completion, start: float) -> None:
        await completion.jobs[0].first.wait()
        self.metrics.first_element.add(time.monotonic() - start)

    async def _unless_gone(self, request: Request, wanted: Any) -> Any:
        """Return the result of `wanted`. Raises `ClientDisconnect` if the client leaves before."""
        task, gone = asyncio.ensure_future(wanted), asyncio.ensure_future(until_gone(request.receive))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            task.cancel()
            gone.cancel()

    @contextlib.asynccontextmanager
    async def _body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Read the body of a request.

        Raises `Failure` for more than `most` bytes, for a wait, and if there are too many others.
        """
        told = request.headers.get("content-length", "")
        pieces, size, kept = [], 0, 0
        enough = _UPLOADS_AT_ONCE * self.limits.upload + _BODIES_AT_ONCE * self.limits.body
        try:
            async for piece in self._pieces(request):
                size += len(piece)
                if size <= most:
                    kept += len(piece)
                    self._bodies += len(piece)
                    pieces.append(piece)
                # A client may not read an answer before it has sent its whole body. So the rest is
                # read, too, up to a limit.
                elif size > 2 * most:
                    break
                if size > _SMALL and self._bodies > enough:
                    raise Failure(429, "the body: the server reads others just now: try again", code="busy")
            if size > most:
                found = f"{int(told):,}" if told.isdigit() else "more"
                raise Failure(413, f"the body: expected at most {most:,} bytes, found {found}", code="too_large")
            data = b"".join(pieces)
            pieces.clear()
            yield data
        finally:
            self._bodies -= kept

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of a request as it comes. Raises `Failure` if it takes too long."""
        limits, end = self.limits, time.monotonic() + self.limits.seconds
        stream = aiter(request.stream())
        while True:
            left = end - time.monotonic()
            try:
                piece = await asyncio.wait_for(anext(stream, None), min(limits.patience, left))
            except TimeoutError:
                why = f"nothing came for {limits.patience:g} s"
                if left < limits.patience:
                    why = f"it took longer than {limits.seconds:g} s"
                raise Failure(408, f"the body: {why}", code="timeout") from None
            if piece is None:
                return
            yield piece


class _Stream(StreamingResponse):
    """Sends events as they are drawn. It stops if the client leaves, or does not read."""

    def __init__(self, completion: Completion, done: Callable[[], None], service: Service) -> None:
        super().__init__(completion.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._completion, self._done, self._service = completion, done, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        limits = self._service.limits
        sending = asyncio.ensure_future(self.stream_response(send))
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED, timeout=limits.seconds + 1)
            if not sending.done() and not gone.done():  # its time is up: it has 2 s to read the rest
                await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED, timeout=2)
            if not sending.done():
                self._service.metrics.left += 1
                if abort := scope.get("lstmgen.abort"):
                    abort()
            else:
                await sending
        finally:
            self._done()
            for task in (sending, gone):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sending


async def until_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Headers:
    """Adds the headers of all answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with these headers."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = {name for name, _ in message["headers"]}
                message["headers"] += [pair for pair in _HEADERS.items() if pair[0] not in found]
            await send(message)

        await self._app(scope, receive, sending)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host of this name or address.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "127.evil.example", "")]
    [True, True, True, False, False]
    """
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def _split(address: str) -> tuple[str | None, str]:
    """Return the host name of an address, and the host with its port. (None, "") if it is none."""
    try:
        found = urlsplit(address)
        return found.hostname, found.netloc
    except ValueError:
        return None, ""


def _unexpected(request: Request, error: Exception) -> Failure:
    """Log an unexpected error, and return the answer to it."""
    logging.getLogger("uvicorn.error").error("%s %s", request.method, printable(request.scope["path"]), exc_info=error)
    return Failure(500, "an error of the server: its log has more", code="internal")


def _json(pieces: Iterable[str]) -> Response:
    """Return the answer whose JSON has these pieces. A long one is made while it is sent.

    So its body is never in memory as a whole, and other clients are served between two pieces.
    """
    headers = {"Cache-Control": "no-store"}
    begun, size = [], 0
    left = iter(pieces)
    for piece in left:
        begun.append(piece)
        size += len(piece)
        if size > PIECE:
            body = _made("".join(begun), left)
            return StreamingResponse(body, media_type="application/json", headers=headers)
    return Response("".join(begun), media_type="application/json", headers=headers)


async def _made(begun: str, left: Iterator[str]) -> AsyncIterator[str]:
    yield begun
    for piece in left:
        await asyncio.sleep(0)
        yield piece


def _page() -> dict[str, tuple[bytes, str, str]]:
    """Return (bytes, media type, ETag) of each file of the page, by its name."""
    kinds = {
        ".js": "text/javascript",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
    }
    found = {}
    for file in resources.files("lstmgen.serving").joinpath("page").iterdir():
        if file.is_file() and not file.name.startswith("."):
            data = file.read_bytes()
            suffix = f".{file.name.rpartition('.')[2]}"
            kind = kinds.get(suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            found[file.name] = (data, kind, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
    return found
