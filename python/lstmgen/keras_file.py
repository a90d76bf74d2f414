"""Reader of models that Keras saved: a file in, a `Network` out. The only module that needs h5py.

A file is data from anywhere. Nothing in it is imported or run; no link leads out of it; and no
array is read before its size has been compared with what the config of its layer demands.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from lstmgen import reference
from lstmgen.errors import ModelFormatError
from lstmgen.network import MAX_MATRIX, MAX_SIZE, MAX_STEPS, Array, Layer, Network, Shape

MAX_CONFIG = 16 * 2**20  # bytes of the JSON that describes the architecture
MAX_KERAS_LAYERS = 1024  # with those that do nothing when sampling
MAX_NAMES = 2**16  # bytes of an attribute that holds names: Keras cuts them at 64,512
MAX_ENTRIES = 4096  # layers, those without effect included
MAX_DEPTH = 32  # groups around an array; Keras has up to about 5
MAX_RATIO = 100  # of compression; trained weights hardly reach 1.2

Config = Mapping[str, Any]
Version = tuple[int, int]


def read(source: str | os.PathLike[str] | bytes) -> Network:
    """The network in a file that Keras 2 or 3 saved as HDF5; `source` is its path or its bytes.

    The kind of file is told from its content, never from its name. Raises `OSError` that names a
    file that cannot be opened, and `ModelFormatError` for all that is wrong in one.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), len(source), "<bytes>")
    path = os.fspath(source)
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ModelFormatError(f"{path}: a directory; expected a model that Keras saved as .h5")
    if not stat.S_ISREG(mode):  # reading a pipe or a device might never end
        raise ModelFormatError(f"{path}: not a regular file")
    with open(path, "rb") as file:
        return _read(file, os.fstat(file.fileno()).st_size, path)


def _read(file: BinaryIO, size: int, path: str) -> Network:
    import h5py

    try:
        head = file.read(512)
        if not head.startswith(b"\x89HDF\r\n\x1a\n"):
            raise ModelFormatError(_looks_like(head))
        file.seek(0)
        # By way of the file object: no second look at the path, and no lock files.
        with _damage():
            root = h5py.File(file, "r")
        with root:
            return _read_whole_model(root, size)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def _looks_like(head: bytes) -> str:
    """Why a file that begins with `head` is no HDF5 file."""
    if not head:
        return "the file is empty"
    if not head.strip(b"\0"):
        return "the file begins with zeros: a copy or download that did not finish"
    kinds = {
        b"PK": "a .keras file (zip), which is not supported yet: load it with Keras and save it as .h5",
        b"version https://git-lfs": "a git-lfs pointer, not the file itself: run 'git lfs pull'",
        b"<": "an HTML or XML page, not a model: a download that went wrong",
        b"GGUF": "a GGUF file, such as a .bin of lstmgen, which needs no export",
        b"{": "a JSON file, not a model with weights",
        b"\x80": "a Python pickle, which is never opened",
        b"\x1f\x8b": "a gzip file: unpack it first",
    }
    for start, kind in kinds.items():
        if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start):
            return kind
    return f"not an HDF5 file, which Keras's .h5 is; it begins with {head[:8]!r}"


# -- HDF5 ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn what h5py raises for a damaged file, which is nearly anything, into one error."""
    try:
        yield
    except ModelFormatError:
        raise
    except Exception as error:
        reason = reprlib.repr(" ".join(str(error).split()))
        raise ModelFormatError(f"damaged HDF5 file: {reason}") from None


def _strings(node: Any, name: str, limit: int = MAX_NAMES) -> list[str] | None:
    """The text or texts in an attribute, None without one.

    What is too long for one attribute Keras cuts into `name0`, `name1` ...
    """
    with _damage():
        if name in node.attrs:
            return _texts(node, name, limit)
        texts: list[str] = []
        count = 0
        while f"{name}{count}" in node.attrs:
            texts += _texts(node, f"{name}{count}", limit)
            count += 1
        return texts if count else None


