"""Reads the requests to the suppression routes and writes their JSON (contract, "SMS (MediaSMS)")."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import parse_phone_number
from switchboard.domain.suppressions import MAX_REASON_LENGTH, Suppression
from switchboard.domain.timestamps import to_rfc3339
from switchboard.edge.api.pagination import parse_cursor, parse_limit, parse_single_values, to_cursor
from switchboard.edge.http import InboundRequest
from switchboard.ports.listing import Page

_BODY_LIMIT_BYTES: Final = 4_096


def parse_number(request: InboundRequest) -> str:
    """Read the number in the path, escaped or not, and return it in E.164.

    Raises:
        InvalidRequestError: it is no number.
    """
    return parse_phone_number(unquote(request.path_params.get("number", "")), field="number").e164


def parse_reason(request: InboundRequest) -> str | None:
    """Read `{reason?}`. The body may be empty.

    Raises:
        MalformedRequestError: the body is no JSON object.
        PayloadTooLargeError: the body is larger than any reason.
        InvalidRequestError: with a problem for each field that is wrong.
    """
    if not request.body:
        return None
    body = request.json_object(limit_bytes=_BODY_LIMIT_BYTES)
    problems = [
        FieldProblem(name[:50], "is not a field of this request", "unknown_field") for name in body if name != "reason"
    ]
    reason = body.get("reason")
    if reason is not None and not (isinstance(reason, str) and 1 <= len(reason) <= MAX_REASON_LENGTH):
        problems.append(FieldProblem("reason", f"must be 1 to {MAX_REASON_LENGTH} characters"))
    if problems:
        raise InvalidRequestError(*problems)
    return reason


def parse_page(request: InboundRequest) -> tuple[int, str | None]:
    """Read `?limit=&cursor=` as limit and position.

    Raises:
        InvalidRequestError: with a problem for each parameter that is wrong.
    """
    values = parse_single_values(request.query, allowed=("limit", "cursor"))
    return parse_limit(values.get("limit")), parse_cursor(values.get("cursor"))


def to_json(suppression: Suppression) -> dict[str, Any]:
    """Write one suppression in the contract's form."""
    return {
        "number": suppression.number,
        "reason": suppression.reason,
        "created_at": to_rfc3339(suppression.created_at),
    }


def page_to_json(page: Page[Suppression]) -> dict[str, Any]:
    """Write one page of suppressions in the contract's form."""
    return {"items": [to_json(suppression) for suppression in page.items], "next": to_cursor(page.next_position)}
