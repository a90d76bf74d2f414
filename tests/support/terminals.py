"""Streams that say that they are terminals."""

from __future__ import annotations

import io


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True
