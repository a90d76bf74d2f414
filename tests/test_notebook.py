"""What a notebook shows of models, text and music: HTML that is whole, safe and offline."""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import lstmgen
from lstmgen.music import Music, Note
from lstmgen.notebook import Shaded, shaded
from lstmgen.shades import SHADES
from support.networks import packed

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_examples_of_the_manual_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", (DOCS / "notebooks.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    assert (tmp_path / "out.mid").exists()
    assert names["gen"]._repr_html_()


def parsed(html: str) -> ElementTree.Element:
    """Parse HTML that is XML, too; it may have entities of HTML that XML has."""
    return ElementTree.fromstring(f"<div>{html.replace('<br>', '<br/>').replace('<audio controls', '<audio')}</div>")


def test_a_model_is_a_card() -> None:
    model = lstmgen.Model("latex")
    text = "".join(parsed(model._repr_html_()).itertext())
    for fact in ("latex", "GFDL-1.2-only", "92 elements", model.isa, *(layer.name for layer in model.layers)):
        assert fact in text


def test_a_generator_is_a_card_with_its_model() -> None:
    gen = lstmgen.Generator(packed(name="songs"), threads=3)
    text = "".join(parsed(gen._repr_html_()).itertext())
    assert "threads3" in text
    assert "songs" in text


def test_what_a_file_says_is_no_html() -> None:
    model = lstmgen.Model(packed(name="<script>alert(1)</script>\x1b", description="a & b"))
    html = model._repr_html_()
    assert "<script" not in html
    assert "\x1b" not in html
    assert "<script>alert(1)</script>\\x1b" in "".join(parsed(html).itertext())


def test_text_is_shaded_by_the_probability_of_each_element() -> None:
    gen = lstmgen.Generator("latex")
    found = shaded(gen, "\\begin{lemmQ}")
    assert str(found) == "\\begin{lemmQ}"
    assert found.probabilities[0] is None
    at = gen.model.vocabulary.ids["Q"]  # type: ignore[union-attr]
    assert found.probabilities[11] == pytest.approx(gen.probabilities("\\begin{lemm")[at])
    marked = [span for span in parsed(found._repr_html_()).iter("span") if span.text == "Q"]
    assert [SHADES[-1].css in str(span.get("style")) for span in marked] == [True]


def test_shaded_text_is_escaped() -> None:
    html = Shaded(["<b>", "\x1b", "\n"], [None, 0.9, 0.001])._repr_html_()
    assert "".join(parsed(html).itertext()).startswith("<b>\\x1b\n")


def test_music_is_a_player_with_its_sound_and_a_roll() -> None:
    music = Music([Note(0, 1, 60), Note(1, 1, 64), Note(2, 2, 67)])
    page = parsed(music._repr_html_())
    (player,) = page.iter("audio")
    kind, data = str(player.get("src")).split(",")
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data))) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(4 * 0.6 + 0.25, abs=0.01)
    assert len(list(page.iter("rect"))) == 3
    assert not re.search(r"https?://|<script", music._repr_html_())


def test_long_music_is_cut_and_no_music_is_said() -> None:
    long = Music([Note(0, 1, 60), Note(400, 1, 62)])
    assert "the first 3 minutes" in long._repr_html_()
    assert Music([])._repr_html_() == "<i>no notes</i>"
