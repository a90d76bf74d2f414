"""Elements and their ids: characters of a text, or tokens such as words and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import OptionError, OptionTypeError, option

Ids = NDArray[np.uint32]


class Vocabulary:
    """The elements of a generator, in the order of the network's outputs.

    `kind` is "text" if the elements, joined, are the text, or "tokens" for a list of elements. An empty element stands
    for padding: no text holds it, though an id may.
    """

    def __init__(self, elements: Sequence[str], kind: str) -> None:
        self.elements = tuple(elements)
        self.kind = kind
        self.ids = {element: i for i, element in enumerate(elements) if element}
        self._longest = max(map(len, elements), default=0)

    def __len__(self) -> int:
        return len(self.elements)

    def encode(self, what: str | Iterable[str | int], on_unknown: str = "error") -> Ids:
        """Ids of a text, of elements, or of ids, which pass through.

        A text is cut into the longest elements that match (kind "text"), or at white space (kind "tokens"). What is not
        in the vocabulary is a `ValueError` that names it and its position, is left out with `on_unknown="skip"`, or
        becomes the element `on_unknown`. What is neither text, elements nor ids is a `TypeError`.
        """
        check_sequence("what", what)
        if not isinstance(on_unknown, str):
            raise OptionTypeError("on_unknown", "'error', 'skip' or an element", on_unknown)
        if on_unknown not in ("error", "skip") and on_unknown not in self.ids:
            raise OptionError("on_unknown", "'error', 'skip' or an element of the vocabulary", on_unknown)
        if isinstance(what, str):
            pieces: Iterable[str | int] = self._cut(what) if self.kind == "text" else what.split()
        else:
            pieces = what
        ids = []
        position = 0
        for piece in pieces:
            if not isinstance(piece, str):
                ids.append(self._check_id(piece, position))
            elif piece in self.ids:
                ids.append(self.ids[piece])
            elif on_unknown == "error":
                raise ValueError(self._unknown(piece, position))
            elif on_unknown != "skip":
                ids.append(self.ids[on_unknown])
            characters = isinstance(what, str) and isinstance(piece, str) and self.kind == "text"
            position += len(str(piece)) if characters else 1
        return np.array(ids, np.uint32)

    def decode(self, ids: Iterable[int]) -> str | list[str]:
        """The text of these ids, or their elements if the kind is "tokens"."""
        elements = [self.elements[i] for i in ids]
        return "".join(elements) if self.kind == "text" else elements

    def _cut(self, text: str) -> Iterable[str]:
        if self._longest <= 1:
            yield from text
            return
        at = 0
        while at < len(text):
            for size in range(self._longest, 0, -1):  # size 1 ends the search, known or not
                piece = text[at : at + size]
                if size == 1 or piece in self.ids:
                    yield piece
                    break
            at += len(piece)

    def _check_id(self, piece: int, position: int) -> int:
        i = id_at("element", piece, position)
        if not 0 <= i < len(self):
            raise ValueError(f"id at position {position}: expected 0 to {len(self) - 1}, found {i}")
        return i

    def _unknown(self, piece: str, position: int) -> str:
        thing = "character" if len(piece) == 1 else "element"
        code = f" (U+{ord(piece):04X})" if len(piece) == 1 else ""
        return (
            f"{thing} {piece!r}{code} at position {position} is not in the vocabulary of "
            f"{len(self)}; {option('on_unknown', 'skip')} leaves such out"
        )


def check_sequence(name: str, what: object) -> None:
    """Raise a `TypeError` that names the argument `name` if `what` cannot be text, elements or ids."""
    if isinstance(what, bytes) or not isinstance(what, Iterable):
        raise TypeError(f"{name}: expected text, elements or ids, found {what!r:.60}")


def id_at(name: str, piece: object, position: int) -> int:
    """The id that `piece`, an integer of any kind, is; anything else is a `TypeError`."""
    try:
        return index(piece)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} at position {position}: expected a str or an id, found {piece!r:.60}") from None
