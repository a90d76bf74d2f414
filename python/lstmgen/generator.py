"""Sampling from a model."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen import _core
from lstmgen.model import Model, Source
from lstmgen.vocabulary import Ids, check_sequence

if TYPE_CHECKING:
    from lstmgen.exporting import ExportOptions

Elements = str | Iterable[str | int]
LogitBias = Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]

T = TypeVar("T")
_PIECE = 16  # elements of a prime


class Score(NamedTuple):
    """How well a model predicts a text."""

    bits_per_element: float
    perplexity: float
    elements: int


class Generator:
    """Draws sequences from a model, element by element.

    `source` is anything that `Model` takes, with its options, or a `Model`. `threads` share the work of the window
    lanes; the results do not depend on it.

    Any number of threads may use one generator: every sample is on its own. Only `resume` and `save_state` mean the
    `sample` or `stream` that was called last. Copies share the model; a generator pickles with it. Neither takes along
    what could be resumed.
    """

    def __init__(
        self,
        source: Source | Model,
        *,
        threads: int = 1,
        **options: Unpack[ExportOptions],
    ) -> None:
        if isinstance(source, Model) and options:
            raise TypeError(f"a Model takes no {', '.join(options)}")
        self.model = source if isinstance(source, Model) else Model(source, **options)
        if self.model.labels:
            raise ValueError("a classifier: it has labels, it does not generate; Model.classify says what it finds")
        if self.model._native.info.predictor:
            raise ValueError(
                "a predictor: its outputs are no elements to feed back, it does not generate; Model.predict gives them"
            )
        if self.model.heads:
            raise ValueError("its outputs together are a note: lstmgen.music.NoteGenerator draws notes")
        if self.model.encoding == "features":
            raise ValueError(
                "the network reads features: it predicts, but does not generate, since "
                "its outputs are no elements to feed back"
            )
        self.threads = _at_least("threads", threads, 1)
        self._last: _core.Generator | None = None  # what `resume` and `save_state` mean

    def sample(
        self,
        length: int = 1000,
        temp: float | None = None,
        *,
        prime: Elements | None = None,
        include_prime: bool = False,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repeat_penalty: float | None = None,
        logit_bias: LogitBias | None = None,
        stop: str | Sequence[str] | None = None,
        refresh: int | None = 1,
        on_unknown: str = "error",
        temperature: float | None = None,
        inverse_temp: float | None = None,
        resume: bool = False,
    ) -> str | list[str] | list[int]:
        """Draw `length` elements: a str for a text model, a list of elements for tokens, of ids without a vocabulary.

        temp: the lesson's tau, by default 1: p_i is proportional to y_i ** (1 / temp); 0 is the most likely element.
            `temperature` is an alias; `inverse_temp` is 1 / temp. Only one of the three may be given.
        prime: what comes before the first element, as text, elements or ids; None or empty: the file's own. Without
            one, a model with padding starts from a window of nothing but padding, unless the state is carried.
        seed: the same seed gives the same sequence, whatever `threads` is and on every instruction set; None: a new
            one.
        top_k, top_p, min_p, repeat_penalty, logit_bias: filters as in llama.cpp, off by default.
        stop: end with the first of these, which is still part of the result.
        refresh: 1: each element from a fresh window of the last T elements, as a loop over `predict`; N: a window is
            kept for N elements, N times faster; None: the state is carried on for ever, fastest, and the only way for a
            model without a window.
        on_unknown: what to do with elements of `prime` outside the vocabulary: "error", "skip", or an element to put
            instead.
        resume: go on where the last `sample` or `stream` of this generator, or the state of `load_state`, has stopped,
            as if it had not: with its options, so of these only length, prime (which comes first; None: nothing),
            include_prime, stop and on_unknown may be given; a stop is looked for in the new elements alone.
        """
        length = _at_least("length", length, 0)
        sampling = Sampling(temp, temperature, inverse_temp, seed, top_k, top_p, min_p)
        stops = self._stops(stop)
        run, ids = self._start(sampling, prime, on_unknown, refresh, repeat_penalty, logit_bias, resume=resume)
        drawn = run.sample(length, stops) if length else np.empty(0, np.uint32)
        return self._decode(np.concatenate([ids, drawn]) if include_prime else drawn)

    def stream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        *,
        prime: Elements | None = None,
        include_prime: bool = False,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repeat_penalty: float | None = None,
        logit_bias: LogitBias | None = None,
        stop: str | Sequence[str] | None = None,
        refresh: int | None = 1,
        on_unknown: str = "error",
        temperature: float | None = None,
        inverse_temp: float | None = None,
        resume: bool = False,
    ) -> Iterator[str | int]:
        """Yield the elements of the same `sample` as they are drawn.

        `length=None` never ends. Closing the iterator stops it: `resume` then goes on after the last element that it
        gave.
        """
        if length is not None:
            length = _at_least("length", length, 0)
        sampling = Sampling(temp, temperature, inverse_temp, seed, top_k, top_p, min_p)
        stops = self._stops(stop)
        run, ids = self._start(sampling, prime, on_unknown, refresh, repeat_penalty, logit_bias, resume=resume)
        return self._stream(run, ids if include_prime else ids[:0], length, stops)

    def sample_many(
        self,
        n: int,
        length: int = 1000,
        temp: float | Sequence[float] | None = None,
        *,
        prime: Elements | Sequence[Elements | None] | None = None,
        include_prime: bool = False,
        seed: int | Sequence[int] | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repeat_penalty: float | None = None,
        logit_bias: LogitBias | None = None,
        stop: str | Sequence[str] | None = None,
        refresh: int | None = 1,
        on_unknown: str = "error",
        temperature: float | Sequence[float] | None = None,
        inverse_temp: float | Sequence[float] | None = None,
    ) -> list[str | list[str] | list[int]]:
        """Draw `n` sequences side by side, which is faster than one after the other.

        The keywords are those of `sample`, and sequence i is what `sample` draws with the i-th of each.

        temp, temperature, inverse_temp: for all, or a list of `n`.
        prime: for all, or a list of `n`: of texts, or, if the model's elements are no letters, of lists.
        seed: a list of `n`; or an integer: the seeds are seed, seed + 1, ...; None: a new one for each.
        """
        n = _at_least("n", n, 0)
        length = _at_least("length", length, 0)
        _check_refresh(refresh)
        if isinstance(seed, (int, np.integer)):
            seed = [_at_least("seed", seed, 0, bits=64) + i for i in range(n)]
        seeds = _each("seed", seed, n)
        temps, temperatures, inverses = (
            _each(name, value, n)
            for name, value in (("temp", temp), ("temperature", temperature), ("inverse_temp", inverse_temp))
        )
        samplings = [
            Sampling(temps[i], temperatures[i], inverses[i], seeds[i], top_k, top_p, min_p).options for i in range(n)
        ]
        primes = self._primes(prime, n, on_unknown, refresh)
        if not samplings:
            return []
        options = {key: samplings[0][key] for key in ("top_k", "top_p", "min_p")}
        drawn = _core.sample_many(
            self.model._native,
            primes,
            [s["temp"] for s in samplings],
            [s["seed"] for s in samplings],
            length=length,
            stops=self._stops(stop),
            threads=self.threads,
            **self._options(refresh, repeat_penalty, logit_bias),
            **options,
        )
        return [
            self._decode(np.concatenate([p, ids]) if include_prime else ids)
            for p, ids in zip(primes, drawn, strict=True)
        ]

    def astream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        *,
        prime: Elements | None = None,
        include_prime: bool = False,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repeat_penalty: float | None = None,
        logit_bias: LogitBias | None = None,
        stop: str | Sequence[str] | None = None,
        refresh: int | None = 1,
        on_unknown: str = "error",
        temperature: float | None = None,
        inverse_temp: float | None = None,
    ) -> AsyncIterator[str | int]:
        """Yield the elements of the same `stream` in a coroutine.

        The event loop's default executor draws, some elements at a time and only while they are waited for. Cancelling
        the task, or `aclose`, stops it within a few hundredths of a second.
        """
        if length is not None:
            length = _at_least("length", length, 0)
        sampling = Sampling(temp, temperature, inverse_temp, seed, top_k, top_p, min_p)
        ids = self._prime("prime", prime, on_unknown, refresh)
        run = self._native(sampling, refresh, repeat_penalty, logit_bias)
        # In a carried state, a prime may be read in pieces: a long one can be stopped.
        size = max(1, len(ids)) if refresh and self.model.window else _PIECE
        reading = map(run.feed, (ids[at : at + size] for at in range(0, len(ids), size)))
        drawn = self._stream(run, ids if include_prime else ids[:0], length, self._stops(stop))
        return _in_executor(reading, drawn)

    def save_state(self) -> bytes:
        """All that the elements to come of the last `sample` or `stream` depend on, but the model.

        It may be one that still goes on: the state is that after the last element it gave. The bytes, 2.6 kB and the
        window or what the network carries, are the same on every machine. Raises `ValueError` if there is nothing to
        resume; `astream` and `sample_many` do not count. In a signal handler below a `sample` it is an error: set a
        flag there, and look at it in a loop over `stream`.
        """
        return self._resumed().save_state()

    def load_state(self, state: bytes | bytearray | memoryview) -> None:
        """Let `sample` and `stream` with `resume=True` go on from a state, in whichever process it was saved.

        They draw the elements that would have come there, bit for bit, whatever `threads` is. Raises `ModelFormatError`
        for bytes that are no state, or a damaged one, and `ValueError` for the state of another model, with other
        weights or another dtype.
        """
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise TypeError(f"state: expected bytes, found {type(state).__name__}")
        self._last = _core.Generator.load_state(self.model._native, bytes(state), threads=self.threads)

    def probabilities(
        self,
        context: Elements | None = None,
        temp: float | None = None,
        *,
        refresh: int | None = 1,
        on_unknown: str = "error",
        temperature: float | None = None,
        inverse_temp: float | None = None,
    ) -> NDArray[np.float64]:
        """Return the distribution (n_vocab,) of the element after `context`.

        Of the context the last T elements count, with padding before them if there are fewer and the model has padding,
        or all with `refresh=None`; None or empty: the file's own prime.
        """
        _check_refresh(refresh)
        ids = self._prime("context", context, on_unknown, refresh)
        if refresh is not None and self.model.window:
            ids = self._window(ids)
        if not self.model._native.info.whole and refresh is not None:
            # One lane from the start of the context is enough: the window is as long as that. Zeros, which are no
            # ids, need a window.
            short = self.model.zero_padding and len(ids) < self.model.window
            refresh = 1 if short or self.model.needs_windows else None
        run = self._native(Sampling(temp, temperature, inverse_temp, seed=0), refresh)
        run.feed(ids)
        return run.probabilities()

    def score(self, text: Elements, *, refresh: int | None = 1, on_unknown: str = "error") -> Score:
        """Bits per element and perplexity of `text`, each element but the first predicted from those before it.

        With `refresh=1` from the last T of them, with None from all. Needs at least two elements.
        """
        ids = self._ids("text", text, on_unknown)
        if len(ids) < 2:
            raise ValueError(f"text: expected at least 2 elements to score, found {len(ids)}")
        run = self._native(Sampling(seed=0), refresh)
        run.feed(ids[:1])
        bits = float(-run.score(ids[1:]).mean() / math.log(2))
        return Score(bits, 2.0**bits if bits < 1024 else math.inf, len(ids) - 1)

    def __repr__(self) -> str:
        return f"<lstmgen.Generator of {self.model!r}, threads {self.threads}>"

    # -- inside ----------------------------------------------------------------------------------

    def _native(
        self,
        sampling: Sampling,
        refresh: int | None,
        repeat_penalty: float | None = None,
        logit_bias: LogitBias | None = None,
    ) -> _core.Generator:
        options = self._options(refresh, repeat_penalty, logit_bias)
        return _core.Generator(self.model._native, threads=self.threads, **options, **sampling.options)

    def _options(
        self, refresh: int | None, repeat_penalty: float | None, logit_bias: LogitBias | None
    ) -> dict[str, Any]:
        """The native options that all sequences share."""
        _check_refresh(refresh)
        if refresh != 1 and (why := self.model.needs_windows):
            warnings.warn(f"carried state gives another model here: {why}", UserWarning, stacklevel=4)
        if refresh is not None and not self.model.window:
            if refresh > 1 or self.model._native.info.whole:
                raise ValueError("the model was saved without a fixed window: export it with window=")
            refresh = None
        return {
            "refresh": refresh or 0,
            "repeat_penalty": 1.0 if repeat_penalty is None else _number("repeat_penalty", repeat_penalty),
            "logit_bias": self._biases({} if logit_bias is None else logit_bias),
        }

    def _biases(self, logit_bias: LogitBias) -> list[tuple[int, float]]:
        if not isinstance(logit_bias, Mapping):
            raise TypeError(f"logit_bias: expected a mapping from elements or ids to numbers, found {logit_bias!r:.60}")
        return [
            (int(self._ids("logit_bias", [key], "error")[0]), _number("logit_bias", x)) for key, x in logit_bias.items()
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def _resumed(self) -> _core.Generator:
        if self._last is None:
            raise ValueError("there is nothing to resume: sample, stream or load_state comes first")
        return self._last

    def _start(
        self,
        sampling: Sampling,
        prime: Elements | None,
        on_unknown: str,
        refresh: int | None,
        repeat_penalty: float | None,
        logit_bias: LogitBias | None,
        *,
        resume: bool = False,
    ) -> tuple[_core.Generator, Ids]:
        if resume:
            if sampling.given or refresh != 1 or repeat_penalty is not None or logit_bias is not None:
                raise ValueError("resume: expected no temp, seed, filters or refresh: those of the start hold")
            run, ids = self._resumed(), self._ids("prime", [] if prime is None else prime, on_unknown)
        else:
            ids = self._prime("prime", prime, on_unknown, refresh)
            run = self._native(sampling, refresh, repeat_penalty, logit_bias)
        run.feed(ids)
        self._last = run
        return run, ids

    def _ids(self, name: str, what: Elements, on_unknown: str) -> Ids:
        """Ids of the argument `name`."""
        check_sequence(name, what)
        if self.model.vocabulary is not None:
            return self.model.vocabulary.encode(what, on_unknown)
        if isinstance(what, str):
            raise ValueError("the model has no vocabulary: give ids, or export it with vocab=")
        return _plain_ids(what, self.model.outputs)

    def _prime(self, name: str, what: Elements | None, on_unknown: str, refresh: int | None) -> Ids:
        """Ids of a prime, the argument `name`; the file's own if there is none. Empty where padding comes instead."""
        ids = self._ids(name, [] if what is None else what, on_unknown)
        if len(ids) == 0:
            ids = self.model.prime
        padded = self.model.padding is not None or self.model.zero_padding
        if len(ids) == 0 and not (padded and self.model.window and refresh):
            raise ValueError("the model has no default prime: give prime=")
        return ids

    def _primes(
        self, prime: Elements | Sequence[Elements | None] | None, n: int, on_unknown: str, refresh: int | None
    ) -> list[Ids]:
        """A prime for each of `n` sequences."""
        kinds: tuple[type, ...] = (list, tuple, np.ndarray, type(None))
        if self.model.vocabulary is not None and self.model.vocabulary.kind != "tokens":
            kinds = (*kinds, str)
        many = isinstance(prime, (list, tuple)) and len(prime) > 0 and all(isinstance(p, kinds) for p in prime)
        if not many:
            one: Any = prime
            return [self._prime("prime", one, on_unknown, refresh)] * n
        return [self._prime("prime", p, on_unknown, refresh) for p in _each("prime", prime, n)]

    def _window(self, ids: Ids) -> Ids:
        """The last T ids; fewer are filled up on the left, if the model has padding."""
        padding = self.model.padding
        missing = self.model.window - len(ids)
        if padding is None or missing <= 0:
            return ids[-self.model.window :]
        return np.concatenate([np.full(missing, padding, np.uint32), ids])

    def _decode(self, ids: Ids) -> str | list[str] | list[int]:
        vocabulary = self.model.vocabulary
        return [int(i) for i in ids] if vocabulary is None else vocabulary.decode(ids.tolist())

    def _stops(self, stop: str | Sequence[str] | None) -> list[list[int]]:
        if stop is None:
            return []
        if not isinstance(stop, Iterable):
            raise TypeError(f"stop: expected a text or a list of texts, found {stop!r:.60}")
        stops = [stop] if isinstance(stop, str) else list(stop)
        ids = [self._ids("stop", s, "error").tolist() for s in stops]
        if not all(ids):
            raise ValueError("stop: expected texts of at least one element, found an empty one")
        return ids

    def _stream(
        self, run: _core.Generator, prime: Ids, length: int | None, stops: list[list[int]]
    ) -> Iterator[str | int]:
        drawn = self._drawn(run, prime, length, stops)
        return drawn if self.model.vocabulary is None else self.model.vocabulary.texts(drawn)

    @staticmethod
    def _drawn(run: _core.Generator, prime: Ids, length: int | None, stops: list[list[int]]) -> Iterator[int]:
        yield from prime.tolist()
        longest = max(map(len, stops), default=0)
        recent: list[int] = []
        drawn = 0
        while length is None or drawn < length:
            i = run.next()
            drawn += 1
            yield i
            if stops:
                recent = [*recent[-longest + 1 :], i] if longest > 1 else [i]
                if any(recent[-len(stop) :] == stop for stop in stops):
                    return


