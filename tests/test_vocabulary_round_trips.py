"""Texts, elements and ids become each other again, whatever the vocabulary."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import lstmgen
from lstmgen.vocabulary import Tokenizer, Vocabulary
from lstmgen.vocabulary.naming import byte_element
from support.networks import packed

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
elements = st.lists(st.text(characters, min_size=1, max_size=4), min_size=1, max_size=12, unique=True)
words = st.lists(st.from_regex(r"[a-zäß0-9.]{1,5}", fullmatch=True), min_size=1, max_size=12, unique=True)


def ids_of(draw: Any, count: int) -> list[int]:
    ids: list[int] = draw(st.lists(st.integers(0, count - 1), max_size=30))
    return ids


@given(st.data(), elements)
def test_elements_become_their_ids_and_again_the_elements(data: Any, names: list[str]) -> None:
    for kind in ("text", "tokens"):
        vocabulary = Vocabulary(names, kind)
        ids = ids_of(data.draw, len(names))
        taken = [names[i] for i in ids]
        assert vocabulary.encode(taken).tolist() == ids
        assert vocabulary.encode(ids).tolist() == ids
        assert vocabulary.decode(ids) == (taken if kind == "tokens" else "".join(taken))
        assert list(vocabulary.texts(ids)) == taken


@given(st.data(), elements)
def test_a_text_of_longer_elements_is_the_same_text_again(data: Any, names: list[str]) -> None:
    """Two lists of elements may make the same text, so that only the text is sure to come back."""
    single = dict.fromkeys("".join(names))
    vocabulary = Vocabulary(list(dict.fromkeys([*names, *single])), "text")
    text = "".join(vocabulary.elements[i] for i in ids_of(data.draw, len(vocabulary)))
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    at = 0
    for i in ids:  # each piece is the longest element that matches
        piece = vocabulary.elements[i]
        assert not any(len(other) > len(piece) and text.startswith(other, at) for other in vocabulary.elements)
        at += len(piece)


@given(st.data(), words, st.sampled_from([" ", "\n", " \t\r\n"]))
def test_words_of_a_text_become_the_same_words_again(data: Any, names: list[str], space: str) -> None:
    ids = ids_of(data.draw, len(names))
    text = space.join(names[i] for i in ids)
    assert Vocabulary(names, "tokens").encode(text).tolist() == ids
    tokenizer = Tokenizer(lower=True, filters="!?,\t\n\r")
    assert Vocabulary(names, "tokens", tokenizer).encode(text).tolist() == ids
    assert Tokenizer.of(tokenizer.facts(), Tokenizer()) == tokenizer


@given(st.permutations(range(256)), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_in_bytes_is_the_same_text_again(order: list[int], text: str) -> None:
    vocabulary = Vocabulary([byte_element(byte) for byte in order], "bytes")
    ids = vocabulary.encode(text)
    assert [order[i] for i in ids] == list(text.encode())
    assert vocabulary.decode(ids) == "".join(vocabulary.texts(ids)) == text


@given(st.lists(st.text(characters, min_size=1, max_size=4), min_size=11, max_size=11, unique=True))
@settings(max_examples=30)
def test_a_file_gives_the_vocabulary_back(names: list[str]) -> None:
    for kind in ("text", "tokens"):
        found = lstmgen.Model(packed(vocabulary=names, vocabulary_kind=kind)).vocabulary
        assert found is not None
        assert (found.elements, found.kind) == (tuple(names), kind)
