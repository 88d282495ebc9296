"""Ask MediaSMS for the result of a message (SMS送達結果取得 API). Its form is known from a sister product only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from switchboard.domain.errors import ConfigurationError, UnexpectedAnswerError
from switchboard.ports.providers import InquiryAnswer
from switchboard.providers.mediasms.answers import PROVIDER, find_code, read_receipt
from switchboard.providers.mediasms.client import Credentials
from switchboard.providers.mediasms.response_codes import ACCEPTED_CODE, MAX_STATUS_LENGTH, status_code_of
from switchboard.providers.transport import Answer, Connection, parse_endpoint

_OPERATION: Final = "ask_result"


class MediaSmsResults:
    """The ports.ResultSource over the result API at `url`, with Basic authentication.

    `no_such_id_codes` are the response codes that mean "no such smsid". The document names none.
    """

    def __init__(
        self,
        *,
        url: str,
        credentials: Callable[[], Credentials],
        connection: Connection,
        no_such_id_codes: Collection[str] = (),
        allow_plain_http: bool = False,
    ) -> None:
        endpoint = parse_endpoint(url, allow_plain_http=allow_plain_http)
        if connection.origin != endpoint.origin:
            raise ConfigurationError("MediaSMS' connection leads to another origin than its result API")
        self._path = endpoint.path
        self._credentials = credentials
        self._connection = connection
        self._no_such_id_codes = frozenset(no_such_id_codes)

    def open(self) -> None:
        """Read the credentials and open a usable connection. Errors of `credentials` pass through.

        Raises:
            NotSentError: MediaSMS cannot be reached.
        """
        self._credentials()
        self._connection.open()

    def ask(self, order_id: str) -> InquiryAnswer:
        """Request once the status of the message with this smsid.

        Raises:
            ProviderError: MediaSMS refused the question, or gave no readable status.
        """
        headers = {"Authorization": self._credentials().authorization(), "Accept": "*/*"}
        target = f"{self._path}?smsid={order_id}"
        answer = self._connection.exchange("GET", target, headers=headers, operation=_OPERATION)
        return read_result(answer, no_such_id_codes=self._no_such_id_codes)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def read_result(answer: Answer, *, no_such_id_codes: Collection[str]) -> InquiryAnswer:
    """Return the result that a whole answer stands for, or raise its error.

    Line 1 of a 2xx is the code 200, line 2 the status as its name or number, in UTF-8 or Windows' Shift_JIS. Markup and
    JSON are no status. Every other answer is read like the answer to a sending: a bare code of `no_such_id_codes` means
    that the id is unknown, any other code refuses.

    Raises:
        ProviderError: MediaSMS refused the question, or gave no readable status.
    """
    code, status, *_ = [*_read_lines(answer.body), "", ""]
    if code == ACCEPTED_CODE and _is_status(status) and 200 <= answer.status < 300 and answer.delimited:
        return InquiryAnswer(status=status_code_of(status))
    found = find_code(answer.body)
    if found and found.bare and found.code in no_such_id_codes and answer.status != 401:
        return InquiryAnswer(status=None)
    read_receipt(answer.status, answer.body, delimited=answer.delimited, operation=_OPERATION)
    raise UnexpectedAnswerError(
        f"{PROVIDER} gave a result without a status",
        provider=PROVIDER,
        operation=_OPERATION,
        http_status=answer.status,
    )


def _read_lines(body: bytes) -> list[str]:
    """Return the lines that are not empty, or none if the body is in no known encoding."""
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            lines = body.decode(encoding).replace("\ufeff", "").replace("\r", "\n").split("\n")
            return [line.strip() for line in lines if line.strip()]
    return []


def _is_status(text: str) -> bool:
    """Return whether the text can be a status. A page and an object do not begin with a letter or digit."""
    return text[:1].isalnum() and len(text) <= MAX_STATUS_LENGTH and "<" not in text
