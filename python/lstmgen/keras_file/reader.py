"""Files that Keras wrote. Their content tells their kind, and their names do not count."""

from __future__ import annotations

import contextlib
import io
import os
import reprlib
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TypedDict, Unpack

from lstmgen import charsets, inputs
from lstmgen import heads as notes
from lstmgen.errors import ModelFormatError, OptionError, OptionTypeError, option
from lstmgen.keras_file import hdf5, inference, layer_list, lookups, mask_ops, recurrent, textgenrnn, tf_checkpoint
from lstmgen.keras_file.assembly import Assembly, Tensor
from lstmgen.keras_file.layers import KINDS, Item, build, refusal, roles
from lstmgen.keras_file.models import MODELS, FileSource, layers_of, output_keys, output_names
from lstmgen.keras_file.spec import MAX_CONFIG, Spec, parse_json, parse_version, shown, steps_of, whole_number
from lstmgen.keras_file.weights import File, Lists, Numbers, Tree, attribute_layers, check_one_kind, is_tree, tree_names
from lstmgen.network import MAX_STEPS, Network

_ = (recurrent, mask_ops, lookups)  # these modules add their classes to the registry

Source = str | os.PathLike[str] | bytes

Architecture = str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]

_SUFFIXES = (".keras", ".h5", ".hdf5")
_OF_SAVED_MODEL = ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb")
_SAVE = "in the program that has the model, model.save('model.keras') writes what can be read"
_ZIP_RATIO = 100  # the highest compression that is unpacked
_PIECE = 2**20  # bytes that are checked at a time
_BAD_ZIP: tuple[type[Exception], ...] = (*inputs.zip_errors(), OSError)


class ReadOptions(TypedDict, total=False):
    """What the reader may be told. Each option may be left out or be None.

    config: the architecture of a file that holds only weights. It is the path of a JSON file that
        Keras's `to_json` wrote, the text of such a file, the same as a mapping, or layers as in
        Keras code, such as "LSTM(128, return_sequences=True), LSTM(128), Dense(52, softmax)".
    output: the name of the layer whose output is wanted, for a model with several outputs.
    heads: the outputs that together are a note, in the order in which their values enter, such as
        "pitch/128,step,duration": see `lstmgen.ExportOptions`.
    window: the number of time steps, 1 to 65,536, for a model that was saved without one.
    trusted: whether this process reads the file. By default a separate process does, within
        limits (see `read`).
    """

    config: Architecture | None
    output: str | None
    heads: str | Sequence[str] | None
    window: int | None
    trusted: bool | None


def read(source: Source, **options: Unpack[ReadOptions]) -> Network:
    """Return the network in a file that Keras saved, which this process reads.

    Arguments and errors are those of `lstmgen.keras_file.read`, which lets a separate process
    call this function.

    >>> try:
    ...     read(b"")
    ... except ModelFormatError as error:
    ...     print(error)
    <bytes>: the file is empty
    """
    with _opened(source, options.get("config")) as model:
        return model.network(options)


@dataclass(frozen=True)
class LayerDescription:
    """A layer as Keras stored it.

    class_name: its class in Keras.
    name: its name in the model.
    output_shape: with the batch, as in Keras. None if it is not known.
    details: its most important options, as text.
    problem: why the layer is refused, or None.
    """

    class_name: str
    name: str
    output_shape: tuple[int | None, ...] | None
    details: str
    problem: str | None


@dataclass(frozen=True)
class Description:
    """What is in a file, and whether it can be exported.

    kind: what the file is, such as "whole model (HDF5)".
    keras_version: as stored, or empty if the file does not store it.
    layers: in Keras's order.
    network: None if the model is refused.
    problem: why the model is refused, or None.
    """

    kind: str
    keras_version: str
    layers: tuple[LayerDescription, ...]
    network: Network | None
    problem: str | None


def describe(source: Source, **options: Unpack[ReadOptions]) -> Description:
    """Return what is in a file that Keras saved, which this process reads.

    Arguments and errors are those of `lstmgen.keras_file.describe`.

    >>> try:
    ...     describe(b"PK")
    ... except ModelFormatError as error:
    ...     print(error)
    <bytes>: a damaged or empty zip
    """
    with _opened(source, options.get("config")) as model:
        try:
            network, problem = model.network(options), None
        except (ModelFormatError, ValueError) as error:
            network, problem = None, str(error)
        return Description(model.kind, model.keras_version, model.layer_descriptions(), network, problem)


