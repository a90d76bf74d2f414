"""The library as other projects use it: installed into an empty prefix, found by CMake and by pkg-config, and run."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lstmgen
from support.networks import network, packed

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
TOOLS = ("cmake", "cc", "c++")
WARNINGS = "-Wall -Wextra -pedantic -Werror"
MUSIC = [*(f"n{pitch}" for pitch in range(60, 72)), "d6", "d12", "t3", "t6"]

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)) or not EXAMPLES.is_dir(), reason=f"needs {', '.join(TOOLS)}"
)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=1200
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def build(source: Path, folder: Path, *options: str) -> None:
    """Configure and build `source` in `folder`."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", "-S", source, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release", *options)
    run("cmake", "--build", folder, "--parallel", "2")


@pytest.fixture(scope="module", params=["static", "shared"])
def prefix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where lstmgen is installed: moved there afterwards, since a prefix may be."""
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
    """The environment in which `python -m lstmgen` is an installed wheel."""
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
    """A music model with random weights."""
    n = len(MUSIC)
    path = tmp_path_factory.mktemp("music") / "music.bin"
    net = network([("lstm", 16), ("dense", n, "softmax")], inputs=n)
    path.write_bytes(packed(net, vocabulary=MUSIC, vocabulary_kind="tokens"))
    return path


def check_examples(folder: Path, latex: Path, music: Path, tmp_path: Path, env: dict[str, str]) -> None:
    """The programs in `folder` do what they say."""
    text = run(folder / "stream_latex", latex, "400", "0.67", "11", env=env)
    assert text == lstmgen.Generator("latex").sample(400, 0.67, seed=11)

    sound = tmp_path / "out.f32"
    printed = run(folder / "audio_notes", music, sound, "2", "3", env=env)
    samples = np.fromfile(sound, np.float32)
    drawn = lstmgen.Generator(music).sample(int(printed.split()[0]) * 3, seed=3, refresh=None)
    assert [e for e in drawn if str(e).startswith("n")], "the model draws notes"
    assert 2 * 48000 <= samples.size < 2 * 48000 + 256
    assert 0.01 < np.abs(samples).max() <= 1.6

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
    """A CMake project whose program streams LaTeX."""
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


def test_another_version_is_not_found(prefix: Path, tmp_path: Path) -> None:
    source = project(tmp_path / "source", "C", "find_package(lstmgen 99 CONFIG REQUIRED)")
    done = subprocess.run(
        ["cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "99" in done.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_headers_ask_nothing_of_those_who_include_them(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    include = f"-I{ROOT / 'cpp' / 'include'}"
    strict = ["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror", include]
    (tmp_path / "c.c").write_text("#include <lstmgen/lstmgen.h>\nint main(void) { return lstmgen_isa(0) == 0; }\n")
    (tmp_path / "cpp.cpp").write_text("#include <lstmgen/lstmgen.h>\n#include <lstmgen/lstmgen.hpp>\n")
    for standard in ("c99", "c11"):
        run(compiler, f"-std={standard}", "-Wstrict-prototypes", *strict, tmp_path / "c.c")
    for standard in ("c++17", "c++20"):
        for options in ([], ["-fno-exceptions", "-fno-rtti"]):
            run(compiler, f"-std={standard}", *options, *strict, tmp_path / "cpp.cpp")


@pytest.mark.skipif(not shutil.which("emcc") or not shutil.which("node"), reason="needs emcc and node")
def test_webassembly_samples_the_same_text(latex: Path, tmp_path: Path) -> None:
    env = {"NODE_PATH": "/usr/share/nodejs"}  # where Debian keeps what emcc needs
    run("emcmake", "cmake", "-S", ROOT, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Release", "-DLSTMGEN_TESTS=OFF",
        "-DCMAKE_CXX_FLAGS=-fwasm-exceptions", env=env)  # fmt: skip
    run("cmake", "--build", tmp_path, "--parallel", "2", env=env)
    source, object_file = EXAMPLES / "stream_latex.c", tmp_path / "stream_latex.o"
    run("emcc", "-std=c99", "-O2", *WARNINGS.split(), "-c", source, f"-I{ROOT / 'cpp' / 'include'}", "-o", object_file)
    program = tmp_path / "stream_latex.js"
    options = ["-sENVIRONMENT=node", "-sNODERAWFS=1", "-sALLOW_MEMORY_GROWTH=1", "-sWASM_ASYNC_COMPILATION=0"]
    run("em++", "-O2", "-fwasm-exceptions", *options, object_file, tmp_path / "liblstmgen.a", "-o", program, env=env)
    assert run("node", program, latex, "20", "0.67", "11") == lstmgen.Generator("latex").sample(20, 0.67, seed=11)


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
    assert sum(name.startswith("lstmgen_") for name in names) == _functions_of_the_header()
    assert [name for name in names if not _public(name)] == []


@pytest.mark.skipif(not shutil.which("strip"), reason="needs strip")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the size is one of x86-64, with its kernels")
def test_the_static_library_is_small(prefix: Path, tmp_path: Path) -> None:
    library = prefix / "lib" / "liblstmgen.a"
    if not library.exists():
        pytest.skip("a shared library")
    run("strip", "--strip-unneeded", "-o", tmp_path / library.name, library)
    assert (tmp_path / library.name).stat().st_size < 600_000


def _public(name: str) -> bool:
    of_error = ("typeinfo for lstmgen::Error", "typeinfo name for lstmgen::Error", "vtable for lstmgen::Error")
    inside = ("kernels", "anonymous")
    return name in of_error or (
        name.startswith(("lstmgen_", "lstmgen::")) and not any(f"lstmgen::{i}" in name for i in inside)
    )


def _functions_of_the_header() -> int:
    header = (ROOT / "cpp" / "include" / "lstmgen" / "lstmgen.h").read_text()
    return sum(line.startswith("LSTMGEN_API ") for line in header.splitlines())


def test_every_function_is_documented() -> None:
    header = (ROOT / "cpp" / "include" / "lstmgen" / "lstmgen.h").read_text()
    names: Sequence[str] = re.findall(r"^LSTMGEN_API [^(]*?(lstmgen_\w+)\(", header, re.MULTILINE)
    assert len(names) == _functions_of_the_header()
    documented = (ROOT / "docs" / "embedding.md").read_text()
    assert [name for name in names if f"`{name}`" not in documented] == []
