"""The table of the options of sampling, and the checks, help, documents and errors made from it."""

from __future__ import annotations

import ast
import functools
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen import _core, arguments, errors, options
from lstmgen.cli import main as cli
from lstmgen.errors import OptionError, option
from lstmgen.exporting import ExportOptions
from support.networks import packed

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "lstmgen"


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


# -- the table -------------------------------------------------------------------------------------


def test_the_document_has_the_table_of_the_code() -> None:
    text = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- the table: .*? -->\n(.*?)\n<!-- end of the table -->", text, re.DOTALL)
    assert table == options.table()


@pytest.mark.parametrize("name", options.TABLE)
def test_each_option_says_what_it_means(name: str) -> None:
    entry = options.TABLE[name]
    assert re.fullmatch(r"[^ ].*[^ ]\.", entry.meaning)
    assert "  " not in entry.meaning
    assert options.default(name)
    if "Filter" in entry.meaning:
        assert "llama.cpp" in entry.source


def test_the_engine_has_the_defaults_of_the_table() -> None:
    for name, value in _core.sampler_defaults().items():
        default = options.TABLE[name].default
        assert default is None or value == default


def test_what_the_table_says_is_the_default_changes_nothing(gen: lstmgen.Generator) -> None:
    given: dict[str, Any] = {
        name: entry.default for name, entry in options.TABLE.items() if entry.default is not None and name != "length"
    }
    assert gen.sample(60, seed=1, **given) == gen.sample(60, seed=1)


def test_none_is_the_same_as_leaving_an_option_out(gen: lstmgen.Generator) -> None:
    given: dict[str, Any] = {name: None for name, entry in options.TABLE.items() if not entry.none and name != "seed"}
    assert gen.sample(60, seed=1, **given) == gen.sample(60, seed=1)


def edges() -> Iterator[tuple[str, Any, bool]]:
    """Values on both sides of each end of each range."""
    tiny = 1e-9
    for name, entry in options.TABLE.items():
        kind = entry.values
        if isinstance(kind, arguments.Integer):
            yield from ((name, kind.least, True), (name, kind.least - 1, False), (name, 2**kind.bits, False))
            if kind.most is not None:
                yield from ((name, kind.most, True), (name, kind.most + 1, False))
            for other in range(kind.least, max(kind.only, default=kind.least)):
                yield name, other, other in kind.only
        elif isinstance(kind, arguments.Number) and kind.least == -float("inf"):
            yield from ((name, x, False) for x in (kind.least, kind.most, float("nan")))
            yield from ((name, -1e300, True), (name, 1e300, True))
        elif isinstance(kind, arguments.Number):
            yield from ((name, kind.least, not kind.without_least), (name, kind.least - tiny, False))
            yield from ((name, kind.least + tiny, True), (name, float("nan"), False))
            yield from ((name, min(kind.most, 1e300), True), (name, kind.most + tiny, False))


MILLION = pytest.mark.slow(reason="draws a million candidates, 40 s for one of 100 cases")


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [pytest.param(*edge, marks=[MILLION] if edge == ("best_of", 2**20, True) else []) for edge in edges()],
)
def test_the_engine_has_the_ranges_of_the_table(gen: lstmgen.Generator, name: str, value: Any, fine: bool) -> None:
    draw: Any = functools.partial(gen.sample, 1) if options.TABLE[name].one_of == "search" else gen.stream
    if fine:
        draw(**{name: value})
        return
    with pytest.raises(OptionError) as caught:
        draw(**{name: value})
    assert caught.value.option == name
    if name in _core.sampler_defaults() and isinstance(options.TABLE[name].values, arguments.Number):
        with pytest.raises(ValueError, match=f"^{name}: expected {re.escape(caught.value.expected)}, found"):
            _core.Generator(gen.model._native, {name: value}, refresh=1, threads=1)


