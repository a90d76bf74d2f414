"""Texts, by letters and by words."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.errors import option
from lstmgen.exporting import FACTS, ExportOptions
from lstmgen.signatures import with_keywords
from lstmgen.training.backend import import_keras
from lstmgen.training.loop import Job, TrainingReport, run
from lstmgen.training.progress import Outline, announce
from lstmgen.training.settings import (
    Settings,
    asked_for,
    batch_setting,
    changed,
    check_holdout,
    described,
    lr_setting,
    setting,
)
from lstmgen.training.start import Elements, begin
from lstmgen.training.tasks import batches
from lstmgen.training.tasks import corpus as corpora
from lstmgen.training.tasks.batches import LESSON_BATCH
from lstmgen.training.tasks.corpus import TUNE_END
from lstmgen.vocabulary import Vocabulary

Ids = NDArray[np.int32]

LEVELS = ("letters", "words")
RECIPES = ("default", "lesson", "strong")
# The values of settings that are not given, with the recipe "strong".
STRONG: dict[str, Any] = {
    "units": 640,
    "carry": True,
    "length": 100,
    "dropout": 0.5,
    "weight_decay": 0.1,
    "averaging": 0.999,
}
_LISTED = 8  # names of files that are shown
_STRONG_BATCH = 32  # sequences: the batch for which these settings were found
_LR = 4e-3
_UNIT = "bits/char"
_TOKEN = re.compile(r" ?\\?[^\W\d_]+| ?\d+| ?[^\w\s]|_|\s")


@described
@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """The settings of a training on text, beside those of `Settings`.

    >>> TextSettings(level="words", units=128).words
    4000
    """

    holdout: float = changed(Settings, "holdout", 0.05, most=1)
    level: str = setting(
        "letters",
        "letters: an element is a character. words: an element is a frequent word with the space before it, or a "
        "single character, so that no word is unknown. Joined, the elements are the text",
        choices=LEVELS,
        architecture=True,
    )
    recipe: str = setting(
        "default",
        "default: a target at each step, dropout, Adam with weight decay, and a learning rate that rises and then "
        "falls along a cosine. lesson: windows in order, each with the element after it as target, batches of "
        f"{LESSON_BATCH}, RMSprop with the rate 1e-3; with words, the lesson's layers and Adam. strong: as default, "
        "but with "
        + ", ".join(f"{name} {value}" for name, value in STRONG.items())
        + f", and without weight decay of biases. Its lr is {_LR:g} x sqrt(batch / {_STRONG_BATCH}) for a batch below "
        + f"{_STRONG_BATCH}, unless lr is given",
        choices=RECIPES,
    )
    batch: int | None = batch_setting(None, "by the size of the text")
    lr: float = lr_setting(_LR)
    embedding: int = setting(
        128, "size of the vector that stands for an element (level words)", least=1, most=65_536, architecture=True
    )
    window: int = setting(100, "elements of a window, from which the next one is drawn", least=1, most=65_536)
    carry: bool = setting(
        False,
        "carry the state of the network from each sequence to the next, and read the text in as many streams as a "
        "batch has sequences. The model then has no window, and remembers all that came before (recipe default)",
        quiet=True,
        shown="",
    )
    length: int = setting(50, "elements in a training sequence (recipe default)", least=2, most=65_536)
    weight_decay: float = setting(1e-2, "weight decay of Adam (recipe default)", least=0, most=1)
    averaging: float = setting(
        0.0,
        "factor by which each step keeps the averages of the weights, less in the first steps. The averages are "
        "measured and exported. 0: no averages",
        least=0,
        most=0.99999,
        quiet=True,
    )
    words: int = setting(
        4000,
        "most elements of the vocabulary, unless the text has more characters (level words)",
        least=2,
        most=65_536,
    )
    charset: str = setting("utf-8", "character set of the files", quiet=True)
    lower: bool = setting(False, "learn from the text in lower case", quiet=True, shown="")
    holdout_from: str = setting(
        "",
        "file of the corpus, by its name or path. Data are held out only of this file; with holdout 1, all of it",
        quiet=True,
        shown="all files",
    )
    column: str = setting("", "column of CSV files. The text is its cells, one in each line", quiet=True)
    abc: bool = setting(
        False,
        "the files are tunes in ABC notation. The model learns the notes of each tune, with lengths in eighths, and an "
        "empty line after it. Its default prime is an empty line, and a sample stops at the next one",
        quiet=True,
        shown="",
    )

    def check(self) -> None:
        """Raise `ValueError` for a wrong setting, `TypeError` for a wrong type.

        >>> TextSettings(holdout=1, holdout_from="last.txt").check()
        """
        super().check()
        check_holdout(self.holdout, self.holdout_from, "files", "one file")

    def unused(self) -> tuple[str, ...]:
        """Return the names of the settings that have no effect with the others.

        >>> TextSettings(level="letters").unused()
        ('embedding', 'words')
        """
        names = ["embedding", "words"] if self.level == "letters" else []
        if self.recipe == "lesson":
            names += ["batch", "lr", "dropout", "length", "weight_decay", "carry", "averaging"]
            names += ["units", "layers"] if self.level == "words" else []
        names += [] if self.holdout else ["holdout_from"]
        return tuple(names)

    def paced(self, elements: int) -> TextSettings:
        """Return these settings with a batch that suits a text of `elements` elements.

        A batch that was given stays. With the recipe "strong" and a batch below 32, `lr` is
        multiplied by sqrt(batch / 32), unless it was given. This is the rule of Malladi et al.
        (2022) for Adam. Without it, batches of 8 drove cell states beyond 800 for good.

        >>> TextSettings().paced(1000).batch
        8
        >>> TextSettings(recipe="strong").paced(1000).lr
        0.002
        """
        if self.recipe == "lesson":
            return self
        batch = self.batch or batch_for(elements // self.length)
        lr = self.lr
        if self.recipe == "strong" and "lr" not in self.told:
            lr = round(lr * math.sqrt(min(1, batch / _STRONG_BATCH)), 6)
        return replace(self, batch=batch, lr=lr)

    def completed(self) -> TextSettings:
        """Return these settings. Those that were not given have the values of the recipe.

        >>> TextSettings(recipe="strong", units=512).completed().dropout
        0.5
        """
        own = STRONG if self.recipe == "strong" else {}
        defaults = {one.name: one.default for one in fields(self)}
        free = {name: value for name, value in own.items() if name not in self.told}
        return replace(self, **{name: value for name, value in free.items() if getattr(self, name) == defaults[name]})


def batch_for(sequences: int) -> int:
    """Return the default batch for a text of `sequences` sequences. A short text needs more steps.

    >>> batch_for(1000), batch_for(10_000)
    (8, 32)
    """
    return 8 if sequences < 2000 else 16 if sequences < 8000 else 32


@with_keywords(ExportOptions, only=FACTS)
def train_text(
    corpus: corpora.Sources,
    out: str | os.PathLike[str],
    settings: TextSettings | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **facts: str | None,
) -> TrainingReport:
    """Train a generator of text, and export it.

    corpus: the path of a file or folder of text, or a list of paths.
    out: the path of the `.bin`. The model of Keras, a `.h5`, and the card, a `.md`, are written
        beside it.
    settings: see `TextSettings`. None: the defaults.
    callbacks: more callbacks of Keras, such as `keras.callbacks.TensorBoard`.
    facts: `name`, `description`, `author`, `license` and `source_url`, as in `lstmgen.export`.

    Returns a report with the paths and the figures. Raises `OSError` or `ValueError` that names the
    file for a corpus that cannot be used and for an output that cannot be written. Raises
    `ValueError` for a wrong setting, and `ImportError` without Keras. After Ctrl-C it saves the
    state for `resume`, and raises `KeyboardInterrupt`.
    """
    sources = corpora.paths(corpus)
    start = begin(Path(out), asked_for("train_text", TextSettings, settings, facts, FACTS), sources)
    settings = start.settings = start.settings.completed()
    read = corpora.read(
        sources,
        charset=settings.charset,
        lower=settings.lower,
        column=settings.column,
        abc=settings.abc,
        without=start.files.all,
    )
    text, names = read.text, read.names
    shown = ", ".join(map(str, sources))
    vocabulary = letters(text) if settings.level == "letters" else words(text, settings.words)
    ids = vocabulary.encode(text).astype(np.int32)
    settings = start.settings = settings.paced(len(ids))
    _check_size(shown, text, ids, vocabulary, settings)
    training, held_out = parts(shown, read, vocabulary, settings)
    about = _about(text, names, ids, settings)
    start.check_data(about, _UNIT)
    found = f"{len(text):,} characters, {len(ids):,} {settings.level}, {len(vocabulary):,} different"
    lines = [f"{shown}: {found}; {sum(map(len, held_out)):,} held out"]
    if any(os.path.isdir(source) for source in sources):  # what was found there is a guess
        lines.insert(0, _listed(names))
    steps, batch = batches.data_steps(settings, training), settings.batch or LESSON_BATCH
    announce(lines, _described(settings, len(vocabulary)), steps, batch, settings.epochs)
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
        unit=_UNIT,
        scale=len(ids) / len(text) / math.log(2),
        options={**_export_options(settings, vocabulary, ids), **facts},
        elements=Elements(vocabulary.elements, vocabulary.elements),
        facts=about,
        sample=lambda data: (_excerpt(data), None),
        measure=lambda data: _measured(data, held_out, vocabulary, settings.window) if held_out else {},
        callbacks=callbacks,
    )
    return run(job)


def _listed(names: Sequence[str]) -> str:
    """Return the names of the first files that are learnt from."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} file{'s' * (len(names) > 1)}: {', '.join(names[:_LISTED])}{more}"


