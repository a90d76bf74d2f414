"""`lstmgen serve`: the completions of OpenAI's clients, each as `sample` draws it with its seed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmgen
from support.networks import network, packed
from support.services import Service

for package in ("starlette", "uvicorn", "openai"):
    pytest.importorskip(package)

from lstmgen.serving import completions, trial  # noqa: E402
from lstmgen.serving.failures import Failure  # noqa: E402
from lstmgen.serving.limits import Limits  # noqa: E402

ON_WINDOWS = sys.platform == "win32"
GRAMMAR = 'root ::= ("a" | "b" "c"+ "d")+ "e"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    carried = network([("lstm", 64), ("dense", 11, "softmax")], window=0)
    (folder / "letters.bin").write_bytes(packed(carried, card=json.dumps({"sample": {"temp": 0.8}})))
    (folder / "windows.bin").write_bytes(packed(network([("lstm", 20), ("dense", 11, "softmax")], window=9)))
    words = [f"w{i}" for i in range(11)]
    (folder / "words.bin").write_bytes(packed(carried, vocabulary=words, vocabulary_kind="tokens"))
    (folder / "nameless.bin").write_bytes(packed(carried, vocabulary=None))
    return folder


def started(folder: Path, log: Path, *argv: str) -> Service:
    return Service(log, *(folder / f"{name}.bin" for name in ("letters", "windows", "words", "nameless")), *argv)


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = started(folder, tmp_path_factory.mktemp("service") / "log")
    yield service
    service.end()


@pytest.fixture
def letters(folder: Path) -> lstmgen.Generator:
    return lstmgen.Generator(folder / "letters.bin")


# -- what it draws ---------------------------------------------------------------------------------


def test_a_completion_is_what_sample_draws(service: Service, letters: lstmgen.Generator) -> None:
    (found,) = service.complete(model="letters", prompt="abc", max_tokens=50, temperature=0.7, seed=3)
    assert found["text"] == letters.sample(50, 0.7, prime="abc", seed=3)
    assert found["finish_reason"] == "length"
    assert (found["index"], found["logprobs"], found["seed"]) == (0, None, 3)
    assert "".join("abcdefghijk"[i] for i in found["ids"]) == found["text"]


@pytest.mark.parametrize(
    "options",
    [
        {"top_p": 0.7, "min_p": 0.02, "dry_multiplier": 1.0, "dry_allowed_length": 1},
        {"mirostat": 2, "frequency_penalty": 0.5, "presence_penalty": 0.2},
        {"grammar": GRAMMAR, "finish": True, "prompt": "bccd"},
        {"logit_bias": {"3": -5, "a": 1}, "ban": "k", "prompt": None},
        {"prompt": [1, 2, 3], "temp": 0.4},
    ],
)
def test_the_options_of_the_library_have_their_own_names(
    service: Service, letters: lstmgen.Generator, options: dict[str, Any]
) -> None:
    (found,) = service.complete(model="letters", max_tokens=40, seed=5, **{"temp": 1} | options)
    told: dict[str, Any] = {"prime": options.get("prompt"), "temp": 1} | {
        k: v for k, v in options.items() if k != "prompt"
    }
    if "logit_bias" in told:
        told["logit_bias"] = {3: -5, "a": 1}
    assert found["text"] == letters.sample(40, seed=5, **told)
    assert found["finish_reason"] == ("stop" if "grammar" in options else "length")


def test_the_card_recommends_what_is_not_sent(service: Service, letters: lstmgen.Generator) -> None:
    assert service.complete(max_tokens=30, seed=1)[0]["text"] == letters.sample(30, 0.8, seed=1)
    assert service.complete(max_tokens=30, seed=1, temperature=None)[0]["text"] == letters.sample(30, seed=1)


@pytest.mark.parametrize(("name", "joint"), [("windows", ""), ("words", " "), ("nameless", " ")])
def test_other_kinds_of_models(service: Service, folder: Path, name: str, joint: str) -> None:
    gen = lstmgen.Generator(folder / f"{name}.bin")
    prime: Any = {"windows": "abc", "words": "w1 w2", "nameless": "1 2"}[name]
    known: Any = [1, 2] if name == "nameless" else prime
    (found,) = service.complete(model=name, prompt=prime, max_tokens=20, seed=4, echo=True, stop=None)
    assert found["text"] == f"{prime}{joint}" + joint.join(map(str, gen.sample(20, prime=known, seed=4)))


def test_a_stop_ends_the_text_and_is_no_part_of_it(service: Service, letters: lstmgen.Generator) -> None:
    whole = str(letters.sample(200, 1, seed=8))
    stop = [whole[60:63], whole[100:102]]
    text = str(letters.sample(200, 1, seed=8, stop=stop))
    end = next(one for one in stop if text.endswith(one))
    for stream in (False, True):
        found = pieces(service, max_tokens=200, temp=1, seed=8, stop=stop, stream=stream)
        assert "".join(piece["text"] for piece in found) == text.removesuffix(end)
        assert found[-1]["finish_reason"] == "stop"


@given(st.data())
def test_a_stop_that_elements_cut_is_no_part_of_an_answer_however_it_comes(data: st.DataObject) -> None:
    letters = st.text("ab\u00e9", min_size=1, max_size=3)
    elements = data.draw(st.lists(letters, min_size=2, max_size=6, unique=True))
    net = network([("lstm", 6), ("dense", len(elements), "softmax")], inputs=len(elements), scale=2)
    model = lstmgen.Model(packed(net, vocabulary=elements, prime=[0]))
    drawn = data.draw(st.lists(st.sampled_from(range(len(elements))), min_size=1, max_size=12))
    text = "".join(elements[i] for i in drawn)
    begin, last = data.draw(st.integers(0, len(text) - 1)), len(text) - len(elements[drawn[-1]])
    stops = [text[begin : data.draw(st.integers(max(begin, last) + 1, len(text)))], "a\u00e9", "bab"]
    # The elements up to the first in which a stop ends.
    n = next(i for i in range(1, 99) if any(stop in "".join(elements[j] for j in drawn[:i]) for stop in stops))
    drawn = drawn[:n]
    text = "".join(elements[i] for i in drawn)
    choice = completions.Choice(model, 0, 1, "", ([], sorted(stop.encode() for stop in stops)), False)
    pieces, left = [], drawn
    while left:
        size = data.draw(st.integers(1, len(left)))
        pieces.append(choice.piece(left[:size], [], "stop" if size == len(left) else None))
        left = left[size:]
    assert "".join(piece["text"] for piece in pieces if piece) == text[: min(text.find(s) for s in stops if s in text)]
    given = [i for piece in pieces if piece for i in piece["ids"]]
    assert given == drawn[: len(given)]


def test_several_prompts_and_choices_count_their_seeds(service: Service, letters: lstmgen.Generator) -> None:
    found = service.complete(prompt=["ab", "c"], n=3, max_tokens=20, temp=1, seed=7)
    assert [choice["seed"] for choice in found] == [7, 8, 9, 10, 11, 12]
    assert [choice["index"] for choice in found] == list(range(6))
    for choice, prime in zip(found, ["ab"] * 3 + ["c"] * 3, strict=True):
        assert choice["text"] == letters.sample(20, prime=prime, seed=choice["seed"])


def test_the_best_of_several_is_that_of_sample(service: Service, letters: lstmgen.Generator) -> None:
    (found,) = service.complete(prompt="ab", best_of=5, max_tokens=20, temp=1, seed=7)
    assert found["text"] == letters.sample(20, prime="ab", seed=7, best_of=5)


def test_a_random_seed_draws_the_same_again(service: Service) -> None:
    (first,), (second,) = (service.complete(max_tokens=30) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert service.complete(max_tokens=30, seed=first["seed"])[0]["text"] == first["text"]


def test_log_probabilities_are_those_of_a_stream(service: Service, letters: lstmgen.Generator) -> None:
    stream = letters.stream(prime="abc", temp=1, seed=2, logprobs=3)
    text = stream.take(20)
    (found,) = service.complete(prompt="abc", max_tokens=20, temp=1, seed=2, logprobs=3, echo=True)
    logs = found["logprobs"]
    assert found["text"] == f"abc{text}"
    assert logs["tokens"] == list(str(text))
    assert logs["token_logprobs"] == [one.logprob for one in stream.logprobs]
    assert logs["top_logprobs"] == [dict(one.likeliest) for one in stream.logprobs]
    assert logs["text_offset"] == list(range(3, 23))
    (found,) = service.complete(prompt="abc", max_tokens=20, temp=1, seed=2, logprobs=0)
    assert found["logprobs"]["top_logprobs"] == [{}] * 20


def pieces(service: Service, **body: Any) -> list[dict[str, Any]]:
    """All pieces of the choices of an answer, which may be a stream."""
    if not body.get("stream"):
        return service.complete(**body)
    status, text = service.ask("/v1/completions", body)
    assert status == 200
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [choice for event in events[:-1] for choice in json.loads(event)["choices"]]


def test_a_stream_has_the_same_text(service: Service) -> None:
    body: dict[str, Any] = {"prompt": ["ab", "c"], "n": 2, "max_tokens": 3000, "seed": 7, "logprobs": 2}
    whole, parts = service.complete(**body), pieces(service, stream=True, **body)
    assert len(parts) > len(whole)
    for choice in whole:
        mine = [part for part in parts if part["index"] == choice["index"]]
        assert "".join(part["text"] for part in mine) == choice["text"]
        assert [i for part in mine for i in part["ids"]] == choice["ids"]
        assert [t for part in mine for t in part["logprobs"]["text_offset"]] == choice["logprobs"]["text_offset"]
        assert [part["finish_reason"] for part in mine] == [None] * (len(mine) - 1) + ["length"]


def test_many_clients_at_once_get_the_texts_of_their_seeds(service: Service, letters: lstmgen.Generator) -> None:
    def ask(seed: int) -> str:
        found = pieces(service, max_tokens=300, temp=1, seed=seed, stream=seed % 2 == 0, prompt="abc" * (seed % 5))
        return "".join(piece["text"] for piece in found)

    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(ask, range(64)))
    assert found == [letters.sample(300, 1, seed=seed, prime="abc" * (seed % 5) or None) for seed in range(64)]


def test_the_openai_package_works_unchanged(service: Service, letters: lstmgen.Generator) -> None:
    import openai

    with openai.OpenAI(base_url=f"{service.address}/v1", api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["letters", "windows", "words", "nameless"]
        told: dict[str, Any] = {"model": "letters", "prompt": "abc", "max_tokens": 40, "seed": 3, "temperature": 0.7}
        answer = client.completions.create(**told, n=2, logprobs=2, extra_body={"top_k": 5})
        assert [choice.text for choice in answer.choices] == [
            letters.sample(40, 0.7, prime="abc", seed=seed, top_k=5) for seed in (3, 4)
        ]
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 80)
        stream = client.completions.create(**told, stream=True, stream_options={"include_usage": True})
        events = list(stream)
        assert "".join(c.text for event in events for c in event.choices) == letters.sample(
            40, 0.7, prime="abc", seed=3
        )
        assert events[-1].usage is not None
        assert events[-1].usage.total_tokens == 43
        with pytest.raises(openai.NotFoundError, match="expected one of letters"):
            client.completions.create(model="gpt", prompt="")
        with pytest.raises(openai.BadRequestError, match=r"temperature: expected a number >= 0, found -1"):
            client.completions.create(model="letters", prompt="", temperature=-1)


# -- what it refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"temperature": -1}, "temperature: expected a number >= 0, found -1.0", "temperature"),
        ({"temperature": float("nan")}, "temperature: expected a number >= 0, found nan", "temperature"),
        ({"temperature": 10**400}, "temperature: expected a number >= 0, found inf", "temperature"),
        ({"temperature": "1"}, "temperature: expected a number, found '1'", "temperature"),
        ({"max_tokens": -1}, "max_tokens: expected at least 0, found -1", "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens: expected at most 100000, found 1000000000", "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens: expected an integer, found 1.5", "max_tokens"),
        ({"length": -1}, "length: expected at least 0, found -1", "length"),
        ({"length": 1, "max_tokens": 1}, "max_tokens and length mean the same: give one of them", "max_tokens"),
        ({"n": 0}, "n: expected at least 1, found 0", "n"),
        ({"n": 10**30}, "n: expected at most 128", "n"),
        ({"n": 2, "best_of": 1}, "best_of: expected at least n, which is 2, found 1", "best_of"),
        ({"best_of": 2, "stream": True}, "best_of: expected at most n in a stream", "best_of"),
        ({"stream": 1}, "stream: expected True or False, found 1", "stream"),
        ({"top_p": 2}, "top_p: expected a number in (0, 1], found 2.0", "top_p"),
        ({"seed": -1}, "seed: expected at least 0, found -1", "seed"),
        ({"seed": 2**64 - 1, "n": 2}, "seed: expected below 2**64", "seed"),
        ({"prompt": "a~"}, "'~' (U+007E) at position 1 is not in the vocabulary", None),
        ({"prompt": [99]}, "99", None),
        ({"prompt": [True]}, "prompt: expected a text, ids, or a list of these", "prompt"),
        ({"prompt": {"a": 1}}, "prompt: expected a text, ids, or a list of these", "prompt"),
        ({"prompt": ["a"] * 200}, "prompt: expected at most 128 prompts, found 200", "prompt"),
        ({"suffix": "x"}, "suffix: not supported", "suffix"),
        ({"beam": 3}, "beam: not supported: use lstmgen sample", "beam"),
        ({"include_prime": True}, "include_prime: not supported: use echo", "include_prime"),
        ({"topk": 3}, "unknown parameter 'topk': did you mean 'top_k'?", "topk"),
        ({"grammar": "root ::= ("}, "line 1", None),
        ({"grammar": "own"}, "grammar", None),
        ({"stop": ""}, "stop: expected texts of at least one element", "stop"),
        ({"logit_bias": [1]}, "logit_bias: expected a mapping", "logit_bias"),
        ({"logit_bias": {"99": 1}}, "logit_bias", None),
        ({"logprobs": 1000}, "logprobs: expected at most 100", "logprobs"),
        ({"stream_options": 3}, "stream_options: expected an object", "stream_options"),
        ({"refresh": 3}, "the model was saved without a fixed window", None),
    ],
)
def test_a_wrong_parameter_is_named(service: Service, body: dict[str, Any], message: str, param: str | None) -> None:
    status, found, named = service.problem(**body)
    assert status == 400
    assert message in found
    assert named == param


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/completions", b"{", 400, "the body: expected JSON"),
        ("/v1/completions", b"[" * 100_000, 400, "the body: expected JSON"),
        ("/v1/completions", b"\xff\xfe", 400, "the body: expected JSON"),
        ("/v1/completions", b"[]", 400, "expected a JSON object, found list"),
        ("/v1/completions", b'{"n": ' + b"9" * 5000 + b"}", 400, "the body: expected integers of at most 1,000 digits"),
        ("/v1/completions", b" " * 9_000_000, 413, "the body: expected at most 8,388,608 bytes, found 9,000,000"),
        ("/v1/completions", b'{"model": "no"}', 404, "expected one of letters, windows, words, nameless, found 'no'"),
        ("/v1/models/no", None, 404, "expected one of letters"),
        ("/no/such", None, 404, "no such address: /no/such"),
        ("/../models.py", None, 404, "no such address"),
    ],
)
def test_what_is_no_request(service: Service, path: str, body: bytes | None, status: int, message: str) -> None:
    found, answer = service.ask(path, body)
    assert (found, answer["error"]["type"]) == (status, "invalid_request_error")
    assert message in answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/chat/completions", b"{}", 404, "no model here holds a chat: POST a prompt to /v1/completions"),
        ("/v1/embeddings", b"{}", 404, "no such address: /v1/embeddings"),
        ("/v1/completions", None, 405, "/v1/completions: expected POST, found GET"),
        ("/v1/models", b"{}", 405, "/v1/models: expected GET, found POST"),
        ("/index.html", b"{}", 405, "/index.html: expected GET, found POST"),
    ],
)
def test_another_address_or_method_is_an_error_of_the_api(
    service: Service, path: str, body: bytes | None, status: int, message: str
) -> None:
    found, answer = service.ask(path, body)
    assert found == status
    assert message in answer["error"]["message"]


def test_a_grammar_by_a_name_is_told_what_to_send(service: Service) -> None:
    status, answer = service.ask("/v1/completions", {"max_tokens": 1, "grammar": "json"})
    assert status == 400
    assert answer["error"]["message"].endswith("a grammar is sent as its text, not by a name")


def test_other_names_and_other_sites_are_refused(service: Service) -> None:
    assert service.ask("/v1/models", headers={"Host": "evil.example"})[0] == 403
    assert service.ask("/v1/models", headers={"Host": "["})[0] == 403
    assert service.ask("/v1/models", headers={"Host": "127.evil.example"})[0] == 403
    assert service.ask("/health", headers={"Host": f"127.0.0.2:{service.port}"})[0] == 200
    origin = {"Origin": "http://evil.example"}
    assert service.ask("/v1/completions", {"max_tokens": 1}, headers=origin)[0] == 403
    own = {"Origin": f"http://127.0.0.1:{service.port}"}
    assert service.ask("/v1/completions", {"max_tokens": 1}, headers=own)[0] == 200


def test_a_prime_of_a_megabyte_is_read(service: Service, letters: lstmgen.Generator) -> None:
    (found,) = service.complete(prompt="abcdefghij" * 100_000, max_tokens=5, temp=1, seed=1)
    assert found["text"] == letters.sample(5, 1, prime="abcdefghij" * 100_000, seed=1)


# -- models and the page ---------------------------------------------------------------------------


def test_a_model_says_what_it_is(service: Service) -> None:
    status, found = service.ask("/v1/models")
    assert (status, found["object"]) == (200, "list")
    facts = {model["id"]: model["lstmgen"] for model in found["data"]}
    assert facts["letters"]["elements"] == list("abcdefghijk")
    assert facts["letters"]["recommended"] == {"temp": 0.8}
    assert [facts[name]["kind"] for name in ("letters", "words", "nameless")] == ["text", "text", "ids"]
    assert [facts[name]["separator"] for name in ("letters", "words", "nameless")] == ["", " ", " "]
    assert [facts[name]["window"] for name in ("letters", "windows")] == [None, 9]
    assert facts["letters"]["primes"] == ["ahdkgcjfbiea"]
    assert service.ask("/v1/models/words")[1] == found["data"][2]


def test_uploaded_models_are_sampled(service: Service, folder: Path) -> None:
    data = packed(network([("gru", 9), ("dense", 11, "softmax")], window=0))
    status, model = service.ask("/v1/uploads?name=a%20b.bin", data)
    assert (status, model["lstmgen"]["name"]) == (200, "a b.bin")
    (found,) = service.complete(model=model["id"], max_tokens=30, seed=1)
    assert found["text"] == lstmgen.Generator(data).sample(30, seed=1)
    kept = [service.ask("/v1/uploads", data)[1]["id"] for _ in range(8)]
    assert service.ask(f"/v1/models/{model['id']}")[0] == 404  # eight are kept
    assert service.ask(f"/v1/models/{kept[0]}")[0] == 200


@pytest.mark.parametrize(
    "data", [b"", b"GGUF", b"GGUF" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(50), b"PK\x03\x04" + bytes(50), b"text"]
)
def test_a_broken_upload_is_an_error_that_names_it(service: Service, data: bytes) -> None:
    status, found = service.ask("/v1/uploads?name=../x%1b.h5", data)
    assert status == 400
    assert found["error"]["message"].startswith("x\\x1b.h5: ")


def test_an_upload_that_draws_no_elements_is_refused_by_name(service: Service) -> None:
    notes = packed(network([("lstm", 4), ("dense", 3, "linear")], 3), encoding="features")
    status, found = service.ask("/v1/uploads?name=notes.bin", notes)
    assert (status, found["error"]["param"]) == (400, "file")
    assert found["error"]["message"].startswith("notes.bin: the network reads features: it predicts")


def wide() -> bytes:
    """Return a `.bin` of 0.2 MB that makes 17 MB of numbers for an element, all at once."""
    layers = [("lstm", 4), ("repeat", 2048), ("dense", 2048, "relu"), ("lstm", 4), ("dense", 11, "softmax")]
    return packed(network(layers, vectors=(0,)))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no limits on the memory of a process")
def test_an_upload_that_takes_too_much_memory_is_refused(service: Service) -> None:
    data = wide()
    assert len(data) < 2**18
    assert lstmgen.Model(data).whole  # it passes its self-test
    before = service.ask("/v1/models")[1]["data"]
    status, found = service.ask("/v1/uploads?name=big.bin", data)
    assert (status, found["error"]["message"]) == (400, "big.bin: it takes more memory than 139 MiB")
    assert service.ask("/v1/models")[1]["data"] == before
    assert service.ask("/health")[0] == 200


def dying(code: str) -> str:
    return f"import os, signal, sys, time; {code}"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", 400, "x.bin: the process that read it died of SIGSEGV: the file is"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", 400, "x.bin: reading it took more than 5 s of processor time"),
        ("os._exit(3)", 400, "x.bin: it takes more memory than 129 MiB"),
        ("raise SystemExit(7)", 400, "x.bin: the process that read it ended with status 7: the file is damaged"),
        ("", 400, "x.bin: the process that read it ended without an answer"),
        ("time.sleep(60)", 400, "x.bin: reading it took longer than 0.5 s"),
    ],
)
def test_the_end_of_the_process_that_tries_an_upload_is_named(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, said: str
) -> None:
    if os.name != "posix" and "kill" in code:
        pytest.skip("Windows has no such signals")
    monkeypatch.setattr(trial, "_START", dying(code))
    with pytest.raises(Failure) as caught:
        trial.tried(packed(), "x.bin", Limits(seconds=0.5 if "sleep" in code else 60))
    assert caught.value.status == status
    assert caught.value.message.startswith(said)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no limit on the time of a process")
def test_an_upload_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = f"{trial._START.rpartition('; main()')[0]}; from lstmgen.serving import child; "
    endless += "child._try = lambda data, sequences: sum(iter(lambda: 0, 1)); main()"
    monkeypatch.setattr(trial, "_START", endless)
    monkeypatch.setattr(trial, "_SECONDS", 0)
    with pytest.raises(Failure, match=r"x\.bin: reading it took more than 0 s of processor time"):
        trial.tried(packed(), "x.bin", Limits())


def test_no_process_for_an_upload_is_no_fault_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with pytest.raises(Failure, match=r"^uploads: no file can be tried now: No such file or directory$") as caught:
        trial.tried(packed(), "x.bin", Limits())
    assert caught.value.status == 503


def test_the_page_and_its_headers(service: Service) -> None:
    def get(path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(service.address).netloc, timeout=60)
        connection.request("GET", path, headers=headers)
        with contextlib.closing(connection):
            response = connection.getresponse()
            response.read()
            return response

    page = get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in page.headers
    assert get("/", **{"If-None-Match": page.headers["etag"]}).status == 304
    assert get("/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_health_and_metrics(service: Service) -> None:
    before = service.metric("lstmgen_elements_total")
    service.complete(max_tokens=70)
    assert service.ask("/health") == (200, {"status": "ok"})
    assert service.metric("lstmgen_elements_total") == before + 70
    assert service.metric("lstmgen_first_element_seconds_count") > 0


# -- clients that leave, wait or read nothing ------------------------------------------------------


def test_a_client_that_leaves_stops_its_sample(service: Service) -> None:
    for stream in (True, False):
        with service.open({"max_tokens": 100_000, "stream": stream, "n": 3}):
            service.wait_until("lstmgen_running", 3)
        service.wait_until("lstmgen_running", 0)


def test_a_client_that_reads_nothing_stops_no_other(service: Service, letters: lstmgen.Generator) -> None:
    with service.open({"max_tokens": 100_000, "stream": True, "logprobs": 50, "n": 5}, receive_buffer=4096):
        service.wait_until("lstmgen_running", 5)
        (found,) = service.complete(max_tokens=50, temp=1, seed=2)
        assert found["text"] == letters.sample(50, 1, seed=2)
        assert service.metric("lstmgen_running") == 5  # they rest
    service.wait_until("lstmgen_running", 0)


def test_limits_of_time_and_number(folder: Path, tmp_path: Path) -> None:
    tight = ["--parallel", "2", "--queue", "1", "--timeout", "3", "--patience", "0.5", "--no-uploads"]
    service = started(folder, tmp_path / "log", "--max-length", "9000000", *tight)
    try:
        endless = {"max_tokens": 9_000_000, "stream": True}
        with service.open({**endless, "n": 3}) as first:
            service.wait_until("lstmgen_waiting", 1)
            status, message, _ = service.problem(max_tokens=1)
            assert (status, message) == (429, "the queue is full: try again later")
            text = first.makefile("rb").read().decode()  # ends when its time is up
        assert '"finish_reason":"length"' in text
        assert "nothing was drawn in time" in text  # of the one that waited
        service.wait_until("lstmgen_running", 0)
        assert service.problem(n=4)[:2] == (400, "n: expected at most 3 sequences for all prompts, found 4")
        assert service.ask("/v1/uploads", b"GGUF")[0] == 403
        with service.open({**endless, "logprobs": 90}, receive_buffer=4096):  # and reads nothing
            service.wait_until("lstmgen_running", 1)
            service.wait_until("lstmgen_running", 0)
        for sent in (b"", b"POST /v1/comp", b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"):
            with socket.create_connection(("127.0.0.1", service.port)) as half_open:
                half_open.settimeout(60)
                half_open.sendall(sent)
                assert half_open.recv(1000) == b""
        with socket.create_connection(("127.0.0.1", service.port)) as half_open:
            half_open.settimeout(60)
            half_open.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            assert b"408" in half_open.recv(1000)
    finally:
        service.end()


@pytest.mark.skipif(ON_WINDOWS, reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_running_samples_have_had_their_time(folder: Path, tmp_path: Path, sig: signal.Signals) -> None:
    service = started(folder, tmp_path / "log", "--max-length", "9000000", "--grace", "0.5")
    with service.open({"max_tokens": 9_000_000, "stream": True}) as connection:
        service.wait_until("lstmgen_running", 1)
        service.process.send_signal(sig)
        text = connection.makefile("rb").read().decode()
    assert '"finish_reason":"length"' in text
    assert "data: [DONE]" in text
    assert service.process.wait(60) == 0


def test_what_the_command_line_refuses(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lstmgen.cli.main import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", str(folder / "letters.bin"), "--port", str(taken.getsockname()[1])]) == 1
    assert main(["serve", "latex", "latex"]) == 1
    assert "another model has the name 'latex', too" in capsys.readouterr().err
    assert main(["serve", "latex", "--parallel", "0"]) == 1
    assert "--parallel: expected at least 1, found 0" in capsys.readouterr().err


# -- long ------------------------------------------------------------------------------------------


@pytest.mark.slow(reason="10,000 requests take minutes")
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads memory from /proc")
def test_memory_stays_flat_over_ten_thousand_requests(service: Service) -> None:
    def resident() -> int:
        lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def ask(i: int) -> None:
        pieces(service, max_tokens=20, stream=i % 2 == 0, logprobs=3 if i % 3 == 0 else None, prompt="abc" * (i % 50))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(2000)))
        before = resident()
        list(pool.map(ask, range(10_000)))
    assert resident() < before + 8 * 1024  # KiB
