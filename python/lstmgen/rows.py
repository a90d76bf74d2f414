"""Many samples as the rows of a table: JSON Lines, or Parquet.

A row depends on the model, the options, the seed and its index. It does not depend on the number of
rows, on what is drawn beside it, on threads or on the machine. So rows may be drawn in parts, in
any order and anywhere. A part is a file that is there whole or not at all. A run that was ended
continues with the parts that are missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from lstmgen import inputs
from lstmgen.arguments import Flag, Integer, items, texts
from lstmgen.arguments import path as path_of
from lstmgen.errors import OptionError, OptionTypeError, instance, named, option
from lstmgen.files import write, writing
from lstmgen.generator import Generator, Row
from lstmgen.model import Model
from lstmgen.options import MANY, TABLE, ManyOptions, checked
from lstmgen.progress import bar
from lstmgen.signatures import with_keywords

if TYPE_CHECKING:
    from lstmgen.bundled import Source

SUFFIXES = (".jsonl", ".parquet")
TOGETHER = 96  # rows that a thread draws at once: those of a batch of the engine
PART = 10 * TOGETHER  # rows of a part
_PART_ELEMENTS = 4_000_000  # the most elements of a part, if a row is not longer than that
_COLUMNS = ("index", "seed", "text", "elements", "ids", "notes", "length", "log_probability")
_RECIPE = "_run.json"  # readers of folders of Parquet pass over names with "_"
_NAME = re.compile(r"part-(\d{12,})-(\d{12,})")


class Rows:
    """The rows of a model and its options, which can be drawn in any order.

    source: a `Model`, or anything that `Model` takes.
    length: how many elements a row has at most, at least 0.
    temp: the temperature, at least 0.
    threads: how many threads draw rows, at least 1. It changes no row.
    scores: whether rows have their `log_probability`, which takes a tenth of the time. A model of
        notes has none.
    options: see `ManyOptions`. The row i has the seed `seed` + i. A model of notes takes `prime`,
        `temperature` and `inverse_temp`.

    Rows pickle together with their model. Raises what `Generator.sample_rows` raises, before any
    row is drawn.

    >>> import lstmgen
    >>> rows = Rows("latex", 20, 0.67, seed=7)
    >>> [row.seed for row in rows.draw(range(3, 5))]
    [10, 11]
    >>> row = next(rows.draw(range(3, 4)))
    >>> row.sequence == lstmgen.Generator("latex").sample(20, 0.67, seed=10)
    True
    """

    def __init__(
        self,
        source: Source | Model,
        length: int = 1000,
        temp: float | None = None,
        *,
        threads: int = 1,
        scores: bool = False,
        **options: Unpack[ManyOptions],
    ) -> None:
        self.model = source if isinstance(source, Model) else Model(source)
        self.threads = Integer(1).check("threads", threads)
        self.scores = Flag().check("scores", scores)
        if scores and self.model.heads:
            raise ValueError(f"{option('scores')}: a model of notes has no probability of a whole note")
        known = MANY
        if self.model.heads:
            known = ("length", "temp", "temperature", "inverse_temp", "prime", "seed")
        given: dict[str, Any] = {**options, "length": length, "temp": temp}
        self.options = checked("sample_rows", given, known)
        self.seed: int = self.options.pop("seed", int.from_bytes(os.urandom(4)))
        list(self._drawn(range(1), length=0))  # errors are raised now

    def __repr__(self) -> str:
        return f"<lstmgen.rows.Rows of {self.model!r}: seed {self.seed}, {self.options}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of a table are called.

        The third one has what is drawn. It is "text", "elements", "ids" or "notes".
        """
        kind = "text"
        if self.model.heads:
            kind = "notes"
        elif self.model.vocabulary is None:
            kind = "ids"
        elif self.model.vocabulary.kind == "tokens":
            kind = "elements"
        return ("index", "seed", kind, "length", *(["log_probability"] if self.scores else []))

    @property
    def part(self) -> int:
        """How many rows a part has: 960, or fewer if they are long."""
        return max(1, min(PART, _PART_ELEMENTS // max(1, int(self.options["length"]))))

    def draw(self, indices: range) -> Iterator[Row]:
        """Yield the rows of these indices, some of which are drawn side by side.

        indices: one after the other, from 0 on.

        The class has an example.
        """
        _check_indices(indices)
        return self._draw(indices)

    def _draw(self, indices: range) -> Iterator[Row]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said when the object was made
            some = TOGETHER * self.threads
            for at in range(indices.start, indices.stop, some):
                yield from self._drawn(range(at, min(at + some, indices.stop)))

    def recipe(self) -> dict[str, Any]:
        """Return all that a row depends on, as JSON has it: the model's hash, options and seed.

        >>> Rows("latex", 20, seed=7).recipe()["seed"]
        7
        """
        facts = {"model": sha256(self.model.to_bytes()).hexdigest(), "seed": self.seed, **self.options}
        facts |= {"scores": True} if self.scores else {}
        plain: dict[str, Any] = json.loads(json.dumps(facts, default=_plain))
        return plain

    def _drawn(self, indices: range, **other: Any) -> Iterator[Row]:
        options = {"seed": self.seed, **self.options, **other}
        if not self.model.heads:
            generator = Generator(self.model, threads=self.threads)
            yield from generator.sample_rows(len(indices), first=indices.start, scores=self.scores, **options)
            return
        from lstmgen.music import NoteGenerator

        notes = NoteGenerator(self.model)
        for i in indices:
            drawn = notes.sample(**{**options, "seed": self.seed + i})
            yield Row(i, self.seed + i, drawn, len(drawn))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else list(value)


# -- rows as bytes ---------------------------------------------------------------------------------


def lines(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """Return rows as JSON Lines.

    columns: see `Rows.columns`.

    >>> lines([Row(0, 7, "ab", 2)], ("index", "seed", "text", "length"))
    b'{"index": 0, "seed": 7, "text": "ab", "length": 2}\\n'
    """
    _check_columns(columns)
    return b"".join(
        json.dumps(facts, ensure_ascii=False, allow_nan=False).encode() + b"\n" for facts in _facts(rows, columns)
    )


def _facts(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    if not isinstance(rows, Iterator):
        rows = items("rows", rows)
    for row in rows:
        drawn = instance("rows", row, Row).sequence
        sequence = [note._asdict() for note in drawn] if "notes" in columns else drawn
        yield dict(zip(columns, (row.index, row.seed, sequence, row.length, row.log_probability), strict=False))


def _check_columns(columns: Sequence[str]) -> None:
    if unknown := set(texts("columns", columns)) - set(_COLUMNS):
        raise OptionError("columns", f"some of {', '.join(_COLUMNS)}", min(unknown))


def _check_indices(indices: range) -> None:
    if Integer(0).check("indices", instance("indices", indices, range).start) < 0 or indices.step != 1:
        raise OptionError("indices", "one after the other", indices)


def table(rows: Iterable[Row], columns: Sequence[str]) -> Any:
    """Return rows as a table of pyarrow.

    columns: see `Rows.columns`.

    Raises `ImportError` that says what to install.

    >>> table([Row(0, 7, "ab", 2)], ("index", "seed", "text", "length")).num_rows
    1
    """
    _check_columns(columns)
    pa = _pyarrow()
    note = pa.struct([("pitch", pa.int64()), *((part, pa.float64()) for part in ("step", "duration", "velocity"))])
    kinds = {
        "index": pa.int64(),
        "seed": pa.uint64(),
        "text": pa.string(),
        "elements": pa.list_(pa.string()),
        "ids": pa.list_(pa.uint32()),
        "notes": pa.list_(note),
        "length": pa.int64(),
        "log_probability": pa.float64(),
    }
    schema = pa.schema([(name, kinds[name]) for name in columns])
    return pa.Table.from_pylist(list(_facts(rows, columns)), schema)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "a .parquet file needs pyarrow: pip install 'lstmgen[parquet]'; .jsonl needs nothing"
        ) from error
    return pyarrow


# -- parts -----------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """Rows of a part that belong to a table.

    path: the file of the part.
    rows: the indices of its rows.
    wanted: the indices of those that belong to the table.

    >>> Piece(Path("part-000000000000-000000000960.jsonl"), range(960), range(500)).wanted.stop
    500
    """

    path: Path
    rows: range
    wanted: range


class Parts:
    """A folder of files, each with some of the rows of a table.

    folder: its path. It need not exist yet.
    suffix: ".jsonl" or ".parquet", what the files are.

    >>> from tempfile import TemporaryDirectory
    >>> rows = Rows("latex", 5, seed=7)
    >>> with TemporaryDirectory() as folder:
    ...     parts = Parts(f"{folder}/parts", ".jsonl")
    ...     parts.begin(rows.recipe())
    ...     parts.write(range(2), rows.draw(range(2)), rows.columns)
    ...     parts.join(1, f"{folder}/out.jsonl", rows.columns)
    ...     parts.done(5), parts.missing(5, 2), [piece.rows for piece in parts.pieces(1)]
    ...     parts.delete()
    (2, [range(2, 4), range(4, 5)], [range(0, 2)])
    """

    def __init__(self, folder: str | os.PathLike[str], suffix: str) -> None:
        if instance("suffix", suffix, str) not in SUFFIXES:
            raise OptionError("suffix", f"one of {', '.join(SUFFIXES)}", suffix)
        self.folder = Path(path_of("folder", folder))
        self.suffix = suffix

    def __repr__(self) -> str:
        return f"<lstmgen.rows.Parts {str(self.folder)!r}: {self.suffix}>"

    @property
    def seed(self) -> int | None:
        """The seed of the rows; None if there are none yet."""
        recipe = self._recipe()
        return None if recipe is None else recipe["seed"]

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Make the folder, or check that what it has was drawn in the same way.

        recipe: what `Rows.recipe` returned.

        Raises `ValueError` that names what differs. The class has an example.
        """
        for name in instance("recipe", recipe, Mapping):  # type: ignore[type-abstract]
            instance("recipe", name, str)
        with named("recipe"):
            told = json.dumps(dict(recipe), ensure_ascii=False).encode()
        found = self._recipe()
        if found is None:
            self.folder.mkdir(exist_ok=True)
            if any(not path.name.startswith(".") for path in self.folder.iterdir()):
                raise ValueError(f"{self.folder}: expected an empty folder or parts of this run, found other files")
            write(self.folder / _RECIPE, told)
            return
        for name in sorted({*found, *recipe}):
            if found.get(name, _Default) != recipe.get(name, _Default):
                shown = option(name) if name in TABLE else name
                raise ValueError(
                    f"{self.folder}: holds rows of a run with another {shown}: expected {_shown(recipe, name)}, found "
                    f"{_shown(found, name)}. Give the options of that run to continue it, or delete the folder"
                )

    def missing(self, n: int, size: int) -> list[range]:
        """Return the indices below `n` that no part has, in runs of at most `size`.

        The class has an example.
        """
        size = Integer(1).check("size", size)
        gaps, at = [], 0
        for piece in self._pieces(n):
            gaps.append(range(at, piece.wanted.start))
            at = piece.wanted.stop
        gaps.append(range(at, n))
        return [range(i, min(i + size, gap.stop)) for gap in gaps for i in range(gap.start, gap.stop, size)]

    def done(self, n: int) -> int:
        """Return how many of the rows below `n` there are. The class has an example."""
        return sum(len(piece.wanted) for piece in self._pieces(n))

    def write(self, indices: range, rows: Iterable[Row], columns: Sequence[str]) -> None:
        """Write a part. It is there whole or not at all. The class has an example.

        indices: those of the rows. columns: see `Rows.columns`.
        """
        _check_indices(indices)
        _check_columns(columns)
        name = f"part-{indices.start:012}-{indices.stop:012}{self.suffix}"
        if self.suffix == ".jsonl":
            write(self.folder / name, lines(rows, columns))
            return
        made = table(rows, columns)
        with writing(self.folder / name) as file:
            _pyarrow().parquet.write_table(made, file)

    def pieces(self, n: int) -> list[Piece]:
        """Return the parts with all rows below `n`, in order. A row is wanted from one part alone.

        Raises `ValueError` if a row is missing. The class has an example.
        """
        if missing := self.missing(n, max(1, Integer(0).check("n", n))):
            raise ValueError(f"{self.folder}: the rows {missing[0].start} to {missing[0].stop - 1} are missing")
        return self._pieces(n)

    def join(self, n: int, path: str | os.PathLike[str], columns: Sequence[str]) -> None:
        """Write the rows below `n` as one file. It is there whole or not at all.

        path: the file. columns: see `Rows.columns`.

        Raises `ValueError` for a missing row, and for a part that does not have its rows. The class
        has an example.
        """
        _check_columns(columns)
        pieces = self.pieces(n)
        with writing(path_of("path", path)) as file:
            if self.suffix == ".jsonl":
                for piece in pieces:
                    file.writelines(_wanted(piece, piece.path.read_bytes().splitlines(keepends=True)))
                return
            with closing(_pyarrow().parquet.ParquetWriter(file, table([], columns).schema)) as out:
                for piece in pieces:
                    out.write_table(read(piece))

    def delete(self) -> None:
        """Delete the folder. The class has an example."""
        shutil.rmtree(self.folder)

    def _recipe(self) -> dict[str, Any] | None:
        path = self.folder / _RECIPE
        try:
            recipe = json.loads(inputs.read(path, inputs.MAX_TEXT))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            recipe = None
        if not isinstance(recipe, dict) or type(recipe.get("seed")) is not int:
            raise ValueError(f"{path}: damaged: it does not say how rows were drawn. Delete the folder")
        return recipe

    def _pieces(self, n: int) -> list[Piece]:
        """Return the parts that have rows below `n`, in order, each row once."""
        n, found = Integer(0).check("n", n), []
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.suffix == self.suffix and (name := _NAME.fullmatch(path.stem)):
                    found.append((int(name[1]), -int(name[2]), path))
        pieces, at = [], 0
        for start, minus_stop, path in sorted(found):
            rows = range(start, -minus_stop)
            wanted = range(max(at, rows.start), min(n, rows.stop))
            if wanted:
                pieces.append(Piece(path, rows, wanted))
                at = wanted.stop
        return pieces


class _Default:
    """Stands for the value of an option that was not given."""


def _shown(recipe: Mapping[str, Any], name: str) -> str:
    return f"{recipe[name]!r:.60}" if name in recipe else "no value"


def read(piece: Piece) -> Any:
    """Return the wanted rows of a part of Parquet, as a table of pyarrow.

    Raises `ValueError` for a part that is damaged or does not have its rows.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     parts = Parts(folder, ".parquet")
    ...     rows = [Row(0, 7, "ab", 2), Row(1, 8, "c", 1)]
    ...     parts.write(range(2), rows, ("index", "seed", "text"))
    ...     read(parts.pieces(1)[0])["text"].to_pylist()
    ['ab']
    """
    instance("piece", piece, Piece)
    try:
        found = _pyarrow().parquet.read_table(piece.path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{piece.path}: damaged: {error}. Delete it, and run again") from None
    return _wanted(piece, found)


def _wanted(piece: Piece, found: Any) -> Any:
    """Return those rows of a part, a list or a table, that are wanted."""
    if len(found) != len(piece.rows):
        raise ValueError(f"{piece.path}: expected {len(piece.rows)} rows, found {len(found)}. Delete it, and run again")
    skipped = piece.wanted.start - piece.rows.start
    return found[skipped : skipped + len(piece.wanted)]


# -- one machine -----------------------------------------------------------------------------------


def parts_of(path: str | os.PathLike[str]) -> Parts:
    """Return the parts of a table that is being written to a file: the folder PATH.parts.

    path: the file, whose suffix is one of `SUFFIXES`.

    Raises `ValueError` for another suffix, and `ImportError` for what a .parquet file needs.

    >>> parts_of("out.jsonl").folder.name
    'out.jsonl.parts'
    """
    path = Path(path_of("path", path))
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if path.suffix.lower() == ".parquet":
        _pyarrow()
    return Parts(path.with_name(f"{path.name}.parts"), path.suffix.lower())


@with_keywords(ManyOptions)
def write_rows(
    source: Source | Model,
    n: int,
    path: str | os.PathLike[str],
    length: int = 1000,
    temp: float | None = None,
    *,
    threads: int = 1,
    scores: bool = False,
    **options: Unpack[ManyOptions],
) -> None:
    """Draw `n` samples, and write them as the rows of a table.

    source: a `Model`, or anything that `Model` takes.
    n: how many rows, at least 0.
    path: the file, a .jsonl or a .parquet. Until it is whole, its parts lie in the folder
        PATH.parts.
    length: how many elements a row has at most, at least 0.
    temp: the temperature, at least 0.
    threads: how many threads draw rows, at least 1. It changes no row.
    scores: whether rows have their `log_probability`, which takes a tenth of the time.
    options: see `ManyOptions`; one value for all rows. The row i has the seed `seed` + i.

    The same call continues a run that was interrupted. Without a seed it takes the seed of that
    run, and `n` may differ. A bar shows the progress on terminals and in notebooks.

    Raises what `Generator.sample_rows` raises. Raises `ValueError` for another suffix, and for
    parts of a run with other options. Raises `ImportError` for a .parquet without pyarrow.

    >>> import json
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_rows("latex", 3, f"{folder}/out.jsonl", 20, seed=7)
    ...     [json.loads(row)["seed"] for row in Path(folder, "out.jsonl").read_text().splitlines()]
    [7, 8, 9]
    """
    n = Integer(0).check("n", n)
    parts = parts_of(path)
    if options.get("seed") is None:
        options["seed"] = parts.seed
    rows = Rows(source, length, temp, threads=threads, scores=scores, **options)
    TABLE["seed"].values.check("seed", rows.seed + max(n, 1) - 1)
    parts.begin(rows.recipe())
    with bar(n, "rows", initial=parts.done(n)) as shown:
        for indices in parts.missing(n, rows.part):
            parts.write(indices, _told(rows.draw(indices), shown), rows.columns)
    parts.join(n, path, rows.columns)
    parts.delete()


def _told(rows: Iterable[Row], shown: Any) -> Iterator[Row]:
    for row in rows:
        yield row
        shown.update()


def write_lines(rows: Rows, n: int, file: Any) -> None:
    """Write rows to an open binary file as JSON Lines, as they are drawn.

    rows: what is drawn. n: how many, from row 0.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_lines(Rows("latex", 5, seed=7), 2, file)
    >>> file.getvalue().count(b"\\n")
    2
    """
    if not hasattr(file, "write"):
        raise OptionTypeError("file", "an open file", file)
    for row in instance("rows", rows, Rows).draw(range(Integer(0).check("n", n))):
        file.write(lines([row], rows.columns))
    file.flush()
