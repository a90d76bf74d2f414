"""What goes from the process that reads a file to the one that asked for it.

Only plain values, arrays of numbers, and the classes of `_CLASSES` go through. A value is a line
of JSON, and the numbers of its arrays come after it. Nothing is ever unpickled, since the sender
has read a file from anywhere.
"""

from __future__ import annotations

import builtins
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, BinaryIO

import numpy as np

from lstmgen import heads
from lstmgen.errors import ModelFormatError, OptionError, OptionTypeError
from lstmgen.keras_file.reader import Description, LayerDescription
from lstmgen.network import Layer, Network

_CLASSES = {each.__name__: each for each in (Network, Layer, Description, LayerDescription, heads.Head, heads.Wanted)}
_NUMBERS = np.dtype("<f4")  # of all arrays
_ERRORS = ("ValueError", "TypeError", "OSError", "ImportError")  # of Python, the nearest last


def write(file: BinaryIO, value: object) -> None:
    """Write a value, or an exception that `read` shall raise.

    Raises `TypeError` for a value of another class.
    """
    arrays: list[Any] = []
    head = json.dumps(_plain(value, arrays)).encode()
    file.write(len(head).to_bytes(8, "little"))
    file.write(head)
    for array in arrays:
        file.write(np.ascontiguousarray(array, _NUMBERS).data)


def read(file: BinaryIO) -> Any:
    """Return the value that `write` wrote, or raise the exception that it wrote.

    Raises `EOFError` if the value is not whole, and `ValueError` for what `write` never writes.
    """
    head = file.read(int.from_bytes(_exactly(file, 8), "little"))
    value = _value(json.loads(head), file)
    if isinstance(value, BaseException):
        raise value
    return value


def _plain(value: object, arrays: list[Any]) -> Any:
    """Return a value as JSON has it. Its arrays are appended to `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value if type(value) in (type(None), bool, int, float, str) else _base(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": list(value.shape)}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(key, arrays), _plain(each, arrays)] for key, each in value.items()]}
    if isinstance(value, BaseException):
        return {"error": _error(value)}
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        names = [field.name for field in fields(value)] if is_dataclass(value) else list(value._fields)
        return {"class": name, "values": [[each, _plain(getattr(value, each), arrays)] for each in names]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(each, arrays) for each in value]}
    if isinstance(value, list):
        return [_plain(each, arrays) for each in value]
    raise TypeError(f"a {name} is nothing that a file of Keras holds")


def _base(value: object) -> Any:
    """Return a value of a class that inherits from a plain one."""
    return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))


def _error(error: BaseException) -> list[Any]:
    """Return an exception as its class and what the class is called with."""
    if isinstance(error, OptionError):
        found = error.found if isinstance(error.found, bool | int | float | str | None) else repr(error.found)
        return [type(error).__name__, error.option, error.expected, found]
    if isinstance(error, OSError) and error.errno is not None:
        return ["OSError", error.errno, error.strerror, error.filename and str(error.filename)]
    if isinstance(error, ModelFormatError):
        return ["ModelFormatError", str(error)]
    known = [name for name in _ERRORS if isinstance(error, getattr(builtins, name))]
    return [known[-1] if known else "RuntimeError", str(error)]


def _value(plain: Any, file: BinaryIO) -> Any:
    if isinstance(plain, list):
        return [_value(each, file) for each in plain]
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        shape = tuple(map(int, plain["array"]))
        return np.frombuffer(_exactly(file, math.prod(shape) * _NUMBERS.itemsize), _NUMBERS).reshape(shape)
    if "mapping" in plain:
        return {_value(key, file): _value(each, file) for key, each in plain["mapping"]}
    if "tuple" in plain:
        return tuple(_value(each, file) for each in plain["tuple"])
    if "error" in plain:
        name, *arguments = plain["error"]
        kinds = {each.__name__: each for each in (ModelFormatError, OptionError, OptionTypeError)}
        known = name in kinds or name in _ERRORS or name == "RuntimeError"
        return (kinds.get(name) or getattr(builtins, name if known else "RuntimeError"))(*arguments)
    return _CLASSES[plain["class"]](**{name: _value(each, file) for name, each in plain["values"]})


def _exactly(file: BinaryIO, size: int) -> bytearray:
    """Return the next `size` bytes, which arrays may share and change."""
    data = bytearray(min(size, _left(file)))
    if len(data) < size or file.readinto(data) < size:  # type: ignore[attr-defined]
        raise EOFError(f"expected {size} bytes more")
    return data


def _left(file: BinaryIO) -> int:
    at = file.tell()
    end = file.seek(0, 2)
    file.seek(at)
    return end - at
