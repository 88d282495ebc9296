"""An order is the facts about one thing that a caller wants submitted to a provider, once: an SMS, a call ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, Generic, TypeVar

ORDER_ID: Final = re.compile(r"[A-Za-z0-9]{1,50}")
"""The form of an order's id, which is the one that MediaSMS takes as `smsid`: no hyphens, hence no UUID as usual."""

C = TypeVar("C")
S_co = TypeVar("S_co", bound=StrEnum, covariant=True)


class OutcomeKind(StrEnum):
    """How one submission attempt ended. Only `not_sent` lets the same id be tried again."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class SubmissionState(StrEnum):
    """Where an order's submission stands, as far as our own attempts tell."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """By when something must have been heard, counted from the moment in the name."""

    submission_after_claim: timedelta = timedelta(minutes=2)
    delivery_after_claim: timedelta = timedelta(hours=72)
    submission_after_request: timedelta = timedelta(hours=24)
    requeue_after_queued: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to submit once, taken before the socket opens. `id` tells our own repeated write from another's."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the attempt under one claim ended, the provider's code where it gave one, and what its receipt told."""

    kind: OutcomeKind
    at: datetime
    provider_code: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[C]):
    """The facts about one order. Nothing in it is ever taken back but `content`, which is forgotten once its
    submission is decided. `recipient` is E.164; `client` names the API key it was placed with."""

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
        """Its ids as callers know them."""
        return {self.ID_NAME: self.id}

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
        return claim is not None and claim.id not in self.outcomes and claim.id not in self.timeouts

    @property
    def updated_at(self) -> datetime:
        return max(self._times())

    def _times(self) -> list[datetime]:
        """When each of the facts came."""
        times = [self.created_at, *(claim.at for claim in self.claims)]
        times += [outcome.at for outcome in self.outcomes.values()]
        times += self.timeouts.values()
        times += [at for at in (self.queued_at, self.closed_at) if at is not None]
        return times


@dataclass(frozen=True, slots=True)
class Status(Generic[S_co]):
    """Where an order stands at one moment."""

    state: S_co
    final: bool


def is_order_id(text: str) -> bool:
    """Return whether `text` can be an order's id."""
    return ORDER_ID.fullmatch(text) is not None


def submission_state(order: Order[C], *, deadlines: Deadlines, now: datetime) -> SubmissionState:
    """What our own attempts and the time that has passed tell; what a provider reported later is not looked at."""
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
    """When the order must be looked at again if nothing is heard; None when nothing can be overdue any more.

    `closes_at` is when nothing more is awaited of an order that was, or may have been, taken.
    """
    if order.closed_at is not None:
        return None
    claim, outcome = order.last_claim, order.last_outcome
    if order.known_unsent:
        if order.queued_at is None:
            return order.submit_before
        tried = outcome.at if outcome else order.queued_at
        return min(order.submit_before, max(order.queued_at, tried) + deadlines.requeue_after_queued)
    if claim is None or (outcome is not None and outcome.kind is OutcomeKind.REJECTED):
        return None
    if order.submission_open:
        return claim.at + deadlines.submission_after_claim
    return closes_at
