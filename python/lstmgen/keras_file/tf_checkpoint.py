"""Checkpoints and SavedModels of TensorFlow, read as data.

TensorFlow is not needed, and nothing in the files is run. A checkpoint `ckpt_3` is two files.
`ckpt_3.index` is a table in LevelDB's format, which maps the name of each tensor to its type, shape
and place. `ckpt_3.data-00000-of-00001` holds the numbers. One of the tensors is the graph of the
saved objects, which tells the layers apart. A SavedModel is a folder with a checkpoint in
`variables/`.

Sources: tensorflow/core/util/tensor_bundle, tensorflow/core/lib/io/table_format.txt and
tensorflow/core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmgen.errors import ModelFormatError
from lstmgen.keras_file.spec import shown
from lstmgen.network import MAX_MATRIX, Array, Shape

MAX_INDEX = 64 * 2**20  # bytes of an index. A large model has about 10 kB
MAX_TENSORS = 65_536
MAX_NODES = 65_536  # the highest number of objects in the graph
MAX_KEYS = 8  # times the bytes of an index, which stores what a key shares with the one before it once
MAX_DEPTH = 32  # the highest number of objects around a variable

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_STRING = 7
_DTYPES = {1: "<f4", 2: "<f8", 14: "<u2", 19: "<f2"}  # values of DataType: float, double, bfloat16, half
_BFLOAT16 = 14


def prefix_of(path: str) -> str | None:
    """Return what the names of a checkpoint's files begin with, or None if there is none at `path`.

    path: that prefix, one of the files, a folder of checkpoints, or the folder of a SavedModel. Of
        a folder of checkpoints, the newest one is taken.
    """
    if path.endswith(".index") and os.path.isfile(path):
        return path.removesuffix(".index")
    head, found, _ = path.rpartition(".data-")
    if found and os.path.isfile(f"{head}.index"):
        return head
    if os.path.isfile(f"{path}.index"):
        return path
    if not os.path.isdir(path):
        return None
    if os.path.isfile(os.path.join(path, "variables", "variables.index")):
        return os.path.join(path, "variables", "variables")
    return _newest(path)


def _newest(folder: str) -> str | None:
    """Return the checkpoint that the file `checkpoint` of a folder names.

    Without that file, it is the one that was written last.
    """
    state = os.path.join(folder, "checkpoint")
    if os.path.isfile(state) and os.path.getsize(state) < 2**20:
        with open(state, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                name = os.path.basename(value.strip().strip('"'))  # the folder may have been moved
                if key.strip() == "model_checkpoint_path" and os.path.isfile(os.path.join(folder, f"{name}.index")):
                    return os.path.join(folder, name)
    names = [name for name in os.listdir(folder) if name.endswith(".index")]
    paths = sorted((os.path.getmtime(os.path.join(folder, name)), name) for name in names)
    return os.path.join(folder, paths[-1][1].removesuffix(".index")) if paths else None


# -- protocol buffers ------------------------------------------------------------------------------


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ModelFormatError("damaged: a number that does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message. A value is an integer or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise ModelFormatError(f"damaged: a field of the unknown kind {kind}")
            size, at = _varint(data, at)
        if size > len(data) - at:
            raise ModelFormatError("damaged: a field that is longer than the message")
        yield tag >> 3, data[at : at + size]
        at += size


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ModelFormatError("damaged: expected text in a message, found a number")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise ModelFormatError("damaged: expected a number in a message, found text")
    return value


def _name(value: object) -> str:
    return _bytes(value).decode("utf-8", "replace")


# -- the table -------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    dtype: int
    shape: Shape
    shard: int
    offset: int
    size: int


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a table."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ModelFormatError("not the index of a TensorFlow checkpoint: it has no table's end")
    footer = data[-_FOOTER:-8]
    at = 0
    for _ in range(2):  # skip the handle of the meta index
        _, at = _varint(footer, at)
    left = len(data)
    for _, handle in _block(data, *_handle(footer, at)):
        offset, size = _handle(handle, 0)
        left -= size
        if left < 0:
            raise ModelFormatError("damaged: the blocks of the index are longer than the index")
        yield from _block(data, offset, size)


def _handle(data: bytes, at: int) -> tuple[int, int]:
    offset, at = _varint(data, at)
    return offset, _varint(data, at)[0]


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if size > len(data) or offset > len(data) - size - 5:
        raise ModelFormatError("damaged: a block of the index lies outside of it")
    if data[offset + size] != 0:
        raise ModelFormatError("the index is compressed, which TensorFlow's checkpoints are not")
    block = data[offset : offset + size]
    if size < 4:
        raise ModelFormatError("damaged: a block of the index without an end")
    end = size - 4 - 4 * int(struct.unpack("<I", block[-4:])[0])
    if end < 0:
        raise ModelFormatError("damaged: a block of the index with too many restarts")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        more, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or more + length > end - at or shared + more > 4096:
            raise ModelFormatError("damaged: an entry of the index is longer than its block")
        key = key[:shared] + block[at : at + more]
        yield key, block[at + more : at + more + length]
        at += more + length


def _entry(key: str, data: bytes) -> _Entry:
    dtype = shard = offset = size = 0
    shape: list[int] = []
    for number, value in _fields(data):
        if number == 1:
            dtype = _integer(value)
        elif number == 2:
            for kind, dimension in _fields(_bytes(value)):
                if kind == 2:
                    sizes = [_integer(n) for part, n in _fields(_bytes(dimension)) if part == 1]
                    shape.append(sizes[0] if sizes else 0)
        elif number in (3, 4, 5):
            shard, offset, size = (
                _integer(value) if number == field else old for field, old in ((3, shard), (4, offset), (5, size))
            )
        elif number == 7:
            raise ModelFormatError(f"{shown(key)}: the tensor is stored in slices, which is not supported")
    if len(shape) > 8:
        raise ModelFormatError(f"{shown(key)}: expected at most 8 dimensions, found {len(shape)}")
    return _Entry(dtype, tuple(shape), shard, offset, size)


# -- arrays ----------------------------------------------------------------------------------------


class Tensor:
    """An array in a checkpoint that has been found, but not read."""

    def __init__(self, checkpoint: Checkpoint, key: str) -> None:
        self._checkpoint, self.key = checkpoint, key
        self.shape: Shape | None = checkpoint.entries[key].shape

    def load(self, shape: Shape) -> Array:
        """Return the numbers as float32.

        Raises `ModelFormatError` unless the array has this shape and all numbers are finite.
        """
        if self.shape != shape:
            raise ModelFormatError(f"{shown(self.key)}: expected {shape}, found {self.shape}")
        return self._checkpoint.array(self.key)


class Checkpoint:
    """The tensors of a checkpoint, and the layers that they belong to."""

    def __init__(self, prefix: str) -> None:
        """Read the index.

        Raises `OSError` for a file that cannot be read, and `ModelFormatError` for a broken one.
        """
        self.prefix = prefix
        size = os.path.getsize(f"{prefix}.index")
        if size > MAX_INDEX:
            raise ModelFormatError(f"the index has {size} bytes; expected at most {MAX_INDEX}")
        with open(f"{prefix}.index", "rb") as file:
            data = file.read(size)
        self.entries: dict[str, _Entry] = {}
        self._shards = 0
        left = MAX_KEYS * size
        for key, value in _table(data):
            left -= len(key)
            if left < 0:
                raise ModelFormatError(f"expected names of at most {MAX_KEYS} times the bytes of the index, found more")
            if not key:
                self._read_header(value)
                continue
            name = key.decode("utf-8", "replace")
            if len(self.entries) >= MAX_TENSORS:
                raise ModelFormatError(f"expected at most {MAX_TENSORS} tensors, found more")
            self.entries[name] = _entry(name, value)
        if not self._shards:
            raise ModelFormatError("damaged: the index has no header")

    def _read_header(self, data: bytes) -> None:
        header = dict(_fields(data))
        self._shards = _integer(header.get(1, 1))
        if header.get(2, 0) != 0:
            raise ModelFormatError("the numbers are big-endian, which is not supported")

    def _numbers(self, key: str) -> bytes:
        entry = self.entries[key]
        if entry.shard >= self._shards:
            raise ModelFormatError(f"{shown(key)}: lies in the data file {entry.shard} of {self._shards}")
        path = f"{self.prefix}.data-{entry.shard:05d}-of-{self._shards:05d}"
        if not os.path.isfile(path):
            raise ModelFormatError(f"the numbers are missing: expected {os.path.basename(path)} beside the index")
        size = os.path.getsize(path)
        if entry.size > size or entry.offset > size - entry.size:
            raise ModelFormatError(
                f"{shown(key)}: lies beyond the end of {os.path.basename(path)}, a copy or download that did not finish"
            )
        with open(path, "rb") as file:
            file.seek(entry.offset)
            return file.read(entry.size)

    def array(self, key: str) -> Array:
        """Return the numbers of a tensor as float32."""
        entry = self.entries[key]
        if entry.dtype not in _DTYPES:
            raise ModelFormatError(
                f"{shown(key)}: expected float16, bfloat16, float32 or float64, found type {entry.dtype}"
            )
        count = math.prod(entry.shape)
        dtype = np.dtype(_DTYPES[entry.dtype])
        if count > MAX_MATRIX or count * dtype.itemsize != entry.size:
            raise ModelFormatError(f"{shown(key)}: {entry.size} bytes are no array of {entry.shape}")
        values: Any = np.frombuffer(self._numbers(key), dtype).reshape(entry.shape)
        if entry.dtype == _BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # an overflow gives infinity, which is refused below
            array: Array = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(array).all():
            raise ModelFormatError(f"{shown(key)}: holds NaN or infinite numbers")
        return array

    # -- the objects -----------------------------------------------------------------------------

    def layers(self) -> dict[str, list[Tensor]]:
        """Return the arrays of each layer by the name of the object that holds it.

        The arrays are in Keras's order, the names in that of the objects. A layer of a Sequential
        or functional model is called `layer_with_weights-N`. A layer of a model of a user's own
        class has the name of its attribute. Raises `ModelFormatError` if there is no layer.
        """
        found: dict[str, list[Tensor]] = {}
        root = self._graph()
        for path, node in _walk(root):
            arrays = self._arrays_of(node)
            if arrays:
                name = _layer_name(path, node)
                found[name if name not in found else f"{name}_{len(found)}"] = arrays
        found = found or self._exported(root)
        if not found:
            raise ModelFormatError("a TensorFlow checkpoint, but no layers of Keras in it")
        return found

    def _exported(self, root: _Node) -> dict[str, list[Tensor]]:
        """Return the arrays of each layer in what `model.export` of Keras 3 wrote.

        That is a plain list of variables. Their names are paths in Keras's order, such as
        `lstm/lstm_cell/kernel`.
        """
        listed = root.child("variables")
        places = [name for name in (listed.children if listed else ()) if name.isdecimal() and len(name) < 10]
        names = sorted(places, key=int)
        nodes = [node for name in names if listed is not None and (node := listed.child(name)) is not None]
        variables = [(node.path, node.key) for node in nodes if node.key in self.entries and len(node.path) > 1]
        numbers = [(path, str(key)) for path, key in variables if self.entries[str(key)].dtype in _DTYPES]
        owners = {path[0] for path, _ in numbers}
        depth = 1 if len(owners) == 1 and all(len(path) > 2 for path, _ in numbers) else 0
        bare = len(numbers) > 3 and len(owners) == 1 and all(len(path) == 2 for path, _ in numbers)
        found: dict[str, list[Tensor]] = {}
        name = ""
        firsts = {roles[0] for roles in _ROLES.values()}
        for path, key in numbers:
            if not bare:
                name = path[depth]
            elif not name or path[-1] in firsts:  # a user's own class, whose layers only the roles tell apart
                name = f"{'embedding' if path[-1] == 'embeddings' else 'layer'}_{len(found)}"
            found.setdefault(name, []).append(Tensor(self, key))
        return found

    def _arrays_of(self, node: _Node) -> list[Tensor]:
        """Return the arrays of a layer, or an empty list for any other object."""
        arrays: list[Tensor] = []
        for inner in _INNER:
            held: _Node | None = node
            for step in inner:
                held = held.child(step) if held is not None else None
            if held is None:
                continue
            for kind, roles in _ROLES.items():
                if held.variable(kind) is not None:
                    keys = [held.variable(role) for role in roles]
                    arrays += [Tensor(self, key) for key in keys if key is not None and key in self.entries]
                    break
            if arrays and inner[:1] != ["forward_layer"]:
                break
        return arrays

    def _graph(self) -> _Node:
        if _GRAPH not in self.entries:
            raise ModelFormatError(
                "a checkpoint of TensorFlow 1, without the graph of its objects, which is not supported: "
                "load it where it was written, and save the model as .h5"
            )
        entry, data = self.entries[_GRAPH], self._numbers(_GRAPH)
        length, at = _varint(data, 0)
        if entry.dtype != _STRING or at + 4 + length != len(data):  # 4 bytes hold a checksum of the length
            raise ModelFormatError("damaged: the graph of the objects")
        nodes: list[_Node] = []
        for number, value in _fields(data[at + 4 :]):
            if number == 1:
                if len(nodes) >= MAX_NODES:
                    raise ModelFormatError(f"expected at most {MAX_NODES} objects, found more")
                nodes.append(_Node(nodes, _bytes(value)))
        if not nodes:
            raise ModelFormatError("damaged: the graph of the objects is empty")
        return nodes[0]


# The paths inside a layer where its variables may lie.
_INNER: Sequence[Sequence[str]] = (
    ["forward_layer", "cell"],
    ["backward_layer", "cell"],
    ["cell"],
    ["layer"],
    [],
)
# The variables of a layer in Keras's order. The key is one that only such a layer has.
_ROLES: Mapping[str, Sequence[str]] = {
    "recurrent_kernel": ("kernel", "recurrent_kernel", "bias"),
    "embeddings": ("embeddings",),
    "kernel": ("kernel", "bias"),
    "moving_mean": ("gamma", "beta", "moving_mean", "moving_variance"),
}
_NO_LAYERS = frozenset(
    {"optimizer", "keras_api", "variables", "trainable_variables", "signatures", "metrics", "save_counter", "losses"}
)


class _Node:
    """An object of the graph.

    children: the index of each child by its name.
    key: the key of its value, if the object is a variable.
    """

    def __init__(self, nodes: Sequence[_Node], data: bytes) -> None:
        self._nodes = nodes
        self.children: dict[str, int] = {}
        self.key: str | None = None
        self.path: Sequence[str] = ()  # of the name of a variable
        for number, value in _fields(data):
            if number == 1:
                child = dict(_fields(_bytes(value)))
                self.children[_name(child.get(2, b""))] = _integer(child.get(1, 0))
            elif number == 2:
                attribute = dict(_fields(_bytes(value)))
                if attribute.get(1) == _VALUE.encode():
                    self.key = _name(attribute.get(3, b""))
                    self.path = _name(attribute.get(2, b"")).split("/")

    def child(self, name: str) -> _Node | None:
        i = self.children.get(name)
        return self._nodes[i] if i is not None and i < len(self._nodes) else None

    def variable(self, role: str) -> str | None:
        """Return the key of the variable `role`. Keras 3 may put an underscore before the role."""
        for name in (role, f"_{role}"):
            if (found := self.child(name)) is not None and found.key:
                return found.key
        return None


def _walk(root: _Node) -> Iterator[tuple[list[str], _Node]]:
    """Yield each object that may be a layer or lie inside one, once, starting at the root."""
    seen = {id(root)}
    stack: list[tuple[list[str], _Node]] = [([], root)]
    while stack:
        path, node = stack.pop()
        yield path, node
        if len(path) >= MAX_DEPTH or any(node.variable(kind) for kind in _ROLES):
            continue
        inner = []
        for name in node.children:
            held = node.child(name)
            if name in _NO_LAYERS or held is None or id(held) in seen:
                continue
            if any(name in steps for steps in _INNER):
                continue  # it is a part of this layer
            seen.add(id(held))
            inner.append(([*path, name], held))
        stack += reversed(inner)


def _layer_name(path: Sequence[str], node: _Node) -> str:
    name = path[-1] if path else "layer"
    return name if node.variable("embeddings") is None or "embedding" in name else f"embedding_{name}"


# -- SavedModel ------------------------------------------------------------------------------------


def saved_config(prefix: str) -> Mapping[str, Any] | None:
    """Return the config that tf.keras 2.5 to 2.15 stores with a SavedModel, or None.

    It is a JSON object in the root's entry of `keras_metadata.pb`.
    """
    path = os.path.join(os.path.dirname(os.path.dirname(prefix)), "keras_metadata.pb")
    if os.path.basename(prefix) != "variables" or not os.path.isfile(path) or os.path.getsize(path) > MAX_INDEX:
        return None
    with open(path, "rb") as file:
        data = file.read(os.path.getsize(path))
    for number, value in _fields(data):
        if number != 1:
            continue
        node = dict(_fields(_bytes(value)))
        if _name(node.get(3, b"")) != "root":
            continue
        try:
            entry = json.loads(_bytes(node.get(5, b"")))
        except (ValueError, RecursionError) as error:
            raise ModelFormatError(f"keras_metadata.pb: not JSON: {reprlib.repr(str(error))}") from None
        entry = _plain(entry)
        return entry if isinstance(entry, dict) and isinstance(entry.get("config"), dict) else None
    return None


def _plain(value: Any) -> Any:
    """Return a value of a config as Keras's other files store it. A tuple becomes a list."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
            return _plain(value["items"])
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
