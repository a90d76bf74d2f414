"""A `.bin` with another dtype. Its contents are read, and written anew."""

from __future__ import annotations

from typing import Any

from lstmgen.arguments import choice
from lstmgen.binfile import gguf, rounding, writer
from lstmgen.network import Layer, Network, layer_type


def repack(data: bytes, name: str, dtype: str | None) -> bytes:
    """Return the bytes of a `.bin` with matrices of another dtype; None keeps its dtype.

    data: the bytes of the `.bin`.
    name: the name of the file in error messages.
    dtype: "f32", "bf16" or "int8".

    Returns the same bytes if the file has this dtype already. Numbers that were rounded before stay
    rounded. Raises `ModelFormatError` for a file that is broken, and `OptionError` for another
    dtype.

    >>> import lstmgen
    >>> data = lstmgen.Model("latex").to_bytes()
    >>> lstmgen.Model(repack(data, "latex.bin", "bf16")).dtype
    'bf16'
    """
    from lstmgen import _core  # the export of a Keras file needs no native module

    if dtype is not None:
        choice("dtype", dtype, rounding.DTYPES)
    if dtype in (None, _core.Model.from_bytes(data, name).info.dtype):
        return data
    with rounding.to_nearest():
        return writer.pack(**_unpack(data), dtype=dtype)


def network_of(data: bytes, name: str) -> Network:
    """Return the network in a `.bin`, with its numbers as they are rounded there.

    data: the bytes of the `.bin`. name: of the file, in error messages.

    Raises `ModelFormatError` for a file that is broken.

    >>> import lstmgen
    >>> network_of(lstmgen.Model("latex").to_bytes(), "latex.bin").layers[-1].type
    'dense'
    """
    from lstmgen import _core

    _core.Model.from_bytes(data, name)  # which checks the file
    network: Network = _unpack(data)["network"]
    return network


def with_grammar(data: bytes, grammar: str) -> bytes:
    """Return the bytes of a sound `.bin` whose grammar is replaced by this one.

    >>> import lstmgen
    >>> data = with_grammar(lstmgen.Model("latex").to_bytes(), 'root ::= [a-z]+')
    >>> lstmgen.Model(data).grammar
    'root ::= [a-z]+'
    """
    return gguf.with_key(data, writer.GRAMMAR, gguf.string(grammar))


def with_card(data: bytes, card: str) -> bytes:
    """Return the bytes of a sound `.bin` whose card is replaced by this one, a JSON object.

    >>> import lstmgen
    >>> data = with_card(lstmgen.Model("latex").to_bytes(), '{"data": "mine"}')
    >>> lstmgen.Model(data).metadata["card"]
    {'data': 'mine'}
    """
    return gguf.with_key(data, writer.CARD, gguf.string(writer.limited("card", card, writer.MAX_CARD)))


def _unpack(data: bytes) -> dict[str, Any]:
    """Return all arguments of `writer.pack` but dtype, for a file that the engine has checked."""
    keys, tensors = gguf.parse(data)
    arrays = rounding.unrounded(tensors)
    layers = []
    for i in range(keys["lstmgen.layer_count"]):
        at = f"lstmgen.layer.{i}."
        kind = keys[f"{at}type"]
        options = {key: keys[at + key] for key in layer_type(kind).keys}
        inputs = keys.get(f"{at}inputs")
        sources = None if inputs is None else tuple(int(j) - 1 for j in inputs)
        layers.append(Layer(kind, keys[f"{at}name"], options, {}, sources))
    network = Network(tuple(layers), keys["lstmgen.window"], keys["lstmgen.input_size"], keys["lstmgen.keras_version"])
    for i, layer in enumerate(layers):
        for tensor in layer.tensors(network.size_into(i)):
            layer.arrays[tensor] = arrays[f"{layer.name}.{tensor}"]
    facts = {fact: keys.get(key) for key, fact in writer.FACTS.items()}
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
        "card": keys.get("lstmgen.card"),
        "grammar": keys.get(writer.GRAMMAR),
    }
