"""Reads the requests to the verification routes and writes their JSON (contract, "Verification by telephone")."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Any

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.one_time_codes import MAX_WRITTEN_LENGTH
from switchboard.domain.verification.verifications import MAX_RESENDS, ChannelView, VerificationState
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.http import BODY_LIMIT_BYTES, InboundRequest, Reply
from switchboard.ports.listing import Page
from switchboard.usecases.query import OrderFilter
from switchboard.usecases.verification.channels import VerificationView as View


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
    """Read the query as filter, limit and position. Raises like `parse_listing`."""
    return parse_listing(request, states=VerificationState)


def to_json(view: View) -> dict[str, Any]:
    """Write one verification in the contract's form."""
    verification, outcome = view.order, view.order.last_outcome
    verified_at, late_call_at = verification.verified_at, verification.late_call_at
    canceled_at, is_code = verification.canceled_at, verification.mode is VerificationMode.SMS_CODE
    return {
        "verification_id": verification.id,
        "to": verification.recipient,
        "state": view.status.state.value,
        "final": view.status.final,
        "mode": verification.mode.value,
        "lines": None if is_code else verification.lines.value,
        "call": verification.line or None,
        "holding_minutes": None if is_code else verification.holding_minutes,
        "valid_minutes": verification.holding_minutes if is_code else None,
        "resends_left": MAX_RESENDS - verification.resends_used if is_code else None,
        "expires_at": to_rfc3339(verification.expires_at),
        "verified_at": to_rfc3339(verified_at) if verified_at else None,
        "verified_by": verification.verified_by,
        "late_call_at": to_rfc3339(late_call_at) if late_call_at else None,
        "canceled_at": to_rfc3339(canceled_at) if canceled_at else None,
        "attempts_left": verification.attempts_left,
        "channels": [_channel_to_json(channel) for channel in view.channels],
        "provider": "mediasms",
        "provider_code": outcome.provider_code if outcome else None,
        "reference": verification.reference,
        "sequence": view.sequence,
        "created_at": to_rfc3339(verification.created_at),
        "updated_at": to_rfc3339(verification.updated_at),
    }


def _channel_to_json(channel: ChannelView) -> dict[str, Any]:
    return {
        "mode": channel.mode.value,
        "state": channel.state.value,
        "started_at": to_rfc3339(channel.started_at) if channel.started_at else None,
        "delivered_at": to_rfc3339(channel.delivered_at) if channel.delivered_at else None,
        "problem": channel.problem,
    }


def page_to_json(page: Page[View]) -> dict[str, Any]:
    """Write one page of verifications in the contract's form."""
    return {"items": [to_json(view) for view in page.items], "next": to_cursor(page.next_position)}


def to_reply(view: View, *, replayed: bool) -> Reply:
    """Answer with `202` if it is unknown whether the provider has accepted the verification, otherwise with `201`."""
    unknown = view.status.state is VerificationState.UNKNOWN
    headers = {"Location": f"/v1/verifications/{view.order.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Reply(HTTPStatus.ACCEPTED if unknown else HTTPStatus.CREATED, to_json(view), headers)
