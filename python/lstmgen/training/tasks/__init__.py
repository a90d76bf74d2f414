"""The tasks of a training.

`text.py` trains on letters and words, `music.py` on notes, and `classifier.py` on sequences with
labels. `corpus.py` reads texts from files, and `batches.py` makes batches of them.
"""
