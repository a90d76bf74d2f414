"""`lstmgen play`: a user and a model write a text or music in turns.

This module has the screen and its keys. `playing.py` has what they do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import lstmgen
from lstmgen.arguments import Number
from lstmgen.cli.playing import NoteSession, Piece, Session, Turns, of_file
from lstmgen.cli.sample import add_option, check_options_of_notes
from lstmgen.cli.streams import MODEL_HELP, file_name
from lstmgen.cli.terminal import colours, say
from lstmgen.escaping import printable, shown
from lstmgen.music import NoteGenerator, audio
from lstmgen.music.terminal_roll import roll
from lstmgen.options import TABLE, recommended
from lstmgen.shades import BITS, SHADES, shade

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

Fragments = list[tuple[str, str]]

_FLAGS = ("temp", "top_k", "top_p", "min_p", "seed", "length", "grammar")  # options that are flags of the command
_KNOBS = ("temp", "top_p", "top_k", "seed")  # options that the arrows change, beside those that were set
_RATE = 40.0  # elements a second
_AT_ONCE = 0.05  # seconds of drawing after which keys are read
_KEPT = 8000  # the last elements, which the screen can show
_MOST_LINES = 9  # of a message, the options or the keys on a narrow terminal
_WELCOME = "type a prime and press Enter, or press Enter for the model's own; /help lists the commands"
_WELCOME_NOTES = "type notes such as C4 E4/0.5/0.25 or a MIDI file, or press Enter alone; /help lists the commands"
_KEYS = "Enter go/pause  \u2190\u2192 choose \u2191\u2193 change  ^Z undo  ^R retry  PgUp/Dn  ^C quit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=file_name, help=MODEL_HELP.partition(";")[0])
    for name in _FLAGS:
        if name in TABLE:
            add_option(parser, name, TABLE[name])
    parser.add_argument("--prime", metavar="TEXT", help="text to begin with (default: what is typed)")
    parser.add_argument(
        "--speed",
        type=float,
        default=_RATE,
        metavar="X",
        help=f"elements to draw in a second; 0: as many as possible (default: {_RATE:g})",
    )
    parser.add_argument("--mute", action="store_true", help="play no sound of music")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    try:
        import prompt_toolkit  # noqa: F401
    except ImportError:
        raise ImportError("play needs prompt_toolkit: pip install 'lstmgen[play]'") from None
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise ValueError("play: expected a terminal as stdin and stdout; lstmgen sample writes to files and pipes")
    if os.environ.get("TERM") in ("dumb", "unknown"):
        kind = os.environ["TERM"]
        raise ValueError(f"play: expected a terminal that can move its cursor, found TERM={kind}: use lstmgen sample")
    model = lstmgen.Model(args.model)
    options = {name: value for name in _FLAGS if (value := getattr(args, name, None)) is not None}
    for name in options:
        if TABLE[name].values.metavar == "FILE":
            options[name] = of_file(options[name])
    options = recommended(model.metadata["card"], options) | options
    Number(0, 1e6).check("speed", args.speed)
    session: Turns[Any]
    if model.heads:
        check_options_of_notes(args.model, options)
        session = NoteSession(NoteGenerator(model), options)
    else:
        session = Session(lstmgen.Generator(model), options)
    screen = Screen(session, args.model, rate=args.speed, coloured=colours(sys.stdout), mute=args.mute)
    if args.prime is not None:
        screen.enter(args.prime)
    screen.application().run()
    if session.pieces:  # the terminal no longer shows the screen
        print("".join(_lines_of(session)))
    say(f"seed {session.seed}: --seed {session.seed} draws the same after the same prime")


class Screen:
    """The screen, and what the keys do.

    session: the text and the model.
    name: the name of the model.
    rate: elements to draw in a second. 0: as many as possible.
    coloured: whether to shade elements.
    mute: whether music is silent.
    """

    def __init__(self, session: Turns[Any], name: str, *, rate: float, coloured: bool, mute: bool) -> None:
        self.session = session
        self.name = name
        self.rate = rate
        self.coloured = coloured
        self.mute = mute
        self.message = _WELCOME_NOTES if isinstance(session, NoteSession) else _WELCOME
        self.knob = 0
        self.scrolled = 0  # lines that are hidden at the end
        self._sound: audio.Playing | None = None
        self._heard = 0  # pieces that have been played

    def __repr__(self) -> str:
        return f"<lstmgen.cli.play.Screen of {self.session!r}>"

    # -- what the keys do --------------------------------------------------------------------------

    def enter(self, line: str) -> bool:
        """Take a line that was typed: a command, text, or nothing. Returns False to quit."""
        self.scrolled = 0
        try:
            if line.strip() in ("/quit", "/exit"):
                return False
            if line.startswith("//"):  # a text that begins with a slash
                self._type(line[1:])
            elif line.startswith("/speed"):
                self._set_speed(line.removeprefix("/speed").strip())
            elif line.strip() in ("/listen", "/hush"):
                self._listen(line.strip() == "/listen")
            elif line.startswith("/"):
                self.message = self.session.command(line)
            elif line or self.session.stream is None:
                self._type(line)
            elif self.session.drawing:
                self.session.drawing, self.message = False, "paused: Enter goes on"
            else:
                self.session.go()
                self.message = ""
        except (ValueError, TypeError, OSError, ImportError) as error:
            self.message = " ".join(str(error).split())
        return True

    def do(self, what: str) -> None:
        """Run a command, which is given without its slash."""
        self.enter(f"/{what}")

    def turn(self, up: bool) -> None:
        """Change the chosen option by one step."""
        name = self.knobs()[self.knob]
        try:
            self.session.nudge(name, up)
            self.message = ""
        except (ValueError, TypeError) as error:
            self.message = str(error)

    def choose(self, by: int) -> None:
        """Choose the option that the arrows change."""
        self.knob = (self.knob + by) % len(self.knobs())

    def knobs(self) -> list[str]:
        """Return the options on the screen: the usual ones, and those that were set."""
        names = [name for name in (*_KNOBS, "grammar") if name in self.session.names()]
        return [*names, *(name for name in self.session.options if name not in names and name != "length")]

    def _type(self, text: str) -> None:
        self.session.type(text)
        self.message = ""

    def _set_speed(self, text: str) -> None:
        if text:
            self.rate = 0.0 if text in ("max", "off") else float(text)
        self.message = f"speed {f'{self.rate:g} elements/s' if self.rate > 0 else 'as fast as it can'}"

    # -- time --------------------------------------------------------------------------------------

    async def draw(self, application: Application[None]) -> None:
        """Draw elements until the screen closes."""
        due = time.monotonic()
        while True:
            if not self.session.drawing:
                self._play_when_done()
                await asyncio.sleep(0.05)
                due = time.monotonic()
                continue
            now = time.monotonic()
            while self.session.drawing and (self.rate <= 0 or due <= now):
                try:
                    self.session.step()
                except (ValueError, ArithmeticError) as error:
                    self.session.drawing, self.message = False, str(error)
                due += 1 / self.rate if self.rate > 0 else 0
                if time.monotonic() - now > _AT_ONCE:
                    due = max(due, time.monotonic()) if self.rate > 0 else due
                    break
            application.invalidate()
            await asyncio.sleep(0 if self.rate <= 0 else max(0.005, min(0.05, due - time.monotonic())))

    # -- sound -------------------------------------------------------------------------------------

    def _play_when_done(self) -> None:
        """Play the music when a turn has ended, if a program can."""
        if self._sound is not None and (ended := self._sound.ended()) is not None:
            self._sound = None
            self.message = f"no sound: {ended}" if ended else self.message
            self.mute = self.mute or bool(ended)
        elif self.session.notation and not self.mute and self._heard < len(self.session.pieces):
            self._listen(True)

    def _listen(self, on: bool) -> None:
        if self._sound is not None:
            self._sound.stop()
            self._sound = None
        self._heard = len(self.session.pieces)
        if not on:
            self.message = "silent"
            return
        if not self.session.notation:
            raise ValueError("listen: the model writes text, not music")
        command = audio.player()
        if command is None:
            self.mute = True
            self.message = "no program that plays sound (pw-play, paplay, aplay, afplay, ffplay); /save out.wav"
            return
        notes = self.session.music().sounds()
        if notes:
            self._sound = audio.Playing(command, audio.wav(audio.render(notes)))
            self.message = "playing: /hush ends it"

    def close(self) -> None:
        """End the sound."""
        if self._sound is not None:
            self._sound.stop()

    # -- what is shown -----------------------------------------------------------------------------

    def body(self, width: int, height: int) -> Fragments:
        """Return the text, or the piano roll above the elements, in at most `height` lines."""
        shown: Fragments = []
        if self.session.notation and self.session.pieces and height > 6:
            pitches = roll(self.session.music().notes, width, height - 4)
            for row in pitches:
                shown += [(self._cell_style(cell.colour, cell.background), cell.text) for cell in row]
                shown.append(("", "\n"))
            height -= len(pitches)
        lines = wrapped(self.session.pieces[-_KEPT:], width)
        self.scrolled = max(0, min(self.scrolled, len(lines) - height))
        end = len(lines) - self.scrolled
        for line in lines[max(0, end - height) : end]:
            shown += [(self._style(piece), piece.text) for piece in line]
            shown.append(("", "\n"))
        return shown[:-1]

    def status(self) -> Fragments:
        """Return the options. The chosen one is marked."""
        shown: Fragments = [("bold", f" {printable(self.name)} ")]
        for i, name in enumerate(self.knobs()):
            text = f" {name.replace('_', '-')} {printable(self.session.shown(name))[:30]} "
            shown.append(("reverse" if i == self.knob else "", text))
        state = "drawing" if self.session.drawing else "waiting"
        shown.append(("", f" {len(self.session.pieces):,} pieces, {state}"))
        return shown

    def legend(self) -> Fragments:
        """Return the keys, and the meaning of the shades."""
        shown: Fragments = [("", f" {_KEYS}  ")]
        if self.coloured:
            shown.append(("", "bits: "))
            shown += [(f"fg:black bg:{one.css}", f" >{b:g} ") for b, one in zip(BITS, SHADES, strict=True)]
        return shown

    def _style(self, piece: Piece) -> str:
        if piece.probability is None:
            return "bold"
        found = shade(piece.probability) if self.coloured else None
        return f"fg:black bg:{found.css}" if found else ""

    def _cell_style(self, colour: int | None, background: int | None) -> str:
        if not self.coloured:
            return ""
        parts = {"fg": colour, "bg": background}
        return " ".join(f"{where}:{_hexadecimal(one)}" for where, one in parts.items() if one is not None)

    # -- prompt_toolkit ----------------------------------------------------------------------------

    def application(self, **where: Any) -> Application[None]:
        """Return the program for the screen. where: an `input` and `output` for tests."""
        from prompt_toolkit.application import Application
        from prompt_toolkit.buffer import Buffer
        from prompt_toolkit.layout.containers import HSplit, VSplit, Window
        from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl, UIContent, UIControl
        from prompt_toolkit.layout.dimension import Dimension
        from prompt_toolkit.layout.layout import Layout

        screen = self

        class Body(UIControl):
            def create_content(self, width: int, height: int) -> UIContent:
                lines: list[Fragments] = [[]]
                for style, text in screen.body(width, height):
                    if text == "\n":
                        lines.append([])
                    else:
                        lines[-1].append((style, text))
                return UIContent(lambda i: lines[i], len(lines), show_cursor=False)  # type: ignore[arg-type, return-value]

        def accept(buffer: Buffer) -> bool:
            if not self.enter(buffer.text):
                application.exit()
            return False

        typed = Buffer(multiline=False, accept_handler=accept)

        def line(content: Any, style: str = "") -> Window:
            height = Dimension(min=1, max=_MOST_LINES)
            return Window(FormattedTextControl(content), height, style=style, wrap_lines=True, dont_extend_height=True)

        prompt = VSplit([Window(FormattedTextControl("> "), width=2), Window(BufferControl(typed), height=1)])
        rows = [
            Window(Body()),
            line(lambda: [("italic", f" {printable(self.message)}")]),
            line(self.status),
            prompt,
            line(self.legend, "dim"),
        ]
        application: Application[None] = Application(
            Layout(HSplit(rows), focused_element=prompt),
            key_bindings=self._keys(typed),
            full_screen=True,
            after_render=self._start_drawing,
            **where,
        )
        return application

    def _keys(self, typed: Buffer) -> KeyBindings:
        """Return the keys that do not type text. typed: the line that is edited."""
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.key_binding import KeyBindings

        empty = Condition(lambda: not typed.text)
        keys = KeyBindings()
        keys.add("up")(lambda _: self.turn(up=True))
        keys.add("down")(lambda _: self.turn(up=False))
        keys.add("left", filter=empty)(lambda _: self.choose(-1))
        keys.add("right", filter=empty)(lambda _: self.choose(1))
        keys.add("tab")(lambda _: self.choose(1))
        keys.add("s-tab")(lambda _: self.choose(-1))
        keys.add("c-z")(lambda _: self.do("undo"))
        keys.add("c-r")(lambda _: self.do("retry"))
        keys.add("pageup")(lambda _: self._scroll(10))
        keys.add("pagedown")(lambda _: self._scroll(-10))

        @keys.add("c-c")
        @keys.add("c-d", filter=empty)
        def quit_(event: KeyPressEvent) -> None:
            event.app.exit()

        return keys

    def _start_drawing(self, application: Application[None]) -> None:
        if not getattr(application, "lstmgen_drawing", False):
            application.lstmgen_drawing = True  # type: ignore[attr-defined]
            application.create_background_task(self.draw(application))

    def _scroll(self, by: int) -> None:
        self.scrolled += by


def wrapped(pieces: list[Piece], width: int) -> list[list[Piece]]:
    """Return lines of at most `width` columns, in pieces of one character, safe for a terminal.

    A piece that begins with a space is not divided if it fits into a line.

    >>> lines = wrapped([Piece("ab\\nc"), Piece("def")], 3)
    >>> ["".join(piece.text for piece in line) for line in lines]
    ['ab', 'cde', 'f']
    >>> ["".join(piece.text for piece in line) for line in wrapped([Piece("C4"), Piece(" E4")], 4)]
    ['C4', 'E4']
    """
    from prompt_toolkit.utils import get_cwidth

    lines: list[list[Piece]] = [[]]
    column = 0
    for piece in pieces:
        characters = "".join(_characters(piece.text))
        size = get_cwidth(characters)
        if characters[:1] == " " and column + size > width >= size:
            lines.append([])
            column, characters = 0, characters[1:]
        for character in characters:
            size = get_cwidth(character)
            if character == "\n" or column + size > width:
                lines.append([])
                column = 0
            if character != "\n":
                lines[-1].append(Piece(character, piece.probability))
                column += size
    return lines


def _characters(text: str) -> Iterator[str]:
    """Yield what the screen shows for each character of a text."""
    for character in text:
        yield character if character == "\n" else " " * 4 if character == "\t" else printable(character)


def _lines_of(session: Turns[Any]) -> Iterator[str]:
    for piece in session.pieces:
        yield shown(piece.text)


def _hexadecimal(code: int) -> str:
    """Return one of the 256 colours of terminals, from 16 on, as "#rrggbb".

    >>> _hexadecimal(196), _hexadecimal(16), _hexadecimal(39)
    ('#ff0000', '#000000', '#00afff')
    """
    levels = (0, 95, 135, 175, 215, 255)
    parts = ((code - 16) // 36, (code - 16) // 6 % 6, (code - 16) % 6)
    return "#" + "".join(f"{levels[part]:02x}" for part in parts)
