"""Reader of models that Keras saved: it takes a file and returns a `Network`.

A file may come from anywhere. Nothing in it is imported or run.

| module | what it does |
|---|---|
| `reader.py` | tells the kinds of file apart |
| `hdf5.py` | reads arrays, and checks each size first |
| `weights.py` | finds the arrays of a layer |
| `spec.py` | reads configs |
| `layers.py`, `recurrent.py`, `models.py` | translate each class of Keras into docs/format.md |
| `assembly.py` | puts the network together |
"""

from lstmgen.keras_file.reader import Architecture, ReadOptions, describe, read

__all__ = ["Architecture", "ReadOptions", "describe", "read"]
