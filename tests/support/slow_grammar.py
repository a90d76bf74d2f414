"""A recogniser for the tests: slow, short, and without anything of the engine's.

A grammar is a dict of rules; a rule is a node. A text that has been read corresponds to the set of
sentential forms that may follow it: tuples of nodes. Reading a character takes it off the front of
each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Lit:
    text: str


@dataclass(frozen=True)
class Class:
    chars: frozenset[str]
    negated: bool = False


@dataclass(frozen=True)
class Seq:
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Alt:
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Rep:
    node: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Ref:
    name: str


Node = Lit | Class | Seq | Alt | Rep | Ref
Form = tuple[Node, ...]
Forms = frozenset[Form]
_SPECIAL = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"', "[": "\\[", "]": "\\]", "-": "\\-"}


def _escaped(text: Iterable[str]) -> str:
    return "".join(_SPECIAL.get(c, c) if c != "^" else "\\x5E" for c in text)


def written(node: Node) -> str:
    """The node in GBNF."""
    match node:
        case Lit(text):
            return f'"{_escaped(text)}"'
        case Class(chars, negated):
            return f"[{'^' if negated else ''}{_escaped(sorted(chars))}]"
        case Seq(nodes):
            return "(" + " ".join(map(written, nodes)) + ")"
        case Alt(nodes):
            return "(" + " | ".join(map(written, nodes)) + ")"
        case Rep(inner, least, most):
            short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
            end = "" if most is None else str(most)
            times = short or (f"{{{least}}}" if least == most else f"{{{least},{end}}}")
            return f"({written(inner)}){times}"
        case Ref(name):
            return name


def gbnf(rules: dict[str, Node]) -> str:
    """The whole grammar."""
    return "\n".join(f"{name} ::= {written(node)}" for name, node in rules.items())


class SlowGrammar:
    """The language of `rules`, over elements of any number of characters."""

    def __init__(self, rules: dict[str, Node], vocabulary: list[str]) -> None:
        self.rules = rules
        self.vocabulary = vocabulary
        self.characters = set("".join(vocabulary))
        self._least: dict[str, float] = dict.fromkeys(rules, float("inf"))
        while True:
            new = {name: self.least(node) for name, node in rules.items()}
            if new == self._least:
                break
            self._least = new

    def least(self, node: Node) -> float:
        """Characters of the shortest text that characters of the vocabulary spell."""
        match node:
            case Lit(text):
                return len(text) if set(text) <= self.characters else float("inf")
            case Class(chars, negated):
                return 1 if (self.characters - chars if negated else self.characters & chars) else float("inf")
            case Seq(nodes):
                return sum(map(self.least, nodes))
            case Alt(nodes):
                return min(map(self.least, nodes))
            case Rep(inner, least, _):
                return least * self.least(inner) if least else 0
            case Ref(name):
                return self._least[name]

    def _kept(self, forms: Iterable[Form]) -> Forms:
        return frozenset(form for form in forms if sum(map(self.least, form)) < float("inf"))

    def start(self) -> Forms:
        """Before the first character."""
        return self._kept([(Ref("root"),)])

    def _expanded(self, forms: Forms) -> Iterable[Form]:
        """Forms that are empty or begin with a character."""
        waiting, seen = list(forms), set(forms)
        while waiting:
            form = waiting.pop()
            if not form:
                yield form
                continue
            first, rest = form[0], form[1:]
            new: list[Form] = []
            match first:
                case Lit(text):
                    if text:
                        yield form
                    else:
                        new.append(rest)
                case Class():
                    yield form
                case Seq(nodes):
                    new.append(nodes + rest)
                case Alt(nodes):
                    new.extend((node, *rest) for node in nodes)
                case Rep(inner, least, most):
                    if not least:
                        new.append(rest)
                    if most is None or most > 0:
                        less = Rep(inner, max(least - 1, 0), None if most is None else most - 1)
                        new.append((inner, less, *rest))
                case Ref(name):
                    new.append((self.rules[name], *rest))
            for follower in new:
                if follower not in seen:
                    seen.add(follower)
                    waiting.append(follower)

    def read(self, forms: Forms, text: str) -> Forms:
        """After more characters; empty if no text of the language begins so."""
        for c in text:
            after: set[Form] = set()
            for form in self._expanded(forms):
                match form:
                    case (Lit(literal), *rest) if literal[0] == c:
                        after.add((Lit(literal[1:]), *rest) if literal[1:] else tuple(rest))
                    case (Class(chars, negated), *rest) if (c in chars) != negated:
                        after.add(tuple(rest))
            forms = self._kept(after)
        return forms

    def complete(self, forms: Forms) -> bool:
        """Whether the text is one of the language."""
        return () in set(self._expanded(forms))

    def shortest_end(self, forms: Forms, most: int = 7) -> float | None:
        """Elements to a complete text, found by trying all; infinite if there are none; None if
        unknown."""
        longest = max(map(len, self.vocabulary))
        reached, seen, cut = {forms}, {forms}, False
        for n in range(most + 1):
            if any(self.complete(state) for state in reached):
                return n
            if not reached:
                return None if cut else float("inf")
            following: set[Forms] = set()
            for state in reached:
                for element in self.vocabulary:
                    after = self.read(state, element) if element else frozenset()
                    near = frozenset(f for f in after if sum(map(self.least, f)) <= (most - n) * longest)
                    cut = cut or near != after
                    after = near
                    if after and after not in seen:
                        seen.add(after)
                        following.add(after)
            if len(seen) > 150 or any(len(state) > 60 for state in following):
                return None
            reached = following
        return None
