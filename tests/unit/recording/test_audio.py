"""A file is what its bytes show, whatever surrounds its audio, and its length is right or unknown. (I24, I26)"""

from __future__ import annotations

import itertools
import random
import struct
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.recording.audio import AudioFormat, AudioMeter
from tests.depth import at_depth
from tests.mpeg import ID3V1, KINDS, MUSIC, TELEPHONE, Frames, ape, id3v2, lyrics3

NOISE: Final = random.Random(1).randbytes(200_000).replace(b"\xff", b"\xfe")
PAGE: Final = b"<!DOCTYPE html><html><body>Service Unavailable</body></html>"
FALSE_HEADER: Final = b"\xff\xfb\x90\x64"


def read(data: bytes, *cuts: int) -> AudioMeter:
    meter = AudioMeter()
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        meter.feed(data[begin:end])
    meter.finish()
    return meter


@pytest.mark.parametrize("frames", KINDS.values(), ids=KINDS)
def test_every_kind_of_frame_is_recognised_and_counted(frames: Frames) -> None:
    meter = read(frames * 30)

    layer = {3: AudioFormat.MPEG_LAYER_I, 2: AudioFormat.MPEG_LAYER_II, 1: AudioFormat.MP3}[frames.header[1] >> 1 & 3]
    assert meter.format is layer
    assert meter.seconds() == pytest.approx(30 * frames.seconds, abs=0.001)


# What may surround or interrupt the audio. None of it is audio, and none of it counts.
TAGS: Final = {
    "zeros": bytes(136),
    "many zeros": bytes(300_000),
    "ID3v2": id3v2(1000),
    "ID3v2 of 80 KB twice": id3v2(80_000) * 2,
    "ID3v2 of 10 MB": id3v2(10_000_000),
    "ID3v2 with a footer": id3v2(1000, footer=True),
    "ID3v2 and zeros": id3v2(1000) + bytes(5000),
    "ID3v1": ID3V1,
    "APEv2": ape(90_000),
    "Lyrics3": lyrics3(5000) + ID3V1,
    "ID3v2 that holds a false header": id3v2(4096) + b"\x01" + FALSE_HEADER + b"\x02" * 90,
    "rest of a cut frame": (TELEPHONE * 1)[100:],
    "noise": NOISE[:3000],
    "false headers": FALSE_HEADER * 20,
    "end of a line": b"\r\n",
}


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_what_surrounds_the_audio_does_not_count(tag: bytes, where: str) -> None:
    parts = {"before": [tag, TELEPHONE * 100], "between": [TELEPHONE * 50, tag] * 2, "after": [TELEPHONE * 100, tag]}
    meter = read(b"".join(parts[where]))

    assert meter.format is AudioFormat.MP3
    assert meter.seconds() == pytest.approx(100 * TELEPHONE.seconds, abs=0.001)


@pytest.mark.parametrize("end", [ape(90_000, header=False), lyrics3(90_000)], ids=["APEv1", "Lyrics3"])
def test_a_tag_that_only_its_end_shows_does_not_count_as_skipped(end: bytes) -> None:
    assert read(TELEPHONE * 100 + end).seconds() == pytest.approx(100 * TELEPHONE.seconds, abs=0.001)


