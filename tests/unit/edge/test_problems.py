"""Every error has one answer, which is the contract's and holds nothing that it should not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from switchboard.domain import errors
from switchboard.domain.errors import FieldProblem, ProviderError, SubmissionFailedError, SwitchboardError
from switchboard.edge.http import ClientUnknownError, MalformedRequestError, NotAcceptableError, Reply
from switchboard.edge.problems import PROBLEMS, problem_of, reply_to
from tests.fakes import START

CANARY: Final = "canary 090-0000-0001 認証コード"


def provider_error(kind: type[ProviderError]) -> ProviderError:
    return kind(CANARY, provider="mediasms", operation="send_sms", provider_code="550", request_id="r-1")


NAMES: Final = {"verification_id": "v1"}
CASES: Final[dict[type[SwitchboardError], tuple[SwitchboardError, int, str]]] = {
    errors.InvalidRequestError: (errors.InvalidRequestError(FieldProblem("to", "is odd")), 422, "invalid_request"),
    errors.IdempotencyKeyReusedError: (
        errors.IdempotencyKeyReusedError("taken", {"smsid": "a1"}),
        422,
        "idempotency_key_reused",
    ),
    errors.SmsidTakenError: (errors.SmsidTakenError("taken", {"smsid": "a1"}), 409, "smsid_taken"),
    errors.RequestInProgressError: (errors.RequestInProgressError("busy", {"smsid": "a1"}), 409, "request_in_progress"),
    errors.AlreadySubmittedError: (errors.AlreadySubmittedError("sent", {"smsid": "a1"}), 409, "already_submitted"),
    errors.RecipientSuppressedError: (errors.RecipientSuppressedError("not to them"), 422, "recipient_suppressed"),
    errors.ResendTooSoonError: (
        errors.ResendTooSoonError("a moment ago", NAMES, retry_after_s=17),
        429,
        "resend_too_soon",
    ),
    errors.ResendsExhaustedError: (errors.ResendsExhaustedError("enough", NAMES), 409, "resends_exhausted"),
    errors.ResourceNotFoundError: (errors.ResourceNotFoundError("nothing here"), 404, "not_found"),
    errors.WebhookForbiddenError: (errors.WebhookForbiddenError(reason="token"), 403, "forbidden"),
    errors.WebhookUnreadableError: (errors.WebhookUnreadableError("odd"), 400, "malformed_request"),
    errors.PayloadTooLargeError: (errors.PayloadTooLargeError("large"), 413, "payload_too_large"),
    errors.StoreError: (errors.StoreError(CANARY), 503, "service_unavailable"),
    errors.StoreUnavailableError: (errors.StoreUnavailableError(CANARY), 503, "service_unavailable"),
    errors.StoreThrottledError: (errors.StoreThrottledError(CANARY), 503, "service_unavailable"),
    errors.StoreRefusedError: (errors.StoreRefusedError(CANARY), 500, "internal_error"),
    errors.UnreadableItemError: (errors.UnreadableItemError(CANARY), 500, "internal_error"),
    errors.SlotUnavailableError: (errors.SlotUnavailableError("full", retry_after_s=7.2), 503, "provider_unavailable"),
    errors.RateLimitTimeoutError: (errors.RateLimitTimeoutError("full"), 503, "provider_unavailable"),
    errors.ConcurrencyLimitError: (errors.ConcurrencyLimitError("full"), 503, "provider_unavailable"),
    errors.ConcurrencyExhaustedError: (errors.ConcurrencyExhaustedError("full"), 503, "provider_unavailable"),
    errors.LockedOutError: (errors.LockedOutError("open", reason="557"), 503, "provider_locked_out"),
    errors.RecipientLimitError: (
        errors.RecipientLimitError("enough for a minute", retry_after_s=17),
        429,
        "recipient_limit",
    ),
    errors.ClientLimitError: (errors.ClientLimitError("enough for an hour", retry_after_s=17), 429, "client_limit"),
    errors.DailyLimitError: (errors.DailyLimitError("enough for a day", retry_after_s=17), 429, "daily_limit"),
    errors.VerificationOpenError: (
        errors.VerificationOpenError("another has it", {}, retry_after_s=17),
        409,
        "verification_open",
    ),
    errors.CodeNotReadyError: (errors.CodeNotReadyError("not yet", NAMES), 409, "code_not_ready"),
    errors.AlreadyVerifiedError: (errors.AlreadyVerifiedError("before", NAMES), 409, "already_verified"),
    errors.VerificationCanceledError: (
        errors.VerificationCanceledError("given up", NAMES),
        409,
        "verification_canceled",
    ),
    errors.WrongCodeLimitError: (
        errors.WrongCodeLimitError("enough for an hour", retry_after_s=17),
        429,
        "recipient_limit",
    ),
    errors.WrongCodeError: (errors.WrongCodeError("another", NAMES, attempts_left=2), 422, "wrong_code"),
    errors.VerificationExpiredError: (errors.VerificationExpiredError("over", NAMES), 410, "verification_expired"),
    errors.TooManyAttemptsError: (errors.TooManyAttemptsError("enough", NAMES), 429, "too_many_attempts"),
    errors.ProviderBusyError: (provider_error(errors.ProviderBusyError), 429, "provider_busy"),
    errors.SubscriptionLimitError: (errors.SubscriptionLimitError("full"), 409, "subscription_limit"),
    errors.SubscriptionDisabledError: (errors.SubscriptionDisabledError("disabled"), 409, "subscription_disabled"),
    errors.RecoveryInProgressError: (
        errors.RecoveryInProgressError("going on", retry_after_s=120),
        409,
        "recovery_in_progress",
    ),
    errors.MonthlyQuotaExhaustedError: (
        errors.MonthlyQuotaExhaustedError(
            "enough for a month", provider="biztel", retry_after=START + timedelta(9), at=START
        ),
        503,
        "provider_unavailable",
    ),
    errors.NotSentError: (provider_error(errors.NotSentError), 503, "provider_unavailable"),
    errors.RateLimitedError: (provider_error(errors.RateLimitedError), 503, "provider_unavailable"),
    errors.AuthenticationFailedError: (
        provider_error(errors.AuthenticationFailedError),
        502,
        "provider_configuration",
    ),
    errors.AddressBlockedError: (provider_error(errors.AddressBlockedError), 502, "provider_configuration"),
    errors.QuotaExceededError: (provider_error(errors.QuotaExceededError), 502, "provider_configuration"),
    errors.RefusedError: (provider_error(errors.RefusedError), 422, "provider_rejected"),
    errors.TranscriptNotFoundError: (errors.TranscriptNotFoundError("none"), 404, "transcript_not_found"),
    errors.TranscriptNotReadyError: (
        errors.TranscriptNotReadyError("recognizing", retry_after_s=30),
        409,
        "transcript_not_ready",
    ),
    NotAcceptableError: (NotAcceptableError("Accept another form"), 406, "not_acceptable"),
    errors.KeyRevokedError: (errors.KeyRevokedError("revoked"), 403, "key_revoked"),
    errors.ScopeMissingError: (errors.ScopeMissingError("lacks it", scope="calls"), 403, "scope_missing"),
    errors.CorrectionLimitError: (
        errors.CorrectionLimitError("100 times", retry_after_s=60),
        429,
        "correction_limit",
    ),
    MalformedRequestError: (MalformedRequestError("not JSON"), 400, "malformed_request"),
    ClientUnknownError: (ClientUnknownError("no key"), 403, "forbidden"),
}
"""Every error that can reach a caller, and the contract's status and code for it."""

