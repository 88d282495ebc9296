"""Reads MediaSMS' answer to a request: the response code in its body, or else its HTTP status."""

from __future__ import annotations

import json
import re
from typing import Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    UnexpectedAnswerError,
)
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.response_codes import ACCEPTED_CODE, REFUSALS

PROVIDER: Final = "mediasms"

_TAG: Final = re.compile(r"<[^<>]*>")
_CODE: Final = re.compile(r"[0-9]{3}")
_MAX_LENGTH: Final = 4096
_STOP_SENDING: Final = (AuthenticationFailedError, AddressBlockedError)


def code_in(body: bytes) -> str | None:
    """The three digits that a body consists of, or None.

    The document promises "HTML data" and "the code only"; integrations have seen plain text and JSON. So tags,
    white space and a byte order mark are ignored, and a JSON number or text, bare or as `result`, counts.
    """
    if len(body) > _MAX_LENGTH:
        return None
    text = _TAG.sub("", body.decode("utf-8", "replace")).replace("\ufeff", "").strip()
    if _CODE.fullmatch(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = value.get("result")
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    digits = str(value).strip()
    return digits if _CODE.fullmatch(digits) else None


def receipt_for(status: int, body: bytes, *, delimited: bool, strict: bool, operation: str) -> Receipt:
    """The receipt that a whole answer stands for, or the ProviderError raised (section レスポンス一覧).

    Accepted is only a 2xx whose code is 200; a code in the body goes before the HTTP status, but for HTTP 401, which
    is the lock-out's own count. Where the body has no code:

    - HTTP 200 is a receipt that is not `verified`; `strict` makes it an UnexpectedAnswerError.
    - HTTP 503 with an empty body is the document's speed limit. With any other text it may be a gateway's, which
      may have passed the request on: a message is sent again only where it is certain that it was not sent.
      `strict` trusts only a body that says 503.
    - Other statuses are looked up like codes. 500, 502 and 504 are in no row: behind a gateway's error the request
      may have gone through, so the outcome is unknown.
    - `delimited` False (only the closing ended the answer) proves nothing, since the code may have been cut off:
      the outcome is unknown, except that 401, 555 and 557 stop the sending even so.
    """
    in_body = code_in(body)
    code = in_body or str(status)
    if status == 401 and REFUSALS.get(code) is not AddressBlockedError:
        code = "401"
    refusal = REFUSALS.get(code)

    def error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            f"{PROVIDER} {message}",
            provider=PROVIDER,
            operation=operation,
            http_status=status,
            provider_code=code,
        )

    if in_body is None and refusal not in _STOP_SENDING:
        if not delimited:
            raise error(OutcomeUnknownError, "gave an answer whose end may be missing")
        unsure_503 = refusal is RateLimitedError and (strict or body.strip())
        if unsure_503 or (strict and code == ACCEPTED_CODE):
            raise error(UnexpectedAnswerError, "gave an answer without a code")
    if code == ACCEPTED_CODE and 200 <= status < 300:
        return Receipt(provider_code=code, verified=in_body is not None)
    if refusal is not None:
        raise error(refusal, f"refused with code {code}")
    raise error(UnexpectedAnswerError, f"gave an answer that its document does not explain (code {code})")
