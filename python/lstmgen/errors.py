"""Exceptions that lstmgen adds to Python's own, and how messages spell options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from lstmgen.escaping import brief, printable, shown

T = TypeVar("T")
Spelling = Callable[[str, object], str]


class ModelFormatError(ValueError):
    r"""A model file, a state or a network that cannot be used.

    A file or a state cannot be read, or the file format cannot hold the network.

    >>> import lstmgen
    >>> try:
    ...     lstmgen.Model(b"GGUF")
    ... except ModelFormatError as error:
    ...     print(str(error)[:7])
    <bytes>

    Its message shows no character of a file that a terminal would take for a command.

    >>> str(ModelFormatError("layer \x1b[2J"))
    'layer \\x1b[2J'
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(shown(arg) if isinstance(arg, str) else arg for arg in args))


class ReaderDied(ModelFormatError):
    """A file whose reading crashed, or took more memory or time than a sound file does.

    >>> issubclass(ReaderDied, ModelFormatError)
    True
    """


class Note(UserWarning):
    """A warning of something that the user should know and need not mend.

    >>> issubclass(Note, UserWarning)
    True
    """


class OptionError(ValueError):
    """An option with a value that it cannot have.

    option: the name of the option in Python.
    expected: what the value may be.
    found: the value.

    >>> import lstmgen
    >>> try:
    ...     lstmgen.Generator("latex").sample(top_p=2)
    ... except lstmgen.OptionError as error:
    ...     print(error)
    ...     print(error.option)
    top_p: expected a number in (0, 1], found 2.0
    top_p
    """

    def __init__(self, option: str, expected: str, found: object) -> None:
        super().__init__(option, expected, found)
        self.option = option
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{printable(f'{option(self.option)}: expected {self.expected}')}, found {brief(self.found)}"


class OptionTypeError(OptionError, TypeError):
    """An option with a value of a type that it cannot have.

    >>> print(OptionTypeError("seed", "an integer", "x"))
    seed: expected an integer, found 'x'
    """


def instance(name: str, value: object, kind: type[T]) -> T:
    """Return a value of a type. Raises `OptionTypeError` for one of another type.

    name: of the argument.
    value: what was given.
    kind: the type.

    >>> instance("text", "abc", str)
    'abc'
    """
    if not isinstance(value, kind):
        raise OptionTypeError(name, "text" if kind is str else f"a {kind.__name__}", value)
    return value


NO_VALUE = object()


def option(name: str, value: object = NO_VALUE) -> str:
    """Return an option as the user types it.

    name: of the option in Python.
    value: its value, `...` for some value, or NO_VALUE for the name alone.

    Messages name options through this function, so that the command line shows its own spelling.

    >>> option("top_k"), option("on_unknown", "skip"), option("prime", ...)
    ('top_k', "on_unknown='skip'", 'prime=...')
    """
    return _spelling.get()(name, value)


@contextmanager
def spelled(spelling: Spelling) -> Iterator[None]:
    """Let `option` spell by `spelling(name, value)` inside a `with`.

    >>> with spelled(lambda name, value: f"--{name}"):
    ...     option("seed")
    '--seed'
    """
    before = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(before)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Let errors inside a `with` name the option whose value is wrong.

    >>> try:
    ...     with named("prime"):
    ...         [].index("x")
    ... except ValueError as error:
    ...     print(error)
    prime: 'x' is not in list
    """
    try:
        yield
    except OptionError:
        raise
    except TypeError as error:
        raise TypeError(f"{option(name)}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{option(name)}: {error}") from None


def call(python: str, command: str) -> str:
    """Return what the user calls: a function in Python, or a command of `lstmgen`.

    python: the name of the function.
    command: the name of the command.

    >>> call("Model.classify", "classify")
    'Model.classify'
    """
    return python if spelled_as_in_python() else f"lstmgen {command}"


def spelled_as_in_python() -> bool:
    """Return whether the caller is a program in Python, and not the command line.

    >>> spelled_as_in_python()
    True
    """
    return _spelling.get() is _as_in_python


def _as_in_python(name: str, value: object) -> str:
    if value is NO_VALUE:
        return name
    return f"{name}={'...' if value is ... else repr(value)}"


_spelling: ContextVar[Spelling] = ContextVar("_spelling", default=_as_in_python)
