"""The `.bin` (docs/format.md).

`sniffing.py` tells whether a file is one, `gguf.py` knows its bytes, `rounding.py` its dtypes,
`writer.py` writes a network, and `repacking.py` changes the dtype of a file.
"""
