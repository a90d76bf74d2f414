"""What users tell the engine, in its terms: ids, stops, options and grammars. Ids back as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from lstmgen import _core
from lstmgen.errors import OptionError, named, option, spelled_as_in_python
from lstmgen.escaping import brief
from lstmgen.model import Model
from lstmgen.options import LOOKBACK, Elements, temperature
from lstmgen.vocabulary import Ids, check_sequence, ids_at_once

DEFAULTS = _core.sampler_defaults()  # of the engine, by the names of the options
UNLIMITED = 2**64 - 1  # LSTMGEN_UNLIMITED of the engine
_SEPARATOR = 2**32 - 1  # LSTMGEN_SEPARATOR of the engine
_BREAKERS = ("\n", ":", '"', "*")  # the sequence breakers of llama.cpp


def encode(model: Model, name: str, what: Elements, on_unknown: str = "error", *, skippable: bool = True) -> Ids:
    """Return the ids of elements, shape (elements,).

    name: the name of the argument in error messages.
    what: text, elements or ids.
    on_unknown: "error", "skip" or an element, for elements that are not in the vocabulary.
    skippable: whether error messages propose another `on_unknown`.

    Raises `ValueError` for unknown elements, and for a text if the model has no vocabulary.

    >>> import lstmgen
    >>> model = lstmgen.Model("latex")
    >>> decode(model, encode(model, "prime", "Let"))
    'Let'
    """
    check_sequence(name, what)
    if model.vocabulary is not None:
        with named(name):
            return model.vocabulary.encode(what, on_unknown, skippable=skippable)
    if isinstance(what, str):
        example = f" ({option(name, [1, 2, 3])})" if name == "prime" else ""
        raise ValueError(
            f"{option(name)}: the model has no vocabulary: give ids{example}, or names for them by "
            f"{option('vocab_from', ...)} or {option('vocab', ...)} (of a .bin: when it is exported)"
        )
    if (given := ids_at_once(what, model.outputs)) is not None:
        return given
    ids = list(what)
    for position, i in enumerate(ids):
        if not isinstance(i, (int, np.integer)) or not 0 <= i < model.outputs:
            raise ValueError(
                f"{option(name)}: element at position {position}: expected an id from 0 to {model.outputs - 1}, "
                f"found {brief(i)}"
            )
    return np.array(ids, np.uint32)


def decode(model: Model, ids: Iterable[int]) -> str | list[str] | list[int]:
    """Return a text or a list of elements for ids. A model without a vocabulary has the ids alone.

    >>> import lstmgen
    >>> decode(lstmgen.Model("latex"), [])
    ''
    """
    return list(ids) if model.vocabulary is None else model.vocabulary.decode(ids)


def stops_of(model: Model, stop: str | Iterable[Elements] | None) -> tuple[list[list[int]], list[bytes]]:
    """Return what the engine seeks for an option `stop`: lists of ids, and texts in UTF-8.

    stop: a text, or several texts or lists of elements or ids. None stands for no stop.

    A text is sought as a text, except among tokens: there it is a list of elements.

    Raises `OptionError` for an empty one, and `ValueError` for one that no elements can make.

    >>> import lstmgen
    >>> stops_of(lstmgen.Model("latex"), ["$$", [5]])
    ([[5]], [b'$$'])
    """
    ids: list[list[int]] = []
    texts: list[bytes] = []
    joined = model.vocabulary is not None and model.vocabulary.kind != "tokens"
    for each in [] if stop is None else [stop] if isinstance(stop, str) else stop:
        if joined and isinstance(each, str):
            texts.append(_as_drawn(model, each).encode(errors="surrogatepass"))
        else:
            ids.append(_own_ids(model, "stop", each))
    if not (all(ids) and all(texts)):
        raise OptionError("stop", "texts of at least one element", stop)
    _check_stops(model, ids, texts)
    return ids, texts


def _as_drawn(model: Model, text: str) -> str:
    """Return a text as the tokenizer lets a model draw it."""
    tokenizer = model.vocabulary.tokenizer if model.vocabulary is not None else None
    if tokenizer is None:
        return text
    known = tokenizer.oov_token is None
    return tokenizer.lowered(text) if known else str(decode(model, _own_ids(model, "stop", text)))


def _check_stops(model: Model, ids: list[list[int]], texts: list[bytes]) -> None:
    try:
        model._check_stops(ids, texts)
    except ValueError as error:
        if not texts:
            raise ValueError(f"{option('stop')}: {error}") from None
        if ids or len(texts) > 1:  # which one is it?
            _check_stops(model, ids, [])
            for each in texts:
                _check_stops(model, [], [each])
        text = texts[0].decode(errors="surrogatepass")
        _own_ids(model, "stop", text)  # an error that shows what is unknown
        raise ValueError(f"{option('stop')}: {text!r:.60}: {str(error).partition(': ')[2]}") from None


def _own_ids(model: Model, name: str, what: Elements) -> list[int]:
    """Return the ids of the value of the option `name`, to which `on_unknown` does not apply."""
    ids: list[int] = encode(model, name, what, skippable=False).tolist()
    return ids


def engine_defaults(model: Model) -> dict[str, Any]:
    """Return the values that the engine's options have without being set.

    The sequence breakers of llama.cpp are among them, if the model has them as elements.

    >>> import lstmgen
    >>> engine_defaults(lstmgen.Model("latex"))["dry_base"]
    1.75
    """
    elements = model.vocabulary.elements if model.vocabulary else []
    breakers = [elements.index(text) for text in _BREAKERS if text in elements]
    return {**DEFAULTS, "dry_sequence_breakers": _joined([[i] for i in breakers])}


def engine_options(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the checked options that the engine knows, under its names.

    Raises `ValueError` for unknown elements, and `OptionError` for an empty `allow`.

    >>> import lstmgen
    >>> engine_options(lstmgen.Model("latex"), {"inverse_temp": 4.0, "length": 5})
    {'temp': 0.25}
    """
    told = {name: values[name] for name in DEFAULTS if name in values} | temperature(values)
    for name in ("repeat_last_n", "dry_penalty_last_n"):
        if told.get(name) == -1:
            told[name] = LOOKBACK
    for name in ("allow", "ban"):
        if name in values:
            told[name] = np.unique(encode(model, name, values[name])).tolist()
    if told.get("allow") == []:
        raise OptionError("allow", "at least one element", values["allow"])
    if "dry_sequence_breakers" in values:
        texts = values["dry_sequence_breakers"]
        texts = [texts] if isinstance(texts, str) else list(texts)
        for text in texts:
            check_sequence(option("dry_sequence_breakers"), text)
        texts = [text for text in ([*text] if not isinstance(text, str) else text for text in texts) if text]
        told["dry_sequence_breakers"] = _joined(
            [encode(model, "dry_sequence_breakers", text).tolist() for text in texts]
        )
    if "logit_bias" in values:
        biases = values["logit_bias"].items()
        told["logit_bias"] = [(_own_ids(model, "logit_bias", [key])[0], bias) for key, bias in biases]
    return told


