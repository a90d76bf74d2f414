"""Teach the letter model of ``train_latex.py`` to close what it opens: it reads what it writes, mended.

    export KERAS_BACKEND=torch
    python tools/polish_latex.py topology.tex --start c6.h5 -o latex.h5

A text of a few hundred environments is too short to learn from it what is open after a thousand characters; what the
network itself writes has no end. In each round it writes, `mended` gives each environment its right end and throws away
what is behind another mistake, and it learns from what is left: at each character it should predict what it predicted
at the start, but nothing that `latex_grammar` forbids there. So it learns nothing but what may not be. Further outputs,
which are not saved, must tell what is open. `--text` of what it reads is the text itself.

When it samples it has no grammar beside it. Each text that it reads begins with an empty line and a zero state.
"""

import argparse
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
import torch
from numpy.typing import NDArray

from latex_grammar import WRONG, Grammar, mended, units_of
from lstmgen.exporting import convert
from lstmgen.generator import Generator
from lstmgen.model import Model

Ids = NDArray[np.int64]
Unit = tuple[str, bool]
States = list[torch.Tensor]

SLICE = 250  # characters that gradients go back
FIRST = "\n\n"
NOTHING = -1
OPEN = " $D{i"  # what can be open inside an environment
TELL = 0.2  # weight of telling what is open
TAUS = (0.6, 0.85)  # temperatures at which it writes
TAU = 2 / 3  # temperature at which it should make no mistakes


class Network:
    """One-hot > LSTM > Dense, as parameters of PyTorch in the layout of Keras."""

    def __init__(self, weights: list[NDArray[np.float32]]) -> None:
        """Take (kernel, recurrent kernel, bias, dense kernel, dense bias)."""
        self.weights = [torch.tensor(w, requires_grad=True) for w in weights]

    def run(self, ids: torch.Tensor, state: States) -> tuple[torch.Tensor, States]:
        """Return the outputs of the LSTM behind each of `ids`, (rows, steps), and the state, (h, c), behind all."""
        kernel, recurrent, bias = self.weights[:3]
        x = torch.nn.functional.one_hot(ids, len(kernel)).float()
        parameters = [kernel.T, recurrent.T, bias, torch.zeros_like(bias)]
        y, h, c = torch.lstm(x, [s[None] for s in state], parameters, True, 1, 0.0, True, False, True)
        return y, [h[0].detach(), c[0].detach()]

    def logits(self, y: torch.Tensor) -> torch.Tensor:
        """Return the logits for outputs of the LSTM."""
        return y @ self.weights[3] + self.weights[4]

    def zero_state(self, rows: int) -> States:
        """Return (h, c), each (rows, units)."""
        return [torch.zeros(rows, len(self.weights[1])) for _ in range(2)]


class Reader:
    """Rows that read texts, each from its begin to a random length."""

    def __init__(self, units: list[Unit], text: str, share: float, grammar: Grammar, rng: np.random.Generator) -> None:
        """`share` of the rows reads `text`, the others `units`, as `mended` gives them."""
        self.grammar, self.rng, self.share = grammar, rng, share
        self.sources = []
        whole = [(part, True) for part in units_of(text) if part]
        for parts in (units, whole):
            read = [(FIRST, True), *((part if right else part + FIRST, right) for part, right in parts)]
            ids = indices("".join(part for part, _ in read), grammar.vocabulary)
            states = np.concatenate([grammar.read(part)[0] for part, _ in read])
            follows = np.append(ids[1:], NOTHING)
            ends = np.cumsum([len(part) for part, _ in read])
            for end in ends[[not right for _, right in read]]:
                follows[end - len(FIRST) - 1] = NOTHING  # what was wrong
                states[end - len(FIRST) : end] = NOTHING
            begins = ends - len(FIRST)
            self.sources.append((ids, states, follows, begins[begins < len(ids) - 50 * SLICE]))
        self.names = ["", *sorted({name for names in grammar.inside.values() for name in names})]
        self._facts: dict[int, tuple[NDArray[np.bool_], list[int]]] = {}

    def _of(self, number: int) -> tuple[NDArray[np.bool_], list[int]]:
        """The characters that are allowed behind a state; the environment, the one around it, what is open inside."""
        if number == NOTHING:
            return np.ones(len(self.grammar.vocabulary), np.bool_), [0, 0, 0]
        if number not in self._facts:
            state = self.grammar.states[number]
            names = ["", "", *state.environments]
            inner = OPEN.index(state.inner[-1:] or " ")
            facts = [self.names.index(names[-1]), self.names.index(names[-2]), inner]
            self._facts[number] = self.grammar.row(number) != WRONG, facts
        return self._facts[number]

    def slices(self, rows: int) -> Iterator[tuple[Any, ...]]:
        """Yield, for ever, for each row: characters (SLICE), what follows upon each (SLICE), what may (SLICE,
        characters), what is open there (SLICE, 3), and whether a text begins.
        """
        at = [(0, 0, 0)] * rows  # source, position, slices left
        while True:
            read = []
            for row in range(rows):
                source, position, left = at[row]
                begins = left == 0
                if begins:
                    source = int(self.rng.random() < self.share)
                    position = int(self.rng.choice(self.sources[source][3]))
                    left = int(self.rng.integers(4, 50))
                ids, states, follows, _ = self.sources[source]
                end = position + SLICE
                known = [self._of(int(number)) for number in states[position:end]]
                allowed, facts = (np.stack(column) for column in zip(*known, strict=True))
                read.append((ids[position:end], follows[position:end], allowed, facts, begins))
                at[row] = source, end, left - 1
            yield tuple(np.stack(column) for column in zip(*read, strict=True))


