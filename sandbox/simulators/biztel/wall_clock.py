"""Holds the wall clock, which decides dates, months and expiry: it can be set, and runs on from there."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from sandbox.simulators.clock_and_locks import MovableClock
from sandbox.simulators.json_readers import WrongJsonError, read_text

JAPAN: Final = timezone(timedelta(hours=9))
_OFFSET: Final = re.compile(r"(Z|[+-]\d{2}:\d{2})$")


class SettableClock(MovableClock):
    """A clock of seconds since 1970 that runs like another one until it is set."""

    def set(self, now: float) -> None:
        """Set the clock to `now`."""
        with self._lock:
            self._ahead_s = now - self._clock()

    def reset(self) -> None:
        """Show the time of the underlying clock again."""
        with self._lock:
            self._ahead_s = 0.0


def japan_time(at: float) -> datetime:
    """Return the moment `at` (seconds since 1970) in Japan's time."""
    return datetime.fromtimestamp(at, JAPAN)


def read_moment(value: object) -> float:
    """Return `YYYY-MM-DD hh:mm:ss` as seconds since 1970. Without an offset it is Japan's time.

    Raises:
        WrongJsonError: when `value` is anything else.
    """
    text = read_text(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise WrongJsonError("must be a time such as 2026-04-01 09:00:00") from problem
    return (moment if _OFFSET.search(text) else moment.replace(tzinfo=JAPAN)).timestamp()
