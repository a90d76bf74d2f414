"""Music goes into elements and comes back, whatever the files are and whatever a network draws."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.metadata
import importlib.util
import io
import random
import re
import shutil
import stat
import subprocess
import sys
import warnings
import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmgen import music
from lstmgen.music import Meter, Music, Note, Pedal, Tempo, audio, mastering, reading
from support.slow import slow_but

needs_music21 = pytest.mark.skipif(
    importlib.util.find_spec("music21") is None, reason="needs music21: pip install 'lstmgen[music]'"
)

VOCABULARY = [f"{kind}{step}" for kind in "td" for step in music.STEPS] + [f"n{pitch}" for pitch in range(128)]
TUNE = [  # two hands, with a triplet, thirty-seconds, a chord, a rest and a long note
    Note(0, 1 / 3, 72),
    Note(1 / 3, 1 / 3, 74),
    Note(2 / 3, 1 / 3, 76),
    Note(0, 1, 48),
    Note(1, 0.125, 77),
    Note(1.125, 0.125, 79),
    Note(1, 4.5, 43),
    Note(2.5, 0.75, 60),
    Note(2.5, 0.75, 64),
    Note(2.5, 0.75, 67),
    Note(10, 1, 60),
]
KERN = """**kern\t**kern
*clefF4\t*clefG2
*M4/4\t*M4/4
=1\t=1
2C\t4c 4e
.\t8g
.\t8r
[2D\t6a
.\t6b
.\t6cc
=2\t=2
4D]\t2.r
2r\t.
4r\t4dd
*-\t*-
"""
XML = """<?xml version="1.0"?>
<score-partwise version="4.0">
<part-list><score-part id="P1"><part-name>Clarinet</part-name></score-part></part-list>
<part id="P1"><measure number="1">
<attributes><divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time>
<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>
<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>
<note><grace/><pitch><step>B</step><octave>4</octave></pitch><type>eighth</type></note>
<note><pitch><step>D</step><octave>5</octave></pitch><duration>2</duration></note>
<note><chord/><pitch><step>F</step><alter>1</alter><octave>5</octave></pitch><duration>2</duration></note>
<note><rest/><duration>5</duration></note>
<note><pitch><step>A</step><octave>4</octave></pitch><duration>1</duration><tie type="start"/></note>
</measure><measure number="2">
<note><pitch><step>A</step><octave>4</octave></pitch><duration>4</duration><tie type="stop"/></note>
</measure></part></score-partwise>
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def music21() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's imports warn of deprecations
        return pytest.importorskip("music21", reason="needs music21: pip install 'lstmgen[music]'")


@pytest.fixture
def tune(tmp_path: Path, music21: Any) -> Path:
    """Return a MIDI file that music21 wrote, of two instruments on two tracks."""
    path = tmp_path / "tune.mid"
    by_music21(music21, TUNE, path, "midi")
    return path


