"""Epochs, the best model kept and exported, and going on after an interruption."""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lstmgen import container, exporting


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every training may be told.

    epochs: passes over the data at most. patience: stop after so many without improvement; 0: never.
    batch: sequences a step. lr: greatest learning rate. holdout: share kept apart to measure on. seed: the same
    seed gives the same run on the same machine and backend. dtype: of the exported matrices, "f32", "bf16" or "int8".
    resume: go on with an interrupted training; `restart`: throw it away.
    """

    epochs: int = 40
    patience: int = 5
    batch: int = 32
    lr: float = 4e-3
    holdout: float = 0.05
    seed: int = 1
    dtype: str = "f32"
    resume: bool = False
    restart: bool = False

    def check(self) -> None:
        """Raise `ValueError` for what cannot be."""
        for name, low, high in (
            ("epochs", 1, 10**6),
            ("patience", 0, 10**6),
            ("batch", 1, 10**5),
            ("lr", 1e-9, 10.0),
            ("holdout", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: expected {low:g} to {high:g}, found {value!r}")
        if self.dtype not in container.DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(container.DTYPES)}, found {self.dtype!r}")
        if self.resume and self.restart:
            raise ValueError("resume and restart: give one of them")


@dataclass(frozen=True)
class Report:
    """How a training ended: the files, the best figure, and each epoch's."""

    out: Path
    keras_model: Path
    best: float
    unit: str
    minutes: float
    history: tuple[dict[str, float], ...]


@dataclass
class Job:
    """One training, ready to run.

    model: compiled; its loss is in nats. saved: makes the network that is exported, with the weights of `model`.
    data, validation: as `model.fit` takes them. unit: what the figure is, such as "bits/char"; scale: how many of them
    a nat of loss is. sample: from the bytes of a `.bin` to what is shown after an epoch, with a warning or None.
    measure: from the bytes of the final `.bin` to more facts for its card.
    """

    out: Path
    settings: Settings
    model: Any
    saved: Callable[[], Any]
    data: Any
    validation: Any
    unit: str
    scale: float
    options: dict[str, Any]
    facts: dict[str, Any]
    sample: Callable[[bytes], tuple[str, str | None]] | None = None
    measure: Callable[[bytes], dict[str, Any]] | None = None
    callbacks: Sequence[Any] = ()
    log: Callable[[str], None] = field(default=lambda line: print(line, file=sys.stderr, flush=True))

    @property
    def keras_path(self) -> Path:
        """The model of the best epoch, as Keras saves it."""
        return self.out.with_suffix(".h5")

    @property
    def state_path(self) -> Path:
        """The model with its optimizer after the last epoch, while the training is not over."""
        return self.out.with_name(f"{self.out.stem}.training.keras")

    @property
    def notes_path(self) -> Path:
        """What else is needed to go on."""
        return self.out.with_name(f"{self.out.stem}.training.json")


def _is_news(record: logging.LogRecord) -> bool:
    return "as an HDF5 file" not in record.getMessage()  # which is what is wanted


