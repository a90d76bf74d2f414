"""A separate process reads files of Keras, within limits."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import keras_file, limits
from lstmgen.keras_file import hdf5, isolation, reader, transfer

DENSE = "Dense(12, use_bias=False, input_shape=[None, 2])"
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no limits on the memory of a process")


@pytest.fixture(autouse=True)
def untrusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTMGEN_TRUST", raising=False)


def weights(**options: Any) -> bytes:
    """A file of weights as Keras 2 writes it. Its one matrix is (2, 12)."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"kernel"]
        root["dense"].create_dataset("kernel", data=np.arange(24.0, dtype="f4").reshape(2, 12), **options)
    return file.getvalue()


def crashing() -> bytes:
    """A file that crashes the Fletcher32 filter of libhdf5 1.14 in the reading process."""
    data = bytearray(weights(chunks=(2, 12), compression="gzip", fletcher32=True))
    at = data.find(b"TREE\1")
    data[at + 24 : at + 28] = b"\1\0\0\0"
    return bytes(data)


def test_a_file_that_crashes_libhdf5_is_an_error_by_name(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(crashing())
    for source in (path, crashing()):
        with pytest.raises(lstmgen.ModelFormatError) as caught:
            keras_file.read(source, config=DENSE)
        assert str(caught.value).startswith(str(path) if source is path else "<bytes>")
    for entrance in (lstmgen.Model, lstmgen.Generator, lambda p, **o: lstmgen.export(p, tmp_path / "m.bin", **o)):
        with pytest.raises(lstmgen.ModelFormatError):
            entrance(path, config=DENSE)
    assert not (tmp_path / "m.bin").exists()


def test_a_reader_that_dies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(code: str) -> None:
        monkeypatch.setattr(isolation, "_START", code)

    died: list[tuple[str, str]] = [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died of SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "processor time"),
        ("import os; os._exit(3)", "takes more memory than 16 MiB"),
        ("import os; os._exit(7)", "it ended with the status 7"),
        ("raise SystemExit('no numpy here')", "no numpy here"),
        ("", "it ended with the status 0"),
    ]
    for code, said in died if os.name == "posix" else died[2:]:
        started(code)
        with pytest.raises(lstmgen.ReaderDied, match=said) as caught:
            keras_file.read(weights(), config=DENSE)
        assert "trusted=True" in str(caught.value)
    monkeypatch.setattr(limits, "PATIENCE", -3.5)
    started("import time; time.sleep(60)")
    with pytest.raises(lstmgen.ReaderDied, match="longer than"):
        keras_file.read(weights(), config=DENSE)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(lstmgen.ReaderDied, match="no Python to start"):
        keras_file.read(weights(), config=DENSE)
    assert keras_file.read(weights(), config=DENSE, trusted=True).outputs == 12
    monkeypatch.setenv("LSTMGEN_TRUST", "1")
    assert keras_file.read(weights(), config=DENSE).outputs == 12


def bomb_of_text() -> bytes:
    """14 kB with a text of variable length that says it has 4 GB."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs.create("layer_names", ["dense"], dtype=h5py.string_dtype())
        root.create_group("dense").attrs["weight_names"] = [b"kernel"]
        root["dense/kernel"] = np.zeros((2, 12), "f4")
    data = bytearray(file.getvalue())
    at = data.find(struct.pack("<IQ", 5, data.find(b"GCOL")))  # its length, and the heap with the text
    assert at > 0
    data[at : at + 4] = struct.pack("<I", 0xF0000000)
    return bytes(data)


def bomb_of_objects() -> bytes:
    """A .keras with a config of millions of objects, deflated to a fiftieth."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        objects = ",".join("{}," * 100 + str(i * 7919 % 1_000_003) for i in range(33_000))
        archive.writestr("config.json", f'{{"class_name": "Sequential", "config": [{objects}]}}')
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("model.weights.h5", weights())
    return file.getvalue()


