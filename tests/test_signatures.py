"""`help`, `inspect` and notebooks are told the keywords that a function takes."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from typing import Any

import pytest

import lstmgen
from lstmgen.exporting import FACTS, ExportOptions, convert
from lstmgen.options import CHANGEABLE, MANY, SAMPLE, STREAM, TABLE
from support.networks import packed

EXPORT = set(ExportOptions.__annotations__)

FUNCTIONS: list[tuple[Callable[..., Any], set[str]]] = [
    (lstmgen.export, EXPORT),
    (convert, EXPORT),
    (lstmgen.Model, EXPORT),
    (lstmgen.Generator, EXPORT | {"threads"}),
    (lstmgen.music.NoteGenerator, EXPORT),
    (lstmgen.Generator.sample, set(SAMPLE)),
    (lstmgen.Generator.stream, {*STREAM, "state"}),
    (lstmgen.Generator.astream, {*STREAM, "state"}),
    (lstmgen.Generator.sample_many, set(MANY) | {"n"}),
    (lstmgen.Stream.update, set(CHANGEABLE)),
    (lstmgen.verify.verify, {"config", "output", "heads", "window"}),
    (lstmgen.training.train_text, set(FACTS)),
    (lstmgen.training.train_music, set(FACTS)),
    (lstmgen.training.train_classifier, set(FACTS)),
]


@pytest.mark.parametrize(("function", "names"), FUNCTIONS, ids=lambda value: getattr(value, "__qualname__", ""))
def test_each_keyword_is_a_parameter(function: Callable[..., Any], names: set[str]) -> None:
    parameters = inspect.signature(function).parameters
    assert names <= parameters.keys()
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if entry.only])
def test_what_only_one_function_takes_is_shown_by_it_alone(name: str) -> None:
    functions: dict[str, Callable[..., Any]] = {"sample": lstmgen.Generator.sample, "stream": lstmgen.Generator.stream}
    shown = [which for which, function in functions.items() if name in inspect.signature(function).parameters]
    assert shown == [TABLE[name].only]
    assert name not in inspect.signature(lstmgen.Batch.join).parameters or TABLE[name].only == "stream"
    (other,) = functions.keys() - shown
    with pytest.raises(TypeError, match=f"{name}.*{shown[0]}"):
        getattr(lstmgen.Generator(packed()), other)(5, **{name: 2})


def test_help_shows_the_parameters_and_what_they_mean() -> None:
    shown = pydoc.plain(pydoc.render_doc(lstmgen.export))
    assert "vocab_from: 'File | None' = None" in shown
    assert "**options" not in shown
    assert "vocab_from: the path of the corpus" in shown
    sample = pydoc.plain(pydoc.render_doc(lstmgen.Generator.sample))
    assert "temp: float | None = None" in sample
    assert "top_k: int | None = None" in sample
    assert f"min_p: {TABLE['min_p'].meaning} (in [0, 1]; default: off)" in sample


def test_what_is_shown_is_what_is_taken() -> None:
    gen = lstmgen.Generator(packed())
    bound = inspect.signature(gen.sample).bind(20, temp=0.5, seed=1)
    assert gen.sample(*bound.args, **bound.kwargs) == gen.sample(20, 0.5, seed=1)
    with pytest.raises(TypeError, match="tmep"):
        inspect.signature(gen.sample).bind(20, tmep=0.5)


def test_a_model_is_made_without_the_exporter() -> None:
    import subprocess
    import sys

    code = "import sys, lstmgen; lstmgen.Generator('latex').sample(3); print('lstmgen.exporting' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
