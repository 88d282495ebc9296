"""Many workers with clocks that disagree, on virtual time, and a provider that counts what arrives in a second."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Final

from switchboard.domain.errors import NoSlotError
from switchboard.guard.gate import GateLimits, PacedGate
from tests.fakes import START, FixedClock, InMemoryLaneStore

RATE: Final = 80
_BUDGET: Final = timedelta(seconds=2)
_SKEW_S: Final = 0.01
_STORE_S: Final = (0.002, 0.006)
_PAUSES: Final = 0.01
_PAUSE_S: Final = (0.05, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to the provider takes `latency_s`, between these; so does the way back."""

    name: str
    latency_s: tuple[float, float]
    workers: int
    limits: GateLimits


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
        self._random = Random(seed)
        self._lanes = InMemoryLaneStore()
        self._order = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []

    def run(self, *, seconds: float) -> Counted:
        for number in range(self.profile.workers):
            skew = timedelta(seconds=self._random.uniform(-_SKEW_S, _SKEW_S))
            clock = FixedClock(START + skew)
            gate = PacedGate(
                lanes=self._lanes,
                lane="lane",
                worker=str(number),
                limits=self.profile.limits,
                clock=clock,
                version=lambda: "v1",
            )
            self.at(self._random.uniform(0, 1), _Sender(self, gate, clock, skew).reserve)
        while self._events[0][0] < seconds:
            time, _, event = heapq.heappop(self._events)
            event(time)
        return self.provider

    def at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def drawn(self, between: tuple[float, float]) -> float:
        return self._random.uniform(*between)

    def pause(self) -> float:
        """Mostly none."""
        return self.drawn(_PAUSE_S) if self._random.random() < _PAUSES else 0.0


@dataclass(frozen=True, slots=True)
class _Sender:
    """One worker: reserves, waits by its own clock, sends, and begins again once the answer is there."""

    pace: Pace
    gate: PacedGate
    clock: FixedClock
    skew: timedelta

    def reserve(self, now: float) -> None:
        self.clock.sleep_until(self._clock_at(now))
        try:
            slot = self.gate.reserve(latest=self.clock.now() + _BUDGET)
        except NoSlotError as full:
            self.pace.at(now + full.retry_after_s + self.pace.drawn((0.01, 0.1)), self.reserve)
            return
        told = now + self.pace.drawn(_STORE_S) + self.pace.pause()
        awake = max(told, (slot - START - self.skew).total_seconds())
        self.pace.at(awake + self.pace.pause(), lambda later: self._send(later, slot))

    def _send(self, now: float, slot: datetime) -> None:
        self.clock.sleep_until(self._clock_at(now))
        if self.gate.is_stale(slot):
            self.reserve(now)
            return
        # The pause that nobody can see: after the last look at the clock.
        arrival = now + self.pace.pause() + self.pace.drawn(self.pace.profile.latency_s)
        self.pace.at(arrival, self._arrive)

    def _arrive(self, now: float) -> None:
        self.pace.provider.arrives(now)
        self.pace.at(now + self.pace.drawn(self.pace.profile.latency_s) + self.pace.pause(), self._hear)

    def _hear(self, now: float) -> None:
        self.gate.heard(None)
        # Two writes to the state table: the outcome of this one, and the claim of the next.
        self.pace.at(now + self.pace.drawn(_STORE_S) + self.pace.drawn(_STORE_S), self.reserve)

    def _clock_at(self, now: float) -> datetime:
        return START + timedelta(seconds=now) + self.skew
