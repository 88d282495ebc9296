"""Every error this package raises on purpose, named by what can be done about it.

    SwitchboardError
    ├── InvalidRequestError            the caller's input, found out before any I/O
    ├── OrderError                     about one order, which it names
    │   ├── IdempotencyKeyReusedError  the same key, another body
    │   ├── RequestInProgressError     the same key, and its first request is still under way
    │   ├── SubmissionFailedError      nothing was accepted for it; its `cause` says why
    │   ├── VerificationOpenError      another verification has this number and line for a while
    │   ├── CodeNotReadyError          the code has not come yet
    │   ├── WrongCodeError             it is another code; so many may still be tried
    │   ├── VerificationExpiredError   no code counts any more
    │   └── TooManyAttemptsError       as many codes have been tried as may be
    ├── ResourceNotFoundError              no such resource of this caller's
    ├── WebhookError
    │   ├── WebhookForbiddenError      no live token
    │   └── WebhookUnreadableError     authentic, but not understood: to be kept raw
    ├── PayloadTooLargeError           more bytes than this route reads
    ├── UnreadableFileNameError        a recording file whose name does not follow the naming rule
    ├── StoreError
    │   └── StoreUnavailableError      it may or may not have been written
    ├── SlotUnavailableError           no slot within the waiting budget
    │   ├── RateLimitTimeoutError      the next free slot is later than that
    │   └── ConcurrencyLimitError      every permit is taken
    ├── LockedOutError                 the circuit of this egress address is open
    ├── LimitExceededError             more than an abuse limit allows, until its window ends
    │   ├── RecipientLimitError        for this number
    │   ├── ClientLimitError           for this API key
    │   └── DailyLimitError            for everybody together
    ├── MonthlyQuotaExhaustedError                we have used up a provider's month, as we count it
    └── ProviderError                  what a provider did, or did not, answer
        ├── NotSentError               nothing was written to the socket
        ├── OutcomeUnknownError        bytes left, and no readable answer came
        │   └── UnexpectedAnswerError  an answer came, and nobody can say what it means
        ├── RateLimitedError           the document names it as not accepted
        │   └── ProviderBusyError      too much is under way there at this moment
        ├── AuthenticationFailedError  counts towards the provider's lock-out
        ├── AddressBlockedError        everything from this address must stop
        ├── QuotaExceededError         contract or month used up
        ├── ProviderNotFoundError              what was asked for is not there, or not yet
        ├── ForbiddenError             this account may never have it
        ├── DownloadFailedError        a transfer that did not end whole: reading again does no harm
        │   └── NotAudioError          it ended, and is no recording
        └── RefusedError               the document's other codes

    ConfigurationError                 outside the root, so that nothing swallows it

The class attribute `outcome_known` says that the thing certainly did *not* happen. No error carries a body, a text, a
secret or a whole telephone number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field of a request. `field` is a dotted path, `code` stable snake_case."""

    field: str
    message: str
    code: str = "invalid"


class SwitchboardError(Exception):
    """The root of everything that the edge turns into an answer."""

    outcome_known: ClassVar[bool] = True


class InvalidRequestError(SwitchboardError):
    """The caller's input is wrong; nothing was touched."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


class OrderError(SwitchboardError):
    """Something about one order, which the answer names: `names` are its ids as callers know them (`smsid`, ...)."""

    def __init__(self, message: str, names: Mapping[str, str]) -> None:
        super().__init__(message)
        self.names = names


class IdempotencyKeyReusedError(OrderError):
    """The same idempotency key (or chosen id) came with another body."""


class RequestInProgressError(OrderError):
    """The first request under this key has not ended yet."""


class SubmissionFailedError(OrderError):
    """Nothing was accepted for this order, and why. `cause` decides the answer."""

    def __init__(self, cause: SwitchboardError, names: Mapping[str, str], *, replayed: bool = False) -> None:
        super().__init__(str(cause), names)
        self.cause = cause
        self.replayed = replayed


class VerificationOpenError(OrderError):
    """Another verification has this number and line; `retry_after_s` is when that ends at the latest."""

    def __init__(self, message: str, names: Mapping[str, str], *, retry_after_s: int) -> None:
        super().__init__(message, names)
        self.retry_after_s = retry_after_s


class CodeNotReadyError(OrderError):
    """The provider has not reported the code that it read out."""


class WrongCodeError(OrderError):
    """The code is another one."""

    def __init__(self, message: str, names: Mapping[str, str], *, attempts_left: int) -> None:
        super().__init__(message, names)
        self.attempts_left = attempts_left


class VerificationExpiredError(OrderError):
    """The verification is over, and was not successful."""


class TooManyAttemptsError(OrderError):
    """No further code may be tried for this verification."""


class ResourceNotFoundError(SwitchboardError):
    """There is no such resource, or it is another caller's."""


