"""What a status page reads: lanes, the oldest pending and how full the queues are. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from switchboard.domain.rate_limits import ProviderLimitState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """About how many entries a queue has: to be taken, not yet to be taken, and taken but not done with."""

    waiting: int
    delayed: int
    under_way: int


class ProviderLimitReader(Protocol):
    """Reads the lanes that guards move."""

    def read(self, key: str) -> ProviderLimitState:
        """The state as it stands; one that was never used is as new. Raises StoreUnavailableError."""
        ...


class DeadlineReader(Protocol):
    """Reads what is still awaited."""

    def oldest_pending_deadline(self) -> datetime | None:
        """By when the most pressing open item must have been heard of; None where nothing is open. An instant well in
        the past means that the sweep does not get round. Raises StoreUnavailableError."""
        ...


class QueueReader(Protocol):
    """Reads the depth of one queue."""

    def depth(self) -> QueueDepth:
        """Raises StoreUnavailableError."""
        ...
