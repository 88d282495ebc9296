"""The side information of an MP3 tells who talks when, and which words on a channel are the other one's echo."""

from __future__ import annotations

import array
import functools
import itertools
import math
import random
import tracemalloc
from dataclasses import replace
from typing import Final

import pytest

from switchboard.domain.recording.audio import AudioMeter
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.loudness import Loudness, activity, mark_echo, measure_loudness
from switchboard.domain.recording.mp3_join import join
from switchboard.domain.recording.words import ChannelWords, Word
from tests.mpeg import ID3V1, KINDS, MUSIC, TELEPHONE, Frames, id3v2
from tests.speech import HERTZ, Conversation, Span, converse, encode, mix, speak

SECONDS: Final = 32
SEEDS: Final = (1, 2)
SILENCE: Final = [0] * HERTZ


def measure(file: bytes) -> Loudness:
    loudness = measure_loudness([file])
    assert loudness is not None
    return loudness


def make_noise(seconds: float, loud: float, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return [round(chance.gauss(0, loud)) for _ in range(int(seconds * HERTZ))]


@functools.cache
def make_voices(seed: int) -> tuple[Conversation, array.array[float], array.array[float]]:
    words = converse(SECONDS, seed=seed)
    left = speak(words.left, SECONDS, pitch=120, peak=12000, seed=seed)
    return words, left, speak(words.right, SECONDS, pitch=210, peak=12000, seed=seed + 50)


LAYER_III: Final = {name: frames for name, frames in KINDS.items() if "layer III" in name}


@pytest.mark.parametrize("frames", LAYER_III.values(), ids=LAYER_III)
@pytest.mark.parametrize("size", [1, 100, 65536])
def test_a_file_is_as_long_as_its_granules(frames: Frames, size: int) -> None:
    file = id3v2(300) + frames * 30 + ID3V1 + b"\x01" * 50 + frames * 5
    meter = AudioMeter()
    meter.feed(file)
    meter.finish()

    loudness = measure_loudness(file[at : at + size] for at in range(0, len(file), size))

    assert loudness is not None
    assert loudness.seconds == pytest.approx(meter.seconds(), abs=0.001)
    assert len(loudness.gains) == (1 if frames.header[3] >> 6 == 3 else 2)
    assert loudness.kbit_per_s is not None


@pytest.mark.parametrize("hertz", [8000, 44100], ids=["one granule a frame", "two granules a frame"])
def test_each_channel_has_gains_of_its_own(hertz: int) -> None:
    loud, soft = (encode(make_noise(8, level), hertz=hertz, kbit_per_s=64) for level in (6000, 100))

    left, right = measure(b"".join(join([loud], [soft]))).gains

    assert (left, right) == (*measure(loud).gains, *measure(soft).gains)
    assert sum(left) > sum(right) + 10 * len(right)


def test_twenty_decibels_are_thirteen_steps() -> None:
    soft, loud = (measure(encode(make_noise(5, level))) for level in (300, 3000))

    difference = sum(loud.gains[0]) / len(loud.gains[0]) - sum(soft.gains[0]) / len(soft.gains[0])
    assert difference == pytest.approx(20 / 1.505, abs=1.5)
    assert (soft.granule_ms, soft.kbit_per_s) == (72, 32)


def test_a_variable_bit_rate_has_none() -> None:
    file = encode(SILENCE * 2 + make_noise(2, 3000), vbr_mode=4)
    assert measure(file).kbit_per_s is None


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Internal Server Error" * 100, id="text"),
        pytest.param(id3v2(3000), id="tag"),
        pytest.param(TELEPHONE * 1, id="one frame"),
        pytest.param(KINDS["MPEG 1 layer II, 44.1 kHz, 192 kbit/s"] * 20, id="layer II"),
        pytest.param(TELEPHONE * 20 + MUSIC * 20, id="two kinds"),
        pytest.param(
            b"\xff\xe3\x28\xc4".ljust(144, b"\0") * 9 + b"\xff\xe3\x28\x04".ljust(144, b"\0") * 9, id="mono, stereo"
        ),
    ],
)
def test_other_files_have_no_loudness(file: bytes) -> None:
    assert measure_loudness([file]) is None


