"""What a user of Generator and Model may rely on, with small random networks and without Keras."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core
from lstmgen.binfile import writer
from lstmgen.model import bundled
from lstmgen.network import reference
from support.gguf_bytes import take_apart
from support.networks import network, packed

TEXT = network()  # 11 one-hot > LSTM 20 > LSTM 17 > Dense 11 softmax, window 12
T, N = TEXT.window, TEXT.outputs
LETTERS = "abcdefghijk"
WORDS = ["The", "cat", "sat", "on", "a"]


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


def tokens(**options: Any) -> lstmgen.Generator:
    """A model whose elements are words."""
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    return lstmgen.Generator(packed(of, vocabulary=WORDS, vocabulary_kind="tokens", **options))


def nameless() -> lstmgen.Generator:
    """A model without vocabulary and prime."""
    return lstmgen.Generator(packed(vocabulary=None, prime=None))


def exact(ids: list[int], encoding: str = "onehot", of: Any = TEXT) -> NDArray[np.float64]:
    """The float64 reference's distribution after `ids`."""
    return np.asarray(reference.forward(of, reference.encode(of, encoding, ids)), np.float64)


def ids_of(text: str) -> list[int]:
    return [LETTERS.index(c) for c in text]


def run_python(code: str | None, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    here = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here), **env}
    return subprocess.run(
        [sys.executable, *([] if code is None else ["-c", code]), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


# -- what is drawn ---------------------------------------------------------------------------------


def test_sample_is_a_text_of_that_length(gen: lstmgen.Generator) -> None:
    text = gen.sample(50)
    assert isinstance(text, str)
    assert len(text) == 50
    assert set(text) <= set(LETTERS)


def test_length_is_1000_by_default(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(refresh=None)) == 1000


def test_length_0_is_the_empty_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(0) == ""


def test_length_0_of_a_token_model_is_the_empty_list() -> None:
    assert tokens().sample(0) == []


def test_the_same_seed_gives_the_same_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(100, seed=5) == gen.sample(100, seed=5)


def test_another_seed_gives_another_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(100, seed=5) != gen.sample(100, seed=6)


def test_no_seed_is_a_new_seed(gen: lstmgen.Generator) -> None:
    assert gen.sample(100) != gen.sample(100)


def test_the_largest_seed_is_one_of_its_own(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, seed=2**64 - 1) != gen.sample(50, seed=0)


def test_a_numpy_integer_is_an_integer(gen: lstmgen.Generator) -> None:
    assert gen.sample(int(np.int64(9)), seed=3) == gen.sample(9, seed=int(np.uint64(3)))


@pytest.mark.parametrize("refresh", [1, 3, None])
@pytest.mark.parametrize("threads", [2, 3, 64])
def test_threads_change_nothing(gen: lstmgen.Generator, threads: int, refresh: int | None) -> None:
    many = lstmgen.Generator(gen.model, threads=threads)
    assert many.sample(60, seed=1, refresh=refresh) == gen.sample(60, seed=1, refresh=refresh)


def test_a_longer_sample_begins_as_the_shorter_one(gen: lstmgen.Generator) -> None:
    assert str(gen.sample(80, seed=2)).startswith(str(gen.sample(30, seed=2)))


@pytest.mark.parametrize("refresh", [1, 4, None])
def test_temperature_0_takes_the_most_likely_element(gen: lstmgen.Generator, refresh: int | None) -> None:
    ids = gen.model.prime.tolist()
    drawn = ids_of(str(gen.sample(30, temp=0, refresh=refresh)))
    for count, i in enumerate(drawn):
        # A window is kept for `refresh` elements.
        context = ids if refresh is None else ids[-(T + count % refresh) :]
        assert i == exact(context).argmax()
        ids.append(i)


def test_temperature_0_needs_no_seed(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temp=0, seed=1) == gen.sample(50, temp=0, seed=2)


def test_temperature_is_an_alias(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temperature=0.5, seed=1) == gen.sample(50, 0.5, seed=1)


def test_inverse_temperature_is_one_over_it(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, inverse_temp=4, seed=1) == gen.sample(50, temp=0.25, seed=1)


def test_the_smallest_temperature_takes_the_most_likely_element(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temp=5e-324) == gen.sample(50, temp=0)


def test_an_enormous_temperature_is_uniform(gen: lstmgen.Generator) -> None:
    np.testing.assert_allclose(gen.probabilities(temp=1e300), 1 / N)


def test_a_sample_leaves_the_generator_as_it_was(gen: lstmgen.Generator) -> None:
    first = gen.sample(20, seed=9)
    gen.sample(33, seed=1, prime="abc")
    assert gen.sample(20, seed=9) == first


# -- stream ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"include_prime": True},
        {"stop": ["ab", "c"]},
        {"refresh": None},
        {"refresh": 5, "temp": 0.5},
        {"prime": "hij", "top_k": 3},
        {"repeat_penalty": 1.3, "logit_bias": {"a": 2.0}},
    ],
)
def test_stream_is_sample(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    streamed = gen.stream(60, seed=4, **options)
    assert "".join(map(str, streamed)) == gen.sample(60, seed=4, **options)


def test_stream_and_sample_take_the_same_options() -> None:
    sample = dict(inspect.signature(lstmgen.Generator.sample).parameters)
    stream = dict(inspect.signature(lstmgen.Generator.stream).parameters)
    astream = dict(inspect.signature(lstmgen.Generator.astream).parameters)
    assert astream == stream
    del stream["state"]
    assert list(sample) == list(stream)
    assert [p.default for p in sample.values()] == [p.default for p in stream.values()]


def test_stream_without_length_goes_on(gen: lstmgen.Generator) -> None:
    endless = gen.stream(None, seed=4)
    assert "".join(map(str, islice(endless, 40))) == gen.sample(40, seed=4)


def test_a_closed_stream_ends(gen: lstmgen.Generator) -> None:
    stream = gen.stream(None)
    next(stream)
    assert isinstance(stream, Iterator)
    stream.close()
    assert list(stream) == []


def test_stream_checks_its_options_before_the_first_element(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match="temp: expected a number >= 0, found -1"):
        gen.stream(temp=-1)


def test_streams_side_by_side_do_not_disturb_each_other(gen: lstmgen.Generator) -> None:
    pairs = list(zip(gen.stream(30, seed=1), gen.stream(30, seed=2), strict=True))
    assert "".join(str(a) for a, _ in pairs) == gen.sample(30, seed=1)
    assert "".join(str(b) for _, b in pairs) == gen.sample(30, seed=2)


# -- prime -----------------------------------------------------------------------------------------


def test_include_prime_puts_it_first(gen: lstmgen.Generator) -> None:
    text = gen.sample(10, prime="abc", include_prime=True, seed=1)
    assert text == "abc" + str(gen.sample(10, prime="abc", seed=1))


def test_include_prime_holds_all_of_a_long_one(gen: lstmgen.Generator) -> None:
    prime = LETTERS * 5
    assert str(gen.sample(3, prime=prime, include_prime=True)).startswith(prime)


@pytest.mark.parametrize("prime", ["", [], None])
def test_an_empty_prime_is_the_files_own(gen: lstmgen.Generator, prime: Any) -> None:
    own = "".join(LETTERS[i] for i in gen.model.prime)
    assert gen.sample(20, prime=prime, seed=1) == gen.sample(20, prime=own, seed=1)


@pytest.mark.parametrize("refresh", [1, 4, None])
@pytest.mark.parametrize("size", [1, 2, T - 1, T, T + 1, 5 * T])
def test_a_prime_of_any_length_is_the_context(gen: lstmgen.Generator, size: int, refresh: int | None) -> None:
    prime = (LETTERS * 6)[3 : 3 + size]
    context = prime if refresh is None else prime[-T:]
    first = gen.sample(1, temp=0, prime=prime, refresh=refresh)
    assert first == LETTERS[exact(ids_of(context)).argmax()]


def test_a_prime_of_ids_or_elements_is_that_text(gen: lstmgen.Generator) -> None:
    want = gen.sample(20, prime="cab", seed=1)
    elements: list[str | int] = ["c", 0, "b"]
    assert gen.sample(20, prime=[2, 0, 1], seed=1) == want
    assert gen.sample(20, prime=np.array([2, 0, 1]), seed=1) == want
    assert gen.sample(20, prime=["c", "a", "b"], seed=1) == want
    assert gen.sample(20, prime=iter(elements), seed=1) == want


def test_no_prime_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no default prime: give prime="):
        nameless().sample(5)


# -- the unknown -----------------------------------------------------------------------------------


def test_an_unknown_character_is_named_with_its_position(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match=r"character 'ß' \(U\+00DF\) at position 2 .*vocabulary of 11"):
        gen.sample(5, prime="abßc")


def test_an_unknown_element_is_named_with_its_position() -> None:
    with pytest.raises(ValueError, match="element 'dog' at position 1 "):
        tokens().sample(5, prime="The dog sat")


def test_the_unknown_is_skipped(gen: lstmgen.Generator) -> None:
    found = gen.sample(5, prime="aßbßc", on_unknown="skip", include_prime=True)
    assert str(found).startswith("abc")


def test_the_unknown_is_replaced(gen: lstmgen.Generator) -> None:
    found = gen.sample(5, prime="aßb", on_unknown="k", include_prime=True)
    assert str(found).startswith("akb")


def test_an_unknown_replacement_is_an_error(gen: lstmgen.Generator) -> None:
    for prime in (None, "abc"):
        with pytest.raises(ValueError, match=r"on_unknown: expected .*found 'ß'"):
            gen.sample(5, prime=prime, on_unknown="ß")


@pytest.mark.parametrize("bad", [11, -1, 2**32, 2**64])
def test_an_id_out_of_range_is_named_with_its_position(gen: lstmgen.Generator, bad: int) -> None:
    with pytest.raises(ValueError, match=f"position 1: expected .*0 to 10, found {bad}"):
        gen.sample(5, prime=[0, bad])


@pytest.mark.parametrize("bad", [11, -1, 2**32, 2**64])
def test_so_it_is_without_a_vocabulary(bad: int) -> None:
    with pytest.raises(ValueError, match=f"position 1: expected .*0 to 10, found {bad}"):
        nameless().sample(5, prime=[0, bad])


def test_an_element_of_another_type_is_named_with_its_position(gen: lstmgen.Generator) -> None:
    with pytest.raises(TypeError, match=r"position 1: expected a str or an id, found 1\.5"):
        gen.sample(5, prime=[0, 1.5])  # type: ignore[list-item]


def test_a_prime_of_unknown_elements_of_many_characters_is_cut_at_the_longest_match() -> None:
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    gen = lstmgen.Generator(packed(of, vocabulary=["a", "ab", "abc", "c", "d"]))
    assert str(gen.sample(1, prime="abcabd", include_prime=True)).startswith("abcabd")
    assert gen.sample(9, prime="abcabd", seed=1) == gen.sample(9, prime=[2, 1, 4], seed=1)
    with pytest.raises(ValueError, match=r"'b' .* at position 3"):
        gen.sample(1, prime="abcb")


# -- clear errors ----------------------------------------------------------------------------------


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
            "logit_bias: expected a mapping from elements or ids to numbers, found 'x'",
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


# -- stop ------------------------------------------------------------------------------------------


def test_stop_ends_the_text_and_stays_in_it(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stop = whole[40:43]
    assert gen.sample(500, seed=1, stop=stop) == whole[: whole.index(stop) + 3]


def test_the_first_of_several_stops_counts(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stops = [whole[90:94], whole[40:43], whole[60:65]]
    end = min(whole.index(stop) + len(stop) for stop in stops)
    assert gen.sample(500, seed=1, stop=stops) == whole[:end]


def test_a_stop_in_the_prime_does_not_count(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(1, prime="ab", stop="ab")) == 1


def test_a_stop_that_never_comes_ends_nothing(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(50, stop="abcdefghijkabcdefghijk")) == 50


def test_stop_of_a_token_model_is_a_sequence_of_elements() -> None:
    gen = tokens()
    whole = gen.sample(500, seed=1)
    pairs = list(pairwise(whole))
    end = pairs.index(("cat", "sat")) + 2
    assert gen.sample(500, seed=1, stop="cat sat") == whole[:end]


def test_stop_of_white_space_is_an_error_of_a_token_model() -> None:
    with pytest.raises(ValueError, match=r"stop: expected texts of at least one element, found '  '"):
        tokens().sample(5, stop="  ")


# -- probabilities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, T - 1, T, T + 1, 5 * T])
def test_probabilities_are_predict_of_the_window(gen: lstmgen.Generator, size: int) -> None:
    ids = np.arange(size) * 7 % N
    p = gen.probabilities(ids.tolist())
    np.testing.assert_allclose(p, gen.model.predict(ids[None, -T:])[0], rtol=2e-6)
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_probabilities_without_refresh_use_the_whole_context(gen: lstmgen.Generator) -> None:
    ids = (np.arange(5 * T) * 7 % N).tolist()
    np.testing.assert_allclose(gen.probabilities(ids, refresh=None), exact(ids), rtol=1e-4)
    assert abs(gen.probabilities(ids) - exact(ids)).max() > 1e-4


@pytest.mark.parametrize("temp", [0.25, 0.5, 2 / 3, 1.0, 2.0])
def test_probabilities_have_the_temperature(gen: lstmgen.Generator, temp: float) -> None:
    y = gen.model.predict(gen.model.prime[None])[0].astype(np.float64)
    want = y ** (1 / temp)
    np.testing.assert_allclose(gen.probabilities(temp=temp), want / want.sum(), rtol=2e-5)


def test_probabilities_at_temperature_0_are_one_element(gen: lstmgen.Generator) -> None:
    p = gen.probabilities(temp=0)
    assert sorted(p) == [0.0] * (N - 1) + [1.0]
    assert p.argmax() == gen.probabilities().argmax()


def test_probabilities_are_what_is_drawn(gen: lstmgen.Generator) -> None:
    drawn = [str(gen.sample(1, prime="abc", seed=seed)) for seed in range(4000)]
    frequency = np.bincount([ids_of(c)[0] for c in drawn], minlength=N) / len(drawn)
    np.testing.assert_allclose(frequency, gen.probabilities("abc"), atol=0.03)


# -- the recurrence --------------------------------------------------------------------------------


def log_probabilities(gen: lstmgen.Generator, ids: list[int], refresh: int | None) -> Any:
    """Natural logarithms of each of `ids` but the first, by the engine."""
    return gen.log_probabilities(ids, refresh=refresh)


def test_carried_state_is_the_stateful_recurrence(gen: lstmgen.Generator) -> None:
    ids = ids_of(str(gen.sample(300, seed=1)))
    of = network(sequences=True)  # the same weights, an output at each step
    p = np.asarray(reference.forward(of, reference.encode(of, "onehot", ids[:-1])))
    want = np.log(p[np.arange(len(ids) - 1), ids[1:]])
    np.testing.assert_allclose(log_probabilities(gen, ids, None), want, atol=2e-5)


@pytest.mark.parametrize("refresh", [1, 2, 5, T, 3 * T])
def test_refresh_keeps_a_window_for_so_many_elements(gen: lstmgen.Generator, refresh: int) -> None:
    ids = ids_of(str(gen.sample(80, seed=1)))
    found = log_probabilities(gen, ids, refresh)
    for count in range(1, len(ids)):
        # A window starts at each multiple of `refresh`; the youngest that is T long counts.
        start = (count - T) // refresh * refresh if count >= T else 0
        want = np.log(exact(ids[start:count])[ids[count]])
        assert found[count - 1] == pytest.approx(want, abs=2e-5)


# -- score -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [1, None])
def test_score_is_the_mean_of_the_bits(gen: lstmgen.Generator, refresh: int | None) -> None:
    text = str(gen.sample(40, seed=3))
    score = gen.score(text, refresh=refresh)
    contexts = [text[:i] if refresh is None else text[max(0, i - T) : i] for i in range(1, 40)]
    bits = [-np.log2(exact(ids_of(c))[LETTERS.index(e)]) for c, e in zip(contexts, text[1:], strict=True)]
    assert score.bits_per_element == pytest.approx(np.mean(bits), abs=1e-5)
    assert score.perplexity == pytest.approx(2 ** np.mean(bits), rel=1e-5)
    assert score.elements == 39


def test_an_impossible_element_has_an_infinite_perplexity() -> None:
    bias = np.array([0.0] * 10 + [-1e30])
    of = network(arrays={"dense_2.kernel": np.zeros((17, 11)), "dense_2.bias": bias})
    score = lstmgen.Generator(packed(of)).score("ak")
    assert score.bits_per_element > 1e29
    assert score.perplexity == float("inf")


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ([], 0)])
def test_too_little_to_score_is_an_error(gen: lstmgen.Generator, text: Any, count: int) -> None:
    with pytest.raises(ValueError, match=f"text: expected at least 2 elements to score, found {count}"):
        gen.score(text)


def test_score_skips_the_unknown(gen: lstmgen.Generator) -> None:
    assert gen.score("abßcd", on_unknown="skip") == gen.score("abcd")


# -- filters, against plain numpy --------------------------------------------------------------------


def softmax(logits: Any) -> Any:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def filtered(
    logits: Any,
    *,
    recent: list[int],
    logit_bias: dict[int, float],
    repeat_penalty: float,
    top_k: int,
    top_p: float,
    min_p: float,
    temp: float,
) -> Any:
    """What llama.cpp's chain of samplers does, in its order."""
    logits = logits.copy()
    for i, bias in logit_bias.items():
        logits[i] += bias
    for i in set(recent[-64:]):
        logits[i] = logits[i] / repeat_penalty if logits[i] > 0 else logits[i] * repeat_penalty
    order = np.argsort(-logits, kind="stable")[: top_k or None]
    p = softmax(logits[order])
    order = order[: int(np.searchsorted(np.cumsum(p), top_p) + 1)]
    p = softmax(logits[order])
    order = order[p >= min_p * p[0]]
    out = np.zeros(len(logits))
    out[order] = softmax(logits[order] / temp)
    return out


FILTERS: list[dict[str, Any]] = [
    {"top_k": 1},
    {"top_k": 4},
    {"top_k": 11},
    {"top_k": 100},
    {"top_p": 0.5},
    {"top_p": 0.9},
    {"top_p": 1e-9},
    {"min_p": 0.2},
    {"min_p": 1.0},
    {"logit_bias": {"a": 1.5, "c": -2.0}},
    {"logit_bias": {0: 1.5, "k": -np.inf}},
    {"repeat_penalty": 1.5},
    {"repeat_penalty": 0.5},
    {"top_k": 6, "top_p": 0.8},
    {"top_k": 8, "top_p": 0.9, "min_p": 0.1, "temp": 0.7},
    {"top_p": 0.7, "temp": 2.0},
    {"min_p": 0.3, "temp": 5.0},
    {"repeat_penalty": 1.2, "logit_bias": {"b": 3.0}, "top_k": 5, "top_p": 0.95, "temp": 0.5},
]


@pytest.mark.parametrize("options", FILTERS)
def test_filters_are_those_of_llama_cpp(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    for prime in (LETTERS[:5], "ajfcdb", "kkkkk", LETTERS * 8):
        stream = gen.stream(prime=prime, seed=0, **options)
        of = network([*[("lstm", 20), ("lstm", 17)], ("dense", 11, "linear")])
        ids = ids_of(prime)
        logits = np.asarray(reference.forward(of, reference.encode(of, "onehot", ids[-T:])))
        bias = {ids_of(k)[0] if isinstance(k, str) else k: v for k, v in options.get("logit_bias", {}).items()}
        want = filtered(
            logits,
            recent=ids,
            logit_bias=bias,
            repeat_penalty=options.get("repeat_penalty", 1.0),
            top_k=options.get("top_k", 0),
            top_p=options.get("top_p", 1.0),
            min_p=options.get("min_p", 0.0),
            temp=options.get("temp", 1.0),
        )
        np.testing.assert_allclose(stream.probabilities(), want, rtol=1e-4, atol=1e-12)


def test_sampling_draws_only_what_the_filters_leave(gen: lstmgen.Generator) -> None:
    banned = {letter: float("-inf") for letter in "abcdefgh"}
    assert set(gen.sample(300, seed=1, logit_bias=banned)) == {"i", "j", "k"}


def test_a_large_bias_forces_an_element(gen: lstmgen.Generator) -> None:
    assert gen.sample(20, logit_bias={"c": 1e6}) == "c" * 20


def test_top_k_1_is_temperature_0(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, top_k=1, temp=2, seed=1) == gen.sample(50, temp=0)


def test_banning_everything_is_an_error(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match="no element can be drawn"):
        gen.sample(5, logit_bias={c: float("-inf") for c in LETTERS})


def test_filters_that_leave_all_change_nothing(gen: lstmgen.Generator) -> None:
    plain = gen.sample(100, seed=1)
    assert gen.sample(100, seed=1, top_k=N, top_p=1.0, min_p=0.0, repeat_penalty=1.0, logit_bias={}) == plain


def test_the_repeat_penalty_looks_back_64_elements(gen: lstmgen.Generator) -> None:
    def first(prime: str) -> Any:
        return gen.stream(prime=prime, repeat_penalty=100.0).probabilities()

    near, far = "k" + "a" * 63, "k" + "a" * 64
    plain = gen.probabilities("a" * T)
    assert first(near)[10] / first(near)[1] < plain[10] / plain[1] * 0.9
    assert first(far)[10] / first(far)[1] == pytest.approx(plain[10] / plain[1])


# -- vocabularies and encodings ----------------------------------------------------------------------


def test_a_token_model_gives_a_list_of_elements() -> None:
    found = tokens().sample(30, seed=1)
    assert isinstance(found, list)
    assert len(found) == 30
    assert set(found) <= set(WORDS)


def test_a_token_model_includes_its_prime_as_elements() -> None:
    assert tokens().sample(2, prime="The cat", include_prime=True)[:2] == ["The", "cat"]


def test_a_token_model_streams_elements() -> None:
    assert list(tokens().stream(30, seed=1)) == tokens().sample(30, seed=1)


def test_a_model_without_vocabulary_gives_ids() -> None:
    found = nameless().sample(30, seed=1, prime=[1, 2, 3])
    assert isinstance(found, list)
    assert {type(i) for i in found} == {int}
    assert found == ids_of(str(lstmgen.Generator(packed()).sample(30, seed=1, prime="bcd")))


def test_a_model_without_vocabulary_streams_ids() -> None:
    gen = nameless()
    assert list(gen.stream(30, seed=1, prime=[1])) == gen.sample(30, seed=1, prime=[1])


def test_a_model_without_vocabulary_takes_no_text() -> None:
    with pytest.raises(ValueError, match="no vocabulary: give ids, or export it with vocab="):
        nameless().sample(5, prime="abc")


ENCODINGS = {
    "onehot": network([("lstm", 8), ("dense", 11, "softmax")]),
    "index": network([("embedding", 6), ("lstm", 8), ("dense", 11, "softmax")], 13),
    "scaled": network([("lstm", 8), ("dense", 11, "softmax")], 1),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_generates_what_the_reference_says(encoding: str) -> None:
    of = ENCODINGS[encoding]
    gen = lstmgen.Generator(packed(of, encoding=encoding))
    ids = gen.model.prime.tolist()
    for i in ids_of(str(gen.sample(25, temp=0))):
        assert i == exact(ids[-T:], encoding, of).argmax()
        ids.append(i)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_predicts_from_ids_what_the_reference_says(encoding: str) -> None:
    of = ENCODINGS[encoding]
    ids = np.arange(5 * T).reshape(5, T) * 7 % N
    want = [exact(row.tolist(), encoding, of) for row in ids]
    np.testing.assert_allclose(lstmgen.Model(packed(of, encoding=encoding)).predict(ids), want, rtol=1e-4)


def test_an_embedding_predicts_from_ids_that_are_no_outputs() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    assert model.predict([[12, 11, 0]]).shape == (1, 11)


def test_an_embedding_takes_whole_floats_as_ids() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    np.testing.assert_array_equal(model.predict([[1.0, 2.0]]), model.predict([[1, 2]]))


@pytest.mark.parametrize("bad", [1.5, float("nan"), float("inf"), -1.0, 1e300])
def test_an_embedding_refuses_other_floats(bad: float) -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    with pytest.raises(ValueError, match="x: expected"):
        model.predict([[bad, 1.0]])


def test_an_embedding_takes_no_features() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    with pytest.raises(ValueError, match="expected ids, found features"):
        model.predict(np.zeros((1, 2, 13)))


def features() -> lstmgen.Model:
    of = network([("lstm", 8), ("dense", 1, "sigmoid")], 3, 5)
    return lstmgen.Model(packed(of, encoding="features"))


def test_a_network_of_features_does_not_generate() -> None:
    with pytest.raises(ValueError, match="reads features: it predicts, but does not generate"):
        lstmgen.Generator(features())


def test_a_network_of_features_takes_no_ids() -> None:
    with pytest.raises(ValueError, match="expected features, found ids"):
        features().predict([[1, 2]])


def test_a_network_of_features_predicts() -> None:
    of = network([("lstm", 8), ("dense", 1, "sigmoid")], 3, 5)
    x = np.random.default_rng(1).uniform(-1, 1, (4, 5, 3))
    np.testing.assert_allclose(features().predict(x), reference.forward(of, x), rtol=1e-5)


# -- predict ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> lstmgen.Model:
    return lstmgen.Model(packed())


@pytest.mark.parametrize("batch", [1, 2, 97, 200])
def test_predict_gives_a_row_of_float32_for_each_input(model: lstmgen.Model, batch: int) -> None:
    y = model.predict(np.zeros((batch, T), int))
    assert y.shape == (batch, N)
    assert y.dtype == np.float32


@pytest.mark.parametrize("steps", [1, T - 1, T + 1, 100])
def test_predict_takes_any_number_of_steps(model: lstmgen.Model, steps: int) -> None:
    ids = np.arange(steps) * 7 % N
    np.testing.assert_allclose(model.predict(ids[None])[0], exact(ids.tolist()), rtol=1e-4)


def test_predict_of_ids_is_that_of_their_one_hot_vectors_bit_for_bit(model: lstmgen.Model) -> None:
    ids = np.random.default_rng(1).integers(0, N, (100, T))
    np.testing.assert_array_equal(model.predict(ids), model.predict(np.eye(N)[ids]))


def test_a_row_does_not_depend_on_the_others(model: lstmgen.Model) -> None:
    ids = np.random.default_rng(1).integers(0, N, (130, T))
    alone = np.concatenate([model.predict(row[None]) for row in ids])
    np.testing.assert_array_equal(model.predict(ids), alone)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", ">i4"])
def test_predict_takes_ids_of_any_integer_type(model: lstmgen.Model, dtype: str) -> None:
    ids = np.arange(T)[None] % N
    np.testing.assert_array_equal(model.predict(ids.astype(dtype)), model.predict(ids))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64", ">f4"])
def test_predict_takes_features_of_any_type(model: lstmgen.Model, dtype: str) -> None:
    x = np.eye(N)[None]
    np.testing.assert_array_equal(model.predict(x.astype(dtype)), model.predict(x))


def test_predict_takes_bools_as_ids(model: lstmgen.Model) -> None:
    np.testing.assert_array_equal(model.predict([[True, False]]), model.predict([[1, 0]]))


def test_predict_takes_arrays_of_any_layout(model: lstmgen.Model) -> None:
    x = np.random.default_rng(1).random((3, T, N))
    odd = np.asfortranarray(np.repeat(x, 2, axis=0))[::2]
    np.testing.assert_array_equal(model.predict(odd), model.predict(x))


def test_predict_leaves_its_input_alone(model: lstmgen.Model) -> None:
    x = np.ones((1, 2, N), np.float32)
    x.flags.writeable = False
    model.predict(x)
    assert (x == 1).all()


def test_predict_of_an_empty_batch_is_empty(model: lstmgen.Model) -> None:
    assert model.predict(np.zeros((0, T), int)).shape == (0, N)
    assert model.predict(np.zeros((0, T, N))).shape == (0, N)


@pytest.mark.parametrize("shape", [(1, 0), (1, 0, N), (0, 0)])
def test_predict_of_no_steps_is_an_error(model: lstmgen.Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected at least one time step"):
        model.predict(np.zeros(shape, int))


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, N, 1)])
def test_predict_of_another_number_of_dimensions_is_an_error(model: lstmgen.Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"of shape {shape}")):
        model.predict(np.zeros(shape, int))


