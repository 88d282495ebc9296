"""The call routes' JSON: what callers may write, and what they read back (contract, "Voice notices (Baidu VMS)")."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.chinese_numbers import parse_chinese_number
from switchboard.domain.orders import Status
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.voice_calls import VoiceCall, VoiceCallContent, VoiceCallState
from switchboard.edge.api.pagination import cursor_of, parse_listing
from switchboard.edge.api.request_bodies import BODY_LIMIT_BYTES, validated
from switchboard.edge.http import InboundRequest, Reply
from switchboard.usecases.query import OrderFilter, OrderList, OrderView
from switchboard.usecases.voice_call.place import PlaceCallCommand

View = OrderView[VoiceCall, Status[VoiceCallState]]


class PlaceCallBody(BaseModel):
    """`POST /v1/calls`. What the provider takes of it is for the provider's package to say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    template_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    variables: Annotated[dict[str, Annotated[str, StringConstraints(max_length=5_000)]], Field(max_length=100)]
    play_times: Annotated[int, Field(ge=1, lt=100)] | None = None
    volume: Annotated[int, Field(ge=-20, lt=21)] | None = None
    tag: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = None
    show_number: Annotated[str, StringConstraints(min_length=1, max_length=30)] | None = None

    def command(self, *, client: str, idempotency_key: str | None) -> PlaceCallCommand:
        """What is asked for. Raises InvalidRequestError where `to` is no number."""
        return PlaceCallCommand(
            client=client,
            recipient=parse_chinese_number(self.to).e164,
            content=VoiceCallContent(
                template_id=self.template_id,
                variables=self.variables,
                play_times=self.play_times,
                volume=self.volume,
                tag=self.tag,
                show_number=self.show_number,
            ),
            idempotency_key=idempotency_key,
        )


def parse_call_body(request: InboundRequest) -> PlaceCallBody:
    """Raises MalformedRequestError, PayloadTooLargeError, or InvalidRequestError with a problem a field."""
    return validated(PlaceCallBody, request.json_object(limit_bytes=BODY_LIMIT_BYTES))


def parse_call_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """`?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises InvalidRequestError."""
    return parse_listing(request, states=VoiceCallState, parse_number=parse_chinese_number)


def call_json(view: View) -> dict[str, Any]:
    """One call as the contract shows it."""
    call, outcome = view.order, view.order.last_outcome
    return {
        "call_id": call.call_id,
        "token": call.token,
        "to": call.recipient,
        "state": view.status.state.value,
        "final": view.status.final,
        "callback_expected": call.callback_expected,
        "template_id": call.template_id,
        "play_times": call.play_times,
        "volume": call.volume,
        "tag": call.tag,
        "show_number": call.shown_number,
        "provider": "baidu_vms",
        "provider_code": outcome.provider_code if outcome else None,
        "provider_request_id": call.request_id,
        "reports": [{"result": report.result, "at": to_rfc3339(report.first_seen_at)} for report in call.reports],
        "attempts": len(call.claims),
        "placed_at": call.placed_at,
        "created_at": to_rfc3339(call.created_at),
        "updated_at": to_rfc3339(call.updated_at),
    }


def placed_reply(view: View, *, replayed: bool) -> Reply:
    """`201` once the provider has taken it; `202` where nobody can know, or a repeat finds that nothing was sent."""
    headers = {"Location": f"/v1/calls/{view.order.token}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    status = HTTPStatus.CREATED if view.status.state is VoiceCallState.ACCEPTED else HTTPStatus.ACCEPTED
    return Reply(status, call_json(view), headers)


def calls_json(page: OrderList[VoiceCall, Status[VoiceCallState]]) -> dict[str, Any]:
    return {"items": [call_json(view) for view in page.items], "next": cursor_of(page.next_position)}
