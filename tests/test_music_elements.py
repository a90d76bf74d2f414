"""Elements and notes: what each notation means, how it is recognised, and the round trip."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmgen
from lstmgen import music
from lstmgen.music import Meter, Music, Note, Pedal, Tempo, midi
from lstmgen.music.elements import TEMPOS, check_keep, is_event, kept, recognise, recognise_vocabulary
from lstmgen.music.notes import GridNote, sounding, tidy

ANY_NOTE = st.builds(
    lambda start, duration, pitch: GridNote(start, duration, pitch).note,
    st.integers(0, 2000),
    st.integers(1, music.LONGEST),
    st.integers(0, 127),
)
MELODY = st.lists(st.tuples(st.none() | st.integers(0, 127), st.integers(1, 40)), min_size=1, max_size=30)


def melody_symbols(sounds: list[tuple[int | None, int]]) -> list[str]:
    """Return what `preprocess.encode_song` of the course writes for notes and rests."""
    return [
        symbol for pitch, steps in sounds for symbol in ["r" if pitch is None else str(pitch)] + ["_"] * (steps - 1)
    ]


# -- there and back --------------------------------------------------------------------------------


@given(st.lists(ANY_NOTE, min_size=1, max_size=60))
def test_notes_to_events_and_back(drawn: list[Note]) -> None:
    expected, now, last = [], 0, None
    for start, duration, pitch, *_ in tidy(map(GridNote.of, drawn)):
        now += min(start - (start if last is None else last), music.LONGEST)  # longer gaps are shortened
        expected.append(GridNote(now, duration, pitch))
        last = start
    assert [GridNote.of(note) for note in music.decode(music.encode(drawn)).notes] == expected


@given(st.lists(st.sampled_from([f"{k}{n}" for k in "td" for n in music.STEPS] + [f"n{p}" for p in range(128)])))
def test_drawn_events_to_notes_to_events_to_notes(drawn: list[str]) -> None:
    notes = music.decode(drawn, notation="events").notes
    assert music.decode(music.encode(notes)).notes == notes


@given(st.lists(ANY_NOTE), st.integers(-5, 6))
def test_a_key_and_back(drawn: list[Note], semitones: int) -> None:
    inside = music.encode([note._replace(pitch=27 + note.pitch % 76) for note in drawn])  # cannot leave the piano
    assert music.transposed(music.transposed(inside, semitones), -semitones) == inside


@given(MELODY)
def test_a_melody_has_its_pitches_durations_and_rests(sounds: list[tuple[int | None, int]]) -> None:
    expected, now = [], 0.0
    for pitch, steps in sounds:
        if pitch is not None:
            expected.append(Note(now, steps / 4, pitch))
        now += steps / 4
    assert music.decode(melody_symbols(sounds), notation="melody").notes == expected


@given(st.lists(ANY_NOTE, min_size=1, max_size=40), st.floats(4, 1000))
@settings(max_examples=40)
def test_notes_to_midi_and_back(drawn: list[Note], bpm: float) -> None:
    pytest.importorskip("music21", reason="needs music21: pip install 'lstmgen[music]'")
    elements = music.encode(drawn)
    with tempfile.TemporaryDirectory() as folder:
        music.decode(elements).write(Path(folder, "x.mid"), bpm=bpm)
        assert music.read_pieces(folder, cache=False, jobs=1).pieces == [elements]


# -- the melody notation ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ("60 _ _ _ r _ 62 _", [Note(0, 1, 60), Note(1.5, 0.5, 62)]),
        ("60", [Note(0, 0.25, 60)]),  # the last note is not lost, nor is its last "_"
        ("60 _ _", [Note(0, 0.75, 60)]),
        ("60 60 60 _", [Note(0, 0.25, 60), Note(0.25, 0.25, 60), Note(0.5, 0.5, 60)]),
        ("r _ 64 _ r _ r", [Note(0.5, 0.5, 64)]),
        ("/ / / 55 _ / / 57 _", [Note(0, 0.5, 55), Note(0.5, 0.5, 57)]),
        ("55 _ / _ _ 57", [Note(0, 0.5, 55), Note(1, 0.25, 57)]),  # nothing goes on after the end
        ("_ _ 0 127", [Note(0.5, 0.25, 0), Note(0.75, 0.25, 127)]),
        ("60 " + "_ " * 99, [Note(0, 25, 60)]),  # longer than "events" can be
        ("r _ / _", []),
    ],
)
def test_a_melody_means(elements: str, expected: list[Note]) -> None:
    assert music.decode(elements, notation="melody").notes == expected
    with pytest.warns(UserWarning, match=r"melodygenerator.py has it: each symbol lasts a sixteenth"):
        assert music.decode(elements).notes == expected


@pytest.mark.parametrize("element", ["C4", "128", "-1", "", "n60", "R", "__", "6O", "٦٠"])
def test_what_is_no_symbol_of_a_melody_is_named(element: str) -> None:
    with pytest.raises(ValueError, match=r"position 2: expected a MIDI pitch, 0 to 127, '_', 'r' or '/'"):
        music.decode(["60", "_", element], notation="melody")


# -- which notation it is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "notation", "assumed"),
    [
        ("d12 n60 t6", "events", ""),
        ("t6", "events", ""),
        ("C4 E4.G4 4.7.11", "lesson", ""),
        ("4 11 B-3", "lesson", ""),
        ("60 C4", "lesson", ""),  # a chord of one pitch
        ("4 11 0", "lesson", ""),  # pitch classes
        ("60 _ r", "melody", "each symbol lasts a sixteenth (0.25 quarters)"),
        ("4 _", "melody", "sixteenth"),
        ("r", "melody", "sixteenth"),
        ("60 62 64", "melody", "and the numbers are MIDI pitches"),
    ],
)
def test_a_notation_is_recognised(elements: str, notation: str, assumed: str) -> None:
    for found in (recognise(elements.split()), recognise_vocabulary(elements.split())):
        assert found is not None
        assert found.notation == notation
        assert assumed in found.assumed and bool(found.assumed) == bool(assumed)


def test_a_vocabulary_is_music_only_if_all_of_it_is() -> None:
    found = recognise_vocabulary(["", "<unk>", "[UNK]", "d24", "n60"])
    assert found is not None and found.notation == "events"
    for words in (["the", "cat"], ["C4", "the"], ["n60", "C4"], ["n60", "_"], ["C4", "_"], ["999"], ["n128"], [""], []):
        assert recognise_vocabulary(words) is None, words


@pytest.mark.parametrize("elements", [["The", "cat"], ["999"], [""], ["4."]])
def test_what_is_no_music_at_all_is_said(elements: list[str]) -> None:
    with pytest.raises(ValueError, match=r"position 0: expected one of music: 't6', 'd12', 'n60'; 'C4'"):
        music.decode(elements)


def test_chords_of_names() -> None:
    found = music.decode("C4 E4.G4 C#3.B-3.4 0.7").notes
    chords = [[note.pitch for note in found if note.start == i / 2] for i in range(4)]
    assert chords == [[60], [64, 67], [49, 58, 64], [60, 67]]
    assert {note.duration for note in found} <= {1.0, 0.5}


def test_an_unknown_notation_is_refused() -> None:
    with pytest.raises(ValueError, match="notation: expected one of events, lesson, melody, found 'morse'"):
        music.decode(["n60"], notation="morse")
    with pytest.raises(ValueError, match="notation: expected one of events, lesson, found 'melody'"):
        music.read_pieces([], notation="melody")  # it is decoded only


def test_a_melody_as_midi_without_our_reader(tmp_path: Path) -> None:
    music21: Any = pytest.importorskip("music21", reason="needs music21: pip install 'lstmgen[music]'")
    path = tmp_path / "m.mid"
    music.decode("r _ 67 _ _ _ 67 r r r 72 _", notation="melody").write(path)
    file = music21.midi.MidiFile()
    file.readstr(path.read_bytes())
    now, found = 0.0, []
    for event in file.tracks[0].events:
        if event.isDeltaTime():
            now += event.time / file.ticksPerQuarterNote
        elif event.isNoteOn() or event.isNoteOff():
            found.append((now, event.isNoteOn(), event.pitch))
    assert found == [
        *((0.5, True, 67), (1.5, False, 67), (1.5, True, 67), (1.75, False, 67)),
        *((2.5, True, 72), (3.0, False, 72)),
    ]


def test_music_has_its_notes_in_order() -> None:
    assert Music([Note(1, 1, 60), Note(0, 1, 64), Note(0, 1, 60)]).notes == [
        *(Note(0, 1, 60), Note(0, 1, 64), Note(1, 1, 60)),
    ]


# -- velocity, pedal, tempo, meter, tracks, begin and end ------------------------------------------

EVENTS = st.sampled_from(
    [
        *(f"{kind}{number}" for kind in "td" for number in music.STEPS),
        *(f"n{pitch}" for pitch in (0, 59, 60, 61, 127)),
        *(f"v{level}" for level in range(1, 33)),
        *(f"k{track}" for track in range(1, 16)),
        *("p0", "p1", "p0", "p1"),
        *(f"b{bpm}" for bpm in TEMPOS),
        *(f"m{beats}/{unit}" for beats in (1, 4, 16) for unit in (1, 2, 4, 8, 16, 32)),
        *("begin", "begin"),
    ]
)


def told(piece: Music) -> tuple[object, ...]:
    return piece.notes, piece.pedals, piece.tempos, piece.meters


@given(st.lists(EVENTS, max_size=80))
def test_whatever_is_drawn_is_kept_by_the_encoder(drawn: list[str]) -> None:
    piece = music.decode([*drawn, "n60"], notation="events")
    written = piece.elements("all")
    assert written[0] == "begin" and written[-1] == "end"
    assert told(music.decode(written)) == told(piece)
    assert music.decode(written).elements("all") == written


@given(st.lists(EVENTS, max_size=80))
def test_a_midi_file_keeps_velocity_pedal_tempo_meter_and_tracks(drawn: list[str]) -> None:
    piece = music.decode([*drawn, "n60"], notation="events")
    data = midi.midi_file(piece.notes, pedals=piece.pedals, tempos=piece.tempos, meters=piece.meters)
    found = midi.piece_of(midi.read_midi(data))
    numbers = {track: i for i, track in enumerate(sorted({note.track for note in piece.notes}), 1)}
    assert Music(found.notes).notes == [note._replace(track=numbers[note.track]) for note in piece.notes]
    assert found.pedals == piece.pedals and found.meters == piece.meters
    first = [] if piece.tempos and not piece.tempos[0].start else [(0, 100)]
    assert [(at, round(bpm)) for at, bpm in found.tempos] == first + piece.tempos


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("none", "d24 n60 n64 t24 n60 n67"),
        ("velocity", "d24 v10 n60 v20 n64 t24 v10 n60 v32 n67"),
        ("tracks", "d24 n64 k2 d24 n60 t24 n60 k1 n67"),
        ("pedal", "p1 d24 n60 n64 t12 p0 p1 t12 n60 n67 t48 p0"),
        ("tempo,meter", "b120 m3/4 d24 n60 n64 t24 b60 n60 n67"),
        (["ends", "tracks"], "begin d24 n64 k2 d24 n60 t24 n60 k1 n67 end"),
    ],
)
def test_what_is_kept(keep: str | list[str], expected: str) -> None:
    notes = [Note(0, 1, 60, 40, 2), Note(0, 1, 64, 80, 1), Note(1, 1, 60, 41, 2), Note(1, 1, 67, 127, 1)]
    piece = Music(
        notes,
        pedals=[Pedal(0, 0.5), Pedal(0.5, 3)],
        tempos=[Tempo(0, 119), Tempo(0.5, 121), Tempo(1, 61)],
        meters=[Meter(0, 3, 4), Meter(1, 3, 4)],
    )
    assert piece.elements(keep) == expected.split()
    assert kept(expected.split()) == check_keep(keep)


def test_a_tempo_becomes_the_nearest_mark() -> None:
    for bpm in (4, 20.9, 21, 59.9, 61, 123, 310, 1000):
        (found, *_) = music.encode([Note(0, 1, 60)], keep="tempo", tempos=[Tempo(0, bpm)])
        assert found == f"b{min(TEMPOS, key=lambda mark: abs(math.log(mark / bpm)))}"


def test_what_follows_the_end_is_not_read() -> None:
    assert music.decode("begin n60 t24 end n62 x").notes == [Note(0, 1, 60)]
    assert music.decode("n60 t24 begin n62").length == 2  # it says nothing in the middle


def test_each_track_has_its_duration_and_velocity() -> None:
    found = music.decode("d6 v30 n60 k2 n40 d48 n41 k1 n62 d6 k2 d6 n43").notes
    assert [(n.pitch, n.duration, n.velocity, n.track) for n in found] == [
        *((40, 1, 80, 2), (41, 2, 80, 2), (43, 0.25, 80, 2), (60, 0.25, 120, 1), (62, 0.25, 120, 1)),
    ]


@pytest.mark.parametrize(
    "wrong", ["v0", "v33", "k0", "k16", "p2", "b3", "b1001", "m0/4", "m17/4", "m3/5", "End", "v04"]
)
def test_what_is_no_event(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"element '{wrong}' at position 1: expected"):
        music.decode(["n60", wrong], notation="events")


def test_a_keep_that_is_none_is_named() -> None:
    with pytest.raises(lstmgen.OptionError, match=r"keep: expected all, none, or some of velocity, .*found 'loudness'"):
        music.encode([Note(0, 1, 60)], keep="velocity,loudness")
    with pytest.raises(ValueError, match=r"keep: only with notation='events'"):
        music.read_pieces("nowhere", notation="lesson", keep="velocity")


def test_a_vocabulary_has_fewer_than_500_elements() -> None:
    every = [f"{kind}{number}" for kind in "td" for number in music.STEPS] + [f"n{pitch}" for pitch in range(128)]
    every += [f"v{level}" for level in range(1, 33)] + [f"k{track}" for track in range(1, 16)] + ["p0", "p1"]
    every += [f"b{bpm}" for bpm in TEMPOS] + ["begin", "end"]
    every += [f"m{beats}/{unit}" for beats in range(1, 17) for unit in (1, 2, 4, 8, 16, 32)]
    assert all(map(is_event, every)) and len(set(every)) == 390
    found = recognise_vocabulary(every)
    assert found is not None and found.notation == "events"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pedals": [(2, 1)]}, "pedals: expected an end that is at least the start, 2, found 1"),
        ({"tempos": [(0, 3)]}, "tempos: bpm: expected a number in .4, 1000., found 3"),
        ({"meters": [(0, 3, 5)]}, "meters: unit: expected one of 1, 2, 4, 8, 16, 32, found 5"),
        ({"meters": [(0, 17, 4)]}, "meters: beats: expected at most 16, found 17"),
        ({"notes": [Note(0, 1, 60, 0)]}, "notes: note 0: velocity: expected at least 1, found 0"),
        ({"notes": [Note(0, 1, 60, 1, 16)]}, "notes: note 0: track: expected at most 15, found 16"),
    ],
)
def test_what_no_piece_can_hold_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(lstmgen.OptionError, match=said):
        Music(**{"notes": [Note(0, 1, 60)]} | wrong)


def test_the_pedal_holds_what_sounds_when_a_key_rises() -> None:
    notes = [Note(0, 1, 60), Note(1, 1, 60), Note(1, 0.5, 64), Note(2, 1, 67), Note(4, 1, 72)]
    found = {(n.start, n.pitch): n.duration for n in sounding(notes, [Pedal(0.5, 2), Pedal(2, 4)])}
    # The first C ends where the second begins; E and the second C at the change; G with the pedal.
    assert found == {(0, 60): 1, (1, 60): 1, (1, 64): 1, (2, 67): 2, (4, 72): 1}
