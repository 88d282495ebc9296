"""Many workers behind one address on virtual time, and a provider that counts 401s in a row."""

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

KEY: Final = "state"
_BUDGET: Final = timedelta(seconds=2)
_UNAUTHENTICATED: Final = provider_error(Ending.UNAUTHENTICATED)


@dataclass(slots=True)
class Provider:
    """Takes the credentials in `good`, and counts its total_401s in a row. `unheard`: those of them that no worker
    lived to write down."""

    good: set[str] = field(default_factory=set)
    in_a_row: int = 0
    unheard: int = 0
    worst: int = 0
    requests: int = 0

    def takes(self, version: str, *, heard: bool) -> bool:
        self.requests += 1
        if version in self.good:
            self.in_a_row = self.unheard = 0
            return True
        self.in_a_row += 1
        self.unheard += not heard
        self.worst = max(self.worst, self.in_a_row - self.unheard)
        return False


@dataclass(slots=True)
class Secret:
    """What Secrets Manager holds."""

    version: str = "v1"


class Worker:
    """A container: its guards, one for each of its threads, its clock and its copy of the secret."""

    def __init__(
        self,
        name: str,
        *,
        store: ProviderLimitStore,
        secret: Secret,
        limits: GuardSettings,
        skew: timedelta,
        workers: int = 1,
    ) -> None:
        self.name = name
        self.skew = skew
        self.clock = FixedClock(START + skew)
        self._secret = secret
        self._copy: str | None = None
        self.guards = ProviderGuards(
            store=store,
            key=KEY,
            container_id=name,
            settings=limits,
            clock=self.clock,
            version=self.version,
            forget_credentials=self.forget,
            workers=workers,
        )
        self.batch = ExitStack()

    def version(self) -> str:
        self._copy = self._copy or self._secret.version
        return self._copy

    def forget(self) -> None:
        self._copy = None


class History:
    """One random history: the credentials are revoked in the middle of it, and replaced once or more often."""

    def __init__(self, seed: int, *, limits: GuardSettings, store: InMemoryProviderLimitStore | None = None) -> None:
        self.random = Random(seed)
        self.limits = limits
        self.store = store or InMemoryProviderLimitStore()
        self.provider = Provider(good={"v1"})
        self.secret = Secret()
        self.time = 0.0
        self._names = count(1)
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        # Few or many workers, quick or slow answers: the extremes are where it breaks.
        [self._workers] = self.random.choices([1, 3, 7, 8, 12, 20, 40, 200], [4, 4, 4, 8, 8, 8, 4, 1])
        self._slowest_s = self.random.choice([0.02, 0.1, 0.5, 2.0])
        self.crashes = self.random.choice([0.0, 0.0, 0.02, 0.1])
        self.put_back_s = 30.0

    def flurry(self) -> None:
        """Traffic before, while and after the credentials are revoked, and perhaps other wrong ones put in."""
        jobs = self.random.choice([8, 24, 48, 96]) // self._workers
        for _ in range(self._workers):
            workers = self.random.choice([1, 1, 3])
            self.arrives(self.random.uniform(0, 3), jobs=max(1, jobs // workers), workers=workers)
        for _ in range(self.random.choice([0, 0, 1, 4])):
            self._at(self.random.uniform(0, 3), self._revoke)
            self._at(self.random.uniform(0, 3), self._restore)
        self._at(self.random.uniform(0, 3), self._revoke)
        self._at(3, self._revoke)
        for number in range(self.random.choice([0, 0, 1, 3])):
            self._at(self.random.uniform(0, 45), partial(self._replace, f"wrong{number}"))
        self.run(until=45)

    def arrives(self, time: float, *, jobs: int = 1, workers: int = 1) -> None:
        """So many messages for a new container: one after the other, or as a batch that `workers` threads share."""
        worker = Worker(
            f"w{next(self._names)}",
            store=self.store,
            secret=self.secret,
            limits=self.limits,
            skew=timedelta(seconds=self.random.uniform(-0.01, 0.01)),
            workers=workers,
        )
        if workers > 1:
            self._at(time, lambda _: worker.batch.enter_context(worker.guards.batch(jobs * workers)))
        for guard in worker.guards.workers:
            self._at(time, partial(self._reserve, worker, guard, jobs))

    def put_right(self) -> None:
        """New credentials, at the provider and in the secret."""
        self.provider.good = {"right"}
        self._replace("right", self.time)

    def run(self, *, until: float) -> None:
        """Plays what is to happen before `until`, in seconds. Deliveries after that never come."""
        while self._events and self._events[0][0] < until:
            time, _, event = heapq.heappop(self._events)
            event(time)
        self._events.clear()
        self.time = until

    def _replace(self, version: str, _now: float) -> None:
        self.secret.version = version

    def _revoke(self, _now: float) -> None:
        self.provider.good = set()

    def _restore(self, _now: float) -> None:
        self.provider.good = {"v1"}

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def _reserve(self, worker: Worker, guard: ProviderGuard, jobs: int, now: float) -> None:
        worker.clock.sleep_until(_instant(now) + worker.skew)
        try:
            slot = guard.acquire(latest=worker.clock.now() + _BUDGET)
        except (LockedOutError, SlotUnavailableError):
            # The queue delivers it again, to this container or to another.
            again = now + self.put_back_s * self.random.uniform(0.8, 1.2)
            if self.random.random() < 0.5:
                self._at(again, partial(self._reserve, worker, guard, jobs))
            else:
                self.arrives(again, jobs=jobs)
            return
        sent = max(now, (slot - worker.skew - START).total_seconds()) + self.random.uniform(0.001, 0.04)
        self._at(sent, partial(self._arrive, worker, guard, jobs, worker.version()))

    def _arrive(self, worker: Worker, guard: ProviderGuard, jobs: int, version: str, now: float) -> None:
        crashes = self.random.random() < self.crashes
        taken = self.provider.takes(version, heard=not crashes)
        answered = now + self.random.uniform(0.02, self._slowest_s)
        if crashes:
            # Lambda starts another container; SQS delivers what was not acknowledged again.
            self.arrives(answered + self.random.choice([0.1, 60.0]), jobs=jobs)
            return
        self._at(answered, partial(self._hear, worker, guard, jobs, taken))

    def _hear(self, worker: Worker, guard: ProviderGuard, jobs: int, taken: bool, now: float) -> None:
        worker.clock.sleep_until(_instant(now) + worker.skew)
        guard.record_result(None if taken else _UNAUTHENTICATED)
        # A refused message goes back to its caller, or into the queue.
        pause = 0.0 if taken else self.random.choice([0.0, 0.5, self.put_back_s])
        if jobs > 1:
            self._at(now + pause, partial(self._reserve, worker, guard, jobs - 1))


def _instant(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
