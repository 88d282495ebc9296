"""Hold the facts about a verification, and derive its status and its channels from them and from the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from switchboard.domain import orders
from switchboard.domain.orders import (
    Claim,
    Deadlines,
    Order,
    OutcomeKind,
    Status,
    SubmissionState,
    submission_state,
)
from switchboard.domain.sms.delivery import DeliveryMeaning, ReportFact, StatusTable
from switchboard.domain.sms.messages import SmsContent, SmsSubmission
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode

MAX_ATTEMPTS: Final = 5
"""The number of wrong codes that may be tried for one verification."""

REPLAY_WITHIN: Final = timedelta(minutes=10)
"""The time after the right code during which the same check, under the same idempotency key, is answered again."""

START_WITHIN: Final = timedelta(minutes=10)
"""The time during which a start that sent nothing may be tried again under the same key."""


MAX_RESENDS: Final = 3
RESEND_AFTER: Final = timedelta(seconds=30)
"""The time between two SMS with a code."""

MAX_RECORDED_RESENDS: Final = 20
"""The resends that an item has room for, with those of which nothing was sent."""

LEAST_FALLBACK_DELAY: Final = timedelta(seconds=15)
LEAST_TIME_FOR_CALL: Final = timedelta(seconds=60)
"""The time before the verification's end in which its fallback begins by time at the latest."""

CODE_PLACE: Final = "{code}"
"""The place of the code in a text."""


CODE_MODES: Final = frozenset({VerificationMode.SMS_CODE, VerificationMode.CALL_OUT})
"""The modes whose code is checked here."""

QUEUE_GRACE: Final = timedelta(seconds=30)
"""The time after which the sweep takes the queue entry of a fallback for lost."""


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
    key, or None if it came without one. `by` is the mode of the channel whose code was right, None before that is
    known. `resends` is how many resends the verification had.
    """

    id: str
    at: datetime
    key: str | None = None
    by: VerificationMode | None = None
    resends: int = 0


@dataclass(frozen=True, slots=True)
class CodeRecipe:
    """All that a code's SMS is rendered from, beside the text, the id and the key itself.

    `origin` is the host name of the line that lets phones fill the code in.
    """

    length: int
    key_version: str
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Resend:
    """One resend, by its claim: the code of the generation before it ended at `at`.

    `key` is the fingerprint of its idempotency key. With `unsent` it is known that nothing was sent, so that the code
    before it is valid again.
    """

    id: str
    at: datetime
    key: str | None = None
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class Fallback:
    """The call that a verification falls back to. `called_at` is when its first claim was granted.

    `refused` means that the call was rejected, so that no code of it will ever verify.
    """

    after: timedelta
    repeat_calls: int
    called_at: datetime | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Order[SmsContent]):
    """The facts about one verification, which is also its own first channel.

    Each further channel, a resent SMS or the fallback's call, is an order of the same form: `parent_id` names its
    verification, `ends_at` is that one's end, and `first_generation` is the code's in its SMS. It is never listed.

    `line` is our 050 number in national form, 11 digits, or empty if none is needed. `content` is the SMS, if there is
    one. For SMS_CODE it is a template, kept until the end, that the `recipe` completes. `called_at` is when the first
    report of a call in time came, `late_call_at` when the first report of a call after the deadline or after the
    cancellation came. `codes` are those reported for CALL_OUT, `attempts_used` is the number of wrong codes, and
    `check` is the one check that had the right code.
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
    recipe: CodeRecipe | None = None
    reports: tuple[ReportFact, ...] = ()
    resends: tuple[Resend, ...] = ()
    fallback: Fallback | None = None
    parent_id: str | None = None
    ends_at: datetime | None = None
    first_generation: int = 1

    @property
    def weight(self) -> int:
        """Each call that may ring the number, or the parts of the SMS. 1 if the number's owner only dials our line.

        The fallback's calls are counted with the first SMS. A channel of a verification counts no call again.
        """
        if self.repeat_calls is not None:
            return 1 + self.repeat_calls
        text = self.content.text if self.content is not None else None
        if text is None:
            return 1
        # Webhooks load this module and count no parts.
        from switchboard.domain.sms.texts import count_parts  # noqa: PLC0415

        if self.recipe is not None:
            text = render(text, "0" * self.recipe.length, origin=self.recipe.origin)
        reserved = 1 + self.fallback.repeat_calls if self.fallback is not None and self.parent_id is None else 0
        return count_parts(text) + reserved

    @property
    def survives_rejection(self) -> bool:
        """True if a call or a resent code may still verify the number. None follows if the number is suppressed."""
        if self.fallback is None or (self.last_outcome and self.last_outcome.suppressed):
            return False
        return not self.fallback.refused or self.resends_used > 0

    @property
    def generation(self) -> int:
        """The generation of the SMS code that is valid: that of the newest resend, unless it is known to be unsent."""
        sent = [place for place, resend in enumerate(self.resends, 1) if not resend.unsent]
        return self.first_generation + (sent[-1] if sent else 0)

    @property
    def resends_used(self) -> int:
        """The resends of which something was, or may have been, sent."""
        return sum(not resend.unsent for resend in self.resends)

    @property
    def sent_at(self) -> datetime:
        """The time of the newest SMS's claim."""
        sent = [resend.at for resend in self.resends if not resend.unsent]
        claim = self.last_claim
        return sent[-1] if sent else (claim.at if claim else self.created_at)

    @property
    def falls_back_at(self) -> datetime | None:
        """The time at which the number is called if no SMS is delivered by then, or None if it is not called any more.

        Each resend starts it anew. It leaves the call a minute, if the resend is not later than that.
        """
        if self.parent_id is not None or self.fallback is None or self.fallback.called_at is not None:
            return None
        latest = max(self.sent_at + LEAST_FALLBACK_DELAY, self.expires_at - LEAST_TIME_FOR_CALL)
        return min(self.sent_at + self.fallback.after, latest)

    @property
    def message_id(self) -> str:
        """The id of the channel with the newest SMS."""
        return self.id if self.generation == 1 else channel_id(self.id, generation=self.generation)

    @property
    def further_channel_ids(self) -> list[str]:
        """The ids of the channels after the first: those of the resends, and of the fallback's call."""
        places = range(2, len(self.resends) + 2)
        ids = [channel_id(self.id, generation=generation) for generation in places]
        called = self.fallback is not None and self.fallback.called_at is not None
        return [*ids, channel_id(self.id)] if called else ids

    @property
    def expires_at(self) -> datetime:
        """The end of the verification: the holding time after the newest claim. 0 minutes end it at once."""
        claim = self.last_claim
        return self.ends_at or (deadline_of(self, claim) if claim else self.created_at)

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
        if self.mode not in CODE_MODES:
            return None
        return max(0, MAX_ATTEMPTS - self.attempts_used)

    def _fact_times(self) -> list[datetime]:
        times = (self.called_at, self.late_call_at, self.check.at if self.check else None)
        return [
            *Order._fact_times(self),
            *(at for at in times if at is not None),
            *(code.at for code in self.codes),
            *(resend.at for resend in self.resends),
            *(report.first_seen_at for report in self.reports),
            *(at for at in (self.fallback.called_at if self.fallback else None,) if at is not None),
        ]

    def _count_untimed_facts(self) -> int:
        return self.attempts_used + sum(resend.unsent for resend in self.resends)

    @property
    def verified_by(self) -> VerificationMode | None:
        """The mode of the channel that verified the number, or None."""
        if self.called_at is not None:
            return self.mode
        return (self.check.by or self.mode) if self.check else None


