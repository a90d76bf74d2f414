"""The ways in which an element enters.

There are raw numbers, zeros in place of elements, networks that only predict, and one-hot rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmgen
from lstmgen import _core, keras_file
from lstmgen.binfile import rounding, writer
from lstmgen.network import NETWORK_INPUT, Network, reference
from support.networks import network, packed
from support.slow import instruction_sets

# Padding is also tried with carried state.
pytestmark = pytest.mark.filterwarnings("ignore:carried state gives another model:UserWarning")

T = 7
PITCHES = [60.0, 62.0, -1.5, 64.0, 65.0, 67.0, 69.0, 71.0, 72.0, 0.25, 48.0]
HEAD = ("dense", 11, "softmax")

# The layers before the last, what they read, and other options of `network`.
Body = tuple[list[Any], dict[int, tuple[int, ...]], dict[str, Any]]
BOTH_WAYS: Body = (
    [("lstm", 9), ("reverse",), ("lstm", 8), ("concatenate",)],
    {1: (NETWORK_INPUT,), 2: (1,), 3: (0, 2)},
    {"vectors": {0, 2}},
)

BODIES: dict[str, Body] = {
    "two lstm": ([("lstm", 20), ("lstm", 17)], {}, {}),
    "gru of Keras 2": ([("gru", 9, "elu", "sigmoid", False)], {}, {}),
    "simple_rnn": ([("simple_rnn", 9)], {}, {}),
    "dense first": ([("dense", 7, "tanh"), ("lstm", 9)], {}, {}),
    "masked zeros": ([("mask", 0.0), ("gru", 9), ("lstm", 8)], {1: (NETWORK_INPUT, 0), 2: (1, 0)}, {}),
    "both ways": BOTH_WAYS,
    "flattened": ([("lstm", 5), ("reshape", 0, 5 * T)], {}, {"sequences": True}),
}


def of(body: str, inputs: int, **options: Any) -> Network:
    layers, reads, more = BODIES[body]
    return network([*layers, HEAD], inputs, T, reads=reads, scale=0.7, **more, **options)


def inputs_of(encoding: str) -> int:
    return 11 if encoding == "onehot" else 1


def exact(net: Network, encoding: str, ids: Sequence[int], values: Sequence[float] | None = None) -> NDArray[Any]:
    """Return the output in float64 for the last T elements, after zeros where there are fewer."""
    rows = reference.encode(net, encoding, ids[-T:], values)
    zeros = np.zeros((T - len(rows), net.input_size), np.float32)
    return np.asarray(reference.forward(net, np.concatenate([zeros, rows])), np.float64)


def elements(n: int) -> list[int]:
    return [i * 5 % 11 for i in range(n)]


def draw_many(model: lstmgen.Model, prime: list[int], refresh: int) -> None:
    """Return the engine's answer where the package would answer first."""
    ids = np.array(prime, np.uint32)
    _core.sample_many(model._native, [ids], [{"seed": 1}], length=5, stops=[], refresh=refresh, threads=1)


# -- raw numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [None, PITCHES])
@pytest.mark.parametrize("dtype", rounding.DTYPES)
@pytest.mark.parametrize("body", BODIES)
def test_a_raw_element_enters_as_its_number(body: str, dtype: str, values: list[float] | None) -> None:
    net = of(body, 1, seed=3)
    model = lstmgen.Model(packed(net, encoding="raw", input_values=values, dtype=dtype))
    assert (model.encoding, model.input_values, model.input_shape) == ("raw", values and tuple(values), (None, T, 1))
    ids = np.array([elements(T), [*elements(T)[::-1]]])
    numbers = np.array(PITCHES if values else np.arange(11.0), np.float32)[ids][..., None]
    assert np.array_equal(model.predict(ids), model.predict(numbers))
    wanted = reference.forward(rounding.rounded(net, dtype), numbers)
    within = {"f32": 1e-5}.get(dtype, rounding.ROUNDING_TOLERANCE.get(dtype))
    assert np.abs(model.predict(ids) - wanted).max() <= (within or 0) * np.abs(wanted).max()


