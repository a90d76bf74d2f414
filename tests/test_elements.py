"""How elements enter a network, and what fills a short window.

Both are told, measured or assumed, and each assumption is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import elements
from lstmgen.cli import main as cli
from lstmgen.network import Network, reference
from support.networks import network
from support.slow import slow_but

CYCLE = np.tile(np.arange(12), 200)
PITCHES = np.arange(48.0, 60.0)
LEARNT = 0.03  # nats an element


@pytest.fixture(scope="session")
def trained(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that trains LSTM 48 > Dense 12 and returns its file.

    The network counts to 12. A rule gives the numbers that it is fed.
    """
    made: dict[str, Path] = {}

    def train(rule: str) -> Path:
        if rule not in made:
            keras.utils.set_random_seed(1)
            numbers = elements.RULES[rule](np.arange(12.0), PITCHES)
            x = np.lib.stride_tricks.sliding_window_view(numbers[CYCLE[:17]], 6)[:, :, None].astype(np.float32)
            layers = [keras.layers.Input((6, 1)), keras.layers.LSTM(48), keras.layers.Dense(12, activation="softmax")]
            model = keras.Sequential(layers)
            model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
            steps = 0
            while model.train_on_batch(x, CYCLE[6:18]) > LEARNT:  # the 12 windows that there are
                steps += 1
                assert steps < 10_000, f"{rule}: not learnt"
            made[rule] = tmp_path_factory.mktemp("trained") / "counts.keras"
            model.save(made[rule])
        return made[rule]

    return train


def after_3_to_8(source: Path, **options: Any) -> int:
    return int(lstmgen.Generator(source, **options).probabilities([3, 4, 5, 6, 7, 8]).argmax())


# -- how a number enters, in trained networks ------------------------------------------------------


def test_encoding_raw_is_the_id_itself(trained: Any) -> None:
    assert after_3_to_8(trained("id"), encoding="raw") == 9
    assert after_3_to_8(trained("id"), encoding="scaled") != 9


@pytest.mark.parametrize(("rule", "encoding"), [("id", "raw"), ("id/n", "scaled")])
def test_encoding_of_a_trained_network_is_told_without_a_sequence(trained: Any, rule: str, encoding: str) -> None:
    with pytest.warns(UserWarning, match=f"encoding {encoding} .* bits of the next element depend on the window"):
        model = lstmgen.Model(trained(rule))
    assert model.encoding == encoding
    assert int(lstmgen.Generator(model).probabilities([3, 4, 5, 6, 7, 8]).argmax()) == 9
    assert any("say otherwise" in sentence for sentence in model.assumed)


@pytest.mark.parametrize(
    "rule",
    slow_but({"id", "id/n"}, ["id", "id/n", "number", "number/127", "id/(n/2)-1"], "trains one more network"),
)
@pytest.mark.parametrize("given", slow_but({"text"}, ["numbers", "text"], "asks the same networks again"))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_likeliest_encoding_is_taken_where_a_sequence_is_at_hand(trained: Any, rule: str, given: str) -> None:
    notes: Any = [int(PITCHES[i]) for i in CYCLE[:100]]
    vocab = notes if given == "numbers" else [str(note) for note in notes]
    generator = lstmgen.Generator(trained(rule), vocab=vocab)
    assert generator.model.vocabulary is not None
    assert generator.model.vocabulary.elements == tuple(map(str, range(48, 60)))
    assert generator.probabilities([str(pitch) for pitch in range(51, 57)]).argmax() == 9
    (said,) = [sentence for sentence in generator.model.assumed if sentence.startswith("encoding ")]
    assert said.startswith(f"encoding {elements.described(rule, 12)}: 0.0")
    assert " bits an element on its sequence, against " in said
    assert rule == "id/n" or f" for {elements.described('id/n', 12)}" in said


@pytest.mark.parametrize("rule", ["id", "id/n"])
def test_prime_is_a_sequence_too(trained: Any, rule: str) -> None:
    with pytest.warns(UserWarning, match="bits an element on the prime, against"):
        assert after_3_to_8(trained(rule), prime=list(range(10))) == 9


@pytest.mark.parametrize("rule", ["id", "id/n"])
def test_sample_takes_the_likelier_encoding_of_its_prime_and_says_so(
    trained: Any, rule: str, capfd: pytest.CaptureFixture[str]
) -> None:
    prime = ",".join(map(str, range(9)))
    assert cli.main(["sample", str(trained(rule)), "--prime-ids", prime, "--temp", "0", "--length", "5"]) == 0
    out, err = capfd.readouterr()
    assert out == "9 10 11 0 1\n"
    assert f"assumed: encoding {elements.described(rule, 12)}: 0.0" in err


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_elements_in_the_order_of_text_are_put_in_that_of_numbers(trained: Any) -> None:
    vocab = [str(i) for i in CYCLE[:100]]  # "10" sorts before "2"
    model = lstmgen.Model(trained("id"), vocab=vocab)
    assert model.vocabulary is not None
    assert model.vocabulary.elements == tuple(map(str, range(12)))
    assert any("the ids are in the order of the numbers" in sentence for sentence in model.assumed)


