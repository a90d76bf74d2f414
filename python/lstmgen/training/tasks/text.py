"""Texts, by letters and by words."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import option
from lstmgen.exporting import FACTS, ExportOptions
from lstmgen.signatures import with_keywords
from lstmgen.training.backend import import_keras
from lstmgen.training.loop import Batches, Job, TrainingReport, run
from lstmgen.training.progress import Network, announce
from lstmgen.training.settings import Settings, batch_setting, described, lr_setting, setting
from lstmgen.training.start import Elements, begin
from lstmgen.training.tasks import corpus as corpora
from lstmgen.vocabulary import Vocabulary

T = TypeVar("T")
Ids = NDArray[np.int32]

LEVELS = ("letters", "words")
RECIPES = ("default", "lesson")
LESSON_BATCH = 50
LEAST_SEQUENCES = 512  # of an epoch: of a short text it is several passes
_TOKEN = re.compile(r" ?\\?[^\W\d_]+| ?\d+| ?[^\w\s]|_|\s")


@described
@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """What a training on text may be told, besides `Settings`."""

    level: str = setting(
        "letters",
        "what an element is: a character, or with words a frequent word with the space before it, and a single "
        "character for all else, so that no word is unknown and the elements, joined, are the text",
        choices=LEVELS,
        architecture=True,
    )
    recipe: str = setting(
        "default",
        "default: a target at each step, Adam with weight decay, dropout, warm-up and cosine decay; lesson: windows "
        "and their next element, in order, batch 50, RMSprop 1e-3 (words: the lesson's stack of layers, Adam)",
        choices=RECIPES,
    )
    batch: int | None = batch_setting(None, "by the size of the text")
    lr: float = lr_setting(4e-3)
    embedding: int = setting(
        128, "numbers that stand for a word (level words)", least=1, most=65_536, architecture=True
    )
    window: int = setting(100, "elements T that an element is drawn from", least=1, most=65_536)
    length: int = setting(50, "elements of a training sequence (recipe default)", least=2, most=65_536)
    weight_decay: float = setting(1e-2, "weight decay of Adam (recipe default)", least=0, most=1)
    words: int = setting(
        4000,
        "elements of a vocabulary at most, if the text has fewer characters (level words)",
        least=2,
        most=65_536,
    )
    encoding: str = setting("utf-8", "character encoding of the files", quiet=True)
    lower: bool = setting(False, "learn from the text in lower case", quiet=True, shown="")
    column: str = setting("", "the files are CSV, and the text is the cells of this column, a line each", quiet=True)

    def unused(self) -> tuple[str, ...]:
        """Names of the settings that have no effect beside the others."""
        names = ["embedding", "words"] if self.level == "letters" else []
        if self.recipe == "lesson":
            names += ["batch", "lr", "dropout", "length", "weight_decay"]
            names += ["units", "layers"] if self.level == "words" else []
        return tuple(names)

    def paced(self, elements: int) -> TextSettings:
        """These settings with a batch for a text of so many elements, where none was given."""
        if self.recipe == "lesson" or self.batch is not None:
            return self
        return replace(self, batch=batch_for(elements // self.length))


def batch_for(sequences: int) -> int:
    """The default batch for a text of so many sequences: a short text needs more steps."""
    return 8 if sequences < 2000 else 16 if sequences < 4000 else 32


@with_keywords(ExportOptions, only=FACTS)
def train_text(
    corpus: corpora.Sources,
    out: str | os.PathLike[str],
    settings: TextSettings | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **facts: str | None,
) -> TrainingReport:
    """Train a generator of text on files or folders of text, and export it to `out`, a `.bin`.

    `callbacks` are Keras's own, such as TensorBoard; `facts` are those of `lstmgen.export` (name,
    license ...). Raises `OSError` or `ValueError` that names the corpus for one that cannot be
    used, and `ImportError` without Keras.
    """
    sources = corpora.paths(corpus)
    start = begin(Path(out), settings or TextSettings(), sources)
    settings = start.settings
    text, names = corpora.read(
        sources,
        encoding=settings.encoding,
        lower=settings.lower,
        column=settings.column,
        without=start.files.all,
    )
    shown = ", ".join(map(str, sources))
    vocabulary = letters(text) if settings.level == "letters" else words(text, settings.words)
    ids = vocabulary.encode(text).astype(np.int32)
    settings = start.settings = settings.paced(len(ids))
    _check_size(shown, text, ids, vocabulary, settings)
    training, held_out = _parts(shown, ids, settings)
    unit = "bits/char"
    about = {
        "corpus": names[0] if len(names) == 1 else list(names),
        "corpus_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "characters": len(text),
        "elements": len(ids),
        "recipe": settings.facts(),
    }
    start.check_data(about, unit)
    found = f"{len(text):,} characters, {len(ids):,} {settings.level}, {len(vocabulary):,} different"
    announce(
        [f"{shown}: {found}; {sum(map(len, held_out)):,} held out"],
        _described(settings, len(vocabulary)),
        data_steps(settings, training),
        settings.batch or LESSON_BATCH,
        settings.epochs,
    )
    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    make = _lesson if settings.recipe == "lesson" else per_step
    model, saved, data, validation = make(keras, settings, len(vocabulary), training, held_out)
    job = Job(
        start=start,
        model=model,
        saved=saved,
        data=data,
        validation=validation,
        unit=unit,
        scale=len(ids) / len(text) / math.log(2),
        options={**_export_options(settings, vocabulary, ids), **facts},
        elements=Elements(vocabulary.elements, vocabulary.elements),
        facts=about,
        sample=lambda data: (_excerpt(data), None),
        measure=lambda data: _measured(data, held_out, vocabulary, settings.window) if held_out else {},
        callbacks=callbacks,
    )
    return run(job)


def _parts(shown: str, ids: Ids, settings: TextSettings) -> tuple[list[Ids], list[Ids]]:
    """The ids to learn from, and those to measure on. Raises `ValueError` if there are too few of
    them.
    """
    training, held_out = split(ids, settings.holdout, least=2 * settings.window)
    least = settings.window if settings.recipe == "lesson" else settings.length
    if max(map(len, training)) <= least or min(map(len, held_out), default=math.inf) <= settings.window:
        raise ValueError(
            f"{shown}: too short for {option('holdout', settings.holdout)}: expected more than {least} "
            f"{settings.level} in a row to learn from, and {settings.window} to measure on: a longer text, another "
            "holdout (0: none), or a smaller window and length"
        )
    return training, held_out


def _export_options(settings: TextSettings, vocabulary: Vocabulary, ids: Ids) -> dict[str, Any]:
    """What the export of the model is told."""
    return {
        "vocab": list(vocabulary.elements),
        "vocabulary_kind": "text",
        "encoding": "onehot" if settings.level == "letters" else "index",
        "padding": "none",
        "prime": ids[: settings.window].tolist(),
        "window": settings.window,
    }


# -- vocabularies --------------------------------------------------------------------------------


def letters(text: str) -> Vocabulary:
    """The characters of a text, sorted."""
    return Vocabulary(sorted(set(text)), "text")


def words(text: str, most: int) -> Vocabulary:
    """Characters, and the most frequent words with the space before them.

    `most` elements at most, but all characters.
    """
    characters = set(text)
    counts = Counter(token for token in _TOKEN.findall(text) if len(token) > 1)
    room = max(0, most - len(characters))
    frequent = [token for token, count in counts.most_common(room) if count > 1]
    return Vocabulary(sorted(characters | set(frequent)), "text")


def _check_size(path: str, text: str, ids: Ids, vocabulary: Vocabulary, settings: TextSettings) -> None:
    if not text:
        raise ValueError(f"{path}: the corpus is empty")
    if len(vocabulary) < 2:
        raise ValueError(f"{path}: the corpus has one character only, {text[0]!r}: there is nothing to learn")
    least = settings.window + 1 if settings.recipe == "lesson" else settings.length + 1
    least += settings.batch or 0
    if len(ids) < least:
        raise ValueError(
            f"{path}: the corpus has {len(ids)} {settings.level}, expected at least {least}: a longer text, or a "
            "smaller window, length and batch"
        )


def split(ids: Ids, holdout: float, blocks: int = 6, least: int = 1) -> tuple[list[Ids], list[Ids]]:
    """Cut `blocks` evenly spaced pieces, the share `holdout`, out of the text: (training, held
    out).

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
    """Bits a character of the held-out texts, as lstmgen scores them.

    The first `window` elements of each are context only.
    """
    from lstmgen.generator import Generator
    from lstmgen.model import Model

    generator = Generator(Model(data), threads=os.cpu_count() or 1)

    def bits(ids: Ids, refresh: int | None) -> float:
        if len(ids) < 2:
            return 0.0
        score = generator.score(ids.tolist(), refresh=refresh)
        return score.bits_per_element * score.elements

    figures = {}
    for way, refresh in (("window", 1), ("carried", None)):
        total = sum(bits(piece, refresh) - bits(piece[:window], refresh) for piece in held_out)
        characters = sum(len(vocabulary.elements[i]) for piece in held_out for i in piece[window:])
        figures[way] = round(total / characters, 4)
    return {"held_out_bits_per_char": figures}


