"""The scripts of `lstmgen completion` complete in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lstmgen.cli import main as cli

pytest.importorskip("shtab", reason="needs shtab: pip install 'lstmgen[completion]'")

Complete = Callable[[str], list[str]]


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    assert cli.main(["completion", shell]) == 0
    path = folder / f"lstmgen.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=["bash", "fish"])
def complete(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Return a function from a line to what the shell offers for its last word."""
    path = script(request.param, tmp_path, capsys)
    (tmp_path / "latest.bin").touch()

    def of_fish(line: str) -> list[str]:
        lines = output("fish", "--no-config", "-c", f"cd {tmp_path}; source {path}; complete -C '{line}'").splitlines()
        return [one.split("\t")[0] for one in lines]

    def of_bash(line: str) -> list[str]:
        words = line.split(" ")
        program = f"""
            cd {tmp_path}; source {path}
            COMP_WORDS=({" ".join(words)}{" ''" if not words[-1] else ""}); COMP_CWORD={len(words) - 1}
            COMP_LINE='{line}'; COMP_POINT={len(line)}
            _shtab_lstmgen lstmgen '{words[-1]}' '{words[-2]}'
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        return output("bash", "--norc", "-c", program).split()

    return of_bash if request.param == "bash" else of_fish


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lstmgen mo", {"models"}),
        ("lstmgen sample la", {"latex", "latest.bin"}),
        ("lstmgen sample --top", {"--top-k", "--top-p", "--top-n-sigma"}),
        ("lstmgen sample latex -o lat", {"latest.bin"}),
        ("lstmgen export latest.bin out.bin --dtype in", {"int8"}),
        ("lstmgen train te", {"text"}),
        ("lstmgen train text --ho", {"--holdout"}),
        ("lstmgen models mu", {"music"}),
    ],
)
def test_the_shell_offers(complete: Complete, line: str, offered: set[str]) -> None:
    assert offered <= set(complete(line))


def test_zsh_takes_its_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("zsh", tmp_path, capsys)
    path = path.rename(tmp_path / "_lstmgen")
    loaded = f"fpath+=({tmp_path}); autoload -U compinit; compinit -u -d {tmp_path}/dump; echo $_comps[lstmgen]"
    assert output("zsh", "-f", "-c", loaded) == "_lstmgen\n"
    assert output("zsh", "-n", str(path)) == ""
    text = path.read_text()
    assert "models:bundled model:(latex music)" in text
    assert "--top-k" in text


def test_without_a_shell_it_says_which_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert cli.main(["completion"]) == 1
    assert capsys.readouterr().err == "lstmgen: shell: expected one of bash, zsh, fish, found 'tcsh'\n"


def test_the_shell_of_the_user_is_the_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert cli.main(["completion"]) == 0
    assert "complete -c lstmgen" in capsys.readouterr().out
