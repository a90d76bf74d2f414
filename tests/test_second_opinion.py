"""pyfive, another reader of HDF5, finds the arrays that h5py finds in files of Keras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

pyfive = pytest.importorskip("pyfive", reason="needs the extra test")

ZOO = os.environ.get("LSTMGEN_ZOO", "")


def arrays(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays in a group and below, by their names. h5py and pyfive have the same interface."""
    for name in sorted(group.keys()):
        found = group[name]
        if hasattr(found, "keys"):
            yield from arrays(found, f"{path}/{name}")
        else:
            yield f"{path}/{name}", np.asarray(found[()])


def compare(path: Path) -> int:
    """Compare the arrays of a file. Return how many there are."""
    with h5py.File(path) as ours, pyfive.File(str(path)) as theirs:
        expected, found = dict(arrays(ours)), dict(arrays(theirs))
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
    return len(expected)


# pyfive 1.3 does not read the chunks that "latest" writes (layout 4). Keras never writes them.
@pytest.mark.parametrize(("libver", "compression"), [("earliest", None), ("earliest", "gzip"), ("latest", None)])
def test_both_readers_find_the_same_arrays(tmp_path: Path, libver: str, compression: str | None) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w", libver=libver) as file:
        for layer in ("lstm", "dense"):
            for name, shape in (("kernel", (30, 40)), ("bias", (40,))):
                file.create_dataset(
                    f"{layer}/{layer}/{name}:0", data=rng.random(shape, np.float32), compression=compression
                )
    assert compare(path) == 4


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_both_readers_find_the_same_arrays_in_a_file_of_keras(keras: Any, tmp_path: Path, suffix: str) -> None:
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(3)])
    path = tmp_path / f"model{suffix}"
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    assert compare(path) >= 5


@pytest.mark.skipif(not ZOO, reason="LSTMGEN_ZOO does not name a folder of real saved models")
def test_both_readers_find_the_same_arrays_in_real_files() -> None:
    paths = sorted(path for path in Path(ZOO).rglob("*") if path.is_file() and h5py.is_hdf5(path))
    assert sum(map(compare, paths)) > 0
