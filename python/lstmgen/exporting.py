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
from functools import partial
from types import NoneType
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np

from lstmgen import elements, files, heads, keras_file
from lstmgen.binfile import writer
from lstmgen.binfile.repacking import repack
from lstmgen.binfile.sniffing import is_bin, read_bin
from lstmgen.bundled import Source, resolved
from lstmgen.elements import Assumption, Encoding, Outputs, Padding
from lstmgen.errors import ModelFormatError, OptionError, OptionTypeError, option
from lstmgen.keras_file import Architecture
from lstmgen.network import Network
from lstmgen.options import near
from lstmgen.signatures import with_keywords
from lstmgen.vocabulary import Tokenizer, Vocabulary, check_sequence, id_at, reading
from lstmgen.vocabulary.order import doubt
from lstmgen.vocabulary.reading import File, Listing, Vocab


class ExportOptions(TypedDict, total=False):
    r"""What an export may be told; each may be left out or be None.

    config: the architecture, for a file that holds weights only: the path of a JSON file that
        Keras's `to_json` wrote, its text, the same as a mapping, or layers as in Keras code:
        "LSTM(128, return_sequences=True), LSTM(128), Dense(52, softmax)". Without it the
        architecture is told from the weights, where they leave no doubt.
    output: name of the layer whose output is wanted, for a model with several.
    heads: the outputs that together are a note, in the order in which their values enter, such as
        "pitch/128,step,duration" or "pitch+21/88=notes,step=dt,duration". Of each: pitch, step, duration or velocity;
        +LOWEST, the value of output 0; /DIVISOR, what a value less LOWEST is divided by when it enters; =NAME, the name
        of the output. By default outputs with such names are taken so, a pitch divided by the number of pitches.
    labels: the name of each output: the model classifies, it does not generate. The vocabulary and the padding are then
        those of its input.
    vocab: the vocabulary, as a Python object or as the path of a file:
        - a list of elements in the order of the outputs;
        - an object from element to index, or from index to element. Indices that start at 1 leave
          id 0 to padding, which is never drawn; so does a list whose first element is empty;
        - what `to_json` of a Keras `Tokenizer` gives;
        - a list of notes with repetitions: their names, sorted, are the elements, the default prime
          is their first window;
        - pairs of element and index, or a list or an object that has one of these as an entry, such
          as {"char2idx": {...}}.
        The file is JSON, a pickle of these or of a Keras `Tokenizer`, of which nothing is run, a
        `.npy`, or a `.txt`
        with one element a line: docs/vocabularies.md.
    vocab_from: path of the corpus: the elements are its characters in the order of
        `sorted(set(text))`, the default prime its first window. Line ends are kept, but taken as
        `\n` if only then the number of characters is right.
    lower: the corpus is lower-cased before its characters are counted.
    vocab_encoding: of the corpus, by default "utf-8"; "bytes": the elements are its bytes.
    encoding: "onehot", "index", "scaled" (id / n), "raw" (the id, or the number that the element
        is) or "features"; inferred by default. How one number a step stands for an element is
        measured where the vocabulary brings a sequence or a prime is given: the likeliest is taken.
    input_values: with the encoding "raw", the number that enters for each element; or a rule of
        `lstmgen.elements.RULES`, such as "id", "number" (that the element is), "number/127" or
        "id/(n-1)".
    prime: the default prime: text, elements or ids.
    padding: what fills a window on the left while the prime is short: an element or its id, which
        is never drawn; "zeros": vectors of zeros; "none": nothing. By default what the vocabulary
        or a mask of the network says.
    window: time steps T, if the model was saved without a fixed length.
    dtype: "f32", the default; "bf16": matrices of half the size, with 8 bits of precision, as have
        the numbers that they are multiplied with; "int8": of a quarter, in steps of 1/127 of the
        greatest weight of each column.
    vocabulary_kind: "text" (the elements, joined, are the text), "tokens" or "bytes"; by default
        "text" if each element is one character, or a name in <> or [] such as "[UNK]".
    name, description, author, license, source_url: facts for people; the license as SPDX.
    card: more facts, as a mapping or as the text of a JSON object.
    """

    config: Architecture | None
    output: str | None
    heads: str | Sequence[str] | None
    labels: Sequence[str] | None
    vocab: Vocab | None
    vocab_from: File | None
    lower: bool | None
    vocab_encoding: str | None
    encoding: str | None
    input_values: str | Sequence[float] | None
    prime: str | Iterable[str | int] | None
    padding: str | int | None
    window: int | None
    dtype: str | None
    vocabulary_kind: str | None
    name: str | None
    description: str | None
    author: str | None
    license: str | None
    source_url: str | None
    card: Mapping[str, Any] | str | None


