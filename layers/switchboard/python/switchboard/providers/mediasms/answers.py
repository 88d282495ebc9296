"""Read MediaSMS' answer to a request: the response code in its body, or else its HTTP status."""

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


def find_code(body: bytes) -> str | None:
    """Return the three digits that a body consists of, or None.

    The document promises "HTML data" and "the code only"; integrations have seen plain text and JSON. So tags, white
    space and a byte order mark are ignored, and a JSON number or text, bare or as `result`, counts.
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


def read_receipt(status: int, body: bytes, *, delimited: bool, strict: bool, operation: str) -> Receipt:
    """Return the receipt that a whole answer stands for, or raise its error (section レスポンス一覧).

    Only a 2xx with code 200 means accepted. A code in the body goes before the HTTP status, except for HTTP 401, which
    the lock-out itself counts. An answer without a code in its body means:

    - HTTP 200 is a receipt that is not `verified`; `strict` makes it an UnexpectedAnswerError.
    - HTTP 503 with an empty body is the document's speed limit, and nothing was sent. HTTP 503 with another text may
      come from a gateway that has passed the request on, so the outcome is unknown. `strict` trusts only a body that
      says 503.
    - Other statuses are looked up like codes. 500, 502 and 504 are in no row. A gateway that answers with one of them
      may have passed the request on, so the outcome is unknown.
    - `delimited` is False if only the end of the connection ended the answer. The code may have been cut off, so the
      outcome is unknown. 401, 555 and 557 still stop the sending.

    Raises:
        ProviderError: the request was not accepted, or its outcome is unknown.
    """
    code_in_body = find_code(body)
    code = code_in_body or str(status)
    if status == 401 and REFUSALS.get(code) is not AddressBlockedError:
        code = "401"
    refusal = REFUSALS.get(code)

    def build_error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            f"{PROVIDER} {message}",
            provider=PROVIDER,
            operation=operation,
            http_status=status,
            provider_code=code,
        )

    if code_in_body is None and refusal not in _STOP_SENDING:
        if not delimited:
            raise build_error(OutcomeUnknownError, "gave an answer whose end may be missing")
        unsure_503 = refusal is RateLimitedError and (strict or body.strip())
        if unsure_503 or (strict and code == ACCEPTED_CODE):
            raise build_error(UnexpectedAnswerError, "gave an answer without a code")
    if code == ACCEPTED_CODE and 200 <= status < 300:
        return Receipt(provider_code=code, verified=code_in_body is not None)
    if refusal is not None:
        raise build_error(refusal, f"refused with code {code}")
    raise build_error(UnexpectedAnswerError, f"gave an answer that its document does not explain (code {code})")
