"""textgenrnn's network, and the files that it writes beside its weights.

It saves `NAME_weights.hdf5`, `NAME_vocab.json` and `NAME_config.json`. Its package has default
values for NAME and for the config. The weights store neither the window nor how a text becomes
elements.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstmgen import charsets
from lstmgen.errors import ModelFormatError, option
from lstmgen.keras_file.spec import MAX_CONFIG, parse_json
from lstmgen.network import MAX_STEPS, Network

_START = "<s>"  # textgenrnn puts it before and after each text
# Its model for words cuts a text at spaces. Each punctuation mark is a word.
_WORDS = {"lower": True, "filters": "", "split": " ", "char_level": False}
_PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[]^_`{|}~\n\t'‘’“”’–—…"  # noqa: RUF001

_PUBLISHED = {"num_classes": 465, "dim_embeddings": 100, "rnn_size": 128, "rnn_layers": 2, "rnn_bidirectional": False}
_PUBLISHED_WINDOW = 40
_SUFFIXES = re.compile(r"(_weights(_saved|_epoch_\d+)?)?\.(hdf5|h5)$")
_DEFAULT_NAME = "textgenrnn"


def windowless() -> str:
    """Return why a network without a window is refused, and what to do."""
    return (
        "textgenrnn's network, but nothing says how many elements it reads at a time (its max_length): give "
        f"{option('window', ...)}, or its NAME_config.json as {option('config')}, or put that beside NAME_weights.hdf5"
    )


class Known(NamedTuple):
    """What is known of a model beyond its weights.

    config: its config.
    window: its number of time steps; 0 if unknown.
    source: where the window comes from.
    """

    config: Mapping[str, Any]
    window: int = 0
    source: str = ""


def is_config(entry: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is what textgenrnn stores as `NAME_config.json`."""
    return "rnn_size" in entry and "rnn_layers" in entry


def is_network(network: Network) -> bool:
    """Return whether a network has the form of textgenrnn's.

    It ends with all sequences side by side, their weighted mean and a softmax.
    """
    kinds = [layer.type for layer in network.layers]
    return (
        network.input_size == network.outputs
        and kinds[0] == "embedding"
        and kinds[-3:] == ["concatenate", "attention_pool", "dense"]
        and network.layers[-1].options["activation"] == "softmax"
    )


def find(weights: str | None, sizes: Mapping[str, Any]) -> Known:
    """Return what the config beside a file of weights tells of a network of these sizes.

    Without such a config, the sizes tell whether it is the published network. Raises
    `ModelFormatError` for a config of the same name that belongs to another network.
    """
    for path, own in _beside(weights, "config"):
        config = _read(path)
        wrong = [key for key, value in sizes.items() if key in config and config[key] != value]
        if is_config(config) and not wrong:
            return Known(config, _window(path, config), f"from {path}")
        if own:
            found = f"{wrong[0]} is {config[wrong[0]]!r:.20}, not {sizes[wrong[0]]}" if wrong else "it has no rnn_size"
            raise ModelFormatError(f"{path} is of another network: {found}; move it away, or give {option('config')}")
    if sizes == _PUBLISHED:
        return Known({}, _PUBLISHED_WINDOW, "as of the weights that come with textgenrnn")
    return Known({})


def elements(weights: str | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the elements, as `Network.elements`."""
    found: dict[str, Any] = {"beside": _beside(weights, "vocab")}
    if config.get("word_level") is True:
        found["kind"] = "tokens"
        found["tokenizer"] = {**_WORDS, "apart": _PUNCTUATION}
    if config.get("single_text") is True:
        found["blank"] = True
    else:
        found["stop"] = [_START]
        found["start"] = _START
    return found


def _beside(weights: str | None, what: str) -> list[tuple[str, bool]]:
    """Return the files that may belong to the weights, the likeliest first.

    Each comes with whether its name says that it belongs to them.
    """
    if weights is None:
        return []
    folder, file = os.path.split(weights)
    name = _SUFFIXES.sub("", file)
    names = dict.fromkeys((name, _DEFAULT_NAME))
    paths = [(os.path.join(folder, f"{stem}_{what}.json"), stem == name) for stem in names]
    return [(path, own) for path, own in paths if os.path.isfile(path)]


def _read(path: str) -> Mapping[str, Any]:
    with open(path, "rb") as file:
        data = file.read(min(os.path.getsize(path), MAX_CONFIG) + 1)  # read() takes this memory at once
    try:
        text = charsets.decoded(path, data)
    except ValueError as error:
        raise ModelFormatError(str(error)) from None
    return parse_json(path, text)


def _window(path: str, config: Mapping[str, Any]) -> int:
    window = config.get("max_length")
    if type(window) is not int or not 1 <= window <= MAX_STEPS:
        raise ModelFormatError(f"{path}: max_length: expected 1 to {MAX_STEPS}, found {window!r:.60}")
    return window


def model(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return Keras's config of the network.

    The sequences of all layers are put side by side and averaged with learned weights.
    """
    size, count = config["rnn_size"], config["rnn_layers"]
    window = config.get("max_length")
    classes = config.get("num_classes", 0)
    if type(size) is not int or type(count) is not int or not 1 <= count <= 16 or type(classes) is not int:
        raise ModelFormatError(
            "expected rnn_size and num_classes as integers and rnn_layers from 1 to 16, "
            f"found {size!r:.20}, {classes!r:.20} and {count!r:.20}"
        )
    layers: list[dict[str, Any]] = []

    def add(kind: str, name: str, reads: Sequence[str], **options: Any) -> None:
        nodes = [[[read, 0, 0, {}] for read in reads]] if reads else []
        layers.append({"class_name": kind, "name": name, "config": {"name": name, **options}, "inbound_nodes": nodes})

    add("InputLayer", "input", [], batch_input_shape=[None, window])
    add("Embedding", "embedding", ["input"], input_dim=classes, output_dim=config.get("dim_embeddings", 100))
    before, branches = "embedding", ["embedding"]
    for i in range(1, count + 1):
        name = f"rnn_{i}"
        cell = {
            "units": size,
            "return_sequences": True,
            "recurrent_activation": config.get("recurrent_activation", "sigmoid"),
        }
        if config.get("rnn_bidirectional"):
            add("Bidirectional", name, [before], layer={"class_name": "LSTM", "config": {"name": "lstm", **cell}})
        else:
            add("LSTM", name, [before], **cell)
        before = name
        branches.append(name)
    add("Concatenate", "rnn_concat", branches, axis=-1)
    add("AttentionWeightedAverage", "attention", ["rnn_concat"])
    add("Dense", "output", ["attention"], units=classes, activation="softmax")
    return {
        "class_name": "Model",
        "config": {
            "name": "textgenrnn",
            "layers": layers,
            "input_layers": [["input", 0, 0]],
            "output_layers": [["output", 0, 0]],
        },
    }
