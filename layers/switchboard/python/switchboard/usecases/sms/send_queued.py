"""Submit one message that is waiting in the outbox, if it may still be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from switchboard.domain.errors import AddressBlockedError, AuthenticationFailedError, QuotaExceededError
from switchboard.domain.orders import Claim, OutcomeKind, queue_delay_s
from switchboard.domain.sms.messages import Message
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import MessageStore, Outbox
from switchboard.usecases.submission.attempt import Submission

# Below SQS's own limit of 900 s, and below the time after which the sweep requeues a message whose entry may be lost.
LONGEST_DELAY_S: Final = 600


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One entry of a queue: a message to submit, or with `inquiry` one to ask about.

    With `fallback` it is a verification whose number may have to be called. With `scripted` it is a test order, and the
    event at this place of its script has come.
    """

    smsid: str
    inquiry: bool = False
    fallback: bool = False
    scripted: int | None = None

    @property
    def subject(self) -> str:
        """The subject of the entry, for the log."""
        if self.scripted is not None:
            return "test event"
        return "fallback" if self.fallback else "inquiry" if self.inquiry else "queued sms"


class QueuedOutcome(StrEnum):
    """The result of one delivery from the queue."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    REQUEUED = "requeued"
    ACCOUNT_REJECTED = "account_rejected"
    """The message is requeued. The provider refused our credentials, our address or our contract: an operator has to
    act."""
    SUPPRESSED = "suppressed"
    """Nothing may be sent to the number any more."""
    EARLY = "early"
    """The message is requeued: its time has not come."""
    TEST = "test"
    """A test order was answered, or put back. It counts in no metric."""
    NOTHING_TO_DO = "nothing_to_do"


class SendQueuedSms:
    """The use case of the queues. The claim lets one of two deliveries submit if an entry is delivered twice.

    `bulk_submission` has a guard that leaves permits free for single sends, which a caller waits for.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        submission: Submission[Message, Any, Any],
        bulk_submission: Submission[Message, Any, Any],
        outbox: Outbox[Message],
        clock: Clock,
        new_id: ClaimIds,
        requeue_delay_s: int,
    ) -> None:
        self._messages = messages
        self._submission = submission
        self._bulk_submission = bulk_submission
        self._outbox = outbox
        self._clock = clock
        self._new_id = new_id
        self._requeue_delay_s = requeue_delay_s

    def __call__(self, smsid: str) -> QueuedOutcome:
        """Submit the message, and return once the effect is durable.

        A message that cannot be sent now goes back into the queue as a new entry. So waiting for a provider never uses
        up the deliveries after which an entry counts as poison.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        claim = Claim(id=self._new_id(), at=self._clock.now())
        answer = self._messages.claim(smsid, claim)
        if not answer.granted or answer.order is None:
            return self._put_back_if_early(answer.order, now=claim.at)
        submission = self._bulk_submission if answer.order.bulk else self._submission
        attempt = submission.run(answer.order, claim)
        unsent = attempt.outcome.kind is OutcomeKind.NOT_SENT
        if unsent:
            self._outbox.put(attempt.order, delay_s=self._delay_s(attempt.order))
        if answer.order.test:
            return QueuedOutcome.TEST
        if unsent:
            ours = isinstance(attempt.error, AuthenticationFailedError | AddressBlockedError | QuotaExceededError)
            return QueuedOutcome.ACCOUNT_REJECTED if ours else QueuedOutcome.REQUEUED
        return QueuedOutcome.SUPPRESSED if attempt.outcome.suppressed else QueuedOutcome(attempt.outcome.kind.value)

    def _put_back_if_early(self, message: Message | None, *, now: datetime) -> QueuedOutcome:
        """Put a scheduled message back whose entry came before its time: a queue holds it 15 minutes at most."""
        if message is None or message.closed_at is not None:
            return QueuedOutcome.NOTHING_TO_DO
        delay_s = queue_delay_s(message, now=now)
        if not delay_s:
            return QueuedOutcome.NOTHING_TO_DO
        self._outbox.put(message, delay_s=delay_s)
        return QueuedOutcome.EARLY

    def _delay_s(self, message: Message) -> int:
        """Return a delay that grows with each attempt: the item stores every attempt, and an outage lasts a while."""
        return min(LONGEST_DELAY_S, self._requeue_delay_s * len(message.claims))
