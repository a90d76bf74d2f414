"""One layer of a config, and questions about it.

A config is data. Nothing in it is imported or run.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lstmgen.errors import ModelFormatError
from lstmgen.network import MAX_SIZE, MAX_STEPS
from lstmgen.network.activations import ACTIVATIONS

MAX_CONFIG = 16 * 2**20  # bytes of the JSON that describes the architecture

OPERATION = "ops."  # the prefix for the class of an operation of Keras 3, such as Add

Config = Mapping[str, Any]
Version = tuple[int, int]

_ALIASES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}
_EARLY_ACTIVATIONS = {
    *("linear", "relu", "elu", "selu", "softmax", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid"),
}
_KERAS_ACTIVATIONS = ACTIVATIONS.keys() - {"gelu_tanh", "hard_sigmoid_keras2"}


def shown(name: str) -> str:
    """Return a name from a file as errors show it: short, and without control characters."""
    text = "".join(c if c.isprintable() else "?" for c in name[:64])
    return text if len(name) <= 64 else f"{text[:60]}..."


def parse_version(text: str) -> Version:
    """Return the major and the minor number.

    tf.keras's `2.2.4-tf` behaves as 2.2, and its `2.3.0-tf` as 2.3.
    """
    match = re.fullmatch(r"(\d{1,4})(?:\.(\d{1,4})[\w.+-]{0,40})?", text, re.ASCII)
    if match is None:
        raise ModelFormatError(f"keras_version: expected one such as 2.3.1, found {text[:40]!r}")
    return int(match[1]), int(match[2] or 0)


def parse_json(what: str, text: str) -> Config:
    """Return the JSON object in a text. Errors call it `what`."""
    if len(text) > MAX_CONFIG:
        raise ModelFormatError(f"{what}: expected at most {MAX_CONFIG} bytes")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ModelFormatError(f"{what}: nested too deeply") from None
    except ValueError as error:
        raise ModelFormatError(f"{what}: not JSON: {error}") from None
    return mapping(what, value)


def mapping(where: str, value: Any) -> Config:
    """Return `value` if it is a JSON object. Raises `ModelFormatError` otherwise."""
    if not isinstance(value, dict):
        raise ModelFormatError(f"{where}: expected an object, found {reprlib.repr(value)}")
    return value


def whole_number(what: str, value: Any, limit: int = MAX_SIZE) -> int:
    """Return `value` if it is an integer from 1 to `limit`. Raises `ModelFormatError` otherwise."""
    if type(value) is not int or not 1 <= value <= limit:
        raise ModelFormatError(f"{what}: expected 1 to {limit}, found {reprlib.repr(value)}")
    return value


def steps_of(what: str, value: Any) -> int:
    """Return a number of time steps, or 0 for None, which stands for any number."""
    return 0 if value is None else whole_number(what, value, MAX_STEPS)


def check_origin(where: str, entry: Config) -> None:
    """Raise `ModelFormatError` for a class of another package with the name of a Keras class."""
    module, registered = entry.get("module"), entry.get("registered_name")
    packages = ("keras", "tf_keras", "tensorflow", "builtins")
    ours = module is None or (isinstance(module, str) and module.partition(".")[0] in packages)
    if not ours or registered not in (None, entry.get("class_name")):
        raise ModelFormatError(
            f"{where}: expected a class that Keras defines, found {_origin(entry, module)}registered as "
            f"{reprlib.repr(registered)}; docs/keras-files.md lists what is supported"
        )


def _origin(entry: Config, module: Any) -> str:
    """Return the module of a class, or the name of a class of the program that saved the model."""
    if module is not None:
        return f"{reprlib.repr(module)}, "
    return f"{shown(str(entry.get('class_name')))}, a class of the program that saved it, "


@dataclass(frozen=True, slots=True)
class Spec:
    """Class and config of a layer, of a cell or of a model within a model."""

    class_name: str
    name: str  # Keras's name, or one made from the class
    config: Config
    version: Version

    @classmethod
    def of(cls, where: str, entry: Any, version: Version) -> Spec:
        """Return the spec of {"class_name": ..., "config": ...}. Errors call it `where`."""
        entry = mapping(where, entry)
        kind, config = entry.get("class_name"), entry.get("config")
        if not isinstance(kind, str):
            raise ModelFormatError(f"{where}: expected a class_name, found none")
        check_origin(where, entry)
        if isinstance(config, list):  # up to Keras 2.2.2 a Sequential's config is its list of layers
            config = {"layers": config}
        config = mapping(f"{where}: config", config)
        if ".ops." in str(entry.get("module")) or (version >= (3, 0) and _is_operation(kind, entry)):
            kind = OPERATION + kind
        name = config.get("name", entry.get("name"))
        if name is not None and not isinstance(name, str):
            raise ModelFormatError(f"{where}: name: expected text, found {reprlib.repr(name)}")
        return cls(kind, name or kind, config, version)

    def inner(self, key: str) -> Spec:
        """Return the layer or cell that this one holds as `key`."""
        return Spec.of(f"{self.where}: {key}", self.config.get(key), self.version)

    def with_config(self, **changes: Any) -> Spec:
        """Return the same spec with other values for some keys."""
        return replace(self, config={**self.config, **changes})

    @property
    def where(self) -> str:
        """How errors name the layer."""
        return f"layer {shown(self.name)}"

    def error(self, problem: str) -> ModelFormatError:
        """Return an error that names the layer."""
        return ModelFormatError(f"{self.where}: {problem}")

    def whole_number(self, key: str, limit: int = MAX_SIZE) -> int:
        """Return the integer under a key, which must be at least 1."""
        return whole_number(f"{self.where}: {key}", self.config.get(key), limit)

    @property
    def units(self) -> int:
        """Number of units. Keras 1 calls it output_dim."""
        return self.whole_number("units" if self.version >= (2, 0) or "units" in self.config else "output_dim")

    @property
    def use_bias(self) -> bool:
        """Whether there is a bias. Keras 1 calls the key bias."""
        return self.flag("use_bias", self.flag("bias", True))

    def flag(self, key: str, default: bool = False) -> bool:
        """Return the bool under a key."""
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"{key}: expected true or false, found {reprlib.repr(value)}")
        return value

    def number(self, key: str, default: float) -> float:
        """Return the number under a key as float32. It must be far from overflow."""
        value = self.config.get(key, default)
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":  # as tf.keras 2.13 writes it
            value = mapping("config", value).get("config", {}).get("value")
        if type(value) not in (int, float) or not abs(value) < 1e30:
            raise self.error(f"{key}: expected a number, found {reprlib.repr(value)}")
        return float(value)

    def refuse(self, *keys: str) -> None:
        """Raise `ModelFormatError` if any of these flags is set."""
        for key in keys:
            if self.flag(key):
                raise self.error(f"{key}=True is not supported")

    def check_axis(self, rank: int, default: int = -1) -> None:
        """Refuse an `axis` other than the last of `rank`, the batch included."""
        axis = self.config.get("axis", default)
        if isinstance(axis, list) and len(axis) == 1:  # as tf.keras writes it
            axis = axis[0]
        if type(axis) is not int or axis not in (-1, rank - 1):
            raise self.error(f"axis: expected -1, the last one, found {reprlib.repr(axis)}")

    def activation(self, key: str = "activation", default: str = "linear") -> str:
        """Return the name in docs/format.md of the activation under a key."""
        value = self.config.get(key, default)
        if value is None:
            return "linear"
        if isinstance(value, dict):
            check_origin(f"{self.where}: {key}", value)
            kind, config = value.get("class_name"), value.get("config")
            if not isinstance(kind, str):
                raise self.error(f"{key}: expected a class_name, found {reprlib.repr(kind)}")
            if isinstance(config, dict) and (name := _named_layer(kind, config)):
                return name
            value = config if kind == "function" else kind
        name = _ALIASES.get(value, value) if isinstance(value, str) else None
        if name not in _KERAS_ACTIVATIONS:
            raise self.error(f"{key}: expected an activation that Keras defines, found {reprlib.repr(value)}")
        if self.version < (2, 2) and name not in _EARLY_ACTIVATIONS:
            raise self.error(
                f"{key}: Keras {self.version[0]}.{self.version[1]} had no {value!r}, "
                "so it is a custom function, which the file does not hold"
            )
        if name == "hard_sigmoid" and self.version < (3, 0):
            return "hard_sigmoid_keras2"
        if name == "sparsemax" and self.version < (3, 16):  # a fault of Keras, keras-team/keras issue 23425
            raise self.error(
                f"{key}: Keras {self.version[0]}.{self.version[1]} computes sparsemax "
                "wrongly: its outputs do not add up to 1"
            )
        return str(name)


# Keras 3 computes masks with the first operations. The second have the names of layers.
_MASK_OPERATIONS = {"NotEqual", "Any", "ExpandDims", "ZerosLike", "OnesLike", "LogicalOr", "LogicalAnd"}
_NAMESAKES = {
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Softmax", "Identity"),
}


def _is_operation(kind: str, entry: Config) -> bool:
    """Return whether an entry is an operation on tensors rather than a layer.

    An entry of an `.h5` has no module. There, an operation lacks what each layer stores.
    """
    if "module" in entry or kind in _MASK_OPERATIONS:
        return kind in _MASK_OPERATIONS
    config = entry.get("config")
    return kind in _NAMESAKES and isinstance(config, dict) and not {"trainable", "dtype"} & config.keys()


def _named_layer(kind: str, config: Config) -> str | None:
    """Return the activation in docs/format.md that a layer with this config computes.

    None means that a name alone does not describe it.
    """
    if kind == "gelu":
        return "gelu_tanh" if config.get("approximate") is True else "gelu"
    if kind == "ReLU" and not config.get("negative_slope") and not config.get("threshold"):
        return {None: "relu", 6: "relu6"}.get(config.get("max_value"))
    if kind == "LeakyReLU" and abs(float(config.get("alpha", config.get("negative_slope", 0.3))) - 0.2) < 1e-7:
        return "leaky_relu"
    if kind == "ELU" and config.get("alpha", 1) == 1:
        return "elu"
    return "softmax" if kind == "Softmax" and config.get("axis", -1) == -1 else None
