"""Ports of transcripts: the recogniser, the store of the facts, the stored words, and the queues of the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from switchboard.domain.recording.facts import Recording, StoredFile
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.recording.words import ChannelWords

if TYPE_CHECKING:
    # Only for types: the recogniser's functions list nothing and need not load it.
    from switchboard.ports.listing import UnreadableItem
    from switchboard.ports.provider_limits import ProviderGuard


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """The audio of a job: its bucket and key, and its format by the service's name."""

    bucket: str
    key: str
    format: str


class JobState(StrEnum):
    """The states of a job at the recogniser."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLook:
    """The recogniser's answer about one job. A failed one has a `reason`, and the recogniser's own `words` about it."""

    state: JobState
    reason: FailureReason | None = None
    words: str | None = None


class Recognizer(Protocol):
    """A service that recognises speech. It tells when a job has ended, or is asked."""

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        """Request the job and return `started` or `already_started`. A repeat with the same name is harmless.

        Raises:
            RateLimitedError: too many jobs or requests. Repeat it later.
            OutcomeUnknownError: the service gave no answer. Repeat it under the same name.
            ForbiddenError: the service refuses our account or may not read the audio.
            RefusedError: the service refuses the request for good, or has another job of this name.
        """
        ...

    def look(self, job: str) -> JobLook:
        """Return the state of a job.

        Raises:
            ProviderError: the service gave no answer.
        """
        ...

    def result(self, job: str, source: Source) -> ChannelWords:
        """Return the words of a completed job.

        Raises:
            UnreadableResultError: there is no result, or it cannot be read.
            StoreUnavailableError: the store of the results gave no answer.
        """
        ...

    def quarantine(self, job: str, *, at: datetime) -> None:
        """Copy the result of a job for an operator to look at. Do nothing if there is none.

        Raises:
            StoreUnavailableError: the store of the results gave no answer.
        """
        ...


class RecognizerGuard(Protocol):
    """The limits of the recogniser's account: requests a second, and jobs in progress."""

    def for_start(self, job: str) -> ProviderGuard:
        """Return the guard of one Start. The job's permit lasts until `release`, at most for a day."""
        ...

    def for_look(self) -> ProviderGuard:
        """Return the guard of requests about jobs."""
        ...

    def release(self, job: str) -> None:
        """Return the permit of a job that has ended, or was never started.

        Raises:
            StoreUnavailableError: the store gave no answer. The permit ends by itself.
        """
        ...


class TranscriptionStore(Protocol):
    """The facts about transcripts, beside those about their recordings.

    Every method may raise StoreUnavailableError, and is harmless when repeated.
    """

    def get(self, recording_id: str) -> Recording | None:
        """Return the recording with this id, or None if there is none."""
        ...

    def begin(self, recording: Recording, attempt: TranscriptionAttempt, *, due: datetime) -> Recording | None:
        """Add the attempt and look at it again at `due`.

        Returns None, and adds nothing, if another attempt was added since `recording` was read.
        """
        ...

    def record(
        self,
        recording_id: str,
        outcome: TranscriptionOutcome,
        *,
        transcript: StoredTranscript | None = None,
    ) -> Recording:
        """Add the outcome, with the transcript that it brought. The first of a job's outcomes of one kind stays."""
        ...

    def schedule(self, recording: Recording, *, due: datetime | None, waits_for: str | None = None) -> None:
        """Look at the transcript at `due`, or, if `due` is None, no more.

        Do nothing if another look was scheduled since `recording` was read, or if its channels are awaited again.
        """
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording | UnreadableItem]:
        """Return the recordings whose transcript is due by `now`, longest overdue first."""
        ...


class TranscriptFiles(Protocol):
    """The stored transcripts: what was said, redacted. Every method may raise StoreUnavailableError."""

    def write(self, key: str, content: bytes) -> bytes:
        """Store the content under the key and return it. An existing object stays and is returned."""
        ...

    def read(self, key: str) -> bytes | None:
        """Return the content under the key, or None if it was deleted."""
        ...


class AudioFiles(Protocol):
    """The recordings' files as a job needs them. Every method may raise StoreUnavailableError."""

    def open(self, file: StoredFile) -> AbstractContextManager[Iterator[bytes]]:
        """Open one file and give its bytes in pieces."""
        ...

    def media(self, file: StoredFile) -> Media:
        """Return the file as the media of a job."""
        ...

    def find_joined(self, recording_id: str, digest: str) -> Media | None:
        """Return the joined file that an earlier worker stored, or None if there is none."""
        ...

    def put_joined(self, recording_id: str, digest: str, chunks: Iterator[bytes]) -> Media:
        """Store a joined file for the recogniser and return it. If `chunks` raises, nothing is stored."""
        ...


class TranscriptionQueues(Protocol):
    """The queues of recordings whose transcripts are to be started or looked at. Entries hold ids only."""

    def put_start(self, recording_id: str, *, delay_s: int = 0) -> None:
        """Let a worker decide which jobs the recording needs.

        Raises:
            StoreUnavailableError: the entry may or may not be in the queue.
        """
        ...

    def put_look(self, recording_id: str, *, delay_s: int = 0) -> None:
        """Let a worker ask the recogniser for the recording's jobs.

        Raises:
            StoreUnavailableError: the entry may or may not be in the queue.
        """
        ...
