"""Vocabularies from where people keep them: a corpus, JSON, a list of notes, a Keras tokenizer."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from lstmgen.errors import option

File = str | os.PathLike[str]
Vocab = Sequence[str] | Mapping[str, Any] | Mapping[int, str] | File

_BOM = "\ufeff"
_PADDING = ""  # the element of an id that stands for nothing
_PICKLE_NAMES = (".p", ".pck", ".pkl", ".pickle", ".joblib")
_OLD_PICKLE = re.compile(  # protocols 0 and 1 of a list, a dict, a tuple, and what a module makes
    rb"\([ld]p\d+\n|\([VS][^\n]*\np\d+\n|\(X...\0|c[\w.]+\n\w+\n(?:p\d+\n|q[\0\1])|[\]}]q[\0\1]", re.DOTALL
)
_SPECIAL = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")  # such as <s> and [UNK], which no text holds
_JSON_ONE_LINER = (
    "import json,sys,{module}; o={load}; "
    "o={{str(k):v for k,v in o.items()}} if isinstance(o,dict) else o; "
    "json.dump(o,open(sys.argv[2],'w'),default=lambda x: x.to_json() if hasattr(x,'to_json') "
    "else sorted(x) if isinstance(x,(set,frozenset)) else x.tolist())"
)
_LOADERS = {
    "pickle": "pickle.load(open(sys.argv[1],'rb'))",
    "joblib": "joblib.load(sys.argv[1])",
    "numpy": "numpy.load(sys.argv[1],allow_pickle=True).tolist()",
}


class Listing(NamedTuple):
    """A vocabulary as it was found.

    elements: in the order of their ids; the one of `padding` is empty.
    padding: the id that stands for nothing, or None.
    kind: "text", "tokens" or None, if it does not say.
    sequence: the text or the notes that the elements come from, whose first window is a prime; may be empty.
    assumed: what was taken to be so, a sentence each.
    """

    elements: list[str]
    padding: int | None = None
    kind: str | None = None
    sequence: Sequence[str] = ()
    assumed: tuple[str, ...] = ()


def read(vocab: Vocab, outputs: int, kind: str | None = None) -> Listing:
    """The vocabulary `vocab` of a network with `outputs` outputs, of the given or the apparent kind.

    `vocab` is a path or the object itself: a list of elements; an object from element to index or from index to
    element, with indices from 0, or from 1 (then id 0 is padding); the JSON of a Keras `Tokenizer`; a list of notes
    with repetitions, whose sorted names are the vocabulary; or an object that holds one of these. A file is JSON,
    a `.npy` of text, or a `.txt` with one element a line, all different. Pickles are refused.

    Raises `OSError` for a file that cannot be read, `TypeError` for an object of another kind, and `ValueError`, which
    names the file, for what is no vocabulary of `outputs` elements.
    """
    if isinstance(vocab, str | os.PathLike):
        name, value = os.fspath(vocab), _read_file(vocab)
    else:
        name, value = "vocab", _in_memory(vocab)
    listing = _listing(name, value, outputs)
    if len(listing.elements) != outputs:
        raise ValueError(_size_message(name, listing, outputs, "lower-cased, it has exactly that many"))
    return _with_kind(name, listing, kind)


def read_corpus(path: File, outputs: int, *, lower: bool = False, encoding: str = "utf-8") -> Listing:
    """The characters of a text, in the order of `sorted(set(text))`; `lower` lower-cases it before.

    If their number is not that of the outputs, but would be with line ends read as `\\n` or without a byte order mark,
    these are taken, and it is said. Raises `OSError` for a file that cannot be read and `ValueError` for another
    number of characters, bytes that are not in the `encoding`, and a pickle.
    """
    name, data = os.fspath(path), Path(path).read_bytes()
    _refuse_pickle(name, data)
    text = _decoded(name, data, encoding)
    if lower:
        text = text.lower()
    for variant, assumed in _variants(name, text):
        elements = sorted(set(variant))
        if len(elements) == outputs:
            return Listing(elements, None, "text", variant, assumed)
    as_it_is = Listing(sorted(set(text)))
    raise ValueError(
        _size_message(name, as_it_is, outputs, f"lower-cased, it has exactly that many: {option('lower', True)}")
    )


def read_text(path: File) -> str:
    """The text of a UTF-8 file as it is: no line end is translated. Raises `OSError` or `ValueError`."""
    return _decoded(os.fspath(path), Path(path).read_bytes())


# -- files -----------------------------------------------------------------------------------------


def _read_file(path: File) -> Any:
    name, data = os.fspath(path), Path(path).read_bytes()
    if data.startswith(b"\x93NUMPY"):
        return _read_npy(name, data)
    _refuse_pickle(name, data)
    text = _decoded(name, data).removeprefix(_BOM)
    return _lines(name, text) if name.lower().endswith(".txt") else _read_json(name, text)


def _decoded(name: str, data: bytes, encoding: str = "utf-8") -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        raise ValueError(f"{name}: not {encoding.upper()}: {error}") from None
    except LookupError as error:
        raise ValueError(f"{option('vocab_encoding')}: {error}") from None


def _read_json(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
        return json.loads(value) if isinstance(value, str) else value  # as json.dump(tokenizer.to_json()) writes
    except ValueError as error:
        raise ValueError(f"{name}: not JSON: {error}; a corpus is given as {option('vocab_from')}") from None
    except RecursionError:
        raise ValueError(f"{name}: JSON that is nested too deeply") from None


def _lines(name: str, text: str) -> list[str]:
    """One element a line; anything else that a text may be is refused."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line or line in seen:
            found = f"{line!r:.60} again" if line else "none"
            raise ValueError(
                f"{name}: line {number}: expected one element a line, all different, found {found}; "
                f"a corpus is given as {option('vocab_from')}"
            )
        seen.add(line)
    return lines


