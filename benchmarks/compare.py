"""What one generated element costs: Keras's `model.predict`, ONNX Runtime and lstmgen, doing the same work in one run.

python benchmarks/compare.py --help
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core
from lstmgen.bench import lane_macs, step_bytes
from lstmgen.generator import Sampling

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if missing := [name for name in ("tensorflow", "keras", "onnx", "onnxruntime") if find_spec(name) is None]:
    sys.exit(f"missing: {', '.join(missing)}; install the extra 'bench': pip install '.[bench]'")

import keras
import onnx
import onnxruntime
from keras.layers import LSTM, BatchNormalization, Dense, Dropout

logging.getLogger("absl").setLevel(logging.ERROR)  # Keras's advice against .h5

WINDOW = 100
TEMP = 0.67
ROUNDS = 9
TOLERANCE = 1e-4
ENGINES = ("model.predict", "ONNX Runtime", "lstmgen")
MODES = ("window", "carried")

Array = NDArray[np.float32]
Forward = Callable[[Array], Array]  # (1, steps, inputs) -> (outputs,); carried: one step, from the state it left
Draw = Callable[[int], object]  # draws so many elements, each fed back


# -- the reference models ------------------------------------------------------------------------


def latex256(lstm: Any) -> list[Any]:
    return [lstm(256), Dense(92, "softmax")]


def latex512x2(lstm: Any) -> list[Any]:
    return [lstm(512, return_sequences=True), Dropout(0.2), lstm(512), Dense(92, "softmax")]


def music512x3(lstm: Any) -> list[Any]:
    return [
        lstm(512, return_sequences=True),
        lstm(512, return_sequences=True),
        lstm(512),
        BatchNormalization(),
        Dense(256, "relu"),
        BatchNormalization(),
        Dense(358, "softmax"),
    ]


class Reference(NamedTuple):
    layers: Callable[[Any], list[Any]]
    inputs: int  # as many as outputs: one-hot; 1: the id over the number of outputs


MODELS = {
    "latex256": Reference(latex256, 92),
    "latex512x2": Reference(latex512x2, 92),
    "music512x3": Reference(music512x3, 1),
}


def build(reference: Reference, *, carried: bool) -> Any:
    """The Keras model: WINDOW elements in, or one element in and the state carried."""
    steps, batch = (1, 1) if carried else (WINDOW, None)
    lstm = partial(LSTM, stateful=carried)
    return keras.Sequential([keras.Input((steps, reference.inputs), batch), *reference.layers(lstm)])


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Away from the initial values, so that no bias and no statistic is trivial."""
    model.set_weights([w + rng.normal(0, 0.05, w.shape) for w in model.get_weights()])


# -- the engines ---------------------------------------------------------------------------------


def keras_forward(model: Any) -> Forward:
    return lambda x: np.asarray(model.predict(x, verbose=0)[0], np.float32)


def onnx_forward(model: Any, threads: int, *, carried: bool) -> Forward:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    graph = onnx_graph(model, carried=carried).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    state = [np.zeros(i.shape, np.float32) for i in session.get_inputs()[1:]]

    def forward(x: Array) -> Array:
        time_first = x.reshape(x.shape[1], 1, x.shape[2])
        probabilities, *state[:] = session.run(None, dict(zip(names, [time_first, *state], strict=True)))
        return np.asarray(probabilities[0], np.float32)

    return forward


