"""For people with their own Keras loop: export while it trains.

    import lstmgen.keras
    model.fit(x, y, callbacks=[lstmgen.keras.ExportCallback("latex.bin", vocab_from="corpus.tex")])

Importing this module imports Keras.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Unpack

import keras

from lstmgen import exporting, files
from lstmgen.exporting import ExportOptions


class ExportCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Write the model as a `.bin` after each epoch in which it is the best so far.

    `path` is the `.bin`; `options` are those of `lstmgen.export` (vocab, vocab_from, dtype ...).
    `monitor` names the figure of the logs that must become smaller (greater, if it is an accuracy):
    by default "val_loss", or "loss" as long as nothing is validated; None exports after each epoch.
    A figure that is not a number is no better than any. The file holds either all of the new model
    or what it held before. What is assumed is said once. Raises `ModelFormatError` before the first
    epoch if the model cannot be exported.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, monitor: str | None = "auto", **options: Unpack[ExportOptions]
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.monitor = monitor
        self.best: float | None = None
        self._validated = False
        self._options = options

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find out what cannot be exported before the work, not after it."""
        self._converted()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Export, if the model is the best so far."""
        figure = self._figure(logs or {})
        if figure is not None:
            if math.isnan(figure) or (self.best is not None and figure >= self.best):
                return
            self.best = figure
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said before the first epoch
            files.write(self.path, self._converted())

    def _figure(self, logs: dict[str, Any]) -> float | None:
        """What must become smaller; None to export in any case."""
        if self.monitor is None:
            return None
        name = self.monitor
        if name == "auto":
            if "val_loss" in logs and not self._validated:  # what was measured on the training data is of another kind
                self._validated, self.best = True, None
            name = "val_loss" if self._validated else "loss"
            if self._validated and name not in logs:  # an epoch without validation
                return math.nan
        if name not in logs:
            raise ValueError(f"monitor: expected one of {', '.join(sorted(logs))}, found {name!r}")
        return -float(logs[name]) if "acc" in name else float(logs[name])

    def _converted(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model.keras"
            self.model.save(saved)
            return exporting.convert(saved, **self._options)
