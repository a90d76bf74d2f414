"""`astream` gives in a coroutine what `stream` gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import lstmgen
from support.generators import LETTERS, run_python
from support.networks import packed


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


class Gated(ThreadPoolExecutor):
    """Threads that begin no work before `opened` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        def work() -> Any:
            assert self.opened.wait(60)
            return function(*args, **kwargs)

        return super().submit(work)


def test_the_event_loop_runs_on_while_an_element_is_drawn(gen: lstmgen.Generator) -> None:
    async def main() -> list[str | int]:
        executor = Gated()
        asyncio.get_running_loop().set_default_executor(executor)
        drawn: list[str | int] = []

        async def draw() -> None:
            async for element in gen.astream(100, seed=4):
                drawn.append(element)

        drawing = asyncio.create_task(draw())
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not drawn  # the loop kept running, and drew nothing itself
        executor.opened.set()
        await drawing
        return drawn

    assert asyncio.run(main()) == list(gen.stream(100, seed=4))


CANCELLED = """
import asyncio
import numpy as np
import lstmgen
from support.networks import network, packed
gen = lstmgen.Generator(packed(network([("lstm", 512), ("dense", 11, "softmax")], window=200)))
async def draw():
    async for _ in gen.astream(None, {options}):
        pass
async def main():
    task = asyncio.create_task(draw())
    await asyncio.sleep(0.2)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
asyncio.run(main())  # which waits for the threads of the executor
"""


@pytest.mark.parametrize(
    "options", ["refresh=1", "refresh=None, prime=np.zeros(10**7, int)"], ids=["drawing", "reading"]
)
def test_a_cancelled_astream_stops(options: str) -> None:
    run = run_python(CANCELLED.replace("{options}", options))  # run_python ends a program that does not stop
    assert (run.returncode, run.stdout) == (0, "cancelled\n"), run.stderr


def test_a_closed_astream_ends(gen: lstmgen.Generator) -> None:
    async def main() -> list[str | int]:
        stream = gen.astream(None)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return await gathered(stream)

    assert asyncio.run(main()) == []
