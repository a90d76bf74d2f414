"""Comments in C++ and CMake, and prose in Markdown, are at most 100 columns wide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.library import ROOT

FOLDERS = ("cpp", "examples", "benchmarks", "cmake")
SOURCES = sorted(
    path
    for path in [ROOT / "CMakeLists.txt", *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*"))]
    if path.suffix in {".c", ".cpp", ".h", ".hpp", ".inl", ".cmake"} or path.name == "CMakeLists.txt"
)


def wide_comments(text: str, *, cmake: bool) -> list[str]:
    """The lines above 100 columns that hold a comment, or a part of one."""
    comment = re.compile(r"(^|\s)# " if cmake else r"(^|\s)(//|/\*)|^\s*\*(\s|/|$)")
    return [line for line in text.splitlines() if len(line) > 100 and comment.search(line)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_comments_have_at_most_100_columns(path: Path) -> None:
    assert wide_comments(path.read_text(encoding="utf-8"), cmake=path.suffix in {".cmake", ".txt"}) == []


@pytest.mark.parametrize("start", ["// ", "    /// ", "/* ", " * ", "int x;  // ", "int x; /* "])
def test_a_wide_comment_is_found(start: str) -> None:
    line = start + "a" * (101 - len(start))
    assert wide_comments(line, cmake=False) == [line]
    assert wide_comments(line[:-1], cmake=False) == []


def test_a_wide_comment_of_cmake_is_found() -> None:
    line = "set(x 1)  # " + "a" * 89
    assert wide_comments(line, cmake=True) == [line]
    assert wide_comments(line[:-1], cmake=True) == []


@pytest.mark.parametrize("start", ['call("https://example.org/', "    *place = "])
def test_code_may_be_wider_than_comments(start: str) -> None:
    assert wide_comments(start + "a" * 100, cmake=False) == []


# -- Markdown --------------------------------------------------------------------------------------

FOLDERS_OF_PAGES = ("docs", "benchmarks", "python")
PAGES = sorted([*ROOT.glob("*.md"), *(path for each in FOLDERS_OF_PAGES for path in (ROOT / each).rglob("*.md"))])


def wide_prose(text: str) -> list[str]:
    """The lines above 100 columns outside of tables and code that could be broken at a space.

    A link or a code span stays on one line.
    """
    wide, code = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            code = not code
        whole = re.sub(r"\[[^]]*\]\([^)]*\)|`[^`]*`", lambda found: "x" * len(found[0]), line.strip())
        if len(line) > 100 and not code and " " in whole and not line.startswith(("|", "#", "<", "![")):
            wide.append(line)
    return wide


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_has_at_most_100_columns(path: Path) -> None:
    assert wide_prose(path.read_text(encoding="utf-8")) == []


def test_wide_prose_is_found() -> None:
    line = "word " * 21
    assert wide_prose(line.strip()) == [line.strip()]
    for kept in (line[:100], f"| {line}", f"```\n{line}\n```", f"[{line}](a.md)."):
        assert wide_prose(kept) == [], kept