# What holds no audio, or too little of it to be sure, and whether a page or an error came in place of the file.
NO_AUDIO: Final = {
    "nothing": (b"", False),
    "one frame": (MUSIC * 1, False),
    "a header alone": (FALSE_HEADER, False),
    "headers without frames": (FALSE_HEADER * 1000, False),
    "two frames of different rates": (MUSIC * 1 + TELEPHONE * 1, False),
    "ID3v2 alone": (id3v2(5000), False),
    "zeros": (bytes(5000), False),
    "noise": (NOISE, False),
    "frames after too much noise": (NOISE[:70_000] + MUSIC * 100, False),
    "page": (PAGE, True),
    "page in Shift_JIS": ("<html>混み合っています</html>".encode("cp932"), True),
    "page with a byte order mark": (b"\xef\xbb\xbf" + PAGE, True),
    "page in UTF-16": (PAGE.decode().encode("utf-16"), True),
    "JSON": (b'{"type": "NOT_FOUND"}', True),
    "JSON list": (b'\n\n[{"type": "NOT_FOUND"}]', True),
    "text": (b"Internal Server Error\n", True),
    "Japanese text": ("ただいま混み合っています".encode(), True),
    "page behind a tag": (id3v2(5000) + PAGE, True),
    "page before frames": (PAGE + MUSIC * 100, True),
    "JSON before frames": (b'{"type": "NOT_FOUND"}' + MUSIC * 100, True),
    "warning before frames": (b"<br />\n<b>Warning</b>: readfile()\n" + MUSIC * 100, True),
    "text before frames": (b"Internal Server Error\n" + MUSIC * 100, True),
    "zeros and a page before frames": (bytes(64) + PAGE + MUSIC * 100, True),
    "tag and a page before frames": (id3v2(1000) + PAGE + MUSIC * 100, True),
    "gzip": (b"\x1f\x8b\x08\x00" + NOISE[:500], False),
    "JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + NOISE[:500], False),
    "ZIP": (b"PK\x03\x04\x14\x00" + NOISE[:500], False),
}


@pytest.mark.parametrize(("data", "is_text"), NO_AUDIO.values(), ids=NO_AUDIO)
def test_what_is_no_audio_is_not_taken_for_it(data: bytes, is_text: bool) -> None:
    meter = read(data)

    assert (meter.format, meter.seconds(), meter.is_text) == (None, None, is_text)


