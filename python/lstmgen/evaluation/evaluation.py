"""What an evaluation found, as a table, as JSON, and as a plot."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

from lstmgen.files import write

Shares = Mapping[str, float]  # of each value, with sum 1


class Row(NamedTuple):
    """A measure, of the data and of what the model drew.

    name: the name of the measure, with its unit.
    data, drawn: its value for the data, and for what was drawn. None: there is none.

    >>> Row("characters", 1000, None).data
    1000
    """

    name: str
    data: float | None = None
    drawn: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """How a model stands against data.

    model, data: their names.
    rows: the measures.
    distributions: for each property, such as "pitch", the share of each value in the data, and its
        share in what was drawn.
    notes: sentences about the figures.

    >>> found = Evaluation("m.bin", "a.txt", (Row("bits/char", 1.5),), {}, ())
    >>> found["bits/char"].data
    1.5
    """

    model: str
    data: str
    rows: tuple[Row, ...]
    distributions: Mapping[str, tuple[Shares, Shares]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Row:
        """Return the row of this name. Raises `KeyError` if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def markdown(self) -> str:
        """Return the measures as a table in Markdown, and the notes below it.

        >>> print(Evaluation("m.bin", "a.txt", (Row("bits/char", 1.5),)).markdown())
        | m.bin | a.txt | drawn |
        |---|---|---|
        | bits/char | 1.500 |  |
        <BLANKLINE>
        """
        head = [f"| {_cell(self.model)} | {_cell(self.data)} | drawn |", "|---|---|---|"]
        rows = [f"| {_cell(row.name)} | {_shown(row.data)} | {_shown(row.drawn)} |" for row in self.rows]
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*head, *rows, *notes, ""])

    def facts(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it.

        >>> Evaluation("m.bin", "a.txt", (Row("bits/char", 1.5),)).facts()["rows"]
        [{'name': 'bits/char', 'data': 1.5, 'drawn': None}]
        """
        return {
            "model": self.model,
            "data": self.data,
            "rows": [row._asdict() for row in self.rows],
            "distributions": {
                name: {"data": dict(data), "drawn": dict(drawn)} for name, (data, drawn) in self.distributions.items()
            },
            "notes": list(self.notes),
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write the distributions as a picture, whole or not at all.

        path: a name that ends with .png, .svg or .pdf.

        Raises `ValueError` for another name, and if nothing was drawn; `ImportError` without
        matplotlib (the extra `plot`), and `OSError` for what cannot be written.

        >>> from tempfile import TemporaryDirectory
        >>> shares = {"a": 0.5, "b": 0.5}
        >>> with TemporaryDirectory() as folder:
        ...     found = Evaluation("m.bin", "a.txt", (), {"elements": (shares, shares)})
        ...     found.plot(f"{folder}/found.svg")
        """
        kind = PurePath(path).suffix.lower()
        if kind not in (".png", ".svg", ".pdf"):
            raise ValueError(f"{os.fspath(path)}: expected a name that ends with .png, .svg or .pdf, found {kind!r}")
        if not self.distributions:
            raise ValueError(f"{os.fspath(path)}: there is nothing to plot: no sample was drawn")
        from lstmgen.evaluation.plot import bars

        write(path, bars(self.distributions, kind[1:]))

    def __str__(self) -> str:
        return self.markdown()

    def to_json(self) -> str:
        """Return `facts` as text.

        >>> Evaluation("m.bin", "a.txt", ()).to_json()[:20]
        '{\\n  "model": "m.bin"'
        """
        return json.dumps(self.facts(), indent=2, ensure_ascii=False)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None without values.

    >>> mean([1, 2])
    1.5
    """
    return sum(values) / len(values) if values else None


def shares(counts: Mapping[str, int]) -> Shares:
    """Return the share of each value.

    >>> shares({"a": 1, "b": 3})
    {'a': 0.25, 'b': 0.75}
    """
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()}


def overlap(data: Shares, drawn: Shares) -> float:
    """Return the area that two distributions share: 1 if they are equal, 0 if they have no value
    in common.

    This is the overlapping area of Yi Ren et al. 2020 (PopMAG, arXiv:2008.07703), of shares
    instead of smoothed densities.

    >>> overlap({"a": 0.5, "b": 0.5}, {"a": 1.0})
    0.5
    """
    return sum(min(share, drawn.get(value, 0.0)) for value, share in data.items())


def divergence(data: Mapping[str, int], drawn: Mapping[str, int]) -> float:
    """Return the Kullback-Leibler divergence of what was drawn from the data, in bits.

    data, drawn: counts of values. One is added to each count, so that values which only one of
        them has do not make it infinite.

    >>> divergence({"a": 99, "b": 99}, {"a": 99, "b": 99})
    0.0
    """
    values = [*data, *(value for value in drawn if value not in data)]
    there = sum(data.values()) + len(values)
    here = sum(drawn.values()) + len(values)
    total = 0.0
    for value in values:
        p, q = (drawn.get(value, 0) + 1) / here, (data.get(value, 0) + 1) / there
        total += p * math.log2(p / q)
    return total
