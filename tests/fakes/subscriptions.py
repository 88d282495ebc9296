"""Subscriptions, owed posts and their queue in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from switchboard.domain.changes import Change, ChangeKind, Snapshot
from switchboard.domain.errors import SubscriptionLimitError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import (
    MAX_SUBSCRIPTIONS,
    ChangedItem,
    DisabledReason,
    Generation,
    OwedPost,
    Subscription,
)
from switchboard.ports.listing import UnreadableItem
from tests.builders import CLIENT
from tests.fakes.time import START

_DELIVERY = {"failures", "failing_since", "last_problem", "rests", "rests_until", "disabled", "due"}
"""What posts change in a subscription."""


class InMemorySubscriptionStore:
    """A SubscriptionStore in memory."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.marks: dict[tuple[str, ChangedItem], OwedPost] = {}
        self.index: tuple[Mapping[str, Subscription], Mapping[tuple[str, ChangedItem], OwedPost]] | None = None
        """What the deadlines' index shows while it lags behind."""

    def create(self, subscription: Subscription) -> None:
        if len(self.of_client(subscription.client)) >= MAX_SUBSCRIPTIONS:
            raise SubscriptionLimitError("A client has at most 5 subscriptions. Delete one first")
        self.subscriptions[subscription.id] = subscription

    def get(self, subscription_id: str) -> Subscription | None:
        return self.subscriptions.get(subscription_id)

    def of_client(self, client: str) -> list[Subscription]:
        found = [subscription for subscription in self.subscriptions.values() if subscription.client == client]
        return sorted(found, key=lambda subscription: (subscription.created_at, subscription.id))

    def change(self, before: Subscription, after: Subscription) -> bool:
        if not (self._has_settings(before) and self._has_state(before)):
            return False
        present = self.subscriptions[after.id]
        kept = {"revision", "recovers_until"}
        if all(getattr(before, name) == getattr(after, name) for name in _DELIVERY):
            kept |= _DELIVERY
        after = replace(after, **{name: getattr(present, name) for name in kept})
        self.subscriptions[after.id] = after
        return True

    def delete(self, subscription: Subscription) -> bool:
        if not self._has_settings(subscription):
            return False
        del self.subscriptions[subscription.id]
        return True

    def mark_of(self, subscription_id: str, item: ChangedItem) -> OwedPost | None:
        return self.marks.get((subscription_id, item))

    def put_mark(self, mark: OwedPost) -> None:
        self.marks[mark.subscription, mark.item] = mark

    def delete_mark(self, mark: OwedPost) -> None:
        if self._has_token(mark):
            del self.marks[mark.subscription, mark.item]

    def postpone_mark(self, mark: OwedPost, *, due: datetime) -> bool:
        present = self.marks.get((mark.subscription, mark.item))
        if present is None or (present.token, present.due) != (mark.token, mark.due):
            return False
        self.marks[mark.subscription, mark.item] = replace(present, due=due)
        return True

    def owed(self, subscription_id: str, *, until: datetime | None, limit: int) -> list[OwedPost]:
        def is_due(mark: OwedPost) -> bool:
            return mark.subscription == subscription_id and (until is None or mark.due <= until)

        _, index = self.index or (None, self.marks)
        entries = sorted(filter(is_due, index.values()), key=lambda mark: mark.due)[:limit]
        present = [
            self.marks[mark.subscription, mark.item] for mark in entries if (mark.subscription, mark.item) in self.marks
        ]
        return sorted(filter(is_due, present), key=lambda mark: mark.due)

    def record_failure(self, subscription: Subscription, *, changed: Subscription) -> None:
        present = self.subscriptions.get(subscription.id)
        if present is None:
            return
        assert changed.due is not None
        earlier = present.due is None or changed.due < present.due
        self.subscriptions[subscription.id] = replace(
            present,
            failures=present.failures + 1,
            failing_since=changed.failing_since,
            last_problem=changed.last_problem,
            rests=changed.rests,
            rests_until=changed.rests_until or present.rests_until,
            revision=changed.revision,
            due=changed.due if earlier else present.due,
        )

    def record_success(self, subscription: Subscription, *, at: datetime) -> bool:
        present = self.subscriptions.get(subscription.id)
        if present is None or not (present.failures or present.rests_until is not None):
            return False
        self.subscriptions[subscription.id] = replace(
            present, failures=0, rests=0, failing_since=None, rests_until=None, last_problem=None, due=at
        )
        return True

    def disable(self, subscription: Subscription, reason: DisabledReason) -> bool:
        present = self.subscriptions.get(subscription.id)
        if present is None or present.disabled is not None:
            return False
        self.subscriptions[subscription.id] = replace(
            present, disabled=reason, last_problem=subscription.last_problem or reason.value, due=subscription.due
        )
        return True

    def clear_due(self, subscription: Subscription) -> None:
        present = self.subscriptions.get(subscription.id)
        if present is not None and present.disabled is not None:
            self.subscriptions[subscription.id] = replace(present, due=None)

    def postpone(self, subscription: Subscription, *, due: datetime, rests_until: datetime | None = None) -> bool:
        present = self.subscriptions.get(subscription.id)
        if present is None or present.disabled is not None:
            return False
        read = subscription.revision, subscription.due, subscription.rests_until
        if (present.revision, present.due, present.rests_until) != read:
            return False
        self.subscriptions[subscription.id] = replace(present, due=due, rests_until=rests_until or present.rests_until)
        return True

    def prolong_recovery(self, subscription: Subscription, *, until: datetime) -> bool:
        present = self.subscriptions.get(subscription.id)
        if present is None or present.recovers_until != subscription.recovers_until:
            return False
        self.subscriptions[subscription.id] = replace(present, recovers_until=until)
        return True

    def overdue(self, *, now: datetime, limit: int) -> Iterator[Subscription | UnreadableItem]:
        def is_due(subscription: Subscription) -> bool:
            return subscription.due is not None and subscription.due <= now

        index, _ = self.index or (self.subscriptions, None)
        return filter(is_due, (self.subscriptions[found.id] for found in index.values() if is_due(found)))

    def _has_settings(self, subscription: Subscription) -> bool:
        present = self.subscriptions.get(subscription.id)
        return present is not None and present.updated_at == subscription.updated_at

    def _has_state(self, subscription: Subscription) -> bool:
        present = self.subscriptions[subscription.id]
        rests = present.rests_until is not None
        return (present.disabled, rests) == (subscription.disabled, subscription.rests_until is not None)

    def _has_token(self, mark: OwedPost) -> bool:
        present = self.marks.get((mark.subscription, mark.item))
        return present is not None and present.token == mark.token


