"""Full disks, folders that go away, kills: the old file stays, or the new one is whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen import files, rows
from lstmgen.cli import main as cli
from support.kills import COUNTED
from support.networks import network, packed

STEPS = ("open", "write", "fsync", "replace")
"""The calls of a write, in their order."""


class Disk:
    """Fails one of the calls of a write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def fails(self, step: str, number: int) -> None:
        def failing(*_: object, **__: object) -> Any:
            raise OSError(number, os.strerror(number))

        if step in ("fsync", "replace"):
            self._monkeypatch.setattr(os, step, failing)
            return
        real = open

        class Full:
            """A file that can be opened, and not be written."""

            def __init__(self, file: Any) -> None:
                self._file = file
                self.write = self.writelines = failing

            def __getattr__(self, name: str) -> Any:
                return getattr(self._file, name)

            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                self._file.close()

        def opened(*given: Any) -> Any:
            return failing() if step == "open" else Full(real(*given))

        self._monkeypatch.setattr(files, "open", opened, raising=False)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def _music() -> bytes:
    elements = ["d12", "n60", "n64", "t12"]
    of = network([("lstm", 4), ("dense", 4, "softmax")], 4, 6)
    return packed(of, vocabulary=elements, vocabulary_kind="tokens")


COMMANDS = {
    "export": (["export", "{model}", "{out}", "--dtype", "int8"], "out.bin"),
    "sample": (["sample", "{model}", "--length", "5", "-o", "{out}"], "out.txt"),
    "music": (["sample", "{music}", "--length", "40", "-o", "{out}"], "out.mid"),
    "sound": (["sample", "{music}", "--length", "40", "-o", "{out}"], "out.wav"),
    "rows": (["sample", "{model}", "--length", "5", "--many", "3", "-o", "{out}"], "out.jsonl"),
    "predict": (["predict", "{features}", "--example", "-o", "{out}"], "out.npy"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(packed())
    (tmp_path / "music.bin").write_bytes(_music())
    features = network([("lstm", 4), ("dense", 3, "linear")], 2, 5)
    (tmp_path / "features.bin").write_bytes(packed(features, encoding="features"))
    (tmp_path / "out").mkdir()
    return tmp_path


def command(folder: Path, name: str) -> tuple[list[str], Path]:
    words, out = COMMANDS[name]
    places = {kind: str(folder / f"{kind}.bin") for kind in ("model", "music", "features")}
    return [word.format(out=folder / "out" / out, **places) for word in words], folder / "out" / out


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", STEPS)
def test_a_failed_write_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, disk: Disk, step: str, number: int
) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    disk.fails(step, number)
    with pytest.raises(OSError) as failed:
        files.write(path, b"new")
    assert (failed.value.errno, failed.value.filename) == (number, str(path))
    assert "cannot write: " in str(failed.value)
    assert left(tmp_path) == {"m.bin": b"old"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_in_one_line_that_the_disk_is_full(
    folder: Path, disk: Disk, capsys: pytest.CaptureFixture[str], name: str, step: str
) -> None:
    words, out = command(folder, name)
    out.write_bytes(b"old")
    disk.fails(step, errno.ENOSPC)
    assert cli.main(words) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"lstmgen: {out}")
    assert "cannot write: No space left on device" in last
    assert left(out.parent) == {out.name: b"old"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    words, out = command(folder, name)
    out.parent.rmdir()
    assert cli.main(words) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"lstmgen: {out}")
    assert not out.parent.exists()


# -- kills -----------------------------------------------------------------------------------------

KILLED = f"""{COUNTED}
left = int(sys.argv[1])
import lstmgen.files as files
for name in ("replace", "fsync", "unlink", "chmod"):
    setattr(os, name, counted(getattr(os, name)))
files.open = counted(open)
from lstmgen.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def runs(words: list[str], most: int = 40) -> Iterator[int]:
    """Run a command, killed one step later each time, until it ends.

    Yields the exit status of each run.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for step in range(most):
        run = [sys.executable, "-c", KILLED, str(step), *words]
        status = subprocess.run(run, env=environment, capture_output=True, check=False).returncode
        yield status
        if status == 0:
            return
    raise AssertionError("the command never ends")


@pytest.mark.slow(reason="starts a command anew for each step at which it is killed")
@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
def test_an_export_that_is_killed_at_any_step_leaves_a_whole_model(folder: Path) -> None:
    words, out = command(folder, "export")
    before = lstmgen.Model(folder / "model.bin").to_bytes()
    out.write_bytes(before)
    found = []
    for status in runs(words):
        assert status in (0, -9)
        found.append(lstmgen.Model(out).dtype)
    assert found[:3] == ["f32"] * 3
    assert found[-1] == "int8"
    lstmgen.export(folder / "model.bin", out)  # what was left over does no harm


@pytest.mark.slow(reason="starts a command anew for each step at which it is killed")
@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
def test_rows_that_are_killed_at_any_step_are_continued(folder: Path) -> None:
    words, out = command(folder, "rows")
    words += ["--seed", "7"]
    want = rows.lines(rows.Rows(packed(), 5, seed=7).draw(range(3)), ("index", "seed", "text", "length"))
    killed = 0
    for status in runs(words):  # each run continues what the one before has left
        killed += status == -9
        assert not out.exists() or out.read_bytes() == want
    assert killed >= 3
    assert out.read_bytes() == want
    assert not out.with_name("out.jsonl.parts").exists()


TRUNCATED = """
import sys
import lstmgen
generator = lstmgen.Generator(sys.argv[1])
want = generator.sample(60, seed=1)
stream = generator.stream(60, seed=1)
text = "".join(next(stream) for _ in range(30))
open(sys.argv[1], "r+b").truncate(100)
text += "".join(stream)
assert text == want, text
assert generator.sample(60, seed=1) == want
print("unchanged")
"""


def test_a_file_that_is_cut_off_while_a_sample_runs_changes_nothing(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = [sys.executable, "-c", TRUNCATED, str(folder / "model.bin")]
    assert subprocess.run(run, env=environment, capture_output=True, check=False).stdout.split() == [b"unchanged"]


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["info"], ["sample"], ["export"], ["classify"], ["predict"], ["verify"], ["bench"]])
def test_a_file_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    from lstmgen.binfile import sniffing

    def failing(name: object, *_: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    path = str(folder / "model.bin")
    monkeypatch.setattr(sniffing, "open", failing, raising=False)
    more = {"export": [str(folder / "o.bin")], "classify": ["abc"], "predict": ["--example"], "verify": [path]}
    assert cli.main([*words, path, *more.get(words[0], [])]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"lstmgen: {path}: Input/output error"
    assert not (folder / "o.bin").exists()
