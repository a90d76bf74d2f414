"""Elements and their ids.

`vocabulary.py` is the class, `tokenizing.py` how Keras makes elements of a text, `unknown.py` what is said of others,
`reading.py` the files that people keep vocabularies in, and `pickles.py` those of Python.
"""

from lstmgen.vocabulary.tokenizing import Tokenizer
from lstmgen.vocabulary.vocabulary import Ids, Vocabulary, check_sequence, id_at, plain_ids

__all__ = ["Ids", "Tokenizer", "Vocabulary", "check_sequence", "id_at", "plain_ids"]
