"""Sound: a small piano of sums of decaying sines, WAV files, and the programs that do more."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 44_100  # samples a second
PEAK = 0.9  # of full scale: the loudest sample of whatever is played

_MAX_SECONDS = 3600
_TONE_SECONDS = 8.0  # a string is silent after that
_RELEASE = 0.25  # seconds after the end of a note, in which the damper works
_BLOCK = 1024
_PARTIALS = 16
_STIFFNESS = 4e-4  # of the strings: partial k is sqrt(1 + stiffness k^2) sharp
_ENCODERS = {
    "mp3": {
        "ffmpeg": ["-loglevel", "error", "-f", "wav", "-i", "pipe:0", "-b:a", "192k", "-f", "mp3", "pipe:1"],
        "lame": ["--quiet", "-b", "192", "-", "-"],
    },
    "ogg": {
        "ffmpeg": ["-loglevel", "error", "-f", "wav", "-i", "pipe:0", "-q:a", "6", "-f", "ogg", "pipe:1"],
        "oggenc": ["--quiet", "-q", "6", "-o", "-", "-"],
    },
}
_SOUNDFONT_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")


def render(notes: Sequence[tuple[float, float, int]], rate: int = RATE) -> NDArray[np.float32]:
    """Play notes (start and duration in seconds, MIDI pitch): samples (n, 2), left and right, -0.9 to 0.9.

    All notes are struck alike; low ones come from the left. Raises `ValueError` for more than an hour.
    """
    end = max((start + duration for start, duration, _ in notes), default=0.0)
    if end > _MAX_SECONDS:
        raise ValueError(f"the music is {end:.0f} seconds long: expected at most {_MAX_SECONDS}")
    samples = np.zeros((2, int((end + _RELEASE) * rate) + 1), np.float32)
    fade = np.exp(-np.arange(int(_RELEASE * rate)) / (0.05 * rate)).astype(np.float32)
    fade *= np.linspace(1, 0, len(fade), dtype=np.float32)
    tones: dict[int, NDArray[np.float32]] = {}
    for start, duration, pitch in notes:
        if pitch not in tones:
            tones[pitch] = _tone(pitch, rate)
        sound = _struck(tones[pitch], int(duration * rate), fade)
        at = int(start * rate)
        right = min(max((pitch - 21) / 87, 0.0), 1.0) * 0.5 + 0.25
        for channel, gain in zip(samples, (np.sqrt(1 - right), np.sqrt(right)), strict=True):
            channel[at : at + len(sound)] += np.float32(gain) * sound
    loudest = float(np.abs(samples).max())
    if loudest:
        samples *= PEAK / loudest
    return samples.T


def wav(samples: NDArray[np.float32], rate: int = RATE) -> bytes:
    """A WAV file, 16 bits, of samples (n, channels) from -1 to 1."""
    whole = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(whole.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())
    return buffer.getvalue()


def compressed(make_wav: Callable[[], bytes], kind: str) -> bytes:
    """A WAV file, made once it is clear that a program can encode it, as "mp3" or "ogg".

    Raises `OSError` that names the programs if none is installed, or if one fails.
    """
    for program, options in _ENCODERS[kind].items():
        found = shutil.which(program)
        if found:
            return _run([found, *options], make_wav())
    names = " or ".join(_ENCODERS[kind])
    raise FileNotFoundError(f"a .{kind} needs the program {names}, which is not installed; .wav needs none")


def fluidsynth(midi: bytes, soundfont: str | os.PathLike[str] | None = None) -> bytes:
    """A WAV file of a MIDI file, played by the program fluidsynth.

    `soundfont`: a .sf2 or .sf3 file; None: the one that the environment variable SOUNDFONT names, or the first that the
    system has. Raises `OSError` if the program or a soundfont is missing, or if
    it fails.
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


def _tone(pitch: int, rate: int) -> NDArray[np.float32]:
    """A piano's string from the stroke to silence.

    Its partials decay, the higher the faster, each fast at first and then slowly.
    """
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    k = np.arange(1, _PARTIALS + 1)
    k = k[k * frequency * np.sqrt(1 + _STIFFNESS * k * k) < 0.45 * rate]
    sharp = k * frequency * np.sqrt(1 + _STIFFNESS * k * k)
    loudness = np.abs(np.sin(np.pi * k / 8.3)) / k ** (1 + pitch / 127)  # struck at an eighth of the string
    decay = 0.35 * 2 ** ((pitch - 40) / 18) * (1 + 0.35 * (k - 1))
    powers = np.concatenate([-2.5 * decay, -0.6 * decay]) + 2j * np.pi * np.tile(sharp, 2)
    shares = np.concatenate([0.75 * loudness, 0.25 * loudness])
    tone = _sines(powers / rate, shares, int(_TONE_SECONDS * rate))
    attack, quiet = int(0.003 * rate), int(0.2 * rate)
    tone[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    tone[-quiet:] *= np.linspace(1, 0, quiet, dtype=np.float32)
    return tone


def _sines(powers: NDArray[np.complex128], shares: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """The imaginary part of sum(shares * exp(powers * t)) for t = 0 to size - 1.

    exp(power * t) is a product of its values at the start of a block and at a place inside: one matrix product is
    faster than a sine for each sample.
    """
    starts = shares * np.exp(np.outer(_BLOCK * np.arange(-(-size // _BLOCK)), powers))
    inside = np.exp(np.outer(powers, np.arange(_BLOCK)))
    left = np.concatenate([starts.real, starts.imag], axis=1).astype(np.float32)
    right = np.concatenate([inside.imag, inside.real]).astype(np.float32)
    return (left @ right).reshape(-1)[:size]
