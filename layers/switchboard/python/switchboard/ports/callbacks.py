"""Where reports and other callbacks are kept, whatever can be done with them now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.verification.verifications import CodeHash, IvrCallEvent
from switchboard.domain.voice_calls import CallResult

CallbackEvent: TypeAlias = DeliveryReport | IvrCallEvent | CallResult
"""What a provider tells once, and may never repeat."""


class ReportStore(Protocol):
    """Keeps what providers report."""

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> bool:
        """Adds the fact that this report came: one unconditional write, no read. False where the smsid is not ours."""
        ...


@dataclass(frozen=True, slots=True)
class RawCallback:
    """An authentic callback exactly as it came, for a person to read."""

    route: str
    method: str
    query: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """CallbackEvent that could not be stored where it belongs, held until it can; with a report perhaps a code's hash.

    What was held and can no longer be read is a RawCallback, whose `query` says where it lay.
    """

    event: CallbackEvent | RawCallback
    seen_at: datetime
    handle: str = ""
    code: CodeHash | None = None


class CallbackArchive(Protocol):
    """Where callbacks are kept that cannot be acted on now. Every method may raise StoreUnavailableError."""

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        """Keeps what nobody could read."""
        ...

    def spool(self, spooled: SpooledEvent) -> None:
        """Keeps news of any kind while the state table does not answer."""
        ...

    def spooled(self, *, limit: int) -> Iterable[SpooledEvent]:
        """What is being held, oldest first."""
        ...

    def remove(self, spooled: SpooledEvent) -> None:
        """Lets go of news that is now stored."""
        ...
