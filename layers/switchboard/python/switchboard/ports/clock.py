"""Telling the time, and telling one thing from another."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """An aware instant, UTC."""
        ...

    def sleep_until(self, instant: datetime) -> None:
        """Returns at `instant`, at once when it has passed."""
        ...


class ClaimIds(Protocol):
    """Mints ids that no other invocation mints."""

    def __call__(self) -> str: ...
