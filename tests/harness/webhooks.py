"""A world with one subscription, whose posts, failures and changes are played against each other, and wrong systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.changes import Change, ChangeKind, Snapshot
from switchboard.domain.errors import HookTimedOutError, HookUnreachedError, StoreUnavailableError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import (
    ChangedItem,
    OwedPost,
    Subscription,
)
from switchboard.ports.subscriptions import SubscriptionStore
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription.deliver import DeliverChange, SignedPoster
from switchboard.usecases.subscription.release import ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import CLIENT, a_subscription
from tests.fakes import CountingIds, FixedClock
from tests.fakes.subscriptions import FixedSecrets, InMemoryHookQueue, InMemorySubscriptionStore
from tests.harness.explorer import demand
from tests.harness.stepping import Actor, Crashed, History, step, stepped

SUBSCRIPTION: Final = a_subscription()
ITEM: Final = ChangedItem(ChangeKind.SMS, "order1001")
_KEY: Final = ApiKey(id="key-1", client=CLIENT, name="", scopes=frozenset(Scope))
_ROUNDS: Final = 60
_PAUSE: Final = timedelta(hours=30)


class Reception(StrEnum):
    """The end of a post, if it is not a 2xx."""

    UNREACHED = "unreached"
    RECEIVED_AND_ANSWER_LOST = "received and answer lost"
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"


@dataclass
class Items:
    """The changed items: one item, whose only content is its sequence."""

    sequence: int = 1

    def read(self, item: ChangedItem, *, client: str) -> Change | None:
        snapshot = Snapshot(
            kind=item.kind,
            id=item.id,
            client=client,
            sequence=self.sequence,
            at=SUBSCRIPTION.created_at + timedelta(seconds=self.sequence),
            state="accepted",
            data={"smsid": item.id, "sequence": self.sequence},
        )
        return Change(key=f"SMS#{item.id}", snapshot=snapshot, previous=None, rules_version="1")

    def changed_since(
        self, kind: ChangeKind, since: datetime, *, client: str, position: str | None
    ) -> tuple[list[str], str | None]:
        return [ITEM.id], None


@dataclass
class Receiver:
    """The receiver of posts: the ids that have come in, and the bytes of each."""

    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    down: bool = False

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        ending = step("receiver.post", tuple(Reception))
        if ending == Reception.CRASH_BEFORE:
            raise Crashed
        if self.down or ending == Reception.UNREACHED:
            raise HookUnreachedError("scripted")
        webhook_id = headers["webhook-id"]
        self.bodies.setdefault(webhook_id, set()).add(body)
        self.sequences.append(int(webhook_id.split("_")[2]))
        if ending == Reception.CRASH_AFTER:
            raise Crashed
        if ending == Reception.RECEIVED_AND_ANSWER_LOST:
            raise HookTimedOutError("scripted")


class WebhookWorld:
    """One subscription, one item, and the invocations that may meet there."""

    def __init__(self, parts: Parts) -> None:
        self.clock = FixedClock()
        self.store = parts.store()
        self.store.create(SUBSCRIPTION)
        self.items = Items()
        self.receiver = Receiver()
        self.queue = InMemoryHookQueue()
        self.actors: list[Actor] = []
        self.disabled: list[object] = []
        store = stepped(cast("SubscriptionStore", self.store), "hooks")
        queue = stepped(self.queue, "queue")
        new_id = CountingIds()
        self.deliver = parts.deliver(
            subscriptions=store,
            views=stepped(parts.views(self.items, self.store), "items"),
            poster=SignedPoster(poster=self.receiver, secrets=FixedSecrets(), clock=self.clock),
            queue=queue,
            find_key=lambda _key_id: _KEY,
            on_disabled=lambda *facts: self.disabled.append(facts),
            clock=self.clock,
            new_id=new_id,
            random=lambda: 0.5,
        )
        self.release = ReleaseOwedPosts(subscriptions=store, queue=queue, clock=self.clock)
        self.sweep = ReleaseOverdueSubscriptions(subscriptions=store, queue=queue, clock=self.clock)

    def change(self, name: str) -> None:
        """Add a new fact about the item, and the entry that tells of it."""

        def body() -> None:
            step("item changes")
            self.items.sequence += 1
            self.queue.entries.append((HookEntry(subscription=SUBSCRIPTION.id, item=ITEM), 0))

        self.actors.append(Actor(name, body))

    def work(self, name: str) -> None:
        """Add a worker that handles the next entry of the queue, which comes again unless it ends well."""

        def body() -> None:
            entry, delay_s = self.queue.entries.pop(0)
            try:
                self.handle(entry)
            except (StoreUnavailableError, Crashed):
                self.queue.entries.append((entry, delay_s))

        self.actors.append(Actor(name, body, ready=lambda: bool(self.queue.entries)))

    def pass_time(self, by: timedelta) -> None:
        """Add a pause, after which the sweep runs."""

        def body() -> None:
            step("time passes")
            self.clock.advance(by)
            try:
                self.sweep(SweepReport(), limit=10)
            except (StoreUnavailableError, Crashed):
                return

        self.actors.append(Actor("sweep", body))

    def handle(self, entry: HookEntry) -> None:
        """Handle one entry as the function does."""
        if entry.item is None:
            self.release(entry.subscription, after_rest=entry.after_rest)
        else:
            self.deliver(entry, entry.item)

    def drain(self) -> None:
        """Let everything that is queued or owed end without faults."""
        for _ in range(_ROUNDS):
            while self.queue.entries:
                self.handle(self.queue.entries.pop(0)[0])
            if not self.store.marks:
                return
            self.clock.advance(_PAUSE)
            self.sweep(SweepReport(), limit=10)


def check_world(world: WebhookWorld, _history: History) -> None:
    """Check I35: the last state arrives, one id has one body, and nothing stays owed that was delivered."""
    world.drain()
    demand(not world.store.marks, "I35", f"still owed: {world.store.marks}")
    demand(not world.disabled, "I35", "disabled after less than five days")
    last = max(world.receiver.sequences, default=0)
    demand(last == world.items.sequence, "I35", f"the last of {world.items.sequence} states is missing, {last} came")
    demand(all(len(bodies) == 1 for bodies in world.receiver.bodies.values()), "I35", "one id has two bodies")


class ReadsTheItemFirst(Items):
    """Views that are read before the mark."""

    def __init__(self, items: Items, store: InMemorySubscriptionStore) -> None:
        self._items = items
        self._early: list[Change | None] = []
        mark_of = store.mark_of

        def read_item_then_mark(subscription_id: str, item: ChangedItem) -> OwedPost | None:
            self._early.append(items.read(item, client=CLIENT))
            step("items.read early")
            return mark_of(subscription_id, item)

        store.mark_of = read_item_then_mark  # type: ignore[method-assign]

    def read(self, item: ChangedItem, *, client: str) -> Change | None:
        return self._early.pop(0) if self._early else self._items.read(item, client=client)


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


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes of which a world is made. A mutant replaces one."""

    store: type[InMemorySubscriptionStore] = InMemorySubscriptionStore
    views: Callable[[Items, InMemorySubscriptionStore], Any] = lambda items, _store: items
    deliver: type[DeliverChange] = DeliverChange


