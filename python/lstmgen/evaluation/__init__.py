"""How a model stands against data: what it says of them, and what it draws beside them.

| module | what it has |
|---|---|
| `evaluating.py` | `evaluate`, which finds out what the data are |
| `evaluation.py` | `Evaluation`: a table, JSON, a plot |
| `text.py` | measures of text |
| `pieces.py` | measures of music |
| `plot.py` | the picture |
"""

from lstmgen.evaluation.evaluating import evaluate
from lstmgen.evaluation.evaluation import Evaluation, Row

__all__ = ["Evaluation", "Row", "evaluate"]
