"""A clock that stands still, and predictable ids."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from switchboard.ports.clock import ClaimIds, Clock

START = datetime(2026, 11, 22, 3, 4, 5, 678000, tzinfo=UTC)


class FixedClock(Clock):
    """A clock that stands still until it is moved. Waiting moves it."""

    def __init__(self, at: datetime = START) -> None:
        self._now = at

    def now(self) -> datetime:
        return self._now

    def sleep_until(self, instant: datetime) -> None:
        self._now = max(self._now, instant)

    def advance(self, by: timedelta) -> None:
        self._now += by


class CountingIds(ClaimIds):
    """The ids `a1x1`, `a1x2`, …: no two sources mint the same id."""

    _makers = itertools.count(1)

    def __init__(self) -> None:
        self._maker = next(self._makers)
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        return f"a{self._maker}x{next(self._numbers)}"
