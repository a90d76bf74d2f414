"""A `Stream` is a running sample that is taken from, changed, fed, copied and continued."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstmgen
from lstmgen import _core
from support.generators import LETTERS, tokens
from support.networks import packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


# -- iterating -------------------------------------------------------------------------------------


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
    del stream["state"], stream["logprobs"], sample["best_of"], sample["beam"]  # of one of them alone
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


# -- taking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temp": 0.5, "top_k": 4, "refresh": None},
        {"include_prime": True, "prime": "cab"},
        {"stop": ["ab", "c"]},
        {"repeat_penalty": 1.3, "logit_bias": {"a": 2.0}, "refresh": 5},
    ],
)
def test_sample_is_what_is_taken_from_a_stream(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    assert gen.stream(seed=4, **options).take(60) == gen.sample(60, seed=4, **options)


@pytest.mark.parametrize("refresh", [1, 3, None])
def test_pieces_of_any_size_are_one_sample(gen: lstmgen.Generator, refresh: int | None) -> None:
    stream = gen.stream(seed=4, refresh=refresh)
    text = str(stream.take(7)) + str(next(stream)) + str(stream.take(0)) + "".join(map(str, islice(stream, 5)))
    assert text + str(stream.take(40)) == gen.sample(53, seed=4, refresh=refresh)


def test_take_gives_elements_of_a_token_model_and_ids_without_a_vocabulary() -> None:
    assert tokens().stream(seed=1).take(9) == tokens().sample(9, seed=1)
    nameless = lstmgen.Generator(packed(vocabulary=None))
    assert nameless.stream(seed=1).take(9) == nameless.sample(9, seed=1)


def test_the_iteration_ends_after_length_and_take_goes_on(gen: lstmgen.Generator) -> None:
    stream = gen.stream(10, seed=4)
    assert len(list(stream)) == 10
    assert list(stream) == []
    assert stream.take(20) == str(gen.sample(30, seed=4))[10:]
    assert list(stream) == []


def test_what_is_taken_counts_for_the_length_of_the_iteration(gen: lstmgen.Generator) -> None:
    stream = gen.stream(10, seed=4)
    stream.take(7)
    assert len(list(stream)) == 3


def test_length_may_change(gen: lstmgen.Generator) -> None:
    stream = gen.stream(5)
    assert len(list(stream)) == 5
    stream.length = 8
    assert len(list(stream)) == 3
    stream.length = None
    assert len(list(islice(stream, 2000))) == 2000


def test_the_prime_comes_first_in_whatever_is_asked_for_first(gen: lstmgen.Generator) -> None:
    stream = gen.stream(prime="cab", include_prime=True, seed=1)
    assert next(stream) == "c"
    first = str(stream.take(4))
    assert first.startswith("ab")
    assert first[2:] == gen.sample(4, prime="cab", seed=1)
    assert len(stream.take(4)) == 4


@pytest.mark.parametrize("n", [-1, 1.5, True, None, "7"])
def test_a_wrong_number_to_take_is_a_clear_error(gen: lstmgen.Generator, n: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="n: expected"):
        gen.stream().take(n)


# -- stop ------------------------------------------------------------------------------------------


def test_a_stop_may_be_spread_over_calls(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stop = whole[40:44]
    end = whole.index(stop) + 4
    for size in (1, 2, 3, 5, 7):
        stream = gen.stream(seed=1, stop=stop)
        text = ""
        while not text.endswith(stop):
            text += str(stream.take(size))
        assert text == whole[:end]


def test_a_stop_may_be_spread_over_the_iteration_and_take(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stop = whole[40:44]
    end = whole.index(stop) + 4
    stream = gen.stream(seed=1, stop=stop)
    text = "".join(map(str, islice(stream, end - 2)))
    assert text + str(stream.take(100)) == whole[:end]


def test_after_a_stop_the_iteration_is_over_and_take_goes_on(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(2000, seed=1))
    stream = gen.stream(None, seed=1, stop="fd")
    text = "".join(map(str, stream))
    assert text.endswith("fd")
    assert list(stream) == []
    while len(text) < 1000:
        piece = str(stream.take(10_000))
        assert piece.endswith("fd")
        assert piece.count("fd") == 1
        text += piece
    assert text == whole[: len(text)]
    assert list(stream) == []


def test_a_stop_does_not_overlap_the_one_before() -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(logit_bias={"a": 1e6}, stop="aa")
    assert [stream.take(9) for _ in range(3)] == ["aa"] * 3


def test_neither_the_prime_nor_what_is_fed_is_part_of_a_stop(gen: lstmgen.Generator) -> None:
    stream = gen.stream(prime="a", stop="aa", logit_bias={"a": 1e6})
    assert stream.take(1) == "a"
    stream.feed("a")
    assert stream.take(9) == "aa"


def test_stop_may_change(gen: lstmgen.Generator) -> None:
    stream = gen.stream(logit_bias={"a": 1e6})
    assert stream.take(3) == "aaa"
    stream.stop = ["aaaa", "b"]
    assert stream.stop == ["aaaa", "b"]
    assert stream.take(9) == "aaaa"
    stream.stop = None
    assert stream.take(9) == "a" * 9


# -- options that change ---------------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [
    {"temp": 0.3},
    {"temperature": 2.0},
    {"inverse_temp": 4.0},
    {"temp": 0},
    {"top_k": 2},
    {"top_p": 0.4},
    {"min_p": 0.3},
    {"repeat_penalty": 1.8},
    {"logit_bias": {"a": 3.0, 4: -2.0}},
    {"temp": 1.5, "top_k": 7, "min_p": 0.05},
]


@pytest.mark.parametrize("refresh", [1, 4, None])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_holds_from_the_next_element_on(
    gen: lstmgen.Generator, change: dict[str, Any], refresh: int | None
) -> None:
    """A change acts from the next element on.

    The elements are then those of a stream that had the options from the start.
    """
    plain = gen.stream(seed=3, refresh=refresh)
    plain.take(20)
    changed = gen.stream(state=plain.save_state(), **change)
    plain.probabilities()  # the next distribution was computed with the old options
    plain.update(**change)
    np.testing.assert_array_equal(plain.probabilities(), changed.probabilities())
    assert plain.take(40) == changed.take(40)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_changes_at_the_start_are_options_of_the_start(gen: lstmgen.Generator, change: dict[str, Any]) -> None:
    stream = gen.stream(seed=3)
    stream.update(**change)
    assert stream.take(60) == gen.sample(60, seed=3, **change)


@pytest.mark.parametrize("change", CHANGES[:9], ids=str)
def test_a_change_to_none_is_a_change_back(gen: lstmgen.Generator, change: dict[str, Any]) -> None:
    stream = gen.stream(seed=3, **change)
    none: dict[str, Any] = dict.fromkeys(change)
    stream.update(**none)
    assert stream.take(60) == gen.sample(60, seed=3)


def test_the_same_changes_at_the_same_places_give_the_same_text_on_every_path(gen: lstmgen.Generator) -> None:
    def changes(stream: lstmgen.Stream) -> Iterator[None]:
        for i, change in enumerate(CHANGES):
            stream.update(**change)
            yield
            if i % 3 == 0:
                stream.feed("abc")

    taken, stepped, saved = (gen.stream(None, seed=9) for _ in range(3))
    want = "".join(str(taken.take(11)) for _ in changes(taken))
    assert "".join(str(next(stepped)) for _ in changes(stepped) for _ in range(11)) == want
    text = ""
    for i, change in enumerate(CHANGES):
        saved = lstmgen.Generator(gen.model, threads=2).stream(None, state=saved.save_state(), **change)
        text += str(saved.take(11))
        if i % 3 == 0:
            saved.feed("abc")
    assert text == want


def test_options_read_as_they_are_set(gen: lstmgen.Generator) -> None:
    stream = gen.stream(temp=0.5, top_k=3, seed=1)
    found = {name: getattr(stream, name) for name in ("temp", "temperature", "inverse_temp", "top_k", "top_p", "min_p")}
    assert found == {
        "temp": 0.5, "temperature": 0.5, "inverse_temp": 2.0, "top_k": 3, "top_p": None, "min_p": None
    }  # fmt: skip
    stream.inverse_temp = 0.5
    stream.logit_bias = {"b": 1.5, 2: -1}
    assert stream.temp == 2.0
    assert stream.logit_bias == {"b": 1.5, "c": -1.0}
    assert (stream.length, stream.stop, stream.on_unknown, stream.seed) == (1000, None, "error", stream._seed)
    assert gen.stream(temp=0).inverse_temp == float("inf")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"temp": -1}, ValueError, "temp: expected a number >= 0, found -1"),
        ({"top_p": 0.5, "top_k": 0}, ValueError, "top_k: expected at least 1, found 0"),
        ({"temp": 1, "inverse_temp": 1}, ValueError, "expected one of temp, temperature, inverse_temp"),
        ({"top_p": 0.5, "logit_bias": {"z": 1}}, ValueError, "'z' .* is not in the vocabulary"),
        ({"top_p": 0.5, "stop": "z"}, ValueError, "'z' .* is not in the vocabulary"),
        ({"top_p": 0.5, "length": -1}, ValueError, "length: expected at least 0"),
        ({"seed": 1}, TypeError, "seed is fixed when a stream starts"),
        ({"refresh": 1}, TypeError, "refresh is fixed when a stream starts"),
        ({"tpo_k": 1}, TypeError, "unexpected keyword argument 'tpo_k': did you mean 'top_k'"),
    ],
)
def test_a_wrong_change_is_an_error_and_changes_nothing(
    gen: lstmgen.Generator, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    stream = gen.stream(seed=1)
    with pytest.raises(error, match=message):
        stream.update(**change)
    assert stream.top_p is None
    assert stream.take(30) == gen.sample(30, seed=1)


def test_a_misspelled_attribute_is_an_error_that_suggests_the_right_one(gen: lstmgen.Generator) -> None:
    stream = gen.stream()
    with pytest.raises(AttributeError, match="a Stream has no option tempp: did you mean 'temp'"):
        stream.tempp = 1.0
    with pytest.raises(AttributeError, match="a Stream has no tak: did you mean 'take'"):
        stream.tak(5)
    with pytest.raises(AttributeError, match="refresh is fixed when a stream starts"):
        stream.refresh = None
    with pytest.raises(AttributeError, match=r"a Stream has no option zzz$"):
        stream.zzz = 1


def test_the_engine_and_the_table_know_the_same_options() -> None:
    defaults = _core.sampler_defaults()
    assert set(defaults) <= set(lstmgen.SamplingOptions.__annotations__)
    with pytest.raises(TypeError, match="does not know one of these options"):
        _core.Generator(lstmgen.Model(packed())._native, {"dance": 1}, refresh=1, threads=1)


# -- what is told of it ----------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [1, 4, None])
def test_probabilities_are_those_of_the_next_element(gen: lstmgen.Generator, refresh: int | None) -> None:
    stream = gen.stream(seed=2, temp=0.8, min_p=0.02, refresh=refresh)
    for _ in range(20):
        p = stream.probabilities()
        assert p.shape == (11,)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        element = next(stream)
        assert stream.logprob == pytest.approx(np.log(p[LETTERS.index(str(element))]), abs=1e-12)


def test_looking_does_not_change_what_is_drawn(gen: lstmgen.Generator) -> None:
    stream = gen.stream(None, seed=2)
    text = ""
    for element in islice(stream, 30):
        text += str(element)
        stream.probabilities()
        assert stream.logprob is not None
    assert text == gen.sample(30, seed=2)


def test_logprob_is_that_of_the_last_drawn_element(gen: lstmgen.Generator) -> None:
    stream = gen.stream(seed=2)
    assert stream.logprob is None
    stream.take(20)
    last = stream.logprob
    stream.feed("abc")
    stream.probabilities()
    stream.temp = 0.1
    assert stream.logprob == last
    assert gen.stream(state=stream.save_state()).logprob is None
    certain = gen.stream(temp=0)
    certain.take(3)
    assert certain.logprob == 0


def test_logprobs_of_a_sample_are_those_of_its_score(gen: lstmgen.Generator) -> None:
    stream = gen.stream(None, seed=2, prime="cab")
    text, logs = "cab", list[float | None]()
    for element in islice(stream, 40):
        text += str(element)
        logs.append(stream.logprob)
    np.testing.assert_allclose(np.array(logs, float), gen.log_probabilities(text)[2:], atol=1e-12)


def test_the_seed_is_told(gen: lstmgen.Generator) -> None:
    stream = gen.stream()
    assert stream.seed is not None
    assert gen.stream(seed=stream.seed).take(50) == stream.take(50)
    assert gen.stream(seed=7).seed == 7
    with pytest.raises(AttributeError):
        stream.seed = 8  # type: ignore[misc]


def test_repr_says_how_far_it_is_and_how_it_draws(gen: lstmgen.Generator) -> None:
    stream = gen.stream(temp=0.5, top_k=3, seed=1)
    stream.take(7)
    assert repr(stream) == "<lstmgen.Stream, 7 drawn, seed 1, temp 0.5, top_k 3>"
    stream.close()
    assert repr(stream) == "<lstmgen.Stream, closed>"


# -- feeding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [1, 4, None])
def test_what_is_fed_is_context(gen: lstmgen.Generator, refresh: int | None) -> None:
    stream = gen.stream(prime="abcdefg", refresh=refresh)
    stream.feed("hijkab")
    whole = gen.stream(prime="abcdefghijkab", refresh=None)
    if refresh is None:
        np.testing.assert_array_equal(stream.probabilities(), whole.probabilities())
    elif refresh == 1:
        np.testing.assert_allclose(stream.probabilities(), gen.probabilities("bcdefghijkab"), atol=1e-7)
    same = gen.stream(prime="abcdefg", refresh=refresh)
    same.feed(["h", 8, "j"])
    same.feed("kab")
    np.testing.assert_array_equal(same.probabilities(), stream.probabilities())


def test_feeding_counts_for_the_repeat_penalty(gen: lstmgen.Generator) -> None:
    stream = gen.stream(repeat_penalty=1000.0)
    before = stream.probabilities()
    stream.feed("c" * 64)
    assert stream.probabilities()[2] < before.max()


def test_the_unknown_is_an_error_unless_told_otherwise(gen: lstmgen.Generator) -> None:
    stream = gen.stream(seed=1)
    with pytest.raises(ValueError, match="'ß'"):
        stream.feed("aßb")
    assert stream.take(5) == gen.sample(5, seed=1)
    stream.on_unknown = "skip"
    stream.feed("aßb")
    with pytest.raises(ValueError, match="on_unknown: expected"):
        gen.stream(on_unknown="ß")
    with pytest.raises(TypeError, match="what: expected text, elements or ids"):
        stream.feed(5)  # type: ignore[arg-type]


# -- copies, pickles, the end ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lstmgen.Stream.copy, copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
@pytest.mark.parametrize("refresh", [1, 4, None])
def test_a_copy_goes_on_as_its_original(gen: lstmgen.Generator, make: Any, refresh: int | None) -> None:
    options: dict[str, Any] = {"seed": 2, "temp": 0.8, "stop": "fd", "refresh": refresh}
    stream = gen.stream(400, include_prime=True, **options)
    for _ in range(5):
        next(stream)
    other = make(stream)
    assert list(other) == list(stream)
    assert other.take(50) == stream.take(50)
    third = make(stream)
    third.temp = 0.1
    assert stream.temp == 0.8
    fourth = make(stream)
    assert third.take(200) != fourth.take(200)
    assert (fourth.stop, fourth.length, fourth.seed) == ("fd", 400, 2)


def test_a_copy_knows_the_middle_of_a_stop(gen: lstmgen.Generator) -> None:
    stream = gen.stream(logit_bias={"a": 1e6}, stop="aaa")
    stream.take(2)
    for other in (stream.copy(), pickle.loads(pickle.dumps(stream)), gen.stream(state=stream.save_state())):
        assert other.stop in ("aaa", ["aaa"])
        assert other.take(9) == "a"
        assert other.take(9) == "aaa"
    assert stream.take(9) == "a"


def test_logprobs_go_on_after_a_stop(gen: lstmgen.Generator) -> None:
    stream = gen.stream(logit_bias={"a": 1e6}, stop="aa", logprobs=1, grammar='root ::= "a"+', finish=False)
    assert (stream.take(9), len(stream.logprobs)) == ("aa", 2)
    assert (stream.take(9), len(stream.logprobs)) == ("aa", 2)


def test_a_closed_stream_has_ended(gen: lstmgen.Generator) -> None:
    stream = gen.stream(include_prime=True)
    stream.close()
    stream.close()
    assert list(stream) == []
    for use in (lambda: stream.take(1), stream.save_state, stream.copy, lambda: stream.feed("a"), lambda: stream.temp):
        with pytest.raises(ValueError, match="the stream is closed"):
            use()


# -- all at once -----------------------------------------------------------------------------------

ACTIONS = st.one_of(
    st.tuples(st.just("take"), st.integers(0, 9)),
    st.tuples(st.just("feed"), st.text(LETTERS, max_size=5)),
    st.tuples(st.just("look"), st.none()),
    st.tuples(st.just("change"), st.sampled_from(CHANGES)),
    st.tuples(st.just("save"), st.none()),
    st.tuples(st.just("copy"), st.none()),
)
GENERATOR = lstmgen.Generator(packed())


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=15), st.sampled_from([1, 4, 50, None]))
def test_looking_saving_and_copying_change_nothing_whatever_else_happens(
    actions: list[tuple[str, Any]], refresh: int | None
) -> None:
    plain, other = (GENERATOR.stream(seed=6, refresh=refresh) for _ in range(2))
    for action, value in actions:
        if action == "take":
            assert plain.take(value) == "".join(str(next(other)) for _ in range(value))
        elif action == "feed":
            plain.feed(value)
            other.feed(value)
        elif action == "change":
            plain.update(**value)
            other.update(**value)
        elif action == "look":
            other.probabilities()
        elif action == "save":
            other = GENERATOR.stream(state=other.save_state())
        else:
            other = other.copy()
    assert plain.take(20) == other.take(20)
