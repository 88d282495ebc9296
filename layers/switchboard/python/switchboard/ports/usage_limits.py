"""Ports of the limits that keep a stolen key or a runaway caller from sending too much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol


class UsageLimits(Protocol):
    """Limits for each recipient, for each client, and for the whole deployment in a day.

    They count the `weight` of each submission: how often the recipient may be rung or sent a part, at least 1. `test`
    orders have counters of their own with the same limits: for each client, for its numbers, and for the day.
    """

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        """Count one submission to `recipient` (E.164). If its weight does not fit into a limit, nothing is counted.

        Raises:
            RecipientLimitError: a limit of the recipient is reached.
            ClientLimitError: a limit of the client is reached.
            DailyLimitError: the limit of the deployment is reached.
            StoreUnavailableError: the submission may have been counted.
        """
        ...

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        """Refund a reservation with these arguments, of which certainly nothing was sent.

        Raises:
            StoreUnavailableError: the refund may not have been counted.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientUsage:
    """The weight that containers have reserved for one client in the present hour and day (JST).

    A container reserves a little in advance. None means that the client has no such limit, so that nothing is counted.
    """

    per_hour: int | None
    per_day: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUsage:
    """The usage of one month in Japan (`2026-11`). The last `reserve` requests of `limit` are for urgent work.

    `exhausted_on` is the day in Japan on which the limit is reached at the present rate, None if it is not reached.
    """

    month: str
    used: int
    limit: int
    reserve: int
    exhausted_on: date | None

    @property
    def used_percent(self) -> float:
        """The value of the metric `MonthlyQuotaUsedPercent`: 0 to 100, and 100 if the limit is 0."""
        return min(100.0, 100 * self.used / self.limit) if self.limit else 100.0


class MonthlyQuota(Protocol):
    """A provider's requests of a month, or the seconds of audio for a recogniser, counted before they are used."""

    def take(self, at: datetime, *, urgent: bool, weight: int = 1) -> None:
        """Count one request that is about to be made, or `weight` seconds.

        Each try of a request counts anew: the provider counts failures too.

        Raises:
            MonthlyQuotaExhaustedError: the request must not be made.
            StoreUnavailableError: the request must not be made. It may have been counted, and a repeat counts again.
        """
        ...

    def usage(self, at: datetime) -> QuotaUsage:
        """Return the usage of the month of `at`.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...


class AnnouncementLimits(Protocol):
    """The limits on recordings that may not exist: new ones an hour, and retries after a 404 a day.

    Every method may raise StoreUnavailableError.
    """

    def admit(self, at: datetime) -> bool:
        """Count one new recording. Return False if the hour's limit is reached."""
        ...

    def admit_parked(self, number: int, at: datetime) -> int:
        """Count up to `number` parked recordings of one minute. Return how many of them may be asked for now.

        A few may be even if the hour's limit is reached, so that a new one never waits for the end of a flood's hour.
        """
        ...

    def admit_retry(self, at: datetime) -> bool:
        """Count one retry after a 404. Return False if the day's limit is reached."""
        ...

    def retries_left(self, at: datetime) -> int:
        """Return how many retries after a 404 the day has left."""
        ...

    @property
    def parked_per_minute(self) -> int:
        """The most parked recordings that are brought out in one minute."""
        ...


class CounterStore(Protocol):
    """A store with one item a key, whose counters change by conditional updates.

    Every method may raise StoreUnavailableError: the update may or may not have been applied. A repeat may count once
    more, so that more is counted than was sent, never less.

    The store may forget an item from `expires_at` on: no window is counted in after its end.
    """

    def increment(
        self, key: str, limits: Mapping[str, int], *, weight: int = 1, expires_at: datetime
    ) -> Collection[str]:
        """Add `weight` to every counter that `limits` names, or to none if one of them would exceed its limit.

        Returns:
            The names of the counters that would exceed their limit; none if the call was counted.
        """
        ...

    def find_exhausted(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        """Return the names of the counters that have reached their limit, and change none.

        This is a write all the same: it has one order with the increments, which a read has not.
        """
        ...

    def decrement(self, key: str, names: Collection[str], *, weight: int = 1) -> None:
        """Subtract `weight` from each of these counters, to which `increment` had added it."""
        ...

    def take_block(self, key: str, *, block: int, least: int = 1, limit: int, expires_at: datetime) -> int:
        """Return how many of `block` the caller may use: at least `least`, or 0 if fewer are left.

        All blocks of one counter together never exceed `limit`.
        """
        ...

    def read(self, key: str) -> Mapping[str, int]:
        """Return every counter of the key, for operators to look at: no limit depends on it."""
        ...
