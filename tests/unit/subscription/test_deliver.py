"""One post: what is written, when it is repeated, when an address rests, and when it is disabled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.errors import (
    HookAddressRefusedError,
    HookAnsweredError,
    HookError,
    HookGoneError,
    HookUnreachedError,
    StoreUnavailableError,
)
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import DisabledReason, OwedPost, Subscription
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription.deliver import DeliverChange, DeliveryOutcome, SignedPoster
from switchboard.usecases.subscription.handle_entry import HandleHookEntry
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import CLIENT, a_subscription
from tests.fakes import START, CountingIds, FixedClock
from tests.fakes.subscriptions import FixedSecrets, InMemoryHookQueue, InMemorySubscriptionStore, Items
from tests.harness.webhooks.explorer import ITEM
from tests.harness.webhooks.invocations import SUBSCRIPTION

HOUR = timedelta(hours=1)


@dataclass
class Address:
    """A caller's address: the posts, and the error of every post."""

    error: HookError | None = None
    posts: list[tuple[bytes, Mapping[str, str]]] = field(default_factory=list)

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        self.posts.append((body, headers))
        if self.error is not None:
            raise self.error


class System:
    """The real use cases over stores in memory."""

    def __init__(self, subscription: Subscription = SUBSCRIPTION, scopes: frozenset[Scope] = frozenset(Scope)) -> None:
        self.clock = FixedClock()
        self.store = InMemorySubscriptionStore()
        self.store.create(subscription)
        self.address = Address()
        self.queue = InMemoryHookQueue()
        self.items = Items()
        self.disabled: list[DisabledReason] = []
        self.bus_is_down = False
        self.key = ApiKey(id="key-1", client=CLIENT, name="", scopes=scopes)
        self.deliver = DeliverChange(
            subscriptions=self.store,
            views=self.items,
            poster=SignedPoster(poster=self.address, secrets=FixedSecrets(), clock=self.clock),
            queue=self.queue,
            find_key=lambda _key_id: self.key,
            on_disabled=self._publish_disabled,
            clock=self.clock,
            new_id=CountingIds(),
            random=lambda: 0.5,
        )
        self.release = ReleaseOwedPosts(subscriptions=self.store, queue=self.queue, clock=self.clock)
        self.sweep = ReleaseOverdueSubscriptions(subscriptions=self.store, queue=self.queue, clock=self.clock)
        recover = RecoverChanges(
            subscriptions=self.store, views=self.items, queue=self.queue, clock=self.clock, new_id=CountingIds()
        )
        self.handle = HandleHookEntry(deliver=self.deliver, release=self.release, recover=recover)

    def _publish_disabled(self, _subscription: Subscription, reason: DisabledReason, _at: datetime) -> None:
        if self.bus_is_down:
            raise StoreUnavailableError("publish disabled subscription")
        self.disabled.append(reason)

    def change(self, **entry: Any) -> DeliveryOutcome:
        """Handle the entry of a change."""
        return self.deliver(HookEntry(subscription=SUBSCRIPTION.id, item=ITEM, **entry), ITEM)

    @property
    def subscription(self) -> Subscription:
        return self.store.subscriptions[SUBSCRIPTION.id]

    @property
    def mark(self) -> OwedPost:
        return self.store.marks[SUBSCRIPTION.id, ITEM]

    def run_until_idle(self, *, longest: timedelta) -> None:
        """Let the queue and the sweep run, minute by minute."""
        end = self.clock.now() + longest
        waiting: list[tuple[Any, HookEntry]] = []
        while self.clock.now() < end:
            waiting += [(self.clock.now() + timedelta(seconds=delay), entry) for entry, delay in self.queue.entries]
            self.queue.entries.clear()
            due = [entry for at, entry in waiting if at <= self.clock.now()]
            waiting = [(at, entry) for at, entry in waiting if at > self.clock.now()]
            for entry in due:
                self.handle(entry)
            if not due and not self.queue.entries:
                if not self.store.marks and not waiting:
                    return
                self.clock.advance(timedelta(seconds=5))
                self.sweep(SweepReport(), limit=10)


def test_a_2xx_without_a_mark_writes_nothing() -> None:
    system = System()
    before = (dict(system.store.subscriptions), dict(system.store.marks))
    assert system.change() is DeliveryOutcome.DELIVERED
    assert (system.store.subscriptions, system.store.marks, system.queue.entries) == (*before, [])


