"""Which characters may follow in LaTeX, as far as a chapter of plain text shows it: a finite automaton.

`Grammar(text)` knows the commands and the environments of `text`, and which of them stand in formulas and inside which
environments. Its states say what is open: environments, formulas, braces; and which name is being read. `row(state)`
gives the state behind each character, or `WRONG`. The automaton is built as it is used: `states` grows.

It is a model of the common mistakes, not of TeX: an environment closed under another name, an unknown command, a
formula or a brace that is open at the end of a paragraph, a `$$` that is not alone on its line, an `\\item` outside of
a list or text before the first one.
"""

import re
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ENVIRONMENT = re.compile(r"\\(begin|end)\{([a-z]+\*?)\}")
UNIT = re.compile(r"(?m)(?=^\\begin\{(?:lemma|proposition|theorem|definition|remark|example)\}|^\\section\{)")
LISTS = ("enumerate", "itemize")
FONTS = ("it", "bf", "rm")  # which stand in braces, with what they hold for
WRONG = -1
TOKEN = re.compile(r"\\(begin|end)\{([a-z]+\*?)\}|\\([a-zA-Z]+|.)|(\$\$?)", re.DOTALL)


class State(NamedTuple):
    """What is open: environments, then inside the innermost one formulas ("$", "D" for "$$"), braces ("{") and a
    list without an `\\item` so far ("i"); and the characters since the begin of a name, a `$` or a newline.
    """

    environments: tuple[str, ...] = ()
    inner: str = ""
    tail: str = ""

    @property
    def formula(self) -> bool:
        """Whether a formula is open."""
        return "$" in self.inner or "D" in self.inner


START = State(tail="\n")


class Grammar:
    """The automaton over the characters of `vocabulary`."""

    def __init__(self, text: str, vocabulary: list[str]) -> None:
        """Learn the names from `text`, which is taken to be right."""
        self.vocabulary = vocabulary
        self.commands: dict[bool, set[str]] = {False: set(), True: set()}  # by whether a formula is open
        self.inside: defaultdict[str, set[str]] = defaultdict(set)  # environments that can stand in one
        self._learn(text)
        self.prefixes = {
            formula: {name[:i] for name in names for i in range(1, len(name) + 1)}
            for formula, names in self.commands.items()
        }
        self.states: list[State] = [START]
        self._numbers = {START: 0}
        self._rows: list[NDArray[np.int32] | None] = [None]

    def _learn(self, text: str) -> None:
        opened, formula = [""], False
        for found in TOKEN.finditer(text):
            if found[1] == "begin":
                self.inside[opened[-1]].add(found[2])
                opened.append(found[2])
            elif found[1] == "end":
                opened.pop()
            elif found[3]:
                self.commands[formula].add(found[3])
            else:
                formula = not formula
        self.commands[False] |= {"begin", "end"}

    def row(self, state: int) -> NDArray[np.int32]:
        """Return the numbers of the states behind each character of the vocabulary, or `WRONG`."""
        row = self._rows[state]
        if row is None:
            row = np.full(len(self.vocabulary), WRONG, np.int32)
            for i, c in enumerate(self.vocabulary):
                behind = self._behind(self.states[state], c)
                if behind is not None:
                    row[i] = self._number(behind)
            self._rows[state] = row
        return row

    def read(self, text: str) -> tuple[NDArray[np.int32], list[int]]:
        """Return the state behind each character of `text`, and where a character was wrong: it is passed over."""
        indices = {c: i for i, c in enumerate(self.vocabulary)}
        states, wrong, state = np.zeros(len(text), np.int32), [], 0
        for i, c in enumerate(text):
            behind = int(self.row(state)[indices[c]])
            if behind == WRONG:
                wrong.append(i)
                behind = self._number(self.states[state]._replace(tail=""))
            states[i] = state = behind
        return states, wrong

    def _number(self, state: State) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self.states)
            self.states.append(state)
            self._rows.append(None)
        return self._numbers[state]

    def _behind(self, state: State, c: str) -> State | None:
        name = state.tail[1:]
        if state.tail.startswith("\\"):
            if name.startswith(("begin{", "end{")):
                return self._in_name(state, c)
            if not name or (c.isalpha() and c.isascii()):
                return self._in_command(state, c)
            if name not in self._allowed(state):
                return None
            if name in ("begin", "end"):
                return state._replace(tail=state.tail + c) if c == "{" else None
        return self._ordinary(state, c)

    def _in_command(self, state: State, c: str) -> State | None:
        name = state.tail[1:] + c
        if name not in self.prefixes[state.formula]:
            return None
        if not c.isalpha():
            return None if "i" in state.inner else state._replace(tail="")
        fits = any(command.startswith(name) for command in self._allowed(state))
        return state._replace(tail=state.tail + c) if fits else None

    def _allowed(self, state: State) -> set[str]:
        """The commands that may stand where one is being read."""
        allowed = set(self.commands[state.formula])
        around = state.environments[-1] if state.environments else ""
        if state.inner or not state.environments:
            allowed -= {"end"}
        if state.inner or not self.inside.get(around):
            allowed -= {"begin"}
        if around not in LISTS or state.inner not in ("", "i"):
            allowed -= {"item"}
        if not state.inner.endswith("{"):
            allowed -= set(FONTS)
        return allowed & {"item"} if state.inner == "i" else allowed

    def _in_name(self, state: State, c: str) -> State | None:
        command, name = state.tail[1:].split("{")
        around = state.environments[-1] if state.environments else ""
        fits = self.inside.get(around, set()) if command == "begin" else {around}
        if c != "}":
            return state._replace(tail=state.tail + c) if any(fit.startswith(name + c) for fit in fits) else None
        if name not in fits:
            return None
        if command == "end":
            return State(state.environments[:-1])
        return State((*state.environments, name), "i" if name in LISTS else "")

    def _ordinary(self, state: State, c: str) -> State | None:
        inner, last = state.inner, state.inner[-1:]
        if last == "i":
            if state.tail != "\\item":
                return state._replace(tail=c if c == "\\" else "") if c in "\\ \n" else None
            inner, last, state = "", "", state._replace(inner="")
        in_formula = state.formula or state.environments[-1:] == ("align*",)
        if state.tail == "D$":  # the first of the two that close it
            return state._replace(inner=inner[:-1], tail="$$") if c == "$" else None
        if state.tail == "$$":
            return state._replace(tail="\n") if c == "\n" else None
        if c == "\\":
            return state._replace(tail="\\")
        if c == "{":
            return state._replace(inner=inner + "{", tail="") if len(inner) < 8 else None
        if c == "}":
            return state._replace(inner=inner[:-1], tail="") if last == "{" else None
        if c == "$":
            if state.tail == "\n$":
                return state._replace(inner=inner[:-1] + "D", tail="$$")
            if last == "$":
                return state._replace(inner=inner[:-1], tail="") if state.tail != "$" else None
            if last == "D":
                return state._replace(tail="D$") if state.tail == "\n" else None
            first = "\n$" if state.tail == "\n" else "$"
            return None if state.formula else state._replace(inner=inner + "$", tail=first)
        if c == "\n":
            return None if state.tail == "\n" and inner else state._replace(tail="\n")
        if (c in "^_" and not in_formula) or (c == "&" and state.environments[-1:] != ("align*",)) or c in "#%":
            return None
        if c in "^_":
            return None if state.tail in ("^", "_") else state._replace(tail=c)
        return state._replace(tail="")


