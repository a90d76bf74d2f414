"""`lstmgen play`: what its keys and commands do to the text, and what is on the screen."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.arguments import Flag, Text
from lstmgen.binfile import writer
from lstmgen.cli import main as cli
from lstmgen.cli import playing
from lstmgen.cli.playing import NoteSession, Piece, Session, Turns
from lstmgen.heads import Head, to_card
from lstmgen.music import Music, Note, NoteGenerator, TimedNote, audio
from lstmgen.music.terminal_roll import roll
from lstmgen.network import Layer, Network
from lstmgen.options import TABLE, Option, worded
from lstmgen.shades import BITS, SHADES, ansi, shade
from support.networks import network, packed

pytest.importorskip("prompt_toolkit", reason="needs prompt_toolkit: pip install 'lstmgen[play]'")

from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from lstmgen.cli.play import Screen, wrapped

EVENTS = ["d12", "n60", "t12", "n64", "n67"]


@pytest.fixture
def session() -> Session:
    return Session(lstmgen.Generator(packed()), {"temp": 0.7, "seed": 3})


@pytest.fixture
def musical() -> Session:
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    return Session(lstmgen.Generator(packed(of, vocabulary=EVENTS, vocabulary_kind="tokens")), {"seed": 3})


@pytest.fixture
def notes() -> NoteSession:
    return NoteSession(NoteGenerator(three_heads()), {"seed": 3})


def three_heads() -> bytes:
    """A .bin that puts out a pitch, a step and a duration, and reads windows of 4 notes."""
    rng = np.random.default_rng(1)
    size = 130
    arrays = {name: rng.normal(0, 0.3, (rows, size)).astype("f4") for name, rows in (("kernel", 3), ("bias", 1))}
    arrays |= {"recurrent_kernel": rng.normal(0, 0.1, (size, size)).astype("f4"), "bias": arrays["bias"][0]}
    layer = Layer("simple_rnn", "note", {"units": size, "activation": "linear", "return_sequences": False}, arrays)
    parts = [Head("pitch", 128, "logits", 128), Head("step", 1, "number", 1), Head("duration", 1, "number", 1)]
    card = json.dumps({"heads": to_card(parts)})
    return writer.pack(Network((layer,), 4, 3, ""), encoding="features", card=card)


def draw(session: Turns[Any], count: int) -> str:
    """Draw elements; return their text."""
    before = len(session.text())
    for _ in range(count):
        session.step()
    return session.text()[before:]


# -- turns -----------------------------------------------------------------------------------------


def test_a_prime_is_continued_as_sample_does(session: Session) -> None:
    session.type("abcd")
    assert session.pieces == [Piece("abcd")]
    want = lstmgen.Generator(packed()).sample(30, 0.7, prime="abcd", seed=3)
    assert draw(session, 30) == want


def test_each_piece_has_the_probability_with_which_it_was_drawn(session: Session) -> None:
    gen = session.generator
    session.type("abcd")
    draw(session, 3)
    context = "abcd"
    for piece in session.pieces[1:]:
        at = gen.model.vocabulary.ids[piece.text]  # type: ignore[union-attr]
        assert piece.probability == pytest.approx(gen.probabilities(context, 0.7)[at])
        context += piece.text


def test_an_empty_prime_is_that_of_the_model(session: Session) -> None:
    session.type("")
    model = session.model
    assert session.text() == model.vocabulary.decode(model.prime)  # type: ignore[union-attr]
    assert draw(session, 30) == session.generator.sample(30, 0.7, seed=3)


def test_what_the_user_types_is_read_by_the_model(session: Session) -> None:
    stream = session.generator.stream(None, 0.7, prime="abcd", seed=3)
    session.type("abcd")
    draw(session, 5)
    session.type("fgh")
    want = stream.take(5)
    stream.feed("fgh")
    assert draw(session, 20) == stream.take(20)
    assert session.text().startswith(f"abcd{want}fgh")


def test_a_text_that_the_model_does_not_know_changes_nothing(session: Session) -> None:
    with pytest.raises(ValueError, match="'Z'"):
        session.type("Z")
    assert (session.pieces, session.stream) == ([], None)
    session.type("abc")
    text, pieces = draw(session, 3), list(session.pieces)
    with pytest.raises(ValueError, match="'Z'"):
        session.type("aZ")
    assert (session.pieces, len(text)) == (pieces, 3)
    assert session.undo()
    assert not session.undo()


def test_undo_takes_back_a_turn_and_the_random_numbers_too(session: Session) -> None:
    session.type("abcd")
    draw(session, 5)
    before = session.text()
    session.type("fgh")
    first = draw(session, 20)
    assert session.undo()
    assert session.text() == before
    session.type("fgh")
    assert draw(session, 20) == first
    assert session.undo()
    assert session.undo()
    assert session.pieces == []
    assert not session.undo()


def test_undo_keeps_the_options_as_they_are_now(session: Session) -> None:
    session.type("abcd")
    session.type("fgh")
    session.set("temp", 0.25)
    session.set("top_k", 2)
    session.undo()
    assert session.stream is not None
    assert (session.stream.temp, session.stream.top_k) == (0.25, 2)
    session.set("top_k", None)
    assert session.stream.top_k is None


def test_retry_draws_the_turn_again_with_another_seed(session: Session) -> None:
    session.type("abcd")
    first = draw(session, 30)
    assert session.retry()
    assert session.text() == "abcd"
    again = draw(session, 30)
    assert again != first
    assert session.seed != 3
    assert session.command("/retry 3") == "again with the seed 3"
    assert draw(session, 30) == first


def test_without_a_turn_there_is_nothing_to_undo_or_retry(session: Session) -> None:
    assert session.command("/undo") == "there is nothing to undo"
    assert session.command("/retry") == "there is nothing to draw again"


def test_a_stop_text_ends_a_turn_and_enter_goes_on(session: Session) -> None:
    session.command("/stop e")
    session.type("abcd")
    while session.step():
        pass
    assert session.text().endswith("e")
    assert session.text().count("e") == 1
    session.go()
    while session.step():
        pass
    assert session.text().count("e") == 2


def test_a_turn_has_a_length(session: Session) -> None:
    session.command("/length 7")
    session.type("abcd")
    assert len(draw(session, 50)) == 7
    session.go()
    assert len(draw(session, 50)) == 7


def test_a_model_without_a_vocabulary_is_played_with_ids() -> None:
    session = Session(lstmgen.Generator(packed(vocabulary=None, prime=None)), {"seed": 1})
    session.type("1 2 3")
    draw(session, 3)
    assert re.fullmatch(r"1 2 3( \d+){3}", session.text())


# -- options ---------------------------------------------------------------------------------------


def test_an_option_counts_from_the_next_element_on(session: Session) -> None:
    stream = session.generator.stream(None, 0.7, prime="abcd", seed=3)
    session.type("abcd")
    want = stream.take(5)
    stream.update(temp=0.2, top_p=0.9)
    assert draw(session, 5) == want
    assert session.command("/temp 0.2") == "temp 0.2"
    session.command("/top-p 0.9")
    assert draw(session, 20) == stream.take(20)


def test_values_are_read_as_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gbnf").write_text('root ::= "a"')
    file = Option(Text("a grammar", (str,), metavar="FILE"), "A grammar.", changes=True)
    flag = Option(Flag(), "A flag.", default=True, changes=True)
    monkeypatch.setattr(playing, "TABLE", {**TABLE, "grammar_of_a_test": file, "flag_of_a_test": flag})
    assert playing.parsed("grammar_of_a_test", str(tmp_path / "a.gbnf")) == 'root ::= "a"'
    assert playing.parsed("grammar_of_a_test", "own") == "own"
    assert playing.parsed("grammar_of_a_test", "off") is None
    with pytest.raises(FileNotFoundError):
        playing.parsed("grammar_of_a_test", "missing.gbnf")
    assert playing.parsed("flag_of_a_test", "off") is False
    assert playing.parsed("flag_of_a_test", "on") is True
    assert playing.parsed("temp", "off") is None
    with pytest.raises(ValueError, match="expected on or off"):
        playing.parsed("flag_of_a_test", "maybe")


def test_a_new_seed_draws_the_turn_again(session: Session) -> None:
    session.type("abcd")
    draw(session, 10)
    session.command("/seed 9")
    assert draw(session, 30) == session.generator.sample(30, 0.7, prime="abcd", seed=9)


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if entry.flag])
def test_each_option_of_the_table_is_a_command(session: Session, name: str) -> None:
    word = name.replace("_", "-")
    if name in session.names():
        meaning = worded(TABLE[name].meaning, lambda other: other.replace("_", "-"))
        assert meaning in session.command(f"/{word}")
        assert meaning == session.command(f"/help {word}")
    else:
        with pytest.raises(ValueError, match="no such command"):
            session.command(f"/{word}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/tmep 3", "did you mean 'temp'"),
        ("/temp hot", "temp: expected a number >= 0, found 'hot'"),
        ("/temp -1", "temp: expected a number >= 0, found -1"),
        ("/top-p 2", r"top_p: expected a number in \(0, 1\]"),
        ("/ban Z", "'Z'"),
        ("/save", "give a name"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_wrong_command_says_what_is_wrong_and_changes_nothing(
    session: Session, line: str, message: str, begun: bool
) -> None:
    if begun:
        session.type("abcd")
    before = dict(session.options)
    with pytest.raises(ValueError, match=message):
        session.command(line)
    assert session.options == before


def test_arrows_change_numbers_within_their_range(session: Session) -> None:
    session.nudge("temp", up=True)
    assert session.value("temp") == 0.75
    session.set("temp", 0.0)
    session.nudge("temp", up=False)
    assert session.value("temp") == 0.0
    session.nudge("top_p", up=True)
    assert session.value("top_p") is None
    session.nudge("top_p", up=False)
    assert session.value("top_p") == 0.95
    session.nudge("top_p", up=True)
    assert session.value("top_p") is None  # all of it is the same as off
    session.nudge("top_k", up=True)
    assert session.value("top_k") == 2
    session.nudge("seed", up=True)
    assert session.seed == 4


# -- saving ----------------------------------------------------------------------------------------


def test_save_writes_the_text_and_no_file_twice(session: Session, tmp_path: Path) -> None:
    session.type("abcd")
    draw(session, 5)
    path = tmp_path / "out.txt"
    assert session.command(f"/save {path}") == f"saved as {path}"
    assert path.read_text() == session.text()
    with pytest.raises(ValueError, match="it exists"):
        session.command(f"/save {path}")
    with pytest.raises(ValueError, match=r"a \.mid file does not hold"):
        session.command(f"/save {tmp_path / 'out.mid'}")


def test_save_writes_music(musical: Session, tmp_path: Path) -> None:
    musical.type("d12 n60 t12")
    draw(musical, 40)
    musical.command(f"/save {tmp_path / 'out.mid'}")
    assert (tmp_path / "out.mid").read_bytes().startswith(b"MThd")
    musical.command(f"/save {tmp_path / 'out.txt'}")
    assert (tmp_path / "out.txt").read_text().split() == musical.text().split()
    assert lstmgen.music.decode(musical.text().split()).notes == musical.music().notes


# -- notes with several heads ----------------------------------------------------------------------


def test_notes_are_those_of_sample(notes: NoteSession) -> None:
    notes.type("")
    draw(notes, 10)
    assert notes.notes() == NoteGenerator(three_heads()).sample(10, seed=3)
    assert all(piece.probability is not None and 0 < piece.probability < 1 for piece in notes.pieces)


def test_notes_are_typed_by_name_with_their_seconds(notes: NoteSession, tmp_path: Path) -> None:
    notes.type("C4/0/0.5 Eb4.G4")
    typed = [TimedNote(60, 0, 0.5), TimedNote(63, 0.5, 0.5), TimedNote(67, 0, 0.5)]
    assert notes.text() == "C4/0.00/0.50 Eb4/0.50/0.50 G4/0.00/0.50"
    draw(notes, 5)
    assert notes.notes() == [*typed, *NoteGenerator(three_heads()).sample(5, prime=typed, seed=3)]


def test_a_midi_file_is_typed_by_its_name(notes: NoteSession, tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="music21 reads MIDI: pip install 'lstmgen[music]'")
    Music([Note(0, 1, 60), Note(1, 1, 64)]).write(tmp_path / "prime.mid")
    notes.type(str(tmp_path / "prime.mid"))
    assert [note.pitch for note in notes.notes()] == [60, 64]


@pytest.mark.parametrize("typed", ["H4", "C4/x", "C4/1/1/1", "C4/-1", "C99", "no.mid"])
def test_what_is_no_note_changes_nothing(notes: NoteSession, typed: str) -> None:
    notes.type("C4")
    draw(notes, 3)
    before = notes.text()
    with pytest.raises(ValueError, match="expected a note such as C4"):
        notes.type(f"C4 {typed}")
    assert notes.text() == before


def test_undo_and_retry_take_notes_back(notes: NoteSession) -> None:
    notes.type("C4")
    first = draw(notes, 8)
    notes.type("E4")
    draw(notes, 4)
    assert notes.undo()
    assert notes.text() == f"C4/0.50/0.50{first}"
    notes.go()
    assert draw(notes, 4) == draw_after(8, 4)
    assert notes.retry(7)
    assert draw(notes, 8) != first
    assert notes.retry(3)
    assert draw(notes, 8) == first


def draw_after(skipped: int, count: int) -> str:
    """What comes after `skipped` notes, as it is shown."""
    again = NoteSession(NoteGenerator(three_heads()), {"seed": 3})
    again.type("C4")
    draw(again, skipped)
    return draw(again, count)


def test_the_temperature_of_notes_holds_from_the_next_note_on(notes: NoteSession) -> None:
    assert notes.names() == ["length", "temp", "seed"]
    notes.type("C4")
    draw(notes, 2)
    notes.command("/temp 0")
    draw(notes, 3)
    assert [piece.probability for piece in notes.pieces[-3:]] == [1, 1, 1]
    with pytest.raises(ValueError, match="temp"):
        notes.command("/temp -1")
    with pytest.raises(ValueError, match="no such command"):
        notes.command("/top-p 0.5")


def test_notes_are_a_roll_and_are_saved_as_music(notes: NoteSession, tmp_path: Path) -> None:
    notes.type("C4 E4 G4")
    screen = Screen(notes, "notes.bin", rate=0, coloured=False, mute=True)
    shown = "".join(text for _, text in screen.body(60, 20))
    assert "\u2580" in shown or "\u2584" in shown  # halves of a cell
    assert "C4/0.50/0.50 E4/0.50/0.50 G4/0.50/0.50" in shown
    assert screen.knobs() == ["temp", "seed"]
    notes.command(f"/save {tmp_path / 'out.mid'}")
    assert (tmp_path / "out.mid").read_bytes().startswith(b"MThd")
    notes.command(f"/save {tmp_path / 'out.txt'}")
    assert (tmp_path / "out.txt").read_text() == f"{notes.text()}\n"


# -- the screen ------------------------------------------------------------------------------------


def test_likely_elements_have_no_shade_and_surprising_ones_do(session: Session) -> None:
    shown = [shade(2.0**-bits) for bits in (0, *(b + 0.01 for b in BITS))]
    assert shown == [None, *SHADES]
    assert ansi("a\nb", 0.001) == "\x1b[38;5;16;48;5;203ma\x1b[0m\n\x1b[38;5;16;48;5;203mb\x1b[0m"
    session.pieces += [Piece("a", 0.9), Piece("b", 0.001)]
    screen = Screen(session, "m", rate=0, coloured=True, mute=True)
    assert screen.body(20, 5) == [("", "a"), ("fg:black bg:#ff5f5f", "b")]
    screen = Screen(session, "m", rate=0, coloured=False, mute=True)
    assert screen.body(20, 5) == [("", "a"), ("", "b")]


def test_what_a_model_writes_commands_no_terminal() -> None:
    lines = wrapped([Piece("a\x1b[2Jb\r\u202e", 0.5)], 80)
    assert "".join(piece.text for piece in lines[0]) == r"a\x1b[2Jb\r\u202e"


def test_wide_characters_take_two_columns() -> None:
    lines = wrapped([Piece("ab\u4e2d\u6587")], 4)
    assert ["".join(piece.text for piece in line) for line in lines] == ["ab\u4e2d", "\u6587"]


def test_the_screen_shows_the_end_and_scrolls_back(session: Session) -> None:
    session.pieces = [Piece(f"{i}\n") for i in range(50)]
    screen = Screen(session, "m", rate=0, coloured=True, mute=True)

    def shown() -> str:
        return "".join(text for _, text in screen.body(20, 4))

    assert shown() == "47\n48\n49\n"
    screen.scrolled = 10
    assert shown() == "37\n38\n39\n40".replace("40", "40")
    screen.scrolled = 1000
    assert shown().startswith("0\n1\n")


def test_the_piano_roll_has_two_pitches_in_a_line() -> None:
    notes = [Note(0, 0.5, 60), Note(0.5, 0.5, 61), Note(1, 0.5, 60), Note(1, 0.5, 61)]
    (line,) = roll(notes, 12, 5)
    assert "".join(cell.text for cell in line) == "C#4 ▄▄▀▀▀▀  "
    assert line[6].background is None or line[5].background is not None
    assert roll([], 80, 20) == []
    assert len(roll([Note(0, 1, 20), Note(0, 1, 100)], 80, 5)) == 5
    long = roll([Note(0, 1, 60), Note(100, 1, 62)], 20, 5)  # the end is what is shown
    assert sum(cell.text == "▀" for line in long for cell in line) == 4


def test_music_is_shown_as_a_roll_above_its_elements(musical: Session) -> None:
    musical.type("d12 n60 t12 n64")
    text = "".join(text for _, text in Screen(musical, "m", rate=0, coloured=True, mute=True).body(60, 12))
    assert "E4 " in text
    assert "▀" in text
    assert text.endswith("d12 n60 t12 n64")


Use = Callable[[Screen, Any, Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]], Coroutine[Any, Any, None]]


def used(session: Session, use: Use, **options: Any) -> Screen:
    """Run the screen with keys that `use` sends; it may wait until something holds."""
    screen = Screen(session, "m", **({"rate": 0.0, "coloured": True, "mute": True} | options))

    async def until(holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end, screen.message
            await asyncio.sleep(0.01)

    async def main(keys: Any) -> None:
        application = screen.application(input=keys, output=DummyOutput())
        running = asyncio.ensure_future(application.run_async())
        await use(screen, keys, until)
        keys.send_text("\x03")
        await asyncio.wait_for(running, 20)

    with create_pipe_input() as keys:
        asyncio.run(main(keys))
    return screen


def test_a_long_message_is_shown_in_several_lines(session: Session) -> None:
    screen = Screen(session, "m.bin", rate=0, coloured=False, mute=True)
    shown = io.StringIO()

    async def main(keys: Any) -> None:
        output = Vt100_Output(shown, lambda: Size(rows=24, columns=60))
        running = asyncio.ensure_future(screen.application(input=keys, output=output).run_async())
        keys.send_text("/help\r")
        end = time.monotonic() + 20
        while "nknown" not in shown.getvalue() and time.monotonic() < end:
            await asyncio.sleep(0.01)
        keys.send_text("\x03")
        await asyncio.wait_for(running, 20)

    with create_pipe_input() as keys:
        asyncio.run(main(keys))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\s", "", shown.getvalue())
    assert "/stop/on-unknown" in text  # the end of the list of commands


def test_keys_play(session: Session) -> None:
    async def use(screen: Screen, keys: Any, until: Any) -> None:
        keys.send_text("/length 40\r")
        await until(lambda: session.value("length") == 40)
        keys.send_text("abcd\r")
        await until(lambda: len(session.pieces) == 41)
        keys.send_text("\x1b[A\x1b[A")  # up, up
        await until(lambda: session.value("temp") == 0.8)
        keys.send_text("\x1b[C\x1b[B")  # right to top-p, down
        await until(lambda: session.value("top_p") == 0.95)
        keys.send_text("\r")  # goes on
        await until(lambda: len(session.pieces) == 81)
        keys.send_text("\x1a")  # Ctrl-Z
        await until(lambda: not session.pieces)
        keys.send_text("/nonsense\r")
        await until(lambda: screen.message.startswith("/nonsense: no such command"))

    screen = used(session, use)
    text = "".join(text for _, text in screen.status())
    assert " temp 0.8 " in text
    assert " seed 3 " in text


def test_enter_pauses_and_options_change_while_it_draws(session: Session) -> None:
    async def use(screen: Screen, keys: Any, until: Any) -> None:
        keys.send_text("abcd\r")
        await until(lambda: len(session.pieces) > 3)
        keys.send_text("/temp 0.1\r")
        await until(lambda: session.stream is not None and session.stream.temp == 0.1)
        assert session.drawing
        keys.send_text("\r")
        await until(lambda: screen.message == "paused: Enter goes on")
        count = len(session.pieces)
        await asyncio.sleep(0.2)
        assert len(session.pieces) == count

    used(session, use, rate=40.0)


def player(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a line of shell stand for the program that plays sound."""
    program = folder / "aplay"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(audio, "_PLAYERS", {"aplay": ["-q"]})


