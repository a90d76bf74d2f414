"""What Python shows of an object says what it is, and never where it lies in memory."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import lstmgen
import lstmgen._core
from lstmgen.vocabulary import Vocabulary
from support.networks import network, packed


def test_every_class_shows_what_it_holds() -> None:
    silent = set()
    for module in pkgutil.walk_packages(lstmgen.__path__, "lstmgen."):
        if module.name in ("lstmgen.keras", "lstmgen.ray", "lstmgen._core", "lstmgen.__main__", "lstmgen.signatures"):
            continue
        # What lives while a file is read, or while a server runs.
        if module.name.startswith(("lstmgen.keras_file.", "lstmgen.serving.")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if (
                inspect.isclass(value)
                and value.__module__ == module.name
                and not name.startswith("_")
                and not getattr(value, "_is_protocol", False)
                and value.__repr__ is object.__repr__
            ):
                silent.add(f"{module.name}.{name}")
    assert silent == set()


def test_the_classes_of_the_engine_that_users_meet_do_so_too() -> None:
    model = lstmgen.Model(packed())
    assert repr(model.layers[0]) == "<lstmgen layer 'lstm_0': lstm 11 -> 20, tanh, sigmoid>"
    assert repr(model.layers[2]) == "<lstmgen layer 'dense_2': dense 17 -> 11, softmax>"


def test_a_vocabulary_shows_its_first_elements_with_nothing_that_a_terminal_obeys() -> None:
    few = Vocabulary(["a", "\x1b[2J", "b"], "text")
    assert repr(few) == r"<lstmgen.vocabulary.Vocabulary of 3 elements, kind 'text': 'a', '\x1b[2J', 'b'>"
    many = Vocabulary([chr(ord("a") + i) for i in range(20)], "tokens")
    assert repr(many).endswith("of 20 elements, kind 'tokens': 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ...>")


def test_a_layer_shows_the_shapes_of_its_arrays_and_not_their_numbers() -> None:
    shown = repr(network().layers[2])
    assert shown.startswith("<lstmgen.network.Layer 'dense_2': dense {")
    assert "kernel (17, 11), bias (11,)" in shown


def test_a_stream_shows_its_seed() -> None:
    stream = lstmgen.Generator(packed()).stream(seed=7)
    assert repr(stream) == "<lstmgen.Stream, 0 drawn, seed 7, temp 1.0>"
