"""`lstmgen predict`."""

from __future__ import annotations

import argparse
import io
import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

import lstmgen
from lstmgen import charsets, inputs
from lstmgen.cli.keras_options import add_model_arguments, export_options
from lstmgen.cli.streams import (
    DASH,
    MODEL_HELP,
    as_path,
    check_one_stdin,
    check_stdout,
    file_name,
    model_source,
    read_stdin,
    write_stdout,
)
from lstmgen.cli.terminal import say
from lstmgen.files import check_not_read
from lstmgen.inputs import MAX_CORPUS
from lstmgen.progress import counted
from lstmgen.sequence_files import parse_numbers

_STEPS = 8  # of the example, if the model has no window


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "input",
        type=file_name,
        nargs="?",
        help="a .npy of ids, or of the shape (steps, numbers) or (sequences, steps, numbers); or a text. A line of a "
        "text is a sequence of ids, or of numbers if one number enters at each step. Otherwise a line is a step, and "
        "an empty line ends a sequence. - is stdin",
    )
    given.add_argument("--example", action="store_true", help="read zeros, or the first ids, instead of an input")
    parser.add_argument(
        "-o",
        dest="out",
        type=as_path,
        metavar="OUT",
        help="a .npy for the outputs (default: they go to stdout as text); - is stdout",
    )
    parser.add_argument("--json", action="store_true", help="for programs: a list of outputs, one for each sequence")
    add_model_arguments(parser.add_argument_group("for a model saved by Keras"))


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_one_stdin(args.model, args.input)
    if args.out is not None:
        check_not_read([args.out], (args.model, args.input, args.config))
    if str(args.out) == DASH:
        check_stdout("a .npy")
    model = lstmgen.Model(model_source(args.model), **export_options(args))
    if args.example:
        sequences: Sequence[NDArray[Any]] = [_example(model)]
        kind = "ids" if sequences[0].ndim == 1 else "zeros"
        say(f"input: {len(sequences[0])} steps of {kind}; name a file, or - for stdin, to read another")
    else:
        sequences = _read(model, args.input)
    # The steps of a single sequence are counted by predict.
    each = counted(sequences, len(sequences), "sequences") if len(sequences) > 1 else sequences
    outputs = [model.predict(sequence[None])[0] for sequence in each]
    if args.out:
        _save(args.out, outputs)
    elif args.json:
        print(json.dumps([output.tolist() for output in outputs]))
    else:
        print("\n".join("\n".join(_line(row) for row in np.atleast_2d(y)) + "\n" * (y.ndim > 1) for y in outputs))


def _line(row: NDArray[np.float32]) -> str:
    return " ".join(map(str, row))


def _save(path: Path, outputs: list[NDArray[np.float32]]) -> None:
    from lstmgen.files import write

    if len({output.shape for output in outputs}) > 1:
        raise ValueError(f"{path}: the outputs differ in length: predict each length on its own")
    file = io.BytesIO()
    np.save(file, np.stack(outputs))
    if str(path) == DASH:
        write_stdout(file.getvalue())
    else:
        write(path, file.getvalue())


def _takes_ids(model: lstmgen.Model) -> bool:
    return model.encoding != "features"


def _example(model: lstmgen.Model) -> NDArray[Any]:
    """Return a sequence of zeros, or of the first ids."""
    steps = model.window or _STEPS
    if _takes_ids(model):
        return np.arange(steps) % min(model.outputs if model.generates else model.input_size, steps)
    return np.zeros((steps, model.input_size), np.float32)


class _Sequences(Sequence[NDArray[Any]]):
    """Sequences in one array, one after the other. `ends` has the end of each."""

    def __init__(self, values: NDArray[Any], ends: NDArray[np.int64]) -> None:
        self._values, self._ends = values, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, i: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, i: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        if isinstance(i, slice):
            return [self[at] for at in range(len(self))[i]]
        begin = self._ends[i - 1] if i > 0 else 0
        found: NDArray[Any] = self._values[begin : self._ends[i]]
        return found


def _read(model: lstmgen.Model, source: str) -> Sequence[NDArray[Any]]:
    """Return the sequences in a file, each (steps,) of ids or (steps, numbers)."""
    name = "stdin" if source == DASH else source
    data = read_stdin(MAX_CORPUS) if source == DASH else inputs.read(source, MAX_CORPUS)
    text = None if data.startswith(inputs.NPY) else charsets.decoded(name, data)
    try:
        sequences = _from_npy(model, data) if text is None else _from_text(model, text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not sequences:
        raise ValueError(f"{name}: expected sequences, found an empty file")
    return sequences


def _from_npy(model: lstmgen.Model, data: bytes) -> Sequence[NDArray[Any]]:
    values = inputs.npy_array(data)
    if isinstance(values, int) or values.dtype.kind not in "iuf":
        raise ValueError(f"expected numbers, found {'objects' if isinstance(values, int) else values.dtype}")
    size = model.input_size
    if _takes_ids(model) and values.ndim in (1, 2) and (values.dtype.kind in "iu" or model.encoding == "index"):
        return _rows(np.atleast_2d(values.astype(np.int64)))
    if values.ndim == 1 and size == 1:
        values = values[:, None]
    if values.ndim == 2 and values.shape[1] == size:
        values = values[None]
    elif values.ndim == 2 and size == 1:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[2] != size:
        raise ValueError(f"expected (sequences, steps, {size}), found {values.shape}")
    return _rows(values.astype(np.float32))


def _rows(values: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """Return the sequences of an array (sequences, steps, ...)."""
    flat = values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])
    return _Sequences(flat, np.arange(1, len(values) + 1) * values.shape[1])


def _from_text(model: lstmgen.Model, text: str) -> Sequence[NDArray[Any]]:
    size = 1 if _takes_ids(model) else model.input_size
    found, ends = array("d"), array("q", [0])
    for number, line in enumerate(text.splitlines(), 1):
        try:
            values = parse_numbers(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if values and size != 1 and len(values) != size:
            raise ValueError(f"line {number}: expected the {size} numbers of a step, found {len(values)}")
        found.extend(values)
        if (size == 1 or not values) and len(found) > ends[-1] * size:
            ends.append(len(found) // size)
    if len(found) > ends[-1] * size:
        ends.append(len(found) // size)
    numbers = np.frombuffer(found, np.float64) if found else np.empty(0)
    bounds = np.frombuffer(ends, np.int64)[1:]
    if not _takes_ids(model):
        return _Sequences(numbers.astype(np.float32).reshape(-1, size), bounds)
    if (numbers % 1).any():
        raise ValueError("expected ids, found numbers that are not integers")
    return _Sequences(numbers.astype(np.int64), bounds)
