"""Each flag takes any text: what was asked for, or one clear line and the status 1 or 2."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import pytest

from lstmgen.cli import main as cli
from lstmgen.cli import train
from lstmgen.escaping import printable
from lstmgen.music import Note, midi
from support.networks import network, packed
from support.slow import slow_but

VALUES = ("-1", "0", "99999999999999999999", "1" * 5000, "nan", "-inf", "1e999", "", " ", "\0", "\udcff", "é", "1.5")

COMMANDS = {
    "sample": ["sample", "{model}", "--length", "3", "--seed", "1"],
    "export": ["export", "{model}", "{out}"],
    "info": ["info", "{model}"],
    "predict": ["predict", "{model}", "--example"],
    "classify": ["classify", "{classifier}", "abc"],
    "bench": ["bench", "{model}"],
    "eval": ["eval", "{model}", "{text}", "--length", "3", "--samples", "1"],
    "play": ["play", "{model}"],
    "serve": ["serve", "{model}", "--port", "0"],
    "verify": ["verify", "{features}", "{keras}", "--as-saved", "--config", "{config}"],
    "train text": ["train", "text", "{text}", "-o", "{out}"],
    "train music": ["train", "music", "{folder}", "-o", "{out}"],
    "train classifier": ["train", "classifier", "{csv}", "-o", "{out}"],
    "models": ["models", "latex"],
    "grammar": ["grammar", "{gbnf}"],
    "completion": ["completion", "bash"],
}
# Commands whose work is long, or does not end: only what they make of their arguments counts.
NEEDED = {"serve": ("starlette", "uvicorn"), "play": ("prompt_toolkit",), "verify": ("keras",)}
MANY = {"--length", "--many", "--samples"}  # a great number is long work by right


class Reached(ValueError):
    """Raised in the place of work that is long."""


def command_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command, such as "sample" or "train text"."""
    words = command.split()
    found = cli.parser(words[:1])
    for word in words:
        (commands,) = (a for a in found._actions if isinstance(a, argparse._SubParsersAction))
        found = commands.choices[word]
    return found


def test_each_command_is_tried() -> None:
    kinds = {f"train {kind}" for kind in train._TASKS}
    assert COMMANDS.keys() == cli.COMMANDS.keys() - {"train"} | kinds


def flags(command: str) -> Iterator[str]:
    """Yield the flags of a command that take a value."""
    for action in command_parser(command)._actions:
        if action.option_strings and action.nargs != 0:
            yield action.option_strings[-1]


def arguments(words: list[str]) -> Iterator[int]:
    """Yield where a command has its arguments that are no flags."""
    first = 2 if words[0] == "train" else 1
    for at in range(first, len(words)):
        if not words[at].startswith("-") and not words[at - 1].startswith("-"):
            yield at


def a_network_and_its_weights(folder: Path) -> None:
    """Write `SimpleRNN(3)` after two numbers: a `.bin`, and weights as Keras saves them."""
    of = network([("simple_rnn", 3)], 2, 5)
    (folder / "f.bin").write_bytes(packed(of, encoding="features"))
    with h5py.File(folder / "w.h5", "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = [b"rnn"], b"2.3.1"
        names = ("kernel", "recurrent_kernel", "bias")
        file.create_group("rnn").attrs["weight_names"] = [name.encode() for name in names]
        for name in names:
            file["rnn"][name] = of.layers[0].arrays[name]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make the files that the commands name. What takes long, or needs a terminal, is not done."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.bin").write_bytes(packed())
    of = network([("embedding", 3), ("lstm", 4), ("dense", 2, "softmax")], 3, 0)
    labelled = packed(of, encoding="index", vocabulary=list("abc"), labels=["x", "y"], prime=None)
    (tmp_path / "c.bin").write_bytes(labelled)
    a_network_and_its_weights(tmp_path)
    (tmp_path / "t.txt").write_text("abcdefghijk" * 1000)
    (tmp_path / "g.gbnf").write_text("root ::= [a-k]+")
    (tmp_path / "t.csv").write_text("abc,x\ncba,y\n" * 20)
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces/a.mid").write_bytes(midi.midi_file([Note(i, 1, 50 + i % 20) for i in range(2000)], 100))
    _do_nothing_long(monkeypatch)
    names = {
        "classifier": "c.bin",
        "model": "m.bin",
        "features": "f.bin",
        "keras": "w.h5",
        "text": "t.txt",
        "csv": "t.csv",
        "gbnf": "g.gbnf",
    }
    names |= {"folder": "pieces", "out": "o.bin"}
    config = "SimpleRNN(3, input_shape=[5, 2])"
    return {"config": config} | {name: str(tmp_path / file) for name, file in names.items()}


