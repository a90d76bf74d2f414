"""Primes, and what is not in the vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmgen
from support.generators import LETTERS, T, exact, ids_of, nameless, tokens
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


# -- prime -----------------------------------------------------------------------------------------


def test_include_prime_puts_it_first(gen: lstmgen.Generator) -> None:
    text = gen.sample(10, prime="abc", include_prime=True, seed=1)
    assert text == "abc" + str(gen.sample(10, prime="abc", seed=1))


def test_include_prime_holds_all_of_a_long_one(gen: lstmgen.Generator) -> None:
    prime = LETTERS * 5
    assert str(gen.sample(3, prime=prime, include_prime=True)).startswith(prime)


@pytest.mark.parametrize("prime", ["", [], None])
def test_an_empty_prime_is_the_files_own(gen: lstmgen.Generator, prime: Any) -> None:
    own = "".join(LETTERS[i] for i in gen.model.prime)
    assert gen.sample(20, prime=prime, seed=1) == gen.sample(20, prime=own, seed=1)


@pytest.mark.parametrize("refresh", [1, 4, None])
@pytest.mark.parametrize("size", [1, 2, T - 1, T, T + 1, 5 * T])
def test_a_prime_of_any_length_is_the_context(gen: lstmgen.Generator, size: int, refresh: int | None) -> None:
    prime = (LETTERS * 6)[3 : 3 + size]
    context = prime if refresh is None else prime[-T:]
    first = gen.sample(1, temp=0, prime=prime, refresh=refresh)
    assert first == LETTERS[exact(ids_of(context)).argmax()]


def test_a_prime_of_ids_or_elements_is_that_text(gen: lstmgen.Generator) -> None:
    want = gen.sample(20, prime="cab", seed=1)
    elements: list[str | int] = ["c", 0, "b"]
    assert gen.sample(20, prime=[2, 0, 1], seed=1) == want
    assert gen.sample(20, prime=np.array([2, 0, 1]), seed=1) == want
    assert gen.sample(20, prime=["c", "a", "b"], seed=1) == want
    assert gen.sample(20, prime=iter(elements), seed=1) == want


def test_no_prime_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no vocabulary and no default prime: give vocab_from=.*such as prime="):
        nameless().sample(5)


# -- the unknown -----------------------------------------------------------------------------------


def test_an_unknown_character_is_named_with_its_position(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match=r"character 'ß' \(U\+00DF\) at position 2 .*vocabulary of 11"):
        gen.sample(5, prime="abßc")


def test_an_unknown_element_is_named_with_its_position() -> None:
    with pytest.raises(ValueError, match="element 'dog' at position 1 "):
        tokens().sample(5, prime="The dog sat")


def test_the_unknown_is_skipped(gen: lstmgen.Generator) -> None:
    found = gen.sample(5, prime="aßbßc", on_unknown="skip", include_prime=True)
    assert str(found).startswith("abc")


def test_the_unknown_is_replaced(gen: lstmgen.Generator) -> None:
    found = gen.sample(5, prime="aßb", on_unknown="k", include_prime=True)
    assert str(found).startswith("akb")


def test_an_unknown_replacement_is_an_error(gen: lstmgen.Generator) -> None:
    for prime in (None, "abc"):
        with pytest.raises(ValueError, match=r"on_unknown: expected .*found 'ß'"):
            gen.sample(5, prime=prime, on_unknown="ß")


@pytest.mark.parametrize("bad", [11, -1, 2**32, 2**64])
def test_an_id_out_of_range_is_named_with_its_position(gen: lstmgen.Generator, bad: int) -> None:
    with pytest.raises(ValueError, match=f"position 1: expected .*0 to 10, found {bad}"):
        gen.sample(5, prime=[0, bad])


@pytest.mark.parametrize("bad", [11, -1, 2**32, 2**64])
def test_so_it_is_without_a_vocabulary(bad: int) -> None:
    with pytest.raises(ValueError, match=f"position 1: expected .*0 to 10, found {bad}"):
        nameless().sample(5, prime=[0, bad])


def test_an_element_of_another_type_is_named_with_its_position(gen: lstmgen.Generator) -> None:
    with pytest.raises(TypeError, match=r"position 1: expected a str or an id, found 1\.5"):
        gen.sample(5, prime=[0, 1.5])  # type: ignore[list-item]


def test_a_prime_of_unknown_elements_of_many_characters_is_cut_at_the_longest_match() -> None:
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    gen = lstmgen.Generator(packed(of, vocabulary=["a", "ab", "abc", "c", "d"]))
    assert str(gen.sample(1, prime="abcabd", include_prime=True)).startswith("abcabd")
    assert gen.sample(9, prime="abcabd", seed=1) == gen.sample(9, prime=[2, 1, 4], seed=1)
    with pytest.raises(ValueError, match=r"'b' .* at position 3"):
        gen.sample(1, prime="abcb")


def test_texts_of_numpy_are_texts() -> None:
    gen = lstmgen.Generator(lstmgen.Model(packed()))
    options: Any = {"prime": "cab", "stop": "b", "ban": "d"}
    of_numpy: Any = {name: np.str_(text) for name, text in options.items()}
    assert gen.sample(30, seed=1, **of_numpy) == gen.sample(30, seed=1, **options)
    assert gen.score(np.str_("abc")) == gen.score("abc")
