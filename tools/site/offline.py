"""Check that a built site asks no other server for anything.

Usage: python tools/site/offline.py build/site

A link that a reader may click is fine. A script, a style sheet, a font, a picture or a frame from
elsewhere is not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
LOADED = {"link": "href"} | dict.fromkeys(["script", "img", "iframe", "source", "video", "audio"], "src")
FROM_STYLES = re.compile(r"""(?:@import\s*|url\()\s*["']?([^"')]+)""")


class _Loads(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        given = dict(attrs)
        if tag == "link" and given.get("rel") == "canonical":
            return
        self.found += [given[name] or "" for name in [LOADED.get(tag, "")] if given.get(name)]


def requests(site: Path) -> Iterator[str]:
    """Yield what a site would load from elsewhere, with the file that asks for it."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = _Loads()
            page.feed(path.read_text())
            found = page.found
        elif path.suffix == ".css":
            found = FROM_STYLES.findall(path.read_text())
        else:
            continue
        yield from (f"{path.relative_to(site)}: {target}" for target in found if ELSEWHERE.match(target))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if not any(folder.rglob("*.html")):
        sys.exit(f"{folder}: expected a built site, found no page")
    sys.exit("\n".join(requests(folder)) or 0)