@POSIX
@pytest.mark.parametrize("make", [bomb_of_text, bomb_of_objects])
def test_memory_is_bounded(make: Callable[[], bytes]) -> None:
    data = make()
    # The children of this process so far took less than the bound, but for a child of another test.
    code = """
import resource, sys
from lstmgen import keras_file
try:
    keras_file.read(sys.stdin.buffer.read())
except ValueError as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    kind, most = done.stdout.split()
    assert kind in (b"ModelFormatError", b"ReaderDied")
    kib = 1024 if sys.platform != "darwin" else 1
    assert int(most) * kib < 2**27 + 64 * len(data) + 2**24  # the interpreter with numpy and h5py is under 128 MiB


def test_memory_that_is_short_is_no_damage() -> None:
    with pytest.raises(MemoryError), hdf5.damage():
        np.zeros(2**48, "f4")


@pytest.mark.parametrize("value", ["{},", "[],", "1.5,", '"ab",', '{"a":[]},'])
def test_a_config_of_many_values_is_refused_in_this_process_too(value: str) -> None:
    noise = "".join(random.Random(1).choices("abcdefghij", k=200_000))  # less than 100 times smaller, deflated
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", f'{{"x": "{noise}", "config": [{value * (7_000_000 // len(value))}1]}}')
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("model.weights.h5", weights())
    tracemalloc.start()
    try:
        with pytest.raises(lstmgen.ModelFormatError, match=r"config\.json: expected values that take at most"):
            keras_file.read(file.getvalue(), trusted=True)
        assert tracemalloc.get_traced_memory()[1] < 64 * file.tell() + 2**24
    finally:
        tracemalloc.stop()


def whole(value: object) -> bytes:
    """All that is in a network or in a description."""
    file = io.BytesIO()
    transfer.write(file, value)
    return file.getvalue()


def test_both_ways_give_the_same(small_files: dict[str, tuple[Any, dict[str, Any]]]) -> None:
    for name, (source, options) in small_files.items():
        assert whole(keras_file.read(source, **options)) == whole(reader.read(source, **options)), name
        assert whole(keras_file.describe(source, **options)) == whole(reader.describe(source, **options)), name


@pytest.fixture
def small_files(keras: Any, tmp_path: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    layers = keras.layers
    model = keras.Sequential([keras.Input((3, 2)), layers.LSTM(3), layers.Dense(4, activation="softmax")])
    two = keras.Input((3, 2))
    pitch, step, duration = (
        layers.Dense(n, name=name)(two) for name, n in (("pitch", 8), ("step", 1), ("duration", 1))
    )
    notes = keras.Model(two, {"pitch": pitch, "step": step, "duration": duration})
    for suffix in ("h5", "keras", "weights.h5"):
        save = model.save_weights if suffix.startswith("weights") else model.save
        save(tmp_path / f"m.{suffix}")
    notes.save(tmp_path / "notes.keras")
    config = tmp_path / "m.json"
    config.write_text(model.to_json())
    return {
        "h5": (tmp_path / "m.h5", {}),
        "keras": (tmp_path / "m.keras", {}),
        "bytes": ((tmp_path / "m.keras").read_bytes(), {}),
        "path": (str(tmp_path / "m.weights.h5"), {"config": config}),
        "mapping": (tmp_path / "m.weights.h5", {"config": json.loads(model.to_json())}),
        "code": (tmp_path / "m.weights.h5", {"config": "LSTM(3, input_shape=[3, 2]), Dense(4, softmax)"}),
        "heads": (tmp_path / "notes.keras", {}),
    }


def test_errors_are_the_same_in_both_ways(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not a model")
    cases: list[tuple[Any, dict[str, Any]]] = [
        (tmp_path / "absent.h5", {}),
        (tmp_path / "text.h5", {}),
        (tmp_path, {}),
        (b"", {}),
        (b"PK\3\4", {}),
        (weights(), {"config": "Dense(13, use_bias=False, input_shape=[None, 2])"}),
        (weights(), {"config": "Dense(12"}),
        (weights(), {"config": DENSE, "window": 0}),
        (weights(), {"config": DENSE, "output": "none"}),
        (weights(), {"config": DENSE, "heads": "pitch"}),
        (weights()[:1000], {}),
    ]
    for source, options in cases:
        told = []
        for read in (reader.read, keras_file.read):
            with pytest.raises((ValueError, OSError)) as caught:
                read(source, **options)
            told.append((type(caught.value), str(caught.value)))
        assert told[0] == told[1]


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="the system has no such paths")
def test_a_path_that_is_an_open_file_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(weights())
    with open(tmp_path / "m.h5", "rb") as file:
        assert keras_file.read(f"/dev/fd/{file.fileno()}", config=DENSE).outputs == 12


def test_messages_are_in_the_words_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(weights())
    command = [sys.executable, "-m", "lstmgen", "export", "m.h5", "m.bin", "--config", DENSE, "--window", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--window" in done.stderr
    (tmp_path / "m.h5").write_bytes(crashing())
    done = subprocess.run([*command[:-1], "3"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1  # one line, and no traceback


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes there are")
def test_ctrl_c_ends_the_process_that_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(weights())
    code = f"""
import signal
from lstmgen import limits
from lstmgen.keras_file import isolation
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
isolation._START = "import os, time; print(os.getpid(), file=open({str(tmp_path / "pid")!r}, 'w')); time.sleep(600)"
isolation.read({str(tmp_path / "m.h5")!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert said.strip().endswith("KeyboardInterrupt")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, float("inf"), "é\n", True, ()],
        {"a": ({1: [2]},), 3: None},
        np.arange(6, dtype="f4").reshape(2, 3),
        [np.zeros((0, 3), "f4"), np.float64(2.5)],
    ],
)
def test_transfer_gives_back_what_it_was_given(value: Any) -> None:
    file = io.BytesIO()
    transfer.write(file, value)
    file.seek(0)
    found = transfer.read(file)
    assert repr(found) == repr(value) if not isinstance(value, list) or len(value) != 2 else found[1] == 2.5


def test_transfer_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match="object"):
        transfer.write(io.BytesIO(), object())
    for head in (b'{"class": "Popen", "values": []}', b'{"class": "Network", "values": [["args", 1]]}', b"{}"):
        with pytest.raises((KeyError, TypeError)):
            transfer.read(io.BytesIO(len(head).to_bytes(8, "little") + head))
    file = io.BytesIO()
    transfer.write(file, np.ones(100, "f4"))
    for size in range(0, 400, 37):
        with pytest.raises((EOFError, ValueError)):
            transfer.read(io.BytesIO(file.getvalue()[:size]))


@pytest.mark.skipif(not os.environ.get("LSTMGEN_ZOO"), reason="LSTMGEN_ZOO does not name a folder of real saved models")
def test_the_networks_of_real_files_are_the_same() -> None:
    folder = Path(os.environ["LSTMGEN_ZOO"])
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".h5", ".hdf5", ".keras")]
    assert paths
    for path in paths:
        assert whole(keras_file.read(path)) == whole(reader.read(path)), path