FACTS = ("name", "description", "author", "license", "source_url")  # the options that are facts for people


@with_keywords(ExportOptions, meaning=ExportOptions.__doc__ or "")
def export(source: Source, out: File, **options: Unpack[ExportOptions]) -> None:
    """Turn the model that Keras saved in `source`, a path or bytes, into the file `out`.

    `source` may be a `.bin`, too, or the name of a bundled model, to be had at another dtype; it
    takes no other option.

    `out` holds either all of the new file or what it held before. Warns of what it assumes, and
    raises, as `convert` does; raises `OSError` that names `out` if it cannot be written.
    `Model.assumed` of the file gives all that was assumed.
    """
    source = resolved(source)
    check_other_file(source, out)
    exported = build(source, options)
    _warn(exported.doubtful)
    files.write(out, exported.data)


@with_keywords(ExportOptions, meaning=ExportOptions.__doc__ or "")
def convert(source: Source, **options: Unpack[ExportOptions]) -> bytes:
    """The bytes of the `.bin` of a model that Keras saved; the same arguments give the same bytes.

    What it assumes and may well be otherwise is a `UserWarning` each. Raises `OSError` that names a
    file that cannot be read, `ModelFormatError` for a model that is broken or not supported,
    `ValueError` or `TypeError` for an option that does not fit it, and `TypeError` for one that
    does not exist.
    """
    exported = build(source, options)
    _warn(exported.doubtful)
    return exported.data


_JUDGED = 16  # windows of a sequence that tell whether the order of a vocabulary is right
_PRIME = 40  # elements of a default prime, for a model without a window
_MEASURED = 20_000  # elements of a sequence that windows are taken from


class Exported(NamedTuple):
    """The bytes of a `.bin`, and what was decided to make it.

    assumed: what was taken to be so, a sentence each. doubtful: those of them that a caller is
        warned of. why: the reason that it is a generator or a predictor, a clause. nameless:
        whether ids stand for themselves.
    """

    data: bytes
    assumed: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    why: str = ""
    nameless: bool = False


def _warn(assumed: Iterable[str]) -> None:
    for sentence in assumed:
        warnings.warn(sentence, UserWarning, stacklevel=3)  # of the caller of `export` or `convert`


def build(source: Source, options: ExportOptions) -> Exported:
    """The `.bin` of `source`, and what was assumed to make it. Raises what `convert` raises."""
    unknown = options.keys() - ExportOptions.__annotations__.keys()
    if unknown:
        first = min(unknown)
        raise TypeError(f"export has no option {first}{near(first, ExportOptions.__annotations__)}")
    if is_bin(source):
        return _repacked(source, options)
    network = keras_file.read(
        source,
        config=options.get("config"),
        output=options.get("output"),
        heads=options.get("heads"),
        window=options.get("window"),
    )
    try:
        return _pack(network, options)
    except ModelFormatError as error:  # of the model, not of an option
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        raise ModelFormatError(f"{name}: {error}") from None


def _repacked(source: Source, options: ExportOptions) -> Exported:
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    if rest := [
        option(key) for key, value in options.items() if key != "dtype" and value is not None and value is not False
    ]:
        raise ValueError(f"{name}: a .bin takes no option but {option('dtype')}, found {', '.join(sorted(rest))}")
    return Exported(repack(read_bin(source), name, options.get("dtype") or "f32"), ())


