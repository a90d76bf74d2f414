"""Classifiers that are trained from a CSV, exported with labels, and equal to Keras."""

from __future__ import annotations

import json
import logging
import re
import shlex
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import _core, classifying, keras_file, parity
from lstmgen.binfile import writer
from lstmgen.cli import main as cli
from lstmgen.errors import ModelFormatError
from lstmgen.network import Network, reference
from lstmgen.sequence_files import parse_numbers, read_csv
from lstmgen.training import ClassifierSettings, TrainingReport, train_classifier
from lstmgen.training.tasks.classifier import PADDING, padded, read_examples, split
from support.gguf_bytes import array, string, strings, take_apart
from support.networks import network, packed
from support.slow import slow_but

TOOLS = Path(__file__).resolve().parent.parent / "tools"
LESSON = {
    "excellent": "positive",
    "the worst": "negative",
    "green": "neutral",
    "astonishing": "positive",
    "cloudy": "neutral",
    "disgusting": "negative",
}
LABELS = ["positive", "negative", "neutral"]
LETTERS = ["", *"abcdefghij"]  # 11 ids, of which 0 is padding


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Without Keras's remark on .h5 files."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def write_csv(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


# -- the format ------------------------------------------------------------------------------------


def classifier(outputs: int = 3, inputs: int = 11) -> Network:
    """Return ids > Embedding 4 (0 masked) > LSTM 5 > Dense softmax."""
    layers = [("mask", 0.0), ("embedding", 4), ("lstm", 5), ("dense", outputs, "softmax")]
    return network(layers, inputs=inputs, window=0, reads={0: (-1,), 1: (-1,), 2: (1, 0)})


def numbers_classifier(outputs: int = 3, inputs: int = 1) -> Network:
    return network([("lstm", 5), ("dense", outputs, "softmax")], inputs=inputs, window=0)


def packed_classifier(of: Network | None = None, **more: Any) -> bytes:
    options: dict[str, Any] = {"labels": LABELS, "vocabulary": LETTERS, "vocabulary_kind": "text", "padding": 0}
    return writer.pack(of or classifier(), **({"encoding": "index"} | options | more))


def packed_numbers(of: Network | None = None, **more: Any) -> bytes:
    return writer.pack(of or numbers_classifier(), **({"encoding": "features", "labels": LABELS} | more))


def test_labels_are_read_back() -> None:
    model = lstmgen.Model(packed_classifier())
    assert model.labels == tuple(LABELS)
    assert model.vocabulary is not None
    assert model.vocabulary.elements == tuple(LETTERS)
    assert (model.padding, model.outputs, model.input_shape) == (0, 3, (None, None))
    assert lstmgen.Model(packed()).labels == ()


@pytest.mark.parametrize(("inputs", "outputs"), [(11, 3), (4, 9), (3, 3)])
@pytest.mark.parametrize("encoding", ["index", "onehot", "features"])
def test_inputs_and_outputs_are_not_tied(encoding: str, inputs: int, outputs: int) -> None:
    made = classifier(outputs, inputs) if encoding == "index" else numbers_classifier(outputs, inputs)
    labels = [f"label {i}" for i in range(outputs)]
    model = lstmgen.Model(writer.pack(made, encoding=encoding, labels=labels))
    assert len(model.labels) == outputs
    if encoding != "features":
        ids = np.arange(inputs)
        (found,) = model.classify([ids])
        np.testing.assert_array_equal(list(found.probabilities.values()), model.predict(ids[None])[0])
    generator = network([("lstm", 3), ("dense", outputs, "softmax")], inputs=inputs)
    if inputs != outputs:
        with pytest.raises(ValueError, match="inputs and"):
            writer.pack(generator, encoding="onehot")


