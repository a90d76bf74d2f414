"""Exceptions that lstmgen adds to Python's own."""

from __future__ import annotations


class ModelFormatError(ValueError):
    """A model file or a state that cannot be read, or a network that the file format cannot hold."""
