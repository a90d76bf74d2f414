"""What a sample may be written as.

The suffix tells it, before anything is drawn.
"""

from __future__ import annotations

import json
import re
import shlex
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import music
from lstmgen.cli import main as cli
from lstmgen.music import formats, parsing, piece
from support.networks import network, packed

ROOT = Path(__file__).resolve().parents[1]
EVENTS = ["d12", "d24", "n60", "n64", "n67", "t12"]
MELODY = ["/", "55", "60", "62", "_", "r"]
LESSON = ["0.4.7", "B-3", "C4", "E4.G4", "G4"]


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Return a function that writes a model of a vocabulary, and returns its path."""

    def written(vocabulary: list[str] | None, kind: str = "tokens") -> str:
        size = len(vocabulary or EVENTS)
        facts: dict[str, Any] = {"vocabulary": vocabulary, "vocabulary_kind": kind if vocabulary else None}
        path = tmp_path / "model.bin"
        path.write_bytes(packed(network([("lstm", 6), ("dense", size, "softmax")], size, 4), **facts))
        return str(path)

    return written


def sample(model: str, *argv: str) -> int:
    return cli.main(["sample", model, "--length", "60", "--seed", "3", *argv])


def test_a_text_of_tunes_is_written_as_music(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = sorted({*"X:1KC|cdefgab2\n "})
    path, card = tmp_path / "folk.bin", json.dumps({"notation": "abc"})
    data = packed(network([("lstm", 6), ("dense", len(letters), "softmax")], len(letters), 4), vocabulary=letters)
    path.write_bytes(data)
    tune, head = tmp_path / "a.abc", "X:1\nK:C\n"
    options = ["--prime", head, "--allow", "c", "--allow", "d"]
    assert sample(str(path), "-o", str(tmp_path / "a.mid"), *options) != 0
    assert "the model writes text" in capsys.readouterr().err
    lstmgen.export(data, path, card=card)
    assert sample(str(path), "-o", str(tune), "-o", str(tmp_path / "a.mid"), "-o", "-", *options) == 0
    drawn = capsys.readouterr().out
    assert tune.read_text() == head + drawn
    (written,) = music.read_abc(head + drawn)
    assert len(written.notes) == 60
    assert music.read_pieces(tmp_path / "a.mid", cache=False).pieces == [music.encode(written.notes)]
    assert sample(str(path), "-o", str(tmp_path / "b.mid"), "--prime", "c", "--allow", "c") != 0
    assert "b.mid: the sample is not a tune: expected a tune in ABC" in capsys.readouterr().err


# -- the table -------------------------------------------------------------------------------------


def test_every_kind_that_is_written_has_its_writer() -> None:
    assert set(formats.WRITABLE.values()) == set(piece.WRITERS)
    assert {*formats.READABLE, *formats.WRITABLE} == set(formats.FORMATS)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in formats.FORMATS)


def test_the_guide_says_which_kinds_are_read_and_written() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "guides" / "music.md").read_text(encoding="utf-8")
    told: dict[str, tuple[bool, bool]] = {}
    for line in guide.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].startswith("`."):
            told |= {suffix.strip("`"): (bool(cells[3]), bool(cells[4])) for suffix in cells[1].split(", ")}
    assert told == {suffix: (bool(row.reads), bool(row.writes)) for suffix, row in formats.FORMATS.items()}


def test_every_kind_that_music21_reads_has_its_bound() -> None:
    assert set(formats.READABLE.values()) == {*parsing._BOUNDS, "abc"}  # which is read without music21


def test_no_list_of_suffixes_stands_anywhere_else() -> None:
    """A new suffix is one row, since no other module lists suffixes."""
    suffix = r"\.(mid|midi|musicxml|mxl|krn|mp3|ogg)\b"
    several = re.compile(rf"{suffix}\W+(and |or )?{suffix}|['\"]{suffix}.*['\"]{suffix}")
    files = [*Path(lstmgen.__path__[0]).rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    found = [(path.name, line) for path in files for line in path.read_text().splitlines() if several.search(line)]
    assert found == []


@pytest.mark.parametrize("suffix", formats.WRITABLE)
def test_whatever_can_be_written_is_written(tmp_path: Path, make: Any, suffix: str) -> None:
    try:
        piece.check_installed(formats.WRITABLE[suffix])
    except (OSError, ImportError) as error:
        pytest.skip(str(error))
    path = tmp_path / f"x{suffix.upper()}"
    assert sample(make(EVENTS), "-o", str(path)) == 0
    starts = {"midi": b"MThd", "wav": b"RIFF", "png": b"\x89PNG", "musicxml": b"<?xml", "ogg": b"OggS", "abc": b"X:1\n"}
    if start := starts.get(formats.WRITABLE[suffix]):
        assert path.read_bytes().startswith(start)
    else:
        assert path.stat().st_size > 1000


# -- suffixes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.m4a", "a.jpg", "a.MP4", "a.aiff", "a.kar", "a.pdf", "a.tar.gz", "a.bin", "a.krn", "a.mxl", "a.mscz"]
)
def test_music_in_a_file_that_cannot_hold_it_is_refused_before_it_is_drawn(
    tmp_path: Path, make: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(make(EVENTS), "-o", str(tmp_path / "x.txt"), "-o", str(tmp_path / name)) == 1
    out, err = capsys.readouterr()
    listed = re.escape(", ".join(formats.WRITABLE))
    assert re.fullmatch(
        rf"lstmgen: .*{name}: such a file cannot be written: .*{listed}, its elements as text .*\n", err
    )
    assert out == "" and "seed" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


@pytest.mark.parametrize(
    "name", ["a.mid", "a.MIDI", "a.wav", "a.mp3", "a.png", "a.musicxml", "a.flac", "a.jpg", "a.pdf"]
)
def test_text_is_not_written_under_the_name_of_music(
    tmp_path: Path, make: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for vocabulary, kind in ((list("abcdeC"), "text"), (["the", "cat", "C4"], "tokens")):
        assert sample(make(vocabulary, kind), "-o", str(tmp_path / name)) == 1
        suffix = Path(name).suffix.lower()
        said = rf"lstmgen: .*{name}: the model writes text, not elements of music, which a {suffix} file does not hold"
        err = capsys.readouterr().err
        assert re.match(said, err) and "sample.txt" in err and "seed" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


def test_numbers_are_not_written_as_music(tmp_path: Path, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample(make(None), "-o", str(tmp_path / "a.mid")) == 1
    assert "a.mid: the model writes numbers, since it has no vocabulary, which a .mid" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["a", "a.txt", "a.tex", "a.md", "a.c", "a.xml", "a.krn", "a.json", "a.b.c", "a.v2", ".hidden"]
)
def test_text_is_written_under_any_other_name(tmp_path: Path, make: Any, name: str) -> None:
    model = make(list("abc"), "text")
    assert sample(model, "-o", str(tmp_path / name)) == 0
    assert (tmp_path / name).read_text() == lstmgen.Generator(model).sample(60, seed=3)


def test_elements_of_music_are_written_as_text_where_the_name_says_so(tmp_path: Path, make: Any) -> None:
    model = make(EVENTS)
    for name in ("a", "a.txt", "a.elements"):
        assert sample(model, "-o", str(tmp_path / name)) == 0
        assert (tmp_path / name).read_text().split() == lstmgen.Generator(model).sample(60, seed=3)


def test_what_is_missing_is_said_before_anything_is_drawn(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for argv, said in (
        (["-o", str(tmp_path / "a.mp3")], "a .mp3 needs the program ffmpeg or lame"),
        (["-o", str(tmp_path / "a.mid"), "--bpm", "1"], "bpm: expected 4 to 1000 quarters a minute, found 1"),
    ):
        assert sample(make(EVENTS), *argv) == 1
        err = capsys.readouterr().err
        assert said in err and "seed" not in err


# -- notations -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("always:the elements are a melody:UserWarning")
def test_a_melody_is_written_and_what_is_assumed_is_said(
    tmp_path: Path, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make(MELODY)
    assert sample(model, "-o", str(tmp_path / "a.mid"), "-o", str(tmp_path / "a.txt")) == 0
    err = capsys.readouterr().err
    assert err.startswith("assumed: the elements are a melody as melodygenerator.py has it: each symbol lasts")
    symbols = (tmp_path / "a.txt").read_text().split()
    assert len(symbols) == 60 and set(symbols) <= set(MELODY)
    expected = music.decode(symbols, notation="melody")
    assert len({note.duration for note in expected.notes}) > 1
    pytest.importorskip("music21", reason="needs music21: pip install 'lstmgen[music]'")
    (found,) = music.read_pieces(tmp_path / "a.mid", cache=False).pieces
    assert found == music.encode(expected.notes)
    assert sample(model, "-o", str(tmp_path / "b.txt")) == 0
    assert "assumed" not in capsys.readouterr().err  # nothing is, of text


@pytest.mark.filterwarnings("always:the elements are a melody:UserWarning")
def test_a_saved_melody_model_and_its_mapping_make_midi(
    tmp_path: Path, write_h5: Any, lstm_arrays: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The course leaves a model and a mapping.json.

    The model takes one-hot symbols, for any number of steps.
    """
    size = len(MELODY)
    kernel = np.random.default_rng(5).uniform(-1, 1, (3, size)).astype(np.float32)
    model = write_h5(
        [
            ("LSTM", {"name": "lstm", "units": 3, "batch_input_shape": [None, None, size]}),
            ("Dropout", {"name": "dropout", "rate": 0.2}),
            ("Dense", {"name": "dense", "units": size, "activation": "softmax"}),
        ],
        {
            "lstm": lstm_arrays("lstm", size, 3),
            "dense": {"dense/kernel:0": kernel, "dense/bias:0": np.zeros(size, np.float32)},
        },
    )
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({symbol: i for i, symbol in enumerate(MELODY)}))
    argv = ["--vocab", str(mapping), "--window", "8", "--prime", "60 _ _ _ r _"]
    outputs = ["-o", str(tmp_path / "x.mid"), "-o", str(tmp_path / "x.txt")]
    assert sample(str(model), *argv, "--stop", "/", "--include-prime", *outputs) == 0
    assert "assumed: the elements are a melody" in capsys.readouterr().err
    symbols = (tmp_path / "x.txt").read_text().split()
    notes = music.decode(symbols, notation="melody").notes
    assert notes[0] == music.Note(0, 1, 60) and all(note.start >= 1.5 for note in notes[1:])
    expected = tmp_path / "expected.mid"
    music.Music(notes).write(expected)
    assert (tmp_path / "x.mid").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("vocabulary", "notation"), [(EVENTS, "events"), (LESSON, "lesson"), (MELODY, "melody"), (["", *EVENTS], "events")]
)
def test_the_vocabulary_decides_not_what_was_drawn(vocabulary: list[str], notation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if notation == "melody" else "error")
        assert music.check_outputs(["a.mid"], vocabulary) == notation
    assert music.check_outputs(["a.txt"], vocabulary) == notation
    assert music.check_outputs([], vocabulary, joined=True) is None
    assert music.is_music("a.MID", notation) and not music.is_music("a.txt", notation)


