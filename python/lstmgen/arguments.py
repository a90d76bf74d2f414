"""The arguments of functions: what each may be, and the error for what it may not be.

A kind of value, such as `Number`, checks a value, and says in words what it expects. The options of
sampling and the settings of trainings name their kinds in their tables.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

from lstmgen.errors import OptionError, OptionTypeError

# -- kinds of values -----------------------------------------------------------------------------


def as_float(number: Any) -> float:
    """Return a number as a float, which is infinite for one that is greater than any float.

    >>> as_float(-(10**400))
    -inf
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


class Number(NamedTuple):
    """A real number in an interval. NaN is in none.

    least, most: the ends of the interval.
    without_least: whether `least` is outside the interval.
    parse: makes a value of what the command line has.
    metavar: the name of the value in `--help`.

    >>> print(Number(0, 1, without_least=True))
    a number in (0, 1]
    """

    least: float
    most: float = math.inf
    without_least: bool = False
    parse: Callable[[str], object] = float
    metavar: str = "X"

    def __str__(self) -> str:
        if self.least == -math.inf:
            return "a finite number"
        if self.most == math.inf:
            return f"a number {'>' if self.without_least else '>='} {self.least:g}"
        return f"a number in {'(' if self.without_least else '['}{self.least:g}, {self.most:g}]"

    def check(self, name: str, value: object) -> float:
        """Return `value` as a float. Raises `OptionError` for what is no number in the interval.

        >>> Number(0).check("temp", 1)
        1.0
        """
        if isinstance(value, bool) or not isinstance(value, Real):
            raise OptionTypeError(name, "a number", value)
        number = as_float(value)
        if not math.isfinite(number) or not self.least <= number <= self.most:
            raise OptionError(name, str(self), number)
        if self.without_least and number == self.least:
            raise OptionError(name, str(self), number)
        return number


class Integer(NamedTuple):
    """An integer of at least `least`, at most `most`, and below 2**`bits`.

    only: the values that are allowed, if there are gaps between them.
    parse, metavar: as in `Number`.

    >>> print(Integer(-1, most=4096), Integer(0, only=(0, 2)), sep="; ")
    an integer in [-1, 4096]; 0 or 2
    """

    least: int
    bits: int = 63
    parse: Callable[[str], object] = int
    metavar: str = "N"
    most: int | None = None
    only: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.only:
            return " or ".join(map(str, self.only))
        if self.most is not None:
            return f"an integer in [{self.least}, {self.most}]"
        return f"an integer >= {self.least}"

    def check(self, name: str, value: object) -> int:
        """Return `value` as an int. Raises `OptionError` for what is no integer in the range.

        >>> Integer(1).check("top_k", 20)
        20
        """
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise OptionTypeError(name, "an integer", value)
        number = int(value)
        if number < self.least:
            raise OptionError(name, f"at least {self.least}", number)
        if self.most is not None and number > self.most:
            raise OptionError(name, f"at most {self.most}", number)
        if number >= 2**self.bits:
            raise OptionError(name, f"below 2**{self.bits}", number)
        if self.only and number not in self.only:
            raise OptionError(name, str(self), number)
        return number


def in_short(values: object) -> str:
    """Return the values that an option may have, in few words.

    >>> in_short(Number(0)), in_short(Integer(1))
    ('>= 0', 'integer >= 1')
    """
    return str(values).removeprefix("a number ").removeprefix("an ")


class Flag(NamedTuple):
    """True or False.

    >>> print(Flag())
    True or False
    """

    parse: None = None
    metavar: str = ""

    def __str__(self) -> str:
        return "True or False"

    def check(self, name: str, value: object) -> bool:
        """Return `value`. Raises `OptionTypeError` if it is no bool.

        >>> Flag().check("include_prime", True)
        True
        """
        if not isinstance(value, bool):
            raise OptionTypeError(name, str(self), value)
        return value


class Text(NamedTuple):
    """Something made of elements. Only its type is checked, since only a model knows its elements.

    expected: what an error message asks for.
    types: the types that are accepted. Bytes and mappings never are.
    parse, metavar: as in `Number`.
    several: whether the flag of the command line may be repeated.

    >>> print(Text("a text or a list of texts", (str, list)))
    a text or a list of texts
    """

    expected: str
    types: tuple[type, ...]
    parse: Callable[[str], object] = str
    metavar: str = "TEXT"
    several: bool = False

    def __str__(self) -> str:
        return self.expected

    def check(self, name: str, value: object) -> object:
        """Return `value`. Raises `OptionTypeError` if it is of another type.

        >>> Text("a text", (str,)).check("prime", "Let $X$")
        'Let $X$'
        """
        if isinstance(value, bytes | Mapping) or not isinstance(value, self.types) or is_scalar(value):
            raise OptionTypeError(name, self.expected, value)
        return value


