"""The README and the pages of docs/: their examples run, and their links lead somewhere."""

from __future__ import annotations

import ast
import asyncio
import html
import importlib.util
import inspect
import itertools
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import lstmgen
from lstmgen.cli import main as cli
from lstmgen.music import Music, Note
from support.library import ROOT
from support.slow import slow_but

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
BLOCK = re.compile(r"(?:^<!-- (?P<note>[^>]*) -->\n)?^```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the tree of the source")

# Their commands work on files that only the tests of these things make, or on corpora of others.
PARSED = {"docs/keras-files.md", "docs/results.md", "docs/checking.md", "docs/play.md"}  # the last asks for keys


class Block(NamedTuple):
    kind: str
    code: str
    note: str


def blocks(page: Path, *kinds: str) -> list[Block]:
    found = [Block(b["kind"], b["code"], b["note"] or "") for b in BLOCK.finditer(page.read_text())]
    return [block for block in found if block.kind in kinds and not block.note.startswith("not run: ")]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command line of lstmgen on a page."""
    for block in blocks(page, "sh", "bash"):
        for line in block.code.splitlines():
            for command in " ".join(shlex.split(line, comments=True, posix=False)).split(" && "):
                if command.startswith("lstmgen "):
                    yield shlex.split(command)[1:]


def log_frequencies(text: str) -> Any:
    return np.log([text.count(char) / len(text) for char in sorted(set(text))])


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> Path:
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp("documentation")
    text = str(lstmgen.Generator("latex").sample(2500, temp=0.67, seed=3, refresh=None))
    for name in ("corpus.txt", "corpus.tex", "my.tex", "more.txt", "topology.tex", "held-out.txt"):
        (folder / name).write_text(text)
    for name in ("poems", "chapters"):
        (folder / name).mkdir()
        (folder / f"{name}/a.txt").write_text(text)
    (folder / "tweets.csv").write_text(
        "who,text\n" + "".join(f"a,{cell}\n" for cell in re.findall(r"[\w ]{9,}", text) * 3)
    )
    (folder / "words.csv").write_text("sequence,label\nexcellent,positive\nthe worst,negative\ngreen,neutral\n")
    (folder / "FOLDER_OF_MIDI").mkdir()
    for i in range(2):
        tune = Music([Note(beat / 2, 0.5, 60 + beat * 7 % 12 + i) for beat in range(200)])
        tune.write(folder / f"FOLDER_OF_MIDI/{i}.mid")
    count = len(set(text))
    layers = [keras.Input((20, count)), keras.layers.LSTM(8), keras.layers.Dense(count, "softmax")]
    model = keras.Sequential(layers)
    model.layers[-1].set_weights([np.zeros((8, count)), log_frequencies(text)])  # else export says that it guesses
    model.save(folder / "model.h5")
    lstmgen.export(folder / "model.h5", folder / "my.bin", vocab_from=folder / "corpus.txt")
    return folder


@pytest.fixture
def here(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the examples name."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(code: str) -> str:
    """An example with less to learn."""
    return re.sub(r"\bepochs=\d+", "epochs=1", re.sub(r"\bunits=\d+", "units=4", code))


def given(page: str, keras: Any) -> dict[str, Any]:
    """The names that a reader of the page has by then."""
    names: dict[str, Any] = {"lstmgen": lstmgen, "np": np, "__name__": "__main__"}
    if page in ("README.md", "docs/sampling.md"):
        names["gen"] = lstmgen.Generator("latex")
        names["x"] = np.eye(92, dtype=np.float32)[None, :5]
    if page == "docs/training.md":
        count = len(set(Path("corpus.tex").read_text()))
        layers = [keras.Input((20, count)), keras.layers.LSTM(4), keras.layers.Dense(count, "softmax")]
        names["model"] = keras.Sequential(layers)
        names["model"].layers[-1].set_weights([np.zeros((4, count)), log_frequencies(Path("corpus.tex").read_text())])
        names["model"].compile("adam", "categorical_crossentropy")
        names["x"], names["y"] = np.zeros((8, 20, count)), np.eye(count)[:8]
    return names


WITH_PYTHON = [name for page, name in zip(PAGES, NAMES, strict=True) if blocks(page, "python")]


TRAINING = ("docs/training.md", "docs/guides/text.md", "docs/guides/music.md")
FAST = [name for name in WITH_PYTHON if name not in (*PARSED, *TRAINING)]


@pytest.mark.parametrize("page", slow_but(FAST, [*FAST, *TRAINING], "trains networks, as test_training.py does"))
def test_examples_in_python_run(page: str, here: Path, keras: Any) -> None:
    keras.utils.set_random_seed(1)
    names = given(page, keras)
    if page == "docs/training.md":
        (here / "my.bin").unlink()
    for block in blocks(ROOT / page, "python"):
        code = compile(small(block.code), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)


@pytest.mark.parametrize("page", NAMES)
def test_the_command_lines_are_such(page: str) -> None:
    for words in commands(ROOT / page):
        cli.parser(words).parse_args(words)  # a wrong one raises SystemExit


WITH_COMMANDS = [name for page, name in zip(PAGES, NAMES, strict=True) if any(commands(page))]


@pytest.mark.slow(reason="trains a dozen networks, each for one short epoch")
@pytest.mark.parametrize("page", [name for name in WITH_COMMANDS if name not in PARSED])
def test_the_command_lines_run(page: str, here: Path) -> None:
    for words in commands(ROOT / page):
        if words[0] == "train":
            words = [*words, "--epochs", "1", "--units", "4"]
            if words[1] == "music" and "--keep" not in words:  # so small a network may end before its first note
                words += ["--keep", "velocity"]
            if not {"--resume", "--overwrite"} & set(words):
                words.append("--overwrite")
        assert cli.main(words) == 0, words


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    wrong = []
    for target, anchor in re.findall(r"\]\(([^)\s#:]*)(?:#([^)\s]+))?\)", (ROOT / page).read_text()):
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        made = path.name == "lesson.md"  # of lesson.ipynb
        if not path.exists() and not made:
            wrong.append(target)
        elif anchor and not made and anchor not in headings(path):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


def headings(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in found}


@pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler")
def test_the_examples_in_c_and_cpp_compile(tmp_path: Path) -> None:
    [cpp] = blocks(ROOT / "README.md", "cpp")
    (tmp_path / "a.cpp").write_text(cpp.code)
    [c] = blocks(ROOT / "docs/sampling.md", "c")
    function, rest = c.code.split("}\n", 1)
    start = "#include <lstmgen/lstmgen.h>\n#include <math.h>\nstatic int is_digit[92];\n"
    body = f"void f(lstmgen_generator* generator, double* logits, size_t count) {{ uint32_t id; (void)id;\n{rest}}}\n"
    (tmp_path / "b.c").write_text(f"{start}{function}}}\n{body}")
    for compiler, standard, source in (("c++", "c++17", "a.cpp"), ("cc", "c99", "b.c")):
        words = [compiler, f"-std={standard}", "-fsyntax-only", f"-I{ROOT}/cpp/include", str(tmp_path / source)]
        ran = subprocess.run(words, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr


# -- what scripts make -----------------------------------------------------------------------------


def tool(name: str) -> Any:
    """A module of tools/site."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/site/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["window", "lanes", "packed", "file", "speed"])
