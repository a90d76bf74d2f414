"""`lstmgen train music`, and what `lstmgen sample` writes of it."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import music
from lstmgen.cli import main as cli
from lstmgen.music.elements import kept
from lstmgen.training import MusicSettings, TextSettings, train_music
from lstmgen.training.tasks import batches
from support.slow import slow_but

pytest.importorskip("music21", reason="needs music21: pip install 'lstmgen[music]'")

# A network that has learnt as little as these may end a piece before its first note.
ENDLESS = "velocity,pedal,tempo,meter,tracks"
SMALL = MusicSettings(units=16, epochs=1, batch=4, length=24, window=16, holdout=0.2, lr=1e-2, keep=ENDLESS)


@pytest.fixture(autouse=True)
def _needs_keras(keras: Any) -> None:
    """All of these train."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten scales, up and down, in different keys and rhythms."""
    path = tmp_path_factory.mktemp("scales")
    steps = (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2, 0)
    for i in range(10):
        length = (0.25, 0.5, 1.0)[i % 3]
        notes = [music.Note(length * k, length, 55 + i + step) for k, step in enumerate(steps * 3)]
        music.Music(notes).write(path / f"scale{i}.mid")
    return path


@pytest.mark.parametrize("transpose", slow_but({False}, [False, True], "trains on each piece in twelve keys"))
def test_events_make_a_generator_of_music(folder: Path, tmp_path: Path, transpose: bool) -> None:
    report = train_music(folder, tmp_path / "m.bin", replace(SMALL, transpose=transpose), name="scales")
    model = lstmgen.Model(tmp_path / "m.bin")
    assert (model.encoding, model.window, model.metadata["name"]) == ("onehot", 16, "scales")
    assert model.metadata["card"]["pieces"] == 10
    assert len(model.metadata["card"]["pieces_held_out"]) >= 1
    assert "val_loss" in report.history[0]
    elements = lstmgen.Generator(model).sample(60, seed=1)
    assert isinstance(elements, list)
    assert music.decode([str(e) for e in elements]).notes


def test_a_piece_is_drawn_from_its_beginning_to_its_end(folder: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, keep="velocity,ends", holdout=1, holdout_from=str(folder / "scale3.mid"))
    train_music(folder, tmp_path / "m.bin", settings)
    model = lstmgen.Model(tmp_path / "m.bin")
    card = model.metadata["card"]
    assert (card["notation"], card["recipe"]["keep"]) == ("events with velocity, ends", "velocity,ends")
    assert card["pieces_held_out"] == ["scale3.mid"]
    assert model.vocabulary is not None and kept(model.vocabulary.elements) == ("ends",)  # all are as loud
    assert card["sample"] == {"stop": ["end"]} and model.prime.tolist() == model.vocabulary.encode(["begin"]).tolist()
    drawn = lstmgen.Generator(model).sample(10_000, seed=1, stop=["end"], logit_bias={"end": 3.0})
    assert "end" not in drawn[:-1] and drawn[-1] == "end"


def test_each_epoch_has_the_first_and_the_last_slice(keras: Any) -> None:
    piece = np.arange(1000, dtype=np.int32)
    of = TextSettings(length=100, batch=1, recipe="steps")
    data = batches.slices([piece], of, None, None, ends=True)
    rows = [data.of(0)(step)[1][0, -1] for step in range(12)]
    assert {100, 999} <= {int(last) for last in rows}


@pytest.mark.parametrize("named", ["nowhere", "."])
def test_what_cannot_be_held_out_is_named(folder: Path, tmp_path: Path, named: str) -> None:
    settings = replace(SMALL, holdout=1, holdout_from=str(folder / named))
    with pytest.raises(ValueError, match=r"holdout_from: expected a file or folder with some of the .* pieces, found"):
        train_music(folder, tmp_path / "m.bin", settings)


def test_the_lessons_notation_reads_index_over_n(folder: Path, tmp_path: Path) -> None:
    train_music(folder, tmp_path / "m.bin", MusicSettings(notation="lesson", units=16, epochs=1, window=16))
    model = lstmgen.Model(tmp_path / "m.bin")
    assert (model.encoding, model.input_shape) == ("scaled", (None, 16, 1))
    assert model.vocabulary is not None
    ids = np.arange(16)[None] % len(model.vocabulary)
    scaled = (ids / len(model.vocabulary)).astype(np.float32)[..., None]
    np.testing.assert_array_equal(model.predict(ids), model.predict(scaled))
    assert all(element[0] in "ABCDEFG" for element in model.vocabulary.elements)  # these pieces have no chords


@pytest.mark.slow(reason="trains twice; texts are trained on in any run")
def test_music_is_trained_on_and_gives_its_weights(folder: Path, tmp_path: Path) -> None:
    lesson = MusicSettings(notation="lesson", units=4, epochs=1, window=16)
    train_music(folder, tmp_path / "m.bin", lesson)
    report = train_music(folder, tmp_path / "m.bin", MusicSettings(epochs=1, resume=True))
    assert (len(report.history), report.best_epoch in (1, 2)) == (1, True)
    fewer = [folder / f"scale{i}.mid" for i in range(9)]
    with pytest.raises(ValueError, match=r"expected the same elements as in the data, .* it has 22, the data have"):
        train_music(fewer[:3], tmp_path / "n.bin", MusicSettings(from_=tmp_path / "m.h5", window=16))
    with pytest.raises(ValueError, match=r"m\.bin: it learnt from other data: pieces: it had 10, found 9"):
        train_music(fewer, tmp_path / "m.bin", MusicSettings(resume=True))


