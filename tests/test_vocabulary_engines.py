"""The vocabulary of the engine and that of Python cut texts in the same way."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmgen import _core
from lstmgen.vocabulary.vocabulary import Vocabulary

# Few characters, of one to four bytes of UTF-8, so that elements often begin alike.
_PIECES = st.text("abé€😀", min_size=1, max_size=4)
_SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]


@given(st.lists(_PIECES, min_size=1, max_size=12, unique=True), st.text("abé€😀 ", max_size=40))
def test_texts_are_cut_into_the_same_longest_elements(elements: list[str], text: str) -> None:
    _same(elements, "text", text)


@given(st.lists(_PIECES, min_size=1, max_size=12, unique=True), st.data())
def test_tokens_are_cut_at_the_same_white_space(elements: list[str], data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.one_of(st.sampled_from(elements), st.sampled_from(_SPACES), _PIECES), max_size=20))
    _same(elements, "tokens", "".join(pieces))


def test_every_white_space_of_python_divides_tokens_and_no_other_character_does() -> None:
    vocabulary = _core.Vocabulary(["a"], "tokens")
    for space in _SPACES:
        np.testing.assert_array_equal(vocabulary.encode(f"{space}a{space}a{space}"), [0, 0])
    for code in range(1, 0x3100):
        if not chr(code).isspace():
            with pytest.raises(ValueError, match="at byte 0"):
                vocabulary.encode(f"a{chr(code)}a")


@given(st.lists(_PIECES, min_size=1, max_size=12, unique=True), st.text("abé€😀 ", max_size=40))
def test_a_long_element_changes_nothing_but_how_texts_are_searched(elements: list[str], text: str) -> None:
    _same([*elements, "a" * 100 + "b"], "text", text + "a" * 150 + "b" + text)


def test_texts_are_cut_in_time_that_grows_with_their_length() -> None:
    elements = ["a", "a" * 65536 + "b"]  # at each place of the text, 65,536 letters are those of the long one
    text = "a" * 200_000  # 91 s for 2,000 letters, once
    assert len(_core.Vocabulary(elements, "text").encode(text)) == len(text)
    assert len(Vocabulary(elements, "text").encode(text[:2000])) == 2000


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_text_comes_back_from_its_ids(text: str) -> None:
    elements = sorted(set(text)) or ["a"]
    vocabulary = _core.Vocabulary(elements, "text")
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_tokens_are_joined_by_spaces_and_ids_out_of_range_are_errors() -> None:
    vocabulary = _core.Vocabulary(["C4", "", "E4"], "tokens")
    assert vocabulary.decode(np.array([0, 2, 0], np.uint32)) == "C4 E4 C4"
    with pytest.raises(ValueError, match="id at position 1: expected below 3, found 3"):
        vocabulary.decode(np.array([0, 3], np.uint32))


def _same(elements: list[str], kind: str, text: str) -> None:
    engine = _core.Vocabulary(elements, kind)
    try:
        want = Vocabulary(elements, kind).encode(text)
    except ValueError:
        with pytest.raises(ValueError, match="is not in the vocabulary"):
            engine.encode(text)
    else:
        np.testing.assert_array_equal(engine.encode(text), want)
