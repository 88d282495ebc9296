"""Hold the facts about a voice call, and derive its status from them and the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from switchboard.domain import orders
from switchboard.domain.orders import Claim, Deadlines, Order, OutcomeKind, Status, SubmissionState, submission_state

TOKEN_USABLE_FOR: Final = timedelta(hours=23)
"""The time after its first use during which a token may be used again.

The provider remembers a token for 24 hours and may place a second call after that.
"""


MAX_RESULTS: Final = 20
"""The different results that are kept of one call, beside the newest of those beyond them."""


@dataclass(frozen=True, slots=True)
class VoiceCallContent:
    """The content of a voice call. `volume` is on the provider's scale; None leaves the choice to the provider."""

    template_id: str
    variables: Mapping[str, str]
    play_times: int | None = None
    volume: int | None = None
    tag: str | None = None
    show_number: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceCallSubmission:
    """One call as it is submitted to a provider.

    `token` is our own name for the call, up to 64 ASCII characters. `body` is the request as it was composed once, so
    that another submission under the same token sends the same bytes. A provider forgets a token after some time, so
    nothing is sent under it from `not_after` on.
    """

    token: str
    body: str = field(repr=False)
    not_after: datetime | None = None


class VoiceCallState(StrEnum):
    """The contract's states. There is no `delivered`: a provider's report is shown in its own words."""

    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    FAILED = "failed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


_CALL_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
"""Baidu's document shows 32 hexadecimal digits and promises no form."""


def is_call_id(text: str) -> bool:
    """Return whether `text` can be a provider's call id: 1 to 128 visible ASCII characters."""
    return _CALL_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """The request of a call as it was composed once.

    It is kept until the submission is decided, so that another attempt after one that sent nothing sends the same
    bytes.
    """

    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallResultFact:
    """The fact that the provider reported `result`, in its own word, and when that report first came."""

    result: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCall(Order[PreparedCall]):
    """The facts about one voice call. Its id is the token that the provider receives.

    With `callback_expected` the provider is set up to report the result of the call. Without it, the provider reports
    nothing after its acceptance. `revisions` counts the results that were recorded in another's place: those beyond
    MAX_RESULTS, and earlier times of the same result.
    """

    ID_NAME: ClassVar[str] = "token"

    template_id: str
    play_times: int | None = None
    volume: int | None = None
    tag: str | None = None
    show_number: str | None = None
    callback_expected: bool = False
    reports: tuple[CallResultFact, ...] = ()
    revisions: int = 0

    @property
    def token(self) -> str:
        """The id under the name that providers and callers use."""
        return self.id

    @property
    def call_id(self) -> str | None:
        """The provider's id, or None until an answer of the provider has named it."""
        return self._read_receipt("call_id")

    @property
    def shown_number(self) -> str | None:
        """The number that the called party sees: the receipt's, or else the requested one."""
        return self._read_receipt("show_number") or self.show_number

    @property
    def request_id(self) -> str | None:
        """The provider's id of the last request that it answered."""
        return self._read_receipt("request_id")

    @property
    def placed_at(self) -> str | None:
        """The time at which the provider placed the call, in RFC 3339, or None if its receipt does not give one."""
        return self._read_receipt("created_at")

    def _read_receipt(self, name: str) -> str | None:
        outcome = self.last_outcome
        return outcome.facts.get(name) if outcome else None

    def _fact_times(self) -> list[datetime]:
        return [*Order._fact_times(self), *(report.first_seen_at for report in self.reports)]

    def _count_untimed_facts(self) -> int:
        return self.revisions


def submission_of(call: VoiceCall) -> VoiceCallSubmission:
    """Return what the provider receives, as long as the submission is undecided."""
    if call.content is None:
        raise AssertionError("content is kept until the submission is decided")
    return VoiceCallSubmission(token=call.token, body=call.content.body, not_after=call.submit_before)


def status_of(call: VoiceCall, *, deadlines: Deadlines, now: datetime) -> Status[VoiceCallState]:
    """Derive the status of the call at `now`.

    Reports change no state, because the document explains none of their results. `accepted` is final when no further
    report is possible: at once without a callback, otherwise when its window closes. So is `unknown`, unless the
    provider named no id: no callback can name such a call. `failed` means that nothing was sent. It is final once the
    token may not be used any more, or if the call was closed.
    """
    submission = submission_state(call, deadlines=deadlines, now=now)
    closed = now >= _closing_time(call, deadlines=deadlines)
    if submission in {SubmissionState.QUEUED, SubmissionState.FAILED, SubmissionState.EXPIRED}:
        final = submission is SubmissionState.EXPIRED or call.closed_at is not None
        return Status(VoiceCallState.FAILED, final=final)
    if submission is SubmissionState.REJECTED:
        return Status(VoiceCallState.REJECTED, final=True)
    if submission is SubmissionState.SUBMITTING:
        return Status(VoiceCallState.SUBMITTING, final=False)
    return Status(VoiceCallState(submission.value), final=closed or _is_decided(call))


def next_due(call: VoiceCall, *, deadlines: Deadlines) -> datetime | None:
    """Return when the sweep must look at the call if no new fact is recorded, or None if nothing can be overdue."""
    if _is_decided(call):
        return None
    return orders.next_due(call, deadlines=deadlines, closes_at=_closing_time(call, deadlines=deadlines))


def submit_before(now: datetime) -> datetime:
    """Return until when a call that is requested at `now` may be submitted. Its token is not used before `now`."""
    return now + TOKEN_USABLE_FOR


def _is_decided(call: VoiceCall) -> bool:
    """Return whether the end of the submission is known and no report is awaited."""
    outcome = call.last_outcome
    if outcome is None or outcome.kind is OutcomeKind.NOT_SENT:
        return False
    can_be_reported = outcome.kind is OutcomeKind.ACCEPTED or call.call_id is not None
    return not (can_be_reported and call.callback_expected)


def _closing_time(call: VoiceCall, *, deadlines: Deadlines) -> datetime:
    """Return when the wait for an outcome or a report ends."""
    claim: Claim | None = call.last_claim
    start = claim.at if claim else call.created_at
    return start + (deadlines.delivery_after_claim if call.callback_expected else deadlines.submission_after_claim)
