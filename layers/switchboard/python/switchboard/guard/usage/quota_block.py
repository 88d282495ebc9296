"""One container's block of a quota that all containers share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_BLOCKS_PER_LIMIT: Final = 1000
_RETENTION: Final = timedelta(days=1)


class QuotaBlock:
    """A quota in each window of one span, taken from the shared counter in blocks and used up here without a call.

    A block is as large as this container's usage in the window so far, up to a thousandth of the limit, and at least
    what the present submission needs. So a call is rare for a container that sends much. A container that ends or is
    idle wastes no more than it has sent and no more than a thousandth of the limit, or one submission. Waste is safe:
    the limit is reached a little early, and never exceeded. A QuotaBlock is for one thread.
    """

    def __init__(self, *, counters: CounterStore, key: str, span: Span, limit: int) -> None:
        self._counters = counters
        self._key = key
        self._span = span
        self._limit = limit
        self._window: Window | None = None
        self._left = 0
        self._used = 0
        self._refused: int | None = None

    def find_exhausted_window(self, at: datetime, *, weight: int) -> Window | None:
        """Return the window of `at` if `weight` does not fit into its limit, None if `use` may follow.

        A block that does not suffice is enlarged from the shared counter.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        window = Window.of(self._span, at)
        if window != self._window:
            self._window, self._left, self._used, self._refused = window, 0, 0, None
        need = weight - self._left
        # A granted block never returns to the counter: a call for as much as was refused cannot succeed.
        if need > 0 and (self._refused is None or need < self._refused):
            granted = self._counters.take_block(
                build_quota_key(self._key, window),
                block=max(need, min(self._used, self._limit // _BLOCKS_PER_LIMIT)),
                least=need,
                limit=self._limit,
                expires_at=window.ends + _RETENTION,
            )
            self._left += granted
            if not granted:
                self._refused = need
        return None if self._left >= weight else window

    def use(self, weight: int) -> None:
        """Use a part of the block, after `find_exhausted_window` has returned None for this weight."""
        self._left -= weight
        self._used += weight

    def refund(self, at: datetime, *, weight: int) -> None:
        """Return what was used to the block, unless the window in which it was used is over."""
        if self._used >= weight and Window.of(self._span, at) == self._window:
            self._left += weight
            self._used -= weight


def build_quota_key(key: str, window: Window) -> str:
    """Build the key of the counter of one window of a shared quota."""
    return f"{key}#{window.day}#{window.name}"