def _about(text: str, names: Sequence[str], ids: Ids, settings: TextSettings) -> dict[str, Any]:
    """Return the facts on the data, for the card."""
    return {
        "corpus": names[0] if len(names) == 1 else list(names),
        "corpus_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "characters": len(text),
        "elements": len(ids),
        "recipe": settings.facts(),
        **({"notation": "abc", "sample": {"stop": [TUNE_END]}} if settings.abc else {}),
    }


def parts(
    shown: str, corpus: corpora.Corpus, vocabulary: Vocabulary, settings: TextSettings
) -> tuple[list[Ids], list[Ids]]:
    """Return the ids to learn from, and those to measure on.

    Raises `ValueError` if there are too few of them.
    """
    text, start, stop = corpus.text, 0, len(corpus.text)
    if settings.holdout_from:
        _, start, stop = corpus.part(settings.holdout_from)
    before, within, after = (
        vocabulary.encode(part).astype(np.int32) for part in (text[:start], text[start:stop], text[stop:])
    )
    kept, held_out = split(within, settings.holdout, least=2 * settings.window)
    training = [part for part in (before, *kept, after) if len(part)]
    least = settings.window if settings.recipe == "lesson" else settings.length
    shortest = min(map(len, held_out), default=0 if settings.holdout_from else math.inf)
    if max(map(len, training)) <= least or shortest <= settings.window:
        raise ValueError(
            f"{settings.holdout_from or shown}: too short for {option('holdout', settings.holdout)}: expected more "
            f"than {least} {settings.level} in a row to learn from, and {settings.window} to measure on: give a longer "
            "text, another holdout (0: none), or a smaller window and length"
        )
    return training, held_out


