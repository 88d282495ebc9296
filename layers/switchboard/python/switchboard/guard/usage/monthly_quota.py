"""A provider's month: requests counted in the shared counter before each is made, never more than the limit.

BIZTEL's terms: 100,000 requests a calendar month of Japan, failures included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from switchboard.domain.errors import ConfigurationError, MonthlyQuotaExhaustedError
from switchboard.domain.timestamps import JAPAN, MICROSECOND
from switchboard.ports.usage_limits import CounterStore, MonthlyQuota, QuotaUsage

_COUNTER: Final = "requests"
# So long after its end a month may still be compared with the provider's bill.
_KEPT: Final = timedelta(days=93)
# Nothing can be foretold from the first seconds of a month.
_LEAST_ELAPSED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of Japan, from `starts` (its first midnight) to `ends` (the next one's)."""

    starts: datetime

    @classmethod
    def of(cls, at: datetime) -> Month:
        """The one that an aware instant falls into."""
        local = at.astimezone(JAPAN)
        return cls(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    @property
    def ends(self) -> datetime:
        # No month has 32 days, and none is so short that they lead past the next one.
        return (self.starts + timedelta(days=32)).replace(day=1)

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.starts:%Y-%m}"


def exhausted_on(*, used: int, limit: int, at: datetime) -> date | None:
    """The day in Japan on which `limit` is reached if the month goes on as it went until `at`; None if it is not.

    Linear: the used share over the elapsed part of the month, of which the first hour counts as a whole one.
    """
    if used >= limit:
        return at.astimezone(JAPAN).date()
    if not used:
        return None
    month = Month.of(at)
    elapsed = max(at - month.starts, _LEAST_ELAPSED)
    # In whole microseconds: a timedelta would overflow where next to nothing is used.
    until_spent = elapsed // MICROSECOND * limit // used
    if until_spent >= (month.ends - month.starts) // MICROSECOND:
        return None
    return (month.starts + until_spent * MICROSECOND).date()


class CounterMonthlyQuota(MonthlyQuota):
    """A MonthlyQuota in one counter a month: one conditional write a request, and no read.

    A request may reach the provider up to `underway` after it was counted. In the last moments of a month it may
    therefore be one of the next month's at the provider: it is counted in both, for a second write.
    """

    def __init__(
        self,
        *,
        counters: CounterStore,
        provider: str,
        limit: int,
        reserve: int = 0,
        underway: timedelta = timedelta(seconds=30),
    ) -> None:
        if not 0 <= reserve <= limit:
            raise ConfigurationError(f"{provider}: the month's reserve is not between 0 and its limit")
        self._counters = counters
        self._provider = provider
        self._limit = limit
        self._reserve = reserve
        self._underway = underway

    def take(self, at: datetime, *, urgent: bool) -> None:
        month = Month.of(at)
        self._count(month, at, urgent=urgent)
        following = Month.of(at + self._underway)
        if following != month:
            self._count(following, at, urgent=urgent)

    def usage(self, at: datetime) -> QuotaUsage:
        month = Month.of(at)
        used = self._counters.read(self._key(month)).get(_COUNTER, 0)
        return QuotaUsage(
            month=month.name,
            used=used,
            limit=self._limit,
            reserve=self._reserve,
            exhausted_on=exhausted_on(used=used, limit=self._limit, at=at),
        )

    def _count(self, month: Month, at: datetime, *, urgent: bool) -> None:
        room = self._limit if urgent else self._limit - self._reserve
        # A counter that is not there yet counts as below any limit, one of nothing too.
        spent = not room or self._counters.increment(self._key(month), {_COUNTER: room}, expires_at=month.ends + _KEPT)
        if spent:
            left = "all but the reserve" if self._reserve and not urgent else "all"
            raise MonthlyQuotaExhaustedError(
                f"{left} of {self._provider}'s requests of {month.name} are used",
                provider=self._provider,
                retry_after=month.ends,
                at=at,
            )

    def _key(self, month: Month) -> str:
        return f"QUOTA#{self._provider}#{month.name}"