@pytest.mark.parametrize("size", [1, N - 1, N + 1])
def test_predict_of_another_number_of_features_is_an_error(model: lstmgen.Model, size: int) -> None:
    with pytest.raises(ValueError, match=f"expected 11 features a step, found {size}"):
        model.predict(np.zeros((1, T, size)))


@pytest.mark.parametrize("bad", [-1, N, 2**31, 2**32, 2**32 + 1, 2**63 - 1])
def test_predict_of_an_id_out_of_range_is_an_error(model: lstmgen.Model, bad: int) -> None:
    with pytest.raises(ValueError, match=f"expected .*{bad}"):
        model.predict(np.array([[0, bad]]))


def test_predict_of_floats_as_ids_is_an_error_of_a_onehot_network(model: lstmgen.Model) -> None:
    with pytest.raises(ValueError, match="expected integer ids, or features"):
        model.predict(np.zeros((1, T)))


@pytest.mark.parametrize("x", ["abc", [["a", "b"]], [[1j]], None, [[None]]])
def test_predict_of_what_is_no_number_is_an_error(model: lstmgen.Model, x: Any) -> None:
    with pytest.raises(ValueError, match="x: expected numbers"):
        model.predict(x)


def test_predict_of_nan_is_nan(model: lstmgen.Model) -> None:
    assert np.isnan(model.predict(np.full((1, T, N), np.nan))).all()


