"""How long work goes on after Ctrl-C: loading, exporting, predicting, sampling, reading.

python benchmarks/interrupting.py [NAMES]

Each call is ended several times, at moments spread over its length. The time is from the signal to
the exception. It is that of the processor, so that other programs change little. Where another
process does the work, it is by the clock. A call that is over sooner than a tenth of a second is
left out. For Linux.
"""

from __future__ import annotations

import ctypes
import json
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import lstmgen  # noqa: E402
from lstmgen import music, rows, sequence_files  # noqa: E402
from lstmgen.binfile import repacking, writer  # noqa: E402
from lstmgen.evaluation import evaluate  # noqa: E402
from lstmgen.music import audio, mastering, midi  # noqa: E402
from lstmgen.network import Network, reference  # noqa: E402
from lstmgen.vocabulary import Vocabulary, reading  # noqa: E402
from support.networks import network, packed  # noqa: E402

Call = Callable[[], Any]
MOMENTS = 8  # of each call
LONGEST = 1.0  # seconds: where a call takes longer, the moments lie in these
FOLDER = Path(tempfile.mkdtemp(prefix="lstmgen-interrupting-"))


class Interrupted(BaseException):
    pass


def _interrupt(*_: object) -> None:
    raise Interrupted


class Timer:
    """Sends a signal after some time of the processor, or of the clock.

    `signal.setitimer` counts ticks of the processor, which are too coarse on a busy machine.
    """

    def __init__(self, clock: int) -> None:
        self.clock = clock
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = struct.pack("qii48x", 0, signal.SIGALRM, 0)  # of `struct sigevent`: value, signal, kind
        if self._libc.timer_create(clock, event, ctypes.byref(self._timer)) != 0:
            raise OSError(ctypes.get_errno(), "timer_create")

    def start(self, seconds: float) -> None:
        """Begin to count; 0 stops."""
        spec = struct.pack("qqqq", 0, 0, int(seconds), int(seconds % 1 * 1e9))
        self._libc.timer_settime(self._timer, 0, spec, None)

    def now(self) -> float:
        """Return the time of the timer's clock."""
        return time.clock_gettime(self.clock)


def latency(call: Call, moment: float, timer: Timer) -> float | None:
    """Return the seconds from a signal to the end of a call; None if the call ended before it."""
    begin = timer.now()
    try:
        timer.start(moment)
        try:
            call()
        finally:
            timer.start(0)
    except Interrupted:
        return timer.now() - begin - moment
    return None


def big() -> Network:
    """A network of 71 MB."""
    return network([("lstm", 2000), ("dense", 100, "softmax")], 100, 40, scale=0.05)


