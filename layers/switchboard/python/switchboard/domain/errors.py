"""Define every error that this package raises on purpose, each named by its remedy.

    SwitchboardError
    ├── InvalidRequestError            the caller's input is wrong; found before any I/O
    ├── OrderError                     about one order, which it names
    │   ├── IdempotencyKeyReusedError  the same key came with another body
    │   ├── SmsidTakenError            another client's order has this id
    │   ├── RequestInProgressError     the first request with this key is still in progress
    │   ├── SubmissionFailedError      nothing was accepted; its `cause` says why
    │   ├── VerificationOpenError      another verification holds this number and line
    │   ├── CodeNotReadyError          the provider has not reported the code yet
    │   ├── AlreadyVerifiedError       the verification has succeeded before
    │   ├── VerificationCanceledError  the caller has canceled the verification
    │   ├── WrongCodeError             the code does not match
    │   ├── VerificationExpiredError   the verification is over
    │   ├── TooManyAttemptsError       all attempts are used
    │   └── AlreadySubmittedError      the order was submitted, or is over: it cannot be canceled
    ├── RecipientSuppressedError       nothing may be sent to this number
    ├── KeyRevokedError                the API key is revoked
    ├── ScopeMissingError              the API key may not use this route
    ├── ResourceNotFoundError          no such resource, or it belongs to another caller
    ├── WebhookError
    │   ├── WebhookForbiddenError      the token or the source address is not valid
    │   └── WebhookUnreadableError     authentic, but not understood; quarantined as it is
    ├── PayloadTooLargeError           the body is larger than this route reads
    ├── UnreadableFileNameError        a recording file's name does not follow the naming rule
    ├── UnreadableJobError             the object of a recording's job holds no job
    ├── StoreError
    │   ├── StoreUnavailableError      the write may or may not have been applied
    │   ├── StoreRefusedError          the write was not applied, and a repeat will not be either
    │   └── UnreadableItemError        a stored item that this version cannot read
    ├── SlotUnavailableError           no slot within the waiting budget
    │   ├── RateLimitTimeoutError      the next free slot is too late
    │   └── ConcurrencyLimitError      every permit is taken
    ├── LockedOutError                 the circuit of this egress address is open
    ├── LimitExceededError             a usage limit is reached until its window ends
    │   ├── RecipientLimitError        the limit of this number
    │   │   └── WrongCodeLimitError    the limit of wrong codes for this number
    │   ├── ClientLimitError           a limit of the client that the API key belongs to
    │   ├── DailyLimitError            the limit of the whole deployment
    │   └── CorrectionLimitError       the role corrections of this recording
    ├── NotFoundRetriesError           a recording that answered 404 must wait for the day's limit of such retries
    ├── MonthlyQuotaExhaustedError     a provider's monthly quota, as counted here, is used up
    ├── SubscriptionLimitError         the client has as many subscriptions as it may
    ├── SubscriptionDisabledError      nothing is posted to this subscription now
    ├── RecoveryInProgressError        an earlier recovery of this subscription has not ended yet
    ├── HookError                      a post to a caller's address did not succeed
    │   ├── HookAddressRefusedError    nothing may be posted to this address
    │   ├── HookUnreachedError         no connection or no readable answer
    │   ├── HookTimedOutError          no answer within the deadline
    │   └── HookAnsweredError          an answer other than 2xx
    │       └── HookGoneError          410: the receiver wants no more posts
    └── ProviderError                  a provider refused, failed or gave no answer
        ├── NotSentError               nothing was written to the socket
        ├── OutcomeUnknownError        bytes left, and no readable answer came
        │   └── UnexpectedAnswerError  an answer came that no document explains
        │       └── SuspectedAuthenticationFailureError  which counts towards the lock-out all the same
        ├── RateLimitedError           too fast; by the document not accepted
        │   └── ProviderBusyError      too many requests are in progress at the provider
        ├── AuthenticationFailedError  the credentials were refused; counts towards the lock-out
        ├── AddressBlockedError        everything from this egress address must stop
        ├── QuotaExceededError         the contract's or the month's quota is used up
        ├── ProviderNotFoundError      the resource is not there, or not yet
        ├── ForbiddenError             this account may never have the resource
        ├── DownloadFailedError        a transfer did not end whole; reading again does no harm
        │   └── DownloadTooLargeError  a file is larger than this deployment takes
        └── RefusedError               the document's other codes

    ConfigurationError                 outside the root, so that nothing swallows it

The class attribute `outcome_known` decides what may follow. True means that the requested action certainly did *not*
happen. False means that it may have happened. No error carries a body, a text, a secret or a whole telephone number.
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
    """The root of every error that the edge turns into an answer."""

    outcome_known: ClassVar[bool] = True


class InvalidRequestError(SwitchboardError):
    """A request whose input is wrong. Nothing was touched."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


