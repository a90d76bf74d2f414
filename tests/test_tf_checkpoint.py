"""TensorFlow's checkpoints and SavedModels, and models of a user's own class, are read as data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import ModelFormatError, keras_file
from lstmgen.cli import main as cli
from lstmgen.keras_file import reader, tf_checkpoint
from lstmgen.network import reference

IDS, UNITS, SIZE = 11, 8, 6
CONFIG = f"Embedding({IDS}, {SIZE}), GRU({UNITS}, return_sequences=True, reset_after=True), Dense({IDS})"
X = np.array([[1, 2, 3, 7, 0]])

Floats = NDArray[np.floating[Any]]


@pytest.fixture(scope="module")
def tf(keras: Any) -> Any:
    return pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'lstmgen[train]'")


@pytest.fixture(scope="module")
def tutorial(keras: Any) -> Any:
    """Return the network of TensorFlow's text-generation tutorial.

    It is a user's own class that gives logits at each step.
    """
    layers = keras.layers

    @keras.saving.register_keras_serializable("tests")
    class MyModel(keras.Model):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.embedding = layers.Embedding(IDS, SIZE)
            self.gru = layers.GRU(UNITS, return_sequences=True, return_state=True)
            self.dense = layers.Dense(IDS)

        def call(self, ids: Any) -> Any:
            states, _ = self.gru(self.embedding(ids))
            return self.dense(states)

    keras.utils.set_random_seed(3)
    model = MyModel()
    model(X)
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.shape)).normal(0, 1, weight.shape))
    return model


@pytest.fixture(scope="module")
def likely(tutorial: Any) -> Floats:
    """Return the softmax of the logits after the last step, from which the tutorial draws."""
    logits = np.asarray(tutorial(X), np.float64)[:, -1]
    y: Floats = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return y


def module(tf: Any, tree: dict[str, Any]) -> Any:
    """Return an object with variables and objects as attributes, like a layer of tf.keras 2."""
    made = tf.Module()
    for name, value in tree.items():
        held = module(tf, value) if isinstance(value, dict) else tf.Variable(np.asarray(value), name=name)
        setattr(made, name, held)
    return made


def as_tf_keras(tutorial: Any) -> dict[str, Any]:
    kernel, recurrent, bias = (np.asarray(w) for w in tutorial.gru.get_weights())
    dense = tutorial.dense.get_weights()
    return {
        "embedding": {"embeddings": tutorial.embedding.get_weights()[0]},
        "gru": {"cell": {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}},
        "dense": {"kernel": dense[0], "bias": dense[1]},
    }


@pytest.fixture(scope="module")
def checkpoints(tf: Any, tutorial: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three checkpoints, as ModelCheckpoint leaves it.

    By name, the last but one is the newest.
    """
    folder = tmp_path_factory.mktemp("saved") / "training_checkpoints"
    root = module(tf, as_tf_keras(tutorial))
    root.optimizer = module(tf, {"learning_rate": 0.1, "momentum": {"kernel": np.zeros((3, 3), np.float32)}})
    saver = tf.train.Checkpoint(root)
    for epoch in (1, 2, 3):
        if epoch == 3:
            root.dense.bias.assign(np.full(IDS, 9.0, np.float32))
        saver.write(str(folder / f"ckpt_{epoch}"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/ckpt_2"\nall_model_checkpoint_paths: "x"\n')
    return folder


def softmaxed(y: Floats) -> Floats:
    return y[:, -1] if y.ndim == 3 else y


@pytest.mark.parametrize("name", ["", "ckpt_1", "ckpt_2.index", "ckpt_2.data-00000-of-00001"])
def test_a_checkpoint_is_read_by_any_of_its_names(checkpoints: Path, likely: Floats, name: str) -> None:
    network = keras_file.read(checkpoints / name)
    np.testing.assert_allclose(softmaxed(reference.forward(network, X)), likely, atol=1e-6)
    assert "read from the weights as Embedding 6 > GRU 8 > Dense 11" in network.assumed[0]


def test_a_folder_means_the_checkpoint_that_it_names_or_the_newest(checkpoints: Path, tmp_path: Path) -> None:
    assert tf_checkpoint.prefix_of(str(checkpoints)) == str(checkpoints / "ckpt_2")
    folder = shutil.copytree(checkpoints, tmp_path / "copy")
    (folder / "checkpoint").unlink()
    os.utime(folder / "ckpt_3.index", (2e9, 2e9))
    assert tf_checkpoint.prefix_of(str(folder)) == str(folder / "ckpt_3")
    assert tf_checkpoint.prefix_of(str(tmp_path)) is None


def test_the_architecture_may_be_given(checkpoints: Path, tutorial: Any) -> None:
    network = keras_file.read(checkpoints, config=CONFIG)
    np.testing.assert_allclose(reference.forward(network, X), np.asarray(tutorial(X)), atol=1e-5)
    with pytest.raises(ModelFormatError, match=r"ckpt_2: .*expected"):
        keras_file.read(checkpoints, config="Embedding(11, 6), GRU(9), Dense(11)")


@pytest.mark.parametrize("entrance", ["info", "export", "sample", "Model"])
def test_every_entrance_takes_a_checkpoint(
    checkpoints: Path, tmp_path: Path, likely: Floats, capsys: pytest.CaptureFixture[str], entrance: str
) -> None:
    path, out = str(checkpoints / "ckpt_2"), str(tmp_path / "m.bin")
    if entrance == "Model":
        with pytest.warns(UserWarning):
            model = lstmgen.Model(path)
        np.testing.assert_allclose(softmaxed(model.predict(X)), likely, atol=1e-5)
        return
    argv = {"info": ["info", path], "export": ["export", path, out], "sample": ["sample", path, "--length", "5"]}
    (tmp_path / "v.json").write_text('["a","b","c","d","e","f","g","h","i","j","k"]')
    extra = ["--vocab", str(tmp_path / "v.json"), "--prime", "abc"] if entrance == "sample" else []
    assert cli.main([*argv[entrance], *extra]) == 0
    captured = capsys.readouterr()
    if entrance == "info":
        assert "TensorFlow checkpoint" in captured.out


def saved_model(tf: Any, tutorial: Any, folder: Path) -> Path:
    root = module(tf, {"model": as_tf_keras(tutorial)})
    root.one = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(root, str(folder))
    return folder


def test_a_saved_model_is_read_from_its_variables(tf: Any, tutorial: Any, likely: Floats, tmp_path: Path) -> None:
    network = keras_file.read(saved_model(tf, tutorial, tmp_path / "one_step"))
    np.testing.assert_allclose(softmaxed(reference.forward(network, X)), likely, atol=1e-6)


def test_the_process_that_reads_has_memory_for_a_small_checkpoint(
    tf: Any, tutorial: Any, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMGEN_TRUST", "0")
    for path in (checkpoints, saved_model(tf, tutorial, tmp_path)):
        assert len(keras_file.read(path).layers) == len(reader.read(path).layers)


def test_a_saved_model_without_variables_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"the folder of a SavedModel without its variables/variables\.index"):
        keras_file.read(tmp_path)


def metadata(entry: bytes) -> bytes:
    """`keras_metadata.pb` with the entry of the root."""

    def field(number: int, data: bytes) -> bytes:
        size, head = len(data), bytearray([number << 3 | 2])
        while size >= 0x80:
            head.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([*head, size]) + data

    return field(1, field(3, b"root.layer") + field(5, b"{}")) + field(1, field(3, b"root") + field(5, entry))


def test_the_architecture_beside_a_saved_model_is_used(tf: Any, tutorial: Any, tmp_path: Path) -> None:
    folder = saved_model(tf, tutorial, tmp_path / "m")
    layers = (
        '{"class_name": "Embedding", "config": {"name": "e", "input_dim": 11, "output_dim": 6, '
        '"batch_input_shape": {"class_name": "__tuple__", "items": [1, null]}}}, '
        '{"class_name": "GRU", "config": {"name": "g", "units": 8, "reset_after": true, "return_sequences": true}}, '
        '{"class_name": "Dense", "config": {"name": "d", "units": 11, "activation": "sigmoid"}}'
    )
    entry = f'{{"class_name": "Sequential", "keras_version": "2.9.0", "config": {{"name": "s", "layers": [{layers}]}}}}'
    (folder / "keras_metadata.pb").write_bytes(metadata(entry.encode()))
    network = keras_file.read(folder)
    assert (network.keras_version, network.layers[-1].options["activation"]) == ("2.9.0", "sigmoid")
    logits = np.asarray(tutorial(X))
    np.testing.assert_allclose(reference.forward(network, X), 1 / (1 + np.exp(-logits)), atol=1e-6)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("config", [None, CONFIG])
def test_a_model_of_ones_own_class_saved_by_keras_3(
    tutorial: Any, likely: Floats, tmp_path: Path, suffix: str, config: str | None
) -> None:
    path = tmp_path / f"m{suffix}"
    tutorial.save(path) if suffix == ".keras" else tutorial.save_weights(path)
    network = keras_file.read(path, config=config)
    y = reference.forward(network, X)
    described = keras_file.describe(path, config=config)
    assert described.kind == (
        "weights only (HDF5)" if suffix == ".weights.h5" else "weights of the class MyModel (.keras)"
    )
    if config:
        np.testing.assert_allclose(y, np.asarray(tutorial(X)), atol=1e-5)
    else:
        np.testing.assert_allclose(softmaxed(y), likely, atol=1e-6)


def test_layers_of_ones_own_class_that_are_alike_come_in_the_order_of_their_names(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers

    class Deep(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words = layers.Embedding(IDS, UNITS)
            self.gru10 = layers.LSTM(UNITS, return_sequences=True)
            self.gru9 = layers.LSTM(UNITS, return_sequences=True)
            self.out = layers.Dense(IDS)

        def call(self, ids: Any) -> Any:
            return self.out(self.gru10(self.gru9(self.words(ids))))

    model = Deep()
    expected = np.asarray(model(X))
    model.save_weights(tmp_path / "m.weights.h5")
    given = f"Embedding({IDS}, {UNITS}), LSTM({UNITS}, return_sequences=True), LSTM({UNITS}, return_sequences=True)"
    network = keras_file.read(tmp_path / "m.weights.h5", config=f"{given}, Dense({IDS})")
    np.testing.assert_allclose(reference.forward(network, X), expected, atol=1e-5)
    assert [said for said in network.assumed if "gru9, gru10" in said and f"LSTM, {UNITS} units" in said]
    with pytest.raises(ModelFormatError, match="no weights in the file for LSTM 9"):
        keras_file.read(tmp_path / "m.weights.h5", config=f"Embedding({IDS}, {UNITS}), LSTM(9), Dense({IDS})")


def test_attributes_after_layers_in_the_alphabet_lie_in_another_group(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers

    class Mixed(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = layers.Embedding(IDS, SIZE)
            self.rnn = layers.LSTM(UNITS, return_sequences=True)
            self.vocabulary = layers.Dense(IDS)

        def call(self, ids: Any) -> Any:
            return self.vocabulary(self.rnn(self.embedding(ids)))

    model = Mixed()
    logits = np.asarray(model(X), np.float64)[:, -1]
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert {"embedding", "layers"} <= file.keys()
    y = softmaxed(reference.forward(keras_file.read(tmp_path / "m.weights.h5"), X))
    np.testing.assert_allclose(y, np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), atol=1e-6)


# -- broken files ----------------------------------------------------------------------------------


@pytest.fixture
def copied(checkpoints: Path, tmp_path: Path) -> Path:
    for name in ("ckpt_1.index", "ckpt_1.data-00000-of-00001"):
        shutil.copy(checkpoints / name, tmp_path / name)
    return tmp_path / "ckpt_1"


def refused(path: Path, reason: str) -> None:
    with pytest.raises(ModelFormatError, match=f"ckpt_1: .*{reason}"):
        keras_file.read(path)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda data: data[:-8] + bytes(8), "no table's end"),
        (lambda data: data[:20], "no table's end"),
        (lambda data: b"", "no table's end"),
        (lambda data: data[:-48] + b"\xff" * 40 + data[-8:], "does not end"),
        (lambda data: data[:-48] + bytes([0, 0, 0xFF, 0xFF, 3, 9]) + bytes(34) + data[-8:], "lies outside of it"),
    ],
)
def test_a_broken_index_is_an_error(copied: Path, edit: Callable[[bytes], bytes], reason: str) -> None:
    index = copied.with_suffix(".index")
    index.write_bytes(edit(index.read_bytes()))
    refused(index, reason)


def test_a_missing_or_short_data_file_is_an_error(copied: Path) -> None:
    data = copied.with_suffix(".data-00000-of-00001")
    content = data.read_bytes()
    data.write_bytes(content[:100])
    refused(copied, "did not finish")
    data.unlink()
    refused(copied, "expected ckpt_1.data-00000-of-00001 beside the index")


def test_any_byte_of_the_index_may_be_wrong(copied: Path) -> None:
    index = copied.with_suffix(".index")
    sound = index.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(400):
        data = bytearray(sound)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        index.write_bytes(data)
        try:
            keras_file.read(copied)
        except ModelFormatError as error:
            assert str(copied) in str(error)


def test_any_byte_of_the_graph_may_be_wrong(copied: Path) -> None:
    data = copied.with_suffix(".data-00000-of-00001")
    sound = data.read_bytes()
    graph = tf_checkpoint.Checkpoint(str(copied)).entries["_CHECKPOINTABLE_OBJECT_GRAPH"]
    rng = np.random.default_rng(1)
    for _ in range(400):
        changed = bytearray(sound)
        for at in graph.offset + rng.integers(0, graph.size, rng.integers(1, 4)):
            changed[at] = rng.integers(256)
        data.write_bytes(changed)
        try:
            keras_file.read(copied)
        except ModelFormatError as error:
            assert str(copied) in str(error)


def test_a_checkpoint_of_tensorflow_1_is_told_by_name(tf: Any, tmp_path: Path) -> None:
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "ckpt_1"),
        tensor_names=["rnn/lstm_cell/kernel"],
        shape_and_slices=[""],
        tensors=[tf.zeros((3, 4))],
    )
    refused(tmp_path / "ckpt_1", "a checkpoint of TensorFlow 1")


def test_a_checkpoint_without_layers_is_told_by_name(tf: Any, tmp_path: Path) -> None:
    tf.train.Checkpoint(step=tf.Variable(1)).write(str(tmp_path / "ckpt_1"))
    refused(tmp_path / "ckpt_1", "no layers of Keras in it")


def test_what_keras_3_exports_of_a_class_of_ones_own_is_read(tutorial: Any, tmp_path: Path) -> None:
    tutorial.export(tmp_path / "exported", verbose=False)
    network = keras_file.read(tmp_path / "exported", config=CONFIG)
    expected = np.asarray(tutorial(X))
    np.testing.assert_allclose(reference.forward(network, X), expected, atol=1e-5)
