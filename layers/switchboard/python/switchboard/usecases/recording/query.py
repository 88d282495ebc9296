"""Show recordings with their status and with links to their files, and correct who is heard on which channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from switchboard.domain.errors import ResourceNotFoundError, StoreUnavailableError
from switchboard.domain.recording.facts import Channel, Recording, Role, Side, is_recording_id
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingStatus
from switchboard.ports.clock import Clock
from switchboard.ports.listing import Page
from switchboard.ports.recordings import RecordingFiles, RecordingStore
from switchboard.usecases.query import ListFilter, fill_page

# Each try that fails means that another caller corrected the same recording in the same moment.
_MAX_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """A recording with its status at the moment of the query.

    `urls` are the links to the stored files, all of which expire at `urls_expire_at`. `sides` are the sides that the
    files' names give, for the files whose names follow the naming rule.
    """

    recording: Recording
    status: RecordingStatus
    urls: Mapping[Channel, str]
    urls_expire_at: datetime
    sides: Mapping[Channel, Side]


RecordingFilter: TypeAlias = ListFilter
RecordingList: TypeAlias = Page[RecordingView]


class QueryRecordings:
    """The queries for recordings. Recordings belong to no client: every API key with the scope sees them all."""

    def __init__(
        self,
        *,
        recordings: RecordingStore,
        files: RecordingFiles,
        policy: RecordingPolicy,
        clock: Clock,
        url_lifetime: timedelta,
        side_of: Callable[[str], Side | None],
    ) -> None:
        self._recordings = recordings
        self._files = files
        self._policy = policy
        self._clock = clock
        self._url_lifetime = url_lifetime
        self._side_of = side_of

    def one(self, recording_id: str) -> RecordingView:
        """Return the recording with this id.

        Raises:
            ResourceNotFoundError: no recording has this id.
            StoreUnavailableError: the store did not answer.
        """
        return self._view_existing(self._recordings.get(recording_id) if is_recording_id(recording_id) else None)

    def many(self, recording_filter: RecordingFilter, *, limit: int, position: str | None) -> RecordingList:
        """Return at most `limit` recordings, newest call first.

        A filter by state may give a short page that is not the last.

        Raises:
            InvalidRequestError: `position` is not one that this list returned.
            StoreUnavailableError: the store did not answer.
        """

        def view_if_in_state(recording: Recording) -> RecordingView | None:
            now = self._clock.now()
            status = self._policy.status(recording, now=now)
            in_state = recording_filter.state in (None, status.state)
            return self._view(recording, status, now=now) if in_state else None

        return fill_page(self._recordings.find, recording_filter, limit=limit, position=position, view=view_if_in_state)

    def correct_roles(self, recording_id: str, *, left: Role, right: Role) -> RecordingView:
        """Record who is heard on the left and on the right channel, beside the earlier corrections.

        Nothing is recorded if the channels have these roles already.

        Raises:
            ResourceNotFoundError: no recording has this id.
            CorrectionLimitError: the recording was corrected MAX_CORRECTIONS times today.
            StoreUnavailableError: the store did not answer, or other callers keep correcting this recording.
        """
        for _ in range(_MAX_TRIES):
            view = self.one(recording_id)
            correction = view.recording.correct(left=left, right=right, at=self._clock.now())
            if correction is None:
                return view
            corrected = self._recordings.correct(view.recording, correction)
            if corrected is not None:
                return self._view_existing(corrected)
        raise StoreUnavailableError("correct roles: the recording was corrected at the same time")

    def _view_existing(self, recording: Recording | None) -> RecordingView:
        if recording is None:
            raise ResourceNotFoundError("No such recording")
        now = self._clock.now()
        return self._view(recording, self._policy.status(recording, now=now), now=now)

    def _view(self, recording: Recording, status: RecordingStatus, *, now: datetime) -> RecordingView:
        files = {channel: state.file for channel, state in status.channels.items() if state.file is not None}
        sides = {channel: self._side_of(file.file_name) for channel, file in files.items()}
        return RecordingView(
            recording=recording,
            status=status,
            urls={channel: self._files.url(file, expires_in=self._url_lifetime) for channel, file in files.items()},
            urls_expire_at=now + self._url_lifetime,
            sides={channel: side for channel, side in sides.items() if side is not None},
        )
