"""What recordings are kept in, in memory."""

from __future__ import annotations

from datetime import datetime

from switchboard.domain.recordings import Announcement, RecordingNotice
from switchboard.ports.recordings import JobStore


class InMemoryJobStore(JobStore):
    """Jobs in a dict."""

    def __init__(self) -> None:
        self.jobs: dict[str, Announcement] = {}

    def put(self, notice: RecordingNotice, *, at: datetime) -> bool:
        new = notice.recording_id not in self.jobs
        if new:
            self.jobs[notice.recording_id] = Announcement(
                tel=notice.tel, date=notice.date, called_at=notice.called_at, at=at
            )
        return new

    def get(self, recording_id: str) -> Announcement | None:
        return self.jobs.get(recording_id)