@dataclass(frozen=True, slots=True)
class VerificationWithChannels:
    """The facts about a verification and its further channels, read at one instant."""

    verification: Verification
    further: tuple[Verification, ...] = ()

    @property
    def sequence(self) -> int:
        """The number of visible facts, those of the further channels included."""
        return sum(channel.sequence for channel in (self.verification, *self.further))

    @property
    def updated_at(self) -> datetime:
        """The time of the newest fact."""
        return max(channel.updated_at for channel in (self.verification, *self.further))


def deadline_of(verification: Verification, claim: Claim) -> datetime:
    """Return when the verification ends if it is started under this claim."""
    return claim.at + timedelta(minutes=verification.holding_minutes)


def channel_id(verification_id: str, *, generation: int | None = None) -> str:
    """Return the id of a further channel: of the SMS with this generation of the code, or of the fallback's call.

    One id has one channel. So none is sent twice.
    """
    return f"{verification_id}c" if generation is None else f"{verification_id}r{generation}"


def render(template: str, code: str, *, origin: str | None) -> str:
    """Return the text of a code's SMS. The last line lets a phone fill the code in on pages of `origin`."""
    text = template.replace(CODE_PLACE, code)
    return text if origin is None else f"{text}\n@{origin} #{code}"


def message_submission_of(channel: Verification, *, code: str) -> SmsSubmission:
    """Return the SMS of a channel with its code in it. This text is sent and not stored."""
    if channel.content is None or channel.content.text is None or channel.recipe is None:
        raise AssertionError("the template of a code is kept until its verification ends")
    text = render(channel.content.text, code, origin=channel.recipe.origin)
    content = replace(channel.content, text=text)
    return SmsSubmission(smsid=channel.id, recipient=channel.recipient, content=content)


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
    SubmissionState.SCHEDULED: VerificationState.PENDING,
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
    if submission is SubmissionState.REJECTED and verification.survives_rejection:
        state = VerificationState.PENDING
    if state in {VerificationState.PENDING, VerificationState.UNKNOWN} and now >= verification.expires_at:
        state = VerificationState.EXPIRED
    final = state is VerificationState.EXPIRED or (
        submission is SubmissionState.REJECTED and not verification.survives_rejection
    )
    return Status(state, final=final)


