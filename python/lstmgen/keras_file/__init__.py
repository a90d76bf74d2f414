"""Reader of models that Keras saved: it takes a file and returns a `Network`.

A file may come from anywhere. Nothing in it is imported or run, and a separate process reads it.

| module | what it does |
|---|---|
| `isolation.py` | lets a separate process read a file, within limits |
| `child.py`, `transfer.py` | that process, and how its answer comes back |
| `reader.py` | tells the kinds of file apart |
| `hdf5.py` | reads arrays, and checks each size first |
| `weights.py` | finds the arrays of a layer |
| `spec.py` | reads configs |
| `layers.py`, `recurrent.py`, `models.py` | translate each class of Keras into docs/format.md |
| `mask_ops.py` | reads the operations with which Keras computes masks |
| `lookups.py` | reads layers that turn texts into ids |
| `layer_list.py`, `inference.py` | the architecture of weights alone: told, or read from them |
| `textgenrnn.py`, `tf_checkpoint.py` | models that textgenrnn and TensorFlow saved |
| `assembly.py` | puts the network together |
"""

from lstmgen.keras_file.isolation import describe, read
from lstmgen.keras_file.reader import Architecture, ReadOptions

__all__ = ["Architecture", "ReadOptions", "describe", "read"]