def _pack(network: Network, options: ExportOptions) -> Exported:
    network = _with_window(network, options.get("window"))
    if "heads" in network.elements:
        return _pack_notes(network, options)
    labels = _labels(options.get("labels"))
    if (encoding_told := options.get("encoding")) not in (None, *writer.ENCODINGS):
        raise OptionError("encoding", f"one of {', '.join(writer.ENCODINGS)}", encoding_told)
    told = options.get("encoding"), options.get("input_values"), options.get("prime")
    named = options.get("vocab") is not None or options.get("vocab_from") is not None
    wanted = told[0] != "features" and (named or any(option is not None for option in told))
    outputs = elements.outputs_of(network, wanted)
    generates = labels is None and outputs.generates and told[0] != "features"
    listing, generates = _listing(network, options, generates, labels is not None)
    if told[0] in ("onehot", *writer.ONE_NUMBER) and labels is None:
        writer.check_encoding(network, told[0], generates=True)
    if labels is None and not generates:
        _check_predictor(outputs, options, network)
    if listing and generates:
        listing = _by_number(network, listing, told[0])
    vocabulary = Vocabulary(listing.elements, listing.kind or "tokens", listing.tokenizer) if listing else None
    assumed = [Assumption(text, doubtful=True) for text in network.assumed + (listing.assumed if listing else ())]
    if labels is None and told[0] != "features":
        assumed += elements.assumed_of_outputs(network, outputs._replace(generates=generates), wanted)
    prime = _prime_ids(options.get("prime"), vocabulary)
    encoding = _encoding(network, options, vocabulary, listing, prime, generates, assumed)
    if listing and generates and len(listing.sequence) >= (network.window or _PRIME) + _JUDGED:
        wrong = doubt(listing.elements, listing.sequence, partial(elements.bits, network, encoding))
        assumed += [] if wrong is None else [Assumption(wrong, doubtful=True)]
    padding = _padding(network, encoding.name, options, listing, generates, assumed)
    if options.get("prime") is None and generates:
        prime = _default_prime(network, vocabulary, listing, padding, assumed)
    if generates:
        assumed += elements.assumed_of_names(vocabulary.elements if vocabulary else None, padding)
        if (start := _start_of(network, listing)) is not None:
            text = f"{start} comes before each prime that does not begin with it, as textgenrnn continues a text"
            assumed.append(Assumption(text))
    data = writer.pack(
        network,
        encoding=encoding.name,
        input_values=encoding.values,
        dtype=options.get("dtype") or "f32",
        labels=labels,
        predictor=labels is None and not generates and encoding.name != "features",
        vocabulary=vocabulary.elements if vocabulary else None,
        vocabulary_kind=vocabulary.kind if vocabulary else None,
        prime=prime or None,
        padding=padding.id,
        zero_padding=padding.zeros,
        **_facts(options),
        card=card_text(options.get("card"), _carried(network, listing, assumed)),
    )
    return Exported(
        data,
        tuple(assumption.text for assumption in assumed),
        tuple(assumption.text for assumption in assumed if assumption.doubtful),
        outputs.why,
        listing is None and generates,
    )


def _facts(options: ExportOptions) -> dict[str, Any]:
    """The options that are facts for people."""
    return {name: value for name, value in options.items() if name in FACTS}


_NOTE_WINDOW = 25  # steps, in TensorFlow's tutorial
_NOT_OF_NOTES = (
    *("labels", "vocab", "vocab_from", "lower", "vocab_encoding", "vocabulary_kind"),
    *("input_values", "prime", "padding"),
)


