"""What a model says of itself, how it is copied and pickled, and where models come from."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.binfile import rounding
from lstmgen.bundled import bundled
from support.generators import ENCODINGS, TEXT, N, T
from support.gguf_bytes import take_apart
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


@pytest.fixture(scope="module")
def model() -> lstmgen.Model:
    return lstmgen.Model(packed())


# -- what a model says of itself -------------------------------------------------------------------


def test_repr_of_a_model_shows_its_make(model: lstmgen.Model) -> None:
    assert repr(model) == (
        f"<lstmgen.Model 11 onehot > lstm 20 > lstm 17 > dense 11 softmax, window 12, 11 outputs, f32, {model.isa}>"
    )


def test_repr_of_a_generator_shows_its_model() -> None:
    gen = lstmgen.Generator(packed(), threads=3)
    assert repr(gen) == f"<lstmgen.Generator of {gen.model!r}, threads 3>"


def test_metadata_are_the_facts_of_the_file() -> None:
    facts: Any = {"name": "n", "description": "d", "author": "a", "license": "MIT"}
    data = packed(**facts, source_url="https://example.org", card='{"bits": 1.5}')
    assert lstmgen.Model(data).metadata == {
        **facts,
        "source_url": "https://example.org",
        "keras_version": "3.15.1",
        "card": {"bits": 1.5},
    }


@pytest.mark.parametrize("card", ["not JSON", "[" * 100_000, '{"a": }'])
def test_a_card_that_is_no_json_is_given_as_it_is(card: str) -> None:
    assert lstmgen.Model(packed(card=card)).metadata["card"] == card


def test_no_card_is_an_empty_one(model: lstmgen.Model) -> None:
    assert model.metadata["card"] == {}


def test_shapes_are_those_of_keras(model: lstmgen.Model) -> None:
    assert (model.input_shape, model.output_shape) == ((None, T, N), (None, N))


def test_shapes_of_an_embedding_are_those_of_keras() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    assert (model.input_shape, model.output_shape) == ((None, T), (None, N))


def test_shapes_without_a_window_are_open() -> None:
    model = lstmgen.Model(packed(network(window=0, sequences=True)))
    assert (model.input_shape, model.output_shape) == ((None, None, N), (None, None, N))


def test_layers_say_what_they_are(model: lstmgen.Model) -> None:
    found = [(layer.type, layer.name, layer.input_size, layer.outputs) for layer in model.layers]
    assert found == [("lstm", "lstm_0", 11, 20), ("lstm", "lstm_1", 20, 17), ("dense", "dense_2", 17, 11)]
    assert [layer.return_sequences for layer in model.layers] == [True, False, False]


def test_nbytes_hold_the_weights_at_least(model: lstmgen.Model) -> None:
    weights = sum(array.nbytes for layer in TEXT.layers for array in layer.arrays.values())
    assert weights <= model.nbytes < 4 * weights


def test_dtype_is_that_of_the_file(model: lstmgen.Model) -> None:
    assert model.dtype == "f32"
    assert [lstmgen.Model(packed(dtype=dtype)).dtype for dtype in ("bf16", "int8")] == ["bf16", "int8"]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_shares_the_model(gen: lstmgen.Generator, make: Any) -> None:
    assert make(gen).model is make(gen.model) is gen.model
    assert make(gen).sample(20, seed=1) == gen.sample(20, seed=1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_generator_and_a_model_pickle(protocol: int) -> None:
    gen = lstmgen.Generator(packed(), threads=2)
    other, model = pickle.loads(pickle.dumps((gen, gen.model), protocol))
    assert other.model is model
    assert repr(other) == repr(gen)
    assert other.sample(20, seed=1) == gen.sample(20, seed=1)
    np.testing.assert_array_equal(model.predict([[1, 2]]), gen.model.predict([[1, 2]]))


@pytest.mark.parametrize("tiny", [-0.0, 1e-20, -1e-17, 1e-45])
def test_a_pickled_generator_takes_its_own_states(tiny: float) -> None:
    """This also holds if weights are so small that they are zero in bf16."""
    of = network()
    of.layers[0].arrays["recurrent_kernel"][0, :5] = tiny
    gen = lstmgen.Generator(packed(of, dtype="bf16"))
    stream = gen.stream(seed=1)
    stream.take(9)
    other = pickle.loads(pickle.dumps(gen))
    assert other.stream(state=stream.save_state()).take(50) == stream.take(50)


def test_an_int8_embedding_with_a_negative_scale_pickles() -> None:
    of = network([("embedding", 7), ("gru", 17), ("dense", 11, "softmax")])
    steps, scales = rounding.to_int8(of.layers[0].arrays["embeddings"])
    data = packed(of, encoding="index", dtype="int8")
    for positive, negative in ((steps, -steps), (scales, -scales)):
        assert data.count(positive.tobytes()) == 1
        data = data.replace(positive.tobytes(), negative.tobytes())
    model = lstmgen.Model(take_apart(data).to_bytes())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict([[1, 2, 3]]), model.predict([[1, 2, 3]]))


def test_a_model_from_a_keras_file_pickles(small_h5: Path) -> None:
    model = lstmgen.Model(small_h5)
    small_h5.unlink()
    x = np.ones((1, 4, 2))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


def test_a_bundled_model_is_found_by_name_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "latex").mkdir()
    monkeypatch.chdir(tmp_path)
    assert lstmgen.Model("latex").metadata["name"] == "latex"


def test_bundled_models_are_a_dict_of_paths() -> None:
    models = bundled()
    assert isinstance(models, dict)
    assert all(os.path.isfile(path) for path in models.values())


# -- sources ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.bin"
    path.write_bytes(packed())
    return path


def test_a_path_a_string_bytes_and_a_model_are_all_sources(path: Path) -> None:
    sources: list[Any] = [path, str(path), path.read_bytes(), lstmgen.Model(path)]
    assert len({str(lstmgen.Generator(source).sample(20, seed=1)) for source in sources}) == 1


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.bin"):
        lstmgen.Model(tmp_path / "no.bin")


def test_another_type_of_source_is_an_error() -> None:
    with pytest.raises(TypeError):
        lstmgen.Model(5)  # type: ignore[arg-type]


def test_a_bin_takes_no_export_options(path: Path) -> None:
    with pytest.raises(TypeError, match=r"tiny\.bin: only a Keras file takes vocab"):
        lstmgen.Model(path, vocab=["a"])


@pytest.mark.parametrize(
    ("of", "typed", "near"),
    [(lstmgen.Model, "dtpye", "dtype"), (lstmgen.Generator, "thread", "threads"), (lstmgen.Generator, "vocb", "vocab")],
)
def test_an_option_that_does_not_exist_is_named_with_the_nearest(of: Any, typed: str, near: str, path: Path) -> None:
    with pytest.raises(TypeError, match=f"{of.__name__} has no option {typed}: did you mean '{near}'"):
        of(path, **{typed: 1})


def test_a_model_takes_no_export_options(model: lstmgen.Model) -> None:
    with pytest.raises(TypeError, match="a Model takes no vocab"):
        lstmgen.Generator(model, vocab=["a"])


@pytest.mark.parametrize("harm", ["delete", "truncate", "overwrite", "replace"])
def test_what_becomes_of_the_file_does_not_change_a_running_sample(path: Path, harm: str) -> None:
    want = lstmgen.Generator(path).sample(200, seed=1)
    gen = lstmgen.Generator(path)
    stream = gen.stream(200, seed=1)
    found = [next(stream) for _ in range(50)]
    size = path.stat().st_size
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        os.truncate(path, 0)
    elif harm == "overwrite":
        with path.open("r+b") as file:
            file.write(b"\xff" * size)
    else:
        path.unlink()
        path.write_bytes(packed(network(seed=8)))
    assert "".join(map(str, [*found, *stream])) == want
    assert pickle.loads(pickle.dumps(gen)).sample(200, seed=1) == want


# -- told by content, not by name ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.bin", "m.h5", "m.keras", "m", "m.index"])
def test_a_bin_is_told_by_its_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(packed())
    want = lstmgen.Generator(packed()).sample(20, seed=1)
    assert lstmgen.Generator(path).sample(20, seed=1) == want
    lstmgen.export(path, tmp_path / "out.bin", dtype="bf16")
    assert lstmgen.Model(tmp_path / "out.bin").dtype == "bf16"


@pytest.mark.parametrize("name", ["m.bin", "m.h5", "m"])
def test_a_keras_file_is_told_by_its_bytes(small_h5: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    small_h5.rename(path)
    assert lstmgen.Model(path).outputs == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7\nsize 1\n", "git-lfs pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>Not found</html>", "HTML .*download"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"GG", "nor a .bin; it begins with b'GG'"),
    ],
)
def test_what_is_no_model_is_named_whatever_its_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    entrances: list[Callable[[Path], object]] = [
        lstmgen.Model,
        lstmgen.Generator,
        lambda path: lstmgen.export(path, tmp_path / "out.bin"),
    ]
    for entrance in entrances:
        with pytest.raises(lstmgen.ModelFormatError, match=rf"model\.bin: .*{reason}"):
            entrance(path)
