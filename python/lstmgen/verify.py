"""Compare a model with Keras itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from lstmgen import keras_file, parity
from lstmgen.arguments import Integer
from lstmgen.binfile import rounding
from lstmgen.errors import option
from lstmgen.generator import Generator
from lstmgen.keras_file import ReadOptions
from lstmgen.model import Model
from lstmgen.network import Network, reference
from lstmgen.progress import counting
from lstmgen.signatures import with_keywords
from lstmgen.training.backend import import_keras

# A Keras that reads the file as lstmgen does differs from float64 by the rounding of float32 alone:
# in each window at most SAME_READING of the greatest output, or AMPLIFIED times what rounding the
# weights does to it. Another activation function moves outputs by 1e-3 and more.
SAME_READING, AMPLIFIED = 1e-5, 30.0

Floats = NDArray[np.floating[Any]]


class Verdict(NamedTuple):
    """What `verify` found.

    passed: whether the model is equal to what it was compared with.
    text: the report, several lines.
    facts: the numbers of the report by name, as JSON can hold them.

    >>> Verdict(True, "equal to Keras", {}).passed
    True
    """

    passed: bool
    text: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Changed:
    """An activation that newer versions of Keras compute differently under the same name."""

    saved: str
    loaded: str
    why: str


_CHANGED = (
    _Changed(
        "hard_sigmoid_keras2",
        "hard_sigmoid",
        "hard_sigmoid was clip(0.2 x + 0.5, 0, 1) in Keras 1 and 2, and is relu6(x + 3) / 6 in Keras 3",
    ),
)


@with_keywords(ReadOptions)
def verify(
    model: str | Model,
    keras_path: str,
    windows: int = 40,
    *,
    as_saved: bool = False,
    **options: Unpack[ReadOptions],
) -> Verdict:
    """Run windows through the model and through Keras, and compare the outputs.

    model: a `Model`, the path of a `.bin`, or the name of a bundled model.
    keras_path: the path of the file that Keras saved.
    windows: how many windows to run, at least 2. Half of them are random, and the model draws the
        other half. All are random for a model that does not generate.
    as_saved: check only the second of the two points below. It is for files that the installed
        Keras cannot load, or reads differently from the version that saved them.
    options: `config`, `output`, `heads` and `window`, as the model was exported with.

    Two points are checked:

    - Keras reads the file as lstmgen does: the outputs of Keras differ from a float64 evaluation by
      float32 rounding.
    - The model computes what the file says: its error against float64, by the measure of
      `lstmgen.parity`, is at most `parity.WORST` times that of Keras. Weights stored as bf16 or
      int8 are compared with float64 on the weights as stored. Their error is at most
      `rounding.ROUNDING_TOLERANCE` of the greatest output.

    Returns the verdict with a report. Raises `ImportError` without Keras (the extra `train`), and
    `ValueError` for a file that Keras cannot load; neither with `as_saved`. Raises `ValueError` for
    a file of other sizes than the model, and what `Model` raises.

    >>> import h5py
    >>> from tempfile import TemporaryDirectory
    >>> shapes = {"lstm/cell/vars/0": (3, 8), "lstm/cell/vars/1": (2, 8), "lstm/cell/vars/2": (8,)}
    >>> shapes |= {"dense/vars/0": (2, 3), "dense/vars/1": (3,)}
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/m.weights.h5"
    ...     with h5py.File(path, "w") as file:
    ...         for name, shape in shapes.items():
    ...             file[f"layers/{name}"] = np.ones(shape, np.float32)
    ...     config = "Input((None, 3)), LSTM(2), Dense(3, softmax)"
    ...     model = Model(path, config=config, encoding="onehot")
    ...     verify(model, path, 2, as_saved=True, config=config).passed
    True
    """
    ours = model if isinstance(model, Model) else Model(model)
    Integer(2).check("windows", windows)
    network = _read(ours, keras_path, options)
    x = _windows(ours, windows)
    trial = _Trial(network, _encoded(ours, network, x), keras_path, options.get("output"))
    not_asked = trial.ask_keras(as_saved)
    mine = ours.predict(x)
    error = _error(ours, trial, mine)
    passed, conclusion = _conclusion(trial, error.passed, as_saved)
    not_compared = _not_compared(ours)
    difference = _difference(ours, trial, mine)
    facts = {
        "passed": passed,
        **{"windows": windows, "steps": int(x.shape[1]), "dtype": ours.dtype},
        **error.facts,
        **difference.facts,
        **{"same_reading": trial.same_reading, "as_saved": as_saved, "not_compared": not_compared},
        "verdict": conclusion[-1],
    }
    lines = [
        f"windows                {windows}, of {x.shape[1]} steps",
        *difference.lines,
        *([f"Keras                  not asked: {not_asked}"] if not_asked else []),
        *error.lines,
        f"not compared           {not_compared}",
        *conclusion,
    ]
    return Verdict(passed, "\n".join(lines), facts)


class _Found(NamedTuple):
    """A part of the report: whether the model passed it, its lines and its facts."""

    passed: bool
    lines: Sequence[str] = ()
    facts: Mapping[str, Any] = {}


class _Trial:
    """The outputs of a file for some input, as lstmgen reads it and as Keras does."""

    def __init__(self, network: Network, x: NDArray[Any], path: str, output: str | None) -> None:
        self.network, self.x, self.path = network, x, path
        self.wanted = [str(head.layer) for head in network.elements.get("heads", ())] or ([output] if output else [])
        with _counted(network, x, 1 + parity.PERTURBATIONS, "evaluating in float64"):
            self.exact: Floats = reference.forward(network, x)
            self.amplified = self._amplification(network, self.exact)
        self.version = ""
        self.same_reading = False
        self.outputs: Floats | None = None

    def ask_keras(self, as_saved: bool) -> str:
        """Run Keras, and note its outputs and whether it reads the file as lstmgen does.

        If Keras fails and `as_saved` allows that, returns why. Otherwise returns "".
        """
        try:
            self.version, self.outputs = _keras_outputs(self.path, self.wanted, self.x, self.exact.shape)
        except (ImportError, ValueError) as error:
            if not as_saved:
                raise
            return str(error).removesuffix(_other_way())
        self.same_reading = self._fits(self.exact, self.amplified)
        return ""

    def _amplification(self, network: Network, exact: Floats) -> parity.Errors:
        return parity.amplification(network, exact, lambda of: reference.forward(of, self.x))

    def _fits(self, exact: Floats, amplified: parity.Errors) -> bool:
        assert self.outputs is not None
        greatest = float(np.abs(exact).max())
        difference = np.abs(self.outputs - exact).reshape(len(exact), -1).max(1)
        return bool((difference <= np.maximum(SAME_READING * greatest, AMPLIFIED * amplified)).all())

    def other_reading(self) -> Iterator[str]:
        """Yield the lines for a Keras that reads the file differently."""
        saver = _saver(self.network)
        yield f"NOT equal to Keras: Keras {self.version} reads this file differently from {saver}, which saved it"
        for change in _CHANGED:
            other = _with_activation(self.network, change.saved, change.loaded)
            exact = None if other is None else reference.forward(other, self.x)
            if other is not None and exact is not None and self._fits(exact, self._amplification(other, exact)):
                yield change.why
                yield f"lstmgen computes what {saver} did; {option('as_saved', True)} compares with that alone"
                return
        yield f"what differs is not known; {option('as_saved', True)} compares with lstmgen's own reading alone"


@contextmanager
def _counted(network: Network, x: NDArray[Any], times: int, what: str) -> Iterator[None]:
    """Let a bar count the steps of `times` evaluations of the windows `x`."""
    steps = times * reference.recurrent_steps(network, x.shape[1])
    with counting(steps, "steps", what) as done, reference.watched(done):
        yield


# -- the parts of the report -----------------------------------------------------------------------


def _difference(model: Model, trial: _Trial, mine: Floats) -> _Found:
    """Return the greatest difference from Keras, if Keras was asked."""
    if trial.outputs is None:
        return _Found(True)
    note = "" if model.dtype == "f32" else f", whose weights are f32, here {model.dtype}"
    difference = float(np.abs(mine - trial.outputs).max())
    line = f"greatest difference    {difference:.2e} from Keras {trial.version}{note}"
    return _Found(True, [line], {"keras_version": trial.version, "greatest_difference": difference})


def _error(model: Model, trial: _Trial, mine: Floats) -> _Found:
    """Return whether the model computes what the file says."""
    if model.dtype in rounding.ROUNDING_TOLERANCE:
        with _counted(trial.network, trial.x, 1, "evaluating as rounded"):
            exact = reference.forward(rounding.rounded(trial.network, model.dtype), trial.x)
        difference, most = np.abs(mine - exact).max(), rounding.ROUNDING_TOLERANCE[model.dtype] * np.abs(exact).max()
        return _Found(
            bool(difference <= most),
            [f"error against float64  {difference:.2e} (at most {most:.2e})"],
            {"error": float(difference), "most": float(most), "error_is": "absolute, against float64"},
        )
    keras = trial.outputs if trial.same_reading else None
    whose = "numpy's in float32" if keras is None else "Keras's"
    with _counted(trial.network, trial.x, keras is None, "evaluating in float32"):
        measure = reference.forward(trial.network, trial.x, np.float32) if keras is None else keras
    ratio = parity.ratio(mine, measure, trial.exact, trial.amplified)
    return _Found(
        ratio <= parity.WORST,
        [f"error against float64  {ratio:.2f} times {whose} (at most {parity.WORST:g})"],
        {"error": float(ratio), "most": parity.WORST, "error_is": f"in times {whose}, against float64"},
    )


def _conclusion(trial: _Trial, exact: bool, as_saved: bool) -> tuple[bool, list[str]]:
    """Return whether the model passed, and the last lines of the report.

    exact: whether the model computes what the file says.
    """
    if not exact:
        whom = "Keras" if trial.same_reading else "the file"
        return False, [f"NOT equal to {whom}: the model computes something else"]
    if trial.same_reading:
        return True, ["equal to Keras"]
    if as_saved:
        version = trial.network.keras_version
        saved = f" as Keras {version} saved it" if version else ""
        return True, [f"equal to the file{saved}, by lstmgen's own reading of it"]
    return False, list(trial.other_reading())


def _not_compared(model: Model) -> str:
    """Return what `verify` has not compared."""
    parts = []
    if model.encoding != "features":
        parts.append("vocabulary, prime and encoding, which Keras does not store")
    if model.window and model.generates:
        parts.append("windows shorter than T and their padding")
    if model.generates and not model.whole:
        parts.append("carried state")
    return "; ".join(parts) or "nothing else is stored"


# -- what is compared ------------------------------------------------------------------------------


def _read(model: Model, path: str, options: ReadOptions) -> Network:
    """Return the network of the Keras file. Raises `ValueError` if it has other sizes."""
    network = keras_file.read(path, **options)
    expected, found = (model.input_size, model.outputs), (network.input_size, network.outputs)
    if found != expected:
        raise ValueError(f"{path}: expected (inputs, outputs) {expected} as in the model, found {found}")
    if model.window and network.window and model.window != network.window:
        raise ValueError(f"{path}: expected {model.window} time steps as in the model, found {network.window}")
    return network


def _other_way() -> str:
    """Return the end of a message about a file that Keras cannot load."""
    return f"; {option('as_saved', True)} compares with lstmgen's own reading of the file"


def _saver(network: Network) -> str:
    return f"Keras {network.keras_version}" if network.keras_version else "the Keras"


def _with_activation(network: Network, old: str, new: str) -> Network | None:
    """Return the network with another activation function. None if it does not have the old one."""
    layers = tuple(
        replace(layer, options={key: new if value == old else value for key, value in layer.options.items()})
        for layer in network.layers
    )
    found = any(old in layer.options.values() for layer in network.layers)
    return replace(network, layers=layers) if found else None


def _windows(model: Model, count: int) -> NDArray[Any]:
    """Return windows of ids, shape (count, T), or of features, shape (count, T, features)."""
    rng = np.random.default_rng(0)
    steps = model.window or 50
    if model.encoding == "features":
        return rng.uniform(-1, 1, (count, steps, model.input_shape[-1] or 1)).astype(np.float32)
    if not model.generates:
        return rng.integers(0, model.input_size, (count, steps), dtype=np.uint32)
    prime = model.prime.tolist() or [0] * (model.window or 1)
    refresh = 1 if model.whole else None
    text = Generator(model).stream(prime=prime, seed=0, refresh=refresh).take(steps + count)
    drawn = model.vocabulary.encode(text) if model.vocabulary else np.array(text, np.uint32)
    own = np.lib.stride_tricks.sliding_window_view(drawn, steps)[: count // 2]
    random = rng.integers(0, model.outputs, (count - len(own), steps), dtype=np.uint32)
    return np.concatenate([own, random])


def _encoded(model: Model, network: Network, x: NDArray[Any]) -> NDArray[Any]:
    if model.encoding == "features":
        return x
    return np.stack([reference.encode(network, model.encoding, row.tolist(), model.input_values) for row in x])


# -- Keras -----------------------------------------------------------------------------------------


def _keras_outputs(path: str, wanted: Sequence[str], x: NDArray[Any], shape: tuple[int, ...]) -> tuple[str, Floats]:
    """Return the version of Keras, and the outputs of the model that it loads.

    wanted: the names of the outputs to join. It is empty for a model with one output.
    x: the input.
    shape: the shape that the outputs must have.
    """
    keras = import_keras("verify")
    try:
        loaded = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras raises: the file is older or newer than this Keras
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(f"{path}: Keras {keras.__version__} cannot load it: {reason}{_other_way()}") from None
    if wanted:
        named = loaded.output if isinstance(loaded.output, dict) else {}
        outputs = [named[name] if name in named else loaded.get_layer(name).output for name in wanted]
        joined = outputs[0] if len(outputs) == 1 else keras.layers.Concatenate()(outputs)
        loaded = keras.Model(loaded.inputs, joined)
    found = _run(loaded, x)
    if found.shape != shape:
        raise ValueError(f"{path}: expected outputs {shape} of Keras {keras.__version__}, found {found.shape}")
    return keras.__version__, found


def _run(loaded: Any, x: NDArray[Any]) -> Floats:
    batch, steps = loaded.input_shape[:2]
    stateful = [layer for layer in _layers(loaded) if getattr(layer, "stateful", False)]
    if batch is None and not stateful:
        return np.asarray(loaded.predict(x, verbose=0), np.float32)
    rows = []
    size = batch or len(x)
    for start in range(0, len(x), size):
        part = x[start : start + size]
        whole = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])
        for layer in stateful:
            layer.reset_state()
        pieces = [whole] if steps != 1 else [whole[:, t : t + 1] for t in range(whole.shape[1])]
        outputs = [np.asarray(loaded(piece)) for piece in pieces]
        every = np.concatenate(outputs, axis=1) if outputs[-1].ndim == 3 else outputs[-1]
        rows.append(every[: len(part)])
    return np.concatenate(rows).astype(np.float32)


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a Keras model and of the models inside it."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)
