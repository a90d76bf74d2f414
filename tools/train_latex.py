"""Train the letter model that the package bundles as ``latex``, with Keras.

    export KERAS_BACKEND=jax
    python tools/train_latex.py topology.tex -o held.h5 --holdout 0.05      # 95 % of the text, and how good it is
    python tools/train_latex.py topology.tex -o latex.h5 --start held.h5 --epochs 6 --lr 1e-3     # on with all of it

Training predicts the next character at every step of long slices of the text, from a zero state. The network that is
saved is the window model of the lesson, with the same weights: the last WINDOW characters in, one distribution out.
Beside the `.h5` a `.json` of the same name holds the facts for the model card. Any backend of Keras will do; jax is the
fastest on a CPU.
"""

import argparse
import hashlib
import json
import math
import os
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


def build(args: argparse.Namespace, vocabulary: int, *, window: bool) -> Any:
    """Build the network: with ``window`` the saved one, (batch, WINDOW, n) -> (batch, n); else logits at each step."""
    import keras
    from keras import layers

    stack: list[Any] = [keras.Input((WINDOW if window else None, vocabulary))]
    for i in range(args.layers):
        recurrent_dropout = 0.0 if window else args.recurrent_dropout
        stack += [
            layers.LSTM(
                args.units,
                return_sequences=not window or i < args.layers - 1,
                recurrent_dropout=recurrent_dropout,
                name=f"lstm_{i + 1}",
            ),
            layers.Dropout(args.dropout, name=f"dropout_{i + 1}"),
        ]
    stack.append(layers.Dense(vocabulary, activation="softmax" if window else None, name="dense"))
    return keras.Sequential(stack, name="latex")


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
    """Train; return the window model and the facts about it."""
    import keras

    keras.utils.set_random_seed(args.seed)
    ids = np.array([vocabulary.index(c) for c in text], np.int32)
    eye = np.eye(len(vocabulary), dtype=np.float32)
    training, held_out = split(ids, args.holdout)
    steps = args.epochs * len(ids) // (args.batch * args.length)
    warmup = min(100, steps // 5)
    model = build(args, len(vocabulary), window=False)
    if args.start:
        model.set_weights(keras.models.load_model(args.start, compile=False).get_weights())
    schedule = keras.optimizers.schedules.CosineDecay(
        args.lr / 50, steps - warmup, warmup_target=args.lr, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=args.weight_decay, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    started, losses = time.monotonic(), []
    source = batches(training, args.length, args.batch, np.random.default_rng(args.seed))
    for step in range(1, steps + 1):
        x, y = next(source)
        losses.append(float(model.train_on_batch(eye[x], y)))
        if step % max(1, steps // 20) == 0:
            report = f"step {step}/{steps}: {np.mean(losses) / math.log(2):.3f} bits/char"
            if held_out:
                report += f", held out {carried_bits(model, held_out, eye):.3f}"
            minutes = (time.monotonic() - started) / 60
            print(f"{report}, {minutes:.1f} min", file=sys.stderr, flush=True)
            losses.clear()

    saved = build(args, len(vocabulary), window=True)
    saved.set_weights(model.get_weights())
    facts = {
        "architecture": f"one-hot > {args.layers} x LSTM {args.units} > Dense {len(vocabulary)} softmax",
        "parameters": saved.count_params(),
        "recipe": {k: v for k, v in vars(args).items() if k not in ("corpus", "output", "start")},
        "training_minutes": round((time.monotonic() - started) / 60, 1),
        "keras": f"{keras.__version__} ({keras.backend.backend()})",
    }
    if held_out:
        facts["held_out_bits_per_char"] = {
            "window": round(window_bits(saved, held_out, eye), 4),
            "carried": round(carried_bits(model, held_out, eye), 4),
        }
    return saved, facts


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="text to learn, UTF-8")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model, .h5")
    parser.add_argument("--start", type=Path, help="go on from this model, of the same architecture")
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
