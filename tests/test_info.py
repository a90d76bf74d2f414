"""`lstmgen info` says what a file is, what is assumed of it, and what to type next.

The commands that it prints run as they stand.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen.cli import main as cli
from support.networks import network, packed

Write = Callable[..., Path]
Make = Callable[..., Any]


class Followed:
    """What `info` said of a file, and what the commands that it gave have printed."""

    def __init__(self, facts: dict[str, Any], outs: list[str], errs: list[str]) -> None:
        self.facts, self.outs, self.errs = facts, outs, errs

    def sampled(self, count: int = 200, text: bool = False) -> Followed:
        """Assert that the last command gave a sample."""
        assert self.facts["is"].startswith("a generator")
        assert len(self.outs[-1] if text else self.outs[-1].split()) == count
        return self

    def predicted(self, numbers: int) -> Followed:
        """Assert that the last command gave this number of finite numbers."""
        assert self.facts["is"].startswith("a predictor")
        found = [float(piece) for piece in self.outs[-1].split()]
        assert len(found) == numbers
        assert np.isfinite(found).all()
        return self


@pytest.fixture
def follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Followed]:
    """Return a function that asks `info` about a file, in an empty folder.

    It runs each command that `info` prints.
    """
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*argv: str) -> tuple[str, str]:
        status = cli.main(argv)
        out, err = capfd.readouterr()
        assert status == 0, (argv, err)
        return out, err

    def ask(path: Path | str, *options: str) -> Followed:
        printed, _ = run("info", str(path), *options)
        facts = json.loads(run("info", str(path), *options, "--json")[0])
        said = [line[23:] for line in printed.splitlines() if line.startswith("next ")]
        assert said == facts["next"]
        assert [line[23:] for line in printed.splitlines() if line.startswith("assumed ")] == facts["assumed"]
        outs, errs = [], []
        for line in said:
            program, *argv = shlex.split(line)
            assert program == "lstmgen"
            out, err = run(*argv)
            outs.append(out)
            errs.append(err)
        for err in errs:  # an export and a sample print the same assumptions as info
            assert [x.removeprefix("assumed: ") for x in err.splitlines() if x.startswith("assumed: ")] in (
                facts["assumed"],
                [],
            )
        return Followed(facts, outs, errs)

    return ask


@pytest.fixture
def make(write_h5: Write, lstm_arrays: Make) -> Write:
    """Return a function that writes a file: LSTM 3 > Dense."""

    def write(size: int, outputs: int, activation: str = "softmax", window: int | None = 5, **lstm: Any) -> Path:
        shape = [lstm.pop("batch", None), window, size]
        first = {"name": "lstm_1", "units": 3, "batch_input_shape": shape, **lstm}
        dense = {"name": "dense_1", "units": outputs, "activation": activation}
        kernel = np.linspace(-1, 1, 3 * outputs).reshape(3, outputs)
        weights = {"lstm_1": lstm_arrays("lstm_1", size, 3), "dense_1": {"k:0": kernel, "b:0": np.zeros(outputs)}}
        return write_h5([("LSTM", first), ("Dense", dense)], weights)

    return write


@pytest.fixture
def embedding(write_h5: Write, lstm_arrays: Make) -> Write:
    """Return a function that writes a file: Embedding > LSTM 3 > Dense."""

    def write(ids: int, outputs: int, activation: str = "softmax", mask: bool = False) -> Path:
        first = {"name": "e", "input_dim": ids, "output_dim": 2, "mask_zero": mask, "batch_input_shape": [None, 5]}
        dense = {"name": "d", "units": outputs, "activation": activation}
        weights = {
            "e": {"w:0": np.linspace(-1, 1, 2 * ids).reshape(ids, 2)},
            "lstm_1": lstm_arrays("lstm_1", 2, 3),
            "d": {"k:0": np.linspace(-1, 1, 3 * outputs).reshape(3, outputs), "b:0": np.zeros(outputs)},
        }
        return write_h5([("Embedding", first), ("LSTM", {"name": "lstm_1", "units": 3}), ("Dense", dense)], weights)

    return write


# -- real files ------------------------------------------------------------------------------------


def _real() -> list[str]:
    if not (folder := os.environ.get("LSTMGEN_ZOO")):
        return []
    with Path(folder, "MANIFEST.tsv").open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [row["file"] for row in rows if row["expected"].startswith("predict")]


@pytest.mark.skipif(not _real(), reason="LSTMGEN_ZOO does not name a folder of real saved models")
@pytest.mark.parametrize("name", _real() or ["none"])
def test_commands_for_a_real_file_end_in_a_sample_or_a_prediction(zoo: Path, follow: Any, name: str) -> None:
    found = follow(zoo / name)
    outputs = found.facts["output_shape"][-1]
    if not found.facts["is"].startswith("a generator"):
        found.predicted(outputs)
    elif "textgenrnn" in name:  # a text ends at <s>
        assert 0 < len(found.outs[-1]) <= 202
    else:
        found.sampled()
        assert {int(i) for i in found.outs[-1].split()} <= set(range(outputs))


# -- each kind of file -----------------------------------------------------------------------------


def test_commands_for_one_hot_letters(make: Write, follow: Any) -> None:
    found = follow(make(4, 4)).sampled()
    assert found.facts["encoding"] == "onehot"
    assert found.facts["is"] == "a generator: 4 numbers a step enter, a softmax over 4 elements comes out"
    assert found.facts["next"][1] == "lstmgen sample model.bin --prime-ids 0 --length 200"


def test_commands_for_one_hot_letters_with_a_corpus(make: Write, follow: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "a corpus.txt"
    corpus.write_text("abcd" * 9)
    found = follow(make(4, 4), "--vocab-from", str(corpus)).sampled(text=True)
    assert set(found.outs[-1]) <= set("abcd")
    assert found.facts["next"][1] == "lstmgen sample model.bin --length 200"


@pytest.mark.parametrize(
    ("options", "encoding"),
    [
        ((), "scaled"),
        (("--encoding", "scaled"), "scaled"),
        (("--encoding", "raw"), "raw"),
        (("--input-values", "id/(n-1)"), "raw"),
        (("--input-values", "1,2,4,8"), "raw"),
    ],
)
def test_commands_for_a_number_a_step(make: Write, follow: Any, options: tuple[str, ...], encoding: str) -> None:
    found = follow(make(1, 4), *options).sampled()
    assert found.facts["encoding"] == encoding
    assert any(sentence.startswith("encoding ") for sentence in found.facts["assumed"]) == (not options)


def test_commands_for_zeros_before_a_short_prime(make: Write, follow: Any) -> None:
    found = follow(make(4, 4), "--padding", "zeros").sampled()
    assert found.facts["next"][1] == "lstmgen sample model.bin --length 200"  # the sample starts without a prime
    assert not any("shorter than" in sentence for sentence in found.facts["assumed"])


def test_commands_for_a_regression(make: Write, follow: Any) -> None:
    found = follow(make(4, 4, "linear")).predicted(4)
    assert found.facts["is"] == "a predictor: its 4 outputs are linear, as in a regression"
    assert found.facts["next"][1] == "lstmgen predict model.bin --example"


def test_commands_for_a_regression_that_is_said_to_generate(make: Write, follow: Any) -> None:
    found = follow(make(4, 4, "linear"), "--encoding", "onehot").sampled()
    assert "its 4 linear outputs are logits, as trained with from_logits=True" in found.facts["assumed"]


def test_commands_for_numbers_in_and_numbers_out(make: Write, follow: Any) -> None:
    follow(make(3, 2, "tanh")).predicted(2)


def test_commands_for_a_classifier(make: Write, follow: Any) -> None:
    found = follow(make(1, 3), "--labels", "up,down,none")
    assert found.facts["is"].startswith("a classifier")
    assert re.search(r"(up|down|none) \(", found.outs[-1])
    found = follow(make(4, 3), "--labels", "up,down,none")
    assert len(found.outs[-1].split()) == 3


def test_commands_for_an_embedding(embedding: Write, follow: Any) -> None:
    found = follow(embedding(6, 6)).sampled()
    assert found.facts["is"] == "a generator: one of 6 ids enters, a softmax over 6 elements comes out"


def test_commands_for_a_masked_embedding(embedding: Write, follow: Any) -> None:
    found = follow(embedding(6, 6, mask=True)).sampled()
    assert "0" not in found.outs[-1].split()
    assert found.facts["next"][1] == "lstmgen sample model.bin --length 200"  # the sample starts from padding


@pytest.mark.parametrize(("ids", "outputs", "activation"), [(9, 1, "sigmoid"), (4, 7, "softmax"), (9, 7, "softmax")])
def test_commands_for_an_embedding_of_other_ids(
    embedding: Write, follow: Any, ids: int, outputs: int, activation: str
) -> None:
    found = follow(embedding(ids, outputs, activation)).predicted(outputs)
    assert found.facts["is"].startswith(f"a predictor: {ids} ids enter, ")


def test_commands_for_a_stateful_model(make: Write, follow: Any) -> None:
    found = follow(make(4, 4, window=1, batch=1, stateful=True)).sampled()
    assert any("its state is carried" in sentence for sentence in found.facts["assumed"])


def test_commands_for_a_model_that_takes_exactly_its_window(write_h5: Write, lstm_arrays: Make, follow: Any) -> None:
    first = {"name": "lstm_1", "units": 3, "batch_input_shape": [None, 5, 4], "return_sequences": True}
    layers = [
        ("LSTM", first),
        ("Flatten", {"name": "f"}),
        ("Dense", {"name": "d", "units": 4, "activation": "softmax"}),
    ]
    weights = {"lstm_1": lstm_arrays("lstm_1", 4, 3), "d": {"k:0": np.ones((15, 4)), "b:0": np.zeros(4)}}
    found = follow(write_h5(layers, weights)).sampled()
    assert found.facts["next"][1] == "lstmgen sample model.bin --prime-ids 0,0,0,0,0 --length 200"
    assert "a prime has at least 5 elements, as the network takes exactly that many" in found.facts["assumed"]


def test_commands_for_weights_that_need_a_config(make: Write, follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(make(4, 4)) as whole, h5py.File(path, "w") as file:
        for key, value in whole["model_weights"].attrs.items():
            file.attrs[key] = value
        for name in whole["model_weights"]:
            whole.copy(whole["model_weights"][name], file, name)
    found = follow(path, "--config", "LSTM(3), Dense(4, softmax)", "--window", "7").sampled()
    assert found.facts["next"][0] == (f"lstmgen export {path} w.bin --config 'LSTM(3), Dense(4, softmax)' --window 7")
    follow(path).sampled()  # the weights tell the architecture


def test_commands_for_a_keras_zip_of_a_name_with_spaces(keras: Any, follow: Any, tmp_path: Path) -> None:
    layers = [keras.layers.Input((5, 4)), keras.layers.GRU(3), keras.layers.Dense(4, activation="softmax")]
    path = tmp_path / "my model's.keras"
    keras.Sequential(layers).save(path)
    found = follow(path).sampled()
    assert shlex.split(found.facts["next"][0])[3] == "my model's.bin"


def test_commands_do_not_replace_a_file(make: Write, follow: Any) -> None:
    path = make(4, 4)
    Path("model.bin").write_bytes(b"precious")
    assert follow(path).facts["next"][0].endswith(" model-2.bin")
    assert Path("model.bin").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("options", "kind", "command"),
    [
        ({}, "a generator", "lstmgen sample {} --length 200"),
        ({"prime": None}, "a generator", "lstmgen sample {} --prime a --length 200"),
        ({"prime": None, "vocabulary": None}, "a generator", "lstmgen sample {} --prime-ids 0 --length 200"),
        ({"prime": None, "padding": 0}, "a generator", "lstmgen sample {} --length 200"),
        ({"prime": None, "zero_padding": True}, "a generator", "lstmgen sample {} --length 200"),
        ({"encoding": "features"}, "a predictor", "lstmgen predict {} --example"),
        ({"predictor": True, "prime": None}, "a predictor", "lstmgen predict {} --example"),
        ({"labels": list("ABCDEFGHIJK"), "prime": None}, "a classifier", "lstmgen classify {} a"),
    ],
)
def test_commands_for_a_bin(follow: Any, tmp_path: Path, options: Any, kind: str, command: str) -> None:
    (tmp_path / "m.bin").write_bytes(packed(**options))
    found = follow(tmp_path / "m.bin")
    assert (found.facts["is"], found.facts["next"]) == (kind, [command.format(tmp_path / "m.bin")])


def test_commands_for_a_bundled_model(follow: Any) -> None:
    assert follow("latex").facts["next"] == ["lstmgen sample latex --length 200"]


# -- what was assumed ------------------------------------------------------------------------------


def test_bin_says_what_was_assumed_when_it_was_made(make: Write, follow: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="encoding scaled"):
        lstmgen.export(make(1, 4), tmp_path / "m.bin")
    model = lstmgen.Model(tmp_path / "m.bin")
    found = follow(tmp_path / "m.bin")
    assert found.facts["assumed"] == list(model.assumed)
    assert len(model.assumed) == 2
    told = f"assumed at the export: 2; lstmgen info {tmp_path / 'm.bin'} lists them"
    assert found.errs[-1].splitlines()[0] == told


def test_the_vocabulary_that_an_export_needs_is_told_before_its_command(
    make: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", str(make(4, 4))]) == 0
    out = capsys.readouterr().out
    assert 0 < out.index("--vocab-from TEXT") < out.index("\nnext  ")


def test_long_facts_are_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "latex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "recipe                 slices of 200 characters" in "\n".join(lines)


def test_nothing_is_assumed_where_all_is_told(make: Write, follow: Any) -> None:
    assert follow(make(1, 4), "--encoding", "raw", "--padding", "none").sampled().facts["assumed"] == []


def test_repacked_model_keeps_what_was_assumed(make: Write, tmp_path: Path) -> None:
    lstmgen.export(make(4, 4), tmp_path / "m.bin")
    assumed = lstmgen.Model(tmp_path / "m.bin").assumed
    assert assumed
    assert lstmgen.Model(tmp_path / "m.bin", dtype="int8").assumed == assumed


@pytest.mark.parametrize("card", ["[1]", '{"assumed": "x"}', '{"assumed": 3}', "{}"])
def test_card_of_another_kind_assumes_nothing(card: str) -> None:
    assert lstmgen.Model(packed(card=card)).assumed == ()


def test_options_for_a_bin_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    assert cli.main(["info", str(tmp_path / "m.bin"), "--encoding", "raw", "--window", "3"]) == 1
    assert "only a file of Keras takes --encoding, --window" in capfd.readouterr().err


# -- predict ---------------------------------------------------------------------------------------


@pytest.fixture
def predict(capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a function that runs `lstmgen predict` and gives its status and what it printed."""

    def run(*argv: object) -> tuple[int, str, str]:
        status = cli.main(["predict", *map(str, argv)])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def regression(tmp_path: Path) -> Path:
    of = network([("lstm", 4), ("dense", 2, "linear")], 3, 5)
    (tmp_path / "r.bin").write_bytes(packed(of, encoding="features"))
    return tmp_path / "r.bin"


