"""The native module: options by name, and generators that change and are copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmgen import _core
from support.networks import network, packed

NETWORK = network()
PRIME = np.arange(5, dtype=np.uint32)


@pytest.fixture(scope="module")
def model() -> _core.Model:
    return _core.Model.from_bytes(packed(NETWORK), "test")


def primed(model: _core.Model, refresh: int = 1, **options: Any) -> _core.Generator:
    generator = _core.Generator(model, options, refresh=refresh, threads=1)
    generator.feed(PRIME)
    return generator


def draw(generator: _core.Generator, n: int = 30) -> list[int]:
    return [int(element) for element in generator.sample(n)]


@pytest.mark.parametrize(
    "options",
    [
        {"temp": 0.0},
        {"top_k": 1},
        {"top_p": 1e-6},
        {"min_p": 1.0},
        {"logit_bias": [(i, float("-inf")) for i in range(1, NETWORK.outputs)]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_each_option_reaches_the_member_of_its_name(model: _core.Model, options: dict[str, Any]) -> None:
    """Each of these leaves a single element, when the generator is made and when it changes."""
    assert np.count_nonzero(primed(model, **options).probabilities()) == 1
    generator = primed(model)
    assert np.count_nonzero(generator.probabilities()) == NETWORK.outputs
    generator.set_options(options)
    assert np.count_nonzero(generator.probabilities()) == 1
    generator.set_options(_core.sampler_defaults())
    assert np.count_nonzero(generator.probabilities()) == NETWORK.outputs


def test_an_unknown_option_is_an_error(model: _core.Model) -> None:
    for call in (
        lambda: primed(model, tmep=1.0),
        lambda: primed(model).set_options({"refresh": 1}),
        lambda: _core.sample_many(model, [PRIME], [{"topk": 1}], length=1, stops=[], refresh=0, threads=1),
    ):
        with pytest.raises(TypeError, match=r"does not know one of these options: \['(tmep|refresh|topk)'\]"):
            call()


@pytest.mark.parametrize("refresh", [0, 1, 5])
def test_a_generator_is_copied(model: _core.Model, refresh: int) -> None:
    generator = primed(model, refresh, seed=3)
    first = draw(generator)
    clone = generator.clone()
    assert draw(clone) == draw(generator)
    assert draw(primed(model, refresh, seed=3)) == first != draw(primed(model, refresh, seed=4))
