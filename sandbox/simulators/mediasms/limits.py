"""What the provider counts for one source address: accepted requests in a second, and wrong credentials in a row."""

import math
from collections import deque
from typing import Final, Literal

STREAK_THAT_BLOCKS: Final = 10


class RateWindow:
    """Counts requests of one address in the second that ends now. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def is_full(self, now: float, *, limit: int, kind: Literal["sliding", "fixed"]) -> bool:
        """Return whether `limit` requests were counted in (now - 1, now], or, if fixed, in this whole second."""
        while self._times and self._is_past(self._times[0], now, kind):
            self._times.popleft()
        return len(self._times) >= limit

    def count(self, now: float) -> None:
        """Use up one place."""
        self._times.append(now)

    @staticmethod
    def _is_past(then: float, now: float, kind: Literal["sliding", "fixed"]) -> bool:
        if kind == "fixed":
            return math.floor(then) < math.floor(now)
        return then <= now - 1.0


class UnauthorizedStreak:
    """Counts 401 answers in a row to one address; the tenth blocks it for good."""

    def __init__(self) -> None:
        self.length = 0

    @property
    def blocked(self) -> bool:
        """Return whether every further request of the address is a 555."""
        return self.length >= STREAK_THAT_BLOCKS

    def answered(self, code: int) -> None:
        """Take note of an answer; once blocked, nothing breaks the streak."""
        if self.blocked:
            return
        self.length = self.length + 1 if code == 401 else 0


class SourceAddress:
    """Everything counted for one source address."""

    def __init__(self) -> None:
        self.window = RateWindow()
        self.streak = UnauthorizedStreak()
