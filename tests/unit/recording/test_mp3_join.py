"""Two mono MP3s become one of two channels with exactly their samples. A decoder of another project judges."""

from __future__ import annotations

import array
import functools
import itertools
import math
import random
import tracemalloc
from collections.abc import Iterator
from typing import Final

import miniaudio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from switchboard.domain.recording.audio import AudioFormat, AudioMeter
from switchboard.domain.recording.loudness import measure_loudness
from switchboard.domain.recording.mp3_frames import read_frames
from switchboard.domain.recording.mp3_join import NotJoinableError, can_join, join
from tests.depth import at_depth
from tests.mpeg import ID3V1, KINDS, MUSIC, TELEPHONE, id3v2, with_checksums
from tests.speech import encode

RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
FILES_A_RATE: Final = 8
PAIRS_A_RATE: Final = 44
MOST_REFUSED: Final = 10
# LAME's modes: a constant bit rate, two variable ones, and an average.
MODES: Final = (None, None, 2, 3, 4)


def make_sound(seconds: float, hertz: int, chance: random.Random) -> list[int]:
    """Make silence, noise and tones by turns, soft and loud: granules of many sizes and block types."""
    samples: list[int] = []
    while len(samples) < seconds * hertz:
        loud, noise, step = chance.choice([0, 300, 6000, 20000]), chance.random(), chance.uniform(0.02, 0.9)
        length = chance.randint(300, 3000)
        samples += [int(loud * (noise * (chance.random() - 0.5) + math.sin(step * at) / 2)) for at in range(length)]
    return samples


@functools.cache
def make_files(hertz: int) -> list[bytes]:
    """Encode files of different lengths and bit rates, without the encoder's notes, by which a decoder cuts samples.

    The last ones have checksums, with and without a reservoir. LAME and lameenc make neither.
    """
    chance = random.Random(hertz)
    bit_rates = (32, 40, 48, 56, 64) if hertz >= 32000 else (16, 24, 32, 40, 48, 56, 64)
    files = []
    for number in range(FILES_A_RATE):
        sound = make_sound(chance.uniform(0.3, 1.2), hertz, chance)
        is_rewritten = hertz < 32000 and number >= FILES_A_RATE - 2
        mode, kbit_per_s = (None, 32) if is_rewritten else (chance.choice(MODES), chance.choice(bit_rates))
        encoded = encode(sound, hertz=hertz, kbit_per_s=kbit_per_s, vbr_mode=mode, quality=chance.randint(5, 9))
        frames = read_frames([encoded])
        files.append(
            with_checksums(filter(None, frames), hertz=hertz, reservoir=bool(number % 2))
            if is_rewritten
            else b"".join(frames)
        )
    return files


def decode(file: bytes) -> list[array.array[float]]:
    """Return the samples of each channel."""
    decoded = miniaudio.mp3_read_f32(file)
    samples = decoded.samples
    return [samples[channel :: decoded.nchannels] for channel in range(decoded.nchannels)]


def gains_of(file: bytes) -> bytes:
    loudness = measure_loudness([file])
    assert loudness is not None
    return loudness.gains[0]


def joined(left: bytes, right: bytes, *, granules: int | None = None) -> bytes:
    return b"".join(join([left], [right], granules=granules))


@pytest.mark.parametrize("hertz", RATES)
def test_each_channel_decodes_to_the_same_samples(hertz: int) -> None:
    files, chance, refused = make_files(hertz), random.Random(hertz), 0
    pairs = chance.sample(list(itertools.product(range(FILES_A_RATE), repeat=2)), PAIRS_A_RATE)
    for left, right in pairs:
        try:
            file = joined(files[left], files[right])
        except NotJoinableError as error:
            assert (error.reason, hertz >= 22050) == ("too_many_bits", True)
            refused += 1
            continue
        channels = decode(file)
        originals = [decode(files[number])[0] for number in (left, right)]
        assert len(channels[0]) == max(map(len, originals))
        for channel, original in zip(channels, originals, strict=True):
            assert channel[: len(original)] == original, (left, right)
            # The rest is what a decoder still holds of the last granule, and then silence.
            assert not any(channel[len(original) + 2 * 1152 :])
    assert refused <= MOST_REFUSED


