"""Send one SMS for a caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.orders import Claim, Deadlines
from switchboard.domain.sms.messages import Message, SmsContent, SmsStatus, TextMeasure
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id, fingerprint


@dataclass(frozen=True, slots=True)
class SendSmsCommand:
    """A valid request. `recipient` is E.164; `client` names the API key; `measure` is None for a template."""

    client: str
    recipient: str
    content: SmsContent
    measure: TextMeasure | None = None
    smsid: str | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    not_after: datetime | None = None

    @property
    def key_id(self) -> str | None:
        """The id that the idempotency key alone gives."""
        key = self.idempotency_key
        return None if key is None else derive_id(client=self.client, key=key)


class SendSms:
    """The use case of `POST /v1/sms`."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[Message, SmsStatus],
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
    ) -> None:
        self._submit_once = submit_once
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines

    def __call__(self, command: SendSmsCommand) -> SubmissionResult[Message, SmsStatus]:
        """Send the SMS, or replay the request that sent it before. Raises what SubmitOnce raises.

        Raises:
            InvalidRequestError: also if `not_after` has passed and no earlier request placed this message.
        """
        now = self._clock.now()
        message = self._claim_message(command, now=now)
        if message.submit_before <= now:
            replayed = self._submit_once.replay(message)
            if replayed is None:
                raise build_too_late_error()
            return replayed
        return self._submit_once(message, key_id=command.key_id if command.smsid is not None else None)

    def check(self, command: SendSmsCommand) -> None:
        """Check a request without any I/O.

        Raises:
            InvalidRequestError: a call with this request would be refused.
        """
        now = self._clock.now()
        message = self._claim_message(command, now=now)
        if message.submit_before <= now:
            raise build_too_late_error()
        self._submit_once.prepare(message)

    def _claim_message(self, command: SendSmsCommand, *, now: datetime) -> Message:
        smsid = command.smsid or command.key_id or self._new_id()
        message = build_message(command, smsid=smsid, now=now, deadlines=self._deadlines)
        return replace(message, claims=(Claim(id=self._new_id(), at=now),))


def build_message(command: SendSmsCommand, *, smsid: str, now: datetime, deadlines: Deadlines) -> Message:
    """Build the message that the command asks for, without a claim."""
    latest = now + deadlines.submission_after_request
    return Message(
        id=smsid,
        client=command.client,
        recipient=command.recipient,
        fingerprint=fingerprint_of(command),
        reference=command.reference,
        created_at=now,
        submit_before=min(latest, command.not_after) if command.not_after else latest,
        not_after=command.not_after,
        content=command.content,
        measure=command.measure,
    )


def build_too_late_error() -> InvalidRequestError:
    """Build the error for a message that may not be submitted any more."""
    return InvalidRequestError(FieldProblem("not_after", "has already passed", code="in_the_past"))


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
    )
