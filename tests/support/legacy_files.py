"""Files in the exact layout of Keras 1, Keras 2 and tf.keras.

They are written from a model of the installed Keras 3. No older version can be installed beside it,
so h5py alone writes their layouts here.

| function | what it writes |
|---|---|
| `write_legacy` | a whole model |
| `write_legacy_weights` | what `save_weights` wrote |
| `write_weights_v3` | the early forms of `.weights.h5` |

A layer or an option that a version did not have is a `ValueError`. The numbers of a model do not
change. The caller must know one exception: `hard_sigmoid` is another function in Keras 3 than
before it.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Config = dict[str, Any]

VERSIONS = ("1.2.2", "2.0.8", "2.1.5", "2.2.4", "2.3.1", "2.2.4-tf", "2.3.0-tf", "2.6.0", "2.12.0")

HDF5_OBJECT_HEADER_LIMIT = 64512  # bytes; what is longer was split

# -- versions and options --------------------------------------------------------------------------

Number = tuple[int, ...]
ALWAYS: Number = (0,)
NEVER: Number = (99,)


@dataclass(frozen=True)
class Version:
    """A version of Keras, and what is peculiar to the files it wrote."""

    name: str

    @property
    def number(self) -> Number:
        return tuple(int(part) for part in self.name.removesuffix("-tf").split("."))

    @property
    def tf(self) -> bool:
        """Whether it is tf.keras, which became Keras itself with 2.4."""
        return self.name.endswith("-tf") or self.number >= (2, 4)

    @property
    def keras1(self) -> bool:
        return self.number < (2,)

    @property
    def list_config(self) -> bool:
        return self.number < (2, 2, 3)

    @property
    def dtype_everywhere(self) -> bool:
        return self.tf or self.number >= (2, 3)

    @property
    def input_in_sequential(self) -> bool:
        return self.tf and self.number >= (2, 4)

    @property
    def cell_in_names(self) -> bool:
        return self.tf and self.number >= (2, 3)

    @property
    def functional(self) -> str:
        return "Functional" if self.tf and self.number >= (2, 4) else "Model"

    @property
    def fixed_names(self) -> bool:
        """Whether it was used with h5py 2, which stored lists of names as |S."""
        return self.number < (2, 5)

    @property
    def implementation(self) -> int:
        if self.name == "2.2.4-tf":
            return 1
        return 0 if self.number < (2, 1) else 1 if self.number < (2, 3) else 2

    @property
    def has_cudnn(self) -> bool:
        return self.name == "2.2.4-tf" or (not self.tf and self.number >= (2, 0, 9))

    def since(self, plain: Number, tf: Number) -> bool:
        """Return whether it is as late as `plain` (multi-backend Keras), or `tf` (tf.keras)."""
        return self.number >= (tf if self.tf else plain)


@dataclass(frozen=True)
class Options:
    """How a file differs from the version's default on TensorFlow.

    theano: whether the backend was Theano, so that names of arrays have no ':0'.
    consume_less: an option of Keras 1. "gpu" gives an LSTM and a GRU 3 arrays instead of 12 and 9.
    cudnn: whether each LSTM, and each GRU with reset_after, is its CuDNN class.
    first_cell: the number of the first cell of tf.keras in the names, such as `lstm_cell_74`.
    names_as: how texts lie in attributes: "S" (fixed size), "bytes" or "str" (variable size), or
        None for the way of the version.
    chunked: whether names are cut into `layer_names0`, `layer_names1` ..., although they are short.
    dtype: of all arrays, or None for that of the model.
    junk: whether there are training_config and optimizer_weights, as after `compile` and `fit`.
    """

    theano: bool = False
    consume_less: Literal["cpu", "mem", "gpu"] = "cpu"
    cudnn: bool = False
    first_cell: int = 0
    names_as: Literal["S", "bytes", "str"] | None = None
    chunked: bool = False
    dtype: DTypeLike | None = None
    junk: bool = False


@dataclass
class Era:
    """What all the functions below share about the file being written."""

    version: Version
    options: Options
    cells: Counter[str] = field(default_factory=Counter)

    def missing(self, what: str) -> ValueError:
        return ValueError(f"Keras {self.version.name} has no {what}")

    def next_cell(self, kind: str) -> str:
        """Return the name that tf.keras gave to its next cell of some kind."""
        count = self.options.first_cell + self.cells[kind]
        self.cells[kind] += 1
        name = {"LSTM": "lstm_cell", "GRU": "gru_cell", "SimpleRNN": "simple_rnn_cell"}[kind]
        return f"{name}_{count}" if count else name

    def is_cudnn(self, layer: Any) -> bool:
        kind = type(layer).__name__
        if not self.options.cudnn or kind not in ("LSTM", "GRU") or (kind == "GRU" and not layer.reset_after):
            return False
        if not self.version.has_cudnn:
            raise self.missing(f"CuDNN{kind}")
        config = layer.get_config()
        if (config["activation"], config["recurrent_activation"], config["use_bias"]) != ("tanh", "sigmoid", True):
            raise ValueError(f"layer {layer.name}: a CuDNN{kind} has tanh, sigmoid and a bias, and nothing else")
        return True


# -- config: which keys ----------------------------------------------------------------------------

RNN_KEYS = "return_sequences return_state go_backwards stateful unroll time_major"
CUDNN_KEYS = "return_sequences return_state go_backwards stateful time_major units"
INITIALIZERS = "kernel_initializer recurrent_initializer bias_initializer"
REGULARIZERS = "kernel_regularizer recurrent_regularizer bias_regularizer"
CONSTRAINTS = "kernel_constraint recurrent_constraint bias_constraint"
DROPOUTS = "dropout recurrent_dropout implementation"
GATED = "units activation recurrent_activation use_bias"
NORM_WEIGHTS = "beta_regularizer gamma_regularizer beta_constraint gamma_constraint"

# Class: its keys from Keras 2.0 to the last tf.keras
KEYS = {
    "Activation": "activation",
    "Add": "",
    "AlphaDropout": "rate seed",
    "Average": "",
    "BatchNormalization": "axis momentum epsilon center scale beta_initializer gamma_initializer"
    f" moving_mean_initializer moving_variance_initializer {NORM_WEIGHTS}",
    "Bidirectional": "layer merge_mode",
    "Concatenate": "axis",
    "CuDNNGRU": f"{CUDNN_KEYS} {INITIALIZERS} {REGULARIZERS} activity_regularizer {CONSTRAINTS}",
    "CuDNNLSTM": f"{CUDNN_KEYS} {INITIALIZERS} unit_forget_bias {REGULARIZERS} activity_regularizer {CONSTRAINTS}",
    "Dense": "units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer"
    " activity_regularizer kernel_constraint bias_constraint",
    "Dot": "axes normalize",
    "Dropout": "rate noise_shape seed",
    "ELU": "alpha",
    "Embedding": "input_dim output_dim embeddings_initializer embeddings_regularizer activity_regularizer"
    " embeddings_constraint mask_zero input_length",
    "Flatten": "data_format",
    "GRU": f"{RNN_KEYS} {GATED} {INITIALIZERS} {REGULARIZERS} activity_regularizer {CONSTRAINTS} {DROPOUTS}"
    " reset_after",
    "GRUCell": f"{GATED} {INITIALIZERS} {REGULARIZERS} {CONSTRAINTS} {DROPOUTS} reset_after",
    "GaussianDropout": "rate seed",
    "GaussianNoise": "stddev seed",
    "GlobalAveragePooling1D": "data_format keepdims",
    "GlobalMaxPooling1D": "data_format keepdims",
    "InputLayer": "sparse ragged",
    "LSTM": f"{RNN_KEYS} {GATED} {INITIALIZERS} unit_forget_bias {REGULARIZERS} activity_regularizer {CONSTRAINTS}"
    f" {DROPOUTS}",
    "LSTMCell": f"{GATED} {INITIALIZERS} unit_forget_bias {REGULARIZERS} {CONSTRAINTS} {DROPOUTS}",
    "LayerNormalization": f"axis epsilon center scale beta_initializer gamma_initializer {NORM_WEIGHTS}",
    "LeakyReLU": "alpha",
    "Masking": "mask_value",
    "Maximum": "",
    "Minimum": "",
    "Multiply": "",
    "PReLU": "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
    "Permute": "dims",
    "RNN": f"{RNN_KEYS} cell",
    "ReLU": "max_value negative_slope threshold",
    "RepeatVector": "n",
    "Reshape": "target_shape",
    "SimpleRNN": f"{RNN_KEYS} units activation use_bias {INITIALIZERS} {REGULARIZERS} activity_regularizer"
    f" {CONSTRAINTS} {DROPOUTS}",
    "SimpleRNNCell": f"units activation use_bias {INITIALIZERS} {REGULARIZERS} {CONSTRAINTS} dropout recurrent_dropout",
    "Softmax": "axis",
    "SpatialDropout1D": "rate noise_shape seed",
    "StackedRNNCells": "cells",
    "Subtract": "",
    "TimeDistributed": "layer",
}

# The first multi-backend Keras and the first tf.keras that had a class, or a key of a class.
SINCE: dict[tuple[str, ...], tuple[Number, Number]] = {
    ("AlphaDropout",): ((2, 0, 6), ALWAYS),
    ("GRUCell",): ((2, 1), ALWAYS),
    ("LSTMCell",): ((2, 1), ALWAYS),
    ("LayerNormalization",): (NEVER, ALWAYS),
    ("Minimum",): ((2, 0, 9), ALWAYS),
    ("RNN",): ((2, 1), ALWAYS),
    ("ReLU",): ((2, 2), ALWAYS),
    ("SimpleRNNCell",): ((2, 1), ALWAYS),
    ("Softmax",): ((2, 1, 3), ALWAYS),
    ("StackedRNNCells",): ((2, 1), ALWAYS),
    ("AlphaDropout", "seed"): (NEVER, (2, 9)),
    ("Dropout", "noise_shape"): ((2, 0, 9), ALWAYS),
    ("Dropout", "seed"): ((2, 0, 9), ALWAYS),
    ("Flatten", "data_format"): ((2, 1, 6), ALWAYS),
    ("GRU", "reset_after"): ((2, 1, 5), ALWAYS),
    ("GRUCell", "reset_after"): ((2, 1, 5), ALWAYS),
    ("GaussianDropout", "seed"): (NEVER, (2, 9)),
    ("GaussianNoise", "seed"): (NEVER, (2, 9)),
    ("GlobalAveragePooling1D", "data_format"): ((2, 2), ALWAYS),
    ("GlobalAveragePooling1D", "keepdims"): (NEVER, (2, 6)),
    ("GlobalMaxPooling1D", "data_format"): ((2, 2), ALWAYS),
    ("GlobalMaxPooling1D", "keepdims"): (NEVER, (2, 6)),
    ("InputLayer", "ragged"): (NEVER, ALWAYS),
    ("ReLU", "negative_slope"): ((2, 2, 3), ALWAYS),
    ("ReLU", "threshold"): ((2, 2, 3), ALWAYS),
    ("SpatialDropout1D", "noise_shape"): ((2, 0, 9), ALWAYS),
    ("SpatialDropout1D", "seed"): ((2, 0, 9), ALWAYS),
}

# What a key meant where it was missing, if Keras 3 can also say something else
MEANT_BY_ABSENCE = {
    "data_format": "channels_last",
    "keepdims": False,
    "negative_slope": 0.0,
    "reset_after": False,
    "threshold": 0.0,
}

# Keys that Keras 3 has under another name, or not at all
FROM_KERAS_3 = {("LeakyReLU", "alpha"): "negative_slope"}
DEFAULTS: Config = {
    "activity_regularizer": None,
    "data_format": "channels_last",
    "input_length": None,
    "keepdims": False,
    "noise_shape": None,
    "ragged": False,
    "return_state": False,
    "seed": None,
    "sparse": False,
    "time_major": False,
}

RNN_KEYS_1 = "return_sequences go_backwards stateful unroll consume_less input_dim input_length"
RNN_REGULARIZERS_1 = (
    "W_regularizer=kernel_regularizer U_regularizer=recurrent_regularizer b_regularizer=bias_regularizer"
    " dropout_W=dropout dropout_U=recurrent_dropout"
)
RNN_INIT_1 = "output_dim=units init=kernel_initializer inner_init=recurrent_initializer"
GATED_1 = f"activation inner_activation=recurrent_activation {RNN_REGULARIZERS_1}"

# Class: its keys in Keras 1, with the name of today where it is another
KEYS_1 = {
    "Activation": "activation",
    "BatchNormalization": "epsilon mode axis gamma_regularizer beta_regularizer momentum",
    "Bidirectional": "layer merge_mode",
    "Dense": "output_dim=units init=kernel_initializer activation W_regularizer=kernel_regularizer"
    " b_regularizer=bias_regularizer activity_regularizer W_constraint=kernel_constraint"
    " b_constraint=bias_constraint bias=use_bias input_dim",
    "Dropout": "p=rate",
    "ELU": "alpha",
    "Embedding": "input_dim output_dim init=embeddings_initializer input_length mask_zero activity_regularizer"
    " W_regularizer=embeddings_regularizer W_constraint=embeddings_constraint dropout",
    "Flatten": "",
    "GRU": f"{RNN_KEYS_1} {RNN_INIT_1} {GATED_1}",
    "GaussianDropout": "p=rate",
    "GaussianNoise": "sigma=stddev",
    "GlobalAveragePooling1D": "",
    "GlobalMaxPooling1D": "",
    "InputLayer": "sparse",
    "LSTM": f"{RNN_KEYS_1} {RNN_INIT_1} forget_bias_init {GATED_1}",
    "LeakyReLU": "alpha",
    "Masking": "mask_value",
    "PReLU": "init=alpha_initializer",
    "Permute": "dims",
    "RepeatVector": "n",
    "Reshape": "target_shape",
    "SimpleRNN": f"{RNN_KEYS_1} {RNN_INIT_1} activation {RNN_REGULARIZERS_1}",
    "SpatialDropout1D": "p=rate",
    "TimeDistributed": "layer",
}

# Class: what it has to be for Keras 1 to have had it
ONLY_1: dict[str, Config] = {
    "BatchNormalization": {"center": True, "scale": True},
    "GRU": {"use_bias": True, "reset_after": False, "return_state": False},
    "GlobalAveragePooling1D": {"data_format": "channels_last", "keepdims": False},
    "GlobalMaxPooling1D": {"data_format": "channels_last", "keepdims": False},
    "LSTM": {"use_bias": True, "return_state": False},
    "PReLU": {"shared_axes": None},
    "SimpleRNN": {"use_bias": True, "return_state": False},
}

MERGE_MODES_1 = {"Add": "sum", "Average": "ave", "Concatenate": "concat", "Maximum": "max", "Multiply": "mul"}

# -- config: which values --------------------------------------------------------------------------

NAMES_1 = {
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "LecunUniform": "lecun_uniform",
    "Identity": "identity",
    "Ones": "one",
    "Orthogonal": "orthogonal",
    "RandomNormal": "normal",
    "RandomUniform": "uniform",
    "Zeros": "zero",
}

VARIANCE_SCALING: dict[str, tuple[float, str, str]] = {
    "GlorotNormal": (1.0, "fan_avg", "normal"),
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "HeNormal": (2.0, "fan_in", "normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
}


def rounded(number: float) -> float:
    """Return a number that passed through float32, as those did that Keras gave to its backend."""
    return float(np.float32(number))


def initializer(era: Era, today: Config) -> Any:
    kind = today["class_name"]
    config = {key: value for key, value in today["config"].items() if not key.endswith("_axes")}
    if era.version.keras1:
        if kind not in NAMES_1:
            raise era.missing(f"initializer {kind}")
        return NAMES_1[kind]
    if not era.version.tf and kind in VARIANCE_SCALING:
        scale, mode, distribution = VARIANCE_SCALING[kind]
        kind = "VarianceScaling"
        config = {"scale": scale, "mode": mode, "distribution": distribution, "seed": config["seed"]}
    if era.version.name == "2.2.4-tf":
        config["dtype"] = "float32"
    return {"class_name": kind, "config": config}


def regularizer(era: Era, today: Config | None) -> Any:
    if today is None:
        return None
    factors = {key: rounded(value) for key, value in today["config"].items()}
    both = {"l1": 0.0, "l2": 0.0, **factors}
    if era.version.keras1:
        return {"name": "L1L2Regularizer", **both}
    if era.version.tf and era.version.number >= (2, 4):
        return {"class_name": today["class_name"], "config": factors}
    return {"class_name": "L1L2", "config": both}


def constraint(era: Era, today: Config | None) -> Any:
    if today is None:
        return None
    if era.version.keras1:
        config = {("m" if key == "max_value" else key): value for key, value in today["config"].items()}
        return {"name": today["class_name"], **config}
    return {"class_name": today["class_name"], "config": today["config"]}


EARLY_ACTIVATIONS = ["linear", "relu", "elu", "softmax", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid"]


def activation(today: Any) -> str:
    if isinstance(today, Mapping) and today["class_name"] != "function":
        raise ValueError("a layer as an activation is not written here")
    name = today["config"] if isinstance(today, Mapping) else today
    return "swish" if name == "silu" else str(name)


def value(era: Era, layer: Any, key: str, today: Any) -> Any:
    """Return what an old version wrote for `key` where Keras 3 writes `today`."""
    if key.endswith("_initializer"):
        return initializer(era, today)
    if key.endswith("_regularizer"):
        return regularizer(era, today)
    if key.endswith("_constraint"):
        return constraint(era, today)
    if key in ("activation", "recurrent_activation"):
        name = activation(today)
        if name not in EARLY_ACTIVATIONS and era.version.number < ((2,) if name == "selu" else (2, 2)):
            raise era.missing(f"activation {name}")
        return name
    if key == "axis" and type(layer).__name__ in ("BatchNormalization", "LayerNormalization") and era.version.tf:
        rank = len(layer.get_build_config()["input_shape"])
        return [axis % rank for axis in (today if isinstance(today, Sequence) else [today])]
    if key == "alpha" and not era.version.keras1:
        return rounded(today)
    return list(today) if isinstance(today, tuple) else today


# -- config: layers --------------------------------------------------------------------------------


def is_model(layer: Any) -> bool:
    return type(layer).__name__ in ("Sequential", "Functional", "Model")


def class_name(era: Era, layer: Any) -> str:
    """Return the class under which an old version saved a layer."""
    kind = type(layer).__name__
    if is_model(layer):
        return kind if kind == "Sequential" else era.version.functional
    if era.is_cudnn(layer):
        return f"CuDNN{kind}"
    if era.version.keras1:
        if kind not in KEYS_1 and kind not in MERGE_MODES_1:
            raise era.missing(kind)
        return "Merge" if kind in MERGE_MODES_1 else kind
    if kind not in KEYS:
        raise ValueError(f"{kind}: no layer that this module can write")
    if not era.version.since(*SINCE.get((kind,), (ALWAYS, ALWAYS))):
        raise era.missing(kind)
    return kind


def entry(era: Era, layer: Any, **more: Any) -> Config:
    """Return a layer, or a model, inside a layer or a model; `more` is for `layer_config`."""
    config = model_config(era, layer) if is_model(layer) else layer_config(era, layer, **more)
    return {"class_name": class_name(era, layer), "config": config}


def layer_config(
    era: Era,
    layer: Any,
    *,
    name: str | None = None,
    input_shape: Sequence[int | None] | None = None,
    built: bool = True,
) -> Config:
    """Return the config of a layer as an old version saved it.

    `input_shape`, with the batch, is that of the first layer of a Sequential; `built` is whether
    the version had built the layer when it saved it.
    """
    kind = class_name(era, layer)
    if kind == "Merge":
        return merge_config_1(layer)
    today = {**DEFAULTS, **layer.get_config()}
    config: Config = {"name": name or layer.name, "trainable": layer.trainable}
    if kind == "InputLayer":
        del config["trainable"]
        input_shape = list(today["batch_shape"])
        config[era_dtype(era)] = input_dtype(today["dtype"])
    if input_shape is not None:
        config["batch_input_shape"] = list(input_shape)
        config.setdefault(era_dtype(era), "int32" if era.version.keras1 and kind == "Embedding" else "float32")
    elif era.version.dtype_everywhere:
        config["dtype"] = "float32"
    if kind == "Embedding" and input_shape is not None:
        today["input_length"] = input_shape[1]
    make = keys_1 if era.version.keras1 else keys_2
    config.update(make(era, kind, layer, today, built))
    return config


def era_dtype(era: Era) -> str:
    return "input_dtype" if era.version.keras1 else "dtype"


def input_dtype(today: Any) -> str:
    return str(today["config"]["name"] if isinstance(today, Mapping) else today)


def keys_2(era: Era, kind: str, layer: Any, today: Config, built: bool) -> Iterator[tuple[str, Any]]:
    """Yield keys and values of a layer from Keras 2.0 to the last tf.keras."""
    for key in KEYS[kind].split():
        old = today.get(FROM_KERAS_3.get((kind, key), key))
        if key == "time_major" and not era.version.tf:
            continue
        if key == "implementation":
            if not (kind == "SimpleRNN" and era.version.number >= (2, 1)):
                yield key, era.version.implementation
        elif not era.version.since(*SINCE.get((kind, key), (ALWAYS, ALWAYS))):
            if key in MEANT_BY_ABSENCE and old != MEANT_BY_ABSENCE[key]:
                raise era.missing(f"{kind} with {key}={old!r}")
        elif key in ("layer", "cell", "cells"):
            yield key, inner(era, kind, layer)
        else:
            yield key, value(era, layer, key, old)


def keys_1(era: Era, kind: str, layer: Any, today: Config, built: bool) -> Iterator[tuple[str, Any]]:
    """Yield keys and values of a layer in Keras 1."""
    for key, expected in ONLY_1.get(kind, {}).items():
        if today[key] != expected:
            raise era.missing(f"{kind} with {key}={today[key]!r}")
    written = {
        "consume_less": era.options.consume_less,
        "dropout": today.get("dropout", 0.0),
        "forget_bias_init": "one" if today.get("unit_forget_bias", True) else "zero",
        "mode": 0,
    }
    for key in KEYS_1[kind].split():
        old, _, new = key.partition("=")
        new = FROM_KERAS_3.get((kind, old), new or old)
        if old == "layer":
            yield old, inner(era, kind, layer)
        elif old == "input_dim" and kind != "Embedding":
            kernel = layer.cell.kernel if hasattr(layer, "cell") else layer.kernel
            yield old, int(kernel.shape[0]) if built else None
        elif old in written:
            yield old, written[old]
        else:
            yield old, value(era, layer, new, today[new])


def inner(era: Era, kind: str, layer: Any) -> Any:
    """Return the layer or the cells inside a layer."""
    if kind == "Bidirectional":
        check_halves(era, layer)
        # Only the copies of the wrapped layer were built, under names with forward_ and backward_
        name = layer.forward_layer.name.removeprefix("forward_")
        return entry(era, layer.forward_layer, name=name, built=False)
    if kind == "StackedRNNCells":
        return [entry(era, cell) for cell in layer.cells]
    return entry(era, layer.cell if kind == "RNN" else layer.layer)


def check_halves(era: Era, layer: Any) -> None:
    """Refuse a Bidirectional whose halves differ. Only tf.keras had it, under another key."""
    halves = [half.get_config() for half in (layer.forward_layer, layer.backward_layer)]
    for half in halves:
        del half["name"], half["go_backwards"]
    if halves[0] != halves[1]:
        raise era.missing(f"Bidirectional of two layers ({layer.name})")


def merge_config_1(layer: Any) -> Config:
    kind = type(layer).__name__
    config: Config = {"name": layer.name, "mode": MERGE_MODES_1[kind], "mode_type": "raw"}
    config |= {"concat_axis": layer.get_config().get("axis", -1), "dot_axes": -1}
    for what in ("output_shape", "output_mask"):
        config |= {what: None, f"{what}_type": "raw"}
    return config | {"arguments": {}}


# -- config: models --------------------------------------------------------------------------------


def model_config(era: Era, model: Any) -> Any:
    return sequential_config(era, model) if type(model).__name__ == "Sequential" else functional_config(era, model)


def sequential_config(era: Era, model: Any) -> Any:
    shape = [None if size is None else int(size) for size in model.inputs[0].shape]
    first, *rest = model.layers
    layers = [entry(era, first, input_shape=shape), *(entry(era, layer) for layer in rest)]
    if era.version.input_in_sequential:
        config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False}
        layers.insert(0, {"class_name": "InputLayer", "config": {**config, "name": f"{first.name}_input"}})
    return layers if era.version.list_config else {"name": model.name, "layers": layers}


def functional_config(era: Era, model: Any) -> Config:
    today = model.get_config()
    kinds = {layer.name: is_model(layer) for layer in model.layers}

    def tensor(history: Sequence[Any]) -> list[Any]:
        name, node, index = history
        return [name, node + kinds[name], index]  # a model inside has a node before it is called

    def node(today: Config) -> list[Any]:
        state = list(histories(today["kwargs"].get("initial_state")))
        if state and era.version.keras1:
            raise era.missing("initial_state")
        tensors = [tensor(history) for history in [*histories(today["args"]), *state]]
        return tensors if era.version.keras1 else [[*each, {}] for each in tensors]

    layers = []
    # In Keras 3 the operations that compute masks are layers of the config. Before, they were not.
    listing = [listed for listed in today["layers"] if listed["name"] in kinds]
    for layer, listed in zip(model.layers, listing, strict=True):
        nodes = [node(each) for each in listed["inbound_nodes"]]
        layers.append({"name": layer.name, **entry(era, layer), "inbound_nodes": nodes})
    if era.version.tf and era.version.number >= (2, 5):
        share_objects(layers)
    config: Config = {"name": model.name}
    if era.version.tf and era.version.number >= (2, 12):
        config["trainable"] = model.trainable
    config["layers"] = layers
    config["input_layers"] = [tensor(history) for history in ends(today["input_layers"])]
    config["output_layers"] = [tensor(history) for history in ends(today["output_layers"])]
    return config


def histories(today: Any) -> Iterator[Sequence[Any]]:
    """Yield where the tensors among the arguments of a call come from."""
    if isinstance(today, Mapping):
        if today.get("class_name") == "__keras_tensor__":
            yield today["config"]["keras_history"]
    elif isinstance(today, Sequence) and not isinstance(today, str):
        for each in today:
            yield from histories(each)


def ends(today: Any) -> list[Sequence[Any]]:
    """Inputs or outputs of a Functional, which Keras 3 writes as one, as a list or as a dict."""
    if isinstance(today, Mapping):
        return list(today.values())
    return [today] if isinstance(today[0], str) else list(today)


def share_objects(layers: Sequence[Config]) -> None:
    """Number the initializers, as tf.keras did in functional models to identify objects."""
    count = 0
    for layer in layers:
        for kept in layer["config"].values():
            if isinstance(kept, dict) and kept.get("class_name") in {*NAMES_1, "LecunNormal", "VarianceScaling"}:
                kept["shared_object_id"] = count
                count += 1
        count += 2 if "recurrent_initializer" in layer["config"] else 1  # the layer itself, and its cell


# -- weights ---------------------------------------------------------------------------------------

ARRAYS = {
    "BatchNormalization": "gamma beta moving_mean moving_variance",
    "Dense": "kernel bias",
    "Embedding": "embeddings",
    "LayerNormalization": "gamma beta",
    "PReLU": "alpha",
}
STATISTICS = ("moving_mean", "moving_variance")
ARRAYS_1 = {
    "alpha": "alphas",
    "bias": "b",
    "embeddings": "W",
    "kernel": "W",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",  # although it is the variance
    "recurrent_kernel": "U",
}
GATES = {"LSTM": "ifco", "GRU": "zrh"}  # in the columns of a kernel
GATES_1 = {"LSTM": "icfo", "GRU": "zrh"}  # in the order in which Keras 1 listed its arrays


@dataclass(frozen=True)
class Weight:
    name: str
    array: Array
    trainable: bool = True


def in_order(weights: Sequence[Weight]) -> list[Weight]:
    """Return the weights of a group: the trainable ones come first."""
    return sorted(weights, key=lambda weight: not weight.trainable)


def weights_of(era: Era, layer: Any, scope: str, trainable: bool = True) -> list[Weight]:
    """Return the weights of a layer under the names of an old version, which begin with `scope`."""
    trainable = trainable and layer.trainable
    kind = type(layer).__name__
    if is_model(layer):
        return list(chain(*(weights_of(era, each, each.name, trainable) for each in layer.layers)))
    if kind == "Bidirectional":
        if era.version.cell_in_names:
            era.next_cell(type(layer.forward_layer).__name__)  # that of the wrapped layer, which was never built
        halves = layer.forward_layer, layer.backward_layer
        return list(chain(*(weights_of(era, each, subscope(era, scope, each), trainable) for each in halves)))
    if kind == "TimeDistributed":
        return weights_of(era, layer.layer, layer.layer.name if era.version.keras1 else scope, trainable)
    if kind == "RNN":
        return cells_weights(era, layer.cell, scope, trainable)
    if kind in ("LSTM", "GRU", "SimpleRNN"):
        return recurrent_weights(era, layer, scope, trainable)
    names = ARRAYS.get(kind, "").split()
    arrays = {name: getattr(layer, name, None) for name in names}
    if len([array for array in arrays.values() if array is not None]) != len(
        [each for each in layer.weights if "seed" not in each.name]
    ):
        raise ValueError(f"layer {layer.name}: this module does not know the weights of a {kind}")
    return [
        Weight(array_name(era, scope, name), numbers(era, array), trainable and name not in STATISTICS)
        for name, array in arrays.items()
        if array is not None
    ]


def subscope(era: Era, scope: str, layer: Any) -> str:
    return str(layer.name) if era.version.keras1 else f"{scope}/{layer.name}"


def array_name(era: Era, scope: str, name: str, suffix: str = "") -> str:
    end = "" if era.options.theano else ":0"
    return f"{scope}_{ARRAYS_1.get(name, name)}{suffix}{end}" if era.version.keras1 else f"{scope}/{name}{suffix}{end}"


def numbers(era: Era, variable: Any) -> Array:
    array = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
    return array if era.options.dtype is None else array.astype(era.options.dtype)


def cell_arrays(era: Era, cell: Any) -> dict[str, Array]:
    names = ("kernel", "recurrent_kernel", "bias")
    arrays = {name: getattr(cell, name, None) for name in names}
    return {name: numbers(era, array) for name, array in arrays.items() if array is not None}


def recurrent_weights(era: Era, layer: Any, scope: str, trainable: bool) -> list[Weight]:
    kind = type(layer).__name__
    arrays = cell_arrays(era, layer.cell)
    if era.version.keras1 and kind in GATES and era.options.consume_less != "gpu":
        return gate_weights_1(era, kind, arrays, scope, trainable)
    if era.is_cudnn(layer):
        arrays = cudnn_arrays(kind, arrays)
    elif era.version.cell_in_names:
        scope = f"{scope}/{era.next_cell(kind)}"
    return [Weight(array_name(era, scope, name), array, trainable) for name, array in arrays.items()]


def gate_weights_1(era: Era, kind: str, arrays: Mapping[str, Array], scope: str, trainable: bool) -> list[Weight]:
    """Return a kernel, a recurrent kernel and a bias for each gate, 12 of an LSTM, 9 of a GRU."""
    gates = GATES[kind]
    blocks = {name: np.split(array, len(gates), axis=-1) for name, array in arrays.items()}
    return [
        Weight(array_name(era, scope, name, f"_{gate}"), blocks[name][gates.index(gate)], trainable)
        for gate in GATES_1[kind]
        for name in arrays
    ]


def cudnn_arrays(kind: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays as CuDNN stores them.

    Each gate is transposed. There is a bias for the input and one for the state.
    """
    count = len(GATES[kind])
    bias = arrays["bias"]

    def by_gate(name: str) -> Array:
        blocks = np.split(arrays[name], count, axis=1)
        return np.hstack([block.T.reshape(block.shape) for block in blocks])

    return {
        "kernel": by_gate("kernel"),
        "recurrent_kernel": by_gate("recurrent_kernel"),
        # 2b - b: halves that are equal would not show who reads one of them twice; both are exact
        "bias": np.concatenate([2 * bias, -bias]) if kind == "LSTM" else bias.reshape(-1),
    }


