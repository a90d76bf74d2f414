"""The table of docs/keras-files.md as Keras models: one small model a layer and option.

Each has 9 features or ids and 12 time steps. `randomise` gives it weights that make every option
show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEATURES, STEPS = 9, 12

Layers = Any  # the module keras.layers
Build = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A model of the table.

    layers: of a Sequential, or a function of the input tensor.
    ids: whether the input is ids of an Embedding.
    masked: whether some steps are 0.
    """

    build: Build
    ids: bool = False
    masked: bool = False
    graph: bool = False
    steps: int | None = STEPS

    def model(self, keras: Any) -> Any:
        """Return the model, with weights drawn from a fixed seed."""
        keras.utils.set_random_seed(11)
        x = keras.Input((self.steps,) if self.ids else (self.steps, FEATURES))
        made = self.build(keras.layers)
        model = keras.Model(x, made(x)) if self.graph else keras.Sequential([x, *made])
        randomise(model)
        return model

    def inputs(self, batch: int = 16) -> NDArray[Any]:
        """Input of the network (batch, T[, features])."""
        rng = np.random.default_rng(6)
        steps = self.steps or STEPS
        if self.ids:
            return rng.integers(0 if self.masked else 1, FEATURES, (batch, steps))
        x = rng.normal(0, 1, (batch, steps, FEATURES)).astype(np.float32)
        if self.masked:
            x[rng.random(x.shape[:2]) < 0.3] = 0
        return x


def randomise(model: Any) -> None:
    """Give the model weights that make every option show.

    Biases are not zero and variances not one. Kernels reach all parts of an activation.
    """
    rng = np.random.default_rng(5)
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if "variance" in name:
            weight.assign(rng.uniform(0.2, 2.0, weight.shape))
        elif name in ("kernel", "recurrent_kernel", "embeddings"):
            weight.assign(rng.normal(0, 1.0 if name == "embeddings" else 1.2 / np.sqrt(weight.shape[0]), weight.shape))
        elif "seed" not in name:  # biases, gamma, beta, mean, alpha
            weight.assign(weight.numpy() + rng.normal(0, 0.3, weight.shape))


def _cell_options(name: str) -> dict[str, Row]:
    """Return the options that LSTM, GRU and SimpleRNN share."""

    def of(**options: Any) -> Row:
        return Row(lambda L: [getattr(L, name)(7, **options), L.Dense(5, activation="softmax")])

    rows = {
        f"{name}": of(),
        f"{name} return_sequences": of(return_sequences=True),
        f"{name} go_backwards": of(go_backwards=True),
        f"{name} go_backwards, return_sequences": of(go_backwards=True, return_sequences=True),
        f"{name} use_bias=False": of(use_bias=False),
        f"{name} unroll": of(unroll=True),
        f"{name} dropout": of(dropout=0.3, recurrent_dropout=0.2),
        f"{name} activation relu": of(activation="relu"),
        f"{name} activation softsign": of(activation="softsign"),
        f"{name} 130 units": Row(lambda L: [getattr(L, name)(130), L.Dense(5, activation="softmax")]),
        f"{name} 1 unit": Row(lambda L: [getattr(L, name)(1)]),
        f"{name} any number of steps": Row(lambda L: [getattr(L, name)(7)], steps=None),
        f"{name} stack of 3": Row(
            lambda L: [
                getattr(L, name)(8, return_sequences=True),
                getattr(L, name)(5, return_sequences=True),
                getattr(L, name)(6),
            ]
        ),
    }
    if name != "SimpleRNN":
        for gate in ("hard_sigmoid", "softmax", "tanh"):
            rows[f"{name} recurrent_activation {gate}"] = of(recurrent_activation=gate)
    if name == "GRU":
        rows["GRU reset_after=False"] = of(reset_after=False)
        rows["GRU reset_after=False, use_bias=False"] = of(reset_after=False, use_bias=False)
        rows["GRU reset_after=False, softsign"] = of(reset_after=False, activation="softsign")
    return rows


