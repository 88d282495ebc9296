"""Put recordings into the queue that have waited long enough, or of which nothing was heard."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from switchboard.domain.recording.facts import Recording
from switchboard.ports.clock import Clock
from switchboard.ports.recordings import RecordingQueue, RecordingStore
from switchboard.usecases.insistence import insist
from switchboard.usecases.operations.reconcile_overdue import SweepAction


class RequeueOverdueRecordings:
    """The sweep's part in recordings. It decides nothing: the worker does, who looks at the facts as they are then."""

    def __init__(
        self, *, recordings: RecordingStore, queue: RecordingQueue, clock: Clock, look_again_after: timedelta
    ) -> None:
        self._recordings = recordings
        self._queue = queue
        self._clock = clock
        self._look_again_after = look_again_after

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """One round. Raises StoreUnavailableError: what was done stays done, the rest waits for the next round."""
        done: Counter[SweepAction] = Counter()
        for recording in self._recordings.overdue(now=self._clock.now(), limit=limit):
            self._requeue(recording)
            done[SweepAction.REQUEUED] += 1
        return done

    def _requeue(self, recording: Recording) -> None:
        now = self._clock.now()
        self._queue.put(recording.recording_id)
        insist(lambda: self._recordings.schedule(recording, due=now + self._look_again_after, at=now))
