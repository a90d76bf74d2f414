"""The sessions of `lstmgen play`: turns, options and commands, without the screen."""

from __future__ import annotations

import math
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import lstmgen
from lstmgen import music
from lstmgen.arguments import Biases, Flag, Integer, Number, near
from lstmgen.cli.streams import read_text
from lstmgen.music.elements import recognise_vocabulary
from lstmgen.music.formats import WRITABLE, suffix_of
from lstmgen.music.note_generator import DEFAULT_SECONDS, NoteGenerator, NoteStream
from lstmgen.music.terminal_roll import pitch_name
from lstmgen.music.timed_notes import LONGEST, TimedNote
from lstmgen.options import CHANGEABLE, TABLE, worded
from lstmgen.vocabulary import plain_ids

OFF = ("off", "none", "default")
LENGTH = 1000  # elements of a turn, unless the option `length` is set
# Options that have no meaning in a session, or a second name.
_LEFT_OUT = ("prime", "include_prime", "best_of", "beam", "logprobs", "refresh", "temperature", "inverse_temp")


class Piece(NamedTuple):
    """A part of the text.

    text: an element, or what the user typed.
    probability: the probability of a drawn element. None for typed text.
    note: the note that the text stands for, if the model draws notes.
    """

    text: str
    probability: float | None = None
    note: TimedNote | None = None


class _Running(Protocol):
    """A running sample: a `Stream` or a `NoteStream`."""

    def copy(self) -> Any: ...


S = TypeVar("S", bound=_Running)


class _Turn(NamedTuple, Generic[S]):
    """What `undo` and `retry` need of a turn."""

    pieces: int  # number of pieces before the turn
    before: S | None  # the stream before the turn, or None for the first turn
    after: S  # the stream after the typed text
    first: int  # number of pieces after the typed text


