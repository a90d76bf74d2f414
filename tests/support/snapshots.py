"""Texts that the tests compare with files in tests/snapshots."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "snapshots"


def check_snapshot(name: str, found: str) -> None:
    """Assert that `found` is the text of the snapshot `name`.

    With `LSTMGEN_SNAPSHOTS=write` in the environment, the file is written first.
    """
    path = FOLDER / f"{name}.txt"
    if os.environ.get("LSTMGEN_SNAPSHOTS") == "write":
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
