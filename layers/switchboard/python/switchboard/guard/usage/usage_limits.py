"""Usage limits of recipients, clients and the deployment: a submission counts towards all of them or towards none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import ClientLimitError, DailyLimitError, RecipientLimitError
from switchboard.guard.usage.quota_block import QuotaBlock
from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_RETENTION: Final = timedelta(days=1)


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
