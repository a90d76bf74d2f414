"""Each flag takes any text: what was asked for, or one clear line and the status 1 or 2."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from lstmgen.cli import main as cli
from support.networks import packed

VALUES = ("-1", "0", "99999999999999999999", "1" * 5000, "nan", "-inf", "1e999", "", " ", "\0", "\udcff", "é", "1.5")

COMMANDS = {
    "sample": ["sample", "{model}", "--length", "3", "--seed", "1"],
    "export": ["export", "{model}", "{out}"],
    "info": ["info", "{model}"],
    "predict": ["predict", "{model}", "--example"],
    "classify": ["classify", "{model}", "abc"],
}


def flags(command: str) -> Iterator[str]:
    """Yield the flags of a command that take a value."""
    parser = cli.parser([command])
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for action in commands.choices[command]._actions:
        if action.option_strings and action.nargs != 0:
            yield action.option_strings[-1]


@pytest.mark.parametrize(("command", "flag"), [(name, flag) for name in COMMANDS for flag in flags(name)])
def test_any_value_of_a_flag_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, flag: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.bin").write_bytes(packed())
    words = [word.format(model=tmp_path / "m.bin", out=tmp_path / "o.bin") for word in COMMANDS[command]]
    long = flag in ("--length", "--many")  # a great one is long work by right
    for value in (value for value in VALUES if not long or len(value) < 9):
        try:
            status = cli.main([*words, f"{flag}={value}"])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr().err
        assert status in (0, 1, 2), (value, said)
        if status:
            last = said.splitlines()[-1]
            assert last.startswith("lstmgen"), (value, said)
            assert "Traceback" not in said
            last.encode()
