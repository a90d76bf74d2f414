"""Kinds of vocabularies, and how elements enter a network."""

from __future__ import annotations

import numpy as np
import pytest

import lstmgen
from lstmgen.network import reference
from support.generators import ENCODINGS, WORDS, N, T, exact, ids_of, nameless, tokens
from support.networks import network, packed


def test_a_token_model_gives_a_list_of_elements() -> None:
    found = tokens().sample(30, seed=1)
    assert isinstance(found, list)
    assert len(found) == 30
    assert set(found) <= set(WORDS)


def test_a_token_model_includes_its_prime_as_elements() -> None:
    assert tokens().sample(2, prime="The cat", include_prime=True)[:2] == ["The", "cat"]


def test_a_token_model_streams_elements() -> None:
    assert list(tokens().stream(30, seed=1)) == tokens().sample(30, seed=1)


def test_a_model_without_vocabulary_gives_ids() -> None:
    found = nameless().sample(30, seed=1, prime=[1, 2, 3])
    assert isinstance(found, list)
    assert {type(i) for i in found} == {int}
    assert found == ids_of(str(lstmgen.Generator(packed()).sample(30, seed=1, prime="bcd")))


def test_a_model_without_vocabulary_streams_ids() -> None:
    gen = nameless()
    assert list(gen.stream(30, seed=1, prime=[1])) == gen.sample(30, seed=1, prime=[1])


def test_a_model_without_vocabulary_takes_no_text() -> None:
    with pytest.raises(
        ValueError, match="no vocabulary: give ids \\(prime=\\[1, 2, 3\\]\\), or names for them by vocab_from="
    ):
        nameless().sample(5, prime="abc")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_generates_what_the_reference_says(encoding: str) -> None:
    of = ENCODINGS[encoding]
    gen = lstmgen.Generator(packed(of, encoding=encoding))
    ids = gen.model.prime.tolist()
    for i in ids_of(str(gen.sample(25, temp=0))):
        assert i == exact(ids[-T:], encoding, of).argmax()
        ids.append(i)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_predicts_from_ids_what_the_reference_says(encoding: str) -> None:
    of = ENCODINGS[encoding]
    ids = np.arange(5 * T).reshape(5, T) * 7 % N
    want = [exact(row.tolist(), encoding, of) for row in ids]
    np.testing.assert_allclose(lstmgen.Model(packed(of, encoding=encoding)).predict(ids), want, rtol=1e-4)


def test_an_embedding_predicts_from_ids_that_are_no_outputs() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    assert model.predict([[12, 11, 0]]).shape == (1, 11)


def test_an_embedding_takes_whole_floats_as_ids() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    np.testing.assert_array_equal(model.predict([[1.0, 2.0]]), model.predict([[1, 2]]))


@pytest.mark.parametrize("bad", [1.5, float("nan"), float("inf"), -1.0, 1e300])
def test_an_embedding_refuses_other_floats(bad: float) -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    with pytest.raises(ValueError, match="x: expected"):
        model.predict([[bad, 1.0]])


def test_an_embedding_takes_no_features() -> None:
    model = lstmgen.Model(packed(ENCODINGS["index"], encoding="index"))
    with pytest.raises(ValueError, match="expected ids, found features"):
        model.predict(np.zeros((1, 2, 13)))


def features() -> lstmgen.Model:
    of = network([("lstm", 8), ("dense", 1, "sigmoid")], 3, 5)
    return lstmgen.Model(packed(of, encoding="features"))


def test_a_network_of_features_does_not_generate() -> None:
    with pytest.raises(ValueError, match="reads features: it predicts, but does not generate"):
        lstmgen.Generator(features())


def test_a_network_of_features_takes_no_ids() -> None:
    with pytest.raises(ValueError, match="expected features, found ids"):
        features().predict([[1, 2]])


def test_a_network_of_features_predicts() -> None:
    of = network([("lstm", 8), ("dense", 1, "sigmoid")], 3, 5)
    x = np.random.default_rng(1).uniform(-1, 1, (4, 5, 3))
    np.testing.assert_allclose(features().predict(x), reference.forward(of, x), rtol=1e-5)