def _texts(node: Any, name: str, limit: int) -> list[str]:
    import h5py

    attribute = node.attrs.get_id(name)
    kind, count = attribute.get_type(), attribute.get_space().get_simple_extent_npoints()
    if count == 0:  # no names: Keras stores an empty array of float64
        return []
    if not isinstance(kind, h5py.h5t.TypeStringID):
        raise ModelFormatError(f"attribute {name}: expected text, found {kind.dtype}")
    size = count * kind.get_size()
    if size > limit:
        raise ModelFormatError(f"attribute {name}: expected at most {limit} bytes, found {size}")
    value = node.attrs[name]
    # Depending on the version of h5py that wrote it: str, bytes, or an array of either.
    values = [value] if isinstance(value, str | bytes) else np.asarray(value).ravel().tolist()
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _child(group: Any, name: str) -> Any:
    """The member `name` of a group, if it lies in this very file.

    Asks for the kind of link first: to look at what an external link leads to would open that file.
    """
    import h5py

    shown = reprlib.repr(name)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ModelFormatError(f"{shown} is no name of a weight: it leads out of its layer")
    with _damage():
        if not isinstance(group, h5py.Group):
            raise ModelFormatError(f"{shown}: expected a group around it, found an array")
        key, links = name.encode(), group.id.links
        if not links.exists(key):
            raise ModelFormatError(f"{shown} is not in the file")
        kind = links.get_info(key).type
        if kind != h5py.h5l.TYPE_HARD:
            known = {h5py.h5l.TYPE_SOFT: "a soft", h5py.h5l.TYPE_EXTERNAL: "an external"}
            article = known.get(kind, "a user-defined")
            raise ModelFormatError(f"{shown} is {article} link, which is not followed")
        return group[name]


