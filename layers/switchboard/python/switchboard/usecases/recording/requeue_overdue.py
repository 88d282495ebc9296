"""Requeue the recordings that are due: those that have waited long enough, and those whose entry may be lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from switchboard.domain.recording.facts import Recording
from switchboard.domain.recording.priority import is_likely
from switchboard.ports.clock import Clock
from switchboard.ports.recordings import RecordingQueue, RecordingStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction


class RequeueOverdueRecordings:
    """The sweep's part for recordings. It decides nothing: the worker does, from the facts that it reads later."""

    def __init__(
        self, *, recordings: RecordingStore, queue: RecordingQueue, clock: Clock, look_again_after: timedelta
    ) -> None:
        self._recordings = recordings
        self._queue = queue
        self._clock = clock
        self._look_again_after = look_again_after

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """Requeue at most `limit` recordings, and return what was done.

        Raises:
            StoreUnavailableError: the store or the queue did not answer. What is requeued stays requeued, and the next
                round does the rest.
        """
        actions: Counter[SweepAction] = Counter()
        for recording in self._recordings.overdue(now=self._clock.now(), limit=limit):
            self._requeue(recording)
            actions[SweepAction.REQUEUED] += 1
        return actions

    def _requeue(self, recording: Recording) -> None:
        now = self._clock.now()
        self._queue.put(recording.recording_id, backlog=not is_likely(recording))
        self._recordings.schedule(recording, due=now + self._look_again_after, at=now)
