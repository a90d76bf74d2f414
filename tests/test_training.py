"""`lstmgen train text`, and the callback for other training loops.

A training also continues after an interruption.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.cli import main as cli
from lstmgen.cli import train
from lstmgen.training import TextSettings, TrainingReport, train_text
from lstmgen.training.tasks.batches import shared_out
from lstmgen.training.tasks.text import letters, split, words
from support.slow import slow_but

SMALL = TextSettings(units=24, epochs=2, batch=16, length=30, window=20, holdout=0.1, lr=1e-2)
SONG = "".join(f"{n} green bottles, hanging on the wall,\n" for n in range(99, 20, -1))


@pytest.fixture(autouse=True)
def _needs_keras(keras: Any) -> None:
    """All of these train."""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "song.txt"
    path.write_text(SONG)
    return path


@pytest.fixture(scope="module")
def songs(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    """Return the report of a training, whose files lie beside the text."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "song.txt").write_text(SONG)
    facts = {"name": "songs", "description": "Writes a | song.", "license": "CC0-1.0"}
    return train_text(folder / "song.txt", folder / "m.bin", SMALL, **facts)


def test_training_leaves_a_generator_its_card_and_the_keras_model(songs: TrainingReport) -> None:
    model = lstmgen.Model(songs.out)
    assert (model.window, model.encoding, len(songs.history)) == (20, "onehot", 2)
    assert model.metadata["name"] == "songs"
    card = model.metadata["card"]
    assert card["bits/char"] == pytest.approx(songs.best, abs=1e-4)
    assert card["held_out_bits_per_char"]["carried"] == pytest.approx(songs.best, rel=0.01)
    assert sorted(path.name for path in songs.out.parent.iterdir()) == ["m.bin", "m.h5", "m.md", "song.txt"]
    text = lstmgen.Generator(model).sample(50, seed=1)
    assert set(text) <= set(SONG)


@pytest.mark.slow(reason="ten epochs; another test trains two")
def test_it_learns(corpus: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, epochs=10, units=48, patience=0, dropout=0.1, holdout=0)
    report = train_text(corpus, tmp_path / "song.bin", settings)
    assert report.best < 1.5
    assert report.best < report.history[0]["loss"] / np.log(2) / 2


@pytest.mark.parametrize(
    "of",
    slow_but(
        {("default", "words")}, [("default", "words"), ("lesson", "letters"), ("lesson", "words")], "trains each one"
    ),
    ids="-".join,
)
def test_recipes_and_levels(corpus: Path, tmp_path: Path, of: tuple[str, str]) -> None:
    recipe, level = of
    settings = replace(SMALL, level=level, epochs=1, length=15, window=10)
    if recipe == "lesson":
        corpus.write_text(SONG[:500])
        settings = TextSettings(recipe=recipe, level=level, epochs=1, window=10, holdout=0.1)
        settings = replace(settings, units=24) if level == "letters" else settings
    train_text(corpus, tmp_path / "m.bin", settings)
    model = lstmgen.Model(tmp_path / "m.bin")
    assert model.encoding == ("onehot" if level == "letters" else "index")
    generator = lstmgen.Generator(model)
    text = generator.sample(20, seed=1, prime="99 green bottles zzz"[:16], include_prime=True)
    assert isinstance(text, str)
    assert text.startswith("99 green bottles")


def test_words_have_no_unknown_word_and_join_to_the_text() -> None:
    text = "The cat saw \\begin{cat} the dogs;\n the cat_1 sees naïve dogs 12 12.\n" * 3 + "Zyzzyva"
    vocabulary = words(text, 60)
    assert {" cat", " dogs", " 12", " \\begin"} <= set(vocabulary.elements)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.decode(vocabulary.encode("Zyzzyva saw")) == "Zyzzyva saw"
    assert len(words(text, 40)) <= 40


def test_letters_are_sorted() -> None:
    assert letters("banana b\n").elements == ("\n", " ", "a", "b", "n")