class Turns(ABC, Generic[S]):
    """A session: a user and a model write in turns.

    model: the model.
    options: the options of sampling at the start. Without a seed, a random one is taken.
    """

    notation: str | None = None  # the notation of music
    spaced: bool  # whether there are spaces between elements

    def __init__(self, model: lstmgen.Model, options: Mapping[str, Any]) -> None:
        self.model = model
        self.options: dict[str, Any] = {name: value for name, value in options.items() if name in self.names()}
        self.seed: int = self.options.pop("seed", secrets.randbits(32))
        self.pieces: list[Piece] = []
        self.stream: S | None = None
        self.drawing = False
        self._left = 0  # elements that this turn may still draw
        self._turns: list[_Turn[S]] = []

    def __repr__(self) -> str:
        return f"<lstmgen play of {self.model!r}, {len(self.pieces)} pieces, seed {self.seed}>"

    # -- what depends on the kind of model ---------------------------------------------------------

    @abstractmethod
    def names(self) -> list[str]:
        """Return the options that can be set, in the order of the table."""

    @abstractmethod
    def music(self) -> music.Music:
        """Return the music so far."""

    @abstractmethod
    def check_text(self, path: str) -> None:
        """Raise `ValueError` if a text file cannot have this name."""

    @abstractmethod
    def _started(self, text: str) -> tuple[S, list[Piece]]:
        """Return a stream that has read a prime, and the pieces of the prime."""

    @abstractmethod
    def _fed(self, stream: S, text: str) -> list[Piece]:
        """Let the stream read a text. Returns its pieces."""

    @abstractmethod
    def _drawn(self, stream: S) -> Piece:
        """Draw the next element."""

    @abstractmethod
    def _again(self, stream: S, seed: int | None = None) -> S:
        """Return a stream that continues another one with the current options."""

    @abstractmethod
    def _follow(self, stream: S) -> None:
        """Give a stream the current options."""

    @abstractmethod
    def _changed(self, name: str) -> None:
        """Apply a changed option from the next element on."""

    # -- turns -------------------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Append what the user typed, and begin to draw.

        text: the text. The first one is the prime, and an empty one stands for the model's prime.

        Raises `ValueError` for an element that the model does not have. Then nothing changes.
        """
        before = None if self.stream is None else self.stream.copy()
        if self.stream is None:
            self.stream, typed = self._started(text)
        else:
            typed = self._fed(self.stream, text) if text else []
        pieces = len(self.pieces)
        self.pieces += typed
        self._turns.append(_Turn(pieces, before, self.stream.copy(), len(self.pieces)))
        self.go()

    def go(self) -> None:
        """Begin to draw `length` elements."""
        if self.stream is None:
            return
        self._left = self.options.get("length") or LENGTH
        self.drawing = True

    def step(self) -> bool:
        """Draw an element while a turn is drawn. Returns whether the turn goes on."""
        if not self.drawing or self.stream is None:
            return False
        try:
            piece = self._drawn(self.stream)
        except StopIteration:  # a stop text ends the turn, and the next one continues after it
            self.stream = self._again(self.stream)
            self.drawing = False
            return False
        self.pieces.append(piece)
        self._left -= 1
        self.drawing = self._left > 0
        return self.drawing

    def undo(self) -> bool:
        """Take back all that was typed and drawn in the last turn. Returns False without one."""
        if not self._turns:
            return False
        turn = self._turns.pop()
        del self.pieces[turn.pieces :]
        self.stream, self.drawing = turn.before, False
        if self.stream is not None:
            self._follow(self.stream)
        return True

    def retry(self, seed: int | None = None) -> bool:
        """Draw the last turn again with another seed. Returns False without one."""
        if not self._turns:
            return False
        turn = self._turns[-1]
        chosen = secrets.randbits(32) if seed is None else seed
        self.stream = self._again(turn.after, chosen)
        self.seed = chosen
        del self.pieces[turn.first :]
        self.go()
        return True

    def new(self) -> None:
        """Begin again without a text."""
        self.pieces, self._turns, self.stream, self.drawing = [], [], None, False

    def text(self) -> str:
        """Return all that was typed and drawn."""
        return "".join(piece.text for piece in self.pieces)

    def save(self, path: str) -> None:
        """Write a file. It is music if its suffix is one of music, else text.

        Raises `ValueError` for a file that exists, so that nothing is lost.
        """
        from lstmgen.files import write

        if not path:
            raise ValueError("save: give a name, such as /save out.txt")
        if Path(path).exists():
            raise ValueError(f"{path}: it exists already: give another name")
        if self.notation and suffix_of(path) in WRITABLE:
            music.check_music_outputs([path])
            self.music().write(path)
            return
        self.check_text(path)
        text = self.text()
        write(path, (f"{text}\n" if self.spaced else text).encode())

    # -- options -----------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """Return the current value of an option."""
        if name == "seed":
            return self.seed
        return self.options.get(name, TABLE[name].default)

    def set(self, name: str, value: Any) -> None:
        """Change an option from the next element on. A new seed draws the last turn again.

        value: the value. None: the default.

        Raises `ValueError` or `TypeError` for a wrong value. Then nothing changes.
        """
        if name not in self.names():
            raise ValueError(f"no option {name}{near(name, self.names())}")
        if name == "seed":
            value = TABLE[name].values.check(name, value)
            if not self.retry(value):
                self.seed = value
            return
        before = dict(self.options)
        self.options.pop(name, None)
        if value is not None:
            self.options[name] = value
        try:
            self._changed(name)
        except (ValueError, TypeError):
            self.options = before
            raise

    def nudge(self, name: str, up: bool) -> None:
        """Change a number by one step, within its range."""
        kind = TABLE[name].values
        if not isinstance(kind, Number | Integer):
            raise ValueError(f"{name}: type its value, as in /{name.replace('_', '-')} VALUE")
        step = 0.05 if isinstance(kind, Number) else 1
        now = self.value(name)
        neutral = _neutral(kind)
        changed = (neutral if now is None else now) + (step if up else -step)
        most = kind.most if kind.most is not None else math.inf
        changed = min(max(round(changed, 10), kind.least), most)
        if isinstance(kind, Number) and kind.without_least and changed <= kind.least:
            return
        off = TABLE[name].default is None and changed == neutral
        self.set(name, None if off else changed)

    def command(self, line: str) -> str:
        """Run a command such as `/temp 0.9`, and return the message for the user.

        Raises `ValueError` for an unknown command and for a wrong value.
        """
        word, _, rest = line.removeprefix("/").strip().partition(" ")
        rest = rest.strip()
        known = self._commands()
        if word in known:
            return known[word](rest)
        name = word.replace("-", "_")
        if name not in self.names():
            commands = [*known, *(one.replace("_", "-") for one in self.names())]
            raise ValueError(f"/{word}: no such command{near(word, commands)}; /help lists them")
        if not rest:
            return f"{word} {self.shown(name)}: {_meaning(name)}"
        self.set(name, parsed(name, rest))
        return f"{word} {self.shown(name)}"

    def _commands(self) -> dict[str, Callable[[str], str]]:
        def undo(_: str) -> str:
            return "the last turn is undone" if self.undo() else "there is nothing to undo"

        def retry(seed: str) -> str:
            given = parsed("seed", seed) if seed else None
            return f"again with the seed {self.seed}" if self.retry(given) else "there is nothing to draw again"

        def save(path: str) -> str:
            self.save(path)
            return f"saved as {path}"

        def new(_: str) -> str:
            self.new()
            return "type a prime, or press Enter for the model's own"

        return {"undo": undo, "retry": retry, "save": save, "new": new, "help": self._help}

    def _help(self, name: str) -> str:
        if name.replace("-", "_") in self.names():
            return _meaning(name.replace("-", "_"))
        options = " ".join(f"/{one.replace('_', '-')}" for one in self.names())
        return f"/undo /retry [SEED] /save FILE /new /help [OPTION] /quit, and with a value or 'off': {options}"

    def shown(self, name: str) -> str:
        """Return the value of an option in words."""
        value = self.value(name)
        if value is None:
            return TABLE[name].without
        return f"{value:g}" if isinstance(value, float) else str(value)


class Session(Turns[lstmgen.Stream]):
    """A session of text or of elements of music.

    generator: the generator of the model.
    options: as in `Turns`.

    >>> import lstmgen
    >>> session = Session(lstmgen.Generator("latex"), {"temp": 0.0})
    >>> session.type("Let $X$ be")
    >>> drawing = [session.step() for _ in range(17)]
    >>> session.text()
    'Let $X$ be a topological sp'
    """

    def __init__(self, generator: lstmgen.Generator, options: Mapping[str, Any]) -> None:
        super().__init__(generator.model, options)
        self.generator = generator
        self._fixed = {"refresh": options["refresh"]} if "refresh" in options else {}
        vocabulary = self.model.vocabulary
        self.spaced = vocabulary is None or vocabulary.kind == "tokens"
        found = recognise_vocabulary(vocabulary.elements) if vocabulary is not None and self.spaced else None
        self.notation = found.notation if found else None

    def names(self) -> list[str]:
        """Return the options that can be set, in the order of the table."""
        return [name for name, entry in TABLE.items() if entry.flag and name not in _LEFT_OUT]

    def music(self) -> music.Music:
        """Return the music so far."""
        return music.decode(self.text().split(), notation=self.notation)

    def check_text(self, path: str) -> None:
        """Raise `ValueError` if a text file cannot have this name."""
        music.check_outputs([path], self.model.vocabulary.elements if self.model.vocabulary else None, joined=True)

    def _started(self, text: str) -> tuple[lstmgen.Stream, list[Piece]]:
        prime = self._elements(text) if text else None
        stream = self.generator.stream(None, **self._fixed, **self._endless(), prime=prime, seed=self.seed)
        text = text or self._default_prime()
        return stream, [Piece(text)] if text else []

    def _fed(self, stream: lstmgen.Stream, text: str) -> list[Piece]:
        stream.feed(self._elements(text))
        return [Piece(self._apart(text))]

    def _drawn(self, stream: lstmgen.Stream) -> Piece:
        text = self._apart(str(next(stream)))
        return Piece(text, 0.0 if stream.logprob is None else math.exp(stream.logprob))

    def _again(self, stream: lstmgen.Stream, seed: int | None = None) -> lstmgen.Stream:
        changes: dict[str, Any] = {} if seed is None else {"seed": seed}
        return self.generator.stream(None, state=stream.save_state(), **self._endless(), **changes)

    def _follow(self, stream: lstmgen.Stream) -> None:
        changes: Any = {
            name: self.options.get(name) for name in CHANGEABLE if name in self.names() and name != "length"
        }
        stream.update(**changes)

    def _changed(self, name: str) -> None:
        if self.stream is None:
            self.generator.stream(**self._fixed, **self.options)  # checks the options
        elif name in CHANGEABLE:
            change: Any = {name: None if name == "length" else self.options.get(name)}
            self.stream.update(**change)
        else:
            self.stream = self._again(self.stream)

    def _endless(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name != "length"}

    def _elements(self, text: str) -> str | Sequence[int]:
        return text if self.model.vocabulary else plain_ids(text) or text

    def _apart(self, text: str) -> str:
        return f" {text}" if self.spaced and self.pieces else text

    def _default_prime(self) -> str:
        ids = self.model.prime.tolist()
        if self.model.vocabulary is None:
            return " ".join(map(str, ids))
        found = self.model.vocabulary.decode(ids)
        return found if isinstance(found, str) else " ".join(found)


class NoteSession(Turns[NoteStream]):
    """A session of notes, for a model whose outputs form one note.

    generator: the generator of the model.
    options: `temp`, `seed` and `length` at the start.

    The user types notes such as `C4`, chords such as `C4.E4.G4`, both perhaps with a step and a
    duration in seconds, such as `C4/0.5/0.25`, or the path of a MIDI file.
    """

    notation = "notes"
    spaced = True

    def __init__(self, generator: NoteGenerator, options: Mapping[str, Any]) -> None:
        super().__init__(generator.model, options)
        self.generator = generator

    def names(self) -> list[str]:
        """Return the options that can be set, in the order of the table."""
        return [name for name in ("length", "temp", "seed") if name in TABLE]

    def notes(self) -> list[TimedNote]:
        """Return all notes that were typed and drawn."""
        return [piece.note for piece in self.pieces if piece.note is not None]

    def music(self) -> music.Music:
        """Return the music so far."""
        return music.of_timed_notes(self.notes())

    def check_text(self, path: str) -> None:
        """Raise `ValueError` if a text file cannot have this name."""
        music.check_outputs([path], None, joined=True)

    def _started(self, text: str) -> tuple[NoteStream, list[Piece]]:
        typed = self._typed(text) if text else []
        return self.generator.stream(None, **self._tau(), prime=typed or None, seed=self.seed), self._pieces(typed)

    def _fed(self, stream: NoteStream, text: str) -> list[Piece]:
        typed = self._typed(text)
        stream.feed(typed)
        return self._pieces(typed)

    def _drawn(self, stream: NoteStream) -> Piece:
        note = next(stream)
        return self._pieces([note])[0]._replace(probability=stream.probability)

    def _again(self, stream: NoteStream, seed: int | None = None) -> NoteStream:
        other = stream.copy(seed)
        self._follow(other)
        return other

    def _follow(self, stream: NoteStream) -> None:
        stream.temp = self.options.get("temp", 1.0)

    def _changed(self, name: str) -> None:
        if self.stream is None:
            self.generator.stream(**self._tau())  # checks the options
        else:
            self._follow(self.stream)

    def _tau(self) -> dict[str, Any]:
        return {"temp": self.options["temp"]} if "temp" in self.options else {}

    def _typed(self, text: str) -> list[TimedNote]:
        if Path(text.strip()).exists():
            return music.read_timed_notes(text.strip())
        return [note for word in text.split() for note in typed_notes(word)]

    def _pieces(self, notes: Sequence[TimedNote]) -> list[Piece]:
        first = not self.pieces
        return [
            Piece(f"{'' if first and i == 0 else ' '}{pitch_name(n.pitch)}/{n.step:.2f}/{n.duration:.2f}", None, n)
            for i, n in enumerate(notes)
        ]


def typed_notes(word: str) -> list[TimedNote]:
    """Return the notes in a word such as NOTE, NOTE/STEP or NOTE/STEP/DURATION.

    NOTE is a name such as C4, F#5 or Bb3, or a MIDI pitch. A chord has dots between its notes. STEP
    and DURATION are in seconds, 0.5 by default.

    >>> typed_notes("Bb3/1")
    [TimedNote(pitch=58, step=1.0, duration=0.5, velocity=80.0)]
    >>> [(note.pitch, note.step) for note in typed_notes("C4.E4")]
    [(60, 0.5), (64, 0.0)]
    """
    name, *times = word.split("/")
    try:
        seconds = [float(time) for time in times]
        if len(seconds) > 2 or not all(0 <= time <= LONGEST for time in seconds):
            raise ValueError
        # Flats are "-" in the notation of the lesson, as in music21.
        found = music.decode([re.sub("([A-G])b", r"\1-", name)], notation="lesson").notes
    except ValueError:
        raise ValueError(f"expected a note such as C4, C4.E4 or C4/0.5/0.25, or a MIDI file, found {word!r}") from None
    step, duration = (*seconds, *[DEFAULT_SECONDS] * 2)[:2]
    return [TimedNote(note.pitch, 0.0 if i else step, duration) for i, note in enumerate(found)]


def of_file(name: str) -> str:
    """Return the text of the file `name`, or `name` if it is a word such as 'own'."""
    return read_text(name) if Path(name).exists() or os.sep in name or "." in name else name


def parsed(name: str, text: str) -> Any:
    """Return the value of an option from a text. None for 'off'."""
    kind = TABLE[name].values
    if isinstance(kind, Flag):
        if text not in ("on", "off"):
            raise ValueError(f"{name}: expected on or off, found {text!r}")
        return text == "on"
    if text in OFF:
        return None
    if kind.metavar == "FILE":
        return of_file(text)
    try:
        value = kind.parse(text)
    except ValueError:
        raise ValueError(f"{name}: expected {kind}, found {text!r}") from None
    if isinstance(kind, Biases):
        return dict([value])  # type: ignore[list-item]
    return [value] if getattr(kind, "several", False) else kind.check(name, value)


def _meaning(name: str) -> str:
    return worded(TABLE[name].meaning, lambda other: other.replace("_", "-"))


def _neutral(kind: Number | Integer) -> float:
    """Return the value at which a number has no effect."""
    if isinstance(kind, Integer):
        return kind.least
    if kind.without_least:
        return kind.most if kind.most < math.inf else 1.0
    return max(kind.least, 0.0)