def compiled_grammar(model: Model, values: Mapping[str, Any]) -> _core.Grammar | None:
    """Return the grammar of these options, over the elements that they let pass; None without one.

    Raises `ValueError` for a grammar that is wrong, or that these elements cannot spell.

    >>> import lstmgen
    >>> compiled_grammar(lstmgen.Model("latex"), {"grammar": "root ::= [a-z]+"}).text
    'root ::= [a-z]+'
    """
    text = values.get("grammar")
    if text is None:
        return None
    if text == "own":
        text = model.grammar
        if text is None:
            raise ValueError(
                f"{option('grammar', 'own')}: the model carries none; {option('grammar', ...)} of export gives it one"
            )
    never = np.unique(encode(model, "ban", values.get("ban", [])))
    if "allow" in values:
        banned = np.setdiff1d(np.arange(model.outputs), encode(model, "allow", values["allow"]))
        never = np.union1d(never, banned)
    try:
        return model._compiled(text, tuple(never.tolist()))
    except OptionError:
        raise
    except ValueError as error:
        from lstmgen import grammars  # here, since few need it

        hint = ""
        if text in grammars.__all__:
            by_text = "; a grammar is sent as its text, not by a name"
            hint = f"; lstmgen.grammars.{text}() is one" if spelled_as_in_python() else by_text
        raise ValueError(f"{option('grammar')}: {str(error).partition(': ')[2]}{hint}") from None


def _joined(texts: list[list[int]]) -> list[int]:
    """Return the ids of several texts in one list, with a separator between two texts."""
    return [i for text in texts for i in (*text, _SEPARATOR)][:-1]


def separated(ids: list[int]) -> Iterator[list[int]]:
    """Yield the ids of each text of a list with separators, as the engine has several texts.

    >>> list(separated([5, 2**32 - 1, 1, 2]))
    [[5], [1, 2]]
    """
    text: list[int] = []
    for i in (*ids, _SEPARATOR) if ids else ():
        if i == _SEPARATOR:
            yield text
            text = []
        else:
            text.append(i)
