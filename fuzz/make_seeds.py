"""Write a first corpus for each fuzzer: `python fuzz/make_seeds.py FOLDER`.

It needs the package and its tests, with pytest: small networks of every layer type, dtype and
encoding, the mutations of tests/test_hostile_container.py, states, grammars and calls.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import random
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import test_abc as of_abc  # noqa: E402
import test_grammar  # noqa: E402
import test_hostile_container as hostile  # noqa: E402
import test_hostile_inputs as of_inputs  # noqa: E402
import test_hostile_music as of_music  # noqa: E402
import test_hostile_readers as of_readers  # noqa: E402
import test_layers as every  # noqa: E402
import test_pickles as pickles  # noqa: E402
from lstmgen import _core  # noqa: E402
from lstmgen.music import Meter, Note, Pedal, Tempo, midi  # noqa: E402
from support import checkpoints  # noqa: E402
from support.gguf_bytes import boolean, strings, take_apart, u32  # noqa: E402
from support.networks import classifier, network, packed  # noqa: E402

LAYERS = {
    "lstm": [("lstm", 5), ("dense", 4, "softmax")],
    "gru": [("gru", 5), ("layer_norm", 0.001), ("dense", 4, "softmax")],
    "gru_before": [("gru", 5, "tanh", "sigmoid", False), ("dense", 4, "softmax")],
    "rnn": [("simple_rnn", 5, "softsign"), ("affine",), ("activation", "relu"), ("dense", 4, "linear")],
    "pool": [("lstm", 5), ("attention_pool", 1e-7), ("dense", 4, "softmax")],
    "whole": [("reverse",), ("lstm", 5), ("dense", 4, "softmax")],
    "repeat": [("lstm", 5), ("repeat", 3), ("gru", 3), ("dense", 4, "softmax")],
}


def models() -> dict[str, bytes]:
    """Return small files by name."""
    found = {}
    for name, layers in LAYERS.items():
        attention = {"sequences": True} if name == "pool" else {"vectors": [0]} if name == "repeat" else {}
        for dtype in ("f32", "bf16", "int8"):
            of = network(layers, 4, window=4, **attention)
            found[f"{name}.{dtype}"] = packed(of, dtype=dtype)
    found["features"] = packed(network(LAYERS["lstm"], 3, window=0), encoding="features", vocabulary=None, prime=None)
    found["embedding"] = packed(
        network([("embedding", 3), *LAYERS["gru"]], 4, window=3), encoding="index", dtype="int8"
    )
    for name in every.NETWORKS:
        found[f"layer.{name}"] = packed(every.make(name), encoding="features", vocabulary=None, prime=None)
    for i, (change, _) in enumerate(hostile.MUTATIONS.values()):
        change(file := take_apart(hostile.SOUND))
        found[f"mutation.{i}"] = file.to_bytes()
    for i, (options, keys, _) in enumerate(hostile.OTHERS.values()):
        file = take_apart(packed(**options))
        for key, value in keys.items():
            file.drop(key)
            if value is not None:
                file.add(key, value)
        found[f"other.{i}"] = file.to_bytes()
    found |= vocabularies_of_models() | graphs_that_do_not_fit()
    return {name: data for name, data in found.items() if len(data) < 60_000}


def vocabularies_of_models() -> dict[str, bytes]:
    """Return files with labels, right and wrong, and with bytes for elements."""
    found = {}
    of = network([("embedding", 3), ("lstm", 4), ("dense", 2, "softmax")], 3, 0)
    for i, labels in enumerate((["x", "y"], ["x", "x"], ["x", ""])):
        file = take_apart(packed(of, encoding="index", vocabulary=list("abc"), labels=["x", "y"], prime=None))
        file.set("lstmgen.labels", strings(labels))
        found[f"labels.{i}"] = file.to_bytes()
    letters = [f"<0x{byte:02X}>" for byte in (1, 65, 200, 255)]
    found["bytes"] = packed(network(LAYERS["lstm"], 4, 4), vocabulary=letters, vocabulary_kind="bytes")
    file = take_apart(found["bytes"])
    file.set("lstmgen.vocabulary", strings([*letters[:3], "<0x0g>"]))
    return {**found, "bytes.wrong": file.to_bytes()}


def graphs_that_do_not_fit() -> dict[str, bytes]:
    """Return files with a layer that reads what it cannot read."""
    pool = network([("lstm", 5), ("attention_pool", 1e-7), ("dense", 4, "softmax")], 4, 4, sequences=True)
    wide = [("lstm", 4), ("repeat", 4), ("gru", 4), ("gru", 4), ("add",), ("lstm", 3), ("dense", 4, "softmax")]
    steps = network(wide, 4, 4, vectors=[0], reads={3: (-1,), 4: (2, 3)})
    found = {}
    for name, of, key, value in (
        ("vector", pool, "lstmgen.layer.0.return_sequences", boolean(False)),
        ("sequence", steps, "lstmgen.layer.0.return_sequences", boolean(True)),
        ("steps", steps, "lstmgen.layer.1.steps", u32(3)),
    ):
        file = take_apart(packed(of))
        file.set(key, value)
        found[f"graph.{name}"] = file.to_bytes()
    return found


def models_of_calls() -> dict[str, bytes]:
    """Return a file of each kind, for fuzz/c_api.cpp, which reads the folder."""
    data = ROOT / "cpp/tests/data"
    of = network([("embedding", 3), ("lstm", 4), ("dense", 8, "softmax")], 8, 4)
    events = ["n60", "n61", "d24", "t12", "v20", "k2", "p1", "end"]
    everything = models()
    return {
        **{name: (data / name).read_bytes() for name in ("tiny.bin", "raw.bin")},
        "classifier": classifier(),
        "tokens": packed(of, encoding="index", vocabulary=events, vocabulary_kind="tokens"),
        **{
            name: everything[name] for name in ("bytes", "features", "gru.int8", "pool.f32", "repeat.bf16", "whole.f32")
        },
    }


def states() -> dict[str, bytes]:
    """Return states of the C++ tests' network: of other contexts, options, grammars and stops."""
    model = _core.Model.load(str(ROOT / "cpp/tests/data/tiny.bin"))
    found = {}
    grammars = ("root ::= [a-k]*", 'root ::= "a" root "a" | [b-k]', 'root ::= ([a-c]{2,9} "k")+')
    for i, text in enumerate(grammars):
        for options in ({"seed": 1}, {"seed": 2, "temp": 0.5, "top_k": 3, "ban": [0]}, {"seed": 3, "mirostat": 2}):
            generator = _core.Generator(model, options, refresh=i, threads=1)
            generator.feed(np.arange(5, dtype=np.uint32))
            generator.set_grammar(_core.Grammar(model, text, []), 50 if i else 2**64 - 1)
            generator.set_stops([[1, 2], [3]], []) if i % 2 else generator.set_stops([], [b"kkk", b"abc"])
            generator.sample(4)
            found[f"grammar.{i}.{options['seed']}"] = generator.save_state()
    for refresh in (0, 1, 3, 12, 100):
        for n in (0, 1, 5, 40):
            generator = _core.Generator(model, {"seed": n}, refresh=refresh, threads=1)
            if n > 0:
                generator.feed(np.arange(n, dtype=np.uint32) % 11)
                generator.sample(n)
            found[f"{refresh}.{n}"] = generator.save_state()
    return found


