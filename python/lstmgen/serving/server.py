"""Runs the server until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lstmgen.errors import OptionError
from lstmgen.serving.app import Service, is_loopback
from lstmgen.serving.limits import Limits
from lstmgen.serving.models import Models

_CONNECTIONS = 1000  # open at a time
_BACKLOG = 512  # connections that wait until they are accepted
_FILES = 4096  # open at a time: connections, those that are closed at once, and files of uploads
_READ = 2**14  # bytes that are read at once. A chunk may have one byte, and takes 12 us
_SWITCH = 0.0005  # seconds after which another thread gets the interpreter


def serve(models: Models, limits: Limits, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve models until SIGINT or SIGTERM.

    models: the models to serve.
    limits: the limits of the server.
    host: the name or address to listen at.
    port: the port to listen at, 0 to 65535. 0: any free one.
    ready: a function that is called with the URL as soon as the server listens.

    Raises `OSError` that names the address if the server cannot listen there, and `OptionError` for
    a host that is no name or address.
    """
    _allow_files()
    listener = _listener(host, port)
    found = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    service = Service(models, limits, loopback=is_loopback(host))
    config = uvicorn.Config(
        service.app(),
        http=_protocol(limits.patience),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,  # a config would close the handlers of other libraries, and that of Keras closes stderr
        log_level="error",  # no line for a request that is none: clients would fill the log
        backlog=_BACKLOG,
        server_header=False,
        access_log=False,
        timeout_keep_alive=round(limits.patience),
        timeout_graceful_shutdown=round(limits.grace) + 5,
    )
    sys.setswitchinterval(_SWITCH)
    try:
        _Server(config, service, lambda: ready(f"http://{shown}:{found}")).run(sockets=[listener])
    finally:
        models.close()


def _allow_files() -> None:
    """Let this process open as many files as all connections take."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if now != resource.RLIM_INFINITY:
            wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address."""
    if not host.strip() or not host.isprintable():  # "" would be all addresses
        raise OptionError("host", "a name or an address, such as 127.0.0.1, or 0.0.0.0 for all", host)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise OSError(error.errno, f"cannot listen: {why}", f"{host}:{port}") from None


class _Server(uvicorn.Server):
    """A server that lets running samples end before it stops. The exit status is 0."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and call `ready`."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. Running samples have the time of grace to end."""
        self._service.drain()
        try:
            await super().shutdown(sockets)
        finally:
            self._service.models.ended.set()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop. A second Ctrl-C stops at once."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _protocol(patience: float) -> type[H11Protocol]:
    """Return a protocol that closes a connection after `patience` seconds without a request.

    It also closes one whose client reads nothing for as long.
    """

    class Protocol(H11Protocol):
        _clock: asyncio.TimerHandle | None = None
        _reader: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if hasattr(transport, "max_size"):
                transport.max_size = _READ
            if len(self.connections) > _CONNECTIONS:
                transport.abort()
            else:
                self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.scope is not None:
                self.scope.setdefault("lstmgen.abort", self.transport.abort)  # type: ignore[typeddict-item]
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._unwatch()
            self._unwatch_reader()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch_reader()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._unwatch_reader()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._watch_reader()

        def _watch_reader(self) -> None:
            """Close the connection when its client has read nothing for `patience` seconds."""
            self._unwatch_reader()
            if left := self.transport.get_write_buffer_size():
                self._reader = self.loop.call_later(patience, self._lose_reader, left)

        def _unwatch_reader(self) -> None:
            if self._reader is not None:
                self._reader.cancel()
                self._reader = None

        def _lose_reader(self, left: int) -> None:
            if self.transport.get_write_buffer_size() >= left:
                self.transport.abort()
            else:
                self._watch_reader()

        def _watch(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._unwatch()
            elif self._clock is None:
                self._clock = self.loop.call_later(patience, self._give_up)

        def _unwatch(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _give_up(self) -> None:
            self._clock = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return Protocol