@dataclass
class _Model:
    """An architecture with its weights."""

    kind: str
    spec: Spec
    file: File
    keras_version: str
    assumed: Sequence[str] = ()
    path: str | None = None
    textgenrnn: textgenrnn.Known | None = None  # None for any other network
    sizes: Mapping[str, Any] | None = None  # what the weights alone say of a textgenrnn network
    assembly: Assembly | None = None  # None until `network` has run

    def network(self, options: ReadOptions) -> Network:
        asked = options.get("window")
        if asked is not None and (type(asked) is not int or not 1 <= asked <= MAX_STEPS):
            raise OptionError("window", f"an integer from 1 to {MAX_STEPS}", asked)
        known = textgenrnn.find(self.path, self.sizes) if self.sizes else self.textgenrnn
        stored, size = _input(self.spec, self.file)
        window = stored or asked or (known.window if known else 0)
        if known and not window:
            raise ModelFormatError(textgenrnn.windowless())
        assembly = Assembly(window, size, weights_only=self.kind.startswith("weights"))
        self.assembly = assembly
        assembly.assumed += self.assumed
        if known and known.source and not (stored or asked):
            assembly.assumed.append(f"a window of {window} steps (max_length), {known.source}")
        outputs = build(Item(self.spec, FileSource(self.file), [assembly.input], assembly))
        self.file.finish()
        chosen = self._chosen(outputs, options, assembly)
        network = _carried(assembly.network(chosen, self.keras_version), self.spec)
        named = len(network.elements.get("vocab", ())) or network.outputs
        if named not in (network.input_size, network.outputs):
            note = (
                f"that vocabulary has {named} elements, and the network puts out {network.outputs} numbers: it is not "
                f"used; {option('vocab', ...)} gives one of {network.outputs}"
            )
            network = replace(network, assumed=(*network.assumed, note))
        if known is None and textgenrnn.is_network(network):
            known = textgenrnn.find(self.path, {})
        return replace(network, elements=textgenrnn.elements(self.path, known.config)) if known else network

    def _chosen(self, outputs: Sequence[Tensor], options: ReadOptions, assembly: Assembly) -> Tensor:
        """Return the output to export: the only one, the chosen one, or those of one note."""
        output, told = options.get("output"), options.get("heads")
        names = output_names(self.spec)
        if output is not None and told is not None:
            raise ValueError(f"{option('output')} and {option('heads')}: give one of the two")
        if output is not None:
            if output not in names:
                raise OptionError("output", f"one of {_listed(names)}", output)
            return outputs[names.index(output)]
        keys = output_keys(self.spec)
        if told is not None:
            if len(outputs) == 1:
                raise ValueError(f"{option('heads')}: the model has one output, {_listed(names)}")
            parsed = notes.parse(told)
            by_layer = any(head.layer is not None and head.layer not in keys for head in parsed)
            return self._joined(parsed, names if by_layer else keys, outputs, assembly, told=True)
        if len(outputs) == 1:
            return outputs[0]
        for named in (keys, names):
            if (found := notes.recognised(named)) is not None:
                return self._joined(found, named, outputs, assembly, told=False)
        raise ModelFormatError(
            f"expected one output, found {len(names)}: choose with {option('output')}: {_listed(names)}; "
            f"or, if they form one note, give {option('heads', 'pitch=NAME,step=NAME,duration=NAME')}"
        )

    def _joined(
        self,
        heads: Sequence[notes.Wanted],
        names: Sequence[str],
        outputs: Sequence[Tensor],
        assembly: Assembly,
        *,
        told: bool,
    ) -> Tensor:
        """Return the outputs that form one note, as one vector."""
        found = notes.places(heads, names)
        joined = assembly.emit("concatenate", "heads", [outputs[i] for i in found])
        named = [head._replace(layer=names[i]) for head, i in zip(heads, found, strict=True)]
        assembly.elements |= {"heads": named, "heads_told": told}
        return joined

    def layer_descriptions(self) -> tuple[LayerDescription, ...]:
        built = self.assembly or Assembly(0, 0)
        return tuple(_layer_description(spec, built) for spec in layers_of(self.spec))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names[:16])