class _Stored:
    """An array in the file, looked at, but not read.

    Raises `ModelFormatError` if its numbers are not in this file or need a plug-in to be read.
    """

    def __init__(self, node: Any, weights: _Weights, where: str) -> None:
        import h5py

        self._node, self._weights, self._where = node, weights, where
        with _damage():
            if not isinstance(node, h5py.Dataset):
                kind = type(node).__name__.lower()  # group or datatype
                raise ModelFormatError(f"{where}: expected an array, found a {kind}")
            plan = node.id.get_create_plist()
            # Before all else: the very shape of a virtual dataset may depend on other files.
            if plan.get_layout() == h5py.h5d.VIRTUAL:
                raise ModelFormatError(f"{where}: a virtual dataset, which is not followed")
            if plan.get_external_count():
                raise ModelFormatError(f"{where}: its numbers are in another file (external)")
            filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
            z = h5py.h5z
            unknown = filters - {*(z.FILTER_DEFLATE, z.FILTER_LZF, z.FILTER_SHUFFLE, z.FILTER_FLETCHER32)}
            if unknown:
                raise ModelFormatError(f"{where}: expected gzip, lzf or no compression, found filter {min(unknown)}")
            self._compressed = bool(filters & {z.FILTER_DEFLATE, z.FILTER_LZF})
            self.shape: Shape | None = node.shape  # None: an empty dataset

    def load(self, shape: Shape) -> Array:
        """The numbers, as float32, if there are as many as `shape` says, and all are finite."""
        where = self._where
        if self.shape != shape:
            found = "nothing" if self.shape is None else self.shape
            raise ModelFormatError(f"{where}: expected {shape}, found {found}")
        if math.prod(shape) > MAX_MATRIX:
            raise ModelFormatError(f"{where}: {shape}: more than {MAX_MATRIX} numbers")
        with _damage():
            dtype = self._node.dtype
            if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
                raise ModelFormatError(f"{where}: expected float16, float32 or float64, found {dtype}")
            self._check_size(math.prod(shape) * dtype.itemsize)
            values = self._node[()]
        with np.errstate(over="ignore"):  # becomes infinite, which is refused next
            array: Array = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(array).all():
            raise ModelFormatError(f"{where}: holds NaN or infinite numbers")
        return array

    def _check_size(self, nbytes: int) -> None:
        """Refuse to allocate what the file cannot hold, whatever it declares."""
        stored = self._node.id.get_storage_size()
        if stored == 0 or (stored < nbytes and not self._compressed):
            raise ModelFormatError(f"{self._where}: declared, but never written")
        chunks = self._node.chunks or ()  # a chunk is unpacked whole
        if any(chunk > size for chunk, size in zip(chunks, self._node.shape, strict=False)):
            raise ModelFormatError(f"{self._where}: its chunks {chunks} are larger than itself")
        self._weights.spend(nbytes // MAX_RATIO if self._compressed else nbytes, self._where)


class _Weights:
    """The arrays of an HDF5 file of Keras 2, or Keras 3's `.h5`, layer by layer in file order."""

    def __init__(self, group: Any, size: int) -> None:
        self._group = group
        self._left = size  # bytes that all arrays together may take
        names = _strings(group, "layer_names")
        if names is None:
            raise ModelFormatError("no weights in the file: model_weights has no layer_names")
        _check_different("layer_names", names)
        self._layers = self._members(names)
        self._next = next(self._layers, None)

    def _members(self, names: Sequence[str]) -> Iterator[tuple[str, Any, list[str]]]:
        """Name, group and weight names of each layer that has weights."""
        for name in names:
            group = _child(self._group, name)
            weights = _strings(group, "weight_names") or []
            _check_different(f"{reprlib.repr(name)}: weight_names", weights)
            if weights:
                yield name, group, weights

    def first_rows(self) -> int | None:
        """Rows of the file's first array: what the first layer with weights is fed."""
        if self._next is None:
            return None
        stored = self._open(self._next[1], self._next[2][0], "first array")
        return stored.shape[0] if stored.shape else None

    def spend(self, nbytes: int, where: str) -> None:
        """Count `nbytes` of the file as read."""
        self._left -= nbytes
        if self._left < 0:
            raise ModelFormatError(f"{where}: declares more numbers than the file can hold")

    def take(self, where: str, original: str, others: set[str], *names: str) -> dict[str, _Stored]:
        """The arrays of the next layer, which Keras calls `original`, under `names`.

        The order in the file is what counts, as in Keras: names inside it often differ from the
        layer's. But weights named for another layer (of `others`) are not this one's.
        """
        if self._next is None or (self._next[0] != original and self._next[0] in others):
            raise ModelFormatError(f"{where}: the file has no weights for it")
        _, group, paths = self._next
        if len(paths) != len(names):
            found = ", ".join(reprlib.repr(path) for path in paths[:16])
            raise ModelFormatError(
                f"{where}: expected {len(names)} arrays ({', '.join(names)}), found {len(paths)} ({found})"
            )
        stored = {name: self._open(group, path, f"{where}: {name}") for name, path in zip(names, paths, strict=True)}
        self._next = next(self._layers, None)
        return stored

    def _open(self, node: Any, path: str, where: str) -> _Stored:
        parts = path.split("/")
        if len(parts) > MAX_DEPTH:
            raise ModelFormatError(f"{where}: {reprlib.repr(path)} is nested too deeply")
        try:
            for part in parts:
                node = _child(node, part)
        except ModelFormatError as error:
            raise ModelFormatError(f"{where}: {error}") from None
        return _Stored(node, self, where)

    def finish(self) -> None:
        """Raise `ModelFormatError` if weights are left that no layer asked for."""
        if self._next is not None:
            raise ModelFormatError(f"weights of {reprlib.repr(self._next[0])} are in the file, but no layer for them")


def _check_different(what: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ModelFormatError(f"{what}: {reprlib.repr(twice)} appears twice")


# -- kinds of file -------------------------------------------------------------------------------


def _read_whole_model(root: Any, size: int) -> Network:
    """Architecture and weights of an HDF5 file of `size` bytes that `model.save` wrote."""
    text = _strings(root, "model_config", MAX_CONFIG)
    if text is None:
        raise ModelFormatError(_no_architecture(root))
    group = _child(root, "model_weights")
    stored = _strings(group, "keras_version") or _strings(root, "keras_version") or ["1"]
    version = _version("".join(stored))
    layers, built = _chain(_parse("".join(text)))
    return _build(layers, built, _Weights(group, size), version, stored[0])


def _no_architecture(root: Any) -> str:
    """What an HDF5 file without a `model_config` is."""
    with _damage():
        names = ("layer_names", "layer_names0")
        groups = (b"layers", b"_layer_checkpoint_dependencies")
        weights_only = any(name in root.attrs for name in names) or any(root.id.links.exists(name) for name in groups)
    if weights_only:
        return "no architecture in the file, only weights, as save_weights writes: save the whole model with model.save"
    return "an HDF5 file, but not one that Keras saved: it has no model_config"


def _version(text: str) -> Version:
    """Major and minor number; tf.keras's `2.2.4-tf` behaves as 2.2, its `2.3.0-tf` as 2.3."""
    match = re.fullmatch(r"(\d{1,4})(?:\.(\d{1,4})[\w.+-]{0,40})?", text, re.ASCII)
    if match is None:
        raise ModelFormatError(f"keras_version: expected one such as 2.3.1, found {text[:40]!r}")
    version = int(match[1]), int(match[2] or 0)
    if version < (2, 0):
        raise ModelFormatError(f"saved by Keras {text}; supported are Keras 2 and 3")
    return version


def _parse(text: str) -> Config:
    """The JSON of `model_config`."""
    if len(text) > MAX_CONFIG:
        raise ModelFormatError(f"model_config: expected at most {MAX_CONFIG} bytes")
    try:
        model = json.loads(text)
    except RecursionError:
        raise ModelFormatError("model_config: nested too deeply") from None
    except ValueError as error:
        raise ModelFormatError(f"model_config: not JSON: {error}") from None
    return _mapping("model_config", model)


def _chain(model: Config) -> tuple[list[Config], Any]:
    """The layers, each one fed by the one before it, and the input shape that the model tells."""
    kind, config = model.get("class_name"), model.get("config")
    if kind not in ("Sequential", "Functional", "Model"):
        raise ModelFormatError(f"expected a Sequential or Functional model, found {reprlib.repr(kind)}")
    _check_origin("the model", model)
    # Up to Keras 2.2.2 the config of a Sequential is the list of its layers.
    if kind == "Sequential" and isinstance(config, list):
        config = {"layers": config}
    config = _mapping("model_config: config", config)
    layers = config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ModelFormatError("model_config: the model has no layers")
    if len(layers) > MAX_ENTRIES:
        raise ModelFormatError(f"expected at most {MAX_ENTRIES} layers, found {len(layers)}")
    if len(layers) > MAX_KERAS_LAYERS:
        raise ModelFormatError(f"model_config: expected at most {MAX_KERAS_LAYERS} layers, found {len(layers)}")
    for i, layer in enumerate(layers):
        where = f"layer {i}"
        if not isinstance(_mapping(where, layer).get("class_name"), str):
            raise ModelFormatError(f"{where}: expected a class_name, found none")
        _check_origin(where, layer)
        name = _mapping(f"{where}: config", layer.get("config")).get("name", "")
        if not isinstance(name, str):
            raise ModelFormatError(f"{where}: name: expected text, found {reprlib.repr(name)}")
    if kind != "Sequential":
        _check_straight(config, layers)
    return layers, config.get("build_input_shape")


def _mapping(where: str, value: Any) -> Config:
    if not isinstance(value, dict):
        raise ModelFormatError(f"{where}: expected an object, found {reprlib.repr(value)}")
    return value


def _check_origin(where: str, entry: Config) -> None:
    """Refuse what bears the name of a Keras class, but is another; nothing is ever imported."""
    module, registered = entry.get("module"), entry.get("registered_name")
    ours = module is None or (
        isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")
    )
    if not ours or registered not in (None, entry.get("class_name")):
        raise ModelFormatError(
            f"{where}: expected a class of Keras itself, found {reprlib.repr(module)}, "
            f"registered as {reprlib.repr(registered)}"
        )


def _check_straight(config: Config, layers: list[Config]) -> None:
    """Refuse a graph in which any layer is fed by something else than the one before it."""
    names = [layer["config"].get("name", layer.get("name")) for layer in layers]
    for what, end in (("input", names[0]), ("output", names[-1])):
        tensors = config.get(f"{what}_layers")
        if isinstance(tensors, list) and tensors and isinstance(tensors[0], str):
            tensors = [tensors]  # Keras 3 writes a single one without the list around it
        if not isinstance(tensors, list) or len(tensors) != 1:
            raise ModelFormatError(f"expected one {what}, found {reprlib.repr(tensors)}")
        if not isinstance(tensors[0], list) or tensors[0][:1] != [end]:
            found = reprlib.repr(tensors[0])
            raise ModelFormatError(f"the layers do not form one chain: {what} is {found}")
    for layer, name, before in zip(layers[1:], names[1:], names, strict=False):
        where = f"layer {reprlib.repr(name)}"
        try:
            sources, arguments = _sources(layer["inbound_nodes"])
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            raise ModelFormatError(f"{where}: its inbound_nodes cannot be read") from None
        if sources != [before]:
            raise ModelFormatError(
                f"{where}: expected {reprlib.repr(before)} as its one input, "
                f"found {reprlib.repr(sources)}: only a straight chain of layers is supported"
            )
        for key, value in arguments.items():
            if value not in (None, False):  # such as training=True or initial_state
                raise ModelFormatError(f"{where}: the argument {key!r:.40} is not supported")


def _sources(nodes: Any) -> tuple[list[Any], dict[str, Any]]:
    """Names of the layers that feed a layer, in all its calls, and further arguments of these."""
    sources: list[Any] = []
    arguments: dict[str, Any] = {}
    for node in nodes:
        if isinstance(node, dict):  # Keras 3
            sources += [tensor["config"]["keras_history"][0] for tensor in node["args"]]
            arguments |= node["kwargs"]
        else:  # Keras 2: [name, node, tensor, arguments] of each tensor
            sources += [tensor[0] for tensor in node]
            for tensor in node:
                arguments |= dict(*tensor[3:4])
    return sources, arguments


# -- layers --------------------------------------------------------------------------------------


def _build(layers: list[Config], built: Any, weights: _Weights, version: Version, keras_version: str) -> Network:
    names = _unique_names(layers)
    _check_supported(layers, names)
    window, inputs = _input(layers, built, weights)
    originals = {str(layer["config"].get("name")) for layer in layers}
    size = inputs
    stored: list[Layer] = []
    sequence = True
    for entry, name in zip(layers, names, strict=True):
        kind, config = entry["class_name"], entry["config"]
        item = _Item(name, kind, config, version, size, sequence, weights, originals)
        layer = _LAYERS[kind](item)
        if layer is not None:
            stored.append(layer)
            size = layer.output_size(size)
            sequence = sequence and bool(layer.options.get("return_sequences", True))
    weights.finish()
    if not stored:
        raise ModelFormatError("no layer of the model computes anything")
    if inputs == 0 and stored[0].type == "embedding":
        inputs = int(stored[0].options["input_dim"])
    return Network(tuple(stored), window, inputs, keras_version)


def _check_supported(layers: list[Config], names: list[str]) -> None:
    for layer, name in zip(layers, names, strict=True):
        kind = layer["class_name"]
        if kind == "Lambda":
            raise ModelFormatError(f"layer {name}: a Lambda layer holds Python code, which is never run")
        if kind not in _LAYERS:
            supported = ", ".join(sorted(_LAYERS))
            raise ModelFormatError(f"layer {name}: {kind:.60} is not supported; supported are {supported}")


def _input(layers: list[Config], built: Any, weights: _Weights) -> tuple[int, int]:
    """Window (0: any) and numbers per step (0: ids of an embedding) of the network's input."""
    first = layers[0]["config"]
    shapes = (first.get("batch_shape"), first.get("batch_input_shape"), built)
    shape = next((shape for shape in shapes if shape is not None), None)
    if shape is None:  # Keras 2.3 often forgets it
        takes_ids = layers[0]["class_name"] == "Embedding"
        return 0, 0 if takes_ids else _size("input: features", weights.first_rows())
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise ModelFormatError(f"expected one input (batch, T, features) or (batch, T), found {reprlib.repr(shape)}")
    window = _size("input: T", shape[1], MAX_STEPS) if shape[1] is not None else 0
    return window, _size("input: features", shape[2]) if len(shape) == 3 else 0


def _size(what: str, value: Any, limit: int = MAX_SIZE) -> int:
    if type(value) is not int or not 1 <= value <= limit:
        raise ModelFormatError(f"{what}: expected 1 to {limit}, found {reprlib.repr(value)}")
    return value


def _unique_names(layers: list[Config]) -> list[str]:
    """A name for each layer as docs/format.md wants it: Keras's own wherever it is fit."""
    names: list[str] = []
    taken: set[str] = set()
    for layer in layers:
        wanted = str(layer["config"].get("name") or layer["class_name"])
        name = base = re.sub(r"[^A-Za-z0-9_-]", "_", wanted, flags=re.ASCII)[:40] or "layer"
        count = 1
        while name in taken:
            count += 1
            suffix = f"_{count}"
            name = base[: 40 - len(suffix)] + suffix
        taken.add(name)
        names.append(name)
    return names


@dataclass(frozen=True, slots=True)
class _Item:
    """A layer of the config when its turn has come."""

    name: str
    class_name: str
    config: Config
    version: Version
    size: int  # numbers per step that it is fed, 0 for ids
    sequence: bool  # whether it is fed an output of each step, or only of the last
    weights: _Weights
    originals: set[str]  # Keras's names of all layers

    def error(self, problem: str) -> ModelFormatError:
        return ModelFormatError(f"layer {self.name}: {problem}")

    def layer(self, kind: str, arrays: dict[str, Array], **options: int | str | bool) -> Layer:
        return Layer(kind, self.name, options, arrays)

    @property
    def inputs(self) -> int:
        """Numbers per step that the layer is fed, for one that cannot take ids."""
        if self.size == 0:
            raise self.error("expected an input (batch, T, features), found ids (batch, T)")
        return self.size

    def units(self, key: str = "units") -> int:
        return _size(f"layer {self.name}: {key}", self.config.get(key))

    def flag(self, key: str, default: bool) -> bool:
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"{key}: expected true or false, found {reprlib.repr(value)}")
        return value

    def number(self, key: str, default: float) -> float:
        value = self.config.get(key, default)
        if type(value) not in (int, float) or not abs(value) < 1e30:
            raise self.error(f"{key}: expected a number, found {reprlib.repr(value)}")
        return float(value)

    def refuse(self, *keys: str) -> None:
        for key in keys:
            if self.flag(key, False):
                raise self.error(f"{key}=True is not supported")

    def check_last_axis(self, default: int) -> None:
        """Refuse an `axis` other than that of the units."""
        axis = self.config.get("axis", default)
        if isinstance(axis, list) and len(axis) == 1:  # tf.keras
            axis = axis[0]
        last = 2 if self.sequence else 1
        if type(axis) is not int or axis not in (-1, last):
            raise self.error(f"axis: expected -1, the last one, found {reprlib.repr(axis)}")

    def activation(self, key: str = "activation", default: str = "linear") -> str:
        return self.activation_named(key, self.config.get(key, default))

    def activation_named(self, key: str, value: Any) -> str:
        """The name in docs/format.md of the activation that Keras stored as `value`."""
        if value is None:
            return "linear"
        if isinstance(value, dict):
            _check_origin(f"layer {self.name}: {key}", value)
            kind, config = value.get("class_name"), value.get("config")
            if not isinstance(kind, str):
                raise self.error(f"{key}: expected a class_name, found {reprlib.repr(kind)}")
            if kind in _ACTIVATION_LAYERS and isinstance(config, dict):
                return _ACTIVATION_LAYERS[kind](replace(self, config=config))
            if kind == "gelu" and isinstance(config, dict):
                return "gelu_tanh" if config.get("approximate") is True else "gelu"
            value = config if kind == "function" else kind
        name = _ALIASES.get(value, value) if isinstance(value, str) else None
        if name not in _KERAS_ACTIVATIONS:
            raise self.error(f"{key}: {reprlib.repr(value)} is not an activation of Keras's own")
        if name == "hard_sigmoid" and self.version < (3, 0):
            return "hard_sigmoid_keras2"
        if name == "sparsemax" and self.version < (3, 16):  # keras-team/keras issue 23425
            raise self.error(
                f"{key}: Keras {self.version[0]}.{self.version[1]} computes sparsemax "
                "wrongly: its outputs do not add up to 1"
            )
        return str(name)

    def stored(self, *names: str) -> dict[str, _Stored]:
        """The layer's arrays in the file, which must be as many as `names`."""
        original = str(self.config.get("name"))
        return self.weights.take(f"layer {self.name}", original, self.originals, *names)

    def arrays(self, **shapes: Shape) -> dict[str, Array]:
        """The layer's arrays, which must have these shapes, in this order."""
        stored = self.stored(*shapes)
        return {name: stored[name].load(shape) for name, shape in shapes.items()}


_LAYERS: dict[str, Callable[[_Item], Layer | None]] = {}
_ACTIVATION_LAYERS: dict[str, Callable[[_Item], str]] = {}

_ALIASES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}
_KERAS_ACTIVATIONS = reference.ACTIVATIONS.keys() - {"gelu_tanh", "hard_sigmoid_keras2"}

