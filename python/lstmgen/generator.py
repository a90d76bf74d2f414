"""Sampling from a model."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen import _core
from lstmgen.arguments import Flag, Integer, is_scalar
from lstmgen.bundled import Source
from lstmgen.engine_terms import compiled_grammar, decode, encode, engine_defaults, engine_options, stops_of
from lstmgen.errors import OptionError, OptionTypeError, call, option
from lstmgen.model import Model
from lstmgen.options import (
    MANY,
    MOST_ROWS,
    SAMPLE,
    SHOWN_DEFAULTS,
    STREAM,
    TABLE,
    Elements,
    ManyOptions,
    SamplingOptions,
    checked,
    meanings,
    with_positional,
)
from lstmgen.progress import counted, counting, pieces
from lstmgen.signatures import KeywordSignature, with_keywords
from lstmgen.stream import Stream
from lstmgen.vocabulary import Ids

if TYPE_CHECKING:
    from lstmgen.exporting import ExportOptions

T = TypeVar("T")
_PIECE = 16  # elements of a prime that are read together


class Score(NamedTuple):
    """How well a model predicts a text.

    bits_per_element: the mean of -log2 of the probabilities, at least 0.
    perplexity: 2 ** bits_per_element, at least 1, and infinite above 2 ** 1024.
    elements: how many elements were predicted.

    >>> Score(1.0, 2.0, 99).perplexity
    2.0
    """

    bits_per_element: float
    perplexity: float
    elements: int


@dataclass(frozen=True, slots=True)
class Row:
    """A sample as a row of a table.

    index: which row it is, from 0.
    seed: `sample` with this seed draws the row again.
    sequence: what `sample` returns.
    length: how many elements were drawn. An included prime does not count.
    log_probability: the sum of the natural logarithms of the probabilities that the network alone
        gives to these elements, at temperature 1. None if it was not asked for or is not finite.

    >>> Row(2, 9, "abc", 3).seed
    9
    """

    index: int
    seed: int
    sequence: Any
    length: int
    log_probability: float | None = None


class _Prime(NamedTuple):
    """What comes before the first element that is drawn."""

    ids: Ids
    added: int  # of these at the start the user has not given
    before: int  # of these at the start do not belong to the text of a grammar
    grammar: _core.Grammar | None = None


class Generator:
    r"""Draws sequences from a model, element by element.

    source: a `Model`, or anything that `Model` takes: a path, bytes or the name of a bundled model.
    threads: how many threads run the windows of one sample, at least 1. It changes no result.
    options: those of `Model`, if `source` is not one already.

    Any number of threads may use one generator at a time, since samples are independent. Copies
    share the model. A generator pickles together with its model.

    Raises what `Model` raises, `TypeError` for options beside a `Model`, and `ValueError` for a
    model that cannot generate: a classifier, a predictor, or a network that reads features.

    >>> import lstmgen
    >>> gen = lstmgen.Generator("latex")
    >>> print(gen.sample(36, temp=0, prime="\\begin{definition}\n\\label{"))
    definition-spectral-space}
    Let $X$ b
    """

    __signature__ = KeywordSignature("lstmgen.exporting", "ExportOptions")

    def __init__(
        self,
        source: Source | Model,
        *,
        threads: int = 1,
        **options: Unpack[ExportOptions],
    ) -> None:
        if options:
            from lstmgen.exporting import check_names

            check_names("Generator", options, "threads")
        if isinstance(source, Model) and options:
            raise TypeError(f"a Model takes no {', '.join(options)}")
        self.model = source if isinstance(source, Model) else Model(source, **options)
        if self.model.labels:
            use = call("Model.classify", "classify")
            raise ValueError(f"a classifier does not generate; {use} says what it finds")
        if self.model._native.info.predictor:
            use = call("Model.predict", "predict")
            raise ValueError(
                f"a predictor does not generate, since its outputs are no elements to feed back; {use} gives them"
            )
        if self.model.heads:
            use = call("lstmgen.music.NoteGenerator", "sample")
            raise ValueError(f"its outputs together are a note, which {use} draws")
        if self.model.encoding == "features":
            raise ValueError(
                "the network reads features: it predicts, but does not generate, since "
                "its outputs are no elements to feed back"
            )
        self.threads = Integer(1).check("threads", threads)

    @with_keywords(SamplingOptions, only=SAMPLE, defaults=SHOWN_DEFAULTS, meaning=meanings(SAMPLE))
    def sample(
        self, length: int = 1000, temp: float | None = None, /, **options: Unpack[SamplingOptions]
    ) -> str | list[str] | list[int]:
        """Draw a sequence, and return it.

        length: how many elements are drawn, at least 0. A stop text ends the sequence earlier.
        temp: the temperature, at least 0. The default is 1.
        options: see below. `length` and `temp` may be given by name, too.

        Returns a str for a text model, and a list of elements for a model of tokens. Without a
        vocabulary it is a list of ids.

        Raises `OptionError`, which is a `ValueError`, for an option with a wrong value. Raises
        `TypeError` for an option that does not exist, and `ValueError` for unknown elements.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> text = gen.sample(200, 0.67, seed=1, stop="$")
        >>> text == gen.sample(length=200, temp=0.67, seed=1, stop="$")
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
        stream, prime = self._start("sample", values)
        deque(self._reading(stream, prime), 0)
        return stream.take(values["length"])

    @with_keywords(SamplingOptions, only=STREAM, defaults=SHOWN_DEFAULTS)
    def stream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        /,
        *,
        state: bytes | bytearray | memoryview | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Start a sample, and return it as a `Stream`, which draws elements when they are wanted.

        length: the iteration over the stream ends after `length` elements, at least 0. None means
            that it never ends.
        temp: the temperature, at least 0. The default is 1.
        state: the bytes that `Stream.save_state` returned, in any process on any machine. The
            stream continues from there, bit for bit, with the sampler's options of that time.
            Options given here replace them. `seed` starts new random numbers. `prime` is read
            after what was drawn before. `refresh` cannot change.
        options: those of `sample`, but for `best_of` and `beam`. `logprobs`, an integer of at least
            1, keeps the log-probabilities of as many elements at each draw: see `Stream.logprobs`.

        `sample` draws the same as `stream(...).take(length)`.

        Raises what `sample` raises. Raises `ModelFormatError` for bytes that are no state, or a
        damaged one. Raises `ValueError` for the state of another model, or of the same model with
        another dtype.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(seed=1)
        >>> text = stream.take(20)
        >>> text + gen.stream(state=stream.save_state()).take(20) == gen.sample(40, seed=1)
        True
        """
        stream, prime = self._start("stream", with_positional("stream", options, length=length, temp=temp), state)
        deque(self._reading(stream, prime), 0)
        return stream

    @with_keywords(SamplingOptions, only=STREAM, defaults=SHOWN_DEFAULTS)
    def astream(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        /,
        *,
        state: bytes | bytearray | memoryview | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncIterator[str | int]:
        """Return an asynchronous iterator over the elements that `stream` gives.

        length, temp, state, options: as in `stream`.

        The event loop's default executor draws the elements, in pieces of about 10 ms. It draws
        only while the coroutine waits. `aclose`, or cancelling the task, stops it within a few
        hundredths of a second.

        Raises what `stream` raises.

        >>> import asyncio, lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> async def collect() -> str:
        ...     return "".join([str(element) async for element in gen.astream(20, seed=1)])
        >>> asyncio.run(collect()) == gen.sample(20, seed=1)
        True
        """
        stream, prime = self._start("astream", with_positional("astream", options, length=length, temp=temp), state)
        # In a carried state, a prime may be read in pieces: a long one can be stopped.
        pieces = options.get("refresh", 1) is None or not self.model.window
        return _in_executor(self._reading(stream, prime, _PIECE if pieces else None), stream)

    @with_keywords(ManyOptions, defaults=SHOWN_DEFAULTS)
    def sample_many(
        self,
        n: int,
        length: int = 1000,
        temp: float | Sequence[float] | None = None,
        **options: Unpack[ManyOptions],
    ) -> list[str | list[str] | list[int]]:
        """Draw `n` sequences side by side, which is faster than one after the other.

        n: how many sequences, 0 to 2**20.
        length: how many elements each has, at least 0. A stop text ends a sequence earlier.
        temp: the temperature, at least 0, or a list of `n` temperatures.
        options: see `ManyOptions`. `temperature`, `inverse_temp`, `prime` and `seed` may be lists
            of `n` values. An integer `seed` stands for seed, seed + 1, and so on. A list of primes
            holds texts, or lists if the elements of the model are no letters.

        Returns a list of `n` sequences. Sequence i is what `sample` draws with the i-th value of
        each list. Raises what `sample` raises, and `OptionError` for a list of another length.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> many = gen.sample_many(3, 20, [0.5, 0.67, 1.0], seed=7, refresh=None)
        >>> many[2] == gen.sample(20, 1.0, seed=9, refresh=None)
        True
        """
        primes, drawn, _ = self._many("sample_many", n, {**options, "length": length, "temp": temp})
        with_prime = options.get("include_prime")
        return [
            decode(self.model, [*(prime.ids[prime.added :].tolist() if with_prime else ()), *ids.tolist()])
            for prime, ids in zip(primes, drawn, strict=True)
        ]

    @with_keywords(ManyOptions, defaults=SHOWN_DEFAULTS)
    def sample_rows(
        self,
        n: int,
        length: int = 1000,
        temp: float | None = None,
        *,
        first: int = 0,
        scores: bool = False,
        **options: Unpack[ManyOptions],
    ) -> list[Row]:
        """Draw `n` sequences side by side as rows of a table, from the row `first` on.

        n: how many rows, 0 to 2**20. `lstmgen.rows` draws more, in parts.
        length: how many elements each has, at least 0. A stop text ends a sequence earlier.
        temp: the temperature, at least 0.
        first: the index of the first row, at least 0.
        scores: whether rows have their `log_probability`, which takes a tenth of the time.
        options: see `ManyOptions`. Each holds for all rows. The row i has the seed `seed` + i.

        Returns a list of `n` objects `Row`. The rows of `sample_rows(2, first=3)` are the last two
        of `sample_rows(5)`. Raises what `sample` raises.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> row = gen.sample_rows(1, 20, 0.67, first=4, seed=7, refresh=None)[0]
        >>> row.index, row.seed, row.length
        (4, 11, 20)
        >>> row.sequence == gen.sample(20, 0.67, seed=11, refresh=None)
        True
        """
        values = checked("sample_rows", {**options, "length": length, "temp": temp}, MANY)
        scores = Flag().check("scores", scores)
        n, first = Integer(0, most=MOST_ROWS).check("n", n), Integer(0).check("first", first)
        base = int(values.pop("seed", _new_seed() >> 1)) + first
        TABLE["seed"].values.check("seed", base + max(n, 1) - 1)
        seeds = range(base, base + n)
        if "prime" in values:
            values["prime"] = [values["prime"]] * n
        primes, drawn, found = self._many("sample_rows", n, {**values, "seed": list(seeds)}, scores=scores)
        with_prime = values.get("include_prime")
        return [
            Row(
                first + i,
                seed,
                decode(self.model, [*(prime.ids[prime.added :].tolist() if with_prime else ()), *ids.tolist()]),
                len(ids),
                found[i] if scores and math.isfinite(found[i]) else None,
            )
            for i, (seed, prime, ids) in enumerate(zip(seeds, primes, drawn, strict=True))
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
        """Return the distribution of the element after `context`.

        context: text, elements or ids. None or empty means the file's own prime.
        temp, temperature, inverse_temp: the temperature, as in `sample`. At most one may be given.
        refresh: 1 reads the last T elements of the context, after padding if the context is
            shorter and the model has padding. None reads all of the context in a carried state.
        on_unknown: "error", "skip" or an element, for elements that are not in the vocabulary.

        Returns an array of the shape (n_vocab,), whose sum is 1. Raises `OptionError` for an option
        with a wrong value, and `ValueError` for unknown elements.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> gen.model.vocabulary.elements[gen.probabilities("\\\\begin{lemm").argmax()]
        'a'
        """
        given = {"temp": temp, "temperature": temperature, "inverse_temp": inverse_temp}
        values = checked("probabilities", {**given, "refresh": refresh, "on_unknown": on_unknown, "seed": 0})
        windows = self._refresh(values, 3)
        ids = self._prime("context", context, values).ids
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
        """Return how well the model predicts each element of `text` from those before it.

        text: text, elements or ids, at least 2 of them. The first one is not predicted.
        refresh: 1 predicts each element from the last T elements before it, None from all of them.
        on_unknown: "error", "skip" or an element, for elements that are not in the vocabulary.

        Raises `ValueError` for fewer than 2 elements and for unknown elements.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> usual, backwards = gen.score("a topological space"), gen.score("ecaps lacigolopot a")
        >>> usual.perplexity < backwards.perplexity
        True
        """
        logs = self._log_probabilities(text, refresh, on_unknown)
        bits = float(-logs.mean() / math.log(2))
        return Score(bits, 2.0**bits if bits < 1024 else math.inf, len(logs))

    def log_probabilities(
        self, text: Elements, *, refresh: int | None = 1, on_unknown: str = "error"
    ) -> NDArray[np.float64]:
        """Return the natural logarithm of the probability of each element, given those before it.

        text, refresh, on_unknown: as in `score`.

        Returns an array of the shape (elements - 1,), since the first element is not predicted.
        `score` returns the mean of these, in bits. Raises what `score` raises.

        >>> import lstmgen
        >>> lstmgen.Generator("latex").log_probabilities("\\\\begin{").round(1)
        array([-2. , -0.1, -0. , -0. , -0. , -0. ])
        """
        return self._log_probabilities(text, refresh, on_unknown)

    def _repr_html_(self) -> str:
        from lstmgen.html_tables import table

        return f"<b>lstmgen.Generator</b>{table({'threads': self.threads})}{self.model._repr_html_()}"

    def __repr__(self) -> str:
        return f"<lstmgen.Generator of {self.model!r}, threads {self.threads}>"

    # -- inside ----------------------------------------------------------------------------------

    def _many(
        self, who: str, n: int, given: dict[str, Any], *, scores: bool = False, what: str = ""
    ) -> tuple[list[_Prime], list[Ids], list[float]]:
        """Draw `n` sequences. Returns their primes, as `_prime` does, and their ids.

        With `scores` it also returns the sum of the log-probabilities of each sequence.
        """
        n = Integer(0, most=MOST_ROWS).check("n", n)
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
        stops, texts = stops_of(self.model, common.get("stop"))
        grammar = compiled_grammar(self.model, common)
        refresh = self._refresh(common, 4)
        if not samplers:
            return [], [], []
        with counting(n * common["length"], "elements", what) as done:
            drawn, found = _core.sample_many(
                self.model._native,
                [prime.ids for prime in primes],
                samplers,
                length=common["length"],
                stops=stops,
                stop_texts=texts,
                refresh=refresh,
                threads=self.threads,
                scores=scores,
                grammar=grammar,
                finish=common.get("finish", True),
                grammar_primes=[len(prime.ids) - prime.before for prime in primes] if grammar else [],
                progress=done,
            )
            if done is not None:
                done(n * common["length"])
        return primes, drawn, found

    def _best_of(self, values: dict[str, Any]) -> str | list[str] | list[int]:
        """Return the sample with the greatest mean log-probability among `best_of` samples."""
        n = values.pop("best_of")
        if "logits_processor" in values:
            raise OptionError("best_of", f"no {option('logits_processor')} beside it", n)
        values.setdefault("seed", _new_seed() >> 1)  # there is room for the seeds after it
        prime, added, *_ = self._prime("prime", given := values.pop("prime", None), values)
        _, drawn, scores = self._many("sample", n, {**values, "prime": [given] * n}, scores=True, what="searching")
        means = [score / max(1, len(ids)) for score, ids in zip(scores, drawn, strict=True)]
        best = drawn[max(range(n), key=lambda i: means[i])]
        return decode(self.model, [*(prime[added:].tolist() if values.get("include_prime") else ()), *best.tolist()])

    def _beam(self, values: dict[str, Any]) -> str | list[str] | list[int]:
        """Return what a beam search finds. Among equals, the sequence with smaller ids wins."""
        width = values["beam"]
        for name in ("xtc_probability", "mirostat"):
            if values.get(name):
                raise OptionError(name, f"0 beside {option('beam')}, which draws nothing", values[name])
        stream, prime = self._start("sample", {name: values[name] for name in values if name != "beam"})
        deque(self._reading(stream, prime), 0)
        live: list[tuple[float, list[int], _core.Generator]] = [(0.0, [], stream._open())]
        over: list[tuple[float, list[int]]] = []
        spare: list[_core.Generator] = []
        if stream._open().ended():  # the prime is all of a text of the grammar
            live, over = [], [(0.0, [])]

        def copy(run: _core.Generator) -> _core.Generator:
            if not spare:
                return run.clone()
            other = spare.pop()
            other.copy_from(run)
            return other

        for _ in counted(range(values["length"]), values["length"], "elements", "searching"):
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
                    other.draw(np.where(np.arange(self.model.outputs) == i, 0.0, -np.inf))
                    if other.ended():
                        over.append((total, [*ids, i]))
                        spare.append(other)
                    else:
                        live.append((total, [*ids, i], other))
        results = [*over, *((total, ids) for total, ids, _ in live)]
        _, best = max(results, key=lambda result: result[0] / max(1, len(result[1])))
        return decode(self.model, [*(prime.ids[prime.added :].tolist() if values.get("include_prime") else ()), *best])

    def _log_probabilities(self, text: Elements, refresh: int | None, on_unknown: str) -> NDArray[np.float64]:
        values = checked("score", {"refresh": refresh, "on_unknown": on_unknown, "seed": 0})
        ids = encode(self.model, "text", text, values.get("on_unknown", "error"))
        if len(ids) < 2:
            raise ValueError(f"text: expected at least 2 elements to score, found {len(ids)}")
        run = self._native(values, self._refresh(values, 4))
        run.feed(ids[:1])
        found, at = np.empty(len(ids) - 1), 1
        for piece in pieces(len(ids) - 1, "elements", "scoring", first=64):
            found[at - 1 : at - 1 + piece] = run.score(ids[at : at + piece])
            at += piece
        return found

    def _start(self, who: str, given: Mapping[str, Any], state: object = None) -> tuple[Stream, _Prime]:
        """Return a stream that has not read its prime yet, and the prime."""
        values = checked(who, given)
        if searched := [option(name) for name in ("best_of", "beam") if name in values]:
            raise TypeError(f"{searched[0]}: a stream draws one element after the other: use sample")
        grammar = compiled_grammar(self.model, values)
        if state is None:
            values = {"seed": _new_seed(), **values}
            refresh = self._refresh(values, 4)
            prime = self._prime("prime", values.get("prime"), values)
            native = self._native(values, refresh)
        else:
            native = self._resumed(state, values)
            ids = encode(self.model, "prime", values.get("prime", []), values.get("on_unknown", "error"))
            prime = _Prime(ids, 0, 0 if values.get("grammar_prime", True) else len(ids))
        stream = Stream(self.model, native, self.threads, values)
        if values.get("include_prime"):
            stream._lead(prime.ids[prime.added :])
        return stream, prime._replace(grammar=grammar)

    @staticmethod
    def _reading(stream: Stream, prime: _Prime, size: int | None = None) -> Iterator[None]:
        """Read a prime, in pieces of `size` or at once, and let the text of a grammar begin where
        it does."""
        before = prime.before if prime.grammar else len(prime.ids)
        for at in range(0, before, size or before or 1):
            stream._read(prime.ids[at : min(before, at + (size or before))])
            yield
        if prime.grammar:
            stream._begin_grammar(prime.grammar)
            stream._read_prime(prime.ids[before:])
            yield

    def _native(self, values: Mapping[str, Any], refresh: int) -> _core.Generator:
        return _core.Generator(self.model._native, self._told(values), refresh=refresh, threads=self.threads)

    def _batch(self, most: int) -> _core.Batch:
        return _core.Batch(self.model._native, most, self.threads)

    def _told(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the engine's sampler is told, with a new seed if none is given."""
        return {"seed": _new_seed(), **_breakers(self.model), **engine_options(self.model, values)}

    def _resumed(self, state: object, values: Mapping[str, Any]) -> _core.Generator:
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise TypeError(f"state: expected bytes, found {type(state).__name__}")
        if "refresh" in values:
            raise ValueError(f"{option('refresh')}: a state keeps its own, which cannot change: leave this option out")
        native = _core.Generator.load_state(self.model._native, bytes(state), threads=self.threads)
        native.set_options(engine_options(self.model, values))
        return native

    def _refresh(self, values: Mapping[str, Any], depth: int) -> int:
        """Return `refresh` as the engine has it. 0 carries the state, as does 1 without a window.

        Warns the user, who is `depth` calls above, if a carried state gives other distributions.
        """
        refresh: int | None = values.get("refresh", 1)
        if refresh != 1 and self.model.whole and self.model.window:
            raise ValueError(
                f"{option('refresh', refresh)}: the network reads all {self.model.window} steps of a window at once, "
                "so each element needs its own window: leave this option out"
            )
        if refresh != 1 and (why := self.model.needs_windows):
            warnings.warn(f"carried state gives another model here: {why}", UserWarning, stacklevel=depth)
        if refresh is not None and not self.model.window and (refresh > 1 or self.model.whole):
            raise ValueError(
                f"{option('refresh')}: the model was saved without a fixed window: export it with "
                f"{option('window', ...)}"
            )
        return refresh or 0

    def _prime(self, name: str, what: Elements | None, values: Mapping[str, Any]) -> _Prime:
        """Return the ids of a prime, and what is known of them.

        Without a prime, the ids are those of the file. If padding fills the windows, they may be
        empty. Errors call the prime `name`.
        """
        ids = encode(self.model, name, [] if what is None else what, values.get("on_unknown", "error"))
        start = self.model.start
        read = values.get("grammar_prime", True) and (len(ids) > 0 or values.get("include_prime", False))
        if len(ids) > 0 and start is not None and ids[0] != start:
            return _Prime(np.concatenate([np.array([start], np.uint32), ids]), 1, 1 if read else len(ids) + 1)
        if len(ids) == 0:
            ids = self.model.prime
        padded = self.model.padding is not None or self.model.zero_padding
        if len(ids) == 0 and not (padded and self.model.window and values.get("refresh", 1)):
            raise ValueError(_no_prime(self.model))
        return _Prime(ids, 0, 0 if read else len(ids))

    def _primes(self, prime: Any, n: int, values: Mapping[str, Any]) -> list[_Prime]:
        """Return what `_prime` gives for each of `n` sequences."""
        kinds: tuple[type, ...] = (list, tuple, np.ndarray, type(None))
        if self.model.vocabulary is not None and self.model.vocabulary.kind != "tokens":
            kinds = (*kinds, str)
        if isinstance(prime, (list, tuple)) and len(prime) > 0 and all(isinstance(p, kinds) for p in prime):
            return [self._prime("prime", p, values) for p in _each("prime", prime, n)]
        return [self._prime("prime", prime, values)] * n

    def _window(self, ids: Ids) -> Ids:
        """Return the last T ids. If there are fewer, padding fills them up on the left."""
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
    """Take the items that come within 10 ms, and at least one item if there is one."""
    end = time.monotonic() + 0.01
    taken = []
    for item in items:
        taken.append(item)
        if time.monotonic() > end:
            break
    return taken


def _no_prime(model: Model) -> str:
    """Return the message that says what to give to a model without a default prime."""
    if model.vocabulary is not None:
        return f"the model has no default prime: give {option('prime', ...)}"
    ids = [0] * model.window if model.fixed_steps and model.window < 10 else [0, 0, 0]
    return (
        f"the model has no vocabulary and no default prime: give {option('vocab_from', ...)}, the text that it was "
        f"trained on, or {option('vocab', ...)}, its elements (of a .bin: when it is exported), or ids to start from, "
        f"such as {option('prime', ids)}"
    )


def _breakers(model: Model) -> dict[str, Any]:
    """Return the option whose default the engine cannot know, since it knows no texts."""
    return {"dry_sequence_breakers": engine_defaults(model)["dry_sequence_breakers"]}


def _new_seed() -> int:
    return int.from_bytes(os.urandom(8))


def _each(name: str, value: Any, n: int) -> list[Any]:
    """Return a value for each of `n` sequences."""
    if not isinstance(value, (list, tuple, np.ndarray)) or is_scalar(value):
        return [value] * n
    if len(value) != n:
        raise OptionError(name, f"one for all or {n}", len(value))
    return list(value)