def cells_weights(era: Era, cell: Any, scope: str, trainable: bool) -> list[Weight]:
    """Return the weights of the cell, or of the stacked cells, of an RNN."""
    cells = cell.cells if type(cell).__name__ == "StackedRNNCells" else [cell]
    weights = []
    for count, each in enumerate(cells):
        suffix = "" if era.version.cell_in_names or not count else f"_{count}"
        stack = f"{cell.name}/" if each is not cell else ""
        inside = f"{scope}/{stack}{each.name}" if era.version.cell_in_names else scope
        for name, array in cell_arrays(era, each).items():
            weights.append(Weight(array_name(era, inside, name, suffix), array, trainable))
    return weights


# -- the file --------------------------------------------------------------------------------------


def write_text(era: Era, node: Any, name: str, text: str, *, as_str: bool = False) -> None:
    """Write a text attribute; `as_str` is whether the version gave h5py a str, not bytes."""
    style = era.options.names_as or ("str" if as_str else "bytes")
    node.attrs[name] = {"S": np.bytes_(text.encode()), "bytes": text.encode(), "str": text}[style]


def write_names(era: Era, node: Any, name: str, names: Sequence[str]) -> None:
    """Write a list of names, in several attributes if it is long, or if `chunked` asks for it."""
    style = era.options.names_as or ("S" if era.version.fixed_names else "bytes")
    if not names:
        node.attrs[name] = np.array([], np.float64)
        return
    kept = np.array([each.encode() for each in names])
    chunks = 2 if era.options.chunked and len(names) > 1 else 1
    while any(part.nbytes > HDF5_OBJECT_HEADER_LIMIT for part in np.array_split(kept, chunks)):
        chunks += 1
    for count, part in enumerate(np.array_split(kept, chunks)):
        key = f"{name}{count}" if chunks > 1 or era.options.chunked else name
        if style == "S":
            node.attrs[key] = part
        else:
            text = [each.decode() for each in part.tolist()]
            encoding = "ascii" if style == "bytes" else "utf-8"
            node.attrs.create(key, np.array(text, object), dtype=h5py.string_dtype(encoding))


