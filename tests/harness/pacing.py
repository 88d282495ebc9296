"""Many workers with clocks that disagree, on virtual time, and a provider that counts what arrives in a second."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, SlotUnavailableError
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from tests.fakes import START, FixedClock, InMemoryProviderLimitStore

RATE: Final = 80
_BUDGET: Final = timedelta(seconds=2)
_STORE_S: Final = (0.002, 0.006)
_WRITE_S: Final = (0.0001, 0.0005)
_PAUSES: Final = 0.01
_PAUSE_S: Final = (0.05, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to the provider takes `latency_s`, between these, as the way back. Clocks are `skew_s` off at most."""

    name: str
    latency_s: tuple[float, float]
    workers: int
    limits: GuardSettings
    unseen: bool = False
    skew_s: float = 0.01


@dataclass(slots=True)
class Counted:
    """Whether a second with more than `RATE` requests was seen, by three ways of counting them.

    The sliding window and the fixed second count what they took; the third is a sliding window that counts what it
    refused, too.
    """

    taken: deque[float] = field(default_factory=deque)
    arrived: deque[float] = field(default_factory=deque)
    second: int = -1
    in_second: int = 0
    requests: int = 0
    refused_sliding: int = 0
    refused_fixed: int = 0
    refused_counting: int = 0
    fullest: int = 0

    def arrives(self, now: float) -> None:
        self.requests += 1
        for window in (self.taken, self.arrived):
            while window and window[0] <= now - 1:
                window.popleft()
        self.refused_counting += len(self.arrived) >= RATE
        self.arrived.append(now)
        self.fullest = max(self.fullest, len(self.arrived))
        if len(self.taken) >= RATE:
            self.refused_sliding += 1
        else:
            self.taken.append(now)
        if int(now) != self.second:
            self.second, self.in_second = int(now), 0
        self.refused_fixed += self.in_second >= RATE
        self.in_second += self.in_second < RATE

    @property
    def refused(self) -> int:
        return self.refused_sliding + self.refused_fixed + self.refused_counting


class Pace:
    """Everybody always has a message to send."""

    def __init__(self, profile: Profile, *, seed: int) -> None:
        self.provider = Counted()
        self.profile = profile
        self.random = Random(seed)
        self.store = InMemoryProviderLimitStore()
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []

    def run(self, *, seconds: float) -> Counted:
        for number in range(self.profile.workers):
            self.at(self.random.uniform(0, 1), _Sender(self, name=str(number)).begin)
        while self._events[0][0] < seconds:
            time, _, event = heapq.heappop(self._events)
            event(time)
        return self.provider

    def at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def drawn(self, between: tuple[float, float]) -> float:
        return self.random.uniform(*between)


class _Sender:
    """One worker: reserves, waits by its own clock, sends, and begins again once the answer is there.

    In one of a hundred rounds it is paused, at any moment of it: asleep, or between its last look at the clock and
    the first byte, where nobody can see it (`unseen`: always there).
    """

    def __init__(self, pace: Pace, *, name: str) -> None:
        self._pace = pace
        self._skew_s = pace.drawn((-pace.profile.skew_s, pace.profile.skew_s))
        self._clock = FixedClock()
        self._guard = ProviderGuards(
            store=pace.store,
            key="state",
            container_id=name,
            settings=pace.profile.limits,
            clock=self._clock,
            version=lambda: "v1",
        ).workers[0]
        self._began = 0.0
        self._round_s = 1.0
        self._pause = (0.0, 0.0)
        self._slot = START

    def begin(self, now: float) -> None:
        """A new round. How long it takes is not known yet: about as long as the last one."""
        self._round_s, self._began = (now - self._began) or 1.0, now
        self._pause = (0.0, 0.0)
        if not self._pace.profile.unseen and self._pace.random.random() < _PAUSES:
            paused = now + self._pace.drawn((0.0, self._round_s))
            self._pause = (paused, paused + self._pace.drawn(_PAUSE_S))
        self._reserve(now)

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        paused, until = self._pause
        self._pace.at(until if paused <= time < until else time, event)

    def _reserve(self, now: float) -> None:
        self._tell(now)
        try:
            self._slot = self._guard.acquire(latest=self._clock.now() + _BUDGET)
        except SlotUnavailableError as full:
            wait_s = min(full.retry_after_s, 0.1) if isinstance(full, ConcurrencyLimitError) else full.retry_after_s
            self._at(now + wait_s + self._pace.drawn((0.01, 0.1)), self._reserve)
            return
        told = now + self._pace.drawn(_STORE_S)
        self._at(max(told, (self._slot - START).total_seconds() - self._skew_s), self._look)

    def _look(self, now: float) -> None:
        self._tell(now)
        if self._guard.is_stale(self._slot):
            self._reserve(now)
            return
        unseen = self._pace.profile.unseen and self._pace.random.random() < _PAUSES
        paused_s = self._pace.drawn(_PAUSE_S) if unseen else 0.0
        self._at(now + self._pace.drawn(_WRITE_S) + paused_s, self._write)

    def _write(self, now: float) -> None:
        self._pace.at(now + self._pace.drawn(self._pace.profile.latency_s), self._arrive)

    def _arrive(self, now: float) -> None:
        self._pace.provider.arrives(now)
        self._at(now + self._pace.drawn(self._pace.profile.latency_s), self._hear)

    def _hear(self, now: float) -> None:
        self._tell(now)
        self._guard.record_result(None)
        # Two writes to the state table: the outcome of this one, and the claim of the next.
        self._at(now + self._pace.drawn(_STORE_S) + self._pace.drawn(_STORE_S), self.begin)

    def _tell(self, now: float) -> None:
        self._clock.sleep_until(START + timedelta(seconds=now + self._skew_s))