def test_a_post_has_the_views_id_and_time() -> None:
    system = System()
    system.change()
    [(body, headers)] = system.address.posts
    assert headers["webhook-id"] == "sms_order1001_1_1"
    assert headers["webhook-timestamp"] == str(int(START.timestamp()))
    assert json.loads(body) == {
        "type": "sms.changed",
        "timestamp": "2026-11-22T03:04:06.678Z",
        "data": {"smsid": "order1001", "sequence": 1},
    }


def test_the_same_view_has_the_same_bytes_and_a_new_one_a_new_id() -> None:
    system = System()
    for seconds in (0, 60):
        system.clock.advance(timedelta(seconds=seconds))
        system.change()
    system.items.sequence += 1
    system.change()
    (first, head), (second, other_head), (_, last_head) = system.address.posts
    assert first == second
    assert head["webhook-id"] == other_head["webhook-id"] != last_head["webhook-id"]
    assert head["webhook-timestamp"] != other_head["webhook-timestamp"]


def test_a_thin_post_names_the_item_only() -> None:
    system = System(replace(SUBSCRIPTION, thin=True))
    system.change()
    data = json.loads(system.address.posts[0][0])["data"]
    assert data == {"kind": "sms", "id": "order1001", "sequence": 1, "state": "accepted"}


@pytest.mark.parametrize(
    ("subscription", "scopes"),
    [
        (replace(SUBSCRIPTION, states=frozenset({"delivered"})), frozenset(Scope)),
        (replace(SUBSCRIPTION, disabled=DisabledReason.OPERATOR), frozenset(Scope)),
        (SUBSCRIPTION, frozenset(Scope) - {Scope.SMS}),
    ],
    ids=["another state", "disabled", "the key lacks the scope"],
)
def test_nothing_is_posted_or_owed(subscription: Subscription, scopes: frozenset[Scope]) -> None:
    system = System(subscription, scopes)
    assert system.change() in {DeliveryOutcome.NOTHING_TO_DO, DeliveryOutcome.FORBIDDEN}
    assert (system.address.posts, system.store.marks) == ([], {})


def test_a_revoked_key_ends_the_posts() -> None:
    system = System()
    system.key = replace(system.key, revoked=True)
    assert system.change() is DeliveryOutcome.FORBIDDEN
    assert system.address.posts == []


def test_a_failed_post_is_owed_and_repeated_in_five_seconds() -> None:
    system = System()
    system.address.error = HookUnreachedError("no answer")
    assert system.change() is DeliveryOutcome.OWED
    assert (system.mark.attempts, system.mark.problem) == (1, "unreached")
    assert (system.subscription.failures, system.subscription.failing_since) == (1, START)
    [(entry, delay_s)] = system.queue.entries
    assert (entry.token, delay_s) == (system.mark.token, 5)


def test_the_receivers_pause_counts_if_it_is_longer() -> None:
    system = System()
    system.address.error = HookAnsweredError(503, retry_after_s=600.0)
    system.change()
    assert [delay_s for _, delay_s in system.queue.entries] == [600]


def test_the_success_of_a_repetition_deletes_the_mark() -> None:
    system = System()
    system.address.error = HookUnreachedError("no answer")
    system.change()
    system.address.error = None
    assert system.change(token=system.mark.token) is DeliveryOutcome.DELIVERED
    assert system.store.marks == {}
    assert system.subscription.failures == 0


def test_a_repetition_that_was_overtaken_posts_nothing() -> None:
    system = System()
    system.address.error = HookUnreachedError("no answer")
    system.change()
    system.address.posts.clear()
    assert system.change(token="another") is DeliveryOutcome.NOTHING_TO_DO
    assert system.address.posts == []


def test_five_failures_let_the_address_rest_and_changes_only_mark() -> None:
    system = System()
    system.address.error = HookUnreachedError("no answer")
    for _ in range(5):
        system.change()
    assert system.subscription.rests_until is not None
    system.address.posts.clear()
    assert system.change() is DeliveryOutcome.RESTING
    assert system.address.posts == []


def test_rests_grow_from_a_minute_to_two_hours() -> None:
    system = System()
    system.address.error = HookAnsweredError(500)
    for _ in range(5):
        system.change()
    rests = []
    for _ in range(5):
        until = system.subscription.rests_until
        assert until is not None
        system.clock.sleep_until(until)
        before = system.clock.now()
        system.change(probe=True)
        assert system.subscription.rests_until is not None
        rests.append((system.subscription.rests_until - before) / timedelta(minutes=1))
    assert rests == [5, 30, 120, 120, 120]
    assert system.subscription.rests == 6


