"""The process that tries an uploaded model for a server: see `trial`."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys

from lstmgen import limits
from lstmgen.batch import Batch
from lstmgen.binfile.sniffing import is_bin
from lstmgen.exporting import convert
from lstmgen.keras_file import transfer
from lstmgen.model import Model
from lstmgen.serving.models import facts_of


def main() -> None:
    """Try the file in the standard input, and write the answer to the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no part of the answer
        sequences, seconds, memory = json.loads(sys.stdin.buffer.readline())
        data = sys.stdin.buffer.read()
        if not is_bin(data):
            importlib.import_module("lstmgen.keras_file.child")  # loads HDF5, before the limits hold
        limits.limit(seconds, memory)
        try:
            made = _try(data, sequences)
        except MemoryError:
            os._exit(limits.OUT_OF_MEMORY)
        except Exception as error:
            transfer.write(out, error)
        else:
            transfer.write(out, None)
            out.write(made)


def _try(data: bytes, sequences: int) -> bytes:
    """Do what the server would do with a file. Returns the `.bin` of a file of Keras, else b""."""
    made = b""
    if not is_bin(data):
        data = made = convert(data, trusted=True)  # this process already has limits
    model = Model(data)
    facts_of("", model, "", "")
    batch = Batch(model, most=sequences)
    for seed in range(sequences):
        batch.join(1, prime=[0], seed=seed)
    while batch:
        batch.advance()
    return made
