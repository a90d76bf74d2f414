"""Reader of the files that Keras saves. The only module that imports h5py.

A file is read as data: nothing that stands in it is imported, executed or followed to another file.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lstmgen.errors import ModelFormatError
from lstmgen.network import MAX_SIZE, MAX_STEPS, Array, Layer, Network, Option, Shape, tensor_shapes

if TYPE_CHECKING:
    import h5py

Config = dict[str, Any]

MAX_CONFIG = 2**24  # bytes of model_config
MAX_NAMES = 4096  # elements of a list attribute
MAX_COMPRESSION = 100  # honest weights hardly compress at all

Fail = Callable[[str], ModelFormatError]


def read(source: str | os.PathLike[str] | bytes) -> Network:
    """The network that Keras saved in `source`, a path or the content of a file.

    Raises `ModelFormatError` for anything that is not a model lstmgen can run, saying why, and
    `OSError` for a file that cannot be opened.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        return _read(io.BytesIO(content), len(content), _failure("model"))
    path = os.fspath(source)
    fail = _failure(path)
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise fail("a folder, not a file; save the model with model.save('model.h5')")
    if not stat.S_ISREG(status.st_mode):
        raise fail("not a regular file")
    with open(path, "rb") as file:
        return _read(file, status.st_size, fail)


def _failure(prefix: str) -> Fail:
    """A maker of errors about one thing; what a file says about itself is made printable."""

    def fail(message: str) -> ModelFormatError:
        text = f"{prefix}: {message}"
        return ModelFormatError(
            "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:1000])
        )

    return fail


# -- kinds of file, told by content --------------------------------------------------------------

_SAVE_AGAIN = "load it with keras.saving.load_model and save it with model.save('model.h5')"


def _read(file: BinaryIO, size: int, fail: Fail) -> Network:
    head = file.read(512)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5(file, size, fail)
    raise fail(_what_it_is(head))


def _what_it_is(head: bytes) -> str:
    """Why a file that begins with `head` is refused."""
    start = head.lstrip().lower()
    if not head:
        return "the file is empty"
    if head.startswith(b"PK"):
        return f"a zip archive, such as Keras 3's .keras, which is not read yet; {_SAVE_AGAIN}"
    if head.startswith(b"GGUF"):
        return "already exported: a GGUF file, not one that Keras saved"
    if start.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer, not the model itself; fetch it with 'git lfs pull'"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not a model; download the raw file"
    if start.startswith(b"{"):
        return "JSON text, not a model with weights; save the model with model.save('model.h5')"
    return "not an HDF5 file (.h5) that Keras saved"


def _read_hdf5(file: BinaryIO, size: int, fail: Fail) -> Network:
    import h5py

    with _damage(fail):
        opened = h5py.File(file, "r")
    with opened, _damage(fail):
        hdf5 = _Hdf5(opened, size, fail)
        text = hdf5.strings(opened, "model_config")
        if text is None:
            raise fail(_why_no_config(opened))
        group = hdf5.find(opened, "model_weights", fail)
        version = hdf5.strings(group, "keras_version") or hdf5.strings(opened, "keras_version")
        model = _parse("".join(text), fail)
        return _network(model, "".join(version or ["1"]), _GroupWeights(hdf5, group), fail)


def _why_no_config(root: h5py.File) -> str:
    weights = ("layer_names", "layer_names0"), ("layers", "_layer_checkpoint_dependencies")
    in_attributes = any(name in root.attrs for name in weights[0])
    if in_attributes or any(root.id.links.exists(name.encode()) for name in weights[1]):
        return (
            "no architecture in the file: it holds weights only; "
            "save the whole model with model.save('model.h5')"
        )
    return "an HDF5 file, but not a Keras model: it has no attribute model_config"


@contextmanager
def _damage(fail: Fail) -> Iterator[None]:
    """Everything that h5py throws at a broken file, as one error."""
    try:
        yield
    except ModelFormatError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise fail(f"the file is damaged, or not one that Keras saved: {error}") from error


