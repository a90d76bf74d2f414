"""Small generators, and what the float64 reference says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lstmgen
from lstmgen.network import reference
from support.networks import network, packed

TEXT = network()  # 11 one-hot > LSTM 20 > LSTM 17 > Dense 11 softmax, window 12
T, N = TEXT.window, TEXT.outputs
LETTERS = "abcdefghijk"
WORDS = ["The", "cat", "sat", "on", "a"]


def tokens(**options: Any) -> lstmgen.Generator:
    """A model whose elements are words."""
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    return lstmgen.Generator(packed(of, vocabulary=WORDS, vocabulary_kind="tokens", **options))


def nameless() -> lstmgen.Generator:
    """A model without vocabulary and prime."""
    return lstmgen.Generator(packed(vocabulary=None, prime=None))


def exact(ids: list[int], encoding: str = "onehot", of: Any = TEXT) -> NDArray[np.float64]:
    """The float64 reference's distribution after `ids`."""
    return np.asarray(reference.forward(of, reference.encode(of, encoding, ids)), np.float64)


def ids_of(text: str) -> list[int]:
    return [LETTERS.index(c) for c in text]


def run_python(code: str | None, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    here = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here), **env}
    return subprocess.run(
        [sys.executable, *([] if code is None else ["-c", code]), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


ENCODINGS = {
    "onehot": network([("lstm", 8), ("dense", 11, "softmax")]),
    "index": network([("embedding", 6), ("lstm", 8), ("dense", 11, "softmax")], 13),
    "scaled": network([("lstm", 8), ("dense", 11, "softmax")], 1),
}
