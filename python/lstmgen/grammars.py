r"""Grammars in GBNF, ready to use: LaTeX, music, JSON, balanced brackets.

Each function returns the text of a grammar (docs/grammar.md). A generator that has one draws only
elements with which its text can still become one of the grammar.

>>> print(balanced(["()"]))
root ::= ([^()] | pair)*
pair ::= "(" root ")"
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from lstmgen.escaping import brief

__all__ = ["balanced", "json", "latex", "music"]

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"', "[": "\\[", "]": "\\]", "-": "\\x2D"}


def _quoted(text: str) -> str:
    """`text` as a literal of GBNF."""
    return '"' + "".join(_ESCAPES.get(c, c) if c in '\n\t\r\\"' else c for c in text) + '"'


def _class(characters: str, negated: bool = False) -> str:
    """A class of GBNF."""
    inside = "".join(_ESCAPES.get(c, "\\x5E" if c == "^" else c) for c in characters)
    return f"[{'^' if negated else ''}{inside}]"


def _written(rules: Mapping[str, str]) -> str:
    # After a bar, a rule goes on in the next line: an empty alternative at the end is written out.
    return "\n".join(f"{name} ::= {body}" + ('""' if body.endswith("| ") else "") for name, body in rules.items())


# -- balanced, JSON --------------------------------------------------------------------------------


def balanced(pairs: Iterable[str] = ("()", "[]", "{}")) -> str:
    """Return a grammar of all texts in which brackets match.

    pairs: strings of an opening and a closing character, such as "()". All characters differ.

    Raises `ValueError` for anything else.

    >>> import lstmgen
    >>> text = lstmgen.Generator("latex").sample(99, seed=1, grammar=balanced(["{}"]))
    >>> text.count("{") == text.count("}")
    True
    """
    pairs = list(pairs)
    characters = "".join(pairs)
    if not pairs or any(len(pair) != 2 for pair in pairs) or len(set(characters)) != len(characters):
        raise ValueError(
            "pairs: expected strings of two characters, such as '()', and each character once in all of them; "
            f"found {brief(pairs)}"
        )
    return _written(
        {
            "root": f"({_class(characters, negated=True)} | pair)*",
            "pair": " | ".join(f"{_quoted(pair[0])} root {_quoted(pair[1])}" for pair in pairs),
        }
    )


def json() -> str:
    """Return a grammar of a JSON value (RFC 8259).

    White space may stand between the parts of the value, wherever JSON allows it. There is none
    before and after the value, so that a text ends where the value does.

    >>> import json as parser, lstmgen
    >>> text = lstmgen.Generator("latex").sample(99, seed=3, grammar=json())
    >>> value = parser.loads(text)
    """
    return _written(
        {
            "root": 'object | array | string | number | "true" | "false" | "null"',
            "value": "root space",
            "object": '"{" space (member ("," space member)*)? "}"',
            "member": 'string space ":" space value',
            "array": '"\\[" space (value ("," space value)*)? "\\]"'.replace("\\[", "[").replace("\\]", "]"),
            "string": r'"\"" ([^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\""',
            "number": '"-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [+\\x2D]? [0-9]+)?',
            "space": r"[ \t\n\r]*",
        }
    )


# -- music -----------------------------------------------------------------------------------------

_GRID = 24  # points to a quarter, as in lstmgen.music
_STEPS = (96, 72, 48, 36, *range(24, 0, -1))


def music(meter: str = "4/4", bars: int | None = None) -> str:
    """Return a grammar of music in the notation "events" whose bars add up.

    An onset falls on each bar line. Velocities, tracks, the pedal, tempos and this meter may come
    between, and the piece may begin and end.

    The elements' names stand side by side, as in "n60t6n62t6". An element is matched by its name.

    meter: the length of a bar, such as "3/4".
    bars: how many, 1 to 64; None: any number.

    Raises `ValueError` for a meter that the grid of 24 points to a quarter does not hold, or that
    is longer than 16 quarters.

    >>> import lstmgen
    >>> notes = lstmgen.Generator("music").sample(40, seed=1, grammar=music("3/4"))
    >>> sum(int(note[1:]) for note in notes if note.startswith("t")) % (3 * 24)
    0
    """
    found = re.fullmatch(r"([1-9]\d?)/(1|2|4|8|16|32)", meter)
    points = int(found[1]) * 4 * _GRID // int(found[2]) if found else 0
    if not found or points > 16 * _GRID:
        raise ValueError(f"meter: expected one such as '4/4', of up to 16 quarters, found {brief(meter)}")
    if bars is not None and not 1 <= bars <= 64:
        raise ValueError(f"bars: expected 1 to 64, found {bars}")
    rules = {"root": f'"begin"? {"bar*" if bars is None else f"bar{{{bars}}}"} "end"?'}
    for at in range(points):
        steps = [(step, at + step) for step in _STEPS if at + step <= points]
        ways = " | ".join(f'"t{step}"' + (f" at{to}" if to < points else "") for step, to in steps)
        rules["bar" if at == 0 else f"at{at}"] = f"(note | change)* ({ways})"
    durations = " | ".join(f'"{step}"' for step in _STEPS)
    track, level = '("k" ([1-9] | "1" [0-5]))?', '("v" ([1-9] | [12] [0-9] | "3" [0-2]))?'
    pitch = '"n" ([0-9] | [1-9] [0-9] | "1" [01] [0-9] | "12" [0-7])'
    rules["note"] = f'{track} ("d" ({durations}))* {level} {pitch}'
    rules["change"] = f'"p" [01] | "b" [1-9] [0-9]+ | "m{meter}"'
    return _written(rules)


# -- LaTeX -----------------------------------------------------------------------------------------

_LISTS = ("itemize", "enumerate", "description")
_FORMULAS = ("equation", "equation*", "displaymath", "multline", "multline*")
_ALIGNED = ("align", "align*", "gather", "gather*", "eqnarray", "eqnarray*", "alignat", "alignat*")
_MATRICES = ("matrix", "pmatrix", "bmatrix", "vmatrix", "smallmatrix", "cases", "split", "aligned", "gathered", "array")
_VERBATIM = ("verbatim", "verbatim*", "lstlisting", "comment")
_TABLES = ("tabular",)
_COLUMNS = ("array", "tabular")
_TEXTS: tuple[str, ...] = (
    "theorem",
    "lemma",
    "proposition",
    "corollary",
    "definition",
    "remark",
    "example",
    "proof",
    "abstract",
)
_TEXTS += ("center", "quote", "quotation", "figure", "table")
_PREAMBLE = (
    "document",
    "documentclass",
    "usepackage",
    "newcommand",
    "newtheorem",
    "def",
    "renewcommand",
    "newenvironment",
)
_RESERVED = ("begin", "end", "item", "left", "right", "verb", *_PREAMBLE)
_DEPTH = 4  # of lists: more is an error of LaTeX

_KEYS: tuple[str, ...] = (
    "label",
    "ref",
    "eqref",
    "pageref",
    "cite",
    "input",
    "include",
    "includegraphics",
    "bibliography",
    "url",
)
_KEYS += ("bibliographystyle",)
_TEXT_ARGUMENTS = {  # how many, where no corpus tells
    **dict.fromkeys((*_KEYS, "section", "section*", "subsection", "subsection*", "subsubsection", "chapter"), 1),
    **dict.fromkeys(("paragraph", "title", "author", "date", "emph", "textbf", "textit", "texttt", "textsc"), 1),
    **dict.fromkeys(("textrm", "textsf", "underline", "footnote", "caption", "mbox", "text"), 1),
}
_MATH_ARGUMENTS = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "binom", "overset", "underset", "stackrel"), 2),
    **dict.fromkeys(("sqrt", "mathbf", "mathbb", "mathcal", "mathfrak", "mathrm", "mathit", "mathsf", "mathscr"), 1),
    **dict.fromkeys(("boldsymbol", "operatorname", "overline", "underline", "hat", "widehat", "tilde", "bar"), 1),
    **dict.fromkeys(("widetilde", "vec", "dot", "ddot", "check", "text", "mbox", "textrm", "textit", "textbf"), 1),
    **dict.fromkeys(("label", "tag", "ref", "eqref", "overbrace", "underbrace", "xymatrix", "substack"), 1),
}
_TEXT_IN_MATH = ("text", "mbox", "textrm", "textit", "textbf", "textsf", "texttt", "hbox", "tag", "intertext")
_OPTIONAL = ("cite", "footnote", "caption", "section", "includegraphics", "sqrt")
_DELIMITERS = ("langle", "rangle", "lfloor", "rfloor", "lceil", "rceil", "lvert", "rvert", "lVert", "rVert", "vert")


class _Names:
    """Commands and environments: which there are, and how many arguments in braces follow each
    command."""

    def __init__(self, corpus: str | None) -> None:
        self.environments: tuple[str, ...] = (*_LISTS, *_FORMULAS, *_ALIGNED, *_MATRICES, *_VERBATIM, *_TABLES, *_TEXTS)
        self.lists = set(_LISTS)
        self.arguments: dict[bool, dict[str, int]] = {False: _TEXT_ARGUMENTS, True: _MATH_ARGUMENTS}  # key: in formulas
        self.optional: set[str] = set(_OPTIONAL)
        self.cells = {"xymatrix", "substack"}  # whose argument has columns
        self.known = corpus is not None
        self.displays: tuple[str, ...] = ("$$", "\\[", "\\(")
        self.verb = True
        if corpus is not None:
            self._learn(corpus)

    _TOKEN = re.compile(r"\\(begin|end)\s*\{([^{}\s]+)\}|\\([a-zA-Z]+\*?|.)|(\$\$?)", re.DOTALL)

    def _learn(self, corpus: str) -> None:
        for name in _VERBATIM:
            corpus = re.sub(
                rf"(\\begin\{{{re.escape(name)}\}}).*?(\\end\{{{re.escape(name)}\}})", r"\1\2", corpus, flags=re.S
            )
        corpus = re.sub(r"\\verb(.)[^\n]*?\1", "", corpus)
        corpus = re.sub(r"(?<!\\)%[^\n]*\n?", "", corpus)
        environments: list[str] = []
        counts: dict[bool, dict[str, int]] = {False: {}, True: {}}
        optional: defaultdict[str, set[bool]] = defaultdict(set)
        opened: list[str] = []
        formula = ""
        for found in self._TOKEN.finditer(corpus):
            in_math = bool(formula) or any(name in (*_FORMULAS, *_ALIGNED, *_MATRICES) for name in opened[-1:])
            if found[1] == "begin":
                opened.append(found[2])
                if found[2] not in _PREAMBLE and found[2] not in environments:
                    environments.append(found[2])
            elif found[1] == "end":
                if found[2] in opened:
                    del opened[len(opened) - 1 - opened[::-1].index(found[2]) :]
            elif found[4]:
                formula = "" if formula else found[4]
            elif found[3] in ("[", "("):
                formula = found[3]
            elif found[3] in ("]", ")"):
                formula = ""
            elif found[3] == "item":
                self.lists |= set(opened[-1:])
            elif found[3][0].isalpha() and found[3] not in _RESERVED:
                at, has_option = found.end(), False
                if corpus[at : at + 1] == "[" and (end := corpus.find("]", at)) > 0:
                    at, has_option = end + 1, True
                n = 0
                while n < 3 and corpus[at : at + 1] == "{" and (end := _closing(corpus, at)) > 0:
                    if re.search(r"(?<!\\)&", corpus[at:end]):
                        self.cells.add(found[3])
                    at, n = end, n + 1
                counts[in_math][found[3]] = min(counts[in_math].get(found[3], 9), n)
                optional[found[3]].add(has_option)
        self.lists &= set(environments)
        self.environments = tuple(environments)
        self.arguments = counts
        self.optional = {name for name, seen in optional.items() if True in seen}
        self.displays = tuple(sign for sign in ("$$", "\\[", "\\(") if sign in corpus)
        self.verb = False


def _closing(text: str, at: int) -> int:
    """The end of the group in braces that begins at `at`; 0 if it has none."""
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return 0


def _other_names(reserved: Iterable[str], rules: dict[str, str], rule: str) -> None:
    """Set the rules of all names of letters but the reserved ones. What follows a name is no
    letter."""
    reserved = {name for name in reserved if name.isalpha()}
    prefixes = {name[:i] for name in reserved for i in range(len(name) + 1)}
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for prefix in sorted(prefixes):
        ways = [_class("".join(c for c in letters if prefix + c not in prefixes)) + " [a-zA-Z]*"]
        for c in letters:
            if prefix + c in prefixes:
                ways.append(f'"{c}" {rule}-{prefix + c}')
        if prefix and prefix not in reserved:
            ways.append('""')
        rules[f"{rule}-{prefix}" if prefix else rule] = " | ".join(ways)


def latex(corpus: str | None = None) -> str:
    r"""Return a grammar of LaTeX, as far as it can be told without running TeX.

    Braces are balanced, and hold no empty line. Formulas in ``$..$``, ``$$..$$``, ``\[..\]`` and
    ``\(..\)`` are closed, hold no empty line, and have no second index or exponent in one place.
    ``\begin{x}`` is closed by ``\end{x}``. ``\item`` stands in lists only, at most four deep, and
    nothing stands before the first. ``&`` and ``\\`` stand in alignments, ``\left`` has its
    ``\right``, and commands that take arguments have them. Comments may hold anything, and verbatim
    text anything but a backslash.

    corpus: LaTeX that is taken to be right. The grammar then knows only its environments and its
        commands, each in formulas or outside of them as in the corpus. A command that always has
        arguments there has them. None: common environments, and commands of any name.

    The grammar describes the body of a document: neither its preamble nor ``\begin{document}``.

    >>> import lstmgen
    >>> text = lstmgen.Generator("latex").sample(400, seed=1, grammar=latex())
    >>> text.count("\\begin{") == text.count("\\end{")
    True
    """
    names = _Names(corpus)
    rules: dict[str, str] = {"root": "text0"}
    _text_rules(names, rules)
    _math_rules(names, rules)
    _environment_rules(names, rules)
    return _written(rules)


def _argument(kind: str) -> str:
    return f'"{{" {kind} "}}"'


def _commands(names: _Names, in_math: bool, rules: dict[str, str], rule: str) -> tuple[str, str]:
    """The commands without and with arguments, as parts of a rule."""
    plain, full = [], []
    known = names.arguments[in_math]
    for name, n in sorted(known.items()):
        kind = "math" if in_math and name not in _TEXT_IN_MATH else "line"
        kind = "key" if name in _KEYS else "cells" if name in names.cells else kind
        parts = [_quoted("\\" + name)]
        if name in names.optional:
            parts.append('("[" option "]")?' if n else '"[" option "]"')
        if len(parts) > 1 or n or name.endswith("*"):
            full.append(" ".join([*parts, *["bare" if kind == "math" and not names.known else _argument(kind)] * n]))
        if not n and not name.endswith("*"):
            plain.append(parts[0])
    if not names.known:
        _other_names((*_RESERVED, *(name for name, n in known.items() if n)), rules, rule)
        plain.append(_quoted("\\") + f" {rule}")
    rules[f"{rule}-plain"] = " | ".join(plain) or _quoted("\\ ")
    rules[f"{rule}-full"] = " | ".join(full) or _argument("line")
    return f"{rule}-plain", f"{rule}-full"


def _text_rules(names: _Names, rules: dict[str, str]) -> None:
    plain, full = _commands(names, False, rules, "name")
    other = _class("\\{}$%&#_^ \t\n")[:-1].replace("[", "[^", 1) + "a-zA-Z]"
    rules["symbol"] = '"\\\\" ([{}$%&#_ ,;:!/@\\x2D] | accent)'
    rules["accent"] = '[\'`\\x22\\x5E~=.] ([a-zA-Z] | "{" [a-zA-Z] "}")'
    rules["comment"] = '"%" [^\\n]* "\\n"'
    rules["key"] = _class("\\{}$%&#^~ \t\n", negated=True) + "+"
    text = _class("\\{}$%&#_^[]\n", negated=True)
    rules["option"] = f"({text} | symbol | formula | {_argument('line')})*"
    rules["formula"] = '"$" math1 "$"'
    displays = {"$$": '"$$" math1 "$$"', "\\[": '"\\\\[" math1 "\\\\]"', "\\(": '"\\\\(" math1 "\\\\)"'}
    rules["display"] = " | ".join(displays[sign] for sign in names.displays) or rules["formula"]
    rules["verb"] = '"\\\\verb" ("|" [^|\\n]* "|" | "+" [^+\\n]* "+" | "!" [^!\\n]* "!")'
    some = f"symbol | {full} | formula | group"
    anything = f"{other} | {some}"
    bracket = other.replace("[^", "[^\\[", 1)  # without an opening bracket
    verb = " | verb" if names.verb else ""
    # A command's name goes on as long as there are letters. So after it, what follows begins with
    # none.
    rules["group"] = '"{" body "}"'
    rules["body"] = "[a-zA-Z] body | body-after"
    inner = f"{anything}{verb} | display | comment"
    rules["body-after"] = f'({inner} | [ \\t]) body | {plain} body-after | "\\n" body-new | '
    rules["body-new"] = f"[ \\t] body-new | ([a-zA-Z] | {inner}) body | {plain} body-after | "
    rules["line"] = "[a-zA-Z] line | line-after"
    rules["line-after"] = f'({anything} | [ \\t]) line | {plain} line-after | "\\n" line-new | '
    rules["line-new"] = f"[ \\t] line-new | ([a-zA-Z] | {anything}) line | {plain} line-after | "
    rules["line-first"] = f"({bracket} | {some}) line | {plain} line-after | "
    for depth in range(_DEPTH + 1):
        rules[f"text{depth}"] = f"[a-zA-Z] text{depth} | text{depth}-after"
        rules[f"text{depth}-after"] = (
            f"({anything}{verb} | [ \\t\\n] | display | comment | environment{depth}) text{depth}"
            f" | {plain} text{depth}-after | "
        )
        rules[f"text{depth}-first"] = (
            f"({bracket} | {some}{verb} | display | comment | environment{depth}) text{depth}"
            f" | {plain} text{depth}-after | "
        )


def _math_rules(names: _Names, rules: dict[str, str]) -> None:
    plain, full = _commands(names, True, rules, "sign")
    character = "[^\\\\{}$%&#_\\x5E' \\t\\na-zA-Z~]"
    first = character.replace("[^", "[^\\[*", 1)  # what may follow a line break
    if not names.known:  # \\mathcal B is as good as \\mathcal{B}
        rules["bare"] = _argument("math") + " | [ \\t]+ [a-zA-Z0-9] | [0-9]"
    rules["math-symbol"] = '"\\\\" [{}|,;:!>$%&#_ /]'
    delimiter = '[()\\[\\]|/.<>] | "\\\\" [{}|]'
    named = " | ".join(_quoted("\\" + name) for name in _DELIMITERS)
    rules["fenced"] = f'"\\\\left" (({delimiter}) math | ({named}) math-after) "\\\\right"'
    matrices = [name for name in names.environments if name in _MATRICES]
    matrix = "".join(f" | {_environment(name, 'cells')}" for name in matrices)
    rules["matrix"] = matrix[3:] or _argument("math")
    rules["atom"] = f"math-symbol | {full} | {_argument('math')} | matrix"
    rules["index"] = f"[a-zA-Z] | {character} | {_argument('math')}"
    rest = f"atom scripts | {plain} scripts-after | fenced (({delimiter}) scripts | ({named}) scripts-after)"
    # `-after`: after the name of a command; no letter may follow.
    rules["math"] = "math1 | "
    rules["math1"] = "[a-zA-Z] scripts | math1-after"
    rules["math-after"] = "math1-after | "
    rules["math1-after"] = f'"\\n" math-new | [ \\t~] math | {character} scripts | {rest}'
    rules["math-new"] = f"[ \\t~] math-new | [a-zA-Z] scripts | {character} scripts | {rest} | "
    for after, end in ("", "math"), ("-after", "math-after"):
        rules[f"scripts{after}"] = (
            f'"\'" scripts | "^" (index upper | {plain} upper-after) | "_" (index lower | {plain} lower-after) | {end}'
        )
        rules[f"upper{after}"] = f'"_" (index math | {plain} math-after) | {end}'
        rules[f"lower{after}"] = f'"\'" lower | "^" (index math | {plain} math-after) | {end}'
    rules["cells"] = 'math ("&" math | "\\\\\\\\" row)*'
    rules["row"] = f'[ \\t] row | "\\n" row-new | [a-zA-Z] scripts | {first} scripts | {rest} | '
    rules["row-new"] = f"[ \\t] row-new | [a-zA-Z] scripts | {first} scripts | {rest} | "


def _environment(name: str, body: str) -> str:
    columns = ' "{" [lcr|]+ "}"' if name in _COLUMNS else ' "{" [0-9] "}"' if name.startswith("alignat") else ""
    begin, end = (_quoted("\\" + sign + "{" + name + "}") for sign in ("begin", "end"))
    return f"{begin}{columns} {body} {end}"


def _environment_rules(names: _Names, rules: dict[str, str]) -> None:
    outside = [name for name in names.environments if name not in _MATRICES]
    # Verbatim text ends with the first \end of its name; no other backslash stands in it.
    rules["verbatim"] = "[^\\\\]*"
    rules["table-cells"] = 'line ("&" line | "\\\\\\\\" table-row)*'
    rules["table-row"] = "[ \\t\\n] table-row | [a-zA-Z] line | line-first"
    for depth in range(_DEPTH + 1):
        ways = []
        for name in outside:
            if name in names.lists:
                if depth < _DEPTH:
                    ways.append(_environment(name, f"items{depth + 1}"))
            elif name in _FORMULAS:
                ways.append(_environment(name, "math"))
            elif name in _ALIGNED:
                ways.append(_environment(name, "cells"))
            elif name in _VERBATIM:
                ways.append(_environment(name, "verbatim"))
            elif name in _TABLES:
                ways.append(_environment(name, "table-cells"))
            else:
                ways.append(_environment(name, f"begin{depth}"))
        rules[f"environment{depth}"] = " | ".join(ways) or "group"
        # What follows \\begin{x} or \\item may be an option, even after spaces.
        rules[f"begin{depth}"] = (
            f'[ \\t\\n] begin{depth} | "[" option "]" text{depth} | [a-zA-Z] text{depth} | text{depth}-first'
        )
        if depth > 0:
            rules[f"items{depth}"] = f'[ \\t\\n]* ("\\\\item" item{depth})+'
            rules[f"item{depth}"] = f'[ \\t\\n] begin{depth} | "[" option "]" text{depth} | text{depth}-first'
