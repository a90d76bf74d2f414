"""Full disks, folders that go away, kills: the old file stays, or the new one is whole."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmgen
from lstmgen import files, inputs, keras_file, rows, sequence_files
from lstmgen.binfile import sniffing
from lstmgen.cli import main as cli
from lstmgen.cli import predict
from lstmgen.keras_file import reader
from lstmgen.music import timed_notes
from lstmgen.training import checkpoint
from lstmgen.training.tasks import corpus
from lstmgen.vocabulary import reading
from support.kills import COUNTED
from support.networks import network, packed

STEPS = ("open", "write", "fsync", "replace")
"""The calls of a write, in their order."""


class Disk:
    """Fails one of the calls of a write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def fails(self, step: str, number: int, after: int = 0) -> None:
        """Fail a step with this error, but for its first `after` calls."""
        steps: dict[str, Callable[..., Any]] = {"fsync": os.fsync, "replace": os.replace, "open": open, "write": open}
        real = steps[step]
        calls = 0

        def over() -> bool:
            nonlocal calls
            calls += 1
            return calls > after

        def failing(*_: object, **__: object) -> Any:
            raise OSError(number, os.strerror(number))

        if step in ("fsync", "replace"):
            self._monkeypatch.setattr(os, step, lambda *given: failing() if over() else real(*given))
            return

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
            if not over():
                return real(*given)
            return failing() if step == "open" else Full(real(*given))

        self._monkeypatch.setattr(files, "open", opened, raising=False)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def _music() -> bytes:
    elements = ["d12", "n60", "n64", "t12"]
    of = network([("lstm", 4), ("dense", 4, "softmax")], 4, 6)
    return packed(of, vocabulary=elements, vocabulary_kind="tokens")


OLD = b"GGUF, an old file"  # an export replaces a .bin alone
COMMANDS = {
    "export": (["export", "{model}", "{out}", "--dtype", "int8"], "out.bin"),
    "sample": (["sample", "{model}", "--seed", "1", "--length", "5", "-o", "{out}"], "out.txt"),
    "music": (["sample", "{music}", "--seed", "1", "--length", "40", "-o", "{out}"], "out.mid"),
    "sound": (["sample", "{music}", "--seed", "1", "--length", "40", "--synth", "builtin", "-o", "{out}"], "out.wav"),
    "score": (["sample", "{music}", "--seed", "1", "--length", "40", "-o", "{out}"], "out.musicxml"),
    "tune": (["sample", "{music}", "--seed", "1", "--length", "40", "-o", "{out}"], "out.abc"),
    "picture": (["sample", "{music}", "--seed", "1", "--length", "40", "-o", "{out}"], "out.png"),
    "packed sound": (
        ["sample", "{music}", "--seed", "1", "--length", "40", "--synth", "builtin", "-o", "{out}"],
        "out.flac",
    ),
    "rows": (["sample", "{model}", "--length", "5", "--many", "3", "--seed", "1", "-o", "{out}"], "out.jsonl"),
    "table": (["sample", "{model}", "--length", "5", "--many", "3", "--seed", "1", "-o", "{out}"], "out.parquet"),
    "card": (["export", "{model}", "{out}", "--card", "{card}"], "out.bin"),
    "predict": (["predict", "{features}", "--example", "-o", "{out}"], "out.npy"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(packed())
    (tmp_path / "music.bin").write_bytes(_music())
    features = network([("lstm", 4), ("dense", 3, "linear")], 2, 5)
    (tmp_path / "features.bin").write_bytes(packed(features, encoding="features"))
    (tmp_path / "card.bin").write_text('{"data": "mine"}')
    (tmp_path / "out").mkdir()
    return tmp_path


def command(folder: Path, name: str) -> tuple[list[str], Path]:
    words, out = COMMANDS[name]
    if needed := {"score": "music21", "picture": "matplotlib", "table": "pyarrow"}.get(name):
        pytest.importorskip(needed)
    if name == "packed sound" and not shutil.which("flac"):
        pytest.skip("needs the program flac")
    places = {kind: str(folder / f"{kind}.bin") for kind in ("model", "music", "features", "card")}
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
    out.write_bytes(OLD)
    disk.fails(step, errno.ENOSPC)
    assert cli.main(words) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"lstmgen: {out}")
    assert "cannot write: No space left on device" in last
    assert left(out.parent) == {out.name: OLD}


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit on the size of a file")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_after_some_bytes_leaves_the_old_file(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The system itself refuses the first, a middle and the last byte."""
    import resource

    words, out = command(folder, name)
    assert cli.main(words) == 0
    size = out.stat().st_size
    out.write_bytes(OLD)
    capsys.readouterr()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (0, size // 2, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            status = cli.main(words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert status == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"lstmgen: {out}")
        assert "cannot write: File too large" in last
        assert left(out.parent) == {out.name: OLD}


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


# -- the set of a training ------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_the_set_of_a_training_is_the_old_or_the_new_one_whichever_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    set_of = checkpoint.Files(tmp_path / "m.bin")
    new = {path: b"new " + path.name.encode() for path in set_of.model}
    ages = []
    for failing in range(5):
        for path in set_of.model:
            path.write_bytes(b"old " + path.name.encode())
        with monkeypatch.context() as patch:
            Disk(patch).fails(step, errno.ENOSPC, after=failing)
            if failing < 4:  # the journal, and three files
                with pytest.raises(
                    OSError, match=r"cannot write: No space left on device: .*m\.(bin|h5|md)'"
                ) as caught:
                    set_of.replace(new)
                assert caught.value.errno == errno.ENOSPC
            else:
                set_of.replace(new)
        assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))
        set_of.recover()
        ages.append({path.read_bytes()[:4] for path in set_of.model})
        assert {path.name for path in tmp_path.iterdir()} == {path.name for path in set_of.model}
    assert ages == [{b"old "}, *[{b"new "}] * 4]


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["info"], ["sample"], ["export"], ["classify"], ["predict"], ["verify"], ["bench"]])
def test_a_file_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    def failing(name: object, *_: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    path = str(folder / "model.bin")
    monkeypatch.setattr(sniffing, "open", failing, raising=False)
    more = {"export": [str(folder / "o.bin")], "classify": ["abc"], "predict": ["--example"], "verify": [path]}
    assert cli.main([*words, path, *more.get(words[0], [])]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"lstmgen: {path}: Input/output error"
    assert not (folder / "o.bin").exists()


UNREADABLE = "/proc/self/mem"  # a regular file whose first byte cannot be read: EIO
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "model": ("m.bin", lstmgen.Model),
    "bytes of a model": ("m.bin", sniffing.read_bin),
    "vocabulary": ("v.json", lambda path: reading.read(path, 3)),
    "corpus of a vocabulary": ("c.txt", lambda path: reading.read_corpus(path, 3)),
    "text": ("c.txt", reading.read_text),
    "corpus": ("c.txt", lambda path: corpus.read([path])),
    "rows": ("r.txt", sequence_files.read_sequences),
    "CSV": ("r.csv", sequence_files.read_csv),
    "architecture": ("c.json", reader.architecture),
    "MIDI": ("a.mid", timed_notes.read_timed_notes),
    "sequences to predict": ("i.txt", lambda path: predict._read(lstmgen.Model("latex"), str(path))),
}


@pytest.mark.skipif(not os.path.exists(UNREADABLE), reason="the system has no such file")
@pytest.mark.parametrize("name", READERS)
def test_a_disk_that_fails_within_a_file_is_named(tmp_path: Path, name: str) -> None:
    file, read = READERS[name]
    (path := tmp_path / file).symlink_to(UNREADABLE)
    with pytest.raises(OSError, match="Input/output error") as caught:
        read(path)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))


