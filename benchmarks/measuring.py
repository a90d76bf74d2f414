"""What the benchmarks share: drawing for a while, medians with their spread, tables."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import lstmgen

Draw = Callable[[int], object]  # draws this number of elements, each fed back


def sampler(model: lstmgen.Model, refresh: int | None, threads: int = 1, temp: float = 1) -> Draw:
    """What `Generator.sample` does when all windows are in flight, some time after the prime."""
    prime = np.zeros(max(1, model.window), int)
    stream = lstmgen.Generator(model, threads=threads).stream(prime=prime, temp=temp, seed=0, refresh=refresh)
    stream.take(2 * model.window if refresh else 1)
    return stream.take


def many(model: lstmgen.Model, n: int, threads: int = 1) -> Draw:
    """Draws n sequences of that number of elements each, the state carried."""
    generator = lstmgen.Generator(model, threads=threads)
    return lambda count: generator.sample_many(n, count, prime=[0], seed=0, refresh=None)


def timed(draw: Draw, count: int) -> tuple[float, float]:
    """Seconds on the clock, and of all processors."""
    start, busy = time.perf_counter(), time.process_time()
    draw(count)
    return time.perf_counter() - start, time.process_time() - busy


def elements_in(draw: Draw, seconds: float) -> int:
    """How many elements take about so long; a warm-up too."""
    draw(1)
    count = 1
    while (spent := timed(draw, count)[0]) < seconds / 4:
        count *= 2
    return max(1, round(count * seconds / spent))


def some_of(known: dict[str, Any]) -> Callable[[str], list[Any]]:
    """For an option: values of `known` by their names, with commas between."""

    def parse(text: str) -> list[Any]:
        if unknown := [name for name in text.split(",") if name not in known]:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, found {unknown[0]!r}")
        return [known[name] for name in text.split(",")]

    return parse


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{float(f'{value:.3g}'):,g}"


def spread(values: Any) -> str:
    """Median, and half the distance between the quartiles as a share of it."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{figure(median)} ± {(high - low) / 2 / median:.0%}"


def table(rows: list[list[str]], *, markdown: bool = True) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def about(packages: Iterable[str] = ()) -> str:
    """Where, when, how and with which packages this was measured."""
    cpu = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        cpu = next((x.split(":")[1].strip() for x in facts.read_text().splitlines() if x.startswith("model name")), cpu)
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    versions = ", ".join([f"lstmgen {lstmgen.__version__}", *(f"{name} {version(name)}" for name in packages)])
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cpu}, {os.cpu_count()} CPUs{load}; {versions}; `{command}`"
