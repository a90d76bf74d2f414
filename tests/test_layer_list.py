"""Layers written as in Keras code are read as their config, in whichever form they are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmgen.keras_file import layer_list

Layer = dict[str, Any]

names = st.text("abcdefgh_", min_size=1, max_size=8)
numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.none() | st.booleans() | numbers | texts
values = plain | st.lists(plain, max_size=3)


def layer(kind: str, **config: st.SearchStrategy[Any]) -> st.SearchStrategy[Layer]:
    return st.fixed_dictionaries({"class_name": st.just(kind), "config": st.fixed_dictionaries(config)})


units = st.integers(1, 4096)
activations = st.sampled_from(["relu", "softmax", "hard_sigmoid"])
rnn = layer("LSTM", units=units, return_sequences=st.booleans()) | layer("GRU", units=units, activation=activations)
layers = (
    rnn
    | layer("Dense", units=units, activation=activations)
    | layer("Embedding", input_dim=units, output_dim=units)
    | layer("Bidirectional", layer=rnn, merge_mode=st.sampled_from(["concat", "sum", None]))
    | layer("TimeDistributed", layer=layer("Dense", units=units))
    | layer("Reshape", target_shape=st.lists(units, min_size=1, max_size=2))
    | layer("Dropout", rate=st.floats(0, 1))
    | st.fixed_dictionaries({"class_name": st.just("Mine"), "config": st.dictionaries(names, values, max_size=3)})
)


def written(value: Any, positional: bool) -> str:
    """Return a value as code.

    A layer in it becomes a call, with or without the names of its arguments.
    """
    if isinstance(value, dict):
        kind, config = value["class_name"], value["config"]
        unnamed = layer_list._POSITIONAL.get(kind, ()) if positional else ()
        arguments: list[str] = []
        for i, (key, entry) in enumerate(config.items()):
            by_place = len(arguments) == i < len(unnamed) and unnamed[i] == key
            arguments.append(written(entry, positional) if by_place else f"{key}={written(entry, positional)}")
        return f"{kind}({', '.join(arguments)})"
    return repr(value)


FORMS = {
    "a list": lambda calls: ", ".join(calls),
    "in brackets": lambda calls: f"[{', '.join(calls)}]",
    "a chain": lambda calls: " > ".join(calls),
    "a Sequential": lambda calls: f"model = keras.Sequential([{', '.join(calls)}])",
    "lines of add": lambda calls: "\n".join(f"model.add(keras.layers.{call})" for call in calls),
}


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(layers, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60)
def test_layers_as_code_are_read_back(form: str, stack: list[Layer], positional: bool) -> None:
    text = FORMS[form]([written(entry, positional) for entry in stack])
    assert layer_list.parse(text)["config"]["layers"] == stack


@given(st.text(max_size=60))
def test_any_other_text_is_a_value_error_or_layers(text: str) -> None:
    try:
        found = layer_list.parse(text)
    except ValueError:
        return
    assert all(entry["class_name"] for entry in found["config"]["layers"])
