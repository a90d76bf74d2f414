"""The filters of the sampler, compared with plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.network import reference
from support.generators import LETTERS, N, T, ids_of
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


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
    """Return what llama.cpp's chain of samplers does, in its order."""
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
