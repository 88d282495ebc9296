"""Fixed windows of time for usage limits: the window of an instant, and its end.

All windows are Japan's. The recipients, and the companies that pay, are in Japan; contracts and bills go by its date. A
limit that is used up comes back at midnight, not at nine in the morning, when the day's sending begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from switchboard.domain.timestamps import JAPAN


class Span(StrEnum):
    """The length of a window. A day is whole hours and an hour whole minutes: no window overlaps two longer ones."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_LENGTHS: Final = {
    Span.MINUTE: timedelta(minutes=1),
    Span.HOUR: timedelta(hours=1),
    Span.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Window:
    """A window of one span, from `starts` (Japan time) on."""

    span: Span
    starts: datetime

    @classmethod
    def of(cls, span: Span, at: datetime) -> Window:
        """Return the window that contains `at`, which must be aware."""
        local = at.astimezone(JAPAN)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(span, midnight + (local - midnight) // _LENGTHS[span] * _LENGTHS[span])

    @property
    def ends(self) -> datetime:
        return self.starts + _LENGTHS[self.span]

    @property
    def day(self) -> date:
        """The date in Japan."""
        return self.starts.date()

    @property
    def name(self) -> str:
        """The name in the store: `minute_1427`, `hour_1400`, `day_0000`; unique within one day."""
        return f"{self.span}_{self.starts:%H%M}"

    def seconds_left(self, at: datetime) -> int:
        """Return the whole seconds from `at` to the window's end, at least one."""
        return max(1, math.ceil((self.ends - at).total_seconds()))
