"""A thread for each model, which draws for all its clients side by side."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque

from lstmgen.batch import Batch, Prepared, Sequence
from lstmgen.model import Model
from lstmgen.stream import Logprobs

_SLICE = 0.004  # seconds of drawing, after which new jobs join and cancelled ones leave
# Seconds between two pieces of a stream: so many for each job, but at least the first number and at
# most the last. So sending takes a small part of the time. The first piece comes at once.
_BETWEEN, _BETWEEN_EACH, _BETWEEN_MOST = 0.03, 0.0015, 0.1
# A job pauses when its client has more than _FULL elements, or alternatives to them, to take. It
# continues when the client has fewer than _EMPTY.
_FULL, _EMPTY = 16384, 4096
MOST_PRIMES = 2**24  # elements in the primes of all jobs of a model, or in those of one request
_LONG = 64  # letters of an element that counts as more than one


class Busy(Exception):
    """The queue is full.

    >>> issubclass(Busy, Exception)
    True
    """


class Job:
    """A sequence that a client waits for.

    prepared: what the engine draws.
    streams: whether the client wants elements as they are drawn, or all of them in the end.
    ids, logprobs: what was drawn, and not taken yet.
    ending: why the sequence has ended, as in `Sequence.ending`, or "cut". None before its end.
    error: the message of an ending "error".
    score: as in `Sequence.score`.
    begun: whether the engine has reported anything.

    Only the event loop uses a job, except for the members that belong to the engine's thread.
    """

    def __init__(self, prepared: Prepared, engine: Engine, *, streams: bool) -> None:
        self.prepared = prepared
        self.streams = streams
        self.engine = engine
        self.ids: list[int] = []
        self.logprobs: list[Logprobs] = []
        self.ending: str | None = None
        self.error = ""
        self.score = 0.0
        self.begun = False
        self.first = asyncio.Event()  # set with the first element
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._taken = 0  # how much of `pushed` was taken
        # Members that the engine's thread writes:
        self.sequence: Sequence | None = None
        self.pushed = 0
        self.told = 0  # elements
        self.due = 0.0  # time at which the client gets the next piece
        self.resting = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the request."""
        return self._loop

    @property
    def backlog(self) -> int:
        """How much was drawn and not taken yet, as `cost` and `Engine.weight` count."""
        return self.pushed - self._taken

    async def wait(self) -> None:
        """Wait until the engine reports something."""
        await self._news.wait()
        self._news.clear()

    def take(self) -> tuple[list[int], list[Logprobs]]:
        """Return what was drawn since the last call."""
        ids, logprobs = self.ids, self.logprobs
        self.ids, self.logprobs = [], []
        self._taken += self.engine.weight * cost(ids, logprobs)
        if self.resting and self.backlog < _EMPTY:
            self.engine.wake()
        return ids, logprobs

    def put(self, ids: list[int], logprobs: list[Logprobs], ending: str | None, error: str, score: float) -> None:
        """Add what the engine has drawn."""
        if self.ending is not None:
            return
        self.begun = True
        if ids:
            self.first.set()
        self.ids += ids
        self.logprobs += logprobs
        self.ending, self.error, self.score = ending, error, score
        self._news.set()

    def cut(self) -> None:
        """End the sequence where it is, unless it has ended."""
        if self.ending is None:
            self.ending = "cut"
            self.engine.cancel(self)
            self._news.set()


def cost(ids: list[int], logprobs: list[Logprobs]) -> int:
    """Return how much these elements add to a backlog.

    >>> cost([1, 2], [])
    2
    """
    return len(ids) + sum(4 + len(one.likeliest) for one in logprobs)


