"""Make the data of the lesson before: parabolas, to be told apart by their points.

    python tools/parabola.py parabolas.csv --rows 600
    lstmgen train classifier parabolas.csv -o parabola.bin

Each row is a sequence of 20 numbers and its class. The numbers are y = a x^2 + b x + c at equal
steps of x from -1 to 1, with a, b and c drawn from -1 to 1. The coefficient a alone decides the
class:

    up        a > 1/3: opens upwards
    flat      a from -1/3 to 1/3: nearly a straight line
    down      a < -1/3: opens downwards

All classes are equally likely. The lesson's saved network `polynom.h5` takes such sequences, of the
shape (20, 1). Its three outputs are no classes: they estimate a, b and c, between -1 and 1.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

if find_spec("lstmgen") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from lstmgen.files import write

POINTS = 20
BORDER = 1 / 3


def kind(a: float) -> str:
    """The class of a parabola with the leading coefficient `a`."""
    return "up" if a > BORDER else "down" if a < -BORDER else "flat"


def parabolas(rows: int, seed: int = 1, noise: float = 0.0) -> Iterator[tuple[list[float], str]]:
    """Yield the points and the class of each of `rows` parabolas.

    noise: the standard deviation of a number that is added to each point.
    """
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, POINTS)
    for a, b, c in rng.uniform(-1, 1, (rows, 3)):
        y = a * x**2 + b * x + c + noise * rng.standard_normal(POINTS)
        yield [round(float(value), 4) for value in y], kind(a)


def table(rows: int, seed: int = 1, noise: float = 0.0) -> str:
    """The same as CSV: `sequence,label`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["sequence", "label"])
    for points, label in parabolas(rows, seed, noise):
        writer.writerow([" ".join(map(str, points)), label])
    return out.getvalue()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the CSV to write")
    parser.add_argument("--rows", type=int, default=600, help="parabolas (600)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows (1)")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of what is added to a point (0)")
    args = parser.parse_args()
    if args.rows < 1 or not args.noise >= 0:
        parser.error("expected at least one row, and a noise of at least 0")
    try:
        write(args.out, table(args.rows, args.seed, args.noise).encode())
    except OSError as error:
        print(f"{Path(sys.argv[0]).name}: {error.filename or args.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
