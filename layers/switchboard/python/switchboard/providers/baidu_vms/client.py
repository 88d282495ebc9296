"""Submit to Baidu VMS' POST /v1/call: one request under one token, whose bytes never change."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from switchboard.domain.errors import (
    ConfigurationError,
    FieldProblem,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
)
from switchboard.domain.voice_calls import VoiceCallContent, VoiceCallSubmission
from switchboard.ports.clock import Clock
from switchboard.ports.providers import Receipt
from switchboard.providers.baidu_vms.answers import PROVIDER, is_expired, read_receipt
from switchboard.providers.baidu_vms.parameters import CallRules, compose_body, is_call_body
from switchboard.providers.baidu_vms.signer import Credentials, build_query, build_signed_headers
from switchboard.providers.transport import Answer, Connection, parse_endpoint

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
        """Submit one call (see `answers.read_receipt`).

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