# -- recipes -------------------------------------------------------------------------------------


def _described(settings: TextSettings, n: int) -> Network:
    """The network that will be trained, before Keras makes it."""
    network = Network("one-hot" if settings.level == "letters" else "ids", n)
    if settings.level == "words":
        network.embedding(settings.embedding)
    if settings.level == "words" and settings.recipe == "lesson":
        return network.lstm(256).lstm(256).dense(128).dense(n)
    for _ in range(settings.layers):
        network.lstm(settings.units)
    return network.dense(n)


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

    `keys` (k, n) holds the id of each element in each of k forms that are equally good, such as
    keys of music: each training sequence is shown in one of them.
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

    lr = settings.lr
    steps = data_steps(settings, training) * settings.epochs
    warmup = max(1, min(100, steps // 5))
    schedule = keras.optimizers.schedules.CosineDecay(
        lr / 50, max(1, steps - warmup), warmup_target=lr, warmup_steps=warmup
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

    data = windows(training, settings.window, LESSON_BATCH, encode)
    validation = windows(held_out, settings.window, 250, encode).dataset(keras) if held_out else None
    return model, network, data, validation


# -- data ----------------------------------------------------------------------------------------


def known(value: T | None) -> T:
    """A setting that `TextSettings.paced` has filled in."""
    if value is None:
        raise TypeError("batch: TextSettings.paced fills it in")
    return value


def _encoded(ids: NDArray[Any], onehot: int | None) -> NDArray[Any]:
    return ids if onehot is None else np.eye(onehot, dtype=np.float32)[ids]


def data_steps(settings: TextSettings, texts: list[Ids]) -> int:
    """Steps of an epoch: those of a pass, or of `LEAST_SEQUENCES` where a pass has fewer."""
    if settings.recipe == "lesson":
        return window_steps(texts, settings.window, LESSON_BATCH)
    sequences = sum((len(text) - 1) // settings.length for text in texts)
    return max(1, max(LEAST_SEQUENCES, sequences) // known(settings.batch))


def _slices(texts: list[Ids], settings: TextSettings, onehot: int | None, keys: NDArray[np.int32] | None) -> Batches:
    """Slices of the texts with a target at each step.

    Each epoch cuts them at other places and shuffles them.
    """
    length, batch = settings.length, known(settings.batch)

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

    return Batches(data_steps(settings, texts), epoch)


def _whole(texts: list[Ids], window: int, onehot: int | None) -> Any:
    """Held-out texts with the state carried along.

    The first `window` elements of each only warm it up.
    """
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
    """Each window, through `encode`, and the element after it, made batch by batch; in order
    without a seed.

    The lesson makes them in pieces of 10,000, since the whole does not fit into memory; the network
    sees the same.
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

    return Batches(window_steps(texts, window, batch), lambda epoch: made)


def window_steps(texts: list[Ids], window: int, batch: int) -> int:
    """Batches of windows: full ones, or one that is not."""
    return max(1, sum(max(0, len(text) - window) for text in texts) // batch)


def _offsets(texts: list[Ids]) -> list[tuple[Ids, int]]:
    offset, pairs = 0, []
    for text in texts:
        pairs.append((text, offset))
        offset += len(text)
    return pairs
