"""Notes of several outputs: networks that give a pitch, a step and a duration at once.

TensorFlow's tutorial "Generate music with an RNN" has such a network. Each output of it is a
*head*. The heads are joined into one vector, in the order in which their values enter. The card of
a `.bin` describes each head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lstmgen import errors
from lstmgen.errors import ModelFormatError
from lstmgen.escaping import brief

NEEDED = ("pitch", "step", "duration")  # in the order of the tutorial
PARTS = (*NEEDED, "velocity")
KINDS = ("logits", "probabilities", "number")
MAX_LOWEST = 127

_WORDS = {
    **dict.fromkeys(("pitch", "pitches", "note", "notes"), "pitch"),
    **dict.fromkeys(("step", "steps", "delta", "dt", "offset", "onset"), "step"),
    **dict.fromkeys(("duration", "durations", "dur", "length"), "duration"),
    **dict.fromkeys(("velocity", "velocities", "vel"), "velocity"),
}
_SYNTAX = re.compile(r"(?P<part>[a-z]+)(?:\+(?P<lowest>\d{1,3}))?(?:/(?P<divisor>[\d.eE+-]+))?(?:=(?P<layer>.+))?")
_EXAMPLE = "'pitch/128,step,duration'"


class Head(NamedTuple):
    """One part of a note, and what its output means.

    part: "pitch", "step", "duration" or "velocity".
    size: how many numbers come out.
    kind: "logits" or "probabilities" of `size` values, of which one is drawn, or "number", which is
        the value itself.
    divisor: a value is divided by it when it enters.
    lowest: the value that output 0 stands for, if a value is drawn.
    onehot: whether a value enters as a vector of `size` numbers, and not as one number.

    >>> print(Head("pitch", 128, "logits", divisor=128))
    pitch/128
    """

    part: str
    size: int
    kind: str
    divisor: float
    lowest: int = 0
    onehot: bool = False

    @property
    def width(self) -> int:
        """How many numbers enter."""
        return self.size if self.onehot else 1

    def __str__(self) -> str:
        low = f"+{self.lowest}" if self.lowest else ""
        entering = " (onehot)" if self.onehot else f"/{self.divisor:g}" if self.divisor != 1 else ""
        return f"{self.part}{low}{entering}"


class Wanted(NamedTuple):
    """What the option `heads` says of one head. None stands for what it does not say.

    part: one of `PARTS`.
    layer: the name of the output.
    divisor, lowest: as in `Head`.

    >>> parse("pitch+21,step,duration")[0]
    Wanted(part='pitch', layer=None, divisor=None, lowest=21)
    """

    part: str
    layer: str | None
    divisor: float | None
    lowest: int | None


def parse(option: str | Iterable[str]) -> list[Wanted]:
    """Return the heads that the option `heads` names.

    option: entries of PART, each with +LOWEST, /DIVISOR and =NAME where they are needed. LOWEST is
        0 to 127, DIVISOR is above 0, and NAME is the name of an output.

    Raises `ValueError` for a wrong entry, a part that comes twice, and a missing part.

    >>> [head.layer for head in parse("pitch/88=notes,step=dt,duration")]
    ['notes', 'dt', None]
    """
    entries = option.split(",") if isinstance(option, str) else list(option)
    found: dict[str, Wanted] = {}
    for entry in entries:
        match = _SYNTAX.fullmatch(entry.strip()) if isinstance(entry, str) else None
        if match is None or match["part"] not in PARTS:
            raise ValueError(
                f"{errors.option('heads')}: "
                f"expected a list such as {_EXAMPLE} of {', '.join(PARTS)}, each with +LOWEST, /DIVISOR and "
                f"=LAYER where they are needed, found {brief(entry)}"
            )
        try:
            divisor = None if match["divisor"] is None else float(match["divisor"])
        except ValueError:
            divisor = math.nan
        if divisor is not None and not (math.isfinite(divisor) and divisor > 0):
            raise ValueError(
                f"{errors.option('heads')}: {match['part']}: expected a divisor above 0, found {match['divisor']!r:.40}"
            )
        lowest = None if match["lowest"] is None else int(match["lowest"])
        if lowest is not None and lowest > MAX_LOWEST:
            raise ValueError(
                f"{errors.option('heads')}: {match['part']}: expected +0 to +{MAX_LOWEST}, found +{lowest}"
            )
        if match["part"] in found:
            raise ValueError(f"{errors.option('heads')}: {match['part']} comes twice")
        found[match["part"]] = Wanted(match["part"], match["layer"], divisor, lowest)
    if missing := [part for part in NEEDED if part not in found]:
        raise ValueError(f"{errors.option('heads')}: expected {', '.join(NEEDED)}, found no {' and no '.join(missing)}")
    return list(found.values())


def part_of(name: str) -> str | None:
    """Return the part of a note that an output of this name is. None if the name does not tell.

    >>> part_of("pitch"), part_of("note_duration"), part_of("stepOutput_1"), part_of("dense_1")
    ('pitch', 'duration', 'step', None)
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    parts = {_WORDS[word] for word in words if word in _WORDS}
    if len(parts) > 1 and not {"pitch", "pitches"}.intersection(words):
        parts.discard("pitch")  # "note_duration" is a duration
    return parts.pop() if len(parts) == 1 else None


