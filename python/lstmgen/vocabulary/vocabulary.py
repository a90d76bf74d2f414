"""Elements and their ids.

An element is a character of a text, or a token such as a word or a note.
"""

from __future__ import annotations

import codecs
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen.arguments import is_scalar
from lstmgen.errors import OptionError, OptionTypeError
from lstmgen.escaping import brief
from lstmgen.vocabulary.naming import byte_element, byte_of
from lstmgen.vocabulary.tokenizing import Tokenizer

Ids = NDArray[np.uint32]
_FEW = 64  # characters of elements of all lengths, one of each, that are soonest looked up one by one
_SHORT = 2**8  # characters of a text for which the same holds
_PIECE = 2**20  # bytes of a text in which elements are found at once
_SHOWN = 8  # elements in a repr


class Piece(NamedTuple):
    """A part of a text.

    element: the element that it is.
    at: where it begins in the text.
    id: the id of the element, or None if it has none.

    >>> Piece("cat", 4, None).id is None
    True
    """

    element: str
    at: int
    id: int | None


class Vocabulary:
    """The elements of a generator, in the order of the network's outputs.

    elements: at most 1,048,576 texts. An empty one stands for padding: no text holds it, but an id
        may.
    kind: "text" if the elements, joined, are the text. "tokens" for a list of elements. "bytes" if
        they are the bytes of UTF-8, called <0x00> to <0xFF>.
    tokenizer: how texts became elements in training, or None for the plain way.

    >>> vocabulary = Vocabulary(["a", "b", "ch"], "text")
    >>> vocabulary.encode("bach").tolist(), vocabulary.decode([1, 0, 2])
    ([1, 0, 2], 'bach')
    """

    def __init__(self, elements: Sequence[str], kind: str, tokenizer: Tokenizer | None = None) -> None:
        self.elements = tuple(elements)
        self.kind = kind
        self.tokenizer = tokenizer
        self.ids = {element: i for i, element in enumerate(elements) if element}
        self._sizes = sorted({len(element) for element in elements if element}, reverse=True)
        self._longest: _Longest | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Vocabulary, (self.elements, self.kind, self.tokenizer)

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.elements[:_SHOWN]))
        more = ", ..." if len(self) > _SHOWN else ""
        return f"<lstmgen.vocabulary.Vocabulary of {len(self)} elements, kind {self.kind!r}: {shown}{more}>"

    def encode(self, what: str | Iterable[str | int], on_unknown: str = "error", *, skippable: bool = True) -> Ids:
        """Return ids of a text, of elements, or of ids, which pass through.

        what: a text, or a sequence of elements and ids. A text is cut into the longest elements
            that match (kind "text"), at white space (kind "tokens"), or as the tokenizer does.
        on_unknown: "skip" leaves out what is not in the vocabulary. An element takes its place.
            "error" puts the tokenizer's element for unknown words there, if it has one.
        skippable: whether an error tells of `on_unknown`, which not all callers have.

        Returns a uint32 array of shape (n,). Raises `ValueError` that shows the first unknown
        element and its place, `TypeError` for anything that is neither text, elements nor ids, and
        `OptionError` for another `on_unknown`.

        >>> Vocabulary(["do", "re"], "tokens").encode("re do re").tolist()
        [1, 0, 1]
        >>> Vocabulary(["a", "b"], "text").encode("a-b", on_unknown="skip").tolist()
        [0, 1]
        """
        check_sequence("what", what)
        if not isinstance(on_unknown, str):
            raise OptionTypeError("on_unknown", "'error', 'skip' or an element", on_unknown)
        if on_unknown not in ("error", "skip") and on_unknown not in self.ids:
            raise OptionError("on_unknown", "'error', 'skip' or an element of the vocabulary", on_unknown)
        if (given := ids_at_once(what, len(self))) is not None:
            return given
        replacement = self.ids.get(on_unknown)
        if on_unknown in ("error", "skip"):
            oov = self.tokenizer.oov_token if self.tokenizer is not None and on_unknown == "error" else None
            replacement = None if oov is None else self.ids.get(oov)
        pieces: Iterable[str | int | Piece] = self._pieces(what) if isinstance(what, str) else what
        ids = array("I")  # numpy takes it at once, and 8 million in a list in 0.5 s
        for position, piece in enumerate(pieces):
            if not isinstance(piece, str | Piece):
                ids.append(self._check_id(piece, position))
                continue
            found = piece.id if isinstance(piece, Piece) else self.ids.get(piece)
            if found is None:
                found = replacement
            if found is not None:
                ids.append(found)
            elif on_unknown == "error":
                raise ValueError(self._unknown(what, piece, position, skippable))
        return np.array(ids, np.uint32)

    def decode(self, ids: Iterable[int]) -> str | list[str]:
        """Return the text of ids, or a list of their elements if the kind is "tokens".

        ids: each from 0 to len(self) - 1.

        >>> Vocabulary(["do", "re"], "tokens").decode([1, 0])
        ['re', 'do']
        """
        return list(self.texts(ids)) if self.kind == "tokens" else "".join(self.texts(ids))

    def texts(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text that each id adds.

        ids: each from 0 to len(self) - 1.

        An id of kind "bytes" adds the characters that are complete with it. Bytes that are not
        UTF-8, or that are incomplete at the end, become U+FFFD.

        >>> list(Vocabulary(["<0xC3>", "<0xA9>"], "bytes").texts([0, 1])) == ["", "\u00e9"]
        True
        """
        if self.kind != "bytes":
            yield from (self.elements[i] for i in ids)
            return
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for i in ids:
            yield decoder.decode(bytes([byte_of(self.elements[i])]))
        if rest := decoder.decode(b"", final=True):
            yield rest

    def continued(self, begun: bytes, ids: Iterable[int]) -> tuple[str, bytes]:
        """Return the text that ids of kind "bytes" add, and the bytes of an incomplete character.

        begun: the first bytes of a character, which the ids continue.

        Bytes that are not UTF-8 become U+FFFD.

        >>> Vocabulary(["<0xC3>", "<0xA9>"], "bytes").continued(b"", [0])
        ('', b'\\xc3')
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        decoder.setstate((begun, 0))
        text = decoder.decode(bytes(byte_of(self.elements[i]) for i in ids))
        return text, decoder.getstate()[0]

    def _pieces(self, text: str) -> Iterator[Piece]:
        """Yield the elements of a text, each with its place."""
        if self.kind == "bytes":
            for at, character in enumerate(text):
                names = [byte_element(byte) for byte in character.encode()]
                if all(name in self.ids for name in names):
                    yield from (Piece(name, at, self.ids[name]) for name in names)
                else:
                    yield Piece(character, at, None)
        elif self.kind == "text":
            yield from self._cut(text if self.tokenizer is None else self.tokenizer.lowered(text))
        elif self.tokenizer is None:
            yield from (self._piece(match[0], match.start()) for match in re.finditer(r"\S+", text))
        elif text in self.ids:  # for example <s>, which no tokenizer makes
            yield self._piece(text, 0)
        else:
            yield from (self._piece(word, at) for word, at in self.tokenizer.words(text))

    def _piece(self, element: str, at: int) -> Piece:
        found = self.ids.get(element)
        limit = self.tokenizer.num_words if self.tokenizer is not None else None
        return Piece(element, at, None if found is not None and limit is not None and found >= limit else found)

    def _cut(self, text: str) -> Iterator[Piece]:
        if len(text) > _SHORT and sum(self._sizes) > _FEW:
            yield from self._cut_at_once(text)
            return
        at = 0
        while at < len(text):
            for size in self._sizes:
                if at + size <= len(text) and (piece := text[at : at + size]) in self.ids:
                    break
            else:
                piece = text[at]
            yield self._piece(piece, at)
            at += len(piece)

    def _cut_at_once(self, text: str) -> Iterator[Piece]:
        """Do the same in a time that does not depend on how long the elements are."""
        if self._longest is None:
            self._longest = _Longest(self.elements)
        at = 0
        for found in self._longest.cut(text):
            piece = text[at] if found is None else self.elements[found]
            yield self._piece(piece, at)
            at += len(piece)

    def _check_id(self, piece: int, position: int) -> int:
        i = id_at("element", piece, position)
        if not 0 <= i < len(self):
            raise ValueError(f"id at position {position}: expected 0 to {len(self) - 1}, found {brief(i)}")
        return i

    def _unknown(self, what: str | Iterable[str | int], piece: str | Piece, position: int, skippable: bool) -> str:
        from lstmgen.vocabulary import unknown  # here, as few need it

        if not isinstance(what, str):
            return unknown.message(self.ids, len(self), str(piece), position, skippable=skippable)
        assert isinstance(piece, Piece)
        text = what if self.tokenizer is None else self.tokenizer.lowered(what)
        others = dict.fromkeys(other.element for other in self._pieces(what) if other.id is None)
        place = position if self.kind == "tokens" else piece.at
        missing = [element for element in others if element != piece.element]
        known = self.ids, len(self)
        return unknown.message(*known, piece.element, place, text, piece.at, missing, skippable=skippable)


class _Longest:
    """Finds the longest element that begins at each place of a text."""

    def __init__(self, elements: Sequence[str]) -> None:
        from lstmgen import _core  # here, as few need it

        encoded = [element.encode("utf-8", "surrogatepass") for element in elements]
        self._sizes = [len(element) for element in encoded]
        self._most = max(self._sizes)
        self._match = _core.LongestMatch(encoded)

    def cut(self, text: str) -> Iterator[int | None]:
        """Yield the ids of the elements that a text is cut into; None for a character of none."""
        data = text.encode("utf-8", "surrogatepass")
        at = 0
        for begin in range(0, len(data), _PIECE):
            found = self._match.find(data[begin : begin + _PIECE + self._most]).tolist()
            while at < min(begin + _PIECE, len(data)):
                one = found[at - begin]
                if one < len(self._sizes):
                    yield one
                    at += self._sizes[one]
                else:
                    yield None
                    at += 1 if data[at] < 0x80 else 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4


def check_sequence(name: str, what: object) -> None:
    """Raise `TypeError` unless `what`, the argument `name`, may be text, elements or ids.

    >>> check_sequence("prime", "Let")
    """
    if isinstance(what, bytes) or not isinstance(what, Iterable) or is_scalar(what):
        raise TypeError(f"{name}: expected text, elements or ids, found {brief(what)}")


def id_at(name: str, piece: object, position: int) -> int:
    """Return the id that `piece` is, an integer of any kind.

    name, position: what and where it is, in the words of an error.

    Raises `TypeError` for anything else.

    >>> id_at("element", np.uint8(3), position=0)
    3
    """
    try:
        return index(piece)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} at position {position}: expected a str or an id, found {brief(piece)}") from None


def ids_at_once(what: object, n: int) -> Ids | None:
    """Return an array of integers as ids, shape (elements,), if each is from 0 to n - 1.

    Returns None for anything else, which is looked at element by element.

    >>> ids_at_once(np.array([2, 0]), 3)
    array([2, 0], dtype=uint32)
    >>> ids_at_once(np.array([2, 0]), 2) is None
    True
    """
    if not isinstance(what, np.ndarray) or what.ndim != 1 or what.dtype.kind not in "iu" or len(what) == 0:
        return None
    return what.astype(np.uint32) if what.min() >= 0 and what.max() < n else None


def plain_ids(text: str) -> list[int] | None:
    """Return the ids in a text, as they are printed without a vocabulary, or None.

    >>> plain_ids("3 1 4"), plain_ids("3 a")
    ([3, 1, 4], None)
    """
    pieces = text.split()
    if not all(piece.isascii() and piece.isdigit() and len(piece) < 11 for piece in pieces):
        return None
    return [int(piece) for piece in pieces]
