"""Reads the bodies of the requests to the SMS routes (contract, "SMS (MediaSMS)")."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.api_keys import ApiKey
from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.order_ids import ORDER_ID
from switchboard.domain.orders import MAX_REFERENCE_LENGTH
from switchboard.domain.sms.requests import ComposedSms, SmsRequest, SmsRules, compose
from switchboard.domain.sms.texts import Carrier
from switchboard.domain.timestamps import parse_timestamp
from switchboard.edge.http import InboundRequest, parse_body_as, validate
from switchboard.usecases.sms.send import SendSmsCommand

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
    send_at: Annotated[str, StringConstraints(max_length=40)] | None = None
    quiet_hours: bool = False
    reference: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)] | None = None
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
    body, caller = parse_body_as(SendSmsBatchBody, request, limit_bytes=BATCH_LIMIT_BYTES), request.require_key()
    return [_parse_batch_message(message, rules=rules, caller=caller) for message in body.messages]


def _parse_batch_message(message: Any, *, rules: SmsRules, caller: ApiKey) -> SendSmsCommand | InvalidRequestError:
    try:
        if not isinstance(message, dict):
            raise InvalidRequestError(FieldProblem("", "must be an object", "not_an_object"))
        body = validate(SendSmsBody, message)
        if body.dry_run:
            raise InvalidRequestError(FieldProblem("dry_run", "is not for batches", "not_in_batch"))
        return to_command(body, compose(body.request(), rules=rules), caller=caller, idempotency_key=None)
    except InvalidRequestError as error:
        return error


def to_command(
    body: SendSmsBody, composed: ComposedSms, *, caller: ApiKey, idempotency_key: str | None
) -> SendSmsCommand:
    """Build the command for a request that may be carried out.

    Raises:
        InvalidRequestError: the text may not be sent.
    """
    if composed.preflight is not None and not composed.fits:
        raise InvalidRequestError(*composed.preflight.field_problems())
    return SendSmsCommand(
        client=caller.client,
        test=caller.test,
        recipient=composed.recipient.e164,
        content=composed.content,
        measure=composed.measure,
        smsid=body.smsid,
        idempotency_key=idempotency_key,
        reference=body.reference,
        not_after=None if body.not_after is None else parse_timestamp(body.not_after, field="not_after"),
        send_at=None if body.send_at is None else parse_timestamp(body.send_at, field="send_at"),
        quiet_hours=body.quiet_hours,
    )
