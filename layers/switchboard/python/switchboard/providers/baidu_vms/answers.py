"""Read Baidu VMS' answer to a call request: the receipt, or one of the document's errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from switchboard.domain.errors import OutcomeUnknownError, ProviderError, RefusedError, UnexpectedAnswerError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.voice_calls import is_call_id
from switchboard.ports.providers import Receipt
from switchboard.providers.baidu_vms.response_codes import EXPIRED_CODE, REFUSING_STATUSES, find_row
from switchboard.providers.transport import Answer

PROVIDER: Final = "baidu_vms"

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_TIME_DIGIT: Final = re.compile(r"[1-9]")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_FACT_LENGTH: Final = 256
_FACTS: Final = {"showNum": "show_number", "userDefinedTag": "tag"}


def is_expired(answer: Answer) -> bool:
    """Tell whether the answer refuses the request for its signature's age."""
    row = find_row(_find_code(_parse_object(answer.body)) or "", "", answer.status)
    return row is not None and row.code == EXPIRED_CODE


def read_receipt(answer: Answer, *, operation: str) -> Receipt:
    """Return the receipt that a whole answer stands for, or raise its error (sections 响应 and 错误码).

    Only HTTP 200 with a `callId` and a `dateCreate`, and without a `code` of any form, means accepted. By the document
    an empty `dateCreate` means that there is no call, but no error says so. An error is looked up in the document's
    table of codes. The message tells apart the rows that share a code. If no row fits:

    - An unlisted code is a RefusedError, if the body has the document's form of an error and the document refuses
      requests with that status.
    - Any other answer has an unknown outcome: a gateway's page, another status, a code that contradicts the status, or
      200 without an id or a time. The error's `facts` hold the call's id and the rest that it said.

    Raises:
        ProviderError: the call was not accepted, or its outcome is unknown.
    """
    body = _parse_object(answer.body)
    code = _find_code(body)
    request_id = _find_request_id(body, answer.headers)
    facts = _read_facts(body) if answer.status == 200 else {}
    if not body.get("code") and "call_id" in facts and _is_time(body.get("dateCreate")):
        return Receipt(facts=facts if request_id is None else {**facts, "request_id": request_id})

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
    unexplained = build_error(
        UnexpectedAnswerError, f"gave an answer that its document does not explain (HTTP {answer.status})"
    )
    unexplained.facts = facts
    raise unexplained


def _read_facts(body: Mapping[str, Any]) -> dict[str, str]:
    """Return what an answer says about a call, under our own names, or nothing if it names no call."""
    call_id = body.get("callId")
    # The document shows 32 hexadecimal digits and promises no form.
    if not isinstance(call_id, str) or not is_call_id(call_id):
        return {}
    facts = {"call_id": call_id}
    for baidu_name, our_name in _FACTS.items():
        value = body.get(baidu_name)
        if isinstance(value, str) and 0 < len(value) <= _MAX_FACT_LENGTH and value.isprintable():
            facts[our_name] = value
    created_at = _parse_instant(body.get("dateCreate"))
    if created_at is not None:
        facts["created_at"] = to_rfc3339(created_at)
    return facts


def _is_time(value: object) -> bool:
    """Return whether a `dateCreate` is more than empty. Its form is not checked: a time has a digit other than 0."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    return _TIME_DIGIT.search(str(value)) is not None


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
