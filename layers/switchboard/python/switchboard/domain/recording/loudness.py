"""Tell how loud an MP3 is at each moment from its frames' side information, without decoding it.

Each granule of layer III has a `global_gain`, the exponent of its quantiser's step (ISO 11172-3, 2.4.3.4): one more is
1.5 dB. An encoder with a constant bit rate takes a larger step for louder sounds. So gains of one encoder at one bit
rate can be compared with each other, and with the softest ones of the same file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.mp3 import HEADER_BYTES, MPEG_1, Frame, measure_side_information, parse_frame
from switchboard.domain.recording.mp3_frames import GAP, GRANULE_SAMPLES, read_frames
from switchboard.domain.recording.words import ChannelWords, Word

_DB_PER_STEP: Final = 20 * math.log10(2) / 4
_SPEECH_ABOVE_FLOOR: Final = math.ceil(12 / _DB_PER_STEP)
"""The steps above the noise floor from which sound is speech. Steady noise varies by half of that."""
_FLOOR_QUANTILE: Final = 0.1
"""The share of a channel's granules that hold nothing but noise: each speaker listens, too."""
_AUDIBLE_GAIN: Final = 120
"""The gain that every sound of more than -50 dBFS has at some moment, steady or not, at 16 to 64 kbit/s and 8 kHz."""
_SMOOTHING_MS: Final = 200
_HANGOVER_MS: Final = 400
"""A pause up to this length belongs to the speech around it: it is within a word or between two."""
_SHORTEST_SPEECH_MS: Final = 120
_ECHO_SOFTER: Final = math.ceil(10 / _DB_PER_STEP)
"""The steps by which an echo is softer than what is echoed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """The gain of each granule of an MP3.

    `gains` has one element for each channel, with one byte for each granule in steps of 1.5 dB; 0 is digital silence.
    In joint stereo these may be the channels' sum and difference.
    `kbit_per_s` is None if the bit rate varies.
    """

    hertz: int
    kbit_per_s: int | None
    gains: tuple[bytes, ...]

    @property
    def granule_ms(self) -> float:
        """The length of a granule in milliseconds: 72 at 8 kHz."""
        return GRANULE_SAMPLES * 1000 / self.hertz

    @property
    def seconds(self) -> float:
        """The length in seconds, with what an encoder added before and behind the audio."""
        return len(self.gains[0]) * GRANULE_SAMPLES / self.hertz

    @property
    def is_silent(self) -> bool:
        """True if there is no sound on any channel. Steady sound such as music on hold may have words in it."""
        if any(max(channel, default=0) > _AUDIBLE_GAIN for channel in self.gains):
            return False
        return not any(activity(self, channel) for channel in range(len(self.gains)))


def measure_loudness(chunks: Iterable[bytes]) -> Loudness | None:
    """Return the loudness of a file that comes in pieces of any size.

    An hour of 8 kHz takes about 0.1 s, and one byte of memory for each granule. The result is None if the file holds no
    frames of layer III, or frames of different rates or numbers of channels.
    """
    readers: dict[bytes, _GainReader] = {}
    gains: tuple[bytearray, ...] = ()
    for frame in read_frames(chunks):
        if frame is GAP:
            continue
        header = frame[:HEADER_BYTES]
        reader = readers.get(header)
        if reader is None:
            parsed = parse_frame(header)
            assert parsed is not None
            reader = readers[header] = _GainReader.of(parsed, has_checksum=not header[1] & 1)
            gains = gains or tuple(bytearray() for _ in range(parsed.channels))
            if len({(reader.hertz, len(reader.shifts)) for reader in readers.values()}) > 1:
                return None
        side = int.from_bytes(frame[reader.start : reader.end], "big")
        for channel, shifts in zip(gains, reader.shifts, strict=True):
            for shift in shifts:
                # 12 bits are the granule's length, 9 its pairs, 8 the gain. A granule without bits is silent.
                channel.append(side >> shift & 0xFF if side >> shift + 17 & 0xFFF else 0)
    if not readers:
        return None
    [hertz, *_], bit_rates = (list({getattr(r, name) for r in readers.values()}) for name in ("hertz", "kbit_per_s"))
    return Loudness(
        hertz=hertz,
        kbit_per_s=bit_rates[0] if len(bit_rates) == 1 else None,
        gains=tuple(bytes(channel) for channel in gains),
    )


@dataclass(frozen=True, slots=True)
class _GainReader:
    """The place of the gains within the frames of one header.

    The side information is the bytes from `start` to `end`. `shifts` are the bits behind each gain, for each channel.
    """

    hertz: int
    kbit_per_s: int
    start: int
    end: int
    shifts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, frame: Frame, *, has_checksum: bool) -> _GainReader:
        granules, granule_bits = (2, 59) if frame.kind.version == MPEG_1 else (1, 63)
        start, size = HEADER_BYTES + 2 * has_checksum, measure_side_information(frame)
        ends = [
            tuple(granule_bits * (frame.channels * (granules - granule) - channel) for granule in range(granules))
            for channel in range(frame.channels)
        ]
        shifts = tuple(tuple(end - 12 - 9 - 8 for end in channel) for channel in ends)
        return cls(frame.kind.hertz, frame.kbit_per_s, start, start + size, shifts)


def activity(loudness: Loudness, channel: int = 0) -> list[tuple[int, int]]:
    """Return the times in which a channel holds speech, as (start, end) in milliseconds, in order.

    The noise floor is estimated from the file itself. A short pause belongs to the speech around it.
    """
    step, spans = loudness.granule_ms, list[tuple[float, float]]()
    for granule, is_active in enumerate(_find_active(loudness, channel)):
        if not is_active:
            continue
        start, end = granule * step, (granule + 1) * step
        if spans and start - spans[-1][1] <= _HANGOVER_MS:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    return [(round(start), round(end)) for start, end in spans if end - start >= _SHORTEST_SPEECH_MS]


def _find_active(loudness: Loudness, channel: int) -> list[bool]:
    """Return for each granule if the gains around it are above the noise floor."""
    gains = loudness.gains[channel]
    floor = _noise_floor(gains)
    width = max(1, round(_SMOOTHING_MS / loudness.granule_ms)) // 2
    levels = [max(gain - floor, 0) for gain in gains]
    sums = [0]
    for level in levels:
        sums.append(sums[-1] + level)
    last = len(levels)
    ends = ((max(0, granule - width), min(last, granule + width + 1)) for granule in range(last))
    return [sums[end] - sums[start] >= _SPEECH_ABOVE_FLOOR * (end - start) for start, end in ends]


def _noise_floor(gains: bytes) -> int:
    """Return the gain of the noise between what is said. Digital silence is no noise."""
    total = len(gains) - gains.count(0)
    seen = 0
    for gain in range(1, 256):
        seen += gains.count(gain)
        if seen > total * _FLOOR_QUANTILE:
            return gain
    return 255


def mark_echo(words: ChannelWords, loudness: Mapping[Channel, Loudness]) -> ChannelWords:
    """Return the words, with those on `left` and `right` marked that are the speech of the other channel.

    An echo is much softer than the other channel, which is active at the same time. Files of different rates or bit
    rates cannot be compared: then no word is marked.
    """
    left, right = loudness.get(Channel.LEFT), loudness.get(Channel.RIGHT)
    if left is None or right is None or left.kbit_per_s is None:
        return words
    if (left.hertz, left.kbit_per_s) != (right.hertz, right.kbit_per_s):
        return words
    marked = dict(words)
    for channel, own, other in ((Channel.LEFT, left, right), (Channel.RIGHT, right, left)):
        if channel in words:
            marked[channel] = _mark_channel(words[channel], own, other)
    return marked


def _mark_channel(words: tuple[Word, ...], own: Loudness, other: Loudness) -> tuple[Word, ...]:
    is_active, step = _find_active(other, 0), own.granule_ms
    marked = []
    for word in words:
        span = slice(int(word.start_ms / step), math.ceil(word.end_ms / step))
        own_gains, other_gains, active = own.gains[0][span], sorted(other.gains[0][span]), is_active[span]
        louder_half = other_gains[len(other_gains) // 2 :]
        # The loudest moment of a channel's own word is never much softer than the other channel usually is.
        is_echo = (
            len(own_gains) > 0
            and sum(active) * 2 > len(active)
            and sum(louder_half) - max(own_gains) * len(louder_half) >= _ECHO_SOFTER * len(louder_half)
        )
        marked.append(replace(word, echo=True) if is_echo else word)
    return tuple(marked)
