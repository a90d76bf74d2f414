"""Measure generated LaTeX against the text that the model learned.

    lstmgen sample latex --temp 0.67 --length 10000 > sample.tex
    python tools/text_quality.py sample.tex --corpus topology.tex

- known words: the share of the words that the corpus has. A word has two letters or more. Commands
  do not count, nor do the arguments of \\label, \\ref, \\begin and the like. Case does not count.
  A list of English words, if there is one, gives a second share.
- known commands: the share of the commands (\\foo) that the corpus has.
- distinct 20-grams: the number of different strings of 20 characters, divided by that of all.
- longest copy: the longest string that is in the corpus, too, character by character.
- copied: the share of characters inside of such a string of 50 characters or more.
- nesting: mistakes in what is opened and closed. One is to close what was not opened last. Another
  is to leave something open where it must end, such as a formula at the end of a paragraph. Each
  \\item outside of a list is one, too. What is inside of something that is closed is closed with
  it. What is open at the end is told apart.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAM = 20
COPY = 50
COMMAND = re.compile(r"\\[A-Za-z]+")
NAMES = re.compile(r"\\(?:label|ref|eqref|pageref|cite|begin|end|input|bibliography|bibliographystyle)\s*\{[^{}\n]*\}")
WORD = re.compile(r"[^\W\d_]{2,}")
LISTS = ("enumerate", "itemize", "description")
TEXT_IN_FORMULAS = re.compile(r"\\(?:text\w*|[mhf]box)$")
NESTED = re.compile(r"\\(begin|end)\{([^{}\n]*)\}|(\\item)(?![A-Za-z])|\\.|([{}]|\$\$?|\n[ \t]*\n)", re.DOTALL)


def words(text: str) -> list[str]:
    """Return the words outside of commands, in lower case."""
    return WORD.findall(COMMAND.sub(" ", NAMES.sub(" ", text)).lower())


def share(items: Iterable[str], known: set[str]) -> float | None:
    """Return the share of items that are known; None: there are no items."""
    found = [item in known for item in items]
    return sum(found) / len(found) if found else None


def grams(text: str, length: int) -> list[str]:
    """Return all substrings of this length."""
    return [text[i : i + length] for i in range(len(text) - length + 1)]


def distinct(text: str, length: int = GRAM) -> float | None:
    """Return the number of different substrings of this length, divided by that of all."""
    found = grams(text, length)
    return len(set(found)) / len(found) if found else None


def longest_copy(text: str, corpus: str) -> str:
    """Return the first of the longest substrings of the text that are in the corpus."""
    start = best = 0
    for i in range(len(text)):
        while i + best < len(text) and text[i : i + best + 1] in corpus:
            start, best = i, best + 1
    return text[start : start + best]


def copied(text: str, corpus: str, length: int = COPY) -> NDArray[np.bool_]:
    """Return for each character whether it is copied: in a substring of the corpus that has at
    least this length."""
    known = set(grams(corpus, length))
    steps = np.zeros(len(text) + 1, np.int64)
    for i, gram in enumerate(grams(text, length)):
        if gram in known:
            steps[i] += 1
            steps[i + length] -= 1
    return np.cumsum(steps)[:-1] > 0


def nesting(text: str) -> tuple[int, int]:
    """Return the number of mistakes of nesting, and how many things are open at the end."""
    errors = 0
    # Names of environments, "$", "$$", "{", and "text{", in which a formula may begin.
    opened: list[str] = []

    def close(names: Iterable[str]) -> int:
        """Close the last that has one of these names, and what is inside of it.

        Returns the number of mistakes.
        """
        found = [i for i, name in enumerate(opened) if name in names]
        if not found:
            return 1
        inside = len(opened) - 1 - found[-1]
        del opened[found[-1] :]
        return int(inside > 0)

    for found in NESTED.finditer(text):
        sign = found[4] or ""
        formula = next((name for name in reversed(opened) if name != "{"), "")
        if found[1] == "begin":
            opened.append(found[2])
        elif found[1] == "end":
            errors += close([found[2]])
        elif found[3]:
            errors += not opened or opened[-1] not in LISTS
        elif sign == "{":
            before = text[max(0, found.start() - 16) : found.start()]
            opened.append("text{" if TEXT_IN_FORMULAS.search(before) else "{")
        elif sign == "}":
            errors += close(["{", "text{"])
        elif sign in ("$", "$$"):
            if formula in ("$", "$$"):
                errors += int(close([formula]) > 0 or sign < formula)
            if formula == "$" and sign == "$$":  # the end of one and the begin of another
                opened.append("$")
            elif formula not in ("$", "$$"):
                opened.append(sign)
        elif sign and formula in ("$", "$$"):  # the end of a paragraph
            errors += close([formula]) or 1
    return errors, len(opened)


def measure(text: str, corpus: str, dictionary: set[str] | None = None) -> dict[str, Any]:
    """Return all measures of one text."""
    if not text:
        raise ValueError("empty")
    of_corpus, of_text = set(words(corpus)), words(text)
    commands, known = COMMAND.findall(text), set(COMMAND.findall(corpus))
    copy = longest_copy(text, corpus)
    errors, still_open = nesting(text)
    return {
        "characters": len(text),
        "words": len(of_text),
        "known_words": share(of_text, of_corpus),
        "dictionary_words": None if dictionary is None else share(of_text, dictionary),
        "unknown_words": dict(Counter(w for w in of_text if w not in of_corpus).most_common(20)),
        "commands": len(commands),
        "known_commands": share(commands, known),
        "unknown_commands": dict(Counter(c for c in commands if c not in known).most_common(20)),
        "distinct_20_grams": distinct(text),
        "longest_copy": len(copy),
        "longest_copy_text": copy,
        "copied": float(np.mean(copied(text, corpus))),
        "nesting_errors": errors,
        "open_at_the_end": still_open,
    }


def describe(name: str, facts: dict[str, Any]) -> str:
    """Return what is printed for one text."""

    def percent(key: str) -> str:
        return "none" if facts[key] is None else f"{100 * facts[key]:.1f} %"

    english = "" if facts["dictionary_words"] is None else f" ({percent('dictionary_words')} in the word list)"
    return (
        f"{name}: {facts['characters']:,} characters; known words {percent('known_words')}{english}, "
        f"known commands {percent('known_commands')}, distinct 20-grams {percent('distinct_20_grams')}, "
        f"longest copy {facts['longest_copy']}, copied {percent('copied')}, "
        f"errors of nesting {facts['nesting_errors']}, open at the end {facts['open_at_the_end']}\n"
        f"  longest copy: {json.dumps(facts['longest_copy_text'], ensure_ascii=False)}"
    )


def read_dictionary(path: Path) -> set[str] | None:
    """Read a list of words, one a line; None: there is no such file."""
    return set(path.read_text(encoding="utf-8").lower().split()) if path.exists() else None


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path, nargs="+", metavar="sample", help="generated text, UTF-8")
    parser.add_argument("--corpus", type=Path, required=True, help="the text that the model learned, UTF-8")
    words_help = "list of English words, one a line (%(default)s, if there is one)"
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/words"), help=words_help)
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser


def main() -> int:
    """Run the command line."""
    args = arguments().parse_args()
    reports: list[dict[str, Any]] = []
    path = args.words
    try:
        dictionary = read_dictionary(path)
        path = args.corpus
        corpus = path.read_bytes().decode()
        for path in args.samples:
            facts = measure(path.read_bytes().decode(), corpus, dictionary)
            reports.append({"file": str(path), **facts})
            if not args.json:
                print(describe(str(path), facts), flush=True)
    except OSError as error:
        print(f"{error.filename or path}: {error.strerror}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(reports, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
