"""Reads how loud an MP3 is, frame by frame, from its side information: enough to tell when someone speaks.

ISO 11172-3 and 13818-3, layer III. `global_gain` grows with the loudness of a granule, a quarter of 6 dB a step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_RATES: Final = {0b11: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}
_BIT_RATES: Final = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MONO: Final = 0b11
_GAIN_AT: Final = 12 + 9
"""The bits of a granule before its gain: part2_3_length and, in the last nine, big_values."""
_BELOW_LOUDEST: Final = 24
"""The steps below a channel's loud granules (36 dB) under which it counts as silent."""
_MIN_GAIN: Final = 90
_JOIN_MS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Granule:
    """The gain of each channel in one granule of `ms` milliseconds."""

    ms: float
    gains: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    is_mpeg1: bool
    rate: int
    is_mono: bool
    side_at: int
    length: int


def granules_of(data: bytes) -> Iterator[Granule]:
    """Yield the granules of an MP3, and nothing for any other file. Frames with an Xing or Info header are skipped."""
    at = _skip_id3(data)
    while at + 4 <= len(data):
        header = _read_header(data, at)
        if header is None:
            at += 1
            continue
        side = data[at + header.side_at : at + header.side_at + 32]
        frame = data[at : at + header.length]
        if b"Xing" not in frame[:64] and b"Info" not in frame[:64] and len(side) == 32:
            yield from _read_granules(header, side)
        at += header.length


def gains_of(data: bytes) -> list[list[int]]:
    """Return the gain of each granule of each channel, and nothing for a file that is no MP3."""
    granules = list(granules_of(data))
    channels = min((len(granule.gains) for granule in granules), default=0)
    return [[granule.gains[channel] for granule in granules] for channel in range(channels)]


def speech_of(data: bytes) -> list[list[tuple[int, int]]]:
    """Return the intervals of speech of each channel in milliseconds, and nothing for a file that is no MP3."""
    granules = list(granules_of(data))
    channels = min((len(granule.gains) for granule in granules), default=0)
    intervals: list[list[tuple[int, int]]] = []
    for channel in range(channels):
        gains = sorted(granule.gains[channel] for granule in granules)
        threshold = max(_MIN_GAIN, gains[len(gains) * 95 // 100] - _BELOW_LOUDEST)
        found: list[tuple[int, int]] = []
        at = 0.0
        for granule in granules:
            end = at + granule.ms
            if granule.gains[channel] >= threshold:
                if found and at - found[-1][1] <= _JOIN_MS:
                    found[-1] = (found[-1][0], round(end))
                else:
                    found.append((round(at), round(end)))
            at = end
        intervals.append(found)
    return intervals


def length_ms(data: bytes) -> int:
    """Return the length of an MP3 in milliseconds."""
    return round(sum(granule.ms for granule in granules_of(data)))


def _skip_id3(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _read_header(data: bytes, at: int) -> _Header | None:
    if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, data[at + 1] >> 1 & 3
    bit_rate_index, rate_index, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if version not in _RATES or layer != 0b01 or rate_index == 3 or bit_rate_index in (0, 15):
        return None
    is_mpeg1, rate = version == 0b11, _RATES[version][rate_index]
    samples_per_bit = 144 if is_mpeg1 else 72
    has_crc = not data[at + 1] & 1
    return _Header(
        is_mpeg1=is_mpeg1,
        rate=rate,
        is_mono=data[at + 3] >> 6 == _MONO,
        side_at=6 if has_crc else 4,
        length=samples_per_bit * _BIT_RATES[is_mpeg1][bit_rate_index] * 1000 // rate + padding,
    )


def _read_granules(header: _Header, side: bytes) -> Iterator[Granule]:
    bits = int.from_bytes(side)
    channels = 1 if header.is_mono else 2
    if header.is_mpeg1:
        first, granules, granule_bits = (18 if header.is_mono else 20), 2, 59
    else:
        first, granules, granule_bits = (9 if header.is_mono else 10), 1, 63
    for granule in range(granules):
        gains = []
        for channel in range(channels):
            at = first + (granule * channels + channel) * granule_bits + _GAIN_AT
            gain, big_values = bits >> (8 * len(side) - at - 8) & 0xFF, bits >> (8 * len(side) - at) & 0x1FF
            # A granule without values is silent, whatever its gain.
            gains.append(gain if big_values else 0)
        yield Granule(ms=576 / header.rate * 1000, gains=tuple(gains))
