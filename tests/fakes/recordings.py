"""Keep recordings, their jobs, files and queue in memory, and script the provider that has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from switchboard.domain.errors import DownloadFailedError, MonthlyQuotaExhaustedError, ProviderError
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    MAX_NOTICES,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ParkingReason,
    QuarantinedFile,
    ReadyFact,
    Recording,
    RecordingFact,
    RecordingReady,
    RoleCorrection,
    StoredFile,
    is_recording_id,
)
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.recordings import (
    Download,
    JobOutcome,
    JobStore,
    RecordingFiles,
    RecordingQueue,
    RecordingSource,
    RecordingStore,
)
from switchboard.ports.usage_limits import AnnouncementLimits, MonthlyQuota, QuotaUsage
from tests.fakes.listing import list_page

AUDIO = b"ID3"
"""The beginning of everything that these fakes take for a recording."""


class InMemoryJobStore(JobStore):
    """Jobs in a dict."""

    def __init__(self) -> None:
        self.jobs: dict[str, ReadyFact] = {}
        self.others: dict[str, list[ReadyFact]] = {}
        self.quarantined: list[str] = []

    def put(self, ready: RecordingReady, *, at: datetime) -> JobOutcome:
        fact = ReadyFact(tel=ready.tel, date=ready.date, called_at=ready.called_at, at=at)
        if ready.recording_id not in self.jobs:
            self.jobs[ready.recording_id] = fact
            return JobOutcome.ANNOUNCED
        others = self.others.setdefault(ready.recording_id, [])
        if any(
            (other.tel, other.date) == (ready.tel, ready.date) for other in (self.jobs[ready.recording_id], *others)
        ):
            return JobOutcome.REPEATED
        if len(others) >= MAX_NOTICES - 1:
            return JobOutcome.TOO_MANY
        others.append(fact)
        return JobOutcome.DIFFERENT

    def get(self, recording_id: str) -> ReadyFact | None:
        return self.jobs.get(recording_id)

    def read(self, key: str) -> ReadyFact | None:
        """Return the report under the key: `jobs/<id>.json`, or `jobs/<id>/<number>.json` for the others."""
        recording_id, _, number = key.removeprefix("jobs/").removesuffix(".json").partition("/")
        return self.others[recording_id][int(number)] if number else self.jobs.get(recording_id)

    def quarantine(self, key: str, *, at: datetime) -> None:
        self.quarantined.append(key)


class InMemoryRecordingStore(RecordingStore):
    """Recordings in a dict, and when each of them is due."""

    def __init__(self) -> None:
        self.rows: dict[str, Recording] = {}
        self.due: dict[str, datetime] = {}

    def announce(
        self, recording_id: str, ready_fact: ReadyFact, *, due: datetime, parked: ParkingReason | None = None
    ) -> Recording:
        existing = self.rows.get(recording_id)
        if existing is None:
            self.rows[recording_id] = Recording(recording_id=recording_id, ready_facts=frozenset({ready_fact}))
            self.due[recording_id] = due
            if parked is not None:
                self.park(self.rows[recording_id], reason=parked, at=ready_fact.at)
            return self.rows[recording_id]
        changed = add_fact(existing, ready_fact)
        if sum(fact.by_file is ready_fact.by_file for fact in changed.ready_facts) <= MAX_NOTICES:
            self.rows[recording_id] = changed
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
        self.rows[recording.recording_id] = replace(add_fact(existing, attempt), parked=None)
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

    def correct(self, recording: Recording, correction: RoleCorrection) -> Recording | None:
        stored = self.rows.get(recording.recording_id)
        if stored is None or stored.newest_corrections[:1] != recording.newest_corrections[:1]:
            return None
        corrected = add_fact(stored, correction)
        kept = frozenset(corrected.newest_corrections[:MAX_CORRECTIONS])
        dropped = stored.dropped_corrections + len(corrected.corrections) - len(kept)
        self.rows[recording.recording_id] = replace(corrected, corrections=kept, dropped_corrections=dropped)
        return self.rows[recording.recording_id]

    def schedule(
        self, recording: Recording, *, due: datetime | None, at: datetime, transcribe_due: datetime | None = None
    ) -> None:
        existing = self.rows[recording.recording_id]
        if any(_count_attempts(existing, channel) != _count_attempts(recording, channel) for channel in Channel):
            return
        if due is None:
            self.due.pop(recording.recording_id, None)
            if existing.closed_at is None:
                existing = replace(existing, closed_at=at, closings=existing.closings + 1, last_closed_at=at)
            self.rows[recording.recording_id] = replace(existing, parked=None, transcription_due=transcribe_due)
        else:
            self.due[recording.recording_id] = due
            self.rows[recording.recording_id] = replace(existing, closed_at=None, parked=None, transcription_due=None)

    def park(self, recording: Recording, *, reason: ParkingReason, at: datetime) -> None:
        existing = self.rows[recording.recording_id]
        if all(_count_attempts(existing, channel) == _count_attempts(recording, channel) for channel in Channel):
            self.due.pop(recording.recording_id, None)
            self.rows[recording.recording_id] = replace(existing, parked=reason, parked_at=existing.parked_at or at)

    def parked(
        self, reason: ParkingReason, *, until: datetime, limit: int, newest_first: bool = False
    ) -> list[Recording]:
        parked = [row for row in self.rows.values() if row.parked is reason and row.announced_at <= until]
        return sorted(parked, key=lambda row: row.announced_at, reverse=newest_first)[:limit]

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
    """The queue's entries with their delays, oldest first.

    `backlog` and `job_keys` tell of every entry ever put whether it went into the backlog, and which report it names.
    """

    def __init__(self) -> None:
        self.backlog: list[bool] = []
        self.job_keys: list[str | None] = []
        self.entries: list[tuple[str, int]] = []

    def put(self, recording_id: str, *, delay_s: int = 0, backlog: bool = False, job_key: str | None = None) -> None:
        assert 0 <= delay_s <= 900
        self.entries.append((recording_id, delay_s))
        self.backlog.append(backlog)
        self.job_keys.append(job_key)


class InMemoryRecordingFiles(RecordingFiles):
    """Files in a dict. `writes` counts those that were stored whole."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.writes = 0

    def store(
        self, key: str, download: Download, *, quarantine_key: str, keep_cut: bool = False
    ) -> StoredFile | QuarantinedFile:
        content, is_cut = b"", False
        try:
            for chunk in download.chunks():
                content += chunk
        except DownloadFailedError:
            if not (keep_cut and content):
                raise
            is_cut = True
        if is_cut or not content.startswith(AUDIO):
            return QuarantinedFile(
                key=quarantine_key,
                bytes=len(content),
                sha256=sha256(content).hexdigest(),
                is_text=content.startswith(b"<"),
                is_cut=is_cut,
            )
        if key not in self.files:
            self.writes += 1
            self.files[key] = StoredFile(
                key=key,
                bytes=len(content),
                sha256=sha256(content).hexdigest(),
                content_type="audio/mpeg",
                file_name=download.file_name,
            )
        return self.files[key]

    def find(self, key: str) -> StoredFile | None:
        return self.files.get(key)

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        return f"https://files.invalid/{file.key}"


