"""The page of `lstmgen serve`, and the one that runs in the browser alone, as people use them."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen import music
from lstmgen.music.midi import midi_file
from support.browser import Browser
from support.library import ROOT, run
from support.networks import TEXT, network, packed
from support.services import Service
from support.web import BUILD, build, chromium, served

pytestmark = [pytest.mark.slow(reason="a browser, and a server")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs_server()
    service = Service(tmp_path_factory.mktemp("server") / "log", "latex", "music")
    yield service.address
    service.end(signal.SIGKILL)


def needs_server() -> None:
    for package in ("starlette", "uvicorn"):
        pytest.importorskip(package, reason="needs starlette and uvicorn: pip install 'lstmgen[serve]'")


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not all(map(shutil.which, BUILD)):
        pytest.skip(f"needs {', '.join(BUILD)}")
    engine = build(tmp_path_factory.mktemp("engine"))
    folder = tmp_path_factory.mktemp("static")
    run(sys.executable, ROOT / "tools" / "site" / "static_page.py", folder, "--engine", engine)
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    downloads = tmp_path_factory.mktemp("downloads")
    with chromium(downloads) as driver:
        yield Browser(driver, downloads)


@pytest.fixture(params=["server", "browser"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("server" if request.param == "server" else "static")
    return found


def opened(page: Browser, url: str, model: str = "latex", **window: Any) -> None:
    page.open(f"{url}/", **window)
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


def test_a_prime_is_typed_and_the_text_is_that_of_the_seed(page: Browser, url: str) -> None:
    opened(page, url)
    page.set("#temp", 0.7)  # just before the start: it is no change while it writes
    begun(page, "Let $X$", length=120)
    page.wait(lambda: count(page) > 5, "the first letters")
    done(page)
    options: Any = {"temp": 0.7, "min_p": 0.05, "grammar": "own"}
    expected = lstmgen.Generator("latex").sample(120, prime="Let $X$", seed=3, **options)
    assert written(page) == f"Let $X${expected}"
    assert (
        page.run("return new Set([...document.querySelectorAll('#text [data-shade]')].map(s => s.dataset.shade)).size")
        > 2
    )
    harmless(page, url)


def test_an_option_that_changes_while_it_writes_counts_from_there(page: Browser, url: str) -> None:
    opened(page, url)
    begun(page, "\\begin{lemma}\n", speed="60")
    page.wait(lambda: count(page) > 30, "some letters")
    page.set("#temp", 0)
    page.set("#grammar", "none")
    page.set("#min_p", 0)
    before = count(page)
    page.wait(lambda: count(page) > before + 120, "letters after the change")
    page.press("#start")
    done(page)
    text = written(page)[len("\\begin{lemma}\n") :]
    # A second after the change at the latest, each letter is the likeliest one: there is no other.
    greedy = lstmgen.Generator("latex").sample(60, prime="\\begin{lemma}\n" + text[:-60], temp=0)
    assert text[-60:] == greedy
    harmless(page, url)


def test_stop_continue_retry_and_undo(page: Browser, url: str) -> None:
    opened(page, url)
    page.set("#grammar", "none")  # which would close what is open, in the few ways that there are
    page.set("#temp", 1.2)
    begun(page, "Let ", length=40)
    done(page)
    first = written(page)
    page.press("#continue")
    done(page)
    second = written(page)
    assert second.startswith(first)
    assert count(page) == 80
    page.press("#keep")  # another seed with each start
    page.press("#retry")
    done(page)
    assert written(page).startswith(first)
    assert written(page) != second
    page.press("#undo")
    assert written(page) == second
    page.press("#undo")
    assert written(page) == first
    page.press("#undo")
    assert written(page) == ""
    harmless(page, url)


def test_the_bars_follow_the_chosen_element_and_write_another(page: Browser, url: str) -> None:
    opened(page, url)
    page.wait(lambda: page.text("#bars"), "what comes after the prime")
    for name, value in {"min_p": 0, "grammar": "none"}.items():
        page.set(f"#{name}", value)
    begun(page, "Let $X$ be a ", length=60)
    done(page)
    page.wait(lambda: page.text("#bars-title") == "What comes next", "what comes next")
    page.press('#text span[data-index="3"]')
    assert page.text("#bars-title") == "What could stand here"
    drawn = page.run("return document.querySelector('#bars .drawn .name').textContent")
    assert drawn.replace("␣", " ") == written(page)[len("Let $X$ be a ") + 2]
    said = explanations(page)
    assert len(said) == 61
    assert said[3].startswith(f"“{drawn}” ")
    assert all(re.search(r"” [\d.<]+ %, a surprise of [\d.]+ bits. Likeliest: ", one) for one in said[1:])
    page.press("#temp")  # the middle of the slider: the bars of the next element change, not these
    assert page.text("#bars-title") == "What could stand here"
    page.press("#bars button:not(.drawn)")
    assert count(page) == 3
    assert written(page)[-1] != drawn
    harmless(page, url)


def explanations(page: Browser) -> list[str]:
    """Return what the page says of each element, which it does when one points at it."""
    found: list[str] = page.run(
        """const spans = [...document.querySelectorAll("#text span")];
        for (const span of spans) span.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        return Object.values(Object.fromEntries(spans.map((span) => [span.dataset.index, span.title])));"""
    )
    return found


def test_a_prime_that_the_model_cannot_read_says_so(page: Browser, url: str) -> None:
    opened(page, url)
    page.set("#prime", "Straße")
    page.wait(lambda: "ß" in page.text("#prime-problem"), "the reason")
    page.press("#start")
    page.wait(lambda: "ß" in page.text("#trouble"), "the reason")
    assert not running(page)


def test_a_grammar_of_ones_own(page: Browser, url: str) -> None:
    opened(page, url)
    page.set("#grammar", "given")
    page.set("#gbnf", 'root ::= "Let " [abc]+ "."')
    begun(page, "Let ", length=30)
    done(page)
    assert re.fullmatch(r"Let [abc]+\.", written(page))
    page.set("#gbnf", "root ::= (")
    page.press("#retry")
    page.wait(lambda: "grammar" in page.text("#trouble"), "the reason")
    assert not running(page)


# -- files -----------------------------------------------------------------------------------------


def test_a_file_is_dropped_and_drawn_from(page: Browser, url: str) -> None:
    model = packed(network(TEXT))
    opened(page, url)
    drop(page, "letters.bin", model)
    page.wait(lambda: re.fullmatch("letters.* is ready", page.text("#status")), "the model")
    begun(page, "abcd", length=50)
    done(page)
    assert count(page) == 50
    harmless(page, url)


def drop(page: Browser, name: str, data: bytes) -> None:
    page.run(
        """const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(arguments[1])], arguments[0]));
        dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));""",
        name,
        list(data),
    )


def test_a_broken_file_is_refused_with_the_reason(page: Browser, url: str) -> None:
    opened(page, url)
    drop(page, "broken.bin", b"GGUF" + bytes(200))
    page.wait(lambda: "broken.bin" in page.text("#trouble"), "the reason")
    assert page.run("return document.getElementById('model').value") == "latex"


def test_a_model_that_draws_nothing_is_refused(page: Browser, url: str) -> None:
    opened(page, url)
    drop(page, "numbers.bin", packed(network([("lstm", 4), ("dense", 3, "linear")], 3), encoding="features"))
    page.wait(lambda: "numbers.bin" in page.text("#trouble"), "the reason")


def test_a_file_of_keras_is_chosen_and_read_by_the_server(
    page: Browser, server: str, keras: Any, tmp_path: Path
) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((None, 5)), layers.LSTM(6), layers.Dense(5, activation="softmax")])
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"small.{suffix}")
        opened(page, server)
        page.find("#file").send_keys(str(tmp_path / f"small.{suffix}"))
        page.wait(lambda: re.fullmatch("small.* is ready", page.text("#status")), suffix)
        begun(page, "0 1 2", length=20)
        done(page)
        assert count(page) == 20
        harmless(page, server)


def test_the_page_without_a_server_says_how_a_file_of_keras_gets_in(page: Browser, static: str) -> None:
    opened(page, static)
    drop(page, "small.keras", b"PK")
    page.wait(lambda: "lstmgen export small.keras model.bin" in page.text("#trouble"), "the advice")


# -- music -----------------------------------------------------------------------------------------


def test_music_is_drawn_played_and_saved(page: Browser, url: str) -> None:
    opened(page, url, "music")
    picture = "return document.querySelector('#roll canvas')?.toDataURL()"
    early = page.run(picture)  # before a note is there
    begun(page, "d12 n60 t12 n64", length=40, speed="Infinity")
    done(page)
    page.wait(lambda: page.run(picture) != early, "notes on the roll")
    notes = music.decode(written(page), notation="events").notes
    assert f"{len(notes)} notes" in page.run("return document.getElementById('roll').ariaLabel")
    silent = page.run(picture)
    page.press("#play")
    assert page.text("#play") == "Hush"
    page.wait(lambda: page.run(picture) != silent, "the place that is heard")
    page.set("#tempo", 140)
    page.press("#play")
    assert page.text("#play") == "Play"
    page.press("#midi")
    file = page.downloads / "music.mid"
    page.wait(file.exists, "the file")
    assert file.read_bytes() == midi_file(notes, 140)
    file.unlink()
    harmless(page, url)


# -- for everyone ----------------------------------------------------------------------------------

FOCUSED = "return document.activeElement.id || document.activeElement.textContent"


def test_all_of_it_works_by_the_keyboard_alone(page: Browser, url: str) -> None:
    opened(page, url)
    page.set("#speed", "300")
    seen = []
    while "undo" not in seen:
        page.type("\ue004")  # Tab
        seen.append(page.run(FOCUSED))
        # What has the focus shows it: an outline, or the thicker line below the prime.
        assert page.run(
            "const s = getComputedStyle(document.activeElement);"
            "return s.outlineStyle !== 'none' || parseFloat(s.borderBottomWidth) > 1"
        ), seen[-1]
        assert len(seen) < 80, seen
    for control in ("model", "choose", "theme", "prime", "text", "temp", "grammar", "length", "seed", "reset", "start"):
        assert control in seen
    page.run("document.getElementById('prime').focus()")
    page.chord("\ue009", "a")  # Ctrl-A
    page.type("Let $")
    page.chord("\ue009", "\ue007")  # Ctrl-Enter
    page.wait(lambda: count(page) > 20, "letters")
    page.type("\ue00c")  # Escape
    done(page)
    page.run("document.getElementById('temp').focus()")
    page.type("\ue010")  # End: the slider at its right
    assert page.run("return document.getElementById('temp').ariaValueText") == "2.00"
    page.run("document.getElementById('text').focus()")
    page.type("\ue012", "\ue012")  # two elements to the left
    assert page.run("return document.querySelector('#text .selected').dataset.index") == str(count(page) - 1)
    assert page.text("#status").startswith("“")
    harmless(page, url)


@pytest.mark.parametrize("model", ["latex", "music"])
@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_needs_to_scroll_sideways(page: Browser, server: str, width: int, model: str) -> None:
    opened(page, server, model, width=width, height=844)
    begun(page, "Let " if model == "latex" else "d12 n60", length=30)
    done(page)
    assert page.run("return document.documentElement.scrollWidth") == width
    wide = """return [...document.querySelectorAll("body *:not(canvas, #extent, .unseen, .skip)")].filter((e) =>
        e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.outerHTML.slice(0, 80))"""
    assert page.run(wide) == []


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
def test_all_text_has_the_contrast_of_level_aa(page: Browser, server: str, dark: bool) -> None:
    opened(page, server, dark=dark)
    for name, value in {"temp": 1.5, "min_p": 0, "grammar": "none"}.items():
        page.set(f"#{name}", value)
    begun(page, "Let ", length=400)
    done(page)
    found = page.run(CONTRAST)
    assert len(found) > 300
    assert not [(ratio, what) for ratio, what in found if ratio < 4.5]
    shades = page.run(
        "return [...new Set([...document.querySelectorAll('#text [data-shade]')].map(s => s.dataset.shade))]"
    )
    assert sorted(shades) == ["0", "1", "2", "3", "4", "5"]


def test_the_switch_changes_the_theme_and_is_remembered(page: Browser, server: str) -> None:
    colour = "return getComputedStyle(document.documentElement).backgroundColor"
    opened(page, server)
    light = page.run(colour)
    page.press("#theme")
    assert page.run(colour) != light
    opened(page, server)
    assert page.run(colour) != light
    page.press("#theme")
    assert page.run(colour) == light
    page.run("localStorage.clear()")


# -- when something is wrong -----------------------------------------------------------------------


def test_a_server_that_ends_is_a_message_and_another_try_goes_on(page: Browser, tmp_path: Path) -> None:
    needs_server()
    service = Service(tmp_path / "log", "latex")
    try:
        opened(page, service.address)
        begun(page, "Let ", length=10_000, speed="300")
        page.wait(lambda: count(page) > 20, "letters")
        service.end(signal.SIGKILL)
        page.wait(lambda: "server" in page.text("#trouble"), "the message")
        assert not running(page)
        before = count(page)
        page.press("#again")
        page.wait(lambda: "does not answer" in page.text("#trouble"), "the message again")
        service = Service(tmp_path / "log", "latex", "--port", str(service.port))
        page.press("#again")
        page.wait(lambda: count(page) > before + 20, "more letters")
        page.press("#start")
        assert not running(page)
        page.driver.get("about:blank")
    finally:
        service.end(signal.SIGKILL)


def test_a_server_that_is_busy_is_a_message_and_another_try_goes_on(page: Browser, tmp_path: Path) -> None:
    needs_server()
    service = Service(tmp_path / "log", "latex", "--parallel", "2", "--queue", "0", "--max-length", "8000000")
    try:
        opened(page, service.address)
        page.wait(lambda: page.text("#bars"), "what comes after the prime, which is drawn, too")
        service.wait_until("lstmgen_requests_open", 0)
        # The page asks for the grammar of the model, and sequences with one have their own queue.
        with service.open({"max_tokens": 8_000_000, "stream": True, "n": 2, "grammar": "own"}):
            service.wait_until("lstmgen_running", 2)
            page.press("#start")
            page.wait(lambda: "The server is busy: the queue is full" in page.text("#trouble"), "the message")
            assert not running(page)
        service.wait_until("lstmgen_running", 0)
        page.press("#again")
        page.wait(lambda: count(page) > 20, "letters")
        page.driver.get("about:blank")
    finally:
        service.end(signal.SIGKILL)


def test_a_server_that_falls_silent_is_a_message_after_a_while(page: Browser, tmp_path: Path) -> None:
    needs_server()
    service = Service(tmp_path / "log", "latex")
    try:
        opened(page, service.address)
        service.process.send_signal(signal.SIGSTOP)  # connections stay open, and nobody answers
        page.press("#start")
        page.wait(lambda: "does not answer" in page.text("#trouble"), "the message")
        assert not running(page)
        service.process.send_signal(signal.SIGCONT)
        page.press("#again")
        page.wait(lambda: count(page) > 20, "letters")
        page.driver.get("about:blank")
    finally:
        service.end(signal.SIGKILL)


def test_the_bundled_models_are_offered(page: Browser, url: str) -> None:
    opened(page, url)
    names = page.run("return [...document.getElementById('model').options].map((o) => o.textContent)")
    assert {"latex", "music"} <= set(names)