def _pack_notes(network: Network, options: ExportOptions) -> Exported:
    """The `.bin` of a network whose outputs together are a note."""
    asked = [name for name, value in options.items() if name in _NOT_OF_NOTES and value is not None]
    if options.get("encoding") not in (None, "features"):
        asked.append("encoding")
    if asked:
        names = ", ".join(str(head.layer) for head in network.elements["heads"])
        raise ValueError(f"{asked[0]}: the outputs {names} are a note together, which has no such option")
    found, said = elements.note_heads(network)
    assumed = [Assumption(text, doubtful=True) for text in network.assumed] + said
    if not network.window:
        network = replace(network, window=_NOTE_WINDOW)
        text = f"windows of {_NOTE_WINDOW} notes, as in the tutorial; window= (--window) sets another length"
        assumed.append(Assumption(text, doubtful=True))
    facts = {**_carried(network, None, assumed), "heads": heads.to_card(found)}
    data = writer.pack(
        network,
        encoding="features",
        dtype=options.get("dtype") or "f32",
        **_facts(options),
        card=card_text(options.get("card"), facts),
    )
    return Exported(
        data,
        tuple(assumption.text for assumption in assumed),
        tuple(assumption.text for assumption in assumed if assumption.doubtful),
        f"{len(found)} outputs are a note together",
    )


def _check_predictor(outputs: Outputs, options: ExportOptions, network: Network) -> None:
    """Raise `ValueError` for an option that only a generator has, or a network whose input is
    elements.
    """
    asked = [name for name in ("encoding", "input_values", "prime", "padding") if options.get(name) is not None]
    if not network.takes_ids:
        asked += [name for name in ("vocab", "vocab_from") if options.get(name) is not None]
    if options.get("encoding") in ("features", "index"):
        asked.remove("encoding")
    if "padding" in asked and (network.takes_ids or options.get("padding") == "none"):  # fills what enters
        asked.remove("padding")
    if asked:
        raise ValueError(f"{option(asked[0])}: the network predicts and does not generate: {outputs.why}")


def _encoding(
    network: Network,
    options: ExportOptions,
    vocabulary: Vocabulary | None,
    listing: Listing | None,
    prime: Sequence[int],
    generates: bool,
    assumed: list[Assumption],
) -> Encoding:
    """How an element enters; what is assumed of that is added to `assumed`."""
    told, values = options.get("encoding"), options.get("input_values")
    own = elements.own_numbers(vocabulary.elements if vocabulary else None)
    if values is not None:
        given = elements.given_values(values, network.outputs, own)
        if told not in (None, "raw"):
            raise ValueError(f"{option('input_values')}: expected {option('encoding', 'raw')}, found {told!r}")
        return given
    if network.takes_ids:
        return Encoding(told or "index")
    if not generates:
        classifies = options.get("labels") is not None and listing is not None
        return Encoding(told or ("onehot" if classifies else "features"))
    if network.input_size == 1 and told in (None, "scaled", "raw"):
        sequence, where = prime, "the prime"
        if listing and vocabulary and len(listing.sequence) > len(prime):
            sequence, where = vocabulary.encode(list(listing.sequence[:_MEASURED])).tolist(), _source(options)
        encoding, said = elements.number_encoding(network, told, own, sequence, where)
        assumed += said
        return encoding
    if told is None:
        n = network.outputs
        assumed.append(Assumption(f"encoding onehot: the {n} numbers of a step stand for the same {n} elements"))
    return Encoding(told or "onehot")


def _source(options: ExportOptions) -> str:
    """What the sequence of the training came from."""
    source = options.get("vocab") if options.get("vocab") is not None else options.get("vocab_from")
    return os.path.basename(os.fspath(source)) if isinstance(source, str | os.PathLike) else "its sequence"


def _padding(
    network: Network,
    encoding: str,
    options: ExportOptions,
    listing: Listing | None,
    generates: bool,
    assumed: list[Assumption],
) -> Padding:
    """What fills a short window; what is assumed of that is added to `assumed`."""
    told, names = options.get("padding"), listing.elements if listing else None
    count = network.outputs if generates else network.input_size
    if told is not None:
        padding = elements.given_padding(told, names, count)
        if listing and listing.padding is not None and padding.id != listing.padding:
            raise OptionError("padding", f"{listing.padding}, the only id that has no element", told)
        if padding.zeros and encoding == "index":
            why = "the network takes ids: give the id or the element that fills a window"
            raise ValueError(f"{option('padding', 'zeros')}: {why}")
        return padding
    if listing and listing.padding is not None:
        return Padding(listing.padding)
    if encoding == "features" or (not generates and not network.takes_ids):
        return Padding()
    padding, said = elements.padding_of(network, encoding, names, listing.sequence if listing else ())
    if padding == Padding() and generates:
        said = [*said, *elements.short_prime(network, encoding)]
    assumed += said
    return padding