class Engine:
    """The thread that draws all sequences of one model.

    model: the model.
    parallel: how many sequences it draws side by side, at most.
    queue: how many more may wait, at most.
    threads: how many threads of the library share the work.
    weight: how many usual elements the longest element of the model counts as.
    """

    def __init__(self, model: Model, *, parallel: int, queue: int, threads: int = 1) -> None:
        self.model = model
        elements = model.vocabulary.elements if model.vocabulary else []
        self.weight = 1 + max(map(len, elements), default=0) // _LONG
        self.batch = Batch(model, most=parallel, threads=threads)
        self.drawn = 0
        self._parallel, self._queue = parallel, queue
        self._changed = threading.Condition()
        # Guarded by the condition:
        self._waiting: deque[Job] = deque()
        self._cancelled: list[Job] = []
        self._running: set[Job] = set()
        self._ended = self._closed = self._woken = False
        self._thread = threading.Thread(target=self._work, name="lstmgen-engine", daemon=True)
        self._thread.start()

    def submit(self, jobs: list[Job]) -> None:
        """Put jobs into the queue. Raises `Busy` if it has no room for all of them."""
        with self._changed:
            others = [*self._waiting, *self._running]
            if self._ended or len(others) + len(jobs) > self._parallel + self._queue:
                raise Busy
            if others and sum(len(job.prepared.prime) for job in (*others, *jobs)) > MOST_PRIMES:
                raise Busy
            self._waiting.extend(jobs)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or stop drawing it."""
        with self._changed:
            if job in self._running:
                self._cancelled.append(job)
                self._changed.notify()
            elif job in self._waiting:
                self._waiting.remove(job)

    def wake(self) -> None:
        """Tell the thread that a paused job may continue."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def end(self) -> None:
        """Take no more jobs, and stop the thread when all have ended."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def close(self) -> None:
        """Stop drawing, and wait for the thread.

        Python would abort if a thread still draws when it exits.
        """
        with self._changed:
            self._ended = self._closed = True
            self._changed.notify()
        self._thread.join()

    @property
    def load(self) -> tuple[int, int]:
        """How many sequences are drawn, and how many wait."""
        with self._changed:
            return len(self._running), len(self._waiting)

    # -- the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        jobs: dict[Sequence, Job] = {}
        resting: set[Job] = set()
        while True:
            with self._changed:
                while not (self._waiting or self._cancelled or self._woken or len(jobs) > len(resting)):
                    if self._closed or (self._ended and not self._running):
                        return
                    self._changed.wait()
                if self._closed:
                    return
                self._woken = False
                leavers, self._cancelled = self._cancelled, []
                for job in leavers:
                    self._running.discard(job)
                newcomers = []
                while self._waiting and len(self._running) < self._parallel:
                    newcomers.append(job := self._waiting.popleft())
                    self._running.add(job)
            for job in leavers:
                if job.sequence is not None:
                    job.sequence.leave()
                    jobs.pop(job.sequence, None)
                resting.discard(job)
            for job in newcomers:
                try:
                    job.sequence = self.batch.admit(job.prepared)
                except Exception as error:
                    self._tell([(job, [], [], "error", str(error), 0.0)])
                else:
                    jobs[job.sequence] = job
            for job in [job for job in resting if job.backlog < _EMPTY and job.sequence is not None]:
                assert job.sequence is not None
                job.sequence.resume()
                job.resting = False
                resting.discard(job)
            if len(jobs) == len(resting):
                continue
            self._advance(jobs, resting)

    def _advance(self, jobs: dict[Sequence, Job], resting: set[Job]) -> None:
        try:
            news = self._drawn(jobs, resting)
        except Exception as error:  # such as out of memory: all sequences end
            self._tell([(job, [], [], "error", f"{type(error).__name__}: {error}", 0.0) for job in jobs.values()])
            for sequence in jobs:
                sequence.leave()
            jobs.clear()
            resting.clear()
        else:
            self._tell(news)

    def _drawn(self, jobs: dict[Sequence, Job], resting: set[Job]) -> list[_News]:
        """Draw for a while, and return what is new for which job."""
        found = self.batch.advance(max(1, _FULL // self.weight), seconds=_SLICE)
        news: list[_News] = []
        now = time.monotonic()
        between = min(max(_BETWEEN, _BETWEEN_EACH * len(jobs)), _BETWEEN_MOST)
        for sequence in found:
            job = jobs.get(sequence)
            if job is None:
                continue
            much = self.weight * (sequence.drawn - job.told) > _FULL
            if sequence.ending is None and (not job.streams or (now < job.due and not much)):
                continue
            job.due, job.told = now + between, sequence.drawn
            ids, logprobs = sequence.take_ids(), sequence.take_logprobs()
            self.drawn += len(ids)
            job.pushed += self.weight * cost(ids, logprobs)
            news.append((job, ids, logprobs, sequence.ending, sequence.error, sequence.score))
            if sequence.ending is not None:
                del jobs[sequence]
            elif job.backlog > _FULL:
                sequence.pause()
                job.resting = True
                resting.add(job)
        return news

    def _tell(self, news: list[_News]) -> None:
        """Report to the event loop, which is the same for all jobs of a server."""
        if over := [job for job, _, _, ending, _, _ in news if ending is not None]:
            with self._changed:
                self._running.difference_update(over)
        if news:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so no client waits
                news[0][0].loop.call_soon_threadsafe(_put, news)


_News = tuple[Job, list[int], list[Logprobs], str | None, str, float]


def _put(news: list[_News]) -> None:
    for job, ids, logprobs, ending, error, score in news:
        job.put(ids, logprobs, ending, error, score)
