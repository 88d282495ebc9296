"""A message is the facts about it; what a caller sees is a function of them, of a status table and of the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from switchboard.domain import orders
from switchboard.domain.orders import Deadlines, Order, Status, submission_state
from switchboard.domain.sms.delivery import DeliveryMeaning, ReportFact, StatusTable


class SmsState(StrEnum):
    """The contract's states."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SmsContent:
    """What is to be sent. Kept only until its submission is decided."""

    text: str | None = None
    text_au: str | None = None
    template_id: str | None = None
    sender: str | None = None
    carrier: str | None = None


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """How large the text was: what may be shown of it."""

    characters: int
    bytes_sjis: int
    parts: int


@dataclass(frozen=True, slots=True)
class SmsSubmission:
    """One SMS as every provider is asked for it. `recipient` is E.164."""

    smsid: str
    recipient: str
    content: SmsContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Order[SmsContent]):
    """The facts about one SMS. One that is `bulk` waits until there is room that nobody waits for."""

    ID_NAME: ClassVar[str] = "smsid"

    not_after: datetime | None = None
    measure: TextMeasure | None = None
    bulk: bool = False
    reports: tuple[ReportFact, ...] = ()

    @property
    def smsid(self) -> str:
        return self.id

    @property
    def recipient_reports(self) -> tuple[ReportFact, ...]:
        """The reports that name this recipient, or none. One that names another number says nothing about us."""
        return tuple(report for report in self.reports if report.recipient in (None, self.recipient))

    def _times(self) -> list[datetime]:
        return [*Order._times(self), *(report.first_seen_at for report in self.recipient_reports)]


def submission_of(message: Message) -> SmsSubmission:
    """What is to be handed to the provider, while its submission is undecided."""
    if message.content is None:
        raise AssertionError("content is kept until the submission is decided")
    return SmsSubmission(smsid=message.smsid, recipient=message.recipient, content=message.content)


@dataclass(frozen=True, slots=True)
class SmsStatus(Status[SmsState]):
    """Where a message stands at one moment."""

    @property
    def billable(self) -> bool:
        return self.state is SmsState.DELIVERED


def status_of(message: Message, *, statuses: StatusTable, deadlines: Deadlines, now: datetime) -> SmsStatus:
    """Where the message stands at `now`. Reports are read as a set: neither order nor repetition can matter.

    The provider's own word comes first, the best of it before the rest; without any, how the submission ended
    decides; without that, the time that has passed.
    """
    meanings = {statuses[report.status].meaning for report in message.recipient_reports}
    closed = _delivery_window_closed(message, deadlines=deadlines, now=now)
    if DeliveryMeaning.DELIVERED in meanings:
        return SmsStatus(state=SmsState.DELIVERED, final=True)
    if DeliveryMeaning.FAILED in meanings:
        return SmsStatus(state=SmsState.FAILED, final=closed)
    if DeliveryMeaning.UNDELIVERED in meanings:
        return SmsStatus(state=SmsState.UNDELIVERED, final=closed)
    if DeliveryMeaning.IN_PROGRESS in meanings:
        return SmsStatus(state=SmsState.EXPIRED if closed else SmsState.IN_PROGRESS, final=closed)
    return _unreported_standing(message, deadlines=deadlines, now=now, closed=closed)


def _unreported_standing(message: Message, *, deadlines: Deadlines, now: datetime, closed: bool) -> SmsStatus:
    state = SmsState(submission_state(message, deadlines=deadlines, now=now).value)
    if state in {SmsState.EXPIRED, SmsState.REJECTED}:
        return SmsStatus(state=state, final=True)
    if state in {SmsState.ACCEPTED, SmsState.UNKNOWN}:
        ended = SmsState.EXPIRED if closed and state is SmsState.ACCEPTED else state
        return SmsStatus(state=ended, final=closed)
    return SmsStatus(state=state, final=False)


def _delivery_window_closed(message: Message, *, deadlines: Deadlines, now: datetime) -> bool:
    return now >= _closes_at(message, deadlines=deadlines)


def _closes_at(message: Message, *, deadlines: Deadlines) -> datetime:
    claim = message.last_claim
    return (claim.at if claim else message.created_at) + deadlines.delivery_after_claim


def next_due(message: Message, *, deadlines: Deadlines) -> datetime | None:
    """When the message must be looked at again if nothing is heard; None when nothing can be overdue any more."""
    return orders.next_due(message, deadlines=deadlines, closes_at=_closes_at(message, deadlines=deadlines))
