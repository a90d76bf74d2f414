"""Sampling from a model."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen import _core
from lstmgen.bundled import Source
from lstmgen.errors import OptionError, OptionTypeError, call, option
from lstmgen.model import Model
from lstmgen.options import (
    MANY,
    SHOWN_DEFAULTS,
    TABLE,
    Elements,
    Integer,
    ManyOptions,
    SamplingOptions,
    checked,
    meanings,
    with_positional,
)
from lstmgen.signatures import ExportSignature, with_keywords
from lstmgen.stream import Stream, decode, encode, engine_defaults, engine_options, stop_ids
from lstmgen.vocabulary import Ids

if TYPE_CHECKING:
    from lstmgen.exporting import ExportOptions

T = TypeVar("T")
_PIECE = 16  # elements of a prime


class Score(NamedTuple):
    """How well a model predicts a text."""

    bits_per_element: float
    perplexity: float
    elements: int


class Generator:
    r"""Draws sequences from a model, element by element.

    `source` is anything that `Model` takes, with its options, or a `Model`. `threads` (1 or more)
    share the work of the windows. The results do not depend on it.

    Any number of threads may use one generator: every sample is on its own. Copies share the model.
    A generator pickles with it.

    >>> import lstmgen
    >>> gen = lstmgen.Generator("latex")
    >>> print(gen.sample(36, temp=0, prime="\\begin{definition}\n\\label{"))
    definition-spectral-space}
    Let $X$ b
    """

    __signature__ = ExportSignature()

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
            use = call("Model.classify", "classify")
            raise ValueError(f"a classifier: it has labels, it does not generate; {use} says what it finds")
        if self.model._native.info.predictor:
            use = call("Model.predict", "predict")
            raise ValueError(
                f"a predictor: its outputs are no elements to feed back, it does not generate; {use} gives them"
            )
        if self.model.heads:
            raise ValueError("its outputs together are a note: lstmgen.music.NoteGenerator draws notes")
        if self.model.encoding == "features":
            raise ValueError(
                "the network reads features: it predicts, but does not generate, since "
                "its outputs are no elements to feed back"
            )
        self.threads = Integer(1).check("threads", threads)

    @with_keywords(SamplingOptions, defaults=SHOWN_DEFAULTS, meaning=meanings())
    def sample(
        self, length: int = 1000, temp: float | None = None, /, **options: Unpack[SamplingOptions]
    ) -> str | list[str] | list[int]:
        """Draw `length` elements: a str for a text model, a list of elements for tokens, of ids
        without a vocabulary.

        `length` and `temp` may be given by name, too. docs/sampling.md says what each option means
        and may be. There are fewer elements if one of the texts `stop` comes. Raises `OptionError`,
        a `ValueError`, for an option of a wrong value, and `TypeError` for one that does not exist.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> gen.sample(200, 0.67, seed=1, stop="$") == gen.sample(length=200, temp=0.67, seed=1, stop="$")
        True
        """
        values = with_positional("sample", options, length=length, temp=temp)
        if values["length"] is None:
            raise OptionTypeError("length", "an integer", None)
        found = checked("sample", values)
        if "logprobs" in found:
            raise TypeError(f"{option('logprobs')}: sample gives the elements alone: use stream, and Stream.logprobs")
        if "beam" in found:
            return self._beam(found)
        if "best_of" in found:
            return self._best_of(found)
        stream, ids = self._start("sample", values)
        stream._read(ids)
        return stream.take(values["length"])

    @with_keywords(SamplingOptions, defaults=SHOWN_DEFAULTS)
    def stream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        /,
        *,
        state: bytes | bytearray | memoryview | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Start a sample whose elements come as they are drawn: `Stream` says what can be done with
        it.

        The options are those of `sample`, and `sample` draws what `stream(...).take(length)` does.
        The iteration over the stream ends after `length` elements; None: never.

        state: what `Stream.save_state` gave, in whichever process: the stream goes on from there,
            bit for bit, with the options of the sampler that were in force. Options given beside it
            take their place. `seed` starts new random numbers. `prime` is read after what was
            drawn; without it nothing is. `refresh` cannot change. Raises `ModelFormatError` for
            bytes that are no state, or a damaged one, and `ValueError` for the state of another
            model, with other weights or another dtype.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(seed=1)
        >>> text = stream.take(20)
        >>> text + gen.stream(state=stream.save_state()).take(20) == gen.sample(40, seed=1)
        True
        """
        stream, ids = self._start("stream", with_positional("stream", options, length=length, temp=temp), state)
        stream._read(ids)
        return stream

    @with_keywords(SamplingOptions, defaults=SHOWN_DEFAULTS)
    def astream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        /,
        *,
        state: bytes | bytearray | memoryview | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncIterator[str | int]:
        """Yield the elements of the same `stream` in a coroutine.

        The event loop's default executor draws, some elements at a time and only while they are
        waited for. Cancelling the task, or `aclose`, stops it within a few hundredths of a second.
        """
        stream, ids = self._start("astream", with_positional("astream", options, length=length, temp=temp), state)
        # In a carried state, a prime may be read in pieces: a long one can be stopped.
        pieces = options.get("refresh", 1) is None or not self.model.window
        size = _PIECE if pieces else max(1, len(ids))
        reading = map(stream._read, (ids[at : at + size] for at in range(0, len(ids), size)))
        return _in_executor(reading, stream)

    @with_keywords(ManyOptions, defaults=SHOWN_DEFAULTS)
    def sample_many(
        self,
        n: int,
        length: int = 1000,
        temp: float | Sequence[float] | None = None,
        **options: Unpack[ManyOptions],
    ) -> list[str | list[str] | list[int]]:
        """Draw `n` sequences side by side, which is faster than one after the other.

        The options are those of `sample`. `temp` (or `temperature` or `inverse_temp`), `prime` and
        `seed` may each be a list of `n`, one for each sequence. Sequence i is what `sample` draws
        with the i-th of each. An integer `seed` stands for seed, seed + 1, and so on. A list of
        primes holds texts or, if the elements of the model are no letters, lists.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> many = gen.sample_many(3, 20, [0.5, 0.67, 1.0], seed=7, refresh=None)
        >>> many[2] == gen.sample(20, 1.0, seed=9, refresh=None)
        True
        """
        primes, drawn, _ = self._many("sample_many", n, {**options, "length": length, "temp": temp})
        with_prime = options.get("include_prime")
        return [
            decode(self.model, [*(p[added:].tolist() if with_prime else ()), *ids.tolist()])
            for (p, added), ids in zip(primes, drawn, strict=True)
        ]

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
        """Return the distribution of the element after `context`, shape (n_vocab,). It adds up to
        1.

        Of the context the last T elements count, with padding before them if there are fewer and
        the model has padding, or all with `refresh=None`. None or empty: the file's own prime.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> gen.model.vocabulary.elements[gen.probabilities("\\\\begin{lemm").argmax()]
        'a'
        """
        given = {"temp": temp, "temperature": temperature, "inverse_temp": inverse_temp}
        values = checked("probabilities", {**given, "refresh": refresh, "on_unknown": on_unknown, "seed": 0})
        windows = self._refresh(values, 3)
        ids, _ = self._prime("context", context, values)
        if windows and self.model.window:
            ids = self._window(ids)
            if not self.model.whole:
                # One lane from the start of the context is enough: the window is as long as that.
                # Zeros, which are no ids, need a window.
                windows = int(self.model.zero_padding and len(ids) < self.model.window)
        run = self._native(values, windows)
        run.feed(ids)
        return run.probabilities()

    def score(self, text: Elements, *, refresh: int | None = 1, on_unknown: str = "error") -> Score:
        """Bits per element and perplexity of `text`, each element but the first predicted from
        those before it.

        With `refresh=1` from the last T of them, with None from all. Raises `ValueError` for less
        than two elements.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> gen.score("a topological space").bits_per_element < gen.score("oat ecaps lacigolop").bits_per_element
        True
        """
        logs = self._log_probabilities(text, refresh, on_unknown)
        bits = float(-logs.mean() / math.log(2))
        return Score(bits, 2.0**bits if bits < 1024 else math.inf, len(logs))

    def log_probabilities(
        self, text: Elements, *, refresh: int | None = 1, on_unknown: str = "error"
    ) -> NDArray[np.float64]:
        """Return the natural logarithm of the probability of each element of `text` but the first,
        given those before.

        The shape is (elements - 1,). The options are those of `score`, which is the mean of these,
        in bits. Raises `ValueError` for less than two elements.

        >>> import lstmgen
        >>> lstmgen.Generator("latex").log_probabilities("\\\\begin{").round(1)
        array([-2. , -0.1, -0. , -0. , -0. , -0. ])
        """
        return self._log_probabilities(text, refresh, on_unknown)

    def _repr_html_(self) -> str:
        from lstmgen.notebook import generator_card

        return generator_card(self)

    def __repr__(self) -> str:
        return f"<lstmgen.Generator of {self.model!r}, threads {self.threads}>"

    # -- inside ----------------------------------------------------------------------------------

    def _many(
        self, who: str, n: int, given: dict[str, Any], *, scores: bool = False
    ) -> tuple[list[tuple[Ids, int]], list[Ids], list[float]]:
        """Primes, drawn ids, and the sum of the log-probabilities of each, if `scores`, of `n` sequences."""
        n = Integer(0).check("n", n)
        seed = given.get("seed")
        if isinstance(seed, (int, np.integer)):
            first: Any = TABLE["seed"].values.check("seed", seed)
            given["seed"] = [first + i for i in range(n)]
        each = {name: _each(name, given.pop(name, None), n) for name in ("temp", "temperature", "inverse_temp", "seed")}
        prime = checked(who, {"prime": given.pop("prime", None)}).get("prime")
        common = checked(who, given, MANY)
        if common["length"] is None:
            raise OptionTypeError("length", "an integer", None)
        shared = {**_breakers(self.model), **engine_options(self.model, common)}
        samplers = []
        for i in range(n):
            own = checked(who, {name: values[i] for name, values in each.items()})
            samplers.append({**shared, **engine_options(self.model, {"seed": _new_seed(), **own})})
        primes = self._primes(prime, n, common)
        stops = stop_ids(self.model, common.get("stop"))
        refresh = self._refresh(common, 4)
        if not samplers:
            return [], [], []
        drawn, found = _core.sample_many(
            self.model._native,
            [ids for ids, _ in primes],
            samplers,
            length=common["length"],
            stops=stops,
            refresh=refresh,
            threads=self.threads,
            scores=scores,
        )
        return primes, drawn, found

    def _best_of(self, values: dict[str, Any]) -> str | list[str] | list[int]:
        """The best of several samples."""
        n = values.pop("best_of")
        if "logits_processor" in values:
            raise OptionError("best_of", f"no {option('logits_processor')} beside it", n)
        values.setdefault("seed", _new_seed() >> 1)  # there is room for the seeds after it
        prime, added = self._prime("prime", values.pop("prime", None), values)
        _, drawn, scores = self._many("sample", n, {**values, "prime": [prime] * n}, scores=True)
        means = [score / max(1, len(ids)) for score, ids in zip(scores, drawn, strict=True)]
        best = drawn[max(range(n), key=lambda i: means[i])]
        return decode(self.model, [*(prime[added:].tolist() if values.get("include_prime") else ()), *best.tolist()])

    def _beam(self, values: dict[str, Any]) -> str | list[str] | list[int]:
        """What a beam search finds. Of equal sequences, the one with the smaller ids wins."""
        width = values["beam"]
        for name in ("xtc_probability", "mirostat"):
            if values.get(name):
                raise OptionError(name, f"0 beside {option('beam')}, which draws nothing", values[name])
        stream, prime = self._start("sample", {name: values[name] for name in values if name != "beam"})
        stream._read(prime)
        stops = stop_ids(self.model, values.get("stop"))
        live: list[tuple[float, list[int], _core.Generator]] = [(0.0, [], stream._open())]
        over: list[tuple[float, list[int]]] = []
        spare: list[_core.Generator] = []

        def copy(run: _core.Generator) -> _core.Generator:
            if not spare:
                return run.clone()
            other = spare.pop()
            other.copy_from(run)
            return other

        for _ in range(values["length"]):
            if not live or len(over) >= width:
                break
            found = []
            for parent, (total, _ids, run) in enumerate(live):
                found += [(-total - log, parent, i) for i, log in zip(*run.likeliest(width), strict=True)]
            children: dict[int, list[tuple[float, int]]] = {}
            for cost, parent, i in sorted(found)[:width]:
                children.setdefault(parent, []).append((-cost, i))
            spare += [run for parent, (*_, run) in enumerate(live) if parent not in children]
            parents, live = live, []
            for parent, followers in children.items():
                _total, ids, run = parents[parent]
                runs = [*(copy(run) for _ in followers[1:]), run]
                for (total, i), other in zip(followers, runs, strict=True):
                    longer = [*ids, i]
                    if any(longer[-len(stop) :] == stop for stop in stops):
                        over.append((total, longer))
                        spare.append(other)
                        continue
                    other.feed(np.array([i], np.uint32))
                    live.append((total, longer, other))
        results = [*over, *((total, ids) for total, ids, _ in live)]
        _, best = max(results, key=lambda result: result[0] / max(1, len(result[1])))
        return decode(self.model, [*(prime.tolist() if values.get("include_prime") else ()), *best])

    def _log_probabilities(self, text: Elements, refresh: int | None, on_unknown: str) -> NDArray[np.float64]:
        values = checked("score", {"refresh": refresh, "on_unknown": on_unknown, "seed": 0})
        ids = encode(self.model, "text", text, values["on_unknown"])
        if len(ids) < 2:
            raise ValueError(f"text: expected at least 2 elements to score, found {len(ids)}")
        run = self._native(values, self._refresh(values, 4))
        run.feed(ids[:1])
        return run.score(ids[1:])

    def _start(self, who: str, given: Mapping[str, Any], state: object = None) -> tuple[Stream, Ids]:
        """A stream that has not read its prime yet, and the ids of that."""
        values = checked(who, given)
        if searched := [option(name) for name in ("best_of", "beam") if name in values]:
            raise TypeError(f"{searched[0]}: a stream draws one element after the other: use sample")
        if state is None:
            values = {"seed": _new_seed(), **values}
            refresh = self._refresh(values, 4)
            ids, added = self._prime("prime", values.get("prime"), values)
            native = self._native(values, refresh)
        else:
            native = self._resumed(state, values)
            ids = encode(self.model, "prime", values.get("prime", []), values.get("on_unknown", "error"))
            added = 0
        stream = Stream(self.model, native, self.threads, values)
        if values.get("include_prime"):
            stream._lead(ids[added:])
        return stream, ids

    def _native(self, values: Mapping[str, Any], refresh: int) -> _core.Generator:
        told = {**_breakers(self.model), **engine_options(self.model, values)}
        return _core.Generator(self.model._native, told, refresh=refresh, threads=self.threads)

    def _resumed(self, state: object, values: Mapping[str, Any]) -> _core.Generator:
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise TypeError(f"state: expected bytes, found {type(state).__name__}")
        if "refresh" in values:
            raise ValueError(f"{option('refresh')}: a state keeps its own, which cannot change: leave this option out")
        native = _core.Generator.load_state(self.model._native, bytes(state), threads=self.threads)
        native.set_options(engine_options(self.model, values))
        return native

    def _refresh(self, values: Mapping[str, Any], depth: int) -> int:
        """`refresh` as the engine has it: 0 carries the state, as does 1 if there is no window.

        `depth` calls above is the user, who is warned if that makes another model.
        """
        refresh: int | None = values.get("refresh", 1)
        if refresh != 1 and self.model.whole and self.model.window:
            raise ValueError(
                f"{option('refresh', refresh)}: the network reads all {self.model.window} steps of a window at once, "
                "so each element needs a window of its own: leave this option out"
            )
        if refresh != 1 and (why := self.model.needs_windows):
            warnings.warn(f"carried state gives another model here: {why}", UserWarning, stacklevel=depth)
        if refresh is not None and not self.model.window and (refresh > 1 or self.model.whole):
            raise ValueError(f"the model was saved without a fixed window: export it with {option('window', ...)}")
        return refresh or 0

    def _prime(self, name: str, what: Elements | None, values: Mapping[str, Any]) -> tuple[Ids, int]:
        """Ids of a prime, the argument `name`, and how many of them at the start the user has not
        given.

        Without a prime they are those of the file. They are empty where padding comes instead.
        """
        ids = encode(self.model, name, [] if what is None else what, values.get("on_unknown", "error"))
        start = self.model.start
        if len(ids) > 0 and start is not None and ids[0] != start:
            return np.concatenate([np.array([start], np.uint32), ids]), 1
        if len(ids) == 0:
            ids = self.model.prime
        padded = self.model.padding is not None or self.model.zero_padding
        if len(ids) == 0 and not (padded and self.model.window and values.get("refresh", 1)):
            raise ValueError(_no_prime(self.model))
        return ids, 0

    def _primes(self, prime: Any, n: int, values: Mapping[str, Any]) -> list[tuple[Ids, int]]:
        """What `_prime` gives for each of `n` sequences."""
        kinds: tuple[type, ...] = (list, tuple, np.ndarray, type(None))
        if self.model.vocabulary is not None and self.model.vocabulary.kind != "tokens":
            kinds = (*kinds, str)
        if isinstance(prime, (list, tuple)) and len(prime) > 0 and all(isinstance(p, kinds) for p in prime):
            return [self._prime("prime", p, values) for p in _each("prime", prime, n)]
        return [self._prime("prime", prime, values)] * n

    def _window(self, ids: Ids) -> Ids:
        """The last T ids; fewer are filled up on the left, if the model has padding."""
        padding = self.model.padding
        missing = self.model.window - len(ids)
        if padding is None or missing <= 0:
            return ids[-self.model.window :]
        return np.concatenate([np.full(missing, padding, np.uint32), ids])


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


def _no_prime(model: Model) -> str:
    """What is missing, and what to give, where a model has no default prime."""
    if model.vocabulary is not None:
        return f"the model has no default prime: give {option('prime', ...)}"
    ids = [0] * model.window if model.fixed_steps and model.window < 10 else [0, 0, 0]
    return (
        f"the model has no vocabulary and no default prime: give {option('vocab_from', ...)}, the text that it was "
        f"trained on, or {option('vocab', ...)}, its elements (of a .bin: when it is exported), or ids to start from, "
        f"such as {option('prime', ids)}"
    )


def _breakers(model: Model) -> dict[str, Any]:
    """The option that has another default here than in the engine, which knows no texts."""
    return {"dry_sequence_breakers": engine_defaults(model)["dry_sequence_breakers"]}


def _new_seed() -> int:
    return int.from_bytes(os.urandom(8))


def _each(name: str, value: Any, n: int) -> list[Any]:
    """A value for each of `n` sequences."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * n
    if len(value) != n:
        raise OptionError(name, f"one for all or {n}", len(value))
    return list(value)
