"""ABC notation is read as its standard says, and written so that others read it, too."""

from __future__ import annotations

import importlib.util
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmgen import music
from lstmgen.music import Meter, Music, Note, Tempo, abc_notation, parsing
from lstmgen.music.abc_notation import abc_file, read_abc, tunes_of
from lstmgen.music.abc_reading import AbcError
from lstmgen.music.notes import GRID, GridNote, tidy
from support.slow import slow_but
from support.work import calls

needs_music21 = pytest.mark.skipif(
    importlib.util.find_spec("music21") is None, reason="needs music21: pip install 'lstmgen[music]'"
)
HEAD = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\n"


def notes_of(text: str) -> list[Note]:
    (tune,) = read_abc(text)
    return tune.notes


def grid(notes: list[Note]) -> list[GridNote]:
    for note in notes:  # the grid has 24 points to a quarter, the reader 20,160 ticks
        assert note.start * GRID == pytest.approx(round(note.start * GRID), abs=1e-6)
        assert note.duration * GRID == pytest.approx(round(note.duration * GRID), abs=1e-6)
    return sorted(map(GridNote.of, notes))


# -- in --------------------------------------------------------------------------------------------

# Quarters of the start and the duration, and the pitch, of each note. The unit is a quarter.
MEANS: dict[str, tuple[str, list[tuple[float, float, int]]]] = {
    "octaves": ("C,, C c c''", [(0, 1, 36), (1, 1, 60), (2, 1, 72), (3, 1, 96)]),
    "lengths": ("C2 C/ C// C3/2 C/4", [(0, 2, 60), (2, 0.5, 60), (2.5, 0.25, 60), (2.75, 1.5, 60), (4.25, 0.25, 60)]),
    "rests": ("C z2 C x C Z C", [(0, 1, 60), (3, 1, 60), (5, 1, 60), (10, 1, 60)]),
    "an accidental until the end of the bar, in all octaves": (
        "^F f F, =f F|F",
        [(0, 1, 66), (1, 1, 78), (2, 1, 54), (3, 1, 77), (4, 1, 65), (5, 1, 65)],
    ),
    "double accidentals": ("__B ^^c", [(0, 1, 69), (1, 1, 74)]),
    "a key, and another": ("[K:D]F[K:Bbmin]D [K:none] D", [(0, 1, 66), (1, 1, 61), (2, 1, 62)]),
    "a clef changes no key": ("[K:D][K:clef=bass]F", [(0, 1, 66)]),
    "signs of a key": ("[K:D exp _b ^g]f[K:A _b]bG", [(0, 1, 78), (1, 1, 82), (2, 1, 68)]),
    "bagpipes": ("[K:Hp]cg", [(0, 1, 73), (1, 1, 79)]),
    "a tie over a bar": ("^F2-|F2 F|", [(0, 4, 66), (4, 1, 65)]),
    "a tie after a space and a name": ('G -"Em"G', [(0, 2, 67)]),
    "a tie to another note is none": ("G-A", [(0, 1, 67), (1, 1, 69)]),
    "a tie over a rest is none": ("G-zG", [(0, 1, 67), (2, 1, 67)]),
    "ties of chords": ("[CE]-|[C-E]2 C", [(0, 4, 60), (0, 3, 64)]),
    "the first note of a chord says how long it is": ("[C2E4]/ G", [(0, 1, 60), (0, 2, 64), (1, 1, 67)]),
    "broken rhythms": ("A>B A<<B", [(0, 1.5, 69), (1.5, 0.5, 71), (2, 0.25, 69), (2.25, 1.75, 71)]),
    "a broken rhythm of a rest": ("z>B", [(1.5, 0.5, 71)]),
    "a triplet": ("(3ABc d", [(0, 2 / 3, 69), (2 / 3, 2 / 3, 71), (4 / 3, 2 / 3, 72), (2, 1, 74)]),
    "a tuplet that says all": ("(3:2:2A2B c", [(0, 4 / 3, 69), (4 / 3, 2 / 3, 71), (2, 1, 72)]),
    "five in the time of three": ("[M:6/8](5AAAAA B", [(i * 0.6, 0.6, 69) for i in range(5)] + [(3, 1, 71)]),
    "a slur, and a tuplet in it": ("((3ABc)", [(0, 2 / 3, 69), (2 / 3, 2 / 3, 71), (4 / 3, 2 / 3, 72)]),
    "what has no duration": ('{ag}~A !trill!+fermata+.B "D7/f+"vc', [(0, 1, 69), (1, 1, 71), (2, 1, 72)]),
    "repeats are as written": ("|:A|1 B:|2 c:|", [(0, 1, 69), (1, 1, 71), (2, 1, 72)]),
    "endings in brackets": ("|:A|[1 B:|[2 c||", [(0, 1, 69), (1, 1, 71), (2, 1, 72)]),
    "a line that begins with a note and a bar": ("A\nB:|\nc", [(0, 1, 69), (1, 1, 71), (2, 1, 72)]),
    "fields between lines": ("A\nL:1/8\nw:a word\nP:B\nB", [(0, 1, 69), (1, 0.5, 71)]),
    "comments": ("A % B\n%%MIDI x\nc", [(0, 1, 69), (1, 1, 72)]),
    "an overlay": ("A|c2 & E D|B", [(0, 1, 69), (1, 2, 72), (1, 1, 64), (2, 1, 62), (3, 1, 71)]),
    "voices": ("V:1\nc2\nV:2 clef=bass\nE\n[V:1]d", [(0, 2, 72), (0, 1, 64), (2, 1, 74)]),
}


