"""Models of layers.

A Sequential is a chain, a functional model is a graph, and either may lie within another model.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lstmgen.errors import ModelFormatError
from lstmgen.keras_file.assembly import ALL_STEPS, Tensor
from lstmgen.keras_file.layers import Item, build, layer, roles
from lstmgen.keras_file.spec import OPERATION, Config, Spec, mapping, shown
from lstmgen.keras_file.weights import File, Numbers, Part, Role, Source, tree_names

MAX_KERAS_LAYERS = 1024  # includes layers that do nothing at inference
MAX_CALLS = 4096  # the highest number of calls of layers

MODELS = ("Sequential", "Functional", "Model")


def layers_of(spec: Spec) -> list[Spec]:
    """Return the layers of a model in the order of its config."""
    return [Spec.of(f"layer {i}", entry, spec.version) for i, entry in enumerate(_entries(spec))]


def _entries(spec: Spec) -> list[Config]:
    layers = spec.config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ModelFormatError("model_config: the model has no layers")
    if len(layers) > MAX_KERAS_LAYERS:
        raise ModelFormatError(f"model_config: expected at most {MAX_KERAS_LAYERS} layers, found {len(layers)}")
    return [mapping(f"layer {i}", entry) for i, entry in enumerate(layers)]


@dataclass(frozen=True, slots=True)
class FileSource:
    """The weights of the model in a file. Its parts are the model's layers."""

    file: File

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        """Return nothing. A model has no arrays but those of its layers."""
        return {}

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        """Return the sources of the layers."""
        names = {part.name for part in parts if part.roles}
        return [self.file.layer(part.name, part.path, part.roles, names) for part in parts]


def _model_roles(spec: Spec) -> list[Role]:
    return [role for inner in layers_of(spec) for role in roles(inner)]


def _sources(item: Item, specs: Sequence[Spec]) -> list[Source]:
    paths = tree_names([spec.class_name for spec in specs])
    parts = [Part(f"layers/{path}", roles(spec), spec.name) for path, spec in zip(paths, specs, strict=True)]
    return item.source.parts(item.where, parts)


@layer("InputLayer")
def _input_layer(item: Item) -> Sequence[Tensor]:
    return [item.tensor]


@layer("Sequential", roles=_model_roles)
def _sequential(item: Item) -> Sequence[Tensor]:
    specs = layers_of(item.spec)
    tensor = item.tensor
    for spec, source in zip(specs, _sources(item, specs), strict=True):
        tensor = build(item.inner(spec, source, tensor))[0]
    return [tensor]


# -- graphs --------------------------------------------------------------------------------------


class _Reference(NamedTuple):
    """Output `tensor` of call `node` of a layer."""

    layer: str
    node: int
    tensor: int


class _Call(NamedTuple):
    layer: str
    node: int
    reads: list[_Reference]
    mask: _Reference | None  # Keras 3 gives it as an argument
    constants: list[Any]  # the other positional arguments of an operation


_Made = dict[tuple[str, int], Sequence[Tensor]]  # the outputs of each call of each layer


@layer("Functional", "Model", roles=_model_roles)
def _functional(item: Item) -> Sequence[Tensor]:
    specs = layers_of(item.spec)
    by_name = {spec.name: spec for spec in specs}
    if len(by_name) < len(specs):
        raise item.spec.error("two of its layers have the same name")
    sources = dict(zip(by_name, _sources(item, specs), strict=True))
    given = input_names(item.spec)
    if len(given) != len(item.tensors):
        found = ", ".join(shown(name) for name in given[:16])
        why = "a model with several inputs, which is not supported: " if len(given) > 1 else ""
        raise item.spec.error(f"{why}expected {len(item.tensors)} input, found {len(given)} ({found})")
    made: _Made = {(name, 0): [tensor] for name, tensor in zip(given, item.tensors, strict=True)}
    calls = [call for entry in _entries(item.spec) for call in _calls(item, entry) if call.layer not in given]
    if len(calls) > MAX_CALLS:
        raise item.spec.error(f"expected at most {MAX_CALLS} calls of layers, found {len(calls)}")
    ends = _references(item.spec, "output_layers")
    calls, ends = _renumbered(calls, ends)
    for call in _in_order(item, calls, made):
        made[call.layer, call.node] = build(_called(item, call, made, by_name[call.layer], sources[call.layer]))
    for end in ends:
        if (end.layer, end.node) not in made:
            raise item.spec.error(f"the output {shown(end.layer)} is not one of its layers")
    return [_output(item, made, end) for end in ends]


def _in_order(item: Item, calls: list[_Call], made: _Made) -> list[_Call]:
    """Return the calls in an order in which each comes after those that feed it."""
    missing = {i: {(r.layer, r.node) for r in _needs(call)} - made.keys() for i, call in enumerate(calls)}
    readers: dict[tuple[str, int], list[int]] = {}
    for i, sources in missing.items():
        for source in sources:
            readers.setdefault(source, []).append(i)
    ready = [i for i, sources in missing.items() if not sources]
    for i in ready:  # the loop adds to the list
        for reader in readers.get((calls[i].layer, calls[i].node), []):
            missing[reader].discard((calls[i].layer, calls[i].node))
            if not missing[reader]:
                ready.append(reader)
    if len(ready) < len(calls):
        stuck = next(calls[i].layer for i, sources in missing.items() if sources)
        raise item.spec.error(f"layer {shown(stuck)} is fed by layers that are not there, or by itself")
    return [calls[i] for i in ready]


