"""Work that takes long shows a bar on a terminal or in a notebook, and nothing in a pipe."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lstmgen import progress
from lstmgen.cli import main as cli
from lstmgen.training.progress import Bar
from support.networks import packed
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
    assert "0/3" in page.getvalue()


def test_work_that_cannot_be_counted_shows_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_TICK", 0.02)
    with pytest.raises(ZeroDivisionError), progress.busy("thinking"):
        time.sleep(0.3)
        1 / 0  # noqa: B018
    assert terminal.getvalue().count("thinking: 00:00 so far") >= 2
    assert terminal.getvalue().endswith("\r")


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
