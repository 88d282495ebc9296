"""Hold the facts about an SMS, and derive its status from them, from a status table and from the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from switchboard.domain import orders
from switchboard.domain.orders import Deadlines, Order, OutcomeKind, Status, submission_state
from switchboard.domain.sms.delivery import DeliveryMeaning, ReportFact, StatusTable


class SmsState(StrEnum):
    """The contract's states."""

    SCHEDULED = "scheduled"
    CANCELED = "canceled"
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
    """The content of an SMS. It is kept only until its submission is decided."""

    text: str | None = None
    text_au: str | None = None
    template_id: str | None = None
    sender: str | None = None
    carrier: str | None = None


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """The size of a text, which may be shown after the text itself is deleted."""

    characters: int
    bytes_sjis: int
    parts: int


@dataclass(frozen=True, slots=True)
class SmsSubmission:
    """One SMS as it is submitted to any provider. `recipient` is E.164."""

    smsid: str
    recipient: str
    content: SmsContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Order[SmsContent]):
    """The facts about one SMS. A `bulk` message goes through the bulk queue, so that it never delays a single one.

    `reports` are those about this recipient. A report about another number is not about this SMS.

    `asked` has the time of each inquiry by its name in `due_inquiries`. `not_found_at` is when the provider first
    answered an inquiry with "no such id".
    """

    ID_NAME: ClassVar[str] = "smsid"

    not_after: datetime | None = None
    measure: TextMeasure | None = None
    bulk: bool = False
    reports: tuple[ReportFact, ...] = ()
    asked: Mapping[str, datetime] = field(default_factory=dict)
    not_found_at: datetime | None = None

    @property
    def smsid(self) -> str:
        """The id under the name that MediaSMS and callers use."""
        return self.id

    @property
    def weight(self) -> int:
        """The parts of the text, of the longer one if au has its own. 1 for a template, whose text is not known."""
        if self.measure is None:
            return 1
        text_au = self.content.text_au if self.content is not None else None
        if text_au is None:
            return self.measure.parts
        # Webhooks load this module and count no parts.
        from switchboard.domain.sms.texts import count_parts  # noqa: PLC0415

        return max(self.measure.parts, count_parts(text_au))

    def _fact_times(self) -> list[datetime]:
        times = [*Order._fact_times(self), *(report.first_seen_at for report in self.reports)]
        return times if self.not_found_at is None else [*times, self.not_found_at]


def submission_of(message: Message) -> SmsSubmission:
    """Return what the provider receives, as long as the submission is undecided."""
    if message.content is None:
        raise AssertionError("content is kept until the submission is decided")
    return SmsSubmission(smsid=message.smsid, recipient=message.recipient, content=message.content)


@dataclass(frozen=True, slots=True)
class SmsStatus(Status[SmsState]):
    """The status of a message at one moment."""

    @property
    def billable(self) -> bool:
        """True for a delivered message, the only one that the provider charges for."""
        return self.state is SmsState.DELIVERED


def status_of(message: Message, *, statuses: StatusTable, deadlines: Deadlines, now: datetime) -> SmsStatus:
    """Derive the status of the message at `now`.

    The best of the provider's reports decides. Reports are read as a set: neither their order nor a repetition
    matters. Without a report the outcome of the submission decides, and without an outcome the time that has passed.
    """
    meanings = {statuses[report.status].meaning for report in message.reports}
    closed = now >= _closing_time(message, deadlines=deadlines)
    if DeliveryMeaning.DELIVERED in meanings:
        return SmsStatus(state=SmsState.DELIVERED, final=True)
    if DeliveryMeaning.FAILED in meanings:
        return SmsStatus(state=SmsState.FAILED, final=closed)
    if DeliveryMeaning.UNDELIVERED in meanings:
        return SmsStatus(state=SmsState.UNDELIVERED, final=closed)
    if DeliveryMeaning.IN_PROGRESS in meanings:
        return SmsStatus(state=SmsState.EXPIRED if closed else SmsState.IN_PROGRESS, final=closed)
    return _status_without_reports(message, deadlines=deadlines, now=now, closed=closed)


def _status_without_reports(message: Message, *, deadlines: Deadlines, now: datetime, closed: bool) -> SmsStatus:
    if message.canceled_at is not None:
        return SmsStatus(state=SmsState.CANCELED, final=True)
    state = SmsState(submission_state(message, deadlines=deadlines, now=now).value)
    if state in {SmsState.EXPIRED, SmsState.REJECTED}:
        return SmsStatus(state=state, final=True)
    if state is SmsState.UNKNOWN and message.not_found_at is not None and deadlines.inquiries.not_found_decides:
        return SmsStatus(state=SmsState.FAILED, final=True)
    if state in {SmsState.ACCEPTED, SmsState.UNKNOWN}:
        expired = closed and state is SmsState.ACCEPTED
        return SmsStatus(state=SmsState.EXPIRED if expired else state, final=closed)
    return SmsStatus(state=state, final=False)


def _closing_time(message: Message, *, deadlines: Deadlines) -> datetime:
    """Return when the delivery window ends."""
    return (message.claims[-1].at if message.claims else message.created_at) + deadlines.delivery_after_claim


def next_due(message: Message, *, deadlines: Deadlines) -> datetime | None:
    """Return when the sweep must look at the message if no new fact is recorded, or None if nothing can be overdue."""
    closes_at = _closing_time(message, deadlines=deadlines)
    if deadlines.inquiries.enabled:
        closes_at = min([closes_at, *_planned_inquiries(message, deadlines=deadlines).values()])
    return orders.next_due(message, deadlines=deadlines, closes_at=closes_at)


def due_inquiries(message: Message, *, deadlines: Deadlines, now: datetime) -> list[str]:
    """Return the names of the inquiries that are due by `now`. One question answers all of them."""
    planned = _planned_inquiries(message, deadlines=deadlines)
    return [name for name, at in planned.items() if at <= now]


def _planned_inquiries(message: Message, *, deadlines: Deadlines) -> dict[str, datetime]:
    """Return when the provider has still to be asked about a message whose submission has ended, by name."""
    rule, claim = deadlines.inquiries, message.last_claim
    if not rule.enabled or claim is None or message.test:
        return {}
    planned = {"closing": _closing_time(message, deadlines=deadlines) - rule.before_closing}
    outcome = message.last_outcome
    unknown_at = message.timeouts.get(claim.id)
    if outcome is not None:
        unknown_at = outcome.at if outcome.kind is OutcomeKind.UNKNOWN else None
    if unknown_at is not None and not message.reports:
        planned |= {f"unknown_{number}": unknown_at + after for number, after in enumerate(rule.after_unknown, 1)}
    return {name: at for name, at in planned.items() if name not in message.asked}
