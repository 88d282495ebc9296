"""Tell an operator how the whole stands, also where some of it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.rate_limits import LaneState
from switchboard.ports.clock import Clock
from switchboard.ports.status import LaneReader, ObligationReader, QueueDepth, QueueReader
from switchboard.ports.usage_limits import MonthQuota, QuotaUsage

T = TypeVar("T")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLane:
    """A provider's lane, and the limits that its gate keeps (guard/provider/settings.py: GateLimits). `pace_of` tells the requests
    a second from the lane and the time (Unix microseconds)."""

    provider: str
    lane: str
    pace_of: Callable[[LaneState, int], float]
    in_flight_limit: int | None
    streak_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """`open_because` is None while the circuit is closed, `authentication` after too many 401s, or the code by which
    the provider blocked the address. `slots_ahead_s` is how far ahead slots are given out."""

    open_because: str | None
    consecutive_401s: int
    requests_per_s: float
    slots_ahead_s: float
    in_flight: int
    in_flight_limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything at one instant. What is None and named in `unavailable` could not be asked."""

    at: datetime
    providers: Mapping[str, ProviderStatus | None]
    month_quotas: Mapping[str, QuotaUsage | None]
    oldest_obligation: datetime | None
    queues: Mapping[str, QueueDepth | None]
    unavailable: Sequence[str]


class QueryStatus:
    """Asks each part by itself, once: one that does not answer takes nothing else with it. No part is begun after
    `time_budget`, so that there is an answer also where each takes its whole time-out.

    `quotas` by provider, `queues` by the name they are shown under.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[WatchedLane],
        lane_reader: LaneReader,
        quotas: Mapping[str, MonthQuota],
        obligations: ObligationReader,
        queues: Mapping[str, QueueReader],
        clock: Clock,
        time_budget: timedelta,
    ) -> None:
        self._lanes = lanes
        self._lane_reader = lane_reader
        self._quotas = quotas
        self._obligations = obligations
        self._queues = queues
        self._clock = clock
        self._time_budget = time_budget

    def __call__(self) -> Status:
        """Raises nothing for a store that does not answer."""
        now = self._clock.now()
        missing: list[str] = []

        def ask(name: str, part: Callable[[], T]) -> T | None:
            """The part, or None and its name among the missing."""
            try:
                if self._clock.now() <= now + self._time_budget:
                    return part()
            except StoreUnavailableError:
                pass
            missing.append(name)
            return None

        return Status(
            at=now,
            providers={
                watched.provider: ask(f"providers.{watched.provider}", partial(self._provider, watched, now))
                for watched in self._lanes
            },
            month_quotas={
                name: ask(f"month_quotas.{name}", partial(quota.usage, now)) for name, quota in self._quotas.items()
            },
            oldest_obligation=ask("oldest_obligation", self._obligations.oldest_obligation),
            queues={name: ask(f"queues.{name}", queue.depth) for name, queue in self._queues.items()},
            unavailable=missing,
        )

    def _provider(self, watched: WatchedLane, now: datetime) -> ProviderStatus:
        lane = self._lane_reader.read(watched.lane)
        now_us = (now - _EPOCH) // _MICROSECOND
        return ProviderStatus(
            open_because=_open_because(lane, streak_limit=watched.streak_limit),
            consecutive_401s=lane.streak,
            requests_per_s=round(watched.pace_of(lane, now_us), 1),
            slots_ahead_s=max(0, lane.cursor_us - now_us) / 1_000_000,
            # A permit that ran out is dropped by whoever needs its place.
            in_flight=sum(until_us >= now_us for until_us in lane.permits.values()),
            in_flight_limit=watched.in_flight_limit,
        )


def _open_because(lane: LaneState, *, streak_limit: int) -> str | None:
    """Open from the limit on, as for the gate: that other credentials get one try then does not close it."""
    return lane.blocked_by or ("authentication" if lane.streak >= streak_limit else None)