Builder = Callable[[_Item], Layer | None]


def _layer(*class_names: str) -> Callable[[Builder], Builder]:
    """Register the function that builds layers of these Keras classes."""

    def register(build: Builder) -> Builder:
        _LAYERS.update(dict.fromkeys(class_names, build))
        return build

    return register


def _activation_layer(*class_names: str) -> Callable[[Callable[[_Item], str]], None]:
    """Register the function that names the activation that layers of these classes compute."""

    def register(name: Callable[[_Item], str]) -> None:
        def build(item: _Item) -> Layer | None:
            activation = name(item)
            if activation == "linear":
                return None
            assert item.inputs
            return item.layer("activation", {}, activation=activation)

        _ACTIVATION_LAYERS.update(dict.fromkeys(class_names, name))
        _LAYERS.update(dict.fromkeys(class_names, build))

    return register


@_layer(
    *("InputLayer", "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise"),
    *("AlphaDropout", "ActivityRegularization"),
)
def _identity(item: _Item) -> None:
    """Layers that do nothing at inference."""


@_layer("Embedding")
def _embedding(item: _Item) -> Layer:
    if item.size != 0:
        raise item.error("an Embedding can only come first, on ids (batch, T)")
    item.refuse("mask_zero")
    ids, units = item.units("input_dim"), item.units("output_dim")
    arrays = item.arrays(embeddings=(ids, units))
    return item.layer("embedding", arrays, input_dim=ids, units=units)


