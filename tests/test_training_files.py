"""What `lstmgen train` does if files are already there.

A finished model is never overwritten by less.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import exporting
from lstmgen.cli import main as cli
from lstmgen.cli.train import ended
from lstmgen.training import TextSettings, checkpoint, train_text
from lstmgen.training.checkpoint import Files, State
from support.kills import COUNTED
from support.networks import network, packed

SMALL = TextSettings(units=8, epochs=1, batch=16, length=20, window=10, holdout=0.1, lr=1e-2)
SONG = "".join(f"{n} green bottles, hanging on the wall,\n" for n in range(99, 40, -1))
MODEL = ("m.bin", "m.h5", "m.md")


@pytest.fixture(scope="module")
def finished(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a text and a finished training on it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "song.txt").write_text(SONG)
    train_text(folder / "song.txt", folder / "m.bin", SMALL)
    return folder


@pytest.fixture(scope="module")
def interrupted(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a text and a training interrupted after its first epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    (folder / "song.txt").write_text(SONG)
    with pytest.raises(_Stop):
        train_text(folder / "song.txt", folder / "m.bin", replace(SMALL, epochs=3), callbacks=[_stop(keras, 1)])
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of `finished`."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def broken_off(interrupted: Path, tmp_path: Path) -> Path:
    """Return a copy of `interrupted`."""
    shutil.copytree(interrupted, tmp_path / "copy")
    return tmp_path / "copy"


class _Stop(Exception):
    pass


def _stop(keras: Any, before: int) -> Any:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == before:
                raise _Stop

    return Stop()


def _look(keras: Any, found: list[Any]) -> Any:
    """Return a callback that adds the first weights of a training to `found`, and ends it."""

    class Look(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            found.extend(self.model.get_weights())
            raise _Stop

    return Look()


def _spoil(keras: Any) -> Any:
    """Weights that are of no use from the first step on."""

    class Spoil(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            rng = np.random.default_rng(1)
            self.model.set_weights([rng.normal(0, 30, w.shape) for w in self.model.get_weights()])

    return Spoil()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def card(folder: Path) -> Any:
    return lstmgen.Model(folder / "m.bin").metadata["card"]


def weights(path: Path) -> list[np.ndarray[Any, Any]]:
    import keras

    loaded = keras.models.load_model(path, compile=False)
    return list(loaded.get_weights())


# -- what is there is not replaced -----------------------------------------------------------------


@pytest.mark.parametrize("there", [MODEL, ("m.bin",), ("m.h5",), ("m.md",), ("m.training.keras",)])
def test_what_is_there_is_not_replaced_without_being_told(
    folder: Path, there: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "m.training.keras").write_bytes(b"a state")
    for name in {*MODEL, "m.training.keras"} - set(there):
        (folder / name).unlink()
    before = contents(folder)
    with pytest.raises(ValueError, match=r"it exists.*resume=True.*from_='.*'.*overwrite=True"):
        train_text(folder / "song.txt", folder / "m.bin", SMALL)
    assert cli.main(["train", "text", str(folder / "song.txt"), "-o", str(folder / "m.bin")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lstmgen: {folder / there[0]}: ")
    for spelled in ("--resume", "--from ", "--overwrite"):
        assert spelled in line
    assert "=True" not in line
    assert contents(folder) == before


def test_overwrite_replaces_nothing_before_the_first_epoch_and_then_all(folder: Path, keras: Any) -> None:
    before = contents(folder)
    settings = replace(SMALL, units=5, overwrite=True)
    with pytest.raises(_Stop):
        train_text(folder / "song.txt", folder / "m.bin", settings, callbacks=[_stop(keras, 0)])
    assert contents(folder) == before
    train_text(folder / "song.txt", folder / "m.bin", settings, callbacks=[_spoil(keras)])  # told, so even by a worse
    after = contents(folder)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == list(MODEL)
    assert lstmgen.Model(folder / "m.bin").layers[0].outputs == 5


@pytest.mark.slow(reason="trains twice")
def test_a_resumed_training_that_was_told_to_overwrite_still_does(folder: Path, keras: Any) -> None:
    import signal

    class CtrlC(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    old = contents(folder)
    settings = replace(SMALL, units=5, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        train_text(folder / "song.txt", folder / "m.bin", settings, callbacks=[CtrlC()])
    signal.signal(signal.SIGINT, before)
    assert {name: data for name, data in contents(folder).items() if name != "m.training.keras"} == old
    train_text(folder / "song.txt", folder / "m.bin", TextSettings(epochs=1, resume=True))
    assert lstmgen.Model(folder / "m.bin").layers[0].outputs == 5


# -- going on with a finished model ----------------------------------------------------------------


def test_resume_trains_a_finished_model_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = card(folder)
    command = ["train", "text", str(folder / "song.txt"), "-o", str(folder / "m.bin"), "--resume", "--epochs", "2"]
    assert cli.main(command) == 0
    told = capsys.readouterr().err
    assert f"continuing {folder / 'm.bin'} from epoch 1" in told
    assert "epoch 2/3: " in told
    assert "epoch 3/3: " in told
    after = card(folder)
    assert after["recipe"] == before["recipe"]  # of the model, not the defaults
    assert after["recipe"]["units"] == 8
    assert after["epochs"] in (2, 3)
    assert after["bits/char"] < before["bits/char"]
    assert f"the best of 2 epochs: epoch {after['epochs']}" in told
    assert sorted(contents(folder)) == sorted([*MODEL, "song.txt"])


def test_it_goes_on_from_the_weights_of_the_model(folder: Path, keras: Any) -> None:
    found: list[Any] = []
    with pytest.raises(_Stop):
        train_text(folder / "song.txt", folder / "m.bin", TextSettings(resume=True), callbacks=[_look(keras, found)])
    for mine, kept in zip(found, weights(folder / "m.h5"), strict=True):
        np.testing.assert_array_equal(mine, kept)


def test_a_better_model_stays_until_there_is_a_better_one(
    folder: Path, keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    figure = card(folder)["bits/char"]
    settings = TextSettings(epochs=1, resume=True)
    report = train_text(folder / "song.txt", folder / "m.bin", settings, callbacks=[_spoil(keras)])
    assert (report.best, report.best_epoch, report.improved, len(report.history)) == (figure, 1, False, 1)
    assert ended(report) == (
        f"{folder / 'm.bin'}: it is as it was: 1 epoch, none better than its epoch 1 with {figure:.3f} bits/char"
    )
    assert report.history[0]["val_loss"] / np.log(2) > figure
    assert f"no better than epoch 1 ({figure:.3f})" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.slow(reason="trains on; another test keeps the better model")
def test_an_interrupted_training_keeps_the_better_model_too(broken_off: Path, keras: Any) -> None:
    before = contents(broken_off)
    settings = replace(SMALL, epochs=2, resume=True)
    report = train_text(broken_off / "song.txt", broken_off / "m.bin", settings, callbacks=[_spoil(keras)])
    assert report.best_epoch == 1
    assert (broken_off / "m.h5").read_bytes() == before["m.h5"]
    assert card(broken_off)["epochs"] == 1
    assert not (broken_off / "m.training.keras").exists()


def test_nothing_to_resume_begins_at_the_start(tmp_path: Path, keras: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "song.txt").write_text(SONG)
    with pytest.raises(_Stop):
        settings = replace(SMALL, resume=True)
        train_text(tmp_path / "song.txt", tmp_path / "m.bin", settings, callbacks=[_stop(keras, 0)])
    assert "nothing to resume: training from the start" in capsys.readouterr().err


def test_what_cannot_be_trained_on_says_why(folder: Path) -> None:
    def refused(**settings: Any) -> str:
        before = contents(folder)
        with pytest.raises(ValueError) as error:
            train_text(folder / "song.txt", folder / "m.bin", TextSettings(resume=True, **settings))
        assert contents(folder) == before
        return str(error.value)

    said = refused(units=9, window=11)
    assert "other settings: units: it had 8, found 9; window: it had 10, found 11" in said
    assert "holdout" not in said
    (folder / "song.txt").write_text(SONG + "more")
    said = refused()
    assert f"m.bin: it learnt from other data: characters: it had {len(SONG)}, found {len(SONG) + 4}" in said
    (folder / "song.txt").write_text(SONG)
    kept = (folder / "m.h5").read_bytes()
    (folder / "m.h5").write_bytes(kept + b"\0")
    assert "m.h5: m.bin was not made from this model" in refused()
    (folder / "m.h5").unlink()
    assert "m.h5: it is missing" in refused()
    (folder / "m.h5").write_bytes(kept)
    (folder / "m.bin").unlink()
    assert "m.h5: it cannot be resumed without m.bin" in refused()
    exporting.export(folder / "m.h5", folder / "m.bin")
    assert "m.bin: no training of lstmgen wrote it" in refused()
    exporting.export(folder / "m.h5", folder / "m.bin", card={"recipe": {"units": 8}, "epochs": 1})
    assert "m.bin: an older version of lstmgen trained it" in refused()
    (folder / "m.bin").write_bytes(b"GGUF and nothing more")
    assert "m.bin: " in refused()


def test_values_of_the_defaults_count_where_the_command_line_gives_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "text", str(folder / "song.txt"), "-o", str(folder / "m.bin"), "--resume"]
    assert cli.main([*command, "--units", "512", "--weight-decay", "0.5"]) == 1
    said = capsys.readouterr().err
    assert "--units: it had 8, found 512; --weight-decay: it had 0.01, found 0.5" in said


# -- states ----------------------------------------------------------------------------------------


def _edited(path: Path, change: Callable[[dict[str, Any]], object], name: str = "lstmgen.json") -> None:
    """Change a member of a state by hand."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    notes = json.loads(members[name])
    change(notes)
    members[name] = json.dumps(notes).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b""), "damaged: File is not a zip file"),
        (lambda path: path.write_text("{}"), "damaged: File is not a zip file"),
        (lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), "damaged: There is no item named"),
        (_cut, "damaged: "),
        (_flip, "damaged: "),
        (lambda path: _edited(path, lambda notes: notes.update(best=0.1)), "damaged: the checksum is wrong"),
        (lambda path: _edited(path, lambda notes: notes["history"].clear()), "the checksum is wrong"),
        (lambda path: _edited(path, lambda notes: notes.pop("base")), "the checksum is wrong"),
        (lambda path: _edited(path, lambda notes: notes.update(steps=[]), "config.json"), "the checksum is wrong"),
        (lambda path: _edited(path, lambda notes: notes.update(version=4)), "as version 4: expected version 3"),
        (lambda path: _edited(path, lambda notes: notes.pop("version")), "as version 1: expected version 3"),
    ],
)
def test_a_state_that_is_not_as_it_was_written_is_an_error(
    broken_off: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], reason: str
) -> None:
    damage(broken_off / "m.training.keras")
    before = contents(broken_off)
    command = ["train", "text", str(broken_off / "song.txt"), "-o", str(broken_off / "m.bin"), "--resume"]
    assert cli.main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lstmgen: {broken_off / 'm.training.keras'}: this training cannot be resumed: ")
    assert reason in line
    assert "--overwrite begins again" in line
    assert contents(broken_off) == before


