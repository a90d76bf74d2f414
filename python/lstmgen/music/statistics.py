"""What music is like in numbers, and whether a sample is caught in a loop."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lstmgen import arguments
from lstmgen.arguments import Flag, Integer, texts
from lstmgen.errors import OptionTypeError, instance
from lstmgen.music.elements import decode_score, is_event
from lstmgen.music.piece import Music

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST = 40  # elements: fewer are too short to tell a loop


class Repeat(NamedTuple):
    """A pattern that comes again and again.

    pattern: the items of the pattern.
    start: the index of the first item of the run.
    length: the number of items of the run. Its last pattern may be cut off.

    >>> Repeat(("a", "b"), start=1, length=5).pattern
    ('a', 'b')
    """

    pattern: tuple[Hashable, ...]
    start: int
    length: int


def longest_repeat(items: Sequence[Hashable] | Music, longest: int = 4) -> Repeat:
    """Return the longest run of a pattern that comes at least twice.

    items: elements, or `Music`, of which the pitches count.
    longest: number of items that a pattern may have, at least 1.

    Without any repetition the run is the first item alone; without items it is empty.

    >>> longest_repeat("xababab")
    Repeat(pattern=('a', 'b'), start=1, length=6)
    """
    longest = Integer(1).check("longest", longest)
    items = _items(items)
    runs = [Repeat(tuple(items[:1]), 0, len(items[:1]))]
    runs += [run for period in range(1, min(longest, len(items)) + 1) for run in _runs(items, period, 2)]
    return max(runs, key=lambda run: (run.length, -len(run.pattern), -run.start))


def stuck(items: Sequence[Hashable] | Music, longest: int = 4) -> str | None:
    """Return a sentence for people if more than half of a sample is one pattern; else None.

    items: elements, or `Music`, of which the pitches count. Fewer than 40 are too few to tell.
    longest: number of items that a pattern may have, at least 1. A pattern counts where it comes
        at least three times in a row.

    >>> stuck(["n60", "t6"] * 30)[:44]
    "60 of 60 elements are 'n60 t6' again and aga"
    >>> stuck(list("abcdefghij"))
    """
    longest = Integer(1).check("longest", longest)
    items = _items(items)
    if len(items) < _LEAST:
        return None
    covered: Counter[tuple[Hashable, ...]] = Counter()
    for period in range(1, min(longest, len(items)) + 1):
        for run in _runs(items, period, 3):
            covered[_first_rotation(run.pattern)] += run.length
    pattern, count = covered.most_common(1)[0] if covered else ((), 0)
    if 2 * count <= len(items):
        return None
    what = " ".join(map(str, pattern))
    return (
        f"{count} of {len(items)} elements are {what!r} again and again: the network is caught in a loop; "
        "try a higher temperature, another prime or seed, or a longer training"
    )


def _items(items: Sequence[Hashable] | Music) -> Sequence[Hashable]:
    if isinstance(items, Music):
        return [note.pitch for note in items.notes]
    found = items if isinstance(items, str) else arguments.items("items", items)
    if wrong := [item for item in found if not isinstance(item, Hashable)]:
        raise OptionTypeError("items", "elements", wrong[0])
    return found


def _runs(items: Sequence[Hashable], period: int, times: int) -> Iterator[Repeat]:
    """Yield the runs of at least `times` periods whose shortest period is `period` items."""
    start = 0
    for i in range(period, len(items) + 1):
        if i < len(items) and items[i] == items[i - period]:
            continue
        pattern = tuple(items[start : start + period])
        if i - start >= times * period and not _has_shorter_period(pattern):
            yield Repeat(pattern, start, i - start)
        start = i - period + 1


def _has_shorter_period(pattern: tuple[Hashable, ...]) -> bool:
    size = len(pattern)
    return any(size % p == 0 and pattern == pattern[:p] * (size // p) for p in range(1, size))


def _first_rotation(pattern: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Return one rotation that is the same for every item that the pattern may start with."""
    return min((pattern[i:] + pattern[:i] for i in range(len(pattern))), key=repr)


def pitch_class_histogram(music: Music) -> NDArray[np.float64]:
    """Return the share of the notes on each pitch class.

    music: its notes count alike, whatever their durations.

    Returns an array of shape (12,) for C, C sharp to B, with sum 1; all zero without notes.

    >>> from lstmgen.music import Note
    >>> pitch_class_histogram(Music([Note(0, 1, 60), Note(1, 1, 64)])).tolist()[:5]
    [0.5, 0.0, 0.0, 0.0, 0.5]
    """
    instance("music", music, Music)
    import numpy as np

    counts = np.bincount([note.pitch % 12 for note in music.notes], minlength=12)
    return counts / max(len(music.notes), 1)