@pytest.mark.parametrize("kbit_per_s", [16, 32, 64])
@pytest.mark.parametrize("level", [0, 1, 3, 30, 300, 3000])
def test_silence_and_steady_noise_hold_no_speech(level: int, kbit_per_s: int) -> None:
    loudness = measure(encode(make_noise(20, level), kbit_per_s=kbit_per_s))

    assert activity(loudness) == []


def test_noise_after_digital_silence_is_no_speech() -> None:
    assert activity(measure(encode(SILENCE * 8 + make_noise(10, 30) + SILENCE * 8))) == []


@pytest.mark.parametrize("kbit_per_s", [16, 32, 64])
@pytest.mark.parametrize("level", [100, 300, 3000])
def test_steady_sound_is_not_silent(level: int, kbit_per_s: int) -> None:
    tone = [round(level * math.sin(at / 3)) for at in range(20 * 8000)]
    for sound in (tone, make_noise(20, level)):
        assert not measure(encode(sound, kbit_per_s=kbit_per_s)).is_silent


def test_digital_silence_is_silent() -> None:
    assert measure(encode(SILENCE * 20)).is_silent


def count_common_ms(spans: list[Span], others: list[Span]) -> int:
    return sum(max(0, min(end, last) - max(start, first)) for start, end in spans for first, last in others)


@pytest.mark.parametrize("noise", [2, 20, 60])
@pytest.mark.parametrize("seed", SEEDS)
def test_speech_is_found_above_the_noise_of_its_file(seed: int, noise: int) -> None:
    words, left, _ = make_voices(seed)
    loudness = measure(encode(mix((left, 0.0), noise=noise, seed=seed)))

    found = activity(loudness)

    assert not loudness.is_silent
    assert all(first[1] < second[0] for first, second in itertools.pairwise(found))
    spoken_ms, found_ms = sum(end - start for start, end in words.left), sum(end - start for start, end in found)
    assert count_common_ms(words.left, found) > 0.95 * spoken_ms
    # Pauses between two words count as speech, and each end is up to a quarter of a second off.
    assert found_ms < 1.25 * spoken_ms + 500 * len(found)
    assert all(count_common_ms([span], words.left) for span in found)


def test_a_click_is_no_speech() -> None:
    noise = make_noise(20, 20)
    noise[80000:80020] = [20000, -20000] * 10
    assert activity(measure(encode(noise))) == []


def is_covered(word: Span, by: list[Span]) -> bool:
    return count_common_ms([word], by) * 2 > word[1] - word[0]


def hear(own: list[Span], other: list[Span], *, shift_ms: int) -> tuple[Word, ...]:
    """Return what a recogniser hears: both speakers, unless the loud one talks over the echo of the other."""
    recognised = [(span, "own") for span in own] + [(span, "echo") for span in other if not is_covered(span, own)]
    return tuple(
        Word(start_ms=start + shift_ms, end_ms=end + shift_ms, text=text) for (start, end), text in sorted(recognised)
    )


@functools.cache
def make_call(seed: int, db: int, noise: int, kbit_per_s: int = 32) -> dict[Channel, Loudness]:
    """Return the loudness of both channels of a call, each with the other one in it, softer by so many decibels."""
    _, left, right = make_voices(seed)
    return {
        channel: measure(encode(mix((own, 0.0), (other, db), noise=noise, seed=seed), kbit_per_s=kbit_per_s))
        for channel, own, other in ((Channel.LEFT, left, right), (Channel.RIGHT, right, left))
    }


@pytest.mark.parametrize("shift_ms", [pytest.param(0, id="at once"), pytest.param(138, id="with an encoder's delay")])
@pytest.mark.parametrize(("db", "noise"), [(-20, 3), (-20, 20), (-30, 10)])
def test_echoed_words_are_marked_and_own_words_are_not(db: int, noise: int, shift_ms: int) -> None:
    marks: dict[str, list[bool]] = {"own": [], "echo": []}
    for seed in SEEDS:
        spoken = make_voices(seed)[0]
        words = {
            Channel.LEFT: hear(spoken.left, spoken.right, shift_ms=shift_ms),
            Channel.RIGHT: hear(spoken.right, spoken.left, shift_ms=shift_ms),
        }
        marked = mark_echo(words, make_call(seed, db, noise))
        for channel, before in words.items():
            assert [replace(word, echo=False) for word in marked[channel]] == list(before)
            for word in marked[channel]:
                marks[word.text].append(word.echo)

    assert len(marks["own"]) > 80 < len(marks["echo"])
    assert not any(marks["own"])
    assert sum(marks["echo"]) >= 0.9 * len(marks["echo"])


