"""Sample from a recurrent network that Keras trained, thousands of times faster than
`model.predict`.

    lstmgen.export("model.h5", "my.bin", vocab_from="corpus.txt")
    lstmgen.Generator("my.bin").sample(temp=0.67)

Importing the package imports next to nothing: each name and each module below it is imported when
it is first used.

>>> import lstmgen
>>> lstmgen.Generator("latex").sample(17, temp=0, prime="Let $X$ be")
' a topological sp'
>>> len(lstmgen.music.decode("d12 n60 t12 n64").notes)
2
"""

TYPE_CHECKING = False  # what `typing` has, whose import takes longer than all of this module
if TYPE_CHECKING:
    from lstmgen import bench as bench
    from lstmgen import evaluation as evaluation
    from lstmgen import keras as keras
    from lstmgen import music as music
    from lstmgen import notebook as notebook
    from lstmgen import training as training
    from lstmgen import verify as verify
    from lstmgen.batch import Batch
    from lstmgen.errors import ModelFormatError, OptionError, ReaderDied
    from lstmgen.exporting import export
    from lstmgen.generator import Generator, Score
    from lstmgen.model import Model
    from lstmgen.options import SamplingOptions
    from lstmgen.stream import Stream

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "Generator",
    "Model",
    "ModelFormatError",
    "OptionError",
    "ReaderDied",
    "SamplingOptions",
    "Score",
    "Stream",
    "__version__",
    "export",
]

_HOMES = {
    "Batch": "lstmgen.batch",
    "Generator": "lstmgen.generator",
    "Model": "lstmgen.model",
    "ModelFormatError": "lstmgen.errors",
    "OptionError": "lstmgen.errors",
    "ReaderDied": "lstmgen.errors",
    "SamplingOptions": "lstmgen.options",
    "Score": "lstmgen.generator",
    "Stream": "lstmgen.stream",
    "export": "lstmgen.exporting",
}


# Public modules. They are not in `__all__`, since not all of them can be imported without Keras.
_MODULES = ("bench", "evaluation", "keras", "music", "notebook", "ray", "rows", "training", "verify")


def __getattr__(name: str) -> object:
    # Imported at first use: exporting needs no native module, sampling no exporter.
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"lstmgen.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lstmgen' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
