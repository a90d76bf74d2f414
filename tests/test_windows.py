"""Windows and carried state: distributions, the recurrence, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.network import reference
from support.generators import LETTERS, N, T, exact, ids_of
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


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
