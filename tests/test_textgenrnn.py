"""textgenrnn's models: their network, and the files beside their weights."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import ModelFormatError, keras_file
from lstmgen.cli.main import main
from lstmgen.exporting import ExportOptions, build

VOCAB = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "<s>": 6}
WORDS = {"the": 1, "cat": 2, "sat": 3, ".": 4, "\n": 5, "<s>": 6}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # assumptions are warnings

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, rng: np.random.Generator) -> Write:
    """Return a function that writes weights in textgenrnn's layout.

    It also writes the files that `train_new_model` leaves beside them.
    """

    def write(
        name: str = "poem_weights.hdf5",
        *,
        units: int = 4,
        layers: int = 2,
        bidirectional: bool = False,
        cudnn: bool = False,
        ids: int = 7,
        embedding: int = 3,
        config: dict[str, Any] | None = None,
        vocab: dict[str, int] | None = None,
        beside: str = "poem",
    ) -> Path:
        gates, before = 4 * units, embedding
        shapes: dict[str, dict[str, tuple[int, ...]]] = {"input": {}, "embedding": {"embeddings": (ids, embedding)}}
        for i in range(1, layers + 1):
            cell = {
                "kernel": (before, gates),
                "recurrent_kernel": (units, gates),
                "bias": (2 * gates if cudnn else gates,),
            }
            if bidirectional:
                both = [f"{way}_rnn_{i}/{key}" for way in ("forward", "backward") for key in cell]
                shapes[f"bidirectional_{i}"] = dict(zip(both, [*cell.values()] * 2, strict=True))
            else:
                shapes[f"rnn_{i}"] = cell
            before = units * (2 if bidirectional else 1)
        width = embedding + layers * before
        shapes |= {"rnn_concat": {}, "attention": {"attention_W": (width, 1)}}
        shapes["output"] = {"kernel": (width, ids), "bias": (ids,)}
        with h5py.File(tmp_path / name, "w") as file:
            file.attrs["layer_names"] = [layer.encode() for layer in shapes]
            file.attrs["keras_version"] = b"2.1.5"
            for layer, arrays in shapes.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/{array}:0".encode() for array in arrays]
                for array, shape in arrays.items():
                    group[f"{layer}/{array}:0"] = rng.normal(0, 1, shape).astype(np.float32)
        if config is not None:
            sizes = {"rnn_layers": layers, "rnn_size": units, "rnn_bidirectional": bidirectional}
            stored = {**sizes, "max_words": 10000, "dim_embeddings": embedding, "word_level": False, **config}
            (tmp_path / f"{beside}_config.json").write_text(json.dumps(stored))
        if vocab is not None:
            (tmp_path / f"{beside}_vocab.json").write_text(json.dumps(vocab))
        return tmp_path / name

    return write


def by_hand(path: Path, ids: Any) -> Any:
    """Return the output by the formulas of textgenrnn's authors, in float64."""
    with h5py.File(path) as file:
        names = [np.asarray(name).item() for name in file.attrs["layer_names"]]
        names = [name.decode() if isinstance(name, bytes) else name for name in names]
        arrays = {
            name: [file[name][key][()].astype(float) for key in file[name].attrs["weight_names"]] for name in names
        }

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    def lstm(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        units = recurrent.shape[0]
        if len(bias) == 8 * units:  # CuDNN's arrays are transposed and have two biases
            kernel = np.hstack([k.reshape(k.shape[::-1]).T for k in np.split(kernel, 4, axis=1)])
            recurrent = np.hstack([k.T for k in np.split(recurrent, 4, axis=1)])
            bias = bias.reshape(2, -1).sum(0)
        h = c = np.zeros((len(x), units))
        out = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            out.append(h)
        return np.stack(out, 1)

    x = arrays["embedding"][0][ids]
    branches = [x]
    for name in names:
        if name.startswith(("rnn_1", "rnn_2", "rnn_3")):
            branches.append(lstm(branches[-1], *arrays[name]))
        elif name.startswith("bidirectional"):
            backward = lstm(branches[-1][:, ::-1], *arrays[name][3:])[:, ::-1]
            branches.append(np.concatenate([lstm(branches[-1], *arrays[name][:3]), backward], -1))
    x = np.concatenate(branches, axis=-1)
    logits = (x @ arrays["attention"][0])[..., 0]
    a = np.exp(logits - logits.max(1, keepdims=True))
    mean = (x * (a / (a.sum(1, keepdims=True) + 1e-7))[..., None]).sum(1)
    z = mean @ arrays["output"][0] + arrays["output"][1]
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# -- the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes",
    [
        {"cudnn": True},
        {},
        {"layers": 1, "units": 5},
        {"layers": 3, "embedding": 6},
        {"bidirectional": True},
        {"bidirectional": True, "layers": 3, "cudnn": True, "units": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [False, True])
def test_network_of_any_size_predicts(
    write: Write, rng: np.random.Generator, sizes: dict[str, Any], given: bool
) -> None:
    path = write(**sizes, config={"max_length": 12}, beside="elsewhere" if given else "poem")
    options: dict[str, Any] = {"config": path.parent / "elsewhere_config.json"} if given else {}
    options["vocab"] = VOCAB
    exported = build(path, cast(ExportOptions, options))
    model = lstmgen.Model(exported.data)
    assert (model.window, model.padding) == (12, 0)
    said = f"a window of 12 steps (max_length), from {path.parent}/poem_config.json"
    assert (said in exported.assumed) == (not given)
    ids = rng.integers(0, 7, (9, 12))
    np.testing.assert_allclose(model.predict(ids), by_hand(path, ids), rtol=0, atol=1e-6)


def test_generates_from_windows_filled_with_padding(write: Write) -> None:
    path = write()
    generator = lstmgen.Generator(path, vocab=VOCAB, window=10)
    text = generator.sample(60, seed=1)
    assert isinstance(text, str)
    assert set(text) <= set("abcde<s>")
    p = generator.probabilities("ab")
    window = np.zeros((1, 10), int)
    window[0, -3:] = 6, 1, 2  # <s> comes before a prime
    expected = by_hand(path, window)[0]
    expected[0] = 0  # the padding is never drawn
    np.testing.assert_allclose(p, expected / expected.sum(), rtol=0, atol=1e-6)


# -- the window ------------------------------------------------------------------------------------


def test_unknown_window_is_asked_for(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write()
    with pytest.raises(ModelFormatError, match=r"poem_weights.hdf5: textgenrnn's .* give window=\.\.\., or its NAME_"):
        lstmgen.export(path, path.parent / "t.bin", vocab=VOCAB)
    assert lstmgen.Model(path, vocab=VOCAB, window=9).window == 9
    assert main(["export", str(path), str(path.parent / "t.bin")]) == 1
    assert "give --window, or its NAME_config.json as --config," in capsys.readouterr().err


def test_config_without_a_window_is_asked_for_it(write: Write) -> None:
    path = write(config={}, beside="elsewhere")
    with pytest.raises(ModelFormatError, match=r"give window=\.\.\.,"):
        keras_file.read(path, config=path.parent / "elsewhere_config.json")


def test_published_weights_have_the_published_window(write: Write, tmp_path: Path) -> None:
    path = write(ids=465, embedding=100, units=128)
    network = keras_file.read(path)
    assert network.window == 40
    assert "a window of 40 steps (max_length), as of the weights that come with textgenrnn" in network.assumed
    other = write(ids=465, embedding=100, units=64)
    with pytest.raises(ModelFormatError, match=r"give window=\.\.\.,"):
        keras_file.read(other)


@pytest.mark.parametrize(
    "name", ["poem_weights.hdf5", "poem_weights_epoch_7.hdf5", "poem_weights_saved.hdf5", "poem.h5"]
)
def test_files_beside_are_found_by_name(write: Write, name: str) -> None:
    path = write(name, config={"max_length": 8}, vocab=VOCAB)
    exported = build(path, {})
    assert lstmgen.Model(exported.data).window == 8
    assert f"the vocabulary is {path.parent}/poem_vocab.json, beside the file" in exported.assumed
    assert lstmgen.Generator(path, vocab=[*"xabcdef"]).model.vocabulary.elements[0] == "x"  # type: ignore[union-attr]


def test_files_of_the_default_name_are_taken_if_they_fit(write: Write) -> None:
    path = write("mine.hdf5", config={"max_length": 8}, vocab=VOCAB, beside="textgenrnn")
    assert lstmgen.Model(path).vocabulary is not None
    other = write("mine.hdf5", layers=3, ids=9)
    with pytest.raises(ModelFormatError, match=r"give window=\.\.\.,"):
        keras_file.read(other)
    assert build(other, {"window": 5}).nameless


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"max_length": 8, "rnn_size": 99}, "poem_config.json is of another network: rnn_size is 99, not 4"),
        ({"max_length": 0}, "max_length: expected 1 to 65536, found 0"),
        ({"max_length": "40"}, "max_length: expected 1 to 65536, found '40'"),
        ({}, "max_length: expected 1 to 65536, found None"),
    ],
)
def test_config_that_does_not_fit_is_named(write: Write, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        keras_file.read(write(config=config))


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"{}", b'{"rnn_size": 4}'])
def test_broken_config_is_an_error_that_names_it(write: Write, content: bytes) -> None:
    path = write()
    (path.parent / "poem_config.json").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"poem_config\.json"):
        keras_file.read(path)


