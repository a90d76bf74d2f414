"""Epochs, the best model kept and exported, and going on after an interruption."""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import math
import os
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lstmgen import exporting, files
from lstmgen.binfile import writer
from lstmgen.training import card

_NOTES = "lstmgen.json"  # in the .keras of an unfinished training
_SAVED_EACH = 600  # seconds, in an epoch that takes longer
_RANGES = {
    "epochs": (1, 10**6),
    "patience": (0, 10**6),
    "batch": (1, 10**5),
    "lr": (1e-9, 10),
    "holdout": (0, 0.5),
    "seed": (0, 2**32 - 1),
    "units": (1, 65_536),
    "layers": (1, 100),
    "dropout": (0, 0.99),
    "embedding": (1, 65_536),
    "window": (1, 65_536),
    "length": (2, 65_536),
    "weight_decay": (0, 1),
    "words": (2, 65_536),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every training may be told.

    epochs: at most; each is a pass over the data, or several over little data. patience: stop after so many epochs
    without improvement; 0: never.
    batch: sequences a step. lr: greatest learning rate. holdout: share of the data kept apart to measure on, 0 to 0.5.
    seed: the same seed gives the same run on the same machine and backend. dtype: of the exported matrices, "f32",
    "bf16" or "int8". resume: go on with an interrupted training; `restart`: throw it away, and begin anew.
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
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name, low)
            if not low <= value <= high:
                raise ValueError(f"{name}: expected {low} to {high}, found {value!r}")
        for setting in fields(self):
            if setting.name in self.unused() and getattr(self, setting.name) != setting.default:
                raise ValueError(
                    f"{setting.name}: has no effect here: the recipe and its level have their own, or none"
                )
        if self.dtype not in writer.DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(writer.DTYPES)}, found {self.dtype!r}")
        if self.resume and self.restart:
            raise ValueError("resume and restart: give one of them")

    def unused(self) -> tuple[str, ...]:
        """Names of the settings that have no effect beside the others."""
        return ()

    def facts(self) -> dict[str, Any]:
        """The settings that make the model what it is, for its card."""
        passed_over = ("resume", "restart", "dtype", "epochs", "patience", *self.unused())
        return {k: v for k, v in vars(self).items() if k not in passed_over}


@dataclass(frozen=True)
class Report:
    """How a training ended: the files, the best figure, and each epoch's."""

    out: Path
    keras_model: Path
    card: Path
    best: float
    unit: str
    minutes: float
    history: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class Batches:
    """The `steps` batches of each epoch: `of(epoch)(step)` makes one, (inputs, targets), without those before it."""

    steps: int
    of: Callable[[int], Callable[[int], tuple[Any, Any]]]

    def after(self, epochs: int, steps: int) -> Iterator[tuple[Any, Any]]:
        """Those after so many epochs and steps, for ever."""
        for epoch in itertools.count(epochs):
            batch = self.of(epoch)
            for step in range(steps, self.steps):
                yield batch(step)
            steps = 0

    def dataset(self, keras: Any) -> Any:
        """Those of the first epoch, as Keras measures on them."""
        batches = self

        class Dataset(keras.utils.PyDataset):  # type: ignore[misc]
            def __len__(self) -> int:
                return batches.steps

            def __getitem__(self, i: int) -> tuple[Any, Any]:
                return batches.of(0)(i)

        return Dataset()


@dataclass
class Job:
    """One training, ready to run.

    model: compiled; its loss is in nats. saved: makes the network that is exported, with the weights of `model`.
    data: what is learnt from. validation: as `model.fit` takes it. unit: what the figure is, such as "bits/char";
    scale: how many of them a nat of loss is. sample: from the bytes of a `.bin` to what is shown after an epoch, with a
    warning or None. measure: from the bytes of the final `.bin` to more facts for its card.
    """

    out: Path
    settings: Settings
    model: Any
    saved: Callable[[], Any]
    data: Batches
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
    def card_path(self) -> Path:
        """What people should know of the model."""
        return self.out.with_suffix(".md")

    @property
    def state_path(self) -> Path:
        """The model with its optimizer after the last epoch, and notes, while the training is not over."""
        return self.out.with_name(f"{self.out.stem}.training.keras")


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


def check_output(out: Path, *sources: Path) -> None:
    """Raise `ValueError` or `OSError` that names the file, if a training on `sources` cannot leave its files there."""
    if out.suffix != ".bin":
        raise ValueError(f"{out}: expected a name that ends with .bin")
    for path in (out, out.with_suffix(".h5"), out.with_suffix(".md")):
        if not path.exists():
            continue
        if not path.is_file():
            raise OSError(f"{path}: not a regular file, so it is not replaced")
        if any(source.exists() and path.samefile(source) for source in sources):
            raise ValueError(f"{path}: what is learnt from would be replaced: give another output")
        if path.suffix == ".md" and card.MARK not in path.read_text(errors="replace"):
            raise ValueError(f"{path}: no card that a training wrote, so it is not replaced: give another output")
    folder = out.resolve().parent
    try:
        tempfile.TemporaryFile(dir=folder).close()  # a test that holds for root, and where nothing can be written
    except OSError as error:
        raise OSError(f"{out}: cannot write into the folder {folder}: {error.strerror}") from None


