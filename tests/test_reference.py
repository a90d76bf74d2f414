"""The float64 reference computes what Keras computes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmgen.keras_file import read
from lstmgen.network import Layer, Network, reference
from lstmgen.network.activations import ACTIVATIONS

# Keras up to 3.15 computes sparsemax wrongly. Another test compares it with its definition.
BY_NAME = sorted(ACTIVATIONS.keys() - {"gelu_tanh", "hard_sigmoid_keras2", "sparsemax"})
# Keras rounds a constant of these to float32, even if it computes in float64.
ROUNDED = {"gelu", "leaky_relu"}


@pytest.fixture
def agree(keras: Any, save_h5: Callable[[Any], Path], rng: np.random.Generator) -> Callable[..., None]:
    """Return a function that asserts that reference and Keras agree in float64."""

    def check(shape: tuple[int, ...], *layers: Any, scale: float = 1.0, tolerance: float = 1e-9) -> None:
        ids = len(shape) == 1
        model = keras.Sequential([keras.Input(shape, dtype="int32" if ids else "float64"), *layers])
        for weight in model.weights:  # float32 numbers in float64 variables
            value = rng.uniform(0.1 if "variance" in weight.path else -scale, scale, weight.shape)
            weight.assign(value.astype(np.float32))
        size = (2, *shape)
        x = rng.integers(0, 7, size) if ids else rng.uniform(-2, 2, size).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow warns of its own code
            expected = np.asarray(model(x))
        assert expected.dtype == np.float64
        ours = reference.forward(read(save_h5(model)), x)
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)

    return check


@pytest.fixture
def layers(keras: Any) -> Any:
    """Keras's layers, which compute in float64 here."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield keras.layers
    keras.config.set_dtype_policy(before)


def tolerance(name: str) -> float:
    return 1e-6 if name in ROUNDED else 1e-9


@pytest.mark.parametrize("name", BY_NAME)
def test_activation_of_a_dense(agree: Callable[..., None], layers: Any, name: str) -> None:
    agree(
        (3, 2),
        layers.LSTM(4),
        layers.Dense(20, activation=name),
        scale=4,
        tolerance=tolerance(name),
    )


@pytest.mark.parametrize("name", BY_NAME)
def test_activation_layer(agree: Callable[..., None], layers: Any, name: str) -> None:
    dense = layers.Dense(20)
    agree((3, 2), layers.LSTM(4), dense, layers.Activation(name), scale=4, tolerance=tolerance(name))


@pytest.mark.parametrize("name", BY_NAME)
def test_activation_inside_an_lstm(agree: Callable[..., None], layers: Any, name: str) -> None:
    agree((4, 2), layers.LSTM(5, activation=name), scale=0.7, tolerance=tolerance(name))


@pytest.mark.parametrize("name", BY_NAME)
def test_activation_of_the_gates(agree: Callable[..., None], layers: Any, name: str) -> None:
    agree((4, 2), layers.LSTM(5, recurrent_activation=name), scale=0.7, tolerance=tolerance(name))


def activation_of(name: str, x: Any) -> Any:
    """Return the activation `name` of the numbers `x`, by way of a network."""
    network = Network((Layer("activation", "a", {"activation": name}, {}),), 0, 1, "")
    return reference.forward(network, np.reshape(x, (-1, 1)))[:, 0]


def test_hard_sigmoid_of_keras_2() -> None:
    # Values that keras.activations.hard_sigmoid of Keras 2 documents: 0.2 x + 0.5 from -2.5 to 2.5.
    found = activation_of("hard_sigmoid_keras2", [-3, -2.5, -1, 0, 1, 2.5, 3])
    np.testing.assert_allclose(found, [0, 0, 0.3, 0.5, 0.7, 1, 1])


def test_approximate_gelu(keras: Any) -> None:
    x = np.linspace(-5, 5, 101)
    expected = np.asarray(keras.activations.gelu(keras.ops.cast(x, "float64"), approximate=True))
    np.testing.assert_allclose(activation_of("gelu_tanh", x), expected, rtol=0, atol=1e-8)