def test_a_raw_generator_feeds_back_the_numbers_of_what_it_draws() -> None:
    net = of("two lstm", 1)
    gen = lstmgen.Generator(packed(net, encoding="raw", input_values=PITCHES, vocabulary=None))
    ids = [int(i) for i in gen.sample(40, seed=1, include_prime=True)]
    for end in range(T, len(ids)):
        expected = exact(net, "raw", ids[:end], PITCHES)
        assert gen.probabilities(ids[:end]) == pytest.approx(expected, abs=1e-6)
    drawn = [int(i) for i in gen.sample(30, temp=0, prime=ids[:T])]
    for i, found in enumerate(drawn):
        assert found == exact(net, "raw", (ids[:T] + drawn)[: T + i], PITCHES).argmax()


@pytest.mark.parametrize("refresh", [1, 3, 50, None])
def test_raw_sequences_side_by_side_are_those_of_one(refresh: int | None) -> None:
    gen = lstmgen.Generator(packed(of("two lstm", 1), encoding="raw", input_values=PITCHES))
    many = gen.sample_many(4, 50, seed=5, refresh=refresh)
    assert many == [gen.sample(50, seed=5 + i, refresh=refresh) for i in range(4)]
    assert len(set(map(str, many))) == 4


def test_raw_numbers_are_those_of_keras(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential([keras.Input((T, 1)), layers.LSTM(24), layers.Dense(11, activation="softmax")])
    model.save(tmp_path / "raw.keras")
    net = keras_file.read(tmp_path / "raw.keras")
    for values in (None, PITCHES):
        gen = lstmgen.Generator(writer.pack(net, encoding="raw", input_values=values, zero_padding=True))
        for n in range(T + 3):
            ids = elements(n)[-T:]
            numbers = [PITCHES[i] if values else float(i) for i in ids]
            x = np.array([0.0] * (T - len(ids)) + numbers, np.float32)[None, :, None]
            expected = model.predict(x, verbose=0)[0]
            assert gen.probabilities(elements(n)) == pytest.approx(expected, abs=2e-6)


def test_other_values_are_another_model_to_a_state() -> None:
    net = of("two lstm", 1)
    options: dict[str, Any] = {"vocabulary": None}
    made = [
        lstmgen.Generator(packed(net, encoding="scaled", **options)),
        lstmgen.Generator(packed(net, encoding="raw", **options)),
        lstmgen.Generator(packed(net, encoding="raw", input_values=PITCHES, **options)),
        lstmgen.Generator(packed(net, encoding="raw", input_values=PITCHES[::-1], **options)),
        lstmgen.Generator(packed(net, encoding="raw", zero_padding=True, **options)),
    ]
    for gen in made:
        state = gen.stream(seed=1).save_state()
        for other in made:
            if other is not gen:
                with pytest.raises(ValueError, match="of another model"):
                    other.stream(state=state)


# -- zeros in place of elements --------------------------------------------------------------------


def zero_padded(body: str, encoding: str, **options: Any) -> tuple[Network, lstmgen.Generator]:
    net = of(body, inputs_of(encoding))
    options = {"prime": None, "vocabulary": None, "zero_padding": True} | options
    return net, lstmgen.Generator(packed(net, encoding=encoding, **options))


@pytest.mark.parametrize("encoding", writer.PADDED_WITH_ZEROS)
@pytest.mark.parametrize("body", BODIES)
def test_zeros_fill_a_short_window(body: str, encoding: str) -> None:
    net, gen = zero_padded(body, encoding)
    assert gen.model.zero_padding
    for n in range(T + 3):
        found = gen.probabilities(elements(n))
        assert found == pytest.approx(exact(net, encoding, elements(n)), abs=1e-6)
        rows = reference.encode(net, encoding, elements(n)[-T:])
        x = np.concatenate([np.zeros((T - len(rows), net.input_size), np.float32), rows])
        assert found == pytest.approx(gen.model.predict(x[None])[0], abs=1e-6)


@pytest.mark.parametrize("encoding", writer.PADDED_WITH_ZEROS)
@pytest.mark.parametrize("body", BODIES)
def test_a_sample_from_nothing_is_the_loop_over_windows_that_start_with_zeros(body: str, encoding: str) -> None:
    net, gen = zero_padded(body, encoding)
    ids: list[int] = []
    for found in gen.sample(2 * T + 3, temp=0):
        assert found == exact(net, encoding, ids).argmax()
        ids.append(int(found))


def test_zeros_are_not_the_zero_state_nor_an_element() -> None:
    _, gen = zero_padded("two lstm", "scaled")
    windows, carried = gen.probabilities([3]), gen.probabilities([3], refresh=None)
    assert np.abs(windows - carried).max() > 1e-3
    _, gen = zero_padded("two lstm", "onehot")
    assert np.abs(gen.probabilities([3]) - gen.probabilities([0] * (T - 1) + [3])).max() > 1e-3


@pytest.mark.parametrize("refresh", [2, 3, T, 50])
def test_with_refresh_n_a_window_starts_every_n_elements_the_padding_among_them(refresh: int) -> None:
    net, gen = zero_padded("two lstm", "onehot")
    ids = elements(1)
    stream = gen.stream(40, temp=0, prime=ids, refresh=refresh)
    rows = np.zeros((T - 1, 11), np.float32)
    for step in range(40):
        begin = step // refresh * refresh
        x = np.concatenate([rows, reference.encode(net, "onehot", ids)])[begin:]
        ids.append(int(next(stream)))
        assert ids[-1] == reference.forward(net, x).argmax()


@pytest.mark.parametrize("padding", [{"zero_padding": True}, {"padding": 4}])
@pytest.mark.parametrize("body", ["two lstm", "both ways"])
def test_a_sequence_from_nothing_goes_on_as_one_from_its_first_element(body: str, padding: dict[str, Any]) -> None:
    gen = lstmgen.Generator(packed(of(body, 11), vocabulary=None, prime=None, **padding))
    for refresh in (1,) if body == "both ways" else (1, 3, 50):
        drawn = [int(i) for i in gen.sample(30, temp=0, refresh=refresh)]
        first = drawn[0]
        assert drawn[1:] == gen.sample(29, temp=0, refresh=refresh, prime=[first])
        assert first == gen.probabilities(refresh=refresh).argmax()


@pytest.mark.parametrize("padding", [{"zero_padding": True}, {"padding": 4}])
@pytest.mark.parametrize("body", ["two lstm", "both ways"])
def test_everything_starts_from_nothing_alike(body: str, padding: dict[str, Any]) -> None:
    gen = lstmgen.Generator(packed(of(body, 11), prime=None, vocabulary=list("abcdefghijk"), **padding))
    for refresh in (1,) if body == "both ways" else (1, 3, 50):
        text = gen.sample(30, seed=1, refresh=refresh)
        assert text == gen.sample(30, seed=1, refresh=refresh, prime="")
        assert text == "".join(map(str, gen.stream(30, seed=1, refresh=refresh)))
        assert gen.sample_many(3, 30, seed=1, refresh=refresh)[0] == text
        mixed = gen.sample_many(4, 30, seed=1, refresh=refresh, prime=["", "abc", "a", ""])
        assert mixed[0] == text
        assert mixed[1] == gen.sample(30, seed=2, refresh=refresh, prime="abc")

        async def drawn(refresh: int = refresh) -> str:
            return "".join([str(e) async for e in gen.astream(30, seed=1, refresh=refresh)])

        assert asyncio.run(drawn()) == text


def test_looking_at_the_first_distribution_changes_nothing() -> None:
    _, gen = zero_padded("two lstm", "onehot")
    for refresh in (1, 3, 50):
        one, other = (_core.Generator(gen.model._native, {"seed": 1}, refresh=refresh, threads=1) for _ in range(2))
        first = one.probabilities()
        assert first.sum() == pytest.approx(1)
        assert np.array_equal(first, one.probabilities())
        given = np.array([3, 1, 4], np.uint32)
        log_p = other.score(given[:1])
        assert log_p[0] == pytest.approx(np.log(first[3]))
        other.feed(given[1:])
        one.feed(given)
        assert one.sample(30).tolist() == other.sample(30).tolist()


@pytest.mark.parametrize("encoding", writer.PADDED_WITH_ZEROS)
@pytest.mark.parametrize("body", ["two lstm", "both ways"])
def test_a_state_holds_zeros_and_nothing(body: str, encoding: str) -> None:
    _, gen = zero_padded(body, encoding)
    for refresh in (1,) if body == "both ways" else (1, 3, T, 50):
        whole = gen.sample(30, seed=1, refresh=refresh)
        for n in (0, 1, 2, T + 2):
            stream = gen.stream(30, seed=1, refresh=refresh)
            begin = [next(stream) for _ in range(n)]
            other = lstmgen.Generator(gen.model).stream(state=stream.save_state())
            assert [*begin, *other.take(30 - n)] == whole


@pytest.mark.parametrize("padding", [{"zero_padding": True}, {"padding": 4}, {}])
def test_nothing_is_an_error_where_no_padding_comes(padding: dict[str, Any]) -> None:
    gen = lstmgen.Generator(packed(of("two lstm", 11), vocabulary=None, prime=None, **padding))
    for refresh in (None, 1, 3):
        if padding and refresh:
            continue
        for call in (gen.sample, gen.probabilities, lambda refresh: gen.sample_many(2, 5, refresh=refresh)):
            with pytest.raises(ValueError, match="no default prime"):
                call(refresh=refresh)
        with pytest.raises(ValueError, match="the prime is empty"):
            draw_many(gen.model, [], refresh or 0)


def test_a_classifier_is_given_zeros_for_what_a_short_sequence_lacks() -> None:
    net = network([("lstm", 9), ("dense", 3, "softmax")], 11, T)
    data = packed(net, labels=["a", "b", "c"], vocabulary=list("abcdefghijk"), prime=None, zero_padding=True)
    model = lstmgen.Model(data)
    for text in ("a", "abc", "abcdefg"):
        (found,) = model.classify([text])
        expected = exact(net, "onehot", [ord(letter) - ord("a") for letter in text])
        assert [*found.probabilities.values()] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="sequence 0: expected at most 7 elements, found 8"):
        model.classify(["abcdefgh"])


