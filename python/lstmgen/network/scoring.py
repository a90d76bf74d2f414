"""How well a network predicts a sequence, without the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstmgen.network import reference
from lstmgen.network.graph import Network

_STEPS = 40  # of a window, for a network that has none
_LEAST, _MOST = 16, 128  # windows to run
_WORK = 1e9  # multiplications, if these are not more


def bits(network: Network, encoding: str, ids: NDArray[np.int64]) -> float | None:
    """Bits of an element of `ids`, given the window before it; None if the sequence is too short to tell.

    The mean over windows spread evenly, 128 or fewer of a large network. The network is a generator.
    """
    steps = network.window or _STEPS
    if len(ids) < steps + _LEAST:
        return None
    weights = sum(array.size for layer in network.layers for array in layer.arrays.values())
    count = int(np.clip(_WORK / (weights * steps), _LEAST, _MOST))
    ends = np.unique(np.linspace(steps, len(ids) - 1, count).astype(int))
    windows = [reference.encode(network, encoding, ids[end - steps : end].tolist()) for end in ends]
    y = reference.forward(network, np.stack(windows), np.float32).astype(np.float64)
    y = y[:, -1] if network.returns_sequences else y
    with np.errstate(all="ignore"):
        if network.layers[-1].options.get("activation") not in ("linear", "log_softmax"):
            y = np.log(np.maximum(y, 1e-12))
        y -= y.max(axis=-1, keepdims=True)
        logs = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    mean = float(-logs[np.arange(len(ends)), ids[ends]].mean() / np.log(2))
    return mean if np.isfinite(mean) else None
