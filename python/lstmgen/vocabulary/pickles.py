"""Pickles of plain data, read without running anything.

A pickle is a program for a stack machine that may call any function of Python. This machine has the
same instructions, but it cannot call anything. It looks up each name that a pickle asks for in a
table of a dozen constructors of plain data, whose results this module builds itself. It refuses
every other name.

The size of the file bounds the memory of what this module builds. The number of instructions bounds
its time.
"""

from __future__ import annotations

import codecs
import math
import re
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 2**27
MAX_STEPS = 2**23  # instructions. A word of a Keras Tokenizer takes 11
_MAX_SHAPE = 2**27
MAX_DEPTH = 32
_MAX_DIGITS = 100
_MAX_KEY = 2**60  # larger integers may share their hashes
_MAX_MARKS = 1000
# What lists, dicts and copies may take: bytes for each byte of the pickle, and bytes more.
_MEMORY_RATIO, _MEMORY = 20, 2**22
_ENTRY = 64  # bytes of an entry of a list or dict that is copied
_ARRAY = 400  # bytes of an array without its numbers


class Refused(ValueError):
    """A pickle that asks for what is not in the table. The message names it, but not the file.

    >>> import os, pickle
    >>> try:
    ...     loads(pickle.dumps(os.system))
    ... except Refused as error:
    ...     print("system" in str(error))
    True
    """


