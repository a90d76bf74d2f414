"""Every row of the table in docs/keras-files.md, in every kind of file and version of Keras.

Each row is a small Keras model (support/keras_models.py). The installed Keras saves it, and it must
predict what Keras does. Any other kind of file must give the same network. Keras writes some of
them, and support/legacy_files.py writes those in the layouts of older versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import keras_file, parity
from lstmgen.keras_file.spec import parse_version
from lstmgen.network import reference
from lstmgen.parity import MEDIAN, WORST
from support import legacy_files
from support.comparing import difference, output_of
from support.keras_models import ROWS
from support.slow import slow_but

DOCS = Path(__file__).parent.parent / "docs" / "keras-files.md"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* was passed an input with a mask"
)  # Keras drops the mask, as we do

# Keras 3 computes these in another way than older versions. The tests below the table check it.
MEANS_OTHERWISE = {
    "masked Bidirectional, return_sequences=True": tuple(v for v in legacy_files.VERSIONS if parse_version(v) < (2, 4)),
    "Add of masked and unmasked": legacy_files.VERSIONS,
    "Concatenate of masked and unmasked": legacy_files.VERSIONS,
}

NOT_BEFORE_KERAS_3 = ("masked zero_output_for_mask",)  # the writers of older files do not know this option

# Each differs in one option from a row that plain `pytest` tries.
SIBLINGS = re.compile(
    r"(GRU|SimpleRNN) (unroll|dropout|activation|130 units|1 unit|any number|stack)"
    r"|Bidirectional (GRU|SimpleRNN) (sum|mul|ave)|(LeakyReLU|ELU|ReLU|Softmax|PReLU).* on a vector"
    r"|Activation (?!relu|tanh|sigmoid|softmax|gelu)|(Average|Maximum|Minimum) of sequences"
)
FAST = [name for name in ROWS if not SIBLINGS.match(name)]
EACH_ROW = slow_but(FAST, ROWS, "a row that plain pytest tries differs in one option")

# Plain `pytest` reads these as older versions wrote them: each layout of weights, masks, models.
IN_OLDER_VERSIONS = {
    *("LSTM", "LSTM go_backwards", "LSTM stack of 3", "GRU", "GRU reset_after=False", "SimpleRNN"),
    *("Bidirectional LSTM concat, return_sequences=True", "Bidirectional GRU concat, return_sequences=False"),
    *("Embedding", "PReLU shared_axes on a sequence", "ReLU max 6 on a sequence", "Activation softmax"),
    *("TimeDistributed Dense", "BatchNormalization scale=True, center=False", "RNN of stacked cells"),
    *("Masking, LSTM", "masked Bidirectional, return_sequences=True", "residual connection"),
    *("layer called twice", "models within a model", "Sequential within a Sequential"),
}


@pytest.fixture(scope="module", autouse=True)
def _keras(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give `trial`, which remembers what it makes, Keras and a folder."""
    _Trial.keras, _Trial.folder = keras, tmp_path_factory.mktemp("rows")
    yield
    trial.cache_clear()
    versions.cache_clear()


class _Trial:
    """A row as Keras, as float64 and as lstmgen see it."""

    keras: Any
    folder: Path

    def __init__(self, name: str) -> None:
        row = ROWS[name]
        self.model = row.model(self.keras)
        self.path = self.folder / f"{re.sub('[^a-zA-Z0-9]', '_', name)}.h5"
        self.model.save(self.path)
        self.network = keras_file.read(self.path)
        self.x = row.inputs()
        self.expected: NDArray[np.float32] = output_of(self.model, self.x)
        self.exact = reference.forward(self.network, self.x)

    @cached_property
    def engine(self) -> lstmgen.Model:
        """Return the exported model."""
        encoding = "index" if self.network.takes_ids else "features"
        return lstmgen.Model(str(self.path), encoding=encoding)

    def ratio(self) -> float:
        """Return the error of lstmgen against float64 as a multiple of Keras's."""
        amplified = parity.amplification(self.network, self.exact, lambda network: reference.forward(network, self.x))
        return parity.ratio(self.engine.predict(self.x), self.expected, self.exact, amplified)