@given(head=st.text(max_size=400))
def test_no_text_is_audio(head: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp932"):
        assert read(head.encode(encoding, "ignore")).format is None


def test_a_header_without_a_second_one_does_not_count() -> None:
    """The instance from the field: a tag, junk that holds a header, and twenty seconds of another rate."""
    junk = NOISE[:40] + FALSE_HEADER + NOISE[:40]

    assert read(id3v2(200) + junk + TELEPHONE * 278).seconds() == pytest.approx(278 * 0.072, abs=0.001)


@pytest.mark.parametrize(
    ("kinds", "audio_format"),
    [
        pytest.param(["MPEG 1 layer III, 44.1 kHz, 128 kbit/s"] * 2, AudioFormat.MP3, id="same kind"),
        pytest.param(
            ["MPEG 2.5 layer III, 8 kHz, 16 kbit/s mono", "MPEG 1 layer III, 48 kHz, 320 kbit/s"],
            AudioFormat.MP3,
            id="other version and rate",
        ),
        pytest.param(
            ["MPEG 1 layer II, 44.1 kHz, 192 kbit/s", "MPEG 2 layer II, 24 kHz, 64 kbit/s"],
            AudioFormat.MPEG_LAYER_II,
            id="layer II",
        ),
    ],
)
@pytest.mark.parametrize("between", [b"", ID3V1 + id3v2(1000)], ids=["one after the other", "tags between"])
def test_several_kinds_in_a_file_are_summed(kinds: list[str], audio_format: AudioFormat, between: bytes) -> None:
    meter = read(between.join(KINDS[kind] * 40 for kind in kinds))

    assert meter.format is audio_format
    assert meter.seconds() == pytest.approx(sum(40 * KINDS[kind].seconds for kind in kinds), abs=0.001)


@pytest.mark.parametrize(
    "other",
    [
        KINDS["MPEG 1 layer II, 44.1 kHz, 192 kbit/s"] * 4,
        b"\x05ID3\x05\x00" + bytes(7),
        b"\x05ID3\x04\xff" + bytes(7),
        b"\x05ID3\x04\x00\x00\x80" + bytes(7),
        b"\x05TAG" + b"\x05" * 200,
    ],
    ids=["frames of another layer", "tag of version 5", "revision 255", "size of 8 bits", "letters of a tag"],
)
def test_what_only_looks_like_a_tag_or_a_frame_is_skipped(other: bytes) -> None:
    meter = read(TELEPHONE * 50 + other + TELEPHONE * 50)

    assert meter.format is AudioFormat.MP3
    assert meter.seconds() == pytest.approx(100 * TELEPHONE.seconds, abs=0.001)


def test_more_skipped_than_counted_has_no_length() -> None:
    counted = TELEPHONE * 20

    assert read(counted + b"\x05" * (len(counted) - 1)).seconds() == pytest.approx(20 * 0.072)
    assert read(counted + b"\x05" * (len(counted) + 1)).seconds() is None
    assert read(counted + b"\x05" * (len(counted) + 1)).format is AudioFormat.MP3


@pytest.mark.parametrize("cut", [1, 4, 100, 143])
def test_a_last_frame_that_is_cut_does_not_count(cut: int) -> None:
    assert read((TELEPHONE * 21)[:-cut]).seconds() == pytest.approx(20 * 0.072)


@pytest.mark.parametrize("name", [b"Xing", b"Info", b"VBRI"])
@pytest.mark.parametrize(
    ("kind", "side_bytes"),
    [
        pytest.param("MPEG 1 layer III, 44.1 kHz, 128 kbit/s", 32, id="MPEG 1 stereo"),
        pytest.param("MPEG 1 layer III, 32 kHz, 32 kbit/s mono", 17, id="MPEG 1 mono"),
        pytest.param("MPEG 2 layer III, 22.05 kHz, 64 kbit/s", 17, id="MPEG 2 stereo"),
        pytest.param("MPEG 2.5 layer III, 8 kHz, 16 kbit/s mono", 9, id="MPEG 2.5 mono"),
        pytest.param("MPEG 1 layer III with CRC", 34, id="MPEG 1 stereo with CRC"),
    ],
)
def test_the_encoders_notes_are_no_audio(name: bytes, kind: str, side_bytes: int) -> None:
    frames = KINDS[kind]
    at = 4 + (32 if name == b"VBRI" else side_bytes)
    notes = (frames.header + bytes(at - 4) + name + struct.pack(">ii", 3, 9999)).ljust(frames.length, b"\x00")

    assert read(id3v2(50) + notes + frames * 40).seconds() == pytest.approx(40 * frames.seconds, abs=0.001)


@pytest.mark.parametrize("encoder", [b"LAME3.100", b"Lavc61.19", b"Lavf"], ids=["LAME", "libavcodec", "libavformat"])
@pytest.mark.parametrize(
    ("noted", "encoded", "added"),
    [
        pytest.param(40, 40, 576 + 1000, id="whole"),
        pytest.param(40, 30, 0, id="cut since then"),
        pytest.param(0, 40, 0, id="no number of frames"),
    ],
)
def test_what_an_encoder_added_does_not_count(encoder: bytes, noted: int, encoded: int, added: int) -> None:
    numbers = b"\x00\x00\x00\x0f" + struct.pack(">ii", noted, 9999) + bytes(104)
    notes = b"Xing" + numbers + encoder.ljust(21, b"\x00") + (576 << 12 | 1000).to_bytes(3, "big")
    frames = KINDS["MPEG 2 layer III, 22.05 kHz, 64 kbit/s"]
    first = (frames.header + bytes(17) + notes).ljust(frames.length, b"\x00")

    assert read(first + frames * encoded).seconds() == pytest.approx(
        encoded * frames.seconds - added / 22050, abs=0.001
    )


def test_a_file_that_holds_only_what_an_encoder_added_has_no_length() -> None:
    numbers = b"\x00\x00\x00\x0f" + struct.pack(">ii", 2, 9999) + bytes(104)
    notes = b"Info" + numbers + b"LAME3.100".ljust(21, b"\x00") + (576 << 12 | 1800).to_bytes(3, "big")
    frames = KINDS["MPEG 1 layer III, 44.1 kHz, 128 kbit/s"]

    assert read((frames.header + bytes(32) + notes).ljust(417, b"\x00") + frames * 2).seconds() is None


PIECES: Final = (
    *(MUSIC * 1, MUSIC * 3, TELEPHONE * 2, TELEPHONE * 1, KINDS["MPEG 1 layer II, 44.1 kHz, 192 kbit/s"] * 2),
    *(id3v2(300), ape(100), ape(300, header=False), lyrics3(40), ID3V1, bytes(50), NOISE[:100], PAGE, b"\xff" * 9),
    *(FALSE_HEADER * 3, b"ID3", b"TAG", b"APETAGEX", b"{", (MUSIC * 1)[:200]),
)


@settings(deadline=None, max_examples=at_depth(usual=100, proof=300))
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=8), data=st.data())
def test_the_reading_does_not_depend_on_the_pieces(pieces: list[bytes], data: st.DataObject) -> None:
    content = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    whole = read(content)
    for meter in (read(content, *cuts), read(content, *range(1, len(content), 7))):
        assert (meter.format, meter.seconds(), meter.is_text) == (whole.format, whole.seconds(), whole.is_text)


