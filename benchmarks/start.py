"""What starting costs: imports, the first character of the bundled model, and memory.

python benchmarks/start.py

Imports are compared with those of numpy, and memory with the size of the weights. Each figure is
the median of 15 processes, in rounds of one of each kind. The memory is the difference between a
process with numpy alone and one that drew 200 elements after 100. For Linux.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import lstmgen
from measuring import about, figure, table
from targets import MODELS, pack

PROCESSES = 15
TIMED = "from time import perf_counter; start = perf_counter(); {}; print(perf_counter() - start)"
NUMPY, LSTMGEN, GENERATOR = "import numpy", "import lstmgen", "from lstmgen import Generator"
FIRST = "Generator('latex').sample(1)"
GROWN = """
import re, sys
import numpy
def peak():  # of this process alone: what getrusage says began in its parent
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
from lstmgen import Generator
for path in sys.argv[1:]:
    Generator(path).sample(200, prime=[0] * 100)
print(peak() - before)
"""


def run(code: str, *argv: str) -> float:
    """What a fresh process prints."""
    return float(subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True).stdout)


def working_set(model: lstmgen.Model) -> int:
    """Bytes of the weights, and of h and c of each lane."""
    lanes = model.window or 1
    return model.nbytes + lanes * sum(8 * layer.outputs for layer in model.layers if layer.type == "lstm")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {"latex": "latex"}
        for name, shape in MODELS.items():
            paths[name] = str(Path(folder, f"{name}.bin"))
            Path(paths[name]).write_bytes(pack(*shape, "f32"))
        commands = {statement: [TIMED.format(statement)] for statement in (NUMPY, LSTMGEN, GENERATOR)}
        commands |= {FIRST: [f"{GENERATOR}; {TIMED.format(FIRST)}"], "imports": [GROWN]}
        commands |= {name: [GROWN, path] for name, path in paths.items()}
        rounds = [{name: run(*command) for name, command in commands.items()} for _ in range(PROCESSES)]
        needed = {name: working_set(lstmgen.Model(path)) for name, path in paths.items()}

    found = {name: median(r[name] for r in rounds) for name in commands}

    def ms(name: str) -> str:
        return f"{figure(found[name] * 1e3)} ms"

    def mb(size: float) -> str:
        return f"{figure(size / 1e6)} MB"

    rows = [["what", "median", "beside", "times"]]
    for name in (LSTMGEN, GENERATOR):
        ratio = median(r[name] / r[NUMPY] for r in rounds)
        rows.append([f"`{name}`", ms(name), f"`{NUMPY}`: {ms(NUMPY)}", figure(ratio)])
    rows.append([f"`{FIRST}` after it", ms(FIRST), "", ""])
    rows.append([f"peak memory over numpy, `{GENERATOR}`", mb(found["imports"]), "", ""])
    for name, size in needed.items():
        beside, ratio = f"weights and lane states: {mb(size)}", found[name] / size
        rows.append([f"peak memory over numpy, `{name}`", mb(found[name]), beside, figure(ratio)])
    print(about(), end="\n\n")
    print(table(rows))


if __name__ == "__main__":
    main()
