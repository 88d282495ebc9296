"""Reads the queries of the call routes and writes their JSON (contract, "Voice notices (Baidu VMS)")."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from switchboard.domain.chinese_numbers import parse_chinese_number
from switchboard.domain.orders import Status
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.http import InboundRequest, Reply
from switchboard.usecases.query import OrderFilter, OrderList, OrderView

View = OrderView[VoiceCall, Status[VoiceCallState]]


def parse_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """Read the query as filter, limit and position. Raises like `parse_listing`."""
    return parse_listing(request, states=VoiceCallState, parse_number=parse_chinese_number)


def to_json(view: View) -> dict[str, Any]:
    """Write one call in the contract's form."""
    voice_call, outcome = view.order, view.order.last_outcome
    return {
        "call_id": voice_call.call_id,
        "token": voice_call.token,
        "to": voice_call.recipient,
        "state": view.status.state.value,
        "final": view.status.final,
        "callback_expected": voice_call.callback_expected,
        "template_id": voice_call.template_id,
        "play_times": voice_call.play_times,
        "volume": voice_call.volume,
        "tag": voice_call.tag,
        "show_number": voice_call.shown_number,
        "provider": "baidu_vms",
        "provider_code": outcome.provider_code if outcome else None,
        "provider_request_id": voice_call.request_id,
        "reports": [{"result": report.result, "at": to_rfc3339(report.first_seen_at)} for report in voice_call.reports],
        "attempts": len(voice_call.claims),
        "placed_at": voice_call.placed_at,
        "reference": voice_call.reference,
        "sequence": voice_call.sequence,
        "created_at": to_rfc3339(voice_call.created_at),
        "updated_at": to_rfc3339(voice_call.updated_at),
    }


def page_to_json(page: OrderList[VoiceCall, Status[VoiceCallState]]) -> dict[str, Any]:
    """Write one page of calls in the contract's form."""
    return {"items": [to_json(view) for view in page.items], "next": to_cursor(page.next_position)}


def to_reply(view: View, *, replayed: bool) -> Reply:
    """Answer with `201` once the provider has accepted the call.

    Answer with `202` if that is unknown, or if the request is a repeat and nothing was sent.
    """
    headers = {"Location": f"/v1/calls/{view.order.token}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    status = HTTPStatus.CREATED if view.status.state is VoiceCallState.ACCEPTED else HTTPStatus.ACCEPTED
    return Reply(status, to_json(view), headers)