def indices(text: str, vocabulary: list[str]) -> Ids:
    """Return the index of each character of `text`."""
    numbers = {c: i for i, c in enumerate(vocabulary)}
    return np.array([numbers[c] for c in text], np.int64)


def written(path: Path, prime: str, vocabulary: list[str], characters: int, seed: int) -> list[str]:
    """What the model writes in 64 texts, each cut to whole units."""
    generator = Generator(Model(convert(path, vocab=vocabulary, dtype="f32")))
    taus = np.linspace(*TAUS, 64)
    texts = generator.sample_many(64, length=characters // 64, prime=prime, temp=list(taus), seed=seed, refresh=None)
    return [unit for text in texts for unit in units_of(str(text))[1:-1]]


def learn(
    student: Network, teacher: Network, beginning: Ids, reader: Reader, minutes: float, args: argparse.Namespace
) -> None:
    """Train the student for so many minutes on what the reader reads.

    Tells the means of 100 steps: cross entropy and divergence, nats; wrong characters in 10,000 drawn at `TAU`; and the
    cross entropy of telling what is open.
    """
    with torch.no_grad():
        _, begun = teacher.run(torch.tensor(beginning[None, : -len(FIRST)]), teacher.zero_state(1))
    names, units = len(reader.names), len(student.weights[1])
    tell = torch.nn.Linear(units, 2 * names + len(OPEN))
    optimizer = torch.optim.Adam([{"params": student.weights}, {"params": tell.parameters(), "lr": 1e-3}], lr=args.lr)
    states, taught = student.zero_state(args.rows), teacher.zero_state(args.rows)
    started, told = time.monotonic(), []
    for step, (ids, follows, allowed, facts, begins) in enumerate(reader.slices(args.rows), 1):
        done = (time.monotonic() - started) / 60 / minutes
        if done >= 1:
            return
        for state, first in zip(states, student.zero_state(1), strict=True):
            state[begins] = first
        for state, first in zip(taught, begun, strict=True):
            state[begins] = first
        read, where = torch.tensor(ids), torch.tensor(facts)
        behind = torch.tensor(follows)[..., None]
        following = torch.nn.functional.one_hot(behind[..., 0].clamp(min=0), allowed.shape[-1]) * (behind >= 0).float()
        with torch.no_grad():
            y, taught = teacher.run(read, taught)
            wanted = torch.softmax(teacher.logits(y), -1) * torch.tensor(allowed)
            mass = wanted.sum(-1, keepdim=True)
            wanted = torch.where(mass > args.least, wanted / mass.clamp(min=1e-9), following)
        y, states = student.run(read, states)
        logits = student.logits(y)
        log_p = torch.log_softmax(logits, -1)
        wrong = (torch.softmax(logits / TAU, -1) * ~torch.tensor(allowed)).sum(-1)
        cross = -(wanted * log_p).sum(-1)
        divergence = cross + (wanted * wanted.clamp(min=1e-9).log()).sum(-1)
        telling = [
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), where[..., i].flatten())
            for i, logits in enumerate(tell(y).split([names, names, len(OPEN)], -1))
        ]
        loss = ((1 + args.weight * (1 - mass[..., 0])) * cross).mean() + args.sharp * wrong.mean()
        loss = loss + TELL * min(1.0, step / 200) * torch.stack(telling).sum()
        rate = args.lr * min(1.0, step / 50) * (0.5 + 0.5 * math.cos(math.pi * done))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.weights, 1.0)
        optimizer.step()
        losses = [cross.mean(), divergence.mean(), 1e4 * wrong.mean(), *telling]
        told.append([loss.item() for loss in losses])
        if step % 100 == 0:
            figures = " ".join(f"{x:.4f}" for x in np.mean(told, 0))
            print(f"{done * minutes:.1f} min, step {step}: {figures}", file=sys.stderr)
            told.clear()


