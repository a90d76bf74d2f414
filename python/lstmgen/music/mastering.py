"""What makes sound pleasant to hear: a little room around it, and the same loudness each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstmgen.music.audio import parts, peak

LOUDNESS = -18.0  # of a piece, in LUFS
PEAK = 0.9  # the loudest sample at most, where full scale is 1
TAIL = 0.8  # seconds that the room sounds on

_WET = 0.12  # of the sound of the room, beside the sound itself, as amplitude
_DELAY, _FADE = 0.012, 0.9  # seconds until the room answers, and in which it becomes 60 dB softer
_BLOCK, _STEP = 0.4, 0.1  # seconds of a block of BS.1770, and between two of them
_SILENCE, _GATE = -70.0, -10.0  # LUFS; LU below the mean of what is not silent
# Of BS.1770 at 48,000 samples a second, (b, a) of each stage: the head, and what ears do not hear.
_STAGES = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)

Samples = NDArray[np.float32]


def mastered(samples: Samples, rate: int) -> Samples:
    """Return sound in a little room, at the usual loudness.

    samples: (n, channels), any scale. rate: samples a second, 4,000 or more.

    Returns (n + TAIL * rate, channels).

    >>> mastered(np.zeros((8000, 2), np.float32), 8000).shape
    (14400, 2)
    """
    return levelled(in_room(samples, rate), rate)


def in_room(samples: Samples, rate: int) -> Samples:
    """Return sound with the echoes of a room: the noise of many, which fades, and differs in each
    channel. The room is the same each time.

    samples, rate: as in `mastered`, and so is the shape of the result.

    >>> click = np.zeros((8000, 2), np.float32)
    >>> click[0] = 1
    >>> room = in_room(click, 8000)
    >>> float(room[0, 0]), bool(np.abs(room[200:400]).max() > np.abs(room[6000:6200]).max() > 0)
    (1.0, True)
    """
    size = int(TAIL * rate)
    time = np.arange(size) / rate
    answers = np.random.default_rng(1).standard_normal((size, samples.shape[1]))
    answers *= (np.exp(-np.log(1000) * time / _FADE) * (time >= _DELAY))[:, None]
    answers[1:] = 0.5 * answers[1:] + 0.5 * answers[:-1]  # walls take the highest tones
    answers *= _WET / np.sqrt(np.square(answers).sum(0))
    room = np.zeros((len(samples) + size, samples.shape[1]), np.float32)
    room[: len(samples)] = samples
    piece = 1 << 16  # samples that are transformed together
    length = 1 << (piece + size - 1).bit_length()
    spectrum = np.fft.rfft(answers, length, axis=0)
    mono = samples.mean(1)
    for at in range(0, len(mono), piece):
        echoes = np.fft.irfft(np.fft.rfft(mono[at : at + piece], length)[:, None] * spectrum, length, axis=0)
        end = min(at + piece + size, len(room))
        room[at:end] += echoes[: end - at].astype(np.float32)
    return room


def levelled(samples: Samples, rate: int) -> Samples:
    """Return sound at the usual loudness, or softer where its peaks would be too loud.

    samples, rate: as in `mastered`, and so is the shape of the result.

    >>> loud = np.sin(np.arange(16000) * 0.8)[:, None].astype(np.float32)
    >>> round(loudness(levelled(loud, 8000), 8000), 3)
    -18.0
    """
    found = loudness(samples, rate)
    loudest = peak(samples)
    if found == -np.inf or loudest == 0:
        return samples
    gain = np.float32(min(10 ** ((LOUDNESS - found) / 20), PEAK / loudest))
    louder = np.empty_like(samples)
    for to, part in zip(parts(louder), parts(samples), strict=True):
        np.multiply(part, gain, out=to)
    return louder


def loudness(samples: Samples, rate: int) -> float:
    """Return the integrated loudness in LUFS, after ITU-R BS.1770-4. It is -inf for silence.

    samples, rate: as in `mastered`. Less than 0.4 seconds are one block.

    >>> sine = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)[:, None].astype(np.float32)
    >>> round(loudness(sine, 48_000), 1)
    -3.0
    """
    size = max(min(int(_BLOCK * rate), len(samples)), 1)
    starts = range(0, max(len(samples) - size, 0) + 1, max(int(_STEP * rate), 1))
    weights = _weights(size, rate)
    powers = np.array([_power(samples[start : start + size], weights) for start in starts])
    heard = powers[powers > 10 ** ((_SILENCE + 0.691) / 10)]
    if not len(heard):
        return float(-np.inf)
    gate = heard.mean() * 10 ** (_GATE / 10)
    return float(-0.691 + 10 * np.log10(heard[heard > gate].mean()))


def _power(block: Samples, weights: NDArray[np.float64]) -> float:
    """Return the sum over the channels of the mean square of a block, as ears weigh it."""
    return float((np.square(np.abs(np.fft.rfft(block, axis=0))) * weights[:, None]).sum())


def _weights(size: int, rate: int) -> NDArray[np.float64]:
    """Return what the square of each term of a transform adds to the mean square: (terms)."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / rate) / 48_000)
    gains = np.ones(len(z))
    for b, a in _STAGES:
        gains *= np.square(np.abs(np.polyval(b[::-1], z) / np.polyval(a[::-1], z)))
    twice = np.full(len(z), 2.0)  # each term stands for that of the negative frequency, too
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    return np.asarray(gains * twice / size**2)
