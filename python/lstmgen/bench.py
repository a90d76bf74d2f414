"""How fast a model samples on this machine, beside what the machine can do at best."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from lstmgen import _core
from lstmgen.generator import Generator, Sampling
from lstmgen.model import Model


class Mode(NamedTuple):
    """One way of sampling, measured on one thread."""

    name: str
    elements_per_second: float
    limit: str  # what bounds it: "arithmetic" or "memory"
    share: float  # of that limit


def lane_macs(model: Model) -> int:
    """Multiply-adds of one lane for one element: what recurrent layers cannot share among windows."""
    macs = 0
    shared = True  # the input of the first recurrent layer is the same in all windows
    for layer in model.layers:
        if layer.type == "lstm":
            macs += 4 * layer.outputs * (layer.outputs + (0 if shared else layer.inputs))
            shared = False
    return macs


def step_bytes(model: Model) -> int:
    """Bytes of weights that one carried step reads."""
    size = {"f32": 4, "bf16": 2, "int8": 1}[model.dtype]
    weights = 0
    for i, layer in enumerate(model.layers):
        one_row = i == 0 and model.encoding in ("onehot", "index")
        inputs = 1 if one_row else layer.inputs
        if layer.type == "lstm":
            weights += 4 * layer.outputs * (inputs + layer.outputs)
        elif layer.type in ("dense", "embedding"):
            weights += inputs * layer.outputs
    return weights * size


def measure(model: Model, seconds: float = 1.0) -> list[Mode]:
    """Sample with windows and with carried state for about `seconds` each; medians of five runs."""
    macs_per_second, bytes_per_second = _core.measure_limits(model._native)
    generator = Generator(model)
    modes = []
    if model.window:
        rate = _rate(generator, 1, seconds)
        share = rate * lane_macs(model) * model.window / macs_per_second
        modes.append(Mode("window (refresh=1)", rate, "arithmetic", share))
    rate = _rate(generator, None, seconds)
    share = rate * step_bytes(model) / bytes_per_second
    modes.append(Mode("carried (refresh=None)", rate, "memory", share))
    return modes


def _rate(generator: Generator, refresh: int | None, seconds: float) -> float:
    """Elements per second, when all windows are in flight, some time after the prime."""
    model = generator.model
    run = generator._native(Sampling(seed=0), refresh)
    run.feed(model.prime if len(model.prime) else np.zeros(max(1, model.window), np.uint32))
    run.sample(min(2 * model.window, 1000), [])
    count, spent = 1, 0.0
    while spent < seconds / 20:  # how many elements fill a tenth of the time
        count *= 2
        spent = _time(run, count)
    times = sorted(_time(run, 2 * count) for _ in range(5))
    return 2 * count / times[2]


def _time(run: _core.Generator, count: int) -> float:
    start = time.perf_counter()
    run.sample(count, [])
    return time.perf_counter() - start
