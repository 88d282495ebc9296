"""Turns errors into HTTP answers (RFC 9457), by one table of all titles and details.

An error is looked up along the ancestry of its class.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AlreadySubmittedError,
    AlreadyVerifiedError,
    AuthenticationFailedError,
    ClientLimitError,
    CodeNotReadyError,
    CorrectionLimitError,
    DailyLimitError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyRevokedError,
    LimitExceededError,
    LockedOutError,
    MonthlyQuotaExhaustedError,
    OrderError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    ProviderBusyError,
    ProviderError,
    QuotaExceededError,
    RecipientLimitError,
    RecipientSuppressedError,
    RecoveryInProgressError,
    RefusedError,
    RequestInProgressError,
    ResendsExhaustedError,
    ResendTooSoonError,
    ResourceNotFoundError,
    ScopeMissingError,
    SlotUnavailableError,
    SmsidTakenError,
    StoreError,
    StoreRefusedError,
    SubmissionFailedError,
    SubscriptionDisabledError,
    SubscriptionLimitError,
    SwitchboardError,
    TooManyAttemptsError,
    TranscriptNotFoundError,
    TranscriptNotReadyError,
    UnreadableItemError,
    VerificationCanceledError,
    VerificationExpiredError,
    VerificationOpenError,
    WebhookForbiddenError,
    WebhookUnreadableError,
    WrongCodeError,
    WrongCodeLimitError,
)
from switchboard.edge.http import ClientUnknownError, MalformedRequestError, NotAcceptableError, Reply


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of answer.

    `title` is the same for every error of a class. `detail` is None if the error's own message is written for callers.
    The messages of a provider's and a store's errors are not. `retry_after_s` is given if a repeat makes sense.
    """

    status: HTTPStatus
    code: str
    title: str
    detail: str | None = None
    retry_after_s: int | None = None


UNEXPECTED: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Unexpected error on our side",
    "The error is logged. A repeat with the same idempotency key sends nothing twice.",
)

# The error itself knows when its window, or the month, ends.
_WINDOW_S: Final = 60
_RESEND_S: Final = 30

_REPEAT: Final = "Repeat the request with the same idempotency key after the time in Retry-After."
_CONFIGURATION: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "provider_configuration",
    "The provider refuses this account or this address",
    "Nothing was sent. An operator has to correct the credentials, the contract or the address.",
)

PROBLEMS: Final[dict[type[SwitchboardError], Problem]] = {
    InvalidRequestError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "The request has invalid fields",
        "Nothing was done. `errors` names each field and what is wrong with it.",
    ),
    MalformedRequestError: Problem(HTTPStatus.BAD_REQUEST, "malformed_request", "The request cannot be read"),
    PayloadTooLargeError: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", "The body is too large"),
    IdempotencyKeyReusedError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "This idempotency key or id belongs to another request",
    ),
    SmsidTakenError: Problem(HTTPStatus.CONFLICT, "smsid_taken", "This smsid is taken; nothing was sent"),
    AlreadySubmittedError: Problem(HTTPStatus.CONFLICT, "already_submitted", "The message cannot be canceled any more"),
    RecipientSuppressedError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "recipient_suppressed",
        "This number is suppressed; nothing was sent",
        "Nothing is sent to a suppressed number by any route. DELETE /v1/suppressions/{number} ends the suppression.",
    ),
    RequestInProgressError: Problem(
        HTTPStatus.CONFLICT,
        "request_in_progress",
        "The first request with this key or id is still in progress",
        retry_after_s=2,
    ),
    VerificationOpenError: Problem(
        HTTPStatus.CONFLICT,
        "verification_open",
        "Another verification of this number on this line is open",
        retry_after_s=_WINDOW_S,
    ),
    CodeNotReadyError: Problem(
        HTTPStatus.CONFLICT, "code_not_ready", "The code has not been read out yet", retry_after_s=3
    ),
    AlreadyVerifiedError: Problem(HTTPStatus.CONFLICT, "already_verified", "The number is verified already"),
    VerificationCanceledError: Problem(
        HTTPStatus.CONFLICT, "verification_canceled", "The verification has been canceled"
    ),
    WrongCodeError: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_code", "Wrong verification code"),
    VerificationExpiredError: Problem(HTTPStatus.GONE, "verification_expired", "The verification has ended"),
    TooManyAttemptsError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "too_many_attempts", "No attempts left for this verification"
    ),
    ResendTooSoonError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "resend_too_soon",
        "The last SMS was sent a moment ago; nothing was sent",
        retry_after_s=_RESEND_S,
    ),
    ResendsExhaustedError: Problem(
        HTTPStatus.CONFLICT, "resends_exhausted", "No resends left for this verification; nothing was sent"
    ),
    ResourceNotFoundError: Problem(
        HTTPStatus.NOT_FOUND, "not_found", "No such resource, or it belongs to another client"
    ),
    TranscriptNotFoundError: Problem(HTTPStatus.NOT_FOUND, "transcript_not_found", "No transcript of this recording"),
    TranscriptNotReadyError: Problem(
        HTTPStatus.CONFLICT, "transcript_not_ready", "The transcript is not ready yet", retry_after_s=_WINDOW_S
    ),
    NotAcceptableError: Problem(
        HTTPStatus.NOT_ACCEPTABLE, "not_acceptable", "No form of this resource is acceptable to the caller"
    ),
    KeyRevokedError: Problem(HTTPStatus.FORBIDDEN, "key_revoked", "This API key is revoked"),
    ScopeMissingError: Problem(HTTPStatus.FORBIDDEN, "scope_missing", "This API key lacks the scope of this route"),
    ClientUnknownError: Problem(HTTPStatus.FORBIDDEN, "forbidden", "An API key is needed"),
    WebhookForbiddenError: Problem(
        HTTPStatus.FORBIDDEN,
        "forbidden",
        "Forbidden: unknown webhook token",
        "The token in the path opens no webhook here, or not from this address.",
    ),
    WebhookUnreadableError: Problem(
        HTTPStatus.BAD_REQUEST,
        "malformed_request",
        "The callback cannot be read",
        "The callback does not have the form that the provider documents.",
    ),
    StoreError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "service_unavailable",
        "Our storage does not answer; nothing was sent",
        _REPEAT,
        retry_after_s=5,
    ),
    StoreRefusedError: UNEXPECTED,
    UnreadableItemError: UNEXPECTED,
    SlotUnavailableError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider_unavailable",
        "No free slot at the provider now; nothing was sent",
        retry_after_s=2,
    ),
    LockedOutError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider_locked_out",
        "Nothing is sent to the provider from this address now",
        retry_after_s=60,
    ),
    RecipientLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "recipient_limit",
        "Usage limit of this number reached; nothing was sent",
        retry_after_s=_WINDOW_S,
    ),
    WrongCodeLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "recipient_limit",
        "Too many wrong codes for this number; the code was not checked",
        retry_after_s=_WINDOW_S,
    ),
    ClientLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "client_limit",
        "Usage limit of this client reached; nothing was sent",
        retry_after_s=_WINDOW_S,
    ),
    DailyLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "daily_limit",
        "Daily limit of this deployment reached; nothing was sent",
        retry_after_s=_WINDOW_S,
    ),
    CorrectionLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "correction_limit",
        "Daily limit of role corrections of this recording reached",
        retry_after_s=_WINDOW_S,
    ),
    SubscriptionLimitError: Problem(
        HTTPStatus.CONFLICT, "subscription_limit", "There is no room for another subscription"
    ),
    SubscriptionDisabledError: Problem(
        HTTPStatus.CONFLICT, "subscription_disabled", "Nothing is posted to this subscription"
    ),
    RecoveryInProgressError: Problem(
        HTTPStatus.CONFLICT,
        "recovery_in_progress",
        "The last recovery of this subscription is in progress",
        retry_after_s=_WINDOW_S,
    ),
    # No use case raises it to a caller today; the contract has no code of its own for it.
    MonthlyQuotaExhaustedError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider_unavailable",
        "Monthly quota of the provider used",
        retry_after_s=_WINDOW_S,
    ),
    ProviderError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider_unavailable",
        "The provider cannot be reached; nothing was sent",
        _REPEAT,
        retry_after_s=5,
    ),
    ProviderBusyError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "provider_busy",
        "The provider accepts no more at this moment; nothing was sent",
        _REPEAT,
        retry_after_s=5,
    ),
    OutcomeUnknownError: Problem(
        HTTPStatus.BAD_GATEWAY,
        "provider_outcome_unknown",
        "It is unknown whether the provider accepted the request",
        "Do not repeat the request. Ask for the resource: its state follows what the provider reports.",
    ),
    AuthenticationFailedError: _CONFIGURATION,
    AddressBlockedError: _CONFIGURATION,
    QuotaExceededError: _CONFIGURATION,
    RefusedError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "provider_rejected",
        "The provider rejected the request",
        "`provider_code` is the provider's reason. The same request will be rejected again.",
    ),
    SwitchboardError: UNEXPECTED,
}


