"""Compare a model with Keras itself."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen import keras_file
from lstmgen.binfile import writer
from lstmgen.generator import Generator
from lstmgen.model import Model
from lstmgen.network import reference

# Like Keras within the error that Keras itself has against float64: RMS over windows, the median and the worst of them.
MEDIAN, WORST, FLOOR = 1.5, 3.0, 3e-8


class Report(NamedTuple):
    """What `verify` found."""

    passed: bool
    text: str


def error_ratios(ours: NDArray[Any], keras: NDArray[Any], exact: NDArray[Any]) -> tuple[float, float]:
    """Our error against float64 as a multiple of Keras's, (median, worst) over windows (axis 0).

    Keras's error counts as at least FLOOR.
    """

    def rms(y: NDArray[Any]) -> NDArray[np.float64]:
        square = (y.astype(np.float64) - exact) ** 2
        root: NDArray[np.float64] = np.sqrt(square.reshape(len(exact), -1).mean(-1))
        return root

    typical = max(float(np.median(rms(keras))), FLOOR)
    worst = max(float(rms(keras).max()), FLOOR)
    return float(np.median(rms(ours))) / typical, float(rms(ours).max()) / worst


def verify(model: str | Model, keras_path: str, windows: int = 40) -> Report:
    """Run `windows` windows through both, and through float64.

    Half of them are random, half drawn from the model itself; all are random for one that does not generate.
    Weights stored as bf16 or int8 differ from Keras's by their rounding, and what they are multiplied with is rounded,
    too. Then the float64 reference, on the weights as stored, is the measure, and writer.ROUNDING_TOLERANCE of the
    greatest output the bar.
    Raises `ImportError` without Keras (the train extra), and what `Model` raises.
    """
    ours = model if isinstance(model, Model) else Model(model)
    if windows < 2:
        raise ValueError(f"windows: expected at least 2, found {windows}")
    network = keras_file.read(keras_path)
    expected = (network.input_size, network.outputs)
    found = (ours.input_size, ours.outputs)
    if found != expected:
        raise ValueError(f"{keras_path}: expected (inputs, outputs) {found} as in the model, found {expected}")
    x = _windows(ours, windows)
    stored = writer.rounded(network, ours.dtype)
    exact = reference.forward(stored, _encoded(ours, stored, x))
    keras = _keras_predict(keras_path, _encoded(ours, network, x))
    mine = ours.predict(x)
    if ours.dtype in writer.ROUNDING_TOLERANCE:
        difference, most = np.abs(mine - exact).max(), writer.ROUNDING_TOLERANCE[ours.dtype] * np.abs(exact).max()
        passed = bool(difference <= most)
        error = f"{difference:.2e} (at most {most:.2e})"
    else:
        median, worst = error_ratios(mine, keras, exact)
        passed = median <= MEDIAN and worst <= WORST
        error = (
            f"{median:.2f} times Keras's in the median (at most {MEDIAN}), "
            f"{worst:.2f} in the worst window (at most {WORST:g}); Keras's counts as at least {FLOOR:g}"
        )
    lines = [
        f"windows                {windows}, of {x.shape[1]} steps",
        f"greatest difference    {np.abs(mine - keras).max():.2e} from Keras"
        + ("" if ours.dtype == "f32" else f" (whose weights are f32, here {ours.dtype})"),
        f"error against float64  {error}",
        "equal to Keras" if passed else "NOT equal to Keras",
    ]
    return Report(passed, "\n".join(lines))


def _windows(model: Model, count: int) -> NDArray[Any]:
    """Windows (count, T) of ids, or (count, T, features)."""
    rng = np.random.default_rng(0)
    steps = model.window or 50
    if model.encoding == "features":
        return rng.uniform(-1, 1, (count, steps, model.input_shape[-1] or 1)).astype(np.float32)
    if not model.generates:
        return rng.integers(0, model.input_size, (count, steps), dtype=np.uint32)
    prime = model.prime if len(model.prime) else [0]
    refresh = 1 if model.whole else None
    text = Generator(model).stream(prime=prime, seed=0, refresh=refresh).take(steps + count)
    drawn = model.vocabulary.encode(text) if model.vocabulary else np.array(text, np.uint32)
    own = np.lib.stride_tricks.sliding_window_view(drawn, steps)[: count // 2]
    random = rng.integers(0, model.outputs, (count - len(own), steps), dtype=np.uint32)
    return np.concatenate([own, random])


def _encoded(model: Model, network: Any, x: NDArray[Any]) -> NDArray[Any]:
    if model.encoding == "features":
        return x
    return np.stack([reference.encode(network, model.encoding, row.tolist(), model.input_values) for row in x])


def _keras_predict(path: str, x: NDArray[Any]) -> NDArray[np.float32]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ImportError:
        raise ImportError("verify needs Keras: pip install 'lstmgen[train]'") from None
    try:
        loaded = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras raises: the file is older or newer than this Keras
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: Keras {keras.__version__} cannot load it: {reason}") from None
    if loaded.input_shape[:2] != (1, 1):
        return np.asarray(loaded.predict(x, verbose=0), np.float32)
    rows = []  # stateful: one step of one window at a time
    for window in x:
        for layer in loaded.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        steps = [np.asarray(loaded(window[None, t : t + 1])) for t in range(len(window))]
        rows.append(steps[-1][0])
    return np.array(rows, np.float32)
