"""Checkpoints of anyone, made byte by byte: a bound on what they take, and a named error."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lstmgen import ModelFormatError, keras_file
from lstmgen.keras_file import isolation, reader, tf_checkpoint
from support.checkpoints import (
    DENSE,
    GRAPH,
    HEADER,
    child,
    entry,
    field,
    graph,
    index,
    table,
    tensor,
    variable,
    varint,
)


def checkpoint(
    folder: Path, data: bytes, *entries: tuple[bytes, bytes], graph_type: int = 7, header: bytes = HEADER[1]
) -> Path:
    """Write a checkpoint whose numbers begin with its graph."""
    described = (GRAPH, field(1, graph_type) + field(4, 0) + field(5, len(data)))
    (folder / "c.index").write_bytes(index([(b"", header), described, *entries]))
    (folder / "c.data-00000-of-00001").write_bytes(data + bytes(4096))
    return folder / "c"


def dense(folder: Path, kernel: bytes | None = None) -> Path:
    """Write a checkpoint of a Dense (3, 2) whose weights are zeros."""
    data = graph(*DENSE)
    at = len(data)
    return checkpoint(
        folder, data, (b"b", tensor([2], at + 24, 8)), (b"k", tensor([3, 2], at, 24) if kernel is None else kernel)
    )


def refused(path: Path, reason: str, config: str | None = "Dense(2, input_shape=[None, 3])") -> None:
    """Demand that a checkpoint is refused for `reason`, within the bound."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=rf"c: .*{reason}") as caught:
            reader.read(path, config=config)  # in this process, which has no limits
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        assert tracemalloc.get_traced_memory()[1] < 64 * size + 2**24
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_sound_checkpoint_is_read(tmp_path: Path) -> None:
    network = keras_file.read(dense(tmp_path), config="Dense(2, input_shape=[None, 3])")
    assert network.layers[0].arrays["kernel"].tolist() == np.zeros((3, 2)).tolist()


KERNELS: dict[str, tuple[bytes, str]] = {
    "shape of 2^62": (tensor([2**62], 0, 24), r"expected \(3, 2\), found \(4611686018427387904,\)"),
    "of nine dimensions": (tensor([1] * 9, 0, 4), "at most 8 dimensions, found 9"),
    "size of another shape": (tensor([3, 2], 0, 20), r"20 bytes are no array of \(3, 2\)"),
    "of integers": (tensor([3, 2], 0, 24, dtype=3), "expected float16, bfloat16, float32 or float64, found type 3"),
    "beyond the end": (tensor([3, 2], 2**62, 24), "lies beyond the end of c.data-00000-of-00001"),
    "in slices": (tensor([3, 2], 0, 24) + field(7, b""), "stored in slices"),
    "in another data file": (tensor([3, 2], 0, 24) + field(3, 5), "lies in the data file 5 of 1"),
    "dtype that is text": (field(1, b"x"), "expected a number in a message, found text"),
    "shape that is a number": (field(2, 7), "expected text in a message, found a number"),
    "field of kind 3": (varint(1 << 3 | 3), "a field of the unknown kind 3"),
    "field longer than the message": (varint(1 << 3 | 2) + varint(99), "a field that is longer than the message"),
    "fixed field cut off": (varint(1 << 3 | 1) + b"abc", "a field that is longer than the message"),
}


@pytest.mark.parametrize("mutation", KERNELS)
def test_an_array_that_is_wrong_is_named(tmp_path: Path, mutation: str) -> None:
    kernel, reason = KERNELS[mutation]
    refused(dense(tmp_path, kernel), reason)


@pytest.mark.parametrize(("pattern", "dtype"), [(b"\0\0\x80\x7f", 1), (b"\x80\x7f", 14), (b"\0" * 6 + b"\xf0\x7f", 2)])
def test_infinite_numbers_are_refused_by_name(tmp_path: Path, pattern: bytes, dtype: int) -> None:
    data = graph(*DENSE)
    path = dense(tmp_path, tensor([3, 2], len(data), 6 * len(pattern), dtype))
    (tmp_path / "c.data-00000-of-00001").write_bytes(data + pattern * 6 + bytes(99))
    refused(path, "k: holds NaN or infinite numbers")


