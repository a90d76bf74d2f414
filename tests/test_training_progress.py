"""What `lstmgen train` says, and how Ctrl-C ends it before its first step."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstmgen.cli import main as cli
from lstmgen.cli.main import flag
from lstmgen.errors import spelled
from lstmgen.training import Settings, TextSettings
from lstmgen.training.backend import without_noise
from lstmgen.training.progress import Outline, duration
from lstmgen.training.settings import table
from lstmgen.training.tasks.text import batch_for

SONG = "".join(f"{n} green bottles, hanging on the wall,\n" for n in range(99, 40, -1))
TASKS = Settings.__subclasses__()
DOCS = Path(__file__).resolve().parent.parent / "docs"


def command(corpus: Path, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`lstmgen train text` in a separate process, in which Ctrl-C is not ignored."""
    paths = [*([str(path)] if path else []), *sys.path]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-m", "lstmgen", "train", "text", str(corpus), "-o", str(corpus.with_name("m.bin")), *options],
        env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "song.txt").write_text(SONG)
    return tmp_path / "song.txt"


def test_it_says_what_happens_and_nothing_else(keras: Any, corpus: Path) -> None:
    small = ["--units", "4", "--batch", "16", "--length", "20", "--window", "10", "--holdout", "0.1"]
    done = command(corpus, *small, "--epochs", "3")
    assert done.returncode == 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == f"{corpus}: 2,301 characters, 2,301 letters, 26 different; 228 held out"
    network = "network: one-hot 26 > lstm 4 > dense 26, 626 parameters"
    assert lines[1] == f"{network}; 32 steps of 16 sequences an epoch, at most 3 epochs"
    best = 0
    epochs = 0
    at = 2
    while match := re.match(r"epoch (\d)/3: \d+\.\d+ bits/char, held out (\d+\.\d+)( \(best\))?, (.*)", lines[at]):
        epochs += 1
        assert int(match[1]) == epochs
        if match[3]:
            best, figure = epochs, match[2]
            assert lines[at + 1].startswith("  ")  # a sample
            assert not lines[at + 2].startswith("  ")
        else:
            assert match[4].startswith(f"no better than epoch {best} ({figure}), ")
        at += 2 if match[3] else 1
    assert epochs == 3
    out = corpus.with_name("m.bin")
    assert lines[at].startswith(f"{out}: {figure} bits/char, the best of 3 epochs: epoch {best}; ")
    assert lines[at].endswith("Beside it are the Keras model, m.h5, and the card, m.md")
    assert lines[at + 1 :] == [f"next: lstmgen sample {out}"]
    assert cli.main(["sample", str(out)]) == 0


@pytest.mark.parametrize("module", ["argparse", "numpy", "keras"])
def test_ctrl_c_while_modules_are_read_ends_it_without_a_traceback(corpus: Path, tmp_path: Path, module: str) -> None:
    """Like TensorFlow, the module may turn the `KeyboardInterrupt` into another error."""
    (tmp_path / "fake").mkdir()
    lines = ["import os, signal, time", "try:", "    os.kill(os.getpid(), signal.SIGINT)", "    time.sleep(60)"]
    if module == "keras":
        lines += ["except KeyboardInterrupt:", "    raise RuntimeError('the import failed')"]
    else:
        lines += ["finally:", "    pass"]
    (tmp_path / "fake" / f"{module}.py").write_text("\n".join(lines))
    done = command(corpus, path=tmp_path / "fake")
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "the import failed" not in done.stderr
    assert not list(tmp_path.glob("m.*"))


def test_noise_is_dropped_and_errors_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    noise = [
        b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
        b"I0000 00:00:1795879731.266577   20234 port.cc:153] oneDNN custom operations are on.\n",
        b"2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n",
        b"W0000 00:00:1795879731.266577   20234 cudart_stub.cc:31] Could not find cuda drivers\n",
        b"E0000 00:00:1795879731.2 20234 cuda_executor.cc:1228] failed call to cuInit: UNKNOWN ERROR (303)\n",
        b"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.\n",
    ]
    real = [
        b"E0000 00:00:1795879731.266577   20234 file.cc:1] out of memory\n",
        b"F0000 00:00:1795879731.266577   20234 file.cc:1] Check failed\n",
        b"keras.json: not JSON\n",
        b"ImportError: cannot import cuda\n",
    ]
    with without_noise():
        for line in (*noise, *real):
            os.write(2, line)
    assert capfd.readouterr().err.encode() == b"".join(real)
    with pytest.raises(ImportError), without_noise():  # then any of it may say why
        os.write(2, b"".join(noise))
        raise ImportError
    assert capfd.readouterr().err.encode() == b"".join(noise)


