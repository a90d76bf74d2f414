"""The export of a model of Keras to a `.bin`.

Keras stores no vocabulary, no encoding and no prime. Options give them, or they are assumed.
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

from lstmgen import arguments, elements, files, heads, keras_file
from lstmgen.arguments import near, utf8
from lstmgen.binfile import writer
from lstmgen.binfile.repacking import repack, with_card, with_grammar
from lstmgen.binfile.rounding import to_nearest
from lstmgen.binfile.sniffing import is_bin, read_bin, read_card
from lstmgen.bundled import Source, resolved
from lstmgen.elements import Assumption, Encoding, Outputs, Padding
from lstmgen.errors import ModelFormatError, OptionError, OptionTypeError, option
from lstmgen.escaping import brief
from lstmgen.inputs import is_text
from lstmgen.keras_file import Architecture
from lstmgen.network import Network
from lstmgen.progress import busy
from lstmgen.signatures import with_keywords
from lstmgen.vocabulary import Tokenizer, Vocabulary, check_sequence, id_at, reading
from lstmgen.vocabulary.order import doubt
from lstmgen.vocabulary.reading import File, Listing, Vocab


class ExportOptions(TypedDict, total=False):
    r"""The options of an export. Each may be left out or be None.

    config: the architecture, for a file that holds weights only. It is the path of a JSON file that
        `to_json` of Keras wrote, its text, the same as a mapping, or layers as in Keras code:
        "LSTM(128, return_sequences=True), LSTM(128), Dense(52, softmax)". Without it the weights
        tell the architecture, unless they fit several.
    output: the name of the layer whose output is wanted, for a model with several outputs.
    heads: the outputs that form one note, in the order in which their values enter, such as
        "pitch/128,step,duration" or "pitch+21/88=notes,step=dt,duration". An entry begins with
        pitch, step, duration or velocity. +LOWEST is the value of output 0. A value less LOWEST is
        divided by /DIVISOR when it enters. =NAME is the name of the output. By default outputs
        with such names are heads, and a pitch is divided by the number of pitches.
    labels: the name of each output. The model then classifies and does not generate. The vocabulary
        and the padding are those of its input.
    vocab: the vocabulary, as a Python object or as the path of a file (docs/vocabularies.md). A
        file is JSON, a `.npy`, a `.txt` with one element in each line, or a pickle, of which
        nothing is run. The object is one of these:
        - a list of elements in the order of the outputs. If the first one is empty, id 0 is
          padding, which is never drawn;
        - a mapping from element to index, or from index to element. If the indices start at 1,
          id 0 is padding;
        - a Keras `Tokenizer`, or what its `to_json` returns;
        - a list of notes with repetitions. Their sorted names are the elements, and their first
          window is the default prime;
        - pairs of element and index;
        - a list or a mapping with one of these as an entry, such as {"char2idx": {...}}.
    vocab_from: the path of the corpus. The elements are its characters in the order of
        `sorted(set(text))`, and its first window is the default prime. Line ends are kept. They are
        read as `\n` if only then the number of characters is right.
    lower: whether the corpus is lower-cased before its characters are counted.
    charset: the character set of the corpus. The default is "utf-8". With "bytes" the elements are
        the bytes of the corpus.
    encoding: how an element enters: "onehot", "index", "scaled" (id / n), "raw" (the id, or the
        element's own number) or "features". By default the network decides. If one number enters,
        a sequence of the training or a prime is measured, and the likeliest encoding is taken.
    input_values: with the encoding "raw", the number that enters for each element. It may be a rule
        of `lstmgen.elements.RULES`, such as "id", "number" (the element's own), "number/127" or
        "id/(n-1)".
    prime: the default prime: text, elements or ids.
    padding: what fills a window on the left while the prime is short. It is an element or its id,
        which is never drawn, "zeros" for vectors of zeros, or "none". By default the vocabulary or
        a mask of the network decides.
    window: the number of time steps T, at least 1, if the model was saved without a fixed length.
    trusted: whether this process reads the file. By default a separate process does, within
        limits: see `lstmgen.keras_file.read`.
    dtype: how matrices are stored. "f32" is the default. "bf16" has half the size and 8 bits of
        precision, also for the numbers that a matrix is multiplied with. "int8" has a quarter of
        the size, in steps of 1/127 of the greatest weight of each column.
    vocabulary_kind: "text" if the joined elements are the text, "tokens", or "bytes". The default
        is "text" if each element is one character or a name in <> or [], such as "[UNK]".
    name, description, author, license, source_url: facts for people. The license is as in SPDX.
    card: more facts, as a mapping or as the text of a JSON object.
    grammar: which texts are well-formed, in GBNF (docs/grammar.md), for the option `grammar="own"`.

    >>> options: ExportOptions = {"vocab": ["a", "b"], "dtype": "bf16"}
    >>> sorted(options)
    ['dtype', 'vocab']
    """

    config: Architecture | None
    output: str | None
    heads: str | Sequence[str] | None
    labels: Sequence[str] | None
    vocab: Vocab | None
    vocab_from: File | None
    lower: bool | None
    charset: str | None
    encoding: str | None
    input_values: str | Sequence[float] | None
    prime: str | Iterable[str | int] | None
    padding: str | int | None
    window: int | None
    trusted: bool | None
    dtype: str | None
    vocabulary_kind: str | None
    name: str | None
    description: str | None
    author: str | None
    license: str | None
    source_url: str | None
    card: Mapping[str, Any] | str | None
    grammar: str | None


FACTS = ("name", "description", "author", "license", "source_url")  # the options that are facts for people


@with_keywords(ExportOptions, meaning=ExportOptions.__doc__ or "")
def export(source: Source, out: File, **options: Unpack[ExportOptions]) -> None:
    """Write a model that Keras saved as a `.bin`.

    source: the path or the bytes of the model, or the name of a bundled one. A `.bin`
        takes only `dtype`, `grammar` and `card`, whose facts replace those that it has.
    out: the path of the new file. It holds either all of the new file or what it held before.
    options: see `lstmgen.exporting.ExportOptions`.

    A `UserWarning` tells each doubtful assumption. `Model.assumed` of the file has all assumptions.
    Raises what `convert` raises, and `OSError` that names `out` if it cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> from lstmgen.model import Model
    >>> with TemporaryDirectory() as folder:
    ...     export(Model("latex").to_bytes(), f"{folder}/m.bin", dtype="f32")
    ...     Model(f"{folder}/m.bin").dtype
    'f32'
    """
    source = resolved(source)
    check_other_file(source, arguments.path("out", out))
    exported = build(source, options)
    _warn(exported.doubtful)
    files.write(out, exported.data)


@with_keywords(ExportOptions, meaning=ExportOptions.__doc__ or "")
def convert(source: Source, **options: Unpack[ExportOptions]) -> bytes:
    """Return the bytes of the `.bin` of a model that Keras saved.

    source, options: as in `export`. The same arguments give the same bytes.

    A `UserWarning` tells each doubtful assumption. Raises `OSError` that names a file that cannot
    be read, and `ModelFormatError` for a model that is broken or not supported. Raises `ValueError`
    or `TypeError` for an option that does not fit the model, and `TypeError` for an option that
    does not exist.

    >>> from lstmgen.model import Model
    >>> data = Model("latex").to_bytes()
    >>> convert(data, dtype="int8") == data
    True
    """
    exported = build(source, options)
    _warn(exported.doubtful)
    return exported.data


_JUDGED = 16  # how many windows of a sequence tell whether the order of a vocabulary is right
_PRIME = 40  # elements of the default prime of a model without a window
_MEASURED = 20_000  # elements at the start of a sequence from which windows are taken


class Exported(NamedTuple):
    """The bytes of a `.bin`, and what was decided to make it.

    data: the bytes.
    assumed: a sentence for each assumption.
    doubtful: those of the sentences that a caller is warned of.
    why: the reason that it is a generator or a predictor, as a clause.
    nameless: whether the elements are ids without names.

    >>> Exported(b"GGUF...", ("id 0 fills a short window",)).doubtful
    ()
    """

    data: bytes
    assumed: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    why: str = ""
    nameless: bool = False


def _warn(assumed: Iterable[str]) -> None:
    for sentence in assumed:
        warnings.warn(sentence, UserWarning, stacklevel=3)  # for the caller of `export`, `convert`


def build(source: Source, options: ExportOptions, network: Network | None = None) -> Exported:
    """Return the `.bin` of `source`, and what was assumed to make it.

    source, options: as in `export`. network: what `keras_file` read from `source`; None: it is read
    now. Raises what `convert` raises, and warns of nothing.

    >>> from lstmgen.model import Model
    >>> build(Model("latex").to_bytes(), {"dtype": "int8"}).assumed
    ()
    """
    with busy("exporting"), to_nearest():
        return _built(source, options, network)


def check_names(who: str, options: Iterable[str], *others: str) -> None:
    """Raise `TypeError` for an option that does not exist.

    who: what takes the options.
    others: options that it takes besides those of an export.

    >>> check_names("Model", ["vocab"])
    """
    known = [*ExportOptions.__annotations__, *others]
    if unknown := set(options).difference(known):
        first = min(unknown)
        raise TypeError(f"{who} has no option {first}{near(first, known)}")


def _built(source: Source, options: ExportOptions, network: Network | None) -> Exported:
    check_names("export", options)
    if not isinstance(source, bytes):
        arguments.path("source", source)
    if is_bin(source):
        return _repacked(source, options)
    if network is None:
        network = keras_file.read(
            source,
            config=options.get("config"),
            output=options.get("output"),
            heads=options.get("heads"),
            window=options.get("window"),
            trusted=options.get("trusted"),
        )
    try:
        return _pack(network, options)
    except ModelFormatError as error:  # the model is wrong, not an option
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        raise ModelFormatError(f"{name}: {error}") from None


def _repacked(source: Source, options: ExportOptions) -> Exported:
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    taken = ("dtype", "grammar", "card")
    if rest := [
        option(key) for key, value in options.items() if key not in taken and value is not None and value is not False
    ]:
        known = ", ".join(map(option, taken))
        raise ValueError(f"{name}: expected only the options {known} for a .bin, found {', '.join(sorted(rest))}")
    data = read_bin(source)
    data = repack(data, name, options.get("dtype"))
    if (grammar := options.get("grammar")) is not None:
        data = with_grammar(data, _checked_grammar(data, grammar))
    if (card := options.get("card")) is not None:
        from lstmgen import _core  # exporting itself needs no native module

        kept = read_card(_core.Model.from_bytes(data, name).info.card)
        data = with_card(data, card_text(card, kept if isinstance(kept, dict) else {}) or "{}")
    return Exported(data, ())


def _checked_grammar(data: bytes, grammar: object) -> str:
    """Return a grammar. Raises `ValueError` if the elements of a `.bin` cannot spell it."""
    from lstmgen import _core  # exporting itself needs no native module

    _expect("grammar", grammar, (str,), "a grammar in GBNF")
    try:
        return _core.Grammar(_core.Model.from_bytes(data, "<export>"), utf8("grammar", str(grammar)), ()).text
    except OptionError:
        raise
    except ValueError as error:
        raise ValueError(f"{option('grammar')}: {str(error).partition(': ')[2]}") from None


def _pack(network: Network, options: ExportOptions) -> Exported:
    network = _with_window(network, options.get("window"))
    if "heads" in network.elements:
        return _pack_notes(network, options)
    labels = _labels(options.get("labels"))
    outputs, wanted = _outputs(network, options)
    listing, generates = _listing(network, options, labels is None and outputs.generates, labels is not None)
    told = options.get("encoding")
    if labels is None and told not in (None, "features") and not (told == "index" and network.takes_ids):
        writer.check_encoding(network, told, generates=True)
    if labels is None and not generates:
        _check_predictor(outputs, options, network)
    if listing and generates:
        listing = _by_number(network, listing, told)
    vocabulary = Vocabulary(listing.elements, listing.kind or "tokens", listing.tokenizer) if listing else None
    assumed = [Assumption(text, doubtful=True) for text in network.assumed + (listing.assumed if listing else ())]
    if labels is None and told != "features":
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
    if (grammar := options.get("grammar")) is not None:
        if not generates:
            raise ValueError(f"{option('grammar')}: expected a network that generates, found one that does not")
        data = with_grammar(data, _checked_grammar(data, grammar))
    return Exported(
        data,
        tuple(assumption.text for assumption in assumed),
        tuple(assumption.text for assumption in assumed if assumption.doubtful),
        outputs.why,
        listing is None and generates,
    )


def _outputs(network: Network, options: ExportOptions) -> tuple[Outputs, bool]:
    """Return what the outputs are, and whether an option says that the network generates."""
    encoding = options.get("encoding")
    if encoding not in (None, *writer.ENCODINGS):
        raise OptionError("encoding", f"one of {', '.join(writer.ENCODINGS)}", encoding)
    of_elements = ("encoding", "input_values", "prime", "vocab", "vocab_from")
    wanted = encoding != "features" and any(options.get(name) is not None for name in of_elements)
    outputs = elements.outputs_of(network, wanted)
    return outputs._replace(generates=outputs.generates and encoding != "features"), wanted


def _facts(options: ExportOptions) -> dict[str, Any]:
    """Return the options that are facts for people."""
    return {name: value for name, value in options.items() if name in FACTS}


_NOTE_WINDOW = 25  # time steps of a window in TensorFlow's tutorial
_NOT_OF_NOTES = (
    *("labels", "vocab", "vocab_from", "lower", "charset", "vocabulary_kind"),
    *("input_values", "prime", "padding", "grammar"),
)


def _pack_notes(network: Network, options: ExportOptions) -> Exported:
    """Return the `.bin` of a network whose outputs form one note."""
    asked = [name for name, value in options.items() if name in _NOT_OF_NOTES and value is not None]
    if options.get("encoding") not in (None, "features"):
        asked.append("encoding")
    if asked:
        names = ", ".join(str(head.layer) for head in network.elements["heads"])
        raise ValueError(f"{option(asked[0])}: the outputs {names} form one note, which has no such option")
    found, said = elements.note_heads(network)
    assumed = [Assumption(text, doubtful=True) for text in network.assumed] + said
    if not network.window:
        network = replace(network, window=_NOTE_WINDOW)
        text = f"windows of {_NOTE_WINDOW} notes, as in the tutorial; {option('window', ...)} sets another length"
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
        f"{len(found)} outputs form one note",
    )


def _check_predictor(outputs: Outputs, options: ExportOptions, network: Network) -> None:
    """Raise `ValueError` for an option that only a network that generates can have."""
    asked = [name for name in ("encoding", "input_values", "prime", "padding") if options.get(name) is not None]
    if not network.takes_ids:
        asked += [name for name in ("vocab", "vocab_from") if options.get(name) is not None]
    if options.get("encoding") in ("features", "index"):
        asked.remove("encoding")
    if "padding" in asked and (network.takes_ids or options.get("padding") == "none"):  # of its input
        asked.remove("padding")
    if asked:
        raise ValueError(
            f"{option(asked[0])}: expected a network that generates, found one that predicts: {outputs.why}"
        )


def _encoding(
    network: Network,
    options: ExportOptions,
    vocabulary: Vocabulary | None,
    listing: Listing | None,
    prime: Sequence[int],
    generates: bool,
    assumed: list[Assumption],
) -> Encoding:
    """Return how an element enters. Adds what it assumes to `assumed`."""
    told, values = options.get("encoding"), options.get("input_values")
    own = elements.own_numbers(vocabulary.elements if vocabulary else None)
    if values is not None:
        given = elements.given_values(values, network.outputs, own)
        if told not in (None, "raw"):
            raise ValueError(f"{option('input_values')}: expected {option('encoding', 'raw')}, found {brief(told)}")
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
    """Return the name of the file that the sequence of the training comes from."""
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
    """Return what fills a short window. Adds what it assumes to `assumed`."""
    told, names = options.get("padding"), listing.elements if listing else None
    count = network.outputs if generates else network.input_size
    if told is not None:
        padding = elements.given_padding(told, names, count)
        if listing and listing.padding is not None and padding.id != listing.padding:
            raise OptionError("padding", f"{listing.padding}, the only id that has no element", told)
        if padding.zeros and encoding == "index":
            why = "the network takes ids: give an id or an element"
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
    """Return the ids that a sample starts from if the user gives none."""
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
        raise ValueError(f"{option('window')}: expected {network.window}, as the model was saved with, found {window}")
    return replace(network, window=window)


# -- vocabulary and prime ------------------------------------------------------------------------


def _listing(
    network: Network, options: ExportOptions, generates: bool, classifies: bool
) -> tuple[Listing | None, bool]:
    """Return the vocabulary that the options or the file name, and whether the network generates.

    An Embedding may take more ids than there are outputs. The size of the vocabulary then tells
    whether its elements are those of the input or of the output.
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
    """Return the vocabulary of `size` elements that the options or the file name."""
    vocab, vocab_from = options.get("vocab"), options.get("vocab_from")
    if vocab is not None and vocab_from is not None:
        raise ValueError(f"{option('vocab')} and {option('vocab_from')}: give one of the two")
    if vocab_from is None:
        for name in ("lower", "charset"):
            if options.get(name):
                raise ValueError(f"{option(name)}: expected a corpus, {option('vocab_from')}, too")
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
        raise ValueError(
            f"{option('vocabulary_kind')}: expected a vocabulary, {option('vocab')} or {option('vocab_from')}, too"
        )
    settings = network.elements.get("tokenizer")
    if found is not None and settings is not None and found.tokenizer is None:
        found = found._replace(tokenizer=Tokenizer.of(settings, Tokenizer()))
    return found


def _by_number(network: Network, listing: Listing, encoding: str | None) -> Listing:
    """Return `listing` in the order of its numbers, if that makes the sequence likelier.

    A program that reads its notes from text may sort them as text, "100" before "60".
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
    """Return the first vocabulary beside a file that fits, or None.

    A vocabulary whose name belongs to the file must fit.
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
    """Return the element that comes before each prime, if the file and the vocabulary have one."""
    start = network.elements.get("start")
    return start if listing is not None and start in listing.elements else None


def _carried(network: Network, listing: Listing | None, assumed: Sequence[Assumption]) -> dict[str, Any]:
    """Return what the card holds for programs (section 7 of docs/format.md)."""
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
    lower, charset = options.get("lower"), options.get("charset")
    _expect("vocab_from", path, (str, os.PathLike), "a path")
    _expect("lower", lower, (bool, NoneType), "True or False")
    _expect("charset", charset, (str, NoneType), "a name such as 'latin-1'")
    if is_text(path):
        hint = f"the path of the corpus; {option('vocab', ...)} takes sorted(set(text))"
        raise OptionError("vocab_from", hint, path)
    listing = reading.read_corpus(path, outputs, lower=bool(lower), charset=charset or "utf-8")
    return listing._replace(kind=options.get("vocabulary_kind") or listing.kind)


def _expect(name: str, value: object, types: tuple[type, ...], expected: str) -> None:
    if not isinstance(value, types):
        raise OptionTypeError(name, expected, value)


def _prime_ids(prime: str | Iterable[str | int] | None, vocabulary: Vocabulary | None) -> list[int]:
    """Return the ids of a prime. Plain ids need no vocabulary."""
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
    """Return a card with more facts, as the text of a JSON object.

    card: a mapping, the text of a JSON object, or None.
    facts: facts that the card gets, unless it has them already.

    Returns None without a card and facts. Raises `ValueError` for a text that is no JSON object,
    and `OptionTypeError` for another type.

    >>> card_text({"b": 1}, {"a": 2, "b": 3})
    '{"a": 2, "b": 1}'
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
    """Return facts and a card in one mapping. The card wins, and recommended options are merged."""
    both = {**facts, **card}
    samples = [held["sample"] for held in (facts, card) if isinstance(held.get("sample"), Mapping)]
    return {**both, "sample": {**samples[0], **samples[1]}} if len(samples) == 2 else both


def check_other_file(source: Source, out: File) -> None:
    """Raise `ValueError` if the export would replace `source`, or anything else than a `.bin`.

    >>> check_other_file("no such file.h5", "m.bin")
    """
    if not isinstance(source, bytes) and os.path.exists(out) and os.path.samefile(source, out):
        raise ValueError(f"{os.fspath(out)}: the export would replace its own source: give another name")
    check_replaceable(out)


def check_replaceable(out: File) -> None:
    """Raise `ValueError` if `out` is a file that has something else than a `.bin`.

    >>> check_replaceable("no such file.bin")
    """
    if not os.path.isfile(out):
        return
    with open(out, "rb") as file:
        begins = file.read(8)
    if begins and not is_bin(begins):
        keras = begins.startswith((b"\x89HDF\r\n", b"PK\x03\x04"))
        what = "a model of Keras" if keras else "a file that is no .bin"
        raise ValueError(f"{os.fspath(out)}: the export would replace {what}: give a name such as my.bin")
