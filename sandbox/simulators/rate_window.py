"""Requests counted in the second that ends now, or in this whole second."""

import math
from collections import deque
from typing import Literal

Window = Literal["sliding", "fixed"]


class RateWindow:
    """Counts requests. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def counted(self, now: float, *, kind: Window) -> int:
        """Return how many were counted in (now - 1, now] or, if fixed, in this whole second."""
        while self._times and _is_past(self._times[0], now, kind):
            self._times.popleft()
        return len(self._times)

    def is_full(self, now: float, *, limit: int, kind: Window) -> bool:
        """Return whether `limit` requests were counted."""
        return self.counted(now, kind=kind) >= limit

    def count(self, now: float) -> None:
        """Use up one place."""
        self._times.append(now)


def _is_past(then: float, now: float, kind: Window) -> bool:
    if kind == "fixed":
        return math.floor(then) < math.floor(now)
    return then <= now - 1.0
