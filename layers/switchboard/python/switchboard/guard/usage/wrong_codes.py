"""The limit of wrong codes for one number, which guesses at all of its verifications share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import WrongCodeLimitError
from switchboard.guard.usage.usage_limits import Span, Window, build_recipient_key
from switchboard.ports.usage_limits import CounterStore
from switchboard.ports.verifications import WrongCodeLimit

_RETENTION: Final = timedelta(days=1)


class CounterWrongCodeLimit(WrongCodeLimit):
    """A WrongCodeLimit over shared counters: `per_hour` in one hour of the clock. No number is exempt from it."""

    def __init__(self, *, counters: CounterStore, per_hour: int) -> None:
        self._counters = counters
        self._per_hour = per_hour

    def require_below(self, *, recipient: str, at: datetime) -> None:
        self._apply(self._counters.find_exhausted, recipient, at)

    def count(self, *, recipient: str, at: datetime) -> None:
        self._apply(self._counters.increment, recipient, at)

    def _apply(self, operation: Callable[..., Collection[str]], recipient: str, at: datetime) -> None:
        window = Window.of(Span.HOUR, at)
        key = f"WRONG_CODES#{build_recipient_key(recipient, at)}"
        if operation(key, {window.name: self._per_hour}, expires_at=window.ends + _RETENTION):
            raise WrongCodeLimitError(
                f"{self._per_hour} wrong codes were sent for this number in one hour. Repeat the check later",
                retry_after_s=window.seconds_left(at),
            )
