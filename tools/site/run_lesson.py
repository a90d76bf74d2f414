"""Run the lesson's notebook: python tools/site/run_lesson.py -o docs/lesson.ipynb

It is run in an empty folder, and written with what its cells put out. `--small` makes it learn
less, so that it takes a minute in place of ten.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

LESSON = Path(__file__).resolve().parents[2] / "docs" / "lesson.ipynb"

# What TensorFlow writes when it starts, which depends on the machine.
NOISE = re.compile(r"^(?:WARNING: All log|[IWE]\d{4} |\d{4}-\d\d-\d\d .*: [IWE] |To enable the following).*\n?", re.M)


def run(small: bool) -> Any:
    """Return the notebook with its outputs. Raises `CellExecutionError` if a cell fails."""
    notebook = nbformat.read(LESSON, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        given = {"LESSON": "small" if small else "", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
        client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}})
        client.execute(env=os.environ | given)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = tidy(cell.outputs)
    return notebook


def tidy(outputs: list[Any]) -> list[Any]:
    """Join what was printed in pieces, and leave out the noise."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else {}
        if output.output_type == "stream" and output.name == before.get("name"):
            before["text"] += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = NOISE.sub("", output.text)
    return [output for output in joined if output.get("text") != ""]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    nbformat.write(run(args.small), args.output)


if __name__ == "__main__":
    main()
