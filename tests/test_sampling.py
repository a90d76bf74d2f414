"""What `sample` draws: lengths, seeds, temperatures, stop texts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import lstmgen
from support.generators import LETTERS, N, T, exact, ids_of, tokens
from support.networks import packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


# -- what is drawn ---------------------------------------------------------------------------------


def test_sample_is_a_text_of_that_length(gen: lstmgen.Generator) -> None:
    text = gen.sample(50)
    assert isinstance(text, str)
    assert len(text) == 50
    assert set(text) <= set(LETTERS)


def test_length_is_1000_by_default(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(refresh=None)) == 1000


def test_length_0_is_the_empty_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(0) == ""


def test_length_0_of_a_token_model_is_the_empty_list() -> None:
    assert tokens().sample(0) == []


def test_the_same_seed_gives_the_same_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(100, seed=5) == gen.sample(100, seed=5)


def test_another_seed_gives_another_text(gen: lstmgen.Generator) -> None:
    assert gen.sample(100, seed=5) != gen.sample(100, seed=6)


def test_no_seed_is_a_new_seed(gen: lstmgen.Generator) -> None:
    assert gen.sample(100) != gen.sample(100)


def test_the_largest_seed_is_one_of_its_own(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, seed=2**64 - 1) != gen.sample(50, seed=0)


def test_a_numpy_integer_is_an_integer(gen: lstmgen.Generator) -> None:
    assert gen.sample(int(np.int64(9)), seed=3) == gen.sample(9, seed=int(np.uint64(3)))


@pytest.mark.parametrize("refresh", [1, 3, None])
@pytest.mark.parametrize("threads", [2, 3, 64])
def test_threads_change_nothing(gen: lstmgen.Generator, threads: int, refresh: int | None) -> None:
    many = lstmgen.Generator(gen.model, threads=threads)
    assert many.sample(60, seed=1, refresh=refresh) == gen.sample(60, seed=1, refresh=refresh)


def test_a_longer_sample_begins_as_the_shorter_one(gen: lstmgen.Generator) -> None:
    assert str(gen.sample(80, seed=2)).startswith(str(gen.sample(30, seed=2)))


@pytest.mark.parametrize("refresh", [1, 4, None])
def test_temperature_0_takes_the_most_likely_element(gen: lstmgen.Generator, refresh: int | None) -> None:
    ids = gen.model.prime.tolist()
    drawn = ids_of(str(gen.sample(30, temp=0, refresh=refresh)))
    for count, i in enumerate(drawn):
        # A window is kept for `refresh` elements.
        context = ids if refresh is None else ids[-(T + count % refresh) :]
        assert i == exact(context).argmax()
        ids.append(i)


def test_temperature_0_needs_no_seed(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temp=0, seed=1) == gen.sample(50, temp=0, seed=2)


def test_temperature_is_an_alias(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temperature=0.5, seed=1) == gen.sample(50, 0.5, seed=1)


def test_inverse_temperature_is_one_over_it(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, inverse_temp=4, seed=1) == gen.sample(50, temp=0.25, seed=1)


def test_the_smallest_temperature_takes_the_most_likely_element(gen: lstmgen.Generator) -> None:
    assert gen.sample(50, temp=5e-324) == gen.sample(50, temp=0)


def test_an_enormous_temperature_is_uniform(gen: lstmgen.Generator) -> None:
    np.testing.assert_allclose(gen.probabilities(temp=1e300), 1 / N)


def test_a_sample_leaves_the_generator_as_it_was(gen: lstmgen.Generator) -> None:
    first = gen.sample(20, seed=9)
    gen.sample(33, seed=1, prime="abc")
    assert gen.sample(20, seed=9) == first


# -- stop ------------------------------------------------------------------------------------------


def test_stop_ends_the_text_and_stays_in_it(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stop = whole[40:43]
    assert gen.sample(500, seed=1, stop=stop) == whole[: whole.index(stop) + 3]


def test_the_first_of_several_stops_counts(gen: lstmgen.Generator) -> None:
    whole = str(gen.sample(500, seed=1))
    stops = [whole[90:94], whole[40:43], whole[60:65]]
    end = min(whole.index(stop) + len(stop) for stop in stops)
    assert gen.sample(500, seed=1, stop=stops) == whole[:end]


def test_a_stop_in_the_prime_does_not_count(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(1, prime="ab", stop="ab")) == 1


def test_a_stop_that_never_comes_ends_nothing(gen: lstmgen.Generator) -> None:
    assert len(gen.sample(50, stop="abcdefghijkabcdefghijk")) == 50


def test_stop_of_a_token_model_is_a_sequence_of_elements() -> None:
    gen = tokens()
    whole = gen.sample(500, seed=1)
    pairs = list(pairwise(whole))
    end = pairs.index(("cat", "sat")) + 2
    assert gen.sample(500, seed=1, stop="cat sat") == whole[:end]


def test_stop_of_white_space_is_an_error_of_a_token_model() -> None:
    with pytest.raises(ValueError, match=r"stop: expected texts of at least one element, found '  '"):
        tokens().sample(5, stop="  ")
