"""Walk through grammars with llguidance, an independent engine, beside lstmgen, and count where
they differ.

python benchmarks/grammar_oracle.py              a million steps in six grammars: about ten minutes
python benchmarks/grammar_oracle.py json chess   the same in two of them
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.oracle import cases, walk


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grammars", nargs="*", metavar="grammar", help=f"of {', '.join(cases())}; all by default")
    parser.add_argument("--steps", type=int, default=1_000_000, help="of all grammars together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    all_cases = {name: case for name, case in cases().items() if not args.grammars or name in args.grammars}
    if len(all_cases) < len(set(args.grammars)):
        parser.error(f"expected grammars of {', '.join(cases())}; found {', '.join(args.grammars)}")
    total = found = 0
    for name, case in all_cases.items():
        start = time.perf_counter()
        n, differences = walk(case, -(-args.steps // len(all_cases)), args.seed)
        total += n
        found += len(differences)
        print(f"{name}: {n} steps, {len(differences)} differences, {time.perf_counter() - start:.0f} s", flush=True)
        for difference in differences:
            print("  ", difference)
    print(f"{total} steps, {found} differences")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
