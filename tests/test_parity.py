"""Equal to Keras, within the error of Keras itself.

The measure is `lstmgen.parity.ratio`. It is at most 1.5 in the median over the models and at most 3
in the worst. A saturated network amplifies rounding errors, so the ratio of one draw of its weights
depends on chance. Such a network is judged over DRAWS draws, by the median of their ratios and by
the RMS over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core, keras_file, parity
from lstmgen.binfile import writer
from lstmgen.generator import Generator
from lstmgen.network import Layer, Network, reference
from lstmgen.parity import MEDIAN, WORST
from support.comparing import output_of
from support.networks import network
from support.slow import slow_but

WINDOWS = 24  # for a network that is judged by one draw of its weights
DRAWS, WINDOWS_OF_A_DRAW = 15, 8  # for a saturated network
DRAWN = 500

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """A random network.

    It has an LSTM of `units`, a way for elements to enter, further layers, and a scale of the
    recurrent weights.
    """

    units: tuple[int, ...]
    encoding: str = "onehot"
    tail: tuple[str, ...] = ()
    outputs: int = 29
    window: int = 40
    scale: float = 1.0

    @property
    def saturated(self) -> bool:
        """Whether rounding errors grow from step to step."""
        return self.scale > 1

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


def _compiled(keras: Any, model: Any) -> Callable[[Floats], Floats]:
    """Return what `predict` of a Keras model calls, compiled once for any number of windows."""
    if keras.backend.backend() != "tensorflow":
        return lambda x: np.asarray(model.predict(x, batch_size=len(x), verbose=0))
    import tensorflow as tf

    signature = tf.TensorSpec(model.input_shape, model.inputs[0].dtype)
    function = tf.function(lambda x: model(x, training=False), input_signature=[signature])
    return lambda x: np.asarray(function(x.astype(model.inputs[0].dtype)))


def _weights(model: Any, scale: float, draw: int) -> list[Floats]:
    """Return weights for the model. Those of a draw are the same everywhere."""
    rng = np.random.default_rng([5, draw])
    drawn = []
    for weight in model.weights:
        shape = weight.shape
        if "variance" in weight.path:
            values = rng.uniform(0.2, 2.0, shape)
        elif len(shape) == 1:  # the array is a bias, gamma, beta or mean
            values = rng.normal("gamma" in weight.path, 0.3, shape)
            if "lstm" in weight.path:
                values[shape[0] // 4 : shape[0] // 2] += 1  # the forget gate
        elif "recurrent" in weight.path:  # Keras also starts with an orthogonal matrix
            values = scale * np.linalg.qr(rng.normal(size=shape[::-1]))[0].T
        elif "embeddings" in weight.path:
            values = rng.uniform(-0.3, 0.3, shape)
        else:  # this makes distributions as peaked as those of trained networks
            factor = scale if "lstm" in weight.path else 6
            values = factor * np.sqrt(6 / sum(shape)) * rng.uniform(-1, 1, shape)
        drawn.append(values.astype(np.float32))
    return drawn


class Trial:
    """A case with one draw of its weights, as Keras, as float64 and as lstmgen see it.

    All draws of the case share the Keras `model`, and `function`, which is `model` compiled.
    """

    def __init__(
        self, keras: Any, model: Any, function: Callable[[Floats], Floats], case: Case, draw: int, folder: Path
    ) -> None:
        self.case = case
        self.keras = keras
        self.model = model
        self.function = function
        self.draw = draw
        self.weights = _weights(model, case.scale, draw)
        model.set_weights(self.weights)
        path = folder / f"{case}-{draw}.h5"
        model.save(path)
        self.path = str(path)
        self.network = keras_file.read(path)
        self.engine = lstmgen.Model(self.path, encoding=case.encoding)

    def encode(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Network input of windows (n, T) of ids."""
        rows = [reference.encode(self.network, self.case.encoding, row) for row in ids.tolist()]
        return np.stack(rows)

    def keras_predict(self, x: NDArray[Any]) -> Floats:
        """Return what Keras gives for the input `x` with the weights of this draw."""
        self.model.set_weights(self.weights)
        return self.function(x)

    def ratio(self, ours: Floats, keras: Floats, forward: Callable[[Network], Floats]) -> float:
        """Our error as a multiple of Keras's, against `forward` of the network."""
        exact = forward(self.network)
        return parity.ratio(ours, keras, exact, self.amplified(exact, forward))

    def amplified(self, exact: Floats, forward: Callable[[Network], Floats]) -> Any:
        """Return the amplification of each window; 1 where it hardly differs between windows."""
        if self.case.saturated:
            return parity.amplification(self.network, exact, forward)
        return np.ones(len(exact))

    @cached_property
    def windows(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Random windows, as `predict` takes them and as input of the network."""
        case, rng = self.case, np.random.default_rng([6, self.draw])
        count = WINDOWS_OF_A_DRAW if case.saturated else WINDOWS
        if case.encoding == "features":
            x = rng.normal(0, 1, (count, case.window, 5)).astype(np.float32)
            return x, x
        ids = rng.integers(0, case.outputs, (count, case.window))
        return ids, self.encode(ids)

    @cached_property
    def own(self) -> tuple[Floats, Floats, Any]:
        """What Keras and float64 give for `windows`, and the amplification of each."""
        _, x = self.windows
        exact = reference.forward(self.network, x)
        return self.keras_predict(x), exact, self.amplified(exact, _forward(x))

    def sampled(self, refresh: int | None, count: int) -> tuple[NDArray[np.uint32], Floats]:
        """Return elements after a random prime, and the distribution that each came from.

        The elements include the prime: (T + count,).
        """
        generator = Generator(self.engine)
        ids = np.random.default_rng(4).integers(0, self.case.outputs, self.case.window)
        stream = generator.stream(prime=ids, seed=3, refresh=refresh)
        distributions, drawn = [], []
        for _ in range(count):
            distributions.append(stream.probabilities())
            drawn.append(next(stream))
        return np.concatenate([ids, drawn]).astype(np.uint32), np.stack(distributions)


def _forward(x: NDArray[Any]) -> Callable[[Network], Floats]:
    return lambda network: reference.forward(network, x)


def _figure(trials: list[Trial], ours: Callable[[Trial], Floats]) -> float:
    """Return the ratio of a case with outputs `ours`.

    It is the greater of the median over the draws and of the RMS over all of them.
    """
    ratios, mine = [], [ours(trial) for trial in trials]
    for trial, found in zip(trials, mine, strict=True):
        keras, exact, amplified = trial.own
        ratios.append(parity.ratio(found, keras, exact, amplified))
    pooled = [np.concatenate(parts) for parts in zip(*(trial.own for trial in trials), strict=True)]
    return max(float(np.median(ratios)), parity.ratio(np.concatenate(mine), *pooled))


@pytest.fixture(scope="module")
def draws(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> list[list[Trial]]:
    """Return the draws of each case."""
    folder = tmp_path_factory.mktemp("parity")
    cases = []
    for case in CASES:
        model = _network(keras, case)
        function = _compiled(keras, model)
        cases.append([Trial(keras, model, function, case, i, folder) for i in range(DRAWS if case.saturated else 1)])
    return cases


@pytest.fixture(scope="module")
def trials(draws: list[list[Trial]]) -> list[Trial]:
    """Return the first draw of each case."""
    return [first for first, *_ in draws]


def _check(ratios: dict[str, float]) -> None:
    print("\n".join(f"{ratio:6.2f}  {name}" for name, ratio in ratios.items()))
    assert max(ratios.values()) <= WORST, ratios
    assert np.median(list(ratios.values())) <= MEDIAN, ratios


def test_predict_is_as_exact_as_keras(draws: list[list[Trial]]) -> None:
    def predict(trial: Trial) -> Floats:
        given, x = trial.windows
        found = trial.engine.predict(given)
        assert np.array_equal(found, trial.engine.predict(x))
        return found

    _check({str(trials[0].case): _figure(trials, predict) for trials in draws})


def _planted(trial: Trial, change: Callable[[Layer], dict[str, Any]]) -> Floats:
    """Return what lstmgen predicts if `change` replaces arrays of the first LSTM."""
    layers = list(trial.network.layers)
    i = next(i for i, layer in enumerate(layers) if layer.type == "lstm")
    layers[i] = replace(layers[i], arrays={**layers[i].arrays, **change(layers[i])})
    changed = writer.pack(replace(trial.network, layers=tuple(layers)), encoding=trial.case.encoding)
    return lstmgen.Model(changed).predict(trial.windows[0])


def test_a_wrong_gate_is_noticed_in_each_network(draws: list[list[Trial]]) -> None:
    def swapped(layer: Layer) -> dict[str, Any]:
        """Return the recurrent kernel with the columns of two gates exchanged."""
        i, f, g, o = np.split(layer.arrays["recurrent_kernel"], 4, axis=-1)
        return {"recurrent_kernel": np.concatenate([f, i, g, o], axis=-1)}

    figures = {str(trials[0].case): _figure(trials, lambda trial: _planted(trial, swapped)) for trials in draws}
    print("\n".join(f"{figure:9.0f}  {name}" for name, figure in figures.items()))
    assert min(figures.values()) > 10 * WORST


def _seen_in(of: Network, x: NDArray[Any]) -> Iterator[tuple[str, tuple[int, ...], Floats]]:
    """Return each weight of a network by its tensor and index.

    With it comes the share of an error in it that the output shows.
    """
    exact, step = reference.forward(of, x), 1e-5
    for i, layer in enumerate(of.layers):
        for name, values in layer.arrays.items():
            for index in np.ndindex(values.shape):
                moved: Any = values.astype(np.float64)
                moved[index] += step
                layers = list(of.layers)
                layers[i] = replace(layer, arrays={**layer.arrays, name: moved})
                slope = (reference.forward(replace(of, layers=tuple(layers)), x) - exact) / step
                yield f"{layer.name}.{name}", index, slope / np.sum(slope**2)


def test_an_error_of_1e_6_in_any_weight_is_noticed(rng: np.random.Generator) -> None:
    """Each weight, estimated from many outputs, is the stored one within half of 1e-6.

    The estimate projects the error of the outputs on the change that a weight makes. Rounding
    errors of different windows cancel there. Those of a wrong weight do not.
    """
    of = network([("lstm", 2), ("dense", 5, "softmax")], inputs=5, window=8, seed=0)
    ids = rng.integers(0, 5, (2000, 8))
    x = np.stack([reference.encode(of, "onehot", row) for row in ids.tolist()])
    exact = reference.forward(of, x)
    weights = list(_seen_in(of, x))

    def off_by(of: Network, share: Floats) -> float:
        error = lstmgen.Model(writer.pack(of, encoding="onehot")).predict(ids) - exact
        return float(np.sum(error * share))

    seems = [abs(off_by(of, share)) for _, _, share in weights]
    print(f"{len(weights)} weights seem to be off by at most {max(seems):.1e}")
    assert max(seems) < 5e-7
    for tensor, index, share in weights:
        layer = next(layer for layer in of.layers if tensor.startswith(layer.name))
        arrays = {name: values.copy() for name, values in layer.arrays.items()}
        arrays[tensor.rpartition(".")[2]][index] += 1e-6
        layers = tuple(replace(layer, arrays=arrays) if one is layer else one for one in of.layers)
        assert abs(off_by(replace(of, layers=layers), share)) > 5e-7, (tensor, index)


def test_the_measure_counts_each_window_by_its_amplification() -> None:
    exact = np.array([[0.5, 0.5], [0.5, 0.5]])
    error = np.array([[1e-7, 1e-7], [1e-3, 1e-3]])  # the second window amplifies rounding by 10,000
    amplified = np.array([1e-7, 1e-3])
    assert parity.ratio(exact + 2 * error, exact + error, exact, amplified) == pytest.approx(2)
    noise = error * [[1, 1], [4, 4]]
    assert parity.ratio(exact + noise, exact + error, exact) == pytest.approx(4, rel=1e-3)
    assert parity.ratio(exact + noise, exact + error, exact, amplified) == pytest.approx(np.sqrt(17 / 2))
    wrong = exact + np.array([[1e-6], [0]])  # the ratio shows an error where nothing is amplified
    assert parity.ratio(wrong, exact + error, exact, amplified) > WORST
    assert parity.ratio(wrong, exact + error, exact) < 0.01
    with pytest.raises(ValueError, match=r"outputs of one shape, found \(2, 1\), \(2, 2\) and \(2, 2\)"):
        parity.ratio(exact[:, :1], exact, exact)


def test_an_exact_keras_counts_as_one_rounding() -> None:
    small, large = np.full((1, 2), 0.01), np.full((1, 2), 100.0)
    assert parity.ratio(small + 3e-10, small, small) == pytest.approx(1)
    assert parity.ratio(large + 3e-8, large, large) == pytest.approx(1)


@pytest.mark.parametrize("count", slow_but({40}, [40, DRAWN], "Keras predicts a whole window for each element"))
def test_window_sampling_is_as_exact_as_keras_at_each_element(trials: list[Trial], count: int) -> None:
    ratios = {}
    for trial in trials:
        if trial.case.encoding == "features":
            continue
        ids, distributions = trial.sampled(refresh=1, count=count)
        windows = np.lib.stride_tricks.sliding_window_view(ids[:-1], trial.case.window)
        x = trial.encode(windows)
        ratios[str(trial.case)] = trial.ratio(distributions, trial.keras_predict(x), _forward(x))
    _check(ratios)


def test_carried_sampling_is_as_exact_as_a_stateful_keras_model(trials: list[Trial]) -> None:
    ratios = {}
    for trial in trials:
        if trial.case not in STATEFUL:
            continue
        ids, distributions = trial.sampled(refresh=None, count=DRAWN)
        stateful = _network(trial.keras, trial.case, stateful=True)
        stateful.set_weights(trial.weights)
        step = _compiled(trial.keras, stateful)
        x = trial.encode(ids[None, :-1])
        keras = np.concatenate([step(x[:, t : t + 1]) for t in range(x.shape[1])])[-DRAWN:]
        ratios[str(trial.case)] = trial.ratio(distributions, keras, _every_step(x))
    assert len(ratios) == len(STATEFUL)
    _check(ratios)


def _every_step(x: NDArray[Any]) -> Callable[[Network], Floats]:
    """Return the float64 output at each of the last steps of one long sequence (1, T, ...).

    The shape is (DRAWN, outputs).
    """

    def forward(network: Network) -> Floats:
        layers = [
            replace(layer, options={**layer.options, "return_sequences": True}) if layer.row.recurrent else layer
            for layer in network.layers
        ]
        every: Floats = reference.forward(replace(network, layers=tuple(layers)), x)[0, -DRAWN:]
        return every

    return forward


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
    saved = keras_file.read(path)
    exact = reference.forward(saved, x)
    amplified = parity.amplification(saved, exact, _forward(x))
    ratio = parity.ratio(lstmgen.Model(path).predict(x), output_of(model, x), exact, amplified)
    print(f"{ratio:6.2f}")
    assert ratio <= WORST


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
