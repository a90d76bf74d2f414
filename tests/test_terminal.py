"""Nothing of a file reaches a terminal as it is."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import exporting, keras_file
from lstmgen.cli import main as cli
from lstmgen.cli import terminal
from lstmgen.errors import OptionError
from lstmgen.escaping import printable, shown
from lstmgen.training import progress
from support.networks import packed

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b1m\u202eb\u2066c\ud800\x00\r"


def harmless(text: str) -> bool:
    """Whether a terminal shows all of a text, line ends apart."""
    return all(c.isprintable() or c in "\n\t" for c in text)


def test_each_command_is_escaped() -> None:
    assert printable(EVIL) == r"a\x1b]0;owned\x07\x1b[2J\x9b1m\u202eb\u2066c\ud800\x00\r"
    for code in range(0x110000):
        assert harmless(shown(chr(code))) or chr(code) in "\u200c\u200d" or chr(code).isspace()
    assert shown("one\n\ttwo \u00a0\u200d") == "one\n\ttwo \u00a0\u200d"
    assert printable("one\ntwo") == r"one\ntwo"


def weights(name: str, attribute: str = "keras_version", value: str = "2.0.0") -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [name.encode("utf-8", "surrogatepass")]
        root.attrs[attribute] = value
    return file.getvalue()


def model(**of: Any) -> bytes:
    """A whole model with this layer."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        layer = {"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3, 2]}}
        layer["config"] |= of.pop("config", {})
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": [{**layer, **of}]}}
        root.attrs["model_config"] = json.dumps(config)
        group = root.create_group("model_weights")
        group.attrs["layer_names"] = [b"d"]
        group.create_group("d").attrs["weight_names"] = [b"kernel", b"bias"]
        group["d/kernel"], group["d/bias"] = np.eye(2, dtype="f4"), np.zeros(2, "f4")
    return file.getvalue()


TEXT = EVIL.replace("\ud800", "").replace("\x00", "")  # HDF5 and UTF-8 hold no others
CASES: dict[str, Callable[[], object]] = {
    "layer name in a list": lambda: keras_file.read(weights(TEXT), config="Dense(2)"),
    "version": lambda: keras_file.read(weights("d", value=TEXT), config="Dense(2)"),
    "class name": lambda: keras_file.read(model(class_name=TEXT)),
    "activation": lambda: keras_file.read(model(config={"activation": TEXT})),
    "name": lambda: keras_file.read(model(config={"name": TEXT})),
    "dtype": lambda: keras_file.read(model(config={"dtype": TEXT, "units": TEXT})),
    "key": lambda: keras_file.read(model(config={TEXT: TEXT, "activation": {TEXT: TEXT}})),
    "config": lambda: keras_file.read(model(), config=TEXT),
    "weights' config": lambda: keras_file.read(weights("d"), config=f"Dense(2), {TEXT}(3)"),
    "output": lambda: keras_file.read(model(), output=TEXT),
    "vocab": lambda: exporting.convert(model(), vocab=[TEXT, TEXT, "c"]),
    "option": lambda: lstmgen.Generator("latex").sample(prime=EVIL),
    "grammar": lambda: lstmgen.Generator("latex").sample(grammar=f"root ::= {TEXT}"),
    "state": lambda: lstmgen.Generator("latex").stream(state=TEXT.encode()),
    "path": lambda: lstmgen.Model(f"/absent/{TEXT}"),
    "container": lambda: lstmgen.Model(packed(name=TEXT).replace(b"lstm", b"l\x1b[2")),
}


@pytest.mark.parametrize("case", CASES)
def test_messages_on_the_command_line_are_harmless(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Parser:
        @staticmethod
        def parse_args(words: object) -> Any:
            return type("Arguments", (), {"run": staticmethod(lambda args: CASES[case]())})

    monkeypatch.setattr(cli, "parser", lambda words: Parser)
    status = cli.main(["command"])
    out, err = capsys.readouterr()
    assert status in (0, 1)
    assert harmless(out) and harmless(err), repr(err)


@pytest.mark.parametrize("case", CASES)
def test_exceptions_for_a_file_are_harmless(case: str) -> None:
    try:
        CASES[case]()
    except (lstmgen.ModelFormatError, OptionError) as error:
        assert harmless(str(error))
    except (ValueError, OSError):
        pass  # names what the caller gave


class Terminal(io.TextIOWrapper):
    """A file in place of stdout that says it is a terminal."""

    def __init__(self) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding="utf-8")

    def isatty(self) -> bool:
        return True


def test_a_sample_is_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elements = ["a", "\x1b[2J", "\u202e", "b"]
    path = tmp_path / "m.bin"
    path.write_bytes(packed(vocabulary=[*elements, *"cdefghi"]))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert cli.main(["sample", str(path), "--length", "200", "--seed", "1"]) == 0
    seen = terminal.written.getvalue().decode()
    assert "\x1b" not in seen and harmless(seen)
    assert r"\x1b[2J" in seen


def test_a_sample_is_itself_in_a_pipe(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(packed(vocabulary=["a", "\x1b[2J", *"bcdefghij"]))
    assert cli.main(["sample", str(path), "--length", "200", "--seed", "1"]) == 0
    assert b"\x1b[2J" in capfdbinary.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names of files")
def test_names_of_files_are_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{TEXT}.bin"
    Path(name).write_bytes(packed(card=json.dumps({"sample": {"temp": 0.5}, "assumed": [TEXT]})))
    (tmp_path / f"{TEXT}.txt").write_text("abc" * 5)
    monkeypatch.setattr("lstmgen.bench._rate", lambda *_: 1.0)
    monkeypatch.setattr("lstmgen.model.Model.measure_limits", lambda self: (1.0, 1.0))
    commands = [
        ["export", name, f"{TEXT}-2.bin"],
        ["info", name],
        ["sample", name, "--length", "3", "-o", f"{TEXT}.out"],
        ["bench", name, "--text", f"{TEXT}.txt"],
    ]
    for words in commands:
        assert cli.main(words) == 0
        said = "".join(capsys.readouterr())
        assert harmless(said) and said, words
    progress.say(TEXT)
    assert harmless(capsys.readouterr().err)


def test_only_one_function_of_the_command_line_prints_on_stderr() -> None:
    folder = Path(cli.__file__).parent
    for path in folder.glob("*.py"):
        told = [line for line in path.read_text(encoding="utf-8").splitlines() if "file=sys.stderr" in line]
        escaped = [line for line in told if "printable(" in line or "shown(" in line or "legend()" in line]
        assert told == escaped, path


@pytest.mark.parametrize("values", [[], [{"a": 1, "b": {"c": []}}], [{"a": 1}, {"b": "x\n"}, 3]])
def test_a_list_that_is_printed_piece_by_piece_is_the_same_json(
    capsys: pytest.CaptureFixture[str], values: list[object]
) -> None:
    terminal.print_json(values)
    want = capsys.readouterr().out
    with terminal.json_list() as tell:
        for value in values:
            tell(value)
    assert capsys.readouterr().out == want