GRAPHS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: graph(), "the graph of the objects is empty"),
    "longer than it says": (lambda: graph(b"") + b"x", "damaged: the graph of the objects"),
    "a number that does not end": (lambda: graph(b"\xff" * 12), "a number that does not end"),
    "children that are not there": (lambda: graph(child(9, "a") + child(2**60, "b")), "no layers of Keras"),
    "a child within itself": (lambda: graph(child(0, "a") + child(0, "b")), "no layers of Keras"),
    "a name of 5000 digits": (
        lambda: graph(child(1, "variables"), child(2, "9" * 5000) + child(2, "8" * 5000), b""),
        "no layers of Keras",
    ),
    "70,000 objects": (lambda: graph(*[b""] * 70_000), "expected at most 65536 objects, found more"),
    "60,000 objects around one": (lambda: graph(*(child(i + 1, "a") for i in range(60_000))), "no layers of Keras"),
    "each object in each other": (
        lambda: graph(*(b"".join(child((i + j) % 200, f"{j}") for j in range(200)) for i in range(200))),
        "no layers of Keras",
    ),
    "layers deeper than 32": (
        lambda: graph(*(child(i + 1, "a") for i in range(40)), *DENSE[1:2]),
        "no layers of Keras",
    ),
    "a variable without its array": (
        lambda: graph(*DENSE[:2], variable("gone"), variable("gone")),
        "no layers of Keras",
    ),
    "attributes that are numbers": (lambda: graph(field(2, 7)), "expected text in a message"),
}


@pytest.mark.parametrize("mutation", GRAPHS)
def test_a_graph_that_is_wrong_is_an_error(tmp_path: Path, mutation: str) -> None:
    make, reason = GRAPHS[mutation]
    refused(checkpoint(tmp_path, make()), reason)


def test_a_graph_of_another_type_is_an_error(tmp_path: Path) -> None:
    refused(checkpoint(tmp_path, graph(b""), graph_type=1), "damaged: the graph of the objects")


INDICES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a block that is named 20,000 times": (
        lambda: index([HEADER] + [(b"k%d" % i, field(1, 1)) for i in range(5000)], 20_000),
        "the blocks of the index are longer than the index",
    ),
    "no header": (lambda: index([(b"x", field(1, 1))]), "the index has no header"),
    "numbers that are big-endian": (lambda: index([(b"", field(1, 1) + field(2, 1))]), "big-endian"),
    "no graph": (lambda: index([HEADER]), "a checkpoint of TensorFlow 1"),
    "too many tensors": (lambda: index([HEADER] + [(b"%d" % i, b"") for i in range(65_537)]), "at most 65536 tensors"),
    "names that share their beginnings": (
        lambda: table(
            entry(b"k" * 4000, b"") + b"".join(entry(b"%05d" % i, b"", 4000) for i in range(9000)) + bytes(4)
        ),
        "names of at most 8 times the bytes of the index",
    ),
    "a compressed block": (
        lambda: index([HEADER], compressed=1),
        "the index is compressed",
    ),
    "a key that shares more than there is": (
        lambda: index([HEADER]).replace(b"\0\0\2\x08\1", b"\7\0\2\x08\1"),
        "an entry of",
    ),
    "an entry longer than its block": (
        lambda: index([HEADER]).replace(b"\0\0\2\x08\1", b"\0\0\x60\x08\1"),
        "an entry of",
    ),
    "too many restarts": (
        lambda: index([HEADER]).replace(struct.pack("<II", 0, 1), struct.pack("<II", 0, 99), 1),
        "a block of the index with too many restarts",
    ),
}


@pytest.mark.parametrize("mutation", INDICES)
def test_an_index_that_is_wrong_is_an_error(tmp_path: Path, mutation: str) -> None:
    make, reason = INDICES[mutation]
    (tmp_path / "c.index").write_bytes(make())
    refused(tmp_path / "c", reason)