def onnx_graph(model: Any, *, carried: bool) -> Any:
    """The network in ONNX's operators: (steps, 1, inputs) in, (1, outputs) out, and if carried each h and c in and out.

    A BatchNormalization is folded into the Dense layer after it.
    """
    steps, inputs = model.input_shape[1:]
    tensor = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT)
    graph_inputs = [tensor("x", shape=(steps, 1, inputs))]
    graph_outputs = [tensor("probabilities", shape=(1, model.output_shape[-1]))]
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: Any, dtype: type = np.float32) -> str:
        constants.append(onnx.numpy_helper.from_array(np.array(value, dtype, order="C"), name))
        return name

    def node(operator: str, operands: list[str], results: list[str], **attributes: Any) -> str:
        nodes.append(onnx.helper.make_node(operator, operands, results, **attributes))
        return results[0]

    def lstm(layer: Any, x: str) -> str:
        name, units = layer.name, layer.units
        kernel, recurrent_kernel, bias = (_iofc(w) for w in layer.get_weights())
        weights = [
            constant(f"{name}.W", kernel.T[None]),
            constant(f"{name}.R", recurrent_kernel.T[None]),
            constant(f"{name}.B", np.concatenate([bias, np.zeros_like(bias)])[None]),
        ]
        states, results = ["", ""], [f"{name}.y", f"{name}.h", f"{name}.c"]
        if carried:
            states = [f"{name}.h0", f"{name}.c0"]
            graph_inputs.extend(tensor(s, shape=(1, 1, units)) for s in states)
            graph_outputs.extend(tensor(s, shape=(1, 1, units)) for s in results[1:])
        node("LSTM", [x, *weights, "", *states], results, hidden_size=units)
        # y: (steps, directions, 1, units), h: (directions, 1, units), of which there is one direction
        y, axis = (results[0], 1) if layer.return_sequences else (results[1], 0)
        return node("Squeeze", [y, constant(f"{name}.axis", [axis], np.int64)], [f"{name}.out"])

    x, scale, offset = "x", np.ones(1), np.zeros(1)
    for layer in model.layers:
        match layer:
            case LSTM():
                x = lstm(layer, x)
            case BatchNormalization():
                gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.get_weights())
                scale = gamma / np.sqrt(variance + layer.epsilon)
                offset = beta - mean * scale
            case Dense():
                kernel, bias = (w.astype(np.float64) for w in layer.get_weights())
                bias = bias + (offset[:, None] * kernel).sum(axis=0)
                kernel = kernel * scale[:, None]
                weights = [constant(f"{layer.name}.kernel", kernel), constant(f"{layer.name}.bias", bias)]
                x = node("Gemm", [x, *weights], [f"{layer.name}.sum"])
                result = "probabilities" if layer is model.layers[-1] else f"{layer.name}.out"
                x = node({"relu": "Relu", "softmax": "Softmax"}[layer.activation.__name__], [x], [result])
                scale, offset = np.ones(1), np.zeros(1)
    graph = onnx.helper.make_graph(nodes, "network", graph_inputs, graph_outputs, constants)
    opset = onnx.helper.make_opsetid("", 17)
    made = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def _iofc(keras_gates: Array) -> Array:
    """From Keras's order of the gates, i f c o, to ONNX's."""
    i, f, c, o = np.split(keras_gates, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)


class Loop:
    """The loop that people write around a network: encode the last elements, run it, draw the next one."""

    def __init__(self, forward: Forward, inputs: int, outputs: int, steps: int) -> None:
        self.forward, self.inputs, self.outputs, self.steps = forward, inputs, outputs, steps
        self.rng = np.random.default_rng(0)
        self.ids = [0] * steps

    def encode(self, ids: list[int]) -> Array:
        if self.inputs == 1:
            return (np.array(ids) / self.outputs).astype(np.float32).reshape(1, -1, 1)
        x = np.zeros((1, len(ids), self.inputs), np.float32)
        x[0, np.arange(len(ids)), ids] = 1
        return x

    def probabilities(self, ids: list[int]) -> Array:
        """After `ids`, which are as many as the network reads at once or a multiple."""
        parts = [ids[i : i + self.steps] for i in range(0, len(ids), self.steps)]
        return [self.forward(self.encode(part)) for part in parts][-1]

    def __call__(self, count: int) -> None:
        for _ in range(count):
            probabilities = self.forward(self.encode(self.ids))
            sums = np.cumsum(probabilities.astype(np.float64) ** (1 / TEMP))
            drawn = int(np.searchsorted(sums, self.rng.random() * sums[-1], side="right"))
            self.ids = [*self.ids[1:], drawn]


def lstmgen_draw(model: lstmgen.Model, threads: int, *, carried: bool) -> Draw:
    """What `Generator.sample` does when all windows are in flight, some time after the prime."""
    generator = lstmgen.Generator(model, threads=threads)
    run = generator._native(Sampling(TEMP, seed=0), None if carried else 1)
    run.feed(np.zeros(WINDOW, np.uint32))
    run.sample(2 * WINDOW, [])
    return lambda count: run.sample(count, [])


# -- measuring -----------------------------------------------------------------------------------

Times = dict[tuple[str, str], list[float]]  # seconds per element in each round, of (engine, mode)


class Result(NamedTuple):
    name: str
    isa: str
    times: Times
    shares: dict[str, list[float]]  # of the limit in each round, in processor time, of a mode
    limits: dict[str, list[float]]  # of one thread: multiply-adds a second (window), bytes a second (carried)
    differences: dict[str, float]  # the greatest between lstmgen's probabilities and a peer's, of a mode


