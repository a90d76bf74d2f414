"""`-` stands for standard input and output, and `--json` is for programs."""

from __future__ import annotations

import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import bench, bundled
from lstmgen.cli import main as cli
from support.networks import classifier, packed


class Piped:
    """Runs command lines in this process, with bytes on stdin; keeps what they print."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch, self._capture = monkeypatch, capture

    def __call__(self, given: bytes, *argv: object, status: int = 0) -> bytes:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        found = cli.main([str(word) for word in argv])
        out, err = self._capture.readouterr()
        self.err = err.decode()
        assert found == status, self.err
        return out


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Piped:
    return Piped(monkeypatch, capsysbinary)


# -- the model on stdin ----------------------------------------------------------------------------


def test_sample_takes_a_bin_from_stdin(piped: Piped) -> None:
    out = piped(packed(), "sample", "-", "--length", 50, "--seed", 7)
    assert out.decode() == lstmgen.Generator(packed()).sample(50, seed=7)


def test_info_takes_a_bin_or_a_file_of_keras_from_stdin(piped: Piped, small_h5: Path) -> None:
    assert json.loads(piped(packed(), "info", "-", "--json"))["encoding"] == "onehot"
    assert b"LSTM" in piped(small_h5.read_bytes(), "info", "-")


def test_predict_reads_and_writes(piped: Piped) -> None:
    want = lstmgen.Model(packed()).predict([[1, 2, 3]])
    ids = io.BytesIO()
    np.save(ids, np.array([[1, 2, 3]]))
    path = bundled.bundled()["latex"]
    out = piped(ids.getvalue(), "predict", path, "-", "-o", "-")
    np.testing.assert_array_equal(np.load(io.BytesIO(out)), lstmgen.Model("latex").predict([[1, 2, 3]]))
    assert want.shape == (1, 11)


def test_classify_takes_the_model_or_the_lines_from_stdin(piped: Piped, tmp_path: Path) -> None:
    (tmp_path / "c.bin").write_bytes(classifier())
    by_model = piped(classifier(), "classify", "-", "abc", "b", "--json")
    assert piped(b"abc\n\nb\n", "classify", tmp_path / "c.bin", "--file", "-", "--json") == by_model
    assert [one["sequence"] for one in json.loads(by_model)] == ["abc", "b"]
    piped(b"abc\nx\n", "classify", tmp_path / "c.bin", "--file", "-", status=1)
    assert "stdin: line 2: " in piped.err


def test_an_export_goes_through_a_pipe(piped: Piped, small_h5: Path, tmp_path: Path) -> None:
    piped(b"", "export", small_h5, tmp_path / "out.bin")  # its card has the words of the command line
    assert piped(small_h5.read_bytes(), "export", "-", "-") == (tmp_path / "out.bin").read_bytes()
    assert "stdout: " in piped.err


def test_a_prime_comes_from_stdin(piped: Piped, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    want = lstmgen.Generator(packed()).sample(20, prime="abcd", seed=1).encode()  # type: ignore[union-attr]
    for name in ("--prime", "--prime-file"):
        assert piped(b"abcd", "sample", tmp_path / "m.bin", name, "-", "--seed", 1, "--length", 20) == want
    piped(b"\xff", "sample", tmp_path / "m.bin", "--prime-file", "-", status=1)
    assert piped.err.startswith("lstmgen: stdin: not UTF-8")


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "-", "--prime", "-"],
        ["sample", "-", "--prime-file", "-"],
        ["classify", "-", "--file", "-"],
        ["predict", "-", "-"],
        ["bench", "-", "--text", "-"],
    ],
)
def test_two_arguments_cannot_share_stdin(piped: Piped, argv: list[str]) -> None:
    piped(b"", *argv, status=1)
    assert piped.err == "lstmgen: -: stdin can be read only once: name a file for one of the two arguments\n"


@pytest.mark.parametrize("argv", [["export", "{h5}", "-"], ["predict", "latex", "--example", "-o", "-"]])
def test_bytes_do_not_go_to_a_terminal(
    argv: list[str], small_h5: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main([word.format(h5=small_h5) for word in argv]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "a terminal cannot show" in err


# -- json ------------------------------------------------------------------------------------------


def test_bench_as_json(piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("measure", "advise"):
        measured: Any = getattr(bench, name)
        monkeypatch.setattr(bench, name, lambda model, of=measured, **options: of(model, 0.02, **options))
    facts = json.loads(piped(packed(), "bench", "-", "--json"))
    assert [mode["name"] for mode in facts["modes"]] == ["window (--refresh 1)", "carried (--carry)"]
    assert all(mode["elements_per_second"] > 0 for mode in facts["modes"])
    assert "--dtype int8" in [one["option"] for one in facts["options"]]
    assert facts["recommended"] == [one["option"] for one in facts["options"] if one["recommended"]]
    assert (facts["isa"], facts["threads"]) == (lstmgen.Model(packed()).isa, 1)


def test_verify_as_json(piped: Piped, small_h5: Path) -> None:
    argv = ("verify", "-", small_h5, "--as-saved", "--json")
    lstmgen.export(small_h5, out := small_h5.with_suffix(".bin"))
    facts = json.loads(piped(out.read_bytes(), *argv))
    assert facts["passed"] is True
    assert facts["error"] <= facts["most"]
    assert facts["windows"] == 40
    with h5py.File(small_h5, "r+") as file:
        file["model_weights/dense_1/dense_1/kernel:0"][0, 0] = 2.0
    changed = json.loads(piped(out.read_bytes(), *argv, status=1))
    assert (changed["passed"], changed["steps"]) == (False, facts["steps"])
    assert changed["error"] > changed["most"]


def test_an_export_says_what_comes_next(piped: Piped, small_h5: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    piped(b"", "export", small_h5, out)
    (line,) = [line for line in piped.err.splitlines() if line.startswith("next: ")]
    assert str(out) in shlex.split(line)
    piped(b"", *shlex.split(line)[2:])
