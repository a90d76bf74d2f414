"""The tool that measures networks on piano rolls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import polyphonic


def rolls(*lengths: int) -> list[polyphonic.Roll]:
    rng = np.random.default_rng(1)
    return [(rng.random((n, polyphonic.NOTES)) < 0.05).astype(np.float32) for n in lengths]


def test_the_measure_is_the_sum_over_the_notes_averaged_over_the_steps() -> None:
    data = rolls(3, 6)

    def predict(roll: Any) -> Any:
        return np.full(roll.shape, 0.25)

    on = sum(roll[1:].sum() for roll in data)
    steps = 2 + 5
    expected = -(on * np.log(0.25) + (88 * steps - on) * np.log(0.75)) / steps
    assert polyphonic.nll(predict, data) == pytest.approx(expected)


def test_a_sure_and_wrong_prediction_is_finite() -> None:
    assert np.isfinite(polyphonic.nll(lambda roll: 1 - data[0][None, 1:], data := rolls(4)))


@pytest.mark.parametrize("length", [5, 7, 100])
def test_each_step_is_learnt_once(length: int) -> None:
    data = rolls(2, 9, 30, 31)
    wanted = sorted(row.tobytes() for roll in data for row in np.concatenate([roll[:-1], roll[1:]], axis=1))
    found = []
    for x, y, weights in polyphonic.blocks(data, length, 3, np.random.default_rng(2)):
        assert weights.sum() == pytest.approx(weights.size)
        found += [row.tobytes() for row in np.concatenate([x, y], axis=2)[weights > 0]]
    assert sorted(found) == wanted


def test_the_engine_measures_what_keras_measures(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"train": rolls(12, 20, 9), "valid": rolls(8), "test": rolls(11, 5)}
    monkeypatch.setattr(polyphonic, "pieces", lambda path: data)
    args = argparse.Namespace(
        **{"units": 6, "layers": 1, "epochs": 2, "batch": 2, "length": 8, "lr": 1e-2, "dropout": 0.1},
        **{"weight_dropout": 0.1, "every": 1, "weight_decay": 0.01, "average": 0.9, "seed": 1, "out": tmp_path},
    )
    row = polyphonic.measured(args, Path("JSB_Chorales.mat"), keras)
    assert float(row["test, engine"]) == pytest.approx(float(row["test, Keras"]), abs=0.002)
    assert row["published LSTM"] == 8.45
    assert 0 < float(row["test, engine"]) < 88 * np.log(2)


def test_files_of_matlab_are_read(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io", reason="needs scipy")
    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = rolls(3, 1)
    io.savemat(tmp_path / "a.mat", {"traindata": cell, "validdata": cell, "testdata": cell})
    found = polyphonic.pieces(tmp_path / "a.mat")
    assert [len(roll) for roll in found["train"]] == [3]  # of a single step nothing is predicted
    assert np.array_equal(found["test"][0], cell[0, 0])
