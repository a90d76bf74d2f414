"""Notes drawn from a network that has an output for each part of a note."""

from __future__ import annotations

import bisect
import itertools
import math
import os
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from lstmgen import arguments, options
from lstmgen.errors import option
from lstmgen.escaping import brief
from lstmgen.heads import Head
from lstmgen.music.notes import MIDDLE_C
from lstmgen.music.timed_notes import TimedNote, read_timed_notes
from lstmgen.signatures import KeywordSignature

if TYPE_CHECKING:
    from lstmgen.bundled import Source
    from lstmgen.exporting import ExportOptions
    from lstmgen.model import Model

Prime = str | os.PathLike[str] | Iterable[Sequence[float]]

DEFAULT_SECONDS = 0.5  # step and duration of each note of the default prime
_TINY = 1e-300  # so that a probability of zero has a logarithm


class NoteGenerator:
    """Draws notes, as TensorFlow's tutorial "Generate music with an RNN" does.

    source: a `Model`, or anything that `Model` takes. Its network has outputs for pitch, step and
        duration, and perhaps velocity.
    options: those of `Model`, if `source` is not one already.

    A note is drawn from the window of the last T notes. Its pitch is drawn from the probabilities
    of the pitches, which `temp` changes. Step and duration are what the network puts out, but not
    below 0. The note then enters as those of the training did, with the pitch divided by `divisor`.
    The loop of the tutorial does not divide there, so that its network reads numbers that the
    training did not have.

    Raises what `Model` raises, `TypeError` for options beside a `Model`, and `ValueError` for a
    network whose outputs are no note.

    The network of the example draws E above middle C for ever, half a second each.

    >>> import json, numpy as np
    >>> from lstmgen.binfile import writer
    >>> from lstmgen.heads import to_card
    >>> from lstmgen.network import Layer, Network
    >>> bias = np.zeros(130, "f4")
    >>> bias[64], bias[128:] = 9, 0.5
    >>> arrays = {"kernel": np.zeros((3, 130), "f4"), "bias": bias}
    >>> arrays["recurrent_kernel"] = np.zeros((130, 130), "f4")
    >>> options = {"units": 130, "activation": "linear", "return_sequences": False}
    >>> layer = Layer("simple_rnn", "note", options, arrays)
    >>> heads = [Head("pitch", 128, "logits", 128), Head("step", 1, "number", 1)]
    >>> heads.append(Head("duration", 1, "number", 1))
    >>> card = json.dumps({"heads": to_card(heads)})
    >>> data = writer.pack(Network((layer,), 4, 3, ""), encoding="features", card=card)
    >>> generator = NoteGenerator(data)
    >>> [note.pitch for note in generator.sample(3, temp=0)]
    [64, 64, 64]
    >>> stream = generator.stream(5, temp=0)
    >>> next(stream).duration
    0.5
    >>> stream.feed([(72, 0.25, 0.25)])
    >>> fork = stream.copy()
    >>> list(fork) == list(stream), stream.probability
    (True, 1.0)
    """

    __signature__ = KeywordSignature("lstmgen.exporting", "ExportOptions")

    def __init__(self, source: Source | Model, **options: Unpack[ExportOptions]) -> None:
        from lstmgen.model import Model  # which needs numpy, as writers of music do not

        if isinstance(source, Model) and options:
            raise TypeError(f"a Model takes no {', '.join(options)}")
        self.model: Model = source if isinstance(source, Model) else Model(source, **options)
        self.heads: tuple[Head, ...] = self.model.heads
        if not self.heads:
            heads = option("heads", "pitch=NAME,step=NAME,duration=NAME")
            raise ValueError(
                "its outputs are no note: expected pitch, step and duration; at the export "
                f"{heads} says which outputs they are"
            )

    @property
    def default_prime(self) -> list[TimedNote]:
        """A window of middle C, half a second each, from which a sample without a prime starts."""
        note = TimedNote(MIDDLE_C, DEFAULT_SECONDS, DEFAULT_SECONDS)
        for head in self.heads:
            highest = _highest(head)
            if not head.lowest <= _value(note, head) <= highest:
                middle = (head.lowest + int(highest)) // 2
                note = note._replace(**{head.part: middle})
        return [note] * (self.model.window or 1)

    def sample(
        self,
        length: int = 120,
        temp: float | None = None,
        *,
        prime: Prime | None = None,
        seed: int | None = None,
        temperature: float | None = None,
        inverse_temp: float | None = None,
    ) -> list[TimedNote]:
        """Draw notes, and return them.

        length: how many notes are drawn, at least 0.
        temp: the temperature, at least 0. The default is 1. The probability of pitch i is
            proportional to exp(logit_i / temp). 0 takes the most likely pitch.
        temperature, inverse_temp: the same as temp, and 1 / temp. At most one may be given.
        prime: the notes before the first one: the path of a MIDI file, or notes as `TimedNote` or
            (pitch, step, duration), in seconds. Only the last T count. Fewer are read as they are,
            from the zero state. None is `default_prime`.
        seed: the same seed gives the same notes. None is a new seed. The random numbers are those
            of Python's `random.Random(seed).random()`.

        Raises `OptionError` for a wrong option, and `OSError` for a prime that cannot be read.
        Raises `ValueError` for a prime that is empty, has pitches that the network does not know,
        or is too short for a network that takes exactly T notes. Raises `ValueError` if the network
        puts out numbers that are not finite.

        The class has an example.
        """
        return list(
            self.stream(length, temp, prime=prime, seed=seed, temperature=temperature, inverse_temp=inverse_temp)
        )

    def stream(
        self,
        length: int | None = 120,
        temp: float | None = None,
        *,
        prime: Prime | None = None,
        seed: int | None = None,
        temperature: float | None = None,
        inverse_temp: float | None = None,
    ) -> NoteStream:
        """Start a sample, and return it as a `NoteStream`, an iterator over the notes of `sample`.

        length: how many notes are drawn, at least 0. None means that the iteration never ends.
        temp, prime, seed, temperature, inverse_temp: as in `sample`.

        Raises what `sample` raises. The class has an example.
        """
        if length is not None:
            length = arguments.Integer(0).check("length", length)
        given = {"temp": temp, "temperature": temperature, "inverse_temp": inverse_temp, "seed": seed}
        values = options.checked("stream", given)
        tau = options.temperature(values).get("temp", 1.0)
        return NoteStream(self, self._prime(prime), length, tau, values.get("seed"))

    def __repr__(self) -> str:
        parts = ", ".join(map(str, self.heads))
        return f"<lstmgen.music.NoteGenerator of {self.model!r}, a note is {parts}>"

    def _prime(self, prime: Prime | None) -> list[TimedNote]:
        """Return the notes before the first one, checked."""
        if prime is None:
            return self.default_prime
        notes, where = self._notes(prime)
        steps = self.model.window
        if steps and len(notes) < steps and self.model.fixed_steps:
            raise ValueError(f"{where}expected at least {steps} notes, which the network takes, found {len(notes)}")
        return notes

    def _notes(self, given: Prime, name: str = "prime") -> tuple[list[TimedNote], str]:
        """Return notes that a user gives, checked, and how messages name them."""
        if isinstance(given, str | os.PathLike):
            arguments.path(name, given)
            notes, where = read_timed_notes(given), f"{os.fspath(given)}: "
        else:
            notes, where = (
                [_as_note(name, note, i) for i, note in enumerate(arguments.items(name, given))],
                f"{option('prime')}: ",
            )
        if not notes:
            raise ValueError(f"{option(name)}: expected at least one note, found none")
        for i, note in enumerate(notes):
            for head in self.heads:
                value = _value(note, head)
                highest = _highest(head)
                if not head.lowest <= value <= highest:
                    raise ValueError(
                        f"{where}note {i}: {head.part}: expected {head.lowest} to {highest:g}, found {value:g}"
                    )
        return notes, where