def numbers(out: str) -> list[list[float]]:
    return [[float(piece) for piece in line.split()] for line in out.splitlines() if line]


def test_predict_reads_steps_as_lines(regression: Path, predict: Any, tmp_path: Path) -> None:
    x = np.arange(18, dtype=np.float32).reshape(2, 3, 3) / 8
    lines = ["\n".join(", ".join(map(str, step)) for step in sequence) for sequence in x.tolist()]
    (tmp_path / "x.csv").write_text("\n\n".join(lines) + "\n")
    np.save(tmp_path / "x.npy", x)
    want = lstmgen.Model(regression).predict(x)
    for name in ("x.csv", "x.npy"):
        status, out, _ = predict(regression, tmp_path / name)
        assert status == 0
        np.testing.assert_array_equal(np.array(numbers(out), np.float32), want)
    assert predict(regression, tmp_path / "x.npy", "-o", tmp_path / "y.npy")[:2] == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), want)
    assert (
        np.array(json.loads(predict(regression, tmp_path / "x.npy", "--json")[1]), np.float32).tolist() == want.tolist()
    )


def test_predict_reads_ids_from_stdin(predict: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    (tmp_path / "m.bin").write_bytes(packed())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0 1 2\n3, 4\n")))
    status, out, _ = predict(tmp_path / "m.bin", "-")
    assert status == 0
    model = lstmgen.Model(tmp_path / "m.bin")
    for found, ids in zip(numbers(out), ([0, 1, 2], [3, 4]), strict=True):
        np.testing.assert_array_equal(np.array(found, np.float32), model.predict([ids])[0])


def test_predict_prints_the_steps_of_a_sequence(predict: Any, tmp_path: Path) -> None:
    of = network([("lstm", 4), ("dense", 2, "linear")], 3, 5, sequences=True)
    (tmp_path / "m.bin").write_bytes(packed(of, encoding="features"))
    status, out, err = predict(tmp_path / "m.bin", "--example")
    assert (status, err.startswith("input: 5 steps of zeros")) == (0, True)
    want = lstmgen.Model(tmp_path / "m.bin").predict(np.zeros((1, 5, 3)))[0]
    np.testing.assert_array_equal(np.array(numbers(out), np.float32), want)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3\n1 2\n", r"x\.txt: line 2: expected the 3 numbers of a step, found 2"),
        ("a,b,c\n", r"x\.txt: line 1: expected a number, found 'a'"),
        ("\n", r"x\.txt: expected sequences, found an empty file"),
    ],
)
def test_predict_refuses_what_is_no_input_in_one_line(
    regression: Path, predict: Any, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "x.txt").write_text(text)
    status, out, err = predict(regression, tmp_path / "x.txt")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert re.search(reason, err)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 5, 4)), r"expected \(sequences, steps, 3\), found \(2, 5, 4\)"),
        (np.array(["a"]), "expected numbers, found <U1"),
        (np.array([{}], object), "expected numbers, found objects"),
    ],
)
def test_predict_refuses_an_array_of_another_kind(
    regression: Path, predict: Any, tmp_path: Path, array: Any, reason: str
) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    status, _, err = predict(regression, tmp_path / "x.npy")
    assert (status, err.count("\n")) == (1, 1)
    assert re.search(reason, err)


def test_predict_refuses_ids_that_are_no_integers(predict: Any, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    (tmp_path / "x.txt").write_text("0.5 1\n")
    status, _, err = predict(tmp_path / "m.bin", tmp_path / "x.txt")
    assert (status, "x.txt: expected ids, found numbers that are not integers" in err) == (1, True)


@pytest.mark.parametrize("value", [3, [3], None, "x", {"y": 1}], ids=str)
def test_a_card_does_not_stand_in_for_the_facts_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: object
) -> None:
    path = tmp_path / "m.bin"
    said = []
    for card in ({}, {"labels": value, "is": value, "encoding": value, "dtype": value, "input_shape": value}):
        path.write_bytes(packed(card=json.dumps(card)))
        assert cli.main(["info", str(path)]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
