"""Usage limits of recipients, clients and the deployment: a submission counts towards all of them or towards none.

Each limit holds in fixed windows of time, which are all Japan's. The recipients, and the companies that pay, are in
Japan; contracts and bills go by its date. A limit that is used up comes back at midnight, not at nine in the morning,
when the day's sending begins.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from switchboard.domain.api_keys import ClientLimits
from switchboard.domain.errors import ClientLimitError, DailyLimitError, RecipientLimitError
from switchboard.domain.timestamps import JAPAN
from switchboard.ports.usage_limits import CounterStore

_BLOCKS_PER_LIMIT: Final = 1000
_RETENTION: Final = timedelta(days=1)
_MAX_BLOCKS: Final = 1_000


class Span(StrEnum):
    """The length of a window. A day is whole hours and an hour whole minutes: no window overlaps two longer ones."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_LENGTHS: Final = {
    Span.MINUTE: timedelta(minutes=1),
    Span.HOUR: timedelta(hours=1),
    Span.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Window:
    """A window of one span, from `starts` (Japan time) on."""

    span: Span
    starts: datetime

    @classmethod
    def of(cls, span: Span, at: datetime) -> Window:
        """Return the window that contains `at`, which must be aware."""
        local = at.astimezone(JAPAN)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(span, midnight + (local - midnight) // _LENGTHS[span] * _LENGTHS[span])

    @property
    def ends(self) -> datetime:
        return self.starts + _LENGTHS[self.span]

    @property
    def day(self) -> date:
        """The date in Japan."""
        return self.starts.date()

    @property
    def name(self) -> str:
        """The name in the store: `minute_1427`, `hour_1400`, `day_0000`; unique within one day."""
        return f"{self.span}_{self.starts:%H%M}"

    def seconds_left(self, at: datetime) -> int:
        """Return the whole seconds from `at` to the window's end, at least one."""
        return max(1, math.ceil((self.ends - at).total_seconds()))


class QuotaBlock:
    """A quota in each window of one span, taken from the shared counter in blocks and used up here without a call.

    A block is as large as this container's usage in the window so far, up to a thousandth of the limit, and at least
    what the present submission needs. So a call is rare for a container that sends much. A container that ends or is
    idle wastes no more than it has sent and no more than a thousandth of the limit, or one submission. Waste is safe:
    the limit is reached a little early, and never exceeded. A QuotaBlock is for one thread.
    """

    def __init__(self, *, counters: CounterStore, key: str, span: Span, limit: int) -> None:
        self._counters = counters
        self._key = key
        self._span = span
        self._limit = limit
        self._window: Window | None = None
        self._left = 0
        self._used = 0
        self._refused: int | None = None

    def find_exhausted_window(self, at: datetime, *, weight: int) -> Window | None:
        """Return the window of `at` if `weight` does not fit into its limit, None if `use` may follow.

        A block that does not suffice is enlarged from the shared counter.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        window = Window.of(self._span, at)
        if window != self._window:
            self._window, self._left, self._used, self._refused = window, 0, 0, None
        need = weight - self._left
        # A granted block never returns to the counter: a call for as much as was refused cannot succeed.
        if need > 0 and (self._refused is None or need < self._refused):
            granted = self._counters.take_block(
                build_quota_key(self._key, window),
                block=max(need, min(self._used, self._limit // _BLOCKS_PER_LIMIT)),
                least=need,
                limit=self._limit,
                expires_at=window.ends + _RETENTION,
            )
            self._left += granted
            if not granted:
                self._refused = need
        return None if self._left >= weight else window

    def use(self, weight: int) -> None:
        """Use a part of the block, after `find_exhausted_window` has returned None for this weight."""
        self._left -= weight
        self._used += weight

    def refund(self, at: datetime, *, weight: int) -> None:
        """Return what was used to the block, unless the window in which it was used is over."""
        if self._used >= weight and Window.of(self._span, at) == self._window:
            self._left += weight
            self._used -= weight


def build_quota_key(key: str, window: Window) -> str:
    """Build the key of the counter of one window of a shared quota."""
    return f"{key}#{window.day}#{window.name}"


@dataclass(frozen=True, slots=True)
class UsageLimitRules:
    """The highest weight of all submissions in one window; 0 means no such limit.

    `exempt` recipients (E.164) have no limits of their own; they count for their client and for the day.
    """

    recipient_per_minute: int = 0
    recipient_per_hour: int = 0
    recipient_per_day: int = 0
    per_day: int = 0
    exempt: frozenset[str] = frozenset()


class CounterUsageLimits:
    """UsageLimits over shared counters. A container has one, for one thread.

    Client and day come first: the container has a block of their quota, which costs no call. The one write for the
    recipient comes last, and the blocks are used only if it succeeds. `limits_of` returns the limits of a client.
    """

    def __init__(
        self, *, counters: CounterStore, rules: UsageLimitRules, limits_of: Callable[[str], ClientLimits]
    ) -> None:
        self._counters = counters
        self._rules = rules
        self._limits_of = limits_of
        # A block that is dropped for another client is wasted, which is safe.
        self._find_client_block = lru_cache(maxsize=_MAX_BLOCKS)(self._build_client_block)
        self._day_blocks = {
            test: QuotaBlock(counters=counters, key=key, span=Span.DAY, limit=rules.per_day)
            for test, key in ((False, "ALL"), (True, "ALL#TEST"))
        }
        limits = {
            Span.MINUTE: rules.recipient_per_minute,
            Span.HOUR: rules.recipient_per_hour,
            Span.DAY: rules.recipient_per_day,
        }
        self._recipient_limits = {span: limit for span, limit in limits.items() if limit}

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        """Count one submission, or raise the error of the first limit into which its weight does not fit.

        Raises:
            ClientLimitError: a limit of the client is reached.
            DailyLimitError: the deployment's daily limit is reached.
            RecipientLimitError: a limit of the recipient is reached.
            StoreUnavailableError: the store did not answer.
        """
        blocks, day_block = self._client_blocks(client, test=test), self._day_blocks[test]
        for block in blocks:
            if window := block.find_exhausted_window(at, weight=weight):
                raise ClientLimitError(
                    f"Limit per {window.span} of this client reached", retry_after_s=window.seconds_left(at)
                )
        if self._rules.per_day:
            blocks.append(day_block)
            if window := day_block.find_exhausted_window(at, weight=weight):
                raise DailyLimitError(
                    "Daily limit of this deployment reached; it resets at midnight JST",
                    retry_after_s=window.seconds_left(at),
                )
        self._count_recipient(f"test#{client}#{recipient}" if test else recipient, weight, at)
        for block in blocks:
            block.use(weight)

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        """Refund one submission.

        Raises:
            StoreUnavailableError: the recipient's count may remain too high by this weight.
        """
        for block in (*self._client_blocks(client, test=test), self._day_blocks[test]):
            block.refund(at, weight=weight)
        recipient = f"test#{client}#{recipient}" if test else recipient
        windows = self._recipient_windows(recipient, at)
        if windows:
            self._counters.decrement(build_recipient_key(recipient, at), list(windows), weight=weight)

    def _count_recipient(self, recipient: str, weight: int, at: datetime) -> None:
        windows = self._recipient_windows(recipient, at)
        if not windows:
            return
        exhausted = self._counters.increment(
            build_recipient_key(recipient, at),
            {name: self._recipient_limits[window.span] for name, window in windows.items()},
            weight=weight,
            expires_at=Window.of(Span.DAY, at).ends + _RETENTION,
        )
        if exhausted:
            last = max((windows[name] for name in exhausted), key=lambda window: window.ends)
            raise RecipientLimitError(
                f"Limit per {last.span} of this number reached", retry_after_s=last.seconds_left(at)
            )

    def _recipient_windows(self, recipient: str, at: datetime) -> dict[str, Window]:
        if recipient in self._rules.exempt:
            return {}
        windows = (Window.of(span, at) for span in self._recipient_limits)
        return {window.name: window for window in windows}

    def _client_blocks(self, client: str, *, test: bool) -> list[QuotaBlock]:
        """Return the blocks of the limits that the client has. Keys with different limits share the counters only."""
        limits = self._limits_of(client)
        spans = ((Span.HOUR, limits.per_hour), (Span.DAY, limits.per_day))
        key = build_client_key(client, test=test)
        return [self._find_client_block(key, span, limit) for span, limit in spans if limit]

    def _build_client_block(self, key: str, span: Span, limit: int) -> QuotaBlock:
        return QuotaBlock(counters=self._counters, key=key, span=span, limit=limit)


def build_client_key(client: str, *, test: bool = False) -> str:
    """Build the start of the keys of one client's counters, or of those of its test orders."""
    return f"CLIENT_USAGE##TEST#{client}" if test else f"CLIENT_USAGE#{client}"


def build_recipient_key(recipient: str, at: datetime) -> str:
    """Build the counters' key of one recipient and day in Japan.

    The number is hashed, so that an operator who looks at limits reads no numbers. An operator who has the hash, and
    time, can still find the number by trying all numbers.
    """
    digest = hashlib.sha256(recipient.encode()).hexdigest()
    return f"RECIPIENT#{digest}#{Window.of(Span.DAY, at).day}"
