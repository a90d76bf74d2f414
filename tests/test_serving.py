"""The HTTP service of examples/ serves many clients at a time, each with the text of its seed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from support.networks import network, packed

EXAMPLE = Path(__file__).parents[1] / "examples" / "serve_http.py"
CLIENTS = 8

pytestmark = pytest.mark.skipif(not EXAMPLE.exists(), reason="needs examples/")


class Service:
    def __init__(self, model: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen([sys.executable, EXAMPLE, model, "0"], stdout=file, stderr=file)
        self.port = int(self.wait_for(r"running on http://127\.0\.0\.1:(\d+)")[1])

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(pattern, self.log.read_text()):
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log.read_text()}")

    def get(self, query: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/?{query}", headers={"Connection": "close"})  # the response keeps the socket
        return connection.getresponse()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.bin"
    path.write_bytes(packed(network([("lstm", 64), ("dense", 11, "softmax")], window=50)))
    return path


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    for package in ("starlette", "uvicorn"):
        pytest.importorskip(package)
    service = Service(model, tmp_path_factory.mktemp("service") / "log")
    yield service
    service.process.terminate()
    service.process.wait(60)


def test_clients_at_the_same_time_get_the_text_of_their_seeds(service: Service, model: Path) -> None:
    with service.get("length=1000000&refresh=none"):  # it still runs when the others are done
        responses = [service.get(f"length=500&temp=0.67&seed={seed}") for seed in range(CLIENTS)]
        begun = [response.read(1) for response in responses]  # the first byte of each arrives before the rest of any
        with ThreadPoolExecutor(CLIENTS) as pool:
            rest = list(pool.map(lambda response: response.read(), responses))
    gen = lstmgen.Generator(model)
    want: list[Any] = [gen.sample(500, 0.67, seed=seed) for seed in range(CLIENTS)]
    assert [(first + more).decode() for first, more in zip(begun, rest, strict=True)] == want


def test_a_client_that_goes_away_stops_its_sample(service: Service) -> None:
    with service.get("length=1000000&seed=77") as response:
        response.read(10)
    assert int(service.wait_for(r"seed=77: (\d+) elements")[1]) < 1_000_000


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("temp=-1", "temp: expected a number >= 0, found -1.0"),
        ("length=1000001", "length: expected at most 1000000, found 1000001"),
        ("size=3", "expected options length, .*, found 'size'"),
        ("prime=%7E", "'~' .* is not in the vocabulary"),
    ],
)
def test_a_wrong_option_is_status_400_with_the_reason(service: Service, query: str, message: str) -> None:
    response = service.get(query)
    assert response.status == 400
    assert re.search(message, response.read().decode())