def test_split_keeps_pieces_apart() -> None:
    ids = np.arange(1000, dtype=np.int32)
    kept, held = split(ids, 0.1)
    assert sorted(np.concatenate(kept + held).tolist()) == ids.tolist()
    assert len(held) == 6
    assert split(ids, 0.0)[1] == []
    assert [len(piece) for piece in split(ids, 0.1, least=40)[1]] == [50, 50]
    assert [len(piece) for piece in split(ids, 0.1, least=400)[1]] == [100]


def test_held_out_texts_fill_the_rows_of_a_batch() -> None:
    texts = [np.arange(0, 900, dtype=np.int32), np.arange(1000, 1900, dtype=np.int32)]
    shared = shared_out(texts, 9, 10)
    assert len(shared) == 8
    measured = np.concatenate([text[10:] for text in shared]).tolist()
    assert sorted({*range(10, 900), *range(1010, 1900)} - set(measured)) == [898, 899, 1898, 1899]
    assert len(set(measured)) == len(measured)
    assert [len(text) for text in shared_out(texts, 9, 300)] == [900, 900]  # too short to cut
    assert [len(text) for text in shared_out(texts, 1, 10)] == [900, 900]


@pytest.mark.parametrize("carry", slow_but({True}, [False, True], "trains to see what cannot be learnt"))
def test_the_state_is_carried_from_each_sequence_to_the_next(corpus: Path, tmp_path: Path, carry: bool) -> None:
    corpus.write_text("aabb" * 1000)  # from one letter alone nobody can tell the next
    settings = TextSettings(carry=carry, units=16, epochs=4, batch=16, length=2, window=8, lr=1e-2, dropout=0.0)
    report = train_text(corpus, tmp_path / "m.bin", settings)
    loss = report.history[-1]["loss"] / np.log(2)
    assert loss < 0.05 if carry else loss > 0.45


@pytest.mark.parametrize("batch", slow_but({40}, [4, 40], "trains two layers"))  # of six held-out pieces
def test_a_model_of_carried_state_has_no_window(corpus: Path, tmp_path: Path, batch: int) -> None:
    corpus.write_text(2 * SONG)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        report = train_text(
            corpus, tmp_path / "m.bin", replace(SMALL, carry=True, batch=batch, layers=2 if batch == 4 else 1)
        )
    model = lstmgen.Model(tmp_path / "m.bin")
    assert model.window == 0
    assert model.metadata["card"]["held_out_bits_per_char"] == {"carried": pytest.approx(report.best, abs=2e-3)}
    trained_on = train_text(corpus, tmp_path / "m.bin", TextSettings(resume=True, epochs=1))
    assert len(trained_on.history) == 1
    assert lstmgen.Generator(tmp_path / "m.bin").sample(30, seed=1)


@pytest.mark.slow(reason="trains for one figure")
def test_a_short_text_is_passed_over_several_times_in_an_epoch(corpus: Path, tmp_path: Path) -> None:
    report = train_text(corpus, tmp_path / "m.bin", replace(SMALL, level="words", epochs=2, length=20, window=10))
    assert report.history[-1]["loss"] < report.history[0]["loss"] - 0.5


def test_byte_order_mark_is_no_letter_and_excerpts_do_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "\x1b[31mжёлтый\x07\r\n".encode() * 300)
    train_text(path, tmp_path / "m.bin", replace(SMALL, epochs=1))
    vocabulary = lstmgen.Model(tmp_path / "m.bin").vocabulary
    assert vocabulary is not None
    assert "\ufeff" not in vocabulary.elements
    assert {"\r", "\n", "\x1b", "ы"} <= set(vocabulary.elements)
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def test_card_says_what_the_model_is(songs: TrainingReport) -> None:
    card = songs.card.read_text()
    assert card.startswith(
        "# Model card: `songs`\n\nWrites a \\| song.\n\nWritten by `lstmgen train`. `lstmgen sample m.bin`"
    )
    for row in (
        "| license | CC0-1.0 |",
        "| corpus | song.txt |",
        f"| epochs | {songs.best_epoch} |",
        "| recipe | holdout 0.1, seed 1, units 24,",
    ):
        assert row in card
    assert "\nA sample:\n\n    " in card
    assert "embedding" not in card  # a model of words only