def _bidirectional(mode: str, cell: str, sequences: bool) -> Row:
    return Row(
        lambda L: [
            L.Bidirectional(getattr(L, cell)(7, return_sequences=sequences), merge_mode=mode),
            L.Dense(5, activation="softmax"),
        ]
    )


def _activation_layers(L: Layers) -> dict[str, Any]:
    return {
        "LeakyReLU": L.LeakyReLU(),
        "LeakyReLU slope 0.05": L.LeakyReLU(negative_slope=0.05),
        "ELU": L.ELU(),
        "ELU alpha 0.5": L.ELU(0.5),
        "ReLU": L.ReLU(),
        "ReLU max 6": L.ReLU(6),
        "ReLU max 0.5, slope 0.1, threshold 0.1": L.ReLU(0.5, 0.1, 0.1),
        "Softmax": L.Softmax(),
        "PReLU": L.PReLU(),
        "PReLU shared_axes": L.PReLU(shared_axes=[1]),
    }


_ACTIVATION_LAYERS = (
    *("LeakyReLU", "LeakyReLU slope 0.05", "ELU", "ELU alpha 0.5", "ReLU", "ReLU max 6"),
    *("ReLU max 0.5, slope 0.1, threshold 0.1", "Softmax", "PReLU", "PReLU shared_axes"),
)

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax"),
    *("log_softmax", "softplus", "softsign", "exponential", "silu", "hard_silu", "gelu", "mish", "log_sigmoid"),
    *("tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "linear"),
)


def _single_layers() -> dict[str, Row]:
    rows: dict[str, Row] = {}

    def add(name: str, build: Build, **options: Any) -> None:
        rows[name] = Row(build, **options)

    for name in _ACTIVATION_LAYERS:
        add(f"{name} on a sequence", lambda L, n=name: [L.Dense(6), _activation_layers(L)[n], L.LSTM(5)])
        add(f"{name} on a vector", lambda L, n=name: [L.LSTM(6), L.Dense(6), _activation_layers(L)[n]])
    for name in ACTIVATIONS:
        add(f"Activation {name}", lambda L, n=name: [L.LSTM(6), L.Dense(6), L.Activation(n)])
    add("Dense use_bias=False", lambda L: [L.LSTM(6), L.Dense(5, use_bias=False)])
    add("Dense on a sequence", lambda L: [L.Dense(6, activation="relu"), L.LSTM(6)])
    add("Dense with an activation layer", lambda L: [L.LSTM(6), L.Dense(5, activation=L.LeakyReLU(0.1))])
    add("TimeDistributed Dense", lambda L: [L.GRU(6, return_sequences=True), L.TimeDistributed(L.Dense(5, "softmax"))])
    add(
        "TimeDistributed others",
        lambda L: [
            L.TimeDistributed(L.BatchNormalization()),
            L.GRU(6, return_sequences=True),
            L.TimeDistributed(L.LayerNormalization()),
            L.TimeDistributed(L.Dropout(0.5)),
            L.TimeDistributed(L.Activation("tanh")),
        ],
    )
    for scale in (True, False):
        for center in (True, False):
            add(
                f"BatchNormalization scale={scale}, center={center}",
                lambda L, s=scale, c=center: [
                    L.BatchNormalization(scale=s, center=c),
                    L.LSTM(6),
                    L.BatchNormalization(scale=s, center=c, epsilon=0.1),
                ],
            )
            add(
                f"LayerNormalization scale={scale}, center={center}",
                lambda L, s=scale, c=center: [
                    L.LayerNormalization(scale=s, center=c),
                    L.LSTM(6),
                    L.LayerNormalization(scale=s, center=c, epsilon=0.1),
                ],
            )
    add(
        "Dropout family",
        lambda L: [
            *(L.Dropout(0.5), L.SpatialDropout1D(0.5), L.GaussianDropout(0.5), L.GaussianNoise(0.5)),
            *(L.AlphaDropout(0.5), L.ActivityRegularization(0.1), L.LSTM(6), L.Dropout(0.2), L.Identity()),
        ],
    )
    add("Flatten", lambda L: [L.LSTM(6, return_sequences=True), L.Flatten(), L.Dense(5, activation="softmax")])
    add("Reshape", lambda L: [L.Reshape((6, -1)), L.LSTM(6), L.Reshape((2, 3)), L.GRU(4)])
    add("Permute", lambda L: [L.Permute((2, 1)), L.LSTM(6)])
    add("RepeatVector", lambda L: [L.LSTM(6), L.RepeatVector(5), L.GRU(7, return_sequences=True), L.Dense(4)])
    add("GlobalAveragePooling1D", lambda L: [L.LSTM(6, return_sequences=True), L.GlobalAveragePooling1D()])
    add("GlobalMaxPooling1D", lambda L: [L.LSTM(6, return_sequences=True), L.GlobalMaxPooling1D(), L.Dense(4)])
    add("RNN of a cell", lambda L: [L.RNN(L.GRUCell(6), return_sequences=True), L.RNN(L.LSTMCell(5))])
    add(
        "RNN of stacked cells",
        lambda L: [L.RNN([L.LSTMCell(6), L.GRUCell(5), L.SimpleRNNCell(4), L.LSTMCell(3)], return_sequences=True)],
    )
    add("RNN of stacked cells, go_backwards", lambda L: [L.RNN([L.LSTMCell(6), L.GRUCell(5)], go_backwards=True)])
    return rows


