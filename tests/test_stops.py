"""A stop text ends a sequence after the element in which it ends, however the elements cut it."""

from __future__ import annotations

import asyncio
import copy
import itertools
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmgen
from lstmgen.cli.main import main
from support.networks import network, packed

PIECES = ["".join(letters) for n in (1, 2, 3) for letters in itertools.product("ab\n", repeat=n)]


def model_of(elements: list[str], kind: str = "text", **options: Any) -> lstmgen.Generator:
    n = len(elements)
    net = network([("lstm", 6), ("dense", n, "softmax")], inputs=n, scale=2)
    return lstmgen.Generator(packed(net, vocabulary=elements, vocabulary_kind=kind, prime=[0], **options))


def ended(elements: Iterable[str], stops: list[str]) -> list[str]:
    """Return the elements up to the first after which their text holds a stop: the slow way."""
    drawn: list[str] = []
    for element in elements:
        drawn.append(element)
        if any(stop in "".join(drawn) for stop in stops):
            break
    return drawn


def can_occur(stop: str, elements: list[str]) -> bool:
    """Return whether a text of elements can hold a stop: the slow way."""
    # What may remain of the stop after an element; all of it before the first one.
    rest = {stop}
    for element in elements:
        rest |= {stop[size:] for size in range(1, len(stop)) if element.endswith(stop[:size])}
    grown = True
    while grown:
        more = {text[len(e) :] for text in rest for e in elements if text.startswith(e)} - rest - {""}
        rest |= more
        grown = bool(more)
    return any(stop in e for e in elements) or any(e.startswith(text) for text in rest for e in elements)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    elements = draw(st.lists(st.sampled_from(PIECES), min_size=2, max_size=7, unique=True))
    stops = draw(st.lists(st.text("ab\n", min_size=1, max_size=5), min_size=1, max_size=3))
    return elements, stops


@given(cases())
def test_a_stop_that_no_elements_can_hold_is_an_error(case: tuple[list[str], list[str]]) -> None:
    elements, stops = case
    gen = model_of(elements)
    if all(can_occur(stop, elements) for stop in stops):
        gen.sample(0, stop=stops)
    else:
        with pytest.raises(ValueError, match=r"^stop: .* is not in the vocabulary"):
            gen.sample(0, stop=stops)


@given(cases(), st.integers(0, 2**32), st.integers(0, 12), st.sampled_from([1, None]))
def test_all_ways_to_draw_end_at_the_same_element(
    case: tuple[list[str], list[str]], seed: int, half: int, refresh: int | None
) -> None:
    elements, stops = case
    stops = [stop for stop in stops if can_occur(stop, elements)]
    gen = model_of(elements)
    options: dict[str, Any] = {"seed": seed, "refresh": refresh, "temp": 1.5}
    want = ended(gen.stream(40, **options), stops)  # type: ignore[arg-type]
    text = "".join(want)
    options["stop"] = stops

    assert gen.sample(40, **options) == text
    assert gen.sample_many(3, 40, **options)[0] == text
    row = gen.sample_rows(2, 40, **options)[0]
    assert (row.sequence, row.length) == (text, len(want))
    assert list(gen.stream(40, **options)) == want
    assert gen.sample(40, best_of=1, **options) == text
    batch = lstmgen.Batch(gen.model)
    joined = batch.join(40, **options)
    while batch:
        batch.advance(7)
    assert (joined.take(), joined.drawn) == (text, len(want))

    async def gathered() -> list[str | int]:
        return [element async for element in gen.astream(40, **options)]

    assert asyncio.run(gathered()) == want

    # Copies and states are made when a part of a stop may have been read.
    stream = gen.stream(40, **options)
    begun = "".join(map(str, itertools.islice(stream, half)))
    others = [
        copy.copy(stream),
        pickle.loads(pickle.dumps(stream)),
        gen.stream(40 - half, state=stream.save_state()),
    ]
    for other in (stream, *others):
        if half < len(want):
            assert begun + "".join(map(str, other)) == text
        elif len(want) < 40 or half == 40:  # all have ended
            assert begun == text

    # `take` goes on after a stop, where the search begins anew.
    stream = gen.stream(None, **options)
    drawn = list(gen.stream(40, **{**options, "stop": None}))
    while drawn:
        part = ended(drawn, stops)  # type: ignore[arg-type]
        assert stream.take(len(drawn)) == "".join(part)
        drawn = drawn[len(part) :]


@given(cases(), st.integers(0, 99))
def test_a_beam_ends_its_sequences_with_stops(case: tuple[list[str], list[str]], seed: int) -> None:
    elements, stops = case[0][:4], [stop for stop in case[1] if can_occur(stop, case[0][:4])]
    gen = model_of(elements)
    sequences = {tuple(ended(all_, stops)) for all_ in itertools.product(elements, repeat=3)}

    def mean(sequence: tuple[str, ...]) -> float:
        return float(gen.log_probabilities([elements[0], *sequence], refresh=None).mean())

    found = gen.sample(3, prime=elements[:1], beam=len(elements) ** 3, refresh=None, stop=stops, seed=seed)
    assert found in {"".join(sequence) for sequence in sequences}
    best = max(map(mean, sequences))
    assert any("".join(s) == found and mean(s) > best - 1e-9 for s in sequences)


