"""One container's block of a limit that all containers have together."""

from __future__ import annotations

from datetime import datetime, timedelta

from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_BLOCKS_A_LIMIT = 1000
_KEPT = timedelta(days=1)


class QuotaBlock:
    """A limit in each window of one span, granted from the shared counter in blocks and used up here without any call.

    A block is as large as what this container has used in the window so far, from one up to a thousandth of the limit
    (at least one). So a call is rare where much is sent, and what is lost with a container, or lies idle in it, is
    never more than it has sent or than a thousandth, whichever is less. It is lost on the safe side: the limit is
    reached a little early, and never exceeded. For one thread.
    """

    def __init__(self, *, counters: CounterStore, key: str, span: Span, limit: int) -> None:
        self._counters = counters
        self._key = key
        self._span = span
        self._limit = limit
        self._window: Window | None = None
        self._left = 0
        self._used = 0
        self._exhausted = False

    def full(self, at: datetime) -> Window | None:
        """The window that has no room left at `at`, or None where `use` may follow. Raises StoreUnavailableError."""
        window = Window.of(self._span, at)
        if window != self._window:
            self._window, self._left, self._used, self._exhausted = window, 0, 0, False
        if not self._left and not self._exhausted:
            block = max(1, min(self._used, self._limit // _BLOCKS_A_LIMIT))
            self._left = self._counters.take_block(
                f"{self._key}#{window.day}#{window.name}",
                block=block,
                limit=self._limit,
                expires_at=window.ends + _KEPT,
            )
            # What has been granted never comes back to the counter: there is no point in asking again.
            self._exhausted = not self._left
        return None if self._left else window

    def use(self) -> None:
        """One less, where `full` has just said that there is room."""
        self._left -= 1
        self._used += 1

    def refund(self, at: datetime) -> None:
        """One more, where it was used in a window that still lasts here."""
        if self._used and Window.of(self._span, at) == self._window:
            self._left += 1
            self._used -= 1
