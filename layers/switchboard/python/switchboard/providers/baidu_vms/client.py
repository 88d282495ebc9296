"""Submit to Baidu VMS' POST /v1/call: one request under one token, whose bytes never change.

`read_receipt` reads the answer: the receipt, or one of the document's errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from switchboard.domain.errors import (
    ConfigurationError,
    FieldProblem,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.voice_calls import VoiceCallContent, VoiceCallSubmission, is_call_id
from switchboard.ports.clock import Clock
from switchboard.ports.providers import Receipt
from switchboard.providers.baidu_vms.parameters import CallRules, compose_body, is_call_body
from switchboard.providers.baidu_vms.response_codes import EXPIRED_CODE, REFUSING_STATUSES, find_row
from switchboard.providers.baidu_vms.signer import Credentials, build_query, build_signed_headers
from switchboard.providers.transport import Answer, Connection, parse_endpoint

PROVIDER: Final = "baidu_vms"
DEFAULT_BASE_URL: Final = "https://vms.baidubce.com"

_PATH: Final = "/v1/call"
_OPERATION: Final = "place_call"
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,64}")
_PAUSES: Final = tuple(timedelta(milliseconds=pause_ms) for pause_ms in (300, 600, 1200))
# A larger difference comes from a broken header and not from a clock.
_LARGEST_CLOCK_OFFSET: Final = timedelta(days=1)
_DEFAULT_RULES: Final = CallRules()
_DEFAULT_RETRY_BUDGET: Final = timedelta(seconds=5)
# None stands for no answer.
_REPEATABLE_STATUSES: Final = frozenset({None, 500, 502, 503, 504})

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_FACT_LENGTH: Final = 256
_FACTS: Final = {"showNum": "show_number", "userDefinedTag": "tag"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A call request with its body encoded, without a signature. Its token is not used from `not_after` on."""

    token: str
    body: bytes = field(repr=False)
    not_after: datetime | None


