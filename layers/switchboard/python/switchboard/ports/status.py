"""What a status page reads: lanes, the oldest obligation and how full the queues are. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from switchboard.domain.rate_limits import LaneState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """About how many entries a queue has: to be taken, not yet to be taken, and taken but not done with."""

    waiting: int
    delayed: int
    under_way: int


class LaneReader(Protocol):
    """Reads the lanes that gates move."""

    def read(self, lane: str) -> LaneState:
        """The lane as it stands; one that was never used is as new. Raises StoreUnavailableError."""
        ...


class ObligationReader(Protocol):
    """Reads what is still awaited."""

    def oldest_obligation(self) -> datetime | None:
        """By when the most pressing open item must have been heard of; None where nothing is open. An instant well in
        the past means that the sweep does not get round. Raises StoreUnavailableError."""
        ...


class QueueReader(Protocol):
    """Reads the depth of one queue."""

    def depth(self) -> QueueDepth:
        """Raises StoreUnavailableError."""
        ...
