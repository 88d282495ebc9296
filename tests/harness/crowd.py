"""A crowd of containers behind one address, on virtual time, over a store that throttles the writes of one item."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from switchboard.bootstrap.components.guards import mediasms_guard_settings
from switchboard.bootstrap.send_queued_sms import CONTAINERS_A_QUEUE
from switchboard.domain.errors import ConcurrencyLimitError, SlotUnavailableError, StoreThrottledError
from switchboard.domain.rate_limits import LimitUpdate, ProviderLimitState
from switchboard.edge.queue_workers import SPARE_WORKERS, share_permits
from switchboard.guard.provider.rate_limiter import ProviderGuards
from switchboard.guard.provider.settings import GuardSettings
from switchboard.ports.provider_limits import ProviderGuard
from tests.fakes import START, FixedClock, InMemoryProviderLimitStore
from tests.harness.pacing import CountingProvider

KEY: Final = "mediasms#shared"
WRITES_A_SECOND: Final = 1_000
READS_A_SECOND: Final = 6_000
IN_FLIGHT: Final = 7
BULK_IN_FLIGHT: Final = 3
BATCH: Final = 10
QUEUE_THREADS: Final = 3
BATCH_PERMITS: Final = share_permits(QUEUE_THREADS, permits=BULK_IN_FLIGHT, containers=CONTAINERS_A_QUEUE)
OUTBOX_PERMITS: Final = share_permits(QUEUE_THREADS, permits=IN_FLIGHT - 1, containers=CONTAINERS_A_QUEUE)

SETTINGS: Final = mediasms_guard_settings(
    requests_per_s=80,
    jitter=timedelta(milliseconds=75),
    in_flight=IN_FLIGHT,
    policy="lockout_safe",
    bulk_in_flight=BULK_IN_FLIGHT,
)
_BUDGET: Final = timedelta(seconds=2)
_STORE_S: Final = (0.002, 0.006)
_NEXT_REQUEST_S: Final = (0.0, 0.002)
# After `202 queued`, the caller's next request comes as soon as this.
_AFTER_QUEUED_S: Final = (0.02, 0.1)
_BETWEEN_BATCHES_S: Final = (0.01, 0.02)
_STALE_READ_S: Final = 0.01


class ThrottledStore(InMemoryProviderLimitStore):
    """A store that refuses what one item does not take in a second. A read is ten milliseconds old."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.writes_by_second: Counter[int] = Counter()
        self.reads_by_second: Counter[int] = Counter()
        self.throttled = 0
        self._versions: deque[tuple[float, ProviderLimitState]] = deque()

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name in ("reserve_next", "reserve_now", "record_401", "return_permits", "reset_401s", "back_off", "block"):
            return partial(self._write, method)
        return method

    def read(self, key: str) -> ProviderLimitState:
        second = int(self.now_s)
        if self.reads_by_second[second] >= READS_A_SECOND:
            raise StoreThrottledError("read")
        self.reads_by_second[second] += 1
        while len(self._versions) > 1 and self._versions[1][0] <= self.now_s - _STALE_READ_S:
            self._versions.popleft()
        return self._versions[0][1] if self._versions else ProviderLimitState()

    def _write(self, method: Callable[..., LimitUpdate], *args: Any, **kwargs: Any) -> Any:
        second = int(self.now_s)
        if self.writes_by_second[second] >= WRITES_A_SECOND:
            self.throttled += 1
            raise StoreThrottledError("write")
        self.writes_by_second[second] += 1
        result = method(*args, **kwargs)
        self._versions.append((self.now_s, self.states.get(KEY, ProviderLimitState())))
        return result


@dataclass(slots=True)
class Results:
    """The counts of one simulation after its first second."""

    sent: Counter[str] = field(default_factory=Counter)
    sends_s: list[float] = field(default_factory=list)
    queued: int = 0
    most_in_flight: int = 0
    longest_wait_s: float = 0.0