def test_raw_with_a_vocabulary_of_numbers_is_the_number_or_the_id(trained: Any) -> None:
    vocab = [str(pitch) for pitch in range(48, 60)]
    for rule, values in (("number", tuple(PITCHES)), ("id", None)):
        with pytest.warns(UserWarning, match="encoding raw"):
            model = lstmgen.Model(trained(rule), vocab=vocab, encoding="raw")
        assert model.input_values == values
        model = lstmgen.Model(
            trained(rule), vocab=vocab, input_values=rule
        )  # the option gives it, so that nothing is assumed
        assert (model.encoding, model.input_values) == ("raw", values)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_int8_predicts_the_same_from_ids_and_from_the_numbers(trained: Any) -> None:
    ids = CYCLE[:60].reshape(10, 6)
    for rule in ("id", "number/127"):
        model = lstmgen.Model(trained(rule), vocab=[str(int(p)) for p in PITCHES], input_values=rule, dtype="int8")
        numbers = elements.RULES[rule](np.arange(12.0), PITCHES).astype(np.float32)
        np.testing.assert_array_equal(model.predict(ids), model.predict(numbers[ids][..., None]))


def test_input_values_may_be_given_one_by_one(trained: Any) -> None:
    model = lstmgen.Model(trained("number"), input_values=PITCHES.tolist())
    assert model.input_values == tuple(PITCHES)
    assert int(lstmgen.Generator(model).probabilities([3, 4, 5, 6, 7, 8]).argmax()) == 9


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"input_values": "pitch"}, "input_values: expected 12 numbers or one of id/n, id, number, .* found 'pitch'"),
        ({"input_values": "number"}, "input_values='number': the elements are not numbers"),
        ({"input_values": [1, 2]}, "input_values: expected 12 numbers, one for each element"),
        (
            {"input_values": [float("nan")] * 12},
            "input_values: expected a finite float32 number for element 0, found nan",
        ),
        ({"input_values": "id", "encoding": "scaled"}, "input_values: expected encoding='raw', found 'scaled'"),
        ({"encoding": "onehot"}, "encoding='onehot': the network has 1 inputs and 12 outputs"),
    ],
)
def test_encoding_that_does_not_fit_is_refused(trained: Any, options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        lstmgen.Model(trained("id"), **options)


@pytest.mark.parametrize("values", [5, b"12", [None] * 12, ["a"] * 12])
def test_input_values_of_another_kind_are_refused(trained: Any, values: Any) -> None:
    with pytest.raises(TypeError, match="input_values: expected 12 numbers"):
        lstmgen.Model(trained("id"), input_values=values)


# -- how a number enters, measured -----------------------------------------------------------------


def drawn(of: Network, encoding: elements.Encoding, count: int) -> list[int]:
    """Return what a network generates when elements enter by an encoding."""
    rng = np.random.default_rng(3)
    ids: list[int] = rng.integers(0, of.outputs, of.window).tolist()
    for _ in range(count):
        y = reference.forward(of, reference.encode(of, encoding.name, ids[-of.window :], encoding.values))
        ids.append(int(rng.choice(of.outputs, p=y / y.sum())))
    return ids[of.window :]


def peaked() -> Network:
    """Return a random network whose next element depends on the last ones."""
    return network([("lstm", 24), ("dense", 12, "softmax")], inputs=1, window=5, scale=3.0)


def test_a_sequence_is_likelier_by_the_way_it_was_drawn() -> None:
    of = peaked()
    ways = {rule: elements.by_rule(rule, 12, PITCHES) for rule in ("id/n", "id", "number/127")}
    for rule, way in ways.items():
        sequence = drawn(of, way, 150)
        scores = {other: elements.bits(of, way_of, sequence) for other, way_of in ways.items()}
        assert min(scores, key=lambda other: scores[other] or 0.0) == rule, scores


def test_bits_are_those_of_score() -> None:
    of = peaked()
    sequence = drawn(of, elements.Encoding("raw"), 40)
    logs = []
    for end in range(of.window, len(sequence)):
        y = reference.forward(of, reference.encode(of, "raw", sequence[end - of.window : end]))
        logs.append(-np.log2(y[sequence[end]] / y.sum()))
    found = elements.bits(of, elements.Encoding("raw"), sequence)
    assert found == pytest.approx(np.mean(logs), rel=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_short_a_sequence_tells_nothing(count: int) -> None:
    assert elements.bits(peaked(), elements.Encoding("raw"), [0] * count) is None


def test_without_a_dependence_the_most_common_encoding_is_assumed() -> None:
    of = network([("lstm", 4), ("dense", 12, "softmax")], inputs=1, window=5, scale=0.01)
    encoding, (said,) = elements.number_encoding(of, None, None, [], "nothing")
    assert encoding.name == "scaled"
    assert said.doubtful
    assert "with it 0.00 bits of the next element depend on the window, with raw (the id itself) 0.00" in said.text


def test_a_sequence_that_nothing_predicts_is_said() -> None:
    of = network([("lstm", 4), ("dense", 12, "softmax")], inputs=1, window=5, scale=0.01)
    likely = reference.forward(of, np.zeros((5, 1))).argmin()
    _, (said,) = elements.number_encoding(of, None, None, [int(likely)] * 60, "notes.json")
    assert "no way for a number to enter predicts notes.json better than chance" in said.text


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["60", "62"], [60, 62]),
        (["-0.5", "1e3"], [-0.5, 1000]),
        (["60", "C4"], None),
        (["1_0", "2"], None),
        (["nan", "1"], None),
        (["inf", "1"], None),
    ],
)
def test_own_numbers_are_those_that_all_elements_are(names: list[str], numbers: Any) -> None:
    found = elements.own_numbers(names)
    assert numbers is None if found is None else found.tolist() == numbers


