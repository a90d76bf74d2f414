"""Models whose first layer turns texts into ids: the network after it, and its vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import ModelFormatError, keras_file
from lstmgen.keras_file.lookups import saved_vocabulary

WORDS = ["the", "cat", "sat", "dont"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # assumptions are warnings


def saved(keras: Any, path: Path, first: Any, ids: int, *, text: bool = True, steps: int | None = 5) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((1,) if steps is None else (steps,), dtype="string" if text else "int64"),
            first,
            layers.Embedding(ids, 3),
            layers.LSTM(4),
            layers.Dense(ids, "softmax"),
        ]
    )
    model.save(path)
    return model


@pytest.mark.parametrize("given", [WORDS, ["[UNK]", *WORDS]])
def test_string_lookup_gives_the_vocabulary(keras: Any, tmp_path: Path, given: list[str]) -> None:
    model = saved(keras, tmp_path / "m.keras", keras.layers.StringLookup(vocabulary=given), 5)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert (found.vocabulary.elements, found.vocabulary.kind, found.padding) == (("[UNK]", *WORDS), "tokens", None)
    ids = found.vocabulary.encode("the cat sat the cat")
    x = np.array([["the", "cat", "sat", "the", "cat"]])
    expected = model(keras.ops.convert_to_tensor(x)).numpy()
    np.testing.assert_allclose(found.predict(ids[None]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("kind", "text"), [("StringLookup", True), ("IntegerLookup", False)])
def test_an_adapted_lookup_gives_its_vocabulary(
    keras: Any, tmp_path: Path, kind: str, text: bool, nested: bool
) -> None:
    first = getattr(keras.layers, kind)()
    first.adapt(np.array(["a", "\n", "b", "a", "\n", "a"] if text else [60, 64, 60, 62, 62, 60]))
    inner = keras.Sequential([keras.Input((5,), dtype="string" if text else "int64"), first]) if nested else first
    saved(keras, tmp_path / "m.keras", inner, 4, text=text)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert found.vocabulary.elements == tuple(map(str, first.get_vocabulary()))


@pytest.mark.parametrize(("split", "text"), [("whitespace", "the cat the cat the"), ("character", "a b a b a")])
def test_an_adapted_vectorization_gives_its_vocabulary(keras: Any, tmp_path: Path, split: str, text: str) -> None:
    first = keras.layers.TextVectorization(split=split)
    first.adapt([text])
    saved(keras, tmp_path / "m.keras", first, len(first.get_vocabulary()), steps=None)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert found.vocabulary.elements == tuple(map(str, first.get_vocabulary()))
    assert found.vocabulary.encode(text).tolist() == first([text]).numpy()[0].tolist()


def test_a_saved_vocabulary_of_another_size_is_not_used() -> None:
    assert saved_vocabulary("[UNK]\na\nb", 4) is None
    assert saved_vocabulary("-1\n60\nx", 3, integers=True) is None


def test_string_lookup_with_a_mask_has_padding(keras: Any, tmp_path: Path) -> None:
    saved(keras, tmp_path / "m.keras", keras.layers.StringLookup(vocabulary=[*"abc"], mask_token="."), 5)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert (found.vocabulary.elements, found.vocabulary.kind, found.padding) == (("", "[UNK]", *"abc"), "text", 0)


def test_integer_lookup_gives_digits(keras: Any, tmp_path: Path) -> None:
    saved(keras, tmp_path / "m.keras", keras.layers.IntegerLookup(vocabulary=[60, 64]), 3, text=False)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert found.vocabulary.elements == ("-1", "60", "64")


@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None])
def test_text_vectorization_applies_to_texts(keras: Any, tmp_path: Path, standardize: str | None) -> None:
    first = keras.layers.TextVectorization(vocabulary=WORDS, standardize=standardize)
    model = saved(keras, tmp_path / "m.keras", first, 6, steps=None)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None and found.window == 0
    for text in ("The cat,\tdon't sat", "the cat", "the dog\nsat!", " cat "):
        ids = found.vocabulary.encode(text)
        assert ids.tolist() == np.asarray(first([text]))[0].tolist(), text
        expected = model(keras.ops.convert_to_tensor([[text]])).numpy()
        np.testing.assert_allclose(found.predict(ids[None]), expected, rtol=0, atol=1e-5)


def test_text_vectorization_of_characters(keras: Any, tmp_path: Path) -> None:
    first = keras.layers.TextVectorization(vocabulary=[*"abc"], split="character", output_sequence_length=9)
    saved(keras, tmp_path / "m.keras", first, 5, steps=None)
    network = keras_file.read(tmp_path / "m.keras")
    assert any("no padding up to 9 steps comes after them" in said for said in network.assumed)
    found = lstmgen.Model(tmp_path / "m.keras")
    assert found.vocabulary is not None
    assert found.vocabulary.encode("A!b-cz").tolist() == [2, 3, 4, 1]


def test_a_vocabulary_of_another_size_than_the_network_is_told(keras: Any, tmp_path: Path) -> None:
    first = keras.layers.TextVectorization()
    first.adapt(["the cat"])
    saved(keras, tmp_path / "m.keras", first, 5, steps=None)
    assert any(
        "has 4 elements, and the network puts out 5" in said for said in keras_file.read(tmp_path / "m.keras").assumed
    )
    assert lstmgen.Model(tmp_path / "m.keras").vocabulary is None


def test_a_layer_that_was_not_adapted_has_no_vocabulary(keras: Any, tmp_path: Path) -> None:
    saved(keras, tmp_path / "m.keras", keras.layers.TextVectorization(), 5, steps=None)
    assert lstmgen.Model(tmp_path / "m.keras").vocabulary is None
    assert lstmgen.Model(tmp_path / "m.keras", vocab=["", "[UNK]", *WORDS[:3]]).vocabulary is not None


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("StringLookup", {"vocabulary": "/etc/passwd"}, None),
        ("StringLookup", {"num_oov_indices": 2}, "num_oov_indices of 0 or 1"),
        ("StringLookup", {"invert": True}, "invert=False"),
        ("StringLookup", {"output_mode": "one_hot"}, "output_mode 'int'"),
        ("TextVectorization", {"standardize": {"class_name": "function"}}, "a custom function"),
        ("TextVectorization", {"split": ["x"]}, "a custom function"),
        ("TextVectorization", {"ngrams": 2}, "ngrams are not supported"),
        ("TextVectorization", {"output_mode": "tf_idf"}, "output_mode 'int'"),
    ],
)
def test_config_of_another_kind(
    write_h5: Callable[..., Path],
    lstm_arrays: Callable[..., Any],
    kind: str,
    options: dict[str, Any],
    reason: str | None,
) -> None:
    path = write_h5(
        [
            (kind, {"name": "ids", "batch_input_shape": [None, 5], **options}),
            ("Embedding", {"name": "e", "input_dim": 4, "output_dim": 2}),
            ("LSTM", {"name": "l", "units": 3}),
            ("Dense", {"name": "d", "units": 4, "activation": "softmax"}),
        ],
        {
            "e": {"e/embeddings:0": np.ones((4, 2), np.float32)},
            "l": lstm_arrays("l", 2, 3),
            "d": {"d/kernel:0": np.ones((3, 4), np.float32), "d/bias:0": np.zeros(4, np.float32)},
        },
    )
    if reason is not None:
        with pytest.raises(ModelFormatError, match=reason):
            keras_file.read(path)
        return
    said = "the vocabulary of the layer ids is in another file, which is not opened; vocab=... gives it"
    assert said in keras_file.read(path).assumed
