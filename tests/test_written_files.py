"""Files are written whole, and nothing is left of writes that were killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstmgen import files


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_permissions_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    files.write(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


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
