"""The files of a training.

They are the three files of the model, and the state that an interrupted training leaves.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lstmgen
from lstmgen import files, inputs
from lstmgen.errors import option
from lstmgen.keras_file import hdf5
from lstmgen.training import card
from lstmgen.training.backend import import_keras

_NOTES = "lstmgen.json"  # the entry for the notes in the .keras of a state
_VERSION = 3  # of the notes


@dataclass(frozen=True)
class Files:
    """The paths of a training's files. `out` is the `.bin`. The others lie beside it."""

    out: Path

    @property
    def keras(self) -> Path:
        """The model of the best epoch, as Keras saves it."""
        return self.out.with_suffix(".h5")

    @property
    def card(self) -> Path:
        """The card of the model, in Markdown."""
        return self.out.with_suffix(".md")

    @property
    def state(self) -> Path:
        """The model with its optimizer and notes. It exists until the training ends."""
        return self.out.with_name(f"{self.out.stem}.training.keras")

    @property
    def _journal(self) -> Path:
        return self.out.with_name(f".{self.out.stem}.replacing")

    @property
    def model(self) -> tuple[Path, Path, Path]:
        """The three files that make up a model."""
        return self.keras, self.out, self.card

    @property
    def all(self) -> tuple[Path, ...]:
        """All files that a training writes."""
        return (*self.model, self.state, self._journal)

    def check(self, *sources: Path) -> None:
        """Check that a training on the files `sources` can write its files.

        Raises `ValueError` or `OSError` that names the file that it cannot write.
        """
        if self.out.suffix != ".bin":
            raise ValueError(f"{self.out}: expected a name that ends with .bin")
        for path in (*self.model, self.state):
            if not path.exists():
                continue
            if not path.is_file():
                raise OSError(f"{path}: not a regular file, so it is not replaced")
            if any(source.exists() and path.samefile(source) for source in sources):
                raise ValueError(f"{path}: the training reads this file and would replace it: give another output")
            if path == self.card and card.MARK.encode() not in inputs.read(path, inputs.MAX_TEXT):
                raise ValueError(f"{path}: no training wrote this file, so it is not replaced: give another output")
        folder = os.path.dirname(os.path.realpath(self.out))  # resolve() fails for a circle of links
        try:
            tempfile.TemporaryFile(dir=folder).close()  # os.access says yes to root, even for a read-only disk
        except OSError as error:
            raise OSError(f"{self.out}: cannot write into the folder {folder}: {error.strerror}") from None

    def existing(self) -> list[Path]:
        """Return the files that exist, the `.bin` first."""
        return [path for path in (self.out, self.state, self.keras, self.card) if path.exists()]

    def replace(self, contents: Mapping[Path, bytes]) -> None:
        """Replace several files of the model, all or none of them.

        The new contents are first written to a journal. If the process is killed before the journal
        is complete, the old files stay. If it is killed later, `recover` completes the new files.
        """
        journal = io.BytesIO()
        with zipfile.ZipFile(journal, "w") as archive:
            for path, data in contents.items():
                archive.writestr(path.name, data)
        try:
            files.write(self._journal, journal.getvalue())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.out)) from error
        self._apply_journal()

    def recover(self) -> None:
        """Complete what a killed process began to replace, and remove its temporary files."""
        for path in self.all:
            for stray in self.out.parent.glob(f".{glob.escape(path.name[:100])}.*.tmp"):
                stray.unlink(missing_ok=True)
        self._apply_journal()

    def _apply_journal(self) -> None:
        if not self._journal.exists():
            return
        try:
            with zipfile.ZipFile(self._journal) as archive:
                contents = {path: archive.read(path.name) for path in self.model if path.name in archive.namelist()}
        except inputs.zip_errors() as error:
            raise ValueError(f"{self._journal}: damaged: {error}; delete it to begin the training") from None
        for path, data in contents.items():
            files.write(path, data)
        self._journal.unlink(missing_ok=True)


def saved_bytes(model: Any, suffix: str) -> bytes:
    """Return a model as the bytes of the file that Keras saves.

    Keras writes to memory, since HDF5 would end the process on a full disk.

    suffix: ".keras" or ".h5".
    """
    if suffix == ".keras":
        with tempfile.TemporaryDirectory() as folder:
            archive = _InMemory(Path(folder, "model.keras"))
            model.save(archive)
            return archive.getvalue() or archive.path.read_bytes()
    return hdf5.written(model.save, f"model{suffix}")