def test_a_config_may_begin_with_the_mark_of_windows(write: Write) -> None:
    path = write(config={"max_length": 8})
    config = path.parent / "poem_config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert any(f"a window of 8 steps (max_length), from {config}" in note for note in keras_file.read(path).assumed)


def test_vocabulary_of_the_same_name_must_fit(write: Write) -> None:
    with pytest.raises(ValueError, match=r"poem_vocab\.json: the vocabulary has 3 elements"):
        build(write(config={"max_length": 8}, vocab={"a": 1, "b": 2}), {})


# -- words, ends and starts ------------------------------------------------------------------------


def test_model_for_words_takes_texts_as_in_training(write: Write) -> None:
    model = lstmgen.Model(write(config={"max_length": 8, "word_level": True}, vocab=WORDS))
    vocabulary = model.vocabulary
    assert vocabulary is not None and vocabulary.kind == "tokens"
    found = vocabulary.encode("The cat.\nCAT sat")
    assert vocabulary.decode(found.tolist()) == ["the", "cat", ".", "\n", "cat", "sat"]
    assert vocabulary.encode("<s>").tolist() == [6]
    assert model.prime.tolist() == [6]


def test_text_ends_at_its_mark_on_the_command_line(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(config={"max_length": 8}, vocab=VOCAB)
    exported = path.parent / "t.bin"
    assert main(["export", str(path), str(exported), "--dtype", "bf16"]) == 0
    capfd.readouterr()
    generator = lstmgen.Generator(exported)
    whole = generator.sample(500, seed=3)
    assert (
        isinstance(whole, str) and whole.index("<s>") + 3 < len(whole) > 400
    )  # Python follows no recommendation of the card
    for source in (path, exported):
        assert main(["sample", str(source), "--seed", "3", "--length", "500"]) == 0
        out, err = capfd.readouterr()
        assert out.count("<s>") == 1 and out.endswith("<s>")
        assert "stop '<s>', as the model's card recommends" in err
    assert main(["sample", str(exported), "--seed", "3", "--length", "500", "--stop", "dd"]) == 0
    out, err = capfd.readouterr()
    assert out.endswith("dd") and "recommends" not in err


def test_end_of_text_survives_another_dtype(write: Write, tmp_path: Path) -> None:
    lstmgen.export(write(config={"max_length": 8}, vocab=VOCAB), tmp_path / "t.bin")
    lstmgen.export(tmp_path / "t.bin", tmp_path / "u.bin", dtype="int8")
    assert lstmgen.Model(tmp_path / "u.bin").metadata["card"]["sample"] == {"stop": ["<s>"]}


def test_a_prime_is_continued_after_the_start_of_a_text(write: Write) -> None:
    """As `textgenrnn_generate` does: its text is `[meta_token] + prefix`."""
    path = write(config={"max_length": 8}, vocab=VOCAB)
    exported = build(path, {})
    assert "<s> comes before each prime that does not begin with it, as textgenrnn continues a text" in exported.assumed
    generator = lstmgen.Generator(exported.data)
    assert generator.model.start == 6
    ids = [0, 0, 0, 0, 6, 1, 2, 3]
    np.testing.assert_allclose(generator.probabilities("abc"), without_padding(by_hand(path, [ids])), atol=1e-5)
    told = generator.sample(40, seed=1, prime="<s>abc")
    assert generator.sample(40, seed=1, prime="abc") == generator.sample(40, seed=1, prime=[1, 2, 3]) == told
    assert generator.sample_many(2, 40, seed=1, prime="abc")[0] == told
    assert generator.sample(40, seed=1, prime="abc", include_prime=True) == f"abc{told}"
    assert generator.sample_many(1, 40, seed=1, prime=["abc"], include_prime=True) == [f"abc{told}"]
    assert generator.sample(40, seed=1, prime="<s>abc", include_prime=True) == f"<s>abc{told}"
    free = lstmgen.Generator(path, card={"start": None})
    assert free.model.start is None and free.sample(40, seed=1, prime="abc") != told


def without_padding(outputs: Any) -> Any:
    """A distribution without the element that is never drawn, id 0."""
    drawn = np.asarray(outputs)[0].copy()
    drawn[0] = 0
    return drawn / drawn.sum()


def test_model_of_a_single_text_starts_from_padding_and_has_no_end(write: Write) -> None:
    vocab = {**VOCAB, "f": 6}
    del vocab["<s>"]
    exported = build(write(config={"max_length": 8, "single_text": True}, vocab=vocab), {})
    model = lstmgen.Model(exported.data)
    assert model.prime.tolist() == [0]
    assert model.start is None
    assert model.metadata["card"].keys() == {"assumed"}
    assert "the default prime is a window of padding, as textgenrnn starts a model of a single text" in exported.assumed


def test_published_model_samples_without_an_option(zoo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["sample", str(zoo / "textgenrnn_weights.hdf5"), "--seed", "1", "--length", "2000"]) == 0
    out, err = capfd.readouterr()
    assert out.endswith("<s>") and "textgenrnn_vocab.json, beside the file" in err