def recognised(names: Sequence[str]) -> list[Wanted] | None:
    """Return the heads that outputs of these names are, in the order of the tutorial.

    Returns None if the names are not those of the parts of a note.

    >>> [head.part for head in recognised(["duration", "pitch", "step"])], recognised(["dense"])
    (['pitch', 'step', 'duration'], None)
    """
    parts = [part_of(name) for name in names]
    if len(set(parts)) < len(parts) or None in parts or not set(NEEDED) <= set(parts):
        return None
    return [Wanted(part, names[parts.index(part)], None, None) for part in PARTS if part in parts]


def places(wanted: Sequence[Wanted], names: Sequence[str]) -> list[int]:
    """Return the place of each head among outputs of these names.

    Raises `ValueError` if there is no output for a head, or no single one.

    >>> places(parse("pitch=notes,step,duration"), ["step", "duration", "notes"])
    [2, 0, 1]
    """
    found = []
    for head in wanted:
        fitting = [i for i, name in enumerate(names) if name == head.layer]
        if head.layer is None:
            exact = [i for i, name in enumerate(names) if name == head.part]
            fitting = exact or [i for i, name in enumerate(names) if part_of(name) == head.part]
        if len(fitting) != 1:
            named = ", ".join(f"{name!r:.60}" for name in names[:16])
            say = f"say {head.part}=NAME with one of {named}" if head.layer is None else f"expected one of {named}"
            what = f"which output it is, is not clear: {say}" if head.layer is None else f"{say}, found {head.layer!r}"
            raise ValueError(f"{errors.option('heads')}: {head.part}: {what}")
        found.append(fitting[0])
    if len(set(found)) < len(found):
        raise ValueError(f"{errors.option('heads')}: two of them are the same output")
    return found


# -- the card --------------------------------------------------------------------------------------


def to_card(heads: Iterable[Head]) -> list[dict[str, Any]]:
    """Return the entry `heads` of a card (section 7 of docs/format.md).

    >>> to_card([Head("step", 1, "number", 1.0)])[0]["part"]
    'step'
    """
    return [head._asdict() for head in heads]


def of_card(card: object, inputs: int, outputs: int) -> tuple[Head, ...]:
    """Return the heads that the card of a network describes.

    card: the card. Returns an empty tuple if it describes none, or if they do not fit the network.
    inputs: how many numbers enter the network at each step.
    outputs: how many numbers come out.

    >>> of_card({"heads": "none"}, 3, 130)
    ()
    """
    entries = card.get("heads") if isinstance(card, Mapping) else None
    if not isinstance(entries, list) or not len(NEEDED) <= len(entries) <= len(PARTS):
        return ()
    try:
        heads = tuple(_checked(Head(**entry)) for entry in entries)
    except (TypeError, ModelFormatError):
        return ()
    parts = {head.part for head in heads}
    sums = sum(head.width for head in heads), sum(head.size for head in heads)
    fits = len(parts) == len(heads) and set(NEEDED) <= parts and sums == (inputs, outputs)
    return heads if fits else ()


def _checked(head: Head) -> Head:
    right = (
        head.part in PARTS
        and head.kind in KINDS
        and type(head.size) is int
        and type(head.lowest) is int
        and 0 <= head.lowest <= MAX_LOWEST
        and type(head.onehot) is bool
        and type(head.divisor) in (int, float)
        and 0 < head.divisor < math.inf
    )
    if right:
        check(head)
        return head
    raise ModelFormatError("the heads of the card are not as docs/format.md says")


def check(head: Head) -> None:
    """Raise `ModelFormatError` for a head of which no note can be made.

    >>> check(Head("step", 1, "number", 1.0))
    """
    drawn = head.kind != "number"
    if head.part == "pitch" and not (drawn and head.size > 1):
        raise ModelFormatError(
            f"{errors.option('heads')}: pitch: expected logits or probabilities of several pitches, found {head.size} "
            f"number{'s' * (head.size > 1)} that are none"
        )
    if head.part in ("step", "duration") and (drawn or head.size != 1):
        raise ModelFormatError(
            f"{errors.option('heads')}: "
            f"{head.part}: expected one number, in seconds, found {head.size}: the file does not say how long "
            "each of several classes lasts"
        )
    if head.size < 1 or (head.kind == "number" and head.size != 1) or (head.onehot and not drawn):
        raise ModelFormatError(
            f"{errors.option('heads')}: {head.part}: expected one number or probabilities, found {head.size} numbers"
        )
