"""Signatures that name each keyword, for `help`, for completion in a notebook, and for `inspect`.

Without them, a function that takes `**options: Unpack[SomeOptions]` is shown with `**options`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any, ForwardRef, TypeVar, get_origin

F = TypeVar("F", bound=Callable[..., Any])


def with_keywords(
    options: type, *, only: Iterable[str] = (), defaults: Mapping[str, object] | None = None, meaning: str = ""
) -> Callable[[F], F]:
    """Return a decorator that shows the keys of a `TypedDict` in place of a function's `**options`.

    options: the `TypedDict`. A key that is a parameter of the function, too, keeps its place. It
        is shown as one that may be given by name.
    only: the keys to show; all without it.
    defaults: of the keys, in the order in which they are shown; None for those that it lacks.
    meaning: what to append to the docstring.

    >>> import lstmgen
    >>> list(inspect.signature(lstmgen.export).parameters)[:4]
    ['source', 'out', 'config', 'output']
    """
    kinds = {name: _type(kind) for name, kind in options.__annotations__.items() if not only or name in only}
    values = dict.fromkeys(kinds) if defaults is None else {**defaults, **dict.fromkeys(kinds.keys() - defaults.keys())}

    def decorated(function: F) -> F:
        shown = inspect.signature(function)
        own = {name: one for name, one in shown.parameters.items() if one.kind is not one.VAR_KEYWORD}
        for name in own.keys() & kinds.keys():
            if own[name].kind is inspect.Parameter.POSITIONAL_ONLY:
                own[name] = own[name].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kinds[name])
            for name, value in values.items()
            if name in kinds and name not in own
        ]
        function.__signature__ = shown.replace(parameters=[*own.values(), *more])  # type: ignore[attr-defined]
        if meaning:
            function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{inspect.cleandoc(meaning)}"
        return function

    return decorated


class KeywordSignature:
    """The `__signature__` of a class whose `__init__` takes the keys of a `TypedDict`, too.

    module, name: where the `TypedDict` is. It is imported when the signature is asked for: to
        sample, the exporter need not be.

    >>> import lstmgen
    >>> "vocab_from" in inspect.signature(lstmgen.Model).parameters
    True
    """

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        def init(*given: Any, **options: Any) -> None: ...

        init.__signature__ = inspect.signature(owner.__init__)  # type: ignore[attr-defined, misc]
        options = getattr(import_module(self._module), self._name)
        whole = inspect.signature(with_keywords(options)(init))
        return whole.replace(parameters=list(whole.parameters.values())[1:])


def _type(kind: Any) -> Any:
    """A type as a signature shows it."""
    if isinstance(kind, ForwardRef):
        return kind.__forward_arg__
    return kind.__origin__ if get_origin(kind) is Annotated else kind
