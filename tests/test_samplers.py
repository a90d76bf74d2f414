"""Every step of the sampler against a plain numpy statement of its definition, on random logits."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core
from support.generators import LETTERS
from support.networks import network, packed

Array = NDArray[np.float64]
N = len(LETTERS)
quick = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@functools.cache
def gen(n: int = N) -> lstmgen.Generator:
    """A generator whose logits the tests replace by their own."""
    of = network([("simple_rnn", 3), ("dense", n, "softmax")], inputs=n)
    vocabulary = [chr(97 + i) for i in range(n)] if n <= 26 else None
    return lstmgen.Generator(packed(of, vocabulary=vocabulary, prime=[0]))


def stream_of(logits: Any, prime: str = "a", **options: Any) -> lstmgen.Stream:
    """A stream whose next element has these logits."""

    def replace(_ids: Any, found: Array) -> None:
        found[:] = logits

    return gen(len(logits)).stream(prime=prime, refresh=None, logits_processor=replace, **{"seed": 1, **options})


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    return np.asarray(e / e.sum(), np.float64)


# -- the definitions -------------------------------------------------------------------------------
# Each takes logits, with -inf for what is dropped, and gives others. Of equal elements the lower
# ids go first.


def keep(logits: Array, ids: Any) -> Array:
    kept = np.full(len(logits), -np.inf)
    kept[ids] = logits[ids]
    return kept


def top_n_sigma(logits: Array, n: float) -> Array:
    finite = logits[logits > -np.inf]
    return np.where(logits >= logits.max() - n * finite.std(), logits, -np.inf)


def top_k(logits: Array, k: int) -> Array:
    return keep(logits, np.argsort(-logits, kind="stable")[:k])


def typical_p(logits: Array, p: float) -> Array:
    q = softmax(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(q)
        entropy = np.nansum(q * surprise)
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    return keep(logits, order[: int((np.cumsum(q[order]) <= p).sum()) + 1])


def top_p(logits: Array, p: float) -> Array:
    q = softmax(logits)
    order = np.argsort(-logits, kind="stable")
    return keep(logits, order[: int((np.cumsum(q[order]) < p).sum()) + 1])


def min_p(logits: Array, p: float) -> Array:
    q = softmax(logits)
    return np.where(q >= p * q.max(), logits, -np.inf)


def xtc(logits: Array, threshold: float) -> Array:
    q = softmax(logits)
    order = np.argsort(-logits, kind="stable")
    choices = [i for i in order if q[i] >= threshold]
    out = logits.copy()
    out[choices[:-1]] = -np.inf
    return out


def dynatemp(logits: Array, temp: float, spread: float, exponent: float) -> float:
    q = softmax(logits)
    q = q[logits > -np.inf]
    if len(q) < 2:
        return temp
    part = -sum(x * math.log(x) for x in q if x > 0) / math.log(len(q))
    low, high = max(0.0, temp - spread), temp + spread
    return float(low + (high - low) * part**exponent)


def penalties(logits: Array, ids: list[int], last: int, repeat: float, frequency: float, presence: float) -> Array:
    out = logits.copy()
    ids = ids[-last:] if last else []
    for i in set(ids):
        out[i] = out[i] / repeat if out[i] > 0 else out[i] * repeat
        out[i] -= ids.count(i) * frequency + presence
    return out


def dry(
    logits: Array, ids: list[int], multiplier: float, base: float, allowed: int, last: int, breakers: list[list[int]]
) -> Array:
    """By trying all lengths at all places."""
    ids = ids[-last:] if last else []
    limit = len(ids)
    for start in reversed(range(len(ids))):
        found = [len(b) for b in breakers if ids[start : start + len(b)] == b]
        if found:
            limit = len(ids) - start - max(found)
            break
    out = logits.copy()
    longest: dict[int, int] = {}
    for end in range(1, len(ids)):  # ids[end] follows a repetition that ends before it
        length = 0
        while length < min(end, limit) and ids[end - 1 - length] == ids[-1 - length]:
            length += 1
        if length >= allowed:
            longest[ids[end]] = max(length, longest.get(ids[end], 0))
    for i, length in longest.items():
        if [i] not in breakers:
            out[i] -= multiplier * base ** (length - allowed)
    return out


def check(logits: Array, want: Array, at: float = 1.0, prime: str = "a", **options: Any) -> None:
    """The distribution with these options is that of the logits `want` at the temperature `at`."""
    found = stream_of(logits, prime, **options).probabilities()
    expected = softmax(want / at) if at > 0 else np.eye(len(logits))[int(np.argmax(want))]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


some_logits = (
    st.lists(
        st.integers(-24000, 24000).map(lambda x: x / 4096)  # what differs, differs by more than rounding
        | st.sampled_from([-1.0, 0.0, 0.5, 2.0])  # ties
        | st.sampled_from([-np.inf, -700.0]),
        min_size=N,
        max_size=N,
    )
    .map(np.array)
    .filter(lambda x: x.max() > -np.inf)
)
part = st.floats(0.013, 0.987)
texts = st.text(LETTERS[:3], min_size=1, max_size=40) | st.text(LETTERS, min_size=1, max_size=80)


def far_from_a_border(logits: Array, masses: Any, p: float) -> bool:
    """Whether rounding cannot decide."""
    return bool(np.abs(np.asarray(masses) - p).min() > 1e-9)


@quick
@given(some_logits, st.floats(0.01, 4))
def test_top_n_sigma(logits: Array, n: float) -> None:
    finite = logits[logits > -np.inf]
    if far_from_a_border(logits, finite.max() - n * finite.std() - finite, 0):
        check(logits, top_n_sigma(logits, n), top_n_sigma=n)


@quick
@given(some_logits, st.integers(1, 2 * N))
def test_top_k(logits: Array, k: int) -> None:
    check(logits, top_k(logits, k), top_k=k)


@quick
@given(some_logits, part)
def test_typical_p(logits: Array, p: float) -> None:
    q = softmax(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.abs(-np.log(q) - np.nansum(-q * np.log(q)))
    order = np.argsort(scores, kind="stable")
    # Scores of different elements that are equal but for rounding have no order.
    gaps = [abs(scores[i] - scores[j]) for i in range(N) for j in range(i) if logits[i] != logits[j] and q[i] * q[j]]
    if far_from_a_border(logits, np.cumsum(q[order]), p) and min(gaps, default=1) > 1e-9:
        check(logits, typical_p(logits, p), typical_p=p)


@quick
@given(some_logits, part)
def test_top_p(logits: Array, p: float) -> None:
    if far_from_a_border(logits, np.cumsum(-np.sort(-softmax(logits))), p):
        check(logits, top_p(logits, p), top_p=p)


@quick
@given(some_logits, part)
def test_min_p(logits: Array, p: float) -> None:
    q = softmax(logits)
    if far_from_a_border(logits, q / q.max(), p):
        check(logits, min_p(logits, p), min_p=p)


@quick
@given(some_logits, st.floats(0.013, 0.5))
def test_xtc(logits: Array, threshold: float) -> None:
    if far_from_a_border(logits, softmax(logits), threshold):
        check(logits, xtc(logits, threshold), xtc_probability=1, xtc_threshold=threshold)
        check(logits, logits, xtc_probability=0, xtc_threshold=threshold)
        check(logits, logits, xtc_probability=1, xtc_threshold=0.51)


@quick
@given(some_logits, st.floats(0.1, 2), st.floats(0.01, 3), st.floats(0, 3))
def test_dynamic_temperature(logits: Array, temp: float, spread: float, exponent: float) -> None:
    want = dynatemp(logits, temp, spread, exponent)
    if want > 1e-3:
        check(logits, logits, want, temp=temp, dynatemp_range=spread, dynatemp_exponent=exponent)


@quick
@given(some_logits, texts, st.integers(0, 90), st.floats(0.2, 3), st.floats(-2, 2), st.floats(-2, 2))
def test_penalties(logits: Array, text: str, last: int, repeat: float, frequency: float, presence: float) -> None:
    want = penalties(logits, [LETTERS.index(c) for c in text], last, repeat, frequency, presence)
    check(
        logits, want, prime=text, repeat_last_n=last, repeat_penalty=repeat, frequency_penalty=frequency,
        presence_penalty=presence,
    )  # fmt: skip


breakers = st.lists(st.text(LETTERS[:4], min_size=1, max_size=3), max_size=3)


@quick
@given(some_logits, texts, st.floats(0.1, 2), st.floats(1, 2), st.integers(1, 4), st.integers(0, 90), breakers)
def test_dry(
    logits: Array, text: str, multiplier: float, base: float, allowed: int, last: int, broken: list[str]
) -> None:
    ids = [[LETTERS.index(c) for c in t] for t in (text, *broken)]
    want = dry(logits, ids[0], multiplier, base, allowed, last, ids[1:])
    check(
        logits, want, prime=text, dry_multiplier=multiplier, dry_base=base, dry_allowed_length=allowed,
        dry_penalty_last_n=last, dry_sequence_breakers=broken,
    )  # fmt: skip


@quick
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(100, 9000), st.integers(1, 4096))
def test_dry_and_penalties_look_back_through_a_long_text(seed: int, letters: int, length: int, last: int) -> None:
    """Longer than what is remembered, and turned on late."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, letters, length)
    ids[-length // 3 :] = ids[: len(ids[-length // 3 :])]  # a long repetition
    logits = rng.normal(size=N)
    options: dict[str, Any] = {"dry_multiplier": 0.01, "dry_base": 1.001, "dry_penalty_last_n": last}
    options |= {"frequency_penalty": 0.001, "repeat_last_n": last, "dry_sequence_breakers": []}
    at = int(rng.integers(0, length))
    stream = stream_of(logits)
    stream.feed(ids[:at].tolist())
    stream.update(**options)
    stream.feed(ids[at:].tolist())
    want = penalties(logits, [0, *ids.tolist()], last, 1.0, 0.001, 0.0)
    out = want.copy()
    text = np.array([0, *ids])[-last:]
    reverse = text[::-1]
    lengths = np.zeros(letters, int)
    left = right = 0
    z = np.zeros(len(text), int)
    for k in range(1, len(text)):
        n = min(right - k, z[k - left]) if k < right else 0
        while k + n < len(text) and reverse[n] == reverse[k + n]:
            n += 1
        z[k], (left, right) = n, (k, k + n) if k + n > right else (left, right)
        lengths[reverse[k - 1]] = max(lengths[reverse[k - 1]], n)
    for i in range(letters):
        if lengths[i] >= 2:
            out[i] -= 0.01 * 1.001 ** (lengths[i] - 2)
    np.testing.assert_allclose(stream.probabilities(), softmax(out), rtol=1e-9)


@quick
@given(st.lists(some_logits, min_size=1, max_size=12), st.floats(0, 6), st.floats(0, 1), st.floats(0.3, 2))
def test_mirostat(steps: list[Array], tau: float, eta: float, temp: float) -> None:
    mu = 2 * tau
    drawn: list[int] = []

    def replace(_ids: Any, found: Array) -> None:
        found[:] = steps[len(drawn)]

    stream = gen().stream(
        seed=1, refresh=None, logits_processor=replace, temp=temp, mirostat=2, mirostat_tau=tau, mirostat_eta=eta
    )
    for logits in steps:
        q = softmax(logits / temp)
        with np.errstate(divide="ignore"):
            surprise = -np.log2(q)
        if np.abs(surprise[q > 0] - mu).min() < 1e-9:
            return
        allowed = (surprise <= mu) & (logits > -np.inf)
        allowed[int(np.argmax(logits))] = True
        want = np.where(allowed, q, 0) / q[allowed].sum()
        np.testing.assert_allclose(stream.probabilities(), want, rtol=1e-9, atol=1e-15)
        drawn.append(LETTERS.index(str(next(stream))))
        mu -= eta * (-math.log2(want[drawn[-1]]) - tau)


@quick
@given(some_logits, texts)
def test_the_steps_have_the_order_of_llama_cpp(logits: Array, text: str) -> None:
    ids = [LETTERS.index(c) for c in text]
    out = logits.copy()
    out[1] += 0.75
    out[[0, 4]] = -np.inf
    if out.max() == -np.inf:
        return
    out = penalties(out, ids, 20, 1.2, 0.11, 0.13)
    out = dry(out, ids, 0.7, 1.3, 1, 50, [[2]])
    out = top_p(typical_p(top_k(top_n_sigma(out, 1.71), 7), 0.91), 0.87)
    out = xtc(min_p(out, 0.07), 0.07)
    temp = dynatemp(out, 0.8, 0.3, 1.5)
    check(
        logits, out, temp, prime=text, logit_bias={"b": 0.75}, ban="a", allow="abcdfghijk", repeat_penalty=1.2,
        frequency_penalty=0.11, presence_penalty=0.13, repeat_last_n=20, dry_multiplier=0.7, dry_base=1.3,
        dry_allowed_length=1, dry_penalty_last_n=50, dry_sequence_breakers="c", top_n_sigma=1.71, top_k=7,
        typical_p=0.91, top_p=0.87, min_p=0.07, xtc_probability=1, xtc_threshold=0.07, temp=0.8, dynatemp_range=0.3,
        dynatemp_exponent=1.5,
    )  # fmt: skip


# -- borders ---------------------------------------------------------------------------------------

FILTERS: list[dict[str, Any]] = [
    {"top_k": 50}, {"top_p": 0.5}, {"min_p": 1.0}, {"typical_p": 0.1}, {"top_n_sigma": 1e-9}, {"mirostat": 2},
    {"xtc_probability": 1, "xtc_threshold": 0}, {"dynatemp_range": 5}, {"dry_multiplier": 9}, {"presence_penalty": 3},
]  # fmt: skip


@pytest.mark.parametrize("options", FILTERS)
def test_one_class_is_always_drawn(options: dict[str, Any]) -> None:
    """The only one that there is, and the only one that is left."""
    for logits in ([0.3], [-np.inf] * 4 + [2.0]):
        stream = stream_of(np.array(logits), **options)
        assert stream.probabilities().tolist() == [float(x > -np.inf) for x in logits]
        assert len(stream.take(5)) == 5


@pytest.mark.parametrize("options", FILTERS)
def test_of_equal_elements_the_first_stay(options: dict[str, Any]) -> None:
    left = np.flatnonzero(stream_of(np.full(N, 0.5), prime="k", **options).probabilities())
    if "xtc_probability" in options:
        assert left.tolist() == [N - 1]
    else:
        assert left.tolist() == [*range(len(left))]


def test_nan_of_a_processor_is_refused() -> None:
    with pytest.raises(ValueError, match="the logits processor: expected numbers, found NaN for the element 3"):
        stream_of([0, 0, 0, np.nan, *[0.0] * 7]).take(1)


# -- random numbers --------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "temp": 0.9, "dynatemp_range": 0.4, "dynatemp_exponent": 1.2, "top_n_sigma": 2.5, "top_k": 9, "typical_p": 0.97,
    "top_p": 0.97, "min_p": 0.01, "xtc_probability": 0.4, "xtc_threshold": 0.15, "repeat_penalty": 1.1,
    "frequency_penalty": 0.05, "presence_penalty": 0.05, "repeat_last_n": 40, "dry_multiplier": 0.8,
    "dry_allowed_length": 1, "dry_sequence_breakers": ["a", "bc"], "logit_bias": {"b": 0.5}, "ban": "k",
    "allow": "abcdefghik",
}  # fmt: skip