@pytest.fixture(scope="module")
def by_command(keras: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the model of a training by the command line, and what it said.

    It learns from the folder, a file that is not music, and a piece that is too short.
    """
    path = tmp_path_factory.mktemp("command")
    (path / "bad.mid").write_bytes(b"not music")
    music.Music([music.Note(k, 1, 60 + k) for k in range(5)]).write(path / "short.mid")
    arguments = [str(of) for of in (folder, path / "bad.mid", path / "short.mid", "-o", path / "m.bin")]
    options = ["--units", "16", "--epochs", "1", "--batch", "4", "--length", "24", "--window", "16", "--keep", ENDLESS]
    with contextlib.redirect_stderr(io.StringIO()) as told, warnings.catch_warnings():
        warnings.filterwarnings("always", ".*skipped", UserWarning)
        assert cli.main(["train", "music", *arguments, *options]) == 0
    return path / "m.bin", told.getvalue()


def test_command_line_trains_and_writes_music(by_command: tuple[Path, str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'lstmgen[plot]'")
    model, told = by_command
    assert "a sample of 240 elements: " in told
    (following,) = re.findall(r"\nnext: lstmgen (.*)\n", told)
    assert cli.main(shlex.split(following)) == 0
    assert model.with_suffix(".mid").read_bytes().startswith(b"MThd")
    outputs = [tmp_path / name for name in ("s.mid", "s.wav", "s.png", "s.txt")]
    arguments = [argument for path in outputs for argument in ("-o", str(path))]
    assert cli.main(["sample", str(model), "--length", "60", "--seed", "2", *arguments]) == 0
    for path, start in zip(outputs, (b"MThd", b"RIFF", b"\x89PNG", b""), strict=True):
        assert path.read_bytes().startswith(start)
    elements = (tmp_path / "s.txt").read_text().split()
    assert len(elements) == 60
    again = music.read_pieces(tmp_path / "s.mid", cache=False).pieces[0]
    assert music.decode(again).notes == music.decode(elements).notes


def test_bad_files_and_short_pieces_are_told(by_command: tuple[Path, str]) -> None:
    model, told = by_command
    lines = told.splitlines()
    assert any(line.startswith(f"warning: {model.with_name('bad.mid')}: skipped: ") for line in lines)
    assert any("11 pieces of " in line and "; 1 too short:" in line for line in lines)


@pytest.mark.slow(reason="trains until it is stuck")
def test_a_sample_that_is_stuck_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        notes = [music.Note(0.5 * k, 0.5, 60) for k in range(200)]
        music.Music([*notes, music.Note(100, 1.0, 62 + i)]).write(tmp_path / f"same{i}.mid")
    options = [
        "--units",
        "16",
        "--epochs",
        "3",
        "--batch",
        "4",
        "--length",
        "24",
        "--window",
        "16",
        "--lr",
        "0.02",
        "--dropout",
        "0",
        "--keep",
        "none",
    ]
    assert cli.main(["train", "music", str(tmp_path), "-o", str(tmp_path / "m.bin"), *options]) == 0
    assert "warning: " in capsys.readouterr().err
    sample = [
        "sample",
        str(tmp_path / "m.bin"),
        "--temp",
        "0.1",
        "--prime",
        "n60",
        "--carry",
        "-o",
        str(tmp_path / "s.mid"),
    ]
    cli.main(sample)
    assert "warning: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no music in this folder"),
        ({"a.mid": b"not music"}, "no file could be read"),
        ({"a.txt": b"C4 D4"}, "no music in this folder"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*skipped:UserWarning")
def test_music_that_cannot_be_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, bytes], reason: str
) -> None:
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    assert cli.main(["train", "music", str(tmp_path / "in"), "-o", str(tmp_path / "m.bin")]) == 1
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_pieces_shorter_than_a_sequence_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the longest piece: expected at least 2001 elements, found"):
        train_music(folder, tmp_path / "m.bin", replace(SMALL, length=2000))


@pytest.mark.slow(reason="trains for one figure")
def test_a_window_longer_than_a_held_out_chunk_is_measured(tmp_path: Path) -> None:
    for i in range(8):
        notes = [music.Note(k / 2, 0.5, 50 + (k * (i + 1)) % 30) for k in range(1600)]
        music.Music(notes).write(tmp_path / f"long{i}.mid")
    settings = replace(SMALL, window=1100, batch=2)
    report = train_music(tmp_path, tmp_path / "m.bin", settings)
    assert report.best > 2  # nothing was learnt in one epoch


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": 0}, "units: expected 1"),
        ({"length": 0}, "length: expected 2"),
        ({"window": 0}, "window: expected 1"),
        ({"layers": 0}, "layers: expected 1"),
        ({"notation": "lesson", "keep": "all"}, "keep: it has no effect"),
        ({"keep": "loudness"}, "keep: expected all, none, or some of velocity, .* found 'loudness'"),
        ({"holdout": 0.9}, "holdout: expected 0 to 0.5 of all pieces, found 0.9"),
    ],
)
def test_settings_that_cannot_be(folder: Path, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        train_music(folder, tmp_path / "m.bin", replace(SMALL, **change))


def test_text_is_not_written_as_music(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sample", "latex", "--length", "20", "-o", str(tmp_path / "x.mid")]) == 1
    assert "lstmgen: " in capsys.readouterr().err
    assert not (tmp_path / "x.mid").exists()
