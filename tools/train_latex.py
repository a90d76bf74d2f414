"""Train the letter model that the package bundles as ``latex``, with Keras, in two stages.

    export KERAS_BACKEND=torch
    python tools/train_latex.py topology.tex -o letters.h5 --holdout 0.05
    python tools/train_latex.py topology.tex -o held.h5 --holdout 0.05 \\
        --start letters.h5 --carry --units 576

The first stage predicts the next character at every step of slices of 200 characters, each from a
zero state. It learns words and formulas, but no environments of LaTeX, which are longer.

The second stage, `--carry`, reads the text in parallel streams and carries the state from slice to
slice. The network grows by units that forget slowly, so that it can remember something for as long
as an environment is open. Half of the streams read the text as it is. In the other half, sentences
inside environments are left out or exchanged for others, differently in each pass. The name after
``\\end{`` then depends only on the name that was begun. Environments and their labels also take the
names of others. Characters of names weigh `--weight` times as much.

With `--tell`, further outputs must tell at each step which environment is open, which one is around
it, and whether a formula is open. They are not saved. So the memory is learnt from each character,
and not only from the few after ``\\end{``. `--keep` 0.05, then 0.3 and 0.7, leaves that share of
the text, which makes the distances short. The saved network predicts one character at a time from
the state that it carries.

A `.json` of the same name as the `.h5` holds the facts for the model card. Any backend of Keras
will do. torch is the fastest on a CPU, since the LSTM then runs in one call.
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

from lstmgen.training.tasks.text import split

WINDOW = 100

Ids = NDArray[np.int32]


def batches(texts: list[Ids], length: int, batch: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
    """Yield input and target, each of the shape (batch, length), for ever.

    Each pass cuts the text at other places.
    """
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
END = re.compile(r"\\end\{(?=.)")
EXCHANGEABLE = [["lemma", "proposition", "theorem", "definition", "remark", "example"], ["enumerate", "itemize"]]


def sentences_changed(text: str, rng: np.random.Generator, keep: float | None) -> str:
    """Return `text` with only a share `keep` of the sentences inside environments.

    None: the shares differ, and some sentences are exchanged for any others.
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


def names_changed(text: str, rng: np.random.Generator) -> str:
    """`text` with some environments, and the labels in them, under the name of another kind."""
    kinds = {name: group for group in EXCHANGEABLE for name in group}
    opened: list[str] = []

    def changed(found: re.Match[str]) -> str:
        name = found[2]
        if found[1] == "begin{":
            opened.append(rng.choice(kinds[name]) if name in kinds and rng.random() < 0.4 else name)
            name = opened[-1]
        elif found[1] == "end{":
            name = opened.pop() if opened else name
        elif name in kinds and opened:
            name = opened[-1]
        return f"\\{found[1]}{name}"

    return re.sub(r"\\(begin\{|end\{|label\{)([a-z]+)", changed, text)


def environments(text: str) -> list[str]:
    """The names of all environments that `text` can have, changed or not."""
    return sorted({name[1][:-1] for name in NAME.finditer(text)}.union(*EXCHANGEABLE))


def what_is_open(text: str, names: list[str]) -> Ids:
    """Return what is open after each character of `text`, shape (3, characters).

    The three are the environment, the one around it, and whether a formula is open. An environment
    is 1 + its index in `names`, or 0 for none.
    """
    state = np.zeros((3, len(text)), np.int32)
    opened: list[int] = []
    formula, before = 0, 0
    for found in re.finditer(r"\\(begin|end)\{([a-z*]+)\}|\\.|\$\$?", text, re.DOTALL):
        state[:, before : found.end() - 1] = np.array([[0, 0, *opened][-1], [0, 0, *opened][-2], formula])[:, None]
        before = found.end() - 1
        if found[1] == "begin":
            opened.append(1 + names.index(found[2]))
        elif found[1] == "end":
            opened = opened[:-1]
        formula = 1 - formula if found[0][0] == "$" else 0 if found[1] else formula
    state[:, before:] = np.array([[0, 0, *opened][-1], [0, 0, *opened][-2], formula])[:, None]
    return state