@_layer("LSTM", "CuDNNLSTM")
def _lstm(item: _Item) -> Layer:
    item.refuse("go_backwards", "time_major", "return_state")
    if not item.sequence:
        raise item.error("the layers before it give no sequence: return_sequences is false there")
    units, cudnn = item.units(), item.class_name == "CuDNNLSTM"
    gate = "hard_sigmoid" if item.version < (2, 3) and not cudnn else "sigmoid"
    return item.layer(
        "lstm",
        _lstm_arrays(item, units),
        units=units,
        activation=item.activation("activation", "tanh"),
        recurrent_activation=item.activation("recurrent_activation", gate),
        return_sequences=item.flag("return_sequences", False),
    )


def _lstm_arrays(item: _Item, units: int) -> dict[str, Array]:
    """Kernels and bias, from Keras's layout or CuDNN's, which its bias of 8 units gives away."""
    shapes = {"kernel": (item.inputs, 4 * units), "recurrent_kernel": (units, 4 * units)}
    if not item.flag("use_bias", True):
        return item.arrays(**shapes) | {"bias": np.zeros(4 * units, np.float32)}
    stored = item.stored(*shapes, "bias")
    arrays = {name: stored[name].load(shape) for name, shape in shapes.items()}
    if stored["bias"].shape != (8 * units,):
        return arrays | {"bias": stored["bias"].load((4 * units,))}
    two = stored["bias"].load((8 * units,))
    return {
        "kernel": _per_gate(arrays["kernel"], lambda k: k.reshape(k.shape[::-1]).T),
        "recurrent_kernel": _per_gate(arrays["recurrent_kernel"], lambda k: k.T),
        "bias": two[: 4 * units] + two[4 * units :],
    }