_SHOWN = (
    *("units", "output_dim", "input_dim", "activation", "recurrent_activation", "inner_activation"),
    *("return_sequences", "stateful", "go_backwards", "mask_zero", "reset_after", "rate", "p", "merge_mode"),
)


def _layer_description(spec: Spec, built: Assembly) -> LayerDescription:
    problem = None
    if spec.class_name not in KINDS:
        problem = refusal(spec.class_name)
    else:
        try:
            roles(spec)
        except ModelFormatError as error:
            problem = str(error).removeprefix(f"{spec.where}: ")
    parts = [
        f"{key} {shown(str(value))}"
        for key in _SHOWN
        if isinstance(value := spec.config.get(key), str | int | float) and value is not False
    ]
    if isinstance(spec.config.get("layer"), dict):
        inner = spec.config["layer"]
        parts.append(f"of {reprlib.repr(inner.get('class_name'))}")
    value, shape = built.outputs.get(spec.name), None
    if value is not None and value.size > 0:  # ids have no size
        shape = (None, value.size) if value.steps is None else (None, value.steps or built.window or None, value.size)
    return LayerDescription(spec.class_name, spec.name, shape, ", ".join(parts), problem)


def _carried(network: Network, spec: Spec) -> Network:
    """Return the network without a window if it was saved with one time step to carry its state."""
    stateful = any(inner.config.get("stateful") is True for inner in layers_of(spec))
    if not stateful or network.window == 0:
        return network
    if network.window == 1 and not network.fixed_steps:
        note = "a stateful model of one time step: it has no window, its state is carried"
        return replace(network, window=0, assumed=(*network.assumed, note))
    note = (
        f"a stateful model of {network.window} time steps: each window starts from zeros, "
        f"as after reset_states; {option('refresh', None)} carries the state on, as Keras does between batches"
    )
    return replace(network, assumed=(*network.assumed, note))


# -- the input -----------------------------------------------------------------------------------


def _input(spec: Spec, file: File) -> tuple[int, int]:
    """Return the window and the numbers per step of the network's input.

    A window of 0 stands for any number of steps. 0 numbers per step stand for ids of an embedding.
    """
    if _first_layer(spec).class_name == "TextVectorization":  # it gives one id for each word of a text
        return 0, 0
    shape = _input_shape(spec)
    if shape is None:  # Keras 2.3 often forgets it
        takes_ids = _first_layer(spec).class_name == "Embedding"
        return 0, 0 if takes_ids else whole_number("input: features", file.first_rows())
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise ModelFormatError(f"expected one input (batch, T, features) or (batch, T), found {reprlib.repr(shape)}")
    window = steps_of("input: T", shape[1])
    return window, whole_number("input: features", shape[2]) if len(shape) == 3 else 0


def _input_shape(spec: Spec) -> Any:
    """Return what a model says of the shape of its input, or None if it says nothing."""
    if spec.class_name not in MODELS:
        return None
    specs = layers_of(spec)
    first = specs[0]
    if spec.class_name != "Sequential":
        ends = [inner for inner in specs if inner.class_name == "InputLayer"]
        first = ends[0] if ends else first
    for key in ("batch_shape", "batch_input_shape"):
        if first.config.get(key) is not None:
            return first.config[key]
    if first.class_name in MODELS:
        return _input_shape(first)
    return spec.config.get("build_input_shape")


def _first_layer(spec: Spec) -> Spec:
    """Return the first layer of a model that is not an input."""
    while spec.class_name in MODELS:
        specs = layers_of(spec)
        spec = next((inner for inner in specs if inner.class_name != "InputLayer"), specs[0])
    return spec


