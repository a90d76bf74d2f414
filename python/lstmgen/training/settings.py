"""The settings of a training.

Each is described once, as a field of a class. Its check, its flag on the command line and its
documentation follow from that.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self, TypeVar

import numpy as np

from lstmgen.arguments import near
from lstmgen.binfile import rounding
from lstmgen.errors import OptionTypeError, option
from lstmgen.escaping import brief

S = TypeVar("S", bound="type[Settings]")
T = TypeVar("T", bound="Settings")
_MOST_OF_ALL = 0.5  # the greatest share that can be held out of all data


def setting(
    default: Any,
    about: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] | None = None,
    kind: type | None = None,
    shown: str | None = None,
    run: bool = False,
    quiet: bool = False,
    architecture: bool = False,
    path: bool = False,
) -> Any:
    """Return a field of `Settings`.

    default: the default.
    about: what the setting means, in words.
    least, most: the range of a number. Both ends are allowed.
    choices: the names that are allowed.
    kind: the type of the values, if the default is None.
    shown: the default in words, if its value says too little.
    run: whether two runs of one training may differ in it. The card then does not have it.
    quiet: whether the card has it only if it is not the default.
    architecture: whether weights fit another network only if it has the same value.
    path: whether a `Path` is allowed, too.
    """
    described = {
        "about": about,
        "least": least,
        "most": most,
        "choices": choices,
        "kind": kind or type(default),
        "shown": shown if shown is not None else str(default),
        "run": run,
        "quiet": quiet,
        "architecture": architecture,
        "path": path,
    }
    return field(default=default, metadata=described)


def batch_setting(default: int | None, shown: str | None = None) -> Any:
    """Return the field `batch`."""
    return setting(default, "sequences in a training step", least=1, most=10**5, kind=int, shown=shown)


def lr_setting(default: float | None, shown: str | None = None) -> Any:
    """Return the field `lr`."""
    return setting(default, "greatest learning rate", least=1e-9, most=10, kind=float, shown=shown)


def changed(of: type[Settings], name: str, default: Any, **about: Any) -> Any:
    """Return the field `name` of the settings `of` with another default, and with changes of
    `about`, as in `setting`.
    """
    metadata = {**_field(of, name).metadata, "shown": str(default), **about}
    return field(default=default, metadata=metadata)


def described(of: S) -> S:
    """Decorate a class of settings.

    Its docstring gets the meaning of each setting. The attribute `told` of its objects gets the
    names of the settings that were given.
    """
    lines = [f"    {_meaning(one)}" for one in fields(of) if one.metadata]
    of.__doc__ = "\n".join([(of.__doc__ or "").rstrip(), "", *lines])
    init = of.__init__

    @functools.wraps(init)
    def noting(self: Settings, **values: Any) -> None:
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
        init(self, **{"told": frozenset(values), **plain})

    of.__init__ = noting  # type: ignore[method-assign]
    return of


def _meaning(of: Field[Any]) -> str:
    return f"{of.name}: {of.metadata['about']} ({allowed(of)}; default: {_shown(of)})."


def _field(of: type[Settings], name: str) -> Field[Any]:
    return next(one for one in fields(of) if one.name == name)


def _shown(of: Field[Any]) -> str:
    return of.metadata["shown"] or ("no" if of.metadata["kind"] is bool else "none")


def allowed(of: Field[Any]) -> str:
    """Return the values that a setting may have, in words."""
    about = of.metadata
    if about["choices"]:
        return ", ".join(about["choices"])
    if about["least"] is not None:
        return f"{about['least']:,} to {about['most']:,}"
    return {bool: "yes or no", str: "text"}[about["kind"]]


@described
@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of every training. The method `check` raises errors, the class does not.

    >>> settings = Settings(epochs=3, units=64)
    >>> settings.check()
    >>> settings.patience
    5
    """

    epochs: int = setting(
        40,
        "most epochs. An epoch is a pass over the data, or several passes over a short text. If a finished model is "
        "resumed, this many are added",
        least=1,
        most=10**6,
        run=True,
    )
    patience: int = setting(
        5, "stop after more than this many epochs without improvement; 0: never", least=0, most=10**6, run=True
    )
    holdout: float = setting(0.05, "share of the data that is held out to measure on", least=0, most=_MOST_OF_ALL)
    seed: int = setting(
        1, "the same seed gives the same training on the same machine and backend", least=0, most=2**32 - 1
    )
    units: int = setting(512, "units of each LSTM layer", least=1, most=65_536, architecture=True)
    layers: int = setting(1, "number of LSTM layers, one after the other", least=1, most=100, architecture=True)
    dropout: float = setting(
        0.2, "share of each LSTM layer's outputs that a training step sets to zero", least=0, most=0.99
    )
    dtype: str = setting("f32", "type of the exported matrices", choices=rounding.DTYPES)
    resume: bool = setting(
        False, "continue an interrupted training, or train a finished model for more epochs", run=True, shown=""
    )
    from_: str | os.PathLike[str] = setting(  # noqa: RUF009
        "",
        "begin with the weights of this model, a .h5 or .keras that a training left, or its .bin",
        run=True,
        path=True,
    )
    overwrite: bool = setting(
        False, "replace an existing model after the first epoch of this training", run=True, shown=""
    )
    told: frozenset[str] = field(default=frozenset(), repr=False)
    """The names of the settings that were given, even with the value of the default.

    A training that is resumed takes the value of the first run for a setting that has its default
    and is not among them. A recipe gives such a setting its own value.
    """

    def check(self) -> None:
        """Raise `ValueError` for a wrong setting, and `TypeError` for one of a wrong type.

        >>> Settings(units=64).check()
        """
        for one in _listed(self):
            _check_value(one, getattr(self, one.name))
        for one in _listed(self):
            if one.name in self.unused() and getattr(self, one.name) != one.default:
                raise ValueError(f"{option(one.name)}: it has no effect with the other settings: leave it out")
        ways = [name for name in ("resume", "from_", "overwrite") if getattr(self, name)]
        if "resume" in ways and len(ways) > 1:
            raise ValueError(f"{option('resume', True)} and {option(ways[1])} exclude each other: give one of them")

    def unused(self) -> tuple[str, ...]:
        """Return the names of the settings that have no effect beside the others.

        >>> Settings().unused()
        ()
        """
        return ()

    def facts(self) -> dict[str, Any]:
        """Return the settings that the model depends on, for its card.

        >>> Settings(units=64).facts()["units"]
        64
        """
        return {
            one.name: getattr(self, one.name)
            for one in _listed(self)
            if not one.metadata["run"]
            and one.name not in self.unused()
            and not (one.metadata["quiet"] and getattr(self, one.name) == one.default)
        }

    def as_in(self, recipe: Mapping[str, Any], source: object, *, architecture: bool = False) -> Self:
        """Return these settings. Those that were not given have the values of another model.

        recipe: the settings of that model.
        source: the name of that model, for errors.
        architecture: whether to take only the settings on which weights depend.

        Raises `ValueError` that names each setting that was given and differs, with both values.

        >>> Settings().as_in({"units": 64}, "m.bin").units
        64
        """
        values: dict[str, Any] = {}
        differences = []
        for one in _listed(self):
            if one.metadata["run"] or (architecture and not (one.metadata["architecture"] and one.name in recipe)):
                continue
            there, here = recipe.get(one.name, one.default), getattr(self, one.name)
            if here == there:
                continue
            if one.name in self.told or here != one.default:
                differences.append(f"{option(one.name)}: it had {there}, found {here}")
            values[one.name] = there
        if differences:
            raise ValueError(
                f"{source}: it was trained with other settings: {'; '.join(differences)}. Leave them out, give another "
                f"output, or replace the model with {option('overwrite', True)}"
            )
        adopted = replace(self, **values, told=self.told | recipe.keys())
        defaults: dict[str, Any] = {one.name: one.default for one in _listed(self) if one.name in values}
        adopted = replace(adopted, **{name: defaults[name] for name in adopted.unused() if name in values})
        adopted.check()
        return adopted