class BaiduVmsClient:
    """The ports.Submitter for a VoiceCallSubmission.

    `base_url` is an origin. `connection` is a Connection to it with the time-outs of the deployment; without one, the
    client makes a Connection with the default time-outs. `credentials` is called before each request.
    `signature_lifetime_s` is how long a recorded request could be repeated by a third party.

    `send_client_token` sends the submission's token with each request. The document promises in its general part that a
    repeated token has no second effect, and no SDK of the provider relies on it for calls. So this client sends the
    same bytes again only with `rely_on_client_token`: after QueueFull, after HTTP 500 and 502 to 504, and after lost
    answers, with pauses, until `retry_budget` has passed since the first request.
    """

    def __init__(
        self,
        *,
        credentials: Callable[[], Credentials],
        clock: Clock,
        base_url: str = DEFAULT_BASE_URL,
        connection: Connection | None = None,
        rules: CallRules = _DEFAULT_RULES,
        send_client_token: bool = True,
        rely_on_client_token: bool = False,
        retry_budget: timedelta = _DEFAULT_RETRY_BUDGET,
        signature_lifetime_s: int = 300,
        allow_plain_http: bool = False,
    ) -> None:
        endpoint = parse_endpoint(base_url, allow_plain_http=allow_plain_http)
        self._connection = connection or Connection(
            origin=endpoint.origin, provider=PROVIDER, allow_plain_http=allow_plain_http
        )
        if endpoint.path != "/" or self._connection.origin != endpoint.origin:
            raise ConfigurationError("Baidu VMS' endpoint must be an origin, and its connection must lead there")
        if rely_on_client_token and not send_client_token:
            raise ConfigurationError("a token that is not sent cannot be relied on")
        if signature_lifetime_s < 1:
            raise ConfigurationError("a signature must be valid for at least one second")
        self._host = str(endpoint.origin).partition("://")[2]
        self._credentials = credentials
        self._clock = clock
        self._rules = rules
        self._send_client_token = send_client_token
        self._rely_on_client_token = rely_on_client_token
        self._retry_budget = retry_budget
        self._signature_lifetime_s = signature_lifetime_s
        self._clock_offset = timedelta(0)

    def compose(self, recipient_e164: str, content: VoiceCallContent) -> str:
        """Write the body of a VoiceCallSubmission, without I/O. The caller composes it once and keeps it.

        Raises:
            InvalidRequestError: in our own field names (`to`, `template_id`, `variables`, `play_times`, `volume`,
                `tag`, `show_number`).
        """
        return compose_body(recipient_e164, content, rules=self._rules)

    def prepare(self, submission: VoiceCallSubmission) -> PreparedRequest:
        """Check the token and the composed body, without I/O.

        Raises:
            InvalidRequestError: this is not a token, or not a body that `compose` writes.
        """
        if not _TOKEN.fullmatch(submission.token):
            raise InvalidRequestError(FieldProblem("token", "must be 1 to 64 visible ASCII characters"))
        if not is_call_body(submission.body):
            raise InvalidRequestError(FieldProblem("body", "is not a call request"))
        return PreparedRequest(
            token=submission.token, body=submission.body.encode("utf-8"), not_after=submission.not_after
        )

    def open(self) -> None:
        """Read the credentials and open a usable connection. Errors of `credentials` pass through.

        Raises:
            NotSentError: Baidu VMS cannot be reached.
        """
        self._credentials()
        self._connection.open()

    def submit(self, prepared: PreparedRequest) -> Receipt:
        """Submit one call (see `read_receipt`).

        If bytes have left and no answer came, only a receipt decides the outcome: a later refusal of the same bytes
        says nothing about the first request.

        Raises:
            NotSentError: nothing has left, or the request's `not_after` has passed.
            ProviderError: Baidu VMS did not accept the call, or its outcome is unknown.
        """
        until = self._clock.now() + self._retry_budget
        if prepared.not_after is not None:
            until = min(until, prepared.not_after)
            if self._clock.now() >= prepared.not_after:
                raise NotSentError(f"{PROVIDER} may have forgotten this token", provider=PROVIDER, operation=_OPERATION)
        lost: OutcomeUnknownError | None = None
        for pause in (*_PAUSES, None):
            try:
                return self._submit_once(prepared)
            except ProviderError as error:
                if lost is None and isinstance(error, OutcomeUnknownError):
                    lost = error
                if pause is None or not self._may_repeat(error) or self._clock.now() + pause >= until:
                    raise lost or error from None
            self._clock.sleep_until(self._clock.now() + pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _may_repeat(self, error: ProviderError) -> bool:
        if not self._rely_on_client_token:
            return False
        lost = isinstance(error, OutcomeUnknownError) and error.http_status in _REPEATABLE_STATUSES
        return lost or isinstance(error, RateLimitedError)

    def _submit_once(self, prepared: PreparedRequest) -> Receipt:
        """Submit, and sign once more if the signature is refused for its age: by the document nothing was accepted."""
        answer = self._exchange(prepared)
        if is_expired(answer):
            self._learn_clock_offset(answer)
            answer = self._exchange(prepared)
        return read_receipt(answer, operation=_OPERATION)

    def _exchange(self, prepared: PreparedRequest) -> Answer:
        parameters = {"clientToken": prepared.token} if self._send_client_token else {}
        query = build_query(parameters)
        headers = build_signed_headers(
            credentials=self._credentials(),
            method="POST",
            host=self._host,
            path=_PATH,
            parameters=parameters,
            at=self._clock.now() + self._clock_offset,
            lifetime_s=self._signature_lifetime_s,
        )
        return self._connection.exchange(
            "POST",
            _PATH + (f"?{query}" if query else ""),
            headers={**headers, "Content-Type": "application/json; charset=utf-8"},
            body=prepared.body,
            operation=_OPERATION,
        )

    def _learn_clock_offset(self, answer: Answer) -> None:
        """Remember for later requests how far the provider's clock is ahead, if the answer has a usable date."""
        try:
            date = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, OverflowError):
            return
        offset = (date if date.tzinfo else date.replace(tzinfo=UTC)) - self._clock.now()
        if abs(offset) <= _LARGEST_CLOCK_OFFSET:
            self._clock_offset = offset


