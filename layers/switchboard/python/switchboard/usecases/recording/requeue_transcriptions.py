"""Requeue the transcripts that are due: jobs without an event, waiting ones, and those whose entry may be lost."""

from __future__ import annotations

from datetime import timedelta

from switchboard.domain.recording.facts import Recording
from switchboard.domain.recording.transcripts import Progress, sources_of
from switchboard.ports.clock import Clock
from switchboard.ports.transcripts import TranscriptionQueues, TranscriptionStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport, act_on_each


class RequeueTranscriptions:
    """The sweep's part for transcripts. It decides nothing: the workers do, from the facts that they read later."""

    def __init__(
        self, *, recordings: TranscriptionStore, queues: TranscriptionQueues, clock: Clock, look_again_after: timedelta
    ) -> None:
        self._recordings = recordings
        self._queues = queues
        self._clock = clock
        self._look_again_after = look_again_after

    def __call__(self, report: SweepReport, *, limit: int) -> int:
        """Requeue at most `limit` recordings, and return how many were requeued.

        Raises:
            StoreUnavailableError: the overdue recordings cannot be found.
        """
        overdue = self._recordings.overdue(now=self._clock.now(), limit=limit)
        return act_on_each(
            overdue, self._requeue, name=lambda recording: recording.recording_id, limit=limit, report=report
        )

    def _requeue(self, recording: Recording) -> SweepAction:
        is_running = any(source.progress is Progress.RUNNING for source in sources_of(recording))
        put = self._queues.put_look if is_running else self._queues.put_start
        put(recording.recording_id)
        self._recordings.schedule(
            recording,
            due=self._clock.now() + self._look_again_after,
            waits_for=recording.transcription_waits_for,
        )
        return SweepAction.REQUEUED
