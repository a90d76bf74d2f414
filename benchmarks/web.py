"""Elements a second of the module for JavaScript, in Node and in a headless Chromium, and its size.

python benchmarks/web.py --help

It needs web/lstmgen.wasm (cmake --preset web && cmake --build --preset web). The state is carried.
A figure is the median of rounds that take turns, so that what slows the machine slows all.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path

import lstmgen
from lstmgen.binfile.repacking import repack
from targets import MODELS, pack

WEB = Path(__file__).resolve().parents[1] / "web"
DTYPES = ("int8", "f32", "bf16")
# Draws for `seconds` in each of `rounds` with each model, and gives the elements a second.
SCRIPT = """
async (url, names, rounds, seconds) => {
    const { Generator, load } = await import(`${url}lstmgen.js`);
    const streams = [];
    for (const name of names) {
        const model = await load(globalThis.readFile ? await readFile(name) : `${url}${name}.bin`);
        streams.push(new Generator(model, { refresh: null }).stream({ length: null, seed: 1, prime: [1] }));
    }
    const found = names.map(() => []);
    for (let round = -1; round < rounds; round++)
        for (const [i, stream] of streams.entries()) {
            const begun = performance.now();
            let count = 0;
            for (; performance.now() - begun < 1000 * seconds; count += 20) await stream.take(20);
            if (round >= 0) found[i].push(count / (performance.now() - begun) * 1000); // the first compiles
        }
    return found;
}
"""


def in_node(folder: Path, names: list[str], rounds: int, seconds: float) -> list[list[float]]:
    """The elements a second of each round of each model."""
    told = ", ".join(map(json.dumps, (f"{folder.as_uri()}/", names, rounds, seconds)))
    script = f"""
        import {{ readFile as read }} from "node:fs/promises";
        globalThis.readFile = (name) => read({json.dumps(str(folder))} + `/${{name}}.bin`);
        console.log(JSON.stringify(await ({SCRIPT})({told})));
    """
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    found: list[list[float]] = json.loads(done.stdout)
    return found


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing of each request."""


def in_chromium(folder: Path, names: list[str], rounds: int, seconds: float) -> list[list[float]]:
    """The same in a headless Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            driver.set_script_timeout(600)
            driver.get(f"{url}package.json")
            script = f"const done = arguments[4]; ({SCRIPT})(...arguments).then(done, (error) => done(String(error)));"
            found = driver.execute_async_script(script, url, names, rounds, seconds)
        finally:
            driver.quit()
            server.shutdown()
    if isinstance(found, str):
        raise RuntimeError(found)
    rates: list[list[float]] = found
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.25, help="of each round of each model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path in WEB.glob("*.*"):
            shutil.copy(path, folder)
        names = []
        latex = lstmgen.Model("latex").to_bytes()
        for dtype in DTYPES:
            for name, data in (
                ("latex256", pack(*MODELS["latex256"], dtype)),
                ("latex", repack(latex, "latex", dtype)),
            ):
                names.append(f"{name}-{dtype}")
                (folder / f"{names[-1]}.bin").write_bytes(data)
        print("| model | Node | Chromium |\n|---|---|---|")
        found = [run(folder, names, args.rounds, args.seconds) for run in (in_node, in_chromium)]
        for name, *rates in zip(names, *found, strict=True):
            print(f"| {name} | {' | '.join(f'{statistics.median(x):,.0f} (to {max(x):,.0f})' for x in rates)} |")
    sizes = {name: len(gzip.compress((WEB / name).read_bytes(), 9)) for name in ("lstmgen.wasm", "lstmgen.js")}
    said = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    print(f"\ngzipped: {said}, both {sum(sizes.values()):,} bytes")


if __name__ == "__main__":
    main()
