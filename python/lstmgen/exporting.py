"""From a model that Keras saved to a `.bin`: the vocabulary, encoding and prime that Keras does
not store are added on the way.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, NamedTuple, TypedDict, Unpack

from lstmgen import files, keras_file
from lstmgen.binfile import writer
from lstmgen.binfile.repacking import repack
from lstmgen.errors import ModelFormatError, OptionTypeError, option
from lstmgen.keras_file import Architecture
from lstmgen.network import Network
from lstmgen.options import near
from lstmgen.vocabulary import Vocabulary, check_sequence, id_at, reading
from lstmgen.vocabulary.reading import File, Listing, Vocab

Source = str | os.PathLike[str] | bytes


class ExportOptions(TypedDict, total=False):
    r"""What an export may be told; each may be left out or be None.

    config: the architecture, for a file that holds weights only: the path of a JSON file that Keras's `to_json` wrote,
        its text, the same as a mapping, or layers as in Keras code: "LSTM(128, return_sequences=True), LSTM(128),
        Dense(52, softmax)". Without it the architecture is told from the weights, where they leave no doubt.
    output: name of the layer whose output is wanted, for a model with several.
    labels: the name of each output: the model classifies, it does not generate. The vocabulary and the padding are then
        those of its input.
    vocab: the vocabulary, as a Python object or as the path of a file:
        - a list of elements in the order of the outputs;
        - an object from element to index, or from index to element. Indices that start at 1 leave id 0 to padding,
          which is never drawn; so does a list whose first element is empty;
        - what `to_json` of a Keras `Tokenizer` gives;
        - a list of notes with repetitions: their names, sorted, are the elements, the default prime is their first
          window;
        - an object that has one of these as an entry, such as {"char2idx": {...}}.
        The file is JSON, a `.npy` of text, or a `.txt` with one element a line. Pickles are refused.
    vocab_from: path of the corpus: the elements are its characters in the order of `sorted(set(text))`, the default
        prime its first window. Line ends are kept, but taken as `\n` if only then the number of characters is right.
    lower: the corpus is lower-cased before its characters are counted.
    vocab_encoding: of the corpus, by default "utf-8".
    encoding: "onehot", "index", "scaled" or "features"; inferred from the network by default.
    prime: the default prime: text, elements or ids.
    window: time steps T, if the model was saved without a fixed length.
    dtype: "f32", the default; "bf16": matrices of half the size, with 8 bits of precision, as have the numbers
        that they are multiplied with; "int8": of a quarter, in steps of 1/127 of the greatest weight of each column.
    vocabulary_kind: "text" (the elements, joined, are the text) or "tokens"; by default "text" if
        each element is one character, or a name in <> or [] such as "[UNK]".
    name, description, author, license, source_url: facts for people; the license as SPDX.
    card: more facts, as a mapping or as the text of a JSON object.
    """

    config: Architecture | None
    output: str | None
    labels: Sequence[str] | None
    vocab: Vocab | None
    vocab_from: File | None
    lower: bool | None
    vocab_encoding: str | None
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

    `source` may be a `.bin`, too, to be had at another dtype; it takes no other option.

    `out` holds either all of the new file or what it held before. Warns of what it assumes, and raises, as `convert`
    does; raises `OSError` that names `out` if it cannot be written.
    """
    check_other_file(source, out)
    exported = build(source, options)
    _warn(exported.assumed)
    files.write(out, exported.data)


def convert(source: Source, **options: Unpack[ExportOptions]) -> bytes:
    """The bytes of the `.bin` of a model that Keras saved; the same arguments give the same bytes.

    What it assumes about the vocabulary is a `UserWarning` each. Raises `OSError` that names a file that cannot be
    read, `ModelFormatError` for a model that is broken or not supported, `ValueError` or `TypeError` for an option that
    does not fit it, and `TypeError` for one that does not exist.
    """
    exported = build(source, options)
    _warn(exported.assumed)
    return exported.data


_MAGIC = b"GGUF"
_START = "<s>"  # what textgenrnn and others put before each text


class Exported(NamedTuple):
    """The bytes of a `.bin`, what was assumed to make it, a sentence each, and whether ids stand for themselves."""

    data: bytes
    assumed: tuple[str, ...]
    nameless: bool


def _warn(assumed: Iterable[str]) -> None:
    for sentence in assumed:
        warnings.warn(sentence, UserWarning, stacklevel=3)  # of the caller of `export` or `convert`


def build(source: Source, options: ExportOptions) -> Exported:
    """The `.bin` of `source`, and what was assumed to make it. Raises what `convert` raises."""
    unknown = options.keys() - ExportOptions.__annotations__.keys()
    if unknown:
        first = min(unknown)
        raise TypeError(f"export has no option {first}{near(first, ExportOptions.__annotations__)}")
    if (data := _bin(source)) is not None:
        return _repacked(data, source, options)
    network = keras_file.read(
        source, config=options.get("config"), output=options.get("output"), window=options.get("window")
    )
    try:
        return _pack(network, options)
    except ModelFormatError as error:  # of the model, not of an option
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        raise ModelFormatError(f"{name}: {error}") from None


def _bin(source: Source) -> bytes | None:
    """The bytes of `source`, if it is a `.bin`."""
    if isinstance(source, bytes):
        return source if source.startswith(_MAGIC) else None
    with contextlib.suppress(OSError), open(source, "rb") as file:  # an error is told where the model is read
        if file.read(len(_MAGIC)) == _MAGIC:
            return _MAGIC + file.read()
    return None