class NoteStream(Iterator[TimedNote]):
    """A running sample of notes. `NoteGenerator.stream` makes it.

    temp: the temperature, at least 0. A change holds from the next note on.
    probability: that of the pitch of the last note, when it was drawn. None before the first note.

    `NoteGenerator` has an example.
    """

    def __init__(
        self, generator: NoteGenerator, prime: Sequence[TimedNote], length: int | None, temp: float, seed: int | None
    ) -> None:
        self.probability: float | None = None
        self.temp = temp
        self._generator = generator
        self._left = length
        self._random = random.Random(seed)
        self._window: deque[list[float]] = deque(maxlen=generator.model.window or None)
        self._read(prime)

    def __next__(self) -> TimedNote:
        if self._left == 0:
            raise StopIteration
        y = self._generator.model.predict([list(self._window)])[0]
        note = self._note((y[-1] if y.ndim == 2 else y).tolist())
        self._read([note])
        if self._left is not None:
            self._left -= 1
        return note

    def feed(self, notes: Prime) -> None:
        """Append notes, as if they had been drawn. The iteration skips them.

        notes: as the prime of `NoteGenerator.sample`, however few.

        Raises `ValueError` for what is no note, and for pitches that the network does not know.
        `NoteGenerator` has an example.
        """
        self._read(self._generator._notes(notes, "notes")[0])

    def copy(self, seed: int | None = None) -> NoteStream:
        """Return a second sample that continues from here as this one does.

        seed: the copy has the random numbers of this seed. None means that it has those that come
            next here.
        """
        seed = options.checked("copy", {"seed": seed}).get("seed")
        other = NoteStream(self._generator, (), self._left, self.temp, seed)
        other.probability = self.probability
        other._window.extend(self._window)
        if seed is None:
            other._random.setstate(self._random.getstate())
        return other

    def __repr__(self) -> str:
        left = "without end" if self._left is None else f"{self._left} left"
        return f"<lstmgen.music.NoteStream of {self._generator!r}, temp {self.temp:g}, {left}>"

    def _read(self, notes: Iterable[TimedNote]) -> None:
        self._window.extend(_entering(self._generator.heads, note) for note in notes)

    def _note(self, y: list[float]) -> TimedNote:
        """Return the note that the outputs of the network are."""
        if not all(map(math.isfinite, y)):
            raise ValueError("the network puts out numbers that are not finite: its steps or durations have grown")
        parts: dict[str, float] = {}
        at = 0
        for head in self._generator.heads:
            out = y[at : at + head.size]
            at += head.size
            if head.kind == "number":
                parts[head.part] = max(0.0, out[0])
            else:
                logits = out if head.kind == "logits" else [math.log(max(p, _TINY)) for p in out]
                drawn, probability = _draw(logits, self.temp, self._random)
                parts[head.part] = head.lowest + drawn
                if head.part == "pitch":
                    self.probability = probability
        return TimedNote(int(parts.pop("pitch")), **parts)