def write_version(era: Era, node: Any, *, as_str: bool = False) -> None:
    write_text(era, node, "backend", "theano" if era.options.theano else "tensorflow", as_str=as_str)
    write_text(era, node, "keras_version", era.version.name, as_str=as_str)


def write_arrays(era: Era, node: Any, weights: Sequence[Weight]) -> None:
    write_names(era, node, "weight_names", [weight.name for weight in weights])
    for weight in weights:
        node.create_dataset(weight.name, data=weight.array)


def write_group(era: Era, node: Any, model: Any) -> None:
    """Write the weights of a model, and the version, into the root or into `model_weights`."""
    layers = model.layers
    write_names(era, node, "layer_names", [layer.name for layer in layers])
    if not era.version.keras1:
        write_version(era, node)
    for layer in layers:
        write_arrays(era, node.create_group(layer.name), in_order(weights_of(era, layer, layer.name)))
    if era.version.tf and era.version.number >= (2, 9):
        write_arrays(era, node.create_group("top_level_model_weights"), [])


def write_junk(era: Era, file: h5py.File, model: Any) -> None:
    """Write the state of the training, which nobody who only predicts wants."""
    version = era.version
    rate = "lr" if version.number < (2, 3) else "learning_rate"
    optimizer = {rate: rounded(0.001), "beta_1": rounded(0.9), "beta_2": rounded(0.999), "decay": 0.0, "epsilon": 1e-07}
    config: Config = {
        "optimizer_config": {"class_name": "Adam", "config": optimizer},
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    write_text(era, file, "training_config", json.dumps(config))
    end = "" if era.options.theano else ":0"
    kept = list(chain(*(weights_of(era, layer, layer.name) for layer in model.layers)))[:3]
    states = [Weight(f"Adam/iterations{end}", np.array(7, np.int64))]
    for count, weight in enumerate(kept):
        plain = f"Variable_{count}" if version.keras1 else f"training/Adam/Variable_{count}"
        name = f"Adam/{weight.name.removesuffix(':0')}/m" if version.tf else plain
        states.append(Weight(name + end, np.full_like(weight.array, 0.5)))
    write_arrays(era, file.create_group("optimizer_weights"), states)


def write_legacy(model: Any, path: Path, version: str, **options: Any) -> Path:
    """Write a whole model as `model.save("model.h5")` of Keras `version` did.

    options: see `Options`.
    """
    era = Era(Version(version), Options(**options))
    saved = {"class_name": class_name(era, model), "config": model_config(era, model)}
    with h5py.File(path, "w") as file:
        as_str = era.version.tf and era.version.number >= (2, 3)
        if era.version.keras1:
            write_text(era, file, "keras_version", era.version.name)
        else:
            write_version(era, file, as_str=as_str)
        write_text(era, file, "model_config", json.dumps(saved))
        write_group(era, file.create_group("model_weights"), model)
        if era.options.junk:
            write_junk(era, file, model)
    return path


def write_legacy_weights(model: Any, path: Path, version: str, **options: Any) -> Path:
    """Write the weights of a model as `model.save_weights("weights.h5")` of Keras `version` did."""
    era = Era(Version(version), Options(**options))
    model_config(era, model)  # refuses what the version did not have
    with h5py.File(path, "w") as file:
        write_group(era, file, model)
    return path


# -- .weights.h5 -----------------------------------------------------------------------------------


def write_weights_v3(
    model: Any, path: Path, version: Literal["3.0.5", "2.13-tf"] = "3.0.5", *, windows: bool = False
) -> Path:
    """Write the weights of a model as an early `model.save_weights("model.weights.h5")` did.

    version: "3.0.5" has no attributes, and an empty group for the wrapped layer of each
        Bidirectional. "2.13-tf" also has `_layer_checkpoint_dependencies` where Keras 3 has
        `layers`.
    windows: whether the names of groups have backslashes.
    """
    prefix = "_layer_checkpoint_dependencies" if version == "2.13-tf" else "layers"

    def join(parts: Sequence[str]) -> str:
        return ("\\" if windows else "/").join(parts[:-1]) + "/" + parts[-1]

    with tempfile.TemporaryDirectory() as folder, h5py.File(path, "w") as file:
        today = Path(folder) / "today.weights.h5"
        model.save_weights(today)
        with h5py.File(today) as source:
            for name, arrays in groups_of_variables(source):
                parts = [prefix if part == "layers" else part for part in name.split("/")]
                target = file.require_group(join(parts))
                for key, values in arrays.items():
                    target.create_dataset(key, data=values)
                if "forward_layer" in parts:
                    file.require_group(join(["layer" if part == "forward_layer" else part for part in parts]))
    return path


def groups_of_variables(source: h5py.File) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield each group `.../vars` of a `.weights.h5`, and the arrays in it."""
    found: list[tuple[str, dict[str, Array]]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and name.rsplit("/")[-1] == "vars":
            found.append((name, {key: each[()] for key, each in node.items()}))

    source.visititems(visit)
    yield from found