@cache
def trial(name: str) -> _Trial:
    return _Trial(name)


@pytest.mark.parametrize("name", EACH_ROW)
def test_predicts_what_keras_does(name: str) -> None:
    of = trial(name)
    scale = max(1.0, float(np.abs(of.exact).max()))
    assert np.abs(of.expected - of.exact).max() < 1e-5 * scale, "the reference is not what Keras computes"
    np.testing.assert_allclose(of.engine.predict(of.x), of.expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "name",
    slow_but({"LSTM", "Masking, GRU", "residual connection"}, ROWS, "Keras compiles each model before it predicts"),
)
def test_predict_of_keras_is_the_call_of_its_model(name: str) -> None:
    of = trial(name)
    predicted = of.model.predict(of.x, batch_size=len(of.x), verbose=0)
    scale = max(1.0, float(np.abs(of.exact).max()))
    assert np.abs(predicted - of.exact).max() < 1e-5 * scale


@pytest.mark.parametrize("names", [FAST, pytest.param([*ROWS], marks=pytest.mark.slow(reason="all rows"))], ids=len)
def test_error_against_float64_is_as_small_as_that_of_keras(names: list[str]) -> None:
    ratios = {name: trial(name).ratio() for name in names}
    print(f"median {np.median(list(ratios.values())):.2f}, worst {max(ratios.items(), key=lambda item: item[1])}")
    assert max(ratios.values()) <= WORST, sorted(ratios.items(), key=lambda item: item[1])[-5:]
    assert np.median(list(ratios.values())) <= MEDIAN


@pytest.mark.parametrize("name", EACH_ROW)
def test_keras_file_gives_the_same_network(name: str, tmp_path: Path) -> None:
    of = trial(name)
    of.model.save(tmp_path / "m.keras")
    assert difference(keras_file.read(tmp_path / "m.keras"), of.network) is None


@pytest.mark.parametrize("name", EACH_ROW)
def test_weights_with_their_architecture_give_the_same_network(name: str, tmp_path: Path) -> None:
    of = trial(name)
    of.model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(of.model.to_json())
    assert difference(keras_file.read(tmp_path / "m.weights.h5", config=tmp_path / "m.json"), of.network) is None


@cache
def versions(name: str) -> dict[str, Path]:
    """Files of the row as the older versions of Keras that could save it wrote them."""
    could = {}
    for version in () if name in NOT_BEFORE_KERAS_3 else legacy_files.VERSIONS:
        path = trial(name).path.with_suffix(f".{version}.h5")
        try:
            could[version] = legacy_files.write_legacy(trial(name).model, path, version)
        except ValueError:
            continue
    return could


@pytest.mark.parametrize("name", slow_but(IN_OLDER_VERSIONS, ROWS, "each row is written in nine layouts"))
def test_older_versions_give_the_same_network(name: str) -> None:
    for version, path in versions(name).items():
        if version in MEANS_OTHERWISE.get(name, ()):
            continue
        found = keras_file.read(path)
        assert found.keras_version == version
        assert difference(found, trial(name).network) is None, version


def table() -> list[str]:
    """Return the table of the documentation."""
    names = [version.removesuffix(".0") if version == "2.12.0" else version for version in legacy_files.VERSIONS]
    lines = [f"| layer and options | 3.x | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for name in ROWS:
        marks = []
        for version in legacy_files.VERSIONS:
            other = version in MEANS_OTHERWISE.get(name, ())
            marks.append(("other" if other else "yes") if version in versions(name) else "")
        lines.append(f"| {name} | yes | {' | '.join(marks)} |")
    return lines


@pytest.mark.slow(reason="writes each row in nine layouts")
def test_documented_table_is_what_is_tested() -> None:
    documented = [line for line in DOCS.read_text().splitlines() if line.startswith("| ") and line.count("|") == 12]
    wanted = [line for line in table() if not line.startswith("|--")]
    assert documented == wanted, "write this into docs/keras-files.md:\n" + "\n".join(table())