def units_of(text: str) -> list[str]:
    """Cut `text` before each section, and before each environment that others do not follow upon, as a proof does."""
    return UNIT.split(text)


def mended(unit: str, grammar: Grammar) -> tuple[str, bool]:
    """`unit` with each environment closed under its own name, before one that cannot stand in it or at the end of the
    unit; if anything else is wrong, up to there and False. Nothing, if it is that a formula or a brace is open at the
    end of a paragraph, an item or an environment: the mistake was made before.
    """
    parts: list[str] = []
    opened: list[str] = []
    at = 0

    def close() -> None:
        text = "".join(parts)
        body = text.rstrip("\n")
        ends = "".join(f"\n\\end{{{name}}}" for name in reversed(opened))
        parts[:] = [body + ends + (text[len(body) :] or "\n")]
        opened.clear()

    for found in ENVIRONMENT.finditer(unit):
        parts.append(unit[at : found.start()])
        at, name = found.end(), found[2]
        if found[1] == "begin":
            if opened and name not in grammar.inside[opened[-1]]:
                close()
            opened.append(name)
        elif opened:
            name = opened.pop()
        parts.append(f"\\{found[1]}{{{name}}}")
    parts.append(unit[at:])
    if opened:
        close()
    text = "".join(parts)
    states, wrong = grammar.read(text)
    if wrong:
        before = grammar.states[states[wrong[0] - 1]] if wrong[0] else START
        drawn = before.tail + text[wrong[0]]
        ends = drawn[-1] == "\n" or any(f"\\{name}".startswith(drawn) for name in ("begin", "end", "item"))
        return "" if ends and before.inner else text[: wrong[0]], False
    return text, text.endswith("\n\n")
