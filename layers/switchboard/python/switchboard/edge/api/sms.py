"""Reads the requests to the SMS routes and writes their JSON (contract, "SMS (MediaSMS)")."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.errors import (
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    RecipientLimitError,
    SwitchboardError,
)
from switchboard.domain.orders import ORDER_ID
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.domain.sms.requests import ComposedSms, SmsRequest, SmsRules, compose
from switchboard.domain.sms.texts import Carrier
from switchboard.domain.timestamps import parse_timestamp, to_rfc3339
from switchboard.edge.api.pagination import parse_listing, to_cursor
from switchboard.edge.api.request_bodies import parse_body_as, validate
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.problems import field_problems_to_json, problem_of
from switchboard.usecases.query import OrderFilter, OrderList, OrderView
from switchboard.usecases.sms.send import SendSmsCommand
from switchboard.usecases.sms.send_batch import BatchItem

View = OrderView[Message, SmsStatus]

BATCH_LIMIT_BYTES = 1_048_576
_TEXT_LIMIT = 10_000

_Text = Annotated[str, StringConstraints(max_length=_TEXT_LIMIT)]


class SendSmsBody(BaseModel):
    """The body of `POST /v1/sms`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    text: _Text | None = None
    template_id: (
        Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")] | Annotated[int, Field(ge=0, lt=10**20)] | None
    ) = None
    text_au: _Text | None = None
    sender: Annotated[str, StringConstraints(max_length=100)] | None = None
    carrier: Annotated[Carrier, Field(strict=False)] | None = None
    smsid: Annotated[str, StringConstraints(pattern=f"^{ORDER_ID.pattern}$")] | None = None
    not_after: Annotated[str, StringConstraints(max_length=40)] | None = None
    dry_run: bool = False

    def request(self) -> SmsRequest:
        """Return what to send, without how and when."""
        return SmsRequest(
            to=self.to,
            text=self.text,
            text_au=self.text_au,
            template_id=None if self.template_id is None else str(self.template_id),
            sender=self.sender,
            carrier=self.carrier,
        )


class SendSmsBatchBody(BaseModel):
    """The body of `POST /v1/sms/batch`. Its messages are read one by one, so that a wrong one stops no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    messages: Annotated[list[Any], Field(min_length=1, max_length=100)]


def parse_body(request: InboundRequest) -> SendSmsBody:
    """Read the body of `POST /v1/sms`. Raises like `parse_body_as`."""
    return parse_body_as(SendSmsBody, request)


def parse_batch_body(request: InboundRequest, *, rules: SmsRules) -> list[SendSmsCommand | InvalidRequestError]:
    """Read the body of `POST /v1/sms/batch`: for each message its command, or what is wrong with it.

    Raises:
        MalformedRequestError: the body is no JSON object.
        PayloadTooLargeError: the body is larger than BATCH_LIMIT_BYTES.
        InvalidRequestError: the body is no list of messages.
    """
    body = parse_body_as(SendSmsBatchBody, request, limit_bytes=BATCH_LIMIT_BYTES)
    return [_parse_batch_message(message, rules=rules, client=request.client) for message in body.messages]


def _parse_batch_message(message: Any, *, rules: SmsRules, client: str) -> SendSmsCommand | InvalidRequestError:
    try:
        if not isinstance(message, dict):
            raise InvalidRequestError(FieldProblem("", "must be an object", "not_an_object"))
        body = validate(SendSmsBody, message)
        if body.dry_run:
            raise InvalidRequestError(FieldProblem("dry_run", "is not for batches", "not_in_batch"))
        return to_command(body, compose(body.request(), rules=rules), client=client, idempotency_key=None)
    except InvalidRequestError as error:
        return error


def to_command(body: SendSmsBody, composed: ComposedSms, *, client: str, idempotency_key: str | None) -> SendSmsCommand:
    """Build the command for a request that may be carried out.

    Raises:
        InvalidRequestError: the text may not be sent.
    """
    if composed.preflight is not None and not composed.fits:
        raise InvalidRequestError(*composed.preflight.field_problems())
    return SendSmsCommand(
        client=client,
        recipient=composed.recipient.e164,
        content=composed.content,
        measure=composed.measure,
        smsid=body.smsid,
        idempotency_key=idempotency_key,
        not_after=None if body.not_after is None else parse_timestamp(body.not_after, field="not_after"),
    )


def parse_filter(request: InboundRequest) -> tuple[OrderFilter, int, str | None]:
    """Read `?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises like `parse_listing`."""
    return parse_listing(request, states=SmsState)


def to_json(view: View, *, statuses: StatusTable) -> dict[str, Any]:
    """Write one message in the contract's form."""
    message, status = view.order, view.status
    outcome = message.last_outcome
    measure = message.measure
    return {
        "smsid": message.smsid,
        "to": message.recipient,
        "state": status.state.value,
        "final": status.final,
        "billable": status.billable,
        "provider": "mediasms",
        "provider_code": outcome.provider_code if outcome else None,
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
        "attempts": len(message.claims),
        "not_after": to_rfc3339(message.not_after) if message.not_after else None,
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
    """Answer with `201` once the provider has accepted the message, and with `202` while it waits or is unknown."""
    waiting = view.status.state in {SmsState.QUEUED, SmsState.UNKNOWN, SmsState.EXPIRED}
    headers = {"Location": f"/v1/sms/{view.order.smsid}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    status = HTTPStatus.ACCEPTED if waiting else HTTPStatus.CREATED
    return Reply(status, to_json(view, statuses=statuses), headers)


def preflight_to_json(composed: ComposedSms) -> dict[str, Any]:
    """Write the answer to `dry_run`. The text of a template is unknown here."""
    if composed.preflight is not None:
        return composed.preflight.as_json()
    unknown = dict.fromkeys(("characters", "bytes_sjis", "parts", "limit", "fits"))
    return {**unknown, "carriers": {}, "problems": []}


_ERROR_FIELDS: Final[dict[type[SwitchboardError], str]] = {
    RecipientLimitError: "to",
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
        return {"smsid": item.message.smsid, "state": item.state.value}
    if isinstance(item, InvalidRequestError):
        return {"errors": field_problems_to_json(item)}
    problem = problem_of(item)
    return {"errors": [{"field": _ERROR_FIELDS.get(type(item), ""), "message": problem.title, "code": problem.code}]}
