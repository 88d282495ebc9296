"""Write what is stored of a job's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from switchboard.domain.recording.transcript_document import TranscriptDocument, encode_document
from switchboard.domain.recording.transcripts import SourceStatus
from switchboard.domain.recording.words import ChannelWords


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTranscript:
    """The content of a stored transcript, with its number of words and what was removed, by kind."""

    content: bytes
    words: int
    removed: Mapping[str, int]
    rules: str


class PrepareTranscript:
    """The steps from a recogniser's words to the stored object. The same words give the same object."""

    def __init__(self, *, redacts: bool) -> None:
        self._redacts = redacts

    def __call__(self, source: SourceStatus, words: ChannelWords) -> PreparedTranscript:
        """Write the words of each channel."""
        document = TranscriptDocument(
            language=source.language or "",
            words=words,
            duration_ms=round(1000 * (source.seconds or 0)),
        )
        return PreparedTranscript(
            content=encode_document(document),
            words=sum(len(channel_words) for channel_words in document.words.values()),
            removed=document.removed,
            rules=document.rules,
        )
