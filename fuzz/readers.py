"""Fuzzes what reads files in Python: `python fuzz/readers.py TARGET [OPTIONS OF LIBFUZZER] FOLDER`.

It needs atheris. `fuzz/run` runs it, and says what counts as a crash. `python fuzz/readers.py
replay FOLDER` gives each target the inputs in the folder of its name once, without atheris.

| target | what it tries | what must hold |
|---|---|---|
| keras | a file that Keras saved, in this process | a network, or a `ModelFormatError` |
| vocabulary | JSON, a pickle, a .npy or lines | elements, or a `ValueError` that names the file |
| midi | a MIDI file | notes in order, or a `MidiError` |
| layers | an architecture in Keras code | a config, or a `ValueError` |
| rows | a CSV, and numbers in lines | rows, or a `ValueError` that names the file |
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

REPLAY = sys.argv[1:2] == ["replay"]
if not REPLAY:
    import atheris

with contextlib.nullcontext() if REPLAY else atheris.instrument_imports(include=["lstmgen"]):
    from lstmgen import sequence_files
    from lstmgen.errors import ModelFormatError
    from lstmgen.keras_file import layer_list, reader
    from lstmgen.music import midi
    from lstmgen.vocabulary import reading

_SECONDS = 2  # of the processor, for an input under 1 MiB: one, and one for the instrumentation
_FOLDER = Path(tempfile.mkdtemp(prefix="lstmgen-fuzz-"))
_NAMES = ("v.json", "v.pkl", "v.npy", "v.txt")


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
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


TARGETS: dict[str, Callable[[bytes], None]] = {
    "keras": keras,
    "vocabulary": vocabulary,
    "midi": midi_file,
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
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, _bounded(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