class Biases(NamedTuple):
    """A number below infinity for each of some elements or ids.

    >>> print(Biases())
    a mapping from elements or ids to numbers
    """

    metavar: str = "ELEMENT=X"
    several: bool = True

    def __str__(self) -> str:
        return "a mapping from elements or ids to numbers"

    def parse(self, text: str) -> tuple[str, float]:
        """Return the element and the number of `text`, which the command line has as ELEMENT=X.

        Raises `ValueError` for any other text.

        >>> Biases().parse("==-1")
        ('=', -1.0)
        """
        element, _, number = text.rpartition("=")
        if not element:
            raise ValueError(text)
        return element, float(number)

    def check(self, name: str, value: object) -> dict[Any, float]:
        """Return `value` with floats. Raises `OptionError` if it is no such mapping.

        >>> Biases().check("logit_bias", {"e": -1})
        {'e': -1.0}
        """
        if not isinstance(value, Mapping):
            raise OptionTypeError(name, str(self), value)
        for number in value.values():
            if isinstance(number, bool) or not isinstance(number, Real):
                raise OptionTypeError(name, "a number", number)
            if not as_float(number) < math.inf:
                raise OptionError(name, "numbers below infinity", as_float(number))
        return {key: as_float(number) for key, number in value.items()}


class Function(NamedTuple):
    """Something to call. Only a program can give it, the command line cannot.

    >>> print(Function())
    a function
    """

    parse: Callable[[str], object] = str
    metavar: str = ""

    def __str__(self) -> str:
        return "a function"

    def check(self, name: str, value: object) -> object:
        """Return `value`. Raises `OptionTypeError` if it cannot be called.

        >>> Function().check("logits_processor", print) is print
        True
        """
        if not callable(value):
            raise OptionTypeError(name, str(self), value)
        return value


Kind = Number | Integer | Flag | Text | Biases | Function

# -- one value -----------------------------------------------------------------------------------


def is_scalar(value: object) -> bool:
    """Return whether a value is iterable by its type alone.

    An array without axes is, and a memoryview of several. A text of numpy has no axes either, but
    it is a text.

    >>> is_scalar([]), is_scalar("a")
    (False, False)
    """
    if isinstance(value, memoryview):
        return value.ndim != 1
    return not isinstance(value, str) and getattr(value, "shape", None) == ()


def choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return a text that is one of several. Raises `OptionError` for any other value.

    name: of the argument.

    >>> choice("dtype", "int8", ["f32", "int8"])
    'int8'
    """
    if not isinstance(value, str):
        raise OptionTypeError(name, f"one of {', '.join(choices)}", value)
    if value not in choices:
        raise OptionError(name, f"one of {', '.join(choices)}", value)
    return value


def utf8(name: str, text: str) -> str:
    """Return a text that can be stored. Raises `OptionError` for one with half of a character.

    name: of the argument.

    >>> utf8("grammar", "root ::= [a-z]")
    'root ::= [a-z]'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OptionError(name, "text that UTF-8 can hold", text) from None
    return text


def items(name: str, value: object) -> list[Any]:
    """Return a list of what is iterable, and no text. Raises `OptionTypeError` for anything else.

    name: of the argument.

    >>> items("paths", ("a", "b"))
    ['a', 'b']
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or is_scalar(value):
        raise OptionTypeError(name, "a list", value)
    return list(value)


def texts(name: str, value: object) -> list[str]:
    """Return a list of texts. Raises `OptionError` for anything else.

    name: of the argument.

    >>> texts("elements", ["d12", "n60"])
    ['d12', 'n60']
    """
    found = items(name, value)
    if not all(isinstance(text, str) for text in found):
        wrong = next(text for text in found if not isinstance(text, str))
        raise OptionTypeError(name, "a list of texts", wrong)
    return found


def path(name: str, value: object) -> str:
    """Return a path as a str. Raises `OptionError` for what is no path.

    name: of the argument.

    >>> path("out", "a.bin")
    'a.bin'
    """
    if not isinstance(value, str | os.PathLike):
        keras = hasattr(value, "get_weights")
        expected = "the path of a file, such as model.save('model.keras') writes" if keras else "a path"
        raise OptionTypeError(name, expected, value)
    text = os.fspath(value)
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not isinstance(text, str) or not text or not valid:
        raise OptionError(name, "a path that the system can have", text)
    return text


def near(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known name, if any.

    >>> near("topk", ["top_k", "top_p"]), near("x", ["top_k"])
    (": did you mean 'top_k'?", '')
    """
    import difflib  # here, as few need it

    found = difflib.get_close_matches(name.lower(), list(names), 1, 0.6)
    return f": did you mean {found[0]!r}?" if found else ""
