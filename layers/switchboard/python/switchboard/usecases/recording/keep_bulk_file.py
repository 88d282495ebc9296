"""Make a recording of a file that came by another way than ours: nothing is asked for, and nothing is stored twice."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import NotAudioError, UnreadableFileNameError
from switchboard.domain.recording.facts import (
    Channel,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Recording,
    RecordingFileName,
    StoredFile,
)
from switchboard.domain.recording.object_keys import recording_key
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.recordings import BulkFiles, RecordingFiles, RecordingStore
from switchboard.usecases.insistence import insist

# With its leading 0; extensions are shorter.
_SHORTEST_NUMBER: Final = 9


class BulkOutcome(StrEnum):
    """What became of one file."""

    STORED = "stored"
    THERE_ALREADY = "there_already"
    QUARANTINED = "quarantined"
    GONE = "gone"


class KeepBulkFile:
    """`parse_name` says which recording a file's name belongs to."""

    def __init__(
        self,
        *,
        bulk: BulkFiles,
        recordings: RecordingStore,
        files: RecordingFiles,
        parse_name: Callable[[str], RecordingFileName],
        clock: Clock,
        new_id: ClaimIds,
    ) -> None:
        self._bulk = bulk
        self._recordings = recordings
        self._files = files
        self._parse_name = parse_name
        self._clock = clock
        self._new_id = new_id

    def __call__(self, key: str) -> BulkOutcome:
        """Returns once it is stored, or in quarantine with the reason. Raises StoreUnavailableError: deliver it
        again, which does no harm however far this one came."""
        try:
            name = self._parse_name(key)
        except UnreadableFileNameError as error:
            self._bulk.quarantine(key, reason=error.reason, at=self._clock.now())
            return BulkOutcome.QUARANTINED
        known = insist(lambda: self._recordings.get(name.recording_id))
        if known is not None and _is_stored(known, name.channel):
            return BulkOutcome.THERE_ALREADY
        # Where the worker would put it too.
        day = name.started_at if known is None else known.called_at or known.announced_at
        try:
            with self._bulk.open(key) as download:
                if download is None:
                    return BulkOutcome.GONE
                file = self._files.store(recording_key(name.recording_id, name.channel, at=day), download)
        except NotAudioError:
            self._bulk.quarantine(key, reason="not_audio", at=self._clock.now())
            return BulkOutcome.QUARANTINED
        self._write_down(name, file)
        return BulkOutcome.STORED

    def _write_down(self, name: RecordingFileName, file: StoredFile) -> None:
        now = self._clock.now()
        ready_fact = ReadyFact(tel=_tel(name), date="", called_at=name.started_at, at=now, by_file=True)
        outcome = FetchOutcome(id=self._new_id(), channel=name.channel, at=now, end=FetchEnd.STORED, file=file)
        insist(lambda: self._recordings.announce(name.recording_id, ready_fact, due=now))
        recording = insist(lambda: self._recordings.record_outcome(name.recording_id, outcome))
        # Where it was announced as well, the worker decides what is still missing; else nothing is awaited.
        if all(each.by_file for each in recording.ready_facts):
            insist(lambda: self._recordings.schedule(recording, due=None, at=now))


def _is_stored(recording: Recording, channel: Channel) -> bool:
    return any(each.channel is channel and each.end is FetchEnd.STORED for each in recording.outcomes)


def _tel(name: RecordingFileName) -> str:
    """The other party. The rule names both ends of the call and does not say which of them is ours: the one that is
    a telephone number rather than an extension, the caller first."""
    for number in (name.from_number, name.to_number):
        if number.isascii() and number.isdigit() and len(number) >= _SHORTEST_NUMBER:
            return number
    return name.from_number or name.to_number
