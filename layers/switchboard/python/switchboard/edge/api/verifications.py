"""Reads the requests to the verification routes and writes their JSON (contract, "Verification by telephone")."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Any

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.orders import Status
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.one_time_codes import MAX_WRITTEN_LENGTH
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationState,
)
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.http import BODY_LIMIT_BYTES, InboundRequest, Reply
from switchboard.usecases.query import OrderFilter, OrderList, OrderView

View = OrderView[Verification, Status[VerificationState]]


def parse_check_body(request: InboundRequest) -> str:
    """Read the digits of the code, in any width and with any blanks between them.

    Raises like `parse_body_as`; the problem never repeats the code.
    """
    body = request.json_object(limit_bytes=BODY_LIMIT_BYTES)
    code = body.get("code")
    if not (len(body) == 1 and isinstance(code, str) and 1 <= len(code) <= MAX_WRITTEN_LENGTH):
        # Only a wrong body needs the model, which tells what is wrong with it.
        from switchboard.edge.api.bodies.verifications import validate_check_body  # noqa: PLC0415

        code = validate_check_body(body)
    digits = "".join(unicodedata.normalize("NFKC", code).split())
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidRequestError(FieldProblem("code", "must be digits"))
    return digits


def parse_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """Read `?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises like `parse_listing`."""
    return parse_listing(request, states=VerificationState)


def to_json(view: View) -> dict[str, Any]:
    """Write one verification in the contract's form."""
    verification, outcome = view.order, view.order.last_outcome
    verified_at, late_call_at = verification.verified_at, verification.late_call_at
    canceled_at = verification.canceled_at
    return {
        "verification_id": verification.id,
        "to": verification.recipient,
        "state": view.status.state.value,
        "final": view.status.final,
        "mode": verification.mode.value,
        "lines": verification.lines.value,
        "call": verification.line,
        "holding_minutes": verification.holding_minutes,
        "expires_at": to_rfc3339(verification.expires_at),
        "verified_at": to_rfc3339(verified_at) if verified_at else None,
        "late_call_at": to_rfc3339(late_call_at) if late_call_at else None,
        "canceled_at": to_rfc3339(canceled_at) if canceled_at else None,
        "attempts_left": verification.attempts_left,
        "provider": "mediasms",
        "provider_code": outcome.provider_code if outcome else None,
        "sequence": verification.sequence,
        "created_at": to_rfc3339(verification.created_at),
        "updated_at": to_rfc3339(verification.updated_at),
    }


def page_to_json(page: OrderList[Verification, Status[VerificationState]]) -> dict[str, Any]:
    """Write one page of verifications in the contract's form."""
    return {"items": [to_json(view) for view in page.items], "next": to_cursor(page.next_position)}


def to_reply(view: View, *, replayed: bool) -> Reply:
    """Answer with `202` if it is unknown whether the provider has accepted the verification, otherwise with `201`."""
    unknown = view.status.state is VerificationState.UNKNOWN
    headers = {"Location": f"/v1/verifications/{view.order.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Reply(HTTPStatus.ACCEPTED if unknown else HTTPStatus.CREATED, to_json(view), headers)