def save(network: Network, path: Path) -> None:
    """Write the network as a model of Keras that reads one character at a time."""
    import keras
    from keras import layers

    characters, units = len(network.weights[0]), len(network.weights[1])
    stack = [
        keras.Input(batch_shape=(1, 1, characters)),
        layers.LSTM(units, stateful=True, name="lstm"),
        layers.Dense(characters, activation="softmax", name="dense"),
    ]
    model = keras.Sequential(stack, name="latex")
    model.set_weights([w.detach().numpy() for w in network.weights])
    unfinished = path.with_suffix(".part.h5")
    model.save(unfinished)
    os.replace(unfinished, path)


def body_of(text: str, without: list[str]) -> str:
    """The sections of `text`, without displays that have one of these commands."""
    end = text.find("\\input{chapters}")
    body = text[max(text.find("\\section{"), 0) : end if end > 0 else len(text)]
    for command in without:
        body = re.sub(rf"(?m)^\$\$\n(?:[^$]*\\{command}\b[^$]*)\$\$\n", "", body)
    return body


def polish(args: argparse.Namespace, text: str, body: str) -> None:
    """Run all rounds."""
    import keras

    vocabulary = sorted(set(text))
    grammar = Grammar(body, vocabulary)
    student, teacher = (
        Network(keras.models.load_model(path, compile=False).get_weights())
        for path in (args.start, args.teacher or args.start)
    )
    end = body.index("\\end{proof}\n\n") + len("\\end{proof}\n\n")
    beginning = body[max(0, end - 1000) : end]
    rng = np.random.default_rng(args.seed)
    units: list[Unit] = []
    for number in range(args.rounds):
        path = args.output if number else args.start
        prime = FIRST if number or args.teacher else beginning
        new = written(path, prime, vocabulary, args.characters, args.seed + number)
        found = [part for unit in new if len((part := mended(unit, grammar))[0]) > len(FIRST)]
        units = [*units[-len(found) :], *found]
        size, whole = sum(len(part) for part, _ in found), sum(right for _, right in found)
        of = sum(map(len, new))
        print(f"round {number + 1}: {size:,} of {of:,} characters, {whole} of {len(new)} units whole", file=sys.stderr)
        reader = Reader(units, body, args.text, grammar, rng)
        learn(student, teacher, indices(beginning, vocabulary), reader, args.minutes / args.rounds, args)
        save(student, args.output)


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="text that the model has learnt, UTF-8")
    parser.add_argument("--start", type=Path, required=True, help="the model to begin with, .h5")
    parser.add_argument("--teacher", type=Path, help="to go on: the model that the polishing began with")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the polished model, .h5")
    parser.add_argument("--minutes", type=float, default=30.0, help="of learning, in all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--characters", type=int, default=1_500_000, help="that it writes in a round")
    parser.add_argument(
        "--without",
        nargs="*",
        default=["xymatrix"],
        help="commands to forget, with their displays: of 3 none is learnt",
    )
    parser.add_argument("--text", type=float, default=0.25, help="share of reading that is the text itself")
    parser.add_argument("--rows", type=int, default=16, help="texts that are read side by side")
    parser.add_argument(
        "--weight",
        type=float,
        default=4.0,
        help="of each character where the grammar forbids all of what the model expected; others count 1",
    )
    parser.add_argument("--sharp", type=float, default=4.0, help="weight of what is forbidden and drawn at tau = 2/3")
    parser.add_argument("--least", type=float, default=0.3, help="probability of what is allowed that is believed")
    parser.add_argument("--lr", type=float, default=1e-3, help="greatest learning rate")
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
    body = body_of(text, args.without)
    if "\\end{proof}\n\n" not in body:
        print(f"{args.corpus}: no proof with an empty line behind it: expected a chapter in LaTeX", file=sys.stderr)
        return 1
    torch.manual_seed(args.seed)
    polish(args, text, body)
    facts = {k: str(v) for k, v in vars(args).items()}
    args.output.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
