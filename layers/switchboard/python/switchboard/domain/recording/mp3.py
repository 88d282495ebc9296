"""Find the frames of MPEG audio among a file's bytes as they pass by, and count their samples.

A header counts only if a second one of its kind follows where its length says. The frames are counted one by one, so
that the length is exact for constant and for variable bit rates. A recorder that streams writes no length into the
file. The usual libraries then estimate the length from the first frame. For a call that begins with silence they can
return twice its real length. What an encoder notes that it added before and behind the audio does not count.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

HEADER_BYTES: Final = 4
_KIND_AND_LENGTH_BYTES: Final = 3
"""The bytes of a header that tell the frame's kind and length. The last one tells of channels and rights."""
ID3V2_HEADER_BYTES: Final = 10
_ID3V1_BYTES: Final = 128
_APE_HEADER_BYTES: Final = 32
_LYRICS_END_BYTES: Final = 9
LONGEST_POINT: Final = 9
"""The bytes of the longest alternative of POINT. A shorter rest of the data may be the beginning of one."""

_MAX_JUNK_BEFORE_AUDIO: Final = 65_536
"""The search for the first frame ends after this many bytes that are neither zero nor part of a tag."""
_MAX_JUNK_BEYOND_AUDIO: Final = 1_048_576
"""The search for further frames ends once this many bytes more were skipped than counted."""

_FIRST_STRIDE: Final = 32
"""The frames that are compared together at first."""
_BYTES_BETWEEN_STRIDES: Final = 32_768

_TEXT_SAMPLE_BYTES: Final = 256
_SHORTEST_TEXT: Final = 4

# The header of a frame whose values are not reserved and tell its length; MPEG 2.5 has only layer III. Or a tag.
POINT: Final = re.compile(
    rb"\xff[\xfa-\xff\xf2-\xf7\xe2\xe3][\x10-\x1b\x20-\x2b\x30-\x3b\x40-\x4b\x50-\x5b\x60-\x6b\x70-\x7b"
    rb"\x80-\x8b\x90-\x9b\xa0-\xab\xb0-\xbb\xc0-\xcb\xd0-\xdb\xe0-\xeb][\x00-\xff]"
    rb"|ID3|APETAGEX|(?<!APE)TAG|LYRICS(?:200|END)"
)

# The notes of LAME and FFmpeg: flags, the number of frames, bytes, a table, a quality, and what was added.
_NOTES: Final = re.compile(
    rb"(?:Xing|Info)\x00\x00\x00\x0f(?P<frames>.{4}).{4}.{100}.{4}(?:LAME|Lavc|Lavf).{17}(?P<added>.{3})", re.DOTALL
)

