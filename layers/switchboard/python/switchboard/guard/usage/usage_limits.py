"""Usage limits of recipients, clients and the deployment: a submission counts towards all of them or towards none.

Each limit holds in fixed windows of time, which are all Japan's. The recipients, and the companies that pay, are in
Japan; contracts and bills go by its date. A limit that is used up comes back at midnight, not at nine in the morning,
when the day's sending begins.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import ClientLimitError, DailyLimitError, RecipientLimitError
from switchboard.domain.timestamps import JAPAN
from switchboard.ports.usage_limits import CounterStore

_BLOCKS_PER_LIMIT: Final = 1000
_RETENTION: Final = timedelta(days=1)


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
    """A limit in each window of one span, taken from the shared counter in blocks and used up here without a call.

    A block is as large as this container's usage in the window so far, from one up to a thousandth of the limit (at
    least one). So a call is rare for a container that sends much. A container that ends or is idle wastes no more than
    it has sent and no more than a thousandth of the limit. Waste is safe: the limit is reached a little early, and
    never exceeded. A QuotaBlock is for one thread.
    """

    def __init__(self, *, counters: CounterStore, key: str, span: Span, limit: int) -> None:
        self._counters = counters
        self._key = key
        self._span = span
        self._limit = limit
        self._window: Window | None = None
        self._left = 0
        self._used = 0
        self._exhausted = False

    def find_exhausted_window(self, at: datetime) -> Window | None:
        """Return the window of `at` if its limit is reached, None if `use_one` may follow.

        A block that is used up is replaced by a new one from the shared counter.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        window = Window.of(self._span, at)
        if window != self._window:
            self._window, self._left, self._used, self._exhausted = window, 0, 0, False
        if not self._left and not self._exhausted:
            block = max(1, min(self._used, self._limit // _BLOCKS_PER_LIMIT))
            self._left = self._counters.take_block(
                f"{self._key}#{window.day}#{window.name}",
                block=block,
                limit=self._limit,
                expires_at=window.ends + _RETENTION,
            )
            # A granted block never returns to the counter: a further call cannot succeed.
            self._exhausted = not self._left
        return None if self._left else window

    def use_one(self) -> None:
        """Use one of the block, after `find_exhausted_window` has returned None."""
        self._left -= 1
        self._used += 1

    def refund(self, at: datetime) -> None:
        """Return one to the block, unless the window in which it was used is over."""
        if self._used and Window.of(self._span, at) == self._window:
            self._left += 1
            self._used -= 1


@dataclass(frozen=True, slots=True)
class UsageLimitRules:
    """The highest number of submissions in one window; 0 means no such limit.

    `exempt` recipients (E.164) have no limits of their own; they count for their client and for the day.
    """

    recipient_per_minute: int = 0
    recipient_per_hour: int = 0
    recipient_per_day: int = 0
    client_per_hour: int = 0
    per_day: int = 0
    exempt: frozenset[str] = frozenset()


class CounterUsageLimits:
    """UsageLimits over shared counters. A container has one, for one thread.

    Client and day come first: the container has a block of their quota, which costs no call. The one write for the
    recipient comes last, and the blocks are used only if it succeeds.
    """

    def __init__(self, *, counters: CounterStore, rules: UsageLimitRules) -> None:
        self._counters = counters
        self._rules = rules
        self._client_blocks: dict[str, QuotaBlock] = {}
        self._day_block = QuotaBlock(counters=counters, key="ALL", span=Span.DAY, limit=rules.per_day)
        limits = {
            Span.MINUTE: rules.recipient_per_minute,
            Span.HOUR: rules.recipient_per_hour,
            Span.DAY: rules.recipient_per_day,
        }
        self._recipient_limits = {span: limit for span, limit in limits.items() if limit}

    def reserve(self, *, recipient: str, client: str, at: datetime) -> None:
        """Count one submission, or raise the error of the first limit that is reached.

        Raises:
            ClientLimitError: the client's hourly limit is reached.
            DailyLimitError: the deployment's daily limit is reached.
            RecipientLimitError: a limit of the recipient is reached.
            StoreUnavailableError: the store did not answer.
        """
        blocks = []
        if self._rules.client_per_hour:
            block = self._get_client_block(client)
            blocks.append(block)
            if window := block.find_exhausted_window(at):
                raise ClientLimitError("Hourly limit of this API key reached", retry_after_s=window.seconds_left(at))
        if self._rules.per_day:
            blocks.append(self._day_block)
            if window := self._day_block.find_exhausted_window(at):
                raise DailyLimitError(
                    "Daily limit of this deployment reached; it resets at midnight JST",
                    retry_after_s=window.seconds_left(at),
                )
        self._count_recipient(recipient, at)
        for block in blocks:
            block.use_one()

    def refund(self, *, recipient: str, client: str, at: datetime) -> None:
        """Refund one submission.

        Raises:
            StoreUnavailableError: the recipient's count may remain one too high.
        """
        self._get_client_block(client).refund(at)
        self._day_block.refund(at)
        windows = self._recipient_windows(recipient, at)
        if windows:
            self._counters.decrement(build_recipient_key(recipient, at), list(windows))

    def _count_recipient(self, recipient: str, at: datetime) -> None:
        windows = self._recipient_windows(recipient, at)
        if not windows:
            return
        exhausted = self._counters.increment(
            build_recipient_key(recipient, at),
            {name: self._recipient_limits[window.span] for name, window in windows.items()},
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

    def _get_client_block(self, client: str) -> QuotaBlock:
        if client not in self._client_blocks:
            self._client_blocks[client] = QuotaBlock(
                counters=self._counters, key=f"CLIENT#{client}", span=Span.HOUR, limit=self._rules.client_per_hour
            )
        return self._client_blocks[client]


def build_recipient_key(recipient: str, at: datetime) -> str:
    """Build the counters' key of one recipient and day in Japan.

    The number is hashed, so that an operator who looks at limits reads no numbers. An operator who has the hash, and
    time, can still find the number by trying all numbers.
    """
    digest = hashlib.sha256(recipient.encode()).hexdigest()
    return f"RECIPIENT#{digest}#{Window.of(Span.DAY, at).day}"
