"""A million draws follow the exact distribution. A bias of one per cent would be noticed.

The seeds are fixed, so that no test fails by chance. A failure is a change of the sampler.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from support.networks import network, packed
from support.slow import slow_but

DRAWS = 1_000_000
Z = 3.719  # a normal number exceeds it with probability 1e-4
PROBABILITIES = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.07, 0.05, 0.03, 0.01, 0.009, 0.001])
LOGITS = np.log(PROBABILITIES).astype(np.float32)
TEMPERATURES = slow_but({2 / 3, 1.0}, [0.5, 2 / 3, 1.0, 2.0], "draws a million elements again")
SEEDS = [1, 2**63 + 5]


def constant(logits: NDArray[Any]) -> lstmgen.Generator:
    """Return a generator whose distribution is softmax(logits), whatever came before."""
    size = len(logits)
    arrays = {"dense_1.kernel": np.zeros((1, size)), "dense_1.bias": logits}
    of = network([("lstm", 1), ("dense", size, "softmax")], size, 1, arrays=arrays)
    return lstmgen.Generator(packed(of, vocabulary=None))


def drawn(gen: lstmgen.Generator, **options: Any) -> NDArray[np.uint32]:
    """Return a million ids after the first element."""
    return np.array(gen.sample(DRAWS, prime=[0], **options), np.uint32)


@cache
def draws(temp: float, seed: int, bias: float = 0.0) -> NDArray[np.uint32]:
    """Return a million ids. `bias` makes every second element likelier by this factor."""
    signs = np.where(np.arange(len(LOGITS)) % 2, 1, -1)
    logits = LOGITS + temp * np.log1p(bias * signs)
    return drawn(constant(logits), temp=temp, seed=seed, refresh=None)


def exact(temp: float) -> NDArray[np.float64]:
    p = np.exp(LOGITS.astype(np.float64) / temp)
    return np.asarray(p / p.sum())


def chi_square(counts: NDArray[Any], p: NDArray[np.float64]) -> float:
    expected = counts.sum() * p
    return float(((counts - expected) ** 2 / expected).sum())


def critical(freedom: int) -> float:
    """Return the number that chi-square exceeds with probability 1e-4.

    Source: Wilson and Hilferty, 1931.
    """
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + Z * math.sqrt(spread)) ** 3


def counted(ids: NDArray[np.uint32]) -> NDArray[np.int64]:
    return np.bincount(ids, minlength=len(LOGITS))


@pytest.mark.parametrize("freedom", [2, 10, 120])
def test_the_critical_value_is_exceeded_with_probability_1e_4(freedom: int) -> None:
    half = critical(freedom) / 2  # an even number of degrees of freedom has a closed form
    terms = [math.exp(k * math.log(half) - math.lgamma(k + 1) - half) for k in range(freedom // 2)]
    assert 0.5e-4 < sum(terms) < 1.1e-4


@pytest.mark.parametrize("seed", slow_but(SEEDS[:1], SEEDS, "draws a million elements again"))
@pytest.mark.parametrize("temp", TEMPERATURES)
def test_a_million_draws_follow_the_distribution(temp: float, seed: int) -> None:
    assert chi_square(counted(draws(temp, seed)), exact(temp)) < critical(len(LOGITS) - 1)


@pytest.mark.parametrize("temp", TEMPERATURES)
def test_a_bias_of_one_per_cent_would_be_seen(temp: float) -> None:
    found = chi_square(counted(draws(temp, SEEDS[0], bias=0.01)), exact(temp))
    assert found > critical(len(LOGITS) - 1)


@pytest.mark.parametrize("temp", TEMPERATURES)
def test_the_draws_are_not_too_good_either(temp: float) -> None:
    found = chi_square(counted(draws(temp, SEEDS[0])), exact(temp))
    assert found > 1.0  # with 10 degrees of freedom, it is less with probability 2e-4


@pytest.mark.parametrize("lag", [1, 2, 64])
def test_draws_do_not_depend_on_those_before(lag: int) -> None:
    size = len(LOGITS)
    ids = draws(2.0, SEEDS[0]).astype(np.int64)
    pairs = np.bincount(ids[:-lag] * size + ids[lag:], minlength=size * size)
    both = np.outer(exact(2.0), exact(2.0)).ravel()
    assert chi_square(pairs, both) < critical(size * size - 1)


def test_the_first_draws_of_successive_seeds_follow_the_distribution() -> None:
    gen = constant(LOGITS)
    ids = np.array([gen.sample(1, seed=seed, refresh=None) for seed in range(20_000)], np.uint32).ravel()
    assert chi_square(counted(ids), exact(1.0)) < critical(len(LOGITS) - 1)


def test_filtered_draws_follow_the_filtered_distribution() -> None:
    counts = counted(drawn(constant(LOGITS), temp=0.7, seed=3, top_k=4, refresh=None))
    kept = exact(0.7)[:4]
    assert counts[4:].sum() == 0
    assert chi_square(counts[:4], kept / kept.sum()) < critical(3)


def test_windows_draw_from_the_same_distribution() -> None:
    assert chi_square(counted(drawn(constant(LOGITS), seed=4)), exact(1.0)) < critical(len(LOGITS) - 1)
