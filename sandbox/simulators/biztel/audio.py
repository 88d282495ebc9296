"""Makes real MP3 of any length, and hands out the recorded dialogue.

For any length two made-up voices are encoded once, and their frames are repeated, so that no whole file is in memory.
`dialogue/` has files of two people who speak Japanese, and NOTICE with their licence.
"""

import math
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

import lameenc

from sandbox.simulators.biztel.error_bodies import Channel

SAMPLES_PER_SECOND: Final = 8000
BIT_RATE_KBPS: Final = 32
SAMPLES_PER_FRAME: Final = 576
FRAME_BYTES: Final = SAMPLES_PER_FRAME * BIT_RATE_KBPS * 1000 // 8 // SAMPLES_PER_SECOND
"""The length of every frame, because the constant bit rate divides evenly: a file can be cut at any frame."""

_DIALOGUE: Final = Path(__file__).with_name("dialogue")
_LOOP_FRAMES: Final = 83
_CHUNK_BYTES: Final = 65_536
_SYLLABLES_PER_SECOND: Final = 4.0
_TURN_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to send: a head, then `looped` bytes of `loop` repeated."""

    head: bytes
    loop: bytes = field(default=b"", repr=False)
    looped: int = 0

    @property
    def length(self) -> int:
        """The number of bytes, head included."""
        return len(self.head) + self.looped

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes in pieces of about 64 KiB."""
        for start in range(0, len(self.head), _CHUNK_BYTES):
            yield self.head[start : start + _CHUNK_BYTES]
        block = self.loop * max(1, _CHUNK_BYTES // max(1, len(self.loop)))
        remaining = self.looped
        while remaining > 0:
            yield block[:remaining]
            remaining -= len(block)


def mp3_of_seconds(channel: Channel, seconds: float, *, title: str | None) -> Content:
    """Return the file of one channel, `seconds` long to the nearest frame (72 ms) and at least one frame long.

    With a `title` it begins with an ID3 tag of that title, which makes the files of different calls different.
    """
    frames = max(1, round(seconds * SAMPLES_PER_SECOND / SAMPLES_PER_FRAME))
    return Content(b"" if title is None else _build_id3_tag(title), _encode(channel), frames * FRAME_BYTES)


def mp3_of_bytes(channel: Channel, size: int, *, title: str | None) -> Content:
    """Return the file of one channel with exactly `size` bytes or, without a title, up to one frame fewer.

    It has at least one frame, even if `size` is smaller.
    """
    head = b"" if title is None else _build_id3_tag(title)
    frames = max(1, (size - len(head)) // FRAME_BYTES)
    spare = size - len(head) - frames * FRAME_BYTES
    if title is not None and spare > 0:
        head = _build_id3_tag(title, padding=spare)
    return Content(head, _encode(channel), frames * FRAME_BYTES)


def mp3_of_dialogue(channel: Channel, *, title: str | None) -> Content:
    """Return one channel of the recorded dialogue, with an ID3 tag as in `mp3_of_seconds`."""
    audio = _read_dialogue(channel)
    return Content(b"" if title is None else _build_id3_tag(title), audio, len(audio))


def dialogue_seconds() -> float:
    """Return the length of the recorded dialogue."""
    return len(_read_dialogue(Channel.MONAURAL)) / FRAME_BYTES * SAMPLES_PER_FRAME / SAMPLES_PER_SECOND


@cache
def _read_dialogue(channel: Channel) -> bytes:
    return (_DIALOGUE / f"{channel}.mp3").read_bytes()


def _build_id3_tag(title: str, *, padding: int = 0) -> bytes:
    """Return an ID3v2.3 tag with the title (TIT2) and zeros behind it."""
    text = b"\x00" + title.encode("latin-1", "replace")
    frames = b"TIT2" + len(text).to_bytes(4) + b"\x00\x00" + text + bytes(padding)
    return b"ID3\x03\x00\x00" + bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames


def wav_of_a_second() -> Content:
    """Return a second of silence as WAV: PCM, 8 kHz, 16 bits, mono."""
    size = SAMPLES_PER_SECOND * 2
    form = struct.pack("<HHIIHH", 1, 1, SAMPLES_PER_SECOND, size, 2, 16)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
    return Content(head + b"data" + struct.pack("<I", size), b"\x00", size)


def layer_ii_of_a_second() -> Content:
    """Return about a second of MPEG 1 audio, layer II, 48 kHz, 64 kbit/s: 42 frames of 192 bytes without a sound."""
    return Content(b"", b"\xff\xfd\x44\xc0".ljust(192, b"\x00"), 42 * 192)


def tagged(content: Content, size: int) -> Content:
    """Return the content behind two ID3v2 tags of `size` bytes each."""
    tag = b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\x01" * size
    return replace(content, head=tag * 2 + content.head)


@cache
def _encode(channel: Channel) -> bytes:
    """Return six seconds of `channel` as MP3. Its first frame needs no earlier one, so the MP3 may follow itself."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(SAMPLES_PER_SECOND)
    encoder.set_out_sample_rate(SAMPLES_PER_SECOND)
    encoder.set_bit_rate(BIT_RATE_KBPS)
    encoder.set_quality(7)
    return bytes(encoder.encode(samples_of(channel).tobytes()) + encoder.flush())


@cache
def samples_of(channel: Channel) -> "array[int]":
    """Return six seconds of 16-bit samples of `channel`.

    The other party (left) speaks first and higher; the operator (right) answers. Monaural has both.
    """
    if channel is Channel.MONAURAL:
        both = zip(samples_of(Channel.LEFT), samples_of(Channel.RIGHT), strict=True)
        return array("h", (left + right for left, right in both))
    if channel is Channel.LEFT:
        return _create_voice(pitch_hz=200, turn=0)
    return _create_voice(pitch_hz=125, turn=1)


def _create_voice(*, pitch_hz: int, turn: int) -> "array[int]":
    """Return a hum with overtones in syllables, silent during the other party's turn."""
    period = SAMPLES_PER_SECOND // pitch_hz
    wave = [
        4000 * sum(math.sin(math.tau * overtone * sample / period) / overtone for overtone in (1, 2, 3, 5))
        for sample in range(period)
    ]
    samples = array("h")
    for sample in range(_LOOP_FRAMES * SAMPLES_PER_FRAME):
        at_s = sample / SAMPLES_PER_SECOND
        speaks = int(at_s / _TURN_S) % 2 == turn
        loudness = math.sin(math.pi * at_s * _SYLLABLES_PER_SECOND) ** 2 if speaks else 0.0
        samples.append(int(loudness * wave[sample % period]))
    return samples