def test_names_in_messages_are_short_and_on_one_line(tmp_path: Path) -> None:
    name = b"k\n\x1b[2J" + b"x" * 4000
    (tmp_path / "c.index").write_bytes(index([HEADER, (name, field(7, b""))]))
    refused(tmp_path / "c", r"k\?\?\[2Jxxx.*\.\.\.: the tensor is stored in slices")


def test_other_files_beside_a_checkpoint_do_not_raise_its_bound(tmp_path: Path) -> None:
    path = str(dense(tmp_path))
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    with (tmp_path / "c_other").open("wb") as file:
        file.truncate(2**40)
    assert isolation._size(path) == size


def test_an_index_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "c.index").open("wb") as file:
        file.truncate(tf_checkpoint.MAX_INDEX + 1)
    refused(tmp_path / "c", r"the index has 67108865 bytes; expected at most 67108864")


STATES = {  # the file `checkpoint` of a folder
    "of another name": b'model_checkpoint_path: "gone"\n',
    "that leads out": b'model_checkpoint_path: "../../etc/c"\n',
    "of junk": b"\xff" * 100,
    "of a MiB": b"x" * 2**20,
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_of_a_folder_leads_nowhere_else(tmp_path: Path, state: str) -> None:
    path = dense(tmp_path)
    (tmp_path / "checkpoint").write_bytes(STATES[state])
    assert tf_checkpoint.prefix_of(str(tmp_path)) == str(path)


SAVED: dict[str, tuple[bytes, str | None]] = {  # keras_metadata.pb, and what the error says
    "no JSON": (field(1, field(3, b"root") + field(5, b"{")), "keras_metadata.pb: not JSON"),
    "nested deeply": (field(1, field(3, b"root") + field(5, b"[" * 100_000)), "keras_metadata.pb: not JSON"),
    "a tuple of tuples": (
        field(1, field(3, b"root") + field(5, b'{"class_name": "__tuple__", "items": [{"a": [1]}]}')),
        None,
    ),
    "no root": (field(1, field(3, b"leaf")) + field(2, b"x"), None),
    "a config that is a list": (field(1, field(3, b"root") + field(5, b'{"config": []}')), None),
    "nodes that are numbers": (field(1, 7), "expected text in a message"),
}


@pytest.mark.parametrize("mutation", SAVED)
def test_the_metadata_of_a_saved_model(tmp_path: Path, mutation: str) -> None:
    data, reason = SAVED[mutation]
    (tmp_path / "variables").mkdir()
    (tmp_path / "keras_metadata.pb").write_bytes(data)
    prefix = str(tmp_path / "variables" / "variables")
    if reason is None:
        assert tf_checkpoint.saved_config(prefix) is None
    else:
        with pytest.raises(ModelFormatError, match=reason):
            tf_checkpoint.saved_config(prefix)


def test_exported_variables_in_an_order_that_is_no_number_are_left_out(tmp_path: Path) -> None:
    nodes = (
        child(1, "variables"),
        child(2, "0") + child(3, "1") + child(2, "x") + child(2, "9" * 5000) + child(9, "3"),
        variable("k", "m/dense/kernel"),
        variable("b", "m/dense/bias"),
    )
    data = graph(*nodes)
    at = len(data)
    path = checkpoint(tmp_path, data, (b"b", tensor([2], at + 24, 8)), (b"k", tensor([3, 2], at, 24)))
    network = keras_file.read(path, config="Dense(2, input_shape=[None, 3])")
    assert [layer.type for layer in network.layers] == ["dense"]


# -- zips of Keras ---------------------------------------------------------------------------------


def zipped(compression: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    named = {"config": "config.json", "metadata": "metadata.json", "weights": "model.weights.h5"}
    with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as archive:
        for key, name in named.items():
            archive.writestr(name, members.get(key, b'{"keras_version": "3.0.0"}'))
    return file.getvalue()


def encrypted(data: bytes) -> bytes:
    """Return a zip whose list of files says that the last one is encrypted."""
    at = data.rindex(b"PK\1\2") + 8
    return data[:at] + b"\1" + data[at + 1 :]


def resized(data: bytes) -> bytes:
    """Return a zip whose list of files says that the last one is longer than its bytes."""
    at = data.rindex(b"PK\1\2") + 24
    return data[:at] + struct.pack("<I", 999) + data[at + 4 :]


def twice(data: bytes) -> bytes:
    """Return a zip whose second file has the name of the first one."""
    return data.replace(b"metadata.json", b"./config.json").replace(b"./config.json", b"config.json\0\0")


ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a config that is compressed a thousand times": (
        lambda: zipped(config=b"[" + b"[]," * 5_000_000 + b"[]]"),
        "config.json: expected a compression of at most 100 times, found more",
    ),
    "metadata that are compressed a thousand times": (
        lambda: zipped(zipfile.ZIP_LZMA, metadata=b" " * 10**7),
        "metadata.json: expected a compression of at most 100 times, found more",
    ),
    "weights that are compressed a thousand times": (
        lambda: zipped(zipfile.ZIP_BZIP2, weights=bytes(10**7)),
        "model.weights.h5: expected a compression of at most 100 times, found more",
    ),
    "a config of 17 MiB": (lambda: zipped(config=b" " * 17 * 2**20), "config.json: expected at most 16777216 bytes"),
    "weights that are no HDF5": (lambda: zipped(), "model.weights.h5: expected an HDF5 file, found another kind"),
    "a version that is a number": (
        lambda: zipped(metadata=json.dumps({"keras_version": 3}).encode()),
        "metadata.json: keras_version: expected text, found 3",
    ),
    "a config that is a list": (lambda: zipped(config=b"[]"), r"config.json: expected an object, found \[\]"),
    "weights that are encrypted": (
        lambda: encrypted(zipped(zipfile.ZIP_STORED)),
        "model.weights.h5: the entry is encrypted, which is not supported",
    ),
    "weights whose entries disagree": (
        lambda: resized(zipped(zipfile.ZIP_STORED)),
        "model.weights.h5: damaged zip: its two entries for the file disagree",
    ),
    "weights with another byte": (
        lambda: zipped(zipfile.ZIP_STORED, weights=b"weights").replace(b"weightsPK", b"WeightsPK"),
        "damaged zip: .*Bad CRC-32",
    ),
    "weights of another name": (
        lambda: zipped(zipfile.ZIP_STORED).replace(b"model.weights.h5", b"Model.weights.h5", 1),
        "damaged zip: .*File name in",
    ),
    "two configs": (lambda: twice(zipped()), "expected a zip with different names, found two files of the same name"),
    "a config that is not UTF-8": (lambda: zipped(config=b"\xff{}"), "config.json: not UTF-8: byte 0 is 0xff"),
}


