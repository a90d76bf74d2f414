"""On a Ray cluster the rows are those of one machine, whatever becomes of its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen.rows import Parts, write_rows

REASON = "starts a cluster of several processes, and needs Ray, which is large"
pytestmark = [
    pytest.mark.slow(reason=REASON),
    pytest.mark.filterwarnings("default"),  # of Ray and of what it imports
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc"),
]
OPTIONS: Any = {"length": 60, "temp": 0.8, "seed": 7, "refresh": None}
N = 200


@pytest.fixture(scope="module")
def ray() -> Any:
    return pytest.importorskip("ray", reason="Ray is not installed, or has no wheel for this Python: 'lstmgen[ray]'")


@pytest.fixture(scope="module")
def cluster(ray: Any) -> Iterator[Any]:
    """A cluster of three nodes, each with separate processes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows as one machine writes them."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'lstmgen[parquet]'")
    path = tmp_path_factory.mktemp("alone") / "out.parquet"
    write_rows("latex", N, path, **OPTIONS)
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def in_order(dataset: Any) -> list[dict[str, Any]]:
    return sorted(dataset.take_all(), key=lambda row: row["index"])


@pytest.mark.parametrize(("actors", "part", "threads"), [(1, 200, 1), (3, 7, 1), (None, 30, 1)])
def test_the_rows_are_those_of_one_machine(
    actors: int | None, part: int, threads: int, cluster: Any, expected: list[dict[str, Any]]
) -> None:
    from lstmgen.ray import sample_dataset

    dataset = sample_dataset("latex", N, actors=actors, part=part, threads=threads, **OPTIONS)
    assert in_order(dataset) == expected


def test_a_killed_worker_loses_no_row(cluster: Any, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    from lstmgen.ray import sample_dataset

    parts = Parts(tmp_path / "out", ".parquet")
    killed: list[int] = []

    def kill() -> None:
        while not parts.done(N) / 5 >= 2:
            time.sleep(0.001)
        killed.extend(workers()[:1])
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    dataset = sample_dataset("latex", N, out=parts.folder, part=5, actors=2, **OPTIONS)
    killer.join()
    assert len(killed) == 1
    assert in_order(dataset) == expected
    assert sum(len(piece.rows) for piece in parts.pieces(N)) == N  # no row was drawn into two parts


def workers() -> list[int]:
    """The processes in which the actors of our cluster live."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
                ancestors = list(lineage(int(folder.name)))
            except OSError:
                continue
            if line.startswith(b"ray::") and b"_Drawer" in line and os.getpid() in ancestors:
                found.append(int(folder.name))
    return found


def lineage(pid: int) -> Iterator[int]:
    """The parents of a process."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


def test_a_lost_node_loses_no_row(cluster: Any, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    from lstmgen.ray import sample_dataset

    node = cluster.add_node(num_cpus=2)
    parts = Parts(tmp_path / "out", ".parquet")

    def remove() -> None:
        while parts.done(N) == 0:
            time.sleep(0.001)
        cluster.remove_node(node, allow_graceful=False)

    remover = threading.Thread(target=remove)
    remover.start()
    dataset = sample_dataset("latex", N, out=parts.folder, part=5, **OPTIONS)
    remover.join()
    assert in_order(dataset) == expected


PROGRAM = """
import sys, ray
from lstmgen.ray import sample_dataset
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
sample_dataset("latex", {n}, out=sys.argv[1], part=5, length=60, temp=0.8, seed=7, refresh=None)
"""


def test_a_killed_program_continues(ray: Any, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    import pyarrow.parquet

    parts = Parts(tmp_path / "out", ".parquet")
    line = [sys.executable, "-c", PROGRAM.format(n=N), str(parts.folder)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as run:
        while parts.done(N) == 0 or not pieces_now(parts):  # the first part may not be the first to be done
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.001)
        run.kill()
    kept = {piece.path.name: piece.path.stat().st_mtime_ns for piece in pieces_now(parts)}
    assert kept
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert pyarrow.parquet.read_table(parts.folder).sort_by("index").to_pylist() == expected
    after = {piece.path.name: piece.path.stat().st_mtime_ns for piece in parts.pieces(N)}
    assert after.items() >= kept.items()  # none of them was drawn again


def pieces_now(parts: Parts) -> list[Any]:
    """The parts that there are, up to the first that is missing."""
    missing = parts.missing(N, N)
    return parts.pieces(missing[0].start if missing else N)


def test_folders_of_other_runs_are_refused(cluster: Any, tmp_path: Path) -> None:
    from lstmgen.ray import sample_dataset

    options: Any = {**OPTIONS, "length": 5}
    first = sample_dataset("latex", 9, out=tmp_path / "out", part=4, **options)
    with pytest.raises(ValueError, match="another temp"):
        sample_dataset("latex", 9, out=tmp_path / "out", **{**options, "temp": 0.5})
    fewer = sample_dataset("latex", 6, out=tmp_path / "out", **{**options, "seed": None})
    assert in_order(fewer) == in_order(first)[:6]
    assert sample_dataset("latex", 0, **options).count() == 0
    with pytest.raises(lstmgen.OptionError, match="actors: expected at least 1"):
        sample_dataset("latex", 9, actors=0, **options)
