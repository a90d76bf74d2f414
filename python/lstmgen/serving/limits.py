"""The limits of a server."""

from __future__ import annotations

from typing import NamedTuple

MIB = 2**20


class Limits(NamedTuple):
    """The limits of a server.

    parallel: how many sequences a model draws side by side, at most.
    queue: how many more sequences may wait for a model.
    length: how many elements a sequence has, at most.
    seconds: how long a request may take, with its time in the queue.
    body: how many bytes a request has, at most.
    upload: how many bytes an uploaded model has, at most. 0: the server takes no uploads.
    uploads: how many uploaded models are kept. The one that was used least recently goes first.
    patience: seconds that may pass before a request, and before each piece of its body.
    grace: seconds that running samples have to end when the server stops.

    >>> Limits().parallel
    64
    """

    parallel: int = 64
    queue: int = 256
    length: int = 100_000
    seconds: float = 300.0
    body: int = 8 * MIB
    upload: int = 64 * MIB
    uploads: int = 8
    patience: float = 30.0
    grace: float = 10.0