def test_zero_padding_is_that_of_keras(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((T, 11)),
            layers.Masking(0.0),
            layers.Bidirectional(layers.LSTM(12)),
            layers.Dense(11, activation="softmax"),
        ]
    )
    model.save(tmp_path / "zeros.keras")
    net = keras_file.read(tmp_path / "zeros.keras")
    gen = lstmgen.Generator(writer.pack(net, encoding="onehot", zero_padding=True))
    for n in range(1, T + 2):
        x = np.zeros((1, T, 11), np.float32)
        last = elements(n)[-T:]
        x[0, np.arange(T - len(last), T), last] = 1
        assert gen.probabilities(elements(n)) == pytest.approx(model.predict(x, verbose=0)[0], abs=2e-6)


# -- predictors ------------------------------------------------------------------------------------

PREDICTORS: dict[str, tuple[Network, str]] = {
    "regression": (network([("lstm", 9), ("dense", 4, "linear")], 4, T), "features"),
    "one number": (network([("lstm", 9), ("dense", 1, "linear")], 3, T), "features"),
    "fewer ids than outputs": (network([("embedding", 5), ("lstm", 9), HEAD], 6, T), "index"),
    "one-hot of other elements": (network([("gru", 9), HEAD], 5, T), "onehot"),
    "a number at each step": (network([("lstm", 9), ("dense", 1, "sigmoid")], 5, T, sequences=True), "onehot"),
}


