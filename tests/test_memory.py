"""Too little memory is an error that says so, and leaves everything as it was."""

from __future__ import annotations

import sys

import pytest

from support.generators import run_python

BEGIN = """
import os, sys, tempfile
import lstmgen
from support.networks import network, packed

folder = tempfile.mkdtemp()
wide = network([("lstm", 150), ("dense", 11, "softmax")])
model, out = os.path.join(folder, "m.bin"), os.path.join(folder, "o.bin")
with open(model, "wb") as file:
    file.write(packed(wide))
generator = lstmgen.Generator(model, threads=2)
calls = {
    "load": lambda: lstmgen.Model(model),
    "sample": lambda: generator.sample(40, seed=1),
    "sample_many": lambda: generator.sample_many(3, 40, seed=1),
    "predict": lambda: generator.model.predict([[0] * 12] * 500),
    "export": lambda: lstmgen.export(model, out, dtype="int8"),
}
call = calls[sys.argv[1]]
call()
want = generator.sample(40, seed=1)

def check():
    if os.path.exists(out):
        assert lstmgen.Model(out).dtype == "int8"
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
"""

LIMITED = """
import resource

limits = resource.getrlimit(resource.RLIMIT_AS)
failed = done = 0
for more in range(0, 2**22, 2**16):
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, limits[1]))
    try:
        call()
        done += 1
    except MemoryError:
        failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    check()
assert generator.sample(40, seed=1) == want
print(done > 0, failed + done)
"""

EVERY = """
import _testcapi

failed = done = n = 0
while done < 5:
    n += 1
    _testcapi.set_nomemory(n, n + 1)
    try:
        call()
        done += 1
    except (MemoryError, RuntimeError):  # pybind11 and locks say it in their own way
        failed += 1
    finally:
        _testcapi.remove_mem_hooks()
assert generator.sample(40, seed=1) == want
print(failed > 20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
@pytest.mark.parametrize("call", ["load", "sample", "sample_many", "predict", "export"])
def test_a_limit_of_memory_is_a_memory_error(call: str) -> None:
    run = run_python(BEGIN + LIMITED, call)
    assert (run.returncode, run.stdout) == (0, "True 64\n"), run.stderr


def test_any_allocation_of_python_may_fail_in_a_load() -> None:
    pytest.importorskip("_testcapi", reason="a Python without its tests")
    run = run_python(BEGIN + EVERY, "load")
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr
