"""Numbers that stand in Python, in C++ and in the documents are equal."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import lstmgen
from lstmgen import network, options
from lstmgen.binfile import sniffing, writer
from support.library import ROOT


def constants(*paths: str) -> dict[str, int]:
    """The integers that these headers and sources define, by name."""
    found: dict[str, int] = {}
    for path in paths:
        text = Path(ROOT, "cpp", path).read_text(encoding="utf-8")
        for name, value in re.findall(r"\b(k[A-Z]\w*) = ([\d <]+)[;,]", text):
            number, _, shift = value.partition("<<")
            found[name] = int(number) << int(shift or 0)
        found |= {name: int(value) for name, value in re.findall(r"#define (LSTMGEN_MAX_\w+) (\d+)", text)}
    return found


def test_the_limits_of_a_file_are_those_of_the_engine_and_of_the_format() -> None:
    engine = constants("src/description.hpp", "src/gguf.hpp", "src/container.cpp")
    ours = {
        "kMaxSize": network.MAX_SIZE,
        "kMaxSteps": network.MAX_STEPS,
        "kMaxLayers": network.MAX_LAYERS,
        "kMaxInputs": network.MAX_INPUTS,
        "kMaxString": writer.MAX_STRING,
        "kMaxText": writer.MAX_CARD,
    }
    assert {name: engine[name] for name in ours} == ours
    text = Path(ROOT, "docs", "format.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]*?) \| ([^|]*?) \|$", text.partition("## 5. Limits")[2], re.MULTILINE))
    assert rows["file"] == f"{sniffing.MAX_FILE >> 30} GiB"
    assert rows["layers"] == f"{network.MAX_LAYERS}"
    assert rows["inputs of a layer"] == f"{network.MAX_INPUTS}"
    assert rows["window, prime, steps of any value"] == f"{network.MAX_STEPS:,}"
    (sizes,) = (limit for thing, limit in rows.items() if thing.startswith("units, "))
    assert sizes.startswith(f"{network.MAX_SIZE:,};")
    strings = f"{writer.MAX_CARD >> 20} MiB (`lstmgen.card`, `lstmgen.grammar`), {writer.MAX_STRING >> 10} KiB (others)"
    assert rows["string value, vocabulary element"] == strings


def test_the_limits_of_sampling_are_those_of_the_engine() -> None:
    engine = constants("include/lstmgen/common.h")
    assert engine["LSTMGEN_MAX_LOOKBACK"] == options.LOOKBACK
    assert engine["LSTMGEN_MAX_BATCH"] == options.MOST_SEQUENCES


def test_the_version_is_the_same_everywhere() -> None:
    def read(*path: str) -> str:
        return Path(ROOT, *path).read_text(encoding="utf-8")

    cmake = re.search(r"project\(lstmgen VERSION ([\d.]+)", read("CMakeLists.txt"))
    common = read("cpp", "include", "lstmgen", "common.h")
    header = re.findall(r"#define LSTMGEN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", common)
    assert tomllib.loads(read("pyproject.toml"))["project"]["version"] == lstmgen.__version__
    assert json.loads(read("web", "package.json"))["version"] == lstmgen.__version__
    assert cmake is not None and cmake[1] == lstmgen.__version__
    assert ".".join(header) == lstmgen.__version__
    assert f'#define LSTMGEN_VERSION_STRING "{lstmgen.__version__}"' in common
