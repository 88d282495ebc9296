"""Counts requests in a second (3.9) and in a month (3.8), and the caller's violations of the rate limit."""

import math
from collections import Counter
from typing import Final

from sandbox.simulators.biztel.wall_clock import japan_time
from sandbox.simulators.rate_window import RateWindow, Window

_MAX_SECONDS: Final = 3600


class BurstLimit:
    """The requests in the second that ends now. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.violations = 0
        self.most_in_any_second = 0
        self._limited = RateWindow()
        self._received = RateWindow()
        self._per_second: Counter[int] = Counter()

    def allows(self, now: float, *, limit: int, kind: Window, refusals_count: bool) -> bool:
        """Record a request, and return whether fewer than `limit` requests were counted before it.

        A request counts in (now - 1, now] or, if `kind` is fixed, in its whole second. A refused request counts only
        if `refusals_count`.
        """
        self._record(now)
        allowed = not self._limited.is_full(now, limit=limit, kind=kind)
        if allowed or refusals_count:
            self._limited.count(now)
        self.violations += not allowed
        return allowed

    def per_second(self) -> list[dict[str, int]]:
        """Return the number of requests in each whole second that had any, for the last 3600 such seconds."""
        return [{"second": second, "requests": count} for second, count in sorted(self._per_second.items())]

    def _record(self, now: float) -> None:
        self._received.count(now)
        self.most_in_any_second = max(self.most_in_any_second, self._received.count_at(now, kind="sliding"))
        self._per_second[math.floor(now)] += 1
        if len(self._per_second) > _MAX_SECONDS:
            del self._per_second[min(self._per_second)]


class MonthCount:
    """The requests used in each month of Japan's calendar."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def used(self, at: float) -> int:
        """Return the number of requests used in the month of `at` (seconds since 1970)."""
        return self._used[month_of(at)]

    def use(self, at: float) -> None:
        """Use one request of the month of `at`."""
        self._used[month_of(at)] += 1

    def set(self, at: float, used: int) -> None:
        """Set the number of requests used in the month of `at`."""
        self._used[month_of(at)] = used


def month_of(at: float) -> str:
    """Return the month of `at` in Japan, such as `2026-04`."""
    return japan_time(at).strftime("%Y-%m")