async def _in_executor(reading: Iterator[None], drawn: Iterator[str | int]) -> AsyncIterator[str | int]:
    import asyncio

    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, _some, reading):
        pass
    while elements := await loop.run_in_executor(None, _some, drawn):
        for element in elements:
            yield element


def _some(items: Iterator[T]) -> list[T]:
    """What comes within 10 ms, but one item at least, if there is one."""
    end = time.monotonic() + 0.01
    taken = []
    for item in items:
        taken.append(item)
        if time.monotonic() > end:
            break
    return taken


class Sampling:
    """The options of the native sampler, checked."""

    def __init__(
        self,
        temp: float | None = None,
        temperature: float | None = None,
        inverse_temp: float | None = None,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
    ) -> None:
        given = {"temp": temp, "temperature": temperature, "inverse_temp": inverse_temp}
        names = [name for name, value in given.items() if value is not None]
        if len(names) > 1:
            raise ValueError(f"expected one of temp, temperature, inverse_temp, found {names}")
        value = _number(names[0], given[names[0]]) if names else 1.0
        if not math.isfinite(value) or value < 0 or (value == 0 and inverse_temp is not None):
            least = ">= 0" if inverse_temp is None else "> 0"
            raise ValueError(f"{names[0]}: expected a number {least}, found {value}")
        if inverse_temp is not None:
            value = 1 / value
        self.given = bool(names) or any(option is not None for option in (seed, top_k, top_p, min_p))
        seed = int.from_bytes(os.urandom(8)) if seed is None else _at_least("seed", seed, 0, bits=64)
        self.options: dict[str, Any] = {
            "temp": value,
            "seed": seed,
            "top_k": 0 if top_k is None else _at_least("top_k", top_k, 1),
            "top_p": 1.0 if top_p is None else _number("top_p", top_p),
            "min_p": 0.0 if min_p is None else _number("min_p", min_p),
        }


def _plain_ids(what: Iterable[str | int], outputs: int) -> Ids:
    ids = list(what)
    for position, i in enumerate(ids):
        if not isinstance(i, (int, np.integer)) or not 0 <= i < outputs:
            raise ValueError(f"element at position {position}: expected an id from 0 to {outputs - 1}, found {i!r}")
    return np.array(ids, np.uint32)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, found {value!r}")
    return float(value)


def _at_least(name: str, value: int, least: int, bits: int = 63) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, found {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, found {value}")
    if value >= 2**bits:
        raise ValueError(f"{name}: expected below 2**{bits}, found {value}")
    return int(value)


def _each(name: str, value: Any, n: int) -> list[Any]:
    """A value for each of `n` sequences."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"{name}: expected one for all or {n}, found {len(value)}")
    return list(value)


def _check_refresh(refresh: int | None) -> None:
    if refresh is not None:
        _at_least("refresh", refresh, 1)
