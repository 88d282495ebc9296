"""Makes sound like two people who talk, with the time of each word, and encodes it as a telephone system does."""

from __future__ import annotations

import array
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import lameenc

HERTZ: Final = 8000
_NOISE: Final = [random.Random(number).gauss(0, 1) for number in range(4096)]
Span = tuple[int, int]
"""The start and the end in milliseconds."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The words of two speakers, most of them by turns, and some of them over the other's."""

    seconds: int
    left: list[Span]
    right: list[Span]


def converse(seconds: int, *, seed: int) -> Conversation:
    chance, at = random.Random(seed), 800
    speakers: tuple[list[Span], list[Span]] = ([], [])
    while True:
        for words in speakers:
            begun = at
            for _ in range(chance.randint(3, 9)):
                length = chance.randint(160, 600)
                if at + length > seconds * 1000 - 800:
                    return Conversation(seconds, *(sorted(words) for words in speakers))
                words.append((at, at + length))
                at += length + chance.randint(40, 160)
            other = speakers[words is speakers[0]]
            if chance.random() < 0.3 and at - begun > 2000:  # the other one says yes meanwhile
                other.append((begun + 900, begun + 900 + chance.randint(200, 400)))
            at += chance.randint(300, 900)


def speak(words: Iterable[Span], seconds: int, *, pitch: float, peak: float, seed: int) -> array.array[float]:
    """Make a voice: a falling pitch with breath, two formants and syllables, and a consonant's hiss before each."""
    chance, samples = random.Random(seed), array.array("d", bytes(8 * seconds * HERTZ))
    for start, end in words:
        first, second = chance.choice([(300, 2300), (700, 1200), (500, 1800), (350, 800), (450, 1000)])
        hertz, loud = pitch * chance.uniform(0.85, 1.2), peak * chance.uniform(0.6, 1.0)
        period = _draw_period(hertz, first, second)
        syllables = max(1, round((end - start) / 180))
        begin, count = start * HERTZ // 1000, (end - start) * HERTZ // 1000
        phase = 0.0
        for at in range(count):
            phase += hertz * (1.1 - 0.25 * at / count) / HERTZ
            place = at / count * syllables % 1
            envelope = math.sin(math.pi * min(1.0, 0.1 + place)) ** 0.7 if place < 0.9 else 0.15
            voice = period[int(phase * 256) % 256]
            hiss = (chance.random() - 0.5) * (0.6 if place < 0.12 else 0.2)
            samples[begin + at] = loud * envelope * (voice + hiss)
    return samples


def _draw_period(hertz: float, first: float, second: float) -> list[float]:
    harmonics = [
        (number, 1 / (1 + ((number * hertz - first) / 120) ** 2) + 0.4 / (1 + ((number * hertz - second) / 200) ** 2))
        for number in range(1, int(3600 / hertz))
    ]
    total = sum(weight for _, weight in harmonics)
    return [
        sum(weight * math.sin(2 * math.pi * number * step / 256) for number, weight in harmonics) / total * 2
        for step in range(256)
    ]


def mix(*parts: tuple[Sequence[float], float], noise: float, seed: int) -> list[int]:
    """Add the parts, each with its change in dB, and steady noise of an effective value."""
    hum = random.Random(seed).choices(_NOISE, k=len(parts[0][0]))
    columns = [[10 ** (db / 20) * sample for sample in samples] for samples, db in parts]
    return [
        max(-32768, min(32767, round(sum(column)))) for column in zip(*columns, (noise * h for h in hum), strict=True)
    ]


def encode(
    samples: Iterable[int],
    *,
    hertz: int = HERTZ,
    kbit_per_s: int = 32,
    vbr_mode: int | None = None,
    quality: int = 5,
    channels: int = 1,
) -> bytes:
    """Encode samples. `vbr_mode` is LAME's: 2 and 4 are variable bit rates, 3 aims at an average."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(hertz)
    encoder.set_out_sample_rate(hertz)
    encoder.set_channels(channels)
    encoder.set_quality(5)
    encoder.set_bit_rate(kbit_per_s)
    if vbr_mode is not None:
        encoder.set_vbr(vbr_mode)
        encoder.set_vbr_quality(quality)
        encoder.set_vbr_mean_bitrate_kbps(kbit_per_s)
    return bytes(encoder.encode(array.array("h", samples).tobytes()) + encoder.flush())