def test_the_drawings_are_those_of_the_script(name: str) -> None:
    pytest.importorskip("gguf")
    draw: Callable[[], str] = tool("drawings").DRAWINGS[name]
    assert draw() == (ROOT / f"docs/images/{name}.svg").read_text(), "python tools/site/drawings.py docs/images"


def test_the_recording_shows_what_the_program_draws() -> None:
    recording = tool("recording")
    words = shlex.split(recording.COMMANDS[0])
    given = dict(itertools.pairwise(words))
    length, temp, seed = int(given["--length"]), float(given["--temp"]), int(given["--seed"])
    model = lstmgen.Model("latex")
    options = {**model.metadata["card"]["sample"], "temp": temp}  # as the command takes them
    text = str(lstmgen.Generator(model).sample(length, seed=seed, grammar="own", **options))
    shown = (ROOT / "docs/images/terminal.svg").read_text()
    lines = [line for line in recording.wrapped(text) if line]
    assert lines and all(f">{html.escape(line)}</text>" in shown for line in lines)


@pytest.mark.slow(reason="trains five networks in a notebook, each for a short time")
def test_the_lesson_runs_in_small() -> None:
    pytest.importorskip("nbclient", reason="needs nbclient: pip install '.[docs]'")
    notebook = tool("run_lesson").run(small=True)  # raises an error if a cell does
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_the_lesson_is_kept_with_what_its_cells_put_out() -> None:
    notebook = json.loads((ROOT / "docs/lesson.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    printing = [cell for cell in cells if re.search(r"^\s*print\(|^Image", "".join(cell["source"]), re.MULTILINE)]
    assert printing and all(cell["outputs"] for cell in printing)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not re.search(r"/(?:home|root|tmp|work)/", json.dumps(outputs))
