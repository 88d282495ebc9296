"""A provider's monthly quota: each request is counted in the shared counter before it is made, up to the limit.

BIZTEL's terms: 100,000 requests a calendar month of Japan, failures included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from switchboard.domain.errors import ConfigurationError, MonthlyQuotaExhaustedError
from switchboard.domain.timestamps import JAPAN, to_us
from switchboard.ports.usage_limits import CounterStore, MonthlyQuota, QuotaUsage

_COUNTER: Final = "requests"
# An operator may compare a month with the provider's bill until this long after its end.
_RETENTION: Final = timedelta(days=93)
# The first seconds of a month allow no forecast.
_LEAST_ELAPSED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of Japan, from `starts` (its first midnight) to `ends` (the first midnight of the next)."""

    starts: datetime

    @classmethod
    def of(cls, at: datetime) -> Month:
        """Return the month that contains `at`, which must be aware."""
        local = at.astimezone(JAPAN)
        return cls(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    @property
    def ends(self) -> datetime:
        # No month has 32 days, and 32 days from its start lie in the next month.
        return (self.starts + timedelta(days=32)).replace(day=1)

    @property
    def name(self) -> str:
        """The name in the store and on the status page: `2026-11`."""
        return f"{self.starts:%Y-%m}"


def exhausted_on(*, used: int, limit: int, at: datetime) -> date | None:
    """Forecast the day in Japan on which `limit` is reached, None if it is not reached in the month of `at`.

    The forecast is linear: the used share over the elapsed part of the month. The first hour counts as a whole one.
    """
    if used >= limit:
        return at.astimezone(JAPAN).date()
    if not used:
        return None
    month = Month.of(at)
    elapsed = max(at - month.starts, _LEAST_ELAPSED)
    # In whole microseconds: a timedelta would overflow if next to nothing is used.
    until_exhausted_us = to_us(elapsed) * limit // used
    if until_exhausted_us >= to_us(month.ends - month.starts):
        return None
    return (month.starts + timedelta(microseconds=until_exhausted_us)).date()


class CounterMonthlyQuota(MonthlyQuota):
    """A MonthlyQuota in one counter a month: one conditional write a request, and no read.

    A request may reach the provider up to `longest_request` after it was counted. In the last moments of a month the
    provider may therefore count it in the next month: it is counted in both, with a second write.
    """

    def __init__(
        self,
        *,
        counters: CounterStore,
        provider: str,
        limit: int,
        reserve: int = 0,
        longest_request: timedelta = timedelta(seconds=30),
    ) -> None:
        if not 0 <= reserve <= limit:
            raise ConfigurationError(f"{provider}: the monthly reserve must be between 0 and the monthly limit")
        self._counters = counters
        self._provider = provider
        self._limit = limit
        self._reserve = reserve
        self._longest_request = longest_request

    def take(self, at: datetime, *, urgent: bool, weight: int = 1) -> None:
        month = Month.of(at)
        self._count(month, at, urgent=urgent, weight=weight)
        latest_month = Month.of(at + self._longest_request)
        if latest_month != month:
            self._count(latest_month, at, urgent=urgent, weight=weight)

    def usage(self, at: datetime) -> QuotaUsage:
        month = Month.of(at)
        used = self._counters.read(self._build_key(month)).get(_COUNTER, 0)
        return QuotaUsage(
            month=month.name,
            used=used,
            limit=self._limit,
            reserve=self._reserve,
            exhausted_on=exhausted_on(used=used, limit=self._limit, at=at),
        )

    def _count(self, month: Month, at: datetime, *, urgent: bool, weight: int) -> None:
        limit = self._limit if urgent else self._limit - self._reserve
        # A limit of 0 never reaches the store: a counter that does not exist counts as below any limit.
        exhausted = not limit or self._counters.increment(
            self._build_key(month), {_COUNTER: limit}, weight=weight, expires_at=month.ends + _RETENTION
        )
        if exhausted:
            remainder = "" if urgent or not self._reserve else ", except for the reserve for urgent requests"
            raise MonthlyQuotaExhaustedError(
                f"All {self._provider} requests of {month.name} are used{remainder}",
                provider=self._provider,
                retry_after=month.ends,
                at=at,
            )

    def _build_key(self, month: Month) -> str:
        return f"QUOTA#{self._provider}#{month.name}"
