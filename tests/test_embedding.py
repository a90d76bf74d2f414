"""The library as other projects use it.

It is installed into an empty prefix, found by CMake and by pkg-config, and run.
"""

from __future__ import annotations

import itertools
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen.music import decode
from lstmgen.music.elements import decode_score
from support.library import ROOT, functions_of_the_header, run
from support.networks import network, packed

EXAMPLES = ROOT / "examples"
TOOLS = ("cmake", "cc", "c++")
WARNINGS = "-Wall -Wextra -pedantic -Werror"
MUSIC = [*(f"n{pitch}" for pitch in range(60, 68)), "d3", "d6", "d12", "t1", "t2", "t3", "t4", "t6"]

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)) or not EXAMPLES.is_dir(), reason=f"needs {', '.join(TOOLS)}"),
    pytest.mark.slow(reason="builds the library, twenty times in all"),
]


def build(source: Path, folder: Path, *options: str) -> None:
    """Configure and build `source` in `folder`."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", "-S", source, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release", *options)
    run("cmake", "--build", folder, "--parallel", "2")


@pytest.fixture(scope="module", params=["static", "shared"])
def prefix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where lstmgen is installed. It was moved there, since a prefix may be moved."""
    folder = tmp_path_factory.mktemp(request.param)
    build(
        ROOT,
        folder / "build",
        "-DLSTMGEN_TESTS=OFF",
        "-DLSTMGEN_WERROR=ON",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        f"-DBUILD_SHARED_LIBS={'ON' if request.param == 'shared' else 'OFF'}",
        f"-DCMAKE_INSTALL_PREFIX={folder / 'first'}",
    )
    run("cmake", "--install", folder / "build", "--component", "development")
    shutil.rmtree(folder / "build")
    return (folder / "first").rename(folder / "prefix")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which `python -m lstmgen` is an installed wheel."""
    if subprocess.run([sys.executable, "-m", "lstmgen", "--cmake-dir"], capture_output=True).returncode == 0:
        return {}
    for package in ("pip", "pybind11", "scikit_build_core"):
        pytest.importorskip(
            package, reason="needs an installed wheel, or pip, pybind11 and scikit-build-core to build one"
        )
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "install", "-q", *options, "--target", folder, ROOT)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def latex() -> Path:
    return ROOT / "python" / "lstmgen" / "models" / "latex.bin"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a music model with random weights."""
    n = len(MUSIC)
    path = tmp_path_factory.mktemp("music") / "music.bin"
    net = network([("lstm", 16), ("dense", n, "softmax")], inputs=n)
    path.write_bytes(packed(net, vocabulary=MUSIC, vocabulary_kind="tokens"))
    return path


def played(elements: list[str], size: int) -> NDArray[np.float64]:
    """Return the samples that examples/audio_notes.cpp makes.

    The notes are those that Python's decoder finds in the elements.
    """
    sound = np.zeros(size)
    sounding = {(note.start, note.pitch): note.duration for note in decode(elements).notes}
    begun = {}  # the newest note of each beginning, since a pitch that begins again ends the note before
    for at, element in enumerate(elements):
        if element.startswith("n"):
            newest = max(
                decode(elements[: at + 1]).notes, key=lambda note: (note.start, note.pitch == int(element[1:]))
            )
            begun[newest.start, newest.pitch] = newest.duration
    assert begun.keys() == sounding.keys()
    for (beginning, pitch), duration in sounding.items():
        start, length, whole = (
            round(quarters * 24) * 1000 for quarters in (beginning, duration, begun[beginning, pitch])
        )
        time = np.arange(max(0, min(length, size - start)))
        step = 440 * 2 ** ((pitch - 69) / 12) * 2 * np.pi / 48000
        sound[start : start + time.size] += 0.1 * np.sin(step * time) * (whole - time) / whole
    return sound


