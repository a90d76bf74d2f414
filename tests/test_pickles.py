"""Pickles are read as data. Nothing in them runs, and none takes much time or memory."""

from __future__ import annotations

import collections
import contextlib
import gzip
import io
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.vocabulary import Tokenizer, pickles, reading
from lstmgen.vocabulary.tokenizing import KERAS_FILTERS
from support.networks import network, packed
from support.slow import slow_but

NOTES = ["4.7", "C4", "C4", "B-3", "4.7", "C4"]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

# -- plain data ------------------------------------------------------------------------------------

VALUES: list[tuple[Any, Any]] = [
    (value, value)
    for value in (
        *(None, True, False, 0, -1, 255, 256, 65536, 2**31, -(2**40), 2**70, 0.1, -1e300, float("inf")),
        *("", "語é\n\\'", "x" * 300, "\ud800", b"", b"\xff\0", b"y" * 300),
        *((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": 0, 1: [b"x"], None: 2.5, b"k": ()}),
        *({"a", "b"}, set(), NOTES, ["a"] * 2000, {str(i): i for i in range(3000)}, ({"a": 0}, {0: "a"})),
    )
] + [
    (frozenset("ab"), {"a", "b"}),
    (collections.OrderedDict(b=0, a=1), {"b": 0, "a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.defaultdict(int, a=1), {"a": 1}),
    (collections.defaultdict(list), {}),
    (collections.defaultdict(None, a=1), {"a": 1}),
    (bytearray(b"ab"), b"ab"),
    (np.int64(-7), -7),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("語"), "語"),
    (np.str_(""), ""),
    (np.bytes_(b"a"), b"a"),
    (np.array(["a", "語"]), ["a", "語"]),
    (np.array([b"ab", b"c"]), [b"ab", b"c"]),
    (np.array([[1, 2, 3], [4, 5, 6]], np.int32), [[1, 2, 3], [4, 5, 6]]),
    (np.asfortranarray([[1, 2, 3], [4, 5, 6]]), [[1, 2, 3], [4, 5, 6]]),
    (np.array([1.5, -2], ">f8"), [1.5, -2.0]),
    (np.array(["a", None, 3], object), ["a", None, 3]),
    (np.array([{"a": 0}], object), [{"a": 0}]),
    (np.array([], np.int64), []),
    (np.array(5), 5),
    ({np.str_("a"): np.int64(0)}, {"a": 0}),
    ({"char2idx": {"a": np.int64(0)}, "idx2char": np.array(["a"])}, {"char2idx": {"a": 0}, "idx2char": ["a"]}),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[f"{i}" for i in range(len(VALUES))])
def test_plain_data_is_read(value: Any, expected: Any, protocol: int) -> None:
    found = pickles.loads(pickle.dumps(value, protocol))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_thing_in_two_places_is_read(protocol: int) -> None:
    shared = ["a"]
    assert pickles.loads(pickle.dumps([shared, shared, (shared,)], protocol)) == [["a"], ["a"], (["a"],)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"(dp0\nS'a'\np1\nI0\nsS'\\xc3\\xa9'\np2\nI1\ns.", {"a": 0, "é": 1}),  # UTF-8 in byte strings
        (b"(lp0\nS'\\xe9'\np1\naVb\\u8a9e\np2\na.", ["é", "b語"]),  # Latin-1
        (b'(lp0\nS"it\'s\\n"\na.', ["it's\n"]),
        (b"\x80\x02]q\x00(U\x02C4q\x01U\x024.e.", ["C4", "4."]),
        (b"]q\x00(T\x02\x00\x00\x00C4e.", ["C4"]),
        (b"c__builtin__\nset\np0\n((lp1\nS'a'\np2\natp3\nRp4\n.", {"a"}),
        (b"ccollections\nOrderedDict\np0\n((lp1\n(lp2\nS'a'\np3\naI0\naatp4\nRp5\n.", {"a": 0}),
        (b"I01\n.", True),
        (b"L5L\n.", 5),
        (
            b"\x80\x02cnumpy.core.multiarray\nscalar\nq\x00cnumpy\ndtype\nq\x01U\x02i8q\x02K\x00K\x01\x87q\x03Rq\x04(K\x03U"
            b"\x01<q\x05NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x06bU\x08\xe9\x00\x00\x00\x00\x00\x00\x00q\x07\x86q\x08R.",
            0xE9,
        ),
    ],
)
def test_pickle_of_python_2_is_read(data: bytes, expected: Any) -> None:
    assert pickles.loads(data) == expected


# -- Keras's tokenizer -----------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "word_counts": collections.OrderedDict([("the", 2), ("cat", 1), ("sat", 1)]),
    "word_docs": collections.defaultdict(int, {"the": 2, "cat": 1, "sat": 1}),
    "filters": KERAS_FILTERS,
    "split": " ",
    "lower": True,
    "num_words": None,
    "document_count": 2,
    "char_level": False,
    "oov_token": None,
    "index_docs": collections.defaultdict(int, {1: 2, 2: 1, 3: 1}),
    "word_index": {"the": 1, "cat": 2, "sat": 3},
    "index_word": {1: "the", 2: "cat", 3: "sat"},
}
HOMES = [
    "keras.preprocessing.text",
    "keras_preprocessing.text",
    "keras.src.legacy.preprocessing.text",
    "tensorflow.python.keras.preprocessing.text",
    "tensorflow.keras.preprocessing.text",
]


