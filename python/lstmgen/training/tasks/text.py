"""Texts, by letters and by words."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.training.loop import Batches, Job, Report, Settings, check_output, import_keras, run
from lstmgen.vocabulary import Vocabulary, reading

Ids = NDArray[np.int32]

LEVELS = ("letters", "words")
RECIPES = ("default", "lesson")
LEAST_STEPS = 8  # of an epoch: of a short text it is several passes
_TOKEN = re.compile(r" ?\\?[^\W\d_]+| ?\d+| ?[^\w\s]|_|\s")


@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """What a training on text may be told, besides `Settings`.

    level: "letters", or "words": frequent words with the space before them, and single characters for all else, so
        that no word is unknown and the elements, joined, are the text.
    recipe: "default": a target at each step, Adam with weight decay, dropout, warm-up and cosine decay; or "lesson":
        windows and their next element, in order, batch 50, RMSprop 1e-3 (words: the lesson's stack of layers, Adam).
    units: of each LSTM layer. layers: LSTM layers, one on the other. dropout: share of each LSTM's outputs that a
        training step leaves out, 0 to 0.99. embedding: numbers that stand for a word (level words). window: elements
        T that an element is drawn from. length: elements of a training sequence (recipe default). weight_decay: of
        Adam (recipe default). words: elements of a vocabulary at most, if the text has fewer characters (level words).
    """

    level: str = "letters"
    recipe: str = "default"
    units: int = 512
    layers: int = 1
    dropout: float = 0.2
    embedding: int = 128
    window: int = 100
    length: int = 50
    weight_decay: float = 1e-2
    words: int = 4000

    def check(self) -> None:
        """Raise `ValueError` for what cannot be."""
        super().check()
        if self.level not in LEVELS:
            raise ValueError(f"level: expected one of {', '.join(LEVELS)}, found {self.level!r}")
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, found {self.recipe!r}")

    def unused(self) -> tuple[str, ...]:
        """Names of the settings that have no effect beside the others."""
        names = ["embedding", "words"] if self.level == "letters" else []
        if self.recipe == "lesson":
            names += ["batch", "lr", "dropout", "length", "weight_decay"]
            names += ["units", "layers"] if self.level == "words" else []
        return tuple(names)


def train_text(
    corpus: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: TextSettings | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **facts: str | None,
) -> Report:
    """Train a generator of text on a UTF-8 file, and export it to `out`, a `.bin`.

    `callbacks` are Keras's own, such as TensorBoard; `facts` are those of `lstmgen.export` (name, license ...). Raises
    `OSError` or `ValueError` that names the corpus for one that cannot be used, and `ImportError` without Keras.
    """
    settings = settings or TextSettings()
    settings.check()
    path = Path(corpus)
    check_output(Path(out), path)
    text = reading.read_text(path).removeprefix("\ufeff")
    vocabulary = letters(text) if settings.level == "letters" else words(text, settings.words)
    ids = vocabulary.encode(text).astype(np.int32)
    _check_size(path, text, ids, vocabulary, settings)
    training, held_out = split(ids, settings.holdout, least=2 * settings.window)
    least = settings.window if settings.recipe == "lesson" else settings.length
    if max(map(len, training)) <= least or min(map(len, held_out), default=math.inf) <= settings.window:
        raise ValueError(
            f"{path}: too short for holdout {settings.holdout:g}: expected more than {least} {settings.level} in a row "
            f"to learn from, and {settings.window} to measure on: a longer text, another holdout (0: none), or a "
            "smaller window and length"
        )
    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    make = _lesson if settings.recipe == "lesson" else per_step
    model, saved, data, validation = make(keras, settings, len(vocabulary), training, held_out)
    per_char = len(ids) / len(text)
    job = Job(
        out=Path(out),
        settings=settings,
        model=model,
        saved=saved,
        data=data,
        validation=validation,
        unit="bits/char",
        scale=per_char / math.log(2),
        options={
            "vocab": list(vocabulary.elements),
            "vocabulary_kind": "text",
            "encoding": "onehot" if settings.level == "letters" else "index",
            "prime": ids[: settings.window].tolist(),
            "window": settings.window,
            **facts,
        },
        facts={
            "corpus": path.name,
            "corpus_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "characters": len(text),
            "elements": len(ids),
            "recipe": settings.facts(),
        },
        sample=lambda data: (_excerpt(data), None),
        measure=lambda data: _measured(data, held_out, vocabulary, settings.window) if held_out else {},
        callbacks=callbacks,
    )
    return run(job)


# -- vocabularies --------------------------------------------------------------------------------


def letters(text: str) -> Vocabulary:
    """The characters of a text, sorted."""
    return Vocabulary(sorted(set(text)), "text")


def words(text: str, most: int) -> Vocabulary:
    """Characters, and the most frequent words with the space before them: `most` elements at most."""
    characters = set(text)
    counts = Counter(token for token in _TOKEN.findall(text) if len(token) > 1)
    room = max(0, most - len(characters))
    frequent = [token for token, count in counts.most_common(room) if count > 1]
    return Vocabulary(sorted(characters | set(frequent)), "text")


def _check_size(path: Path, text: str, ids: Ids, vocabulary: Vocabulary, settings: TextSettings) -> None:
    if not text:
        raise ValueError(f"{path}: the corpus is empty")
    if len(vocabulary) < 2:
        raise ValueError(f"{path}: the corpus has one character only, {text[0]!r}: there is nothing to learn")
    if "\0" in text:
        raise ValueError(f"{path}: no text: character {text.index(chr(0))} is U+0000, which a vocabulary cannot hold")
    least = settings.window + 1 if settings.recipe == "lesson" else settings.length + 1
    least += settings.batch
    if len(ids) < least:
        raise ValueError(
            f"{path}: the corpus has {len(ids)} {settings.level}, expected at least {least}: a longer text, or a "
            "smaller window, length and batch"
        )


def split(ids: Ids, holdout: float, blocks: int = 6, least: int = 1) -> tuple[list[Ids], list[Ids]]:
    """Cut `blocks` evenly spaced pieces, the share `holdout`, out of the text: (training, held out).

    Fewer blocks, but one, if they had less than `least` elements.
    """
    blocks = max(1, min(blocks, int(len(ids) * holdout / least)))
    size = int(len(ids) * holdout / blocks)
    if size == 0:
        return [ids], []
    starts = [int(len(ids) * (i + 0.5) / blocks) - size // 2 for i in range(blocks)]
    ends = [0, *(start + size for start in starts)]
    kept = [ids[a:b] for a, b in zip(ends, [*starts, len(ids)], strict=True)]
    return kept, [ids[start : start + size] for start in starts]


def _excerpt(data: bytes, length: int = 160) -> str:
    """What a generator says, in one line."""
    from lstmgen.generator import Generator
    from lstmgen.model import Model

    elements = Generator(Model(data)).stream(length, temp=2 / 3, seed=1, refresh=None)
    text = "".join(map(str, elements))[:length]
    return "".join(c if c.isprintable() else " " for c in text)


def _measured(data: bytes, held_out: list[Ids], vocabulary: Vocabulary, window: int) -> dict[str, Any]:
    """Bits a character of the held-out texts as lstmgen scores them; their first `window` elements are context only."""
    from lstmgen.generator import Generator
    from lstmgen.model import Model

    generator = Generator(Model(data), threads=os.cpu_count() or 1)
    figures = {}
    for way, refresh in (("window", 1), ("carried", None)):
        nats = characters = 0.0
        for piece in held_out:
            ids = piece.astype(np.uint32)
            nats -= float(generator.log_probabilities(ids, refresh=refresh)[window - 1 :].sum())
            characters += sum(len(vocabulary.elements[i]) for i in ids[window:])
        figures[way] = round(nats / math.log(2) / characters, 4)
    return {"held_out_bits_per_char": figures}


# -- recipes -------------------------------------------------------------------------------------


def _input(keras: Any, settings: TextSettings, n: int, steps: int | None) -> list[Any]:
    """The input, and how an element becomes numbers."""
    if settings.level == "letters":
        return [keras.Input((steps, n))]
    return [keras.Input((steps,)), keras.layers.Embedding(n, settings.embedding, name="embedding")]


def per_step(
    keras: Any,
    settings: TextSettings,
    n: int,
    training: list[Ids],
    held_out: list[Ids],
    keys: NDArray[np.int32] | None = None,
) -> Any:
    """The default recipe: (model to train, maker of the one to save, data, validation).

    `keys` (k, n) holds the id of each element in each of k forms that are equally good, such as keys of music: each
    training sequence is shown in one of them.
    """
    layers = keras.layers

    def network(*, saved: bool) -> Any:
        stack = _input(keras, settings, n, settings.window if saved else None)
        for i in range(settings.layers):
            sequences = not saved or i < settings.layers - 1
            stack.append(layers.LSTM(settings.units, return_sequences=sequences, name=f"lstm_{i + 1}"))
            stack.append(layers.Dropout(settings.dropout, name=f"dropout_{i + 1}"))
        stack.append(layers.Dense(n, activation="softmax" if saved else None, name="dense"))
        return keras.Sequential(stack)

    steps = _steps(training, settings) * settings.epochs
    warmup = max(1, min(100, steps // 5))
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.lr / 50, max(1, steps - warmup), warmup_target=settings.lr, warmup_steps=warmup
    )
    model = network(saved=False)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    onehot = n if settings.level == "letters" else None
    data = _slices(training, settings, onehot, keys)
    validation = _whole(held_out, settings.window, onehot)
    return model, lambda: network(saved=True), data, validation


def _lesson(keras: Any, settings: TextSettings, n: int, training: list[Ids], held_out: list[Ids]) -> Any:
    layers = keras.layers

    def network() -> Any:
        stack = _input(keras, settings, n, settings.window)
        if settings.level == "letters":
            for i in range(settings.layers):
                stack.append(layers.LSTM(settings.units, return_sequences=i < settings.layers - 1))
            return keras.Sequential([*stack, layers.Dense(n, activation="softmax")])
        return keras.Sequential(
            [
                *stack,
                layers.LSTM(256, return_sequences=True),
                layers.Dropout(0.5),
                layers.LSTM(256),
                layers.Dropout(0.5),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.5),
                layers.Dense(n, activation="softmax"),
            ]
        )

    model = network()
    kind = keras.optimizers.RMSprop if settings.level == "letters" else keras.optimizers.Adam
    model.compile(kind(learning_rate=1e-3), keras.losses.SparseCategoricalCrossentropy())
    onehot = n if settings.level == "letters" else None

    def encode(ids: NDArray[Any]) -> NDArray[Any]:
        return _encoded(ids, onehot)

    data = windows(training, settings.window, 50, encode)
    validation = windows(held_out, settings.window, 250, encode).dataset(keras) if held_out else None
    return model, network, data, validation


# -- data ----------------------------------------------------------------------------------------


def _encoded(ids: NDArray[Any], onehot: int | None) -> NDArray[Any]:
    return ids if onehot is None else np.eye(onehot, dtype=np.float32)[ids]


def _steps(texts: list[Ids], settings: TextSettings) -> int:
    """Steps of an epoch: those of a pass, but at least `LEAST_STEPS`."""
    return max(LEAST_STEPS, sum((len(text) - 1) // settings.length for text in texts) // settings.batch)


def _slices(texts: list[Ids], settings: TextSettings, onehot: int | None, keys: NDArray[np.int32] | None) -> Batches:
    """Slices of the texts with a target at each step; each epoch cuts them at other places and shuffles them."""
    length, batch = settings.length, settings.batch

    def epoch(number: int) -> Callable[[int], tuple[Any, Any]]:
        rng = np.random.default_rng((settings.seed, number))
        rows = []
        for text in texts:
            first = int(rng.integers(0, length))
            rows += [text[i : i + length + 1] for i in range(first, len(text) - length, length)]
        if not rows:  # a short text is cut at its start
            rows = [text[: length + 1] for text in texts if len(text) > length]
        rng.shuffle(rows)
        if keys is not None:
            rows = [keys[rng.integers(len(keys))][row] for row in rows]

        def made(step: int) -> tuple[Any, Any]:
            block = np.stack([rows[(step * batch + k) % len(rows)] for k in range(batch)])
            return _encoded(block[:, :-1], onehot), block[:, 1:]

        return made

    return Batches(_steps(texts, settings), epoch)


def _whole(texts: list[Ids], window: int, onehot: int | None) -> Any:
    """Held-out texts with the state carried along; the first `window` elements of each only warm it up."""
    if not texts:
        return None
    n = min(map(len, texts))
    block = np.stack([text[:n] for text in texts])
    weights = np.zeros((len(block), n - 1), np.float32)
    weights[:, window - 1 :] = (n - 1) / (n - window)  # Keras divides by all of them
    return _encoded(block[:, :-1], onehot), block[:, 1:], weights


def windows(
    texts: list[Ids],
    window: int,
    batch: int,
    encode: Callable[[NDArray[Any]], NDArray[Any]],
    seed: int | None = None,
) -> Batches:
    """Each window, through `encode`, and the element after it, made batch by batch; in order without a seed.

    The lesson makes them in pieces of 10,000, since the whole does not fit into memory; the network sees the same.
    """
    starts = np.concatenate([np.arange(len(text) - window) + offset for text, offset in _offsets(texts)])
    joined = np.concatenate(texts)
    size = len(starts) // batch * batch or len(starts)
    if seed is not None:
        np.random.default_rng(seed).shuffle(starts)

    def made(step: int) -> tuple[Any, Any]:
        first = starts[step * batch : min((step + 1) * batch, size)]
        block = joined[first[:, None] + np.arange(window + 1)]
        return encode(block[:, :-1]), block[:, -1]

    return Batches(math.ceil(size / batch), lambda epoch: made)


def _offsets(texts: list[Ids]) -> list[tuple[Ids, int]]:
    offset, pairs = 0, []
    for text in texts:
        pairs.append((text, offset))
        offset += len(text)
    return pairs
