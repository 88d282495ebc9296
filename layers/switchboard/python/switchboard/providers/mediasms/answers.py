"""Read MediaSMS' answer to a request: the response code in its body, or else its HTTP status."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    SuspectedAuthenticationFailureError,
    UnexpectedAnswerError,
)
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.response_codes import ACCEPTED_CODE, REFUSALS

PROVIDER: Final = "mediasms"

_MAX_LENGTH: Final = 8192
"""The bytes of the longest body that is read. The parser of markup takes half a second for the worst body of it."""

_BARE_CODE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*([0-9]{3})\s*")
_CODE: Final = re.compile(r"[0-9]{3}")
_NUMBER: Final = re.compile(r"\d+")
_LABELS: Final = re.compile(r"(?:(?:error|code|status|result)[\s:;=_#(\[{<>'\"-]*)+", re.IGNORECASE)
_BEGINNING: Final = re.compile(rf"(?:{_LABELS.pattern})?(?P<code>[0-9]{{3}})(?![0-9A-Za-z_])", re.IGNORECASE)
_STOP_SENDING: Final = (AuthenticationFailedError, AddressBlockedError)


@dataclass(frozen=True, slots=True)
class CodeInBody:
    """The response code with which a body begins.

    `bare` means that the body shows nothing else. `only_number` means that it shows no other number.
    """

    code: str
    bare: bool = False
    only_number: bool = True


def find_code(body: bytes) -> CodeInBody | None:
    """Return the code of three digits with which the visible text of a body begins, or None.

    The document promises "HTML data" and "the code only"; integrations have seen plain text and JSON. Before the code
    only the words error, code, status and result may stand. In JSON a member named by such words counts wherever it
    is, because its members have no order.
    """
    bare = _BARE_CODE.fullmatch(body)
    if bare:
        return CodeInBody(bare[1].decode("ascii"), bare=True)
    if len(body) > _MAX_LENGTH:
        return None
    # The parsers cost 10 ms of a cold start, and a bare code needs none.
    from switchboard.providers.mediasms.answer_text import read_visible_texts  # noqa: PLC0415

    texts = read_visible_texts(body)
    beginnings = [
        match
        for visible in texts
        if (not visible.names or _LABELS.fullmatch(visible.names[-1])) and (match := _BEGINNING.match(visible.text))
    ]
    if not beginnings:
        return None
    code = beginnings[0]["code"]
    names = texts[0].names
    is_result = not names or (len(names) == 1 and "error" not in names[0])
    return CodeInBody(
        code,
        bare=len(texts) == 1 and texts[0].text == code and is_result,
        only_number={number for visible in texts for number in _NUMBER.findall(visible.text)} == {code},
    )


def read_receipt(status: int, body: bytes, *, delimited: bool, operation: str) -> Receipt:
    """Return the receipt that a whole answer stands for, or raise its error (section レスポンス一覧).

    Only a 2xx whose body shows the bare code 200 means accepted. A body refuses if it shows a bare code of the table,
    under any HTTP status, or begins with one and shows no other number. 503 has to be bare: a page that begins with it
    may come from a gateway that has passed the request on. Any other body leaves the decision to the HTTP status:

    - 401, 555 and 557 stop the sending. 401 goes before a code in the body, except for 555 and 557.
    - 503 with an empty body is the document's speed limit, and nothing was sent.
    - The other codes of the table refuse, unless the body begins with another code.
    - Any other status, 200 among them, has an unknown outcome. No code is made up from it.

    An unknown outcome counts towards the lock-out if the body begins with 401. `delimited` is False if only the end of
    the connection ended the answer. Its end may be missing, so only a bare code and what stops the sending count.

    Raises:
        ProviderError: the request was not accepted, or its outcome is unknown.
    """
    found = find_code(body)

    def build_error(kind: type[ProviderError], message: str, code: str | None) -> ProviderError:
        return kind(
            f"{PROVIDER} {message}", provider=PROVIDER, operation=operation, http_status=status, provider_code=code
        )

    bare_code = found.code if found and found.bare else None
    if bare_code == ACCEPTED_CODE and 200 <= status < 300:
        return Receipt(provider_code=bare_code)
    code = _find_refusal(status, body, found, delimited=delimited)
    if code is not None:
        raise build_error(REFUSALS[code], f"refused with code {code}", code)
    if not delimited and bare_code is None:
        raise build_error(OutcomeUnknownError, "gave an answer whose end may be missing", None)
    kind = UnexpectedAnswerError
    if found and REFUSALS.get(found.code) is AuthenticationFailedError:
        kind = SuspectedAuthenticationFailureError
    raise build_error(kind, f"gave an answer that its document does not explain (HTTP {status})", bare_code)


def _find_refusal(status: int, body: bytes, found: CodeInBody | None, *, delimited: bool) -> str | None:
    """Return the code of the table with which an answer refuses, or None."""
    in_body = found.code if found and _refuses(found, delimited=delimited) else None
    by_status = REFUSALS.get(str(status))
    if by_status is AuthenticationFailedError and REFUSALS.get(in_body or "") is not AddressBlockedError:
        return str(status)
    if in_body is not None:
        return in_body
    if by_status in _STOP_SENDING:
        return str(status)
    if by_status is None or found or not delimited or (by_status is RateLimitedError and body.strip()):
        return None
    return str(status)


def _refuses(found: CodeInBody, *, delimited: bool) -> bool:
    refusal = REFUSALS.get(found.code)
    if refusal is None or found.bare:
        return refusal is not None
    return found.only_number and refusal is not RateLimitedError and (delimited or refusal in _STOP_SENDING)
