"""What a training prints on stderr: its network, the steps and the epochs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lstmgen.escaping import shown
from lstmgen.progress import bar


def say(line: str) -> None:
    """Write a line to stderr, in place of the progress bar."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}{shown(line)}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a time in seconds in words.

    >>> duration(80), duration(600), duration(7200)
    ('80 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Outline:
    """A stack of layers in words, and the number of its parameters. It needs no Keras.

    >>> str(Outline("one-hot", 65).lstm(24).dense(65))
    'one-hot 65 > lstm 24 > dense 65, 10,265 parameters'
    """

    def __init__(self, encoding: str, size: int) -> None:
        self.parameters = 0
        self._size = size
        self._layers = [f"{encoding} {size}"]

    def embedding(self, units: int) -> Outline:
        """Add an `Embedding` of as many ids as there are inputs. Returns the same outline."""
        return self._add("embedding", units, self._size * units)

    def standardize(self) -> Outline:
        """Add a `BatchNormalization` with fixed mean and variance. Returns the same outline."""
        return self._add("standardize", self._size, 2 * self._size)

    def lstm(self, units: int) -> Outline:
        """Add an `LSTM`. Returns the same outline."""
        return self._add("lstm", units, 4 * units * (self._size + units + 1))

    def dense(self, units: int) -> Outline:
        """Add a `Dense`. Returns the same outline."""
        return self._add("dense", units, units * (self._size + 1))

    def _add(self, kind: str, size: int, parameters: int) -> Outline:
        self._layers.append(f"{kind} {size}")
        self._size = size
        self.parameters += parameters
        return self

    def __repr__(self) -> str:
        return f"<lstmgen.training.progress.Outline {self}>"

    def __str__(self) -> str:
        return f"{' > '.join(self._layers)}, {self.parameters:,} parameters"


def announce(data: Sequence[str], network: Outline, steps: int, batch: int, epochs: int) -> None:
    """Print the lines `data`, and what the training will do."""
    for line in data:
        say(line)
    plural = "epoch" if epochs == 1 else "epochs"
    say(f"network: {network}; {steps:,} steps of {batch} sequences an epoch, at most {epochs:,} {plural}")


class Bar:
    """The progress bar of a training. It shows the steps of an epoch, and the time that is left."""

    def __init__(self) -> None:
        self._epoch = 0
        self._bar: Any = None

    def __repr__(self) -> str:
        return f"<lstmgen.training.progress.Bar of epoch {self._epoch}>"

    def draw(self, epoch: int, last: int, step: int, of: int, figure: str, left: float) -> None:
        """Draw the bar.

        epoch, last: the number of the epoch, and that of the last one.
        step, of: the finished steps of the epoch, and all of its steps.
        figure: the loss in words.
        left: seconds to the end of the last epoch.
        """
        if epoch != self._epoch:
            self.close()
            self._epoch = epoch
            self._bar = bar(of, "steps", f"epoch {epoch}/{last}", initial=step - 1, delay=0)
        self._bar.set_postfix_str(f"{figure}, {duration(left)} to the last epoch", refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
