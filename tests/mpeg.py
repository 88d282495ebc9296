"""Makes MPEG audio and tags by hand, for tests. The numbers are those of ISO 11172-3 and 13818-3."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one kind: their header, their bytes with the header, and their seconds."""

    header: bytes
    length: int
    seconds: float

    def __mul__(self, count: int) -> bytes:
        """Return `count` frames."""
        return self.header.ljust(self.length, b"\x11") * count


KINDS: Final = {
    "MPEG 1 layer III, 44.1 kHz, 128 kbit/s": Frames(b"\xff\xfb\x90\x64", 417, 1152 / 44100),
    "MPEG 1 layer III, 44.1 kHz, padded": Frames(b"\xff\xfb\x92\x64", 418, 1152 / 44100),
    "MPEG 1 layer III with CRC": Frames(b"\xff\xfa\x90\x64", 417, 1152 / 44100),
    "MPEG 1 layer III, 48 kHz, 320 kbit/s": Frames(b"\xff\xfb\xe4\x64", 960, 1152 / 48000),
    "MPEG 1 layer III, 32 kHz, 32 kbit/s mono": Frames(b"\xff\xfb\x18\xc4", 144, 1152 / 32000),
    "MPEG 2 layer III, 22.05 kHz, 64 kbit/s": Frames(b"\xff\xf3\x80\x64", 208, 576 / 22050),
    "MPEG 2.5 layer III, 8 kHz, 16 kbit/s mono": Frames(b"\xff\xe3\x28\xc4", 144, 576 / 8000),
    "MPEG 2.5 layer III, 11.025 kHz with CRC": Frames(b"\xff\xe2\x40\x64", 208, 576 / 11025),
    "MPEG 1 layer II, 44.1 kHz, 192 kbit/s": Frames(b"\xff\xfd\xa0\x64", 626, 1152 / 44100),
    "MPEG 2 layer II, 24 kHz, 64 kbit/s": Frames(b"\xff\xf5\x84\x64", 384, 1152 / 24000),
    "MPEG 1 layer I, 44.1 kHz, 384 kbit/s": Frames(b"\xff\xff\xc0\x64", 416, 384 / 44100),
    "MPEG 2 layer I, 16 kHz, 32 kbit/s": Frames(b"\xff\xf7\x18\x64", 96, 384 / 16000),
}
TELEPHONE: Final = KINDS["MPEG 2.5 layer III, 8 kHz, 16 kbit/s mono"]
MUSIC: Final = KINDS["MPEG 1 layer III, 44.1 kHz, 128 kbit/s"]

ID3V1: Final = b"TAG".ljust(128, b"\x20")


def id3v2(size: int, *, footer: bool = False) -> bytes:
    """Make a tag with `size` bytes behind its header. They hold two frames in a row, as a picture may by chance."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    rest = b"\x04\x00" + (b"\x10" if footer else b"\x00") + digits
    return b"ID3" + rest + (b"\x01" + MUSIC * 2).ljust(size, b"\x02")[:size] + (b"3DI" + rest if footer else b"")


def ape(size: int, *, header: bool = True) -> bytes:
    """Make an APEv2 tag with `size` bytes of items, with or without a header before them."""
    frame = b"APETAGEX" + (2000).to_bytes(4, "little") + (size + 32).to_bytes(4, "little") + b"\x01\x00\x00\x00"
    first = frame + b"\x00\x00\x00\xa0" + bytes(8) if header else b""
    return first + b"\x03" * size + frame + (b"\x00\x00\x00\x80" if header else bytes(4)) + bytes(8)


def lyrics3(size: int) -> bytes:
    """Make a Lyrics3 tag of the second version with `size` bytes of text."""
    return b"LYRICSBEGIN" + b"a" * size + f"{size + 11:06}".encode() + b"LYRICS200"


_KBIT_PER_S: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def with_checksums(frames: Iterable[bytes], *, hertz: int, reservoir: bool) -> bytes:
    """Write mono frames of layer III, MPEG 2 or 2.5, anew, each with a checksum, with or without the bit reservoir."""
    past, heads, main_data, reserve = b"", list[tuple[bytes, int]](), bytearray(), 0
    for frame in frames:
        side = int.from_bytes(frame[4:13], "big")
        begin, past = len(past) - (side >> 64), past + frame[13:]
        data = past[begin : begin + ((side >> 51 & 0xFFF) + 7) // 8]
        past = past[-255:]
        sizes = [72_000 * kbit_per_s // hertz - 15 for kbit_per_s in _KBIT_PER_S]
        index = next(index for index, size in enumerate(sizes) if size + reserve >= len(data))
        header = bytes((0xFF, frame[1] & 0xFE, index + 1 << 4 | frame[2] & 0x0C, frame[3]))
        side_information = (side & (1 << 64) - 1 | reserve << 64).to_bytes(9, "big")
        heads.append((header + _checksum(header[2:] + side_information) + side_information, sizes[index]))
        main_data += data
        reserve += sizes[index] - len(data)
        unused = max(0, reserve - (255 if reservoir else 0))
        main_data += bytes(unused)
        reserve -= unused
    main_data += bytes(reserve)
    file, at = b"", 0
    for head, size in heads:
        file, at = file + head + main_data[at : at + size], at + size
    return file


def _checksum(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
    return value.to_bytes(2, "big")