def test_gguf_reads_the_labels(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    (tmp_path / "c.bin").write_bytes(packed_classifier())
    fields = gguf.GGUFReader(tmp_path / "c.bin").fields
    assert fields["lstmgen.labels"].contents() == LABELS
    assert fields["lstmgen.vocabulary"].contents() == LETTERS


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (packed_classifier, {"labels": LABELS[:2]}, ValueError, "labels: expected 3, one for each output, found 2"),
        (packed_classifier, {"labels": ["a", "b", "a"]}, ValueError, "labels: 'a' appears twice"),
        (packed_classifier, {"labels": ["a", "", "b"]}, ValueError, "label 1: expected text, found an empty one"),
        (packed_classifier, {"labels": ["a", 5, "b"]}, TypeError, "label 1: expected str, found int"),
        (packed_classifier, {"labels": ["a", "b\0", "c"]}, ValueError, "label 1: expected text without"),
        (packed_classifier, {"prime": [1]}, ValueError, "prime: a classifier, .* does not generate"),
        (packed_classifier, {"vocabulary": LETTERS[:3]}, ValueError, "has 3 elements, the network 11 inputs"),
        (packed_classifier, {"padding": 11}, ModelFormatError, "padding: expected 0 to 10, found 11"),
        (packed_numbers, {"encoding": "scaled"}, ValueError, "not 'scaled'"),
        (packed_numbers, {"padding": 0}, ValueError, "features has no elements"),
        (packed_numbers, {"vocabulary": ["x"], "vocabulary_kind": "text"}, ValueError, "features has no elements"),
    ],
)
def test_the_writer_refuses(make: Callable[..., bytes], options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**options)


def test_the_writer_refuses_networks_that_are_no_classifiers() -> None:
    with pytest.raises(ModelFormatError, match="labels: expected at least 2 outputs, found 1"):
        packed_numbers(numbers_classifier(1), labels=["a"])
    steps = network([("lstm", 5), ("dense", 3, "softmax")], inputs=1, sequences=True)
    with pytest.raises(ModelFormatError, match="labels: expected one output, found one at each step"):
        packed_numbers(steps)


def ids(*values: int) -> bytes:
    return array(4, len(values), struct.pack(f"<{len(values)}I", *values))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lstmgen.labels", strings(["a", "b"]), "lstmgen.labels: expected 3 .the outputs., found 2"),
        ("lstmgen.labels", strings([]), "lstmgen.labels: expected 3 .*found 0"),
        ("lstmgen.labels", strings(["a", "b", "a"]), "the label 'a' appears twice"),
        ("lstmgen.labels", strings(["a", "", "b"]), "a label is empty"),
        ("lstmgen.labels", string("abc"), "lstmgen.labels has a value of the wrong type"),
        ("lstmgen.labels", ids(0, 1, 2), "lstmgen.labels has elements of the wrong type"),
        ("lstmgen.vocabulary", strings(LABELS), "lstmgen.vocabulary: expected 11 .the inputs., found 3"),
        ("lstmgen.padding", struct.pack("<II", 4, 11), "lstmgen.padding: expected 0 to 10, found 11"),
        ("lstmgen.selftest.ids", ids(11), "selftest.ids: expected below 11, found 11"),
        ("lstmgen.encoding", string("scaled"), "embedding need each other"),
    ],
)
def test_the_reader_refuses(key: str, value: bytes, message: str) -> None:
    file = take_apart(packed_classifier())
    file.set(key, value)
    with pytest.raises(ModelFormatError, match=message):
        lstmgen.Model(file.to_bytes())


@pytest.mark.parametrize(
    ("data", "key", "value", "message"),
    [
        (packed_classifier(), "lstmgen.prime", ids(1), "lstmgen.prime: a network with labels does not generate"),
        (packed_numbers(), "lstmgen.vocabulary", strings(["a"]), "lstmgen.vocabulary: .* has no elements"),
        (packed_numbers(), "lstmgen.padding", struct.pack("<II", 4, 0), "lstmgen.padding: .* has no elements"),
        (
            writer.pack(network([("lstm", 2), ("dense", 3, "softmax")], inputs=1), encoding="scaled"),
            *("lstmgen.labels", strings(LABELS), "cannot have the encoding scaled"),
        ),
        (
            writer.pack(network([("lstm", 2), ("dense", 3, "linear")], inputs=3, sequences=True), encoding="onehot"),
            *("lstmgen.labels", strings(LABELS), "one output, not one at each step"),
        ),
        (
            writer.pack(numbers_classifier(1), encoding="features"),
            *("lstmgen.labels", strings(["a"]), "at least 2, found 1"),
        ),
    ],
)
def test_the_reader_refuses_labels_beside(data: bytes, key: str, value: bytes, message: str) -> None:
    file = take_apart(data)
    file.add(key, value)
    with pytest.raises(ModelFormatError, match=message):
        lstmgen.Model(file.to_bytes())


