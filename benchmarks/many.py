"""What the rows of a table cost beside `sample_many`, on one thread and with Ray.

python benchmarks/many.py               # a minute; with the extra ray, else without its line

Each round draws the same rows of the bundled `latex`, in carried states: with `sample_many`, with
`write_rows` into JSON Lines and Parquet, and with `lstmgen.ray.sample_dataset`, whose actor has one
thread. The figure is elements per second of one thread. Starting Ray and its actor takes seconds,
however many rows there are: the rate of Ray is taken between the ends of its first and last part.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import lstmgen
from lstmgen.rows import Parts, write_rows
from measuring import about, spread, table

LENGTH = 300
PART = 192


def rounds(count: int, parts: int) -> dict[str, list[float]]:
    """Elements per second in each round, of each way."""
    gen = lstmgen.Generator("latex")
    options: Any = {"temp": 0.67, "seed": 1, "refresh": None}
    rows = PART * parts
    with_ray = find_spec("ray") is not None
    rates: dict[str, list[float]] = {"sample_many": [], "write_rows .jsonl": [], "write_rows .parquet": []}
    if with_ray:
        import ray

        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        rates["sample_dataset"] = []
    for _ in range(count):
        began = time.perf_counter()
        gen.sample_many(rows, LENGTH, **options)
        rates["sample_many"].append(rows * LENGTH / (time.perf_counter() - began))
        with tempfile.TemporaryDirectory() as folder:
            for suffix in (".jsonl", ".parquet"):
                began = time.perf_counter()
                write_rows(gen.model, rows, f"{folder}/out{suffix}", LENGTH, **options)
                rates[f"write_rows {suffix}"].append(rows * LENGTH / (time.perf_counter() - began))
        if with_ray:
            from lstmgen.ray import sample_dataset

            folder = tempfile.mkdtemp()
            out = Parts(Path(folder) / "out", ".parquet")
            sample_dataset(gen.model, rows, LENGTH, out=out.folder, actors=1, part=PART, **options)
            ends = sorted(piece.path.stat().st_mtime for piece in out.pieces(rows))
            rates["sample_dataset"].append(PART * (len(ends) - 1) * LENGTH / (ends[-1] - ends[0]))
            shutil.rmtree(folder)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", type=int, default=8, help=f"of {PART} rows (%(default)s)")
    args = parser.parse_args()
    print(about(), end="\n\n", flush=True)
    rates = rounds(args.rounds, args.parts)
    base = np.array(rates["sample_many"])
    head = ["way", "elements/s of a thread", "beside sample_many"]
    print(
        table(
            [
                head,
                *(
                    [name, f"{np.median(found):,.0f}", spread([float(x) for x in np.array(found) / base])]
                    for name, found in rates.items()
                ),
            ]
        )
    )


if __name__ == "__main__":
    main()
