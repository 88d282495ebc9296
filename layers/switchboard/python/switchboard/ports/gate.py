"""What keeps senders inside a provider's limits."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from switchboard.domain.errors import ProviderError


class SendGate(Protocol):
    """Keeps every sender behind one egress address inside a provider's rate and away from its lock-out."""

    def reserve(self, *, latest: datetime) -> datetime:
        """A slot of our own, not later than `latest`. Raises NoSlotError, LockedOutError, StoreUnavailableError."""
        ...

    def is_stale(self, slot: datetime) -> bool:
        """Whether it is too late to send in that slot."""
        ...

    def heard(self, error: ProviderError | None) -> None:
        """What the provider answered to a request that used a slot: None for anything it did not refuse."""
        ...
