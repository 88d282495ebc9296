"""Counts requests in the second that ends now, or in the current whole second."""

import math
from collections import deque
from typing import Literal

Window = Literal["sliding", "fixed"]


class RateWindow:
    """A count of requests. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count_at(self, now: float, *, kind: Window) -> int:
        """Return the number of requests in (now - 1, now] or, if `kind` is fixed, in the whole second of `now`."""
        while self._times and _is_past(self._times[0], now, kind):
            self._times.popleft()
        return len(self._times)

    def is_full(self, now: float, *, limit: int, kind: Window) -> bool:
        """Return whether at least `limit` requests were counted."""
        return self.count_at(now, kind=kind) >= limit

    def count(self, now: float) -> None:
        """Count one request."""
        self._times.append(now)


def _is_past(time: float, now: float, kind: Window) -> bool:
    if kind == "fixed":
        return math.floor(time) < math.floor(now)
    return time <= now - 1.0