def problem_of(error: SwitchboardError) -> Problem:
    """Find the entry of the nearest ancestor that has one."""
    return next(PROBLEMS[ancestor] for ancestor in type(error).__mro__ if ancestor in PROBLEMS)


def reply_to(error: SwitchboardError) -> Reply:
    """Answer an error with `application/problem+json` that holds only the table's texts and the error's fields."""
    headers: dict[str, str] = {}
    members: dict[str, Any] = {}
    if isinstance(error, OrderError):
        members |= error.names
    if isinstance(error, SubmissionFailedError):
        if error.replayed:
            headers["Idempotent-Replayed"] = "true"
        error = error.cause
    if isinstance(error, InvalidRequestError):
        members["errors"] = field_problems_to_json(error)
    if isinstance(error, ProviderError):
        members |= {
            name: value
            for name, value in (("provider_code", error.provider_code), ("provider_request_id", error.request_id))
            if value is not None
        }
    problem = problem_of(error)
    if isinstance(error, WrongCodeError):
        members["attempts_left"] = error.attempts_left
    if isinstance(error, ScopeMissingError):
        members["scope"] = error.scope
    if isinstance(
        error,
        LimitExceededError
        | MonthlyQuotaExhaustedError
        | RecoveryInProgressError
        | TranscriptNotReadyError
        | VerificationOpenError,
    ):
        problem = replace(problem, retry_after_s=error.retry_after_s)
    if problem.detail is None:
        problem = replace(problem, detail=_to_sentence(str(error)))
    return problem_reply(problem, headers=headers, members=members)


def problem_reply(problem: Problem, *, headers: dict[str, str], members: dict[str, Any]) -> Reply:
    """Write one problem as a reply with these further members."""
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after_s))
    body = {
        "type": f"urn:switchboard:problem:{problem.code}",
        "title": problem.title,
        "status": int(problem.status),
        "detail": problem.detail,
        "code": problem.code,
        **members,
    }
    headers["Content-Type"] = "application/problem+json"
    return Reply(problem.status, json.dumps(body, ensure_ascii=False), headers)


def field_problems_to_json(error: InvalidRequestError) -> list[dict[str, str]]:
    """Write what is wrong with each field."""
    return [{"field": problem.field, "message": problem.message, "code": problem.code} for problem in error.problems]


def _to_sentence(message: str) -> str:
    """End a message with a full stop."""
    return message if message.endswith(".") else f"{message}."