def test_a_disk_that_fails_within_a_file_of_keras_is_named(small_h5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(reader, "_model", failing)
    with pytest.raises(OSError, match="Input/output error") as caught:
        keras_file.read(small_h5, trusted=True)
    assert caught.value.filename == str(small_h5)


class Trickle(io.RawIOBase):
    """A file that gives one byte at a time, and at times none before its end."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(memoryview(buffer)[:1])


@given(st.binary(max_size=300), st.integers(0, 300))
def test_bytes_that_come_one_by_one_are_the_same(data: bytes, most: int) -> None:
    if len(data) <= most:
        assert inputs.read_from("stdin", cast(BinaryIO, Trickle(data)), most) == data
    else:
        with pytest.raises(ValueError, match=f"stdin: expected at most {most} bytes, found more"):
            inputs.read_from("stdin", cast(BinaryIO, Trickle(data)), most)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs pipes with a name")
@pytest.mark.parametrize(
    "words",
    [["sample", "{model}", "--prime-file", "{file}", "-n", "3", "--seed", "1"], ["predict", "{model}", "{file}"]],
)
def test_a_pipe_that_is_written_byte_by_byte_is_read_to_its_end(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    text = "abcabcabcabc" if words[0] == "sample" else "0 1 2 0 1 2 0 1 2 0 1 2\n"
    (folder / "whole").write_text(text)
    out, into = os.pipe()

    def shown(source: object) -> str:
        assert cli.main([word.format(model=folder / "model.bin", file=source) for word in words]) == 0
        return capsys.readouterr().out

    def write() -> None:
        with os.fdopen(into, "wb", buffering=0) as file:
            for byte in text.encode():
                file.write(bytes([byte]))

    want = shown(folder / "whole")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert shown(f"/dev/fd/{out}") == want
    finally:
        os.close(out)
        writer.join()
