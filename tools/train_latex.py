"""Train the letter model that the package bundles as ``latex``, with Keras, in two stages.

    export KERAS_BACKEND=jax
    python tools/train_latex.py topology.tex -o letters.h5 --holdout 0.05
    python tools/train_latex.py topology.tex -o held.h5 --holdout 0.05 --start letters.h5 --carry --units 576

The first stage predicts the next character at every step of slices of 200 characters, each from a zero state. It learns
words and formulas, but no environment of LaTeX, which are longer.

The second stage, `--carry`, reads the text in parallel streams and carries the state from slice to slice. The network
grows by units that forget slowly, so that something can be remembered for as long as an environment is open. Half of
the streams read the text as it is; in the other half sentences inside environments are left out or exchanged for
others, in another way in each pass: the name behind ``\\end{`` then follows from nothing but what was begun.
Characters of such names weigh `--weight` times as much. `--keep` 0.05, then 0.3 and 0.6, first shows a text that so
much is left of, which makes the distances short. What is saved predicts one character at a time from the state that it
carries.

Beside the `.h5` a `.json` of the same name holds the facts for the model card. Any backend of Keras will do; jax is the
fastest on a CPU.
"""

import argparse
import hashlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.training.text import split

WINDOW = 100

Ids = NDArray[np.int32]