def test_sparsemax_is_the_nearest_point_of_the_simplex(rng: np.random.Generator) -> None:
    # Martins and Astudillo, 2016. The nearest point p of x is the one for which x - p is the same
    # number for all p > 0, and no larger elsewhere.
    x = rng.uniform(-1, 1, (50, 6))
    p = ACTIVATIONS["sparsemax"](x)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)
    assert (p >= 0).all()
    largest = np.max(x - p, axis=-1, keepdims=True)
    assert np.all((p == 0) | (np.abs(x - p - largest) < 1e-12))
    assert (p > 0).sum(-1).max() > 2


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_of_huge_numbers_warns_of_nothing(name: str) -> None:
    found = activation_of(name, [-1e300, -800, 0, 800, 1e300])
    if name not in ("exponential", "squareplus", "gelu_tanh"):
        assert not np.isnan(found).any()


# -- layers ----------------------------------------------------------------------------------------


def test_stacked_lstm(agree: Callable[..., None], layers: Any) -> None:
    agree((6, 3), layers.LSTM(4, return_sequences=True), layers.LSTM(5, use_bias=False))


def test_output_at_each_step(agree: Callable[..., None], layers: Any) -> None:
    agree((6, 3), layers.LSTM(4, return_sequences=True), layers.Dense(2, activation="softmax"))


def test_dense_before_an_lstm(agree: Callable[..., None], layers: Any) -> None:
    agree((6, 3), layers.Dense(4, use_bias=False), layers.LSTM(4))


def test_time_distributed_dense(agree: Callable[..., None], layers: Any) -> None:
    dense = layers.TimeDistributed(layers.Dense(2, activation="relu"))
    agree((6, 3), layers.LSTM(4, return_sequences=True), dense)


def test_embedding(agree: Callable[..., None], layers: Any) -> None:
    agree((6,), layers.Embedding(7, 3), layers.LSTM(4), layers.Dense(7))


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_normalization(
    keras: Any, layers: Any, save_h5: Callable[[Any], Path], scale: bool, center: bool
) -> None:
    # Scale and offset are rounded to float32, so the agreement is that of float32.
    normal = layers.BatchNormalization(scale=scale, center=center)
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(5), normal, layers.Dense(2)])
    rng = np.random.default_rng(1)
    for weight in normal.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape).astype(np.float32))
    for weight in model.weights:
        weight.assign(np.asarray(weight.numpy(), np.float32))
    x = rng.uniform(-1, 1, (2, 4, 3)).astype(np.float32)
    ours = reference.forward(read(save_h5(model)), x)
    np.testing.assert_allclose(ours, np.asarray(model(x)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda layers: layers.ReLU(),
        lambda layers: layers.ReLU(max_value=6),
        lambda layers: layers.LeakyReLU(0.2),
        lambda layers: layers.ELU(),
        lambda layers: layers.Softmax(),
        lambda layers: layers.Dropout(0.5),
        lambda layers: layers.GaussianDropout(0.5),
        lambda layers: layers.GaussianNoise(0.5),
        lambda layers: layers.AlphaDropout(0.5),
        lambda layers: layers.ActivityRegularization(0.1),
    ],
)
def test_layer_without_weights(agree: Callable[..., None], layers: Any, build: Callable[[Any], Any]) -> None:
    agree((4, 3), layers.LSTM(5), build(layers), layers.Dense(3), tolerance=1e-8)


def test_spatial_dropout(agree: Callable[..., None], layers: Any) -> None:
    agree((4, 3), layers.SpatialDropout1D(0.5), layers.LSTM(5))


# -- shapes and encodings --------------------------------------------------------------------------


@pytest.fixture
def network(small_h5: Path) -> Network:
    return read(small_h5)


def test_input_without_a_batch_gives_output_without_one(network: Network) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4, 2))
    whole = reference.forward(network, x)
    assert whole.shape == (3, 2)
    np.testing.assert_allclose(reference.forward(network, x[1]), whole[1], rtol=1e-12)


def test_float32_agrees_with_float64(network: Network) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4, 2)).astype(np.float32)
    single = reference.forward(network, x, np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference.forward(network, x), rtol=0, atol=1e-6)


def test_encodings_are_those_of_the_format(network: Network) -> None:
    assert reference.encode(network, "index", [1, 0]).tolist() == [1, 0]
    assert reference.encode(network, "onehot", [1, 0]).tolist() == [[0, 1], [1, 0]]
    scaled = reference.encode(replace(network, input_size=1), "scaled", [1, 0])
    assert scaled.tolist() == [[0.5], [0]]
    assert scaled.dtype == np.float32
