"""Parse the results of a recogniser behind HTTP (docs/providers/recognizer_http.md, "The result")."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from switchboard.domain.errors import UnreadableResultError
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.words import ChannelWords, Word


def parse_result(content: bytes, *, channels: Sequence[Channel]) -> ChannelWords:
    """Return the words of each channel, in the order of their times.

    Raises:
        UnreadableResultError: the content does not follow the document, or has another number of channels.
    """
    try:
        lists = json.loads(content)["channels"]
        return {
            channel: tuple(sorted(map(_read_word, words), key=lambda word: (word.start_ms, word.end_ms)))
            for channel, words in zip(channels, lists, strict=True)
        }
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise UnreadableResultError("The result does not follow the document") from None


def _read_word(word: Mapping[str, Any]) -> Word:
    start_ms, end_ms, text, confidence = word["start_ms"], word["end_ms"], word["text"], word.get("confidence")
    if type(start_ms) is not int or type(end_ms) is not int or not 0 <= start_ms <= end_ms:
        raise ValueError
    speaker = word.get("speaker", "")
    if not isinstance(text, str) or not text.strip() or not isinstance(speaker, str):
        raise TypeError
    if confidence is not None and not (math.isfinite(confidence) and 0 <= confidence <= 1):
        raise ValueError
    return Word(start_ms=start_ms, end_ms=end_ms, text=text.strip(), confidence=confidence, speaker=speaker)