def certain(elements: list[str], *drawn: str, **options: Any) -> lstmgen.Stream:
    """Return a stream that has drawn exactly these elements."""
    stream = model_of(elements).stream(None, seed=1, **options)
    for element in drawn:
        stream.logit_bias = {element: 1e6}
        assert stream.take(1) == element
    return stream


def test_a_stop_may_begin_and_end_within_elements() -> None:
    stream = certain(["x\n", "\ny", "a"], "a", "x\n", stop="\n\n")
    stream.logit_bias = {"\ny": 1e6}
    assert stream.take(9) == "\ny"  # the whole element is drawn
    assert stream.take(9) == "\ny" * 9  # and its rest is no part of a later stop


def test_lists_of_elements_and_ids_are_found_as_they_are() -> None:
    elements = ["ab", "c", "a", "bc"]
    for stop in (["ab", "c"], [0, 1], np.array([0, 1])):
        stream = certain(elements, "a", "bc", "ab", stop=[stop])
        stream.logit_bias = {"c": 1e6}
        assert stream.take(9) == "c"
        again = model_of(elements).stream(state=stream.save_state())
        assert again.stop == [["ab", "c"]]
        assert model_of(elements).stream(stop=again.stop).stop == [["ab", "c"]]


def test_lists_and_texts_stand_beside_each_other() -> None:
    elements = ["ab", "c", "a", "bc"]
    for last, size in (("c", 1), ("bc", 1), ("a", 3)):
        stream = certain(elements, "ab", stop=[["ab", "c"], "bbc"])
        stream.logit_bias = {last: 1e6}
        assert stream.take(3) == last * size
    state = certain(elements, "ab", stop=["bbc", ["ab", "c"]]).save_state()
    assert model_of(elements).stream(state=state).stop == [["ab", "c"], "bbc"]


def test_a_stop_of_tokens_is_a_list_of_elements() -> None:
    gen = model_of(["the", "end", "ending", "."], "tokens")
    whole = list(gen.sample(400, seed=1))
    at = list(itertools.pairwise(whole)).index(("the", "end"))
    assert gen.sample(400, seed=1, stop="the end") == whole[: at + 2]
    assert gen.sample(400, seed=1, stop=".") == whole[: whole.index(".") + 1]
    with pytest.raises(ValueError, match=r"'en' .* is not in the vocabulary"):
        gen.sample(1, stop="en")


def test_a_stop_has_the_case_that_the_tokenizer_gives_to_texts() -> None:
    card = '{"tokenizer": {"lower": true, "split": " ", "char_level": true}}'
    gen = model_of(["a", "b", "cd"], card=card)
    assert gen.sample(300, seed=1, stop="AB") == gen.sample(300, seed=1, stop="ab")


def test_an_unknown_character_in_a_stop_is_the_element_for_unknown_ones() -> None:
    card = '{"tokenizer": {"lower": true, "split": " ", "char_level": true, "oov_token": "?"}}'
    gen = model_of(["?", "b", "cd"], card=card)
    assert gen.sample(300, seed=1, stop="bz") == gen.sample(300, seed=1, stop="b?")


def test_a_stop_that_cannot_be_is_named() -> None:
    gen = model_of(["ab", "c", "bb"])
    long: Any = [["c"] * 4097, "c"]
    with pytest.raises(ValueError, match=r"^stop: .*'a' .*is not in the vocabulary"):
        gen.sample(1, stop=["abc", "bca", "caa"])
    with pytest.raises(ValueError, match=r"^stop: 'ccc.*: expected at most 4096 bytes, found 4097$"):
        gen.sample(1, stop=["c", "c" * 4097])
    with pytest.raises(ValueError, match=r"^stop: stop 0: expected at most 4096 elements, found 4097$"):
        gen.sample(1, stop=long)
    assert gen.sample(1, seed=1, stop="c" * 4096) == gen.sample(1, seed=1)


def test_an_update_with_a_wrong_stop_changes_nothing() -> None:
    stream = model_of(["ab", "c"]).stream(stop="bab", temp=0.5)
    with pytest.raises(ValueError, match="stop: "):
        stream.update(temp=0.9, stop="ba" * 9 + "c" * 2 + "bb")
    assert (stream.stop, stream.temp) == ("bab", 0.5)


def test_the_command_line_finds_what_elements_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gen = model_of(["x\n", "\ny"])
    path = tmp_path / "model.bin"
    path.write_bytes(gen.model._native.to_bytes())
    want = str(gen.sample(300, seed=3, stop="\n\n"))
    assert main(["sample", str(path), "--length", "300", "--seed", "3", "--stop", r"\n\n", "--escape"]) == 0
    assert capsys.readouterr().out == want
    assert len(want) < 600 and want.endswith("x\n\ny")
