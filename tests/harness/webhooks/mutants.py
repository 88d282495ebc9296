"""Wrong systems of subscriptions. The explorer must notice each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import (
    ChangedItem,
    DisabledReason,
    OwedPost,
    Subscription,
    recovery_end,
)
from switchboard.usecases.subscription.deliver import DeliverChange, DeliveryOutcome
from switchboard.usecases.subscription.manage import ManageSubscriptions
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOwedPosts
from tests.builders import CLIENT
from tests.fakes.subscriptions import InMemorySubscriptionStore
from tests.harness.webhooks.explorer import Scenario
from tests.harness.webhooks.invocations import SUBSCRIPTION, Parts
from tests.harness.webhooks.scenarios import CHANGES, DISABLED, DOWN, PROBE, RECOVERY, RELEASES, RETRY


class _ReadsEarly:
    def __init__(self, subscriptions: Any, views: Any) -> None:
        self._subscriptions = subscriptions
        self._views = views

    def mark_of(self, subscription_id: str, item: ChangedItem) -> OwedPost | None:
        self._change = self._views.read(item, client=CLIENT)
        mark: OwedPost | None = self._subscriptions.mark_of(subscription_id, item)
        return mark

    def read(self, _item: ChangedItem, *, client: str) -> Any:
        return self._change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscriptions, name)


class ReadsTheItemFirst(DeliverChange):
    """Posts that read the item before the mark."""

    def __init__(self, *, subscriptions: Any, views: Any, **others: Any) -> None:
        early: Any = _ReadsEarly(subscriptions, views)
        super().__init__(subscriptions=early, views=early, **others)


class DeletesAnyMark(InMemorySubscriptionStore):
    """A store whose success deletes the mark whatever its token."""

    def _has_token(self, mark: OwedPost) -> bool:
        return (mark.subscription, mark.item) in self.marks


class DeletesByAttempts(InMemorySubscriptionStore):
    """A store whose success deletes the mark if the number of attempts is the same."""

    def _has_token(self, mark: OwedPost) -> bool:
        present = self.marks.get((mark.subscription, mark.item))
        return present is not None and present.attempts == mark.attempts


class KeepsTheFormerMark(InMemorySubscriptionStore):
    """A store that puts a mark only if there is none."""

    def put_mark(self, mark: OwedPost) -> None:
        self.marks.setdefault((mark.subscription, mark.item), mark)


class AcknowledgesWithoutMark(InMemorySubscriptionStore):
    """A store that stores no mark."""

    def put_mark(self, mark: OwedPost) -> None:
        """Store nothing."""


class DisablingDropsMarks(InMemorySubscriptionStore):
    """A store that drops what is owed to a disabled subscription."""

    def disable(self, subscription: Subscription, reason: DisabledReason) -> bool:
        self.marks.clear()
        return super().disable(subscription, reason)


class ChangesAnyState(InMemorySubscriptionStore):
    """A store that changes the settings whatever state a post has set meanwhile."""

    def _has_state(self, subscription: Subscription) -> bool:
        return True


class EndsRestsSilently(InMemorySubscriptionStore):
    """A store whose success makes nothing due."""

    def record_success(self, subscription: Subscription, *, at: datetime) -> bool:
        ended = super().record_success(subscription, at=at)
        self.subscriptions[subscription.id] = replace(self.subscriptions[subscription.id], due=None)
        return ended


class ReleasesNothing(DeliverChange):
    """Posts whose first success puts no release into the queue."""

    def __init__(self, *, queue: Any, **others: Any) -> None:
        super().__init__(queue=self, **others)
        self._others = queue

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        self._others.put([(entry, delay_s) for entry, delay_s in entries if entry.item is not None])


class DeletesOnRelease(ReleaseOwedPosts):
    """A release that takes what it is about to send for delivered."""

    def __call__(self, subscription_id: str, *, after_rest: bool = False) -> DeliveryOutcome:
        marks = self._subscriptions.owed(subscription_id, until=self._clock.now(), limit=10)
        for mark in marks:
            self._subscriptions.delete_mark(mark)
        self._queue.put([(HookEntry(subscription=subscription_id, item=mark.item), 0) for mark in marks])
        return DeliveryOutcome.RELEASED


class ProbesAtWill(ReleaseOwedPosts):
    """A release that probes without a write before it."""

    def _probe(self, subscription: Subscription, rests_until: datetime, now: datetime) -> DeliveryOutcome:
        marks = self._subscriptions.owed(subscription.id, until=None, limit=1) if rests_until <= now else []
        entries = [HookEntry(subscription=subscription.id, item=m.item, token=m.token, probe=True) for m in marks]
        self._queue.put([(entry, 0) for entry in entries])
        return DeliveryOutcome.RELEASED


class SkipsMarkedItems(RecoverChanges):
    """A recovery that leaves out what is owed already."""

    def _owe(self, subscription: Subscription, item: ChangedItem, now: datetime) -> None:
        if self._subscriptions.mark_of(subscription.id, item) is None:
            super()._owe(subscription, item, now)


class RefusesTooEarly(ManageSubscriptions):
    """Requests that let others be refused before the entry of their recovery is in the queue."""

    def __init__(self, *, queue: Any, **others: Any) -> None:
        super().__init__(queue=cast("Any", self), **others)
        self._others = queue

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        before = self.one(SUBSCRIPTION.id, client=CLIENT)
        self._subscriptions.prolong_recovery(before, until=recovery_end(None, now=self._clock.now()))
        self._others.put(entries)


MUTANTS: Final[Mapping[str, tuple[Scenario, Parts]]] = {
    "reads the item before the mark": (CHANGES, Parts(deliver=ReadsTheItemFirst)),
    "deletes any mark": (replace(RETRY, events=("0",)), Parts(store=DeletesAnyMark)),
    "deletes by the number of attempts": (replace(PROBE, faults=0), Parts(store=DeletesByAttempts)),
    "puts a mark only if there is none": (replace(RETRY, events=("0",)), Parts(store=KeepsTheFormerMark)),
    "acknowledges without a mark": (replace(DOWN, faults=0, at_once=1), Parts(store=AcknowledgesWithoutMark)),
    "takes what it releases for delivered": (replace(RELEASES, at_once=1), Parts(release=DeletesOnRelease)),
    "probes without a write": (RELEASES, Parts(release=ProbesAtWill)),
    "ends a rest without a release": (RELEASES, Parts(store=EndsRestsSilently, deliver=ReleasesNothing)),
    "disabling drops what is owed": (replace(DISABLED, faults=0, at_once=1), Parts(store=DisablingDropsMarks)),
    "changes whatever the state": (replace(DISABLED, faults=0), Parts(store=ChangesAnyState)),
    "recovers only what is not owed": (replace(RECOVERY, faults=0, items=1), Parts(recover=SkipsMarkedItems)),
    "refuses before it recovers": (replace(RECOVERY, at_once=1), Parts(manage=RefusesTooEarly)),
}
