"""Files made to harm: each is refused by name, before anything outside it is touched."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lstmgen import keras_file
from lstmgen.errors import ModelFormatError

Write = Callable[..., str]

KERNEL = "model_weights/lstm_1/lstm_1/kernel:0"


def _refused(source: Any, *words: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        keras_file.read(source)
    for word in words:
        assert word in str(caught.value)


@contextmanager
def _little_memory(limit: int = 2**21) -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit


def _replace(path: str, name: str, put: Callable[[h5py.Group, str], Any]) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        group, _, last = name.rpartition("/")
        put(file.require_group(group), last)


def _set_config(path: str, change: Callable[[Any], Any]) -> None:
    with h5py.File(path, "a") as file:
        model = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(model) or model)


# -- links and numbers that lead out of the file ---------------------------------------------------


@pytest.fixture
def other_file(tmp_path: Path) -> str:
    """A file with an array that fits, which must never be read."""
    path = str(tmp_path / "secret.h5")
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros((3, 16), np.float32)
        file["group/kernel:0"] = np.zeros((3, 16), np.float32)
        file["whole/lstm_1/kernel:0"] = np.zeros((3, 16), np.float32)
    return path


def test_external_link_to_an_array(old_file: str, other_file: str) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.__setitem__(n, h5py.ExternalLink(other_file, "x")))
    _refused(old_file, "layer lstm_1: kernel", "an external link")


@pytest.mark.parametrize(
    "group", ["model_weights", "model_weights/lstm_1", "model_weights/lstm_1/lstm_1"]
)
def test_external_link_to_a_group(old_file: str, other_file: str, group: str) -> None:
    _replace(old_file, group, lambda g, n: g.__setitem__(n, h5py.ExternalLink(other_file, "whole")))
    _refused(old_file, "an external link")


def test_external_link_to_a_named_pipe_is_not_opened(old_file: str, tmp_path: Path) -> None:
    os = pytest.importorskip("os")
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    link = h5py.ExternalLink(str(tmp_path / "pipe"), "x")
    _replace(old_file, KERNEL, lambda g, n: g.__setitem__(n, link))
    _refused(old_file, "an external link")


def test_soft_link(old_file: str) -> None:
    target = "/model_weights/lstm_1/lstm_1/recurrent_kernel:0"
    _replace(old_file, KERNEL, lambda g, n: g.__setitem__(n, h5py.SoftLink(target)))
    _refused(old_file, "layer lstm_1: kernel", "a soft link")


def test_soft_link_loop(old_file: str) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.__setitem__(n, h5py.SoftLink("/" + KERNEL)))
    _refused(old_file, "a soft link")


def test_external_storage(old_file: str, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.raw"
    numbers.write_bytes(bytes(3 * 16 * 4))
    place = [(str(numbers), 0, h5py.h5f.UNLIMITED)]
    _replace(old_file, KERNEL, lambda g, n: g.create_dataset(n, (3, 16), "<f4", external=place))
    _refused(old_file, "layer lstm_1: kernel", "external storage")


def test_virtual_dataset(old_file: str, other_file: str) -> None:
    layout = h5py.VirtualLayout((3, 16), "<f4")
    layout[:] = h5py.VirtualSource(other_file, "x", (3, 16))
    _replace(old_file, KERNEL, lambda g, n: g.create_virtual_dataset(n, layout))
    _refused(old_file, "layer lstm_1: kernel", "virtual dataset")


def test_hard_link_cycle(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        group = file["model_weights/lstm_1"]
        group["again"] = group
        names = group.attrs["weight_names"]
        long = b"again/" * 100_000 + names[0]
        group.attrs["weight_names"] = np.array([long, *names[1:]], dtype=object)
    start = time.monotonic()
    _refused(old_file, "layer lstm_1: kernel")
    assert time.monotonic() - start < 1


def test_short_hard_link_cycle_is_only_another_name(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        group = file["model_weights/lstm_1"]
        group["again"] = group
        names = group.attrs["weight_names"]
        group.attrs["weight_names"] = [b"again/again/" + names[0], *names[1:]]
    assert keras_file.read(old_file).outputs == 3


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../dense_1/kernel:0", "/model_weights/x", "lstm_1/./kernel:0", "lstm_1//x", ""]
)
def test_weight_name_that_leads_out_of_the_layer(
    write_old: Write, old_layers: Any, name: str
) -> None:
    path = write_old(old_layers)
    with h5py.File(path, "a") as file:
        attributes = file["model_weights/lstm_1"].attrs
        names = list(attributes["weight_names"])
        attributes["weight_names"] = [name.encode(), *names[1:]]
    _refused(path, "layer lstm_1: kernel", "is not a name inside")


def test_layer_name_that_leads_out_of_the_group(old_file: str) -> None:
    def rename(model: Any) -> None:
        model["config"][0]["config"]["name"] = "../optimizer_weights"

    _set_config(old_file, rename)
    _refused(old_file, "is not a name inside")


def test_weight_name_given_twice(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        attributes = file["model_weights/lstm_1"].attrs
        names = attributes["weight_names"]
        attributes["weight_names"] = [names[1], names[1], names[2]]
    _refused(old_file, "layer lstm_1: the same array stands twice")


def test_layer_name_given_twice(write_old: Write, old_layers: Any) -> None:
    path = write_old(old_layers)

    def repeat(model: Any) -> None:
        model["config"].append(model["config"][-1])

    _set_config(path, repeat)
    _refused(path, "layer dense_1: two layers have this name")


def test_control_characters_of_a_name_do_not_reach_the_terminal(old_file: str) -> None:
    def rename(model: Any) -> None:
        model["config"][0]["config"]["name"] = "\x1b[2J\nlstmgen: all is well\u202e"

    _set_config(old_file, rename)
    with pytest.raises(ModelFormatError) as caught:
        keras_file.read(old_file)
    assert str(caught.value).isprintable()


def test_weight_name_that_is_a_group(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        attributes = file["model_weights/lstm_1"].attrs
        attributes["weight_names"] = [b"lstm_1", *attributes["weight_names"][1:]]
    _refused(old_file, "layer lstm_1: kernel", "a group, not an array")


# -- classes ---------------------------------------------------------------------------------------


def test_lambda_is_refused_by_name(write_old: Write, old_layers: Any) -> None:
    payload = ["4wAAAABtYXJzaGFs", None, None]  # what Keras 2 stores of a lambda: marshalled code
    config = {"name": "magic", "function": payload, "function_type": "lambda"}
    _refused(
        write_old([*old_layers, ("Lambda", config, {})]), "layer magic: a Lambda layer", "never run"
    )


@pytest.mark.parametrize("kind", ["system", "StringLookup", "TFOpLambda", "__import__"])
def test_unknown_class_is_refused_by_name(write_old: Write, old_layers: Any, kind: str) -> None:
    config = {"name": "odd", "vocabulary": "https://example.invalid/words.txt"}
    path = write_old([*old_layers, (kind, config, {})])
    _refused(path, f"layer odd: {kind} is not supported")


@pytest.mark.parametrize(
    "origin",
    [
        {"module": "os", "registered_name": None},
        {"module": "keras_evil.layers", "registered_name": None},
        {"module": "keras.layers", "registered_name": "evil>LSTM"},
    ],
)
def test_class_of_another_module_is_refused(old_file: str, origin: dict[str, Any]) -> None:
    _set_config(old_file, lambda model: model["config"][0].update(origin))
    _refused(old_file, "layer lstm_1: LSTM of ", "is not Keras's own layer")


def test_activation_that_is_an_object_is_refused(old_file: str) -> None:
    evil = {"module": "os", "class_name": "system", "config": "id", "registered_name": "system"}
    _set_config(old_file, lambda m: m["config"][0]["config"].update(activation=evil))
    _refused(old_file, "layer lstm_1: activation")


# -- config ----------------------------------------------------------------------------------------


def test_huge_config(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        file.attrs["model_config"] = file.attrs["model_config"] + " " * 2**24
    _refused(old_file, "model_config: over 16777216 characters")


def test_deeply_nested_config(old_file: str) -> None:
    with h5py.File(old_file, "a") as file:
        file.attrs["model_config"] = "[" * 200_000 + "]" * 200_000
    _refused(old_file, "model_config: nested too deeply")


def test_deeply_nested_graph(old_file: str) -> None:
    nodes: Any = "lstm_1"
    for _ in range(400):
        nodes = [nodes, nodes] if False else [nodes]
    layers = [{"name": "lstm_1", "class_name": "LSTM", "config": {}, "inbound_nodes": nodes}]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["lstm_1", 0, 0]]}
    model = {"class_name": "Functional", "config": {"layers": layers, **ends}}
    _set_config(old_file, lambda _: model)
    _refused(old_file)


def test_circular_graph(old_file: str) -> None:
    layers = [
        {"name": a, "class_name": "LSTM", "config": {}, "inbound_nodes": [[[b, 0, 0, {}]]]}
        for a, b in (("a", "b"), ("b", "a"), ("x", "a"))
    ]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]]}
    _set_config(old_file, lambda _: {"class_name": "Model", "config": {"layers": layers, **ends}})
    _refused(old_file, "not a plain chain")


@pytest.mark.parametrize("config", ["null", "[]", "{}", '"x"', "{", '{"config": 1}', "NaN", "\0"])
def test_config_that_is_no_model(old_file: str, config: str) -> None:
    with h5py.File(old_file, "a") as file:
        file.attrs["model_config"] = np.bytes_(config)
    _refused(old_file, "model_config")


@pytest.mark.parametrize("layers", [[], [1], [None], [{}], [{"class_name": "LSTM", "config": 1}]])
def test_config_whose_layers_are_not_layers(old_file: str, layers: Any) -> None:
    _set_config(old_file, lambda _: {"class_name": "Sequential", "config": layers})
    _refused(old_file)


@pytest.mark.parametrize("units", [0, -1, 2**63, 1e9, True, None, "4", [4], 1_048_577])
def test_units_out_of_range(old_file: str, units: Any) -> None:
    _set_config(old_file, lambda m: m["config"][0]["config"].update(units=units))
    _refused(old_file, "layer lstm_1: units: expected 1 to 1048576")


@pytest.mark.parametrize("shape", [5, [], [None], [None, 5, 0], [None, "5", 3], {}, [None, 5, 1e9]])
def test_input_shape_that_makes_no_sense(old_file: str, shape: Any) -> None:
    _set_config(old_file, lambda m: m["config"][0]["config"].update(batch_input_shape=shape))
    _refused(old_file, "expected input")


def test_million_layers(old_file: str) -> None:
    many = [{"class_name": "Dropout", "config": {"name": "d"}}] * 100_000
    _set_config(old_file, lambda m: m["config"].extend(many))
    _refused(old_file, "layers")


# -- arrays ----------------------------------------------------------------------------------------


def test_shape_bomb_is_refused_before_it_is_read(old_file: str) -> None:
    _replace(
        old_file,
        KERNEL,
        lambda g, n: g.create_dataset(n, (2**20, 2**20), "<f4", chunks=(1024, 1024)),
    )
    with _little_memory():
        _refused(old_file, "kernel: expected (3, 16), found (1048576, 1048576)")


def test_shape_bomb_that_agrees_with_the_config(old_file: str) -> None:
    _set_config(old_file, lambda m: m["config"][0]["config"].update(units=2**18))
    _replace(
        old_file,
        KERNEL,
        lambda g, n: g.create_dataset(n, (3, 2**20), "<f4", chunks=(3, 1024)),
    )
    with _little_memory():
        _refused(old_file, "kernel: declares 12582912 bytes, but the file stores 0")


def test_compression_bomb(old_file: str) -> None:
    _set_config(old_file, lambda m: m["config"][0]["config"].update(units=2**18))
    _replace(
        old_file,
        KERNEL,
        lambda g, n: g.create_dataset(
            n, data=np.zeros((3, 2**20), "<f4"), compression="gzip", compression_opts=9
        ),
    )
    with _little_memory():
        _refused(old_file, "kernel: declares 12582912 bytes")


@pytest.mark.parametrize(
    "data",
    [
        np.ones((3, 16), np.int32),
        np.ones((3, 16), np.bool_),
        np.ones((3, 16), np.complex64),
        np.ones((3, 16), [("a", "<f4"), ("b", "<f4")]),
        np.full((3, 16), b"x"),
        np.full((3, 16), np.void(b"ab")),
    ],
    ids=["integer", "bool", "complex", "compound", "string", "opaque"],
)
def test_array_of_another_type(old_file: str, data: Any) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.create_dataset(n, data=data))
    _refused(old_file, "layer lstm_1: kernel: expected float16, float32 or float64")


@pytest.mark.parametrize(
    "dtype", [h5py.string_dtype(), h5py.ref_dtype, h5py.vlen_dtype(np.float32)]
)
def test_array_of_objects(old_file: str, dtype: Any) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.create_dataset(n, (3, 16), dtype))
    _refused(old_file, "layer lstm_1: kernel: expected float16, float32 or float64, found object")


def test_empty_array(old_file: str) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.create_dataset(n, data=h5py.Empty("f")))
    _refused(old_file, "layer lstm_1: kernel: expected (3, 16), found None")


def test_unknown_filter(old_file: str) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.create_dataset(n, (3, 16), "<f4", scaleoffset=2))
    _refused(old_file, "layer lstm_1: kernel: compressed with HDF5 filter 6")


def test_named_type_instead_of_an_array(old_file: str) -> None:
    _replace(old_file, KERNEL, lambda g, n: g.__setitem__(n, np.dtype("f4")))
    _refused(old_file, "neither a group nor an array")


@pytest.mark.parametrize("names", [[1, 2, 3], 1.5, np.zeros(5000, "S4"), h5py.Empty("S4")])
def test_weight_names_that_are_not_names(old_file: str, names: Any) -> None:
    with h5py.File(old_file, "a") as file:
        file["model_weights/lstm_1"].attrs["weight_names"] = names
    _refused(old_file, "attribute weight_names")


# -- damage ----------------------------------------------------------------------------------------


def test_corrupt_superblock(old_file: str) -> None:
    content = bytearray(Path(old_file).read_bytes())
    content[8:48] = b"\xff" * 40
    _refused(bytes(content), "damaged")


def test_file_cut_anywhere(old_file: str) -> None:
    content = Path(old_file).read_bytes()
    for size in range(0, len(content), 997):
        with pytest.raises(ModelFormatError):
            keras_file.read(content[:size])


def test_damage_anywhere_is_an_error_or_harmless(old_file: str) -> None:
    content = Path(old_file).read_bytes()
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            keras_file.read(bytes(damaged))
        except ModelFormatError as error:
            assert str(error).isprintable()
