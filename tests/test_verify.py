"""`lstmgen verify`: equal to Keras, or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen.cli import main as cli


@pytest.fixture
def saved(keras: Any, save_h5: Callable[[Any], Path]) -> Callable[[int], str]:
    """A function that saves a network of `units` for 12 letters; returns its path."""

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
    assert cli.main(["verify", out, h5, "--windows", "6"]) == 0
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
    assert "cannot load it" in capsys.readouterr().err


def test_a_model_of_another_size_is_refused_by_its_sizes(
    saved: Callable[[int], str], small_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model.bin")
    lstmgen.export(saved(20), out)
    assert cli.main(["verify", out, str(small_h5)]) == 1
    assert "expected (inputs, outputs) (12, 12) as in the model, found (2, 2)" in capsys.readouterr().err
