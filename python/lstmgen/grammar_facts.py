"""What a grammar is, and what a text lacks to be one of it: for people who write grammars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lstmgen import _core
from lstmgen.arguments import utf8

_BYTES = [bytes([i]) for i in range(256)]
_SHOWN = 12  # groups of characters that an error names


class Mismatch(NamedTuple):
    """Where a text leaves a grammar. Lines and columns, which are characters, count from 1.

    >>> Mismatch(1, 3, "'a'", "'b'").column
    3
    """

    line: int
    column: int
    expected: str
    found: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: expected {self.expected}, found {self.found}"


class GrammarFacts:
    """A grammar in GBNF that was checked, without a model.

    rules: the names of its rules, in the order in which they are first mentioned.
    shortest: the bytes of its shortest text.

    Raises `ValueError` for what is no grammar, with the line and the column.

    >>> facts = GrammarFacts("root ::= word+\\nword ::= [a-z]")
    >>> facts.rules, facts.shortest, str(facts.mismatch("abC"))
    (['root', 'word'], 1, "line 1, column 3: expected 'a' to 'z' or the end, found 'C'")
    """

    def __init__(self, text: str) -> None:
        source = utf8("grammar", text)
        self.rules, self._classes = _core.grammar_rules(source)
        self._automaton = _core.GrammarAutomaton(source, _BYTES)
        self.shortest = self._automaton.start().remaining()

    def __repr__(self) -> str:
        return f"<lstmgen.grammar_facts.GrammarFacts of {len(self.rules)} rules>"

    def mismatch(self, text: str) -> Mismatch | None:
        """Return where a text leaves the grammar; None for a text of it.

        Raises `ValueError` for a text that is too ambiguous.

        >>> GrammarFacts('root ::= "ab"').mismatch("ab")
        >>> str(GrammarFacts('root ::= "ab"').mismatch("a"))
        "line 1, column 2: expected 'b', found the end"
        """
        run = self._automaton.start()
        line, column = 1, 1
        for character in text:
            before = run.copy() if character >= "\x80" else run
            for byte in character.encode("utf-8", "surrogatepass"):
                try:
                    run.accept(byte)
                except ValueError:
                    if run.allowed()[byte]:  # it is too ambiguous
                        raise
                    return Mismatch(line, column, _expected(before), f"{_named(ord(character))}")
            line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
        return None if run.complete else Mismatch(line, column, _expected(run), "the end")

    def missing(self, elements: Iterable[str]) -> list[str]:
        """Return the characters and the classes that no element of a vocabulary has.

        >>> GrammarFacts('root ::= "yes" | "no" | [0-9]').missing("yesn")
        ["'o'", "all of '0' to '9'"]
        """
        has = np.unique(np.fromiter((ord(c) for one in elements for c in one), np.uint32))
        found: dict[str, None] = {}
        for ranges in self._classes:
            if any(np.searchsorted(has, first) < np.searchsorted(has, last, "right") for first, last in ranges):
                continue
            several = len(ranges) > 1 or any(first < last for first, last in ranges)
            found[f"all of {_listed(map(_range, ranges))}" if several else _listed(map(_range, ranges))] = None
        return list(found)


def _expected(run: _core.GrammarRun) -> str:
    """Return what may follow."""
    allowed = np.flatnonzero(run.allowed()).tolist()
    letters = [byte for byte in allowed if byte < 0x80]
    ranges: list[tuple[int, int]] = []
    for byte in letters:
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1] = ranges[-1][0], byte
        else:
            ranges.append((byte, byte))
    parts = [_range(one) for one in ranges]
    if len(letters) < len(allowed):
        parts.append("a character beyond ASCII")
    if run.complete:
        parts.append("the end")
    return _listed(parts) if parts else "nothing"


def _listed(parts: Iterable[str]) -> str:
    several = list(parts)
    if len(several) > _SHOWN:
        several = [*several[: _SHOWN - 1], f"{len(several) - _SHOWN + 1} others"]
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])} or {several[-1]}"


def _range(ends: tuple[int, int]) -> str:
    first, last = ends
    return _named(first) if first == last else f"{_named(first)} to {_named(last)}"


def _named(code: int) -> str:
    """Return a character as errors of the engine name it."""
    return f"{chr(code)!r}" if 0x20 < code < 0x7F else f"U+{code:04X}"
