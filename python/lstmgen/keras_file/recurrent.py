"""LSTM, GRU and SimpleRNN in all versions of Keras, their cells, and Bidirectional."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lstmgen.keras_file.assembly import Tensor
from lstmgen.keras_file.layers import Item, build, inner_part, layer, named, roles
from lstmgen.keras_file.spec import Spec
from lstmgen.keras_file.weights import Numbers, Part, Role, Source, tree_names
from lstmgen.network import Array, Shape

# The gates in Keras's order, and in the order in which Keras 1 stores their arrays.
_GATES = {"LSTM": "ifco", "GRU": "zrh", "SimpleRNN": ""}
_KERAS1_GATES = {"LSTM": "icfo", "GRU": "zrh"}


def _family(spec: Spec) -> str:
    """Return LSTM, GRU or SimpleRNN for a layer or a cell."""
    return spec.class_name.removeprefix("CuDNN").removesuffix("Cell")


def _apart(spec: Spec) -> bool:
    """Return whether each gate has separate arrays.

    That is so in Keras 1 with any `consume_less` but "gpu".
    """
    return spec.version < (2, 0) and _family(spec) in _KERAS1_GATES and spec.config.get("consume_less") != "gpu"


def _cell_roles(spec: Spec) -> Sequence[Role]:
    if _apart(spec):
        return named(*(f"{array}_{gate}" for gate in _KERAS1_GATES[_family(spec)] for array in "WUb"))
    return named("kernel", "recurrent_kernel", *["bias"] * spec.use_bias)


def _cells(spec: Spec) -> list[tuple[str, Spec]]:
    """Return the cells of a recurrent layer from the first on, and where a tree keeps each."""
    if spec.class_name != "RNN":
        return [("cell", spec)]
    cell = spec.inner("cell")
    if cell.class_name != "StackedRNNCells":
        return [("cell", _checked_cell(spec, cell))]
    entries = cell.config.get("cells")
    if not isinstance(entries, list) or not 1 <= len(entries) <= 64:
        raise spec.error(f"cells: expected a list of cells, found {reprlib.repr(entries)}")
    cells = [_checked_cell(spec, Spec.of(f"layer {spec.name}: cell", entry, spec.version)) for entry in entries]
    names = tree_names([cell.class_name for cell in cells])
    return [(f"cell/cells/{name}", cell) for name, cell in zip(names, cells, strict=True)]


def _checked_cell(spec: Spec, cell: Spec) -> Spec:
    if cell.class_name not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        raise spec.error(f"cell: expected an LSTMCell, GRUCell or SimpleRNNCell, found {cell.class_name:.60}")
    return replace(cell, name=spec.name)


def _rnn_roles(spec: Spec) -> Sequence[Role]:
    return [role for _, cell in _cells(spec) for role in _cell_roles(cell)]


@layer("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN", roles=_rnn_roles)
def _rnn(item: Item) -> Sequence[Tensor]:
    spec, x, name = item.spec, item.sequence, item.spec.name
    spec.refuse("time_major")
    sequences, mask = spec.flag("return_sequences"), x.mask
    if spec.flag("go_backwards"):
        x = item.assembly.reverse(x, name)
        mask = mask and item.assembly.reverse(mask, f"{name}_mask")
    cells = _cells(spec)
    sources = item.source.parts(item.where, [Part(path, _cell_roles(cell)) for path, cell in cells])
    for (_, cell), source in zip(cells, sources, strict=True):
        last = cell is cells[-1][1]
        x = _emit_cell(item.inner(cell, source, x), mask, sequences if last else True)
    if mask is not None and spec.flag("zero_output_for_mask"):
        if not sequences:
            raise spec.error("zero_output_for_mask=True without return_sequences is not supported")
        x = item.emit("multiply", x, mask)
    return [replace(x, mask=item.tensor.mask if sequences else None)]


def _emit_cell(item: Item, mask: Tensor | None, sequences: bool) -> Tensor:
    spec, x = item.spec, item.tensor
    reads = (x,) if mask is None else (x, mask)
    options: dict[str, object] = {"units": spec.units, "activation": spec.activation("activation", "tanh")}
    family = _family(spec)
    if family != "SimpleRNN":
        options["recurrent_activation"] = _gate_activation(item)
    arrays, reset_after = _ARRAYS[family](item)
    options["return_sequences"] = sequences
    if family == "GRU":
        options["reset_after"] = reset_after
    kind = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}[family]
    return item.emit(kind, *reads, arrays=arrays, **options)


def _gate_activation(item: Item) -> str:
    spec = item.spec
    if spec.class_name.startswith("CuDNN"):
        return "sigmoid"
    if "inner_activation" in spec.config:  # Keras 1 has this key
        return spec.activation("inner_activation")
    if "recurrent_activation" in spec.config or spec.version >= (2, 3):
        return spec.activation("recurrent_activation", "sigmoid")
    bias = _stored(item).get("bias")
    if bias is not None and bias.shape == (2, 3 * spec.units):  # of TensorFlow 2.0 or 2.1 (2.2.4-tf)
        return "sigmoid"
    version = ".".join(map(str, spec.version))
    other = " (TensorFlow 2.0 and 2.1, which say 2.2.4-tf, had sigmoid)" if spec.version == (2, 2) else ""
    note = f"gates are hard_sigmoid, the default of Keras {version}{other}"
    if item.assembly.weights_only and note not in item.assembly.assumed:
        item.assembly.assumed.append(note)
    return spec.activation("recurrent_activation", "hard_sigmoid")


def _stored(item: Item) -> dict[str, Numbers]:
    return item.source.take(item.where, _cell_roles(item.spec))


# -- arrays --------------------------------------------------------------------------------------


def _lstm_arrays(item: Item) -> tuple[dict[str, Array], bool]:
    """Return the arrays of an LSTM, from the layout of Keras, of Keras 1 or of CuDNN.

    A bias of 8 units shows that the layout is CuDNN's. The flag is False; only a GRU needs it.
    """
    units = item.spec.units
    arrays = _kernels(item, 4)
    if "bias" in arrays:
        return arrays, False
    stored = _stored(item).get("bias")
    if stored is None:
        return arrays | {"bias": item.assembly.constant(4 * units, 0)}, False
    if stored.shape != (8 * units,):
        return arrays | {"bias": stored.load((4 * units,))}, False
    two = stored.load((8 * units,))
    return _from_cudnn(arrays, 4) | {"bias": two[: 4 * units] + two[4 * units :]}, False


def _gru_arrays(item: Item) -> tuple[dict[str, Array], bool]:
    """Return the arrays of a GRU, and whether it applies the reset gate after the product.

    It does so in CuDNN's layers, and with two biases.
    """
    spec, units = item.spec, item.spec.units
    cudnn = spec.class_name.startswith("CuDNN")
    after = cudnn or spec.flag("reset_after", spec.version >= (2, 3) and not _multi_backend(spec))
    arrays = _kernels(item, 3)
    if "bias" in arrays:
        return arrays, False
    stored = _stored(item).get("bias")
    if stored is None:
        zeros = item.assembly.constant(3 * units, 0)
        return arrays | ({"bias": zeros, "recurrent_bias": zeros} if after else {"bias": zeros}), after
    if stored.shape == (6 * units,):
        two = stored.load((6 * units,)).reshape(2, -1)
        return _from_cudnn(arrays, 3) | {"bias": two[0], "recurrent_bias": two[1]}, True
    if "reset_after" not in spec.config and stored.shape == (2, 3 * units):
        after = True
    if not after:
        return arrays | {"bias": stored.load((3 * units,))}, False
    two = stored.load((2, 3 * units))
    return arrays | {"bias": two[0], "recurrent_bias": two[1]}, True


def _simple_arrays(item: Item) -> tuple[dict[str, Array], bool]:
    arrays, stored = _kernels(item, 1), _stored(item).get("bias")
    units = item.spec.units
    bias = item.assembly.constant(units, 0) if stored is None else stored.load((units,))
    return arrays | {"bias": bias}, False


_ARRAYS: dict[str, Callable[[Item], tuple[dict[str, Array], bool]]] = {
    "LSTM": _lstm_arrays,
    "GRU": _gru_arrays,
    "SimpleRNN": _simple_arrays,
}


def _multi_backend(spec: Spec) -> bool:
    """Return whether a layer without `reset_after` in its config is of Keras 2.3 itself.

    Keras 2.3 and tf.keras both store the version 2.3. tf.keras always stores the key.
    """
    return spec.version < (2, 4)


def _kernels(item: Item, gates: int) -> dict[str, Array]:
    """Return the kernel and the recurrent kernel.

    If each gate has separate arrays, the bias is returned too.
    """
    units, size = item.spec.units, item.tensor.value.size
    stored, family = _stored(item), _family(item.spec)
    shapes: dict[str, tuple[str, Shape]] = {
        "kernel": ("W", (size, units)),
        "recurrent_kernel": ("U", (units, units)),
        "bias": ("b", (units,)),
    }
    if _apart(item.spec):
        return {
            name: np.concatenate([stored[f"{letter}_{gate}"].load(shape) for gate in _GATES[family]], axis=-1)
            for name, (letter, shape) in shapes.items()
        }
    return {
        "kernel": stored["kernel"].load((size, gates * units)),
        "recurrent_kernel": stored["recurrent_kernel"].load((units, gates * units)),
    }


def _from_cudnn(arrays: dict[str, Array], gates: int) -> dict[str, Array]:
    def per_gate(kernel: Array, change: Callable[[Array], Array]) -> Array:
        return np.hstack([change(gate) for gate in np.split(kernel, gates, axis=1)])

    return {
        "kernel": per_gate(arrays["kernel"], lambda k: k.reshape(k.shape[::-1]).T),
        "recurrent_kernel": per_gate(arrays["recurrent_kernel"], lambda k: k.T),
    }


# -- both directions -----------------------------------------------------------------------------

_MODES = {"concat": "concatenate", "sum": "add", "mul": "multiply", "ave": "average"}


def _directions(spec: Spec) -> tuple[Spec, Spec]:
    """Return the layer that runs forward and the one that runs backward."""
    forward = spec.inner("layer")
    if forward.class_name not in ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN"):
        raise spec.error(f"expected a Bidirectional of a recurrent layer, found one of {forward.class_name:.60}")
    if spec.config.get("backward_layer") is not None:
        backward = spec.inner("backward_layer")
    else:
        backward = forward.with_config(go_backwards=not forward.flag("go_backwards"))
    # Since tf.keras 2.4 a masked step gives zeros. A plain layer repeats its last output.
    zeros = spec.version >= (2, 4) and forward.flag("return_sequences")
    return tuple(  # type: ignore[return-value]
        replace(inner, name=f"{spec.name}_{way}").with_config(zero_output_for_mask=zeros)
        for way, inner in (("forward", forward), ("backward", backward))
    )


@layer("Bidirectional", roles=lambda spec: [role for inner in _directions(spec) for role in roles(inner)])
def _bidirectional(item: Item) -> Sequence[Tensor]:
    spec, x = item.spec, item.sequence
    forward, backward = _directions(spec)
    mode = spec.config.get("merge_mode", "concat")
    if mode is not None and (not isinstance(mode, str) or mode not in _MODES):
        raise spec.error(f"merge_mode: expected null or one of {', '.join(_MODES)}, found {reprlib.repr(mode)}")
    parts = [inner_part("forward_layer", forward), inner_part("backward_layer", backward)]
    sources: list[Source] = item.source.parts(item.where, parts)
    ahead = build(item.inner(forward, sources[0], x))[0]
    back = build(item.inner(backward, sources[1], x))[0]
    if forward.flag("return_sequences"):
        back = item.assembly.reverse(back, f"{spec.name}_output")
    if mode is None:  # the layer has two outputs
        return [ahead, replace(back, mask=ahead.mask)]
    return [replace(item.emit(_MODES[mode], ahead, back), mask=ahead.mask)]
