"""How a Keras `Tokenizer` makes elements of a text.

A prime then enters a network as the texts of the training did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# The characters that a Keras Tokenizer leaves out by default.
KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

_MAX_FILTERS = 4096  # the highest number of characters in a setting


class Tokenizer(NamedTuple):
    """The settings of a tokenizer, under Keras's names.

    lower: whether the text is lower-cased.
    filters: characters that count as `split`, at most 4096.
    split: what stands between words, 1 to 4096 characters.
    char_level: whether elements are characters. Then only `lower` counts of the settings above.
    oov_token: the element for unknown words, or None.
    num_words: ids from this one on are unknown, or None.
    apart: characters that are words. Keras's `Tokenizer` does not have it.
    removed: characters that are left out. Keras's `Tokenizer` does not have it.

    Source: `keras.preprocessing.text.Tokenizer` of Keras 2.

    >>> list(Tokenizer(lower=True, filters=",").words("The cat, a cat"))
    [('the', 0), ('cat', 4), ('a', 9), ('cat', 11)]
    """

    lower: bool = False
    filters: str = ""
    split: str = " "
    char_level: bool = False
    oov_token: str | None = None
    num_words: int | None = None
    apart: str = ""
    removed: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any], defaults: Tokenizer) -> Tokenizer:
        """Return the settings in a config.

        config: as Keras stores it; missing settings are those of `defaults`.

        Raises `ValueError` for a setting that Keras does not have.

        >>> Tokenizer.of({"lower": True}, Tokenizer()).lower
        True
        """
        kinds = {"lower": bool, "char_level": bool, "filters": str, "split": str, "apart": str, "removed": str}
        found: dict[str, Any] = {}
        for key, kind in kinds.items():
            value = config.get(key)
            if value is not None and type(value) is not kind:
                raise ValueError(f"{key}: expected {kind.__name__}, found {value!r:.60}")
            found[key] = getattr(defaults, key) if value is None else value
        if not found["split"] or max(len(found[key]) for key, kind in kinds.items() if kind is str) > _MAX_FILTERS:
            raise ValueError(f"split, filters: expected 1 to {_MAX_FILTERS} characters")
        oov, limit = config.get("oov_token"), config.get("num_words")
        found["oov_token"] = oov if isinstance(oov, str) and oov else None
        found["num_words"] = limit if type(limit) is int and limit > 0 else None
        return cls(**found)

    @classmethod
    def of_card(cls, card: str) -> Tokenizer | None:
        """Return the settings in the card of a `.bin`, or None if there are none.

        card: the text of the card. It may hold anything.

        >>> Tokenizer.of_card('{"tokenizer": {"lower": true, "split": " "}}').lower
        True
        """
        if '"tokenizer"' not in card:
            return None
        import json  # imported here, since few models need it and imports are half of the start

        try:
            config = json.loads(card)["tokenizer"]
            return cls.of(config, cls()) if config.keys() >= {"lower", "split"} else None
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None  # a card may hold anything

    def facts(self) -> dict[str, Any]:
        """Return the settings as the card of a `.bin` holds them.

        >>> Tokenizer(lower=True).facts()
        {'lower': True, 'split': ' '}
        """
        return {key: value for key, value in self._asdict().items() if key in ("lower", "split") or value}

    def lowered(self, text: str) -> str:
        """Return the text in the case of the elements, without the removed characters.

        >>> Tokenizer(lower=True, removed="-").lowered("Re-Do")
        'redo'
        """
        text = text.lower() if self.lower else text
        return text.translate(dict.fromkeys(map(ord, self.removed))) if self.removed else text

    def words(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield the words of a text, and where each begins in the result of `lowered`.

        >>> list(Tokenizer(apart="!").words("ah! oh"))
        [('ah', 0), ('!', 2), ('oh', 4)]
        """
        text = self.lowered(text)
        outside = re.escape(self.filters + self.apart)
        character = f"[^{outside}]" if outside else "."
        apart = f"|([{re.escape(self.apart)}])" if self.apart else ""
        word, at = re.compile(rf"({character}+){apart}", re.DOTALL), 0
        while at <= len(text):
            found = text.find(self.split, at)
            end = len(text) if found < 0 else found
            for match in word.finditer(text, at, end):
                yield match[0], match.start()
            at = end + len(self.split)
