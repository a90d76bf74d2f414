"""What MkDocs does besides its own: pages from outside of docs/, and the notebook as a page.

Files that the pages link to, but that lie elsewhere in the tree, become pages of the site: cards of
models, results of benchmarks. A link that leads to one is rewritten. A link to a source file, which
is no page, becomes its bare name.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]

# Where a file of the tree stands in the site.
PAGES = {
    "python/lstmgen/models/latex.md": "cards/latex.md",
    "python/lstmgen/models/music.md": "cards/music.md",
    "benchmarks/results.md": "benchmarks/results.md",
    "benchmarks/README.md": "benchmarks/how.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
}
LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside of docs/, and the page of the notebook with its pictures."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=moved((ROOT / source).read_text(), source, page)))
    notebook = nbformat.read(ROOT / "docs/lesson.ipynb", as_version=4)
    body, resources = MarkdownExporter().from_notebook_node(notebook, {"output_files_dir": "lesson"})
    files.append(File.generated(config, "lesson.md", content=fenced(body)))
    for name, data in resources["outputs"].items():
        files.append(File.generated(config, name, content=data))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links of docs/ that leave it to the pages above."""
    here = page.file.src_uri
    return markdown if page.file.generated_by else moved(markdown, f"docs/{here}", here)


def moved(markdown: str, source: str, page: str) -> str:
    """Return a page whose links are right where it stands in the site.

    source: its path in the tree. page: its path in the site.

    >>> moved("[a](../python/lstmgen/models/latex.md#x) [b](../examples/a.c)", "docs/a.md", "a.md")
    '[a](cards/latex.md#x) b'
    >>> moved("[a](docs/results.md) ![b](docs/images/roll.png)", "README.md", "index.md")
    '[a](results.md) ![b](images/roll.png)'
    """

    def other(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))
        inside = target.removeprefix("docs/") if target.startswith("docs/") else PAGES.get(target)
        if inside is None:
            return link["text"]
        path = posixpath.relpath(inside, posixpath.dirname(page) or ".")
        return f"{link['mark']}[{link['text']}]({path}{link['anchor'] or ''})"

    return LINK.sub(other, markdown)


def fenced(body: str) -> str:
    """Return the notebook's Markdown with its printed output in fences.

    nbconvert indents what a cell printed by four spaces, so that its page has no frame for it.

    >>> fenced("    a\\n    b\\n\\nText.")
    '```text\\na\\nb\\n```\\n\\nText.'
    """
    inside = False
    lines: list[str] = []
    block: list[str] = []
    for line in [*body.split("\n"), None]:
        if line is not None and line.startswith("```"):
            inside = not inside
        if line is not None and not inside and (line.startswith("    ") or (block and not line.strip())):
            block.append(line[4:])
            continue
        if block:
            text = "\n".join(block).rstrip("\n")
            blank = len("\n".join(block)) - len(text)
            lines += ["```text", *text.split("\n"), "```", *[""] * blank]
            block = []
        if line is not None:
            lines.append(line)
    return "\n".join(lines)
