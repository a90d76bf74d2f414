"""What one generated element costs with Keras's `model.predict`, other engines and lstmgen.

All do the same work in one run.

python benchmarks/compare.py --help
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lstmgen
from lstmgen.bench import lane_macs, step_bytes
from measuring import Draw, about, elements_in, figure, sampler, some_of, spread, table, timed

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if missing := [name for name in ("tensorflow", "keras") if find_spec(name) is None]:
    sys.exit(f"missing: {', '.join(missing)}; install the extra 'bench': pip install '.[bench]'")

import keras
from keras.layers import LSTM, BatchNormalization, Dense, Dropout

from peers import PEERS, Array, Peer, Unavailable

keras.utils.disable_interactive_logging()  # of conversions

WINDOW = 100
TEMP = 0.67
ROUNDS = 9
MODES = ("window", "carried")
OURS = {"lstmgen": "f32", "lstmgen, bf16": "bf16", "lstmgen, int8": "int8"}  # rows, and their dtypes
TOLERANCE = {"f32": 1e-4, "bf16": 2e-2, "int8": 2e-2}  # of probabilities


# -- the reference models ------------------------------------------------------------------------


def latex256(lstm: Any) -> list[Any]:
    return [lstm(256), Dense(92, "softmax")]


def latex512x2(lstm: Any) -> list[Any]:
    return [lstm(512, return_sequences=True), Dropout(0.2), lstm(512), Dense(92, "softmax")]


def music512x3(lstm: Any) -> list[Any]:
    return [
        lstm(512, return_sequences=True),
        lstm(512, return_sequences=True),
        lstm(512),
        BatchNormalization(),
        Dense(256, "relu"),
        BatchNormalization(),
        Dense(358, "softmax"),
    ]


class Reference(NamedTuple):
    layers: Callable[[Any], list[Any]]
    inputs: int  # as many as outputs: one-hot; 1: the id over the number of outputs


MODELS = {
    "latex256": Reference(latex256, 92),
    "latex512x2": Reference(latex512x2, 92),
    "music512x3": Reference(music512x3, 1),
}


def build(reference: Reference, weights: list[Any], *, carried: bool) -> Any:
    """Return the Keras model. It reads WINDOW elements, or one element with a carried state.

    Without a file its weights are random.
    """
    lstm = partial(LSTM, stateful=carried)
    layers = reference.layers(lstm)
    model = keras.Sequential([keras.Input((1 if carried else WINDOW, reference.inputs), 1), *layers])
    if weights:
        model.set_weights(weights)
    return model


def random_weights(reference: Reference, rng: np.random.Generator) -> list[Any]:
    """Away from the initial values, so that no bias and no statistic is trivial."""
    keras.utils.set_random_seed(0)
    return [w + rng.normal(0, 0.05, w.shape) for w in build(reference, [], carried=False).get_weights()]


# -- generating with a peer ----------------------------------------------------------------------


class Loop:
    """The loop that people write around a network.

    It encodes the last elements, runs the network, and draws the next element.
    """

    def __init__(self, peer: Peer, inputs: int, outputs: int, steps: int) -> None:
        self.peer, self.inputs, self.outputs, self.steps = peer, inputs, outputs, steps
        self.rng = np.random.default_rng(0)
        self.ids = [0] * steps

    def encode(self, ids: list[int]) -> Array:
        if self.inputs == 1:
            return (np.array(ids) / self.outputs).astype(np.float32).reshape(1, -1, 1)
        x = np.zeros((1, len(ids), self.inputs), np.float32)
        x[0, np.arange(len(ids)), ids] = 1
        return x

    def probabilities(self, ids: list[int]) -> Array:
        """After `ids`, which are as many as the network reads at once or a multiple."""
        parts = [ids[i : i + self.steps] for i in range(0, len(ids), self.steps)]
        return [self.peer(self.encode(part)) for part in parts][-1]

    def __call__(self, count: int) -> None:
        for _ in range(count):
            probabilities = self.peer(self.encode(self.ids))
            sums = np.cumsum(probabilities.astype(np.float64) ** (1 / TEMP))
            drawn = int(np.searchsorted(sums, self.rng.random() * sums[-1], side="right"))
            self.ids = [*self.ids[1:], drawn]


# -- measuring -----------------------------------------------------------------------------------

Key = tuple[str, str]  # engine, mode


class Result(NamedTuple):
    name: str
    isa: str
    differences: dict[Key, float]  # the greatest between an engine's probabilities and those of lstmgen in f32
    times: dict[Key, list[float]]  # seconds per element in each round
    shares: dict[str, list[float]]  # of the limit in each round, in processor time, of a mode
    limits: dict[str, list[float]]  # of one thread: multiply-adds a second (window), bytes a second (carried)


def measure(name: str, peers: list[type[Peer]], seconds: float, threads: int) -> Result:
    reference, rng = MODELS[name], np.random.default_rng(0)
    weights = random_weights(reference, rng)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.keras")
        keras.saving.save_model(build(reference, weights, carried=False), source)
        ours = {engine: lstmgen.Model(source, dtype=dtype) for engine, dtype in OURS.items()}
    model = ours["lstmgen"]

    draws: dict[Key, Draw] = {}
    differences: dict[Key, float] = {}
    for mode in MODES:
        carried = mode == "carried"
        ids = rng.integers(0, model.outputs, 20 if carried else WINDOW)
        expected = model.predict(ids[None])[0]
        for kind in peers:
            try:
                peer = kind(build(reference, weights, carried=carried), threads, carried=carried)
            except Unavailable as error:
                print(f"{name}, {mode}: {kind.name} is left out: {error}", file=sys.stderr)
                continue
            loop = Loop(peer, reference.inputs, model.outputs, 1 if carried else WINDOW)
            key = kind.name, mode
            differences[key] = difference(kind.name, kind.dtype, loop.probabilities(ids.tolist()), expected)
            draws[key] = loop
        for engine, other in ours.items():
            key = engine, mode
            differences[key] = difference(engine, other.dtype, other.predict(ids[None])[0], expected)
            draws[key] = sampler(other, None if carried else 1, threads, TEMP)

    slot = seconds / ROUNDS / len(draws)
    counts = {key: elements_in(draw, slot) for key, draw in draws.items()}
    times: dict[Key, list[float]] = {key: [] for key in draws}
    limits: dict[str, list[float]] = {mode: [] for mode in MODES}
    shares: dict[str, list[float]] = {mode: [] for mode in MODES}
    work = {"window": lane_macs(model) * WINDOW, "carried": step_bytes(model)}
    busy: dict[Key, float] = {}
    for _ in range(ROUNDS):
        for mode, limit in zip(MODES, model.measure_limits(), strict=True):
            limits[mode].append(limit)
        for key, draw in draws.items():
            elapsed, busy[key] = timed(draw, counts[key])
            times[key].append(elapsed / counts[key])
        for mode in MODES:
            key = "lstmgen", mode
            shares[mode].append(work[mode] * counts[key] / busy[key] / limits[mode][-1])
    return Result(name, model.isa, differences, times, shares, limits)


def difference(engine: str, dtype: str, found: Array, expected: Array) -> float:
    """The greatest between probabilities after the same elements."""
    greatest = float(np.abs(found - expected).max())
    if not greatest <= TOLERANCE[dtype]:
        sys.exit(f"{engine} does not compute the same: probabilities differ by {greatest:.2g}")
    return greatest


# -- printing ------------------------------------------------------------------------------------


def speeds(results: list[Result]) -> list[list[str]]:
    """Print the times and their ratios.

    A ratio is the median of the ratios within each round. A slow spell of the machine changes it
    less than it changes the times.
    """
    rows = [["model", "engine", "window, ms/element", "/ lstmgen", "carried, µs/element", "/ lstmgen", "difference"]]
    for result in results:
        for engine in dict.fromkeys(engine for engine, _ in result.times):
            cells, differences = [result.name, engine], []
            for mode, scale in zip(MODES, (1e3, 1e6), strict=True):
                if times := result.times.get((engine, mode)):
                    ratio = np.median(np.divide(times, result.times["lstmgen", mode]))
                    cells += [spread(np.array(times) * scale), figure(float(ratio))]
                    differences.append(result.differences[engine, mode])
                else:
                    cells += ["", ""]
            rows.append([*cells, f"{max(differences):.1g}"])
    return rows


def limits(results: list[Result]) -> list[list[str]]:
    rows = [["lstmgen", "arithmetic, GMAC/s", "window's share", "memory, GB/s", "carried's share"]]
    for result in results:
        cells = [f"{result.name}, {result.isa}"]
        for mode in MODES:
            cells += [spread(np.array(result.limits[mode]) / 1e9), f"{np.median(result.shares[mode]):.0%}"]
        rows.append(cells)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    some = "which, with commas between (%(default)s)"
    parser.add_argument("--models", default=",".join(MODELS), type=some_of({name: name for name in MODELS}), help=some)
    parser.add_argument("--peers", default=",".join(PEERS), type=some_of(PEERS), help=some)
    parser.add_argument("--seconds", type=float, default=60, help="of measuring for each model (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of all but TensorFlow (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    if args.threads < 1 or not args.seconds > 0:
        parser.error("--threads and --seconds: expected more than 0")
    peers: list[type[Peer]] = []
    for kind in args.peers:
        if reason := kind.unavailable():
            print(f"{kind.name} is left out: {reason}", file=sys.stderr)
        else:
            peers.append(kind)

    packages = dict.fromkeys(["keras", *(package for kind in peers for package in kind.packages)])
    print(about(packages), end="\n\n", flush=True)
    results = []
    for name in args.models:
        print(f"{name} ...", file=sys.stderr)
        results.append(measure(name, peers, args.seconds, args.threads))
    print(table(speeds(results), markdown=args.markdown), end="\n\n")
    print(table(limits(results), markdown=args.markdown))


if __name__ == "__main__":
    main()