def ways(gen: lstmgen.Generator) -> list[Any]:
    """Return all that takes these options."""
    return [gen.sample, gen.stream, gen.astream, functools.partial(gen.sample_many, 2)]


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected", "found", "kind"),
    [
        ({"top_p": 2}, "a number in (0, 1]", 2.0, ValueError),
        ({"top_k": "x"}, "an integer", "x", TypeError),
        ({"include_prime": 1}, "True or False", 1, TypeError),
        ({"stop": 5}, "a text or a list of texts", 5, TypeError),
        ({"prime": b"abc"}, "text, elements or ids", b"abc", TypeError),
        ({"on_unknown": 5}, "'error', 'skip' or an element", 5, TypeError),
        ({"logit_bias": [1]}, "a mapping from elements or ids to numbers", [1], TypeError),
        ({"refresh": 0}, "at least 1", 0, ValueError),
    ],
)
def test_an_option_error_says_what_was_expected_and_found(
    gen: lstmgen.Generator, given: Any, expected: str, found: Any, kind: type[Exception]
) -> None:
    for draw in ways(gen):
        with pytest.raises(OptionError) as caught:
            draw(**given)
        error = caught.value
        (name,) = given
        assert (error.option, error.expected, error.found) == (name, expected, found)
        assert isinstance(error, kind)
        assert isinstance(error, ValueError)
        assert str(error) == f"{name}: expected {expected}, found {found!r}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_long_value_is_cut_short_in_a_message(gen: lstmgen.Generator) -> None:
    with pytest.raises(OptionError) as caught:
        gen.sample(top_k="x" * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 120
    assert len(str(caught.value.found)) == 10_000


@pytest.mark.parametrize(
    ("typed", "near"), [("tmep", "temp"), ("topk", "top_k"), ("Temp", "temp"), ("stops", "stop"), ("dance", None)]
)
def test_an_unknown_option_is_a_type_error_that_suggests_a_known_one(
    gen: lstmgen.Generator, typed: str, near: str | None
) -> None:
    said = f"got an unexpected keyword argument '{typed}'" + (f": did you mean '{near}'\\?" if near else "$")
    for draw in ways(gen):
        with pytest.raises(TypeError, match=said):
            draw(**{typed: 1})


def test_an_option_of_export_is_suggested_too() -> None:
    with pytest.raises(TypeError, match="export has no option vocb: did you mean 'vocab'"):
        lstmgen.export("x.h5", "x.bin", vocb=1)  # type: ignore[call-arg]


def test_an_option_by_position_and_by_name_is_an_error(gen: lstmgen.Generator) -> None:
    with pytest.raises(TypeError, match=r"sample\(\) got multiple values for argument 'temp'"):
        gen.sample(5, 0.5, temp=0.5)
    with pytest.raises(TypeError, match=r"stream\(\) got multiple values for argument 'length'"):
        gen.stream(5, length=6)


def test_length_and_temp_go_by_position_or_by_name(gen: lstmgen.Generator) -> None:
    assert gen.sample(9, 0.5, seed=1) == gen.sample(length=9, temp=0.5, seed=1)
    assert gen.sample_many(2, 9, 0.5, seed=1) == gen.sample_many(n=2, length=9, temp=0.5, seed=1)
    assert list(gen.stream(length=9, temp=0.5, seed=1)) == list(gen.stream(9, 0.5, seed=1))


# -- the spelling of the face ----------------------------------------------------------------------


def test_options_are_spelled_as_in_python_or_as_flags() -> None:
    def said() -> list[str]:
        error = OptionError("top_k", "at least 1", 0)
        return [option("vocab_from"), option("window", ...), option("on_unknown", "skip"), str(error)]

    python = ["vocab_from", "window=...", "on_unknown='skip'", "top_k: expected at least 1, found 0"]
    assert said() == python
    with errors.spelled(cli.flag):
        flags = ["--vocab-from", "--window", "--on-unknown skip", "--top-k: expected at least 1, found 0"]
        assert said() == flags
        assert [option("refresh", None), option("lower", True), option("output")] == [
            "--carry", "--lower", "--output-layer",
        ]  # fmt: skip
    assert said() == python


# Options of export and sampling, of which messages speak.
NAMES = sorted({*ExportOptions.__annotations__, *options.TABLE} - {"name", "author", "license", "card", "description"})
SPELLED = re.compile(
    rf"\b({'|'.join(NAMES)})=|\b(vocab_from|charset|vocabulary_kind|input_values|on_unknown)\b"
    rf"|^({'|'.join(NAMES)})(:| ')"
)
# A flag of the command line, whatever is around it.
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def spoken(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the texts that a module may print, without docstrings."""
    documents = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documents:
            yield node


def test_messages_name_options_through_the_function_that_spells_them() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "cli" or path.name in ("options.py", "errors.py"):
            continue
        for node in spoken(ast.parse(path.read_text(encoding="utf-8"))):
            text = str(node.value)
            if " " in text and (SPELLED.search(text) or FLAG.search(text)):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {text!r}")
    assert found == []
