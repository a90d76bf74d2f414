"""Layers that turn texts into ids: StringLookup, IntegerLookup and TextVectorization.

The network begins after them. If their config holds the vocabulary, it becomes the network's. So
does the vocabulary of an adapted layer, which Keras saves as a file in the `.keras`. If the config
holds the path of another file, that file is never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lstmgen.errors import option
from lstmgen.keras_file.assembly import Tensor
from lstmgen.keras_file.layers import Item, layer
from lstmgen.keras_file.spec import shown

LAYERS = ("StringLookup", "IntegerLookup", "TextVectorization")
_UNKNOWN = "[UNK]"
_SPACES = "\t\n\r\x0b\x0c"
_PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_STANDARDS: dict[str | None, dict[str, Any]] = {
    None: {},
    "lower": {"lower": True},
    "strip_punctuation": {"removed": _PUNCTUATION},
    "lower_and_strip_punctuation": {"lower": True, "removed": _PUNCTUATION},
}


def saved_vocabulary(text: str, size: Any, *, integers: bool = False) -> list[str] | list[int] | None:
    """Return the elements in the `vocabulary.txt` of a layer, or None if they are not `size`.

    Keras writes one element a line. A line end that is an element itself leaves two empty lines.

    >>> saved_vocabulary("[UNK]\\na\\n\\n\\nb", 4)
    ['[UNK]', 'a', '\\n', 'b']
    """
    elements = text.split("\n")
    for i in range(len(elements) - 1, 1, -1):
        if elements[i - 1 : i + 1] == ["", ""]:
            elements[i - 1 : i + 1] = ["\n"]
    if size not in (None, len(elements)):
        return None
    try:
        return [int(element) for element in elements] if integers else elements
    except ValueError:
        return None


@layer("StringLookup", "IntegerLookup")
def _lookup(item: Item) -> Sequence[Tensor]:
    config, integers = item.spec.config, item.spec.class_name == "IntegerLookup"
    count = config.get("num_oov_indices", 1)
    if config.get("invert") or count not in (0, 1):
        raise item.spec.error("expected invert=False and num_oov_indices of 0 or 1")
    mask = config.get("mask_token")
    special = ["" if mask is not None else None, config.get("oov_token", _UNKNOWN) if count else None]
    return _ids(item, [token for token in special if token is not None], mask, integers)


@layer("TextVectorization")
def _vectorization(item: Item) -> Sequence[Tensor]:
    config, spec = item.spec.config, item.spec
    standard, split = config.get("standardize", "lower_and_strip_punctuation"), config.get("split", "whitespace")
    if not isinstance(standard, str | None) or standard not in _STANDARDS or split not in ("whitespace", "character"):
        raise spec.error("standardize or split is a custom function, which the file does not hold")
    if config.get("ngrams") is not None:
        raise spec.error("ngrams are not supported")
    length = config.get("output_sequence_length")
    if length is not None:
        item.assembly.assumed.append(
            f"{shown(spec.name)}: texts enter as they are: no padding up to {length!r:.20} steps comes after them"
        )
    settings: dict[str, Any] = {"lower": False, "filters": _SPACES, "split": " ", **_STANDARDS[standard]}
    if split == "character":
        settings |= {"char_level": True, "filters": ""}
    item.assembly.elements |= {"tokenizer": {**settings, "oov_token": _UNKNOWN}}
    return _ids(item, ["", _UNKNOWN], "", integers=False)


def _ids(item: Item, special: Sequence[Any], mask: Any, integers: bool) -> Sequence[Tensor]:
    """Return the network's input, which is ids, and record the elements that the ids stand for."""
    spec = item.spec
    if not item.tensor.ids or spec.config.get("output_mode", "int") != "int":
        raise spec.error("it can only come first, with output_mode 'int'")
    vocabulary = spec.config.get("vocabulary")
    kind = int if integers else str
    if isinstance(vocabulary, list) and all(type(element) is kind for element in vocabulary):
        given = [mask, *special[1:]] if mask is not None else list(special)  # get_vocabulary puts these first
        if special and vocabulary[: len(special)] == given:
            vocabulary = vocabulary[len(special) :]
        item.assembly.elements["vocab"] = [str(element) for element in (*special, *vocabulary)]
        item.assembly.assumed.append(f"the vocabulary is that of the layer {shown(spec.name)}")
    else:
        where = "in another file, which is not opened" if isinstance(vocabulary, str) else "not in the config"
        said = f"the vocabulary of the layer {shown(spec.name)} is {where}; {option('vocab', ...)} gives it"
        item.assembly.assumed.append(said)
    return [item.tensor]
