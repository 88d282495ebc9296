"""Where the news about recordings is kept until somebody acts on it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from switchboard.domain.recordings import Announcement, RecordingNotice


class JobStore(Protocol):
    """One job a recording: what was announced, durable before the provider hears that we have it. Every method may
    raise StoreUnavailableError."""

    def put(self, notice: RecordingNotice, *, at: datetime) -> bool:
        """Keeps it; False where this id is a job already, which stays as it is."""
        ...

    def get(self, recording_id: str) -> Announcement | None:
        """What was announced under this id, or None where nothing was, or is kept no longer."""
        ...
