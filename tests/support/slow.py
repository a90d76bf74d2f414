"""Parametrised tests of which plain `pytest` runs a few, and `pytest -m slow` the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

from lstmgen import _core


def slow_but(fast: Collection[Any], values: Iterable[Any], reason: str) -> list[Any]:
    """Return the values as parameters of a test. Those that are not in `fast` are slow."""
    listed = list(values)
    missing = [value for value in fast if value not in listed]
    assert not missing, f"not among the values: {missing}"
    mark = pytest.mark.slow(reason=reason)
    return [value if value in fast else pytest.param(value, marks=mark) for value in listed]


def instruction_sets() -> list[Any]:
    """Return those of this processor as parameters, the best first. All others are slow."""
    found = _core.supported_isas()
    return slow_but(found[:1], found, "tests/test_instruction_sets.py compares all of them in any run")
