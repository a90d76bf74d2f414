"""Notes of several outputs: pitch, step and duration of one network, drawn together."""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import ModelFormatError, heads
from lstmgen.cli import main as cli
from lstmgen.music import NoteGenerator, TimedNote, of_timed_notes, read_timed_notes
from support.comparing import outputs_of
from support.networks import packed
from support.slow import slow_but

STEPS, PITCHES = 5, 128
ORDER = ("pitch", "step", "duration")

Save = Callable[..., Path]


@pytest.fixture
def build(keras: Any) -> Callable[..., Any]:
    """A function that makes the network of the tutorial, or one like it."""
    layers = keras.layers

    def make(
        sizes: dict[str, int] | None = None,
        *,
        inputs: int | None = None,
        window: int | None = STEPS,
        recurrent: Sequence[Any] = (),
        hidden: bool = False,
        activation: str | None = None,
        names: dict[str, str] | None = None,
        as_dict: bool = True,
        scale: float = 0.7,
    ) -> Any:
        sizes = sizes or {"pitch": PITCHES, "step": 1, "duration": 1}
        given = keras.Input((window, inputs or len(sizes)))
        x = given
        for layer in recurrent or [layers.LSTM(12)]:
            x = layer(x)
        outputs = {}
        for part, size in sizes.items():
            name = (names or {}).get(part, part)
            y = layers.Dense(7, activation="relu")(x) if hidden else x
            outputs[name] = layers.Dense(size, name=name, activation=activation if size > 1 else None)(y)
        model = keras.Model(given, outputs if as_dict else list(outputs.values()))
        for layer in model.layers:  # the same for the same layer, whatever its place
            named = layer.name if layer.name in outputs else type(layer).__name__
            rng = np.random.default_rng(zlib.crc32(named.encode()))
            for weight in layer.weights:
                weight.assign(rng.normal(0, scale, weight.shape))
        return model

    return make


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    """A function that saves a model as .keras."""

    def save(model: Any, name: str = "notes.keras") -> Path:
        model.save(tmp_path / name)
        return tmp_path / name

    return save


def tutorial_loop(
    model: Any, notes: Sequence[Sequence[float]], count: int, *, divides: bool = True, pitches: int = PITCHES
) -> list[tuple[int, float, float]]:
    """Return what the tutorial's loop gives with the likeliest pitch.

    The new pitch is divided as in the training.
    """
    scale = np.array([pitches, 1.0, 1.0])
    window = np.array(notes, np.float64) / scale
    found = []
    for _ in range(count):
        out = outputs_of(model, window[None])
        pitch = int(np.argmax(out["pitch"][0]))
        step, duration = (max(0.0, float(out[part][0, 0])) for part in ("step", "duration"))
        found.append((pitch, step, duration))
        new = np.array([pitch, step, duration]) / (scale if divides else 1)
        window = np.append(window[1:], new[None], axis=0)
    return found


PRIME = [(60, 0.0, 0.5), (64, 0.5, 0.25), (67, 0.25, 0.25), (72, 0.5, 1.0), (71, 0.125, 0.5)]


def as_rows(notes: Sequence[TimedNote]) -> list[tuple[int, float, float]]:
    return [(note.pitch, note.step, note.duration) for note in notes]


# -- against Keras ---------------------------------------------------------------------------------


def test_the_likeliest_notes_are_those_of_kerass_own_loop(build: Any, saved: Save) -> None:
    model = build(scale=1.3)
    ours = NoteGenerator(saved(model)).sample(30, 0, prime=PRIME)
    theirs = tutorial_loop(model, PRIME, 30)
    assert [note.pitch for note in ours] == [pitch for pitch, _, _ in theirs]
    np.testing.assert_allclose(as_rows(ours), theirs, atol=1e-4)
    assert len({note.pitch for note in ours}) >= 3
    undivided = tutorial_loop(model, PRIME, 30, divides=False)
    assert [pitch for pitch, _, _ in undivided] != [note.pitch for note in ours]