# -- kinds of file -------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(source: Source, config: Architecture | None) -> Iterator[_Model]:
    """Open the model in a file, or in the files of a checkpoint.

    Each error names the file, also an error that the caller's work with the model raises.
    """
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    with inputs.naming(name), contextlib.ExitStack() as stack:
        prefix = None if isinstance(source, bytes) else tf_checkpoint.prefix_of(name)
        if isinstance(source, bytes):
            file: BinaryIO = io.BytesIO(source)
        elif prefix is None:
            _check_regular(name)
            file = stack.enter_context(open(name, "rb"))
        try:
            model = _model(file, config, stack) if prefix is None else _checkpoint_model(prefix, config)
            model.path = None if isinstance(source, bytes) or prefix is not None else name
            yield model
        except ModelFormatError as error:
            raise ModelFormatError(f"{prefix or name}: {error}") from None
        except RecursionError:
            raise ModelFormatError(f"{name}: models or layers nested too deeply") from None
        except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
            reason = reprlib.repr(f"{type(error).__name__}: {error}")
            raise ModelFormatError(f"{name}: the config holds what Keras never writes: {reason}") from None


def _check_regular(path: str) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        kind = "a folder"
        if os.path.exists(f"{path}/saved_model.pb"):
            kind = "the folder of a SavedModel without its variables/variables.index"
        raise ModelFormatError(
            f"{path}: {kind}; expected a file that Keras saved, or the folder of a checkpoint or SavedModel"
            f"{_newest_in(path)}"
        )
    if os.path.basename(path) in _OF_SAVED_MODEL:
        raise ModelFormatError(f"{path}: a part of a SavedModel: give its folder")
    if not stat.S_ISREG(mode):  # reading a pipe or a device might never end
        raise ModelFormatError(f"{path}: not a regular file; expected a file that Keras saved")


def _newest_in(folder: str) -> str:
    """Return a hint that names the newest file of Keras in a folder of ModelCheckpoint."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        files = [entry for entry in entries if entry.name.endswith(_SUFFIXES) and entry.is_file()]
        if files:
            newest = max(files, key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
            return f"; in it are {len(files)} such files, the newest is {os.path.join(folder, shown(newest.name))}"
    return ""


def _model(file: BinaryIO, config: Architecture | None, stack: contextlib.ExitStack) -> _Model:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        _check_not_hdf5(file, size)
        return _zip_model(file, size, config, stack)
    if not head.startswith(hdf5.SIGNATURE):
        raise ModelFormatError(_looks_like(head))
    _check_not_zip(file)
    budget = hdf5.Budget(file)
    root = stack.enter_context(hdf5.opened(file))
    check_one_kind(root)
    text = hdf5.text(root, "model_config", MAX_CONFIG)
    if text is None:
        return _weights_model(root, budget, config)
    if config is not None:
        raise ValueError(f"{option('config')}: the file holds the architecture itself, so leave this out")
    group = hdf5.child(root, "model_weights")
    stored = hdf5.text(group, "keras_version") or hdf5.text(root, "keras_version") or ""
    version = stored or ("2" if '"units"' in text else "1")  # Keras 1 stores no version
    spec = _checked(Spec.of("the model", parse_json("model_config", text), parse_version(version)))
    return _Model("whole model (HDF5)", spec, Lists.of_hdf5(group, budget, whole_model=True), stored)


_TWO_KINDS = (
    "the file is a zip (.keras) and an HDF5 file at once, of which Keras may read either: it is made to deceive"
)


def _check_not_zip(file: BinaryIO) -> None:
    """Raise `ModelFormatError` for an HDF5 file that a reader of zips takes for a zip.

    Such a reader looks at the end of a file. Keras chooses by the name of the file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.namelist():
                raise ModelFormatError(_TWO_KINDS)
    except _BAD_ZIP as error:
        if isinstance(error, ModelFormatError):
            raise
    file.seek(0)


def _check_not_hdf5(file: BinaryIO, size: int) -> None:
    """Raise `ModelFormatError` for a zip in which libhdf5 finds a whole model.

    libhdf5 skips the first 512, 1024, 2048 ... bytes of a file, if an HDF5 file begins after them.
    The weights in a zip of Keras may begin there by chance, but they have no architecture.
    """
    begin = 512
    while begin < size:
        file.seek(begin)
        if file.read(len(hdf5.SIGNATURE)) == hdf5.SIGNATURE:
            with contextlib.suppress(ModelFormatError), hdf5.opened(file) as root:
                if hdf5.has_attribute(root, "model_config", "layer_names"):
                    begin = 0
            if begin == 0:
                raise ModelFormatError(_TWO_KINDS)
        begin *= 2
    file.seek(0)