@pytest.mark.parametrize("hertz", RATES)
def test_the_files_that_are_joined_use_the_reservoir(hertz: int) -> None:
    begins = [frame[4] for file in make_files(hertz)[:-2] for frame in filter(None, read_frames([file]))]
    assert sum(begin > 0 for begin in begins) > len(begins) / 4


@pytest.mark.parametrize("hertz", [8000, 16000, 44100])
def test_a_granule_whose_reservoir_is_cut_off_is_silent(hertz: int) -> None:
    whole = make_files(hertz)[0]
    frames = list(filter(None, read_frames([whole])))
    at = next(at for at, frame in enumerate(frames[3:], start=3) if frame[4])
    cut = b"".join(frames[at:])

    left, right = decode(joined(cut, whole))

    original = decode(cut)[0]  # the decoder leaves out what it cannot decode
    missing = len(left) - len(original) - at * (1152 if hertz > 32000 else 576)
    assert missing > 0
    assert not any(left[:missing])
    assert left[missing : missing + len(original)] == original
    assert right == decode(whole)[0]


def test_a_granule_with_more_bits_than_the_file_has_is_silent() -> None:
    frames = list(filter(None, read_frames([make_files(8000)[0]])))
    whole = b"".join(frames)
    gains = gains_of(whole)
    at = next(at for at in range(5, len(frames)) if gains[at])
    frame = frames[at]
    # 4,095 bits: more than the frame and the largest reservoir before it hold.
    damaged = b"".join(
        (*frames[:at], frame[:5], bytes((frame[5] | 0x7F, frame[6] | 0xF8)), frame[7:], *frames[at + 1 :])
    )

    file = joined(damaged, whole)

    assert gains_of(file) == gains[:at] + b"\x00" + gains[at + 1 :]
    assert decode(file)[1] == decode(whole)[0]


def test_a_gap_cuts_off_the_reservoir_as_in_a_decoder() -> None:
    frames = list(filter(None, read_frames([make_files(8000)[0]])))
    gains = gains_of(b"".join(frames))
    at = next(at for at in range(5, len(frames)) if frames[at][4] and gains[at])
    damaged = b"".join(frames[:at]) + b"\x01" * 50 + b"".join(frames[at:])

    left = gains_of(joined(damaged, damaged))

    assert len(left) == len(gains)
    assert left[:at] == gains[:at]
    assert left[at] == 0
    assert left[at + 12 :] == gains[at + 12 :]


def test_the_notes_tell_the_frames_and_tags_are_left_out() -> None:
    sound = make_sound(2.0, 8000, random.Random(1))
    left, right = id3v2(500) + encode(sound) + ID3V1, encode(sound[:9000])
    granules = max(len(gains_of(left)), len(gains_of(right)))

    file = joined(left, right, granules=granules)

    assert file[21:25] == b"Xing"
    assert miniaudio.mp3_get_info(file).num_frames == granules * 576
    meter = AudioMeter()
    meter.feed(file)
    meter.finish()
    assert meter.format is AudioFormat.MP3
    assert meter.seconds() == pytest.approx(granules * 0.072)
    assert joined(left, right) == file[len(file) - len(joined(left, right)) :]


