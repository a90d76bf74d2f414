"""The answer of `/v1/completions`, at once or as a stream of events."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from lstmgen.model import Model
from lstmgen.serving.answers import array, encoded
from lstmgen.serving.engine import Job
from lstmgen.serving.failures import Failure
from lstmgen.serving.models import separator
from lstmgen.serving.requests import Asked
from lstmgen.stream import Logprobs
from lstmgen.vocabulary.naming import byte_of

_COMMENT = 2.0  # seconds without an event after which a stream sends a comment
_AT_ONCE = 4096  # elements, of which the JSON is made while other clients wait
_SOUGHT = 256  # bytes or ids of a stop. Of a longer stop, its whole length is held back
_REASONS = {"stop": "stop", "grammar": "stop", "length": "length", "cut": "length", "left": "length"}


class Choice:
    """One choice of an answer. It turns drawn elements into pieces of text.

    model: the model.
    index: the number of the choice in the answer, from 0.
    seed: the seed of its sequence.
    prompt: the text that the choice begins with, or "".
    stops: the stops, as `stops_of` returns them, in order. The text ends before a stop.
    logprobs: whether the pieces have log-probabilities.
    """

    def __init__(
        self,
        model: Model,
        index: int,
        seed: int,
        prompt: str,
        stops: tuple[Sequence[list[int]], Sequence[bytes]],
        logprobs: bool,
    ) -> None:
        self.index, self.seed = index, seed
        self._vocabulary = model.vocabulary
        self._separator = separator(model)
        self._stops, self._stop_texts = stops
        self._with_logprobs = logprobs
        self._prompt = prompt
        self._offset = 0  # characters given so far
        self._begun = b""  # the first bytes of a character that is not complete
        self._held: list[int] = []  # elements that may be the beginning of a stop
        self._held_logprobs: list[Logprobs] = []

    def piece(self, ids: list[int], logprobs: list[Logprobs], ending: str | None) -> dict[str, Any] | None:
        """Return the next piece of the choice, or None if there is nothing to send yet.

        ids, logprobs: the elements that were drawn since the last call.
        ending: why the sequence has ended, or None.
        """
        self._held += ids
        self._held_logprobs += logprobs
        n, cut = self._before_a_stop(ending)
        ids, self._held = self._held[:n], self._held[n:]
        logprobs, self._held_logprobs = self._held_logprobs[:n], self._held_logprobs[n:]
        if not ids and ending is None and not self._prompt:
            return None
        text, self._prompt = self._prompt, ""
        offsets = []
        self._offset += len(text)
        for part in [self._text([i]) for i in ids] if self._with_logprobs else [self._text(ids)] if ids else []:
            offsets.append(self._offset)
            self._offset += len(part)
            text += part
        if cut:  # the last element ends with the first bytes of a stop
            text = text.encode()[:-cut].decode()
        return {
            "text": text,
            "index": self.index,
            "logprobs": self._logprobs(logprobs, offsets) if self._with_logprobs else None,
            "finish_reason": None if ending is None else _REASONS[ending],
            "ids": ids,
            "seed": self.seed,
        }

    def whole(self, ids: list[int], logprobs: list[Logprobs], ending: str, at_once: int) -> Iterator[str]:
        """Yield the JSON of a choice that is not sent before its end.

        at_once: how many elements a piece of the JSON is made of, at most.
        """
        found = []
        yield '{"text":"'
        for start in range(0, len(ids) or 1, at_once):
            end = start + at_once
            over = ending if end >= len(ids) else None
            if piece := self.piece(ids[start:end], logprobs[start:end], over):
                yield encoded(piece.pop("text"))[1:-1]
                found.append(piece)
        yield '","ids":'
        yield from array(piece.pop("ids") for piece in found)
        if not self._with_logprobs:
            yield f",{encoded(found[-1])[1:]}"
            return
        before = ',"logprobs":{'
        for name in found[0]["logprobs"]:
            yield f'{before}"{name}":'
            yield from array(piece["logprobs"][name] for piece in found)
            before = ","
        del found[-1]["logprobs"]
        yield f"}},{encoded(found[-1])[1:]}"

    def _before_a_stop(self, ending: str | None) -> tuple[int, int]:
        """Return how many held elements come before a stop, or before what may begin one.

        The second number is how many bytes at the end of these elements belong to the stop.
        """
        held = self._held
        parts = [self._bytes(i) for i in held] if self._stop_texts else []
        text, starts = b"".join(parts), [0, *itertools.accumulate(map(len, parts))]
        if ending is None:
            n = len(held) - _begun(held, self._stops)
            at = len(text) - _begun(text, self._stop_texts)
            return min([n, *(i for i, end in enumerate(starts[1:]) if end > at)]), 0
        if ending != "stop":
            return len(held), 0
        n = len(held) - max((len(stop) for stop in self._stops if held[-len(stop) :] == stop), default=0)
        last = len(parts[-1]) if parts else 0  # a stop ends in the last element
        ends = (text.find(stop, max(0, len(text) - last - len(stop) + 1)) for stop in self._stop_texts)
        at = min((end for end in ends if end >= 0), default=len(text))
        n = min([n, *(i for i, start in enumerate(starts[:-1]) if start >= at)])
        return n, max(0, starts[n] - at) if parts else 0

    def _bytes(self, i: int) -> bytes:
        element = str(self._name(i))
        return bytes([byte_of(element)]) if self._vocabulary and self._vocabulary.kind == "bytes" else element.encode()

    def _text(self, ids: list[int]) -> str:
        if self._vocabulary is not None and self._vocabulary.kind == "bytes":
            text, self._begun = self._vocabulary.continued(self._begun, ids)
            return text
        names = [str(self._name(i)) for i in ids]
        return (self._separator if self._offset else "") + self._separator.join(names)

    def _name(self, i: int) -> str | int:
        return i if self._vocabulary is None else self._vocabulary.elements[i]

    def _logprobs(self, found: list[Logprobs], offsets: list[int]) -> dict[str, Any]:
        return {
            "tokens": [str(one.element) for one in found],
            "token_logprobs": [one.logprob for one in found],
            "top_logprobs": [{str(element): log for element, log in one.likeliest} for one in found],
            "text_offset": offsets[-len(found) :] if found else [],
        }


def _begun(what: list[int] | bytes, stops: Sequence[Any]) -> int:
    """Return the length of the longest end of `what` that is the beginning of a stop.

    stops: in order, so that the first one that is not less than an end begins with it, if any does.
    """
    most = min(len(what), max(map(len, stops), default=1) - 1)
    if most >= _SOUGHT:
        return most
    for n in range(most, 0, -1):
        at = bisect_left(stops, what[-n:])
        if at < len(stops) and stops[at][:n] == what[-n:]:
            return n
    return 0


class Completion:
    """A running request, and the answer that grows from its jobs.

    identity: the id of the model.
    asked: the checked request.
    jobs: for each prompt, the jobs of its candidates.
    """

    def __init__(self, identity: str, model: Model, asked: Asked, jobs: list[list[Job]]) -> None:
        self.asked = asked
        self.groups = jobs
        self.jobs = [job for group in jobs for job in group]
        self.drawn = 0
        self._model = model
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": identity,
        }

    def cut(self) -> None:
        """End all sequences where they are."""
        for job in self.jobs:
            job.cut()

    def _usage(self) -> dict[str, int]:
        prompt = sum(len(group[0].prepared.prime) - group[0].prepared.added for group in self.groups)
        return {"prompt_tokens": prompt, "completion_tokens": self.drawn, "total_tokens": prompt + self.drawn}

    def _choice(self, index: int, job: Job, prompt: str) -> Choice:
        asked = self.asked
        text = prompt if asked.echo else ""
        return Choice(self._model, index, job.prepared.sampler["seed"], text, asked.stops, asked.logprobs)

    async def whole(self) -> Iterator[str]:
        """Wait until all sequences have ended, and return the JSON of the answer, in pieces.

        Raises `Failure`.
        """
        found: list[tuple[Job, str, list[int], list[Logprobs]]] = []
        for group, prompt in zip(self.groups, self.asked.texts, strict=True):
            drawn = [await self._drawn(job) for job in group]
            order = list(range(len(group)))
            if self.asked.n < len(group):  # the ones with the greatest mean log-probability, as `sample` with best_of
                order.sort(key=lambda i: -group[i].score / max(1, len(drawn[i][0])))
            found += [(group[i], prompt, *drawn[i]) for i in order[: self.asked.n]]
        return self._answer(found)

    def _answer(self, found: list[tuple[Job, str, list[int], list[Logprobs]]]) -> Iterator[str]:
        yield f'{encoded(self._head)[:-1]},"choices":['
        for i, (job, prompt, ids, logprobs) in enumerate(found):
            each = job.engine.weight * (1 + (len(logprobs[0].likeliest) if logprobs else 0))
            yield "," if i else ""
            choice = self._choice(i, job, prompt)
            yield from choice.whole(ids, logprobs, job.ending or "cut", max(1, _AT_ONCE // each))
        yield f'],"usage":{encoded(self._usage())}}}'

    async def _drawn(self, job: Job) -> tuple[list[int], list[Logprobs]]:
        ids: list[int] = []
        logprobs: list[Logprobs] = []
        while True:
            over = job.ending is not None
            more, more_logprobs = job.take()
            ids += more
            logprobs += more_logprobs
            if over:
                break
            await job.wait()
        self.drawn += len(ids)
        _check(job)
        return ids, logprobs

    async def events(self) -> AsyncIterator[str]:
        """Yield the server-sent events of a stream, each with its empty line."""
        queue: asyncio.Queue[dict[str, Any] | Failure | None] = asyncio.Queue(maxsize=1)
        tasks: list[asyncio.Task[None]] = []
        for group, prompt in zip(self.groups, self.asked.texts, strict=True):
            for job in group:
                choice = self._choice(len(tasks), job, prompt)
                tasks.append(asyncio.create_task(self._follow(job, choice, queue)))
        left = len(tasks)
        try:
            while left:
                try:
                    found = await asyncio.wait_for(queue.get(), _COMMENT)
                except TimeoutError:
                    yield ": waiting\n\n"
                    continue
                if found is None:
                    left -= 1
                elif isinstance(found, Failure):
                    left -= 1
                    yield _event(found.body())
                else:
                    yield _event({**self._head, "choices": [found]})
        finally:
            for task in tasks:
                task.cancel()
        if self.asked.usage:
            yield _event({**self._head, "choices": [], "usage": self._usage()})
        yield "data: [DONE]\n\n"

    async def _follow(self, job: Job, choice: Choice, queue: asyncio.Queue[Any]) -> None:
        try:
            while True:
                over = job.ending  # read before the elements: the thread may add some in between
                ids, logprobs = job.take()
                self.drawn += len(ids)
                _check(job)
                if piece := choice.piece(ids, logprobs, over):
                    await queue.put(piece)
                if over is not None:
                    break
                await job.wait()
            await queue.put(None)
        except Failure as failure:
            await queue.put(failure)


def _check(job: Job) -> None:
    """Raise `Failure` if a sequence could not be drawn."""
    if job.ending == "error":
        raise Failure(400, job.error)
    if job.ending == "cut" and not job.begun:
        raise Failure(503, "the server is busy or stops: nothing was drawn in time", code="timeout")


def _event(found: dict[str, Any]) -> str:
    return f"data: {encoded(found)}\n\n"
