"""Admits a submission where none of the abuse limits is reached, and counts it in all of them or in none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.domain.errors import ClientLimitError, DailyLimitError, RecipientLimitError
from switchboard.guard.usage.quota_block import QuotaBlock
from switchboard.guard.usage.windows import Span, Window
from switchboard.ports.usage_limits import CounterStore

_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class UsageLimitRules:
    """How many submissions in one window; 0 means no such limit.

    `exempt` are recipients (E.164) without limits of their own; they count for their client and for the day.
    """

    recipient_per_minute: int = 0
    recipient_per_hour: int = 0
    recipient_per_day: int = 0
    client_per_hour: int = 0
    per_day: int = 0
    exempt: frozenset[str] = frozenset()


class CounterUsageLimits:
    """UsageLimits over shared counters. One a container, for one thread.

    What costs nothing is asked first: client and day, of which the container has a block at hand. One write for the
    recipient comes last, and only when that was made is anything used up of the blocks.
    """

    def __init__(self, *, counters: CounterStore, rules: UsageLimitRules) -> None:
        self._counters = counters
        self._rules = rules
        self._clients: dict[str, QuotaBlock] = {}
        self._day = QuotaBlock(counters=counters, key="ALL", span=Span.DAY, limit=rules.per_day)
        spans = {
            Span.MINUTE: rules.recipient_per_minute,
            Span.HOUR: rules.recipient_per_hour,
            Span.DAY: rules.recipient_per_day,
        }
        self._recipient_spans = {span: limit for span, limit in spans.items() if limit}

    def reserve(self, *, recipient: str, client: str, at: datetime) -> None:
        """Raises RecipientLimitError, ClientLimitError, DailyLimitError, StoreUnavailableError."""
        blocks = []
        if self._rules.client_per_hour:
            blocks.append(self._client(client))
            if full := self._client(client).full(at):
                raise ClientLimitError(
                    "this API key has sent what it may in one hour", retry_after_s=full.seconds_left(at)
                )
        if self._rules.per_day:
            blocks.append(self._day)
            if full := self._day.full(at):
                raise DailyLimitError("what may be sent in one day has been sent", retry_after_s=full.seconds_left(at))
        self._count(recipient, at)
        for block in blocks:
            block.use()

    def refund(self, *, recipient: str, client: str, at: datetime) -> None:
        """Raises StoreUnavailableError: then the recipient's count is one too high."""
        self._client(client).refund(at)
        self._day.refund(at)
        windows = self._windows(recipient, at)
        if windows:
            self._counters.decrement(recipient_key(recipient, at), list(windows))

    def _count(self, recipient: str, at: datetime) -> None:
        windows = self._windows(recipient, at)
        if not windows:
            return
        full = self._counters.increment(
            recipient_key(recipient, at),
            {name: self._recipient_spans[window.span] for name, window in windows.items()},
            expires_at=Window.of(Span.DAY, at).ends + _KEPT,
        )
        if full:
            last = max((windows[name] for name in full), key=lambda window: window.ends)
            raise RecipientLimitError(
                f"this number has been sent what it may in one {last.span}", retry_after_s=last.seconds_left(at)
            )

    def _windows(self, recipient: str, at: datetime) -> dict[str, Window]:
        if recipient in self._rules.exempt:
            return {}
        windows = (Window.of(span, at) for span in self._recipient_spans)
        return {window.name: window for window in windows}

    def _client(self, client: str) -> QuotaBlock:
        if client not in self._clients:
            self._clients[client] = QuotaBlock(
                counters=self._counters, key=f"CLIENT#{client}", span=Span.HOUR, limit=self._rules.client_per_hour
            )
        return self._clients[client]


def recipient_key(recipient: str, at: datetime) -> str:
    """One a recipient and day in Japan. A hash, so that nobody reads numbers while looking at limits; who has it and
    the time can find the number by trying all there are."""
    digest = hashlib.sha256(recipient.encode()).hexdigest()
    return f"RECIPIENT#{digest}#{Window.of(Span.DAY, at).day}"
