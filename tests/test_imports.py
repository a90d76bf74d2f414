"""Imports between modules point one way, and few modules import a heavy package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

import lstmgen

PACKAGE = Path(lstmgen.__file__).parent
PATHS = {
    ".".join(("lstmgen", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


@cache
def trees() -> dict[str, ast.Module]:
    """What each module says."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in PATHS.items()}


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The full names of what these statements import: modules, or names in modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str | None:
    """The module of the package that `name` is, or is in."""
    return next((found for found in (name, name.rpartition(".")[0]) if found in PATHS), None)


def test_no_circle_of_imports() -> None:
    # Imports in functions count, and those for checkers of types. `lstmgen` names what it offers.
    others = {name: tree for name, tree in trees().items() if name != "lstmgen"}
    arrows = {
        name: {module for found in imported(ast.walk(tree)) if (module := module_of(found)) in others.keys() - {name}}
        for name, tree in others.items()
    }
    assert arrows["lstmgen.stream"] >= {"lstmgen.model", "lstmgen.options"}  # the walk sees what there is
    left = set(arrows)
    while free := {name for name in left if not arrows[name] & left}:
        left -= free
    assert not left, f"each of these imports another of them: {sorted(left)}"


@pytest.mark.parametrize("package", [name for name in PATHS if PATHS[name].name == "__init__.py"])
def test_a_package_that_lists_its_modules_lists_all(package: str) -> None:
    listed = set(re.findall(r"`(\w+\.py)`", ast.get_docstring(trees()[package]) or ""))
    if len(listed) > 1:  # the command line lists its main module alone
        assert listed == {path.name for path in PATHS[package].parent.glob("*.py")} - {"__init__.py"}


# -- heavy packages --------------------------------------------------------------------------------

DOORS = {
    "h5py": {"lstmgen.keras_file.hdf5", "lstmgen.keras_file.child"},
    "music21": {"lstmgen.music.scores", "lstmgen.music.parsing"},
    "matplotlib": {"lstmgen.music.piano_roll", "lstmgen.evaluation.plot"},
    "tqdm": {"lstmgen.progress"},
    "pyarrow": {"lstmgen.rows"},
    "ray": {"lstmgen.ray"},
    "shtab": {"lstmgen.cli.completion"},
    "prompt_toolkit": {"lstmgen.cli.play"},
    "keras": {"lstmgen.keras", "lstmgen.training.backend"},
    "tensorflow": set[str](),
    "starlette": {"lstmgen.serving.app", "lstmgen.cli.serve"},
    "uvicorn": {"lstmgen.serving.server", "lstmgen.cli.serve"},
    "lstmgen._core": {
        *("lstmgen.model", "lstmgen.generator", "lstmgen.stream"),  # what users hold
        "lstmgen.engine_terms",  # the defaults of what these tell it
        "lstmgen.binfile.repacking",  # asks the engine whether a file is sound
        *("lstmgen.exporting", "lstmgen.grammar_facts"),  # ask it whether a grammar is
        "lstmgen.vocabulary.vocabulary",  # asks it for the longest elements in a text
    },
}


@cache
def all_imported() -> dict[str, set[str]]:
    """What each module imports, also by name."""
    return {name: {*imported(ast.walk(tree)), *by_name(tree)} for name, tree in trees().items()}


@pytest.mark.parametrize("package", DOORS)
def test_a_package_is_imported_by_the_modules_that_may(package: str) -> None:
    users = {
        name
        for name, all_of in all_imported().items()
        if any(f"{found}.".startswith(f"{package}.") for found in all_of)
    }
    assert users == DOORS[package]


def by_name(tree: ast.Module) -> Iterator[str]:
    """Return modules imported by name: `import_module("keras")`, `music21("music21.stream")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func).rpartition(".")[2].strip("_")
            if function in ("import_module", "music21", "matplotlib"):
                yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


def test_the_engine_is_reached_by_what_users_hold_alone() -> None:
    users = {
        name
        for name, tree in trees().items()
        if any(isinstance(node, ast.Attribute) and node.attr == "_native" for node in ast.walk(tree))
    }
    assert users == {"lstmgen.model", "lstmgen.generator", "lstmgen.stream"}


# -- what is imported when -------------------------------------------------------------------------


def modules_after(code: str, *blocked: str) -> set[str]:
    """The modules that a fresh Python has after `code`.

    It cannot import those that are `blocked`.
    """
    before = "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    program = f"import sys\n{before}{code}\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_the_package_is_light() -> None:
    found = {name for name in modules_after("import lstmgen") if name.startswith("lstmgen")}
    assert found == {"lstmgen"}


def test_a_first_element_needs_few_modules() -> None:
    # Imports are most of what a start takes beyond numpy: pathlib alone took a quarter of it.
    drawn = modules_after("import numpy\nfrom lstmgen import Generator\nGenerator('latex').sample(1)")
    dear = {"asyncio", "ctypes", "decimal", "difflib", "pathlib", "random", "subprocess", "tempfile", "zipfile"}
    assert not (drawn - modules_after("import numpy")) & dear


def test_help_imports_no_numpy() -> None:
    code = (
        "import contextlib, io, lstmgen.cli.main as cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): cli.main(['--help'])"
    )
    assert not modules_after(code) & {"numpy", "h5py", "lstmgen._core"}


@pytest.mark.parametrize(
    ("use", "of"),
    [
        ("lstmgen.music.decode", "lstmgen.music.piece"),
        ("lstmgen.training.train_text", "lstmgen.training.tasks.text"),
        ("lstmgen.verify.verify", "lstmgen.verify"),
        ("lstmgen.bench.measure", "lstmgen.bench"),
    ],
)
def test_public_modules_are_attributes(use: str, of: str) -> None:
    code = f"import lstmgen\nassert {of!r} not in sys.modules\n{use}"
    assert of in modules_after(code, "keras", "tensorflow", "music21", "matplotlib")


def test_the_callback_is_an_attribute(keras: object) -> None:
    assert lstmgen.keras.ExportCallback.__module__ == "lstmgen.keras"
    assert {"keras", "music", "training", "verify"} <= set(dir(lstmgen))


def test_without_keras_the_callback_says_what_to_install() -> None:
    code = "import lstmgen\ntry: lstmgen.keras\nexcept ImportError as error: print(*error.__notes__)"
    assert "'lstmgen[train]'" in modules_after(code, "keras")


def test_what_is_no_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'lstmgen' has no attribute 'nonsense'"):
        lstmgen.nonsense  # noqa: B018
