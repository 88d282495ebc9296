"""Keep recordings, their jobs, files and queue in memory, and script the provider that has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from switchboard.domain.errors import MonthlyQuotaExhaustedError, ProviderError
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Recording,
    RecordingFact,
    RecordingReady,
    RoleCorrection,
    StoredFile,
    is_recording_id,
    too_many_corrections,
)
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.recordings import (
    Download,
    JobStore,
    RecordingFiles,
    RecordingQueue,
    RecordingSource,
    RecordingStore,
)
from switchboard.ports.usage_limits import MonthlyQuota, QuotaUsage
from tests.fakes.listing import list_page


class InMemoryJobStore(JobStore):
    """Jobs in a dict."""

    def __init__(self) -> None:
        self.jobs: dict[str, ReadyFact] = {}

    def put(self, ready: RecordingReady, *, at: datetime) -> bool:
        is_new = ready.recording_id not in self.jobs
        if is_new:
            self.jobs[ready.recording_id] = ReadyFact(tel=ready.tel, date=ready.date, called_at=ready.called_at, at=at)
        return is_new

    def get(self, recording_id: str) -> ReadyFact | None:
        return self.jobs.get(recording_id)


class InMemoryRecordingStore(RecordingStore):
    """Recordings in a dict, and when each of them is due."""

    def __init__(self) -> None:
        self.rows: dict[str, Recording] = {}
        self.due: dict[str, datetime] = {}

    def announce(self, recording_id: str, ready_fact: ReadyFact, *, due: datetime) -> Recording:
        existing = self.rows.get(recording_id)
        if existing is None:
            existing = Recording(recording_id=recording_id, ready_facts=frozenset({ready_fact}))
            self.due[recording_id] = due
        self.rows[recording_id] = add_fact(existing, ready_fact)
        return self.rows[recording_id]

    def get(self, recording_id: str) -> Recording | None:
        return self.rows.get(recording_id)

    def begin(self, recording: Recording, attempt: FetchAttempt, *, due: datetime) -> Recording | None:
        existing = self.rows[recording.recording_id]
        stored = any(
            outcome.channel is attempt.channel and outcome.end is FetchEnd.STORED for outcome in existing.outcomes
        )
        unchanged = _count_attempts(existing, attempt.channel) == _count_attempts(recording, attempt.channel)
        if stored or not (unchanged or attempt in existing.attempts):
            return None
        self.rows[recording.recording_id] = add_fact(existing, attempt)
        self.due[recording.recording_id] = due
        return self.rows[recording.recording_id]

    def withdraw(self, recording_id: str, attempt: FetchAttempt) -> None:
        existing = self.rows[recording_id]
        if attempt.id not in {outcome.id for outcome in existing.outcomes}:
            self.rows[recording_id] = replace(existing, attempts=existing.attempts - {attempt})

    def record_outcome(self, recording_id: str, outcome: FetchOutcome) -> Recording:
        existing = self.rows[recording_id]
        if outcome.id not in {outcome.id for outcome in existing.outcomes}:
            existing = add_fact(existing, outcome)
        self.rows[recording_id] = existing
        return existing

    def correct(self, recording_id: str, correction: RoleCorrection) -> Recording | None:
        if recording_id in self.rows:
            if len(self.rows[recording_id].corrections) >= MAX_CORRECTIONS:
                raise too_many_corrections()
            self.rows[recording_id] = add_fact(self.rows[recording_id], correction)
        return self.rows.get(recording_id)

    def schedule(self, recording: Recording, *, due: datetime | None, at: datetime) -> None:
        existing = self.rows[recording.recording_id]
        if any(_count_attempts(existing, channel) != _count_attempts(recording, channel) for channel in Channel):
            return
        if due is None:
            self.due.pop(recording.recording_id, None)
            self.rows[recording.recording_id] = replace(existing, closed_at=existing.closed_at or at)
        else:
            self.due[recording.recording_id] = due
            self.rows[recording.recording_id] = replace(existing, closed_at=None)

    def find(self, query: ListingQuery) -> Page[Recording]:
        tel = None if query.recipient is None else canonical_tel(query.recipient)
        entries = [
            (recording.called_at or recording.announced_at, recording.recording_id, recording)
            for recording in self.rows.values()
            if tel is None or tel in {canonical_tel(fact.tel) for fact in recording.ready_facts}
        ]
        return list_page(entries, query, is_id=is_recording_id)

    def overdue(self, *, now: datetime, limit: int) -> list[Recording]:
        overdue = sorted((due, id_) for id_, due in self.due.items() if due <= now)
        return [self.rows[id_] for _, id_ in overdue]


def add_fact(recording: Recording, fact: RecordingFact) -> Recording:
    """Return the recording with one fact more.

    A repeated fact changes nothing. Of ready facts that differ only in their time, the first stays.
    """
    if isinstance(fact, ReadyFact):
        repeated = {ready_fact for ready_fact in recording.ready_facts if replace(ready_fact, at=fact.at) == fact}
        first = min(repeated | {fact}, key=lambda ready_fact: ready_fact.at)
        return replace(recording, ready_facts=(recording.ready_facts - repeated) | {first})
    if isinstance(fact, FetchAttempt):
        return replace(recording, attempts=recording.attempts | {fact})
    if isinstance(fact, FetchOutcome):
        return replace(recording, outcomes=recording.outcomes | {fact})
    return replace(recording, corrections=recording.corrections | {fact})


def _count_attempts(recording: Recording, channel: Channel) -> int:
    return sum(attempt.channel is channel for attempt in recording.attempts)


class InMemoryRecordingQueue(RecordingQueue):
    """The queue's entries with their delays, oldest first."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []

    def put(self, recording_id: str, *, delay_s: int = 0) -> None:
        assert 0 <= delay_s <= 900
        self.entries.append((recording_id, delay_s))


