"""Real saved models from the wild: LSTMGEN_ZOO names a folder of them with a MANIFEST.tsv.

Each line names a file and what it must do: `predict...`, then `<file>.npz` holds an input `x` and
the output `y` if these are known, or anything else for a file that must be refused.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import lstmgen
from lstmgen import ModelFormatError

FOLDER = Path(os.environ.get("LSTMGEN_ZOO", ""))


def _manifest() -> dict[str, str]:
    if not os.environ.get("LSTMGEN_ZOO"):
        return {}
    with (FOLDER / "MANIFEST.tsv").open(newline="") as file:
        return {line["file"]: line["expected"] for line in csv.DictReader(file, delimiter="\t")}


@pytest.mark.skipif(not _manifest(), reason="LSTMGEN_ZOO does not name a folder of real saved models")
@pytest.mark.parametrize("name", _manifest() or ["none"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # says what is assumed of files of weights
def test_real_file_predicts_what_it_did(name: str, tmp_path: Path) -> None:
    path = FOLDER / name
    if not _manifest()[name].startswith("predict"):
        with pytest.raises(ModelFormatError, match=name):
            lstmgen.export(path, tmp_path / "m.bin")
        return
    lstmgen.export(path, tmp_path / "m.bin")
    model = lstmgen.Model(tmp_path / "m.bin")
    if (known := FOLDER / f"{name}.npz").exists():
        with np.load(known) as arrays:
            np.testing.assert_allclose(model.predict(arrays["x"]), arrays["y"], rtol=0, atol=1e-5)
