"""The one table from error class to HTTP answer (RFC 9457), looked up along the class's own ancestry."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    ClientLimitError,
    CodeNotReadyError,
    DailyLimitError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
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
    RefusedError,
    RequestInProgressError,
    ResourceNotFoundError,
    SlotUnavailableError,
    StoreError,
    SubmissionFailedError,
    SwitchboardError,
    TooManyAttemptsError,
    VerificationExpiredError,
    VerificationOpenError,
    WebhookForbiddenError,
    WebhookUnreadableError,
    WrongCodeError,
)
from switchboard.edge.http import ClientUnknownError, MalformedRequestError, Reply


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of answer. `title` never changes for a code; `retry_after_s` only where trying again makes sense."""

    status: HTTPStatus
    code: str
    title: str
    retry_after_s: int | None = None


UNEXPECTED = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side")

# The error itself knows when its window, or the month, ends.
_WINDOW_S = 60

_CONFIGURATION = Problem(
    HTTPStatus.BAD_GATEWAY, "provider_configuration", "The provider refuses this account or this address"
)

PROBLEMS: dict[type[SwitchboardError], Problem] = {
    InvalidRequestError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "The request cannot be carried out as it is"
    ),
    MalformedRequestError: Problem(HTTPStatus.BAD_REQUEST, "malformed_request", "The request cannot be read"),
    PayloadTooLargeError: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", "The body is too large"),
    IdempotencyKeyReusedError: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", "This key or id belongs to another request"
    ),
    RequestInProgressError: Problem(
        HTTPStatus.CONFLICT, "request_in_progress", "The first request with this key is still under way", 2
    ),
    VerificationOpenError: Problem(
        HTTPStatus.CONFLICT, "verification_open", "This number is being verified on this line", _WINDOW_S
    ),
    CodeNotReadyError: Problem(HTTPStatus.CONFLICT, "code_not_ready", "The code has not been read out yet", 3),
    WrongCodeError: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_code", "It is another code"),
    VerificationExpiredError: Problem(HTTPStatus.GONE, "verification_expired", "The verification is over"),
    TooManyAttemptsError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "too_many_attempts", "No further code may be tried for this verification"
    ),
    ResourceNotFoundError: Problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such resource"),
    ClientUnknownError: Problem(HTTPStatus.FORBIDDEN, "forbidden", "An API key is needed"),
    WebhookForbiddenError: Problem(HTTPStatus.FORBIDDEN, "forbidden", "This address is not for you"),
    WebhookUnreadableError: Problem(HTTPStatus.BAD_REQUEST, "malformed_request", "The callback cannot be read"),
    StoreError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable", "Our own storage does not answer; nothing was sent", 5
    ),
    SlotUnavailableError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "provider_unavailable", "The provider has no room now", 2
    ),
    LockedOutError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "provider_locked_out", "Nothing is sent from this address for now", 60
    ),
    RecipientLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "recipient_limit", "This number gets no more messages for now", _WINDOW_S
    ),
    ClientLimitError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "client_limit", "This API key sends no more messages for now", _WINDOW_S
    ),
    DailyLimitError: Problem(HTTPStatus.TOO_MANY_REQUESTS, "daily_limit", "No more messages are sent today", _WINDOW_S),
    # No use case lets it out today; the contract has no code of its own for it.
    MonthlyQuotaExhaustedError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "provider_unavailable", "The provider's month is used up", _WINDOW_S
    ),
    ProviderError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "provider_unavailable", "The provider cannot be reached; nothing was sent", 5
    ),
    ProviderBusyError: Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "provider_busy", "The provider takes no more at this moment; nothing was sent", 5
    ),
    OutcomeUnknownError: Problem(
        HTTPStatus.BAD_GATEWAY, "provider_outcome_unknown", "Nobody can know what the provider made of it"
    ),
    AuthenticationFailedError: _CONFIGURATION,
    AddressBlockedError: _CONFIGURATION,
    QuotaExceededError: _CONFIGURATION,
    RefusedError: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "provider_rejected", "The provider refused it"),
    SwitchboardError: UNEXPECTED,
}


def problem_of(error: SwitchboardError) -> Problem:
    """The entry of the nearest ancestor that has one."""
    return next(PROBLEMS[ancestor] for ancestor in type(error).__mro__ if ancestor in PROBLEMS)


def reply_to(error: SwitchboardError) -> Reply:
    """The error as `application/problem+json`. Says nothing that the error's own fields don't."""
    headers: dict[str, str] = {}
    named: dict[str, Any] = {}
    if isinstance(error, OrderError):
        named |= error.names
    if isinstance(error, SubmissionFailedError):
        if error.replayed:
            headers["Idempotent-Replayed"] = "true"
        error = error.cause
    if isinstance(error, InvalidRequestError):
        named["errors"] = problems_json(error)
    if isinstance(error, ProviderError):
        named |= {
            name: value
            for name, value in (("provider_code", error.provider_code), ("provider_request_id", error.request_id))
            if value is not None
        }
    problem = problem_of(error)
    if isinstance(error, WrongCodeError):
        named["attempts_left"] = error.attempts_left
    if isinstance(error, LimitExceededError | MonthlyQuotaExhaustedError | VerificationOpenError):
        problem = replace(problem, retry_after_s=error.retry_after_s)
    return problem_reply(problem, headers=headers, named=named, detail=_detail(error))


def problems_json(error: InvalidRequestError) -> list[dict[str, str]]:
    """What was wrong with which field."""
    return [{"field": each.field, "message": each.message, "code": each.code} for each in error.problems]


def problem_reply(problem: Problem, *, headers: dict[str, str], named: dict[str, Any], detail: str) -> Reply:
    """One problem as a reply; `named` are its further members."""
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after_s))
    body = {
        "type": f"urn:switchboard:problem:{problem.code}",
        "title": problem.title,
        "status": int(problem.status),
        "detail": detail,
        "code": problem.code,
        **named,
    }
    headers["Content-Type"] = "application/problem+json"
    return Reply(problem.status, json.dumps(body, ensure_ascii=False), headers)


def _detail(error: SwitchboardError) -> str:
    """Our own errors are written to be read; a provider's or a store's are summed up in the title."""
    if isinstance(error, InvalidRequestError):
        return f"{len(error.problems)} problem(s), each named in `errors`."
    if isinstance(error, ProviderError | StoreError):
        return f"{problem_of(error).title}."
    return f"{error}."
