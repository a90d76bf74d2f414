"""Many samples as the rows of a table, drawn by the machines of a Ray cluster.

The rows are those that `lstmgen.rows` draws on one machine. The only place for Ray, which the extra
`ray` installs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lstmgen.arguments import Integer
from lstmgen.options import TABLE, ManyOptions
from lstmgen.progress import bar
from lstmgen.rows import Parts, Piece, Rows, read, table
from lstmgen.signatures import with_keywords

try:
    import ray
    import ray.data
except ImportError as error:
    error.add_note("lstmgen.ray needs Ray Data: pip install 'lstmgen[ray]'")
    raise

if TYPE_CHECKING:
    from lstmgen.bundled import Source
    from lstmgen.model import Model


@with_keywords(ManyOptions)
def sample_dataset(
    source: Source | Model,
    n: int,
    length: int = 1000,
    temp: float | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    actors: int | None = None,
    threads: int = 1,
    part: int | None = None,
    scores: bool = False,
    **options: Unpack[ManyOptions],
) -> Any:
    """Draw `n` samples on a Ray cluster, and return them as the rows of a `ray.data.Dataset`.

    source: a `Model`, or anything that `Model` takes. It is sent to the workers.
    n: how many rows, at least 0.
    length: how many elements a row has at most, at least 0.
    temp: the temperature, at least 0.
    out: a folder that all machines reach under this name. Rows are written there as Parquet, in
        parts that are there whole or not at all. The same call continues a run that was
        interrupted. Without a seed it takes the seed of that run.
    actors: how many actors draw, at least 1. The default is one for each `threads` processors.
    threads: how many threads an actor has, at least 1. Ray counts them as processors.
    part: how many rows an actor draws at a time, at least 1. The default is 960, or fewer if a row
        is longer than 4,000 elements.
    scores: whether rows have their `log_probability`, which takes a tenth of the time.
    options: see `ManyOptions`; one value for all rows. The row i has the seed `seed` + i.

    Without `out` the dataset is lazy: its rows are drawn when they are wanted. Its parts may come
    in any order; `sort("index")` orders the rows. With `out` all rows are drawn and written before
    the function returns, and a bar shows how far it is. Ray starts an actor again that died, and
    gives its part to another one. No row depends on that, nor on the number of actors, threads or
    parts: `lstmgen sample --many` writes the same rows.

    Raises what `Generator.sample_rows` raises. Raises `ValueError` for a folder with rows of other
    options or with other files. Raises what Ray raises if workers fail for good.

    docs/many.md has an example.
    """
    n = Integer(0).check("n", n)
    actors = None if actors is None else Integer(1).check("actors", actors)
    parts = None if out is None else Parts(os.path.abspath(out), ".parquet")
    if parts is not None and options.get("seed") is None:
        options["seed"] = parts.seed
    rows = Rows(source, length, temp, threads=threads, scores=scores, **options)
    TABLE["seed"].values.check("seed", rows.seed + max(n, 1) - 1)
    size = rows.part if part is None else Integer(1).check("part", part)
    if parts is not None:
        parts.begin(rows.recipe())
    if n == 0:
        return ray.data.from_arrow(table([], rows.columns))
    if parts is None:
        return _drawn(rows, _cut(n, size), actors, None)
    if missing := parts.missing(n, size):
        written = _drawn(rows, missing, actors, parts)
        written.context.enable_progress_bars = False  # there is our own
        with bar(n, "rows", initial=parts.done(n)) as shown:
            for batch in written.iter_batches(batch_size=None):
                shown.update(int(batch["rows"].sum()))
    # Not read_parquet: the folder may have rows from `n` on, of a longer run.
    pieces = [
        {"path": os.fspath(path), "rows": [held.start, held.stop], "wanted": [wanted.start, wanted.stop]}
        for path, held, wanted in parts.pieces(n)
    ]
    listed = ray.data.from_items(pieces, override_num_blocks=len(pieces))
    return listed.map_batches(_read, batch_size=1, batch_format="numpy")


def _read(batch: Mapping[str, Any]) -> Any:
    """Return the rows of a part."""
    (path,), (rows,), (wanted,) = batch["path"], batch["rows"], batch["wanted"]
    return read(Piece(Path(path), range(*map(int, rows)), range(*map(int, wanted))))


def _cut(n: int, size: int) -> list[range]:
    return [range(i, min(i + size, n)) for i in range(0, n, size)]


def _drawn(rows: Rows, tasks: list[range], actors: int | None, parts: Parts | None) -> Any:
    """Return a lazy dataset: the rows of the tasks, or how many of them were written."""
    if not ray.is_initialized():
        ray.init()
    if actors is None:
        actors = max(1, int(ray.cluster_resources().get("CPU", 1)) // rows.threads)
    actors = min(actors, len(tasks))
    starts = ray.data.from_items(
        [{"start": task.start, "stop": task.stop} for task in tasks], override_num_blocks=len(tasks)
    )
    return starts.map_batches(
        _Drawer,
        fn_constructor_args=(ray.put(rows), parts),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        batch_size=1,
        batch_format="numpy",
        num_cpus=rows.threads,
    )


class _Drawer:
    """An actor: it draws the rows of a task, and returns or writes them."""

    def __init__(self, rows: Any, parts: Parts | None) -> None:
        self.rows: Rows = ray.get(rows)
        self.parts = parts

    def __call__(self, batch: Mapping[str, Any]) -> Any:
        """Draw the rows of a batch, which is one task."""
        (start,), (stop,) = batch["start"], batch["stop"]
        indices = range(int(start), int(stop))
        drawn = self.rows.draw(indices)
        if self.parts is None:
            return table(drawn, self.rows.columns)
        self.parts.write(indices, drawn, self.rows.columns)
        return {"rows": [len(indices)]}
