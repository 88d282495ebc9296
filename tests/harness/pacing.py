"""Many workers with clocks that disagree, on virtual time, and a provider that counts the requests of a second."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, ProviderError, SlotUnavailableError
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from tests.fakes import START, Ending, FixedClock, InMemoryProviderLimitStore, provider_error

RATE: Final = 80
_RATE_LIMITED: Final = provider_error(Ending.RATE_LIMITED)
_BUDGET: Final = timedelta(seconds=2)
_STORE_S: Final = (0.002, 0.006)
_WRITE_S: Final = (0.0001, 0.0005)
_PAUSE_S: Final = (0.05, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The conditions of one simulation.

    `latency_s` has the shortest and the longest time of one way to the provider, or back. A clock is off by `skew_s` at
    most. Workers pause in the share `pause_rate` of their rounds. With `pauses_before_write`, each pause falls between
    a worker's last look at its clock and the first byte.
    """

    name: str
    latency_s: tuple[float, float]
    workers: int
    settings: GuardSettings
    pauses_before_write: bool = False
    pause_rate: float = 0.01
    skew_s: float = 0.01


@dataclass(slots=True)
class CountingProvider:
    """A provider that counts the requests beyond `limit` in a second, in three ways.

    The sliding window and the fixed second count accepted requests; the third way is a sliding window that counts
    refused requests too. It refuses by the sliding window. `received_at` and `refused_at` are in seconds.
    """

    limit: int = RATE
    received_at: list[float] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)

    accepted: deque[float] = field(default_factory=deque)
    received: deque[float] = field(default_factory=deque)
    second: int = -1
    in_second: int = 0
    requests: int = 0
    refused_by_sliding: int = 0
    refused_by_fixed: int = 0
    refused_by_counting: int = 0
    fullest: int = 0

    def receive(self, now: float) -> bool:
        """Receive one request, and return if it is accepted."""
        self.requests += 1
        self.received_at.append(now)
        for window in (self.accepted, self.received):
            while window and window[0] <= now - 1:
                window.popleft()
        self.refused_by_counting += len(self.received) >= self.limit
        self.received.append(now)
        self.fullest = max(self.fullest, len(self.received))
        accepted = len(self.accepted) < self.limit
        if accepted:
            self.accepted.append(now)
        else:
            self.refused_by_sliding += 1
            self.refused_at.append(now)
        if int(now) != self.second:
            self.second, self.in_second = int(now), 0
        self.refused_by_fixed += self.in_second >= self.limit
        self.in_second += self.in_second < self.limit
        return accepted

    @property
    def refused(self) -> int:
        return self.refused_by_sliding + self.refused_by_fixed + self.refused_by_counting


class PaceSimulation:
    """A simulation in which each worker always has a message to send."""

    def __init__(self, profile: Profile, *, seed: int, limit: int = RATE) -> None:
        self.provider = CountingProvider(limit=limit)
        self.profile = profile
        self.random = Random(seed)
        self.store = InMemoryProviderLimitStore()
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []

    def run(self, *, seconds: float) -> CountingProvider:
        for number in range(self.profile.workers):
            self.schedule(self.random.uniform(0, 1), _Sender(self, name=str(number)).begin)
        while self._events[0][0] < seconds:
            time, _, event = heapq.heappop(self._events)
            event(time)
        return self.provider

    def schedule(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def draw(self, bounds: tuple[float, float]) -> float:
        return self.random.uniform(*bounds)


class _Sender:
    """One worker: it reserves a slot, waits by its own clock, sends, and begins again after the answer.

    In a share of its rounds it pauses, at any moment of the round: asleep, or between its last look at the clock and
    the first byte, where the guard cannot notice it.
    """

    def __init__(self, simulation: PaceSimulation, *, name: str) -> None:
        self._simulation = simulation
        self._skew_s = simulation.draw((-simulation.profile.skew_s, simulation.profile.skew_s))
        self._clock = FixedClock()
        self._guard = ProviderGuards(
            store=simulation.store,
            key="mediasms#shared",
            new_container_id=lambda: name,
            settings=simulation.profile.settings,
            clock=self._clock,
            version=lambda: "v1",
        ).single
        self._began = 0.0
        self._round_s = 1.0
        self._pause = (0.0, 0.0)
        self._slot = START

    def begin(self, now: float) -> None:
        """Begin a new round, which will take about as long as the last one."""
        self._round_s, self._began = (now - self._began) or 1.0, now
        self._pause = (0.0, 0.0)
        if not self._simulation.profile.pauses_before_write and self._draws_pause():
            paused = now + self._simulation.draw((0.0, self._round_s))
            self._pause = (paused, paused + self._simulation.draw(_PAUSE_S))
        self._reserve(now)

    def _schedule(self, time: float, event: Callable[[float], None]) -> None:
        paused, until = self._pause
        self._simulation.schedule(until if paused <= time < until else time, event)

    def _reserve(self, now: float) -> None:
        self._set_clock(now)
        try:
            self._slot = self._guard.acquire(latest=self._clock.now() + _BUDGET)
        except SlotUnavailableError as error:
            wait_s = min(error.retry_after_s, 0.1) if isinstance(error, ConcurrencyLimitError) else error.retry_after_s
            self._schedule(now + wait_s + self._simulation.draw((0.01, 0.1)), self._reserve)
            return
        reserved = now + self._simulation.draw(_STORE_S)
        self._schedule(max(reserved, (self._slot - START).total_seconds() - self._skew_s), self._check_slot)

    def _check_slot(self, now: float) -> None:
        self._set_clock(now)
        if self._guard.is_stale(self._slot):
            self._reserve(now)
            return
        pauses = self._simulation.profile.pauses_before_write and self._draws_pause()
        paused_s = self._simulation.draw(_PAUSE_S) if pauses else 0.0
        self._schedule(now + self._simulation.draw(_WRITE_S) + paused_s, self._write)

    def _write(self, now: float) -> None:
        self._simulation.schedule(now + self._simulation.draw(self._simulation.profile.latency_s), self._deliver)

    def _deliver(self, now: float) -> None:
        accepted = self._simulation.provider.receive(now)
        answered = now + self._simulation.draw(self._simulation.profile.latency_s)
        self._schedule(answered, partial(self._record, None if accepted else _RATE_LIMITED))

    def _record(self, error: ProviderError | None, now: float) -> None:
        self._set_clock(now)
        self._guard.record_result(error)
        # Two writes to the state table: the outcome of this message, and the claim of the next.
        self._schedule(now + self._simulation.draw(_STORE_S) + self._simulation.draw(_STORE_S), self.begin)

    def _draws_pause(self) -> bool:
        return self._simulation.random.random() < self._simulation.profile.pause_rate

    def _set_clock(self, now: float) -> None:
        self._clock.sleep_until(START + timedelta(seconds=now + self._skew_s))