GAPS: Final = (b"", b"", b"", b"\xff", bytes(3), FALSE_HEADER, ID3V1, NOISE[:90], (MUSIC * 1)[:200])


@settings(deadline=None, max_examples=at_depth(usual=50, proof=150))
@given(
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3),
    counts=st.lists(st.integers(1, 150), min_size=1, max_size=9),
    gaps=st.lists(st.sampled_from(GAPS), min_size=1, max_size=9),
    data=st.data(),
)
def test_frames_compared_together_are_read_as_frame_by_frame(
    kinds: list[str], counts: list[int], gaps: list[bytes], data: st.DataObject
) -> None:
    """Pieces smaller than a frame are read frame by frame. Runs, paddings, gaps and a damaged byte change nothing."""
    kinds_in_turn, gaps_in_turn = itertools.cycle(kinds), itertools.cycle(gaps)
    content = bytearray(b"".join(KINDS[next(kinds_in_turn)] * count + next(gaps_in_turn) for count in counts))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] ^= data.draw(st.integers(0, 255))
    whole, by_frame = read(bytes(content)), read(bytes(content), *range(100, len(content), 90))

    cut = read(bytes(content), len(content) // 3)
    assert (
        (whole.format, whole.seconds(), whole.is_text)
        == (by_frame.format, by_frame.seconds(), by_frame.is_text)
        == (cut.format, cut.seconds(), cut.is_text)
    )


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("frame", [2, 7, 31, 32, 33, 159, 160, 700])
def test_a_damaged_header_in_a_long_run_costs_its_frame(offset: int, frame: int) -> None:
    content = bytearray(TELEPHONE * 1000)
    content[frame * TELEPHONE.length + offset] ^= 0xFF
    frames = 1000 if offset == 3 else 999  # the last byte tells neither kind nor length

    assert read(bytes(content)).seconds() == pytest.approx(frames * TELEPHONE.seconds)


# Of WAVE_FORMAT_EXTENSIBLE: the size, the valid bits, the speakers, and a GUID that begins with the real format.
EXTENSION = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")


def wav(
    data: bytes,
    *,
    kind: int = 1,
    bits: int = 16,
    size: int | None = None,
    rate: int = 8000,
    before: bytes = b"",
    more: bytes = b"",
) -> bytes:
    block = bits // 8
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16 + len(more), kind, 1, rate, rate * block, block, bits) + more
    chunks = b"WAVE" + fmt + before + b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        pytest.param(wav(bytes(32_000)), 2.0, id="PCM of 16 bits"),
        pytest.param(wav(bytes(12_000), bits=8), 1.5, id="PCM of 8 bits"),
        pytest.param(wav(bytes(8_000), kind=7, bits=8), 1.0, id="mu-law"),
        pytest.param(wav(bytes(8_000), kind=6, bits=8), 1.0, id="A-law"),
        pytest.param(wav(bytes(32_000), kind=0xFFFE, more=EXTENSION), 2.0, id="extensible, PCM of 16 bits"),
        pytest.param(wav(bytes(32_000), before=b"LIST\x05\x00\x00\x00INFO\x00\x00"), 2.0, id="another chunk before"),
        pytest.param(wav(bytes(32_000)) + b"LIST\x04\x00\x00\x00INFO", 2.0, id="another chunk behind"),
        pytest.param(wav(bytes(32_000), size=0xFFFFFFFF), None, id="size unknown when the header was written"),
        pytest.param(wav(bytes(32_000), size=0), None, id="size 0"),
        pytest.param(wav(bytes(32_000))[:-1], None, id="cut"),
        pytest.param(wav(bytes(32_000), kind=0x55, bits=0), None, id="MP3 in WAV"),
        pytest.param(wav(bytes(32_000), kind=0x31, bits=0), None, id="GSM"),
        pytest.param(b"RIFF\x24\x00\x00\x00WAVEfmt ", None, id="header cut"),
        pytest.param(b"RIFF\x24\x00\x00\x00WAVEdata" + bytes(100), None, id="no format"),
    ],
)
def test_a_wav_file_has_a_length_if_its_header_is_consistent(data: bytes, seconds: float | None) -> None:
    meter = read(data)

    assert (meter.format, meter.seconds()) == (AudioFormat.WAV, seconds)