def test_the_network_is_described_as_keras_makes_it(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(9, 5),
            layers.LSTM(7, return_sequences=True),
            layers.LSTM(3),
            layers.Dense(4),
        ]
    )
    described = Outline("ids", 9).embedding(5).lstm(7).lstm(3).dense(4)
    assert described.parameters == model.count_params()
    assert str(described) == f"ids 9 > embedding 5 > lstm 7 > lstm 3 > dense 4, {model.count_params()} parameters"
    numbers = keras.Sequential(
        [keras.Input((None, 1)), layers.BatchNormalization(center=False, scale=False), layers.LSTM(3), layers.Dense(2)]
    )
    assert Outline("numbers", 1).standardize().lstm(3).dense(2).parameters == numbers.count_params()


def test_times_in_words() -> None:
    assert [duration(s) for s in (0.4, 89, 90, 5399, 5400)] == ["0 s", "89 s", "2 min", "90 min", "1.5 h"]


def test_short_texts_have_small_steps() -> None:
    assert [batch_for(n) for n in (0, 1999, 2000, 7999, 8000)] == [8, 8, 16, 16, 32]
    assert TextSettings().paced(5000).batch == 8
    assert TextSettings(batch=3).paced(5000).batch == 3
    assert TextSettings(recipe="lesson").paced(5000).batch is None


def test_short_steps_of_the_strong_recipe_follow_the_batch() -> None:
    strong = TextSettings(recipe="strong")
    assert [replace(strong, batch=batch).paced(5000).lr for batch in (2, 8, 32, 64)] == [0.001, 0.002, 0.004, 0.004]
    assert TextSettings(recipe="strong", lr=0.004, batch=8).paced(5000).lr == 0.004
    assert TextSettings(batch=8).paced(5000).lr == 0.004
    once = strong.paced(5000)
    resumed = strong.as_in(once.facts(), "m.bin")
    assert resumed.paced(5000).lr == once.lr == 0.002


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [Settings, *TASKS])
def test_docs_have_each_setting(settings: type[Settings]) -> None:
    wanted = table(settings)
    assert wanted in (DOCS / "training.md").read_text(), "write this into docs/training.md:\n" + wanted


@pytest.mark.parametrize("settings", TASKS)
def test_docstrings_have_each_setting(settings: type[Settings]) -> None:
    assert settings.__doc__ is not None
    assert (
        f"layers: number of LSTM layers, one after the other (1 to 100; default: {settings.layers})."
        in settings.__doc__
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"units": 1.5}, TypeError, "units: expected int, found 1.5"),
        ({"units": True}, TypeError, "units: expected int, found True"),
        ({"lower": 1}, TypeError, "lower: expected bool, found 1"),
        ({"lr": "high"}, TypeError, "lr: expected float, found 'high'"),
        ({"lr": float("nan")}, ValueError, "lr: expected 1e-09 to 10, found nan"),
        ({"from_": 5}, TypeError, "from_: expected str, found 5"),
        ({"weight_decay": 2.0}, ValueError, "weight_decay: expected 0 to 1, found 2.0"),
        ({"resume": True, "from_": "m.h5"}, ValueError, "resume=True and from_ exclude each other"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], error: type[Exception], message: str) -> None:
    settings = TextSettings(**change)
    with pytest.raises(error, match=re.escape(message)):
        settings.check()


def test_messages_spell_settings_as_the_face_does() -> None:
    with spelled(flag), pytest.raises(ValueError, match=r"--weight-decay: expected 0 to 1, found 2\.0"):
        TextSettings(weight_decay=2.0).check()
    with spelled(flag), pytest.raises(ValueError, match="--resume and --overwrite exclude each other"):
        TextSettings(resume=True, overwrite=True).check()