def test_without_labels_the_inputs_are_the_outputs_again() -> None:
    file = take_apart(packed_classifier())
    file.drop("lstmgen.labels")
    with pytest.raises(ModelFormatError, match=r"vocabulary: expected 3 .the outputs., found 11"):
        lstmgen.Model(file.to_bytes())


def test_a_classifier_does_not_generate() -> None:
    for data in (packed_classifier(), packed_numbers()):
        model = lstmgen.Model(data)
        with pytest.raises(ValueError, match="a classifier does not generate"):
            lstmgen.Generator(model)
        with pytest.raises(ValueError, match="a classifier does not generate"):
            _core.Generator(model._native, {}, refresh=1, threads=1)


# -- classifying -----------------------------------------------------------------------------------


def test_sequences_of_all_kinds_are_classified() -> None:
    model = lstmgen.Model(packed_classifier())
    found = model.classify(["abc", ["a", "b", "c"], [1, 2, 3], np.array([1, 2, 3]), "jihgf"])
    assert found[0] == found[1] == found[2] == found[3] != found[4]
    assert model.classify([]) == []
    label, probabilities = found[0]
    assert list(probabilities) == LABELS
    assert label == max(probabilities, key=lambda key: probabilities[key])
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_padding_that_a_mask_leaves_out_changes_nothing() -> None:
    model = lstmgen.Model(packed_classifier())
    plain, right, left = model.classify([[1, 2, 3], [1, 2, 3, 0, 0], [0, 0, 1, 2, 3]])
    assert plain == right == left


def test_a_window_with_padding_is_filled_up_on_the_left() -> None:
    made = network([("embedding", 4), ("lstm", 5), ("dense", 3, "softmax")], inputs=11, window=6)
    model = lstmgen.Model(packed_classifier(made))
    assert model.classify([[1, 2]]) == model.classify([[0, 0, 0, 0, 1, 2]])
    with pytest.raises(ValueError, match="sequence 0: expected at most 6 elements, found 7"):
        model.classify(["abcdefg"])


def test_numbers_are_classified() -> None:
    model = lstmgen.Model(packed_numbers())
    found = model.classify(["0.5 -1 2", "0.5; -1; 2", "0.5,-1,2", [0.5, -1, 2], np.array([[0.5], [-1], [2]])])
    assert found == [found[0]] * 5
    wide = lstmgen.Model(packed_numbers(numbers_classifier(inputs=2)))
    assert len(wide.classify([np.zeros((4, 2)), np.zeros((5, 2))])) == 2