@pytest.mark.parametrize("mutation", ZIPS)
def test_a_zip_that_is_wrong_is_refused_within_the_bound(mutation: str) -> None:
    make, reason = ZIPS[mutation]
    data = make()
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=f"<bytes>: {reason}"):
            keras_file.read(data)
        assert tracemalloc.get_traced_memory()[1] < 64 * len(data) + 2**24
    finally:
        tracemalloc.stop()


# -- models in HDF5 --------------------------------------------------------------------------------

Write = Callable[..., Path]
INPUT = {"name": "i", "batch_input_shape": [None, 4, 2]}


def two_outputs(names: Sequence[str] = ("a", "b")) -> dict[str, Any]:
    """Return a functional model: an LSTM, and a Dense for each name."""
    nodes: list[tuple[str, dict[str, Any], list[str]]] = [
        ("InputLayer", INPUT, []),
        ("LSTM", {"name": "r", "units": 3}, ["i"]),
    ]
    nodes += [("Dense", {"name": name, "units": 2}, ["r"]) for name in names]
    layers = [
        {
            "class_name": kind,
            "name": of["name"],
            "config": of,
            "inbound_nodes": [[[n, 0, 0, {}] for n in reads]] if reads else [],
        }
        for kind, of, reads in nodes
    ]
    outputs = [[name, 0, 0] for name in names]
    return {
        "class_name": "Model",
        "config": {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": outputs},
    }


@pytest.fixture
def outputs(write_h5: Write, lstm_arrays: Callable[..., Any]) -> Callable[..., Path]:
    def write(*names: str) -> Path:
        dense = {"kernel:0": np.zeros((3, 2), "f4"), "bias:0": np.zeros(2, "f4")}
        listed = [("LSTM", {"name": "r"}), *(("Dense", {"name": name}) for name in names)]
        weights = {"r": lstm_arrays("r", 2, 3), **dict.fromkeys(names, dense)}
        return write_h5(listed, weights, model=two_outputs(names))

    return write


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no output chosen": ({}, "expected one output, found 2: choose with output: a, b"),
    "an output that is not there": ({"output": "c"}, "output: expected one of a, b, found 'c'"),
    "an output and heads": (
        {"output": "a", "heads": "pitch=a,step=b,duration=a"},
        "output and heads: give one of the two",
    ),
    "a window of 0": ({"window": 0}, "window: expected an integer from 1 to 65536, found 0"),
    "a window that is true": ({"window": True}, "window: expected an integer from 1 to 65536, found True"),
    "a second architecture": ({"config": "Dense(2)"}, "config: the file holds the architecture itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_options_that_do_not_fit_are_named(outputs: Callable[..., Path], name: str) -> None:
    options, reason = WRONG[name]
    with pytest.raises(ValueError, match=reason):
        keras_file.read(outputs("a", "b"), **options)


def test_heads_of_a_model_with_one_output_are_refused(outputs: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="heads: the model has one output, a"):
        keras_file.read(outputs("a"), heads="pitch/2,step,duration")


def test_what_is_refused_is_described_with_its_problem(outputs: Callable[..., Path]) -> None:
    found = keras_file.describe(outputs("a", "b"))
    assert found.network is None
    assert found.problem is not None
    assert "expected one output, found 2" in found.problem
    assert [layer.class_name for layer in found.layers] == ["InputLayer", "LSTM", "Dense", "Dense"]
    chosen = keras_file.describe(outputs("a", "b"), output="b")
    assert chosen.problem is None
    assert [layer.output_shape for layer in chosen.layers[1:]] == [(None, 3), (None, 2), (None, 2)]


def nested(depth: int, kind: str = "Sequential") -> dict[str, Any]:
    """Return a model within a model, and so on."""
    model: dict[str, Any] = {"class_name": "LSTM", "config": {"name": "r", "units": 3}}
    for _ in range(depth):
        inner = {"layers": [model]} if kind == "Sequential" else {"layer": model}
        model = {"class_name": kind, "config": inner}
    return model


@pytest.mark.parametrize("kind", ["Sequential", "Bidirectional"])
def test_models_within_models_are_refused(write_h5: Write, kind: str) -> None:
    model = nested(300, kind)
    whole = model if kind == "Sequential" else {"class_name": "Sequential", "config": {"layers": [model]}}
    with pytest.raises(ModelFormatError, match=r"model\.h5: ") as caught:
        keras_file.read(write_h5([], {}, model=whole))
    assert len(str(caught.value)) < 1000


CONFIGS: dict[str, tuple[bytes, str]] = {  # a file with an architecture
    "no UTF-8": (b"\xff", "c.json: not UTF-8"),
    "a list": (b"[1]", "c.json: "),
    "JSON in JSON that is none": (b'{"config": "["}', "c.json: not JSON"),
    "nested deeply": (b'{"a":' * 100_000, "c.json: nested too deeply"),
    "digits": (b'{"a": ' + b"9" * 5000 + b"}", "c.json: not JSON: Exceeds the limit"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_architecture_that_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    data, reason = CONFIGS[name]
    (path := tmp_path / "c.json").write_bytes(data)
    with pytest.raises(ValueError, match=reason) as caught:
        reader.architecture(path)
    assert str(caught.value).startswith(str(path))


def test_the_folder_of_a_saved_model_without_its_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"a SavedModel without its variables/variables\.index"):
        keras_file.read(tmp_path)


def test_the_architecture_of_a_saved_model_is_read(tmp_path: Path) -> None:
    config = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "batch_input_shape": [None, None, 3]}}
    saved = {"class_name": "Sequential", "keras_version": "2.9.0", "config": {"name": "m", "layers": [config]}}
    (tmp_path / "keras_metadata.pb").write_bytes(field(1, field(3, b"root") + field(5, json.dumps(saved).encode())))
    (tmp_path / "variables").mkdir()
    path = dense(tmp_path / "variables")
    for file in (tmp_path / "variables").iterdir():
        file.rename(file.with_name(file.name.replace("c.", "variables.", 1)))
    found = keras_file.describe(tmp_path)
    assert (found.kind, found.keras_version, found.problem) == ("whole model (SavedModel)", "2.9.0", None)
    assert path.name == "c"


@given(
    st.integers() | st.floats() | st.text(max_size=9) | st.none() | st.booleans() | st.lists(st.integers(), max_size=4)
)
@example(10**400)
@example(float("nan"))
@example("\x1b[2J")
def test_any_value_of_a_key_is_an_error_that_can_be_shown(value: Any) -> None:
    for key in ("units", "activation", "batch_input_shape", "name", "go_backwards", "return_sequences"):
        config = {"name": "r", "units": 3, "batch_input_shape": [None, 4, 2], key: value}
        model = {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": config}]}
        data = zipped(config=json.dumps(model).encode(), weights=EMPTY)
        with pytest.raises(ModelFormatError, match="<bytes>: ") as caught:
            keras_file.read(data)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000


def _empty() -> bytes:
    with h5py.File(file := io.BytesIO(), "w"):
        pass
    return file.getvalue()


EMPTY = _empty()


def test_heads_are_found_by_their_names_or_told(outputs: Callable[..., Path]) -> None:
    found = keras_file.read(outputs("pitch", "step", "duration"))
    assert [head.layer for head in found.elements["heads"]] == ["pitch", "step", "duration"]
    told = keras_file.read(outputs("a", "b", "c"), heads="pitch=c,step=b,duration=a")
    assert [head.layer for head in told.elements["heads"]] == ["c", "b", "a"]


def test_each_refused_layer_is_described(write_h5: Write) -> None:
    inner = {"class_name": "LSTM", "config": {"name": "r", "units": 3}}
    listed = [
        ("Lambda", {"name": "l", "batch_input_shape": [None, 4, 2]}),
        ("LSTM", {"name": "w", "units": -1}),
        ("Bidirectional", {"name": "b", "layer": inner}),
    ]
    found = keras_file.describe(write_h5(listed, {}))
    assert found.problem is not None
    wrong, bad, wrapped = found.layers
    assert wrong.problem is not None
    assert bad.details == "units -1"
    assert wrapped.details == "of 'LSTM'"


def attributes(**shapes: tuple[int, ...]) -> bytes:
    """Return a .keras of a user's own class, whose arrays have these shapes."""
    with h5py.File(file := io.BytesIO(), "w") as root:
        for name, shape in shapes.items():
            root[name.replace("__", "/")] = np.zeros(shape, np.float32)
    config = json.dumps({"class_name": "Own\x1b[2J", "config": {}})
    return zipped(config=config.encode(), weights=file.getvalue())


def test_a_class_of_a_users_own_is_read_by_its_attributes() -> None:
    data = attributes(table__vars__0=(5, 2), out__vars__0=(2, 5), out__vars__1=(5,))
    found = keras_file.describe(data, config="Embedding(5, 2), Dense(5)")
    assert found.kind == "weights of the class Own?[2J (.keras)"
    assert found.problem is None
    wrong = attributes(table__vars__0=(5, 2), out__vars__0=(3, 5), out__vars__1=(5,))
    with pytest.raises(ValueError, match="<bytes>: "):
        keras_file.read(wrong, config="Embedding(5, 2), Dense(5)")
