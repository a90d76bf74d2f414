"""The models of a server: those that it starts with, and uploaded ones."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lstmgen.batch import Prepared
from lstmgen.bundled import bundled, card_path
from lstmgen.engine_terms import decode
from lstmgen.model import Model
from lstmgen.options import recommended
from lstmgen.serving.answers import encoded
from lstmgen.serving.engine import Engine
from lstmgen.serving.failures import Failure
from lstmgen.serving.limits import Limits
from lstmgen.serving.trial import tried

# Primes that the page offers, if the model has their letters.
_PRIMES = ("\\begin{lemma}\n", "\\begin{proof}\n", "Let $X$ be ")
_LONGEST_CARD = 20_000  # characters
_LONGEST_PRIME = 200  # elements of the model's own prime


class Served:
    """A model, and the threads that draw from it.

    id: the name that clients use.
    model: the model.
    engine: the thread that draws sequences without a grammar.
    facts: what `/v1/models` answers about it, as JSON.
    uploaded: whether a client sent it.
    """

    def __init__(self, identity: str, model: Model, limits: Limits, threads: int, *, name: str, card: str = "") -> None:
        self.id = identity
        self.model = model
        self.facts = encoded(facts_of(identity, model, name, card))
        self.uploaded = identity != name
        self._made = {"parallel": limits.parallel, "queue": limits.queue, "threads": threads}
        self.engine = Engine(model, **self._made)
        self._grammars: Engine | None = None

    def engine_for(self, prepared: Prepared) -> Engine:
        """Return the thread that draws a sequence.

        A step takes as long as its slowest grammar. So sequences with one have a thread for
        themselves, and those without one go on.
        """
        if prepared.request["grammar"] is None:
            return self.engine
        if self._grammars is None:
            self._grammars = Engine(self.model, **self._made)
        return self._grammars

    @property
    def engines(self) -> list[Engine]:
        """All threads that draw from the model."""
        return [each for each in (self.engine, self._grammars) if each is not None]

    @property
    def load(self) -> tuple[int, int]:
        """How many sequences are drawn, and how many wait."""
        loads = [each.load for each in self.engines]
        return sum(running for running, _ in loads), sum(waiting for _, waiting in loads)


class Models:
    """All models of a server, by their ids.

    sources: paths of models, or names of bundled ones.
    limits: the limits of the server.
    threads: how many threads of the library share the work of a model.

    Raises what `Model` and `Generator` raise, and `ValueError` for two models with the same name.
    """

    def __init__(self, sources: list[str], limits: Limits, threads: int = 1) -> None:
        self._limits, self._threads = limits, threads
        self._own: dict[str, Served] = {}
        self._uploaded: OrderedDict[str, Served] = OrderedDict()
        self._ending: list[Served] = []  # dropped uploads that may still draw
        self._lock = threading.Lock()
        self.ended = threading.Event()  # uploads are read no further
        for source in sources:
            name = source if source in bundled() else os.fsencode(Path(source).stem).decode(errors="replace")
            if name in self._own:
                raise ValueError(f"{source}: another model has the name {name!r}, too: rename one of the files")
            card = Path(card_path(name)).read_text(encoding="utf-8") if source in bundled() else ""
            model = Model(source)
            self._own[name] = Served(name, model, limits, threads, name=name, card=card)

    def __iter__(self) -> Iterator[Served]:
        with self._lock:
            return iter([*self._own.values(), *self._uploaded.values()])

    def find(self, name: object) -> Served:
        """Return the model with this name, the first one for None. Raises `Failure` for no such."""
        with self._lock:
            if name is None:
                return next(iter(self._own.values()))
            if isinstance(name, str):
                if name in self._uploaded:
                    self._uploaded.move_to_end(name)
                    return self._uploaded[name]
                if name in self._own:
                    return self._own[name]
        known = ", ".join(self._own)
        raise Failure(404, f"model: expected one of {known}, found {name!r:.60}", "model", "model_not_found")

    def upload(self, name: str, data: bytes) -> Served:
        """Load an uploaded model, and keep it.

        name: the name of the file.
        data: its bytes. A separate process tries them first: see `trial`.

        Raises what `trial.tried` raises.
        """
        name = os.path.basename(name.replace("\\", "/"))[:100] or "model"
        model = Model(tried(data, name, self._limits, self.ended.is_set))
        served = Served(f"upload-{secrets.token_hex(8)}", model, self._limits, self._threads, name=name)
        with self._lock:
            self._uploaded[served.id] = served
            dropped = [self._uploaded.popitem(last=False)[1] for _ in range(len(self._uploaded) - self._limits.uploads)]
            self._ending = [*(one for one in self._ending if one.load != (0, 0)), *dropped]
        for engine in [engine for one in dropped for engine in one.engines]:
            engine.end()
        return served

    def close(self) -> None:
        """Stop all threads that draw."""
        for engine in [engine for served in (*self, *self._ending) for engine in served.engines]:
            engine.close()

    def load(self) -> tuple[int, int]:
        """Return how many sequences all models draw, and how many wait for them."""
        loads = [served.load for served in self]
        return sum(running for running, _ in loads), sum(waiting for _, waiting in loads)


def facts_of(identity: str, model: Model, name: str, card: str) -> dict[str, Any]:
    """Return what `/v1/models` answers about a model.

    identity: the id of the model.
    name: the name that the page shows.
    card: the card, in Markdown.

    >>> import lstmgen
    >>> facts_of("m", lstmgen.Model("latex"), "m.bin", "")["lstmgen"]["kind"]
    'text'
    """
    from lstmgen.music.elements import recognise_vocabulary

    vocabulary, metadata = model.vocabulary, model.metadata
    elements = list(vocabulary.elements) if vocabulary else []
    notation = None
    if vocabulary is not None and vocabulary.kind == "tokens" and (found := recognise_vocabulary(elements)):
        notation = found.notation
    kind = "ids" if vocabulary is None else "music" if notation else "text"
    return {
        "id": identity,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "lstmgen",
        "lstmgen": {
            "name": name,
            "description": metadata["description"],
            "kind": kind,
            "elements": elements,
            "notation": notation,
            "separator": separator(model),
            "grammar": model.grammar is not None,
            "recommended": recommended(metadata["card"], ()),
            "primes": primes(model),
            "window": model.window or None,
            "dtype": model.dtype,
            "card": (card or metadata["description"])[:_LONGEST_CARD],
        },
    }


def separator(model: Model) -> str:
    """Return what stands between two elements in a text.

    >>> import lstmgen
    >>> separator(lstmgen.Model("latex")), separator(lstmgen.Model("music"))
    ('', ' ')
    """
    return " " if model.vocabulary is None or model.vocabulary.kind == "tokens" else ""


def primes(model: Model) -> list[str]:
    """Return primes to offer: the end of the model's own prime, and others that fit its vocabulary.

    >>> import lstmgen
    >>> "Let $X$ be " in primes(lstmgen.Model("latex"))
    True
    """
    own = decode(model, model.prime[-_LONGEST_PRIME:].tolist())
    texts = [own if isinstance(own, str) else separator(model).join(map(str, own))]
    letters = set(model.vocabulary.elements) if model.vocabulary else set()
    texts += [text for text in _PRIMES if letters.issuperset(text)]
    return [text for text in dict.fromkeys(texts) if text]