class WebhookError(SwitchboardError):
    """A callback that will not be acted on."""


class WebhookForbiddenError(WebhookError):
    """The token in the path is not one of the live ones."""


class WebhookUnreadableError(WebhookError):
    """The callback is authentic and does not follow the document: it is kept raw."""


class PayloadTooLargeError(SwitchboardError):
    """The body is larger than anything this route could mean."""


class UnreadableFileNameError(SwitchboardError):
    """A file's name does not say which recording it is. `reason` is stable snake_case; the name is never quoted."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(SwitchboardError):
    """Our own storage did not do what was asked."""


class StoreUnavailableError(StoreError):
    """The store gave no answer: the write may or may not have been applied."""

    outcome_known = False


class SlotUnavailableError(SwitchboardError):
    """No slot for this request at this moment. `retry_after_s` says when one is likely at the latest."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitTimeoutError(SlotUnavailableError):
    """The next free slot of the rate limiter is later than the waiting budget allows."""


class ConcurrencyLimitError(SlotUnavailableError):
    """The rate has a free slot, but every permit for a request in flight is taken."""


class LockedOutError(SwitchboardError):
    """The circuit for this provider and egress address is open."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LimitExceededError(SwitchboardError):
    """An abuse limit is reached; nothing was sent. `retry_after_s` is when its window ends."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RecipientLimitError(LimitExceededError):
    """As many messages have gone to this number as may."""


class ClientLimitError(LimitExceededError):
    """This API key has sent as many messages as it may."""


class DailyLimitError(LimitExceededError):
    """As many messages have been sent today as may be by everybody together."""


class MonthlyQuotaExhaustedError(SwitchboardError):
    """As many requests are counted as a provider takes in a month; this one was not made.

    `retry_after` is when the next month begins, `retry_after_s` how many whole seconds that is from `at`.
    """

    def __init__(self, message: str, *, provider: str, retry_after: datetime, at: datetime) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after = retry_after
        self.retry_after_s = max(1, math.ceil((retry_after - at).total_seconds()))


class ProviderError(SwitchboardError):
    """What a provider answered, or that it did not. Never carries its body."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        operation: str,
        http_status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.operation = operation
        self.http_status = http_status
        self.provider_code = provider_code
        self.request_id = request_id


class NotSentError(ProviderError):
    """Name resolution, connecting or the TLS handshake failed: no byte of the request left."""


class OutcomeUnknownError(ProviderError):
    """Bytes had left when it failed: nobody can know what the provider made of them."""

    outcome_known = False


class UnexpectedAnswerError(OutcomeUnknownError):
    """An answer came that no document explains."""


class RateLimitedError(ProviderError):
    """Refused for speed, and by the document not accepted. `retry_after_s` is how long the provider wants to be left
    alone, where that is known."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        operation: str,
        http_status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(
            message,
            provider=provider,
            operation=operation,
            http_status=http_status,
            provider_code=provider_code,
            request_id=request_id,
        )
        self.retry_after_s = retry_after_s


class ProviderBusyError(RateLimitedError):
    """Refused because too much of ours is under way at the provider: not accepted either, and told to the caller."""


class AuthenticationFailedError(ProviderError):
    """Refused for the credentials. Never tried again by itself: it counts towards the lock-out."""


class AddressBlockedError(ProviderError):
    """Refused for the address it came from: everything behind that address must stop."""


class QuotaExceededError(ProviderError):
    """The contract or the month is used up."""


class ProviderNotFoundError(ProviderError):
    """The provider does not have what was asked for. It may not have it yet: how long to go on asking is the
    use case's to know."""


class ForbiddenError(ProviderError):
    """This account may not have what was asked for, and asking again will not change that."""


class DownloadFailedError(ProviderError):
    """A transfer broke off, ran out of time, or was answered with an error of the provider's own. Reading changes
    nothing there, so it may always be tried again."""


class NotAudioError(DownloadFailedError):
    """An answer came as a success and holds something else than a recording."""


class RefusedError(ProviderError):
    """Refused for a reason that the document gives and that sending it again will not change."""


class ConfigurationError(Exception):
    """This deployment is put together wrongly. Not a SwitchboardError, so that nothing answers it away."""
