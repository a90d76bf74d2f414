"""What is shown while work takes longer than a second: a bar, on terminals and in notebooks.

Nothing is shown elsewhere, so that logs and pipes stay as they are. The only place for tqdm.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")
DELAY = 1.0  # seconds of work after which a bar appears
_TICK = 0.5  # seconds between two looks of work that cannot be counted


def bar(total: int | None, unit: str, what: str = "", **more: Any) -> Any:
    """A bar of tqdm that counts up to `total`, and tells the rate and the time left.

    total: None if it is not known. unit: what is counted, such as "elements". what: comes first.
    more: other options of tqdm.

    >>> with bar(3, "steps") as shown:
    ...     shown.update(2)
    """
    notebook = in_notebook()
    options: dict[str, Any] = {
        "total": total,
        "unit": f" {unit}",
        "desc": what or None,
        "leave": False,
        "dynamic_ncols": True,
        "delay": DELAY,
        "file": sys.stderr,
        "disable": not (notebook or sys.stderr.isatty()),
    }
    return _tqdm(notebook)(**(options | more))


def counted(items: Iterable[T], total: int | None, unit: str, what: str = "") -> Iterator[T]:
    """The items, and a bar while they are taken.

    >>> list(counted("abc", 3, "letters"))
    ['a', 'b', 'c']
    """
    with bar(total, unit, what) as shown:
        for item in items:
            yield item
            shown.update()


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show how long the work of a `with` has taken, where it cannot be counted.

    >>> with busy("adding"):
    ...     1 + 1
    2
    """
    over = threading.Event()
    with bar(None, "", what, bar_format="{desc}: {elapsed} so far") as shown:

        def tick() -> None:
            while not over.wait(_TICK):
                shown.update()

        ticking = threading.Thread(target=tick, daemon=True)
        if not shown.disable:
            ticking.start()
        try:
            yield
        finally:
            over.set()
            if not shown.disable:
                ticking.join()


def in_notebook() -> bool:
    """Return whether the process is the kernel of a notebook.

    >>> in_notebook()
    False
    """
    return "ipykernel" in sys.modules


def _tqdm(notebook: bool) -> Any:
    import tqdm

    tqdm.tqdm.monitor_interval = 0  # no thread that watches: a program may fork
    if notebook and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as with_widgets

        return with_widgets
    return tqdm.tqdm