def _do_nothing_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmgen import bench

    def reached(*_: Any, **__: Any) -> Any:
        raise Reached("reached")

    for name in ("tasks.text", "tasks.music", "tasks.classifier", "start"):
        monkeypatch.setattr(f"lstmgen.training.{name}.import_keras", reached)
    monkeypatch.setattr(bench, "_rate", lambda *_: 1.0)
    monkeypatch.setattr("lstmgen.model.Model.measure_limits", lambda self: (1.0, 1.0))
    if importlib.util.find_spec("uvicorn"):
        monkeypatch.setattr("lstmgen.serving.server._Server.run", lambda self, sockets: sockets[0].close())
    if importlib.util.find_spec("prompt_toolkit"):
        monkeypatch.setattr("lstmgen.cli.play.Screen.application", reached)


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit status of a command, and what it says."""
    try:
        with contextlib.ExitStack() as stack:
            for stream in (sys.stdin, sys.stdout) if words[0] == "play" else ():
                stack.enter_context(mock.patch.object(stream, "isatty", lambda: True))
            status = cli.main(words)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, capsys.readouterr().err


FLAGS = {command: list(flags(command)) for command in COMMANDS}
FIRST = {flag: f"{command} {flag}" for command in reversed(FLAGS) for flag in FLAGS[command]}  # that has the flag


@pytest.mark.parametrize(
    "command_and_flag",
    slow_but(
        FIRST.values(),
        [f"{command} {flag}" for command in FLAGS for flag in FLAGS[command]],
        "another command has this flag, too",
    ),
)
def test_any_value_of_a_flag_ends_in_one_line(
    places: dict[str, str], capsys: pytest.CaptureFixture[str], command_and_flag: str
) -> None:
    command, flag = command_and_flag.rsplit(" ", 1)
    need(command)
    words = [word.format(**places) for word in COMMANDS[command]]
    for value in (value for value in VALUES if flag not in MANY or len(value) < 9):
        status, said = run([*words, f"{flag}={value}"], capsys)
        check(status, said, flag, value)


@pytest.mark.parametrize(
    ("command", "at"),
    [(name, at) for name, words in COMMANDS.items() for at in arguments(words)],
)
def test_any_argument_ends_in_one_line(
    places: dict[str, str], capsys: pytest.CaptureFixture[str], command: str, at: int
) -> None:
    need(command)
    words = [word.format(**places) for word in COMMANDS[command]]
    for value in VALUES:
        status, said = run([*words[:at], value, *words[at + 1 :]], capsys)
        check(status, said, words[at], value)


def need(command: str) -> None:
    """Skip a test whose command needs a package that is not here."""
    for package in NEEDED.get(command, ()):
        pytest.importorskip(package)


def check(status: int, said: str, name: str, value: str) -> None:
    """Check that a failed command ends with a line that names the argument or its value."""
    assert status in (0, 1, 2), (value, said)
    if status:
        last = said.splitlines()[-1]
        assert last.startswith("lstmgen"), (value, said)
        assert "Traceback" not in said
        last.encode()
        if value == "\0":  # which no system passes to a program
            return
        shown: tuple[str, ...] = (name, shlex.quote(value)[1:-1][:20], printable(value), repr(value)[1:-1][:20])
        shown += (repr(value), f"lstmgen: {value}: ", "reached")
        assert any(part.strip() and part in last for part in shown), (value, said)