MPEG_1, _MPEG_2, _MPEG_2_5 = 3, 2, 0
LAYER_I, LAYER_II, LAYER_III = 3, 2, 1
"""The layers as the bits of a header give them."""
KBIT_PER_S: Final = {
    (MPEG_1, LAYER_I): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (MPEG_1, LAYER_II): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (MPEG_1, LAYER_III): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (_MPEG_2, LAYER_I): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (_MPEG_2, LAYER_II): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (_MPEG_2, LAYER_III): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (_MPEG_2_5, LAYER_III): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ: Final = {MPEG_1: (44100, 48000, 32000), _MPEG_2: (22050, 24000, 16000), _MPEG_2_5: (11025, 12000, 8000)}
_MONO: Final = 3


class FrameScanner:
    """A scanner for the frames of one file, fed with its bytes in order, in pieces of any size.

    `layer` is that of the first frames, or None as long as there are none. `is_text` is True if text comes before any
    frame. The scanner keeps few bytes, whatever the size of the file.
    """

    def __init__(self) -> None:
        self.layer: int | None = None
        self._unread = b""
        self._bytes_to_skip = 0
        self._run: Kind | None = None
        self._sizes: dict[bytes, tuple[int, int]] = {}  # header of the run -> bytes and samples of its frame
        self._last_size = (0, 0)
        self._stride = _FIRST_STRIDE
        self._samples: Counter[int] = Counter()  # by Hz
        self._notes: _Notes | None = None
        self._counted = self._skipped = self._skipped_in_a_row = 0
        self._first_junk = b""
        self._given_up = False

    @property
    def is_text(self) -> bool:
        """True if the file begins with text."""
        return looks_like_text(self._first_junk)

    def feed(self, chunk: bytes) -> None:
        """Read the file's next bytes."""
        if self._bytes_to_skip >= len(chunk):
            self._bytes_to_skip -= len(chunk)
        else:
            self._unread = self._read(self._unread + chunk, last=False)

    def finish(self) -> None:
        """Read what is left. No byte follows."""
        self._unread = self._read(self._unread, last=True)
        if self._run is not None and self._bytes_to_skip:
            # The last frame is cut.
            self._counted -= self._last_size[0]
            self._samples[self._run.hertz] -= self._last_size[1]
            self._run = None

    def seconds(self) -> float | None:
        """Return the length in seconds, to the millisecond, or None if more bytes were skipped than counted."""
        if self._given_up or self._skipped > self._counted:
            return None
        seconds = sum(samples / hertz for hertz, samples in self._samples.items())
        if self._notes is not None and self._samples[self._notes.hertz] == self._notes.samples:
            seconds -= self._notes.added_samples / self._notes.hertz
        return max(0.0, round(seconds, 3)) or None

    def _read(self, data: bytes, *, last: bool) -> bytes:
        """Read `data` and return its end, whose meaning depends on the bytes that follow. With `last` none follow."""
        at, self._bytes_to_skip = self._bytes_to_skip, 0
        while at < len(data):
            if self._given_up:
                return b""
            next_at = self._search(data, at, last=last) if self._run is None else self._count_frames(data, at)
            if next_at is None:
                if not last:
                    return data[at:]
                self._run, next_at = None, at  # fewer bytes than a header follow the last frame
            at = next_at
        self._bytes_to_skip = at - len(data)
        return b""

    def _count_frames(self, data: bytes, at: int) -> int | None:
        """Count the frames from `at` on, and return where the next one begins or, if there is none, where it would.

        The frames of a constant bit rate follow each other at equal distances. Strides of them are compared together,
        and grow longer. If one is not whole, the next bytes are read frame by frame before another is tried.
        """
        assert self._run is not None
        sizes, end, start, size, samples = self._sizes, len(data) - HEADER_BYTES, at, None, 0
        next_stride_at = at
        while at <= end:
            header = data[at : at + HEADER_BYTES]
            size = sizes.get(header)
            if size is None:
                frame = parse_frame(header)
                if frame is None or frame.kind != self._run:
                    break
                size = sizes[header] = (frame.length, frame.samples)
            if at >= next_stride_at:
                limit = min(self._stride, (end - at) // size[0] + 1)
                count = _count_headers(data, at, header, distance=size[0], limit=limit)
                at += (count - 1) * size[0]
                samples += (count - 1) * size[1]
                if count < limit:
                    self._stride, next_stride_at = _FIRST_STRIDE, at + _BYTES_BETWEEN_STRIDES
                elif limit == self._stride:
                    self._stride *= 4
            at += size[0]
            samples += size[1]
            self._last_size = size
        self._samples[self._run.hertz] += samples
        self._counted += at - start
        if at <= end:
            self._run = None
            return at
        return at if at > start else None

    def _search(self, data: bytes, at: int, *, last: bool) -> int | None:
        """Find a tag, the beginning of a run of frames, or bytes that are neither. Return where to go on.

        The result is None if that depends on bytes that are still to come.
        """
        point = POINT.search(data, at)
        if point is None:
            end = len(data) if last else max(at, len(data) - LONGEST_POINT + 1)
            return self._skip(data, at, end) if end > at else None
        if point.start() > at:
            return self._skip(data, at, point.start())
        header = point[0]
        if header[0] == 0xFF:
            return self._begin_run(data, at, header, last=last)
        required = {b"ID3": ID3V2_HEADER_BYTES, b"APETAGEX": _APE_HEADER_BYTES}.get(header, 0)
        if len(data) - at < required:
            return self._skip(data, at, at + 1) if last else None
        length = self._measure_tag(data, at, header)
        if not length:
            return self._skip(data, at, at + 1)
        self._skipped_in_a_row = 0
        return at + length

    def _begin_run(self, data: bytes, at: int, header: bytes, *, last: bool) -> int | None:
        frame = parse_frame(header)
        next_at = at + (frame.length if frame else 0)
        if next_at + HEADER_BYTES > len(data) and not last:
            return None
        next_frame = parse_frame(data[next_at : next_at + HEADER_BYTES])
        if frame is None or next_frame is None or next_frame.kind != frame.kind:
            return self._skip(data, at, at + 1)
        if self.layer is None and self.is_text:
            self._given_up = True
            return at
        if self.layer not in (None, frame.kind.layer):
            return self._skip(data, at, at + 1)
        self.layer, self._run, self._sizes = frame.kind.layer, frame.kind, {}
        first_frame = data[at:next_at]
        samples = 0 if holds_encoder_notes(first_frame, frame) else frame.samples
        self._notes = self._notes or _read_notes(first_frame, frame)
        self._last_size = (frame.length, samples)
        self._skipped_in_a_row = 0
        self._counted += frame.length
        self._samples[frame.kind.hertz] += samples
        return next_at

    def _measure_tag(self, data: bytes, at: int, name: bytes) -> int:
        """Return the length of the tag, or of the rest of it, that has its `name` at `at`. It is 0 if there is none."""
        if name == b"ID3":
            return measure_id3v2(data[at : at + ID3V2_HEADER_BYTES])
        if name == b"TAG":
            # Three letters are too few to recognise the tag among other bytes.
            return 0 if self._skipped_in_a_row else _ID3V1_BYTES
        if name == b"APETAGEX":
            size = int.from_bytes(data[at + 12 : at + 16], "little")
            if data[at + 23] & 0x20:
                return _APE_HEADER_BYTES + size
            self._skipped -= min(self._skipped_in_a_row, size)  # a footer: the tag came before it
            return _APE_HEADER_BYTES
        # The end of Lyrics3, whose text came before it.
        self._skipped -= self._skipped_in_a_row
        if self._first_junk.startswith(b"LYRICSBEGIN"):
            self._first_junk = b""
        return _LYRICS_END_BYTES

    def _skip(self, data: bytes, start: int, end: int) -> int:
        """Count bytes that are neither frames nor tags, and return their end. Zeros do not count."""
        skipped = end - start - data.count(0, start, end)
        if self.layer is None and len(self._first_junk) < _TEXT_SAMPLE_BYTES:
            self._first_junk = (self._first_junk + data[start:end]).lstrip(b"\x00")[:_TEXT_SAMPLE_BYTES]
        self._skipped += skipped
        self._skipped_in_a_row += skipped
        limit = _MAX_JUNK_BEFORE_AUDIO if self.layer is None else self._counted + _MAX_JUNK_BEYOND_AUDIO
        self._given_up = self._skipped > limit
        return end


@dataclass(frozen=True, slots=True)
class Kind:
    """The properties in which all frames of one file agree. `version` and `layer` are the header's bits."""

    version: int
    layer: int
    hertz: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its kind, its bytes with the header, its samples per channel, its bit rate and its channels."""

    kind: Kind
    length: int
    samples: int
    kbit_per_s: int
    channels: int


@dataclass(frozen=True, slots=True)
class _Notes:
    """An encoder's notes: the samples per channel of all frames at `hertz`, and how many of them it added."""

    hertz: int
    samples: int
    added_samples: int


@lru_cache(maxsize=256)  # a file has a handful of different headers
def parse_frame(header: bytes) -> Frame | None:
    """Return the frame of a header, or None if it is no header or does not tell the frame's length."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer, padding = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 1 & 1
    rates, bit_rate, rate = KBIT_PER_S.get((version, layer)), header[2] >> 4, header[2] >> 2 & 3
    if rates is None or bit_rate in (0, 15) or rate == 3:
        return None
    hertz = _HERTZ[version][rate]
    kbit_per_s = rates[bit_rate]
    bits_per_s = kbit_per_s * 1000
    if layer == LAYER_I:
        samples, length = 384, (12 * bits_per_s // hertz + padding) * 4
    else:
        samples = 576 if layer == LAYER_III and version != MPEG_1 else 1152
        length = samples // 8 * bits_per_s // hertz + padding
    channels = 1 if header[3] >> 6 == _MONO else 2
    return Frame(Kind(version, layer, hertz), length, samples, kbit_per_s, channels)


def _count_headers(data: bytes, at: int, header: bytes, *, distance: int, limit: int) -> int:
    """Return how many of the `limit` frames that fit into `data` from `at` on are like that of `header`.

    They are as long, at `distance` from each other. Each byte of the header is compared in all of them at once.
    """
    count = limit
    for offset, byte in enumerate(header[:_KIND_AND_LENGTH_BYTES], start=at):
        column, copy = data[offset : offset + limit * distance : distance], bytes((byte,))
        if column != copy * limit:
            count = min(count, limit - len(column.lstrip(copy)))
    return count


def measure_side_information(frame: Frame) -> int:
    """Return the bytes of layer III's side information, which follows the header and a checksum."""
    is_mono = frame.channels == 1
    return (17 if is_mono else 32) if frame.kind.version == MPEG_1 else (9 if is_mono else 17)


def holds_encoder_notes(data: bytes, frame: Frame) -> bool:
    """Return whether a file's first frame holds the encoder's notes on the file instead of audio.

    They stand behind the side information, whose size depends on the version and on mono. Encoders disagree about the
    two bytes of a checksum before it.
    """
    if frame.kind.layer != LAYER_III:
        return False
    at = HEADER_BYTES + measure_side_information(frame)
    return data[36:40] == b"VBRI" or any(data[at + crc : at + crc + 4] in (b"Xing", b"Info") for crc in (0, 2))


def _read_notes(data: bytes, frame: Frame) -> _Notes | None:
    """Return the notes in a frame, or None if they do not tell the number of frames and what the encoder added."""
    match = _NOTES.search(data)
    if match is None:
        return None
    delay_and_padding = int.from_bytes(match["added"], "big")  # 12 bits each
    return _Notes(
        hertz=frame.kind.hertz,
        samples=int.from_bytes(match["frames"], "big") * frame.samples,
        added_samples=(delay_and_padding >> 12) + (delay_and_padding & 0xFFF),
    )


def measure_id3v2(header: bytes) -> int:
    """Return the length of an ID3v2 tag with its header and footer, or 0 if this is no header of one."""
    if header[3] not in (2, 3, 4) or header[4] == 0xFF or any(byte >= 0x80 for byte in header[6:10]):
        return 0
    size = 0
    for byte in header[6:10]:  # four times seven bits
        size = size << 7 | byte
    has_footer = header[3] == 4 and header[5] & 0x10
    return ID3V2_HEADER_BYTES * (2 if has_footer else 1) + size


def looks_like_text(data: bytes) -> bool:
    """Return whether bytes of any length begin like text, a page or a document, and not like binary data."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    # The bytes that no text holds, by the WHATWG's rules for sniffing.
    if len(text) < _SHORTEST_TEXT or any(byte < 0x20 and byte not in b"\t\n\x0c\r\x1b" for byte in text):
        return False
    if text[:1] in (b"<", b"{", b"["):
        return True
    try:
        getincrementaldecoder("utf-8")().decode(text)  # the sample may end within a character
    except UnicodeDecodeError:
        return False
    return True
