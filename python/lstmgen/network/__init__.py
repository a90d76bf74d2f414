"""The network between a Keras file and a `.bin`.

`layer_types.py` holds the table of the layer types, `activations.py` the functions of their
options, `graph.py` a network of such layers, and `reference.py` what it computes, in float64.
"""

from lstmgen.network.graph import (
    MATRICES,
    MAX_LAYERS,
    MAX_MATRIX,
    NETWORK_INPUT,
    Array,
    Layer,
    Network,
)
from lstmgen.network.layer_types import (
    LAYER_TYPES,
    MAX_INPUTS,
    MAX_SIZE,
    MAX_STEPS,
    NO_MAXIMUM,
    LayerType,
    OptionValue,
    Shape,
    Value,
    layer_type,
)

__all__ = [
    "LAYER_TYPES",
    "MATRICES",
    "MAX_INPUTS",
    "MAX_LAYERS",
    "MAX_MATRIX",
    "MAX_SIZE",
    "MAX_STEPS",
    "NETWORK_INPUT",
    "NO_MAXIMUM",
    "Array",
    "Layer",
    "LayerType",
    "Network",
    "OptionValue",
    "Shape",
    "Value",
    "layer_type",
]
