"""Training with Keras, up to the exported `.bin`.

Only this package and `lstmgen.keras` import Keras. `tasks/` has a module for each task. The tasks
share `settings.py` (the settings), `start.py` (where a training starts), `loop.py` (the epochs),
`checkpoint.py` (the files), `progress.py` (the lines on stderr), `card.py` (the model's card) and
`backend.py` (the import of Keras).
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
