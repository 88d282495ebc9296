"""Fixed windows of time: which one an instant falls into, and when that ends.

All are Japan's. Those who are disturbed and those who pay are there, contracts and bills go by its date, and a limit
that is used up comes back at midnight instead of at nine in the morning, when the day's sending begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from switchboard.domain.timestamps import JAPAN


class Span(StrEnum):
    """How long a window is. Days are whole hours and hours whole minutes, so that none lies in two of the others."""

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
    """From `starts` (Japan time) on, for one span."""

    span: Span
    starts: datetime

    @classmethod
    def of(cls, span: Span, at: datetime) -> Window:
        """The one that an aware instant falls into."""
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
        """`minute_1427`, `hour_1400`, `day_0000`: unique within one day."""
        return f"{self.span}_{self.starts:%H%M}"

    def seconds_left(self, at: datetime) -> int:
        """Whole seconds until it is over, at least one."""
        return max(1, math.ceil((self.ends - at).total_seconds()))