def _checked(spec: Spec) -> Spec:
    if spec.class_name not in MODELS:
        raise ModelFormatError(f"expected a Sequential or Functional model, found {reprlib.repr(spec.class_name)}")
    return spec


def _weights_model(root: Any, budget: hdf5.Budget, config: Architecture | None) -> _Model:
    """Return the model of a file of weights. The architecture is given or read from the weights."""
    stored = hdf5.text(root, "keras_version") or ""
    if hdf5.has_attribute(root, "layer_names", "layer_names0"):
        file = Lists.of_hdf5(root, budget, whole_model=False)
        return _of_weights("weights only (HDF5)", file, config, stored, stored or "1")
    return _attributes_or_tree(root, budget, config, "weights only (HDF5)", stored)


def _attributes_or_tree(root: Any, budget: hdf5.Budget, config: Architecture | None, kind: str, stored: str) -> _Model:
    """Return the model of weights that Keras 3 saved.

    A model of a user's own class is stored by its attributes, in no order. Any other is a tree.
    """
    named = {_named(name, found): found for name, found in attribute_layers(root, budget).items()}
    if named:
        version = stored or "3"
        shapes = {name: [array.shape or () for array in found] for name, found in named.items()}
        given = None if config is None else architecture(config)
        order = inference.in_order(shapes, parse_version(version), given)
        model = _of_weights(kind, Lists.of_arrays({name: named[name] for name in order}), given, stored, version)
        ordered = {name: shapes[name] for name in order}
        alike = inference.alike(ordered, parse_version(version), "that of their names")
        return replace(model, assumed=(*model.assumed, *alike))
    if not is_tree(root):
        raise ModelFormatError("an HDF5 file, but not one that Keras saved: it has no model_config and no layer_names")
    tree = Tree(root, budget)
    return _of_weights(kind, tree, config, stored, stored or ("3" if tree.prefix == "layers" else "2.14"))


def _named(name: str, arrays: Sequence[Numbers]) -> str:
    """Return a name by which `inference` recognises an embedding.

    Its attribute may have any name.
    """
    lonely = len(arrays) == 1 and "embedding" not in name and "attention" not in name
    return f"embedding_{name}" if lonely else name


def _of_weights(kind: str, file: Lists | Tree, config: Architecture | None, stored: str, version: str) -> _Model:
    """Return a model from its weights. The architecture is given or read from the weights."""
    if config is None:
        guess = inference.infer(file, parse_version(version))
        spec = Spec.of("the model", guess.model, parse_version(version))
        return _Model(kind, spec, file, stored, guess.assumed, sizes=guess.textgenrnn)
    entry, known = architecture(config), None
    if textgenrnn.is_config(entry):
        known = textgenrnn.Known(entry)
        entry = textgenrnn.model({"num_classes": file.first_rows(), **entry})
    saved = entry.get("keras_version")
    if isinstance(saved, str) and not stored:
        version = stored = saved
    spec = _checked(Spec.of("config", entry, parse_version(version)))
    return _Model(kind, spec, file, stored, textgenrnn=known)


def _checkpoint_model(prefix: str, config: Architecture | None) -> _Model:
    """Return the model in a checkpoint of TensorFlow or in a SavedModel.

    tf.keras stores the architecture with some SavedModels.
    """
    layers = tf_checkpoint.Checkpoint(prefix).layers()
    file = Lists.of_arrays(layers)
    entry = tf_checkpoint.saved_config(prefix)
    if config is None and entry is not None and entry.get("class_name") in MODELS:
        stored = entry.get("keras_version")
        stored = stored if isinstance(stored, str) else ""
        spec = Spec.of("keras_metadata.pb", entry, parse_version(stored or "2.14"))
        return _Model("whole model (SavedModel)", spec, file, stored)
    model = _of_weights("weights only (TensorFlow checkpoint)", file, config, "", "2.14")
    if any(name.startswith("layer_with_weights-") for name in layers):  # of a Sequential or functional model
        return model
    shapes = {name: [array.shape or () for array in arrays] for name, arrays in layers.items()}
    alike = inference.alike(shapes, parse_version("2.14"), "that of the file")
    return replace(model, assumed=(*model.assumed, *alike))