def tokenizer_at(home: str, settings: dict[str, Any], protocol: int) -> bytes:
    """Return the pickle of a Tokenizer of the module `home` with these settings."""

    class Stand:
        pass

    Stand.__module__, Stand.__name__, Stand.__qualname__ = home, "Tokenizer", "Tokenizer"
    made = Stand()
    made.__dict__ |= settings
    parts = home.split(".")
    modules = {".".join(parts[: i + 1]): type(sys)(parts[i]) for i in range(len(parts))}
    modules[home].Tokenizer = Stand  # type: ignore[attr-defined]
    kept = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        return pickle.dumps(made, protocol)
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("home", HOMES)
def test_tokenizer_of_any_keras_is_read(tmp_path: Path, home: str, protocol: int) -> None:
    path = tmp_path / "tokenizer.pickle"
    path.write_bytes(tokenizer_at(home, SETTINGS, protocol))
    expected = Tokenizer(lower=True, filters=KERAS_FILTERS)
    assert reading.read(path, 4) == reading.Listing(["", "the", "cat", "sat"], 0, "tokens", tokenizer=expected)


def test_tokenizer_of_tensorflow_is_read(keras: Any, tmp_path: Path) -> None:
    text = pytest.importorskip("tensorflow").keras.preprocessing.text
    made = text.Tokenizer(num_words=4, oov_token="<OOV>", filters="!", lower=False)
    made.fit_on_texts(["the cat. sat on the cat. !"])
    for protocol in PROTOCOLS:
        (tmp_path / "t.pickle").write_bytes(pickle.dumps(made, protocol))
        found = reading.read(tmp_path / "t.pickle", 4)
        assert (found.elements, found.padding) == (["", "<OOV>", "the", "cat."], 0)
        assert found.tokenizer == Tokenizer(filters="!", oov_token="<OOV>", num_words=4)


def test_old_class_of_python_2_is_read() -> None:
    state = b"(dp1\nS'word_index'\np2\n(dp3\nS'a'\np4\nI1\nssS'lower'\np5\nI01\nsb."
    for made in (b"(ikeras.preprocessing.text\nTokenizer\np0\n", b"(ckeras.preprocessing.text\nTokenizer\np0\no"):
        assert pickles.loads(made + state) == {"word_index": {"a": 1}, "lower": True}