def loads(data: bytes) -> Any:
    """Return the value in a pickle of any protocol.

    data: the pickle, at most 128 MiB.

    The value is made of dict, list, tuple, set, str, bytes, int, float, bool and None. An array of
    numpy becomes a list, a scalar of numpy a number or a text, and a dict of `collections` a plain
    dict. An object of any class that is called Tokenizer becomes the dict of its settings.

    Raises `Refused` for a pickle that asks for anything else, and `ValueError` for one that is
    broken or too large.

    Source: `pickletools` of Python, which describes the instructions.

    >>> import pickle
    >>> loads(pickle.dumps({"a": [1, 2.5]}))
    {'a': [1, 2.5]}
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected a pickle of at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        return _plain(_Machine(data).run(), 2 * len(data) + 1000)
    except IndexError:
        raise ValueError("a broken pickle: an instruction finds too few values") from None
    except (struct.error, OverflowError, UnicodeError) as error:
        raise ValueError(f"a broken pickle: {error!s:.80}") from None


# -- what stands for objects -----------------------------------------------------------------------


class _Name:
    """A name of the table that the pickle asked for."""

    def __init__(self, name: str) -> None:
        self.name = name


class _OldText(str):
    """A byte string of Python 2, as UTF-8 if it is that, and as Latin-1 otherwise.

    The numbers of an array are such a string, too.
    """

    __slots__ = ("raw",)
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> _OldText:
        try:
            made = cls(raw.decode())
        except UnicodeDecodeError:
            made = cls(raw.decode("latin-1"))
        made.raw = raw
        return made


class _Dtype:
    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[<>|=]?([biufSU]\d{0,6}|O8?)", text):
            raise Refused(f"numpy arrays of {text!r:.40}")
        self.kind = np.dtype(text)


class _Array:
    """An array, which becomes lists at the end.

    objects: whether its cells may be any objects.
    lists: how many lists, but for the outermost.
    """

    def __init__(self) -> None:
        self.cells: NDArray[Any] = np.empty(0)
        self.objects = False
        self.lists = 0

    def fill(self, shape: object, dtype: object, fortran: object, data: object) -> None:
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > 4:
            _broken("an array without shape or type")
        if not all(type(n) is int and 0 <= n <= _MAX_SHAPE for n in shape):
            _broken("an array of a negative or huge shape")
        count = math.prod(shape)
        if dtype.kind.hasobject:
            if type(data) is not list or len(data) != count:
                _broken("an array of objects of another number")
            cells: NDArray[Any] = np.empty(count, object)
            for i, value in enumerate(data):  # assigning the list at once would look into its elements
                cells[i] = value
        else:
            raw = _raw(data)
            if count > max(len(raw), 1) or dtype.kind.itemsize * count != len(raw):
                _broken(f"an array of {count} numbers in {len(raw)} bytes")
            cells = np.frombuffer(raw, dtype.kind) if count and raw else np.zeros(count, dtype.kind)
        self.objects = dtype.kind.hasobject
        self.cells = shared(cells).reshape(shape, order="F" if fortran else "C")
        self.lists = sum(math.prod(shape[:i]) for i in range(1, len(shape))) if count else 0

    def values(self) -> Any:
        """Return the cells as lists."""
        if not self.cells.size:
            return []
        try:
            return self.cells.tolist()
        except (ValueError, SystemError) as error:  # beyond Unicode
            _broken(str(error))


class _Tokenizer:
    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}


def _raw(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, _OldText):
        return data.raw
    if isinstance(data, str):
        return data.encode("latin-1")
    _broken("an array without its bytes")


def shared(cells: NDArray[Any]) -> NDArray[Any]:
    """Return integers of one byte as objects of Python, of which equal ones are one object.

    Another array is returned as it is.

    >>> shared(np.array([200, 200], "u1")).tolist()
    [200, 200]
    """
    if cells.dtype.kind not in "iu" or cells.dtype.itemsize > 1:
        return cells
    objects: NDArray[Any] = np.arange(-128, 256).astype(object)
    return objects[cells.astype(np.int16) + 128]


def _broken(why: str) -> NoReturn:
    raise ValueError(f"a broken pickle: {why}")


# -- the table -------------------------------------------------------------------------------------

_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy.core": "numpy._core"}
_DICTS = ("collections.OrderedDict", "collections.defaultdict", "collections.Counter")
# A defaultdict may make these types. It becomes a plain dict, which makes none.
_TYPES = frozenset(
    f"builtins.{name}" for name in ("int", "float", "str", "bool", "list", "dict", "set", "tuple", "object")
)
_TOKENIZER = "Tokenizer"
_ARRAY_OF = "numpy._core.numeric._frombuffer"


def _named(module: str, name: str) -> _Name:
    """Return the name, if it is in the table."""
    for old, new in _MODULES.items():
        if module == old or module.startswith(f"{old}."):
            module = new + module[len(old) :]
    if module == "builtins":
        name = {"long": "int", "unicode": "str"}.get(name, name)
    if name.rpartition(".")[2] == _TOKENIZER:
        return _Name(_TOKENIZER)
    full = f"{module}.{name}"
    if full not in _CALLS and full not in _TYPES and full not in _DICTS and full != "numpy.ndarray":
        raise Refused(f"{full!r:.80}"[1:-1])
    return _Name(full)


def _call(function: object, arguments: object) -> Any:
    """Return what a constructor of the table makes."""
    if not isinstance(function, _Name) or type(arguments) is not tuple:
        _broken("a call of what is no function")
    if function.name == _TOKENIZER:
        if arguments:
            _broken("a Tokenizer with arguments")
        return _Tokenizer()
    if function.name in _DICTS:
        return _dict_of(function.name, arguments)
    if function.name not in _CALLS:
        raise Refused(f"a call of {function.name}")
    try:
        return _CALLS[function.name](*arguments)
    except TypeError:
        _broken(f"a call of {function.name} with {len(arguments)} arguments")


def _dict_of(name: str, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if name.endswith("defaultdict") and arguments:
        factory, *arguments = arguments  # type: ignore[assignment]
        if factory is not None and (not isinstance(factory, _Name) or factory.name not in _TYPES):
            raise Refused(f"a defaultdict of {getattr(factory, 'name', type(factory).__name__)}")
    if not arguments:
        return {}
    (given,) = arguments
    if type(given) is dict:
        return given
    if type(given) is not list or not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in given):
        _broken(f"a {name} of something else than pairs")
    return {_key(key): value for key, value in given}


def _set_of(given: object = ()) -> set[Any]:
    if type(given) not in (list, tuple, set):
        _broken("a set of something else than a list")
    return {_key(value) for value in given}  # type: ignore[attr-defined]


def _bytes_of(given: object = b"", encoding: object = None) -> bytes:
    if isinstance(given, str) and (encoding is None or encoding in ("latin1", "latin-1")):
        return given.raw if isinstance(given, _OldText) else given.encode("latin-1")
    if not isinstance(given, bytes) or encoding is not None:
        _broken("bytes of something else than text")
    return given


def _reconstructor(kind: object, base: object, state: object) -> _Tokenizer:
    if not isinstance(kind, _Name) or kind.name != _TOKENIZER:
        raise Refused(f"an object of {kind.name if isinstance(kind, _Name) else type(kind).__name__}")
    if state is not None:
        _broken("a Tokenizer made of another object")
    return _Tokenizer()


def _new(kind: object) -> _Tokenizer:
    return _reconstructor(kind, None, None)


def _array(kind: object, shape: object, code: object) -> _Array:
    if not isinstance(kind, _Name) or kind.name != "numpy.ndarray":
        raise Refused("an unknown kind of array")
    return _Array()


def _array_of(data: object, dtype: object, shape: object, order: object) -> _Array:
    made = _Array()
    made.fill(shape, dtype, order == "F", data)
    return made


def _dtype(code: object, align: object = False, copy: object = False) -> _Dtype:
    if not isinstance(code, str):
        _broken("a type of numbers without its name")
    return _Dtype(str(code))


def _scalar(dtype: object, data: object = b"") -> Any:
    if isinstance(dtype, _Dtype) and dtype.kind.hasobject:
        raise Refused("a scalar of numpy that is an object")
    if not isinstance(dtype, _Dtype):
        _broken("an array without shape or type")
    raw = _raw(data)
    if dtype.kind.itemsize != len(raw):
        _broken(f"an array of 1 numbers in {len(raw)} bytes")
    try:
        return (np.frombuffer(raw, dtype.kind) if raw else np.zeros(1, dtype.kind)).tolist()[0]
    except (ValueError, SystemError) as error:  # beyond Unicode
        _broken(str(error))


_CALLS: Mapping[str, Callable[..., Any]] = {
    "builtins.set": _set_of,
    "builtins.frozenset": _set_of,
    "builtins.bytes": _bytes_of,
    "builtins.bytearray": _bytes_of,
    "_codecs.encode": _bytes_of,
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _new,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy._core.multiarray.scalar": _scalar,
    _ARRAY_OF: _array_of,
    "numpy.dtype": _dtype,
}


def _key(value: Any) -> Any:
    """Return a value that may be the key of a dict or an element of a set."""
    if isinstance(value, int) and not -_MAX_KEY < value < _MAX_KEY:
        _broken("an integer of more than 60 bits as a key")
    if value is not None and not isinstance(value, str | bytes | int | float):
        kind = {"_Name": "a class", "_Tokenizer": "a Tokenizer"}.get(type(value).__name__, type(value).__name__)
        raise Refused(f"a dict or set with {kind} as a key")
    return value


# -- the machine -----------------------------------------------------------------------------------


class _Machine:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the marks
        self.memo: list[Any] = []  # under 0, 1, 2 ...
        self.sparse_memo: dict[int, Any] = {}  # under other numbers
        self.left = _MEMORY_RATIO * len(data) + _MEMORY  # bytes

    def run(self) -> Any:
        """Return the value that is on the stack at the end."""
        data, operations = self.data, _OPERATIONS
        for _ in range(MAX_STEPS):
            code = data[self.at] if self.at < len(data) else -1
            self.at += 1
            if code == _STOP:
                return self.stack.pop()
            operation = operations.get(code)
            if operation is None:
                _broken("it ends early" if code < 0 else f"byte {self.at - 1} is {code:#04x}, which is no instruction")
            operation(self)
        raise ValueError(f"expected a pickle of at most {MAX_STEPS} instructions, found more")

    # -- reading

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.at:
            _broken(f"{count} bytes announced, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            _broken("it ends early")
        taken = self.data[self.at : end]
        self.at = end + 1
        return taken

    # -- the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def spend(self, nbytes: int) -> None:
        """Count memory that the bytes of the pickle do not pay for."""
        self.left -= nbytes
        if self.left < 0:
            most = _MEMORY_RATIO * len(self.data) + _MEMORY
            raise ValueError(f"expected a pickle whose lists, dicts and copies take at most {most:,} bytes, found more")

    def container(self, value: Any) -> None:
        self.spend(sys.getsizeof(value))
        self.stack.append(value)

    def call(self, function: Any, arguments: Any) -> None:
        """Put what a constructor of the table makes on the stack."""
        self.spend(_copied(arguments))
        if isinstance(function, _Name) and function.name == _ARRAY_OF:
            self.spend(_ARRAY)
        self.container(_call(function, arguments))

    def mark(self) -> None:
        if len(self.below) == _MAX_MARKS:
            _broken(f"nested more than {_MAX_MARKS} times")
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """Return what lies above the last mark, and take both off the stack."""
        if not self.below:
            _broken("no mark")
        items, self.stack = self.stack, self.below.pop()
        return items

    def remember(self, key: int) -> None:
        value = self.stack[-1]
        if key == len(self.memo):
            self.memo.append(value)
        elif 0 <= key < len(self.memo):
            self.memo[key] = value
        else:
            self.sparse_memo[key] = value

    def recall(self, key: int) -> None:
        if 0 <= key < len(self.memo):
            self.stack.append(self.memo[key])
        elif key in self.sparse_memo:
            self.stack.append(self.sparse_memo[key])
        else:
            _broken("it refers to what it does not hold")

    # -- containers

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            _broken("no list to add to")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            _broken("no dict to put into")
        for i in range(0, len(items), 2):
            target[_key(items[i])] = items[i + 1]

    def add_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            _broken("no set to add to")
        target.update(map(_key, items))

    def make_dict(self, items: list[Any]) -> None:
        self.container({})
        self.set_items(items)

    def top(self, count: int) -> list[Any]:
        """Take the last `count` values off the stack, and return them."""
        if len(self.stack) < count:
            _broken("an empty stack")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    # -- objects

    def reduce(self) -> None:
        self.call(*self.top(2))

    def new(self, function: Any, arguments: Any, named: object) -> None:
        if named != {} and named is not None:
            _broken("an object with named arguments")
        self.call(function, arguments)

    def make(self, function: Any, arguments: list[Any]) -> None:
        self.call(function, tuple(arguments))

    def named(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            _broken("a name that is no text")
        self.push(_named(module, name))

    def build(self) -> None:
        (state,) = self.top(1)
        target = self.stack[-1]
        self.spend(_copied(state if type(state) is tuple else (state,)))
        if isinstance(target, _Tokenizer):
            if type(state) is tuple and len(state) == 2 and state[1] is None:
                state = state[0]
            if type(state) is not dict or not all(isinstance(key, str) for key in state):
                raise Refused("a Tokenizer that is not Keras's: its state is no dict of settings")
            target.settings |= state
        elif isinstance(target, _Array):
            self.spend(_ARRAY)
            if type(state) is not tuple or len(state) not in (4, 5):
                _broken("an array without its state")
            target.fill(*state[-4:])
        elif isinstance(target, _Dtype):
            if type(state) is not tuple or len(state) < 6 or any(entry is not None for entry in state[2:5]):
                raise Refused("an array of records")
            if state[1] in ("<", ">"):
                target.kind = target.kind.newbyteorder(state[1])
        else:
            raise Refused(f"the state of a {type(target).__name__}")


def _copied(arguments: object) -> int:
    """Return the bytes that copies of the arguments of a call take at most."""
    nbytes = 0
    for value in arguments if type(arguments) is tuple else ():
        if type(value) in (list, tuple, set, dict):
            nbytes += _ENTRY * len(value)
        elif isinstance(value, str | bytes):
            nbytes += len(value)
    return nbytes


def _integer(text: bytes) -> int:
    if len(text) > _MAX_DIGITS:
        _broken(f"an integer of {len(text)} digits")
    try:
        return int(text)
    except ValueError:
        _broken("an integer that is none")


def _float(text: bytes) -> float:
    try:
        return float(text[:_MAX_DIGITS])
    except ValueError:
        _broken("a number that is none")


def _int_line(m: _Machine) -> None:
    text = m.line()
    m.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else _integer(text))


def _long(m: _Machine, size: int) -> None:
    if size > _MAX_DIGITS:
        _broken(f"an integer of {size} bytes")
    m.push(int.from_bytes(m.take(size), "little", signed=True))


def _quoted(m: _Machine) -> None:
    text = m.line().strip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
        _broken("a text without quotes")
    try:
        raw: bytes = codecs.escape_decode(text[1:-1])[0]
    except ValueError:
        _broken("a text with an escape that is none")
    m.push(_OldText.of(raw))


def _refuse(what: str) -> Callable[[_Machine], None]:
    def operation(m: _Machine) -> None:
        raise Refused(what)

    return operation


def _frame(m: _Machine) -> None:
    if m.number("<Q") > len(m.data) - m.at:
        _broken("it ends early")


def _object(m: _Machine) -> None:
    function, *arguments = m.marked() or [None]
    m.make(function, arguments)


def _instance(m: _Machine) -> None:
    module, name = m.line(), m.line()
    m.make(_named(module.decode(), name.decode()), m.marked())


def _text(size: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(m.take(m.number(size)).decode("utf-8", "surrogatepass"))


def _old_text(size: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(_OldText.of(m.take(m.number(size))))


def _data(size: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(m.take(m.number(size)))


_STOP = ord(".")
_OPERATIONS: Mapping[int, Callable[[_Machine], Any]] = {
    ord(code): operation
    for code, operation in {
        "(": _Machine.mark,
        "0": lambda m: m.stack.pop() if m.stack else m.marked(),
        "1": _Machine.marked,
        "2": lambda m: m.push(m.stack[-1]),
        "F": lambda m: m.push(_float(m.line())),
        "G": lambda m: m.push(m.number(">d")),
        "I": _int_line,
        "J": lambda m: m.push(m.number("<i")),
        "K": lambda m: m.push(m.number("<B")),
        "M": lambda m: m.push(m.number("<H")),
        "L": lambda m: m.push(_integer(m.line().removesuffix(b"L"))),
        "\x8a": lambda m: _long(m, m.number("<B")),
        "\x8b": lambda m: _long(m, m.number("<i")),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "S": _quoted,
        "T": _old_text("<i"),
        "U": _old_text("<B"),
        "V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "B": _data("<I"),
        "C": _data("<B"),
        "\x8e": _data("<Q"),
        "\x96": _data("<Q"),
        "]": lambda m: m.container([]),
        "l": lambda m: m.container(m.marked()),
        "a": lambda m: m.append(m.top(1)),
        "e": lambda m: m.append(m.marked()),
        ")": lambda m: m.push(()),
        "t": lambda m: m.container(tuple(m.marked())),
        "\x85": lambda m: m.container(tuple(m.top(1))),
        "\x86": lambda m: m.container(tuple(m.top(2))),
        "\x87": lambda m: m.container(tuple(m.top(3))),
        "}": lambda m: m.container({}),
        "d": lambda m: m.make_dict(m.marked()),
        "s": lambda m: m.set_items(m.top(2)),
        "u": lambda m: m.set_items(m.marked()),
        "\x8f": lambda m: m.container(set()),
        "\x90": lambda m: m.add_items(m.marked()),
        "\x91": lambda m: m.container(_set_of(m.marked())),
        "g": lambda m: m.recall(_integer(m.line())),
        "h": lambda m: m.recall(m.number("<B")),
        "j": lambda m: m.recall(m.number("<I")),
        "p": lambda m: m.remember(_integer(m.line())),
        "q": lambda m: m.remember(m.number("<B")),
        "r": lambda m: m.remember(m.number("<I")),
        "\x94": lambda m: m.remember(len(m.memo) + len(m.sparse_memo)),
        "c": lambda m: m.named(m.line().decode(), m.line().decode()),
        "\x93": lambda m: m.named(*m.top(2)),
        "R": _Machine.reduce,
        "b": _Machine.build,
        "i": _instance,
        "o": _object,
        "\x81": lambda m: m.new(*m.top(2), None),
        "\x92": lambda m: m.new(*m.top(3)),
        "\x80": lambda m: m.number("<B"),
        "\x95": _frame,
        "P": _refuse("an object that lies outside it"),
        "Q": _refuse("an object that lies outside it"),
        "\x82": _refuse("an object of copyreg's registry"),
        "\x83": _refuse("an object of copyreg's registry"),
        "\x84": _refuse("an object of copyreg's registry"),
        "\x97": _refuse("a buffer that lies outside it"),
        "\x98": _refuse("a buffer that lies outside it"),
    }.items()
}


# -- the result ------------------------------------------------------------------------------------


_ATOMS = frozenset((str, int, float, bool, type(None), bytes))
_LIST = 8  # values for which a list in an array counts


def _check_left(left: int) -> None:
    if left < 0:
        raise ValueError("a pickle whose lists hold each other, many times over")


def _plain(value: Any, most: int) -> Any:
    """Return a copy that holds plain data only, of at most `most` values.

    A value that appears in several places is copied to each.
    """
    left = most

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        if isinstance(value, _Array):
            left -= value.cells.size + _LIST * value.lists
            _check_left(left)
            if not value.objects:
                return value.values()
            value = value.values()
        elif isinstance(value, _Tokenizer):
            value = value.settings
        if isinstance(value, dict | list | tuple | set):
            left -= len(value)
            _check_left(left)
            if depth > MAX_DEPTH:
                raise ValueError(f"expected data nested at most {MAX_DEPTH} times, found more, or data within itself")
            if isinstance(value, dict):
                return {copied(k, depth): copied(v, depth + 1) for k, v in value.items()}
            if isinstance(value, set):
                return {copied(item, depth) for item in value}
            items = [item if type(item) in _ATOMS else copied(item, depth + 1) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, _OldText):
            return str(value)
        if isinstance(value, _Name | _Dtype):
            raise Refused(f"the class {value.name}" if isinstance(value, _Name) else "a type of numpy")
        return value

    return copied(value, 0)
