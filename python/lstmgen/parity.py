"""How exact a model is, as a multiple of how exact Keras is.

The measure is the error against float64 on the same stored weights. Both errors are rounding
errors. A saturated network amplifies them, in some windows by 1000 times more than in others, so
that a few windows decide a plain RMS, and the processor decides which. `amplification` finds that
factor for each window, and `ratio` divides it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.network import Network

MEDIAN = 1.5  # the highest `ratio` for the median of many models
WORST = 3.0  # the highest `ratio` for one model
FLOOR = 3e-8  # Keras's error counts as at least this share of the output: about one rounding to float32
PERTURBATIONS = 4

Errors = NDArray[np.float64]


def errors(found: NDArray[Any], exact: NDArray[Any]) -> Errors:
    """RMS error of each window (axis 0)."""
    square = (found.astype(np.float64) - exact) ** 2
    root: Errors = np.sqrt(square.reshape(len(exact), -1).mean(-1))
    return root


def floor(exact: NDArray[Any]) -> float:
    """The least error that counts: FLOOR of the RMS output, and FLOOR if that is above 1."""
    root = float(np.sqrt(np.mean(np.square(exact, dtype=np.float64))))
    return FLOOR * min(max(root, float(np.finfo(np.float32).tiny)), 1.0)


def amplification(network: Network, exact: NDArray[Any], forward: Callable[[Network], NDArray[Any]]) -> Errors:
    """What rounding does to each window: the RMS change of the output when each weight changes by
    half a unit.

    `forward` gives the float64 output (windows, ...) of a network, and `exact` is that of
    `network`. The result does not depend on how this processor, NumPy or TensorFlow round.
    """
    rng = np.random.default_rng(0)
    squares = np.zeros(len(exact))
    for _ in range(PERTURBATIONS):
        layers = []
        for layer in network.layers:
            arrays: dict[str, Any] = {
                name: values * (1 + 2.0**-24 * rng.standard_normal(np.shape(values)))
                for name, values in layer.arrays.items()
            }
            layers.append(replace(layer, arrays=arrays))
        squares += errors(forward(replace(network, layers=tuple(layers))), exact) ** 2
    return np.maximum(np.sqrt(squares / PERTURBATIONS), floor(exact))


def ratio(ours: NDArray[Any], keras: NDArray[Any], exact: NDArray[Any], amplified: Errors | float = 1.0) -> float:
    """Our error as a multiple of Keras's: RMS over the windows (axis 0), each divided by its
    amplification.
    """
    if not ours.shape == keras.shape == exact.shape:
        raise ValueError(f"expected outputs of one shape, found {ours.shape}, {keras.shape} and {exact.shape}")
    mine = errors(ours, exact) / amplified
    own = np.maximum(errors(keras, exact), floor(exact)) / amplified
    return float(np.sqrt(np.mean(mine**2) / np.mean(own**2)))
