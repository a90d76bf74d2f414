"""Each broken or hostile `.bin` file is at once a `ModelFormatError` that names what is wrong."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstmgen
from lstmgen import _core
from lstmgen.network import Network
from support.gguf_bytes import (
    ARRAY,
    BOOL,
    CHECKSUM,
    F32,
    F64,
    STRING,
    U32,
    File,
    Tensor,
    array,
    boolean,
    f64,
    string,
    strings,
    take_apart,
    text,
    u32,
)
from support.networks import network, packed

SOUND = packed()  # LSTM 20 > LSTM 17 > Dense 11 softmax
SMALL = packed(network([("lstm", 2), ("dense", 3, "softmax")], inputs=3, window=4))


def header_size(data: bytes) -> int:
    return len(data) - len(take_apart(data).data)


def load(data: bytes) -> lstmgen.Model:
    return lstmgen.Model(data)


def refused(data: bytes, message: str) -> None:
    with pytest.raises(lstmgen.ModelFormatError, match=message):
        _core.Model.from_bytes(data, "test.bin")


def test_the_editor_gives_back_the_bytes_that_it_took_apart() -> None:
    assert take_apart(SOUND).to_bytes() == SOUND


# -- mutations -------------------------------------------------------------------------------------

Change = Callable[[File], None]
MUTATIONS: dict[str, tuple[Change, str]] = {}


def mutation(name: str, message: str) -> Callable[[Change], Change]:
    """Register a change of a sound file. The error must contain `message`."""

    def register(change: Change) -> Change:
        assert name not in MUTATIONS
        MUTATIONS[name] = (change, message)
        return change

    return register


def sets(name: str, key: str, value: bytes, message: str) -> None:
    mutation(name, message)(lambda file: file.set(key, value))


def adds(name: str, key: str | bytes, value: bytes, message: str) -> None:
    mutation(name, message)(lambda file: file.add(key, value))


def changes(what: str, message: str, index: int = 0, /, **fields: Any) -> None:
    """Change fields of a tensor's record."""

    def change(file: File) -> None:
        for field, value in fields.items():
            setattr(file.tensors[index], field, value)

    mutation(what, message)(change)


def heads(name: str, message: str, **fields: Any) -> None:
    def change(file: File) -> None:
        for field, value in fields.items():
            setattr(file, field, value)

    mutation(name, message)(change)


NAME = "general.name"
NO_MAGIC = "which begins with 'GGUF', found another file"

# -- framing ---------------------------------------------------------------------------------------
heads("wrong magic", NO_MAGIC, magic=b"GGML")
heads("byte-swapped magic", NO_MAGIC, magic=b"FUGG")
for version in (0, 1, 2, 4, 2**32 - 1):
    heads(f"version {version}", f"version: expected 3.*{version}", version=struct.pack("<I", version))
heads("byte-swapped version", "version: expected 3.*50331648", version=struct.pack(">I", 3))
heads("trailing byte", "goes on after its last tensor, for 1 byte", tail=b"\0")
heads("trailing megabyte", "goes on after its last tensor", tail=bytes(2**20))
heads("wrong checksum", "checksum is wrong", seal=False, tail=b"")
heads("non-zero padding of the header", "padding: expected zeros", padding=1)

# -- counts and strings ----------------------------------------------------------------------------
heads("2^64 - 1 keys", "number of keys: expected at most 4096", n_keys=2**64 - 1)
heads("keys whose size wraps", "number of keys: expected at most 4096", n_keys=2**60 + 1)
heads("4097 keys", "number of keys: expected at most 4096, found 4097", n_keys=4097)
heads("4096 keys that are not there", "the file ends|a key|unknown type", n_keys=4096)
heads("no keys", "general.architecture is missing", n_keys=0)
heads("2^64 - 1 tensors", f"number of tensors: expected 8, found {2**64 - 1}", n_tensors=2**64 - 1)
heads("tensors whose size wraps", "number of tensors: expected 8", n_tensors=2**60 + 8)
heads("no tensors", "number of tensors: expected 8, found 0", n_tensors=0)
for size in (2**63, 2**64 - 1, 65_537):
    adds(f"string of {size}", NAME, struct.pack("<IQ", STRING, size), f"65536 bytes, found {size}")
