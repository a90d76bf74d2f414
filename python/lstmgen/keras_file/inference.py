"""The architecture of a file that holds only weights, inferred from the weights.

Each assumption is stated in words. If the weights fit two architectures, the file is refused, and
the message asks for the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lstmgen.errors import ModelFormatError, option
from lstmgen.heads import PARTS, recognised
from lstmgen.keras_file import textgenrnn
from lstmgen.keras_file.spec import Version
from lstmgen.keras_file.weights import Lists, Tree, snake_case
from lstmgen.network import Shape

_EXAMPLE = "'LSTM(128, return_sequences=True), LSTM(128), Dense(52, softmax)'"

_MAX_ORDERED = 12  # the highest number of layers whose order is searched


@dataclass
class Guess:
    """The inferred architecture.

    model: the config of the model.
    assumed: the assumptions, a clause each.
    textgenrnn: the sizes of textgenrnn's network, if it is one.
    """

    model: dict[str, Any]
    assumed: list[str]
    textgenrnn: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Layer:
    """A layer: its class, and the sizes of its input and output."""

    name: str
    kind: str
    config: dict[str, Any]
    size: int  # numbers per step, or the number of ids
    units: int
    notes: list[str] = field(default_factory=list)


def infer(file: Lists | Tree, version: Version) -> Guess:
    """Return the model that a file of weights belongs to.

    Raises `ModelFormatError` if the weights do not tell.
    """
    found = {name: _recognised(name, shapes, version) for name, shapes in file.shapes().items()}
    named = [found.get(name) or _bare(name) for name in file.names]
    layers = [layer for layer in named if layer is not None]
    if (model := _of_notes(layers)) is not None:
        return model
    if isinstance(file, Tree):
        layers = _ordered([_of_group(layer) for layer in layers], lambda layer: _class_of(layer.name))
    if not any(_recurrent(layer) for layer in layers):
        raise _unclear("and no weights of an LSTM, GRU or SimpleRNN")
    guess = Guess({}, [f"no architecture in the file: read from the weights as {_words(layers)}"])
    if any(layer.kind == "AttentionWeightedAverage" for layer in layers):
        return _pooled(layers, guess)
    _chain(layers, guess)
    first = layers[0]
    first.config["batch_input_shape"] = [None, None] if first.kind == "Embedding" else [None, None, first.size]
    entries = [{"class_name": layer.kind, "config": {"name": layer.name, **layer.config}} for layer in layers]
    guess.model = {"class_name": "Sequential", "config": {"name": "sequential", "layers": entries}}
    return guess


def _unclear(why: str) -> ModelFormatError:
    told = f"give the architecture as {option('config')}, such as {_EXAMPLE}"
    return ModelFormatError(f"no architecture in the file, only weights, {why}; {told}")


def _recurrent(layer: _Layer) -> bool:
    return layer.kind in ("LSTM", "GRU", "SimpleRNN", "Bidirectional")


def _words(layers: Sequence[_Layer]) -> str:
    return " > ".join(f"{layer.kind} {layer.units}" if layer.units else layer.kind for layer in layers)


# -- one layer -----------------------------------------------------------------------------------

# These layers have no weights. Keras names them after their class.
_WITHOUT_WEIGHTS = {
    snake_case(kind): kind
    for kind in ("Dropout", "Activation", "Flatten", "LeakyReLU", "RepeatVector", "Masking", "InputLayer", "Softmax")
} | {"input": "InputLayer", "dropout": "Dropout"}


def _bare(name: str) -> _Layer | None:
    """Return a layer without weights, or None if it has no effect."""
    kind = _WITHOUT_WEIGHTS.get(re.sub(r"_\d+$", "", name))
    if kind in ("InputLayer", "Dropout"):
        return None  # these have no effect
    if kind in ("Activation", "Softmax"):
        return _Layer(name, kind, {}, 0, 0)
    if kind is not None:
        raise _unclear(f"and the layer {name!r} has options")
    return None


def _recognised(name: str, shapes: Sequence[Shape], version: Version) -> _Layer:
    layer = None
    if shapes and all(0 not in shape for shape in shapes):  # an array without numbers fits any layer
        layer = (
            _recurrent_layer(name, shapes, version)
            or _both_directions(name, shapes, version)
            or _plain_layer(name, shapes)
        )
    if layer is None:
        shown = ", ".join(map(str, shapes[:16]))
        raise _unclear(f"and arrays {shown} of {name!r} could be anything")
    return layer


def _recurrent_layer(name: str, shapes: Sequence[Shape], version: Version) -> _Layer | None:
    if [len(shape) for shape in shapes[:2]] != [2, 2]:
        return None
    gates = {12: ("LSTM", "cpu"), 9: ("GRU", "cpu")}.get(len(shapes)) if version < (2, 0) else None
    if gates:  # Keras 1 stores W, U and b for each gate
        (size, units), recurrent = shapes[0], shapes[1]
        if recurrent != (units, units) or list(shapes) != [(size, units), recurrent, (units,)] * (len(shapes) // 3):
            return None
        return _Layer(name, gates[0], {"output_dim": units, "consume_less": "cpu"}, size, units)
    if len(shapes) not in (2, 3) or shapes[1][1] != shapes[0][1]:
        return None
    (size, columns), (units, _) = shapes[:2]
    kind = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}.get(columns // units if columns % units == 0 else 0)
    if kind is None:
        return None
    config: dict[str, Any] = {"units": units, "use_bias": len(shapes) == 3, "consume_less": "gpu"}
    layer = _Layer(name, kind, config, size, units)
    bias = shapes[2] if len(shapes) == 3 else None
    if bias == (2 * columns,) and kind != "SimpleRNN":
        config |= {"recurrent_activation": "sigmoid", "reset_after": True}
        layer.notes.append(f"{name} was trained as CuDNN{kind}: sigmoid gates")
    elif kind == "GRU" and bias is not None:
        if bias not in ((columns,), (2, columns)):
            return None
        config["reset_after"] = bias == (2, columns)
    elif bias not in (None, (columns,)):
        return None
    return layer


def _both_directions(name: str, shapes: Sequence[Shape], version: Version) -> _Layer | None:
    half = len(shapes) // 2
    if len(shapes) % 2 or half < 2 or list(shapes[:half]) != list(shapes[half:]):
        return None
    inner = _recurrent_layer(name, shapes[:half], version)
    if inner is None:
        return None
    layer = {"class_name": inner.kind, "config": {**inner.config, "return_sequences": False}}
    return _Layer(name, "Bidirectional", {"layer": layer}, inner.size, 2 * inner.units, inner.notes)


def _plain_layer(name: str, shapes: Sequence[Shape]) -> _Layer | None:
    first = shapes[0]
    if len(shapes) == 2 and len(first) == 2 and shapes[1] == first[1:]:
        return _Layer(name, "Dense", {"units": first[1]}, *first)
    if len(shapes) == 1 and len(first) == 2 and first[1] == 1 and "attention" in name:
        return _Layer(name, "AttentionWeightedAverage", {}, first[0], 0)
    if len(shapes) == 1 and len(first) == 2 and "embedding" in name:
        return _Layer(name, "Embedding", {"input_dim": first[0], "output_dim": first[1]}, *first)
    if len(shapes) == 4 and len(first) == 1 and set(shapes) == {first}:
        return _Layer(name, "BatchNormalization", {}, first[0], 0)
    return None


# -- the order of the layers ---------------------------------------------------------------------


def _of_group(layer: _Layer) -> _Layer:
    """Return a layer of a tree, whose group has the name of its class."""
    group = _class_of(layer.name)
    if group == "time_distributed" and layer.kind == "Dense":
        inner = {"class_name": "Dense", "config": layer.config}
        return replace(layer, kind="TimeDistributed", config={"layer": inner})
    if group != snake_case(layer.kind):
        raise _unclear(f"and the arrays of {layer.name!r} are not those of such a layer")
    return layer


def _class_of(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def in_order(shapes: Mapping[str, Sequence[Shape]], version: Version, config: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the layers in the order of the network.

    The file is of a model of a user's own class, which stores no order. If `config` gives the
    model, its classes and sizes tell the layers. Of two layers that are alike, the one with the
    smaller name comes first.
    """
    layers = [_recognised(name, found, version) for name, found in shapes.items()]
    if config is None and (notes := _of_notes(layers)) is not None:
        return [str(entry["name"]) for entry in notes.model["config"]["layers"][1:]]
    if config is None:
        return [layer.name for layer in _ordered(layers, lambda layer: layer.kind)]
    left = sorted(layers, key=_natural)
    names = []
    for kind, units in _wanted(config):
        fitting = [layer for layer in left if layer.kind == kind and units in (None, layer.units)]
        if not fitting:
            found = ", ".join(f"{layer.name!r} ({layer.kind} {layer.units})" for layer in left) or "none"
            raise ModelFormatError(f"{option('config')}: no weights in the file for {kind} {units}; left are {found}")
        left.remove(fitting[0])
        names.append(fitting[0].name)
    return names + [layer.name for layer in left]  # the config has no layer for these, which becomes an error later


