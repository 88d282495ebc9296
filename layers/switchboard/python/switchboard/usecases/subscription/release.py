"""Bring out what is owed to a subscription: one probe while it rests, and 10 posts a second afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.changes import ChangeKind
from switchboard.domain.subscription.queue_entries import HookEntry, Recovery
from switchboard.domain.subscription.subscriptions import (
    POSTS_PER_S,
    ChangedItem,
    OwedPost,
    Subscription,
    recovery_end,
)
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.subscriptions import ChangeViews, HookQueue, SubscriptionStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport, act_on_each
from switchboard.usecases.subscription.deliver import DeliveryOutcome

_POSTS_A_ROUND: Final = 100
_ROUND: Final = timedelta(seconds=_POSTS_A_ROUND // POSTS_PER_S)
_SOON: Final = timedelta(minutes=35)
"""The time within which what failed before a rest is due. After the rest it need not wait."""
_UNDER_WAY: Final = timedelta(minutes=40)
"""The time after which a mark is brought out again whose entry ended without a result."""
_LOOK_AGAIN: Final = timedelta(minutes=2)
"""The time after which the sweep repeats a round that has not ended."""
_NOTHING_OWED: Final = timedelta(minutes=10)
"""The time after which the sweep looks at a subscription again to which nothing is owed: the index may lag behind."""


class ReleaseOwedPosts:
    """The use case of one round over the marks of one subscription."""

    def __init__(self, *, subscriptions: SubscriptionStore, queue: HookQueue, clock: Clock) -> None:
        self._subscriptions = subscriptions
        self._queue = queue
        self._clock = clock

    def __call__(self, subscription_id: str, *, after_rest: bool = False) -> DeliveryOutcome:
        """Put the entries of at most 100 due marks into the queue, spread over 10 s, and the next round behind them.

        Returns `DISABLED` if the event of a disabled subscription has to be published.

        Raises:
            StoreUnavailableError: the round has to be repeated.
        """
        now = self._clock.now()
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None:
            return DeliveryOutcome.NOTHING_TO_DO
        if subscription.disabled is not None:
            overdue = subscription.due is not None and subscription.due <= now
            return DeliveryOutcome.DISABLED if overdue else DeliveryOutcome.NOTHING_TO_DO
        if subscription.rests_until is not None:
            return self._probe(subscription, subscription.rests_until, now)
        until = now + _SOON if after_rest else now
        marks = self._subscriptions.owed(subscription.id, until=until, limit=_POSTS_A_ROUND)
        released = [mark for mark in marks if self._subscriptions.postpone_mark(mark, due=now + _UNDER_WAY)]
        entries = [(_to_entry(mark), number // POSTS_PER_S) for number, mark in enumerate(released)]
        if len(marks) == _POSTS_A_ROUND:
            next_round = HookEntry(subscription=subscription.id, after_rest=after_rest)
            entries.append((next_round, int(_ROUND.total_seconds())))
            due = now + _LOOK_AGAIN
        else:
            [*_, due] = [now + _NOTHING_OWED, *self._next_due(subscription, now)]
        self._queue.put(entries)
        self._subscriptions.postpone(subscription, due=due)
        return DeliveryOutcome.RELEASED

    def _next_due(self, subscription: Subscription, now: datetime) -> list[datetime]:
        """Return when the earliest of the marks is due, but not before a moment from now."""
        earliest = self._subscriptions.owed(subscription.id, until=None, limit=1)
        return [max(mark.due, now + _ROUND) for mark in earliest]

    def _probe(self, subscription: Subscription, rests_until: datetime, now: datetime) -> DeliveryOutcome:
        """Let one post through once the rest is over."""
        if now < rests_until:
            self._subscriptions.postpone(subscription, due=rests_until)
            return DeliveryOutcome.RESTING
        marks = self._subscriptions.owed(subscription.id, until=None, limit=1)
        # The write comes first: of two rounds at once, one probes.
        if not self._subscriptions.postpone(subscription, due=now + _LOOK_AGAIN, rests_until=now + _LOOK_AGAIN):
            return DeliveryOutcome.NOTHING_TO_DO
        if not marks:
            # Nothing is owed, so that the next change is the probe.
            self._subscriptions.record_success(subscription, at=now)
            return DeliveryOutcome.RELEASED
        self._queue.put([(_to_entry(marks[0], probe=True), 0)])
        return DeliveryOutcome.RELEASED


class RecoverChanges:
    """The use case of one page of a recovery: what has changed since a time is owed anew, and is then released."""

    def __init__(
        self,
        *,
        subscriptions: SubscriptionStore,
        views: ChangeViews,
        queue: HookQueue,
        clock: Clock,
        new_id: ClaimIds,
    ) -> None:
        self._subscriptions = subscriptions
        self._views = views
        self._queue = queue
        self._clock = clock
        self._new_id = new_id

    def __call__(self, subscription_id: str, recovery: Recovery) -> DeliveryOutcome:
        """Mark one page of items, and put the next page, or at the end a release, into the queue.

        Raises:
            StoreUnavailableError: the page has to be repeated.
        """
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None or subscription.disabled is not None:
            return DeliveryOutcome.NOTHING_TO_DO
        now = self._clock.now()
        position = None
        if recovery.kind in subscription.events:
            ids, position = self._views.changed_since(
                recovery.kind, recovery.since, client=subscription.client, position=recovery.position
            )
            for item_id in ids:
                self._owe(subscription, ChangedItem(recovery.kind, item_id), now)
            until = recovery_end(subscription.recovers_until, now=now, items=len(ids))
            self._subscriptions.prolong_recovery(subscription, until=until)
        self._queue.put([(_next_entry(subscription, recovery, position), 0)])
        return DeliveryOutcome.RECOVERED

    def _owe(self, subscription: Subscription, item: ChangedItem, now: datetime) -> None:
        mark = OwedPost(
            subscription=subscription.id,
            item=item,
            token=self._new_id(),
            owed_since=now,
            attempts=0,
            due=now,
            problem="recovery",
        )
        self._subscriptions.put_mark(mark)


class ReleaseOverdueSubscriptions:
    """The sweep's part for subscriptions: it starts a round for each one at which it is time to look."""

    def __init__(self, *, subscriptions: SubscriptionStore, queue: HookQueue, clock: Clock) -> None:
        self._subscriptions = subscriptions
        self._queue = queue
        self._clock = clock

    def __call__(self, report: SweepReport, *, limit: int) -> int:
        """Start at most `limit` rounds, and return how many were started.

        Raises:
            StoreUnavailableError: the overdue subscriptions cannot be found.
        """
        overdue = self._subscriptions.overdue(now=self._clock.now(), limit=limit)
        return act_on_each(overdue, self._start_round, name=lambda found: found.id, limit=limit, report=report)

    def _start_round(self, subscription: Subscription) -> SweepAction:
        """Start a round. It sets the next time itself; the time here counts if its entry is lost."""
        self._subscriptions.postpone(subscription, due=self._clock.now() + _LOOK_AGAIN)
        self._queue.put([(HookEntry(subscription=subscription.id), 0)])
        return SweepAction.RELEASED


def _to_entry(mark: OwedPost, *, probe: bool = False) -> HookEntry:
    return HookEntry(subscription=mark.subscription, item=mark.item, token=mark.token, probe=probe)


def _next_entry(subscription: Subscription, recovery: Recovery, position: str | None) -> HookEntry:
    """Return the entry of the next page, of the next kind, or of the release."""
    kinds = list(ChangeKind)
    if position is not None:
        following: Recovery | None = Recovery(since=recovery.since, kind=recovery.kind, position=position)
    elif (place := kinds.index(recovery.kind) + 1) < len(kinds):
        following = Recovery(since=recovery.since, kind=kinds[place])
    else:
        following = None
    return HookEntry(subscription=subscription.id, recovery=following)