def _renumbered(calls: list[_Call], ends: list[_Reference]) -> tuple[list[_Call], list[_Reference]]:
    """Return the same calls, numbered from 0 for each layer.

    Keras may count calls that it made before the model was saved. A model within the model has one
    of those.
    """
    counts = Counter(call.layer for call in calls)
    masks = [call.mask for call in calls if call.mask]
    references = [*ends, *masks, *(read for call in calls for read in call.reads)]
    beyond = {read.layer for read in references if read.node == counts[read.layer] > 1}

    def renumbered(read: _Reference) -> _Reference:
        if counts[read.layer] < 2:
            return read._replace(node=0)
        return read._replace(node=read.node - 1) if read.layer in beyond else read

    calls = [
        call._replace(
            reads=[renumbered(read) for read in call.reads], mask=renumbered(call.mask) if call.mask else None
        )
        for call in calls
    ]
    return calls, [renumbered(end) for end in ends]


def _needs(call: _Call) -> list[_Reference]:
    return [*call.reads, call.mask] if call.mask else call.reads


def _called(item: Item, call: _Call, made: _Made, spec: Spec, source: Source) -> Item:
    """Return the layer of a call with the tensors that it is fed."""
    tensors = [_output(item, made, read) for read in call.reads]
    if call.mask is not None:
        mask = _output(item, made, call.mask)
        if not mask.steps_only:
            raise item.spec.error(f"layer {shown(call.layer)}: its mask is not one that Keras computes")
        tensors = [replace(tensor, mask=None if mask == ALL_STEPS else mask) for tensor in tensors]
    return replace(item.inner(spec, source, *tensors), constants=call.constants)


def _output(item: Item, made: _Made, read: _Reference) -> Tensor:
    outputs = made[read.layer, read.node]
    if not 0 <= read.tensor < len(outputs):
        raise item.spec.error(
            f"output {read.tensor} of layer {shown(read.layer)}, such as a state that it returns, is not supported"
        )
    return outputs[read.tensor]


def input_names(spec: Spec) -> list[str]:
    """Return the names of the layers that are the inputs of a functional model."""
    return [reference.layer for reference in _references(spec, "input_layers")]


def output_names(spec: Spec) -> list[str]:
    """Return the names of the layers whose outputs are the model's."""
    if spec.class_name == "Sequential":
        return [layers_of(spec)[-1].name]
    return [reference.layer for reference in _references(spec, "output_layers")]


def output_keys(spec: Spec) -> list[str]:
    """Return the outputs by the names that the model gives them.

    By default these are the names of the layers.
    """
    value = spec.config.get("output_layers")
    return list(map(str, value)) if isinstance(value, dict) else output_names(spec)


def _references(spec: Spec, key: str) -> list[_Reference]:
    value = spec.config.get(key)
    if isinstance(value, dict):  # Keras 3 may give outputs names
        value = list(value.values())
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = [value]  # Keras 3 writes a single one without the list around it
    if not isinstance(value, list) or not value:
        raise spec.error(f"{key}: expected a list of layers, found {reprlib.repr(value)}")
    try:
        return [_reference(entry) for entry in value]
    except (TypeError, ValueError):
        raise spec.error(f"{key}: cannot be read: {reprlib.repr(value)}") from None


def _reference(entry: Any) -> _Reference:
    layer, node, tensor = entry[:3]
    if not isinstance(layer, str) or type(node) is not int or type(tensor) is not int:
        raise TypeError
    return _Reference(layer, node, tensor)


def _calls(item: Item, entry: Config) -> Iterator[_Call]:
    """Yield the calls of a layer, with what each is fed."""
    spec = Spec.of("layer", entry, item.spec.version)
    try:
        nodes = entry.get("inbound_nodes") or []
        if len(nodes) > MAX_CALLS:
            raise spec.error(f"expected at most {MAX_CALLS} calls, found {len(nodes)}")
        for i, node in enumerate(nodes):
            yield _call(spec, i, node)
    except ModelFormatError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise spec.error("its inbound_nodes cannot be read") from None


def _call(spec: Spec, i: int, node: Any) -> _Call:
    if isinstance(node, dict):  # as Keras 3 writes it
        given = [
            value for argument in node["args"] for value in (argument if isinstance(argument, list) else [argument])
        ]
        tensors = [value["config"]["keras_history"] for value in given if isinstance(value, dict)]
        constants = [value for value in given if not isinstance(value, dict | None)]
        arguments = dict(node["kwargs"])
    else:
        if node and isinstance(node[0], str):  # as tf.keras writes a layer with one input
            node = [node]
        tensors, constants, arguments = node, [], {}
        for tensor in node:  # each is [name, node, tensor, arguments]
            arguments |= dict(*tensor[3:4])
    mask = arguments.pop("mask", None)
    for key, value in arguments.items():
        if value not in (None, False):  # for example training=True or initial_state
            raise spec.error(f"the argument {key!r:.40} is not supported")
    if constants and spec.class_name.removeprefix(OPERATION) != "NotEqual":
        raise spec.error(f"the argument {reprlib.repr(constants[0])} is not supported")
    if isinstance(mask, list) and all(value is None for value in mask):
        mask = None
    history = None if mask is None else _reference(mask["config"]["keras_history"])
    return _Call(spec.name, i, [_reference(tensor) for tensor in tensors], history, constants)


def _flat(argument: Any) -> list[Any]:
    return argument if isinstance(argument, list) else [argument]
