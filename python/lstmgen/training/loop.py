"""The epochs of a training. It exports the best model, and can continue after an interruption."""

from __future__ import annotations

import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lstmgen import exporting
from lstmgen.errors import option
from lstmgen.training import card
from lstmgen.training.backend import import_keras
from lstmgen.training.checkpoint import averaged, forget, keras_version, saved_bytes
from lstmgen.training.progress import Bar, duration, say
from lstmgen.training.settings import Settings
from lstmgen.training.start import Elements, Start, digest_fact

_SAVED_EACH = 600  # seconds between two saved states within an epoch


@dataclass(frozen=True)
class TrainingReport:
    """How a training ended.

    out, keras_model, card: the paths of the `.bin`, of the model of Keras and of the card.
    best: the lowest figure of an epoch, in `unit`, on held-out data if there are any.
    best_epoch: the epoch of that figure, from 1 on. Epochs before a `resume` count.
    improved: whether this training wrote the files. If it resumes a finished model, it writes them
        only when an epoch is better.
    unit: "bits/char", "bits/element" or "bits/label".
    minutes: the time of the training, with the time before a `resume`.
    history: the figures that Keras gives for each epoch, with those before a `resume`. Losses are
        in nats.

    >>> path = Path("m.bin")
    >>> TrainingReport(path, path, path, 1.25, 3, True, "bits/char", 0.5, ()).best
    1.25
    """

    out: Path
    keras_model: Path
    card: Path
    best: float
    best_epoch: int
    improved: bool
    unit: str
    minutes: float
    history: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class Batches:
    """The batches of each epoch.

    steps: how many batches an epoch has.
    of: `of(epoch)(step)` makes one batch: (inputs, targets) or (inputs, targets, weights). It does
        not need to make the batches before it.
    """

    steps: int
    of: Callable[[int], Callable[[int], tuple[Any, ...]]]

    def after(self, epochs: int, steps: int) -> Iterator[tuple[Any, ...]]:
        """Yield the batches after `epochs` epochs and `steps` steps, without end."""
        for epoch in itertools.count(epochs):
            batch = self.of(epoch)
            for step in range(steps, self.steps):
                yield batch(step)
            steps = 0

    def dataset(self, keras: Any) -> Any:
        """Return the batches of the first epoch, as a dataset of Keras."""
        batches = self

        class Dataset(keras.utils.PyDataset):  # type: ignore[misc]
            def __len__(self) -> int:
                return batches.steps

            def __getitem__(self, i: int) -> tuple[Any, ...]:
                return batches.of(0)(i)

        return Dataset()


@dataclass
class Job:
    """One training, ready to run.

    start: where it starts.
    model: the compiled model. Its loss is in nats.
    saved: makes a network for the export, which gets the weights of `model`.
    data: the batches to learn from.
    validation: the held-out data, as `model.fit` takes them, or None.
    unit: the unit of the figure, such as "bits/char".
    scale: how many units are one nat of loss.
    options: the options of the export.
    elements: what the inputs and outputs of the network stand for.
    facts: facts about the data, for the card.
    sample: makes of the bytes of a `.bin` a line to show after an epoch, and a warning or None.
    measure: makes of the bytes of the final `.bin` more facts for its card.
    callbacks: more callbacks of Keras.
    """

    start: Start[Any]
    model: Any
    saved: Callable[[], Any]
    data: Batches
    validation: Any
    unit: str
    scale: float
    options: dict[str, Any]
    elements: Elements
    facts: dict[str, Any]
    sample: Callable[[bytes], tuple[str, str | None]] | None = None
    measure: Callable[[bytes], dict[str, Any]] | None = None
    callbacks: Sequence[Any] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the training, all defaults filled in."""
        settings: Settings = self.start.settings
        return settings


def run(job: Job) -> TrainingReport:
    """Train, and write the `.bin` of the best epoch, its card, and the `.h5` that it comes from.

    The files exist from the first epoch on, and hold the best epoch so far. The state for `resume`
    lies beside them until the training ends.
    """
    keeper = _Keeper(job)
    job.start.begin(job.model, job.elements)
    # Else the first step makes the optimizer's variables, and TensorFlow compiles it twice.
    job.model.optimizer.build(job.model.trainable_variables)
    job.start.tell()
    callback = _as_callback(import_keras(), keeper)
    state = keeper.state

    def fit(epochs: int) -> None:
        job.model.fit(
            job.data.after(state.epochs, state.steps),
            steps_per_epoch=job.data.steps - state.steps,
            validation_data=job.validation,
            epochs=epochs,
            initial_epoch=state.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[*job.callbacks, callback],
        )

    try:
        with _heard(keeper):
            stopped = keeper.over
            if state.steps and not stopped:
                fit(state.epochs + 1)
                stopped = keeper.over or job.model.stop_training
            if not stopped:
                fit(keeper.last)
    except KeyboardInterrupt:
        keeper.tell_of_the_interruption()
        raise
    report = keeper.finish()
    if keeper.interrupted:  # after the last step
        raise KeyboardInterrupt
    return report


@contextmanager
def _heard(keeper: _Keeper) -> Iterator[None]:
    """Let Ctrl-C end the training between two steps, where its state can be saved.

    A second Ctrl-C ends it at once.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return

    def note(number: int, frame: Any) -> None:
        if keeper.interrupted:
            usual(number, frame)
        keeper.interrupted = True
        say("Stopping after this step, or after the measuring of the epoch. Press Ctrl-C again to stop now.")

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


