"""Strict compilers accept the public headers, and the manual and a fuzzer have each function."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.library import ROOT, functions_of_the_header, run
from support.slow import slow_but


@pytest.mark.parametrize("compiler", slow_but({"gcc"}, ["gcc", "clang"], "asks another compiler the same"))
def test_the_headers_ask_nothing_of_those_who_include_them(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    include = f"-I{ROOT / 'cpp' / 'include'}"
    strict = ["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror", include]
    (tmp_path / "c.c").write_text("#include <lstmgen/lstmgen.h>\nint main(void) { return lstmgen_isa(0) == NULL; }\n")
    (tmp_path / "cpp.cpp").write_text("#include <lstmgen/lstmgen.h>\n#include <lstmgen/lstmgen.hpp>\n")
    for standard in ("c99", "c11"):
        run(compiler, f"-std={standard}", "-Wstrict-prototypes", *strict, tmp_path / "c.c")
    for standard in ("c++17", "c++20"):
        for options in ([], ["-fno-exceptions", "-fno-rtti"]):
            run(compiler, f"-std={standard}", *options, *strict, tmp_path / "cpp.cpp")


def test_every_function_is_documented() -> None:
    names = functions_of_the_header()
    assert len(names) > 30
    documented = (ROOT / "docs" / "embedding.md").read_text()
    assert [name for name in names if f"`{name}`" not in documented] == []


def test_every_function_is_fuzzed() -> None:
    calls = (ROOT / "fuzz" / "c_api.cpp").read_text()
    assert [name for name in functions_of_the_header() if f"{name}(" not in calls] == []