def test_a_network_of_sequences_predicts_at_each_step() -> None:
    of = network(sequences=True)
    ids = np.arange(3 * T).reshape(3, T) * 7 % N
    model = lstmgen.Model(packed(of))
    want = [exact(row.tolist(), of=of) for row in ids]
    assert model.output_shape == (None, T, N)
    np.testing.assert_allclose(model.predict(ids), want, rtol=1e-4)


def test_a_network_of_sequences_generates_from_the_last_step() -> None:
    each = lstmgen.Generator(packed(network(sequences=True)))
    assert each.sample(50, seed=1) == lstmgen.Generator(packed()).sample(50, seed=1)


@pytest.mark.parametrize(("dtype", "rtol"), [("bf16", 1e-4), ("int8", 3e-3)])
def test_rounded_weights_predict_what_the_rounded_network_does(
    dtype: str, rtol: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.arange(T)[None] % N
    y = lstmgen.Model(packed(dtype=dtype)).predict(ids)
    if dtype == "bf16":  # what its matrices are multiplied with is rounded, too; the one-hot input is exact as it is
        product = reference._matmul

        def rounded_product(x: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
            return product(writer.from_bf16(writer.to_bf16(x.astype(np.float32))).astype(x.dtype), matrix)

        monkeypatch.setattr(reference, "_matmul", rounded_product)
    want = exact(ids[0].tolist(), of=writer.rounded(TEXT, dtype))
    np.testing.assert_allclose(y[0], want, rtol=rtol)


def test_bf16_rounds_what_it_multiplies_but_not_the_input() -> None:
    arrays: dict[str, Any] = {
        "simple_rnn_0.kernel": [[1]],
        "simple_rnn_0.recurrent_kernel": [[0]],
        "simple_rnn_0.bias": [0],
        "dense_1.kernel": [[1]],
        "dense_1.bias": [0],
    }
    layers = [("simple_rnn", 1, "linear"), ("dense", 1, "linear")]
    once, twice = (network(layers[:n], 1, 0, arrays=arrays) for n in (1, 2))
    x = np.array([[[1.001]]], np.float32)
    for of, want in ((once, np.float32(1.001)), (twice, np.float32(1.0))):
        assert lstmgen.Model(packed(of, encoding="features", dtype="bf16")).predict(x).item() == want


def test_a_mask_of_the_input_does_not_make_bf16_exact() -> None:
    arrays: dict[str, Any] = {
        f"simple_rnn_{i}.{name}": value
        for i in (1, 2)
        for name, value in (("kernel", [[1]]), ("recurrent_kernel", [[0]]), ("bias", [0]))
    }
    layers, reads = [("mask", 0.0), *[("simple_rnn", 1, "linear")] * 2], {1: (-1,), 2: (1, 0)}
    masked = network(layers, 1, 0, reads=reads, arrays=arrays)
    x = np.array([[[1.001]]], np.float32)
    assert lstmgen.Model(packed(masked, encoding="features", dtype="bf16")).predict(x).item() == 1


# -- what a model says of itself ---------------------------------------------------------------------


def test_repr_of_a_model_shows_its_make(model: lstmgen.Model) -> None:
    assert repr(model) == (
        f"<lstmgen.Model 11 onehot > lstm 20 > lstm 17 > dense 11 softmax, window 12, 11 outputs, f32, {model.isa}>"
    )


def test_repr_of_a_generator_shows_its_model() -> None:
    gen = lstmgen.Generator(packed(), threads=3)
    assert repr(gen) == f"<lstmgen.Generator of {gen.model!r}, threads 3>"


def test_metadata_are_the_facts_of_the_file() -> None:
    facts: Any = {"name": "n", "description": "d", "author": "a", "license": "MIT"}
    data = packed(**facts, source_url="https://example.org", card='{"bits": 1.5}')
    assert lstmgen.Model(data).metadata == {
        **facts,
        "source_url": "https://example.org",
        "keras_version": "3.15.1",
        "card": {"bits": 1.5},
    }


@pytest.mark.parametrize("card", ["not JSON", "[" * 100_000, '{"a": }'])
def test_a_card_that_is_no_json_is_given_as_it_is(card: str) -> None:
    assert lstmgen.Model(packed(card=card)).metadata["card"] == card


def test_no_card_is_an_empty_one(model: lstmgen.Model) -> None:
    assert model.metadata["card"] == {}


def test_shapes_are_those_of_keras(model: lstmgen.Model) -> None:
    assert (model.input_shape, model.output_shape) == ((None, T, N), (None, N))


def test_shapes_of_an_embedding_are_those_of_keras() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    assert (model.input_shape, model.output_shape) == ((None, T), (None, N))


def test_shapes_without_a_window_are_open() -> None:
    model = lstmgen.Model(packed(network(window=0, sequences=True)))
    assert (model.input_shape, model.output_shape) == ((None, None, N), (None, None, N))


def test_layers_say_what_they_are(model: lstmgen.Model) -> None:
    found = [(layer.type, layer.name, layer.inputs, layer.outputs) for layer in model.layers]
    assert found == [("lstm", "lstm_0", 11, 20), ("lstm", "lstm_1", 20, 17), ("dense", "dense_2", 17, 11)]
    assert [layer.return_sequences for layer in model.layers] == [True, False, False]


def test_nbytes_hold_the_weights_at_least(model: lstmgen.Model) -> None:
    weights = sum(array.nbytes for layer in TEXT.layers for array in layer.arrays.values())
    assert weights <= model.nbytes < 4 * weights


def test_dtype_is_that_of_the_file(model: lstmgen.Model) -> None:
    assert model.dtype == "f32"
    assert [lstmgen.Model(packed(dtype=dtype)).dtype for dtype in ("bf16", "int8")] == ["bf16", "int8"]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_shares_the_model(gen: lstmgen.Generator, make: Any) -> None:
    assert make(gen).model is make(gen.model) is gen.model
    assert make(gen).sample(20, seed=1) == gen.sample(20, seed=1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_generator_and_a_model_pickle(protocol: int) -> None:
    gen = lstmgen.Generator(packed(), threads=2)
    other, model = pickle.loads(pickle.dumps((gen, gen.model), protocol))
    assert other.model is model
    assert repr(other) == repr(gen)
    assert other.sample(20, seed=1) == gen.sample(20, seed=1)
    np.testing.assert_array_equal(model.predict([[1, 2]]), gen.model.predict([[1, 2]]))


@pytest.mark.parametrize("tiny", [-0.0, 1e-20, -1e-17, 1e-45])
def test_a_pickled_generator_takes_its_own_states(tiny: float) -> None:
    """Also if weights are so small that they count as zero in bf16."""
    of = network()
    of.layers[0].arrays["recurrent_kernel"][0, :5] = tiny
    gen = lstmgen.Generator(packed(of, dtype="bf16"))
    stream = gen.stream(seed=1)
    stream.take(9)
    other = pickle.loads(pickle.dumps(gen))
    assert other.stream(state=stream.save_state()).take(50) == stream.take(50)


def test_an_int8_embedding_with_a_negative_scale_pickles() -> None:
    of = network([("embedding", 7), ("gru", 17), ("dense", 11, "softmax")])
    steps, scales = writer.to_int8(of.layers[0].arrays["embeddings"])
    data = packed(of, encoding="index", dtype="int8")
    for positive, negative in ((steps, -steps), (scales, -scales)):
        assert data.count(positive.tobytes()) == 1
        data = data.replace(positive.tobytes(), negative.tobytes())
    model = lstmgen.Model(take_apart(data).to_bytes())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict([[1, 2, 3]]), model.predict([[1, 2, 3]]))


def test_a_model_from_a_keras_file_pickles(small_h5: Path) -> None:
    model = lstmgen.Model(small_h5)
    small_h5.unlink()
    x = np.ones((1, 4, 2))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


def test_a_bundled_model_is_found_by_name_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "latex").mkdir()
    monkeypatch.chdir(tmp_path)
    assert lstmgen.Model("latex").metadata["name"] == "latex"


def test_bundled_models_are_a_dict_of_paths() -> None:
    models = bundled()
    assert isinstance(models, dict)
    assert all(os.path.isfile(path) for path in models.values())


# -- sources ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.bin"
    path.write_bytes(packed())
    return path


def test_a_path_a_string_bytes_and_a_model_are_all_sources(path: Path) -> None:
    sources: list[Any] = [path, str(path), path.read_bytes(), lstmgen.Model(path)]
    assert len({str(lstmgen.Generator(source).sample(20, seed=1)) for source in sources}) == 1


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.bin"):
        lstmgen.Model(tmp_path / "no.bin")


def test_another_type_of_source_is_an_error() -> None:
    with pytest.raises(TypeError):
        lstmgen.Model(5)  # type: ignore[arg-type]


def test_a_bin_takes_no_export_options(path: Path) -> None:
    with pytest.raises(TypeError, match=r"tiny\.bin: only a Keras file takes vocab"):
        lstmgen.Model(path, vocab=["a"])


def test_a_model_takes_no_export_options(model: lstmgen.Model) -> None:
    with pytest.raises(TypeError, match="a Model takes no vocab"):
        lstmgen.Generator(model, vocab=["a"])


@pytest.mark.parametrize("harm", ["delete", "truncate", "overwrite", "replace"])
def test_what_becomes_of_the_file_does_not_change_a_running_sample(path: Path, harm: str) -> None:
    want = lstmgen.Generator(path).sample(200, seed=1)
    gen = lstmgen.Generator(path)
    stream = gen.stream(200, seed=1)
    found = [next(stream) for _ in range(50)]
    size = path.stat().st_size
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        os.truncate(path, 0)
    elif harm == "overwrite":
        with path.open("r+b") as file:
            file.write(b"\xff" * size)
    else:
        path.unlink()
        path.write_bytes(packed(network(seed=8)))
    assert "".join(map(str, [*found, *stream])) == want
    assert pickle.loads(pickle.dumps(gen)).sample(200, seed=1) == want


# -- threads and signals -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_64_threads_on_one_generator_are_equal_to_serial(threads: int) -> None:
    gen = lstmgen.Generator(packed(), threads=threads)
    want = [gen.sample(40, seed=seed) for seed in range(64)]
    barrier = threading.Barrier(64)

    def draw(seed: int) -> Any:
        barrier.wait()
        return gen.sample(40, seed=seed)

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(draw, range(64))) == want