def stream_text(text: str, rng: np.random.Generator, keep: float | None) -> str:
    """Return what the streams read in one pass.

    Half of it is `text`, and half is changed. With `keep`, all of it is changed.
    """
    if keep is not None:
        return names_changed(sentences_changed(text, rng, keep), rng)
    start = int(rng.integers(len(text)))
    other = "".join(names_changed(sentences_changed(text, rng, None), rng) for _ in range(2))
    return text[start:] + text[:start] + other[: len(text)]


Batch = tuple[Ids, list[Ids], NDArray[np.float32]]


def streams(text: str, vocabulary: list[str], args: argparse.Namespace, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield input, targets and weight, each of the shape (batch, length), for ever.

    Each row continues where it ended before.
    """
    names = environments(text)
    while True:
        read = stream_text(text, rng, args.keep)
        ids = np.array([vocabulary.index(c) for c in read], np.int32)
        weights = np.ones(len(ids), np.float32)
        for name in NAME.finditer(read):
            weights[slice(*name.span(1))] = args.weight
        is_open = what_is_open(read, names)
        first = np.arange(args.batch)[:, None] * len(ids) // args.batch
        for begin in range(0, len(ids) // args.batch, args.length):
            at = (first + np.arange(begin, begin + args.length)) % len(ids)
            to = (at + 1) % len(ids)
            yield ids[at], [ids[to], *is_open[:, at]], weights[to]


def build(args: argparse.Namespace, vocabulary: int, kind: str, told: int = 0) -> Any:
    """Build the network of a kind.

    | kind | network |
    |---|---|
    | "window" | (batch, WINDOW, n) -> (batch, n) |
    | "slices" | logits at each step |
    | "streams" | the same with a carried state and three more outputs, of `told` or 2 numbers |
    | "step" | one character in, one distribution out, with a carried state |
    """
    import keras
    from keras import layers

    shapes = {"window": (None, WINDOW), "slices": (None, None), "streams": (args.batch, args.length), "step": (1, 1)}
    trained, saved = kind in ("slices", "streams"), kind in ("window", "step")
    lstm = fused_lstm() if trained and keras.backend.backend() == "torch" else layers.LSTM
    stack: list[Any] = [keras.Input(batch_shape=(*shapes[kind], vocabulary))]
    for i in range(args.layers):
        stack += [
            lstm(
                args.units,
                return_sequences=not saved or i < args.layers - 1,
                recurrent_dropout=args.recurrent_dropout if trained else 0.0,
                stateful=kind in ("streams", "step"),
                name=f"lstm_{i + 1}",
            ),
            layers.Dropout(args.dropout, name=f"dropout_{i + 1}"),
        ]
    head = layers.Dense(vocabulary, activation="softmax" if saved else None, name="dense")
    if kind != "streams":
        return keras.Sequential([*stack, head], name="latex")
    x = inputs = stack[0]
    for layer in stack[1:]:
        x = layer(x)
    tell = [layers.Dense(n, name=f"tell_{i}")(x) for i, n in enumerate((told, told, 2))]
    return keras.Model(inputs, [head(x), *tell], name="latex")


def fused_lstm() -> Any:
    """Return an LSTM layer whose steps run in one call of PyTorch.

    On a CPU it is twice as fast as the loop of any backend. Its recurrent dropout drops weights,
    not states.
    """
    import keras
    import torch

    class LSTM(keras.layers.LSTM):  # type: ignore[misc]
        def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
            recurrent = torch.nn.functional.dropout(self.cell.recurrent_kernel.value, self.recurrent_dropout, training)
            weights = [
                self.cell.kernel.value.T,
                recurrent.T,
                self.cell.bias.value,
                torch.zeros_like(self.cell.bias.value),
            ]
            states = [state[None].clone() for state in initial_state]  # they are overwritten in place
            y, h, c = torch.lstm(sequences, states, weights, True, 1, 0.0, training, False, True)
            return y[:, -1], y if self.return_sequences else y[:, -1:], [h[0], c[0]]

    return LSTM


def variables_of(model: Any) -> list[Any]:
    """Return the weights that are saved.

    The states of the dropout and of stateful layers are not among them, nor the output layers that
    are dropped.
    """
    kept = [layer for layer in model.layers if not layer.name.startswith("tell_")]
    return [variable for layer in kept for variable in layer.trainable_variables]


def weights_of(model: Any) -> list[Any]:
    """Those of `variables_of`."""
    return [np.array(variable) for variable in variables_of(model)]


def set_weights(model: Any, weights: list[Any]) -> None:
    """Give a network of any kind what `weights_of` took from another."""
    for variable, value in zip(variables_of(model), weights, strict=True):
        variable.assign(value)


def grown(weights: list[Any], units: int, rng: np.random.Generator) -> list[Any]:
    """Return the weights of one LSTM and a Dense layer with more units.

    The new units forget slowly, and hardly matter at first.
    """
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


def carried_bits(model: Any, texts: list[Ids], eye: NDArray[np.float32], vocabulary: list[str]) -> tuple[float, float]:
    """Return the bits per character with the state carried along each text.

    The first WINDOW characters of a text only set the state. The second number is the share of
    ``\\end{`` after which the right first letter is the most likely one, in all of the text.
    """
    n = min(map(len, texts))
    x = np.stack([t[:n] for t in texts])
    logits = model.predict(eye[x[:, :-1]], batch_size=len(x), verbose=0).astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows = ["".join(vocabulary[i] for i in row) for row in x]
    right = [
        log_p[i, at.end() - 1].argmax() == x[i, at.end()] for i, row in enumerate(rows) for at in END.finditer(row)
    ]
    return bits(np.take_along_axis(log_p, x[:, 1:, None], -1)[:, WINDOW - 1 :]), float(np.mean(right))


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
    told = 1 + len(environments(text))
    model = build(args, len(vocabulary), "streams" if args.carry else "slices", told)
    measured = build(args, len(vocabulary), "slices")
    if args.start:
        set_weights(model, grown(weights_of(keras.models.load_model(args.start, compile=False)), args.units, rng))
    schedule = keras.optimizers.schedules.CosineDecay(
        args.lr / 50, steps - warmup, warmup_target=args.lr, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=args.weight_decay, clipnorm=1.0),
        [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in model.outputs],
        loss_weights=[1, args.tell, args.tell, args.tell / 2][: len(model.outputs)],
    )
    started, losses = time.monotonic(), []
    if args.carry:
        read = "".join(vocabulary[i] for part in training for i in part)
        source = streams(read, vocabulary, args, rng)
    else:
        ones = np.ones((args.batch, args.length), np.float32)
        source = ((x, [y], ones) for x, y in batches(training, args.length, args.batch, rng))
    for step in range(1, steps + 1):
        x, targets, weights = next(source)
        all_weights = [weights, *[np.ones_like(weights)] * (len(targets) - 1)]
        losses.append(np.atleast_1d(model.train_on_batch(eye[x], targets, sample_weight=all_weights)))
        if step % max(1, steps // 20) == 0:
            loss = np.mean(losses, 0) / math.log(2)
            report = f"step {step}/{steps}: loss {' '.join(f'{x:.3f}' for x in loss)} bits/char"
            if held_out:
                set_weights(measured, weights_of(model))
                held, right = carried_bits(measured, held_out, eye, vocabulary)
                report += f", held out {held:.3f}, names {right:.3f}"
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
        held, right = carried_bits(measured, held_out, eye, vocabulary)
        facts["held_out_bits_per_char"] = {"carried": round(held, 4)}
        facts["held_out_names_right"] = round(right, 3)
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
    parser.add_argument("--tell", type=float, default=0.3, help="with --carry: weight of telling what is open")
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
