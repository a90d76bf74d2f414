"""Work that takes long shows a bar on a terminal or in a notebook, and nothing in a pipe."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import _core, progress
from lstmgen.cli import main as cli
from lstmgen.training.progress import Bar
from support.networks import network, packed
from support.terminals import Terminal


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal on which bars appear at once."""
    monkeypatch.setattr(sys, "stderr", found := Terminal())
    monkeypatch.setattr(progress, "DELAY", 0.0)
    return found


def test_a_bar_tells_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    assert list(progress.counted(range(3), 3, "steps", "walking")) == [0, 1, 2]
    with progress.bar(3, "steps", "walking", mininterval=0) as shown:
        shown.update(2)
    assert "walking:  67%" in terminal.getvalue()
    assert " steps/s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")  # the line is empty at the end


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "DELAY", 60.0)
    list(progress.counted(range(1000), 1000, "steps"))
    with progress.busy("thinking"):
        pass
    assert terminal.getvalue().strip("\r ") == ""


def test_nothing_is_shown_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    monkeypatch.setattr(progress, "DELAY", 0.0)
    list(progress.counted(range(1000), 1000, "steps"))
    with progress.busy("thinking"):
        time.sleep(0.01)
    assert pipe.getvalue() == ""


def test_a_notebook_shows_bars_though_its_stderr_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(sys, "stderr", page := io.StringIO())
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)  # no ipywidgets
    list(progress.counted(range(3), 3, "steps"))
    assert "1/3" in page.getvalue()


def test_work_that_cannot_be_counted_shows_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_TICK", 0.02)
    with pytest.raises(ZeroDivisionError), progress.busy("thinking"):
        time.sleep(0.3)
        1 / 0  # noqa: B018
    assert terminal.getvalue().count("thinking: 00:00 so far") >= 2
    assert terminal.getvalue().endswith("\r")


@pytest.mark.parametrize(
    ("call", "unit"),
    [
        (lambda gen: gen.sample(5000, seed=1), "elements"),
        (lambda gen: gen.stream(seed=1, logprobs=2).take(300), "elements"),
        (lambda gen: gen.sample(100, seed=1, best_of=300), "searching"),
        (lambda gen: gen.sample(200, beam=3), "searching"),
        (lambda gen: gen.sample_many(300, 200, seed=1), "elements"),
        (lambda gen: gen.score("abcd" * 500), "scoring"),
        (lambda gen: gen.model.predict(np.zeros((5000, 4), int)), "steps"),
    ],
    ids=["sample", "logprobs", "best_of", "beam", "sample_many", "score", "predict"],
)
def test_long_calls_of_the_library_show_a_bar_and_give_the_same(
    call: Callable[[lstmgen.Generator], Any], unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen = lstmgen.Generator(packed())
    want = call(gen)
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_PIECE", 1e-4)
    assert np.array_equal(call(gen), want)
    assert unit in terminal.getvalue()


def test_a_sample_ends_where_its_stop_is_however_it_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    gen = lstmgen.Generator(packed())
    stop = str(gen.sample(400, seed=1))[300:306]
    want = gen.sample(400, seed=1, stop=stop)
    on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_PIECE", 0.0)  # an element at a time
    assert gen.sample(400, seed=1, stop=stop) == want


def test_work_inside_of_work_that_has_a_bar_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    for _ in progress.counted(range(3), 3, "texts"):
        assert list(progress.pieces(10, "elements")) == [10]
    with progress.bar(3, "rows"):
        assert list(progress.pieces(10, "elements")) == [10]
    assert "elements" not in terminal.getvalue()
    assert len(list(progress.pieces(10, "elements"))) > 1


def test_other_threads_and_programs_that_forbid_it_show_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: list(progress.pieces(10, "elements"))).result() == [10]
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(progress.pieces(10, "elements")) == [10]
    with progress.bar(3, "rows") as shown:
        shown.update(3)
    assert terminal.getvalue() == ""


