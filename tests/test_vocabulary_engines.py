"""The vocabulary of the engine and that of Python cut texts in the same way."""

from __future__ import annotations

import pickle
import random
import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmgen import _core
from lstmgen.vocabulary import vocabulary
from lstmgen.vocabulary.tokenizing import Tokenizer
from lstmgen.vocabulary.vocabulary import Vocabulary
from support.work import calls

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


# -- work ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [3, 1000])
def test_the_work_for_a_letter_does_not_grow_with_the_lengths_of_the_elements(sizes: int) -> None:
    long = Vocabulary([*("a" * i + "b" for i in range(1, sizes)), "a"], "text")
    long.encode("a" * 300)  # what the engine is asked for once
    assert calls(lambda: long.encode("a" * 2000)) <= 16 * 2000


@pytest.mark.parametrize("piece", [1, 5, 2**20])
def test_a_text_is_cut_in_the_same_way_at_once(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    draw = random.Random(piece)
    monkeypatch.setattr(vocabulary, "_PIECE", piece)
    for _ in range(400):
        letters = draw.choice(["ab", "a\u00e9\u20ac\U0001f600", "abc\ud800 \n"])
        some = sorted({"".join(draw.choices(letters, k=draw.randint(0, draw.choice([3, 20])))) for _ in range(20)})
        found = Vocabulary(some, "text")
        text = "".join(draw.choices([*letters, *some], k=draw.randint(0, 40)))
        assert list(found._cut(text)) == list(found._cut_at_once(text))
    assert pickle.loads(pickle.dumps(found)).encode(text, "skip").tolist() == found.encode(text, "skip").tolist()


def words_by_one_pattern(tokenizer: Tokenizer, text: str) -> list[tuple[str, int]]:
    """The words of a text, with the split tried at each place of it."""
    split, apart, outside = (re.escape(part) for part in (tokenizer.split, tokenizer.apart, tokenizer.filters))
    character = f"[^{outside}{apart}]" if outside or apart else "."
    pattern = rf"{split}|((?:(?!{split}){character})+)" + (f"|([{apart}])" if apart else "")
    found = re.finditer(pattern, tokenizer.lowered(text), re.DOTALL)
    return [(match[match.lastindex], match.start()) for match in found if match.lastindex]


def test_words_between_splits_are_those_of_one_pattern() -> None:
    draw = random.Random(1)
    for _ in range(2000):
        some = ["".join(draw.choices("ab ,.!\n", k=draw.randint(at > 0, 3))) for at in range(4)]
        tokenizer = Tokenizer(filters=some[0], split=some[1], apart="".join(set(some[2])), removed=some[3][:1])
        text = "".join(draw.choices("ab ,.!\n", k=draw.randint(0, 30)))
        assert list(tokenizer.words(text)) == words_by_one_pattern(tokenizer, text)


def test_a_long_split_is_not_compared_at_each_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns: list[str] = []

    def compiled(pattern: str, *flags: Any) -> re.Pattern[str]:
        patterns.append(pattern)
        return compile_pattern(pattern, *flags)

    compile_pattern = re.compile
    monkeypatch.setattr(re, "compile", compiled)
    monkeypatch.setattr(re, "finditer", lambda pattern, *rest: compiled(pattern).finditer(*rest[:1]))
    split = "a" * 4000 + "b"
    assert list(Tokenizer(split=split[1:]).words(f"x{split[1:]}y")) == [("x", 0), ("y", 4001)]
    assert max(map(len, patterns)) < 100