class InMemoryHookQueue:
    """A HookQueue in memory: every entry with its delay."""

    def __init__(self) -> None:
        self.entries: list[tuple[HookEntry, int]] = []

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        self.entries += entries


@cache
def a_change(item: ChangedItem, sequence: int) -> Change:
    """Build the view of an item whose only content is its sequence."""
    snapshot = Snapshot(
        kind=item.kind,
        id=item.id,
        client=CLIENT,
        sequence=sequence,
        at=START + timedelta(seconds=sequence),
        state="accepted",
        data={"smsid": item.id, "sequence": sequence},
    )
    return Change(key=f"SMS#{item.id}", snapshot=snapshot, previous=None, rules_version="1")


@dataclass
class Items:
    """The ChangeViews of items that all have the same sequence."""

    sequence: int = 1
    ids: Sequence[str] = ()
    """The ids of the messages that have changed."""

    def read(self, item: ChangedItem, *, client: str) -> Change | None:
        return a_change(item, self.sequence)

    def changed_since(
        self,
        kind: ChangeKind,
        since: datetime,
        *,
        client: str,
        position: str | None,
    ) -> tuple[list[str], str | None]:
        start, end = int(position or 0), int(position or 0) + 100
        ids = self.ids if kind is ChangeKind.SMS else ()
        return list(ids[start:end]), str(end) if end < len(ids) else None


class FixedSecrets:
    """The SigningSecrets of a test."""

    def current_version(self) -> str:
        return "1"

    def secret_of(self, subscription_id: str, generation: Generation) -> bytes:
        return f"{subscription_id}|{generation.number}".encode().ljust(32, b".")
