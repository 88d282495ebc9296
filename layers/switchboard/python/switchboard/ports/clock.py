"""Ports of the clock and of the source of new ids."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...

    def sleep_until(self, instant: datetime) -> None:
        """Return at `instant`, or at once if it has passed."""
        ...


class ClaimIds(Protocol):
    """A source of ids that no other invocation mints."""

    def __call__(self) -> str: ...