def test_everything_at_once_from_64_threads_on_one_model(model: lstmgen.Model) -> None:
    gen = lstmgen.Generator(model)
    x = np.arange(T)[None] % N
    calls: list[Callable[[], Any]] = [
        lambda: gen.sample(30, seed=1, stop="ab"),
        lambda: list(gen.stream(30, seed=2, refresh=None)),
        lambda: gen.probabilities("abc").tolist(),
        lambda: gen.score(LETTERS * 3),
        lambda: model.predict(x).tolist(),
        lambda: pickle.loads(pickle.dumps(gen)).sample(9, seed=3),
        lambda: (repr(model), model.metadata, [layer.name for layer in model.layers]),
    ]
    want = [call() for call in calls]
    barrier = threading.Barrier(64)

    def work(i: int) -> bool:
        barrier.wait()
        return all(calls[(i + j) % len(calls)]() == want[(i + j) % len(calls)] for j in range(3 * len(calls)))

    with ThreadPoolExecutor(64) as pool:
        assert all(pool.map(work, range(64)))


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded CPython")
def test_the_module_leaves_the_gil_off() -> None:
    code = "import sys, lstmgen.generator; sys.exit(sys._is_gil_enabled())"
    assert run_python(code, PYTHON_GIL="").returncode == 0


