"""Reads Baidu VMS' answer to a call request: the receipt, or which of the document's errors it is."""

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
from switchboard.providers.baidu_vms.response_codes import EXPIRED_CODE, REFUSING_STATUSES, row_for
from switchboard.providers.transport import Answer

PROVIDER: Final = "baidu_vms"

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_FACT_LENGTH: Final = 256
_FACTS: Final = {"showNum": "show_number", "userDefinedTag": "tag"}


def is_expired(answer: Answer) -> bool:
    """The answer refuses the request for its signature's age."""
    said = _object_in(answer.body)
    row = row_for(_code_in(said) or "", "", answer.status)
    return row is not None and row.code == EXPIRED_CODE


def receipt_for(answer: Answer, *, operation: str) -> Receipt:
    """The receipt that a whole answer stands for, or the ProviderError raised (sections 响应 and 错误码).

    Accepted is only HTTP 200 with a `callId`. An empty `dateCreate` leaves such a receipt unverified: the document
    has it mean that there is no call. An error is one of the document's rows, whose message tells apart what shares
    a code. What is in no row:

    - A code that no row has, in the document's form of an error and with one of the statuses that it refuses
      requests with, is a RefusedError.
    - Everything else (a gateway's page, another status, a code that contradicts it, 200 without an id) has an
      unknown outcome.
    """
    said = _object_in(answer.body)
    code = _code_in(said)
    request_id = _request_id_in(said, answer.headers)
    if answer.status == 200 and (call_id := _call_id_in(said)):
        return _receipt(call_id, said, request_id)

    def error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            f"{PROVIDER} {message}",
            provider=PROVIDER,
            operation=operation,
            http_status=answer.status,
            provider_code=code,
            request_id=request_id,
        )

    message = said.get("message")
    text = message if isinstance(message, str) else ""
    if code is not None and (row := row_for(code, text, answer.status)):
        if issubclass(row.kind, OutcomeUnknownError):
            raise error(row.kind, f"failed with code {code}, and may have called")
        raise error(row.kind, f"refused with code {code}" + (f" ({row.message})" if row.message else ""))
    if code is not None and message is not None and answer.status in REFUSING_STATUSES:
        raise error(RefusedError, f"refused with code {code}, which its document does not list")
    raise error(UnexpectedAnswerError, f"gave an answer that its document does not explain (HTTP {answer.status})")


def _receipt(call_id: str, said: Mapping[str, Any], request_id: str | None) -> Receipt:
    facts = {"call_id": call_id}
    for theirs, ours in _FACTS.items():
        value = said.get(theirs)
        if isinstance(value, str) and 0 < len(value) <= _MAX_FACT_LENGTH and value.isprintable():
            facts[ours] = value
    created_at = _instant(said.get("dateCreate"))
    if created_at is not None:
        facts["created_at"] = to_rfc3339(created_at)
    if request_id is not None:
        facts["request_id"] = request_id
    return Receipt(verified=said.get("dateCreate") != "", facts=facts)


def _object_in(body: bytes) -> Mapping[str, Any]:
    """The JSON object that the body is, or an empty one. An object whose end was cut off is none."""
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _code_in(said: Mapping[str, Any]) -> str | None:
    code = said.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _call_id_in(said: Mapping[str, Any]) -> str | None:
    call_id = said.get("callId")
    return call_id if isinstance(call_id, str) and is_call_id(call_id) else None


def _request_id_in(said: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """The document's own example has a space before it."""
    for value in (said.get("requestId"), headers.get("x-bce-request-id")):
        if isinstance(value, str) and _REQUEST_ID.fullmatch(value.strip()):
            return value.strip()
    return None


def _instant(written: object) -> datetime | None:
    """A time in ISO 8601, UTC where it names no offset (section 日期与时间规范); None where it is none."""
    if not isinstance(written, str):
        return None
    try:
        instant = datetime.fromisoformat(written)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