# -- interruption ----------------------------------------------------------------------------------


class _Stop(Exception):
    pass


def _interrupted(keras: Any, after: int) -> Any:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == after:
                raise _Stop

    return Stop()


@pytest.mark.slow(reason="trains twice; the tests of Ctrl-C go on, too")
def test_interrupted_training_goes_on_to_the_same_end(keras: Any, corpus: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, epochs=3)
    whole = train_text(corpus, tmp_path / "whole.bin", settings)
    with pytest.raises(_Stop):
        train_text(corpus, tmp_path / "part.bin", settings, callbacks=[_interrupted(keras, 2)])
    assert lstmgen.Model(tmp_path / "part.bin").metadata["card"]["epochs"] <= 2  # the best model so far was written
    with pytest.raises(
        ValueError, match=r"part\.training\.keras: it exists, from an interrupted training. resume=True continues it"
    ):
        train_text(corpus, tmp_path / "part.bin", settings)
    report = train_text(corpus, tmp_path / "part.bin", replace(settings, resume=True))
    assert report.history == whole.history  # slices and dropout are the same
    assert not (tmp_path / "part.training.keras").exists()


@pytest.fixture
def ctrl_c(keras: Any) -> Iterator[Callable[[int, int], Any]]:
    """Return a callback that presses Ctrl-C in a step of an epoch.

    Keras ignores exceptions there.
    """

    def press(in_epoch: int, in_step: int) -> Any:
        class CtrlC(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.epoch = epoch

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                if (self.epoch, batch) == (in_epoch, in_step):
                    with contextlib.suppress(KeyboardInterrupt):
                        signal.raise_signal(signal.SIGINT)

        return CtrlC()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores Ctrl-C
    yield press
    found = signal.signal(signal.SIGINT, before)
    assert found is signal.default_int_handler


RESUMED = ["default", "carry", "strong", "lesson"]


@pytest.mark.slow(reason="trains four times; tests/test_training_files.py resumes trainings, too")
@pytest.mark.parametrize("recipe", RESUMED)
def test_ctrl_c_within_an_epoch_loses_nothing(
    ctrl_c: Any, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str
) -> None:
    settings = replace(SMALL, carry=recipe == "carry", batch=8)
    if recipe == "strong":
        settings = replace(SMALL, recipe="strong", batch=8)
    if recipe == "lesson":
        corpus.write_text(SONG[:1000])
        settings = TextSettings(recipe="lesson", units=24, epochs=2, window=10, holdout=0.1)
    whole = train_text(corpus, tmp_path / "whole.bin", settings)
    out = tmp_path / "m.bin"
    with pytest.raises(KeyboardInterrupt):
        train_text(corpus, out, settings, callbacks=[ctrl_c(0, 2)])
    assert "interrupted in epoch 1: resume=True continues" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(KeyboardInterrupt):
        train_text(corpus, out, replace(settings, resume=True), callbacks=[ctrl_c(1, 1)])
    told = capsys.readouterr().err
    assert "continuing after step 3 of epoch 1" in told
    assert f"interrupted in epoch 2: {out} is the best model so far, and resume=True continues" in told
    names = {path.name for path in tmp_path.glob("m.*")}
    assert names == {"m.bin", "m.h5", "m.md", "m.training.keras"}
    report = train_text(corpus, out, replace(settings, resume=True))
    assert "continuing after step 2 of epoch 2" in capsys.readouterr().err
    assert [epoch["val_loss"] for epoch in report.history] == [epoch["val_loss"] for epoch in whole.history]
    losses = [epoch["loss"] for epoch in whole.history]  # the means include the steps before the interruption
    assert [epoch["loss"] for epoch in report.history] == pytest.approx(losses, rel=1e-5)


def test_the_strong_recipe_fills_in_what_is_not_given() -> None:
    settings = TextSettings(recipe="strong", dropout=0.2, units=64).completed()
    assert (settings.dropout, settings.units, settings.carry, settings.averaging) == (0.2, 64, True, 0.999)
    assert TextSettings(recipe="strong").completed().units == 640
    assert TextSettings(dropout=0.2).completed() == TextSettings(dropout=0.2)


@pytest.mark.slow(reason="trains twice for the figures of averages")
def test_averages_are_measured_and_exported(corpus: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, carry=True, averaging=0.9, batch=8, dropout=0.0)
    report = train_text(corpus, tmp_path / "m.bin", settings)
    card = lstmgen.Model(tmp_path / "m.bin").metadata["card"]
    assert card["recipe"]["averaging"] == 0.9
    assert card["held_out_bits_per_char"]["carried"] == pytest.approx(report.best, abs=0.02)
    plain = train_text(corpus, tmp_path / "p.bin", replace(settings, averaging=0.0))
    assert [e["loss"] for e in report.history] == pytest.approx([e["loss"] for e in plain.history], rel=1e-4)
    assert 0 < abs(report.best - plain.best) < 0.3  # the averages soon forget the first steps


@pytest.mark.slow(reason="trains for one figure of a card")
def test_all_of_a_file_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(SONG)
    (tmp_path / "b.txt").write_text(SONG[:600])
    with pytest.raises(
        ValueError, match=r"holdout: expected 0 to 0\.5 of all files, found 1: to hold out more of one file"
    ):
        train_text(tmp_path / "a.txt", tmp_path / "m.bin", replace(SMALL, holdout=1))
    sources = [tmp_path / "a.txt", tmp_path / "b.txt"]
    train_text(sources, tmp_path / "m.bin", replace(SMALL, epochs=1, holdout=1, holdout_from="b.txt"))
    assert lstmgen.Model(tmp_path / "m.bin").metadata["card"]["measured_on"] == "held-out data"


@pytest.mark.slow(reason="trains twice for one case of an interruption")
def test_fewer_epochs_than_there_were_end_it(ctrl_c: Any, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_text(corpus, tmp_path / "m.bin", SMALL, callbacks=[ctrl_c(1, 1)])
    report = train_text(corpus, tmp_path / "m.bin", replace(SMALL, epochs=1, resume=True))
    assert len(report.history) == 1


@pytest.mark.slow(reason="trains twice")
def test_a_stop_in_a_resumed_epoch_holds(keras: Any, ctrl_c: Any, corpus: Path, tmp_path: Path) -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    with pytest.raises(KeyboardInterrupt):
        train_text(corpus, tmp_path / "m.bin", SMALL, callbacks=[ctrl_c(0, 1)])
    report = train_text(corpus, tmp_path / "m.bin", replace(SMALL, resume=True), callbacks=[Stop()])
    assert len(report.history) == 1


@pytest.mark.slow(reason="trains two epochs for one case of Ctrl-C")
def test_ctrl_c_at_the_end_leaves_all_and_is_raised(
    keras: Any, ctrl_c: Any, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_text(corpus, tmp_path / "m.bin", SMALL, callbacks=[Late()])
    assert "Stopping after this step" in capsys.readouterr().err
    assert {path.name for path in tmp_path.glob("m.*")} == {"m.bin", "m.h5", "m.md"}


@pytest.mark.slow(reason="trains until nothing is better")
def test_patience_ends_it_and_the_best_is_kept(corpus: Path, tmp_path: Path) -> None:
    corpus.write_text("".join(random.Random(0).choices("abcdefgh", k=2000)))  # random letters can only be memorised
    report = train_text(corpus, tmp_path / "m.bin", replace(SMALL, lr=5e-2, batch=32, epochs=60, patience=1))
    assert len(report.history) < 60
    losses = [epoch["val_loss"] for epoch in report.history]
    assert lstmgen.Model(tmp_path / "m.bin").metadata["card"]["epochs"] == losses.index(min(losses)) + 1


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty: give a text"),
        (b"a" * 5000, "at least two different characters, found only 'a'"),
        (b"ab" * 20, "expected at least 59 letters, found 40"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"ab" * 2000 + b"\0", "found it at character 4000"),
        (b"ab" * 900, "too short for --holdout 0.05: expected more than 50 letters in a row to learn from, and 100 to"),
    ],
)
def test_corpus_that_cannot_be_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    assert cli.main(["train", "text", str(path), "-o", str(tmp_path / "m.bin")]) == 1
    message = capsys.readouterr().err
    assert f"{path}: " in message
    assert reason in message
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.txt"]


def test_missing_corpus_and_wrong_output(tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "text", str(tmp_path / "none.txt"), "-o", str(tmp_path / "m.bin")]) == 1
    assert "none.txt: No such file" in capsys.readouterr().err
    assert cli.main(["train", "text", str(corpus), "-o", str(tmp_path / "m.h5")]) == 1
    assert "expected a name that ends with .bin" in capsys.readouterr().err
    assert cli.main(["train", "text", str(corpus), "-o", str(tmp_path / "no" / "m.bin")]) == 1
    assert "cannot write into the folder" in capsys.readouterr().err