# -- HDF5, without trust -------------------------------------------------------------------------


class _Hdf5:
    """Attributes, groups and arrays of one file, and only of that file."""

    def __init__(self, file: h5py.File, size: int, fail: Fail) -> None:
        self.file = file
        self.fail = fail
        self.unread = size  # bytes of arrays that can still be in the file

    def strings(self, node: h5py.Group, name: str) -> list[str] | None:
        """The strings of an attribute, or of its chunks `name0`, `name1` ...; None if absent."""
        names = [name]
        if name not in node.attrs:
            names = []
            while f"{name}{len(names)}" in node.attrs:
                names.append(f"{name}{len(names)}")
        out: list[str] = []
        for part in names:
            out += self._string_attribute(node, part)
        return out if names else None

    def _string_attribute(self, node: h5py.Group, name: str) -> list[str]:
        attribute = node.attrs.get_id(name)
        count = int(np.prod(attribute.shape, dtype=object))  # an object never wraps around
        if count > MAX_NAMES or count * attribute.dtype.itemsize > MAX_CONFIG:
            raise self.fail(f"attribute {name}: too large")
        if attribute.dtype.kind not in "SO":
            if count == 0:  # Keras stores an empty list as float64
                return []
            raise self.fail(f"attribute {name}: expected strings, found {attribute.dtype}")
        values = np.asarray(node.attrs[name], dtype=object).ravel().tolist()
        strings = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
        if not all(isinstance(v, str) for v in strings):
            raise self.fail(f"attribute {name}: expected strings")
        return strings

    def find(self, group: h5py.Group, path: str, fail: Fail) -> h5py.Group | h5py.Dataset:
        """What lies at `path` inside `group`, reached over hard links only."""
        from h5py import Dataset, Group, h5l

        node: h5py.Group | h5py.Dataset = group
        for part in path.split("/"):
            if part in ("", ".", ".."):
                raise fail(f"{path!r} is not a name inside the group of the layer")
            name = part.encode("utf-8", "surrogateescape")
            # Asked of the link, not of what it leads to: that may be in another file.
            if not isinstance(node, Group) or not node.id.links.exists(name):
                raise fail(f"no {path!r} in the file")
            kind = node.id.links.get_info(name).type
            if kind != h5l.TYPE_HARD:
                what = {h5l.TYPE_SOFT: "a soft", h5l.TYPE_EXTERNAL: "an external"}.get(kind, "a")
                raise fail(f"{path!r} goes over {what} link, which is not followed")
            node = node[part]
            if not isinstance(node, Group | Dataset):
                raise fail(f"{path!r} is neither a group nor an array")
        return node

    def array(self, dataset: h5py.Dataset, shape: Shape, fail: Fail) -> Array:
        """The numbers of `dataset` as float32, if its shape is `shape` and they are finite."""
        self._check_storage(dataset, shape, fail)
        out = np.empty(shape, np.float32)
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite: see below
            dataset.read_direct(out)
        if not np.isfinite(out).all():
            raise fail("holds NaN or infinite numbers")
        return out

    def _check_storage(self, dataset: h5py.Dataset, shape: Shape, fail: Fail) -> None:
        """Refuses, before a byte of it is read, what Keras does not write."""
        from h5py import h5d, h5z

        known = {h5z.FILTER_DEFLATE, h5z.FILTER_LZF, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
        properties = dataset.id.get_create_plist()
        if properties.get_layout() == h5d.VIRTUAL:
            raise fail("a virtual dataset, whose numbers are in other files; not followed")
        if properties.get_external_count():
            raise fail("its numbers are in another file (external storage); not followed")
        if dataset.shape != shape:
            raise fail(f"expected {shape}, found {dataset.shape}")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
            raise fail(f"expected float16, float32 or float64, found {dataset.dtype}")
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if not filters <= known:
            raise fail(f"compressed with HDF5 filter {min(filters - known)}; only gzip and lzf are")
        stored, size = dataset.id.get_storage_size(), dataset.id.get_type().get_size()
        wanted = size * int(np.prod(shape, dtype=object))
        if stored > self.unread or wanted > stored * (MAX_COMPRESSION if filters else 1):
            raise fail(f"declares {wanted} bytes, but the file stores {min(stored, self.unread)}")
        self.unread -= stored


class _GroupWeights:
    """Arrays of a whole-model file: a group for each layer, its arrays in attribute order."""

    def __init__(self, hdf5: _Hdf5, group: h5py.Group | h5py.Dataset) -> None:
        self.hdf5 = hdf5
        self.group = group

    def arrays(self, layer: str, shapes: Mapping[str, Shape], fail: Fail) -> dict[str, Array]:
        """The arrays of the layer, by the names that `shapes` gives them, in its order."""
        group = self.hdf5.find(self.group, layer, fail)
        names = self.hdf5.strings(group, "weight_names")
        if names is None:
            raise fail("its weights are missing: no attribute weight_names")
        if len(names) != len(shapes):
            raise fail(f"expected {len(shapes)} arrays ({', '.join(shapes)}), found {len(names)}")
        if len(set(names)) != len(names):
            raise fail("the same array stands twice in weight_names")
        out = {}
        for (name, shape), path in zip(shapes.items(), names, strict=True):
            fail_array = _failure_of(fail, name)
            dataset = self.hdf5.find(group, path, fail_array)
            if not hasattr(dataset, "read_direct"):
                raise fail_array(f"{path!r} is a group, not an array")
            out[name] = self.hdf5.array(dataset, shape, fail_array)
        return out


def _failure_of(fail: Fail, name: str) -> Fail:
    return lambda message: fail(f"{name}: {message}")


# -- the config ----------------------------------------------------------------------------------


def _parse(text: str, fail: Fail) -> Config:
    if len(text) > MAX_CONFIG:
        raise fail(f"model_config: over {MAX_CONFIG} characters")
    try:
        model = json.loads(text)
    except RecursionError:
        raise fail("model_config: nested too deeply") from None
    except ValueError as error:
        raise fail(f"model_config: not JSON: {error}") from None
    if not isinstance(model, dict) or not isinstance(model.get("config"), dict | list):
        raise fail("model_config: expected class_name and config of a model")
    return model


def _network(model: Config, version: str, weights: _GroupWeights, fail: Fail) -> Network:
    """The layers of a model one after the other, each with its weights."""
    if _version(version)[0] < 2:
        raise fail(f"saved by Keras {version}, which is not read yet; save it again with Keras 2")
    configs = _chain(model, fail)
    shape = _input_shape(model, configs, fail)
    layers: list[Layer] = []
    taken: dict[str, str] = {}
    ids = len(shape) == 1
    step = _Step("", "", {}, shape[-1], not ids, version, weights, fail)
    for entry in configs:
        step = replace(step, **_entry(entry, fail))
        if step.name in taken.values():
            raise step.fail("two layers have this name")
        if ids and not layers and step.class_name not in ("InputLayer", "Embedding"):
            raise step.fail(f"expected input (batch, steps, numbers), found (batch, {shape[0]})")
        layer = step.build()
        stored_name = _stored_name(step.name, taken)
        taken[stored_name] = step.name
        if layer is not None:
            layers.append(replace(layer, name=stored_name))
            step = replace(
                step,
                size=layer.output_size(step.size),
                sequence=bool(layer.options.get("return_sequences", step.sequence or ids)),
            )
            ids = False
    if not any(layer.recurrent for layer in layers):
        raise fail("the model has no LSTM layer")
    window = shape[0] or 0
    if window > MAX_STEPS:
        raise fail(f"expected at most {MAX_STEPS} time steps, found {window}")
    first = layers[0]
    size = int(first.options["input_dim"]) if first.type == "embedding" else shape[-1]
    return Network(tuple(layers), window, size, version)
