"""A running sample."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen import _core
from lstmgen.arguments import Integer, near
from lstmgen.engine_terms import (
    DEFAULTS,
    UNLIMITED,
    compiled_grammar,
    decode,
    encode,
    engine_defaults,
    engine_options,
    separated,
    stops_of,
)
from lstmgen.errors import OptionTypeError, option
from lstmgen.model import Model
from lstmgen.options import CHANGEABLE, TABLE, Elements, LogitsProcessor, SamplingOptions, checked
from lstmgen.progress import pieces
from lstmgen.signatures import with_keywords
from lstmgen.vocabulary import Ids, Vocabulary

_REPLACEMENT = "\ufffd"  # stands for bytes that are no UTF-8
_NO_BEGINNING = b"\xff"  # becomes U+FFFD, whatever follows
_LISTS = ("allow", "ban", "dry_sequence_breakers")
# Options that the engine does not know.
_OWN = ("length", "stop", "on_unknown", "logits_processor", "grammar", "finish")


class Logprobs(NamedTuple):
    """A drawn element, and what else could have been drawn.

    element: the element, or its id without a vocabulary.
    logprob: the natural logarithm of its probability.
    likeliest: the most likely elements with the logarithms of theirs, the most likely one first.

    >>> Logprobs("a", -0.25, [("a", -0.25), ("e", -1.5)]).element
    'a'
    """

    element: str | int
    logprob: float
    likeliest: list[tuple[str | int, float]]


class Stream(Iterator[str | int]):
    r"""A running sample, which `Generator.stream` starts: an iterator over its elements, and more.

    >>> import lstmgen
    >>> stream = lstmgen.Generator("latex").stream(prime="\\begin{lemma}", temp=0.67, seed=1)
    >>> text = stream.take(60)  # the next 60 elements, as `sample` gives them
    >>> stream.temp = 0.9  # an option may change between two elements
    >>> stream.feed("\\end{lemma}")  # the user writes, too
    >>> text += stream.take(60)
    >>> state = stream.save_state()  # bytes, to go on later with `Generator.stream(state=state)`

    The iteration ends after `length` elements, or after the element that completes a stop text.
    An iteration that has ended gives nothing more. If the elements are bytes, each step gives the
    text that one byte adds. That is nothing before a character of UTF-8 is complete, and U+FFFD for
    bytes that are no UTF-8.

    `take` draws as many elements as it is asked for, whatever `length` is. It stops after a stop
    text. Another `take` continues after it, and completes a character of UTF-8 that was begun. A
    stop text may be spread over several elements and calls. Its search begins at the start of the
    stream, after the last stop text, after the last `feed`, or at the last change of `stop`,
    whichever is latest.

    The options that may change are attributes: `length`, `stop`, `on_unknown` and those of the
    sampler, such as `temp` and `top_k` (docs/sampling.md). The value None sets an option to its
    default. The same seed and the same changes at the same places give the same elements, on every
    machine.

    Only one thread at a time may use a stream. A second thread gets a `RuntimeError`. So does a
    signal handler that uses the stream that it interrupts. `copy.copy` gives a second stream that
    continues in the same way. Streams pickle.
    """

    __slots__ = (
        "_ahead", "_begun", "_drawn", "_finish", "_grammar", "_kept", "_kept_logprobs", "_length", "_logits_processor",
        "_logprobs", "_model", "_most", "_native", "_on_unknown", "_over", "_seed", "_stop", "_threads",
    )  # fmt: skip

    def __init__(self, model: Model, native: _core.Generator, threads: int, values: Mapping[str, Any]) -> None:
        """For `Generator` only: `values` are the checked options that it was started with."""
        self._model = model
        self._native: _core.Generator | None = native
        self._threads = threads
        self._seed: int | None = values.get("seed")
        self._ahead: deque[int] = deque()  # the part of the prime that the user has not got yet
        self._begun = b""  # the bytes of a character of UTF-8 that is not complete
        self._kept: tuple[int, ...] = ()  # what a call drew that an exception ended
        self._kept_logprobs: tuple[Logprobs, ...] = ()  # of these
        self._drawn = 0
        self._over = False  # whether a stop text, or the end of a grammar, has ended the iteration
        self._stop: str | Sequence[Any] | None = values.get("stop")
        if "stop" in values:
            native.set_stops(*stops_of(model, self._stop))
        else:
            ids, texts = native.stops()  # of a state
            lists = [list(map(self._element, stop)) for stop in ids]
            self._stop = [*lists, *(text.decode(errors="replace") for text in texts)] or None
        self._length: int | None = values.get("length", 1000)
        self._on_unknown: str = values.get("on_unknown", "error")
        self._most: int = values.get("logprobs", 0)
        self._logprobs: list[Logprobs] = []
        self._logits_processor: LogitsProcessor | None = values.get("logits_processor")
        if self._logits_processor is not None:
            native.set_logits_processor(self._logits_processor)
        self._finish: bool = values.get("finish", True)
        found = native.grammar()  # of a state that it goes on from
        self._grammar: str | None = found.text if found else None
        if found:
            native.set_grammar_length(self._left())

    # -- elements ----------------------------------------------------------------------------------

    def __next__(self) -> str | int:
        if self._ahead:
            i = self._ahead.popleft()
        else:
            reached = self._length is not None and self._drawn >= self._length
            if self._native is None or ((self._over or reached) and not self._kept):
                if self._begun:  # and nothing completes it
                    self._begun = b""
                    return _REPLACEMENT
                raise StopIteration
            drawn = self._draw(self._native, 1)
            if not drawn:  # the text of the grammar is complete
                return next(self)
            i = drawn[0]
        vocabulary = self._model.vocabulary
        if vocabulary is not None and vocabulary.kind == "bytes":
            return self._continued(vocabulary, [i])
        return self._element(i)

    def take(self, n: int) -> str | list[str] | list[int]:
        """Draw the next `n` elements, and return them as `Generator.sample` does.

        n: at least 0. A stop text ends the result earlier.

        With `include_prime`, the result begins with the part of the prime that the iteration has
        not given. That part does not count for `n`. What the call drew before Ctrl-C or another
        exception is what the next call begins with. Raises `OptionError` for a wrong `n`, and
        `ValueError` if the stream is closed.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(seed=1)
        >>> stream.take(10) + stream.take(30) == gen.sample(40, seed=1)
        True
        """
        n = Integer(0).check("n", n)
        drawn = self._draw(self._open(), n)
        ids, self._ahead = [*self._ahead, *drawn], deque()
        vocabulary = self._model.vocabulary
        if vocabulary is not None and vocabulary.kind == "bytes":
            return self._continued(vocabulary, ids)
        return decode(self._model, ids)

    def draw(self, logits: Sequence[float] | NDArray[np.floating[Any]]) -> str | int:
        """Draw the next element by numbers of your own, and append it to what was drawn.

        logits: shape (n_vocab,), numbers below infinity. Element i has a probability proportional
            to exp(logits[i]); -inf forbids it. The options of the stream do not change them.

        It takes one random number of the stream, so that a sampler of your own is reproducible by
        the seed. `length` and `stop` do not prevent the draw, but the element counts for both.

        Raises `ValueError` for NaN, for a wrong shape, and if the stream is closed.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(seed=1)
        >>> text = "".join(str(stream.draw(stream.logits() / 0.67)) for _ in range(30))
        >>> text == gen.sample(30, temp=0.67, seed=1)
        True
        """
        native, self._logprobs = self._open(), []
        try:
            numbers = np.asarray(logits, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise OptionTypeError("logits", "an array of numbers", logits) from None
        if numbers.shape != (self._model.outputs,):
            raise ValueError(f"logits: expected the shape ({self._model.outputs},), found {numbers.shape}")
        i = native.draw(numbers)
        self._note(1)
        return self._element(i)

    def feed(self, what: Elements) -> None:
        """Append elements to the sequence, as if they had been drawn. The iteration skips them.

        what: text, elements or ids.

        Raises `ValueError` for unknown elements, unless the option `on_unknown` allows them, and
        if the stream is closed.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(prime="Let ", temp=0)
        >>> stream.feed("$X$")
        >>> stream.take(20) == gen.sample(20, prime="Let $X$", temp=0)
        True
        """
        self._read(encode(self._model, "what", what, self._on_unknown))

    def probabilities(self) -> NDArray[np.float64]:
        """Return the distribution of the next element, after all filters.

        It is an array of the shape (n_vocab,), whose sum is 1. Raises `ValueError` if the stream is
        closed.

        >>> import lstmgen
        >>> lstmgen.Generator("latex").stream(top_k=3).probabilities().astype(bool).sum()
        np.int64(3)
        """
        return self._open().probabilities()

    def logits(self) -> NDArray[np.float64]:
        """Return the logits of the next element, which no option has changed.

        They are an array of the shape (n_vocab,): the natural logarithms of the probabilities by
        the network alone, up to a constant. Raises `ValueError` if the stream is closed.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(temp=0)
        >>> gen.model.vocabulary.elements[stream.logits().argmax()] == stream.take(1)
        True
        """
        return self._open().logits()

    @property
    def logprobs(self) -> list[Logprobs]:
        r"""The elements of the last `take`, or of the last step, with their log-probabilities.

        Each `Logprobs` also has the `logprobs` most likely elements. The probabilities are those
        that were drawn from, after all filters, at the temperature. Elements that a filter dropped
        are missing. Without the option `logprobs` the list is empty.

        >>> import lstmgen
        >>> stream = lstmgen.Generator("latex").stream(prime="\\begin{lemm", seed=1, logprobs=2)
        >>> text = stream.take(1)
        >>> [element for element, _ in stream.logprobs[0].likeliest]
        ['a', 'e']
        """
        return list(self._logprobs)

    @property
    def logprob(self) -> float | None:
        """The natural logarithm of the probability with which the last element was drawn.

        The probability is the one that was drawn from, after all filters, at the temperature.
        Elements that were fed do not count. None before the first draw.
        """
        found = self._open().log_probability()
        return None if math.isnan(found) else found

    @property
    def seed(self) -> int | None:
        """The seed of the random numbers. None for a stream that continues a state without one."""
        return self._seed

    def close(self) -> None:
        """End the stream, and free its memory. It gives no more elements.

        >>> import lstmgen
        >>> stream = lstmgen.Generator("latex").stream()
        >>> stream.close()
        >>> list(stream)
        []
        """
        self._native, self._ahead, self._begun, self._kept = None, deque(), b"", ()

    # -- options -----------------------------------------------------------------------------------

    @with_keywords(SamplingOptions, only=CHANGEABLE)
    def update(self, **options: Unpack[SamplingOptions]) -> None:
        """Change several options at once: all of them, or none if one of them is wrong.

        options: see `SamplingOptions`. None sets an option to its default.

        Raises `OptionError` for a wrong value. Raises `TypeError` for an option that does not
        exist, or that cannot change while the stream runs.

        >>> import lstmgen
        >>> stream = lstmgen.Generator("latex").stream(temp=0.67)
        >>> stream.update(temp=0.9, top_k=10)
        >>> stream.temp, stream.top_k, stream.top_p
        (0.9, 10, None)
        """
        if fixed := [name for name in options if name in TABLE and name not in CHANGEABLE]:
            raise TypeError(f"{option(fixed[0])} is fixed when a stream starts: start another stream for it")
        values = checked("update", options, CHANGEABLE)
        grammar = compiled_grammar(self._model, values)
        stops = stops_of(self._model, values.get("stop"))
        unset = ["temp" if TABLE[name].one_of else name for name in options if name not in values]
        defaults = engine_defaults(self._model)
        engine = {name: defaults[name] for name in unset if name in defaults}
        self._open().set_options(engine | engine_options(self._model, values))
        if "logits_processor" in options:
            self._logits_processor = values.get("logits_processor")
            self._open().set_logits_processor(self._logits_processor)
        if "length" in options:
            self._length = values["length"]
        if "finish" in options:
            self._finish = values.get("finish", True)
        if "grammar" in options:
            self._begin_grammar(grammar)
        elif self._grammar is not None and ("length" in options or "finish" in options):
            self._open().set_grammar_length(self._left())
        if "on_unknown" in options:
            self._on_unknown = values.get("on_unknown", "error")
        if "stop" in options:
            self._stop = values.get("stop")
            self._open().set_stops(*stops)

    def __getattr__(self, name: str) -> Any:
        if name not in CHANGEABLE:
            raise AttributeError(f"a Stream has no {name}{near(name, [*CHANGEABLE, *_NAMES])}")
        if name in _OWN:
            return getattr(self, f"_{name}")
        found = self._open().options()
        if name in _LISTS:
            return self._list(name, found[name])
        if name == "logit_bias":
            elements = self._model.vocabulary.elements if self._model.vocabulary else range(self._model.outputs)
            return {elements[i]: bias for i, bias in found[name]}
        if name == "inverse_temp":
            return 1 / found["temp"] if found["temp"] else math.inf
        name = "temp" if TABLE[name].one_of else name
        return TABLE[name].default if found[name] == DEFAULTS[name] else found[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in CHANGEABLE:
            self.update(**{name: value})
        elif name in TABLE:
            raise AttributeError(f"{name} is fixed when a stream starts: start another stream for it")
        else:
            raise AttributeError(f"a Stream has no option {name}{near(name, CHANGEABLE)}")

    # -- going on ----------------------------------------------------------------------------------

    def save_state(self) -> bytes:
        """Return the state of the stream as bytes. `Generator.stream(state=...)` continues from it.

        The state holds all that the next elements depend on, except the model: context, random
        numbers, the sampler's options, `stop` with what was drawn of one, and a grammar with all
        that is open. `length`, `on_unknown`, `logits_processor` and the rest of `include_prime` are
        not in it. Nor is a character of UTF-8 that is not complete, if elements are bytes: its rest
        becomes U+FFFD in the stream that continues. Nor is what a call drew that Ctrl-C ended. A
        pickle of the stream has all of these.

        The bytes are the same on every machine. They are 2.8 kB, the window or the carried state of
        the network, and the last 4096 ids. Raises `ValueError` if the stream is closed.

        >>> import lstmgen
        >>> gen = lstmgen.Generator("latex")
        >>> stream = gen.stream(seed=1)
        >>> gen.stream(state=stream.save_state()).take(20) == stream.take(20)
        True
        """
        return self._open().save_state()

    def copy(self) -> Stream:
        """Return a second stream that continues exactly as this one does.

        Raises `ValueError` if the stream is closed.

        >>> import lstmgen
        >>> stream = lstmgen.Generator("latex").stream()
        >>> stream.copy().take(20) == stream.take(20)
        True
        """
        other: Stream = object.__new__(Stream)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other._native, other._ahead = self._open().clone(), self._ahead.copy()
        return other

    def __copy__(self) -> Stream:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Stream:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in ("_model", "_native")}
        return _restored, (self._model, self.save_state(), fields)

    def __repr__(self) -> str:
        if self._native is None:
            return "<lstmgen.Stream, closed>"
        found = {name: getattr(self, name) for name in CHANGEABLE if name == "temp" or name in DEFAULTS}
        changed = {name: x for name, x in found.items() if name == "temp" or x not in (None, {}, TABLE[name].default)}
        said = ", ".join(f"{name} {value}" for name, value in changed.items())
        seed = "" if self._seed is None else f"seed {self._seed}, "
        return f"<lstmgen.Stream, {self._drawn} drawn, {seed}{said}>"

    # -- inside ------------------------------------------------------------------------------------

    def _open(self) -> _core.Generator:
        native: _core.Generator | None = self._native
        if native is None:
            raise ValueError("the stream is closed")
        return native

    def _left(self) -> int:
        """How many elements there may be before the text of the grammar must be complete."""
        return max(0, self._length - self._drawn) if self._finish and self._length is not None else UNLIMITED

    def _begin_grammar(self, grammar: _core.Grammar | None) -> None:
        """Let the text of a grammar, or of none, begin here."""
        self._grammar = grammar.text if grammar else None
        self._open().set_grammar(grammar, self._left())

    def _read(self, ids: Ids) -> None:
        self._open().feed(ids)
        if self._begun:  # and what is fed does not complete it
            self._begun = _NO_BEGINNING

    def _read_prime(self, ids: Ids) -> None:
        """Read what a text of the grammar begins with."""
        try:
            if len(ids):
                self._read(ids)
        except ValueError as error:
            way = option("grammar_prime", False)
            raise ValueError(f"{option('prime')}: {error}; {way} lets the text begin after the prime") from None
        self._open().ended()  # an error if no text is so short

    def _continued(self, vocabulary: Vocabulary, ids: Sequence[int]) -> str:
        """Return the text that ids of bytes add to what came before."""
        text, self._begun = vocabulary.continued(self._begun, ids)
        return text

    def _element(self, i: int) -> str | int:
        return i if self._model.vocabulary is None else self._model.vocabulary.elements[i]

    def _list(self, name: str, ids: list[int]) -> list[Any] | None:
        """Return an option that is a list of elements or of texts. None stands for its default."""
        if ids == engine_defaults(self._model)[name]:
            return None
        if name != "dry_sequence_breakers":
            return [self._element(i) for i in ids]
        return [decode(self._model, text) for text in separated(ids)]

    def _draw(self, native: _core.Generator, n: int) -> list[int]:
        """Draw up to `n` elements, and stop after a stop text. Returns their ids.

        What it draws before an exception, such as that of Ctrl-C, is for the next call.
        """
        drawn, self._kept = list(self._kept[:n]), self._kept[n:]
        self._logprobs, self._kept_logprobs = list(self._kept_logprobs[:n]), self._kept_logprobs[n:]
        n -= len(drawn)
        try:
            if n == 1:
                self._draw_piece(native, 1, drawn)
                return drawn
            for piece in pieces(n, "elements") if n else ():
                end = len(drawn) + piece
                while len(drawn) < end:
                    if self._draw_piece(native, 1 if self._most else piece, drawn):
                        return drawn
        except BaseException:
            left = native.undelivered().tolist()
            self._drawn += len(left)
            if drawn or left:
                self._kept = (*drawn, *left)
                self._kept_logprobs = tuple(self._logprobs)
            raise
        return drawn

    def _draw_piece(self, native: _core.Generator, n: int, drawn: list[int]) -> bool:
        """Draw up to `n` elements, and append their ids. Returns whether they end the text."""
        likeliest = native.likeliest(self._most) if self._most else None
        ids = native.sample(n).tolist()
        drawn += ids
        if likeliest is not None and ids:
            others = [(self._element(i), log) for i, log in zip(*likeliest, strict=True)]
            self._logprobs.append(Logprobs(self._element(ids[0]), native.log_probability(), others))
        return self._note(len(ids))

    def _lead(self, ids: Ids) -> None:
        """Let the iteration give `ids` first."""
        self._ahead.extend(ids.tolist())

    def _note(self, drawn: int) -> bool:
        """Count the drawn elements. Returns whether they end the text."""
        self._drawn += drawn
        ended = self._open().ended()
        self._over = self._over or ended
        return ended


_NAMES = tuple(name for name in vars(Stream) if not name.startswith("_"))


def _restored(model: Model, state: bytes, fields: Mapping[str, Any]) -> Stream:
    stream: Stream = object.__new__(Stream)
    native = _core.Generator.load_state(model._native, state, threads=fields["_threads"])
    for name, value in {"_model": model, "_native": native, **fields}.items():
        setattr(stream, name, value)
    native.set_logits_processor(fields["_logits_processor"])
    return stream
