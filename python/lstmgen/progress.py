"""What is shown while work takes longer than a second: a bar, on terminals and in notebooks.

Nothing is shown elsewhere, so that logs and pipes stay as they are. The only place for tqdm.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")
DELAY = 1.0  # seconds of work after which a bar appears
_TICK = 0.5  # seconds between two looks of work that cannot be counted
_PIECE = 0.1  # seconds that a piece of divided work may take
_open = False  # whether there is work already that shows a bar, or will
_busy = False  # whether there is work that shows how long it takes, where nothing in it is counted


def bar(total: int | None, unit: str, what: str = "", **more: Any) -> Any:
    """Return a bar of tqdm that counts up to `total`, and tells the rate and the time left.

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
        "disable": not (notebook or sys.stderr.isatty()) or "TQDM_DISABLE" in os.environ,
    }
    return _tqdm(notebook)(**(options | more))


def counted(items: Iterable[T], total: int | None, unit: str, what: str = "") -> Iterator[T]:
    """Yield the items, and show a bar meanwhile.

    >>> list(counted("abc", 3, "letters"))
    ['a', 'b', 'c']
    """
    with counting(total, unit, what) as done:
        for i, item in enumerate(items):
            yield item
            if done is not None:
                done(i + 1)


@contextmanager
def counting(total: int | None, unit: str, what: str = "") -> Iterator[Callable[[int], None] | None]:
    """Give a function that is told how much of `total` is done, and shows a bar after a second.

    It is None where no bar is shown: in a pipe, in a thread that is not the main one, inside of
    work that has a bar, and with `TQDM_DISABLE` in the environment.

    >>> with counting(3, "steps") as done:
    ...     print(done)
    None
    """
    global _open
    if not _may_show():
        yield None
        return
    shown: Any = None
    began = time.monotonic()

    def done(count: int) -> None:
        nonlocal shown
        if shown is not None:
            shown.update(count - shown.n)
        elif time.monotonic() - began >= DELAY:
            shown = bar(total, unit, what, initial=count, delay=0, position=0 if _busy else None)

    _open = True
    try:
        yield done
    finally:
        _open = False
        if shown is not None:
            shown.close()


def pieces(total: int, unit: str, what: str = "", *, first: int = 1) -> Iterator[int]:
    """Sizes of pieces of work that add up to `total`: one, or several that a bar counts.

    first: the size of the first of several.

    >>> list(pieces(1000, "elements"))
    [1000]
    """
    with counting(total, unit, what) as done:
        if done is None:
            yield total
            return
        at, size = 0, first
        while at < total:
            began = time.monotonic()
            yield min(size, total - at)
            at += min(size, total - at)
            done(at)
            if time.monotonic() - began < _PIECE / 2:
                size *= 2


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show how long the work of a `with` has taken, where it cannot be counted.

    A part of it that can be counted shows its bar meanwhile.

    >>> with busy("adding"):
    ...     1 + 1
    2
    """
    global _busy
    if _busy or not _may_show():
        yield
        return
    import threading  # here, since few need it and imports are half of the start

    over = threading.Event()
    with bar(None, "", what, bar_format="{desc}: {elapsed} so far") as shown:

        def tick() -> None:
            while not over.wait(_TICK):
                if not _open:
                    shown.update()

        ticking = threading.Thread(target=tick, daemon=True)
        _busy = True
        ticking.start()
        try:
            yield
        finally:
            _busy = False
            over.set()
            ticking.join()


def _may_show() -> bool:
    """Return whether work of the library may show a bar here and now."""
    if _open or not (sys.stderr.isatty() or in_notebook()):
        return False
    import threading

    return (
        threading.current_thread() is threading.main_thread()
        and "TQDM_DISABLE" not in os.environ
        and len(getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", ())) <= _busy
    )


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
