"""What `lstmgen serve` reaches of `sample_many`, and how soon a newcomer has its first element.

python benchmarks/serving.py [MODEL] [--clients 64] [--length 4000] [--rounds 3]
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
        measure(args, int(found[1]))
    finally:
        process.terminate()
        process.wait()


def measure(args: argparse.Namespace, port: int) -> None:
    gen = lstmgen.Generator(args.model)
    n, length = args.clients, args.length
    rates: dict[str, list[float]] = {"sample_many": [], "Batch": [], "serve": [], "serve, streams": []}
    for _ in range(args.rounds):
        start = time.perf_counter()
        many = gen.sample_many(n, length, 0.67, seed=1)
        rates["sample_many"].append(n * length / (time.perf_counter() - start))
        batch = lstmgen.Batch(gen.model, most=n)
        start = time.perf_counter()
        sequences = [batch.join(length, 0.67, seed=1 + i) for i in range(n)]
        while batch:
            batch.advance(length, seconds=0.004)
        rates["Batch"].append(n * length / (time.perf_counter() - start))
        assert [sequence.take() for sequence in sequences] == many
        for name in ("serve", "serve, streams"):
            start = time.perf_counter()
            texts = asyncio.run(clients(port, n, length, stream="streams" in name))
            rates[name].append(n * length / (time.perf_counter() - start))
            assert texts == many
    whole = statistics.median(rates["sample_many"])
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"{name:16} {rate:10,.0f} elements/s   {rate / whole:.2f} of sample_many({n})")
    alone = asyncio.run(first_elements(port, 0))
    beside = asyncio.run(first_elements(port, n - 1))
    for name, times in (("alone", alone), (f"beside {n - 1} that run", beside)):
        shown = f"median {1e3 * statistics.median(times):.1f} ms, greatest {1e3 * max(times):.1f} ms"
        print(f"first element {name}: {shown} of {len(times)}")
    print(f"{os.cpu_count()} processors, {gen.model.isa}, {gen.model.dtype}; the clients take a part of them")


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