def _per_gate(kernel: Array, change: Callable[[Array], Array]) -> Array:
    return np.hstack([change(gate) for gate in np.split(kernel, 4, axis=1)])


@_layer("Dense")
def _dense(item: _Item) -> Layer:
    units, size = item.units(), item.inputs
    if item.flag("use_bias", True):
        arrays = item.arrays(kernel=(size, units), bias=(units,))
    else:
        arrays = item.arrays(kernel=(size, units)) | {"bias": np.zeros(units, np.float32)}
    return item.layer("dense", arrays, units=units, activation=item.activation())


@_layer("TimeDistributed")
def _time_distributed(item: _Item) -> Layer | None:
    inner = _mapping(f"layer {item.name}: layer", item.config.get("layer"))
    _check_origin(f"layer {item.name}: layer", inner)
    if inner.get("class_name") != "Dense":
        found = reprlib.repr(inner.get("class_name"))
        raise item.error(f"expected a TimeDistributed(Dense), found one of {found}")
    if not item.sequence:
        raise item.error("the layers before it give no sequence: return_sequences is false there")
    # A Dense works on each step anyway. Its weights are stored under the name of the wrapper.
    config = {**_mapping(f"layer {item.name}: config", inner.get("config"))}
    config["name"] = item.config.get("name")
    return _dense(replace(item, config=config))


