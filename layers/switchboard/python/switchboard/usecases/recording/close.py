"""Close a recording whose channels are all decided, and let its transcript begin."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import StoreError
from switchboard.domain.recording.facts import FetchEnd, Recording
from switchboard.ports.recordings import RecordingStore
from switchboard.ports.transcripts import TranscriptionQueues

_QUEUE_GRACE: Final = timedelta(minutes=15)
"""The time after which the sweep puts the transcript into its queue, if the entry made here is lost."""


class CloseRecording:
    """The last write to a recording that is fetched. `queues` is None if this deployment makes no transcripts."""

    def __init__(self, *, recordings: RecordingStore, queues: TranscriptionQueues | None) -> None:
        self._recordings = recordings
        self._queues = queues

    def __call__(self, recording: Recording, *, at: datetime) -> None:
        """Record that no channel is awaited, and put the recording into the transcription queue.

        A queue that does not answer is left to the sweep: fetching never waits for a transcript.

        Raises:
            StoreUnavailableError: the recording may not be closed.
        """
        has_audio = any(outcome.end is FetchEnd.STORED for outcome in recording.outcomes)
        if self._queues is None or not has_audio:
            self._recordings.schedule(recording, due=None, at=at)
            return
        self._recordings.schedule(recording, due=None, at=at, transcribe_due=at + _QUEUE_GRACE)
        with suppress(StoreError):
            self._queues.put_start(recording.recording_id)
