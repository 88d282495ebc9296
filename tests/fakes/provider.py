"""A provider that follows a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.domain.sms.messages import SmsSubmission
from switchboard.ports.providers import Receipt, Submitter


class Ending(StrEnum):
    """The ways in which a submission can end, at the provider and at our side of the line."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    UNAUTHENTICATED = "unauthenticated"
    BLOCKED = "blocked"
    NOT_SENT = "not_sent"
    LOST_BUT_TAKEN = "lost_but_taken"
    LOST_ON_THE_WAY = "lost_on_the_way"
    UNREADABLE = "unreadable"


_ERRORS: Mapping[Ending, tuple[type[ProviderError], str | None]] = {
    Ending.REFUSED: (RefusedError, "560"),
    Ending.RATE_LIMITED: (RateLimitedError, "503"),
    Ending.UNAUTHENTICATED: (AuthenticationFailedError, "401"),
    Ending.BLOCKED: (AddressBlockedError, "555"),
    Ending.NOT_SENT: (NotSentError, None),
    Ending.LOST_BUT_TAKEN: (OutcomeUnknownError, None),
    Ending.LOST_ON_THE_WAY: (OutcomeUnknownError, None),
    Ending.UNREADABLE: (UnexpectedAnswerError, "999"),
}
_UNACCEPTED_BY_THE_DOCUMENT = {Ending.RATE_LIMITED, Ending.UNAUTHENTICATED, Ending.BLOCKED, Ending.NOT_SENT}
_TAKEN = {Ending.ACCEPTED, Ending.LOST_BUT_TAKEN, Ending.UNREADABLE}


def provider_error(ending: Ending) -> ProviderError:
    """Build the error that a provider's client raises for this ending."""
    kind, code = _ERRORS[ending]
    return kind("scripted", provider="fake", operation="send_sms", provider_code=code)


ScriptedSubmitter = Submitter[SmsSubmission, SmsSubmission]


class ScriptedProvider(ScriptedSubmitter):
    """A provider that ends submissions by its script, and accepts them after the end of the script."""

    def __init__(self, *endings: Ending) -> None:
        self._script = deque(endings)
        self.reachable = True
        self.problem: InvalidRequestError | None = None
        self.submissions: list[SmsSubmission] = []
        self.decided: list[SmsSubmission] = []
        """The submissions after which no other may come: all except those that the document calls not accepted."""
        self.taken: list[SmsSubmission] = []
        """The submissions that reach a phone."""

    def script(self, *endings: Ending) -> None:
        """Append endings to the script."""
        self._script.extend(endings)

    def prepare(self, submission: SmsSubmission) -> SmsSubmission:
        if self.problem is not None:
            raise self.problem
        return submission

    def open(self) -> None:
        if not self.reachable:
            raise provider_error(Ending.NOT_SENT)

    def submit(self, prepared: SmsSubmission) -> Receipt:
        return self.end(prepared, self._script.popleft() if self._script else Ending.ACCEPTED)

    def end(self, submission: SmsSubmission, ending: Ending) -> Receipt:
        """End a submission in this way."""
        if ending is not Ending.NOT_SENT:
            self.submissions.append(submission)
        if ending not in _UNACCEPTED_BY_THE_DOCUMENT:
            self.decided.append(submission)
        if ending in _TAKEN:
            self.taken.append(submission)
        if ending is Ending.ACCEPTED:
            return Receipt(provider_code="200")
        raise provider_error(ending)
