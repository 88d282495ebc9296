"""Encode and decode the stored object of a transcript.

The object holds words, not turns, and no roles. So turns and figures follow corrected roles without a write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.words import ChannelWords, Word

FORMAT: Final = 1
"""The version of the object's form. Another form gets another number."""

Intervals = tuple[tuple[int, int], ...]
"""Start and end of each interval of speech in milliseconds, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptDocument:
    """The content of the stored object.

    `language` is a tag such as `ja-JP`. `rules` is the version of the redaction table, or empty if nothing was
    redacted. `removed` counts the removed parts of each kind. `speech` holds each channel's intervals of speech by its
    loudness, if they are known. `duration_ms` is the length of the recording.
    """

    language: str
    words: ChannelWords
    duration_ms: int
    removed: Mapping[str, int] = field(default_factory=dict)
    rules: str = ""
    speech: Mapping[Channel, Intervals] = field(default_factory=dict)


def merge_documents(documents: Sequence[TranscriptDocument], *, language: str) -> TranscriptDocument:
    """Return the channels of several documents as one, or an empty one in `language` if there is none."""
    removed: Counter[str] = Counter()
    words: dict[Channel, tuple[Word, ...]] = {}
    speech: dict[Channel, Intervals] = {}
    for document in documents:
        words |= document.words
        speech |= document.speech
        removed.update(document.removed)
    return TranscriptDocument(
        language=documents[0].language if documents else language,
        words=words,
        duration_ms=max((document.duration_ms for document in documents), default=0),
        removed=dict(removed),
        rules=documents[0].rules if documents else "",
        speech=speech,
    )


def encode_document(document: TranscriptDocument) -> bytes:
    """Write the object as JSON in UTF-8. Equal documents have equal bytes."""
    content = {
        "format": FORMAT,
        "language": document.language,
        "duration_ms": document.duration_ms,
        "rules": document.rules,
        "removed": dict(sorted(document.removed.items())),
        "speech": {channel: document.speech[channel] for channel in sorted(document.speech)},
        "words": {
            channel: [_write_word(word) for word in document.words[channel]] for channel in sorted(document.words)
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def decode_document(data: bytes) -> TranscriptDocument:
    """Read what `encode_document` wrote.

    Raises:
        ValueError: the bytes are no such object, or have another format.
    """
    content = json.loads(data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("not a transcript of this format")
    try:
        return TranscriptDocument(
            language=content["language"],
            words={
                Channel(channel): tuple(_read_word(values) for values in words)
                for channel, words in content["words"].items()
            },
            duration_ms=content["duration_ms"],
            removed=content["removed"],
            rules=content["rules"],
            speech={
                Channel(channel): tuple((start, end) for start, end in intervals)
                for channel, intervals in content["speech"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("a transcript with a missing or unreadable part") from error


def _write_word(word: Word) -> list[Any]:
    """Return the members of a word. Members at the end that have their default are left out."""
    values = [word.start_ms, word.end_ms, word.text, word.confidence, word.speaker, int(word.echo)]
    for default in (0, "", None):
        if values[-1] != default:
            break
        values.pop()
    return values


def _read_word(values: list[Any]) -> Word:
    start_ms, end_ms, text, confidence, speaker, echo = values + [None, "", 0][len(values) - 3 :]
    return Word(start_ms=start_ms, end_ms=end_ms, text=text, confidence=confidence, speaker=speaker, echo=bool(echo))
