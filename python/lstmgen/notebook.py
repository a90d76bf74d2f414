"""Text shaded by probability, in a notebook: HTML without scripts that needs no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from lstmgen.errors import instance, named
from lstmgen.escaping import shown
from lstmgen.generator import Generator
from lstmgen.shades import BITS, SHADES, shade


class Shaded(NamedTuple):
    """A text whose elements a notebook shades by how surprising they were.

    elements: their texts. probabilities: of each; None for one that nothing came before.

    >>> Shaded(["a", "<"], [None, 0.001])._repr_html_().count("&lt;")
    1
    """

    elements: Sequence[str]
    probabilities: Sequence[float | None]

    def __str__(self) -> str:
        return "".join(self.elements)

    def _repr_html_(self) -> str:
        parts = []
        for text, probability in zip(self.elements, self.probabilities, strict=True):
            found = None if probability is None else shade(probability)
            title = "" if probability is None else f' title="{probability:.2g}"'
            style = f' style="background:{found.css};color:#000"' if found else ""
            parts.append(f"<span{title}{style}>{escape(shown(text))}</span>" if title else escape(shown(text)))
        legend = "".join(
            f'<span style="background:{one.css};color:#000;padding:0 .5em">&gt; {bits:g}</span>'
            for bits, one in zip(BITS, SHADES, strict=True)
        )
        return (
            f'<pre style="white-space:pre-wrap">{"".join(parts)}</pre>'
            f'<div style="font-size:small">surprise in bits: {legend}</div>'
        )


def shaded(generator: Generator, text: str) -> Shaded:
    r"""Return a text shaded by the probability of each element after those before it.

    generator: of the model that judges. text: at least two elements.

    Raises `ValueError` for an element that the model does not have.

    >>> import lstmgen
    >>> found = shaded(lstmgen.Generator("latex"), "\\begin{lemma}")
    >>> str(found), len(found.probabilities)
    ('\\begin{lemma}', 13)
    """
    vocabulary = instance("generator", generator, Generator).model.vocabulary
    if vocabulary is None:
        raise ValueError("the model has no vocabulary: there is no text to shade")
    with named("text"):
        ids = vocabulary.encode(text)
    logs = generator.log_probabilities(ids.tolist())
    elements = list(vocabulary.texts(ids.tolist()))
    if vocabulary.kind == "tokens":
        elements = [element if i == 0 else f" {element}" for i, element in enumerate(elements)]
    probabilities = [None, *map(math.exp, logs)]
    return Shaded(elements, probabilities[: len(elements)] + [None] * (len(elements) - len(probabilities)))