def check_holdout(holdout: float, holdout_from: object, what: str, of: str) -> None:
    """Raise `ValueError` if more than half of all data are held out.

    what: the data, such as "files". of: the part of which more can be held out, such as "one file".
    """
    if holdout > _MOST_OF_ALL and not holdout_from:
        raise ValueError(
            f"{option('holdout')}: expected 0 to {_MOST_OF_ALL} of all {what}, found {holdout}: to hold out more of "
            f"{of}, name it in {option('holdout_from')}"
        )


def asked_for(who: str, kind: type[T], settings: T | None, facts: Mapping[str, object], known: Sequence[str]) -> T:
    """Return the settings of a training, or the defaults.

    who: the function that was called. kind: what its settings are. facts: the other keywords that
    it got, and known: those that it has.

    Raises `TypeError` for settings of another kind, and for an unknown keyword.

    >>> asked_for("train", Settings, None, {}, ["name"]).epochs
    40
    """
    if settings is not None and not isinstance(settings, kind):
        raise OptionTypeError("settings", f"a {kind.__name__}", settings)
    for name in facts:
        if name not in known:
            names = [one.name for one in _listed(kind)]
            a_setting = f": it is a setting: {kind.__name__}({name}=...)"
            hint = a_setting if name in names else near(name, [*known, *names])
            raise TypeError(f"{who}() got an unexpected keyword argument {name!r}{hint}")
    return settings or kind()


def _listed(of: Settings | type[Settings]) -> list[Field[Any]]:
    return [one for one in fields(of) if one.metadata]


def _check_value(of: Field[Any], value: Any) -> None:
    about = of.metadata
    name, kind = option(of.name), about["kind"]
    if value is None and of.default is None:
        return
    fits = isinstance(value, {float: int | float, str: str | os.PathLike if about["path"] else str}.get(kind, kind))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name}: expected {kind.__name__}, found {brief(value)}")
    if about["choices"] and value not in about["choices"]:
        raise ValueError(f"{name}: expected one of {', '.join(about['choices'])}, found {brief(value)}")
    if about["least"] is not None and not about["least"] <= value <= about["most"]:
        raise ValueError(f"{name}: expected {about['least']} to {about['most']}, found {brief(value)}")


def table(of: type[Settings]) -> str:
    """Return the table of the settings in Markdown, as docs/training.md has it.

    The table of a task has only what differs from `Settings`.
    """
    common = {} if of is Settings else {one.name: one.default for one in _listed(Settings)}
    rows = [
        f"| `{one.name}` | {one.metadata['about']} | {allowed(one)} | {_shown(one)} |"
        for one in _listed(of)
        if one.name not in common or common[one.name] != one.default
    ]
    return "\n".join(["| setting | meaning | values | default |", "|---|---|---|---|", *rows])
