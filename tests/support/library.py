"""The tree of the project, and its headers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FUNCTION = re.compile(r"^LSTMGEN_(?:STATUS|API|MUST_CHECK) [^(;]*?(lstmgen_\w+)\(", re.MULTILINE)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=1200
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def functions_of_the_header() -> list[str]:
    """The names of all functions of the C API."""
    return _FUNCTION.findall((ROOT / "cpp" / "include" / "lstmgen" / "lstmgen.h").read_text())
