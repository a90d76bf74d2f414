"""`lstmgen verify`: equal to Keras, or not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import verify
from lstmgen.cli import main as cli


@pytest.fixture
def saved(keras: Any, save_h5: Callable[[Any], Path]) -> Callable[[int], str]:
    """Return a function that saves a network of `units` for 12 letters; returns its path."""

    def save(units: int) -> str:
        layers = keras.layers
        stack = [keras.Input((15, 12)), layers.LSTM(units), layers.Dense(12, activation="softmax")]
        return str(save_h5(keras.Sequential(stack)))

    return save


@pytest.mark.parametrize("dtype", ["f32", "bf16", "int8"])
def test_a_model_is_equal_to_the_one_it_was_exported_from(
    saved: Callable[[int], str], tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    h5, out = saved(20), str(tmp_path / "model.bin")
    lstmgen.export(h5, out, dtype=dtype)
    assert cli.main(["verify", out, h5]) == 0
    assert "\nequal to Keras" in capsys.readouterr().out


def test_a_model_that_needs_whole_windows(
    keras: Any, save_h5: Callable[[Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = keras.layers
    stack = [keras.Input((9, 12)), layers.Bidirectional(layers.LSTM(7)), layers.Dense(12, activation="softmax")]
    h5, out = str(save_h5(keras.Sequential(stack))), str(tmp_path / "model.bin")
    lstmgen.export(h5, out, prime=list(range(9)))
    assert cli.main(["verify", out, h5, "--windows", "6"]) == 0
    assert "\nequal to Keras" in capsys.readouterr().out


def test_a_stateful_model_is_run_step_by_step(
    keras: Any, save_h5: Callable[[Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = keras.layers
    stack = [keras.Input(batch_shape=(1, 1, 12)), layers.LSTM(9, stateful=True), layers.Dense(12, activation="softmax")]
    h5, out = str(save_h5(keras.Sequential(stack))), str(tmp_path / "model.bin")
    with pytest.warns(UserWarning, match="its state is carried"):
        lstmgen.export(h5, out)
    assert cli.main(["verify", out, h5, "--windows", "2"]) == 0
    assert "\nequal to Keras" in capsys.readouterr().out


def test_a_model_is_not_equal_to_another(
    saved: Callable[[int], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(saved(20), out)
    other = saved(21)
    assert cli.main(["verify", out, other]) == 1
    captured = capsys.readouterr()
    assert "NOT equal to Keras" in captured.out
    assert captured.err.strip() == f"lstmgen: {out} differs from {other}"


def test_what_keras_cannot_load_is_a_reason_not_a_traceback(
    keras: Any, small_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(small_h5, out)
    assert cli.main(["verify", out, str(small_h5)]) == 1
    err = capsys.readouterr().err
    assert "cannot load it" in err and err.endswith("; --as-saved compares with lstmgen's own reading of the file\n")
    assert cli.main(["verify", out, str(small_h5), "--as-saved"]) == 0
    said = capsys.readouterr().out
    assert "cannot load it" in said and "--as-saved" not in said


def test_a_model_of_another_size_is_refused_by_its_sizes(
    saved: Callable[[int], str], small_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(saved(20), out)
    assert cli.main(["verify", out, str(small_h5)]) == 1
    assert "expected (inputs, outputs) (12, 12) as in the model, found (2, 2)" in capsys.readouterr().err


@pytest.fixture
def keras2_hard_sigmoid(keras: Any, save_h5: Callable[[Any], Path]) -> str:
    """Return an LSTM with hard_sigmoid gates and the version of Keras 2.2.4.

    Keras 3 computes another hard_sigmoid.
    """
    layers = keras.layers
    lstm = layers.LSTM(8, recurrent_activation="hard_sigmoid")
    model = keras.Sequential([keras.Input((15, 12)), lstm, layers.Dense(12, activation="softmax")])
    model.set_weights([4 * weights for weights in model.get_weights()])
    path = save_h5(model)
    with h5py.File(path, "r+") as file:
        for node in (file, file["model_weights"]):
            node.attrs["keras_version"] = b"2.2.4"
    return str(path)


@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_a_keras_that_reads_the_file_otherwise_is_no_proof(
    keras2_hard_sigmoid: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(keras2_hard_sigmoid, out, dtype=dtype)
    assert cli.main(["verify", out, keras2_hard_sigmoid]) == 1
    said = capsys.readouterr().out
    assert "NOT equal to Keras: Keras 3" in said
    assert "reads this file differently from Keras 2.2.4, which saved it" in said
    assert "hard_sigmoid was clip(0.2 x + 0.5, 0, 1) in Keras 1 and 2" in said
    assert "--as-saved" in said


def test_as_saved_compares_with_the_file_alone(
    keras2_hard_sigmoid: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(keras2_hard_sigmoid, out)
    assert cli.main(["verify", "--as-saved", out, keras2_hard_sigmoid]) == 0
    said = capsys.readouterr().out
    assert said.endswith("equal to the file as Keras 2.2.4 saved it, by lstmgen's own reading of it\n")
    assert float(said.split("greatest difference")[1].split()[0]) > 0.1  # Keras is still asked, and its distance said


def test_as_saved_is_no_pass_for_another_model(
    saved: Callable[[int], str], keras2_hard_sigmoid: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(saved(8), out)
    assert cli.main(["verify", "--as-saved", out, keras2_hard_sigmoid]) == 1
    assert "NOT equal to the file" in capsys.readouterr().out


def test_as_saved_needs_no_keras_that_loads_the_file(
    small_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(small_h5, out, encoding="onehot")
    assert cli.main(["verify", "--as-saved", out, str(small_h5)]) == 0
    assert "equal to the file as Keras 2.1.5 saved it" in capsys.readouterr().out


def test_a_difference_without_a_known_cause_fails_too(
    saved: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5, out = saved(20), str(tmp_path / "model.bin")
    lstmgen.export(h5, out)
    run = verify._run
    monkeypatch.setattr(verify, "_run", lambda loaded, x: run(loaded, x) + np.float32(1e-3))
    verdict = verify.verify(out, h5, 8)
    assert not verdict.passed
    assert "what differs is not known" in verdict.text


def test_what_was_not_compared_is_said(
    saved: Callable[[int], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    h5, out = saved(20), str(tmp_path / "model.bin")
    lstmgen.export(h5, out)
    cli.main(["verify", out, h5])
    said = capsys.readouterr().out
    assert "not compared           vocabulary, prime and encoding, which Keras does not store; " in said
    assert "carried state" in said


@pytest.mark.parametrize("steps", [1, 5])
def test_a_stateful_model_of_a_fixed_batch(
    keras: Any, save_h5: Callable[[Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: int
) -> None:
    layers = keras.layers
    lstm = layers.LSTM(9, stateful=True, return_sequences=True)
    stack = [keras.Input(batch_shape=(4, steps, 12)), lstm, layers.Dense(12, activation="softmax")]
    h5, out = str(save_h5(keras.Sequential(stack))), str(tmp_path / "model.bin")
    with pytest.warns(UserWarning, match="its state is carried" if steps == 1 else "refresh=None carries"):
        lstmgen.export(h5, out)
    assert cli.main(["verify", out, h5, "--windows", "6"]) == 0
    assert "\nequal to Keras" in capsys.readouterr().out


@pytest.mark.slow(reason="starts TensorFlow in a separate process")
def test_the_command_says_nothing_of_the_start_of_tensorflow(saved: Callable[[int], str], tmp_path: Path) -> None:
    path = saved(5)
    lstmgen.export(path, tmp_path / "m.bin", vocab=list("abcdefghijkl"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = [sys.executable, "-m", "lstmgen", "verify", str(tmp_path / "m.bin"), path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
