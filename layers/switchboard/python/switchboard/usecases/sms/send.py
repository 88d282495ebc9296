"""Send one SMS for a caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.orders import Claim, Deadlines
from switchboard.domain.sms.messages import Message, SmsContent, TextMeasure
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derived_id, fingerprint


@dataclass(frozen=True, slots=True)
class SendSmsCommand:
    """A valid request. `recipient` is E.164; `client` names the API key; `measure` is None for a template."""

    client: str
    recipient: str
    content: SmsContent
    measure: TextMeasure | None = None
    smsid: str | None = None
    idempotency_key: str | None = None
    not_after: datetime | None = None

    @property
    def key_id(self) -> str | None:
        """The id that the idempotency key alone gives."""
        key = self.idempotency_key
        return None if key is None else derived_id(client=self.client, key=key)


class SendSms:
    """The callers' verb."""

    def __init__(
        self,
        *,
        submit_once: SubmitOnce[Message],
        clock: Clock,
        new_id: ClaimIds,
        deadlines: Deadlines,
    ) -> None:
        self._submit_once = submit_once
        self._clock = clock
        self._new_id = new_id
        self._deadlines = deadlines

    def __call__(self, command: SendSmsCommand) -> SubmissionResult[Message]:
        """Raises what SubmitOnce does; InvalidRequestError also where `not_after` has passed."""
        now = self._clock.now()
        message = self._new_message(command, now=now)
        if message.submit_before <= now:
            earlier = self._submit_once.replay_of_old(message)
            if earlier is None:
                raise too_late()
            return earlier
        return self._submit_once(message, key_id=command.key_id if command.smsid is not None else None)

    def check(self, command: SendSmsCommand) -> None:
        """Raises InvalidRequestError for what calling it would refuse. Touches nothing."""
        now = self._clock.now()
        message = self._new_message(command, now=now)
        if message.submit_before <= now:
            raise too_late()
        self._submit_once.check(message)

    def _new_message(self, command: SendSmsCommand, *, now: datetime) -> Message:
        message = message_of(
            command, smsid=command.smsid or command.key_id or self._new_id(), now=now, deadlines=self._deadlines
        )
        return replace(message, claims=(Claim(id=self._new_id(), at=now),))


def message_of(command: SendSmsCommand, *, smsid: str, now: datetime, deadlines: Deadlines) -> Message:
    """The message that the command asks for, nobody having a claim to it yet."""
    latest = now + deadlines.submission_after_request
    return Message(
        id=smsid,
        client=command.client,
        recipient=command.recipient,
        fingerprint=fingerprint_of(command),
        created_at=now,
        submit_before=min(latest, command.not_after) if command.not_after else latest,
        not_after=command.not_after,
        content=command.content,
        measure=command.measure,
    )


def too_late() -> InvalidRequestError:
    """For a message that may not be submitted any more."""
    return InvalidRequestError(FieldProblem("not_after", "has already passed", code="in_the_past"))


def fingerprint_of(command: SendSmsCommand) -> str:
    """Equal for two requests that ask for the same SMS, and for no others."""
    return fingerprint(
        {
            "client": command.client,
            "recipient": command.recipient,
            "content": asdict(command.content),
            "not_after": to_rfc3339(command.not_after) if command.not_after else None,
            "key": command.idempotency_key,
        }
    )
