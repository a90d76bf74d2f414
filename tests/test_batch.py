"""A sequence of a `Batch` is what `sample` draws alone, whenever it and others join and leave."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstmgen
from support.networks import SIDE_BY_SIDE, network, packed
from support.slow import instruction_sets

LETTERS = "abcdefghijk"
GRAMMAR = 'root ::= ("a" | "b" "c"+ "d")+ "e"'


@pytest.fixture(params=SIDE_BY_SIDE, scope="module")
def model(request: pytest.FixtureRequest) -> lstmgen.Model:
    which, encoding = SIDE_BY_SIDE[request.param]
    return lstmgen.Model(packed(which, encoding=encoding))


def finish(batch: lstmgen.Batch) -> None:
    while batch:
        batch.advance(3)


OPTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"length": st.integers(0, 30), "seed": st.integers(0, 9)},
    optional={
        "temp": st.sampled_from([0, 0.5, 1.3]),
        "prime": st.text(LETTERS, min_size=1, max_size=40),
        "refresh": st.sampled_from([1, 4, 50, None]),
        "stop": st.sampled_from(["a", ["bc", "f"]]),
        "dry_multiplier": st.just(2.0),
        "dry_allowed_length": st.just(1),
        "repeat_penalty": st.just(1.3),
        "mirostat": st.just(2),
        "top_p": st.just(0.7),
        "ban": st.just("c"),
    },
)
# Who joins, how many steps follow, and which of those so far leaves then.
EVENTS = st.tuples(OPTIONS, st.integers(1, 9), st.none() | st.integers(0, 11))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(EVENTS, min_size=1, max_size=12), threads=st.sampled_from([1, 3]))
def test_sequences_join_and_leave_at_any_element(model: lstmgen.Model, events: list[Any], threads: int) -> None:
    gen, batch = lstmgen.Generator(model), lstmgen.Batch(model, most=4, threads=threads)
    found: list[tuple[Any, dict[str, Any]]] = []
    for told, steps, leaver in events:
        if model.whole:
            told.pop("refresh", None)
        if len(batch) < 4:
            found.append((batch.join(**told), told))
        batch.advance(steps)
        if leaver is not None:
            found[leaver % len(found)][0].leave()
    finish(batch)
    for sequence, told in found:
        text, alone = sequence.take(), gen.sample(**told)
        assert alone[: len(text)] == text
        assert sequence.ending == "left" or len(text) == len(alone)
        if sequence.ending != "left":
            assert sequence.ending == ("stop" if len(text) < told["length"] else sequence.ending)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds=st.lists(st.tuples(st.integers(0, 99), st.booleans(), st.integers(0, 5)), min_size=1, max_size=9))
def test_sequences_with_a_grammar_share_what_it_has_learnt(seeds: list[tuple[int, bool, int]]) -> None:
    gen = lstmgen.Generator(packed())
    batch = lstmgen.Batch(gen.model)
    found = []
    for seed, whole, steps in seeds:
        told: dict[str, Any] = {"grammar": GRAMMAR, "seed": seed, "finish": whole, "length": 12}
        if seed % 3 == 0:
            told["prime"] = "abccd"
        if seed % 4 == 0:
            told["grammar"] = None
        found.append((batch.join(**told), told))
        batch.advance(steps + 1)
    finish(batch)
    assert [sequence.take() for sequence, _ in found] == [gen.sample(**told) for _, told in found]
    assert {sequence.ending for sequence, told in found if told["grammar"] and told["finish"]} <= {"grammar"}


@pytest.mark.parametrize("dtype", ["f32", "bf16", "int8"])
@pytest.mark.parametrize("isa", instruction_sets())
def test_all_dtypes_on_all_instruction_sets(dtype: Any, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", isa)
    gen = lstmgen.Generator(packed(network([("lstm", 70), ("gru", 33), ("dense", 11, "softmax")])), dtype=dtype)
    batch = lstmgen.Batch(gen.model)
    found = []
    for seed in range(37):
        found.append(batch.join(20, seed=seed, refresh=None if seed % 5 else 1))
        batch.advance()
    finish(batch)
    assert [one.take() for one in found] == [
        gen.sample(20, seed=seed, refresh=None if seed % 5 else 1) for seed in range(37)
    ]


def test_logprobs_are_those_of_a_stream(model: lstmgen.Model) -> None:
    stream = lstmgen.Generator(model).stream(seed=3, logprobs=4, top_k=6)
    stream.take(20)
    batch = lstmgen.Batch(model)
    batch.join(20, seed=9)
    sequence, alone = batch.join(20, seed=3, logprobs=4, top_k=6), batch.join(20, seed=3, logprobs=0, top_k=6)
    finish(batch)
    assert sequence.take_logprobs() == stream.logprobs
    assert alone.take_logprobs() == [found._replace(likeliest=[]) for found in stream.logprobs]
    assert sequence.take_logprobs() == []


def test_the_score_is_that_of_sample_many(model: lstmgen.Model) -> None:
    rows = lstmgen.Generator(model).sample_rows(3, 20, 0.7, seed=5, scores=True)
    batch = lstmgen.Batch(model)
    found = [batch.join(20, 0.7, seed=row.seed, scored=True) for row in rows]
    finish(batch)
    assert [sequence.score for sequence in found] == [row.log_probability for row in rows]


def test_a_long_prime_does_not_stop_the_others() -> None:
    model = lstmgen.Model(packed())
    batch = lstmgen.Batch(model)
    running = [batch.join(None, seed=seed, refresh=None) for seed in range(8)]
    batch.advance(50)
    newcomer = batch.join(5, prime="abc" * 3_000, seed=1, refresh=None)
    before = [sequence.drawn for sequence in running]
    steps = 0
    while newcomer.drawn == 0:
        batch.advance()
        steps += 1
    assert [sequence.drawn for sequence in running] == [drawn + steps for drawn in before]
    for sequence in running:
        sequence.leave()
    finish(batch)
    assert newcomer.take() == lstmgen.Generator(model).sample(5, prime="abc" * 3_000, seed=1, refresh=None)


def test_an_element_that_cannot_stand_in_the_grammar_ends_one_sequence_alone() -> None:
    batch = lstmgen.Batch(packed())
    other = batch.join(10, seed=1)
    wrong = batch.join(10, prime="a" * 5000 + "k", grammar=GRAMMAR)
    short = batch.join(1, prime="bc", grammar=GRAMMAR)
    finish(batch)
    assert wrong.ending == short.ending == "error"
    assert "'k' at position 5000 cannot stand there" in wrong.error
    assert "as the shortest text of the grammar has" in short.error
    assert other.take() == lstmgen.Generator(packed()).sample(10, seed=1)


def test_a_window_that_is_too_short_ends_one_sequence_alone() -> None:
    model = lstmgen.Model(packed(network([("lstm", 9), ("reshape", 0, 108), ("dense", 11, "softmax")], sequences=True)))
    batch = lstmgen.Batch(model)
    wrong, other = batch.join(5, prime="abc"), batch.join(5, seed=2)
    finish(batch)
    assert wrong.ending == "error"
    assert "the context: expected at least 12 elements, since the model has no padding, found 3" in wrong.error
    assert other.take() == lstmgen.Generator(model).sample(5, seed=2)


def test_bytes_become_text() -> None:
    letters = ["<0x61>", "<0xC3>", *(f"<0x{i:02X}>" for i in range(0xA0, 0xA9))]
    gen = lstmgen.Generator(packed(vocabulary=letters, vocabulary_kind="bytes"))
    batch = lstmgen.Batch(gen.model)
    sequence = batch.join(40, seed=1)
    text = ""
    while batch:
        batch.advance()
        text += str(sequence.take())
    assert text == gen.sample(40, seed=1)


def test_what_a_batch_does_not_take() -> None:
    batch = lstmgen.Batch(packed(), most=1)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"logits_processor": print}, "logits_processor: not in a batch"),
        ({"beam": 2}, "beam: not in a batch"),
        ({"best_of": 2}, "best_of: not in a batch"),
        ({"include_prime": True}, "include_prime: not in a batch"),
    ]
    for told, message in refused:
        with pytest.raises(TypeError, match=message):
            batch.join(**told)
    with pytest.raises(ValueError, match=r"'z' .* is not in the vocabulary"):
        batch.join(prime="z")
    with pytest.raises(ValueError, match="top_p: expected a number"):
        batch.join(top_p=2)
    assert len(batch) == 0
    batch.join()
    with pytest.raises(ValueError, match="the batch is full: it has 1 sequences"):
        batch.join()
    with pytest.raises(lstmgen.OptionError, match="most: expected at most 4096"):
        lstmgen.Batch(packed(), most=5000)


def test_a_second_thread_is_refused() -> None:
    batch = lstmgen.Batch(packed())
    batch.join(None, prime="a")
    batch.advance(20)

    def work() -> None:
        while True:
            with contextlib.suppress(RuntimeError):  # the main thread was there first
                batch.advance(10**9, seconds=0.5)
                return

    worker = threading.Thread(target=work)
    worker.start()
    with pytest.raises(RuntimeError, match="the batch is in use: by another thread"):
        while worker.is_alive():
            batch.advance()
    worker.join()


def test_a_sequence_that_rests_goes_on_from_where_it_was(model: lstmgen.Model) -> None:
    gen, batch = lstmgen.Generator(model), lstmgen.Batch(model)
    for refresh in (1,) if model.whole else (1, None):
        found = [batch.join(30, seed=seed, refresh=refresh) for seed in range(6)]
        with pytest.raises(ValueError, match="does not draw"):
            found[0].pause()
        while found[5].drawn == 0:
            batch.advance()
        drawn = found[2].drawn
        found[2].pause()
        found[2].pause()
        found[4].pause()
        batch.advance(5)
        assert found[2].drawn == drawn
        found[4].leave()
        while found[0].ending is None:
            batch.advance(2**40)  # it ends, since what is left rests
        assert batch.advance(2**40) == []
        found[2].resume()
        finish(batch)
        assert [one.take() for one in found if one is not found[4]] == [
            gen.sample(30, seed=seed, refresh=refresh) for seed in range(6) if seed != 4
        ]


def test_many_more_sequences_than_lanes_come_and_go() -> None:
    gen = lstmgen.Generator(packed())
    batch = lstmgen.Batch(gen.model, most=5)
    rng = np.random.default_rng(1)
    left, found = list(range(200)), []
    while left or batch:
        while left and len(batch) < 5:
            seed = left.pop()
            found.append((batch.join(seed % 17, seed=seed, refresh=None), seed))
        batch.advance(int(rng.integers(1, 4)))
    assert [one.take() for one, _ in found] == [gen.sample(seed % 17, seed=seed, refresh=None) for _, seed in found]