def batches(texts: list[Ids], length: int, batch: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
    """Yield (input, target), each (batch, length), for ever; each pass cuts the text at other places."""
    while True:
        rows = []
        for text in texts:
            first = int(rng.integers(0, length))
            rows += [text[i : i + length + 1] for i in range(first, len(text) - length, length)]
        rng.shuffle(rows)
        for i in range(0, len(rows) - batch + 1, batch):
            block = np.stack(rows[i : i + batch])
            yield block[:, :-1], block[:, 1:]


UNIT = re.compile(r"(?<=\.\n)|(?<=\}\n)|(?=\\(?:begin|end)\{)|(?<=\n\n)")  # between two of the units below
STRUCTURE = re.compile(r"\\(?:begin|end)\{|\\(?:item|label|section|medskip|input)")
NAME = re.compile(r"\\(?:begin|end)\{([a-z*]+\})")


def sentences_changed(text: str, rng: np.random.Generator, keep: float | None) -> str:
    """`text` with only a share `keep` of the sentences inside environments; None: shares that differ, and some
    sentences exchanged for any others.
    """
    units = [unit for unit in UNIT.split(text) if unit]
    sentences = {i for i, unit in enumerate(units) if unit.endswith(".\n") and not STRUCTURE.search(unit)}
    pool = [units[i] for i in sorted(sentences) if units[i].count("$") % 2 == 0]
    pool = [unit for unit in pool if unit.count("{") == unit.count("}")]
    share, exchanged, depth, changed = keep or 1.0, 0.0, 0, []
    for i, unit in enumerate(units):
        inside = depth > 0
        depth += unit.count("\\begin{") - unit.count("\\end{")
        if keep is None and unit.startswith("\\begin{"):
            share, exchanged = rng.uniform(0.2, 1.0), rng.choice([0.0, 0.3, 0.8])
        if inside and i in sentences:
            if rng.random() > share:
                continue
            if rng.random() < exchanged:
                unit = pool[rng.integers(len(pool))]
        changed.append(unit)
    return "".join(changed)


def stream_text(text: str, rng: np.random.Generator, keep: float | None) -> str:
    """What the streams read in one pass: half of it is `text`, half is changed; with `keep`, all of it."""
    if keep is not None:
        return sentences_changed(text, rng, keep)
    start = int(rng.integers(len(text)))
    other = "".join(sentences_changed(text, rng, None) for _ in range(2))
    return text[start:] + text[:start] + other[: len(text)]


Batch = tuple[Ids, Ids, NDArray[np.float32]]


def streams(text: str, vocabulary: list[str], args: argparse.Namespace, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield (input, target, weight), each (batch, length), for ever; each row goes on where it ended before."""
    while True:
        read = stream_text(text, rng, args.keep)
        ids = np.array([vocabulary.index(c) for c in read], np.int32)
        weights = np.ones(len(ids), np.float32)
        for name in NAME.finditer(read):
            weights[slice(*name.span(1))] = args.weight
        first = np.arange(args.batch)[:, None] * len(ids) // args.batch
        for begin in range(0, len(ids) // args.batch, args.length):
            at = (first + np.arange(begin, begin + args.length)) % len(ids)
            to = (at + 1) % len(ids)
            yield ids[at], ids[to], weights[to]


def build(args: argparse.Namespace, vocabulary: int, kind: str) -> Any:
    """Build the network of a kind.

    "window": (batch, WINDOW, n) -> (batch, n); "slices" and "streams", whose state is carried: logits at each step;
    "step": one character in, one distribution out, the state carried.
    """
    import keras
    from keras import layers

    shapes = {"window": (None, WINDOW), "slices": (None, None), "streams": (args.batch, args.length), "step": (1, 1)}
    trained, saved = kind in ("slices", "streams"), kind in ("window", "step")
    stack: list[Any] = [keras.Input(batch_shape=(*shapes[kind], vocabulary))]
    for i in range(args.layers):
        stack += [
            layers.LSTM(
                args.units,
                return_sequences=not saved or i < args.layers - 1,
                recurrent_dropout=args.recurrent_dropout if trained else 0.0,
                stateful=kind in ("streams", "step"),
                name=f"lstm_{i + 1}",
            ),
            layers.Dropout(args.dropout, name=f"dropout_{i + 1}"),
        ]
    stack.append(layers.Dense(vocabulary, activation="softmax" if saved else None, name="dense"))
    return keras.Sequential(stack, name="latex")


def weights_of(model: Any) -> list[Any]:
    """Without the states of the dropout and of stateful layers."""
    return [np.array(variable) for variable in model.trainable_variables]


def set_weights(model: Any, weights: list[Any]) -> None:
    """Give a network of any kind what `weights_of` took from another."""
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)


def grown(weights: list[Any], units: int, rng: np.random.Generator) -> list[Any]:
    """Those of one LSTM and a Dense layer, with more units, which forget slowly and hardly matter at first."""
    kernel, recurrent, bias, dense, dense_bias = weights
    old, inputs = len(recurrent), len(kernel)
    if old == units:
        return weights
    wide = rng.normal(0, 0.15, (inputs, 4, units)), rng.normal(0, 0.03, (units, 4, units)), np.zeros((4, units))
    out = rng.normal(0, 0.03, (units, dense.shape[1]))
    wide[0][:, 1, old:] *= 0.3
    wide[1][:, 1, old:] *= 0.1
    wide[2][0, old:] = -2.0
    wide[2][1, old:] = np.log(rng.uniform(100, 1500, units - old))  # of the forget gates: the steps to remember
    wide[0][:, :, :old] = kernel.reshape(inputs, 4, old)
    wide[1][:old, :, :old] = recurrent.reshape(old, 4, old)
    wide[2][:, :old] = bias.reshape(4, old)
    out[:old] = dense
    return [wide[0].reshape(inputs, -1), wide[1].reshape(units, -1), wide[2].reshape(-1), out, dense_bias]


def bits(log_p: NDArray[np.float64]) -> float:
    """Mean bits of natural-log probabilities."""
    return float(-np.mean(log_p) / math.log(2))


def window_bits(model: Any, texts: list[Ids], eye: NDArray[np.float32]) -> float:
    """Bits per character where each is predicted from exactly the WINDOW before it."""
    x = np.concatenate([np.lib.stride_tricks.sliding_window_view(t, WINDOW + 1) for t in texts])
    p = model.predict(eye[x[:, :-1]], batch_size=256, verbose=0)
    return bits(np.log(p[np.arange(len(x)), x[:, -1]].astype(np.float64)))


def carried_bits(model: Any, texts: list[Ids], eye: NDArray[np.float32]) -> float:
    """Bits per character with the state carried along each text, whose first WINDOW characters only warm it up."""
    n = min(map(len, texts))
    x = np.stack([t[:n] for t in texts])
    logits = model.predict(eye[x[:, :-1]], batch_size=len(x), verbose=0).astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return bits(np.take_along_axis(log_p, x[:, 1:, None], -1)[:, WINDOW - 1 :])


def train(args: argparse.Namespace, text: str, vocabulary: list[str]) -> tuple[Any, dict[str, Any]]:
    """Train; return the model to save and the facts about it."""
    import keras

    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    ids = np.array([vocabulary.index(c) for c in text], np.int32)
    eye = np.eye(len(vocabulary), dtype=np.float32)
    training, held_out = split(ids, args.holdout)
    steps = args.epochs * len(ids) // (args.batch * args.length)
    warmup = min(100, steps // 5)
    model = build(args, len(vocabulary), "streams" if args.carry else "slices")
    measured = build(args, len(vocabulary), "slices")
    if args.start:
        set_weights(model, grown(weights_of(keras.models.load_model(args.start, compile=False)), args.units, rng))
    schedule = keras.optimizers.schedules.CosineDecay(
        args.lr / 50, steps - warmup, warmup_target=args.lr, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=args.weight_decay, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    started, losses = time.monotonic(), []
    if args.carry:
        read = "".join(vocabulary[i] for part in training for i in part)
        source = streams(read, vocabulary, args, rng)
    else:
        ones = np.ones((args.batch, args.length), np.float32)
        source = ((x, y, ones) for x, y in batches(training, args.length, args.batch, rng))
    for step in range(1, steps + 1):
        x, y, weights = next(source)
        losses.append(float(model.train_on_batch(eye[x], y, sample_weight=weights)))
        if step % max(1, steps // 20) == 0:
            report = f"step {step}/{steps}: loss {np.mean(losses) / math.log(2):.3f} bits/char"
            if held_out:
                set_weights(measured, weights_of(model))
                report += f", held out {carried_bits(measured, held_out, eye):.3f}"
            minutes = (time.monotonic() - started) / 60
            print(f"{report}, {minutes:.1f} min", file=sys.stderr, flush=True)
            losses.clear()

    saved = build(args, len(vocabulary), "step" if args.carry else "window")
    set_weights(saved, weights_of(model))
    facts = {
        "architecture": f"one-hot {len(vocabulary)} > {args.layers} x LSTM {args.units} > Dense softmax",
        "parameters": sum(w.size for w in weights_of(saved)),
        "recipe": {k: v for k, v in vars(args).items() if k not in ("corpus", "output", "start")},
        "training_minutes": round((time.monotonic() - started) / 60, 1),
        "keras": f"{keras.__version__} ({keras.backend.backend()})",
    }
    if held_out:
        set_weights(measured, weights_of(model))
        facts["held_out_bits_per_char"] = {"carried": round(carried_bits(measured, held_out, eye), 4)}
        if not args.carry:
            facts["held_out_bits_per_char"]["window"] = round(window_bits(saved, held_out, eye), 4)
    return saved, facts


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="text to learn, UTF-8")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model, .h5")
    parser.add_argument("--start", type=Path, help="go on from this model; it may have fewer units")
    parser.add_argument("--carry", action="store_true", help="read streams, and carry the state")
    parser.add_argument("--keep", type=float, help="with --carry: this share of the sentences in environments")
    parser.add_argument("--weight", type=float, default=12, help="with --carry: of the names of environments")
    parser.add_argument("--holdout", type=float, default=0.0, help="share of the text to keep for testing")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--recurrent-dropout", type=float, default=0.25)
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=200, help="characters a training slice")
    parser.add_argument("--lr", type=float, default=4e-3, help="greatest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main() -> int:
    """Run the command line."""
    args = arguments().parse_args()
    try:
        text = args.corpus.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        print(f"{args.corpus}: {error}", file=sys.stderr)
        return 1
    if len(text) < 20 * (args.length + WINDOW):
        print(f"{args.corpus}: too short: {len(text)} characters", file=sys.stderr)
        return 1
    vocabulary = sorted(set(text))
    model, facts = train(args, text, vocabulary)
    facts |= {
        "corpus": args.corpus.name,
        "corpus_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "characters": len(text),
    }
    unfinished = args.output.with_suffix(".part.h5")
    model.save(unfinished)
    os.replace(unfinished, args.output)
    args.output.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
