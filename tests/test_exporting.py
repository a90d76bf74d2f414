"""What Keras does not store is added, inferred or refused when a `.bin` is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import exporting, keras_file
from lstmgen.errors import ModelFormatError, OptionError
from lstmgen.network import reference

h5py = pytest.importorskip("h5py")

Write = Callable[..., Path]
Make = Callable[..., Any]

SCRIPT = Path(__file__).parent.parent / "tools" / "export_h5.py"


@pytest.fixture
def make(write_h5: Write, lstm_arrays: Make) -> Write:
    """Return a function that writes a file: LSTM 3 > Dense."""

    def write(
        size: int = 4,
        outputs: int = 4,
        *,
        window: int | None = 5,
        activation: str = "softmax",
        **more: Any,
    ) -> Path:
        lstm = {"name": "lstm_1", "units": 3, "batch_input_shape": [None, window, size]}
        dense = {"name": "dense_1", "units": outputs, "activation": activation}
        weights = {
            "lstm_1": lstm_arrays("lstm_1", size, 3),
            "dense_1": {
                "dense_1/kernel:0": np.linspace(-1, 1, 3 * outputs).reshape(3, outputs),
                "dense_1/bias:0": np.zeros(outputs),
            },
        }
        return write_h5([("LSTM", lstm), ("Dense", dense)], weights, **more)

    return write


@pytest.fixture
def make_embedding(write_h5: Write, lstm_arrays: Make) -> Write:
    """Return a function that writes a file: Embedding > LSTM 3 > activation."""

    def write(ids: int = 4, activation: str = "softmax", mask: bool = False) -> Path:
        embedding = {"name": "e", "input_dim": ids, "output_dim": 2, "input_length": 5, "mask_zero": mask}
        embedding["batch_input_shape"] = [None, 5]
        weights = {"e": {"e/w:0": np.ones((ids, 2))}, "lstm_1": lstm_arrays("lstm_1", 2, 3)}
        layers = [("Embedding", embedding), ("LSTM", {"name": "lstm_1", "units": 3})]
        return write_h5([*layers, ("Activation", {"name": "a", "activation": activation})], weights)

    return write


@pytest.fixture
def facts(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    """Return a function that reads the keys of a `.bin`."""
    gguf = pytest.importorskip("gguf")

    def read(data: bytes) -> dict[str, Any]:
        path = tmp_path / "facts.bin"
        path.write_bytes(data)
        fields = gguf.GGUFReader(path).fields
        return {name.removeprefix("lstmgen."): field.contents() if field.data else [] for name, field in fields.items()}

    return read


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.tex"
    path.write_bytes(b"ba\r\nbaba\r")
    return path


Facts = Callable[[bytes], dict[str, Any]]


# -- encoding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "outputs", "activation", "expected"),
    [
        (4, 4, "softmax", "onehot"),
        (4, 4, "linear", "features"),
        (4, 4, "sigmoid", "features"),
        (4, 4, "tanh", "features"),
        (1, 4, "tanh", "features"),
        (1, 1, "softmax", "features"),
        (2, 4, "softmax", "features"),
    ],
)
def test_encoding_is_inferred(
    make: Write, facts: Facts, size: int, outputs: int, activation: str, expected: str
) -> None:
    found = facts(exporting.convert(make(size, outputs, activation=activation)))
    assert found["encoding"] == expected
    assert "predictor" not in found  # a network on features has no elements


@pytest.mark.parametrize("option", [{"vocab": list("abcd")}, {"prime": [1, 2]}, {"encoding": "onehot"}])
@pytest.mark.parametrize("activation", ["linear", "softmax"])
def test_what_only_a_generator_has_makes_one_of_a_linear_output(
    make: Write, facts: Facts, activation: str, option: Any
) -> None:
    assert facts(exporting.convert(make(activation=activation), **option))["encoding"] == "onehot"


def test_what_a_regression_is_taken_for_is_said(make: Write) -> None:
    path = make(activation="linear")
    model = lstmgen.Model(path)
    assert not model.generates
    assert model.assumed[0].startswith(
        "it predicts and does not generate: its 4 outputs are linear, as in a regression"
    )
    assert lstmgen.Model(path, encoding="onehot").assumed[0] == (
        "its 4 linear outputs are logits, as trained with from_logits=True"
    )


@pytest.mark.parametrize(
    ("option", "value"), [("vocab", list("abcd")), ("prime", [0]), ("padding", "zeros"), ("input_values", "id")]
)
def test_option_of_a_generator_is_refused_by_a_predictor(make: Write, option: Any, value: Any) -> None:
    named: Any = {option: value}
    reason = f"{option}: expected a network that generates, found one that predicts: 2 numbers a step enter, 4"
    with pytest.raises(ValueError, match=reason):
        exporting.convert(make(2, 4), **named)


def test_encoding_of_an_embedding_is_index(make_embedding: Write, facts: Facts) -> None:
    assert facts(exporting.convert(make_embedding()))["encoding"] == "index"


def test_encoding_may_be_given(make: Write, facts: Facts) -> None:
    path = make(1, 4, activation="linear")
    assert facts(exporting.convert(path, encoding="scaled"))["encoding"] == "scaled"


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("onehot", "the network has 2 inputs and 4 outputs"),
        ("scaled", "the network takes 2 numbers per step, not 1"),
        ("index", "the network does not begin with an Embedding"),
        ("letters", "encoding: expected one of onehot, index, scaled, raw, features"),
    ],
)
def test_encoding_that_contradicts_the_network_is_refused(make: Write, encoding: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exporting.convert(make(2, 4), encoding=encoding)


@pytest.mark.parametrize("ids", [2, 5])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_embedding_of_other_ids_than_outputs_predicts(
    make_embedding: Write, facts: Facts, ids: int, activation: str
) -> None:
    words = [f"word{i}" for i in range(ids)]
    data = exporting.convert(make_embedding(ids, activation), vocab=words)
    found = facts(data)
    assert (found["encoding"], found["predictor"], found["vocabulary"]) == ("index", True, words)
    model = lstmgen.Model(data)
    assert model.predict([[0, 1, 1]]).shape == (1, 3)
    with pytest.raises(ValueError, match="a predictor does not generate, since its outputs are no elements"):
        lstmgen.Generator(model)


def test_embedding_of_more_ids_than_outputs_generates_with_a_vocabulary_of_the_outputs(
    make_embedding: Write, facts: Facts
) -> None:
    found = facts(exporting.convert(make_embedding(5), vocab=list("abc")))
    assert (found["vocabulary"], "predictor" in found) == (["a", "b", "c"], False)


# -- vocabulary ------------------------------------------------------------------------------------


def test_vocabulary_may_be_a_list(make: Write, facts: Facts) -> None:
    found = facts(exporting.convert(make(), vocab=["b", "a", "語", " "]))
    assert (found["vocabulary"], found["vocabulary_kind"]) == (["b", "a", "語", " "], "text")


@pytest.mark.parametrize(
    "content",
    [
        ["b", "a", "c", "d"],
        {"d": 3, "b": 0, "a": 1, "c": 2},
        {"3": "d", "0": "b", "1": "a", "2": "c"},
    ],
)
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_vocabulary_may_be_a_json_file(make: Write, facts: Facts, tmp_path: Path, content: Any, start: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(start + json.dumps(content), encoding="utf-8")
    assert facts(exporting.convert(make(), vocab=path))["vocabulary"] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[[1], null]", r"v\.json: the vocabulary has 1 elements"),
        ('["a", 2]', r"v\.json: element 1: expected text, found 2"),
        ('["a", ""]', r"v\.json: element 1: expected text, found ''"),
        ("3", r"v\.json: expected a list or an object, found int"),
        ('{"a": 2, "b": 3}', r"v\.json: expected the indices 0 to 1, found none for 0"),
        ('{"a": 0, "b": 0}', r"v\.json: 'a' and 'b' have index 0; expected an index for each element, not how often"),
        ('{"a": 0.5}', r"v\.json: expected an index beside 'a', found 0.5"),
        ('{"a": "b"}', r"v\.json: expected an index beside 'a', found 'b'"),
        ("[", r"v\.json: not JSON"),
        ("[" * 100_000, r"v\.json: JSON that is nested too deeply"),
    ],
)
def test_bad_vocabulary_file_is_refused(make: Write, tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=reason):
        exporting.convert(make(), vocab=path)


def test_vocabulary_file_that_is_not_utf8_is_refused(make: Write, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_bytes(b'["\xff"]')
    with pytest.raises(ValueError, match=r"v\.json: not UTF-8"):
        exporting.convert(make(), vocab=tmp_path / "v.json")


@pytest.mark.parametrize("option", ["vocab", "vocab_from"])
def test_missing_vocabulary_file_is_named(make: Write, option: Any) -> None:
    named: Any = {option: "no/such.json"}
    with pytest.raises(FileNotFoundError, match=r"no/such\.json"):
        exporting.convert(make(), **named)


def test_corpus_gives_vocabulary_and_prime(make: Write, facts: Facts, corpus: Path) -> None:
    found = facts(exporting.convert(make(), vocab_from=corpus))
    assert found["vocabulary"] == ["\n", "\r", "a", "b"]  # no line end is translated
    assert found["vocabulary_kind"] == "text"
    assert found["prime"] == [3, 2, 1, 0, 3]  # the first 5 characters


def test_corpus_gives_the_prime_of_a_model_without_a_window(make: Write, facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("abcd" * 20)
    data = exporting.convert(make(window=None), vocab_from=tmp_path / "c.txt")
    assert facts(data)["prime"] == [0, 1, 2, 3] * 10
    assert "the default prime is the first 40 elements of the sequence given" in lstmgen.Model(data).assumed


def test_corpus_that_is_not_utf8_is_refused(make: Write, tmp_path: Path) -> None:
    (tmp_path / "c.tex").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"c\.tex: not UTF-8"):
        exporting.convert(make(), vocab_from=tmp_path / "c.tex")


def test_vocabulary_of_another_size_is_refused_with_both_sizes(make: Write, corpus: Path) -> None:
    with pytest.raises(ValueError, match=r"corpus\.tex: .* 4 elements, .* 7 outputs"):
        exporting.convert(make(7, 7), vocab_from=corpus)


def test_vocabulary_and_corpus_together_are_refused(make: Write, corpus: Path) -> None:
    with pytest.raises(ValueError, match="vocab and vocab_from: give one of the two"):
        exporting.convert(make(), vocab=list("abcd"), vocab_from=corpus)


def test_lower_cased_corpus_gives_vocabulary_and_prime(make: Write, facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "c.tex").write_bytes("BaÄ ÄBBA".encode("latin-1"))
    found = facts(exporting.convert(make(), vocab_from=tmp_path / "c.tex", lower=True, charset="latin-1"))
    assert found["vocabulary"] == [" ", "a", "b", "ä"]
    assert found["prime"] == [2, 1, 3, 0, 3]


@pytest.mark.parametrize("option", [{"lower": True}, {"charset": "latin-1"}])
def test_option_of_a_corpus_without_one_is_refused(make: Write, option: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))}: expected a corpus, vocab_from, too"):
        exporting.convert(make(), vocab=list("abcd"), **option)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"vocab": 5}, "vocab: expected a path, a list of elements, or an object"),
        ({"vocab_from": 5}, "vocab_from: expected a path, found 5"),
        ({"vocab_from": "c", "lower": "yes"}, "lower: expected True or False, found 'yes'"),
        ({"vocab_from": "c", "charset": 8}, "charset: expected a name such as 'latin-1', found 8"),
        ({"prime": 5}, "prime: expected text, elements or ids, found 5"),
        ({"prime": [0.5]}, "prime: element at position 0: expected a str or an id, found 0.5"),
        ({"prime": [0.5], "vocab": list("abcd")}, "prime: element at position 0: expected a str or an id, found 0.5"),
        ({"card": 5}, "card: expected a mapping or the text of a JSON object, found 5"),
    ],
)
def test_option_of_the_wrong_kind_says_what_was_expected(make: Write, options: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        exporting.convert(make(), **options)


def test_padding_is_stored_and_warned_of(make: Write, facts: Facts) -> None:
    with pytest.warns(UserWarning, match="vocab: the indices start at 1: id 0 is taken as padding") as warned:
        found = facts(exporting.convert(make(), vocab={"a": 1, "b": 2, "c": 3}))
    assert (found["vocabulary"], found["vocabulary_kind"], found["padding"]) == (["", "a", "b", "c"], "text", 0)
    assert [warning.filename for warning in warned] == [__file__]


def test_no_padding_is_stored_without_one(make: Write, facts: Facts) -> None:
    assert "padding" not in facts(exporting.convert(make(), vocab=list("abcd")))


def test_export_warns_of_what_it_assumes(make: Write, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="id 0 is taken as padding") as warned:
        exporting.export(make(), tmp_path / "m.bin", vocab={"a": 1, "b": 2, "c": 3})
    assert [warning.filename for warning in warned] == [__file__]


def test_notes_give_vocabulary_and_prime(make: Write, facts: Facts) -> None:
    notes = ["C4", "4.7", "C4", "B-3", "E5", "4.7", "C4"]
    with pytest.warns(UserWarning, match="a list with repetitions"):
        found = facts(exporting.convert(make(), vocab=notes))
    assert found["vocabulary"] == ["4.7", "B-3", "C4", "E5"]
    assert (found["vocabulary_kind"], found["prime"]) == ("tokens", [2, 0, 2, 1, 3])


def test_corpus_of_tokens_has_a_prime(make: Write, facts: Facts, corpus: Path) -> None:
    found = facts(exporting.convert(make(), vocab_from=corpus, vocabulary_kind="tokens"))
    assert (found["vocabulary_kind"], found["prime"]) == ("tokens", [3, 2, 1, 0, 3])


def test_longer_elements_are_tokens_unless_told(make: Write, facts: Facts) -> None:
    path, vocab = make(), ["C4", "D4", "E4", "F"]
    assert facts(exporting.convert(path, vocab=vocab))["vocabulary_kind"] == "tokens"
    told = exporting.convert(path, vocab=vocab, vocabulary_kind="text")
    assert facts(told)["vocabulary_kind"] == "text"


def test_kind_without_a_vocabulary_is_refused(make: Write) -> None:
    with pytest.raises(ValueError, match="vocabulary_kind: expected a vocabulary"):
        exporting.convert(make(), vocabulary_kind="text")


# -- prime and window ------------------------------------------------------------------------------


@pytest.mark.parametrize("prime", ["dab", ["d", "a", "b"], [3, 0, 1], np.array([3, 0, 1])])
def test_prime_may_be_text_elements_or_ids(make: Write, facts: Facts, prime: Any) -> None:
    found = facts(exporting.convert(make(), vocab=list("abcd"), prime=prime))
    assert found["prime"] == [3, 0, 1]


def test_prime_of_ids_needs_no_vocabulary(make: Write, facts: Facts) -> None:
    assert facts(exporting.convert(make(), prime=[3, 0]))["prime"] == [3, 0]


def test_prime_replaces_that_of_the_corpus(make: Write, facts: Facts, corpus: Path) -> None:
    assert facts(exporting.convert(make(), vocab_from=corpus, prime="ab"))["prime"] == [2, 3]


def test_empty_prime_means_none(make: Write, facts: Facts, corpus: Path) -> None:
    assert "prime" not in facts(exporting.convert(make(), vocab_from=corpus, prime=""))


@pytest.mark.parametrize(
    ("vocab", "prime", "reason"),
    [
        (list("abcd"), "abx", "prime: character 'x' .* at position 2 is not in the vocabulary"),
        (list("abcd"), [4], "prime: id at position 0: expected 0 to 3, found 4"),
        (None, "ab", "prime: text needs a vocabulary"),
        (None, [4], "prime: id 0: expected 0 to 3, found 4"),
    ],
)
def test_prime_outside_the_vocabulary_is_refused(make: Write, vocab: Any, prime: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exporting.convert(make(), vocab=vocab, prime=prime)


@pytest.mark.parametrize(
    ("size", "options"),
    [(4, {}), (1, {"encoding": "scaled"}), (1, {"encoding": "raw"}), (1, {"input_values": [9.0, 2.0, 4.0, 7.0]})],
)
def test_zeros_before_a_short_prime_are_those_of_the_loop(make: Write, size: int, options: Any) -> None:
    path = make(size, 4)
    generator = lstmgen.Generator(path, padding="zeros", **options)
    network = keras_file.read(path)
    encoded = reference.encode(network, generator.model.encoding, [3, 1], generator.model.input_values)
    want = reference.forward(network, np.concatenate([np.zeros((3, size)), encoded]))
    np.testing.assert_allclose(generator.probabilities([3, 1]), want, atol=1e-6)
    nothing = reference.forward(network, np.zeros((5, size)))
    assert len(generator.sample(20, seed=1)) == 20  # it starts without a prime
    np.testing.assert_allclose(generator.probabilities(), nothing, atol=1e-6)
    assert generator.model.zero_padding
    assert not any("shorter" in sentence for sentence in generator.model.assumed)


@pytest.mark.parametrize("padding", ["b", 1, "1"])
def test_element_before_a_short_prime_may_be_told(make_embedding: Write, padding: Any) -> None:
    path = make_embedding(3)
    generator = lstmgen.Generator(path, vocab=["a", "b", "c"], padding=padding)
    want = reference.forward(keras_file.read(path), [1, 1, 1, 2, 0])
    want[1] = 0  # padding is never drawn
    np.testing.assert_allclose(generator.probabilities("ca"), want / want.sum(), atol=1e-6)


def test_padding_of_none_reads_a_short_prime_as_it_is(make_embedding: Write) -> None:
    path = make_embedding(3, mask=True)
    assert lstmgen.Model(path).padding == 0
    generator = lstmgen.Generator(path, padding="none")
    assert generator.model.padding is None
    np.testing.assert_allclose(
        generator.probabilities([2, 1]), reference.forward(keras_file.read(path), [2, 1]), atol=1e-6
    )


@pytest.mark.parametrize(
    ("vocab", "padding", "reason"),
    [
        (["a", "b", "c"], "d", "padding: expected 'zeros', 'none', or an element of the vocabulary, an id from 0 to 2"),
        (["a", "b", "c"], "zeros", "padding='zeros': the network takes ids: give an id or an element"),
        ({"a": 1, "b": 2}, "none", "padding: expected 0, the only id that has no element, found 'none'"),
    ],
)
def test_padding_that_does_not_fit_is_refused(make_embedding: Write, vocab: Any, padding: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exporting.convert(make_embedding(3), vocab=vocab, padding=padding)


@pytest.mark.parametrize("start", ["<s>", "<start>", "[BOS]"])
@pytest.mark.filterwarnings("ignore:.*joined they are the text")
def test_start_of_a_text_is_the_default_prime(make: Write, facts: Facts, start: str) -> None:
    with pytest.warns(UserWarning, match="the default prime is .*, the start of a text"):
        assert facts(exporting.convert(make(), vocab=["a", "b", start, "c"]))["prime"] == [2]


def test_model_without_a_window_starts_from_its_padding(make: Write, facts: Facts) -> None:
    with pytest.warns(UserWarning, match="id 0 is taken as padding"):
        assert facts(exporting.convert(make(window=None), vocab={"a": 1, "b": 2, "c": 3}))["prime"] == [0]


@pytest.mark.filterwarnings("ignore:.*joined they are the text")
def test_unknown_element_is_drawn_which_is_said(make: Write) -> None:
    model = lstmgen.Model(make(), vocab=["<UNK>", "a", "b", "c"])
    assert "'<UNK>' stands for what is not known, and is drawn like any other element" in model.assumed
    assert model.padding is None


def test_window_is_added_to_a_model_without_one(make: Write, facts: Facts, corpus: Path) -> None:
    found = facts(exporting.convert(make(window=None), window=3, vocab_from=corpus))
    assert (found["window"], found["prime"]) == (3, [3, 2, 1])


def test_window_that_agrees_is_accepted(make: Write, facts: Facts) -> None:
    assert facts(exporting.convert(make(window=5), window=5))["window"] == 5


def test_window_that_disagrees_is_refused(make: Write) -> None:
    with pytest.raises(ValueError, match="window: expected 5, as the model was saved with, found 6"):
        exporting.convert(make(window=5), window=6)


@pytest.mark.parametrize("window", [0.5, -1, True])
def test_window_that_is_no_length_is_refused(make: Write, window: Any) -> None:
    with pytest.raises(ValueError, match="window: expected an integer from 1 to 65536"):
        exporting.convert(make(window=None), window=window)


# -- facts -----------------------------------------------------------------------------------------


def test_facts_for_people_are_stored(make: Write, facts: Facts) -> None:
    texts: Any = {key: f"some {key}" for key in ("name", "description", "author", "license")}
    data = exporting.convert(make(), **texts, source_url="https://a.b", card={"bits": 1.5})
    found = facts(data)
    assert {key: found[f"general.{key}"] for key in texts} == texts
    assert found["general.source.url"] == "https://a.b"
    card = json.loads(found["card"])
    assert card.keys() == {"bits", "assumed"}
    assert card["bits"] == 1.5


@pytest.mark.parametrize("card", ["[1]", "{", "[" * 100_000])
def test_card_that_is_no_json_object_is_refused(make: Write, card: str) -> None:
    with pytest.raises(ValueError, match="card: "):
        exporting.convert(make(), card=card)


def test_unknown_option_is_refused(make: Write) -> None:
    options: Any = {"vocabulary": ["a"]}
    with pytest.raises(TypeError, match="export has no option vocabulary"):
        exporting.convert(make(), **options)


def test_ids_cannot_enter_a_network_of_one_number(write_h5: Write, lstm_arrays: Make) -> None:
    lstm = ("LSTM", {"name": "l", "units": 2, "batch_input_shape": [None, 4, 1]})
    dense = ("Dense", {"name": "d", "units": 3, "activation": "softmax"})
    arrays = {"l": lstm_arrays("l", 1, 2), "d": {"k": np.ones((2, 3)), "b": np.ones(3)}}
    with pytest.raises(ValueError, match="encoding='index': the network does not begin with an Embedding"):
        exporting.convert(write_h5([lstm, dense], arrays), encoding="index", vocab=["a", "b", "c"])


def test_a_window_may_be_an_integer_of_numpy(make: Write) -> None:
    path = make()
    window: Any = np.int64(lstmgen.Model(path).window)
    assert exporting.convert(path, window=window) == exporting.convert(path)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("window", np.float32(8)),
            ("window", np.bool_(True)),
            ("window", b"8"),
            ("output", b"d"),
            ("output", np.int64(5)),
        ),
        *(("heads", [b"d"]), ("config", np.float32(1)), ("config", {"class_name": object()})),
    ],
)
def test_what_json_does_not_have_is_an_error_of_the_option(make: Write, name: str, value: Any, trusted: bool) -> None:
    options: Any = {name: value, "trusted": trusted}
    with pytest.raises(OptionError, match=f"^{name}: expected .*, found "):
        exporting.convert(make(), **options)


@pytest.mark.parametrize("text", ["a line\nand more", "b" * 5000])
def test_a_text_that_stands_for_a_path_is_told(make: Write, text: str) -> None:
    with pytest.raises(OptionError, match=r"vocab_from: expected the path of the corpus; vocab=\.\.\. takes sorted"):
        exporting.convert(make(), vocab_from=text)
    with pytest.raises(OptionError, match="vocab: expected a path, or the elements in a list"):
        exporting.convert(make(), vocab=text)


def test_a_model_in_memory_is_told_how_to_become_a_file() -> None:
    class Sequential:
        def get_weights(self) -> list[Any]:
            return []

    for function in (exporting.convert, lstmgen.Model, lstmgen.Generator):
        with pytest.raises(TypeError, match=r"source: expected the path of a file, .*model\.save\('model\.keras'\)"):
            function(Sequential())  # type: ignore[arg-type]


def test_option_of_none_is_one_left_out(make: Write) -> None:
    options: Any = dict.fromkeys(exporting.ExportOptions.__annotations__)
    path = make()
    assert exporting.convert(path, **options) == exporting.convert(path)


def test_bytes_of_a_model_export_as_its_file(make: Write) -> None:
    path = make()
    assert exporting.convert(path.read_bytes()) == exporting.convert(path)


def test_model_without_a_recurrent_layer_is_refused(write_h5: Write) -> None:
    dense = {"name": "d", "units": 2, "batch_input_shape": [None, 4, 2]}
    path = write_h5([("Dense", dense)], {"d": {"k": np.ones((2, 2)), "b": np.ones(2)}})
    with pytest.raises(ModelFormatError, match=r"model\.h5: the network has no recurrent layer"):
        exporting.convert(path)


# -- the file --------------------------------------------------------------------------------------


def test_export_writes_what_convert_gives(make: Write, tmp_path: Path) -> None:
    path = make()
    exporting.export(path, tmp_path / "m.bin", dtype="bf16")
    assert (tmp_path / "m.bin").read_bytes() == exporting.convert(path, dtype="bf16")


@pytest.mark.parametrize("begins", [b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_export_over_another_model_of_keras_is_refused(make: Write, tmp_path: Path, begins: bytes) -> None:
    other = tmp_path / "trained"
    other.write_bytes(begins + b"the rest")
    with pytest.raises(ValueError, match="trained: the export would replace a model of Keras"):
        exporting.export(make(), other)
    assert other.read_bytes() == begins + b"the rest"


@pytest.mark.parametrize("argument", ["vocab_from", "vocab", "neither"])
def test_export_over_a_file_that_is_no_model_is_refused(make: Write, tmp_path: Path, argument: str) -> None:
    other = tmp_path / "corpus.txt"
    other.write_text("ab")  # such as the corpus, which stands where the output should
    options: Any = {} if argument == "neither" else {argument: other}
    with pytest.raises(ValueError, match=r"corpus\.txt: the export would replace a file that is no \.bin"):
        exporting.export(make(), other, **options)
    assert other.read_text() == "ab"


@pytest.mark.parametrize("before", [b"", b"GGUF of before"])
def test_export_replaces_an_empty_file_and_a_bin(make: Write, tmp_path: Path, before: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(before)
    path = make()
    exporting.export(path, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == exporting.convert(path)


def test_export_over_the_model_itself_is_refused(make: Write) -> None:
    path = make()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"model\.h5: the export would replace its own source"):
        exporting.export(path, path)
    assert path.read_bytes() == before


def test_export_that_fails_leaves_the_old_file(make: Write, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"GGUF, old")
    with pytest.raises(ValueError, match="encoding"):
        exporting.export(make(), tmp_path / "m.bin", encoding="index")
    assert (tmp_path / "m.bin").read_bytes() == b"GGUF, old"


def test_large_model_takes_few_steps_and_little_memory(write_h5: Write, lstm_arrays: Make) -> None:
    lstm = ("LSTM", {"name": "l", "units": 1024, "batch_input_shape": [None, 50, 92]})
    path = write_h5([lstm], {"l": lstm_arrays("l", 92, 1024)})
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    exporting.convert(path)
    sys.setprofile(None)
    print(f"{calls} calls and returns")
    assert calls < 100_000  # the model has 4.6 million weights: there is no loop over them
    for dtype in ("f32", "bf16"):
        tracemalloc.start()
        exporting.convert(path, dtype=dtype)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * path.stat().st_size


# -- the script ------------------------------------------------------------------------------------


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_script_exports_on_a_mere_checkout(make: Write, tmp_path: Path, corpus: Path) -> None:
    path, out = make(), tmp_path / "m.bin"
    done = script(path, out, "--vocab-from", corpus, "--dtype", "bf16", "--name", "x")
    assert (done.returncode, done.stdout) == (0, "")
    *assumed, last, following = done.stderr.splitlines()
    assert following == f"next: lstmgen sample {out} --length 200"
    assert [line.split(": ")[0] for line in assumed] == ["assumed"] * 3
    assert last == f"{out}: {out.stat().st_size:,} bytes"
    expected = exporting.convert(path, vocab_from=corpus, dtype="bf16", name="x")
    assert out.read_bytes() == expected


def test_script_needs_neither_keras_nor_the_native_module(make: Write, tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        "for name in ('keras', 'tensorflow', 'lstmgen._core'): sys.modules[name] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code, str(SCRIPT), str(make()), str(tmp_path / "m.bin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "m.bin").read_bytes().startswith(b"GGUF")


def test_script_takes_all_options(make: Write, tmp_path: Path) -> None:
    vocab, card = tmp_path / "v.json", tmp_path / "card.json"
    vocab.write_text('["a", "b", "c", "d"]')
    card.write_text('{"bits": 1.5}')
    path, out = make(window=None), tmp_path / "m.bin"
    facts: Any = {key: f"some {key}" for key in ("name", "description", "author", "license")}
    arguments = [x for key, value in facts.items() for x in (f"--{key}", value)]
    arguments += ["--vocab", str(vocab), "--vocabulary-kind", "tokens", "--card", str(card)]
    arguments += ["--encoding", "onehot", "--prime", "a d", "--window", "9"]
    assert script(path, out, *arguments, "--source-url", "https://a.b").returncode == 0
    assert out.read_bytes() == exporting.convert(
        path,
        **facts,
        vocab=vocab,
        vocabulary_kind="tokens",
        card='{"bits": 1.5}',
        encoding="onehot",
        prime="a d",
        window=9,
        source_url="https://a.b",
    )


def test_script_says_what_it_assumes_a_line_each(make: Write, tmp_path: Path) -> None:
    vocab, out = tmp_path / "v.json", tmp_path / "m.bin"
    vocab.write_text('{"v": {"a": 1, "b": 2, "c": 3}}')
    done = script(make(), out, "--vocab", vocab)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"assumed: {vocab}: the vocabulary is its entry 'v'",
        f"assumed: {vocab}: v: the indices start at 1: id 0 is taken as padding, which is never drawn",
        "assumed: encoding onehot: the 4 numbers of a step stand for the same 4 elements",
        f"{out}: {out.stat().st_size:,} bytes",
        f"next: lstmgen sample {out} --length 200",
    ]


def test_script_says_that_there_is_no_vocabulary(make: Write, tmp_path: Path) -> None:
    done = script(make(), tmp_path / "m.bin")
    said = "no vocabulary: sample gives ids; --vocab-from or --vocab gives them names"
    assert done.returncode == 0
    assert said in done.stderr.splitlines()
    regression = script(make(2, 4), tmp_path / "m.bin")  # a regression does not generate
    assert (regression.returncode, regression.stderr.count("\n")) == (0, 2)  # bytes, and what comes next


def test_script_takes_the_options_of_a_corpus(make: Write, tmp_path: Path) -> None:
    path, text, out = make(), tmp_path / "c.tex", tmp_path / "m.bin"
    text.write_bytes("BaÄ ÄBBA".encode("latin-1"))
    assert script(path, out, "--vocab-from", text, "--lower", "--charset", "latin-1").returncode == 0
    assert out.read_bytes() == exporting.convert(path, vocab_from=text, lower=True, charset="latin-1")


def test_script_refuses_a_pickle_in_one_line(make: Write, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"\x80\x02cos\nsystem\n.")
    done = script(make(), tmp_path / "m.bin", "--vocab", tmp_path / "notes")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "notes: the pickle asks for os.system; " in done.stderr


def test_script_says_in_one_line_what_failed(tmp_path: Path) -> None:
    done = script(tmp_path / "no.h5", tmp_path / "m.bin")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"export_h5.py: {tmp_path}/no.h5: No such file or directory\n"


def test_script_refuses_a_broken_file_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"<html>")
    done = script(tmp_path / "bad.h5", tmp_path / "m.bin")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "bad.h5: an HTML" in done.stderr
    assert not (tmp_path / "m.bin").exists()


def test_script_refuses_wrong_usage() -> None:
    done = script("model.h5", "m.bin", "--dtype", "int4")
    assert done.returncode == 2
    assert "--dtype" in done.stderr


# -- real models -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("polynom.h5", "features"),
        ("shakespeare_lstm.h5", "onehot"),
        ("traffic_lstm.h5", "features"),
    ],
)
def test_real_file_is_exported(zoo: Path, facts: Facts, name: str, encoding: str) -> None:
    assert facts(exporting.convert(zoo / name))["encoding"] == encoding
