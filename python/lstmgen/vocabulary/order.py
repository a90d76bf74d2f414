"""Whether the elements of a vocabulary are in the order of the training.

The measure is how well the network predicts a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import option

Ids = NDArray[np.int64]
Bits = Callable[[Ids], float | None]

_COUNTED = 1_000_000  # the highest number of elements of a sequence that count


def doubt(elements: Sequence[str], sequence: Sequence[str], bits: Bits) -> str | None:
    """Return a sentence on what is wrong with the order of the elements, or None.

    elements: the vocabulary.
    sequence: elements of a text like those of the training.
    bits: gives the bits of each element of a sequence of ids, or None if it is too short.

    The order is wrong if the network predicts the text worse than chance.

    >>> doubt("ab", "abba", lambda ids: 0.5)
    >>> doubt("ab", "abba", lambda ids: 3.0)[:43]
    'the order of the 2 elements is most likely '
    """
    taken = sequence[:_COUNTED]
    places = {element: i for i, element in enumerate(elements)}
    ids = np.fromiter((places[element] for element in taken if element in places), np.int64)
    score, chance = bits(ids), float(np.log2(len(elements)))
    if score is None or score <= chance:
        return None
    said = (
        f"the order of the {len(elements)} elements is most likely not that of the training: the network gives "
        f"{score:.2f} bits to each element of the text, guessing takes {chance:.2f}"
    )
    others = {
        "of first appearance": list(dict.fromkeys(taken)),
        "of falling frequency": [element for element, _ in Counter(taken).most_common()],
    }
    for name, order in others.items():
        if len(order) == len(elements):
            other = bits(np.argsort([places[element] for element in order])[ids])
            if other is not None and other < min(score, chance):
                return f"{said}, and in the order {name} {other:.2f}: give a list in that order as {option('vocab')}"
    return said
