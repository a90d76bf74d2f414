"""The text that a training reads: from files, folders, or a column of a CSV."""

from __future__ import annotations

import csv
import io
import itertools
import os
import random
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lstmgen import charsets, inputs
from lstmgen.errors import option
from lstmgen.escaping import brief, printable
from lstmgen.music import abc_notation, abc_reading
from lstmgen.music.formats import is_text

TUNE_END = "\n\n"  # after each tune in ABC notation
Sources = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Part(NamedTuple):
    """The characters [start, stop) of a text, which come from one file."""

    path: Path
    start: int
    stop: int


class Corpus(NamedTuple):
    """A text, and the files that it comes from."""

    text: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files."""
        return tuple(part.path.name for part in self.parts)

    def part(self, name: str) -> Part:
        """Return the part that comes from a file.

        name: the name of the file, its path, or the end of its path.

        Raises `ValueError` if no file or several files have this name.
        """
        wanted = Path(name)
        found = [part for part in self.parts if wanted.exists() and part.path.samefile(wanted)]
        if not found:
            found = [part for part in self.parts if part.path.parts[-len(wanted.parts) :] == wanted.parts]
        if len(found) != 1:
            among = ", ".join(str(part.path) for part in (found or self.parts)[:10])
            more = " ..." if len(found or self.parts) > 10 else ""
            expected = "a name that only one of these files has" if found else "one of the files of the corpus"
            raise ValueError(f"{option('holdout_from')}: expected {expected}, {among}{more}; found {name!r}")
        return found[0]


def paths(sources: Sources) -> list[Path]:
    """Return one path or several, as a list. Raises `ValueError` for a text in place of a path."""
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    for source in given:
        if inputs.is_text(source):
            raise ValueError(f"expected the path of a file or a folder, found the text {brief(source)}")
    return [Path(source) for source in given]


def read(
    sources: Iterable[Path],
    *,
    charset: str = "utf-8",
    lower: bool = False,
    column: str = "",
    abc: bool = False,
    without: Collection[Path] = (),
) -> Corpus:
    """Return the text of files and folders, one after the other.

    sources: files and folders. A folder stands for all files in it and in its folders, in the order
        of their names. Files and folders whose names begin with a dot are skipped. A file of a
        folder that is not text, by its name or in this character set, is skipped with a warning.
    charset: the name of a character set that Python knows, such as "latin-1".
    lower: whether the text becomes lower case.
    column: the name of a column of CSV files. The text is then its cells, one in each line.
    abc: whether the files are tunes in ABC notation. The text is then each tune, as
        `abc_notation.plain` gives it, and an empty line after it. The order of the tunes of a file
        is random, but the same each time.
    without: files of folders that are skipped.

    A file that does not end with a line end gets one, but for the last file. Raises `OSError` for a
    file that cannot be read. Raises `ValueError` that names the file for one that is not text.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("Abc"), Path(folder, "b.txt").write_text("d")
    ...     corpus = read([Path(folder)], lower=True)
    >>> corpus.text, corpus.names
    ('abc\\nd', ('a.txt', 'b.txt'))
    """
    charsets.check_charset(charset)
    texts, files = [], []
    for path, listed in _files(sources):
        if listed and any(other.exists() and path.samefile(other) for other in without):
            continue
        try:
            if listed and not is_text(path):
                raise ValueError(f"{path}: no text, by its name")
            text = _decoded(path, charset)
            text = _tunes(path, text) if abc else text
        except (ValueError, FileNotFoundError) as error:
            if not listed:
                raise
            why = f"{path}: it is gone" if isinstance(error, OSError) else str(error)
            warnings.warn(f"{printable(why)}; skipped", UserWarning, stacklevel=2)
            continue
        text = _column(path, text, column) if column else text
        texts.append(text.lower() if lower else text)
        files.append(path)
    if not texts:
        raise ValueError(f"{', '.join(map(str, sources))}: expected text files, found none")
    ended = [text if not text or text.endswith(("\n", "\r")) else text + "\n" for text in texts[:-1]]
    ended.append(texts[-1])
    stops = itertools.accumulate(map(len, ended))
    parts = [Part(path, stop - len(text), stop) for path, stop, text in zip(files, stops, ended, strict=True)]
    return Corpus("".join(ended), tuple(parts))


def _files(sources: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file, and whether it was found in a folder."""
    for source in sources:
        if source.is_dir():
            yield from ((path, True) for path in inputs.files_in(source))
        else:
            yield source, False


def _decoded(path: Path, charset: str) -> str:
    data = inputs.read(path, inputs.MAX_CORPUS)
    text = charsets.decoded(str(path), data, charset, told=True)
    if "\0" in text:
        raise ValueError(f"{path}: expected text without U+0000, found it at character {text.index(chr(0))}")
    if doubt := charsets.misread(data, text, charset):
        warnings.warn(f"{printable(str(path))}: {doubt}", UserWarning, stacklevel=4)
    return text


def _tunes(path: Path, text: str) -> str:
    """Return the tunes of a file, each with an empty line after it."""
    try:
        tunes = [tune for text in abc_notation.tunes_of(text) if (tune := abc_notation.plain(text))]
    except abc_reading.AbcError as error:
        raise ValueError(f"{path}: {option('abc')}: {error}") from None
    random.Random(0).shuffle(tunes)  # versions of a tune are side by side, and would tell the next one
    return "".join(f"{tune}{TUNE_END}" for tune in tunes)


def _listed(header: Sequence[str]) -> str:
    """Return the first 16 names of columns."""
    shown = ", ".join(map(brief, header[:16])) or "no columns"
    return f"{shown} and {len(header) - 16} more" if len(header) > 16 else shown


def _column(path: Path, text: str, column: str) -> str:
    """Return the cells of a column that are not empty, one in each line."""
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    cells, line = [], 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if column not in header:
            raise ValueError(f"{path}: {option('column')}: expected one of {_listed(header)}, found {column!r}")
        at = header.index(column)
        for row in reader:
            line = reader.line_num
            if len(row) > at and row[at].strip():
                cells.append(row[at] + "\n")
    except csv.Error as error:
        raise ValueError(f"{path}: line {line + 1}: not CSV: {error}") from None
    return "".join(cells)
