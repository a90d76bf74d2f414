"""`--help` has examples that are command lines, and tells each default."""

from __future__ import annotations

import re
import shlex

import pytest

from lstmgen.cli import main as cli
from lstmgen.cli.main import COMMANDS, parser

EXAMPLES = [(name, line) for name, command in COMMANDS.items() for line in command.examples]


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_a_command_line(name: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    inner = match[1] if (match := re.fullmatch(r'eval "\$\((.*)\)"', line)) else line
    words = shlex.split(re.split(r" [<>] ", inner)[0], comments=True)
    while "=" in words[0]:  # of the environment
        del words[0]
    assert words[:2] == ["lstmgen", name]
    if words[-1] == "--help":
        with pytest.raises(SystemExit) as end:
            parser(words[1:]).parse_args(words[1:])
        assert end.value.code == 0
    else:
        assert parser(words[1:]).parse_args(words[1:]).command == name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_its_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    out = capsys.readouterr().out
    assert all(f"\n  {line}\n" in out for line in COMMANDS[name].examples)


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "lstmgen sample latex --temp 0.67" in shown.err