@pytest.mark.parametrize("dtype", rounding.DTYPES)
@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_predicts_and_does_not_generate(name: str, dtype: str, rng: np.random.Generator) -> None:
    net, encoding = PREDICTORS[name]
    data = writer.pack(net, encoding=encoding, predictor=True, dtype=dtype)
    model = lstmgen.Model(data)
    assert not model.generates
    assert model._native.info.predictor
    stored = rounding.rounded(net, dtype)
    ids = rng.integers(0, net.input_size, (3, T))
    if encoding == "features":
        given: NDArray[Any] = rng.uniform(-1, 1, (3, T, net.input_size)).astype(np.float32)
        wanted = reference.forward(stored, given)
    else:
        given = ids
        wanted = np.stack([reference.forward(stored, reference.encode(net, encoding, row.tolist())) for row in ids])
    within = {"f32": 1e-5}.get(dtype, rounding.ROUNDING_TOLERANCE.get(dtype)) or 0
    assert np.abs(model.predict(given) - wanted).max() <= within * np.abs(wanted).max()
    with pytest.raises(ValueError, match=r"a predictor does not generate"):
        lstmgen.Generator(model)
    with pytest.raises(ValueError, match=r"a predictor does not generate"):
        draw_many(model, [0], 0)


def test_the_elements_of_a_predictor_are_those_that_enter() -> None:
    net, encoding = PREDICTORS["one-hot of other elements"]
    data = writer.pack(
        *(net,), encoding=encoding, predictor=True, vocabulary=list("vwxyz"), vocabulary_kind="text", padding=4
    )
    model = lstmgen.Model(data)
    assert model.vocabulary is not None
    assert (model.vocabulary.elements, model.padding, model.outputs) == (tuple("vwxyz"), 4, 11)
    with pytest.raises(ValueError, match="id at position 0: expected below 5, found 5"):
        model.predict([[5, 0]])


