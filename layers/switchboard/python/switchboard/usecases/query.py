"""Show a caller its orders: one by its id, or a page of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Status
from switchboard.ports.clock import Clock
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.orders import OrderStore, R

F = TypeVar("F")
V = TypeVar("V")
T = TypeVar("T", bound=Status[StrEnum])

# A filter by state reads facts until a page is full; this limits what one request may read.
_MAX_PAGES_READ: Final = 8


@dataclass(frozen=True, slots=True)
class OrderView(Generic[R, T]):
    """An order and its status at the moment of the query."""

    order: R
    status: T


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """A filter for a list, by the time of its items. `since` is inclusive, `until` exclusive.

    `recipient` is the other party's number, in E.164 for orders and in any spelling for recordings.
    """

    recipient: str | None = None
    state: StrEnum | None = None
    reference: str | None = None
    since: datetime | None = None
    until: datetime | None = None


OrderFilter: TypeAlias = ListFilter
OrderList: TypeAlias = Page[OrderView[R, T]]


class QueryOrders(Generic[R, T]):
    """The queries for orders of one kind. A caller sees only the orders that its own API key placed."""

    def __init__(self, *, orders: OrderStore[R], clock: Clock, status_of: Callable[[R, datetime], T]) -> None:
        self._orders = orders
        self._clock = clock
        self._status_of = status_of

    def view(self, order: R) -> OrderView[R, T]:
        """Return the order with its present status."""
        return OrderView(order=order, status=self._status_of(order, self._clock.now()))

    def one(self, order_id: str, *, client: str) -> OrderView[R, T]:
        """Return the client's order with this id.

        Raises:
            ResourceNotFoundError: no order has this id, or another client placed it.
            StoreUnavailableError: the store did not answer.
        """
        order = self._orders.get(order_id) if is_order_id(order_id) else None
        if order is None or order.client != client:
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        return self.view(order)

    def many(self, order_filter: OrderFilter, *, client: str, limit: int, position: str | None) -> OrderList[R, T]:
        """Return at most `limit` of the client's orders.

        A filter by state or reference may give a short page that is not the last.

        Raises:
            InvalidRequestError: `position` is not one that this list returned.
            StoreUnavailableError: the store did not answer.
        """

        def view_if_wanted(order: R) -> OrderView[R, T] | None:
            if order_filter.reference not in (None, order.reference):
                return None
            view = self.view(order)
            return view if order_filter.state in (None, view.status.state) else None

        find = partial(self._orders.find, client=client)
        return fill_page(find, order_filter, limit=limit, position=position, view=view_if_wanted)


def fill_page(
    find: Callable[[ListingQuery], Page[F]],
    list_filter: ListFilter,
    *,
    limit: int,
    position: str | None,
    view: Callable[[F], V | None],
) -> Page[V]:
    """Read pages of facts until `limit` views are found, no page is left, or 8 pages are read.

    `view` returns None for facts that the filter leaves out.
    """
    views: list[V] = []
    unreadable = 0
    query = ListingQuery(
        recipient=list_filter.recipient,
        since=list_filter.since,
        until=list_filter.until,
        limit=limit,
        position=position,
    )
    for _ in range(_MAX_PAGES_READ):
        page = find(query)
        unreadable += page.unreadable
        views += [item_view for item_view in map(view, page.items) if item_view is not None]
        query = replace(query, limit=limit - len(views), position=page.next_position)
        if query.position is None or len(views) >= limit:
            break
    return Page(items=views, next_position=query.position, unreadable=unreadable)