@_layer("BatchNormalization")
def _batch_normalization(item: _Item) -> Layer:
    item.check_last_axis(-1)
    shape = (item.inputs,)
    names = ["gamma"] * item.flag("scale", True) + ["beta"] * item.flag("center", True)
    arrays = item.arrays(**dict.fromkeys([*names, "mean", "variance"], shape))
    values = {name: array.astype(np.float64) for name, array in arrays.items()}
    spread = values["variance"] + item.number("epsilon", 1e-3)
    if not (spread > 0).all():
        raise item.error("variance: expected all above -epsilon, found one below")
    scale = values.get("gamma", np.ones(shape)) / np.sqrt(spread)
    offset = values.get("beta", np.zeros(shape)) - values["mean"] * scale
    folded = {"scale": scale, "offset": offset}
    with np.errstate(over="ignore"):  # an infinite one is refused when the file is written
        return item.layer("affine", {k: v.astype(np.float32) for k, v in folded.items()})


@_activation_layer("Activation")
def _activation(item: _Item) -> str:
    return item.activation()


@_activation_layer("Softmax")
def _softmax(item: _Item) -> str:
    item.check_last_axis(-1)
    return "softmax"


@_activation_layer("ReLU")
def _relu(item: _Item) -> str:
    most = item.config.get("max_value")
    slope, threshold = item.number("negative_slope", 0), item.number("threshold", 0)
    if slope == threshold == 0 and most in (None, 6):
        return "relu" if most is None else "relu6"
    raise item.error(
        f"ReLU: expected max_value None or 6, negative_slope 0 and threshold 0, "
        f"found {reprlib.repr(most)}, {slope} and {threshold}"
    )


@_activation_layer("LeakyReLU")
def _leaky_relu(item: _Item) -> str:
    key = "alpha" if "alpha" in item.config else "negative_slope"  # Keras 2, Keras 3
    slope = item.number(key, 0.3)
    if abs(slope - 0.2) > 1e-7:  # Keras 2 stores the float32 next to it
        raise item.error(f"LeakyReLU: {key}: expected 0.2, found {slope}")
    return "leaky_relu"


@_activation_layer("ELU")
def _elu(item: _Item) -> str:
    alpha = item.number("alpha", 1)
    if alpha != 1:
        raise item.error(f"ELU: alpha: expected 1, found {alpha}")
    return "elu"
