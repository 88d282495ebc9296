"""The wall clock that decides dates, months and expiry: it runs on from wherever it is set."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from sandbox.simulators.clock_and_locks import MovableClock
from sandbox.simulators.json_readers import WrongJsonError, read_text

JAPAN: Final = timezone(timedelta(hours=9))
_OFFSET: Final = re.compile(r"(Z|[+-]\d{2}:\d{2})$")


class SettableClock(MovableClock):
    """Seconds since 1970, as its base gives them until set otherwise."""

    def set(self, now: float) -> None:
        """Go on from `now`."""
        with self._lock:
            self._ahead_s = now - self._clock()

    def reset(self) -> None:
        """Show again what the base shows."""
        with self._lock:
            self._ahead_s = 0.0


def in_japan(at: float) -> datetime:
    """Return the moment `at` (seconds since 1970) as Japan's clocks show it."""
    return datetime.fromtimestamp(at, JAPAN)


def moment(value: object) -> float:
    """Read `YYYY-MM-DD hh:mm:ss`, Japan's time unless it ends in an offset, as seconds since 1970.

    Raises WrongJsonError for anything else.
    """
    written = read_text(value)
    try:
        read = datetime.fromisoformat(written)
    except ValueError as problem:
        raise WrongJsonError("must be a time such as 2026-04-01 09:00:00") from problem
    return (read if _OFFSET.search(written) else read.replace(tzinfo=JAPAN)).timestamp()
