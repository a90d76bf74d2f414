"""Generators work with threads, signals, processes and forks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from support.generators import LETTERS, N, T, run_python
from support.networks import packed


@pytest.fixture(scope="module")
def model() -> lstmgen.Model:
    return lstmgen.Model(packed())


@pytest.mark.parametrize("threads", [1, 2])
def test_64_threads_on_one_generator_are_equal_to_serial(threads: int) -> None:
    gen = lstmgen.Generator(packed(), threads=threads)
    want = [gen.sample(40, seed=seed) for seed in range(64)]
    barrier = threading.Barrier(64)

    def draw(seed: int) -> Any:
        barrier.wait()
        return gen.sample(40, seed=seed)

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(draw, range(64))) == want


def test_everything_at_once_from_64_threads_on_one_model(model: lstmgen.Model) -> None:
    gen = lstmgen.Generator(model)
    x = np.arange(T)[None] % N
    calls: list[Callable[[], Any]] = [
        lambda: gen.sample(30, seed=1, stop="ab"),
        lambda: list(gen.stream(30, seed=2, refresh=None)),
        lambda: gen.probabilities("abc").tolist(),
        lambda: gen.score(LETTERS * 3),
        lambda: model.predict(x).tolist(),
        lambda: pickle.loads(pickle.dumps(gen)).sample(9, seed=3),
        lambda: (repr(model), model.metadata, [layer.name for layer in model.layers]),
    ]
    want = [call() for call in calls]
    barrier = threading.Barrier(64)

    def work(i: int) -> bool:
        barrier.wait()
        return all(calls[(i + j) % len(calls)]() == want[(i + j) % len(calls)] for j in range(3 * len(calls)))

    with ThreadPoolExecutor(64) as pool:
        assert all(pool.map(work, range(64)))


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded CPython")
def test_the_module_leaves_the_gil_off() -> None:
    code = "import sys, lstmgen.generator; sys.exit(sys._is_gil_enabled())"
    assert run_python(code, PYTHON_GIL="").returncode == 0


def test_a_second_thread_on_one_stream_is_an_error_and_does_no_harm() -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(seed=1, refresh=None)
    refused = threading.Event()

    def intrude() -> None:
        while not refused.is_set():
            try:
                stream.save_state()
            except RuntimeError as error:
                assert "the stream is in use: by another thread" in str(error)
                refused.set()

    text = ""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(intrude)
        while not done.done():
            with contextlib.suppress(RuntimeError):  # the other thread may be first
                text += str(stream.take(20_000))
        done.result()
    assert text == gen.sample(len(text), seed=1, refresh=None)
    assert stream.take(50) == str(gen.sample(len(text) + 50, seed=1, refresh=None))[-50:]


INTERRUPTED = """
import os, signal, sys, threading
from collections import deque
import numpy as np
import lstmgen
from support.networks import network, packed
slow = network([("lstm", 512), ("dense", 11, "softmax")])
long = lstmgen.Generator(packed(network([("lstm", 512), ("dense", 11, "softmax")], window=65536), prime=None))
whole = lstmgen.Model(packed(network([("reverse",), ("lstm", 256), ("dense", 11, "softmax")], window=0), prime=None))
gen = lstmgen.Generator(packed(slow), threads=int(sys.argv[1]))
want = gen.sample(50, seed=1)
stream = gen.stream(refresh=None)
zeros = np.zeros(10**7, np.uint32)  # which take minutes
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    {call}
except KeyboardInterrupt:
    print(gen.sample(50, seed=1) == want)
else:
    print("not interrupted")
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="os.kill cannot send SIGINT there")
@pytest.mark.parametrize(
    ("call", "threads"),
    [
        ("gen.sample(10**12)", "1"),
        ("gen.sample(10**12)", "2"),
        ("gen.sample(10**12, refresh=None)", "1"),
        ("deque(gen.stream(10**12), 0)", "1"),
        ("stream.feed(zeros)", "1"),
        ("gen.score(zeros, refresh=None)", "1"),
        ("lstmgen.Model(packed(slow)).predict(zeros.reshape(10, -1))", "1"),  # one native call
        ("whole.predict(zeros[:200_000].reshape(1, -1))", "1"),
        ("long.sample(1, prime='a' * 65536, refresh=300)", "1"),  # the first element is the slow one
        ("long.sample_many(4, 1, prime='a' * 65536, refresh=300)", "1"),
    ],
)
def test_ctrl_c_stops_and_leaves_the_generator_usable(call: str, threads: str) -> None:
    run = run_python(INTERRUPTED.replace("{call}", call), threads)  # run_python ends a program that does not stop
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr


PROCESSES = """
import multiprocessing, sys
from itertools import islice
import lstmgen
from support.networks import packed

def draw(gen, seed):
    return gen.sample(40, seed=seed)

if __name__ == "__main__":
    gen = lstmgen.Generator(packed(), threads=2)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.starmap(draw, [(gen, seed) for seed in range(4)]) == [draw(gen, seed) for seed in range(4)]
    print("equal")
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes_draw_the_same(tmp_path: Path, method: str) -> None:
    (tmp_path / "program.py").write_text(PROCESSES)
    run = run_python(None, str(tmp_path / "program.py"), method)
    assert (run.stdout, run.returncode) == ("equal\n", 0), run.stderr


FORKED = """
import os, sys, time
import lstmgen
from support.networks import packed
gen = lstmgen.Generator(packed(), threads=3)
want = list(gen.stream(90, seed=1))
streams = [gen.stream(90, seed=1) for _ in range(3)]
begun = [next(streams[0]), next(streams[1])]
time.sleep(float(sys.argv[1]))  # its threads spin for a moment, then sleep
child = os.fork()
if child == 0:
    same = [*begun[:1], *streams[0]] == list(streams[2]) == list(gen.stream(90, seed=1)) == want
    del streams  # one of them drawn to its end, one in the middle
    os._exit(0 if same else 1)
same = [*begun[1:], *streams[1]] == want
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not same)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("pause", ["0", "0.1"])
def test_a_child_of_a_fork_goes_on_with_generators_of_several_threads(pause: str) -> None:
    run = run_python(FORKED, pause)
    assert run.returncode == 0, run.stderr


SUBINTERPRETER = """
import lstmgen  # in the main interpreter first
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
try:
    import lstmgen._core
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    raise AssertionError("loaded")
'''
failed = interpreters.run_string(interpreters.create(), code)
assert failed is None, failed
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's subinterpreters")
def test_a_subinterpreter_is_refused_by_an_import_error() -> None:
    run = run_python(SUBINTERPRETER)  # run_python ends a program that hangs
    assert run.returncode == 0, run.stderr