class OrderError(SwitchboardError):
    """An error about one order.

    `names` holds the ids of the order as callers know them (`smsid`, ...); the answer repeats them.
    """

    def __init__(self, message: str, names: Mapping[str, str]) -> None:
        super().__init__(message)
        self.names = names


class IdempotencyKeyReusedError(OrderError):
    """An idempotency key (or chosen id) that came before with another body."""


class SmsidTakenError(OrderError):
    """An id that an order of another client has. The answer shows nothing of that order."""


class RequestInProgressError(OrderError):
    """A request whose idempotency key has a first request that has not ended yet."""


class SubmissionFailedError(OrderError):
    """An order of which nothing was accepted. `cause` says why and decides the answer."""

    def __init__(self, cause: SwitchboardError, names: Mapping[str, str], *, replayed: bool = False) -> None:
        super().__init__(str(cause), names)
        self.cause = cause
        self.replayed = replayed


class AlreadySubmittedError(OrderError):
    """A cancellation of an order that was submitted, is being submitted, or is over."""


class RecipientSuppressedError(SwitchboardError):
    """An order to a number that is suppressed in this deployment. Nothing was sent."""


class VerificationOpenError(OrderError):
    """A verification whose number and line another verification uses now.

    `retry_after_s` is the time until that other verification ends at the latest.
    """

    def __init__(self, message: str, names: Mapping[str, str], *, retry_after_s: int) -> None:
        super().__init__(message, names)
        self.retry_after_s = retry_after_s


class CodeNotReadyError(OrderError):
    """A check before the provider reported the code that it read out."""


class AlreadyVerifiedError(OrderError):
    """A check or a cancellation of a verification that has succeeded before."""


class VerificationCanceledError(OrderError):
    """A check of a verification that its caller has canceled."""


class WrongCodeError(OrderError):
    """A code that does not match. `attempts_left` further codes may be tried."""

    def __init__(self, message: str, names: Mapping[str, str], *, attempts_left: int) -> None:
        super().__init__(message, names)
        self.attempts_left = attempts_left


class VerificationExpiredError(OrderError):
    """A verification that ended without success."""


class TooManyAttemptsError(OrderError):
    """A verification all of whose attempts are used."""


class ResendTooSoonError(OrderError):
    """A resend too soon after the SMS before it. Nothing was sent, and the code of that SMS stays valid."""

    def __init__(self, message: str, names: Mapping[str, str], *, retry_after_s: int) -> None:
        super().__init__(message, names)
        self.retry_after_s = retry_after_s


class ResendsExhaustedError(OrderError):
    """A resend of a verification all of whose resends are used."""


class OrderOverError(OrderError):
    """A submission that was no longer wanted when its slot came. Nothing was sent."""


class KeyRevokedError(SwitchboardError):
    """A request with a revoked API key. Nothing was read or written for it."""


