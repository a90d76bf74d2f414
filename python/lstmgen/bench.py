"""How fast a model samples on this machine, beside what the machine can do at best."""

from __future__ import annotations

import os
import time
import warnings
from typing import NamedTuple

import numpy as np

from lstmgen.binfile.rounding import DTYPES, NUMBER_BYTES
from lstmgen.generator import Generator
from lstmgen.model import Model
from lstmgen.network import LAYER_TYPES
from lstmgen.options import Elements
from lstmgen.stream import Stream

SAME_BITS = 0.02  # an element: what changes the score of a text less is no other model


class Mode(NamedTuple):
    """One way of sampling, measured."""

    name: str
    elements_per_second: float
    limit: str  # what bounds it: "arithmetic" or "memory"
    share: float  # of that limit, on one thread


class Advice(NamedTuple):
    """An option of `sample` or `export`, what it brings, and what it does to the score of a text."""

    option: str
    window: float | None  # times as fast with windows; None: the option does not apply
    carried: float | None  # times as fast with carried state
    bits: float  # an element of the text, with the option
    before: float  # without it

    @property
    def recommended(self) -> bool:
        """Whether it is faster and leaves the score of the text the same: within SAME_BITS, or 1 %."""
        faster = max(self.window or 0, self.carried or 0) > 1.05
        return faster and self.bits <= self.before + max(SAME_BITS, self.before / 100)


def lane_macs(model: Model) -> int:
    """Multiply-adds of one lane for one element: what recurrent layers cannot share among windows."""
    macs = 0
    shared = True  # the input of the first recurrent layer is the same in all windows
    for layer in model.layers:
        if gates := LAYER_TYPES[layer.type].gates:
            macs += gates * layer.outputs * (layer.outputs + (0 if shared else layer.input_size))
            shared = False
    return macs


def step_bytes(model: Model) -> int:
    """Bytes of weights that one carried step reads."""
    weights = 0
    for i, layer in enumerate(model.layers):
        one_row = i == 0 and model.encoding in ("onehot", "index")
        inputs = 1 if one_row else layer.input_size
        if gates := LAYER_TYPES[layer.type].gates:
            weights += gates * layer.outputs * (inputs + layer.outputs)
        elif layer.type in ("dense", "embedding"):
            weights += inputs * layer.outputs
    return weights * NUMBER_BYTES[model.dtype]


def measure(model: Model, seconds: float = 1.0) -> list[Mode]:
    """Sample with windows and with carried state for about `seconds` each, on one thread; medians
    of five runs.
    """
    macs_per_second, bytes_per_second = model.measure_limits()
    generator = Generator(model)
    modes = []
    if model.window:
        rate = _rate(generator, 1, seconds)
        share = rate * lane_macs(model) * model.window / macs_per_second
        modes.append(Mode("window (refresh=1)", rate, "arithmetic", share))
    if not model.whole:
        rate = _rate(generator, None, seconds)
        share = rate * step_bytes(model) / bytes_per_second
        modes.append(Mode("carried (refresh=None)", rate, "memory", share))
    return modes


def advise(model: Model, seconds: float = 1.0, text: Elements | None = None) -> list[Advice]:
    """What other options would bring, each measured beside the model as it is, on one thread.

    text: what is scored with each of them: text, elements or ids; by default elements drawn from
        the model itself, as many as take about `seconds`, but at least 200 and at most 2,000.
    """
    base = Generator(model)
    window = bool(model.window)
    carried = not model.whole
    whole = 1 if window or not carried else None
    scored: Elements = _drawn(base, whole, seconds) if text is None else text

    def gain(other: Generator, refresh: int | None) -> float:
        return _rate(other, refresh, seconds / 2) / _rate(base, refresh, seconds / 2)

    def bits(generator: Generator, refresh: int | None) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that carried state is another model is what is measured
            return generator.score(scored, refresh=refresh).bits_per_element

    before = bits(base, whole)
    advice = []
    if window and carried:
        faster = _rate(base, None, seconds / 2) / _rate(base, 1, seconds / 2)
        advice.append(Advice("--carry", faster, None, bits(base, None), before))
    threads = os.cpu_count() or 1
    if window and carried and threads > 1:
        faster = gain(Generator(model, threads=threads), 1)
        advice.append(Advice(f"--threads {threads}", faster, None, before, before))
    for dtype in DTYPES[DTYPES.index(model.dtype) + 1 :]:
        other = Generator(Model(model.to_bytes(), dtype=dtype))
        gains = (gain(other, 1) if window else None, gain(other, None) if carried else None)
        advice.append(Advice(f"--dtype {dtype}", *gains, bits(other, whole), before))
    return advice


def _drawn(generator: Generator, refresh: int | None, seconds: float) -> list[str | int]:
    """Elements of the model's own, for a score."""
    prime = generator.model.prime.tolist() or [0] * max(1, generator.model.window)
    end = time.perf_counter() + seconds
    drawn: list[str | int] = []
    for element in generator.stream(2000, prime=prime, seed=0, refresh=refresh):
        drawn.append(element)
        if len(drawn) >= 200 and time.perf_counter() > end:
            break
    return drawn


def _rate(generator: Generator, refresh: int | None, seconds: float) -> float:
    """Elements per second, when all windows are in flight, some time after the prime."""
    model = generator.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        prime = model.prime if len(model.prime) else np.zeros(max(1, model.window), int)
        stream = generator.stream(prime=prime, seed=0, refresh=refresh)
    stream.take(min(2 * model.window, 1000))
    count, spent = 1, 0.0
    while spent < seconds / 20:  # how many elements fill a tenth of the time
        count *= 2
        spent = _time(stream, count)
    times = sorted(_time(stream, 2 * count) for _ in range(5))
    return 2 * count / times[2]


def _time(stream: Stream, count: int) -> float:
    start = time.perf_counter()
    stream.take(count)
    return time.perf_counter() - start