def test_what_a_bar_raises_ends_the_native_call() -> None:
    model = lstmgen.Model(packed())
    prime = np.zeros(4, np.uint32)

    def interrupted(done: int) -> None:
        assert done > 0
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _core.sample_many(
            model._native,
            [prime] * 2,
            [{}] * 2,
            length=10**9,
            stops=[],
            refresh=1,
            threads=1,
            progress=interrupted,
        )
    with pytest.raises(ZeroDivisionError):
        model._native.predict_ids(np.zeros((1, 10**7), np.uint32), progress=interrupted)


def test_the_steps_of_a_sequence_are_counted_up_to_all_of_them() -> None:
    model = lstmgen.Model(packed(network([("lstm", 300), ("dense", 11, "softmax")])))
    told: list[int] = []
    model._native.predict_ids(np.zeros((1, 30_000), np.uint32), progress=told.append)
    assert told == sorted(told)
    assert told == [] or told[-1] <= 30_000  # nothing is told in the first 100 ms


def saved(folder: Path) -> Path:
    """Return a file of weights as Keras 3 writes it."""
    shapes = {"lstm/cell/vars/0": (3, 8), "lstm/cell/vars/1": (2, 8), "lstm/cell/vars/2": (8,)}
    shapes |= {"dense/vars/0": (2, 3), "dense/vars/1": (3,)}
    with h5py.File(path := folder / "m.weights.h5", "w") as file:
        for name, shape in shapes.items():
            file[f"layers/{name}"] = np.ones(shape, np.float32)
    return path


def test_what_can_be_counted_in_work_that_cannot_has_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["--config", "Input((None, 3)), LSTM(2), Dense(3, softmax)"]
    out, keras_file = str(tmp_path / "m.bin"), str(saved(tmp_path))
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_TICK", 0.01)
    assert cli.main(["export", keras_file, out, *told, "--encoding", "onehot"]) == 0, terminal.getvalue()
    assert "exporting: 00:00 so far" in terminal.getvalue()
    assert "making the self-test: " in terminal.getvalue()
    assert "1/16 [" in terminal.getvalue()  # 8 steps, in float64 and in float32
    assert cli.main(["verify", out, keras_file, *told, "--as-saved", "--windows", "4"]) == 0
    assert "comparing 4 windows: 00:00 so far" in terminal.getvalue()
    assert "evaluating in float64: " in terminal.getvalue()
    assert "1/250 [" in terminal.getvalue()  # 50 steps, exactly and with four roundings


def test_a_training_tells_the_time_to_its_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    bar = Bar()
    bar.draw(2, 40, 1, 30, "1.500 bits/char", 7200)
    time.sleep(0.15)
    bar.draw(2, 40, 15, 30, "1.400 bits/char", 7100)
    assert "epoch 2/40:  50%" in terminal.getvalue()
    assert "15/30" in terminal.getvalue()
    assert "1.400 bits/char, 2.0 h to the last epoch" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().endswith("\r")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["sample", "m.bin", "-n", "40", "-o", "out.txt"], "elements"),
        (["sample", "m.bin", "-n", "40", "--best-of", "3"], "searching"),
        (["predict", "m.bin", "ids.npy"], "sequences"),
        (["export", "m.bin", "small.bin", "--dtype", "int8"], "exporting"),
        (["sample", "m.bin", "-n", "40", "--beam", "2"], "searching"),
        (["sample", "m.bin", "--many", "3", "-n", "40", "-o", "out.jsonl"], "rows"),
        pytest.param(["bench", "m.bin"], "measuring", marks=pytest.mark.slow(reason="measures for seconds")),
    ],
)
def test_commands_that_may_take_long_show_it(
    argv: list[str], shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("m.bin").write_bytes(packed())
    np.save("ids.npy", np.zeros((3, 5), np.int64))
    assert cli.main(argv) == 0, terminal.getvalue()
    assert shown in terminal.getvalue()
