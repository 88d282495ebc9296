"""Tell what audio a file holds, and how long it is, from its bytes as they pass by."""

from __future__ import annotations

from enum import Enum
from typing import Final

from switchboard.domain.recording.mp3 import LAYER_I, LAYER_II, LAYER_III, FrameScanner, looks_like_text

_HEAD_BYTES: Final = 16_384
_OGG_CODECS: Final = (b"OpusHead", b"\x01vorbis", b"Speex   ", b"\x7fFLAC")
_ADTS_HEADER_BYTES: Final = 7
_WAV_DATA_BEGINS_BEFORE: Final = 4096
_PCM, _IEEE_FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_SAMPLES_OF_FIXED_SIZE: Final = frozenset({_PCM, _IEEE_FLOAT, _A_LAW, _MU_LAW})


class AudioFormat(Enum):
    """The formats in which a recording is stored, each with the extension of its files and its media type."""

    MP3 = "mp3", "audio/mpeg"
    MPEG_LAYER_II = "mp2", "audio/mpeg"
    MPEG_LAYER_I = "mp1", "audio/mpeg"
    WAV = "wav", "audio/wav"
    AAC = "aac", "audio/aac"
    OGG = "ogg", "audio/ogg"

    def __init__(self, extension: str, content_type: str) -> None:
        self.extension = extension
        self.content_type = content_type


_LAYERS: Final = {
    LAYER_I: AudioFormat.MPEG_LAYER_I,
    LAYER_II: AudioFormat.MPEG_LAYER_II,
    LAYER_III: AudioFormat.MP3,
}


class AudioMeter:
    """A meter for the format and the length of one file, fed with its bytes in order, in pieces of any size.

    It keeps few bytes, whatever the size of the file.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._head = b""
        self._scanner = FrameScanner()

    def feed(self, chunk: bytes) -> None:
        """Read the file's next bytes."""
        self._bytes += len(chunk)
        if len(self._head) < _HEAD_BYTES:
            self._head += chunk[: _HEAD_BYTES - len(self._head)]
        self._scanner.feed(chunk)

    def finish(self) -> None:
        """Read what is left. No byte follows."""
        self._scanner.finish()

    @property
    def format(self) -> AudioFormat | None:
        """The format that the bytes up to now show, or None if they show none.

        A container shows it by its first bytes. MPEG audio shows it by two frames in a row, each where the length of
        the one before says. Zeros, tags of any size and a little of anything but text may come before them.
        """
        head = self._head
        if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
            return AudioFormat.WAV
        if head.startswith(b"OggS\x00") and any(name in head[:64] for name in _OGG_CODECS):
            return AudioFormat.OGG
        if _begins_with_adts_frames(head):
            return AudioFormat.AAC
        return None if self._scanner.layer is None else _LAYERS[self._scanner.layer]

    @property
    def is_text(self) -> bool:
        """True if the file begins with text, as a page or an error does."""
        return looks_like_text(self._head[:256]) or self._scanner.is_text

    def seconds(self) -> float | None:
        """Return the length of the finished file in seconds, to the millisecond, or None if the bytes do not tell."""
        if self.format is AudioFormat.WAV:
            return _measure_wav(self._head, self._bytes)
        return None if self.format in (None, AudioFormat.AAC, AudioFormat.OGG) else self._scanner.seconds()


def _begins_with_adts_frames(head: bytes) -> bool:
    """Return whether two frames of AAC in ADTS follow each other."""
    length = _measure_adts_frame(head)
    return length > 0 and _measure_adts_frame(head[length:]) > 0 and head[1:3] == head[length + 1 : length + 3]


def _measure_adts_frame(data: bytes) -> int:
    """Return the length of the ADTS frame at the beginning of `data`, or 0 if there is none."""
    if len(data) < _ADTS_HEADER_BYTES or data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or data[2] >> 2 & 15 > 12:
        return 0
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return length if length > _ADTS_HEADER_BYTES else 0


def _measure_wav(head: bytes, size: int) -> float | None:
    """Return the seconds of a WAV file of `size` bytes, or None if its samples vary in size or its header is wrong."""
    at, bytes_per_s = 12, 0
    while at + 8 <= min(len(head), _WAV_DATA_BEGINS_BEFORE):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        content = head[at + 8 : at + 8 + length]
        if name == b"fmt " and len(content) >= 16:
            bytes_per_s = _read_bytes_per_s(content)
        if name == b"data":
            is_consistent = bytes_per_s and 0 < length <= size - at - 8
            return round(length / bytes_per_s, 3) if is_consistent else None
        at += 8 + length + length % 2
    return None


def _read_bytes_per_s(content: bytes) -> int:
    """Return the bytes a second by a WAV file's format, or 0 if the format's values contradict each other."""
    kind, channels, rate, bytes_per_s, block, bits = (
        int.from_bytes(content[at : at + size], "little")
        for at, size in ((0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2))
    )
    if kind == _EXTENSIBLE:
        kind = int.from_bytes(content[24:26], "little")
    agrees = block == channels * ((bits + 7) // 8) and bytes_per_s == rate * block
    return bytes_per_s if kind in _SAMPLES_OF_FIXED_SIZE and agrees else 0
