"""Parse the results of Amazon Transcribe's batch jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from switchboard.domain.errors import UnreadableResultError
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.words import ChannelWords, Word


def parse_result(content: bytes, *, channels: Sequence[Channel]) -> ChannelWords:
    """Return the words of each channel.

    The service numbers the channels of a joined file, `ch_0` and `ch_1`. Times are texts of seconds; punctuation has
    none and joins the word before it.

    Raises:
        UnreadableResultError: the content does not follow the service's document.
    """
    try:
        results = json.loads(content)["results"]
        if len(channels) == 1:
            return {channels[0]: _read_words(results["items"], _read_speakers(results))}
        by_label = {channel["channel_label"]: channel["items"] for channel in results["channel_labels"]["channels"]}
        return {channel: _read_words(by_label[f"ch_{number}"], {}) for number, channel in enumerate(channels)}
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise UnreadableResultError("The result does not follow the service's document") from None


def _read_words(items: Sequence[Mapping[str, Any]], speakers: Mapping[tuple[str, str], str]) -> tuple[Word, ...]:
    words: list[Word] = []
    punctuation: dict[int, str] = {}
    for item in items:
        best = item["alternatives"][0]
        text = best["content"]
        if not isinstance(text, str):
            raise TypeError
        if item["type"] == "punctuation":
            # Before the first word it belongs to none.
            punctuation[len(words) - 1] = punctuation.get(len(words) - 1, "") + text
            continue
        start, end = item["start_time"], item["end_time"]
        confidence = best.get("confidence")
        words.append(
            Word(
                start_ms=_to_ms(start),
                end_ms=_to_ms(end),
                text=text,
                confidence=None if confidence is None else float(confidence),
                speaker=item.get("speaker_label") or speakers.get((start, end), ""),
            )
        )
    marked = (
        word if place not in punctuation else _append(word, punctuation[place]) for place, word in enumerate(words)
    )
    return tuple(sorted(marked, key=lambda word: (word.start_ms, word.end_ms)))


def _append(word: Word, punctuation: str) -> Word:
    return Word(
        start_ms=word.start_ms,
        end_ms=word.end_ms,
        text=word.text + punctuation,
        confidence=word.confidence,
        speaker=word.speaker,
    )


def _read_speakers(results: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the speaker of each word by its times, as older results give it."""
    segments = results.get("speaker_labels", {}).get("segments", [])
    return {
        (item["start_time"], item["end_time"]): item["speaker_label"]
        for segment in segments
        for item in segment.get("items", [])
    }


def _to_ms(seconds: str) -> int:
    """Convert a text of seconds to whole milliseconds, exactly.

    Raises:
        ValueError: the text is no time.
    """
    try:
        value = Decimal(seconds)
    except InvalidOperation:
        raise ValueError from None
    if not value.is_finite() or value < 0:
        raise ValueError
    return int((value * 1000).to_integral_value())