NEVER_ANSWERED: Final = {
    errors.LimitExceededError,
    errors.OrderError,
    errors.OrderOverError,
    errors.WebhookError,
    errors.ProviderError,
    errors.OutcomeUnknownError,
    errors.UnexpectedAnswerError,
    errors.SuspectedAuthenticationFailureError,
    errors.UnreadableFileNameError,
    errors.UnreadableJobError,
    errors.UnreadableResultError,
    errors.NotFoundRetriesError,
    errors.HookError,
    errors.HookAddressRefusedError,
    errors.HookUnreachedError,
    errors.HookTimedOutError,
    errors.HookAnsweredError,
    errors.HookGoneError,
    errors.ProviderNotFoundError,
    errors.ForbiddenError,
    errors.DownloadFailedError,
    errors.DownloadTooLargeError,
    SubmissionFailedError,
}
"""Base classes, a wrapper, and errors that a use case turns into a state before a caller sees them."""

WORTH_REPEATING: Final = {
    errors.RecoveryInProgressError,
    errors.VerificationOpenError,
    errors.CodeNotReadyError,
    errors.ResendTooSoonError,
    errors.RequestInProgressError,
    errors.StoreError,
    errors.StoreUnavailableError,
    errors.StoreThrottledError,
    errors.SlotUnavailableError,
    errors.RateLimitTimeoutError,
    errors.ConcurrencyLimitError,
    errors.ConcurrencyExhaustedError,
    errors.LockedOutError,
    errors.RecipientLimitError,
    errors.WrongCodeLimitError,
    errors.ClientLimitError,
    errors.DailyLimitError,
    errors.CorrectionLimitError,
    errors.TranscriptNotReadyError,
    errors.MonthlyQuotaExhaustedError,
    errors.NotSentError,
    errors.RateLimitedError,
    errors.ProviderBusyError,
}


