"""The query for one page of a list, and the page, as all stores of orders and recordings take and return them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingQuery:
    """A query for at most `limit` items of a list, newest first.

    `recipient` is the other party's number; None lists all numbers. `since` is inclusive, `until` exclusive.
    `position` is the `next_position` of the page before; None begins with the newest item.
    """

    recipient: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, newest first, and the position of the next page, which is None on the last page."""

    items: Sequence[T]
    next_position: str | None
    unreadable: int = 0
    """The items that this version cannot read. They are left out."""


@dataclass(frozen=True, slots=True)
class UnreadableItem:
    """An overdue item or a spooled object that this version cannot read, by its key: a poison entry of the sweep."""

    key: str
