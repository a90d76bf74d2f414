"""Sample from a recurrent network that Keras trained, thousands of times faster than `model.predict`.

>>> lstmgen.export("model.h5", "latex.bin", vocab_from="corpus.tex")
>>> lstmgen.Generator("latex.bin").sample(temp=0.67)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lstmgen.errors import ModelFormatError, OptionError

if TYPE_CHECKING:
    from lstmgen.exporting import export
    from lstmgen.generator import Generator, Score
    from lstmgen.model import Model
    from lstmgen.options import SamplingOptions
    from lstmgen.stream import Stream

__version__ = "0.1.0"
__all__ = [
    "Generator",
    "Model",
    "ModelFormatError",
    "OptionError",
    "SamplingOptions",
    "Score",
    "Stream",
    "__version__",
    "export",
]

_HOMES = {
    "Generator": "lstmgen.generator",
    "Model": "lstmgen.model",
    "SamplingOptions": "lstmgen.options",
    "Score": "lstmgen.generator",
    "Stream": "lstmgen.stream",
    "export": "lstmgen.exporting",
}


def __getattr__(name: str) -> object:
    # Imported at first use: exporting needs no native module, sampling no exporter.
    if name not in _HOMES:
        raise AttributeError(f"module 'lstmgen' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
