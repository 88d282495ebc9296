"""Writes results in the form of Amazon Transcribe's batch jobs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.simulators.transcribe.loudness import gains_of, length_ms, speech_of

_MADE_UP: Final = (
    "はい",
    "お電話",
    "ありがとう",
    "ございます",
    "少々",
    "お待ち",
    "ください",
    "承知",
    "しました",
    "それでは",
)
_WORD_MS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A word with its times in milliseconds. `punctuation` follows it."""

    start_ms: int
    end_ms: int
    text: str
    punctuation: str = ""


Words = Mapping[str, Sequence[SpokenWord]]
"""The words of each known channel by the SHA-256 of its granules' gains, which tags and joining leave as they are."""


def read_known_words(path: Path) -> Words:
    """Return the words of a file of `{sha256: {gains_sha256, words: [[start_ms, end_ms, text], …]}}`.

    Punctuation stands at the end of its word.
    """
    return {
        file["gains_sha256"]: [_read_word(*word) for word in file["words"]]
        for file in json.loads(path.read_text(encoding="utf-8")).values()
    }


def words_of(data: bytes, known: Words) -> list[Sequence[SpokenWord]]:
    """Return the words of each channel of a file: the known ones, or else made-up ones while it is loud."""
    return [
        known.get(_hash_gains(gains)) or _make_up(intervals)
        for gains, intervals in zip(gains_of(data), speech_of(data), strict=True)
    ]


def _hash_gains(gains: Sequence[int]) -> str:
    # Behind the shorter of two joined files there is silence.
    return hashlib.sha256(bytes(gains).rstrip(b"\0")).hexdigest()


def _read_word(start_ms: int, end_ms: int, text: str) -> SpokenWord:
    spoken = text.rstrip("、。！？,.!?")
    return SpokenWord(start_ms=start_ms, end_ms=end_ms, text=spoken, punctuation=text[len(spoken) :])


def _make_up(intervals: Sequence[tuple[int, int]]) -> list[SpokenWord]:
    words: list[SpokenWord] = []
    for start, end in intervals:
        count = max(1, (end - start) // _WORD_MS)
        for number in range(count):
            words.append(
                SpokenWord(
                    start_ms=start + (end - start) * number // count,
                    end_ms=start + (end - start) * (number + 1) // count,
                    text=_MADE_UP[len(words) % len(_MADE_UP)],
                    punctuation="。" if number == count - 1 else "",
                )
            )
    return words


def build_result(
    job: str, channels: Sequence[Sequence[SpokenWord]], *, separates_channels: bool, labels_speakers: bool
) -> bytes:
    """Return a result file: all items together, and those of each channel if the job asked for them."""
    numbered = [[_to_items(word) for word in words] for words in channels]
    items = [item for words in numbered for word_items in words for item in word_items]
    results: dict[str, Any] = {
        "transcripts": [{"transcript": "".join(item["alternatives"][0]["content"] for item in items)}],
        "items": [{"id": number, **item} for number, item in enumerate(items)],
    }
    if separates_channels:
        results["channel_labels"] = {
            "channels": [
                {
                    "channel_label": f"ch_{number}",
                    "items": [{"channel_label": f"ch_{number}", **item} for word_items in words for item in word_items],
                }
                for number, words in enumerate(numbered)
            ],
            "number_of_channels": len(numbered),
        }
    if labels_speakers:
        results["items"] = [{**item, "speaker_label": "spk_0"} for item in results["items"]]
    return json.dumps({"jobName": job, "status": "COMPLETED", "results": results}, ensure_ascii=False).encode()


def can_be_read(data: bytes) -> bool:
    """Return whether the service could use the audio: the simulator knows MP3 only by its frames."""
    return data[:4] in (b"RIFF", b"OggS") or length_ms(data) > 0


def _to_items(word: SpokenWord) -> list[dict[str, Any]]:
    spoken = {
        "type": "pronunciation",
        "start_time": f"{word.start_ms / 1000:.3f}",
        "end_time": f"{word.end_ms / 1000:.3f}",
        "alternatives": [{"confidence": "0.98", "content": word.text}],
    }
    if not word.punctuation:
        return [spoken]
    return [spoken, {"type": "punctuation", "alternatives": [{"confidence": "0.0", "content": word.punctuation}]}]
