"""Facts as tables in HTML, without scripts, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lstmgen.escaping import shown


def table(rows: Mapping[str, object]) -> str:
    """Return a row for each fact that has a value.

    >>> table({"units": 8, "name": ""}).count("<tr>")
    1
    """
    left = 'style="text-align:left"'
    cells = "".join(
        f"<tr><th {left}>{escape(key)}</th><td {left}>{escape(shown(str(value)))}</td></tr>"
        for key, value in rows.items()
        if value not in (None, "")
    )
    return f"<table>{cells}</table>"


def columns(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a row for each thing, and a column for each of its facts.

    rows: at least one; all have the same keys.

    >>> columns([{"units": 8}, {"units": 16}]).count("<tr>")
    3
    """
    head = "".join(f"<th>{escape(key)}</th>" for key in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(str(value)))}</td>' for value in row.values())}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