def run(job: Job) -> Report:
    """Train, and leave the `.bin` of the best epoch, its card, and the `.h5` it came from.

    They are there from the first epoch on, always those of the best so far. What is needed to go on after an
    interruption lies beside them until the training is over.
    """
    keeper = _Keeper(job)
    keeper.restore()
    keras = import_keras()
    callback = _as_callback(keras, keeper)

    def fit(epochs: int) -> None:
        done = len(keeper.history)
        job.model.fit(
            job.data.after(done, keeper.steps),
            steps_per_epoch=job.data.steps - keeper.steps,
            validation_data=job.validation,
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            verbose=0,
            callbacks=[*job.callbacks, callback],
        )

    try:
        with _heard(keeper):
            stopped = keeper.over
            if keeper.steps and not stopped:
                fit(len(keeper.history) + 1)
                stopped = keeper.over or job.model.stop_training
            if not stopped:
                fit(job.settings.epochs)
    except KeyboardInterrupt:
        keeper.tell_of_the_interruption()
        raise
    report = keeper.finish()
    if keeper.interrupted:  # when there was nothing left to interrupt
        raise KeyboardInterrupt
    return report


@contextmanager
def _heard(keeper: _Keeper) -> Iterator[None]:
    """Let Ctrl-C end the training between two steps, where all of it can be kept; a second one ends it at once."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return

    def note(number: int, frame: Any) -> None:
        if keeper.interrupted:
            usual(number, frame)
        keeper.interrupted = True
        keeper.job.log("Ctrl-C: ends behind this step, or behind the epoch if it is being measured; again: at once")

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


class _Keeper:
    """Keeps the best model, and what is needed to go on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.history: list[dict[str, float]] = []
        self.best = math.inf
        self.spent = 0.0  # seconds, before this run
        self.steps = 0  # of the epoch that is not over, which an interrupted training has done
        self.means: dict[str, float] = {}  # of the loss and so on, over these steps
        self.interrupted = False
        self._started = self._saved = time.monotonic()
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
        if not job.state_path.exists() or job.settings.restart:
            job.state_path.unlink(missing_ok=True)
            if job.settings.resume:
                job.log("nothing to resume: training from the start")
            return
        if not job.settings.resume:
            raise ValueError(
                f"{job.state_path}: an interrupted training: resume=True (--resume) goes on with it, "
                "restart=True (--restart) throws it away"
            )
        keras = import_keras()
        try:
            with zipfile.ZipFile(job.state_path) as archive:
                notes = json.loads(archive.read(_NOTES))
            previous = keras.models.load_model(job.state_path)
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise ValueError(
                f"{job.state_path}: cannot go on with it: {error}; restart=True (--restart) begins anew"
            ) from None
        if notes["identity"] != self._identity():
            raise ValueError(f"{job.state_path}: the interrupted training had other settings or another corpus")
        job.model.set_weights(previous.get_weights())
        job.model.optimizer.build(job.model.trainable_variables)
        for mine, kept in zip(job.model.optimizer.variables, previous.optimizer.variables, strict=True):
            mine.assign(kept)
        for state, values in zip(self._dropout(), notes["dropout"], strict=True):
            state.assign(values)
        self.history, self.best, self.spent = notes["history"], notes["best"], notes["seconds"]
        self.steps, self.means = notes.get("steps", 0), notes.get("means", {})
        where = f"step {self.steps} of epoch {len(self.history) + 1}" if self.steps else f"epoch {len(self.history)}"
        job.log(f"going on after {where}")

    def _dropout(self) -> list[Any]:
        """The random states of the model, which Keras does not save."""
        return [v for v in self.job.model.variables if v.path.endswith("seed_generator_state")]

    def check_interrupted(self) -> None:
        """Raise `KeyboardInterrupt` if there was a Ctrl-C: nothing of Keras runs here that could pass over it."""
        if self.interrupted:
            raise KeyboardInterrupt

    def tell_of_the_interruption(self) -> None:
        """Say what is left of the training."""
        self._clear()
        best = f"{self.job.out} has the best so far, and " if self.history else ""
        kept = f"{best}resume=True (--resume) goes on" if self.job.state_path.exists() else "nothing is kept"
        self.job.log(f"interrupted in epoch {len(self.history) + 1}: {kept}")

    def start_epoch(self) -> None:
        self._epoch_started = time.monotonic()

    def _over_all(self, logs: Mapping[str, float], steps: int) -> dict[str, float]:
        """Means over the epoch so far, from those of the `steps` of this run."""
        share = steps / (self.steps + steps)
        means = {name: float(value) for name, value in logs.items()}
        return means | {name: mean + share * (means[name] - mean) for name, mean in self.means.items()}

    def step(self, step: int, logs: Mapping[str, float]) -> None:
        """Keep what is needed to go on, if Ctrl-C ends the training here or it is long since; draw the progress bar."""
        now = time.monotonic()
        steps, of = self.steps + step + 1, self.job.data.steps
        if steps < of and (self.interrupted or now - self._saved > _SAVED_EACH):
            self._save_state(steps, self._over_all(logs, step + 1))
            self.check_interrupted()
        if not sys.stderr.isatty() or now - self._shown < 0.2:
            return
        self._shown = now
        done, begun = steps / of, self.steps / of
        epochs = self.job.settings.epochs - len(self.history)
        left = (now - self._epoch_started) / (done - begun) * (epochs - done)
        bar = "#" * round(20 * done)
        print(
            f"\repoch {len(self.history) + 1}/{self.job.settings.epochs} [{bar:20}] "
            f"{logs['loss'] * self.job.scale:.3f} {self.job.unit}, {_duration(left)} left ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Keep what is better than all before."""
        job = self.job
        logs = self._over_all(logs, job.data.steps - self.steps)
        measured = logs.get("val_loss", logs["loss"]) * job.scale
        if not math.isfinite(measured):
            raise ValueError(f"the loss of epoch {len(self.history) + 1} is {measured}: try a lower lr")
        self.history.append(logs)
        self.steps, self.means = 0, {}
        better = measured < self.best
        if better:
            self.best = measured
            self._export()
        self._save_state()
        self._tell(measured, logs, better)

    @property
    def over(self) -> bool:
        """Whether there have been all epochs, or too many without improvement."""
        epochs, patience = len(self.history), self.job.settings.patience
        figures = [epoch.get("val_loss", epoch["loss"]) for epoch in self.history]
        since = epochs - 1 - figures.index(min(figures)) if figures else 0
        return epochs >= self.job.settings.epochs or 0 < patience < since

    @staticmethod
    def _clear() -> None:
        """Remove the progress bar."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)

    def _tell(self, measured: float, logs: Mapping[str, float], better: bool) -> None:
        job = self.job
        self._clear()
        parts = [f"epoch {len(self.history)}/{job.settings.epochs}: {logs['loss'] * job.scale:.3f} {job.unit}"]
        if "val_loss" in logs:
            parts.append(f"held out {measured:.3f}{' (best)' if better else ''}")
        if "val_accuracy" in logs or "accuracy" in logs:
            parts.append(f"accuracy {logs.get('val_accuracy', logs.get('accuracy', 0)):.1%}")
        seconds, epochs = self._seconds(), len(self.history)
        left = f", {_duration(seconds / epochs * (job.settings.epochs - epochs))} left" if not self.over else ""
        parts.append(f"{_duration(seconds)} so far{left}")
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
        self._write(facts)

    def _write(self, facts: dict[str, Any]) -> None:
        """The `.bin` with these facts, and the card."""
        job = self.job
        data = self._converted(facts)
        files.write(job.out, data)
        sample = job.sample(data)[0] if job.sample else ""
        files.write(job.card_path, card.markdown(data, job.out.name, sample).encode())

    def _converted(self, facts: dict[str, Any]) -> bytes:
        return exporting.convert(self.job.keras_path, dtype=self.job.settings.dtype, card=facts, **self.job.options)

    def _save_state(self, steps: int = 0, means: Mapping[str, float] | None = None) -> None:
        """Keep what is needed to go on behind so many steps of an epoch, with their means."""
        job = self.job
        if steps and hasattr(job.model, "jax_state_sync"):  # with JAX, the variables are elsewhere during an epoch
            job.model.jax_state_sync()
        notes = {
            "steps": steps,
            "means": means or {},
            "dropout": [state.numpy().tolist() for state in self._dropout()],
            "identity": self._identity(),
            "history": self.history,
            "best": self.best,
            "seconds": self._seconds(),
        }
        _save(job.model, job.state_path, notes)
        self._saved = time.monotonic()

    def finish(self) -> Report:
        """The files are complete: nothing is left to go on with."""
        from lstmgen.model import Model

        job = self.job
        if job.measure is not None and job.out.exists():
            facts = Model(job.out).metadata["card"]
            self._write({**facts, **job.measure(job.out.read_bytes())})
        job.state_path.unlink(missing_ok=True)
        minutes = self._seconds() / 60
        return Report(job.out, job.keras_path, job.card_path, self.best, job.unit, minutes, tuple(self.history))


def _as_callback(keras: Any, keeper: _Keeper) -> Any:
    class Callback(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            keeper.start_epoch()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            keeper.step(batch, logs or {"loss": math.nan})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            keeper.end_epoch(logs or {})
            if keeper.over:
                self.model.stop_training = True
            else:
                keeper.check_interrupted()

    return Callback()


def _save(model: Any, path: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Save with Keras so that `path` holds either all of the new file or what it held before.

    Not in its folder: where that is full, HDF5 ends the process. `notes` go into a `.keras`.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, path.name)
        model.save(saved)
        if notes is not None:
            with zipfile.ZipFile(saved, "a") as archive:
                archive.writestr(_NOTES, json.dumps(notes))
        files.write(path, saved.read_bytes())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