@pytest.mark.parametrize("what", MEANS)
def test_a_tune_means(what: str) -> None:
    text, expected = MEANS[what]
    found = notes_of(f"{HEAD}{text}\n")
    assert [note.pitch for note in found] == [pitch for _, _, pitch in sorted(expected)]
    for note, (start, duration, _) in zip(found, sorted(expected), strict=True):
        assert note.start == pytest.approx(start)
        assert note.duration == pytest.approx(duration)


@pytest.mark.parametrize(("meter", "quarters"), [("4/4", 0.5), ("2/4", 0.25), ("6/8", 0.5), ("C|", 0.5), ("none", 0.5)])
def test_without_a_unit_the_meter_says_it(meter: str, quarters: float) -> None:
    assert notes_of(f"X:1\nM:{meter}\nK:C\nC").pop().duration == quarters


def test_a_file_has_many_tunes(tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc"
    path.write_text(f"%abc\nT:not a tune\n\n{HEAD}cde|\n\nfree text, no notes\n\n{HEAD}fga|\n\nX:3\nT:empty\nK:C\n")
    found = music.read_pieces(path, cache=tmp_path / "cache")
    assert [music.decode(piece).notes[0].pitch for piece in found.pieces] == [72, 77]
    assert found.sources == [path] * 2
    assert music.read_pieces(path, cache=tmp_path / "cache") == found  # from the cache
    keys = music.read_pieces(path, cache=False, transpose=True)
    assert keys.sources == [path] * 24
    assert keys.pieces[5] == found.pieces[0]


def test_a_tune_in_utf_16_is_told_what_to_do() -> None:
    with pytest.raises(AbcError, match="not UTF-8: save it as UTF-8: it may be utf-16"):
        next(read_abc((HEAD + "c2|").encode("utf-16")))


def test_latin_letters_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc"
    path.write_bytes(HEAD.replace("A tune", "Öland").replace("\n", "\r\n").encode("latin-1") + b"c2|\r\n")
    (tune,) = read_abc(path.read_bytes())
    assert (tune.title, tune.notes) == ("Öland", [Note(0, 2, 72)])
    (tune,) = read_abc(HEAD.replace("A tune", "Öland").encode("utf-8-sig") + b"c2|\n")
    assert tune.title == "Öland"


def test_the_lessons_notation_has_no_abc(tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc"
    path.write_text(f"{HEAD}c|")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="ABC notation is read as events"):
        music.read_pieces(path, notation="lesson", cache=False)


# -- hostile files ---------------------------------------------------------------------------------

_SIZE = 40_000
HOSTILE: dict[str, tuple[str, int | str]] = {
    "nothing": ("", "expected a tune"),
    "text": ("Once upon a time: there was", "expected a tune"),
    "notes alone": (HEAD + "c" * _SIZE, _SIZE),
    "too many notes": (HEAD + "c" * 40_001, "at most 40,000 notes, found more"),
    "too many notes in a chord": (HEAD + "[" + "c" * 40_001, "at most 40,000 notes, found more"),
    "too many voices": (HEAD + "".join(f"[V:{i}]" for i in range(16_385)), "at most 16,384 voices, found more"),
    "a bar that never ends": (HEAD + "^c" * (_SIZE // 2), _SIZE // 2),
    "chords that never close": (HEAD + "[c" * (_SIZE // 2), 1),
    "one chord of all": (HEAD + "[" + "c" * _SIZE + "]", _SIZE),
    "quotation marks": (HEAD + '"' * (_SIZE + 1) + "c", 1),
    "braces": (HEAD + "{" * _SIZE + "c", 1),
    "fields that never close": (HEAD + "[K:" * (_SIZE // 3) + "c", 1),
    "decorations": (HEAD + "!" * (_SIZE + 1) + "c", 1),
    "plus signs": (HEAD + "+a" * (_SIZE // 2), _SIZE // 4),
    "tuplets of tuplets": (HEAD + "(3" * (_SIZE // 2) + "c", 1),
    "broken rhythms": (HEAD + "c" + ">" * _SIZE + "c", 2),
    "broken again and again": (HEAD + "c" + "> " * (_SIZE // 2) + "c", 2),
    "a long note": (HEAD + "c9999" * 20, "at most 100000 quarters"),
    "a long rest": (HEAD + "Z9999" * 20, "at most 100000 quarters"),
    "a unit of 0": (HEAD + "[L:0/0]c0/0", 1),
    "a meter of 0": (HEAD + "[M:0/0]Zc", 1),
    "many voices": (HEAD + "".join(f"[V:{i}]c" for i in range(12_500)), 12_500),
    "tunes without music": ("X:\n" * (_SIZE // 3), 0),
    "bytes that are no text": (HEAD + "c" + "\x00\x01\x7f\xff" * 1000, 1),
    "a tie in a chord that never closes": (HEAD + "[c-[de-]e[f-" * 2000, 4001),
    "a long note in a chord": (HEAD + "[L:999/1][cc9999]", "at most 100000 quarters, found 39"),
    "far octaves": (HEAD + "c" + "'" * _SIZE + " C" + "," * _SIZE, 2),
}


LARGE = {"one chord of all", "a bar that never ends"}  # as many notes as "notes alone", which is not slow


@pytest.mark.parametrize("mutation", slow_but(HOSTILE.keys() - LARGE, HOSTILE, "reads tens of thousands of notes"))
def test_hostile_abc_is_read_within_the_bound(tmp_path: Path, mutation: str) -> None:
    text, expected = HOSTILE[mutation]
    path = tmp_path / "a.abc"
    path.write_text(text, encoding="latin-1")
    tracemalloc.start()
    if isinstance(expected, int):
        found = [note for tune in read_abc(path.read_bytes()) for note in tune.notes]
        assert len(found) == expected
        assert all(0 <= note.pitch <= 127 and note.duration > 0 for note in found)
    else:
        with pytest.raises(AbcError, match=expected):
            list(read_abc(path.read_bytes()))
        assert expected in str(parsing.parse(path, "events"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 64 * len(text) + 2**24


# Texts with much work in each byte, and how many functions are called for a byte.
WORK: dict[str, tuple[str, float]] = {
    "notes": ("CDEFGABcdefgab", 13),
    "notes and bars": ("c|", 17),
    "lines of a note": ("c\n", 17),
    "accidentals": ("^c", 14),
    "chords": ("[ce]", 13),
    "chords that are tied": ("[ceg]-", 5),
    "broken rhythms": ("c>d", 9.1),
    "broken rhythms of chords": ("[ce]>", 13),
    "broken rhythms within tuplets": ("(3c>d>e", 11.5),
    "tuplets": ("(3ccc", 12),
    "ties": ("c-", 8),
    "lengths": ("c3/2", 4),
    "rests": ("z/4", 2),
    "overlays": ("cc&d|", 18),
    "keys": ("[K:D]c", 6),
    "meters": ("[M:3/4]c", 8),
    "voices": ("[V:1]c[V:2]d", 6),
    "decorations, words, grace notes": ('!a!c"G"c{d}c+a+c.c~c', 7),
    "comments": ("c%\n", 12),
    "repeats": ("|:c:|", 7),
    "tunes": ("\n\nX:\nK:C\nc", 9),
}


@pytest.mark.parametrize("what", WORK)
def test_the_work_for_a_byte_is_bounded(what: str) -> None:
    unit, most = WORK[what]
    text = HEAD + unit * (4000 // len(unit))
    assert calls(lambda: parsing.tune_elements(text, "all")) <= most * len(text)


@pytest.mark.parametrize("keep", slow_but({"all"}, ["none", "all"], "makes fewer elements of the same notes"))
def test_elements_of_a_note_for_each_byte_are_within_the_bound(tmp_path: Path, keep: str) -> None:
    path = tmp_path / "a.abc"
    path.write_text('X:1\nK:C\n"' + "A" * _SIZE, encoding="latin-1")
    tracemalloc.start()
    found = parsing.parse(path, "events", keep)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not isinstance(found, str)
    assert sum(element.startswith("n") for element in found[0]) == _SIZE
    assert peak <= 64 * _SIZE + 2**24


def test_tunes_that_are_too_long_together_are_named() -> None:
    tune = f"{HEAD}{'z9999' * 9}c\n\n"
    assert len(music.decode(tune * 11, notation="abc").notes) == 11
    with pytest.raises(AbcError, match="expected tunes of at most 1,000,000 quarters together, found more"):
        music.decode(tune * 12, notation="abc")


def test_a_file_of_abc_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    with path.open("wb") as file:
        file.truncate(abc_notation.MAX_ABC + 1)
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="expected at most 16,777,216"):
        music.read_pieces(path, cache=False)


@given(st.text("ABcg^_=',/23|:[]()\"{}!-><&zZXKVLM \n%\\", max_size=200))
def test_any_text_is_a_tune_or_named(text: str) -> None:
    for tune in read_abc(HEAD + text):
        assert tune.notes == sorted(tune.notes)
        assert all(0 <= note.pitch <= 127 and note.start >= 0 and note.duration > 0 for note in tune.notes)


# -- out -------------------------------------------------------------------------------------------

grid_notes = st.tuples(st.integers(0, 400), st.integers(1, 150), st.integers(0, 127)).map(lambda n: GridNote(*n))
meters = st.lists(st.builds(Meter, st.integers(0, 15), st.integers(1, 16), st.sampled_from([1, 2, 4, 8, 16, 32])))


@settings(max_examples=300)
@given(st.lists(grid_notes, min_size=1, max_size=25), meters)
def test_notes_to_abc_and_back(drawn: list[GridNote], signs: list[Meter]) -> None:
    notes = tidy(drawn)
    text = abc_file([note.note for note in notes], meters=sorted(signs)).decode()
    back = [note._replace(track=1) for note in grid(notes_of(text))]
    assert sorted(back) == sorted(notes), text


def test_tempo_meter_and_tracks_come_back(tmp_path: Path) -> None:
    notes = [Note(i, 1, 60 + i, track=1 + i % 2) for i in range(8)]
    meters = [Meter(0, 3, 4), Meter(3, 6, 8)]
    Music(notes, tempos=[Tempo(0, 72)], meters=meters).write(tmp_path / "a.abc")
    (tune,) = read_abc((tmp_path / "a.abc").read_bytes())
    assert (tune.notes, tune.tempos, tune.meters) == (notes, [Tempo(0, 72)], meters)
    (piece,) = music.read_pieces(tmp_path / "a.abc", keep="tempo,meter,tracks", cache=False).pieces
    assert {"b72", "m3/4", "m6/8", "k2"} <= set(piece)
    assert music.decode(piece).notes == notes


@pytest.mark.parametrize(
    ("field", "bpm"), [("1/4=90", 90), ('"Allegro" 3/8=60', 90), ("1/8 1/8=90", 90), ("1/2=40", 80), ("1/1=999", None)]
)
def test_a_tempo_is_in_quarters(field: str, bpm: float | None) -> None:
    (tune,) = read_abc(f"X:1\nQ:{field}\nK:C\nc")
    assert [tempo.bpm for tempo in tune.tempos] == ([] if bpm is None else [bpm])


def read_by_music21(text: str) -> list[Note]:
    from lstmgen.music.parsing import _score_piece
    from lstmgen.music.scores import music21

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _score_piece(music21("music21.converter").parseData(text, format="abc")).notes


# What music21 9.9 reads rightly: it knows no ties of chords, and no octaves beyond four marks.
lengths = st.sampled_from([3, 6, 9, 12, 18, 24, 36, 48, 96, 8, 16])
melodies = st.lists(st.tuples(lengths, st.lists(st.integers(36, 95), max_size=1)), min_size=1, max_size=30)


@needs_music21
@settings(max_examples=60, deadline=None)
@given(melodies)
def test_music21_reads_the_same_notes(sounds: list[tuple[int, list[int]]]) -> None:
    notes, now = [], 0
    for length, chord in sounds:
        notes += [GridNote(now, length, pitch) for pitch in chord]
        now += length
    if notes:
        text = abc_file([note.note for note in notes]).decode()
        assert sorted(map(GridNote.of, read_by_music21(text))) == sorted(notes), text


def test_a_tune_is_written_as_musicians_write_it(tmp_path: Path) -> None:
    scale = [Note(i / 2, 0.5, pitch) for i, pitch in enumerate([62, 64, 66, 67, 69, 71, 73, 69])]
    more = [
        Note(4, 0.5, 60),
        Note(5, 1 / 3, 74),
        Note(5 + 1 / 3, 1 / 3, 73),
        Note(5 + 2 / 3, 1 / 3, 71),
        Note(6, 4, 62),
    ]
    Music(scale + more).write(tmp_path / "tune.abc", bpm=90)
    assert (tmp_path / "tune.abc").read_text().splitlines() == [
        *("X:1", "T:Untitled", "M:4/4", "L:1/8", "Q:1/4=90", "K:D"),
        "DE FG AB cA|=Cz (3d^cB D4-|D4|",
    ]


@pytest.mark.parametrize(
    ("pitches", "key"),
    [([60, 64, 67, 65, 71], "C"), ([69, 71, 72, 74, 76, 77, 79, 69], "Am"), ([65, 70, 69, 67, 72, 74, 76], "F")],
)
def test_the_key_has_most_of_the_notes(pitches: list[int], key: str) -> None:
    text = abc_file([Note(i, 1, pitch) for i, pitch in enumerate(pitches)]).decode()
    assert f"K:{key}\n" in text
    assert not set("^_=") & set(text.split("K:")[1])


def test_notes_that_overlap_are_in_voices() -> None:
    text = abc_file([Note(0, 1, 60), Note(0, 1, 64), Note(0, 2, 48), Note(1, 1, 62)]).decode()
    assert text.split("K:C\n")[1] == "V:1\n[CE]2 D2|\nV:2\nC,4|\n"


def test_the_text_of_tunes_has_no_comments() -> None:
    assert tunes_of("%a\nX:1 % b\nK:C\nc|\n\nX:2\nK:D\nd|") == ["X:1\nK:C\nc|", "X:2\nK:D\nd|"]


# -- a network of tunes ----------------------------------------------------------------------------

FOLK = """X: 4
T:A jig
S:mine
M:6/8
L:1/4
K:G
P:A
d/|"G"gd/ B/c/d/|[1 "Am"[c3e3] :|[2 G3 ||\\
K:D
P:B
(3d/e/f/ z>a :|
"""


def test_a_tune_is_learnt_by_what_sounds() -> None:
    plain = abc_notation.plain(FOLK)
    assert plain.splitlines() == [
        *("X:1", "M:6/8", "L:1/8", "K:G", 'd|"G"g2d Bcd|[1 "Am"[c6e6]:|[2 G6||[K:D](3def z2>a2:|')
    ]
    (mine,), (learnt,) = read_abc(FOLK), read_abc(plain)
    assert (mine.notes, mine.meters) == (learnt.notes, learnt.meters)
    assert abc_notation.plain("X:1\nK:C\n") == ""


def test_tunes_are_a_corpus(tmp_path: Path) -> None:
    from lstmgen.training.tasks import corpus

    (tmp_path / "a.abc").write_text(f"{FOLK}\n{HEAD}c2\n\n{HEAD}d2\n")
    (tmp_path / "b.abc").write_text(f"{HEAD}e2\n")
    (tmp_path / "c.txt").write_text("no tune")
    with pytest.warns(UserWarning, match=r"c\.txt: --abc: expected a tune|c\.txt: abc: expected a tune"):
        text = corpus.read([tmp_path], abc=True).text
    tunes = text.split("\n\n")
    assert sorted(tunes[:3]) == sorted(abc_notation.plain(tune) for tune in (FOLK, f"{HEAD}c2", f"{HEAD}d2"))
    assert tunes[3:] == [abc_notation.plain(f"{HEAD}e2"), ""]


def test_a_model_of_tunes_is_measured_on_what_sounds(tmp_path: Path) -> None:
    from lstmgen.evaluation import evaluate

    tune = FOLK.replace(">", "2")  # no tune of the data has broken rhythms
    (tmp_path / "tunes.abc").write_text(f"{tune}W: words that no network of tunes knows: \u00e9\n")
    found = {row.name: row.data for row in evaluate("folk", tmp_path / "tunes.abc", samples=0).rows}
    assert found["characters"] == len(abc_notation.plain(tune)) + 2
    assert found["characters that the model does not know"] == 0


def test_a_text_of_tunes_is_music() -> None:
    tunes = music.decode(list(f"{HEAD}cd\n\n{HEAD}[M:3/4]e\n\n"), notation="abc")
    assert tunes.notes == [Note(0, 1, 72), Note(1, 1, 74), Note(2, 1, 76)]
    assert tunes.meters == [Meter(0, 4, 4), Meter(2, 3, 4)]
    with pytest.raises(AbcError, match="expected a tune"):
        music.decode("cde", notation="abc")
