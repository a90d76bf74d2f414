"""Samplers of one's own, log-probabilities, and the best of several samples."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import _core
from support.generators import LETTERS, N, nameless, run_python, tokens
from support.networks import packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


# -- samplers of one's own -------------------------------------------------------------------------


def no_neighbours(ids: Any, logits: Any) -> None:
    """Forbids the letters beside the last one."""
    last = int(ids[-1])
    logits[max(0, last - 1) : last + 2] = -np.inf


@pytest.mark.parametrize("refresh", [1, None])
def test_a_processor_sees_the_ids_and_changes_the_logits(gen: lstmgen.Generator, refresh: int | None) -> None:
    seen: list[list[int]] = []

    def look(ids: Any, logits: Any) -> None:
        assert ids.dtype == np.uint32
        assert (logits.dtype, logits.shape) == (np.float64, (N,))
        seen.append(ids.tolist())
        no_neighbours(ids, logits)

    text = "fa" + str(gen.sample(100, prime="fa", seed=1, logits_processor=look, refresh=refresh))
    assert all(abs(ord(a) - ord(b)) > 1 for a, b in itertools.pairwise(text[1:]))
    assert ["".join(LETTERS[i] for i in ids) for ids in seen] == [text[:n] for n in range(2, 102)]


def test_a_processor_goes_on_in_copies_and_pickles_and_can_be_taken_away(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(60, seed=1, logits_processor=no_neighbours))
    stream = gen.stream(seed=1, logits_processor=no_neighbours)
    assert stream.take(20) == whole[:20]
    for other in (stream.copy(), pickle.loads(pickle.dumps(stream))):
        assert other.logits_processor is no_neighbours
        assert other.take(40) == whole[20:]
    stream.logits_processor = None
    assert stream.logits_processor is None
    plain = gen.stream(seed=1, logits_processor=lambda _ids, logits: logits)
    assert plain.take(60) == gen.sample(60, seed=1)


def test_a_processor_that_fails_leaves_the_stream_as_it_was(gen: lstmgen.Generator) -> None:
    def fail(ids: Any, logits: Any) -> None:
        raise KeyError("mine")

    stream = gen.stream(seed=1)
    first = str(stream.take(10))
    stream.logits_processor = fail
    for work in (lambda: stream.take(3), stream.probabilities, lambda: next(stream)):
        with pytest.raises(KeyError, match="mine"):
            work()
    stream.logits_processor = lambda ids, logits: np.zeros(3)
    with pytest.raises(ValueError, match="logits_processor: expected None or 11 numbers as its result"):
        stream.take(1)
    stream.logits_processor = lambda ids, logits: stream.take(1)
    with pytest.raises(RuntimeError, match="in use"):
        stream.take(1)
    stream.logits_processor = None
    assert first + str(stream.take(20)) == gen.sample(30, seed=1)


def test_who_takes_no_processor_says_so(gen: lstmgen.Generator) -> None:
    with pytest.raises(lstmgen.OptionError, match="logits_processor: expected a function, found 5"):
        gen.sample(1, logits_processor=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'logits_processor'"):
        gen.sample_many(2, logits_processor=no_neighbours)  # type: ignore[call-arg]
    with pytest.raises(lstmgen.OptionError, match="best_of: expected no logits_processor beside it"):
        gen.sample(1, best_of=2, logits_processor=no_neighbours)


def test_draw_takes_the_random_numbers_of_the_stream(gen: lstmgen.Generator) -> None:
    stream = gen.stream(seed=4)
    text = "".join(str(stream.draw(stream.logits() / 0.7)) for _ in range(60))
    assert text == gen.sample(60, temp=0.7, seed=4)
    p = np.exp(stream.logits() - stream.logits().max())
    np.testing.assert_allclose(p / p.sum(), stream.probabilities(), rtol=1e-12)
    certain = np.full(N, -np.inf)
    certain[5] = -1000
    assert stream.draw(certain) == "f"
    assert stream.logprob == 0
    for wrong, said in [
        (np.zeros(3), r"expected the shape \(11,\), found \(3,\)"),
        (np.full(N, np.nan), "expected numbers below infinity, found nan"),
        (np.full(N, np.inf), "expected numbers below infinity, found inf"),
        (np.full(N, -np.inf), "no element can be drawn"),
    ]:
        with pytest.raises(ValueError, match=said):
            stream.draw(wrong)


# -- log-probabilities -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", [lambda: lstmgen.Generator(packed()), tokens, nameless])
def test_logprobs_are_those_of_what_could_have_been_drawn(model: Any) -> None:
    gen = model()
    prime = [0, 1]
    options: dict[str, Any] = {"seed": 3, "temp": 1.3, "top_k": 4, "prime": prime}
    stream, plain = gen.stream(logprobs=3, **options), gen.stream(**options)
    assert stream.logprobs == []
    drawn = list(stream.take(25))
    assert [one.element for one in stream.logprobs] == drawn
    names = gen.model.vocabulary.elements if gen.model.vocabulary else range(gen.model.outputs)
    for one in stream.logprobs:
        p = plain.probabilities()
        order = np.argsort(-p, kind="stable")[:3]
        assert [element for element, _ in one.likeliest] == [names[i] for i in order]
        np.testing.assert_allclose([log for _, log in one.likeliest], np.log(p[order]), rtol=1e-9, atol=1e-12)
        assert next(plain) == one.element
        assert plain.logprob == one.logprob
    next(stream)
    assert len(stream.logprobs) == 1


def test_logprobs_change_nothing_and_stop_where_the_text_does(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(200, seed=2, stop="ab"))
    stream = gen.stream(seed=2, stop="ab", logprobs=2)
    assert stream.take(200) == whole
    assert len(stream.logprobs) == len(whole)
    assert stream.take(50) == after(gen, whole)
    with pytest.raises(TypeError, match="logprobs: sample gives the elements alone"):
        gen.sample(5, logprobs=2)


def after(gen: lstmgen.Generator, whole: str) -> str:
    stream = gen.stream(seed=2, stop="ab")
    stream.take(len(whole))
    return str(stream.take(50))


# -- the best of several ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"temp": 2.0, "top_k": 5}, {"stop": "a"}, {"prime": "cab"}])
def test_best_of_is_the_likeliest_of_the_samples(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    prime = str(options.get("prime", "")) or gen.model.vocabulary.decode(gen.model.prime)  # type: ignore[union-attr]
    texts = [str(gen.sample(30, seed=5 + i, refresh=None, **options)) for i in range(6)]
    means = []
    for text in texts:
        logs = gen.log_probabilities(str(prime) + text, refresh=None)
        means.append(logs[-len(text) :].mean())
    found = gen.sample(30, seed=5, best_of=6, refresh=None, **options)
    assert found == texts[int(np.argmax(means))]
    assert gen.sample(30, seed=5, best_of=6, refresh=None, include_prime=True, **options) == f"{prime}{found}"
    assert gen.sample(0, best_of=3) == ""


def test_a_wide_beam_finds_the_likeliest_of_all(gen: lstmgen.Generator) -> None:
    length = 3
    best = max(
        ("".join(letters) for letters in itertools.product(LETTERS, repeat=length)),
        key=lambda text: gen.log_probabilities("fa" + text, refresh=None)[1:].sum(),
    )
    assert gen.sample(length, prime="fa", beam=N**length, refresh=None) == best
    assert gen.sample(length, prime="fa", beam=N**length, refresh=None, seed=9) == best


def test_a_beam_of_one_is_greedy(gen: lstmgen.Generator) -> None:
    for refresh in (1, 4, None):
        assert gen.sample(40, beam=1, refresh=refresh) == gen.sample(40, temp=0, refresh=refresh)
    assert gen.sample(40, beam=1, ban="a", dry_multiplier=3.0) == gen.sample(40, temp=0, ban="a", dry_multiplier=3.0)


def test_a_beam_is_at_least_as_likely_and_ends_with_a_stop_text(gen: lstmgen.Generator) -> None:
    def mean(text: str) -> float:
        return float(gen.log_probabilities("fa" + text, refresh=None)[1:].mean())

    found = {n: str(gen.sample(25, prime="fa", beam=n, refresh=None)) for n in (1, 16)}
    assert mean(found[16]) >= mean(found[1])
    stopped = str(gen.sample(25, prime="fa", beam=8, refresh=None, stop=["a", "cb"]))
    assert len(stopped) == 25 or stopped.endswith(("a", "cb"))
    assert gen.sample(0, beam=3) == ""
    assert gen.sample(5, prime="fa", beam=3, include_prime=True)[:2] == "fa"


def test_searches_exclude_what_makes_no_sense_with_them(gen: lstmgen.Generator) -> None:
    with pytest.raises(lstmgen.OptionError, match=r"expected one of .*best_of.*beam"):
        gen.sample(5, best_of=2, beam=2)
    wrong: dict[str, Any] = {"xtc_probability": 1, "mirostat": 2}
    for name, value in wrong.items():
        with pytest.raises(lstmgen.OptionError, match=f"{name}: expected 0 beside beam"):
            gen.sample(5, beam=2, **{name: value})
    searches: list[dict[str, Any]] = [{"best_of": 2}, {"beam": 2}]
    for options in searches:
        with pytest.raises(TypeError, match="a stream draws one element after the other: use sample"):
            gen.stream(**options)


# -- on every instruction set ----------------------------------------------------------------------

CODE = """
import sys, lstmgen
options = dict(
    temp=0.9, dynatemp_range=0.4, top_n_sigma=2.5, top_k=9, typical_p=0.97, top_p=0.97, min_p=0.01,
    xtc_probability=0.4, xtc_threshold=0.15, repeat_penalty=1.1, frequency_penalty=0.05, dry_multiplier=0.8,
    dry_allowed_length=1,
)
gen = lstmgen.Generator(sys.argv[1])
print(gen.sample(150, seed=3, **options), gen.sample(150, seed=3, mirostat=2, mirostat_tau=2))
print(gen.sample(30, beam=5), gen.sample(30, best_of=3, seed=1))
"""


def test_every_instruction_set_draws_the_same(tmp_path: Any) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(packed())
    found = {run_python(CODE, str(model), LSTMGEN_ISA=isa).stdout for isa in _core.supported_isas()}
    assert len(found) == 1
    assert len(found.pop()) > 300


def test_the_command_line_has_the_samplers(tmp_path: Any) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(packed())
    gen = lstmgen.Generator(model)
    for flags, options in [
        ("--dry-multiplier 0.8 --dry-sequence-breakers a --dry-sequence-breakers bc",
         {"dry_multiplier": 0.8, "dry_sequence_breakers": ["a", "bc"]}),
        ("--mirostat 2 --mirostat-tau 2", {"mirostat": 2, "mirostat_tau": 2}),
        ("--ban abc --frequency-penalty 0.5", {"ban": "abc", "frequency_penalty": 0.5}),
        ("--best-of 3", {"best_of": 3}),
        ("--beam 3", {"beam": 3}),
    ]:  # fmt: skip
        done = run_python(None, "-m", "lstmgen", "sample", str(model), "--length", "60", "--seed", "1", *flags.split())
        assert done.stdout == gen.sample(60, seed=1, **options), done.stderr  # type: ignore[arg-type]
