"""Measures of text that a model drew, beside the text that it learnt from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRAM = 20  # characters of the strings that are counted
COPY = 50  # characters from which on a string that is in the corpus, too, is a copy
_COMMAND = re.compile(r"\\[A-Za-z]+")
_NAMES = re.compile(r"\\(?:label|ref|eqref|pageref|cite|begin|end|input|bibliography|bibliographystyle)\s*\{[^{}\n]*\}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_KEPT = 2**28  # bytes of hashes that a corpus keeps, unless those of one length are more
_BASE = 0x9E3779B97F4A7C15  # odd, of the polynomial hash modulo 2**64


class Measures(NamedTuple):
    """What text is like.

    words, commands: how many there are. A word has two letters or more. Commands of LaTeX such as
        \\foo are no words, nor are the arguments of \\label, \\ref, \\begin and the like. Case does
        not count.
    known_words, known_commands: the share of them that the corpus has; None without any.
    distinct: the number of different strings of 20 characters, divided by that of all.
    longest_copy: the longest string that is in the corpus, too.
    copied: the share of characters inside of such a string of 50 characters or more.

    >>> measure("the cat", Corpus("the dog")).known_words
    0.5
    """

    characters: int
    words: int
    known_words: float | None
    commands: int
    known_commands: float | None
    distinct: float | None
    longest_copy: str
    copied: float


class Corpus:
    """A text, and what is asked of it again and again.

    >>> Corpus("the dog").words == {"the", "dog"}
    True
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = set(words(text))
        self.commands = set(_COMMAND.findall(text))
        self._codes = _codes(text)
        self._known: dict[int, NDArray[np.uint64]] = {}

    def __repr__(self) -> str:
        return f"<lstmgen.evaluation.text.Corpus of {len(self.text):,} characters>"

    def has(self, text: str, length: int) -> NDArray[np.bool_]:
        """Return for each string of this length in `text` whether the corpus has it: (strings).

        Strings count as equal if their hashes of 64 bits are.

        >>> Corpus("the dog").has("a dog", 4).tolist()
        [False, True]
        """
        import numpy as np

        there, wanted = self._sorted(length), _hashes(_codes(text), length)
        at = np.searchsorted(there, wanted)
        found: NDArray[np.bool_] = np.zeros(len(wanted), np.bool_)
        inside = at < len(there)
        found[inside] = there[at[inside]] == wanted[inside]
        return found

    def _sorted(self, length: int) -> NDArray[np.uint64]:
        """Return the hashes of its strings of this length in order: (strings). Those asked for last
        are kept, since each of many texts is asked about the same lengths.
        """
        import numpy as np

        found = self._known.pop(length, None)
        if found is None:
            found = np.sort(_hashes(self._codes, length))
            while self._known and (len(self._known) + 1) * self._codes.nbytes > _KEPT:
                del self._known[next(iter(self._known))]
        self._known[length] = found
        return found


def measure(text: str, corpus: Corpus) -> Measures:
    """Return the measures of a text that is not empty.

    >>> measure("a b", Corpus("x")).known_words is None
    True
    """
    import numpy as np

    of_text, commands = words(text), _COMMAND.findall(text)
    return Measures(
        characters=len(text),
        words=len(of_text),
        known_words=_share(of_text, corpus.words),
        commands=len(commands),
        known_commands=_share(commands, corpus.commands),
        distinct=distinct(text),
        longest_copy=longest_copy(text, corpus),
        copied=float(np.mean(copied(text, corpus))),
    )


def words(text: str) -> list[str]:
    """Return the words outside of commands of LaTeX, in lower case.

    >>> words(r"\\label{x} The cat's \\emph{hat}")
    ['the', 'cat', 'hat']
    """
    return _WORD.findall(_COMMAND.sub(" ", _NAMES.sub(" ", text)).lower())


def unknown_words(text: str, corpus: Corpus, most: int = 20) -> dict[str, int]:
    """Return the most frequent words that the corpus does not have, with how often they come.

    >>> unknown_words("the cat", Corpus("the dog"))
    {'cat': 1}
    """
    return dict(Counter(word for word in words(text) if word not in corpus.words).most_common(most))


def distinct(text: str, length: int = GRAM) -> float | None:
    """Return the number of different strings of this length, divided by that of all. None if the
    text is shorter.

    >>> distinct("abab", 2)
    0.6666666666666666
    """
    count = len(text) - length + 1
    return len({text[i : i + length] for i in range(count)}) / count if count > 0 else None


def longest_copy(text: str, corpus: Corpus) -> str:
    """Return the first of the longest strings of the text that are in the corpus, too.

    >>> longest_copy("say hello world", Corpus("oh, hello there"))
    ' hello '
    """
    import numpy as np

    least, most = 0, min(len(text), len(corpus.text))  # `least` characters are in both, `most` + 1 are not
    found = ""
    while least < most:
        # Most texts copy some dozen characters, so they are asked about the same few lengths.
        length = min((least + most + 1) // 2, max(COPY, 2 * least))
        at = np.flatnonzero(corpus.has(text, length))
        copy = next((c for i in at if (c := text[i : i + length]) in corpus.text), None)
        if copy is None:
            most = length - 1
        else:
            least, found = length, copy
    return found


def copied(text: str, corpus: Corpus, length: int = COPY) -> NDArray[np.bool_]:
    """Return for each character whether it is in a string of at least this length that the corpus
    has, too.

    >>> copied("abcd", Corpus("xbcx"), 2).tolist()
    [False, True, True, False]
    """
    import numpy as np

    steps = np.zeros(len(text) + 1, np.int64)
    for i in np.flatnonzero(corpus.has(text, length)):
        steps[i] += 1
        steps[i + length] -= 1
    return np.cumsum(steps)[:-1] > 0


def frequencies(texts: Iterable[Sequence[Any]]) -> dict[str, int]:
    """Return how often each element comes, the most frequent first.

    >>> frequencies(["abb"])
    {'b': 2, 'a': 1}
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(map(str, text))
    return dict(counts.most_common())


def _share(items: Sequence[str], known: set[str]) -> float | None:
    return sum(item in known for item in items) / len(items) if items else None


def _codes(text: str) -> NDArray[np.uint64]:
    """Return the code points: (characters)."""
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _hashes(codes: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Return the polynomial hash modulo 2**64 of each string of this length: (strings)."""
    import numpy as np

    count = max(len(codes) - length + 1, 0)
    total = np.zeros(count, np.uint64)
    power, size, span = np.uint64(_BASE), 1, codes + np.uint64(1)
    at = 0  # `total` is of the first `at` characters of each string, `span` of `size` characters
    with np.errstate(over="ignore"):
        while count:
            if length & size:
                total = total * power + span[at : at + count]
                at += size
            if at == length:
                break
            span = span[: len(span) - size] * power + span[size:]
            power, size = power * power, 2 * size
    return total