def test_without_its_damaged_state_the_model_is_trained_on(broken_off: Path) -> None:
    (broken_off / "m.training.keras").unlink()
    report = train_text(broken_off / "song.txt", broken_off / "m.bin", TextSettings(epochs=1, resume=True))
    assert (len(report.history), report.best_epoch) == (1, 2)


def test_other_settings_of_a_state_are_named_with_both_values(broken_off: Path) -> None:
    settings = replace(SMALL, seed=7, dropout=0.5, resume=True)
    with pytest.raises(
        ValueError, match=r"m\.training\.keras: .* settings: seed: it had 1, found 7; dropout: it had 0\.2, found 0\.5"
    ):
        train_text(broken_off / "song.txt", broken_off / "m.bin", settings)


def test_a_state_beside_another_model_is_an_error(broken_off: Path, tmp_path: Path) -> None:
    exporting.export(broken_off / "m.h5", tmp_path / "other.bin")
    shutil.move(tmp_path / "other.bin", broken_off / "m.bin")
    with pytest.raises(ValueError, match=r"m\.bin: it does not belong to the interrupted training .*training\.keras"):
        train_text(broken_off / "song.txt", broken_off / "m.bin", TextSettings(resume=True))


def test_a_state_is_read_as_it_was_saved(broken_off: Path) -> None:
    state = State.read(broken_off / "m.training.keras")
    assert (state.epochs, state.best_epoch, state.steps, state.overwrites) == (1, 1, 0, False)
    assert state.recipe["units"] == 8
    assert state.best == pytest.approx(card(broken_off)["bits/char"], abs=1e-4)