# -- what people keep ------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("name", "value", "elements"),
    [
        ("notes", NOTES, ["4.7", "B-3", "C4"]),
        ("mapping.pkl", {"b": 0, "a": 1}, ["b", "a"]),
        ("mapping.pkl", {1: "a", 0: "b"}, ["b", "a"]),
        ("v.p", ({"b": 0, "a": 1}, {0: "b", 1: "a"}), ["b", "a"]),
        ("v.pck", {"char2idx": {"b": 0, "a": 1}, "idx2char": np.array(["b", "a"])}, ["b", "a"]),
        ("v.pickle", np.array(["b", "a"]), ["b", "a"]),
        ("v", [np.str_("b"), np.str_("a")], ["b", "a"]),
        ("v.pkl", {"b", "a"}, ["a", "b"]),
        ("v.pkl", [("b", 0), ("a", 1)], ["b", "a"]),
        ("v.pkl", (NOTES, 3), ["4.7", "B-3", "C4"]),
    ],
)
def test_pickled_vocabulary_is_read(tmp_path: Path, name: str, value: Any, elements: list[str], protocol: int) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(value, protocol))
    listing = reading.read(tmp_path / name, len(elements))
    assert listing.elements == elements
    assert list(listing.sequence) == (NOTES if "C4" in elements else [])
    assert any("a set has no order" in said for said in listing.assumed) == isinstance(value, set)


def test_joblib_file_is_read_where_it_is_a_plain_pickle(tmp_path: Path) -> None:
    joblib: Any = pytest.importorskip("joblib")
    joblib.dump({"b": 0, "a": 1}, tmp_path / "v.joblib")
    assert reading.read(tmp_path / "v.joblib", 2).elements == ["b", "a"]
    joblib.dump(np.array(["b", "a"]), tmp_path / "v.joblib")
    with pytest.raises(ValueError, match=r"asks for joblib\.numpy_pickle\.NumpyArrayWrapper; .*joblib\.load"):
        reading.read(tmp_path / "v.joblib", 2)


@pytest.mark.parametrize(
    ("value", "elements"),
    [(["b", "a"], ["b", "a"]), ({"b": 0, "a": 1}, ["b", "a"]), (NOTES, ["4.7", "B-3", "C4"])],
)
def test_npy_of_objects_is_read(tmp_path: Path, value: Any, elements: list[str]) -> None:
    np.save(tmp_path / "v.npy", np.array(value, dtype=object))
    assert reading.read(tmp_path / "v.npy", len(elements)).elements == elements


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: b"x\x9c" + data])
def test_compressed_pickle_says_so(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "v.pkl").write_bytes(pack(pickle.dumps(NOTES)))
    with pytest.raises(ValueError, match=r"v\.pkl: a file compressed with (gzip|zlib); unpack it first"):
        reading.read(tmp_path / "v.pkl", 3)


def test_pickle_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(pickle.dumps(NOTES))
    with pytest.raises(ValueError, match="notes: a pickle, no text; give a vocabulary as vocab"):
        reading.read_corpus(tmp_path / "notes", 3)


@pytest.mark.parametrize("text", ["(I saw\nno pickle.", "chapter\nOne\nquick end.", "]q."])
def test_text_that_looks_like_a_pickle_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.tex").write_text(text)
    assert reading.read_corpus(tmp_path / "c.tex", len(set(text))).sequence == text


def test_settings_enter_the_bin_and_survive_another_dtype(tmp_path: Path) -> None:
    of = network([("embedding", 3), ("lstm", 4), ("dense", 4, "softmax")], 4, 5)
    listing = reading.read(
        {"word_index": {"the": 1, "cat": 2, "sat": 3}, "lower": True, "filters": ".", "split": " "}, 4
    )
    assert listing.tokenizer is not None
    card = json.dumps({"tokenizer": listing.tokenizer.facts()})
    data = packed(
        of, encoding="index", vocabulary=listing.elements, vocabulary_kind="tokens", prime=[1], padding=0, card=card
    )
    for model in (lstmgen.Model(data), lstmgen.Model(data, dtype="int8")):
        assert model.vocabulary is not None
        assert model.vocabulary.encode("The CAT.sat").tolist() == [1, 2, 3]


# -- what is refused -------------------------------------------------------------------------------


class Calls:
    """What calls home when it is opened."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Mine:
    """An object of somebody's own class."""


MARKER = "pwned-by-a-pickle"
TOUCH = f"touch {MARKER}".encode()


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"