def _default_prime(
    network: Network,
    vocabulary: Vocabulary | None,
    listing: Listing | None,
    padding: Padding,
    assumed: list[Assumption],
) -> list[int]:
    """The ids that a sample starts from where the user gives none."""
    if vocabulary is not None and listing and len(listing.sequence):
        first = list(listing.sequence[: network.window or _PRIME])
        assumed.append(Assumption(f"the default prime is the first {len(first)} elements of the sequence given"))
        ids: list[int] = vocabulary.encode(first).tolist()
        return ids
    start = elements.start_element(vocabulary.elements if vocabulary else None)
    if vocabulary is not None and start is not None:
        assumed.append(Assumption(f"the default prime is {start}, the start of a text", doubtful=True))
        return [vocabulary.ids[start]]
    if padding.id is not None and network.elements.get("blank"):
        text = "the default prime is a window of padding, as textgenrnn starts a model of a single text"
        assumed.append(Assumption(text, doubtful=True))
        return [padding.id]
    if padding.id is not None and not network.window:
        assumed.append(Assumption(f"the default prime is the padding, id {padding.id}"))
        return [padding.id]
    return []


def _labels(labels: object) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise OptionTypeError("labels", "a list of names", labels)
    return [str(label) if isinstance(label, str) else label for label in labels]  # numpy has its own str


def _with_window(network: Network, window: int | None) -> Network:
    if window is None or window == network.window:
        return network
    if network.window:
        raise ValueError(f"{option('window')}: the model was saved with {network.window} time steps, not {window}")
    return replace(network, window=window)


# -- vocabulary and prime ------------------------------------------------------------------------


def _listing(
    network: Network, options: ExportOptions, generates: bool, classifies: bool
) -> tuple[Listing | None, bool]:
    """The vocabulary that the options or the file name, and whether the network generates with it.

    An Embedding may take more ids than there are outputs: the size of the vocabulary says which of
    the two it names.
    """
    inputs = network.input_size if network.takes_ids or classifies else network.outputs
    if not generates:
        return _read_vocabulary(network, options, inputs), False
    try:
        return _read_vocabulary(network, options, network.outputs), True
    except ValueError:
        if inputs != network.outputs:
            with contextlib.suppress(ValueError):
                return _read_vocabulary(network, options, inputs), False
        raise


def _read_vocabulary(network: Network, options: ExportOptions, size: int) -> Listing | None:
    """The vocabulary of `size` elements that the options or the file name."""
    vocab, vocab_from = options.get("vocab"), options.get("vocab_from")
    if vocab is not None and vocab_from is not None:
        raise ValueError(f"give either {option('vocab')} or {option('vocab_from')}, not both")
    if vocab_from is None:
        for name in ("lower", "vocab_encoding"):
            if options.get(name):
                raise ValueError(f"{option(name)} needs a corpus: {option('vocab_from')}")
    kind = options.get("vocabulary_kind") or network.elements.get("kind")
    if vocab is not None:
        found: Listing | None = reading.read(vocab, size, kind)
    elif vocab_from is not None:
        found = _read_corpus(vocab_from, size, options)
    elif len(network.elements.get("vocab", ())) == size:
        found = reading.read(network.elements["vocab"], size, kind)
    else:
        found = _beside(network.elements.get("beside", ()), size, kind)
    if found is None and options.get("vocabulary_kind") is not None:
        raise ValueError(f"{option('vocabulary_kind')} needs a vocabulary: {option('vocab')} or {option('vocab_from')}")
    settings = network.elements.get("tokenizer")
    if found is not None and settings is not None and found.tokenizer is None:
        found = found._replace(tokenizer=Tokenizer.of(settings, Tokenizer()))
    return found


