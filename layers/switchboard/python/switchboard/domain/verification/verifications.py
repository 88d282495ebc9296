"""Hold the facts about a verification by telephone, and derive its status from them and from the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from switchboard.domain import orders
from switchboard.domain.orders import Claim, Deadlines, Order, Status, SubmissionState, submission_state
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode

MAX_ATTEMPTS: Final = 5
"""The number of wrong codes that may be tried for one verification."""

REPLAY_WITHIN: Final = timedelta(minutes=10)
"""The time after the right code during which the same check, under the same idempotency key, is answered again."""

START_WITHIN: Final = timedelta(minutes=10)
"""The time during which a start that sent nothing may be tried again under the same key."""


class VerificationLines(StrEnum):
    """The sorts of subscription to which the number may belong."""

    MOBILE = "mobile"
    FIXED = "fixed"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSubmission:
    """One verification as it is submitted to a provider.

    `recipient` is E.164. `line` is our 050 number in national form, 11 digits. `holding_minutes` is the time during
    which a call counts. `repeat_calls` is the number of further calls until a call is answered: CALL_OUT requires it,
    and no other mode has it. `content` is the SMS, which only SMS_AND_CALL_IN has and requires.
    """

    smsid: str
    recipient: str = field(repr=False)
    mode: VerificationMode
    line: str
    holding_minutes: int
    repeat_calls: int | None = None
    lines: VerificationLines = VerificationLines.MOBILE
    content: SmsContent | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """One check of a code at `at`.

    `id` tells a repeated write of this check from another check. `key` is the fingerprint of the check's idempotency
    key, or None if it came without one.
    """

    id: str
    at: datetime
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Order[SmsContent]):
    """The facts about one verification.

    `line` is our 050 number in national form, 11 digits. `content` is the SMS, if there is one. `called_at` is when the
    first report of a call in time came, `late_call_at` when the first report of a call after the deadline or after the
    cancellation came. `codes` are those reported for CALL_OUT, `attempts_used` is the number of wrong codes, and
    `check` is the one check that had the right code. `canceled_at` is when the caller gave the verification up.
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
    check: CodeCheck | None = None
    canceled_at: datetime | None = None

    @property
    def weight(self) -> int:
        """Each call that may ring the number, or the parts of the SMS. 1 if the number's owner only dials our line."""
        if self.repeat_calls is not None:
            return 1 + self.repeat_calls
        text = self.content.text if self.content is not None else None
        if text is None:
            return 1
        # Webhooks load this module and count no parts.
        from switchboard.domain.sms.texts import count_parts  # noqa: PLC0415

        return count_parts(text)

    @property
    def expires_at(self) -> datetime:
        """The end of the verification: the holding time after the newest claim. 0 minutes end it at once."""
        claim = self.last_claim
        return deadline_of(self, claim) if claim else self.created_at

    @property
    def verified_at(self) -> datetime | None:
        """The time of the call or the check that verified the number, or None."""
        return self.called_at or (self.check.at if self.check else None)

    @property
    def code(self) -> CodeHash | None:
        """The code to check against, or None before it is reported. A report about another number does not count."""
        codes = [code for code in self.codes if code.recipient in (None, self.recipient)]
        return min(codes, key=lambda code: code.at, default=None)

    @property
    def attempts_left(self) -> int | None:
        """The number of wrong codes that are left, or None if the mode has no code."""
        if self.mode is not VerificationMode.CALL_OUT:
            return None
        return max(0, MAX_ATTEMPTS - self.attempts_used)

    def _fact_times(self) -> list[datetime]:
        times = (self.called_at, self.late_call_at, self.check.at if self.check else None, self.canceled_at)
        return [*Order._fact_times(self), *(at for at in times if at is not None), *(code.at for code in self.codes)]

    def _count_untimed_facts(self) -> int:
        return self.attempts_used


def deadline_of(verification: Verification, claim: Claim) -> datetime:
    """Return when the verification ends if it is started under this claim."""
    return claim.at + timedelta(minutes=verification.holding_minutes)


def submission_of(verification: Verification) -> VerificationSubmission:
    """Return what the provider receives, as long as the submission is undecided."""
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
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


_STATES: Final = {
    SubmissionState.SUBMITTING: VerificationState.PENDING,
    SubmissionState.ACCEPTED: VerificationState.PENDING,
    SubmissionState.UNKNOWN: VerificationState.UNKNOWN,
    # Nothing was sent, and nothing will be sent unless the caller repeats the request.
    SubmissionState.QUEUED: VerificationState.REJECTED,
    SubmissionState.FAILED: VerificationState.REJECTED,
    SubmissionState.REJECTED: VerificationState.REJECTED,
    SubmissionState.EXPIRED: VerificationState.EXPIRED,
}


def status_of(verification: Verification, *, deadlines: Deadlines, now: datetime) -> Status[VerificationState]:
    """Derive the status of the verification at `now`.

    Facts are read as a set: neither their order nor a repetition matters. A call or a right code in time decides, or
    the cancellation: a verification has one of them at most, and this never changes. Without it the outcome of the
    submission decides, and then the time, because the provider reports no failures.
    """
    if verification.verified_at is not None:
        return Status(VerificationState.VERIFIED, final=True)
    if verification.canceled_at is not None:
        return Status(VerificationState.CANCELED, final=True)
    submission = submission_state(verification, deadlines=deadlines, now=now)
    state = _STATES[submission]
    if state in {VerificationState.PENDING, VerificationState.UNKNOWN} and now >= verification.expires_at:
        state = VerificationState.EXPIRED
    final = state is VerificationState.EXPIRED or submission is SubmissionState.REJECTED
    return Status(state, final=final)


def submission_status_of(verification: Verification, *, deadlines: Deadlines, now: datetime) -> Status[SubmissionState]:
    """Derive the status of the submission alone at `now`, without what followed from it."""
    state = submission_state(verification, deadlines=deadlines, now=now)
    return Status(state, final=state in {SubmissionState.REJECTED, SubmissionState.EXPIRED})


def next_due(verification: Verification, *, deadlines: Deadlines) -> datetime | None:
    """Return when the sweep must look at the verification again, or None if nothing can be overdue any more.

    The time holds as long as no new fact is recorded.
    """
    return orders.next_due(verification, deadlines=deadlines, closes_at=verification.expires_at)