def adts(size: int, *, rate: int = 11) -> bytes:
    return bytes([0xFF, 0xF1, 1 << 6 | rate << 2, 0x40 | size >> 11, size >> 3 & 255, (size & 7) << 5, 0]).ljust(
        size, b"\1"
    )


@pytest.mark.parametrize(
    ("data", "audio_format"),
    [
        pytest.param(adts(200) + adts(77) + adts(90), AudioFormat.AAC, id="AAC"),
        pytest.param(adts(200), None, id="one frame of AAC"),
        pytest.param(adts(200) + adts(77, rate=3), None, id="frames of AAC of different rates"),
        pytest.param(b"OggS\x00\x02" + bytes(22) + b"OpusHead" + bytes(60), AudioFormat.OGG, id="Opus in Ogg"),
        pytest.param(b"OggS\x00\x02" + bytes(22) + b"\x01vorbis" + bytes(60), AudioFormat.OGG, id="Vorbis in Ogg"),
        pytest.param(b"OggS\x00\x02" + bytes(22) + b"\x80theora" + bytes(60), None, id="video in Ogg"),
        pytest.param(b"OggS", None, id="the letters alone"),
        pytest.param(b"RIFF\x24\x00\x00\x00AVI LIST" + bytes(60), None, id="video in RIFF"),
        pytest.param(b"fLaC\x00\x00\x00\x22" + bytes(60), None, id="FLAC"),
        pytest.param(b"\x00\x00\x00\x20ftypM4A " + bytes(60), None, id="MP4"),
        pytest.param(b"#!AMR\n" + NOISE[:60], None, id="AMR"),
    ],
)
def test_other_audio_is_recognised_by_its_first_bytes(data: bytes, audio_format: AudioFormat | None) -> None:
    meter = read(data)

    assert (meter.format, meter.seconds()) == (audio_format, None)


def test_each_format_has_an_extension_of_its_own_and_a_media_type() -> None:
    assert {audio_format.extension: audio_format.content_type for audio_format in AudioFormat} == {
        "mp3": "audio/mpeg",
        "mp2": "audio/mpeg",
        "mp1": "audio/mpeg",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "ogg": "audio/ogg",
    }