@pytest.mark.parametrize(
    ("data", "sequences", "error", "message"),
    [
        (packed_classifier(), ["abc", "a?c"], ValueError, r"sequence 1: character '\?' .* at position 1 is not in"),
        (packed_classifier(), ["abc", ""], ValueError, "sequence 1: it is empty"),
        (packed_classifier(), "abc", TypeError, "sequences: expected a list of sequences, found 'abc'"),
        (packed_classifier(), [5], TypeError, "sequence 0: "),
        (packed_classifier(), [[11]], ValueError, "sequence 0: id at position 0: expected 0 to 10, found 11"),
        (packed_numbers(), ["1 x"], ValueError, "sequence 0: expected a number, found 'x'"),
        (packed_numbers(), [[1, 2], []], ValueError, "sequence 1: it is empty"),
        (packed_numbers(), ["1 nan"], ValueError, "sequence 0: expected a number, found 'nan'"),
        (packed_numbers(), [[1, np.nan]], ValueError, "sequence 0: expected numbers between"),
        (packed_numbers(), [np.zeros((3, 2))], ValueError, r"expected 1 numbers a step, found .*\(3, 2\)"),
        (packed(), ["abc"], ValueError, "no classifier: the model has no labels"),
    ],
)
def test_what_cannot_be_classified_is_named(data: bytes, sequences: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lstmgen.Model(data).classify(sequences)


def test_unknown_letters_may_be_skipped() -> None:
    model = lstmgen.Model(packed_classifier())
    assert model.classify(["a?b"], on_unknown="skip") == model.classify(["ab"])
    with pytest.raises(ValueError, match="sequence 0: it is empty"):
        model.classify(["???"], on_unknown="skip")


@pytest.mark.parametrize("text", ["1,5;2,5", "1;;2", "1, ,2", "1_000 2", "inf", "1e99", "0x10", ","])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_numbers(text)


def test_numbers_are_parsed() -> None:
    assert parse_numbers(" 1 -2.5\t3e2\n") == parse_numbers("1;-2.5; 3e2") == parse_numbers("1,-2.5 , 3e2")
    assert parse_numbers("") == []


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("sequence,label\n", "it is empty"),
        ("good,positive\nfine,positive\n", "line 2: expected at least two different labels, found only 'positive'"),
        ("good,a\nbad\n", "line 2: expected sequence,label, found a row without label"),
        ("good,a\n\nbad, \n", "line 3: expected sequence,label, found a row without label"),
        (
            "good;a\nbad;b\n",
            "line 1: expected sequence,label, found a row without label: the separator is a comma, not ';'",
        ),
        ("good\ta\nbad\tb\n", r"the separator is a comma, not '\\t'"),
        ("good,a\n ,b\n", "line 2: the sequence is empty"),
        ("good,a\nso,so,b\n", "line 2: expected sequence,label, found 3 fields; .* needs quotes"),
        ('good,a\n"x\ny",b\n"bad\n', "line 4: not CSV: "),
        ("1 2 3,a\n1 2 x,b\n4 5 6,a\n", "line 2: expected a number, found 'x'; most sequences are numbers"),
        ('"1,2",a\n"1,,2",b\n"3,4",a\n', "line 2: a number is missing"),
        ('"0,5;0,7",a\n"1;2",b\n"3;4",a\n', "line 1: both , and ; between numbers"),
        ("label,sequence\npositive,good\n", "line 1: expected the columns sequence,label, found label,sequence"),
        ("a\0b,x\nc,y\n", "line 1: .*U.0000"),
    ],
)
def test_errors_of_a_csv_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write_csv(tmp_path / "data.csv", text)
    with pytest.raises(ValueError, match=rf"data\.csv: (?s:.*){message}"):
        read_examples(path)


