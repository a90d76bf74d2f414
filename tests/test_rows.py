"""Many samples as rows: each is what `sample` draws, and a run that was ended continues."""

from __future__ import annotations

import functools
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.binfile import writer
from lstmgen.cli import main as cli
from lstmgen.generator import Row
from lstmgen.heads import Head, to_card
from lstmgen.music import NoteGenerator
from lstmgen.network import Layer, Network
from lstmgen.rows import Parts, Rows, parts_of, read, write_rows
from support.networks import network, packed
from support.slow import slow_but

LONG: Any = {"length": 20, "temp": 0.8, "refresh": None, "seed": 40}


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator("latex")


def loaded(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


# -- what a row is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_is_that_of_sample_with_its_seed(gen: lstmgen.Generator, threads: int) -> None:
    several = lstmgen.Generator(gen.model, threads=threads)
    options: Any = {"temp": 0.8, "stop": ".", "prime": "\\begin{lemma}\n", "include_prime": True, "refresh": None}
    for row in several.sample_rows(5, 60, first=3, seed=2**63, **options):
        assert row.seed == 2**63 + row.index
        assert row.sequence == gen.sample(60, seed=row.seed, **options)
        assert row.length == len(row.sequence) - len("\\begin{lemma}\n")


def test_a_row_depends_on_its_index_alone(gen: lstmgen.Generator) -> None:
    rows = Rows(gen.model, **LONG)
    all_of_them = list(rows.draw(range(200)))
    assert [row.index for row in all_of_them] == list(range(200))
    for indices in (range(1), range(7, 9), range(95, 98), range(150, 200)):
        assert list(rows.draw(indices)) == all_of_them[indices.start : indices.stop]
    other = pickle.loads(pickle.dumps(Rows(gen.model, threads=2, **LONG)))
    assert list(other.draw(range(200))) == all_of_them


def test_the_score_is_the_sum_of_log_probabilities(gen: lstmgen.Generator) -> None:
    (row,) = gen.sample_rows(1, 30, scores=True, seed=3, prime="Let $X$", refresh=None)
    logs = gen.log_probabilities("Let $X$" + row.sequence, refresh=None)
    assert row.log_probability == pytest.approx(logs[-30:].sum(), abs=1e-4)


def test_the_score_is_that_of_the_network_whatever_may_be_drawn() -> None:
    bias = np.array([0, -4000], np.float32)
    arrays = {"kernel": np.zeros((2, 2), np.float32), "bias": bias}
    arrays["recurrent_kernel"] = np.zeros((2, 2), np.float32)
    rnn: Any = {"units": 2, "activation": "linear", "return_sequences": False}
    layers = (Layer("simple_rnn", "rnn", rnn, arrays), Layer("activation", "out", {"activation": "softmax"}, {}))
    gen = lstmgen.Generator(packed(Network(layers, 1, 2, "")))
    assert gen.sample_rows(1, 1, scores=True, allow="b", seed=1)[0].log_probability == pytest.approx(-4000)


def test_one_value_holds_for_all_rows(gen: lstmgen.Generator) -> None:
    with pytest.raises(lstmgen.OptionError, match="temp: expected a number"):
        gen.sample_rows(2, 5, [0.5, 0.6])  # type: ignore[arg-type]
    with pytest.raises(lstmgen.OptionError, match="seed: expected an integer"):
        gen.sample_rows(2, 5, seed=[1, 2])
    with pytest.raises(lstmgen.OptionError, match=r"seed: expected below 2\*\*64"):
        gen.sample_rows(2, 5, seed=2**64 - 1)
    assert gen.sample_rows(1, 5, seed=2**64 - 1)[0].seed == 2**64 - 1
    assert gen.sample_rows(0) == []
    with pytest.raises(TypeError, match="unexpected keyword argument 'best_of'"):
        Rows(gen.model, best_of=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["text", "elements", "ids", "notes"])
def test_a_table_has_what_was_drawn(column: str, suffix: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"length": 6, "seed": 2**63 - 1}
    if column == "text":
        source: Any = "latex"
    elif column == "elements":
        source = "music"
    elif column == "ids":
        source, options["prime"] = lstmgen.Model(packed(network(), vocabulary=None, prime=None)), [1, 2]
    else:
        source = notes_model()
    path = tmp_path / f"out{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    scores = column != "notes"
    write_rows(source, 3, path, scores=scores, **options)
    rows = loaded(path)
    seeds = [2**63 - 1 + i for i in range(3)]
    assert [(row["index"], row["seed"], row["length"]) for row in rows] == [(i, seeds[i], 6) for i in range(3)]
    assert list(rows[0]) == ["index", "seed", column, "length", "log_probability"][: 5 if scores else 4]
    if column == "notes":
        drawn = [NoteGenerator(source).sample(6, seed=seed) for seed in seeds]
        assert [row["notes"] for row in rows] == [[note._asdict() for note in notes] for notes in drawn]
        with pytest.raises(ValueError, match="scores: a model of notes"):
            write_rows(source, 3, path, scores=True)
    else:
        assert all(row["log_probability"] < 0 for row in rows)
        del options["seed"]
        alone = lstmgen.Generator(source)
        assert [row[column] for row in rows] == [alone.sample(seed=seed, **options) for seed in seeds]
    assert list(tmp_path.iterdir()) == [path]


def notes_model() -> bytes:
    """A network that draws the pitches 60 to 62, all as likely."""
    bias = np.full(5, 0.25, np.float32)
    arrays = {"kernel": np.zeros((3, 5), np.float32), "bias": bias, "recurrent_kernel": np.zeros((5, 5), np.float32)}
    options: Any = {"units": 5, "activation": "linear", "return_sequences": False}
    heads = [Head("pitch", 3, "logits", 1, lowest=60), Head("step", 1, "number", 1), Head("duration", 1, "number", 1)]
    card = json.dumps({"heads": to_card(heads)})
    return writer.pack(
        Network((Layer("simple_rnn", "note", options, arrays),), 4, 3, ""), encoding="features", card=card
    )


# -- parts -----------------------------------------------------------------------------------------


class Ended(Exception):
    """Stands for whatever ends a run."""


def ended_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run end in the middle of a part, when there are `parts`."""
    written: list[range] = []
    write = Parts.write

    def some(self: Parts, indices: range, rows: Iterator[Row], columns: Any) -> None:
        if len(written) == parts:
            next(iter(rows))
            monkeypatch.setattr(Parts, "write", write)
            raise Ended
        written.append(indices)
        write(self, indices, rows, columns)

    monkeypatch.setattr(Parts, "write", some)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_run_that_was_ended_continues(
    suffix: str, gen: lstmgen.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    monkeypatch.setattr("lstmgen.rows.PART", 10)
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    write_rows(gen.model, 47, whole, **LONG)
    monkeypatch.setattr("lstmgen.rows.PART", 7)
    ended_after(3, monkeypatch)
    with pytest.raises(Ended):
        write_rows(gen.model, 40, path, **LONG)
    parts = parts_of(path)
    assert (parts.done(40), parts.done(15), parts.seed, path.exists()) == (21, 15, 40, False)
    monkeypatch.setattr("lstmgen.rows.PART", 10)
    drawn: list[int] = []
    draw = Rows.draw

    def counting(self: Rows, indices: range) -> Iterator[Row]:
        for row in draw(self, indices):
            drawn.append(row.index)
            yield row

    monkeypatch.setattr(Rows, "draw", counting)
    write_rows(gen.model, 47, path, **{**LONG, "seed": None})  # its seed is that of the parts
    assert drawn == list(range(21, 47))
    assert loaded(path) == loaded(whole)
    assert not parts.folder.exists()


def test_fewer_rows_than_the_parts_have(
    gen: lstmgen.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    write_rows(gen.model, 20, path, **LONG)
    whole = loaded(path)
    monkeypatch.setattr("lstmgen.rows.PART", 8)
    ended_after(2, monkeypatch)
    with pytest.raises(Ended):
        write_rows(gen.model, 30, path, **LONG)
    assert loaded(path) == whole  # the file is what it was until all is there
    write_rows(gen.model, 11, path, **LONG)
    assert loaded(path) == whole[:11]


def test_parts_that_overlap_give_each_row_once(gen: lstmgen.Generator, tmp_path: Path) -> None:
    rows = Rows(gen.model, **LONG)
    for suffix in (".jsonl", ".parquet"):
        if suffix == ".parquet":
            pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
        parts = Parts(tmp_path / suffix, suffix)
        parts.begin(rows.recipe())
        for indices in (range(4, 9), range(4), range(2, 6), range(12, 14)):
            parts.write(indices, rows.draw(indices), rows.columns)
        assert parts.missing(16, 2) == [range(9, 11), range(11, 12), range(14, 16)]
        with pytest.raises(ValueError, match="the rows 9 to 11 are missing"):
            parts.join(16, tmp_path / f"out{suffix}", rows.columns)
        for indices in parts.missing(16, 2):
            parts.write(indices, rows.draw(indices), rows.columns)
        parts.join(16, tmp_path / f"out{suffix}", rows.columns)
        assert [row["index"] for row in loaded(tmp_path / f"out{suffix}")] == list(range(16))


def test_parts_of_another_run_are_refused(gen: lstmgen.Generator, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", ".jsonl")
    parts.begin(Rows(gen.model, **LONG).recipe())
    parts.begin(Rows(gen.model, threads=2, **LONG).recipe())  # changes no row
    for change, told in (
        ({"temp": 0.5}, "another temp: expected 0.5, found 0.8"),
        ({"seed": 41}, "another seed: expected 41, found 40"),
        ({"scores": True}, "another scores: expected True, found no value"),
        ({"stop": "."}, "another stop: expected '.', found no value"),
    ):
        with pytest.raises(ValueError, match=told):
            parts.begin(Rows(gen.model, **{**LONG, **change}).recipe())
    with pytest.raises(ValueError, match="another model"):
        parts.begin(Rows("music", **LONG).recipe())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").write_text("")
    with pytest.raises(ValueError, match="found other files"):
        Parts(tmp_path / "full", ".jsonl").begin(Rows(gen.model, **LONG).recipe())


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_damage_is_named(suffix: str, gen: lstmgen.Generator, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    rows = Rows(gen.model, **LONG)
    parts = Parts(tmp_path / "parts", suffix)
    parts.begin(rows.recipe())
    parts.write(range(4), rows.draw(range(4)), rows.columns)
    (piece,) = parts.pieces(4)
    data = piece.path.read_bytes()
    piece.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"part-000000000000-000000000004.*Delete it"):
        parts.join(4, tmp_path / f"out{suffix}", rows.columns)
    assert not (tmp_path / f"out{suffix}").exists()
    (parts.folder / "_run.json").write_text("{")
    with pytest.raises(ValueError, match=r"_run\.json: damaged"):
        parts.begin(rows.recipe())


def test_a_part_of_parquet_is_read_alone(gen: lstmgen.Generator, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    rows = Rows(gen.model, **LONG)
    parts = Parts(tmp_path, ".parquet")
    parts.write(range(5), rows.draw(range(5)), rows.columns)
    assert read(parts.pieces(2)[0])["index"].to_pylist() == [0, 1]


# -- the command -----------------------------------------------------------------------------------


def test_the_command_writes_rows(gen: lstmgen.Generator, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.jsonl"
    line = ["sample", "latex", "--many", "3", "-n", "30", "--seed", "7", "--temp", "0.8", "--min-p", "0"]
    line += ["--carry", "--no-grammar"]
    assert cli.main([*line, "-o", str(path)]) == 0
    assert cli.main(line) == 0
    assert capfd.readouterr().out == path.read_text(encoding="utf-8")
    expected = [gen.sample(30, 0.8, seed=7 + i, refresh=None) for i in range(3)]
    assert [row["text"] for row in loaded(path)] == expected


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["-o", "out.txt"], r"out\.txt: expected a name that ends in \.jsonl or \.parquet"),
        (["-o", "a.jsonl", "-o", "b.jsonl"], "--many: expected one -o, found 2"),
        (["--scores", "--live"], "--live: expected no --many"),
        (["--best-of", "2"], "--best-of: expected no --many"),
        (["--seed", str(2**64 - 1), "-o", "a.jsonl"], "--seed: expected below"),
    ],
)
def test_what_the_command_refuses(
    more: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "latex", "--many", "3", "-n", "5", *more]) == 1
    assert re.search(told, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("end", slow_but({signal.SIGKILL}, [signal.SIGKILL, signal.SIGINT], "draws thousands of rows"))
def test_a_killed_command_continues(end: int, tmp_path: Path) -> None:
    rows = 4 * 960
    path, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    write_rows("latex", rows, whole, 30, 0.67, min_p=0, seed=9, refresh=None)
    line = [
        sys.executable,
        "-m",
        "lstmgen",
        "sample",
        "latex",
        "--many",
        str(rows),
        "-n",
        "30",
        "--carry",
        "--min-p",
        "0",
    ]
    line += ["--temp", "0.67", "--no-grammar", "--seed", "9", "-o", str(path)]
    parts = parts_of(path)
    hearing = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, preexec_fn=hearing) as run:
        while parts.done(rows) == 0:
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.001)
        os.kill(run.pid, end)
        told = run.communicate()[1]
    done = parts.done(rows)
    assert 960 <= done < rows and not path.exists()
    assert (f"has {done} of {rows} rows; the same command continues" in told) == (end == signal.SIGINT)
    again = subprocess.run(line, capture_output=True, text=True, check=True)
    assert f"{done} of {rows} rows exist" in again.stderr
    assert path.read_bytes() == whole.read_bytes()
    assert not parts.folder.exists()
