"""How many requests a provider takes in a calendar month, and how many of them are used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUsage:
    """What is used of one month (`2026-11`, Japan's). The last `reserve` of `limit` are for urgent work.

    `runs_out` is the day in Japan on which the limit is reached if it goes on like this, None if it is not reached.
    """

    month: str
    used: int
    limit: int
    reserve: int
    runs_out: date | None

    @property
    def used_percent(self) -> float:
        """For the metric `MonthQuotaUsedPercent`: 0 to 100, and 100 where there is nothing to use."""
        return min(100.0, 100 * self.used / self.limit) if self.limit else 100.0


class MonthQuota(Protocol):
    """A month's requests, counted before each of them is made."""

    def take(self, at: datetime, *, urgent: bool) -> None:
        """Counts one request that is about to be made, and each try of it anew: what fails at the provider counts.

        Raises MonthSpentError: it must not be made; StoreUnavailableError: it must not be made either, and may have
        been counted, so that a repeat may count once more.
        """
        ...

    def usage(self, at: datetime) -> QuotaUsage:
        """What is used of the month that `at` falls into. Raises StoreUnavailableError."""
        ...
