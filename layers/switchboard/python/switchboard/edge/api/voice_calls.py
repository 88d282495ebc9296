"""Reads the requests to the call routes and writes their JSON (contract, "Voice notices (Baidu VMS)")."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.chinese_numbers import parse_chinese_number
from switchboard.domain.orders import Status
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.voice_calls import VoiceCall, VoiceCallContent, VoiceCallState
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.api.request_bodies import parse_body_as
from switchboard.edge.http import InboundRequest, Reply
from switchboard.usecases.query import OrderFilter, OrderList, OrderView
from switchboard.usecases.voice_call.place import PlaceCallCommand

View = OrderView[VoiceCall, Status[VoiceCallState]]


class PlaceCallBody(BaseModel):
    """The body of `POST /v1/calls`. The provider's package decides what the provider accepts of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    template_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    variables: Annotated[dict[str, Annotated[str, StringConstraints(max_length=5_000)]], Field(max_length=100)]
    play_times: Annotated[int, Field(ge=1, lt=100)] | None = None
    volume: Annotated[int, Field(ge=-20, lt=21)] | None = None
    tag: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = None
    show_number: Annotated[str, StringConstraints(min_length=1, max_length=30)] | None = None

    def command(self, *, client: str, idempotency_key: str | None) -> PlaceCallCommand:
        """Build the command.

        Raises:
            InvalidRequestError: `to` is no number.
        """
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


def parse_body(request: InboundRequest) -> PlaceCallBody:
    """Read the body of `POST /v1/calls`. Raises like `parse_body_as`."""
    return parse_body_as(PlaceCallBody, request)


def parse_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """Read `?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises like `parse_listing`."""
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
