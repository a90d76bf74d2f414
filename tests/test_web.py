"""The module for JavaScript draws what Python draws, in Node and in a browser."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lstmgen
from lstmgen.binfile.repacking import repack
from lstmgen.options import CHANGEABLE, TABLE, typescript
from support.library import ROOT, run
from support.networks import network, packed
from support.web import WEB, build, chromium, in_browser, in_node, needs_build, served

slow = pytest.mark.slow(reason="builds the library with Emscripten")

NOT_IN_JAVASCRIPT = {"best_of", "beam", "logits_processor"}
BYTES = [f"<0x{byte:02X}>" for byte in range(1, 256)]
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "off", "."]
PIECES = ["a", "b", "c", "ab", "ba", "cbb", "d", "e", "f", "g", "h"]
DRAWN = """
    const texts = [];
    for (const [model, options] of given[0]) {
        const seed = BigInt(options.seed);
        texts.push(await new Generator(await load(`${given[1]}${model}.bin`)).sample({ ...options, seed }));
    }
"""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "int8": ("latex", {"length": 300, "temp": 0.67, "min_p": 0.05}),
    "f32": ("latex-f32", {"length": 120, "temp": 0.67}),
    "bf16": ("latex-bf16", {"length": 120, "temp": 0.67}),
    "grammar": ("latex", {"length": 400, "temp": 0.67, "grammar": "own"}),
    "gbnf": ("latex", {"length": 60, "grammar": 'root ::= ("$" [A-Z] "$ " [a-z]+ ". ")+', "ban": "q"}),
    "dry": ("latex", {"length": 300, "temp": 0.3, "dry_multiplier": 0.8, "dry_allowed_length": 4}),
    "breakers": ("latex", {"length": 200, "dry_multiplier": 0.8, "dry_sequence_breakers": ["$", "\n\n"]}),
    "stop": ("latex", {"length": 4000, "temp": 0.67, "stop": ["\\end{lemma}", "\\end{proof}"]}),
    "stops of ids": ("latex", {"length": 2000, "stop": [[58, 67, 76, 66], "qqqq"]}),
    "stop within an element": ("pieces", {"length": 200, "stop": ["bb"]}),
    "penalties": ("latex", {"length": 200, "repeat_penalty": 1.2, "frequency_penalty": 0.1, "repeat_last_n": -1}),
    "mirostat": ("latex", {"length": 200, "mirostat": 2, "mirostat_tau": 3.0}),
    "filters": ("latex", {"length": 200, "top_k": 20, "typical_p": 0.9, "xtc_probability": 0.5, "inverse_temp": 1.5}),
    "temperature": ("latex", {"length": 50, "temperature": 0.5}),
    "bias": ("latex", {"length": 200, "logit_bias": {"e": -5.0, "t": 2.0}, "allow": "abcdefghijklmnopqrst $.\\"}),
    "prime": ("latex", {"length": 100, "prime": "Let $X$ be", "include_prime": True}),
    "large seed": ("latex", {"length": 50, "seed": 2**64 - 1}),
    "windows": ("windows", {"length": 100, "temp": 0.9}),
    "windows, every third": ("windows", {"length": 100, "refresh": 3}),
    "windows, carried": ("windows", {"length": 100, "refresh": None}),
    "windows of int8": ("windows-int8", {"length": 100}),
    "words": ("words", {"length": 60, "prime": "the  cat\nsat", "stop": "mat and"}),
    "unknown words": ("words", {"length": 60, "prime": "the bird sat", "on_unknown": "skip"}),
    "keras tokenizer": ("tokenizer", {"length": 60, "prime": "The CAT, sat"}),
    "bytes": ("bytes", {"length": 200, "prime": "\u00e9"}),
    "ids": ("ids", {"length": 60, "prime": [1, 2, 3]}),
    "gru": ("gru", {"length": 60}),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def models(package: Path) -> Path:
    """Return the folder of the models, which lies in the package, so that a server has it, too."""
    folder = package / "models"
    folder.mkdir()
    latex = (ROOT / "python" / "lstmgen" / "models" / "latex.bin").read_bytes()
    n = len(WORDS)
    words = network([("lstm", 20), ("dense", n, "softmax")], inputs=n, window=0)
    every = network([("lstm", 20), ("dense", 255, "softmax")], inputs=255, window=0)
    told: dict[str, Any] = {"vocabulary": WORDS, "vocabulary_kind": "tokens", "prime": [0, 1]}
    card = json.dumps({"tokenizer": {"lower": True, "split": " ", "filters": ",!"}, "sample": {"temp": 0.5}})
    found = {
        "latex": latex,
        "latex-f32": repack(latex, "latex", "f32"),
        "latex-bf16": repack(latex, "latex", "bf16"),
        "windows": packed(),
        "windows-int8": packed(dtype="int8"),
        "words": packed(words, **told),
        "tokenizer": packed(words, **told, card=card),
        "pieces": packed(words, vocabulary=PIECES, vocabulary_kind="text", prime=[1]),
        "bytes": packed(every, vocabulary=BYTES, vocabulary_kind="bytes", prime=[65]),
        "ids": packed(words, vocabulary=None),
        "gru": packed(network([("gru", 24), ("gru", 8), ("dense", 11, "softmax")])),
    }
    for name, data in found.items():
        (folder / f"{name}.bin").write_bytes(data)
    return folder


def expected(models: Path, model: str, options: dict[str, Any]) -> str:
    """Return what Python draws, as JavaScript has it: one text."""
    found = lstmgen.Generator(models / f"{model}.bin").sample(**{"seed": 11, **options})
    return found if isinstance(found, str) else " ".join(map(str, found))


# ---- the same text -------------------------------------------------------------------------------


@slow
@needs_build
@pytest.mark.filterwarnings("ignore:carried state")
def test_node_draws_what_python_draws(package: Path, models: Path) -> None:
    cases = [(model, {"seed": 11, **options}) for model, options in CASES.values()]
    told = [(model, options | {"seed": str(options["seed"])}) for model, options in cases]
    drawn = in_node(package, DRAWN + "tell(texts);", stdin=[told, f"{models}/"])
    for name, text, (model, options) in zip(CASES, drawn, cases, strict=True):
        assert text == expected(models, model, options), name


@slow
@needs_build
@pytest.mark.filterwarnings("ignore:carried state")
def test_chromium_draws_what_python_draws_also_in_a_worker(package: Path, models: Path) -> None:
    cases = [(model, {"seed": 11, **options}) for model, options in CASES.values()]
    told = [(model, options | {"seed": str(options["seed"])}) for model, options in cases]
    wanted = [expected(models, model, options) for model, options in cases]
    with served(package) as url, chromium() as driver:
        driver.get(f"{url}/package.json")
        for module in ("lstmgen", "remote"):
            script = f'const {{ Generator, load }} = await import("/{module}.js"); {DRAWN} return texts;'
            drawn = in_browser(driver, script, told, "/models/")
            for name, text, want in zip(CASES, drawn, wanted, strict=True):
                assert text == want, f"{module}: {name}"
        logged = [line["message"] for line in driver.get_log("browser") if "favicon" not in line["message"]]
        assert logged == []


# ---- elements of a text --------------------------------------------------------------------------


def of_elements(elements: list[str], kind: str = "text", **card: Any) -> bytes:
    """Return a model of these elements."""
    n = len(elements)
    made = network([("lstm", 4), ("dense", n, "softmax")], inputs=n, window=0)
    told: dict[str, Any] = {"vocabulary": elements, "vocabulary_kind": kind, "prime": [0], "card": json.dumps(card)}
    return packed(made, **told)


def tokenizer_of(draw: random.Random) -> dict[str, Any]:
    parts = ["".join(draw.choices("ab ,.!\n\u20ac\U0001f600", k=draw.randint(at > 0, 3))) for at in range(4)]
    found = {
        "lower": draw.random() < 0.5,
        "filters": parts[0],
        "split": parts[1],
        "apart": parts[2],
        "removed": parts[3],
    }
    return found | {"num_words": draw.choice([None, 3, "x", 0]), "oov_token": draw.choice([None, "a"])}


@slow
@needs_build
def test_texts_become_the_elements_that_they_become_in_python(package: Path) -> None:
    draw = random.Random(1)
    folder = package / "vocabularies"
    folder.mkdir()
    cases = []
    for number in range(60):
        letters = draw.choice(["ab", "a\u00e9\u20ac\U0001f600", "abA \ufffd\ufeff", "ab ,.!\n"])
        some = {"".join(draw.choices(letters, k=draw.randint(1, draw.choice([1, 3, 20])))) for _ in range(12)}
        kind = draw.choice(["text", "tokens"])
        card = {"tokenizer": tokenizer_of(draw)} if draw.random() < 0.6 else {}
        path = folder / f"{number}.bin"
        path.write_bytes(of_elements(sorted(some), kind, **card))
        pieces = [*letters, *sorted(some), "\ud800", "\udc00"]
        texts = ["".join(draw.choices(pieces, k=draw.randint(0, 40))) for _ in range(30)]
        cases.append((str(path), texts))
    script = """
        const told = [];
        for (const [path, texts] of given) {
            const model = await load(path);
            told.push([model.info.elements, texts.map((text) => model.encode(text, { on_unknown: "skip" }))]);
        }
        tell(told);
    """
    for (name, texts), (elements, ids) in zip(cases, in_node(package, script, stdin=cases), strict=True):
        vocabulary = lstmgen.Model(name).vocabulary
        assert vocabulary is not None
        assert elements == list(vocabulary.elements)
        for text, found in zip(texts, ids, strict=True):
            assert found == vocabulary.encode(text, "skip").tolist(), (name, text)


@slow
@needs_build
def test_the_work_for_a_letter_does_not_grow_with_elements_splits_and_texts(package: Path) -> None:
    split = "a" * 2000 + "b" + "a" * 1999
    folder = package / "long"
    folder.mkdir()
    (folder / "elements.bin").write_bytes(of_elements([*("a" * i + "b" for i in range(1, 1400)), "a"]))
    (folder / "split.bin").write_bytes(of_elements(["a", "x"], "tokens", tokenizer={"lower": False, "split": split}))
    script = """
        const elements = await load(given[0]), split = await load(given[1]), generator = new Generator(elements);
        const text = "a".repeat(300_000);
        const counted = (type, names, f) => {
            let calls = 0;
            const before = names.map((name) => type.prototype[name]);
            names.forEach((name, i) => {
                type.prototype[name] = function (...values) {
                    calls++;
                    return before[i].apply(this, values);
                };
            });
            const found = f();
            names.forEach((name, i) => void (type.prototype[name] = before[i]));
            return [calls / text.length, found];
        };
        const patterns = [];
        globalThis.RegExp = class extends RegExp {
            constructor(pattern, ...rest) {
                super(pattern, ...rest);
                patterns.push(String(pattern).length);
            }
        };
        const [looked, ids] = counted(Map, ["has", "get"], () => elements.encode(text));
        const parts = `x${given[2]}x${text}`;
        const [read, words] = counted(String, ["charCodeAt"], () => split.encode(parts, { on_unknown: "skip" }));
        const short = text.slice(0, 5000), stream = generator.stream({ prime: short, include_prime: true, length: 0 });
        const moved = [];
        const shift = Array.prototype.shift;
        Array.prototype.shift = function () {
            moved.push(this.length);
            return shift.call(this);
        };
        for await (const step of stream);
        tell([looked, ids.length, read, words, Math.max(0, ...patterns), Math.max(0, ...moved)]);
    """
    paths = [str(folder / "elements.bin"), str(folder / "split.bin")]
    looked, ids, read, words, pattern, moved = in_node(package, script, stdin=[*paths, split])
    assert (ids, words) == (300_000, [1])
    assert looked <= 3 and read <= 6  # for each letter
    assert pattern < 100 and moved < 1000


# ---- streams -------------------------------------------------------------------------------------


@slow
@needs_build
def test_a_stream_tells_each_element_with_its_probability(package: Path, models: Path) -> None:
    script = """
        const stream = new Generator(await load(given + "latex.bin")).stream({ length: 40, seed: 3, logprobs: 4 });
        const steps = [];
        for await (const step of stream) steps.push(step);
        tell([steps, String(stream.seed), stream.drawn]);
    """
    steps, seed, drawn = in_node(package, script, stdin=f"{models}/")
    stream = lstmgen.Generator(models / "latex.bin").stream(40, seed=3, logprobs=4)
    assert (seed, drawn) == ("3", 40)
    for step, element in zip(steps, stream, strict=True):
        [row] = stream.logprobs
        assert (step["text"], step["logprob"]) == (element, row.logprob)
        assert [(one["text"], one["logprob"]) for one in step["top"]] == row.likeliest


@slow
@needs_build
def test_a_stream_changes_feeds_saves_and_goes_on_as_in_python(package: Path, models: Path) -> None:
    script = """
        const generator = new Generator(await load(given + "latex.bin"), { temp: 0.67 });
        const stream = generator.stream({ seed: 5 });
        const parts = [await stream.take(50)];
        stream.set({ temp: 0.9, top_k: 5, ban: "e" });
        parts.push(await stream.take(50));
        stream.set({ temp: null, top_k: null, ban: null, grammar: "root ::= [a-z ]*", length: 200 });
        parts.push(await stream.take(30));
        stream.set({ grammar: null, stop: "$" });
        stream.feed("Let $X");
        const state = stream.save();
        parts.push(await stream.take(60));
        parts.push(await generator.restore(state).take(60));
        parts.push(String(stream.likeliest(3).map(({ text }) => text)));
        tell(parts);
    """
    parts = in_node(package, script, stdin=f"{models}/")
    stream = lstmgen.Generator(models / "latex.bin").stream(temp=0.67, seed=5)
    wanted = [stream.take(50)]
    stream.update(temp=0.9, top_k=5, ban="e")
    wanted.append(stream.take(50))
    stream.update(temp=None, top_k=None, ban=None, grammar="root ::= [a-z ]*", length=200)
    wanted.append(stream.take(30))
    stream.update(grammar=None, stop="$")
    stream.feed("Let $X")
    wanted += [stream.take(60)] * 2
    elements = lstmgen.Model("latex").vocabulary
    assert elements is not None
    p = stream.probabilities()
    wanted.append(",".join(elements.elements[i] for i in sorted(range(p.size), key=lambda i: -p[i])[:3]))
    assert parts == wanted


@slow
@needs_build
def test_other_tasks_have_their_turns_and_a_sample_can_be_stopped(package: Path, models: Path) -> None:
    script = """
        const generator = new Generator(await load(given + "latex.bin"));
        let turns = 0;
        const clock = setInterval(() => turns++, 1);
        await generator.sample({ length: 2000 });
        clearInterval(clock);
        const told = [turns > 3];
        const stop = new AbortController();
        setTimeout(() => stop.abort(), 20);
        try {
            await generator.sample({ length: 10_000_000, signal: stop.signal });
        } catch (error) {
            told.push(error.name);
        }
        const stream = generator.stream({ length: null });
        for await (const { text } of stream) if (text === " ") break;
        told.push((await stream.next()).done);
        for (const use of [() => stream.save(), () => stream.feed("a"), () => stream.take(1)]) {
            try { await use(); } catch (error) { told.push(error.message); }
        }
        generator.model.free();
        try { generator.stream(); } catch (error) { told.push(error.message); }
        tell(told);
    """
    closed = "the stream is closed"
    wanted = [True, "AbortError", True, closed, closed, closed, "the model was freed"]
    assert in_node(package, script, stdin=f"{models}/") == wanted


@slow
@needs_build
def test_a_freed_model_gives_its_memory_back(package: Path, models: Path) -> None:
    script = """
        const data = readFileSync(given + "latex.bin");
        for (let i = 0; i < 200; i++) {
            const model = await load(data);
            await new Generator(model).sample({ length: 2 });
            model.free();
            if (i % 20 === 19) gc();
        }
        tell(process.memoryUsage().rss);
    """
    imports = 'import { readFileSync } from "node:fs"; import { Generator, load } from "./lstmgen.js";'
    told = f"const given = {json.dumps(f'{models}/')}; const tell = console.log;"
    (package / "memory.mjs").write_text(imports + told + script)
    assert int(run("node", "--expose-gc", package / "memory.mjs")) < 400_000_000  # each has 4 MB at least: 200 are 800


# ---- options and errors --------------------------------------------------------------------------


def of_the_types() -> tuple[set[str], set[str]]:
    """Return the options that the types have: those that may change, and the others."""
    text = (WEB / "lstmgen.d.ts").read_text() + typescript()
    names = ("NumberOptions", "ChangeableOptions", "SamplingOptions")
    blocks = [re.search(rf"interface {name}\b[^{{]*{{(.*?)\n}}", text, re.S) for name in names]
    numbers, changeable, others = (set(re.findall(r"^  (\w+)\?:", block[1], re.M)) for block in blocks if block)
    assert not numbers & changeable
    return numbers | changeable, others


@pytest.mark.skipif(not WEB.is_dir(), reason="needs the tree")
def test_the_types_have_the_options_of_python() -> None:
    changeable, others = of_the_types()
    assert changeable == set(CHANGEABLE) - NOT_IN_JAVASCRIPT
    assert others == set(TABLE) - set(CHANGEABLE) - NOT_IN_JAVASCRIPT | {"signal"}


@slow
@needs_build
def test_the_module_has_the_options_of_the_c_api_and_of_python(package: Path, models: Path) -> None:
    header = (ROOT / "cpp" / "include" / "lstmgen" / "lstmgen.h").read_text()
    [struct] = re.findall(r"typedef struct lstmgen_sampler_options \{(.*?)\} lstmgen_sampler_options;", header, re.S)
    members = re.findall(r"^    (?:const )?\w+\*? (\w+);", struct, re.M)
    of_c = {name for name in members if name != "size" and not name.endswith(("_count", "_ids"))}
    assert {"temp", "dry_sequence_breakers", "logit_bias"} <= of_c
    script = """
        const generator = new Generator(await load(given[0] + "latex.bin"));
        const refused = [];
        for (const name of given[1]) {
            try { generator.stream({ [name]: null }).free(); } catch { refused.push(name); }
        }
        tell(refused);
    """
    names = sorted(of_c | set(TABLE) | {"signal"})
    assert set(in_node(package, script, stdin=[f"{models}/", names])) == NOT_IN_JAVASCRIPT


WRONG: dict[str, tuple[str, str]] = {
    "{ tempp: 1 }": ("tempp", "sample has no option 'tempp': did you mean temp?"),
    "{ temp: NaN }": ("temp", "temp: expected a number >= 0, found NaN"),
    "{ temp: '1' }": ("temp", "temp: expected a number, found '1'"),
    "{ temp: -1 }": ("temp", "temp: expected a number >= 0, found -1"),
    "{ temp: 1, temperature: 2 }": ("temp", "temp: expected one of temp, temperature, inverse_temp"),
    "{ top_p: 0 }": ("top_p", "top_p: expected a number in (0, 1], found 0"),
    "{ top_k: 1.5 }": ("top_k", "top_k: expected an integer, found 1.5"),
    "{ top_k: 2 ** 40 }": ("top_k", "top_k: expected an integer in [0, 4294967295], found 1099511627776"),
    "{ repeat_last_n: 4097 }": ("repeat_last_n", "repeat_last_n: expected an integer in [-1, 4096], found 4097"),
    "{ seed: -1 }": ("seed", "seed: expected a safe integer or a BigInt in [0, 2**64), found -1"),
    "{ seed: 2 ** 53 }": ("seed", "seed: expected a safe integer or a BigInt in [0, 2**64), found 9007199254740992"),
    "{ seed: 2n ** 64n }": ("seed", "seed: expected a safe integer or a BigInt"),
    "{ length: -1 }": ("length", "length: expected an integer in [0, 9007199254740991], found -1"),
    "{ length: null }": ("length", "length: expected an integer, since only a stream may be endless"),
    "{ stop: '' }": ("stop", "stop: expected texts of at least one element, found ['']"),
    "{ stop: 'a\\u20ac' }": ("stop", "stop: character '\u20ac' (U+20AC) at position 1 is not in"),
    "{ stop: [[92]] }": ("stop", "stop: id at position 0: expected 0 to 91, found 92"),
    "{ stop: 5 }": ("stop", "stop: expected a text or a list of texts, found 5"),
    "{ prime: 'a\\u20acb' }": (
        "prime",
        "prime: character '\u20ac' (U+20AC) at position 1 is not in the vocabulary of 92",
    ),
    "{ prime: [92] }": ("prime", "prime: id at position 0: expected 0 to 91, found 92"),
    "{ grammar: 'root = ' }": ("grammar", "grammar: line 1, column 6: expected '::=' after 'root', found '='"),
    "{ logit_bias: { e: Infinity } }": ("logit_bias", "logit_bias: expected numbers below infinity, found Infinity"),
    "{ logit_bias: [1] }": ("logit_bias", "logit_bias: expected an object or a Map"),
    "{ allow: [] }": ("allow", "allow: expected at least one element"),
    "{ include_prime: 1 }": ("include_prime", "include_prime: expected true or false, found 1"),
    "{ refresh: 2 }": ("refresh", "refresh: the model was saved without a fixed window"),
    "{ signal: 5 }": ("signal", "signal: expected an AbortSignal, found 5"),
    "{ mirostat: 1 }": ("", "mirostat: expected 0 or 2, found 1"),
}


@slow
@needs_build
def test_a_wrong_option_is_an_error_that_names_it(package: Path, models: Path) -> None:
    script = f"""
        const generator = new Generator(await load(given + "latex.bin"));
        const told = [];
        for (const options of [{", ".join(f"() => ({source})" for source in WRONG)}])
            try {{
                await generator.sample(options());
                told.push(null);
            }} catch (error) {{
                told.push([error instanceof LstmgenError, error.code, error.option ?? "", error.message]);
            }}
        tell(told);
    """
    told = in_node(package, script, stdin=f"{models}/")
    for (source, (option, message)), found in zip(WRONG.items(), told, strict=True):
        assert found[:3] == [True, "invalid argument", option], (source, found)
        assert found[3].startswith(message), (source, found)


@slow
@needs_build
def test_bad_files_are_the_errors_of_the_native_loader(package: Path, models: Path) -> None:
    latex = (models / "latex.bin").read_bytes()
    bad = {
        "empty": b"",
        "no model": b"GGUF",
        "cut off": latex[:-100],
        "damaged": latex[:900_000] + b"\xff" + latex[900_001:],
    }
    (package / "bad").mkdir()
    for name, data in bad.items():
        (package / "bad" / name).write_bytes(data)
    script = """
        const told = [];
        for (const [source, options] of [...given.map((path) => [readFileSync(path), { name: "<bytes>" }]),
                                         ["/nowhere/x.bin"], [5], [new Uint8Array(8), { nam: 1 }]])
            try { await load(source, options); } catch (error) { told.push([error.code, error.message]); }
        try { new Generator({}); } catch (error) { told.push([error.code, error.message]); }
        tell(told);
    """
    told = in_node(package, script, stdin=[str(package / "bad" / name) for name in bad])
    for data, (code, message) in zip(bad.values(), told[:4], strict=True):
        with pytest.raises(lstmgen.ModelFormatError) as error:
            lstmgen.Model(data)
        assert (code, message) == ("format", str(error.value))
    assert told[4][0] == "io" and told[4][1].startswith("/nowhere/x.bin: cannot be read")
    assert told[5:] == [
        ["invalid argument", "source: expected bytes, a Blob, a Response, a URL or a path, found 5"],
        ["invalid argument", "load has no option 'nam': did you mean name?"],
        ["invalid argument", "model: expected a Model, which load returns, found a Object"],
    ]


@slow
@needs_build
def test_what_ends_in_an_error_ends_in_one_of_the_module(package: Path, models: Path, tmp_path: Path) -> None:
    script = """
        const [latex, folder, tokenizers] = given;
        const model = await load(latex), generator = new Generator(model);
        const endless = () => {
            const piece = new Uint8Array(2 ** 20);
            return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));
        };
        const uses = [
            () => load(latex, null), () => load(latex, { signal: 5 }), () => load(latex, { wasm: new Uint8Array(8) }),
            () => load(folder), () => load(endless()),
            () => load(new Response("", { status: 404, statusText: "no\\tfile" })),
            () => load(latex + "\\x1b[2J\\u202e"), () => load(new Uint8Array(4), { name: "a\\x1b[2J" }),
            () => model.encode("a", null), () => model.decode([92]), () => model.decode(5),
            () => generator.sample({ stop: "a\\0b" }), () => generator.restore(new Uint8Array(2 ** 32)),
        ];
        const told = [];
        for (const use of uses)
            try {
                await use();
                told.push(null);
            } catch (error) {
                told.push([error instanceof LstmgenError, error.code, error.message]);
            }
        for (const path of tokenizers) told.push((await load(path)).encode("b, a"));
        tell(told);
    """
    wrong: list[dict[str, Any]] = [{"apart": 5}, {"filters": [1]}, {"split": ""}, {"split": "x" * 4097}, {"lower": 1}]
    paths = [tmp_path / f"{number}.bin" for number in range(len(wrong))]
    for path, settings in zip(paths, wrong, strict=True):
        path.write_bytes(of_elements(["b,", "a"], "tokens", tokenizer={"lower": False, "split": " "} | settings))
    latex = str(models / "latex.bin")
    told = in_node(package, script, stdin=[latex, str(models), list(map(str, paths))])
    found, ids = told[: -len(wrong)], told[-len(wrong) :]
    assert ids == [[0, 1]] * len(wrong)  # such a card has no tokenizer, as in Python
    assert [one and one[0] for one in found] == [True] * len(found), found
    messages = [one[2] for one in found]
    wanted = [
        "load: expected options in an object, found null",
        "signal: expected an AbortSignal, found 5",
        "lstmgen.wasm: cannot be used: ",
        f"{models}: expected a file, found a folder, a pipe or a device",
        "<bytes>: expected at most 536870912 bytes, found 537919488",
        r"<bytes>: the server answers 404 no\tfile",
        rf"{latex}\x1b[2J\u202e: cannot be read: ",
        r"a\x1b[2J: ",
        "encode: expected options in an object, found null",
        "ids: id at position 0: expected 0 to 91, found 92",
        "ids: expected ids, found 5",
        r"stop: character '\x00' (U+0000) at position 1 is not in the vocabulary of 92",
        "out of memory: 4294967296 bytes",
    ]
    assert [message.startswith(start) for message, start in zip(messages, wanted, strict=True)] == [True] * len(
        wanted
    ), messages


@slow
@needs_build
def test_addresses_over_2_gib_are_read_and_the_memory_of_a_failed_engine_goes(package: Path, models: Path) -> None:
    script = """
        const instantiate = WebAssembly.instantiate;
        let fails = false;
        WebAssembly.instantiate = async (...values) => {
            const { exports } = await instantiate(...values);
            const _initialize = () => {
                exports._initialize();
                exports.allocate(2 ** 31 - 1); // so that all others lie above it
            };
            const generator_next = (native) => {
                if (fails) throw new WebAssembly.RuntimeError("unreachable");
                return exports.generator_next(native);
            };
            return { exports: { ...exports, _initialize, generator_next } };
        };
        const model = await load(given), generator = new Generator(model);
        const told = [await generator.sample({ length: 50, seed: 1 }), generator.stream().likeliest(3).length];
        fails = true;
        const stream = generator.stream();
        try { await stream.take(1); } catch (error) { told.push(error.message); }
        stream.free();
        model.free();
        try { generator.stream(); } catch (error) { told.push(error.message); }
        tell(told);
    """
    path = str(models / "latex.bin")
    text = lstmgen.Generator(path).sample(50, seed=1)
    failed = "the engine failed: unreachable; load the model again"
    assert in_node(package, script, stdin=path) == [text, 3, failed, "the model was freed"]


@slow
@needs_build
def test_a_worker_that_is_gone_answers_with_an_error_and_frees_what_failed(package: Path, models: Path) -> None:
    script = """
        import * as remote from "./remote.js";
        const model = await remote.load(given), generator = new remote.Generator(model);
        const stream = generator.stream({ length: null });
        await stream.next();
        const told = [];
        const wrong = [() => remote.load(given, null), () => generator.sample(null), () => generator.stream(null)];
        for (const use of [...wrong, () => generator.sample({ tempp: 1 })])
            try { await use(); } catch (error) { told.push([error instanceof remote.LstmgenError, error.message]); }
        model.free();
        for (const use of [() => stream.save(), () => stream.feed("a"), () => generator.stream()])
            try { await use(); } catch (error) { told.push([error instanceof remote.LstmgenError, error.message]); }
        console.log(JSON.stringify(told));
    """
    # A worker takes over the flags of Node, so the script lies in a file.
    (package / "gone.mjs").write_text(f"const given = {json.dumps(str(models / 'latex.bin'))};{script}")
    told = json.loads(run("node", package / "gone.mjs"))
    wrong = "expected options in an object, found null"
    messages = [f"{name}: {wrong}" for name in ("load", "sample", "stream")]
    messages += ["stream has no option 'tempp': did you mean temp?", *["the model was freed"] * 3]
    assert told == [[True, message] for message in messages]


@slow
@needs_build
def test_a_model_says_what_it_is(package: Path, models: Path) -> None:
    script = """
        const told = {};
        for (const name of given[1]) told[name] = (await load(`${given[0]}${name}`)).info;
        tell(told);
    """
    music = ROOT / "python" / "lstmgen" / "models" / "music.bin"
    shutil.copy(music, models)
    found = in_node(
        package, script, stdin=[f"{models}/", ["latex.bin", "music.bin", "bytes.bin", "ids.bin", "tokenizer.bin"]]
    )
    latex = found["latex.bin"]
    model = lstmgen.Model("latex")
    assert model.vocabulary is not None
    assert latex["elements"] == list(model.vocabulary.elements)
    assert latex["card"] == model.metadata["card"]
    assert latex["grammar"] == model.grammar
    assert latex["prime"] == model.prime.tolist()
    assert (latex["recommended"], latex["separator"], latex["notation"]) == ({"temp": 0.67, "min_p": 0.05}, "", None)
    assert (latex["dtype"], latex["isa"]) == ("int8", "simd128")
    assert (found["music.bin"]["notation"], found["music.bin"]["separator"]) == ("events", " ")
    assert (found["bytes.bin"]["kind"], found["ids.bin"]["kind"]) == ("bytes", "")
    assert found["tokenizer.bin"]["recommended"] == {"temp": 0.5}


# ---- the package ---------------------------------------------------------------------------------


@slow
@needs_build
def test_the_module_is_small_and_imports_little(package: Path) -> None:
    sizes = [len(gzip.compress((package / name).read_bytes(), 9)) for name in ("lstmgen.js", "lstmgen.wasm")]
    assert sum(sizes) <= 150_000, sizes
    script = """
        const imports = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync("lstmgen.wasm")));
        tell(imports.map(({ module, name }) => `${module}.${name}`).sort());
    """
    assert in_node(package, script) == [
        "env.emscripten_notify_memory_growth",
        "lstmgen.error",
        "lstmgen.number",
        "lstmgen.text",
        "wasi_snapshot_preview1.environ_get",
        "wasi_snapshot_preview1.environ_sizes_get",
        "wasi_snapshot_preview1.proc_exit",
    ]


@slow
@needs_build
@pytest.mark.skipif(not shutil.which("npm"), reason="needs npm")
def test_npm_packs_what_is_needed_and_it_installs(package: Path, tmp_path: Path) -> None:
    told = json.loads(
        run("npm", "pack", package, "--json", "--ignore-scripts", "--offline", f"--pack-destination={tmp_path}")
    )
    names = {file["path"] for file in told[0]["files"]}
    described = json.loads((WEB / "package.json").read_text())
    assert names == {*described["files"], "package.json", "README.md"}
    assert described["version"] == lstmgen.__version__
    folder = tmp_path / "project" / "node_modules" / "lstmgen"
    folder.mkdir(parents=True)
    run("tar", "xzf", tmp_path / told[0]["filename"], "-C", folder, "--strip-components=1")
    imports = 'import { load } from "lstmgen"; import * as remote from "lstmgen/remote";'
    script = f"{imports} console.log(typeof load, typeof remote.load);"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        cwd=tmp_path / "project",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "function function\n"


@pytest.mark.skipif(not WEB.is_dir(), reason="needs the tree")
def test_the_package_has_the_license() -> None:
    assert (WEB / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


USES = """
import { Generator, LstmgenError, load, type SamplingOptions, type Step } from "lstmgen";
import * as remote from "lstmgen/remote";

