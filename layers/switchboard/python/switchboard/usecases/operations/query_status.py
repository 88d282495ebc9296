"""Query the status of the whole deployment for an operator, even if some of its parts do not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from switchboard.domain.errors import StoreError
from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import to_unix_us
from switchboard.ports.clock import Clock
from switchboard.ports.status import DeadlineReader, ProviderLimitReader, QueueDepth, QueueReader
from switchboard.ports.usage_limits import MonthlyQuota, QuotaUsage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProvider:
    """A provider, the `key` of its limit state, and the settings of its guard (guard/provider/settings.py).

    `pace_of` returns the requests a second for a state and a time in Unix microseconds.
    """

    provider: str
    key: str
    pace_of: Callable[[ProviderLimitState, int], float]
    in_flight_limit: int | None
    open_after_401s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """The status of one provider's guard.

    `open_because` is None while the circuit is closed, `authentication` after too many 401s, or the code with which
    the provider blocked the address. `slots_ahead_s` is the time from now to the next free slot.
    """

    open_because: str | None
    consecutive_401s: int
    requests_per_s: float
    slots_ahead_s: float
    in_flight: int
    in_flight_limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """The status of all parts at one instant. A part that did not answer is None, and `unavailable` names it."""

    at: datetime
    providers: Mapping[str, ProviderStatus | None]
    month_quotas: Mapping[str, QuotaUsage | None]
    oldest_pending_deadline: datetime | None
    queues: Mapping[str, QueueDepth | None]
    unavailable: Sequence[str]


class QueryStatus:
    """The status query: reads each part once, and leaves out a part that does not answer.

    No part is read after `time_budget`, so that the query returns even if each part takes its whole time-out. `quotas`
    has the providers as keys, `queues` the names in the result.
    """

    def __init__(
        self,
        *,
        providers: Sequence[WatchedProvider],
        limit_reader: ProviderLimitReader,
        quotas: Mapping[str, MonthlyQuota],
        deadlines: DeadlineReader,
        queues: Mapping[str, QueueReader],
        clock: Clock,
        time_budget: timedelta,
    ) -> None:
        self._watched_providers = providers
        self._limit_reader = limit_reader
        self._quotas = quotas
        self._deadlines = deadlines
        self._queues = queues
        self._clock = clock
        self._time_budget = time_budget

    def __call__(self) -> SystemStatus:
        """Return the status of all parts. A store that does not answer raises nothing."""
        now = self._clock.now()
        unavailable: list[str] = []

        def read_part(name: str, read: Callable[[], T]) -> T | None:
            """Return the part, or None after adding its name to `unavailable`."""
            try:
                if self._clock.now() <= now + self._time_budget:
                    return read()
            except StoreError:
                pass
            unavailable.append(name)
            return None

        return SystemStatus(
            at=now,
            providers={
                watched.provider: read_part(f"providers.{watched.provider}", partial(self._read_provider, watched, now))
                for watched in self._watched_providers
            },
            month_quotas={
                name: read_part(f"month_quotas.{name}", partial(quota.usage, now))
                for name, quota in self._quotas.items()
            },
            oldest_pending_deadline=read_part("oldest_pending_deadline", self._deadlines.oldest_pending_deadline),
            queues={name: read_part(f"queues.{name}", queue.depth) for name, queue in self._queues.items()},
            unavailable=unavailable,
        )

    def _read_provider(self, watched: WatchedProvider, now: datetime) -> ProviderStatus:
        state = self._limit_reader.read(watched.key)
        now_us = to_unix_us(now)
        return ProviderStatus(
            open_because=_find_open_reason(state, open_after_401s=watched.open_after_401s),
            consecutive_401s=state.consecutive_401s,
            requests_per_s=round(watched.pace_of(state, now_us), 1),
            slots_ahead_s=max(0, state.next_slot_us - now_us) / 1_000_000,
            # An expired permit stays in the state until another worker needs its place.
            in_flight=sum(until_us >= now_us for until_us in state.permits.values()),
            in_flight_limit=watched.in_flight_limit,
        )


def _find_open_reason(state: ProviderLimitState, *, open_after_401s: int) -> str | None:
    """Return why the circuit is open, None if it is closed. A half-open probe does not close it."""
    return state.blocked_by or ("authentication" if state.consecutive_401s >= open_after_401s else None)