# -- weights of another model ----------------------------------------------------------------------


def _begun(source: Path, text: Path, out: Path, keras: Any, **settings: Any) -> list[Any]:
    """Return the weights that a training begins with."""
    found: list[Any] = []
    given = replace(TextSettings(batch=16, length=20, window=10, holdout=0.1, from_=source), **settings)
    with pytest.raises(_Stop):
        train_text(text, out, given, callbacks=[_look(keras, found)])
    return found


@pytest.mark.parametrize("name", ["m.h5", "m.bin", "alone.bin"])
def test_a_training_begins_with_the_weights_of_a_model(folder: Path, tmp_path: Path, keras: Any, name: str) -> None:
    shutil.copy(folder / "m.bin", folder / "alone.bin")  # without a model of Keras beside it
    before = contents(folder)
    found = _begun(folder / name, folder / "song.txt", tmp_path / "n.bin", keras)  # units are those of the model
    for mine, given in zip(found, weights(folder / "m.h5"), strict=True):
        np.testing.assert_array_equal(mine, given)
    assert contents(folder) == before


def test_weights_move_to_where_their_elements_are(
    folder: Path, tmp_path: Path, keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(SONG.replace("9", "§").replace("green", "GREEN"))
    there = lstmgen.Model(folder / "m.bin").vocabulary
    assert there is not None
    here = sorted(set(other.read_text()))
    found = _begun(folder / "m.h5", other, tmp_path / "n.bin", keras)
    given = weights(folder / "m.h5")
    for element in set(here) & set(there.elements):
        mine, theirs = here.index(element), there.ids[element]
        np.testing.assert_array_equal(found[0][mine], given[0][theirs])
        np.testing.assert_array_equal(found[-2][:, mine], given[-2][:, theirs])
        assert found[-1][mine] == given[-1][theirs]
    for element in set(here) - set(there.elements):
        assert found[-1][here.index(element)] == given[-1].min()
    np.testing.assert_array_equal(found[1], given[1])
    new, gone = len(set(here) - set(there.elements)), len(set(there.elements) - set(here))
    assert (new, gone) == (5, 2)  # G, R, E, N, and § for 9; r stands in green only
    told = f"it has {len(here) - 5} of the {len(here)} elements; 5 are new ('E' 'G' 'N' 'R' '§')"
    assert f"{told}; 2 of its elements are not used" in capsys.readouterr().err


def test_weights_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, keras: Any) -> None:
    def refused(source: Path, text: Path = folder / "song.txt", **settings: Any) -> str:
        given = {"epochs": 1, "batch": 16, "length": 20, "window": 10, "holdout": 0.1, "from_": source, **settings}
        with pytest.raises((ValueError, OSError)) as error:
            train_text(text, tmp_path / "n.bin", TextSettings(**given))
        assert not list(tmp_path.glob("n.*"))
        return str(error.value)

    assert "m.h5: it was trained with other settings: units: it had 8, found 9" in refused(folder / "m.h5", units=9)
    assert "level: it had letters, found words" in refused(folder / "m.h5", level="words")
    assert "none.h5" in refused(folder / "none.h5")
    assert "none.bin" in refused(folder / "none.bin")
    (folder / "broken.h5").write_bytes((folder / "m.h5").read_bytes()[:2000])
    assert "broken.h5" in refused(folder / "broken.h5")
    shutil.copy(folder / "m.h5", folder / "alone.h5")
    (folder / "other.txt").write_text(SONG.replace("9", "§§§!"))
    said = refused(folder / "alone.h5", folder / "other.txt")
    assert "one for each element of the data" in said
    assert "put alone.bin, which has the vocabulary, beside it" in said
    (folder / "gru.bin").write_bytes(packed(network([("gru", 8), ("dense", 16, "softmax")], 16)))
    assert "gru.bin: expected layers of the types embedding, lstm, dense, found gru" in refused(folder / "gru.bin")