def calls() -> dict[str, bytes]:
    """Return sequences of calls, which fuzz/c_api.cpp reads from random bytes."""
    draw = random.Random(1)
    return {str(i): draw.randbytes(70 * draw.randrange(1, 40)) for i in range(40)}


def grammars() -> dict[str, bytes]:
    """Return grammars, as fuzz/grammar.cpp reads them."""
    texts = [
        'root ::= "a" | "b" root',
        'root ::= ("ab" [a-z]{2,3})* x\nx ::= "}" | "" ',
        'root ::= [^a] . "\\u00e9"+ y?\ny ::= "(" y ")" | "x"',
    ]
    texts += {
        values[0]  # the first argument is the grammar
        for test in vars(test_grammar).values()
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize" and "grammar" in mark.args[0]
        for values in (case if isinstance(case, tuple) else (case,) for case in mark.args[1])
        if len(values[0]) < 2000
    }
    return {str(i): bytes([i % 16]) + text.encode() + b"\0" + bytes(range(40)) for i, text in enumerate(sorted(texts))}


def vocabularies() -> dict[str, bytes]:
    """Return vocabularies, as fuzz/readers.py reads them: the first byte chooses the kind."""
    elements = {"a": 0, "b": 1, "c": 2}
    array = io.BytesIO()
    np.save(array, list(elements))
    tokenizer = {"class_name": "Tokenizer", "config": {"word_index": {"a": 1, "b": 2}, "lower": True}}
    values = (elements, tokenizer, ["a"] * 9)
    found = {f"json.{i}": b"\0" + json.dumps(value).encode() for i, value in enumerate(values)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for name, value in (("dict", elements), ("list", list(elements)), ("array", np.array([60, 62, 64]))):
            found[f"{name}.{protocol}"] = b"\1" + pickle.dumps(value, protocol)
    tests = [*of_inputs.VOCABULARIES.values(), *(("v.pkl", data) for data, _ in pickles_of_tests())]
    first = {".json": b"\0", ".pkl": b"\1", ".npy": b"\2", ".txt": b"\3"}
    mutations = {f"mutation.{i}": first[Path(name).suffix] + data for i, (name, data, *_) in enumerate(tests)}
    return {**found, **mutations, "npy": b"\2" + array.getvalue(), "lines": b"\3a\nb\nc\n"}


def pickles_of_tests() -> list[tuple[bytes, str]]:
    """Return the pickles that tests/test_pickles.py expects errors of."""
    return [*pickles.REFUSED.values(), *pickles.BROKEN.values()]


def keras_files() -> dict[str, bytes]:
    """Return a zip of Keras whose weights are no HDF5 file, and one that is whole but for them."""
    found = {}
    for name, config in (("empty", {}), ("model", {"class_name": "Sequential", "config": {"layers": []}})):
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
            archive.writestr("model.weights.h5", b"weights")
        found[name] = file.getvalue()
    return found


def tunes() -> dict[str, bytes]:
    """Return tunes in ABC notation."""
    texts = [of_abc.FOLK, *(of_abc.HEAD + text for text, *_ in (*of_abc.MEANS.values(), *of_abc.WORK.values()))]
    texts += (text for text, _ in of_abc.HOSTILE.values())
    return {str(i): text.encode("latin-1")[:4000] for i, text in enumerate(texts)}


def scores() -> dict[str, bytes]:
    """Return scores as fuzz/readers.py reads them: the first byte chooses the kind."""
    sound = of_music.score(of_music.NOTE * 4).encode()
    found = {f"text.{i}": b"\2" + text.encode()[:4000] for i, (text, _) in enumerate(of_music.SCORES.values())}
    found |= {"text": b"\2" + sound, "text.utf-16": b"\2" + sound.decode().encode("utf-16")}
    for i, name in enumerate(("a.xml", "../a.xml", "META-INF/container.xml")):
        of_music.zipped(path := io.BytesIO(), name, sound)
        found[f"zip.{i}"] = bytes([2 + i % 2]) + path.getvalue()
    for notation in (0, 1):
        found |= {f"element.{notation}.{i}": bytes([notation, 0, i, 0]) for i in range(128)}
        found |= {f"number.{notation}.{i}": bytes([notation, 0, 255 - i, 3, 0]) for i in range(16)}
    return found


def of_tensorflow() -> dict[str, bytes]:
    """Return checkpoints as fuzz/readers.py reads them."""

    def packed(kind: int, index: bytes, graph: bytes = b"", numbers: bytes = bytes(64)) -> bytes:
        return struct.pack("<BHH", kind, len(index), len(graph)) + index + graph + numbers

    child, field, tensor, variable = checkpoints.child, checkpoints.field, checkpoints.tensor, checkpoints.variable
    kernels = [tensor([3, 2], 0, 24), *(kernel for kernel, _ in of_readers.KERNELS.values())]
    nodes = b"".join(field(1, node) for node in checkpoints.DENSE)
    header = checkpoints.entry(*checkpoints.HEADER)
    bias = checkpoints.entry(b"b", tensor([2], 24, 8))
    found = {}
    for i, kernel in enumerate(kernels):
        found[f"kernel.{i}"] = packed(7, header + bias + checkpoints.entry(b"k", kernel), nodes)
    of_cell = ("kernel", "recurrent_kernel", "bias")
    exported = (
        child(1, "variables"),
        child(2, "0") + child(3, "1"),
        variable("k", "m/d/kernel"),
        variable("b", "m/d/b"),
    )
    layers = (
        child(1, "embed") + child(2, "rnn") + child(3, "both") + child(4, "out"),
        child(5, "embeddings"),
        child(6, "cell"),
        child(7, "forward_layer") + child(7, "backward_layer"),
        child(8, "kernel") + child(9, "bias"),
        variable("e"),
        b"".join(map(child, (10, 11, 12), of_cell)),
        child(6, "cell"),
        *map(variable, "kbxyz"),
    )
    shapes = {"e": [5, 2], "k": [4, 5], "b": [5], "x": [2, 8], "y": [2, 8], "z": [8]}
    entries = header + b"".join(
        checkpoints.entry(name.encode(), tensor(shape, 0, 4 * math.prod(shape))) for name, shape in shapes.items()
    )
    saved = {"class_name": "Sequential", "keras_version": "2.9.0", "config": {"layers": []}}
    metadata = field(1, field(3, b"root") + field(5, json.dumps(saved).encode()))
    for name, listed in (("exported", exported), ("layers", layers)):
        graph = b"".join(field(1, node) for node in listed)
        found[name] = packed(3, entries, graph, bytes(200))
        found[f"{name}.saved"] = packed(11, entries, graph, metadata.ljust(200, b"\0"))
    graphs = (make() for make, _ in of_readers.GRAPHS.values())
    found |= {f"graph.{i}": packed(3, header, graph[5:]) for i, graph in enumerate(graphs) if len(graph) < 20_000}
    indices = (make() for make, _ in of_readers.INDICES.values())
    return found | {f"index.{i}": packed(0, index) for i, index in enumerate(indices) if len(index) < 20_000}


def readers() -> dict[str, dict[str, bytes]]:
    """Return the corpora of fuzz/readers.py."""
    notes = [Note(i / 2, 0.5 + i % 2, 60 + i) for i in range(8)]
    layers = ["LSTM(8, return_sequences=True), Dense(4, softmax)", "Embedding(4, 2) > GRU(3) > Dense(4)"]
    return {
        "keras": keras_files(),
        "vocabulary": vocabularies(),
        "midi": {
            "notes": midi.midi_file(notes, 100),
            "all": midi.midi_file(notes, 100, meters=[Meter(0, 3, 4)], pedals=[Pedal(0, 2)], tempos=[Tempo(1, 90)]),
            **{f"mutation.{i}": data for i, (data, _) in enumerate(of_music.MIDI.values())},
        },
        "abc": tunes(),
        "musicxml": scores(),
        "checkpoint": of_tensorflow(),
        "layers": {str(i): text.encode() for i, text in enumerate(layers)},
        "rows": {
            "letters": b'text,label\nabc,x\n"d,e",y\n',
            "numbers": b'"1,2",x\n3 4,y\n',
            "header": b"a\n1 2\n",
            "swapped": b"label,text\nx,a\n",
            "fields": b"a,b,c\n",
            **{f"mutation.{i}": data for i, (data, _) in enumerate(of_inputs.ROWS.values())},
        },
    }


def main(folder: str) -> None:
    """Write the corpora into folders named after the fuzzers."""
    files = models()
    corpora = {"container": files, "kernels": files, "state": states(), "c_api": calls(), "grammar": grammars()}
    corpora |= {"models": models_of_calls(), **readers()}
    for fuzzer, inputs in corpora.items():
        (to := Path(folder) / fuzzer).mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (to / f"seed.{name}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
