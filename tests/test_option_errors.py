"""Wrong options are clear errors."""

from __future__ import annotations

from typing import Any

import pytest

import lstmgen
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": -1}, ValueError, "length: expected at least 0, found -1"),
        ({"length": 1.5}, TypeError, "length: expected an integer, found 1.5"),
        ({"length": True}, TypeError, "length: expected an integer, found True"),
        ({"length": None}, TypeError, "length: expected an integer, found None"),
        ({"length": "7"}, TypeError, "length: expected an integer, found '7'"),
        ({"length": 2**64}, ValueError, "length: expected below"),
        ({"temp": -0.5}, ValueError, "temp: expected a number >= 0, found -0.5"),
        ({"temp": float("nan")}, ValueError, "temp: expected a number >= 0, found nan"),
        ({"temp": float("inf")}, ValueError, "temp: expected a number >= 0, found inf"),
        ({"temp": "hot"}, TypeError, "temp: expected a number, found 'hot'"),
        ({"temp": False}, TypeError, "temp: expected a number, found False"),
        ({"temperature": -1}, ValueError, "temperature: expected"),
        ({"inverse_temp": 0}, ValueError, "inverse_temp: expected a number > 0, found 0"),
        ({"inverse_temp": -1}, ValueError, "inverse_temp: expected a number > 0, found -1"),
        ({"temp": 1, "temperature": 1}, ValueError, "expected one of .*'temp', 'temperature'"),
        ({"temp": 1, "inverse_temp": 1}, ValueError, "expected one of .*'temp', 'inverse_temp'"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, found -1"),
        ({"seed": 2**64}, ValueError, r"seed: expected below 2\*\*64, found 18446744073709551616"),
        ({"seed": 1.0}, TypeError, "seed: expected an integer, found 1.0"),
        ({"seed": True}, TypeError, "seed: expected an integer, found True"),
        ({"refresh": 0}, ValueError, "refresh: expected at least 1, found 0"),
        ({"refresh": -3}, ValueError, "refresh: expected at least 1, found -3"),
        ({"refresh": True}, TypeError, "refresh: expected an integer, found True"),
        ({"refresh": 2**64}, ValueError, "refresh: expected below"),
        ({"top_k": 0}, ValueError, "top_k: expected at least 1, found 0"),
        ({"top_k": 2.0}, TypeError, "top_k: expected an integer, found 2.0"),
        ({"top_k": 2**64}, ValueError, "top_k: expected below"),
        ({"top_p": 0}, ValueError, "top_p: expected a number in .*found 0"),
        ({"top_p": 1.01}, ValueError, "top_p: expected a number in .*found 1.01"),
        ({"top_p": float("nan")}, ValueError, "top_p: expected a number in .*found nan"),
        ({"top_p": "x"}, TypeError, "top_p: expected a number, found 'x'"),
        ({"min_p": -0.1}, ValueError, "min_p: expected a number in .*found -0.1"),
        ({"min_p": 1.1}, ValueError, "min_p: expected a number in .*found 1.1"),
        ({"repeat_penalty": 0}, ValueError, "repeat_penalty: expected a number > 0, found 0"),
        ({"repeat_penalty": "x"}, TypeError, "repeat_penalty: expected a number, found 'x'"),
        ({"logit_bias": {"z": 1}}, ValueError, "'z' .* is not in the vocabulary"),
        ({"logit_bias": {11: 1}}, ValueError, "expected 0 to 10, found 11"),
        ({"logit_bias": {"": 1}}, ValueError, "'' .* is not in the vocabulary"),
        ({"logit_bias": {"a": float("nan")}}, ValueError, "logit_bias: .*found nan"),
        ({"logit_bias": {"a": float("inf")}}, ValueError, "logit_bias: .*found inf"),
        (
            {"logit_bias": {"a": "x"}},
            TypeError,
            "logit_bias: expected a number, found 'x'",
        ),
        ({"stop": ""}, ValueError, "stop: .*found ''"),
        ({"stop": ["a", ""]}, ValueError, "stop: .*found \\['a', ''\\]"),
        ({"stop": "z"}, ValueError, "'z' .* is not in the vocabulary"),
        ({"nonsense": 1}, TypeError, "unexpected keyword argument 'nonsense'"),
    ],
)
def test_a_wrong_option_is_a_clear_error(
    gen: lstmgen.Generator, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gen.sample(**options)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_is_an_error(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads: expected at least 1, found {threads}"):
        lstmgen.Generator(packed(), threads=threads)


@pytest.mark.parametrize("threads", [True, 1.5, "2", None])
def test_threads_must_be_an_integer(threads: Any) -> None:
    with pytest.raises(TypeError, match="threads: expected an integer"):
        lstmgen.Generator(packed(), threads=threads)


def test_a_network_without_a_window_cannot_keep_one() -> None:
    gen = lstmgen.Generator(packed(network(window=0)))
    with pytest.raises(ValueError, match=r"without a fixed window: export it with window=\.\.\."):
        gen.sample(5, refresh=2)


def test_a_network_without_a_window_carries_its_state() -> None:
    gen = lstmgen.Generator(packed(network(window=0)))
    carried = lstmgen.Generator(packed()).sample(30, seed=1, refresh=None)
    assert gen.sample(30, seed=1) == gen.sample(30, seed=1, refresh=None) == carried
    assert gen.sample_many(2, 30, seed=1)[0] == carried
