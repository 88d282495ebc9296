"""Many containers behind one address on virtual time, and a provider that counts 401s in a row."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Final

from switchboard.domain.errors import LockedOutError, SlotUnavailableError
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard, ProviderLimitStore
from tests.fakes import START, Ending, FixedClock, InMemoryProviderLimitStore, provider_error

KEY: Final = "mediasms#shared"
_BUDGET: Final = timedelta(seconds=2)
_UNAUTHENTICATED: Final = provider_error(Ending.UNAUTHENTICATED)


@dataclass(slots=True)
class Provider:
    """A provider that accepts the versions in `valid_versions` and counts its 401s in a row.

    `unrecorded_401s` are those of them that no container lived to record.
    """

    valid_versions: set[str] = field(default_factory=set)
    consecutive_401s: int = 0
    unrecorded_401s: int = 0
    most_recorded_401s: int = 0
    requests: int = 0

    def receive(self, version: str, *, recorded: bool) -> bool:
        """Receive a request with this version of the credentials, and return if they are accepted."""
        self.requests += 1
        if version in self.valid_versions:
            self.consecutive_401s = self.unrecorded_401s = 0
            return True
        self.consecutive_401s += 1
        self.unrecorded_401s += not recorded
        self.most_recorded_401s = max(self.most_recorded_401s, self.consecutive_401s - self.unrecorded_401s)
        return False


@dataclass(slots=True)
class Secret:
    """The credentials in Secrets Manager."""

    version: str = "v1"


class Container:
    """A container: the guards of its threads, its clock and its copy of the secret."""

    def __init__(
        self,
        name: str,
        *,
        store: ProviderLimitStore,
        secret: Secret,
        settings: GuardSettings,
        skew: timedelta,
        workers: int = 1,
        answered_at: Callable[[str], datetime | None] = lambda _: None,
    ) -> None:
        self.name = name
        self.skew = skew
        self.clock = FixedClock(START + skew)
        self._secret = secret
        self._copy: str | None = None
        self.guards = ProviderGuards(
            store=store,
            key=KEY,
            new_container_id=lambda: name,
            settings=settings,
            clock=self.clock,
            version=self.version,
            forget_credentials=self.forget,
            workers=workers,
            answered_at=answered_at,
        )
        self.batch = ExitStack()

    def version(self) -> str:
        self._copy = self._copy or self._secret.version
        return self._copy

    def forget(self) -> None:
        self._copy = None


class History:
    """One random history: the credentials are revoked in the middle of it, and replaced once or more often."""

    def __init__(self, seed: int, *, settings: GuardSettings, store: InMemoryProviderLimitStore | None = None) -> None:
        self.random = Random(seed)
        self.settings = settings
        self.store = store or InMemoryProviderLimitStore()
        self.provider = Provider(valid_versions={"v1"})
        self.secret = Secret()
        self.time = 0.0
        self._names = count(1)
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        # Few or many containers, quick or slow answers: the extremes are where the guard would fail.
        [self._containers] = self.random.choices([1, 3, 7, 8, 12, 20, 40, 200], [4, 4, 4, 8, 8, 8, 4, 1])
        self._slowest_s = self.random.choice([0.02, 0.1, 0.5, 2.0])
        self.crash_rate = self.random.choice([0.0, 0.0, 0.02, 0.1])
        self.retry_delay_s = 30.0
        # The outcomes that tell which permits are idle. In half of the histories no permit is named after an order.
        self._names_orders = self.random.random() < 0.5
        self._answered: dict[str, datetime] = {}
        self._orders: dict[ProviderGuard, str] = {}

    def run_revocation(self) -> None:
        """Run traffic before, while and after the credentials are revoked, perhaps with wrong ones put in after it."""
        messages = self.random.choice([8, 24, 48, 96]) // self._containers
        for _ in range(self._containers):
            workers = self.random.choice([1, 1, 3])
            self.add_container(self.random.uniform(0, 3), messages=max(1, messages // workers), workers=workers)
        for _ in range(self.random.choice([0, 0, 1, 4])):
            self._schedule(self.random.uniform(0, 3), self._revoke)
            self._schedule(self.random.uniform(0, 3), self._restore)
        self._schedule(self.random.uniform(0, 3), self._revoke)
        self._schedule(3, self._revoke)
        for number in range(self.random.choice([0, 0, 1, 3])):
            self._schedule(self.random.uniform(0, 45), partial(self._put_secret, f"wrong{number}"))
        self.run(until=45)

    def add_container(self, time: float, *, messages: int = 1, workers: int = 1) -> None:
        """Start a container at `time` that sends `messages` in turn, or in a batch that `workers` threads share."""
        container = Container(
            f"w{next(self._names)}",
            store=self.store,
            secret=self.secret,
            settings=self.settings,
            skew=timedelta(seconds=self.random.uniform(-0.01, 0.01)),
            workers=workers,
            answered_at=self.answered_at,
        )
        if workers > 1:
            size = messages * workers
            self._schedule(time, lambda _: container.batch.enter_context(container.guards.batch(size)))
        for guard in container.guards.workers:
            self._schedule(time, partial(self._reserve, container, guard, messages))

    def answered_at(self, order_id: str) -> datetime | None:
        """Return when an order's outcome was recorded as an answer."""
        return self._answered.get(order_id)

    def replace_credentials(self) -> None:
        """Put valid new credentials in, at the provider and in the secret."""
        self.provider.valid_versions = {"right"}
        self._put_secret("right", self.time)

    def run(self, *, until: float) -> None:
        """Run all events before `until`, in seconds, and drop the later ones."""
        while self._events and self._events[0][0] < until:
            time, _, event = heapq.heappop(self._events)
            event(time)
        self._events.clear()
        self.time = until

    def _put_secret(self, version: str, _now: float) -> None:
        self.secret.version = version

    def _revoke(self, _now: float) -> None:
        self.provider.valid_versions = set()

    def _restore(self, _now: float) -> None:
        self.provider.valid_versions = {"v1"}

    def _schedule(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def _reserve(self, container: Container, guard: ProviderGuard, messages: int, now: float) -> None:
        container.clock.sleep_until(_to_instant(now) + container.skew)
        order_id = self._orders[guard] = f"order{next(self._names)}" if self._names_orders else ""
        try:
            slot = guard.acquire(latest=container.clock.now() + _BUDGET, order_id=order_id)
        except (LockedOutError, SlotUnavailableError):
            # The queue delivers the message again, to this container or to another.
            retry_at = now + self.retry_delay_s * self.random.uniform(0.8, 1.2)
            if self.random.random() < 0.5:
                self._schedule(retry_at, partial(self._reserve, container, guard, messages))
            else:
                self.add_container(retry_at, messages=messages)
            return
        sent = max(now, (slot - container.skew - START).total_seconds()) + self.random.uniform(0.001, 0.04)
        self._schedule(sent, partial(self._deliver, container, guard, messages, container.version()))

    def _deliver(self, container: Container, guard: ProviderGuard, messages: int, version: str, now: float) -> None:
        crashes = self.random.random() < self.crash_rate
        accepted = self.provider.receive(version, recorded=not crashes)
        answered = now + self.random.uniform(0.02, self._slowest_s)
        if crashes:
            # Lambda starts another container; SQS delivers unacknowledged messages again.
            self.add_container(answered + self.random.choice([0.1, 60.0]), messages=messages)
            return
        self._schedule(answered, partial(self._record, container, guard, messages, accepted))

    def _record(self, container: Container, guard: ProviderGuard, messages: int, accepted: bool, now: float) -> None:
        container.clock.sleep_until(_to_instant(now) + container.skew)
        guard.record_result(None if accepted else _UNAUTHENTICATED)
        if accepted:
            self._schedule(now + self.random.choice([0.005, 1.0]), partial(self._record_outcome, self._orders[guard]))
        # A refused message goes back to its caller, or into the queue.
        pause = self.random.choice([0.0, 0.2]) if accepted else self.random.choice([0.0, 0.5, self.retry_delay_s])
        if messages > 1:
            self._schedule(now + pause, partial(self._reserve, container, guard, messages - 1))

    def _record_outcome(self, order_id: str, now: float) -> None:
        self._answered[order_id] = _to_instant(now)


def _to_instant(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
