"""Vocabularies, texts and rows of anyone: a bound on what they take, and a named error."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import struct
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import inputs, sequence_files
from lstmgen.cli import main as cli
from lstmgen.cli import predict
from lstmgen.keras_file import layer_list
from lstmgen.keras_file import reader as keras_reader
from lstmgen.music import read_pieces
from lstmgen.training.tasks import corpus
from lstmgen.vocabulary import pickles, reading
from support.networks import packed
from support.work import calls

_SIZE = 200_000  # bytes of most files here


def bounded(size: int, work: Callable[[], object]) -> object:
    """Return what `work` returns. Fail if it takes more than 64 times `size` and 16 MiB."""
    tracemalloc.start()
    try:
        return work()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 64 * size + 2**24


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + data


def shape(text: str, of: str = "<f8") -> str:
    return f"{{'descr': '{of}', 'fortran_order': False, 'shape': {text}, }}"


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def pickled(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


_ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01%s\x86cnumpy\ndtype\n"
    b"X\x02\0\0\0i1\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89C\0tb"
)
_BOMB = "whose lists, dicts and copies take at most"

# By mutation: the name of the file, its bytes, and what the error says.
VOCABULARIES: dict[str, tuple[str, bytes, str]] = {
    "objects in JSON": ("v.json", b"[" + b"{}," * (_SIZE // 3) + b"{}]", "at most 1000 lists"),
    "lists in JSON": ("v.json", b"[" + b"[]," * (_SIZE // 3) + b"[]]", "at most 1000 lists"),
    "an object of lists in JSON": (
        "v.json",
        json.dumps({str(i): ["a"] for i in range(_SIZE // 14)}).encode(),
        "at most 1000 lists",
    ),
    "deeply nested lists in JSON": ("v.json", b"[" * _SIZE, "nested too deeply"),
    "deeply nested objects in JSON": ("v.json", b'{"a":' * (_SIZE // 5), "nested too deeply"),
    "JSON in JSON that is nested deeply": ("v.json", json.dumps("[" * _SIZE).encode(), "nested too deeply"),
    "an integer of many digits in JSON": ("v.json", b"[" + b"9" * _SIZE + b"]", "4300 digits"),
    "a number for each two bytes of JSON": ("v.json", b"[" + b"1," * (_SIZE // 2) + b"1]", "has 1 elements"),
    "one element of all the file": ("v.json", json.dumps(["a" * _SIZE, "b"]).encode(), "has 2 elements"),
    "sets in a pickle": ("v.pkl", pickled(b"(" + b"\x8f" * _SIZE + b"l"), _BOMB),
    "dicts in a pickle": ("v.pkl", pickled(b"(" + b"}" * _SIZE + b"l"), _BOMB),
    "a memo of many entries in a pickle": ("v.pkl", pickled(b"N" + b"\x94" * _SIZE), "found NoneType"),
    "one value many times in a pickle": ("v.pkl", pickled(b"(N" + b"2" * _SIZE + b"l"), "expected text, found None"),
    "a list in a pickle that becomes many sets": (
        "v.pkl",
        pickled(
            b"(" + b"".join(b"M" + struct.pack("<H", i) for i in range(20_000)) + b"l\x94cbuiltins\nset\n\x9400",
            b"(" + b"h\x01h\0\x85R" * 20_000 + b"l",
        ),
        _BOMB,
    ),
    "a text in a pickle that is copied many times": (
        "v.pkl",
        pickled(text(b"a" * 100_000) + b"\x94c_codecs\nencode\n\x9400(" + b"h\x01h\0\x85R" * 15_000 + b"l"),
        _BOMB,
    ),
    "settings of a Tokenizer that are put in many times": (
        "v.pkl",
        pickled(
            b"ckeras\nTokenizer\n)\x81}(" + b"".join(text(b"%04x" % i) + b"K\0" for i in range(9_000)) + b"u\x94b",
            b"h\0b" * 30_000,
        ),
        _BOMB,
    ),
    "an array in a pickle that is filled many times": (
        "v.pkl",
        pickled(
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01K\x01\x85cnumpy\ndtype\n",
            text(b"i1") + b"\x85R\x89C\x01at\x940" + b"h\0b" * (_SIZE // 3),
        ),
        _BOMB,
    ),
    "an array in a pickle that is made of a byte many times": (
        "v.pkl",
        pickled(
            b"cnumpy.core.numeric\n_frombuffer\n\x940(C\1acnumpy\ndtype\n" + text(b"u1"),
            b"\x85RK\1\x85X\1\0\0\0Ct\x940(" + b"h\0h\1R" * (_SIZE // 5) + b"l",
        ),
        _BOMB,
    ),
    "an array in a pickle of 2^27 empty rows": (
        "v.pkl",
        pickled(_ARRAY % (b"J" + struct.pack("<i", 2**27) + b"K\0")),
        "has 0 elements",
    ),
    "a frame of 2^62 bytes in a pickle": ("v.pkl", pickled(b"\x95" + struct.pack("<Q", 2**62) + b"N"), "ends early"),
    "marks in a pickle": ("v.pkl", pickled(b"(" * _SIZE), "nested more than 1000 times"),
    "a .npy of 10^12 numbers": ("v.npy", npy(shape("(1000000000000,)")), "expected 1000000000000 elements"),
    "a .npy of texts without bytes": ("v.npy", npy(shape("(134217728,)", "<U0")), "elements of 0 bytes"),
    "a .npy of 2^27 empty rows": ("v.npy", npy(shape("(134217728, 0)")), "expected an array with elements"),
    "a .npy with a header that is code": ("v.npy", npy("(" * 9000), "broken .npy file"),
    "a .npy with a header of names": (
        "v.npy",
        npy("{'descr': x}"),
        "broken .npy file: [^<]*string[^<]*$",
    ),
    "a .npy with a header of 2 GiB": ("v.npy", b"\x93NUMPY\x02\0" + struct.pack("<I", 2**31) + b"{", "broken .npy"),
    "a .npy of True rows": ("v.npy", npy(shape("(True,)"), bytes(8)), "expected a shape of integers"),
    "a .npy with a shape of many digits": ("v.npy", npy(shape("(" + "9" * 5000 + ",)"), bytes(8)), "broken .npy file"),
    "a .npy with tuples within tuples": ("v.npy", npy("{'descr': " + "(" * 3000 + ")" * 3000 + "}"), "broken .npy"),
    "a .npy of a type within types": ("v.npy", npy(shape("(1,)", "(2,)" * 2000 + "i4"), bytes(4)), "broken .npy file"),
    "a .npy of 2000 fields": ("v.npy", npy(shape("(0,)", ",".join(["i1"] * 2000))), "one-dimensional array of text"),
    "numbers of one byte in a .npy": ("v.npy", npy(shape(f"({_SIZE},)", "|u1"), b"\xc8" * _SIZE), "has 1 elements"),
    "lines that repeat": ("v.txt", b"a\n" * (_SIZE // 2), "line 2: expected one element a line"),
}


@pytest.mark.parametrize("mutation", VOCABULARIES)
def test_hostile_vocabulary_is_an_error_within_the_bound(tmp_path: Path, mutation: str) -> None:
    name, data, expected = VOCABULARIES[mutation]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=expected) as caught:
        bounded(len(data), lambda: reading.read(path, 11))
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 1000


def test_corpus_of_all_characters_is_within_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(chr(0x10000 + i) for i in range(_SIZE // 4)), encoding="utf-8")
    with pytest.raises(ValueError, match="has 50000 elements"):
        bounded(_SIZE, lambda: reading.read_corpus(path, 11))


@pytest.mark.parametrize("charset", ["a\0b", "zlib", "x" * 100_000])
def test_character_set_that_is_none_is_named_in_short(tmp_path: Path, charset: str) -> None:
    (tmp_path / "corpus.txt").write_bytes(b"abc")
    for read in (
        lambda: reading.read_corpus(tmp_path / "corpus.txt", 3, charset=charset),
        lambda: corpus.read([tmp_path / "corpus.txt"], charset=charset),
    ):
        with pytest.raises(ValueError, match="charset: there is no character set") as caught:
            read()
        assert len(str(caught.value)) < 200


def test_columns_of_a_hostile_csv_are_named_in_short(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(f"c{i}" for i in range(50_000)))
    with pytest.raises(ValueError, match=r"a\.csv: column: expected one of 'c0', .* and 49984 more, found 'x'"):
        corpus.read([tmp_path / "a.csv"], column="x")


# -- rows ------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[bytes, int | str]] = {  # how many rows, or what the error says
    "a row for each two bytes": (b"a\n" * (_SIZE // 2), _SIZE // 2),
    "commas": (b"," * _SIZE, "it is empty"),
    "a quote that never ends": (b'"' + b"a\n" * (_SIZE // 2), "field larger than field limit"),
    "a field of all the file": (b"a" * _SIZE, "field larger than field limit"),
    "numbers without a line end": (b"1 " * (_SIZE // 2), "field larger than field limit"),
}


@pytest.mark.parametrize("mutation", ROWS)
def test_hostile_rows_are_within_the_bound(tmp_path: Path, mutation: str) -> None:
    data, expected = ROWS[mutation]
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    if isinstance(expected, int):
        rows = bounded(len(data), lambda: sequence_files.read_sequences(path))
        assert isinstance(rows, list)
        assert len(rows) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            bounded(len(data), lambda: sequence_files.read_sequences(path))


# Rows with much work in each byte, and how many functions are called for a byte.
WORK_OF_ROWS: dict[str, tuple[bytes, float]] = {
    "numbers": (b"1\n", 4.6),
    "letters": (b"a\n", 3.1),
    "labels": (b"1,a\n", 2.6),
    "several numbers": (b"1 2\n", 5.8),
}


@pytest.mark.parametrize("what", WORK_OF_ROWS)
def test_the_work_for_a_byte_of_rows_is_bounded(tmp_path: Path, what: str) -> None:
    unit, most = WORK_OF_ROWS[what]
    path = tmp_path / "rows.csv"
    path.write_bytes(b"x\n" + unit * (8000 // len(unit)))
    assert calls(lambda: sequence_files.read_sequences(path)) <= most * path.stat().st_size


# Pickles with much work in each byte, and how many functions are called for a byte.
WORK_OF_PICKLES: dict[str, tuple[bytes, bytes, float]] = {
    "one value many times": (b"(N", b"2", 5.4),
    "texts": (b"(", b"U\0", 9.6),
    "scalars of numpy": (
        b"cnumpy.core.multiarray\nscalar\n\x940cnumpy\ndtype\n" + text(b"u1") + b"\x85RC\x01a\x86\x940(",
        b"h\0h\1R",
        10.0,
    ),
    "arrays of a byte": (
        b"cnumpy.core.numeric\n_frombuffer\n\x940(C\1acnumpy\ndtype\n" + text(b"u1") + b"\x85RK\1\x85X\1\0\0\0Ct\x940(",
        b"h\0h\1R",
        20.0,
    ),
    "types of numpy": (b"cnumpy\ndtype\n\x940" + text(b"i1") + b"\x85\x940(", b"h\0h\1R", 10.0),
    "integers": (b"(", b"K\1", 5.4),
    "memo": (b"(N", b"2\x94", 6.6),
}


@pytest.mark.parametrize("what", WORK_OF_PICKLES)
def test_the_work_for_a_byte_of_a_pickle_is_bounded(what: str) -> None:
    begin, unit, most = WORK_OF_PICKLES[what]
    data = pickled(begin, unit * (8000 // len(unit)), b"l")

    def read() -> None:
        with contextlib.suppress(pickles.Refused):  # types of numpy
            pickles.loads(data)

    assert calls(read) <= most * len(data)


IDS: dict[str, tuple[bytes, int | str]] = {  # how many sequences, or what the error says
    "a sequence for each two bytes": (b"1\n" * (_SIZE // 2), _SIZE // 2),
    "one sequence": (b"1 " * (_SIZE // 2), 1),
    "a sequence of one byte": (npy(shape(f"({_SIZE}, 1)", "|i1"), bytes(_SIZE)), _SIZE),
    "10^12 numbers": (npy(shape("(1000000000000,)", "<i8")), "expected 1000000000000 elements"),
    "2^27 empty sequences": (npy(shape("(134217728, 0)", "<i8")), "expected an array with elements"),
    "objects": (npy(shape("(1,)", "|O"), pickled(b"N")), "expected numbers, found objects"),
    "spaces": (b" " * _SIZE, "found an empty file"),
}


@pytest.mark.parametrize("mutation", IDS)
def test_hostile_sequences_to_predict_are_within_the_bound(tmp_path: Path, mutation: str) -> None:
    data, expected = IDS[mutation]
    path = tmp_path / "ids"
    path.write_bytes(data)
    model = lstmgen.Model("latex")
    if isinstance(expected, int):
        found: Any = bounded(len(data), lambda: predict._read(model, str(path)))
        assert len(found) == expected
        assert found[-1 % len(found)].tolist() == found[0].tolist()
    else:
        with pytest.raises(ValueError, match=expected):
            bounded(len(data), lambda: predict._read(model, str(path)))


def test_architecture_of_many_layers_is_within_the_bound() -> None:
    data = "LSTM(1)," * 25_000
    with pytest.raises(ValueError, match=r"at most 32,768 characters, found 200,000"):
        bounded(len(data), lambda: layer_list.parse(data))
    bounded(2**15, lambda: layer_list.parse(data[: 2**15]))


# -- what is no file, or never ends ----------------------------------------------------------------

READERS: dict[str, Callable[[Path], object]] = {
    "vocabulary": lambda path: reading.read(path, 3),
    "corpus of a vocabulary": lambda path: reading.read_corpus(path, 3),
    "text": reading.read_text,
    "architecture": keras_reader.architecture,
    "corpus": lambda path: corpus.read([path]),
    "rows": sequence_files.read_sequences,
    "CSV": sequence_files.read_csv,
    "sequences to predict": lambda path: predict._read(lstmgen.Model("latex"), str(path)),
}


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with a name")
@pytest.mark.parametrize("reader", READERS)
def test_a_device_is_refused_by_name(reader: str) -> None:
    with pytest.raises(ValueError, match=r"^/dev/zero: not a regular file"):
        READERS[reader](Path("/dev/zero"))


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with a name")
@pytest.mark.parametrize("reader", READERS)
def test_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"sparse: expected at most .* bytes, found 1,099,511,627,776"):
        bounded(0, lambda: READERS[reader](path))


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with a name")
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path, reader: str) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    if reader in ("text", "corpus", "CSV"):
        assert not READERS[reader](path) or reader == "corpus"
    else:
        with pytest.raises(ValueError):
            READERS[reader](path)


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with a name")
def test_a_pipe_without_end_is_read_up_to_the_limit() -> None:
    out, into = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(into, "wb", buffering=0) as file:
            while True:
                file.write(b"a" * 4096)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(ValueError, match=r"expected at most 100,000 bytes, found more"):
            bounded(0, lambda: inputs.read(f"/dev/fd/{out}", 100_000))
    finally:
        os.close(out)
        writer.join()


def test_what_arrives_without_end_is_read_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    monkeypatch.setattr(inputs, "MAX_TEXT", 2**20)
    assert cli.main(["sample", "latex", "--prime-file", "-", "-n", "1"]) != 0
    assert "stdin: expected at most" in capsys.readouterr().err


@pytest.mark.parametrize("at", [0, 1, 2**16, 2**16 + 1])
def test_the_limit_is_exact(tmp_path: Path, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(at))
    assert inputs.read(path, at) == bytes(at)
    assert inputs.read_from("stdin", io.BytesIO(bytes(at)), at) == bytes(at)
    if at:
        with pytest.raises(ValueError, match="expected at most"):
            inputs.read(path, at - 1)
        with pytest.raises(ValueError, match="stdin: expected at most"):
            inputs.read_from("stdin", io.BytesIO(bytes(at)), at - 1)


def test_npy_of_any_array_is_read_as_numpy_reads_it() -> None:
    for array in (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", "bc"])):
        file = io.BytesIO()
        np.save(file, array)
        found = inputs.npy_array(file.getvalue())
        assert isinstance(found, np.ndarray)
        assert found.tolist() == array.tolist()


# -- folders ---------------------------------------------------------------------------------------

TUNE = "X:1\nT:a\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n"


def read_both(folder: Path) -> tuple[str, list[Path]]:
    return corpus.read([folder]).text, read_pieces([folder], cache=False).sources


def test_folders_nested_deeply_and_links_that_lead_back_are_read(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*"d" * 300)
    deepest.mkdir(parents=True)
    for name in ("a.abc", ".hidden.abc"):
        (deepest / name).write_text(TUNE)
    if os.name == "posix":
        (deepest / "back").symlink_to(tmp_path)
        (deepest / "self.abc").symlink_to("self.abc")
        os.mkfifo(deepest / "pipe.abc")
    limit, here = sys.getrecursionlimit(), len(inspect.stack(0))
    sys.setrecursionlimit(here + 200)
    try:
        found = read_both(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert found == (TUNE, [deepest / "a.abc"])


def test_a_file_of_a_folder_that_is_gone_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.abc").write_text(TUNE)
    monkeypatch.setattr(inputs, "files_in", lambda folder: [folder / "a.abc", folder / "gone\x1b.abc"])
    with pytest.warns(UserWarning, match="gone") as told:
        assert read_both(tmp_path) == (TUNE, [tmp_path / "a.abc"])
    assert [str(one.message).partition("gone")[2] for one in told] == [
        r"\x1b.abc: it is gone; skipped",
        r"\x1b.abc: skipped: No such file or directory",
    ]
    with pytest.raises(FileNotFoundError):
        corpus.read([tmp_path / "b.abc"])
    with pytest.raises(FileNotFoundError):
        read_pieces([tmp_path / "b.abc"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_of_any_bytes_are_read_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\x1b[2J\n")
    for suffix, data in ((".abc", TUNE.encode()), (".txt", b"\xff"), (".bin", packed())):
        Path(f"{tmp_path}/{name}{suffix}").write_bytes(data)
    assert lstmgen.Model(f"{tmp_path}/{name}.bin").outputs
    with pytest.warns(UserWarning, match="skipped") as told:
        assert read_both(tmp_path) == (TUNE, [tmp_path / f"{name}.abc"])
    assert told
    assert all(str(one.message).isprintable() for one in told)
