"""The real clock behind the `Clock` port."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(tz=UTC)

    def sleep_until(self, instant: datetime) -> None:
        """Sleep until `instant`, not at all if it has passed."""
        remaining = (instant - self.now()).total_seconds()
        if remaining > 0:
            time.sleep(remaining)
