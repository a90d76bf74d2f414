"""`astream` is `stream` in a coroutine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

import lstmgen
from support.generators import LETTERS
from support.networks import network, packed


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


async def gathered(elements: AsyncIterator[str | int]) -> list[str | int]:
    return [element async for element in elements]


@pytest.mark.parametrize(
    "options", [{}, {"refresh": None, "prime": LETTERS * 30}, {"include_prime": True, "stop": "ab"}, {"length": 0}]
)
def test_astream_is_stream(gen: lstmgen.Generator, options: dict[str, Any]) -> None:
    options = {"length": 300, "seed": 4, **options}
    assert asyncio.run(gathered(gen.astream(**options))) == list(gen.stream(**options))


def test_astreams_side_by_side_do_not_disturb_each_other(gen: lstmgen.Generator) -> None:
    async def main() -> Any:
        return await asyncio.gather(*(gathered(gen.astream(100, seed=seed)) for seed in range(20)))

    assert asyncio.run(main()) == [list(gen.stream(100, seed=seed)) for seed in range(20)]


def test_astream_checks_its_options_before_the_first_element(gen: lstmgen.Generator) -> None:
    with pytest.raises(ValueError, match="temp: expected a number >= 0, found -1"):
        gen.astream(temp=-1)


def slow() -> lstmgen.Generator:
    """Milliseconds for an element."""
    return lstmgen.Generator(packed(network([("lstm", 512), ("dense", 11, "softmax")], window=200)))


def test_the_event_loop_runs_on_while_an_element_is_drawn() -> None:
    async def main() -> float:
        drawing = asyncio.create_task(gathered(slow().astream(100)))
        longest, last = 0.0, time.perf_counter()
        while not drawing.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        return longest

    began = time.perf_counter()
    longest = asyncio.run(main())
    assert longest < 0.3 * (time.perf_counter() - began)


@pytest.mark.parametrize(
    "options", [{"refresh": 1}, {"refresh": None, "prime": np.zeros(10**6, int)}], ids=["drawing", "reading"]
)
def test_a_cancelled_astream_stops(options: dict[str, Any]) -> None:
    gen = slow()

    async def main() -> None:
        task = asyncio.create_task(gathered(gen.astream(None, **options)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.perf_counter()
    asyncio.run(main())  # which waits for the executor's threads
    assert time.perf_counter() - began < 5


def test_a_closed_astream_ends(gen: lstmgen.Generator) -> None:
    async def main() -> list[str | int]:
        stream = gen.astream(None)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return await gathered(stream)

    assert asyncio.run(main()) == []
