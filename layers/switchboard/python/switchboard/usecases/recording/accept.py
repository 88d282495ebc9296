"""Keep the news that a recording can be fetched, once for each id, before anybody is told that we have it."""

from __future__ import annotations

from switchboard.domain.recording.facts import RecordingReady
from switchboard.ports.clock import Clock
from switchboard.ports.recordings import JobStore


class AcceptRecording:
    """The call action's verb."""

    def __init__(self, *, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    def __call__(self, notice: RecordingReady) -> bool:
        """Returns once the job is durable: True if it is new, False if this id was one already. Raises
        StoreUnavailableError: it may or may not be, and may be told again."""
        return self._jobs.put(notice, at=self._clock.now())
