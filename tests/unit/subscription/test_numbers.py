"""The numbers of the design, simulated with the real use cases: a dead receiver among 20, and a long recovery. (I35)"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from greenlet import getcurrent, greenlet

from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import HookTimedOutError, RecoveryInProgressError
from switchboard.domain.subscription.queue_entries import HookEntry, Recovery
from switchboard.domain.subscription.subscriptions import ChangedItem
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.subscription.deliver import DeliverChange, SignedPoster
from switchboard.usecases.subscription.handle_entry import HandleHookEntry
from switchboard.usecases.subscription.manage import ManageSubscriptions
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOverdueSubscriptions, ReleaseOwedPosts
from tests.builders import a_subscription
from tests.fakes import START, CountingIds, FixedClock
from tests.fakes.subscriptions import FixedSecrets, InMemoryHookQueue, InMemorySubscriptionStore, Items
from tests.harness.webhooks.invocations import KEY

_AT_ONCE = 50
_MOMENT = timedelta(milliseconds=50)
_DEADLINE = timedelta(seconds=15)


@dataclass
class Receivers:
    """Receivers that answer after a moment, some of which are down: their posts end with the deadline."""

    clock: FixedClock
    down: set[str] = field(default_factory=set)
    posts: list[tuple[str, str, datetime]] = field(default_factory=list)
    """The address, the id and the time of each post's end."""

    def check(self, url: str) -> None:
        """Accept every address."""

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        getcurrent().parent.switch(_DEADLINE if url in self.down else _MOMENT)
        self.posts.append((url, headers["webhook-id"], self.clock.now()))
        if url in self.down:
            raise HookTimedOutError("scripted")


