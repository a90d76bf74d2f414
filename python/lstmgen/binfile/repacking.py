"""A `.bin` at another dtype: read back into what it was made of, and written anew."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.binfile import writer
from lstmgen.network import LAYER_OPTIONS, Layer, Network, tensor_shapes

_SCALARS = {4: "<I", 6: "<f", 7: "<?", 12: "<d"}  # GGUF value types: u32, f32, bool, f64
_STRING, _ARRAY = 8, 9
_NUMBERS = {4: "<u4", 6: "<f4", 12: "<f8"}  # of arrays
_FACTS = ("name", "description", "author", "license")


def repack(data: bytes, name: str, dtype: str) -> bytes:
    """The bytes of the `.bin` `data`, called `name`, with matrices of `dtype`; as they are if they have it already.

    Numbers that were rounded before stay so. Raises `ModelFormatError` for a file that is broken.
    """
    from lstmgen import _core  # exporting itself needs no native module

    if _core.Model.from_bytes(data, name).info.dtype == dtype:
        return data
    return writer.pack(**_unpack(data), dtype=dtype)


def _unpack(data: bytes) -> dict[str, Any]:
    """The arguments of `writer.pack` but dtype, of a file that the engine has found to be sound."""
    reader = _Reader(data)
    n_tensors, n_keys = reader.numbers("<4sIQQ")[2:]
    keys = {reader.string(): reader.value() for _ in range(n_keys)}
    arrays = reader.tensors(n_tensors)
    layers = []
    for i in range(keys["lstmgen.layer_count"]):
        at = f"lstmgen.layer.{i}."
        kind = keys[f"{at}type"]
        options = {key: keys[at + key] for key in LAYER_OPTIONS[kind]}
        inputs = keys.get(f"{at}inputs")
        sources = None if inputs is None else tuple(int(j) - 1 for j in inputs)
        layers.append(Layer(kind, keys[f"{at}name"], options, {}, sources))
    network = Network(tuple(layers), keys["lstmgen.window"], keys["lstmgen.input_size"], keys["lstmgen.keras_version"])
    for i, layer in enumerate(layers):
        for tensor in tensor_shapes(layer.type, network.size_into(i), layer.options):
            layer.arrays[tensor] = arrays[f"{layer.name}.{tensor}"]
    facts = {fact: keys.get(f"general.{fact}") for fact in _FACTS}
    prime, values = keys.get("lstmgen.prime"), keys.get("lstmgen.input_values")
    return facts | {
        "network": network,
        "encoding": keys["lstmgen.encoding"],
        "labels": keys.get("lstmgen.labels"),
        "vocabulary": keys.get("lstmgen.vocabulary"),
        "vocabulary_kind": keys.get("lstmgen.vocabulary_kind"),
        "prime": None if prime is None else prime.tolist(),
        "padding": keys.get("lstmgen.padding"),
        "input_values": None if values is None else values.tolist(),
        "zero_padding": keys.get("lstmgen.zero_padding", False),
        "predictor": keys.get("lstmgen.predictor", False),
        "source_url": keys.get("general.source.url"),
        "card": keys.get("lstmgen.card"),
    }


class _Reader:
    """A place in the bytes of a sound file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def string(self) -> str:
        (size,) = self.numbers("<Q")
        self.at += size
        return self.data[self.at - size : self.at].decode()

    def array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def value(self) -> Any:
        (code,) = self.numbers("<I")
        if code == _STRING:
            return self.string()
        if code != _ARRAY:
            return self.numbers(_SCALARS[code])[0]
        code, count = self.numbers("<IQ")
        return [self.string() for _ in range(count)] if code == _STRING else self.array(_NUMBERS[code], count)

    def tensors(self, count: int) -> dict[str, NDArray[np.float32]]:
        """The tensors as float32, the rest of the file."""
        records = []
        for _ in range(count):
            name = self.string()
            (dimensions,) = self.numbers("<I")
            shape = self.numbers(f"<{dimensions}Q")[::-1]
            code, _ = self.numbers("<IQ")
            records.append((name, shape, {0: "<f4", 24: "<i1", 30: "<u2"}[code]))
        stored = {}
        for name, shape, kind in records:
            self.at += -self.at % writer.ALIGNMENT
            stored[name] = self.array(kind, int(np.prod(shape))).reshape(shape)
        for name, values in stored.items():
            if values.dtype == np.uint16:
                stored[name] = writer.from_bf16(values)
            elif values.dtype == np.int8:
                stored[name] = writer.from_int8(values, stored[f"{name}_scale"])
        return stored