@pytest.mark.parametrize("temp", [0.5, 1.0, 2.0])
def test_pitches_have_the_probabilities_of_the_softmax(build: Any, saved: Save, temp: float) -> None:
    sizes = {"pitch": 12, "step": 1, "duration": 1}
    model = build(sizes, scale=1.5)
    prime = [(pitch % 12, step, duration) for pitch, step, duration in PRIME]
    with pytest.warns(UserWarning, match="pitch/12"):
        generator = NoteGenerator(saved(model))
    count = 4000
    drawn = [generator.sample(1, temp, prime=prime, seed=seed)[0].pitch for seed in range(count)]
    out = outputs_of(model, (np.array(prime) / [12, 1, 1])[None])
    p = np.exp(np.asarray(out["pitch"][0], np.float64) / temp)
    p /= p.sum()
    found = np.bincount(drawn, minlength=12) / count
    assert np.abs(found - p).max() < 4 * np.sqrt(0.25 / count)
    assert p.max() - p.min() > 0.1  # else any sampler would pass


def test_steps_and_durations_are_not_below_zero(build: Any, saved: Save) -> None:
    model = build()
    model.get_layer("step").bias.assign([-100.0])
    model.get_layer("duration").bias.assign([3.0])
    notes = NoteGenerator(saved(model)).sample(20, seed=1)
    assert {note.step for note in notes} == {0.0}
    assert max(note.duration for note in notes) > 1


def test_the_same_seed_gives_the_same_notes(build: Any, saved: Save) -> None:
    generator = NoteGenerator(saved(build()))
    assert generator.sample(20, seed=3) == generator.sample(20, seed=3)
    assert generator.sample(20, seed=3) != generator.sample(20, seed=4)
    assert list(generator.stream(20, temperature=2.0, seed=3)) == generator.sample(20, inverse_temp=0.5, seed=3)


# -- files and networks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", slow_but({"dict.keras", "list.h5"}, ["dict.keras", "list.keras", "dict.h5", "list.h5"], "builds it again")
)
def test_every_kind_of_whole_model_gives_the_same_notes(build: Any, saved: Save, save_h5: Save, kind: str) -> None:
    model = build(as_dict=kind.startswith("dict"))
    path = save_h5(model) if kind.endswith(".h5") else saved(model)
    expected = tutorial_loop(build(), PRIME, 8)
    np.testing.assert_allclose(as_rows(NoteGenerator(path).sample(8, 0, prime=PRIME)), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["weights", "checkpoint", "SavedModel"])
