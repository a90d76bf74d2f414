"""Vocabularies from where people keep them: a corpus, JSON, a list of notes, a Keras tokenizer."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmgen import charsets, inputs
from lstmgen.errors import OptionError, option
from lstmgen.escaping import brief
from lstmgen.vocabulary import pickles
from lstmgen.vocabulary.naming import byte_element
from lstmgen.vocabulary.tokenizing import KERAS_FILTERS, Tokenizer

File = str | os.PathLike[str]
Vocab = Sequence[str] | Sequence[float] | Mapping[str, Any] | Mapping[int, str] | File

_BOM = "\ufeff"
_PADDING = ""  # the element of padding
_PICKLE_NAMES = (".p", ".pck", ".pkl", ".pickle", ".joblib")
_OLD_PICKLE = re.compile(  # protocols 0 and 1 of a list, a dict, a tuple or an object
    rb"\([ld]p\d+\n|\([VS][^\n]*\np\d+\n|\(X...\0|c[\w.]+\n\w+\n(?:p\d+\n|q[\0\1])|[\]}]q[\0\1]", re.DOTALL
)
_COMPRESSED = {
    b"x": "zlib",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK": "zip",
    b"\x04\x22M\x18": "lz4",
}
_KINDS = "JSON, a pickle, a .npy, or a .txt with one element a line"
_PRINTED = re.compile(r"""\s*(?:[\[(]|\{(?:\d+: )?)['"].+['"\d][])}]\s*\Z""")  # a list or dict of texts by `print`
_MAX_LISTS = 1000  # lists and objects in a file, of which one is the vocabulary
_CONTAINERS = (list, tuple, dict, Mapping)
_INTEGERS = (int, np.integer)
_FLOATS = (float, np.floating)
_SPECIAL = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")  # for example <s> and [UNK], which no text holds
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

    elements: in the order of their ids. The one of `padding` is empty.
    padding: the id of padding, or None.
    kind: "text", "tokens", "bytes", or None if the source does not say.
    sequence: the text or the notes that the elements come from. Its first window is a prime. May be
        empty.
    assumed: what was assumed, a sentence each.
    tokenizer: how texts became elements in training, if the source says.

    >>> Listing(["a", "b"]).kind is None
    True
    """

    elements: list[str]
    padding: int | None = None
    kind: str | None = None
    sequence: Sequence[str] = ()
    assumed: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None


def read(vocab: Vocab, outputs: int, kind: str | None = None) -> Listing:
    """Return the vocabulary of a network.

    vocab: a path, or one of these objects:

    | object | vocabulary |
    |---|---|
    | a list of elements, all different | the elements in this order |
    | a list with repetitions, such as notes | its different elements, sorted |
    | an object from element to index, or from index to element | the indices start at 0, or at 1 |
    | pairs of element and index | as above |
    | the JSON of a Keras `Tokenizer` | its words |
    | an object that holds one of these | that one |

    outputs: the number of outputs of the network, which must be that of the elements.
    kind: "text", "tokens" or "bytes". None takes the kind that the source or its elements tell.

    Id 0 is padding if the indices start at 1. A file is JSON, a pickle of plain data or of a Keras
    `Tokenizer`, a `.npy`, or a `.txt` with one element a line, all different. No code in a pickle
    is run.

    Raises `OSError` for a file that cannot be read, `TypeError` for an object of another kind, and
    `ValueError`, which names the file, for anything that is not a vocabulary of `outputs` elements.

    >>> read({"a": 0, "b": 1}, 2).elements
    ['a', 'b']
    >>> read(["C4", "E4", "C4"], 2).elements
    ['C4', 'E4']
    """
    if inputs.is_text(vocab):
        raise OptionError("vocab", "a path, or the elements in a list: list(text)", vocab)
    if isinstance(vocab, str | os.PathLike):
        name, value = os.fspath(vocab), _read_file(vocab)
    else:
        name, value = "vocab", _in_memory(vocab)
    listing = _listing(name, value, outputs)
    if len(listing.elements) != outputs:
        raise ValueError(_size_message(name, listing, outputs, "lower-cased, it has exactly that many"))
    return _with_kind(name, listing, kind)


def read_corpus(path: File, outputs: int, *, lower: bool = False, charset: str = "utf-8") -> Listing:
    """Return the characters of a text, in the order of `sorted(set(text))`.

    path: the text.
    outputs: the number of outputs of the network, which must be that of the characters.
    lower: whether the text is lower-cased first.
    charset: the character set of the text. "bytes" makes its bytes the elements, as after
        `open(path, "rb").read()`.

    If the number of characters is wrong, the text is tried with line ends read as `\\n` and without
    its byte order mark. If one of these fits, it is taken, and `assumed` says so.

    Raises `OSError` for a file that cannot be read. Raises `ValueError` for another number of
    characters, for bytes that are not in the character set, and for a pickle.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "a").write_text("banana") and read_corpus(f"{folder}/a", 3).elements
    ['a', 'b', 'n']
    """
    name, data = os.fspath(path), inputs.read(path, inputs.MAX_CORPUS)
    if _is_pickle(name, data):
        raise ValueError(f"{name}: a pickle, no text; give a vocabulary as {option('vocab')}")
    if charset == "bytes":
        text = (data.lower() if lower else data).decode("latin-1")
    else:
        text = charsets.decoded(name, data, charset, told=True, marked=True)
        text = text.lower() if lower else text
    mark = _BOM.encode().decode("latin-1") if charset == "bytes" else _BOM
    for variant, assumed in _variants(name, text, mark):
        if len(set(variant)) == outputs:
            found = Listing(sorted(set(variant)), None, "text", variant, assumed)
            return _of_bytes(found) if charset == "bytes" else found
    lowered = f"lower-cased, it has exactly that many: {option('lower', True)}"
    message = _size_message(name, Listing(sorted(set(text))), outputs, lowered)
    if charset == "bytes":
        message = message.replace(" elements,", " different bytes,", 1)
    elif len(set(data)) == outputs:
        message = f"{message.rpartition(';')[0]}; its bytes are exactly that many: {option('charset', 'bytes')}"
    raise ValueError(message)


def _of_bytes(listing: Listing) -> Listing:
    """Return a listing of Latin-1 characters as one of the bytes that they stand for."""
    names = {element: byte_element(ord(element)) for element in listing.elements}
    return listing._replace(
        elements=list(names.values()), kind="bytes", sequence=[names[character] for character in listing.sequence]
    )


def read_text(path: File, most: int = inputs.MAX_TEXT) -> str:
    """Return the text of a UTF-8 file, without a mark at its beginning. Line ends stay as they are.

    most: the highest number of its bytes.

    Raises `OSError`, or `ValueError` for a file that is not UTF-8 or too large.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_bytes(b"Let $X$")
    ...     read_text(f"{folder}/a.txt")
    'Let $X$'
    """
    return charsets.decoded(os.fspath(path), inputs.read(path, most))


# -- files -----------------------------------------------------------------------------------------


def _read_file(path: File) -> Any:
    name, data = os.fspath(path), inputs.read(path, inputs.MAX_VOCABULARY)
    if data.startswith(inputs.NPY):
        return _read_npy(name, data)
    if _is_pickle(name, data):
        return _unpickled(name, data, "joblib" if name.lower().endswith(".joblib") else "pickle")
    if data.startswith(b"PK\x03\x04"):
        raise ValueError(f"{name}: a zip, such as a .npz; expected {_KINDS}")
    text = charsets.decoded(name, data)
    lines = name.lower().endswith(".txt") and not _is_json(text) and not _PRINTED.match(text)
    return _lines(name, text) if lines else _read_json(name, text)


def _read_json(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
        return (
            json.loads(value) if isinstance(value, str) else value
        )  # json.dump(tokenizer.to_json()) writes a text within JSON
    except ValueError as error:
        raise ValueError(f"{name}: {_not_json(name, text, error)}") from None
    except RecursionError:
        raise ValueError(f"{name}: JSON that is nested too deeply; expected a list or an object of elements") from None


def _is_json(text: str) -> bool:
    """Return whether a text is a list or an object in JSON."""
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _not_json(name: str, text: str, error: ValueError) -> str:
    """Return why a text is no JSON, and what to do."""
    if _PRINTED.match(text):
        code = (
            "import ast,json,sys; o=ast.literal_eval(open(sys.argv[1],'rb').read().decode()); json.dump({str(k):v "
            "for k,v in o.items()} if isinstance(o,dict) else o,open(sys.argv[2],'w'))"
        )
        new = f"{os.path.splitext(name)[0]}.json"
        return (
            "not JSON, but a list or dict as Python prints it; this makes JSON of it: "
            f'python -c "{code}" {shlex.quote(name)} {shlex.quote(new)}'
        )
    return f"not JSON: {error}; expected {_KINDS}; give a corpus as {option('vocab_from')}"


def _lines(name: str, text: str) -> list[str]:
    """Return the elements of a text with one on each line.

    Raises `ValueError` for any other text.
    """
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line or line in seen:
            found = f"{line!r:.60} again" if line else "none"
            raise ValueError(
                f"{name}: line {number}: expected one element a line, all different, found {found}; "
                f"give a corpus as {option('vocab_from')}, and line ends among the elements in JSON"
            )
        seen.add(line)
    return lines


def _read_npy(name: str, data: bytes) -> Any:
    """Return the elements of an array that `numpy.save` wrote, of text or of objects."""
    try:
        array = inputs.npy_array(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if isinstance(array, int):
        return _unpickled(name, data[array:], "numpy")
    if array.dtype.kind not in "Uiuf" or array.ndim != 1:
        raise ValueError(
            f"{name}: expected a one-dimensional array of text or numbers, found "
            f"{str(array.dtype)[:60]} of shape {array.shape}"
        )
    try:
        elements: list[Any] = pickles.shared(array).tolist()
    except (ValueError, SystemError) as error:  # beyond Unicode
        raise ValueError(f"{name}: {error}") from None
    return elements


def _is_pickle(name: str, data: bytes) -> bool:
    """Return whether data is a pickle.

    Newer pickles begin with the byte 0x80, which begins no UTF-8 text. Older ones end with a full
    stop.
    """
    old = data.endswith(b".") and _OLD_PICKLE.match(data)
    return data.startswith(b"\x80") or bool(old) or name.lower().endswith(_PICKLE_NAMES)


def _unpickled(name: str, data: bytes, module: str) -> Any:
    """Return the plain data of a pickle.

    module: the module that would open the pickle.
    """
    compressed = next((kind for start, kind in _COMPRESSED.items() if data.startswith(start)), None)
    if compressed is not None:
        raise ValueError(
            f"{name}: a file compressed with {compressed}; unpack it first, or {_conversion(name, module)}"
        )
    try:
        return pickles.loads(data)
    except pickles.Refused as error:
        raise ValueError(
            f"{name}: the pickle asks for {error}; only plain data and Keras's Tokenizer are read, since a pickle can "
            f"run any code when it is opened; if you trust who wrote it, {_conversion(name, module)}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _conversion(name: str, module: str) -> str:
    code = _JSON_ONE_LINER.format(module=module, load=_LOADERS[module])
    return f'convert it to JSON: python -c "{code}" {shlex.quote(name)} {shlex.quote(name + ".json")}'


# -- what is inside --------------------------------------------------------------------------------


def _in_memory(vocab: object) -> Any:
    if isinstance(vocab, set | frozenset):
        raise TypeError(f"{option('vocab')}: a set has no order: give sorted(vocab), if that was the order in training")
    if isinstance(vocab, bytes) or not isinstance(vocab, Iterable):
        raise TypeError(
            f"{option('vocab')}: expected a path, a list of elements, or an object from or to their indices, "
            f"found {type(vocab).__name__}"
        )
    return vocab if isinstance(vocab, Mapping) else list(vocab)


def _listing(name: str, value: Any, outputs: int) -> Listing:
    if isinstance(value, Mapping | list | tuple):
        value, kind = _named_bytes(name, value)
        if kind is not None:
            return _plain(name, value)._replace(kind=kind)
    if isinstance(value, set | frozenset):
        listing = _plain(name, sorted(value, key=str))
        said = f"{name}: a set has no order: its {len(value)} elements are taken in sorted order"
        return listing._replace(assumed=(said, *listing.assumed))
    if isinstance(value, list | tuple):
        if value and all(map(_is_pair, value)):  # for example the items() of a dict
            return _of_pairs(name, value)
        if not any(map(_is_container, value)):
            return _plain(name, value)
        _check_lists(name, value)
        value = {f"[{i}]": entry for i, entry in enumerate(value)}
    if not isinstance(value, Mapping):
        return _plain(name, value)
    config = value.get("config")
    if value.get("class_name") == "Tokenizer" and isinstance(config, Mapping):
        value = config
    if isinstance(value.get("word_index"), str | Mapping):
        return _from_tokenizer(name, value, outputs)
    if any(map(_is_container, value.values())):
        _check_lists(name, value.values())
        return _from_entries(name, value, outputs)
    return _plain(name, value)


def _named_bytes(name: str, value: Any) -> tuple[Any, str | None]:
    """Return `value` with byte strings as texts, and its kind.

    Single bytes that are not UTF-8 are elements of kind "bytes".
    """
    parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
    found = [part for part in parts if isinstance(part, bytes)]
    if not found:
        return value, None
    try:
        names: dict[Any, str] = {part: part.decode() for part in found}
        kind = None
    except UnicodeDecodeError:
        if any(len(part) != 1 for part in found):
            raise ValueError(f"{name}: expected text, found bytes that are not UTF-8") from None
        names, kind = {part: byte_element(part[0]) for part in found}, "bytes"
    if isinstance(value, Mapping):
        return {_name_of(names, k): _name_of(names, v) for k, v in value.items()}, kind
    return [_name_of(names, part) for part in value], kind


def _name_of(names: Mapping[Any, str], part: Any) -> Any:
    return names[part] if isinstance(part, bytes) else part


def _is_container(entry: object) -> bool:
    return not isinstance(entry, str) and isinstance(entry, _CONTAINERS)


def _check_lists(name: str, entries: Iterable[object]) -> None:
    """Raise `ValueError` if there are more lists and objects than can stand beside a vocabulary."""
    found = sum(map(_is_container, entries))
    if found > _MAX_LISTS:
        raise ValueError(f"{name}: expected a vocabulary, and at most {_MAX_LISTS} lists beside it, found {found}")


def _is_pair(entry: object) -> bool:
    return isinstance(entry, (list, tuple)) and len(entry) == 2 and any(map(_is_index, entry))


def _plain(name: str, value: Any) -> Listing:
    """Return the vocabulary that is `value` itself, not one inside it."""
    if isinstance(value, Mapping):
        return _of_pairs(name, value.items())
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: expected a list or an object, found {type(value).__name__}")
    elements = _names(value)
    padding = 0 if elements[:1] == [_PADDING] else None
    _check_elements(name, elements, padding)
    if len(set(elements)) < len(elements):
        return _from_notes(name, elements, numbers=any(map(_is_number, value)))
    said = f"{name}: element 0 is empty: it is taken as padding, which is never drawn"
    return Listing(elements, padding, assumed=() if padding is None else (said,))


def _of_pairs(name: str, pairs: Iterable[Any]) -> Listing:
    """Return the vocabulary of pairs of element and index, in any order.

    The indices are 0, 1, 2 ... or 1, 2, 3 ...
    """
    by_index: dict[int, Any] = {}
    listed: list[tuple[Any, Any]] = list(pairs)
    turned = _from_index_to_number(listed)
    for key, value in listed:
        index, element = (int(key), _named(value)) if turned else _entry(name, key, value)
        if index in by_index:
            raise ValueError(
                f"{name}: {by_index[index]!r} and {element!r} have index {index}; expected an index for each element, "
                "not how often each occurs"
            )
        by_index[index] = element
    padding = 0 if 0 not in by_index and 1 in by_index else None
    if padding is not None:
        by_index[0] = _PADDING
    missing = next((i for i in range(len(by_index)) if i not in by_index), None)
    if missing is not None:
        raise ValueError(f"{name}: expected the indices 0 to {len(by_index) - 1}, found none for {missing}")
    elements = [by_index[i] for i in range(len(by_index))]
    _check_elements(name, elements, padding)
    seen: dict[str, int] = {}
    for i, element in enumerate(elements):
        if seen.setdefault(element, i) != i:
            raise ValueError(f"{name}: {element!r:.60} has the indices {seen[element]} and {i}")
    said = f"{name}: the indices start at 1: id 0 is taken as padding, which is never drawn"
    return Listing(elements, padding, assumed=() if padding is None else (said,))


def _entry(name: str, key: Any, value: Any) -> tuple[int, Any]:
    """Return index and element of an entry.

    JSON turns an index that is a key into a text.
    """
    if (isinstance(key, str) or _is_number(key)) and _is_index(value):
        return int(value), _named(key)
    if _is_index_key(key):
        return int(key), _named(value)
    raise ValueError(f"{name}: expected an index beside {key!r:.60}, found {brief(value)}")


def _from_index_to_number(pairs: Sequence[tuple[Any, Any]]) -> bool:
    """Return whether each pair is an index and a number that is no index.

    Such a number is, for example, a pitch.
    """
    if not all(_is_index_key(first) and _is_number(second) for first, second in pairs):
        return False
    counts = [set(range(start, start + len(pairs))) for start in (0, 1)]
    return {int(first) for first, _ in pairs} in counts and {second for _, second in pairs} not in counts


def _is_index(value: object) -> bool:
    return isinstance(value, _INTEGERS) and not isinstance(value, bool)


def _is_index_key(key: object) -> bool:
    """Return whether a key is an index. JSON turns it into a text."""
    return _is_index(key) or (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10)


def _is_number(value: object) -> bool:
    """Return whether an element is a number, such as a pitch or a duration."""
    return _is_index(value) or (isinstance(value, _FLOATS) and math.isfinite(value))


def _names(elements: Sequence[Any]) -> list[Any]:
    """Return the names of elements.

    Some may be numbers, if all others are texts of numbers.
    """
    names = [_named(element) for element in elements]
    if any(map(_is_number, elements)):
        for name in names:
            try:
                float(name)
            except (ValueError, TypeError):
                return [str(e) if isinstance(e, str) else e for e in elements]
    return names


def _only_numbers(entry: Any) -> bool:
    return not isinstance(entry, Mapping) and all(map(_is_number, entry))


def _named(element: Any) -> Any:
    """Return the name of an element that is text or a number, and anything else as it is."""
    if _is_number(element):
        return sys.intern(str(int(element) if _is_index(element) else float(element)))  # equal names are one text
    return str(element) if isinstance(element, str) else element  # numpy has a class of texts


def _check_elements(name: str, elements: list[Any], padding: int | None) -> None:
    for i, element in enumerate(elements):
        if not isinstance(element, str) or not (element or i == padding):
            raise ValueError(f"{name}: element {i}: expected text, found {brief(element)}")


def _from_notes(name: str, notes: list[str], numbers: bool) -> Listing:
    """Return the sorted names of the notes or other elements of a piece of music or a text.

    numbers: whether some were numbers rather than text. They are then sorted by size, if all can
        be.
    """
    elements = sorted(set(notes))
    _check_elements(name, elements, None)
    if numbers:
        with contextlib.suppress(ValueError):
            elements.sort(key=float)
    said = f"{name}: a list with repetitions: its {len(elements)} different elements, sorted, are the vocabulary"
    return Listing(elements, sequence=notes, assumed=(said,))


def _from_tokenizer(name: str, config: Mapping[str, Any], outputs: int) -> Listing:
    """Return the words of a Keras `Tokenizer`.

    Their ids start at 1. With `num_words`, they end below it.
    """
    indices = {}
    for key in ("word_index", "index_word"):
        if key in config:
            value = config[key]
            indices[key] = _plain(f"{name}: {key}", _read_json(name, value) if isinstance(value, str) else value)
    listing = _agreed(name, indices)
    elements, limit = listing.elements, config.get("num_words")
    if type(limit) is int and outputs in (limit, limit + 1):
        elements = elements[:outputs]
    tokenizer = None
    if config.keys() & {"lower", "filters", "split", "char_level"}:
        try:
            tokenizer = Tokenizer.of(config, Tokenizer(lower=True, filters=KERAS_FILTERS))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    kind = "text" if tokenizer is not None and tokenizer.char_level else "tokens"
    return Listing(elements, listing.padding, kind, tokenizer=tokenizer)


def _from_entries(name: str, value: Mapping[str, Any], outputs: int) -> Listing:
    """Return the one vocabulary in an object such as {"char2idx": ..., "idx2char": ...}."""
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
    texts = [listing.elements for key, listing in found.items() if not _only_numbers(value[key])]
    if texts:  # lists of other numbers are counts or sizes
        found = {key: x for key, x in found.items() if not _only_numbers(value[key]) or x.elements in texts}
    fitting = {key: listing for key, listing in found.items() if len(listing.elements) == outputs}
    return _agreed(name, fitting or found)


def _agreed(name: str, listings: Mapping[str, Listing]) -> Listing:
    """Return the listing that all `listings`, which are by their keys, agree on.

    Of a vocabulary and its notes it is the notes, which tell more.
    """
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
    """Return the listing with the given kind, its own, or the one that its elements suggest."""
    if kind or listing.kind:
        return listing._replace(kind=kind or listing.kind)
    longer = [element for element in listing.elements if len(element) > 1]
    if not longer:
        return listing._replace(kind="text")
    if len(longer) + 1 < len(listing.elements) and all(map(_SPECIAL.fullmatch, longer)):
        said = f"{name}: all but {' '.join(longer)} are characters, so that joined they are the text"
        return listing._replace(kind="text", assumed=(*listing.assumed, said))
    return listing._replace(kind="tokens")


def _variants(name: str, text: str, bom: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a text as it is and as usual readers give it, with what each assumes."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    ends, mark = "with line ends read as \\n, as open(path).read() does", "without its byte order mark"
    yield text, ()
    yield lines, (f"{name}: {ends}",)
    yield text.removeprefix(bom), (f"{name}: {mark}",)
    yield lines.removeprefix(bom), (f"{name}: {mark}, {ends}",)


def _size_message(name: str, listing: Listing, outputs: int, lowered: str) -> str:
    """Return why a vocabulary does not fit, and the likeliest reason.

    lowered: the hint if lower-casing helps.
    """
    count = len(listing.elements)
    if listing.padding is not None and count - 1 == outputs:
        hint = "id 0 counts, as padding: without it, let the indices start at 0"
    elif len({element.lower() for element in listing.elements}) == outputs:
        hint = lowered
    elif listing.padding is None and count + 1 == outputs:
        hint = "if id 0 is padding, give an object from element to index, with indices from 1"
    elif count == 1 and len(listing.elements[0]) > 1:
        hint = f"the file has a single line; give a corpus as {option('vocab_from')}, or one element a line"
    else:
        hint = "is it what this network was trained on?"
    return f"{name}: the vocabulary has {count} elements, but the network has {outputs} outputs; {hint}"
