"""Equal to Keras, within the error that Keras itself has.

The measure is the error of the outputs against float64 on the same stored weights, RMS over all windows of a model, as
a multiple of Keras's own (which counts as at least FLOOR): at most 1.5 in the median over the models, at most 3 in the
worst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core, keras_file
from lstmgen.generator import Generator
from lstmgen.network import reference

MEDIAN, WORST, FLOOR = 1.5, 3.0, 3e-8
WINDOWS = 24
DRAWN = 500

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """A random network: LSTM `units`, how elements enter, what follows, and the scale of the recurrent weights."""

    units: tuple[int, ...]
    encoding: str = "onehot"
    tail: tuple[str, ...] = ()
    outputs: int = 29
    window: int = 40
    scale: float = 1.0

    def __str__(self) -> str:
        return "-".join(map(str, (self.encoding, *self.units, *self.tail, f"x{self.scale:g}")))


CASES = (
    Case((1,)),
    Case((7,), tail=("dropout",)),
    Case((16,), outputs=92, window=100),
    Case((33, 17), tail=("dropout", "batchnorm")),
    Case((100, 50), window=20, tail=("batchnorm", "dense")),
    Case((256,), outputs=92, window=100),
    Case((600,), outputs=60),
    Case((40, 23, 5), tail=("dense", "dropout")),
    Case((64,), "index", outputs=200),
    Case((31, 130), "index", ("dropout", "dense")),
    Case((48,), "scaled", ("batchnorm", "dense", "batchnorm")),
    Case((512, 3), "scaled", outputs=100),
    Case((90,), "features", ("dense",)),
    Case((64,), scale=8.0),
    Case((128, 20), scale=5.0),
    Case((50,), "scaled", scale=12.0),
)
STATEFUL = (CASES[3], CASES[9], CASES[10], CASES[13])


def _network(keras: Any, case: Case, *, stateful: bool = False) -> Any:
    layers = keras.layers
    steps = 1 if stateful else case.window
    batch = {"batch_size": 1} if stateful else {}
    if case.encoding == "index":
        stack = [keras.Input((steps,), **batch), layers.Embedding(case.outputs, 24)]
    else:
        features = {"onehot": case.outputs, "scaled": 1, "features": 5}[case.encoding]
        stack = [keras.Input((steps, features), **batch)]
    for i, units in enumerate(case.units):
        last = i == len(case.units) - 1
        stack.append(layers.LSTM(units, return_sequences=not last, stateful=stateful))
    for kind in case.tail:
        stack.append(
            {
                "dropout": lambda: layers.Dropout(0.4),
                "batchnorm": lambda: layers.BatchNormalization(),
                "dense": lambda: layers.Dense(37, activation="relu"),
            }[kind]()
        )
    stack.append(layers.Dense(case.outputs, activation="softmax"))
    return keras.Sequential(stack)


def _randomise(model: Any, scale: float) -> None:
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.2, 2.0, weight.shape))
        elif len(weight.shape) == 1:  # biases, gamma, beta, mean
            weight.assign(weight.numpy() + rng.normal(0, 0.3, weight.shape))
        elif "lstm" in weight.path:
            weight.assign(weight.numpy() * scale)
        else:  # distributions as peaked as those of trained networks, so that the floor hides little
            weight.assign(weight.numpy() * 6)


class Trial:
    """A case, as Keras, as float64 and as lstmgen see it."""

    def __init__(self, keras: Any, case: Case, folder: Path) -> None:
        self.case = case
        self.keras = keras
        self.model = _network(keras, case)
        _randomise(self.model, case.scale)
        self.path = str(folder / f"{case}.h5")
        self.model.save(self.path)
        self.network = keras_file.read(self.path)
        self.engine = lstmgen.Model(self.path, encoding=case.encoding)

    def encode(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Network input of windows (n, T) of ids."""
        rows = [reference.encode(self.network, self.case.encoding, row) for row in ids.tolist()]
        return np.stack(rows)

    def ratio(self, ours: Floats, keras: Floats, x: NDArray[Any]) -> float:
        """Our error as a multiple of Keras's, for outputs on the input `x`."""
        exact = reference.forward(self.network, x)
        assert ours.shape == keras.shape == exact.shape
        return _rms(ours - exact) / max(_rms(keras - exact), FLOOR)

    def draw(self, refresh: int | None) -> tuple[NDArray[np.uint32], Floats]:
        """DRAWN elements after a random prime, all (T + DRAWN,), and the distribution that each came from."""
        generator = Generator(self.engine)
        ids = np.random.default_rng(4).integers(0, self.case.outputs, self.case.window)
        stream = generator.stream(prime=ids, seed=3, refresh=refresh)
        distributions, drawn = [], []
        for _ in range(DRAWN):
            distributions.append(stream.probabilities())
            drawn.append(next(stream))
        return np.concatenate([ids, drawn]).astype(np.uint32), np.stack(distributions)


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