adds("string past the end", NAME, struct.pack("<IQ", STRING, 65_536), "the file ends inside")
adds("empty key", b"", u32(0), "a key has no name")
adds("NUL in a key", b"general.na\0me", string("x"), "UTF-8 without U\\+0000")
adds("NUL in a string", NAME, string("a\0b"), "UTF-8 without U\\+0000")
for bad in (b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe8\xaa"):
    adds(f"invalid UTF-8 {bad!r}", NAME, struct.pack("<I", STRING) + text(bad), "expected UTF-8")
adds("invalid UTF-8 in a key", b"general.\xff", string("x"), "expected UTF-8")
adds("key of 64 bytes", "k" * 64, u32(0), "a key: expected at most 63 bytes, found 64")
adds("duplicate key", "general.architecture", string("lstmgen"), "'general.architecture' .*twice")
adds("duplicate checksum", CHECKSUM, u32(0), "'lstmgen.checksum' .*twice")
for kind in (0, 1, 2, 3, 5, 10, 11, 13, 2**32 - 1):
    value = struct.pack("<I", kind) + bytes(8)
    adds(f"value of type {kind}", NAME, value, f"{NAME}' has the unknown type {kind}")
adds("bool of 2", NAME, struct.pack("<IB", BOOL, 2), f"{NAME}'.*0 or 1.*found 2")
adds("unknown key", "general.nonsense", u32(1), "unknown key 'general.nonsense'")
adds("key of a layer that is not there", "lstmgen.layer.3.units", u32(1), "unknown key .*layer.3")
adds("key of another layer type", "lstmgen.layer.0.input_dim", u32(1), "unknown key .*input_dim")
adds("terminal codes in a key", b"\x1b[31m", u32(1), r"unknown key '\?\[31m'")
for kind in (U32, F32, F64):
    for count in (2**63, 2**64 - 1, 2**62 + 1, 2**61 + 1):
        adds(
            f"array of {count} of type {kind}",
            *(NAME, array(kind, count), f"the file ends inside an array of {count}"),
        )
adds("array of 2^63 strings", NAME, array(STRING, 2**63), "at most 1048576, found 9223372036854775808")
adds("strings past the end", NAME, array(STRING, 2**20), "the file ends|an element of an array")
adds("string of 2^63 in an array", NAME, array(STRING, 1, struct.pack("<Q", 2**63)), "65536 bytes")
adds("nested arrays", NAME, array(ARRAY, 1, array(U32, 0)), "an array of the unknown type 9")
for kind in (0, BOOL, 10, 2**32 - 1):
    adds(f"array of type {kind}", NAME, array(kind, 1, bytes(8)), f"unknown type {kind}")

WRONG = "value of the wrong type"
sets("architecture of the wrong type", "general.architecture", u32(1), f"architecture .*{WRONG}")
sets("name of the wrong type", "lstmgen.layer.0.name", u32(1), f"layer.0.name .*{WRONG}")
sets("window of the wrong type", "lstmgen.window", string("12"), f"lstmgen.window .*{WRONG}")
sets("window as f64", "lstmgen.window", f64(12.0), f"lstmgen.window .*{WRONG}")
sets("checksum of the wrong type", CHECKSUM, string("0"), f"{CHECKSUM} .*{WRONG}")
sets("vocabulary of the wrong type", "lstmgen.vocabulary", string("abc"), f"vocabulary .*{WRONG}")
sets("vocabulary of numbers", "lstmgen.vocabulary", array(U32, 11, bytes(44)), "vocabulary .*elements")
sets("prime of f32", "lstmgen.prime", array(F32, 1, bytes(4)), "prime .*elements of the wrong type")
sets("return_sequences as u32", "lstmgen.layer.0.return_sequences", u32(1), f"sequences .*{WRONG}")
sets("unknown architecture", "general.architecture", string("llama"), "expected lstmgen, .*'llama'")
sets("format 2", "lstmgen.format", u32(2), "lstmgen.format: expected 1 .*found 2")
sets("format 0", "lstmgen.format", u32(0), "lstmgen.format: expected 1 .*found 0")
sets("unknown encoding", "lstmgen.encoding", string("magic"), "lstmgen.encoding: .*'magic'")
sets("bytes that are none", "lstmgen.vocabulary_kind", string("bytes"), "expected a byte, <0x01> to <0xFF>, found 'a'")
sets("unknown vocabulary kind", "lstmgen.vocabulary_kind", string("x"), "text, tokens or bytes, found 'x'")
sets("unknown activation", "lstmgen.layer.2.activation", string("x"), "unknown activation 'x'")
sets("unknown layer type", "lstmgen.layer.0.type", string("conv"), "unknown layer type 'conv'")
sets("long unknown layer type", "lstmgen.layer.0.type", string("x" * 65_536), "unknown .*x\\.\\.\\.'")
sets("layer name with a slash", "lstmgen.layer.0.name", string("../x"), "layer.0.name: .*'../x'")
sets("layer name of 41", "lstmgen.layer.0.name", string("x" * 41), "layer.0.name: expected 1 to 40")
sets("layer without a name", "lstmgen.layer.0.name", string(""), "layer.0.name: expected 1 to 40")
sets("duplicate layer name", "lstmgen.layer.1.name", string("lstm_0"), "two layers .*lstm_0")
sets("file type 1", "general.file_type", u32(1), "general.file_type: expected 0, 24 or 32, found 1")
sets("file type bf16 of f32 tensors", "general.file_type", u32(32), "lstm_0.kernel: expected 30")


def lacks(key: str) -> None:
    mutation(f"without {key}", f"key {re.escape(key)} is missing")(lambda file: file.drop(key))


for key, _ in take_apart(SOUND).keys:
    if key.decode() not in ("lstmgen.prime", "lstmgen.vocabulary"):
        lacks(key.decode())
mutation("vocabulary_kind without vocabulary", "unknown key 'lstmgen.vocabulary_kind'")(
    lambda file: file.drop("lstmgen.vocabulary")
)

# Tensors: lstm_0.kernel is (11, 80), in the file's order 80, 11.
KERNEL = "tensor lstm_0.kernel: expected "
for what, dims in {
    "dimension of 0": [0, 11],
    "last dimension of 0": [80, 0],
    "negative dimension": [80, 2**64 - 11],
    "INT64_MAX by INT64_MAX": [2**63 - 1, 2**63 - 1],
    "product that wraps to the right number": [80, 2**60 + 11],
    "byte size that wraps to the right number": [80, 2**58 + 11],
    "padding that wraps": [2**62 - 1, 1],
    "transposed shape": [11, 80],
    "one dimension of a matrix": [880],
}.items():
    found = str(tuple(reversed(dims)))
    changes(what, KERNEL + re.escape(f"(11, 80), found {found}"), dims=dims)
for n in (0, 3, 5, 2**31, 2**32 - 1):
    changes(f"{n} dimensions", f"{KERNEL}1 or 2 dimensions, found {n}", n_dims=n)
changes("bias of two dimensions", "lstm_0.bias: expected .*80,", 2, dims=[80, 1])
changes("shape of the recurrent kernel", "lstm_0.recurrent_kernel: .*20, 80", 1, dims=[80, 21])
for dtype in (1, 2, 8, 24, 26, 28, 30, 31, 2**32 - 1):
    changes(f"tensor of type {dtype}", f"type of .*expected 0, found {dtype}", type=dtype)
changes("duplicate tensor", "expected lstm_0.recurrent_kernel, .*'lstm_0.k", 1, name=b"lstm_0.kernel")
changes("misnamed tensor", "tensor: expected lstm_0.kernel, found 'x'", name=b"x")
changes("tensor without a name", "tensor: expected lstm_0.kernel, found ''", name=b"")
changes("tensor name of 64", "a tensor's name: expected at most 63 bytes, .*64", name=b"x" * 64)
changes("tensor name that is no UTF-8", "a tensor's name: expected UTF-8", name=b"lstm_0.kernel\xff")
changes("NUL in a tensor name", "a tensor's name: expected UTF-8", name=b"lstm_0.kernel\0")

# Published flaws of readers of GGUF.
changes("CVE-2025-53630: padded tensor sizes whose sum wraps", KERNEL, dims=[2**62 - 8, 1])
changes("CVE-2026-27940: a sum that wraps once the header's size is added", KERNEL, dims=[2**62 - 512, 1])
changes("CVE-2026-33298: a quantised tensor of exabytes in a file of kilobytes", KERNEL, dims=[2**61, 32], type=24)
changes("CVE-2026-7482: a tensor that is longer than its data", KERNEL, dims=[80, 2**20])


@mutation("gate missing", "expected .*11, 80.*found .*11, 60")
def _gate_missing(file: File) -> None:
    file.tensors[0].dims = [60, 11]


@mutation("tensor missing", "number of tensors: expected 8, found 7")
def _tensor_missing(file: File) -> None:
    del file.tensors[-1]


@mutation("extra tensor", "number of tensors: expected 8, found 9")
def _extra_tensor(file: File) -> None:
    file.tensors.append(Tensor(b"extra", [1], 0, len(file.data)))


@mutation("tensors in another order", "tensor: expected lstm_0.kernel, found 'lstm_0.recurrent")
def _tensors_in_another_order(file: File) -> None:
    file.tensors[0], file.tensors[1] = file.tensors[1], file.tensors[0]


# -- offsets ---------------------------------------------------------------------------------------
SECOND = "offset of tensor lstm_0.recurrent_kernel: expected 3520, found "
for what, offset in {
    "past the end": 2**40,
    "that wraps": 2**64 - 64,
    "that overlaps": 64,
    "into the header": 2**64 - 640,
    "misaligned": 3521,
    "beside the alignment": 3524,
    "after a hole": 3584,
    "of 0": 0,
}.items():
    changes(f"offset {what}", f"{SECOND}{offset}", 1, offset=offset)
for alignment in (0, 1, 13, 32, 128, 2**31):
    sets(
        f"alignment {alignment}",
        *("general.alignment", u32(alignment), f"general.alignment: .*found {alignment}"),
    )


@mutation("hole between tensors", "offset of tensor lstm_0.recurrent_kernel")
def _hole_between_tensors(file: File) -> None:
    for tensor in file.tensors[1:]:
        tensor.offset += 64
    file.data[3520:3520] = bytes(64)


@mutation("non-zero padding between tensors", "padding: expected zeros")
def _non_zero_padding_between_tensors(file: File) -> None:
    *_, before, _ = file.tensors  # dense_2.kernel: 17 * 11 * 4 = 748 bytes, then padding
    file.data[before.offset + 748] = 1


@mutation("last number missing", "the file ends inside the tensors")
def _last_number_missing(file: File) -> None:
    del file.data[-4:]


@mutation("no data", "the file ends inside the tensors")
def _no_data(file: File) -> None:
    file.data.clear()


# -- meaning ---------------------------------------------------------------------------------------
sets("units 21", "lstmgen.layer.0.units", u32(21), r"lstm_0.kernel: expected \(11, 84\)")
sets("units 0", "lstmgen.layer.0.units", u32(0), "layer.0.units: expected 1 to 1048576, found 0")
sets("units 2^20", "lstmgen.layer.0.units", u32(2**20), r"lstm_0.kernel: expected \(11, 4194304\)")
sets("units 2^20 + 1", "lstmgen.layer.0.units", u32(2**20 + 1), "units: expected 1 to 1048576")
sets("units 2^32 - 1", "lstmgen.layer.0.units", u32(2**32 - 1), "units: expected 1 to 1048576")
sets("dense units 12", "lstmgen.layer.2.units", u32(12), "input size of a onehot network: .*12")
sets("input size 0", "lstmgen.input_size", u32(0), "input_size: expected 1 to 1048576, found 0")
sets("input size 12", "lstmgen.input_size", u32(12), "input size of a onehot network: .*11")
sets("window 65537", "lstmgen.window", u32(65_537), "lstmgen.window: expected 0 to 65536")
sets("no layers", "lstmgen.layer_count", u32(0), "layer_count: expected 1 to 256, found 0")
sets("257 layers", "lstmgen.layer_count", u32(257), "layer_count: expected 1 to 256, found 257")
sets("million layers", "lstmgen.layer_count", u32(10**6), "layer_count: expected 1 to 256, .*1000000")
sets("256 layers of which 3 are there", "lstmgen.layer_count", u32(256), "layer.3.type is missing")
sets("2 layers of 3", "lstmgen.layer_count", u32(2), "onehot network|number of tensors")
LETTERS = list("abcdefghijk")
VOCABULARY = "lstmgen.vocabulary"
sets("vocabulary of 10", VOCABULARY, strings(LETTERS[:10]), f"{VOCABULARY}: expected 11 .*found 10")
sets("vocabulary of 12", VOCABULARY, strings([*LETTERS, "l"]), f"{VOCABULARY}: expected 11 .*12")
sets("no vocabulary in the vocabulary", VOCABULARY, strings([]), f"{VOCABULARY}: expected 11 .*0")
sets("duplicate element", VOCABULARY, strings([*LETTERS[:10], "a"]), "the element 'a' twice")
sets("prime out of range", "lstmgen.prime", array(U32, 1, struct.pack("<I", 11)), "prime: .*below 11")
sets("prime of 2^32 - 1", "lstmgen.prime", array(U32, 1, b"\xff" * 4), "prime: .*below 11")
sets("prime of 65537", "lstmgen.prime", array(U32, 65_537, bytes(4 * 65_537)), "at most 65536")
sets("onehot as scaled", "lstmgen.encoding", string("scaled"), "scaled network: expected 1, found 11")
sets("onehot as index", "lstmgen.encoding", string("index"), "index and an embedding")
sets("onehot as features", "lstmgen.encoding", string("features"), "selftest.features is missing")
sets("last sequences lost", "lstmgen.layer.0.return_sequences", bytes([7, 0, 0, 0, 0]), "lstm_0: return_")
sets("another activation", "lstmgen.layer.0.activation", string("relu"), "the self-test failed")

VALUES, ZEROS, PREDICTOR = "lstmgen.input_values", "lstmgen.zero_padding", "lstmgen.predictor"
adds("input values of onehot", VALUES, array(F32, 11, bytes(44)), f"{VALUES}: only the encoding raw")
sets("onehot as raw", "lstmgen.encoding", string("raw"), "raw network: expected 1, found 11")
for flag in (ZEROS, PREDICTOR):
    adds(f"{flag} of false", flag, boolean(False), f"{flag}: expected true, or no such key")
    adds(f"{flag} as u32", flag, u32(1), f"{flag} .*{WRONG}")
    adds(f"{flag} as an array", flag, array(U32, 0), f"{flag} .*{WRONG}")
adds("a predictor with a prime", PREDICTOR, boolean(True), "lstmgen.prime: a predictor does not generate")

SELF_TEST = "lstmgen.selftest."
sets("self-test without ids", SELF_TEST + "ids", array(U32, 0), "selftest.ids: expected at least one id")
sets("self-test of 65 steps", SELF_TEST + "ids", array(U32, 65, bytes(260)), "ids: expected at most 64")
sets("self-test id", SELF_TEST + "ids", array(U32, 1, b"\xff" * 4), "selftest.ids: expected below 11, found 4294967295")
sets("self-test of 10 outputs", SELF_TEST + "output", array(F64, 10, bytes(80)), "expected 11 numbers")
sets("self-test of zeros", SELF_TEST + "output", array(F64, 11, bytes(88)), "the self-test failed")
for number in (0.0, -1.0, math.nan, math.inf):
    sets(f"tolerance {number}", SELF_TEST + "tolerance", f64(number), "tolerance: expected a finite number above 0")


@mutation("NaN in the self-test", "the self-test failed")
def _nan_in_the_self_test(file: File) -> None:
    file.set(SELF_TEST + "output", array(F64, 11, struct.pack("<11d", *[math.nan] * 11)))


def weight(index: int, value: float, at: int = 0) -> Change:
    def change(file: File) -> None:
        struct.pack_into("<f", file.data, file.tensors[index].offset + 4 * at, value)

    return change


for number in (math.nan, math.inf, -math.inf):
    for index, name in enumerate(("lstm_0.kernel", "lstm_0.recurrent_kernel", "lstm_0.bias")):
        mutation(f"{number} in {name}", f"{name} has a value that is not finite")(weight(index, number, at=79))
mutation("another weight", "the self-test failed")(weight(0, 100.0))


# Files with keys that the file above lacks.
OTHERS: dict[str, tuple[dict[str, Any], dict[str, bytes | None], str]] = {}


def keyed(name: str, message: str, file: dict[str, Any], **keys: bytes | None) -> None:
    """Set keys of lstmgen. in a file, or drop those that are None.

    message: what the error must contain.
    """
    assert name not in OTHERS
    OTHERS[name] = (file, {f"lstmgen.{key}": value for key, value in keys.items()}, message)


ONE = network([("lstm", 4), ("dense", 3, "softmax")], 1, 5)
IDS = network([("embedding", 4), ("lstm", 4), ("dense", 3, "softmax")], 3, 5)
RAW = {"of": ONE, "encoding": "raw", "input_values": [1.0, 2.0, 4.0], "vocabulary": None}
PADDED = {"zero_padding": True, "vocabulary": None}
PREDICTS = {
    "of": network([("lstm", 4), ("dense", 1, "linear")], 3, 5),
    "predictor": True,
    "prime": None,
    "vocabulary": list("xyz"),
}
FEATURES = PREDICTS | {"encoding": "features", "vocabulary": None}


def floats(*values: float) -> bytes:
    return array(F32, len(values), struct.pack(f"<{len(values)}f", *values))


keyed("no input values", f"{VALUES}: expected 3 numbers .the outputs., found 0", RAW, input_values=floats())
keyed("2 input values of 3", f"{VALUES}: expected 3 .*found 2", RAW, input_values=floats(1, 2))
keyed("4 input values of 3", f"{VALUES}: expected 3 .*found 4", RAW, input_values=floats(1, 2, 4, 8))
keyed("input values past the end", "the file ends inside an array", RAW, input_values=array(F32, 2**61 + 3, bytes(12)))
keyed("input values of f64", f"{VALUES} has elements of the wrong type", RAW, input_values=array(F64, 3, bytes(24)))
keyed("input values of ids", f"{VALUES} has elements of the wrong type", RAW, input_values=array(U32, 3, bytes(12)))
keyed("one input value", f"{VALUES} .*{WRONG}", RAW, input_values=struct.pack("<If", F32, 1))
keyed("input values as a text", f"{VALUES} .*{WRONG}", RAW, input_values=string("1 2 4"))
for number in (math.nan, math.inf, -math.inf):
    keyed(f"an input value of {number}", f"{VALUES}: expected finite numbers", RAW, input_values=floats(1, number, 4))
keyed("other input values", "the self-test failed", RAW, input_values=floats(1, 2, -4))
keyed("input values left out", "the self-test failed", RAW, input_values=None)
keyed("raw as scaled, with values", f"{VALUES}: only the encoding raw", RAW, encoding=string("scaled"))
keyed("raw as scaled", "the self-test failed", RAW, encoding=string("scaled"), input_values=None)
keyed("raw with labels", "with labels cannot have the encoding raw", RAW, labels=strings(list("abc")))
keyed("a raw predictor", "a predictor cannot have the encoding raw", RAW, predictor=boolean(True))
SCALED = RAW | {"encoding": "scaled", "input_values": None}
keyed("a scaled predictor", "a predictor cannot have the encoding scaled", SCALED, predictor=boolean(True))
keyed("zeros without a window", f"{ZEROS}: it needs a window", PADDED, window=u32(0))
keyed("zeros and an id", f"{ZEROS}: .*padding or zeros, not both", PADDED, padding=u32(0))
keyed("zeros and an id of the wrong type", f"{ZEROS}: .*padding or zeros", PADDED, padding=string("a"))
keyed("zeros of ids", f"{ZEROS}: only the encodings", {"of": IDS, "encoding": "index"}, zero_padding=boolean(True))
keyed("zeros of features", f"{ZEROS}: only the encodings", FEATURES, zero_padding=boolean(True))
keyed("a predictor that is none", "onehot network: expected 1 .*found 3", PREDICTS, predictor=None)
keyed("a predictor with labels", f"{PREDICTOR}: .* classifier", PREDICTS, labels=strings(["a"]))
keyed("a predictor's prime", "prime: a predictor does not generate", PREDICTS, prime=array(U32, 1, bytes(4)))
keyed(
    "a predictor's vocabulary of its outputs", "expected 3 .the inputs., found 1", PREDICTS, vocabulary=strings(["a"])
)
keyed("a predictor's padding", "padding: expected 0 to 2, found 3", PREDICTS, padding=u32(3))
keyed("a predictor's values", f"{VALUES}: only the encoding raw", PREDICTS, input_values=floats(1, 2, 3))
keyed("features with elements", "vocabulary: a predictor .*no elements", FEATURES, vocabulary=strings(list("abc")))
keyed("features with padding", "padding: a predictor .*no elements", FEATURES, padding=u32(0))


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_with_other_keys_is_refused_by_name(name: str) -> None:
    options, keys, message = OTHERS[name]
    file = take_apart(packed(**options))
    for key, value in keys.items():
        file.drop(key)
        if value is not None:
            file.add(key, value)
    refused(file.to_bytes(), message)


@pytest.mark.parametrize(("options", "key"), [(RAW, VALUES), (PADDED, ZEROS), (PREDICTS, PREDICTOR)])
def test_no_other_key_comes_twice(options: dict[str, Any], key: str) -> None:
    file = take_apart(packed(**options))
    file.add(key, file.get(key))
    refused(file.to_bytes(), f"'{key}' .*twice")


@pytest.mark.parametrize("name", MUTATIONS)
def test_is_refused_by_name(name: str) -> None:
    change, message = MUTATIONS[name]
    file = take_apart(SOUND)
    change(file)
    if name == "wrong checksum":
        file.set(CHECKSUM, u32(12345))
    refused(file.to_bytes(), message)


LOAD_ALL = """
import json, resource, sys
from lstmgen import _core
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))  # ends a hang
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
found = []
for i in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/{i}", "rb") as file:
        data = file.read()
    if i == 0:
        before = peak()
    try:
        _core.Model.from_bytes(data, "test.bin")
        found.append("loaded")
    except Exception as error:
        found.append(type(error).__name__)
print(json.dumps([found, peak() - before]))
"""


def test_no_mutation_takes_memory_or_hangs(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    for i, (change, _) in enumerate(MUTATIONS.values()):
        file = take_apart(SOUND)
        change(file)
        if file.tail:
            file.tail = b"\0"  # the reader cannot know the right size
        (tmp_path / str(i)).write_bytes(file.to_bytes())
    run = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, str(tmp_path), str(len(MUTATIONS))],
        capture_output=True,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr.decode()
    found, kib = json.loads(run.stdout)
    allowed = {"ModelFormatError"}
    assert {n for n, f in zip(MUTATIONS, found, strict=True) if f not in allowed} == {"wrong checksum"}
    assert kib < 4096


# -- cut and flipped -------------------------------------------------------------------------------


def test_empty() -> None:
    refused(b"", NO_MAGIC)


def test_cut_anywhere() -> None:
    for size in range(len(SMALL)):
        refused(SMALL[:size], "begins with|ends inside|general.architecture is missing")


def test_header_only() -> None:
    refused(SOUND[:24], "the file ends inside a key at byte 24")


def test_header_without_anything() -> None:
    refused(b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "general.architecture is missing")


def test_any_bit_of_the_header_flipped() -> None:
    for bit in range(8 * header_size(SMALL)):
        flipped = bytearray(SMALL)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped), "^test.bin: .")