def submission_status_of(verification: Verification, *, deadlines: Deadlines, now: datetime) -> Status[SubmissionState]:
    """Derive the status of the submission alone at `now`, without what followed from it."""
    state = submission_state(verification, deadlines=deadlines, now=now)
    return Status(state, final=state in {SubmissionState.REJECTED, SubmissionState.EXPIRED})


def next_due(verification: Verification, *, deadlines: Deadlines) -> datetime | None:
    """Return when the sweep must look at the verification again, or None if nothing can be overdue any more.

    The time holds as long as no new fact is recorded. A verification with a fallback waits until its end.
    """
    closes_at = verification.expires_at
    if verification.verified_at is None and verification.falls_back_at is not None:
        closes_at = min(closes_at, verification.falls_back_at + QUEUE_GRACE)
    due = orders.next_due(verification, deadlines=deadlines, closes_at=closes_at)
    outcome = verification.last_outcome
    is_rejected = outcome is not None and outcome.kind is OutcomeKind.REJECTED
    return closes_at if is_rejected and verification.survives_rejection and verification.closed_at is None else due


class ChannelState(StrEnum):
    """The contract's states of a channel."""

    SCHEDULED = "scheduled"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    CANCELED = "canceled"


NOT_ARRIVING: Final = frozenset({ChannelState.UNDELIVERED, ChannelState.FAILED, ChannelState.REJECTED})
"""The states of an SMS whose fallback begins at once."""

_CHANNEL_STATES: Final = {
    SubmissionState.QUEUED: ChannelState.SCHEDULED,
    SubmissionState.SUBMITTING: ChannelState.SCHEDULED,
    SubmissionState.ACCEPTED: ChannelState.ACCEPTED,
    SubmissionState.FAILED: ChannelState.FAILED,
    SubmissionState.EXPIRED: ChannelState.FAILED,
    SubmissionState.REJECTED: ChannelState.REJECTED,
    SubmissionState.UNKNOWN: ChannelState.UNKNOWN,
}
_REPORTED_STATES: Final = {
    DeliveryMeaning.DELIVERED: ChannelState.DELIVERED,
    DeliveryMeaning.FAILED: ChannelState.FAILED,
    DeliveryMeaning.UNDELIVERED: ChannelState.UNDELIVERED,
    DeliveryMeaning.IN_PROGRESS: ChannelState.IN_PROGRESS,
}


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel at one moment. `problem` is the code of the problem for which it is rejected, or None."""

    mode: VerificationMode
    state: ChannelState
    started_at: datetime | None
    delivered_at: datetime | None = None
    problem: str | None = None


def channel_view(channel: Verification, *, statuses: StatusTable, deadlines: Deadlines, now: datetime) -> ChannelView:
    """Derive a channel's state. The best of the provider's reports decides, and without one the submission."""
    claim, outcome = channel.last_claim, channel.last_outcome
    started_at = claim.at if claim else None
    reported = {statuses[report.status].meaning: report.first_seen_at for report in channel.reports}
    for meaning, state in _REPORTED_STATES.items():
        if meaning in reported:
            delivered_at = reported[meaning] if state is ChannelState.DELIVERED else None
            return ChannelView(channel.mode, state, started_at, delivered_at=delivered_at)
    state = _CHANNEL_STATES[submission_state(channel, deadlines=deadlines, now=now)]
    return ChannelView(channel.mode, state, started_at, problem=outcome.problem if outcome else None)


def channel_views(
    verification: Verification,
    further: Sequence[Verification],
    *,
    statuses: StatusTable,
    deadlines: Deadlines,
    now: datetime,
) -> list[ChannelView]:
    """Derive all channels of a verification, in the order in which they start. `further` are the stored further ones.

    A fallback that may still begin is scheduled. It is canceled once the verification is over.
    """
    channels = [verification, *further]
    views = [channel_view(channel, statuses=statuses, deadlines=deadlines, now=now) for channel in channels]
    if verification.falls_back_at is not None:
        over = status_of(verification, deadlines=deadlines, now=now).state is not VerificationState.PENDING
        state = ChannelState.CANCELED if over else ChannelState.SCHEDULED
        views.append(ChannelView(VerificationMode.CALL_OUT, state, started_at=None))
    return views


def fallback_due_at(
    verification: Verification, message: Verification, *, statuses: StatusTable, deadlines: Deadlines, now: datetime
) -> datetime | None:
    """Return when the number is to be called, or None if it is not. `message` is the channel with the newest SMS.

    It is called at once if the SMS is known not to arrive, and at `falls_back_at` if none is delivered by then.
    """
    falls_back_at = None if verification.attempts_left == 0 else verification.falls_back_at
    state = status_of(verification, deadlines=deadlines, now=now).state
    if falls_back_at is None or state not in {VerificationState.PENDING, VerificationState.UNKNOWN}:
        return None
    view = channel_view(message, statuses=statuses, deadlines=deadlines, now=now)
    if view.state is ChannelState.DELIVERED:
        return None
    return now if view.state in NOT_ARRIVING else falls_back_at
