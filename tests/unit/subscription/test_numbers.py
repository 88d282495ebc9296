"""The numbers of the design, simulated with the real use cases: a dead receiver among 20, and a long recovery. (I35)"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import HookUnreachedError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import ChangedItem
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription.deliver import DeliverChange, SignedPoster
from switchboard.usecases.subscription.release import ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import CLIENT, a_subscription
from tests.fakes import START, CountingIds, FixedClock
from tests.fakes.subscriptions import FixedSecrets, InMemoryHookQueue, InMemorySubscriptionStore, Items

_KEY = ApiKey(id="key-1", client=CLIENT, name="", scopes=frozenset(Scope))
_SWEEP = "sweep"


@dataclass
class Receivers:
    """20 receivers, some of which are down."""

    down: set[str] = field(default_factory=set)
    posts: list[tuple[str, str]] = field(default_factory=list)

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        self.posts.append((url, headers["webhook-id"]))
        if url in self.down:
            raise HookUnreachedError("scripted")


class Simulation:
    """The queue with its delays and the sweep every minute, on a clock that jumps from entry to entry."""

    def __init__(self, receivers: int) -> None:
        self.clock = FixedClock()
        self.store = InMemorySubscriptionStore()
        for number in range(receivers):
            url = f"https://r{number}.example.com/"
            self.store.create(a_subscription(id=f"{number:032x}", client=f"c{number}", url=url))
        self.receivers = Receivers()
        self.queue = InMemoryHookQueue()
        self._numbers = itertools.count()
        self._agenda: list[tuple[datetime, int, HookEntry | str]] = []
        self.deliver = DeliverChange(
            subscriptions=self.store,
            views=Items(),
            poster=SignedPoster(poster=self.receivers, secrets=FixedSecrets(), clock=self.clock),
            queue=self.queue,
            find_key=lambda _key_id: _KEY,
            on_disabled=lambda *_: None,
            clock=self.clock,
            new_id=CountingIds(),
            random=lambda: 0.5,
        )
        self.release = ReleaseOwedPosts(subscriptions=self.store, queue=self.queue, clock=self.clock)
        self.sweep = ReleaseOverdueSubscriptions(subscriptions=self.store, queue=self.queue, clock=self.clock)
        self.plan(START + timedelta(minutes=1), _SWEEP)

    def plan(self, at: datetime, entry: HookEntry | str) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), entry))

    def change(self, number: int, item: str, at: datetime) -> None:
        """Plan the entry of a change for one receiver."""
        changed = ChangedItem(ChangeKind.SMS, item)
        self.plan(at, HookEntry(subscription=f"{number:032x}", item=changed))

    def run(self, until: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            at, _, entry = heapq.heappop(self._agenda)
            self.clock.sleep_until(at)
            if isinstance(entry, str):
                self.sweep(SweepReport(), limit=100)
                self.plan(at + timedelta(minutes=1), _SWEEP)
            elif entry.item is not None:
                self.deliver(entry, entry.item)
            else:
                self.release(entry.subscription, after_rest=entry.after_rest)
            for planned, delay_s in self.queue.entries:
                self.plan(at + timedelta(seconds=delay_s), planned)
            self.queue.entries.clear()


def test_a_dead_receiver_gets_at_most_a_thousandth_of_its_changes() -> None:
    simulation = Simulation(20)
    dead = "https://r0.example.com/"
    simulation.receivers.down = {dead}
    changes = 18_000
    for number in range(changes):
        simulation.change(number % 20, f"m{number}", START + timedelta(seconds=2 * number))
    simulation.run(START + timedelta(hours=10))

    posts = [url for url, _ in simulation.receivers.posts]
    assert posts.count(dead) <= changes // 1_000 + 20
    # No healthy receiver waits: its post is made when its entry is handled.
    assert len(posts) - posts.count(dead) == changes * 19 // 20


def test_10000_owed_items_come_within_20_minutes_with_one_post_each() -> None:
    simulation = Simulation(1)
    [subscription] = simulation.store.subscriptions.values()
    url = subscription.url
    simulation.receivers.down = {url}
    for number in range(10_000):
        simulation.change(0, f"m{number}", START + timedelta(milliseconds=number))
    simulation.run(START + timedelta(seconds=30))
    assert len(simulation.store.marks) == 10_000
    back_at = START + timedelta(seconds=30)
    simulation.receivers.down = set()
    simulation.receivers.posts.clear()

    simulation.run(back_at + timedelta(minutes=20))

    assert simulation.store.marks == {}
    assert len(simulation.receivers.posts) == 10_000
    assert len({webhook_id for _, webhook_id in simulation.receivers.posts}) == 10_000
    assert replace(simulation.store.subscriptions[subscription.id], due=None).rests_until is None
