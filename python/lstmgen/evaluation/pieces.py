"""Measures of music that a model drew, beside the music that it learnt from."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lstmgen import music
from lstmgen.evaluation.evaluation import Row, Shares, divergence, mean, overlap, shares
from lstmgen.music.parsing import tune_elements
from lstmgen.music.statistics import shares_of_copies

if TYPE_CHECKING:
    from lstmgen.music.piece import Music

WINDOW = 8  # notes of a copy
_PROPERTIES = {"pitch": "pitch", "duration": "duration in quarters", "velocity": "velocity"}
Elements = Sequence[str]


class Pieces(NamedTuple):
    """A set of pieces.

    elements: of each piece. music: the notes of each.

    >>> Pieces.of([["n60"]], "events").music[0].notes[0].pitch
    60
    """

    elements: list[Elements]
    music: list[Music]

    @classmethod
    def of(cls, elements: Sequence[Elements], notation: str) -> Pieces:
        """Decode pieces.

        >>> len(Pieces.of([["n60"], ["n61"]], "events").music)
        2
        """
        return cls(list(elements), [music.decode(piece, notation=notation) for piece in elements])

    @classmethod
    def of_tunes(cls, texts: Sequence[str], *, whole: bool = True) -> Pieces:
        """Read the tunes of texts in ABC notation that have notes. A text without a tune has none.

        whole: whether a text ends where its last tune does. If not, that tune is left out, unless
            an empty line follows it.

        >>> tunes = "X:1\\nL:1/4\\nK:C\\nCDE|\\n\\nX:2\\nL:1/4\\nK:C\\nC"
        >>> [len(Pieces.of_tunes([tunes], whole=whole).music) for whole in (True, False)]
        [2, 1]
        """
        found: list[Elements] = []
        for text in texts:
            ended = text if whole else text[: text.rfind("\n\n") + 1]
            with contextlib.suppress(music.AbcError):
                found += tune_elements(ended)
        return cls.of(found, "events")

    def counts(self, name: str) -> dict[str, int]:
        """Return how often each value of a property of notes comes, the least value first.

        >>> Pieces.of([["n60", "t6", "n61", "t6", "n60"]], "events").counts("pitch")
        {'60': 2, '61': 1}
        """
        found = Counter(getattr(note, name) for piece in self.music for note in piece.notes)
        return {f"{value:.4g}": found[value] for value in sorted(found)}


def rows(data: Pieces, drawn: Pieces) -> list[Row]:
    """Return the measures of music.

    >>> both = Pieces.of([["n60", "t24", "n62"]], "events")
    >>> rows(both, both)[-1]
    Row(name='overlap of duration', data=None, drawn=1.0)

    Velocities are compared where one of the sets keeps them.
    """
    there, here = (_plain(pieces) for pieces in (data, drawn))
    found = [Row(name, there[name], here[name]) for name in there]
    for way, transposed in {"in the same key": False, "in any key": True}.items():
        copies = shares_of_copies(drawn.elements, data.elements, WINDOW, transposed=transposed)
        found.append(Row(f"copies of {WINDOW} notes {way} %", None, mean([100 * share for share in copies])))
    for name in _compared(data, drawn):
        both, about = (data.counts(name), drawn.counts(name)), _PROPERTIES[name]
        found.append(Row(f"KL divergence of {about}, bits", None, divergence(*both)))
    for name, both_shares in distributions(data, drawn).items():
        found.append(Row(f"overlap of {name}", None, overlap(*both_shares)))
    return found


def distributions(data: Pieces, drawn: Pieces) -> dict[str, tuple[Shares, Shares]]:
    """Return the share of each value of each property of notes.

    >>> both = Pieces.of([["n60"]], "events")
    >>> distributions(both, both)["pitch"]
    ({'60': 1.0}, {'60': 1.0})
    """
    return {name: (shares(data.counts(name)), shares(drawn.counts(name))) for name in _compared(data, drawn)}


def _compared(data: Pieces, drawn: Pieces) -> list[str]:
    """Return the properties of notes that are compared."""
    plain = all(len(pieces.counts("velocity")) < 2 for pieces in (data, drawn))
    return [name for name in _PROPERTIES if name != "velocity" or not plain]


def _plain(pieces: Pieces) -> dict[str, float | None]:
    """Return the measures that need no other set of pieces."""
    notes = sum(len(piece.notes) for piece in pieces.music)
    runs = Counter(
        itertools.chain.from_iterable(
            itertools.repeat(run, count)
            for piece in pieces.music
            for run, count in music.repeated_note_runs(piece).items()
        )
    )
    quarters = sum(piece.length for piece in pieces.music)
    return {
        "pieces": len(pieces.music),
        "notes": notes,
        "notes a quarter": notes / quarters if quarters else None,
        "mean polyphony": mean([music.mean_polyphony(piece) for piece in pieces.music]),
        "longest run of one pitch": max(runs, default=0),
        "notes in runs of 5 or more %": (
            100 * sum(run * count for run, count in runs.items() if run >= 5) / notes if notes else None
        ),
        "pieces that are stuck": sum(music.stuck(piece) is not None for piece in pieces.elements),
    }