MUTANTS: Final[Mapping[str, Parts]] = {
    "reads the item before the mark": Parts(views=ReadsTheItemFirst),
    "deletes any mark": Parts(store=DeletesAnyMark),
    "deletes by the number of attempts": Parts(store=DeletesByAttempts),
    "puts a mark only if there is none": Parts(store=KeepsTheFormerMark),
    "acknowledges without a mark": Parts(store=AcknowledgesWithoutMark),
}


def busy_world(parts: Parts) -> WebhookWorld:
    """Change an item three times, with four workers and a sweep."""
    world = WebhookWorld(parts)
    for number in range(3):
        world.change(f"change {number + 1}")
    for number in range(4):
        world.work(f"worker {number + 1}")
    world.pass_time(timedelta(minutes=3))
    return world


def resting_world(parts: Parts) -> WebhookWorld:
    """Let the address rest when the changes come."""
    world = busy_world(parts)
    rests_until = world.clock.now() + timedelta(minutes=1)
    world.store.subscriptions[SUBSCRIPTION.id] = replace(
        SUBSCRIPTION, failures=5, failing_since=world.clock.now(), rests=1, rests_until=rests_until, due=rests_until
    )
    world.work("worker 5")
    world.work("worker 6")
    return world


def failing_world(parts: Parts) -> WebhookWorld:
    """Let the item be owed, and under way, when one change comes."""
    return _owing_world(parts, replace(SUBSCRIPTION, failures=1, failing_since=SUBSCRIPTION.created_at), probe=False)


def probing_world(parts: Parts) -> WebhookWorld:
    """Let the address rest, and the probe be under way, when one change comes."""
    until = SUBSCRIPTION.created_at + timedelta(minutes=2)
    resting = replace(SUBSCRIPTION, failures=5, failing_since=SUBSCRIPTION.created_at, rests=1, rests_until=until)
    return _owing_world(parts, resting, probe=True)


def _owing_world(parts: Parts, subscription: Subscription, *, probe: bool) -> WebhookWorld:
    world = WebhookWorld(parts)
    due = world.clock.now()
    mark = OwedPost(
        subscription=SUBSCRIPTION.id,
        item=ITEM,
        token="earlier",
        owed_since=due,
        attempts=1,
        due=due,
        problem="unreached",
    )
    world.store.put_mark(mark)
    world.store.subscriptions[SUBSCRIPTION.id] = replace(subscription, due=due + timedelta(minutes=2))
    world.queue.entries.append((HookEntry(subscription=SUBSCRIPTION.id, item=ITEM, token="earlier", probe=probe), 0))
    world.work("worker 1")
    world.change("change")
    world.work("worker 2")
    return world