def _entering(heads: Iterable[Head], note: TimedNote) -> list[float]:
    """Return the numbers of a step."""
    numbers: list[float] = []
    for head in heads:
        value = _value(note, head) - head.lowest
        if head.onehot:
            numbers += [float(i == round(value)) for i in range(head.size)]
        else:
            numbers.append(value / head.divisor)
    return numbers


def _draw(logits: list[float], temp: float, rng: random.Random) -> tuple[int, float]:
    """Return an index, drawn in proportion to exp(logits / temp), and its probability."""
    greatest = max(logits)
    if temp == 0:
        return logits.index(greatest), 1.0
    weights = [math.exp((logit - greatest) / temp) for logit in logits]
    sums = list(itertools.accumulate(weights))
    drawn = min(bisect.bisect_right(sums, rng.random() * sums[-1]), len(logits) - 1)
    return drawn, weights[drawn] / sums[-1]


def _value(note: TimedNote, head: Head) -> float:
    value: float = getattr(note, head.part)
    return value


def _highest(head: Head) -> float:
    """Return the greatest value that a part of a note may have."""
    return math.inf if head.kind == "number" else head.lowest + head.size - 1


def _as_note(name: str, note: Sequence[float], i: int) -> TimedNote:
    try:
        pitch, *rest = note
        made = TimedNote(int(pitch), *map(float, rest))
        if len(note) < 3 or made.pitch != pitch or not all(map(math.isfinite, made)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{option(name)}: note {i}: expected (pitch, step, duration), perhaps with velocity, found {brief(note)}"
        ) from None
    return made