@pytest.mark.slow(reason="trains a classifier twice")
def test_a_classifier_is_trained_on_and_its_labels_move(keras: Any, tmp_path: Path) -> None:
    from lstmgen.training import ClassifierSettings, train_classifier

    rows = {"abc": "x", "bca": "x", "dd": "y", "ddd": "y"}
    (tmp_path / "a.csv").write_text("".join(f"{sequence},{label}\n" for sequence, label in rows.items()))
    (tmp_path / "b.csv").write_text("ed,y\nae,z\nba,x\n")
    settings = ClassifierSettings(units=4, embedding=3, epochs=1)
    train_classifier(tmp_path / "a.csv", tmp_path / "m.bin", settings)
    report = train_classifier(tmp_path / "a.csv", tmp_path / "m.bin", ClassifierSettings(epochs=1, resume=True))
    assert report.best_epoch == 2
    found: list[Any] = []
    with pytest.raises(_Stop):
        begin = ClassifierSettings(from_=tmp_path / "m.bin")
        train_classifier(tmp_path / "b.csv", tmp_path / "n.bin", begin, callbacks=[_look(keras, found)])
    given = weights(tmp_path / "m.h5")
    # Letters: padding a b c d there, padding a b d e here. Labels: x y there, y z x here.
    np.testing.assert_array_equal(found[0][[0, 1, 2, 3]], given[0][[0, 1, 2, 4]])
    np.testing.assert_array_equal(found[-2][:, [0, 2]], given[-2][:, [1, 0]])
    np.testing.assert_array_equal(found[-1], [given[-1][1], given[-1].min(), given[-1][0]])


