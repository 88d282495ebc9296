"""Read the frames of MPEG layer III one by one from a file's bytes as they pass by, without decoding them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from switchboard.domain.recording.mp3 import (
    HEADER_BYTES,
    ID3V2_HEADER_BYTES,
    LAYER_III,
    LONGEST_POINT,
    POINT,
    Frame,
    holds_encoder_notes,
    measure_id3v2,
    parse_frame,
)

GRANULE_SAMPLES: Final = 576
"""The samples per channel of a granule. A frame of MPEG-1 has two granules, one of MPEG-2 and 2.5 has one."""
GAP: Final = b""
"""The element that stands before the first frame and before each frame that does not directly follow another one."""


def read_frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each whole frame of layer III with its header, and GAP before each run of them.

    A run begins if a second header of its kind follows where the first one's length says. An encoder's notes at the
    beginning of a run, tags and all other bytes are left out. The reader keeps one chunk and one frame.
    """
    data, to_skip = b"", 0
    kind, lengths = None, dict[bytes, int]()  # of the run; its headers with the lengths of their frames
    for chunk in chunks:
        if to_skip >= len(chunk):
            to_skip -= len(chunk)
            continue
        data, at = data + chunk, to_skip
        while True:
            header = data[at : at + HEADER_BYTES]
            length = lengths.get(header)
            if length is not None:
                if at + length > len(data):
                    break
                yield data[at : at + length]
                at += length
                continue
            if len(header) < HEADER_BYTES:
                break
            frame = parse_frame(header)
            if frame is None or frame.kind != kind:
                kind, lengths = None, {}
                at, frame = _find_run(data, at)
                if frame is None:
                    break
                kind = frame.kind
                yield GAP
                if holds_encoder_notes(data[at : at + frame.length], frame):
                    at += frame.length
                    continue
            lengths[data[at : at + HEADER_BYTES]] = frame.length
        data, to_skip = data[at:], max(0, at - len(data))


def _find_run(data: bytes, at: int) -> tuple[int, Frame | None]:
    """Return where the next run begins and its first frame, or None and where to go on once more bytes have come."""
    while point := POINT.search(data, at):
        at = point.start()
        frame = parse_frame(point[0])
        if at + (frame.length + HEADER_BYTES if frame else ID3V2_HEADER_BYTES) > len(data):
            return at, None
        if frame is None:
            at += (point[0] == b"ID3" and measure_id3v2(data[at : at + ID3V2_HEADER_BYTES])) or 1
            continue
        next_frame = parse_frame(data[at + frame.length : at + frame.length + HEADER_BYTES])
        if frame.kind.layer == LAYER_III and next_frame is not None and next_frame.kind == frame.kind:
            return at, frame
        at += 1
    return max(at, len(data) - LONGEST_POINT + 1), None
