"""Send one SMS for a caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from switchboard.domain.errors import (
    FieldProblem,
    InvalidRequestError,
    LimitExceededError,
    RecipientSuppressedError,
    SubmissionFailedError,
)
from switchboard.domain.orders import Claim, Deadlines
from switchboard.domain.sms.messages import Message, SmsContent, SmsStatus, TextMeasure
from switchboard.domain.sms.schedule import QuietHours, check_schedule, choose_send_at
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.sms.accept import AcceptForQueue
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id, fingerprint


@dataclass(frozen=True, slots=True)
class SendSmsCommand:
    """A valid request. `recipient` is E.164; `client` names the API key; `measure` is None for a template.

    `test` says that it is a test key. `send_at` is as the caller gave it. With `quiet_hours` the message leaves outside
    the deployment's quiet hours.
    """

    client: str
    recipient: str
    content: SmsContent
    measure: TextMeasure | None = None
    smsid: str | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    not_after: datetime | None = None
    send_at: datetime | None = None
    quiet_hours: bool = False
    test: bool = False

    @property
    def key_id(self) -> str | None:
        """The id that the idempotency key alone gives."""
        key = self.idempotency_key
        return None if key is None else derive_id(client=self.client, key=key)


class SendSms:
    """The use case of `POST /v1/sms`. `accept` is called for scheduled messages only."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[Message, SmsStatus],
        accept: Callable[[], AcceptForQueue],
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
    ) -> None:
        self._submit_once = submit_once
        self._accept = accept
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines

    def __call__(self, command: SendSmsCommand) -> SubmissionResult[Message, SmsStatus]:
        """Send the SMS, or replay the request that sent it before. Raises what SubmitOnce raises.

        Raises:
            InvalidRequestError: also if a time is impossible and no earlier request placed this message.
        """
        now = self._clock.now()
        message = self._build_message(command, now=now)
        refusal = find_refusal(command, message)
        if refusal is not None:
            replayed = self._submit_once.replay(message)
            if replayed is None:
                raise refusal
            return replayed
        key_id = command.key_id if command.smsid is not None else None
        if message.send_at is not None:
            return self._submit_once(replace(message, queued_at=now), key_id=key_id, accept=self._schedule)
        return self._submit_once(replace(message, claims=(Claim(id=self._new_id(), at=now),)), key_id=key_id)

    def check(self, command: SendSmsCommand) -> None:
        """Check a request without any I/O.

        Raises:
            InvalidRequestError: a call with this request would be refused.
        """
        message = self._build_message(command, now=self._clock.now())
        refusal = find_refusal(command, message)
        if refusal is not None:
            raise refusal
        self._submit_once.prepare(message)

    def _build_message(self, command: SendSmsCommand, *, now: datetime) -> Message:
        smsid = command.smsid or command.key_id or self._new_id()
        quiet_hours = self._accept().quiet_hours if command.quiet_hours else None
        return build_message(command, smsid=smsid, now=now, deadlines=self._deadlines, quiet_hours=quiet_hours)

    def _schedule(self, message: Message) -> SubmissionResult[Message, SmsStatus]:
        try:
            accepted = self._accept().record(message)
        except (LimitExceededError, RecipientSuppressedError) as error:
            raise SubmissionFailedError(error, message.names) from error
        if not accepted.replayed:
            self._accept().put_into_queue([message])
        return self._submit_once.show(accepted.message, replayed=accepted.replayed)


def build_message(
    command: SendSmsCommand, *, smsid: str, now: datetime, deadlines: Deadlines, quiet_hours: QuietHours | None
) -> Message:
    """Build the message that the command asks for, without a claim."""
    send_at = command.send_at
    if send_at is not None or quiet_hours is not None:
        send_at = choose_send_at(send_at, quiet_hours=quiet_hours, now=now)
    latest = (send_at or now) + deadlines.submission_after_request
    return Message(
        id=smsid,
        client=command.client,
        recipient=command.recipient,
        fingerprint=fingerprint_of(command),
        reference=command.reference,
        created_at=now,
        submit_before=min(latest, command.not_after) if command.not_after else latest,
        not_after=command.not_after,
        send_at=send_at,
        content=command.content,
        measure=command.measure,
        test=command.test,
    )


def find_refusal(command: SendSmsCommand, message: Message) -> InvalidRequestError | None:
    """Return the error of a new message whose times are impossible, or None if they are possible."""
    now = message.created_at
    if command.not_after is not None and command.not_after <= now:
        return InvalidRequestError(FieldProblem("not_after", "has already passed", code="in_the_past"))
    if message.send_at is None:
        return None
    try:
        check_schedule(command.send_at, message.send_at, not_after=command.not_after, now=now)
    except InvalidRequestError as error:
        return error
    return None


def fingerprint_of(command: SendSmsCommand) -> str:
    """Hash the request. Two requests have equal fingerprints only if they ask for the same SMS."""
    return fingerprint(
        {
            "client": command.client,
            "recipient": command.recipient,
            "content": asdict(command.content),
            "not_after": to_rfc3339(command.not_after) if command.not_after else None,
            "key": command.idempotency_key,
        },
        reference=command.reference,
        send_at=to_rfc3339(command.send_at) if command.send_at else None,
        quiet_hours=command.quiet_hours,
    )
