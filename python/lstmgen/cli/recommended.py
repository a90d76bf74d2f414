"""The options of `sample` that a model recommends in its card."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

import lstmgen

_OPTIONS = ("temp", "top_k", "top_p", "min_p", "repeat_penalty", "stop")
_SAME = {"temp": "inverse_temp"}  # options that say the same


def take_recommended(args: argparse.Namespace, model: lstmgen.Model) -> None:
    """Put what the model recommends where the command line gives no option, and say so."""
    card = model.metadata["card"]
    options: Any = card.get("sample") if isinstance(card, dict) else None
    if not isinstance(options, dict):
        return
    for name in _OPTIONS:
        value = options.get(name)
        if value is None or getattr(args, name, None) is not None or getattr(args, _SAME.get(name, name), None):
            continue
        setattr(args, name, value)
        flag = f"--{name.replace('_', '-')}"
        texts = value if isinstance(value, list) else [value]
        told = " ".join(f"{flag} {shlex.quote(str(text))}" for text in texts)
        print(f"{told}, as the model recommends", file=sys.stderr)
