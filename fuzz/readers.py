"""Fuzzes what reads files in Python: `python fuzz/readers.py TARGET [OPTIONS OF LIBFUZZER] FOLDER`.

It needs atheris. `fuzz/run` runs it, and says what counts as a crash. `python fuzz/readers.py
replay FOLDER` gives each target the inputs in the folder of its name once, without atheris.

| target | what it tries | what must hold |
|---|---|---|
| keras | a file that Keras saved, in this process | a network, or a `ModelFormatError` |
| vocabulary | JSON, a pickle, a .npy or lines | elements, or a `ValueError` that names the file |
| midi | a MIDI file | notes in order, or a `MidiError` |
| abc | tunes in ABC notation | notes in order, and their elements, or an `AbcError` |
| musicxml | a `.mxl`, or a score whose elements are chosen | elements, or a reason that is shown |
| checkpoint | a checkpoint of TensorFlow | a network, or an error that names the file |
| layers | an architecture in Keras code | a config, or a `ValueError` |
| rows | a CSV, and numbers in lines | rows, or a `ValueError` that names the file |
"""

from __future__ import annotations

import contextlib
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import checkpoints

REPLAY = sys.argv[1:2] == ["replay"]
if not REPLAY:
    import atheris

with contextlib.nullcontext() if REPLAY else atheris.instrument_imports(include=["lstmgen"]):
    from lstmgen import limits, sequence_files
    from lstmgen.errors import ModelFormatError
    from lstmgen.keras_file import layer_list, reader
    from lstmgen.music import abc_notation, abc_reading, midi, parsing
    from lstmgen.vocabulary import reading

_SECONDS = 2  # of the processor, for an input under 1 MiB: one, and one for the instrumentation
_FOLDER = Path(tempfile.mkdtemp(prefix="lstmgen-fuzz-"))
_LONG, _LARGE = 10**6, 2**40  # seconds and bytes that are no limit
_SCORE = 20_000  # bytes, unpacked, of a score that music21 reads in this process
_CHECKPOINT = struct.Struct("<BHH")  # which frames are made; the bytes of the index and of the graph
_NUMBERS = ("-1", "1e308", "nan", "inf", "1/0", "", "4294967296", "0.0001", "999999", "x\x7f\u200e", "\u0663", "1.5")
_BEGIN = (
    '<?xml version="1.0"?><score-partwise version="3.1"><part-list>'
    '<score-part id="P1"><part-name>x</part-name></score-part><score-part id="P2"><part-name>y</part-name>'
    '<score-instrument id="I2"><instrument-name>Drums</instrument-name></score-instrument></score-part></part-list>'
    '<part id="P1"><measure number="1"><attributes><divisions>4</divisions></attributes>'
)
_END = "</measure></part></score-partwise>"
_PITCH = "<pitch><step>C</step><octave>4</octave></pitch>"
_IN_NOTES = (
    *(f"<note>{_PITCH}<duration>4</duration>", "<note>", _PITCH, "<duration>NUMBER</duration>"),
    *("<chord/>", "<grace/>", "<rest/>", "<voice>NUMBER</voice>", '<tie type="start"/>', '<tie type="stop"/>'),
    "<pitch><step>C</step><alter>NUMBER</alter><octave>4</octave></pitch>",
    "<pitch><step>G</step><octave>NUMBER</octave></pitch>",
    "<unpitched><display-step>C</display-step><display-octave>NUMBER</display-octave></unpitched>",
    *("<type>quarter</type>", "<type>NUMBER</type>", "<dot/>", "<staff>NUMBER</staff>", "<cue/>"),
    "<time-modification><actual-notes>NUMBER</actual-notes><normal-notes>2</normal-notes></time-modification>",
    "<lyric number='NUMBER'><syllabic>begin</syllabic><text>NUMBER</text></lyric>",
    '<notations><slur type="start" number="NUMBER"/><tied type="start"/></notations>',
    '<notations><slur type="stop" number="NUMBER"/><tied type="stop"/></notations>',
    '<notations><tuplet type="start" number="NUMBER"/></notations>',
    '<notations><tuplet type="stop"/></notations>',
    "<notations><ornaments><trill-mark/><tremolo>NUMBER</tremolo></ornaments><fermata/><arpeggiate/></notations>",
    "<notations><technical><fret>NUMBER</fret><string>NUMBER</string></technical></notations>",
    *("<accidental>sharp</accidental>", '<instrument id="NUMBER"/>', '<beam number="1">begin</beam>'),
)
_IN_MEASURES = (
    *("<backup><duration>NUMBER</duration></backup>", "<forward><duration>NUMBER</duration></forward>"),
    *('</measure><measure number="NUMBER">', '</measure></part><part id="P2"><measure>', '<print new-page="yes"/>'),
    *(
        f"<attributes>{attribute}</attributes>"
        for attribute in (
            *("<divisions>NUMBER</divisions>", "<key><fifths>NUMBER</fifths></key>", "<staves>NUMBER</staves>"),
            "<time><beats>NUMBER</beats><beat-type>4</beat-type></time>",
            "<time><beats>3</beats><beat-type>NUMBER</beat-type></time>",
            "<transpose><chromatic>NUMBER</chromatic><octave-change>NUMBER</octave-change></transpose>",
            *("<clef><sign>percussion</sign></clef>", "<clef><sign>G</sign><line>NUMBER</line></clef>"),
            "<measure-style><multiple-rest>NUMBER</multiple-rest></measure-style>",
            '<measure-style><measure-repeat type="start">NUMBER</measure-repeat></measure-style>',
        )
    ),
    *(
        f"<direction><direction-type>{direction}</direction-type></direction>"
        for direction in (
            "<metronome><beat-unit>quarter</beat-unit><per-minute>NUMBER</per-minute></metronome>",
            *(
                "<words>NUMBER</words>",
                '<wedge type="crescendo"/>',
                '<pedal type="start"/>',
                "<dynamics><f/></dynamics>",
            ),
            *('<octave-shift type="up" size="NUMBER"/>', "<segno/>", "<coda/>", "<rehearsal>NUMBER</rehearsal>"),
        )
    ),
    *('<sound tempo="NUMBER"/>', '<sound dacapo="yes"/>', '<sound dynamics="NUMBER"/>'),
    "<harmony><root><root-step>C</root-step></root><kind>NUMBER</kind></harmony>",
    *('<barline><repeat direction="forward"/></barline>', '<barline><ending number="NUMBER" type="start"/></barline>'),
    '<barline><ending number="1" type="stop"/><repeat direction="backward" times="NUMBER"/></barline>',
)
_NAMES = ("v.json", "v.pkl", "v.npy", "v.txt")


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def keras(data: bytes) -> None:
    """Read a file of Keras in this process. libhdf5 is not in it: a child process reads HDF5."""
    if b"\x89HDF" in data:
        return
    try:
        reader.read(data)
    except ModelFormatError as error:
        _check_named(str(error), "<bytes>")


