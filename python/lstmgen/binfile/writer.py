"""Writer of the `.bin` file: docs/format.md, byte by byte."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import ModelFormatError, OptionError
from lstmgen.network import (
    LAYER_OPTIONS,
    MATRICES,
    MAX_LAYERS,
    MAX_MATRIX,
    MAX_SIZE,
    MAX_STEPS,
    NETWORK_INPUT,
    NO_MAXIMUM,
    RECURRENT,
    Array,
    Layer,
    Network,
    reference,
    tensor_shapes,
)
from lstmgen.network.activations import ACTIVATIONS

ENCODINGS = ("onehot", "index", "scaled", "raw", "features")
ONE_NUMBER = ("scaled", "raw")  # encodings in which an element enters as one number
PADDED_WITH_ZEROS = ("onehot", *ONE_NUMBER)  # encodings whose windows vectors of zeros may fill
NUMBER_BYTES = {"f32": 4, "bf16": 2, "int8": 1}
DTYPES = tuple(NUMBER_BYTES)
_FILE_TYPES = {"f32": 0, "bf16": 32, "int8": 24}
# How far an output may lie from that of the weights as stored, relative to the greatest, since what they are multiplied
# with is rounded, too. The self-test does so for int8 only.
ROUNDING_TOLERANCE = {"bf16": 2e-2, "int8": 1e-2}
VOCABULARY_KINDS = ("text", "tokens", "bytes")
_BYTE = r"<0x(?!00)[0-9A-F]{2}>"  # how an element of kind "bytes" is called
ALIGNMENT = 64
MAX_FILE = 2**32
MAX_STRING = 2**16
MAX_CARD = 2**20

_U32, _F32, _BOOL, _STRING, _ARRAY, _F64 = 4, 6, 7, 8, 9, 12  # GGUF value types
_TENSOR_CODES = {4: 0, 2: 30, 1: 24}  # by the bytes of a number: F32, BF16, I8


def pack(
    network: Network,
    *,
    encoding: str,
    dtype: str = "f32",
    labels: Sequence[str] | None = None,
    vocabulary: Sequence[str] | None = None,
    vocabulary_kind: str | None = None,
    prime: Sequence[int] | None = None,
    padding: int | None = None,
    input_values: Sequence[float] | None = None,
    zero_padding: bool = False,
    predictor: bool = False,
    name: str | None = None,
    description: str | None = None,
    author: str | None = None,
    license: str | None = None,
    source_url: str | None = None,
    card: str | None = None,
) -> bytes:
    """The bytes of a `.bin` that holds `network`; the same arguments give the same bytes.

    `labels` make it a classifier, `predictor` a network whose outputs are no elements: `vocabulary` and `padding` are
    then those of its input. `vocabulary_kind` is needed with a vocabulary; `prime` holds ids, `padding` is one.
    `input_values` are the numbers that enter for the elements, with the encoding "raw". `zero_padding`: vectors of
    zeros fill a window that is short, not an element. `card` is a JSON object as text. Raises `ModelFormatError` for a
    network, and `ValueError` for a fact, that docs/format.md does not allow.
    """
    if dtype not in DTYPES:
        raise OptionError("dtype", f"one of {', '.join(DTYPES)}", dtype)
    _check_network(network)
    generates = labels is None and not predictor
    check_encoding(network, encoding, generates)
    if labels is not None:
        _check_labels(network, labels, predictor)
    if not generates:
        kind = "predictor" if labels is None else "classifier, which has labels,"
        if encoding in ONE_NUMBER:
            raise ValueError(f"a {kind} takes 'onehot', 'index' or 'features', not {encoding!r}")
        if prime is not None:
            raise ValueError(f"prime: a {kind} does not generate")
        if encoding == "features" and (vocabulary is not None or padding is not None):
            raise ValueError(f"vocabulary, padding: a {kind} that takes features has no elements")
    elements = network.outputs if generates else network.input_size
    if padding is not None:
        _in_range("padding", padding, 0, elements - 1)
    if zero_padding:
        _check_zero_padding(network, encoding, padding)
    values = None if input_values is None else _checked_values(input_values, encoding, elements)
    _check_vocabulary(elements, "outputs" if generates else "inputs", vocabulary, vocabulary_kind, padding)
    _check_prime(network, encoding, prime)
    keys = {
        "general.architecture": _string("lstmgen"),
        "general.alignment": _u32(ALIGNMENT),
        "general.file_type": _u32(_FILE_TYPES[dtype]),
    }
    facts = {
        "name": name,
        "description": description,
        "author": author,
        "license": license,
        "source.url": source_url,
    }
    for fact, text in facts.items():
        if text is not None:
            keys[f"general.{fact}"] = _string(_limited(fact, text))
    keys["lstmgen.format"] = _u32(1)
    keys["lstmgen.keras_version"] = _string(_limited("keras_version", network.keras_version))
    if card is not None:
        keys["lstmgen.card"] = _string(_limited("card", card, MAX_CARD))
    keys["lstmgen.encoding"] = _string(encoding)
    keys["lstmgen.input_size"] = _u32(network.input_size)
    if values is not None:
        keys["lstmgen.input_values"] = _numbers(_F32, values)
    keys["lstmgen.window"] = _u32(network.window)
    if predictor:
        keys["lstmgen.predictor"] = _bool(True)
    if labels is not None:
        keys["lstmgen.labels"] = _strings(labels)
    if vocabulary is not None and vocabulary_kind is not None:
        keys["lstmgen.vocabulary"] = _strings(vocabulary)
        keys["lstmgen.vocabulary_kind"] = _string(vocabulary_kind)
    if prime:
        keys["lstmgen.prime"] = _numbers(_U32, prime)
    if padding is not None:
        keys["lstmgen.padding"] = _u32(padding)
    if zero_padding:
        keys["lstmgen.zero_padding"] = _bool(True)
    keys |= _layer_keys(network)
    keys |= _self_test_keys(rounded(network, dtype), encoding, elements, values, dtype)
    tensors = _tensors(network, dtype)
    return _assemble(keys, tensors)


# -- what the format demands ---------------------------------------------------------------------


def _check_network(network: Network) -> None:
    layers = network.layers
    _in_range("input_size", network.input_size, 1, MAX_SIZE)
    _in_range("window", network.window, 0, MAX_STEPS)
    _in_range("number of layers", len(layers), 1, MAX_LAYERS)
    if not any(layer.type in RECURRENT for layer in layers):
        raise ModelFormatError("the network has no recurrent layer, such as LSTM")
    names = [layer.name for layer in layers]
    read = {j for i in range(len(layers)) for j in network.inputs(i)}
    for i, layer in enumerate(layers):
        where = f"layer {layer.name}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", layer.name):
            raise ModelFormatError(f"{where}: the name must match [A-Za-z0-9_-]{{1,40}}")
        if names.count(layer.name) > 1:
            raise ModelFormatError(f"{where}: two layers have this name")
        if not all(NETWORK_INPUT <= j < i for j in network.inputs(i)):
            raise ModelFormatError(f"{where}: reads layers {network.inputs(i)}, which do not all come before it")
        if i not in read and i < len(layers) - 1:
            raise ModelFormatError(f"{where}: no layer reads it")
        _check_options(where, layer)
        _check_source(network, i)
    for layer, value in zip(layers, network.values, strict=True):
        _in_range(f"layer {layer.name}: size of the output", value.size, 1, MAX_SIZE)
    for i, layer in enumerate(layers):
        shapes = tensor_shapes(layer.type, network.size_into(i), layer.options)
        _check_arrays(f"layer {layer.name}", layer.arrays, shapes)


def _check_source(network: Network, i: int) -> None:
    """Ids go into embeddings and masks, numbers into all else."""
    layer, from_input = network.layers[i], NETWORK_INPUT in network.inputs(i)
    if layer.type == "embedding" and not from_input:
        raise ModelFormatError(f"layer {layer.name}: an embedding can only read the network's input")
    if layer.type == "embedding" and layer.options["input_dim"] != network.input_size:
        raise ModelFormatError("input_size must equal the input_dim of the embedding")
    if from_input and network.takes_ids and layer.type not in ("embedding", "mask"):
        raise ModelFormatError(f"layer {layer.name}: expected numbers, but the network's input is ids")


def _check_options(where: str, layer: Layer) -> None:
    if layer.type not in LAYER_OPTIONS:
        raise ModelFormatError(f"{where}: unknown type {layer.type!r}")
    expected = LAYER_OPTIONS[layer.type]
    if layer.options.keys() != expected.keys():
        raise ModelFormatError(f"{where}: expected {list(expected)}, found {list(layer.options)}")
    for key, kind in expected.items():
        value = layer.options[key]
        if type(value) is not kind:
            raise ModelFormatError(f"{where}: {key}: expected {kind.__name__}, found {value!r}")
        if key == "steps":
            _in_range(f"{where}: {key}", value, 0 if layer.type == "reshape" else 1, MAX_STEPS)
        elif kind is int:
            _in_range(f"{where}: {key}", value, 1, MAX_SIZE)
        if kind is str and value not in ACTIVATIONS:
            raise ModelFormatError(f"{where}: {key}: unknown activation {value!r}")
        if isinstance(value, float) and not abs(value) <= NO_MAXIMUM:
            raise ModelFormatError(f"{where}: {key}: expected a finite float32, found {value!r}")


def _check_arrays(where: str, arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> None:
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
    """Raise an error if the elements of `network`, which may generate, cannot enter by `encoding`."""
    size, outputs = network.input_size, network.outputs
    if encoding not in ENCODINGS:
        raise OptionError("encoding", f"one of {', '.join(ENCODINGS)}", encoding)
    if network.takes_ids and encoding != "index":
        raise ValueError(f"encoding {encoding!r}: the network begins with an Embedding: 'index'")
    if encoding == "index" and not network.takes_ids:
        raise ValueError("encoding 'index': the network does not begin with an Embedding")
    if not generates:
        return
    if encoding == "index" and size < outputs:
        raise ModelFormatError(f"the network has {outputs} outputs, but takes only {size} ids: it is a predictor")
    if encoding == "onehot" and size != outputs:
        raise ValueError(f"encoding 'onehot': the network has {size} inputs and {outputs} outputs")
    if encoding in ONE_NUMBER and size != 1:
        raise ValueError(f"encoding {encoding!r}: the network takes {size} numbers per step, not 1")


def _check_zero_padding(network: Network, encoding: str, padding: int | None) -> None:
    if encoding not in PADDED_WITH_ZEROS:
        raise ValueError(f"zero_padding: expected encoding {', '.join(PADDED_WITH_ZEROS)}, found {encoding!r}")
    if padding is not None:
        raise ValueError(f"zero_padding: expected no padding beside it, found the id {padding}")
    if not network.window:
        raise ValueError("zero_padding: expected a network with a window, found none")


def _checked_values(values: Sequence[float], encoding: str, elements: int) -> Array:
    if encoding != "raw":
        raise ValueError(f"input_values: expected encoding 'raw', found {encoding!r}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        found = np.asarray(values, np.float32)
    if found.shape != (elements,):
        raise ValueError(f"input_values: expected {elements}, one for each element, found shape {found.shape}")
    if not np.isfinite(found).all():
        i = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ValueError(f"input_values: expected finite float32 numbers, found {values[i]!r} for element {i}")
    return found


def _check_labels(network: Network, labels: Sequence[str], predictor: bool) -> None:
    if predictor:
        raise ValueError("predictor: a network with labels is a classifier")
    if network.outputs < 2:
        raise ModelFormatError(f"labels: expected at least 2 outputs, found {network.outputs}")
    if network.returns_sequences:
        raise ModelFormatError("labels: expected one output, found one at each step")
    if len(labels) != network.outputs:
        raise ValueError(f"labels: expected {network.outputs}, one for each output, found {len(labels)}")
    for i, label in enumerate(labels):
        if not _limited(f"label {i}", label):
            raise ValueError(f"label {i}: expected text, found an empty one")
        if label in labels[:i]:
            raise ValueError(f"labels: {label!r} appears twice")


def _check_vocabulary(
    count: int, what: str, vocabulary: Sequence[str] | None, kind: str | None, padding: int | None
) -> None:
    if (vocabulary is None) != (kind is None):
        raise ValueError("vocabulary and vocabulary_kind need each other")
    if vocabulary is None:
        return
    if kind not in VOCABULARY_KINDS:
        raise OptionError("vocabulary_kind", f"one of {VOCABULARY_KINDS}", kind)
    if len(vocabulary) != count:
        raise ValueError(f"the vocabulary has {len(vocabulary)} elements, the network {count} {what}")
    seen: dict[str, int] = {}
    for i, element in enumerate(vocabulary):
        if not _limited(f"vocabulary element {i}", element) and i != padding:
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
        raise ValueError("prime: a network that takes features does not generate")
    _in_range("length of the prime", len(prime), 0, MAX_STEPS)
    for i, element in enumerate(prime):
        _in_range(f"prime: id {i}", element, 0, network.outputs - 1)


def _in_range(what: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ModelFormatError(f"{what}: expected {low} to {high}, found {value!r}")


def _limited(what: str, text: str, limit: int = MAX_STRING) -> str:
    """`text`, if the format can hold it as a string."""
    if not isinstance(text, str):
        raise TypeError(f"{what}: expected str, found {type(text).__name__}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {text[:40]!r} cannot be stored as UTF-8") from None
    if size > limit:
        raise ValueError(f"{what}: expected at most {limit} bytes, found {size}")
    if "\0" in text:
        raise ValueError(f"{what}: must not contain U+0000")
    return text


# -- weights -------------------------------------------------------------------------------------


def to_bf16(values: Array) -> NDArray[np.uint16]:
    """The upper 16 bits of each finite number, rounded to nearest, ties to even."""
    bits = values.view(np.uint32)
    work = bits >> 16  # in place from here on: a matrix may be large
    work &= 1
    work += 0x7FFF
    work += bits
    work >>= 16
    return work.astype(np.uint16)


def from_bf16(bits: NDArray[np.uint16]) -> Array:
    """The numbers that BF16 `bits` stand for."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def to_int8(values: Array) -> tuple[NDArray[np.int8], Array]:
    """Integers (rows, columns) from -127 to 127 and scales (columns), whose products are next to the numbers."""
    scales = (np.abs(values).max(axis=0) / np.float32(127)).astype(np.float32)
    steps = np.divide(values, scales, out=np.zeros_like(values, np.float32), where=scales > 0)
    return np.clip(np.rint(steps), -127, 127).astype(np.int8), scales


