"""A batch of sequences that are drawn side by side. Each may join and leave at any element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Unpack

from lstmgen.arguments import Integer, Number
from lstmgen.bundled import Source
from lstmgen.engine_terms import UNLIMITED, compiled_grammar, decode, stops_of
from lstmgen.errors import option
from lstmgen.generator import Generator
from lstmgen.model import Model
from lstmgen.options import MOST_SEQUENCES, SHOWN_DEFAULTS, TABLE, SamplingOptions, checked, with_positional
from lstmgen.signatures import with_keywords
from lstmgen.stream import Logprobs
from lstmgen.vocabulary import Ids

_ONE_BY_ONE = ("best_of", "beam", "logits_processor")
_JOINING = tuple(name for name in TABLE if name not in (*_ONE_BY_ONE, "include_prime"))


class Prepared(NamedTuple):
    """A sequence that is ready to join a batch.

    prime: the ids of its prime.
    added: how many ids at the start of the prime the model adds.
    sampler: the options of its sampler, as the engine takes them.
    request: its other options, as the engine takes them.

    >>> import lstmgen
    >>> len(lstmgen.Batch("latex").prepare({"prime": "Let"}).prime)
    3
    """

    prime: Ids
    added: int
    sampler: dict[str, Any]
    request: dict[str, Any]


class Sequence:
    """A sequence of a `Batch`, which `Batch.join` returns.

    seed: the seed of its random numbers.
    ending: why it is over: "length", "stop", "grammar" (its text is complete), "left" or "error".
        None while it goes on.
    error: what went wrong, with the ending "error".
    drawn: how many elements were drawn.
    score: the sum of the natural logarithms of the probabilities that the network alone gives to
        its elements, at temperature 1, if `Batch.join` was asked for it and the sequence is over.

    >>> import lstmgen
    >>> sequence = lstmgen.Batch("latex").join(10, seed=7)
    >>> sequence.seed, sequence.ending
    (7, None)
    """

    def __init__(self, batch: Batch, seed: int) -> None:
        """For `Batch` only."""
        self.seed = seed
        self.ending: str | None = None
        self.error = ""
        self.drawn = 0
        self.score = 0.0
        self._batch = batch
        self._number = 0
        self._ids: list[int] = []
        self._begun = b""
        self._logprobs: list[Logprobs] = []

    def take(self) -> str | list[str] | list[int]:
        """Return what was drawn since the last call, as `Generator.sample` returns it.

        If elements are bytes, a character is returned when all of its bytes are drawn.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> sequence = batch.join(20, seed=1)
        >>> while batch:
        ...     _ = batch.advance(7)
        >>> sequence.take() == lstmgen.Generator("latex").sample(20, seed=1)
        True
        """
        ids = self.take_ids()
        model = self._batch.model
        vocabulary = model.vocabulary
        if vocabulary is None or vocabulary.kind != "bytes":
            return decode(model, ids)
        text, self._begun = vocabulary.continued(self._begun, ids)
        return text

    def take_ids(self) -> list[int]:
        """Return the ids that were drawn since the last call of `take` or of this function.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> sequence = batch.join(20, seed=1)
        >>> _ = batch.advance(20)
        >>> all(0 <= i < batch.model.outputs for i in sequence.take_ids())
        True
        """
        ids, self._ids = self._ids, []
        return ids

    def take_logprobs(self) -> list[Logprobs]:
        """Return the `Logprobs` of the elements since the last call; none without the option.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> sequence = batch.join(1, prime="Le", temp=0, logprobs=2)
        >>> while batch:
        ...     _ = batch.advance()
        >>> sequence.take_logprobs()[0].element
        'm'
        """
        found, self._logprobs = self._logprobs, []
        return found

    def pause(self) -> None:
        """Let the sequence rest: it keeps its place and costs nothing until `resume`.

        Raises `ValueError` before its first element and after its end. `Batch.advance` draws
        nothing for it.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> sequence = batch.join(20, prime="A", seed=1)
        >>> for act in (sequence.pause, sequence.resume):
        ...     _ = batch.advance(8)
        ...     act()
        ...     print(sequence.drawn)
        8
        8
        """
        self._batch._engine.pause(self._number)

    def resume(self) -> None:
        """Let a sequence that rests go on. It has no effect on any other.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> batch.join().resume()
        """
        if self.ending is None:
            self._batch._engine.resume(self._number)

    def leave(self) -> None:
        """Leave the batch: nothing more is drawn. It has no effect on a sequence that is over.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> batch.join().leave()
        >>> len(batch)
        0
        """
        self._batch._leave(self)

    def __repr__(self) -> str:
        return f"<lstmgen.batch.Sequence, {self.drawn} drawn, seed {self.seed}, {self.ending or 'goes on'}>"


class Batch:
    """Draws sequences side by side, which is faster than one by one: a weight is read once for all.

    source: a `Model`, or anything that `Model` takes.
    most: how many sequences there may be at a time, 1 to 4096.
    threads: how many threads share the lanes, at least 1. It changes no result.

    A sequence may join while others are being drawn, and leave at any element. Each has its own
    options. It is what `Generator.sample` draws with these options, bit for bit, whatever is drawn
    beside it. `len` is the number of sequences that are not over.

    One thread at a time may use a batch and its sequences. A second one gets a `RuntimeError`.

    Raises what `Generator` raises.

    >>> import lstmgen
    >>> batch, gen = lstmgen.Batch("latex"), lstmgen.Generator("latex")
    >>> first = batch.join(40, seed=1)
    >>> _ = batch.advance(10)
    >>> second = batch.join(40, 0.67, prime="Let $X$", seed=2)  # the first one is half-way
    >>> while batch:
    ...     _ = batch.advance()
    >>> first.take() == gen.sample(40, seed=1)
    True
    >>> second.take() == gen.sample(40, 0.67, prime="Let $X$", seed=2)
    True
    """

    def __init__(self, source: Source | Model, *, most: int = 64, threads: int = 1) -> None:
        self._generator = Generator(source, threads=threads)
        self._engine = self._generator._batch(Integer(1, most=MOST_SEQUENCES).check("most", most))
        self._sequences: dict[int, Sequence] = {}

    @property
    def model(self) -> Model:
        """The model that it draws from."""
        return self._generator.model

    @with_keywords(SamplingOptions, only=_JOINING, defaults=SHOWN_DEFAULTS)
    def join(
        self,
        length: int | None = 1000,
        temp: float | None = None,
        /,
        *,
        scored: bool = False,
        **options: Unpack[SamplingOptions],
    ) -> Sequence:
        """Let a sequence join, and return it.

        length: how many elements are drawn at most, at least 0. None means that it has no end.
        temp: the temperature, at least 0. The default is 1.
        scored: whether its `score` is counted, which takes a tenth of the time.
        options: those of `Generator.stream`, but for `include_prime`, and for `logits_processor`,
            since a function in Python would stop all sequences. `logprobs` may be 0: each element
            then has its own log-probability alone.

        `advance` reads the prime in pieces, so that a long one does not stop the others. An error
        that depends on what a grammar allows ends the sequence: see `Sequence.error`.

        Raises what `Generator.stream` raises, and `ValueError` if the batch is full.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex", most=1)
        >>> sequence = batch.join(10)
        >>> try:
        ...     batch.join(10)
        ... except ValueError as error:
        ...     print(error)
        the batch is full: it has 1 sequences
        """
        return self.admit(self.prepare(with_positional("join", dict(options), length=length, temp=temp), scored))

    def prepare(self, given: Mapping[str, Any], scored: bool = False) -> Prepared:
        """Check and compile all that a sequence needs, for `admit`.

        given: the options by their names, as `join` takes them.
        scored: as in `join`.

        Any thread may do it, also while another one draws. Raises what `join` raises.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> batch.prepare({"length": 10, "seed": 7}).sampler["seed"]
        7
        """
        alone = given.get("logprobs") == 0 and not isinstance(given["logprobs"], bool)
        values = checked("join", {**given, "logprobs": None} if alone else given)
        if refused := [name for name in _ONE_BY_ONE if name in values]:
            raise TypeError(f"{option(refused[0])}: not in a batch: use Generator.sample or Generator.stream")
        if "include_prime" in values:
            raise TypeError(f"{option('include_prime')}: not in a batch, which gives what is drawn")
        generator = self._generator
        grammar = compiled_grammar(self.model, values)
        prime = generator._prime("prime", values.get("prime"), values)
        told = generator._told(values)
        stops, texts = stops_of(self.model, values.get("stop"))
        request = {
            "length": UNLIMITED if values.get("length") is None else values["length"],
            "stops": stops,
            "stop_texts": texts,
            "refresh": generator._refresh(values, 4),
            "grammar": grammar,
            "finish": values.get("finish", True),
            "grammar_prime": len(prime.ids) - prime.before,
            "likeliest": 0 if alone else values.get("logprobs", -1),
            "scored": scored,
        }
        return Prepared(prime.ids, prime.added, told, request)

    def admit(self, prepared: Prepared) -> Sequence:
        """Let a sequence join that `prepare` has prepared, and return it.

        Raises `ValueError` if the batch is full.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> batch.admit(batch.prepare({"seed": 7})).seed
        7
        """
        sequence = Sequence(self, prepared.sampler["seed"])
        sequence._number = self._engine.join(prepared.prime, prepared.sampler, **prepared.request)
        self._sequences[sequence._number] = sequence
        return sequence

    def advance(self, steps: int = 1, *, seconds: float | None = None) -> list[Sequence]:
        """Draw up to `steps` elements for each sequence. Returns the sequences with news.

        steps: at least 1. A step draws an element for each sequence that has read its prime, and
            lets the others read a piece of theirs.
        seconds: at least 0. No step begins later than this after the call, nor after the first
            element of a sequence. None: there is no limit.

        Sequences with news have new elements, or are over. What was drawn before Ctrl-C is in the
        sequences after the next call.

        >>> import lstmgen
        >>> batch = lstmgen.Batch("latex")
        >>> sequence = batch.join(3, prime="A")
        >>> [batch.advance(2) == [sequence] for _ in range(2)], sequence.ending
        ([True, True], 'length')
        """
        limit = 1e9 if seconds is None else Number(0).check("seconds", seconds)
        news = self._engine.advance(Integer(1).check("steps", steps), limit)
        return list(self._noted(news))

    def __len__(self) -> int:
        return len(self._sequences)

    def __repr__(self) -> str:
        return f"<lstmgen.Batch of {self.model!r}, {len(self)} sequences>"

    # -- inside ------------------------------------------------------------------------------------

    def _noted(self, news: list[tuple[Any, ...]]) -> Iterator[Sequence]:
        for number, ids, ending, error, score, logs in news:
            sequence = self._sequences.get(number)
            if sequence is None:  # it has left
                continue
            sequence._ids += ids.tolist()
            sequence.drawn += len(ids)
            if logs is not None:
                sequence._logprobs += self._logprobs(ids.tolist(), *logs)
            if ending is not None:
                sequence.ending, sequence.error, sequence.score = ending, error, score
                del self._sequences[number]
            yield sequence

    def _logprobs(
        self, ids: list[int], logs: list[float], counts: list[int], others: list[int], other_logs: list[float]
    ) -> Iterator[Logprobs]:
        vocabulary = self.model.vocabulary
        elements: Any = range(self.model.outputs) if vocabulary is None else vocabulary.elements
        at = 0
        for i, log, n in zip(ids, logs, counts, strict=True):
            pairs = zip(others[at : at + n], other_logs[at : at + n], strict=True)
            yield Logprobs(elements[i], log, [(elements[other], other_log) for other, other_log in pairs])
            at += n

    def _leave(self, sequence: Sequence) -> None:
        if self._sequences.pop(sequence._number, None) is not None:
            self._engine.leave(sequence._number)
            sequence.ending = "left"