def descendants(kind: type[SwitchboardError]) -> Iterator[type[SwitchboardError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__.startswith("switchboard."):
            yield subclass
            yield from descendants(subclass)


def body_of(reply: Reply) -> dict[str, Any]:
    event = reply.to_event()
    assert event["headers"]["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(event["body"])
    return body


def test_every_error_is_listed_in_this_file() -> None:
    assert set(descendants(SwitchboardError)) == set(CASES) | NEVER_ANSWERED


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_an_error_has_the_contracts_status_and_code(kind: type[SwitchboardError]) -> None:
    error, status, code = CASES[kind]

    reply = reply_to(error)
    body = body_of(reply)

    assert (reply.status, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"urn:switchboard:problem:{code}"
    assert body["title"]
    assert body["detail"].endswith(".")


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_only_errors_worth_repeating_have_a_retry_after(kind: type[SwitchboardError]) -> None:
    headers = reply_to(CASES[kind][0]).headers

    assert ("Retry-After" in headers) == (kind in WORTH_REPEATING)
    assert all(value.isdigit() and int(value) > 0 for name, value in headers.items() if name == "Retry-After")


def test_a_wrong_code_names_the_attempts_left() -> None:
    body = body_of(reply_to(errors.WrongCodeError("another", NAMES, attempts_left=2)))

    assert (body["verification_id"], body["attempts_left"]) == ("v1", 2)


@pytest.mark.parametrize("message", ["4 attempts left", "4 attempts left."], ids=["without a full stop", "with one"])
def test_a_detail_ends_with_one_full_stop(message: str) -> None:
    assert body_of(reply_to(errors.ResourceNotFoundError(message)))["detail"] == "4 attempts left."


@pytest.mark.parametrize(
    "kind",
    [errors.RecipientLimitError, errors.ClientLimitError, errors.DailyLimitError],
    ids=lambda kind: kind.__name__,
)
def test_a_usage_limit_says_when_its_window_ends(kind: type[errors.LimitExceededError]) -> None:
    error = kind("enough", retry_after_s=12345)

    assert reply_to(error).headers["Retry-After"] == "12345"
    assert reply_to(SubmissionFailedError(error, {"smsid": "a1"})).headers["Retry-After"] == "12345"


def test_an_exhausted_monthly_quota_says_when_the_next_month_begins() -> None:
    assert reply_to(CASES[errors.MonthlyQuotaExhaustedError][0]).headers["Retry-After"] == str(9 * 24 * 3600)


@pytest.mark.parametrize("kind", sorted(NEVER_ANSWERED | {SwitchboardError}, key=str), ids=lambda kind: kind.__name__)
def test_an_error_that_should_not_reach_a_caller_has_an_answer(kind: type[SwitchboardError]) -> None:
    assert problem_of(kind.__new__(kind)).status >= 400


@pytest.mark.parametrize(
    "kind", [errors.OutcomeUnknownError, errors.UnexpectedAnswerError], ids=lambda kind: kind.__name__
)
def test_an_unknown_outcome_is_never_called_unsent(kind: type[ProviderError]) -> None:
    reply = reply_to(provider_error(kind))
    body = body_of(reply)

    assert "nothing was sent" not in f"{body['title']} {body['detail']}".lower()
    assert "Retry-After" not in reply.headers


def test_an_unlisted_error_is_answered_like_its_nearest_ancestor() -> None:
    class NewRefusalError(errors.RefusedError):
        """A refusal that the table does not know."""

    assert problem_of(provider_error(NewRefusalError)) is PROBLEMS[errors.RefusedError]


def test_a_code_has_one_status() -> None:
    by_code: dict[str, set[int]] = {}
    for problem in PROBLEMS.values():
        by_code.setdefault(problem.code, set()).add(problem.status)

    assert all(len(statuses) == 1 for statuses in by_code.values())


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_message_of_a_provider_or_a_store_is_not_answered(kind: type[SwitchboardError]) -> None:
    answer = json.dumps(reply_to(CASES[kind][0]).to_event(), ensure_ascii=False)

    assert not any(word in answer for word in CANARY.split())


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda error: error, id="alone"),
        pytest.param(lambda error: SubmissionFailedError(error, {"smsid": "a1"}), id="as a submission's cause"),
    ],
)
def test_a_providers_code_and_request_id_are_named(wrap: Callable[[ProviderError], SwitchboardError]) -> None:
    body = body_of(reply_to(wrap(provider_error(errors.RefusedError))))

    assert (body["provider_code"], body["provider_request_id"]) == ("550", "r-1")


def test_a_provider_error_without_codes_names_none() -> None:
    body = body_of(reply_to(errors.NotSentError("x", provider="mediasms", operation="send_sms")))

    assert not {"provider_code", "provider_request_id", "smsid"} & set(body)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(errors.RequestInProgressError("busy", {"smsid": "a1"}), id="request in progress"),
        pytest.param(errors.IdempotencyKeyReusedError("taken", {"smsid": "a1"}), id="key reused"),
        pytest.param(SubmissionFailedError(provider_error(errors.RefusedError), {"smsid": "a1"}), id="refused"),
        pytest.param(
            SubmissionFailedError(errors.LockedOutError("open", reason="557"), {"smsid": "a1"}), id="locked out"
        ),
    ],
)
def test_an_error_about_a_message_names_the_message(error: SwitchboardError) -> None:
    assert body_of(reply_to(error))["smsid"] == "a1"


def test_a_repeated_error_is_marked_as_a_replay() -> None:
    cause = provider_error(errors.RefusedError)

    assert (
        reply_to(SubmissionFailedError(cause, {"smsid": "a1"}, replayed=True)).headers["Idempotent-Replayed"] == "true"
    )
    assert "Idempotent-Replayed" not in reply_to(SubmissionFailedError(cause, {"smsid": "a1"})).headers


def test_an_invalid_request_lists_every_problem() -> None:
    problems = [FieldProblem("to", "is odd", "invalid_phone_number"), FieldProblem("text", "is long", "too_long")]

    body = body_of(reply_to(errors.InvalidRequestError(*problems)))

    assert body["errors"] == [
        {"field": "to", "message": "is odd", "code": "invalid_phone_number"},
        {"field": "text", "message": "is long", "code": "too_long"},
    ]
