"""Vocabularies are read from where people keep them. If one does not fit, the message says why."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import exporting
from lstmgen.cli.main import main
from lstmgen.vocabulary import Tokenizer, Vocabulary, reading
from lstmgen.vocabulary.tokenizing import KERAS_FILTERS
from support.networks import network, packed

KERAS = Tokenizer(lower=True, filters=KERAS_FILTERS)

NOTES = ["4.7", "C4", "C4", "B-3", "4.7", "C4"]


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def tokenizer(**config: Any) -> dict[str, Any]:
    """Return the JSON of a Keras Tokenizer of "the", "cat", "sat"."""
    words = {"the": 1, "cat": 2, "sat": 3}
    texts = {
        "word_counts": json.dumps({"the": 2, "cat": 1, "sat": 1}),
        "word_docs": json.dumps({"cat": 1, "the": 2, "sat": 1}),
        "index_docs": json.dumps({"1": 2, "2": 1, "3": 1}),
        "index_word": json.dumps({i: word for word, i in words.items()}),
        "word_index": json.dumps(words),
    }
    plain = {"num_words": None, "lower": True, "split": " ", "char_level": False, "oov_token": None}
    return {"class_name": "Tokenizer", "config": {**plain, **texts, **config}}


# -- lists, and objects from and to indices --------------------------------------------------------


@pytest.mark.parametrize(
    "vocab",
    [
        ["b", "a", "c"],
        ("b", "a", "c"),
        np.array(["b", "a", "c"]),
        {"c": 2, "b": 0, "a": 1},
        {2: "c", 0: "b", 1: "a"},
        {"2": "c", "0": "b", "1": "a"},
        {"c": np.int64(2), "b": np.int64(0), "a": np.int64(1)},
        {np.int64(2): "c", np.int64(0): "b", np.int64(1): "a"},
    ],
)
def test_vocabulary_may_be_an_object(vocab: Any) -> None:
    listing = reading.read(vocab, 3)
    assert listing == reading.Listing(["b", "a", "c"], None, "text")
    assert {type(element) for element in listing.elements} == {str}


@pytest.mark.parametrize(
    ("vocab", "elements", "padding"),
    [
        ([("b", 0), ("a", 1)], ["b", "a"], None),
        ([["b", 2], ["a", 1]], ["", "a", "b"], 0),
        ([(1, "a"), (0, "b")], ["b", "a"], None),
        (({"b": 0, "a": 1}, {0: "b", 1: "a"}), ["b", "a"], None),
        ([{"b": 0, "a": 1}, np.array(["b", "a"]).tolist()], ["b", "a"], None),
        ({60: 0, 64: 1, 67: 2}, ["60", "64", "67"], None),
        ({0: 67, 1: 60, 2: 64}, ["67", "60", "64"], None),
        ({"0": 67, "1": 60}, ["67", "60"], None),
        ({-1: 0, 5: 1}, ["-1", "5"], None),
        ([67, 60, 64], ["67", "60", "64"], None),
        ([b"b", b"a"], ["b", "a"], None),
        ({"é".encode(): 0, b"a": 1}, ["é", "a"], None),
    ],
)
def test_pairs_numbers_and_byte_strings_are_vocabularies(vocab: Any, elements: list[str], padding: int | None) -> None:
    listing = reading.read(vocab, len(elements))
    assert (listing.elements, listing.padding) == (elements, padding)


def test_numbers_with_repetitions_are_sorted_as_numbers() -> None:
    notes: Any = [100, 60, 7, 60]
    listing = reading.read(notes, 3)
    assert (listing.elements, listing.sequence) == (["7", "60", "100"], ["100", "60", "7", "60"])


def test_single_bytes_that_are_no_text_are_a_vocabulary_of_bytes() -> None:
    vocab: Any = [b"a", b"\xc3", b"\xa9"]
    listing = reading.read(vocab, 3)
    assert (listing.elements, listing.kind) == (["<0x61>", "<0xC3>", "<0xA9>"], "bytes")


def test_digits_may_be_elements() -> None:
    assert reading.read({"1": 0, "0": 1}, 2).elements == ["1", "0"]


@pytest.mark.parametrize("vocab", [{"b": 1, "a": 2}, {1: "b", 2: "a"}])
def test_indices_from_1_leave_id_0_to_padding(vocab: Any) -> None:
    listing = reading.read(vocab, 3)
    assert (listing.elements, listing.padding, listing.kind) == (["", "b", "a"], 0, "text")
    assert listing.assumed == ("vocab: the indices start at 1: id 0 is taken as padding, which is never drawn",)


def test_list_that_starts_with_an_empty_element_starts_with_padding() -> None:
    listing = reading.read(["", "the", "cat"], 3)
    assert (listing.elements, listing.padding, listing.kind) == (["", "the", "cat"], 0, "tokens")
    assert listing.assumed == ("vocab: element 0 is empty: it is taken as padding, which is never drawn",)


@pytest.mark.parametrize(
    ("vocab", "reason"),
    [
        ({"a": 0, "b": 2}, "vocab: expected the indices 0 to 1, found none for 1"),
        ({"a": 2, "b": 3}, "vocab: expected the indices 0 to 1, found none for 0"),
        ({"a": -1, "b": 0}, "vocab: expected the indices 0 to 1, found none for 1"),
        ({"": 2, "b": 1}, "vocab: element 2: expected text, found ''"),
        ({"a": True}, "vocab: expected an index beside 'a', found True"),
        ({60: 5}, "vocab: expected the indices 0 to 0, found none for 0"),
        ({0: "a", 1: "b", 2: "a"}, "vocab: 'a' has the indices 0 and 2"),
        ([b"\xff\xfe", b"a"], "vocab: expected text, found bytes that are not UTF-8"),
        ({60: 0}, "vocab: the vocabulary has 1 elements, but the network has 2 outputs"),
        ({None: 0}, "vocab: expected an index beside None, found 0"),
        ({"a": 10**30}, "vocab: expected the indices 0 to 0, found none for 0"),
        (["a", "", "b"], "vocab: element 1: expected text, found ''"),
        (["a", 1], "vocab: element 1: expected text, found 1"),
        (["", "a", "", "a"], "vocab: element 2: expected text, found ''"),
        (["", "a", "a"], "vocab: element 0: expected text, found ''"),
        ([["a", 0, 1], ["b", 1, 0]], r"vocab: \[0\]: element 1: expected text, found 0"),
        ([], "vocab: the vocabulary has 0 elements, but the network has 2 outputs"),
        ({}, "vocab: the vocabulary has 0 elements, but the network has 2 outputs"),
    ],
)
def test_what_is_no_vocabulary_is_refused(vocab: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        reading.read(vocab, 2)


@pytest.mark.parametrize(
    ("vocab", "reason"),
    [
        (5, "vocab: expected a path, a list of elements, or an object from or to their indices, found int"),
        (b"ab", "vocab: expected a path, .* found bytes"),
        ({"a", "b"}, "vocab: a set has no order"),
    ],
)
def test_object_of_another_kind_is_refused(vocab: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        reading.read(vocab, 2)


def test_integer_of_too_many_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text('{"a": ' + "1" * 5000 + "}")
    with pytest.raises(ValueError, match=r"v\.json: not JSON"):
        reading.read(tmp_path / "v.json", 2)


# -- kind ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "kind", "said"),
    [
        (["a", "b"], "text", 0),
        (["a", "bc"], "tokens", 0),
        (["[UNK]", "a", "b"], "text", 1),
        (["", "<s>", "</s>", "a", "b"], "text", 2),  # the other is the padding
        (["<s>", "</s>", "cat"], "tokens", 0),
        (["<s>", "a"], "tokens", 0),
    ],
)
def test_characters_are_text_whatever_marks_are_among_them(elements: list[str], kind: str, said: int) -> None:
    listing = reading.read(elements, len(elements))
    assert (listing.kind, len(listing.assumed)) == (kind, said)


def test_kind_that_is_given_is_not_assumed() -> None:
    listing = reading.read(["[UNK]", "a", "b"], 3, "tokens")
    assert (listing.kind, listing.assumed) == ("tokens", ())


# -- the tokenizer of Keras ------------------------------------------------------------------------


@pytest.mark.parametrize("twice", [False, True])  # json.dump(tokenizer.to_json()) writes JSON of JSON
def test_tokenizer_gives_words_from_id_1(tmp_path: Path, twice: bool) -> None:
    value = tokenizer()
    listing = reading.read(written(tmp_path / "t.json", json.dumps(value) if twice else value), 4)
    assert listing == reading.Listing(["", "the", "cat", "sat"], 0, "tokens", tokenizer=KERAS)


def test_config_of_a_tokenizer_is_one() -> None:
    assert reading.read(tokenizer()["config"], 4) == reading.read(tokenizer(), 4)


@pytest.mark.parametrize(
    "vocab",
    [
        {"word_index": {"the": 1, "cat": 2, "sat": 3}},
        {"word_index": {"the": 1, "cat": 2, "sat": 3}, "index_word": {1: "the", 2: "cat", 3: "sat"}},
    ],
)
def test_part_of_a_tokenizer_is_one(vocab: Any) -> None:
    assert reading.read(vocab, 4) == reading.Listing(["", "the", "cat", "sat"], 0, "tokens")


@pytest.mark.parametrize(("num_words", "outputs"), [(3, 3), (2, 3), (3, 4), (100, 4), (None, 4)])
def test_num_words_may_limit_the_outputs(num_words: int | None, outputs: int) -> None:
    listing = reading.read(tokenizer(num_words=num_words), outputs)
    assert listing.elements == ["", "the", "cat", "sat"][:outputs]


def test_tokenizer_that_fits_neither_way_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab: the vocabulary has 4 elements, but the network has 2 outputs"):
        reading.read(tokenizer(num_words=3), 2)


def test_tokenizer_of_characters_is_text() -> None:
    characters = json.dumps({"<OOV>": 1, "a": 2, " ": 3})
    vocab = tokenizer(char_level=True, word_index=characters, index_word='{"1": "<OOV>", "2": "a", "3": " "}')
    expected = reading.Listing(["", "<OOV>", "a", " "], 0, "text", tokenizer=KERAS._replace(char_level=True))
    assert reading.read(vocab, 4) == expected


def test_tokenizer_that_contradicts_itself_is_refused() -> None:
    vocab = tokenizer(index_word='{"1": "the", "2": "sat", "3": "cat"}')
    with pytest.raises(ValueError, match="'word_index' and 'index_word' disagree: element 2 is 'cat' and 'sat'"):
        reading.read(vocab, 4)


def test_word_of_that_name_is_no_tokenizer() -> None:
    assert reading.read({"word_index": 0, "config": 1}, 2).elements == ["word_index", "config"]


def test_tokenizer_of_keras_itself_is_read(keras: Any) -> None:
    text = pytest.importorskip("tensorflow").keras.preprocessing.text
    made = text.Tokenizer(num_words=4, oov_token="<OOV>")
    made.fit_on_texts(["the cat sat on the cat"])
    listing = reading.read(json.loads(made.to_json()), 4)
    settings = KERAS._replace(oov_token="<OOV>", num_words=4)
    assert listing == reading.Listing(["", "<OOV>", "the", "cat"], 0, "tokens", tokenizer=settings)


def test_vocabulary_of_textgenrnn_is_read(zoo: Path) -> None:
    listing = reading.read(zoo / "textgenrnn_vocab.json", 465)
    assert (listing.elements[0], listing.padding, listing.kind) == ("", 0, "text")
    assert len(listing.assumed) == 2  # of padding, and of <s>


# -- notes -----------------------------------------------------------------------------------------


def test_notes_with_repetitions_are_sorted(tmp_path: Path) -> None:
    listing = reading.read(written(tmp_path / "notes.json", NOTES), 3)
    assert (listing.elements, listing.padding, listing.kind) == (["4.7", "B-3", "C4"], None, "tokens")
    assert listing.sequence == NOTES
    said = "a list with repetitions: its 3 different elements, sorted, are the vocabulary"
    assert listing.assumed == (f"{tmp_path}/notes.json: {said}",)


# -- a vocabulary inside an object -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"char2idx": {"b": 0, "a": 1}, "idx2char": ["b", "a"]},
        {"char_to_index": {"b": 0, "a": 1}},
        {"chars": ["b", "a"], "maxlen": 40, "layers": ["lstm", "lstm"], "sizes": [1, 2]},
        {"vocab": {"b": 0, "a": 1}, "counts": {"b": 7, "a": 2}},
        {"token_to_id": {"b": 0, "a": 1}, "id_to_token": {"0": "b", "1": "a"}},
    ],
)
def test_one_entry_may_be_the_vocabulary(tmp_path: Path, value: dict[str, Any]) -> None:
    listing = reading.read(written(tmp_path / "v.json", value), 2)
    assert (listing.elements, listing.kind) == (["b", "a"], "text")
    assert listing.assumed == (f"{tmp_path}/v.json: the vocabulary is its entry '{next(iter(value))}'",)


def test_notes_beside_their_names_give_the_prime() -> None:
    listing = reading.read({"pitchnames": ["4.7", "B-3", "C4"], "notes": NOTES}, 3)
    assert (listing.elements, listing.sequence) == (["4.7", "B-3", "C4"], NOTES)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": {"x": 0, "y": 1}, "b": ["y", "x"]}, "vocab: 'a' and 'b' disagree: element 0 is 'x' and 'y'"),
        ({"a": ["x"], "b": ["x", "y", "z"]}, "vocab: 'a' and 'b' disagree: 1 and 3 elements"),
        ({"a": ["x", "y", "z"], "size": 3}, "vocab: the vocabulary has 3 elements, but the network has 2 outputs"),
        ({"a": {"x": 0, "y": 0}}, "vocab: a: 'x' and 'y' have index 0"),
        ({"size": 3.5, "name": "x"}, "vocab: expected an index beside 'size', found 3.5"),
    ],
)
def test_entries_that_name_no_one_vocabulary_are_refused(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        reading.read(value, 2)


# -- other files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"the\n cat\n", b"the\n cat", b"the\r\n cat\r\n", b"\xef\xbb\xbfthe\n cat\n"])
def test_txt_has_one_element_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.TXT").write_bytes(content)
    assert reading.read(tmp_path / "v.TXT", 2) == reading.Listing(["the", " cat"], None, "tokens")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a\n\nb\n", "line 2: expected one element a line, all different, found none"),
        ("a\nb\na\n", "line 3: expected one element a line, all different, found 'a' again"),
        ("", "line 1: .* found none; give a corpus as vocab_from"),
    ],
)
def test_txt_that_may_be_a_corpus_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "v.txt").write_text(content)
    with pytest.raises(ValueError, match=rf"v\.txt: {reason}"):
        reading.read(tmp_path / "v.txt", 2)


@pytest.mark.parametrize("content", ['["the", " cat"]', '[\n "the",\n " cat"\n]', '{"the": 0, " cat": 1}'])
def test_txt_may_hold_json(tmp_path: Path, content: str) -> None:
    (tmp_path / "v.txt").write_text(content)
    assert reading.read(tmp_path / "v.txt", 2).elements == ["the", " cat"]


def test_txt_may_begin_with_a_bracket(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("[UNK]\n[\n{\n(\n'\n")
    assert reading.read(tmp_path / "v.txt", 5).elements == ["[UNK]", "[", "{", "(", "'"]


@pytest.mark.parametrize("name", ["v.txt", "v.json"])
@pytest.mark.parametrize("value", [["a", "\n"], {"a": 0, "\n": 1}, {0: "a", 1: "\n"}, ("a", "\n")])
def test_what_python_prints_is_told_how_to_become_json(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / name
    path.write_text(repr(value))
    with pytest.raises(
        ValueError, match="a list or dict as Python prints it; this makes JSON of it: python -c"
    ) as told:
        reading.read(path, 2)
    code = shlex.split(str(told.value).partition("this makes JSON of it: ")[2])
    new = Path(code[-1]) if Path(code[-1]) != path else tmp_path / "new.json"
    subprocess.run([sys.executable, *code[1:-1], str(new)], check=True)
    assert reading.read(new, 2).elements == ["a", "\n"]


def test_a_zip_of_numpy_is_no_vocabulary(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"v\.npz: a zip, such as a \.npz; expected JSON, a pickle, a \.npy"):
        reading.read(tmp_path / "v.npz", 2)


def test_all_elements_on_one_line_are_told(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("abc")
    with pytest.raises(ValueError, match=r"has 1 elements, .* a single line; give a corpus as vocab_from"):
        reading.read(tmp_path / "v.txt", 3)


def test_corpus_given_as_vocabulary_is_told_its_place(tmp_path: Path) -> None:
    (tmp_path / "book.tex").write_text("Once upon a time")
    with pytest.raises(ValueError, match=r"book\.tex: not JSON: .*; give a corpus as vocab_from"):
        reading.read(tmp_path / "book.tex", 2)


def test_array_of_text_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array(["語", "a"]))
    assert reading.read(tmp_path / "v.npy", 2).elements == ["語", "a"]


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x93NUMPY", r"a broken \.npy file"),
        (npy("{'descr': '<U1'"), r"a broken \.npy file"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (-1,)}"), "expected -1 elements"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (2,)}", bytes(4)), "expected 2 elements of 4 bytes"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (10**15,)}"), r"a broken \.npy file"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1000000000000,)}"), "found 0 bytes"),
        (npy("{'descr': '<U0', 'fortran_order': False, 'shape': (2,)}"), "expected 2 elements of 0 bytes"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 4), ""),
        (npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", bytes(8)), "or numbers, found complex64"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1, 1)}", bytes(4)), r"of shape \(1, 1\)"),
    ],
)
def test_broken_array_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "v.npy").write_bytes(content)
    with pytest.raises(ValueError, match=rf"v\.npy: .*{reason}"):
        reading.read(tmp_path / "v.npy", 2)


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocab", "outputs", "hint"),
    [
        ({"a": 1, "b": 2}, 2, "has 3 elements, .* has 2 outputs; id 0 counts, as padding: .* start at 0"),
        (["a", "b"], 3, "if id 0 is padding, give an object from element to index, with indices from 1"),
        (["A", "a", "b"], 2, "lower-cased, it has exactly that many"),
        (["a", "b"], 7, "is it what this network was trained on?"),
    ],
)
def test_another_size_comes_with_its_likely_reason(vocab: Any, outputs: int, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        reading.read(vocab, outputs)


# -- corpus ----------------------------------------------------------------------------------------


def corpus(folder: Path, data: bytes) -> Path:
    path = folder / "c.tex"
    path.write_bytes(data)
    return path


def test_corpus_gives_its_characters(tmp_path: Path) -> None:
    listing = reading.read_corpus(corpus(tmp_path, b"ba\r\nB"), 5)
    assert listing == reading.Listing(["\n", "\r", "B", "a", "b"], None, "text", "ba\r\nB")


def test_corpus_may_be_lower_cased(tmp_path: Path) -> None:
    path = corpus(tmp_path, "BAÄb".encode())
    listing = reading.read_corpus(path, 3, lower=True)
    assert (listing.elements, listing.sequence) == (["a", "b", "ä"], "baäb")
    with pytest.raises(ValueError, match=r"c\.tex: .* 4 elements, .* 3 outputs; lower-cased, .* lower=True$"):
        reading.read_corpus(path, 3)


@pytest.mark.parametrize(
    ("data", "outputs", "sequence", "said"),
    [
        (b"a\r\nb\rc", 4, "a\nb\nc", r"with line ends read as \n"),
        (b"\xef\xbb\xbfab", 2, "ab", "without its byte order mark"),
        (b"\xef\xbb\xbfa\r\nb", 3, "a\nb", "without its byte order mark, with line ends"),
    ],
)
def test_corpus_is_read_as_fits_the_outputs(
    tmp_path: Path, data: bytes, outputs: int, sequence: str, said: str
) -> None:
    listing = reading.read_corpus(corpus(tmp_path, data), outputs)
    assert (listing.elements, listing.sequence) == (sorted(set(sequence)), sequence)
    assert len(listing.assumed) == 1 and f"c.tex: {said}" in listing.assumed[0]


def test_corpus_as_it_is_comes_first(tmp_path: Path) -> None:
    listing = reading.read_corpus(corpus(tmp_path, b"\xef\xbb\xbfa\r\nb"), 5)
    assert (listing.sequence, listing.assumed) == ("\ufeffa\r\nb", ())


def test_corpus_may_have_another_encoding(tmp_path: Path) -> None:
    path = corpus(tmp_path, "é".encode("latin-1"))
    assert reading.read_corpus(path, 1, charset="latin-1").elements == ["é"]
    with pytest.raises(ValueError, match=r"c\.tex: not UTF-8: .*give its character set, such as charset='latin-1'"):
        reading.read_corpus(path, 1)
    with pytest.raises(ValueError, match=r"c\.tex: not UTF-8: .*give its character set, such as charset='utf-16'"):
        reading.read_corpus(corpus(tmp_path, "é".encode("utf-16")), 1)
    with pytest.raises(ValueError, match="charset: there is no character set 'nonesuch'"):
        reading.read_corpus(path, 1, charset="nonesuch")
    with pytest.raises(ValueError, match="charset: there is no character set 'hex'"):
        reading.read_corpus(path, 1, charset="hex")


# -- elements and ids ------------------------------------------------------------------------------


def test_padding_is_an_id_but_no_element_of_a_text() -> None:
    text = Vocabulary(["", "a", "b"], "text")
    assert text.encode("ab").tolist() == [1, 2]
    assert text.encode([0, "a"]).tolist() == [0, 1]
    assert text.decode([0, 1, 0, 2]) == "ab"
    with pytest.raises(ValueError, match="element '' at position 0 is not in the vocabulary"):
        text.encode([""])
    with pytest.raises(ValueError, match="on_unknown: expected 'error', 'skip' or an element"):
        text.encode("ab", on_unknown="")
    assert Vocabulary(["", "the", "cat"], "tokens").decode([0, 2]) == ["", "cat"]


@pytest.mark.parametrize(
    ("elements", "text", "said"),
    [
        (
            "abé",
            "ab\nÉ",
            r"character '\n' (U+000A) at position 2 is not in the vocabulary of 3: line 1, column 3: ab[\n]É",
        ),
        (
            "ab\né",
            "ab\nbÉa",
            "at position 4 is not in the vocabulary of 4: line 2, column 2: ab\\nb[É]a; the closest in it is 'é'",
        ),
        ("abe", "é", "the closest in it is 'e'"),
        ("abé", "e", "the closest in it is 'é'"),
        ("ab'", "a\u2019b", 'the closest in it is "\'"'),
        ('ab"', "a„b", "the closest in it is '\"'"),
        ("ab-", "a\u2013b", "the closest in it is '-'"),
        ("ab ", "a\u00a0b", "the closest in it is ' '"),
        ("ABC", "b", "the closest in it is 'B'"),
        ("ab", "q" * 40, ": line 1, column 1: [q]" + "q" * 16 + "..."),
        ("ab", "abab" * 9 + "q", ": line 1, column 37: ..." + "abab" * 4 + "[q]; on_unknown"),
        ("ab", "xayyz", "[x]ayyz; unknown besides: 'y' 'z'; on_unknown='skip' leaves such out"),
    ],
)
def test_unknown_character_is_shown_with_its_place_and_what_is_closest(elements: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Vocabulary(list(elements), "text").encode(text)


def test_nothing_is_closest_to_what_is_spelled_otherwise() -> None:
    with pytest.raises(ValueError) as error:
        Vocabulary(list("abc"), "text").encode("z")
    assert "closest" not in str(error.value)


def test_unknown_word_is_shown_with_its_place() -> None:
    said = "element 'Dog' at position 2 is not in the vocabulary of 3: line 2, column 1: "
    said += "the cat\\n[Dog] sat; the closest in it is 'dog'"
    with pytest.raises(ValueError, match=re.escape(said)):
        Vocabulary(["the", "cat", "dog"], "tokens").encode("the cat\nDog sat")
    with pytest.raises(
        ValueError, match="'Dog' at position 1 is not in the vocabulary of 3; the closest in it is 'dog'"
    ):
        Vocabulary(["the", "cat", "dog"], "tokens").encode(["the", "Dog"])


def test_prime_of_an_export_names_no_option_that_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"prime: character 'z' .*") as error:
        exporting._prime_ids("az", Vocabulary(["a", "b"], "text"))
    assert "on_unknown" not in str(error.value)


# -- the settings of a tokenizer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "The cat, THE cat!  sat\ton\nthe-mat"),
        ({"lower": False}, "The the CAT cat"),
        ({"filters": ""}, "the cat. sat ."),
        ({"filters": "", "split": "|"}, "the|cat||sat on|"),
        ({"split": "||"}, "the||cat|sat||||on"),
        ({"num_words": 3}, "the the the cat cat sat"),
        ({"num_words": 3, "oov_token": "<OOV>"}, "the the the cat cat sat dog"),
        ({"oov_token": "<OOV>"}, "the cat dog"),
        ({"char_level": True}, "The Cat!"),
        ({"char_level": True, "lower": False}, "The Cat!"),
    ],
)
def test_texts_become_the_ids_that_keras_gives(keras: Any, settings: dict[str, Any], text: str) -> None:
    kind = pytest.importorskip("tensorflow").keras.preprocessing.text.Tokenizer
    made = kind(**settings)
    made.fit_on_texts([text, text.replace("cat", "mat")])
    listing = reading.read(json.loads(made.to_json()), len(made.word_index) + 1)
    vocabulary = Vocabulary(listing.elements, listing.kind or "", listing.tokenizer)
    for given in (text, f"{text} zebra Zulu", "cat"):
        ((expected),) = made.texts_to_sequences([given])
        unknown = "error" if settings.get("oov_token") else "skip"
        assert vocabulary.encode(given, unknown).tolist() == expected


def test_card_of_another_kind_has_no_tokenizer() -> None:
    for card in (
        '{"tokenizer": "bpe"}',
        '{"tokenizer": {"name": "x"}}',
        '"tokenizer"',
        '{"tokenizer"',
        '{"tokenizer": 5}',
    ):
        assert Tokenizer.of_card(card) is None
    assert Tokenizer.of_card('{"tokenizer": {"lower": true, "split": 5}}') is None
    assert Tokenizer.of_card(json.dumps({"tokenizer": KERAS.facts()})) == KERAS


@pytest.mark.filterwarnings("ignore:carried state gives another model:UserWarning")
def test_padding_fills_a_short_window_and_is_never_drawn() -> None:
    vocabulary = ["", *"abcdefghij"]
    generator = lstmgen.Generator(packed(vocabulary=vocabulary, vocabulary_kind="text", prime=[1], padding=0))
    window = [0] * 11 + [1]
    probabilities = generator.probabilities("a")
    assert probabilities[0] == 0
    assert np.array_equal(probabilities, generator.probabilities(window))
    with pytest.warns(UserWarning, match="carried state gives another model here"):
        assert not np.array_equal(probabilities, generator.probabilities("a", refresh=None))
    text = generator.sample(300, prime="a", seed=1)
    assert len(text) == 300
    assert text == generator.sample(300, prime=window, seed=1)


@pytest.mark.parametrize("what", [5, None, b"ab", 0.5])
def test_what_holds_no_elements_is_refused(what: Any) -> None:
    with pytest.raises(TypeError, match=f"what: expected text, elements or ids, found {what!r}"):
        Vocabulary(["a", "b"], "text").encode(what)


@pytest.mark.parametrize("on_unknown", [5, ["a"]])
def test_replacement_that_is_no_element_is_refused(on_unknown: Any) -> None:
    with pytest.raises(TypeError, match="on_unknown: expected 'error', 'skip' or an element, found"):
        Vocabulary(["a", "b"], "text").encode("a", on_unknown)


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ({"prime": 5}, "prime: expected text, elements or ids, found 5"),
        ({"prime": b"ab"}, "prime: expected text, elements or ids, found b'ab'"),
        ({"prime": [0.5]}, "element at position 0: expected a str or an id, found 0.5"),
        ({"stop": 5}, "stop: expected a text or a list of texts, found 5"),
        ({"stop": [5]}, "stop: expected text, elements or ids, found 5"),
        ({"logit_bias": [1]}, r"logit_bias: expected a mapping from elements or ids to numbers, found \[1\]"),
        ({"logit_bias": 0}, "logit_bias: expected a mapping from elements or ids to numbers, found 0"),
        ({"logit_bias": {None: 1.0}}, "element at position 0: expected a str or an id, found None"),
        ({"logit_bias": {"a": "b"}}, "logit_bias: expected a number, found 'b'"),
        ({"on_unknown": 5}, "on_unknown: expected 'error', 'skip' or an element, found 5"),
    ],
)
def test_argument_of_the_wrong_kind_says_what_was_expected(argument: dict[str, Any], reason: str) -> None:
    generator = lstmgen.Generator(packed())
    with pytest.raises(TypeError, match=reason):
        generator.sample(5, **argument)
    with pytest.raises(TypeError, match=reason):
        generator.stream(5, **argument)


def test_context_and_text_of_the_wrong_kind_say_what_was_expected() -> None:
    generator: Any = lstmgen.Generator(packed())
    with pytest.raises(TypeError, match="context: expected text, elements or ids, found 5"):
        generator.probabilities(5)
    with pytest.raises(TypeError, match="text: expected text, elements or ids, found 5"):
        generator.score(5)


# -- bytes -----------------------------------------------------------------------------------------

KOREAN = "한국어 텍스트, 바이트로 배운 모델."


def of_bytes(**options: Any) -> lstmgen.Generator:
    """Return a generator of the bytes of KOREAN."""
    names = [f"<0x{b:02X}>" for b in sorted(set(KOREAN.encode()))]
    n = len(names)
    of = network([("embedding", 6), ("lstm", 9), ("dense", n, "softmax")], n, 20, scale=2)
    data = packed(of, encoding="index", vocabulary=names, vocabulary_kind="bytes", prime=[0], **options)
    return lstmgen.Generator(data)


def test_corpus_of_bytes_gives_its_bytes(tmp_path: Path) -> None:
    path = corpus(tmp_path, KOREAN.encode())
    known = sorted(set(KOREAN.encode()))
    listing = reading.read_corpus(path, len(known), charset="bytes")
    assert listing.elements == [f"<0x{b:02X}>" for b in known]
    assert (listing.kind, len(listing.sequence)) == ("bytes", len(KOREAN.encode()))
    hint = rf"{len(set(KOREAN))} elements, .* its bytes are exactly that many: charset='bytes'"
    with pytest.raises(ValueError, match=hint):
        reading.read_corpus(path, len(known))
    with pytest.raises(ValueError, match=f"the vocabulary has {len(known)} different bytes, but"):
        reading.read_corpus(path, 5, charset="bytes")


def test_corpus_of_bytes_may_be_read_as_text_files_are(tmp_path: Path) -> None:
    path = corpus(tmp_path, b"\xef\xbb\xbfA\r\nb\xc3\xa9")
    listing = reading.read_corpus(path, 5, charset="bytes", lower=True)
    assert listing.elements == ["<0x0A>", "<0x61>", "<0x62>", "<0xA9>", "<0xC3>"]
    assert "without its byte order mark, with line ends" in listing.assumed[0]


def test_text_of_bytes_goes_in_and_comes_out() -> None:
    generator = of_bytes()
    vocabulary = generator.model.vocabulary
    assert vocabulary is not None
    ids = vocabulary.encode(KOREAN)
    assert [vocabulary.elements[i] for i in ids] == [f"<0x{b:02X}>" for b in KOREAN.encode()]
    assert vocabulary.decode(ids.tolist()) == KOREAN
    assert vocabulary.decode(ids[:4].tolist()) == "한\ufffd"  # cut within a character
    assert vocabulary.decode(ids[1:6].tolist()) == "\ufffd\ufffd국"
    assert list(vocabulary.texts(ids[:7].tolist())) == ["", "", "한", "", "", "국", "", "\ufffd"]
    with pytest.raises(
        ValueError, match=r"character 'é' \(U\+00E9\) at position 2 .* line 1, column 3: 한국\[é\]z; unknown"
    ):
        vocabulary.encode("한국éz")
    assert vocabulary.encode("한국é", on_unknown="skip").tolist() == vocabulary.encode("한국").tolist()


def test_sample_of_bytes_is_text_however_it_is_drawn() -> None:
    generator = of_bytes()
    whole = generator.sample(300, prime=KOREAN, seed=5)
    assert isinstance(whole, str)
    assert "".join(str(piece) for piece in generator.stream(300, prime=KOREAN, seed=5)) == whole
    assert generator.sample_many(2, 300, prime=KOREAN, seed=5)[0] == whole
    stream = generator.stream(300, prime=KOREAN, seed=5)
    taken = [stream.take(n) for n in (1, 99, 0, 200)]
    assert "".join(map(str, [*taken, *stream])) == whole
    assert str(generator.sample(5, prime=KOREAN, include_prime=True)).startswith(KOREAN)
    vocabulary = generator.model.vocabulary
    assert vocabulary is not None
    drawn = [vocabulary.ids[f"<0x{b:02X}>"] for b in "한".encode()]
    first, *rest = ({vocabulary.elements[i]: 1e6} for i in drawn)  # each makes one byte certain
    stream = generator.stream(None, seed=1, logit_bias=first)
    assert stream.take(1) == ""
    other = pickle.loads(pickle.dumps(stream.copy()))
    for bias, text in zip(rest, ("", "한"), strict=True):
        stream.logit_bias = bias
        assert next(stream) == text
    other.feed("국")
    other.logit_bias = rest[1]
    assert next(other) == "\ufffd\ufffd"  # a beginning and an end, but not of one character
    certain = generator.sample(30, seed=1, logit_bias={drawn[2]: 1e6}, stop="한")
    assert set(certain) == {"\ufffd"}


def test_bytes_survive_another_dtype_and_pickling() -> None:
    generator = of_bytes()
    again = pickle.loads(pickle.dumps(generator))
    assert again.sample(50, seed=2) == generator.sample(50, seed=2)
    model = lstmgen.Model(generator.model._native.to_bytes(), dtype="bf16")
    assert model.vocabulary is not None and generator.model.vocabulary is not None
    assert model.vocabulary.elements == generator.model.vocabulary.elements


@pytest.mark.parametrize("name", ["<0x00>", "<0x1>", "<0xgg>", "<0xAG>", "a", "<0xab>", "<0xAB>>"])
def test_element_that_is_no_byte_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="vocabulary element 10: expected a byte, <0x01> to <0xFF>"):
        packed(vocabulary=[f"<0x{i:02X}>" for i in range(1, 11)] + [name], vocabulary_kind="bytes", prime=None)


def test_command_line_writes_bytes_as_utf8(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    generator = of_bytes()
    path = tmp_path / "k.bin"
    path.write_bytes(generator.model._native.to_bytes())
    assert main(["sample", str(path), "--seed", "5", "--length", "300", "--prime", KOREAN]) == 0
    assert capfd.readouterr().out == generator.sample(300, prime=KOREAN, seed=5)


# -- the order of a vocabulary ---------------------------------------------------------------------


def successor(order: str, save: Callable[..., Path], name: str) -> Path:
    """Return a network that predicts the next letter of "abcd", with its elements in this order."""
    n = len(order)
    after = {letter: order.index("abcd"[("abcd".index(letter) + 1) % n]) for letter in order}
    kernel = np.zeros((n, 4 * n), np.float32)
    kernel[:, :n] = kernel[:, 3 * n :] = 9  # input and output gates are open
    kernel[:, n : 2 * n] = -9  # nothing is kept
    for i, letter in enumerate(order):
        kernel[i, 2 * n + after[letter]] = 9
    arrays = {
        "kernel": kernel,
        "recurrent_kernel": np.zeros((n, 4 * n), np.float32),
        "bias": np.zeros(4 * n, np.float32),
    }
    dense = {"d/kernel:0": 9 * np.eye(n, dtype=np.float32), "d/bias:0": np.zeros(n, np.float32)}
    return save(
        [
            ("LSTM", {"name": "l", "units": n, "batch_input_shape": [None, 3, n], "recurrent_activation": "sigmoid"}),
            ("Dense", {"name": "d", "units": n, "activation": "softmax"}),
        ],
        {"l": {f"l/{key}:0": value for key, value in arrays.items()}, "d": dense},
        name=name,
    )


def test_vocabulary_in_whose_order_the_text_is_worse_than_guessed_is_called_out(
    write_h5: Callable[..., Path], tmp_path: Path
) -> None:
    text = tmp_path / "c.txt"
    text.write_text("dabc" * 20)
    for order in ("abcd", "dabc", "dbac"):
        exported = exporting.build(successor(order, write_h5, f"{order}.h5"), {"vocab_from": text})
        doubts = [said for said in exported.assumed if "most likely not that of the training" in said]
        assert len(doubts) == (order == "dbac"), order  # the circle of "dabc" is that of "abcd"
    assert re.search(r"the network gives \d+\.\d\d bits to each element of the text, guessing takes 2\.00$", doubts[0])
    text.write_text("dbac" + "dabc" * 20)  # whose letters appear first in that order
    exported = exporting.build(successor("dbac", write_h5, "e.h5"), {"vocab_from": text})
    assert re.search(r"in the order of first appearance 0\.\d\d: give a list", " ".join(exported.doubtful))
    exported = exporting.build(successor("dbac", write_h5, "f.h5"), {"vocab": [*"dbac"]})
    assert "most likely not" not in " ".join(exported.assumed)
    notes = [*("dabc" * 20)]
    exported = exporting.build(successor("dbac", write_h5, "g.h5"), {"vocab": notes})
    assert "most likely not that of the training" in " ".join(exported.doubtful)


def test_text_too_short_to_judge_is_not_judged(write_h5: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("dabc")
    exported = exporting.build(successor("dbac", write_h5, "e.h5"), {"vocab_from": tmp_path / "c.txt"})
    assert "most likely not" not in " ".join(exported.assumed)
