"""Reads the queries of the SMS routes and writes their JSON (contract, "SMS (MediaSMS)")."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from switchboard.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    RecipientLimitError,
    RecipientSuppressedError,
    SwitchboardError,
)
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.domain.sms.requests import ComposedSms
from switchboard.domain.timestamps import to_rfc3339
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.problems import field_problems_to_json, problem_of
from switchboard.usecases.query import OrderFilter, OrderList, OrderView
from switchboard.usecases.sms.send_batch import BatchItem

View = OrderView[Message, SmsStatus]


def parse_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """Read the query as filter, limit and position. Raises like `parse_listing`."""
    return parse_listing(request, states=SmsState)


def to_json(view: View, *, statuses: StatusTable) -> dict[str, Any]:
    """Write one message in the contract's form."""
    message, status = view.order, view.status
    outcome = message.last_outcome
    measure = message.measure
    return {
        "smsid": message.id,
        "to": message.recipient,
        "state": status.state.value,
        "final": status.final,
        "billable": status.billable,
        "provider": "mediasms",
        "provider_code": outcome.provider_code if outcome else None,
        "problem": outcome.problem if outcome else None,
        "reports": [
            {
                "status": status.code,
                "name": status.name,
                "meaning": status.meaning.value,
                "at": to_rfc3339(report.first_seen_at),
            }
            for report in message.reports
            for status in [statuses[report.status]]
        ],
        "evidence": [
            {"kind": "not_found_at_provider", "at": to_rfc3339(at)} for at in (message.not_found_at,) if at is not None
        ],
        "text": None
        if measure is None
        else {"characters": measure.characters, "bytes_sjis": measure.bytes_sjis, "parts": measure.parts},
        "reference": message.reference,
        "attempts": len(message.claims),
        "send_at": to_rfc3339(message.send_at) if message.send_at else None,
        "not_after": to_rfc3339(message.not_after) if message.not_after else None,
        "sequence": message.sequence,
        "created_at": to_rfc3339(message.created_at),
        "updated_at": to_rfc3339(message.updated_at),
    }


def page_to_json(page: OrderList[Message, SmsStatus], *, statuses: StatusTable) -> dict[str, Any]:
    """Write one page of messages in the contract's form."""
    return {
        "items": [to_json(view, statuses=statuses) for view in page.items],
        "next": to_cursor(page.next_position),
    }


def to_reply(view: View, *, statuses: StatusTable, replayed: bool) -> Reply:
    """Answer with `201` if the provider has accepted the message, and with `202` if not, or not for certain."""
    waiting = view.status.state in _NOT_ACCEPTED
    headers = {"Location": f"/v1/sms/{view.order.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    status = HTTPStatus.ACCEPTED if waiting else HTTPStatus.CREATED
    return Reply(status, to_json(view, statuses=statuses), headers)


_NOT_ACCEPTED: Final = frozenset(
    {SmsState.SCHEDULED, SmsState.CANCELED, SmsState.QUEUED, SmsState.UNKNOWN, SmsState.EXPIRED}
)


def preflight_to_json(composed: ComposedSms) -> dict[str, Any]:
    """Write the answer to `dry_run`. The text of a template is unknown here."""
    if composed.preflight is not None:
        return composed.preflight.as_json()
    unknown = dict.fromkeys(("characters", "bytes_sjis", "parts", "limit", "fits"))
    return {**unknown, "carriers": {}, "problems": []}


_ERROR_FIELDS: Final[dict[type[SwitchboardError], str]] = {
    RecipientLimitError: "to",
    RecipientSuppressedError: "to",
    IdempotencyKeyReusedError: "smsid",
}


def batch_to_reply(items: Sequence[BatchItem | SwitchboardError]) -> Reply:
    """Answer with each message's id and state, or with what is wrong with it, in the batch's order."""
    batch_items = [item for item in items if isinstance(item, BatchItem)]
    replayed = bool(batch_items) and all(item.replayed for item in batch_items)
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return Reply(HTTPStatus.ACCEPTED, {"items": [_batch_item_to_json(item) for item in items]}, headers)


def _batch_item_to_json(item: BatchItem | SwitchboardError) -> dict[str, Any]:
    if isinstance(item, BatchItem):
        return {"smsid": item.message.id, "state": item.state.value}
    if isinstance(item, InvalidRequestError):
        return {"errors": field_problems_to_json(item)}
    problem = problem_of(item)
    return {"errors": [{"field": _ERROR_FIELDS.get(type(item), ""), "message": problem.title, "code": problem.code}]}