class _Keeper:
    """Saves the best model, and the state for `resume`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.files = job.start.files
        self.state = job.start.state
        self.interrupted = False
        # Whether `out` is a model of this training.
        self._exported = job.start.interrupted
        self._before, self._epochs_before = self.state.seconds, self.state.epochs  # of earlier runs
        self._started = self._saved = time.monotonic()
        self._bar = Bar()

    @property
    def last(self) -> int:
        """The number of the last epoch. Training ends earlier if the model no longer improves."""
        return self.state.base + self.job.settings.epochs

    @property
    def over(self) -> bool:
        """Whether all epochs are finished, or too many brought no improvement."""
        patience = self.job.settings.patience
        return self.state.epochs >= self.last or 0 < patience < self.state.epochs - self.state.best_epoch

    def check_interrupted(self) -> None:
        """Raise `KeyboardInterrupt` after a Ctrl-C."""
        if self.interrupted:
            raise KeyboardInterrupt

    def tell_of_the_interruption(self) -> None:
        """Say what the interrupted training has saved."""
        self._bar.close()
        best = f"{self.files.out} is the best model so far, and " if self.files.out.exists() and self._exported else ""
        kept = f"{best}{option('resume', True)} continues" if self.files.state.exists() else "nothing was saved yet"
        say(f"interrupted in epoch {self.state.epochs + 1}: {kept}")

    def start_epoch(self) -> None:
        """Reset the carried states, or restore those of an epoch that was interrupted."""
        self._epoch_started = time.monotonic()
        forget(self.job.model)
        if self.state.steps:
            self.state.carry_on(self.job.model)

    def step(self, step: int, logs: Mapping[str, float]) -> None:
        """Draw the progress bar. Save the state after a Ctrl-C, and every 10 minutes."""
        now = time.monotonic()
        begun, of = self.state.steps, self.job.data.steps
        steps = begun + step + 1
        if steps < of and (self.interrupted or now - self._saved > _SAVED_EACH):
            self._save_state(steps=steps, means=self._over_all(logs, step + 1))
            self.check_interrupted()
        done = steps / of
        epoch = self.state.epochs + 1
        left = (now - self._epoch_started) / (done - begun / of) * (self.last - self.state.epochs - done)
        self._bar.draw(epoch, self.last, steps, of, f"{logs['loss'] * self.job.scale:.3f} {self.job.unit}", left)

    def _over_all(self, logs: Mapping[str, float], steps: int) -> dict[str, float]:
        """Return the means over the epoch so far. `logs` has those over the `steps` of this run."""
        share = steps / (self.state.steps + steps)
        means = {name: float(value) for name, value in logs.items()}
        return means | {name: mean + share * (means[name] - mean) for name, mean in self.state.means.items()}

    def _save_state(self, **changes: Any) -> None:
        """Save the state with these changes."""
        replace(self.state, seconds=self._seconds(), **changes).save(self.job.model, self.files.state)
        self._saved = time.monotonic()

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Export the model if it is the best so far, save the state, and say how the epoch went."""
        self._bar.close()
        job, state = self.job, self.state
        logs = self._over_all(logs, job.data.steps - state.steps)
        measured = logs.get("val_loss", logs["loss"]) * job.scale
        if not math.isfinite(measured):
            raise ValueError(f"epoch {state.epochs + 1}: the loss is {measured}: try a lower {option('lr')}")
        state.history.append(logs)
        state.steps, state.means = 0, {}
        if better := measured < state.best:
            state.best, state.best_epoch = measured, state.epochs
            self._export()
        self._save_state()
        self._tell(measured, logs, better)

    def _tell(self, measured: float, logs: Mapping[str, float], better: bool) -> None:
        job, state = self.job, self.state
        parts = [f"epoch {state.epochs}/{self.last}: {logs['loss'] * job.scale:.3f} {job.unit}"]
        if "val_loss" in logs:
            parts.append(f"held out {measured:.3f}{' (best)' if better else ''}")
        if "val_accuracy" in logs or "accuracy" in logs:
            parts.append(f"accuracy {logs.get('val_accuracy', logs.get('accuracy', 0)):.1%}")
        if not better:
            parts.append(f"no better than epoch {state.best_epoch} ({state.best:.3f})")
        pace = (time.monotonic() - self._started) / (state.epochs - self._epochs_before)
        left = f", {duration(pace * (self.last - state.epochs))} left" if not self.over else ""
        parts.append(f"{duration(self._seconds())} so far{left}")
        say(", ".join(parts))
        if better and job.sample is not None:
            text, warning = job.sample(self.files.out.read_bytes())
            say(f"  {text}")
            if warning:
                say(f"  warning: {warning}")

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _export(self) -> None:
        """Export the network as it is now, and write its three files."""
        job, state = self.job, self.state
        model = job.saved()
        with averaged(job.model):
            model.set_weights(job.model.get_weights())
        saved = saved_bytes(model, ".h5")
        facts = {
            **job.facts,
            "parameters": int(model.count_params()),
            "epochs": state.epochs,
            "training_minutes": round(self._seconds() / 60, 1),
            job.unit: round(state.best, 4),
            "measured_on": "held-out data" if job.validation is not None else "training data",
            "keras": keras_version(),
            **digest_fact(saved),
        }
        self._replace(saved, facts)
        self._exported, state.overwrites = True, False

    def _replace(self, saved: bytes, facts: Mapping[str, Any], *, keras_too: bool = True) -> None:
        """Replace the files by those of `saved`, a model of Keras, with these facts in the card."""
        job = self.job
        data = exporting.convert(saved, trusted=True, dtype=job.settings.dtype, card=facts, **job.options)
        sample = job.sample(data)[0] if job.sample else ""
        text = card.markdown(data, self.files.out.name, sample).encode()
        contents = {self.files.out: data, self.files.card: text}
        self.files.replace({self.files.keras: saved, **contents} if keras_too else contents)

    def finish(self) -> TrainingReport:
        """Complete the card, delete the state, and return the report."""
        from lstmgen.model import Model

        job, files, state = self.job, self.files, self.state
        if self._exported and files.out.exists() and files.keras.exists():
            facts = Model(files.out).metadata["card"]
            more = job.measure(files.out.read_bytes()) if job.measure else {}
            self._replace(files.keras.read_bytes(), {**facts, **more}, keras_too=False)
        files.state.unlink(missing_ok=True)
        minutes = self._seconds() / 60
        return TrainingReport(
            out=files.out,
            keras_model=files.keras,
            card=files.card,
            best=state.best,
            best_epoch=state.best_epoch,
            improved=state.best_epoch > state.base,
            unit=job.unit,
            minutes=minutes,
            history=tuple(state.history),
        )


def _as_callback(keras: Any, keeper: _Keeper) -> Any:
    class Callback(keras.callbacks.Callback):  # type: ignore[misc]
        weights: Any = None

        def on_test_begin(self, logs: Any = None) -> None:
            self.averages = averaged(self.model)
            self.averages.__enter__()

        def on_test_end(self, logs: Any = None) -> None:
            self.averages.__exit__(None, None, None)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            keeper.start_epoch()

        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            forget(self.model)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            keeper.step(batch, logs or {"loss": math.nan})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            keeper.end_epoch(logs or {})
            # When `fit` ends, Keras replaces the weights by their averages. The next `fit` must
            # continue with the weights.
            self.weights = self.model.get_weights()
            if keeper.over:
                self.model.stop_training = True
            else:
                keeper.check_interrupted()

        def on_train_end(self, logs: Any = None) -> None:
            if self.weights is not None:
                self.model.set_weights(self.weights)

    return Callback()
