"""Join two mono MP3s into one of two channels without decoding them.

A granule of layer III is a run of bits that stands in the main data of its frame and of those before it, the bit
reservoir (ISO 11172-3, 2.4.1.7 and 2.4.2.7; 13818-3, 2.4.1.7). Its side information tells how many bits it has. So the
granules of two files move bit by bit into new frames of mode "dual channel", whose decoder treats the channels as two
mono files: it puts out the same samples. Each new frame has the bit rate that its two granules need.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Final

from switchboard.domain.recording.mp3 import (
    HEADER_BYTES,
    LAYER_III,
    MPEG_1,
    Frame,
    measure_side_information,
    parse_frame,
)
from switchboard.domain.recording.mp3_frames import GAP, read_frames

_DUAL_CHANNEL: Final = 0x80
_ORIGINAL: Final = 0x04
_NO_CHECKSUM: Final = 1
_BIT_RATES: Final = range(1, 15)
"""The bit rates' indices in a header. The others are free and forbidden."""
_CHUNK_BYTES: Final = 65_536
_NOTED_FRAMES: Final = 1
"""The flag of an encoder's notes for the number of frames."""


class NotJoinableError(Exception):
    """Two files that cannot be joined.

    `reason` is `no_frames`, `not_mono`, `different_kinds`, `kind_changes` or `too_many_bits`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def can_join(left: bytes, right: bytes) -> bool:
    """Return whether files whose frames have these headers, of four bytes, are mono and of one version and rate."""
    return _find_obstacle(parse_frame(left), parse_frame(right)) is None


def _find_obstacle(left: Frame | None, right: Frame | None) -> str | None:
    if left is None or right is None or LAYER_III not in (left.kind.layer, right.kind.layer):
        return "no_frames"
    if left.channels != 1 or right.channels != 1:
        return "not_mono"
    return None if left.kind == right.kind else "different_kinds"


def join(left: Iterable[bytes], right: Iterable[bytes], *, granules: int | None = None) -> Iterator[bytes]:
    """Yield a file with `left` as its first channel and `right` as its second, piece by piece.

    The shorter file ends with silence. A granule whose bits are not all there is silence, too. Notes of encoders and
    tags are left out: the samples that an encoder added before the audio are part of both channels.

    Args:
        left: the first file, in pieces of any size.
        right: the second file, likewise.
        granules: the number of the longer file's granules (`Loudness.gains`). The first frame then notes how many
            frames follow, from which players tell the length. They estimate it otherwise.

    Raises:
        NotJoinableError: one file has no frames of layer III, is not mono, or differs from the other in version or
            rate; this comes before the first piece. Or the kind changes, or two granules need more than the highest
            bit rate; this comes at that place.
    """
    sources = read_frames(left), read_frames(right)
    firsts = [next((frame for frame in source if frame is not GAP), None) for source in sources]
    parsed = [parse_frame(first[:HEADER_BYTES]) if first else None for first in firsts]
    obstacle = _find_obstacle(*parsed)
    if obstacle:
        raise NotJoinableError(obstacle)
    [first_left, first_right], frame = firsts, parsed[0]
    assert first_left is not None and first_right is not None and frame is not None
    layout = _Layout.of(frame)
    writer = _Writer(layout, first_left)
    pieces, size = [writer.build_notes(granules // layout.granules)] if granules else [], 0
    channels = (
        _read_channel(source, layout, frame, first)
        for source, first in zip(sources, (first_left, first_right), strict=True)
    )
    for pair in zip_longest(*channels, fillvalue=layout.silence):
        for piece in writer.write(*pair):
            pieces.append(piece)
            size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join([*pieces, *writer.finish()])


@dataclass(frozen=True, slots=True)
class _Granule:
    """One granule of one channel: its side information, and its bits as a number with their count."""

    side: int = 0
    bits: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Data:
    """The granules of one frame of one channel, and which scale factors the second one shares with the first."""

    granules: tuple[_Granule, ...]
    shared: int = 0


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of the side information by version, in bits, and the bytes of main data that may come before."""

    granules: int
    granule_bits: int
    begin_bits: int
    shared_bits: int

    @classmethod
    def of(cls, frame: Frame) -> _Layout:
        return cls(2, 59, 9, 4) if frame.kind.version == MPEG_1 else cls(1, 63, 8, 0)

    @property
    def reservoir(self) -> int:
        """The bytes of main data before a frame's own that its granules may use."""
        return (1 << self.begin_bits) - 1

    @property
    def silence(self) -> _Data:
        return _Data((_Granule(),) * self.granules)


