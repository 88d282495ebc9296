"""Submits to Baidu VMS' POST /v1/call: one request under one token, whose bytes never change."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, timedelta
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
from switchboard.providers.baidu_vms.answers import PROVIDER, is_expired, receipt_for
from switchboard.providers.baidu_vms.parameters import CallRules, compose_body, is_call_body
from switchboard.providers.baidu_vms.signer import Credentials, canonical_query, signed_headers
from switchboard.providers.transport import Answer, Connection, split_endpoint

DEFAULT_BASE_URL: Final = "https://vms.baidubce.com"

_PATH: Final = "/v1/call"
_OPERATION: Final = "place_call"
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,64}")
_PAUSES: Final = tuple(timedelta(milliseconds=each) for each in (300, 600, 1200))
# A difference beyond that is no clock's: it would be a broken header.
_LARGEST_CLOCK_OFFSET: Final = timedelta(days=1)
_DEFAULT_RULES: Final = CallRules()
_DEFAULT_RETRY_BUDGET: Final = timedelta(seconds=5)
# None: no answer was heard.
_WORTH_ASKING_AGAIN: Final = frozenset({None, 500, 502, 503, 504})


class BaiduVmsClient:
    """Implements ports.Submitter[VoiceCallSubmission].

    `base_url` is an origin. `connection` is a Connection to it, made with the time-outs wanted; without one, a
    Connection with the usual ones is made. `credentials` is asked before each request. `signature_lifetime_s` is for
    how long a request that somebody kept could be repeated.

    `send_client_token` sends the submission's token with each request. The document promises in its general part
    that a repeated token has no second effect, and no SDK of the provider relies on it for calls. So only
    `rely_on_client_token` has this client send the same bytes again: after QueueFull, HTTP 500 and 502 to 504, and
    answers that were lost, with pauses, until `retry_budget` has passed since the first request.
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
        origin, path = split_endpoint(base_url, allow_plain_http=allow_plain_http)
        self._connection = connection or Connection(origin=origin, provider=PROVIDER, allow_plain_http=allow_plain_http)
        if path != "/" or self._connection.origin != origin:
            raise ConfigurationError("Baidu VMS' endpoint is an origin, and its connection leads there")
        if rely_on_client_token and not send_client_token:
            raise ConfigurationError("a token that is not sent cannot be relied on")
        if signature_lifetime_s < 1:
            raise ConfigurationError("a signature is valid for one second or more")
        self._host = str(origin).partition("://")[2]
        self._credentials = credentials
        self._clock = clock
        self._rules = rules
        self._send_client_token = send_client_token
        self._rely_on_client_token = rely_on_client_token
        self._retry_budget = retry_budget
        self._signature_lifetime_s = signature_lifetime_s
        self._clock_offset = timedelta(0)

    def compose(self, recipient_e164: str, content: VoiceCallContent) -> str:
        """The body of a VoiceCallSubmission: to be made once, and kept. Raises InvalidRequestError in our field names
        (`to`, `template_id`, `variables`, `play_times`, `volume`, `tag`, `show_number`). No I/O."""
        return compose_body(recipient_e164, content, rules=self._rules)

    def check(self, submission: VoiceCallSubmission) -> None:
        """Raises InvalidRequestError where this is no token, or no body that `compose` writes. No I/O."""
        if not _TOKEN.fullmatch(submission.token):
            raise InvalidRequestError(FieldProblem("token", "must be 1 to 64 visible ASCII characters"))
        if not is_call_body(submission.body):
            raise InvalidRequestError(FieldProblem("body", "is no call request"))

    def open(self) -> None:
        """Has credentials and a usable connection ready. Raises NotSentError, and what `credentials` raises."""
        self._credentials()
        self._connection.open()

    def submit(self, submission: VoiceCallSubmission) -> Receipt:
        """Submits one call. Raises InvalidRequestError like `check`, before anything is sent; NotSentError from the
        submission's `not_after` on; and the ProviderError tree (see `answers.receipt_for`).

        Once bytes have left and no answer said what became of them, nothing but a receipt settles it: a refusal of
        the same bytes later on says nothing about the first time.
        """
        self.check(submission)
        until = self._clock.now() + self._retry_budget
        if submission.not_after is not None:
            until = min(until, submission.not_after)
            if self._clock.now() >= submission.not_after:
                raise NotSentError(f"{PROVIDER} may have forgotten this token", provider=PROVIDER, operation=_OPERATION)
        lost: OutcomeUnknownError | None = None
        for pause in (*_PAUSES, None):
            try:
                return self._submit_once(submission)
            except ProviderError as error:
                if lost is None and isinstance(error, OutcomeUnknownError):
                    lost = error
                if pause is None or not self._may_repeat(error) or self._clock.now() + pause >= until:
                    raise lost or error from None
            self._clock.sleep_until(self._clock.now() + pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Lets go of the connection."""
        self._connection.close()

    def _may_repeat(self, error: ProviderError) -> bool:
        if not self._rely_on_client_token:
            return False
        lost = isinstance(error, OutcomeUnknownError) and error.http_status in _WORTH_ASKING_AGAIN
        return lost or isinstance(error, RateLimitedError)

    def _submit_once(self, submission: VoiceCallSubmission) -> Receipt:
        """Signs anew, once, where the first signature is refused for its age: by the document nothing was accepted."""
        answer = self._exchange(submission)
        if is_expired(answer):
            self._learn_clock_offset(answer)
            answer = self._exchange(submission)
        return receipt_for(answer, operation=_OPERATION)

    def _exchange(self, submission: VoiceCallSubmission) -> Answer:
        parameters = {"clientToken": submission.token} if self._send_client_token else {}
        query = canonical_query(parameters)
        headers = signed_headers(
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
            body=submission.body.encode("utf-8"),
            operation=_OPERATION,
        )

    def _learn_clock_offset(self, answer: Answer) -> None:
        """How far the provider's clock is ahead of ours, kept for later requests; unchanged where it does not tell."""
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, OverflowError):
            return
        aware = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
        offset = aware - self._clock.now()
        if abs(offset) <= _LARGEST_CLOCK_OFFSET:
            self._clock_offset = offset
