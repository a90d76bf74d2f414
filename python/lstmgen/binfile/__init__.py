"""The `.bin` (docs/format.md): `writer.py` makes one, `repacking.py` changes its dtype."""
