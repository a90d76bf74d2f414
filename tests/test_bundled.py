"""Models that come with the package: their names, what stands for them, and `lstmgen models`."""

from __future__ import annotations

import json
import os
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import lstmgen
from lstmgen.bundled import bundled, card_path
from lstmgen.cli import main as cli
from lstmgen.errors import Note
from support.networks import packed

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", bundled())
def test_a_bin_that_is_not_there_is_the_bundled_one_and_this_is_said(name: str) -> None:
    with pytest.warns(Note, match=rf"{name}\.bin: there is no such file here.*'{name}'") as said:
        model = lstmgen.Model(f"{name}.bin")
    assert model.metadata["name"] == name
    assert [note.filename for note in said] == [__file__]  # the line of the user, not one of the package


@pytest.mark.parametrize("use", [lstmgen.Generator, lambda name: lstmgen.export(name, "out.bin", dtype="int8")])
def test_all_that_take_a_model_take_it(use: Callable[[str], object]) -> None:
    with pytest.warns(Note) as said:
        use("latex.bin")
    assert [note.filename for note in said] == [__file__]


def test_a_file_in_the_folder_comes_first(folder: Path) -> None:
    (folder / "latex.bin").write_bytes(packed())
    assert lstmgen.Model("latex.bin").outputs == 11


def test_a_name_with_a_folder_is_a_file() -> None:
    with pytest.raises(FileNotFoundError, match=r"latex\.bin"):
        lstmgen.Model("./latex.bin")


def test_a_link_to_nothing_is_a_missing_file(folder: Path) -> None:
    os.symlink("nowhere", folder / "latex.bin")
    with pytest.raises(FileNotFoundError, match=r"latex\.bin"):
        lstmgen.Model("latex.bin")


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "latex.bin", "--length", "5"],
        ["info", "latex.bin"],
        ["predict", "latex.bin", "--example"],
        ["export", "latex.bin", "small.bin", "--dtype", "int8"],
    ],
)
def test_every_command_says_so_on_one_line(argv: list[str], capsys: Capture) -> None:
    assert cli.main(argv) == 0
    err = capsys.readouterr().err.splitlines()
    assert [line for line in err if line.startswith("note: ")] == [
        "note: latex.bin: there is no such file here, so the bundled model 'latex' is taken"
    ]
    assert not any(line.startswith("warning") for line in err)


def test_a_bundled_name_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lstmgen.Model("latex")


# -- lstmgen models --------------------------------------------------------------------------------


def test_models_lists_each_with_its_card_and_what_comes_next(capsys: Capture) -> None:
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    for name in bundled():
        facts = lstmgen.Model(name).metadata
        assert f"{name:8} {facts['description']}\n" in out
        assert facts["license"] in out
        assert card_path(name) in out
    commands = [line.strip() for line in out.splitlines() if line.strip().startswith("lstmgen")]
    assert len(commands) == 2 * len(bundled())
    assert all(cli.main(shlex.split(command)[1:]) == 0 for command in commands)


def test_models_prints_a_card(capsys: Capture) -> None:
    assert cli.main(["models", "latex"]) == 0
    assert capsys.readouterr().out == Path(card_path("latex")).read_text(encoding="utf-8")


def test_models_as_json(capsys: Capture) -> None:
    assert cli.main(["models", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [fact["name"] for fact in facts] == list(bundled())
    assert all(os.path.getsize(fact["path"]) == fact["bytes"] for fact in facts)
    assert cli.main(["models", "music", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == facts[2]


def test_models_knows_what_was_meant(capsys: Capture) -> None:
    assert cli.main(["models", "latx"]) == 1
    assert capsys.readouterr().err == (
        "lstmgen: latx: no bundled model: did you mean 'latex'? (bundled: folk, latex, music)\n"
    )
