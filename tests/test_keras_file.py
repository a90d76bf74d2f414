"""Files that Keras saved become networks, or are refused by name."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmgen.errors import ModelFormatError
from lstmgen.keras_file import read
from lstmgen.network import Network

h5py = pytest.importorskip("h5py")

Write = Callable[..., Path]
Make = Callable[..., Any]


def lstm(name: str = "lstm_1", **more: Any) -> tuple[str, dict[str, Any]]:
    return "LSTM", {"name": name, "units": 3, "batch_input_shape": [None, 4, 2], **more}


def change_config(path: Path, change: Callable[[Any], object]) -> Path:
    """Apply `change` to the architecture in a file."""
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        change(model)
        file.attrs["model_config"] = json.dumps(model)
    return path


def equal(a: Network, b: Network) -> bool:
    """Return whether two networks are the same but for the version that saved them."""
    return (a.window, a.input_size) == (b.window, b.input_size) and all(
        (x.type, x.name, x.options) == (y.type, y.name, y.options)
        and all(np.array_equal(x.arrays[key], y.arrays[key]) for key in x.arrays)
        for x, y in zip(a.layers, b.layers, strict=True)
    )


# -- layouts of the versions -----------------------------------------------------------------------


def test_list_config_of_keras_2_1_5(write_h5: Write, lstm_arrays: Make) -> None:
    arrays = lstm_arrays("lstm_1", 2, 3)
    network = read(write_h5([lstm()], {"lstm_1": arrays}))
    (layer,) = network.layers
    assert (network.window, network.sizes, network.keras_version) == (4, (2, 3), "2.1.5")
    assert layer.options == {
        "units": 3,
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid_keras2",
        "return_sequences": False,
    }
    for ours, keras in zip(("kernel", "recurrent_kernel", "bias"), arrays.values(), strict=True):
        np.testing.assert_array_equal(layer.arrays[ours], keras)


def test_dict_config_of_keras_2_2_4_reads_the_same(small_h5: Path) -> None:
    before = read(small_h5)
    change_config(small_h5, lambda m: m.update(config={"name": "s", "layers": m["config"]}))
    assert equal(read(small_h5), before)


def test_input_layer_of_tf_keras_reads_the_same(small_h5: Path) -> None:
    before = read(small_h5)

    def add_input_layer(model: Any) -> None:
        shape = model["config"][0]["config"]["batch_input_shape"]
        config = {"batch_input_shape": shape, "dtype": "float32", "name": "lstm_input"}
        entry = {"class_name": "InputLayer", "config": config}
        model["config"] = {"name": "sequential", "layers": [entry, *model["config"]]}

    assert equal(read(change_config(small_h5, add_input_layer)), before)


def functional(model: Any, nodes: Callable[[str], Any]) -> None:
    """Make a Sequential of layers into a Functional; `nodes` gives inbound_nodes from a name."""
    shape = model["config"][0]["config"].pop("batch_input_shape")
    first = {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": shape}}
    layers = [first, *model["config"]]
    for layer in layers:
        layer["name"] = layer["config"]["name"]
    first["inbound_nodes"] = []
    for before, layer in itertools.pairwise(layers):
        layer["inbound_nodes"] = nodes(before["name"])
    ends = [[layers[0]["name"], 0, 0]], [[layers[-1]["name"], 0, 0]]
    model["class_name"] = "Model"
    model["config"] = {
        "name": "model_1",
        "layers": layers,
        "input_layers": ends[0],
        "output_layers": ends[1],
    }


def keras_2_node(name: str) -> Any:
    return [[[name, 0, 0, {}]]]


def keras_3_node(name: str) -> Any:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
    return [{"args": [tensor], "kwargs": {"training": False, "mask": None}}]


@pytest.mark.parametrize("node", [keras_2_node, keras_3_node])
def test_straight_functional_model_reads_as_the_sequential(small_h5: Path, node: Callable[[str], Any]) -> None:
    before = read(small_h5)
    assert equal(read(change_config(small_h5, lambda m: functional(m, node))), before)


def test_names_inside_a_layer_do_not_matter_only_their_order(write_h5: Write, lstm_arrays: Make) -> None:
    arrays = lstm_arrays("rnn_1/lstm_cell_74", 2, 3)
    assert equal(
        read(write_h5([lstm()], {"lstm_1": arrays})),
        read(write_h5([lstm()], {"lstm_1": dict(zip("zya", arrays.values(), strict=True))})),
    )


def test_names_of_layers_do_not_matter_only_their_order(small_h5: Path) -> None:
    before = read(small_h5)
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights"]
        group.move("lstm_1", "old_name")
        group.attrs["layer_names"] = [b"old_name", b"dropout_1", b"dense_1"]
    assert equal(read(small_h5), before)


@pytest.mark.parametrize("as_text", [True, False])
def test_attributes_may_be_text_or_bytes(small_h5: Path, as_text: bool) -> None:
    before = read(small_h5)
    with h5py.File(small_h5, "r+") as file:
        for node in (file, file["model_weights"], file["model_weights/lstm_1"]):
            for name, value in list(node.attrs.items()):
                texts = [v.decode() if isinstance(v, bytes) else str(v) for v in np.ravel(value)]
                kind = object if as_text else "S"
                values = np.array(texts if as_text else [t.encode() for t in texts], kind)
                node.attrs[name] = values if np.ndim(value) else values[0]
    assert equal(read(small_h5), before)


def test_chunked_attributes_are_joined(small_h5: Path) -> None:
    before = read(small_h5)
    with h5py.File(small_h5, "r+") as file:
        config = file.attrs.pop("model_config")
        file.attrs["model_config0"], file.attrs["model_config1"] = config[:50], config[50:]
        group = file["model_weights"]
        for node, name in ((group, "layer_names"), (group["lstm_1"], "weight_names")):
            names = node.attrs.pop(name)
            node.attrs[f"{name}0"], node.attrs[f"{name}1"] = names[:2], names[2:]
    assert equal(read(small_h5), before)


def test_weights_that_keras_saved_in_many_layers_are_in_order(write_h5: Write, lstm_arrays: Make) -> None:
    names = [f"lstm_{i}" for i in range(12)]  # sorted as texts, lstm_10 comes before lstm_2
    layers = [lstm(name, units=2, return_sequences=True) for name in names]
    weights = {name: lstm_arrays(name, 2, 2) for name in names}
    network = read(write_h5(layers, weights))
    for layer in network.layers:
        expected = weights[layer.name][f"{layer.name}/kernel:0"]
        np.testing.assert_array_equal(layer.arrays["kernel"], expected)


def test_file_of_keras_3(keras: Any, save_h5: Callable[[Any], Path]) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((7, 5)), layers.LSTM(4, activation="gelu", use_bias=False), layers.Dense(5)])
    network = read(save_h5(model))
    kernel, recurrent, dense, bias = model.get_weights()
    assert (network.window, network.sizes) == (7, (5, 4, 5))
    assert network.keras_version == keras.__version__
    assert network.layers[0].options["activation"] == "gelu"
    np.testing.assert_array_equal(network.layers[0].arrays["kernel"], kernel)
    np.testing.assert_array_equal(network.layers[0].arrays["recurrent_kernel"], recurrent)
    np.testing.assert_array_equal(network.layers[0].arrays["bias"], np.zeros(16))
    np.testing.assert_array_equal(network.layers[1].arrays["kernel"], dense)
    np.testing.assert_array_equal(network.layers[1].arrays["bias"], bias)


def test_functional_file_of_keras_3(keras: Any, save_h5: Callable[[Any], Path]) -> None:
    x = keras.Input((None, 5))
    y = keras.layers.Dense(2)(keras.layers.Dropout(0.1)(keras.layers.LSTM(4)(x)))
    network = read(save_h5(keras.Model(x, y)))
    assert (network.window, network.sizes) == (0, (5, 4, 2))


def test_bytes_read_as_the_file(small_h5: Path) -> None:
    assert equal(read(small_h5.read_bytes()), read(small_h5))


def test_kind_of_file_is_told_from_its_content(small_h5: Path) -> None:
    renamed = small_h5.rename(small_h5.with_suffix(".keras"))  # as tf.keras up to 2.12 wrote it
    assert read(renamed).sizes == (2, 3, 2)


# -- defaults of the versions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1.5", "hard_sigmoid_keras2"),
        ("2.2.4-tf", "hard_sigmoid_keras2"),
        ("2.3.0-tf", "sigmoid"),
        ("2.3.1", "sigmoid"),
        ("2.15.0", "sigmoid"),
        ("3.6.0", "sigmoid"),
    ],
)
def test_default_recurrent_activation_is_that_of_the_version(
    write_h5: Write, lstm_arrays: Make, version: str, expected: str
) -> None:
    network = read(write_h5([lstm()], {"lstm_1": lstm_arrays("lstm_1", 2, 3)}, version=version))
    assert network.layers[0].options["recurrent_activation"] == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1.5", "hard_sigmoid_keras2"),
        ("2.15.0", "hard_sigmoid_keras2"),
        ("3.0.0", "hard_sigmoid"),
    ],
)
def test_hard_sigmoid_is_that_of_the_version(write_h5: Write, lstm_arrays: Make, version: str, expected: str) -> None:
    layer = lstm(recurrent_activation="hard_sigmoid", activation="hard_sigmoid")
    network = read(write_h5([layer], {"lstm_1": lstm_arrays("lstm_1", 2, 3)}, version=version))
    assert network.layers[0].options["recurrent_activation"] == expected
    assert network.layers[0].options["activation"] == expected


def test_sparsemax_is_refused_where_keras_computed_something_else(write_h5: Write, lstm_arrays: Make) -> None:
    weights = {"lstm_1": lstm_arrays("lstm_1", 2, 3)}
    layer = lstm(activation="sparsemax")
    with pytest.raises(ModelFormatError, match=r"Keras 3\.15 computes sparsemax wrongly"):
        read(write_h5([layer], weights, version="3.15.1"))
    network = read(write_h5([layer], weights, version="3.16.0"))
    assert network.layers[0].options["activation"] == "sparsemax"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, "linear"),
        ("swish", "silu"),
        ("hard_swish", "hard_silu"),
        ("gelu", "gelu"),
        ({"class_name": "function", "config": "softmax_v2"}, "softmax"),
        (
            {
                "module": "builtins",
                "class_name": "function",
                "config": "relu",
                "registered_name": "function",
            },
            "relu",
        ),
        ({"class_name": "gelu", "config": {"approximate": True}}, "gelu_tanh"),
        ({"class_name": "ReLU", "config": {"name": "re_lu", "max_value": 6.0}}, "relu6"),
    ],
)
def test_forms_of_an_activation(write_h5: Write, lstm_arrays: Make, stored: Any, expected: str) -> None:
    layer = lstm(activation=stored)
    network = read(write_h5([layer], {"lstm_1": lstm_arrays("lstm_1", 2, 3)}, version="2.6.0"))
    assert network.layers[0].options["activation"] == expected


# -- input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "window"), [(20, 20), (None, 0)])
def test_window_is_the_length_of_the_input(write_h5: Write, lstm_arrays: Make, steps: int | None, window: int) -> None:
    layer = lstm(batch_input_shape=[1, steps, 2])
    network = read(write_h5([layer], {"lstm_1": lstm_arrays("lstm_1", 2, 3)}))
    assert network.window == window


def test_input_shape_that_keras_2_3_forgot_comes_from_the_weights(write_h5: Write, lstm_arrays: Make) -> None:
    layer = lstm(batch_input_shape=None)
    network = read(write_h5([layer], {"lstm_1": lstm_arrays("lstm_1", 5, 3)}, version="2.3.1"))
    assert (network.window, network.input_size) == (0, 5)


def test_input_shape_may_come_from_the_model(small_h5: Path) -> None:
    def move_shape(model: Any) -> None:
        shape = model["config"][0]["config"].pop("batch_input_shape")
        model["config"] = {"layers": model["config"], "build_input_shape": shape}

    before = read(small_h5)
    assert equal(read(change_config(small_h5, move_shape)), before)


@pytest.mark.parametrize("shape", [[None, 10], None])
def test_embedding_takes_ids(write_h5: Write, lstm_arrays: Make, shape: Any) -> None:
    embedding = {"name": "e", "input_dim": 9, "output_dim": 2, "batch_input_shape": shape}
    path = write_h5(
        [("Embedding", embedding), lstm()],
        {"e": {"e/embeddings:0": np.ones((9, 2))}, "lstm_1": lstm_arrays("lstm_1", 2, 3)},
    )
    network = read(path)
    assert network.takes_ids
    assert (network.window, network.sizes) == (10 if shape else 0, (9, 2, 3))


# -- weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f8"])
def test_other_floating_point_types_become_float32(write_h5: Write, lstm_arrays: Make, dtype: str) -> None:
    arrays = {k: v.astype(dtype) for k, v in lstm_arrays("lstm_1", 2, 3).items()}
    (layer,) = read(write_h5([lstm()], {"lstm_1": arrays})).layers
    assert layer.arrays["kernel"].dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(layer.arrays["kernel"], arrays["lstm_1/kernel:0"].astype(np.float32))


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compressed_weights_read_as_others(small_h5: Path, compression: str) -> None:
    before = read(small_h5)
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1/lstm_1"]
        values = group["kernel:0"][()]
        del group["kernel:0"]
        group.create_dataset("kernel:0", data=values, compression=compression, shuffle=True)
    assert equal(read(small_h5), before)


def test_missing_bias_is_zero(write_h5: Write, lstm_arrays: Make) -> None:
    arrays = lstm_arrays("lstm_1", 2, 3)
    del arrays["lstm_1/bias:0"]
    (layer,) = read(write_h5([lstm(use_bias=False)], {"lstm_1": arrays})).layers
    np.testing.assert_array_equal(layer.arrays["bias"], np.zeros(12))


def test_cudnn_layout_is_undone(write_h5: Write, lstm_arrays: Make) -> None:
    kernel, recurrent, bias = lstm_arrays("x", 2, 3).values()

    def per_gate(array: Any, change: Callable[[Any], Any]) -> Any:
        return np.hstack([change(gate) for gate in np.hsplit(array, 4)])

    cudnn = {
        "x/kernel:0": per_gate(kernel, lambda k: k.T.reshape(k.shape)),
        "x/recurrent_kernel:0": per_gate(recurrent, lambda k: k.T),
        "x/bias:0": np.concatenate([bias, np.zeros(12)]).astype(np.float32),
    }
    layer = ("CuDNNLSTM", {"name": "x", "units": 3, "batch_input_shape": [None, 4, 2]})
    (got,) = read(write_h5([layer], {"x": cudnn}, version="2.2.4")).layers
    assert got.options["recurrent_activation"] == "sigmoid"
    np.testing.assert_array_equal(got.arrays["kernel"], kernel)
    np.testing.assert_array_equal(got.arrays["recurrent_kernel"], recurrent)
    np.testing.assert_array_equal(got.arrays["bias"], bias)


def test_batch_normalization_is_folded_in_float64(write_h5: Write, lstm_arrays: Make) -> None:
    rows = [[2, 3, 4], [1, 1, 1], [5, 6, 7], [0.1, 1, 1e4]]
    gamma, beta, mean, variance = np.array(rows, np.float32)
    config = {"name": "bn", "epsilon": 1e-3, "axis": [1]}
    arrays = {"bn/gamma:0": gamma, "bn/beta:0": beta, "bn/mean:0": mean, "bn/variance:0": variance}
    weights = {"lstm_1": lstm_arrays("lstm_1", 2, 3), "bn": arrays}
    affine = read(write_h5([lstm(), ("BatchNormalization", config)], weights)).layers[1]
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + 1e-3)
    np.testing.assert_array_equal(affine.arrays["scale"], scale.astype(np.float32))
    np.testing.assert_array_equal(affine.arrays["offset"], (beta - mean * scale).astype("f4"))


def test_batch_normalization_without_gamma_and_beta(write_h5: Write, lstm_arrays: Make) -> None:
    config = {"name": "bn", "scale": False, "center": False, "epsilon": 0.0}
    arrays = {"bn/mean:0": [1.0, 2.0, 3.0], "bn/variance:0": [4.0, 4.0, 4.0]}
    weights = {"lstm_1": lstm_arrays("lstm_1", 2, 3), "bn": arrays}
    affine = read(write_h5([lstm(), ("BatchNormalization", config)], weights)).layers[1]
    np.testing.assert_array_equal(affine.arrays["scale"], [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(affine.arrays["offset"], [-0.5, -1, -1.5])


# -- layers ----------------------------------------------------------------------------------------


def test_layers_without_effect_are_not_stored(write_h5: Write, lstm_arrays: Make) -> None:
    names = [
        *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
        "ActivityRegularization",
    ]
    idle = [(name, {"name": name}) for name in names]
    layers = [lstm(return_sequences=True), *idle, ("Activation", {"name": "a"}), lstm("lstm_2")]
    weights = {"lstm_1": lstm_arrays("lstm_1", 2, 3), "lstm_2": lstm_arrays("lstm_2", 3, 3)}
    assert [layer.name for layer in read(write_h5(layers, weights)).layers] == ["lstm_1", "lstm_2"]


def test_time_distributed_dense_is_a_dense(write_h5: Write, lstm_arrays: Make) -> None:
    inner = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "relu"}}
    path = write_h5(
        [lstm(return_sequences=True), ("TimeDistributed", {"name": "td", "layer": inner})],
        {
            "lstm_1": lstm_arrays("lstm_1", 2, 3),
            "td": {"td/kernel:0": np.ones((3, 2)), "td/bias:0": np.ones(2)},
        },
    )
    layer = read(path).layers[1]
    assert (layer.type, layer.name) == ("dense", "td")
    assert layer.options == {"units": 2, "activation": "relu"}


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("ReLU", {}, "relu"),
        ("ReLU", {"max_value": 6.0}, "relu6"),
        ("ELU", {"alpha": 1.0}, "elu"),
        ("Softmax", {"axis": -1}, "softmax"),
        ("Softmax", {"axis": 1}, "softmax"),
        ("Activation", {"activation": "tanh"}, "tanh"),
    ],
)
def test_layers_that_are_an_activation(
    write_h5: Write, lstm_arrays: Make, kind: str, config: dict[str, Any], expected: str
) -> None:
    layers = [lstm(), (kind, {"name": "a", **config})]
    network = read(write_h5(layers, {"lstm_1": lstm_arrays("lstm_1", 2, 3)}))
    assert network.layers[1].options == {"activation": expected}


def test_names_become_fit_for_the_file_and_different(write_h5: Write, lstm_arrays: Make) -> None:
    names = ["Schicht für Töne", "a.b", "a_b", "n" * 60, "n" * 50]
    layers = [lstm(name, return_sequences=True, units=2) for name in names]
    weights = {name: lstm_arrays("w", 2, 2) for name in names}
    found = [layer.name for layer in read(write_h5(layers, weights)).layers]
    assert found == ["Schicht_f_r_T_ne", "a_b", "a_b_2", "n" * 40, "n" * 38 + "_2"]


# -- refusals --------------------------------------------------------------------------------------


def test_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no/such\.h5"):
        read("no/such.h5")


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="a folder"):
        read(tmp_path)


def test_a_folder_of_checkpoints_is_told_its_newest_file(tmp_path: Path) -> None:
    for seconds, name in enumerate(["model-02.keras", "model-01.h5", "notes.txt"]):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (seconds, seconds))
    with pytest.raises(ModelFormatError, match=r"in it are 2 such files, the newest is .*model-01\.h5$"):
        read(tmp_path)


def test_a_part_of_a_saved_model_is_told_its_folder(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\1")
    with pytest.raises(ModelFormatError, match=r"saved_model\.pb: a part of a SavedModel: give its folder"):
        read(tmp_path / "saved_model.pb")


def test_weights_of_numpy_are_told_apart_from_a_keras_zip(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", np.ones(3))
    with pytest.raises(ModelFormatError, match=r"w\.npz: a \.npz of numpy, .*model\.save\('model\.keras'\)"):
        read(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(5000), "zeros"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"PK\x03\x04", "the zip ends after 4 bytes, before the list of its files"),
        (b"PK\x05\x06", "a damaged or empty zip"),
        (b"GGUF\x03", "needs no export"),
        (b'{"class_name": 1}', "JSON"),
        (b"\x80\x04\x95", r"pickle, which is never opened: .*model\.save\('model\.keras'\)"),
        (b"\x93NUMPY\1\0", r"a \.npy of numpy, which has no network: .*model\.save"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"hello", "not an HDF5 file"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=rf"model\.h5: .*{reason}"):
        read(path)


def test_weights_file_of_keras_3_is_refused(keras: Any, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(2)]).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelFormatError, match="no architecture in the file, only weights"):
        read(tmp_path / "m.weights.h5")


def test_other_hdf5_file_is_refused(tmp_path: Path) -> None:
    h5py.File(tmp_path / "data.h5", "w").close()
    with pytest.raises(ModelFormatError, match="not one that Keras saved"):
        read(tmp_path / "data.h5")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"time_major": True}, "time_major=True is not supported"),
        ({"units": 0}, "units: expected 1 to 1048576, found 0"),
        ({"units": "3"}, "units: expected 1 to 1048576, found '3'"),
        ({"units": True}, "units: expected 1 to 1048576, found True"),
        ({"units": None}, "units: expected 1 to 1048576, found None"),
        ({"use_bias": "no"}, "use_bias: expected true or false, found 'no'"),
        ({"activation": "my_own"}, "activation: expected an activation that Keras defines, found 'my_own'"),
        ({"activation": "hard_sigmoid_keras2"}, "expected an activation that Keras defines"),
        ({"activation": ["tanh"]}, r"activation: expected an activation .*found \['tanh'\]"),
        ({"batch_input_shape": [None, 4, 2, 2]}, "expected one input"),
        ({"batch_input_shape": [None, 4, None]}, "input: features: expected 1 to"),
        ({"batch_input_shape": [None, 4]}, "expected an input .* found ids"),
        ({"batch_input_shape": [None, 70000, 2]}, "input: T: expected 1 to 65536"),
    ],
)
def test_unsupported_lstm_is_refused(write_h5: Write, lstm_arrays: Make, config: dict[str, Any], reason: str) -> None:
    path = write_h5([lstm(**config)], {"lstm_1": lstm_arrays("lstm_1", 2, 3)})
    with pytest.raises(ModelFormatError, match=reason):
        read(path)


@pytest.mark.parametrize(
    ("kind", "config", "reason"),
    [
        ("ConvLSTM1D", {}, "ConvLSTM1D is not supported"),
        ("GRU", {"units": 3}, "give no sequence"),
        ("Softmax", {"axis": 0}, "axis: expected -1"),
        ("BatchNormalization", {"axis": 2}, "axis: expected -1"),
        ("LSTM", {"units": 3}, "give no sequence"),
        ("Embedding", {"input_dim": 3, "output_dim": 2}, "an Embedding can only come first"),
        ("Activation", {"activation": "<lambda>"}, "expected an activation .*found '<lambda>'"),
        ("TimeDistributed", {"layer": {"class_name": "LSTM", "config": {}}}, "give no sequence"),
        ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {}}}, "give no sequence"),
    ],
)
def test_unsupported_layer_is_refused(
    write_h5: Write, lstm_arrays: Make, kind: str, config: dict[str, Any], reason: str
) -> None:
    layers = [lstm(), (kind, {"name": "x", **config})]
    path = write_h5(layers, {"lstm_1": lstm_arrays("lstm_1", 2, 3)})
    with pytest.raises(ModelFormatError, match=rf"model\.h5: layer x: .*{reason}|{reason}"):
        read(path)


def test_shape_that_disagrees_with_the_config_is_refused(write_h5: Write, lstm_arrays: Make) -> None:
    path = write_h5([lstm(units=4)], {"lstm_1": lstm_arrays("lstm_1", 2, 3)})
    message = r"model\.h5: layer lstm_1: kernel: expected \(2, 16\), found \(2, 12\)$"
    with pytest.raises(ModelFormatError, match=message):
        read(path)


def test_missing_layer_is_named(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"dropout_1", b"dense_1"]
    with pytest.raises(ModelFormatError, match="layer lstm_1: the file has no weights for it"):
        read(small_h5)


def test_missing_array_is_named(write_h5: Write, lstm_arrays: Make) -> None:
    arrays = lstm_arrays("lstm_1", 2, 3)
    del arrays["lstm_1/bias:0"]
    message = r"lstm_1: expected 3 arrays \(kernel, recurrent_kernel, bias\), found 2 \("
    with pytest.raises(ModelFormatError, match=message):
        read(write_h5([lstm()], {"lstm_1": arrays}))


def test_weights_without_a_layer_are_refused(small_h5: Path) -> None:
    change_config(small_h5, lambda model: model["config"].pop())
    with pytest.raises(ModelFormatError, match="has weights of 'dense_1', but the model has no layer for them"):
        read(small_h5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(small_h5: Path, bad: float) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights/lstm_1/lstm_1/bias:0"][5] = bad
    with pytest.raises(ModelFormatError, match="lstm_1: bias: holds NaN or infinite numbers"):
        read(small_h5)


def test_float64_weights_beyond_float32_are_refused(write_h5: Write, lstm_arrays: Make) -> None:
    arrays = {k: v.astype(np.float64) * 1e300 for k, v in lstm_arrays("lstm_1", 2, 3).items()}
    with pytest.raises(ModelFormatError, match="kernel: holds NaN or infinite numbers"):
        read(write_h5([lstm()], {"lstm_1": arrays}))


def test_negative_variance_is_refused(write_h5: Write, lstm_arrays: Make) -> None:
    one = np.ones(3, np.float32)
    weights = {
        "lstm_1": lstm_arrays("lstm_1", 2, 3),
        "bn": {"gamma": one, "beta": one, "mean": one, "variance": -one},
    }
    with pytest.raises(ModelFormatError, match="bn: variance: expected all above -epsilon"):
        read(write_h5([lstm(), ("BatchNormalization", {"name": "bn"})], weights))


def test_several_inputs_are_refused(small_h5: Path) -> None:
    def change(model: Any) -> None:
        functional(model, keras_2_node)
        model["config"]["input_layers"].append(["in_2", 0, 0])

    with pytest.raises(ModelFormatError, match="several inputs, which is not supported: expected 1 input, found 2"):
        read(change_config(small_h5, change))


def test_several_outputs_are_refused(small_h5: Path) -> None:
    def change(model: Any) -> None:
        functional(model, keras_2_node)
        model["config"]["output_layers"].append(["lstm_1", 0, 0])

    with pytest.raises(ModelFormatError, match="expected one output, found"):
        read(change_config(small_h5, change))


@pytest.mark.parametrize(
    "nodes",
    [
        [[["dense_1", 0, 0, {}]]],  # the layer is fed by itself
        [[["lstm_1", 0, 1, {}]]],  # the second output is a state
        [[["nobody", 0, 0, {}]]],
        [[["dropout_1", 0, 0, {}], ["lstm_1", 0, 0, {}]]],  # the layer is fed two tensors
        [[["dropout_1", 0, 0, {"training": True}]]],
        [[["dropout_1", 0, 0, {"initial_state": ["lstm_1", 0, 0]}]]],
        [{"args": [{}], "kwargs": {}}],
        "dropout_1",
        7,
    ],
)
def test_graph_that_cannot_be_is_refused(small_h5: Path, nodes: Any) -> None:
    def change(model: Any) -> None:
        functional(model, keras_2_node)
        model["config"]["layers"][-1]["inbound_nodes"] = nodes

    with pytest.raises(ModelFormatError, match=r"layer (dense_1|model_1: .* lstm_1)"):
        read(change_config(small_h5, change))


def test_model_subclass_is_refused(small_h5: Path) -> None:
    change_config(small_h5, lambda model: model.update(class_name="MyModel"))
    with pytest.raises(ModelFormatError, match="Sequential or Functional model, found 'MyModel'"):
        read(small_h5)
