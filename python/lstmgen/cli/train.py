"""`lstmgen train`."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

from lstmgen.binfile.writer import DTYPES
from lstmgen.music import ENCODINGS, READABLE
from lstmgen.training.loop import Report, Settings
from lstmgen.training.tasks.classifier import HEADERS, KINDS, ClassifierSettings, train_classifier
from lstmgen.training.tasks.music import MusicSettings, train_music
from lstmgen.training.tasks.text import LEVELS, RECIPES, TextSettings, train_text

_SOURCES = {
    "corpus": "what to learn from, a UTF-8 text file",
    "music": f"what to learn from: {', '.join(READABLE)} files, or folders of them",
    "csv": "what to learn from, a UTF-8 CSV of sequence,label",
}
_FACTS = {
    "name": "of the model, for its card",
    "description": "a sentence on the model, for its card",
    "author": "who made the model, for its card",
    "license": "of the model, such as CC0-1.0, for its card",
    "source_url": "where the model or its corpus is from, for its card",
}
_METAVARS = {int: "N", float: "X"}
_CHOICES = {
    "level": LEVELS,
    "recipe": RECIPES,
    "dtype": DTYPES,
    "encoding": ENCODINGS,
    "kind": KINDS,
    "header": HEADERS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add(kinds, "text", "a text, by letters or words", "corpus", TextSettings, train_text)
    _add(kinds, "music", "music: files, or folders of them", "music", MusicSettings, train_music)
    _add(kinds, "classifier", "sequences with labels, from a CSV", "csv", ClassifierSettings, train_classifier)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    args.train(args)


def _add(
    kinds: Any, kind: str, about: str, source: str, settings: type[Settings], train: Callable[..., Report]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(kind, help=about, description=f"Train on {about}.")
    parser.add_argument(source, nargs="+" if kind == "music" else None, help=_SOURCES[source])
    parser.add_argument(
        *("-o", "--output"),
        required=True,
        metavar="BIN",
        help="the .bin to write; its .h5 and its card, a .md, beside it",
    )
    for field in dataclasses.fields(settings):
        _add_setting(parser, field, _meanings(settings))
    for fact, about in _FACTS.items():
        parser.add_argument(f"--{fact.replace('_', '-')}", metavar="TEXT", help=about)
    parser.set_defaults(train=lambda args: _train(args, source, settings, train))
    return parser


def _add_setting(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], meanings: dict[str, str]) -> None:
    flag = f"--{field.name.replace('_', '-')}"
    about = meanings.get(field.name, "")
    if isinstance(field.default, bool):
        parser.add_argument(flag, action="store_true", help=about)
        return
    shown = f"{about} ({field.default})".strip()
    kind = type(field.default)
    choices = _CHOICES.get(field.name)
    metavar = None if choices else _METAVARS[kind]
    parser.add_argument(flag, type=kind, default=field.default, choices=choices, metavar=metavar, help=shown)


def _meanings(settings: type[Settings]) -> dict[str, str]:
    """What each setting means, from the docstrings, where they stand as `name, name: meaning.`"""
    names = "|".join(field.name for field in dataclasses.fields(settings))
    meanings: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        text = " ".join((kind.__doc__ or "").split())
        parts = re.split(rf"(?:^|[\s`])((?:{names})(?:, (?:{names}))*)`?: ", text)
        for listed, meaning in zip(parts[1::2], parts[2::2], strict=False):
            meanings |= dict.fromkeys(listed.split(", "), meaning.strip().rstrip(".;").replace("%", "%%"))
    return meanings


def _train(args: argparse.Namespace, source: str, settings: type[Settings], train: Callable[..., Report]) -> None:
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(settings)}
    facts = {fact: getattr(args, fact) for fact in _FACTS}
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
        report = train(getattr(args, source), args.output, settings(**values), **facts)
    print(
        f"{report.out}: {report.best:.3f} {report.unit} after {len(report.history)} epochs, "
        f"{report.minutes:.1f} min; beside it are the Keras model, {report.keras_model.name}, and its card, "
        f"{report.card.name}",
        file=sys.stderr,
    )