REFUSED: dict[str, tuple[bytes, str]] = {
    "REDUCE": (b"cos\nsystem\n(S'" + TOUCH + b"'\ntR.", "os.system"),
    "GLOBAL of eval": (b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
    "GLOBAL of getattr": (b"cbuiltins\ngetattr\n(S'a'\nS'b'\ntR.", "builtins.getattr"),
    "GLOBAL alone": (b"cposix\nsystem\n.", "posix.system"),
    "INST": (b"(S'" + TOUCH + b"'\nios\nsystem\n.", "os.system"),
    "OBJ": (b"(cos\nsystem\nS'" + TOUCH + b"'\no.", "os.system"),
    "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n(S'ls'\nt\x81.", "subprocess.Popen"),
    "NEWOBJ_EX": (b"\x80\x04csubprocess\nPopen\n)}\x92.", "subprocess.Popen"),
    "STACK_GLOBAL": (b"\x80\x04" + text("os") + text("system") + b"\x93" + text("ls") + b"\x85R.", "os.system"),
    "dotted name": (
        b"\x80\x04" + text("collections") + text("OrderedDict.__class__") + b"\x93.",
        "OrderedDict.__class__",
    ),
    "module of a tokenizer's name": (b"\x80\x04" + text("Tokenizer") + text("system") + b"\x93.", "Tokenizer.system"),
    "EXT1": (b"\x80\x02\x82\x01.", "copyreg's registry"),
    "EXT2": (b"\x80\x02\x83\x01\x00.", "copyreg's registry"),
    "EXT4": (b"\x80\x02\x84\x01\x00\x00\x00.", "copyreg's registry"),
    "PERSID": (b"P1\n.", "lies outside it"),
    "BINPERSID": (b"\x80\x02K\x01Q.", "lies outside it"),
    "NEXT_BUFFER": (b"\x80\x05\x97.", "lies outside it"),
    "READONLY_BUFFER": (b"\x80\x05\x98.", "lies outside it"),
    "own class": (pickle.dumps(Mine()), r"test_pickles\.Mine"),
    "function": (pickle.dumps(Calls(os.abort)), "posix.abort"),
    "import": (pickle.dumps(Calls(__import__, "this")), "builtins.__import__"),
    "call of a type": (b"c__builtin__\nint\n(S'5'\ntR.", "a call of builtins.int"),
    "call of ndarray": (b"cnumpy\nndarray\n(I9\ntR.", "a call of numpy.ndarray"),
    "class as a value": (b"(lcbuiltins\nint\na.", "the class builtins.int"),
    "class as a key": (b"}c__builtin__\nint\nI1\ns.", "a dict or set with a class as a key"),
    "tuple as a key": (b"}(I1\nI2\ntI1\ns.", "a dict or set with tuple as a key"),
    "list in a set": (b"\x80\x04\x8f(]\x90.", "a dict or set with list as a key"),
    "factory that runs": (b"ccollections\ndefaultdict\n(cnumpy\ndtype\ntR.", "a defaultdict of numpy.dtype"),
    "reconstructor of another": (b"ccopy_reg\n_reconstructor\n(c__builtin__\nint\nNNtR.", "an object of builtins.int"),
    "state of a dict": (b"}}b.", "the state of a dict"),
    "tokenizer of another kind": (b"ctokenizers\nTokenizer\n)\x81C\x02{}b.", "a Tokenizer that is not Keras's"),
    "array of records": (b"cnumpy\ndtype\n(S'V8'\ntR.", "numpy arrays of 'V8'"),
    "array of dates": (b"cnumpy\ndtype\n(S'M8'\ntR.", "numpy arrays of 'M8'"),
    "subclass of an array": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
        "an unknown kind of array",
    ),
    "terminal codes": (b"cos\x1b[31m\nsystem\n.", r"os\\x1b\[31m\.system"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", ["notes.pkl", "v.npy"])
def test_what_would_run_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    data, reason = REFUSED[kind]
    monkeypatch.chdir(tmp_path)
    if name == "v.npy":
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (2,)})
        data = head.getvalue() + data
    Path(name).write_bytes(data)
    loaded = set(sys.modules)
    with pytest.raises(ValueError, match=f"{name}: the pickle asks for .*{reason}") as error:
        reading.read(name, 2)
    assert not Path(MARKER).exists()
    assert not {module for module in set(sys.modules) - loaded if module in ("this", "subprocess")}
    assert str(error.value).isprintable()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it ends early"),
    "no STOP": (b"\x80\x04]", "it ends early"),
    "STOP of nothing": (b".", "an instruction finds too few values"),
    "unknown instruction": (b"\x80\x04\xff.", "byte 2 is 0xff, which is no instruction"),
    "text": (b"{'a': 0}", "byte 0 is 0x7b"),
    "huge LONG4": (b"\x8b\xff\xff\xff\x7f.", "an integer of 2147483647 bytes"),
    "negative LONG4": (b"\x8b\xff\xff\xff\xff.", "-1 bytes announced"),
    "long LONG": (b"L" + b"9" * 5000 + b"L\n.", "an integer of 5000 digits"),
    "huge BINBYTES8": (b"\x8e" + b"\xff" * 7 + b"\x7f.", r"9223372036854775807 bytes announced, 1 left"),
    "huge BINUNICODE8": (b"\x8d" + b"\xff" * 8 + b".", "bytes announced"),
    "huge BYTEARRAY8": (b"\x96" + b"\xff" * 8 + b".", "bytes announced"),
    "negative BINSTRING": (b"T\xff\xff\xff\xff.", "-1 bytes announced"),
    "huge frame": (b"\x80\x04\x95" + b"\xff" * 8 + b".", "it ends early"),
    "memo that is not there": (b"h\x05.", "refers to what it does not hold"),
    "memo of nothing": (b"q\x05.", "an instruction finds too few values"),
    "no mark": (b"t.", "no mark"),
    "marks": (b"(" * 2000 + b".", "nested more than 1000 times"),
    "odd items": (b"}(I1\nu.", "no dict to put into"),
    "items for a list": (b"](I1\nI2\nu.", "no dict to put into"),
    "append to a dict": (b"}I1\na.", "no list to add to"),
    "add to a list": (b"\x80\x04](I1\n\x90.", "no set to add to"),
    "call of a text": (b"S'a'\n)R.", "a call of what is no function"),
    "name of numbers": (b"\x80\x04K\x01K\x02\x93.", "a name that is no text"),
    "not UTF-8": (b"\x8c\x01\xff.", "a broken pickle"),
    "text without quotes": (b"Sabc\n.", "a text without quotes"),
    "escape that is none": (b"S'\\x'\n.", "a broken pickle|an escape that is none"),
    "number that is none": (b"Fabc\n.", "a number that is none"),
    "list in itself": (b"]q\x00h\x00a.", "in itself"),
    "deep lists": (b"]" * 5000 + b"a" * 4999 + b".", "nested at most 32 times"),
    "deep tuples": (b")" + b"\x85" * 5000 + b".", "nested at most 32 times"),
    "array of another size": (
        ARRAY + b"(I1\n(I9\ntcnumpy\ndtype\n(S'i8'\ntRI0\nS'abc'\ntb.",
        "an array of 9 numbers in 3 bytes",
    ),
    "array of negative size": (ARRAY + b"(I1\n(I-9\ntcnumpy\ndtype\n(S'i8'\ntRI0\nS'abc'\ntb.", "negative or huge"),
    "huge array": (ARRAY + b"(I1\n(I999999999999\ntcnumpy\ndtype\n(S'i8'\ntRI0\nS''\ntb.", "negative or huge"),
    "array of nothing": (
        ARRAY + b"(I1\n(I8000000\ntcnumpy\ndtype\n(S'U0'\ntRI0\nS''\ntb.",
        "8000000 numbers in 0 bytes",
    ),
    "array without a type": (ARRAY + b"(I1\n(I1\ntNI0\nS'abc'\ntb.", "without shape or type"),
    "array beyond Unicode": (
        ARRAY + b"(I1\n(I1\ntcnumpy\ndtype\n(S'U1'\ntRI0\nS'\\xff\\xff\\xff\\xff'\ntb.",
        "a broken pickle",
    ),
    "key of many bits": (b"}L2305843009213693951L\nI0\ns.", "more than 60 bits as a key"),
    "bytes with arguments": (b"c__builtin__\nbytearray\n(I1000000000000\ntR.", "bytes of something else than text"),
    "wrong number of arguments": (b"c_codecs\nencode\n(S'a'\nS'latin1'\nS'x'\ntR.", "broken"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_pickle_is_a_clear_error(tmp_path: Path, kind: str) -> None:
    data, reason = BROKEN[kind]
    (tmp_path / "v.pkl").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"v\.pkl: .*{reason}"):
            reading.read(tmp_path / "v.pkl", 2)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