def _masks() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        rows[f"Masking, {cell}"] = Row(
            lambda L, c=cell: [L.Masking(), getattr(L, c)(7, return_sequences=True), getattr(L, c)(6)], masked=True
        )
        rows[f"Embedding mask_zero, {cell}"] = Row(
            lambda L, c=cell: [
                L.Embedding(FEATURES, 6, mask_zero=True),
                getattr(L, c)(7, return_sequences=True),
                L.Dropout(0.1),
                getattr(L, c)(6),
                L.Dense(FEATURES, activation="softmax"),
            ],
            ids=True,
            masked=True,
        )
        rows[f"masked sequence of {cell}"] = Row(
            lambda L, c=cell: [L.Masking(), getattr(L, c)(7, return_sequences=True)], masked=True
        )
    rows["masked GRU reset_after=False"] = Row(lambda L: [L.Masking(), L.GRU(7, reset_after=False)], masked=True)
    rows["masked go_backwards"] = Row(
        lambda L: [L.Masking(), L.LSTM(7, go_backwards=True, return_sequences=True), L.GRU(5)], masked=True
    )
    rows["masked stacked cells"] = Row(lambda L: [L.Masking(), L.RNN([L.LSTMCell(6), L.GRUCell(5)])], masked=True)
    rows["masked zero_output_for_mask"] = Row(
        lambda L: [L.Masking(), L.LSTM(7, return_sequences=True, zero_output_for_mask=True), L.LSTM(5)], masked=True
    )
    for sequences in (False, True):
        rows[f"masked Bidirectional, return_sequences={sequences}"] = Row(
            lambda L, s=sequences: [L.Masking(), L.Bidirectional(L.LSTM(7, return_sequences=s)), L.Dense(4)],
            masked=True,
        )
    rows["masked GlobalAveragePooling1D"] = Row(
        lambda L: [L.Masking(), L.LSTM(7, return_sequences=True), L.GlobalAveragePooling1D()], masked=True
    )
    rows["mask dropped by Flatten"] = Row(
        lambda L: [L.Masking(), L.LSTM(7, return_sequences=True), L.Flatten(), L.Dense(4)], masked=True
    )
    return rows