def _read_channel(frames: Iterable[bytes], layout: _Layout, kind: Frame, first: bytes) -> Iterator[_Data]:
    """Yield the granules of each frame of a mono file, the `first` of which has been read already.

    Raises:
        NotJoinableError: a frame is of another kind.
    """
    starts: dict[bytes, tuple[int, int]] = {}  # header -> start and end of the side information
    side_bits = 8 * measure_side_information(kind)
    begin_shift = side_bits - layout.begin_bits
    silence, reservoir = layout.silence, b""
    for frame in chain((first,), frames):
        if frame is GAP:
            reservoir = b""  # a decoder that has lost the thread forgets it
            continue
        header = frame[:HEADER_BYTES]
        span = starts.get(header)
        if span is None:
            parsed = parse_frame(header)
            if parsed is None or parsed.kind != kind.kind or parsed.channels != 1:
                raise NotJoinableError("kind_changes")
            start = HEADER_BYTES + (0 if header[1] & _NO_CHECKSUM else 2)
            span = starts[header] = start, start + side_bits // 8
        side = int.from_bytes(frame[span[0] : span[1]], "big")
        begin = len(reservoir) - (side >> begin_shift)
        reservoir += frame[span[1] :]
        yield _read_granules(side, reservoir, begin, layout) if begin >= 0 else silence
        reservoir = reservoir[-layout.reservoir :]


def _read_granules(side: int, main_data: bytes, begin: int, layout: _Layout) -> _Data:
    """Return the granules that `side` describes, whose bits are those of `main_data` from the byte `begin` on."""
    data, left_bits = int.from_bytes(main_data[begin:], "big"), 8 * (len(main_data) - begin)
    mask, granules = (1 << layout.granule_bits) - 1, []
    for number in range(layout.granules - 1, -1, -1):
        granule = side >> number * layout.granule_bits & mask
        count = granule >> layout.granule_bits - 12
        left_bits -= count
        if left_bits < 0:
            return layout.silence
        granules.append(_Granule(granule, data >> left_bits & (1 << count) - 1, count))
    shared = side >> layout.granules * layout.granule_bits & (1 << layout.shared_bits) - 1
    return _Data(tuple(granules), shared)


class _Writer:
    """A writer of frames of two channels, whose main data stands as far before them as the reservoir allows.

    `header` is one of a mono file's.
    """

    def __init__(self, layout: _Layout, header: bytes) -> None:
        self._layout = layout
        self._headers = [
            bytes((0xFF, header[1] | _NO_CHECKSUM, index << 4 | header[2] & 0x0C, _DUAL_CHANNEL | _ORIGINAL))
            for index in _BIT_RATES
        ]
        frames = [frame for frame in map(parse_frame, self._headers) if frame is not None]
        self._side_bytes = measure_side_information(frames[0])
        self._capacities = [frame.length - HEADER_BYTES - self._side_bytes for frame in frames]
        self._reserve = 0  # the bytes of the frames up to now that hold no main data yet
        self._waiting: deque[tuple[bytes, int]] = deque()  # frames up to their main data, and how much they hold
        self._main_data = bytearray()

    def build_notes(self, frames: int) -> bytes:
        """Return a frame of notes that tells the number of `frames` behind it."""
        notes = b"Xing" + _NOTED_FRAMES.to_bytes(4, "big") + frames.to_bytes(4, "big")
        header, capacity = next(
            (header, capacity)
            for header, capacity in zip(self._headers, self._capacities, strict=True)
            if capacity >= len(notes)
        )
        return header + bytes(self._side_bytes) + notes.ljust(capacity, b"\x00")

    def write(self, left: _Data, right: _Data) -> Iterator[bytes]:
        """Add a frame, and yield the frames that are whole now.

        Raises:
            NotJoinableError: no bit rate has room for both channels.
        """
        layout, bits, count = self._layout, 0, 0
        side = left.shared << layout.shared_bits | right.shared
        for pair in zip(left.granules, right.granules, strict=True):
            for granule in pair:
                bits, count = bits << granule.count | granule.bits, count + granule.count
                side = side << layout.granule_bits | granule.side
        size = (count + 7) // 8
        rate = self._choose_rate(size - self._reserve)
        side |= self._reserve << 8 * self._side_bytes - layout.begin_bits
        self._waiting.append((self._headers[rate] + side.to_bytes(self._side_bytes, "big"), self._capacities[rate]))
        self._main_data += (bits << 8 * size - count).to_bytes(size, "big")
        self._reserve += self._capacities[rate] - size
        if self._reserve > layout.reservoir:
            self._main_data += bytes(self._reserve - layout.reservoir)
            self._reserve = layout.reservoir
        yield from self._take_whole()

    def finish(self) -> Iterator[bytes]:
        """Yield the last frames."""
        self._main_data += bytes(self._reserve)
        return self._take_whole()

    def _choose_rate(self, needed: int) -> int:
        """Return the highest bit rate that leaves no more bytes unused than a later frame can reach, or the lowest."""
        rate = max(bisect_right(self._capacities, needed + self._layout.reservoir) - 1, 0)
        if self._capacities[rate] < needed:
            raise NotJoinableError("too_many_bits")
        return rate

    def _take_whole(self) -> Iterator[bytes]:
        while self._waiting and len(self._main_data) >= self._waiting[0][1]:
            head, capacity = self._waiting.popleft()
            yield head + self._main_data[:capacity]
            del self._main_data[:capacity]
