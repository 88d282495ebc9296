"""Hold the facts about an order, and derive from them where its submission stands.

An order is one thing that a caller wants submitted to a provider exactly once: an SMS, a verification or a voice call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

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
    `over_limit` means that a usage limit refused the attempt, so that the provider was not even connected to.
    """

    kind: OutcomeKind
    at: datetime
    provider_code: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    over_limit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[C]):
    """The facts about one order.

    No fact is ever taken back except `content`, which is deleted once the submission is decided. `recipient` is E.164.
    `client` is the client whose API key placed the order. `outcomes` and `timeouts` are by the id of their claim.
    `closed_at` is when it was recorded that nothing more is awaited: by the sweep, or by a report that decides.
    """

    ID_NAME: ClassVar[str] = "id"

    id: str
    client: str
    recipient: str
    fingerprint: str
    created_at: datetime
    submit_before: datetime
    content: C | None = None
    claims: tuple[Claim, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    timeouts: Mapping[str, datetime] = field(default_factory=dict)
    queued_at: datetime | None = None
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
        times += [at for at in (self.queued_at, self.closed_at) if at is not None]
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
        return SubmissionState.QUEUED if order.queued_at else SubmissionState.FAILED
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
        last_attempt_at = outcome.at if outcome else order.queued_at
        return min(order.submit_before, max(order.queued_at, last_attempt_at) + deadlines.requeue_after_queued)
    if claim is None or (outcome is not None and outcome.kind is OutcomeKind.REJECTED):
        return None
    if order.submission_open:
        return claim.at + deadlines.submission_after_claim
    return closes_at
