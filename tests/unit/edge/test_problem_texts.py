"""Every title and every detail that a caller may read, on one page, compared both ways with the code.

Names in braces stand for values. The details of our own errors are the messages with which the layer raises them. All
other details are in the table of edge/problems.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from switchboard.domain.errors import SwitchboardError
from switchboard.edge.problems import PROBLEMS, UNEXPECTED, Problem, problem_of
from tests.translated_template import ROOT
from tests.unit.edge.test_problems import descendants

LAYER: Final = ROOT / "layers" / "switchboard" / "python" / "switchboard"
# The entries of a queue have no caller who could read an answer.
WITHOUT_CALLER: Final = {
    LAYER / "edge" / name for name in ("recording_queue_entries.py", "transcription_queue_entries.py")
}

TITLES: Final = {
    "InvalidRequestError": "The request has invalid fields",
    "MalformedRequestError": "The request cannot be read",
    "PayloadTooLargeError": "The body is too large",
    "IdempotencyKeyReusedError": "This idempotency key or id belongs to another request",
    "SmsidTakenError": "This smsid is taken; nothing was sent",
    "RequestInProgressError": "The first request with this key or id is still in progress",
    "AlreadySubmittedError": "The message cannot be canceled any more",
    "RecipientSuppressedError": "This number is suppressed; nothing was sent",
    "VerificationOpenError": "Another verification of this number on this line is open",
    "CodeNotReadyError": "The code has not been read out yet",
    "AlreadyVerifiedError": "The number is verified already",
    "VerificationCanceledError": "The verification has been canceled",
    "WrongCodeError": "Wrong verification code",
    "ResendTooSoonError": "The last SMS was sent a moment ago; nothing was sent",
    "ResendsExhaustedError": "No resends left for this verification; nothing was sent",
    "VerificationExpiredError": "The verification has ended",
    "TooManyAttemptsError": "No attempts left for this verification",
    "ResourceNotFoundError": "No such resource, or it belongs to another client",
    "TranscriptNotFoundError": "No transcript of this recording",
    "TranscriptNotReadyError": "The transcript is not ready yet",
    "NotAcceptableError": "No form of this resource is acceptable to the caller",
    "KeyRevokedError": "This API key is revoked",
    "ScopeMissingError": "This API key lacks the scope of this route",
    "ClientUnknownError": "An API key is needed",
    "WebhookForbiddenError": "Forbidden: unknown webhook token",
    "WebhookUnreadableError": "The callback cannot be read",
    "StoreError": "Our storage does not answer; nothing was sent",
    "StoreRefusedError": "Unexpected error on our side",
    "UnreadableItemError": "Unexpected error on our side",
    "SlotUnavailableError": "No free slot at the provider now; nothing was sent",
    "LockedOutError": "Nothing is sent to the provider from this address now",
    "RecipientLimitError": "Usage limit of this number reached; nothing was sent",
    "WrongCodeLimitError": "Too many wrong codes for this number; the code was not checked",
    "ClientLimitError": "Usage limit of this client reached; nothing was sent",
    "DailyLimitError": "Daily limit of this deployment reached; nothing was sent",
    "CorrectionLimitError": "Daily limit of role corrections of this recording reached",
    "SubscriptionLimitError": "There is no room for another subscription",
    "SubscriptionDisabledError": "Nothing is posted to this subscription",
    "RecoveryInProgressError": "The last recovery of this subscription is in progress",
    "MonthlyQuotaExhaustedError": "Monthly quota of the provider used",
    "ProviderError": "The provider cannot be reached; nothing was sent",
    "ProviderBusyError": "The provider accepts no more at this moment; nothing was sent",
    "OutcomeUnknownError": "It is unknown whether the provider accepted the request",
    "AuthenticationFailedError": "The provider refuses this account or this address",
    "AddressBlockedError": "The provider refuses this account or this address",
    "QuotaExceededError": "The provider refuses this account or this address",
    "RefusedError": "The provider rejected the request",
    "SwitchboardError": "Unexpected error on our side",
}

DETAILS: Final = {
    "InvalidRequestError": {"Nothing was done. `errors` names each field and what is wrong with it."},
    "MalformedRequestError": {
        "The body is not a JSON object.",
        "The body is not well-formed JSON in UTF-8 with each name given once.",
    },
    "PayloadTooLargeError": {"The body is larger than {limit_bytes} bytes."},
    "IdempotencyKeyReusedError": {
        "This key belongs to another request. Use a new key.",
        "This key or id belongs to another request. Use a new one.",
    },
    "SmsidTakenError": {"Choose another smsid."},
    "ResendTooSoonError": {"The last SMS was sent a moment ago. Repeat the request after the time in Retry-After."},
    "ResendsExhaustedError": {"All {MAX_RESENDS} resends of this verification are used."},
    "RequestInProgressError": {
        "Another request about this verification is still under way. Repeat the request in a few seconds.",
        "The first request with this key or id is still under way. Repeat the request in a few seconds.",
    },
    "VerificationOpenError": {"Another verification has this number and line. Repeat the request later."},
    "CodeNotReadyError": {"The provider has not reported the code yet. Repeat the check in a few seconds."},
    "WrongCodeError": {"The code does not match. {left} attempt{...} left."},
    "AlreadyVerifiedError": {
        "A code verifies one caller, once. Start a new verification.",
        "A verified number stays verified: nothing was canceled.",
        "A verified number needs no code. Nothing was sent.",
    },
    "AlreadySubmittedError": {"The message was submitted, is being submitted, or is over: nothing was canceled."},
    "RecipientSuppressedError": {
        "Nothing is sent to a suppressed number by any route. DELETE /v1/suppressions/{number} ends the suppression."
    },
    "VerificationCanceledError": {"No code verifies it any more. Start a new verification."},
    "VerificationExpiredError": {
        "The verification is over. Start a new one.",
        "The verification was over before: nothing was canceled.",
    },
    "TooManyAttemptsError": {"All {MAX_ATTEMPTS} attempts for this verification are used."},
    "ResourceNotFoundError": {
        "No route has this path.",
        "No such resource, or it belongs to another client.",
        "No such recording.",
        "No such subscription, or it belongs to another client.",
        "This number is not suppressed.",
    },
    "TranscriptNotFoundError": {
        "The transcript was deleted.",
        "This recording has no transcript.",
        "This recording has no transcript: {status.reason}.",
    },
    "TranscriptNotReadyError": {"The transcript is {status.state}."},
    "NotAcceptableError": {"Accept one of {...}."},
    "KeyRevokedError": {"This key was revoked. Ask an operator for a new one."},
    "ScopeMissingError": {"This key lacks the scope {scope}. Ask an operator to add it."},
    "ClientUnknownError": {"Send a valid key in x-api-key."},
    "WebhookForbiddenError": {"The token in the path opens no webhook here, or not from this address."},
    "WebhookUnreadableError": {"The callback does not have the form that the provider documents."},
    "StoreError": {"Repeat the request with the same idempotency key after the time in Retry-After."},
    "StoreRefusedError": {"The error is logged. A repeat with the same idempotency key sends nothing twice."},
    "UnreadableItemError": {"The error is logged. A repeat with the same idempotency key sends nothing twice."},
    "SlotUnavailableError": {
        "The last of many attempts was a moment ago. Repeat the request later.",
        "The clock of this container is off by {ahead_s} s: try again.",
    },
    "RateLimitTimeoutError": {
        "No free slot within the waiting budget.",
        "No slot was free in time. Repeat the request later.",
        "The waiting budget of this request is used up.",
    },
    "ConcurrencyLimitError": {"All permits for requests in flight are taken."},
    "ConcurrencyExhaustedError": {"All permits for requests in flight are taken, and many requests wait for one."},
    "LockedOutError": {
        "The circuit of this egress address is open: an operator has to close it, see the runbook.",
        "The next slot is more than {...} s ahead: a clock was wrong, see the runbook.",
    },
    "RecipientLimitError": {"Limit per {last.span} of this number reached."},
    "WrongCodeLimitError": {
        "{self._per_hour} wrong codes were sent for this number in one hour. Repeat the check later."
    },
    "ClientLimitError": {"Limit per {window.span} of this client reached."},
    "CorrectionLimitError": {
        "This recording was corrected {MAX_CORRECTIONS} times today. Repeat the request tomorrow (JST)."
    },
    "DailyLimitError": {"Daily limit of this deployment reached; it resets at midnight JST."},
    "SubscriptionLimitError": {"A client has at most {MAX_SUBSCRIPTIONS} subscriptions. Delete one first."},
    "SubscriptionDisabledError": {
        "Enable the subscription first: PATCH it with the state active.",
        "An operator disabled the subscription. Ask an operator to enable it.",
    },
    "RecoveryInProgressError": {"It posts ten items a second. Begin another recovery after the time in Retry-After."},
    "MonthlyQuotaExhaustedError": {"All {self._provider} requests of {month.name} are used{remainder}."},
    "ProviderError": {"Repeat the request with the same idempotency key after the time in Retry-After."},
    "ProviderBusyError": {"Repeat the request with the same idempotency key after the time in Retry-After."},
    "OutcomeUnknownError": {
        "Do not repeat the request. Ask for the resource: its state follows what the provider reports."
    },
    "AuthenticationFailedError": {
        "Nothing was sent. An operator has to correct the credentials, the contract or the address."
    },
    "AddressBlockedError": {
        "Nothing was sent. An operator has to correct the credentials, the contract or the address."
    },
    "QuotaExceededError": {
        "Nothing was sent. An operator has to correct the credentials, the contract or the address."
    },
    "RefusedError": {"`provider_code` is the provider's reason. The same request will be rejected again."},
    "SwitchboardError": {"The error is logged. A repeat with the same idempotency key sends nothing twice."},
}


def details_in_the_table() -> Iterator[tuple[str, str]]:
    for kind, problem in PROBLEMS.items():
        if problem.detail is not None:
            yield kind.__name__, problem.detail


def details_in_messages() -> Iterator[tuple[str, str]]:
    """Yield class and message for each place that builds an error whose message a caller reads."""
    kinds = {kind.__name__ for kind in descendants(SwitchboardError) if problem_of(kind.__new__(kind)).detail is None}
    for path in sorted(LAYER.rglob("*.py")):
        if path in WITHOUT_CALLER:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                yield node.func.id, as_template(resolve_variable(node.args[0], tree))


def resolve_variable(message: ast.expr, tree: ast.AST) -> ast.expr:
    """Return the last value that the module assigns to a variable above its use; any other expression as it is."""
    if not isinstance(message, ast.Name):
        return message
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
    values = {
        node.lineno: node.value
        for node in assignments
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == message.id and node.lineno < message.lineno and node.value
    }
    return values[max(values)] if values else message


def as_template(message: ast.expr) -> str:
    """Write a message as a sentence with its values in braces, `{...}` for a computed one."""
    match message:
        case ast.Constant(value=str(text)):
            template = text
        case ast.JoinedStr(values=parts):
            template = "".join(_part_as_template(part) for part in parts)
        case _:
            pytest.fail(f"a caller reads this message, and it is no literal: {ast.unparse(message)}")
    return template if template.endswith(".") else f"{template}."


def _part_as_template(part: ast.expr) -> str:
    match part:
        case ast.FormattedValue(value=ast.Name() | ast.Attribute() as value):
            return f"{{{ast.unparse(value)}}}"
        case ast.FormattedValue():
            return "{...}"
        case _:
            return str(ast.literal_eval(part))


def test_every_title_is_on_this_page() -> None:
    assert {kind.__name__: problem.title for kind, problem in PROBLEMS.items()} == TITLES


def test_every_detail_is_on_this_page() -> None:
    details: dict[str, set[str]] = {}
    for kind, detail in [*details_in_the_table(), *details_in_messages()]:
        details.setdefault(kind, set()).add(detail)

    assert details == DETAILS


@pytest.mark.parametrize("problem", [*PROBLEMS.values(), UNEXPECTED], ids=lambda problem: problem.title)
def test_a_title_is_short_and_has_no_full_stop(problem: Problem) -> None:
    assert problem.title[0].isupper()
    assert not problem.title.endswith(".")
    assert len(problem.title) <= 65


@pytest.mark.parametrize("problem", [*PROBLEMS.values(), UNEXPECTED], ids=lambda problem: problem.title)
def test_a_detail_of_the_table_is_made_of_sentences(problem: Problem) -> None:
    assert problem.detail is None or (problem.detail[0].isupper() or problem.detail[0] == "`")
    assert problem.detail is None or problem.detail.endswith(".")


def test_the_pages_quote_titles_and_details_as_they_are() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    titles, details = re.findall(r'"title": "([^"]+)"', pages), re.findall(r'"detail": "([^"]+)"', pages)

    assert titles and details
    assert set(titles) <= set(TITLES.values())
    assert [detail for detail in details if not is_a_detail(detail)] == []


def is_a_detail(text: str) -> bool:
    """Tell whether a text is a detail of this page with values in the places of its names in braces."""
    templates = [template for kind in DETAILS.values() for template in kind]
    patterns = [".*".join(re.escape(part) for part in re.split(r"\{[^}]+\}", template)) for template in templates]
    return any(re.fullmatch(pattern, text) for pattern in patterns)
