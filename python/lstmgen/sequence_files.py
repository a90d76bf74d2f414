"""Sequences for a classifier as text: numbers, lines, and the rows of a CSV."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from lstmgen.inputs import MAX_CORPUS
from lstmgen.vocabulary import reading

LARGEST = 1e15  # the largest number that a sequence may hold
LABEL_NAMES = ("label", "labels", "class", "target", "category", "sentiment")  # names of the second column
SEQUENCE_NAMES = ("sequence", "sequences", "text", "word", "words", "numbers")  # names of the first column


def parse_numbers(text: str) -> list[float]:
    """Return the numbers of a text, separated by spaces, by commas or by semicolons.

    Raises `ValueError` for any other text.

    >>> parse_numbers("0.5 1 -2"), parse_numbers("1,2"), parse_numbers("")
    ([0.5, 1.0, -2.0], [1.0, 2.0], [])
    """
    if "," in text and ";" in text:
        raise ValueError("both , and ; between numbers; expected one separator, and a point before decimals")
    separated = "," in text or ";" in text
    found = re.split(r"\s*[,;]\s*|\s+", text.strip()) if separated else text.split()
    values = []
    for piece in found:
        value = number(piece)
        if value is None:
            raise ValueError(f"expected a number, found {piece!r:.60}" if piece else "a number is missing")
        values.append(value)
    return values


def number(piece: str) -> float | None:
    """Return the finite number that a text is, from -1e15 to 1e15, or None.

    >>> number("0.5"), number("x"), number("1e16")
    (0.5, None, None)
    """
    try:
        value = math.nan if "_" in piece else float(piece)  # float() accepts 1_000
    except ValueError:
        return None
    return value if abs(value) <= LARGEST else None


# -- files -----------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One row of a CSV file.

    line: where it begins, from 1.
    sequence: its first field.
    label: its second field, or None without one.

    >>> Row(1, "abc", None).sequence
    'abc'
    """

    line: int
    sequence: str
    label: str | None


def read_sequences(path: str | os.PathLike[str]) -> list[Row]:
    """Return the rows of a `.csv`, or the lines of any other UTF-8 file.

    path: the file. Each line of a file that is no CSV is a sequence; empty lines are skipped.

    Raises what `read_csv` raises, and `ValueError` for a file without sequences.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "a.txt").write_text("abc\\n\\nde\\n") and read_sequences(f"{folder}/a.txt")
    [Row(line=1, sequence='abc', label=None), Row(line=3, sequence='de', label=None)]
    """
    name = os.fspath(path)
    if not name.lower().endswith(".csv"):
        return lines_of(name, reading.read_text(path, MAX_CORPUS))
    return _some(name, read_csv(path))


def lines_of(name: str, text: str) -> list[Row]:
    """Return the lines of a text, each a sequence. Empty lines are skipped.

    name: what an error calls the text.

    Raises `ValueError` for a text without sequences.

    >>> lines_of("stdin", "abc\\n\\nde")
    [Row(line=1, sequence='abc', label=None), Row(line=3, sequence='de', label=None)]
    """
    lines = text.removeprefix("\ufeff").splitlines()
    return _some(name, [Row(i, line, None) for i, line in enumerate(lines, 1) if line])


def _some(name: str, rows: list[Row]) -> list[Row]:
    if not rows:
        raise ValueError(f"{name}: it is empty; expected one sequence a line, or a CSV of sequence,label")
    return rows


def read_csv(path: str | os.PathLike[str], header: str = "auto") -> list[Row]:
    """Return the rows of a UTF-8 CSV of `sequence,label`, or of `sequence` alone.

    path: the file. Empty lines are skipped.
    header: "yes" or "no" for whether the first row names the columns. "auto" means that it does if
        it has common names, or words where all other rows have numbers.

    Raises `OSError`, or `ValueError` that names file and line.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "a").write_text("text,label\\nabc,x\\n") and read_csv(f"{folder}/a")
    [Row(line=2, sequence='abc', label='x')]
    """
    name = os.fspath(path)
    text = reading.read_text(path, MAX_CORPUS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                if len(fields) > 2:
                    raise ValueError(
                        f"{name}: line {line}: expected sequence,label, found {len(fields)} fields; a sequence with "
                        'commas needs quotes, as in "0,1,4",label'
                    )
                rows.append(Row(line, fields[0], fields[1].strip() if len(fields) == 2 else None))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}: line {line}: not CSV: {error}") from None
    if header == "yes" or (header == "auto" and _names_columns(name, rows)):
        del rows[:1]
    return rows


def _names_columns(name: str, rows: Sequence[Row]) -> bool:
    if not rows:
        return False
    first, label = rows[0].sequence.strip().lower(), (rows[0].label or "").lower()
    if first in LABEL_NAMES and label in SEQUENCE_NAMES:
        raise ValueError(f"{name}: line {rows[0].line}: expected the columns sequence,label, found {first},{label}")
    if label in LABEL_NAMES or (rows[0].label is None and first in SEQUENCE_NAMES):
        return True
    others = [row.sequence for row in rows[1:]]
    return bool(others) and all(number(piece) is None for piece in pieces(first)) and all(map(is_numeric, others))


def is_numeric(sequence: str) -> bool:
    """Return whether a sequence is made of numbers only.

    >>> is_numeric("1, 2"), is_numeric("1 a"), is_numeric("")
    (True, False, False)
    """
    if number(sequence) is not None:  # most often it is one number, which float() reads fastest
        return True
    found = pieces(sequence)
    return bool(found) and all(number(piece) is not None for piece in found)


def pieces(sequence: str) -> list[str]:
    """Return the pieces of a text between spaces, commas and semicolons.

    >>> pieces("1, 2;x")
    ['1', '2', 'x']
    """
    return re.split(r"[,;\s]+", sequence.strip()) if sequence.strip() else []