def from_int8(steps: NDArray[np.int8], scales: Array) -> Array:
    """The numbers that integers and scales stand for."""
    return np.asarray(steps * scales, np.float32)


def rounded(network: Network, dtype: str) -> Network:
    """`network` with the matrices that a file of this dtype holds."""
    if dtype == "f32":
        return network
    layers = []
    for layer in network.layers:
        arrays = dict(layer.arrays)
        for name in MATRICES & arrays.keys():
            values = np.asarray(arrays[name], np.float32)
            arrays[name] = from_bf16(to_bf16(values)) if dtype == "bf16" else from_int8(*to_int8(values))
            if not np.isfinite(arrays[name]).all():
                raise ModelFormatError(f"layer {layer.name}: {name}: too large for {dtype}")
        layers.append(replace(layer, arrays=arrays))
    return replace(network, layers=tuple(layers))


def _tensors(network: Network, dtype: str) -> dict[str, NDArray[Any]]:
    """Each tensor under its name, with the values as stored."""
    tensors: dict[str, NDArray[Any]] = {}
    for i, layer in enumerate(network.layers):
        for name in tensor_shapes(layer.type, network.size_into(i), layer.options):
            full = f"{layer.name}.{name}"
            values: NDArray[Any] = np.asarray(layer.arrays[name], "<f4", "C")
            if dtype == "bf16" and name in MATRICES:
                tensors[full] = to_bf16(values).astype("<u2", copy=False)
            elif dtype == "int8" and name in MATRICES:
                tensors[full], scales = to_int8(values)
                tensors[f"{full}_scale"] = scales.astype("<f4", copy=False)
            else:
                tensors[full] = values
    return tensors