def is_expired(answer: Answer) -> bool:
    """Tell whether the answer refuses the request for its signature's age."""
    row = find_row(_find_code(_parse_object(answer.body)) or "", "", answer.status)
    return row is not None and row.code == EXPIRED_CODE


def read_receipt(answer: Answer, *, operation: str) -> Receipt:
    """Return the receipt that a whole answer stands for, or raise its error (sections 响应 and 错误码).

    Only HTTP 200 with a `callId` means accepted. An empty `dateCreate` leaves such a receipt unverified: by the
    document it means that there is no call. An error is looked up in the document's table of codes. The message tells
    apart the rows that share a code. If no row fits:

    - An unlisted code is a RefusedError, if the body has the document's form of an error and the document refuses
      requests with that status.
    - Any other answer has an unknown outcome: a gateway's page, another status, a code that contradicts the status, or
      200 without an id.

    Raises:
        ProviderError: the call was not accepted, or its outcome is unknown.
    """
    body = _parse_object(answer.body)
    code = _find_code(body)
    request_id = _find_request_id(body, answer.headers)
    if answer.status == 200 and (call_id := _find_call_id(body)):
        return _build_receipt(call_id, body, request_id)

    def build_error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            f"{PROVIDER} {message}",
            provider=PROVIDER,
            operation=operation,
            http_status=answer.status,
            provider_code=code,
            request_id=request_id,
        )

    message = body.get("message")
    text = message if isinstance(message, str) else ""
    if code is not None and (row := find_row(code, text, answer.status)):
        if issubclass(row.kind, OutcomeUnknownError):
            raise build_error(row.kind, f"failed with code {code}, and may have called")
        raise build_error(row.kind, f"refused with code {code}" + (f" ({row.message})" if row.message else ""))
    if code is not None and message is not None and answer.status in REFUSING_STATUSES:
        raise build_error(RefusedError, f"refused with code {code}, which its document does not list")
    raise build_error(
        UnexpectedAnswerError, f"gave an answer that its document does not explain (HTTP {answer.status})"
    )


def _build_receipt(call_id: str, body: Mapping[str, Any], request_id: str | None) -> Receipt:
    facts = {"call_id": call_id}
    for baidu_name, our_name in _FACTS.items():
        value = body.get(baidu_name)
        if isinstance(value, str) and 0 < len(value) <= _MAX_FACT_LENGTH and value.isprintable():
            facts[our_name] = value
    created_at = _parse_instant(body.get("dateCreate"))
    if created_at is not None:
        facts["created_at"] = to_rfc3339(created_at)
    if request_id is not None:
        facts["request_id"] = request_id
    return Receipt(verified=body.get("dateCreate") != "", facts=facts)


def _parse_object(content: bytes) -> Mapping[str, Any]:
    """Parse the JSON object, or return an empty one if there is none. An object whose end was cut off is none."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _find_code(body: Mapping[str, Any]) -> str | None:
    code = body.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _find_call_id(body: Mapping[str, Any]) -> str | None:
    call_id = body.get("callId")
    # The document shows 32 hexadecimal digits and promises no form.
    return call_id if isinstance(call_id, str) and is_call_id(call_id) else None


def _find_request_id(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """Find the request's id without surrounding spaces: the document's own example has one before it."""
    for value in (body.get("requestId"), headers.get("x-bce-request-id")):
        if isinstance(value, str) and _REQUEST_ID.fullmatch(value.strip()):
            return value.strip()
    return None


def _parse_instant(text: object) -> datetime | None:
    """Parse a time in ISO 8601, or return None. It is UTC if it names no offset (section 日期与时间规范)."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
