"""Tell a caller where recordings stand, and where their files can be had for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.recording.facts import (
    Channel,
    Recording,
    Role,
    RoleCorrection,
    Side,
    StoredFile,
    is_recording_id,
)
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingState, RecordingStatus
from switchboard.ports.clock import Clock
from switchboard.ports.recordings import RecordingFiles, RecordingStore
from switchboard.usecases.insistence import insist

# A filter by state reads facts until a page is full; this bounds what one request may read.
_PAGES_READ_AT_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """A recording, where it stood when it was looked at, and each stored file's address with its end. `sides` is what
    the files' names say, where they follow the naming rule."""

    recording: Recording
    status: RecordingStatus
    urls: Mapping[Channel, str]
    urls_expire_at: datetime
    sides: Mapping[Channel, Side]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """What to list, by the time of the call: `since` inclusive, `until` exclusive. `tel` as anybody may write it."""

    tel: str | None = None
    state: RecordingState | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordingList:
    """One page, newest call first, and the position of the next one."""

    items: Sequence[RecordingView]
    next_position: str | None


class QueryRecordings:
    """Recordings are nobody's in particular: every API key sees them all."""

    def __init__(
        self,
        *,
        recordings: RecordingStore,
        files: RecordingFiles,
        policy: RecordingPolicy,
        clock: Clock,
        url_lasts: timedelta,
        side_of: Callable[[str], Side | None],
    ) -> None:
        self._recordings = recordings
        self._files = files
        self._policy = policy
        self._clock = clock
        self._url_lasts = url_lasts
        self._side_of = side_of

    def one(self, recording_id: str) -> RecordingView:
        """Raises ResourceNotFoundError, StoreUnavailableError."""
        recording = insist(lambda: self._recordings.get(recording_id)) if is_recording_id(recording_id) else None
        if recording is None:
            raise ResourceNotFoundError("nothing here has this id")
        return self.view(recording)

    def many(self, wanted: RecordingFilter, *, limit: int, position: str | None) -> RecordingList:
        """At most `limit` recordings. A filter by state may give a short page with a next position: there may be more.

        Raises InvalidRequestError for a position it did not hand out, StoreUnavailableError.
        """
        found: list[Recording] = []
        for _ in range(_PAGES_READ_AT_MOST):
            page = self._recordings.find(
                tel=wanted.tel,
                since=wanted.since,
                until=wanted.until,
                limit=limit - len(found),
                position=position,
            )
            now = self._clock.now()
            found += [
                each for each in page.recordings if wanted.state in (None, self._policy.status(each, now=now).state)
            ]
            position = page.next_position
            if position is None or len(found) >= limit:
                break
        return RecordingList(items=[self.view(each) for each in found], next_position=position)

    def correct_roles(self, recording_id: str, *, left: Role, right: Role) -> RecordingView:
        """Writes down who is who, beside what was known. Raises ResourceNotFoundError, StoreUnavailableError, and
        InvalidRequestError where that has been done too often."""
        correction = RoleCorrection(at=self._clock.now(), left=left, right=right)
        known = is_recording_id(recording_id)
        recording = insist(lambda: self._recordings.correct(recording_id, correction)) if known else None
        if recording is None:
            raise ResourceNotFoundError("nothing here has this id")
        return self.view(recording)

    def view(self, recording: Recording) -> RecordingView:
        now = self._clock.now()
        status = self._policy.status(recording, now=now)
        stored: dict[Channel, StoredFile] = {
            channel: each.file for channel, each in status.channels.items() if each.file is not None
        }
        sides = {channel: self._side_of(file.file_name) for channel, file in stored.items()}
        return RecordingView(
            recording=recording,
            status=status,
            urls={channel: self._files.url(file, expires_in=self._url_lasts) for channel, file in stored.items()},
            urls_expire_at=now + self._url_lasts,
            sides={channel: side for channel, side in sides.items() if side is not None},
        )
