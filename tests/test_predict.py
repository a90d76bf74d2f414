"""`Model.predict` gives what Keras gives, for input of any kind."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen.binfile import rounding
from lstmgen.network import reference
from support.generators import TEXT, N, T, exact
from support.networks import network, packed


@pytest.fixture(scope="module")
def model() -> lstmgen.Model:
    return lstmgen.Model(packed())


@pytest.mark.parametrize("batch", [1, 2, 97, 200])
def test_predict_gives_a_row_of_float32_for_each_input(model: lstmgen.Model, batch: int) -> None:
    y = model.predict(np.zeros((batch, T), int))
    assert y.shape == (batch, N)
    assert y.dtype == np.float32


@pytest.mark.parametrize("steps", [1, T - 1, T + 1, 100])
def test_predict_takes_any_number_of_steps(model: lstmgen.Model, steps: int) -> None:
    ids = np.arange(steps) * 7 % N
    np.testing.assert_allclose(model.predict(ids[None])[0], exact(ids.tolist()), rtol=1e-4)


def test_predict_of_ids_is_that_of_their_one_hot_vectors_bit_for_bit(model: lstmgen.Model) -> None:
    ids = np.random.default_rng(1).integers(0, N, (100, T))
    np.testing.assert_array_equal(model.predict(ids), model.predict(np.eye(N)[ids]))


def test_a_row_does_not_depend_on_the_others(model: lstmgen.Model) -> None:
    ids = np.random.default_rng(1).integers(0, N, (130, T))
    alone = np.concatenate([model.predict(row[None]) for row in ids])
    np.testing.assert_array_equal(model.predict(ids), alone)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", ">i4"])
def test_predict_takes_ids_of_any_integer_type(model: lstmgen.Model, dtype: str) -> None:
    ids = np.arange(T)[None] % N
    np.testing.assert_array_equal(model.predict(ids.astype(dtype)), model.predict(ids))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64", ">f4"])
def test_predict_takes_features_of_any_type(model: lstmgen.Model, dtype: str) -> None:
    x = np.eye(N)[None]
    np.testing.assert_array_equal(model.predict(x.astype(dtype)), model.predict(x))


def test_predict_takes_bools_as_ids(model: lstmgen.Model) -> None:
    np.testing.assert_array_equal(model.predict([[True, False]]), model.predict([[1, 0]]))


def test_predict_takes_arrays_of_any_layout(model: lstmgen.Model) -> None:
    x = np.random.default_rng(1).random((3, T, N))
    odd = np.asfortranarray(np.repeat(x, 2, axis=0))[::2]
    np.testing.assert_array_equal(model.predict(odd), model.predict(x))


def test_predict_leaves_its_input_alone(model: lstmgen.Model) -> None:
    x = np.ones((1, 2, N), np.float32)
    x.flags.writeable = False
    model.predict(x)
    assert (x == 1).all()


def test_predict_of_an_empty_batch_is_empty(model: lstmgen.Model) -> None:
    assert model.predict(np.zeros((0, T), int)).shape == (0, N)
    assert model.predict(np.zeros((0, T, N))).shape == (0, N)


@pytest.mark.parametrize("shape", [(1, 0), (1, 0, N), (0, 0)])
def test_predict_of_no_steps_is_an_error(model: lstmgen.Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected at least one time step"):
        model.predict(np.zeros(shape, int))


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, N, 1)])
def test_predict_of_another_number_of_dimensions_is_an_error(model: lstmgen.Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"of shape {shape}")):
        model.predict(np.zeros(shape, int))


@pytest.mark.parametrize("size", [1, N - 1, N + 1])
def test_predict_of_another_number_of_features_is_an_error(model: lstmgen.Model, size: int) -> None:
    with pytest.raises(ValueError, match=f"expected 11 features a step, found {size}"):
        model.predict(np.zeros((1, T, size)))


@pytest.mark.parametrize("bad", [-1, N, 2**31, 2**32, 2**32 + 1, 2**63 - 1])
def test_predict_of_an_id_out_of_range_is_an_error(model: lstmgen.Model, bad: int) -> None:
    with pytest.raises(ValueError, match=f"expected .*{bad}"):
        model.predict(np.array([[0, bad]]))


def test_predict_of_floats_as_ids_is_an_error_of_a_onehot_network(model: lstmgen.Model) -> None:
    with pytest.raises(ValueError, match="expected integer ids, or features"):
        model.predict(np.zeros((1, T)))


@pytest.mark.parametrize("x", ["abc", [["a", "b"]], [[1j]], None, [[None]]])
def test_predict_of_what_is_no_number_is_an_error(model: lstmgen.Model, x: Any) -> None:
    with pytest.raises(ValueError, match="x: expected numbers"):
        model.predict(x)


def test_predict_of_nan_is_nan(model: lstmgen.Model) -> None:
    assert np.isnan(model.predict(np.full((1, T, N), np.nan))).all()


def test_a_network_of_sequences_predicts_at_each_step() -> None:
    of = network(sequences=True)
    ids = np.arange(3 * T).reshape(3, T) * 7 % N
    model = lstmgen.Model(packed(of))
    want = [exact(row.tolist(), of=of) for row in ids]
    assert model.output_shape == (None, T, N)
    np.testing.assert_allclose(model.predict(ids), want, rtol=1e-4)


def test_a_network_of_sequences_generates_from_the_last_step() -> None:
    each = lstmgen.Generator(packed(network(sequences=True)))
    assert each.sample(50, seed=1) == lstmgen.Generator(packed()).sample(50, seed=1)


@pytest.mark.parametrize(("dtype", "rtol"), [("bf16", 1e-4), ("int8", 3e-3)])
def test_rounded_weights_predict_what_the_rounded_network_does(
    dtype: str, rtol: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.arange(T)[None] % N
    y = lstmgen.Model(packed(dtype=dtype)).predict(ids)
    if dtype == "bf16":  # the inputs of the matrices are rounded, too, but a one-hot input is exact
        product = reference._matmul

        def rounded_product(x: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
            return product(rounding.from_bf16(rounding.to_bf16(x.astype(np.float32))).astype(x.dtype), matrix)

        monkeypatch.setattr(reference, "_matmul", rounded_product)
    want = exact(ids[0].tolist(), of=rounding.rounded(TEXT, dtype))
    np.testing.assert_allclose(y[0], want, rtol=rtol)


def test_bf16_rounds_what_it_multiplies_but_not_the_input() -> None:
    arrays: dict[str, Any] = {
        "simple_rnn_0.kernel": [[1]],
        "simple_rnn_0.recurrent_kernel": [[0]],
        "simple_rnn_0.bias": [0],
        "dense_1.kernel": [[1]],
        "dense_1.bias": [0],
    }
    layers = [("simple_rnn", 1, "linear"), ("dense", 1, "linear")]
    once, twice = (network(layers[:n], 1, 0, arrays=arrays) for n in (1, 2))
    x = np.array([[[1.001]]], np.float32)
    for of, want in ((once, np.float32(1.001)), (twice, np.float32(1.0))):
        assert lstmgen.Model(packed(of, encoding="features", dtype="bf16")).predict(x).item() == want


def test_a_mask_of_the_input_does_not_make_bf16_exact() -> None:
    arrays: dict[str, Any] = {
        f"simple_rnn_{i}.{name}": value
        for i in (1, 2)
        for name, value in (("kernel", [[1]]), ("recurrent_kernel", [[0]]), ("bias", [0]))
    }
    layers, reads = [("mask", 0.0), *[("simple_rnn", 1, "linear")] * 2], {1: (-1,), 2: (1, 0)}
    masked = network(layers, 1, 0, reads=reads, arrays=arrays)
    x = np.array([[[1.001]]], np.float32)
    assert lstmgen.Model(packed(masked, encoding="features", dtype="bf16")).predict(x).item() == 1
