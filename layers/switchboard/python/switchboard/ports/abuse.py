"""What keeps a stolen key or a runaway caller from sending more than somebody meant to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class AbuseLimits(Protocol):
    """Limits for each recipient, for each client, and for everybody together in a day."""

    def admit(self, *, recipient: str, client: str, at: datetime) -> None:
        """Counts one submission to `recipient` (E.164), unless a limit is reached: then it is counted nowhere.

        Raises RecipientLimitError, ClientLimitError, DailyLimitError, StoreUnavailableError (it may have been counted).
        """
        ...

    def give_back(self, *, recipient: str, client: str, at: datetime) -> None:
        """What was admitted with these arguments is known not to have been sent. Raises StoreUnavailableError."""
        ...
