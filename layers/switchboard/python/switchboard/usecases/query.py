"""Tell a caller where its orders stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.orders import Status
from switchboard.ports.clock import Clock
from switchboard.ports.orders import OrderStore, R
from switchboard.usecases.insistence import insist

T = TypeVar("T", bound=Status[StrEnum])

# A filter by state reads facts until a page is full; this bounds what one request may read.
_PAGES_READ_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class OrderView(Generic[R, T]):
    """An order and where it stood when it was looked at."""

    order: R
    status: T


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What to list. `recipient` is E.164; `since` inclusive, `until` exclusive."""

    recipient: str | None = None
    state: StrEnum | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderList(Generic[R, T]):
    """One page, newest first, and the position of the next one."""

    items: Sequence[OrderView[R, T]]
    next_position: str | None


class QueryOrders(Generic[R, T]):
    """A caller sees what was ordered with its own API key, and nothing else exists for it."""

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        clock: Clock,
        status_of: Callable[[R, datetime], T],
        is_id: Callable[[str], bool],
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._standing_of = status_of
        self._is_id = is_id

    def view(self, order: R) -> OrderView[R, T]:
        return OrderView(order=order, status=self._standing_of(order, self._clock.now()))

    def one(self, order_id: str, *, client: str) -> OrderView[R, T]:
        """Raises ResourceNotFoundError, StoreUnavailableError."""
        order = insist(lambda: self._orders.get(order_id)) if self._is_id(order_id) else None
        if order is None or order.client != client:
            raise ResourceNotFoundError("nothing here has this id")
        return self.view(order)

    def many(self, wanted: OrderFilter, *, client: str, limit: int, position: str | None) -> OrderList[R, T]:
        """At most `limit` orders. A filter by state may give a short page with a next position: there may be more.

        Raises InvalidRequestError for a position it did not hand out, StoreUnavailableError.
        """
        found: list[OrderView[R, T]] = []
        for _ in range(_PAGES_READ_AT_MOST):
            page = self._orders.find(
                client=client,
                recipient=wanted.recipient,
                since=wanted.since,
                until=wanted.until,
                limit=limit - len(found),
                position=position,
            )
            views = map(self.view, page.orders)
            found += [view for view in views if wanted.state in (None, view.status.state)]
            position = page.next_position
            if position is None or len(found) >= limit:
                break
        return OrderList(items=found, next_position=position)
