"""What can be learnt.

`text.py` letters and words, `music.py` notes, `classifier.py` sequences with a label. `corpus.py`
has the files that texts come from, and `batches.py` what a network is fed of them.
"""
