"""Where a sample goes: music, or its elements as text. The suffix of the file name decides."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence

from lstmgen import arguments
from lstmgen.music.elements import recognise_vocabulary
from lstmgen.music.formats import FORMATS, WRITABLE, is_text, suffix_of
from lstmgen.music.piece import check_bpm, check_installed

Path = str | os.PathLike[str]


def check_outputs(
    paths: Iterable[Path],
    vocabulary: Sequence[str] | None,
    *,
    joined: bool = False,
    abc: bool = False,
    bpm: float | None = None,
) -> str | None:
    """Check that a sample can be written under names, before it is drawn.

    paths: the files to write.
    vocabulary: the elements of the model; None for a model that draws numbers.
    joined: whether the elements, joined, are a text. Such a model writes no music, unless the text
        is ABC notation.
    abc: whether it is.
    bpm: quarters a minute, 4 to 1000; None: those of the piece.

    Returns the notation of the elements if they are music, else None. A `UserWarning` says what is
    assumed of them, if music is to be written. Raises `ValueError` that names the file and what can
    be written: for music under a suffix that is neither one of `WRITABLE` nor one of text, and for
    text under a suffix of music or of another binary format. Raises `OSError` or `ImportError` for
    a program or package that a file needs and that is not installed.

    >>> check_outputs(["a.mid", "a.txt"], ["d12", "n60", "t12"])
    'events'
    >>> check_outputs(["a.aiff"], ["d12", "n60", "t12"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: a.aiff: such a file cannot be written: music is written as .mid, ...
    """
    joined = arguments.Flag().check("joined", joined)
    if vocabulary is not None:
        vocabulary = arguments.texts("vocabulary", vocabulary)
    if arguments.Flag().check("abc", abc):
        check_music_outputs(paths, bpm=bpm)
        return "abc"
    recognised = None if joined or vocabulary is None else recognise_vocabulary(vocabulary)
    names = [arguments.path("paths", name) for name in arguments.items("paths", paths)]
    if recognised:
        if check_music_outputs(names, bpm=bpm) and recognised.assumed:
            warnings.warn(recognised.assumed, stacklevel=2)
        return recognised.notation
    for name in names:
        suffix = suffix_of(name)
        if not is_text(name):
            drawn = "numbers, since it has no vocabulary" if vocabulary is None else "text, not elements of music"
            raise ValueError(
                f"{name}: the model writes {drawn}, which a {suffix} file does not hold; give a name such as sample.txt"
            )
    return None


def check_music_outputs(paths: Iterable[Path], *, bpm: float | None = None) -> bool:
    """Check that music can be written under names, as music or its elements as text.

    paths: the files to write.
    bpm: quarters a minute, 4 to 1000; None: those of the piece.

    Returns whether any file is music. Raises what `check_outputs` raises.

    >>> check_music_outputs(["a.txt"]), check_music_outputs(["a.txt", "a.mid"])
    (False, True)
    """
    suffixes = {arguments.path("paths", name): suffix_of(name) for name in arguments.items("paths", paths)}
    for name, suffix in suffixes.items():
        if suffix not in WRITABLE and (suffix in FORMATS or not is_text(name)):
            raise ValueError(
                f"{name}: such a file cannot be written: music is written as {', '.join(WRITABLE)}, "
                "its elements as text with any other suffix, such as .txt"
            )
    kinds = {WRITABLE[suffix] for suffix in suffixes.values() if suffix in WRITABLE}
    if kinds and bpm is not None:
        check_bpm(bpm)
    for kind in sorted(kinds):
        check_installed(kind)
    return bool(kinds)


def is_music(path: Path, notation: str | None) -> bool:
    """Return whether a sample is written as music there, and not as text.

    notation: what `check_outputs` returned.

    >>> is_music("a.mid", "events"), is_music("a.txt", "events"), is_music("a.xml", None)
    (True, False, False)
    >>> is_music("a.mid", "abc"), is_music("a.abc", "abc")  # the text is ABC notation already
    (True, False)
    """
    suffix = suffix_of(arguments.path("path", path))
    return notation is not None and suffix in WRITABLE and WRITABLE[suffix] != notation
