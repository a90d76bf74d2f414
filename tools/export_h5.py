"""Turn a model that Keras saved into a `.bin`: the step `lstmgen export` as a script.

    python tools/export_h5.py model.h5 latex.bin --vocab-from corpus.tex

Needs numpy and h5py, but neither TensorFlow nor lstmgen's compiled module: it runs on a checkout.
Exit status 0, 1 (it failed, one-line reason), 2 (usage).
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("lstmgen") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from lstmgen.cli.export import add_arguments, run
from lstmgen.cli.main import reason


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_arguments(parser)
    args = parser.parse_args()
    try:
        run(args)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, TypeError, ImportError, MemoryError) as error:
        print(f"{Path(sys.argv[0]).name}: {reason(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