# -- kill -9 ---------------------------------------------------------------------------------------

_KILLED = """
import os, sys
from pathlib import Path
from lstmgen.training.checkpoint import Files
count, replace = int(sys.argv[2]), os.replace
def one_less(*names):
    global count
    count -= 1
    if count < 0:
        os._exit(9)
    replace(*names)
os.replace = one_less
files = Files(Path(sys.argv[1]))
files.replace({path: b"new " + path.name.encode() for path in files.model})
"""


@pytest.mark.parametrize("replaced", range(5))
def test_a_process_that_is_killed_leaves_the_old_files_or_the_new_ones(tmp_path: Path, replaced: int) -> None:
    files = Files(tmp_path / "m.bin")
    for path in files.model:
        path.write_bytes(b"old " + path.name.encode())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _KILLED, str(files.out), str(replaced)]
    assert subprocess.run(command, env=environment, check=False).returncode == (0 if replaced == 4 else 9)
    for path in files.model:
        assert path.read_bytes() in (b"old " + path.name.encode(), b"new " + path.name.encode())
    files.recover()
    age = b"old " if replaced == 0 else b"new "
    assert [path.read_bytes() for path in files.model] == [age + path.name.encode() for path in files.model]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MODEL)  # nothing half written


KILLED = f"""{COUNTED}
from pathlib import Path
import lstmgen.files as files
from lstmgen.training import TextSettings, train_text
left = int(sys.argv[2])
for name in ("replace", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
Path.unlink = counted(Path.unlink)
folder = Path(sys.argv[1])
settings = TextSettings(units=8, epochs=2, batch=16, length=20, window=10, holdout=0.1, lr=1e-2, resume=True)
train_text(folder / "song.txt", folder / "m.bin", settings)
"""


@pytest.mark.slow(reason="each kill is a process that imports Keras")
@pytest.mark.usefixtures("keras")
@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
def test_a_training_that_is_killed_at_many_steps_leaves_whole_files_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text(SONG)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = 0
    for steps in (*range(1, 11), 1000):  # each goes on with what the one before has left
        run = [sys.executable, "-c", KILLED, str(tmp_path), str(steps)]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
        for name in ("m.bin", "m.h5"):
            if (tmp_path / name).exists():
                assert lstmgen.Model(tmp_path / name).layers[0].outputs == 8
        if done.returncode == 0:
            break
    assert killed >= 5
    assert done.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"song.txt", *MODEL}
    x = np.zeros((1, 10), np.uint32)
    keras_model, model = lstmgen.Model(tmp_path / "m.h5"), lstmgen.Model(tmp_path / "m.bin")
    np.testing.assert_array_equal(keras_model.predict(x), model.predict(x))


def test_keras_saves_in_memory_where_no_other_disk_has_room(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (full := tmp_path / "full").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(full))
    model = keras.Sequential([keras.layers.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    opened: list[str] = []
    real = open

    def recorded(path: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(str(path))
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", recorded)
        saved = {suffix: checkpoint.saved_bytes(model, suffix) for suffix in (".keras", ".h5")}
    assert not [path for path in opened if path.startswith(str(full))]
    for suffix, data in saved.items():
        (path := tmp_path / f"m{suffix}").write_bytes(data)
        again = keras.models.load_model(path, compile=False)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            assert (a == b).all()
    assert {path.name for path in tmp_path.iterdir()} == {"full", "m.keras", "m.h5"}
    assert not any(full.iterdir())


def test_a_damaged_journal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".m.replacing").write_bytes(b"no journal")
    with pytest.raises(ValueError, match=r"\.m\.replacing: damaged: "):
        Files(tmp_path / "m.bin").recover()