@dataclass(frozen=True, slots=True)
class WholeDownload:
    """A download that ends by itself, or with a failure if it `is_cut`."""

    content: bytes = AUDIO
    file_name: str = "a.mp3"
    end_is_certain: bool = True
    is_cut: bool = False

    def chunks(self) -> Iterator[bytes]:
        yield self.content
        if self.is_cut:
            raise DownloadFailedError("cut", provider="biztel", operation="download_recording")


class ScriptedSource(RecordingSource):
    """A source that answers each request with a file, or with the bytes, the download or the error of its script."""

    def __init__(self, *script: ProviderError | WholeDownload | bytes | None) -> None:
        self._script = deque(script)
        self.requests: list[tuple[str, Channel]] = []

    def open(self) -> None:
        return

    @contextmanager
    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> Iterator[WholeDownload]:
        self.requests.append((recording_id, channel))
        answer = self._script.popleft() if self._script else None
        if isinstance(answer, ProviderError):
            raise answer
        if isinstance(answer, WholeDownload):
            yield answer
        else:
            yield WholeDownload() if answer is None else WholeDownload(content=answer)


class CountingAnnouncementLimits(AnnouncementLimits):
    """Limits that grant `announcements` new recordings and `retries` in all, and 50 parked ones a minute."""

    def __init__(self, *, announcements: int = 1_000, retries: int = 1_000) -> None:
        self.announcements = announcements
        self.retries = retries

    def admit(self, at: datetime) -> bool:
        granted = self.announcements > 0
        self.announcements -= granted
        return granted

    def admit_parked(self, number: int, at: datetime) -> int:
        return number

    def admit_retry(self, at: datetime) -> bool:
        granted = self.retries > 0
        self.retries -= granted
        return granted

    def retries_left(self, at: datetime) -> int:
        return self.retries

    @property
    def parked_per_minute(self) -> int:
        return 50


class CountingQuota(MonthlyQuota):
    """A month's quota of `limit` requests, of which `reserve` are for urgent ones."""

    def __init__(self, *, limit: int = 1_000, reserve: int = 0, ends: datetime | None = None) -> None:
        self.limit = limit
        self.reserve = reserve
        self.used = 0
        self._ends = ends

    def take(self, at: datetime, *, urgent: bool, weight: int = 1) -> None:
        if self.used + weight > (self.limit if urgent else self.limit - self.reserve):
            ends = self._ends or at + timedelta(days=30)
            raise MonthlyQuotaExhaustedError("exhausted", provider="biztel", retry_after=ends, at=at)
        self.used += weight

    def usage(self, at: datetime) -> QuotaUsage:
        return QuotaUsage(month="2026-11", used=self.used, limit=self.limit, reserve=self.reserve, exhausted_on=None)
