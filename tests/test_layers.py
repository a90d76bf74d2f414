"""Each layer type of docs/format.md: the engine against the float64 reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.binfile import rounding
from lstmgen.network import LAYER_TYPES, NO_MAXIMUM, Network, reference
from support.networks import network, packed
from support.slow import instruction_sets

X = -1  # stands for the network's input

# The layers, and what some of them read. Each network takes 5 numbers a step and has 6 steps.
NETWORKS: dict[str, tuple[list[Any], dict[int, tuple[int, ...]]]] = {
    "gru": ([("gru", 20), ("gru", 7)], {}),
    "gru, reset before": ([("gru", 20, "tanh", "sigmoid", False), ("gru", 7, "tanh", "sigmoid", False)], {}),
    "gru, hard gates": ([("gru", 9, "relu", "hard_sigmoid"), ("gru", 7, "tanh", "hard_sigmoid_keras2", False)], {}),
    "gru, rare activations": ([("gru", 9, "softsign", "sigmoid"), ("gru", 7, "softmax", "softmax", False)], {}),
    "simple_rnn": ([("simple_rnn", 20), ("simple_rnn", 7, "relu")], {}),
    "simple_rnn, rare activation": ([("simple_rnn", 9, "elu"), ("simple_rnn", 7, "linear")], {}),
    "layer_norm": ([("layer_norm", 1e-3), ("lstm", 7), ("layer_norm", 1e-5)], {}),
    "prelu": ([("lstm", 7), ("prelu",)], {}),
    "rectifier": ([("rectifier", 0.1, 0.2, 0.7), ("lstm", 7), ("rectifier", 0.0, 0.0, NO_MAXIMUM)], {}),
    "affine": ([("affine",), ("lstm", 7), ("affine",)], {}),
    "activation": ([("activation", "elu"), ("lstm", 7), ("activation", "sigmoid")], {}),
    "masked lstm": ([("mask", 0.25), ("lstm", 7), ("lstm", 6)], {1: (X, 0), 2: (1, 0)}),
    "masked gru": ([("mask", 0.25), ("gru", 7), ("gru", 6, "tanh", "sigmoid", False)], {1: (X, 0), 2: (1, 0)}),
    "masked simple_rnn": ([("mask", 0.25), ("simple_rnn", 7, "softsign")], {1: (X, 0)}),
    "merge": (
        [
            *[("lstm", 7), ("dense", 7, "tanh"), ("add",), ("subtract",), ("multiply",), ("average",), ("maximum",)],
            *[("minimum",), ("concatenate",), ("lstm", 4)],
        ],
        {
            1: (0,),
            2: (0, 1, 1),
            3: (2, 0),
            4: (3, 1),
            5: (4, 2, 3),
            6: (5, 0),
            7: (6, 1),
            8: (7, X, 0),
        },
    ),
    "merge of vectors": ([("lstm", 7), ("dense", 3, "relu"), ("concatenate",), ("dense", 4, "softmax")], {2: (0, 1)}),
    "two branches": ([("lstm", 7), ("gru", 7), ("add",)], {1: (X,), 2: (0, 1)}),
    "attention_pool": ([("gru", 7), ("attention_pool", 1e-7), ("dense", 3, "softmax")], {}),
    "masked attention_pool": ([("mask", 0.25), ("gru", 7), ("attention_pool", 1e-7)], {1: (X,), 2: (1, 0)}),
    "average_pool": ([("gru", 7), ("average_pool",)], {}),
    "masked average_pool": ([("mask", 0.25), ("gru", 7), ("average_pool",)], {1: (X,), 2: (1, 0)}),
    "max_pool": ([("gru", 7), ("max_pool",), ("dense", 3, "linear")], {}),
    "bidirectional": (
        [("lstm", 7), ("reverse",), ("lstm", 7), ("reverse",), ("concatenate",), ("gru", 3)],
        {1: (X,), 4: (0, 3)},
    ),
    "backwards": ([("reverse",), ("simple_rnn", 7)], {}),
    "flatten": ([("lstm", 7), ("reshape", 0, 42), ("dense", 4, "softmax")], {}),
    "reshape": ([("reshape", 3, 10), ("lstm", 7)], {}),
    "repeat": ([("lstm", 7), ("repeat", 4), ("gru", 5), ("dense", 3, "softmax")], {}),
    "transpose": ([("transpose",), ("lstm", 7)], {}),
}
SEQUENCES = {"flatten", "repeat", "merge", "bidirectional", "attention_pool", "average_pool", "max_pool"}
SEQUENCES |= {"two branches", "masked attention_pool", "masked average_pool", "masked lstm", "gru"}


def make(name: str) -> Network:
    layers, reads = NETWORKS[name]
    vectors = [0] if name == "repeat" else []
    return network(layers, inputs=5, window=6, reads=reads, scale=0.5, sequences=name in SEQUENCES, vectors=vectors)


def inputs(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(101, 6, 5)).astype(np.float32)
    x[rng.random(x.shape[:2]) < 0.3] = 0.25  # these steps are masked if there is a mask
    x[0] = 0.25
    return x


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("name", NETWORKS)
def test_predict_equals_the_reference(
    name: str, isa: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", isa)
    of, x = make(name), inputs(rng)
    expected = reference.forward(of, x)
    found = lstmgen.Model(packed(of, encoding="features")).predict(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("name", [*NETWORKS, "embedding"])
def test_a_model_gives_the_bytes_that_it_was_read_from(
    name: str, isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", isa)
    embedding = name == "embedding"
    of = network([("embedding", 7), ("gru", 17), ("dense", 11, "softmax")]) if embedding else make(name)
    for dtype in rounding.DTYPES:
        data = packed(of, encoding="index" if embedding else "features", dtype=dtype)
        (tmp_path / "m.bin").write_bytes(data)
        for source in (data, tmp_path / "m.bin"):
            assert lstmgen.Model(source).to_bytes() == data


@pytest.mark.parametrize("rows", [1, 3, 4, 511, 513, 1030])
def test_matrices_that_are_read_in_pieces(rows: int, tmp_path: Path) -> None:
    """A matrix of 64 KiB or more comes from a file in several pieces.

    A piece need not end at the end of a packed row.
    """
    of = network([("lstm", 33), ("dense", 3, "softmax")], inputs=rows, window=0)
    x = np.random.default_rng(0).normal(size=(2, 3, rows)).astype(np.float32)
    for dtype in rounding.DTYPES:
        data = packed(of, encoding="features", dtype=dtype)
        (tmp_path / "m.bin").write_bytes(data)
        whole, pieces = lstmgen.Model(data), lstmgen.Model(tmp_path / "m.bin")
        np.testing.assert_array_equal(pieces.predict(x), whole.predict(x))
        expected = reference.forward(rounding.rounded(of, dtype), x)
        np.testing.assert_allclose(whole.predict(x), expected, rtol=0, atol=1e-5 if dtype == "f32" else 2e-2)


def test_a_head_longer_than_a_piece_is_read(tmp_path: Path) -> None:
    words = [f"word {i} {'x' * 40}" for i in range(5000)]
    of = network([("lstm", 3), ("dense", 5000, "softmax")], inputs=5000)
    data = packed(of, vocabulary=words, vocabulary_kind="tokens")
    (tmp_path / "m.bin").write_bytes(data)
    model = lstmgen.Model(tmp_path / "m.bin")
    assert model.vocabulary is not None and list(model.vocabulary.elements) == words
    assert model.to_bytes() == data


def test_each_layer_type_has_a_formula_a_case_and_a_line_in_the_format() -> None:
    text = (Path(__file__).parent.parent / "docs" / "format.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert reference.FORMULAS.keys() == LAYER_TYPES.keys()
    cases = {layer[0] for layers, _ in NETWORKS.values() for layer in layers}
    assert LAYER_TYPES.keys() - cases == {"embedding"}  # which reads ids, not numbers
    assert LAYER_TYPES.keys() <= documented