def test_xtc_takes_one_number_before_that_of_the_draw() -> None:
    logits = np.linspace(0, 1, N)
    plain = [stream_of(logits, seed=5).take(400), stream_of(logits, seed=5, xtc_probability=1e-12).take(200)]
    assert plain[1] == str(plain[0])[1::2]  # each second number draws


def test_looking_does_not_change_what_xtc_does() -> None:
    draw = lstmgen.Generator(packed())
    whole = draw.sample(60, seed=3, **EVERYTHING)
    stream = draw.stream(None, seed=3, **EVERYTHING)
    text = ""
    for _ in range(60):
        p = stream.probabilities()
        stream.top_k = 9
        assert (stream.probabilities() == p).all()
        text += str(next(stream))
    assert text == whole


@pytest.mark.parametrize("more", [{}, {"mirostat": 2, "mirostat_tau": 2.0}])
@pytest.mark.parametrize("refresh", [1, 5, None])
def test_with_everything_on_a_seed_gives_the_same_text_everywhere(refresh: int | None, more: dict[str, Any]) -> None:
    options = {**EVERYTHING, **more}
    draw = lstmgen.Generator(packed())
    whole = str(draw.sample(200, seed=7, refresh=refresh, **options))
    assert "k" not in whole
    assert draw.sample_many(3, 200, seed=5, refresh=refresh, **options)[2] == whole
    assert lstmgen.Generator(packed(), threads=3).sample(200, seed=7, refresh=refresh, **options) == whole
    stream = draw.stream(seed=7, refresh=refresh, **options)
    text = ""
    for _ in range(20):
        text += str(stream.take(5))
        stream = draw.stream(state=stream.save_state()) if len(text) % 2 else stream.copy()
        text += str(stream.take(5))
    assert text == whole


