"""How a Keras `Tokenizer` makes elements of a text, so that a prime enters as the training texts did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# What a Keras Tokenizer leaves out of texts unless it is told otherwise.
KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

_MAX_FILTERS = 4096  # characters


class Tokenizer(NamedTuple):
    """The settings of a tokenizer, under Keras's names.

    lower: the text is lower-cased. filters: characters that count as `split`. split: what stands between words.
    char_level: elements are characters; then only `lower` counts. oov_token: the element for unknown words, if any.
    num_words: ids from here on are unknown. Two options are not of its `Tokenizer`: apart, characters that are words of
    their own, and removed, characters that are left out.
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
        """The settings in a config. Raises `ValueError` for one that Keras does not have."""
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
        """The settings in the card of a `.bin`, None if there are none."""
        if '"tokenizer"' not in card:
            return None
        import json  # here, as few need it: imports are half of what starting costs

        try:
            config = json.loads(card)["tokenizer"]
            return cls.of(config, cls()) if config.keys() >= {"lower", "split"} else None
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None  # opaque to the engine, so anything may be in it

    def facts(self) -> dict[str, Any]:
        """The settings as the card of a `.bin` holds them."""
        return {key: value for key, value in self._asdict().items() if key in ("lower", "split") or value}

    def lowered(self, text: str) -> str:
        """The text in the case of the elements, without what is removed."""
        text = text.lower() if self.lower else text
        return text.translate(dict.fromkeys(map(ord, self.removed))) if self.removed else text

    def words(self, text: str) -> Iterator[tuple[str, int]]:
        """The words of a text, and where each begins in the lower-cased text."""
        outside = re.escape(self.filters + self.apart)
        character = f"[^{outside}]" if outside else "."
        pattern = rf"{re.escape(self.split)}|((?:(?!{re.escape(self.split)}){character})+)"
        if self.apart:
            pattern += f"|([{re.escape(self.apart)}])"
        for match in re.finditer(pattern, self.lowered(text), re.DOTALL):
            if match.lastindex:
                yield match[match.lastindex], match.start()