def by_music21(music21: Any, notes: Sequence[Note], path: Path, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = music21.stream.Score()
        for instrument, hand in ((music21.instrument.Piano(), range(60, 128)), (music21.instrument.Viola(), range(60))):
            part = music21.stream.Part()
            part.insert(0, instrument)
            for n in notes:
                if n.pitch in hand:
                    sound = music21.note.Note(n.pitch)
                    sound.quarterLength = Fraction(round(n.duration * 24), 24)
                    part.insert(Fraction(round(n.start * 24), 24), sound)
            score.insert(0, part)
        score.write(kind, str(path))


def midi(*track: int, ticks: int = 24) -> bytes:
    """Return a MIDI file of one track."""
    body = bytes(track) + b"\0\xff\x2f\0"
    return b"MThd\0\0\0\6\0\0\0\1" + ticks.to_bytes(2, "big") + b"MTrk" + len(body).to_bytes(4, "big") + body


def grid(notes: Sequence[Note]) -> list[tuple[int, int, int]]:
    return sorted((round(n.start * 24), round(n.duration * 24), n.pitch) for n in notes)


def read(*paths: Path, **options: Any) -> list[list[str]]:
    return music.read_pieces(paths, **options).pieces


# -- events ----------------------------------------------------------------------------------------


def test_events_recover_pitches_onsets_and_durations_exactly() -> None:
    elements = music.encode(TUNE)
    assert grid(music.decode(elements).notes) == grid(TUNE)
    assert set(elements) <= set(VOCABULARY)


def test_events_are_as_documented() -> None:
    notes = [Note(3, 1, 60), Note(3, 0.5, 55), Note(3.25, 0.5, 62), Note(9.25, 5.25, 64)]
    written = "d12 n55 d24 n60 t6 d12 n62 t96 t48 d96 d24 d6 n64"
    assert music.encode(notes) == written.split()
    tidy = [n._replace(start=n.start - 3) for n in (notes[1], notes[0], *notes[2:])]
    assert music.decode(written).notes == tidy


def test_random_notes_come_back() -> None:
    rng = random.Random(3)
    for _ in range(50):
        drawn = [(rng.randrange(400), rng.randrange(1, 200), rng.randrange(128)) for _ in range(rng.randrange(1, 60))]
        tidy = music.decode(music.encode([Note(s / 24, d / 24, p) for s, d, p in drawn])).notes
        first = min(s for s, _, _ in drawn)
        assert {(s - first, p) for s, _, p in drawn} == {(s, p) for s, _, p in grid(tidy)}
        assert grid(music.decode(music.encode(tidy)).notes) == grid(tidy)


def test_of_one_pitch_only_one_note_sounds() -> None:
    notes = [Note(0, 4, 60), Note(0, 1, 60), Note(2, 1, 60)]
    assert music.decode(music.encode(notes)).notes == [Note(0, 2, 60), Note(2, 1, 60)]


def test_what_is_too_long_is_shortened() -> None:
    assert music.decode(music.encode([Note(0, 100, 60), Note(200, 1, 62)])).notes == [Note(0, 16, 60), Note(16, 1, 62)]


@pytest.mark.parametrize("seed", range(5))
def test_any_sequence_of_events_is_music(seed: int) -> None:
    rng = random.Random(seed)
    for size in (0, 1, 2, 40, 400):
        elements = rng.choices(VOCABULARY, k=size)
        sound = music.decode(elements, notation="events")
        pitches = {int(e[1:]) for e in elements if e[0] == "n"}
        assert {n.pitch for n in sound.notes} == pitches
        assert all(0 < n.duration <= 16 and n.start >= 0 for n in sound.notes)
        assert sound.length <= 16 * size
        assert not sound.notes or sound.notes[0].start == 0


def test_malformed_events_mean_something() -> None:
    assert music.decode("t6 t96 n60").notes == [Note(0, 1, 60)]  # silence before the first note is left out
    assert music.decode("d6 d6 n60 d6 n62").notes == [Note(0, 0.5, 60), Note(0, 0.25, 62)]
    assert music.decode("d6 t6 d12 n60 t6 d96").notes == [Note(0, 0.5, 60)]
    assert music.decode("n60 " + "t96 " * 50 + "n62").notes[1].start == 16
    assert music.decode([]).notes == []


@pytest.mark.parametrize("element", ["t0", "n128", "d", "x", "", "C4", "n60 ", "t-1", "t99999"])
def test_what_is_no_event_is_named(element: str) -> None:
    with pytest.raises(ValueError, match=r"position 1: expected one such as 't6'"):
        music.decode(["n60", element])


# -- files -----------------------------------------------------------------------------------------


def test_midi_is_read_exactly(tune: Path) -> None:
    assert read(tune) == [music.encode(TUNE)]


def test_our_own_midi_is_read_exactly(tmp_path: Path, music21: Any) -> None:
    path = tmp_path / "ours.MID"
    Music(TUNE).write(path, bpm=60)
    assert read(path) == [music.encode(TUNE)]

    stream = music21.converter.parse(path, forceSource=True, storePickle=False)
    assert stream.flatten().getElementsByClass("MetronomeMark")[0].number == 60


@needs_music21
def test_midi_of_any_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.mid"
    on, off, drums = 0x90, 0x80, 0x99
    path.write_bytes(midi(0, on, 60, 9, 12, 60, 0, 6, on, 62, 9, 6, drums, 40, 9, 6, off, 62, 0, 0, off, 70, 0))
    # running status, an end without a beginning, percussion, a note of no length:
    assert read(path) == [["d12", "n60", "t18", "n62"]]


@needs_music21
def test_kern(tmp_path: Path) -> None:
    path = tmp_path / "x.krn"
    path.write_text(KERN)
    third = 2 / 3
    right = [Note(0, 1, 60), Note(0, 1, 64), Note(1, 0.5, 67), Note(2, third, 69), Note(2 + third, third, 71)]
    right += [Note(2 + 2 * third, third, 72), Note(7, 1, 74)]
    assert read(path) == [music.encode([Note(0, 2, 48), Note(2, 3, 50), *right])]


@needs_music21
def test_musicxml_sounds_as_written_for(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text(XML)  # transposed, with the name of a chord, a grace note, a chord, a tie
    assert read(path) == [music.encode([Note(0, 1, 72), Note(0, 1, 76), Note(3.5, 2.5, 67)])]


def test_compressed_musicxml(tmp_path: Path, music21: Any) -> None:
    by_music21(music21, TUNE, tmp_path / "x.mxl", "mxl")
    assert read(tmp_path / "x.mxl") == [music.encode(TUNE)]


@needs_music21
def test_folders_are_read_in_parallel_and_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pieces"
    for name in ("b/2.mid", "a.mid", "b/1.MIDI", "b/c/ä.mid"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Music([Note(0, 1, 60 + len(name))]).write(folder / name)
    (folder / "._a.mid").write_text("a file that macOS adds")
    (folder / "notes.txt").write_text("no music")
    found = music.read_pieces([folder, folder / "a.mid"], jobs=2)
    names = ["a.mid", "b/1.MIDI", "b/2.mid", "b/c/ä.mid"]
    assert [str(path.relative_to(folder)) for path in found.sources] == names
    assert found.pieces == [["d24", f"n{60 + len(name)}"] for name in names]
    assert found.skipped == []
    assert found == music.read_pieces(folder, jobs=1, cache=False)
    assert capfd.readouterr() == ("", "")


@needs_music21
@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_files_are_named_and_skipped(tune: Path, jobs: int) -> None:
    whole = tune.read_bytes()
    endless = midi(0, 0x90, 60, 9, 0xFF, 0xFF, 0xFF, 0x7F, 0x80, 60, 0, ticks=1)
    bad = {
        "empty.mid": (b"", "the file is empty"),
        "text.mid": (b"not a MIDI file", "expected a MIDI file"),
        "cut.mid": (whole[: len(whole) // 2], ""),
        "head.mid": (whole[:10], "expected a MIDI file"),
        "endless.mid": (endless, "expected at most 100000 quarters"),
        "silent.mid": (midi(), "there are no notes in it"),
        "page.xml": (b"<html></html>", ""),
        "broken.musicxml": (XML[:300].encode(), "music21 cannot read it: "),
        "broken.mxl": (b"PK\3\4 and no more", "a damaged zip: "),
        "x.mp3": (b"ID3", "not a kind of music file: expected .mid"),
    }
    for name, (data, _) in bad.items():
        tune.with_name(name).write_bytes(data)
    paths = [tune, *(tune.with_name(name) for name in bad)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = music.read_pieces(paths, jobs=jobs)
    assert [str(w.message) for w in said] == [f"{path}: skipped: {reason}" for path, reason in found.skipped]
    assert found.sources == [tune]
    assert [path.name for path, _ in found.skipped] == list(bad)
    for (_, reason), (_, expected) in zip(found.skipped, bad.values(), strict=True):
        assert expected in reason and "\n" not in reason


@needs_music21
def test_a_reader_that_dies_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        Music([Note(0, 1, 60 + i)]).write(tmp_path / f"{i}.mid")
    deadly = "; old = reading.parse; reading.parse = lambda p, e: sys.exit(7) if p.stem == '1' else old(p, e)"
    worker = reading._WORKER.replace("; reading._serve()", f"{deadly}; reading._serve()")
    monkeypatch.setattr(reading, "_WORKER", worker)
    with pytest.warns(UserWarning, match=r"1.mid: skipped: the process that read it ended with status 7"):
        found = music.read_pieces(tmp_path, jobs=2, cache=False)
    assert [path.stem for path in found.sources] == ["0", "2", "3"]


@needs_music21
def test_without_music_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no music in this folder: expected files .mid"):
        music.read_pieces(tmp_path)
    with pytest.raises(ValueError, match="at least one file or folder, found none"):
        music.read_pieces([])
    with pytest.raises(FileNotFoundError, match=r"none\.mid"):
        music.read_pieces([tmp_path / "none.mid"])
    (tmp_path / "x.mid").write_bytes(b"x")
    with (
        pytest.warns(UserWarning, match="x.mid: skipped"),
        pytest.raises(ValueError, match=r"no file could be read; the first of 1: .*x.mid: expected a MIDI file"),
    ):
        music.read_pieces(tmp_path)
    with pytest.raises(ValueError, match="jobs: expected at least 1, found 0"):
        music.read_pieces(tmp_path, jobs=0)
    with pytest.raises(ValueError, match="notation: expected one of events, lesson, found 'text'"):
        music.read_pieces(tmp_path, notation="text")


# -- the cache -------------------------------------------------------------------------------------


def cached(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def test_what_was_read_is_not_read_again(tune: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(tune)
    (name,) = cached(own_cache)
    monkeypatch.setattr(reading, "parse", lambda *_: pytest.fail("it was read again"))
    assert read(tune) == first
    copy = tune.with_name("copy.midi")  # the content counts, not the name
    copy.write_bytes(tune.read_bytes())
    assert read(copy) == first
    assert cached(own_cache) == [name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-5],
        lambda data: data.replace(b"n72", b"n73"),
        lambda data: b"[" * 100_000,
        lambda data: b"[1]",
        lambda data: b'{"elements": 1, "crc32": 1}',
        lambda data: b"\x80\x04.",
    ],
)
def test_a_damaged_cache_does_not_count(tune: Path, own_cache: Path, damage: Callable[[bytes], bytes]) -> None:
    first = read(tune)
    (name,) = cached(own_cache)
    good = name.read_bytes()
    name.write_bytes(damage(good))
    assert read(tune) == first
    assert name.read_bytes() == good


def test_the_cache_knows_the_notation_and_may_be_elsewhere_or_nowhere(tune: Path, own_cache: Path) -> None:
    assert read(tune, cache=False) == read(tune, cache=tune.parent / "mine")
    assert not own_cache.exists() and len(cached(tune.parent / "mine")) == 1
    assert read(tune, notation="lesson") != read(tune)
    assert len(cached(own_cache)) == 2
    assert read(tune, cache=tune) == read(tune)  # no folder: it cannot be written, which is no harm


# -- keys ------------------------------------------------------------------------------------------


def test_all_keys(tune: Path) -> None:
    found = music.read_pieces(tune, transpose=True)
    assert found.sources == [tune] * 12
    original = read(tune)[0]
    assert found.pieces[5] == original
    for semitones, piece in zip(range(-5, 7), found.pieces, strict=True):
        assert piece == music.encode([n._replace(pitch=n.pitch + semitones) for n in TUNE])
    with pytest.raises(ValueError, match="transpose: only with notation='events'"):
        music.read_pieces(tune, notation="lesson", transpose=True)


def test_notes_stay_on_the_piano() -> None:
    assert music.transposed(["n21", "t6", "n108", "d6", "n3", "n127"], 6) == ["n27", "t6", "n102", "d6", "n9", "n127"]
    assert music.transposed(["n21", "n108"], -5) == ["n28", "n103"]


# -- the lesson's notation -------------------------------------------------------------------------


def lesson_notes(music21: Any, path: Path, part: int | None = 0) -> list[str]:
    """Return the code of the lesson, word for word but for `flatten`.

    `part`: the one whose notes are taken, in the lesson the first. None: `partitionByInstrument`
    returns None, as it did before music21 8 for a file without instruments.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chord, converter, instrument, note = music21.chord, music21.converter, music21.instrument, music21.note
        notes = []
        midi = converter.parse(str(path))
        notes_to_parse: Any = None
        try:
            s2: Any = None if part is None else instrument.partitionByInstrument(midi)
            notes_to_parse = s2.parts[part].recurse()
        except Exception:
            notes_to_parse = midi.flatten().notes
        for element in notes_to_parse:
            if isinstance(element, note.Note):
                notes.append(str(element.pitch))
            elif isinstance(element, chord.Chord):
                notes.append(".".join(str(n) for n in element.normalOrder))
    return notes


def lesson_stream(music21: Any, prediction_output: Sequence[str]) -> Any:
    """Return the lesson's way back, word for word."""
    chord, instrument, note, stream = music21.chord, music21.instrument, music21.note, music21.stream
    offset = 0.0
    output_notes: list[Any] = []
    for pattern in prediction_output:
        if ("." in pattern) or pattern.isdigit():
            notes_in_chord = pattern.split(".")
            notes = []
            for current_note in notes_in_chord:
                new_note = note.Note(int(current_note))
                new_note.storedInstrument = instrument.Piano()
                notes.append(new_note)
            new_chord = chord.Chord(notes)
            new_chord.offset = offset
            output_notes.append(new_chord)
        else:
            new_note = note.Note(pattern)
            new_note.offset = offset
            new_note.storedInstrument = instrument.Piano()
            output_notes.append(new_note)
        offset += 0.5
    return stream.Stream(output_notes)


def test_lesson_elements_are_those_of_the_lesson(tune: Path, music21: Any) -> None:
    expected = lesson_notes(music21, tune)
    assert read(tune, notation="lesson") == [expected]
    assert "0.4.7" in expected and "C5" in expected and "G2" not in expected  # the second instrument's


def test_without_instruments_the_lesson_merges_all_parts(tmp_path: Path, music21: Any) -> None:
    path = tmp_path / "x.krn"
    path.write_text(KERN)
    expected = lesson_notes(music21, path, part=None)
    assert read(path, notation="lesson") == [expected]
    assert "C3" in expected and "C5" in expected  # of the left hand and of the right
    path = tmp_path / "two.mid"
    path.write_bytes(midi_tracks(track([60, 62]), track([48])))
    assert read(path, notation="lesson") == [["C4", "C3", "D4"]] == [lesson_notes(music21, path, part=None)]


def track(pitches: Sequence[int], *, name: str = "", program: int | None = None, channel: int = 1) -> bytes:
    """Return a track of quarters, one after the other; channels are counted from 1."""
    body = b"\0\xff\x03" + bytes([len(name)]) + name.encode() if name else b""
    if program is not None:
        body += bytes([0, 0xC0 | channel - 1, program])
    for pitch in pitches:
        body += bytes([0, 0x90 | channel - 1, pitch, 80, 24, 0x80 | channel - 1, pitch, 0])
    body += b"\0\xff\x2f\0"
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def midi_tracks(*tracks: bytes) -> bytes:
    return b"MThd\0\0\0\6\0\1" + len(tracks).to_bytes(2, "big") + b"\0\x18" + b"".join(tracks)


NAMED = {  # tracks of a file, and the part of music21's partition that has the first notes
    "a song and its hands": ((track([], name="Song"), track([60], name="Piano right", program=0)), 1),
    "two hands": (
        (track([60, 62], name="Piano right", program=0), track([48], name="Piano left", program=0, channel=2)),
        1,
    ),
    "names of no instrument": ((track([60, 62], name="right"), track([48], name="left", channel=2)), 0),
    "two instruments": ((track([70], name="Violin", program=40), track([60], name="Piano", program=0, channel=2)), 0),
    "drums first": (
        (track([36, 38], name="Drums", program=0, channel=10), track([60, 64], name="Keys", program=0)),
        1,
    ),
}


def test_the_first_part_with_notes_counts(tmp_path: Path, music21: Any) -> None:
    expected: dict[Path, list[str]] = {}
    for name, (tracks, part) in NAMED.items():
        path = tmp_path / f"{name}.mid"
        path.write_bytes(midi_tracks(*tracks))
        expected[path] = lesson_notes(music21, path, part)
        assert expected[path] and not any(lesson_notes(music21, path, empty) for empty in range(part)), name
    found = music.read_pieces(expected, notation="lesson", jobs=1)  # one process imports music21
    assert dict(zip(found.sources, found.pieces, strict=True)) == expected


@needs_music21
@pytest.mark.parametrize("notation", music.NOTATIONS)
def test_drums_are_named_and_never_pitches(tmp_path: Path, notation: str) -> None:
    kit = track([36, 38, 42], name="Kit", channel=10)
    path = tmp_path / "drums.mid"
    path.write_bytes(midi_tracks(kit, track([], name="Piano", program=0)))
    with (
        pytest.warns(UserWarning, match=r"drums.mid: skipped: there are only drums in it \(percussion, .* no pitch"),
        pytest.raises(ValueError, match="only drums in it"),
    ):
        read(path, notation=notation, cache=False)
    path.write_bytes(midi_tracks(kit, track([60, 62], name="Tune")))
    right = {"lesson": ["C4", "D4"], "events": ["d24", "n60", "t24", "n62"]}
    assert read(path, notation=notation, cache=False) == [right[notation]]
    both = [0x90, 60, 9, 0, 0x99, 38, 9, 24, 0x80, 60, 0, 0, 0x89, 38, 0]  # a note and a drum on one track
    path.write_bytes(midi(0, *both))
    assert read(path, notation=notation, cache=False) == [right[notation][: 1 + (notation == "events")]]


UNPITCHED = "<unpitched><display-step>C</display-step><display-octave>5</display-octave></unpitched>"
SCORE = re.sub(r"<harmony>.*?</harmony>", "", XML)
DRUMS = {  # ways to notate drums
    "unpitched": re.sub(r"<pitch>.*?</pitch>", UNPITCHED, SCORE),
    "a percussion clef": SCORE.replace("</time>", "</time><clef><sign>percussion</sign></clef>"),
    "a drum as the instrument": SCORE.replace(
        "<part-name>Clarinet</part-name>",
        "<part-name>Kit</part-name><score-instrument id='P1-I1'><instrument-name>Snare Drum</instrument-name>"
        "</score-instrument><midi-instrument id='P1-I1'><midi-channel>10</midi-channel></midi-instrument>",
    ),
}


@needs_music21
@pytest.mark.parametrize("notated", slow_but({"unpitched"}, DRUMS, "starts music21 in a separate process"))
@pytest.mark.parametrize("notation", music.NOTATIONS)
def test_a_score_for_drums_is_named(tmp_path: Path, notation: str, notated: str) -> None:
    path = tmp_path / "drums.musicxml"
    path.write_text(DRUMS[notated])
    assert DRUMS[notated] != SCORE
    with (
        pytest.warns(UserWarning, match="there are only drums in it"),
        pytest.raises(ValueError, match="only drums in it"),
    ):
        read(path, notation=notation)
    piano = '<score-part id="P2"><part-name>Piano</part-name></score-part></part-list>'
    notes = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note>"
    part = (
        f'<part id="P2"><measure number="1"><attributes><divisions>2</divisions></attributes>{notes}</measure></part>'
    )
    both = DRUMS[notated].replace("</part-list>", piano).replace("</score-partwise>", f"{part}</score-partwise>")
    path.write_text(both)
    assert read(path, notation=notation) == [{"lesson": ["C4"], "events": ["d24", "n60"]}[notation]]


@needs_music21
def test_timpani_have_pitches(tmp_path: Path) -> None:
    path = tmp_path / "x.krn"
    path.write_text("**kern\n*Itimpa\n*clefX\n4c\n4d\n*-\n")
    assert read(path) == [["d24", "n60", "t24", "n62"]]


def test_lesson_elements_sound_as_in_the_lesson(music21: Any) -> None:
    elements = ["C4", "B-3", "0.4.7", "11", "F#5", "E-2", "10.2.5", "G#4", "C4", "B#3", "C-4", "0.60"]
    theirs = {
        (float(element.offset), pitch.midi)
        for element in lesson_stream(music21, elements).notes
        for pitch in element.pitches
    }
    ours = music.decode(elements)
    assert {(n.start, n.pitch) for n in ours.notes} == theirs
    assert ours.length == 6.5
    stream = ours.to_stream()
    assert {(float(e.offset), p.midi) for e in stream.flatten().notes for p in e.pitches} == theirs


def test_lesson_elements_in_any_order_are_music() -> None:
    rng = random.Random(1)
    names = [f"{letter}{sign}{octave}" for letter in "ABCDEFG" for sign in ("", "#", "-") for octave in range(1, 8)]
    chords = [".".join(map(str, rng.sample(range(12), k=rng.randint(1, 6)))) for _ in range(50)]
    elements = rng.choices(names + chords, k=200)
    assert len({n.start for n in music.decode(elements).notes}) == 200
    assert music.decode(" ".join(elements)).notes == music.decode(elements).notes


@pytest.mark.parametrize("element", ["H4", "", "4.", "4..7", "n60", "C44", "999"])
def test_what_is_no_lesson_element_is_named(element: str) -> None:
    with pytest.raises(ValueError, match=r"position 1: expected a note such as 'C4'"):
        music.decode(["C4", element])


# -- files out -------------------------------------------------------------------------------------


def test_midi_without_our_reader(tmp_path: Path, music21: Any) -> None:
    """What we write is what music21's own reader finds."""

    path = tmp_path / "x.mid"
    Music(TUNE).write(path)
    stream = music21.converter.parse(path, forceSource=True, storePickle=False, quantizePost=False)
    found = [
        Note(float(element.offset), float(element.quarterLength), pitch.midi)
        for element in stream.flatten().notes
        for pitch in element.pitches
    ]
    assert {(n.start, n.pitch) for n in found} >= {(n.start, n.pitch) for n in music.decode(music.encode(TUNE)).notes}
    assert len(found) == len(TUNE) + 1  # a bar line ties one


@needs_music21
def test_stream_has_chords_and_staves() -> None:
    stream = Music(TUNE).to_stream(bpm=90)
    assert [c.normalOrder for c in stream.flatten().getElementsByClass("Chord")] == [[0, 4, 7]]
    assert stream.flatten().getElementsByClass("MetronomeMark")[0].number == 90
    assert len(Music(TUNE).to_stream(staves=2).parts) == 2


@needs_music21
@pytest.mark.parametrize("seed", slow_but({0}, range(3), "writes other notes in the same way"))
def test_musicxml_can_be_written_of_anything(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "x.musicxml"
    drawn = music.decode(rng.choices(VOCABULARY, k=120), notation="events")
    drawn.write(path)
    (elements,) = read(path)
    assert len(music.decode(elements).notes) > len(drawn.notes) / 2
    Music(TUNE).write(path)
    assert read(path) == [music.encode(TUNE)]


def samples_of(data: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == 44_100 and file.getsampwidth() == 2
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())


def test_wav_has_its_length_and_neither_silence_nor_clipping(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    loud = [Note(i / 4, 4, pitch) for i in range(8) for pitch in range(30, 100)]
    Music(loud).write(path, bpm=120, synth="builtin")
    samples = samples_of(path.read_bytes())
    assert len(samples) / 44_100 == pytest.approx((1.75 + 4) / 2 + 0.25 + mastering.TAIL, abs=0.01)
    assert samples.shape[1] == 2
    assert 0.1 * 32767 < np.abs(samples.astype(int)).max() < 0.95 * 32767
    assert np.abs(samples[: 44_100 // 10].astype(int)).max() > 1000


def test_sound_of_any_music_is_equally_loud(tmp_path: Path) -> None:
    loud = [Note(i / 4, 4, pitch) for i in range(8) for pitch in range(30, 100)]
    soft = [Note(i, 0.5, 90) for i in range(4)]
    for notes in (loud, soft):
        Music(notes).write(tmp_path / "x.wav", synth="builtin")
        sound, rate = audio.samples_of((tmp_path / "x.wav").read_bytes())
        found = mastering.loudness(sound, rate)
        limited = float(np.abs(sound).max()) > mastering.PEAK - 0.001
        assert found == pytest.approx(mastering.LOUDNESS, abs=0.05) or (limited and found < mastering.LOUDNESS)
    assert not mastering.mastered(np.zeros((100, 2), np.float32), 8000).any()
    assert mastering.mastered(np.zeros((0, 2), np.float32), 8000).shape == (6400, 2)


@pytest.mark.parametrize(("rate", "decibels"), [(48_000, -6.0), (44_100, -20.0), (22_050, 0.0)])
def test_loudness_is_that_of_the_standard(rate: int, decibels: float) -> None:
    time = np.arange(3 * rate) / rate
    sine = (10 ** (decibels / 20) * np.sin(2 * np.pi * 997 * time)).astype(np.float32)
    assert mastering.loudness(sine[:, None], rate) == pytest.approx(decibels - 3.01, abs=0.05)
    assert mastering.loudness(np.stack([sine, sine], 1), rate) == pytest.approx(decibels, abs=0.05)
    with_silence = np.concatenate([sine, np.zeros(5 * rate, np.float32)])[:, None]
    assert mastering.loudness(with_silence, rate) == pytest.approx(decibels - 3.01, abs=0.3)  # silence does not count


def test_a_room_adds_to_sound_what_a_convolution_does(rng: np.random.Generator) -> None:
    rate = 4000
    click = np.zeros((1, 2), np.float32)
    click[0] = 1
    answer = mastering.in_room(click, rate)
    answer[0] = 0
    sound = rng.standard_normal((70_000, 2)).astype(np.float32)  # more than one piece
    heard = mastering.in_room(sound, rate)
    mono = sound.mean(1)
    for channel in range(2):
        wanted = np.convolve(mono, answer[:, channel])[: len(heard)]
        wanted[: len(sound)] += sound[:, channel]
        assert np.abs(heard[: len(wanted), channel] - wanted).max() < 1e-4


@pytest.mark.parametrize("pitch", [21, 45, 69, 100, 127])
def test_a_tone_has_its_pitch_and_decays(pitch: int) -> None:
    samples = audio.render([(0.0, 2.0, pitch)])[:, 0]
    spectrum = np.abs(np.fft.rfft(samples[:65536] * np.hanning(65536)))
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    near = int(frequency * 65536 / 44_100)
    heard = (near - 3 + spectrum[near - 3 : near + 5].argmax()) * 44_100 / 65536
    assert heard == pytest.approx(frequency, rel=0.02)
    loudness = [float(np.square(samples[i : i + 8820]).mean()) for i in (1000, 40_000, 80_000)]
    assert loudness[0] > loudness[1] > loudness[2] > 0
    assert np.abs(samples[-200:]).max() < 1e-3


def test_sound_of_a_note_ends_with_it() -> None:
    samples = audio.render([(0.0, 0.5, 60), (1.0, 0.5, 60)])
    assert np.abs(samples[int(0.76 * 44_100) : int(0.99 * 44_100)]).max() == 0
    assert not np.abs(audio.render([])).any()


def test_a_harder_stroke_is_louder_and_brighter() -> None:
    reference = (3.0, 0.5, 45, 127)
    struck = [audio.render([(0.0, 2.0, 45, velocity), reference], 22_050)[:44_100, 0] for velocity in (20, 80, 127)]
    soft, usual, hard = struck

    def colour(tone: NDArray[np.float32]) -> float:
        powers = np.square(np.abs(np.fft.rfft(tone)))
        return float((powers * np.arange(len(powers))).sum() / powers.sum())

    assert np.square(soft).sum() * 100 < np.square(usual).sum() < np.square(hard).sum() / 4  # 24 and 8 dB
    assert colour(soft) < colour(usual) < colour(hard)
    alone = audio.render([(0.0, 1.0, 60)], 8000)
    assert np.array_equal(alone, audio.render([(0.0, 1.0, 60, 80)], 8000))  # what has no velocity has 80


def test_the_pedal_and_the_tempo_are_heard(tmp_path: Path) -> None:
    notes = [Note(0, 0.5, 60), Note(4, 0.5, 64)]
    kinds: dict[str, dict[str, Any]] = {
        "dry": {},
        "held": {"pedals": [Pedal(0, 3)]},
        "slow": {"tempos": [Tempo(0, 50)]},
    }
    for name, more in kinds.items():
        Music(notes, **more).write(tmp_path / f"{name}.wav", synth="builtin")
    dry, held, slow = (audio.samples_of((tmp_path / f"{name}.wav").read_bytes())[0] for name in ("dry", "held", "slow"))
    between = slice(int(1.0 * 44_100), int(1.7 * 44_100))  # at 100 a minute a quarter is 0.6 s
    assert np.square(held[between]).sum() > 100 * np.square(dry[between]).sum()
    assert len(slow) - len(dry) == pytest.approx(4.5 * 0.6 * 44_100, abs=2)
    Music(notes, tempos=[Tempo(0, 50)]).write(tmp_path / "told.wav", synth="builtin", bpm=100)
    assert (tmp_path / "told.wav").read_bytes() == (tmp_path / "dry.wav").read_bytes()


def test_a_score_has_tempo_meter_and_a_staff_for_each_track(tmp_path: Path) -> None:
    notes = [Note(i, 1, 72 - i, track=1) for i in range(6)] + [Note(i, 1, 66 + i, track=2) for i in range(6)]
    piece = Music(notes, tempos=[Tempo(0, 66), Tempo(3, 132)], meters=[Meter(0, 3, 4)])
    piece.write(tmp_path / "a.musicxml")
    (found,) = music.read_pieces(tmp_path / "a.musicxml", keep="tempo,meter,tracks", cache=False).pieces
    assert found == piece.elements("tempo,meter,tracks")


def test_an_hour_is_enough(tmp_path: Path) -> None:
    for synth in ("builtin", "fluidsynth", None):
        with pytest.raises(ValueError, match="seconds long: expected at most 3600"):
            Music([Note(0, 1, 60), Note(1000, 1, 60)]).write(tmp_path / "x.wav", bpm=4, synth=synth)


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    (folder / name).chmod(stat.S_IRWXU)


@pytest.mark.skipif(sys.platform == "win32", reason="programs are scripts here")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("mp3", "ffmpeg"), ("mp3", "lame"), ("ogg", "ffmpeg"), ("ogg", "oggenc")],
        *[("flac", "ffmpeg"), ("flac", "flac")],
    ],
)
def test_sound_is_encoded_by_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    path = tmp_path / f"x.{kind}"
    with pytest.raises(FileNotFoundError, match=rf"a \.{kind} needs the program ffmpeg or .* not installed"):
        Music(TUNE).write(path)
    program(tmp_path / "bin", name, "sys.stdout.buffer.write(b'coded ' + sys.stdin.buffer.read())")
    Music(TUNE).write(path, synth="builtin")
    assert samples_of(path.read_bytes().removeprefix(b"coded ")).any()
    program(tmp_path / "bin", name, "sys.exit('no such codec')")
    with pytest.raises(OSError, match=rf"{name}: failed with status 1: no such codec"):
        Music(TUNE).write(path)
    assert path.read_bytes().startswith(b"coded ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", path.name]


@pytest.mark.parametrize(
    ("kind", "programs", "start"),
    [("mp3", "ffmpeg lame", rb"ID3|\xff\xfb"), ("ogg", "ffmpeg oggenc", rb"OggS"), ("flac", "ffmpeg flac", rb"fLaC")],
)
def test_sound_is_encoded_by_a_real_program(tmp_path: Path, kind: str, programs: str, start: bytes) -> None:
    if not any(map(shutil.which, programs.split())):
        pytest.skip(f"needs {programs.replace(' ', ' or ')}")
    path = tmp_path / f"x.{kind}"
    Music(TUNE).write(path)
    assert re.match(start, path.read_bytes())
    assert path.stat().st_size > 10_000


@pytest.mark.skipif(sys.platform == "win32", reason="programs are scripts here")
def test_fluidsynth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(audio, "_SOUNDFONT_FOLDERS", (str(tmp_path / "fonts"),))
    monkeypatch.delenv("SOUNDFONT", raising=False)
    path = tmp_path / "x.wav"

    def write() -> None:
        Music(TUNE).write(path, synth="fluidsynth")

    with pytest.raises(FileNotFoundError, match="needs the program fluidsynth"):
        write()
    asked = tmp_path / "asked"
    plays = f"""import shutil
a = sys.argv
open({str(asked)!r}, 'wb').write(open(a[-2], 'rb').read() + open(a[-1], 'rb').read())
shutil.copy({str(tmp_path / "sound.wav")!r}, a[a.index('-F') + 1])"""
    program(tmp_path / "bin", "fluidsynth", plays)
    with pytest.raises(FileNotFoundError, match="no soundfont: expected the environment variable SOUNDFONT"):
        write()
    Music(TUNE).write(path)  # by the built-in piano
    assert not asked.exists()
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "grand.sf2").write_bytes(b"font ")
    (tmp_path / "sound.wav").write_bytes(audio.wav(0.01 * audio.render([(0.0, 1.0, 60)])))
    for synth in ("fluidsynth", None):
        asked.unlink(missing_ok=True)
        Music(TUNE).write(path, synth=synth)
        assert asked.read_bytes().startswith(b"font MThd")
        sound, rate = audio.samples_of(path.read_bytes())
        assert mastering.loudness(sound, rate) == pytest.approx(mastering.LOUDNESS, abs=0.1)
    asked.unlink()
    Music(TUNE).write(path, synth="builtin")
    assert not asked.exists()
    monkeypatch.setenv("SOUNDFONT", str(tmp_path / "none.sf2"))
    with pytest.raises(FileNotFoundError, match=r"none.sf2: there is no such soundfont"):
        write()
    Music(TUNE).write(path)
    assert not asked.exists()


@pytest.mark.parametrize("quarters", [1, 60, 200, 3000])
def test_piano_roll(tmp_path: Path, quarters: int) -> None:
    path = tmp_path / "x.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = pytest.importorskip("matplotlib.image", reason="needs matplotlib: pip install 'lstmgen[plot]'")
    Music([Note(i, 0.9, 40 + i % 48) for i in range(quarters)]).write(path)
    picture = image.imread(path)
    assert path.read_bytes().startswith(b"\x89PNG") and picture.shape[1] > 1000
    assert len(np.unique((picture[::3, ::3] @ [1, 10, 100, 0]).round(2))) > 5  # colours


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    sound = Music(TUNE)
    for name, message in (("x.aiff", "expected a name with .mid"), ("x", "found 'none'")):
        with pytest.raises(ValueError, match=message):
            sound.write(tmp_path / name)
    with pytest.raises(ValueError, match="there are no notes to write"):
        Music([]).write(tmp_path / "x.mid")
    for bpm in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="bpm: expected 4 to 1000"):
            sound.write(tmp_path / "x.mid", bpm=bpm)
    with pytest.raises(ValueError, match="synth: expected one of builtin, fluidsynth, found 'organ'"):
        sound.write(tmp_path / "x.wav", synth="organ")
    with pytest.raises(FileNotFoundError):
        sound.write(tmp_path / "none" / "x.mid")
    assert list(tmp_path.iterdir()) == []


# -- the package -----------------------------------------------------------------------------------

PACKAGE = Path(music.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(module: str) -> set[str]:
    """Return the modules of the package that a module imports, whether at once or later."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "lstmgen.music":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lstmgen.music."):
            found.add(node.module.removeprefix("lstmgen.music."))
    return found


def test_the_files_of_the_package_have_no_circles() -> None:
    graph = {module: imports(module) for module in MODULES}
    assert set.union(*graph.values()) <= set(MODULES)
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("notes") < order.index("elements") < order.index("piece") < order.index("outputs")


def test_public_names() -> None:
    for name in music.__all__:
        assert getattr(music, name) is not None
    assert dir(music) == sorted(music.__all__)
    with pytest.raises(AttributeError, match=r"module 'lstmgen.music' has no attribute 'Song'"):
        music.Song  # noqa: B018


# -- without the extras ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "heavy"),
    [
        ("import lstmgen.music", "music21 matplotlib numpy subprocess concurrent.futures"),
        ("from lstmgen.music import *", "music21 matplotlib numpy"),
        ("from lstmgen import music; music.decode('n60 t6 n62'), music.stuck('ab' * 30)", "music21 matplotlib numpy"),
        ("from lstmgen import music; music.check_outputs(['a.mid', 'a.wav'], ['n60'])", "music21 matplotlib numpy"),
    ],
)
def test_only_what_is_needed_is_imported(use: str, heavy: str) -> None:
    code = f"import sys; sys.path[:] = sys.argv[1:]; {use}; print({{*{heavy.split()}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code, *sys.path], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_without_the_extras_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    def unknown(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(importlib.metadata, "version", unknown)
    (tmp_path / "x.krn").write_bytes(b"x")
    with pytest.raises(ImportError, match=r"pip install 'lstmgen\[music\]'"):
        music.read_pieces(tmp_path)
    with pytest.raises(ImportError, match=r"pip install 'lstmgen\[music\]'"):
        Music(TUNE).to_stream()
    with pytest.raises(ImportError, match=r"pip install 'lstmgen\[plot\]'"):
        Music(TUNE).write(tmp_path / "x.png")
    Music(TUNE).write(tmp_path / "y.mid")  # needs neither
    Music(TUNE).write(tmp_path / "y.wav")


# -- loops and statistics --------------------------------------------------------------------------


def test_longest_repeat() -> None:
    assert music.longest_repeat(list("xaaabcbcbcby")) == (("b", "c"), 4, 7)
    assert music.longest_repeat(["a"] * 9) == (("a",), 0, 9)
    assert music.longest_repeat(["q", *"abcdabcdab"]) == (tuple("abcd"), 1, 10)
    assert music.longest_repeat(["a", "b"]) == (("a",), 0, 1)
    assert music.longest_repeat([]) == ((), 0, 0)
    assert music.longest_repeat(Music([Note(i, 1, 60) for i in range(5)])) == ((60,), 0, 5)


def test_a_loop_is_found_out() -> None:
    rng = random.Random(0)
    varied = rng.choices(VOCABULARY, k=40)
    assert music.stuck(["n60"] * 39) is None  # too short to tell
    assert music.stuck(varied + ["n60"] * 30) is None  # less than half
    said = music.stuck(varied + ["t6", "n60"] * 30)
    assert said is not None and said.startswith("60 of 100 elements are 'n60 t6' again and again")
    assert music.stuck([*(["C4", "4.7", "G4", "4.7"] * 8), "D4"] * 3)
    assert music.stuck(["C4"] * 20 + ["D4", "E4"] + ["C4"] * 20)  # also with a break
    assert music.stuck(Music([Note(i, 1, 60 + i % 2) for i in range(100)]))
    assert music.stuck(music.encode([Note(i / 4, 0.25, rng.randrange(40, 80)) for i in range(200)])) is None


def test_statistics() -> None:
    sound = Music([Note(0, 1, 60), Note(0, 2, 64), Note(2, 1, 60), Note(3, 1, 60), Note(5, 1, 60)])
    assert music.pitch_class_histogram(sound).tolist() == [0.8, 0, 0, 0, 0.2, 0, 0, 0, 0, 0, 0, 0]
    assert music.duration_histogram(sound) == {1: 0.8, 2: 0.2}
    assert music.repeated_note_runs(sound) == {1: 2, 3: 1}
    assert music.mean_polyphony(sound) == 6 / 5
    nothing = Music([])
    assert not music.pitch_class_histogram(nothing).any()
    assert music.duration_histogram(nothing) == music.repeated_note_runs(nothing) == {}
    assert music.mean_polyphony(nothing) == nothing.length == 0


def test_share_of_copies() -> None:
    rng = random.Random(5)
    piece = [Note(i / 2, 0.5, rng.randrange(40, 80)) for i in range(40)]
    elements = music.encode(piece)
    assert music.share_of_copies(elements, [elements]) == 1
    assert music.share_of_copies(elements, []) == 0
    assert music.share_of_copies(elements[:5], [elements]) == 0
    half = [*music.encode([Note(i / 2, 0.5, rng.randrange(40, 80)) for i in range(20)]), "t12", *elements[1:]]
    assert music.share_of_copies(elements, [half]) == 1  # wherever they are
    assert music.share_of_copies(half, [elements]) == pytest.approx(33 / 53)
    assert music.share_of_copies(list("abcdefgh"), [list("xabcdefghx")]) == 1
    slower = music.encode([n._replace(start=n.start * 2) for n in piece])
    assert music.share_of_copies(elements, [slower]) == 0


def test_karaoke_is_read_as_midi(tmp_path: Path) -> None:
    tune = Music([Note(0, 1, 60), Note(1, 1, 64)])
    tune.write(tmp_path / "a.mid")
    (tmp_path / "song.KAR").write_bytes((tmp_path / "a.mid").read_bytes())
    read = [music.read_pieces(tmp_path / name, cache=False).pieces for name in ("a.mid", "song.KAR")]
    assert read[0] == read[1]
    assert "n64" in read[0][0]


def test_a_tune_without_a_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text("X:1\nT:no key\nCDEF|\n")
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(ValueError, match="there are no notes after a key, K:"),
    ):
        music.read_pieces(tmp_path / "a.abc", cache=False)