BOMBS: dict[str, tuple[bytes, str]] = {
    "memo of a huge index": (b"]r\xff\xff\xff\x7f.", ""),
    "memo of a huge number": (b"]p" + b"9" * 90 + b"\n.", ""),
    "lists of lists": (
        b"]q\0" + b"".join(b"]q%c(%be" % (i, b"h%c" % (i - 1) * 200) for i in range(1, 9)) + b".",
        "many times over",
    ),
    "empty lists": (b"](" + b"]" * 400_000 + b"e.", "lists, dicts and copies take at most"),
    "many instructions": (b"N0" * 5_000_000 + b"N.", "at most 8388608 instructions"),
    "many numbers of one hash": (
        b"}("
        + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 100_000))
        + b"u.",
        "more than 60 bits",
    ),
}


@pytest.mark.parametrize("kind", slow_but(list(BOMBS)[:3], BOMBS, "unpickles as much as the limits let it"))
def test_bomb_takes_little_time_and_memory(tmp_path: Path, kind: str) -> None:
    data, reason = BOMBS[kind]
    (tmp_path / "v.pkl").write_bytes(data)
    begin = time.process_time()
    with pytest.raises(ValueError, match=rf"v\.pkl: .*{reason}"):
        reading.read(tmp_path / "v.pkl", 2)
    assert time.process_time() - begin < 15
    if len(data) < 2_000_000:
        tracemalloc.start()
        with pytest.raises(ValueError):
            reading.read(tmp_path / "v.pkl", 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 * len(data) + 1_000_000


def test_any_damage_is_a_value_error(rng: np.random.Generator) -> None:
    value = {"a": np.array(["b", "c"]), "d": collections.OrderedDict(e=1), "f": [1.5, b"g", ("h", None)], "i": {"j"}}
    for protocol in PROTOCOLS:
        whole = pickle.dumps(value, protocol)
        for _ in range(1500):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), rng.integers(1, 4)):
                data[at] = rng.integers(0, 256)
            with contextlib.suppress(ValueError):
                pickles.loads(bytes(data[: rng.integers(1, len(data) + 1)]))


