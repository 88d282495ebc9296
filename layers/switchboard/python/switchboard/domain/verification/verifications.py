"""Verification by telephone: what is submitted for it, the news that decides it, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from switchboard.domain import orders
from switchboard.domain.orders import Claim, Deadlines, Order, Status, SubmissionState, submission_state
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.sms.messages import SmsContent

MAX_ATTEMPTS: Final = 5
"""Codes that may be tried for one verification."""

START_WITHIN: Final = timedelta(minutes=10)
"""How long a start of which nothing was sent may be tried again under the same key."""


class VerificationMode(StrEnum):
    """Who calls whom."""

    CALL_IN = "call_in"
    """The number's owner dials our line."""
    SMS_AND_CALL_IN = "sms_and_call_in"
    """The same, after an SMS."""
    CALL_OUT = "call_out"
    """The provider calls the number and reads out a code."""


class VerificationLines(StrEnum):
    """Which sort of subscription the number to be verified may belong to."""

    MOBILE = "mobile"
    FIXED = "fixed"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSubmission:
    """One verification as a provider is asked for it.

    `recipient` is E.164. `line` is our 050 number in national form, 11 digits. `holding_minutes` is how long a call
    counts. `repeat_calls`, how often to call until somebody answers, belongs to CALL_OUT and is needed there.
    `content` is the SMS, needed for SMS_AND_CALL_IN only.
    """

    smsid: str
    recipient: str = field(repr=False)
    mode: VerificationMode
    line: str
    holding_minutes: int
    repeat_calls: int | None = None
    lines: VerificationLines = VerificationLines.MOBILE
    content: SmsContent | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrCallEvent:
    """A provider's word that a number has called a line in time.

    `recipient` is that number in E.164, or its bare digits where it is in no known form. `line` is in national form,
    11 digits. `mode` is CALL_IN or SMS_AND_CALL_IN. `smsid` is None where the provider names none.
    """

    recipient: str = field(repr=False)
    line: str
    mode: VerificationMode
    smsid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDeliveryReport:
    """A delivery report, and the code that was read out to the number, where it carries one.

    `authcode` is a secret: digits, or None. `authcode_unreadable` says that there was one which is no such thing, so
    that the check of this verification cannot succeed; the report counts all the same.
    """

    report: DeliveryReport
    authcode: str | None = field(default=None, repr=False)
    authcode_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class CodeHash:
    """The hash of a code that was read out, and when it was first heard of. `recipient` is the number that its report
    names, or None. The code itself is kept nowhere."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    at: datetime
    recipient: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Order[SmsContent]):
    """The facts about one verification. `line` is our 050 number in national form, 11 digits.

    `called_at` is when the number was first heard to have called in time, `late_call_at` when it first was after the
    deadline. `codes` are those reported for CALL_OUT, `attempts_used` how many were tried, `checked_at` when the right
    one was. `content` is the SMS, if there is one.
    """

    ID_NAME: ClassVar[str] = "verification_id"

    mode: VerificationMode
    line: str
    lines: VerificationLines = VerificationLines.MOBILE
    holding_minutes: int
    repeat_calls: int | None = None
    called_at: datetime | None = None
    late_call_at: datetime | None = None
    codes: tuple[CodeHash, ...] = ()
    attempts_used: int = 0
    checked_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """When it can no longer be verified: the holding time after the last claim, so that 0 minutes are none."""
        claim = self.last_claim
        return deadline_of(self, claim) if claim else self.created_at

    @property
    def verified_at(self) -> datetime | None:
        return self.called_at or self.checked_at

    @property
    def code(self) -> CodeHash | None:
        """The code to be told, if it has come. A report that names another number brings none."""
        own = [code for code in self.codes if code.recipient in (None, self.recipient)]
        return min(own, key=lambda code: code.at) if own else None

    @property
    def attempts_left(self) -> int | None:
        """None where there is no code to be told."""
        if self.mode is not VerificationMode.CALL_OUT:
            return None
        return max(0, MAX_ATTEMPTS - self.attempts_used)

    def _fact_times(self) -> list[datetime]:
        facts = (self.called_at, self.late_call_at, self.checked_at)
        return [*Order._fact_times(self), *(at for at in facts if at is not None), *(code.at for code in self.codes)]


def deadline_of(verification: Verification, claim: Claim) -> datetime:
    """When the verification that is started under this claim ends."""
    return claim.at + timedelta(minutes=verification.holding_minutes)


def submission_of(verification: Verification) -> VerificationSubmission:
    """What is to be handed to the provider, while its submission is undecided."""
    return VerificationSubmission(
        smsid=verification.id,
        recipient=verification.recipient,
        mode=verification.mode,
        line=verification.line,
        holding_minutes=verification.holding_minutes,
        repeat_calls=verification.repeat_calls,
        lines=verification.lines,
        content=verification.content,
    )


class VerificationState(StrEnum):
    """The contract's states."""

    PENDING = "pending"
    VERIFIED = "verified"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


_STATES: Final = {
    SubmissionState.SUBMITTING: VerificationState.PENDING,
    SubmissionState.ACCEPTED: VerificationState.PENDING,
    SubmissionState.UNKNOWN: VerificationState.UNKNOWN,
    # Nothing was sent, and nothing will be unless the caller asks again.
    SubmissionState.QUEUED: VerificationState.REJECTED,
    SubmissionState.FAILED: VerificationState.REJECTED,
    SubmissionState.REJECTED: VerificationState.REJECTED,
    SubmissionState.EXPIRED: VerificationState.EXPIRED,
}


def status_of(verification: Verification, *, deadlines: Deadlines, now: datetime) -> Status[VerificationState]:
    """Where the verification stands at `now`. Facts are read as a set: neither order nor repetition can matter.

    That the number has called, or the right code was told, in time comes first and never changes; then how the
    submission ended; then the time: the provider says nothing of failures.
    """
    if verification.verified_at is not None:
        return Status(VerificationState.VERIFIED, final=True)
    submission = submission_state(verification, deadlines=deadlines, now=now)
    state = _STATES[submission]
    if state in {VerificationState.PENDING, VerificationState.UNKNOWN} and now >= verification.expires_at:
        state = VerificationState.EXPIRED
    final = state is VerificationState.EXPIRED or submission is SubmissionState.REJECTED
    return Status(state, final=final)


def submission_status_of(verification: Verification, *, deadlines: Deadlines, now: datetime) -> Status[SubmissionState]:
    """Where its submission stands, whatever came of it."""
    state = submission_state(verification, deadlines=deadlines, now=now)
    return Status(state, final=state in {SubmissionState.REJECTED, SubmissionState.EXPIRED})


def next_due(verification: Verification, *, deadlines: Deadlines) -> datetime | None:
    """When the verification must be looked at again if nothing is heard; None when nothing can be overdue any more."""
    return orders.next_due(verification, deadlines=deadlines, closes_at=verification.expires_at)
