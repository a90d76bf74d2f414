"""`lstmgen train`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lstmgen.cli.main import flag
from lstmgen.cli.streams import DASH, check_one_stdin, file_name, read_stdin
from lstmgen.inputs import MAX_CORPUS
from lstmgen.music import READABLE
from lstmgen.training import (
    ClassifierSettings,
    MusicSettings,
    Settings,
    TextSettings,
    TrainingReport,
    progress,
    train_classifier,
    train_music,
    train_text,
)
from lstmgen.training.settings import allowed


class _Task(NamedTuple):
    """One kind of training.

    about: what is learnt, in words. source: name of the argument, with several values or one, and
    what it means. use: the command to type next. stdin: whether it may be read from there.
    """

    about: str
    source: str
    several: bool
    meaning: str
    settings: type[Settings]
    train: Callable[..., TrainingReport]
    use: str
    stdin: bool = True


_TASKS = {
    "text": _Task(
        "a text, by letters or words",
        *("corpus", True, "what to learn from: text files, or folders of them; - is stdin"),
        *(TextSettings, train_text),
        "lstmgen sample {bin}",
    ),
    "music": _Task(
        "music: files, or folders of them",
        *("music", True, f"what to learn from: {', '.join(READABLE)} files, or folders of them"),
        *(MusicSettings, train_music),
        "lstmgen sample {bin} -o {stem}.mid",
        stdin=False,  # suffixes say what the files are
    ),
    "classifier": _Task(
        "sequences with labels, from a CSV",
        *("csv", False, "what to learn from, a UTF-8 CSV of sequence,label; - is stdin"),
        *(ClassifierSettings, train_classifier),
        "lstmgen classify {bin} --file {source}",
    ),
}
_FACTS = {
    "name": "name of the model, for its card",
    "description": "a sentence on the model, for its card",
    "author": "who made the model, for its card",
    "license": "licence of the model, such as CC0-1.0, for its card",
    "source_url": "where the model or its corpus is from, for its card",
}
_METAVARS = {int: "N", float: "X", str: "TEXT"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, task in _TASKS.items():
        _add(kinds, kind, task)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    args.train(args)


def _add(kinds: Any, kind: str, task: _Task) -> None:
    parser: argparse.ArgumentParser = kinds.add_parser(kind, help=task.about, description=f"Train on {task.about}.")
    parser.add_argument(task.source, nargs="+" if task.several else None, type=file_name, help=task.meaning)
    parser.add_argument(
        *("-o", "--output"),
        type=file_name,
        required=True,
        metavar="BIN",
        help="the .bin to write; the Keras model, a .h5, and the card, a .md, are written beside it",
    )
    for field in dataclasses.fields(task.settings):
        if field.metadata:
            _add_setting(parser, field)
    for fact, about in _FACTS.items():
        parser.add_argument(flag(fact), metavar="TEXT", help=about)
    parser.set_defaults(train=lambda args: _train(args, task))


def _add_setting(parser: argparse.ArgumentParser, field: dataclasses.Field[Any]) -> None:
    about = field.metadata
    values = allowed(field) if about["least"] is not None else ""
    shown = "; ".join(filter(None, (values, about["shown"] and f"default: {about['shown']}")))
    told: dict[str, Any] = {"dest": f"setting_{field.name}", "default": None}
    told["help"] = f"{about['about']}{f' ({shown})' if shown else ''}".replace("%", "%%").replace("`", "")
    if about["kind"] is bool:
        told["action"] = "store_const"
        told["const"] = True
    else:
        told |= {"type": file_name if about["path"] else about["kind"], "choices": about["choices"]}
        told["metavar"] = None if about["choices"] else "MODEL" if about["path"] else _METAVARS[about["kind"]]
    parser.add_argument(flag(field.name), **told)


def _train(args: argparse.Namespace, task: _Task) -> None:
    given = {
        field.name: getattr(args, f"setting_{field.name}")
        for field in dataclasses.fields(task.settings)
        if field.metadata and getattr(args, f"setting_{field.name}") is not None
    }
    facts = {fact: getattr(args, fact) for fact in _FACTS}
    source = getattr(args, task.source)
    with _without_stdin(source, task) as read:
        report = task.train(read, args.output, task.settings(**given), **facts)
    names = {"bin": report.out, "stem": report.out.with_suffix(""), "source": source}
    progress.say(ended(report))
    progress.say(f"next: {task.use.format(**{name: shlex.quote(str(path)) for name, path in names.items()})}")


@contextlib.contextmanager
def _without_stdin(source: Any, task: _Task) -> Iterator[Any]:
    """Give the sources with a file that holds stdin in the place of `-`."""
    sources = source if task.several else [source]
    check_one_stdin(*sources)
    if DASH not in sources:
        yield source
        return
    if not task.stdin:
        raise ValueError("-: music is read from files, whose suffixes say what they are, not from stdin")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stdin")
        path.write_bytes(read_stdin(MAX_CORPUS))
        read = [str(path) if name == DASH else name for name in sources]
        yield read if task.several else read[0]


def ended(report: TrainingReport) -> str:
    """Return how a training ended, in words."""
    count = len(report.history)
    epochs = f"{count} epoch{'' if count == 1 else 's'}"
    figure = f"{report.best:.3f} {report.unit}"
    if not report.improved:
        return f"{report.out}: it is as it was: {epochs}, none better than its epoch {report.best_epoch} with {figure}"
    return (
        f"{report.out}: {figure}, the best of {epochs}: epoch {report.best_epoch}; "
        f"{progress.duration(60 * report.minutes)}. Beside it are the Keras model, {report.keras_model.name}, and the "
        f"card, {report.card.name}"
    )
