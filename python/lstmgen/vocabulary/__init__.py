"""Elements and their ids: `vocabulary.py` the class, `reading.py` the files that people keep vocabularies in."""

from lstmgen.vocabulary.vocabulary import Ids, Vocabulary, check_sequence, id_at

__all__ = ["Ids", "Vocabulary", "check_sequence", "id_at"]
