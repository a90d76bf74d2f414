"""What an export costs, compared with reading the same bytes.

    python benchmarks/export.py [model.h5 ...]

It prints seconds, and memory as a multiple of the file. Without a file, it makes one of 20 MB in
the layout of Keras 2.3: one-hot 100 > LSTM 1040 > Dense 100. Each export runs in a separate
process. The memory after its imports is not counted. For Linux.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

_CHILD = """
import re, sys, time
import h5py, numpy
from lstmgen import exporting
def peak():  # of this process alone: what getrusage says began in its parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
started = time.perf_counter()
exporting.export(sys.argv[1], sys.argv[2])
seconds = time.perf_counter() - started
grown = (peak() - before) * 1024
print(seconds, grown, "tensorflow" in sys.modules or "keras" in sys.modules)
"""


def write_model(path: Path, inputs: int = 100, units: int = 1040) -> None:
    """A model of 20 MB with random weights."""
    rng = np.random.default_rng(1)
    lstm = {"kernel": (inputs, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": (4 * units,)}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "lstm": lstm,
        "dense": {"kernel": (units, inputs), "bias": (inputs,)},
    }
    layers = [
        {"class_name": "LSTM", "config": {"name": "lstm", "units": units, "batch_input_shape": [None, 40, inputs]}},
        {"class_name": "Dense", "config": {"name": "dense", "units": inputs, "activation": "softmax"}},
    ]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        weights = file.create_group("model_weights")
        weights.attrs["keras_version"] = b"2.3.1"
        weights.attrs["layer_names"] = [name.encode() for name in shapes]
        for layer, arrays in shapes.items():
            group = weights.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in arrays]
            for name, shape in arrays.items():
                group[f"{layer}/{name}:0"] = rng.normal(0, 0.02, shape).astype(np.float32)


def measure(path: Path, folder: Path) -> str:
    """A line of the table for one file."""
    started = time.perf_counter()
    size = len(path.read_bytes())
    reading = time.perf_counter() - started
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", _CHILD, str(path), str(folder / "out.bin")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *numbers, imported = done.stdout.split()
        runs.append((float(numbers[0]), float(numbers[1])))
    seconds, grown = sorted(runs)[1]
    cells = (
        path.name,
        f"{size / 1e6:.1f}",
        f"{seconds:.2f}",
        f"{seconds / reading:.0f}",
        f"{grown / size:.2f}",
        imported,
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(name) for name in sys.argv[1:]]
        if not files:
            files = [Path(folder) / "made.h5"]
            write_model(files[0])
        print("| file | MB | seconds (median of 3) | times reading it | memory, times its size | Keras imported |")
        print("|---|---|---|---|---|---|")
        for path in files:
            print(measure(path, Path(folder)))


if __name__ == "__main__":
    main()
