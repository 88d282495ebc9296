"""Turn a file that an operator dropped into the jobs bucket into a recording, without any request to the provider."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from switchboard.domain.errors import UnreadableFileNameError
from switchboard.domain.recording.facts import (
    Channel,
    FetchEnd,
    FetchOutcome,
    QuarantinedFile,
    ReadyFact,
    Recording,
    RecordingFileName,
    StoredFile,
)
from switchboard.domain.recording.object_keys import recording_key
from switchboard.domain.recording.other_party import other_party
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.recordings import BulkFiles, RecordingFiles, RecordingStore
from switchboard.usecases.recording.close import CloseRecording


class BulkOutcome(StrEnum):
    """The ways in which the handling of one file ends."""

    STORED = "stored"
    THERE_ALREADY = "there_already"
    QUARANTINED = "quarantined"
    GONE = "gone"


class KeepBulkFile:
    """The use case behind the files dropped under `bulk/`. `parse_name` reads a file name by the naming rule."""

    def __init__(
        self,
        *,
        bulk: BulkFiles,
        recordings: RecordingStore,
        files: RecordingFiles,
        close: CloseRecording,
        parse_name: Callable[[str], RecordingFileName],
        clock: Clock,
        new_id: ClaimIds,
    ) -> None:
        self._bulk = bulk
        self._recordings = recordings
        self._files = files
        self._close = close
        self._parse_name = parse_name
        self._clock = clock
        self._new_id = new_id

    def __call__(self, key: str) -> BulkOutcome:
        """Store the file, or quarantine it with the reason. Return once that is durable.

        Raises:
            StoreUnavailableError: it may or may not be durable. Delivering the file again is harmless.
        """
        try:
            name = self._parse_name(key)
        except UnreadableFileNameError as error:
            self._bulk.quarantine(key, reason=error.reason, at=self._clock.now())
            return BulkOutcome.QUARANTINED
        existing = self._recordings.get(name.recording_id)
        if existing is not None and _is_stored(existing, name.channel):
            # The container that stored it may have died before it closed the recording.
            self._close_unless_awaited(existing)
            return BulkOutcome.THERE_ALREADY
        # The same day as the worker's, so that a channel has one key.
        day = name.started_at if existing is None else existing.called_at or existing.announced_at
        with self._bulk.open(key) as download:
            if download is None:
                return BulkOutcome.GONE
            file = self._files.store(
                recording_key(name.recording_id, name.channel, at=day),
                download,
                quarantine_key=self._bulk.quarantine_key(key, at=self._clock.now()),
            )
        if isinstance(file, QuarantinedFile):
            return BulkOutcome.QUARANTINED
        self._record_stored(name, file)
        return BulkOutcome.STORED

    def _record_stored(self, name: RecordingFileName, file: StoredFile) -> None:
        now = self._clock.now()
        ready_fact = ReadyFact(tel=other_party(name), date="", called_at=name.started_at, at=now, by_file=True)
        outcome = FetchOutcome(id=self._new_id(), channel=name.channel, at=now, end=FetchEnd.STORED, file=file)
        self._recordings.announce(name.recording_id, ready_fact, due=now)
        recording = self._recordings.record_outcome(name.recording_id, outcome)
        self._close_unless_awaited(recording)

    def _close_unless_awaited(self, recording: Recording) -> None:
        """Close a recording that came only as files, or that was closed before this file came.

        If the provider has reported the recording too, the worker decides what is still missing.
        """
        if recording.came_as_files or recording.closed_at is not None:
            self._close(recording, at=self._clock.now())


def _is_stored(recording: Recording, channel: Channel) -> bool:
    return any(outcome.channel is channel and outcome.end is FetchEnd.STORED for outcome in recording.outcomes)
