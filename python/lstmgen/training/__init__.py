"""Training with Keras, up to the exported `.bin`: the only place, with `lstmgen.keras`, that imports Keras.

`text.py` letters and words, `music.py` notes, `classifier.py` sequences with a label; `loop.py` is what they have in
common: epochs, the best model kept, going on after an interruption, and the files at the end, one of them `card.py`'s.
"""

from lstmgen.training.loop import Report, Settings
from lstmgen.training.tasks.classifier import ClassifierSettings, train_classifier
from lstmgen.training.tasks.music import MusicSettings, train_music
from lstmgen.training.tasks.text import TextSettings, train_text

__all__ = [
    "ClassifierSettings",
    "MusicSettings",
    "Report",
    "Settings",
    "TextSettings",
    "train_classifier",
    "train_music",
    "train_text",
]
