"""Tell an operator how the whole stands, also where some of it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import to_unix_us
from switchboard.ports.clock import Clock
from switchboard.ports.status import DeadlineReader, ProviderLimitReader, QueueDepth, QueueReader
from switchboard.ports.usage_limits import MonthlyQuota, QuotaUsage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProvider:
    """A provider's state, and the limits that its guard keeps (guard/provider/settings.py: GuardSettings). `pace_of`
    tells the requests
    a second from the state and the time (Unix microseconds)."""

    provider: str
    key: str
    pace_of: Callable[[ProviderLimitState, int], float]
    in_flight_limit: int | None
    open_after_401s: int


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
class SystemStatus:
    """Everything at one instant. What is None and named in `unavailable` could not be asked."""

    at: datetime
    providers: Mapping[str, ProviderStatus | None]
    month_quotas: Mapping[str, QuotaUsage | None]
    oldest_pending_deadline: datetime | None
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
        providers: Sequence[WatchedProvider],
        limit_reader: ProviderLimitReader,
        quotas: Mapping[str, MonthlyQuota],
        obligations: DeadlineReader,
        queues: Mapping[str, QueueReader],
        clock: Clock,
        time_budget: timedelta,
    ) -> None:
        self._watched_providers = providers
        self._limit_reader = limit_reader
        self._quotas = quotas
        self._obligations = obligations
        self._queues = queues
        self._clock = clock
        self._time_budget = time_budget

    def __call__(self) -> SystemStatus:
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

        return SystemStatus(
            at=now,
            providers={
                watched.provider: ask(f"providers.{watched.provider}", partial(self._provider, watched, now))
                for watched in self._watched_providers
            },
            month_quotas={
                name: ask(f"month_quotas.{name}", partial(quota.usage, now)) for name, quota in self._quotas.items()
            },
            oldest_pending_deadline=ask("oldest_pending_deadline", self._obligations.oldest_pending_deadline),
            queues={name: ask(f"queues.{name}", queue.depth) for name, queue in self._queues.items()},
            unavailable=missing,
        )

    def _provider(self, watched: WatchedProvider, now: datetime) -> ProviderStatus:
        state = self._limit_reader.read(watched.key)
        now_us = to_unix_us(now)
        return ProviderStatus(
            open_because=_open_because(state, open_after_401s=watched.open_after_401s),
            consecutive_401s=state.consecutive_401s,
            requests_per_s=round(watched.pace_of(state, now_us), 1),
            slots_ahead_s=max(0, state.next_slot_us - now_us) / 1_000_000,
            # A permit that ran out is dropped by whoever needs its place.
            in_flight=sum(until_us >= now_us for until_us in state.permits.values()),
            in_flight_limit=watched.in_flight_limit,
        )


def _open_because(state: ProviderLimitState, *, open_after_401s: int) -> str | None:
    """Open from the limit on, as for the guard: that other credentials get one try then does not close it."""
    return state.blocked_by or ("authentication" if state.consecutive_401s >= open_after_401s else None)
