"""Submits to MediaSMS' SMS送信/IVR認証 API: one request, one answer, never again by itself."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urlencode

from switchboard.domain.errors import ConfigurationError, FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber
from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.messages import SmsSubmission
from switchboard.domain.sms.shift_jis import normalise
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.answers import PROVIDER, receipt_for
from switchboard.providers.mediasms.parameters import CARRIER_DIGITS, OVERSEAS, SMS_ONLY, MediaSmsRequest
from switchboard.providers.transport import Connection, split_endpoint

MAX_GET_BYTES: Final = 8190

WireVariant = Literal["jis", "ms932", "as_is"]

_OUR_NAMES: Final = {
    "mobilecareer": "carrier",
    "mobilenumber": "to",
    "smstitle": "sender",
    "smstextid": "template_id",
    "smstext": "text",
    "smstext2": "text_au",
}
_TEXTS: Final = frozenset({"smstext", "smstext2"})
_MS932_FORM: Final = str.maketrans(
    {
        "\u301c": "\uff5e",  # WAVE DASH -> FULLWIDTH TILDE
        "\u2212": "\uff0d",  # MINUS SIGN -> FULLWIDTH HYPHEN-MINUS
        "\u2016": "\u2225",  # DOUBLE VERTICAL LINE -> PARALLEL TO
        "\u00a2": "\uffe0",  # CENT SIGN -> FULLWIDTH CENT SIGN
        "\u00a3": "\uffe1",  # POUND SIGN -> FULLWIDTH POUND SIGN
        "\u00ac": "\uffe2",  # NOT SIGN -> FULLWIDTH NOT SIGN
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The account's Basic credentials. Raises ConfigurationError where Basic could not carry them."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user or not (self.user + self.password).isprintable():
            raise ConfigurationError("MediaSMS' user is empty, holds a colon, or either is unprintable")

    def authorization(self) -> str:
        """The value of the Authorization header (RFC 7617, in UTF-8)."""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


class MediaSmsClient:
    """Implements ports.SmsProvider, and sends any other MediaSmsRequest.

    `base_url` is the whole endpoint. `connection` is a Connection to its origin, made with the time-outs wanted;
    without one, a Connection with the usual ones is made. `credentials` is asked before each request. `method` GET
    puts number and text into the URL: the document advises against it. `wire_variant` spells the characters that
    converters to Shift_JIS disagree on (〜 or ～) the JIS way, Microsoft's, or as the caller did. `long_text` is
    the contract's long-text option. `strict` accepts no answer without a readable code.
    """

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Callable[[], Credentials],
        connection: Connection | None = None,
        method: Literal["POST", "GET"] = "POST",
        wire_variant: WireVariant = "jis",
        request_reports: bool = True,
        long_text: bool = False,
        strict: bool = False,
        allow_plain_http: bool = False,
    ) -> None:
        origin, self._path = split_endpoint(base_url, allow_plain_http=allow_plain_http)
        self._connection = connection or Connection(origin=origin, provider=PROVIDER, allow_plain_http=allow_plain_http)
        if self._connection.origin != origin:
            raise ConfigurationError("MediaSMS' connection leads to another origin than its endpoint")
        self._credentials = credentials
        self._method = method
        self._wire_variant = wire_variant
        self._request_reports = request_reports
        self._long_text = long_text
        self._strict = strict

    def check(self, submission: SmsSubmission) -> None:
        """Raises InvalidRequestError, in our own field names, where the document does not take it. No I/O."""
        with named(_OUR_NAMES):
            self.check_request(self._request_for(submission))

    def check_request(self, request: MediaSmsRequest) -> None:
        """Raises InvalidRequestError where a GET would be longer than the document takes. No I/O."""
        self._message_for(request)

    def open(self) -> None:
        """Has credentials and a usable connection ready. Raises NotSentError, and what `credentials` raises."""
        self._credentials()
        self._connection.open()

    def submit(self, submission: SmsSubmission) -> Receipt:
        """Submits one SMS. Raises InvalidRequestError like `check`, before anything is sent, and what `request`
        raises."""
        with named(_OUR_NAMES):
            request = self._request_for(submission)
            return self.request(request, operation="send_sms")

    def request(self, request: MediaSmsRequest, *, operation: str = "request") -> Receipt:
        """Sends one request and reads its answer. Raises the ProviderError tree (see `answers.receipt_for`);
        InvalidRequestError, before anything is sent, where a GET would be longer than the document takes."""
        target, body = self._message_for(request)
        headers = {"Authorization": self._credentials().authorization(), "Accept": "*/*"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        answer = self._connection.exchange(self._method, target, headers=headers, body=body, operation=operation)
        return receipt_for(
            answer.status, answer.body, delimited=answer.delimited, strict=self._strict, operation=operation
        )

    def close(self) -> None:
        """Lets go of the connection."""
        self._connection.close()

    def _request_for(self, submission: SmsSubmission) -> MediaSmsRequest:
        content, recipient = submission.content, PhoneNumber(e164=submission.recipient)
        return MediaSmsRequest(
            mobilecareer=_carrier_digit(content.carrier, is_japanese=recipient.is_japanese),
            mobilenumber=recipient.national,
            smstitle=content.sender,
            smstextid=content.template_id,
            smstext=content.text,
            smstext2=content.text_au,
            status=int(self._request_reports),
            smsid=submission.smsid,
            method=SMS_ONLY,
            long_text=self._long_text,
        )

    def _message_for(self, request: MediaSmsRequest) -> tuple[str, bytes | None]:
        """The request target and the body. Raises InvalidRequestError where a GET would be too long."""
        encoded = urlencode([(name, self._spelled(name, value)) for name, value in request.form_fields()])
        if self._method == "POST":
            return self._path, encoded.encode("ascii")
        target = f"{self._path}?{encoded}"
        # The document limits the request and, in code 414's row, the URL: the longer of the two must fit.
        longest = max(len(f"{self._connection.origin}{target}"), len(f"GET {target} HTTP/1.1"))
        if longest > MAX_GET_BYTES:
            message = f"makes the GET request longer than {MAX_GET_BYTES} bytes"
            raise InvalidRequestError(FieldProblem(field="smstext", message=message, code="too_long"))
        return target, None

    def _spelled(self, name: str, value: str) -> str:
        if name not in _TEXTS or self._wire_variant == "as_is":
            return value
        normal = normalise(value)
        return normal.translate(_MS932_FORM) if self._wire_variant == "ms932" else normal


@contextmanager
def named(our_names: Mapping[str, str]) -> Iterator[None]:
    """Names the fields as our callers know them: the document's spelling stays in this package."""
    try:
        yield
    except InvalidRequestError as error:
        renamed = [replace(each, field=our_names.get(each.field, each.field)) for each in error.problems]
        raise InvalidRequestError(*renamed) from None


def _carrier_digit(carrier: str | None, *, is_japanese: bool) -> str | None:
    """The document's `mobilecareer`. A number outside Japan goes overseas, and never to a Japanese carrier."""
    if carrier is None:
        return None if is_japanese else OVERSEAS
    try:
        digit = CARRIER_DIGITS[Carrier(carrier)]
    except ValueError:
        raise InvalidRequestError(FieldProblem(field="mobilecareer", message="is no carrier we know")) from None
    if (digit == OVERSEAS) is is_japanese:
        raise InvalidRequestError(
            FieldProblem(field="mobilecareer", message="does not go with the number's country", code="conflict")
        )
    return digit