@pytest.mark.parametrize("as_dict", slow_but({True}, [True, False], "builds and saves each network once more"))
def test_weights_alone_tell_the_heads(
    build: Any, keras: Any, tmp_path: Path, kind: str, as_dict: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    tf = pytest.importorskip("tensorflow")
    model = build(as_dict=as_dict)
    path = tmp_path / "notes.weights.h5"
    if kind == "weights":
        model.save_weights(path)
    elif kind == "checkpoint":
        path = Path(tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt")))
    else:
        path = tmp_path / "exported"
        model.export(path, verbose=False)
    with pytest.warns(UserWarning, match=r"read from the weights as LSTM 12 > .*linear outputs"):
        found = NoteGenerator(path, window=STEPS)
    expected = tutorial_loop(build(), PRIME, 8)
    np.testing.assert_allclose(as_rows(found.sample(8, 0, prime=PRIME)), expected, atol=1e-4)
    capfd.readouterr()


@pytest.mark.parametrize(
    "kind", slow_but({"weights", "SavedModel"}, ["weights", "keras", "checkpoint", "SavedModel"], "saves it otherwise")
)
def test_a_class_of_ones_own_may_put_out_notes(keras: Any, tmp_path: Path, kind: str) -> None:
    tf = pytest.importorskip("tensorflow")
    layers = keras.layers

    @keras.saving.register_keras_serializable("tests")
    class Notes(keras.Model):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.first = layers.LSTM(6, return_sequences=True)
            self.second = layers.LSTM(4)
            self.pitch_dense, self.step_dense, self.duration_dense = layers.Dense(9), layers.Dense(1), layers.Dense(1)

        def call(self, x: Any) -> Any:
            x = self.second(self.first(x))
            return {"pitch": self.pitch_dense(x), "step": self.step_dense(x), "duration": self.duration_dense(x)}

    keras.utils.set_random_seed(2)
    model, x = Notes(), np.random.default_rng(0).random((2, STEPS, 3), np.float32)
    expected = outputs_of(model, x)
    path = tmp_path / ("notes.weights.h5" if kind == "weights" else "notes.keras" if kind == "keras" else "folder")
    if kind == "weights":
        model.save_weights(path)
    elif kind == "keras":
        model.save(path)
    elif kind == "checkpoint":
        tf.train.Checkpoint(model=model).save(str(path / "ckpt"))
    else:
        model.export(path, verbose=False)
    with pytest.warns(UserWarning):
        ours = lstmgen.Model(path)
    joined = np.concatenate([expected[part] for part in ORDER], axis=1)
    np.testing.assert_allclose(ours.predict(x), joined, atol=1e-6)


def test_what_keras_3_exports_is_read_for_other_networks_too(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((7, 3)), layers.Bidirectional(layers.LSTM(4)), layers.BatchNormalization(), layers.Dense(5)]
    )
    model.layers[-1].activation = keras.activations.softmax
    model.export(tmp_path / "exported", verbose=False)
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    with pytest.warns(UserWarning):
        ours = lstmgen.Model(tmp_path / "exported")
    assert ours.assumed[0].startswith("no architecture in the file: read from the weights as Bidirectional 8 >")
    np.testing.assert_allclose(ours.predict(x), model.predict(x, verbose=0), atol=1e-6)


def test_a_file_of_notes_holds_all_that_is_needed(build: Any, saved: Save, tmp_path: Path) -> None:
    source, out = saved(build()), tmp_path / "notes.bin"
    lstmgen.export(source, out, card={"data": "none"})
    model = lstmgen.Model(out)
    assert model.heads == (
        heads.Head("pitch", 128, "logits", 128.0),
        heads.Head("step", 1, "number", 1.0),
        heads.Head("duration", 1, "number", 1.0),
    )
    assert model.metadata["card"]["data"] == "none"
    assert not model.generates
    assert NoteGenerator(model).sample(5, seed=0) == NoteGenerator(source).sample(5, seed=0)
    assert NoteGenerator(lstmgen.Model(out, dtype="int8")).sample(5, seed=0)


def test_probabilities_are_drawn_as_logits_are(build: Any, saved: Save) -> None:
    logits, shares = build(), build(activation="softmax")
    first = NoteGenerator(saved(logits, "a.keras")).sample(20, 0.7, seed=2)
    second = NoteGenerator(saved(shares, "b.keras")).sample(20, 0.7, seed=2)
    assert NoteGenerator(saved(shares, "b.keras")).heads[0].kind == "probabilities"
    assert [note.pitch for note in first] == [note.pitch for note in second]


def test_hidden_layers_and_stacks_are_part_of_the_network(build: Any, keras: Any, saved: Save) -> None:
    stack = [keras.layers.GRU(9, return_sequences=True), keras.layers.Dropout(0.2), keras.layers.LSTM(6)]
    model = build(recurrent=stack, hidden=True)
    expected = tutorial_loop(model, PRIME, 8)
    np.testing.assert_allclose(as_rows(NoteGenerator(saved(model)).sample(8, 0, prime=PRIME)), expected, atol=1e-4)


def test_of_outputs_at_each_step_the_last_counts(build: Any, keras: Any, saved: Save) -> None:
    model = build(recurrent=[keras.layers.LSTM(6, return_sequences=True)])
    out = outputs_of(model, (np.array(PRIME) / [128, 1, 1])[None])
    (note,) = NoteGenerator(saved(model)).sample(1, 0, prime=PRIME)
    assert note.pitch == int(np.argmax(out["pitch"][0, -1]))
    assert note.duration == pytest.approx(max(0.0, float(out["duration"][0, -1, 0])), abs=1e-5)


def test_a_model_without_a_window_gets_that_of_the_tutorial(build: Any, saved: Save) -> None:
    path = saved(build(window=None))
    with pytest.warns(UserWarning, match="windows of 25 notes"):
        assert len(NoteGenerator(path).default_prime) == 25
    expected = tutorial_loop(build(), PRIME, 8)
    found = NoteGenerator(path, window=STEPS).sample(8, 0, prime=[(1, 0, 0), *PRIME])
    np.testing.assert_allclose(as_rows(found), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("pitch", "step", "duration"), "pitch"),
        (("note_pitch", "note_step", "note_duration"), "note_pitch"),
        (("pitchOutput", "deltaOutput", "durationOutput"), "pitchOutput"),
        (("notes", "dt", "dur"), "notes"),
        (("pitch_head_2", "step_head_2", "duration_head_2"), "pitch_head_2"),
    ],
)
def test_heads_are_told_from_their_names(build: Any, saved: Save, names: Sequence[str], expected: str) -> None:
    model = build(names=dict(zip(ORDER, names, strict=True)))
    found = NoteGenerator(saved(model))
    assert [head.part for head in found.heads] == list(ORDER)
    assert any(f"the outputs {', '.join(names)} together are a note" in text for text in found.model.assumed)


