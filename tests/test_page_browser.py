"""The page of `lstmgen serve`, and the one that runs in the browser alone, as people use them."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen import music
from lstmgen.bundled import bundled
from lstmgen.music.midi import midi_file
from support.browser import Browser, browser
from support.networks import TEXT, network, packed

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "web"

pytestmark = [pytest.mark.slow(reason="a browser, and a server")]


class Server:
    """`lstmgen serve` on a port of its own."""

    def __init__(self, *arguments: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.arguments = arguments
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "lstmgen", "serve", *self.arguments, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 90
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(60)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    for package in ("starlette", "uvicorn"):
        pytest.importorskip(package)
    server = Server("latex", "music")
    yield server
    server.end()


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (ENGINE / "lstmgen.wasm").exists():
        pytest.skip("needs web/lstmgen.wasm: web/README.md says how it is built")
    folder = tmp_path_factory.mktemp("static")
    subprocess.run([sys.executable, ROOT / "tools" / "site" / "static_page.py", folder], check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/"
        http.shutdown()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("downloads")) as opened:
        yield opened


@pytest.fixture(params=["server", "browser"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "server":
        found: str = request.getfixturevalue("server").url
        return found
    static: str = request.getfixturevalue("static")
    return static


def opened(page: Browser, url: str, model: str = "latex", **window: Any) -> None:
    page.open(url, **window)
    page.wait(lambda: page.text("#status").endswith("is ready"), "the page")
    if model != "latex":
        page.set("#model", model)
        page.wait(lambda: page.text("#status") == f"{model} is ready", model)


def begun(page: Browser, prime: str, *, length: int = 1000, speed: str = "300", seed: int = 3) -> None:
    page.set("#prime", prime)
    page.set("#length", length)
    page.set("#speed", speed)
    page.set("#seed", seed)
    page.press("#start")


def count(page: Browser) -> int:
    return int(re.sub(r"\D", "", page.text("#count")))


def running(page: Browser) -> bool:
    return page.text("#start") == "Stop"


def done(page: Browser) -> None:
    page.wait(lambda: not running(page), "the end of the sample")


def written(page: Browser) -> str:
    return page.text("#text")


def harmless(page: Browser, url: str) -> None:
    """Hold that the page asked its own host alone, and that the console has no error."""
    sent, errors = page.logs()
    assert sent
    assert not [one for one in sent if not one.startswith((url, "blob:" + url, "data:"))]
    assert not errors


# -- writing ---------------------------------------------------------------------------------------


def test_a_prime_is_typed_and_the_text_is_that_of_the_seed(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.set("#temp", 0.7)  # just before the start: it is no change while it writes
    begun(chromium, "Let $X$", length=120)
    chromium.wait(lambda: count(chromium) > 5, "the first letters")
    done(chromium)
    options: Any = {"temp": 0.7, "min_p": 0.05, "grammar": "own"}
    expected = lstmgen.Generator("latex").sample(120, prime="Let $X$", seed=3, **options)
    assert written(chromium) == f"Let $X${expected}"
    assert (
        chromium.run(
            "return new Set([...document.querySelectorAll('#text [data-shade]')].map(s => s.dataset.shade)).size"
        )
        > 2
    )
    harmless(chromium, url)


def test_an_option_that_changes_while_it_writes_counts_from_there(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    begun(chromium, "\\begin{lemma}\n", speed="60")
    chromium.wait(lambda: count(chromium) > 30, "some letters")
    chromium.set("#temp", 0)
    chromium.set("#grammar", "none")
    chromium.set("#min_p", 0)
    before = count(chromium)
    chromium.wait(lambda: count(chromium) > before + 120, "letters after the change")
    chromium.press("#start")
    done(chromium)
    text = written(chromium)[len("\\begin{lemma}\n") :]
    # A second after the change at the latest, each letter is the likeliest one: there is no other.
    greedy = lstmgen.Generator("latex").sample(60, prime="\\begin{lemma}\n" + text[:-60], temp=0)
    assert text[-60:] == greedy
    harmless(chromium, url)


def test_stop_continue_retry_and_undo(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.set("#grammar", "none")  # which would close what is open, in the few ways that there are
    chromium.set("#temp", 1.2)
    begun(chromium, "Let ", length=40)
    done(chromium)
    first = written(chromium)
    chromium.press("#continue")
    done(chromium)
    second = written(chromium)
    assert second.startswith(first)
    assert count(chromium) == 80
    chromium.press("#keep")  # another seed with each start
    chromium.press("#retry")
    done(chromium)
    assert written(chromium).startswith(first)
    assert written(chromium) != second
    chromium.press("#undo")
    assert written(chromium) == second
    chromium.press("#undo")
    assert written(chromium) == first
    chromium.press("#undo")
    assert written(chromium) == ""
    harmless(chromium, url)


def test_the_bars_follow_the_chosen_element_and_write_another(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.wait(lambda: chromium.text("#bars"), "what comes after the prime")
    for name, value in {"min_p": 0, "grammar": "none"}.items():
        chromium.set(f"#{name}", value)
    begun(chromium, "Let $X$ be a ", length=60)
    done(chromium)
    chromium.wait(lambda: chromium.text("#bars-title") == "What comes next", "what comes next")
    chromium.press('#text span[data-index="3"]')
    assert chromium.text("#bars-title") == "What could stand here"
    drawn = chromium.run("return document.querySelector('#bars .drawn .name').textContent")
    assert drawn.replace("␣", " ") == written(chromium)[len("Let $X$ be a ") + 2]
    said = explanations(chromium)
    assert len(said) == 61
    assert said[3].startswith(f"“{drawn}” ")
    assert all(re.search(r"” [\d.<]+ %, a surprise of [\d.]+ bits. Likeliest: ", one) for one in said[1:])
    chromium.press("#temp")  # the middle of the slider: the bars of the next element change, not these
    assert chromium.text("#bars-title") == "What could stand here"
    chromium.press("#bars button:not(.drawn)")
    assert count(chromium) == 3
    assert written(chromium)[-1] != drawn
    harmless(chromium, url)


def explanations(page: Browser) -> list[str]:
    """Return what the page says of each element, which it does when one points at it."""
    found: list[str] = page.run(
        """const spans = [...document.querySelectorAll("#text span")];
        for (const span of spans) span.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        return Object.values(Object.fromEntries(spans.map((span) => [span.dataset.index, span.title])));"""
    )
    return found


def test_a_prime_that_the_model_cannot_read_says_so(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.set("#prime", "Straße")
    chromium.wait(lambda: "ß" in chromium.text("#prime-problem"), "the reason")
    chromium.press("#start")
    chromium.wait(lambda: "ß" in chromium.text("#trouble"), "the reason")
    assert not running(chromium)


def test_a_grammar_of_ones_own(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.set("#grammar", "given")
    chromium.set("#gbnf", 'root ::= "Let " [abc]+ "."')
    begun(chromium, "Let ", length=30)
    done(chromium)
    assert re.fullmatch(r"Let [abc]+\.", written(chromium))
    chromium.set("#gbnf", "root ::= (")
    chromium.press("#retry")
    chromium.wait(lambda: "grammar" in chromium.text("#trouble"), "the reason")
    assert not running(chromium)


# -- files -----------------------------------------------------------------------------------------


def test_a_file_is_dropped_and_drawn_from(chromium: Browser, url: str) -> None:
    model = packed(network(TEXT))
    opened(chromium, url)
    drop(chromium, "letters.bin", model)
    chromium.wait(lambda: re.fullmatch("letters.* is ready", chromium.text("#status")), "the model")
    begun(chromium, "abcd", length=50)
    done(chromium)
    assert count(chromium) == 50
    harmless(chromium, url)


def drop(page: Browser, name: str, data: bytes) -> None:
    page.run(
        """const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(arguments[1])], arguments[0]));
        dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));""",
        name,
        list(data),
    )


def test_a_broken_file_is_refused_with_the_reason(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    drop(chromium, "broken.bin", b"GGUF" + bytes(200))
    chromium.wait(lambda: "broken.bin" in chromium.text("#trouble"), "the reason")
    assert chromium.run("return document.getElementById('model').value") == "latex"


def test_a_file_of_keras_is_chosen_and_read_by_the_server(
    chromium: Browser, server: Server, keras: Any, tmp_path: Path
) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((None, 5)), layers.LSTM(6), layers.Dense(5, activation="softmax")])
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"small.{suffix}")
        opened(chromium, server.url)
        chromium.find("#file").send_keys(str(tmp_path / f"small.{suffix}"))
        chromium.wait(lambda: re.fullmatch("small.* is ready", chromium.text("#status")), suffix)
        begun(chromium, "0 1 2", length=20)
        done(chromium)
        assert count(chromium) == 20
        harmless(chromium, server.url)


def test_the_page_without_a_server_says_how_a_file_of_keras_gets_in(chromium: Browser, static: str) -> None:
    opened(chromium, static)
    drop(chromium, "small.keras", b"PK")
    chromium.wait(lambda: "lstmgen export small.keras model.bin" in chromium.text("#trouble"), "the advice")


# -- music -----------------------------------------------------------------------------------------


def test_music_is_drawn_played_and_saved(chromium: Browser, url: str) -> None:
    opened(chromium, url, "music")
    begun(chromium, "d12 n60 t12 n64", length=40, speed="Infinity")
    picture = "return document.querySelector('#roll canvas').toDataURL()"
    early = chromium.run(picture)
    done(chromium)
    chromium.wait(lambda: chromium.run(picture) != early, "notes on the roll")
    notes = music.decode(written(chromium), notation="events").notes
    assert f"{len(notes)} notes" in chromium.run("return document.getElementById('roll').ariaLabel")
    silent = chromium.run(picture)
    chromium.press("#play")
    assert chromium.text("#play") == "Hush"
    chromium.wait(lambda: chromium.run(picture) != silent, "the place that is heard")
    chromium.set("#tempo", 140)
    chromium.press("#play")
    assert chromium.text("#play") == "Play"
    chromium.press("#midi")
    file = chromium.downloads / "music.mid"
    chromium.wait(file.exists, "the file")
    assert file.read_bytes() == midi_file(notes, 140)
    file.unlink()
    harmless(chromium, url)


# -- for everyone ----------------------------------------------------------------------------------

FOCUSED = "return document.activeElement.id || document.activeElement.textContent"


def test_all_of_it_works_by_the_keyboard_alone(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    chromium.set("#speed", "300")
    seen = []
    while "undo" not in seen:
        chromium.type("\ue004")  # Tab
        seen.append(chromium.run(FOCUSED))
        # What has the focus shows it: an outline, or the thicker line below the prime.
        assert chromium.run(
            "const s = getComputedStyle(document.activeElement);"
            "return s.outlineStyle !== 'none' || parseFloat(s.borderBottomWidth) > 1"
        ), seen[-1]
        assert len(seen) < 80, seen
    for control in ("model", "choose", "theme", "prime", "text", "temp", "grammar", "length", "seed", "reset", "start"):
        assert control in seen
    chromium.run("document.getElementById('prime').focus()")
    chromium.chord("\ue009", "a")  # Ctrl-A
    chromium.type("Let $")
    chromium.chord("\ue009", "\ue007")  # Ctrl-Enter
    chromium.wait(lambda: count(chromium) > 20, "letters")
    chromium.type("\ue00c")  # Escape
    done(chromium)
    chromium.run("document.getElementById('temp').focus()")
    chromium.type("\ue010")  # End: the slider at its right
    assert chromium.run("return document.getElementById('temp').ariaValueText") == "2.00"
    chromium.run("document.getElementById('text').focus()")
    chromium.type("\ue012", "\ue012")  # two elements to the left
    assert chromium.run("return document.querySelector('#text .selected').dataset.index") == str(count(chromium) - 1)
    assert chromium.text("#status").startswith("“")
    harmless(chromium, url)


@pytest.mark.parametrize("model", ["latex", "music"])
@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_needs_to_scroll_sideways(chromium: Browser, server: Server, width: int, model: str) -> None:
    opened(chromium, server.url, model, width=width, height=844)
    begun(chromium, "Let " if model == "latex" else "d12 n60", length=30)
    done(chromium)
    assert chromium.run("return document.documentElement.scrollWidth") == width
    wide = """return [...document.querySelectorAll("body *:not(canvas, #extent, .unseen, .skip)")].filter((e) =>
        e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.outerHTML.slice(0, 80))"""
    assert chromium.run(wide) == []


CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function luminance(colour) {
  const [r, g, b] = colour.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return rgba("white");
}
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own && !element.matches("input, textarea, select")) continue;
  if (!element.getClientRects().length || element.closest("noscript, .unseen, .skip, [aria-disabled=true]")) continue;
  const pair = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))].sort((a, b) => b - a);
  found.push([(pair[0] + 0.05) / (pair[1] + 0.05), element.outerHTML.slice(0, 90)]);
}
return found;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_the_contrast_of_level_aa(chromium: Browser, server: Server, dark: bool) -> None:
    opened(chromium, server.url, dark=dark)
    for name, value in {"temp": 1.5, "min_p": 0, "grammar": "none"}.items():
        chromium.set(f"#{name}", value)
    begun(chromium, "Let ", length=400)
    done(chromium)
    found = chromium.run(CONTRAST)
    assert len(found) > 300
    assert not [(ratio, what) for ratio, what in found if ratio < 4.5]
    shades = chromium.run(
        "return [...new Set([...document.querySelectorAll('#text [data-shade]')].map(s => s.dataset.shade))]"
    )
    assert sorted(shades) == ["0", "1", "2", "3", "4", "5"]


def test_the_switch_changes_the_theme_and_is_remembered(chromium: Browser, server: Server) -> None:
    colour = "return getComputedStyle(document.documentElement).backgroundColor"
    opened(chromium, server.url)
    light = chromium.run(colour)
    chromium.press("#theme")
    assert chromium.run(colour) != light
    opened(chromium, server.url)
    assert chromium.run(colour) != light
    chromium.press("#theme")
    assert chromium.run(colour) == light
    chromium.run("localStorage.clear()")


# -- when something is wrong -----------------------------------------------------------------------


def test_a_server_that_ends_is_a_message_and_another_try_goes_on(chromium: Browser) -> None:
    for package in ("starlette", "uvicorn"):
        pytest.importorskip(package)
    server = Server("latex")
    try:
        opened(chromium, server.url)
        begun(chromium, "Let ", length=100_000, speed="300")
        chromium.wait(lambda: count(chromium) > 20, "letters")
        server.end()
        chromium.wait(lambda: "server" in chromium.text("#trouble"), "the message")
        assert not running(chromium)
        before = count(chromium)
        chromium.press("#again")
        chromium.wait(lambda: "does not answer" in chromium.text("#trouble"), "the message again")
        server.start()
        chromium.press("#again")
        chromium.wait(lambda: count(chromium) > before + 20, "more letters")
        chromium.press("#start")
        assert not running(chromium)
        chromium.driver.get("about:blank")
    finally:
        server.end()


def test_the_bundled_models_are_offered(chromium: Browser, url: str) -> None:
    opened(chromium, url)
    names = chromium.run("return [...document.getElementById('model').options].map((o) => o.textContent)")
    assert set(bundled()) <= set(names)
