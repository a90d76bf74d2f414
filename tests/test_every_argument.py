"""Each argument of each public function takes any value: a result, or an error that names it.

The examples of the docstrings show calls that are right. Each argument of such a call is replaced
by each of many values that are wrong, or strange. So a new function is tested as soon as it has its
example.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import os
import signal
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import lstmgen
from lstmgen.escaping import brief

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a timer ends the calls that are long by right")

VALUES: tuple[Any, ...] = (
    *(-1, 0, 7, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400, 10**5000),
    *(float("nan"), float("inf"), -float("inf"), -0.5, 1e308, 5e-324, 1.5),
    *(True, None, 1j, Fraction(10**400, 3), object, object()),
    *(np.int64(-1), np.uint64(2**64 - 1), np.float32("nan"), np.float64("inf"), np.bool_(True)),
    *("", "\0", "\x1b[2J", "\ud800", "é", "no such thing", b"", b"\xff\0"),
    *([], {}, [[]], [None], [float("nan")], [2**64], [-1], [10**400], [""], {"": None}, {None: 1}, {"a": 10**400}),
    *(set(), np.zeros(0), np.zeros((2, 0)), np.zeros((2, 3, 4, 5)), np.array(["a"]), np.array([object()])),
    *(np.array(1j), np.array([np.nan]), memoryview(bytes(6)).cast("B", (2, 3))),
)
"""Values that nobody should give, or nearly nobody."""

COUNTS = {"length", "n", "longest", "steps", "seconds"}  # a great one is long work by right

EXEMPT = {
    "Stream.__init__": "Generator.stream makes it",
    "NoteStream.__init__": "NoteGenerator.stream makes it",
    "OptionError.__init__": "the package raises it",
    "ModelFormatError.__init__": "the package raises it",
    **{
        f"Batch.{name}": "sequences without end would join the batch of the example: tests/test_batch.py"
        for name in ("join", "prepare", "admit", "advance")
    },
}
OF_FILES = ("the model writes text", "holds rows of a run")  # such messages begin with the file
FUNCTIONS = {"logits_processor"}  # what they raise comes through


class Target(NamedTuple):
    """What is called: its name, the class that it makes or None, and the function."""

    name: str
    made: type | None
    function: Any


def offered(module: types.ModuleType) -> list[str]:
    """Return the public names of a module."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    here = {name: getattr(thing, "__module__", "") for name, thing in vars(module).items()}
    return [name for name, home in here.items() if home == module.__name__ and not name.startswith("_")]


def targets(module: str) -> dict[types.CodeType, Target]:
    """Return what a module offers, by its code."""
    found: dict[types.CodeType, Target] = {}
    package = importlib.import_module(module)
    for name in offered(package):
        thing = getattr(package, name)
        if isinstance(thing, types.FunctionType):
            found[inspect.unwrap(thing).__code__] = Target(name, None, thing)
        if not isinstance(thing, type) or issubclass(thing, tuple):  # a named tuple holds anything
            continue
        for member, of in vars(thing).items():
            if isinstance(of, types.FunctionType) and (member == "__init__" or not member.startswith("_")):
                whole = f"{name}.{member}"
                if whole not in EXEMPT:
                    made = thing if member == "__init__" else None
                    found[inspect.unwrap(of).__code__] = Target(whole, made, of)
    return found


class Enough(BaseException):
    """A call takes long. Python drops it where it is raised in a callback of a weak reference."""


def _enough(*_: object) -> None:
    raise Enough


def fault(call: Callable[[], Any], argument: str, value: object) -> str | None:
    """Return what is wrong with how a call goes; None if nothing is."""
    seconds = 1 if argument in COUNTS else 30  # of the processor
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)  # and each second, since `Enough` may be lost
    try:
        result = call()
        if isinstance(result, Iterator):
            list(islice(result, 3))
    except Enough:
        return None if argument in COUNTS else "it does not end"
    except (TypeError, ValueError, OSError) as error:
        return _unclear(error, argument, value)
    except BaseException as error:
        return f"{type(error).__name__}: {error!s:.200}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def _unclear(error: Exception, argument: str, value: object) -> str | None:
    try:
        text = str(error)
        text.encode()
    except ValueError:
        return f"{type(error).__name__} that cannot be printed"
    shown = (argument.rstrip("s"), str(value)[:60] or "''" if isinstance(value, str) else brief(value), "<bytes>")
    if argument in FUNCTIONS or any(part in text for part in shown):
        return None
    if getattr(error, "filename", None) or any(part in text for part in OF_FILES):
        return None
    first = np.ravel(np.asarray(value, object))[:1] if isinstance(value, np.ndarray | list) else ()
    if any(brief(part) in text or str(part) in text for part in first):
        return None
    return f"{type(error).__name__} without a name: {text:.200}"