class ScopeMissingError(SwitchboardError):
    """A request for a route whose `scope` the API key lacks. Nothing was read or written for it."""

    def __init__(self, message: str, *, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


class ResourceNotFoundError(SwitchboardError):
    """A resource that does not exist or belongs to another caller."""


class TranscriptNotFoundError(ResourceNotFoundError):
    """A recording without a transcript, for which none is awaited."""


class TranscriptNotReadyError(SwitchboardError):
    """A transcript that is awaited. It may be read in `retry_after_s` seconds at the earliest."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WebhookError(SwitchboardError):
    """A callback that is not acted on."""


class WebhookForbiddenError(WebhookError):
    """A callback without a live token of its webhook, or from an address that is not the provider's.

    `reason` is `token` or `source_address`. It is for the log; the sender does not learn it.
    """

    def __init__(self, *, reason: str) -> None:
        super().__init__("This callback does not come from the provider")
        self.reason = reason


class WebhookUnreadableError(WebhookError):
    """A callback that is authentic and does not follow the provider's document. The raw callback is quarantined."""


class PayloadTooLargeError(SwitchboardError):
    """A body that is larger than any meaningful one on this route."""


class UnreadableFileNameError(SwitchboardError):
    """A file whose name does not tell its recording.

    `reason` is stable snake_case. The name is never quoted.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnreadableJobError(SwitchboardError):
    """An object with the key of a recording's job that holds no job."""

    def __init__(self, *, key: str) -> None:
        super().__init__("The object holds no job")
        self.key = key


class StoreError(SwitchboardError):
    """An operation that our own storage did not carry out."""


class StoreUnavailableError(StoreError):
    """A store that gave no answer: the write may or may not have been applied."""

    outcome_known = False


class StoreThrottledError(StoreUnavailableError):
    """A store that refused this call because too many came at once: this write was not applied."""


class StoreRefusedError(StoreError):
    """A write that a store refuses for good, for example because the item has no room. A repeat changes nothing."""


class UnreadableItemError(StoreError):
    """A stored item that this version cannot read: a later version wrote it, or it is broken."""


class SlotUnavailableError(SwitchboardError):
    """A request for which no slot is free now.

    `retry_after_s` is the time until a slot is likely free at the latest.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitTimeoutError(SlotUnavailableError):
    """A request whose next free slot of the rate limiter is later than the waiting budget allows."""


class ConcurrencyLimitError(SlotUnavailableError):
    """A request for which the rate has a free slot, but every permit for a request in flight is taken.

    A permit may be free in `look_after_s`: the sender looks again then.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0, look_after_s: float = 0.1) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.look_after_s = look_after_s


class ConcurrencyExhaustedError(SlotUnavailableError):
    """A request for which no permit will be free soon. The sender does not wait."""


class LockedOutError(SwitchboardError):
    """A request to a provider whose circuit for this egress address is open."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LimitExceededError(SwitchboardError):
    """A request beyond a usage limit. Nothing was sent.

    `retry_after_s` is the time until the window of the limit ends.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RecipientLimitError(LimitExceededError):
    """A message beyond the limit of its recipient."""


class WrongCodeLimitError(RecipientLimitError):
    """A check beyond the limit of wrong codes for the number. No code was compared."""


class ClientLimitError(LimitExceededError):
    """A message beyond a limit of the client that its API key belongs to."""


class DailyLimitError(LimitExceededError):
    """A message beyond the daily limit of the whole deployment."""


class CorrectionLimitError(LimitExceededError):
    """A role correction beyond the daily limit of its recording."""


class NotFoundRetriesError(SwitchboardError):
    """The day's retries after a 404 are used up. No request was made."""


class MonthlyQuotaExhaustedError(SwitchboardError):
    """A request beyond a provider's monthly quota, as counted here. The request was not made.

    `retry_after` is the beginning of the next month. `retry_after_s` is the time from `at` to then in whole seconds.
    """

    def __init__(self, message: str, *, provider: str, retry_after: datetime, at: datetime) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after = retry_after
        self.retry_after_s = max(1, math.ceil((retry_after - at).total_seconds()))


