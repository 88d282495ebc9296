"""Subscriptions, owed posts and their queue in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

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


class InMemorySubscriptionStore:
    """A SubscriptionStore in memory."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.marks: dict[tuple[str, ChangedItem], OwedPost] = {}

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
        if not self._has_settings(before):
            return False
        present = self.subscriptions[after.id]
        if before.state is after.state:
            after = replace(
                after,
                failures=present.failures,
                failing_since=present.failing_since,
                last_problem=present.last_problem,
                rests=present.rests,
                rests_until=present.rests_until,
                disabled=present.disabled,
                due=present.due,
                revision=present.revision,
            )
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
        marks = [
            mark
            for mark in self.marks.values()
            if mark.subscription == subscription_id and (until is None or mark.due <= until)
        ]
        return sorted(marks, key=lambda mark: mark.due)[:limit]

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
        if (present.revision, present.due) != (subscription.revision, subscription.due):
            return False
        self.subscriptions[subscription.id] = replace(present, due=due, rests_until=rests_until or present.rests_until)
        return True

    def overdue(self, *, now: datetime, limit: int) -> Iterator[Subscription | UnreadableItem]:
        due = [found for found in self.subscriptions.values() if found.due is not None and found.due <= now]
        return iter(due)

    def _has_settings(self, subscription: Subscription) -> bool:
        present = self.subscriptions.get(subscription.id)
        return present is not None and present.updated_at == subscription.updated_at

    def _has_token(self, mark: OwedPost) -> bool:
        present = self.marks.get((mark.subscription, mark.item))
        return present is not None and present.token == mark.token


class InMemoryHookQueue:
    """A HookQueue in memory: every entry with its delay."""

    def __init__(self) -> None:
        self.entries: list[tuple[HookEntry, int]] = []

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        self.entries += entries


class FixedSecrets:
    """The SigningSecrets of a test."""

    def current_version(self) -> str:
        return "1"

    def secret_of(self, subscription_id: str, generation: Generation) -> bytes:
        return f"{subscription_id}|{generation.number}".encode().ljust(32, b".")
