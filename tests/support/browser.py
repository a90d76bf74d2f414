"""What a person does with a page, in the browser of `support.web`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT = 90.0  # seconds: of machines that are busy, too


class Browser:
    """Chromium, driven by Selenium."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads
        self._sent: list[str] = []
        self._errors: list[str] = []

    def open(self, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        """Open a page in a window of a size, and forget what the page before did."""
        self.driver.get("about:blank")
        self.logs()
        self._sent, self._errors = [], []
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(url)

    def run(self, script: str, *values: object) -> Any:
        """Return what a script of the page returns."""
        return self.driver.execute_script(script, *values)

    def find(self, selector: str) -> Any:
        """Return the first element that a selector of CSS finds."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """Return the text of an element, seen or not."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def press(self, selector: str) -> None:
        """Click on an element, which is scrolled into view."""
        self.find(selector).click()

    def set(self, selector: str, value: object) -> None:
        """Give a slider, a field or a choice a value, as a person's hand does."""
        self.run(
            "const input = document.querySelector(arguments[0]); input.value = arguments[1];"
            "for (const type of ['input', 'change']) input.dispatchEvent(new Event(type, { bubbles: true }));",
            selector,
            value,
        )

    def type(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, modifier: str, key: str) -> None:
        """Press a key while another one, such as Ctrl, is down."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).key_down(modifier).send_keys(key).key_up(modifier).perform()

    def wait(self, what: Callable[[], Any], said: str) -> Any:
        """Wait until `what` returns something true, and return it."""
        end = time.monotonic() + WAIT
        while not (found := what()):
            assert time.monotonic() < end, f"{said}: not after {WAIT} s; {self.text('body')[-600:]}; {self.logs()}"
            time.sleep(0.05)
        return found

    def logs(self) -> tuple[list[str], list[str]]:
        """Return the addresses that the page asked for, and the errors on its console."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._sent.append(message["params"]["request"]["url"])
        self._errors += [entry["message"] for entry in self.driver.get_log("browser")]
        return self._sent, self._errors