def _by_number(network: Network, listing: Listing, encoding: str | None) -> Listing:
    """`listing` in the order of its numbers, if these are its elements and the sequence is likelier
    so.

    A program that has read its notes from text has sorted them as text: "100" comes before "60".
    """
    own = elements.own_numbers(listing.elements)
    if own is None or not len(listing.sequence) or (np.diff(own) > 0).all():
        return listing
    orders = listing.elements, [listing.elements[i] for i in np.argsort(own, kind="stable")]
    scores = []
    for order in orders:
        ids = Vocabulary(order, "tokens").encode(list(listing.sequence[:_MEASURED])).tolist()
        values = elements.own_numbers(order)
        scores.append(elements.least_bits(network, encoding, values, ids))
    if scores[1] >= scores[0] - 0.05:
        return listing
    text = (
        f"the ids are in the order of the numbers: {scores[1]:.2f} bits an element, as text is sorted {scores[0]:.2f}"
    )
    return listing._replace(elements=orders[1], assumed=(*listing.assumed, text))


def _beside(files: Iterable[tuple[str, bool]], outputs: int, kind: str | None) -> Listing | None:
    """The first vocabulary beside a file that fits; one whose name says that it belongs to the file
    must.
    """
    for path, own in files:
        try:
            found = reading.read(path, outputs, kind)
        except ValueError:
            if own:
                raise
        else:
            return found._replace(assumed=(f"the vocabulary is {path}, beside the file", *found.assumed))
    return None


def _start_of(network: Network, listing: Listing | None) -> str | None:
    """The element that comes before each prime, where the file says so and the vocabulary has it."""
    start = network.elements.get("start")
    return start if listing is not None and start in listing.elements else None


def _carried(network: Network, listing: Listing | None, assumed: Sequence[Assumption]) -> dict[str, Any]:
    """What the card holds for programs: section 7 of docs/format.md."""
    facts: dict[str, Any] = {}
    if assumed:
        facts["assumed"] = [assumption.text for assumption in assumed]
    if listing is not None and listing.tokenizer is not None:
        facts["tokenizer"] = listing.tokenizer.facts()
    if (start := _start_of(network, listing)) is not None:
        facts["start"] = start
    stop = [text for text in network.elements.get("stop", ()) if listing is not None and text in listing.elements]
    return facts | ({"sample": {"stop": stop}} if stop else {})


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
        ids = (
            [int(i) if i.isascii() and i.isdigit() else i for i in prime.split()]
            if isinstance(prime, str)
            else list(prime)
        )
        if any(isinstance(i, str) for i in ids):
            given = f"{option('vocab')} or {option('vocab_from')}"
            raise ValueError(f"{option('prime')}: text needs a vocabulary: give {given}, or ids")
        return [id_at(f"{option('prime')}: element", i, position) for position, i in enumerate(ids)]
    try:
        ids_found: list[int] = vocabulary.encode(prime, skippable=False).tolist()
    except (ValueError, TypeError) as error:
        raise type(error)(f"{option('prime')}: {error}") from None
    return ids_found


def card_text(card: Mapping[str, Any] | str | None, facts: Mapping[str, Any]) -> str | None:
    """The card as the text of a JSON object, with these facts besides, where it does not give
    others.
    """
    if card is None and not facts:
        return None
    if not isinstance(card, str):
        _expect("card", card, (Mapping, NoneType), "a mapping or the text of a JSON object")
        return json.dumps(_joined(facts, card or {}), ensure_ascii=False)
    try:
        value = json.loads(card)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{option('card')}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{option('card')}: expected a JSON object, found {type(value).__name__}")
    return json.dumps(_joined(facts, value), ensure_ascii=False) if facts else card


def _joined(facts: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """Facts and a card in one. The card goes first; of recommended options, both count."""
    both = {**facts, **card}
    samples = [held["sample"] for held in (facts, card) if isinstance(held.get("sample"), Mapping)]
    return {**both, "sample": {**samples[0], **samples[1]}} if len(samples) == 2 else both


def check_other_file(source: Source, out: File) -> None:
    """Raise `ValueError` if `out` is the very file that is to be exported."""
    if isinstance(source, bytes) or not os.path.exists(out):
        return
    if os.path.samefile(source, out):
        raise ValueError(f"{os.fspath(out)}: the export would replace the model it comes from")
