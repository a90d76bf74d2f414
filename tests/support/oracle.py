"""llguidance, an independent engine, as an oracle; and grammars for both.

It converts GBNF itself. It reads lexemes, longest first, so it agrees with the definition of GBNF
only where no lexeme's end is ambiguous; the grammars here are of that kind.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen import _core, grammars

ASCII = ["\n", *map(chr, range(32, 127))]
CHESS = r"""
root ::= ("1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+)
move ::= (pawn | piece | castle) [+#]?
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBRQ])?
piece ::= [NBRQK] [a-h]? [1-8]? "x"? [a-h] [1-8]
castle ::= "O-O" "-O"?
"""
ARITHMETIC = r"""
root ::= (expression "=" space number "\n")+
expression ::= term (sign space term)*
term ::= (number | name | "(" space expression ")") space
sign ::= [-+*/]
name ::= [a-z] [a-z0-9_]*
number ::= [0-9]+
space ::= [ \t]*
"""
LIST = r"""
root ::= ("- " item)+
item ::= [^\n]+ "\n"
"""


class Case(NamedTuple):
    """A grammar and elements to spell its texts with."""

    gbnf: str
    vocabulary: list[str]


def cases() -> dict[str, Case]:
    """All that the two engines are compared with."""
    words = ["\\begin{", "\\end{", "}", "$$", "}$", "{}", "\\item ", "lemma", "the ", ". ", "^{", "_{"]
    return {
        "latex": Case(grammars.latex(), ASCII),
        "json": Case(grammars.json(), [*ASCII, '":', '",', "}}", "true", "[[", "é", "€"]),
        "arithmetic": Case(ARITHMETIC, [*ASCII, "12", "(a", ")*", " = "]),
        "list": Case(LIST, [*ASCII, "é", "\n- ", "- a"]),
        "chess": Case(CHESS, [*ASCII, "O-O", " e4", "1. ", "\n2"]),
        "latex, long elements": Case(grammars.latex(), [*ASCII, *words]),
    }


class _Tokenizer:
    bos_token_id = None
    special_token_ids: tuple[int, ...] = ()

    def __init__(self, vocabulary: list[str]) -> None:
        self.tokens = [*(element.encode() for element in vocabulary), b"<eos>"]
        self.eos_token_id = len(vocabulary)
        self.special_token_ids = (len(vocabulary),)

    def __call__(self, text: str | bytes) -> list[int]:
        raw = text if isinstance(text, bytes) else text.encode()
        return [self.tokens.index(bytes([b])) for b in raw]


class Oracle:
    """What llguidance allows."""

    def __init__(self, case: Case) -> None:
        import llguidance
        from llguidance.gbnf_to_lark import any_to_lark

        wrapper: Any = llguidance.TokenizerWrapper(_Tokenizer(case.vocabulary))
        self._size = len(case.vocabulary) + 1
        tokenizer = llguidance.LLTokenizer(wrapper, n_vocab=self._size, slices=[])
        # Otherwise it allows only one spelling of what must follow.
        lark = '%llguidance {"no_forcing": true}\n' + any_to_lark(case.gbnf)
        self._matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(lark))
        if self._matcher.is_error():
            raise ValueError(self._matcher.get_error())

    def allowed(self) -> NDArray[np.bool_]:
        """A flag for each element, and one for the end."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        return np.unpackbits(bits, bitorder="little")[: self._size].astype(bool)

    def accept(self, element: int) -> None:
        """Append an element."""
        if not self._matcher.consume_token(element):
            raise ValueError(self._matcher.get_error())

    def reset(self) -> None:
        """Back to the empty text."""
        self._matcher.reset()


def walk(case: Case, steps: int, seed: int) -> tuple[int, list[str]]:
    """Draw elements that both allow, and return how many were compared, and where the engines
    differ."""
    rng = random.Random(seed)
    oracle = Oracle(case)
    grammar = _core.GrammarAutomaton(case.gbnf, case.vocabulary)
    differences: list[str] = []
    run, text, n = grammar.start(), "", 0
    while n < steps and len(differences) < 10:
        ours = np.append(run.allowed(), run.complete)
        theirs = oracle.allowed()
        n += 1
        for k in np.flatnonzero(ours != theirs):
            what = case.vocabulary[k] if k < len(case.vocabulary) else "the end"
            differences.append(f"{what!r} after {text[-200:]!r}: {'ours' if ours[k] else 'theirs'} allows it")
        both = np.flatnonzero(ours[:-1] & theirs[:-1])
        if len(both) == 0 or len(text) > 400 or rng.random() < 0.002:
            run, text = grammar.start(), ""
            oracle.reset()
            continue
        i = int(rng.choice(both))
        run.accept(i)
        oracle.accept(i)
        text += case.vocabulary[i]
    return n, differences