def test_410_disables_at_once() -> None:
    system = System()
    system.address.error = HookGoneError(410)
    assert system.change() is DeliveryOutcome.DISABLED
    assert (system.subscription.disabled, system.disabled) == (DisabledReason.GONE, [DisabledReason.GONE])
    assert system.change() is DeliveryOutcome.NOTHING_TO_DO
    assert len(system.address.posts) == 1
    assert system.mark.item == ITEM


def test_a_lost_event_of_a_disabling_is_published_by_the_sweep_once() -> None:
    system = System()
    system.address.error = HookGoneError(410)
    system.bus_is_down = True
    with pytest.raises(StoreUnavailableError):
        system.change()
    assert system.change() is DeliveryOutcome.NOTHING_TO_DO
    outcomes = []
    for minute in range(8):
        system.bus_is_down = minute < 4
        system.clock.advance(timedelta(minutes=1))
        system.sweep(SweepReport(), limit=10)
        for entry, _ in system.queue.entries:
            with suppress(StoreUnavailableError):
                outcomes.append(system.handle(entry))
        system.queue.entries.clear()
    assert (system.disabled, outcomes) == ([DisabledReason.GONE], [DeliveryOutcome.DISABLED])
    assert len(system.address.posts) == 1


def test_no_event_tells_of_a_disabling_that_was_undone_meanwhile() -> None:
    system = System()
    system.deliver.publish_disabled(SUBSCRIPTION.id)
    system.deliver.publish_disabled("another")
    assert system.disabled == []


@pytest.mark.parametrize(
    ("error", "after", "reason"),
    [
        (HookUnreachedError("no answer"), 120 * HOUR, DisabledReason.FAILING),
        (HookAddressRefusedError("must have a public address"), 24 * HOUR, DisabledReason.ADDRESS),
    ],
    ids=["five days of failures", "a day of a refused address"],
)
def test_a_long_failure_disables(error: HookError, after: timedelta, reason: DisabledReason) -> None:
    system = System()
    system.address.error = error
    system.change()
    system.clock.advance(after - HOUR)
    assert system.change(probe=True) is DeliveryOutcome.OWED
    system.clock.advance(HOUR)
    assert system.change(probe=True) is DeliveryOutcome.DISABLED
    assert system.disabled == [reason]


def test_a_refused_address_is_tried_again_after_an_hour_only() -> None:
    system = System()
    system.address.error = HookAddressRefusedError("must have a public address")
    system.change()
    assert system.queue.entries == []
    assert system.mark.due == START + HOUR == system.subscription.due


def test_one_probe_ends_the_rest_and_each_item_is_posted_once() -> None:
    system = System()
    system.address.error = HookUnreachedError("no answer")
    items = [replace(ITEM, id=f"order{number}") for number in range(250)]
    for item in items:
        system.deliver(HookEntry(subscription=SUBSCRIPTION.id, item=item), item)
    assert len(system.address.posts) == 5
    assert len(system.store.marks) == 250
    system.queue.entries.clear()
    system.address.posts.clear()
    system.address.error = None
    system.items.sequence = 9
    system.run_until_idle(longest=HOUR)
    ids = [headers["webhook-id"] for _, headers in system.address.posts]
    assert sorted(ids) == sorted(f"sms_{item.id}_9_1" for item in items)


def test_what_failed_before_a_rest_does_not_wait_for_its_own_time() -> None:
    system = System()
    early = replace(ITEM, id="early")
    system.address.error = HookAnsweredError(503, retry_after_s=1_200.0)
    system.deliver(HookEntry(subscription=SUBSCRIPTION.id, item=early), early)
    system.address.error = HookUnreachedError("no answer")
    for _ in range(4):
        system.change()
    system.queue.entries.clear()
    system.address.error = None
    system.run_until_idle(longest=timedelta(minutes=5))
    assert system.store.marks == {}


def test_two_releases_at_once_bring_out_each_mark_once() -> None:
    system = System(a_subscription(due=START))
    for number in range(3):
        item = replace(ITEM, id=f"order{number}")
        system.store.put_mark(
            OwedPost(
                subscription=SUBSCRIPTION.id,
                item=item,
                token=f"t{number}",
                owed_since=START,
                attempts=1,
                due=START,
                problem="unreached",
            )
        )
    for _ in range(2):
        system.release(SUBSCRIPTION.id)
    assert len([entry for entry, _ in system.queue.entries if entry.item]) == 3
