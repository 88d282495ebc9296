"""What keeps a stolen key or a runaway caller from sending more than somebody meant to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol


class UsageLimits(Protocol):
    """Limits for each recipient, for each client, and for everybody together in a day."""

    def reserve(self, *, recipient: str, client: str, at: datetime) -> None:
        """Counts one submission to `recipient` (E.164), unless a limit is reached: then it is counted nowhere.

        Raises RecipientLimitError, ClientLimitError, DailyLimitError, StoreUnavailableError (it may have been counted).
        """
        ...

    def refund(self, *, recipient: str, client: str, at: datetime) -> None:
        """What was admitted with these arguments is known not to have been sent. Raises StoreUnavailableError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUsage:
    """What is used of one month (`2026-11`, Japan's). The last `reserve` of `limit` are for urgent work.

    `exhausted_on` is the day in Japan on which the limit is reached if it goes on like this, None if it is not reached.
    """

    month: str
    used: int
    limit: int
    reserve: int
    exhausted_on: date | None

    @property
    def used_percent(self) -> float:
        """For the metric `MonthlyQuotaUsedPercent`: 0 to 100, and 100 where there is nothing to use."""
        return min(100.0, 100 * self.used / self.limit) if self.limit else 100.0


class MonthlyQuota(Protocol):
    """A month's requests, counted before each of them is made."""

    def take(self, at: datetime, *, urgent: bool) -> None:
        """Counts one request that is about to be made, and each try of it anew: what fails at the provider counts.

        Raises MonthlyQuotaExhaustedError: it must not be made; StoreUnavailableError: it must not be made either,
        and may have been counted, so that a repeat may count once more.
        """
        ...

    def usage(self, at: datetime) -> QuotaUsage:
        """What is used of the month that `at` falls into. Raises StoreUnavailableError."""
        ...


class CounterStore(Protocol):
    """One item a key, counted by conditional updates. Every method may raise StoreUnavailableError: then it may or
    may not have been applied, and a repeat may count once more: more is counted than was sent, never less.

    An item may be forgotten from `expires_at` on, and need not be: no window is ever counted in again.
    """

    def increment(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        """Adds one to every counter that `limits` names, unless one has reached its limit: then it adds to none.

        Returns the names of those that stand at their limit: none where it was counted.
        """
        ...

    def decrement(self, key: str, names: Collection[str]) -> None:
        """Takes one from each of these counters, which `count` had added to."""
        ...

    def take_block(self, key: str, *, block: int, limit: int, expires_at: datetime) -> int:
        """How many of `block` this caller may use: less than all of it where the limit is near, 0 where it is reached.

        All that is ever granted of one counter is `limit` at most.
        """
        ...

    def read(self, key: str) -> Mapping[str, int]:
        """Every counter of the counter as it stands, for people to look at: no limit is kept by reading."""
        ...
