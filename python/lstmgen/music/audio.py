"""Sound: a small built-in piano, WAV files, and the programs that encode or play.

A tone of the piano is a sum of decaying sines.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmgen.music.notes import VELOCITY

RATE = 44_100  # samples a second
PEAK = 0.9  # the loudest sample of what is played, where full scale is 1

_MAX_SECONDS = 3600
_TONE_SECONDS = 8.0  # after that a string is silent
_RELEASE = 0.25  # seconds in which the damper silences a note that has ended
_BLOCK = 1024
_PART = 2**18  # samples that are worked on at a time
_COLOUR = 16  # velocities that have one colour of the tone
_PARTIALS = 16
_STIFFNESS = 4e-4  # of the strings: partial k is sharp by the factor sqrt(1 + stiffness k^2)
_ENCODERS = {
    "mp3": {
        "ffmpeg": ["-loglevel", "error", "-f", "wav", "-i", "pipe:0", "-b:a", "192k", "-f", "mp3", "pipe:1"],
        "lame": ["--quiet", "-b", "192", "-", "-"],
    },
    "ogg": {
        "ffmpeg": ["-loglevel", "error", "-f", "wav", "-i", "pipe:0", "-q:a", "6", "-f", "ogg", "pipe:1"],
        "oggenc": ["--quiet", "-q", "6", "-o", "-", "-"],
    },
    "flac": {
        "ffmpeg": ["-loglevel", "error", "-f", "wav", "-i", "pipe:0", "-f", "flac", "pipe:1"],
        "flac": ["--silent", "--stdout", "-"],
    },
}
_SOUNDFONT_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")


def render(
    notes: Sequence[tuple[float, float, int] | tuple[float, float, int, int]], rate: int = RATE
) -> NDArray[np.float32]:
    """Play notes on the built-in piano.

    notes: start and duration in seconds, MIDI pitch, 0 to 127, and perhaps velocity, 1 to 127; it
        is 80 otherwise. What is struck harder is louder, by 40 dB for ten times the velocity, and
        brighter.
    rate: samples a second.

    Returns float32 samples of shape (n, 2), left and right. The loudest one is 0.9 or -0.9. Low
    notes come from the left. The last note has a quarter of a second to fade.

    Raises `ValueError` for more than an hour.

    >>> render([(0.0, 0.5, 60)], rate=8000).shape
    (6001, 2)
    """
    end = max((start + duration for start, duration, *_ in notes), default=0.0)
    check_seconds(end)
    samples = np.zeros((2, int((end + _RELEASE) * rate) + 1), np.float32)
    fade = np.exp(-np.arange(int(_RELEASE * rate)) / (0.05 * rate)).astype(np.float32)
    fade *= np.linspace(1, 0, len(fade), dtype=np.float32)
    tones: dict[tuple[int, int], NDArray[np.float32]] = {}
    for start, duration, pitch, *struck in notes:
        velocity = struck[0] if struck else VELOCITY
        tone = pitch, velocity // _COLOUR
        if tone not in tones:
            tones[tone] = _tone(pitch, rate, (velocity // _COLOUR - VELOCITY // _COLOUR) * _COLOUR)
        sound = _struck(tones[tone], int(duration * rate), fade)
        sound *= np.float32((velocity / VELOCITY) ** 2)
        at = int(start * rate)
        right = min(max((pitch - 21) / 87, 0.0), 1.0) * 0.5 + 0.25
        for channel, gain in zip(samples, (np.sqrt(1 - right), np.sqrt(right)), strict=True):
            channel[at : at + len(sound)] += np.float32(gain) * sound
    loudest = peak(samples.T)
    if loudest:
        for part in parts(samples.T):
            part *= PEAK / loudest
    return samples.T


def parts(samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield some seconds of sound at a time, so that Ctrl-C is heard between them.

    samples: (n, channels). The parts share their memory.

    >>> [len(part) for part in parts(np.zeros((300_000, 2), np.float32))]
    [262144, 37856]
    """
    for at in range(0, len(samples), _PART):
        yield samples[at : at + _PART]


def peak(samples: NDArray[np.float32]) -> float:
    """Return the loudest sample of sound (n, channels), without its sign; 0 for no sound.

    >>> peak(np.array([[0.25], [-0.5]], np.float32))
    0.5
    """
    return max((float(np.abs(part).max()) for part in parts(samples)), default=0.0)


