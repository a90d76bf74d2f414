"""The module for JavaScript: its build, and what runs it."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.library import ROOT, run

WEB = ROOT / "web"
BUILD = ("cmake", "emcc", "node")
needs_build = pytest.mark.skipif(
    not all(map(shutil.which, BUILD)) or not WEB.is_dir(), reason=f"needs the tree and {', '.join(BUILD)}"
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def build(folder: Path) -> Path:
    """Build the package as its command does, but into `folder`, and return it."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = [f"-DLSTMGEN_WEB_DIR={folder}", "-B", str(folder / "build")]
    run("cmake", "--preset", "web", "-S", ROOT, *generator, *options)
    run("cmake", "--build", folder / "build", "--target", "lstmgen_web", "--parallel", "2")
    shutil.rmtree(folder / "build")
    for path in WEB.iterdir():
        if path.is_file() and path.name not in ("lstmgen.wasm", "options.d.ts"):
            shutil.copy(path, folder)
    return folder


def in_node(package: Path, script: str, *, stdin: Any = None) -> Any:
    """Run a script as a module beside the package, and return what it gives to `tell`.

    stdin: what the script has as `given`.
    """
    head = f"""
        import {{ Generator, LstmgenError, Model, Stream, load }} from {json.dumps((package / "lstmgen.js").as_uri())};
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync(0, "utf8"));
        const tell = (x) => process.stdout.write(JSON.stringify(x));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", head + script],
        input=json.dumps(stdin),
        capture_output=True,
        text=True,
        timeout=600,
        cwd=package,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing of each request."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface, and yield its URL."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def chromium(downloads: Path | None = None) -> Iterator[Any]:
    """Yield a driver of a headless Chromium, which logs requests. Skips where there is none.

    downloads: the folder of what pages download.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install 'lstmgen[test]'")
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    found.set_script_timeout(300)
    try:
        yield found
    finally:
        found.quit()


def in_browser(driver: Any, script: str, *given: Any) -> Any:
    """Run the body of an asynchronous function in the open page, and return what it returns."""
    wrapped = f"""
        const done = arguments[arguments.length - 1];
        (async (...given) => {{ {script} }})(...Array.from(arguments).slice(0, -1)).then(
            (result) => done({{ result }}), (error) => done({{ error: String(error) }}));
    """
    answer = driver.execute_async_script(wrapped, *given)
    assert "error" not in answer, answer["error"]
    return answer["result"]