def measure(name: str, seconds: float, threads: int) -> Result:
    reference, rng = MODELS[name], np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    trained, stateful = build(reference, carried=False), build(reference, carried=True)
    randomize(trained, rng)
    stateful.set_weights(trained.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "model.h5"), Path(folder, "model.bin")
        keras.saving.save_model(trained, source)
        lstmgen.export(source, out)
        model = lstmgen.Model(out)

    draws: dict[tuple[str, str], Draw] = {}
    differences = {}
    for mode, keras_model in zip(MODES, (trained, stateful), strict=True):
        carried = mode == "carried"
        steps = 1 if carried else WINDOW
        forwards = {
            "model.predict": keras_forward(keras_model),
            "ONNX Runtime": onnx_forward(keras_model, threads, carried=carried),
        }
        loops = {engine: Loop(f, reference.inputs, model.outputs, steps) for engine, f in forwards.items()}
        differences[mode] = difference(model, list(loops.values()), rng, 20 if carried else WINDOW)
        draws |= {(engine, mode): loop for engine, loop in loops.items()}
        draws["lstmgen", mode] = lstmgen_draw(model, threads, carried=carried)

    slot = seconds / ROUNDS / len(draws)
    counts = {key: elements_in(draw, slot) for key, draw in draws.items()}
    times: Times = {key: [] for key in draws}
    limits: dict[str, list[float]] = {mode: [] for mode in MODES}
    shares: dict[str, list[float]] = {mode: [] for mode in MODES}
    work = {"window": lane_macs(model) * WINDOW, "carried": step_bytes(model)}
    busy: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):
        for mode, limit in zip(MODES, _core.measure_limits(model._native), strict=True):
            limits[mode].append(limit)
        for key, draw in draws.items():
            elapsed, busy[key] = timed(draw, counts[key])
            times[key].append(elapsed / counts[key])
        for mode in MODES:
            key = "lstmgen", mode
            shares[mode].append(work[mode] * counts[key] / busy[key] / limits[mode][-1])
    return Result(name, model.isa, times, shares, limits, differences)


def difference(model: lstmgen.Model, loops: list[Loop], rng: np.random.Generator, steps: int) -> float:
    """The greatest between the probabilities of lstmgen and of each of the others, after the same elements."""
    ids = rng.integers(0, model.outputs, steps)
    ours = model.predict(ids[None])[0]
    found = max(float(np.abs(ours - loop.probabilities(ids.tolist())).max()) for loop in loops)
    if not found <= TOLERANCE:
        sys.exit(f"the engines do not compute the same: probabilities differ by {found:.2g}, over {TOLERANCE:.0e}")
    return found


def timed(draw: Draw, count: int) -> tuple[float, float]:
    """Seconds on the clock, and of all processors."""
    start, busy = time.perf_counter(), time.process_time()
    draw(count)
    return time.perf_counter() - start, time.process_time() - busy


def elements_in(draw: Draw, seconds: float) -> int:
    """How many elements take about so long; a warm-up too."""
    draw(1)
    count = 1
    while (spent := timed(draw, count)[0]) < seconds / 4:
        count *= 2
    return max(1, round(count * seconds / spent))


# -- printing ------------------------------------------------------------------------------------


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{float(f'{value:.3g}'):,g}"


def with_spread(values: list[float], scale: float) -> str:
    """Median, and half the distance between the quartiles as a share of it."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{figure(median * scale)} ± {(high - low) / 2 / median:.0%}"


def ratio(times: Times, engine: str, mode: str) -> str:
    """The median of the ratios within each round, which a slow spell of the machine touches less than the times."""
    return figure(float(np.median(np.divide(times[engine, mode], times["lstmgen", mode]))))


def speeds(results: list[Result]) -> list[list[str]]:
    rows = [["model", "engine", "window, ms/element", "/ lstmgen", "carried, µs/element", "/ lstmgen"]]
    for result in results:
        for engine in ENGINES:
            cells = [result.name, engine]
            for mode, scale in zip(MODES, (1e3, 1e6), strict=True):
                cells += [with_spread(result.times[engine, mode], scale), ratio(result.times, engine, mode)]
            rows.append(cells)
    return rows


def limits(results: list[Result]) -> list[list[str]]:
    rows = [["lstmgen", "arithmetic, GMAC/s", "window's share", "memory, GB/s", "carried's share", "max difference"]]
    for result in results:
        cells = [f"{result.name}, {result.isa}"]
        for mode in MODES:
            cells += [with_spread(result.limits[mode], 1e-9), f"{np.median(result.shares[mode]):.0%}"]
        rows.append([*cells, f"{max(result.differences.values()):.1g}"])
    return rows


def table(rows: list[list[str]], *, markdown: bool) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def about() -> str:
    """Where, when and how this was measured."""
    cpu = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        cpu = next((x.split(":")[1].strip() for x in facts.read_text().splitlines() if x.startswith("model name")), cpu)
    packages = ", ".join(f"{name} {version(name)}" for name in ("keras", "tensorflow", "onnxruntime"))
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    command = shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cpu}, {os.cpu_count()} CPUs{load}; "
        f"lstmgen {lstmgen.__version__}, {packages}; `{command}`"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="of measuring for each model (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime and lstmgen (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    names = args.models.split(",")
    for name in names:
        if name not in MODELS:
            parser.error(f"--models: expected some of {', '.join(MODELS)}, found {name!r}")
    if args.threads < 1 or not args.seconds > 0:
        parser.error("--threads and --seconds: expected more than 0")

    print(about(), end="\n\n")
    results = []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        results.append(measure(name, args.seconds, args.threads))
    print(table(speeds(results), markdown=args.markdown), end="\n\n")
    print(table(limits(results), markdown=args.markdown))


if __name__ == "__main__":
    main()