def architecture(config: Architecture) -> Mapping[str, Any]:
    """Return the model config that `ReadOptions.config` gives.

    Raises `ValueError` if it gives none.
    """
    where = option("config")
    if not isinstance(config, os.PathLike | Iterable):
        raise OptionTypeError("config", "a path, layers or a mapping", config)
    if isinstance(config, os.PathLike) or (isinstance(config, str) and _is_path(config)):
        where = os.fspath(config)
        config = charsets.decoded(where, inputs.read(config, MAX_CONFIG))
    try:
        if isinstance(config, str):
            config = parse_json(where, config) if config.lstrip().startswith("{") else layer_list.parse(config)
        if not isinstance(config, Mapping):
            config = layer_list.parse(", ".join(str(entry) for entry in config))
        if isinstance(config.get("config"), str):  # the JSON text within a JSON object
            config = parse_json(where, config["config"])
    except (ModelFormatError, ValueError) as error:
        raise ValueError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    return dict(config)


def _is_path(text: str) -> bool:
    """Return whether a text is the name of a file rather than an architecture.

    A name that ends with .json counts even if there is no such file.
    """
    return "\n" not in text and "\0" not in text and (text.endswith(".json") or os.path.isfile(text))


def _looks_like(head: bytes) -> str:
    """Return why a file that begins with `head` is not a file of Keras."""
    if not head:
        return "the file is empty"
    if not head.strip(b"\0"):
        return "the file begins with zeros: a copy or download that did not finish"
    kinds = {
        b"PK": "a damaged or empty zip",
        b"version https://git-lfs": "a git-lfs pointer, not the file itself: run 'git lfs pull'",
        b"<": "an HTML or XML page, not a model: a download that went wrong",
        b"GGUF": "a GGUF file, such as a .bin of lstmgen, which needs no export",
        b"{": f"a JSON file, not a model with weights: give it as {option('config')} beside the file of weights",
        b"\x80": f"a Python pickle, which is never opened: {_SAVE}",
        inputs.NPY: f"a .npy of numpy, which has no network: {_SAVE}",
        b"\x1f\x8b": "a gzip file: unpack it first",
    }
    for start, kind in kinds.items():
        if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start):
            return kind
    return f"not an HDF5 file, which Keras's .h5 is, nor a .keras, nor a .bin; it begins with {head[:8]!r}"


# -- .keras --------------------------------------------------------------------------------------


