"""The card of a trained model: the facts about it, for people."""

from __future__ import annotations

from typing import Any

MARK = "Written by `lstmgen train`."


def markdown(data: bytes, name: str, sample: str) -> str:
    """Return the card of a model, in Markdown.

    data: the bytes of its `.bin`.
    name: the name of that file.
    sample: a sample in one line, or "".
    """
    from lstmgen.model import Model

    model = Model(data)
    facts = model.metadata
    card = facts.pop("card")
    title, description = facts.pop("name"), facts.pop("description")
    use = f"lstmgen classify {name} SEQUENCE" if model.labels else f"lstmgen sample {name}"
    network = " > ".join(f"{layer.type} {layer.outputs}" for layer in model.layers)
    size = f"window {model.window or 'of any length'}, {model.dtype}, {len(data):,} bytes"
    rows = {"network": f"{model.encoding} > {network}, {size}", **facts, **card}
    table = [
        f"| {_cell(key.replace('_', ' '))} | {_cell(value)} |"
        for key, value in rows.items()
        if value not in ("", [], {})
    ]
    start = [f"# Model card: `{_cell(title or name)}`", "", *([_cell(description), ""] if description else [])]
    end = ["", "A sample:", "", f"    {sample}"] if sample else []
    return "\n".join([*start, f"{MARK} `{use}` uses it.", "", "| | |", "|---|---|", *table, *end, ""])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return " ".join(str(value).split()).replace("|", "\\|")
