"""An architecture written as in Keras code, for a file that holds only weights.

    Embedding(465, 100), LSTM(128, return_sequences=True), LSTM(128), Dense(465, "softmax")

The text is parsed and never run. It holds calls of layers with literal arguments. They may stand in
a list, in a `Sequential`, in lines of `model.add(...)`, or with `>` between them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

# The names of the positional arguments of each class, in their order.
_POSITIONAL: Mapping[str, Sequence[str]] = {
    "Activation": ("activation",),
    "AlphaDropout": ("rate",),
    "Bidirectional": ("layer", "merge_mode"),
    "CuDNNGRU": ("units",),
    "CuDNNLSTM": ("units",),
    "Dense": ("units", "activation"),
    "Dropout": ("rate",),
    "ELU": ("alpha",),
    "Embedding": ("input_dim", "output_dim"),
    "GRU": ("units", "activation", "recurrent_activation"),
    "GRUCell": ("units",),
    "GaussianDropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "Input": ("shape",),
    "InputLayer": ("input_shape",),
    "LSTM": ("units", "activation", "recurrent_activation"),
    "LSTMCell": ("units",),
    "LeakyReLU": ("alpha",),
    "Masking": ("mask_value",),
    "Permute": ("dims",),
    "RNN": ("cell", "return_sequences"),
    "RepeatVector": ("n",),
    "Reshape": ("target_shape",),
    "SimpleRNN": ("units", "activation"),
    "SimpleRNNCell": ("units",),
    "SpatialDropout1D": ("rate",),
    "StackedRNNCells": ("cells",),
    "TimeDistributed": ("layer",),
}


_MAX_TEXT = 2**15  # characters. The tree of a text takes 300 times its size


def parse(text: str) -> dict[str, Any]:
    """Return the config of the Sequential model that a text describes.

    text: calls of layers, at least one, in at most 32,768 characters. Names without quotes, such as
        softmax, count as texts.

    Raises `ValueError` for a text that cannot be understood.

    >>> model = parse("LSTM(128) > Dense(52, softmax)")
    >>> [layer["class_name"] for layer in model["config"]["layers"]]
    ['LSTM', 'Dense']
    >>> model["config"]["layers"][1]["config"]
    {'units': 52, 'activation': 'softmax'}
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(f"expected layers in at most {_MAX_TEXT:,} characters, found {len(text):,}")
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a list of layers such as 'LSTM(128), Dense(52, softmax)': {error}") from None
    calls = [call for statement in tree.body for call in _calls(_expression(statement))]
    if not calls:
        raise ValueError("expected layers such as 'LSTM(128), Dense(52, softmax)', found none")
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [_layer(c) for c in calls]}}


def _expression(statement: ast.stmt) -> ast.expr:
    if isinstance(statement, ast.Assign | ast.Expr):  # such as model = Sequential([...])
        return statement.value
    raise ValueError(f"line {statement.lineno}: expected layers only")


def _calls(node: ast.expr) -> list[ast.expr]:
    """Return the calls of layers in a list, a Sequential, an add, or a chain with `>`."""
    if isinstance(node, ast.List | ast.Tuple):
        return [call for item in node.elts for call in _calls(item)]
    if isinstance(node, ast.Compare) and all(isinstance(op, ast.Gt) for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and _name(node.func) in ("Sequential", "add"):
        return [call for item in node.args for call in _calls(item)]
    return [node]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):  # such as keras.layers.LSTM
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _layer(node: ast.expr) -> dict[str, Any]:
    if isinstance(node, ast.Name):  # such as Flatten without its brackets
        node = ast.Call(node, [], [])
    if not isinstance(node, ast.Call) or not _name(node.func):
        raise ValueError(f"expected a layer such as LSTM(128), found {ast.unparse(node):.60}")
    kind = _name(node.func)
    names = _POSITIONAL.get(kind, ())
    if len(node.args) > len(names):
        raise ValueError(f"{kind}: expected at most {len(names)} arguments without a name, found {len(node.args)}")
    config = {name: _value(argument) for name, argument in zip(names, node.args, strict=False)}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError(f"{kind}: '**' is not supported")
        config[keyword.arg] = _value(keyword.value)
    if kind == "RNN" and isinstance(config.get("cell"), list):
        config["cell"] = {"class_name": "StackedRNNCells", "config": {"cells": config["cell"]}}
    return {"class_name": "InputLayer" if kind == "Input" else kind, "config": _with_shape(kind, config)}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _layer(node)
    if isinstance(node, ast.Name):  # softmax stands for 'softmax'
        return node.id
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"expected a literal, found {ast.unparse(node):.60}") from None


def _with_shape(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config with the shape of the input as `batch_input_shape`, as Keras stores it."""
    shape = config.pop("input_shape", None) or (config.pop("shape", None) if kind in ("Input", "InputLayer") else None)
    length = config.get("input_length")
    if isinstance(shape, list):
        config["batch_input_shape"] = [None, *shape]
    elif kind == "Embedding" and length is not None:
        config["batch_input_shape"] = [None, length]
    elif kind != "Embedding" and "input_dim" in config:
        config["batch_input_shape"] = [None, length, config["input_dim"]]
    return config
