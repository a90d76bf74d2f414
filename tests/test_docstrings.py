"""Docstrings: each public function, class and method has an example, and every example is right."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import lstmgen

PACKAGE = Path(lstmgen.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
EXAMPLES = [name for name, path in MODULES.items() if ">>>" in path.read_text(encoding="utf-8")]
NEEDED = {"lstmgen.keras": "keras", "lstmgen.music.piano_roll": "matplotlib", "lstmgen.music": "music21"}

# Rooms whose functions only the package calls. An example would first have to make what they take.
INNER = {
    "lstmgen.__main__": "it runs the command line, as the tests of each command do",
    "lstmgen.cli": "its functions take a parsed command line",
    "lstmgen.keras_file": "its functions take open files and configs of layers",
    "lstmgen.serving": "its functions take requests and running samples",
    "lstmgen.training": "its functions take networks of Keras",
}
# Public names, in such rooms and in others, whose docstrings have no example.
WITHOUT = {
    "lstmgen.keras.ExportCallback.on_train_begin": "Keras calls it",
    "lstmgen.keras.ExportCallback.on_epoch_end": "Keras calls it",
    "lstmgen.music.audio.Playing.ended": "the example of the class has it",
    "lstmgen.music.audio.Playing.stop": "it makes no sound; `ended` shows how one ends",
    "lstmgen.music.note_generator.NoteGenerator.sample": "the example of the class has it",
    "lstmgen.music.note_generator.NoteGenerator.stream": "the example of the class has it",
    **{
        f"lstmgen.music.note_generator.NoteStream{name}": "the example of NoteGenerator has it"
        for name in ("", ".copy", ".feed")
    },
    "lstmgen.ray.sample_dataset": "it starts a cluster: docs/many.md, tests/test_ray.py",
    **{
        f"lstmgen.rows.{name}": "the example of the class has it"
        for name in (
            "Rows.draw",
            *(f"Parts.{what}" for what in ["begin", "missing", "done", "write", "pieces", "join", "delete"]),
        )
    },
    "lstmgen.training.tasks.classifier.train_classifier": "a training takes long: docs/training.md",
    "lstmgen.training.tasks.music.train_music": "a training takes long: docs/training.md",
    "lstmgen.training.tasks.text.train_text": "a training takes long: docs/training.md",
}


def inner(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in INNER)


def public(body: list[ast.stmt], name: str) -> Iterator[tuple[str, str]]:
    """Yield the full name and the docstring of each public class, function and method."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        properties = {"property", "cached_property"}
        if not any(isinstance(by, ast.Name) and by.id in properties for by in node.decorator_list):
            yield f"{name}.{node.name}", ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{name}.{node.name}")


def without_example() -> set[str]:
    found = set()
    for module, path in MODULES.items():
        for name, text in public(ast.parse(path.read_text(encoding="utf-8")).body, module):
            offered = any(name == other or name.startswith(f"{other}.") for other in told())
            if ">>>" not in text and (offered or not inner(module)):
                found.add(name)
    return found


@functools.cache
def told() -> set[str]:
    """Return the full names of what the packages `lstmgen` and `lstmgen.training` offer."""
    found = set()
    for room in (lstmgen, lstmgen.training):
        for name in room.__all__:
            home = getattr(getattr(room, name), "__module__", "")
            found.add(f"{home}.{name}")
    return found


def test_every_public_callable_has_an_example() -> None:
    assert without_example() == set(WITHOUT)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_are_right(module: str) -> None:
    for room, package in NEEDED.items():
        if module == room or module.startswith(f"{room}."):
            pytest.importorskip(package)
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
