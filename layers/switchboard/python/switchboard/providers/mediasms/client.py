"""Submit to MediaSMS' SMS送信/IVR認証 API: one request, one answer, never repeated by itself."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urlencode

from switchboard.domain.errors import ConfigurationError, FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber
from switchboard.domain.sms.messages import SmsSubmission
from switchboard.domain.sms.texts import Carrier, normalise
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.answers import PROVIDER, read_receipt
from switchboard.providers.mediasms.parameters import CARRIER_DIGITS, OVERSEAS, SMS_ONLY, MediaSmsRequest
from switchboard.providers.transport import Connection, parse_endpoint

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
    """The account's Basic credentials.

    Raises:
        ConfigurationError: Basic authentication cannot carry them.
    """

    user: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user or not (self.user + self.password).isprintable():
            raise ConfigurationError("MediaSMS' user is empty, holds a colon, or either is unprintable")

    def authorization(self) -> str:
        """Build the value of the Authorization header (RFC 7617, in UTF-8)."""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request with its form encoded, without credentials. `body` is None for a GET."""

    target: str = field(repr=False)
    body: bytes | None = field(repr=False)
    operation: str


class MediaSmsClient:
    """The ports.Submitter for an SmsSubmission, which also sends any other MediaSmsRequest.

    `base_url` is the whole endpoint. `connection` is a Connection to its origin with the time-outs of the deployment;
    without one, the client makes a Connection with the default time-outs. `credentials` is called before each request.
    `method` GET puts number and text into the URL: the document advises against it. `wire_variant` spells the
    characters on which converters to Shift_JIS disagree (〜 or ～) the JIS way, Microsoft's way, or as the caller did.
    `long_text` is the contract's long-text option.
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
        allow_plain_http: bool = False,
    ) -> None:
        endpoint = parse_endpoint(base_url, allow_plain_http=allow_plain_http)
        self._path = endpoint.path
        self._connection = connection or Connection(
            origin=endpoint.origin, provider=PROVIDER, allow_plain_http=allow_plain_http
        )
        if self._connection.origin != endpoint.origin:
            raise ConfigurationError("MediaSMS' connection leads to another origin than its endpoint")
        self._credentials = credentials
        self._method = method
        self._wire_variant = wire_variant
        self._request_reports = request_reports
        self._long_text = long_text

    def prepare(self, submission: SmsSubmission) -> PreparedRequest:
        """Measure the text and encode the form, without I/O.

        Raises:
            InvalidRequestError: the document does not allow the submission. The fields have our own names.
        """
        with rename_fields(_OUR_NAMES):
            return self.prepare_request(self._build_request(submission), operation="send_sms")

    def prepare_request(self, request: MediaSmsRequest, *, operation: str) -> PreparedRequest:
        """Encode the form of any request, without I/O. `operation` names it in errors.

        Raises:
            InvalidRequestError: the GET request would be longer than the document allows.
        """
        form = urlencode([(name, self._spell(name, value)) for name, value in request.form_fields()])
        if self._method == "POST":
            return PreparedRequest(target=self._path, body=form.encode("ascii"), operation=operation)
        target = f"{self._path}?{form}"
        # The document limits the request and, in the row of code 414, the URL: the longer of the two must fit.
        longest = max(len(f"{self._connection.origin}{target}"), len(f"GET {target} HTTP/1.1"))
        if longest > MAX_GET_BYTES:
            message = f"makes the GET request longer than {MAX_GET_BYTES} bytes"
            raise InvalidRequestError(FieldProblem(field="smstext", message=message, code="too_long"))
        return PreparedRequest(target=target, body=None, operation=operation)

    def open(self) -> None:
        """Read the credentials and open a usable connection. Errors of `credentials` pass through.

        Raises:
            NotSentError: MediaSMS cannot be reached.
        """
        self._credentials()
        self._connection.open()

    def submit(self, prepared: PreparedRequest) -> Receipt:
        """Send one request and read its answer (see `answers.read_receipt`).

        Raises:
            ProviderError: MediaSMS did not accept the request, or its outcome is unknown.
        """
        headers = {"Authorization": self._credentials().authorization(), "Accept": "*/*"}
        if prepared.body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        answer = self._connection.exchange(
            self._method, prepared.target, headers=headers, body=prepared.body, operation=prepared.operation
        )
        return read_receipt(answer.status, answer.body, delimited=answer.delimited, operation=prepared.operation)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _build_request(self, submission: SmsSubmission) -> MediaSmsRequest:
        content, recipient = submission.content, PhoneNumber(e164=submission.recipient)
        return MediaSmsRequest(
            mobilecareer=_choose_carrier_digit(content.carrier, is_japanese=recipient.is_japanese),
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

    def _spell(self, name: str, value: str) -> str:
        if name not in _TEXTS or self._wire_variant == "as_is":
            return value
        normal = normalise(value)
        return normal.translate(_MS932_FORM) if self._wire_variant == "ms932" else normal


@contextmanager
def rename_fields(our_names: Mapping[str, str]) -> Iterator[None]:
    """Rename the fields of an InvalidRequestError: the document's spelling stays in this package."""
    try:
        yield
    except InvalidRequestError as error:
        renamed = [replace(problem, field=our_names.get(problem.field, problem.field)) for problem in error.problems]
        raise InvalidRequestError(*renamed) from None


def _choose_carrier_digit(carrier: str | None, *, is_japanese: bool) -> str | None:
    """Return the document's `mobilecareer`. A number outside Japan goes overseas, never to a Japanese carrier."""
    if carrier is None:
        return None if is_japanese else OVERSEAS
    try:
        digit = CARRIER_DIGITS[Carrier(carrier)]
    except ValueError:
        raise InvalidRequestError(FieldProblem(field="mobilecareer", message="is an unknown carrier")) from None
    if (digit == OVERSEAS) is is_japanese:
        raise InvalidRequestError(
            FieldProblem(
                field="mobilecareer", message="does not serve the country of the recipient's number", code="conflict"
            )
        )
    return digit
