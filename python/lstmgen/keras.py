"""A callback that exports a model while Keras trains it. Importing this module imports Keras."""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

try:
    import keras
except ImportError as error:
    error.add_note("lstmgen.keras needs Keras with a backend: pip install 'lstmgen[train]'")
    raise

from lstmgen import exporting, files
from lstmgen.exporting import ExportOptions, check_replaceable
from lstmgen.signatures import KeywordSignature

if TYPE_CHECKING:
    from lstmgen.model import Model


class ExportCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Write the model as a `.bin` after each epoch in which it is the best so far.

    path: the `.bin`. The file holds either all of the new model or what it held before.
    monitor: the figure of the logs that must become smaller, or greater if it is an accuracy. By
        default it is "val_loss", or "loss" as long as nothing is validated. None exports after each
        epoch. NaN is never the best.
    overwrite: whether the first epoch replaces a file that is there when the training begins.
        Without it, a file that another `ExportCallback` wrote stays until the figure is better than
        the one in its card (`monitor` and `figure`). Any other file is an error.
    options: see `lstmgen.exporting.ExportOptions`.

    A warning tells each assumption once, before the first epoch. At the same time it raises
    `ModelFormatError` if the model cannot be exported. It raises `ValueError` if there is a file
    that it cannot compare with: one of another network or vocabulary, or without such a figure.

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> lstm = keras.layers.LSTM(4)
    >>> model = keras.Sequential([keras.Input((3, 2)), lstm, keras.layers.Dense(2, "softmax")])
    >>> model.compile("adam", "categorical_crossentropy")
    >>> x, y = np.zeros((4, 3, 2)), np.eye(2)[[0, 1, 0, 1]]
    >>> with TemporaryDirectory() as folder:
    ...     callback = ExportCallback(f"{folder}/m.bin", encoding="onehot", vocab=["a", "b"])
    ...     _ = model.fit(x, y, verbose=0, callbacks=[callback])
    ...     callback.path.exists()
    True
    """

    __signature__ = KeywordSignature("lstmgen.exporting", "ExportOptions")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        monitor: str | None = "auto",
        overwrite: bool = False,
        **options: Unpack[ExportOptions],
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.monitor = monitor
        self.overwrite = overwrite
        self.best: float | None = None
        self._validated = False
        self._options = options
        self._there: tuple[str, float] | None = None  # monitor and figure of the file to keep
        self._own = False  # whether this callback wrote the file

    def __repr__(self) -> str:
        best = "" if self.best is None else f", best {self.best:.4g}"
        return f"<lstmgen.keras.ExportCallback {str(self.path)!r}, monitor {self.monitor!r}{best}>"

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the model can be exported, and look at the file that is there. Keras calls it.

        Raises what the class says.
        """
        data = self._converted({})
        if not self._own:
            check_replaceable(self.path)
        if self.path.exists() and not self.overwrite and not self._own:
            self._there = self._figure_of_file(data)
            name, figure = self._there
            warnings.warn(
                f"{self.path}: it has {name} {figure:.4g}, and stays until an epoch is better; overwrite=True replaces "
                "it at the first one",
                UserWarning,
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Export the model if it is the best so far. Keras calls it.

        Raises `ValueError` if `logs` has no such figure.
        """
        name, figure = self._figure(logs or {})
        if name is not None:
            smaller = _sign(name) * figure
            if self._there is not None:
                self._compare_with_file(name)
            if math.isnan(smaller) or (self.best is not None and smaller >= self.best):
                return
            self.best = smaller
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they came before the first epoch
            facts = {} if name is None else {"monitor": name, "figure": figure, "epoch": epoch + 1}
            files.write(self.path, self._converted(facts))
        self._own = True

    def _figure(self, logs: dict[str, Any]) -> tuple[str | None, float]:
        """Return the monitored figure and its name. Without a name, each epoch is exported."""
        if self.monitor is None:
            return None, math.nan
        name = self.monitor
        if name == "auto":
            if "val_loss" in logs and not self._validated:  # until now the figure was "loss"
                self._validated, self.best = True, None
            name = "val_loss" if self._validated else "loss"
            if self._validated and name not in logs:  # an epoch without validation
                return name, math.nan
        if name not in logs:
            raise ValueError(f"monitor: expected one of {', '.join(sorted(logs))}, found {name!r}")
        return name, float(logs[name])

    def _figure_of_file(self, new: bytes) -> tuple[str, float]:
        """Return the monitor and the figure of the file that is there.

        Raises `ValueError` if the model `new` cannot be compared with it.
        """
        from lstmgen.model import Model

        there = Model(self.path)
        card = there.metadata["card"]
        name, figure = card.get("monitor"), card.get("figure")
        reason = ""
        if self.monitor is None:
            reason = "with monitor=None each epoch would replace it"
        elif not isinstance(name, str) or not isinstance(figure, int | float):
            reason = "no ExportCallback wrote it, so that no figure says how good it is"
        elif self.monitor not in ("auto", name):
            reason = f"its figure is its {name}, not its {self.monitor}"
        elif _kind(there) != _kind(Model(new)):
            reason = "it is another network, or has another vocabulary"
        if reason:
            raise ValueError(f"{self.path}: a model is there: {reason}: give another path, or overwrite=True")
        return str(name), float(figure)

    def _compare_with_file(self, name: str) -> None:
        """Take the figure of the file that is there as the best so far."""
        if self._there is None:
            return
        there, figure = self._there
        if there != name:
            raise ValueError(
                f"{self.path}: its figure is its {there}, that of this training its {name}, so the two cannot be "
                "compared: give another path, or overwrite=True"
            )
        self.best, self._there = _sign(name) * figure, None

    def _converted(self, facts: Mapping[str, Any]) -> bytes:
        options = self._options
        if facts:  # the card was checked when the training began
            card = options.get("card") or {}
            own: dict[str, Any] = json.loads(card) if isinstance(card, str) else dict(card)
            options = {**options, "card": {**own, **facts}}
        options = {**options, "trusted": True}  # Keras wrote it a moment ago
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model.keras"
            self.model.save(saved)
            return exporting.convert(saved, **options)


def _sign(monitor: str) -> float:
    """Return -1 for a figure that must become greater, else 1."""
    return -1.0 if "acc" in monitor else 1.0


def _kind(model: Model) -> Any:
    """Return what must be equal in two networks whose figures are compared."""
    elements = model.vocabulary.elements if model.vocabulary else None
    return [(layer.type, layer.outputs) for layer in model.layers], elements, model.labels, model.window