@pytest.mark.parametrize(("name", "at"), [(b"Xing", 13), (b"Info", 13), (b"VBRI", 36)], ids=["Xing", "Info", "VBRI"])
def test_an_encoders_notes_do_not_delay_their_channel(name: bytes, at: int) -> None:
    left, right = make_files(8000)[:2]
    notes = (TELEPHONE.header.ljust(at, b"\x00") + name).ljust(TELEPHONE.length, b"\xff")

    assert joined(notes + left, right) == joined(left, right)


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        pytest.param(MUSIC * 9, TELEPHONE * 9, "not_mono", id="two channels on the left"),
        pytest.param(
            TELEPHONE * 9, KINDS["MPEG 2.5 layer III, 11.025 kHz with CRC"] * 9, "not_mono", id="on the right"
        ),
        pytest.param(
            TELEPHONE * 9, KINDS["MPEG 1 layer III, 32 kHz, 32 kbit/s mono"] * 9, "different_kinds", id="other version"
        ),
        pytest.param(TELEPHONE * 9, b"\xff\xe3\x24\xc4".ljust(96, b"\x00") * 9, "different_kinds", id="other rate"),
        pytest.param(TELEPHONE * 9, KINDS["MPEG 1 layer II, 44.1 kHz, 192 kbit/s"] * 9, "no_frames", id="layer II"),
        pytest.param(b"", TELEPHONE * 9, "no_frames", id="empty"),
        pytest.param(TELEPHONE * 9, b"Internal Server Error" * 100, "no_frames", id="text"),
    ],
)
def test_files_that_do_not_match_are_refused_before_the_first_byte(left: bytes, right: bytes, reason: str) -> None:
    with pytest.raises(NotJoinableError) as refusal:
        next(join([left], [right]))

    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param("ffe328c4", "ffe348c0", True, id="other bit rate"),
        pytest.param("ffe228c4", "ffe328c4", True, id="checksum"),
        pytest.param("ffe328c4", "ffe32804", False, id="stereo"),
        pytest.param("ffe328c4", "ffe324c4", False, id="other rate"),
        pytest.param("ffe328c4", "fff328c4", False, id="other version"),
        pytest.param("ffe328c4", "00000000", False, id="no header"),
        pytest.param("fffd18c4", "fffd18c4", False, id="layer II"),
    ],
)
def test_headers_tell_if_files_match(left: str, right: str, expected: bool) -> None:
    assert can_join(bytes.fromhex(left), bytes.fromhex(right)) is expected


def test_a_file_that_changes_its_kind_is_refused() -> None:
    with pytest.raises(NotJoinableError, match="kind_changes"):
        joined(TELEPHONE * 9 + KINDS["MPEG 1 layer III, 32 kHz, 32 kbit/s mono"] * 9, TELEPHONE * 9)


def test_more_than_the_highest_bit_rate_holds_is_refused() -> None:
    loud = encode([random.Random(1).randint(-20000, 20000) for _ in range(24000)], hertz=24000, kbit_per_s=160)

    with pytest.raises(NotJoinableError, match="too_many_bits"):
        joined(loud, loud)


@settings(deadline=None, max_examples=at_depth(usual=20, proof=40))
@given(cuts=st.lists(st.integers(0, 4000), max_size=8), damaged=st.lists(st.integers(0, 3999), max_size=4))
@example(cuts=[], damaged=[1083])
@example(cuts=[], damaged=[3])
def test_pieces_and_damage_change_no_other_granule(cuts: list[int], damaged: list[int]) -> None:
    left, right = bytearray(make_files(8000)[0]), make_files(8000)[1]
    for at in damaged:
        left[at % len(left)] ^= 0x55
    ends = [*sorted(cuts), len(left)]
    pieces = (bytes(left[begin:end]) for begin, end in zip([0, *ends[:-1]], ends, strict=True))

    try:
        file = b"".join(join(pieces, [right]))
    except NotJoinableError as error:
        # One damaged byte of a header can name another rate or mode, and leaves the frame's length as it is.
        assert error.reason in {"too_many_bits", "kind_changes", "not_mono", "different_kinds"} and damaged
        return

    assert file == joined(bytes(left), right)
    loudness, original, other = (measure_loudness([data]) for data in (file, bytes(left), right))
    assert loudness is not None and original is not None and other is not None
    for gains, before in zip(loudness.gains, (*original.gains, *other.gains), strict=True):
        changed = [(new, old) for new, old in zip(gains, before, strict=False) if new != old]
        assert not any(new for new, _ in changed)  # silenced
        assert len(changed) <= 12 * len(damaged)
        assert len(gains) == max(len(original.gains[0]), len(other.gains[0]))


def test_a_minute_is_as_large_as_its_channels() -> None:
    chance = random.Random(1)
    left, right = (encode(make_sound(5.0, 8000, chance)) for _ in range(2))
    pieces = [b"".join(filter(None, read_frames([file]))) * 12 for file in (left, right)]

    assert len(joined(*pieces)) <= 1.01 * sum(map(len, pieces))


def test_long_files_are_joined_in_constant_memory() -> None:
    frames = b"".join(filter(None, read_frames([encode(make_sound(2.0, 8000, random.Random(1)))])))

    def minutes() -> Iterator[bytes]:
        return itertools.repeat(frames, 50)

    tracemalloc.start()
    size = sum(map(len, join(minutes(), minutes())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 50 * len(frames)
    assert peak < 1024 * 1024