def alike(shapes: Mapping[str, Sequence[Shape]], version: Version, order: str) -> list[str]:
    """Return a clause for each set of layers that could be exchanged.

    order: the order in which they are taken, in words.

    The file is of a model of a user's own class, which does not store how layers are connected.
    """
    sets: dict[tuple[str, int | None, int | None], list[_Layer]] = {}
    try:
        layers = [_recognised(name, found, version) for name, found in shapes.items()]
    except ModelFormatError:  # only a config describes these layers, and it has their order
        return []
    if _of_notes(layers) is not None:  # their names tell which is which
        return []
    for layer in layers:
        sets.setdefault((layer.kind, layer.size, layer.units), []).append(layer)
    return [
        f"the order {', '.join(layer.name for layer in found)} of layers that are alike ({kind}, {units} units), "
        f"{order}, since the file does not store what feeds what"
        for (kind, _, units), found in sets.items()
        if len(found) > 1
    ]


def _natural(layer: _Layer) -> list[tuple[int, str]]:
    """Return a key that sorts lstm_2 before lstm_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", layer.name)]


def _wanted(config: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Return class and units of each layer of a Sequential model that has weights."""
    inner = config.get("config")
    listed = inner.get("layers", []) if isinstance(inner, Mapping) else inner
    wanted: list[tuple[str, int | None]] = []
    for entry in listed if isinstance(listed, list) else []:
        kind, settings = entry.get("class_name"), entry.get("config", {})
        if kind in ("Bidirectional", "TimeDistributed"):
            held = settings.get("layer", {})
            units = held.get("config", {}).get("units")
            wanted.append((kind, units and 2 * units) if kind == "Bidirectional" else (held.get("class_name"), units))
        elif kind in ("Embedding", "LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "Dense", "BatchNormalization"):
            units = settings.get("units", settings.get("output_dim"))
            wanted.append((str(kind).removeprefix("CuDNN"), units if type(units) is int else None))
    return wanted


def _ordered(layers: Sequence[_Layer], group: Callable[[_Layer], str]) -> list[_Layer]:
    """Return the only possible order of the layers. Raises `ModelFormatError` if there are several.

    The output of each layer fits the next one, the layers of a group keep their order, and a Dense
    is last.
    """
    queues: dict[str, list[_Layer]] = {}
    for layer in sorted(layers, key=_natural):
        queues.setdefault(group(layer), []).append(layer)
    orders: list[list[_Layer]] = []

    def extend(order: list[_Layer], size: int | None, places: dict[str, int]) -> None:
        if len(order) == len(layers) and order[-1].kind in ("Dense", "TimeDistributed"):
            orders.append(order)
        for kind, queue in queues.items():
            at = places.get(kind, 0)
            if len(orders) > 1 or at == len(queue):
                continue
            layer = queue[at]
            if size in (None, layer.size) and (size is None or layer.kind != "Embedding"):
                extend([*order, layer], layer.units or layer.size, {**places, kind: at + 1})

    if len(layers) > _MAX_ORDERED:
        raise _unclear(f"and {len(layers)} layers are too many to find their order")
    extend([], None, {})
    if len(orders) != 1:
        raise _unclear("and Keras 3 does not store the order of the layers, which could be more than one")
    return orders[0]


def _chain(layers: list[_Layer], guess: Guess) -> None:
    """Connect the layers in a chain, and complete their configs.

    Recurrent layers but the last return sequences. The output is a softmax.
    """
    _check_sizes(layers)
    recurrent = [i for i, layer in enumerate(layers) if _recurrent(layer)]
    for i in recurrent:
        _inner(layers[i])["return_sequences"] = i != recurrent[-1]
    for layer in layers:
        guess.assumed += layer.notes
    dense = [layer for layer in layers if layer.kind in ("Dense", "TimeDistributed")]
    for layer in dense[:-1] if dense and dense[-1] is layers[-1] else dense:
        follower = layers[layers.index(layer) + 1 : layers.index(layer) + 2]
        if not follower or follower[0].kind not in ("Activation", "Softmax"):
            raise _unclear(f"and the activation of {layer.name!r} is unknown")
    last = layers[-1]
    if last.kind == "Activation" and len(layers) > 1:
        last.config["activation"] = "softmax"
        last.units = layers[-2].units
    elif last.kind == "TimeDistributed":
        last.config["layer"]["config"]["activation"] = "softmax"
        _inner(layers[recurrent[-1]])["return_sequences"] = True
    elif last.kind == "Dense":
        last.config["activation"] = "softmax"
    if last.kind not in ("Activation", "Dense", "TimeDistributed", "Softmax") or last.units == 1:
        raise _unclear("and its output could be anything")
    middle = [layer.name for layer in layers[:-1] if layer.kind == "Activation"]
    if middle:
        raise _unclear(f"and {middle[0]!r} is an unknown activation")
    steps = "at each step" if last.kind == "TimeDistributed" else "only after the last step"
    guess.assumed.append(f"the output is a softmax; an output {steps}; no fixed number of time steps")


# -- notes of several outputs ----------------------------------------------------------------------


def _of_notes(layers: Sequence[_Layer]) -> Guess | None:
    """Return the model if its last layers are the heads of a note, side by side.

    TensorFlow's music tutorial has such a model.
    """
    trunk = sorted((layer for layer in layers if _recurrent(layer)), key=_natural)
    ends = [layer for layer in layers if layer.kind == "Dense"]
    if len(trunk) + len(ends) != len(layers) or not trunk or len(ends) not in (3, 4):
        return None
    if any(layer.size != trunk[-1].units for layer in ends):
        return None
    parts, how = _parts(ends)
    if parts is None:
        return None
    _check_sizes(trunk)
    names = ", ".join(f"{part} {layer.units}" for part, layer in parts.items())
    said = f"no architecture in the file: read from the weights as {_words(trunk)} > {names}{how}; linear outputs"
    guess = Guess({}, [said, *(note for layer in trunk for note in layer.notes)])
    for layer in trunk:
        _inner(layer)["return_sequences"] = layer is not trunk[-1]
    entries: list[dict[str, Any]] = [
        {
            "class_name": "InputLayer",
            "name": _INPUT,
            "config": {"name": _INPUT, "batch_input_shape": [None, None, trunk[0].size]},
            "inbound_nodes": [],
        }
    ]
    fed = [_INPUT, *(layer.name for layer in trunk), *[trunk[-1].name] * (len(ends) - 1)]
    for layer, source in zip([*trunk, *ends], fed, strict=True):
        config = {"name": layer.name, **layer.config}
        nodes = [[[source, 0, 0, {}]]]
        entries.append({"class_name": layer.kind, "name": layer.name, "config": config, "inbound_nodes": nodes})
    outputs = {part: [layer.name, 0, 0] for part, layer in parts.items()}
    config = {"name": "model", "layers": entries, "input_layers": [[_INPUT, 0, 0]], "output_layers": outputs}
    guess.model = {"class_name": "Functional", "config": config}
    return guess


_INPUT = "input of the notes"  # which no layer with weights is called


def _parts(ends: list[_Layer]) -> tuple[dict[str, _Layer] | None, str]:
    """Return which part of a note each of the last layers is, or None, and how it was told."""
    wanted = recognised([layer.name for layer in ends])
    if wanted is not None:
        named = {layer.name: layer for layer in ends}
        return {head.part: named[str(head.layer)] for head in wanted}, ""
    ordered = sorted(ends, key=_natural)
    parts = list(PARTS[: len(ends)])
    how = "in this order, as a list of outputs"
    if ordered[0].units == 1:  # Keras sorts the outputs of a dict by their names
        parts.sort()
        how = "which lie in the order of their names, as the outputs of a dict"
    found = dict(zip(parts, ordered, strict=True))
    if found["pitch"].units < 2 or found["step"].units != 1 or found["duration"].units != 1:
        return None, ""
    return found, f" ({how})"


def _inner(layer: _Layer) -> dict[str, Any]:
    """Return the config of a recurrent layer, or of the one inside a Bidirectional."""
    config: dict[str, Any] = layer.config["layer"]["config"] if layer.kind == "Bidirectional" else layer.config
    return config


def _check_sizes(layers: Sequence[_Layer]) -> None:
    size = None
    for layer in layers:
        if layer.kind in ("Activation", "Softmax"):
            continue
        if layer.kind == "Embedding" and size is not None:
            raise _unclear(f"and {layer.name!r} does not come first")
        if size is not None and layer.size != size:
            raise _unclear(
                f"and the layers do not form a chain: {layer.name!r} expects {layer.size} "
                f"numbers, the one before it has {size}"
            )
        size = layer.units or layer.size


def _pooled(layers: list[_Layer], guess: Guess) -> Guess:
    """Return textgenrnn's network.

    It has an embedding, recurrent layers, the concatenation of all these, its weighted mean and an
    output.
    """
    if len(layers) < 4:
        raise _unclear("and its attention is not that of textgenrnn")
    embedding, *recurrent, attention, last = layers
    kinds = [layer.kind for layer in layers]
    fits = (
        kinds[0] == "Embedding"
        and all(_recurrent(layer) for layer in recurrent)
        and kinds[-2:] == ["AttentionWeightedAverage", "Dense"]
        and attention.size == embedding.units + sum(layer.units for layer in recurrent)
        and last.size == attention.size
    )
    if not fits:
        raise _unclear("and its attention is not that of textgenrnn")
    inner = _inner(recurrent[0])
    bidirectional = recurrent[0].kind == "Bidirectional"
    guess.textgenrnn = {
        "num_classes": embedding.size,
        "dim_embeddings": embedding.units,
        "rnn_size": recurrent[0].units // (2 if bidirectional else 1),
        "rnn_layers": len(recurrent),
        "rnn_bidirectional": bidirectional,
    }
    gates = {"recurrent_activation": inner.get("recurrent_activation", "sigmoid")}
    guess.model = textgenrnn.model({**guess.textgenrnn, **gates})
    for layer in recurrent:
        guess.assumed += layer.notes
    guess.assumed.append("textgenrnn's network: softmax output")
    return guess
