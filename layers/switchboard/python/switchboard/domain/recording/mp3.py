"""What an MP3 begins with, and how long it is: told from its bytes while they pass by.

Its frames are counted one by one, which is exact for constant and variable bit rates alike. A recorder that streams
writes no length into the file, and without that the usual libraries only estimate: they take a call that begins with
silence for one of a constant bit rate, and twice as long as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TAG_HEADER_BYTES: Final = 10
_FRAME_HEADER_BYTES: Final = 4
_FIRST_LOOK_BYTES: Final = 64
"""So much of the first frame shows whether it is no audio but the encoder's notes on the file."""

_GIVE_UP_BYTES: Final = 65_536
"""Where no frame is found for so long, none is looked for any more."""

_NOTES: Final = (b"Xing", b"Info", b"VBRI")
_MPEG_1, _RESERVED_VERSION = 3, 1
_LAYER_III: Final = 1
_KBIT_PER_S_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_PER_S_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def begins_like_mp3(head: bytes) -> bool:
    """Whether a file that begins with `head` is an MP3: an ID3v2 tag, or the header of an MPEG audio frame of layer
    III with values that are not reserved. A byte order mark, text, JSON and other audio formats are none."""
    if head.startswith(b"ID3"):
        # Version, revision, flags, and a size of four bytes without their highest bit.
        whole = len(head) >= _TAG_HEADER_BYTES
        return whole and head[3] in (2, 3, 4) and head[4] != 0xFF and all(byte < 0x80 for byte in head[6:10])
    return _is_frame_header(head)


class Mp3Meter:
    """Measures one MP3 whose bytes are fed to it in order, however they are cut. Keeps a few bytes of them."""

    def __init__(self) -> None:
        self._kept = b""
        self._skip = 0
        self._begun = False
        self._kind: tuple[int, int] | None = None
        self._lost = 0
        self._samples = 0
        self._known: dict[bytes, tuple[int, int]] = {}

    def feed(self, chunk: bytes) -> None:
        """The file's next bytes."""
        if self._lost > _GIVE_UP_BYTES:
            return
        if self._skip >= len(chunk) and not self._kept:
            self._skip -= len(chunk)
            return
        data, at = self._kept + chunk, 0
        while True:
            at, self._skip = self._run(data, at + self._skip), 0
            if at > len(data):
                self._kept, self._skip = b"", at - len(data)
                return
            if len(data) - at < self._wanted:
                self._kept = data[at:]
                return
            at = self._look(data, at)

    def seconds(self) -> float | None:
        """The length in seconds, to the millisecond, or None where the bytes do not tell it."""
        if self._kind is None or self._lost > _GIVE_UP_BYTES or not self._samples:
            return None
        return round(self._samples / self._kind[1], 3)

    @property
    def _wanted(self) -> int:
        """How many bytes the next look needs."""
        if not self._begun:
            return _TAG_HEADER_BYTES
        return _FIRST_LOOK_BYTES if self._kind is None else _FRAME_HEADER_BYTES

    def _run(self, data: bytes, at: int) -> int:
        """Counts the frames from `at` on whose headers have been seen before, and says where they end: as `_look`
        would, and much faster, since a file is thousands of frames with a handful of headers."""
        known, last, samples = self._known, len(data) - _FRAME_HEADER_BYTES, 0
        if self._lost:
            return at
        while at <= last:
            step = known.get(data[at : at + _FRAME_HEADER_BYTES])
            if step is None:
                break
            at += step[0]
            samples += step[1]
        self._samples += samples
        return at

    def _look(self, data: bytes, at: int) -> int:
        """Looks at what begins at `at`, and says where to go on."""
        if not self._begun:
            self._begun = True
            if data.startswith(b"ID3"):
                self._skip = _TAG_HEADER_BYTES + _tag_size(data)
                return at
        frame = _frame(data[at : at + _FRAME_HEADER_BYTES])
        if frame is None or self._kind not in (None, frame.kind):
            next_at = data.find(b"\xff", at + 1)
            next_at = len(data) if next_at < 0 else next_at
            self._lost += next_at - at
            # Past the limit nothing is looked at any more: what remains of this piece is not either.
            return next_at if self._lost <= _GIVE_UP_BYTES else len(data)
        notes = self._kind is None and any(name in data[at : at + _FIRST_LOOK_BYTES] for name in _NOTES)
        self._kind, self._lost, self._skip = frame.kind, 0, frame.length
        self._samples += 0 if notes else frame.samples
        self._known[data[at : at + _FRAME_HEADER_BYTES]] = (frame.length, frame.samples)
        return at


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame: its version and sampling rate in Hz, its bytes with the header, its samples a channel."""

    kind: tuple[int, int]
    length: int
    samples: int


def _is_frame_header(head: bytes) -> bool:
    if len(head) < _FRAME_HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != _RESERVED_VERSION and layer == _LAYER_III and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


@lru_cache(maxsize=256)  # a file has a handful of different headers
def _frame(head: bytes) -> _Frame | None:
    """The frame that a header begins, or None where it is no header or does not tell the frame's length."""
    if not _is_frame_header(head) or not head[2] >> 4:
        return None
    version, padding = head[1] >> 3 & 3, head[2] >> 1 & 1
    hertz = _HERTZ[version][head[2] >> 2 & 3]
    kbit_per_s = (_KBIT_PER_S_1 if version == _MPEG_1 else _KBIT_PER_S_2)[head[2] >> 4]
    samples = 1152 if version == _MPEG_1 else 576
    return _Frame(kind=(version, hertz), length=samples // 8 * 1000 * kbit_per_s // hertz + padding, samples=samples)


def _tag_size(header: bytes) -> int:
    """The size of an ID3v2 tag without its header: four times seven bits."""
    size = 0
    for byte in header[6:_TAG_HEADER_BYTES]:
        size = size << 7 | byte & 0x7F
    return size
