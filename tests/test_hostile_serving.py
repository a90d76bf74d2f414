"""`lstmgen serve` and clients that mean harm: each takes little, and stops no other."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from support.networks import network, packed
from support.services import Service

for package in ("starlette", "uvicorn"):
    pytest.importorskip(package)

from lstmgen.serving import app, completions, engine, requests, trial  # noqa: E402
from lstmgen.serving.failures import Failure  # noqa: E402
from lstmgen.serving.limits import Limits  # noqa: E402
from lstmgen.serving.models import Models  # noqa: E402

ON_WINDOWS = sys.platform == "win32"
NET = network([("lstm", 4), ("dense", 11, "softmax")], window=0)
LONG = [chr(97 + i) * 60_000 for i in range(11)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "letters.bin").write_bytes(packed(NET))
    (folder / "long.bin").write_bytes(packed(NET, vocabulary=LONG))
    return folder


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service") / "log", folder / "letters.bin", folder / "long.bin")
    yield service
    service.end()


@pytest.fixture(scope="module")
def models(folder: Path) -> Iterator[Models]:
    models = Models([str(folder / "letters.bin"), str(folder / "long.bin")], Limits())
    yield models
    models.close()


def ask(models: Models, pieces: Callable[[], AsyncIterator[bytes]], limits: Limits, bodies: int = 0) -> tuple[int, Any]:
    """Ask a server in this process for completions. Its client sends these pieces."""
    service = app.Service(models, limits, loopback=True)
    service._bodies = bodies
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "query_string": b"", "http_version": "1.1"}
    answer: list[Any] = []

    async def run() -> None:
        coming = pieces()

        async def receive() -> dict[str, Any]:
            try:
                return {"type": "http.request", "body": await anext(coming), "more_body": True}
            except StopAsyncIteration:
                if answer == ["sent"]:
                    await asyncio.sleep(60)
                answer.append("sent")
                return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            answer.append(message)

        await service.app()({**scope, "headers": [(b"host", b"localhost")], "server": ("h", 1)}, receive, send)

    asyncio.run(run())
    found = [message for message in answer if message != "sent"]
    return found[0]["status"], json.loads(b"".join(message["body"] for message in found[1:]))


def whole(body: Any) -> Callable[[], AsyncIterator[bytes]]:
    async def pieces() -> AsyncIterator[bytes]:
        yield body if isinstance(body, bytes) else json.dumps(body).encode()

    return pieces


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"prompt":[' + b"[]," * 100_000 + b"[]]}", 413, "the body: expected at most 100,000 values, found more"),
        (b'{"a":' + b"{" * 200_000 + b"}", 413, "the body: expected at most 100,000 values, found more"),
        (b'"' * 500_000, 400, "the body: expected JSON, found other text: Extra data"),
        (b'{"user":"' + b'\\",[' * 100_001 + b'","max_tokens":0}', 200, ""),  # they are within a text
        (b"[" * 5000, 400, "the body: expected JSON, found lists or objects that are nested too deeply"),
        (b'{"n":' + b"9" * 1001 + b"}", 400, "the body: expected integers of at most 1,000 digits, found more"),
        ('{"n":1}'.encode("utf-16"), 400, "the body: expected JSON, found other text"),
        (b'{"\\ud800\\u001b":1}', 400, "unknown parameter '\\ud800\\x1b'"),
        (b'{"logit_bias":{"' + b"9" * 5000 + b'":1}}', 400, "logit_bias: "),
    ],
)
def test_json_is_bounded_before_it_is_read(models: Models, body: bytes, status: int, message: str) -> None:
    found, answer = ask(models, whole(body), Limits())
    assert found == status
    assert message in (answer["error"]["message"] if message else "")
    assert "\\ud" not in json.dumps(answer).replace("\\\\", "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stop": ["ab"] * 40_000}, "stop: expected at most 65536 letters in all, found 80001"),
        ({"dry_sequence_breakers": "a" * 70_000}, "dry_sequence_breakers: expected at most 65536 letters in all"),
        ({"stop": {"a": 1}}, "stop: expected a text"),
        ({"allow": {"a": 1}}, "allow: expected"),
        ({"prompt": "a" * 200_000, "n": 100}, "prompt: expected at most 16,777,216 elements for all sequences, found"),
    ],
)
def test_what_each_sequence_keeps_is_bounded(models: Models, body: dict[str, Any], message: str) -> None:
    status, answer = ask(models, whole(body), Limits())
    assert status == 400
    assert message in answer["error"]["message"]


def test_a_body_that_comes_byte_by_byte_has_an_end(models: Models) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.02)
            yield b" "

    status, answer = ask(models, slow, Limits(seconds=0.3))
    assert (status, answer["error"]["message"]) == (408, "the body: it took longer than 0.3 s")


def test_all_bodies_together_are_bounded(models: Models) -> None:
    limits = Limits(body=2**17, upload=0)
    assert ask(models, whole(b" " * 70_000 + b'{"max_tokens":0}'), limits)[0] == 200
    assert ask(models, whole(b" " * 70_000), limits, bodies=2**20)[0] == 429
    assert ask(models, whole({"max_tokens": 0}), limits, bodies=2**20)[0] == 200  # a small one is always read


@pytest.mark.parametrize(
    ("body", "in_a_thread"), [({"max_tokens": 0}, False), ({"prompt": ["a"] * 9, "max_tokens": 0}, True)]
)
def test_a_long_check_stops_no_other_client(
    models: Models, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], in_a_thread: bool
) -> None:
    checked = []

    def asked(*args: Any) -> Any:
        checked.append(threading.current_thread() is not threading.main_thread())
        return requests.asked(*args)

    monkeypatch.setattr(app, "asked", asked)
    assert ask(models, whole(body), Limits())[0] == 200
    assert checked == [in_a_thread]


# -- answers ---------------------------------------------------------------------------------------


def test_a_long_answer_is_made_while_it_is_sent() -> None:
    model = lstmgen.Model(packed(NET, vocabulary=LONG))
    ids = list(range(11)) * 100
    pieces = completions.Choice(model, 2, 7, "", ([], [b"kab"]), False).whole(ids, [], "length", 4)
    assert max(map(len, pieces)) <= 5 * 60_000
    pieces = completions.Choice(model, 2, 7, "", ([], [b"kab"]), False).whole(ids, [], "length", 4)
    found = json.loads("".join(pieces))
    assert found["text"] == "".join(LONG) * 100
    assert found["ids"] == ids
    assert (found["index"], found["seed"], found["finish_reason"], found["logprobs"]) == (2, 7, "length", None)
    response = app._json(iter(["[", *['"' + "a" * 50_000 + '",'] * 9, "1]"]))
    assert not hasattr(response, "body")


@pytest.mark.parametrize("n", [1, 5, 3000])
def test_the_pieces_of_an_answer_are_those_of_a_stream(service: Service, n: int) -> None:
    body = {"max_tokens": n, "seed": 3, "logprobs": 2, "stop": ["hgk", "abcdefgh"], "echo": True, "prompt": "abc"}
    (found,) = service.complete(**body)
    status, text = service.ask("/v1/completions", {**body, "stream": True})
    assert status == 200
    events = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
    parts = [choice for event in events for choice in event["choices"]]
    assert "".join(part["text"] for part in parts) == found["text"]
    assert [i for part in parts for i in part["ids"]] == found["ids"]
    for name, values in found["logprobs"].items():
        assert [value for part in parts for value in part["logprobs"][name]] == values
    assert parts[-1]["finish_reason"] == found["finish_reason"]


def test_a_stream_of_long_elements_rests_soon(models: Models) -> None:
    served = models.find("long")

    async def run() -> int:
        prepared = served.engine.batch.prepare({"length": 100_000, "seed": 1})
        job = engine.Job(prepared, served.engine, streams=True)
        served.engine.submit([job])
        while not job.resting:
            await asyncio.sleep(0.01)
        job.cut()
        return len(job.ids)

    assert asyncio.run(run()) * 60_000 < 4 * 2**20


def test_an_end_that_may_begin_a_stop_is_found_in_few_steps() -> None:
    class Counted(bytes):
        slices = 0

        def __getitem__(self, key: Any) -> Any:
            Counted.slices += 1
            return bytes.__getitem__(self, key)

    stops = sorted([b"a" * 200 + b"b", *(b"%05d" % i for i in range(9999))])
    assert completions._begun(Counted(b"b" + b"a" * 150), stops) == 150
    assert completions._begun(Counted(b"a" * 4000 + b"x"), stops) == 0
    assert completions._begun(Counted(b"a" * 9000), [b"a" * 4000 + b"b"]) == 4000  # it is held back without a search
    assert Counted.slices < 1000


def test_a_slow_grammar_slows_no_sequence_without_one(models: Models) -> None:
    served = models.find("letters")
    with_one = served.engine.batch.prepare({"grammar": "root ::= [a-k]*"})
    without = served.engine.batch.prepare({})
    assert served.engine_for(without) is served.engine
    assert served.engine_for(with_one) is not served.engine
    assert served.engine_for(with_one) in served.engines


def test_an_error_while_drawing_ends_the_sequences_and_not_the_thread(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> list[int]:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(lstmgen.batch.Sequence, "take_ids", fail)
        status, answer = ask(models, whole({"max_tokens": 5}), Limits())
    assert (status, answer["error"]["message"]) == (400, "MemoryError: ")
    assert ask(models, whole({"max_tokens": 5}), Limits())[0] == 200


# -- connections -----------------------------------------------------------------------------------


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.skipif(ON_WINDOWS, reason="it opens 1,001 connections")
def test_connections_beyond_the_most_are_closed_and_the_others_answered(service: Service) -> None:
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    opened: list[socket.socket] = []
    try:
        while len(opened) < 1001:
            opened.append(socket.create_connection(("127.0.0.1", service.port), timeout=60))
        assert closed(opened[-1])
        opened[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert opened[0].recv(15) == b"HTTP/1.1 200 OK"
    finally:
        for connection in opened:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts connections in /proc")
def test_who_reads_nothing_loses_the_connection(folder: Path, tmp_path: Path) -> None:
    service = Service(tmp_path / "log", folder / "letters.bin", "--patience", "0.5")

    def files() -> int:
        return len(os.listdir(f"/proc/{service.process.pid}/fd"))

    try:
        service.ask("/health")
        before = files()
        stream = {"max_tokens": 100_000, "stream": True, "logprobs": 50}
        for body in (stream, {"max_tokens": 100_000, "n": 20}):
            with service.open(body, receive_buffer=4096) as connection:
                assert connection.recv(1) == b"H"  # the answer has begun, and no more of it is read
                end = time.monotonic() + 60  # long before the end of --timeout
                while files() > before and time.monotonic() < end:
                    time.sleep(0.05)
                assert files() <= before
        service.wait_until("lstmgen_running", 0)
    finally:
        service.end()


@pytest.mark.parametrize(
    ("request_line", "status", "message"),
    [
        ("OPTIONS /v1/completions", 405, "/v1/completions: expected POST, found OPTIONS"),
        ("FOO /", 405, "/index.html: expected GET, found FOO"),
        ("GET *", 404, "no such address: /*"),
        ("GET http://evil.example/v1/models", 404, "no such address: /http://evil.example/v1/models"),
        ("GET /v1/models/%0a%1b[2J", 404, "no such address: /v1/models/\\n\\x1b[2J"),
    ],
)
def test_odd_requests_are_answered_in_the_form_of_the_api(
    service: Service, request_line: str, status: int, message: str
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["message"] == message


def test_clients_do_not_fill_the_log(service: Service) -> None:
    before = service._log.read_text()
    upgrade = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    for text in (b"no http\r\n\r\n", upgrade):
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
            connection.sendall(text)
            assert connection.recv(12).startswith(b"HTTP/1.1 4")
    assert service._log.read_text() == before


# -- models ----------------------------------------------------------------------------------------


def test_half_a_character_in_a_card_or_a_name_is_shown_in_some_way(service: Service, tmp_path: Path) -> None:
    data = packed(NET, card=json.dumps({"sample": {"stop": "\ud800"}}))
    assert service.ask("/v1/uploads?name=%ed%a0%80", data)[0] == 200
    status, found = service.ask("/v1/models")
    assert (status, found["data"][-1]["lstmgen"]["recommended"]) == (200, {"stop": "?"})
    if sys.platform == "linux":
        path = tmp_path / os.fsdecode(b"\xff.bin")
        path.write_bytes(data)
        models = Models([str(path)], Limits())
        try:
            assert [served.id for served in models] == ["\ufffd"]
            assert models.find("\ufffd").facts.startswith('{"id":"\ufffd"')
        finally:
            models.close()


def test_a_trial_ends_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_START", "import time; time.sleep(60)")
    with pytest.raises(Failure, match="the server stops") as caught:
        trial.tried(packed(NET), "x.bin", Limits(), lambda: True)
    assert caught.value.status == 503
