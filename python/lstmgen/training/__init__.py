"""Training with Keras, up to the exported `.bin`: the only place, with `lstmgen.keras`, that
imports Keras.

`tasks/` holds what is learnt. The tasks have in common: `settings.py` what a training may be told,
`start.py` where it starts, `loop.py` its epochs, `checkpoint.py` its files, `progress.py` what it
says, `card.py` the model's card, and `backend.py` Keras.
"""

from lstmgen.training.loop import TrainingReport
from lstmgen.training.settings import Settings
from lstmgen.training.tasks.classifier import ClassifierSettings, train_classifier
from lstmgen.training.tasks.music import MusicSettings, train_music
from lstmgen.training.tasks.text import TextSettings, train_text

__all__ = [
    "ClassifierSettings",
    "MusicSettings",
    "Settings",
    "TextSettings",
    "TrainingReport",
    "train_classifier",
    "train_music",
    "train_text",
]