class SubscriptionLimitError(SwitchboardError):
    """A subscription beyond those that a client, or the deployment for one kind of event, may have."""


class SubscriptionDisabledError(SwitchboardError):
    """A request that needs a subscription to which posts are sent. This one is disabled."""


class RecoveryInProgressError(SwitchboardError):
    """A recovery of a subscription whose earlier one has not ended. It may be begun in `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HookError(SwitchboardError):
    """A post to a caller's address that was not answered with 2xx. The text never quotes the address or an answer.

    `problem` is stable snake_case. `retry_after_s` is the pause that the receiver asked for, or None.
    """

    problem: ClassVar[str]
    retry_after_s: float | None = None


class HookAddressRefusedError(HookError):
    """An address to which nothing may be posted. Nothing was sent. The text says what is wrong with the address."""

    problem = "address_refused"


class HookUnreachedError(HookError):
    """A post without an answer: name resolution, connecting, TLS or reading the answer failed."""

    problem = "unreached"


class HookTimedOutError(HookError):
    """A post without an answer within the deadline."""

    problem = "timed_out"


class HookAnsweredError(HookError):
    """A post that was answered with another status than 2xx. A redirect is never followed."""

    problem = "answered"

    def __init__(self, status: int, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"answered with {status}")
        self.status = status
        self.retry_after_s = retry_after_s


class HookGoneError(HookAnsweredError):
    """A post that was answered with 410: the receiver wants no more of them."""

    problem = "gone"


class ProviderError(SwitchboardError):
    """A provider's refusal, failure or missing answer. It never carries the answer's body.

    `facts` are what the answer said all the same, under our own names as in a receipt, such as a call's id.
    """

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
        self.facts: Mapping[str, str] = {}


class NotSentError(ProviderError):
    """A request of which no byte left: name resolution, connecting or the TLS handshake failed."""


class OutcomeUnknownError(ProviderError):
    """A failure after bytes had left: it is unknown what the provider did with the request."""

    outcome_known = False


class UnexpectedAnswerError(OutcomeUnknownError):
    """An answer that no document explains."""


class RateLimitedError(ProviderError):
    """A refusal for speed. By the provider's document the request was not accepted.

    `retry_after_s` is the pause that the provider asks for, or None if it is unknown.
    """

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
    """A refusal because too many of our requests are in progress at the provider.

    The request was not accepted, and the caller gets an answer of its own for it.
    """


class AuthenticationFailedError(ProviderError):
    """A refusal of the credentials.

    It counts towards the provider's lock-out, so that the request is never retried automatically.
    """


class AddressBlockedError(ProviderError):
    """A refusal of the egress address. Everything behind that address must stop."""


class SuspectedAuthenticationFailureError(UnexpectedAnswerError, AuthenticationFailedError):
    """An answer that no document explains and that seems to refuse the credentials.

    The outcome is unknown, and the provider may have counted it towards its lock-out.
    """


class QuotaExceededError(ProviderError):
    """A refusal because the contract's or the month's quota is used up."""


class ProviderNotFoundError(ProviderError):
    """A resource that the provider does not have, or does not have yet.

    The use case knows how long to go on asking.
    """


class ForbiddenError(ProviderError):
    """A resource that this account may not have. Asking again will not change that."""


class DownloadFailedError(ProviderError):
    """A transfer that broke off, ran out of time, or was answered with an error on the provider's side.

    Reading changes nothing at the provider, so the transfer may always be tried again.
    """


class DownloadTooLargeError(DownloadFailedError):
    """A transfer of more bytes than this deployment takes. Reading again will not change that."""


class RefusedError(ProviderError):
    """A refusal for a reason that the document gives. Sending the request again will not change it."""


class ConfigurationError(Exception):
    """A deployment that is put together wrongly.

    It is not a SwitchboardError, so that no handler turns it into an answer.
    """


class UnreadableResultError(SwitchboardError):
    """A recogniser's result that is missing, or that does not follow the recogniser's document."""
