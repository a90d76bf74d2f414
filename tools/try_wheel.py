"""Try an installed lstmgen that needs no compiler: python tools/try_wheel.py

It samples text and music, exports a file of Keras, and finds the C and C++ library. It uses numpy
and h5py alone, so that it runs with the oldest of both, in a fresh environment, on any system.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

import lstmgen

# What the seed 19 gives: the same text on every machine and instruction set.
BEGINNING = "\\begin{lemma}\n\\label{lemma-closed-in-quasi-compact}\nA topological space $X$ is catenary."


def main() -> None:
    """Try each part; an error ends the program."""
    text = lstmgen.Generator("latex").sample(300, temp=0.67, min_p=0.05, seed=19, grammar="own")
    assert BEGINNING in str(text), f"the seed 19 gives another text here: {text!r}"

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = _lstmgen("sample", "latex", "--temp", "0.67", "--seed", "19", "--length", "300")
        assert done == text, f"the command gives another text than Python: {done!r}"
        _lstmgen("sample", "music", "--length", "40", "--seed", "5", "-o", str(folder / "a.mid"))
        assert (folder / "a.mid").read_bytes().startswith(b"MThd")

        _keras_file(folder / "model.h5")
        lstmgen.export(folder / "model.h5", folder / "model.bin", vocab=list("abc"))
        drawn = lstmgen.Generator(folder / "model.bin").sample(20, prime="a", seed=1)
        assert len(drawn) == 20 and set(drawn) <= set("abc"), drawn

    if "--installed" in sys.argv:
        for option in ("--cmake-dir", "--include-dir", "--library"):
            assert Path(_lstmgen(option).strip()).exists(), option
    versions = f"python {platform.python_version()}, numpy {np.__version__}, h5py {h5py.__version__}"
    print(f"lstmgen {lstmgen.__version__} works: {versions}, {lstmgen.Model('latex').isa}")


def _lstmgen(*words: str) -> str:
    """What the installed program prints."""
    program = Path(sys.executable).parent / ("lstmgen.exe" if os.name == "nt" else "lstmgen")
    return subprocess.run([program, *words], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def _keras_file(path: Path) -> None:
    """Write one-hot 3 > LSTM 4 > Dense 3 softmax, as Keras 2 saved it."""
    rng = np.random.default_rng(1)
    arrays = {
        "lstm": {"kernel:0": (3, 16), "recurrent_kernel:0": (4, 16), "bias:0": (16,)},
        "dense": {"kernel:0": (4, 3), "bias:0": (3,)},
    }
    lstm = {"name": "lstm", "units": 4, "batch_input_shape": [None, 5, 3], "return_sequences": False}
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [
                {"class_name": "LSTM", "config": lstm | {"activation": "tanh", "recurrent_activation": "sigmoid"}},
                {"class_name": "Dense", "config": {"name": "dense", "units": 3, "activation": "softmax"}},
            ],
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [layer.encode() for layer in arrays]
        for layer, shapes in arrays.items():
            group = weights.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{array}".encode() for array in shapes]
            for array, shape in shapes.items():
                group[f"{layer}/{array}"] = rng.normal(size=shape).astype(np.float32)


if __name__ == "__main__":
    main()
