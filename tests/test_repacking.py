"""A `.bin` read back and written at another dtype."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import exporting
from lstmgen.binfile import writer
from lstmgen.binfile.repacking import _unpack
from lstmgen.cli import main as cli
from lstmgen.network import NETWORK_INPUT
from support.networks import network, packed

GRAPH = network(
    [
        ("mask", 0.25),
        ("gru", 7, "elu", "sigmoid", False),
        ("rectifier", 0.1, 0.0, 6.0),
        ("layer_norm", 1e-3),
        ("lstm", 5),
    ],
    inputs=3,
    window=6,
    reads={1: (NETWORK_INPUT, 0), 4: (3, 0)},
)
FILES: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": (network(), {"name": "n", "license": "MIT", "source_url": "u", "card": '{"a": 1}', "author": "a"}),
    "embedding and padding": (
        network([("embedding", 4), ("lstm", 5), ("dense", 11, "softmax")]),
        {"encoding": "index", "vocabulary": ["", *"bcdefghijk"], "padding": 0, "description": "d"},
    ),
    "features": (GRAPH, {"encoding": "features"}),
    "classifier": (
        network([("lstm", 5), ("dense", 2, "softmax")], 3),
        {"labels": ["x", "y"], "vocabulary": list("abc"), "prime": None},
    ),
    "tokens, no prime": (network(), {"vocabulary": list("abcdefghijk"), "vocabulary_kind": "tokens", "prime": None}),
    "raw": (
        network([("lstm", 5), ("dense", 11, "softmax")], 1),
        {"encoding": "raw", "input_values": [i / 3 for i in range(11)], "zero_padding": True},
    ),
    "predictor": (
        network([("lstm", 5), ("dense", 2, "linear")], 3),
        {"predictor": True, "vocabulary": list("abc"), "padding": 2, "prime": None},
    ),
    "whole": (network([("reshape", 3, 22), ("lstm", 4), ("dense", 11, "softmax")], window=6), {}),
}


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_read_back_gives_the_same_bytes(name: str, dtype: str) -> None:
    of, options = FILES[name]
    data = packed(of, dtype=dtype, **options)
    assert writer.pack(**_unpack(data), dtype=dtype) == data


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_from_f32_it_is_what_an_export_at_that_dtype_gives(dtype: str) -> None:
    assert exporting.convert(packed(), dtype=dtype) == packed(dtype=dtype)


def test_rounded_numbers_stay(tmp_path: Path) -> None:
    path = tmp_path / "int8.bin"
    path.write_bytes(packed(dtype="int8"))
    wide = lstmgen.Model(path, dtype="f32")
    assert wide.dtype == "f32"
    ids = np.arange(12)[None] % 11
    np.testing.assert_allclose(wide.predict(ids), lstmgen.Model(path).predict(ids), rtol=3e-3)


def test_the_same_dtype_is_the_same_file() -> None:
    data = packed(dtype="int8")
    assert exporting.convert(data, dtype="int8") == data


@pytest.mark.skipif(os.name == "nt", reason="Windows numbers the modes in another way")
@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_no_rounding_mode_of_the_program_changes_a_byte(tmp_path: Path, dtype: str) -> None:
    c = ctypes.CDLL(None)
    data, expected = packed(), packed(dtype=dtype)
    tried = 0
    for mode in (0x400, 0x800, 0xC00, 0x400000, 0x800000, 0xC00000):  # of x86, then of ARM
        if c.fesetround(mode) != 0:
            continue  # there is no such mode here
        try:
            exported, loaded = exporting.convert(data, dtype=dtype), lstmgen.Model(data, dtype=dtype).to_bytes()
            assert c.fegetround() == mode
        finally:
            c.fesetround(0)
        assert exported == loaded == expected
        tried += 1
    assert tried == 3


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    a.write_bytes(packed())
    assert cli.main(["export", str(a), str(b), "--dtype", "int8"]) == 0
    assert b.read_bytes() == packed(dtype="int8")
    assert capsys.readouterr().err.startswith(f"{b}: {b.stat().st_size:,} bytes\n")
    assert cli.main(["export", str(a), str(b), "--name", "x", "--dtype", "bf16"]) == 1
    assert (
        "a.bin: expected only the options --dtype, --grammar, --card for a .bin, found --name"
        in capsys.readouterr().err
    )
    assert b.read_bytes() == packed(dtype="int8")


def test_a_broken_file_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.bin"
    path.write_bytes(packed()[:-1])
    with pytest.raises(lstmgen.ModelFormatError, match=r"broken\.bin"):
        lstmgen.export(path, tmp_path / "out.bin", dtype="int8")
    assert not (tmp_path / "out.bin").exists()
    with pytest.raises(ValueError, match=r"dtype: expected one of f32, bf16, int8, found 'int4'"):
        exporting.convert(packed(), dtype="int4")


def test_facts_of_a_card_are_replaced(tmp_path: Path) -> None:
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    a.write_bytes(packed(card='{"data": "mine", "sample": {"temp": 0.5, "top_k": 3}}'))
    assert cli.main(["export", str(a), str(b), "--temp", "0.75", "--min-p", "0.0625"]) == 0
    model = lstmgen.Model(b)
    assert model.metadata["card"] == {"data": "mine", "sample": {"temp": 0.75, "top_k": 3, "min_p": 0.0625}}
    assert lstmgen.Generator(model).sample(9, seed=1) == lstmgen.Generator(a).sample(9, seed=1)
    with pytest.raises(ValueError, match="card"):
        exporting.convert(packed(), card=f'{{"data": "{"x" * 2**20}"}}')


def test_a_model_without_a_card_takes_one() -> None:
    data = exporting.convert(packed(), card={"data": "mine"})
    assert lstmgen.Model(data).metadata["card"] == {"data": "mine"}
