"""Published flaws of other readers, each tried on this one.

The flaws of readers of GGUF are in test_hostile_container.py.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import ModelFormatError, keras_file
from lstmgen.keras_file import hdf5
from support.slow import slow_but

DENSE: dict[str, Any] = {"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3, 2]}}
CODE = "__import__('pathlib').Path('owned').touch()"


def weights(root: Any, **options: Any) -> None:
    root.attrs["layer_names"] = [b"d"]
    root.create_group("d").attrs["weight_names"] = [b"kernel", b"bias"]
    root["d"].create_dataset("kernel", data=np.eye(2, dtype="f4"), **options)
    root["d/bias"] = np.zeros(2, "f4")


def h5(*layers: dict[str, Any], **extra: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": [DENSE, *layers]}, **extra}
        root.attrs["model_config"] = json.dumps(config)
        weights(root.create_group("model_weights"))
    return file.getvalue()


def archive(config: object, data: bytes | None = None) -> bytes:
    """A .keras with this config."""
    stored = io.BytesIO()
    with h5py.File(stored, "w") as root:
        variables = root.create_group("layers/dense/vars")
        variables["0"], variables["1"] = np.eye(2, dtype="f4"), np.zeros(2, "f4")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("config.json", json.dumps(config))
        members.writestr("metadata.json", json.dumps({"keras_version": "3.9.0"}))
        members.writestr("model.weights.h5", data or stored.getvalue())
    return file.getvalue()


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    given = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 3, 2], "name": "i"}}
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [given, *layers]}}


@pytest.fixture(autouse=True)
def nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("owned").exists()


def refused(data: bytes, match: str) -> None:
    for trusted in (True, False):
        with pytest.raises(ModelFormatError, match=match):
            keras_file.read(data, trusted=trusted)


LAMBDA = {
    "class_name": "Lambda",
    "config": {"name": "l", "function": ["4wEAAAA=", None, None], "function_type": "lambda"},
}


def test_cve_2024_3660_a_lambda_layer_is_refused() -> None:
    refused(h5(LAMBDA), "Lambda")
    refused(archive(sequential(LAMBDA)), "Lambda")


def test_cve_2025_9905_so_it_is_in_an_h5_where_safe_mode_has_no_effect() -> None:
    refused(h5(LAMBDA, safe_mode=True), "Lambda")


def test_cve_2025_1550_modules_and_functions_of_a_config_are_not_imported() -> None:
    function = {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}
    called = {"module": "os", "class_name": "system", "config": {"name": "x", "command": "touch owned"}, "args": [CODE]}
    refused(archive(sequential(function)), "layer 1: config: expected an object, found 'exec'")
    refused(archive(sequential(called)), "expected a class that Keras defines, found 'os'")
    activation = {**DENSE, "config": {**DENSE["config"], "activation": function}}
    refused(archive(sequential(activation)), "activation")


def test_cve_2025_8747_functions_of_keras_itself_are_not_called() -> None:
    fetch = {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "file:///etc/passwd"}}
    refused(archive(sequential(fetch)), "get_file")


def test_cve_2025_9906_a_config_cannot_switch_a_check_off() -> None:
    unsafe = {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}}
    refused(archive(sequential(unsafe, LAMBDA)), "enable_unsafe_deserialization|Lambda")


@pytest.mark.parametrize("name", ["StringLookup", "TextVectorization", "IntegerLookup"])
def test_cve_2025_12058_a_vocabulary_is_not_read_from_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret\nwords\n")
    for path in (str(tmp_path / "secret.txt"), "secret.txt", "https://example.org/vocabulary.txt"):
        config = {"name": "v", "vocabulary": path, "invert": True, "max_tokens": 4, "num_oov_indices": 0}
        data = archive(sequential({"module": "keras.layers", "class_name": name, "config": config}))
        try:
            network = keras_file.read(data)
        except ModelFormatError as error:
            assert "secret\n" not in str(error)
        else:
            assert "secret" not in network.elements.get("vocab", ())


def test_cve_2026_0897_a_shape_without_numbers_takes_no_memory() -> None:
    stored = io.BytesIO()
    with h5py.File(stored, "w") as root:
        variables = root.create_group("layers/dense/vars")
        variables.create_dataset("0", (2**31, 2**31), "f4", chunks=(1, 1))
        variables["1"] = np.zeros(2, "f4")
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2}}
    refused(archive(sequential(layer), stored.getvalue()), "expected")


def test_cve_2025_44905_the_scale_offset_filter_is_refused() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [b"d"]
        root.create_group("d").attrs["weight_names"] = [b"kernel", b"bias"]
        root["d"].create_dataset("kernel", data=np.eye(2, dtype="f4"), chunks=(2, 2), scaleoffset=3)
        root["d/bias"] = np.zeros(2, "f4")
    for trusted in (True, False):
        with pytest.raises(ModelFormatError, match="found filter 6"):
            keras_file.read(file.getvalue(), config="Dense(2, input_shape=[None, 2])", trusted=trusted)


FREE_SPACE: dict[str, Any] = {"libver": "latest", "fs_strategy": "fsm", "fs_persist": True, "fs_threshold": 1}
WRITERS: dict[str, dict[str, Any]] = {
    "CVE-2025-2915: H5F__accum_free": {"libver": "latest"},
    "CVE-2025-6750: H5O__mtime_new_encode": {"libver": "earliest"},
    "CVE-2025-6816: H5O__fsinfo_encode": FREE_SPACE,
    "CVE-2025-7067: H5FS__sinfo_serialize_node_cb": FREE_SPACE,
    "CVE-2025-7069: H5FS__sect_link_size": FREE_SPACE,
}


# One for each way to write a file: those of the free space are read alike.
FIRST_OF_A_WAY = {str(settings): flaw for flaw, settings in reversed(WRITERS.items())}.values()


@pytest.mark.parametrize("flaw", slow_but(FIRST_OF_A_WAY, WRITERS, "reads the same damaged files as another flaw"))
def test_functions_of_libhdf5_that_write_metadata_are_not_reached(flaw: str) -> None:
    """The reports name functions that write or free metadata, and a file is opened to be read only.

    A file with such messages, of which a few bytes are changed, is an error or a sound network.
    """
    file = io.BytesIO()
    with h5py.File(file, "w", **WRITERS[flaw]) as root:
        weights(root, track_times=True)
        del root["d/bias"]  # leaves free space
        root["d/bias"] = np.zeros(2, "f4")
    data = file.getvalue()
    with hdf5.opened(io.BytesIO(data)) as root, pytest.raises((KeyError, OSError), match=r"intent|read-only"):
        root.attrs["x"] = 1
    config = "Dense(2, input_shape=[None, 2])"
    assert keras_file.read(data, config=config).layers[0].arrays["kernel"].tolist() == np.eye(2).tolist()
    rng = np.random.default_rng(len(flaw))
    for at in rng.choice(len(data), 6, replace=False):
        damaged = data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :]
        try:
            network = keras_file.read(damaged, config=config, trusted=False)
        except ModelFormatError:
            continue
        for array in network.layers[0].arrays.values():
            assert np.isfinite(array).all()


def test_a_file_of_two_kinds_is_refused(keras: Any, tmp_path: Path) -> None:
    zipped = archive(sequential({"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2}}))
    assert keras_file.read(zipped).outputs == 2
    whole = h5()
    assert keras_file.read(whole).outputs == 2
    refused(whole + zipped, "a zip .* and an HDF5 file at once")
    assert zipfile.is_zipfile(io.BytesIO(whole + zipped))
    # An HDF5 file behind a block of its user's, which is the beginning of a zip.
    file = tmp_path / "block.h5"
    for block in (512, 4096):
        with h5py.File(file, "w", userblock_size=block) as root:
            root.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [DENSE]}})
            weights(root.create_group("model_weights"))
        data = b"PK\3\4" + file.read_bytes()[4:]
        assert h5py.is_hdf5(file)
        refused(data, "a zip .* and an HDF5 file at once")
    # The weights in a sound .keras may lie there by chance.
    for size in range(0, 600, 64):
        given = sequential({"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2}})
        assert keras_file.read(archive({**given, "note": "x" * size})).outputs == 2


def test_what_lstmgen_exports_of_a_refused_file_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(h5(LAMBDA))
    with pytest.raises(ModelFormatError):
        lstmgen.export(tmp_path / "m.h5", tmp_path / "m.bin")
    assert not (tmp_path / "m.bin").exists()
