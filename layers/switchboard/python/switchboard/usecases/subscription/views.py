"""Read items for posts: one as its next event shows it, or the ids of those that have changed since a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from switchboard.domain.changes import Change, ChangeKind, Snapshot
from switchboard.domain.recording.facts import Recording
from switchboard.domain.sms.schedule import LONGEST_AHEAD
from switchboard.domain.subscription.subscriptions import SHARED_KINDS, ChangedItem
from switchboard.ports.changes import ChangedItems, Resource
from switchboard.ports.listing import ListingQuery, Page

_PAGE: Final = 100
_LONGEST_LIFE: Final = LONGEST_AHEAD + timedelta(days=8)
"""The time after its creation within which an order or a recording changes by itself: a message may wait for its time,
and is then queued for a day and awaited for three."""

List = Callable[[ListingQuery, str], Page[Any]]
"""Returns one page of the resources of a kind that a client may read, newest first."""


class ReadChanges:
    """A ChangeViews over the items whose changes are published.

    `describe` derives a resource's snapshot by the rules that `rules_version` names. `lists` has the kinds that can be
    listed, and `providers` those that may have a circuit.
    """

    def __init__(
        self,
        *,
        items: ChangedItems,
        describe: Callable[[Resource], Snapshot],
        rules_version: str,
        lists: Mapping[ChangeKind, List],
        providers: Sequence[str],
    ) -> None:
        self._items = items
        self._describe = describe
        self._rules_version = rules_version
        self._lists = lists
        self._providers = providers

    def read(self, item: ChangedItem, *, client: str) -> Change | None:
        """Return the item as its next event shows it. None if it does not exist, is another client's, or is under way.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        key = self._items.key_of(item.kind, item.id)
        image = self._items.read(key)
        resource = self._items.resource_in(image) if image is not None else None
        if resource is None:
            return None
        snapshot = self._describe(resource)
        if snapshot.passing or snapshot.client not in ({None} if item.kind in SHARED_KINDS else {client}):
            return None
        return Change(key=key, snapshot=snapshot, previous=None, rules_version=self._rules_version)

    def changed_since(
        self, kind: ChangeKind, since: datetime, *, client: str, position: str | None
    ) -> tuple[list[str], str | None]:
        """Return one page of the ids of items that have changed since then, and the next page's position.

        An item that was created more than 38 days before is not looked for.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        if kind is ChangeKind.CIRCUIT:
            read = [(name, self.read(ChangedItem(kind, name), client=client)) for name in self._providers]
            return [name for name, change in read if change is not None and change.snapshot.at >= since], None
        query = ListingQuery(since=since - _LONGEST_LIFE, limit=_PAGE, position=position)
        page = self._lists[kind](query, client)
        return [_id_of(found) for found in page.items if _changed_at(found) >= since], page.next_position


def _id_of(resource: Any) -> str:
    return str(resource.recording_id if isinstance(resource, Recording) else resource.id)


def _changed_at(resource: Any) -> datetime:
    changed_at: datetime = resource.changed_at if isinstance(resource, Recording) else resource.updated_at
    return changed_at