export async function use(bytes: Uint8Array): Promise<string> {
    const model = await load(bytes, { name: "x" });
    const options: SamplingOptions = { temp: 0.67, stop: ["a"], seed: 5n, refresh: null, logit_bias: { e: 1 } };
    const generator = new Generator(model, options);
    const stream = generator.stream({ logprobs: 3 });
    for await (const { text, logprob, top } of stream)
        if (top[0]!.logprob === logprob) stream.set({ temp: text.length });
    const state: Uint8Array = stream.save();
    const steps: Step[] = [];
    const away = new remote.Generator(await remote.load(bytes));
    for await (const step of away.stream()) steps.push(step);
    await generator.restore(state).return();
    return (await generator.sample()) + new LstmgenError("x").code;
}
"""
WRONG_USES = (
    "new Generator(model, { tempp: 1 })",
    "new Generator(model, { temp: '1' })",
    "generator.stream().set({ seed: 1 })",
    "generator.restore(new Uint8Array(1), { refresh: 1 })",
    "model.info.name = 'x'",
)


@pytest.mark.skipif(not shutil.which("tsc") or not WEB.is_dir(), reason="needs tsc (Debian: node-typescript)")
@pytest.mark.slow(reason="starts the TypeScript compiler several times")
def test_the_types_are_right(tmp_path: Path) -> None:
    folder = tmp_path / "node_modules" / "lstmgen"
    folder.mkdir(parents=True)
    for name in ("lstmgen.d.ts", "remote.d.ts", "package.json"):
        shutil.copy(WEB / name, folder)
    (folder / "options.d.ts").write_text(typescript())
    strict = ["--noEmit", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "node16"]
    options = [*strict, "--moduleResolution", "node16", "--lib", "es2022,dom,dom.iterable", "--typeRoots", "none"]
    (tmp_path / "use.mts").write_text(USES)
    run("tsc", *options, tmp_path / "use.mts")
    head = 'import { Generator, type Model } from "lstmgen";\n'
    head += "declare const model: Model; declare const generator: Generator;\n"
    for source in WRONG_USES:
        (tmp_path / "wrong.mts").write_text(f"{head}{source};\n")
        done = subprocess.run(["tsc", *options, tmp_path / "wrong.mts"], capture_output=True, text=True)
        assert done.returncode != 0 and "error TS" in done.stdout, source


# ---- the manual and the page ---------------------------------------------------------------------


@slow
@needs_build
def test_the_examples_of_the_manual_run(package: Path, models: Path, tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "web.md").read_text()
    examples = re.findall(r"^```js\n(.*?)^```$", manual, re.M | re.S)
    assert len(examples) == 6
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "lstmgen").symlink_to(package)
    shutil.copy(models / "latex.bin", tmp_path)
    (tmp_path / "manual.mjs").write_text("\n".join(examples))
    done = subprocess.run(["node", "manual.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")  # console.assert would print
    states = "const s = (await import('lstmgen')), g = new s.Generator(await s.load('latex.bin'));"
    states += "const t = g.stream({ seed: 1 }); await t.take(9); process.stdout.write(t.save());"
    command = ["node", "--input-type=module", "-e", states]
    state = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    generator = lstmgen.Generator("latex")
    stream = generator.stream(seed=1)
    stream.take(9)
    assert generator.stream(state=state).take(50) == stream.take(50)


@slow
@needs_build
def test_the_static_page_draws_in_the_browser_from_any_folder_and_asks_no_other_host(
    package: Path, models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "some" / "where"
    page = ROOT / "tools" / "site" / "static_page.py"
    run(sys.executable, page, folder, models / "latex.bin", "--engine", package)
    with served(tmp_path) as url, chromium() as driver:
        driver.get(f"{url}/some/where/")
        script = """
            const shown = () => document.body.innerText.includes("latex");
            for (let i = 0; i < 300 && !shown(); i++) await new Promise((done) => setTimeout(done, 100));
            const { load } = await import("./remote.js");
            const { info } = await load("models/latex.bin");
            return [shown(), info.name, performance.getEntriesByType("resource").map(({ name }) => name)];
        """
        shown, name, asked = in_browser(driver, script)
        assert (shown, name) == (True, "latex")
        assert f"{url}/some/where/remote.js" in asked
        assert [name for name in asked if not name.startswith(f"{url}/some/where/")] == []
        logged = [line["message"] for line in driver.get_log("browser") if "favicon" not in line["message"]]
        assert logged == []


@slow
@needs_build
def test_the_multiply_add_of_vectors_rounds_once(tmp_path: Path) -> None:
    flags = ["-std=c++17", "-O2", "-msimd128", "-ffp-contract=off", f"-I{ROOT / 'cpp' / 'src'}"]
    flags += [f"-I{ROOT / 'cpp' / 'include'}", "-sWASM_ASYNC_COMPILATION=0", "-Wno-unused-function"]
    program = tmp_path / "fma.js"
    env = {"NODE_PATH": "/usr/share/nodejs"}  # where Debian keeps what emcc needs
    run("em++", *flags, ROOT / "cpp" / "tests" / "simd128_fma.cpp", "-o", program, env=env)
    assert run("node", program) == "0 wrong, 1 1\n"  # and there were subnormal ones, and ones between two floats