def test_a_second_thread_on_one_stream_is_an_error_and_does_no_harm() -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(seed=1, refresh=None)
    refused = threading.Event()

    def intrude() -> None:
        while not refused.is_set():
            try:
                stream.save_state()
            except RuntimeError as error:
                assert "the stream is in use: by another thread" in str(error)
                refused.set()

    text = ""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(intrude)
        while not refused.is_set():
            with contextlib.suppress(RuntimeError):  # the other may be first
                text += str(stream.take(20_000))
        done.result()
    assert text == gen.sample(len(text), seed=1, refresh=None)
    assert stream.take(50) == str(gen.sample(len(text) + 50, seed=1, refresh=None))[-50:]


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import lstmgen
from support.networks import packed
gen = lstmgen.Generator(packed(), threads=int(sys.argv[1]))
want = gen.sample(50, seed=1)
stream = gen.stream(refresh=None)
zeros = np.zeros(10**7, np.uint32)
at = []
def interrupt():
    at.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.2, interrupt).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.perf_counter() - at[0], gen.sample(50, seed=1) == want)
else:
    print("not interrupted")
"""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children heed Ctrl-C even if this process runs in the background, where a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="os.kill cannot send SIGINT there")
@pytest.mark.parametrize(
    ("call", "threads"),
    [
        ("gen.sample(10**12)", "1"),
        ("gen.sample(10**12)", "2"),
        ("gen.sample(10**12, refresh=None)", "1"),
        ("list(gen.stream(10**7))", "1"),
        ("stream.feed(zeros)", "1"),
        ("gen.score(zeros, refresh=None)", "1"),
    ],
)
def test_ctrl_c_stops_and_leaves_the_generator_usable(call: str, threads: str) -> None:
    run = run_python(INTERRUPTED.replace("{call}", call), threads)
    assert run.returncode == 0, run.stderr
    seconds, usable = run.stdout.split()
    assert float(seconds) < 1
    assert usable == "True"


PROCESSES = """
import multiprocessing, sys
from itertools import islice
import lstmgen
from support.networks import packed

