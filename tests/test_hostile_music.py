"""Music files of anyone: a bound on what they take, and a named reason why they are skipped."""

from __future__ import annotations

import struct
import sys
import threading
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from lstmgen import limits, music
from lstmgen.music import midi, parsing, reading, timed_notes
from lstmgen.music.notes import Note
from support.slow import slow_but
from support.work import calls

_SIZE = 100_000  # bytes of most files here


def midi_of(track: bytes, *, length: int | None = None, tracks: int = 1, ticks: int = 96) -> bytes:
    head = b"MThd\0\0\0\6\0\1" + struct.pack(">HH", tracks, ticks)
    return head + b"MTrk" + struct.pack(">I", len(track) if length is None else length) + track


_END = b"\0\xff\x2f\0"
_NOTE = b"\0\x90\x40\x40"  # begins at once; later messages have the same status
_AND_AGAIN = b"\1\x40\0\0\x40\x40"  # ends after a tick, and begins again

# By mutation: the bytes, and the number of notes or what the error says.
MIDI: dict[str, tuple[bytes, int | str]] = {
    "nothing": (b"", "expected a MIDI file"),
    "a header alone": (midi_of(b"")[:14], "expected 1 tracks, found 0"),
    "a header of 7 bytes": (midi_of(b"").replace(b"\0\0\0\6", b"\0\0\0\7"), "expected a MIDI file"),
    "format 2": (midi_of(b"").replace(b"\6\0\1", b"\6\0\2"), "found format 2"),
    "no ticks": (midi_of(_NOTE, ticks=0), "at least one tick"),
    "frames of a film": (midi_of(_NOTE, ticks=0xE728), "expected times in quarters"),
    "65,535 tracks announced": (midi_of(_NOTE, tracks=65_535), "expected 65535 tracks, found 1"),
    "empty tracks": (midi_of(b"", tracks=_SIZE // 8) + b"MTrk\0\0\0\0" * (_SIZE // 8 - 1), 0),
    "a track of 4 GiB": (
        midi_of(_NOTE + _AND_AGAIN, length=2**32 - 1),
        "track 0 ends early: expected 4294967295 bytes",
    ),
    "a track of 4 GiB that ends": (midi_of(_NOTE + _AND_AGAIN + _END, length=2**32 - 1), 1),
    "a track that is cut between messages": (midi_of(_NOTE + _AND_AGAIN, length=99), "expected 99 bytes, found 10"),
    "a note for each 6 bytes": (midi_of(_NOTE + _AND_AGAIN * (_SIZE // 6)), _SIZE // 6),
    "notes that end much later": (
        midi_of(_NOTE + b"\0\x40\x40" * (_SIZE // 6) + b"\1\x80\x40\0" + b"\0\x40\0" * (_SIZE // 6)),
        _SIZE // 6 + 1,
    ),
    "a delta time of 2^28": (midi_of(b"\xff\xff\xff\x7f\x90\x40\x40"), "at most 100000 quarters"),
    "delta times that add up": (
        midi_of((b"\x87\x7f\x90\x40\x40" + b"\x87\x7f\x40\0") * 22_000, ticks=1),
        "at most 1000",
    ),
    "a number without an end": (midi_of(b"\xff" * _SIZE), "at most 8 bytes"),
    "a number at the end": (midi_of(b"\x81"), "ends within a message"),
    "a text longer than the track": (midi_of(b"\0\xff\1\x87\xff\xff\x7f" + _NOTE), 0),
    "texts without a letter": (midi_of(b"\0\xff\1\0" * (_SIZE // 4)), 0),
    "changes of tempo": (midi_of(b"\1\xff\x51\3\0\0\0" * (_SIZE // 7) + _NOTE + _AND_AGAIN), 1),
    "changes of tempo that are kept": (
        midi_of(b"".join(b"\1\xff\x51\3\x07" + bytes([i % 256, 0]) for i in range(_SIZE // 7)) + _NOTE + _AND_AGAIN),
        1,
    ),
    "time signatures": (
        midi_of(
            b"".join(b"\1\xff\x58\4" + bytes([i % 256, i % 7, 0, 0]) for i in range(_SIZE // 8)) + _NOTE + _AND_AGAIN
        ),
        1,
    ),
    "a time signature of nothing": (midi_of(b"\0\xff\x58\4\0\xff\0\0" + _NOTE + _AND_AGAIN), 1),
    "the pedal for each 6 bytes": (
        midi_of(_NOTE + b"\1\x40\0" + b"\0\xb0\x40\x7f" + b"\1\x40\0\1\x40\x7f" * (_SIZE // 6) + _NOTE + _AND_AGAIN),
        2,
    ),
    "the pedal at one time": (midi_of(_NOTE + b"\0\xb0\x40\x7f" + b"\0\x40\0\0\x40\x7f" * (_SIZE // 6)), 0),
    "a pedal that is cut off": (midi_of(_NOTE + _AND_AGAIN + b"\1\xb0\x40"), 1),
    "the pedal of the drums": (midi_of(b"\0\xb9\x40\x7f" + _NOTE + _AND_AGAIN), 1),
    "a velocity above 127": (midi_of(b"\0\x90\x40\xff" + b"\1\x40\0"), 1),
    "data without a status": (midi_of(b"\0\x40\x40" + b"\1\x40\0"), 1),
    "a status that is none": (midi_of(b"\0\xf5" + _NOTE + b"\1\x40\0"), 1),
    "an endless system exclusive message": (midi_of(b"\0\xf0\xff\xff\xff\x7f" + b"a" * _SIZE), 0),
}


LARGE = {  # as many messages as the one that is not slow, "a note for each 6 bytes"
    *("notes that end much later", "the pedal for each 6 bytes", "the pedal at one time"),
    *("changes of tempo", "changes of tempo that are kept", "time signatures"),
}


# Messages with much work in each byte, and how many functions are called for a byte.
WORK: dict[str, tuple[bytes, float]] = {
    "notes": (b"\1\x40\0\0\x40\x40", 5.4),
    "notes of two channels": (b"\1\x90\x40\x40\1\x91\x40\x40\1\x80\x40\0\1\x81\x40\0", 4.9),
    "the pedal": (b"\1\xb0\x40\0\1\x40\x7f", 3.5),
    "the pedal and notes": (b"\1\xb0\x40\x7f\1\x90\x40\x40\1\x40\0\1\xb0\x40\0", 6.5),
    "tempos and notes": (b"\1\xff\x51\3\x07\x01\x00\1\x90\x40\x40\1\x40\0", 5.9),
    "meters and notes": (b"\1\xff\x58\4\3\2\0\0\1\x90\x40\x40\1\x40\0", 5.3),
}


@pytest.mark.parametrize("what", WORK)
def test_the_work_for_a_byte_is_bounded(tmp_path: Path, what: str) -> None:
    unit, most = WORK[what]
    path = tmp_path / "a.mid"
    path.write_bytes(midi_of(_NOTE + unit * (8000 // len(unit))))
    parsing.parse(path, "events", "all")  # what is imported is imported
    assert calls(lambda: parsing.parse(path, "events", "all")) <= most * path.stat().st_size


@pytest.mark.parametrize("keep", slow_but({"all"}, ["all", "none"], "reads less of the same files"))
@pytest.mark.parametrize("mutation", slow_but(MIDI.keys() - LARGE, MIDI, "reads tens of thousands of messages"))
def test_hostile_midi_is_read_within_the_bound(tmp_path: Path, mutation: str, keep: str) -> None:
    data, expected = MIDI[mutation]
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    tracemalloc.start()
    found = parsing.parse(path, "events", keep)
    if isinstance(expected, int):
        assert sum(map(len, midi.read_midi(data).strokes)) == expected
        if expected:
            assert len(timed_notes.read_timed_notes(path)) == expected
            assert not isinstance(found, str)
    else:
        assert isinstance(found, str)
        assert expected in found
        with pytest.raises(ValueError, match=rf"a\.mid: .*{expected}"):
            timed_notes.read_timed_notes(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 64 * len(data) + 2**24


def test_midi_is_read_as_music21_reads_it(tmp_path: Path) -> None:
    from music21.midi import MidiFile

    track = (
        *(b"\0\xff\x51\3\7\xa1\x20", b"\0\xc0\5", b"\x10\x90\x3c\x50", b"\0\x40\x51", b"\x20\x3c\0", b"\0\xb0\x07\x64"),
        *(
            b"\x81\x10\x80\x40\x10",
            b"\0\xe0\0\x40",
            b"\0\xd1\x30",
            b"\0\xa1\x30\x30",
            b"\0\xf0\3abc",
            b"\5\x91\x50\x7f",
        ),
        *(b"\0\xff\1\4text", b"\x40\x50\0", b"\0\x99\x24\x7f", b"\0\xf7\1a", b"\3\xff\x51\3\3\xd0\x90", _END),
    )
    data = midi_of(b"".join(track))
    theirs = MidiFile()
    theirs.readstr(data)
    now, on = 0, []
    for event in theirs.tracks[0].events:
        now += event.time if event.isDeltaTime() else 0
        if not event.isDeltaTime() and event.isNoteOn() and event.channel != 10:
            on.append((now, event.pitch, event.velocity))
    ours = midi.read_midi(data)
    assert sorted((one.start, one.pitch, one.velocity) for one in ours.strokes[0]) == sorted(on)
    assert ours.has_drums
    assert ours.tempos == {0: 500_000, 16 + 32 + 144 + 5 + 64 + 3: 250_000}


# -- what music21 reads ----------------------------------------------------------------------------

XML = '<?xml version="1.0"?>'
NOTE = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>"


def score(body: str) -> str:
    return (
        f'{XML}<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>x</part-name></score-part>'
        '</part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes>'
        f"{body}</measure></part></score-partwise>"
    )


def zipped(path: Path | BytesIO, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml", f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>'
        )
        archive.writestr(name, data)


_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol" * 10}">' for i in range(10))
SCORES: dict[str, tuple[str, str]] = {
    "entities within entities": (
        f"{XML}<!DOCTYPE l [{_LAUGHS}]><score-partwise><work><work-title>&l9;</work-title></work></score-partwise>",
        "amplification|more memory",
    ),
    "a long entity many times": (
        f'{XML}<!DOCTYPE l [<!ENTITY l "{"a" * 50_000}">]><score-partwise>{"&l;" * 50_000}</score-partwise>',
        "amplification|more memory",
    ),
    "an entity that is another file": (
        f'{XML}<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><score-partwise>&x;</score-partwise>',
        "undefined entity",
    ),
    "deeply nested": (XML + "<a>" * _SIZE, "more memory|no element found"),
    "empty notes": (score("<note/>" * 100_000), "more memory"),
    "a duration of 1e308": (score(NOTE.replace(">1<", ">1e308<")), "duration: expected a number in"),
}


FEW_SCORES = {"an entity that is another file", "deeply nested", "a duration of 1e308"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep a limit on memory")
@pytest.mark.parametrize("mutation", slow_but(FEW_SCORES, SCORES, "music21 reads another score in a process"))
def test_hostile_score_is_skipped_within_the_bound(tmp_path: Path, mutation: str) -> None:
    text, expected = SCORES[mutation]
    path = tmp_path / "a.musicxml"
    path.write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match=expected):
        music.read_pieces(path, cache=False, jobs=1)


def test_sound_file_is_read_after_a_hostile_one(tmp_path: Path) -> None:
    (tmp_path / "a.musicxml").write_text(score("<note/>" * 100_000), encoding="utf-8")
    (tmp_path / "b.musicxml").write_text(score(NOTE * 20), encoding="utf-8")
    with pytest.warns(UserWarning, match="a.musicxml: skipped"):
        found = music.read_pieces(tmp_path, cache=False, jobs=1)
    assert [path.name for path in found.sources] == ["b.musicxml"]


def test_zip_bomb_is_refused_by_its_sizes(tmp_path: Path) -> None:
    zipped(tmp_path / "a.mxl", "a.xml", b" " * 2**24)
    with pytest.raises(ValueError, match=r"at most 64 times its .* bytes, found 16,777,291 unpacked"):
        parsing.bound(tmp_path / "a.mxl", "events")


def test_zip_with_false_sizes_takes_no_more_than_it_says(tmp_path: Path) -> None:
    zipped(tmp_path / "a.mxl", "a.xml", score(NOTE).encode() + b" " * 2**24)
    data = bytearray((tmp_path / "a.mxl").read_bytes())
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)  # the second entry of the list of files
    data[at + 24 : at + 28] = struct.pack("<I", 1000)  # the size that it says it has
    (tmp_path / "a.mxl").write_bytes(data)
    assert parsing.bound(tmp_path / "a.mxl", "events") is not None
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match=r"cannot read it|more memory"):
        music.read_pieces(tmp_path / "a.mxl", cache=False, jobs=1)


def test_zip_without_a_score_is_named(tmp_path: Path) -> None:
    zipped(tmp_path / "a.mxl", "META-INF/a.xml", b"")
    with pytest.raises(ValueError, match=r"expected a zip with a score in it, .*, found 2 other files"):
        parsing.bound(tmp_path / "a.mxl", "events")


def test_mxl_counts_as_unpacked(tmp_path: Path) -> None:
    zipped(tmp_path / "a.mxl", "a.xml", score(NOTE * 200).encode())
    with zipfile.ZipFile(tmp_path / "a.mxl") as archive:
        size = sum(info.file_size for info in archive.infolist())
    assert parsing.bound(tmp_path / "a.mxl", "events") == (2 + 4 * size / 2**20, 2**24 + 64 * size)


def test_humdrum_too_large_for_music21_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.krn").write_text("**kern\n" + "4c\n" * 100_000, encoding="utf-8")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="at most 262,144 bytes"):
        music.read_pieces(tmp_path / "a.krn", cache=False, jobs=1)


def test_reason_why_a_file_is_skipped_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J.musicxml"
    path.write_text(score("<note><type>\x9b2J" + "\u202e" * 300 + "</type></note>"), encoding="utf-8")
    with pytest.warns(UserWarning, match="skipped") as warned, pytest.raises(ValueError, match="x9b2J") as caught:
        music.read_pieces(tmp_path, cache=False, jobs=1)
    for message in (str(warned[0].message), str(caught.value)):
        assert message.isprintable()
        assert len(message.partition("cannot read it: ")[2]) <= 300


def test_reading_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.krn").write_text("**kern\n4c\n*-\n", encoding="utf-8")
    monkeypatch.setattr(limits, "PATIENCE", 0)
    monkeypatch.setattr(reading, "bound", lambda path, notation: (0.01, 2**30))
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="processor time, or was stopped"):
        music.read_pieces(tmp_path / "a.krn", cache=False, jobs=1)


READY = "import json, os, signal, sys, time; sys.stdin.readline(); print(json.dumps('ready'), flush=True); "


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_waits_for_no_process_that_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    for i in range(jobs):
        (tmp_path / f"{i}.krn").write_text("**kern\n4c\n*-\n", encoding="utf-8")
    # Python loses a signal that comes while it collects garbage, so another one follows.
    again = "while sound: os.kill(os.getppid(), signal.SIGINT); time.sleep(20)"
    worker = READY + f"sound = '0.krn' in sys.stdin.readline(); exec({again!r}); time.sleep(600)"
    late: list[str] = []

    class Timer(threading.Timer):
        def run(self) -> None:
            if not self.finished.wait(60):  # the limit of time ends the process
                late.append(self.name)
                self.function()

    monkeypatch.setattr(reading, "_WORKER", worker)
    monkeypatch.setattr(threading, "Timer", Timer)
    with pytest.raises(KeyboardInterrupt):
        music.read_pieces(tmp_path, cache=False, jobs=jobs)
    assert not late


def test_code_beside_the_music_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "hashlib", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    (tmp_path / "a.krn").write_text("**kern\n4c\n*-\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as in a notebook
    assert music.read_pieces("a.krn", cache=False, jobs=1).pieces == [["d24", "n60"]]
    assert not (tmp_path / "ran").exists()


def test_half_an_answer_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.krn").write_text("**kern\n4c\n*-\n", encoding="utf-8")
    monkeypatch.setattr(
        reading, "_WORKER", READY + "sys.stdin.readline(); print('[[', end='', flush=True); sys.exit(4)"
    )
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match=r"a\.krn: .*ended with status 4"):
        music.read_pieces(tmp_path, cache=False, jobs=1)


@pytest.mark.parametrize(
    ("status", "said"), [(-9, "or was stopped"), (-11, "died of SIGSEGV"), (3, "ended with status 3")]
)
def test_the_end_of_a_process_has_a_reason(status: int, said: str) -> None:
    assert said in limits.reason(status, 2)


def test_lesson_of_midi_is_bounded(tmp_path: Path) -> None:
    music.Music([Note(i, 1, 60) for i in range(10)]).write(path := tmp_path / "a.mid")
    size = path.stat().st_size
    assert parsing.bound(path, "lesson") == (2 + 200 * size / 2**20, 2**24 + 1_200 * size)
    assert len(music.read_pieces(path, notation="lesson", cache=False, jobs=1).pieces[0]) == 10