def test_keys_of_the_outputs_tell_the_heads_of_layers_without_names(keras: Any, saved: Save) -> None:
    given = keras.Input((STEPS, 3))
    x = keras.layers.LSTM(4)(given)
    outputs = {"step": keras.layers.Dense(1)(x), "duration": keras.layers.Dense(1)(x)}
    model = keras.Model(given, {**outputs, "pitch": keras.layers.Dense(128)(x)})
    np.testing.assert_allclose(
        as_rows(NoteGenerator(saved(model)).sample(5, 0, prime=PRIME)), tutorial_loop(model, PRIME, 5), atol=1e-4
    )


def test_heads_names_outputs_order_and_scale(build: Any, saved: Save) -> None:
    names = {"pitch": "a", "step": "b", "duration": "c"}
    model = build({"pitch": 40, "step": 1, "duration": 1}, names=names)
    found = NoteGenerator(saved(model), heads="duration/2=c,pitch+30/127=a,step=b")
    (note,) = found.sample(1, 0, prime=[(pitch - 20, step, duration) for pitch, step, duration in PRIME])
    x = [[duration / 2, (pitch - 50) / 127, step] for pitch, step, duration in PRIME]
    out = model.predict(np.array([x]), verbose=0)
    assert note.pitch == 30 + int(np.argmax(out["a"][0]))
    assert note.step == pytest.approx(max(0.0, float(out["b"][0, 0])), abs=1e-5)
    assert note.duration == pytest.approx(max(0.0, float(out["c"][0, 0])), abs=1e-5)
    assert not any("in this order" in text for text in found.model.assumed)


def test_88_pitches_are_the_keys_of_a_piano(build: Any, saved: Save) -> None:
    model = build({"pitch": 88, "step": 1, "duration": 1})
    path = saved(model)
    with pytest.warns(UserWarning) as warned:
        found = NoteGenerator(path)
    assert sorted(str(w.message).split(";")[0] for w in warned) == [
        "a note enters as pitch+21/88, step, duration, in this order",
        "the 88 pitches are the keys of a piano, from MIDI pitch 21 up",
    ]
    lowered = [(pitch - 21, step, duration) for pitch, step, duration in PRIME]
    expected = tutorial_loop(model, lowered, 8, pitches=88)
    ours = [(pitch - 21, step, duration) for pitch, step, duration in as_rows(found.sample(8, 0, prime=PRIME))]
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    with pytest.raises(ValueError, match=r"prime: note 0: pitch: expected 21 to 108, found 20"):
        found.sample(1, prime=[(20, 0, 0)])


