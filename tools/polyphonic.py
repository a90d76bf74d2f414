"""Train a Keras LSTM on piano rolls, and measure it by the engine, for docs/results.md.

    python tools/polyphonic.py JSB_Chorales.mat Nottingham.mat --out models/

The files are those of Boulanger-Lewandowski et al. (2012) as Bai et al. (2018) use them: the
arrays traindata, validdata and testdata of piano rolls (steps, 88) of zeros and ones. The measure
is theirs: the negative log-likelihood of a step given those before it, in nats, the sum over the
88 notes, averaged over all steps of the test pieces but the first of each.

The weights with the least figure on the validation pieces are exported. Their figure on the test
pieces is worked out from what `lstmgen.Model.predict` gives, and from Keras, too. It prints a
table in Markdown. It needs the extra `train`, and scipy.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lstmgen
from lstmgen.training.backend import import_keras

NOTES = 88
PUBLISHED = {  # of Bai, Kolter, Koltun (2018), "An Empirical Evaluation of Generic ... Networks"
    "JSB_Chorales": {"LSTM": 8.45, "TCN": 8.10},
    "Nottingham": {"LSTM": 3.29, "TCN": 3.07},
}
LEAST = 2.0**-24  # a probability of 0 or 1 in float32 counts as this far from it

Roll = NDArray[np.float32]


def pieces(path: Path) -> dict[str, list[Roll]]:
    """The pieces of each split, each of the shape (steps, 88)."""
    from scipy.io import loadmat

    data = loadmat(path)
    return {
        split: [np.asarray(roll, np.float32) for roll in data[f"{split}data"][0] if len(roll) > 1]
        for split in ("train", "valid", "test")
    }


def nll(predict: Callable[[Roll], Any], rolls: Sequence[Roll]) -> float:
    """Nats of a step, as an average over all steps that are predicted."""
    nats = steps = 0.0
    for roll in rolls:
        p = np.clip(np.asarray(predict(roll[None, :-1]), np.float64)[0], LEAST, 1 - LEAST)
        now = roll[1:] > 0
        nats -= np.log(np.where(now, p, 1 - p)).sum()
        steps += len(now)
    return float(nats / steps)


def blocks(rolls: Sequence[Roll], length: int, batch: int, rng: np.random.Generator) -> Any:
    """Yield batches of the pieces, cut: inputs, targets and weights (batch, steps, ...).

    Pieces of about one length are together, in any order. Rows beyond the pieces have no weight.
    """
    cut = []
    for roll in rolls:
        first = int(rng.integers(0, length)) if len(roll) > length + 1 else 0
        edges = [0, *range(first, len(roll) - 1, length), len(roll) - 1]
        cut += [roll[a : b + 1] for a, b in itertools.pairwise(edges) if b > a]
    order = sorted(rng.permutation(len(cut)), key=lambda i: len(cut[i]) + rng.integers(0, 20))
    groups = np.array_split(np.array(order), -(-len(cut) // batch))
    for group in rng.permutation(len(groups)):
        chosen = groups[group]
        longest = max(len(cut[i]) for i in chosen) - 1
        x = np.zeros((batch, -(-longest // 40) * 40, NOTES), np.float32)  # few shapes: Keras compiles for each
        y, weights = np.zeros_like(x), np.zeros(x.shape[:2], np.float32)
        for row, i in enumerate(chosen):
            n = len(cut[i]) - 1
            x[row, :n], y[row, :n], weights[row, :n] = cut[i][:-1], cut[i][1:], 1
        yield x, y, weights * (weights.size / weights.sum())


def recurrent(keras: Any, units: int, dropout: float) -> Any:
    """Return what of an LSTM comes after the product of its inputs.

    dropout: share of the weights between states that a training step leaves out. Keras's own
        dropout of states takes three times as long.
    """

    class Cell(keras.layers.Layer):  # type: ignore[misc]
        """A step of an LSTM."""

        def __init__(self) -> None:
            super().__init__()
            self.units, self.state_size, self.output_size = units, [units, units], units
            self.kernel_now: list[Any] = [None]

        def build(self, shape: Any) -> None:
            """Make the weights."""
            self.kernel = self.add_weight(shape=(units, 4 * units), initializer="orthogonal", name="kernel")
            self.built = True

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            """Return the output and the new states."""
            ops = keras.ops
            h, c = states
            i, f, g, o = ops.split(x + ops.matmul(h, self.kernel_now[0]), 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    class Steps(keras.layers.RNN):  # type: ignore[misc]
        """All steps, with the same weights left out."""

        def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
            """Return the outputs of all steps."""
            kernel = keras.ops.convert_to_tensor(self.cell.kernel)
            self.cell.kernel_now[0] = keras.random.dropout(kernel, dropout) if training and dropout else kernel
            return super().call(sequences, training=training)

    return Steps(Cell(), return_sequences=True)


def network(keras: Any, args: argparse.Namespace, *, saved: bool) -> Any:
    """The network that is trained, or the one that is saved: without dropout, with sigmoids."""
    layers = keras.layers
    stack: list[Any] = [keras.Input((None, NOTES))]
    for _ in range(args.layers):
        if saved:
            stack.append(layers.LSTM(args.units, return_sequences=True))
            continue
        forget = np.repeat(np.array([0, 1, 0, 0], np.float32), args.units)
        stack.append(layers.Dense(4 * args.units, bias_initializer=lambda shape, dtype=None, of=forget: of))
        stack.append(recurrent(keras, args.units, args.weight_dropout))
        stack.append(layers.Dropout(args.dropout))
    return keras.Sequential([*stack, layers.Dense(NOTES, activation="sigmoid" if saved else None)])


def as_saved(weights: Sequence[Any], layers: int) -> list[Any]:
    """Return the weights of the network that is trained, in the order of the one that is saved."""
    own = [weights[3 * layer + i] for layer in range(layers) for i in (0, 2, 1)]
    return [*own, *weights[3 * layers :]]


def train(keras: Any, args: argparse.Namespace, data: dict[str, list[Roll]], out: Path) -> tuple[float, int]:
    """Leave the best averages of weights in `out`, as Keras saves them.

    Return their figure on the validation pieces, and their epoch.
    """
    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model, saved = network(keras, args, saved=False), network(keras, args, saved=True)
    steps = args.epochs * sum(1 for _ in blocks(data["train"], args.length, args.batch, np.random.default_rng(0)))
    warmup = max(1, steps // 20)
    decay = keras.optimizers.schedules.CosineDecay
    rate = decay(args.lr / 50, steps - warmup, warmup_target=args.lr, warmup_steps=warmup)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=args.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=args.average
    )
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))

    def predict(roll: Roll) -> Any:
        n = roll.shape[1]
        return saved.predict_on_batch(np.pad(roll, ((0, 0), (0, -n % 50), (0, 0))))[:, :n]  # few shapes

    best, best_epoch = np.inf, 0
    for epoch in range(1, args.epochs + 1):
        for x, y, weights in blocks(data["train"], args.length, args.batch, rng):
            model.train_on_batch(x, y, sample_weight=weights)
        if epoch % args.every and epoch != args.epochs:
            continue
        kept = model.get_weights()
        optimizer.finalize_variable_values(model.trainable_variables)
        saved.set_weights(as_saved(model.get_weights(), args.layers))
        model.set_weights(kept)
        figure = nll(predict, data["valid"])
        if figure < best:
            best, best_epoch = figure, epoch
            saved.save(out)
        print(f"{out.stem}: epoch {epoch}/{args.epochs}: validation {figure:.3f}, best {best:.3f}", flush=True)
    return best, best_epoch


def measured(args: argparse.Namespace, path: Path, keras: Any) -> dict[str, Any]:
    """Train on one file, and return a row of the table."""
    data, out = pieces(path), args.out / f"{path.stem}.h5"
    began = time.monotonic()
    _, epoch = train(keras, args, data, out)
    minutes = (time.monotonic() - began) / 60
    lstmgen.export(out, out.with_suffix(".bin"))
    model = lstmgen.Model(out.with_suffix(".bin"))
    best = keras.models.load_model(out)
    published = PUBLISHED.get(path.stem, {})
    return {
        "data": path.stem,
        "parameters": f"{best.count_params():,}",
        "best epoch": f"{epoch} of {args.epochs}",
        "minutes": f"{minutes:.1f}",
        "validation": f"{nll(model.predict, data['valid']):.2f}",
        "test, engine": f"{nll(model.predict, data['test']):.3f}",
        "test, Keras": f"{nll(best.predict_on_batch, data['test']):.3f}",
        "published LSTM": published.get("LSTM", "-"),
        "published TCN": published.get("TCN", "-"),
    }


def main() -> None:
    """Train on each file, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="the .mat files")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder of the models (this one)")
    parser.add_argument("--units", type=int, default=300, help="units of each LSTM layer (%(default)s)")
    parser.add_argument("--layers", type=int, default=1, help="LSTM layers (%(default)s)")
    parser.add_argument("--epochs", type=int, default=150, help="passes over the pieces (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="sequences of a training step (%(default)s)")
    parser.add_argument("--length", type=int, default=200, help="steps of a training sequence at most (%(default)s)")
    parser.add_argument("--lr", type=float, default=6e-3, help="greatest learning rate (%(default)s)")
    parser.add_argument("--dropout", type=float, default=0.5, help="of the outputs of each layer (%(default)s)")
    parser.add_argument("--weight-dropout", type=float, default=0.1, help="of the weights between states (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=1e-2, help="of the optimizer (%(default)s)")
    parser.add_argument("--every", type=int, default=10, help="epochs from one measurement to the next (%(default)s)")
    parser.add_argument("--average", type=float, default=0.995, help="share that averaged weights keep (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and of the order (%(default)s)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    keras = import_keras()
    rows = [measured(args, path, keras) for path in args.files]
    print("|", " | ".join(rows[0]), "|")
    print("|", " | ".join("---" for _ in rows[0]), "|")
    for row in rows:
        print("|", " | ".join(map(str, row.values())), "|")


if __name__ == "__main__":
    main()