def check_examples(folder: Path, latex: Path, music: Path, tmp_path: Path, env: dict[str, str]) -> None:
    """The programs in `folder` do what they say."""
    text = run(folder / "stream_latex", latex, "400", "0.67", "11", env=env)
    assert text == lstmgen.Generator("latex").sample(400, 0.67, seed=11, grammar="own")

    # A stop ends it, across elements, after its end.
    stop = "\\end{lemma}"
    text = run(folder / "stream_latex", latex, "4000", "0.67", "11", stop, env=env)
    assert text == lstmgen.Generator("latex").sample(4000, 0.67, seed=11, grammar="own", stop=stop)
    assert len(text) < 4000 and text.endswith(stop)
    never = [str(folder / "stream_latex"), str(latex), "40", "0.67", "11", "the \u20ac"]
    done = subprocess.run(never, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 1
    assert "stop text 0: no elements of the vocabulary can hold it" in done.stderr

    # It may begin and end within elements.
    net = network([("lstm", 6), ("dense", 2, "softmax")], inputs=2, scale=2)
    (tmp_path / "lines.bin").write_bytes(packed(net, vocabulary=["x\n", "\ny"], prime=[0]))
    text = run(folder / "stream_latex", tmp_path / "lines.bin", "300", "1", "3", "\n\n", env=env)
    assert text == lstmgen.Generator(tmp_path / "lines.bin").sample(300, seed=3, stop="\n\n")
    assert len(text) < 600 and text.endswith("x\n\ny")

    # C writes elements that are bytes one after the other, whatever they make up.
    every = [f"<0x{byte:02X}>" for byte in range(1, 256)]
    net = network([("lstm", 8), ("dense", 255, "softmax")], inputs=255)
    (tmp_path / "bytes.bin").write_bytes(packed(net, vocabulary=every, vocabulary_kind="bytes", prime=[3, 200]))
    command = [str(folder / "stream_latex"), str(tmp_path / "bytes.bin"), "300", "1", "11"]
    drawn_bytes = subprocess.run(command, capture_output=True, check=True, env={**os.environ, **env}).stdout
    assert drawn_bytes.decode(errors="replace") == lstmgen.Generator(tmp_path / "bytes.bin").sample(300, seed=11)

    sound = tmp_path / "out.f32"
    run(folder / "audio_notes", music, sound, "2", "3", env=env)
    samples = np.fromfile(sound, np.float32)
    assert 2 * 48000 <= samples.size < 2 * 48000 + 256
    drawn = [str(element) for element in lstmgen.Generator(music).sample(600, seed=3, refresh=None)]
    assert {"d", "t"} <= {a[0] for a, b in itertools.pairwise(drawn) if a[0] == b[0]}, "some add up"
    expected = played(drawn, samples.size)
    assert np.abs(samples - expected).max() < 1e-4 * np.abs(expected).max()

    names = run(folder / "names", latex, "1000", env=env).splitlines()
    assert len(names) == 1000
    assert len(set(names)) > 300
    assert [name[0] for name in names[:26]] == list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert run(folder / "names", latex, "1000", env=env).splitlines() == names


def library_path(prefix: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(prefix / "lib")}


def test_examples_by_find_package(prefix: Path, latex: Path, music: Path, tmp_path: Path) -> None:
    flags = [f"-DCMAKE_C_FLAGS={WARNINGS}", f"-DCMAKE_CXX_FLAGS={WARNINGS} -fno-exceptions -fno-rtti"]
    build(EXAMPLES, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}", *flags)
    check_examples(tmp_path / "build", latex, music, tmp_path, {})


# Prints the notes of elements, and their number as they begin.
NOTES = r"""
#include <lstmgen/lstmgen.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    lstmgen_notes* notes = NULL;
    lstmgen_note note = LSTMGEN_NOTE_INIT;
    char element[16];
    if (lstmgen_notes_create(NULL, &notes) != LSTMGEN_OK) return 1;
    while (scanf("%15s", element) == 1) {
        lstmgen_status status = lstmgen_notes_feed_text(notes, element, strlen(element));
        if (status != LSTMGEN_OK && status != LSTMGEN_ENDED) return fprintf(stderr, "%s\n", lstmgen_last_error()), 1;
        if (strcmp(element, "end") == 0) status = lstmgen_notes_finish(notes);
        while (lstmgen_notes_next(notes, &note) == LSTMGEN_OK)
            printf("%lu %lu %lu %lu %lu\n", (unsigned long)note.start, (unsigned long)note.duration,
                   (unsigned long)note.pitch, (unsigned long)note.velocity, (unsigned long)note.track);
        if (strcmp(element, "end") == 0 && lstmgen_notes_reset(notes) == LSTMGEN_OK) printf("end\n");
    }
    return lstmgen_notes_free(&notes) == LSTMGEN_OK ? 0 : 1;
}
"""


def check_notes(program: Path, env: dict[str, str]) -> None:
    """What a program makes of elements is what Python makes of them."""
    rng = random.Random(5)
    kinds = {
        "n": lambda: f"n{rng.choice([60, 61, 62, 0, 127])}",
        "t": lambda: f"t{rng.choice([1, 2, 3, 12, 96, 384, 9999])}",
        "d": lambda: f"d{rng.choice([1, 2, 6, 24, 200, 9999])}",
        "v": lambda: f"v{rng.randint(1, 32)}",
        "k": lambda: f"k{rng.choice([1, 2, 15])}",
        "other": lambda: rng.choice(["p0", "p1", "b120", "m3/4", "m16/32", "begin", "n007"]),
    }
    pieces = [
        [kinds[kind]() for kind in rng.choices(list(kinds), [6, 3, 2, 1, 1, 1], k=rng.randint(0, 200))]
        for _ in range(300)
    ]
    done = subprocess.run(
        [str(program)],
        input="\n".join(" ".join([*piece, "end"]) for piece in pieces),
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stderr
    found = [[tuple(map(int, line.split())) for line in part.splitlines()] for part in done.stdout.split("end\n")[:-1]]
    assert len(found) == len(pieces)
    for piece, notes in zip(pieces, found, strict=True):
        assert sorted(notes) == sorted(map(tuple, decode_score(piece, "events").notes))


def test_notes_are_those_of_python(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.c").write_text(NOTES)
    library = next(iter((prefix / "lib").glob("liblstmgen.*")))
    flags = [f"-I{prefix / 'include'}", str(library), "-lstdc++", "-lm", "-pthread"]
    run("cc", "-std=c99", *WARNINGS.split(), tmp_path / "notes.c", *flags, "-o", tmp_path / "notes")
    check_notes(tmp_path / "notes", library_path(prefix))
    if library.suffix == ".a" and shutil.which("nm"):  # who needs no notes does not link them
        run("cc", "-std=c99", EXAMPLES / "names.c", *flags, "-o", tmp_path / "names")
        assert "lstmgen_notes" in run("nm", tmp_path / "notes")
        assert "lstmgen_notes" not in run("nm", tmp_path / "names")


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="needs pkg-config")
def test_examples_by_pkg_config(prefix: Path, latex: Path, music: Path, tmp_path: Path) -> None:
    env = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "lstmgen", env=env).split()
    assert run("pkg-config", "--modversion", "lstmgen", env=env).strip() == lstmgen.__version__
    for source in ("stream_latex.c", "names.c"):
        run("cc", "-std=c99", *WARNINGS.split(), EXAMPLES / source, *flags, "-o", tmp_path / Path(source).stem)
    options = ["-std=c++17", "-fno-exceptions", *WARNINGS.split()]
    run("c++", *options, EXAMPLES / "audio_notes.cpp", *flags, "-o", tmp_path / "audio_notes")
    check_examples(tmp_path, latex, music, tmp_path, library_path(prefix))


def project(folder: Path, languages: str, *lines: str) -> Path:
    """Return a CMake project whose program streams LaTeX."""
    folder.mkdir()
    shutil.copy(EXAMPLES / "stream_latex.c", folder)
    folder.joinpath("CMakeLists.txt").write_text(
        textwrap.dedent(f"""\
            cmake_minimum_required(VERSION 3.20)
            project(other LANGUAGES {languages})
            {" ".join(lines)}
            add_executable(stream_latex stream_latex.c)
            target_link_libraries(stream_latex PRIVATE lstmgen::lstmgen)
        """)
    )
    return folder


def streams(program: Path, latex: Path) -> bool:
    return run(program, latex, "50", "0.5", "1") == lstmgen.Generator("latex").sample(50, 0.5, seed=1)


def test_examples_from_what_the_wheel_installed(
    installed: dict[str, str], latex: Path, music: Path, tmp_path: Path
) -> None:
    path = {
        option: run(sys.executable, "-m", "lstmgen", option, env=installed).strip()
        for option in ("--cmake-dir", "--include-dir", "--library")
    }
    licenses = [
        file.read_text()
        for file in Path(path["--cmake-dir"]).parents[3].parent.rglob("LICENSE")
        if "lstmgen" in str(file)
    ]
    assert (ROOT / "LICENSE").read_text() in licenses
    build(EXAMPLES, tmp_path / "build", f"-Dlstmgen_DIR={path['--cmake-dir']}")
    check_examples(tmp_path / "build", latex, music, tmp_path, {})
    source, program = EXAMPLES / "stream_latex.c", tmp_path / "stream_latex"
    libraries = [path["--library"], "-lstdc++", "-lm", "-lpthread"]
    run("cc", "-std=c99", source, f"-I{path['--include-dir']}", *libraries, "-o", program)
    assert streams(program, latex)


def test_a_project_without_cpp(prefix: Path, latex: Path, tmp_path: Path) -> None:
    source = project(tmp_path / "source", "C", "find_package(lstmgen 0.1 CONFIG REQUIRED)")
    build(source, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert streams(tmp_path / "build" / "stream_latex", latex)


def test_a_subdirectory_builds_and_installs_the_library_alone(latex: Path, tmp_path: Path) -> None:
    source = project(tmp_path / "source", "C CXX", f'add_subdirectory("{ROOT}" lstmgen)')
    build(source, tmp_path / "build", f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}")
    assert streams(tmp_path / "build" / "stream_latex", latex)
    run("cmake", "--install", tmp_path / "build")
    assert not (tmp_path / "prefix").exists()


PARENTS = {
    "fast-math": ("C CXX", "-ffast-math", ()),
    "unsafe-math": ("C CXX", "-Ofast -funsafe-math-optimizations", ()),
    "no-exceptions": ("C CXX", "-fno-exceptions -fno-rtti", ()),
    "native": ("C CXX", "-march=native -mtune=native", ()),
    "lto": ("C CXX", "-flto", ()),
    "debug": ("C CXX", "", ("-DCMAKE_BUILD_TYPE=Debug",)),
    "no-build-type": ("C CXX", "", ("-DCMAKE_BUILD_TYPE=",)),
    "c-only": ("C", "", ()),
    "c-only-shared": ("C", "", ("-DBUILD_SHARED_LIBS=ON",)),
    "shared-fast-math": ("C CXX", "-ffast-math", ("-DBUILD_SHARED_LIBS=ON",)),
    "all": (
        "C CXX",
        "-Ofast -ffast-math -fno-exceptions -fno-rtti -march=native -Wall -Wextra -Werror",
        ("-DCMAKE_BUILD_TYPE=Debug", "-DBUILD_SHARED_LIBS=ON", "-DCMAKE_UNITY_BUILD=ON"),
    ),
}


@pytest.mark.parametrize("parent", PARENTS)
def test_a_parent_project_hands_down_what_it_likes(parent: str, latex: Path, tmp_path: Path) -> None:
    """The flags of the parent reach the engine.

    The engine still draws the same text and passes the tests of its C API.
    """
    languages, flags, options = PARENTS[parent]
    source = project(
        tmp_path / "source",
        languages,
        *(f"add_compile_options($<$<COMPILE_LANGUAGE:CXX>:{flag}>)\n" for flag in flags.split()),
        f'add_subdirectory("{ROOT}" lstmgen)\n',
        f'add_executable(c_api "{ROOT}/cpp/tests/test_c_api.c")\n',
        "target_link_libraries(c_api PRIVATE lstmgen::lstmgen m)\n",
    )
    build(source, tmp_path / "build", f"-DCMAKE_CXX_FLAGS={flags}", *options)
    text = run(tmp_path / "build" / "stream_latex", latex, "300", "0.67", "11")
    assert text == lstmgen.Generator("latex").sample(300, 0.67, seed=11, grammar="own")
    data = ROOT / "cpp" / "tests" / "data"
    run(tmp_path / "build" / "c_api", data / "tiny.bin", data / "raw.bin")
    if parent == "native" and platform.machine() == "x86_64" and shutil.which("objdump"):
        code = run("objdump", "-d", tmp_path / "build" / "lstmgen" / "liblstmgen.a")
        objects = dict(re.findall(r"^(\S+):\s+file format .*?$(.*?)(?=^\S+:\s+file format|\Z)", code, re.M | re.S))
        wide = {name.split(".")[0] for name, lines in objects.items() if re.search(r"%[yz]mm", lines)}
        kernels = {"kernels_avx2", "kernels_avx512", "kernels_avx512bf16", "kernels_avx512vnni"}
        assert wide - {"kernels_avx512amx"} == kernels  # a compiler may not know AMX
    if parent == "shared-fast-math" and shutil.which(
        "nm"
    ):  # GCC would run such code in every program that loads the library
        assert "set_fast_math" not in run("nm", "-a", next((tmp_path / "build" / "lstmgen").glob("*.so")))


def test_another_version_is_not_found(prefix: Path, tmp_path: Path) -> None:
    source = project(tmp_path / "source", "C", "find_package(lstmgen 99 CONFIG REQUIRED)")
    done = subprocess.run(
        ["cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "99" in done.stderr


@pytest.mark.skipif(not shutil.which("emcc") or not shutil.which("node"), reason="needs emcc and node")
def test_webassembly_samples_the_same_text_by_the_commands_of_the_manual(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "embedding.md").read_text()
    commands = manual.split("## WebAssembly", 1)[1].split("```sh\n", 1)[1].split("```", 1)[0]
    for name in (
        "CMakeLists.txt",
        "CMakePresets.json",
        "LICENSE",
        "cmake",
        "cpp",
        "examples",
        "python/lstmgen/models/latex.bin",
    ):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert done.stdout.endswith(str(lstmgen.Generator("latex").sample(20, 0.67, seed=11, grammar="own")))


@pytest.mark.skipif(not shutil.which("doxygen"), reason="needs doxygen")
def test_all_that_is_public_is_documented() -> None:
    subprocess.run(["doxygen", "docs/Doxyfile"], cwd=ROOT, check=True)


@pytest.mark.skipif(not shutil.which("nm"), reason="needs nm")
def test_the_shared_library_exports_the_api_alone(prefix: Path) -> None:
    libraries = [path for path in (prefix / "lib").glob("*.so") if path.is_file()]
    if not libraries:
        pytest.skip("a static library")
    lines = run("nm", "-D", "-C", "--defined-only", libraries[0]).splitlines()
    names = [line.split(maxsplit=2)[2] for line in lines]
    assert sum(name.startswith("lstmgen_") for name in names) == len(functions_of_the_header())
    assert [name for name in names if not _public(name)] == []


def test_the_license_comes_with_the_library(prefix: Path) -> None:
    [found] = prefix.rglob("LICENSE")
    assert found.read_text() == (ROOT / "LICENSE").read_text()
    for header in (prefix / "include" / "lstmgen").iterdir():
        assert "SPDX-License-Identifier: MIT" in header.read_text().splitlines()[0]


@pytest.mark.skipif(not shutil.which("strip"), reason="needs strip")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the size is one of x86-64, with its kernels")
def test_the_static_library_is_small(prefix: Path, tmp_path: Path) -> None:
    library = prefix / "lib" / "liblstmgen.a"
    if not library.exists():
        pytest.skip("a shared library")
    run("strip", "--strip-unneeded", "-o", tmp_path / library.name, library)
    assert (tmp_path / library.name).stat().st_size < 620_000


def _public(name: str) -> bool:
    of_error = ("typeinfo for lstmgen::Error", "typeinfo name for lstmgen::Error", "vtable for lstmgen::Error")
    inside = ("kernels", "anonymous")
    return name in of_error or (
        name.startswith(("lstmgen_", "lstmgen::")) and not any(f"lstmgen::{i}" in name for i in inside)
    )
