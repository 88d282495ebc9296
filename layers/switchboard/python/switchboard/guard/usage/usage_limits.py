"""Usage limits of recipients, clients and the deployment: a submission counts towards all of them or towards none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from switchboard.domain.api_keys import ClientLimits
from switchboard.domain.errors import ClientLimitError, DailyLimitError, RecipientLimitError
from switchboard.guard.usage.quota_block import QuotaBlock
from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_RETENTION: Final = timedelta(days=1)
_MAX_BLOCKS: Final = 1_000


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
        self._day_block = QuotaBlock(counters=counters, key="ALL", span=Span.DAY, limit=rules.per_day)
        limits = {
            Span.MINUTE: rules.recipient_per_minute,
            Span.HOUR: rules.recipient_per_hour,
            Span.DAY: rules.recipient_per_day,
        }
        self._recipient_limits = {span: limit for span, limit in limits.items() if limit}

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime) -> None:
        """Count one submission, or raise the error of the first limit into which its weight does not fit.

        Raises:
            ClientLimitError: a limit of the client is reached.
            DailyLimitError: the deployment's daily limit is reached.
            RecipientLimitError: a limit of the recipient is reached.
            StoreUnavailableError: the store did not answer.
        """
        blocks = self._client_blocks(client)
        for block in blocks:
            if window := block.find_exhausted_window(at, weight=weight):
                raise ClientLimitError(
                    f"Limit per {window.span} of this client reached", retry_after_s=window.seconds_left(at)
                )
        if self._rules.per_day:
            blocks.append(self._day_block)
            if window := self._day_block.find_exhausted_window(at, weight=weight):
                raise DailyLimitError(
                    "Daily limit of this deployment reached; it resets at midnight JST",
                    retry_after_s=window.seconds_left(at),
                )
        self._count_recipient(recipient, weight, at)
        for block in blocks:
            block.use(weight)

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime) -> None:
        """Refund one submission.

        Raises:
            StoreUnavailableError: the recipient's count may remain too high by this weight.
        """
        for block in (*self._client_blocks(client), self._day_block):
            block.refund(at, weight=weight)
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

    def _client_blocks(self, client: str) -> list[QuotaBlock]:
        """Return the blocks of the limits that the client has. Keys with different limits share the counters only."""
        limits = self._limits_of(client)
        spans = ((Span.HOUR, limits.per_hour), (Span.DAY, limits.per_day))
        return [self._find_client_block(client, span, limit) for span, limit in spans if limit]

    def _build_client_block(self, client: str, span: Span, limit: int) -> QuotaBlock:
        return QuotaBlock(counters=self._counters, key=build_client_key(client), span=span, limit=limit)


def build_client_key(client: str) -> str:
    """Build the start of the keys of one client's counters."""
    return f"CLIENT_USAGE#{client}"


def build_recipient_key(recipient: str, at: datetime) -> str:
    """Build the counters' key of one recipient and day in Japan.

    The number is hashed, so that an operator who looks at limits reads no numbers. An operator who has the hash, and
    time, can still find the number by trying all numbers.
    """
    digest = hashlib.sha256(recipient.encode()).hexdigest()
    return f"RECIPIENT#{digest}#{Window.of(Span.DAY, at).day}"
