"""Files of older versions of Keras, and files that hold only weights.

The layers themselves are tested in test_keras_layers.py.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lstmgen import ModelFormatError, keras_file
from lstmgen.keras_file.spec import parse_version
from lstmgen.network import Network, reference
from support.comparing import difference
from support.keras_models import FEATURES, ROWS, STEPS, Row, randomise
from support.legacy_files import VERSIONS, write_legacy, write_legacy_weights, write_weights_v3
from support.slow import slow_but

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")  # assumptions are warnings


@pytest.fixture
def model(keras: Any) -> Any:
    """LSTM, GRU, Bidirectional, BatchNormalization and Dense."""
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((STEPS, FEATURES)),
            layers.LSTM(6, return_sequences=True),
            layers.Bidirectional(layers.GRU(5, return_sequences=True, reset_after=False)),
            layers.BatchNormalization(),
            layers.GRU(4, reset_after=False),
            layers.Dense(3, activation="softmax"),
        ]
    )
    randomise(made)
    return made


@pytest.fixture
def network(model: Any, tmp_path: Path) -> Network:
    """Return what the installed Keras stores of the model."""
    model.save(tmp_path / "today.keras")
    return keras_file.read(tmp_path / "today.keras")


# -- attributes and arrays -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"names_as": "S"},
        {"names_as": "bytes"},
        {"names_as": "str"},
        {"chunked": True},
        {"junk": True},
        {"first_cell": 74},
    ],
    ids=str,
)
@pytest.mark.parametrize("version", slow_but({"2.3.1"}, ["2.1.5", "2.3.1", "2.6.0"], "the same forms"))
def test_forms_of_attributes(model: Any, network: Network, tmp_path: Path, version: str, options: Any) -> None:
    path = write_legacy(model, tmp_path / "m.h5", version, **options)
    assert difference(keras_file.read(path), network) is None


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4"])
def test_names_as_theano_gave_them(model: Any, network: Network, tmp_path: Path, version: str) -> None:
    path = write_legacy(model, tmp_path / "m.h5", version, theano=True)
    assert difference(keras_file.read(path), network) is None


@pytest.mark.parametrize("consume_less", ["cpu", "mem", "gpu"])
def test_keras_1_with_3_arrays_or_12(model: Any, network: Network, tmp_path: Path, consume_less: str) -> None:
    path = write_legacy(model, tmp_path / "m.h5", "1.2.2", consume_less=consume_less)
    assert difference(keras_file.read(path), network) is None


def test_file_of_keras_1_without_a_version(model: Any, network: Network, tmp_path: Path) -> None:
    path = write_legacy(model, tmp_path / "m.h5", "1.2.2")
    with h5py.File(path, "r+") as file:
        del file.attrs["keras_version"]
    assert difference(keras_file.read(path), network) is None


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_arrays_of_other_precision(model: Any, tmp_path: Path, dtype: str) -> None:
    path = write_legacy(model, tmp_path / "m.h5", "2.6.0", dtype=dtype)
    kernel = keras_file.read(path).layers[0].arrays["kernel"]
    np.testing.assert_array_equal(kernel, model.layers[0].cell.kernel.numpy().astype(dtype).astype(np.float32))


def test_bfloat16_arrays(keras: Any, tmp_path: Path) -> None:
    layers = [keras.Input((STEPS, FEATURES)), keras.layers.LSTM(4, dtype="bfloat16", recurrent_initializer="uniform")]
    model = keras.Sequential(layers)
    model.save(tmp_path / "m.keras")
    kernel = keras_file.read(tmp_path / "m.keras").layers[0].arrays["kernel"]
    np.testing.assert_array_equal(kernel, keras.ops.convert_to_numpy(model.layers[0].cell.kernel).astype(np.float32))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_stores_float32(keras: Any, tmp_path: Path, policy: str) -> None:
    layers = [keras.Input((STEPS, FEATURES)), keras.layers.GRU(4, dtype=policy)]
    model = keras.Sequential(layers)
    model.save(tmp_path / "m.h5")
    kernel = keras_file.read(tmp_path / "m.h5").layers[0].arrays["kernel"]
    np.testing.assert_array_equal(kernel, model.layers[0].cell.kernel.numpy())


def test_hdf5_under_the_name_of_a_zip(model: Any, network: Network, tmp_path: Path) -> None:
    path = write_legacy(model, tmp_path / "m.keras", "2.12.0")
    assert difference(keras_file.read(path), network) is None


# -- CuDNN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.1.5", "2.2.4", "2.3.1", "2.2.4-tf"])
@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_cudnn_layers(keras: Any, tmp_path: Path, version: str, layer: str) -> None:
    row = Row(lambda L: [getattr(L, layer)(7, return_sequences=True), getattr(L, layer)(5), L.Dense(3)])
    model = row.model(keras)
    path = write_legacy(model, tmp_path / "m.h5", version, cudnn=True)
    model.save(tmp_path / "today.h5")
    assert difference(keras_file.read(path), keras_file.read(tmp_path / "today.h5")) is None


# -- versions that computed something else ---------------------------------------------------------


def _masked(rng: np.random.Generator) -> Any:
    x = rng.normal(0, 1, (5, STEPS, FEATURES)).astype(np.float32)
    x[rng.random(x.shape[:2]) < 0.3] = 0
    return x


@pytest.mark.parametrize(
    "version", slow_but({"2.3.1"}, [v for v in VERSIONS if parse_version(v) < (2, 4)], "the same in another layout")
)
def test_masked_bidirectional_repeats_its_output(
    keras: Any, tmp_path: Path, rng: np.random.Generator, version: str
) -> None:
    layers, x = keras.layers, _masked(rng)
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), layers.Masking(), both])
    randomise(model)
    network = keras_file.read(write_legacy(model, tmp_path / "m.h5", version))
    halves = []
    for way, wrapped in (("forward", both.forward_layer), ("backward", both.backward_layer)):
        single = layers.LSTM(4, return_sequences=True, go_backwards=way == "backward")
        alone = keras.Sequential([keras.Input((STEPS, FEATURES)), layers.Masking(), single])
        alone.set_weights(wrapped.get_weights())
        y = alone.predict(x, verbose=0)
        halves.append(y if way == "forward" else y[:, ::-1])
    np.testing.assert_allclose(reference.forward(network, x), np.concatenate(halves, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["Add of masked and unmasked", "Concatenate of masked and unmasked"])
def test_merged_mask_leaves_out_what_any_input_does(
    keras: Any, tmp_path: Path, rng: np.random.Generator, name: str
) -> None:
    model, x = ROWS[name].model(keras), _masked(rng)
    network = keras_file.read(write_legacy(model, tmp_path / "m.h5", "2.3.1"))
    merge, gru = [layer for layer in model.layers if type(layer).__name__ in ("Add", "Concatenate", "GRU")][-2:]
    merged = keras.Model(model.input, merge.output).predict(x, verbose=0)
    expected = gru(merged, mask=(x != 0).any(-1))
    np.testing.assert_allclose(reference.forward(network, x), expected, rtol=0, atol=1e-5)


# -- weights only ----------------------------------------------------------------------------------


@pytest.fixture
def text_model(keras: Any) -> Any:
    """Return a network that can be told from its weights."""
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((STEPS, FEATURES)),
            layers.LSTM(6, return_sequences=True),
            layers.Dropout(0.1),
            layers.LSTM(4),
            layers.Dense(FEATURES, activation="softmax"),
        ]
    )
    randomise(made)
    return made


CODE = "LSTM(6, return_sequences=True), Dropout(0.1), LSTM(4), Dense(9, softmax)"


def _same_arrays(a: Network, b: Network) -> bool:
    pairs = zip(a.layers, b.layers, strict=True)
    return all(np.array_equal(x.arrays[name], y.arrays[name]) for x, y in pairs for name in y.arrays)


@pytest.mark.parametrize("version", VERSIONS)
def test_weights_with_an_architecture_in_code(text_model: Any, tmp_path: Path, version: str) -> None:
    path = write_legacy_weights(text_model, tmp_path / "w.h5", version)
    text_model.save(tmp_path / "today.h5")
    network = keras_file.read(path, config=CODE, window=STEPS)
    assert _same_arrays(network, keras_file.read(tmp_path / "today.h5"))
    old = parse_version(version) < (2, 3)
    assert network.layers[0].options["recurrent_activation"] == ("hard_sigmoid_keras2" if old else "sigmoid")
    assert len(network.assumed) == old  # an assumption tells the activation of the gates


@pytest.mark.parametrize("version", VERSIONS)
def test_weights_alone_where_they_leave_no_doubt(text_model: Any, tmp_path: Path, version: str) -> None:
    path = write_legacy_weights(text_model, tmp_path / "w.h5", version)
    text_model.save(tmp_path / "today.h5")
    network = keras_file.read(path, window=STEPS)
    assert _same_arrays(network, keras_file.read(tmp_path / "today.h5"))
    assert [layer.options.get("return_sequences") for layer in network.layers] == [True, False, None]
    assert network.layers[-1].options["activation"] == "softmax"
    assert any("read from the weights as LSTM 6 > LSTM 4 > Dense 9" in note for note in network.assumed)


@pytest.mark.parametrize("version", ["3.0.5", "2.13-tf"])
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("config", [CODE, None])
def test_early_forms_of_weights_h5(
    text_model: Any, tmp_path: Path, version: Any, windows: bool, config: str | None
) -> None:
    path = write_weights_v3(text_model, tmp_path / "m.weights.h5", version, windows=windows)
    text_model.save(tmp_path / "today.h5")
    if config:
        config = f"Input((12, 9)), {config}"
    assert _same_arrays(keras_file.read(path, config=config), keras_file.read(tmp_path / "today.h5"))


def test_windows_paths_of_nested_layers(model: Any, network: Network, tmp_path: Path) -> None:
    path = write_weights_v3(model, tmp_path / "m.weights.h5", windows=True)
    assert difference(keras_file.read(path, config=json.loads(model.to_json())), network) is None


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda L: [L.LSTM(4), L.Dense(5), L.Dense(3)], "the activation of .* is unknown"),
        (lambda L: [L.LSTM(4), L.Dense(1)], "its output could be anything"),
        (lambda L: [L.LSTM(4)], "its output could be anything"),
        (lambda L: [L.Dense(4)], "no weights of an LSTM, GRU or SimpleRNN"),
        (lambda L: [L.LSTM(4, return_sequences=True), L.Flatten(), L.Dense(3)], "has options"),
        (lambda L: [L.LSTM(4), L.PReLU(), L.Dense(3)], "could be anything"),
    ],
)
def test_weights_that_leave_doubt_are_refused(keras: Any, tmp_path: Path, build: Any, reason: str) -> None:
    path = write_legacy_weights(Row(build).model(keras), tmp_path / "w.h5", "2.3.1")
    with pytest.raises(ModelFormatError, match=rf"w\.h5: no architecture in the file.*{reason}.*give the architecture"):
        keras_file.read(path)


def test_weights_of_keras_3_that_fit_two_orders_are_refused(keras: Any, tmp_path: Path) -> None:
    row = Row(lambda L: [L.LSTM(9, return_sequences=True), L.GRU(9), L.Dense(9)])
    row.model(keras).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelFormatError, match="could be more than one"):
        keras_file.read(tmp_path / "m.weights.h5")


@pytest.mark.parametrize(
    "config",
    [
        "[LSTM(6, return_sequences=True), LSTM(4), Dense(9, activation='softmax')]",
        "LSTM(6, return_sequences=True) > LSTM(4) > Dense(9, softmax)",
        "model = Sequential([\n  layers.LSTM(6, return_sequences=True, input_shape=(12, 9)),\n"
        "  layers.LSTM(4),\n  layers.Dense(9, 'softmax')])",
        "model.add(LSTM(6, return_sequences=True, input_dim=9, input_length=12))\nmodel.add(LSTM(4))\n"
        "model.add(Dropout(0.2))\nmodel.add(Dense(9))\nmodel.add(Activation('softmax'))",
        ["LSTM(6, return_sequences=True)", "LSTM(4)", "Dense(9, softmax)"],
    ],
)
def test_ways_to_write_an_architecture(text_model: Any, tmp_path: Path, config: Any) -> None:
    path = write_legacy_weights(text_model, tmp_path / "w.h5", "2.3.1")
    text_model.save(tmp_path / "today.h5")
    network = keras_file.read(path, config=config)
    today = keras_file.read(tmp_path / "today.h5")
    assert [layer.type for layer in network.layers][:3] == ["lstm", "lstm", "dense"]
    assert all(
        np.array_equal(a.arrays[name], b.arrays[name])
        for a, b in zip(network.layers, today.layers, strict=False)
        for name in b.arrays
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", "expected layers such as .* found none"),
        ("LSTM(", "not a list of layers"),
        ("import os", "expected layers only"),
        ("LSTM(__import__('os').system('x'))", "expected"),
        ("LSTM(1 + x)", "expected a literal"),
        ("LSTM(6, 7, 8, 9, 10)", "at most 3 arguments"),
        ("LSTM(**options)", r"'\*\*' is not supported"),
        ("{'a'", "config: not JSON"),
        ("(" * 5000, "not a list of layers"),
    ],
)
def test_architecture_that_is_none(text_model: Any, tmp_path: Path, config: str, reason: str) -> None:
    path = write_legacy_weights(text_model, tmp_path / "w.h5", "2.3.1")
    with pytest.raises(ValueError, match=reason):
        keras_file.read(path, config=config)


def test_architecture_for_a_file_that_has_one_is_refused(text_model: Any, tmp_path: Path) -> None:
    for name in ("m.h5", "m.keras"):
        text_model.save(tmp_path / name)
        with pytest.raises(ValueError, match="config: the file holds the architecture itself"):
            keras_file.read(tmp_path / name, config=CODE)


def test_architecture_that_disagrees_with_the_weights_is_refused(text_model: Any, tmp_path: Path) -> None:
    path = write_legacy_weights(text_model, tmp_path / "w.h5", "2.3.1")
    with pytest.raises(ModelFormatError, match=r"kernel: expected \(9, 28\), found \(9, 24\)"):
        keras_file.read(path, config=CODE.replace("LSTM(6", "LSTM(7"))


# -- graphs ----------------------------------------------------------------------------------------


def test_one_of_several_outputs(keras: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    layers = keras.layers
    x = keras.Input((STEPS, FEATURES))
    y = layers.LSTM(6)(x)
    model = keras.Model(x, [layers.Dense(3, name="one")(y), layers.Dense(4, "softmax", name="two")(y)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ModelFormatError, match=r"expected one output, found 2: choose .* one, two"):
        keras_file.read(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="output: expected one of one, two, found 'three'"):
        keras_file.read(tmp_path / "m.keras", output="three")
    given = rng.normal(0, 1, (2, STEPS, FEATURES)).astype(np.float32)
    for name, expected in zip(("one", "two"), model.predict(given, verbose=0), strict=True):
        found = reference.forward(keras_file.read(tmp_path / "m.keras", output=name), given)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_models_with_several_inputs_are_refused(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    a, b = keras.Input((STEPS, 2)), keras.Input((STEPS, 3))
    keras.Model([a, b], layers.LSTM(4)(layers.Concatenate()([a, b]))).save(tmp_path / "m.keras")
    with pytest.raises(ModelFormatError, match="several inputs, which is not supported: expected 1 input, found 2"):
        keras_file.read(tmp_path / "m.keras")


def test_operations_on_tensors_are_refused(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((STEPS, FEATURES))
    keras.Model(x, keras.layers.LSTM(4)(keras.ops.mean(x, axis=1, keepdims=True))).save(tmp_path / "m.keras")
    with pytest.raises(ModelFormatError, match=r"the operation .* on tensors is not supported"):
        keras_file.read(tmp_path / "m.keras")


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_sums_of_tensors_are_added_without_a_mask(
    keras: Any, tmp_path: Path, rng: np.random.Generator, suffix: str
) -> None:
    x = keras.Input((STEPS, FEATURES))
    y = keras.layers.LSTM(5, return_sequences=True)(keras.layers.Masking()(x))
    z = keras.layers.GRU(5, return_sequences=True)(y)
    model = keras.Model(x, keras.layers.LSTM(4)(keras.ops.maximum(y + z, y * z)))
    randomise(model)
    model.save(tmp_path / f"m.{suffix}")
    given = _masked(rng)
    found = reference.forward(keras_file.read(tmp_path / f"m.{suffix}"), given)
    np.testing.assert_allclose(found, model.predict(given, verbose=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("operation", ["average", "concatenate", "softmax"])
def test_operations_that_share_a_layers_name_are_refused(
    keras: Any, tmp_path: Path, suffix: str, operation: str
) -> None:
    x = keras.Input((STEPS, FEATURES))
    y = keras.layers.LSTM(5, return_sequences=True)(x)
    made = {
        "average": lambda: keras.ops.average(y, axis=1),
        "concatenate": lambda: keras.ops.concatenate([y, y], axis=1),
        "softmax": lambda: keras.ops.softmax(y, axis=1),
    }[operation]()
    keras.Model(x, made).save(tmp_path / f"m.{suffix}")
    with pytest.raises(ModelFormatError, match="operation"):
        keras_file.read(tmp_path / f"m.{suffix}")


def test_weights_of_another_copy_of_the_model_go_by_order(keras: Any, tmp_path: Path) -> None:
    def build() -> Any:
        layers = keras.layers
        stack = [layers.LSTM(4, return_sequences=True), layers.LSTM(4), layers.Dense(4, "softmax")]
        made = keras.Sequential([keras.Input((STEPS, 4)), *stack])
        randomise(made)
        return made

    first = build()
    names = [layer.name for layer in first.layers]
    first.save(tmp_path / "m.h5")
    write_legacy_weights(first, tmp_path / "w.h5", "2.3.1")
    config = json.loads(first.to_json())
    # As if the model had been built again, which numbers lstm, lstm_1 as lstm_1, lstm_2.
    for entry, name in zip(config["config"]["layers"][1:], [names[1], "lstm_99", "dense_99"], strict=True):
        entry["config"]["name"] = name
    network = keras_file.read(tmp_path / "w.h5", config=config)
    assert difference(network, keras_file.read(tmp_path / "m.h5")) is None


def test_gru_of_tensorflow_2_0_is_told_from_its_bias(keras: Any, tmp_path: Path) -> None:
    row = Row(lambda L: [L.GRU(4), L.Dense(3, activation="softmax")])
    path = write_legacy_weights(row.model(keras), tmp_path / "w.h5", "2.3.0-tf")
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = b"2.2.4-tf"
    for options in ({"config": "GRU(4), Dense(3, softmax)"}, {}):
        gru = keras_file.read(path, **options).layers[0]  # type: ignore[arg-type]
        assert (gru.options["reset_after"], gru.options["recurrent_activation"]) == (True, "sigmoid")


@pytest.mark.parametrize("steps", [1, STEPS])
def test_stateful_model_of_one_step_carries_its_state(keras: Any, tmp_path: Path, steps: int) -> None:
    layers = [keras.Input((steps, FEATURES), batch_size=1), keras.layers.LSTM(4, stateful=True)]
    keras.Sequential(layers).save(tmp_path / "m.h5")
    network = keras_file.read(tmp_path / "m.h5")
    assert network.window == (0 if steps == 1 else STEPS)
    (assumed,) = network.assumed
    assert ("it has no window, its state is carried" if steps == 1 else "refresh=None carries") in assumed


def test_states_are_refused(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((STEPS, FEATURES))
    _, h, _ = keras.layers.LSTM(4, return_state=True)(x)
    keras.Model(x, h).save(tmp_path / "m.keras")
    with pytest.raises(ModelFormatError, match=r"output 1 of layer lstm.*, such as a state"):
        keras_file.read(tmp_path / "m.keras")


def test_lambda_is_refused_by_name(keras: Any, tmp_path: Path) -> None:
    layers = [keras.Input((STEPS, FEATURES)), keras.layers.LSTM(4), keras.layers.Lambda(lambda x: x * 2, name="double")]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    with pytest.raises(ModelFormatError, match="layer double: a Lambda layer holds Python code, which is never run"):
        keras_file.read(tmp_path / "m.keras")


# -- .keras ----------------------------------------------------------------------------------------


@pytest.fixture
def members(text_model: Any, tmp_path: Path) -> dict[str, bytes]:
    """Return the files in a .keras."""
    text_model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(folder: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(folder / "z.keras", "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder / "z.keras"


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_zip_with_damaged_compression(tmp_path: Path, members: dict[str, bytes], compression: int) -> None:
    data = bytearray(zipped(tmp_path, members, compression).read_bytes())
    rng = np.random.default_rng(5)
    for position in rng.integers(100, len(data) - 500, 40):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            keras_file.read(bytes(damaged))
        except ModelFormatError:
            continue


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip_of_any_compression(tmp_path: Path, members: dict[str, bytes], compression: int) -> None:
    found = keras_file.read(zipped(tmp_path, members, compression))
    assert difference(found, keras_file.read(tmp_path / "m.keras")) is None


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_zip_without_one_of_its_files(tmp_path: Path, members: dict[str, bytes], name: str) -> None:
    del members[name]
    with pytest.raises(ModelFormatError, match=rf"z\.keras: a zip, but not a \.keras.*it has no {name}"):
        keras_file.read(zipped(tmp_path, members))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("config.json", b"{", "config.json: not JSON"),
        ("config.json", b"\xff\xfe", "damaged zip|not UTF-8"),
        ("config.json", b"[" * 100_000, "nested too deeply|not JSON"),
        ("config.json", b" " * (17 * 2**20), "config.json: expected at most"),
        ("metadata.json", b"[]", "metadata.json: expected an object"),
        ("metadata.json", b"{}", "metadata.json: keras_version: expected text"),
        ("model.weights.h5", b"", "model.weights.h5: expected an HDF5 file"),
        ("model.weights.h5", b"x" * 5000, "model.weights.h5: expected an HDF5 file"),
    ],
)
def test_zip_with_a_broken_file(tmp_path: Path, members: dict[str, bytes], name: str, data: bytes, reason: str) -> None:
    members[name] = data
    with pytest.raises(ModelFormatError, match=rf"z\.keras: .*({reason})"):
        keras_file.read(zipped(tmp_path, members))


def test_zip_bomb_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    members["model.weights.h5"] += bytes(50_000_000)
    with pytest.raises(ModelFormatError, match="expected a compression of at most 100 times"):
        keras_file.read(zipped(tmp_path, members, zipfile.ZIP_DEFLATED))


def test_zip_cut_short_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    whole = zipped(tmp_path, members).read_bytes()
    for size in range(0, len(whole), len(whole) // 40):
        with pytest.raises(ModelFormatError):
            keras_file.read(whole[:size])


def test_zip_with_flipped_bytes_is_an_error_or_a_network(tmp_path: Path, members: dict[str, bytes]) -> None:
    whole = bytearray(zipped(tmp_path, members).read_bytes())
    begin = whole.rfind(b"PK\x01\x02")
    rng = np.random.default_rng(3)
    for position in [*range(30), *rng.integers(begin, len(whole), 60)]:
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        try:
            keras_file.read(bytes(damaged))
        except ModelFormatError:
            continue


def test_members_with_odd_names_are_passed_over(tmp_path: Path, members: dict[str, bytes]) -> None:
    found = keras_file.read(zipped(tmp_path, {"../../evil.py": b"x", "/etc/passwd": b"x", **members}))
    assert difference(found, keras_file.read(tmp_path / "m.keras")) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "z.keras"]
