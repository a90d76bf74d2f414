"""A running `lstmgen serve`, as tests ask it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any


class Service:
    """A server in a separate process, at a free port."""

    def __init__(self, log: Path, *argv: str | Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "lstmgen", "serve", "--port", "0", *(os.fspath(word) for word in argv)]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)
        self.address, self.port = self._wait_for(r"at (http://127\.0\.0\.1:(\d+))")

    def _wait_for(self, pattern: str) -> tuple[str, int]:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(pattern, self._log.read_text()):
                return found[1], int(found[2])
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log:\n{self._log.read_text()}")

    def ask(
        self, path: str, body: Any = None, *, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, Any]:
        """Return the status and the answer, as JSON if it is JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, data, headers or {})
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers.get_content_type() == "application/json"
            return response.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()

    def complete(self, **body: Any) -> list[dict[str, Any]]:
        """Return the choices of an answer."""
        status, found = self.ask("/v1/completions", body)
        assert status == 200, found
        choices: list[dict[str, Any]] = found["choices"]
        return choices

    def problem(self, **body: Any) -> tuple[int, str, str | None]:
        """Return the status, the message and the parameter of an error."""
        status, found = self.ask("/v1/completions", body)
        return status, found["error"]["message"], found["error"]["param"]

    def metric(self, name: str) -> float:
        """Return a number of `/metrics`."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics")[1], re.M)
        assert found is not None, name
        return float(found[1])

    def wait_until(self, name: str, value: float) -> None:
        """Wait until a number of `/metrics` is `value`."""
        end = time.monotonic() + 60
        while (found := self.metric(name)) != value:
            assert time.monotonic() < end, (name, found)
            time.sleep(0.02)

    def open(self, body: dict[str, Any], *, receive_buffer: int = 0) -> socket.socket:
        """Send a request for completions, and return the connection."""
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self.port))
        data = json.dumps(body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        return connection

    def end(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        self.process.send_signal(sig)
        return self.process.wait(60)