def make_gains(*parts: tuple[int, int]) -> Loudness:
    """Make the loudness of a channel from gains, each with its number of granules, after a second of noise."""
    return Loudness(hertz=8000, kbit_per_s=32, gains=(b"".join(bytes((gain,)) * count for gain, count in parts),))


@pytest.mark.parametrize(
    ("own", "other", "is_echo"),
    [
        pytest.param([(130, 14), (163, 8)], [(130, 14), (170, 8)], True, id="softer by 10.5 dB"),
        pytest.param([(130, 14), (164, 8)], [(130, 14), (170, 8)], False, id="softer by 9 dB"),
        pytest.param([(130, 14), (140, 6), (168, 2)], [(130, 14), (170, 8)], False, id="loud for a moment"),
        pytest.param([(130, 14), (140, 8)], [(130, 14), (170, 1), (130, 7)], False, id="other channel clicks"),
        pytest.param([(100, 14), (110, 8)], [(130, 14), (132, 8)], False, id="other channel silent, with more noise"),
        pytest.param([(130, 14), (0, 8)], [(130, 14), (170, 8)], True, id="digital silence"),
    ],
)
def test_an_echo_is_softer_while_the_other_channel_is_active(own: list[Span], other: list[Span], is_echo: bool) -> None:
    words = {Channel.LEFT: (Word(start_ms=14 * 72, end_ms=22 * 72, text="word"),)}
    loudness = {Channel.LEFT: make_gains(*own), Channel.RIGHT: make_gains(*other, (130, 5))}

    assert mark_echo(words, loudness)[Channel.LEFT][0].echo is is_echo


def make_words() -> ChannelWords:
    spoken = make_voices(1)[0]
    return {channel: hear(spoken.left, spoken.right, shift_ms=0) for channel in Channel}


def test_without_echo_no_word_is_marked() -> None:
    spoken = make_voices(1)[0]
    words = {Channel.LEFT: hear(spoken.left, [], shift_ms=0), Channel.RIGHT: hear(spoken.right, [], shift_ms=0)}

    assert mark_echo(words, make_call(1, -200, 20)) == words


@pytest.mark.parametrize(
    "right",
    [
        pytest.param({"kbit_per_s": 64}, id="other bit rate"),
        pytest.param({"hertz": 16000}, id="other rate"),
        pytest.param({"kbit_per_s": None}, id="variable"),
        pytest.param(None, id="missing"),
    ],
)
def test_channels_that_cannot_be_compared_have_no_marks(right: dict[str, int | None] | None) -> None:
    call = make_call(1, -20, 20)
    loudness = {Channel.LEFT: call[Channel.LEFT]}
    if right is not None:
        loudness[Channel.RIGHT] = replace(call[Channel.RIGHT], **right)  # type: ignore[arg-type]
    if right == {"kbit_per_s": None}:
        loudness[Channel.LEFT] = replace(call[Channel.LEFT], kbit_per_s=None)

    assert any(word.echo for word in mark_echo(make_words(), call)[Channel.LEFT])
    assert mark_echo(make_words(), loudness) == make_words()


def test_the_monaural_file_and_words_beyond_the_end_have_no_marks() -> None:
    marked = mark_echo(make_words(), make_call(1, -20, 20))
    assert marked[Channel.MONAURAL] == make_words()[Channel.MONAURAL]

    late = {Channel.LEFT: (Word(start_ms=SECONDS * 2000, end_ms=SECONDS * 2000 + 300, text="late"),)}
    assert mark_echo(late, make_call(1, -20, 20)) == late


def test_a_long_file_is_measured_in_constant_memory() -> None:
    tracemalloc.start()
    loudness = measure_loudness(itertools.repeat(TELEPHONE * 400, 25))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert loudness is not None
    assert len(loudness.gains[0]) == 10_000
    assert peak < 256 * 1024
