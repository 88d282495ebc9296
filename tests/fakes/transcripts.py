"""Keep the facts about transcripts, their texts and queues in memory, and script the recogniser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from switchboard.domain.errors import RefusedError, UnreadableResultError
from switchboard.domain.recording.facts import Recording, StoredFile
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.recording.transcripts import channels_of
from switchboard.domain.recording.words import ChannelWords, Word
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.transcripts import (
    AudioFiles,
    JobLook,
    JobState,
    Media,
    Recognizer,
    RecognizerGuard,
    TranscriptFiles,
    TranscriptionQueues,
    TranscriptionStore,
)
from tests.fakes.guards import OpenGuard
from tests.fakes.recordings import InMemoryRecordingStore


class InMemoryTranscriptionStore(TranscriptionStore):
    """The facts about transcripts in the rows of a store of recordings."""

    def __init__(self, recordings: InMemoryRecordingStore) -> None:
        self.rows = recordings.rows

    def get(self, recording_id: str) -> Recording | None:
        return self.rows.get(recording_id)

    def begin(self, recording: Recording, attempt: TranscriptionAttempt, *, due: datetime) -> Recording | None:
        existing = self.rows[recording.recording_id]
        unchanged = len(existing.transcription_attempts) == len(recording.transcription_attempts)
        if not unchanged and attempt not in existing.transcription_attempts:
            return None
        self.rows[recording.recording_id] = replace(
            existing,
            transcription_attempts=existing.transcription_attempts | {attempt},
            transcription_due=due,
            transcription_waits_for=None,
        )
        return self.rows[recording.recording_id]

    def record(
        self, recording_id: str, outcome: TranscriptionOutcome, *, transcript: StoredTranscript | None = None
    ) -> Recording:
        existing = self.rows[recording_id]
        known = {(known.job, known.end) for known in existing.transcription_outcomes}
        if (outcome.job, outcome.end) not in known:
            existing = replace(existing, transcription_outcomes=existing.transcription_outcomes | {outcome})
        if transcript is not None and transcript.job not in {stored.job for stored in existing.transcripts}:
            existing = replace(existing, transcripts=existing.transcripts | {transcript})
        self.rows[recording_id] = existing
        return existing

    def schedule(self, recording: Recording, *, due: datetime | None, waits_for: str | None = None) -> None:
        existing = self.rows[recording.recording_id]
        if existing.transcription_due != recording.transcription_due:
            return
        waits_for = waits_for if due is not None else None
        self.rows[recording.recording_id] = replace(existing, transcription_due=due, transcription_waits_for=waits_for)

    def overdue(self, *, now: datetime, limit: int) -> list[Recording]:
        due = [row for row in self.rows.values() if row.transcription_due and row.transcription_due <= now]
        return due[:limit]


class InMemoryTranscriptFiles(TranscriptFiles):
    """Stored transcripts in a dict, each written once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def write(self, key: str, content: bytes) -> bytes:
        return self.objects.setdefault(key, content)

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)


class InMemoryAudioFiles(AudioFiles):
    """Files by their keys. A file that was not given is no MP3, and counts as joined already."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.joined: dict[str, bytes] = {}

    @contextmanager
    def open(self, file: StoredFile) -> Iterator[Iterator[bytes]]:
        yield iter([self.files.get(file.key, b"-")])

    def media(self, file: StoredFile) -> Media:
        return Media(bucket="recordings", key=file.key, format=file.key.rpartition(".")[2])

    def find_joined(self, recording_id: str, digest: str) -> Media | None:
        key = f"media/{recording_id}/{digest}.mp3"
        is_there = not self.files or key in self.joined
        return Media(bucket="recognition", key=key, format="mp3") if is_there else None

    def put_joined(self, recording_id: str, digest: str, chunks: Iterator[bytes]) -> Media:
        key = f"media/{recording_id}/{digest}.mp3"
        self.joined[key] = b"".join(chunks)
        return Media(bucket="recognition", key=key, format="mp3")


class InMemoryTranscriptionQueues(TranscriptionQueues):
    """The entries of both queues, as (what to do, id, delay)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, int]] = []

    def put_start(self, recording_id: str, *, delay_s: int = 0) -> None:
        self.entries.append(("start", recording_id, delay_s))

    def put_look(self, recording_id: str, *, delay_s: int = 0) -> None:
        self.entries.append(("look", recording_id, delay_s))


class OpenRecognizerGuard(RecognizerGuard):
    """A guard that grants every slot, and counts the permits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.permits: set[str] = set()

    def for_start(self, job: str) -> ProviderGuard:
        self.permits.add(job)
        return OpenGuard(self._clock)

    def for_look(self) -> ProviderGuard:
        return OpenGuard(self._clock)

    def release(self, job: str) -> None:
        self.permits.discard(job)


@dataclass(slots=True, kw_only=True)
class ServiceJob:
    """A job at the scripted recogniser. It ends at `ends_at`, or when a test says so."""

    attempt: TranscriptionAttempt
    media: Media
    ends_at: datetime
    end: JobLook
    is_unreadable: bool = False

    @property
    def audio(self) -> str:
        """The job's name without its generation."""
        return self.attempt.job.rpartition(".")[0]


@dataclass(slots=True)
class ScriptedRecognizer(Recognizer):
    """A recogniser whose jobs for one audio end by a script, and then are completed.

    A script has the failures in their order, and None for a result that cannot be read.
    """

    clock: Clock
    script: tuple[FailureReason | None, ...] = ()
    words: tuple[str, ...] = ("もしもし", "はい")
    duration: timedelta = timedelta(minutes=1)
    jobs: dict[str, ServiceJob] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        existing = self.jobs.get(attempt.job)
        if existing is not None:
            return self._compare(existing, media)
        audio = attempt.job.rpartition(".")[0]
        before = sum(job.audio == audio for job in self.jobs.values())
        self.created.append(attempt.job)
        end, is_unreadable = JobLook(state=JobState.COMPLETED), False
        if before < len(self.script):
            reason = self.script[before]
            is_unreadable = reason is None
            if reason is not None:
                end = JobLook(state=JobState.FAILED, reason=reason, words=f"because of {reason}")
        self.jobs[attempt.job] = ServiceJob(
            attempt=attempt,
            media=media,
            ends_at=self.clock.now() + self.duration,
            end=end,
            is_unreadable=is_unreadable,
        )
        return TranscriptionEnd.STARTED

    def _compare(self, existing: ServiceJob, media: Media) -> TranscriptionEnd:
        if existing.media != media:
            raise RefusedError("Another job has this name", provider="scripted", operation="start")
        return TranscriptionEnd.ALREADY_STARTED

    def end_all(self) -> None:
        """End every running job."""
        for job in self.jobs.values():
            job.ends_at = min(job.ends_at, self.clock.now())

    def look(self, job: str) -> JobLook:
        found = self.jobs.get(job)
        if found is None:
            return JobLook(state=JobState.NOT_FOUND)
        return found.end if self.clock.now() >= found.ends_at else JobLook(state=JobState.RUNNING)

    def result(self, job: str, source: Source) -> ChannelWords:
        found = self.jobs[job]
        if found.is_unreadable or self.clock.now() < found.ends_at:
            raise UnreadableResultError("scripted")
        return {
            channel: tuple(
                Word(start_ms=1000 * number, end_ms=1000 * number + 500, text=f"{channel}{text}", confidence=0.9)
                for number, text in enumerate(self.words)
            )
            for channel in channels_of(source)
        }

    def quarantine(self, job: str, *, at: datetime) -> None:
        self.quarantined.append(job)
