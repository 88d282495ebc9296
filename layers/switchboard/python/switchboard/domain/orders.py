"""Hold the facts about an order, and derive from them where its submission stands.

An order is one thing that a caller wants submitted to a provider exactly once: an SMS, a verification or a voice call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, Generic, TypeVar

MAX_REFERENCE_LENGTH: Final = 64
"""The longest reference that a caller may give an order."""

MAX_QUEUE_DELAY: Final = timedelta(minutes=15)
"""The longest time for which a queue holds an entry back (SQS). A scheduled order waits in its item before."""

_SEND_GRACE: Final = timedelta(minutes=1)
"""The time after which the sweep takes a scheduled order's entry for lost."""

C = TypeVar("C")
S_co = TypeVar("S_co", bound=StrEnum, covariant=True)


class OutcomeKind(StrEnum):
    """The ways in which one submission attempt ends. Only `not_sent` lets the same id be submitted again."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class SubmissionState(StrEnum):
    """The states of an order's submission, as far as our own attempts tell."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class InquiryRule:
    """The times at which a provider is asked for a result that it has not reported. Without `enabled` it is not asked.

    `after_unknown` counts from the unknown outcome, `before_closing` back from the end of the wait for reports. With
    `not_found_decides` an order of unknown outcome has failed if the provider does not know its id.
    """

    enabled: bool = False
    after_unknown: tuple[timedelta, ...] = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=60))
    before_closing: timedelta = timedelta(minutes=10)
    not_found_decides: bool = False


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The longest waits for an outcome or a report, each counted from the moment in its name."""

    submission_after_claim: timedelta = timedelta(minutes=2)
    delivery_after_claim: timedelta = timedelta(hours=72)
    submission_after_request: timedelta = timedelta(hours=24)
    requeue_after_queued: timedelta = timedelta(minutes=15)
    inquiries: InquiryRule = InquiryRule()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to submit an order once, taken before the socket opens.

    `id` tells a repeated write of this claim from the claim of another worker.
    """

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of the attempt under one claim.

    `provider_code` is the provider's code, or None if it gave none. `facts` are those of the provider's receipt.
    `over_limit` means that a usage limit refused the attempt, `suppressed` that nothing may be sent to the number. In
    both cases the provider was not even connected to.
    """

    kind: OutcomeKind
    at: datetime
    provider_code: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    over_limit: bool = False
    suppressed: bool = False

    @property
    def problem(self) -> str | None:
        """The code of the problem that ended the order for good, or None if none did."""
        if self.kind is not OutcomeKind.REJECTED:
            return None
        if self.suppressed:
            return "recipient_suppressed"
        return "provider_rejected" if self.provider_code is not None else "invalid_request"


def find_answer_time(attempts: int, outcomes: Mapping[str, Outcome]) -> datetime | None:
    """Return the time of the last outcome if the provider has answered each of the attempts, otherwise None.

    A `not_sent` outcome may come from a 401 that is not counted yet: it is no answer here.
    """
    answers = (OutcomeKind.ACCEPTED, OutcomeKind.REJECTED)
    answered = len(outcomes) == attempts and all(outcome.kind in answers for outcome in outcomes.values())
    return max((outcome.at for outcome in outcomes.values()), default=None) if answered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[C]):
    """The facts about one order.

    No fact is ever taken back except `content`, which is deleted once the submission is decided. `recipient` is E.164.
    `client` is the client whose API key placed the order. `reference` is the caller's own name for it, which no
    provider receives. `outcomes` and `timeouts` are by the id of their claim.
    `closed_at` is when it was recorded that nothing more is awaited: by the sweep, by a report that decides, or by the
    cancellation at `canceled_at`. No claim is granted before `send_at`.
    """

    ID_NAME: ClassVar[str] = "id"

    id: str
    client: str
    recipient: str
    fingerprint: str
    created_at: datetime
    submit_before: datetime
    reference: str | None = None
    content: C | None = None
    claims: tuple[Claim, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    timeouts: Mapping[str, datetime] = field(default_factory=dict)
    send_at: datetime | None = None
    queued_at: datetime | None = None
    canceled_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def names(self) -> dict[str, str]:
        """The ids of the order as callers know them."""
        return {self.ID_NAME: self.id}

    @property
    def weight(self) -> int:
        """The weight of one submission in the usage limits: how often the recipient may be rung or sent a part."""
        return 1

    @property
    def survives_rejection(self) -> bool:
        """True if the order goes on after a provider has rejected its submission."""
        return False

    @property
    def last_claim(self) -> Claim | None:
        """The newest claim, or None if the order has no claim yet."""
        return self.claims[-1] if self.claims else None

    @property
    def last_outcome(self) -> Outcome | None:
        """The outcome of the newest claim, or None if it has none yet."""
        return self.outcomes.get(self.claims[-1].id) if self.claims else None

    @property
    def known_unsent(self) -> bool:
        """True if every claim so far is known to have sent nothing, so that another claim may be granted."""
        return all(
            claim.id in self.outcomes and self.outcomes[claim.id].kind is OutcomeKind.NOT_SENT for claim in self.claims
        )

    @property
    def submission_open(self) -> bool:
        """True if the newest claim has neither an outcome nor a recorded time-out."""
        claim = self.last_claim
        return claim is not None and claim.id not in self.outcomes and claim.id not in self.timeouts

    @property
    def updated_at(self) -> datetime:
        """The time of the newest fact."""
        return max(self._fact_times())

    @property
    def sequence(self) -> int:
        """The number of visible facts. It rises with each of them, since none is ever taken back."""
        return len(self._fact_times()) + self._count_untimed_facts()

    def _fact_times(self) -> list[datetime]:
        """Return when each of the visible facts was recorded."""
        times = [self.created_at, *(claim.at for claim in self.claims)]
        times += [outcome.at for outcome in self.outcomes.values()]
        times += self.timeouts.values()
        times += [at for at in (self.queued_at, self.canceled_at, self.closed_at) if at is not None]
        return times

    def _count_untimed_facts(self) -> int:
        """Return the number of visible facts that have no time of their own."""
        return 0


@dataclass(frozen=True, slots=True)
class Status(Generic[S_co]):
    """The state of an order at one moment. `final` means that nothing more is awaited."""

    state: S_co
    final: bool


def submission_state(order: Order[C], *, deadlines: Deadlines, now: datetime) -> SubmissionState:
    """Derive the state of the submission at `now` from our own attempts and the time alone.

    A provider's later reports are not considered.
    """
    if order.known_unsent:
        if now >= order.submit_before:
            return SubmissionState.EXPIRED
        if order.queued_at is None:
            return SubmissionState.FAILED
        early = order.send_at is not None and now < order.send_at
        return SubmissionState.SCHEDULED if early else SubmissionState.QUEUED
    claim, outcome = order.last_claim, order.last_outcome
    if outcome is None:
        lost = claim is not None and (claim.id in order.timeouts or now >= claim.at + deadlines.submission_after_claim)
        return SubmissionState.UNKNOWN if lost else SubmissionState.SUBMITTING
    if outcome.kind is OutcomeKind.REJECTED:
        return SubmissionState.REJECTED
    return SubmissionState.ACCEPTED if outcome.kind is OutcomeKind.ACCEPTED else SubmissionState.UNKNOWN


def next_due(order: Order[C], *, deadlines: Deadlines, closes_at: datetime) -> datetime | None:
    """Return when the sweep must look at the order if no new fact is recorded, or None if nothing can be overdue.

    `closes_at` is the end of the wait for reports about an order that was, or may have been, accepted.
    """
    if order.closed_at is not None:
        return None
    claim, outcome = order.last_claim, order.last_outcome
    if order.known_unsent:
        if order.queued_at is None:
            return order.submit_before
        if order.send_at is not None and claim is None:
            return min(order.submit_before, _enqueue_at(order, order.send_at))
        last_attempt_at = outcome.at if outcome else order.queued_at
        return min(order.submit_before, max(order.queued_at, last_attempt_at) + deadlines.requeue_after_queued)
    if claim is None or (outcome is not None and outcome.kind is OutcomeKind.REJECTED):
        return None
    if order.submission_open:
        return claim.at + deadlines.submission_after_claim
    return closes_at


def _enqueue_at(order: Order[C], send_at: datetime) -> datetime:
    """Return when the sweep must put a scheduled order into its queue.

    An order that is due within the queue's longest delay is put there as soon as it is accepted.
    """
    latest = send_at - MAX_QUEUE_DELAY
    return latest if order.created_at < latest else send_at + _SEND_GRACE


def queue_delay_s(order: Order[C], *, now: datetime) -> int:
    """Return for how many seconds the queue must hold the order back: until `send_at`, as far as a queue can."""
    if order.send_at is None or order.send_at <= now:
        return 0
    return math.ceil(min(order.send_at - now, MAX_QUEUE_DELAY).total_seconds())
