"""The models that come with the package, and how a name stands for one of them."""

from __future__ import annotations

import errno
import os
import sys
import warnings

from lstmgen.arguments import near, path
from lstmgen.errors import Note

Source = str | os.PathLike[str] | bytes
_PACKAGE = os.path.dirname(__file__)


def bundled() -> dict[str, str]:
    """Path of each model that comes with the package, under its name.

    >>> sorted(bundled())
    ['folk', 'latex', 'music']
    """
    folder = os.path.join(_PACKAGE, "models")
    if not os.path.isdir(folder):
        return {}
    names = sorted(name for name in os.listdir(folder) if name.endswith(".bin"))
    return {name.removesuffix(".bin"): os.path.join(folder, name) for name in names}


def card_path(name: str) -> str:
    """Return the path of the card of a bundled model, a Markdown file.

    >>> os.path.basename(card_path("latex"))
    'latex.md'
    """
    return f"{bundled()[name].removesuffix('.bin')}.md"


def resolved(source: Source, *, said: bool = True) -> Source:
    """`source`, or the path of the bundled model that it names.

    A file or a folder of that name comes first. `latex.bin` stands for the bundled `latex` where
    the current folder has no such file; a `Note` says so if `said`. Raises `FileNotFoundError` for
    a name that is nearly one of a bundled model, or that could be one, and `OptionError` for what
    is no path.

    >>> os.path.basename(resolved("latex", said=False)), resolved("a/latex.bin")
    ('latex.bin', 'a/latex.bin')
    """
    if isinstance(source, bytes):
        return source
    name = path("source", source)  # an integer would be an open file
    if os.path.isfile(name):  # a folder may have a bundled model's name
        return source
    models = bundled()
    if name in models:
        return models[name]
    if os.path.lexists(name) or name != os.path.basename(name):
        return name
    short = name.removesuffix(".bin")
    if short in models:
        if said:
            text = f"{name}: there is no such file here, so the bundled model {short!r} is taken"
            warnings.warn(text, Note, stacklevel=_caller())
        return models[short]
    hint = near(short, models)
    if hint or name.isidentifier():
        hint = f"{hint or ', nor a bundled model'} (bundled: {', '.join(models)})"
        raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}{hint}", name)
    return name


def _caller() -> int:
    """The `stacklevel` with which the caller warns the first code outside the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
