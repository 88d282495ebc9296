"""Publish each visible change of a resource on the bus, and hand it to the subscribed webhooks.

An event is the whole view, so that any later event replaces it: only the last one must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from switchboard.domain.changes import Change, ChangeKind, Snapshot
from switchboard.domain.errors import StoreError, StoreUnavailableError
from switchboard.ports.changes import ChangedItems, ChangesBus, Image, ItemWrite, ListPage, RepairQueue, Resource
from switchboard.ports.clock import Clock
from switchboard.ports.subscriptions import NotifySubscribers


class PublishChanges:
    """The use case behind the state table's stream, its repair queue, and republication.

    `describe` derives a resource's snapshot from its visible facts alone, by the rules that `rules_version` names.
    """

    def __init__(
        self,
        *,
        items: ChangedItems,
        describe: Callable[[Resource], Snapshot],
        rules_version: str,
        bus: ChangesBus,
        repair: RepairQueue,
        notify: NotifySubscribers | None,
        clock: Clock,
    ) -> None:
        self._items = items
        self._describe = describe
        self._rules_version = rules_version
        self._bus = bus
        self._repair = repair
        self._notify = notify
        self._clock = clock

    def prepare(self, write: ItemWrite) -> Change | None:
        """Return the change that the write made visible, or None if it made none.

        Raises:
            UnreadableItemError: this version cannot read the item.
            StoreUnavailableError: the store did not answer.
        """
        if write.after is None:
            return self._prepare_erasure(write)
        before, after = self._items.count_facts(write.before), self._items.count_facts(write.after)
        if before == after:
            return None
        change = self._change_in(write.key, write.after)
        if change is None or change.snapshot.passing:
            return None
        # An item that was removed and made anew has fewer facts: its sequence begins again.
        previous = change.snapshot.sequence - (after - before) if after > before else 0
        return replace(change, previous=previous)

    def prepare_present(self, key: str) -> Change | None:
        """Return the item's present state as a change, or None if there is nothing to publish. Raises as `prepare`."""
        image = self._items.read(key)
        change = self._change_in(key, image) if image is not None else None
        return None if change is None or change.snapshot.passing else change

    def snapshot(self, kind: ChangeKind, resource_id: str) -> Change | None:
        """Return the resource as the next event would show it. Raises as `prepare`."""
        return self.prepare_present(self._items.key_of(kind, resource_id))

    def publish(self, changes: Iterable[Change]) -> list[Change]:
        """Publish the changes, and return those that have to be repeated: the bus refused them, or no webhook got them.

        Raises:
            StoreUnavailableError: the bus did not answer, or it refused an erasure, which no item shows any more.
        """
        changes = list(changes)
        failed = list(self._bus.put(changes))
        if any(change.erased for change in failed):
            raise StoreUnavailableError("publish erasure")
        for change in changes:
            if change not in failed and not self._hand_over(change):
                failed.append(change)
        return failed

    def repeat_later(self, keys: Iterable[str]) -> int:
        """Put the keys into the repair queue, and return their number.

        Raises:
            StoreUnavailableError: the queue may not have all of them.
        """
        return self._repair.put(dict.fromkeys(keys))

    def republish(self, since: datetime) -> int:
        """Put the lists of all resources that were created since then into the repair queue, and return their number.

        Raises:
            StoreUnavailableError: the queue did not answer. The request may be repeated.
        """
        return self._repair.put(self._items.lists_since(since, until=self._clock.now()))

    def republish_page(self, name: str, *, start: str) -> int:
        """Put the resources of one page of a list, and the next page, into the repair queue. Return their number.

        Raises:
            StoreUnavailableError: a store did not answer. The page has to be repeated.
        """
        keys, following = self._items.list_keys(ListPage(name, start))
        self._repair.put([*keys, *([] if following is None else [following])])
        return len(keys)

    def _change_in(self, key: str, image: Image) -> Change | None:
        resource = self._items.resource_in(image)
        if resource is None:
            return None
        return Change(key=key, snapshot=self._describe(resource), previous=None, rules_version=self._rules_version)

    def _prepare_erasure(self, write: ItemWrite) -> Change | None:
        if write.before is None or write.expired:
            return None
        resource = self._items.resource_in(write.before)
        if resource is None:
            return None
        last = self._describe(resource)
        if write.key != self._items.key_of(last.kind, last.id):
            return None
        snapshot = Snapshot(
            kind=last.kind,
            id=last.id,
            client=last.client,
            sequence=last.sequence + 1,
            at=write.at,
            state="erased",
            data={last.kind.id_name: last.id},
        )
        return Change(
            key=write.key, snapshot=snapshot, previous=last.sequence, rules_version=self._rules_version, erased=True
        )

    def _hand_over(self, change: Change) -> bool:
        if self._notify is None or change.erased:
            return True
        snapshot = change.snapshot
        try:
            self._notify.enqueue(snapshot.client, snapshot.kind.value, snapshot.id)
        except StoreError:
            return False
        return True
