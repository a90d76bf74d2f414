"""From a model that Keras saved to a `.bin`: the vocabulary, encoding and prime that Keras does
not store are added on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from lstmgen import container, keras_file
from lstmgen.errors import ModelFormatError
from lstmgen.network import Network
from lstmgen.text import Vocabulary

Source = str | os.PathLike[str] | bytes
File = str | os.PathLike[str]


class ExportOptions(TypedDict, total=False):
    """What an export may be told; each may be left out or be None.

    vocab: the elements in the order of the outputs, or the path of a `.json` that holds them: a
        list, an object from element to index, or one from index to element.
    vocab_from: path of the corpus, UTF-8: the elements are its characters in the order of
        `sorted(set(text))`, the default prime its first window.
    encoding: "onehot", "index", "scaled" or "features"; inferred from the network by default.
    prime: the default prime: text, elements or ids.
    window: time steps T, if the model was saved without a fixed length.
    dtype: "f32", the default, or "bf16": matrices of half the size, with 8 bits of precision.
    vocabulary_kind: "text" (the elements, joined, are the text) or "tokens"; by default "text" if
        each element is one character.
    name, description, author, license, source_url: facts for people; the license as SPDX.
    card: more facts, as a mapping or as the text of a JSON object.
    """

    vocab: Sequence[str] | File | None
    vocab_from: File | None
    encoding: str | None
    prime: str | Iterable[str | int] | None
    window: int | None
    dtype: str | None
    vocabulary_kind: str | None
    name: str | None
    description: str | None
    author: str | None
    license: str | None
    source_url: str | None
    card: Mapping[str, Any] | str | None


def export(source: Source, out: File, **options: Unpack[ExportOptions]) -> None:
    """Turn the model that Keras saved in `source`, a path or bytes, into the file `out`.

    `out` holds either all of the new file or what it held before. Raises what `convert` raises, and
    `OSError` that names `out` if it cannot be written.
    """
    _check_other_file(source, out)
    container.write(out, convert(source, **options))


def convert(source: Source, **options: Unpack[ExportOptions]) -> bytes:
    """The bytes of the `.bin` of a model that Keras saved; the same arguments give the same bytes.

    Raises `OSError` that names a file that cannot be read, `ModelFormatError` for a model that is
    broken or not supported, `ValueError` for an option that does not fit it, and `TypeError` for
    one that does not exist.
    """
    unknown = options.keys() - ExportOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"export has no option {', '.join(sorted(unknown))}")
    network = keras_file.read(source)
    try:
        return _convert(network, options)
    except ModelFormatError as error:  # of the model, not of an option
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        raise ModelFormatError(f"{name}: {error}") from None


def _convert(network: Network, options: ExportOptions) -> bytes:
    network = _with_window(network, options.get("window"))
    encoding = options.get("encoding") or infer_encoding(network)
    vocabulary, text = _vocabulary(options)
    if vocabulary is not None and len(vocabulary) != network.outputs:
        source = options.get("vocab_from")
        where = f"{os.fspath(source)}: " if source is not None else ""
        raise ValueError(
            f"{where}the vocabulary has {len(vocabulary)} elements, but the network has {network.outputs} outputs"
        )
    prime = options.get("prime")
    if prime is None and text is not None and encoding != "features":
        prime = text[: network.window]
    return container.pack(
        network,
        encoding=encoding,
        dtype=options.get("dtype") or "f32",
        vocabulary=vocabulary.elements if vocabulary else None,
        vocabulary_kind=vocabulary.kind if vocabulary else None,
        prime=_prime_ids(prime, vocabulary) or None,
        name=options.get("name"),
        description=options.get("description"),
        author=options.get("author"),
        license=options.get("license"),
        source_url=options.get("source_url"),
        card=_card(options.get("card")),
    )


def infer_encoding(network: Network) -> str:
    """The encoding that a network most likely was trained with: section 3 of docs/format.md."""
    if network.takes_ids:
        return "index"
    if network.input_size == network.outputs > 1:
        return "onehot"
    softmax = network.layers[-1].options.get("activation") == "softmax"
    if network.input_size == 1 and network.outputs > 1 and softmax:
        return "scaled"
    return "features"


def _with_window(network: Network, window: int | None) -> Network:
    if window is None or window == network.window:
        return network
    if network.window:
        raise ValueError(f"window: the model was saved with {network.window} time steps, not {window}")
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ValueError(f"window: expected an integer of at least 1, found {window!r}")
    return replace(network, window=window)


# -- vocabulary and prime ------------------------------------------------------------------------


def _vocabulary(options: ExportOptions) -> tuple[Vocabulary | None, str | None]:
    """The vocabulary, and the text of the corpus if it comes from one."""
    vocab, vocab_from = options.get("vocab"), options.get("vocab_from")
    kind = options.get("vocabulary_kind")
    if vocab is not None and vocab_from is not None:
        raise ValueError("give either vocab or vocab_from, not both")
    if vocab_from is not None:
        text = _read_text(vocab_from)
        return Vocabulary(sorted(set(text)), kind or "text"), text
    if vocab is None:
        if kind is not None:
            raise ValueError("vocabulary_kind needs a vocabulary: vocab or vocab_from")
        return None, None
    if isinstance(vocab, str | os.PathLike):
        elements = _read_vocabulary(vocab)
    else:
        elements = list(vocab)
        _check_elements("vocab", elements)
    single = all(len(element) == 1 for element in elements)
    return Vocabulary(elements, kind or ("text" if single else "tokens")), None


def _read_text(path: File) -> str:
    """The text of a file as it is: no line end is translated."""
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not UTF-8: {error}") from None


def _read_json(path: File) -> Any:
    try:
        return json.loads(_read_text(path).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{os.fspath(path)}: JSON that is nested too deeply") from None


def _read_vocabulary(path: File) -> list[str]:
    """The elements, in order, in a `.json`: a list, {element: index} or {index: element}."""
    name, value = os.fspath(path), _read_json(path)
    if isinstance(value, dict):
        value = _ordered(name, value)
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list or an object, found {type(value).__name__}")
    _check_elements(name, value)
    return value


def _ordered(name: str, entries: dict[str, Any]) -> list[Any]:
    """The elements of {element: index} or {index: element}; the indices are 0, 1, 2 ..."""
    by_index: dict[int, Any] = {}
    for key, value in entries.items():
        forward = type(value) is int  # else the key must be the index, which JSON makes a string
        if not forward and not (key.isascii() and key.isdigit() and len(key) < 10):
            raise ValueError(f"{name}: expected an index beside {key!r:.60}, found {value!r:.60}")
        index, element = (value, key) if forward else (int(key), value)
        if index in by_index:
            raise ValueError(f"{name}: {by_index[index]!r} and {element!r} have index {index}")
        by_index[index] = element
    missing = next((i for i in range(len(by_index)) if i not in by_index), None)
    if missing is not None:
        raise ValueError(f"{name}: expected the indices 0 to {len(by_index) - 1}, found none for {missing}")
    return [by_index[i] for i in range(len(by_index))]


def _check_elements(where: str, elements: list[Any]) -> None:
    for i, element in enumerate(elements):
        if not isinstance(element, str) or not element:
            raise ValueError(f"{where}: element {i}: expected text, found {element!r:.60}")


def _prime_ids(prime: str | Iterable[str | int] | None, vocabulary: Vocabulary | None) -> list[int]:
    """Ids of a prime; plain ids need no vocabulary."""
    if prime is None:
        return []
    if vocabulary is None:
        ids = [prime] if isinstance(prime, str) else list(prime)
        if any(isinstance(i, str) for i in ids):
            raise ValueError("prime: text needs a vocabulary: give vocab or vocab_from, or ids")
        return [int(i) for i in ids]
    try:
        ids_found: list[int] = vocabulary.encode(prime).tolist()
    except ValueError as error:
        raise ValueError(f"prime: {error}") from None
    return ids_found


def _card(card: Mapping[str, Any] | str | None) -> str | None:
    """The card as the text of a JSON object."""
    if card is None:
        return None
    if not isinstance(card, str):
        return json.dumps(dict(card), ensure_ascii=False)
    try:
        value = json.loads(card)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"card: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"card: expected a JSON object, found {type(value).__name__}")
    return card


def _check_other_file(source: Source, out: File) -> None:
    if isinstance(source, bytes) or not os.path.exists(out):
        return
    if os.path.samefile(source, out):
        raise ValueError(f"{os.fspath(out)}: the export would replace the model it comes from")


# -- command line --------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` wants to a command line."""
    parser.add_argument("model", help="a model that Keras saved as .h5")
    parser.add_argument("out", help="the .bin to write")
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument("--vocab-from", metavar="CORPUS", help="text: its characters, sorted, are the vocabulary")
    vocabulary.add_argument("--vocab", metavar="JSON", help="list of elements, or object from or to their indices")
    parser.add_argument(
        "--vocabulary-kind",
        choices=container.VOCABULARY_KINDS,
        help="whether the elements, joined, are the text (if all are single characters)",
    )
    parser.add_argument("--encoding", choices=container.ENCODINGS, help="how an element is fed in (inferred)")
    parser.add_argument("--dtype", choices=container.DTYPES, default="f32", help="of the matrices (f32)")
    parser.add_argument("--prime", metavar="TEXT", help="the default prime (the first window of the corpus)")
    parser.add_argument("--window", type=int, metavar="N", help="time steps of a model without a fixed number")
    for fact in ("name", "description", "author"):
        parser.add_argument(f"--{fact}", help=f"{fact} of the model, for people")
    parser.add_argument("--license", help="SPDX identifier of the licence of the weights")
    parser.add_argument("--source-url", metavar="URL", help="where the training data came from")
    parser.add_argument("--card", metavar="JSON", help="file with more facts for people")


def run(args: argparse.Namespace) -> None:
    """Export as the command line says. Raises what `export` raises."""
    given = {key: value for key, value in vars(args).items() if value is not None}
    options: Any = {k: v for k, v in given.items() if k in ExportOptions.__annotations__}
    if args.card is not None:
        options["card"] = _read_text(args.card)
    export(args.model, args.out, **options)
    print(f"{args.out}: {os.path.getsize(args.out):,} bytes", file=sys.stderr)