def duration_histogram(music: Music) -> dict[float, float]:
    """Return the share of the notes of each duration in quarters, the shortest first.

    >>> from lstmgen.music import Note
    >>> duration_histogram(Music([Note(0, 1, 60), Note(1, 0.5, 64)]))
    {0.5: 0.5, 1: 0.5}
    """
    instance("music", music, Music)
    counts = Counter(note.duration for note in music.notes)
    return {duration: counts[duration] / len(music.notes) for duration in sorted(counts)}


def repeated_note_runs(music: Music) -> dict[int, int]:
    """Return how many runs of each length there are, of notes on one pitch one after the other.

    A note between two other pitches is a run of 1.

    >>> from lstmgen.music import Note
    >>> repeated_note_runs(Music([Note(0, 1, 60), Note(1, 1, 60), Note(2, 1, 64)]))
    {1: 1, 2: 1}
    """
    instance("music", music, Music)
    runs = Counter(len(list(group)) for _, group in itertools.groupby(note.pitch for note in music.notes))
    return dict(sorted(runs.items()))


def mean_polyphony(music: Music) -> float:
    """Return how many notes sound together on average, over the time when any does.

    Without notes it is 0.

    >>> from lstmgen.music import Note
    >>> mean_polyphony(Music([Note(0, 1, 60), Note(0, 1, 64), Note(4, 1, 60)]))
    1.5
    """
    instance("music", music, Music)
    end = sounding = 0.0
    for note in music.notes:
        sounding += max(note.start + note.duration - max(note.start, end), 0)
        end = max(end, note.start + note.duration)
    return sum(note.duration for note in music.notes) / sounding if sounding else 0.0


def share_of_copies(
    piece: Sequence[str], corpus: Iterable[Sequence[str]], n: int = 8, *, transposed: bool = False
) -> float:
    """Return the share of the windows of a piece that are in a corpus note for note.

    piece, corpus: elements. In the notation "events" a note is its pitch, its duration and the
        time since the note before; otherwise it is an element.
    n: notes of a window, at least 1. A piece of fewer notes gives 0.
    transposed: whether a window counts in another key, too. Only for "events", since elements of
        other notations have no pitch.

    >>> share_of_copies(["C4", "E4", "G4"], [["A4", "C4", "E4"]], n=2)
    0.5
    >>> share_of_copies(["n60", "n64"], [["n70", "n74"]], n=2, transposed=True)
    1.0
    """
    piece, n = texts("piece", piece), Integer(1).check("n", n)
    corpus = [texts("corpus", other) for other in arguments.items("corpus", corpus)]
    (share,) = shares_of_copies([piece], corpus, n, transposed=Flag().check("transposed", transposed))
    return share


def shares_of_copies(
    pieces: Sequence[Sequence[str]], corpus: Iterable[Sequence[str]], n: int, *, transposed: bool
) -> list[float]:
    """Return `share_of_copies` of each piece. The corpus is read once for all of them.

    >>> shares_of_copies([["n60", "n64"], ["n60", "n62"]], [["n70", "n74"]], 2, transposed=True)
    [1.0, 0.0]
    """
    windows = [list(_windows(piece, n, transposed)) for piece in pieces]
    wanted = {window for each in windows for window in each}
    found = {window for other in corpus for window in _windows(other, n, transposed) if window in wanted}
    return [sum(window in found for window in each) / max(len(each), 1) for each in windows]


def _windows(elements: Sequence[str], n: int, transposed: bool) -> Iterator[tuple[Hashable, ...]]:
    if not elements or not is_event(elements[0]):
        yield from (tuple(elements[i : i + n]) for i in range(len(elements) - n + 1))
        return
    grid = decode_score(elements, "events").notes
    starts = [note.start for note in grid]
    gaps = [start - before for before, start in zip(starts[:1] + starts, starts, strict=False)]
    for i in range(len(grid) - n + 1):
        base = grid[i].pitch if transposed else 0
        notes = [(note.pitch - base, note.duration, gap) for note, gap in zip(grid[i : i + n], gaps[i:], strict=False)]
        yield notes[0][:2], *notes[1:]  # the time before the first note of a window is no part of it