def test_a_turn_of_music_is_played_by_the_program_of_the_system(
    musical: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player(f'cp "$2" {tmp_path}/heard.wav', tmp_path, monkeypatch)
    musical.set("length", 20)

    async def use(screen: Screen, keys: Any, until: Any) -> None:
        keys.send_text("d12 n60 t12\r")
        await until(lambda: (tmp_path / "heard.wav").exists() and screen._sound is None)

    used(musical, use, mute=False)
    assert (tmp_path / "heard.wav").read_bytes().startswith(b"RIFF")


def test_a_device_that_fails_is_said_once(musical: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player("echo no such device >&2; exit 1", tmp_path, monkeypatch)
    musical.set("length", 20)

    async def use(screen: Screen, keys: Any, until: Any) -> None:
        keys.send_text("d12 n60 t12\r")
        await until(lambda: screen.message == "no sound: no such device")
        assert screen.mute

    used(musical, use, mute=False)


# -- the command -----------------------------------------------------------------------------------


def test_without_a_terminal_it_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    assert cli.main(["play", str(tmp_path / "m.bin")]) == 1
    assert "expected a terminal" in capsys.readouterr().err


def test_on_a_terminal_without_a_cursor_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.bin").write_bytes(packed())
    monkeypatch.setenv("TERM", "dumb")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert cli.main(["play", str(tmp_path / "m.bin")]) == 1
    assert "expected a terminal that can move its cursor, found TERM=dumb" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_on_a_terminal(tmp_path: Path) -> None:
    import pty
    import select
    import subprocess

    (tmp_path / "m.bin").write_bytes(packed())
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "lstmgen", "play", str(tmp_path / "m.bin"), "--prime", "abcd", "-n", "30", "-s", "7"]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [*argv, "--speed", "0"], stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environment
    )
    os.close(slave)
    seen = b""
    end = time.monotonic() + 60
    while time.monotonic() < end and select.select([master], [], [], 60 if not seen else 2)[0]:
        seen += os.read(master, 65536)  # until nothing moves
    os.write(master, b"\x03")
    while time.monotonic() < end and select.select([master], [], [], 20)[0]:
        try:
            seen += os.read(master, 65536)
        except OSError:  # it is over
            break
    assert process.wait(30) == 0
    want = lstmgen.Generator(packed()).sample(30, prime="abcd", seed=7)
    assert f"abcd{want}" in seen.decode().replace("\r\n", "\n")  # it stays on the terminal
    assert process.stderr is not None
    assert process.stderr.read().decode() == "seed 7: --seed 7 draws the same after the same prime\n"
    process.stderr.close()
    os.close(master)