def _repacked(data: bytes, source: Source, options: ExportOptions) -> Exported:
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    if rest := [
        option(key) for key, value in options.items() if key != "dtype" and value is not None and value is not False
    ]:
        raise ValueError(f"{name}: a .bin takes no option but {option('dtype')}, found {', '.join(sorted(rest))}")
    return Exported(repack(data, name, options.get("dtype") or "f32"), (), nameless=False)


def _pack(network: Network, options: ExportOptions) -> Exported:
    network = _with_window(network, options.get("window"))
    labels = _labels(options.get("labels"))
    listing = _listing(options, network.outputs if labels is None else network.input_size)
    encoding = options.get("encoding") or infer_encoding(network)
    if options.get("encoding") is None and labels is not None and not network.takes_ids:
        encoding = "onehot" if listing else "features"
    vocabulary = Vocabulary(listing.elements, listing.kind or "tokens") if listing else None
    prime = options.get("prime")
    generates = encoding != "features" and labels is None
    if prime is None and listing and generates:
        prime = list(listing.sequence[: network.window]) or None
    assumed = network.assumed + (listing.assumed if listing else ())
    if prime is None and vocabulary is not None and _START in vocabulary.elements and generates:
        prime = [_START]
        assumed += (f"the default prime is {_START}, the start of a text",)
    data = writer.pack(
        network,
        encoding=encoding,
        dtype=options.get("dtype") or "f32",
        labels=labels,
        vocabulary=vocabulary.elements if vocabulary else None,
        vocabulary_kind=vocabulary.kind if vocabulary else None,
        prime=_prime_ids(prime, vocabulary) or None,
        padding=listing.padding if listing else None,
        name=options.get("name"),
        description=options.get("description"),
        author=options.get("author"),
        license=options.get("license"),
        source_url=options.get("source_url"),
        card=card_text(options.get("card")),
    )
    return Exported(data, assumed, listing is None and generates)


def _labels(labels: object) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise OptionTypeError("labels", "a list of names", labels)
    return [str(label) if isinstance(label, str) else label for label in labels]  # numpy has its own str


def infer_encoding(network: Network) -> str:
    """The encoding that a generator most likely was trained with: section 3 of docs/format.md."""
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
    return replace(network, window=window)


# -- vocabulary and prime ------------------------------------------------------------------------


def _listing(options: ExportOptions, outputs: int) -> Listing | None:
    """The vocabulary that the options name, for a network with `outputs` outputs (with labels: inputs)."""
    vocab, vocab_from, kind = options.get("vocab"), options.get("vocab_from"), options.get("vocabulary_kind")
    if vocab is not None and vocab_from is not None:
        raise ValueError(f"give either {option('vocab')} or {option('vocab_from')}, not both")
    if vocab_from is None:
        for name in ("lower", "vocab_encoding"):
            if options.get(name):
                raise ValueError(f"{option(name)} needs a corpus: {option('vocab_from')}")
    if vocab is not None:
        return reading.read(vocab, outputs, kind)
    if vocab_from is not None:
        return _read_corpus(vocab_from, outputs, options)
    if kind is not None:
        raise ValueError(f"{option('vocabulary_kind')} needs a vocabulary: {option('vocab')} or {option('vocab_from')}")
    return None


def _read_corpus(path: File, outputs: int, options: ExportOptions) -> Listing:
    lower, encoding = options.get("lower"), options.get("vocab_encoding")
    _expect("vocab_from", path, (str, os.PathLike), "a path")
    _expect("lower", lower, (bool, NoneType), "True or False")
    _expect("vocab_encoding", encoding, (str, NoneType), "a name such as 'latin-1'")
    listing = reading.read_corpus(path, outputs, lower=bool(lower), encoding=encoding or "utf-8")
    return listing._replace(kind=options.get("vocabulary_kind") or listing.kind)


def _expect(name: str, value: object, types: tuple[type, ...], expected: str) -> None:
    if not isinstance(value, types):
        raise OptionTypeError(name, expected, value)


def _prime_ids(prime: str | Iterable[str | int] | None, vocabulary: Vocabulary | None) -> list[int]:
    """Ids of a prime; plain ids need no vocabulary."""
    if prime is None:
        return []
    check_sequence("prime", prime)
    if vocabulary is None:
        ids = [prime] if isinstance(prime, str) else list(prime)
        if any(isinstance(i, str) for i in ids):
            given = f"{option('vocab')} or {option('vocab_from')}"
            raise ValueError(f"{option('prime')}: text needs a vocabulary: give {given}, or ids")
        return [id_at("prime: element", i, position) for position, i in enumerate(ids)]
    try:
        ids_found: list[int] = vocabulary.encode(prime).tolist()
    except (ValueError, TypeError) as error:
        raise type(error)(f"prime: {error}") from None
    return ids_found


def card_text(card: Mapping[str, Any] | str | None) -> str | None:
    """The card as the text of a JSON object."""
    if card is None:
        return None
    if not isinstance(card, str):
        _expect("card", card, (Mapping,), "a mapping or the text of a JSON object")
        return json.dumps(dict(card), ensure_ascii=False)
    try:
        value = json.loads(card)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"card: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"card: expected a JSON object, found {type(value).__name__}")
    return card


def check_other_file(source: Source, out: File) -> None:
    """Raise `ValueError` if `out` is the very file that is to be exported."""
    if isinstance(source, bytes) or not os.path.exists(out):
        return
    if os.path.samefile(source, out):
        raise ValueError(f"{os.fspath(out)}: the export would replace the model it comes from")
