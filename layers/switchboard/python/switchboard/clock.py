"""The real clock behind the `Clock` port."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(tz=UTC)

    def sleep_until(self, instant: datetime) -> None:
        remaining = (instant - self.now()).total_seconds()
        if remaining > 0:
            time.sleep(remaining)
