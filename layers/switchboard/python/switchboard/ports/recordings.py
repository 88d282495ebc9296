"""Where the news about recordings, the facts about them and their files are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from switchboard.domain.recording.facts import (
    Channel,
    FetchAttempt,
    FetchOutcome,
    ReadyFact,
    Recording,
    RecordingReady,
    RoleCorrection,
    StoredFile,
)


class JobStore(Protocol):
    """One job a recording: what was announced, durable before the provider hears that we have it. Every method may
    raise StoreUnavailableError."""

    def put(self, notice: RecordingReady, *, at: datetime) -> bool:
        """Keeps it; False where this id is a job already, which stays as it is."""
        ...

    def get(self, recording_id: str) -> ReadyFact | None:
        """What was announced under this id, or None where nothing was, or is kept no longer."""
        ...


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """Some recordings, newest call first, and where the next page begins."""

    recordings: Sequence[Recording]
    next_position: str | None


class RecordingStore(Protocol):
    """The facts about recordings. Every method may raise StoreUnavailableError: then it may or may not have been
    applied, and the same call may be made again: each is harmless when repeated with the same arguments."""

    def announce(self, recording_id: str, ready_fact: ReadyFact, *, due: datetime) -> Recording:
        """Adds the ready_fact, to a new recording if there is none under this id: that one is looked at by `due`."""
        ...

    def get(self, recording_id: str) -> Recording | None: ...

    def begin(self, recording: Recording, attempt: FetchAttempt, *, due: datetime) -> Recording | None:
        """Adds the attempt if none has begun at its channel since `recording` was read, and nothing was stored; else
        None. The recording is looked at again by `due` at the latest."""
        ...

    def withdraw(self, recording_id: str, attempt: FetchAttempt) -> None:
        """Takes back an attempt that ended before anything was asked for; void if it has an outcome."""
        ...

    def record_outcome(self, recording_id: str, outcome: FetchOutcome) -> Recording:
        """Adds how an attempt ended; the first outcome of an attempt stays."""
        ...

    def correct(self, recording_id: str, correction: RoleCorrection) -> Recording | None:
        """Adds who is who; None where there is no such recording. Raises InvalidRequestError where it has been
        corrected MAX_CORRECTIONS times."""
        ...

    def schedule(self, recording: Recording, *, due: datetime | None, at: datetime) -> None:
        """When to look at it again, or that nothing more is awaited since `at`; void if an attempt has begun or been
        withdrawn since it was read."""
        ...

    def find(
        self, *, tel: str | None, since: datetime | None, until: datetime | None, limit: int, position: str | None
    ) -> RecordingPage:
        """Recordings by the time of the call, newest first; `since` inclusive, `until` exclusive. Raises
        InvalidRequestError for a `position` this did not hand out."""
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording]:
        """Recordings due by `now`, longest overdue first."""
        ...


class RecordingQueue(Protocol):
    """The queue of recordings to be looked at. It carries ids only."""

    def put(self, recording_id: str, *, delay_s: int = 0) -> None:
        """At most 900 s. Raises StoreUnavailableError: it may or may not be in the queue."""
        ...


class RecordingFiles(Protocol):
    """Where recordings' files are kept. Every method may raise StoreUnavailableError."""

    def store(self, key: str, download: Download) -> StoredFile:
        """Keeps the file, whole or not at all, in memory that does not depend on its size. One that is there already
        stays. Raises what the download raises."""
        ...

    def find(self, key: str) -> StoredFile | None:
        """The file under this key, measured anew, or None where there is none."""
        ...

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        """An address under which anybody can read the file until then."""
        ...


class BulkFiles(Protocol):
    """Files that came without being asked for. Every method may raise StoreUnavailableError."""

    def open(self, key: str) -> AbstractContextManager[Download | None]:
        """One of them, None where it is there no longer. Raises NotAudioError where it does not begin like an MP3."""
        ...

    def quarantine(self, key: str, *, reason: str, at: datetime) -> None:
        """Keeps a copy for a person to look at, with the reason. Void where the file is there no longer."""
        ...


class Download(Protocol):
    """One channel's file on its way. `length` is in bytes, or None where it is not announced."""

    @property
    def content_type(self) -> str: ...

    @property
    def length(self) -> int | None: ...

    @property
    def file_name(self) -> str: ...

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, in pieces of bounded size; to be asked for once. The file is whole only when this ends
        by itself. Raises the ProviderError tree."""
        ...


class RecordingSource(Protocol):
    """A provider that has recordings."""

    def open(self) -> None:
        """Has a usable connection ready. Raises NotSentError."""
        ...

    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> AbstractContextManager[Download]:
        """Asks once for one channel's file; it is over after `deadline_s` at the latest. Raises the ProviderError
        tree."""
        ...