def test_what_must_not_be_replaced_is_refused_before_the_work(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(corpus: Path, out: str) -> str:
        assert cli.main(["train", "text", str(corpus), "-o", str(tmp_path / out)]) == 1
        return capsys.readouterr().err

    (tmp_path / "a.bin").mkdir()
    (tmp_path / "b.h5").mkdir()
    (tmp_path / "c.md").write_text("# My own notes")
    assert "a.bin: not a regular file" in refused(corpus, "a.bin")
    assert "b.h5: not a regular file" in refused(corpus, "b.bin")
    assert "c.md: no training wrote this file" in refused(corpus, "c.bin")
    own = corpus.rename(tmp_path / "own.bin")
    assert "own.bin: the training reads this file" in refused(own, "own.bin")
    assert own.read_text() == SONG


def test_a_full_disk_is_an_error_that_leaves_nothing(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    options = ["--units", "8", "--epochs", "1", "--length", "30", "--window", "20", "--holdout", "0.1"]
    assert cli.main(["train", "text", str(corpus), "-o", str(tmp_path / "m.bin"), *options]) == 1
    assert f"lstmgen: {tmp_path / 'm.bin'}: cannot write: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [corpus]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epochs": 0}, "epochs: expected 1"),
        ({"holdout": 0.6}, "holdout: expected 0 to 0.5"),
        ({"level": "syllables"}, "level: expected one of letters, words"),
        ({"dropout": 1.0}, r"dropout: expected 0 to 0\.99"),
        ({"seed": -1}, "seed: expected 0 to 4294967295"),
        ({"weight_decay": -1.0}, "weight_decay: expected 0 to 1"),
        ({"words": 100}, "words: it has no effect"),
        ({"holdout": 0.0, "holdout_from": "song.txt"}, "holdout_from: it has no effect"),
        ({"holdout_from": "other.txt"}, r"holdout_from: expected one of the files of the corpus, .*song\.txt; found"),
        ({"holdout_from": "song.txt", "holdout": 0.005}, r"song\.txt: too short for holdout=0\.005"),
        ({"recipe": "lesson"}, "batch: it has no effect"),
        ({"dtype": "f16"}, "dtype: expected one of"),
        ({"resume": True, "overwrite": True}, "resume=True and overwrite exclude each other: give one"),
    ],
)
def test_settings_that_cannot_be(corpus: Path, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        train_text(corpus, tmp_path / "m.bin", replace(SMALL, **change))


def test_without_keras_the_extra_is_named(corpus: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "from lstmgen.cli import main as cli\n"
        f"sys.exit(cli.main(['train', 'text', {str(corpus)!r}, '-o', {str(tmp_path / 'm.bin')!r}]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    about, network, reason = done.stderr.splitlines()
    assert about == f"{corpus}: {len(SONG):,} characters, {len(SONG):,} letters, 26 different; 154 held out"
    assert network.startswith("network: one-hot 26 > lstm 512 > dense 26, 1,117,210 parameters; ")
    assert reason.startswith("lstmgen: training needs Keras with a backend: pip install 'lstmgen[train]'")
    assert not (tmp_path / "m.bin").exists()


def test_command_line_trains(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--units", "16", "--epochs", "1", "--batch", "8", "--length", "30", "--window", "20", "--holdout", "0.1"]
    assert cli.main(["train", "text", str(corpus), "-o", str(tmp_path / "m.bin"), *options]) == 0
    message = capsys.readouterr().err
    assert "epoch 1/1: " in message
    assert "bits/char, the best of 1 epoch: epoch 1" in message


@pytest.mark.parametrize("kind", train._TASKS)
def test_help_explains_each_option_with_its_default(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        cli.main(["train", kind, "--help"])
    assert status.value.code == 0
    for option in re.split(r"\n  (?=-)", capsys.readouterr().out)[1:]:
        flags, explained = re.split(r"  +|\n +", option, maxsplit=1)
        assert re.search(r"[a-z]{2}", explained), flags
        if re.search(r" [NX]$", flags):
            assert re.search(r"[a-z]{2}.*\([\d.e-]+|by the size of the text\)\s*$", explained, re.DOTALL), flags


# -- callback --------------------------------------------------------------------------------------


def test_export_callback_keeps_the_best(keras: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    from lstmgen.keras import ExportCallback

    model = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(6), keras.layers.Dense(4, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (40, 5))]
    y = rng.integers(0, 4, 40)
    callback = ExportCallback(tmp_path / "m.bin", vocab=list("abcd"), name="mine")
    model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
    exported = lstmgen.Model(tmp_path / "m.bin")
    assert exported.metadata["name"] == "mine"
    assert exported.vocabulary is not None
    np.testing.assert_allclose(exported.predict(x), model.predict(x, verbose=0), atol=1e-5)
    before = (tmp_path / "m.bin").read_bytes()
    callback.best = -1.0  # no figure is better
    model.fit(x, y, epochs=1, verbose=0, callbacks=[callback])
    assert (tmp_path / "m.bin").read_bytes() == before
    with pytest.raises(ValueError, match="monitor: expected one of accuracy, loss"):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[ExportCallback(tmp_path / "n.bin", monitor="val_loss")])


def test_export_callback_compares_like_with_like(keras: Any, tmp_path: Path) -> None:
    from lstmgen.keras import ExportCallback

    model = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(6), keras.layers.Dense(4, activation="softmax")])
    callback = ExportCallback(tmp_path / "m.bin")
    callback.set_model(model)
    exported = []
    for epoch, logs in enumerate(
        [
            {"loss": float("nan")},  # NaN is never the best
            {"loss": 0.1},
            {"loss": 0.2},
            {"loss": 0.2, "val_loss": 3.0},  # the first epoch with a validation
            {"loss": 0.01},
            {"loss": 0.01, "val_loss": 2.0},
        ]
    ):
        (tmp_path / "m.bin").unlink(missing_ok=True)
        callback.on_epoch_end(epoch, logs)
        exported.append((tmp_path / "m.bin").exists())
    assert exported == [False, True, False, True, False, True]


def test_export_callback_refuses_before_the_work(keras: Any, tmp_path: Path) -> None:
    from lstmgen.keras import ExportCallback

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    model.compile("adam", "mse")
    with pytest.raises(lstmgen.ModelFormatError):
        model.fit(np.zeros((4, 8)), np.zeros((4, 4)), verbose=0, callbacks=[ExportCallback(tmp_path / "m.bin")])
    assert list(tmp_path.iterdir()) == []


def test_export_callback_never_replaces_a_file_that_is_no_model(keras: Any, tmp_path: Path) -> None:
    from lstmgen.keras import ExportCallback

    (tmp_path / "corpus.txt").write_text("abcd" * 40)
    callback = ExportCallback(tmp_path / "corpus.txt", vocab=list("abcd"), overwrite=True)
    callback.set_model(_tiny(keras))
    with pytest.raises(ValueError, match=r"corpus\.txt: the export would replace a file that is no \.bin"):
        callback.on_train_begin()


def _tiny(keras: Any, units: int = 6) -> Any:
    layers = [keras.Input((5, 4)), keras.layers.LSTM(units), keras.layers.Dense(4, activation="softmax")]
    return keras.Sequential(layers)


def test_export_callback_keeps_a_better_file_of_another_run(keras: Any, tmp_path: Path) -> None:
    from lstmgen.keras import ExportCallback

    def run(figures: list[dict[str, float]], **options: Any) -> list[bool]:
        """Return whether each epoch, with these figures, wrote the file."""
        callback = ExportCallback(path, vocab=list("abcd"), **options)
        callback.set_model(_tiny(keras))
        callback.on_train_begin()
        written = []
        for epoch, logs in enumerate(figures):
            before = path.read_bytes() if path.exists() else b""
            callback.on_epoch_end(epoch, logs)
            written.append((path.read_bytes() if path.exists() else b"") != before)
        return written

    path = tmp_path / "m.bin"
    assert run([{"val_loss": 2.0}, {"val_loss": 1.5}], card={"made": "here"}) == [True, True]
    card = lstmgen.Model(path).metadata["card"]
    assert card.pop("assumed")[0].startswith("encoding onehot: ")
    assert card == {"made": "here", "monitor": "val_loss", "figure": 1.5, "epoch": 2}
    with pytest.warns(UserWarning, match=r"m\.bin: it has val_loss 1.5, and stays until an epoch is better"):
        assert run([{"val_loss": 1.9}, {"val_loss": 1.6}, {"val_loss": 1.4}]) == [False, False, True]
    assert run([{"val_loss": 9.0}, {"val_loss": 9.5}], overwrite=True) == [True, False]
    assert run([{"accuracy": 0.5}, {"accuracy": 0.4}], monitor="accuracy", overwrite=True) == [True, False]
    with pytest.warns(UserWarning, match="accuracy 0.5"):
        assert run([{"accuracy": 0.4}, {"accuracy": 0.6}], monitor="accuracy") == [False, True]


def test_export_callback_refuses_a_file_that_it_cannot_compare_with(keras: Any, tmp_path: Path) -> None:
    from lstmgen.keras import ExportCallback

    path = tmp_path / "m.bin"

    def begun(units: int = 6, **options: Any) -> ExportCallback:
        callback = ExportCallback(path, **{"vocab": list("abcd"), **options})
        callback.set_model(_tiny(keras, units))
        callback.on_train_begin()
        return callback

    begun().on_epoch_end(0, {"val_loss": 2.0})
    before = path.read_bytes()
    for change in ({"units": 7}, {"vocab": list("abce")}):
        with pytest.raises(ValueError, match=r"it is another network, or has another vocabulary: .* overwrite=True"):
            begun(**change)
    with pytest.raises(ValueError, match="its figure is its val_loss, not its accuracy"):
        begun(monitor="accuracy")
    with pytest.raises(ValueError, match="with monitor=None each epoch would replace it"):
        begun(monitor=None)
    with pytest.warns(UserWarning, match="stays"):
        callback = begun()
    with pytest.raises(ValueError, match="its figure is its val_loss, that of this training its loss"):
        callback.on_epoch_end(0, {"loss": 0.1})
    assert path.read_bytes() == before
    model = _tiny(keras)
    model.save(tmp_path / "m.keras")
    lstmgen.export(tmp_path / "m.keras", path, vocab=list("abcd"))
    with pytest.raises(ValueError, match=r"m\.bin: a model is there: no ExportCallback wrote it"):
        begun()
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"m\.bin"):
        begun()
