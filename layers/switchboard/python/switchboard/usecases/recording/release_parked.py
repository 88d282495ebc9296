"""Bring parked recordings out: some every minute, the newest first, and each of them before its fetch deadline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter

from switchboard.domain.recording.facts import ParkingReason, Recording
from switchboard.domain.recording.priority import is_likely
from switchboard.domain.recording.status import RecordingDeadlines
from switchboard.ports.clock import Clock
from switchboard.ports.listing import UnreadableItem
from switchboard.ports.recordings import RecordingQueue, RecordingStore
from switchboard.ports.usage_limits import AnnouncementLimits
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport, act_on_each


class ReleaseParkedRecordings:
    """The sweep's part for parked recordings. Ids of the day of their announcement go before all others."""

    def __init__(
        self,
        *,
        recordings: RecordingStore,
        queue: RecordingQueue,
        limits: AnnouncementLimits,
        deadlines: RecordingDeadlines,
        clock: Clock,
        look_again_after: timedelta,
    ) -> None:
        self._recordings = recordings
        self._queue = queue
        self._limits = limits
        self._deadlines = deadlines
        self._clock = clock
        self._look_again_after = look_again_after

    def __call__(self, report: SweepReport, *, limit: int) -> int:
        """Bring out one minute's recordings, and at most `limit` that have waited for too long; return how many.

        Raises:
            StoreUnavailableError: the parked recordings cannot be found.
        """
        now = self._clock.now()
        released = 0
        for reason in ParkingReason:
            latest = now - self._deadlines.longest_parking
            released += self._release(self._recordings.parked(reason, until=latest, limit=limit - released), report)
            if released >= limit:
                break
        else:
            released += self._release_new(report, now) + self._release_retries(report, now)
        return released

    def _release_new(self, report: SweepReport, now: datetime) -> int:
        """Bring out recordings that were never asked for."""
        most = self._limits.parked_per_minute
        parked: list[Recording | UnreadableItem] = []
        for reason in (ParkingReason.DATED_NEAR, ParkingReason.OTHER_DATE):
            if len(parked) < most:
                parked += self._recordings.parked(reason, until=now, limit=most - len(parked), newest_first=True)
        return self._release(parked[: self._limits.admit_parked(len(parked), now)], report)

    def _release_retries(self, report: SweepReport, now: datetime) -> int:
        """Bring out recordings that answered 404, as many as the day's limit allows."""
        parked = list(
            self._recordings.parked(
                ParkingReason.NOT_FOUND, until=now, limit=self._limits.parked_per_minute, newest_first=True
            )
        )
        return self._release(parked[: self._limits.retries_left(now)] if parked else parked, report)

    def _release(self, recordings: Iterable[Recording | UnreadableItem], report: SweepReport) -> int:
        parked = list(recordings)
        name = attrgetter("recording_id")
        return act_on_each(parked, self._bring_out, name=name, limit=len(parked), report=report)

    def _bring_out(self, recording: Recording) -> SweepAction:
        now = self._clock.now()
        # In this order: an entry for a recording that is still parked would do nothing.
        self._recordings.schedule(recording, due=now + self._look_again_after, at=now)
        self._queue.put(recording.recording_id, backlog=not is_likely(recording))
        return SweepAction.RELEASED