def _export_options(settings: TextSettings, vocabulary: Vocabulary, ids: Ids) -> dict[str, Any]:
    """Return the options of the export."""
    return {
        "vocab": list(vocabulary.elements),
        "vocabulary_kind": "text",
        "encoding": "onehot" if settings.level == "letters" else "index",
        "padding": "none",
        "prime": vocabulary.encode(TUNE_END).tolist() if settings.abc else ids[: settings.window].tolist(),
        "window": None if settings.carry else settings.window,
    }


# -- vocabularies --------------------------------------------------------------------------------


def letters(text: str) -> Vocabulary:
    """Return the characters of a text, sorted."""
    return Vocabulary(sorted(set(text)), "text")


def words(text: str, most: int) -> Vocabulary:
    """Return a vocabulary of all characters, and of the most frequent words.

    A word has the space before it. most: the highest number of elements, if there are not more
    characters.
    """
    characters = set(text)
    counts = Counter(token for token in _TOKEN.findall(text) if len(token) > 1)
    room = max(0, most - len(characters))
    frequent = [token for token, count in counts.most_common(room) if count > 1]
    return Vocabulary(sorted(characters | set(frequent)), "text")


def _check_size(path: str, text: str, ids: Ids, vocabulary: Vocabulary, settings: TextSettings) -> None:
    if not text:
        raise ValueError(f"{path}: it is empty: give a text")
    if len(vocabulary) < 2:
        raise ValueError(f"{path}: expected at least two different characters, found only {text[0]!r}")
    least = settings.window + 1 if settings.recipe == "lesson" else settings.length + 1
    least += settings.batch or 0
    if len(ids) < least:
        raise ValueError(
            f"{path}: expected at least {least} {settings.level}, found {len(ids)}: give a longer text, or a smaller "
            "window, length and batch"
        )


def split(ids: Ids, holdout: float, blocks: int = 6, least: int = 1) -> tuple[list[Ids], list[Ids]]:
    """Cut evenly spaced blocks out of a text. Returns the pieces that stay, and the blocks.

    holdout: the share of the elements in all blocks together.
    blocks: how many blocks there are at most. There is at least one.
    least: how many elements a block has, if there are several blocks.
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
    """Return a sample of a generator, in one line."""
    from lstmgen.generator import Generator
    from lstmgen.model import Model

    elements = Generator(Model(data)).stream(length, temp=2 / 3, seed=1, refresh=None)
    text = "".join(map(str, elements))[:length]
    return "".join(c if c.isprintable() else " " for c in text)


def _measured(data: bytes, held_out: list[Ids], vocabulary: Vocabulary, window: int) -> dict[str, Any]:
    """Return the bits per character of the held-out texts, as `Generator.score` computes them.

    The first `window` elements of each text are only context.
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
    ways = {"window": 1, "carried": None} if generator.model.window else {"carried": None}
    for way, refresh in ways.items():
        total = sum(bits(piece, refresh) - bits(piece[:window], refresh) for piece in held_out)
        characters = sum(len(vocabulary.elements[i]) for piece in held_out for i in piece[window:])
        figures[way] = round(total / characters, 4)
    return {"held_out_bits_per_char": figures}