def test_any_bit_of_the_weights_flipped() -> None:
    for bit in range(8 * header_size(SMALL), 8 * len(SMALL)):
        flipped = bytearray(SMALL)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped), "checksum is wrong|padding: expected zeros")


edits = st.lists(
    st.tuples(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


def resealed(data: bytes) -> bytes:
    """`data` with the checksum that belongs there, if its key still stands where it was."""
    at = SMALL.index(CHECKSUM.encode()) + len(CHECKSUM) + 4
    if len(data) < at + 4:
        return data
    zeroed = data[:at] + bytes(4) + data[at + 4 :]
    return data[:at] + struct.pack("<I", zlib.crc32(zeroed)) + data[at + 4 :]


@given(edits=edits, cut=st.integers(0, 8), seal=st.booleans())
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_edits_are_refused_or_harmless(edits: list[tuple[int, bytes]], cut: int, seal: bool) -> None:
    data = bytearray(SMALL)
    for at, new in edits:
        data[at : at + len(new)] = new
    del data[len(data) - cut :]
    edited = b"GGUF" + bytes(data[4:])
    try:
        model = load(resealed(edited) if seal else edited)
    except lstmgen.ModelFormatError:
        return
    assert len(lstmgen.Generator(model).sample(5, prime=[0], seed=1, refresh=None)) == 5


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_random_bytes_are_refused(data: bytes) -> None:
    refused(b"GGUF" + data, "^test.bin: .")


# -- not a file ------------------------------------------------------------------------------------


def no_file(path: Path | str, native: str, told: str) -> None:
    """Neither the engine nor the package reads `path`, and each says why."""
    with pytest.raises(OSError, match=rf"{re.escape(str(path))}.*{native}"):
        _core.Model.load(str(path))
    for read in (lstmgen.Model, lambda path: lstmgen.export(path, "never.bin")):
        with pytest.raises(lstmgen.ModelFormatError, match=rf"{re.escape(str(path))}: {told}"):
            read(path)


def test_directory(tmp_path: Path) -> None:
    no_file(tmp_path, "is a directory", "a folder")


def test_fifo(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs here")
    os.mkfifo(tmp_path / "fifo.bin")
    no_file(tmp_path / "fifo.bin", "not a regular file", "not a regular file")


def test_endless_device() -> None:
    if not os.path.exists("/dev/zero"):
        pytest.skip("no /dev/zero here")
    no_file("/dev/zero", "not a regular file", "not a regular file")


def sparse(path: Path, start: bytes, size: int) -> Path:
    path.write_bytes(start)
    try:
        os.truncate(path, size)
    except OSError:
        pytest.skip("the file system has no sparse file of this size")
    return path


def test_sparse_file_of_a_tebibyte(tmp_path: Path) -> None:
    path = sparse(tmp_path / "big.bin", SOUND, 2**40)
    with pytest.raises(lstmgen.ModelFormatError, match=r"big\.bin.*at most 4 GiB, found 1099511627776"):
        lstmgen.Model(path)
    with pytest.raises(lstmgen.ModelFormatError, match=r"big\.bin.*at most 4 GiB, found 1099511627776"):
        lstmgen.Model(path, dtype="bf16")
    with pytest.raises(lstmgen.ModelFormatError, match=r"big\.bin.*at most 4 GiB, found 1099511627776"):
        lstmgen.export(path, tmp_path / "out.bin", dtype="bf16")


def test_sparse_file_of_zeros_below_the_limit(tmp_path: Path) -> None:
    path = sparse(tmp_path / "zeros.bin", b"", 2**32)
    with pytest.raises(lstmgen.ModelFormatError, match=NO_MAGIC):
        _core.Model.load(str(path))
    with pytest.raises(lstmgen.ModelFormatError, match="begins with zeros"):
        lstmgen.Model(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.bin"
    path.touch()
    with pytest.raises(lstmgen.ModelFormatError, match=r"empty\.bin.*begins with"):
        _core.Model.load(str(path))
    with pytest.raises(lstmgen.ModelFormatError, match=r"empty\.bin: the file is empty"):
        lstmgen.Model(path)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.bin"
    path.write_bytes(SOUND[:-1])
    with pytest.raises(lstmgen.ModelFormatError, match=rf"^{re.escape(str(path))}: the file ends"):
        lstmgen.Model(path)


# -- odd, but sound --------------------------------------------------------------------------------


def distribution(of: Network) -> Any:
    return lstmgen.Generator(load(packed(of))).probabilities()


def test_keys_in_any_order_load() -> None:
    file = take_apart(SOUND)
    file.keys.reverse()
    assert lstmgen.Generator(load(file.to_bytes())).sample(20, seed=1) == (
        lstmgen.Generator(load(SOUND)).sample(20, seed=1)
    )


def test_denormal_weights_load() -> None:
    tiny = np.full((20, 80), 1e-42, np.float32)
    assert distribution(network(arrays={"lstm_0.recurrent_kernel": tiny})).sum() == pytest.approx(1)


@pytest.mark.parametrize("size", [1e30, -1e30])
def test_weights_of_1e30_give_a_distribution(size: float) -> None:
    rng = np.random.default_rng(1)
    shapes = {
        "lstm_0.kernel": (11, 80),
        "lstm_0.recurrent_kernel": (20, 80),
        "lstm_1.kernel": (20, 68),
        "dense_2.kernel": (17, 11),
    }
    large = {name: size * rng.uniform(0.1, 1, shape) for name, shape in shapes.items()}
    p = distribution(network(arrays=large))
    assert np.isfinite(p).all()
    assert p.sum() == pytest.approx(1)


def test_scale_of_zero_loads() -> None:
    layers = [("lstm", 4), ("affine",), ("dense", 5, "softmax")]
    p = distribution(network(layers, 5, arrays={"affine_1.scale": np.zeros(4)}))
    assert p.sum() == pytest.approx(1)


def test_scale_of_nan_is_refused() -> None:
    file = take_apart(packed(network([("lstm", 4), ("affine",), ("dense", 5, "softmax")], 5)))
    weight(3, math.nan)(file)
    refused(file.to_bytes(), r"affine_1\.scale has a value that is not finite")


def int8_scales(scale: float, layers: list[Any], encoding: str = "onehot") -> bytes:
    """Return a file of int8 whose first matrix (3, 16) has this scale for column 5."""
    file = take_apart(packed(network(layers, 3), encoding=encoding, dtype="int8", vocabulary=None, prime=None))
    struct.pack_into("<f", file.data, 64 + 4 * 5, scale)
    file.set("lstmgen.selftest.tolerance", f64(1.0))
    return file.to_bytes()


@pytest.mark.parametrize("scale", [3e38, -3e38, 2.7e36])
def test_a_scale_whose_products_are_not_finite_is_refused(scale: float) -> None:
    data = int8_scales(scale, [("lstm", 4), ("dense", 3, "softmax")])
    refused(
        data,
        r"test\.bin: tensor lstm_0\.kernel_scale: expected scales of at most 2\.65846e\+36, found .* in column 5",
    )


def test_the_greatest_scale_gives_a_distribution() -> None:
    model = load(int8_scales(2.6e36, [("lstm", 4), ("dense", 3, "softmax")]))
    assert lstmgen.Generator(model).sample(5, seed=1, prime=[1])


@pytest.mark.parametrize("scale", [0.0, 1e-42, 1e-30])
def test_small_scales_keep_the_identity_of_a_model_that_is_written_again(scale: float) -> None:
    data = int8_scales(scale, [("embedding", 16), ("lstm", 4), ("dense", 3, "softmax")], "index")
    model = _core.Model.from_bytes(data, "test.bin")
    again = _core.Model.from_bytes(model.to_bytes(), "again.bin")
    options = dict(refresh=0, threads=1)
    generator = _core.Generator(model, {}, **options)
    generator.feed(np.array([1, 2], np.uint32))
    other = _core.Generator.load_state(again, generator.save_state(), threads=1)  # refused for another identity
    assert list(other.sample(20)) == list(generator.sample(20))


@pytest.mark.parametrize("kind", ["gru", "lstm", "simple_rnn"])
@pytest.mark.parametrize("activation", ["tanh", "softsign"])  # one of the kernels, one that is not
def test_a_state_that_fades_has_no_tiny_numbers(kind: str, activation: str) -> None:
    of = network([(kind, 20, activation), ("dense", 20, "linear")], 3)
    arrays = {name: np.zeros_like(a) for name, a in of.layers[0].arrays.items() if "bias" in name}
    eye = {"dense_1.kernel": np.eye(20), "dense_1.bias": np.zeros(20)}
    of = network(
        [(kind, 20, activation), ("dense", 20, "linear")],
        3,
        scale=0.15,
        window=0,
        sequences=True,
        arrays=eye | {f"{kind}_0.{name}": a for name, a in arrays.items()},
    )
    x = np.zeros((1, 3000, 3), np.float32)
    x[0, :5] = 1
    y = np.abs(load(packed(of, encoding="features", vocabulary=None, prime=None)).predict(x)[0])
    assert (y[:5] > 1e-6).any()
    assert ((y == 0) | (y >= 2.0**-64)).all()
    assert not y[-1].any()


def test_subnormal_weights_and_inputs_count_as_zero() -> None:
    tiny = np.full((3, 80), 1e-40, np.float32)
    layers = [("lstm", 20), ("dense", 5, "linear")]
    features: dict[str, Any] = {"encoding": "features", "vocabulary": None, "prime": None}
    of, zero = (network(layers, 3, arrays={"lstm_0.kernel": kernel}) for kernel in (tiny, 0 * tiny))
    model, other = load(packed(of, **features)), load(packed(zero, **features))
    x = np.full((1, 12, 3), 1e30, np.float32)
    assert np.array_equal(model.predict(x), other.predict(x))
    of = network(layers, 3, arrays={"lstm_0.kernel": np.full((3, 80), 1e30, np.float32)})
    model = load(packed(of, **features))
    assert np.array_equal(model.predict(x * np.float32(1e-70)), model.predict(0 * x))
    assert np.array_equal(model.predict(np.full_like(x, 1e-40)), model.predict(0 * x))


def test_infinite_bf16_weight_is_refused() -> None:
    file = take_apart(packed(dtype="bf16"))
    file.data[0:2] = b"\x80\x7f"
    refused(file.to_bytes(), r"lstm_0\.kernel has a value that is not finite")


def test_infinite_int8_scale_is_refused() -> None:
    data = packed(dtype="int8")
    file = take_apart(data)
    at = 11 * 80  # kernel of lstm_0, (11, 80), a multiple of 16 bytes
    at += -at % 64
    struct.pack_into("<f", file.data, at, math.inf)
    refused(file.to_bytes(), r"lstm_0\.kernel_scale has a value that is not finite")


def test_int8_matrix_without_scales_is_refused() -> None:
    file = take_apart(packed(dtype="bf16"))
    file.set("general.file_type", u32(24))
    refused(file.to_bytes(), "number of tensors: expected 13, found 8")


def test_empty_element_is_the_padding_alone() -> None:
    file = take_apart(SOUND)
    file.set(VOCABULARY, strings(["", *LETTERS[1:]]))
    refused(file.to_bytes(), "the vocabulary has an empty element that is no padding")
    file.add("lstmgen.padding", u32(0))
    assert load(file.to_bytes()).padding == 0


# -- budgets: what a small file may ask for --------------------------------------------------------


def of_steps(steps: int) -> bytes:
    """Return a small file of a network that takes all steps of a long window at once."""
    layers = [("reverse",), ("lstm", 1), ("dense", 3, "softmax")]
    data = packed(network(layers, inputs=3, window=4), prime=None)
    file = take_apart(data)
    file.set("lstmgen.window", u32(steps))
    file.set("lstmgen.selftest.ids", array(U32, steps, bytes(4 * steps)))
    return file.to_bytes()


def repeated(times: int, units: int) -> bytes:
    """Return a file of one LSTM that reads its one vector many times."""
    layers = [("lstm", 4), ("repeat", 4), ("lstm", units), ("dense", 3, "softmax")]
    of = network(layers, inputs=3, window=4, vectors=[0])
    file = take_apart(packed(of, prime=None))
    file.set("lstmgen.layer.1.steps", u32(times))
    return file.to_bytes()


def test_a_small_file_cannot_ask_for_much_work() -> None:
    data = repeated(65536, 64)
    most = 2**28 + 8192 * len(data)
    with pytest.raises(lstmgen.ModelFormatError) as raised:
        _core.Model.from_bytes(data, "test.bin")
    found = re.fullmatch(
        rf"test\.bin: the self-test of \d+ steps: expected at most {most} multiply-adds "
        rf"for a file of {len(data)} bytes, found (\d+)",
        str(raised.value),
    )
    assert found, raised.value
    assert int(found[1]) > 65536 * 4 * 64 * 64


def test_a_network_that_needs_a_long_window_at_once_loads_in_int8() -> None:
    """The work of its self-test grows with the window, and its file does not."""
    layers: list[Any] = [("lstm", 160), ("dense", 1, "tanh"), ("reshape", 0, 8000), ("dense", 11, "softmax")]
    model = load(packed(network(layers, window=8000, sequences=True), dtype="int8", vocabulary=None, prime=None))
    assert (model.window, model.dtype) == (8000, "int8")


def test_a_small_file_cannot_ask_for_much_memory() -> None:
    layers: list[Any] = [("lstm", 4), ("repeat", 4)]
    layers += [("activation", "relu")] * 60
    layers += [("lstm", 1), ("dense", 3, "softmax")]
    file = take_apart(packed(network(layers, inputs=3, window=4, vectors=[0]), prime=None))
    file.set("lstmgen.layer.1.steps", u32(65536 // 8))
    data = file.to_bytes()
    refused(data, rf"expected at most {2**24 + 64 * len(data)} bytes of memory for a file of {len(data)} bytes")


def test_a_file_within_the_budget_loads_at_any_length_of_its_window() -> None:
    for steps in (1, 1000):
        with pytest.raises(lstmgen.ModelFormatError, match="the self-test failed"):  # its output is another
            load(of_steps(steps))