def _zip_model(file: BinaryIO, size: int, config: Architecture | None, stack: contextlib.ExitStack) -> _Model:
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        members = {info.filename: info for info in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise ModelFormatError("expected a zip with different names, found two files of the same name")
        wanted = ("config.json", "metadata.json", "model.weights.h5")
        missing = [name for name in wanted if name not in members]
        if missing:
            what, then = "a zip", ""
            if members and all(name.endswith(".npy") for name in members):
                what, then = "a .npz of numpy", f"; {_SAVE}"
            raise ModelFormatError(f"{what}, but not a .keras that Keras saved: it has no {', '.join(missing)}{then}")
        entry = parse_json("config.json", _text(archive, members["config.json"]))
        metadata = parse_json("metadata.json", _text(archive, members["metadata.json"]))
        weights = _member(archive, members["model.weights.h5"], file)
        _add_vocabulary(entry, "assets", archive, members)
    except _BAD_ZIP as error:
        if isinstance(error, ModelFormatError | RecursionError):
            raise
        if "not a zip file" in str(error):  # it begins as one, but the list of its files is missing at its end
            message = f"the zip ends after {size:,} bytes, before the list of its files: a copy or download that "
            raise ModelFormatError(f"{message}did not finish") from None
        raise ModelFormatError(f"damaged zip: {reprlib.repr(str(error))}") from None
    version = metadata.get("keras_version")
    if not isinstance(version, str):
        raise ModelFormatError(f"metadata.json: keras_version: expected text, found {reprlib.repr(version)}")
    if not weights.read(len(hdf5.SIGNATURE)) == hdf5.SIGNATURE:
        raise ModelFormatError("model.weights.h5: expected an HDF5 file, found another kind")
    budget = hdf5.Budget(weights)
    root = stack.enter_context(hdf5.opened(weights))
    if entry.get("class_name") not in MODELS:
        own = f"weights of the class {shown(str(entry.get('class_name')))} (.keras)"
        return _attributes_or_tree(root, budget, config, own, version)
    if config is not None:
        raise ValueError(f"{option('config')}: the file holds the architecture itself, so leave this out")
    spec = _checked(Spec.of("the model", entry, parse_version(version)))
    return _Model("whole model (.keras)", spec, Tree(root, budget), version)


def _add_vocabulary(entry: Any, folder: str, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> bool:
    """Put the vocabulary of an adapted layer, which Keras saves as a file, into the layer's config.

    Returns whether there is such a layer. Only the first is read: a model can begin with one only.
    """
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, dict) and entry.get("class_name") in MODELS else None
    if not isinstance(layers, list) or not all(isinstance(inner, dict) for inner in layers):
        return False  # who builds the network says what is wrong
    for inner, name in zip(layers, tree_names([str(inner.get("class_name")) for inner in layers]), strict=True):
        inner_config, place = inner.get("config"), f"{folder}/layers/{name}"
        info = members.get(f"{place}/vocabulary.txt")
        if inner.get("class_name") in lookups.LAYERS and info is not None and isinstance(inner_config, dict):
            if inner_config.get("vocabulary") is None:
                integers = inner["class_name"] == "IntegerLookup"
                found = lookups.saved_vocabulary(
                    _text(archive, info), inner_config.get("vocabulary_size"), integers=integers
                )
                inner_config["vocabulary"] = found
            return True
        if _add_vocabulary(inner, place, archive, members):
            return True
    return False


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    if info.file_size > MAX_CONFIG:
        raise ModelFormatError(f"{info.filename}: expected at most {MAX_CONFIG} bytes, found {info.file_size}")
    _check_ratio(info)
    with archive.open(info) as member:
        data = member.read(MAX_CONFIG + 1)  # the header may be wrong
    if len(data) > MAX_CONFIG:
        raise ModelFormatError(f"{info.filename}: expected at most {MAX_CONFIG} bytes")
    # What its values may take if it is JSON: a list, an object, and what stands between commas.
    takes = 88 * data.count(b"[") + 232 * data.count(b"{") + 72 * data.count(b",") + 3 * len(data)
    most = 2**24 + 64 * archive.start_dir  # about the bytes of the file
    if takes > most:
        raise ModelFormatError(f"{info.filename}: expected values that take at most {most} bytes, found {takes}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{info.filename}: not UTF-8: byte {error.start} is {data[error.start]:#04x}") from None


def _check_ratio(info: zipfile.ZipInfo) -> None:
    if info.file_size > _ZIP_RATIO * max(info.compress_size, 1):
        raise ModelFormatError(f"{info.filename}: expected a compression of at most {_ZIP_RATIO} times, found more")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: BinaryIO) -> BinaryIO:
    """Return a file in the zip. An uncompressed one, as Keras writes it, is read in place."""
    if info.flag_bits & 1:
        raise ModelFormatError(f"{info.filename}: the entry is encrypted, which is not supported")
    if info.compress_type == zipfile.ZIP_STORED:
        if info.compress_size != info.file_size:
            raise ModelFormatError(f"{info.filename}: damaged zip: its two entries for the file disagree")
        with archive.open(info) as member:  # which compares names and the checksum
            while member.read(_PIECE):
                pass
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
        begin = info.header_offset + 30 + name + extra
        return io.BufferedReader(_Section(file, begin, info.file_size))
    _check_ratio(info)
    with archive.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ModelFormatError(f"{info.filename}: expected {info.file_size} bytes, found {len(data)}")
    return io.BytesIO(data)


class _Section(io.RawIOBase):
    """A part of a file, read as if it were a whole file."""

    def __init__(self, file: BinaryIO, begin: int, size: int) -> None:
        self._file, self._begin, self._size, self._at = file, begin, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._begin + self._at)
        data = self._file.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
