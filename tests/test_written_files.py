"""Files are written whole, and nothing is left of writes that were killed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstmgen import files
from lstmgen.cli import main as cli
from support.networks import packed


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_permissions_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    files.write(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other owners")
@pytest.mark.parametrize("allowed", [True, False])
def test_the_owner_stays_where_the_system_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    given = []

    def chown(_: str, *owner: int) -> None:
        given.append(owner)
        if not allowed:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", chown)
    files.write(path, b"new")
    assert given == [(path.stat().st_uid, path.stat().st_gid)]
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)


@pytest.mark.skipif(os.name != "posix", reason="Windows does not delete a current folder")
def test_a_current_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    model = str(tmp_path / "m.bin")
    for words in (
        ["export", model, "x.bin"],
        ["sample", model, "-o", "x.txt"],
        ["predict", model, "--example", "-o", "x"],
    ):
        assert cli.main(words) == 1
        assert re.fullmatch(r"lstmgen: x\S*: .*No such file or directory", capsys.readouterr().err.splitlines()[-1])


def a_circle_of_links(folder: Path) -> Path:
    path = folder / "circle.txt"
    try:
        path.symlink_to(path)
    except OSError:
        pytest.skip("the system allows no links")
    return path


def test_a_circle_of_links_is_not_replaced(tmp_path: Path) -> None:
    path = a_circle_of_links(tmp_path)
    with pytest.raises(OSError, match="Too many levels of symbolic links") as caught:
        files.write(path, b"new")
    assert caught.value.filename == str(path)
    assert path.is_symlink()


def test_a_circle_of_links_is_one_line_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_circle_of_links(tmp_path)
    (tmp_path / "m.bin").write_bytes(packed())
    for words in (["sample", str(tmp_path / "m.bin"), "-o", str(path)], ["train", "music", str(path), "-o", str(path)]):
        assert cli.main(words) == 1
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"lstmgen: {path}: ")


@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
def test_what_a_killed_process_left_is_collected(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    code = f"""
import os, signal
from lstmgen import files
with files.writing({str(path)!r}) as file:
    file.write(b"new")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code])
    (left,) = tmp_path.glob(".m.bin.*.tmp")
    others = [tmp_path / ".m.bin.tmp", tmp_path / ".other.bin.0123456789abcdef.tmp", tmp_path / ".m.bin.x.tmp"]
    for other in others:
        other.write_bytes(b"mine")
        os.utime(other, (0, 0))
    assert path.read_bytes() == b"old"
    files.write(path, b"newer")
    assert left.exists()  # perhaps another process is writing it
    hours_ago = time.time() - 2 * 3600
    os.utime(left, (hours_ago, hours_ago))
    files.write(path, b"newest")
    assert path.read_bytes() == b"newest"
    assert not left.exists()
    assert all(other.exists() for other in others)
