"""The length of an MP3 is measured from its bytes as they pass by, without keeping them. (I26)"""

from __future__ import annotations

import array
import functools
import math
import random
import struct
import tracemalloc
from io import BytesIO

import lameenc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinytag import TinyTag

from switchboard.domain.recording.audio import AudioMeter

RATE = 8000
FRAME_S = 576 / RATE
# One frame of MPEG 2.5, layer III, 16 kbit/s at 8 kHz: 144 bytes, 72 milliseconds.
FRAME = b"\xff\xe3\x28\xc4".ljust(144, b"\x00")
ID3V1 = b"TAG".ljust(128, b"\x00")


def id3v2(size: int) -> bytes:
    """Build a tag with `size` bytes behind its header, which begin like a frame."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + digits + FRAME.ljust(size, b"\x00")[:size]


@functools.cache
def mp3(seconds: float, *, variable: bool = False, rate: int = RATE, channels: int = 1) -> bytes:
    """Encode alternating noise and silence, which an encoder with a variable bit rate treats like speech."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(channels)
    encoder.set_quality(7)
    if variable:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(5)
    else:
        encoder.set_bit_rate(32)
    noise = random.Random(1)
    samples = (
        int(3000 * noise.random() * math.sin(second / 40)) if int(second / rate) % 2 else 0
        for second in range(int(seconds * rate))
        for _ in range(channels)
    )
    return bytes(encoder.encode(array.array("h", samples).tobytes()) + encoder.flush())


def measure(data: bytes, size: int = 65536) -> float | None:
    return read(data, size).seconds()


def read(data: bytes, size: int = 65536) -> AudioMeter:
    meter = AudioMeter()
    for begin in range(0, len(data), size):
        meter.feed(data[begin : begin + size])
    meter.finish()
    return meter


@pytest.mark.parametrize("channels", [pytest.param(1, id="mono"), pytest.param(2, id="stereo")])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("variable", [pytest.param(False, id="constant"), pytest.param(True, id="variable")])
def test_an_encoded_mp3_is_as_long_as_its_audio(variable: bool, rate: int, channels: int) -> None:
    seconds = measure(mp3(5.0, variable=variable, rate=rate, channels=channels))
    assert seconds == pytest.approx(5.0, abs=4 * 1152 / rate)  # frames that an encoder adds


def test_a_library_agrees_about_a_constant_bit_rate() -> None:
    for seconds in (0.5, 40.0):
        data = mp3(seconds)
        assert measure(data) == pytest.approx(TinyTag.get(file_obj=BytesIO(data)).duration)


@pytest.mark.parametrize("variable", [pytest.param(False, id="constant"), pytest.param(True, id="variable")])
def test_a_long_mp3_is_measured_to_its_end(variable: bool) -> None:
    assert measure(mp3(40.0, variable=variable)) == pytest.approx(40.0, abs=4 * FRAME_S)


@settings(deadline=None)
@given(data=st.data(), tag=st.sampled_from([0, 1, 54, 55, 200, 5000]), ending=st.sampled_from([b"", ID3V1]))
def test_the_length_does_not_depend_on_the_pieces(data: st.DataObject, tag: int, ending: bytes) -> None:
    content = (id3v2(tag) if tag else b"") + FRAME * 20 + ending
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    meter = AudioMeter()
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        meter.feed(content[begin:end])
    meter.finish()
    assert meter.seconds() == pytest.approx(20 * FRAME_S)


def test_the_length_is_the_same_byte_by_byte() -> None:
    assert measure(id3v2(100) + FRAME * 20, size=1) == pytest.approx(20 * FRAME_S)


@pytest.mark.parametrize("tag", [pytest.param(0, id="no tag"), pytest.param(10_000_000, id="tag of 10 MB")])
def test_a_large_file_is_measured_in_constant_memory(tag: int) -> None:
    frames, piece, tag_header = 40_000, FRAME * 400, id3v2(tag)[:10]
    meter = AudioMeter()
    tracemalloc.start()
    if tag:
        meter.feed(tag_header)
        for _ in range(tag // 10_000):
            meter.feed(bytes(10_000))
    for _ in range(frames // 400):
        meter.feed(piece)
    meter.finish()
    seconds, (_, peak) = meter.seconds(), tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds == pytest.approx(frames * FRAME_S)
    assert peak < 512 * 1024


@pytest.mark.parametrize("name", [pytest.param(b"Xing", id="Xing"), pytest.param(b"Info", id="Info")])
def test_the_frame_with_the_encoders_notes_is_not_counted(name: bytes) -> None:
    # The side information of a mono frame of MPEG 2.5 has nine bytes; then come name, flags, frames and bytes.
    xing = (FRAME[:4] + bytes(9) + name + struct.pack(">iii", 3, 500, 500 * 144)).ljust(144, b"\x00")
    assert measure(xing + FRAME * 500) == pytest.approx(500 * FRAME_S)


def test_garbage_between_frames_is_skipped() -> None:
    for garbage in (b"\x00" * 100, b"\xff" * 100, b"\xff\xfb\x90\x64" * 20):
        assert measure(FRAME * 10 + garbage + FRAME * 10) == pytest.approx(20 * FRAME_S)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="one byte"),
        pytest.param(b"ID3", id="tag name alone"),
        pytest.param(b"not audio at all" * 100, id="text"),
        pytest.param(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100), id="WAVE"),
        pytest.param(b"\xff\xe3\x28\xc4", id="header of a cut frame"),
        pytest.param(id3v2(100), id="tag alone"),
        pytest.param(id3v2(100)[:50], id="cut tag"),
        pytest.param(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + FRAME * 10, id="tag longer than the file"),
        pytest.param(id3v2(100) + b"fLaC" + bytes(60), id="FLAC behind a tag"),
    ],
)
def test_a_file_without_frames_has_no_length(data: bytes) -> None:
    assert measure(data) is None


@settings(deadline=None)
@given(data=st.binary(max_size=600))
def test_every_byte_string_has_a_length_or_none(data: bytes) -> None:
    for content in (data, FRAME[:4] + data, id3v2(20) + data):
        seconds = measure(content)
        assert seconds is None or 0 < seconds <= len(content) / 1000 + 2


def test_a_large_file_of_garbage_after_one_frame_has_no_length() -> None:
    meter = AudioMeter()
    meter.feed(FRAME)
    for _ in range(1000):
        meter.feed(bytes(10_000))
    meter.finish()
    assert meter.seconds() is None
