"""Reads the requests to the verification routes and writes their JSON (contract, "Verification by telephone")."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.orders import Status
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.requests import VerificationRequest
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationLines,
    VerificationMode,
    VerificationState,
)
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.api.request_bodies import parse_body_as
from switchboard.edge.http import InboundRequest, Reply
from switchboard.usecases.query import OrderFilter, OrderList, OrderView

View = OrderView[Verification, Status[VerificationState]]

_MAX_CODE_LENGTH = 64


class StartVerificationBody(BaseModel):
    """The body of `POST /v1/verifications`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    mode: Annotated[VerificationMode, Field(strict=False)]
    text: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    lines: Annotated[VerificationLines, Field(strict=False)] = VerificationLines.MOBILE
    line: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    holding_minutes: Annotated[int, Field(ge=0, lt=1_000)] | None = None
    repeat_calls: Annotated[int, Field(ge=0, lt=100)] | None = None

    def request(self) -> VerificationRequest:
        """Return what to verify, and how."""
        return VerificationRequest(
            to=self.to,
            mode=self.mode,
            text=self.text,
            lines=self.lines,
            line=self.line,
            holding_minutes=self.holding_minutes,
            repeat_calls=self.repeat_calls,
        )


class CheckVerificationBody(BaseModel):
    """The body of `POST /v1/verifications/{verification_id}/check`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    code: Annotated[str, StringConstraints(min_length=1, max_length=_MAX_CODE_LENGTH)]


def parse_body(request: InboundRequest) -> StartVerificationBody:
    """Read the body of `POST /v1/verifications`. Raises like `parse_body_as`."""
    return parse_body_as(StartVerificationBody, request)


def parse_check_body(request: InboundRequest) -> str:
    """Read the digits of the code, in any width and with any blanks between them.

    Raises like `parse_body_as`; the problem never repeats the code.
    """
    body = parse_body_as(CheckVerificationBody, request)
    code = "".join(unicodedata.normalize("NFKC", body.code).split())
    if not (code.isascii() and code.isdigit()):
        raise InvalidRequestError(FieldProblem("code", "must be digits"))
    return code


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