def vocabulary(data: bytes) -> None:
    """Read a vocabulary, whose kind the first byte chooses."""
    path = _file(_NAMES[data[0] % len(_NAMES)] if data else "v.json", data[1:])
    try:
        found = reading.read(path, 3)
    except ValueError as error:
        _check_named(str(error), str(path))
    else:
        assert len(found.elements) == 3
        assert all(isinstance(element, str) for element in found.elements)


def midi_file(data: bytes) -> None:
    """Read a MIDI file."""
    try:
        found = midi.read_midi(data)
    except midi.MidiError:
        return
    seconds = midi.clock(found)
    for track in found.strokes:
        for stroke in track:
            assert 0 <= stroke.start < stroke.end
            assert 0 <= seconds(stroke.start) <= seconds(stroke.end)
    for note in midi.piece_of(found).notes:
        assert note.start >= 0
        assert note.duration > 0


def abc(data: bytes) -> None:
    """Read tunes in ABC notation."""
    try:
        tunes = list(abc_notation.read_file(data))
        pieces = parsing.tune_elements(data, "all")
        learnt = [abc_notation.plain(tune) for tune in abc_notation.tunes_of(data)]
    except abc_reading.AbcError as error:
        _check_shown(str(error))
        return
    for tune in tunes:
        assert tune.notes == sorted(tune.notes)
        assert all(note.start >= 0 and note.duration > 0 and 0 <= note.pitch <= 127 for note in tune.notes)
    assert len(pieces) == sum(1 for tune in tunes if tune.notes)
    assert len(learnt) == len(tunes)


def musicxml(data: bytes) -> None:
    """Read a score with music21 in this process. The first byte chooses its kind and the notation.

    A file that unpacks to more than `_SCORE` bytes is left out. Elsewhere a process with limits
    reads it, and its limits hold here, too: a meter of 999,999 beats reaches both.
    """
    kind = data[0] if data else 0
    score = data[1:] if kind & 2 else _score(data[1:])
    path = _file("score.mxl" if kind & 2 else "score.musicxml", score)
    try:
        allowed = parsing.bound(path, "events")
    except ValueError as error:
        _check_shown(str(error))
        return
    assert allowed is not None
    if allowed[1] > 2**24 + 64 * _SCORE:
        return
    limits.limit(_LONG, allowed[1], again=True)
    signal.signal(signal.SIGPROF, _end)
    signal.setitimer(signal.ITIMER_PROF, allowed[0])
    try:
        found = parsing.parse(path, "lesson") if kind & 1 else parsing.parse(path, "events", "all")
    except MemoryError:
        return
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        limits.limit(_LONG, _LARGE, again=True)
    if isinstance(found, str):
        _check_shown(found)
    else:
        assert all(isinstance(element, str) for piece in found for element in piece)


