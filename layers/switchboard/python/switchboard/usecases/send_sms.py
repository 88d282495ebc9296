"""Send one SMS for a caller: at most one submission for one request, whatever is repeated or breaks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from switchboard.domain.delivery import StatusTable
from switchboard.domain.errors import (
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    RefusedError,
    RequestInProgressError,
    SendSmsError,
    StoreUnavailableError,
)
from switchboard.domain.instants import to_rfc3339
from switchboard.domain.messages import (
    Claim,
    Deadlines,
    Message,
    OutcomeKind,
    SmsContent,
    SmsState,
    TextMeasure,
    standing_of,
)
from switchboard.ports.abuse import AbuseLimits
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.messages import MessageStore, Outbox
from switchboard.usecases.admission import Admission
from switchboard.usecases.insistence import insist
from switchboard.usecases.submission import Submission


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


@dataclass(frozen=True, slots=True)
class SentSms:
    """The message as it stands now, and whether an earlier request had already made it."""

    message: Message
    replayed: bool


class SendSms:
    """The callers' verb. The smsid is the identity: chosen by the caller, derived from its key, or minted."""

    def __init__(
        self,
        *,
        messages: MessageStore,
        submission: Submission,
        limits: AbuseLimits,
        outbox: Outbox,
        clock: Clock,
        new_id: ClaimIds,
        statuses: StatusTable,
        deadlines: Deadlines,
    ) -> None:
        self._messages = messages
        self._submission = submission
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self._new_id = new_id
        self._statuses = statuses
        self._deadlines = deadlines

    def __call__(self, command: SendSmsCommand) -> SentSms:
        """Raises InvalidRequestError, IdempotencyKeyReusedError, RequestInProgressError, SendSmsError,
        StoreUnavailableError (nothing was submitted). Only what goes on to the provider counts towards the limits."""
        now = self._clock.now()
        message = self._new_message(command, now=now)
        if message.submit_before <= now:
            return self._replay_of_old(message)
        self._submission.check(message)
        self._bind_key(command, message)
        claim = message.claims[0]
        answer = insist(lambda: self._messages.create(message))
        if not answer.granted:
            earlier = self._same_request(answer.message, message)
            if not self._may_try_again(earlier):
                return self._replay(earlier)
            claim = Claim(id=self._new_id(), at=self._clock.now())
            answer = insist(lambda: self._messages.claim(message.smsid, claim))
            if not answer.granted:
                return self._replay(self._same_request(answer.message, message))
        granted = answer.message or message
        return self._submit(replace(granted, content=command.content), claim)

    def check(self, command: SendSmsCommand) -> None:
        """Raises InvalidRequestError for what calling it would refuse. Touches nothing."""
        now = self._clock.now()
        message = self._new_message(command, now=now)
        if message.submit_before <= now:
            raise _too_late()
        self._submission.check(message)

    def _submit(self, message: Message, claim: Claim) -> SentSms:
        admission = Admission(self._limits, message, claim)
        submitted = self._submission.run(message, claim, admit=admission.take)
        if submitted.message.queued_at is not None:
            self._hand_to_queue(submitted.message)
        elif submitted.error is not None and submitted.outcome.kind is not OutcomeKind.UNKNOWN:
            if submitted.outcome.kind is OutcomeKind.NOT_SENT:
                admission.give_back()
            raise SendSmsError(submitted.error, smsid=message.smsid) from submitted.error
        return SentSms(message=submitted.message, replayed=False)

    def _hand_to_queue(self, message: Message) -> None:
        try:
            self._outbox.put(message.smsid)
        except StoreUnavailableError:
            # It is written down as queued, and the sweep puts it into the queue when it is found waiting.
            return

    def _replay(self, earlier: Message) -> SentSms:
        standing = standing_of(earlier, statuses=self._statuses, deadlines=self._deadlines, now=self._clock.now())
        if standing.state is SmsState.SUBMITTING:
            raise RequestInProgressError("the first request under this id is under way", smsid=earlier.smsid)
        outcome = earlier.last_outcome
        if standing.state is SmsState.REJECTED and outcome is not None:
            refused = RefusedError(
                "the provider refused it",
                provider="",
                operation="send_sms",
                provider_code=outcome.provider_code,
            )
            raise SendSmsError(refused, smsid=earlier.smsid, replayed=True)
        return SentSms(message=earlier, replayed=True)

    def _replay_of_old(self, asked: Message) -> SentSms:
        """Too late to send anything; only a request that was made in time can be told again."""
        earlier = self._messages.get(asked.smsid)
        if earlier is None:
            raise _too_late()
        return self._replay(self._same_request(earlier, asked))

    def _may_try_again(self, earlier: Message) -> bool:
        """It was never sent, is not the queue's, and may still be: the caller asks again, so it is tried again."""
        in_time = self._clock.now() < earlier.submit_before
        return earlier.known_unsent and earlier.queued_at is None and in_time

    def _same_request(self, earlier: Message | None, asked: Message) -> Message:
        if earlier is None or earlier.fingerprint != asked.fingerprint:
            raise IdempotencyKeyReusedError("this id belongs to another request", smsid=asked.smsid)
        return earlier

    def _bind_key(self, command: SendSmsCommand, message: Message) -> None:
        if command.idempotency_key is None or command.smsid is None:
            return
        key_id = derived_smsid(client=command.client, key=command.idempotency_key)
        if not insist(lambda: self._messages.bind_key(key_id, message.smsid, at=message.created_at)):
            raise IdempotencyKeyReusedError("this key belongs to another request", smsid=message.smsid)

    def _new_message(self, command: SendSmsCommand, *, now: datetime) -> Message:
        latest = now + self._deadlines.submission_after_request
        return Message(
            smsid=self._identity(command),
            client=command.client,
            recipient=command.recipient,
            fingerprint=fingerprint_of(command),
            created_at=now,
            submit_before=min(latest, command.not_after) if command.not_after else latest,
            not_after=command.not_after,
            content=command.content,
            measure=command.measure,
            claims=(Claim(id=self._new_id(), at=now),),
        )

    def _identity(self, command: SendSmsCommand) -> str:
        if command.smsid is not None:
            return command.smsid
        if command.idempotency_key is not None:
            return derived_smsid(client=command.client, key=command.idempotency_key)
        return self._new_id()


def _too_late() -> InvalidRequestError:
    return InvalidRequestError(FieldProblem("not_after", "has already passed", code="in_the_past"))


def derived_smsid(*, client: str, key: str) -> str:
    """40 hexadecimal digits that only this client's key gives: within the provider's `[A-Za-z0-9]{1,50}`."""
    return hashlib.sha256(f"{client}\0{key}".encode()).hexdigest()[:40]


def fingerprint_of(command: SendSmsCommand) -> str:
    """Equal for two requests that ask for the same thing, and for no others."""
    asked = {
        "client": command.client,
        "recipient": command.recipient,
        "content": asdict(command.content),
        "not_after": to_rfc3339(command.not_after) if command.not_after else None,
        "key": command.idempotency_key,
    }
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
