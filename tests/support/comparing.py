"""Comparing networks."""

from __future__ import annotations

import numpy as np

from lstmgen.network import Network


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
