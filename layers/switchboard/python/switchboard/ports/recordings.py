"""The stores of recordings, their facts and their files, the queue of those to fetch, and the provider's downloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from switchboard.domain.recording.facts import (
    Channel,
    FetchAttempt,
    FetchOutcome,
    ParkingReason,
    QuarantinedFile,
    ReadyFact,
    Recording,
    RecordingReady,
    RoleCorrection,
    StoredFile,
)

if TYPE_CHECKING:
    # Only for types: webhooks list nothing and need not load it.
    from switchboard.ports.listing import ListingQuery, Page, UnreadableItem


class JobOutcome(StrEnum):
    """The ways in which the report of a recording is stored.

    An id is announced once. A report may be repeated, may differ from the earlier ones, or may be one too many and is
    stored nowhere.
    """

    ANNOUNCED = "announced"
    REPEATED = "repeated"
    DIFFERENT = "different"
    TOO_MANY = "too_many"


class JobStore(Protocol):
    """The jobs, one for each recording that the provider announced, and the later reports that differ from them.

    A job is durable before the provider receives our answer. Every method may raise StoreUnavailableError.
    """

    def put(self, ready: RecordingReady, *, at: datetime) -> JobOutcome:
        """Store a job, or beside the job of this id a report that differs. Nothing is overwritten.

        At most MAX_NOTICES different reports of one id are stored.
        """
        ...

    def get(self, recording_id: str) -> ReadyFact | None:
        """Return the job under this id, or None if it was never stored or is stored no longer.

        Raises:
            UnreadableJobError: the object holds no job.
        """
        ...

    def read(self, key: str) -> ReadyFact | None:
        """Return the report in the object with this key, as `get` does. An empty object holds none."""
        ...

    def quarantine(self, key: str, *, at: datetime) -> None:
        """Copy the object for an operator to look at. Do nothing if it does not exist any more."""
        ...


class RecordingStore(Protocol):
    """The facts about recordings.

    Every method may raise StoreUnavailableError: then the call may or may not have been applied. The caller may repeat
    it, because every method is harmless when repeated with the same arguments.
    """

    def announce(
        self, recording_id: str, ready_fact: ReadyFact, *, due: datetime, parked: ParkingReason | None = None
    ) -> Recording:
        """Add the ready fact. If it creates the recording, the recording is due at `due`, or parked since the fact.

        A recording keeps MAX_NOTICES different facts from reports, and as many from files. Further ones are not added.
        """
        ...

    def get(self, recording_id: str) -> Recording | None:
        """Return the recording with this id, or None if there is none."""
        ...

    def begin(self, recording: Recording, attempt: FetchAttempt, *, due: datetime) -> Recording | None:
        """Add the attempt and make the recording due at `due`.

        Returns None, and adds nothing, if the channel is stored or if another attempt at it has begun since `recording`
        was read.
        """
        ...

    def withdraw(self, recording_id: str, attempt: FetchAttempt) -> None:
        """Remove an attempt that ended before its request was sent. Do nothing if the attempt has an outcome."""
        ...

    def record_outcome(self, recording_id: str, outcome: FetchOutcome) -> Recording:
        """Add the outcome of an attempt. The first outcome of an attempt stays."""
        ...

    def correct(self, recording: Recording, correction: RoleCorrection) -> Recording | None:
        """Add the correction, which is the newest, or return None if another one was added since `recording` was read.

        Only the newest MAX_CORRECTIONS are kept.
        """
        ...

    def schedule(
        self, recording: Recording, *, due: datetime | None, at: datetime, transcribe_due: datetime | None = None
    ) -> None:
        """Make the recording due at `due`, or, if `due` is None, record that no channel is awaited since `at`.

        The same write makes the transcript due at `transcribe_due`, if one is wanted.

        A parked recording is parked no longer. Do nothing if an attempt has begun or been withdrawn since `recording`
        was read.
        """
        ...

    def park(self, recording: Recording, *, reason: ParkingReason, at: datetime) -> None:
        """Set the recording aside until the sweep releases it.

        Do nothing if an attempt has begun or been withdrawn since `recording` was read.
        """
        ...

    def parked(
        self, reason: ParkingReason, *, until: datetime, limit: int, newest_first: bool = False
    ) -> Iterable[Recording | UnreadableItem]:
        """Return at most `limit` recordings that are parked for this reason and were announced by `until`.

        The longest parked recording is first, or with `newest_first` the one that was announced last.
        """
        ...

    def find(self, query: ListingQuery) -> Page[Recording]:
        """Return one page of recordings by the time of their call. The query's `recipient` may be in any spelling.

        Raises:
            InvalidRequestError: the query's position is not one that this list returned.
        """
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording | UnreadableItem]:
        """Return the recordings that are due by `now`, longest overdue first, read in pages of `limit`."""
        ...


class RecordingQueue(Protocol):
    """The queue of recordings that a worker must look at, and its backlog. Its entries hold ids and keys only."""

    def put(self, recording_id: str, *, delay_s: int = 0, backlog: bool = False, job_key: str | None = None) -> None:
        """Put an entry into the queue that is delivered after `delay_s`, at most 900 s.

        Recordings in the `backlog` leave most of the provider's rate to the others. `job_key` names a report that the
        worker has still to add.

        Raises:
            StoreUnavailableError: the entry may or may not be in the queue.
        """
        ...


class RecordingFiles(Protocol):
    """The stored files of recordings. Every method may raise StoreUnavailableError."""

    def store(
        self, key: str, download: Download, *, quarantine_key: str, keep_cut: bool = False
    ) -> StoredFile | QuarantinedFile:
        """Store the file, whole or not at all, in memory that does not depend on its size.

        Its bytes alone decide what it is. A recording is stored under `key` and the extension of its format. Anything
        else, and a file whose end is not certain, is stored under `quarantine_key`. With `keep_cut` so is what came of
        a download that failed. An existing recording stays and is returned. Raises what the download raises, but for a
        failure after which something is kept.
        """
        ...

    def find(self, key: str) -> StoredFile | None:
        """Return the recording under this key and any extension, measured anew, or None if there is none."""
        ...

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        """Return a link with which any holder can read the file until it expires."""
        ...


class BulkFiles(Protocol):
    """The files that an operator dropped into the jobs bucket. Every method may raise StoreUnavailableError."""

    def open(self, key: str) -> AbstractContextManager[Download | None]:
        """Open one file, or give None if it does not exist any more."""
        ...

    def quarantine_key(self, key: str, *, at: datetime) -> str:
        """Return the key under which the file is quarantined at `at`."""
        ...

    def quarantine(self, key: str, *, reason: str, at: datetime) -> None:
        """Copy the file, with the reason, for an operator to look at. Do nothing if it does not exist any more."""
        ...


class Download(Protocol):
    """One channel's file while it is transferred."""

    @property
    def end_is_certain(self) -> bool:
        """False if a file that was cut would look the same."""
        ...

    @property
    def file_name(self) -> str:
        """The name that the provider gives the file."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes in pieces of limited size. Call it once.

        The file is whole only if the iterator ends by itself. Raises the ProviderError tree.
        """
        ...


class RecordingSource(Protocol):
    """A provider from which recordings are downloaded."""

    def open(self) -> None:
        """Make sure that a connection is open.

        Raises:
            NotSentError: the provider cannot be reached.
        """
        ...

    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> AbstractContextManager[Download]:
        """Request one channel's file once. Cut the transfer off after `deadline_s`.

        Raises the ProviderError tree.
        """
        ...
