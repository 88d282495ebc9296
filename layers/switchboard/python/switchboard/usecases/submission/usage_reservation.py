"""One attempt's place within the abuse limits: counted before the provider is opened, given back if nothing left."""

from __future__ import annotations

from typing import Any

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Claim, Order
from switchboard.ports.usage_limits import UsageLimits


class UsageReservation:
    """For the attempt under one granted claim, at the claim's own time."""

    def __init__(self, limits: UsageLimits, order: Order[Any], claim: Claim) -> None:
        self._limits = limits
        self._order = order
        self._claim = claim
        self._counted = False

    def commit(self) -> None:
        """Raises RecipientLimitError, ClientLimitError, DailyLimitError, StoreUnavailableError."""
        order, at = self._order, self._claim.at
        self._limits.reserve(recipient=order.recipient, client=order.client, at=at)
        self._counted = True

    def refund(self) -> None:
        """For an attempt of which nothing was sent: its repeat will be counted instead."""
        if not self._counted:
            return
        try:
            self._limits.refund(recipient=self._order.recipient, client=self._order.client, at=self._claim.at)
        except StoreUnavailableError:
            # One too many is counted, which is the side to err on. It is not asked again: that might count one too few.
            return
