"""The page of `lstmgen serve`: its modules give what Python gives, and it asks no other host."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen import music, shades
from lstmgen.escaping import shown
from lstmgen.music.elements import decode_score
from lstmgen.music.midi import midi_file
from lstmgen.music.notes import GridNote, sounding

PAGE = Path(lstmgen.__file__).parent / "serving" / "page"
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js, which runs the modules of the page")


def ran(tmp_path: Path, script: str, value: object) -> Any:
    """Return what a module says that `script` makes of `value`. The script has both as `input`."""
    file = tmp_path / "test.mjs"
    file.write_text(
        'import { readFileSync } from "node:fs";\n'
        'const input = JSON.parse(readFileSync(0, "utf8"));\n'
        f"{script}\nconsole.log(JSON.stringify(output));\n"
    )
    assert NODE is not None
    done = subprocess.run([NODE, file], input=json.dumps(value), capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def module(name: str) -> str:
    return json.dumps((PAGE / name).as_uri())


PIECES = {
    "events": [
        "",
        "n60",
        "t6 t6 n60 n64",
        "d12 d24 n60 t12 n64 d6 n127 n0 t96 t96 t96 t96 t96 n60",
        "d96 n60 t3 n60 d1 n60 n60 t3 d48 d12 n60 n62",
        "t96 " * 9 + "d96 " * 9 + "n60 t1 n61",
        "begin b97 m6/8 p1 d12 v25 n60 k2 n60 t12 p0 p1 n64 b60 t6 m6/8 end x",
    ],
    "lesson": ["C4 4.7.11 E-5 B#3 0 11 12 127 F", "E4.G4 C#~4 B-0 A`(+3c)", "7 7 7.7"],
    "melody": ["60 _ _ r _ 62 / 64 _ _", "_ _ 60 60 / / r 127 0", "r"],
}


@needs_node
def test_elements_become_the_notes_and_the_midi_file_of_python(tmp_path: Path) -> None:
    cases = [(notation, piece.split()) for notation, pieces in PIECES.items() for piece in pieces]
    generator = lstmgen.Generator("music")
    cases += [("events", list(map(str, generator.sample(400, seed=seed, refresh=None)))) for seed in range(4)]
    rng = random.Random(4)
    known = ["t6", "t24", "t96", "d6", "d48", "n0", "n60", "n61", "n127", "v1", "v32", "k1", "k2", "k10", "k15"]
    known += ["p0", "p1", "b20", "b320", "m3/4", "m16/32", "begin"]
    cases += [("events", rng.choices(known, k=150)) for _ in range(20)]
    tempos = [100, 4, 1000, 96.5, 960, 187.5, None]
    found = ran(
        tmp_path,
        f"""import {{ decode, midiFile, sounding }} from {module("music.js")};
        const output = input.cases.map(([notation, elements]) => {{
          const {{ notes, pedals, tempos, meters }} = decode(elements, notation);
          const files = input.tempos.map((bpm) =>
            Buffer.from(midiFile({{ notes, pedals, tempos, meters }}, bpm)).toString("hex"));
          const long = sounding({{ notes, pedals }}).map((n) => [n.start, n.duration, n.pitch]);
          const all = notes.map((n) => [n.start, n.duration, n.pitch, n.velocity, n.track]);
          return {{ notes: all, pedals, tempos, meters, files, long }};
        }});""",
        {"cases": cases, "tempos": tempos},
    )
    assert sum(len(one["notes"]) for one in found) > 800
    for (notation, elements), one in zip(cases, found, strict=True):
        score = decode_score(elements, notation)
        assert one["notes"] == [list(note) for note in score.notes], elements
        assert [one[name] for name in score._fields[1:]] == [[list(x) for x in part] for part in score[1:]], elements
        piece = music.decode(elements, notation=notation)
        said: dict[str, Any] = {"pedals": piece.pedals, "tempos": piece.tempos, "meters": piece.meters}
        assert one["files"] == [midi_file(piece.notes, bpm, **said).hex() for bpm in tempos], elements
        long = {(n.start, n.pitch, n.duration) for n in map(GridNote.of, sounding(piece.notes, piece.pedals))}
        assert {(start, pitch, duration) for start, duration, pitch in one["long"]} == long, elements


@needs_node
@pytest.mark.parametrize(
    ("notation", "element"),
    [
        *(("events", wrong) for wrong in ("n128", "t0", "d12345", "x1", "n", "", "v33", "k16", "p2", "b3", "m3/5")),
        *(("lesson", wrong) for wrong in ("H4", "128", "C10.4", "C4.", "C-------------0")),
        *(("melody", wrong) for wrong in ("128", "C4", "__")),
    ],
)
def test_what_is_no_element_of_a_notation_is_an_error_in_both(tmp_path: Path, notation: str, element: str) -> None:
    found = ran(
        tmp_path,
        f"""import {{ decode }} from {module("music.js")};
        let output = null;
        try {{ decode(input.elements, input.notation); }} catch (error) {{ output = error.message; }}""",
        {"notation": notation, "elements": [element]},
    )
    with pytest.raises(ValueError, match="position 0") as wrong:
        music.decode([element], notation=notation)
    assert found == str(wrong.value)


@needs_node
def test_the_shades_are_those_of_terminals_and_notebooks(tmp_path: Path) -> None:
    probabilities = [0.0, 1e-9, *(2.0**-bits for bits in shades.BITS), *(0.001 * i for i in range(1, 1001))]
    found = ran(
        tmp_path,
        f"""import {{ BITS, shadeOf }} from {module("shades.js")};
        const output = {{ bits: BITS, shades: input.map(shadeOf) }};""",
        probabilities,
    )
    assert tuple(found["bits"]) == shades.BITS
    colours = re.findall(r"--shade-\d: (#\w{6});", (PAGE / "page.css").read_text(encoding="utf-8"))
    assert colours == [shade.css for shade in shades.SHADES]
    expected = [shades.shade(p) for p in probabilities]
    assert [shades.SHADES[number - 1] if number else None for number in found["shades"]] == expected


@needs_node
def test_characters_that_are_not_shown_become_the_escapes_of_python(tmp_path: Path) -> None:
    # Those that Unicode 3.2 has: Python and Node.js know different numbers of later ones.
    text = [c for c in map(chr, range(0x3100)) if unicodedata.ucd_3_2_0.category(c) != "Cn"]
    script = f"import {{ shown }} from {module('escaping.js')};\nconst output = input.map(shown);"
    assert ran(tmp_path, script, text) == [shown(c) for c in text]


def test_the_page_names_no_other_host_and_has_nothing_inline() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"https?:|//\w+\.\w|@import", text), file.name


def test_each_file_that_the_page_asks_for_is_there() -> None:
    for file in PAGE.glob("*.[hj][ts]*"):
        named = re.findall(
            r"""(?:from|src=|href=|import\(|fetch\()\s*["'](?:\./)?([\w-]+\.\w+)["']""", file.read_text()
        )
        missing = [name for name in named if not (PAGE / name).exists() and name != "remote.js"]
        assert not missing, file.name


def test_each_id_that_a_module_names_is_in_the_page() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for file in PAGE.glob("*.js"):
        named = re.findall(r'by\("([\w-]+)"\)|press\("([\w-]+)"', file.read_text(encoding="utf-8"))
        assert not {one for pair in named for one in pair if one} - set(ids), file.name