def test_a_generator_keeps_its_constraints() -> None:
    for name in ("fewer ids than outputs", "one-hot of other elements"):
        net, encoding = PREDICTORS[name]
        with pytest.raises(ValueError, match="outputs"):
            writer.pack(net, encoding=encoding)


def test_what_generates_says_so() -> None:
    assert lstmgen.Model(packed()).generates
    assert not lstmgen.Model(packed(network([("lstm", 4), HEAD], 3), encoding="features")).generates
    labels = list("abcdefghijk")
    assert not lstmgen.Model(packed(labels=labels, prime=None)).generates


# -- what the writer refuses -----------------------------------------------------------------------

ONE = network([("lstm", 4), HEAD], 1, T)
OPEN = network([("lstm", 4), HEAD], 1, 0)
IDS = network([("embedding", 4), ("lstm", 4), HEAD], 11, T)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "values of scaled": (lambda: packed(ONE, encoding="scaled", input_values=PITCHES), "expected encoding='raw'"),
    "ten values of eleven": (
        lambda: packed(ONE, encoding="raw", input_values=PITCHES[:10]),
        "expected 11 numbers, one for",
    ),
    "a table of values": (lambda: packed(ONE, encoding="raw", input_values=[PITCHES]), "found .1, 11."),
    "a value of NaN": (
        lambda: packed(ONE, encoding="raw", input_values=[*PITCHES[:10], np.nan]),
        "element 10, found nan",
    ),
    "a value of 1e39": (
        lambda: packed(ONE, encoding="raw", input_values=[1e39, *PITCHES[1:]]),
        "element 0, found 1e.39",
    ),
    "raw of eleven numbers": (lambda: packed(encoding="raw"), "'raw': the network takes 11 numbers per step, not 1"),
    "zeros without a window": (lambda: packed(OPEN, encoding="raw", zero_padding=True), "with a window, found none"),
    "zeros of ids": (
        lambda: packed(IDS, encoding="index", zero_padding=True),
        "the encoding onehot, scaled, raw",
    ),
    "zeros beside an id": (lambda: packed(zero_padding=True, padding=3), "no padding beside it, found the id 3"),
    "a predictor with a prime": (lambda: packed(predictor=True), "prime: a predictor does not generate"),
    "a predictor of raw": (lambda: packed(ONE, encoding="raw", predictor=True, prime=None), "not 'raw'"),
    "a predictor of scaled": (lambda: packed(ONE, encoding="scaled", predictor=True, prime=None), "not 'scaled'"),
    "a predictor with labels": (
        lambda: packed(predictor=True, prime=None, labels=list("abcdefghijk")),
        "a network with labels is a classifier",
    ),
    "a predictor of features with elements": (
        lambda: packed(encoding="features", predictor=True, vocabulary=list("abcdefghijk")),
        "a predictor that takes features has no elements",
    ),
    "a classifier of raw": (
        lambda: packed(ONE, encoding="raw", prime=None, labels=list("abcdefghijk"), vocabulary=None),
        "not 'raw'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_writer_refuses(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


# -- one-hot in other words ------------------------------------------------------------------------


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("dtype", rounding.DTYPES)
@pytest.mark.parametrize("body", BODIES)
def test_ids_and_their_one_hot_features_give_the_same_bits(
    body: str, dtype: str, isa: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", isa)
    layers, reads, options = BODIES[body]
    size = 601  # two chains of a product
    net = network([*layers, ("dense", size, "softmax")], size, T, reads=reads, **options)
    model = lstmgen.Model(writer.pack(net, encoding="onehot", dtype=dtype))
    assert model.isa == isa
    ids = rng.integers(0, size, (40, T))
    rows = np.eye(size, dtype=np.float32)
    for some in (ids, ids[:1]):
        assert np.array_equal(model.predict(some), model.predict(rows[some]))
    features = lstmgen.Model(writer.pack(net, encoding="features", dtype=dtype))
    assert np.array_equal(model.predict(ids), features.predict(rows[ids]))


@pytest.mark.parametrize("dtype", rounding.DTYPES)
@pytest.mark.parametrize("body", BODIES)
def test_a_window_gives_the_bits_of_predict(body: str, dtype: str) -> None:
    """The last layer is linear, so the output is the sampler's input in float64."""
    layers, reads, options = BODIES[body]
    net = network([*layers, ("dense", 11, "linear")], 11, T, reads=reads, **options)
    gen = lstmgen.Generator(writer.pack(net, encoding="onehot", dtype=dtype, zero_padding=True))
    rows = np.eye(11, dtype=np.float32)
    for n in (0, 1, 3, T, T + 2):
        ids = elements(n)[-T:]
        x = np.zeros((1, T, 11), np.float32)
        x[0, T - len(ids) :] = rows[ids]
        logits = gen.model.predict(x)[0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        assert gen.probabilities(elements(n)) == pytest.approx(weights / weights.sum(), rel=1e-14, abs=0)


def test_whole_numbers_are_multiplied_with_int8_as_they_are(rng: np.random.Generator) -> None:
    net = network([("simple_rnn", 9, "linear")], 40, 1)
    model = lstmgen.Model(writer.pack(net, encoding="features", dtype="int8"))

    def error(x: NDArray[Any]) -> float:
        wanted = reference.forward(rounding.rounded(net, "int8"), x)
        return float(np.abs(model.predict(x) - wanted).max() / np.abs(wanted).max())

    whole = rng.integers(-32767, 32768, (50, 1, 40)).astype(np.float32)
    assert error(whole) < 3e-7
    assert error(whole + np.float32(0.25)) > 1e-6
