"""Show an operator the state of the whole system, also if some parts of it do not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.ports.clock import Clock
from switchboard.ports.status import DeadlineReader, ProviderLimitReader, QueueDepth, QueueReader
from switchboard.ports.usage_limits import MonthlyQuota, QuotaUsage

T = TypeVar("T")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProvider:
    """A provider's rate limiter state, and the limits that its guard keeps (guard/provider/settings.py: GuardSettings).

    `pace_of` derives the requests a second from the state and the time in Unix microseconds.
    """

    provider: str
    key: str
    pace_of: Callable[[ProviderLimitState, int], float]
    in_flight_limit: int | None
    open_after_401s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """The state of one provider's guard.

    `open_because` is None while the circuit is closed, `authentication` after too many 401s, or the code by which the
    provider blocked the address. `slots_ahead_s` is how far ahead slots are reserved.
    """

    open_because: str | None
    consecutive_401s: int
    requests_per_s: float
    slots_ahead_s: float
    in_flight: int
    in_flight_limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """The state of everything at one instant. A part that did not answer is None and named in `unavailable`."""

    at: datetime
    providers: Mapping[str, ProviderStatus | None]
    month_quotas: Mapping[str, QuotaUsage | None]
    oldest_pending_deadline: datetime | None
    queues: Mapping[str, QueueDepth | None]
    unavailable: Sequence[str]


class QueryStatus:
    """The use case of the status page and of its alarms.

    Each part is read on its own, once: a part that does not answer takes no other with it. No part is begun after
    `time_budget`, so that there is an answer even if each part takes its whole time-out. `quotas` are by provider,
    `queues` by the name under which they are shown.
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
        """Read every part. A store that does not answer raises nothing."""
        now = self._clock.now()
        unavailable: list[str] = []

        def read(name: str, part: Callable[[], T]) -> T | None:
            """Return the part, or None after adding its name to `unavailable`."""
            try:
                if self._clock.now() <= now + self._time_budget:
                    return part()
            except StoreUnavailableError:
                pass
            unavailable.append(name)
            return None

        return SystemStatus(
            at=now,
            providers={
                watched.provider: read(f"providers.{watched.provider}", partial(self._provider, watched, now))
                for watched in self._watched_providers
            },
            month_quotas={
                name: read(f"month_quotas.{name}", partial(quota.usage, now)) for name, quota in self._quotas.items()
            },
            oldest_pending_deadline=read("oldest_pending_deadline", self._deadlines.oldest_pending_deadline),
            queues={name: read(f"queues.{name}", queue.depth) for name, queue in self._queues.items()},
            unavailable=unavailable,
        )

    def _provider(self, watched: WatchedProvider, now: datetime) -> ProviderStatus:
        state = self._limit_reader.read(watched.key)
        now_us = (now - _EPOCH) // _MICROSECOND
        return ProviderStatus(
            open_because=_explain_open_circuit(state, open_after_401s=watched.open_after_401s),
            consecutive_401s=state.consecutive_401s,
            requests_per_s=round(watched.pace_of(state, now_us), 1),
            slots_ahead_s=max(0, state.next_slot_us - now_us) / 1_000_000,
            # The next container that needs a permit drops the expired ones.
            in_flight=sum(until_us >= now_us for until_us in state.permits.values()),
            in_flight_limit=watched.in_flight_limit,
        )


def _explain_open_circuit(state: ProviderLimitState, *, open_after_401s: int) -> str | None:
    """Return why the circuit is open, by the guard's own limit, or None if it is closed.

    The one probe of other credentials does not close it.
    """
    return state.blocked_by or ("authentication" if state.consecutive_401s >= open_after_401s else None)
