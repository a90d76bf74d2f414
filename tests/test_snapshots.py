"""What the command line prints, and the cards of models, are as the files in tests/snapshots say.

`LSTMGEN_SNAPSHOTS=write pytest tests/test_snapshots.py` renews the files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lstmgen.cli import main as cli
from lstmgen.training import card
from support.networks import classifier, network, packed
from support.snapshots import FOLDER, check_snapshot

COMMANDS = ["export", "grammar", "sample"]

CARD = {"parameters": 4207, "bits/char": 1.25, "corpus": ["a.txt", "b|c.txt"], "epochs": {"done": 3, "best": 2}}

MODELS = {
    "generator": packed(name="songs", description="Writes a | song.", card=json.dumps(CARD)),
    "classifier": classifier(),
    "predictor": packed(network([("gru", 5), ("dense", 3, "linear")], inputs=2, window=4), encoding="features"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    check_snapshot(command, capsys.readouterr().out)


@pytest.mark.parametrize("kind", MODELS)
def test_info(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.bin").write_bytes(MODELS[kind])
    assert cli.main(["info", "model.bin"]) == 0
    found = re.sub(r"^(isa|nbytes)( +).*(\n {23}.*)*", r"\1\2...", capsys.readouterr().out, flags=re.MULTILINE)
    check_snapshot(f"info-{kind}", found)


@pytest.mark.parametrize("kind", MODELS)
def test_card(kind: str) -> None:
    check_snapshot(f"card-{kind}", card.markdown(MODELS[kind], "model.bin", "la la la" if kind == "generator" else ""))


def test_no_snapshot_is_left_over() -> None:
    names = [*COMMANDS, *(f"{what}-{kind}" for what in ("info", "card") for kind in MODELS)]
    assert {path.stem for path in FOLDER.iterdir()} == set(names)
