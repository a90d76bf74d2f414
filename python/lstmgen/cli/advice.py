"""The next commands to type. They run as they are printed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lstmgen
from lstmgen.music.elements import recognise_vocabulary

_LENGTH = 200  # elements of a first sample
_NOTES = 120


def kind(model: lstmgen.Model) -> str:
    """Return what a model is: "generator", "generator of notes", "classifier" or "predictor"."""
    if model.heads:
        return "generator of notes"
    if model.labels:
        return "classifier"
    return "generator" if model.generates else "predictor"


def is_abc(model: lstmgen.Model) -> bool:
    """Return whether the text of a model is tunes in ABC notation, as its card says."""
    card = model.metadata["card"]
    return isinstance(card, dict) and card.get("notation") == "abc"


def commands(model: lstmgen.Model, name: str) -> list[str]:
    """Return commands to try with the `.bin` called `name`, as lines for a shell."""
    if model.heads:
        return [_shell("sample", name, "--length", _NOTES, "-o", f"{_stem(name)}.mid")]
    if is_abc(model):
        return [_shell("sample", name, *_prime(model), "-o", f"{_stem(name)}.abc", "-o", f"{_stem(name)}.mid")]
    if model.generates:
        return [_shell("sample", name, *_prime(model), "--length", _LENGTH, *_music(model, name))]
    if model.labels and (example := _sequence(model)) is not None:
        return [_shell("classify", name, example)]
    return [_shell("predict", name, "--example")]


def export_command(path: str, given: Mapping[str, Any]) -> tuple[str, str]:
    """Return the command that exports a file of Keras, and the name of its `.bin`.

    given: the flags of the export, with their values.
    """
    out = _free(Path(path).name)
    flags = [text for flag, value in given.items() for text in ((flag,) if value is True else (flag, value))]
    return _shell("export", path, out, *flags), out


def _shell(*words: object) -> str:
    return shlex.join(["lstmgen", *map(str, words)])


def _free(name: str) -> str:
    """Return the name of a new `.bin` in this folder."""
    stem = name.removesuffix(".weights.h5") if name.endswith(".weights.h5") else os.path.splitext(name)[0]
    stem = (stem or "model").lstrip("-") or "model"
    names = (f"{stem}{'' if i == 1 else f'-{i}'}.bin" for i in range(1, 1_000_000))
    return next(name for name in names if not os.path.lexists(name))


def _stem(name: str) -> str:
    """Return the name, without its suffix, of a file in this folder that is made from another."""
    return os.path.splitext(os.path.basename(name))[0].lstrip("-") or "notes"


def _prime(model: lstmgen.Model) -> Sequence[str]:
    """Return the option that gives a prime, if the model needs one."""
    padded = model.padding is not None or model.zero_padding
    if len(model.prime) or (padded and model.window):
        return ()
    count = model.window if model.fixed_steps else 1
    text = _text(model, count)
    if text is not None:
        return "--prime", text
    element = 1 if model.padding == 0 else 0
    return "--prime-ids", ",".join([str(element)] * count)


def _music(model: lstmgen.Model, name: str) -> Sequence[str]:
    """Return the option that writes a sample as music, if the elements are music."""
    vocabulary = model.vocabulary
    if vocabulary is None or vocabulary.kind != "tokens" or recognise_vocabulary(vocabulary.elements) is None:
        return ()
    return "-o", f"{_stem(name)}.mid"


def _sequence(model: lstmgen.Model) -> str | None:
    """Return a sequence for a classifier, if it can be written as text."""
    if model.encoding == "features":
        return " ".join(["0"] * (model.window or 8)) if model.input_shape[-1] == 1 else None
    return _text(model, 1)


def _text(model: lstmgen.Model, count: int) -> str | None:
    """Return a text of `count` elements. None if no element is easy to type."""
    vocabulary = model.vocabulary
    if vocabulary is None:
        return None
    plain = [e for e in vocabulary.elements if e.isprintable() and e and not e.isspace() and not e.startswith("-")]
    for element in sorted(plain, key=lambda e: not e.isalnum()):
        text = ("" if vocabulary.kind == "text" else " ").join([element] * count)
        try:
            ids = vocabulary.encode(text)
        except ValueError:
            continue
        if len(ids) == count and not (ids == model.padding).any():
            return text
    return None