class Simulation:
    """The queue with its delays, 50 invocations at once, and the sweep every minute, on a clock of their own."""

    def __init__(self, receivers: int) -> None:
        self.clock = FixedClock()
        self.store = InMemorySubscriptionStore()
        for number in range(receivers):
            url = f"https://r{number}.example.com/"
            self.store.create(a_subscription(id=f"{number:032x}", client=f"c{number}", url=url))
        self.receivers = Receivers(self.clock)
        self.queue = InMemoryHookQueue()
        self.items = Items()
        self._numbers = itertools.count()
        self._agenda: list[tuple[datetime, int, HookEntry | greenlet | None]] = []
        self._waiting: deque[HookEntry] = deque()
        self._free = _AT_ONCE
        shared: dict[str, Any] = {"subscriptions": self.store, "queue": self.queue, "clock": self.clock}
        read: dict[str, Any] = {"views": self.items, "new_id": CountingIds()}
        self.handle = HandleHookEntry(
            deliver=DeliverChange(
                **shared,
                **read,
                poster=SignedPoster(poster=self.receivers, secrets=FixedSecrets(), clock=self.clock),
                find_key=lambda _key_id: KEY,
                on_disabled=lambda *_: None,
                random=lambda: 0.5,
            ),
            release=ReleaseOwedPosts(**shared),
            recover=RecoverChanges(**shared, **read),
        )
        self.sweep = ReleaseOverdueSubscriptions(**shared)
        self.manage = ManageSubscriptions(
            **shared,
            secrets=FixedSecrets(),
            poster=self.receivers,
            signed_poster=cast("Any", None),
            new_id=CountingIds(),
            allow_loopback=False,
        )
        self.plan(START + timedelta(minutes=1), None)

    def plan(self, at: datetime, what: HookEntry | greenlet | None) -> None:
        """Plan an entry, the next step of an invocation, or the sweep."""
        heapq.heappush(self._agenda, (at, next(self._numbers), what))

    def change(self, number: int, item: str, at: datetime) -> None:
        """Plan the entry of a change for one receiver."""
        changed = ChangedItem(ChangeKind.SMS, item)
        self.plan(at, HookEntry(subscription=f"{number:032x}", item=changed))

    def run(self, until: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            at, _, what = heapq.heappop(self._agenda)
            self.clock.sleep_until(at)
            if what is None:
                self.sweep(SweepReport(), limit=100)
                self.empty_queue()
                self.plan(at + timedelta(minutes=1), None)
            elif isinstance(what, greenlet):
                self._go_on(what)
            else:
                self._waiting.append(what)
            while self._free and self._waiting:
                self._free -= 1
                self._go_on(greenlet(partial(self.handle, self._waiting.popleft())))

    def _go_on(self, invocation: greenlet) -> None:
        pause = invocation.switch()
        self.empty_queue()
        if invocation.dead:
            self._free += 1
        else:
            self.plan(self.clock.now() + pause, invocation)

    def empty_queue(self) -> None:
        """Plan what the use cases have put into the queue."""
        for entry, delay_s in self.queue.entries:
            self.plan(self.clock.now() + timedelta(seconds=delay_s), entry)
        self.queue.entries.clear()


def test_a_dead_receiver_gets_few_posts_and_delays_no_other() -> None:
    simulation = Simulation(20)
    dead = "https://r0.example.com/"
    simulation.receivers.down = {dead}
    changes = 18_000
    changed_at = [START + timedelta(seconds=2 * number) for number in range(changes)]
    for number, at in enumerate(changed_at):
        simulation.change(number % 20, f"m{number}", at)
    simulation.run(START + timedelta(hours=10))

    posts = simulation.receivers.posts
    delays = sorted(at - changed_at[int(webhook_id.split("_")[1][1:])] for url, webhook_id, at in posts if url != dead)
    assert len(delays) == changes * 19 // 20
    assert delays[len(delays) * 99 // 100] <= timedelta(seconds=1)
    assert len(posts) - len(delays) <= changes // 1_000


def test_10000_owed_items_come_within_20_minutes_with_one_post_each() -> None:
    simulation = Simulation(1)
    [subscription] = simulation.store.subscriptions.values()
    url = subscription.url
    simulation.receivers.down = {url}
    for number in range(10_000):
        simulation.change(0, f"m{number}", START + timedelta(milliseconds=number))
    back_at = START + timedelta(seconds=50)
    simulation.run(back_at)
    assert len(simulation.store.marks) == 10_000
    # An invocation that has read fewer than four failures does not let the address rest.
    assert len(simulation.receivers.posts) <= 2 * _AT_ONCE + 5
    simulation.receivers.down = set()
    simulation.receivers.posts.clear()

    simulation.run(back_at + timedelta(minutes=20))

    assert simulation.store.marks == {}
    assert len(simulation.receivers.posts) == 10_000
    assert len({webhook_id for _, webhook_id, _ in simulation.receivers.posts}) == 10_000
    assert replace(simulation.store.subscriptions[subscription.id], due=None).rests_until is None


def test_10000_changed_items_are_recovered_within_20_minutes_with_one_post_each() -> None:
    simulation = Simulation(1)
    simulation.items.ids = [f"m{number}" for number in range(10_000)]
    [subscription] = simulation.store.subscriptions.values()
    recovery = Recovery(since=START - timedelta(days=1), kind=ChangeKind.SMS)
    simulation.plan(START, HookEntry(subscription=subscription.id, recovery=recovery))

    simulation.run(START + timedelta(minutes=20))

    assert simulation.store.marks == {}
    assert sorted(webhook_id for _, webhook_id, _ in simulation.receivers.posts) == sorted(
        f"sms_{item}_1_1" for item in simulation.items.ids
    )
    # Ten a second are posted, and no more.
    times = [at for _, _, at in simulation.receivers.posts]
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in zip(times, times[20:], strict=False))


def test_a_client_that_recovers_all_the_time_gets_ten_posts_a_second() -> None:
    simulation = Simulation(1)
    simulation.items.ids = [f"m{number}" for number in range(1_000)]
    [subscription] = simulation.store.subscriptions.values()
    key = replace(KEY, client=subscription.client)
    minutes, begun = 10, 0
    for second in range(60 * minutes):
        simulation.run(START + timedelta(seconds=second))
        with suppress(RecoveryInProgressError):
            simulation.manage.recover(subscription.id, since=START - timedelta(days=1), key=key)
            simulation.empty_queue()
            begun += 1
    simulation.run(START + timedelta(minutes=minutes + 5))

    assert simulation.store.marks == {}
    times = [at for _, _, at in simulation.receivers.posts]
    assert len(times) == begun * 1_000
    assert begun == 3
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in zip(times, times[20:], strict=False))


def test_a_receiver_that_hangs_and_is_enabled_all_the_time_delays_no_other() -> None:
    simulation = Simulation(20)
    dead = "https://r0.example.com/"
    simulation.receivers.down = {dead}
    for number in range(20):
        simulation.change(0, f"owed{number}", START)
    simulation.run(START + timedelta(seconds=40))
    enabled_from = simulation.clock.now()
    simulation.receivers.posts.clear()
    subscription = simulation.store.subscriptions[f"{0:032x}"]
    key = replace(KEY, client=subscription.client)
    seconds = 600
    for second in range(seconds):
        at = enabled_from + timedelta(seconds=second)
        for number in range(20):
            simulation.change(number, f"m{second}", at)
        simulation.run(at)
        simulation.manage.change(subscription.id, {"state": "active"}, key=key, own_hosts=())
        simulation.empty_queue()
    simulation.run(enabled_from + timedelta(seconds=seconds + 15))

    posts = simulation.receivers.posts
    delays = sorted(
        at - enabled_from - timedelta(seconds=int(webhook_id.split("_")[1][1:]))
        for url, webhook_id, at in posts
        if url != dead
    )
    assert len(delays) == seconds * 19
    assert delays[len(delays) * 99 // 100] <= timedelta(seconds=1)
    # Two posts at a time, each of which ends with its deadline.
    assert len(posts) - len(delays) <= 2 * seconds // 15
