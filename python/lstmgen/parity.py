"""How exact a model is, as a multiple of how exact Keras is.

The measure is the error against float64 with the same stored weights. Our error and Keras's are
both rounding errors. A saturated network amplifies them, in some windows by 1000 times more than in
others. A plain RMS then depends on a few windows, and on how the processor rounds there.
`amplification` finds that factor for each window, and `ratio` divides by it.
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
FLOOR = 3e-8  # the least error of Keras, as a share of the output: about one rounding
PERTURBATIONS = 4

Errors = NDArray[np.float64]


def errors(found: NDArray[Any], exact: NDArray[Any]) -> Errors:
    """Return the RMS error of each window.

    found, exact: outputs of the same shape, (windows, ...).

    Returns an array of shape (windows,).

    >>> errors(np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([[0, 0], [1, 1]])).round(3).tolist()
    [3.536, 0.0]
    """
    square = (found.astype(np.float64) - exact) ** 2
    root: Errors = np.sqrt(square.reshape(len(exact), -1).mean(-1))
    return root


def floor(exact: NDArray[Any]) -> float:
    """Return the least error that counts for outputs of this size.

    It is FLOOR times the RMS output, but at most FLOOR.

    >>> floor(np.array([0.5, 0.5])), floor(np.array([8.0]))
    (1.5e-08, 3e-08)
    """
    root = float(np.sqrt(np.mean(np.square(exact, dtype=np.float64))))
    return FLOOR * min(max(root, float(np.finfo(np.float32).tiny)), 1.0)


def amplification(network: Network, exact: NDArray[Any], forward: Callable[[Network], NDArray[Any]]) -> Errors:
    """Return how much a rounding error grows in each window.

    It is the RMS change of the output when each weight changes by half a unit of float32.

    network: the network.
    exact: its float64 output, (windows, ...).
    forward: computes the float64 output of a network for the same windows.

    Returns an array of shape (windows,). It does not depend on how this processor, NumPy or
    TensorFlow round.

    >>> from lstmgen.network import Layer, Network, reference
    >>> arrays = {"kernel": np.ones((2, 1)), "bias": np.zeros(1)}
    >>> layer = Layer("dense", "output", {"units": 1, "activation": "linear"}, arrays)
    >>> network, x = Network((layer,), 0, 2, ""), [[[1.0, 1.0]]]
    >>> exact = reference.forward(network, x)
    >>> grown = amplification(network, exact, lambda changed: reference.forward(changed, x))
    >>> grown.shape, bool(grown[0] < 1e-6)
    ((1,), True)
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
    """Return our error as a multiple of Keras's.

    ours, keras, exact: outputs of one shape, (windows, ...); `exact` is float64.
    amplified: the `amplification` of each window, or 1.

    The errors are RMS over the windows, each divided by its amplification. 1 means as exact as
    Keras. The tests accept at most MEDIAN for the median of many models, and WORST for one model.
    Raises `ValueError` for outputs of different shapes.

    >>> exact = np.zeros((1, 2))
    >>> ratio(exact + 2e-6, exact + 1e-6, exact)
    2.0
    """
    if not ours.shape == keras.shape == exact.shape:
        raise ValueError(f"expected outputs of one shape, found {ours.shape}, {keras.shape} and {exact.shape}")
    mine = errors(ours, exact) / amplified
    own = np.maximum(errors(keras, exact), floor(exact)) / amplified
    return float(np.sqrt(np.mean(mine**2) / np.mean(own**2)))