class _InMemory(io.BytesIO):
    """A file in memory whose name ends with .keras. The first versions of Keras 3 open `path`
    instead.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def __str__(self) -> str:
        return str(self.path)


@dataclass
class State:
    """What an interrupted training needs to continue, besides the model and its optimizer.

    recipe: the settings, as in the card.
    facts: the facts about the data, as in the card.
    overwrites: whether `out` is the model of another training, which the first epoch replaces.
    base: the epochs of the finished model that this training continues; else 0.
    history: the figures of each epoch.
    best, best_epoch: the best figure, and its epoch.
    seconds: the time spent so far.
    steps: the finished steps of the unfinished epoch.
    means: the means of the figures over these steps.
    dropout: the random states of the model, which Keras does not save.
    carried: the states of stateful layers within an epoch, which Keras does not save either.
    keras: the version of Keras, and its backend.
    """

    recipe: dict[str, Any]
    facts: dict[str, Any]
    overwrites: bool = False
    base: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    steps: int = 0
    means: dict[str, float] = field(default_factory=dict)
    dropout: list[list[int]] = field(default_factory=list)
    carried: list[Any] = field(default_factory=list)
    keras: str = ""

    @property
    def epochs(self) -> int:
        """The number of finished epochs, with those of the model that this training continues."""
        return self.base + len(self.history)

    def save(self, model: Any, path: Path) -> None:
        """Write `model`, its optimizer and this state to `path`. The file is replaced at once."""
        # During an epoch on JAX, the variables of the model are not up to date.
        if self.steps and hasattr(model, "jax_state_sync"):
            model.jax_state_sync()
        self.dropout = [state.numpy().tolist() for state in _random_states(model)]
        self.carried = [_numpy(state).tolist() for state in _carried_states(model)] if self.steps else []
        self.keras = keras_version()
        notes = {"version": _VERSION, "lstmgen": lstmgen.__version__, **asdict(self)}
        notes["best"] = self.best if math.isfinite(self.best) else None
        saved = io.BytesIO(saved_bytes(model, ".keras"))
        with zipfile.ZipFile(saved, "a") as archive:
            notes["digest"] = _digest(archive, notes)
            archive.writestr(_NOTES, json.dumps(notes))
        files.write(path, saved.getvalue())

    @classmethod
    def read(cls, path: Path) -> State:
        """Return the state in the file `path`.

        Raises `ValueError` that names the file if it is damaged, or is of another version.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                notes = json.loads(archive.read(_NOTES))
                if not isinstance(notes, dict):
                    raise ValueError(f"{_NOTES}: expected an object")
                version, written = notes.pop("version", 1), notes.pop("digest", None)
                if version == _VERSION and written != _digest(archive, notes):
                    raise ValueError("the checksum is wrong, so it was changed after it was written")
        except Exception as error:  # of many kinds, since anything may be in the file
            if isinstance(error, OSError) and error.filename:
                raise
            reason = str(error).strip("'\"") or "it is not a .keras file"
            raise _unusable(path, f"damaged: {reason}") from None
        if version != _VERSION:
            by = notes.get("lstmgen", "an older version")
            raise _unusable(path, f"written by lstmgen {by}, as version {version}: expected version {_VERSION}")
        del notes["lstmgen"]
        if notes["best"] is None:
            notes["best"] = math.inf
        return cls(**notes)

    def restore(self, model: Any, path: Path) -> None:
        """Give `model` the weights, the optimizer and the random states of the state in `path`."""
        keras = import_keras()
        try:
            previous = keras.models.load_model(path)
            model.set_weights(previous.get_weights())
            model.optimizer.build(model.trainable_variables)
            for mine, kept in zip(model.optimizer.variables, previous.optimizer.variables, strict=True):
                mine.assign(kept)
            for state, values in zip(_random_states(model), self.dropout, strict=True):
                state.assign(values)
        except Exception as error:  # of many kinds, since Keras runs the file's own layers
            reason = " ".join(str(error).split())[:200]
            raise _unusable(
                path, f"Keras {keras_version()} cannot read what Keras {self.keras} wrote: {reason}"
            ) from error

    def carry_on(self, model: Any) -> None:
        """Set the states of stateful layers to those of this state."""
        for state, values in zip(_carried_states(model), self.carried, strict=True):
            state.assign(values)


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Exchange the weights of `model` in a `with` for their averages, if its optimizer has them."""
    _swap_averages(model)
    try:
        yield
    finally:
        _swap_averages(model)


def _swap_averages(model: Any) -> None:
    if not getattr(model.optimizer, "use_ema", False) or not model.optimizer.built:
        return
    # Keras has no public name for the averages. keras.callbacks.SwapEMAWeights reads this one, too.
    averages = model.optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        kept = _numpy(weight)
        weight.assign(average)
        average.assign(kept)


def forget(model: Any) -> None:
    """Set the states of the stateful layers of `model` to zero."""
    for state in _carried_states(model):
        state.assign(np.zeros(state.shape, np.float32))


def _carried_states(model: Any) -> list[Any]:
    return [state for layer in model.layers if getattr(layer, "stateful", False) for state in layer.states]


def _numpy(variable: Any) -> NDArray[Any]:
    return import_keras().ops.convert_to_numpy(variable)  # type: ignore[no-any-return]


def _unusable(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path}: this training cannot be resumed: {reason}. {option('overwrite', True)} begins again. Without this "
        f"file, {option('resume', True)} continues with the model beside it, if there is one"
    )


def _digest(archive: zipfile.ZipFile, notes: Mapping[str, Any]) -> str:
    """Return a checksum of the file."""
    told = {key: value for key, value in notes.items() if key not in ("version", "digest")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(set(archive.namelist()) - {_NOTES}):
        digest.update(f"\n{name}\n".encode())
        digest.update(archive.read(name))
    return digest.hexdigest()


def _random_states(model: Any) -> Sequence[Any]:
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def keras_version() -> str:
    """Return the version of Keras, and its backend."""
    keras = import_keras()
    return f"{keras.__version__} ({keras.backend.backend()})"
