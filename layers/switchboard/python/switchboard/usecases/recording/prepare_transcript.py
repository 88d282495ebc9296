"""Write what is stored of a job's words: echoes marked, redacted, and with the times of speech by loudness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from switchboard.domain.recording.facts import Channel, StoredFile
from switchboard.domain.recording.loudness import Loudness, activity, mark_echo, measure_loudness
from switchboard.domain.recording.redaction import redact
from switchboard.domain.recording.redaction_table import RULES_VERSION
from switchboard.domain.recording.transcript_document import TranscriptDocument, encode_document
from switchboard.domain.recording.transcripts import SourceStatus
from switchboard.domain.recording.words import ChannelWords
from switchboard.ports.transcripts import AudioFiles

_MP3: Final = "audio/mpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTranscript:
    """The content of a stored transcript, with its number of words and what was removed, by kind."""

    content: bytes
    words: int
    removed: Mapping[str, int]
    rules: str


class PrepareTranscript:
    """The steps from a recogniser's words to the stored object. The same words give the same object."""

    def __init__(self, *, audio: AudioFiles, redacts: bool) -> None:
        self._audio = audio
        self._redacts = redacts

    def __call__(
        self, source: SourceStatus, words: ChannelWords, *, files: Mapping[Channel, StoredFile]
    ) -> PreparedTranscript:
        """Write the words of each channel. `files` are all stored files: an echo is found by the other channel's.

        Raises:
            StoreUnavailableError: a file cannot be read now.
        """
        loudness: dict[Channel, Loudness] = {
            channel: measured
            for channel, file in files.items()
            if channel is not Channel.MONAURAL and file.content_type == _MP3
            if (measured := self._measure(file)) is not None
        }
        language, marked = source.language or "", mark_echo(words, loudness)
        removed: Mapping[str, int] = {}
        if self._redacts:
            redacted = redact(marked, language=language)
            marked, removed = redacted.words, redacted.removed
        document = TranscriptDocument(
            language=language,
            words=marked,
            duration_ms=round(1000 * (source.seconds or 0)),
            removed=removed,
            rules=RULES_VERSION if self._redacts else "",
            speech={channel: tuple(activity(loudness[channel])) for channel in words if channel in loudness},
        )
        return PreparedTranscript(
            content=encode_document(document),
            words=sum(not word.echo for channel_words in marked.values() for word in channel_words),
            removed=removed,
            rules=document.rules,
        )

    def _measure(self, file: StoredFile) -> Loudness | None:
        with self._audio.open(file) as chunks:
            return measure_loudness(chunks)