def draw(gen, seed):
    return gen.sample(40, seed=seed)

if __name__ == "__main__":
    gen = lstmgen.Generator(packed(), threads=2)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.starmap(draw, [(gen, seed) for seed in range(4)]) == [draw(gen, seed) for seed in range(4)]
    print("equal")
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes_draw_the_same(tmp_path: Path, method: str) -> None:
    (tmp_path / "program.py").write_text(PROCESSES)
    run = run_python(None, str(tmp_path / "program.py"), method)
    assert (run.stdout, run.returncode) == ("equal\n", 0), run.stderr


FORKED = """
import os, sys, time
import lstmgen
from support.networks import packed
gen = lstmgen.Generator(packed(), threads=3)
want = list(gen.stream(90, seed=1))
streams = [gen.stream(90, seed=1) for _ in range(3)]
begun = [next(streams[0]), next(streams[1])]
time.sleep(float(sys.argv[1]))  # its threads spin for a moment, then sleep
child = os.fork()
if child == 0:
    same = [*begun[:1], *streams[0]] == list(streams[2]) == list(gen.stream(90, seed=1)) == want
    del streams  # one of them drawn to its end, one in the middle
    os._exit(0 if same else 1)
same = [*begun[1:], *streams[1]] == want
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not same)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("pause", ["0", "0.1"])
def test_a_child_of_a_fork_goes_on_with_generators_of_several_threads(pause: str) -> None:
    run = run_python(FORKED, pause)
    assert run.returncode == 0, run.stderr


# -- asyncio -------------------------------------------------------------------------------------------


async def gathered(elements: AsyncIterator[str | int]) -> list[str | int]:
    return [element async for element in elements]


@pytest.mark.parametrize(
    "options", [{}, {"refresh": None, "prime": LETTERS * 30}, {"include_prime": True, "stop": "ab"}, {"length": 0}]
)
def test_astream_is_stream(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    options = {"length": 300, "seed": 4, **options}
    assert asyncio.run(gathered(gen.astream(**options))) == list(gen.stream(**options))


def test_astreams_side_by_side_do_not_disturb_each_other(gen: lstmgen.Generator) -> None:
    async def main() -> Any:
        return await asyncio.gather(*(gathered(gen.astream(100, seed=seed)) for seed in range(20)))

    assert asyncio.run(main()) == [list(gen.stream(100, seed=seed)) for seed in range(20)]


def test_astream_checks_its_options_before_the_first_element(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match="temp: expected a number >= 0, found -1"):
        gen.astream(temp=-1)


def slow() -> lstmgen.Generator:
    """Milliseconds for an element."""
    return lstmgen.Generator(packed(network([("lstm", 512), ("dense", 11, "softmax")], window=200)))


def test_the_event_loop_runs_on_while_an_element_is_drawn() -> None:
    async def main() -> float:
        drawing = asyncio.create_task(gathered(slow().astream(100)))
        longest, last = 0.0, time.perf_counter()
        while not drawing.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        return longest

    began = time.perf_counter()
    longest = asyncio.run(main())
    assert longest < 0.3 * (time.perf_counter() - began)


@pytest.mark.parametrize(
    "options", [{"refresh": 1}, {"refresh": None, "prime": np.zeros(10**6, int)}], ids=["drawing", "reading"]
)
def test_a_cancelled_astream_stops(options: dict[str, Any]) -> None:
    gen = slow()

    async def main() -> None:
        task = asyncio.create_task(gathered(gen.astream(None, **options)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.perf_counter()
    asyncio.run(main())  # which waits for the executor's threads
    assert time.perf_counter() - began < 5


def test_a_closed_astream_ends(gen: lstmgen.Generator) -> None:
    async def main() -> list[str | int]:
        stream = gen.astream(None)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return await gathered(stream)

    assert asyncio.run(main()) == []


# -- instruction sets --------------------------------------------------------------------------------

DRAW = """
import json
import lstmgen
from support.networks import network, packed
gen = lstmgen.Generator(packed(dtype="{dtype}"))
draws = [gen.sample(300, seed=1, temp=0.8, refresh=r) for r in (1, 5, None)]
print(json.dumps([gen.model.isa, draws, gen.probabilities().tolist()]))
"""


@pytest.mark.parametrize("dtype", ["f32", "bf16", "int8"])
def test_each_instruction_set_gives_the_same_numbers(dtype: str) -> None:
    found = {}
    for isa in _core.supported_isas():
        run = run_python(DRAW.replace("{dtype}", dtype), LSTMGEN_ISA=isa)
        assert run.returncode == 0, run.stderr
        used, *rest = json.loads(run.stdout)
        assert used == isa
        found[isa] = rest
    assert all(rest == found["baseline"] for rest in found.values())


def test_an_unknown_instruction_set_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "quantum")
    with pytest.raises(ValueError, match=r"LSTMGEN_ISA: expected one of .*baseline, found 'quantum'"):
        lstmgen.Model(packed())


def test_no_name_is_the_best_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "")
    assert lstmgen.Model(packed()).isa == _core.supported_isas()[0]
