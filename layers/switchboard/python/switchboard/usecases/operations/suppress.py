"""Suppress numbers for the whole deployment, end suppressions, and show them."""

from __future__ import annotations

from dataclasses import dataclass

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.suppressions import Suppression
from switchboard.ports.clock import Clock
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.suppressions import SuppressionStore


@dataclass(frozen=True, slots=True)
class SuppressNumbers:
    """The use cases of `/v1/suppressions`. Numbers are E.164. Suppressions belong to the deployment, to no client.

    A submission that is claimed after `put` has returned does not reach the number.
    """

    suppressions: SuppressionStore
    clock: Clock

    def put(self, number: str, *, reason: str | None) -> tuple[Suppression, bool]:
        """Record that the number is suppressed. Return the suppression, and whether it is new.

        Raises:
            StoreUnavailableError: the number may be suppressed.
        """
        is_new = self.suppressions.get(number) is None
        return self.suppressions.put(number, reason=reason, at=self.clock.now()), is_new

    def one(self, number: str) -> Suppression:
        """Return the suppression of the number.

        Raises:
            ResourceNotFoundError: the number is not suppressed.
            StoreUnavailableError: the store did not answer.
        """
        suppression = self.suppressions.get(number)
        if suppression is None:
            raise ResourceNotFoundError("This number is not suppressed")
        return suppression

    def remove(self, number: str) -> None:
        """End the suppression of the number.

        Raises:
            ResourceNotFoundError: the number is not suppressed.
            StoreUnavailableError: the number may still be suppressed.
        """
        if not self.suppressions.remove(number, at=self.clock.now()):
            raise ResourceNotFoundError("This number is not suppressed")

    def many(self, *, limit: int, position: str | None) -> Page[Suppression]:
        """Return one page of all suppressions, newest first.

        Raises:
            InvalidRequestError: `position` is not one that this list returned.
            StoreUnavailableError: the store did not answer.
        """
        return self.suppressions.find(ListingQuery(limit=limit, position=position))
