"""Writes a network as a `.bin`: checks what docs/format.md demands, and gives each fact its key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Required, TypedDict, Unpack

import numpy as np

from lstmgen.arguments import choice
from lstmgen.binfile import gguf, rounding
from lstmgen.binfile.rounding import DTYPES, ROUNDING_TOLERANCE
from lstmgen.errors import ModelFormatError, OptionError, option
from lstmgen.escaping import brief
from lstmgen.network import (
    MAX_LAYERS,
    MAX_MATRIX,
    MAX_SIZE,
    MAX_STEPS,
    NETWORK_INPUT,
    NO_MAXIMUM,
    Array,
    Layer,
    Network,
    Shape,
    reference,
)
from lstmgen.network.activations import ACTIVATIONS
from lstmgen.progress import counting

ENCODINGS = ("onehot", "index", "scaled", "raw", "features")
ONE_NUMBER = ("scaled", "raw")  # encodings in which an element enters as one number
PADDED_WITH_ZEROS = ("onehot", *ONE_NUMBER)  # encodings whose windows vectors of zeros may fill
VOCABULARY_KINDS = ("text", "tokens", "bytes")
MAX_STRING = 2**16  # bytes
MAX_CARD = 2**20  # and of a grammar
CARD = "lstmgen.card"
GRAMMAR = "lstmgen.grammar"

_FILE_TYPES = {"f32": 0, "bf16": 32, "int8": 24}
_BYTE = r"<0x(?!00)[0-9A-F]{2}>"  # the name of an element of kind "bytes"


class Contents(TypedDict, total=False):
    """The contents of a `.bin` beside its network. All but `encoding` may be left out or be None.

    encoding: how an element enters, one of `ENCODINGS`.
    dtype: the type of the matrices, one of `DTYPES`. The default is "f32".
    labels: the name of each output. They make the network a classifier.
    predictor: the outputs are no elements, so that the network does not generate.
    vocabulary: the elements in the order of their ids. They are those of the input for a
        classifier and a predictor, and so is `padding`.
    vocabulary_kind: one of `VOCABULARY_KINDS`. A vocabulary needs it.
    prime: the ids of the default prime.
    padding: the id that fills a short window.
    zero_padding: vectors of zeros fill a short window, not an element.
    input_values: with the encoding "raw", the number that enters for each element.
    name, description, author, license, source_url: texts for people.
    card: more facts, as the text of a JSON object.
    grammar: which texts are well-formed, in GBNF.

    >>> contents: Contents = {"encoding": "onehot", "dtype": "int8"}
    >>> sorted(contents)
    ['dtype', 'encoding']
    """

    encoding: Required[str]
    dtype: str
    labels: Sequence[str] | None
    predictor: bool
    vocabulary: Sequence[str] | None
    vocabulary_kind: str | None
    prime: Sequence[int] | None
    padding: int | None
    zero_padding: bool
    input_values: Sequence[float] | None
    name: str | None
    description: str | None
    author: str | None
    license: str | None
    source_url: str | None
    card: str | None
    grammar: str | None


# The key of each text for people.
FACTS = {
    "general.name": "name",
    "general.description": "description",
    "general.author": "author",
    "general.license": "license",
    "general.source.url": "source_url",
}


def pack(network: Network, **contents: Unpack[Contents]) -> bytes:
    """Return the bytes of a `.bin` that holds `network`. The same arguments give the same bytes.

    contents: see `Contents`.

    Raises `ModelFormatError` for a network that docs/format.md does not allow, and `ValueError` for
    a fact that it does not allow. Raises `TypeError` for a fact that does not exist.

    >>> arrays = {"kernel": np.eye(2, dtype="f4"), "bias": np.zeros(2, "f4")}
    >>> arrays["recurrent_kernel"] = np.zeros((2, 2), "f4")
    >>> options = {"units": 2, "activation": "tanh", "return_sequences": False}
    >>> network = Network((Layer("simple_rnn", "rnn", options, arrays),), 0, 2, "")
    >>> pack(network, encoding="features", predictor=True)[:4]
    b'GGUF'
    """
    if unknown := contents.keys() - Contents.__annotations__.keys():
        raise TypeError(f"pack() got an unexpected keyword argument {min(unknown)!r}")
    dtype = choice("dtype", contents.get("dtype", "f32"), DTYPES)
    _check_network(network)
    elements = _check_contents(network, contents)
    given = contents.get("input_values")
    values = None if given is None else _checked_values(given, contents["encoding"], elements)
    keys = _fact_keys(network, contents, dtype, values)
    keys |= _layer_keys(network)
    keys |= _self_test_keys(rounding.rounded(network, dtype), contents["encoding"], elements, values, dtype)
    return gguf.assemble(keys, rounding.stored(network, dtype))


# -- keys and values -------------------------------------------------------------------------------


def _fact_keys(network: Network, contents: Contents, dtype: str, values: Array | None) -> dict[str, bytes]:
    """Return the keys of the network as a whole."""
    keys = {
        "general.architecture": gguf.string("lstmgen"),
        "general.alignment": gguf.u32(gguf.ALIGNMENT),
        "general.file_type": gguf.u32(_FILE_TYPES[dtype]),
    }
    for key, fact in FACTS.items():
        if (text := contents.get(fact)) is not None:
            keys[key] = gguf.string(limited(fact, text))
    keys["lstmgen.format"] = gguf.u32(1)
    keys["lstmgen.keras_version"] = gguf.string(limited("keras_version", network.keras_version))
    if (card := contents.get("card")) is not None:
        keys[CARD] = gguf.string(limited("card", card, MAX_CARD))
    if (grammar := contents.get("grammar")) is not None:
        keys[GRAMMAR] = gguf.string(limited("grammar", grammar, MAX_CARD))
    keys["lstmgen.encoding"] = gguf.string(contents["encoding"])
    keys["lstmgen.input_size"] = gguf.u32(network.input_size)
    if values is not None:
        keys["lstmgen.input_values"] = gguf.numbers(gguf.F32, values)
    keys["lstmgen.window"] = gguf.u32(network.window)
    if contents.get("predictor"):
        keys["lstmgen.predictor"] = gguf.boolean(True)
    if (labels := contents.get("labels")) is not None:
        keys["lstmgen.labels"] = gguf.strings(labels)
    vocabulary, kind = contents.get("vocabulary"), contents.get("vocabulary_kind")
    if vocabulary is not None and kind is not None:
        keys["lstmgen.vocabulary"] = gguf.strings(vocabulary)
        keys["lstmgen.vocabulary_kind"] = gguf.string(kind)
    if prime := contents.get("prime"):
        keys["lstmgen.prime"] = gguf.numbers(gguf.U32, prime)
    if (padding := contents.get("padding")) is not None:
        keys["lstmgen.padding"] = gguf.u32(padding)
    if contents.get("zero_padding"):
        keys["lstmgen.zero_padding"] = gguf.boolean(True)
    return keys


def _layer_keys(network: Network) -> dict[str, bytes]:
    keys = {"lstmgen.layer_count": gguf.u32(len(network.layers))}
    for i, layer in enumerate(network.layers):
        prefix = f"lstmgen.layer.{i}."
        keys[prefix + "type"] = gguf.string(layer.type)
        keys[prefix + "name"] = gguf.string(layer.name)
        if network.inputs(i) != (i - 1,):
            keys[prefix + "inputs"] = gguf.numbers(gguf.U32, [j + 1 for j in network.inputs(i)])
        for key in layer.row.keys:
            value = layer.options[key]
            if isinstance(value, bool):
                keys[prefix + key] = gguf.boolean(value)
            elif isinstance(value, float):
                keys[prefix + key] = gguf.f64(value)
            else:
                keys[prefix + key] = gguf.string(value) if isinstance(value, str) else gguf.u32(value)
    return keys


def _self_test_keys(
    network: Network, encoding: str, elements: int, values: Array | None, dtype: str
) -> dict[str, bytes]:
    steps = 2 * reference.recurrent_steps(network, reference.self_test_steps(network))
    with counting(steps, "steps", "making the self-test") as done, reference.watched(done):
        given, output, tolerance = reference.self_test(network, encoding, elements, values)
    if dtype == "int8":  # the engine rounds what it multiplies with the weights, too
        tolerance = max(tolerance, ROUNDING_TOLERANCE[dtype] * float(np.abs(output).max()))
    features = encoding == "features"
    key, code = ("features", gguf.F32) if features else ("ids", gguf.U32)
    return {
        f"lstmgen.selftest.{key}": gguf.numbers(code, given),
        "lstmgen.selftest.output": gguf.numbers(gguf.F64, output),
        "lstmgen.selftest.tolerance": gguf.f64(tolerance),
    }


# -- what the format demands -----------------------------------------------------------------------


def _check_contents(network: Network, contents: Contents) -> int:
    """Raise an error for a fact that is not allowed. Returns how many elements there are."""
    encoding = contents["encoding"]
    labels, predictor, padding = contents.get("labels"), contents.get("predictor", False), contents.get("padding")
    generates = labels is None and not predictor
    check_encoding(network, encoding, generates)
    if labels is not None:
        _check_labels(network, labels, predictor)
    if not generates:
        kind = "predictor" if labels is None else "classifier, which has labels,"
        if encoding in ONE_NUMBER:
            raise ValueError(f"a {kind} takes 'onehot', 'index' or 'features', not {encoding!r}")
        if contents.get("prime") is not None:
            raise ValueError(f"{option('prime')}: a {kind} does not generate")
        if encoding == "features" and (contents.get("vocabulary") is not None or padding is not None):
            raise ValueError(f"vocabulary, padding: a {kind} that takes features has no elements")
    elements = network.outputs if generates else network.input_size
    if padding is not None:
        _in_range("padding", padding, 0, elements - 1)
    if contents.get("zero_padding"):
        _check_zero_padding(network, encoding, padding)
    what = "outputs" if generates else "inputs"
    _check_vocabulary(elements, what, contents.get("vocabulary"), contents.get("vocabulary_kind"), padding)
    _check_prime(network, encoding, contents.get("prime"))
    return elements


def _check_network(network: Network) -> None:
    layers = network.layers
    _in_range("input_size", network.input_size, 1, MAX_SIZE)
    _in_range("window", network.window, 0, MAX_STEPS)
    _in_range("number of layers", len(layers), 1, MAX_LAYERS)
    names = [layer.name for layer in layers]
    read = {j for i in range(len(layers)) for j in network.inputs(i)}
    for i, layer in enumerate(layers):
        where = f"layer {layer.name}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", layer.name):
            raise ModelFormatError(f"{where}: name: expected 1 to 40 of A-Z a-z 0-9 _ -, found {layer.name!r}")
        if names.count(layer.name) > 1:
            raise ModelFormatError(f"{where}: two layers have this name")
        if not all(NETWORK_INPUT <= j < i for j in network.inputs(i)):
            raise ModelFormatError(f"{where}: reads layers {network.inputs(i)}, which do not all come before it")
        if i not in read and i < len(layers) - 1:
            raise ModelFormatError(f"{where}: no layer reads it")
        _check_options(where, layer)
        _check_source(network, i)
    if not any(layer.row.recurrent for layer in layers):
        raise ModelFormatError("the network has no recurrent layer, such as LSTM")
    for layer, value in zip(layers, network.values, strict=True):
        _in_range(f"layer {layer.name}: size of the output", value.size, 1, MAX_SIZE)
    for i, layer in enumerate(layers):
        _check_arrays(f"layer {layer.name}", layer.arrays, layer.tensors(network.size_into(i)))


def _check_source(network: Network, i: int) -> None:
    """Raise `ModelFormatError` unless ids enter embeddings and masks, and numbers other layers."""
    layer, from_input = network.layers[i], NETWORK_INPUT in network.inputs(i)
    if layer.type == "embedding" and not from_input:
        raise ModelFormatError(f"layer {layer.name}: an embedding can only read the network's input")
    if layer.type == "embedding" and layer.options["input_dim"] != network.input_size:
        expected, found = layer.options["input_dim"], network.input_size
        raise ModelFormatError(f"input_size: expected {expected} (input_dim of {layer.name}), found {found}")
    if from_input and network.takes_ids and not layer.row.reads_ids:
        raise ModelFormatError(f"layer {layer.name}: expected numbers, but the network's input is ids")


def _check_options(where: str, layer: Layer) -> None:
    try:
        keys = layer.row.keys
    except ModelFormatError as error:
        raise ModelFormatError(f"{where}: {error}") from None
    if layer.options.keys() != keys.keys():
        raise ModelFormatError(f"{where}: expected {list(keys)}, found {list(layer.options)}")
    for name, key in keys.items():
        value = layer.options[name]
        if type(value) is not key.kind:
            raise ModelFormatError(f"{where}: {name}: expected {key.kind.__name__}, found {brief(value)}")
        if key.kind is int:
            _in_range(f"{where}: {name}", value, key.least, key.most)
        if key.kind is str and value not in ACTIVATIONS:
            raise ModelFormatError(f"{where}: {name}: unknown activation {value!r}")
        if isinstance(value, float) and not abs(value) <= NO_MAXIMUM:
            raise ModelFormatError(f"{where}: {name}: expected a finite float32, found {brief(value)}")


def _check_arrays(where: str, arrays: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    if arrays.keys() != shapes.keys():
        raise ModelFormatError(f"{where}: expected {list(shapes)}, found {list(arrays)}")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape:
            raise ModelFormatError(f"{where}: {name}: expected {shape}, found {array.shape}")
        if array.dtype != np.float32:
            raise ModelFormatError(f"{where}: {name}: expected float32, found {array.dtype}")
        _in_range(f"{where}: {name}: size", array.size, 1, MAX_MATRIX)
        if not np.isfinite(array).all():
            raise ModelFormatError(f"{where}: {name}: holds NaN or infinite numbers")


def check_encoding(network: Network, encoding: str, generates: bool) -> None:
    """Raise an error if the elements of a network cannot enter by an encoding.

    encoding: one of `ENCODINGS`, else `OptionError`.
    generates: whether the network generates.

    Raises `ValueError` for an encoding that does not fit the network.

    >>> arrays = {"kernel": np.eye(2, dtype="f4"), "bias": np.zeros(2, "f4")}
    >>> layer = Layer("dense", "output", {"units": 2, "activation": "softmax"}, arrays)
    >>> check_encoding(Network((layer,), 0, 2, ""), "onehot", generates=True)
    """
    size, outputs = network.input_size, network.outputs
    if encoding not in ENCODINGS:
        raise OptionError("encoding", f"one of {', '.join(ENCODINGS)}", encoding)
    if network.takes_ids and encoding != "index":
        raise ValueError(f"{option('encoding', encoding)}: the network begins with an Embedding: 'index'")
    if encoding == "index" and not network.takes_ids:
        raise ValueError(f"{option('encoding', 'index')}: the network does not begin with an Embedding")
    if not generates:
        return
    if encoding == "index" and size < outputs:
        raise ModelFormatError(f"the network has {outputs} outputs, but takes only {size} ids: it is a predictor")
    if encoding == "onehot" and size != outputs:
        raise ValueError(f"{option('encoding', 'onehot')}: the network has {size} inputs and {outputs} outputs")
    if encoding in ONE_NUMBER and size != 1:
        raise ValueError(f"{option('encoding', encoding)}: the network takes {size} numbers per step, not 1")


def _check_zero_padding(network: Network, encoding: str, padding: int | None) -> None:
    if encoding not in PADDED_WITH_ZEROS:
        known = ", ".join(PADDED_WITH_ZEROS)
        raise ValueError(f"{option('padding', 'zeros')}: expected the encoding {known}, found {brief(encoding)}")
    if padding is not None:
        raise ValueError(f"zero_padding: expected no padding beside it, found the id {padding}")
    if not network.window:
        raise ValueError(f"{option('padding', 'zeros')}: expected a network with a window, found none")


def _checked_values(values: Sequence[float], encoding: str, elements: int) -> Array:
    if encoding != "raw":
        raise ValueError(f"{option('input_values')}: expected {option('encoding', 'raw')}, found {brief(encoding)}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        found = np.asarray(values, np.float32)
    if found.shape != (elements,):
        raise OptionError("input_values", f"{elements} numbers, one for each element", found.shape)
    if not np.isfinite(found).all():
        i = int(np.flatnonzero(~np.isfinite(found))[0])
        raise OptionError("input_values", f"a finite float32 number for element {i}", values[i])
    return found


def _check_labels(network: Network, labels: Sequence[str], predictor: bool) -> None:
    if predictor:
        raise ValueError("predictor: a network with labels is a classifier")
    if network.outputs < 2:
        raise ModelFormatError(f"{option('labels')}: expected at least 2 outputs, found {network.outputs}")
    if network.returns_sequences:
        raise ModelFormatError(f"{option('labels')}: expected one output, found one at each step")
    if len(labels) != network.outputs:
        raise OptionError("labels", f"{network.outputs}, one for each output", len(labels))
    for i, label in enumerate(labels):
        if not limited(f"label {i}", label):
            raise ValueError(f"label {i}: expected text, found an empty one")
        if label in labels[:i]:
            raise ValueError(f"{option('labels')}: {label!r} appears twice")


def _check_vocabulary(
    count: int, what: str, vocabulary: Sequence[str] | None, kind: str | None, padding: int | None
) -> None:
    if (vocabulary is None) != (kind is None):
        raise ValueError(f"{option('vocab')} and {option('vocabulary_kind')} need each other")
    if vocabulary is None:
        return
    if kind not in VOCABULARY_KINDS:
        raise OptionError("vocabulary_kind", f"one of {VOCABULARY_KINDS}", kind)
    if len(vocabulary) != count:
        raise ValueError(f"the vocabulary has {len(vocabulary)} elements, the network {count} {what}")
    seen: dict[str, int] = {}
    for i, element in enumerate(vocabulary):
        if not limited(f"vocabulary element {i}", element) and i != padding:
            raise ValueError(f"vocabulary element {i}: expected text, found an empty one that is not the padding")
        if kind == "bytes" and element and not re.fullmatch(_BYTE, element):
            raise ValueError(f"vocabulary element {i}: expected a byte, <0x01> to <0xFF>, found {element!r:.40}")
        if element in seen:
            raise ValueError(f"vocabulary: {element!r} is element {seen[element]} and {i}")
        seen[element] = i


def _check_prime(network: Network, encoding: str, prime: Sequence[int] | None) -> None:
    if prime is None:
        return
    if encoding == "features":
        raise ValueError(f"{option('prime')}: a network that takes features does not generate")
    _in_range("length of the prime", len(prime), 0, MAX_STEPS)
    for i, element in enumerate(prime):
        _in_range(f"{option('prime')}: id {i}", element, 0, network.outputs - 1)


def _in_range(what: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ModelFormatError(f"{what}: expected {low} to {high}, found {brief(value)}")


def limited(what: str, text: object, limit: int = MAX_STRING) -> str:
    """Return `text` if the format can hold it as a string.

    what: the name of the text in an error. limit: the most bytes of its UTF-8.

    Raises `TypeError` for what is no text, and `ValueError` for a text that is too long, is not
    UTF-8, or holds U+0000.

    >>> limited("name", "latex")
    'latex'
    """
    if not isinstance(text, str):
        raise TypeError(f"{what}: expected str, found {type(text).__name__}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {text[:40]!r} cannot be stored as UTF-8") from None
    if size > limit:
        raise ValueError(f"{what}: expected at most {limit} bytes, found {size}")
    if "\0" in text:
        raise ValueError(f"{what}: expected text without U+0000, found {text[:40]!r}")
    return text