# -- the command of a refusal ----------------------------------------------------------------------


def converted(error: pytest.ExceptionInfo[ValueError], folder: Path) -> Any:
    """Return what the command of a refusal makes of the pickle."""
    found = re.search(r"(python -c .*)", str(error.value))
    assert found
    command = shlex.split(found[1])
    subprocess.run([sys.executable, *command[1:]], check=True, cwd=folder)
    return json.loads(Path(command[-1]).read_text())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({0: "a", 1: "b"}, {"0": "a", "1": "b"}),
        ({"語": np.int64(0), "b": np.int32(1)}, {"語": 0, "b": 1}),
        (np.array(["a", "b"]), ["a", "b"]),
        ({"b", "a"}, ["a", "b"]),
    ],
)
def test_command_of_the_refusal_converts_what_is_trusted(tmp_path: Path, value: Any, expected: Any) -> None:
    (tmp_path / "made.py").write_text("def T(value): return value\n")
    inner = pickle.dumps(value, 2).removeprefix(b"\x80\x02").removesuffix(b".")
    (tmp_path / "my notes.pkl").write_bytes(b"\x80\x02cmade\nT\n" + inner + b"\x85R.")
    with pytest.raises(ValueError, match=r"asks for made\.T") as error:
        reading.read(tmp_path / "my notes.pkl", 2)
    assert converted(error, tmp_path) == expected