@pytest.mark.parametrize("size", [1, 128])
def test_a_velocity_is_drawn_with_the_note(build: Any, saved: Save, size: int) -> None:
    model = build({"pitch": 128, "step": 1, "duration": 1, "velocity": size})
    with pytest.warns(UserWarning, match="pitch/128, step, duration, velocity"):
        found = NoteGenerator(saved(model))
    prime = [(*note, 70 + i) for i, note in enumerate(PRIME)]
    (note,) = found.sample(1, 0, prime=prime)
    out = outputs_of(model, (np.array(prime) / [128, 1, 1, size])[None])["velocity"][0]
    assert note.velocity == pytest.approx(max(0.0, float(out[0])) if size == 1 else int(np.argmax(out)), abs=1e-4)


def test_a_pitch_may_enter_as_a_one_hot_vector(build: Any, saved: Save) -> None:
    model = build({"pitch": 128, "step": 1, "duration": 1}, inputs=130)
    with pytest.warns(UserWarning, match=r"pitch \(onehot\)"):
        found = NoteGenerator(saved(model))
    (note,) = found.sample(1, 0, prime=PRIME)
    x = [[*np.eye(128)[pitch], step, duration] for pitch, step, duration in PRIME]
    out = outputs_of(model, np.array([x]))
    assert note.pitch == int(np.argmax(out["pitch"][0]))


def test_one_of_the_heads_may_still_be_had_alone(build: Any, saved: Save) -> None:
    model = lstmgen.Model(saved(build()), output="step")
    assert model.outputs == 1
    assert model.heads == ()


# -- primes and music ------------------------------------------------------------------------------


def test_a_sample_without_a_prime_starts_from_middle_c(build: Any, saved: Save) -> None:
    found = NoteGenerator(saved(build()))
    assert found.default_prime == [TimedNote(60, 0.5, 0.5)] * STEPS
    assert found.sample(4, seed=1) == found.sample(4, seed=1, prime=[(60, 0.5, 0.5)] * STEPS)


def test_a_short_prime_is_read_as_it_is(build: Any, saved: Save) -> None:
    model = build(window=None)
    (note,) = NoteGenerator(saved(model), window=STEPS).sample(1, 0, prime=PRIME[:2])
    assert (note.pitch, note.step, note.duration) == pytest.approx(tutorial_loop(model, PRIME[:2], 1)[0], abs=1e-4)


def test_notes_come_back_from_midi(tmp_path: Path) -> None:
    notes = [TimedNote(60, 0, 0.5), TimedNote(64, 0.25, 0.5), TimedNote(67, 0, 0.75), TimedNote(60, 1.0, 0.125)]
    of_timed_notes(notes, bpm=120).write(tmp_path / "a.mid", bpm=120)
    found = read_timed_notes(tmp_path / "a.mid")
    assert [note.pitch for note in found] == [60, 64, 67, 60]
    np.testing.assert_allclose(as_rows(found), as_rows(notes), atol=0.5 / 48)


def test_seconds_follow_the_tempo_of_the_file(tmp_path: Path) -> None:
    track = bytes([0, 0xFF, 0x51, 3, *(1_000_000).to_bytes(3, "big")])  # 1 s a quarter of 24 ticks
    track += bytes([12, 0x90, 60, 90, 12, 0x90, 64, 91])  # at 0.5 s and 1 s
    track += bytes([0, 0xFF, 0x51, 3, *(250_000).to_bytes(3, "big")])
    track += bytes([24, 0x80, 60, 0, 24, 0x80, 64, 0, 0, 0xFF, 0x2F, 0])  # at 1.25 s and 1.5 s
    head = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 24])
    (tmp_path / "a.mid").write_bytes(head + b"MTrk" + len(track).to_bytes(4, "big") + track)
    assert read_timed_notes(tmp_path / "a.mid") == [TimedNote(60, 0, 0.75, 90), TimedNote(64, 0.5, 0.5, 91)]


