"""Pictures of the page of `lstmgen serve`: python tools/site/page_pictures.py docs/images

It needs selenium, chromium and chromedriver. Each picture shows what the bundled models draw with a
seed, so that it changes only when the page or a model does.
"""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
QUALITY = 82  # of WebP, in percent
WAIT = 120.0  # seconds

# What is set before the start: the ids of the page, and their values.
DRAWN: dict[str, dict[str, object]] = {
    "text": {"model": "latex", "prime": "\\begin{lemma}\n", "length": 560, "seed": 4},
    "music": {"model": "music", "temp": 0.95, "length": 420, "seed": 5},
}


class Page:
    """The page in a browser without a window."""

    def __init__(self, url: str, width: int, height: int, scheme: str) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.driver.get(url)
        self.wait("document.getElementById('status').textContent.endsWith('is ready')")

    def run(self, script: str, *values: object) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + WAIT
        while not self.run(f"return {condition}"):
            if time.monotonic() > end:
                raise TimeoutError(f"not after {WAIT:g} s: {condition}")
            time.sleep(0.1)

    def set(self, name: str, value: object) -> None:
        """Give a control a value."""
        self.run(
            "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
            "for (const type of ['input', 'change']) input.dispatchEvent(new Event(type, { bubbles: true }));",
            name,
            value,
        )
        if name == "model":
            self.wait(f"document.getElementById('status').textContent === '{value} is ready'")

    def draw(self, settings: dict[str, object]) -> None:
        """Draw a sample. Show the beginning of a text, a letter chosen, or the end of music."""
        for name, value in {**settings, "speed": "Infinity"}.items():
            self.set(name, value)
        self.run("document.getElementById('start').click()")
        self.wait("document.getElementById('start').textContent === 'Start'")
        self.wait("document.getElementById('bars-title').textContent === 'What comes next'")
        if settings["model"] == "latex":
            self.run("[...document.querySelectorAll('[data-shade=\"4\"]')].find((e) => e.dataset.index > 20).click()")
            self.run("document.getElementById('text').scrollTo(0, 0)")
        self.run("document.querySelector('.sheet').scrollTo(0, 0); scrollTo(0, 0)")
        time.sleep(0.5)  # the bars move

    def picture(self) -> bytes:
        """Return what is seen, as WebP."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        return base64.b64decode(shot["data"])


def main() -> None:
    """Read the command line, and write the pictures."""
    folder = Path(sys.argv[1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "lstmgen", "serve", "latex", "music", "--port", str(port)])
    try:
        end = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        for what, settings in DRAWN.items():
            for window, size in SIZES.items():
                for scheme in ("light", "dark"):
                    page = Page(f"http://127.0.0.1:{port}/", *size, scheme)
                    try:
                        page.draw(settings)
                        (folder / f"page-{what}-{window}-{scheme}.webp").write_bytes(page.picture())
                    finally:
                        page.driver.quit()
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main()