def test_off_is_what_it_was() -> None:
    draw = lstmgen.Generator(packed())
    off: dict[str, Any] = {
        "typical_p": 1.0, "top_n_sigma": 0, "xtc_probability": 0, "xtc_threshold": 0.2, "dry_multiplier": 0,
        "dry_base": 3, "frequency_penalty": 0, "presence_penalty": 0, "repeat_last_n": 0, "mirostat": 0,
        "mirostat_tau": 1, "dynatemp_range": 0, "dynatemp_exponent": 0, "ban": "", "allow": LETTERS,
    }  # fmt: skip
    assert draw.sample(200, seed=1, **off) == draw.sample(200, seed=1)


# -- lists -----------------------------------------------------------------------------------------


def test_ban_and_allow() -> None:
    draw = lstmgen.Generator(packed())
    assert set(str(draw.sample(300, seed=1, allow="abc"))) == {*"abc"}
    assert set(str(draw.sample(300, seed=1, allow=[0, "b", "c", "c"], ban=["b"]))) == {*"ac"}
    with pytest.raises(lstmgen.OptionError, match="allow: expected at least one element"):
        draw.sample(1, allow="")
    with pytest.raises(ValueError, match="no element can be drawn"):
        draw.sample(1, allow="a", ban="a")
    with pytest.raises(ValueError, match=r"'z' .* is not in the vocabulary"):
        draw.sample(1, ban="z")
    stream = draw.stream(ban="ba", dry_sequence_breakers=["ab", "c"])
    assert (stream.ban, stream.allow, stream.dry_sequence_breakers) == (["a", "b"], None, ["ab", "c"])
    stream.ban = None
    assert stream.ban is None


def test_the_limits_of_the_lists() -> None:
    native = lstmgen.Generator(packed()).model._native
    for name, value, said in [
        ("ban", [0] * 12, "ban: expected at most 11 ids, found 12"),
        ("allow", [11], "allow: expected ids of the vocabulary, found 11"),
        ("dry_sequence_breakers", [1] * 1025, "dry_sequence_breakers: expected at most 1024 ids, found 1025"),
        ("mirostat", 1, "mirostat: expected 0 or 2, found 1"),
        ("repeat_last_n", 4097, r"repeat_last_n: expected a number in \[0, 4096\], found 4097"),
    ]:
        with pytest.raises(ValueError, match=said):
            _core.Generator(native, {name: value}, refresh=1, threads=1)


def test_minus_1_looks_back_as_far_as_possible() -> None:
    assert gen().stream(dry_penalty_last_n=-1, repeat_last_n=-1).repeat_last_n == 4096
