"""How the time of an element grows with network, window, sequences, length of sample and threads.

python benchmarks/scaling.py [-o scaling.png] [--keep scaling.json]

The network is one-hot 92 > LSTM 256 > Dense 92 softmax in float32 with a window of 100, except for
what grows. Samples of growing length have an LSTM of 64, and growing threads have one of 512. "Side
by side" are 64 sequences with carried states. Times are wall-clock times on one thread, unless
threads or generators grow. Generators run at the same time, and each asks for a thread of every
processor.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lstmgen
from measuring import Draw, about, elements_in, many, sampler, some_of, spread, table, timed
from targets import pack

ROUNDS = 5
SECONDS = 0.1  # of each measurement in each round, but for samples of a given length
SEQUENCES = 64
MODES = ("window", "carried", "side by side")


class Point(NamedTuple):
    """One measurement: `elements` of each of `sequences` are drawn by `draw`."""

    at: int  # how far that grew which grows
    mode: str
    draw: Draw
    elements: int
    sequences: int = 1


def network(units: int = 256, window: int = 100) -> lstmgen.Model:
    return lstmgen.Model(pack([units], [(92, "softmax")], 92, "f32", window))


def alone(at: int, model: lstmgen.Model, mode: str, threads: int = 1) -> Point:
    draw = sampler(model, 1 if mode == "window" else None, threads)
    return Point(at, mode, draw, elements_in(draw, SECONDS))


def side_by_side(at: int, model: lstmgen.Model, sequences: int = SEQUENCES, threads: int = 1) -> Point:
    draw = many(model, sequences, threads)
    elements = max(20, elements_in(draw, SECONDS))  # beside them, the prime's one counts little
    return Point(at, "side by side", draw, elements, sequences)


def units() -> Iterator[Point]:
    for n in (64, 128, 256, 512, 1024, 2048):
        model = network(n)
        yield alone(n, model, "window")
        yield alone(n, model, "carried")
        yield side_by_side(n, model)


def windows() -> Iterator[Point]:
    for steps in (1, 3, 10, 30, 100, 300, 1000):
        yield alone(steps, network(window=steps), "window")


def sequences() -> Iterator[Point]:
    model = network()
    for n in (1, 2, 4, 16, 64, 256, 1024):
        yield side_by_side(n, model, sequences=n)


def lengths() -> Iterator[Point]:
    """Whole samples, from the prime on. Short ones are repeated; the longest carry their state."""
    generator = lstmgen.Generator(network(64))

    def draw(count: int, length: int, refresh: int | None) -> None:
        for _ in range(count // length):
            generator.sample(length, prime=[0] * 100, seed=0, refresh=refresh)

    for mode, refresh, powers in (("window", 1, range(2, 6)), ("carried", None, range(2, 7))):
        for length in (10**power for power in powers):
            yield Point(length, mode, partial(draw, length=length, refresh=refresh), max(length, 10**4))


def threads() -> Iterator[Point]:
    model, cores = network(512), os.cpu_count() or 1
    for n in sorted({cores, *np.geomspace(1, 2 * cores, 8).round().astype(int).tolist()}):
        yield alone(n, model, "window", n)
        yield side_by_side(n, model, threads=n)


def generators() -> Iterator[Point]:
    model, cores = network(), os.cpu_count() or 1
    for n in (1, 2, 8, 32):
        draws = [sampler(model, 1, cores) for _ in range(n)]

        def draw(count: int, draws: list[Draw] = draws) -> None:
            with ThreadPoolExecutor(len(draws)) as pool:
                list(pool.map(lambda one: one(count), draws))

        yield Point(n, "window", draw, elements_in(draws[0], SECONDS), n)


SWEEPS: dict[str, Callable[[], Iterator[Point]]] = {
    "units": units,
    "window": windows,
    "sequences": sequences,
    "length": lengths,
    "threads": threads,
    "generators": generators,
}
Times = dict[tuple[str, int], list[float]]  # µs per element in each round, of (mode, at)


def measure(sweep: Callable[[], Iterator[Point]]) -> Times:
    points = list(sweep())
    times: Times = {(point.mode, point.at): [] for point in points}
    for _ in range(ROUNDS):
        for point in points:
            spent, _ = timed(point.draw, point.elements)
            times[point.mode, point.at].append(spent * 1e6 / point.elements / point.sequences)
    return times


def kept(path: str, names: list[str]) -> dict[str, Times]:
    """The times of sweeps, of which `path` keeps those that an earlier run has measured."""
    file = Path(path)
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        if name not in known:
            known[name] = [[mode, at, values] for (mode, at), values in measure(SWEEPS[name]).items()]
            file.write_text(json.dumps(known))
    return {name: {(mode, at): values for mode, at, values in known[name]} for name in names}


def rows(name: str, times: Times) -> Iterator[list[str]]:
    for at in sorted({at for _, at in times}):
        found = [times.get((mode, at)) for mode in MODES]
        yield [name, f"{at:,}", *("" if values is None else spread(values) for values in found)]


def plot(measured: dict[str, Times], path: str) -> None:
    """A panel for each sweep, with logarithmic axes."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(3 * len(measured), 3.2), layout="constrained")
    panels = picture.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    lines = {}
    for panel, (name, times) in zip(panels, measured.items(), strict=True):
        for i, mode in enumerate(MODES):
            points = sorted((at, np.median(values)) for (other, at), values in times.items() if other == mode)
            if points:
                (lines[mode],) = panel.loglog(*zip(*points, strict=True), f"C{i}o-", markersize=3)
        reached = sorted({at for _, at in times})
        panel.set_xticks(reached, [f"{at:g}" for at in reached], fontsize="small")
        panel.minorticks_off()
        panel.set_xlabel(name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("µs per element")
    picture.legend(lines.values(), lines, loc="outside upper center", ncols=len(lines), frameon=False)
    picture.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = {name: name for name in SWEEPS}
    parser.add_argument("--sweeps", default=",".join(known), type=some_of(known), help="with commas (%(default)s)")
    parser.add_argument("-o", "--output", help="a picture too; wants the extra 'plot'")
    parser.add_argument("--keep", help="a file of times: sweeps that it has are not measured again")
    args = parser.parse_args()

    print(about(), end="\n\n", flush=True)
    measured = kept(args.keep, args.sweeps) if args.keep else {name: measure(SWEEPS[name]) for name in args.sweeps}
    head = ["what grows", "to", *(f"{mode}, µs/element" for mode in MODES)]
    print(table([head, *(row for name, times in measured.items() for row in rows(name, times))]))
    if args.output:
        plot(measured, args.output)


if __name__ == "__main__":
    main()