# -- bytes ---------------------------------------------------------------------------------------


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _u32(value: int) -> bytes:
    return struct.pack("<II", _U32, value)


def _bool(value: bool) -> bytes:
    return struct.pack("<IB", _BOOL, value)


def _string(text: str) -> bytes:
    return struct.pack("<I", _STRING) + _text(text)


def _strings(texts: Sequence[str]) -> bytes:
    return struct.pack("<IIQ", _ARRAY, _STRING, len(texts)) + b"".join(map(_text, texts))


def _numbers(code: int, values: Sequence[float] | NDArray[Any]) -> bytes:
    kind = {_U32: "<u4", _F32: "<f4", _F64: "<f8"}[code]
    return struct.pack("<IIQ", _ARRAY, code, len(values)) + np.asarray(values, kind).tobytes()


def _layer_keys(network: Network) -> dict[str, bytes]:
    keys = {"lstmgen.layer_count": _u32(len(network.layers))}
    for i, layer in enumerate(network.layers):
        prefix = f"lstmgen.layer.{i}."
        keys[prefix + "type"] = _string(layer.type)
        keys[prefix + "name"] = _string(layer.name)
        if network.inputs(i) != (i - 1,):
            keys[prefix + "inputs"] = _numbers(_U32, [j + 1 for j in network.inputs(i)])
        for key in LAYER_OPTIONS[layer.type]:
            value = layer.options[key]
            if isinstance(value, bool):
                keys[prefix + key] = _bool(value)
            elif isinstance(value, float):
                keys[prefix + key] = struct.pack("<Id", _F64, value)
            else:
                keys[prefix + key] = _string(value) if isinstance(value, str) else _u32(value)
    return keys


