"""A voice call is the facts about one voice notice; what a caller sees is a function of them and of the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from switchboard.domain import orders
from switchboard.domain.orders import Claim, Deadlines, Order, OutcomeKind, Status, SubmissionState, submission_state


@dataclass(frozen=True, slots=True)
class VoiceCallContent:
    """What is asked for. `volume` is the provider's scale; None leaves the choice to the provider."""

    template_id: str
    variables: Mapping[str, str]
    play_times: int | None = None
    volume: int | None = None
    tag: str | None = None
    show_number: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceCallSubmission:
    """One call as it is submitted. `token` is our own name for it, up to 64 ASCII characters; `body` is the request
    as it was composed once, so that submitting it again under the same token sends the same bytes. A provider
    forgets a token in time: nothing is sent under it from `not_after` on."""

    token: str
    body: str = field(repr=False)
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a provider tells later about a call, in its own word, which nothing here interprets."""

    call_id: str
    result: str


TOKEN_USABLE_FOR: Final = timedelta(hours=23)
"""After its first use. The provider remembers a token for 24 hours and may place a second call after that."""


class VoiceCallState(StrEnum):
    """The contract's states. There is no `delivered`: what a provider reports is shown in its own words."""

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
    """The request as it was composed once. Kept until the submission is decided, so that another attempt after one
    that sent nothing sends the same bytes."""

    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallResultFact:
    """What the provider reported of the call, in its own word, and when that was first heard."""

    result: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCall(Order[PreparedCall]):
    """The facts about one voice notice. Its id is the token that the provider is given.

    With `callback_expected` the provider is set up to report what became of the call; without, nothing is ever heard
    after its acceptance.
    """

    ID_NAME: ClassVar[str] = "token"

    template_id: str
    play_times: int | None = None
    volume: int | None = None
    tag: str | None = None
    show_number: str | None = None
    callback_expected: bool = False
    reports: tuple[CallResultFact, ...] = ()

    @property
    def token(self) -> str:
        return self.id

    @property
    def call_id(self) -> str | None:
        """The provider's id, once it has accepted the call."""
        return self._told("call_id")

    @property
    def shown_number(self) -> str | None:
        """What the called party sees: as the provider says, before that as it was asked for."""
        return self._told("show_number") or self.show_number

    @property
    def request_id(self) -> str | None:
        """The provider's id of the last request that it answered."""
        return self._told("request_id")

    @property
    def placed_at(self) -> str | None:
        """When the provider says it was placed, in RFC 3339; None where it does not say."""
        return self._told("created_at")

    def _told(self, name: str) -> str | None:
        outcome = self.last_outcome
        return outcome.facts.get(name) if outcome else None

    def _times(self) -> list[datetime]:
        return [*Order._times(self), *(report.first_seen_at for report in self.reports)]


def submission_of(call: VoiceCall) -> VoiceCallSubmission:
    """What is to be handed to the provider, while its submission is undecided."""
    if call.content is None:
        raise AssertionError("content is kept until the submission is decided")
    return VoiceCallSubmission(token=call.token, body=call.content.body, not_after=call.submit_before)


def status_of(call: VoiceCall, *, deadlines: Deadlines, now: datetime) -> Status[VoiceCallState]:
    """Where the call stands at `now`. Reports change no state: the document explains none of their results.

    `accepted` is final where nothing more can be heard: at once without a callback, otherwise when its window closes.
    What has an unknown outcome has no id that a callback could name. `failed` means that nothing was sent; it is final
    when the token may not be used any more, or the call was closed before that was heard.
    """
    submission = submission_state(call, deadlines=deadlines, now=now)
    closed = now >= _closes_at(call, deadlines=deadlines)
    if submission in {SubmissionState.QUEUED, SubmissionState.FAILED, SubmissionState.EXPIRED}:
        over = submission is SubmissionState.EXPIRED or call.closed_at is not None
        return Status(VoiceCallState.FAILED, final=over)
    if submission is SubmissionState.REJECTED:
        return Status(VoiceCallState.REJECTED, final=True)
    if submission is SubmissionState.SUBMITTING:
        return Status(VoiceCallState.SUBMITTING, final=False)
    return Status(VoiceCallState(submission.value), final=closed or _is_decided(call))


def next_due(call: VoiceCall, *, deadlines: Deadlines) -> datetime | None:
    """When the call must be looked at again if nothing is heard; None when nothing can be overdue any more."""
    if _is_decided(call):
        return None
    return orders.next_due(call, deadlines=deadlines, closes_at=_closes_at(call, deadlines=deadlines))


def submit_before(now: datetime) -> datetime:
    """Until when a call asked for at `now` may be submitted: its token is not used before `now`."""
    return now + TOKEN_USABLE_FOR


def _is_decided(call: VoiceCall) -> bool:
    """How the submission ended is known, and nothing more is awaited."""
    outcome = call.last_outcome
    if outcome is None or outcome.kind is OutcomeKind.NOT_SENT:
        return False
    return not (outcome.kind is OutcomeKind.ACCEPTED and call.callback_expected)


def _closes_at(call: VoiceCall, *, deadlines: Deadlines) -> datetime:
    claim: Claim | None = call.last_claim
    begun = claim.at if claim else call.created_at
    return begun + (deadlines.delivery_after_claim if call.callback_expected else deadlines.submission_after_claim)
