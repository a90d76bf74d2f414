"""How near sampling comes to the limits of this machine, for each model, dtype and instruction set.

python benchmarks/targets.py --help

A share is a part of a limit that is measured next to each figure. The limits are multiply-adds of
float32 in registers, and repeated reading of as many bytes as a step reads weights. All runs on one
thread, in processor time, except the gain of the second thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lstmgen
from lstmgen import _core
from lstmgen.bench import lane_macs, step_bytes
from lstmgen.binfile import rounding, writer
from lstmgen.network import Layer, Network
from measuring import Draw, elements_in, many, sampler, spread

ROUNDS = 7
MANY = 64
DTYPES = rounding.DTYPES
MODELS: dict[str, tuple[list[int], list[tuple[int, str]], int]] = {  # LSTM units, dense layers, inputs
    "latex256": ([256], [(92, "softmax")], 92),
    "latex512x2": ([512, 512], [(92, "softmax")], 92),
    "music512x3": ([512, 512, 512], [(256, "relu"), (358, "softmax")], 1),
}


def pack(units: list[int], dense: list[tuple[int, str]], inputs: int, dtype: str, window: int = 100) -> bytes:
    """The file of a network with random weights."""
    rng, layers, size = np.random.default_rng(0), [], inputs
    for i, n in enumerate(units):
        options: dict[str, Any] = {"units": n, "activation": "tanh", "recurrent_activation": "sigmoid"}
        layers.append(Layer("lstm", f"lstm_{i}", options | {"return_sequences": i < len(units) - 1}, {}))
    for i, (n, activation) in enumerate(dense):
        layers.append(Layer("dense", f"dense_{i}", {"units": n, "activation": activation}, {}))
    for layer in layers:
        for name, shape in layer.tensors(size).items():
            layer.arrays[name] = rng.normal(0, 0.05, shape).astype(np.float32)
        size = int(layer.options["units"])
    network = Network(tuple(layers), window, inputs, "3.15.1")
    return writer.pack(network, encoding="scaled" if inputs == 1 else "onehot", dtype=dtype)


def rounds_of(draw: Draw, seconds: float, clock: Callable[[], float]) -> Callable[[], float]:
    """A function that measures once: seconds for one element."""
    count = elements_in(draw, seconds)

    def once() -> float:
        start = clock()
        draw(count)
        return (clock() - start) / count

    return once


def figures(name: str, dtype: str, seconds: float) -> dict[str, Any]:
    """What one process, with its instruction set, measures of one model."""
    model = lstmgen.Model(pack(*MODELS[name], dtype))
    macs, total = lane_macs(model), step_bytes(model)
    step_macs = total // rounding.NUMBER_BYTES[dtype]
    busy, clock = time.process_time, time.perf_counter
    measured = {
        "window": rounds_of(sampler(model, 1), seconds, busy),
        "carried": rounds_of(sampler(model, None), seconds, busy),
        "many": rounds_of(many(model, MANY), seconds, busy),
        "window wall": rounds_of(sampler(model, 1), seconds, clock),
        "window wall 2": rounds_of(sampler(model, 1, 2), seconds, clock),
        "many wall": rounds_of(many(model, MANY), seconds, clock),
        "many wall 2": rounds_of(many(model, MANY, 2), seconds, clock),
    }
    found: dict[str, list[float]] = {key: [] for key in (*measured, "macs", "bytes")}
    for _ in range(ROUNDS):
        for key, limit in zip(("macs", "bytes"), model.measure_limits(), strict=True):
            found[key].append(limit)
        for key, once in measured.items():
            found[key].append(once())
    f = {key: np.array(values) for key, values in found.items()}
    return {
        "isa": model.isa,
        "window ms": spread(f["window"] * 1e3),
        "of the FMA peak": share(macs * model.window / f["window"] / f["macs"]),
        "carried µs": spread(f["carried"] * 1e6),
        "times reading": f"{np.median(f['carried'] * f['bytes'] / total):.2f}",
        f"{MANY} sequences, µs each": spread(f["many"] * 1e6 / MANY),
        "of the FMA peak ": share(step_macs * MANY / f["many"] / f["macs"]),
        "2 threads, window": f"{np.median(f['window wall'] / f['window wall 2']):.2f}",
        "2 threads, many": f"{np.median(f['many wall'] / f['many wall 2']):.2f}",
    }


def share(values: Any) -> str:
    return f"{np.median(values):.0%}"


def in_process(isa: str, *argv: str) -> dict[str, Any]:
    """Return what a process with other kernels measures. Kernels are chosen once in a process."""
    environment = {**os.environ, "LSTMGEN_ISA": isa}
    command = [sys.executable, __file__, "--one", *argv]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between (%(default)s)")
    parser.add_argument("--isas", default=_core.supported_isas()[0], help="instruction sets (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each measurement in each round (%(default)s)")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "DTYPE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, dtype = args.one
        print(json.dumps(figures(name, dtype, args.seconds)))
        return
    first = True
    for name in args.models.split(","):
        for isa in args.isas.split(","):
            for dtype in DTYPES:
                row = {"model": f"{name}, {dtype}"} | in_process(isa, name, dtype, "--seconds", str(args.seconds))
                if first:
                    print("|", " | ".join(map(str.strip, row)), "|")
                    print("|", " | ".join("---" for _ in row), "|")
                    first = False
                print("|", " | ".join(map(str, row.values())), "|", flush=True)


if __name__ == "__main__":
    main()
