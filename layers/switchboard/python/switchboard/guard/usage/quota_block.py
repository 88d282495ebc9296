"""One container's block of a quota that all containers share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_BLOCKS_PER_LIMIT: Final = 1000
_RETENTION: Final = timedelta(days=1)


class QuotaBlock:
    """A limit in each window of one span, taken from the shared counter in blocks and used up here without a call.

    A block is as large as this container's usage in the window so far, from one up to a thousandth of the limit (at
    least one). So a call is rare for a container that sends much. A container that ends or is idle wastes no more than
    it has sent and no more than a thousandth of the limit. Waste is safe: the limit is reached a little early, and
    never exceeded. A QuotaBlock is for one thread.
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

    def find_exhausted_window(self, at: datetime) -> Window | None:
        """Return the window of `at` if its limit is reached, None if `use_one` may follow.

        A block that is used up is replaced by a new one from the shared counter.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        window = Window.of(self._span, at)
        if window != self._window:
            self._window, self._left, self._used, self._exhausted = window, 0, 0, False
        if not self._left and not self._exhausted:
            block = max(1, min(self._used, self._limit // _BLOCKS_PER_LIMIT))
            self._left = self._counters.take_block(
                f"{self._key}#{window.day}#{window.name}",
                block=block,
                limit=self._limit,
                expires_at=window.ends + _RETENTION,
            )
            # A granted block never returns to the counter: a further call cannot succeed.
            self._exhausted = not self._left
        return None if self._left else window

    def use_one(self) -> None:
        """Use one of the block, after `find_exhausted_window` has returned None."""
        self._left -= 1
        self._used += 1

    def refund(self, at: datetime) -> None:
        """Return one to the block, unless the window in which it was used is over."""
        if self._used and Window.of(self._span, at) == self._window:
            self._left += 1
            self._used -= 1
