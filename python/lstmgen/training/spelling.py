"""Options in messages, in the spelling of the face that is used: Python or the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_on_the_command_line: ContextVar[bool] = ContextVar("_on_the_command_line", default=False)


@contextmanager
def command_line() -> Iterator[None]:
    """Spell options as the command line does, within this block."""
    token = _on_the_command_line.set(True)
    try:
        yield
    finally:
        _on_the_command_line.reset(token)


def is_command_line() -> bool:
    """Whether the command line is in use."""
    return _on_the_command_line.get()


def flag(name: str) -> str:
    """The command line's spelling of the setting `name`.

    >>> flag("weight_decay"), flag("from_")
    ('--weight-decay', '--from')
    """
    return "--" + name.rstrip("_").replace("_", "-")


def name_of(name: str) -> str:
    """The name of a setting, such as `weight_decay` or `--weight-decay`."""
    return flag(name) if is_command_line() else name


def option(name: str, value: Any = True) -> str:
    """A setting with its value, such as `resume=True` or `--resume`."""
    if not is_command_line():
        return f"{name}={value!r}"
    return flag(name) if value is True else f"{flag(name)} {value}"