# -- the picture in the README ---------------------------------------------------------------------


def texts(png: bytes) -> dict[str, str]:
    """Return the texts in the metadata of a PNG file."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(kind + body)
        if kind == b"tEXt":
            key, _, value = body.partition(b"\0")
            found[key.decode("latin-1")] = value.decode("latin-1")
        at += 12 + size
    return found


def test_the_picture_in_the_readme_is_what_its_command_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'lstmgen[plot]'")
    if lstmgen.Model("music").isa == "baseline":
        pytest.skip("needs a processor with vectors: without, 500 elements take minutes, and are the same")
    readme = (ROOT / "README.md").read_text()
    after = readme.partition("](docs/images/roll.png)")[2]
    command = re.search(r"`lstmgen (sample music [^`]*-o roll\.png)`", after)
    assert command, "expected the command of the picture after it"
    argv = [str(tmp_path / "roll.png") if word == "roll.png" else word for word in shlex.split(command[1])]
    assert cli.main(argv) == 0
    drawn, kept = (tmp_path / "roll.png").read_bytes(), (ROOT / "docs/images/roll.png").read_bytes()
    assert texts(drawn)["Notes"] == texts(kept)["Notes"], f"draw it again: lstmgen {command[1]}"


def test_a_picture_knows_its_notes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'lstmgen[plot]'")
    names = []
    for pitch in (60, 61):
        music.Music([music.Note(0, 1, pitch)]).write(tmp_path / "x.png")
        names.append(texts((tmp_path / "x.png").read_bytes())["Notes"])
    assert names[0] != names[1] and all(re.fullmatch("[0-9a-f]{64}", name) for name in names)
