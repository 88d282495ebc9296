"""A message is the facts about it; what a caller sees is a function of them, of a status table and of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from switchboard.domain.delivery import DeliveryMeaning, ReportFact, StatusTable


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


class OutcomeKind(StrEnum):
    """How one submission attempt ended. Only `not_sent` lets the same id be tried again."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """By when something must have been heard, counted from the moment in the name."""

    submission_after_claim: timedelta = timedelta(minutes=2)
    delivery_after_claim: timedelta = timedelta(hours=72)
    submission_after_request: timedelta = timedelta(hours=24)
    requeue_after_queued: timedelta = timedelta(minutes=15)


def is_smsid(text: str) -> bool:
    """Whether it can be a message's id: `[A-Za-z0-9]{1,50}`, which is what MediaSMS takes."""
    return len(text) <= 50 and text.isascii() and text.isalnum()


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
class Claim:
    """The right to submit once, taken before the socket opens. `id` tells our own repeated write from another's."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the attempt under one claim ended, and the provider's code where it gave one."""

    kind: OutcomeKind
    at: datetime
    provider_code: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """The facts about one SMS. Nothing in it is ever taken back but `content`, which is forgotten."""

    smsid: str
    client: str
    recipient: str
    fingerprint: str
    created_at: datetime
    submit_before: datetime
    not_after: datetime | None = None
    content: SmsContent | None = None
    measure: TextMeasure | None = None
    claims: tuple[Claim, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    silences: Mapping[str, datetime] = field(default_factory=dict)
    queued_at: datetime | None = None
    closed_at: datetime | None = None
    reports: tuple[ReportFact, ...] = ()

    @property
    def last_claim(self) -> Claim | None:
        return self.claims[-1] if self.claims else None

    @property
    def last_outcome(self) -> Outcome | None:
        return self.outcomes.get(self.claims[-1].id) if self.claims else None

    @property
    def known_unsent(self) -> bool:
        """Every claim so far is known to have sent nothing, so that another may be given."""
        return all(
            claim.id in self.outcomes and self.outcomes[claim.id].kind is OutcomeKind.NOT_SENT for claim in self.claims
        )

    @property
    def submission_open(self) -> bool:
        """There is a claim whose outcome nobody has heard, and nobody has yet written that down."""
        claim = self.last_claim
        return claim is not None and claim.id not in self.outcomes and claim.id not in self.silences

    @property
    def own_reports(self) -> tuple[ReportFact, ...]:
        """The reports that name this recipient, or none. One that names another number says nothing about us."""
        return tuple(report for report in self.reports if report.recipient in (None, self.recipient))

    @property
    def updated_at(self) -> datetime:
        times = [self.created_at, *(claim.at for claim in self.claims)]
        times += [outcome.at for outcome in self.outcomes.values()]
        times += self.silences.values()
        times += [report.first_seen_at for report in self.own_reports]
        times += [at for at in (self.queued_at, self.closed_at) if at is not None]
        return max(times)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands at one moment."""

    state: SmsState
    final: bool

    @property
    def billable(self) -> bool:
        return self.state is SmsState.DELIVERED


def standing_of(message: Message, *, statuses: StatusTable, deadlines: Deadlines, now: datetime) -> Standing:
    """Where the message stands at `now`. Reports are read as a set: neither order nor repetition can matter.

    The provider's own word comes first, the best of it before the rest; without any, how the submission ended
    decides; without that, the time that has passed.
    """
    meanings = {statuses[report.status].meaning for report in message.own_reports}
    closed = _delivery_window_closed(message, deadlines=deadlines, now=now)
    if DeliveryMeaning.DELIVERED in meanings:
        return Standing(state=SmsState.DELIVERED, final=True)
    if DeliveryMeaning.FAILED in meanings:
        return Standing(state=SmsState.FAILED, final=closed)
    if DeliveryMeaning.UNDELIVERED in meanings:
        return Standing(state=SmsState.UNDELIVERED, final=closed)
    if DeliveryMeaning.IN_PROGRESS in meanings:
        return Standing(state=SmsState.EXPIRED if closed else SmsState.IN_PROGRESS, final=closed)
    return _unreported_standing(message, deadlines=deadlines, now=now, closed=closed)


def _unreported_standing(message: Message, *, deadlines: Deadlines, now: datetime, closed: bool) -> Standing:
    if message.known_unsent:
        if now >= message.submit_before:
            return Standing(state=SmsState.EXPIRED, final=True)
        return Standing(state=SmsState.QUEUED if message.queued_at else SmsState.FAILED, final=False)
    claim, outcome = message.last_claim, message.last_outcome
    if outcome is None:
        lost = claim is not None and (
            claim.id in message.silences or now >= claim.at + deadlines.submission_after_claim
        )
        if not lost:
            return Standing(state=SmsState.SUBMITTING, final=False)
        return Standing(state=SmsState.UNKNOWN, final=closed)
    if outcome.kind is OutcomeKind.REJECTED:
        return Standing(state=SmsState.REJECTED, final=True)
    if outcome.kind is OutcomeKind.ACCEPTED:
        return Standing(state=SmsState.EXPIRED if closed else SmsState.ACCEPTED, final=closed)
    return Standing(state=SmsState.UNKNOWN, final=closed)


def _delivery_window_closed(message: Message, *, deadlines: Deadlines, now: datetime) -> bool:
    claim = message.last_claim
    begun = claim.at if claim else message.created_at
    return now >= begun + deadlines.delivery_after_claim


def next_due(message: Message, *, deadlines: Deadlines) -> datetime | None:
    """When the message must be looked at again if nothing is heard; None when nothing can be overdue any more."""
    if message.closed_at is not None:
        return None
    claim, outcome = message.last_claim, message.last_outcome
    if message.known_unsent:
        if message.queued_at is None:
            return message.submit_before
        tried = outcome.at if outcome else message.queued_at
        return min(message.submit_before, max(message.queued_at, tried) + deadlines.requeue_after_queued)
    if claim is None or (outcome is not None and outcome.kind is OutcomeKind.REJECTED):
        return None
    if message.submission_open:
        return claim.at + deadlines.submission_after_claim
    return claim.at + deadlines.delivery_after_claim
