"""Distributions of data and of what a model drew, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping

from lstmgen.music.piano_roll import matplotlib

_MOST = 60  # values that are shown, the most frequent ones of the data


def bars(distributions: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], kind: str) -> bytes:
    """Return a picture of each distribution: bars of the data, and points of what was drawn.

    distributions: at least one, each as the shares of values in both. kind: "png", "svg" or "pdf".

    Raises `ImportError` without matplotlib.

    >>> bars({"pitch": ({"60": 1.0}, {"60": 1.0})}, "png")[:4]
    b'\\x89PNG'
    """
    count = len(distributions)
    figure = matplotlib("matplotlib.figure").Figure(figsize=(12, 2.6 * count), dpi=120, layout="constrained")
    places = figure.subplots(count, 1, squeeze=False)[:, 0]
    for axes, (name, (data, drawn)) in zip(places, distributions.items(), strict=True):
        shown = sorted(data, key=lambda value: -data[value])[:_MOST]
        if all(_is_number(value) for value in shown):
            shown.sort(key=float)
        axes.bar(range(len(shown)), [100 * data[value] for value in shown], color="0.75", label="data")
        axes.plot(range(len(shown)), [100 * drawn.get(value, 0.0) for value in shown], "o", ms=4, label="drawn")
        labels = [_label(value) for value in shown]
        axes.set_xticks(range(len(shown)), labels, fontsize=7, rotation=90 if max(map(len, labels)) > 3 else 0)
        axes.set_xlim(-0.7, len(shown) - 0.3)
        axes.set_ylabel(f"{name}: share in %")
        axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _label(value: str) -> str:
    """Return a value as the axis shows it: white space and the like as in Python."""
    label = value if value.isprintable() and value.strip() else repr(value)
    return label.replace("$", r"\$")  # no formula


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