def check_seconds(seconds: float) -> None:
    """Raise `ValueError` for more than an hour of sound.

    >>> check_seconds(3600)
    """
    if seconds > _MAX_SECONDS:
        raise ValueError(f"the music is {seconds:.0f} seconds long: expected at most {_MAX_SECONDS}")


def wav(samples: NDArray[np.float32], rate: int = RATE) -> bytes:
    """Return a WAV file of 16 bits a sample.

    samples: shape (n, channels), -1 to 1; what is louder is cut off.
    rate: samples a second.

    >>> wav(np.zeros((4, 2), np.float32))[:4]
    b'RIFF'
    """
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.setnframes(len(samples))
        for part in parts(samples):
            file.writeframesraw(np.round(np.clip(part, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def samples_of(wav_file: bytes) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a WAV file of 16 bits, (n, channels), and how many a second has.

    >>> sound, rate = samples_of(wav(np.zeros((4, 2), np.float32)))
    >>> sound.shape, rate
    ((4, 2), 44100)
    """
    with wave.open(io.BytesIO(wav_file)) as file:
        whole = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        samples = np.empty(whole.shape, np.float32)
        for part, values in zip(parts(samples), parts(whole), strict=True):
            part[:] = values / 32767
        return samples, file.getframerate()


def compressed(make_wav: Callable[[], bytes], kind: str) -> bytes:
    """Return the file that a program makes of a WAV file.

    make_wav: returns the WAV file. It is called only if a program is installed.
    kind: "mp3", "ogg" or "flac".

    Raises `OSError` that names the programs if none is installed, or if one fails.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", PATH=""):  # doctest: +ELLIPSIS
    ...     compressed(lambda: wav(render([(0.0, 0.5, 60)])), "ogg")
    Traceback (most recent call last):
    FileNotFoundError: a .ogg needs the program ffmpeg or oggenc, which is not installed; ...
    """
    command = encoder(kind)
    return _run(command, make_wav())


def encoder(kind: str) -> list[str]:
    """Return the command of the first installed program that encodes sound.

    kind: "mp3", "ogg" or "flac".

    Raises `OSError` that names the programs if none is installed.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", PATH=""):  # doctest: +ELLIPSIS
    ...     encoder("mp3")
    Traceback (most recent call last):
    FileNotFoundError: a .mp3 needs the program ffmpeg or lame, which is not installed; ...
    """
    for program, options in _ENCODERS[kind].items():
        found = shutil.which(program)
        if found:
            return [found, *options]
    names = " or ".join(_ENCODERS[kind])
    raise FileNotFoundError(f"a .{kind} needs the program {names}, which is not installed; .wav needs none")


def soundfont_at_hand() -> Path | None:
    """Return the soundfont that fluidsynth would play with. None if it or a soundfont is missing.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", PATH=""):
    ...     soundfont_at_hand()
    """
    if not shutil.which("fluidsynth"):
        return None
    try:
        font = Path(os.environ.get("SOUNDFONT") or _installed_soundfont())
    except FileNotFoundError:
        return None
    return font if font.is_file() else None


def fluidsynth(midi: bytes, soundfont: str | os.PathLike[str] | None = None) -> bytes:
    """Return a WAV file of a MIDI file that the program fluidsynth plays.

    midi: the bytes of the MIDI file.
    soundfont: a .sf2 or .sf3 file. None is the one that the environment variable SOUNDFONT names,
        or the first one of the system.

    Raises `OSError` if the program or a soundfont is missing, or if the program fails.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", PATH=""):
    ...     fluidsynth(b"MThd")
    Traceback (most recent call last):
    FileNotFoundError: synth 'fluidsynth' needs the program fluidsynth, which is not installed
    """
    program = shutil.which("fluidsynth")
    if not program:
        raise FileNotFoundError("synth 'fluidsynth' needs the program fluidsynth, which is not installed")
    font = Path(soundfont or os.environ.get("SOUNDFONT") or _installed_soundfont())
    if not font.is_file():
        raise FileNotFoundError(f"{font}: there is no such soundfont")
    with tempfile.TemporaryDirectory(prefix="lstmgen-") as folder:
        score, sound = Path(folder, "music.mid"), Path(folder, "music.wav")
        score.write_bytes(midi)
        _run([program, "-n", "-i", "-r", str(RATE), "-F", str(sound), str(font), str(score)], b"")
        return sound.read_bytes()


def _installed_soundfont() -> Path:
    for folder in map(Path, _SOUNDFONT_FOLDERS):
        for font in sorted(folder.glob("*.sf[23]")):
            return font
    raise FileNotFoundError(
        "no soundfont: expected the environment variable SOUNDFONT to name one, or one in "
        f"{', '.join(_SOUNDFONT_FOLDERS)}"
    )


def _run(command: Sequence[str], given: bytes) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="replace").split())
        raise OSError(f"{command[0]}: failed with status {done.returncode}: {message[-300:]}")
    return done.stdout


def _struck(tone: NDArray[np.float32], length: int, fade: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first `length` samples of a tone, then the damper."""
    sound = tone[: length + len(fade)].copy()
    damped = sound[length:]
    damped *= fade[: len(damped)]
    return sound


def _tone(pitch: int, rate: int, harder: int = 0) -> NDArray[np.float32]:
    """Return the sound of a piano's string from the stroke to silence.

    harder: by how much the velocity is above 80. It makes the higher partials louder.

    Higher partials decay faster. Each decays fast at first and then slowly.
    """
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    k = np.arange(1, _PARTIALS + 1)
    k = k[k * frequency * np.sqrt(1 + _STIFFNESS * k * k) < 0.45 * rate]
    sharp = k * frequency * np.sqrt(1 + _STIFFNESS * k * k)
    loudness = np.abs(np.sin(np.pi * k / 8.3)) / k ** (
        1 + pitch / 127 - harder / 127
    )  # struck at an eighth of the string
    decay = 0.35 * 2 ** ((pitch - 40) / 18) * (1 + 0.35 * (k - 1))
    powers = np.concatenate([-2.5 * decay, -0.6 * decay]) + 2j * np.pi * np.tile(sharp, 2)
    shares = np.concatenate([0.75 * loudness, 0.25 * loudness])
    tone = _sines(powers / rate, shares, int(_TONE_SECONDS * rate))
    attack, quiet = int(0.003 * rate), int(0.2 * rate)
    tone[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    tone[-quiet:] *= np.linspace(1, 0, quiet, dtype=np.float32)
    return tone


def _sines(powers: NDArray[np.complex128], shares: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Return the imaginary part of sum(shares * exp(powers * t)) for t = 0 to size - 1.

    exp(power * t) is its value at the start of a block times its value at the place inside the
    block. So one matrix product gives all samples, faster than a sine for each.
    """
    starts = shares * np.exp(np.outer(_BLOCK * np.arange(-(-size // _BLOCK)), powers))
    inside = np.exp(np.outer(powers, np.arange(_BLOCK)))
    left = np.concatenate([starts.real, starts.imag], axis=1).astype(np.float32)
    right = np.concatenate([inside.imag, inside.real]).astype(np.float32)
    return (left @ right).reshape(-1)[:size]


# Programs that play a WAV file, and what they are told before its name.
_PLAYERS: dict[str, list[str]] = {
    "pw-play": [],
    "paplay": [],
    "aplay": ["-q"],
    "afplay": [],
    "ffplay": ["-nodisp", "-autoexit", "-loglevel", "error"],
}


def player() -> list[str] | None:
    """Return the command of the first installed program that plays a WAV file; None without one.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", PATH=""):
    ...     player()
    """
    found = ((shutil.which(program), options) for program, options in _PLAYERS.items())
    return next(([path, *options] for path, options in found if path), None)


class Playing:
    """A WAV file that a program plays in the background.

    command: as `player` returns it. sound: the bytes of the file.

    >>> playing = Playing(["true"], wav(render([(0.0, 0.5, 60)])))
    >>> while (ended := playing.ended()) is None:
    ...     pass
    >>> ended
    ''
    """

    def __init__(self, command: Sequence[str], sound: bytes) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lstmgen-")
        path = Path(self._folder.name, "music.wav")
        path.write_bytes(sound)
        self._process = subprocess.Popen(
            [*command, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def __repr__(self) -> str:
        return f"<lstmgen.music.audio.Playing by {self._process.args!r}>"

    def ended(self) -> str | None:
        """None while it plays; then what went wrong, or an empty text."""
        if self._process.poll() is None:
            return None
        assert self._process.stderr is not None
        said = b"" if self._process.stderr.closed else self._process.stderr.read()
        self.stop()
        words = " ".join(said.decode(errors="replace").split())
        return words[:200] or "the player failed" if self._process.returncode else ""

    def stop(self) -> None:
        """End the sound, and take the file away."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._folder.cleanup()
