"""How fast a model samples on this machine, compared with the limits of the machine."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from lstmgen.arguments import Number
from lstmgen.binfile.rounding import DTYPES, NUMBER_BYTES
from lstmgen.errors import instance, option
from lstmgen.generator import Generator
from lstmgen.model import Model
from lstmgen.network import LAYER_TYPES
from lstmgen.options import Elements
from lstmgen.progress import counted
from lstmgen.stream import Stream

SAME_BITS = 0.02  # bits of an element: an option that costs fewer leaves the model the same

_SECONDS = Number(0, 86_400, without_least=True)


class Mode(NamedTuple):
    """The measured speed of one way of sampling.

    name: the way of sampling, and the option that chooses it.
    elements_per_second: the speed on one thread.
    limit: the limit of the machine that matters: "arithmetic" or "memory".
    share: which part of that limit one thread reaches, about 0 to 1.

    >>> Mode("carried", 20_000.0, "memory", 0.5).limit
    'memory'
    """

    name: str
    elements_per_second: float
    limit: str
    share: float


class Advice(NamedTuple):
    """What an option of `sample` or `export` does to the speed and to the score of a text.

    option: the option, as the caller types it.
    window: how many times as fast windows are with it. None if the option does not apply to them.
    carried: the same for a carried state.
    bits: the bits of an element of the text with the option.
    before: the bits of an element without it.

    >>> Advice("dtype='bf16'", 1.0, 1.8, bits=1.3, before=1.3).recommended
    True
    """

    option: str
    window: float | None
    carried: float | None
    bits: float
    before: float

    @property
    def recommended(self) -> bool:
        """Whether it is faster, and costs at most `SAME_BITS`, or 1 % of the score."""
        faster = max(self.window or 0, self.carried or 0) > 1.05
        return faster and self.bits <= self.before + max(SAME_BITS, self.before / 100)


def lane_macs(model: Model) -> int:
    """Return how many multiply-adds one window needs for one element.

    Only the work of recurrent layers that windows cannot share counts.

    >>> import lstmgen
    >>> lane_macs(lstmgen.Model("latex")) == 4 * 576 * 576
    True
    """
    instance("model", model, Model)
    macs = 0
    shared = True  # all windows share what the first recurrent layer makes of its input
    for layer in model.layers:
        if gates := LAYER_TYPES[layer.type].gates:
            macs += gates * layer.outputs * (layer.outputs + (0 if shared else layer.input_size))
            shared = False
    return macs


def step_bytes(model: Model) -> int:
    """Return how many bytes of weights one step with a carried state reads.

    >>> import lstmgen
    >>> model = lstmgen.Model("latex")
    >>> 0 < step_bytes(model) <= model.nbytes
    True
    """
    weights = 0
    instance("model", model, Model)
    for i, layer in enumerate(model.layers):
        one_row = i == 0 and model.encoding in ("onehot", "index")
        inputs = 1 if one_row else layer.input_size
        if gates := LAYER_TYPES[layer.type].gates:
            weights += gates * layer.outputs * (inputs + layer.outputs)
        elif layer.type in ("dense", "embedding"):
            weights += inputs * layer.outputs
    return weights * NUMBER_BYTES[model.dtype]


def measure(model: Model, seconds: float = 1.0) -> list[Mode]:
    """Measure how fast a model samples with windows, and how fast with a carried state.

    seconds: how long each measurement takes, above 0, at most a day. It is the median of 5 runs on
        one thread.

    Returns an entry for each way of sampling that the model has.

    >>> import lstmgen
    >>> [mode.limit for mode in measure(lstmgen.Model("latex"), seconds=0.01)]
    ['memory']
    """
    generator = Generator(instance("model", model, Model))
    seconds = _SECONDS.check("seconds", seconds)
    macs_per_second, bytes_per_second = model.measure_limits()
    ways = [*([1] if model.window else []), *([] if model.whole else [None])]
    modes = []
    for refresh in counted(ways, len(ways), "measurements", "measuring"):
        rate = _rate(generator, refresh, seconds)
        if refresh:
            share = rate * lane_macs(model) * model.window / macs_per_second
            modes.append(Mode(f"window ({option('refresh', 1)})", rate, "arithmetic", share))
        else:
            share = rate * step_bytes(model) / bytes_per_second
            modes.append(Mode(f"carried ({option('refresh', None)})", rate, "memory", share))
    return modes


def advise(model: Model, seconds: float = 1.0, text: Elements | None = None) -> list[Advice]:
    """Measure what other options change. Each is compared with the model as it is, on one thread.

    seconds: about how long each measurement takes, above 0, at most a day.
    text: the text, elements or ids to score. By default the model draws 200 to 2000 elements, for
        about `seconds`.

    Raises `ValueError` for a text of fewer than 2 elements, and for unknown elements.

    >>> import lstmgen
    >>> advise(lstmgen.Model("latex"), 0.01)  # it has no window, and its weights are int8 already
    []
    """
    base = Generator(instance("model", model, Model))
    seconds = _SECONDS.check("seconds", seconds)
    window = bool(model.window)
    carried = not model.whole
    whole = 1 if window or not carried else None
    scored: Elements = _drawn(base, whole, seconds) if text is None else text

    def gain(other: Generator, refresh: int | None) -> float:
        return _rate(other, refresh, seconds / 2) / _rate(base, refresh, seconds / 2)

    def bits(generator: Generator, refresh: int | None) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the measurement shows what it warns of
            return generator.score(scored, refresh=refresh).bits_per_element

    def carry() -> Advice:
        faster = _rate(base, None, seconds / 2) / _rate(base, 1, seconds / 2)
        return Advice(option("refresh", None), faster, None, bits(base, None), before)

    def more_threads() -> Advice:
        return Advice(option("threads", threads), gain(Generator(model, threads=threads), 1), None, before, before)

    def smaller(dtype: str) -> Advice:
        other = Generator(Model(model.to_bytes(), dtype=dtype))
        gains = (gain(other, 1) if window else None, gain(other, None) if carried else None)
        return Advice(option("dtype", dtype), *gains, bits(other, whole), before)

    threads = os.cpu_count() or 1
    before = bits(base, whole)
    found: list[Callable[[], Advice]] = [carry] if window and carried else []
    if window and carried and threads > 1:
        found.append(more_threads)
    found += [partial(smaller, dtype) for dtype in DTYPES[DTYPES.index(model.dtype) + 1 :]]
    return [advice() for advice in counted(found, len(found), "options", "measuring what would change it")]


def _drawn(generator: Generator, refresh: int | None, seconds: float) -> list[str | int]:
    """Draw elements from the model, to be scored."""
    prime = generator.model.prime.tolist() or [0] * max(1, generator.model.window)
    end = time.perf_counter() + seconds
    drawn: list[str | int] = []
    for element in generator.stream(2000, prime=prime, seed=0, refresh=refresh):
        drawn.append(element)
        if len(drawn) >= 200 and time.perf_counter() > end:
            break
    return drawn


def _rate(generator: Generator, refresh: int | None, seconds: float) -> float:
    """Return the elements per second, measured when the windows after the prime are full."""
    model = generator.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        prime = model.prime if len(model.prime) else np.zeros(max(1, model.window), int)
        stream = generator.stream(prime=prime, seed=0, refresh=refresh)
    stream.take(min(2 * model.window, 1000))
    count, spent = 1, 0.0
    while spent < seconds / 20:  # until `2 * count` elements take a tenth of the time
        count *= 2
        spent = _time(stream, count)
    times = sorted(_time(stream, 2 * count) for _ in range(5))
    return 2 * count / times[2]


def _time(stream: Stream, count: int) -> float:
    start = time.perf_counter()
    stream.take(count)
    return time.perf_counter() - start
