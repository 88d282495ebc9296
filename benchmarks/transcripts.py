"""The way from words to a transcript: its time beside reading the raw result, its growth, and its memory."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from benchmarks.recordings import read_peak_kib
from benchmarks.rows import Row
from switchboard.domain.recording.facts import ROLES, Channel, StoredFile
from switchboard.domain.recording.mp3_frames import read_frames
from switchboard.domain.recording.plain_text import to_plain_text
from switchboard.domain.recording.redaction import redact
from switchboard.domain.recording.transcript_document import decode_document
from switchboard.domain.recording.transcript_facts import Source
from switchboard.domain.recording.transcripts import Progress, SourceStatus
from switchboard.domain.recording.turns import build_turns
from switchboard.domain.recording.webvtt import to_webvtt
from switchboard.domain.recording.words import ChannelWords, Word
from switchboard.providers.transcribe.client import TranscribeRecognizer
from switchboard.storage import aws
from switchboard.usecases.recording.prepare_transcript import PrepareTranscript
from tests.fakes.transcripts import InMemoryAudioFiles
from tests.speech import HERTZ, encode

_ROUNDS: Final = 5
_MAX_MIB: Final = 150
_MINUTE_S: Final = 60
_CHANNELS: Final = (Channel.LEFT, Channel.RIGHT)
_SENTENCES: Final = (
    "お電話 ありがとう ございます。 はい、 昨日 届いた 商品 なん です けれども、 注文番号 は 1042 です。",
    "一応 確認 して いただけ ます か。 電話番号 は 090 の 0000 の 0001 です。 承知 いたし ました。",
    "少々 お待ち ください。 二、三日 かかり ます。 暗証番号 さん に よろしい でしょう か。",
)
_SPOKEN: Final = tuple(word for sentence in _SENTENCES for word in sentence.split())


def transcript_rows() -> Iterator[Row]:
    """Measure redaction, turns and WebVTT of a call of two hours, and their growth and memory at four hours."""
    times: dict[int, tuple[list[float], list[float]]] = {}
    for hours in (2, 4):
        result = _make_result(hours)
        words = _read_words(json.loads(result))
        pairs = [(_time(lambda: _render(words)), _time(lambda: json.loads(result))) for _ in range(_ROUNDS)]  # noqa: B023
        times[hours] = ([ours for ours, _ in pairs], [baseline for _, baseline in pairs])
    ours, baseline = map(min, times[2])
    yield Row(
        what="transcript of 2 h: redact, turns, WebVTT",
        ours=f"{ours * 1000:.0f} ms",
        baseline=f"json.loads {baseline * 1000:.0f} ms",
        measured=f"{ours / baseline:.2f}",
        goal="<= 3",
        met=ours <= 3 * baseline,
    )
    longer = min(times[4][0])
    yield Row(
        what="transcript of 4 h, beside 2 h",
        ours=f"{longer * 1000:.0f} ms",
        baseline=f"{ours * 1000:.0f} ms",
        measured=f"{longer / ours:.2f}",
        goal="<= 2.3",
        met=longer <= 2.3 * ours,
    )
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.transcripts"], input=_make_result(4), capture_output=True, check=True
    )
    peak_mib = float(process.stdout)
    yield Row(
        what="memory growth, store_transcript of 4 h",
        ours=f"{peak_mib:.0f} MiB",
        baseline="after the imports",
        measured=f"+{peak_mib:.0f} MiB",
        goal=f"<= {_MAX_MIB} MiB",
        met=peak_mib <= _MAX_MIB,
    )


def _make_result(hours: int) -> bytes:
    """Return a result as Amazon Transcribe writes it for two channels, with words that come again and again."""
    chooser = random.Random(hours)  # noqa: S311
    items: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
    clock_ms = side = 0
    while clock_ms < hours * 3_600_000:
        side = 1 - side
        for _ in range(chooser.randint(3, 25)):
            text = chooser.choice(_SPOKEN)
            end_ms = clock_ms + 80 + 90 * len(text)
            items[side].append(
                {
                    "id": len(items[side]),
                    "type": "pronunciation",
                    "alternatives": [{"confidence": "0.997", "content": text}],
                    "start_time": f"{clock_ms / 1000:.3f}",
                    "end_time": f"{end_ms / 1000:.3f}",
                }
            )
            clock_ms = end_ms + chooser.choice((0, 0, 0, 30, 100))
        clock_ms += chooser.randint(200, 2500)
    channels = [{"channel_label": f"ch_{side}", "items": items[side]} for side in items]
    results = {
        "transcripts": [{"transcript": "".join(text for side in items for text in _texts(items[side]))}],
        "channel_labels": {"channels": channels, "number_of_channels": 2},
        "items": [{**item, "channel_label": f"ch_{side}"} for side in items for item in items[side]],
    }
    content = {"jobName": "benchmark", "accountId": "000000000000", "status": "COMPLETED", "results": results}
    return json.dumps(content, ensure_ascii=False).encode()


def _texts(items: list[dict[str, Any]]) -> Iterator[str]:
    return (item["alternatives"][0]["content"] for item in items)


def _read_words(result: Any) -> ChannelWords:
    channels = result["results"]["channel_labels"]["channels"]
    return {
        channel: tuple(
            Word(
                start_ms=round(float(item["start_time"]) * 1000),
                end_ms=round(float(item["end_time"]) * 1000),
                text=item["alternatives"][0]["content"],
                confidence=float(item["alternatives"][0]["confidence"]),
            )
            for item in channels[side]["items"]
        )
        for side, channel in enumerate(_CHANNELS)
    }


def _render(words: ChannelWords) -> str:
    redacted = redact(words, language="ja-JP")
    return to_webvtt(build_turns(redacted.words, roles=ROLES), language="ja-JP")


def _time(task: Callable[[], object]) -> float:
    began = time.process_time()
    task()
    return time.process_time() - began


class _StoredResult:
    """The raw result of one job, as the bucket of results has it."""

    bucket = "results"

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, key: str) -> bytes | None:
        del key
        return self._content

    def quarantine(self, key: str, *, at: datetime) -> None:
        raise AssertionError(f"the result under {key} is readable, also at {at}")


class _FourHours(InMemoryAudioFiles):
    """Each channel's audio of four hours, in pieces."""

    def __init__(self) -> None:
        super().__init__()
        chooser = random.Random(4)  # noqa: S311
        frames = encode([round(chooser.gauss(0, 300)) for _ in range(_MINUTE_S * HERTZ)])
        self._minute = b"".join(filter(None, read_frames([frames])))

    @contextmanager
    def open(self, file: StoredFile) -> Iterator[Iterator[bytes]]:
        del file
        yield itertools.repeat(self._minute, 4 * 60)


def _print_peak_growth() -> None:
    """Print by how many MiB this process grows while it reads, prepares and renders a transcript of four hours."""
    audio, result = _FourHours(), sys.stdin.buffer.read()
    files = {
        channel: StoredFile(
            key=f"{channel}.mp3", bytes=1, sha256=channel, content_type="audio/mpeg", file_name="", seconds=4 * 3600.0
        )
        for channel in _CHANNELS
    }
    source = SourceStatus(
        source=Source.JOINED, files=tuple(files.values()), progress=Progress.RUNNING, language="ja-JP"
    )
    recognizer = TranscribeRecognizer(client=aws.transcribe, results=_StoredResult(result))
    start = read_peak_kib()
    words = recognizer.result("job", Source.JOINED)
    prepared = PrepareTranscript(audio=audio, redacts=True)(source, words, files=files)
    document = decode_document(prepared.content)
    turns = build_turns(document.words, roles=ROLES)
    to_webvtt(turns, language="ja-JP")
    to_plain_text(turns, language="ja-JP")
    print((read_peak_kib() - start) / 1024)


if __name__ == "__main__":
    _print_peak_growth()