class InMemoryRecordingFiles(RecordingFiles):
    """Files in a dict. `writes` counts those that were stored whole."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.writes = 0

    def store(self, key: str, download: Download) -> StoredFile:
        content = b"".join(download.chunks())
        if key not in self.files:
            self.writes += 1
            self.files[key] = StoredFile(
                key=key,
                bytes=len(content),
                sha256=sha256(content).hexdigest(),
                content_type=download.content_type,
                file_name=download.file_name,
            )
        return self.files[key]

    def find(self, key: str) -> StoredFile | None:
        return self.files.get(key)

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        return f"https://files.invalid/{file.key}"


@dataclass(frozen=True, slots=True)
class WholeDownload:
    """A download that ends by itself."""

    content: bytes = b"ID3"
    content_type: str = "audio/mpeg"
    file_name: str = "a.mp3"

    @property
    def length(self) -> int:
        return len(self.content)

    def chunks(self) -> Iterator[bytes]:
        yield self.content


class ScriptedSource(RecordingSource):
    """A source that answers each request with a file, or raises the next of the scripted errors."""

    def __init__(self, *errors: ProviderError | None) -> None:
        self._script = deque(errors)
        self.requests: list[tuple[str, Channel]] = []

    def open(self) -> None:
        return

    @contextmanager
    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> Iterator[WholeDownload]:
        self.requests.append((recording_id, channel))
        error = self._script.popleft() if self._script else None
        if error is not None:
            raise error
        yield WholeDownload()


class CountingQuota(MonthlyQuota):
    """A month's quota of `limit` requests, of which `reserve` are for urgent ones."""

    def __init__(self, *, limit: int = 1_000, reserve: int = 0, ends: datetime | None = None) -> None:
        self.limit = limit
        self.reserve = reserve
        self.used = 0
        self._ends = ends

    def take(self, at: datetime, *, urgent: bool) -> None:
        if self.used >= (self.limit if urgent else self.limit - self.reserve):
            ends = self._ends or at + timedelta(days=30)
            raise MonthlyQuotaExhaustedError("exhausted", provider="biztel", retry_after=ends, at=at)
        self.used += 1

    def usage(self, at: datetime) -> QuotaUsage:
        return QuotaUsage(month="2026-11", used=self.used, limit=self.limit, reserve=self.reserve, exhausted_on=None)
