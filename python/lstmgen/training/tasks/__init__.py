"""What can be learnt.

`text.py` letters and words, `music.py` notes, `classifier.py` sequences with a label, and
`corpus.py` the files that texts come from.
"""
