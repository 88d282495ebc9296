"""Hold the facts about the jobs for a recording's transcript. None of them holds a text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """The audio of one job: both channels in one file, or one of the recording's files."""

    JOINED = "joined"
    LEFT = "left"
    RIGHT = "right"
    MONAURAL = "monaural"


class TranscriptionEnd(StrEnum):
    """The steps of a job that are recorded. All but the first two end it."""

    STARTED = "started"
    ALREADY_STARTED = "already_started"
    """The service has a job of this name and audio: an earlier request for it had arrived."""
    REFUSED = "refused"
    COMPLETED = "completed"
    """The service has ended the job. The transcript is recorded in the same write."""
    FAILED = "failed"
    LOST = "lost"
    EMPTY = "empty"
    """The service was not asked, because nothing is said in the audio."""

    @property
    def final(self) -> bool:
        """True if the job has ended."""
        return self not in (TranscriptionEnd.STARTED, TranscriptionEnd.ALREADY_STARTED)


class FailureReason(StrEnum):
    """The reasons for which a source has no transcript. The service was not asked for the first five."""

    TOO_SHORT = "too_short"
    SILENT = "silent"
    TOO_LONG = "too_long"
    UNSUPPORTED_FORMAT = "unsupported_format"
    NOT_JOINABLE = "not_joinable"
    REFUSED = "refused"
    MEDIA = "media"
    """The service cannot use the audio's format, rate or channels."""
    NOT_ACCESSIBLE = "not_accessible"
    """The service may not read the audio."""
    INTERNAL = "internal"
    UNREADABLE = "unreadable"
    """The result cannot be read and is in quarantine."""
    LOST = "lost"
    """The service does not know the job any more, or did not end it within a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionAttempt:
    """The fact that a job was decided on, before the service was asked for it.

    `job` is its name at the service and ends in source, digest and generation. `inputs` are the SHA-256 of the files,
    in the order of the source's channels. `billed_seconds` were counted in the month.
    """

    job: str
    source: Source
    inputs: tuple[str, ...]
    language: str
    recognizer: str
    generation: int
    billed_seconds: int
    at: datetime

    @property
    def digest(self) -> str:
        """The hash of the audio and the settings: jobs with the same one differ in their generation only."""
        return self.job.rsplit(".", 2)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOutcome:
    """One step of the job with the same name. `words` are the service's own about a failure, never the audio's."""

    job: str
    end: TranscriptionEnd
    at: datetime
    reason: FailureReason | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTranscript:
    """The result of a job, stored under `key`. `words` counts the words, and `removed` what was redacted, by kind."""

    job: str
    key: str
    sha256: str
    words: int
    removed: tuple[tuple[str, int], ...]
    rules: str
    at: datetime


TranscriptFact = TranscriptionAttempt | TranscriptionOutcome | StoredTranscript
