"""Port of the store of suppressed numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from switchboard.domain.suppressions import Suppression
from switchboard.ports.listing import ListingQuery, Page


class SuppressionStore(Protocol):
    """The suppressed numbers of the deployment (E.164). Every method may raise StoreUnavailableError.

    Each method may be repeated. OrderStore.is_suppressed reads what is written here.
    """

    def put(self, number: str, *, reason: str | None, at: datetime) -> Suppression:
        """Record that the number is suppressed, and replace the reason. The first `created_at` stays."""
        ...

    def get(self, number: str) -> Suppression | None:
        """Return the suppression, or None if there is none."""
        ...

    def remove(self, number: str, *, at: datetime) -> bool:
        """End the suppression, and return whether there was one."""
        ...

    def find(self, query: ListingQuery) -> Page[Suppression]:
        """Return one page of the suppressions, newest first. `recipient`, `since` and `until` are not read.

        Raises:
            InvalidRequestError: the query's position is not one that this list returned.
        """
        ...
