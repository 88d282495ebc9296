"""What BIZTEL counts: requests in a second (3.9) and in a month (3.8), and how well the caller kept to it."""

import math
from collections import Counter
from typing import Final

from sandbox.simulators.biztel.wall_clock import in_japan
from sandbox.simulators.rate_window import RateWindow, Window

_MOST_SECONDS_KEPT: Final = 3600


class BurstLimit:
    """Counts requests in the second that ends now. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.violations = 0
        self.most_in_any_second = 0
        self._counted = RateWindow()
        self._arrived = RateWindow()
        self._per_second: Counter[int] = Counter()

    def allows(self, now: float, *, limit: int, kind: Window, refusals_count: bool) -> bool:
        """Take note of a request and return whether fewer than `limit` were counted before it.

        Counted are those in (now - 1, now] or, if fixed, in the same whole second; refused ones only on request.
        """
        self._note(now)
        allowed = not self._counted.is_full(now, limit=limit, kind=kind)
        if allowed or refusals_count:
            self._counted.count(now)
        self.violations += not allowed
        return allowed

    def per_second(self) -> list[dict[str, int]]:
        """Return how many requests came in each whole second with any, for the last hour of them."""
        return [{"second": second, "requests": count} for second, count in sorted(self._per_second.items())]

    def _note(self, now: float) -> None:
        self._arrived.count(now)
        self.most_in_any_second = max(self.most_in_any_second, self._arrived.counted(now, kind="sliding"))
        self._per_second[math.floor(now)] += 1
        if len(self._per_second) > _MOST_SECONDS_KEPT:
            del self._per_second[min(self._per_second)]


class MonthCount:
    """Requests used up in each month of Japan's calendar."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def used(self, at: float) -> int:
        """Return how many were used up in the month of `at` (seconds since 1970)."""
        return self._used[month_of(at)]

    def use(self, at: float) -> None:
        """Use up one."""
        self._used[month_of(at)] += 1

    def set(self, at: float, used: int) -> None:
        """Say how many were used up in the month of `at`."""
        self._used[month_of(at)] = used


def month_of(at: float) -> str:
    """Return the month, such as `2026-04`, in Japan."""
    return in_japan(at).strftime("%Y-%m")