def test_what_is_no_pitch_of_midi_is_silence() -> None:
    music = of_timed_notes([TimedNote(60, 0, 0.6), TimedNote(128, 0.6, 0.6), TimedNote(62, 0.6, 0.6)])
    assert [(note.pitch, note.start) for note in music.notes] == [(60, 0.0), (62, 2.0)]


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pitch,step", "found no duration"),
        ("pitch,step,duration,loudness", "found 'loudness'"),
        ("pitch/0,step,duration", "expected a divisor above 0, found '0'"),
        ("pitch/1e999,step,duration", "expected a divisor above 0"),
        ("pitch/1-2,step,duration", "expected a divisor above 0"),
        ("pitch+128,step,duration", r"expected \+0 to \+127, found \+128"),
        ("pitch,pitch,step,duration", "pitch comes twice"),
        ("pitch=nothing,step,duration", "expected one of 'pitch', 'step', 'duration', found 'nothing'"),
        ("pitch,step,duration=step", "two of them are the same output"),
        ("pitch,step,duration,velocity", "velocity: which output it is, is not clear"),
    ],
)
def test_heads_that_do_not_fit_are_named(build: Any, saved: Save, option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lstmgen.Model(saved(build()), heads=option)


def test_options_that_notes_do_not_have_are_named(build: Any, saved: Save) -> None:
    path = saved(build())
    for options in ({"labels": ["a"]}, {"prime": [1]}, {"encoding": "onehot"}, {"vocab": ["a"]}, {"padding": 0}):
        with pytest.raises(ValueError, match=rf"^{next(iter(options))}: .* form one note"):
            lstmgen.Model(path, **options)
    with pytest.raises(ValueError, match="output and heads: give one of the two"):
        lstmgen.Model(path, heads="pitch,step,duration", output="pitch")


def test_outputs_of_no_note_are_named(build: Any, saved: Save) -> None:
    path = saved(build(names={"step": "energy"}))
    with pytest.raises(ModelFormatError, match=r"found 3: choose with output: pitch, energy, duration; or"):
        lstmgen.Model(path)
    assert NoteGenerator(path, heads="pitch/128,step=energy,duration").heads[1].part == "step"


@pytest.mark.parametrize(
    ("sizes", "inputs", "message"),
    [
        ({"pitch": 1, "step": 1, "duration": 1}, 3, "pitch: expected logits or probabilities"),
        ({"pitch": 128, "step": 9, "duration": 1}, 3, "step: expected one number, in seconds, found 9"),
        ({"pitch": 128, "step": 1, "duration": 1}, 4, "expected 3 numbers a step to enter .* found 4"),
    ],
)
def test_networks_of_which_no_note_is_made_are_named(
    build: Any, saved: Save, sizes: dict[str, int], inputs: int, message: str
) -> None:
    with pytest.raises(ModelFormatError, match=rf"notes.keras: heads: {message}"):
        lstmgen.Model(saved(build(sizes, inputs=inputs)))


def test_an_input_is_no_head(keras: Any, saved: Save) -> None:
    given = keras.Input((STEPS, 3))
    x = keras.layers.LSTM(4, return_sequences=True)(given)
    outputs = {"pitch": keras.layers.Dense(9)(x), "step": keras.layers.Dense(1)(x), "duration": given}
    with pytest.raises(ModelFormatError, match="one of the outputs is the input itself"):
        lstmgen.Model(saved(keras.Model(given, outputs)))


def test_outputs_that_are_no_probabilities_are_named(build: Any, saved: Save) -> None:
    with pytest.raises(ModelFormatError, match="pitch: its 128 outputs, tanh, are no probabilities"):
        lstmgen.Model(saved(build(activation="tanh")))


def test_a_model_with_one_output_has_no_heads(keras: Any, saved: Save) -> None:
    layers = keras.layers
    path = saved(keras.Sequential([layers.Input((STEPS, 3)), layers.LSTM(4), layers.Dense(1, name="step")]))
    with pytest.raises(ValueError, match="heads: the model has one output, step"):
        lstmgen.Model(path, heads="pitch,step,duration")
    with pytest.raises(ValueError, match="its outputs are no note"):
        NoteGenerator(path)


def test_a_generator_of_elements_names_the_one_of_notes(build: Any, saved: Save) -> None:
    with pytest.raises(ValueError, match=r"lstmgen\.music\.NoteGenerator"):
        lstmgen.Generator(saved(build()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": -1}, "length: expected at least 0, found -1"),
        ({"temp": -1}, "temp: expected a number >= 0"),
        ({"temp": 1, "inverse_temp": 1}, "expected one of temp, temperature, inverse_temp"),
        ({"seed": -1}, "seed"),
        ({"prime": []}, "prime: expected at least one note, found none"),
        ({"prime": [(60, 1)]}, r"prime: note 0: expected \(pitch, step, duration\)"),
        ({"prime": [(60.5, 1, 1)]}, r"prime: note 0: expected \(pitch, step, duration\)"),
        ({"prime": [(60, 1, float("nan"))]}, r"prime: note 0: expected \(pitch, step, duration\)"),
        ({"prime": [(60, -1, 1)]}, "prime: note 0: step: expected 0 to inf, found -1"),
        ({"prime": [(128, 1, 1)]}, "prime: note 0: pitch: expected 0 to 127, found 128"),
        ({"prime": "a.wav"}, r"a\.wav: expected a MIDI file"),
    ],
)
def test_options_out_of_range_are_named(build: Any, saved: Save, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoteGenerator(saved(build())).sample(**options)


def test_midi_files_without_notes_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"no midi")
    with pytest.raises(ValueError, match=r"a\.mid: expected a MIDI file"):
        read_timed_notes(tmp_path / "a.mid")
    with pytest.raises(FileNotFoundError):
        read_timed_notes(tmp_path / "b.mid")


def test_numbers_that_are_not_finite_are_an_error(build: Any, saved: Save) -> None:
    model = build()
    model.get_layer("duration").kernel.assign(np.full((12, 1), 3e38))
    with pytest.raises(ValueError, match="not finite"):
        NoteGenerator(lstmgen.Model(saved(model))).sample(50, seed=0)


CARD = heads.to_card(
    [
        heads.Head("pitch", 5, "logits", 5.0),
        heads.Head("step", 1, "number", 1.0),
        heads.Head("duration", 1, "number", 1.0),
    ]
)


@pytest.mark.parametrize(
    "change",
    [
        {"part": "tempo"},
        {"part": "step"},
        {"size": 6},
        {"size": "5"},
        {"size": -5},
        {"kind": "number"},
        {"kind": 1},
        {"divisor": 0},
        {"divisor": float("inf")},
        {"divisor": "5"},
        {"lowest": -1},
        {"lowest": 10**9},
        {"onehot": 1},
        {"onehot": True},
        {"more": 1},
    ],
)
def test_a_card_that_is_not_as_described_has_no_heads(change: dict[str, Any]) -> None:
    entries = [{**CARD[0], **change}, *CARD[1:]]
    assert len(heads.of_card({"heads": CARD}, 3, 7)) == 3
    assert heads.of_card({"heads": entries}, 3, 7) == ()


@pytest.mark.parametrize("card", [None, "text", {}, {"heads": None}, {"heads": []}, {"heads": [1, 2, 3]}])
def test_a_card_without_heads_is_none_of_notes(card: Any) -> None:
    assert heads.of_card(card, 3, 7) == ()


def test_heads_of_another_network_are_passed_over() -> None:
    model = lstmgen.Model(packed(card=json.dumps({"heads": CARD})))
    assert model.heads == ()
    assert model.generates


# -- the command line ------------------------------------------------------------------------------


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command in the folder of the files."""
    monkeypatch.chdir(tmp_path)

    def command(*argv: str) -> tuple[int, str, str]:
        status = cli.main(argv)
        return (status, *capfd.readouterr())

    return command


def test_the_commands_of_info_write_midi(build: Any, saved: Save, run: Any, tmp_path: Path) -> None:
    saved(build())
    facts = json.loads(run("info", "notes.keras", "--json")[1])
    assert facts["is"] == "a generator of notes: 3 outputs form one note"
    assert facts["next"] == [
        "lstmgen export notes.keras notes.bin",
        "lstmgen sample notes.bin --length 120 -o notes.mid",
    ]
    assumed = [f"assumed: {sentence}" for sentence in facts["assumed"]]
    once = [f"assumed at the export: {len(assumed)}; lstmgen info notes.bin lists them"]
    for line, expected in zip(facts["next"], (assumed, once), strict=True):
        status, _, err = run(*shlex.split(line)[1:])
        assert status == 0, err
        assert [x for x in err.splitlines() if x.startswith("assumed")] == expected
    assert len(read_timed_notes(tmp_path / "notes.mid")) > 60
    again = json.loads(run("info", "notes.bin", "--json")[1])
    assert again["is"] == "a generator of notes"
    assert again["next"] == facts["next"][1:]
    assert "pitch/128 from 128 logits" in run("info", "notes.bin")[1]


def test_sample_prints_a_note_a_line(build: Any, saved: Save, run: Any, tmp_path: Path) -> None:
    saved(build())
    argv = ("sample", "notes.keras", "--length", "7", "--seed", "4")
    status, out, _ = run(*argv)
    expected = NoteGenerator(tmp_path / "notes.keras").sample(7, seed=4)
    assert status == 0
    np.testing.assert_allclose(
        [[float(n) for n in line.split()] for line in out.splitlines()], as_rows(expected), rtol=1e-4
    )
    of_timed_notes(expected).write(tmp_path / "prime.mid")
    status, longer, _ = run(*argv, "--prime-file", "prime.mid", "--include-prime", "-o", "a.txt", "-o", "a.png")
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert (status, longer) == (0, "")
    assert [int(line.split()[0]) for line in lines[: len(lines) - 7]] == [
        note.pitch for note in read_timed_notes(tmp_path / "prime.mid")
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--top-k", "3"), "--top-k: notes.keras draws notes, which have no such option"),
        (("--prime", "C4"), "which have no such option; --prime-file names a MIDI file"),
        (("--carry",), "--carry: notes.keras draws notes"),
        (("--refresh", "2"), "--refresh: notes.keras draws notes, which have no such option"),
        (("-o", "a.aiff"), "a.aiff: such a file cannot be written: music is written as .mid"),
        (("-o", "a.mid", "--bpm", "1"), "bpm: expected 4 to 1000"),
        (("-o", "no/a.mid"), "no/a.mid: cannot write into the folder"),
        (("--prime-file", "notes.keras"), "notes.keras: expected a MIDI file (.mid, .midi, .kar)"),
        (("--heads", "pitch,step"), "heads: expected pitch, step, duration, found no duration"),
    ],
)
def test_what_notes_do_not_have_is_named(build: Any, saved: Save, run: Any, argv: Sequence[str], message: str) -> None:
    saved(build())
    status, out, err = run("sample", "notes.keras", *argv)
    assert (status, out) == (1, "")
    assert message in err.splitlines()[-1]


def test_verify_compares_the_heads_with_keras(build: Any, saved: Save, run: Any) -> None:
    saved(build(names={"pitch": "a", "step": "b", "duration": "c"}))
    told = ("--heads", "step=b,pitch/128=a,duration=c")
    assert run("export", "notes.keras", "notes.bin", *told)[0] == 0
    status, out, err = run("verify", "notes.bin", "notes.keras", "--windows", "4", *told)
    assert status == 0, err
    assert out.endswith("equal to Keras\n")
