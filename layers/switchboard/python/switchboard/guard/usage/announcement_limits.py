"""Limits on recordings that may not exist, in shared counters: new ones an hour, and retries after a 404 a day.

A forged call action costs BIZTEL's monthly quota as much as a true one. What a limit refuses is parked, not lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from switchboard.guard.usage.usage_limits import Span, Window
from switchboard.ports.usage_limits import AnnouncementLimits, CounterStore

_GRANTED: Final = "granted"
_RETENTION: Final = timedelta(days=1)
_MINUTES_PER_HOUR: Final = 60
_DEFAULT_PER_MINUTE: Final = 50
# The part of a minute's share that is brought out even beyond the hour's limit.
_SURPLUS: Final = 5
_UNLIMITED: Final = 1_000_000_000


class CounterAnnouncementLimits(AnnouncementLimits):
    """The AnnouncementLimits of one provider. A limit of 0 is none."""

    def __init__(
        self, *, counters: CounterStore, provider: str, announcements_per_hour: int, retries_per_day: int
    ) -> None:
        self._counters = counters
        self._provider = provider
        self._announcements = announcements_per_hour or _UNLIMITED
        self._retries = retries_per_day or _UNLIMITED
        self._parked_per_minute = -(-announcements_per_hour // _MINUTES_PER_HOUR) or _DEFAULT_PER_MINUTE

    @property
    def parked_per_minute(self) -> int:
        return self._parked_per_minute

    def admit(self, at: datetime) -> bool:
        return self._take(Span.HOUR, 1, self._announcements, at) > 0

    def admit_parked(self, number: int, at: datetime) -> int:
        if not number:
            return 0
        granted = self._take(Span.HOUR, number, self._announcements, at)
        return max(granted, min(number, max(1, self._parked_per_minute // _SURPLUS)))

    def admit_retry(self, at: datetime) -> bool:
        return self._take(Span.DAY, 1, self._retries, at) > 0

    def retries_left(self, at: datetime) -> int:
        used = self._counters.read(self._build_key(Window.of(Span.DAY, at))).get(_GRANTED, 0)
        return max(0, self._retries - used)

    def _take(self, span: Span, number: int, limit: int, at: datetime) -> int:
        window = Window.of(span, at)
        return self._counters.take_block(
            self._build_key(window), block=number, limit=limit, expires_at=window.ends + _RETENTION
        )

    def _build_key(self, window: Window) -> str:
        return f"RECORDINGS#{self._provider}#{window.day}#{window.name}"