def _self_test_keys(
    network: Network, encoding: str, elements: int, values: Array | None, dtype: str
) -> dict[str, bytes]:
    given, output, tolerance = reference.self_test(network, encoding, elements, values)
    if dtype == "int8":  # the engine rounds what it multiplies with the weights, too
        tolerance = max(tolerance, ROUNDING_TOLERANCE[dtype] * float(np.abs(output).max()))
    features = encoding == "features"
    return {
        "lstmgen.selftest." + ("features" if features else "ids"): _numbers(_F32 if features else _U32, given),
        "lstmgen.selftest.output": _numbers(_F64, output),
        "lstmgen.selftest.tolerance": struct.pack("<Id", _F64, tolerance),
    }


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGNMENT)


def _assemble(keys: dict[str, bytes], tensors: dict[str, NDArray[Any]]) -> bytes:
    """The file: framing of section 1, with the checksum as the last key."""
    head = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys) + 1))
    for key, value in keys.items():
        head += _text(key) + value
    head += _text("lstmgen.checksum") + _u32(0)
    checksum_at = len(head) - 4
    offset = 0
    for name, tensor in tensors.items():
        offset += -offset % ALIGNMENT
        code = _TENSOR_CODES[tensor.itemsize]
        dimensions = tensor.shape[::-1]
        head += _text(name) + struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *dimensions)
        head += struct.pack("<IQ", code, offset)
        offset += tensor.nbytes
    head += _padding(len(head))
    if len(head) + offset > MAX_FILE:
        raise ModelFormatError(f"the file would have {len(head) + offset} bytes, over 4 GiB")

    data: list[bytes | memoryview] = []
    for i, tensor in enumerate(tensors.values()):
        data.append(tensor.data.cast("B"))
        if i < len(tensors) - 1:
            data.append(_padding(tensor.nbytes))
    checksum = zlib.crc32(head)
    for part in data:
        checksum = zlib.crc32(part, checksum)
    struct.pack_into("<I", head, checksum_at, checksum)
    return b"".join([head, *data])