def import_keras() -> Any:
    """Keras. Raises `ImportError` that says which extra brings it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").addFilter(_is_news)
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(
            f"training needs Keras with a backend: pip install 'lstmgen[train]' ({error}; the backend is chosen by "
            "KERAS_BACKEND, tensorflow without it)"
        ) from None


def check_output(out: Path) -> None:
    """Raise `ValueError` or `OSError` that names `out`, if a training cannot leave its files there."""
    if out.suffix != ".bin":
        raise ValueError(f"{out}: expected a name that ends with .bin")
    folder = out.resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OSError(f"{out}: cannot write into the folder {folder}")


def run(job: Job) -> Report:
    """Train, and leave the `.bin` of the best epoch with its card, and the `.h5` it came from.

    Both are there from the first epoch on, always those of the best so far. What is needed to go on after an
    interruption lies beside them until the training is over.
    """
    keeper = _Keeper(job)
    keeper.restore()
    keras = import_keras()
    callback = _as_callback(keras, keeper)
    job.model.fit(
        job.data,
        validation_data=job.validation,
        epochs=job.settings.epochs,
        initial_epoch=len(keeper.history),
        shuffle=False,
        verbose=0,
        callbacks=[callback, *job.callbacks],
    )
    return keeper.finish()


class _Keeper:
    """Keeps the best model, and what is needed to go on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.history: list[dict[str, float]] = []
        self.best = math.inf
        self.spent = 0.0  # seconds, before this run
        self._started = time.monotonic()
        self._shown = 0.0

    # What two runs must have in common for one to go on with the other.
    def _identity(self) -> dict[str, Any]:
        settings = asdict(self.job.settings)
        for key in ("epochs", "patience", "resume", "restart"):
            del settings[key]
        return json.loads(json.dumps({"settings": settings, "facts": self.job.facts}))  # type: ignore[no-any-return]

    def restore(self) -> None:
        """Take up what an interrupted training left."""
        job = self.job
        waiting = job.state_path.exists() and job.notes_path.exists()
        if not waiting or job.settings.restart:
            self._forget()
            if job.settings.resume and not job.settings.restart:
                job.log("nothing to resume: training from the start")
            return
        if not job.settings.resume:
            raise ValueError(f"{job.state_path}: an interrupted training: resume it, or restart from the beginning")
        notes = json.loads(job.notes_path.read_text())
        if notes["identity"] != self._identity():
            raise ValueError(f"{job.notes_path}: the interrupted training had other settings or another corpus")
        keras = import_keras()
        previous = keras.models.load_model(job.state_path)
        job.model.set_weights(previous.get_weights())
        job.model.optimizer.build(job.model.trainable_variables)
        for mine, kept in zip(job.model.optimizer.variables, previous.optimizer.variables, strict=True):
            mine.assign(kept)
        self.history, self.best, self.spent = notes["history"], notes["best"], notes["seconds"]
        job.log(f"going on after epoch {len(self.history)}")

    def start_epoch(self) -> None:
        self._epoch_started = time.monotonic()

    def step(self, step: int, steps: int, loss: float) -> None:
        """Draw the progress bar, on a terminal."""
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._shown < 0.2:
            return
        self._shown = now
        done = (step + 1) / max(steps, 1)
        epochs = self.job.settings.epochs - len(self.history)
        left = (now - self._epoch_started) / done * (epochs - done)
        bar = "#" * round(20 * done)
        print(
            f"\repoch {len(self.history) + 1}/{self.job.settings.epochs} [{bar:20}] "
            f"{loss * self.job.scale:.3f} {self.job.unit}, {_duration(left)} left ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def end_epoch(self, logs: Mapping[str, float]) -> bool:
        """Keep what is better than all before; whether the training is over."""
        job = self.job
        measured = logs.get("val_loss", logs["loss"]) * job.scale
        if not math.isfinite(measured):
            raise ValueError(f"the loss of epoch {len(self.history) + 1} is {measured}: try a lower lr")
        self.history.append({name: float(value) for name, value in logs.items()})
        better = measured < self.best
        if better:
            self.best = measured
            self._export()
        self._save_state()
        self._tell(measured, logs, better)
        patience = job.settings.patience
        return patience > 0 and len(self.history) - self._best_epoch() > patience

    def _best_epoch(self) -> int:
        figures = [epoch.get("val_loss", epoch["loss"]) for epoch in self.history]
        return figures.index(min(figures)) + 1

    def _tell(self, measured: float, logs: Mapping[str, float], better: bool) -> None:
        job = self.job
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
        parts = [f"epoch {len(self.history)}/{job.settings.epochs}: {logs['loss'] * job.scale:.3f} {job.unit}"]
        if "val_loss" in logs:
            parts.append(f"held out {measured:.3f}{' (best)' if better else ''}")
        if "val_accuracy" in logs or "accuracy" in logs:
            parts.append(f"accuracy {logs.get('val_accuracy', logs.get('accuracy', 0)):.1%}")
        parts.append(f"{_duration(self._seconds())} so far")
        job.log(", ".join(parts))
        if job.sample is not None:
            text, warning = job.sample(job.out.read_bytes())
            job.log(f"  {text}")
            if warning:
                job.log(f"  warning: {warning}")

    def _seconds(self) -> float:
        return self.spent + time.monotonic() - self._started

    def _export(self) -> None:
        """The `.h5` and the `.bin` of the network as it is now."""
        job = self.job
        model = job.saved()
        model.set_weights(job.model.get_weights())
        _save(model, job.keras_path)
        keras = import_keras()
        facts = {
            **job.facts,
            "parameters": int(model.count_params()),
            "epochs": len(self.history),
            "training_minutes": round(self._seconds() / 60, 1),
            job.unit: round(self.best, 4),
            "measured_on": "held-out data" if job.validation is not None else "training data",
            "keras": f"{keras.__version__} ({keras.backend.backend()})",
        }
        container.write(job.out, self._converted(facts))

    def _converted(self, facts: dict[str, Any]) -> bytes:
        return exporting.convert(self.job.keras_path, dtype=self.job.settings.dtype, card=facts, **self.job.options)

    def _save_state(self) -> None:
        job = self.job
        _save(job.model, job.state_path)
        notes = {
            "identity": self._identity(),
            "history": self.history,
            "best": self.best,
            "seconds": self._seconds(),
        }
        container.write(job.notes_path, json.dumps(notes).encode())

    def _forget(self) -> None:
        for path in (self.job.state_path, self.job.notes_path):
            path.unlink(missing_ok=True)

    def finish(self) -> Report:
        """The files are complete: nothing is left to go on with."""
        from lstmgen.model import Model

        job = self.job
        if job.measure is not None and job.out.exists():
            card = json.loads(Model(job.out)._native.info.card)
            container.write(job.out, self._converted({**card, **job.measure(job.out.read_bytes())}))
        self._forget()
        minutes = self._seconds() / 60
        return Report(job.out, job.keras_path, self.best, job.unit, minutes, tuple(self.history))


def _as_callback(keras: Any, keeper: _Keeper) -> Any:
    class Callback(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            keeper.start_epoch()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            keeper.step(batch, self.params.get("steps") or 0, float((logs or {}).get("loss", math.nan)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if keeper.end_epoch(logs or {}):
                self.model.stop_training = True

    return Callback()


def _save(model: Any, path: Path) -> None:
    """Save with Keras so that `path` holds either all of the new file or what it held before."""
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        model.save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
