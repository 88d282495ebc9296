"""Recognise an MP3 by its first bytes, and measure its length from its bytes as they pass by.

The frames are counted one by one. The count is exact for constant and for variable bit rates. A recorder that streams
writes no length into the file. The usual libraries then estimate the length from the first frame. For a call that
begins with silence they can return twice its real length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TAG_HEADER_BYTES: Final = 10
_FRAME_HEADER_BYTES: Final = 4
_FIRST_FRAME_BYTES: Final = 64
"""The bytes of the first frame that show if it holds the encoder's notes on the file instead of audio."""

_MAX_BYTES_WITHOUT_FRAME: Final = 65_536
"""The search for a frame ends after this many bytes without one."""

_ENCODER_NOTES: Final = (b"Xing", b"Info", b"VBRI")
_MPEG_1, _RESERVED_VERSION = 3, 1
_LAYER_III: Final = 1
_KBIT_PER_S_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_PER_S_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def begins_like_mp3(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an MP3.

    An MP3 begins with an ID3v2 tag, or with the header of an MPEG audio frame of layer III whose values are not
    reserved. A file that begins with a byte order mark, text, JSON or another audio format is none.
    """
    if head.startswith(b"ID3"):
        # Version, revision, flags, and a size of four bytes without their highest bit.
        whole = len(head) >= _TAG_HEADER_BYTES
        return whole and head[3] in (2, 3, 4) and head[4] != 0xFF and all(byte < 0x80 for byte in head[6:10])
    return _is_frame_header(head)


class Mp3Meter:
    """A meter for the length of one MP3, fed with its bytes in order, in pieces of any size. It keeps few of them."""

    def __init__(self) -> None:
        self._unread = b""
        self._bytes_to_skip = 0
        self._started = False
        self._format: tuple[int, int] | None = None
        self._bytes_without_frame = 0
        self._samples = 0
        self._sizes: dict[bytes, tuple[int, int]] = {}  # frame header -> bytes and samples of its frame

    def feed(self, chunk: bytes) -> None:
        """Read the file's next bytes."""
        if self._bytes_without_frame > _MAX_BYTES_WITHOUT_FRAME:
            return
        if self._bytes_to_skip >= len(chunk) and not self._unread:
            self._bytes_to_skip -= len(chunk)
            return
        data, at = self._unread + chunk, 0
        while True:
            at, self._bytes_to_skip = self._count_frames(data, at + self._bytes_to_skip), 0
            if at > len(data):
                self._unread, self._bytes_to_skip = b"", at - len(data)
                return
            if len(data) - at < self._required_bytes:
                self._unread = data[at:]
                return
            at = self._examine(data, at)

    def seconds(self) -> float | None:
        """Return the length in seconds, to the millisecond, or None if the bytes do not tell it."""
        if self._format is None or self._bytes_without_frame > _MAX_BYTES_WITHOUT_FRAME or not self._samples:
            return None
        return round(self._samples / self._format[1], 3)

    @property
    def _required_bytes(self) -> int:
        """The number of bytes that `_examine` reads next."""
        if not self._started:
            return _TAG_HEADER_BYTES
        return _FIRST_FRAME_BYTES if self._format is None else _FRAME_HEADER_BYTES

    def _count_frames(self, data: bytes, at: int) -> int:
        """Count the frames from `at` on whose headers came before, and return the end of the last.

        `_examine` does the same, but much more slowly: a file is thousands of frames with a handful of headers.
        """
        sizes, last, samples = self._sizes, len(data) - _FRAME_HEADER_BYTES, 0
        if self._bytes_without_frame:
            return at
        while at <= last:
            size = sizes.get(data[at : at + _FRAME_HEADER_BYTES])
            if size is None:
                break
            at += size[0]
            samples += size[1]
        self._samples += samples
        return at

    def _examine(self, data: bytes, at: int) -> int:
        """Examine the bytes from `at` on, and return where to go on."""
        if not self._started:
            self._started = True
            if data.startswith(b"ID3"):
                self._bytes_to_skip = _TAG_HEADER_BYTES + _parse_tag_size(data)
                return at
        header = data[at : at + _FRAME_HEADER_BYTES]
        frame = _parse_frame(header)
        if frame is None or self._format not in (None, frame.format):
            next_at = data.find(b"\xff", at + 1)
            next_at = len(data) if next_at < 0 else next_at
            self._bytes_without_frame += next_at - at
            # Beyond the limit nothing more is examined, including the rest of this piece.
            return next_at if self._bytes_without_frame <= _MAX_BYTES_WITHOUT_FRAME else len(data)
        first_bytes = data[at : at + _FIRST_FRAME_BYTES]
        is_encoder_note = self._format is None and any(name in first_bytes for name in _ENCODER_NOTES)
        self._format, self._bytes_without_frame, self._bytes_to_skip = frame.format, 0, frame.length
        self._samples += 0 if is_encoder_note else frame.samples
        self._sizes[header] = (frame.length, frame.samples)
        return at


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame: its version and sampling rate in Hz, its bytes with the header, its samples per channel."""

    format: tuple[int, int]
    length: int
    samples: int


def _is_frame_header(head: bytes) -> bool:
    if len(head) < _FRAME_HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != _RESERVED_VERSION and layer == _LAYER_III and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


@lru_cache(maxsize=256)  # a file has a handful of different headers
def _parse_frame(header: bytes) -> _Frame | None:
    """Return the frame of a header, or None if it is no header or does not tell the frame's length."""
    if not _is_frame_header(header) or not header[2] >> 4:
        return None
    version, padding = header[1] >> 3 & 3, header[2] >> 1 & 1
    hertz = _HERTZ[version][header[2] >> 2 & 3]
    kbit_per_s = (_KBIT_PER_S_1 if version == _MPEG_1 else _KBIT_PER_S_2)[header[2] >> 4]
    samples = 1152 if version == _MPEG_1 else 576
    return _Frame(format=(version, hertz), length=samples // 8 * 1000 * kbit_per_s // hertz + padding, samples=samples)


def _parse_tag_size(header: bytes) -> int:
    """Return the size of an ID3v2 tag without its header: four times seven bits."""
    size = 0
    for byte in header[6:_TAG_HEADER_BYTES]:
        size = size << 7 | byte & 0x7F
    return size
