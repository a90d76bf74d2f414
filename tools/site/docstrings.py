"""Turn the docstrings of the package into Markdown, for the reference of the site.

They are written to be read in a terminal. Three things need another form in Markdown: an
example, lines that begin with the name of a parameter, and names of pages.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Function, Object

PAGE = re.compile(r"\bdocs/([a-z-]+)\.md\b")
ITEM = re.compile(r"^(\*{0,2}[a-z_]\w*(?:, \*{0,2}[a-z_]\w*)*): (.*)", re.DOTALL)


class Markdown(Extension):  # type: ignore[misc]
    """The extension of griffe, which mkdocstrings reads the package with."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of whatever is documented."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value, names(obj))


def names(obj: Object) -> set[str]:
    """Return what the docstring of an object may describe: its parameters, or its attributes."""
    if isinstance(obj, Function):
        return {parameter.name.lstrip("*") for parameter in obj.parameters}
    init = obj.members.get("__init__")
    return set(obj.members) | (names(init) if isinstance(init, Function) else set())


def markdown(docstring: str, known: set[str]) -> str:
    r"""Return a docstring as Markdown.

    known: names of parameters and attributes.

    >>> print(markdown("One line.\n\nsize: how large\n    it is.", {"size"}))
    One line.
    <BLANKLINE>
    - `size`: how large
        it is.
    >>> markdown(">>> 1 + 1\n2", set()).split("\n")
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    out: list[str] = []
    for paragraph in re.split(r"\n[ \t]*\n", docstring.strip("\n")):
        if paragraph.lstrip().startswith(">>>"):
            if out and out[-1].endswith("\n```") and out[-1].startswith("```pycon"):
                out[-1] = out[-1][:-4] + f"\n\n{plain(paragraph)}\n```"
            else:
                out.append(f"```pycon\n{plain(paragraph)}\n```")
            continue
        paragraph = PAGE.sub(r"[\1](../\1.md)", paragraph)
        lines: list[str] = []
        for line in paragraph.split("\n"):
            item = ITEM.match(line)
            if item and {name.lstrip("*") for name in item[1].split(", ")} <= known:
                lines += [""] * (bool(lines) and not lines[-1].startswith(("- ", " "))) + [f"- `{item[1]}`: {item[2]}"]
            else:
                lines.append(line)
        out.append("\n".join(lines))
    return "\n\n".join(out)


def plain(paragraph: str) -> str:
    """Return an example without its indentation and without the directives of doctest."""
    return re.sub(r"[ \t]+# doctest: .*", "", paragraph)
