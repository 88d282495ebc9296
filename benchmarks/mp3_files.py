"""MP3 files without decoding: their length, their loudness, and two of them joined to one."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import miniaudio

from benchmarks.recordings import read_peak_kib
from benchmarks.rows import Row, ratio_row
from switchboard.domain.recording.audio import AudioMeter
from switchboard.domain.recording.loudness import activity, measure_loudness
from switchboard.domain.recording.mp3_frames import read_frames
from switchboard.domain.recording.mp3_join import join
from tests.speech import converse, encode, mix, speak

_SECONDS: Final = 20
_TIMES_AN_HOUR: Final = 3600 // _SECONDS
_READ_BYTES: Final = 256 * 1024
_ROUNDS: Final = 5


def _encode_call() -> tuple[bytes, bytes]:
    """Return the frames of both channels of a telephone call: MPEG-2.5, 8 kHz, 32 kbit/s."""
    words = converse(_SECONDS, seed=1)
    voices = ((words.left, 120, 1), (words.right, 210, 2))
    left, right = (
        mix((speak(spans, _SECONDS, pitch=pitch, peak=12000, seed=seed), 0.0), noise=20, seed=seed)
        for spans, pitch, seed in voices
    )
    return _strip(encode(left)), _strip(encode(right))


def _strip(file: bytes) -> bytes:
    """Return the frames without the encoder's notes, so that the file may be repeated."""
    return b"".join(read_frames([file]))


def _read_hour(file: bytes) -> Iterator[bytes]:
    return itertools.repeat(file, _TIMES_AN_HOUR)


def _measure_cpu(work: Callable[[], object]) -> list[float]:
    series = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        series.append(time.process_time() - began)
    return series


def _hash(chunks: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)


def _meter(chunks: Iterable[bytes]) -> None:
    meter = AudioMeter()
    for chunk in chunks:
        meter.feed(chunk)
    meter.finish()


def _tell_loudness(file: bytes) -> None:
    loudness = measure_loudness(_read_hour(file))
    assert loudness is not None
    activity(loudness)


def _join_hour(left: bytes, right: bytes) -> int:
    return sum(map(len, join(_read_hour(left), _read_hour(right))))


def _encode_anew(left: bytes, right: bytes) -> None:
    """Join two files as others do: decode both and encode the samples again, in C."""
    channels = [miniaudio.mp3_read_s16(file).samples for file in (left, right)]
    samples = channels[0] + channels[1]
    samples[0::2], samples[1::2] = channels
    encode(samples, kbit_per_s=64, channels=2)


def mp3_rows() -> Iterator[Row]:
    """Measure one hour of a telephone call: CPU seconds, bytes and memory."""
    left, right = _encode_call()
    hour = left * _TIMES_AN_HOUR
    chunks = [hour[at : at + _READ_BYTES] for at in range(0, len(hour), _READ_BYTES)]
    hashed = _measure_cpu(lambda: _hash(chunks))
    yield ratio_row(
        "length of 1 h of MP3, over its sha256", ours=_measure_cpu(lambda: _meter(chunks)), baseline=hashed, goal=0.5
    )
    loudness = _measure_cpu(lambda: _tell_loudness(left))
    yield Row(
        what="loudness and speech of 1 h of MP3",
        ours=f"{min(loudness):.2f} s",
        baseline=f"sha256 {min(hashed) * 1000:.0f} ms",
        measured=f"{min(loudness):.2f} s",
        goal="<= 0.3 s",
        met=min(loudness) <= 0.3,
    )
    joining = _measure_cpu(lambda: _join_hour(left, right))
    anew = [seconds * _TIMES_AN_HOUR for seconds in _measure_cpu(lambda: _encode_anew(left, right))]
    yield Row(
        what="two channels of 1 h joined",
        ours=f"{min(joining):.2f} s",
        baseline=f"decoded, encoded {min(anew):.1f} s",
        measured=f"{min(joining):.2f} s ({min(joining) / min(anew):.2f})",
        goal="<= 2 s",
        met=min(joining) <= 2,
    )
    size, both = _join_hour(left, right), _TIMES_AN_HOUR * (len(left) + len(right))
    yield Row(
        what="bytes of both channels joined",
        ours=f"{size / 2**20:.1f} MiB",
        baseline=f"both {both / 2**20:.1f} MiB",
        measured=f"{size / both:.3f}",
        goal="<= 1.01",
        met=size <= 1.01 * both,
    )
    peak = float(subprocess.check_output([sys.executable, "-m", "benchmarks.mp3_files"], input=left))
    yield Row(
        what="memory growth while joining 1 h",
        ours=f"{peak:.1f} MiB",
        baseline="start",
        measured=f"{peak:+.1f} MiB",
        goal="<= 16 MiB",
        met=peak <= 16,
    )


def _print_peak() -> None:
    file = sys.stdin.buffer.read()
    for piece in join([file], [file]):  # loads imports and caches
        del piece
    before = read_peak_kib()
    _join_hour(file, file)
    print((read_peak_kib() - before) / 1024)


if __name__ == "__main__":
    _print_peak()
