"""What a server takes on."""

from __future__ import annotations

from typing import NamedTuple

MIB = 2**20


class Limits(NamedTuple):
    """The limits of a server.

    parallel: how many sequences of a model are drawn side by side.
    queue: how many more sequences of a model wait.
    length: the most elements of a sequence.
    seconds: how long a request may take, in the queue and after it.
    body: bytes of a request.
    upload: bytes of a model that is uploaded. 0: nobody may upload.
    uploads: how many uploaded models are kept.
    patience: seconds for the headers of a request, and for each piece of its body.
    grace: seconds that running samples get when the server ends.

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
