"""Whatever a Keras file tries, it is a `ModelFormatError`, and no other file is opened."""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstmgen import keras_file
from lstmgen.errors import ModelFormatError
from lstmgen.keras_file import reader
from lstmgen.keras_file.assembly import MAX_BUILDS, Assembly
from support.work import calls

h5py = pytest.importorskip("h5py")

Write = Callable[..., Path]
Make = Callable[..., Any]

KERNEL = "model_weights/lstm_1/lstm_1/kernel:0"


def refuse(path: Path, reason: str) -> None:
    """Demand that a file is refused for `reason`, without reserving much memory for it."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=rf"model\.h5: .*{reason}"):
            keras_file.read(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 2**20
    finally:
        tracemalloc.stop()


def change_config(path: Path, change: Callable[[Any], object]) -> None:
    """Apply `change` to the architecture in a file."""
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        change(model)
        file.attrs["model_config"] = json.dumps(model)


def replace_kernel(path: Path, **options: Any) -> None:
    """Put another dataset, made with `options`, in the place of the kernel (2, 12)."""
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, **options)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a sound file of the right shape that no model should lead to."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.ones((2, 12), np.float32)
        file["group/kernel:0"] = np.ones((2, 12), np.float32)
    return path


# -- links -----------------------------------------------------------------------------------------


def test_external_link_to_an_array(small_h5: Path, secret: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink(str(secret), "kernel")
    refuse(small_h5, "lstm_1: kernel: 'kernel:0' is an external link, which is not followed")


@pytest.mark.parametrize("place", ["model_weights", "model_weights/lstm_1", "model_weights/lstm_1/lstm_1"])
def test_external_link_in_the_place_of_a_group(small_h5: Path, secret: Path, place: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file[place]
        file[place] = h5py.ExternalLink(str(secret), "group")
    refuse(small_h5, "is an external link, which is not followed")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_external_link_is_not_even_followed(small_h5: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening a pipe to read would wait for ever
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink(str(tmp_path / "pipe"), "kernel")
    refuse(small_h5, "is an external link")


@pytest.mark.parametrize("target", ["/model_weights/dense_1/dense_1/kernel:0", f"/{KERNEL}", "/nowhere"])
def test_soft_link(small_h5: Path, target: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = h5py.SoftLink(target)  # the second one is a loop
    refuse(small_h5, "lstm_1: kernel: 'kernel:0' is a soft link, which is not followed")


def test_hard_link_cycle_is_harmless(small_h5: Path) -> None:
    before = keras_file.read(small_h5)
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1"]
        group["lstm_1/loop"] = group
        names = [f"lstm_1/loop/{name}".encode() for name in group.attrs["weight_names"]]
        group.attrs["weight_names"] = names
    after = keras_file.read(small_h5)
    np.testing.assert_array_equal(after.layers[0].arrays["kernel"], before.layers[0].arrays["kernel"])


def test_weight_name_through_very_many_groups(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1"]
        group["loop"] = group
        group.attrs["weight_names"] = [b"loop/" * 1000 + b"x", b"y", b"z"]
    refuse(small_h5, "lstm_1: kernel: 'loop/.* is nested too deeply")


def test_one_array_for_very_many_layers(write_h5: Write) -> None:
    names = [f"d{i}" for i in range(100)]
    layers = [("Dense", {"name": name, "units": 100, "use_bias": False}) for name in names]
    layers[0][1]["batch_input_shape"] = [None, 4, 100]
    path = write_h5(layers, {name: {"k": np.ones((1, 1))} for name in names})
    with h5py.File(path, "r+") as file:
        file["all"] = np.ones((100, 100), np.float32)
        for name in names:
            group = file[f"model_weights/{name}"]
            del group["k"]
            group["k"] = file["all"]
    refuse(path, "declares more numbers than the file can hold")


# -- storage ---------------------------------------------------------------------------------------


def test_external_storage(small_h5: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(96))
    external = [(str(tmp_path / "raw"), 0, 96)]
    replace_kernel(small_h5, shape=(2, 12), dtype="f4", external=external)
    refuse(small_h5, r"lstm_1: kernel: its numbers are in another file \(external\)")


def test_virtual_dataset(small_h5: Path, secret: Path) -> None:
    layout = h5py.VirtualLayout((2, 12), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "kernel", (2, 12))
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        file.create_virtual_dataset(KERNEL, layout)
    refuse(small_h5, "lstm_1: kernel: a virtual dataset, which is not followed")


def test_declared_terabytes(small_h5: Path) -> None:
    units = 2**19
    change_config(small_h5, lambda model: model["config"][0]["config"].update(units=units))
    replace_kernel(small_h5, shape=(2, 4 * units), dtype="f4")
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1/lstm_1"]
        del group["recurrent_kernel:0"]
        group.create_dataset("recurrent_kernel:0", shape=(units, 4 * units), dtype="f4")
    refuse(small_h5, "kernel: declared, but never written")


def test_matrix_over_the_limit(small_h5: Path) -> None:
    units = 2**19
    change_config(small_h5, lambda model: model["config"][0]["config"].update(units=units))
    replace_kernel(small_h5, shape=(2, 4 * units), dtype="f4", data=np.ones((2, 4 * units), "f4"))
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1/lstm_1"]
        del group["recurrent_kernel:0"]
        group.create_dataset("recurrent_kernel:0", shape=(units, 4 * units), dtype="f4")
    with pytest.raises(ModelFormatError, match=r"recurrent_kernel: .*expected at most 2147483648 numbers"):
        keras_file.read(small_h5)


def test_shape_bomb_is_compared_before_it_is_read(small_h5: Path) -> None:
    replace_kernel(small_h5, shape=(2**20, 2**20), dtype="f4")  # 4 TiB
    refuse(small_h5, r"kernel: expected \(2, 12\), found \(1048576, 1048576\)")


def test_compression_bomb(small_h5: Path) -> None:
    units = 2000
    change_config(small_h5, lambda model: model["config"][0]["config"].update(units=units))
    zeros = {"compression": "gzip", "compression_opts": 9, "dtype": "f4"}
    replace_kernel(small_h5, data=np.zeros((2, 4 * units)), **zeros)
    with h5py.File(small_h5, "r+") as file:
        group = file["model_weights/lstm_1/lstm_1"]
        del group["recurrent_kernel:0"]
        group.create_dataset("recurrent_kernel:0", data=np.zeros((units, 4 * units)), **zeros)
    refuse(small_h5, "recurrent_kernel: declares more numbers than the file can hold")


def test_chunk_larger_than_its_array(small_h5: Path) -> None:
    data, chunks = np.zeros((2, 12), np.float32), (2**12, 2**14)  # one chunk of 256 MiB
    replace_kernel(small_h5, data=data, chunks=chunks, maxshape=(None, None), compression="gzip")
    refuse(small_h5, r"kernel: its chunks \(4096, 16384\) are larger than itself")


def test_chunks_that_were_never_written(small_h5: Path) -> None:
    replace_kernel(small_h5, shape=(2, 12), dtype="f4", chunks=(1, 12))
    refuse(small_h5, "lstm_1: kernel: declared, but never written")


def test_filter_that_needs_a_plug_in(small_h5: Path) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((2, 12))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstandard
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        group, space = file["model_weights/lstm_1/lstm_1"], h5py.h5s.create_simple((2, 12))
        h5py.h5d.create(group.id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, plan)
    refuse(small_h5, "lstm_1: kernel: expected gzip, lzf or no compression, found filter 32015")


# -- types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (np.ones((2, 12), np.int32), "int32"),
        (np.ones((2, 12), np.uint8), "uint8"),
        (np.ones((2, 12), bool), "bool"),
        (np.ones((2, 12), np.complex64), "complex64"),
        (np.ones((2, 12), [("a", "f4"), ("b", "f4")]), r"\[\("),
        (np.full((2, 12), b"ab", "S2"), r"\|S2"),
        (np.full((2, 12), b"abcd", "V4"), r"\|V4"),
    ],
)
def test_numbers_of_another_type(small_h5: Path, data: Any, found: str) -> None:
    replace_kernel(small_h5, data=data)
    refuse(small_h5, f"lstm_1: kernel: expected float16, bfloat16, float32 or float64, found {found}")


def test_objects_instead_of_numbers(small_h5: Path) -> None:
    replace_kernel(small_h5, data=np.full((2, 12), "x", object), dtype=h5py.string_dtype())
    refuse(small_h5, "lstm_1: kernel: expected float16, bfloat16, float32 or float64, found object")


def test_references_instead_of_numbers(small_h5: Path) -> None:
    replace_kernel(small_h5, shape=(2, 12), dtype=h5py.ref_dtype)
    refuse(small_h5, "lstm_1: kernel: expected float16, bfloat16, float32 or float64, found object")


def test_empty_dataset(small_h5: Path) -> None:
    replace_kernel(small_h5, data=h5py.Empty("f4"))
    refuse(small_h5, r"lstm_1: kernel: expected \(2, 12\), found nothing")


def test_scalar_dataset(small_h5: Path) -> None:
    replace_kernel(small_h5, data=np.float32(1))
    refuse(small_h5, r"lstm_1: kernel: expected \(2, 12\), found \(\)")


def test_group_instead_of_an_array(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
        file.create_group(KERNEL)
    refuse(small_h5, "lstm_1: kernel: expected an array, found a group")


def test_array_instead_of_a_group(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file["model_weights/lstm_1/lstm_1"]
        file["model_weights/lstm_1/lstm_1"] = np.ones(3)
    refuse(small_h5, "'kernel:0': expected a group around it, found an array")


def test_transposed_array(small_h5: Path) -> None:
    replace_kernel(small_h5, data=np.ones((12, 2), np.float32))
    refuse(small_h5, r"lstm_1: kernel: expected \(2, 12\), found \(12, 2\)")


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("../dense_1/dense_1/kernel:0", "lstm_1/../../dense_1/dense_1/kernel:0", "."),
        *("/model_weights/dense_1/dense_1/kernel:0", "", "lstm_1//kernel:0", "lstm_1/./kernel:0"),
    ],
)
def test_weight_name_that_leads_out_of_its_layer(small_h5: Path, name: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        attributes = file["model_weights/lstm_1"].attrs
        attributes["weight_names"] = [name.encode(), b"b", b"c"]
    refuse(small_h5, "lstm_1: kernel: .* is no name of a weight: it leads out of its layer")


@pytest.mark.parametrize("name", ["../optimizer", "/model_weights", ".."])
def test_layer_name_that_leads_out_of_the_weights(small_h5: Path, name: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [name, "dense_1"]
    refuse(small_h5, "it leads out of its layer")


def test_weight_name_that_is_not_there(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file[KERNEL]
    refuse(small_h5, "lstm_1: kernel: 'kernel:0' is not in the file")


def test_layer_name_that_is_not_there(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file["model_weights/dense_1"]
    refuse(small_h5, "'dense_1' is not in the file")


def test_weight_name_twice(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        attributes = file["model_weights/lstm_1"].attrs
        names = attributes["weight_names"]
        attributes["weight_names"] = names[[0, 1, 1]]
    refuse(small_h5, "'lstm_1': weight_names: 'lstm_1/recurrent_kernel:0' appears twice")


def test_layer_name_twice(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"lstm_1", b"lstm_1"]
    refuse(small_h5, "layer_names: 'lstm_1' appears twice")


@pytest.mark.parametrize("value", [7, np.ones(3), [1, 2], np.ones(2, "V8"), h5py.Empty("f4")])
def test_names_that_are_no_text(small_h5: Path, value: Any) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights/lstm_1"].attrs["weight_names"] = value
    refuse(small_h5, "")


def test_names_that_are_not_utf8(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights/lstm_1"].attrs["weight_names"] = [b"\xff", b"b", b"c"]
    refuse(small_h5, "damaged HDF5 file")


def test_weights_without_names(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        del file["model_weights"].attrs["layer_names"]
    refuse(small_h5, "no weights in the file")


def test_huge_list_of_names(tmp_path: Path, small_h5: Path) -> None:
    path = tmp_path / "new_model.h5"
    with h5py.File(path, "w", libver="latest") as file, h5py.File(small_h5) as small:
        file.attrs["model_config"] = small.attrs["model_config"]
        file.create_group("model_weights").attrs["keras_version"] = "2.1.5"
        file["model_weights"].attrs["layer_names"] = np.full(200_000, b"layer", "S5")
    refuse(path, "attribute layer_names: expected at most 65536 bytes, found 1000000")


# -- config ----------------------------------------------------------------------------------------


def forbid(*names: str) -> Callable[..., Any]:
    """Return an `__import__` that fails for modules whose names a file holds."""
    real = builtins.__import__

    def guarded(name: str, *rest: Any) -> Any:
        assert name.partition(".")[0] not in names, f"{name} was imported"
        return real(name, *rest)

    return guarded


def test_lambda_is_refused_by_name_and_never_run(small_h5: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')"
    layer = {
        "class_name": "Lambda",
        "config": {"name": "evil", "function": [code, None, None], "function_type": "lambda"},
    }
    change_config(small_h5, lambda model: model["config"].append(layer))
    refuse(small_h5, "layer evil: a Lambda layer holds Python code, which is never run")
    assert not ran.exists()


@pytest.mark.parametrize("key", ["module", "registered_name"])
def test_class_of_another_module_is_refused_and_never_imported(
    small_h5: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    change_config(small_h5, lambda model: model["config"][0].update({key: "this"}))
    monkeypatch.setattr(builtins, "__import__", forbid("this"))
    refuse(small_h5, "expected a class that Keras defines, found .*'this'")
    assert "this" not in sys.modules


def test_a_class_of_ones_own_is_named(small_h5: Path) -> None:
    own = {"module": None, "class_name": "Cool", "registered_name": "Custom>Cool"}
    change_config(small_h5, lambda model: model["config"][0].update(own))
    refuse(small_h5, r"found Cool, a class of the program that saved it, registered as 'Custom>Cool'")


@pytest.mark.parametrize(
    "activation",
    [
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"class_name": "__lambda__", "config": {"value": "cos\nsystem\n"}},
        {"class_name": {"a": []}, "config": {}},
        {"class_name": "function", "config": {"class_name": "function"}},
        {"class_name": "ReLU", "config": {"max_value": {"class_name": "__numpy__"}}},
        {"class_name": "gelu", "config": None, "module": 3},
    ],
)
def test_activation_that_is_no_name_of_kerass_own(small_h5: Path, activation: Any) -> None:
    change_config(small_h5, lambda model: model["config"][2]["config"].update(activation=activation))
    refuse(small_h5, "layer dense_1: ")


@pytest.mark.parametrize("kind", ["Hashing", "Discretization", "TFSMLayer", "Custom>LSTM"])
def test_layer_that_could_read_files_is_refused_by_name(small_h5: Path, kind: str) -> None:
    layer = {"class_name": kind, "config": {"name": "x", "vocabulary": "/etc/passwd"}}
    change_config(small_h5, lambda model: model["config"].insert(0, layer))
    refuse(small_h5, f"layer x: {kind} is not supported")


def test_training_config_is_not_looked_at(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        file.attrs["training_config"] = b"\x80\x04cos\nsystem\n"
        file["optimizer_weights"] = h5py.ExternalLink("/etc/passwd", "x")
    assert keras_file.read(small_h5).sizes == (2, 3, 2)


def test_very_many_layers(small_h5: Path) -> None:
    idle = {"class_name": "Dropout", "config": {"name": "d"}}
    change_config(small_h5, lambda model: model.update(config=[idle] * 100_000))
    with pytest.raises(ModelFormatError, match="expected at most 1024 layers, found 100000"):
        keras_file.read(small_h5)


def test_huge_config(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("model_weights").attrs["keras_version"] = "2.1.5"
        file.attrs["model_config"] = np.bytes_(b" " * (16 * 2**20 + 1))
    refuse(path, "attribute model_config: expected at most 16777216 bytes, found 16777217")


def test_huge_config_in_a_string_of_variable_length(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.create_group("model_weights").attrs["keras_version"] = "2.1.5"
        file.attrs["model_config"] = " " * (16 * 2**20 + 1)
    with pytest.raises(ModelFormatError, match="model_config: expected at most 16777216 bytes"):
        keras_file.read(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"class_name": "Sequential", "config": ' + "[" * 100_000,
        '{"class_name": "Sequential", "config": ' + "[" * 900 + "]" * 900 + "}",
        '{"class_name": ' + "[" * 900 + "]" * 900 + "}",
        "not JSON",
        "",
        "[]",
        "7",
        "{}",
        '{"class_name": "Sequential"}',
        '{"class_name": "Sequential", "config": []}',
        '{"class_name": "Sequential", "config": {"layers": {}}}',
        '{"class_name": "Sequential", "config": [1]}',
        '{"class_name": "Sequential", "config": [{"class_name": "LSTM"}]}',
        '{"class_name": "Sequential", "config": [{"class_name": ["LSTM"], "config": {}}]}',
        '{"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {"name": 1}}]}',
        '{"class_name": "Model", "config": {"layers": [{"class_name": "LSTM", "config": {}}]}}',
        '{"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": '
        '{"batch_input_shape": [1, 2, 1e999]}}]}',
        '{"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": '
        '{"batch_input_shape": [1, 2, ' + "9" * 5000 + "]}}]}",
        '{"class_name": "Sequential", "config": [{"class_name": "Dropout", "config": {}}]}',
    ],
)
def test_config_that_makes_no_sense(small_h5: Path, text: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        file.attrs["model_config"] = text
    with pytest.raises(ModelFormatError, match=r"model\.h5: "):
        keras_file.read(small_h5)


@pytest.mark.parametrize("version", ["three", "2.1.5\n", "9" * 5000, "2." + "x" * 100])
def test_version_that_is_none(small_h5: Path, version: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        file["model_weights"].attrs["keras_version"] = version
    refuse(small_h5, "keras_version: expected one such as 2.3.1")


def test_error_shows_no_control_characters_of_the_file(small_h5: Path) -> None:
    name = "\x1b[2J\n" + "x" * 1000
    change_config(small_h5, lambda model: model["config"][2]["config"].update(name=name, units=7))
    with pytest.raises(ModelFormatError) as caught:
        keras_file.read(small_h5)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


# -- broken files ----------------------------------------------------------------------------------


def test_file_cut_anywhere(small_h5: Path) -> None:
    data = small_h5.read_bytes()
    for size in range(0, len(data) - 1, 997):
        with pytest.raises(ModelFormatError):
            keras_file.read(data[:size])


def test_file_with_any_byte_of_the_superblock_wrong(small_h5: Path) -> None:
    data = bytearray(small_h5.read_bytes())
    for i in range(96):
        data[i] ^= 0xFF
        with contextlib.suppress(ModelFormatError):
            keras_file.read(bytes(data))
        data[i] ^= 0xFF


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.h5")
    with pytest.raises(ModelFormatError, match=r"model\.h5: not a regular file"):
        keras_file.read(tmp_path / "model.h5")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="the system has no /dev/zero")
def test_device_is_not_read() -> None:
    with pytest.raises(ModelFormatError, match="/dev/zero: not a regular file"):
        keras_file.read("/dev/zero")


# -- texts of variable length ----------------------------------------------------------------------


def _with_texts(path: Path, texts: list[str]) -> bytearray:
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array(texts, dtype=object)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("size", [0, 2**64 - 16, 2**64 - 8, 2**40])
def test_text_that_takes_no_room_or_all(small_h5: Path, size: int) -> None:
    data = _with_texts(small_h5, ["lstm_1", "dropout_1", "dense_1"])
    at = data.find(b"GCOL") + 16
    data[at : at + 2] = bytes(2)  # the record is now free, and a free record counts its own header
    data[at + 8 : at + 16] = size.to_bytes(8, "little")
    small_h5.write_bytes(data)
    refuse(small_h5, "damaged HDF5 file: the heap at byte")


@pytest.mark.parametrize("size", [2**33, 2**63, 2**64 - 1])
def test_heap_of_texts_beyond_the_file(small_h5: Path, size: int) -> None:
    data = _with_texts(small_h5, ["lstm_1", "dropout_1", "dense_1"])
    at = data.find(b"GCOL") + 8
    data[at : at + 8] = size.to_bytes(8, "little")
    small_h5.write_bytes(data)
    refuse(small_h5, "damaged HDF5 file: the heap at byte")


def test_many_texts_that_are_the_same_one(small_h5: Path) -> None:
    count, length = 1000, 200_000
    data = _with_texts(small_h5, ["x" * length] + ["b"] * (count - 1))
    size = length.to_bytes(4, "little")
    begin = data.find(size)
    while data[begin + 16 : begin + 20] != bytes([1, 0, 0, 0]):  # an element stores its length and its place
        begin = data.find(size, begin + 1)
    for i in range(1, count):
        data[begin + 16 * i : begin + 16 * i + 16] = data[begin : begin + 16]
    small_h5.write_bytes(data)
    refuse(small_h5, f"attribute layer_names: {count} texts of up to {length} bytes are too long")


# -- configs that ask for more than the file holds -------------------------------------------------


def _layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def test_numbers_that_are_not_in_the_file_are_few(small_h5: Path) -> None:
    def change(model: Any) -> None:
        more = [_layer("RepeatVector", "r1", n=65536), _layer("Flatten", "f1")]
        more += [_layer("RepeatVector", "r2", n=5000), _layer("Flatten", "f2"), _layer("LeakyReLU", "l", alpha=0.3)]
        model["config"][2:] = more

    change_config(small_h5, change)
    refuse(small_h5, "numbers at each of its steps are too many|more numbers than|its steps are too many")


def test_models_called_twice_within_models_called_twice(small_h5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(inner: dict[str, Any], depth: int) -> dict[str, Any]:
        names = {"name": f"m{depth}", "input_layers": [["i", 0, 0]], "output_layers": [["x", 1, 0]]}
        shape = [None, 4, 2]
        layers = [
            {"class_name": "InputLayer", "name": "i", "config": {"name": "i", "batch_input_shape": shape}},
            {**inner, "name": "x", "inbound_nodes": [[["i", 0, 0, {}]], [["x", 0, 0, {}]]]},
        ]
        layers[0]["inbound_nodes"] = []
        return {"class_name": "Model", "name": "x", "config": {**names, "layers": layers}}

    def change(model: Any) -> None:
        inner: dict[str, Any] = _layer("Activation", "x", activation="tanh")
        for depth in range(24):
            inner["config"]["name"] = "x"
            inner = twice(inner, depth)
        model.clear()
        model.update(inner)

    built = 0
    count_build = Assembly.count_build

    def counted(self: Assembly) -> None:
        nonlocal built
        built += 1
        count_build(self)

    monkeypatch.setattr(Assembly, "count_build", counted)
    change_config(small_h5, change)
    with pytest.raises(ModelFormatError, match=r"expected at most .* calls of layers, those within models included"):
        keras_file.read(small_h5)
    assert built == MAX_BUILDS + 1  # a full build would need 2**24


def test_names_of_very_many_layers_take_linear_work() -> None:
    def names(count: int) -> None:
        assembly = Assembly(0, 1)
        for i in range(count):
            assembly._unique("a" if i % 2 else "x" * 39 + chr(97 + i % 26))

    assert calls(lambda: names(4000)) < 15 * calls(lambda: names(400))


@pytest.mark.parametrize(
    "entry",
    [
        _layer("Bidirectional", "b", merge_mode=[1], layer=_layer("LSTM", "l", units=3)),
        _layer("Merge", "m", mode={}),
        _layer("LeakyReLU", "l", alpha={"class_name": "__numpy__", "config": 5}),
        _layer("Activation", "a", activation={"class_name": "LeakyReLU", "config": {"alpha": "x"}}),
        _layer("NotEqual", "n", constants=5),
        _layer("Reshape", "r", target_shape=[10**30]),
    ],
    ids=lambda entry: entry["class_name"],
)
def test_options_of_the_wrong_kind(small_h5: Path, entry: dict[str, Any]) -> None:
    change_config(small_h5, lambda model: model["config"].__setitem__(1, entry))
    refuse(small_h5, "")


def test_heaps_within_heaps(small_h5: Path) -> None:
    data = bytearray(small_h5.read_bytes())
    heap = b"GCOL\x01\0\0\0" + (64 * 4000).to_bytes(8, "little") + bytes(16) + (64).to_bytes(8, "little")
    small_h5.write_bytes(data + b"".join(heap.ljust(64, b"\0") for _ in range(4000)))
    refuse(small_h5, "damaged HDF5 file: the heap at byte")


def test_a_file_that_cannot_be_closed(small_h5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_h5.read_bytes()

    def close(self: Any) -> None:
        raise RuntimeError("Can't decrement id ref count")  # as for a damaged object header

    monkeypatch.setattr(h5py.File, "close", close)
    assert keras_file.read(data, trusted=True).sizes == (2, 3, 2)
    with pytest.raises(ValueError, match="output: expected one of"):
        keras_file.read(data, output="none", trusted=True)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"fletcher32": True}], ids=str)
@pytest.mark.parametrize("maxshape", [None, (None, 12), (None, None)], ids=str)  # each has another index of chunks
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_a_chunk_that_is_missing_is_not_zeros(tmp_path: Path, version: str, maxshape: Any, options: Any) -> None:
    with h5py.File(tmp_path / "w.h5", "w", libver=version) as root:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"kernel"]
        kernel = root["dense"].create_dataset("kernel", (8, 12), "f4", chunks=(2, 12), maxshape=maxshape, **options)
        kernel[:4], kernel[6:] = 1, 1
    config = "Dense(12, use_bias=False, input_shape=[None, 8])"
    with pytest.raises(ModelFormatError, match=r"kernel: (declared|the file holds no numbers for the chunk at)"):
        keras_file.read(tmp_path / "w.h5", config=config, trusted=True)
    with h5py.File(tmp_path / "w.h5", "r+") as root:
        root["dense/kernel"][4:6] = 1
    (layer,) = keras_file.read(tmp_path / "w.h5", config=config, trusted=True).layers
    assert (layer.arrays["kernel"] == 1).all()


# -- weights of two kinds --------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["layers", "_layer_checkpoint_dependencies", "layers\\dense"])
def test_a_file_with_a_tree_beside_lists(small_h5: Path, prefix: str) -> None:
    with h5py.File(small_h5, "r+") as file:
        file[f"{prefix}/dense/vars/0"] = np.ones((3, 2), np.float32)
    refuse(small_h5, "model_config and layers in one file, of which Keras may read either")


def test_a_file_with_two_lists(small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        file.attrs["layer_names"] = [b"dense"]
    refuse(small_h5, "model_config and layer_names in one file")


def test_a_layer_of_a_list_may_be_called_layers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as root:
        root.attrs["layer_names"] = [b"layers"]
        root.create_group("layers").attrs["weight_names"] = [b"kernel"]
        root["layers/kernel"] = np.ones((2, 3), "f4")
    config = "Dense(3, use_bias=False, input_shape=[None, 2])"
    assert keras_file.read(tmp_path / "w.h5", config=config).outputs == 3
    with h5py.File(tmp_path / "w.h5", "r+") as root:
        root["_layer_checkpoint_dependencies/dense/vars/0"] = np.ones((2, 3), "f4")
    with pytest.raises(ModelFormatError, match="layer_names and layers in one file"):
        keras_file.read(tmp_path / "w.h5", config=config)


# -- weights without an architecture ---------------------------------------------------------------

SIZE = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12])
SHAPE = st.lists(SIZE, max_size=3).map(tuple)


@st.composite
def arrays(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Return shapes that some layer could have, of which any may be another one."""
    size, units, gates = draw(st.integers(0, 4)), draw(st.integers(0, 4)), draw(st.sampled_from([1, 3, 4]))
    columns = gates * units
    bias = draw(st.sampled_from([(columns,), (2, columns), (2 * columns,)]))
    layers: list[list[tuple[int, ...]]] = [
        [(size, columns), (units, columns), bias],
        [(size, columns), (units, columns)] * 2,
        [(size, units), (units, units), (units,)] * gates,
        [(size, units), (units,)],
        [(units,)] * 4,
    ]
    found = draw(st.sampled_from(layers))
    if draw(st.booleans()):
        found[draw(st.integers(0, len(found) - 1))] = draw(SHAPE)
    return found


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from(["lstm", "gru_1", "bidirectional", "dense", "embedding"]), arrays(), min_size=1),
    st.sampled_from(["1.2.2", "2.2.4", "tree"]),
)
@example({"lstm": [(4, 0), (0, 0), (0,)]}, "tree")  # 0 units, which no number can be divided by
@example({"lstm": [(3, 0), (0, 0)]}, "2.2.4")
@example({"lstm": [(4,), (4, 4), (4, 4)]}, "2.2.4")  # two matrices, but not the first two
@example({"lstm": [(4, 4), (4,), (4, 4)]}, "tree")
@example({"gru_1": [(3,)] * 9}, "1.2.2")
@example({"gru_1": [()] * 12}, "1.2.2")
def test_weights_of_any_shapes(layers: dict[str, list[tuple[int, ...]]], kind: str) -> None:
    """What no architecture describes is inferred, or refused in words."""
    stored = io.BytesIO()
    with h5py.File(stored, "w") as root:
        if kind != "tree":
            root.attrs["layer_names"] = [name.encode() for name in layers]
            root.attrs["keras_version"] = kind
        for name, shapes in layers.items():
            group = root.create_group(f"layers/{name}/cell/vars" if kind == "tree" else name)
            if kind != "tree":
                group.attrs["weight_names"] = [str(i).encode() for i in range(len(shapes))]
            for i, shape in enumerate(shapes):
                group[str(i)] = np.zeros(shape, np.float32)
    with contextlib.suppress(ModelFormatError):
        reader.read(stored.getvalue())
