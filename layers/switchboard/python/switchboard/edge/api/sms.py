"""The SMS routes' JSON: what callers may write, and what they read back (contract, "SMS (MediaSMS)")."""

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
from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.delivery import StatusTable
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.domain.sms.requests import ComposedSms, SmsRequest, SmsRules, compose
from switchboard.domain.timestamps import parse_timestamp, to_rfc3339
from switchboard.edge.api.pagination import cursor_of, parse_listing
from switchboard.edge.api.request_bodies import BODY_LIMIT_BYTES, validated
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.problems import problem_of, problems_json
from switchboard.usecases.query import OrderFilter, OrderList, OrderView
from switchboard.usecases.sms.send import SendSmsCommand
from switchboard.usecases.sms.send_batch import BatchItem

BATCH_LIMIT_BYTES = 1_048_576
_TEXT_LIMIT = 10_000

_Text = Annotated[str, StringConstraints(max_length=_TEXT_LIMIT)]


class SendSmsBody(BaseModel):
    """`POST /v1/sms`."""

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
        """What is asked for, apart from how and when it is to be sent."""
        return SmsRequest(
            to=self.to,
            text=self.text,
            text_au=self.text_au,
            template_id=None if self.template_id is None else str(self.template_id),
            sender=self.sender,
            carrier=self.carrier,
        )


class SendSmsBatchBody(BaseModel):
    """`POST /v1/sms/batch`. Each message is read for itself, so that one that is wrong stops no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    messages: Annotated[list[Any], Field(min_length=1, max_length=100)]


def parse_send_body(request: InboundRequest) -> SendSmsBody:
    """Raises MalformedRequestError, PayloadTooLargeError, or InvalidRequestError with a problem a field."""
    return validated(SendSmsBody, request.json_object(limit_bytes=BODY_LIMIT_BYTES))


def parse_batch(request: InboundRequest, *, rules: SmsRules) -> list[SendSmsCommand | InvalidRequestError]:
    """What each message of a batch asks for, or what is wrong with it.

    Raises MalformedRequestError, PayloadTooLargeError, or InvalidRequestError where it is no list of messages.
    """
    body = validated(SendSmsBatchBody, request.json_object(limit_bytes=BATCH_LIMIT_BYTES))
    return [_batch_command(message, rules=rules, client=request.client) for message in body.messages]


def _batch_command(message: Any, *, rules: SmsRules, client: str) -> SendSmsCommand | InvalidRequestError:
    try:
        if not isinstance(message, dict):
            raise InvalidRequestError(FieldProblem("", "must be an object", "not_an_object"))
        body = validated(SendSmsBody, message)
        if body.dry_run:
            raise InvalidRequestError(FieldProblem("dry_run", "is not for batches", "not_in_batch"))
        return send_command(body, compose(body.request(), rules=rules), client=client, idempotency_key=None)
    except InvalidRequestError as error:
        return error


def send_command(
    body: SendSmsBody, composed: ComposedSms, *, client: str, idempotency_key: str | None
) -> SendSmsCommand:
    """The command for a request that may be carried out. Raises InvalidRequestError where its text may not be sent."""
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
    """`?to=&state=&since=&until=&limit=&cursor=` as filter, limit and position. Raises InvalidRequestError."""
    return parse_listing(request, states=SmsState)


def view_json(view: OrderView[Message, SmsStatus], *, statuses: StatusTable) -> dict[str, Any]:
    """One message as the contract shows it."""
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
            for report in message.recipient_reports
            for status in [statuses[report.status]]
        ],
        "text": None
        if measure is None
        else {"characters": measure.characters, "bytes_sjis": measure.bytes_sjis, "parts": measure.parts},
        "attempts": len(message.claims),
        "not_after": to_rfc3339(message.not_after) if message.not_after else None,
        "created_at": to_rfc3339(message.created_at),
        "updated_at": to_rfc3339(message.updated_at),
    }


def preflight_json(composed: ComposedSms) -> dict[str, Any]:
    """The answer to `dry_run`. Of a template's text nothing is known here."""
    if composed.preflight is not None:
        return composed.preflight.as_json()
    unknown = dict.fromkeys(("characters", "bytes_sjis", "parts", "limit", "fits"))
    return {**unknown, "carriers": {}, "problems": []}


def sent_reply(view: OrderView[Message, SmsStatus], *, statuses: StatusTable, replayed: bool) -> Reply:
    """`201` once the provider has taken it, `202` while it waits or nobody can know."""
    waiting = view.status.state in {SmsState.QUEUED, SmsState.UNKNOWN, SmsState.EXPIRED}
    headers = {"Location": f"/v1/sms/{view.order.smsid}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    status = HTTPStatus.ACCEPTED if waiting else HTTPStatus.CREATED
    return Reply(status, view_json(view, statuses=statuses), headers)


_FIELD_OF: Final[dict[type[SwitchboardError], str]] = {RecipientLimitError: "to", IdempotencyKeyReusedError: "smsid"}


def batch_reply(items: Sequence[BatchItem | SwitchboardError]) -> Reply:
    """What became of each message, in the batch's order: its id and state, or what was wrong."""
    taken = [item for item in items if isinstance(item, BatchItem)]
    replayed = bool(taken) and all(item.replayed for item in taken)
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return Reply(HTTPStatus.ACCEPTED, {"items": [_item_json(item) for item in items]}, headers)


def _item_json(item: BatchItem | SwitchboardError) -> dict[str, Any]:
    if isinstance(item, BatchItem):
        return {"smsid": item.message.smsid, "state": item.state.value}
    if isinstance(item, InvalidRequestError):
        return {"errors": problems_json(item)}
    problem = problem_of(item)
    return {"errors": [{"field": _FIELD_OF.get(type(item), ""), "message": problem.title, "code": problem.code}]}


def list_json(page: OrderList[Message, SmsStatus], *, statuses: StatusTable) -> dict[str, Any]:
    return {
        "items": [view_json(view, statuses=statuses) for view in page.items],
        "next": cursor_of(page.next_position),
    }
