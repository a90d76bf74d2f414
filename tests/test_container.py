"""The file that is written is the one that docs/format.md describes."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmgen import files
from lstmgen.binfile import rounding, writer
from lstmgen.errors import ModelFormatError
from lstmgen.network import Layer, Network, reference

VOCABULARY = ["a", "ß", "語", "\n", " "]


@pytest.fixture
def network(rng: np.random.Generator) -> Network:
    """LSTM 3 > affine > Dense 5 on 5 numbers."""

    def draw(*shape: int) -> Any:
        return rng.uniform(-1, 1, shape).astype(np.float32)

    lstm = {"kernel": draw(5, 12), "recurrent_kernel": draw(3, 12), "bias": draw(12)}
    options: Any = {
        "units": 3,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": False,
    }
    dense: Any = {"units": 5, "activation": "softmax"}
    layers = (
        Layer("lstm", "lstm_1", options, lstm),
        Layer("affine", "bn", {}, {"scale": draw(3), "offset": draw(3)}),
        Layer("dense", "dense_1", dense, {"kernel": draw(3, 5), "bias": draw(5)}),
    )
    return Network(layers, 40, 5, "3.15.1")


def pack(network: Network, **more: Any) -> bytes:
    options: dict[str, Any] = {
        "encoding": "onehot",
        "vocabulary": VOCABULARY,
        "vocabulary_kind": "text",
        "prime": [4, 0, 1],
    }
    return writer.pack(network, **(options | more))


def with_layer(network: Network, index: int, **changes: Any) -> Network:
    """`network` with other fields in one layer."""
    layers = list(network.layers)
    layers[index] = replace(layers[index], **changes)
    return replace(network, layers=tuple(layers))


def gguf_reader(path: Path, data: bytes) -> Any:
    gguf = pytest.importorskip("gguf")
    path.write_bytes(data)
    return gguf.GGUFReader(path)


# -- read back by others ---------------------------------------------------------------------------


def test_gguf_reads_the_facts(network: Network, tmp_path: Path) -> None:
    data = pack(network, name="LaTeX", source_url="https://example.org", card='{"a": 1}')
    fields = gguf_reader(tmp_path / "m.bin", data).fields
    found = {name: field.contents() for name, field in fields.items()}
    assert found["general.architecture"] == "lstmgen"
    assert found["general.alignment"] == 64
    assert found["general.file_type"] == 0
    assert found["general.name"] == "LaTeX"
    assert found["general.source.url"] == "https://example.org"
    assert found["lstmgen.format"] == 1
    assert found["lstmgen.card"] == '{"a": 1}'
    assert found["lstmgen.keras_version"] == "3.15.1"
    assert found["lstmgen.encoding"] == "onehot"
    assert found["lstmgen.input_size"] == 5
    assert found["lstmgen.window"] == 40
    assert found["lstmgen.vocabulary"] == VOCABULARY
    assert found["lstmgen.vocabulary_kind"] == "text"
    assert found["lstmgen.prime"] == [4, 0, 1]
    assert "general.license" not in found


def test_gguf_reads_the_layers(network: Network, tmp_path: Path) -> None:
    fields = gguf_reader(tmp_path / "m.bin", pack(network)).fields
    found = {
        name.removeprefix("lstmgen.layer."): field.contents()
        for name, field in fields.items()
        if name.startswith("lstmgen.layer.")
    }
    assert fields["lstmgen.layer_count"].contents() == 3
    assert found == {
        "0.type": "lstm",
        "0.name": "lstm_1",
        "0.units": 3,
        "0.activation": "tanh",
        "0.recurrent_activation": "sigmoid",
        "0.return_sequences": False,
        "1.type": "affine",
        "1.name": "bn",
        "2.type": "dense",
        "2.name": "dense_1",
        "2.units": 5,
        "2.activation": "softmax",
    }


def test_gguf_reads_the_weights(network: Network, tmp_path: Path) -> None:
    tensors = gguf_reader(tmp_path / "m.bin", pack(network)).tensors
    expected = [(f"{layer.name}.{name}", array) for layer in network.layers for name, array in layer.arrays.items()]
    assert [tensor.name for tensor in tensors] == [name for name, _ in expected]
    for tensor, (_, array) in zip(tensors, expected, strict=True):
        assert tensor.tensor_type.name == "F32"
        np.testing.assert_array_equal(tensor.data, array)


def test_gguf_reads_bf16_matrices_and_f32_vectors(network: Network, tmp_path: Path) -> None:
    reader = gguf_reader(tmp_path / "m.bin", pack(network, dtype="bf16"))
    assert reader.fields["general.file_type"].contents() == 32
    types = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert types == {
        "lstm_1.kernel": "BF16",
        "lstm_1.recurrent_kernel": "BF16",
        "lstm_1.bias": "F32",
        "bn.scale": "F32",
        "bn.offset": "F32",
        "dense_1.kernel": "BF16",
        "dense_1.bias": "F32",
    }
    stored = np.frombuffer(reader.tensors[0].data.tobytes(), np.uint16)
    expected = rounding.to_bf16(network.layers[0].arrays["kernel"]).ravel()
    np.testing.assert_array_equal(stored, expected)


# -- framing ---------------------------------------------------------------------------------------


def test_checksum_is_that_of_the_file_with_the_checksum_zero(network: Network) -> None:
    data = bytearray(pack(network))
    at = data.index(b"lstmgen.checksum") + len(b"lstmgen.checksum") + 4
    (stored,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, 0)
    assert stored == zlib.crc32(data)


@pytest.mark.parametrize("dtype", rounding.DTYPES)
def test_tensors_are_aligned_without_holes(network: Network, tmp_path: Path, dtype: str) -> None:
    data = pack(network, dtype=dtype)
    end = None
    for tensor in gguf_reader(tmp_path / "m.bin", data).tensors:
        assert tensor.data_offset % 64 == 0
        if end is not None:
            assert tensor.data_offset - end < 64
            assert not any(data[end : tensor.data_offset])
        end = int(tensor.data_offset + tensor.n_bytes)
    assert end == len(data)


def test_same_arguments_give_the_same_bytes(network: Network) -> None:
    assert pack(network) == pack(network)


def test_size_of_the_file_grows_with_its_weights_only(network: Network) -> None:
    weights = sum(a.nbytes for layer in network.layers for a in layer.arrays.values())
    assert len(pack(network)) < weights + 4096


# -- bf16 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3F80),
        (-2.0, 0xC000),
        (1 + 2**-8, 0x3F80),  # a tie goes to the even number below
        (1 + 3 * 2**-8, 0x3F82),  # a tie goes to the even number above
        (1 + 2**-8 + 2**-20, 0x3F81),  # slightly above a tie
        (1e-45, 0x0000),  # the smallest number above 0
        (-0.0, 0x8000),
        (2 - 2**-20, 0x4000),  # the rounding carries into the exponent
    ],
)
def test_bf16_rounds_to_nearest_and_ties_to_even(value: float, bits: int) -> None:
    rounded = rounding.to_bf16(np.array([value], np.float32))
    assert rounded.tolist() == [bits]


def test_bf16_numbers_are_kept(rng: np.random.Generator) -> None:
    bits = rng.integers(0, 0x7F80, 1000).astype(np.uint16)  # all finite numbers above 0
    np.testing.assert_array_equal(rounding.to_bf16(rounding.from_bf16(bits)), bits)


def test_weights_beyond_bf16_are_refused(network: Network) -> None:
    kernel = np.full((3, 5), np.finfo(np.float32).max, np.float32)
    arrays = {**network.layers[2].arrays, "kernel": kernel}
    with pytest.raises(ModelFormatError, match="layer dense_1: kernel: expected numbers in the range of bf16"):
        pack(with_layer(network, 2, arrays=arrays), dtype="bf16")


# -- int8 ------------------------------------------------------------------------------------------


def test_int8_is_in_steps_of_each_columns_greatest_weight(rng: np.random.Generator) -> None:
    values = rng.normal(0, [0.1, 3.0, 50.0], (200, 3)).astype(np.float32)
    steps, scales = rounding.to_int8(values)
    np.testing.assert_allclose(scales, np.abs(values).max(axis=0) / 127, rtol=1e-6)
    assert (np.abs(steps).max(axis=0) == 127).all()
    assert (np.abs(rounding.from_int8(steps, scales) - values) <= 0.501 * scales).all()


def test_int8_columns_of_zeros_stay_zeros() -> None:
    steps, scales = rounding.to_int8(np.zeros((4, 2), np.float32))
    assert not steps.any()
    assert not scales.any()


def test_gguf_reads_int8_matrices_with_their_scales(network: Network, tmp_path: Path) -> None:
    reader = gguf_reader(tmp_path / "m.bin", pack(network, dtype="int8"))
    tensors = {t.name: t for t in reader.tensors}
    steps, scales = rounding.to_int8(network.layers[0].arrays["kernel"])
    name = network.layers[0].name
    assert tensors[f"{name}.kernel"].tensor_type.name == "I8"
    np.testing.assert_array_equal(tensors[f"{name}.kernel"].data, steps)
    np.testing.assert_array_equal(tensors[f"{name}.kernel_scale"].data, scales)
    assert f"{name}.bias_scale" not in tensors


# -- self-test -------------------------------------------------------------------------------------


def self_test(data: bytes, path: Path) -> tuple[Any, Any, float]:
    fields = gguf_reader(path, data).fields
    given = fields.get("lstmgen.selftest.ids") or fields["lstmgen.selftest.features"]
    output = np.array(fields["lstmgen.selftest.output"].contents())
    return given.contents(), output, fields["lstmgen.selftest.tolerance"].contents()


def test_self_test_is_the_float64_output_for_its_ids(network: Network, tmp_path: Path) -> None:
    ids, output, tolerance = self_test(pack(network), tmp_path / "m.bin")
    assert 0 < tolerance < 1e-4
    x = reference.encode(network, "onehot", ids)
    np.testing.assert_array_equal(output, reference.forward(network, x))


def test_self_test_of_bf16_uses_the_weights_as_stored(network: Network, tmp_path: Path) -> None:
    ids, output, _ = self_test(pack(network, dtype="bf16"), tmp_path / "m.bin")
    x = reference.encode(network, "onehot", ids)
    np.testing.assert_array_equal(output, reference.forward(rounding.rounded(network, "bf16"), x))
    assert not np.array_equal(output, reference.forward(network, x))


def test_self_test_of_features_holds_numbers(network: Network, tmp_path: Path) -> None:
    data = pack(network, encoding="features", prime=None)
    x, output, _ = self_test(data, tmp_path / "m.bin")
    x = np.reshape(x, (8, 5))
    np.testing.assert_allclose(output, reference.forward(network, x), rtol=0, atol=1e-12)


def test_self_test_reaches_all_parts_of_the_vocabulary(network: Network, tmp_path: Path) -> None:
    ids, _, _ = self_test(pack(network), tmp_path / "m.bin")
    assert min(ids) == 0
    assert max(ids) == 4


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dtype": "int4"}, "dtype: expected one of f32, bf16, int8, found 'int4'"),
        ({"encoding": "words"}, "encoding: expected one of onehot, .*found 'words'"),
        ({"encoding": "index"}, "does not begin with an Embedding"),
        ({"encoding": "scaled"}, "the network takes 5 numbers per step, not 1"),
        ({"vocabulary": VOCABULARY[:4]}, "the vocabulary has 4 elements, the network 5 outputs"),
        ({"vocabulary": [*VOCABULARY[:4], "a"]}, "'a' is element 0 and 4"),
        ({"vocabulary": [*VOCABULARY[:4], "\0"]}, r"element 4: expected text without U\+0000"),
        ({"vocabulary": [*VOCABULARY[:4], "\ud800"]}, "cannot be stored as UTF-8"),
        ({"vocabulary_kind": "words"}, "vocabulary_kind: expected one of"),
        ({"vocabulary_kind": None}, "vocab and vocabulary_kind need each other"),
        ({"prime": [5]}, "prime: id 0: expected 0 to 4, found 5"),
        ({"prime": [0] * 65537}, "length of the prime: expected 0 to 65536"),
        ({"name": "x" * 65537}, "name: expected at most 65536 bytes, found 65537"),
        ({"encoding": "features"}, "a network that takes features does not generate"),
    ],
)
def test_facts_that_the_format_forbids_are_refused(network: Network, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pack(network, **options)


@pytest.mark.parametrize(
    ("index", "changes", "reason"),
    [
        (0, {"type": "affine", "options": {}}, "no recurrent layer"),
        (1, {"type": "norm"}, "layer bn: unknown type 'norm'"),
        (1, {"name": "a b"}, "name: expected 1 to 40 of"),
        (1, {"name": "lstm_1"}, "two layers have this name"),
        (2, {"options": {"units": 4, "activation": "relu"}}, r"kernel: expected \(3, 4\), found"),
        (2, {"options": {"units": 5, "activation": "my"}}, "unknown activation 'my'"),
        (2, {"options": {"units": 5}}, "dense_1: expected .*'activation'"),
        (1, {"arrays": {}}, "bn: expected .*'scale', 'offset'"),
    ],
)
def test_layers_that_the_format_forbids_are_refused(
    network: Network, index: int, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        pack(with_layer(network, index, **changes))


def test_weights_that_are_not_finite_are_refused(network: Network) -> None:
    arrays = {**network.layers[2].arrays, "bias": np.full(5, np.nan, np.float32)}
    with pytest.raises(ModelFormatError, match="dense_1: bias: holds NaN"):
        pack(with_layer(network, 2, arrays=arrays))


def test_lstm_without_a_sequence_before_another_is_refused(network: Network) -> None:
    first = network.layers[0]
    kernel = np.zeros((5, 12), np.float32)
    second = replace(first, name="lstm_2", arrays={**first.arrays, "kernel": kernel[:3]})
    layers = (first, second, *network.layers[1:])
    with pytest.raises(ModelFormatError, match="lstm_2: expected an output at each step before it"):
        pack(replace(network, layers=layers))


# -- writing ---------------------------------------------------------------------------------------


def test_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    files.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["m.bin"]


def test_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write: No space left on device: .*m\.bin"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m.bin"]


def test_reader_sees_the_old_or_the_new_file_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    whole = {bytes([i]) * 100_000 for i in range(2)}
    files.write(path, min(whole))
    done = threading.Event()

    def rewrite() -> None:
        for i in range(20):
            files.write(path, bytes([i % 2]) * 100_000)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= whole


def test_write_into_a_folder_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"m\.bin"):
        files.write(tmp_path / "no" / "m.bin", b"x")


def test_write_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    files.write(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


def test_write_replaces_no_device() -> None:
    with pytest.raises(OSError, match="/dev/null: not a regular file"):
        files.write("/dev/null", b"x")