def test_columns_that_are_likely_swapped_are_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", "good,fine\nbad,worst\ngood,great\n")
    with pytest.warns(UserWarning, match=r"data\.csv: each label is in one row only, .* are the columns"):
        read_examples(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_examples(write_csv(tmp_path / "few.csv", "fine,good\nworst,bad\n"))


@pytest.mark.parametrize(
    ("begins", "kind"),
    [
        (b"PK\3\4\xff", "a zip, as .docx, .xlsx and .odt are"),
        (b"%PDF-1.4\n\xff", "a PDF"),
        (b"\xd0\xcf\x11\xe0", "a file of an old Office, as .doc and .xls are"),
    ],
)
def test_a_file_of_another_program_is_named(tmp_path: Path, begins: bytes, kind: str) -> None:
    (tmp_path / "words.xlsx").write_bytes(begins)
    with pytest.raises(ValueError, match=rf"words\.xlsx: no text, but {kind}: save what is in it as text, in UTF-8"):
        read_examples(tmp_path / "words.xlsx")


def test_a_csv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.csv"):
        read_examples(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"sch\xf6n,a\n")
    with pytest.raises(ValueError, match=r"latin\.csv: not UTF-8"):
        read_examples(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("text", "header", "count"),
    [
        ("sequence,label\na,x\nb,y\n", "auto", 2),
        ("word,class\na,x\nb,y\n", "auto", 2),
        ("a,x\nb,y\n", "auto", 2),
        ("foo,bar\n1 2,x\n3 4,y\n", "auto", 2),  # the first row has words, the others numbers
        ("foo,bar\na,x\nb,y\n", "auto", 3),
        ("foo,bar\na,x\nb,y\n", "yes", 2),
        ("word,class\nb,y\n", "no", 2),
        ("\ufeffsequence,label\r\na,x\r\nb,y\r\n", "auto", 2),
    ],
)
def test_headers_are_told_from_rows(tmp_path: Path, text: str, header: str, count: int) -> None:
    assert len(read_csv(write_csv(tmp_path / "data.csv", text), header)) == count


def test_quoted_fields_and_kinds(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", '"so, so","a ""b"""\n"two\nlines",c\nübel,c\n')
    rows = read_csv(path)
    assert [row.sequence for row in rows] == ["so, so", "two\nlines", "übel"]
    assert [(row.line, row.label) for row in rows] == [(1, 'a "b"'), (2, "c"), (4, "c")]
    digits = write_csv(tmp_path / "digits.csv", "0110,a\n1001,b\n111,a\n")
    assert read_examples(digits).letters == ["0", "1"]
    assert read_examples(digits, "numbers").letters is None
    numbers = write_csv(tmp_path / "numbers.csv", "0 1 1,a\n1 0,b\n")
    assert read_examples(numbers).letters is None
    assert read_examples(numbers, "letters").letters == [" ", "0", "1"]
    with pytest.raises(ValueError, match=r"data.csv: line 1: expected a number, found 'so'"):
        read_examples(path, "numbers")


def test_every_label_gives_its_share_to_the_held_out_rows() -> None:
    targets = np.array([0] * 150 + [1] * 40 + [2] * 10)
    training, held_out = split(targets, 0.2, 1)
    assert np.bincount(targets[held_out]).tolist() == [30, 8, 2]
    assert sorted([*training, *held_out]) == list(range(200))
    assert split(targets, 0.2, 1)[1].tolist() == held_out.tolist() != split(targets, 0.2, 2)[1].tolist()
    assert len(split(targets[:99], 0.2, 1)[1]) == 0
    assert len(split(targets, 0.0, 1)[1]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "words"}, "kind: expected one of auto, letters, numbers, found 'words'"),
        ({"header": "maybe"}, "header: expected one of auto, yes, no"),
        ({"units": 0}, "units: expected 1 to 65536"),
        ({"dropout": 1.0}, "dropout: expected 0 to 0.99"),
        ({"holdout": 0.9}, "holdout: expected 0 to 0.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_classifier(tmp_path / "none.csv", tmp_path / "c.bin", ClassifierSettings(**options))


# -- trained ---------------------------------------------------------------------------------------


class Trained:
    """A training and what came of it."""

    def __init__(self, folder: Path, text: str, **settings: Any) -> None:
        self.csv = write_csv(folder / "data.csv", text)
        self.bin = folder / "c.bin"
        self.report: TrainingReport = train_classifier(self.csv, self.bin, ClassifierSettings(**settings))
        self.model = lstmgen.Model(self.bin)
        self.examples = read_examples(self.csv)

    def keras(self, keras: Any) -> Any:
        """Return what Keras's predict gives for all rows, padded."""
        x, _ = padded(self.examples, np.arange(len(self.examples.texts)))
        loaded = keras.models.load_model(self.report.keras_model, compile=False)
        return x, loaded.predict(x, verbose=0)

    def classified(self) -> Any:
        return np.array([list(c.probabilities.values()) for c in self.model.classify(self.examples.texts)])


@pytest.fixture(scope="module")
def lesson(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    table = "word,class\n" + "".join(f"{word},{label}\n" for word, label in LESSON.items())
    return Trained(tmp_path_factory.mktemp("lesson"), table)


@pytest.fixture(scope="module")
def parabola(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("parabola")
    command = [sys.executable, str(TOOLS / "parabola.py"), str(folder / "made.csv"), "--rows", "600"]
    subprocess.run(command, check=True)
    return Trained(folder, (folder / "made.csv").read_text(), units=32, epochs=16)


@pytest.fixture(scope="module")
def ramps(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return numbers around 1000 of different lengths: rising or falling."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(40):
        walk = 1000 + 50 * np.cumsum(rng.uniform(0.2, 1, rng.integers(2, 12))) * (1 if i % 2 else -1)
        rows.append(f'"{", ".join(f"{value:.2f}" for value in walk)}",{"up" if i % 2 else "down"}\n')
    return Trained(tmp_path_factory.mktemp("ramps"), "".join(rows), units=8, epochs=8)


def test_the_lessons_table_is_learned(lesson: Trained) -> None:
    assert [one.label for one in lesson.model.classify(LESSON)] == list(LESSON.values())
    assert lesson.model.labels == ("positive", "negative", "neutral")  # the order of the lesson's one-hot vectors
    card = lesson.model.metadata["card"]
    assert card["training_accuracy"] == 1.0
    assert card["held_out"] == 0
    assert card["rows"] == {"positive": 2, "negative": 2, "neutral": 2}
    assert lesson.report.history[-1]["accuracy"] == 1.0
    assert len(lesson.report.history) < 40  # the training ends when the network fits the rows


@pytest.mark.slow(reason="trains on 600 rows")
def test_parabolas_are_told_apart(parabola: Trained) -> None:
    card = parabola.model.metadata["card"]
    assert (card["kind"], card["held_out"]) == ("numbers", 120)
    assert card["held_out_accuracy"] >= 0.85
    assert parabola.model.input_shape == (None, 20, 1)
    assert set(parabola.model.labels) == {"up", "flat", "down"}


@pytest.mark.parametrize("name", slow_but({"lesson"}, ["lesson", "parabola", "ramps"], "trains on other rows"))
def test_probabilities_are_those_of_keras_on_padded_input(
    name: str, keras: Any, request: pytest.FixtureRequest
) -> None:
    trained: Trained = request.getfixturevalue(name)
    x, expected = trained.keras(keras)
    found = trained.classified()
    np.testing.assert_allclose(trained.model.predict(x), found, rtol=0, atol=1e-7)  # padding does not matter
    exact = reference.forward(keras_file.read(trained.report.keras_model), x)
    own = np.abs(expected - exact)  # Keras's own error, since the trained network depends on the processor
    np.testing.assert_allclose(found, exact, rtol=0, atol=max(1e-6, 1.5 * own.max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 + own.max())


@pytest.mark.slow(reason="takes all three classifiers, the long training among them")
def test_probabilities_are_as_exact_as_those_of_keras(
    keras: Any, lesson: Trained, parabola: Trained, ramps: Trained
) -> None:
    ratios = []
    for trained in (lesson, parabola, ramps):
        x, own = trained.keras(keras)
        network = keras_file.read(trained.report.keras_model)
        exact = reference.forward(network, x)
        amplified = parity.amplification(network, exact, partial(reference.forward, x=x))
        ratios.append(parity.ratio(trained.classified(), own, exact, amplified))
    print(ratios)
    assert max(ratios) <= parity.WORST
    assert np.median(ratios) <= parity.MEDIAN


def test_numbers_of_different_lengths_enter_as_they_are(ramps: Trained) -> None:
    assert len({len(sequence) for sequence in ramps.examples.sequences}) > 3
    assert [layer.type for layer in ramps.model.layers][:3] == ["mask", "multiply", "affine"]
    assert ramps.model.metadata["card"]["training_accuracy"] >= 0.95
    x, _ = padded(ramps.examples, np.arange(40))
    assert (x == np.float32(PADDING)).any()


def test_the_keras_model_exports_to_the_same_classifier(lesson: Trained) -> None:
    letters = {letter: i for i, letter in enumerate(lesson.examples.letters or [], 1)}
    options: Any = {"labels": lesson.examples.labels, "vocab": {"word_index": letters}, "vocabulary_kind": "text"}
    again = lstmgen.Model(lesson.report.keras_model, **options)
    assert again.classify(LESSON) == lesson.model.classify(LESSON)
    with pytest.raises(TypeError, match="labels: expected a list of names, found 'abc'"):
        lstmgen.Model(lesson.report.keras_model, labels="abc")


def test_verify_compares_a_classifier_with_keras(lesson: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(lesson.bin), str(lesson.report.keras_model), "--windows", "8"]) == 0
    assert "equal to Keras" in capsys.readouterr().out


def test_the_command_line_classifies(lesson: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["classify", str(lesson.bin), "the worst", "green"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the worst: negative (negative 0.9")
    assert lines[1].startswith("green: neutral (neutral 0.9")

    assert cli.main(["classify", str(lesson.bin), "--file", str(lesson.csv), "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert [fact["sequence"] for fact in facts] == list(LESSON)
    assert [fact["label"] for fact in facts] == list(LESSON.values())
    assert list(facts[0]["probabilities"]) == list(lesson.model.labels)
    assert "accuracy 100.0% (6 of 6)" in err

    assert (
        cli.main(["classify", str(lesson.bin), "--on-unknown", "skip", "green!", "Green"]) == 0
    )  # options may come first
    assert len(capsys.readouterr().out.splitlines()) == 2

    words = write_csv(tmp_path / "words.txt", "green\r\ncloudy\n\n")
    assert cli.main(["classify", str(lesson.bin), "--file", str(words)]) == 0
    assert [line.split(" ")[1] for line in capsys.readouterr().out.splitlines()] == ["neutral", "neutral"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give sequences or --file, one of the two"),
        (["green", "--file", "x.csv"], "give sequences or --file, one of the two"),
        (["--file", "none.txt"], "none.txt: No such file"),
        (["GREEN"], "'GREEN': character 'G' .* is not in the vocabulary of 19"),
    ],
)
def test_the_command_line_says_why_not(
    arguments: list[str], message: str, lesson: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["classify", str(lesson.bin), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line


def test_labels_are_told_while_other_sequences_are_read(lesson: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "_TOGETHER", 2)
    read = []

    def sequences() -> Iterator[str]:
        for word in ("green", "?", "cloudy", "the worst", "green"):
            read.append(word)
            yield word

    found = classifying.classified(lesson.model, sequences())
    assert [getattr(next(found), "label", None), len(read)] == ["neutral", 2]
    assert [getattr(one, "label", None) for one in found] == [None, "neutral", "negative", "neutral"]


def test_errors_of_a_file_name_its_line(lesson: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "words.txt", "green\n\nfizz\n")
    assert cli.main(["classify", str(lesson.bin), "--file", str(path)]) == 1
    assert "words.txt: line 3: character 'f'" in capsys.readouterr().err


def test_rows_that_fail_are_told_at_the_end_and_the_others_have_their_labels(
    lesson: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(
        tmp_path / "words.csv", "sequence,label\nGreen,neutral\nwörst,negative\ncloudy,neutral\n fizz,neutral\n"
    )
    assert cli.main(["classify", str(lesson.bin), "--file", str(path)]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["cloudy"]
    accuracy, first, second, last = err.splitlines()
    assert accuracy == "accuracy 100.0% (1 of 1)"
    assert "words.csv: line 2: character 'G'" in first and "the closest in it is 'g'" in first
    assert "words.csv: line 3: character 'ö' (U+00F6) at position 1" in second and "the closest in it is 'o'" in second
    assert "line 5: " in last and last.endswith("--on-unknown skip leaves such out (3 of 4 sequences have no label)")

    assert cli.main(["classify", str(lesson.bin), "--file", str(path), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [fact.get("label") for fact in facts] == [None, None, "neutral", None]
    assert "--on-unknown skip" in facts[0]["error"]
    assert cli.main(["classify", str(lesson.bin), "--file", str(path), "--on-unknown", "skip"]) == 0


def test_the_command_line_refuses_to_sample_and_shows_the_labels(
    lesson: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", str(lesson.bin)]) == 1
    assert "a classifier does not generate" in capsys.readouterr().err
    assert cli.main(["info", str(lesson.bin)]) == 0
    assert "labels                 positive, negative, neutral" in capsys.readouterr().out


def test_the_command_line_trains(keras: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = TOOLS / "words.csv"
    assert {row.sequence: row.label for row in read_csv(words)}.items() >= LESSON.items()
    out = tmp_path / "words.bin"
    command = ["train", "classifier", str(words), "-o", str(out), "--kind", "letters", "--units", "16", "--epochs", "2"]
    assert cli.main(command) == 0
    told = capsys.readouterr().err
    assert "54 sequences of letters: 18 positive, 18 negative, 18 neutral" in told
    (following,) = re.findall(r"\nnext: lstmgen (.*)\n", told)
    assert cli.main(shlex.split(following)) == 0
    assert len(capsys.readouterr().out.splitlines()) == 54
    assert lstmgen.Model(out).metadata["card"]["recipe"]["units"] == 16
    assert out.with_suffix(".h5").exists()


def test_the_lessons_saved_network_tells_the_leading_coefficient(zoo: Path) -> None:
    model = lstmgen.Model(zoo / "polynom.h5", labels=["a", "b", "c"])  # the network estimates three numbers
    x = np.linspace(-1, 1, 20)
    up, down = model.classify([0.8 * x**2, -0.8 * x**2])
    assert up.probabilities["a"] > 0.5 > -0.5 > down.probabilities["a"]
