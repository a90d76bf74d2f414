"""`sample_many` gives for each sequence what `sample` draws alone, whatever is drawn beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import _core
from lstmgen.network import NETWORK_INPUT
from support.networks import SIDE_BY_SIDE, network, packed

LETTERS = "abcdefghijk"
HEAD = ("dense", 11, "softmax")


@pytest.fixture(params=SIDE_BY_SIDE)
def model(request: pytest.FixtureRequest) -> lstmgen.Model:
    which, encoding = SIDE_BY_SIDE[request.param]
    return lstmgen.Model(packed(which, encoding=encoding))


def refreshes(model: lstmgen.Model) -> tuple[int | None, ...]:
    return (1,) if model.whole else (1, 4, 50, None)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_sequence_is_that_of_sample(model: lstmgen.Model, threads: int) -> None:
    gen, alone = lstmgen.Generator(model, threads=threads), lstmgen.Generator(model)
    temps = [0.3 + 0.1 * i for i in range(21)]
    for refresh in refreshes(model):
        many = gen.sample_many(21, 25, temps, seed=5, refresh=refresh)
        assert many == [alone.sample(25, temp, seed=5 + i, refresh=refresh) for i, temp in enumerate(temps)]


def test_primes_of_any_length(model: lstmgen.Model) -> None:
    gen = lstmgen.Generator(model)
    primes = [LETTERS[: 1 + i % 11] * (1 + i % 3) for i in range(17)]
    for refresh in refreshes(model):
        options: dict[str, Any] = {"refresh": refresh, "include_prime": True, "repeat_penalty": 1.3}
        many = gen.sample_many(17, 20, prime=primes, seed=0, **options)
        assert many == [gen.sample(20, prime=prime, seed=i, **options) for i, prime in enumerate(primes)]


def test_those_that_stop_leave_and_the_others_go_on(model: lstmgen.Model) -> None:
    gen = lstmgen.Generator(model)
    for refresh in refreshes(model):
        options: dict[str, Any] = {"refresh": refresh, "stop": ["a", "bc", "f"]}
        many = gen.sample_many(40, 30, seed=9, **options)
        assert many == [gen.sample(30, seed=9 + i, **options) for i in range(40)]
        assert len({len(str(text)) for text in many}) > 3


@pytest.mark.parametrize("encoding", ["index", "onehot"])
def test_an_output_that_reads_the_input_too_is_that_of_predict(encoding: str) -> None:
    skip = (
        [("embedding", 7), ("lstm", 9), ("concatenate",), HEAD]
        if encoding == "index"
        else [("lstm", 9), ("concatenate",), HEAD]
    )
    reads = {2: (0, 1)} if encoding == "index" else {1: (NETWORK_INPUT, 0)}
    gen = lstmgen.Generator(packed(network(skip, 11, 6, reads=reads, sequences=True), encoding=encoding))
    drawn: list[int] = [1, 2, 3, 4, 5, 6]
    for _ in range(40):
        drawn.append(int(gen.model.predict(np.array([drawn[-6:]]))[0, -1].argmax()))
    want = "".join(LETTERS[i] for i in drawn[6:])
    assert gen.sample(40, 0, prime="bcdefg") == want
    assert gen.sample_many(2, 40, 0, prime="bcdefg") == [want, want]


def test_a_prime_that_can_be_read_once_is_for_all() -> None:
    gen = lstmgen.Generator(packed())
    assert gen.sample_many(2, 9, seed=1, prime=iter([3, 4]))[1] == gen.sample(9, seed=2, prime=[3, 4])


@pytest.mark.parametrize("refresh", [2**31, 2**62, 2**63 - 1])
def test_a_window_may_be_kept_for_ever(refresh: int) -> None:
    gen = lstmgen.Generator(packed())
    prime = LETTERS * 3
    want = [gen.sample(90, seed=i, refresh=1000, prime=prime) for i in range(4)]
    assert gen.sample_many(4, 90, seed=0, refresh=refresh, prime=prime) == want
    # From the last window of the prime on, that is the state carried.
    assert want[0] == gen.sample(90, seed=0, refresh=None, prime=prime[-12:])


def test_more_than_fit_one_batch() -> None:
    gen = lstmgen.Generator(packed(), threads=2)
    for refresh in (1, None):
        many = gen.sample_many(200, 12, seed=0, refresh=refresh)
        assert many == [gen.sample(12, seed=i, refresh=refresh) for i in range(200)]


@pytest.mark.filterwarnings("ignore:carried state gives another model:UserWarning")
def test_padding_comes_before_a_short_prime() -> None:
    letters = ["", *LETTERS[1:]]
    gen = lstmgen.Generator(
        packed(SIDE_BY_SIDE["embedding"][0], encoding="index", vocabulary=letters, padding=0, prime=[1])
    )
    primes = ["b", "cd", "bcdefghbcdefgh"]
    for refresh in (1, 3, None):
        many = gen.sample_many(3, 20, prime=primes, seed=1, refresh=refresh)
        assert many == [gen.sample(20, prime=p, seed=1 + i, refresh=refresh) for i, p in enumerate(primes)]


def test_instruction_sets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    data = packed(SIDE_BY_SIDE["two lstm"][0])
    for isa in _core.supported_isas():
        monkeypatch.setenv("LSTMGEN_ISA", isa)
        found.add(tuple(map(str, lstmgen.Generator(data).sample_many(9, 40, seed=3, refresh=None))))
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_rounded_weights(dtype: str) -> None:
    for which, encoding in SIDE_BY_SIDE.values():
        gen = lstmgen.Generator(packed(which, encoding=encoding, dtype=dtype))
        for refresh in refreshes(gen.model):
            many = gen.sample_many(9, 40, seed=3, refresh=refresh)
            assert many == [gen.sample(40, seed=3 + i, refresh=refresh) for i in range(9)]


def test_seeds_temperatures_and_primes_may_be_lists() -> None:
    gen = lstmgen.Generator(packed())
    many = gen.sample_many(2, 30, seed=[4, 4], inverse_temp=[1, 2], prime=["a", None])
    assert many == [gen.sample(30, seed=4, prime="a"), gen.sample(30, seed=4, inverse_temp=2)]
    arrays: Any = np.array([1.0, 0.5]), np.array([4, 5])
    many = gen.sample_many(2, 30, arrays[0], seed=arrays[1])
    assert many == [gen.sample(30, 1.0, seed=4), gen.sample(30, 0.5, seed=5)]


def test_one_prime_of_ids_is_for_all_and_lists_of_ids_are_for_each() -> None:
    gen = lstmgen.Generator(packed(vocabulary=None))
    assert gen.sample_many(2, 30, seed=4, prime=[1, 2]) == [gen.sample(30, seed=4 + i, prime=[1, 2]) for i in range(2)]
    many = gen.sample_many(2, 30, seed=4, prime=[[1, 2], [3]])
    assert many == [gen.sample(30, seed=4, prime=[1, 2]), gen.sample(30, seed=5, prime=[3])]


def test_tokens_come_as_lists() -> None:
    words = ["The", "cat", "sat", "on", "a"]
    small = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    gen = lstmgen.Generator(packed(small, vocabulary=words, vocabulary_kind="tokens"))
    primes = [["The", "cat"], ["a"]]
    assert gen.sample_many(2, 9, seed=1, prime=primes) == [
        gen.sample(9, seed=1 + i, prime=p) for i, p in enumerate(primes)
    ]
    assert gen.sample_many(2, 9, seed=1, prime="The cat")[0] == gen.sample(9, seed=1, prime="The cat")
    assert gen.sample_many(2, 9, seed=1, prime=["The", "cat"])[0] == gen.sample(9, seed=1, prime=["The", "cat"])


def test_without_a_seed_no_two_are_alike() -> None:
    many = lstmgen.Generator(packed()).sample_many(20, 60)
    assert len(set(map(str, many))) == 20


def test_none_and_nothing() -> None:
    gen = lstmgen.Generator(packed())
    assert gen.sample_many(0, 10) == []
    assert gen.sample_many(3, 0) == ["", "", ""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "n: expected at least 0, found -1"),
        ({"seed": [1, 2]}, "seed: expected one for all or 3, found 2"),
        ({"temp": [1.0] * 4}, "temp: expected one for all or 3, found 4"),
        ({"prime": ["a", "b"]}, "prime: expected one for all or 3, found 2"),
        ({"temp": [1.0, -1.0, 1.0]}, "temp: expected a number >= 0, found -1.0"),
        ({"temp": 1.0, "inverse_temp": 1.0}, r"expected one of temp, temperature, inverse_temp, found \['temp'"),
        ({"prime": ["a", "b", "z"]}, "'z'"),
        ({"top_p": 2.0}, "top_p: expected a number in"),
        ({"seed": 2**64 - 1}, r"seed: expected below 2\*\*64"),
        ({"refresh": 0}, "refresh: expected at least 1, found 0"),
        ({"logit_bias": dict.fromkeys(LETTERS, -np.inf)}, "no element can be drawn"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    gen = lstmgen.Generator(packed(), threads=2)
    with pytest.raises(ValueError, match=message):
        gen.sample_many(**({"n": 3, "length": 5} | options))
