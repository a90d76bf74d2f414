"""What `lstmgen play` does, apart from the screen: text and elements in turns, options, undo."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lstmgen
from lstmgen import music
from lstmgen.cli.streams import read_text
from lstmgen.music.elements import recognise_vocabulary
from lstmgen.music.formats import WRITABLE, suffix_of
from lstmgen.options import CHANGEABLE, TABLE, Biases, Flag, Integer, Number, near
from lstmgen.vocabulary import plain_ids

OFF = ("off", "none", "default")
LENGTH = 1000  # elements of a turn, if the option `length` does not say another number
# Options that a session cannot use: it has turns of its own, and other names for some.
_LEFT_OUT = ("prime", "include_prime", "best_of", "beam", "logprobs", "refresh", "temperature", "inverse_temp")


class Piece(NamedTuple):
    """A part of what is on the screen.

    text: an element, or what the user typed.
    probability: with which the element was drawn; None for what was typed.
    """

    text: str
    probability: float | None = None


class _Turn(NamedTuple):
    """What to go back to: the stream before and after the text that the user typed."""

    pieces: int  # on the screen before it
    before: lstmgen.Stream | None  # None: the turn is the first
    typed: str
    after: lstmgen.Stream  # and before the first drawn element
    first: int  # number of pieces when it was drawn


class Session:
    """A text that a user and a model write in turns.

    generator: of the model. options: of sampling, to begin with. A seed is chosen if none is given.

    >>> import lstmgen
    >>> session = Session(lstmgen.Generator("latex"), {"temp": 0.0})
    >>> session.type("Let $X$ be")
    >>> drawing = [session.step() for _ in range(17)]
    >>> session.text()
    'Let $X$ be a topological sp'
    """

    def __init__(self, generator: lstmgen.Generator, options: Mapping[str, Any]) -> None:
        self.generator = generator
        self.model = generator.model
        self.options: dict[str, Any] = {name: value for name, value in options.items() if name not in _LEFT_OUT}
        self._fixed = {"refresh": options["refresh"]} if "refresh" in options else {}
        self.seed: int = self.options.pop("seed", secrets.randbits(32))
        self.pieces: list[Piece] = []
        self.stream: lstmgen.Stream | None = None
        self.drawing = False
        self._left = 0  # elements that this turn may still draw
        self._turns: list[_Turn] = []
        vocabulary = self.model.vocabulary
        self._joined = vocabulary is not None and vocabulary.kind != "tokens"
        found = None if self._joined or vocabulary is None else recognise_vocabulary(vocabulary.elements)
        self.notation: str | None = found.notation if found else None

    def __repr__(self) -> str:
        return f"<lstmgen play of {self.generator!r}, {len(self.pieces)} pieces, seed {self.seed}>"

    # -- turns -------------------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Append what the user typed, and let the model go on. Raises `ValueError` for an element
        that the model does not have; then nothing changes.

        The first turn is the prime. An empty one is the prime of the model.
        """
        before = None if self.stream is None else self.stream.copy()
        if self.stream is None:
            self.stream = self._begun(text)
            if not text:
                text = self._default_prime()
        elif text:
            self.stream.feed(text if self.model.vocabulary else plain_ids(text) or text)
        pieces = len(self.pieces)
        if text:
            self.pieces.append(Piece(text if self._joined or not self.pieces else f" {text}"))
        self._turns.append(_Turn(pieces, before, text, self.stream.copy(), len(self.pieces)))
        self.go()

    def go(self) -> None:
        """Let the model go on for another `length` elements."""
        if self.stream is None:
            return
        self._left = self.options.get("length") or LENGTH
        self.drawing = True

    def step(self) -> bool:
        """Draw an element, if the model is to go on. Whether it does so after it."""
        if not self.drawing or self.stream is None:
            return False
        try:
            element = str(next(self.stream))
        except StopIteration:  # a stop text: it may be drawn on from there
            self.stream = self._again({})
            self.drawing = False
            return False
        logprob = self.stream.logprob
        text = element if self._joined or not self.pieces else f" {element}"
        self.pieces.append(Piece(text, 0.0 if logprob is None else math.exp(logprob)))
        self._left -= 1
        self.drawing = self._left > 0
        return self.drawing

    def undo(self) -> bool:
        """Take back the last turn, what was typed and what was drawn. Whether there was one."""
        if not self._turns:
            return False
        turn = self._turns.pop()
        del self.pieces[turn.pieces :]
        self.stream, self.drawing = turn.before, False
        if self.stream is not None:
            changes: Any = self._changeable()
            self.stream.update(**changes)
        return True

    def retry(self, seed: int | None = None) -> bool:
        """Draw the last turn again with another seed. Whether there was a turn."""
        if not self._turns:
            return False
        turn = self._turns[-1]
        state = turn.after.save_state()
        chosen = secrets.randbits(32) if seed is None else seed
        self.stream = self._again({"seed": chosen}, state)
        self.seed = chosen
        del self.pieces[turn.first :]
        self.go()
        return True

    def new(self) -> None:
        """Begin again, with no text."""
        self.pieces, self._turns, self.stream, self.drawing = [], [], None, False

    def text(self) -> str:
        """All that was typed and drawn."""
        return "".join(piece.text for piece in self.pieces)

    def elements(self) -> list[str]:
        """The elements of a model of tokens."""
        return self.text().split()

    def music(self) -> music.Music:
        """The music of the elements so far."""
        return music.decode(self.elements(), notation=self.notation)

    def save(self, path: str) -> None:
        """Write all of it: music where the suffix is one of music, else text. An existing file is
        an error, so that nothing is lost.
        """
        from lstmgen.files import write

        if not path:
            raise ValueError("save: give a name, such as /save out.txt")
        if Path(path).exists():
            raise ValueError(f"{path}: it exists: give another name")
        if self.notation and suffix_of(path) in WRITABLE:
            music.check_music_outputs([path])
            self.music().write(path)
            return
        music.check_outputs([path], self.model.vocabulary.elements if self.model.vocabulary else None, joined=True)
        write(path, (self.text() if self._joined else f"{self.text()}\n").encode())

    # -- options -----------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The options that may be set, in the order of the table."""
        return [name for name, entry in TABLE.items() if entry.flag and name not in _LEFT_OUT]

    def value(self, name: str) -> Any:
        """What holds for an option now."""
        if name == "seed":
            return self.seed
        return self.options.get(name, TABLE[name].default)

    def set(self, name: str, value: Any) -> None:
        """Change an option, from the next element on. None is its default. A new seed draws the
        last turn again.

        Raises `ValueError` or `TypeError` for a value that it cannot have; then nothing changes.
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
            if self.stream is None:
                self.generator.stream(**self._fixed, **self.options)  # which checks it
            elif name in CHANGEABLE:
                change: Any = {name: None if name == "length" else value}
                self.stream.update(**change)
            else:
                self.stream = self._again({})
        except (ValueError, TypeError):
            self.options = before
            raise

    def nudge(self, name: str, up: bool) -> None:
        """Change a number by a step, between the least and the greatest that it may be."""
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
        """Do what a line such as `/temp 0.9` says; return what to tell the user.

        Raises `ValueError` for a line that is no command.
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
            return f"{word} {self.shown(name)}: {TABLE[name].meaning}"
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
            return TABLE[name.replace("-", "_")].meaning
        options = " ".join(f"/{one.replace('_', '-')}" for one in self.names())
        return f"/undo /retry [SEED] /save FILE /new /help [OPTION] /quit, and with a value or 'off': {options}"

    def shown(self, name: str) -> str:
        """The value of an option in words."""
        value = self.value(name)
        if value is None:
            return TABLE[name].without
        return f"{value:g}" if isinstance(value, float) else str(value)

    # -- inside ------------------------------------------------------------------------------------

    def _changeable(self) -> dict[str, Any]:
        return {name: self.options.get(name) for name in CHANGEABLE if name in self.names() and name != "length"}

    def _begun(self, text: str) -> lstmgen.Stream:
        prime: str | Sequence[int] | None = text or None
        if text and self.model.vocabulary is None:
            prime = plain_ids(text) or text
        options = {name: value for name, value in self.options.items() if name != "length"}
        return self.generator.stream(None, **self._fixed, **options, prime=prime, seed=self.seed)

    def _again(self, changes: Mapping[str, Any], state: bytes | None = None) -> lstmgen.Stream:
        """A stream that goes on from a state, or from where the present one is."""
        if state is None:
            assert self.stream is not None
            state = self.stream.save_state()
        options = {name: value for name, value in self.options.items() if name != "length"}
        return self.generator.stream(None, state=state, **options, **changes)

    def _default_prime(self) -> str:
        ids = self.model.prime.tolist()
        if self.model.vocabulary is None:
            return " ".join(map(str, ids))
        found = self.model.vocabulary.decode(ids)
        return found if isinstance(found, str) else " ".join(found)


def of_file(name: str) -> str:
    """The text of a file that an option names; of a word that is no file, such as 'own', the
    word."""
    return read_text(name) if Path(name).exists() or os.sep in name or "." in name else name


def parsed(name: str, text: str) -> Any:
    """The value of an option that a text says; None for 'off'."""
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


def _neutral(kind: Number | Integer) -> float:
    """The value at which a number changes nothing."""
    if isinstance(kind, Integer):
        return kind.least
    if kind.without_least:
        return kind.most if kind.most < math.inf else 1.0
    return max(kind.least, 0.0)