def _graphs() -> dict[str, Row]:
    rows: dict[str, Row] = {}

    def graph(name: str, build: Callable[[Layers], Callable[[Any], Any]], **options: Any) -> None:
        rows[name] = Row(build, graph=True, **options)

    for merge in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Subtract"):

        def two(L: Layers, merge: str = merge) -> Callable[[Any], Any]:
            def call(x: Any) -> Any:
                a = L.LSTM(6, return_sequences=True)(x)
                b = L.GRU(6, return_sequences=True)(a)
                both = getattr(L, merge)()([a, b])
                return L.Dense(5, activation="softmax")(L.LSTM(4)(both))

            return call

        graph(f"{merge} of sequences", two)

    def vectors(L: Layers) -> Callable[[Any], Any]:
        return lambda x: L.Dense(5)(L.Concatenate()([L.LSTM(4)(x), L.GRU(3)(x), L.Dense(2)(L.SimpleRNN(4)(x))]))

    def residual(L: Layers) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            y = L.LSTM(FEATURES, return_sequences=True)(x)
            return L.LSTM(4)(L.LayerNormalization()(L.Add()([x, y])))

        return call

    def shared(L: Layers) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            lstm, dense = L.LSTM(5, return_sequences=True), L.Dense(FEATURES)
            return L.GRU(4)(lstm(dense(lstm(x))))

        return call

    def nested(L: Layers) -> Callable[[Any], Any]:
        import keras

        def call(x: Any) -> Any:
            inner = keras.Sequential([keras.Input((STEPS, FEATURES)), L.LSTM(6, return_sequences=True), L.Dense(7)])
            y = keras.Input((STEPS, 7))
            branch = keras.Model(y, L.BatchNormalization()(L.Add()([y, L.GRU(7, return_sequences=True)(y)])))
            return L.LSTM(5)(branch(inner(x)))

        return call

    def broadcast(L: Layers) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            y = L.LSTM(6, return_sequences=True)(x)
            return L.GRU(4)(L.Multiply()([y, L.Dense(1, activation="sigmoid")(y)]))

        return call

    def masked(merge: str) -> Callable[[Layers], Callable[[Any], Any]]:
        def build(L: Layers) -> Callable[[Any], Any]:
            def call(x: Any) -> Any:
                y = L.Masking()(x)
                a, b = L.LSTM(5, return_sequences=True)(y), L.GRU(5, return_sequences=True)(x)
                return L.GRU(4)(getattr(L, merge)()([a, b, L.LSTM(5, return_sequences=True)(y)]))

            return call

        return build

    def all_states(L: Layers) -> Callable[[Any], Any]:
        return lambda x: L.Dense(4)(L.LSTM(5, return_state=True)(x)[0])

    def unmerged(L: Layers) -> Callable[[Any], Any]:
        both = L.Bidirectional(L.LSTM(5, return_sequences=True), merge_mode=None)
        return lambda x: L.GRU(4)(L.Subtract()(list(both(x))))

    graph("Concatenate of vectors", vectors)
    graph("residual connection", residual)
    graph("layer called twice", shared)
    graph("models within a model", nested)
    graph("Multiply with one number a step", broadcast)
    graph("Add of masked and unmasked", masked("Add"), masked=True)
    graph("Concatenate of masked and unmasked", masked("Concatenate"), masked=True)
    graph("return_state, output only", all_states)
    graph("Bidirectional merge_mode None", unmerged)
    rows["Sequential within a Sequential"] = Row(_nested_sequential)
    return rows


def _nested_sequential(L: Layers) -> list[Any]:
    import keras

    frozen = keras.Sequential([L.BatchNormalization(), L.LSTM(6, return_sequences=True), L.Dense(5)])
    frozen.layers[0].trainable = False
    return [L.Dense(4), frozen, keras.Sequential([L.GRU(4), L.BatchNormalization()]), L.Dense(3)]


ROWS: dict[str, Row] = {
    **_cell_options("LSTM"),
    **_cell_options("GRU"),
    **_cell_options("SimpleRNN"),
    **{
        f"Bidirectional {cell} {mode}, return_sequences={sequences}": _bidirectional(mode, cell, sequences)
        for cell in ("LSTM", "GRU", "SimpleRNN")
        for mode in ("concat", "sum", "mul", "ave")
        for sequences in (False, True)
    },
    "Bidirectional with its own backward_layer": Row(
        lambda L: [L.Bidirectional(L.LSTM(5), backward_layer=L.GRU(5, go_backwards=True)), L.Dense(3)]
    ),
    "Embedding": Row(
        lambda L: [L.Embedding(FEATURES, 5), L.LSTM(6), L.Dense(FEATURES, activation="softmax")], ids=True
    ),
    **_single_layers(),
    **_masks(),
    **_graphs(),
}