class Crowd:
    """A simulation of `singles` containers of one request each, and of the containers of each queue that is used.

    Each container has its next message at once, or its next batch of ten. `throttled_to` writes a second are left for
    the containers if others use up the rest. `one_way_s` is the time to the provider, and back again.
    """

    def __init__(
        self,
        singles: int,
        *,
        one_way_s: tuple[float, float],
        bulk: bool = False,
        outbox: bool = False,
        seed: int = 1,
        settings: GuardSettings = SETTINGS,
        store: ThrottledStore | None = None,
        guards_class: type[ProviderGuards] = ProviderGuards,
    ) -> None:
        self.random = Random(seed)
        self.store = store or ThrottledStore()
        self.provider = CountingProvider()
        self.results = Results()
        self.answered: dict[str, datetime] = {}
        self.in_flight = 0
        self.one_way_s = one_way_s
        self.settings = settings
        self.from_s = 0.0
        self.measured_from_s = 1.0
        self._guards_class = guards_class
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        for number in range(singles):
            # Lambda starts at most a thousand containers of a function in ten seconds.
            _Single(self, f"single{number}").start(self.random.uniform(0, max(1.0, singles / 100)))
        for name, used, permits, limit in (
            ("bulk", bulk, BATCH_PERMITS, BULK_IN_FLIGHT),
            ("outbox", outbox, OUTBOX_PERMITS, None),
        ):
            for number in range(CONTAINERS_A_QUEUE if used else 0):
                _Batches(self, f"{name}{number}", name, permits=permits, limit=limit).start(0.0)

    def run(self, *, seconds: float) -> Results:
        """Run until `seconds`, and count from the measured second on."""
        while self._events and self._events[0][0] < seconds:
            time, _, event = heapq.heappop(self._events)
            self.store.now_s = time
            event(time)
        return self.results

    def schedule(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def draw(self, bounds: tuple[float, float]) -> float:
        return self.random.uniform(*bounds)

    def build_guards(self, name: str, clock: FixedClock, *, workers: int = 1) -> ProviderGuards:
        return self._guards_class(
            store=self.store,
            key=KEY,
            new_container_id=lambda: name,
            settings=self.settings,
            clock=clock,
            version=lambda: "v1",
            workers=workers,
            answered_at=self.answered.get,
        )

    def writes_a_send(self, *, first_s: int, last_s: int) -> float:
        """Return the writes on the item for each request that was sent in these seconds."""
        writes = sum(self.store.writes_by_second[second] for second in range(first_s, last_s))
        return writes / sum(self.sent_in(second) for second in range(first_s, last_s))

    def sent_in(self, second: int) -> int:
        return sum(number for name, number in self.results.sent.items() if name.endswith(f"@{second}"))

    def rate(self, *, first_s: int, last_s: int, kind: str = "") -> float:
        """Return the requests that reached the provider in a second, of one kind of container or of all."""
        return sum(
            number
            for name, number in self.results.sent.items()
            if name.startswith(kind) and first_s <= int(name.rpartition("@")[2]) < last_s
        ) / (last_s - first_s)


class _Worker:
    """One thread that sends one message after the other as `Submission` and `wait_for_slot` do."""

    def __init__(
        self, crowd: Crowd, kind: str, guard: ProviderGuard, clock: FixedClock, done: Callable[[float, bool], None]
    ) -> None:
        self._crowd, self._kind, self._guard, self._clock, self._done = crowd, kind, guard, clock, done
        self._order_id = ""
        self._latest = START
        self._began_s = 0.0

    def send(self, now: float, order_id: str) -> None:
        """Claim the message, which is one write to another table."""
        self._order_id, self._began_s = order_id, now
        self._latest = START + timedelta(seconds=now) + _BUDGET
        self._crowd.schedule(now + self._crowd.draw(_STORE_S), self._reserve)

    def _reserve(self, now: float) -> None:
        self._clock.sleep_until(START + timedelta(seconds=now))
        try:
            slot = self._guard.acquire(latest=self._latest, order_id=self._order_id)
        except ConcurrencyLimitError as error:
            self._crowd.schedule(now + error.look_after_s, self._reserve)
            return
        except SlotUnavailableError:
            self._crowd.results.queued += 1
            self._crowd.results.longest_wait_s = max(self._crowd.results.longest_wait_s, now - self._began_s)
            self._done(now + self._crowd.draw(_STORE_S), False)
            return
        at = max(now + self._crowd.draw(_STORE_S), (slot - START).total_seconds())
        self._crowd.schedule(at, partial(self._write, slot))

    def _write(self, slot: datetime, now: float) -> None:
        self._clock.sleep_until(START + timedelta(seconds=now))
        if self._guard.is_stale(slot):
            self._reserve(now)
            return
        self._crowd.in_flight += 1
        self._crowd.results.most_in_flight = max(self._crowd.results.most_in_flight, self._crowd.in_flight)
        self._crowd.schedule(now + self._crowd.draw(self._crowd.one_way_s), self._deliver)

    def _deliver(self, now: float) -> None:
        self._crowd.provider.receive(now)
        self._crowd.results.sent[f"{self._kind}@{int(now)}"] += 1
        self._crowd.schedule(now + self._crowd.draw(self._crowd.one_way_s), self._record)

    def _record(self, now: float) -> None:
        self._clock.sleep_until(START + timedelta(seconds=now))
        self._crowd.in_flight -= 1
        self._guard.record_result(None)
        self._crowd.schedule(now + self._crowd.draw(_STORE_S), self._record_outcome)

    def _record_outcome(self, now: float) -> None:
        self._crowd.answered[self._order_id] = START + timedelta(seconds=now)
        self._crowd.results.sends_s.append(now - self._began_s)
        self._done(now, True)


class _Single:
    """A container of `SendSms`, which has one request at a time."""

    def __init__(self, crowd: Crowd, name: str) -> None:
        clock = FixedClock()
        self._crowd, self._name, self._numbers = crowd, name, count()
        self._worker = _Worker(crowd, "single", crowd.build_guards(name, clock).single, clock, self._begin_next)

    def start(self, now: float) -> None:
        self._crowd.schedule(now, lambda at: self._worker.send(at, f"{self._name}-{next(self._numbers)}"))

    def _begin_next(self, now: float, sent: bool) -> None:
        self.start(now + self._crowd.draw(_NEXT_REQUEST_S if sent else _AFTER_QUEUED_S))


class _Batches:
    """A container of `SendQueuedSms`, whose threads share the messages and the permits of a batch."""

    def __init__(self, crowd: Crowd, name: str, kind: str, *, permits: int, limit: int | None) -> None:
        clock = FixedClock()
        self._crowd, self._name, self._permits, self._numbers = crowd, name, permits, count()
        self._guards = crowd.build_guards(name, clock, workers=permits + SPARE_WORKERS)
        guards: Sequence[ProviderGuard] = self._guards.workers
        if limit is not None:
            guards = self._guards.with_concurrency_limit(limit)
        self._workers = [
            _Worker(crowd, kind, guard, clock, partial(self._end_one, n)) for n, guard in enumerate(guards)
        ]
        self._left = self._open = 0

    def start(self, now: float) -> None:
        self._crowd.schedule(now, self._begin)

    def _begin(self, now: float) -> None:
        self._batch = self._guards.batch(BATCH, permits=self._permits)
        self._batch.__enter__()
        self._left = self._open = BATCH
        for number in range(len(self._workers)):
            self._send_next(number, now)

    def _send_next(self, number: int, now: float) -> None:
        if self._left:
            self._left -= 1
            self._workers[number].send(now, f"{self._name}-{next(self._numbers)}")

    def _end_one(self, number: int, now: float, _sent: bool) -> None:
        self._open -= 1
        if self._open:
            self._crowd.schedule(now, partial(self._send_next, number))
        else:
            self._crowd.schedule(now, self._end)

    def _end(self, now: float) -> None:
        self._batch.__exit__(None, None, None)
        self.start(now + self._crowd.draw(_BETWEEN_BATCHES_S))
