"""Elements and their ids.

| module | what it has |
|---|---|
| `vocabulary.py` | the class |
| `tokenizing.py` | how Keras makes elements of a text |
| `unknown.py` | messages on elements that are not in a vocabulary |
| `reading.py` | files in which people keep vocabularies |
| `pickles.py` | pickles of plain data, read without running them |
| `order.py` | whether the elements are in the order of the training |
| `naming.py` | names of single bytes |
"""

from lstmgen.vocabulary.tokenizing import Tokenizer
from lstmgen.vocabulary.vocabulary import Ids, Vocabulary, check_sequence, id_at, ids_at_once, plain_ids

__all__ = ["Ids", "Tokenizer", "Vocabulary", "check_sequence", "id_at", "ids_at_once", "plain_ids"]