class Attack:
    """Calls what a profile sees being called, with each argument replaced."""

    def __init__(self, known: dict[types.CodeType, Target]) -> None:
        self.left = known
        self.faults: list[str] = []
        self.calls = 0

    def __call__(self, frame: types.FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in self.left:
            sys.setprofile(None)
            try:
                self._attack(self.left[frame.f_code], frame)
            finally:
                sys.setprofile(self)

    def _attack(self, target: Target, frame: types.FrameType) -> None:
        code, given = frame.f_code, dict(frame.f_locals)
        count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[: code.co_argcount]
        keywords = {name: given[name] for name in code.co_varnames[code.co_argcount : count]}
        if code.co_flags & inspect.CO_VARKEYWORDS:
            keywords |= given[code.co_varnames[count + bool(code.co_flags & inspect.CO_VARARGS)]]
        values = [given[name] for name in names]
        function: Any = target.made or inspect.unwrap(target.function)
        if target.made:
            names, values = names[1:], values[1:]
        with contextlib.suppress(Exception):
            function(*values, **keywords)  # an example may show an error
            del self.left[code]
        if code in self.left:
            return
        shown = inspect.signature(target.made or target.function).parameters.values()
        more = {one.name for one in shown if one.kind is one.KEYWORD_ONLY} | set(keywords)
        for value in VALUES:
            for at, name in enumerate(names):
                if name != "self":
                    others = [*values[:at], value, *values[at + 1 :]]
                    self._try(target, name, value, partial(function, *others, **keywords))
            for name in sorted(more - set(names)):
                others_by_name = {**keywords, name: value}
                self._try(target, name, value, partial(function, *values, **others_by_name))

    def _try(self, target: Target, name: str, value: object, call: Callable[[], Any]) -> None:
        self.calls += 1
        if (wrong := fault(call, name, value)) is not None:
            self.faults.append(f"{target.name}({name}={brief(value)}): {wrong}")


@contextlib.contextmanager
def limited(memory: int) -> Iterator[None]:
    """Let no call take much more address space."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    if pages.exists():
        taken = int(pages.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.fixture(autouse=True)
def a_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # for outputs with strange names
    shown = sys.unraisablehook
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: None if lost.exc_type is Enough else shown(lost))
    before = signal.signal(signal.SIGPROF, _enough)
    yield
    signal.signal(signal.SIGPROF, before)


def attack(module: str) -> Attack:
    """Run the examples of a package, and attack each public function that they call."""
    attack = Attack(targets(module))
    homes = {target.function.__module__ for target in attack.left.values()}
    finder = doctest.DocTestFinder()
    with limited(2**30), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for home in sorted(homes):
            for example in finder.find(importlib.import_module(home)):
                example.globs["attack"] = attack
                example.examples.insert(0, doctest.Example("import sys; sys.setprofile(attack)\n", ""))
                example.examples.append(doctest.Example("sys.setprofile(None)\n", ""))
                with contextlib.redirect_stdout(io.StringIO()):
                    doctest.DocTestRunner().run(example, out=lambda text: None)
                sys.setprofile(None)
    return attack


@pytest.mark.slow(reason="tens of thousands of calls; each value of each option has another test")
@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("lstmgen", set()),
        ("lstmgen.music", {"check_installed"}),
        ("lstmgen.bench", set()),
        ("lstmgen.notebook", set()),
        ("lstmgen.rows", set()),
    ],
)
def test_each_argument_takes_any_value(module: str, without: set[str]) -> None:
    if needed := {"lstmgen.music": "music21", "lstmgen.rows": "pyarrow"}.get(module):
        pytest.importorskip(needed)
    found = attack(module)
    assert found.faults == []
    assert found.calls > (100 if module == "lstmgen.notebook" else 300)  # which offers one function
    assert {target.name for target in found.left.values()} <= without


def test_an_integer_is_no_open_file() -> None:
    """`open` takes a descriptor for a path, reads it and closes it."""
    reading, writing = os.pipe()
    os.write(writing, lstmgen.Model("latex").to_bytes()[:1000])
    for wrong in (reading, True, 0):
        with pytest.raises(TypeError, match="source: expected a path"):
            lstmgen.Model(wrong)  # type: ignore[arg-type]
    assert os.read(reading, 4) == b"GGUF"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("value", [10**400, 10**5000, Fraction(10**400, 3)], ids=brief)
@pytest.mark.parametrize("name", ["temp", "top_p", "seed", "length", "logit_bias", "prime", "stop"])
def test_numbers_greater_than_any_float_are_named(name: str, value: Any) -> None:
    given = {"logit_bias": {"a": value}, "prime": [value], "stop": [[value]]}.get(name, value)
    options: dict[str, Any] = {"length": 1, name: given}
    with pytest.raises((TypeError, ValueError)) as wrong:
        lstmgen.Generator("latex").sample(**options)
    assert str(wrong.value).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["ban", "prime", "stop", "dry_sequence_breakers"])
def test_a_memoryview_of_several_axes_is_named(name: str) -> None:
    options: dict[str, Any] = {name: memoryview(bytes(6)).cast("B", (2, 3))}
    with pytest.raises(TypeError, match=f"^{name}: expected"):
        lstmgen.Generator("latex").sample(1, **options)


def test_a_file_is_read_into_no_more_memory_than_it_has(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(lstmgen.Model("latex").to_bytes())
    with limited(2**29):
        assert lstmgen.Model(tmp_path / "m.bin", dtype="int8").dtype == "int8"


@pytest.mark.filterwarnings("error")
def test_a_call_ends_though_the_first_signal_is_lost() -> None:
    class Kept:
        pass

    lost = []

    def callback(_: object) -> None:
        try:
            while True:
                pass
        finally:
            lost.append("the first signal")

    def call() -> None:
        kept = Kept()
        reference = weakref.ref(kept, callback)
        del kept
        while reference() is None:
            pass

    assert fault(call, "length", 1) is None
    assert lost == ["the first signal"]