def keras_file(units: int) -> Path:
    """A file of weights, and nothing else, of an LSTM and a Dense."""
    import h5py

    path = FOLDER / f"weights{units}.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = [b"lstm", b"dense"], b"2.3.1"
        rng = np.random.default_rng(1)
        shapes = {
            "lstm": {"kernel": (100, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": (4 * units,)},
            "dense": {"kernel": (units, 100), "bias": (100,)},
        }
        for layer, arrays in shapes.items():
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in arrays]
            for name, shape in arrays.items():
                file[layer][name] = rng.uniform(-0.05, 0.05, shape).astype(np.float32)
    return path


ARCHITECTURE = "LSTM(2000, input_shape=[40, 100]), Dense(100, softmax)"


def cases() -> dict[str, tuple[Call, bool]]:
    """Return calls by name, and whether another process does their work."""
    found: dict[str, tuple[Call, bool]] = {}
    of = big()
    data = packed(of, prime=None)
    (file := FOLDER / "big.bin").write_bytes(data)
    saved = keras_file(2000)
    options: dict[str, Any] = {"config": ARCHITECTURE}
    one_lstm = network([("lstm", 256), ("dense", 11, "softmax")], 11, 0, scale=0.1)
    recurrent = lstmgen.Model(packed(one_lstm, prime=None))
    embedded = lstmgen.Model(
        packed(network([("embedding", 64), ("lstm", 64), ("dense", 11, "softmax")], 11, 0), encoding="index")
    )
    whole = lstmgen.Model(
        packed(network([("reverse",), ("lstm", 256), ("dense", 11, "softmax")], window=0), prime=None)
    )
    generator, latex = lstmgen.Generator(recurrent), lstmgen.Generator("latex")
    many_ids = np.zeros((4000, 1000), np.uint32)
    found |= {
        "load a .bin": (lambda: lstmgen.Model(file), False),
        "load a .bin from bytes": (lambda: lstmgen.Model(data), False),
        "load a .bin, as int8": (lambda: lstmgen.Model(file, dtype="int8"), False),
        "load a .bin, as bf16": (lambda: lstmgen.Model(file, dtype="bf16"), False),
        "write its bytes": (lambda: [lstmgen.Model(data).to_bytes() for _ in range(3)], False),
        "pack a network": (lambda: writer.pack(of, encoding="onehot"), False),
        "pack a network, as int8": (lambda: writer.pack(of, encoding="onehot", dtype="int8"), False),
        "repack, as bf16": (lambda: repacking.repack(data, "big.bin", "bf16"), False),
        "load a .h5": (lambda: lstmgen.Model(saved, **options), True),
        "load a .h5, trusted": (lambda: lstmgen.Model(saved, trusted=True, **options), False),
        "export a .h5": (lambda: lstmgen.export(saved, FOLDER / "o.bin", trusted=True, **options), False),
        "export a .h5, as int8": (
            lambda: lstmgen.export(saved, FOLDER / "o.bin", dtype="int8", trusted=True, **options),
            False,
        ),
        "predict": (lambda: recurrent.predict(many_ids), False),
        "predict, embedding": (lambda: embedded.predict(many_ids), False),
        "predict, whole": (lambda: whole.predict(many_ids[:100]), False),
        "sample": (lambda: generator.sample(10**6, prime=[0]), False),
        "sample, windows": (lambda: lstmgen.Generator(lstmgen.Model(data)).sample(10**6, prime=[0]), False),
        "sample_many": (lambda: generator.sample_many(200, 10**5, prime=[0]), False),
        "sample, grammar": (lambda: latex.sample(10**6, grammar=lstmgen.grammars.latex()), False),
        "score": (lambda: generator.score(np.zeros(10**6, np.uint32), refresh=None), False),
        "probabilities": (lambda: generator.probabilities(np.zeros(10**6, np.uint32), refresh=None), False),
        "measure_limits": (recurrent.measure_limits, False),
    }
    found |= texts() | notes() | hostile()
    return found


def texts() -> dict[str, tuple[Call, bool]]:
    """Return calls that read texts, vocabularies and rows."""
    letters = lstmgen.Model(packed(prime=None)).vocabulary
    assert letters is not None
    long = "abcdefghijk" * 10**6
    words = Vocabulary([f"w{i}" for i in range(60_000)], "tokens")
    many = " ".join(f"w{i % 60_000}" for i in range(10**6))
    json_file, lines, table_of_rows = FOLDER / "v.json", FOLDER / "v.txt", FOLDER / "rows.csv"
    json_file.write_text(json.dumps({f"w{i}": i for i in range(60_000)}))
    lines.write_text("\n".join(f"w{i}" for i in range(60_000)))
    table_of_rows.write_text("".join(f"{'abc' * (i % 30 + 1)},{'xy'[i % 2]}\n" for i in range(400_000)))
    classifier = lstmgen.Model(
        packed(
            network([("embedding", 8), ("lstm", 32), ("dense", 2, "softmax")], 11, 0),
            encoding="index",
            labels=["x", "y"],
            vocabulary=list("abcdefghijk"),
            prime=None,
        )
    )
    drawn = rows.Rows("latex", 200, seed=1)
    text_file = FOLDER / "latex.txt"
    text_file.write_text(str(lstmgen.Generator("latex").sample(100_000)))
    return {
        "encode letters": (lambda: letters.encode(long), False),
        "decode letters": (lambda: letters.decode(letters.encode(long)), False),
        "encode words": (lambda: words.encode(many), False),
        "make a vocabulary": (lambda: Vocabulary([f"w{i}" for i in range(60_000)], "text").encode(many), False),
        "read a vocabulary, JSON": (lambda: [reading.read(json_file, 60_000) for _ in range(20)], False),
        "read a vocabulary, lines": (lambda: [reading.read(lines, 60_000) for _ in range(20)], False),
        "read a CSV": (lambda: list(sequence_files.read_csv(table_of_rows)), False),
        "classify": (lambda: classifier.classify(["abc" * 20] * 200_000), False),
        "evaluate": (lambda: evaluate("latex", text_file, samples=1), False),
        "draw rows": (lambda: list(drawn.draw(range(10**5))), False),
        "compile a grammar": (
            lambda: [latex_grammar("root ::= " + " | ".join(f'"{i}"' for i in range(20_000))) for _ in range(3)],
            False,
        ),
    }


def latex_grammar(text: str) -> str:
    """Draw one element under a grammar."""
    return str(lstmgen.Generator("latex").sample(1, grammar=text))


def notes() -> dict[str, tuple[Call, bool]]:
    """Return calls that read and write music."""
    found = [music.Note(i / 4, 0.5, 40 + i % 40) for i in range(100_000)]
    short = found[:2000]
    file = midi.midi_file(found, 100)
    piece = music.Music(found)
    (path := FOLDER / "m.mid").write_bytes(midi.midi_file(found[:3000], 100))
    sound = audio.render([(note.start, note.duration, note.pitch, note.velocity) for note in short])
    (folder := FOLDER / "pieces").mkdir()
    for i in range(40):
        (folder / f"{i}.mid").write_bytes(path.read_bytes())
    return {
        "read a MIDI file": (lambda: midi.read_midi(file), False),
        "write a MIDI file": (lambda: piece.write(FOLDER / "o.mid"), False),
        "render sound": (
            lambda: audio.render([(note.start, note.duration, note.pitch, note.velocity) for note in found[:8000]]),
            False,
        ),
        "master sound": (lambda: mastering.mastered(sound, audio.RATE), False),
        "write sound": (lambda: music.Music(short).write(FOLDER / "o.wav"), False),
        "write a piano roll": (lambda: music.Music(short).write(FOLDER / "o.png"), False),
        "write MusicXML": (lambda: music.Music(short).write(FOLDER / "o.musicxml"), False),
        "read pieces": (lambda: music.read_pieces(folder, cache=False), False),
        "read pieces, lesson": (lambda: music.read_pieces(folder, notation="lesson", cache=False), True),
    }


def hostile() -> dict[str, tuple[Call, bool]]:
    """Return calls on files that ask for as much as a file may."""
    repeat = network([("lstm", 4), ("repeat", 30_000), ("gru", 3), ("dense", 4, "softmax")], 4, 4, vectors=[0])
    return {
        "pack a wide repetition": (lambda: packed(repeat), False),
        "reference of a wide repetition": (lambda: reference.forward(repeat, np.zeros((1, 4, 4))), False),
    }


def main() -> None:
    """Print the table."""
    signal.signal(signal.SIGALRM, _interrupt)
    found = cases()
    for name in sys.argv[1:] or found:
        call, elsewhere = found[name]
        timer = Timer(time.CLOCK_MONOTONIC if elsewhere else time.CLOCK_PROCESS_CPUTIME_ID)
        begin = timer.now()
        ended = latency(call, LONGEST, timer)
        whole = min(timer.now() - begin, LONGEST)
        moments = [whole * (i + 0.5) / MOMENTS for i in range(MOMENTS if whole > 0.1 else 0)]
        late = [one for one in (ended, *(latency(call, moment, timer) for moment in moments)) if one is not None]
        worst = f"{1000 * max(late):.0f} ms" if late else "over sooner"
        print(f"{name:32} {whole:6.2f} s   {worst}", flush=True)


if __name__ == "__main__":
    main()