@pytest.fixture(scope="module")
def trials(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    keras.utils.set_random_seed(11)
    folder = tmp_path_factory.mktemp("parity")
    return [Trial(keras, case, folder) for case in CASES]


def _check(ratios: dict[str, float]) -> None:
    print("\n".join(f"{ratio:6.2f}  {name}" for name, ratio in ratios.items()))
    assert max(ratios.values()) <= WORST, ratios
    assert np.median(list(ratios.values())) <= MEDIAN, ratios


def test_predict_is_as_exact_as_keras(trials: list[Trial]) -> None:
    ratios = {}
    for trial in trials:
        case, rng = trial.case, np.random.default_rng(6)
        if case.encoding == "features":
            x = rng.normal(0, 1, (WINDOWS, case.window, 5)).astype(np.float32)
            ours = trial.engine.predict(x)
        else:
            ids = rng.integers(0, case.outputs, (WINDOWS, case.window))
            x = trial.encode(ids)
            ours = trial.engine.predict(ids)
            assert np.array_equal(ours, trial.engine.predict(x))
        keras = trial.model.predict(x, batch_size=WINDOWS, verbose=0)
        ratios[str(case)] = trial.ratio(ours, keras, x)
    _check(ratios)


def test_window_sampling_is_as_exact_as_keras_at_each_of_500_elements(trials: list[Trial]) -> None:
    ratios = {}
    for trial in trials:
        if trial.case.encoding == "features":
            continue
        ids, distributions = trial.draw(refresh=1)
        windows = np.lib.stride_tricks.sliding_window_view(ids[:-1], trial.case.window)
        x = trial.encode(windows)
        keras = trial.model.predict(x, batch_size=DRAWN, verbose=0)
        ratios[str(trial.case)] = trial.ratio(distributions, keras, x)
    _check(ratios)


def test_carried_sampling_is_as_exact_as_a_stateful_keras_model(trials: list[Trial]) -> None:
    ratios = {}
    for trial in trials:
        if trial.case not in STATEFUL:
            continue
        ids, distributions = trial.draw(refresh=None)
        stateful = _network(trial.keras, trial.case, stateful=True)
        stateful.set_weights(trial.model.get_weights())
        step = _compiled(trial.keras, stateful)
        x = trial.encode(ids[None, :-1])
        keras = np.concatenate([step(x[:, t : t + 1]) for t in range(x.shape[1])])[-DRAWN:]
        exact = _every_step(trial, x)[-DRAWN:]
        ratios[str(trial.case)] = _rms(distributions - exact) / max(_rms(keras - exact), FLOOR)
    assert len(ratios) == len(STATEFUL)
    _check(ratios)


def _compiled(keras: Any, model: Any) -> Callable[[Floats], Floats]:
    """The model as a function of one step, faster than its predict."""
    import tensorflow as tf

    assert keras.backend.backend() == "tensorflow"
    function = tf.function(lambda x: model(x, training=False))
    return lambda x: np.asarray(function(x))


def _every_step(trial: Trial, x: NDArray[Any]) -> Floats:
    """float64 output (T, outputs) at each step of one long sequence (1, T, ...)."""
    from dataclasses import replace

    layers = [
        replace(layer, options={**layer.options, "return_sequences": True}) if layer.recurrent else layer
        for layer in trial.network.layers
    ]
    every: Floats = reference.forward(replace(trial.network, layers=tuple(layers)), x)[0]
    return every


def test_predict_gives_the_same_bits_on_every_instruction_set(
    trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    for trial in trials:
        if max(trial.case.units) > 130 or trial.case.encoding == "features":
            continue
        ids = np.random.default_rng(7).integers(0, trial.case.outputs, (3, trial.case.window))
        want = trial.engine.predict(ids)
        for isa in _core.supported_isas():
            monkeypatch.setenv("LSTMGEN_ISA", isa)
            model = lstmgen.Model(trial.path, encoding=trial.case.encoding)
            assert model.isa == isa
            assert model.predict(ids).tobytes() == want.tobytes()


def test_samples_are_the_same_for_any_number_of_threads(trials: list[Trial]) -> None:
    for trial in trials:
        if trial.case.encoding == "features":
            continue
        samples = [
            lstmgen.Generator(trial.engine, threads=threads).sample(60, seed=9, prime=range(trial.case.window // 2))
            for threads in (1, 2, 3)
        ]
        assert samples[0] == samples[1] == samples[2]


def _check_small(keras: Any, save_h5: Callable[[Any], Path], *layers: Any) -> None:
    """A small network with large random weights is as exact as Keras."""
    model = keras.Sequential(list(layers))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(-0.7, 0.7, weight.shape))
    ids = rng.integers(0, model.input_shape[-1], (20, model.input_shape[1]))
    x = np.eye(model.input_shape[-1], dtype=np.float32)[ids]
    path = save_h5(model)
    exact = reference.forward(keras_file.read(path), x)
    ours, own = (_rms(y - exact) for y in (lstmgen.Model(path).predict(x), model.predict(x, verbose=0)))
    assert ours <= WORST * max(own, FLOOR)


def test_an_output_at_each_step_equals_keras(keras: Any, save_h5: Callable[[Any], Path]) -> None:
    layers = keras.layers
    _check_small(
        keras,
        save_h5,
        keras.Input((15, 8)),
        layers.LSTM(20, return_sequences=True),
        layers.LSTM(11, return_sequences=True),
        layers.Dense(8, activation="softmax"),
    )


@pytest.mark.parametrize(
    ("activation", "recurrent"),
    [
        ("tanh", "sigmoid"),
        ("relu", "hard_sigmoid"),
        ("linear", "sigmoid"),
        ("sigmoid", "hard_sigmoid"),
        ("softsign", "tanh"),
        ("gelu", "softmax"),
        ("softmax", "sigmoid"),
        ("elu", "softsign"),
        ("mish", "relu6"),
        ("selu", "hard_tanh"),
        ("silu", "softplus"),
    ],
)
def test_lstm_with_any_activations_equals_keras(
    keras: Any, save_h5: Callable[[Any], Path], activation: str, recurrent: str
) -> None:
    _check_small(
        keras,
        save_h5,
        keras.Input((6, 5)),
        keras.layers.LSTM(19, activation=activation, recurrent_activation=recurrent),
        keras.layers.Dense(5, activation="softmax"),
    )