# -- recipes -------------------------------------------------------------------------------------


def _described(settings: TextSettings, n: int) -> Outline:
    """Return in words the network to train. It needs no Keras."""
    network = Outline("one-hot" if settings.level == "letters" else "ids", n)
    if settings.level == "words":
        network.embedding(settings.embedding)
    if settings.level == "words" and settings.recipe == "lesson":
        return network.lstm(256).lstm(256).dense(128).dense(n)
    for _ in range(settings.layers):
        network.lstm(settings.units)
    return network.dense(n)


def _input(keras: Any, settings: TextSettings, n: int, steps: int | None, rows: int | None = None) -> list[Any]:
    """Return the first layers: the input, and an Embedding for words."""
    if settings.level == "letters":
        return [keras.Input(batch_shape=(rows, steps, n))]
    return [keras.Input(batch_shape=(rows, steps)), keras.layers.Embedding(n, settings.embedding, name="embedding")]


def per_step(
    keras: Any,
    settings: TextSettings,
    n: int,
    training: list[Ids],
    held_out: list[Ids],
    keys: NDArray[np.int32] | None = None,
    *,
    ends: bool = False,
) -> Any:
    """Return (model to train, function that makes the one to save, batches, held-out data).

    keys: an array of the shape (k, n), or None. Row i has the id of each element in the i-th of k
        equivalent forms, such as the keys of music. Each training sequence has a random form.
    ends: whether an epoch has the first and the last slice of each text.
    """
    layers = keras.layers

    carry = settings.carry

    def network(*, saved: bool) -> Any:
        rows = None if not carry else 1 if saved else batches.known(settings.batch)
        stack = _input(keras, settings, n, settings.window if saved and not carry else None, rows)
        for i in range(settings.layers):
            sequences = not saved or i < settings.layers - 1
            stack.append(layers.LSTM(settings.units, return_sequences=sequences, stateful=carry, name=f"lstm_{i + 1}"))
            stack.append(layers.Dropout(settings.dropout, name=f"dropout_{i + 1}"))
        stack.append(layers.Dense(n, activation="softmax" if saved else None, name="dense"))
        return keras.Sequential(stack)

    lr = settings.lr
    steps = batches.data_steps(settings, training) * settings.epochs
    warmup = max(1, min(100, steps // 5))
    schedule = keras.optimizers.schedules.CosineDecay(
        lr / 50, max(1, steps - warmup), warmup_target=lr, warmup_steps=warmup
    )
    averages = {"use_ema": True, "ema_momentum": settings.averaging} if settings.averaging else {}
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, clipnorm=1.0, **averages)
    if settings.averaging:
        _follow_soon(keras, optimizer)
    if settings.recipe == "strong":
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = network(saved=False)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    onehot = n if settings.level == "letters" else None
    if carry:
        data = batches.streams(training, settings, onehot)
    else:
        data = batches.slices(training, settings, onehot, keys, ends)
    batch = batches.known(settings.batch)
    measured = batches.shared_out(held_out, batch, settings.window) if carry else held_out
    validation = batches.whole(measured, settings.window, onehot)
    if validation is not None and carry:
        validation = batches.rows(validation, batch).dataset(keras)
    return model, lambda: network(saved=True), data, validation


def _follow_soon(keras: Any, optimizer: Any) -> None:
    """Let the averages of the weights forget the first steps.

    Step t keeps them by a factor of at most (1 + t) / (10 + t), as
    `tf.train.ExponentialMovingAverage` with `num_updates`.
    """
    ops, most = keras.ops, optimizer.ema_momentum

    def update(weights: Sequence[Any]) -> None:
        steps = ops.cast(optimizer.iterations, "float32")
        kept = ops.where(steps > 0, ops.minimum(most, (1 + steps) / (10 + steps)), 0.0)
        for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
            average.assign(kept * average + (1 - kept) * weight)

    optimizer._update_model_variables_moving_average = update


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
        return batches.encoded(ids, onehot)

    data = batches.windows(training, settings.window, LESSON_BATCH, encode)
    validation = batches.windows(held_out, settings.window, 250, encode).dataset(keras) if held_out else None
    return model, network, data, validation
