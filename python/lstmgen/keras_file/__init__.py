"""Reader of models that Keras saved: a file in, a `Network` out.

A file is data from anywhere. Nothing in it is imported or run. `hdf5.py` reads arrays with care,
`weights.py` finds those of a layer, `spec.py` reads configs, `layers.py`, `recurrent.py` and
`models.py` say what each class of Keras is in terms of docs/format.md, and `assembly.py` puts the
network together.
"""

from lstmgen.keras_file.reader import Architecture, ReadOptions, describe, read

__all__ = ["Architecture", "ReadOptions", "describe", "read"]
