"""What `lstmgen serve` reaches of `sample_many`, and how soon a newcomer has its first element.

python benchmarks/serving.py [MODEL] [--clients 64] [--length 4000] [--rounds 3]

The clients and the server share the processors. Where other work takes a part of them, too, the
processor time of the server says more than the time on the clock; Linux tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lstmgen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="latex")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--length", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    command = [sys.executable, "-m", "lstmgen", "serve", args.model, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found is not None
        measure(args, int(found[1]), process.pid)
    finally:
        process.terminate()
        process.wait()


def measure(args: argparse.Namespace, port: int, pid: int) -> None:
    gen = lstmgen.Generator(args.model)
    n, length = args.clients, args.length
    spent: dict[str, list[tuple[float, float]]] = {}  # seconds on the clock, and of processors

    def timed(name: str, of: int, work: Callable[[], list[str]]) -> list[str]:
        start, busy = time.perf_counter(), processor_time(of)
        texts = work()
        found = time.perf_counter() - start, processor_time(of) - busy
        spent.setdefault(name, []).append(found)
        return texts

    def batch() -> list[str]:
        batch = lstmgen.Batch(gen.model, most=n)
        sequences = [batch.join(length, 0.67, seed=1 + i) for i in range(n)]
        while batch:
            batch.advance(length, seconds=0.004)
        return [str(sequence.take()) for sequence in sequences]

    for _ in range(args.rounds):
        many = timed("sample_many", os.getpid(), lambda: list(map(str, gen.sample_many(n, length, 0.67, seed=1))))
        assert timed("Batch", os.getpid(), batch) == many
        assert timed("serve", pid, lambda: asyncio.run(clients(port, n, length, stream=False))) == many
        assert timed("serve, streams", pid, lambda: asyncio.run(clients(port, n, length, stream=True))) == many
    clock, busy = (statistics.median(column) for column in zip(*spent["sample_many"], strict=True))
    for name, found in spent.items():
        mine, mine_busy = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:16} {n * length / mine:10,.0f} elements/s, {clock / mine:.2f} of sample_many({n})", end="")
        print(f"; {busy / mine_busy:.2f} for the same processor time" if mine_busy else "")
    alone = asyncio.run(first_elements(port, 0))
    beside = asyncio.run(first_elements(port, n - 1))
    for name, times in (("alone", alone), (f"beside {n - 1} that run", beside)):
        shown = f"median {1e3 * statistics.median(times):.1f} ms, greatest {1e3 * max(times):.1f} ms"
        print(f"first element {name}: {shown} of {len(times)}")
    print(f"{os.cpu_count()} processors, {gen.model.isa}, {gen.model.dtype}; the clients take a part of them")


def processor_time(pid: int) -> float:
    """Seconds that a process has had of the processors; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def clients(port: int, n: int, length: int, *, stream: bool) -> list[str]:
    body = {"max_tokens": length, "temperature": 0.67, "stream": stream, "min_p": 0}
    return list(await asyncio.gather(*(text(port, {**body, "seed": 1 + i}) for i in range(n))))


async def text(port: int, body: dict[str, object]) -> str:
    reader, writer = await opened(port, body)
    data = await reader.read()
    writer.close()
    answer = data.partition(b"\r\n\r\n")[2]
    if not body["stream"]:
        return str(json.loads(answer)["choices"][0]["text"])
    events = re.findall(rb"^data: (\{.*\})", answer, re.M)
    return "".join(json.loads(event)["choices"][0]["text"] for event in events)


async def opened(port: int, body: dict[str, object]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    return reader, writer


async def first_elements(port: int, running: int) -> list[float]:
    """Seconds from a request to its first element, of 40 requests beside streams that run."""
    endless = [await opened(port, {"max_tokens": 100_000, "stream": True, "seed": i}) for i in range(running)]
    readers = [asyncio.create_task(drain(reader)) for reader, _ in endless]
    await asyncio.sleep(1)
    times = []
    for i in range(40):
        start = time.perf_counter()
        reader, writer = await opened(port, {"max_tokens": 20, "stream": True, "seed": i})
        await reader.readuntil(b"data: {")
        times.append(time.perf_counter() - start)
        await reader.read()
        writer.close()
    for task in readers:
        task.cancel()
    for _, writer in endless:
        writer.close()
    return times


async def drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(2**16):
        pass


if __name__ == "__main__":
    main()
