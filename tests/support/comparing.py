"""Comparing networks, and what Keras computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.network import Network


def output_of(model: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Return what `predict` of a Keras model returns, without compiling the model.

    `test_predict_of_keras_is_the_call_of_its_model` compares the two.
    """
    return np.asarray(model(x, training=False))


def outputs_of(model: Any, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the same of a model with several outputs, by their names."""
    return {name: np.asarray(output) for name, output in model(x.astype(np.float32), training=False).items()}


def difference(found: Network, expected: Network) -> str | None:
    """What is not equal in two networks, but for names and the formula of hard_sigmoid."""
    if (found.window, found.sizes) != (expected.window, expected.sizes):
        return f"{found.window, found.sizes} instead of {expected.window, expected.sizes}"
    for i, (a, b) in enumerate(zip(found.layers, expected.layers, strict=True)):
        options = {k: "hard_sigmoid" if v == "hard_sigmoid_keras2" else v for k, v in a.options.items()}
        if (a.type, options, found.inputs(i)) != (b.type, b.options, expected.inputs(i)):
            return f"layer {i}: {a.type, options, found.inputs(i)} instead of {b.type, b.options, expected.inputs(i)}"
        for name in a.arrays:
            if not np.array_equal(a.arrays[name], b.arrays[name]):
                return f"layer {i}: other {name}"
    return None