def _end(*_: object) -> None:
    raise TimeoutError


def _score(data: bytes) -> bytes:
    """Return a score. A byte chooses an element, or from 128 on the number in those that follow."""
    number, body, in_note = "4", _BEGIN, False
    for byte in data:
        if byte >= 128:
            number = _NUMBERS[255 - byte] if 255 - byte < len(_NUMBERS) else str(byte - 128)
            continue
        table = _IN_NOTES if byte < 64 else _IN_MEASURES
        element = table[byte % 64 % len(table)].replace("NUMBER", number)
        begins = element.startswith("<note>")
        if in_note and (begins or byte >= 64):
            body += "</note>"
        elif byte < 64 and not (in_note or begins):
            body += "<note>"
        body, in_note = body + element, byte < 64
    return (body + ("</note>" if in_note else "") + _END).encode()


def checkpoint(data: bytes) -> None:
    """Read a checkpoint of TensorFlow: `_CHECKPOINT` and its three parts.

    The bits of the first number say around which parts a right frame is made, so that what changes
    in them is reached: 1 is the graph of objects, 2 the block of the index. 4 stands for a config,
    and 8 for a SavedModel whose metadata are the numbers.
    """
    kind, first, second = _CHECKPOINT.unpack(data[: _CHECKPOINT.size].ljust(_CHECKPOINT.size, b"\0"))
    rest = data[_CHECKPOINT.size :]
    index, graph, numbers = rest[:first], rest[first : first + second], rest[first + second :]
    if kind & 1:
        graph = checkpoints.framed(graph)
        index += checkpoints.entry(checkpoints.GRAPH, checkpoints.field(1, 7) + checkpoints.field(5, len(graph)))
    if kind & 2:
        index = checkpoints.table(index + struct.pack("<II", 0, 1))
    name = "saved/variables/variables" if kind & 8 else "c"
    _file("saved/keras_metadata.pb", numbers)
    _file(f"{name}.data-00000-of-00001", graph + numbers)
    path = _file(f"{name}.index", index).with_suffix("")
    try:
        reader.read(path, config="Dense(2, input_shape=[None, 3])" if kind & 4 else None)
    except (ModelFormatError, ValueError) as error:
        _check_named(str(error), str(path))
        _check_shown(str(error))


def layers(data: bytes) -> None:
    """Read layers in Keras code."""
    with contextlib.suppress(ValueError):
        layer_list.parse(data.decode("utf-8", "replace"))


def rows(data: bytes) -> None:
    """Read a CSV."""
    path = _file("rows.csv", data)
    try:
        found = sequence_files.read_csv(path)
    except ValueError as error:
        _check_named(str(error), str(path))
    else:
        for row in found:
            assert row.line > 0


def _check_named(message: str, name: str) -> None:
    assert message.startswith(name), message
    assert all(character.isprintable() or character in "\n\t" for character in message) or name != "<bytes>", message


def _check_shown(message: str) -> None:
    assert message.isprintable(), message
    assert len(message) < 1000, message


TARGETS: dict[str, Callable[[bytes], None]] = {
    "keras": keras,
    "vocabulary": vocabulary,
    "midi": midi_file,
    "abc": abc,
    "musicxml": musicxml,
    "checkpoint": checkpoint,
    "layers": layers,
    "rows": rows,
}


def _bounded(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        begin = time.process_time()
        target(data)
        taken = time.process_time() - begin
        assert taken <= _SECONDS, f"an input took {taken:.1f} s of the processor"

    return run


def _replay(folder: Path) -> int:
    """Give each target its inputs. Return how many of them fail, at most 1."""
    failed = 0
    for name, target in TARGETS.items():
        for path in sorted(Path(folder, name).iterdir()):
            try:
                target(path.read_bytes())
            except Exception:
                print(f"{path}: fails", file=sys.stderr)
                traceback.print_exc()
                failed = 1
    return failed


def main() -> None:
    """Run libFuzzer with the options of the command line, or replay."""
    if REPLAY:
        sys.exit(_replay(Path(sys.argv[2])))
    name = sys.argv.pop(1)
    if name == "musicxml":
        parsing.prepare(Path("score.musicxml"), "events")  # takes more time than an input may
    atheris.Setup(sys.argv, TARGETS[name] if name == "musicxml" else _bounded(TARGETS[name]))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
