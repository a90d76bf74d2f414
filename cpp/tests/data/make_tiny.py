"""Write tiny.bin and raw.bin, the networks of the C++ tests, beside this script."""

from pathlib import Path

import numpy as np

from lstmgen.binfile import writer
from lstmgen.network import Layer, Network

rng = np.random.default_rng(1)


def lstm(name: str, inputs: int, units: int, *, return_sequences: bool) -> Layer:
    """Build an LSTM layer with random weights."""
    options = {
        "units": units,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": return_sequences,
    }
    shapes = {"kernel": (inputs, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": 4 * units}
    return Layer("lstm", name, options, {k: random(v) for k, v in shapes.items()})


def random(shape: tuple[int, ...] | int) -> np.ndarray:
    """Draw normal numbers, large enough that the distributions are not flat."""
    return rng.normal(0, 0.7, shape).astype(np.float32)


network = Network(
    layers=(
        lstm("lstm_1", 11, 20, return_sequences=True),
        lstm("lstm_2", 20, 17, return_sequences=False),
        Layer(
            "dense",
            "dense",
            {"units": 11, "activation": "softmax"},
            {"kernel": random((17, 11)), "bias": random(11)},
        ),
    ),
    window=12,
    input_size=11,
    keras_version="",
)
data = writer.pack(
    network,
    encoding="onehot",
    vocabulary=list("abcdefghijk"),
    vocabulary_kind="text",
    prime=[i * 5 % 11 for i in range(12)],
    name="tiny",
)
Path(__file__).with_name("tiny.bin").write_bytes(data)

network = Network(
    layers=(
        lstm("lstm", 1, 9, return_sequences=False),
        Layer("dense", "dense", {"units": 5, "activation": "softmax"}, {"kernel": random((9, 5)), "bias": random(5)}),
    ),
    window=6,
    input_size=1,
    keras_version="",
)
data = writer.pack(network, encoding="raw", input_values=[0.5, -1, 2, 1.25, 0], zero_padding=True, name="raw")
Path(__file__).with_name("raw.bin").write_bytes(data)
