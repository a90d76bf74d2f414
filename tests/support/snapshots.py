"""Texts that the tests compare with files in tests/snapshots."""

from __future__ import annotations

import difflib
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
    kept = path.read_text(encoding="utf-8")
    changes = "\n".join(difflib.unified_diff(kept.splitlines(), found.splitlines(), lineterm="", n=0))
    assert found == kept, f"LSTMGEN_SNAPSHOTS=write pytest tests/test_snapshots.py renews {path.name}:\n{changes}"
