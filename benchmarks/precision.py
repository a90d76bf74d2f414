"""What each dtype costs: bits per element on a text, and the difference from float64 arithmetic.

python benchmarks/precision.py model.h5 --vocab-from corpus.txt --text heldout.txt
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

import lstmgen
from lstmgen import keras_file
from lstmgen.binfile import rounding
from lstmgen.network import reference

WINDOWS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model of letters that Keras saved")
    parser.add_argument("--vocab-from", required=True, help="the corpus that it was trained on")
    parser.add_argument("--text", required=True, type=Path, help="a text that it has not seen")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    text = args.text.read_text(encoding="utf-8")
    network = keras_file.read(args.model)
    steps = network.window if network.window > 1 else 100
    columns = (
        "dtype",
        "bits per element",
        "KL from float64, nats",
        "greatest difference from it",
        "with weights as stored",
    )
    print("|", " | ".join(columns), "|")
    print("| --- | --- | --- | --- | --- |")
    for dtype in rounding.DTYPES:
        model = lstmgen.Model(args.model, vocab_from=args.vocab_from, dtype=dtype)
        generator = lstmgen.Generator(model)
        assert model.vocabulary is not None
        ids = model.vocabulary.encode(text)
        windows = np.stack([ids[i : i + steps] for i in np.linspace(0, len(ids) - steps, WINDOWS).astype(int)])
        x = np.stack([reference.encode(network, model.encoding, w.tolist(), model.input_values) for w in windows])
        exact = reference.forward(network, x, np.float64)
        stored = reference.forward(rounding.rounded(network, dtype), x, np.float64)
        found = model.predict(windows).astype(np.float64)
        kl = float((exact * np.log(exact / found)).sum(axis=-1).mean())
        bits = generator.score(text, refresh=None).bits_per_element
        difference, change = np.abs(found - exact).max(), np.abs(found - stored).max()
        print(f"| {dtype} | {bits:.4f} | {kl:.1e} | {difference:.1e} | {change:.1e} |")


if __name__ == "__main__":
    main()