def _read_npy(name: str, data: bytes) -> list[str]:
    """The elements of an array of text that `numpy.save` wrote."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    except Exception as error:  # of many kinds: the header is parsed as Python
        raise ValueError(f"{name}: a broken .npy file: {error}") from None
    if dtype.hasobject:
        _refuse(name, "numpy")
    if dtype.kind != "U" or len(shape) != 1:
        raise ValueError(f"{name}: expected a one-dimensional array of text, found {dtype} of shape {shape}")
    size = len(data) - file.tell()
    if not dtype.itemsize or shape[0] * dtype.itemsize != size:
        raise ValueError(f"{name}: expected {shape[0]} elements of {dtype.itemsize} bytes, found {size} bytes")
    try:
        elements: list[str] = np.frombuffer(data, dtype, offset=file.tell()).tolist()
    except (ValueError, SystemError) as error:  # beyond Unicode
        raise ValueError(f"{name}: {error}") from None
    return elements


def _refuse_pickle(name: str, data: bytes) -> None:
    """No UTF-8 text begins with the byte 0x80 of newer pickles; older ones end with their STOP."""
    lower = name.lower()
    old = data.endswith(b".") and _OLD_PICKLE.match(data)
    if data.startswith(b"\x80") or old or lower.endswith(_PICKLE_NAMES):
        _refuse(name, "joblib" if lower.endswith(".joblib") else "pickle")


def _refuse(name: str, module: str) -> NoReturn:
    code = _JSON_ONE_LINER.format(module=module, load=_LOADERS[module])
    paths = f"{shlex.quote(name)} {shlex.quote(name + '.json')}"
    raise ValueError(
        f"{name}: a pickle can run any code when it is opened, so it is not opened here; if you trust who wrote it, "
        f'convert it to JSON: python -c "{code}" {paths}'
    )


# -- what is inside --------------------------------------------------------------------------------


def _in_memory(vocab: object) -> Any:
    if isinstance(vocab, set | frozenset):
        raise TypeError("vocab: a set has no order: give sorted(vocab), if that was the order in training")
    if isinstance(vocab, bytes) or not isinstance(vocab, Iterable):
        raise TypeError(
            "vocab: expected a path, a list of elements, or an object from or to their indices, "
            f"found {type(vocab).__name__}"
        )
    return vocab if isinstance(vocab, Mapping) else list(vocab)


def _listing(name: str, value: Any, outputs: int) -> Listing:
    if not isinstance(value, Mapping):
        return _plain(name, value)
    config = value.get("config")
    if value.get("class_name") == "Tokenizer" and isinstance(config, Mapping):
        value = config
    if isinstance(value.get("word_index"), str | Mapping):
        return _from_tokenizer(name, value, outputs)
    if any(isinstance(entry, Mapping | list | tuple) for entry in value.values()):
        return _from_entries(name, value, outputs)
    return _plain(name, value)


def _plain(name: str, value: Any) -> Listing:
    """The vocabulary that is `value` itself, not one inside it."""
    if isinstance(value, Mapping):
        elements = _ordered(name, value)
        said = f"{name}: the indices start at 1: id 0 is taken as padding, which is never drawn"
    elif isinstance(value, list | tuple):
        elements = [str(e) if isinstance(e, str) else e for e in value]  # numpy has its own str
        said = f"{name}: element 0 is empty: it is taken as padding, which is never drawn"
    else:
        raise ValueError(f"{name}: expected a list or an object, found {type(value).__name__}")
    padding = 0 if elements[:1] == [_PADDING] else None
    _check_elements(name, elements, padding)
    if len(set(elements)) < len(elements):
        return _from_notes(name, elements)
    return Listing(elements, padding, assumed=() if padding is None else (said,))


def _ordered(name: str, entries: Mapping[Any, Any]) -> list[Any]:
    """The elements of {element: index} or {index: element}, the indices being 0, 1, 2 ... or 1, 2, 3 ..."""
    by_index: dict[int, Any] = {}
    for key, value in entries.items():
        index, element = _entry(name, key, value)
        if index in by_index:
            raise ValueError(f"{name}: {by_index[index]!r} and {element!r} have index {index}")
        by_index[index] = element
    if 0 not in by_index and 1 in by_index:
        by_index[0] = _PADDING
    missing = next((i for i in range(len(by_index)) if i not in by_index), None)
    if missing is not None:
        raise ValueError(f"{name}: expected the indices 0 to {len(by_index) - 1}, found none for {missing}")
    return [by_index[i] for i in range(len(by_index))]


def _entry(name: str, key: Any, value: Any) -> tuple[int, Any]:
    """Index and element of an entry; JSON has made an index that is a key a text."""
    if isinstance(key, str) and _is_index(value):
        return int(value), str(key)
    if _is_index(key) or (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10):
        return int(key), value
    raise ValueError(f"{name}: expected an index beside {key!r:.60}, found {value!r:.60}")


def _is_index(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_elements(name: str, elements: list[Any], padding: int | None) -> None:
    for i, element in enumerate(elements):
        if not isinstance(element, str) or not (element or i == padding):
            raise ValueError(f"{name}: element {i}: expected text, found {element!r:.60}")


def _from_notes(name: str, notes: list[str]) -> Listing:
    """The sorted names of notes, or other elements, that make up a piece of music or a text."""
    elements = sorted(set(notes))
    _check_elements(name, elements, None)
    said = f"{name}: a list with repetitions: its {len(elements)} different elements, sorted, are the vocabulary"
    return Listing(elements, sequence=notes, assumed=(said,))


def _from_tokenizer(name: str, config: Mapping[str, Any], outputs: int) -> Listing:
    """The words of a Keras `Tokenizer`, whose ids start at 1 and, if `num_words` is given, end below it."""
    indices = {}
    for key in ("word_index", "index_word"):
        if key in config:
            value = config[key]
            indices[key] = _plain(f"{name}: {key}", _read_json(name, value) if isinstance(value, str) else value)
    listing = _agreed(name, indices)
    elements, limit = listing.elements, config.get("num_words")
    if type(limit) is int and outputs in (limit, limit + 1):
        elements = elements[:outputs]
    return Listing(elements, listing.padding, "text" if config.get("char_level") is True else "tokens")


def _from_entries(name: str, value: Mapping[str, Any], outputs: int) -> Listing:
    """The one vocabulary among the entries of an object such as {"char2idx": ..., "idx2char": ...}."""
    found: dict[str, Listing] = {}
    reasons = []
    for key, entry in value.items():
        if isinstance(entry, Mapping | list | tuple):
            try:
                found[key] = _plain(f"{name}: {key}", entry)
            except ValueError as error:
                reasons.append(str(error))
    if not found:
        raise ValueError(reasons[0])
    fitting = {key: listing for key, listing in found.items() if len(listing.elements) == outputs}
    return _agreed(name, fitting or found)


def _agreed(name: str, listings: Mapping[str, Listing]) -> Listing:
    """What all `listings`, by their keys, say; of a vocabulary and its notes, the notes, which say more."""
    (first, taken), *others = listings.items()
    for key, other in others:
        if other.elements != taken.elements:
            raise ValueError(f"{name}: {first!r} and {key!r} disagree: {_difference(taken.elements, other.elements)}")
    listing = next((x for x in listings.values() if x.sequence), taken)
    return listing._replace(assumed=(f"{name}: the vocabulary is its entry {first!r}", *listing.assumed))


def _difference(a: list[str], b: list[str]) -> str:
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} elements"
    i = next(i for i, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1])
    return f"element {i} is {a[i]!r:.60} and {b[i]!r:.60}"


# -- kind, and number of elements ------------------------------------------------------------------


def _with_kind(name: str, listing: Listing, kind: str | None) -> Listing:
    """`listing` with the kind that was given, that it says, or that its elements make likely."""
    if kind or listing.kind:
        return listing._replace(kind=kind or listing.kind)
    longer = [element for element in listing.elements if len(element) > 1]
    if not longer:
        return listing._replace(kind="text")
    if len(longer) + 1 < len(listing.elements) and all(map(_SPECIAL.fullmatch, longer)):
        said = f"{name}: all but {' '.join(longer)} are characters, so that joined they are the text"
        return listing._replace(kind="text", assumed=(*listing.assumed, said))
    return listing._replace(kind="tokens")


def _variants(name: str, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`text` as it is, and as it is after the readers that people use, with what that assumes."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    ends, mark = "with line ends read as \\n, as open(path).read() does", "without its byte order mark"
    yield text, ()
    yield lines, (f"{name}: {ends}",)
    yield text.removeprefix(_BOM), (f"{name}: {mark}",)
    yield lines.removeprefix(_BOM), (f"{name}: {mark}, {ends}",)


def _size_message(name: str, listing: Listing, outputs: int, lowered: str) -> str:
    """Why a vocabulary does not fit, with what is most likely the reason; `lowered` is said if lower case helps."""
    count = len(listing.elements)
    if listing.padding is not None and count - 1 == outputs:
        hint = "id 0 counts, as padding: without it, let the indices start at 0"
    elif len({element.lower() for element in listing.elements}) == outputs:
        hint = lowered
    elif listing.padding is None and count + 1 == outputs:
        hint = "if id 0 is padding, give an object from element to index, with indices from 1"
    else:
        hint = "is it what this network was trained on?"
    return f"{name}: the vocabulary has {count} elements, but the network has {outputs} outputs; {hint}"