# -- what fills a short window ---------------------------------------------------------------------


def masked(mask: bool = True, **more: Any) -> Network:
    """Return an Embedding whose mask the LSTM heeds, if it has one."""
    specs: Any = [("embedding", 3), ("mask", 0.0), ("lstm", 5), ("dense", 6, "softmax")]
    if not mask:
        return network([specs[0], *specs[2:]], inputs=6, window=4, **more)
    return network(specs, inputs=6, window=4, reads={1: (-1,), 2: (0, 1)}, **more)


WORDS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("first", "mask", "padding"),
    [
        ("<PAD>", False, 0),
        ("<pad>", False, 0),
        ("[PAD]", False, 0),
        ("PAD", False, 0),
        ("_PAD_", False, 0),
        ("<padding>", False, 0),
        ("UNK", True, 0),
        ("<unk>", True, 0),
        ("[OOV]", True, 0),
        ("UNK", False, None),
        ("the", True, None),
        ("the", False, None),
        ("padded", False, None),
    ],
)
def test_padding_is_told_by_its_name_or_by_a_mask(first: str, mask: bool, padding: int | None) -> None:
    found, said = elements.padding_of(masked(mask), "index", [first, *WORDS], ())
    assert found == elements.Padding(padding)
    assert len(said) == int(padding is not None or mask)


def test_padding_has_any_place_if_its_name_leaves_no_doubt() -> None:
    assert elements.padding_of(masked(False), "index", ["<unk>", "<pad>", *WORDS[:4]], ())[0].id == 1
    assert elements.padding_of(masked(False), "index", ["<unk>", "pad", *WORDS[:4]], ())[0].id is None


def test_masked_id_without_a_vocabulary_is_padding() -> None:
    found, (said,) = elements.padding_of(masked(), "index", None, ())
    assert found.id == 0
    assert "id 0 fills a short window and is never drawn: the Embedding masks it" in said.text


def test_masked_element_of_the_corpus_is_no_padding_which_is_said() -> None:
    found, (said,) = elements.padding_of(masked(), "index", ["<s>", *WORDS], ["a", "<s>", "b"])
    assert found.id is None
    assert said.doubtful
    assert "'<s>', is an element like any other, although the Embedding masks it" in said.text


def test_masked_zeros_fill_the_windows_of_one_hot_vectors() -> None:
    of = network([("mask", 0.0), ("lstm", 5), ("dense", 6, "softmax")], inputs=6, window=4, reads={1: (-1, 0)})
    found, said = elements.padding_of(of, "onehot", None, ())
    assert found == elements.Padding(zeros=True)
    assert [one.text for one in said] == ["zero vectors fill a short window: the network masks them"]


@pytest.mark.parametrize(
    ("padding", "found"),
    [
        ("zeros", elements.Padding(zeros=True)),
        ("none", elements.Padding()),
        ("c", elements.Padding(2)),
        ("3", elements.Padding(3)),
        (3, elements.Padding(3)),
        (np.int64(0), elements.Padding(0)),
    ],
)
def test_padding_may_be_told(padding: Any, found: elements.Padding) -> None:
    assert elements.given_padding(padding, WORDS, 5) == found


@pytest.mark.parametrize("padding", ["f", "5", 5, -1, True, 1.0])
def test_padding_that_is_no_element_is_refused(padding: Any) -> None:
    with pytest.raises(
        ValueError, match="padding: expected 'zeros', 'none', or an element of the vocabulary, an id from 0"
    ):
        elements.given_padding(padding, WORDS, 5)


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["a", "<s>"], "<s>"),
        (["<start>", "a"], "<start>"),
        (["[BOS]"], "[BOS]"),
        (["<|startoftext|>"], "<|startoftext|>"),
        (["startseq"], "startseq"),
        (["s", "start", "go"], None),
        (None, None),
    ],
)
def test_start_of_a_text_has_a_name(names: Any, start: str | None) -> None:
    assert elements.start_element(names) == start
