"""What the tests share: Keras, files as Keras saves them, and real files."""

from __future__ import annotations

import os

# NumPy and TensorFlow read these when they are loaded. The matrices of the tests are small, so that
# threads that wait for each other cost more than they save.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Files are read in the process of the test, which is faster. tests/test_isolation.py has the other
# way, over all kinds of file.
os.environ.setdefault("LSTMGEN_TRUST", "1")

import json
import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike, NDArray

Arrays = Mapping[str, ArrayLike]
LayerConfig = tuple[str, dict[str, Any]]

# The same cases in each run, however long they take: a change breaks a test, or does not. To try
# others:
#     pytest --hypothesis-profile=default --hypothesis-seed=random
settings.register_profile("same-cases", derandomize=True, deadline=None)
settings.load_profile("same-cases")


PROCESSES = 8  # each loads TensorFlow, which takes 0.6 GB


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share plain `pytest` among processes. Tests that are named or chosen run in this one."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    chosen = config.option.keyword or config.option.markexpr != "not slow" or config.getoption("lf", default=False)
    return min(os.cpu_count() or 1, PROCESSES) if everything and not chosen else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that is marked as slow without saying why plain `pytest` does not need it."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if mark.args or list(mark.kwargs) != ["reason"] or not isinstance(mark.kwargs["reason"], str):
                raise pytest.UsageError(f"{item.nodeid}: expected pytest.mark.slow(reason='...'), found {mark}")


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras, imported once, and only if a test wants it."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'lstmgen[train]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the imports of Keras warn of deprecations
        return pytest.importorskip("keras", minversion="3")


class _LegacyFormat(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the one warning that saving as .h5 always gives."""
        return not record.getMessage().startswith("You are saving your model as an HDF5 file")


@pytest.fixture
def save_h5(tmp_path: Path) -> Iterator[Callable[[Any], Path]]:
    """Yield a function that saves a Keras model as .h5."""
    count = 0

    def save(model: Any) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"keras{count}.h5"
        model.save(path)
        return path

    logger, legacy = logging.getLogger("absl"), _LegacyFormat()
    logger.addFilter(legacy)
    yield save
    logger.removeFilter(legacy)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def write_h5(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes what Keras 2.1.5, or another `version`, would have saved.

    `layers` holds class and config of each layer, `weights` the arrays of each layer that has
    some, under the name of the layer; `model` replaces the whole model_config.
    """

    def write(
        layers: list[LayerConfig],
        weights: Mapping[str, Arrays],
        *,
        version: str | None = "2.1.5",
        model: Any = None,
        name: str = "model.h5",
    ) -> Path:
        import h5py

        listed = [{"class_name": kind, "config": config} for kind, config in layers]
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            config = {"class_name": "Sequential", "config": listed} if model is None else model
            group = file.create_group("model_weights")
            for node in (file, group):
                node.attrs["backend"] = b"tensorflow"
                if version is not None:
                    node.attrs["keras_version"] = version.encode()
            file.attrs["model_config"] = json.dumps(config).encode()
            names = [config["name"] for _, config in layers]
            group.attrs["layer_names"] = [name.encode() for name in names]
            for layer in names:
                arrays = weights.get(layer, {})
                member = group.create_group(layer)
                member.attrs["weight_names"] = [array.encode() for array in arrays]
                for array, values in arrays.items():
                    member.create_dataset(array, data=values)
        return path

    return write


@pytest.fixture
def lstm_arrays(rng: np.random.Generator) -> Callable[..., dict[str, NDArray[np.float32]]]:
    """Return a function that makes the arrays of an LSTM, as Keras 2.1.5 names them."""

    def arrays(name: str, size: int, units: int) -> dict[str, NDArray[np.float32]]:
        shapes = {
            "kernel": (size, 4 * units),
            "recurrent_kernel": (units, 4 * units),
            "bias": (4 * units,),
        }
        return {f"{name}/{key}:0": rng.uniform(-1, 1, shape).astype(np.float32) for key, shape in shapes.items()}

    return arrays


@pytest.fixture
def small_h5(write_h5: Callable[..., Path], lstm_arrays: Callable[..., Any]) -> Path:
    """Return a sound file: LSTM 3 on (4, 2), Dropout, Dense 2."""
    return write_h5(
        [
            ("LSTM", {"name": "lstm_1", "units": 3, "batch_input_shape": [None, 4, 2]}),
            ("Dropout", {"name": "dropout_1", "rate": 0.5}),
            ("Dense", {"name": "dense_1", "units": 2, "activation": "softmax"}),
        ],
        {
            "lstm_1": lstm_arrays("lstm_1", 2, 3),
            "dense_1": {
                "dense_1/kernel:0": np.ones((3, 2), np.float32),
                "dense_1/bias:0": np.zeros(2, np.float32),
            },
        },
    )


@pytest.fixture(scope="session")
def zoo() -> Path:
    """Return the folder of real saved models, which are not ours to pass on."""
    folder = os.environ.get("LSTMGEN_ZOO")
    if not folder:
        pytest.skip("LSTMGEN_ZOO does not name a folder of real saved models")
    return Path(folder)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children react to Ctrl-C.

    A shell ignores it for processes in the background.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
